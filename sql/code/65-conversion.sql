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
CREATE OR REPLACE FUNCTION kvcrm.preview_conversion(lead_id uuid, customer_id uuid DEFAULT NULL, on_match text DEFAULT 'link', organization_id uuid DEFAULT NULL) RETURNS jsonb
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'preview_conversion';
COMMENT ON FUNCTION kvcrm.preview_conversion(uuid, uuid, text, uuid) IS
    'The rows that qualify_lead with the same arguments would write, written by the same code and rolled back: customer, customer_created, filled (blank fields of an existing customer), contact, lead, stage, quotes of the lead that get the customer, already_converted. Errors: those of qualify_lead.';
CREATE OR REPLACE FUNCTION kvcrm.revert_conversion(lead_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'revert_conversion';
COMMENT ON FUNCTION kvcrm.revert_conversion(uuid, uuid) IS
    'Takes a conversion back: the lead returns to its stage, a customer or contact that the conversion made is removed, fields it filled are blank again, and quotes of the lead lose the customer. Needs what converting needed. 23514 for a lead that is not converted, or when something happened since to what would be removed (DETAIL names each row); 23505 when its e-mail or phone is taken meanwhile.';
