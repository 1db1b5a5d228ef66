-- Merging.

ALTER TABLE kvcrm.lead_merges ENABLE ROW LEVEL SECURITY;

CREATE OR REPLACE FUNCTION kvcrm.merge_leads(survivor_id uuid, duplicate_ids uuid[], field_choices jsonb DEFAULT NULL, organization_id uuid DEFAULT NULL)
    RETURNS kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'merge_leads';
COMMENT ON FUNCTION kvcrm.merge_leads(uuid, uuid[], jsonb, uuid) IS
    'Merges leads into one and returns it. Its blank fields are filled from the others, in the order given; field_choices decides per field: "survivor", the id of one of the leads, or a value; keys are fields or custom_fields.KEY. Activities, quotes, history, pairs and the rows of every table that refers to leads by foreign key move to the survivor; a row that would collide there stays. The others keep their fields, and their ids stand for the survivor from then on. undo_merge takes it back. Needs leads:merge, and to see and update all of them. 22023; PT404; 42501; 23514 for leads that are merged, converted or deleted, or a violated rule; 23505; any error of a table that may not be written, which the message names.';

CREATE OR REPLACE FUNCTION kvcrm.preview_merge(survivor_id uuid, duplicate_ids uuid[], field_choices jsonb DEFAULT NULL, organization_id uuid DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'preview_merge';
COMMENT ON FUNCTION kvcrm.preview_merge(uuid, uuid[], jsonb, uuid) IS
    'What merge_leads would do with the same arguments: it does it and rolls back. lead: the survivor as it would be; fields: each field''s value per lead, the one chosen and where from; tables: how many rows would move, and how many would collide; proposed_survivor with reasons; obstacles: the error that stands in the way. 22023; PT404; 42501.';

CREATE OR REPLACE FUNCTION kvcrm.undo_merge(merge_id uuid, organization_id uuid DEFAULT NULL)
    RETURNS SETOF kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'undo_merge';
COMMENT ON FUNCTION kvcrm.undo_merge(uuid, uuid) IS
    'Undoes a merge and returns those of its leads that one sees, the survivor first: rows go back to the leads they came from, fields that nobody changed since go back to what they were. What was changed since is left, and named in a NOTICE and the log. The id is in lead_page (merges) and in the log entry of the merge. Needs leads:merge. 22023; PT404; 42501; 23514 when it was undone already, or the survivor was merged or converted since; 23505 naming the lead that has taken an e-mail or phone under the policy block.';
