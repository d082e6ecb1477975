-- The record of accesses is sealed as the journals are
-- depends: 0019_gate_unchanged

-- migrate: apply
ALTER TABLE sealed
    DROP CONSTRAINT sealed_kind_check,
    ADD CONSTRAINT sealed_kind_check CHECK (kind IN ('call', 'request', 'accesses'));
ALTER TABLE access_chain ADD COLUMN sealed bigint NOT NULL DEFAULT 0;

-- migrate: rollback
DO $$
BEGIN
    IF EXISTS (SELECT FROM sealed WHERE kind = 'accesses') THEN
        RAISE EXCEPTION 'the record of accesses is sealed, which an older ccari does not know';
    END IF;
END
$$;
ALTER TABLE access_chain DROP COLUMN sealed;
ALTER TABLE sealed
    DROP CONSTRAINT sealed_kind_check,
    ADD CONSTRAINT sealed_kind_check CHECK (kind IN ('call', 'request'));
