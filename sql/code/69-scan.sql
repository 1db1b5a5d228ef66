-- Scanning all leads of an organization for duplicates.

CREATE OR REPLACE FUNCTION kvcrm.scan_duplicates(min_probability float8 DEFAULT NULL, organization_id uuid DEFAULT NULL)
    RETURNS TABLE (pairs_found bigint, leads_scanned bigint)
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'scan_duplicates';
COMMENT ON FUNCTION kvcrm.scan_duplicates(float8, uuid) IS
    'Compares all live leads of the organization and brings duplicate_pairs up to date: likely pairs (at least min_probability, above 0 and at most 1; null = the shipped threshold) become open, open pairs that are less likely now or have lost a lead go, decided ones stay as they are. pairs_found: the likely pairs that nobody has decided on. A NOTICE every few seconds tells how far it is. Needs duplicates:review and leads:read_all. 22023; 42501.';
