-- Which consents ended long ago is read from one index, in its order: for each that was in force, however old, the next one was looked up
-- depends: 0030_bars_renewed

-- migrate: apply
-- made before the other goes, as that locks the table: meanwhile the gate can read it
CREATE UNIQUE INDEX consents_one_each ON consents (controller, digest, purpose, channel, given_at) INCLUDE (id, withdrawn_at, valid_until);
ALTER TABLE consents
    DROP CONSTRAINT consents_controller_digest_purpose_channel_given_at_key,
    ADD CONSTRAINT consents_one_each UNIQUE USING INDEX consents_one_each;
DROP INDEX consents_to_expire;

-- migrate: rollback
CREATE INDEX consents_to_expire ON consents (controller, given_at, id);
ALTER TABLE consents
    DROP CONSTRAINT consents_one_each,
    ADD CONSTRAINT consents_controller_digest_purpose_channel_given_at_key UNIQUE (controller, digest, purpose, channel, given_at);
