-- name: controllers_goes
-- What has no limit, or may have none, and is deleted with its controller ($1; NULL: each), with when the oldest of it came.
SELECT controller, kind, held, oldest FROM (
    SELECT controller, 'contacts' AS kind, count(*) AS held, min(entered_at) AS oldest FROM contacts GROUP BY controller
    UNION ALL SELECT controller, 'consents', count(*), min(given_at) FROM consents GROUP BY controller
    UNION ALL SELECT controller, 'notices', count(*), min(heard_at) FROM heard_notices GROUP BY controller
    UNION ALL SELECT controller, 'lifted', count(*), min(entered_at) FROM removed_suppressions GROUP BY controller
    UNION ALL SELECT controller, 'suppressions', count(*), min(entered_at) FROM suppressions GROUP BY controller
) AS held WHERE $1::text IS NULL OR controller = $1

-- name: controllers_keep
-- What has to be over before a controller ($1; NULL: each) is deleted. Recordings that were lost may turn up until their limit. A step
-- that is to be forwarded has the number until it is, or until a service finds that nobody is to be told.
SELECT controller, kind, held, oldest FROM (
    SELECT controller, 'open_calls' AS kind, count(*) AS held, min(opened_at) AS oldest
    FROM calls WHERE ended_at IS NULL AND controller IS NOT NULL GROUP BY controller
    UNION ALL SELECT controller, 'calls', count(*), min(opened_at)
    FROM calls WHERE ended_at IS NOT NULL AND expired_at IS NULL AND controller IS NOT NULL GROUP BY controller
    UNION ALL SELECT controller, 'open_requests', count(*), min(received_at)
    FROM rights_requests WHERE closed_at IS NULL GROUP BY controller
    UNION ALL SELECT controller, 'requests', count(*), min(received_at)
    FROM rights_requests WHERE closed_at IS NOT NULL AND expired_at IS NULL GROUP BY controller
    UNION ALL SELECT controller, 'recordings', count(*), min(tagged_at)
    FROM recordings WHERE state IN ('tagged', 'recording', 'finished', 'stored') OR state = 'failed' AND delete_at > now()
    GROUP BY controller
    UNION ALL SELECT controller, 'holds', count(*), min(placed_at)
    FROM /* holds_of_controllers */ WHERE released_at IS NULL GROUP BY controller
    UNION ALL SELECT q.controller, 'untold', count(*), min(f.queued_at)
    FROM forwards f JOIN rights_requests q USING (reference)
    WHERE f.number IS NOT NULL GROUP BY q.controller
) AS kept WHERE $1::text IS NULL OR controller = $1

-- name: holds_of_controllers
(SELECT h.placed_at, h.released_at,
        coalesce(h.controller, of_recording.controller, of_call.controller, of_request.controller) AS controller
 FROM holds h
 LEFT JOIN recordings of_recording ON of_recording.id = h.recording_id
 LEFT JOIN calls of_call ON of_call.id = h.call_id
 LEFT JOIN rights_requests of_request ON of_request.reference = h.reference) AS placed

-- name: controllers_proofs
-- Consents of $1 whose proof the law has kept for $2 after they were given, and after each use.
SELECT count(*) AS held, max(until) AS until
FROM (SELECT greatest(k.given_at, (SELECT max(used_at) FROM consent_uses u WHERE u.consent_id = k.id)) + $2::interval AS until
      FROM consents k WHERE k.controller = $1) AS proof
WHERE until > now()

-- name: controllers_stay
-- What stays on record of a controller that is deleted.
SELECT 'calls' AS kind, count(*) AS held FROM calls WHERE controller = $1 AND expired_at IS NOT NULL
UNION ALL SELECT 'requests', count(*) FROM rights_requests WHERE controller = $1 AND expired_at IS NOT NULL
UNION ALL SELECT 'holds', count(*) FROM /* holds_of_controllers */ WHERE controller = $1 AND released_at IS NOT NULL
UNION ALL SELECT 'accesses', count(*) FROM accesses WHERE fields->>'controller' = $1

