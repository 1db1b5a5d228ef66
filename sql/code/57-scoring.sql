-- Scoring: triggers, policies and functions.

CREATE OR REPLACE FUNCTION kvcrm.scoring_rules_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'scoring_rules_before';
COMMENT ON FUNCTION kvcrm.scoring_rules_before() IS 'Trigger: a rule names a known field, and an operator and a value that fit it.';
CREATE OR REPLACE FUNCTION kvcrm.scoring_rules_stale() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'scoring_rules_stale';
COMMENT ON FUNCTION kvcrm.scoring_rules_stale() IS 'Trigger: marks the scores of the organization as stale, and says so.';
CREATE OR REPLACE FUNCTION kvcrm.lead_activities_after() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'lead_activities_after';
COMMENT ON FUNCTION kvcrm.lead_activities_after() IS 'Trigger: the scores of leads whose activities are counted.';

CREATE OR REPLACE TRIGGER scoring_rules_before BEFORE INSERT OR UPDATE OR DELETE ON kvcrm.scoring_rules
    FOR EACH ROW EXECUTE FUNCTION kvcrm.scoring_rules_before();
-- Always: rules that replication brings are news to the backends here too.
CREATE OR REPLACE TRIGGER scoring_rules_changed AFTER INSERT OR UPDATE OR DELETE ON kvcrm.scoring_rules
    FOR EACH ROW EXECUTE FUNCTION kvcrm.remembered_changed();
ALTER TABLE kvcrm.scoring_rules ENABLE ALWAYS TRIGGER scoring_rules_changed;
CREATE OR REPLACE TRIGGER scoring_rules_stale AFTER INSERT OR UPDATE OR DELETE ON kvcrm.scoring_rules
    FOR EACH ROW EXECUTE FUNCTION kvcrm.scoring_rules_stale();
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.scoring_rules REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('scoring_rule');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.scoring_rules REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('scoring_rule');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.scoring_rules REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('scoring_rule');

CREATE OR REPLACE TRIGGER lead_activities_after_insert AFTER INSERT ON kvcrm.lead_activities REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.lead_activities_after();
CREATE OR REPLACE TRIGGER lead_activities_after_update AFTER UPDATE ON kvcrm.lead_activities REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.lead_activities_after();
CREATE OR REPLACE TRIGGER lead_activities_after_delete AFTER DELETE ON kvcrm.lead_activities REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.lead_activities_after();

ALTER TABLE kvcrm.scoring_states ENABLE ROW LEVEL SECURITY;
ALTER TABLE kvcrm.scoring_rules ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS scoring_rules_select ON kvcrm.scoring_rules;
CREATE POLICY scoring_rules_select ON kvcrm.scoring_rules FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('member')));
DROP POLICY IF EXISTS scoring_rules_insert ON kvcrm.scoring_rules;
CREATE POLICY scoring_rules_insert ON kvcrm.scoring_rules FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('scoring:manage')));
DROP POLICY IF EXISTS scoring_rules_update ON kvcrm.scoring_rules;
CREATE POLICY scoring_rules_update ON kvcrm.scoring_rules FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('scoring:manage')));
DROP POLICY IF EXISTS scoring_rules_delete ON kvcrm.scoring_rules;
CREATE POLICY scoring_rules_delete ON kvcrm.scoring_rules FOR DELETE
    USING (organization_id = ANY (kvcrm.policy_organizations('scoring:manage')));

CREATE OR REPLACE FUNCTION kvcrm.explain_score(lead_id uuid, organization_id uuid DEFAULT NULL) RETURNS jsonb
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'explain_score';
COMMENT ON FUNCTION kvcrm.explain_score(uuid, uuid) IS
    'Why a lead has its score: every rule, whether it applies and what the lead has there. score = sum + difference; sum is that of the points of the rules that apply now, difference is 0 unless rules changed since the lead was scored (stale) or time has passed. 22023; PT404.';
CREATE OR REPLACE FUNCTION kvcrm.rescore_leads(batch int DEFAULT 1000, organization_id uuid DEFAULT NULL) RETURNS int
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'rescore_leads';
COMMENT ON FUNCTION kvcrm.rescore_leads(int, uuid) IS
    'Brings the scores of up to batch leads up to date, in this transaction, going on where the last call stopped. Returns how many it looked at; call it until it returns 0, which ends a round. The system without an organization goes through all that are due. Needs scoring:manage. 22023; 42501.';
