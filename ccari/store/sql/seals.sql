-- name: seal_lock
SELECT pg_advisory_xact_lock(hashtextextended('ccari seals', 0))

-- name: last_seal
SELECT id, sealed_at, leaves, root, before, key FROM seals ORDER BY id DESC LIMIT 1

-- name: numbered_seal
SELECT sealed_at, leaves, root, before, key FROM seals WHERE id = $1

-- name: request_to_seal
EXISTS (SELECT FROM request_events e WHERE e.reference = r.reference AND e.seq = r.events AND e.link = r.last_link OFFSET 0)
  AND NOT EXISTS (SELECT FROM sealed s WHERE s.kind = 'request' AND s.id = r.reference AND s.events = r.events OFFSET 0)
  AND NOT EXISTS (
      SELECT FROM sealed s LEFT JOIN request_events e ON e.reference = r.reference AND e.seq = s.events AND e.link = s.link
      WHERE s.kind = 'request' AND s.id = r.reference AND e.link IS NULL OFFSET 0)

-- name: call_to_seal
EXISTS (SELECT FROM call_events e WHERE e.call_id = c.id AND e.seq = c.events AND e.link = c.last_link OFFSET 0)
  AND NOT EXISTS (SELECT FROM sealed s WHERE s.kind = 'call' AND s.id = c.id::text AND s.events = c.events OFFSET 0)
  AND NOT EXISTS (
      SELECT FROM sealed s LEFT JOIN call_events e ON e.call_id = c.id AND e.seq = s.events AND e.link = s.link
      WHERE s.kind = 'call' AND s.id = c.id::text AND e.link IS NULL OFFSET 0)

-- name: to_seal
-- Journals that have grown since they were sealed. Excludes journals that no longer match their seal, which a second seal would hide; and
-- journals whose row disagrees on their end: they may contain values that no seal can hold, and would block the sealing of all others.
-- The calls that ended last come first: when many calls expire, each grows by an entry. OFFSET 0 looks up each journal in an index, and
-- only as many as are asked for; a join would first read all that have grown, which, beside as many sealed ones, takes longer than the
-- statement time-out.
SELECT 'request' AS kind, reference AS id, events, last_link AS link FROM rights_requests r
WHERE sealed < events
  AND /* request_to_seal */
UNION ALL
-- of a journal's many seals only the newest is checked: the sealed link follows from all links before it
SELECT 'accesses', 'accesses', events::integer, link FROM access_chain c
WHERE sealed < events AND events < 2147483648
  AND EXISTS (SELECT FROM accesses a WHERE a.seq = c.events AND a.link = c.link)
  AND NOT EXISTS (SELECT FROM sealed s WHERE s.kind = 'accesses' AND s.id = 'accesses' AND s.events = c.events)
  AND NOT EXISTS (
      SELECT FROM (SELECT events, link FROM sealed WHERE kind = 'accesses' AND id = 'accesses'
                   ORDER BY events DESC LIMIT 1) AS s
      LEFT JOIN accesses a ON a.seq = s.events AND a.link = s.link
      WHERE a.link IS NULL)
UNION ALL
(SELECT 'call', id::text, events, last_link FROM calls c
 WHERE ended_at IS NOT NULL AND sealed = 0 AND events > 0
   AND /* call_to_seal */
 ORDER BY ended_at DESC LIMIT $1)
LIMIT $1

-- name: one_to_seal
-- Like to_seal, for one call or request, however many others wait.
SELECT 'request' AS kind, reference AS id, events, last_link AS link FROM rights_requests r
WHERE $1 = 'request' AND reference = $2 AND sealed < events AND /* request_to_seal */
UNION ALL
SELECT 'call', id::text, events, last_link FROM calls c
WHERE id = CASE WHEN $1 = 'call' THEN $2::uuid END AND ended_at IS NOT NULL AND sealed = 0 AND events > 0 AND /* call_to_seal */

