-- name: tag_recording
INSERT INTO recordings (id, call_id, revision, controller, campaign, purpose, legal_basis, mode, notice_version,
                        delete_at, channels)
SELECT $1, calls.id, calls.revision, calls.controller, calls.campaign, $3, $4, $5, calls.notice_version, $6, $7
FROM calls WHERE calls.id = $2 AND calls.heard_at IS NOT NULL
  AND ($5 <> 'opt_in' OR EXISTS (SELECT FROM call_events WHERE call_id = $2 AND event = 'recording_agreed'))
RETURNING id

-- name: recording_started
UPDATE recordings SET state = 'recording', started_at = $2, lead_ms = $3 WHERE id = $1 AND state = 'tagged'

-- name: recording_keep_until
UPDATE recordings SET keep_until = least(keep_until, $2) WHERE id = $1 AND state IN ('tagged', 'recording')

-- name: recording_finished
UPDATE recordings SET state = 'finished', stopped_at = clock_timestamp(), keep_until = least(keep_until, $2)
WHERE id = $1 AND state IN ('tagged', 'recording')

-- name: recording_stored
UPDATE recordings SET state = 'stored', stopped_at = coalesce(stopped_at, clock_timestamp()), file = $2, format = $3,
                      duration_ms = $4, sha256 = $5, bytes = $6, file_sha256 = $7, recipients = $8, silent = $9,
                      started_at = coalesce(started_at, $10)
WHERE id = $1 AND state IN ('tagged', 'recording', 'finished', 'failed')
RETURNING id

-- name: recording_ended
UPDATE recordings SET state = $2, stopped_at = coalesce(stopped_at, clock_timestamp())
WHERE id = $1 AND state IN ('tagged', 'recording', 'finished')
RETURNING id

-- name: unfinished_recordings
SELECT r.id AS recording_id, r.call_id, r.controller, r.campaign, r.revision, r.purpose, r.legal_basis, r.mode,
       r.notice_version, coalesce(r.started_at, r.tagged_at) AS started_at, r.delete_at, r.channels,
       r.started_at IS NOT NULL AS begun, r.lead_ms,
       least(r.keep_until, (SELECT min(received_at) FROM rights_requests
                            WHERE rights_requests.call_id = r.call_id AND "right" = ANY($2))) AS until
FROM recordings r JOIN calls ON calls.id = r.call_id
WHERE r.state IN ('tagged', 'recording') AND calls.asterisk = $1

-- name: waiting_recordings
-- Of a call that is over for so long nothing is being recorded any more, though nobody has seen the end; and what was
-- taken for lost, while the disk was not mounted, say, is not.
SELECT r.id AS recording_id, r.call_id, r.controller, r.campaign, r.revision, r.purpose, r.legal_basis, r.mode,
       r.notice_version, coalesce(r.started_at, r.tagged_at) AS started_at, r.delete_at, r.channels,
       r.started_at IS NOT NULL AS begun, r.lead_ms,
       least(r.keep_until, (SELECT min(received_at) FROM rights_requests
                            WHERE rights_requests.call_id = r.call_id AND "right" = ANY($2))) AS until
FROM recordings r JOIN calls ON calls.id = r.call_id
WHERE r.id = ANY($1)
  AND (r.state = 'finished' OR r.state = 'failed' AND r.started_at IS NOT NULL
       OR r.state IN ('tagged', 'recording') AND calls.ended_at < now() - interval '5 minutes')

-- name: late_recordings
-- Nothing is recorded for longer than a leg lives; the tag is written just before.
SELECT count(*) FROM recordings
WHERE state = 'finished' AND stopped_at < now() - interval '1 hour'
   OR state IN ('tagged', 'recording') AND tagged_at < now() - interval '5 hours'

-- name: settled_recordings
SELECT id FROM recordings
WHERE id = ANY($1) AND (state IN ('stored', 'discarded', 'deleted') OR state = 'failed' AND started_at IS NULL)

-- name: recordings_in_place
SELECT id AS recording_id, call_id, controller, campaign, revision, purpose, legal_basis, mode, notice_version,
       coalesce(started_at, tagged_at) AS started_at, delete_at, channels,
       file, format, duration_ms, sha256, bytes AS size, file_sha256, recipients, silent
FROM recordings WHERE state = 'stored' AND ($1::uuid IS NULL OR id = $1) ORDER BY tagged_at, id

-- name: count_recordings_in_place
SELECT count(*) FROM recordings WHERE state = 'stored'
