-- Who has looked at what, chained as the journals are
-- depends: 0012_exercises

-- migrate: apply
CREATE TABLE accesses (
    seq        bigint      PRIMARY KEY CHECK (seq > 0),
    at         timestamptz NOT NULL,
    event      text        NOT NULL,
    fields     jsonb       NOT NULL,  -- who, why, and at what; of a number the keyed digest
    salt       bytea       NOT NULL CHECK (octet_length(salt) = 16),
    commitment bytea       NOT NULL CHECK (octet_length(commitment) = 32),
    link       bytea       NOT NULL CHECK (octet_length(link) = 32)
);
CREATE INDEX accesses_by_who ON accesses ((fields->>'who'), seq DESC);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON accesses
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- how many there are and the last link, so that one that is missing at the end shows; a row, for writers to wait at
CREATE TABLE access_chain (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    events bigint  NOT NULL CHECK (events >= 0),
    link   bytea   NOT NULL CHECK (octet_length(link) = 32)
);
INSERT INTO access_chain (events, link) VALUES (0, sha256('accesses'));

-- migrate: rollback
DROP TABLE access_chain;
DROP TABLE accesses;
