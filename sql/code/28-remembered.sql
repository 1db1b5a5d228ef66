-- What backends keep of an organization: pipeline, rules.

CREATE OR REPLACE FUNCTION kvcrm.remembered_changed() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'remembered_changed';
COMMENT ON FUNCTION kvcrm.remembered_changed() IS 'Trigger: makes every backend read anew what it keeps of the table.';
