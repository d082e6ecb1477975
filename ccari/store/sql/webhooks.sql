-- name: lock_webhooks
SELECT pg_advisory_xact_lock(hashtextextended('webhooks', 0))

-- name: know_webhook
INSERT INTO webhook_endpoints (name, events, controllers) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET events = excluded.events, controllers = excluded.controllers, seen_at = clock_timestamp()

-- name: drop_webhooks
DELETE FROM webhook_endpoints WHERE seen_at <= clock_timestamp() - $1::interval RETURNING name

-- name: webhooks_of_nobody
-- Webhooks that messages wait for, but that no longer exist. Each name is looked up in the index, however many messages wait.
WITH RECURSIVE waited_for AS (
    SELECT min(endpoint) AS endpoint FROM webhook_deliveries WHERE state = 'waiting'
    UNION ALL
    SELECT (SELECT min(d.endpoint) FROM webhook_deliveries d WHERE d.state = 'waiting' AND d.endpoint > w.endpoint)
    FROM waited_for w WHERE w.endpoint IS NOT NULL)
SELECT endpoint FROM waited_for
WHERE endpoint IS NOT NULL AND endpoint NOT IN (SELECT name FROM webhook_endpoints)

-- name: give_up_webhook
-- Give up messages for an endpoint that does not exist.
UPDATE webhook_deliveries SET state = 'given_up', settled_at = clock_timestamp(), fault = 'there is no such webhook any more'
WHERE id = ANY (ARRAY(
    SELECT id FROM webhook_deliveries
    WHERE state = 'waiting' AND endpoint = $1 AND NOT EXISTS (SELECT FROM webhook_endpoints WHERE name = $1)
    LIMIT 5000 FOR UPDATE SKIP LOCKED))
RETURNING id

-- name: turn_to_look_at_terms
-- One node of the fleet at a time, until the transaction ends.
SELECT pg_try_advisory_xact_lock(hashtextextended('webhooks of terms', 0))

-- name: tell_of_terms
-- Open requests that are due within $5 days. $1 to $3: as for local_today; $4: the event; $6: whether to select overdue requests or those
-- not yet overdue.
INSERT INTO webhook_deliveries (endpoint, event, subject, controller, due)
SELECT e.name, $4, r.reference, r.controller, r.due
FROM rights_requests r
/* local_today */
JOIN webhook_endpoints e ON $4 = ANY (e.events) AND (e.controllers IS NULL OR r.controller = ANY (e.controllers))
WHERE r.closed_at IS NULL AND r.due - local.today <= $5 AND (r.due < local.today) = $6
ON CONFLICT DO NOTHING

-- name: give_up_narrowed
-- Messages for these endpoints that their settings no longer include, by event or controller; but none that is being tried now.
UPDATE webhook_deliveries SET state = 'given_up', settled_at = clock_timestamp(), fault = 'the webhook is told of this no more'
WHERE id = ANY (ARRAY(
    SELECT d.id FROM webhook_deliveries d JOIN webhook_endpoints e ON e.name = d.endpoint
    WHERE d.state = 'waiting' AND d.endpoint = ANY ($1::text[]) AND d.next_try_at <= now()
      AND (d.event = ANY (e.events) AND (e.controllers IS NULL OR d.controller = ANY (e.controllers))) IS NOT TRUE
    LIMIT 5000 FOR UPDATE OF d SKIP LOCKED))
RETURNING endpoint

-- name: deliveries_of_a_fast_clock
-- A message that was never tried is due, even if a fast clock queued it; so is one that would wait for longer than any pause, since a fast
-- clock tried it. Not asked as each is claimed: one look at the index would not do.
UPDATE webhook_deliveries SET next_try_at = now()
WHERE id = ANY (ARRAY(
    SELECT id FROM webhook_deliveries
    WHERE state = 'waiting' AND endpoint = ANY ($1::text[])
      AND (tries = 0 AND next_try_at > now() + interval '1 minute' OR next_try_at > now() + interval '7 hours')
    LIMIT 5000 FOR UPDATE SKIP LOCKED))
RETURNING id

