-- name: lock_access_chain
SELECT events, link, clock_timestamp() AS at FROM access_chain FOR UPDATE

-- name: add_access
WITH added AS (
    INSERT INTO accesses (seq, at, event, fields, salt, commitment, link) VALUES ($1, $2, $3, $4::jsonb, $5, $6, $7)
)
UPDATE access_chain SET events = $1, link = $7

-- name: list_accesses
-- $5: a call, a recording or a request. $6: whether to list only accesses to one person, given by $7 and $8 (controllers, each with a
-- digest of the number under one of its secrets); these include accesses to the person's calls, recordings and requests.
WITH sought AS MATERIALIZED (
    SELECT * FROM unnest($7::text[], $8::bytea[]) AS each (controller, digest)
), theirs AS MATERIALIZED (
    SELECT c.id::text AS id FROM sought s JOIN calls c ON c.controller = s.controller AND c.digest = s.digest
    UNION
    SELECT r.id::text FROM sought s JOIN calls c ON c.controller = s.controller AND c.digest = s.digest
    JOIN recordings r ON r.call_id = c.id
    UNION
    SELECT q.reference FROM sought s JOIN rights_requests q ON q.controller = s.controller AND q.digests @> ARRAY[s.digest]
)
SELECT seq, at, event, fields::text AS fields FROM accesses
WHERE fields IS NOT NULL
  AND ($2::text IS NULL OR fields->>'who' = $2) AND ($3::text IS NULL OR event = $3) AND ($4::timestamptz IS NULL OR at >= $4)
  AND ($5::text IS NULL OR $5 IN (fields->>'call', fields->>'recording', fields->>'request', fields->>'of'))
  AND (NOT $6::boolean
       OR (fields->>'controller', fields->>'digest') IN (SELECT controller, encode(digest, 'hex') FROM sought)
       OR fields->>'call' IN (SELECT id FROM theirs) OR fields->>'recording' IN (SELECT id FROM theirs)
       OR fields->>'request' IN (SELECT id FROM theirs) OR fields->>'of' IN (SELECT id FROM theirs))
ORDER BY seq DESC LIMIT $1

-- name: newest_expiry
-- An entry dated in the future is a forgery, and counts as one of now.
SELECT least(at, clock_timestamp()) AS at, fields::text AS fields
FROM accesses WHERE event = 'accesses_expired' AND fields IS NOT NULL ORDER BY seq DESC LIMIT 1

-- name: accesses_not_as_sealed
-- The first sealed entry that is missing or differs from what was sealed.
SELECT s.events, seals.sealed_at
FROM sealed s JOIN seals ON seals.id = s.seal LEFT JOIN accesses a ON a.seq = s.events AND a.link = s.link
WHERE s.kind = 'accesses' AND a.link IS NULL
ORDER BY s.events LIMIT 1

-- name: decided_otherwise
-- The first entry on a policy, a token or a hold whose row is missing, or says otherwise. A hold that was released is the later entry's.
SELECT a.seq, a.event FROM accesses a
LEFT JOIN policy_revisions p ON a.event = 'policy_applied' AND p.revision::text = a.fields->>'revision'
LEFT JOIN access_tokens t ON a.event IN ('token_created', 'token_revoked') AND t.name = a.fields->>'token'
LEFT JOIN holds h ON a.event IN ('hold_placed', 'hold_released') AND h.id::text = a.fields->>'hold'
WHERE a.fields IS NOT NULL AND CASE a.event
    WHEN 'policy_applied' THEN
        (encode(sha256(convert_to(p.document, 'UTF8')), 'hex'), p.applied_by) IS DISTINCT FROM (a.fields->>'sha256', a.fields->>'who')
    WHEN 'token_created' THEN
        (t.role, coalesce(t.agent, ''), coalesce(array_to_string(t.controllers, ' '), 'all'), t.created_by, date_trunc('second', t.expires_at))
        IS DISTINCT FROM (a.fields->>'role', a.fields->>'agent', a.fields->>'controllers', a.fields->>'who',
                          nullif(a.fields->>'expires', 'never')::timestamptz)
    WHEN 'token_revoked' THEN t.revoked_by IS DISTINCT FROM a.fields->>'who'
    WHEN 'hold_placed' THEN
        (h.recording_id::text, h.call_id::text, h.reference, h.controller, encode(h.digests[1], 'hex'), h.placed_by)
        IS DISTINCT FROM (a.fields->>'recording', a.fields->>'call', a.fields->>'request', a.fields->>'controller', a.fields->>'digest',
                          a.fields->>'who')
        OR h.released_at IS NOT NULL
           AND NOT EXISTS (SELECT FROM accesses later WHERE later.event = 'hold_released' AND later.fields->>'hold' = a.fields->>'hold')
    WHEN 'hold_released' THEN h.released_by IS DISTINCT FROM a.fields->>'who'
    END
ORDER BY a.seq LIMIT 1

-- name: all_accesses
-- Each row also has the head of the chain at that moment, and the time; if there are no entries, one row has only these.
SELECT clock_timestamp() AS now, c.events AS count, c.link AS last, a.seq, a.at, a.event, a.fields::text AS fields, a.salt, a.commitment, a.link
FROM access_chain c LEFT JOIN accesses a ON true ORDER BY a.seq