-- name: add_seal
INSERT INTO seals (sealed_at, leaves, root, before, key, signature) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id

-- name: add_sealed
INSERT INTO sealed (seal, leaf, kind, id, events, link)
SELECT $1, each.* FROM unnest($2::integer[], $3::text[], $4::text[], $5::integer[], $6::bytea[]) AS each

-- name: calls_sealed
-- In the order of lock_journals. A journal that has grown meanwhile still needs sealing.
WITH held AS (SELECT id FROM calls WHERE id = ANY ($1::text[]::uuid[]) ORDER BY id FOR UPDATE)
UPDATE calls SET sealed = CASE WHEN calls.events = each.events THEN each.events ELSE 0 END
FROM held JOIN unnest($1::text[], $2::integer[]) AS each (id, events) ON each.id::uuid = held.id
WHERE calls.id = held.id

-- name: requests_sealed
-- In the order of extend_requests.
WITH held AS MATERIALIZED (SELECT reference FROM rights_requests WHERE reference = ANY ($1) ORDER BY reference FOR NO KEY UPDATE)
UPDATE rights_requests q SET sealed = each.events
FROM held JOIN unnest($1::text[], $2::integer[]) AS each (id, events) ON each.id = held.reference
WHERE q.reference = held.reference

-- name: accesses_sealed
UPDATE access_chain SET sealed = each.events FROM unnest($1::text[], $2::integer[]) AS each (id, events)

-- name: seals_of
SELECT l.seal, l.leaf, l.events, l.link, s.sealed_at, s.leaves, s.root, s.before, s.key, s.signature
FROM sealed l JOIN seals s ON s.id = l.seal WHERE l.kind = $1 AND l.id = $2 ORDER BY l.events

-- name: sealed_of
SELECT l.kind, l.id, l.events, l.link, s.sealed_at FROM sealed l JOIN seals s ON s.id = l.seal
WHERE l.kind = $1 AND l.id = $2 ORDER BY l.events

-- name: leaves_of
SELECT kind, id, events, link FROM sealed WHERE seal = $1 ORDER BY leaf

-- name: evidence_of_call
SELECT id, direction, controller, campaign, legal_basis, revision, agent, number_masked AS number, encode(digest, 'hex') AS digest,
       key_version, opened_at, dialled_at,
       heard_at, notice_version, ended_at, outcome, reason, events, last_link
FROM calls WHERE id = $1

-- name: evidence_recordings
SELECT id, purpose, legal_basis, mode, notice_version, state, tagged_at, started_at, stopped_at, duration_ms, delete_at,
       format, bytes, file, encode(sha256, 'hex') AS sha256, encode(file_sha256, 'hex') AS file_sha256, recipients,
       deleted_at, deletion
FROM recordings WHERE call_id = $1 ORDER BY tagged_at

-- name: evidence_consents
SELECT c.purpose, c.channel, c.given_at, c.withdrawn_at, c.valid_until, c.proof, c.origin, u.used_at
FROM consent_uses u JOIN consents c ON c.id = u.consent_id JOIN calls ON calls.id = u.call_id
WHERE u.call_id = $1 AND calls.expired_at IS NULL

-- name: evidence_of_request
SELECT r.reference, r."right", r.article, r.state, r.level, r.controller, r.campaign, r.purpose, r.number_from, r.channel,
       encode(r.digest, 'hex') AS digest, r.key_version, r.call_id, r.key, r.notice_version, r.language, r.received_at, r.registered_at, r.due, r.extended_at, r.closed_at,
       c.revision, r.events, r.last_link
FROM rights_requests r LEFT JOIN calls c ON c.id = r.call_id WHERE r.reference = $1

-- name: evidence_bars
SELECT reason, campaign, origin, proof, entered_at, expires_at, removed_at FROM (/* bars_it_entered */) AS bar
ORDER BY entered_at, campaign

