-- Stages, rules for moves, sources: triggers and policies.

CREATE OR REPLACE FUNCTION kvcrm.lead_stages_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'lead_stages_before';
COMMENT ON FUNCTION kvcrm.lead_stages_before() IS 'Trigger: texts of a stage; its flags and its row are kept while it holds leads.';
CREATE OR REPLACE FUNCTION kvcrm.lead_stages_after() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'lead_stages_after';
COMMENT ON FUNCTION kvcrm.lead_stages_after() IS 'Trigger: an open stage remains; the status of leads follows which stage is first.';
CREATE OR REPLACE FUNCTION kvcrm.lead_stage_transitions_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'lead_stage_transitions_before';
COMMENT ON FUNCTION kvcrm.lead_stage_transitions_before() IS 'Trigger: required_fields name fields of leads.';
CREATE OR REPLACE FUNCTION kvcrm.lead_sources_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'lead_sources_before';
COMMENT ON FUNCTION kvcrm.lead_sources_before() IS 'Trigger: texts of a source.';

CREATE OR REPLACE TRIGGER lead_stages_before BEFORE INSERT OR UPDATE OR DELETE ON kvcrm.lead_stages
    FOR EACH ROW EXECUTE FUNCTION kvcrm.lead_stages_before();
CREATE OR REPLACE TRIGGER lead_stages_after_insert AFTER INSERT ON kvcrm.lead_stages REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.lead_stages_after();
CREATE OR REPLACE TRIGGER lead_stages_after_update AFTER UPDATE ON kvcrm.lead_stages REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.lead_stages_after();
CREATE OR REPLACE TRIGGER lead_stages_after_delete AFTER DELETE ON kvcrm.lead_stages REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.lead_stages_after();
CREATE OR REPLACE TRIGGER lead_stages_changed AFTER INSERT OR UPDATE OR DELETE ON kvcrm.lead_stages
    FOR EACH ROW EXECUTE FUNCTION kvcrm.remembered_changed();
ALTER TABLE kvcrm.lead_stages ENABLE ALWAYS TRIGGER lead_stages_changed;
CREATE OR REPLACE TRIGGER lead_stage_transitions_before BEFORE INSERT OR UPDATE ON kvcrm.lead_stage_transitions
    FOR EACH ROW EXECUTE FUNCTION kvcrm.lead_stage_transitions_before();
CREATE OR REPLACE TRIGGER lead_sources_before BEFORE INSERT OR UPDATE ON kvcrm.lead_sources
    FOR EACH ROW EXECUTE FUNCTION kvcrm.lead_sources_before();
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.lead_stages REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('stage');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.lead_stages REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('stage');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.lead_stages REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('stage');
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.lead_stage_transitions REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('transition');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.lead_stage_transitions REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('transition');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.lead_stage_transitions REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('transition');
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.lead_sources REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('source');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.lead_sources REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('source');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.lead_sources REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('source');

ALTER TABLE kvcrm.lead_stages ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS lead_stages_select ON kvcrm.lead_stages;
CREATE POLICY lead_stages_select ON kvcrm.lead_stages FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('member')));
DROP POLICY IF EXISTS lead_stages_insert ON kvcrm.lead_stages;
CREATE POLICY lead_stages_insert ON kvcrm.lead_stages FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('lead_stages:create')));
DROP POLICY IF EXISTS lead_stages_update ON kvcrm.lead_stages;
CREATE POLICY lead_stages_update ON kvcrm.lead_stages FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('lead_stages:update')));

ALTER TABLE kvcrm.lead_stage_transitions ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS lead_stage_transitions_select ON kvcrm.lead_stage_transitions;
CREATE POLICY lead_stage_transitions_select ON kvcrm.lead_stage_transitions FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('member')));
DROP POLICY IF EXISTS lead_stage_transitions_insert ON kvcrm.lead_stage_transitions;
CREATE POLICY lead_stage_transitions_insert ON kvcrm.lead_stage_transitions FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('lead_stages:create')));
DROP POLICY IF EXISTS lead_stage_transitions_update ON kvcrm.lead_stage_transitions;
CREATE POLICY lead_stage_transitions_update ON kvcrm.lead_stage_transitions FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('lead_stages:update')));

ALTER TABLE kvcrm.lead_sources ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS lead_sources_select ON kvcrm.lead_sources;
CREATE POLICY lead_sources_select ON kvcrm.lead_sources FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('member')));
DROP POLICY IF EXISTS lead_sources_insert ON kvcrm.lead_sources;
CREATE POLICY lead_sources_insert ON kvcrm.lead_sources FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('settings:update')));
DROP POLICY IF EXISTS lead_sources_update ON kvcrm.lead_sources;
CREATE POLICY lead_sources_update ON kvcrm.lead_sources FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('settings:update')));
