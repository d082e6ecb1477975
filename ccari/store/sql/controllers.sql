-- name: goes_of_controllers
-- What has no limit, or may have none, and is deleted with its controller; ``since``: when it came.
SELECT controller, 'contacts' AS kind, entered_at AS since FROM contacts
UNION ALL SELECT controller, 'consents', given_at FROM consents
UNION ALL SELECT controller, 'notices', heard_at FROM heard_notices
UNION ALL SELECT controller, 'lifted', entered_at FROM removed_suppressions
UNION ALL SELECT controller, 'suppressions', entered_at FROM suppressions

-- name: keeps_of_controllers
-- What has to be over before its controller is deleted. Recordings that were lost may turn up until their limit. A step that is to be
-- forwarded has the number until it is, or until a service finds that nobody is to be told.
SELECT controller, 'open_calls' AS kind, opened_at AS since FROM calls WHERE ended_at IS NULL AND controller IS NOT NULL
UNION ALL SELECT controller, 'calls', opened_at
FROM calls WHERE ended_at IS NOT NULL AND expired_at IS NULL AND controller IS NOT NULL
UNION ALL SELECT controller, 'open_requests', received_at FROM rights_requests WHERE closed_at IS NULL
UNION ALL SELECT controller, 'requests', received_at FROM rights_requests WHERE closed_at IS NOT NULL AND expired_at IS NULL
UNION ALL SELECT controller, 'recordings', tagged_at
FROM recordings WHERE state IN ('tagged', 'recording', 'finished', 'stored', 'failed') AND (state <> 'failed' OR delete_at > now())
UNION ALL SELECT controller, 'holds', placed_at FROM /* holds_of_controllers */ WHERE released_at IS NULL
UNION ALL SELECT (SELECT q.controller FROM rights_requests q WHERE q.reference = f.reference), 'untold', f.queued_at
FROM forwards f WHERE f.number IS NOT NULL

-- name: holds_of_controllers
-- Not joined, as then a few holds could have the whole of the calls read.
(SELECT h.placed_at, h.released_at,
        coalesce(h.controller, (SELECT r.controller FROM recordings r WHERE r.id = h.recording_id),
                 (SELECT c.controller FROM calls c WHERE c.id = h.call_id),
                 (SELECT q.controller FROM rights_requests q WHERE q.reference = h.reference)) AS controller
 FROM holds h) AS placed

-- name: controllers_goes
-- How much of each kind of $1 (NULL: of each controller) is deleted with it, and since when it has been there.
SELECT controller, kind, count(*) AS held, min(since) AS oldest FROM (/* goes_of_controllers */) AS goes
WHERE $1::text IS NULL OR controller = $1 GROUP BY controller, kind

-- name: controllers_keep
SELECT controller, kind, count(*) AS held, min(since) AS oldest FROM (/* keeps_of_controllers */) AS keeps
WHERE $1::text IS NULL OR controller = $1 GROUP BY controller, kind

-- name: anything_goes
SELECT EXISTS (SELECT FROM (/* goes_of_controllers */) AS goes WHERE controller = $1)

-- name: anything_keeps
SELECT EXISTS (SELECT FROM (/* keeps_of_controllers */) AS keeps WHERE controller = $1)

-- name: deleted_but_held
-- The controllers that were deleted, and of which there is something again.
SELECT controller FROM (SELECT DISTINCT controller FROM controller_deletions) AS deleted
WHERE EXISTS (SELECT FROM (/* goes_of_controllers */) AS goes WHERE goes.controller = deleted.controller) ORDER BY 1

-- name: was_deleted
SELECT EXISTS (SELECT FROM controller_deletions WHERE controller = $1 AND finished_at IS NOT NULL)

-- name: by_indexes
-- For the transaction. To the statistics most of a table may look like a controller's that is leaving, of which nothing is left: the
-- planner would read all of it to find one row, while others wait. Only a plain index scan marks what is dead for the next one.
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)

-- name: proof_begins
-- The later of when a consent (k) was given and when it was last used.
greatest(k.given_at, (SELECT max(used_at) FROM consent_uses u WHERE u.consent_id = k.id))

