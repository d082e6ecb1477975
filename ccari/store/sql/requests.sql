-- name: next_reference
INSERT INTO request_counters AS counter (controller, year, last) VALUES ($1, $2, 1)
ON CONFLICT (controller, year) DO UPDATE SET last = counter.last + 1
RETURNING last

-- name: now_at_the_earliest
SELECT greatest($1::timestamptz, now())

-- name: add_request
INSERT INTO rights_requests (reference, controller, campaign, call_id, "right", article, state, key, notice_version,
                             number, digest, key_version, received_at, due, purpose, language, channel, number_from,
                             level, digests, exercise_id, closed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
        CASE WHEN $22 THEN clock_timestamp() END)

-- name: lock_request_chain
SELECT events, last_link, clock_timestamp() AS at FROM rights_requests WHERE reference = $1 FOR UPDATE

-- name: add_request_event
WITH added AS (
    INSERT INTO request_events (reference, seq, at, state, level, due, commitment, link)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
), told AS (
    INSERT INTO request_event_details (reference, seq, salt, who, reason, asserted) VALUES ($1, $2, $9, $10, $11, $12)
)
UPDATE rights_requests SET events = $2, last_link = $8, expired_at = NULL WHERE reference = $1

-- name: queue_forward
INSERT INTO forwards (reference, seq, number) VALUES ($1, $2, $3)

-- name: request_of_call
-- The same right was pressed earlier in the call; or this very press was registered, and the reply was lost.
SELECT reference FROM rights_requests WHERE (call_id = $1 AND "right" = $2) OR exercise_id = $3

-- name: request_entered_as
SELECT reference, controller, "right", state, level, digest, received_at, due,
       registered_at > now() - $2::interval AS is_recent
FROM rights_requests WHERE exercise_id = $1

-- name: is_told_of
SELECT EXISTS (
    SELECT FROM call_events JOIN call_event_fields USING (call_id, seq)
    WHERE call_id = $1 AND event = 'right_registered' AND fields ->> 'reference' = $2)

-- name: is_recorded
SELECT EXISTS (SELECT FROM recordings WHERE call_id = $1 AND state IN ('tagged', 'recording', 'finished', 'stored'))

-- name: lock_request
SELECT reference, controller, "right", article, state, level, number, received_at, due, extended_at IS NOT NULL AS extended
FROM rights_requests WHERE reference = $1 FOR UPDATE

-- name: change_request
-- When a request is closed, given-up forwards are tried once more: the controller must be told (Art 28(3)(e)) with the number, which is
-- kept no longer than that. This transaction also queues the closure, behind them.
WITH given_up AS (
    UPDATE forwards SET state = 'waiting', settled_at = NULL, tries = 0, first_try_at = NULL, next_try_at = now()
    WHERE $6 AND reference = $1 AND state = 'given_up' AND number IS NOT NULL)
UPDATE rights_requests SET
    state = $2, level = $3, due = $4,
    extended_at = CASE WHEN $5 THEN clock_timestamp() ELSE extended_at END,
    closed_at = CASE WHEN $6 THEN clock_timestamp() END,
    number = CASE WHEN $6 THEN NULL ELSE number END
WHERE reference = $1

-- name: local_today
-- The local date of the controller of a request r. $1 and $2: the controllers, each with its local date; $3: the date for any other.
CROSS JOIN LATERAL (
    SELECT coalesce((SELECT each.today FROM unnest($1::text[], $2::date[]) AS each (controller, today)
                     WHERE each.controller = r.controller), $3::date) AS today) AS local

-- name: refusal_of_request
-- The day by which a person must be told if a request r is refused, where it differs from the due date: an extension does not extend it,
-- Art 12(4). It is the day that the request was entered with; calendars may have changed since.
CASE WHEN r.extended_at IS NOT NULL AND r.closed_at IS NULL
     THEN (SELECT e.due FROM request_events e WHERE e.reference = r.reference ORDER BY e.seq LIMIT 1) END AS refuse_by

-- name: listed_of_request
-- Of a request r, as of ``today``.
r.reference, r.controller, r.campaign, r."right", r.article, r.state, r.level, r.received_at, r.due,
CASE WHEN r.closed_at IS NULL THEN r.due - today END AS days_left, r.closed_at IS NULL AND r.due < today AS overdue,
r.channel, r.call_id, r.key, r.number, r.registered_at, r.closed_at,
/* refusal_of_request */

-- name: wanted_requests
-- The rows of list_requests.
SELECT r.*, local.today
FROM rights_requests r
/* local_today */
WHERE ($4::text IS NULL OR r.controller = $4)
  AND ($5::text[] IS NULL OR r.state = ANY ($5))
  AND ($6::text IS NULL OR r."right" = $6)
  AND (NOT $7::boolean OR r.closed_at IS NULL)
  AND ($8::integer IS NULL OR (r.closed_at IS NULL AND r.due - local.today <= $8))
  AND ($10::text[] IS NULL OR r.controller = ANY ($10))
  AND ($11::date IS NULL OR (r.closed_at IS NULL AND r.due < $11))
  AND ($15::text IS NULL OR r.reference = $15 OR (left($15, 1) = '-' AND right(r.reference, length($15)) = $15))
  AND ($14::text IS NULL OR (r.closed_at IS NOT NULL, r.due, r.reference) > ($12::boolean, $13::date, $14))

