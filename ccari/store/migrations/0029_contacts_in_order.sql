-- Contacts in the order in which they were entered, so that a list of them goes on where it ended whatever is imported meanwhile
-- depends: 0028_contacts_and_consents_expire

-- migrate: apply
ALTER TABLE contacts ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT contacts_in_order UNIQUE;

-- migrate: rollback
ALTER TABLE contacts DROP COLUMN id;
