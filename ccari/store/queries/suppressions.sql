-- name: add_suppression
-- A bar that is there already is only ever made longer; a consent that is withdrawn again is withdrawn from now on.
INSERT INTO suppressions AS known (controller, digest, key_version, campaign, reason, origin, proof, call_id, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (controller, digest, campaign, reason) DO UPDATE SET
    entered_at = CASE WHEN known.reason = 'withdraw_consent' OR known.expires_at <= now()
                      THEN excluded.entered_at ELSE known.entered_at END,
    expires_at = nullif(greatest(coalesce(known.expires_at, 'infinity'), coalesce(excluded.expires_at, 'infinity')),
                        'infinity')
RETURNING xmax = 0 AS added

-- name: check_suppression
SELECT campaign, reason, origin, proof, entered_at, expires_at FROM suppressions
WHERE controller = $1 AND digest = ANY ($2) ORDER BY entered_at

-- name: list_suppressions
SELECT controller, campaign, reason, origin, proof, entered_at, expires_at, key_version, encode(digest, 'hex') AS digest
FROM suppressions WHERE $1::text IS NULL OR controller = $1
ORDER BY entered_at DESC, id DESC LIMIT $2
