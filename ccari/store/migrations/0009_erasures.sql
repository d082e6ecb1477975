-- What was erased, on which request
-- depends: 0008_evidence

-- migrate: apply
SELECT 1;

-- migrate: rollback
SELECT 1;
