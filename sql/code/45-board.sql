-- The board.

ALTER TABLE kvcrm.lead_stage_counts ENABLE ROW LEVEL SECURITY;

CREATE OR REPLACE FUNCTION kvcrm.pipeline_board(cards_per_stage int DEFAULT 20, assigned_to uuid DEFAULT NULL, organization_id uuid DEFAULT NULL)
    RETURNS TABLE (stage_id uuid, stage_name text, color text, order_index int, outcome text, lead_count bigint, totals jsonb, cards jsonb)
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pipeline_board';
COMMENT ON FUNCTION kvcrm.pipeline_board(int, uuid, uuid) IS
    'The board: a row per stage, in the board''s order, with the live leads that the caller may read, or those of them assigned to one member. totals per currency: {"RUB": {"value": ..., "weighted": ...}}, weighted by the stage''s probability. cards: the first cards_per_stage (0 to 200) leads by rank, with rotting (longer in the stage than its rotting_days) and next_task (the open activity that is due first). pipeline_column gives the rest of a column. 22023; 42501 without a permission leads:read_*.';

CREATE OR REPLACE FUNCTION kvcrm.pipeline_column(stage_id uuid, after_lead_id uuid DEFAULT NULL, page_size int DEFAULT 50, organization_id uuid DEFAULT NULL)
    RETURNS SETOF kvcrm.leads
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pipeline_column';
COMMENT ON FUNCTION kvcrm.pipeline_column(uuid, uuid, int, uuid) IS
    'A page of the live leads of one stage that the caller may read, in the board''s order. after_lead_id: the last card of the page before. page_size: 1 to 1000. 22023; PT404 for an unknown stage, or an after_lead_id that is unknown or not visible; 42501 without a permission leads:read_*; 23514 when that lead has left the stage.';

CREATE OR REPLACE FUNCTION kvcrm.pipeline_report(from_date timestamptz DEFAULT NULL, to_date timestamptz DEFAULT NULL, organization_id uuid DEFAULT NULL)
    RETURNS TABLE (dimension text, id text, name text, entered bigint, advanced bigint, lost bigint, conversion_rate numeric, median_days numeric, p90_days numeric)
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pipeline_report';
COMMENT ON FUNCTION kvcrm.pipeline_report(timestamptz, timestamptz, uuid) IS
    'What became of leads in a period: from_date inclusive, to_date exclusive, null = unlimited. dimension stage: stays that began in the period, how many of them left for a later, qualified or won stage (advanced) or a lost one by its end, and the length of those that ended. source, assignee: leads created in the period, those converted (advanced) and lost by its end, days until conversion. lost_reason: leads lost in the period. conversion_rate = advanced / entered. Only leads that the caller may read; deleted and merged ones don''t count. 22023; 42501 without a permission leads:read_*.';

CREATE OR REPLACE FUNCTION kvcrm.stage_admin(organization_id uuid DEFAULT NULL)
    RETURNS TABLE (stage_id uuid, name text, description text, is_qualified boolean, outcome text, probability int, order_index int,
                   color text, rotting_days int, lead_count bigint, can_delete boolean, transitions jsonb)
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'stage_admin';
COMMENT ON FUNCTION kvcrm.stage_admin(uuid) IS
    'The stages of the pipeline in their order, for any active member. lead_count: live leads of everybody. can_delete: the stage holds no lead, not even a gone one, and is not the last open one, so that delete_stage needs no move_leads_to. transitions: the moves allowed from it, as [{"id", "to_stage_id", "to_stage_name", "required_fields"}]; when no stage has any, every move is allowed. 22023; 42501.';

CREATE OR REPLACE FUNCTION kvcrm.delete_stage(stage_id uuid, move_leads_to uuid DEFAULT NULL, organization_id uuid DEFAULT NULL)
    RETURNS kvcrm.lead_stages
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'delete_stage';
COMMENT ON FUNCTION kvcrm.delete_stage(uuid, uuid, uuid) IS
    'Deletes a stage with its rules for moves and returns it; its leads, gone ones too, move to the end of move_leads_to, whatever the rules for moves say. Leads that become lost by it get the deleted stage''s name as lost_reason. Needs lead_stages:delete. 22023 when both are one; PT404; 42501; 23514 for the last open stage, for a stage with leads and no target, and for converted leads when the target is neither qualified nor lost.';

CREATE OR REPLACE FUNCTION kvcrm.remove_transition(from_stage_id uuid, to_stage_id uuid, organization_id uuid DEFAULT NULL)
    RETURNS kvcrm.lead_stage_transitions
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'remove_transition';
COMMENT ON FUNCTION kvcrm.remove_transition(uuid, uuid, uuid) IS
    'Deletes an allowed move between two stages and returns it; without any left, every move is allowed. Needs lead_stages:delete. 22023; PT404 when there is no such stage or rule; 42501.';
