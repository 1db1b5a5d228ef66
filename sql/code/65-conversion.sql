-- Conversion.

ALTER TABLE kvcrm.lead_conversions ENABLE ROW LEVEL SECURITY;

CREATE OR REPLACE FUNCTION kvcrm.qualify_lead(lead_id uuid, customer_id uuid DEFAULT NULL, on_match text DEFAULT 'link', organization_id uuid DEFAULT NULL) RETURNS kvcrm.customers
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'qualify_lead';
COMMENT ON FUNCTION kvcrm.qualify_lead(uuid, uuid, text, uuid) IS
    'Converts a lead into a customer: the one named, else the one that owns its INN, or its e-mail or phone and has a compatible company (on_match link, create or error), else a new one. A converted lead returns its customer and writes nothing. Needs leads:convert, or leads:convert_own for one''s own. 22023; PT404; 42501; 23514 for a lead that is gone; 23505 under on_match error.';
CREATE OR REPLACE FUNCTION kvcrm.convert_lead_to_customer(lead_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.customers
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'convert_lead_to_customer';
COMMENT ON FUNCTION kvcrm.convert_lead_to_customer(uuid, uuid) IS
    'Converts a lead into a customer: qualify_lead with its defaults.';
