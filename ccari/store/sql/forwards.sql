-- name: forwards_outlook
-- As in claim_forward: a change that was never tried is due, even if a fast clock queued it. So is one that would wait for longer than any
-- pause: a fast clock tried it.
SELECT EXISTS (SELECT FROM forwards
               WHERE state = 'waiting' AND (tries = 0 OR next_try_at <= now() OR next_try_at > now() + interval '7 hours')) AS due,
       (SELECT max(revision) FROM policy_revisions) AS revision

-- name: forwards_not_needed
UPDATE forwards f SET state = 'not_needed', settled_at = now(), number = NULL
FROM rights_requests r
WHERE f.state = 'waiting' AND r.reference = f.reference AND r.controller <> ALL ($1)

-- name: forwards_needed_after_all
-- Open requests only: a controller that is newly forwarded to is not told of closed ones.
UPDATE forwards f SET state = 'waiting', settled_at = NULL, tries = 0, first_try_at = NULL, next_try_at = now(), number = r.number
FROM rights_requests r
WHERE f.state = 'not_needed' AND r.reference = f.reference AND r.closed_at IS NULL AND r.controller = ANY ($1)

-- name: claim_forward
-- The changes of one request are sent in order: none while an earlier one waits.
WITH claimed AS (
    UPDATE forwards SET tries = tries + 1, first_try_at = least(first_try_at, now()), next_try_at = now() + $2
    WHERE (reference, seq) = (
        SELECT f.reference, f.seq FROM forwards f JOIN rights_requests r USING (reference)
        WHERE f.state = 'waiting' AND (f.tries = 0 OR f.next_try_at <= now() OR f.next_try_at > now() + interval '7 hours')
          AND r.controller = $1
          AND NOT EXISTS (SELECT FROM forwards earlier
                          WHERE earlier.reference = f.reference AND earlier.seq < f.seq AND earlier.state = 'waiting')
        ORDER BY f.next_try_at, f.reference, f.seq LIMIT 1 FOR UPDATE OF f SKIP LOCKED)
    RETURNING reference, seq, tries, webhook_at, folder_at, number)
SELECT c.reference, c.seq, c.tries, c.webhook_at IS NOT NULL AS webhook, c.folder_at IS NOT NULL AS folder,
       r.controller, r.campaign, r.purpose, r."right", r.article, c.number, r.received_at,
       e.at, e.state, e.level, e.due, coalesce(d.reason, 'erased') AS reason
FROM claimed c
JOIN rights_requests r USING (reference)
JOIN request_events e USING (reference, seq)
LEFT JOIN request_event_details d USING (reference, seq)

-- name: forward_delivered
-- Only if $3 is the newest attempt: another node may have taken over after the lease ended.
UPDATE forwards SET state = 'delivered', settled_at = clock_timestamp(), fault = '', number = NULL,
    webhook_at = CASE WHEN 'webhook' = ANY ($4::text[]) THEN clock_timestamp() ELSE webhook_at END,
    folder_at = CASE WHEN 'folder' = ANY ($4::text[]) THEN clock_timestamp() ELSE folder_at END
WHERE reference = $1 AND seq = $2 AND tries = $3 AND state = 'waiting'

-- name: forward_failed
-- FOR SHARE waits for a concurrent closure of the request: whichever runs second removes the number from what was given up.
WITH request AS (SELECT closed_at FROM rights_requests WHERE reference = $1 FOR SHARE)
UPDATE forwards SET
    fault = $5,
    next_try_at = clock_timestamp() + $6,
    number = CASE WHEN first_try_at + $7 <= clock_timestamp() AND request.closed_at IS NOT NULL THEN NULL ELSE number END,
    state = CASE WHEN first_try_at + $7 <= clock_timestamp() THEN 'given_up' ELSE state END,
    settled_at = CASE WHEN first_try_at + $7 <= clock_timestamp() THEN clock_timestamp() END,
    webhook_at = CASE WHEN 'webhook' = ANY ($4::text[]) THEN clock_timestamp() ELSE webhook_at END,
    folder_at = CASE WHEN 'folder' = ANY ($4::text[]) THEN clock_timestamp() ELSE folder_at END
FROM request
WHERE reference = $1 AND seq = $2 AND tries = $3 AND state = 'waiting'
RETURNING state = 'given_up'

-- name: list_forwards
-- Given-up changes first, then waiting ones, then delivered ones. Waiting ones are listed only for controllers that are forwarded to
-- ($1).
SELECT f.reference, f.seq, r.controller, r."right", f.state, f.tries, f.queued_at, f.first_try_at,
       CASE WHEN f.state = 'waiting' THEN f.next_try_at END AS next_try_at, f.settled_at, f.fault
FROM forwards f JOIN rights_requests r USING (reference)
WHERE f.state <> 'not_needed' AND (f.state <> 'waiting' OR r.controller = ANY ($1))
ORDER BY array_position(ARRAY['given_up', 'waiting'], f.state), f.queued_at DESC, f.reference, f.seq DESC LIMIT $2

-- name: forwards_of_request
SELECT f.seq, CASE WHEN f.state = 'waiting' AND r.controller <> ALL ($2) THEN 'not_needed' ELSE f.state END AS state,
       f.tries, f.queued_at, f.webhook_at, f.folder_at, f.settled_at, f.fault
FROM forwards f JOIN rights_requests r USING (reference) WHERE f.reference = $1 ORDER BY f.seq

-- name: forwards_without_number
-- Given-up changes from before the request was closed ($2: the closed states) that no longer have the number.
SELECT f.seq FROM forwards f JOIN request_events e USING (reference, seq)
WHERE f.reference = $1 AND f.state = 'given_up' AND f.number IS NULL AND e.state <> ALL ($2) ORDER BY f.seq

-- name: retry_forwards
-- What was given up, and what is due only in more than two minutes: a change that is being sent is due sooner, when its lease ends.
UPDATE forwards SET state = 'waiting', settled_at = NULL, tries = 0, first_try_at = now(), next_try_at = now()
WHERE reference = $1 AND (state = 'given_up' OR (state = 'waiting' AND next_try_at > now() + interval '2 minutes'))
RETURNING seq

-- name: retry_forwards_to
-- Like retry_forwards, for a controller's requests, except what forwards_without_number gives. Were all due at the same moment, each claim
-- would sort them.
UPDATE forwards f SET state = 'waiting', settled_at = NULL, tries = 0, first_try_at = now(), next_try_at = LEAST(f.next_try_at, now())
FROM rights_requests r, request_events e
WHERE r.controller = $1 AND r.reference = f.reference AND e.reference = f.reference AND e.seq = f.seq
  AND ((f.state = 'given_up' AND (f.number IS NOT NULL OR e.state = ANY ($2)))
       OR (f.state = 'waiting' AND f.next_try_at > now() + interval '2 minutes'))
RETURNING f.seq

-- name: hasten_forwards
-- As in retry_forwards, a change that is being sent stays as it is. Were all due at the same moment, each claim would sort them.
UPDATE forwards f SET next_try_at = f.next_try_at - $2::interval FROM rights_requests r
WHERE f.state = 'waiting' AND f.next_try_at > now() + interval '2 minutes' AND r.reference = f.reference AND r.controller = $1

-- name: told_otherwise
UPDATE forwards SET state = 'delivered', settled_at = clock_timestamp(), fault = '', number = NULL
WHERE reference = $1 AND state = 'given_up'
RETURNING seq
