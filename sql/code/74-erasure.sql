-- Erasure of personal data.

CREATE OR REPLACE FUNCTION kvcrm.erase_lead(lead_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'erase_lead';
COMMENT ON FUNCTION kvcrm.erase_lead(uuid, uuid) IS
    'Erases the personal data of a lead for good: its fields, those of leads merged into it, the texts of its activities, what the log and the journals keep of them, its duplicate pairs. Ids, times and stages stay. Can''t be undone. Needs leads:erase; 23514 for a merged lead and while legal_hold is set.';
CREATE OR REPLACE FUNCTION kvcrm.set_legal_hold(lead_id uuid, hold boolean DEFAULT true, organization_id uuid DEFAULT NULL) RETURNS kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'set_legal_hold';
COMMENT ON FUNCTION kvcrm.set_legal_hold(uuid, boolean, uuid) IS
    'Sets or lifts a legal hold: while it is set, erase_lead refuses the lead, which can be worked with like any other. Needs leads:erase.';
