-- Which consents ended long ago is read from one index, in its order: for each that was in force, however old, the next one was looked up
-- depends: 0030_bars_renewed

-- migrate: apply
DROP INDEX consents_to_expire;
ALTER TABLE consents
    DROP CONSTRAINT consents_controller_digest_purpose_channel_given_at_key,
    ADD CONSTRAINT consents_one_each UNIQUE (controller, digest, purpose, channel, given_at) INCLUDE (id, withdrawn_at, valid_until);

-- migrate: rollback
ALTER TABLE consents
    DROP CONSTRAINT consents_one_each,
    ADD CONSTRAINT consents_controller_digest_purpose_channel_given_at_key UNIQUE (controller, digest, purpose, channel, given_at);
CREATE INDEX consents_to_expire ON consents (controller, given_at, id);
