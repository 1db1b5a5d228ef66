-- The parts that are there now, less what had been added by hand before an update (see the update's script).

DO $$
BEGIN
    EXECUTE pg_catalog.format('CREATE OR REPLACE FUNCTION kvcrm.shipped_parts() RETURNS TABLE (kind text, part_of text, name text, definition text)'
        ' LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS %L',
        (SELECT ' SELECT a[1], a[2], a[3], a[4] FROM string_to_table(' || pg_catalog.quote_literal(pg_catalog.string_agg(p.line, E'\n' ORDER BY p.line COLLATE "C")) || E', E''\\n'') AS line, string_to_array(line, ''|'') AS a '
           FROM (SELECT pg_catalog.concat_ws('|', c.kind, c.part_of, c.name, c.definition) AS line FROM kvcrm.catalog_parts() c
                  WHERE pg_catalog.concat_ws('|', c.kind, c.part_of, c.name)
                        <> ALL (pg_catalog.string_to_array(coalesce(pg_catalog.current_setting('kvcrm_update.additions', true), ''), E'\n'))) AS p));
    PERFORM pg_catalog.set_config('kvcrm_update.additions', '', true);
END
$$;
