-- Scoped suppressions, registers, contacts, consents, heard notices, the work on requests, and the gate's facts
-- depends: 0001_calls_and_rights

-- migrate: apply
ALTER TABLE suppressions
    ADD COLUMN campaign   text NOT NULL DEFAULT '',  -- '': all of the controller's calls
    ADD COLUMN expires_at timestamptz,
    DROP CONSTRAINT suppressions_controller_digest_reason_key,
    DROP CONSTRAINT suppressions_reason_check,
    ADD CONSTRAINT suppressions_reason_check CHECK (reason IN (
        'objection_marketing', 'objection', 'withdraw_consent', 'restriction', 'erasure', 'do_not_call')),
    ADD CONSTRAINT suppressions_one_each UNIQUE (controller, digest, campaign, reason);
CREATE INDEX suppressions_by_entry ON suppressions (entered_at DESC, id DESC);
CREATE INDEX suppressions_of_campaigns ON suppressions (controller, campaign) WHERE campaign <> '';

CREATE TABLE removed_suppressions (
    controller  text        NOT NULL,
    digest      bytea       NOT NULL CHECK (octet_length(digest) = 32),
    key_version smallint    NOT NULL,
    campaign    text        NOT NULL,
    reason      text        NOT NULL,
    origin      text        NOT NULL,
    proof       text        NOT NULL,
    call_id     uuid,
    entered_at  timestamptz NOT NULL,
    expires_at  timestamptz,
    removed_at  timestamptz NOT NULL DEFAULT now(),
    removed_by  text        NOT NULL,
    why         text        NOT NULL CHECK (why <> '')
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON removed_suppressions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE register_loads (
    id        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    register  text        NOT NULL,
    as_of     timestamptz NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT now(),
    loaded_by text        NOT NULL,
    entries   bigint      NOT NULL,
    sha256    bytea       NOT NULL CHECK (octet_length(sha256) = 32)
);
CREATE INDEX register_loads_newest ON register_loads (register, as_of DESC);

CREATE TABLE register_entries (
    register    text        NOT NULL,
    digest      bytea       NOT NULL CHECK (octet_length(digest) = 32),
    key_version smallint    NOT NULL,
    listed_at   timestamptz NOT NULL,
    expires_at  timestamptz,
    load        integer     NOT NULL REFERENCES register_loads,
    PRIMARY KEY (register, digest)
);

CREATE TABLE contacts (
    controller  text        NOT NULL,
    digest      bytea       NOT NULL CHECK (octet_length(digest) = 32),
    key_version smallint    NOT NULL,
    source      text        NOT NULL CHECK (source <> ''),
    obtained_on date        NOT NULL,
    legal_basis text        NOT NULL,
    proof       text        NOT NULL DEFAULT '',
    valid_until timestamptz,
    origin      text        NOT NULL,
    entered_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (controller, digest, source)
);

CREATE TABLE consents (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    controller   text        NOT NULL,
    digest       bytea       NOT NULL CHECK (octet_length(digest) = 32),
    key_version  smallint    NOT NULL,
    purpose      text        NOT NULL,
    channel      text        NOT NULL CHECK (channel IN ('phone', 'automatic_calls')),
    given_at     timestamptz NOT NULL,
    withdrawn_at timestamptz CHECK (withdrawn_at >= given_at),
    valid_until  timestamptz,
    proof        text        NOT NULL CHECK (proof <> ''),
    origin       text        NOT NULL,
    entered_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (controller, digest, purpose, channel, given_at)
);

CREATE TABLE consent_uses (
    consent_id bigint      NOT NULL REFERENCES consents,
    call_id    uuid        NOT NULL REFERENCES calls,
    used_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (call_id, consent_id)
);
CREATE INDEX consent_uses_of_consent ON consent_uses (consent_id);

CREATE TABLE heard_notices (
    controller          text        NOT NULL,
    digest              bytea       NOT NULL CHECK (octet_length(digest) = 32),
    key_version         smallint    NOT NULL,
    information_version text        NOT NULL,
    campaign            text        NOT NULL,
    call_id             uuid        NOT NULL REFERENCES calls,
    heard_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (controller, digest, information_version)
);

ALTER TABLE rights_requests
    ALTER COLUMN campaign DROP NOT NULL,
    ALTER COLUMN call_id DROP NOT NULL,
    ALTER COLUMN key DROP NOT NULL,
    ALTER COLUMN notice_version DROP NOT NULL,
    ADD COLUMN purpose     text,
    ADD COLUMN language    text,
    ADD COLUMN channel     text     NOT NULL DEFAULT 'key',
    ADD COLUMN number_from text     NOT NULL DEFAULT 'dialled' CHECK (number_from IN ('dialled', 'caller_id', 'given')),
    ADD COLUMN level       smallint NOT NULL DEFAULT 1 CHECK (level BETWEEN 0 AND 2),
    ADD COLUMN extended_at timestamptz,
    ADD COLUMN closed_at   timestamptz,
    ADD CONSTRAINT rights_requests_state_check CHECK (state IN (
        'received', 'verifying', 'in_progress', 'extended', 'fulfilled', 'refused', 'withdrawn')),
    ADD CONSTRAINT rights_requests_number_until_closure CHECK (closed_at IS NULL OR number IS NULL);
UPDATE rights_requests SET closed_at = registered_at WHERE state = 'fulfilled';
ALTER TABLE rights_requests
    ADD CONSTRAINT rights_requests_closed_check CHECK (
        (closed_at IS NOT NULL) = (state IN ('fulfilled', 'refused', 'withdrawn')));
CREATE INDEX rights_requests_of_number ON rights_requests (controller, digest);
CREATE INDEX rights_requests_open_by_due ON rights_requests (due, reference) WHERE closed_at IS NULL;

CREATE TABLE request_events (
    reference text        NOT NULL REFERENCES rights_requests,
    seq       integer     NOT NULL CHECK (seq > 0),
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    who       text        NOT NULL,
    state     text        NOT NULL,
    level     smallint    NOT NULL,
    due       date        NOT NULL,
    reason    text        NOT NULL DEFAULT '',
    PRIMARY KEY (reference, seq)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON request_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
INSERT INTO request_events (reference, seq, at, who, state, level, due)
SELECT reference, 1, registered_at, 'call', state, level, due FROM rights_requests;

CREATE TABLE forwards (
    reference    text        NOT NULL,
    seq          integer     NOT NULL,
    queued_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    state        text        NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'delivered', 'given_up', 'not_needed')),
    tries        integer     NOT NULL DEFAULT 0,
    first_try_at timestamptz,
    next_try_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    webhook_at   timestamptz,  -- when the webhook took it: where the folder failed, only the folder is tried again
    folder_at    timestamptz,
    settled_at   timestamptz,
    fault        text        NOT NULL DEFAULT '',
    number       text,  -- for whom to tell it of, though the request be closed before it is told
    PRIMARY KEY (reference, seq),
    FOREIGN KEY (reference, seq) REFERENCES request_events,
    CHECK ((settled_at IS NULL) = (state = 'waiting')),
    CONSTRAINT forwards_number_until_told CHECK (number IS NULL OR state IN ('waiting', 'given_up'))
);
CREATE INDEX forwards_to_do ON forwards (next_try_at) WHERE state = 'waiting';

