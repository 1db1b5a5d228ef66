-- Lists of leads: filters, search, sorts, keyset paging.

CREATE OR REPLACE FUNCTION kvcrm.list_leads(query text DEFAULT NULL, stage_id uuid DEFAULT NULL, status text DEFAULT NULL,
    assigned_to uuid DEFAULT NULL, source text DEFAULT NULL, created_from timestamptz DEFAULT NULL,
    created_to timestamptz DEFAULT NULL, custom_fields jsonb DEFAULT NULL, include text[] DEFAULT NULL,
    sort text DEFAULT 'newest', after_lead_id uuid DEFAULT NULL, page_size int DEFAULT 50,
    organization_id uuid DEFAULT NULL) RETURNS SETOF kvcrm.leads
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'list_leads';
COMMENT ON FUNCTION kvcrm.list_leads(text, uuid, text, uuid, text, timestamptz, timestamptz, jsonb, text[], text, uuid, int, uuid) IS
    'A page of the leads the caller may read. query: words, each a part of name, e-mail, company, phone digits or INN, whatever case, accents and script. created_from is inclusive, created_to exclusive. custom_fields: the fields the lead must have, with their values. include: converted, merged, deleted leads, which are left out otherwise. sort: newest, oldest, updated, name, score (highest first), value (highest first, none last; currencies are not converted), rank (the board''s order: stage, place in its column). after_lead_id: the last lead of the page before; the page continues from where that lead is now. page_size: 1 to 1000. 22023 for an unknown sort, status or include, or a wrong page_size; 42501 without a permission leads:read_*; PT404 for an after_lead_id that is unknown or not visible.';

CREATE OR REPLACE FUNCTION kvcrm.count_leads(query text DEFAULT NULL, stage_id uuid DEFAULT NULL, status text DEFAULT NULL,
    assigned_to uuid DEFAULT NULL, source text DEFAULT NULL, created_from timestamptz DEFAULT NULL,
    created_to timestamptz DEFAULT NULL, custom_fields jsonb DEFAULT NULL, include text[] DEFAULT NULL,
    organization_id uuid DEFAULT NULL) RETURNS bigint
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'count_leads';
COMMENT ON FUNCTION kvcrm.count_leads(text, uuid, text, uuid, text, timestamptz, timestamptz, jsonb, text[], uuid) IS
    'How many leads list_leads would list over all pages; same filters. Takes time in proportion to what it counts. 22023; 42501.';
