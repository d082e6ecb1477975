-- Contacts go that were in no list, and had no call, for long
-- depends: 0027_requests_expire

-- migrate: apply
ALTER TABLE contacts ADD COLUMN told_at timestamptz;  -- when a list had it again, to the day; null: not since it was entered
CREATE INDEX contacts_to_expire ON contacts (controller, coalesce(told_at, entered_at), digest, source);

-- migrate: rollback
DROP INDEX contacts_to_expire;
ALTER TABLE contacts DROP COLUMN told_at;
