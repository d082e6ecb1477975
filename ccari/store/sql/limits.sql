-- name: turn_to_expire
SELECT pg_try_advisory_lock(hashtextextended('calls expire', 0))

-- name: calls_past_limit
-- By the database's clock, too: a node that runs years ahead must not erase what the fleet has. After the one of $4 and $5.
SELECT id, ended_at FROM calls
WHERE controller = $1 AND ended_at <= least($2, now() - make_interval(days => $3)) AND expired_at IS NULL
  AND ($4::timestamptz IS NULL OR (ended_at, id) > ($4, $5::uuid))
ORDER BY ended_at, id LIMIT $6

-- name: calls_kept
-- What may keep each call of $1 beyond its time, but for holds_on_calls. $2: rights that, pressed in a call, are about that call
-- alone; $3 and $4: a right whose fulfilled request holds on while its bar stands. Each number's requests are looked for by
-- themselves: PostgreSQL thinks that there are thousands of each.
WITH asked AS MATERIALIZED (
    SELECT id, controller, digest, legal_basis FROM calls WHERE id = ANY ($1)
), of_number AS MATERIALIZED (
    SELECT a.id, a.legal_basis, q.*
    FROM asked a CROSS JOIN LATERAL (
        SELECT reference, controller, digests, "right", call_id, state, closed_at FROM rights_requests
        WHERE digests @> ARRAY[a.digest] OFFSET 0
    ) AS q
    WHERE q.controller = a.controller
)
SELECT r.call_id AS id, NULL AS legal_basis, 'recording' AS kind, NULL::bigint AS hold, r.id::text AS reference, '' AS reason
FROM recordings r WHERE r.call_id = ANY ($1) AND r.state IN ('tagged', 'recording', 'finished', 'stored')
UNION ALL
SELECT a.id, NULL, 'legal', h.id, NULL, h.reason FROM asked a JOIN holds h ON h.controller = a.controller AND h.digests @> ARRAY[a.digest]
WHERE h.released_at IS NULL AND h.digests IS NOT NULL
UNION ALL
SELECT q.id, NULL, 'legal', h.id, h.reference, h.reason
FROM (SELECT id, reference FROM of_number UNION SELECT call_id, reference FROM rights_requests WHERE call_id = ANY ($1)) AS q
JOIN holds h ON h.reference = q.reference WHERE h.released_at IS NULL
UNION ALL
-- what was pressed in it, whatever the right: its journal tells how
SELECT q.call_id, NULL, 'own', NULL, q.reference, q."right" FROM rights_requests q WHERE q.call_id = ANY ($1) AND q.closed_at IS NULL
UNION ALL
SELECT q.id, q.legal_basis, 'request', NULL, q.reference, q."right" FROM of_number q
WHERE q.call_id IS DISTINCT FROM q.id AND (q.call_id IS NULL OR q."right" <> ALL ($2))
  AND (q.closed_at IS NULL
       OR q.state = 'fulfilled'
          AND EXISTS (SELECT FROM unnest($3::text[], $4::text[]) AS each ("right", reason)
                      JOIN suppressions s ON s.reason = each.reason
                       WHERE each."right" = q."right" AND s.controller = q.controller AND s.digest = ANY (q.digests)
                         AND (s.expires_at IS NULL OR s.expires_at > now())))
ORDER BY 1, 3, 4, 5

-- name: hold_unexpired
-- In one order, as whoever else adds to many journals.
SELECT id FROM calls WHERE id = ANY ($1) AND expired_at IS NULL ORDER BY id FOR UPDATE

-- name: expire_fields
DELETE FROM call_event_fields WHERE call_id = ANY ($1)

-- name: expire_calls
-- What the number has heard goes with its last call, and is of none of those that go. For whom or why a recording was deleted
-- leads to a person, or may name one. What was taken for lost is not to turn up again, but where the law demands that it be kept.
WITH whose AS MATERIALIZED (
    SELECT DISTINCT controller, digest FROM calls WHERE id = ANY ($1) AND digest IS NOT NULL
), heard AS (
    DELETE FROM heard_notices h USING whose w
    WHERE h.controller = w.controller AND h.digest = w.digest
      AND NOT EXISTS (SELECT FROM calls c WHERE c.controller = w.controller AND c.digest = w.digest AND c.id <> ALL ($1))
), of_none AS (
    UPDATE heard_notices h SET call_id = NULL FROM whose w
    WHERE h.controller = w.controller AND h.digest = w.digest AND h.call_id = ANY ($1)
      AND EXISTS (SELECT FROM calls c WHERE c.controller = w.controller AND c.digest = w.digest AND c.id <> ALL ($1))
), deleted AS (
    UPDATE recordings SET deletion_ref = '' WHERE call_id = ANY ($1) AND deletion_ref <> ''
), lost AS (
    UPDATE recordings SET state = 'discarded'
    WHERE call_id = ANY ($1) AND state = 'failed' AND (legal_basis <> 'legal_obligation' OR delete_at <= now())
)
UPDATE calls SET digest = NULL, key_version = NULL, number_masked = '—', agent = '—', expired_at = clock_timestamp()
WHERE id = ANY ($1)
