-- name: count_calls
-- A call was answered if the notice was heard, or if it has an outcome that only an answered call has. callee_hangup is such an outcome
-- if we rang the callee.
SELECT date_trunc($3, opened_at AT TIME ZONE $4) AS begins, outcome,
       CASE WHEN outcome = 'blocked' THEN reason END AS reason, count(*) AS calls,
       count(*) FILTER (WHERE heard_at IS NOT NULL
                           OR outcome IN ('bridged', 'notice_failed', 'right_exercised', 'recording_refused')
                           OR (outcome = 'callee_hangup' AND direction <> 'inbound')) AS answered,
       count(*) FILTER (WHERE heard_at IS NOT NULL) AS heard,
       count(*) FILTER (WHERE direction = 'callee_first' AND heard_at IS NOT NULL) AS power,
       count(*) FILTER (WHERE direction = 'callee_first' AND reason = 'abandoned') AS abandoned
FROM calls WHERE opened_at >= $1 AND ($2::text[] IS NULL OR controller = ANY ($2))
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3

-- name: count_rights
SELECT "right", count(*) AS count FROM rights_requests
WHERE received_at >= $1 AND ($2::text[] IS NULL OR controller = ANY ($2)) GROUP BY 1

-- name: count_due
-- $1 to $3: as of local_today; $5: within how many days a request is due soon.
SELECT count(*) AS open, count(*) FILTER (WHERE r.due < local.today) AS overdue,
       count(*) FILTER (WHERE r.due = local.today) AS today,
       count(*) FILTER (WHERE r.due - local.today BETWEEN 1 AND $5) AS soon
FROM rights_requests r
/* local_today */
WHERE r.closed_at IS NULL AND ($4::text[] IS NULL OR r.controller = ANY ($4))
