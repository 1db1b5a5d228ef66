-- Import.

ALTER TABLE kvcrm.lead_imports ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS lead_imports_select ON kvcrm.lead_imports;
CREATE POLICY lead_imports_select ON kvcrm.lead_imports FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('leads:import')));

ALTER TABLE kvcrm.lead_import_writes ENABLE ROW LEVEL SECURITY;

CREATE OR REPLACE FUNCTION kvcrm.import_leads(rows jsonb, on_duplicate text DEFAULT NULL, dry_run boolean DEFAULT false, organization_id uuid DEFAULT NULL) RETURNS TABLE (row_no int, outcome text, lead_id uuid, error text)
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'import_leads';
COMMENT ON FUNCTION kvcrm.import_leads(jsonb, text, boolean, uuid) IS
    'Loads an array of objects whose keys are columns of leads (job_title also stands for position) and answers each row: outcome created, updated, skipped, or error with field and reason; a bad row does not undo the good ones. on_duplicate: allow, warn, block, skip, update; null = the organization''s policy. dry_run: the same, rolled back. Needs leads:import. 22023; 42501.';

CREATE OR REPLACE FUNCTION kvcrm.import_leads_csv(csv text, mapping jsonb DEFAULT NULL, on_duplicate text DEFAULT NULL, dry_run boolean DEFAULT false, organization_id uuid DEFAULT NULL) RETURNS TABLE (row_no int, outcome text, lead_id uuid, error text)
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'import_leads_csv';
COMMENT ON FUNCTION kvcrm.import_leads_csv(text, jsonb, text, boolean, uuid) IS
    'import_leads for CSV with a header line, separated by comma, semicolon or tab. mapping: {"header": "column", "custom_fields.KEY", or null to leave it out}; columns and usual Russian and English names are known without. Bytes in another encoding: convert_from(bytes, ''WIN1251''). Needs leads:import. 22023 for an unknown header or what is no CSV; 42501.';

CREATE OR REPLACE FUNCTION kvcrm.list_imports(after_import_id uuid DEFAULT NULL, page_size int DEFAULT 50, organization_id uuid DEFAULT NULL) RETURNS SETOF kvcrm.lead_imports
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'list_imports';
COMMENT ON FUNCTION kvcrm.list_imports(uuid, int, uuid) IS
    'The imports of an organization, newest first; for the next page pass the last row''s id. Needs leads:import. 22023; PT404; 42501.';

CREATE OR REPLACE FUNCTION kvcrm.undo_import(import_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.lead_imports
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'undo_import';
COMMENT ON FUNCTION kvcrm.undo_import(uuid, uuid) IS
    'Takes an import back as long as nothing happened to its leads since: leads it created are deleted, leads it updated get their fields back. Needs leads:import, leads:delete if it created leads, leads:update if it updated some. 22023; PT404; 42501; 23514 when it is undone already or something happened since (DETAIL names each row); 23505 when an e-mail or phone is taken meanwhile.';
