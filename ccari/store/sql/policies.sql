-- name: policy_revision
-- The one of that number; the newest where it is NULL.
SELECT revision, applied_at, applied_by, sha256, document FROM policy_revisions
WHERE revision = $1::integer OR $1 IS NULL
ORDER BY revision DESC LIMIT 1

-- name: policy_revisions
SELECT revision, applied_at, applied_by, sha256 FROM policy_revisions ORDER BY revision DESC

-- name: lock_policies
-- Who applies comes one after the other; who only reads is not kept waiting.
LOCK TABLE policy_revisions IN SHARE ROW EXCLUSIVE MODE

-- name: add_policy
INSERT INTO policy_revisions (applied_by, sha256, document) VALUES ($1, $2, $3) RETURNING revision

-- name: any_consent
SELECT true FROM consents
WHERE controller = $1 AND purpose = $2 AND channel = $3 AND given_at <= now() AND withdrawn_at IS NULL
  AND (valid_until IS NULL OR valid_until > now())
LIMIT 1