-- name: controllers_proofs
-- Consents of $1 whose proof the law has kept for $2 after they were given, and after each use.
SELECT count(*) AS held, max(until) AS until
FROM (SELECT /* proof_begins */ + $2::interval AS until FROM consents k WHERE k.controller = $1) AS proof
WHERE until > now()

-- name: controllers_stay
-- What stays on record of a controller that is deleted.
SELECT 'calls' AS kind, count(*) AS held FROM calls WHERE controller = $1 AND expired_at IS NOT NULL
UNION ALL SELECT 'requests', count(*) FROM rights_requests WHERE controller = $1 AND expired_at IS NOT NULL
UNION ALL SELECT 'recordings', count(*) FROM recordings WHERE controller = $1
UNION ALL SELECT 'erasures', count(*) FROM erasures WHERE controller = $1
UNION ALL SELECT 'holds', count(*) FROM /* holds_of_controllers */ WHERE controller = $1 AND released_at IS NOT NULL
UNION ALL SELECT 'accesses', count(*) FROM accesses WHERE fields->>'controller' = $1

-- name: controller_deletions
-- The last of each controller.
SELECT DISTINCT ON (controller) controller, begun_by, begun_at, drop_proof, deleted, finished_by, finished_at FROM controller_deletions
WHERE $1::text[] IS NULL OR controller = ANY ($1) ORDER BY controller, id DESC

-- name: share_controller
-- Any number of transactions may enter something for a controller at a time …
SELECT pg_advisory_xact_lock_shared(hashtextextended('controller ' || $1::text, 0))

-- name: lock_controller
-- … and none while its deletion begins: those before it are deleted, and those after it see it.
SELECT pg_advisory_xact_lock(hashtextextended('controller ' || $1::text, 0))

-- name: begin_deletion
-- Whether it is a new one. One that is under way may be completed by somebody who lets proofs go ($3), and says so from then on.
INSERT INTO controller_deletions (controller, begun_by, drop_proof) VALUES ($1, $2, $3)
ON CONFLICT (controller) WHERE finished_at IS NULL
    DO UPDATE SET drop_proof = controller_deletions.drop_proof OR excluded.drop_proof
RETURNING xmax = 0 AS new

-- name: lock_deletion
SELECT true FROM controller_deletions WHERE controller = $1 AND finished_at IS NULL FOR UPDATE

-- name: count_deleted
UPDATE controller_deletions SET
    deleted = deleted || jsonb_build_object($2::text, coalesce((deleted->>$2::text)::bigint, 0) + $3::bigint)
WHERE controller = $1 AND finished_at IS NULL

-- name: end_deletion
UPDATE controller_deletions SET finished_at = clock_timestamp(), finished_by = $2 WHERE controller = $1 AND finished_at IS NULL
RETURNING deleted, begun_by, drop_proof

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
-- With each of their uses: the calls have expired, and tell of nobody. ``proof``: whether the law has the proof of any of them kept for
-- $4; NULL: it has not, or a person has decided that it goes.
WITH batch AS MATERIALIZED (
    SELECT ctid, id, digest, given_at FROM consents WHERE controller = $1 AND digest >= $2
    ORDER BY digest, purpose, channel, given_at LIMIT $3 FOR UPDATE
), unused AS (
    DELETE FROM consent_uses WHERE consent_id = ANY (ARRAY(SELECT id FROM batch))
), gone AS (
    DELETE FROM consents WHERE ctid = ANY (ARRAY(SELECT ctid FROM batch)) RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS gone, (SELECT digest FROM batch ORDER BY digest DESC LIMIT 1) AS last,
       EXISTS (SELECT FROM batch k WHERE /* proof_begins */ + $4::interval > now()) AS proof

-- name: delete_notices
WITH batch AS MATERIALIZED (
    SELECT ctid, digest FROM heard_notices WHERE controller = $1 AND digest >= $2 ORDER BY digest, information_version LIMIT $3 FOR UPDATE
), gone AS (
    DELETE FROM heard_notices WHERE ctid = ANY (ARRAY(SELECT ctid FROM batch)) RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS gone, (SELECT digest FROM batch ORDER BY digest DESC LIMIT 1) AS last

-- name: delete_lifted
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
