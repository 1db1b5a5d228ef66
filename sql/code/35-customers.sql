-- Customers and contacts: triggers and policies.

CREATE OR REPLACE FUNCTION kvcrm.customers_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'customers_before';
COMMENT ON FUNCTION kvcrm.customers_before() IS 'Trigger: texts, e-mail, phone and INN of a customer.';
CREATE OR REPLACE FUNCTION kvcrm.customers_after() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'customers_after';
COMMENT ON FUNCTION kvcrm.customers_after() IS 'Trigger: who owns which INN, e-mail and phone.';
CREATE OR REPLACE FUNCTION kvcrm.customer_contacts_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'customer_contacts_before';
COMMENT ON FUNCTION kvcrm.customer_contacts_before() IS 'Trigger: texts, e-mail and phone of a contact.';
CREATE OR REPLACE FUNCTION kvcrm.customer_fingerprints_after() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'customer_fingerprints_after';
COMMENT ON FUNCTION kvcrm.customer_fingerprints_after() IS 'Trigger: what matching reads of customers and their contacts.';

CREATE OR REPLACE TRIGGER customers_before BEFORE INSERT OR UPDATE ON kvcrm.customers
    FOR EACH ROW EXECUTE FUNCTION kvcrm.customers_before();
CREATE OR REPLACE TRIGGER customers_after AFTER INSERT OR UPDATE OR DELETE ON kvcrm.customers
    FOR EACH ROW EXECUTE FUNCTION kvcrm.customers_after();
CREATE OR REPLACE TRIGGER customer_contacts_before BEFORE INSERT OR UPDATE ON kvcrm.customer_contacts
    FOR EACH ROW EXECUTE FUNCTION kvcrm.customer_contacts_before();
CREATE OR REPLACE TRIGGER fingerprints_insert AFTER INSERT ON kvcrm.customers REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.customer_fingerprints_after('customer');
CREATE OR REPLACE TRIGGER fingerprints_update AFTER UPDATE ON kvcrm.customers REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.customer_fingerprints_after('customer');
CREATE OR REPLACE TRIGGER fingerprints_insert AFTER INSERT ON kvcrm.customer_contacts REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.customer_fingerprints_after('contact');
CREATE OR REPLACE TRIGGER fingerprints_update AFTER UPDATE ON kvcrm.customer_contacts REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.customer_fingerprints_after('contact');
CREATE OR REPLACE TRIGGER fingerprints_delete AFTER DELETE ON kvcrm.customer_contacts REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.customer_fingerprints_after('contact');
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.customers REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('customer');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.customers REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('customer');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.customers REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('customer');
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.customer_contacts REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('contact');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.customer_contacts REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('contact');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.customer_contacts REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('contact');

ALTER TABLE kvcrm.customers ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS customers_select ON kvcrm.customers;
CREATE POLICY customers_select ON kvcrm.customers FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('customers:read')));
DROP POLICY IF EXISTS customers_insert ON kvcrm.customers;
CREATE POLICY customers_insert ON kvcrm.customers FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('customers:create')));
-- As with leads: nobody changes what they don't see.
DROP POLICY IF EXISTS customers_update ON kvcrm.customers;
CREATE POLICY customers_update ON kvcrm.customers FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('customers:update'))
        AND organization_id = ANY (kvcrm.policy_organizations('customers:read')));

ALTER TABLE kvcrm.customer_contacts ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS customer_contacts_select ON kvcrm.customer_contacts;
CREATE POLICY customer_contacts_select ON kvcrm.customer_contacts FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('customers:read')));
DROP POLICY IF EXISTS customer_contacts_insert ON kvcrm.customer_contacts;
CREATE POLICY customer_contacts_insert ON kvcrm.customer_contacts FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('customers:create')));
DROP POLICY IF EXISTS customer_contacts_update ON kvcrm.customer_contacts;
CREATE POLICY customer_contacts_update ON kvcrm.customer_contacts FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('customers:update'))
        AND organization_id = ANY (kvcrm.policy_organizations('customers:read')));

ALTER TABLE kvcrm.customer_identities ENABLE ROW LEVEL SECURITY;

ALTER TABLE kvcrm.customer_identity_heirs ENABLE ROW LEVEL SECURITY;

ALTER TABLE kvcrm.customer_fingerprints ENABLE ROW LEVEL SECURITY;
