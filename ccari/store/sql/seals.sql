-- name: seal_lock
SELECT pg_advisory_xact_lock(hashtextextended('ccari seals', 0))

-- name: last_seal
SELECT sealed_at, leaves, root, before, key FROM seals ORDER BY id DESC LIMIT 1

-- name: to_seal
-- What has grown, but for what is no longer as it was sealed: no second seal makes good of that.
SELECT 'call' AS kind, id::text AS id, events, last_link AS link FROM calls c
WHERE ended_at IS NOT NULL AND sealed < events
  AND NOT EXISTS (SELECT FROM sealed s WHERE s.kind = 'call' AND s.id = c.id::text AND s.events = c.events)
  AND NOT EXISTS (
      SELECT FROM sealed s LEFT JOIN call_events e ON e.call_id = c.id AND e.seq = s.events AND e.link = s.link
      WHERE s.kind = 'call' AND s.id = c.id::text AND e.link IS NULL)
UNION ALL
SELECT 'request', reference, events, last_link FROM rights_requests r
WHERE sealed < events
  AND NOT EXISTS (SELECT FROM sealed s WHERE s.kind = 'request' AND s.id = r.reference AND s.events = r.events)
  AND NOT EXISTS (
      SELECT FROM sealed s LEFT JOIN request_events e ON e.reference = r.reference AND e.seq = s.events AND e.link = s.link
      WHERE s.kind = 'request' AND s.id = r.reference AND e.link IS NULL)
UNION ALL
-- of its many seals the newest stands for all: the link that was sealed goes on from all that were before it
SELECT 'accesses', 'accesses', events::integer, link FROM access_chain c
WHERE sealed < events
  AND NOT EXISTS (SELECT FROM sealed s WHERE s.kind = 'accesses' AND s.id = 'accesses' AND s.events = c.events)
  AND NOT EXISTS (
      SELECT FROM (SELECT events, link FROM sealed WHERE kind = 'accesses' AND id = 'accesses'
                   ORDER BY events DESC LIMIT 1) AS s
      LEFT JOIN accesses a ON a.seq = s.events AND a.link = s.link
      WHERE a.link IS NULL)
LIMIT $1

-- name: add_seal
INSERT INTO seals (sealed_at, leaves, root, before, key, signature) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id

-- name: add_sealed
INSERT INTO sealed (seal, leaf, kind, id, events, link)
SELECT $1, each.* FROM unnest($2::integer[], $3::text[], $4::text[], $5::integer[], $6::bytea[]) AS each

-- name: calls_sealed
-- Locked in one order, as by whoever else adds to many journals at once.
WITH held AS (SELECT id FROM calls WHERE id = ANY ($1::text[]::uuid[]) ORDER BY id FOR UPDATE)
UPDATE calls SET sealed = each.events
FROM held JOIN unnest($1::text[], $2::integer[]) AS each (id, events) ON each.id::uuid = held.id
WHERE calls.id = held.id

-- name: requests_sealed
UPDATE rights_requests SET sealed = each.events FROM unnest($1::text[], $2::integer[]) AS each (id, events)
WHERE reference = each.id

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
SELECT id, direction, controller, campaign, legal_basis, revision, agent, number_masked AS number, opened_at, dialled_at,
       heard_at, notice_version, ended_at, outcome, reason, events, last_link
FROM calls WHERE id = $1

-- name: evidence_recordings
SELECT id, purpose, legal_basis, mode, notice_version, state, tagged_at, started_at, stopped_at, duration_ms, delete_at,
       format, bytes, file, encode(sha256, 'hex') AS sha256, encode(file_sha256, 'hex') AS file_sha256, recipients,
       deleted_at, deletion
FROM recordings WHERE call_id = $1 ORDER BY tagged_at

-- name: evidence_consents
SELECT c.purpose, c.channel, c.given_at, c.withdrawn_at, c.valid_until, c.proof, c.origin, u.used_at
FROM consent_uses u JOIN consents c ON c.id = u.consent_id WHERE u.call_id = $1

-- name: evidence_of_request
SELECT r.reference, r."right", r.article, r.state, r.level, r.controller, r.campaign, r.purpose, r.number_from, r.channel,
       r.call_id, r.key, r.notice_version, r.language, r.received_at, r.registered_at, r.due, r.extended_at, r.closed_at,
       c.revision, r.events, r.last_link
FROM rights_requests r LEFT JOIN calls c ON c.id = r.call_id WHERE r.reference = $1

-- name: evidence_bars
SELECT reason, campaign, origin, proof, entered_at, expires_at, NULL::timestamptz AS removed_at FROM suppressions
WHERE proof = $1
UNION ALL
SELECT reason, campaign, origin, proof, entered_at, expires_at, removed_at FROM removed_suppressions WHERE proof = $1
ORDER BY entered_at

-- name: all_seals
SELECT s.id AS seal, s.sealed_at, s.leaves, s.root, s.before, s.key, s.signature, l.kind, l.id, l.events, l.link
FROM seals s LEFT JOIN sealed l ON l.seal = s.id ORDER BY s.id, l.leaf

-- name: not_as_sealed
-- Journals that do not have the entry with which they ended when they were sealed.
SELECT s.kind, s.id, seals.sealed_at
FROM sealed s JOIN seals ON seals.id = s.seal
LEFT JOIN call_events c ON c.call_id = CASE WHEN s.kind = 'call' THEN s.id::uuid END AND c.seq = s.events AND c.link = s.link
LEFT JOIN request_events r
       ON r.reference = CASE WHEN s.kind = 'request' THEN s.id END AND r.seq = s.events AND r.link = s.link
LEFT JOIN accesses a ON s.kind = 'accesses' AND a.seq = s.events AND a.link = s.link
WHERE c.link IS NULL AND r.link IS NULL AND a.link IS NULL
ORDER BY s.seal, s.leaf
