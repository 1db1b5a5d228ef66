-- Bulk: the functions on one lead, for many.

CREATE OR REPLACE FUNCTION kvcrm.bulk_assign(lead_ids uuid[], assignee_id uuid, organization_id uuid DEFAULT NULL)
    RETURNS TABLE (lead_id uuid, ok boolean, error_code text, error text)
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'bulk_assign';
COMMENT ON FUNCTION kvcrm.bulk_assign(uuid[], uuid, uuid) IS
    'Assigns leads to an active member, null = to nobody: assign_lead for each. Each id is answered, in the order given; a lead that is refused does not undo the others, and an id given twice is done once. 22023 when lead_ids is null.';

CREATE OR REPLACE FUNCTION kvcrm.bulk_move(lead_ids uuid[], stage_id uuid, lost_reason text DEFAULT NULL, organization_id uuid DEFAULT NULL)
    RETURNS TABLE (lead_id uuid, ok boolean, error_code text, error text)
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'bulk_move';
COMMENT ON FUNCTION kvcrm.bulk_move(uuid[], uuid, text, uuid) IS
    'Moves leads to the end of a stage: move_lead for each. lost_reason is required for a lost stage. Each id is answered, in the order given; a lead that is refused does not undo the others, and an id given twice is done once. 22023 when lead_ids or stage_id is null.';

CREATE OR REPLACE FUNCTION kvcrm.bulk_delete(lead_ids uuid[], organization_id uuid DEFAULT NULL)
    RETURNS TABLE (lead_id uuid, ok boolean, error_code text, error text)
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'bulk_delete';
COMMENT ON FUNCTION kvcrm.bulk_delete(uuid[], uuid) IS
    'Deletes leads: delete_lead for each. Each id is answered, in the order given; a lead that is refused does not undo the others, and an id given twice is done once. 22023 when lead_ids is null.';

CREATE OR REPLACE FUNCTION kvcrm.bulk_qualify(lead_ids uuid[], on_match text DEFAULT 'link', organization_id uuid DEFAULT NULL)
    RETURNS TABLE (lead_id uuid, ok boolean, error_code text, error text)
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'bulk_qualify';
COMMENT ON FUNCTION kvcrm.bulk_qualify(uuid[], text, uuid) IS
    'Converts leads into customers: qualify_lead for each, with on_match link, create or error. Each id is answered, in the order given; a lead that is refused does not undo the others, and an id given twice is done once. 22023 when lead_ids is null or on_match unknown.';
