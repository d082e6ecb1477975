-- A refused recording that cannot be stored at once is cut as one that can
-- depends: 0034_time_stamps

-- migrate: apply
ALTER TABLE recordings
    ADD COLUMN ended_at timestamptz;  -- when Asterisk ended it, if it could not be stored then and ccari saw its end

-- migrate: rollback
ALTER TABLE recordings DROP COLUMN ended_at;
