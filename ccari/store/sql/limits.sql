-- name: turn_to_expire
SELECT pg_try_advisory_lock(hashtextextended('calls expire', 0))

-- name: calls_past_limit
-- By $2 and by the database's clock: a node whose clock is years ahead must not erase the fleet's data. $4 and $5: the last call of the
-- previous batch; a row comparison without OR lets even a generic plan start the index scan there.
SELECT id, ended_at FROM calls
WHERE controller = $1 AND ended_at <= least($2, now() - make_interval(days => $3)) AND expired_at IS NULL
  AND (ended_at, id) > (coalesce($4::timestamptz, '-infinity'), $5::uuid)
ORDER BY ended_at, id LIMIT $6

-- name: calls_kept
-- What may keep each call of $1 beyond its limit, in addition to holds_on_calls. $2: rights that, pressed in a call, concern only that
-- call; $3 and $4: as $1 and $2 of stands. Each number's requests are looked up one by one (OFFSET 0), since PostgreSQL expects thousands
-- for each.
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
-- any open right that was pressed in the call itself: the call's journal tells how it was exercised
SELECT q.call_id, NULL, 'own', NULL, q.reference, q."right" FROM rights_requests q WHERE q.call_id = ANY ($1) AND q.closed_at IS NULL
UNION ALL
SELECT q.id, q.legal_basis, 'request', NULL, q.reference, q."right" FROM of_number q
WHERE q.call_id IS DISTINCT FROM q.id AND (q.call_id IS NULL OR q."right" <> ALL ($2))
  AND /* stands($3, $4) */
ORDER BY 1, 3, 4, 5

-- name: hold_unexpired
-- In the order of lock_journals.
SELECT id FROM calls WHERE id = ANY ($1) AND expired_at IS NULL ORDER BY id FOR UPDATE

-- name: expire_fields
DELETE FROM call_event_fields WHERE call_id = ANY ($1)

-- name: expire_calls
-- The number's heard notices are deleted with its last call; until then they only lose the reference to the expired call. A recording's
-- deletion_ref is cleared, since it leads to a person, or may name one. Lost recordings are discarded, so that they are not restored if
-- they turn up, unless the law requires them to be kept.
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
  AND (closed_at, reference) > (coalesce($4::timestamptz, '-infinity'), $5::text)
ORDER BY closed_at, reference LIMIT $6

-- name: requests_kept
-- What may keep each request of $1 beyond its limit. $2: whether its controller is told of each step; $3 and $4: as $1 and $2 of stands.
-- A recording from before the request was closed keeps it for as long as the recording is there, or is lost and may turn up. Each
-- request's recordings are looked up one by one (OFFSET 0): a join would first read those of all requests.
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
FROM asked a
CROSS JOIN LATERAL (SELECT recording_id FROM concerned_recordings v WHERE v.reference = a.reference OFFSET 0) AS of_request
JOIN recordings r ON r.id = of_request.recording_id
WHERE (r.state IN ('tagged', 'recording', 'finished', 'stored') OR r.state = 'failed' AND r.delete_at > now())
  AND (r.call_id = a.call_id OR coalesce(r.started_at, r.tagged_at) <= a.closed_at)
UNION
SELECT a.reference, 'legal', h.id, NULL, h.reason FROM asked a JOIN holds h ON h.controller = a.controller AND h.digests && a.digests
WHERE h.released_at IS NULL AND h.digests IS NOT NULL
UNION
-- a hold on any request of the person holds all of the person's data
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
WHERE /* stands($3, $4) */
UNION
SELECT a.reference, 'untold', NULL, NULL, '' FROM asked a JOIN forwards f ON f.reference = a.reference
WHERE $2 AND f.state IN ('waiting', 'given_up')
UNION
SELECT a.reference, 'erasure', NULL, NULL, '' FROM asked a JOIN erasures e ON e.reference = a.reference
WHERE e.finished_at IS NULL
ORDER BY 1, 2, 3, 4

-- name: lock_unexpired_requests
-- In the order of extend_requests. NO KEY, so that an erasure can still refer to them.
SELECT reference FROM rights_requests WHERE reference = ANY ($1) AND closed_at IS NOT NULL AND expired_at IS NULL
ORDER BY reference FOR NO KEY UPDATE

