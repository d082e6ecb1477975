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

-- name: requests_past_limit
-- As calls_past_limit.
SELECT reference, closed_at FROM rights_requests
WHERE controller = $1 AND closed_at <= least($2, now() - make_interval(days => $3)) AND expired_at IS NULL
  AND ($4::timestamptz IS NULL OR (closed_at, reference) > ($4, $5::text))
ORDER BY closed_at, reference LIMIT $6

-- name: requests_kept
-- What may keep each request of $1 beyond its time. $2: whether its controller is told of each step; $3 and $4: a right whose
-- fulfilled request holds on while its bar stands. What it says of recordings counts as long as one is there, or may turn up,
-- that was made before it was closed.
WITH asked AS MATERIALIZED (
    SELECT reference, controller, digests, call_id, closed_at FROM rights_requests WHERE reference = ANY ($1)
), of_number AS MATERIALIZED (
    SELECT a.reference AS id, q.*
    FROM asked a CROSS JOIN LATERAL (
        SELECT reference, controller, digests, "right", state, closed_at FROM rights_requests
        WHERE digests && a.digests OFFSET 0
    ) AS q
    WHERE q.controller = a.controller
)
SELECT a.reference AS id, CASE r.state WHEN 'failed' THEN 'lost' ELSE 'recording' END AS kind, NULL::bigint AS hold,
       NULL AS reference, '' AS reason
FROM asked a JOIN concerned_recordings v ON v.reference = a.reference JOIN recordings r ON r.id = v.recording_id
WHERE (r.state IN ('tagged', 'recording', 'finished', 'stored') OR r.state = 'failed' AND r.delete_at > now())
  AND (r.call_id = a.call_id OR coalesce(r.started_at, r.tagged_at) <= a.closed_at)
UNION
SELECT a.reference, 'legal', h.id, NULL, h.reason FROM asked a JOIN holds h ON h.controller = a.controller AND h.digests && a.digests
WHERE h.released_at IS NULL AND h.digests IS NOT NULL
UNION
-- on any request of the person, as it holds all that is kept of them
SELECT a.id, 'legal', h.id, NULL, h.reason
FROM (SELECT id, reference FROM of_number UNION SELECT reference, reference FROM asked) AS a JOIN holds h ON h.reference = a.reference
WHERE h.released_at IS NULL
UNION
SELECT a.reference, 'legal', h.id, NULL, h.reason FROM asked a JOIN holds h ON h.call_id = a.call_id WHERE h.released_at IS NULL
UNION
SELECT a.reference, 'legal', h.id, NULL, h.reason
FROM asked a JOIN recordings r ON r.call_id = a.call_id JOIN holds h ON h.recording_id = r.id WHERE h.released_at IS NULL
UNION
SELECT q.id, 'request', NULL, q.reference, q."right" FROM of_number q
WHERE q.closed_at IS NULL
   OR q.state = 'fulfilled'
      AND EXISTS (SELECT FROM unnest($3::text[], $4::text[]) AS each ("right", reason)
                  JOIN suppressions s ON s.reason = each.reason
                   WHERE each."right" = q."right" AND s.controller = q.controller AND s.digest = ANY (q.digests)
                     AND (s.expires_at IS NULL OR s.expires_at > now()))
UNION
SELECT a.reference, 'untold', NULL, NULL, '' FROM asked a JOIN forwards f ON f.reference = a.reference
WHERE $2 AND f.state IN ('waiting', 'given_up')
UNION
SELECT a.reference, 'erasure', NULL, NULL, '' FROM asked a JOIN erasures e ON e.reference = a.reference
WHERE e.finished_at IS NULL
ORDER BY 1, 2, 3, 4

-- name: lock_unexpired_requests
-- In one order, as whoever else changes many; and so that an erasure can still name them.
SELECT reference FROM rights_requests WHERE reference = ANY ($1) AND closed_at IS NOT NULL AND expired_at IS NULL
ORDER BY reference FOR NO KEY UPDATE

-- name: remember_erasures
-- A list of consents brings nothing back that was given before an erasure: merge_consents finds the erasure by the digests of
-- its request, and without those at the bar. In the order in which a list is merged, so that the two never wait for one another.
WITH erased AS (
    SELECT s.id, e.begun_at
    FROM rights_requests q JOIN erasures e USING (reference)
    JOIN suppressions s ON s.controller = q.controller AND s.digest = ANY (q.digests)
    WHERE q.reference = ANY ($1) AND s.reason = 'erasure'
), held AS MATERIALIZED (
    SELECT id FROM suppressions WHERE id IN (SELECT id FROM erased) ORDER BY digest, campaign, reason FOR UPDATE
)
UPDATE suppressions s SET erased_at = greatest(s.erased_at, (SELECT max(begun_at) FROM erased WHERE erased.id = s.id))
FROM held WHERE held.id = s.id

-- name: requests_to_go_on_with
SELECT reference, state, level, due FROM rights_requests WHERE reference = ANY ($1) ORDER BY reference

