-- name: holds_on_number
-- What holds all data of a number. $3: rights whose open request does; $4: rights that, pressed in a call, concern only that call; $5 and
-- $6: as $1 and $2 of goes_on_holding; $7: the request that does not count.
SELECT 'legal' AS kind, h.id AS hold, NULL AS reference, h.reason FROM holds h
WHERE h.released_at IS NULL AND h.controller = $1 AND h.digests && $2
UNION ALL
SELECT 'legal', h.id, h.reference, h.reason FROM rights_requests q JOIN holds h ON h.reference = q.reference
WHERE h.released_at IS NULL AND q.controller = $1 AND q.digests && $2
UNION ALL
SELECT 'request', NULL, q.reference, q."right" FROM rights_requests q
WHERE q.controller = $1 AND q.digests && $2 AND q.reference IS DISTINCT FROM $7
  AND (q.call_id IS NULL OR q."right" <> ALL ($4))
  AND CASE WHEN q.closed_at IS NULL THEN q."right" = ANY ($3)
           ELSE /* goes_on_holding($5, $6) */
      END
ORDER BY 1, 2, 3

-- name: holds_on_calls
SELECT call_id, id AS hold, reason FROM holds WHERE released_at IS NULL AND call_id = ANY ($1)
UNION
SELECT r.call_id, h.id, h.reason FROM recordings r JOIN holds h ON h.recording_id = r.id
WHERE h.released_at IS NULL AND r.call_id = ANY ($1)

-- name: recordings_to_erase
-- A recording whose deletion is decided counts as over: it goes when that is carried out.
SELECT r.id, r.call_id, r.legal_basis, /* recording_limit */ AS delete_at,
       r.state = 'stored' OR EXISTS (SELECT FROM deletions d WHERE d.recording_id = r.id) AS over,
       EXISTS (SELECT FROM deletions d WHERE d.recording_id = r.id) AS decided
FROM recordings r JOIN calls c ON c.id = r.call_id
WHERE c.controller = $1 AND c.digest = ANY ($2) AND r.state IN ('tagged', 'recording', 'finished', 'stored')
ORDER BY r.id

-- name: calls_to_erase
SELECT id, legal_basis, ended_at IS NOT NULL AS over FROM calls WHERE controller = $1 AND digest = ANY ($2)
ORDER BY id

-- name: lock_calls_to_erase
SELECT c.id, c.legal_basis, c.ended_at IS NOT NULL AS over FROM calls c
WHERE c.controller = $1 AND c.digest = ANY ($2) AND ($3::uuid IS NULL OR c.id > $3)
  AND NOT EXISTS (SELECT FROM recordings r
                   WHERE r.call_id = c.id AND r.state IN ('tagged', 'recording', 'finished', 'stored'))
ORDER BY c.id LIMIT $4 FOR UPDATE

-- name: recordings_of_calls_to_erase
-- Ask this only with the calls locked: from then on no recording that counted as lost can be restored.
SELECT id, call_id, legal_basis, /* recording_limit */ AS delete_at, true AS over, false AS decided, state = 'failed' AS lost FROM recordings r
WHERE call_id = ANY ($1) AND state IN ('tagged', 'recording', 'finished', 'stored', 'failed')
ORDER BY id

-- name: discard_lost
UPDATE recordings SET state = 'discarded' WHERE id = ANY ($1) AND state = 'failed'

-- name: erase_fields
DELETE FROM call_event_fields f USING call_events e
WHERE e.call_id = f.call_id AND e.seq = f.seq AND f.call_id = ANY ($1)
  AND (e.event <> ALL ($2) OR f.fields::text ~ $3)

-- name: erase_callers
UPDATE calls SET digest = NULL, key_version = NULL, number_masked = '—',
                 agent = CASE WHEN agent ~ $2 THEN '—' ELSE agent END
WHERE id = ANY ($1)

-- name: contacts_to_erase
SELECT encode(digest, 'hex') || ' ' || source AS id, legal_basis FROM contacts WHERE controller = $1 AND digest = ANY ($2)

