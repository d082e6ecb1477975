-- A consent that was kept as proof when its person was erased is no basis for calls, when the bar is lifted
-- depends: 0023_calls_expire

-- migrate: apply
-- not one that was given since, or that a list has brought since the bar was lifted
UPDATE consents SET withdrawn_at = ended.at
FROM (SELECT k.id, min(e.begun_at) AS at
      FROM erasures e JOIN rights_requests q USING (reference)
      JOIN consents k ON k.controller = e.controller AND k.digest = ANY (q.digests)
                     AND greatest(k.given_at, k.entered_at) <= e.begun_at
      GROUP BY k.id) AS ended
WHERE consents.id = ended.id AND consents.withdrawn_at IS NULL;

-- migrate: rollback
-- what has ended stays so
SELECT 1;
