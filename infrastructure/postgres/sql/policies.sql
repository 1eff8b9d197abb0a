-- name: all
-- Every stored policy.
SELECT * FROM app.approval_policies ORDER BY scope

-- name: put
-- Store a policy, or replace it; what it was before.
WITH before AS (SELECT to_jsonb(p) AS old FROM app.approval_policies p WHERE p.scope = %(scope)s FOR UPDATE)
INSERT INTO app.approval_policies AS p (
    scope, required_approvals, allow_self, auto_approve, auto_export, max_extent_percent, max_count_percent, updated_by)
VALUES (%(scope)s, %(required_approvals)s, %(allow_self)s, %(auto_approve)s, %(auto_export)s, %(max_extent_percent)s,
    %(max_count_percent)s, %(updated_by)s)
ON CONFLICT (scope) DO UPDATE SET required_approvals = excluded.required_approvals, allow_self = excluded.allow_self,
    auto_approve = excluded.auto_approve, auto_export = excluded.auto_export,
    max_extent_percent = excluded.max_extent_percent, max_count_percent = excluded.max_count_percent,
    updated_by = excluded.updated_by, updated_at = clock_timestamp()
RETURNING to_jsonb(p) AS new, (SELECT b.old FROM before b)

-- name: delete
-- Forget a policy; wider ones decide again.
DELETE FROM app.approval_policies WHERE scope = %(scope)s RETURNING to_jsonb(approval_policies)
