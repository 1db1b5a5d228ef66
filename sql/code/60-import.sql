-- Import.

CREATE OR REPLACE FUNCTION kvcrm.import_leads(rows jsonb, on_duplicate text DEFAULT NULL, dry_run boolean DEFAULT false, organization_id uuid DEFAULT NULL) RETURNS TABLE (row_no int, outcome text, lead_id uuid, error text)
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'import_leads';
COMMENT ON FUNCTION kvcrm.import_leads(jsonb, text, boolean, uuid) IS
    'Loads an array of objects whose keys are columns of leads (job_title also stands for position) and answers each row: outcome created, or error with the reason; a bad row does not undo the good ones. dry_run: the same, rolled back. Needs leads:import. 22023; 42501.';