-- name: consents_to_erase
SELECT k.id, k.given_at, max(u.used_at) AS used_at, array_agg(u.call_id::text) FILTER (WHERE c.digest IS NOT NULL) AS calls
FROM consents k LEFT JOIN consent_uses u ON u.consent_id = k.id LEFT JOIN calls c ON c.id = u.call_id
WHERE k.controller = $1 AND k.digest = ANY ($2) GROUP BY k.id ORDER BY k.id

-- name: heard_to_erase
SELECT count(*) FROM heard_notices WHERE controller = $1 AND digest = ANY ($2)

-- name: requests_to_erase
SELECT q.reference, q.closed_at IS NULL AS open, q.number IS NOT NULL AS number, q.reference = $3 AS own,
       (SELECT count(*) FROM request_event_details d WHERE d.reference = q.reference) AS notes,
       (SELECT count(*) FROM request_event_details d WHERE d.reference = q.reference AND (d.who ~ $4 OR d.reason ~ $4)) AS telling
FROM rights_requests q WHERE q.controller = $1 AND q.digests && $2 ORDER BY q.reference

-- name: queued_to_erase
-- ``untold``: the controller is still to be told: at the next attempt or, if it was given up, when its request is closed.
SELECT f.reference || ' ' || f.seq AS id,
       f.state = 'waiting' OR (f.state = 'given_up' AND q.closed_at IS NULL) AS untold
FROM rights_requests q JOIN forwards f USING (reference)
WHERE q.controller = $1 AND q.digests && $2 AND f.number IS NOT NULL ORDER BY f.reference, f.seq

-- name: answers_to_erase
SELECT count(*) FROM http_repeats
WHERE position(convert_to($1, 'UTF8') IN body) > 0 OR position(convert_to($2, 'UTF8') IN body) > 0

-- name: words_to_erase
-- How many of the rows that stay have the number in a free text.
SELECT (SELECT count(*) FROM suppressions
         WHERE controller = $1 AND digest = ANY ($2) AND (proof ~ $3 OR origin ~ $3))
     + (SELECT count(*) FROM removed_suppressions
         WHERE controller = $1 AND digest = ANY ($2) AND (proof ~ $3 OR origin ~ $3 OR why ~ $3))
     + (SELECT count(*) FROM consents WHERE controller = $1 AND digest = ANY ($2) AND (proof ~ $3 OR origin ~ $3))
     + (SELECT count(*) FROM calls c JOIN recordings r ON r.call_id = c.id
         WHERE c.controller = $1 AND c.digest = ANY ($2) AND r.deletion_ref ~ $3)

-- name: erasure_under_way
SELECT id FROM erasures WHERE reference = $1 AND finished_at IS NULL

-- name: erasure_report
SELECT report FROM erasures WHERE reference = $1 AND finished_at IS NOT NULL ORDER BY id DESC LIMIT 1

-- name: begin_erasure
INSERT INTO erasures (reference, controller, begun_by) VALUES ($1, $2, $3)
ON CONFLICT (reference) WHERE finished_at IS NULL DO NOTHING

-- name: lock_erasure
SELECT id, begun_by, begun_at, done FROM erasures WHERE id = $1 AND finished_at IS NULL FOR UPDATE

-- name: erasure_begun
SELECT begun_at FROM erasures WHERE id = $1

-- name: erased_so_far
SELECT done FROM erasures WHERE id = $1

-- name: count_erased
UPDATE erasures SET done = $2 WHERE id = $1

-- name: end_erasure
UPDATE erasures SET finished_at = clock_timestamp(), report = $2 WHERE id = $1

-- name: recordings_erased
SELECT count(*) FROM recordings WHERE deletion = 'erasure' AND deletion_ref = $1 AND deleted_at >= $2

-- name: erase_contacts
-- Returns how many of them had the number in a free text.
WITH gone AS (
    DELETE FROM contacts WHERE controller = $1 AND encode(digest, 'hex') || ' ' || source = ANY ($3) AND digest = ANY ($2)
    RETURNING source, proof
)
SELECT count(*) FROM gone WHERE source ~ $4 OR proof ~ $4

