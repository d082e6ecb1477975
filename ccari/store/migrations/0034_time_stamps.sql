-- What an authority outside (RFC 3161) has said when a seal was there
-- depends: 0033_accesses_expire

-- migrate: apply
CREATE TABLE time_stamps (
    seal       bigint      PRIMARY KEY REFERENCES seals,
    at         timestamptz NOT NULL,  -- by the authority
    response   bytea       NOT NULL CHECK (octet_length(response) BETWEEN 1 AND 65536),  -- TimeStampResp in DER
    stamped_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON time_stamps
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- migrate: rollback
DO $$
BEGIN
    IF EXISTS (SELECT FROM time_stamps) THEN
        RAISE EXCEPTION 'seals have time stamps, which an older ccari would lose';
    END IF;
END
$$;
DROP TABLE time_stamps;
