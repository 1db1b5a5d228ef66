-- Tenancy: triggers, policies and functions of organizations, roles, teams and members.

CREATE OR REPLACE FUNCTION kvcrm.organizations_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'organizations_before';
COMMENT ON FUNCTION kvcrm.organizations_before() IS 'Trigger: texts, country and settings of an organization; locks writers of leads out before the duplicate policy is switched.';
CREATE OR REPLACE FUNCTION kvcrm.organizations_after() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'organizations_after';
COMMENT ON FUNCTION kvcrm.organizations_after() IS 'Trigger: defaults of a new organization; blocking keys of its leads when the duplicate policy was switched.';
CREATE OR REPLACE FUNCTION kvcrm.roles_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'roles_before';
COMMENT ON FUNCTION kvcrm.roles_before() IS 'Trigger: permissions are known, the role owner is immutable, nobody gives more than they have.';
CREATE OR REPLACE FUNCTION kvcrm.teams_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'teams_before';
COMMENT ON FUNCTION kvcrm.teams_before() IS 'Trigger: texts of a team.';
CREATE OR REPLACE FUNCTION kvcrm.organization_members_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'organization_members_before';
COMMENT ON FUNCTION kvcrm.organization_members_before() IS 'Trigger: who may make whom a member of what role, team and status.';
CREATE OR REPLACE FUNCTION kvcrm.organization_members_after() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'organization_members_after';
COMMENT ON FUNCTION kvcrm.organization_members_after() IS 'Trigger: a member who is no longer active keeps no open leads and tasks; an organization never loses its last active owner.';

CREATE OR REPLACE TRIGGER organizations_before BEFORE INSERT OR UPDATE ON kvcrm.organizations
    FOR EACH ROW EXECUTE FUNCTION kvcrm.organizations_before();
CREATE OR REPLACE TRIGGER roles_before BEFORE INSERT OR UPDATE OR DELETE ON kvcrm.roles
    FOR EACH ROW EXECUTE FUNCTION kvcrm.roles_before();
CREATE OR REPLACE TRIGGER teams_before BEFORE INSERT OR UPDATE ON kvcrm.teams
    FOR EACH ROW EXECUTE FUNCTION kvcrm.teams_before();
CREATE OR REPLACE TRIGGER organization_members_before BEFORE INSERT OR UPDATE OR DELETE ON kvcrm.organization_members
    FOR EACH ROW EXECUTE FUNCTION kvcrm.organization_members_before();
CREATE OR REPLACE TRIGGER organizations_after AFTER INSERT OR UPDATE ON kvcrm.organizations
    FOR EACH ROW EXECUTE FUNCTION kvcrm.organizations_after();
CREATE OR REPLACE TRIGGER organization_members_after AFTER UPDATE OR DELETE ON kvcrm.organization_members
    FOR EACH ROW EXECUTE FUNCTION kvcrm.organization_members_after();
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.organizations REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('organization');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.organizations REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('organization');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.organizations REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('organization');
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.roles REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('role');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.roles REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('role');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.roles REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('role');
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.teams REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('team');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.teams REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('team');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.teams REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('team');
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.organization_members REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('member');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.organization_members REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('member');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.organization_members REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('member');

ALTER TABLE kvcrm.organizations ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS organizations_select ON kvcrm.organizations;
CREATE POLICY organizations_select ON kvcrm.organizations FOR SELECT
    USING (id = ANY (kvcrm.policy_organizations('member')));
DROP POLICY IF EXISTS organizations_update ON kvcrm.organizations;
CREATE POLICY organizations_update ON kvcrm.organizations FOR UPDATE
    USING (id = ANY (kvcrm.policy_organizations('settings:update')));

ALTER TABLE kvcrm.roles ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS roles_select ON kvcrm.roles;
CREATE POLICY roles_select ON kvcrm.roles FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('member')));
DROP POLICY IF EXISTS roles_insert ON kvcrm.roles;
CREATE POLICY roles_insert ON kvcrm.roles FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('roles:create')));
DROP POLICY IF EXISTS roles_update ON kvcrm.roles;
CREATE POLICY roles_update ON kvcrm.roles FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('roles:update')));

ALTER TABLE kvcrm.teams ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS teams_select ON kvcrm.teams;
CREATE POLICY teams_select ON kvcrm.teams FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('member')));
DROP POLICY IF EXISTS teams_insert ON kvcrm.teams;
CREATE POLICY teams_insert ON kvcrm.teams FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('teams:create')));
DROP POLICY IF EXISTS teams_update ON kvcrm.teams;
CREATE POLICY teams_update ON kvcrm.teams FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('teams:update')));

