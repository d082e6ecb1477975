-- Bearer tokens of the HTTP API, of which only the hash is kept
-- depends: 0002_consents_registers_and_request_work

-- migrate: apply
CREATE TABLE access_tokens (
    name        text        PRIMARY KEY,
    role        text        NOT NULL CHECK (role IN ('dialer', 'agent', 'ops', 'dpo', 'auditor')),
    agent       text,
    controllers text[]      CHECK (controllers <> '{}'),  -- NULL: all
    sha256      bytea       NOT NULL UNIQUE CHECK (octet_length(sha256) = 32),
    created_at  timestamptz NOT NULL DEFAULT now(),
    created_by  text        NOT NULL,
    expires_at  timestamptz,
    revoked_at  timestamptz,
    revoked_by  text,
    CONSTRAINT access_tokens_agent_of_agents CHECK ((agent IS NOT NULL) = (role = 'agent')),
    CONSTRAINT access_tokens_revoked_by_somebody CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);

-- migrate: rollback
DROP TABLE access_tokens;
