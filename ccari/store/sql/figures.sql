-- name: open_requests
-- $1 to $3: as of local_today; $4: within how many days a request is due soon.
SELECT CASE WHEN r.due < local.today THEN 'overdue' WHEN r.due - local.today <= $4 THEN 'soon' ELSE 'later' END AS urgency,
       count(*)
FROM rights_requests r
/* local_today */
WHERE r.closed_at IS NULL GROUP BY urgency

-- name: turn_to_count
SELECT pg_try_advisory_lock(hashtextextended('figures', 0))

-- name: counted_figures
-- Not fresh: what a fast clock counted, which would be shown until that time has come.
SELECT held::text AS held, at <= clock_timestamp() AND clock_timestamp() - at < $1::interval AS fresh FROM counted_figures

-- name: keep_figures
INSERT INTO counted_figures (at, held) VALUES (clock_timestamp(), $1::jsonb)
ON CONFLICT (one) DO UPDATE SET at = excluded.at, held = excluded.held

-- name: suppressions_by_reason
SELECT reason, count(*) FROM suppressions WHERE expires_at IS NULL OR expires_at > now() GROUP BY reason

-- name: recordings_by_state
SELECT state, count(*) FROM recordings GROUP BY state

-- name: requests_by_right
SELECT "right", channel, count(*) FROM rights_requests GROUP BY "right", channel

-- name: deliveries_by_state
SELECT endpoint, state, count(*), min(coalesce(first_try_at, at)) AS since FROM webhook_deliveries WHERE state IN ('waiting', 'given_up') GROUP BY endpoint, state

-- name: forwards_by_state
SELECT state, count(*), min(coalesce(first_try_at, queued_at)) AS since FROM forwards WHERE state <> 'not_needed' GROUP BY state
