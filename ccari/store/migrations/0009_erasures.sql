-- What was erased, on which request
-- depends: 0008_evidence

-- migrate: apply
-- One row for each time that an erasure was carried out; while it is under way, only one of a request.
CREATE TABLE erasures (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reference   text        NOT NULL REFERENCES rights_requests,
    controller  text        NOT NULL,
    begun_by    text        NOT NULL,
    begun_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    done        jsonb       NOT NULL DEFAULT '{}',  -- how many of what, as it is done
    finished_at timestamptz,
    report      jsonb,
    CONSTRAINT erasures_reported_at_the_end CHECK ((finished_at IS NULL) = (report IS NULL))
);
CREATE UNIQUE INDEX erasures_under_way ON erasures (reference) WHERE finished_at IS NULL;
CREATE INDEX erasures_of_request ON erasures (reference);
CREATE INDEX recordings_erased ON recordings (deletion_ref) WHERE deletion = 'erasure';

CREATE FUNCTION refuse_after_the_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was erased stays on record';
END
$$;
CREATE TRIGGER stays BEFORE DELETE OR TRUNCATE ON erasures
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_after_the_end();
CREATE TRIGGER ended_once BEFORE UPDATE ON erasures FOR EACH ROW
    WHEN (OLD.finished_at IS NOT NULL
          OR (OLD.id, OLD.reference, OLD.controller, OLD.begun_by, OLD.begun_at)
             IS DISTINCT FROM (NEW.id, NEW.reference, NEW.controller, NEW.begun_by, NEW.begun_at))
    EXECUTE FUNCTION refuse_after_the_end();

-- Of a bar that was lifted, what people wrote may be erased, and nothing else changed.
DROP TRIGGER append_only ON removed_suppressions;
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON removed_suppressions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER erase_only BEFORE UPDATE ON removed_suppressions FOR EACH ROW
    WHEN ((OLD.controller, OLD.digest, OLD.key_version, OLD.campaign, OLD.reason, OLD.entered_at, OLD.expires_at,
           OLD.removed_at, OLD.removed_by)
          IS DISTINCT FROM
          (NEW.controller, NEW.digest, NEW.key_version, NEW.campaign, NEW.reason, NEW.entered_at, NEW.expires_at,
           NEW.removed_at, NEW.removed_by)
          OR NEW.call_id IS NOT NULL AND NEW.call_id IS DISTINCT FROM OLD.call_id
          OR NEW.origin NOT IN (OLD.origin, 'erased') OR NEW.proof NOT IN (OLD.proof, 'erased')
          OR NEW.why NOT IN (OLD.why, 'erased'))
    EXECUTE FUNCTION refuse_edit();

-- The planner's statistics keep samples of what stands in a column, longer than the column itself.
ALTER TABLE rights_requests ALTER COLUMN number SET STATISTICS 0;
ALTER TABLE forwards ALTER COLUMN number SET STATISTICS 0;
ALTER TABLE calls ALTER COLUMN number_masked SET STATISTICS 0, ALTER COLUMN agent SET STATISTICS 0;
ALTER TABLE request_event_details ALTER COLUMN reason SET STATISTICS 0;
ALTER TABLE suppressions ALTER COLUMN proof SET STATISTICS 0;
ALTER TABLE removed_suppressions ALTER COLUMN proof SET STATISTICS 0, ALTER COLUMN why SET STATISTICS 0;
ALTER TABLE consents ALTER COLUMN proof SET STATISTICS 0;
ALTER TABLE contacts ALTER COLUMN proof SET STATISTICS 0;
ALTER TABLE recordings ALTER COLUMN deletion_ref SET STATISTICS 0;
ALTER TABLE http_repeats ALTER COLUMN body SET STATISTICS 0;
ALTER TABLE call_event_fields ALTER COLUMN fields SET STATISTICS 0;
ALTER TABLE deletions ALTER COLUMN reference SET STATISTICS 0;

-- migrate: rollback
ALTER TABLE deletions ALTER COLUMN reference SET STATISTICS -1;
ALTER TABLE call_event_fields ALTER COLUMN fields SET STATISTICS -1;
ALTER TABLE http_repeats ALTER COLUMN body SET STATISTICS -1;
ALTER TABLE recordings ALTER COLUMN deletion_ref SET STATISTICS -1;
ALTER TABLE contacts ALTER COLUMN proof SET STATISTICS -1;
ALTER TABLE consents ALTER COLUMN proof SET STATISTICS -1;
ALTER TABLE removed_suppressions ALTER COLUMN proof SET STATISTICS -1, ALTER COLUMN why SET STATISTICS -1;
ALTER TABLE suppressions ALTER COLUMN proof SET STATISTICS -1;
ALTER TABLE request_event_details ALTER COLUMN reason SET STATISTICS -1;
ALTER TABLE calls ALTER COLUMN number_masked SET STATISTICS -1, ALTER COLUMN agent SET STATISTICS -1;
ALTER TABLE forwards ALTER COLUMN number SET STATISTICS -1;
ALTER TABLE rights_requests ALTER COLUMN number SET STATISTICS -1;
DROP TRIGGER erase_only ON removed_suppressions;
DROP TRIGGER append_only ON removed_suppressions;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON removed_suppressions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP INDEX recordings_erased;
DROP TABLE erasures;
DROP FUNCTION refuse_after_the_end;