ALTER TABLE kvcrm.organization_members ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS organization_members_select ON kvcrm.organization_members;
CREATE POLICY organization_members_select ON kvcrm.organization_members FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('member')) OR user_id = kvcrm.policy_user());
DROP POLICY IF EXISTS organization_members_insert ON kvcrm.organization_members;
CREATE POLICY organization_members_insert ON kvcrm.organization_members FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('members:create')));
-- The trigger says who may change what; a policy sees only one side of the change.
DROP POLICY IF EXISTS organization_members_update ON kvcrm.organization_members;
CREATE POLICY organization_members_update ON kvcrm.organization_members FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('members:update'))
        OR organization_id = ANY (kvcrm.policy_organizations('teams:update'))
        OR user_id = kvcrm.policy_user());

ALTER TABLE kvcrm.api_roles ENABLE ROW LEVEL SECURITY;

CREATE OR REPLACE FUNCTION kvcrm.create_organization(name text, locale text DEFAULT 'ru', default_country text DEFAULT 'RU',
    owner_id uuid DEFAULT NULL, owner_name text DEFAULT NULL, owner_email text DEFAULT NULL, organization_id uuid DEFAULT NULL) RETURNS kvcrm.organizations
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'create_organization';
COMMENT ON FUNCTION kvcrm.create_organization(text, text, text, uuid, text, text, uuid) IS
    'Creates an organization with its default roles, sources and stages (in Russian for locale ru, English for en) and its owner: the acting user, or the one the system names. default_country: ISO 3166-1 alpha-2. organization_id: the new id, for the system only. 22023 without name or owner; 42501 when users may not create organizations (setting kvcrm.organization_creation).';
CREATE OR REPLACE FUNCTION kvcrm.add_member(user_id uuid, role_slug text, display_name text DEFAULT NULL, email text DEFAULT NULL,
    team_id uuid DEFAULT NULL, organization_id uuid DEFAULT NULL) RETURNS kvcrm.organization_members
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'add_member';
COMMENT ON FUNCTION kvcrm.add_member(uuid, text, text, text, uuid, uuid) IS
    'Invites a user into the organization; the system adds an active member. Needs members:create and a role within one''s own permissions. 22023 for an unknown role or team; 42501; 23505 when already a member.';
CREATE OR REPLACE FUNCTION kvcrm.accept_invitation(organization_id uuid DEFAULT NULL) RETURNS kvcrm.organization_members
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'accept_invitation';
COMMENT ON FUNCTION kvcrm.accept_invitation(uuid) IS
    'Makes the acting user an active member of the organization that invited them. PT404 without an open invitation; 22023 when several are open and none is named.';
CREATE OR REPLACE FUNCTION kvcrm.decline_invitation(organization_id uuid DEFAULT NULL) RETURNS kvcrm.organization_members
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'decline_invitation';
COMMENT ON FUNCTION kvcrm.decline_invitation(uuid) IS
    'Declines an invitation and returns the row, which is deleted. PT404 without an open invitation; 22023 when several are open and none is named.';
CREATE OR REPLACE FUNCTION kvcrm.set_member_role(user_id uuid, role_slug text, organization_id uuid DEFAULT NULL) RETURNS kvcrm.organization_members
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'set_member_role';
COMMENT ON FUNCTION kvcrm.set_member_role(uuid, text, uuid) IS
    'Gives a member another role. Needs members:update; neither the old nor the new role may allow more than one''s own. PT404; 22023 for an unknown role; 42501; 23514 for the last owner.';
CREATE OR REPLACE FUNCTION kvcrm.suspend_member(user_id uuid, reassign_to uuid DEFAULT NULL, organization_id uuid DEFAULT NULL) RETURNS kvcrm.organization_members
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'suspend_member';
COMMENT ON FUNCTION kvcrm.suspend_member(uuid, uuid, uuid) IS
    'Suspends a member and hands their open leads and tasks to another active member (null: to nobody) in the same transaction; withdraws an invitation not accepted yet. reassign_to needs leads:assign besides members:update. PT404; 22023 for a wrong reassign_to; 42501; 23514 for the last owner.';
CREATE OR REPLACE FUNCTION kvcrm.reactivate_member(user_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.organization_members
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'reactivate_member';
COMMENT ON FUNCTION kvcrm.reactivate_member(uuid, uuid) IS
    'Makes a suspended member active again. PT404; 42501; 23514 for an invitation not accepted yet.';
