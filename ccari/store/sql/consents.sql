-- name: lock_consents
-- One list of a controller's consents at a time, for the transaction that enters a slice of it …
SELECT pg_advisory_xact_lock(hashtextextended('consents ' || $1::text, 0))

-- name: share_consents
-- … and any number of withdrawals and erasures at a time, but none during a slice: neither would see the other's rows, and a consent from
-- the list would stay in force despite the withdrawal.
SELECT pg_advisory_xact_lock_shared(hashtextextended('consents ' || $1::text, 0))

-- name: merge_consents
-- A known consent stays as it is, except that the list may add a withdrawal or end, or an earlier one. An unknown consent that is no
-- newer than an erasure whose bar stands was erased: it stays out. The bar's entered_at is the time of the first erasure, so the last one
-- is looked up through its request; once the request has expired, the bar's erased_at has that time.
WITH lines AS MATERIALIZED (
    SELECT told.*,
           EXISTS (SELECT FROM unnest(told.digests) AS under (digest) CROSS JOIN LATERAL (
                       SELECT FROM suppressions s
                       WHERE s.controller = $3 AND s.digest = under.digest AND s.campaign = '' AND s.reason = 'erasure'
                         AND (s.expires_at IS NULL OR s.expires_at > now())
                         AND (greatest(s.entered_at, s.erased_at) >= told.given_at
                              OR EXISTS (SELECT FROM rights_requests q JOIN erasures e USING (reference)
                                          WHERE q.controller = $3 AND q.digests && told.digests
                                            AND e.begun_at >= told.given_at OFFSET 0)) OFFSET 0) AS bar)
           AND NOT EXISTS (SELECT FROM consents known
                            WHERE known.controller = $3
                              AND (known.digest, known.purpose, known.channel, known.given_at)
                                  = (told.digest, told.purpose, told.channel, told.given_at) OFFSET 0) AS erased
    FROM incoming told WHERE told.digest BETWEEN $1 AND $2
), told AS (
    SELECT DISTINCT ON (digest, purpose, channel, given_at) digest, key_version, purpose, channel, given_at, proof,
           min(valid_until) OVER same AS valid_until, min(withdrawn_at) OVER same AS withdrawn_at
    FROM lines WHERE NOT erased WINDOW same AS (PARTITION BY digest, purpose, channel, given_at)
    ORDER BY digest, purpose, channel, given_at, line
), entered AS (
    INSERT INTO consents AS known (controller, digest, key_version, purpose, channel, given_at, withdrawn_at,
                                   valid_until, proof, origin)
    SELECT $3, digest, key_version, purpose, channel, given_at, withdrawn_at, valid_until, proof, $4
    FROM told ORDER BY digest, purpose, channel, given_at
    ON CONFLICT (controller, digest, purpose, channel, given_at) DO UPDATE SET
        withdrawn_at = least(known.withdrawn_at, excluded.withdrawn_at),
        valid_until = least(known.valid_until, excluded.valid_until)
    WHERE excluded.withdrawn_at < coalesce(known.withdrawn_at, 'infinity')
       OR excluded.valid_until < coalesce(known.valid_until, 'infinity')
    RETURNING 1
)
SELECT (SELECT count(*) FROM entered) AS entered, (SELECT count(*) FROM lines WHERE erased) AS erased