-- name: expire_requests
-- It is in no call any more that tells whose it was. What was taken for lost of its recordings, and is past their time, is not to
-- turn up again, for nobody would know where it is to end.
WITH lost AS (
    UPDATE recordings r SET state = 'discarded' FROM concerned_recordings v
    WHERE v.reference = ANY ($1) AND v.recording_id = r.id AND r.state = 'failed' AND r.delete_at <= now()
)
UPDATE rights_requests q SET
    digest = NULL, digests = '{}', key_version = NULL, expired_at = clock_timestamp(),
    call_id = (SELECT c.id FROM calls c WHERE c.id = q.call_id AND c.digest IS NULL)
WHERE q.reference = ANY ($1)

-- name: contacts_past_limit
-- As calls_past_limit: of those that no list had since, the ones whose number was not called since either; a call that was blocked
-- is none. OFFSET 0: each number is looked up in the index.
SELECT k.digest, k.source, coalesce(k.told_at, k.entered_at) AS told_at FROM contacts k
WHERE k.controller = $1 AND coalesce(k.told_at, k.entered_at) <= least($2, now() - make_interval(days => $3))
  AND ($4::timestamptz IS NULL OR (coalesce(k.told_at, k.entered_at), k.digest, k.source) > ($4, $5::bytea, $6::text))
  AND NOT EXISTS (SELECT FROM calls c
                   WHERE c.controller = k.controller AND c.digest = k.digest AND c.outcome IS DISTINCT FROM 'blocked'
                     AND (c.ended_at IS NULL OR c.ended_at > least($2, now() - make_interval(days => $3))) OFFSET 0)
ORDER BY coalesce(k.told_at, k.entered_at), k.digest, k.source LIMIT $7

-- name: lock_contacts_past_limit
-- In the order in which a list is merged, so that the two never wait for one another.
SELECT k.digest, k.source
FROM unnest($2::bytea[], $3::text[]) AS each (digest, source)
JOIN contacts k ON k.controller = $1 AND k.digest = each.digest AND k.source = each.source
WHERE coalesce(k.told_at, k.entered_at) <= now() - make_interval(days => $4)
  AND NOT EXISTS (SELECT FROM calls c
                   WHERE c.controller = k.controller AND c.digest = k.digest AND c.outcome IS DISTINCT FROM 'blocked'
                     AND (c.ended_at IS NULL OR c.ended_at > now() - make_interval(days => $4)) OFFSET 0)
ORDER BY k.digest, k.source FOR UPDATE OF k

-- name: contacts_kept
-- What may keep each contact of the digests $2 and sources $3. $4: whether a number without a contact may be called, so that one
-- whose contact says until when it may be used keeps that; $5 and $6 as in requests_kept.
WITH asked AS MATERIALIZED (
    SELECT k.digest, k.source, k.legal_basis, k.valid_until
    FROM unnest($2::bytea[], $3::text[]) AS each (digest, source)
    JOIN contacts k ON k.controller = $1 AND k.digest = each.digest AND k.source = each.source
), of_number AS MATERIALIZED (
    SELECT a.digest AS of, q.*
    FROM (SELECT DISTINCT digest FROM asked) AS a CROSS JOIN LATERAL (
        SELECT reference, controller, digests, "right", call_id, state, closed_at FROM rights_requests
        WHERE digests @> ARRAY[a.digest] OFFSET 0
    ) AS q
    WHERE q.controller = $1
)
SELECT a.digest, a.source, a.legal_basis, 'end' AS kind, NULL::bigint AS hold, NULL AS reference, '' AS reason FROM asked a
WHERE $4 AND a.valid_until IS NOT NULL
UNION
SELECT a.digest, a.source, a.legal_basis, 'legal', h.id, NULL, h.reason
FROM asked a JOIN holds h ON h.digests @> ARRAY[a.digest]
WHERE h.controller = $1 AND h.released_at IS NULL AND h.digests IS NOT NULL
UNION
SELECT a.digest, a.source, a.legal_basis, 'legal', h.id, NULL, h.reason
FROM asked a JOIN of_number q ON q.of = a.digest JOIN holds h ON h.reference = q.reference WHERE h.released_at IS NULL
UNION
SELECT a.digest, a.source, a.legal_basis, 'request', NULL, q.reference, q."right" FROM asked a JOIN of_number q ON q.of = a.digest
WHERE q.closed_at IS NULL
   OR q.state = 'fulfilled'
      AND EXISTS (SELECT FROM unnest($5::text[], $6::text[]) AS each ("right", reason)
                  JOIN suppressions s ON s.reason = each.reason
                   WHERE each."right" = q."right" AND s.controller = q.controller AND s.digest = ANY (q.digests)
                     AND (s.expires_at IS NULL OR s.expires_at > now()))
ORDER BY 1, 2, 4, 5, 6

-- name: expire_contacts
DELETE FROM contacts k USING unnest($2::bytea[], $3::text[]) AS each (digest, source)
WHERE k.controller = $1 AND k.digest = each.digest AND k.source = each.source