-- name: controller_deletions
-- The last of each controller.
SELECT DISTINCT ON (controller) controller, begun_by, begun_at, deleted, finished_at FROM controller_deletions
WHERE $1::text[] IS NULL OR controller = ANY ($1) ORDER BY controller, id DESC

-- name: begin_deletion
INSERT INTO controller_deletions (controller, begun_by) VALUES ($1, $2)
ON CONFLICT (controller) WHERE finished_at IS NULL DO NOTHING

-- name: lock_deletion
SELECT true FROM controller_deletions WHERE controller = $1 AND finished_at IS NULL FOR UPDATE

-- name: count_deleted
UPDATE controller_deletions SET
    deleted = deleted || jsonb_build_object($2::text, coalesce((deleted->>$2::text)::bigint, 0) + $3::bigint)
WHERE controller = $1 AND finished_at IS NULL

-- name: end_deletion
UPDATE controller_deletions SET finished_at = clock_timestamp() WHERE controller = $1 AND finished_at IS NULL
RETURNING deleted

-- name: delete_contacts
-- As each of these: the next $3 of a controller from the digest $2 on, in the order in which a list is merged, so that the two never
-- deadlock; it gives how many, and the last one's digest. By their places: by their keys, or joined, PostgreSQL would read the whole
-- table for each batch. One that was changed as it was locked has another place now, and is left to the next round.
WITH batch AS MATERIALIZED (
    SELECT ctid, digest FROM contacts WHERE controller = $1 AND digest >= $2 ORDER BY digest, source LIMIT $3 FOR UPDATE
), gone AS (
    DELETE FROM contacts WHERE ctid = ANY (ARRAY(SELECT ctid FROM batch)) RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS gone, (SELECT digest FROM batch ORDER BY digest DESC LIMIT 1) AS last

-- name: delete_consents
-- With each of their uses: the calls have expired, and tell of nobody.
WITH batch AS MATERIALIZED (
    SELECT ctid, id, digest FROM consents WHERE controller = $1 AND digest >= $2
    ORDER BY digest, purpose, channel, given_at LIMIT $3 FOR UPDATE
), unused AS (
    DELETE FROM consent_uses WHERE consent_id = ANY (ARRAY(SELECT id FROM batch))
), gone AS (
    DELETE FROM consents WHERE ctid = ANY (ARRAY(SELECT ctid FROM batch)) RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS gone, (SELECT digest FROM batch ORDER BY digest DESC LIMIT 1) AS last

-- name: delete_notices
WITH batch AS MATERIALIZED (
    SELECT ctid, digest FROM heard_notices WHERE controller = $1 AND digest >= $2 ORDER BY digest, information_version LIMIT $3 FOR UPDATE
), gone AS (
    DELETE FROM heard_notices WHERE ctid = ANY (ARRAY(SELECT ctid FROM batch)) RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS gone, (SELECT digest FROM batch ORDER BY digest DESC LIMIT 1) AS last

-- name: delete_lifted
-- They have no index, and are few.
WITH batch AS MATERIALIZED (
    SELECT ctid, digest FROM removed_suppressions WHERE controller = $1 AND digest >= $2 ORDER BY digest LIMIT $3 FOR UPDATE
), gone AS (
    DELETE FROM removed_suppressions WHERE ctid = ANY (ARRAY(SELECT ctid FROM batch)) RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS gone, (SELECT digest FROM batch ORDER BY digest DESC LIMIT 1) AS last

-- name: delete_suppressions
WITH batch AS MATERIALIZED (
    SELECT ctid, digest FROM suppressions WHERE controller = $1 AND digest >= $2 ORDER BY digest, campaign, reason LIMIT $3 FOR UPDATE
), gone AS (
    DELETE FROM suppressions WHERE ctid = ANY (ARRAY(SELECT ctid FROM batch)) RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS gone, (SELECT digest FROM batch ORDER BY digest DESC LIMIT 1) AS last