-- name: remember_erasures
-- A list must not bring back a consent given before an erasure. merge_consents finds the erasure by its request's digests. These expire,
-- so the time of the erasure is copied to the bar. In the order in which lists are merged, so that no two deadlock.
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
-- A reference to a call stays only if that call no longer identifies the person. Lost recordings that the request concerns, and that are
-- past their limit, are discarded: if they turned up, nobody would know any more that they must be cut where the right was exercised.
WITH lost AS (
    UPDATE recordings r SET state = 'discarded' FROM concerned_recordings v
    WHERE v.reference = ANY ($1) AND v.recording_id = r.id AND r.state = 'failed' AND r.delete_at <= now()
)
UPDATE rights_requests q SET
    digest = NULL, digests = '{}', key_version = NULL, expired_at = clock_timestamp(),
    call_id = (SELECT c.id FROM calls c WHERE c.id = q.call_id AND c.digest IS NULL)
WHERE q.reference = ANY ($1)

-- name: contacts_past_limit
-- Like calls_past_limit: contacts that no list has brought since, and whose number was not called since; blocked calls do not count.
-- OFFSET 0: each number is looked up in the index.
SELECT k.digest, k.source, coalesce(k.told_at, k.entered_at) AS told_at FROM contacts k
WHERE k.controller = $1 AND coalesce(k.told_at, k.entered_at) <= least($2, now() - make_interval(days => $3))
  AND (coalesce(k.told_at, k.entered_at), k.digest, k.source) > (coalesce($4::timestamptz, '-infinity'), $5::bytea, $6::text)
  AND NOT EXISTS (SELECT FROM calls c
                   WHERE c.controller = k.controller AND c.digest = k.digest AND c.outcome IS DISTINCT FROM 'blocked'
                     AND (c.ended_at IS NULL OR c.ended_at > least($2, now() - make_interval(days => $3))) OFFSET 0)
ORDER BY coalesce(k.told_at, k.entered_at), k.digest, k.source LIMIT $7

-- name: lock_contacts_past_limit
-- In the order in which lists are merged, so that the two never deadlock.
SELECT k.digest, k.source
FROM unnest($2::bytea[], $3::text[]) AS each (digest, source)
JOIN contacts k ON k.controller = $1 AND k.digest = each.digest AND k.source = each.source
WHERE coalesce(k.told_at, k.entered_at) <= now() - make_interval(days => $4)
  AND NOT EXISTS (SELECT FROM calls c
                   WHERE c.controller = k.controller AND c.digest = k.digest AND c.outcome IS DISTINCT FROM 'blocked'
                     AND (c.ended_at IS NULL OR c.ended_at > now() - make_interval(days => $4)) OFFSET 0)
ORDER BY k.digest, k.source FOR UPDATE OF k

