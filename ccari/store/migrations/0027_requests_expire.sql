-- Requests whose time is over no longer tell whose they were
-- depends: 0026_given_up_numbers

-- migrate: apply
-- what is written into a request afterwards takes it back, so that it comes up once more
ALTER TABLE rights_requests
    ADD COLUMN expired_at timestamptz,
    ALTER COLUMN digest DROP NOT NULL,
    ALTER COLUMN key_version DROP NOT NULL,
    DROP CONSTRAINT rights_requests_digest_among_all,
    ADD CONSTRAINT rights_requests_digest_among_all CHECK (digest = ANY (digests) OR digest IS NULL),
    ADD CONSTRAINT rights_requests_somebodys_while_open CHECK (
        (digest IS NULL) = (digests = '{}') AND (digest IS NULL) = (key_version IS NULL)
        AND (digest IS NOT NULL OR closed_at IS NOT NULL AND number IS NULL));
CREATE INDEX rights_requests_to_expire ON rights_requests (controller, closed_at, reference)
    WHERE closed_at IS NOT NULL AND expired_at IS NULL;
-- when the last erasure began that the bar came with, once its request tells no longer whose it was: no list is to bring back
-- what was erased then
ALTER TABLE suppressions ADD COLUMN erased_at timestamptz;

-- migrate: rollback
DO $$
BEGIN
    IF EXISTS (SELECT FROM rights_requests WHERE expired_at IS NOT NULL OR digest IS NULL) THEN
        RAISE EXCEPTION 'requests have expired, which an older ccari does not know';
    END IF;
END
$$;
ALTER TABLE suppressions DROP COLUMN erased_at;
DROP INDEX rights_requests_to_expire;
ALTER TABLE rights_requests
    DROP CONSTRAINT rights_requests_somebodys_while_open,
    DROP CONSTRAINT rights_requests_digest_among_all,
    ADD CONSTRAINT rights_requests_digest_among_all CHECK (digest = ANY (digests)),
    ALTER COLUMN key_version SET NOT NULL,
    ALTER COLUMN digest SET NOT NULL,
    DROP COLUMN expired_at;
