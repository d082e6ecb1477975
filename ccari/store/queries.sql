-- name: append_events
-- Entries may come a second time: who gives them does not know that they are durable when the reply was lost.
INSERT INTO call_events (call_id, seq, at, event, fields, link)
SELECT $1, each.seq, each.at, each.event, each.fields, each.link
FROM unnest($2::integer[], $3::timestamptz[], $4::text[], $5::jsonb[], $6::bytea[])
     AS each (seq, at, event, fields, link)
ON CONFLICT (call_id, seq) DO NOTHING

-- name: move_chain
-- The last link stands for all before it: where it is another, another entry was there already.
UPDATE calls SET events = $2, last_link = $3
WHERE id = $1 AND events <= $2
  AND EXISTS (SELECT FROM call_events WHERE call_id = $1 AND seq = $2 AND link = $3)
RETURNING id

-- name: open_call
-- The gate's one round trip: the call's row with its unspent token, and what is known of the number.
WITH opened AS (
    INSERT INTO calls (id, asterisk, revision, controller, campaign, legal_basis, agent, digest, key_version,
                       number_masked, token, last_link)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    -- asked again when a newer policy revision was applied meanwhile
    ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, controller = excluded.controller,
        legal_basis = excluded.legal_basis, digest = excluded.digest, key_version = excluded.key_version
    RETURNING id
)
SELECT ARRAY(SELECT reason FROM suppressions WHERE controller = $4 AND digest = ANY ($13)) AS suppressions,
       (SELECT count(*) FROM calls
         WHERE controller = $4 AND digest = ANY ($13) AND campaign = $5 AND dialled_at >= $14) AS attempts,
       (SELECT max(revision) FROM policy_revisions) AS revision
FROM opened

-- name: open_refused_call
INSERT INTO calls (id, asterisk, campaign, agent, number_masked, token, last_link)
VALUES ($1, $2, $3, $4, '—', $5, $6)
-- the row may be there from before a newer policy was read that no longer knows the campaign
ON CONFLICT (id) DO NOTHING

-- name: gate_facts
SELECT ARRAY(SELECT reason FROM suppressions WHERE controller = $1 AND digest = ANY ($3)) AS suppressions,
       (SELECT count(*) FROM calls
         WHERE controller = $1 AND digest = ANY ($3) AND campaign = $2 AND dialled_at >= $4) AS attempts

-- name: spend_token
-- The bars are read again in the statement that spends the token: no INVITE without an UPDATE of one row.
UPDATE calls SET dialled_at = clock_timestamp()
WHERE id = $1 AND token = $2 AND dialled_at IS NULL AND ended_at IS NULL
  AND NOT EXISTS (SELECT FROM suppressions s
                   WHERE s.controller = calls.controller AND s.digest = ANY ($3) AND s.reason = ANY ($4))
RETURNING id

-- name: bars_of
SELECT reason FROM suppressions WHERE controller = $1 AND digest = ANY ($2) AND reason = ANY ($3)

-- name: commit_heard
UPDATE calls SET heard_at = clock_timestamp(), notice_version = $2 WHERE id = $1

-- name: tag_recording
INSERT INTO recordings (id, call_id, revision, controller, campaign, purpose, legal_basis, mode, notice_version,
                        delete_at)
SELECT $1, calls.id, calls.revision, calls.controller, calls.campaign, $3, $4, $5, calls.notice_version, $6
FROM calls WHERE calls.id = $2 AND calls.heard_at IS NOT NULL
RETURNING id

-- name: recording_started
UPDATE recordings SET state = 'recording', started_at = $2 WHERE id = $1 AND state = 'tagged'

-- name: recording_stored
UPDATE recordings SET state = 'stored', stopped_at = clock_timestamp(), file = $2, duration_ms = $3, sha256 = $4
WHERE id = $1 AND state IN ('tagged', 'recording')

-- name: recording_ended
UPDATE recordings SET state = $2, stopped_at = clock_timestamp()
WHERE id = $1 AND state IN ('tagged', 'recording')

-- name: unfinished_recordings
SELECT r.id AS recording_id, r.call_id, r.controller, r.campaign, r.revision, r.purpose, r.legal_basis, r.mode,
       r.notice_version, coalesce(r.started_at, r.tagged_at) AS started_at, r.delete_at
FROM recordings r JOIN calls ON calls.id = r.call_id
WHERE r.state IN ('tagged', 'recording') AND calls.asterisk = $1

-- name: next_reference
INSERT INTO request_counters AS counter (controller, year, last) VALUES ($1, $2, 1)
ON CONFLICT (controller, year) DO UPDATE SET last = counter.last + 1
RETURNING last

-- name: add_request
INSERT INTO rights_requests (reference, controller, campaign, call_id, "right", article, state, key, notice_version,
                             number, digest, key_version, received_at, due)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)

-- name: lock_call
SELECT id FROM calls WHERE id = $1 FOR UPDATE

-- name: request_of_call
SELECT reference FROM rights_requests WHERE call_id = $1 AND "right" = $2

-- name: add_suppression
INSERT INTO suppressions (controller, digest, key_version, reason, origin, proof, call_id)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (controller, digest, reason) DO NOTHING
RETURNING id

-- name: close_call
UPDATE calls SET ended_at = clock_timestamp(), outcome = $2, reason = $3 WHERE id = $1 AND ended_at IS NULL

-- name: open_calls
SELECT id, events, last_link FROM calls WHERE asterisk = $1 AND ended_at IS NULL

-- name: check_suppression
SELECT reason, origin, proof, entered_at FROM suppressions
WHERE controller = $1 AND digest = ANY ($2) ORDER BY entered_at

-- name: list_suppressions
SELECT controller, reason, origin, proof, entered_at, key_version, encode(digest, 'hex') AS digest
FROM suppressions WHERE $1::text IS NULL OR controller = $1
ORDER BY entered_at DESC, id DESC LIMIT $2

-- name: list_requests
SELECT reference, controller, campaign, "right", article, state, received_at, due, call_id, key, number, registered_at
FROM rights_requests WHERE $1::text IS NULL OR controller = $1
ORDER BY due, reference LIMIT $2

-- name: list_recordings
SELECT id, call_id, controller, campaign, legal_basis, mode, state, started_at, duration_ms, delete_at, file,
       encode(sha256, 'hex') AS sha256, revision, purpose, notice_version, tagged_at
FROM recordings WHERE $1::text IS NULL OR controller = $1
ORDER BY tagged_at DESC LIMIT $2

-- name: list_calls
SELECT id, opened_at, controller, campaign, legal_basis, number_masked AS number, outcome, reason, dialled_at,
       heard_at, ended_at, agent, revision, notice_version
FROM calls ORDER BY opened_at DESC LIMIT $1

-- name: show_call
SELECT id, opened_at, controller, campaign, legal_basis, number_masked AS number, outcome, reason, dialled_at,
       heard_at, ended_at, agent, revision, notice_version, events, last_link
FROM calls WHERE id = $1

-- name: call_events
SELECT seq, at, event, fields, link FROM call_events WHERE call_id = $1 ORDER BY seq

-- name: recordings_of_call
SELECT id, state, legal_basis, mode, started_at, duration_ms, delete_at, file FROM recordings WHERE call_id = $1

-- name: newest_policy
SELECT revision, document FROM policy_revisions ORDER BY revision DESC LIMIT 1

-- name: add_policy
INSERT INTO policy_revisions (applied_by, sha256, document) VALUES ($1, $2, $3) RETURNING revision
