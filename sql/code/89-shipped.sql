-- What the tables and functions of the extension were made of when it was installed or updated, to tell what was added
-- or changed by hand: a dump of the database holds the rows of an extension's tables, and nothing else of them.

-- The settings are those that change how definitions are written.
CREATE OR REPLACE FUNCTION kvcrm.catalog_parts() RETURNS TABLE (kind text, part_of text, name text, definition text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET bytea_output = hex SET quote_all_identifiers = off SET extra_float_digits = 1
AS $$
    WITH members AS (
        SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
         WHERE d.deptype = 'e' AND e.extname = 'kvcrm'
    ), relations AS (
        SELECT c.* FROM pg_class c JOIN members m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
    )
    SELECT p.kind, p.part_of, p.name, left(encode(sha256(convert_to(concat_ws(E'\x01', VARIADIC p.definition), 'UTF8')), 'hex'), 12) FROM (
        SELECT 'table' AS kind, r.relname::text AS part_of, r.relname::text AS name,
               ARRAY[r.relkind::text, r.relrowsecurity::text, r.relforcerowsecurity::text, r.relreplident::text, r.reloptions::text] AS definition FROM relations r
        UNION ALL
        -- Not attoptions of a server's own making: some stamp every column.
        SELECT 'column', r.relname, a.attname, ARRAY[format_type(a.atttypid, a.atttypmod), a.attcollation::text, a.attnotnull::text, pg_get_expr(d.adbin, d.adrelid), a.attstorage::text,
               a.attcompression::text, nullif(a.attstattarget, -1)::text, (SELECT string_agg(o, ',') FROM unnest(a.attoptions) AS o WHERE o LIKE 'n_distinct%')]
          FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
          LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
        UNION ALL
        SELECT 'index', r.relname, x.relname, ARRAY[pg_get_indexdef(i.indexrelid), CASE WHEN NOT i.indisvalid THEN 'invalid' END] FROM relations r JOIN pg_index i ON i.indrelid = r.oid JOIN pg_class x ON x.oid = i.indexrelid
        UNION ALL
        -- From PostgreSQL 18 NOT NULL is a constraint too.
        SELECT 'constraint', r.relname, k.conname, ARRAY[pg_get_constraintdef(k.oid), k.convalidated::text] FROM relations r JOIN pg_constraint k ON k.conrelid = r.oid WHERE k.contype NOT IN ('n', 't')
        UNION ALL
        SELECT 'trigger', r.relname, t.tgname, ARRAY[t.tgfoid::regproc::text, t.tgtype::text, t.tgenabled::text, t.tgargs::text]
          FROM relations r JOIN pg_trigger t ON t.tgrelid = r.oid WHERE NOT t.tgisinternal
        UNION ALL
        SELECT 'policy', r.relname, p.polname, ARRAY[p.polcmd::text, p.polpermissive::text, p.polroles::text, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)]
          FROM relations r JOIN pg_policy p ON p.polrelid = r.oid
        UNION ALL
        SELECT 'rule', r.relname, w.rulename, ARRAY[w.ev_type::text, w.ev_enabled::text] FROM relations r JOIN pg_rewrite w ON w.ev_class = r.oid
        UNION ALL
        SELECT 'statistics', r.relname, s.stxname, ARRAY[s.stxkind::text] FROM relations r JOIN pg_statistic_ext s ON s.stxrelid = r.oid
        UNION ALL
        SELECT 'function', '', f.oid::regprocedure::text, ARRAY[f.prosrc, f.probin, l.lanname, f.provolatile::text, f.proparallel::text, f.prosecdef::text, f.proisstrict::text,
               f.proleakproof::text, f.proconfig::text, f.procost::text, f.prorows::text]
          FROM pg_proc f JOIN members m ON m.classid = 'pg_proc'::regclass AND m.objid = f.oid JOIN pg_language l ON l.oid = f.prolang WHERE f.proname <> 'shipped_parts'
    ) AS p
$$;
COMMENT ON FUNCTION kvcrm.catalog_parts() IS 'What the tables and functions of the extension are made of now, each part with a hash of its definition.';

-- The list itself is made by 95-shipped.sql, when everything is there.
CREATE OR REPLACE FUNCTION kvcrm.shipped_parts() RETURNS TABLE (kind text, part_of text, name text, definition text)
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT '', '', '', '' WHERE false $$;
COMMENT ON FUNCTION kvcrm.shipped_parts() IS 'What the tables and functions of the extension were made of when it was installed or last updated.';
