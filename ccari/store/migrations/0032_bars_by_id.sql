-- Lists of bars are read in the order of their ids: no list needs the order of entry, which cost an eighth of the space of bars
-- depends: 0031_consents_in_one_look

-- migrate: apply
DROP INDEX suppressions_by_entry;

-- migrate: rollback
CREATE INDEX suppressions_by_entry ON suppressions (entered_at DESC, id DESC);
