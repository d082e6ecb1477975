-- name: policy_revision
-- The revision of that number; NULL: the newest.
SELECT revision, applied_at, applied_by, sha256, document FROM policy_revisions
WHERE revision = $1::integer OR $1 IS NULL
ORDER BY revision DESC LIMIT 1

-- name: policies_since
-- The revisions in force at any time since then, the newest first; none if no revision was in force at that moment.
SELECT revision, applied_at, applied_by, sha256, document FROM policy_revisions
WHERE revision >= (SELECT max(revision) FROM policy_revisions WHERE applied_at <= now() - $1::interval)
ORDER BY revision DESC

-- name: policies_after
-- The revisions applied after that one, and those applied since $2 (NULL: none of these): in a database that was restored, they get the
-- numbers of those that it lost.
SELECT revision, applied_at, document FROM policy_revisions WHERE revision > $1 OR applied_at > $2::timestamptz ORDER BY revision

-- name: newest_revision
SELECT revision, applied_at FROM policy_revisions ORDER BY revision DESC LIMIT 1

-- name: policy_revisions
SELECT revision, applied_at, applied_by, sha256 FROM policy_revisions ORDER BY revision DESC

-- name: hashes_of_policies
-- Of the documents as they are now; the hashes stored with them may have been changed too.
SELECT revision, encode(sha256(convert_to(document, 'UTF8')), 'hex') AS sha256 FROM policy_revisions

-- name: lock_policies
-- Policies are applied one at a time; readers do not wait.
LOCK TABLE policy_revisions IN SHARE ROW EXCLUSIVE MODE

-- name: add_policy
INSERT INTO policy_revisions (applied_by, sha256, document) VALUES ($1, $2, $3) RETURNING revision

-- name: any_consent
SELECT true FROM consents
WHERE controller = $1 AND purpose = $2 AND channel = $3 AND given_at <= now() AND withdrawn_at IS NULL
  AND (valid_until IS NULL OR valid_until > now())
LIMIT 1

-- name: left_behind
-- Unexpired bars on campaigns that a policy does not declare ($2), of controllers that it does declare ($1); and all bars and open
-- requests of controllers that it does not declare, with '' as the campaign.
SELECT s.controller, s.campaign, count(*) AS bars, 0 AS requests
FROM suppressions s
WHERE s.campaign <> '' AND s.controller = ANY ($1) AND s.controller || ' ' || s.campaign <> ALL ($2)
  AND (s.expires_at IS NULL OR s.expires_at > now())
GROUP BY s.controller, s.campaign
UNION ALL
SELECT s.controller, '', count(*), 0
FROM suppressions s
WHERE s.controller <> ALL ($1) AND (s.expires_at IS NULL OR s.expires_at > now()) GROUP BY s.controller
UNION ALL
SELECT r.controller, '', 0, count(*)
FROM rights_requests r WHERE r.closed_at IS NULL AND r.controller <> ALL ($1) GROUP BY r.controller
ORDER BY 1, 2, 3 DESC
