-- Journals that outlive what they tell of, and their seals
-- depends: 0007_holds

-- migrate: apply
DO $$
BEGIN
    IF EXISTS (SELECT FROM call_events) OR EXISTS (SELECT FROM request_events) THEN
        RAISE EXCEPTION 'journals of a development version of ccari cannot be carried over: give [database] url a new database';
    END IF;
END
$$;

CREATE FUNCTION refuse_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% can be erased, but not changed', TG_TABLE_NAME;
END
$$;

ALTER TABLE call_events
    DROP COLUMN fields,
    ADD COLUMN commitment bytea NOT NULL CHECK (octet_length(commitment) = 32);

-- what an entry tells: the commitment to it stays when it is erased
CREATE TABLE call_event_fields (
    call_id uuid    NOT NULL,
    seq     integer NOT NULL,
    salt    bytea   NOT NULL CHECK (octet_length(salt) = 16),
    fields  jsonb   NOT NULL,
    PRIMARY KEY (call_id, seq),
    FOREIGN KEY (call_id, seq) REFERENCES call_events
);
CREATE TRIGGER erase_only BEFORE UPDATE OR TRUNCATE ON call_event_fields
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_edit();

ALTER TABLE request_events
    DROP COLUMN who, DROP COLUMN reason,
    ALTER COLUMN at DROP DEFAULT,
    ADD COLUMN commitment bytea NOT NULL CHECK (octet_length(commitment) = 32),
    ADD COLUMN link       bytea NOT NULL CHECK (octet_length(link) = 32);

CREATE TABLE request_event_details (
    reference text    NOT NULL,
    seq       integer NOT NULL,
    salt      bytea   NOT NULL CHECK (octet_length(salt) = 16),
    who       text    NOT NULL,
    reason    text    NOT NULL,
    PRIMARY KEY (reference, seq),
    FOREIGN KEY (reference, seq) REFERENCES request_events
);
CREATE TRIGGER erase_only BEFORE UPDATE OR TRUNCATE ON request_event_details
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_edit();

ALTER TABLE rights_requests
    ADD COLUMN events    integer NOT NULL DEFAULT 0,
    ADD COLUMN last_link bytea,
    ADD CONSTRAINT rights_requests_chained CHECK ((events = 0) = (last_link IS NULL));

CREATE TABLE seals (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sealed_at timestamptz NOT NULL,
    leaves    integer     NOT NULL CHECK (leaves > 0),
    root      bytea       NOT NULL CHECK (octet_length(root) = 32),
    before    bytea       NOT NULL UNIQUE CHECK (octet_length(before) = 32),  -- the hash of the seal before this one
    key       text        NOT NULL,
    signature bytea       NOT NULL
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE sealed (
    seal   bigint  NOT NULL REFERENCES seals,
    leaf   integer NOT NULL CHECK (leaf >= 0),
    kind   text    NOT NULL CHECK (kind IN ('call', 'request')),
    id     text    NOT NULL,
    events integer NOT NULL CHECK (events > 0),
    link   bytea   NOT NULL CHECK (octet_length(link) = 32),
    PRIMARY KEY (seal, leaf),
    UNIQUE (kind, id, events)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON sealed
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- how far each journal is sealed, for the next seal to find what has grown since
ALTER TABLE calls ADD COLUMN sealed integer NOT NULL DEFAULT 0;
ALTER TABLE rights_requests ADD COLUMN sealed integer NOT NULL DEFAULT 0;
CREATE INDEX calls_to_seal ON calls (ended_at) WHERE ended_at IS NOT NULL AND sealed < events;
CREATE INDEX rights_requests_to_seal ON rights_requests (registered_at) WHERE sealed < events;

-- migrate: rollback
DO $$
BEGIN
    IF EXISTS (SELECT FROM call_events) OR EXISTS (SELECT FROM request_events) THEN
        RAISE EXCEPTION 'journals cannot be taken back to an older form';
    END IF;
END
$$;
ALTER TABLE rights_requests
    DROP CONSTRAINT rights_requests_chained, DROP COLUMN sealed, DROP COLUMN events, DROP COLUMN last_link;
ALTER TABLE calls DROP COLUMN sealed;
DROP TABLE sealed;
DROP TABLE seals;
DROP TABLE request_event_details;
DROP TABLE call_event_fields;
ALTER TABLE request_events
    DROP COLUMN link, DROP COLUMN commitment,
    ALTER COLUMN at SET DEFAULT clock_timestamp(),
    ADD COLUMN who text NOT NULL, ADD COLUMN reason text NOT NULL DEFAULT '';
ALTER TABLE call_events DROP COLUMN commitment, ADD COLUMN fields jsonb NOT NULL;
DROP FUNCTION refuse_edit;
