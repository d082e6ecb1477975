-- What was given up of a closed request no longer holds its number
-- depends: 0025_let_through

-- migrate: apply
UPDATE forwards f SET number = NULL
FROM rights_requests r
WHERE r.reference = f.reference AND r.closed_at IS NOT NULL AND f.state = 'given_up' AND f.number IS NOT NULL;

-- migrate: rollback
SELECT;
