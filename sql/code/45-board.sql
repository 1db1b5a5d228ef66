-- The board.

ALTER TABLE kvcrm.lead_stage_counts ENABLE ROW LEVEL SECURITY;