-- name: contacts_kept
-- What may keep each contact of the digests $2 and sources $3. $4: whether a number without a contact may be called: if so, a contact
-- that says until when the number may be used must stay, since it bars calls; $5 and $6: as $1 and $2 of stands.
WITH asked AS MATERIALIZED (
    SELECT k.digest, k.source, k.legal_basis, k.valid_until
    FROM unnest($2::bytea[], $3::text[]) AS each (digest, source)
    JOIN contacts k ON k.controller = $1 AND k.digest = each.digest AND k.source = each.source
), of_number AS MATERIALIZED (
    SELECT a.digest, a.source, a.legal_basis, q.*
    FROM asked a CROSS JOIN LATERAL (
        SELECT reference, controller, digests, "right", state, closed_at FROM rights_requests
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
SELECT q.digest, q.source, q.legal_basis, 'legal', h.id, NULL, h.reason
FROM of_number q JOIN holds h ON h.reference = q.reference WHERE h.released_at IS NULL
UNION
SELECT q.digest, q.source, q.legal_basis, 'request', NULL, q.reference, q."right" FROM of_number q
WHERE /* stands($5, $6) */
ORDER BY 1, 2, 4, 5, 6

-- name: expire_contacts
DELETE FROM contacts k USING unnest($2::bytea[], $3::text[]) AS each (digest, source)
WHERE k.controller = $1 AND k.digest = each.digest AND k.source = each.source

-- name: consents_past_limit
-- Like calls_past_limit: consents withdrawn, expired, or replaced by a newer consent to the same purpose for the same channel, long enough
-- ago. A number's consents to the same purpose for the same channel come together, the oldest first: $4 to $7. All of it is in
-- consents_one_each, so none of the millions in force is looked up by itself.
SELECT id, digest, purpose, channel, given_at
FROM (SELECT id, digest, purpose, channel, given_at, withdrawn_at, valid_until,
             lead(given_at) OVER (PARTITION BY digest, purpose, channel ORDER BY given_at) AS followed_at
        FROM consents
       WHERE controller = $1 AND given_at <= least($2, now() - make_interval(days => $3))
         AND (digest, purpose, channel, given_at) > (coalesce($4::bytea, ''), $5::text, $6::text, $7::timestamptz)) AS c
WHERE least(withdrawn_at, valid_until, followed_at) <= least($2, now() - make_interval(days => $3))
ORDER BY digest, purpose, channel, given_at LIMIT $8

-- name: lock_consents_to_expire
-- No need to check them again: a withdrawal, an end or a newer consent is never taken back.
SELECT id FROM consents WHERE controller = $1 AND id = ANY ($2) ORDER BY digest, purpose, channel, given_at FOR UPDATE

-- name: consents_kept
-- What may keep each consent of $2 beyond its limit. $3: how long the law requires the proof, from when the consent was given and from
-- each use; $4 and $5: every campaign that the controller has had, with the purpose of its consents; $6 and $7: as $1 and $2 of stands;
-- $8 and $9: as $3, for consents to the purposes of campaigns that call abroad, some of which may be gone.
WITH asked AS MATERIALIZED (
    SELECT * FROM consents WHERE controller = $1 AND id = ANY ($2)
), of_number AS MATERIALIZED (
    SELECT a.id, a.given_at, q.*
    FROM asked a CROSS JOIN LATERAL (
        SELECT reference, controller, digests, "right", state, closed_at FROM rights_requests
        WHERE digests @> ARRAY[a.digest] OFFSET 0
    ) AS q
    WHERE q.controller = $1
)
SELECT a.id, a.given_at, 'used' AS kind, NULL::bigint AS hold, NULL AS reference, '' AS reason, NULL::bigint AS older FROM asked a
WHERE EXISTS (SELECT FROM consent_uses u JOIN calls c ON c.id = u.call_id WHERE u.consent_id = a.id AND c.digest IS NOT NULL)
UNION
SELECT a.id, a.given_at, 'proof', NULL, NULL, '', NULL FROM asked a
WHERE greatest(a.given_at, (SELECT max(used_at) FROM consent_uses u WHERE u.consent_id = a.id))
    + greatest($3::interval, (SELECT max(kept) FROM unnest($8::text[], $9::interval[]) AS law (purpose, kept) WHERE law.purpose = a.purpose)) > now()
UNION
-- a withdrawal, unless a bar stands that makes settle_consents end the consent, or merge_consents keep it out, if a list brings it again
SELECT a.id, a.given_at, 'withdrawal', NULL, NULL, '', NULL FROM asked a
WHERE a.withdrawn_at IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM suppressions s
       WHERE s.controller = $1 AND s.digest = a.digest
         AND CASE s.reason
             WHEN 'withdraw_consent' THEN
                 s.entered_at >= a.given_at
                 AND (s.campaign = '' OR EXISTS (SELECT FROM unnest($4::text[], $5::text[]) AS asks (campaign, purpose)
                                                  WHERE asks.campaign = s.campaign AND asks.purpose = a.purpose))
             WHEN 'erasure' THEN
                 s.campaign = '' AND greatest(s.entered_at, s.erased_at) >= a.given_at
                 AND (s.expires_at IS NULL OR s.expires_at > now())
             ELSE false END)
UNION
SELECT a.id, a.given_at, 'older', NULL, NULL, '', o.id
FROM asked a JOIN consents o ON o.controller = $1 AND o.digest = a.digest AND o.purpose = a.purpose AND o.channel = a.channel
WHERE o.given_at < a.given_at AND o.withdrawn_at IS NULL AND (o.valid_until IS NULL OR o.valid_until > now())
UNION
-- Whether consents under two secrets belong to one person is unknown until a list brings both under the newest. A consent entered under
-- an older secret after the newer one was made may be the person's older consent, which this one has ended.
SELECT a.id, a.given_at, 'secret', NULL, NULL, '', NULL FROM asked a
WHERE EXISTS (SELECT FROM key_checks older
              JOIN key_checks newer ON newer.kind = older.kind AND newer.holder = older.holder AND newer.key_version > older.key_version
              WHERE older.kind = 'controller' AND older.holder = $1
                AND EXISTS (SELECT FROM consents c
                             WHERE c.controller = $1 AND c.key_version = older.key_version
                               AND c.entered_at >= newer.known_at - interval '10 minutes'))
UNION
SELECT a.id, a.given_at, 'legal', h.id, NULL, h.reason, NULL FROM asked a JOIN holds h ON h.digests @> ARRAY[a.digest]
WHERE h.released_at IS NULL AND h.controller = $1
UNION
SELECT q.id, q.given_at, 'legal', h.id, NULL, h.reason, NULL
FROM of_number q JOIN holds h ON h.reference = q.reference WHERE h.released_at IS NULL
UNION
SELECT q.id, q.given_at, 'request', NULL, q.reference, q."right", NULL FROM of_number q
WHERE /* stands($6, $7) */

-- name: accesses_past_limit
-- Like calls_past_limit. Up to the beginning of a day, so that the record states its new limit once a day and not each hour.
SELECT seq, at FROM accesses
WHERE fields IS NOT NULL AND at < date_trunc('day', least($1, now() - make_interval(hours => 24 * $2)), 'UTC')
  AND (at, seq) > (coalesce($3::timestamptz, '-infinity'), $4::bigint)
ORDER BY at, seq LIMIT $5

-- name: accesses_expire_before
SELECT date_trunc('day', now() - make_interval(hours => 24 * $1), 'UTC')

-- name: lock_unexpired_accesses
SELECT seq FROM accesses WHERE seq = ANY ($1) AND fields IS NOT NULL ORDER BY seq FOR UPDATE

-- name: accesses_kept
-- What may keep each entry of $1 beyond its limit: anything that holds data of the person who was looked at, or the call, recording or
-- request; or, if a secret of its controller ($4) is lost, the possibility that a request does. $2 and $3: as $1 and $2 of stands. Ids
-- and digests that were tampered with match nobody.
WITH asked AS MATERIALIZED (
    SELECT seq, fields->>'controller' AS controller,
           CASE WHEN fields->>'digest' ~ '^[0-9a-f]{64}$' THEN decode(fields->>'digest', 'hex') END AS digest, each.id,
           CASE WHEN each.id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN each.id::uuid END AS uuid
    FROM accesses LEFT JOIN LATERAL (
        VALUES (fields->>'call'), (fields->>'recording'), (fields->>'request'), (fields->>'of')
    ) AS each (id) ON each.id IS NOT NULL
    WHERE seq = ANY ($1)
), recorded AS MATERIALIZED (
    SELECT a.seq, r.id, r.call_id FROM asked a JOIN recordings r ON r.id = a.uuid
), called AS MATERIALIZED (
    SELECT e.seq, c.id, c.controller, c.digest
    FROM (SELECT seq, uuid AS id FROM asked UNION SELECT seq, call_id FROM recorded) AS e JOIN calls c ON c.id = e.id
), requested AS MATERIALIZED (
    SELECT a.seq, q.reference, q.controller, q.digests FROM asked a JOIN rights_requests q ON q.reference = a.id
), persons AS MATERIALIZED (
    SELECT seq, controller, digest FROM asked WHERE digest IS NOT NULL
    UNION SELECT seq, controller, digest FROM called WHERE digest IS NOT NULL
    UNION SELECT seq, controller, unnest(digests) FROM requested
), of_number AS MATERIALIZED (
    SELECT p.seq, q.*
    FROM persons p CROSS JOIN LATERAL (
        SELECT reference, controller, digests, "right", state, closed_at FROM rights_requests
        WHERE digests @> ARRAY[p.digest] OFFSET 0
    ) AS q
    WHERE q.controller = p.controller
)
SELECT p.seq AS id, 'legal' AS kind, h.id AS hold, NULL AS reference, h.reason
FROM persons p JOIN holds h ON h.controller = p.controller AND h.digests @> ARRAY[p.digest]
WHERE h.released_at IS NULL AND h.digests IS NOT NULL
UNION
SELECT c.seq, 'legal', h.id, NULL, h.reason FROM called c JOIN holds h ON h.call_id = c.id WHERE h.released_at IS NULL
UNION
SELECT r.seq, 'legal', h.id, NULL, h.reason
FROM (SELECT seq, id FROM recorded UNION SELECT c.seq, r.id FROM called c JOIN recordings r ON r.call_id = c.id) AS r
JOIN holds h ON h.recording_id = r.id WHERE h.released_at IS NULL
UNION
SELECT q.seq, 'legal', h.id, NULL, h.reason
FROM (SELECT seq, reference FROM of_number UNION SELECT seq, reference FROM requested) AS q JOIN holds h ON h.reference = q.reference
WHERE h.released_at IS NULL
UNION
SELECT q.seq, 'request', NULL, q.reference, q."right" FROM of_number q
WHERE /* stands($2, $3) */
UNION
SELECT p.seq, 'unreached', NULL, NULL, p.controller FROM persons p WHERE p.controller = ANY ($4)
ORDER BY 1, 2, 3, 4

-- name: expire_accesses
UPDATE accesses SET fields = NULL, salt = NULL WHERE seq = ANY ($1)
