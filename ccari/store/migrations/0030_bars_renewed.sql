-- Whether a bar, as it was last entered, took the place of one that had ended, and when: an upsert does not tell
-- depends: 0029_contacts_in_order

-- migrate: apply
ALTER TABLE suppressions ADD COLUMN renewed_after timestamptz;

-- migrate: rollback
ALTER TABLE suppressions DROP COLUMN renewed_after;
