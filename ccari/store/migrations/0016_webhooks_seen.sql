-- Webhooks are those that somebody of the fleet has in the settings; what was given up may be discarded
-- depends: 0015_webhooks

-- migrate: apply
ALTER TABLE webhook_endpoints ADD COLUMN seen_at timestamptz NOT NULL DEFAULT clock_timestamp();
ALTER TABLE webhook_deliveries DROP CONSTRAINT webhook_deliveries_state_check;
ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_state_check
    CHECK (state IN ('waiting', 'delivered', 'given_up', 'discarded'));
DROP INDEX webhook_deliveries_to_do;
CREATE INDEX webhook_deliveries_to_do ON webhook_deliveries (endpoint, (tries = 0) DESC, next_try_at, id) WHERE state = 'waiting';
DROP INDEX webhook_deliveries_settled;
CREATE INDEX webhook_deliveries_settled ON webhook_deliveries (settled_at) WHERE state <> 'waiting';

-- migrate: rollback
DROP INDEX webhook_deliveries_settled;
CREATE INDEX webhook_deliveries_settled ON webhook_deliveries (settled_at) WHERE state = 'delivered';
DROP INDEX webhook_deliveries_to_do;
CREATE INDEX webhook_deliveries_to_do ON webhook_deliveries (endpoint, next_try_at) WHERE state = 'waiting';
DELETE FROM webhook_deliveries WHERE state = 'discarded';
ALTER TABLE webhook_deliveries DROP CONSTRAINT webhook_deliveries_state_check;
ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_state_check CHECK (state IN ('waiting', 'delivered', 'given_up'));
ALTER TABLE webhook_endpoints DROP COLUMN seen_at;
