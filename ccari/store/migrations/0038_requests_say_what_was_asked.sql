-- The first entry of a request's journal says what was asked for, of whom, by whom and when: the journal is sealed, and the row is not
-- depends: 0037_lifted_bars_by_id

-- migrate: apply
ALTER TABLE request_event_details ADD COLUMN asserted jsonb;
-- as of what else is erased: statistics would keep values of it
ALTER TABLE request_event_details ALTER COLUMN asserted SET STATISTICS 0;

-- migrate: rollback
ALTER TABLE request_event_details DROP COLUMN asserted;
