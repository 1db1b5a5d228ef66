-- Pages: what a screen shows, in one call.

CREATE OR REPLACE FUNCTION kvcrm.lead_page(lead_id uuid, organization_id uuid DEFAULT NULL) RETURNS jsonb
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'lead_page';
COMMENT ON FUNCTION kvcrm.lead_page(uuid, uuid) IS
    'All that the page of a lead shows: {lead, stage, assignee, next_task, duplicates, customer, quotes, merges, timeline}. lead, stage, next_task and customer are rows; quotes are rows, the newest 50; assignee has user_id, display_name, email, team_id, role_slug, status; next_task is the open task (or call, meeting, e-mail with a date) that is due first; customer is null unless the lead is converted and the caller has customers:read; merges are those into the lead that can be undone, each {id, duplicate_ids, merged_by, merged_at}; timeline is the first page of lead_timeline. 22023; PT404.';

CREATE OR REPLACE FUNCTION kvcrm.my_tasks(due_before timestamptz DEFAULT NULL, organization_id uuid DEFAULT NULL)
    RETURNS SETOF kvcrm.lead_activities
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'my_tasks';
COMMENT ON FUNCTION kvcrm.my_tasks(timestamptz, uuid) IS
    'Activities assigned to the acting user that are not completed (notes aside), on leads the user sees that are not converted, merged or deleted: by due date, so overdue ones first, those without a date last. due_before: exclusive; leaves out those without a date. organization_id: null = all the user''s organizations. 42501 for nobody, or for an organization one is no active member of.';

CREATE OR REPLACE FUNCTION kvcrm.crm_overview(organization_id uuid DEFAULT NULL) RETURNS jsonb
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'crm_overview';
COMMENT ON FUNCTION kvcrm.crm_overview(uuid) IS
    'The dashboard: {my_tasks, my_pipeline, rotting_leads, recent_conversions}. my_tasks: the first 10 of my_tasks in the organization, with lead_name; my_pipeline: per stage lead_count and totals of one''s own live leads, {"RUB": {"value", "weighted"}}; rotting_leads: the 10 of the leads one sees that have been longest in a stage beyond its rotting_days; recent_conversions: the last 10 among the leads one sees. 22023 without an organization; 42501 without a permission leads:read_*.';
