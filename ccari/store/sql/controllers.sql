-- name: goes_of_controllers
-- Rows that have no limit, or may have none, and are deleted with their controller; ``since``: when they came.
SELECT controller, 'contacts' AS kind, entered_at AS since FROM contacts
UNION ALL SELECT controller, 'consents', given_at FROM consents
UNION ALL SELECT controller, 'notices', heard_at FROM heard_notices
UNION ALL SELECT controller, 'lifted', entered_at FROM removed_suppressions
UNION ALL SELECT controller, 'suppressions', entered_at FROM suppressions

-- name: keeps_of_controllers
-- What must end before the controller is deleted. Lost recordings may turn up until their limit. A change to be forwarded keeps the
-- number until it is sent, or until a service finds that the controller is not to be told.
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
-- Not joined: even for a few holds, a join could read all calls.
(SELECT h.placed_at, h.released_at,
        coalesce(h.controller, (SELECT r.controller FROM recordings r WHERE r.id = h.recording_id),
                 (SELECT c.controller FROM calls c WHERE c.id = h.call_id),
                 (SELECT q.controller FROM rights_requests q WHERE q.reference = h.reference)) AS controller
 FROM holds h) AS placed

-- name: controllers_goes
-- How many rows of each kind are deleted with $1 (NULL: with each controller), and the date of the oldest.
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
-- Deleted controllers that have rows again.
SELECT controller FROM (SELECT DISTINCT controller FROM controller_deletions) AS deleted
WHERE EXISTS (SELECT FROM (/* goes_of_controllers */) AS goes WHERE goes.controller = deleted.controller) ORDER BY 1

-- name: was_deleted
SELECT EXISTS (SELECT FROM controller_deletions WHERE controller = $1 AND finished_at IS NOT NULL)

-- name: by_indexes
-- For this transaction. By the statistics, most of a table may still seem to belong to the controller being deleted, when nothing of it
-- is left: the planner would scan the whole table for one row, while others wait. And only a plain index scan marks dead index entries
-- for the next scan.
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)

-- name: proof_begins
-- When a consent (k) was given or last used, whichever is later.
greatest(k.given_at, (SELECT max(used_at) FROM consent_uses u WHERE u.consent_id = k.id))

-- name: controllers_proofs
-- Consents of $1 whose proof the law requires for $2 after they were given, and after each use.
SELECT count(*) AS held, max(until) AS until
FROM (SELECT /* proof_begins */ + $2::interval AS until FROM consents k WHERE k.controller = $1) AS proof
WHERE until > now()

-- name: controllers_stay
-- What stays on record after a controller is deleted.
SELECT 'calls' AS kind, count(*) AS held FROM calls WHERE controller = $1 AND expired_at IS NOT NULL
UNION ALL SELECT 'requests', count(*) FROM rights_requests WHERE controller = $1 AND expired_at IS NOT NULL
UNION ALL SELECT 'recordings', count(*) FROM recordings WHERE controller = $1
UNION ALL SELECT 'erasures', count(*) FROM erasures WHERE controller = $1
UNION ALL SELECT 'holds', count(*) FROM /* holds_of_controllers */ WHERE controller = $1 AND released_at IS NOT NULL
UNION ALL SELECT 'accesses', count(*) FROM accesses WHERE fields->>'controller' = $1

-- name: controller_deletions
-- The last deletion of each controller.
SELECT DISTINCT ON (controller) controller, begun_by, begun_at, drop_proof, deleted, finished_by, finished_at FROM controller_deletions
WHERE $1::text[] IS NULL OR controller = ANY ($1) ORDER BY controller, id DESC

-- name: share_controller
-- Any number of transactions may enter rows for a controller at a time …
SELECT pg_advisory_xact_lock_shared(hashtextextended('controller ' || $1::text, 0))

-- name: lock_controller
-- … but none while its deletion begins: it deletes what earlier ones entered, and later ones see it.
SELECT pg_advisory_xact_lock(hashtextextended('controller ' || $1::text, 0))

-- name: begin_deletion
-- Whether it is a new deletion. Completing one under way may also drop proofs ($3), which it then records.
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
-- Like each of these, deletes the next $3 rows of a controller from the digest $2 onwards, in the order in which lists are merged, so
-- that the two never deadlock; returns how many, and the last digest. Deletes by ctid: by key or with a join, PostgreSQL would read the
-- whole table for each batch. A row updated while it was being locked has a new ctid, and is left to the next round.
WITH batch AS MATERIALIZED (
    SELECT ctid, digest FROM contacts WHERE controller = $1 AND digest >= $2 ORDER BY digest, source LIMIT $3 FOR UPDATE
), gone AS (
    DELETE FROM contacts WHERE ctid = ANY (ARRAY(SELECT ctid FROM batch)) RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS gone, (SELECT digest FROM batch ORDER BY digest DESC LIMIT 1) AS last

-- name: delete_consents
-- Deletes each consent with its uses: the calls have expired, and no longer identify anybody. ``proof``: whether the law still requires
-- the proof of any of them, for $4; NULL: it requires none, or a person has decided to delete it.
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
