-- Finding, reviewing and deciding on duplicates.

ALTER TABLE kvcrm.duplicate_pairs ENABLE ROW LEVEL SECURITY;
