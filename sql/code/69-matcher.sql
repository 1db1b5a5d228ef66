-- The matcher of an organization.

ALTER TABLE kvcrm.match_models ENABLE ROW LEVEL SECURITY;
ALTER TABLE kvcrm.match_common_values ENABLE ROW LEVEL SECURITY;

CREATE OR REPLACE FUNCTION kvcrm.train_matcher(organization_id uuid DEFAULT NULL) RETURNS jsonb
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'train_matcher';
COMMENT ON FUNCTION kvcrm.train_matcher(uuid) IS
    'Re-estimates what agreement and difference weigh from the organization''s merges and dismissals, starting from the shipped model, and uses it from now on; scan again to bring duplicate_pairs up to date. Answers {duplicates, others: labels of each kind; largest_move, mean_move: bits; prior: {before, after}; before, after: {precision, recall, log_loss} on the labels, after by models that had not seen them; moves: [{field, level, before, after, labels}]}. Needs duplicates:train. 22023; 42501; 23514 with too few decisions of either kind.';

CREATE OR REPLACE FUNCTION kvcrm.reset_matcher(organization_id uuid DEFAULT NULL) RETURNS boolean
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'reset_matcher';
COMMENT ON FUNCTION kvcrm.reset_matcher(uuid) IS
    'Returns to the shipped model; true if there was a trained one. Needs duplicates:train. 22023; 42501.';
