-- What happened to a lead, and to a customer.

CREATE OR REPLACE FUNCTION kvcrm.lead_timeline(lead_id uuid, before timestamptz DEFAULT NULL, page_size int DEFAULT 50,
    organization_id uuid DEFAULT NULL)
    RETURNS TABLE (at timestamptz, kind text, title text, body text, actor_id uuid, ref_id uuid, details jsonb)
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'lead_timeline';
COMMENT ON FUNCTION kvcrm.lead_timeline(uuid, timestamptz, int, uuid) IS
    'What happened to a lead, newest first, for whoever sees the lead. kind: activity (title, description; details: type, due_date, completed_at, assigned_to, metadata), stage_move (title: the stage entered, body: lost_reason; details: stage_id, stage_name, color, from_stage_id, from_stage_name, left_at), log (title: the action; details: {"field": {"old": ..., "new": ...}}), quote (as it is now; details: number, amount, currency, status, sent_at, decided_at, lead_id, customer_id), quote_change (body: the new status if that changed; details: as of log, quote_id, quote_number). ref_id is the id of the activity, stay, quote or log entry. Of a move that nothing else goes with there is the stage_move only. before: exclusive, the at of the last entry shown; a page is longer than page_size (1 to 1000) when entries share its last at, so none is lost between pages. 22023; PT404.';

CREATE OR REPLACE FUNCTION kvcrm.customer_timeline(customer_id uuid, before timestamptz DEFAULT NULL, page_size int DEFAULT 50,
    organization_id uuid DEFAULT NULL)
    RETURNS TABLE (at timestamptz, kind text, title text, body text, actor_id uuid, ref_id uuid, details jsonb)
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'customer_timeline';
COMMENT ON FUNCTION kvcrm.customer_timeline(uuid, timestamptz, int, uuid) IS
    'What happened to a customer, newest first, for whoever has customers:read: activity of the leads that became the customer (details as in lead_timeline, and lead_id, lead_name), conversion of each such lead (title: its name; details: lead_id, lead_name, contact_id, customer_created), quote and quote_change as in lead_timeline, log of the customer itself. Of leads that the caller does not see nothing is told, unless quotes:read shows their quotes. Pages work as in lead_timeline. 22023; PT404.';
