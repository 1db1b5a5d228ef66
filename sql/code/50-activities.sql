-- Activities: trigger, policies and functions.

CREATE OR REPLACE FUNCTION kvcrm.lead_activities_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'lead_activities_before';
COMMENT ON FUNCTION kvcrm.lead_activities_before() IS 'Trigger: texts and assignee of an activity.';

CREATE OR REPLACE TRIGGER lead_activities_before BEFORE INSERT OR UPDATE ON kvcrm.lead_activities
    FOR EACH ROW EXECUTE FUNCTION kvcrm.lead_activities_before();
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.lead_activities REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('activity');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.lead_activities REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('activity');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.lead_activities REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('activity');

ALTER TABLE kvcrm.lead_activities ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS lead_activities_select ON kvcrm.lead_activities;
CREATE POLICY lead_activities_select ON kvcrm.lead_activities FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('leads:read_all')) OR kvcrm.policy_lead(organization_id, lead_id));
DROP POLICY IF EXISTS lead_activities_insert ON kvcrm.lead_activities;
CREATE POLICY lead_activities_insert ON kvcrm.lead_activities FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('activities:create'))
        AND (organization_id = ANY (kvcrm.policy_organizations('leads:read_all')) OR kvcrm.policy_lead(organization_id, lead_id)));
DROP POLICY IF EXISTS lead_activities_update ON kvcrm.lead_activities;
CREATE POLICY lead_activities_update ON kvcrm.lead_activities FOR UPDATE
    USING ((organization_id = ANY (kvcrm.policy_organizations('leads:read_all')) OR kvcrm.policy_lead(organization_id, lead_id))
        AND (organization_id = ANY (kvcrm.policy_organizations('activities:update'))
            OR ((created_by = kvcrm.policy_user() OR assigned_to = kvcrm.policy_user())
                AND organization_id = ANY (kvcrm.policy_organizations('activities:create')))))
    -- What one may edit one may also hand over, to be somebody else's then; lead and organization never change.
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('member')));

CREATE OR REPLACE FUNCTION kvcrm.log_activity(lead_id uuid, type text, title text, description text DEFAULT NULL, due_date timestamptz DEFAULT NULL,
    assigned_to uuid DEFAULT NULL, completed_at timestamptz DEFAULT NULL, organization_id uuid DEFAULT NULL) RETURNS kvcrm.lead_activities
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'log_activity';
COMMENT ON FUNCTION kvcrm.log_activity(uuid, text, text, text, timestamptz, uuid, timestamptz, uuid) IS
    'Adds a call, meeting, email, task or note to a lead; a task without an assignee is its creator''s. Needs activities:create. 22023; PT404; 42501; 23514 when the lead is gone or the assignee no active member; 22001.';
CREATE OR REPLACE FUNCTION kvcrm.complete_activity(activity_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.lead_activities
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'complete_activity';
COMMENT ON FUNCTION kvcrm.complete_activity(uuid, uuid) IS
    'Marks an activity as done now; doing it twice changes nothing. Everybody''s need activities:update, one''s own activities:create. 22023; PT404; 42501.';
CREATE OR REPLACE FUNCTION kvcrm.delete_activity(activity_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.lead_activities
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'delete_activity';
COMMENT ON FUNCTION kvcrm.delete_activity(uuid, uuid) IS
    'Deletes an activity and returns it as it was; the log keeps its content. Everybody''s need activities:delete, one''s own activities:create. 22023; PT404; 42501.';
