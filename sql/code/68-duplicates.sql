-- Finding, reviewing and deciding on duplicates.

CREATE OR REPLACE FUNCTION kvcrm.find_duplicates(lead_id uuid, min_probability float8 DEFAULT NULL, max_results int DEFAULT 10,
    organization_id uuid DEFAULT NULL)
    RETURNS TABLE (kind text, id uuid, probability float8, explanation jsonb, masked boolean, owner_name text)
    LANGUAGE c STABLE SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'find_duplicates';
COMMENT ON FUNCTION kvcrm.find_duplicates(uuid, float8, int, uuid) IS
    'Live leads and customers (kind: lead, customer) that are likely the same as a lead, the likeliest first; a converted lead is represented by its customer. min_probability: 0 to 1, null = the shipped threshold; max_results: 1 to 100. explanation: {prior, fields: [{field, level, weight, adjustment, values}], weight, probability}, weights in bits. Of a row the caller can''t see (masked) id and explanation are null and probability is 0.9 or 0.99; owner_name says whom to ask. 22023; PT404.';
CREATE OR REPLACE FUNCTION kvcrm.check_duplicates(candidate jsonb, min_probability float8 DEFAULT NULL, max_results int DEFAULT 10,
    organization_id uuid DEFAULT NULL)
    RETURNS TABLE (kind text, id uuid, probability float8, explanation jsonb, masked boolean, owner_name text)
    LANGUAGE c STABLE SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'check_duplicates';
COMMENT ON FUNCTION kvcrm.check_duplicates(jsonb, float8, int, uuid) IS
    'What find_duplicates would answer for a form that is not saved yet: candidate is an object with some of name, email, phone, company, inn. Needs leads:create or a permission leads:read_*. 22023 for another key, a value that is no text, or without an organization; 22001 for a text too long; 42501.';
CREATE OR REPLACE FUNCTION kvcrm.explain_match(lead_id uuid, other_lead_id uuid, organization_id uuid DEFAULT NULL) RETURNS jsonb
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'explain_match';
COMMENT ON FUNCTION kvcrm.explain_match(uuid, uuid, uuid) IS
    'How alike two leads are, as a waterfall in bits: {prior, fields: [{field, level, weight, adjustment, values}], weight, probability}. prior and weights add up to weight; adjustment is the part of a field''s weight that comes from how common its value is; values are the two as typed. 22023 for a lead and itself; PT404 unless one sees both.';

ALTER TABLE kvcrm.duplicate_pairs ENABLE ROW LEVEL SECURITY;
-- A pair says something about both leads: only who sees both sees it.
DROP POLICY IF EXISTS duplicate_pairs_select ON kvcrm.duplicate_pairs;
CREATE POLICY duplicate_pairs_select ON kvcrm.duplicate_pairs FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('leads:read_all'))
        OR (kvcrm.policy_lead(organization_id, lead_id) AND kvcrm.policy_lead(organization_id, other_lead_id)));
