-- Policies, suppressions, calls with their journal, recordings and rights requests
-- depends:

-- migrate: apply
CREATE TABLE policy_revisions (
    revision    integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    applied_at  timestamptz NOT NULL DEFAULT now(),
    applied_by  text        NOT NULL,
    sha256      bytea       NOT NULL CHECK (octet_length(sha256) = 32),
    document    text        NOT NULL
);

CREATE TABLE suppressions (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    controller  text        NOT NULL,
    digest      bytea       NOT NULL CHECK (octet_length(digest) = 32),
    key_version smallint    NOT NULL,
    reason      text        NOT NULL CHECK (reason IN (
        'objection_marketing', 'objection', 'withdraw_consent', 'erasure', 'do_not_call')),
    origin      text        NOT NULL,
    proof       text        NOT NULL DEFAULT '',
    call_id     uuid,
    entered_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (controller, digest, reason)
);

CREATE TABLE calls (
    id             uuid        PRIMARY KEY,
    asterisk       text        NOT NULL,
    revision       integer     REFERENCES policy_revisions,
    controller     text,
    campaign       text        NOT NULL,
    legal_basis    text,
    agent          text        NOT NULL,
    digest         bytea       CHECK (octet_length(digest) = 32),
    key_version    smallint,
    number_masked  text        NOT NULL,
    token          uuid        NOT NULL,
    opened_at      timestamptz NOT NULL DEFAULT now(),
    dialled_at     timestamptz,
    heard_at       timestamptz,
    notice_version text,
    ended_at       timestamptz,
    outcome        text,
    reason         text,
    events         integer     NOT NULL DEFAULT 0,
    last_link      bytea       NOT NULL,
    CHECK ((ended_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX calls_by_opening ON calls (opened_at DESC);
CREATE INDEX calls_attempts ON calls (controller, digest, campaign, dialled_at) WHERE dialled_at IS NOT NULL;
CREATE INDEX calls_open ON calls (asterisk) WHERE ended_at IS NULL;

CREATE TABLE call_events (
    call_id uuid        NOT NULL REFERENCES calls,
    seq     integer     NOT NULL CHECK (seq > 0),
    at      timestamptz NOT NULL,
    event   text        NOT NULL,
    fields  jsonb       NOT NULL,
    link    bytea       NOT NULL CHECK (octet_length(link) = 32),
    PRIMARY KEY (call_id, seq)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON call_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON policy_revisions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE recordings (
    id             uuid        PRIMARY KEY,
    call_id        uuid        NOT NULL REFERENCES calls,
    revision       integer     NOT NULL REFERENCES policy_revisions,
    controller     text        NOT NULL,
    campaign       text        NOT NULL,
    purpose        text        NOT NULL,
    legal_basis    text        NOT NULL,
    mode           text        NOT NULL,
    notice_version text        NOT NULL,
    delete_at      timestamptz NOT NULL,
    tagged_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at     timestamptz,
    stopped_at     timestamptz,
    state          text        NOT NULL DEFAULT 'tagged'
        CHECK (state IN ('tagged', 'recording', 'stored', 'discarded', 'failed')),
    file           text,
    duration_ms    integer,
    sha256         bytea       CHECK (octet_length(sha256) = 32),
    CHECK (state <> 'stored' OR (file IS NOT NULL AND sha256 IS NOT NULL AND duration_ms IS NOT NULL))
);
CREATE INDEX recordings_of_call ON recordings (call_id);

CREATE TABLE request_counters (
    controller text    NOT NULL,
    year       integer NOT NULL,
    last       integer NOT NULL,
    PRIMARY KEY (controller, year)
);

CREATE TABLE rights_requests (
    reference      text        PRIMARY KEY,
    controller     text        NOT NULL,
    campaign       text        NOT NULL,
    call_id        uuid        NOT NULL REFERENCES calls,
    "right"        text        NOT NULL,
    article        text        NOT NULL,
    state          text        NOT NULL,
    key            text        NOT NULL,
    notice_version text        NOT NULL,
    number         text,
    digest         bytea       NOT NULL CHECK (octet_length(digest) = 32),
    key_version    smallint    NOT NULL,
    received_at    timestamptz NOT NULL,
    registered_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    due            date        NOT NULL,
    UNIQUE (call_id, "right")
);
CREATE INDEX rights_requests_by_due ON rights_requests (due);

-- migrate: rollback
DROP TABLE rights_requests;
DROP TABLE request_counters;
DROP TABLE recordings;
DROP TABLE call_events;
DROP TABLE calls;
DROP TABLE suppressions;
DROP TABLE policy_revisions;
DROP FUNCTION refuse_change;
