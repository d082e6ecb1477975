-- What was answered to requests that may come again, for a day
-- depends: 0004_directions

-- migrate: apply
CREATE TABLE http_repeats (
    key      bytea       PRIMARY KEY CHECK (octet_length(key) = 32),
    asked    bytea       NOT NULL CHECK (octet_length(asked) = 32),
    made_at  timestamptz NOT NULL DEFAULT now(),
    status   smallint,
    location text,
    kind     text,
    body     bytea,
    CONSTRAINT http_repeats_answered_whole CHECK ((status IS NULL) = (body IS NULL) AND (status IS NULL) = (kind IS NULL))
);
CREATE INDEX http_repeats_by_age ON http_repeats (made_at);

-- migrate: rollback
DROP TABLE http_repeats;