-- name: all_seals
SELECT s.id AS seal, s.sealed_at, s.leaves, s.root, s.before, s.key, s.signature, l.kind, l.id, l.events, l.link
FROM seals s LEFT JOIN sealed l ON l.seal = s.id ORDER BY s.id, l.leaf

-- name: not_as_sealed
-- Journals that no longer have the entry with which they ended when sealed, or whose call or request is gone.
SELECT s.kind, s.id, seals.sealed_at
FROM sealed s JOIN seals ON seals.id = s.seal
LEFT JOIN call_events c ON c.call_id = CASE WHEN s.kind = 'call' THEN s.id::uuid END AND c.seq = s.events AND c.link = s.link
LEFT JOIN request_events r
       ON r.reference = CASE WHEN s.kind = 'request' THEN s.id END AND r.seq = s.events AND r.link = s.link
LEFT JOIN accesses a ON s.kind = 'accesses' AND a.seq = s.events AND a.link = s.link
LEFT JOIN calls ON calls.id = c.call_id
LEFT JOIN rights_requests q ON q.reference = r.reference
WHERE calls.id IS NULL AND q.reference IS NULL AND a.link IS NULL
ORDER BY s.seal, s.leaf

-- name: marked_as_sealed
-- Journals marked as sealed that are in no seal: with such a mark they would never be sealed.
SELECT 'call' AS kind, id::text AS id FROM calls c
WHERE sealed <> 0 AND NOT EXISTS (SELECT FROM sealed s WHERE s.kind = 'call' AND s.id = c.id::text AND s.events = c.sealed)
UNION ALL
SELECT 'request', reference FROM rights_requests r
WHERE sealed <> 0
  AND NOT EXISTS (SELECT FROM sealed s WHERE s.kind = 'request' AND s.id = r.reference AND s.events = r.sealed)
UNION ALL
SELECT 'accesses', 'accesses' FROM access_chain c
WHERE sealed <> 0 AND NOT EXISTS (SELECT FROM sealed s WHERE s.kind = 'accesses' AND s.id = 'accesses' AND s.events = c.sealed)

-- name: sealed_latest
-- The entry that was sealed longest after its own date. A journal may be in several seals: the first that covers an entry counts.
WITH covering AS (
    SELECT s.kind, s.id, CASE WHEN s.kind = 'call' THEN s.id::uuid END AS call_id, s.events,
           lag(s.events, 1, 0) OVER (PARTITION BY s.kind, s.id ORDER BY s.events) AS covered, seals.sealed_at
    FROM sealed s JOIN seals ON seals.id = s.seal WHERE s.kind <> 'accesses'
)
SELECT kind, id, at, sealed_at
FROM (SELECT c.kind, c.id, e.at, c.sealed_at FROM covering c
        JOIN call_events e ON e.call_id = c.call_id AND e.seq > c.covered AND e.seq <= c.events
      UNION ALL
      SELECT c.kind, c.id, e.at, c.sealed_at FROM covering c
        JOIN request_events e ON c.kind = 'request' AND e.reference = c.id AND e.seq > c.covered AND e.seq <= c.events) AS entry
WHERE isfinite(at) ORDER BY sealed_at - at DESC LIMIT 1

-- name: all_call_journals
-- Each entry with the end of the journal by the call's row, and with the call's row; one row for a call without entries.
SELECT c.id::text AS id, c.legal_basis, c.controller, c.campaign, c.revision, c.direction, c.agent, c.number_masked AS number,
       c.digest, c.key_version, c.opened_at, c.dialled_at, c.heard_at, c.notice_version, c.ended_at, c.outcome, c.reason, c.events AS count, c.last_link AS last, e.seq, e.at, e.event, e.commitment, e.link, f.salt, f.fields
FROM calls c LEFT JOIN call_events e ON e.call_id = c.id
LEFT JOIN call_event_fields f ON f.call_id = e.call_id AND f.seq = e.seq
ORDER BY c.id, e.seq

