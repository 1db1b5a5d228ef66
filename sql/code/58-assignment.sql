-- Assignment: triggers, policies and functions.

CREATE OR REPLACE FUNCTION kvcrm.assignment_rules_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'assignment_rules_before';
COMMENT ON FUNCTION kvcrm.assignment_rules_before() IS 'Trigger: a rule names a known field, and an operator and a value that fit it.';

CREATE OR REPLACE TRIGGER assignment_rules_before BEFORE INSERT OR UPDATE ON kvcrm.assignment_rules
    FOR EACH ROW EXECUTE FUNCTION kvcrm.assignment_rules_before();
-- Always: rules that replication brings are news to the backends here too.
CREATE OR REPLACE TRIGGER assignment_rules_changed AFTER INSERT OR UPDATE OR DELETE ON kvcrm.assignment_rules
    FOR EACH ROW EXECUTE FUNCTION kvcrm.remembered_changed();
ALTER TABLE kvcrm.assignment_rules ENABLE ALWAYS TRIGGER assignment_rules_changed;
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.assignment_rules REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('assignment_rule');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.assignment_rules REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('assignment_rule');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.assignment_rules REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('assignment_rule');

ALTER TABLE kvcrm.assignment_pools ENABLE ROW LEVEL SECURITY;
ALTER TABLE kvcrm.assignment_rules ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS assignment_rules_select ON kvcrm.assignment_rules;
CREATE POLICY assignment_rules_select ON kvcrm.assignment_rules FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('member')));
DROP POLICY IF EXISTS assignment_rules_insert ON kvcrm.assignment_rules;
CREATE POLICY assignment_rules_insert ON kvcrm.assignment_rules FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('settings:update')));
DROP POLICY IF EXISTS assignment_rules_update ON kvcrm.assignment_rules;
CREATE POLICY assignment_rules_update ON kvcrm.assignment_rules FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('settings:update')));
DROP POLICY IF EXISTS assignment_rules_delete ON kvcrm.assignment_rules;
CREATE POLICY assignment_rules_delete ON kvcrm.assignment_rules FOR DELETE
    USING (organization_id = ANY (kvcrm.policy_organizations('settings:update')));

CREATE OR REPLACE FUNCTION kvcrm.assign_next(lead_id uuid, team_id uuid DEFAULT NULL, organization_id uuid DEFAULT NULL) RETURNS kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'assign_next';
COMMENT ON FUNCTION kvcrm.assign_next(uuid, uuid, uuid) IS
    'Gives a lead to the member of a team, or (null) of the organization, whose turn it is: active, with a weight above 0, below capacity, with a role that changes leads; not to whoever has it. Needs leads:assign. 22023, also for an unknown team; PT404; 42501; 23514 when the lead is gone or nobody can take it.';
