-- name: lock_access_chain
SELECT events, link, clock_timestamp() AS at FROM access_chain FOR UPDATE

-- name: add_access
WITH added AS (
    INSERT INTO accesses (seq, at, event, fields, salt, commitment, link) VALUES ($1, $2, $3, $4::jsonb, $5, $6, $7)
)
UPDATE access_chain SET events = $1, link = $7

-- name: list_accesses
-- $5: a call, a recording or a request. $6: whether to list only accesses to one person, given by $7 and $8 (controllers, each with a
-- digest of the number under one of its secrets); these include accesses to the person's calls, recordings and requests.
WITH sought AS MATERIALIZED (
    SELECT * FROM unnest($7::text[], $8::bytea[]) AS each (controller, digest)
), theirs AS MATERIALIZED (
    SELECT c.id::text AS id FROM sought s JOIN calls c ON c.controller = s.controller AND c.digest = s.digest
    UNION
    SELECT r.id::text FROM sought s JOIN calls c ON c.controller = s.controller AND c.digest = s.digest
    JOIN recordings r ON r.call_id = c.id
    UNION
    SELECT q.reference FROM sought s JOIN rights_requests q ON q.controller = s.controller AND q.digests @> ARRAY[s.digest]
)
SELECT seq, at, event, fields::text AS fields FROM accesses
WHERE fields IS NOT NULL
  AND ($2::text IS NULL OR fields->>'who' = $2) AND ($3::text IS NULL OR event = $3) AND ($4::timestamptz IS NULL OR at >= $4)
  AND ($5::text IS NULL OR $5 IN (fields->>'call', fields->>'recording', fields->>'request', fields->>'of'))
  AND (NOT $6::boolean
       OR (fields->>'controller', fields->>'digest') IN (SELECT controller, encode(digest, 'hex') FROM sought)
       OR fields->>'call' IN (SELECT id FROM theirs) OR fields->>'recording' IN (SELECT id FROM theirs)
       OR fields->>'request' IN (SELECT id FROM theirs) OR fields->>'of' IN (SELECT id FROM theirs))
ORDER BY seq DESC LIMIT $1

-- name: newest_expiry
-- An entry dated in the future is a forgery, and counts as one of now.
SELECT least(at, clock_timestamp()) AS at, fields::text AS fields
FROM accesses WHERE event = 'accesses_expired' AND fields IS NOT NULL ORDER BY seq DESC LIMIT 1

-- name: accesses_not_as_sealed
-- The first sealed entry that is missing or differs from what was sealed.
SELECT s.events, seals.sealed_at
FROM sealed s JOIN seals ON seals.id = s.seal LEFT JOIN accesses a ON a.seq = s.events AND a.link = s.link
WHERE s.kind = 'accesses' AND a.link IS NULL
ORDER BY s.events LIMIT 1

-- name: deletions_on_record
-- Deletions of controllers that were entered as they began: whoever can write to the database could add others, to hide that bars are gone.
SELECT d.controller, d.begun_at, d.finished_at FROM controller_deletions d
WHERE EXISTS (SELECT FROM accesses a
               WHERE a.event = 'controller_deletion_begun' AND a.at >= d.begun_at AND a.at < d.begun_at + interval '1 hour'
                 AND (a.fields IS NULL OR a.fields->>'controller' = d.controller))

