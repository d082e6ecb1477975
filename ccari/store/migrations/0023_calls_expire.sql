-- Calls whose time is over no longer tell whose they were
-- depends: 0022_calls_updated_in_place

-- migrate: apply
-- what is written into a call afterwards takes it back, so that it comes up once more
ALTER TABLE calls ADD COLUMN expired_at timestamptz;
CREATE INDEX calls_to_expire ON calls (controller, ended_at, id) WHERE ended_at IS NOT NULL AND expired_at IS NULL;
-- heard in a call that tells no longer whose it was
ALTER TABLE heard_notices ALTER COLUMN call_id DROP NOT NULL;

-- migrate: rollback
DO $$
BEGIN
    IF EXISTS (SELECT FROM calls WHERE expired_at IS NOT NULL) THEN
        RAISE EXCEPTION 'calls have expired, which an older ccari does not know';
    END IF;
END
$$;
ALTER TABLE heard_notices ALTER COLUMN call_id SET NOT NULL;
DROP INDEX calls_to_expire;
ALTER TABLE calls DROP COLUMN expired_at;