-- name: list_requests
-- $1 to $3: as for local_today. $12 to $14: the last request of the previous page. Open and closed requests are read separately, each in
-- the order of an index: sorting a million takes nearly two seconds. $15: a whole reference, or the end of one, which begins with a
-- hyphen: a whole reference may be the end of another controller's.
SELECT /* listed_of_request */
FROM ((/* wanted_requests */
         AND r.closed_at IS NULL ORDER BY r.due, r.reference LIMIT $9)
      UNION ALL
      (/* wanted_requests */
         AND r.closed_at IS NOT NULL AND r.due >= CASE WHEN $12::boolean THEN $13::date ELSE '-infinity' END
         ORDER BY r.due, r.reference LIMIT $9)) AS r
ORDER BY r.closed_at IS NOT NULL, r.due, r.reference LIMIT $9

-- name: requests_asked_under
-- $1 to $3: as for local_today. $4 and $5: controllers, each with a digest of the number under one of its secrets.
SELECT /* listed_of_request */
FROM rights_requests r
/* local_today */
WHERE r.digests && $5::bytea[]
  AND EXISTS (SELECT FROM unnest($4::text[], $5::bytea[]) AS sought (controller, digest)
              WHERE sought.controller = r.controller AND sought.digest = ANY (r.digests))
ORDER BY r.received_at DESC, r.reference DESC LIMIT $6

-- name: show_request
SELECT reference, "right", article, state, level, controller, campaign, purpose, number, number_from, channel, call_id,
       key, notice_version, language, received_at, registered_at, due, extended_at, closed_at, digest, key_version,
       (SELECT max(e.finished_at) FROM erasures e WHERE e.reference = r.reference) AS erased_at,
       EXISTS (SELECT FROM erasures e WHERE e.reference = r.reference AND e.finished_at IS NULL) AS erasing, expired_at, events,
       last_link, /* refusal_of_request */
FROM rights_requests r WHERE reference = $1

-- name: request_history
SELECT e.seq, e.at, coalesce(d.who, 'erased') AS who, e.state, e.level, e.due, coalesce(d.reason, 'erased') AS reason
FROM request_events e LEFT JOIN request_event_details d USING (reference, seq) WHERE reference = $1 ORDER BY seq

-- name: request_journal
SELECT e.seq, e.at, e.state, e.level, e.due, e.commitment, e.link, d.salt, d.who, d.reason, d.asserted
FROM request_events e LEFT JOIN request_event_details d USING (reference, seq) WHERE reference = $1 ORDER BY seq

-- name: bars_it_entered
-- The bars that a request ($1) entered for its right, with the reason $2, and those that later named it as their proof: only for its own
-- controller and number, since anyone who enters a bar can write any reference as its proof. A bar that stood before the request keeps
-- its own proof; a bar that another withdrawal has renewed since has the proof of that. A bar kept under several secrets is returned
-- once.
WITH bars AS (
    SELECT q.registered_at, coalesce(q.campaign, '') AS about, s.campaign, s.reason, s.origin, s.proof, s.entered_at, s.expires_at,
           NULL::timestamptz AS removed_at, NULL::text AS removed_by, NULL::text AS why
    FROM rights_requests q JOIN suppressions s ON s.controller = q.controller AND s.digest = ANY (q.digests)
    WHERE q.reference = $1
    UNION
    SELECT q.registered_at, coalesce(q.campaign, ''), s.campaign, s.reason, s.origin, s.proof, s.entered_at, s.expires_at,
           s.removed_at, s.removed_by, s.why
    FROM rights_requests q JOIN removed_suppressions s ON s.controller = q.controller AND s.digest = ANY (q.digests)
    WHERE q.reference = $1
)
SELECT * FROM bars b
WHERE b.proof = $1
   OR (b.reason = $2 AND b.campaign IN ('', b.about)
       AND CASE WHEN b.entered_at <= b.registered_at
           THEN least(b.removed_at, b.expires_at) IS NULL OR least(b.removed_at, b.expires_at) > b.registered_at
           ELSE b.reason = 'withdraw_consent'
                AND NOT EXISTS (SELECT FROM bars own WHERE own.proof = $1 AND own.campaign = b.campaign)
           END)

-- name: bars_of_request
SELECT reason, campaign, origin, proof, entered_at, removed_at, removed_by, why FROM (/* bars_it_entered */) AS bar
WHERE reason = $2 ORDER BY entered_at, campaign

-- name: export_requests
SELECT r.reference, r.controller, r.campaign, r.purpose, r."right", r.article, r.state, r.level, r.number,
       r.number_from, r.channel, r.call_id, r.key, r.notice_version, r.language, r.received_at, r.registered_at,
       r.due, r.extended_at, r.closed_at,
       (SELECT json_agg(json_build_object('seq', e.seq, 'at', e.at, 'who', coalesce(d.who, 'erased'), 'state', e.state,
                                          'level', 'L' || e.level, 'due', e.due, 'reason', coalesce(d.reason, 'erased'))
                        ORDER BY e.seq)
        FROM request_events e LEFT JOIN request_event_details d USING (reference, seq) WHERE e.reference = r.reference) AS history
FROM rights_requests r
WHERE ($1::text IS NULL OR r.controller = $1) AND ($2::timestamptz IS NULL OR r.received_at >= $2)
ORDER BY r.received_at, r.reference