-- name: decided_otherwise
-- The first $1 entries on a policy, a token, a hold or a bar whose row is missing or says otherwise, and rows that have no entry; how many
-- there are in all. Rows from before these entries were made have none, and entries may be erased: a row is missed only if it is newer than
-- the oldest entry after which none of its kind was erased (a lifted bar: than the oldest of any kind, since bars were entered before all
-- others). Policies come first: the newest is in force. Each kind is joined by its table's key: the record may have millions of entries. A
-- controller's bars go with it.
WITH decided AS MATERIALIZED (
    SELECT seq, at, event, fields FROM accesses
    WHERE event IN ('policy_applied', 'token_created', 'token_revoked', 'hold_placed', 'hold_released', 'number_barred', 'bars_lifted')
), erased AS MATERIALIZED (
    SELECT event, max(seq) AS seq, max(at) AS at FROM decided WHERE fields IS NULL GROUP BY event
), told AS MATERIALIZED (
    SELECT d.*, d.fields->>'who' AS who, d.seq > coalesce(e.seq, 0) AS unerased_since
    FROM decided d LEFT JOIN erased e ON e.event = d.event WHERE d.fields IS NOT NULL
), applied AS MATERIALIZED (
    SELECT *, (fields->>'revision')::int AS revision FROM told WHERE event = 'policy_applied'
), created AS MATERIALIZED (
    SELECT *, fields->>'token' AS token FROM told WHERE event = 'token_created'
), revoked AS MATERIALIZED (
    SELECT *, fields->>'token' AS token FROM told WHERE event = 'token_revoked'
), placed AS MATERIALIZED (
    SELECT *, (fields->>'hold')::bigint AS hold FROM told WHERE event = 'hold_placed'
), released AS MATERIALIZED (
    SELECT *, (fields->>'hold')::bigint AS hold FROM told WHERE event = 'hold_released'
), on_bars AS MATERIALIZED (
    SELECT seq, at, event, who, fields->>'controller' AS controller, decode(fields->>'digest', 'hex') AS digest, fields->>'reason' AS reason,
           fields->>'campaign' AS campaign, CASE coalesce(fields->>'until', '') WHEN '' THEN '-infinity' WHEN 'never' THEN 'infinity'
                                        ELSE (fields->>'until')::timestamptz END AS until,
           fields->>'lifted' AS lifted
    FROM told WHERE event IN ('number_barred', 'bars_lifted')
), unlisted AS MATERIALIZED (
    -- EXCEPT is never carried out by looking through all entries for each bar, however few the planner expects
    SELECT id FROM removed_suppressions
    WHERE removed_at > (SELECT min(t.at) FROM told t
                         WHERE t.seq > coalesce((SELECT max(e.seq) FROM erased e WHERE e.event IN ('number_barred', 'bars_lifted')), 0))
    EXCEPT SELECT unnest(string_to_array(lifted, ' '))::bigint FROM on_bars
), deleted AS MATERIALIZED (
    /* deletions_on_record */
), otherwise AS (
    SELECT a.seq, NULL AS unentered, a.event AS what FROM applied a LEFT JOIN policy_revisions p ON p.revision = a.revision
    WHERE (encode(sha256(convert_to(p.document, 'UTF8')), 'hex'), p.applied_by) IS DISTINCT FROM (a.fields->>'sha256', a.who)
    UNION ALL
    SELECT a.seq, NULL, a.event FROM created a LEFT JOIN access_tokens t ON t.name = a.token
    WHERE (t.role, coalesce(t.agent, ''), coalesce(array_to_string(t.controllers, ' '), '*'), t.created_by, date_trunc('second', t.expires_at))
          IS DISTINCT FROM (a.fields->>'role', a.fields->>'agent', a.fields->>'controllers', a.who,
                            nullif(a.fields->>'expires', 'never')::timestamptz)
    UNION ALL
    SELECT a.seq, NULL, a.event FROM revoked a LEFT JOIN access_tokens t ON t.name = a.token WHERE t.revoked_by IS DISTINCT FROM a.who
    UNION ALL
    SELECT a.seq, NULL, a.event FROM placed a LEFT JOIN holds h ON h.id = a.hold
    WHERE (h.recording_id::text, h.call_id::text, h.reference, h.controller, /* named_by_digest */, h.placed_by)
          IS DISTINCT FROM (a.fields->>'recording', a.fields->>'call', a.fields->>'request', a.fields->>'controller', a.fields->>'digest',
                            a.fields->>'digests', a.who)
       -- what released it is a later entry, or was one that is erased
       OR h.released_at IS NOT NULL AND h.id NOT IN (SELECT hold FROM released WHERE hold IS NOT NULL)
          AND NOT EXISTS (SELECT FROM erased e WHERE e.event = 'hold_released' AND e.seq > a.seq AND e.at >= h.released_at)
    UNION ALL
    SELECT a.seq, NULL, a.event FROM released a LEFT JOIN holds h ON h.id = a.hold WHERE h.released_by IS DISTINCT FROM a.who
    UNION ALL
    -- a bar is only ever extended; one that was lifted stays on record
    SELECT a.seq, NULL, a.event FROM on_bars a
    WHERE a.event = 'number_barred'
      AND NOT EXISTS (SELECT FROM suppressions s
                       WHERE (s.controller, s.digest, s.campaign, s.reason) = (a.controller, a.digest, a.campaign, a.reason)
                         AND coalesce(s.expires_at, 'infinity') >= a.until)
      AND NOT EXISTS (SELECT FROM removed_suppressions r
                       WHERE (r.controller, r.digest, r.campaign, r.reason) = (a.controller, a.digest, a.campaign, a.reason)
                         AND r.removed_at > a.at - interval '5 minutes')
      AND NOT EXISTS (SELECT FROM deleted d WHERE d.controller = a.controller AND d.begun_at > a.at - interval '5 minutes')
    UNION ALL
    -- an entry from before lifted bars were named is dated within the transaction that lifted them
    SELECT NULL, r.id::text, 'lifted bar' FROM unlisted u JOIN removed_suppressions r ON r.id = u.id
    WHERE NOT EXISTS (SELECT FROM on_bars a
                       WHERE a.event = 'bars_lifted' AND a.lifted IS NULL AND (a.controller, a.who) = (r.controller, r.removed_by)
                         AND a.at >= r.removed_at AND a.at < r.removed_at + interval '1 hour')
    UNION ALL
    SELECT NULL, p.revision::text, 'policy revision' FROM policy_revisions p
    WHERE p.revision > (SELECT min(revision) FROM applied WHERE unerased_since)
      AND p.revision NOT IN (SELECT revision FROM applied WHERE revision IS NOT NULL)
    UNION ALL
    SELECT NULL, t.name, 'token' FROM access_tokens t
    WHERE t.created_at > (SELECT min(at) FROM created WHERE unerased_since) AND t.name NOT IN (SELECT token FROM created WHERE token IS NOT NULL)
    UNION ALL
    SELECT NULL, h.id::text, 'hold' FROM holds h
    -- two that are placed at once may be entered in the other order
    WHERE h.id > (SELECT min(hold) FROM placed WHERE unerased_since) AND h.placed_at > (SELECT min(at) FROM placed WHERE unerased_since)
      AND h.id NOT IN (SELECT hold FROM placed WHERE hold IS NOT NULL)
)
SELECT seq, unentered, what, count(*) OVER () AS "all" FROM otherwise ORDER BY what <> 'policy revision', seq, what, unentered LIMIT $1

-- name: all_accesses
-- Each row also has the head of the chain at that moment, and the time; if there are no entries, one row has only these.
SELECT clock_timestamp() AS now, c.events AS count, c.link AS last, a.seq, a.at, a.event, a.fields::text AS fields, a.salt, a.commitment, a.link
FROM access_chain c LEFT JOIN accesses a ON true ORDER BY a.seq
