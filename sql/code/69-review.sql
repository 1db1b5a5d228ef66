-- Reviewing pairs: dismissing them, and the sets to merge.

CREATE OR REPLACE FUNCTION kvcrm.dismiss_duplicate(lead_id uuid, other_lead_id uuid, organization_id uuid DEFAULT NULL)
    RETURNS kvcrm.duplicate_pairs
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'dismiss_duplicate';
COMMENT ON FUNCTION kvcrm.dismiss_duplicate(uuid, uuid, uuid) IS
    'Says that two leads are not duplicates, whether or not the pair is under review: they are no longer found for one another, and no scan opens the pair again. Dismissing twice changes nothing. Needs duplicates:review, or the right to change both leads. 22023 for a lead and itself; PT404 unless one sees both; 42501; 23514 when they are merged.';

CREATE OR REPLACE FUNCTION kvcrm.duplicate_clusters(organization_id uuid DEFAULT NULL)
    RETURNS TABLE (cluster_number int, lead_ids uuid[], probability float8, survivor_id uuid)
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'duplicate_clusters';
COMMENT ON FUNCTION kvcrm.duplicate_clusters(uuid) IS
    'The open pairs whose leads the caller sees, grouped into sets that a person would merge, the surest first. A lead is in one set at most; two sets grow together only while the evidence between all their leads is, on average, for it, and no pair of theirs was dismissed or speaks against it. probability: the least between two leads of the set. survivor_id: the lead proposed to merge the others into. 22023; 42501 without a permission leads:read_*.';