-- name: claim_delivery
-- Untried messages go before failed ones, so that a webhook that accepts only some gets those at once. $3, $4: the events and controllers
-- of the endpoint on this node; another node may have written others into the table.
WITH claimed AS (
    UPDATE webhook_deliveries SET tries = tries + 1, first_try_at = least(first_try_at, now()), next_try_at = now() + $2
    WHERE id = (
        SELECT id FROM webhook_deliveries WHERE state = 'waiting' AND endpoint = $1 AND next_try_at <= now()
          AND event = ANY ($3::text[]) AND ($4::text[] IS NULL OR controller = ANY ($4))
        ORDER BY (tries = 0) DESC, next_try_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, message, endpoint, event, subject, at, tries)
SELECT * FROM claimed

-- name: call_told
SELECT id AS call_id, controller, campaign, direction, legal_basis, revision, agent, number_masked AS number, outcome, reason,
       opened_at, dialled_at, heard_at, ended_at
FROM calls WHERE id = $1

-- name: recording_told
SELECT id AS recording_id, call_id, controller, campaign, revision, purpose, legal_basis, mode, state, started_at, duration_ms,
       delete_at, encode(sha256, 'hex') AS sha256
FROM recordings WHERE id = $1

-- name: request_told
SELECT reference, controller, campaign, "right", article, state, level, channel, call_id, number, received_at,
       registered_at, due, extended_at, closed_at
FROM rights_requests WHERE reference = $1

-- name: delivery_made
-- Only if $2 is the newest attempt: another node may have taken over after the lease ended.
UPDATE webhook_deliveries SET state = 'delivered', settled_at = clock_timestamp(), fault = ''
WHERE id = $1 AND tries = $2 AND state = 'waiting'

-- name: delivery_failed
UPDATE webhook_deliveries SET
    fault = $3,
    next_try_at = clock_timestamp() + $4,
    state = CASE WHEN first_try_at + $5 <= clock_timestamp() THEN 'given_up' ELSE state END,
    settled_at = CASE WHEN first_try_at + $5 <= clock_timestamp() THEN clock_timestamp() END
WHERE id = $1 AND tries = $2 AND state = 'waiting'
RETURNING state = 'given_up'

-- name: give_up_late_deliveries
-- But none that is being tried now.
UPDATE webhook_deliveries SET state = 'given_up', settled_at = clock_timestamp(), fault = CASE fault WHEN '' THEN $2 ELSE fault END
WHERE id = ANY (ARRAY(
    SELECT id FROM webhook_deliveries
    WHERE state = 'waiting' AND endpoint = $1 AND next_try_at <= now() AND coalesce(first_try_at, at) + $3::interval <= now()
    LIMIT 5000 FOR UPDATE SKIP LOCKED))
RETURNING id

-- name: forget_deliveries
-- A row about a due date is kept until long after that date, since it records that the date was announced.
DELETE FROM webhook_deliveries
WHERE id = ANY (ARRAY(
    SELECT id FROM webhook_deliveries
    WHERE state <> 'waiting' AND settled_at < now() - $1::interval
      AND CASE state WHEN 'given_up' THEN endpoint NOT IN (SELECT name FROM webhook_endpoints)
                     ELSE due = 'epoch' OR due < current_date - 366 END
    LIMIT 5000 FOR UPDATE SKIP LOCKED))
RETURNING id

-- name: list_deliveries
SELECT id, message, endpoint, event, subject, controller, state, tries, at, first_try_at,
       CASE WHEN state = 'waiting' THEN next_try_at END AS next_try_at, settled_at, fault
FROM webhook_deliveries
WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR endpoint = $2)
  AND ($3::text[] IS NULL OR controller = ANY ($3)) AND ($5::bigint IS NULL OR id < $5)
ORDER BY id DESC LIMIT $4

-- name: retry_deliveries
-- Like retry_forwards.
UPDATE webhook_deliveries SET state = 'waiting', settled_at = NULL, tries = 0, first_try_at = now(), next_try_at = now()
WHERE id = ANY (ARRAY(
    SELECT d.id FROM webhook_deliveries d
    JOIN webhook_endpoints e ON e.name = d.endpoint
     AND d.event = ANY (e.events) AND (e.controllers IS NULL OR d.controller = ANY (e.controllers))
    WHERE (d.state = 'given_up' OR (d.state = 'waiting' AND d.next_try_at > now() + interval '2 minutes'))
      AND ($1::bigint IS NULL OR d.id = $1) AND ($2::text IS NULL OR d.endpoint = $2)
      AND ($3::text[] IS NULL OR d.controller = ANY ($3))
    LIMIT 5000 FOR UPDATE OF d SKIP LOCKED))
RETURNING id

-- name: discard_deliveries
-- The rows stay for a while, like those of deliveries, so that a due date is not announced again.
UPDATE webhook_deliveries SET state = 'discarded', settled_at = clock_timestamp()
WHERE id = ANY (ARRAY(
    SELECT id FROM webhook_deliveries
    WHERE state = 'given_up' AND ($1::bigint IS NULL OR id = $1) AND ($2::text IS NULL OR endpoint = $2)
    LIMIT 5000 FOR UPDATE SKIP LOCKED))
RETURNING id
