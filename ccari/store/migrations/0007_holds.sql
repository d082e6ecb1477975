-- What is kept beyond its time, and why; what is being deleted, and why
-- depends: 0006_stored_recordings

-- migrate: apply
-- A request concerns what lies under an older version of the secret too.
ALTER TABLE rights_requests ADD COLUMN digests bytea[];
UPDATE rights_requests SET digests = ARRAY[digest];
ALTER TABLE rights_requests
    ALTER COLUMN digests SET NOT NULL,
    ADD CONSTRAINT rights_requests_digest_among_all CHECK (digest = ANY (digests));
CREATE INDEX rights_requests_by_digests ON rights_requests USING gin (digests);
CREATE INDEX calls_of_number ON calls (controller, digest);

CREATE TABLE holds (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recording_id   uuid        REFERENCES recordings,
    call_id        uuid        REFERENCES calls,
    reference      text        REFERENCES rights_requests,
    controller     text,
    digests        bytea[]     CHECK (cardinality(digests) > 0),
    reason         text        NOT NULL CHECK (reason <> ''),
    placed_by      text        NOT NULL,
    placed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    released_by    text,
    released_at    timestamptz,
    release_reason text,
    CONSTRAINT holds_on_one_thing CHECK (num_nonnulls(recording_id, call_id, reference, digests) = 1),
    CONSTRAINT holds_number_of_a_controller CHECK ((controller IS NULL) = (digests IS NULL)),
    CONSTRAINT holds_released_by_somebody CHECK (
        (released_at IS NULL) = (released_by IS NULL) AND (released_at IS NULL) = (release_reason IS NULL))
);
CREATE INDEX holds_on_recordings ON holds (recording_id) WHERE released_at IS NULL AND recording_id IS NOT NULL;
CREATE INDEX holds_on_calls ON holds (call_id) WHERE released_at IS NULL AND call_id IS NOT NULL;
CREATE INDEX holds_on_requests ON holds (reference) WHERE released_at IS NULL AND reference IS NOT NULL;
CREATE INDEX holds_on_numbers ON holds USING gin (digests) WHERE released_at IS NULL AND digests IS NOT NULL;

CREATE FUNCTION refuse_other_than_release() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a hold is released once, and else stays as it was placed';
END
$$;
CREATE TRIGGER stays BEFORE DELETE OR TRUNCATE ON holds
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_other_than_release();
CREATE TRIGGER released_once BEFORE UPDATE ON holds FOR EACH ROW
    WHEN (OLD.released_at IS NOT NULL
          OR (OLD.id, OLD.recording_id, OLD.call_id, OLD.reference, OLD.controller, OLD.digests, OLD.reason, OLD.placed_by,
              OLD.placed_at)
             IS DISTINCT FROM
             (NEW.id, NEW.recording_id, NEW.call_id, NEW.reference, NEW.controller, NEW.digests, NEW.reason, NEW.placed_by,
              NEW.placed_at))
    EXECUTE FUNCTION refuse_other_than_release();

-- Which recordings a request concerns; twice where both ways lead to one. A refusal that was pressed in a call is about
-- that call (ccari.policy.retention.OF_ITS_CALL). A digest is compared in both forms, for each has an index from its side.
CREATE VIEW concerned_recordings AS
SELECT q.reference, r.id AS recording_id
FROM rights_requests q JOIN recordings r ON r.call_id = q.call_id
UNION ALL
SELECT q.reference, r.id
FROM rights_requests q
JOIN calls c ON c.controller = q.controller AND c.digest = ANY (q.digests) AND q.digests @> ARRAY[c.digest]
JOIN recordings r ON r.call_id = c.id
WHERE q.call_id IS NULL OR q."right" <> 'refuse_recording';

-- Decided, and not yet carried out: from here on it is, whatever becomes of who does it.
CREATE TABLE deletions (
    recording_id uuid        PRIMARY KEY REFERENCES recordings,
    why          text        NOT NULL CHECK (why IN ('retention', 'consent_withdrawn', 'erasure', 'purge')),
    reference    text        NOT NULL DEFAULT '',  -- the request, or the words of who purged it
    decided_by   text        NOT NULL,
    decided_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX recordings_by_limit ON recordings (delete_at) WHERE state = 'stored';
CREATE INDEX recordings_on_consent ON recordings (call_id) WHERE state = 'stored' AND legal_basis = 'consent';

-- migrate: rollback
DROP INDEX recordings_on_consent;
DROP INDEX recordings_by_limit;
DROP TABLE deletions;
DROP VIEW concerned_recordings;
DROP TABLE holds;
DROP FUNCTION refuse_other_than_release;
DROP INDEX calls_of_number;
DROP INDEX rights_requests_by_digests;
ALTER TABLE rights_requests DROP CONSTRAINT rights_requests_digest_among_all, DROP COLUMN digests;
