-- Tables without triggers and foreign keys of their own that hold a row to its organization.

CREATE OR REPLACE FUNCTION kvcrm.keep_keys() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'keep_keys';
COMMENT ON FUNCTION kvcrm.keep_keys() IS 'Trigger: id and organization_id never change.';

CREATE OR REPLACE TRIGGER keep_keys BEFORE UPDATE ON kvcrm.lead_conversions
    FOR EACH ROW EXECUTE FUNCTION kvcrm.keep_keys();
CREATE OR REPLACE TRIGGER keep_keys BEFORE UPDATE ON kvcrm.lead_merges
    FOR EACH ROW EXECUTE FUNCTION kvcrm.keep_keys();
CREATE OR REPLACE TRIGGER keep_keys BEFORE UPDATE ON kvcrm.customer_identities
    FOR EACH ROW EXECUTE FUNCTION kvcrm.keep_keys();
CREATE OR REPLACE TRIGGER keep_keys BEFORE UPDATE ON kvcrm.customer_identity_heirs
    FOR EACH ROW EXECUTE FUNCTION kvcrm.keep_keys();
CREATE OR REPLACE TRIGGER keep_keys BEFORE UPDATE ON kvcrm.email_messages
    FOR EACH ROW EXECUTE FUNCTION kvcrm.keep_keys();
CREATE OR REPLACE TRIGGER keep_keys BEFORE UPDATE ON kvcrm.email_senders
    FOR EACH ROW EXECUTE FUNCTION kvcrm.keep_keys();
CREATE OR REPLACE TRIGGER keep_keys BEFORE UPDATE ON kvcrm.lead_stage_counts
    FOR EACH ROW EXECUTE FUNCTION kvcrm.keep_keys();
CREATE OR REPLACE TRIGGER keep_keys BEFORE UPDATE ON kvcrm.lead_field_keys
    FOR EACH ROW EXECUTE FUNCTION kvcrm.keep_keys();
CREATE OR REPLACE TRIGGER keep_keys BEFORE UPDATE ON kvcrm.match_models
    FOR EACH ROW EXECUTE FUNCTION kvcrm.keep_keys();
CREATE OR REPLACE TRIGGER keep_keys BEFORE UPDATE ON kvcrm.match_common_values
    FOR EACH ROW EXECUTE FUNCTION kvcrm.keep_keys();
