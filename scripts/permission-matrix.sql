-- The matrix of docs/permissions.md: every permission and which default roles have it. Called by
-- scripts/api-reference.

BEGIN;
SELECT kvcrm.create_organization('Matrix', 'en', owner_id => kvcrm.uuid_v7()) AS organization \g /dev/null
SELECT '| permission | allows to | `sales_team` | `sales_manager` | `admin` | `owner` |';
SELECT '|---|---|:-:|:-:|:-:|:-:|';
SELECT format('| `%s` | %s | %s |', p.permission, p.description, string_agg(CASE WHEN r.holds THEN '✓' ELSE '' END, ' | ' ORDER BY r.rank))
  FROM kvcrm.permission_registry() WITH ORDINALITY AS p (permission, description, no),
       LATERAL (SELECT array_position(ARRAY['sales_team', 'sales_manager', 'admin', 'owner'], slug) AS rank,
                       permissions && ARRAY[p.permission, split_part(p.permission, ':', 1) || ':*', '*:*'] AS holds
                  FROM kvcrm.roles) AS r
 GROUP BY p.no, p.permission, p.description ORDER BY p.no;
ROLLBACK;
