-- name: tag_recording
-- Only after the notice was heard, and in opt_in only after the key; that key's entry may be among those written here.
WITH /* given */, moved AS (
    UPDATE calls SET /* journal_advanced */
    WHERE id = $1 AND /* journal_unchanged */ AND heard_at IS NOT NULL
      AND ($10 <> 'opt_in' OR EXISTS (SELECT FROM given WHERE event = 'recording_agreed')
           OR EXISTS (SELECT FROM call_events WHERE call_id = $1 AND event = 'recording_agreed'))
    RETURNING id, revision, controller, campaign, notice_version
), /* journal_entries */, tagged AS (
    INSERT INTO recordings (id, call_id, revision, controller, campaign, purpose, legal_basis, mode, notice_version,
                            delete_at, channels)
    SELECT $7::uuid, id, revision, controller, campaign, $8::text, $9::text, $10::text, notice_version,
           $11::timestamptz, $12::text
    FROM moved
)
SELECT id FROM moved

-- name: recording_started
UPDATE recordings SET state = 'recording', started_at = $2, lead_ms = $3 WHERE id = $1 AND state = 'tagged'

-- name: recording_keep_until
UPDATE recordings SET keep_until = least(keep_until, $2) WHERE id = $1 AND state IN ('tagged', 'recording')

-- name: recording_end_seen
UPDATE recordings SET ended_at = $2 WHERE id = $1 AND state IN ('tagged', 'recording')

-- name: recording_finished
WITH /* given */, moved AS (
    UPDATE calls SET /* journal_advanced */ WHERE id = $1 AND /* journal_unchanged */ RETURNING id
), /* journal_entries */, finished AS (
    UPDATE recordings r SET state = 'finished', stopped_at = clock_timestamp(), keep_until = least(r.keep_until, $8)
    FROM moved WHERE r.id = $7 AND r.state IN ('tagged', 'recording')
)
SELECT id FROM moved

-- name: recording_stored
WITH /* given */, moved AS (
    UPDATE calls SET /* journal_advanced */ WHERE id = $1 AND /* journal_unchanged */ RETURNING id
), /* journal_entries */, stored AS (
    UPDATE recordings r SET state = 'stored', stopped_at = coalesce(r.stopped_at, clock_timestamp()), file = $8,
        format = $9, duration_ms = $10, sha256 = $11, bytes = $12, file_sha256 = $13, recipients = $14, silent = $15,
        started_at = coalesce(r.started_at, $16)
    FROM moved WHERE r.id = $7 AND r.state IN ('tagged', 'recording', 'finished', 'failed')
)
SELECT id FROM moved

-- name: hold_unstored
SELECT id FROM recordings WHERE id = $1 AND state IN ('tagged', 'recording', 'finished', 'failed') FOR UPDATE

-- name: recording_ended
WITH /* given */, moved AS (
    UPDATE calls SET /* journal_advanced */ WHERE id = $1 AND /* journal_unchanged */ RETURNING id
), /* journal_entries */, ended AS (
    UPDATE recordings r SET state = $8, stopped_at = coalesce(r.stopped_at, clock_timestamp())
    FROM moved WHERE r.id = $7 AND r.state IN ('tagged', 'recording', 'finished')
)
SELECT id FROM moved

-- name: hold_unended
SELECT id FROM recordings WHERE id = $1 AND state IN ('tagged', 'recording', 'finished') FOR UPDATE

-- name: kept_until
-- The moment from which nothing of a recording r may be kept. $2 to $4: rights, each with a legal basis and a mode of recordings that it
-- stops.
least(r.keep_until, (SELECT min(received_at) FROM rights_requests q
                     WHERE q.call_id = r.call_id
                       AND (q."right", r.legal_basis, r.mode) IN (SELECT * FROM unnest($2::text[], $3::text[], $4::text[]))))

-- name: unfinished
-- Of a recording r and its call: the tag, and its progress. $2 to $4: as for kept_until.
r.id AS recording_id, r.call_id, r.controller, r.campaign, r.revision, r.purpose, r.legal_basis, r.mode,
r.notice_version, coalesce(r.started_at, r.tagged_at) AS started_at, r.delete_at, r.channels,
r.started_at IS NOT NULL AS begun, r.lead_ms, r.ended_at AS ended,
/* kept_until */ AS until
FROM recordings r JOIN calls ON calls.id = r.call_id

-- name: unfinished_recordings
SELECT /* unfinished */
WHERE r.state IN ('tagged', 'recording', 'finished') AND r.state = ANY ($5) AND calls.asterisk = $1

-- name: unfinished_recording
SELECT /* unfinished */
WHERE r.id = $1 AND r.state IN ('tagged', 'recording', 'finished')

-- name: told_lost
-- Whether the journal of its call says that a recording r is lost.
EXISTS (SELECT FROM call_events e JOIN call_event_fields f USING (call_id, seq)
        WHERE e.call_id = r.call_id AND e.event = 'recording_lost' AND f.fields->>'recording' = r.id::text)

-- name: waiting_recordings
-- Recordings that wait for their file: finished; or counted as lost, perhaps because a disk was not mounted; or without a known end, in a
-- call that ended so long ago that nothing can still be recording.
SELECT /* told_lost */ AS told_lost, /* unfinished */
WHERE r.id = ANY($1)
  AND (r.state = 'finished' OR r.state = 'failed' AND (r.started_at IS NOT NULL OR /* told_lost */)
       OR r.state IN ('tagged', 'recording') AND calls.ended_at < now() - interval '5 minutes')

