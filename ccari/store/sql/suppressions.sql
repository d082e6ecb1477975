-- name: bar_entered_again
-- An existing bar is only ever extended. It starts anew, with the new origin and proof, if it had expired, or if consent is withdrawn
-- again.
(entered_at, origin, proof, call_id) = (
    SELECT entered, from_, proven, in_call
    FROM (VALUES (true, excluded.entered_at, excluded.origin, excluded.proof, excluded.call_id),
                 (false, known.entered_at, known.origin, known.proof, known.call_id))
         AS either (renewed, entered, from_, proven, in_call)
    WHERE renewed = (coalesce(known.expires_at <= now(), false)
                     OR (known.reason = 'withdraw_consent' AND known.entered_at < excluded.entered_at))),
expires_at = nullif(greatest(coalesce(known.expires_at, 'infinity'), coalesce(excluded.expires_at, 'infinity')),
                    'infinity'),
-- read from the row as locked here: of two transactions that renew an expired bar, the second finds it standing
renewed_after = CASE WHEN known.expires_at <= now() THEN known.expires_at END

-- name: add_suppression
-- $10: when it was entered; NULL: now. A bar that had expired counts as added.
INSERT INTO suppressions AS known (controller, digest, key_version, campaign, reason, origin, proof, call_id, expires_at,
                                   entered_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce($10::timestamptz, now()))
ON CONFLICT (controller, digest, campaign, reason) DO UPDATE SET /* bar_entered_again */
RETURNING xmax = 0 OR renewed_after IS NOT NULL AS added

-- name: older_places_of_withdrawal
-- The older digests ($2) of a number under which there are calls recorded on consent. A withdrawal is entered under these too, since a
-- sweep finds the recordings that it ends by the call's digest.
SELECT DISTINCT c.digest, c.key_version FROM calls c JOIN recordings r ON r.call_id = c.id
WHERE c.controller = $1 AND c.digest = ANY ($2) AND r.legal_basis = 'consent' AND r.state NOT IN ('discarded', 'deleted')

-- name: older_places_of_listed
-- Like older_places_of_withdrawal, for rows of a list that have ``older`` digests: each row becomes one row per digest.
WITH listed AS (
    DELETE FROM incoming WHERE older IS NOT NULL RETURNING *
), further AS (
    INSERT INTO incoming (digest, key_version, campaign, reason, origin, proof, entered_at, expires_at)
    SELECT DISTINCT place.digest, place.key_version, l.campaign, l.reason, l.origin, l.proof, l.entered_at, l.expires_at
    FROM listed l CROSS JOIN LATERAL (
        SELECT found.* FROM unnest(l.older) AS under (digest) CROSS JOIN LATERAL (
            SELECT c.digest, c.key_version FROM calls c JOIN recordings r ON r.call_id = c.id
            WHERE c.controller = $1 AND c.digest = under.digest AND r.legal_basis = 'consent'
              AND r.state NOT IN ('discarded', 'deleted') OFFSET 0
        ) AS found
    ) AS place
    RETURNING 1
)
SELECT count(*) FROM further

-- name: withdrawals_are_listed
SELECT EXISTS (SELECT FROM incoming WHERE reason = 'withdraw_consent')

-- name: merge_suppressions
-- Like add_suppression, for a slice of a list. Unchanged bars are not rewritten.
WITH entered AS (
    INSERT INTO suppressions AS known (controller, digest, key_version, campaign, reason, origin, proof, entered_at,
                                       expires_at)
    SELECT $3, digest, max(key_version), campaign, reason,
           CASE WHEN reason = 'withdraw_consent' THEN (array_agg(origin ORDER BY entered_at DESC, origin))[1]
                ELSE min(origin) END,
           CASE WHEN reason = 'withdraw_consent' THEN (array_agg(proof ORDER BY entered_at DESC, proof DESC))[1]
                ELSE coalesce(min(nullif(proof, '')), '') END,
           CASE WHEN reason = 'withdraw_consent' THEN max(entered_at) ELSE min(entered_at) END,
           nullif(max(coalesce(expires_at, 'infinity')), 'infinity')
    FROM incoming WHERE digest BETWEEN $1 AND $2
    GROUP BY digest, campaign, reason ORDER BY digest, campaign, reason
    ON CONFLICT (controller, digest, campaign, reason) DO UPDATE SET /* bar_entered_again */
    WHERE known.expires_at < coalesce(excluded.expires_at, 'infinity')
       OR (known.reason = 'withdraw_consent' AND known.entered_at < excluded.entered_at)
    RETURNING xmax = 0 OR renewed_after IS NOT NULL AS added
)
SELECT count(*) FILTER (WHERE added) FROM entered

-- name: remove_suppressions
-- $7: the reasons whose bars are lifted only if the reason is named.
WITH found AS (
    SELECT id FROM suppressions
    WHERE controller = $1 AND digest = ANY ($2)
      AND CASE WHEN $3::text IS NULL THEN reason <> ALL ($7) ELSE reason = $3 END AND ($4::text IS NULL OR campaign = $4)
    -- in the order in which lists are merged, so that the two never deadlock
    ORDER BY digest, campaign, reason FOR UPDATE
), lifted AS (
    DELETE FROM suppressions WHERE id IN (SELECT id FROM found) RETURNING *
)
INSERT INTO removed_suppressions (controller, digest, key_version, campaign, reason, origin, proof, call_id, entered_at,
                                  expires_at, removed_by, why)
SELECT controller, digest, key_version, campaign, reason, origin, proof, call_id, entered_at, expires_at, $5, $6
FROM lifted
RETURNING id, campaign, reason, origin, proof, entered_at, expires_at

-- name: check_suppression
-- A bar kept under several secrets is returned once.
SELECT DISTINCT campaign, reason, origin, proof, entered_at, expires_at FROM suppressions
WHERE controller = $1 AND digest = ANY ($2) ORDER BY entered_at, campaign, reason

-- name: lifted_suppressions
-- A bar that was kept under several secrets is returned once.
SELECT DISTINCT campaign, reason, origin, proof, entered_at, expires_at, removed_at, removed_by, why FROM removed_suppressions
WHERE controller = $1 AND digest = ANY ($2) ORDER BY removed_at, entered_at, campaign, reason

-- name: list_suppressions
-- Like page_of_suppressions.
SELECT controller, campaign, reason, origin, proof, entered_at, expires_at, key_version, encode(digest, 'hex') AS digest
FROM suppressions WHERE $1::text IS NULL OR controller = $1
ORDER BY id DESC LIMIT $2

-- name: page_of_suppressions
-- A bar that is entered again keeps its id, and so its position.
SELECT id, controller, campaign, reason, origin, proof, entered_at, expires_at, key_version,
       encode(digest, 'hex') AS digest
FROM suppressions
WHERE ($1::text[] IS NULL OR controller = ANY ($1)) AND ($3::bigint IS NULL OR id < $3)
  AND ($4::text IS NULL OR campaign = $4) AND ($5::text IS NULL OR reason = $5)
ORDER BY id DESC LIMIT $2

-- name: export_suppressions
SELECT controller, encode(digest, 'hex') AS digest, key_version, campaign, reason, origin, proof, entered_at, expires_at
FROM suppressions WHERE controller = $1
ORDER BY digest, campaign, reason
