-- The audit log: append-only, written in bulk after each statement.

CREATE OR REPLACE FUNCTION kvcrm.log_changes() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'log_changes';
COMMENT ON FUNCTION kvcrm.log_changes() IS 'Trigger: writes one row of activity_logs per changed row; its argument is the entity type.';
CREATE OR REPLACE FUNCTION kvcrm.activity_logs_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'activity_logs_before';
COMMENT ON FUNCTION kvcrm.activity_logs_before() IS 'Trigger: keeps the audit log append-only.';
CREATE OR REPLACE FUNCTION kvcrm.refuse_truncate() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'refuse_truncate';
COMMENT ON FUNCTION kvcrm.refuse_truncate() IS 'Trigger: a table that holds rows is not truncated.';

CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON kvcrm.activity_logs
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.activity_logs_before();

ALTER TABLE kvcrm.activity_logs ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS activity_logs_select ON kvcrm.activity_logs;
CREATE POLICY activity_logs_select ON kvcrm.activity_logs FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('logs:read')));
