-- Whether the data is as the rules want it.

CREATE OR REPLACE FUNCTION kvcrm.check_consistency(organization_id uuid DEFAULT NULL)
    RETURNS TABLE (invariant text, entity_type text, entity_id uuid, organization_id uuid, detail text)
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'check_consistency';
COMMENT ON FUNCTION kvcrm.check_consistency(uuid) IS
    'Derives every invariant again from the data of one organization and returns each row that breaks one; nothing when all is well. consistency_registry() tells the invariants. Reads, locks nothing. Needs settings:update; the system without an organization checks all of them.';

CREATE OR REPLACE FUNCTION kvcrm.consistency_registry() RETURNS TABLE (invariant text, meaning text)
    LANGUAGE c IMMUTABLE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'consistency_registry';
COMMENT ON FUNCTION kvcrm.consistency_registry() IS
    'Every invariant that check_consistency() knows, with what it says.';
