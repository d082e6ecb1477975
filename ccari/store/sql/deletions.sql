-- name: turn_to_delete
SELECT pg_try_advisory_lock(hashtextextended('housekeeping', 0))

-- name: recordings_perhaps_due
-- All recordings that may be due, and some that are not: the limit has passed (by $1 and by the database's clock, so that a node whose
-- clock is years ahead does not delete the fleet's recordings), a right that withdraws consent ($2) was exercised, or an erasure was
-- granted. Each branch starts from the table with fewer rows. Recordings kept on consent are read once, and what ends each is looked up
-- row by row (OFFSET 0): a join would read all consents.
WITH on_consent AS MATERIALIZED (
    SELECT r.id, r.call_id, r.campaign, c.controller, c.digest, c.reason FROM recordings r JOIN calls c ON c.id = r.call_id
    WHERE r.state = 'stored' AND r.legal_basis = 'consent'
)
SELECT id FROM recordings WHERE state = 'stored' AND delete_at <= least($1, now())
UNION
SELECT r.id FROM rights_requests q JOIN recordings r ON r.call_id = q.call_id
WHERE q."right" = ANY ($2) AND r.state = 'stored' AND r.legal_basis = 'consent'
UNION
SELECT r.id
FROM rights_requests q JOIN calls c ON c.controller = q.controller AND c.digest = ANY (q.digests)
JOIN recordings r ON r.call_id = c.id
WHERE q."right" = ANY ($2) AND r.state = 'stored' AND r.legal_basis = 'consent'
UNION
SELECT o.id FROM on_consent o
WHERE o.digest IS NULL AND o.reason = 'recording_refused'
   OR EXISTS (SELECT FROM suppressions s WHERE s.controller = o.controller AND s.digest = o.digest
                 AND s.reason = 'withdraw_consent' AND s.campaign IN ('', o.campaign) OFFSET 0)
   OR EXISTS (SELECT FROM consent_uses u JOIN consents k ON k.id = u.consent_id
               WHERE u.call_id = o.call_id AND k.withdrawn_at IS NOT NULL OFFSET 0)
UNION
SELECT r.id FROM rights_requests q JOIN recordings r ON r.call_id = q.call_id
WHERE q."right" = 'erasure' AND q.state = 'fulfilled' AND r.state = 'stored'
UNION
SELECT r.id
FROM rights_requests q JOIN calls c ON c.controller = q.controller AND c.digest = ANY (q.digests)
JOIN recordings r ON r.call_id = c.id
WHERE q."right" = 'erasure' AND q.state = 'fulfilled' AND r.state = 'stored'

-- name: alone_to_delete
SELECT pg_advisory_xact_lock(hashtextextended('deletions', 0))

-- name: stored_recordings
-- A request reaches only earlier recordings. A withdrawal (by a right of $2) counts from its receipt, an erasure from when it was
-- granted. A bar for withdrawn consent counts as a withdrawal too, with or without a request, and whatever somebody wrote as its proof. A
-- caller who hides their number and refuses to be recorded leaves neither request nor bar: their refusal is in the call's reason.
WITH asked AS MATERIALIZED (
    SELECT r.id, r.call_id, r.controller, r.campaign, r.legal_basis, /* recording_limit */ AS delete_at, r.file,
           coalesce(r.started_at, r.tagged_at) AS recorded, c.digest,
           CASE WHEN c.digest IS NULL AND c.reason = 'recording_refused' THEN c.ended_at END AS refused_at
    FROM recordings r JOIN calls c ON c.id = r.call_id
    WHERE r.id = ANY ($1) AND r.state = 'stored'
      AND NOT EXISTS (SELECT FROM deletions d WHERE d.recording_id = r.id)
), concerning AS MATERIALIZED (
    SELECT v.recording_id AS id, q.reference, q.received_at, q.closed_at, q."right" = 'erasure' AS erasure, q.campaign
    FROM concerned_recordings v JOIN rights_requests q ON q.reference = v.reference
    WHERE v.recording_id = ANY ($1)
      AND CASE WHEN q."right" = 'erasure' THEN q.state = 'fulfilled'
               ELSE q."right" = ANY ($2) AND q.state NOT IN ('refused', 'withdrawn') END
), withdrawn AS (
    SELECT DISTINCT ON (each.id) each.id, each.at, each.reference
    FROM (SELECT a.id, n.received_at AS at, n.reference FROM asked a JOIN concerning n ON n.id = a.id
           WHERE NOT n.erasure AND n.received_at >= a.recorded AND coalesce(n.campaign, a.campaign) = a.campaign
          UNION ALL
          SELECT a.id, k.withdrawn_at, ''
          FROM asked a JOIN consent_uses u ON u.call_id = a.call_id JOIN consents k ON k.id = u.consent_id
           WHERE k.withdrawn_at >= a.recorded
          UNION ALL
          SELECT a.id, coalesce(q.received_at, s.entered_at), coalesce(q.reference, '')
          FROM asked a JOIN suppressions s ON s.controller = a.controller AND s.digest = a.digest
          LEFT JOIN rights_requests q ON q.reference = s.proof AND q."right" = s.reason AND q.controller = s.controller
                                     AND s.digest = ANY (q.digests)
           WHERE s.reason = 'withdraw_consent' AND s.campaign IN ('', a.campaign)
             AND coalesce(q.received_at, s.entered_at) >= a.recorded AND coalesce(q.state, '') NOT IN ('refused', 'withdrawn')
          UNION ALL
          SELECT a.id, a.refused_at, '' FROM asked a WHERE a.refused_at IS NOT NULL) AS each
    ORDER BY each.id, each.at, each.reference DESC
), erased AS (
    SELECT DISTINCT ON (a.id) a.id, n.closed_at AS at, n.reference FROM asked a JOIN concerning n ON n.id = a.id
    WHERE n.erasure AND n.closed_at >= a.recorded
    ORDER BY a.id, n.closed_at, n.reference
)
SELECT a.id, a.call_id, a.controller, a.campaign, a.legal_basis, a.recorded, a.delete_at, a.file,
       withdrawn.at AS withdrawn_at, withdrawn.reference AS withdrawn_by, erased.at AS erased_at,
       erased.reference AS erased_by
FROM asked a LEFT JOIN withdrawn ON withdrawn.id = a.id LEFT JOIN erased ON erased.id = a.id

-- name: decide_deletions
INSERT INTO deletions (recording_id, why, reference, decided_by)
SELECT each.*, $4 FROM unnest($1::uuid[], $2::text[], $3::text[]) AS each

-- name: decided_deletions
SELECT d.recording_id AS id, d.why, d.reference, d.decided_by, r.call_id, r.controller, r.campaign, r.legal_basis, r.file
FROM deletions d JOIN recordings r ON r.id = d.recording_id
WHERE $1::uuid IS NULL OR d.recording_id > $1
ORDER BY d.recording_id LIMIT $2

-- name: lock_deletions
SELECT recording_id FROM deletions WHERE recording_id = ANY ($1) ORDER BY recording_id FOR UPDATE

-- name: deletions_carried_out
WITH done AS (DELETE FROM deletions WHERE recording_id = ANY ($1) RETURNING recording_id, why, reference)
UPDATE recordings SET state = 'deleted', deleted_at = clock_timestamp(), deletion = done.why, deletion_ref = done.reference
FROM done WHERE recordings.id = done.recording_id
