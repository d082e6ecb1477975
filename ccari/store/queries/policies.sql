-- name: newest_policy
SELECT revision, document FROM policy_revisions ORDER BY revision DESC LIMIT 1

-- name: add_policy
INSERT INTO policy_revisions (applied_by, sha256, document) VALUES ($1, $2, $3) RETURNING revision
