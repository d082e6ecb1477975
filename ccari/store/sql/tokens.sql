-- name: add_token
-- A name can be used only once, so that everything on record under it is about one bearer.
INSERT INTO access_tokens (name, role, agent, controllers, sha256, created_by, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name) DO NOTHING
RETURNING name

-- name: token_bearer
SELECT name, role, agent, controllers FROM access_tokens
WHERE sha256 = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())

-- name: good_tokens
SELECT sha256 FROM access_tokens WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
ORDER BY created_at DESC LIMIT $1

-- name: revoke_token
UPDATE access_tokens SET revoked_at = now(), revoked_by = $2 WHERE name = $1 AND revoked_at IS NULL
RETURNING name

-- name: list_tokens
SELECT name, role, agent, controllers, created_at, created_by, expires_at, revoked_at, revoked_by,
       revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) AS good
FROM access_tokens ORDER BY created_at, name
