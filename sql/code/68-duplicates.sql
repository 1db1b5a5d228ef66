-- Finding, reviewing and deciding on duplicates.

ALTER TABLE kvcrm.duplicate_pairs ENABLE ROW LEVEL SECURITY;
-- A pair says something about both leads: only who sees both sees it.
DROP POLICY IF EXISTS duplicate_pairs_select ON kvcrm.duplicate_pairs;
CREATE POLICY duplicate_pairs_select ON kvcrm.duplicate_pairs FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('leads:read_all'))
        OR (kvcrm.policy_lead(organization_id, lead_id) AND kvcrm.policy_lead(organization_id, other_lead_id)));