CREATE FUNCTION gate_facts(
    controller text, digests bytea[], campaign text, purpose text, channel text, registers text[],
    listed_as text[], listed_digests bytea[], counts_since timestamptz, rules_count_since timestamptz)
-- a table, for only such a function becomes part of the statement that calls it, and is planned once with it
RETURNS TABLE (
    bar_reasons text[], bar_campaigns text[], bars_entered timestamptz[], bars_expire timestamptz[],
    listed_in text[], listed_at timestamptz[], register_ids text[], registers_as_of timestamptz[],
    consent_id bigint, given_at timestamptz, withdrawn_at timestamptz, consent_until timestamptz,
    sources bigint, source_forever boolean, source_until timestamptz,
    recent bigint, total bigint, by_controller bigint, informed text[])
LANGUAGE sql STABLE AS $$
    SELECT bars.reasons, bars.campaigns, bars.entered, bars.expire, listings.registers, listings.listed,
           ages.registers, ages.as_of, consent.id, consent.given_at, consent.withdrawn_at, consent.valid_until,
           origins.sources, origins.forever, origins.until, made.recent, made.total, made.by_controller, heard.informed
    FROM (SELECT array_agg(s.reason) AS reasons, array_agg(s.campaign) AS campaigns,
                 array_agg(s.entered_at) AS entered, array_agg(s.expires_at) AS expire
            FROM suppressions s
           WHERE s.controller = $1 AND s.digest = ANY ($2) AND s.campaign IN ('', $3)) AS bars
    CROSS JOIN (SELECT array_agg(e.register) AS registers, array_agg(e.listed_at) AS listed
                  FROM unnest($7, $8) AS asked (register, digest)
                  JOIN register_entries e ON e.register = asked.register AND e.digest = asked.digest
                 WHERE e.expires_at IS NULL OR e.expires_at > now()) AS listings
    CROSS JOIN (SELECT array_agg(each.register) AS registers, array_agg(each.as_of) AS as_of
                  FROM (SELECT l.register, max(l.as_of) AS as_of FROM register_loads l
                         WHERE l.register = ANY ($6) GROUP BY l.register) AS each) AS ages
    LEFT JOIN LATERAL (SELECT c.id, c.given_at, c.withdrawn_at, c.valid_until FROM consents c
                        WHERE c.controller = $1 AND c.digest = ANY ($2) AND c.purpose = $4 AND c.channel = $5
                          AND c.given_at <= now()
                        ORDER BY c.given_at DESC LIMIT 1) AS consent ON true
    CROSS JOIN (SELECT count(*) AS sources, bool_or(c.valid_until IS NULL) AS forever, max(c.valid_until) AS until
                  FROM contacts c WHERE c.controller = $1 AND c.digest = ANY ($2)) AS origins
    CROSS JOIN (SELECT count(*) FILTER (WHERE c.campaign = $3 AND c.dialled_at >= $9) AS recent,
                       count(*) FILTER (WHERE c.campaign = $3) AS total,
                       count(*) FILTER (WHERE c.dialled_at >= $10) AS by_controller
                  FROM calls c
                 WHERE c.controller = $1 AND c.digest = ANY ($2) AND c.dialled_at IS NOT NULL) AS made
    CROSS JOIN (SELECT array_agg(h.information_version) AS informed FROM heard_notices h
                 WHERE h.controller = $1 AND h.digest = ANY ($2)) AS heard
