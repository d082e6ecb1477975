-- Controllers that have left: what of them had no limit is deleted, and they have no campaigns any more
-- depends: 0035_ends_of_recordings

-- migrate: apply
-- A row for each time that it was done, without anything that tells of a person; while it is under way, only one of a controller.
CREATE TABLE controller_deletions (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    controller  text        NOT NULL,
    begun_by    text        NOT NULL,
    begun_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    drop_proof  boolean     NOT NULL DEFAULT false,  -- whether somebody let go of consents whose proof the law has kept
    deleted     jsonb       NOT NULL DEFAULT '{}',   -- how many of what, as it is done
    finished_by text,
    finished_at timestamptz,
    CHECK ((finished_at IS NULL) = (finished_by IS NULL))
);
CREATE INDEX controller_deletions_of ON controller_deletions (controller);
CREATE UNIQUE INDEX controller_deletions_under_way ON controller_deletions (controller) WHERE finished_at IS NULL;
CREATE TRIGGER stays BEFORE DELETE OR TRUNCATE ON controller_deletions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_after_the_end();
CREATE TRIGGER ended_once BEFORE UPDATE ON controller_deletions FOR EACH ROW
    WHEN (OLD.finished_at IS NOT NULL
          OR (OLD.id, OLD.controller, OLD.begun_by, OLD.begun_at) IS DISTINCT FROM (NEW.id, NEW.controller, NEW.begun_by, NEW.begun_at))
    EXECUTE FUNCTION refuse_after_the_end();

-- Before each batch, and while others wait, it is asked whether anything has to be over first.
CREATE INDEX recordings_of_controller ON recordings (controller)
    WHERE state IN ('tagged', 'recording', 'finished', 'stored', 'failed');
CREATE INDEX forwards_untold ON forwards (reference) WHERE number IS NOT NULL;
-- Without it each batch of them would read and sort them all.
CREATE INDEX removed_suppressions_of_controller ON removed_suppressions (controller, digest);

-- A bar that was lifted stays on record as long as its controller does.
CREATE FUNCTION refuse_while_it_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM controller_deletions d WHERE d.controller = OLD.controller AND d.finished_at IS NULL) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;
DROP TRIGGER append_only ON removed_suppressions;
CREATE TRIGGER append_only BEFORE TRUNCATE ON removed_suppressions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER only_leaves BEFORE DELETE ON removed_suppressions FOR EACH ROW EXECUTE FUNCTION refuse_while_it_stays();

-- migrate: rollback
DO $$
BEGIN
    IF EXISTS (SELECT FROM controller_deletions) THEN
        RAISE EXCEPTION 'controllers were deleted, which an older ccari would let call again without their bars';
    END IF;
END
$$;
DROP TRIGGER only_leaves ON removed_suppressions;
DROP TRIGGER append_only ON removed_suppressions;
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON removed_suppressions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP FUNCTION refuse_while_it_stays;
DROP INDEX removed_suppressions_of_controller;
DROP INDEX forwards_untold;
DROP INDEX recordings_of_controller;
DROP TABLE controller_deletions;
