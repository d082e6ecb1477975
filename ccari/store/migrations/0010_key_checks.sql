-- Which secret each version was, so that one that is lost, or another in its place, does not go unnoticed
-- depends: 0009_erasures

-- migrate: apply
CREATE TABLE key_checks (
    kind        text        NOT NULL CHECK (kind IN ('controller', 'register')),
    holder      text        NOT NULL,
    key_version smallint    NOT NULL,
    key_check   text,  -- tells the secret from another, and nothing else of it; null until it is first seen
    known_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, holder, key_version)
);
INSERT INTO key_checks (kind, holder, key_version)
SELECT 'controller', controller, key_version FROM suppressions
UNION SELECT 'controller', controller, key_version FROM contacts
UNION SELECT 'controller', controller, key_version FROM consents
UNION SELECT 'controller', controller, key_version FROM rights_requests
UNION SELECT 'controller', controller, key_version FROM heard_notices
UNION SELECT 'controller', controller, key_version FROM calls WHERE controller IS NOT NULL AND digest IS NOT NULL
UNION SELECT 'register', register, key_version FROM register_entries;

-- migrate: rollback
DROP TABLE key_checks;
