-- Who works on a request that may come again, and what list came with it
-- depends: 0016_webhooks_seen

-- migrate: apply
ALTER TABLE http_repeats
    ADD COLUMN claim  uuid,
    ADD COLUMN listed bytea CHECK (octet_length(listed) = 32);

-- migrate: rollback
ALTER TABLE http_repeats DROP COLUMN claim, DROP COLUMN listed;
