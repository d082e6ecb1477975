-- name: forget_old_repeats
DELETE FROM http_repeats WHERE made_at < now() - $1::interval

-- name: claim_repeat
-- The first to come; or the next, where that one was asked the same and has not answered for longer than it can take.
INSERT INTO http_repeats AS known (key, asked) VALUES ($1, $2)
ON CONFLICT (key) DO UPDATE SET made_at = now()
WHERE known.status IS NULL AND known.asked = excluded.asked AND known.made_at < now() - $3::interval
RETURNING key

-- name: earlier_answer
SELECT asked, status, location, kind, body FROM http_repeats WHERE key = $1

-- name: settle_repeat
UPDATE http_repeats SET status = $2, location = $3, kind = $4, body = $5 WHERE key = $1

-- name: drop_repeat
DELETE FROM http_repeats WHERE key = $1 AND status IS NULL
