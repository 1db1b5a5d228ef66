-- What happened to a lead.

CREATE OR REPLACE FUNCTION kvcrm.lead_timeline(lead_id uuid, before timestamptz DEFAULT NULL, page_size int DEFAULT 50,
    organization_id uuid DEFAULT NULL)
    RETURNS TABLE (at timestamptz, kind text, title text, body text, actor_id uuid, ref_id uuid, details jsonb)
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'lead_timeline';
COMMENT ON FUNCTION kvcrm.lead_timeline(uuid, timestamptz, int, uuid) IS
    'What happened to a lead, newest first, for whoever sees the lead. kind: activity (title, description; details: type, due_date, completed_at, assigned_to, metadata), stage_move (title: the stage entered, body: lost_reason; details: stage_id, stage_name, color, from_stage_id, from_stage_name, left_at), log (title: the action; details: {"field": {"old": ..., "new": ...}}). ref_id is the id of the activity, stay or log entry. Of a move that nothing else goes with there is the stage_move only. before: exclusive, the at of the last entry shown; a page is longer than page_size (1 to 1000) when entries share its last at, so none is lost between pages. 22023; PT404.';
