-- name: share_deletions
-- Any number of holds can be placed at a time, but none while deletions are decided: otherwise a hold could be confirmed on a recording
-- that is deleted a moment later.
SELECT pg_advisory_xact_lock_shared(hashtextextended('deletions', 0))

-- name: goes_on_holding
-- Of a request q: it was fulfilled, and its bar still stands. $1 and $2: rights whose fulfilled request goes on holding, each with the
-- bar that must stand.
q.state = 'fulfilled'
AND EXISTS (SELECT FROM unnest($1::text[], $2::text[]) AS each ("right", reason)
            JOIN suppressions s ON s.reason = each.reason
             WHERE each."right" = q."right" AND s.controller = q.controller AND s.digest = ANY (q.digests)
               AND (s.expires_at IS NULL OR s.expires_at > now()))

-- name: stands
-- Of a request q: it is open, or goes on holding. $1 and $2: as of goes_on_holding.
(q.closed_at IS NULL OR /* goes_on_holding($1, $2) */)

-- name: holds_on
-- $2 and $3: rights, each with a legal basis of recordings that its open request holds; $4 and $5: as $1 and $2 of goes_on_holding.
WITH asked AS MATERIALIZED (
    SELECT r.id, r.call_id, r.controller, r.legal_basis, c.digest
    FROM recordings r JOIN calls c ON c.id = r.call_id WHERE r.id = ANY ($1)
), concerning AS MATERIALIZED (
    SELECT DISTINCT recording_id AS id, reference FROM concerned_recordings WHERE recording_id = ANY ($1)
)
SELECT a.id, 'legal' AS kind, h.id AS hold, NULL AS reference, h.reason
FROM asked a JOIN holds h ON h.recording_id = a.id WHERE h.released_at IS NULL
UNION ALL
SELECT a.id, 'legal', h.id, NULL, h.reason
FROM asked a JOIN holds h ON h.call_id = a.call_id WHERE h.released_at IS NULL
UNION ALL
SELECT a.id, 'legal', h.id, NULL, h.reason
FROM asked a JOIN holds h ON h.controller = a.controller AND h.digests @> ARRAY[a.digest]
WHERE h.released_at IS NULL AND h.digests IS NOT NULL
UNION ALL
SELECT n.id, 'legal', h.id, h.reference, h.reason
FROM concerning n JOIN holds h ON h.reference = n.reference WHERE h.released_at IS NULL
UNION ALL
SELECT a.id, 'request', NULL, q.reference, q."right"
FROM concerning n JOIN asked a ON a.id = n.id JOIN rights_requests q ON q.reference = n.reference
WHERE CASE WHEN q.closed_at IS NULL
           THEN EXISTS (SELECT FROM unnest($2::text[], $3::text[]) AS each ("right", basis)
                         WHERE each."right" = q."right" AND each.basis = a.legal_basis)
           ELSE /* goes_on_holding($4, $5) */
      END
ORDER BY 1, 2, 3, 4

-- name: place_hold
INSERT INTO holds (recording_id, call_id, reference, controller, digests, reason, placed_by)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id

-- name: recording_to_hold
SELECT r.state, r.deleted_at, EXISTS (SELECT FROM deletions d WHERE d.recording_id = r.id) AS doomed
FROM recordings r WHERE r.id = $1

-- name: call_to_hold
SELECT expired_at FROM calls WHERE id = $1

-- name: request_to_hold
SELECT digests <> '{}' AS is_anybodys FROM rights_requests WHERE reference = $1

-- name: misses_later_calls
-- Whether hold $1 is on a request whose number was erased before its controller's secret was followed by another, under which that number has
-- a digest that the request lacks.
SELECT EXISTS (SELECT FROM holds h JOIN rights_requests q ON q.reference = h.reference
               JOIN key_checks k ON k.kind = 'controller' AND k.holder = q.controller AND k.key_version > q.key_version
               WHERE h.id = $1 AND q.number IS NULL AND k.known_at > q.closed_at)

-- name: release_hold
UPDATE holds SET released_at = clock_timestamp(), released_by = $2, release_reason = $3
WHERE id = $1 AND released_at IS NULL RETURNING id

-- name: named_by_digest
-- Of a hold h on a number: its digest under the newest secret, by which the record of accesses names persons, and a hash of all its digests.
encode(h.digests[cardinality(h.digests)], 'hex'), encode(sha256(array_send(h.digests)), 'hex')

-- name: target_of_hold
-- Named as the record of accesses names what was looked at.
SELECT x.* FROM holds h, LATERAL (
    VALUES (h.recording_id::text, h.call_id::text, h.reference, h.controller, /* named_by_digest */)
) x (recording, call, request, controller, digest, digests)
WHERE h.id = $1

-- name: released_hold
SELECT released_at FROM holds WHERE id = $1

-- name: list_holds
SELECT h.id, CASE WHEN h.recording_id IS NOT NULL THEN 'recording' WHEN h.call_id IS NOT NULL THEN 'call'
                  WHEN h.reference IS NOT NULL THEN 'request' ELSE 'number' END AS "on",
       coalesce(h.recording_id::text, h.call_id::text, h.reference, left(encode(h.digests[cardinality(h.digests)], 'hex'), 12)) AS what,
       coalesce(h.controller, of_recording.controller, of_call.controller, of_request.controller) AS controller,
       h.reason, h.placed_by, h.placed_at, h.released_by, h.released_at, h.release_reason,
       (SELECT count(*) FROM recordings r
         WHERE r.state = 'stored' AND NOT EXISTS (SELECT FROM deletions d WHERE d.recording_id = r.id) AND r.id IN (
               SELECT h.recording_id
               UNION ALL SELECT each.id FROM recordings each WHERE each.call_id = h.call_id
               UNION ALL SELECT v.recording_id FROM concerned_recordings v WHERE v.reference = h.reference
               UNION ALL SELECT each.id FROM calls c JOIN recordings each ON each.call_id = c.id
                         WHERE c.controller = h.controller AND c.digest = ANY (h.digests))) AS recordings
FROM holds h
LEFT JOIN recordings of_recording ON of_recording.id = h.recording_id
LEFT JOIN calls of_call ON of_call.id = h.call_id
LEFT JOIN rights_requests of_request ON of_request.reference = h.reference
WHERE ($1::bigint IS NULL OR h.id = $1) AND ($2 OR h.released_at IS NULL)
  AND ($4::text[] IS NULL
       OR coalesce(h.controller, of_recording.controller, of_call.controller, of_request.controller) = ANY ($4))
  AND ($5::bigint IS NULL OR h.id < $5)
ORDER BY h.id DESC LIMIT $3
