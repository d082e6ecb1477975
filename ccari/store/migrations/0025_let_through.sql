-- When a call was let through that rings a callee before there is an agent for them
-- depends: 0024_consents_end_with_an_erasure

-- migrate: apply
ALTER TABLE calls ADD COLUMN let_through_at timestamptz;

-- migrate: rollback
ALTER TABLE calls DROP COLUMN let_through_at;
