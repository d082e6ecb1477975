-- name: forget_old_repeats
DELETE FROM http_repeats WHERE made_at < now() - $1::interval

-- name: claim_repeat
-- For the first request with the key; or for a repetition, if the first has no answer and has not renewed its claim for too long.
INSERT INTO http_repeats AS known (key, asked, claim) VALUES ($1, $2, $3)
ON CONFLICT (key) DO UPDATE SET made_at = now(), claim = excluded.claim
WHERE known.status IS NULL AND known.asked = excluded.asked AND known.made_at < now() - $4::interval
RETURNING key

-- name: earlier_answer
SELECT asked, status, location, kind, body, listed FROM http_repeats WHERE key = $1

-- name: hold_repeat
UPDATE http_repeats SET made_at = now() WHERE key = $1 AND claim = $2 AND status IS NULL

-- name: settle_repeat
UPDATE http_repeats SET status = $3, location = $4, kind = $5, body = $6, listed = $7
WHERE key = $1 AND claim = $2 AND status IS NULL

-- name: drop_repeat
DELETE FROM http_repeats WHERE key = $1 AND claim = $2 AND status IS NULL
