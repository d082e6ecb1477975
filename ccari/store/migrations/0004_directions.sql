-- Who began a call
-- depends: 0003_access_tokens

-- migrate: apply
ALTER TABLE calls ADD COLUMN direction text NOT NULL DEFAULT 'outbound'
    CHECK (direction IN ('outbound', 'agent_first', 'callee_first', 'inbound'));
-- how often those whom we called had nobody to talk to
CREATE INDEX calls_callee_first ON calls (campaign, opened_at) WHERE direction = 'callee_first';

-- migrate: rollback
DROP INDEX calls_callee_first;
ALTER TABLE calls DROP COLUMN direction;
