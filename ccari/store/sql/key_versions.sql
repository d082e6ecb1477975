-- name: count_by_key_version
-- How many rows would no longer be found if a version of a secret were retired. Calls count because of the limits of attempts, and heard
-- notices because they decide whether a person hears the whole information again. Requests count while they identify the person: a closed
-- one only by its digest. Lifted suppressions count: an export lists them.
SELECT controller, register, key_version,
       coalesce(sum(kept) FILTER (WHERE kind = 'suppressions'), 0)::bigint AS suppressions,
       coalesce(sum(kept) FILTER (WHERE kind = 'lifted'), 0)::bigint AS lifted,
       coalesce(sum(kept) FILTER (WHERE kind = 'contacts'), 0)::bigint AS contacts,
       coalesce(sum(kept) FILTER (WHERE kind = 'consents'), 0)::bigint AS consents,
       coalesce(sum(kept) FILTER (WHERE kind = 'requests'), 0)::bigint AS requests,
       coalesce(sum(kept) FILTER (WHERE kind = 'calls'), 0)::bigint AS calls,
       coalesce(sum(kept) FILTER (WHERE kind = 'notices'), 0)::bigint AS notices,
       coalesce(sum(kept) FILTER (WHERE kind = 'listings'), 0)::bigint AS listings
FROM (
    SELECT 'suppressions' AS kind, controller, NULL AS register, key_version, count(*) AS kept
    FROM suppressions GROUP BY controller, key_version
    UNION ALL SELECT 'lifted', controller, NULL, key_version, count(*) FROM removed_suppressions GROUP BY controller, key_version
    UNION ALL SELECT 'contacts', controller, NULL, key_version, count(*) FROM contacts GROUP BY controller, key_version
    UNION ALL SELECT 'consents', controller, NULL, key_version, count(*) FROM consents GROUP BY controller, key_version
    UNION ALL SELECT 'requests', controller, NULL, key_version, count(*) FROM rights_requests
              WHERE digest IS NOT NULL GROUP BY controller, key_version
    UNION ALL SELECT 'calls', controller, NULL, key_version, count(*) FROM calls
              WHERE controller IS NOT NULL AND digest IS NOT NULL GROUP BY controller, key_version
    UNION ALL SELECT 'notices', controller, NULL, key_version, count(*) FROM heard_notices GROUP BY controller, key_version
    UNION ALL SELECT 'listings', NULL, register, key_version, count(*)
              FROM register_entries GROUP BY register, key_version
) AS counted
GROUP BY controller, register, key_version

-- name: key_checks
SELECT kind, holder, key_version, key_check FROM key_checks

-- name: note_key
-- Returns the version if it was new, or had no check yet, or has this check already; no row if it has another one.
INSERT INTO key_checks (kind, holder, key_version, key_check) VALUES ($1, $2, $3, $4)
ON CONFLICT (kind, holder, key_version) DO UPDATE SET key_check = excluded.key_check
    WHERE coalesce(key_checks.key_check, excluded.key_check) = excluded.key_check
RETURNING key_version

-- name: replace_key
INSERT INTO key_checks (kind, holder, key_version, key_check) VALUES ($1, $2, $3, $4)
ON CONFLICT (kind, holder, key_version) DO UPDATE SET key_check = excluded.key_check, known_at = clock_timestamp()

-- name: only_key
DELETE FROM key_checks WHERE kind = $1 AND holder = $2 AND key_version <> $3

-- name: hangs_on_key
-- Whether there are rows that count_by_key_version counts, except closed requests and lifted suppressions, which no call depends on.
SELECT CASE WHEN $1 = 'register'
    THEN EXISTS (SELECT FROM register_entries WHERE register = $2 AND key_version = $3)
    ELSE EXISTS (SELECT FROM suppressions WHERE controller = $2 AND key_version = $3)
      OR EXISTS (SELECT FROM rights_requests WHERE controller = $2 AND key_version = $3 AND closed_at IS NULL)
      OR EXISTS (SELECT FROM consents WHERE controller = $2 AND key_version = $3)
      OR EXISTS (SELECT FROM contacts WHERE controller = $2 AND key_version = $3)
      OR EXISTS (SELECT FROM heard_notices WHERE controller = $2 AND key_version = $3)
      OR EXISTS (SELECT FROM calls WHERE controller = $2 AND key_version = $3 AND digest IS NOT NULL)
    END

-- name: holds_left_behind
SELECT h.id FROM holds h LEFT JOIN rights_requests q ON q.reference = h.reference
WHERE h.released_at IS NULL AND (h.controller = $1 AND h.digests IS NOT NULL OR q.controller = $1 AND q.number IS NULL)
ORDER BY h.id

-- name: numbers_of_open_requests
-- Those registered under a version before $2.
SELECT reference, number FROM rights_requests
WHERE controller = $1 AND closed_at IS NULL AND number IS NOT NULL AND key_version < $2

-- name: extend_requests
-- In the order of references, in which every transaction locks several requests, so that no two deadlock.
WITH open AS MATERIALIZED (
    SELECT reference FROM rights_requests WHERE reference = ANY ($1) AND closed_at IS NULL ORDER BY reference FOR UPDATE
)
UPDATE rights_requests q SET digests = q.digests || each.digest
FROM open JOIN unnest($1::text[], $2::bytea[]) AS each (reference, digest) USING (reference)
WHERE q.reference = open.reference AND NOT q.digests @> ARRAY[each.digest]
