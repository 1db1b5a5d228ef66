-- Quotes: triggers, policies and functions.

CREATE OR REPLACE FUNCTION kvcrm.quotes_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'quotes_before';
COMMENT ON FUNCTION kvcrm.quotes_before() IS 'Trigger: texts, number, currency, customer and status of a quote.';
CREATE OR REPLACE FUNCTION kvcrm.quotes_after() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'quotes_after';
COMMENT ON FUNCTION kvcrm.quotes_after() IS 'Trigger: an accepted quote wins its lead where the organization says so.';

CREATE OR REPLACE TRIGGER quotes_before BEFORE INSERT OR UPDATE ON kvcrm.quotes
    FOR EACH ROW EXECUTE FUNCTION kvcrm.quotes_before();
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.quotes REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('quote');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.quotes REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('quote');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.quotes REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('quote');
-- Triggers fire by name: the acceptance is logged before the move that it causes.
CREATE OR REPLACE TRIGGER quotes_after AFTER UPDATE ON kvcrm.quotes REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.quotes_after();

ALTER TABLE kvcrm.quotes ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS quotes_select ON kvcrm.quotes;
CREATE POLICY quotes_select ON kvcrm.quotes FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('quotes:read')) OR kvcrm.policy_lead(organization_id, lead_id));
-- Nobody makes a quote that they could not see.
DROP POLICY IF EXISTS quotes_insert ON kvcrm.quotes;
CREATE POLICY quotes_insert ON kvcrm.quotes FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('quotes:create'))
        AND (organization_id = ANY (kvcrm.policy_organizations('quotes:read')) OR kvcrm.policy_lead(organization_id, lead_id)));
DROP POLICY IF EXISTS quotes_update ON kvcrm.quotes;
CREATE POLICY quotes_update ON kvcrm.quotes FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('quotes:update'))
        AND (organization_id = ANY (kvcrm.policy_organizations('quotes:read')) OR kvcrm.policy_lead(organization_id, lead_id)));

CREATE OR REPLACE FUNCTION kvcrm.create_quote_from_lead(lead_id uuid, title text, amount numeric, currency text DEFAULT NULL,
    number text DEFAULT NULL, organization_id uuid DEFAULT NULL) RETURNS kvcrm.quotes
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'create_quote_from_lead';
COMMENT ON FUNCTION kvcrm.create_quote_from_lead(uuid, text, numeric, text, text, uuid) IS
    'Makes a draft quote for a lead and its customer, converting the lead first unless it is converted. currency: the organization''s by default; number: made by default, unique in the organization. Needs quotes:create, and what converting needs when the lead is not converted. 22023; PT404; 42501; 23514 for a lead that is gone or a violated rule; 23505 when the number is taken, so that the same call twice makes one quote; 22001; 22003.';
CREATE OR REPLACE FUNCTION kvcrm.delete_quote(quote_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.quotes
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'delete_quote';
COMMENT ON FUNCTION kvcrm.delete_quote(uuid, uuid) IS
    'Deletes a quote and returns it as it was; the log keeps its content. Needs quotes:delete. 22023; PT404; 42501; 23514 for an accepted quote.';
