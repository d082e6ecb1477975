-- Journals that outlive what they tell of, and their seals
-- depends: 0007_holds

-- migrate: apply
SELECT 1;

-- migrate: rollback
SELECT 1;