-- name: settle_consents
-- A withdrawal ends the consents given before it, in whichever order the two become known. It is known from another consent to the same
-- purpose for the same channel, or from a bar that a key press or a person entered, on all calls or on a campaign ($4) that asks for the
-- purpose ($5), or did; also from one that was lifted since, as that gave no consent. A date that no bar has is not replaced by an earlier
-- one: that of a later withdrawal would be forgotten, and a consent given between the two would stand. OFFSET 0 makes the planner look up
-- each number in the index: for a controller not yet in the statistics, it would otherwise read all rows for each number. PostgreSQL before
-- 17 would do the same when comparing with an array, hence unnest.
UPDATE consents SET withdrawn_at = ended.at
FROM (
    SELECT given.id, min(end_.at) AS at
    FROM (SELECT DISTINCT digest, digests FROM incoming WHERE digest BETWEEN $1 AND $2) AS told
    CROSS JOIN unnest(told.digests) AS each (digest)
    CROSS JOIN LATERAL (
        SELECT id, purpose, channel, given_at, withdrawn_at FROM consents
        WHERE controller = $3 AND digest = each.digest OFFSET 0
    ) AS given
    CROSS JOIN LATERAL (
        SELECT known.* FROM unnest(told.digests) AS under (digest) CROSS JOIN LATERAL (
            (SELECT other.withdrawn_at AS at, false AS by_bar FROM consents other
              WHERE other.controller = $3 AND other.digest = under.digest AND other.purpose = given.purpose
                AND other.channel = given.channel AND other.withdrawn_at > given.given_at OFFSET 0)
            UNION ALL
            (SELECT s.entered_at, true FROM suppressions s
              WHERE s.controller = $3 AND s.digest = under.digest AND s.reason = 'withdraw_consent'
                AND s.entered_at >= given.given_at
                AND (s.campaign = '' OR EXISTS (SELECT FROM unnest($4::text[], $5::text[]) AS asks (campaign, purpose)
                                                 WHERE asks.campaign = s.campaign AND asks.purpose = given.purpose))
              OFFSET 0)
            UNION ALL
            (SELECT s.entered_at, true FROM removed_suppressions s
              WHERE s.controller = $3 AND s.digest = under.digest AND s.reason = 'withdraw_consent'
                AND s.entered_at >= given.given_at
                AND (s.campaign = '' OR EXISTS (SELECT FROM unnest($4::text[], $5::text[]) AS asks (campaign, purpose)
                                                 WHERE asks.campaign = s.campaign AND asks.purpose = given.purpose))
              OFFSET 0)
        ) AS known
    ) AS end_
    GROUP BY given.id, given.withdrawn_at
    HAVING given.withdrawn_at IS NULL
        OR (min(end_.at) < given.withdrawn_at AND max(end_.at) FILTER (WHERE end_.by_bar) >= given.withdrawn_at)
) AS ended
WHERE consents.id = ended.id

-- name: rekey_consents
-- A consent kept under an older secret moves to the newest secret when a list brings its number again.
UPDATE consents SET digest = older.newest, key_version = older.newest_version
FROM (
    SELECT known.id, told.digest AS newest, told.key_version AS newest_version
    FROM (SELECT DISTINCT digest, key_version, digests FROM incoming WHERE digest BETWEEN $1 AND $2) AS told
    CROSS JOIN unnest(told.digests) AS each (digest)
    CROSS JOIN LATERAL (
        SELECT id, key_version, purpose, channel, given_at FROM consents
        WHERE controller = $3 AND digest = each.digest OFFSET 0
    ) AS known
    WHERE each.digest <> told.digest
      AND NOT EXISTS (SELECT FROM unnest(told.digests) AS under (digest) CROSS JOIN LATERAL (
                          SELECT FROM consents other
                          WHERE other.controller = $3 AND other.digest = under.digest
                            AND (other.purpose, other.channel, other.given_at)
                                = (known.purpose, known.channel, known.given_at)
                            AND (other.digest = told.digest OR other.key_version > known.key_version) OFFSET 0) AS newer)
) AS older
WHERE consents.id = older.id

-- name: withdraw_consents
-- A consent given after the withdrawal was received ($4; NULL is now) stands.
UPDATE consents SET withdrawn_at = coalesce($4::timestamptz, now())
WHERE controller = $1 AND digest = ANY ($2) AND ($3::text[] IS NULL OR purpose = ANY ($3))
  AND withdrawn_at IS NULL AND given_at <= coalesce($4::timestamptz, now())

-- name: consent_purposes
SELECT DISTINCT purpose FROM consents WHERE controller = $1 AND digest = ANY ($2)

-- name: consents_of
SELECT id, purpose, channel, given_at, withdrawn_at, valid_until, proof, origin, entered_at FROM consents
WHERE controller = $1 AND digest = ANY ($2) ORDER BY given_at, id

-- name: uses_of_consents
SELECT consent_id, call_id, used_at FROM consent_uses WHERE consent_id = ANY ($1) ORDER BY used_at, call_id

-- name: page_of_consents
SELECT id, controller, encode(digest, 'hex') AS digest, key_version, purpose, channel, given_at, withdrawn_at, valid_until,
       proof, origin, entered_at
FROM consents
WHERE ($1::text[] IS NULL OR controller = ANY ($1)) AND ($2::text IS NULL OR purpose = $2)
  AND ($3::text IS NULL OR channel = $3) AND ($5::bigint IS NULL OR id < $5)
ORDER BY id DESC LIMIT $4
