-- The matcher of an organization.

ALTER TABLE kvcrm.match_models ENABLE ROW LEVEL SECURITY;
ALTER TABLE kvcrm.match_common_values ENABLE ROW LEVEL SECURITY;
