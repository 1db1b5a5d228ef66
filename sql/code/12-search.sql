-- The keys of the search index; before the tables, because an index is built of them.

CREATE OR REPLACE FUNCTION kvcrm.search_keys(organization_id uuid, search_text text) RETURNS bigint[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 1000
    AS 'MODULE_PATHNAME', 'search_keys';
COMMENT ON FUNCTION kvcrm.search_keys(uuid, text) IS
    'The keys under which the search index holds a search_text. Internal: what it returns may change only together with REINDEX INDEX kvcrm.lead_fingerprints_search.';