-- name: erase_uses
DELETE FROM consent_uses WHERE consent_id = ANY ($1)

-- name: erase_consents
DELETE FROM consents WHERE id = ANY ($1)

-- name: erase_heard
DELETE FROM heard_notices WHERE controller = $1 AND digest = ANY ($2)

-- name: erase_notes
DELETE FROM request_event_details WHERE reference = ANY ($1)

-- name: erase_telling_notes
DELETE FROM request_event_details WHERE reference = $1 AND (who ~ $2 OR reason ~ $2)

-- name: erase_numbers
-- In the order of extend_requests.
WITH held AS MATERIALIZED (SELECT reference FROM rights_requests WHERE reference = ANY ($1) ORDER BY reference FOR NO KEY UPDATE)
UPDATE rights_requests q SET number = NULL FROM held WHERE q.reference = held.reference

-- name: erase_queued
UPDATE forwards SET number = NULL WHERE reference || ' ' || seq = ANY ($1) AND reference = ANY ($2)

-- name: erase_answers
DELETE FROM http_repeats
WHERE position(convert_to($1, 'UTF8') IN body) > 0 OR position(convert_to($2, 'UTF8') IN body) > 0

-- name: erase_words_of_bars
UPDATE suppressions SET proof = regexp_replace(proof, $3, '[number]', 'g'), origin = regexp_replace(origin, $3, '[number]', 'g')
WHERE controller = $1 AND digest = ANY ($2) AND (proof ~ $3 OR origin ~ $3)

-- name: erase_calls_of_bars
WITH lifted AS (
    UPDATE removed_suppressions SET call_id = NULL WHERE controller = $1 AND digest = ANY ($2) AND call_id IS NOT NULL
)
UPDATE suppressions SET call_id = NULL WHERE controller = $1 AND digest = ANY ($2) AND call_id IS NOT NULL

-- name: erase_words_of_removed_bars
UPDATE removed_suppressions SET
    proof = CASE WHEN proof ~ $3 THEN 'erased' ELSE proof END, origin = CASE WHEN origin ~ $3 THEN 'erased' ELSE origin END,
    why = CASE WHEN why ~ $3 THEN 'erased' ELSE why END
WHERE controller = $1 AND digest = ANY ($2) AND (proof ~ $3 OR origin ~ $3 OR why ~ $3)

-- name: erase_words_of_consents
UPDATE consents SET proof = regexp_replace(proof, $3, '[number]', 'g'), origin = regexp_replace(origin, $3, '[number]', 'g')
WHERE controller = $1 AND digest = ANY ($2) AND (proof ~ $3 OR origin ~ $3)

-- name: erase_words_of_recordings
-- Returns the number of those recordings.
WITH worded AS (
    UPDATE recordings r SET deletion_ref = regexp_replace(deletion_ref, $2, '[number]', 'g')
    WHERE r.call_id = ANY ($1) AND deletion_ref ~ $2 RETURNING 1
)
SELECT count(*) FROM worded

-- name: next_transaction
SELECT pg_snapshot_xmax(pg_current_snapshot())::text

-- name: sees_what_was_erased
-- Whether a transaction or a replica may still see rows as they were before transaction $1: VACUUM and VACUUM FULL keep such rows. The
-- xmin of a VACUUM itself does not count.
SELECT EXISTS (
    SELECT FROM (SELECT backend_xmin AS sees FROM pg_stat_activity
                  WHERE datname = current_database() AND pid <> pg_backend_pid()
                    AND pid NOT IN (SELECT pid FROM pg_stat_progress_vacuum)
                 UNION ALL
                 SELECT backend_xid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
                 UNION ALL
                 SELECT transaction FROM pg_prepared_xacts WHERE database = current_database()
                 UNION ALL
                 SELECT backend_xmin FROM pg_stat_replication
                 UNION ALL
                 SELECT xmin FROM pg_replication_slots) AS each
    WHERE age(each.sees) > age($1::text::xid8::xid))

-- name: size_of_table
SELECT pg_table_size(to_regclass($1))