-- name: all_request_journals
-- Like all_call_journals, each also with the request's row, and of an entry that was erased whether the person's data were erased on request:
-- on this one or another of theirs, or on one that has expired, and no longer shows whose it was. A request that has expired itself says so.
-- OFFSET 0: each number is looked up in the index.
SELECT r.reference AS id, r.state AS now_state, r.level AS now_level, r.due AS now_due, r."right" AS now_right,
       r.article AS now_article, r.controller AS now_controller, r.campaign AS now_campaign, r.channel AS now_channel,
       r.received_at AS now_received_at, r.digest AS now_digest, r.key_version AS now_key_version,
       r.events AS count, r.last_link AS last, e.seq, e.at, e.state, e.level, e.due, e.commitment, e.link,
       d.salt, d.who, d.reason, d.asserted,
       CASE WHEN d.salt IS NULL AND r.digests <> '{}' THEN
           r.controller IN (SELECT DISTINCT x.controller FROM erasures x JOIN rights_requests m ON m.reference = x.reference
                             WHERE m.digests = '{}')
           OR EXISTS (SELECT FROM unnest(r.digests) AS known (digest)
                      CROSS JOIN LATERAL (SELECT reference, controller FROM rights_requests
                                           WHERE digests @> ARRAY[known.digest] OFFSET 0) AS m
                      JOIN erasures x ON x.reference = m.reference WHERE m.controller = r.controller)
       END AS erased
FROM rights_requests r LEFT JOIN request_events e ON e.reference = r.reference
LEFT JOIN request_event_details d ON d.reference = e.reference AND d.seq = e.seq
ORDER BY r.reference, e.seq

-- name: requests_without_bar
-- Requests for one of the rights $1 that still show whose they are, and whose bar, for the reason in $2, neither stands nor was lifted since.
-- The bar of a request has no end, and is entered under the digest that the request has; one on a withdrawal may be on some campaigns only.
WITH deleted AS MATERIALIZED (/* deletions_on_record */)
SELECT q.reference
FROM unnest($1::text[], $2::text[]) AS bars ("right", reason) JOIN rights_requests q ON q."right" = bars."right"
WHERE q.digest IS NOT NULL
  AND NOT EXISTS (SELECT FROM suppressions s
                   WHERE s.controller = q.controller AND s.digest = q.digest AND s.reason = bars.reason AND s.expires_at IS NULL
                     AND (s.campaign = '' OR s.reason = 'withdraw_consent') OFFSET 0)
  AND NOT EXISTS (SELECT FROM removed_suppressions r
                   WHERE r.controller = q.controller AND r.digest = q.digest AND r.reason = bars.reason
                     AND r.removed_at > q.registered_at - interval '5 minutes' OFFSET 0)
  -- a controller's bars go with it, and so may one that is entered just then
  AND NOT EXISTS (SELECT FROM deleted d
                   WHERE d.controller = q.controller AND coalesce(d.finished_at, 'infinity') > q.registered_at - interval '5 minutes')

-- name: recordings_untold
-- Calls whose journal names a stored recording that has no row, or does not say that a recording is deleted though its row does. A row of a
-- recording is never deleted, and changes to these states with its entry. Early versions did not name the recording that was stored.
SELECT e.call_id::text AS call, f.fields->>'recording' AS recording, true AS missing
FROM call_events e JOIN call_event_fields f USING (call_id, seq)
WHERE e.event = 'recording_stored' AND f.fields->>'recording' IS NOT NULL
  AND NOT EXISTS (SELECT FROM recordings r WHERE r.call_id = e.call_id AND r.id::text = f.fields->>'recording' OFFSET 0)
UNION ALL
SELECT r.call_id::text, r.id::text, false FROM recordings r
WHERE r.state = 'deleted'
  AND NOT EXISTS (SELECT FROM call_events e LEFT JOIN call_event_fields f USING (call_id, seq)
                   WHERE e.call_id = r.call_id AND e.event = 'recording_deleted'
                     AND (f.fields IS NULL OR f.fields->>'recording' = r.id::text) OFFSET 0)
