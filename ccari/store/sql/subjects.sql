-- name: mandate
SELECT q.reference, q.controller, q."right", q.state, q.level, q.language, q.digests,
       EXISTS (SELECT FROM erasures e WHERE e.reference = q.reference) AS begun
FROM rights_requests q WHERE q.reference = $1

-- name: lock_mandate
SELECT state, level, due, number, "right" FROM rights_requests WHERE reference = $1 FOR UPDATE

-- name: move_request
UPDATE rights_requests SET state = $2 WHERE reference = $1

-- name: disclosed_calls
SELECT id, opened_at, direction, campaign, legal_basis, revision, number_masked AS number, dialled_at, heard_at, notice_version,
       ended_at, outcome, reason
FROM calls WHERE controller = $1 AND digest = ANY ($2) ORDER BY opened_at, id

-- name: disclosed_events
SELECT e.call_id, e.at, e.event, f.fields
FROM call_events e LEFT JOIN call_event_fields f USING (call_id, seq) WHERE e.call_id = ANY ($1) ORDER BY e.call_id, e.seq

-- name: disclosed_heard
SELECT information_version, campaign, call_id, heard_at FROM heard_notices
WHERE controller = $1 AND digest = ANY ($2) ORDER BY heard_at

-- name: disclosed_suppressions
-- A bar kept under several secrets is returned once.
SELECT reason, campaign, origin, proof, entered_at, expires_at, NULL::timestamptz AS removed_at, '' AS why FROM suppressions
WHERE controller = $1 AND digest = ANY ($2)
UNION
SELECT reason, campaign, origin, proof, entered_at, expires_at, removed_at, why FROM removed_suppressions
WHERE controller = $1 AND digest = ANY ($2)
ORDER BY entered_at

-- name: disclosed_listings
-- Includes expired listings that are still stored. A listing kept under several secrets is returned once.
SELECT DISTINCT entry.register, entry.listed_at, entry.expires_at
FROM unnest($1::text[], $2::bytea[]) AS asked (register, digest)
JOIN register_entries entry ON entry.register = asked.register AND entry.digest = asked.digest
ORDER BY entry.register, entry.listed_at

-- name: disclosed_requests
SELECT q.reference, q."right", q.article, q.state, q.level, q.campaign, q.channel, q.key, q.call_id, q.received_at, q.due,
       q.extended_at, q.closed_at
FROM rights_requests q WHERE q.controller = $1 AND q.digests && $2 ORDER BY q.received_at, q.reference

-- name: disclosed_steps
SELECT e.reference, e.at, e.state, e.level, e.due, coalesce(d.reason, '') AS reason
FROM request_events e LEFT JOIN request_event_details d USING (reference, seq)
WHERE e.reference = ANY ($1) ORDER BY e.reference, e.seq

-- name: disclosed_recordings
SELECT r.id, r.call_id, r.campaign, r.revision, r.purpose, r.legal_basis, r.mode, r.notice_version, r.state,
       coalesce(r.started_at, r.tagged_at) AS started_at, r.duration_ms, r.delete_at, r.format, r.bytes,
       encode(r.sha256, 'hex') AS sha256, r.deleted_at, r.deletion, r.file, cardinality(r.recipients) AS readers
FROM recordings r JOIN calls c ON c.id = r.call_id
WHERE c.controller = $1 AND c.digest = ANY ($2) ORDER BY r.tagged_at

-- name: disclosed_forwards
-- A change that the controller was told of in another way has neither timestamp.
SELECT f.reference, f.seq, f.state, f.webhook_at, f.folder_at, f.settled_at FROM forwards f
WHERE f.reference = ANY ($1) AND (f.webhook_at IS NOT NULL OR f.folder_at IS NOT NULL OR f.state = 'delivered')
ORDER BY f.reference, f.seq

-- name: disclosed_accesses
-- Accesses to the person, by the digest and for this controller only, since another controller's secret may be a copy; and to their
-- calls, recordings and requests, by id. Neither who looked, nor at what.
SELECT at, event AS access, coalesce(fields->>'why', '') AS why FROM accesses
WHERE (fields->>'controller' = $1 AND fields->>'digest' = ANY ($2))
   OR fields->>'call' = ANY ($3) OR fields->>'recording' = ANY ($3) OR fields->>'request' = ANY ($3) OR fields->>'of' = ANY ($3)
ORDER BY seq
