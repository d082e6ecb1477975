-- name: count_by_key_version
-- What would no longer be found if a version of a secret were retired. On the calls hang the limits of attempts, and on
-- the notices that were heard, whether a person is told it all again.
SELECT controller, register, key_version,
       coalesce(sum(kept) FILTER (WHERE kind = 'suppressions'), 0)::bigint AS suppressions,
       coalesce(sum(kept) FILTER (WHERE kind = 'contacts'), 0)::bigint AS contacts,
       coalesce(sum(kept) FILTER (WHERE kind = 'consents'), 0)::bigint AS consents,
       coalesce(sum(kept) FILTER (WHERE kind = 'requests'), 0)::bigint AS requests,
       coalesce(sum(kept) FILTER (WHERE kind = 'calls'), 0)::bigint AS calls,
       coalesce(sum(kept) FILTER (WHERE kind = 'notices'), 0)::bigint AS notices,
       coalesce(sum(kept) FILTER (WHERE kind = 'listings'), 0)::bigint AS listings
FROM (
    SELECT 'suppressions' AS kind, controller, NULL AS register, key_version, count(*) AS kept
    FROM suppressions GROUP BY controller, key_version
    UNION ALL SELECT 'contacts', controller, NULL, key_version, count(*) FROM contacts GROUP BY controller, key_version
    UNION ALL SELECT 'consents', controller, NULL, key_version, count(*) FROM consents GROUP BY controller, key_version
    UNION ALL SELECT 'requests', controller, NULL, key_version, count(*) FROM rights_requests
              WHERE closed_at IS NULL GROUP BY controller, key_version
    UNION ALL SELECT 'calls', controller, NULL, key_version, count(*) FROM calls
              WHERE controller IS NOT NULL AND digest IS NOT NULL GROUP BY controller, key_version
    UNION ALL SELECT 'notices', controller, NULL, key_version, count(*) FROM heard_notices GROUP BY controller, key_version
    UNION ALL SELECT 'listings', NULL, register, key_version, count(*)
              FROM register_entries GROUP BY register, key_version
) AS counted
GROUP BY controller, register, key_version
