-- Custom fields: triggers and policies.

CREATE OR REPLACE FUNCTION kvcrm.custom_field_definitions_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'custom_field_definitions_before';
COMMENT ON FUNCTION kvcrm.custom_field_definitions_before() IS 'Trigger: texts of a definition; values in use go on fitting it.';
CREATE OR REPLACE FUNCTION kvcrm.custom_field_definitions_after() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'custom_field_definitions_after';
COMMENT ON FUNCTION kvcrm.custom_field_definitions_after() IS 'Trigger: makes every backend read the definitions anew.';
CREATE OR REPLACE FUNCTION kvcrm.field_fits(value jsonb, type text, options text[]) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'field_fits';
COMMENT ON FUNCTION kvcrm.field_fits(jsonb, text, text[]) IS 'Whether a value of custom_fields fits a definition; none always does. Internal.';

CREATE OR REPLACE TRIGGER custom_field_definitions_before BEFORE INSERT OR UPDATE OR DELETE ON kvcrm.custom_field_definitions
    FOR EACH ROW EXECUTE FUNCTION kvcrm.custom_field_definitions_before();
-- Always: definitions that replication brings are news to the backends here too.
CREATE OR REPLACE TRIGGER custom_field_definitions_after AFTER INSERT OR UPDATE OR DELETE ON kvcrm.custom_field_definitions
    FOR EACH ROW EXECUTE FUNCTION kvcrm.custom_field_definitions_after();
ALTER TABLE kvcrm.custom_field_definitions ENABLE ALWAYS TRIGGER custom_field_definitions_after;
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.custom_field_definitions REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('field');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.custom_field_definitions REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('field');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.custom_field_definitions REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('field');

ALTER TABLE kvcrm.lead_field_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE kvcrm.custom_field_definitions ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS custom_field_definitions_select ON kvcrm.custom_field_definitions;
CREATE POLICY custom_field_definitions_select ON kvcrm.custom_field_definitions FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('member')));
DROP POLICY IF EXISTS custom_field_definitions_insert ON kvcrm.custom_field_definitions;
CREATE POLICY custom_field_definitions_insert ON kvcrm.custom_field_definitions FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('fields:manage')));
DROP POLICY IF EXISTS custom_field_definitions_update ON kvcrm.custom_field_definitions;
CREATE POLICY custom_field_definitions_update ON kvcrm.custom_field_definitions FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('fields:manage')));
DROP POLICY IF EXISTS custom_field_definitions_delete ON kvcrm.custom_field_definitions;
CREATE POLICY custom_field_definitions_delete ON kvcrm.custom_field_definitions FOR DELETE
    USING (organization_id = ANY (kvcrm.policy_organizations('fields:manage')));
