-- What a talk is taken up with by the next service when the one that ran it has died
-- depends: 0013_accesses

-- migrate: apply
ALTER TABLE calls
    ADD COLUMN talk jsonb,
    ADD CONSTRAINT calls_talk_of_open CHECK (talk IS NULL OR ended_at IS NULL);

-- migrate: rollback
ALTER TABLE calls DROP CONSTRAINT calls_talk_of_open, DROP COLUMN talk;
