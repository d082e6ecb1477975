-- name: lock_chain
-- Whoever adds to a call's journal holds the call's row, so that there is one order.
SELECT events, last_link FROM calls WHERE id = $1 FOR UPDATE

-- name: append_events
-- Entries may come a second time: who gives them does not know that they are durable when the reply was lost. None is
-- written then, for the links of the others would be wrong; those that are known are given back.
WITH known AS (
    SELECT commitment FROM call_events WHERE call_id = $1 AND commitment = ANY ($5::bytea[])
), added AS (
    INSERT INTO call_events (call_id, seq, at, event, commitment, link)
    SELECT $1, each.* FROM unnest($2::integer[], $3::timestamptz[], $4::text[], $5::bytea[], $6::bytea[]) AS each
    WHERE NOT EXISTS (SELECT FROM known)
    RETURNING seq
), told AS (
    INSERT INTO call_event_fields (call_id, seq, salt, fields)
    SELECT $1, each.seq, each.salt, each.fields
    FROM unnest($2::integer[], $7::bytea[], $8::jsonb[]) AS each (seq, salt, fields) JOIN added USING (seq)
), moved AS (
    UPDATE calls SET events = $9, last_link = $10 WHERE id = $1 AND NOT EXISTS (SELECT FROM known)
)
SELECT commitment FROM known

-- name: call_journal
SELECT e.seq, e.at, e.event, e.commitment, e.link, f.salt, f.fields
FROM call_events e LEFT JOIN call_event_fields f USING (call_id, seq) WHERE call_id = $1 ORDER BY seq
