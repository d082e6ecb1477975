-- name: facts_of_many
-- The gate's facts for each of many numbers, in order. $2 and $4 are the positions of the numbers that the digests in $3, and the
-- listings to look for in $5 and $6, belong to.
WITH asked AS (
    SELECT n, array_agg(digest) AS digests FROM unnest($2::integer[], $3::bytea[]) AS each (n, digest) GROUP BY n
), listed AS (
    SELECT n, array_agg(register) AS registers, array_agg(digest) AS digests
    FROM unnest($4::integer[], $5::text[], $6::bytea[]) AS each (n, register, digest) GROUP BY n
)
SELECT facts.*
FROM asked LEFT JOIN listed USING (n)
CROSS JOIN LATERAL gate_facts($1, asked.digests, $7, $8, $9, $10, coalesce(listed.registers, '{}'),
                              coalesce(listed.digests, '{}'), $11, $12) AS facts
ORDER BY asked.n

-- name: lock_contacts
-- One list of a controller's contacts at a time, for the transaction that enters a slice of it …
SELECT pg_advisory_xact_lock(hashtextextended('contacts ' || $1::text, 0))

-- name: share_contacts
-- … and any number of erasures at a time, but none during a slice: the slice would not see the erasure's bar, nor the erasure what the
-- slice enters or moves to a newer secret.
SELECT pg_advisory_xact_lock_shared(hashtextextended('contacts ' || $1::text, 0))

-- name: merge_contacts
-- The list's contact replaces one with the same number and source, unless it is older. A bar on all calls (for a reason of $4) that was
-- entered after the list was read keeps its number out.
WITH told AS (
    SELECT DISTINCT ON (digest, source) * FROM incoming
    WHERE digest BETWEEN $1 AND $2 ORDER BY digest, source, obtained_on DESC, line DESC
), entered AS (
    INSERT INTO contacts AS known (controller, digest, key_version, source, obtained_on, legal_basis, proof,
                                   valid_until, origin)
    SELECT $3, digest, key_version, source, obtained_on, legal_basis, proof, valid_until, $5
    FROM told
    WHERE NOT EXISTS (SELECT FROM unnest(told.digests) AS under (digest) CROSS JOIN LATERAL (
                          SELECT FROM suppressions s
                          WHERE s.controller = $3 AND s.digest = under.digest AND s.campaign = ''
                            AND s.reason = ANY ($4) AND (s.expires_at IS NULL OR s.expires_at > now()) OFFSET 0) AS bar)
    ORDER BY digest, source
    ON CONFLICT (controller, digest, source) DO UPDATE SET
        obtained_on = excluded.obtained_on, legal_basis = excluded.legal_basis, proof = excluded.proof,
        valid_until = excluded.valid_until, origin = excluded.origin, entered_at = excluded.entered_at, told_at = NULL
    WHERE excluded.obtained_on >= known.obtained_on
      AND (known.obtained_on, known.legal_basis, known.proof, known.valid_until)
          IS DISTINCT FROM (excluded.obtained_on, excluded.legal_basis, excluded.proof, excluded.valid_until)
    RETURNING 1
)
SELECT count(*) FROM entered

-- name: told_again
-- Note that a list still has these contacts, since a contact is kept for as long as lists have it. At most once a day, so that an hourly
-- list does not rewrite unchanged rows. In the order of merge_contacts, so that two lists never deadlock.
WITH again AS MATERIALIZED (
    SELECT known.digest, known.source
    FROM (SELECT DISTINCT digest, source FROM incoming WHERE digest BETWEEN $1 AND $2 ORDER BY digest, source) AS told
    CROSS JOIN LATERAL (
        SELECT digest, source FROM contacts
        WHERE controller = $3 AND digest = told.digest AND source = told.source
          AND coalesce(told_at, entered_at) <= now() - interval '1 day'
        FOR UPDATE
    ) AS known
)
UPDATE contacts SET told_at = now() FROM again
WHERE contacts.controller = $3 AND contacts.digest = again.digest AND contacts.source = again.source

-- name: rekey_contacts
-- A contact kept under an older secret moves to the newest secret when a list brings its number again. OFFSET 0 and unnest: as in
-- settle_consents, to look up each number in the index.
UPDATE contacts SET digest = older.newest, key_version = older.newest_version
FROM (
    SELECT each.digest, known.source, told.digest AS newest, told.key_version AS newest_version
    FROM (SELECT DISTINCT digest, key_version, digests FROM incoming WHERE digest BETWEEN $1 AND $2) AS told
    CROSS JOIN unnest(told.digests) AS each (digest)
    CROSS JOIN LATERAL (
        SELECT source, key_version FROM contacts WHERE controller = $3 AND digest = each.digest OFFSET 0
    ) AS known
    WHERE each.digest <> told.digest
      AND NOT EXISTS (SELECT FROM unnest(told.digests) AS under (digest) CROSS JOIN LATERAL (
                          SELECT FROM contacts other
                          WHERE other.controller = $3 AND other.digest = under.digest AND other.source = known.source
                            AND (other.digest = told.digest OR other.key_version > known.key_version) OFFSET 0) AS newer)
) AS older
WHERE contacts.controller = $3 AND contacts.digest = older.digest AND contacts.source = older.source

-- name: contacts_of
SELECT source, obtained_on, legal_basis, proof, valid_until, origin, entered_at FROM contacts
WHERE controller = $1 AND digest = ANY ($2) ORDER BY obtained_on, source

-- name: sources_of_contacts
-- Millions of contacts have few sources: DISTINCT first, so that the contacts are not sorted.
SELECT controller, array_agg(source ORDER BY source) AS sources
FROM (SELECT DISTINCT controller, source FROM contacts) AS each GROUP BY controller

-- name: page_of_contacts
-- A contact that is updated, or moved to a newer secret, keeps its id, and so its position.
SELECT id, controller, encode(digest, 'hex') AS digest, key_version, source, obtained_on, legal_basis, proof, valid_until,
       origin, entered_at
FROM contacts
WHERE ($1::text[] IS NULL OR controller = ANY ($1)) AND ($2::text IS NULL OR source = $2)
  AND ($4::bigint IS NULL OR id < $4)
ORDER BY id DESC LIMIT $3
