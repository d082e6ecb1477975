-- Recordings between their end and their place, and after it
-- depends: 0005_http_repeats

-- migrate: apply
ALTER TABLE recordings
    DROP CONSTRAINT recordings_state_check,
    DROP CONSTRAINT recordings_check,
    ADD COLUMN keep_until   timestamptz,  -- what was said after it is left out
    ADD COLUMN format       text CHECK (format IN ('wav', 'flac', 'opus')),
    ADD COLUMN bytes        bigint,
    ADD COLUMN file_sha256  bytea CHECK (octet_length(file_sha256) = 32),  -- of the file as it lies there
    ADD COLUMN recipients   text[] NOT NULL DEFAULT '{}',  -- who can open it; none: anybody
    ADD COLUMN silent       boolean,
    ADD COLUMN deleted_at   timestamptz,
    ADD COLUMN deletion     text CHECK (deletion IN ('retention', 'consent_withdrawn', 'erasure', 'purge')),
    ADD COLUMN deletion_ref text NOT NULL DEFAULT '';  -- the request, or the words of who purged it
UPDATE recordings SET format = 'wav', file_sha256 = sha256 WHERE state = 'stored';
ALTER TABLE recordings
    ADD CONSTRAINT recordings_state_check CHECK (
        state IN ('tagged', 'recording', 'finished', 'stored', 'discarded', 'failed', 'deleted')),
    ADD CONSTRAINT recordings_stored_whole CHECK (state NOT IN ('stored', 'deleted') OR (
        file IS NOT NULL AND format IS NOT NULL AND sha256 IS NOT NULL AND file_sha256 IS NOT NULL
        AND duration_ms IS NOT NULL)),
    ADD CONSTRAINT recordings_deleted_why CHECK (
        (state = 'deleted') = (deleted_at IS NOT NULL) AND (state = 'deleted') = (deletion IS NOT NULL));
CREATE INDEX recordings_unfinished ON recordings (state) WHERE state IN ('tagged', 'recording', 'finished');

-- migrate: rollback
DROP INDEX recordings_unfinished;
UPDATE recordings SET state = 'discarded' WHERE state = 'deleted';
UPDATE recordings SET state = 'recording' WHERE state = 'finished';
ALTER TABLE recordings
    DROP CONSTRAINT recordings_deleted_why,
    DROP CONSTRAINT recordings_stored_whole,
    DROP CONSTRAINT recordings_state_check,
    DROP COLUMN deletion_ref, DROP COLUMN deletion, DROP COLUMN deleted_at, DROP COLUMN silent,
    DROP COLUMN recipients, DROP COLUMN file_sha256, DROP COLUMN bytes, DROP COLUMN format, DROP COLUMN keep_until,
    ADD CONSTRAINT recordings_check CHECK (
        state <> 'stored' OR (file IS NOT NULL AND sha256 IS NOT NULL AND duration_ms IS NOT NULL)),
    ADD CONSTRAINT recordings_state_check CHECK (
        state IN ('tagged', 'recording', 'stored', 'discarded', 'failed'));
