-- name: open_call
-- The gate's one round trip: insert the call's row with its unspent token, and read what is known of the number.
WITH opened AS (
    INSERT INTO calls (id, asterisk, revision, controller, campaign, legal_basis, agent, digest, key_version,
                       number_masked, token, last_link, direction)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
    -- the gate asks again if a newer policy revision was applied meanwhile
    ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, controller = excluded.controller,
        legal_basis = excluded.legal_basis, digest = excluded.digest, key_version = excluded.key_version,
        number_masked = excluded.number_masked, agent = excluded.agent
    RETURNING id
)
SELECT facts.*, known.secrets, concat_ws(' ', facts::text, known.secrets::text) AS facts_text,
       (SELECT max(revision) FROM policy_revisions) AS revision
FROM opened, gate_facts($4, $14::bytea[], $5, $15, $16, $17::text[], $18::text[], $19::bytea[], $20, $21) AS facts,
     (SELECT array_agg(concat_ws(' ', kind, holder, key_version, key_check)) AS secrets FROM key_checks
       WHERE key_check IS NOT NULL
         AND (kind = 'controller' AND holder = $4 OR kind = 'register' AND holder = ANY ($17::text[]))) AS known

-- name: open_refused_call
INSERT INTO calls (id, asterisk, campaign, agent, number_masked, token, last_link, direction, opened_at, revision, controller,
                   legal_basis)
VALUES ($1, $2, $3, $4, '—', $5, $6, $7, $8, $9, $10, $11)
-- the row may have been written under an older policy, and the newer one may lack the campaign
ON CONFLICT (id) DO NOTHING

