-- name: count_by_key_version
-- What would no longer be found if a version of a secret were retired.
SELECT controller, register, key_version, sum(suppressions)::bigint AS suppressions, sum(contacts)::bigint AS contacts,
       sum(consents)::bigint AS consents, sum(requests)::bigint AS requests, sum(listings)::bigint AS listings
FROM (
    SELECT controller, NULL AS register, key_version, count(*) AS suppressions, 0 AS contacts, 0 AS consents,
           0 AS requests, 0 AS listings
    FROM suppressions GROUP BY controller, key_version
    UNION ALL SELECT controller, NULL, key_version, 0, count(*), 0, 0, 0 FROM contacts GROUP BY controller, key_version
    UNION ALL SELECT controller, NULL, key_version, 0, 0, count(*), 0, 0 FROM consents GROUP BY controller, key_version
    UNION ALL SELECT controller, NULL, key_version, 0, 0, 0, count(*), 0 FROM rights_requests
              WHERE closed_at IS NULL GROUP BY controller, key_version
    UNION ALL SELECT NULL, register, key_version, 0, 0, 0, 0, count(*) FROM register_entries GROUP BY register, key_version
) AS kept
GROUP BY controller, register, key_version