$$;

-- migrate: rollback
DROP FUNCTION gate_facts;
DROP TABLE forwards;
DROP TABLE request_events;
ALTER TABLE rights_requests
    DROP CONSTRAINT rights_requests_closed_check,
    DROP CONSTRAINT rights_requests_number_until_closure,
    DROP CONSTRAINT rights_requests_state_check,
    DROP COLUMN closed_at, DROP COLUMN extended_at, DROP COLUMN level, DROP COLUMN number_from, DROP COLUMN channel,
    DROP COLUMN language, DROP COLUMN purpose,
    ALTER COLUMN notice_version SET NOT NULL, ALTER COLUMN key SET NOT NULL, ALTER COLUMN call_id SET NOT NULL,
    ALTER COLUMN campaign SET NOT NULL;
DROP INDEX rights_requests_of_number;
DROP TABLE heard_notices;
DROP TABLE consent_uses;
DROP TABLE consents;
DROP TABLE contacts;
DROP TABLE register_entries;
DROP TABLE register_loads;
DROP TABLE removed_suppressions;
DROP INDEX suppressions_of_campaigns;
DROP INDEX suppressions_by_entry;
ALTER TABLE suppressions
    DROP CONSTRAINT suppressions_one_each,
    DROP CONSTRAINT suppressions_reason_check,
    DROP COLUMN expires_at, DROP COLUMN campaign,
    ADD CONSTRAINT suppressions_reason_check CHECK (reason IN (
        'objection_marketing', 'objection', 'withdraw_consent', 'erasure', 'do_not_call')),
    ADD CONSTRAINT suppressions_controller_digest_reason_key UNIQUE (controller, digest, reason);
