-- Accesses whose time is over no longer tell who looked at what
-- depends: 0032_bars_by_id

-- migrate: apply
ALTER TABLE accesses
    ALTER COLUMN fields DROP NOT NULL,
    ALTER COLUMN salt DROP NOT NULL,
    ADD CONSTRAINT accesses_erased_as_a_whole CHECK ((fields IS NULL) = (salt IS NULL));
CREATE INDEX accesses_to_expire ON accesses (at, seq) WHERE fields IS NOT NULL;
CREATE INDEX accesses_expired ON accesses (seq) WHERE event = 'accesses_expired' AND fields IS NOT NULL;
-- nothing else of an entry changes, and no younger one: LEAST_DAYS of ccari/policy/accesses.py
DROP TRIGGER append_only ON accesses;
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON accesses FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER only_expires BEFORE UPDATE ON accesses FOR EACH ROW
    WHEN (NEW.fields IS NOT NULL OR OLD.at > now() - interval '365 days'
          OR (NEW.seq, NEW.at, NEW.event, NEW.commitment, NEW.link)
             IS DISTINCT FROM (OLD.seq, OLD.at, OLD.event, OLD.commitment, OLD.link))
    EXECUTE FUNCTION refuse_change();

-- migrate: rollback
DO $$
BEGIN
    IF EXISTS (SELECT FROM accesses WHERE fields IS NULL) THEN
        RAISE EXCEPTION 'accesses have expired, which an older ccari does not know';
    END IF;
END
$$;
DROP TRIGGER only_expires ON accesses;
DROP TRIGGER append_only ON accesses;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON accesses FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP INDEX accesses_expired;
DROP INDEX accesses_to_expire;
ALTER TABLE accesses
    DROP CONSTRAINT accesses_erased_as_a_whole,
    ALTER COLUMN salt SET NOT NULL,
    ALTER COLUMN fields SET NOT NULL;
