-- name: shown_of_call
id, opened_at, direction, controller, campaign, legal_basis, number_masked AS number, outcome, reason, dialled_at, heard_at,
ended_at, agent, revision, notice_version, expired_at

-- name: list_calls
-- $6 and $7: the last call of the previous page.
SELECT /* shown_of_call */ FROM calls
WHERE ($2::text IS NULL OR campaign = $2) AND ($3::text IS NULL OR outcome = $3)
  AND ($4::timestamptz IS NULL OR opened_at >= $4) AND ($5::text[] IS NULL OR controller = ANY ($5))
  AND ($7::uuid IS NULL OR (opened_at, id) < ($6::timestamptz, $7))
ORDER BY opened_at DESC, id DESC LIMIT $1

-- name: calls_of_number
-- $1 and $2: controllers, each with a digest of the number under one of its secrets.
SELECT /* shown_of_call */ FROM unnest($1::text[], $2::bytea[]) AS sought (controller, digest) JOIN calls USING (controller, digest)
ORDER BY opened_at DESC, id DESC LIMIT $3

-- name: show_call
SELECT /* shown_of_call */, digest, key_version, events, last_link FROM calls WHERE id = $1

-- name: recordings_of_call
SELECT id, state, legal_basis, mode, started_at, duration_ms, delete_at, file FROM recordings WHERE call_id = $1
ORDER BY coalesce(started_at, tagged_at)

-- name: page_of_recordings
-- $7 and $8: the last recording of the previous page.
SELECT id, call_id, controller, campaign, legal_basis, mode, state, started_at, duration_ms, delete_at, file,
       encode(sha256, 'hex') AS sha256, revision, purpose, notice_version, tagged_at, deleted_at, deletion, deletion_ref
FROM recordings
WHERE ($2::text[] IS NULL OR controller = ANY ($2)) AND ($3::text IS NULL OR campaign = $3)
  AND ($4::text IS NULL OR state = $4) AND ($5::text IS NULL OR legal_basis = $5) AND ($6::uuid IS NULL OR call_id = $6)
  AND ($8::uuid IS NULL OR (tagged_at, id) < ($7::timestamptz, $8)) AND ($9::uuid IS NULL OR id = $9)
ORDER BY tagged_at DESC, id DESC LIMIT $1
