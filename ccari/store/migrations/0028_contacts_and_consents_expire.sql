-- Contacts go that were in no list, and had no call, for long; and consents that ended long ago
-- depends: 0027_requests_expire

-- migrate: apply
ALTER TABLE contacts ADD COLUMN told_at timestamptz;  -- when a list had it again, to the day; null: not since it was entered
CREATE INDEX contacts_to_expire ON contacts (controller, coalesce(told_at, entered_at), digest, source);
CREATE INDEX consents_to_expire ON consents (controller, given_at, id);
-- whether one was entered under an older secret after a newer one was known
CREATE INDEX consents_by_key_version ON consents (controller, key_version, entered_at);

-- migrate: rollback
DROP INDEX consents_by_key_version;
DROP INDEX consents_to_expire;
DROP INDEX contacts_to_expire;
ALTER TABLE contacts DROP COLUMN told_at;
