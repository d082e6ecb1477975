-- Each exercise of a right by its own id, so that one that is registered twice is one request
-- depends: 0011_stereo

-- migrate: apply
ALTER TABLE rights_requests
    ADD COLUMN exercise_id uuid CONSTRAINT rights_requests_exercised_once UNIQUE;  -- null: from before there were any

-- migrate: rollback
ALTER TABLE rights_requests DROP COLUMN exercise_id;
