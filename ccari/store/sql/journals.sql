-- name: lock_chain
-- Every writer of a call's journal locks the call's row, so that the entries have one order.
SELECT events, last_link FROM calls WHERE id = $1 FOR UPDATE

-- name: known_entries
SELECT commitment FROM call_events WHERE call_id = $1 AND commitment = ANY ($2::bytea[])

-- name: given
-- The entries to write. $6 is JSON: asyncpg would examine each element of an array several times.
given AS (
    SELECT * FROM json_to_recordset($6::json) AS given (
        seq integer, at timestamptz, event text, commitment bytea, link bytea, salt bytea, fields jsonb)
)

-- name: journal_unchanged
-- The journal still ends where the new entries were linked to it ($4, $5), and has none of them: after a lost reply, entries that are
-- already durable come again.
events = $4 AND last_link = $5
      AND NOT EXISTS (SELECT FROM call_events e JOIN given USING (commitment) WHERE e.call_id = $1)

-- name: journal_advanced
-- No index or index predicate uses a column that changes with each write, so these are heap-only updates (PostgreSQL's README.HOT). Some
-- use sealed and expired_at, which stay 0 and NULL during a call.
events = $2, last_link = $3, sealed = 0, expired_at = NULL

-- name: journal_entries
-- Written together with ``moved``, the update of the call's row: if the journal has changed, no row is updated and nothing is written.
added AS (
    INSERT INTO call_events (call_id, seq, at, event, commitment, link)
    SELECT moved.id, seq, at, event, commitment, link FROM moved, given
), told AS (
    INSERT INTO call_event_fields (call_id, seq, salt, fields)
    SELECT moved.id, seq, salt, fields FROM moved, given
)

-- name: add_entries
WITH /* given */, moved AS (
    UPDATE calls SET /* journal_advanced */ WHERE id = $1 AND /* journal_unchanged */ RETURNING id
), /* journal_entries */
SELECT id FROM moved

-- name: lock_journals
-- In the order of ids, in which every writer of several journals locks them, so that no two deadlock.
SELECT id, events, last_link FROM calls WHERE id = ANY ($1) ORDER BY id FOR UPDATE

-- name: append_to_journals
WITH added AS (
    INSERT INTO call_events (call_id, seq, at, event, commitment, link)
    SELECT * FROM unnest($1::uuid[], $2::integer[], $3::timestamptz[], $4::text[], $5::bytea[], $6::bytea[])
), told AS (
    INSERT INTO call_event_fields (call_id, seq, salt, fields)
    SELECT * FROM unnest($1::uuid[], $2::integer[], $7::bytea[], $8::jsonb[])
)
UPDATE calls SET events = each.events, last_link = each.link, sealed = 0, expired_at = NULL
FROM unnest($9::uuid[], $10::integer[], $11::bytea[]) AS each (id, events, link) WHERE calls.id = each.id

-- name: call_journal
SELECT e.seq, e.at, e.event, e.commitment, e.link, f.salt, f.fields
FROM call_events e LEFT JOIN call_event_fields f USING (call_id, seq) WHERE call_id = $1 ORDER BY seq
