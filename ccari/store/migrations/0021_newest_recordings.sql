-- Recordings as they are looked through: deleted ones keep their rows, and beside a million a page took a second of sorting
-- depends: 0020_sealed_accesses

-- migrate: apply
CREATE INDEX recordings_newest ON recordings (tagged_at DESC, id DESC);

-- migrate: rollback
DROP INDEX recordings_newest;
