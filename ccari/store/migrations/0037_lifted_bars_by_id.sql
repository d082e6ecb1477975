-- Bars that were lifted have a key: without one, PostgreSQL refuses to change them where they are published
-- depends: 0036_controllers_leave

-- migrate: apply
ALTER TABLE removed_suppressions ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
DROP TRIGGER erase_only ON removed_suppressions;
CREATE TRIGGER erase_only BEFORE UPDATE ON removed_suppressions FOR EACH ROW
    WHEN ((OLD.id, OLD.controller, OLD.digest, OLD.key_version, OLD.campaign, OLD.reason, OLD.entered_at, OLD.expires_at,
           OLD.removed_at, OLD.removed_by)
          IS DISTINCT FROM
          (NEW.id, NEW.controller, NEW.digest, NEW.key_version, NEW.campaign, NEW.reason, NEW.entered_at, NEW.expires_at,
           NEW.removed_at, NEW.removed_by)
          OR NEW.call_id IS NOT NULL AND NEW.call_id IS DISTINCT FROM OLD.call_id
          OR NEW.origin NOT IN (OLD.origin, 'erased') OR NEW.proof NOT IN (OLD.proof, 'erased')
          OR NEW.why NOT IN (OLD.why, 'erased'))
    EXECUTE FUNCTION refuse_edit();

-- migrate: rollback
DROP TRIGGER erase_only ON removed_suppressions;
ALTER TABLE removed_suppressions DROP COLUMN id;
CREATE TRIGGER erase_only BEFORE UPDATE ON removed_suppressions FOR EACH ROW
    WHEN ((OLD.controller, OLD.digest, OLD.key_version, OLD.campaign, OLD.reason, OLD.entered_at, OLD.expires_at,
           OLD.removed_at, OLD.removed_by)
          IS DISTINCT FROM
          (NEW.controller, NEW.digest, NEW.key_version, NEW.campaign, NEW.reason, NEW.entered_at, NEW.expires_at,
           NEW.removed_at, NEW.removed_by)
          OR NEW.call_id IS NOT NULL AND NEW.call_id IS DISTINCT FROM OLD.call_id
          OR NEW.origin NOT IN (OLD.origin, 'erased') OR NEW.proof NOT IN (OLD.proof, 'erased')
          OR NEW.why NOT IN (OLD.why, 'erased'))
    EXECUTE FUNCTION refuse_edit();