-- name: make_call
-- For a right pressed in a call without a row, because the database was away when the call was opened. Returns no row if the call has
-- one.
INSERT INTO calls (id, asterisk, revision, controller, campaign, legal_basis, agent, digest, key_version,
                   number_masked, token, last_link, direction, opened_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (id) DO NOTHING
RETURNING id

-- name: gate_facts_of_each
-- The facts for each question of $1, in order, with the bearer of the question's token hash. $1 is JSON: PostgreSQL always assumes a
-- hundred elements in it, and so keeps one generic plan; with arrays it planned anew each time, which took longer than the query itself.
SELECT facts.*, (SELECT max(revision) FROM policy_revisions) AS revision,
       (SELECT array_agg(concat_ws(' ', kind, holder, key_version, key_check)) FROM key_checks
         WHERE key_check IS NOT NULL AND (kind = 'controller' AND holder = asked.controller
                                          OR kind = 'register' AND holder = ANY (asked.registers))) AS secrets,
       bearer.name, bearer.role, bearer.agent, bearer.controllers
FROM ROWS FROM (json_to_recordset($1::json) AS (
         controller text, digests bytea[], campaign text, purpose text, channel text, registers text[], listed_as text[],
         listed_digests bytea[], counts_since timestamptz, rules_count_since timestamptz, token bytea))
     WITH ORDINALITY AS asked (controller, digests, campaign, purpose, channel, registers, listed_as, listed_digests,
                               counts_since, rules_count_since, token, place)
CROSS JOIN LATERAL gate_facts(asked.controller, asked.digests, asked.campaign, asked.purpose, asked.channel,
                              asked.registers, asked.listed_as, asked.listed_digests, asked.counts_since,
                              asked.rules_count_since) AS facts
LEFT JOIN access_tokens AS bearer
       ON bearer.sha256 = asked.token AND revoked_at IS NULL AND (bearer.expires_at IS NULL OR bearer.expires_at > now())
ORDER BY asked.place

-- name: spend_token
-- No INVITE unless this updates one row. $8: the consent that the call rests on. $9: the facts that were judged, if the number's lock was
-- not taken before; then $10 onwards are the question, and the facts must still be the same.
WITH /* given */, moved AS (
    UPDATE calls SET /* journal_advanced */, dialled_at = clock_timestamp()
    WHERE id = $1 AND /* journal_unchanged */ AND token = $7 AND dialled_at IS NULL AND ended_at IS NULL
      AND CASE WHEN $9::text IS NULL THEN true
               ELSE gate_unchanged($9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) END
    RETURNING id
), /* journal_entries */, used AS (
    INSERT INTO consent_uses (consent_id, call_id) SELECT $8::bigint, id FROM moved WHERE $8::bigint IS NOT NULL
    ON CONFLICT DO NOTHING
)
SELECT id FROM moved

-- name: commit_heard
WITH /* given */, moved AS (
    UPDATE calls SET /* journal_advanced */, heard_at = clock_timestamp(), notice_version = $7
    WHERE id = $1 AND /* journal_unchanged */
    RETURNING id, controller, digest, key_version, campaign
), /* journal_entries */, remembered AS (
    INSERT INTO heard_notices (controller, digest, key_version, information_version, campaign, call_id)
    SELECT controller, digest, key_version, $8::text, campaign, id FROM moved WHERE $8::text IS NOT NULL
    ON CONFLICT DO NOTHING
)
SELECT id FROM moved

-- name: lock_call
SELECT id FROM calls WHERE id = $1 FOR UPDATE

-- name: keep_talk
WITH /* given */, moved AS (
    UPDATE calls SET /* journal_advanced */, talk = CASE WHEN ended_at IS NULL THEN $7 ELSE talk END
    WHERE id = $1 AND /* journal_unchanged */
    RETURNING id
), /* journal_entries */
SELECT id FROM moved

-- name: left_talks
SELECT id, direction, agent, campaign, revision, notice_version, talk AS kept,
       (SELECT count(*) FROM recordings WHERE recordings.call_id = calls.id) AS recordings,
       (SELECT json_agg(json_build_object(
            'right', r."right", 'reference', r.reference, 'due', r.due, 'by_agent', r.channel = 'agent',
            'noted', EXISTS (SELECT FROM call_events JOIN call_event_fields USING (call_id, seq)
                             WHERE call_id = calls.id AND event = 'right_registered'
                               AND fields ->> 'reference' = r.reference)) ORDER BY r.received_at, r.reference)
        FROM rights_requests r WHERE r.call_id = calls.id AND r.channel IN ('key', 'agent')) AS registered
FROM calls WHERE asterisk = $1 AND ended_at IS NULL AND talk IS NOT NULL AND notice_version IS NOT NULL

-- name: close_call
-- A call that has already ended keeps its end, outcome and reason.
WITH /* given */, moved AS (
    UPDATE calls SET /* journal_advanced */, ended_at = coalesce(ended_at, clock_timestamp()),
        outcome = coalesce(outcome, $7), reason = CASE WHEN ended_at IS NULL THEN $8 ELSE reason END, talk = NULL
    WHERE id = $1 AND /* journal_unchanged */
    RETURNING id
), /* journal_entries */
SELECT id FROM moved

-- name: clock
SELECT clock_timestamp()

-- name: open_calls
-- Calls of this Asterisk ($1), opened before $4, that no service runs any more. Also those of any Asterisk, since it may be gone or
-- renamed, that were opened, or handed over to a colleague, a day ago: no leg lives longer than MOST_MINUTES (ccari/policy/campaign.py),
-- ten hours. ``talk`` is not kept during a transfer or after the talk, so the journal is checked too. ``let_go``: over FastAGI (under a
-- name that begins with $5), the token was spent for a dialplan that dials. A call that was opened while the database's clock was fast by
-- more than a day would otherwise stay open until then, and keep its person from being erased.
SELECT id, starts_with(asterisk, $5) AND dialled_at IS NOT NULL AS let_go,
       talk IS NOT NULL
       OR EXISTS (SELECT FROM call_events WHERE call_id = calls.id AND event = 'call_bridged') AS talked
FROM calls WHERE ended_at IS NULL AND id <> ALL ($2)
  AND (asterisk = $1 AND (opened_at <= clock_timestamp() - $3::interval AND opened_at < coalesce($4::timestamptz, 'infinity')
                          OR opened_at > clock_timestamp() + interval '1 day')
       OR opened_at <= clock_timestamp() - interval '1 day'
          AND NOT EXISTS (SELECT FROM call_events WHERE call_id = calls.id AND event = 'call_handed_over'
                                                    AND at > clock_timestamp() - interval '1 day'))

-- name: lock_open_call
SELECT true FROM calls WHERE id = $1 AND ended_at IS NULL FOR UPDATE

-- name: number_lock
-- Calls to a number of a controller are let through one at a time; otherwise two at once could exceed the limit of attempts.
SELECT pg_advisory_xact_lock(hashtextextended($1 || encode($2, 'hex'), 0))

-- name: past_of_number
-- A row for each request, the newest first; one row without a request for a number that has made none.
SELECT known.*, asked.*
FROM (SELECT (SELECT source FROM contacts WHERE controller = $1 AND digest = ANY ($2)
               ORDER BY obtained_on DESC LIMIT 1) AS source,
             (SELECT max(heard_at) FROM heard_notices WHERE controller = $1 AND digest = ANY ($2)) AS heard_at) AS known
LEFT JOIN (SELECT "right", reference, state, received_at FROM rights_requests
            WHERE controller = $1 AND digest = ANY ($2) ORDER BY received_at DESC LIMIT $3) AS asked ON true
ORDER BY asked.received_at DESC

-- name: lately_of_campaign
-- Of the campaign's last calls that rang the callee first: how many callees heard the notice, how many of those got no agent, and when
-- the last call was dialled or let through. Calls still being decided on do not count, since they may be refused; nor do calls dated in
-- the future by a wrong clock, which would stay the last ones until then.
SELECT count(*) FILTER (WHERE heard_at IS NOT NULL AND ended_at IS NOT NULL) AS heard,
       count(*) FILTER (WHERE reason = 'abandoned') AS abandoned,
       max(coalesce(dialled_at, let_through_at)) AS last
FROM (SELECT dialled_at, let_through_at, heard_at, ended_at, reason FROM calls
       WHERE campaign = $1 AND controller = $2 AND direction = 'callee_first' AND id <> $3
         AND (dialled_at IS NOT NULL OR let_through_at IS NOT NULL AND ended_at IS NULL) AND opened_at > now() - interval '1 day'
         AND opened_at <= clock_timestamp()
       ORDER BY opened_at DESC LIMIT $4) AS lately

-- name: turn_of_campaign
-- While a campaign exceeds its limit of abandoned calls, one call is let through at a time; the others do not wait for the turn.
SELECT pg_try_advisory_xact_lock(hashtextextended('let through ' || $1 || ' ' || $2, 0))

-- name: let_through
UPDATE calls SET let_through_at = clock_timestamp() WHERE id = $1
