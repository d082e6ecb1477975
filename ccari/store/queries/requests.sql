-- name: next_reference
INSERT INTO request_counters AS counter (controller, year, last) VALUES ($1, $2, 1)
ON CONFLICT (controller, year) DO UPDATE SET last = counter.last + 1
RETURNING last

-- name: add_request
INSERT INTO rights_requests (reference, controller, campaign, call_id, "right", article, state, key, notice_version,
                             number, digest, key_version, received_at, due, purpose, language, channel, number_from,
                             level, closed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
        CASE WHEN $7 IN ('fulfilled', 'refused', 'withdrawn') THEN clock_timestamp() END)

-- name: add_request_event
INSERT INTO request_events (reference, seq, who, state, level, due, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: queue_forward
INSERT INTO forwards (reference, seq) VALUES ($1, $2)

-- name: withdraw_consents
-- A consent that was given after the withdrawal was received stands.
UPDATE consents SET withdrawn_at = $4
WHERE controller = $1 AND digest = ANY ($2) AND ($3::text IS NULL OR purpose = $3)
  AND withdrawn_at IS NULL AND given_at <= $4

-- name: request_of_call
SELECT reference FROM rights_requests WHERE call_id = $1 AND "right" = $2

-- name: list_requests
SELECT reference, controller, campaign, "right", article, state, received_at, due, call_id, key, number, registered_at
FROM rights_requests WHERE $1::text IS NULL OR controller = $1
ORDER BY due, reference LIMIT $2