-- name: deserted_recordings
-- Unfinished for a week, on an Asterisk without calls for as long: it is gone or renamed, and nobody else would ever settle them. $1:
-- those whose files are here after all. Not a recording that was lost within the week and found on another node, as two nodes would take
-- it from one another. The week's calls, which may be millions, are read once, and not for each recording.
WITH lately AS MATERIALIZED (SELECT DISTINCT asterisk FROM calls WHERE opened_at > now() - interval '7 days')
SELECT /* unfinished */
WHERE r.state IN ('tagged', 'recording', 'finished') AND r.tagged_at < now() - interval '7 days' AND r.id <> ALL ($1)
  AND calls.ended_at IS NOT NULL
  AND calls.asterisk NOT IN (SELECT asterisk FROM lately)
  AND NOT EXISTS (SELECT FROM call_events e JOIN call_event_fields f USING (call_id, seq)
                  WHERE e.call_id = r.call_id AND e.event = 'recording_lost' AND f.fields->>'recording' = r.id::text
                    AND e.at > now() - interval '7 days')

-- name: take_up_recording
-- A recording that counted as lost, and was found, now waits for its file like the others.
WITH found AS (
    UPDATE recordings SET state = 'finished' WHERE id = $1 AND state = 'failed' RETURNING id
)
SELECT id FROM found
UNION ALL
SELECT id FROM recordings WHERE id = $1 AND state IN ('tagged', 'recording', 'finished')

-- name: unfinished_by_state
-- Late: recordings that should have been stored, or ended, long ago. $1: how long after its tag, which is written just before it, a
-- recording must have ended. A call's recordings are settled when it ends, and each colleague whom it is handed over to has a leg that
-- may live as long as the first agent's; a caller's leg has no limit of ours.
SELECT state, count(*),
       count(*) FILTER (WHERE state = 'finished' AND stopped_at < now() - interval '1 hour'
                           OR state IN ('tagged', 'recording') AND tagged_at < now() - $1::interval
                              AND NOT EXISTS (SELECT FROM call_events e WHERE e.call_id = r.call_id AND e.event = 'call_handed_over'
                                                                          AND e.at > now() - $1::interval)) AS late
FROM recordings r WHERE state IN ('tagged', 'recording', 'finished') GROUP BY state

-- name: settled_recordings
SELECT id FROM recordings r
WHERE id = ANY($1)
  AND (state IN ('stored', 'discarded', 'deleted') OR state = 'failed' AND started_at IS NULL AND NOT /* told_lost */)

-- name: recordings_in_place
-- $2 to $4: as for kept_until.
SELECT r.id AS recording_id, r.call_id, r.controller, r.campaign, r.revision, r.purpose, r.legal_basis, r.mode, r.notice_version,
       coalesce(r.started_at, r.tagged_at) AS started_at, r.delete_at, r.channels,
       r.file, r.format, r.duration_ms, r.sha256, r.bytes AS size, r.file_sha256, r.recipients, r.silent,
       /* kept_until */ AS until,
       (SELECT coalesce(json_agg(json_build_array(event, fields) ORDER BY seq), '[]')
        FROM call_events JOIN call_event_fields USING (call_id, seq)
        WHERE call_id = r.call_id AND event IN ('recording_tagged', 'recording_stored')
          AND fields ->> 'recording' = r.id::text) AS told
FROM recordings r WHERE r.state = 'stored' AND ($1::uuid IS NULL OR r.id = $1) ORDER BY r.tagged_at, r.id

-- name: recordings_told_otherwise
-- Recordings whose row (``state``: NULL if there is none) disagrees with the call's journal on their end. The journal says that they were
-- stored and not lost, and the row says neither stored nor deleted; or only the row says deleted.
SELECT told.id, told.call_id, told.file, r.state
FROM (SELECT DISTINCT f.fields ->> 'recording' AS id, e.call_id, f.fields ->> 'file' AS file
        FROM call_events e JOIN call_event_fields f USING (call_id, seq)
       WHERE e.event = 'recording_stored' AND f.fields ->> 'recording' IS NOT NULL) AS told
LEFT JOIN recordings r ON r.id::text = told.id AND r.call_id = told.call_id
WHERE coalesce(r.state, '') NOT IN ('stored', 'deleted')
  AND NOT EXISTS (SELECT FROM call_events e JOIN call_event_fields f USING (call_id, seq)
                   WHERE e.call_id = told.call_id AND e.event = 'recording_lost' AND f.fields ->> 'recording' = told.id)
UNION ALL
SELECT min(r.id::text), r.call_id, min(r.file), 'deleted' FROM recordings r WHERE r.state = 'deleted' GROUP BY r.call_id
HAVING count(*) > (SELECT count(*) FROM call_events e WHERE e.call_id = r.call_id AND e.event = 'recording_deleted')

-- name: kept_recordings
-- Recordings whose file may be in place, or may still arrive.
SELECT id FROM recordings WHERE id = ANY($1) AND state NOT IN ('discarded', 'deleted')

-- name: count_recordings_in_place
SELECT count(*) FROM recordings WHERE state = 'stored'

-- name: recording_limit
-- When a recording r is due by the limit of its campaign. A node whose clock was more than a day behind, such as at its boot, dated it too
-- early, perhaps before it was made: then its days count from when it was tagged, by the database's clock. Not if that is yet to come:
-- the database's clock was fast.
r.delete_at + CASE WHEN r.tagged_at - r.started_at > interval '1 day' AND r.tagged_at <= now() THEN r.tagged_at - r.started_at
                   ELSE interval '0' END
