-- Recordings with the agent on the left and the callee on the right
-- depends: 0010_key_checks

-- migrate: apply
ALTER TABLE recordings
    ADD COLUMN channels text NOT NULL DEFAULT 'mono' CHECK (channels IN ('mono', 'stereo')),
    ADD COLUMN lead_ms  integer NOT NULL DEFAULT 0 CHECK (lead_ms >= 0);  -- how much earlier the agent's side began

-- migrate: rollback
ALTER TABLE recordings DROP COLUMN lead_ms, DROP COLUMN channels;
