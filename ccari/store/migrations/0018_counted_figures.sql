-- What takes a look at every row is counted once for the fleet
-- depends: 0017_repeats_claimed

-- migrate: apply
CREATE TABLE counted_figures (
    one  boolean     PRIMARY KEY DEFAULT true CHECK (one),
    at   timestamptz NOT NULL,
    held jsonb       NOT NULL
);

-- migrate: rollback
DROP TABLE counted_figures;
