-- The gate asked again by the statement that spends the token
-- depends: 0018_counted_figures

-- migrate: apply
CREATE FUNCTION gate_unchanged(
    told text, newest bytea, controller text, digests bytea[], campaign text, purpose text, channel text,
    registers text[], listed_as text[], listed_digests bytea[], counts_since timestamptz, rules_count_since timestamptz)
RETURNS boolean
-- VOLATILE: what was committed before the lock was taken is seen, also by a statement that began earlier
LANGUAGE plpgsql VOLATILE
-- an array counts as ten, and so each look would be planned anew
SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    -- as number_lock; whoever finds it taken does not wait here, for a verdict grows old
    IF NOT pg_try_advisory_xact_lock(hashtextextended($3 || encode($2, 'hex'), 0)) THEN
        RETURN false;
    END IF;
    RETURN (SELECT concat_ws(' ', facts::text, known.secrets::text) = $1
              FROM gate_facts($3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS facts,
                   (SELECT array_agg(concat_ws(' ', kind, holder, key_version, key_check)) AS secrets FROM key_checks
                     WHERE key_check IS NOT NULL
                       AND (kind = 'controller' AND holder = $3 OR kind = 'register' AND holder = ANY ($8))) AS known);
END
$$;

-- migrate: rollback
DROP FUNCTION gate_unchanged;
