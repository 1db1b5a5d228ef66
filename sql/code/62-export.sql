-- Export.

CREATE OR REPLACE FUNCTION kvcrm.leads_export(query text DEFAULT NULL, stage_id uuid DEFAULT NULL, status text DEFAULT NULL,
    assigned_to uuid DEFAULT NULL, source text DEFAULT NULL, created_from timestamptz DEFAULT NULL,
    created_to timestamptz DEFAULT NULL, custom_fields jsonb DEFAULT NULL, include text[] DEFAULT NULL,
    raw boolean DEFAULT false, organization_id uuid DEFAULT NULL) RETURNS SETOF kvcrm.exported_lead
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'leads_export';
COMMENT ON FUNCTION kvcrm.leads_export(text, uuid, text, uuid, text, timestamptz, timestamptz, jsonb, text[], boolean, uuid) IS
    'All leads that list_leads lists with these filters, newest first, for COPY (SELECT * FROM kvcrm.leads_export()) TO ... Texts that a spreadsheet would take for formulas begin with an apostrophe, in custom_fields too, unless raw. Writes who exported what into the log, so PostgREST takes it by POST. Needs leads:export besides a permission leads:read_*. 22023 for an unknown status or include; 42501; 25006 in a read-only transaction or on a standby.';

CREATE OR REPLACE FUNCTION kvcrm.leads_export_query(query text DEFAULT NULL, stage_id uuid DEFAULT NULL, status text DEFAULT NULL,
    assigned_to uuid DEFAULT NULL, source text DEFAULT NULL, created_from timestamptz DEFAULT NULL,
    created_to timestamptz DEFAULT NULL, custom_fields jsonb DEFAULT NULL, include text[] DEFAULT NULL,
    raw boolean DEFAULT false, organization_id uuid DEFAULT NULL) RETURNS text
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'leads_export_query';
COMMENT ON FUNCTION kvcrm.leads_export_query(text, uuid, text, uuid, text, timestamptz, timestamptz, jsonb, text[], boolean, uuid) IS
    'The SELECT on leads_export that has each custom field of the organization as a column, for COPY and for programs; custom_fields keeps what has no definition. Needs leads:export. 22023; 42501.';

CREATE OR REPLACE FUNCTION kvcrm.leads_export_csv(query text DEFAULT NULL, stage_id uuid DEFAULT NULL, status text DEFAULT NULL,
    assigned_to uuid DEFAULT NULL, source text DEFAULT NULL, created_from timestamptz DEFAULT NULL,
    created_to timestamptz DEFAULT NULL, custom_fields jsonb DEFAULT NULL, include text[] DEFAULT NULL,
    separator text DEFAULT ',', raw boolean DEFAULT false, organization_id uuid DEFAULT NULL) RETURNS kvcrm."text/csv"
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'leads_export_csv';
COMMENT ON FUNCTION kvcrm.leads_export_csv(text, uuid, text, uuid, text, timestamptz, timestamptz, jsonb, text[], text, boolean, uuid) IS
    'What leads_export_query selects, as one CSV file with a header line. separator: comma, semicolon or tab. Unless raw it begins with a byte order mark, by which spreadsheets know UTF-8, and formulas are made texts. import_leads_csv takes it back. Needs leads:export besides a permission leads:read_*. 22023; 42501; 25006; 54000 beyond 1 GB.';
