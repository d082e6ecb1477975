-- name: lock_register
-- One copy of a register is loaded at a time; calls do not wait for it.
SELECT pg_advisory_xact_lock(hashtextextended('register ' || $1, 0))

-- name: newest_load
-- The date of the newest copy, ignoring copies that a fast clock dated in the future: none of these is newer than a copy of today.
SELECT max(as_of) FILTER (WHERE as_of <= now()) AS as_of, bool_or(as_of > now()) AS misdated,
       (SELECT entries FROM register_loads WHERE register = $1 ORDER BY id DESC LIMIT 1) AS entries
FROM register_loads WHERE register = $1 HAVING count(*) > 0

-- name: correct_misdated_loads
-- A copy dated $2 replaces their content. With their own date, the register would count as dated in the future until then.
UPDATE register_loads SET as_of = $2 WHERE register = $1 AND as_of > now()

-- name: add_load
INSERT INTO register_loads (register, as_of, loaded_by, entries, sha256) VALUES ($1, $2, $3, 0, $4) RETURNING id

-- name: merge_register
-- A number listed before keeps its listing date, unless the register itself gives one.
WITH entered AS (
    INSERT INTO register_entries AS known (register, digest, key_version, listed_at, expires_at, load)
    SELECT $3, new.digest, max(new.key_version),
           coalesce(max(new.listed_at), max(old.listed_at) FILTER (WHERE coalesce(old.expires_at, 'infinity') > now()), $5),
           nullif(max(coalesce(new.expires_at, 'infinity')), 'infinity'), $4
    FROM incoming new LEFT JOIN register_entries old ON old.register = $3 AND old.digest = new.digest
    WHERE new.digest BETWEEN $1 AND $2
    GROUP BY new.digest ORDER BY new.digest
    ON CONFLICT (register, digest) DO UPDATE SET
        listed_at = excluded.listed_at, expires_at = excluded.expires_at, load = excluded.load
    WHERE (known.listed_at, known.expires_at) IS DISTINCT FROM (excluded.listed_at, excluded.expires_at)
    RETURNING xmax = 0 AS added
)
SELECT count(*) FILTER (WHERE added) FROM entered

-- name: drop_unlisted
-- Returns how many of those that are dropped stood until now; NULL if the copy is under another secret than before ($2, $3: its version
-- and check value), under which each number has another digest.
WITH dropped AS (
    DELETE FROM register_entries AS known
    WHERE register = $1 AND NOT EXISTS (SELECT FROM incoming new WHERE new.digest = known.digest)
    RETURNING key_version, expires_at
)
SELECT CASE WHEN NOT EXISTS (SELECT FROM dropped WHERE key_version <> $2)
             AND NOT EXISTS (SELECT FROM key_checks
                             WHERE kind = 'register' AND holder = $1 AND key_version = $2 AND key_check <> $3)
       THEN count(*) FILTER (WHERE expires_at IS NULL OR expires_at > now()) END FROM dropped

-- name: count_load
UPDATE register_loads SET entries = (SELECT count(*) FROM register_entries WHERE register = $2)
WHERE id = $1 RETURNING entries

-- name: register_ages
SELECT DISTINCT ON (register) register, as_of, loaded_at, loaded_by,
       first_value(entries) OVER (PARTITION BY register ORDER BY id DESC) AS entries
FROM register_loads ORDER BY register, as_of DESC, id DESC

-- name: check_listings
SELECT entry.register, entry.listed_at, entry.expires_at
FROM unnest($1::text[], $2::bytea[]) AS asked (register, digest)
JOIN register_entries entry ON entry.register = asked.register AND entry.digest = asked.digest
WHERE entry.expires_at IS NULL OR entry.expires_at > now()
ORDER BY entry.register
