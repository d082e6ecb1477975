-- name: turn_to_stamp
SELECT pg_try_advisory_lock(hashtextextended('time stamps', 0))

-- name: seal_to_stamp
-- The newest seal, unless it has a time stamp, or the newest time stamp is younger than $1, by the database's clock. A time stamp from
-- the future was made while that clock was wrong.
SELECT s.id, s.sealed_at, s.leaves, s.root, s.before, s.key
FROM (SELECT * FROM seals ORDER BY id DESC LIMIT 1) AS s
LEFT JOIN (SELECT seal, stamped_at FROM time_stamps ORDER BY seal DESC LIMIT 1) AS t ON true
WHERE t.seal IS NULL OR t.seal < s.id AND (t.stamped_at <= now() - $1::interval OR t.stamped_at > now())

-- name: add_time_stamp
-- A restored database gives the same numbers to different seals.
INSERT INTO time_stamps (seal, at, response)
SELECT id, $2, $3 FROM seals WHERE id = $1 AND (sealed_at, leaves, root, before, key) = ($4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING RETURNING seal

-- name: newest_time_stamp
SELECT at FROM time_stamps ORDER BY seal DESC LIMIT 1

-- name: time_stamps_of
-- For each seal of a journal, the first time stamp of it or of a seal fewer than $3 later, with the first of these seals.
SELECT t.seal, t.at, t.response, min(each.seal) AS first
FROM sealed each
CROSS JOIN LATERAL (SELECT * FROM time_stamps WHERE seal >= each.seal ORDER BY seal LIMIT 1) AS t
WHERE each.kind = $1 AND each.id = $2 AND t.seal - each.seal < $3
GROUP BY t.seal, t.at, t.response ORDER BY t.seal

-- name: seals_between
SELECT sealed_at, leaves, root, before, key FROM seals WHERE id BETWEEN $1 AND $2 ORDER BY id

-- name: all_time_stamps
-- Each with the earliest time among the seals that it is the first to cover.
SELECT t.at, t.response, s.sealed_at, s.leaves, s.root, s.before, s.key,
       (SELECT min(sealed_at) FROM seals WHERE id > t.earlier AND id <= t.seal) AS since
FROM (SELECT *, lag(seal, 1, 0::bigint) OVER (ORDER BY seal) AS earlier FROM time_stamps) AS t
JOIN seals s ON s.id = t.seal ORDER BY t.seal
