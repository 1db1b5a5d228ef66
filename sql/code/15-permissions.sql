-- What the acting user may do, and the functions that policies call.

CREATE OR REPLACE FUNCTION kvcrm.has_permission(permission text, organization_id uuid DEFAULT NULL) RETURNS boolean
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'has_permission';
COMMENT ON FUNCTION kvcrm.has_permission(text, uuid) IS
    'Whether the acting user has a permission (area:action) in the given or current organization; always true for the system. 22023 for an unknown permission.';

CREATE OR REPLACE FUNCTION kvcrm.my_permissions(organization_id uuid DEFAULT NULL)
    RETURNS TABLE (organization_id uuid, organization_name text, role_slug text, permissions text[])
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'my_permissions';
COMMENT ON FUNCTION kvcrm.my_permissions(uuid) IS
    'The acting user''s active memberships with role and permissions, of one organization or of all.';

CREATE OR REPLACE FUNCTION kvcrm.permission_registry() RETURNS TABLE (permission text, description text)
    LANGUAGE c IMMUTABLE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'permission_registry';
COMMENT ON FUNCTION kvcrm.permission_registry() IS
    'Every permission a role can have, with what it allows. A role may also hold area:* and *:*.';

-- No SET and no SECURITY DEFINER on policy functions: either costs several times the scan they guard.

CREATE OR REPLACE FUNCTION kvcrm.policy_user() RETURNS uuid
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'policy_user';
COMMENT ON FUNCTION kvcrm.policy_user() IS
    'For row-level security policies only: the acting user, remembered for one execution.';

CREATE OR REPLACE FUNCTION kvcrm.policy_organizations(permission text) RETURNS uuid[]
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'policy_organizations';
COMMENT ON FUNCTION kvcrm.policy_organizations(text) IS
    'For row-level security policies only: the organizations where the acting user has a permission; member = any active membership.';

CREATE OR REPLACE FUNCTION kvcrm.policy_teammates(permission text) RETURNS uuid[]
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'policy_teammates';
COMMENT ON FUNCTION kvcrm.policy_teammates(text) IS
    'For row-level security policies only: the active members of the acting user''s teams where the user has a permission; lets an index find what policy_team then decides.';

CREATE OR REPLACE FUNCTION kvcrm.policy_team(organization_id uuid, user_id uuid, permission text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'policy_team';
COMMENT ON FUNCTION kvcrm.policy_team(uuid, uuid, text) IS
    'For row-level security policies only: whether a user is an active member of the acting user''s team in that organization.';

CREATE OR REPLACE FUNCTION kvcrm.policy_lead(organization_id uuid, lead_id uuid) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'policy_lead';
COMMENT ON FUNCTION kvcrm.policy_lead(uuid, uuid) IS
    'For row-level security policies only: whether the acting user sees the lead.';
