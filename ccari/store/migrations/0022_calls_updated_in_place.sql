-- A call's row is written in its place: a journal that goes on is no matter of an index
-- depends: 0021_newest_recordings

-- migrate: apply
-- sealed: how many entries are, and nought where that is not all of them. The index compared it with events, so that each of a
-- call's eight writes put its row anew into all seven indexes of calls
UPDATE calls SET sealed = 0 WHERE ended_at IS NOT NULL AND sealed < events AND sealed <> 0;
DROP INDEX calls_to_seal;
CREATE INDEX calls_to_seal ON calls (ended_at) WHERE ended_at IS NOT NULL AND sealed = 0;

-- migrate: rollback
DROP INDEX calls_to_seal;
CREATE INDEX calls_to_seal ON calls (ended_at) WHERE ended_at IS NOT NULL AND sealed < events;
