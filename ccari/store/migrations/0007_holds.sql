-- What is kept beyond its time, and why
-- depends: 0006_stored_recordings

-- migrate: apply
SELECT 1;

-- migrate: rollback
SELECT 1;
