-- Leads: triggers, policies and the functions on one lead.

CREATE OR REPLACE FUNCTION kvcrm.leads_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'leads_before';
COMMENT ON FUNCTION kvcrm.leads_before() IS 'Trigger: everything that holds for a lead whichever way it is written.';
CREATE OR REPLACE FUNCTION kvcrm.leads_after() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'leads_after';
COMMENT ON FUNCTION kvcrm.leads_after() IS 'Trigger: stage history, fingerprints and the counts of the board, in bulk.';

CREATE OR REPLACE TRIGGER leads_before BEFORE INSERT OR UPDATE ON kvcrm.leads
    FOR EACH ROW EXECUTE FUNCTION kvcrm.leads_before();
CREATE OR REPLACE TRIGGER leads_after_insert AFTER INSERT ON kvcrm.leads REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.leads_after();
CREATE OR REPLACE TRIGGER leads_after_update AFTER UPDATE ON kvcrm.leads REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.leads_after();
CREATE OR REPLACE TRIGGER leads_after_delete AFTER DELETE ON kvcrm.leads REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.leads_after();
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.leads REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('lead');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.leads REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('lead');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.leads REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('lead');

ALTER TABLE kvcrm.leads ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS leads_select ON kvcrm.leads;
CREATE POLICY leads_select ON kvcrm.leads FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('leads:read_all'))
        OR (assigned_to = kvcrm.policy_user() AND organization_id = ANY (kvcrm.policy_organizations('leads:read_own')))
        OR (organization_id = ANY (kvcrm.policy_organizations('leads:read_team'))
            AND assigned_to = ANY (kvcrm.policy_teammates('leads:read_team'))
            AND kvcrm.policy_team(organization_id, assigned_to, 'leads:read_team')));
DROP POLICY IF EXISTS leads_insert ON kvcrm.leads;
CREATE POLICY leads_insert ON kvcrm.leads FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('leads:create')));
DROP POLICY IF EXISTS leads_update ON kvcrm.leads;
-- Nobody changes a lead that they don't see: an UPDATE that reads no column, for want of WHERE and RETURNING, isn't asked
-- for the policy above.
CREATE POLICY leads_update ON kvcrm.leads FOR UPDATE
    USING ((organization_id = ANY (kvcrm.policy_organizations('leads:update'))
            OR (assigned_to = kvcrm.policy_user() AND organization_id = ANY (kvcrm.policy_organizations('leads:update_own')))
            OR (organization_id = ANY (kvcrm.policy_organizations('leads:update_team'))
                AND assigned_to = ANY (kvcrm.policy_teammates('leads:update_team'))
                AND kvcrm.policy_team(organization_id, assigned_to, 'leads:update_team')))
        AND (organization_id = ANY (kvcrm.policy_organizations('leads:read_all'))
            OR (assigned_to = kvcrm.policy_user() AND organization_id = ANY (kvcrm.policy_organizations('leads:read_own')))
            OR (organization_id = ANY (kvcrm.policy_organizations('leads:read_team'))
                AND assigned_to = ANY (kvcrm.policy_teammates('leads:read_team'))
                AND kvcrm.policy_team(organization_id, assigned_to, 'leads:read_team'))));

ALTER TABLE kvcrm.lead_fingerprints ENABLE ROW LEVEL SECURITY;

ALTER TABLE kvcrm.lead_stage_history ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS lead_stage_history_select ON kvcrm.lead_stage_history;
CREATE POLICY lead_stage_history_select ON kvcrm.lead_stage_history FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('leads:read_all')) OR kvcrm.policy_lead(organization_id, lead_id));

CREATE OR REPLACE FUNCTION kvcrm.create_lead(name text, email text DEFAULT NULL, phone text DEFAULT NULL, company text DEFAULT NULL,
    job_title text DEFAULT NULL, inn text DEFAULT NULL, source text DEFAULT NULL, stage_id uuid DEFAULT NULL,
    assigned_to uuid DEFAULT NULL, estimated_value numeric DEFAULT NULL, currency text DEFAULT NULL,
    custom_fields jsonb DEFAULT NULL, on_duplicate text DEFAULT NULL, organization_id uuid DEFAULT NULL) RETURNS kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'create_lead';
COMMENT ON FUNCTION kvcrm.create_lead(text, text, text, text, text, text, text, uuid, uuid, numeric, text, jsonb, text, uuid) IS
    'Creates a lead in the first open stage or the one named. estimated_value is in currency (ISO 4217, default the organization''s). on_duplicate: allow, warn, block; null = the organization''s policy. 22023 without name; 42501 without leads:create; 23514 for a violated rule; 22001 for a text too long; 23505 for a blocked duplicate; PT404 for an unknown stage.';
CREATE OR REPLACE FUNCTION kvcrm.assign_lead(lead_id uuid, assignee_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'assign_lead';
COMMENT ON FUNCTION kvcrm.assign_lead(uuid, uuid, uuid) IS
    'Assigns a lead to an active member; null = to nobody. Needs leads:assign, except for taking over a lead one may update. 22023; PT404; 42501; 23514 when the assignee is no active member or the lead is gone.';
CREATE OR REPLACE FUNCTION kvcrm.move_lead(lead_id uuid, stage_id uuid, before_lead_id uuid DEFAULT NULL, lost_reason text DEFAULT NULL,
    expected_version int DEFAULT NULL, organization_id uuid DEFAULT NULL) RETURNS kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'move_lead';
COMMENT ON FUNCTION kvcrm.move_lead(uuid, uuid, uuid, text, int, uuid) IS
    'Moves a lead into a stage, before another card or (null) at the end of the column; writes this one lead. lost_reason is required for a lost stage. expected_version makes a stale drag fail with PT409. 22023; PT404; 42501; 23514 when the pipeline does not allow the move.';
CREATE OR REPLACE FUNCTION kvcrm.delete_lead(lead_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'delete_lead';
COMMENT ON FUNCTION kvcrm.delete_lead(uuid, uuid) IS
    'Deletes a lead: it leaves lists, search and boards and can be restored. Needs leads:delete. 22023; PT404; 42501; 23514 for a merged lead.';
CREATE OR REPLACE FUNCTION kvcrm.restore_lead(lead_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'restore_lead';
COMMENT ON FUNCTION kvcrm.restore_lead(uuid, uuid) IS
    'Restores a deleted lead. Needs leads:delete. 22023; PT404; 42501; 23505 when its e-mail or phone is taken meanwhile under the policy block.';

CREATE OR REPLACE FUNCTION kvcrm.derivation_version() RETURNS int
    LANGUAGE c STABLE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'derivation_version';
COMMENT ON FUNCTION kvcrm.derivation_version() IS
    'By which rules of kvcrm, and by which ICU and numbering plans of libphonenumber, this server derives: another number for others. Rows of another one are due for refresh_derived.';
CREATE OR REPLACE FUNCTION kvcrm.refresh_derived(batch int DEFAULT 1000, organization_id uuid DEFAULT NULL) RETURNS int
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'refresh_derived';
COMMENT ON FUNCTION kvcrm.refresh_derived(int, uuid) IS
    'Derives anew what other rules, or another ICU or libphonenumber, derived: normalised phones and e-mail addresses, what search and matching read; and who owns which INN, e-mail and phone, where nobody does. Up to batch leads and customers, in this transaction. Returns how many; call it until it returns 0. What would be a blocked duplicate is left as it is, and a WARNING names it. Neither version nor updated_at nor the log tells of it. The system without an organization goes through all. Needs settings:update. 22023; 42501.';
