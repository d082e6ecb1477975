-- Recordings between their end and their place, and after it
-- depends: 0005_http_repeats

-- migrate: apply
SELECT 1;

-- migrate: rollback
SELECT 1;
