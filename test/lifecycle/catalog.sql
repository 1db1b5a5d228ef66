-- All that the catalog says of the extension, one line each, sorted: two databases have the same installation when
-- their lines are the same. Grantees are named, so let both have the same.

\set QUIET 1
\pset tuples_only on
\pset format unaligned
\set ON_ERROR_STOP 1
SET search_path = '';
SET client_min_messages = warning;
LOAD '$libdir/kvcrm';

CREATE TEMP VIEW members AS
    SELECT d.classid, d.objid, d.objsubid FROM pg_catalog.pg_depend d
      JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND e.oid = d.refobjid AND e.extname = 'kvcrm'
     WHERE d.deptype = 'e'
    UNION ALL SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass, n.oid, 0 FROM pg_catalog.pg_namespace n WHERE n.nspname = 'kvcrm';
CREATE TEMP VIEW relations AS
    SELECT c.* FROM pg_catalog.pg_class c JOIN pg_temp.members m ON m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND m.objid = c.oid;
CREATE TEMP VIEW functions AS
    SELECT p.* FROM pg_catalog.pg_proc p JOIN pg_temp.members m ON m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND m.objid = p.oid;
-- Objects without a membership of their own: they go with their table.
CREATE TEMP VIEW parts AS
    SELECT * FROM pg_temp.members
    UNION SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, i.indexrelid, 0 FROM pg_catalog.pg_index i JOIN pg_temp.relations r ON r.oid = i.indrelid
    UNION SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, a.attrelid, a.attnum FROM pg_catalog.pg_attribute a JOIN pg_temp.relations r ON r.oid = a.attrelid WHERE a.attnum > 0
    UNION SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, 0 FROM pg_catalog.pg_constraint k JOIN pg_temp.relations r ON r.oid = k.conrelid
    UNION SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass, t.oid, 0 FROM pg_catalog.pg_trigger t JOIN pg_temp.relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
    UNION SELECT 'pg_catalog.pg_policy'::pg_catalog.regclass, p.oid, 0 FROM pg_catalog.pg_policy p JOIN pg_temp.relations r ON r.oid = p.polrelid;

-- One line of text, whatever is in it.
CREATE FUNCTION pg_temp.line(VARIADIC parts text[]) RETURNS text LANGUAGE sql
    AS $$ SELECT pg_catalog.regexp_replace(pg_catalog.array_to_string(parts, ' ', '-'), '\n', '\\n', 'g') $$;
-- Some servers stamp every column with a number of their own as it is made (PostgreSQL 15.20 of Debian: pg_attver).
CREATE FUNCTION pg_temp.options(options text[]) RETURNS text LANGUAGE sql
    AS $$ SELECT pg_catalog.string_agg(o, ' ' ORDER BY o) FROM pg_catalog.unnest(options) AS o WHERE o NOT LIKE 'pg\_attver=%' $$;
CREATE FUNCTION pg_temp.grants(acl aclitem[]) RETURNS text LANGUAGE sql
    AS $$ SELECT pg_catalog.string_agg(t, ' ' ORDER BY t) FROM (
              SELECT pg_catalog.format('%s:%s:%s:%s', a.grantor::pg_catalog.regrole, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::text END, a.privilege_type, a.is_grantable)
                FROM pg_catalog.aclexplode(acl) a) AS _ (t) $$;

SELECT line COLLATE "C" FROM (
    SELECT pg_temp.line('extension', e.extname, e.extversion, e.extnamespace::pg_catalog.regnamespace::text, e.extrelocatable::text, e.extowner::pg_catalog.regrole::text) FROM pg_catalog.pg_extension e WHERE e.extname = 'kvcrm'
    UNION ALL
    SELECT pg_temp.line('dumped', u.t::pg_catalog.regclass::text, pg_catalog.quote_literal(u.c)) FROM pg_catalog.pg_extension e, ROWS FROM (pg_catalog.unnest(e.extconfig), pg_catalog.unnest(e.extcondition)) AS u (t, c) WHERE e.extname = 'kvcrm'
    UNION ALL
    SELECT pg_temp.line('member', i.type, i.identity) FROM pg_temp.members m, pg_catalog.pg_identify_object(m.classid, m.objid, m.objsubid) AS i
    UNION ALL
    -- In the schema and no member, which nothing of an installation is.
    SELECT pg_temp.line('stranger', i.type, i.identity) FROM pg_catalog.pg_proc p, pg_catalog.pg_identify_object('pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, 0) AS i
     WHERE p.pronamespace = 'kvcrm'::pg_catalog.regnamespace AND p.oid NOT IN (SELECT f.oid FROM pg_temp.functions f)
    UNION ALL
    SELECT pg_temp.line('stranger', i.type, i.identity) FROM pg_catalog.pg_class c, pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, c.oid, 0) AS i
     WHERE c.relnamespace = 'kvcrm'::pg_catalog.regnamespace AND c.relkind NOT IN ('i', 'I') AND c.oid NOT IN (SELECT r.oid FROM pg_temp.relations r)
    UNION ALL
    SELECT pg_temp.line('schema', n.nspname, n.nspowner::pg_catalog.regrole::text, pg_temp.grants(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner)))) FROM pg_catalog.pg_namespace n WHERE n.nspname = 'kvcrm'
    UNION ALL
    SELECT pg_temp.line('relation', r.oid::pg_catalog.regclass::text, r.relkind::text, r.relpersistence::text, r.relowner::pg_catalog.regrole::text, 'rls', r.relrowsecurity::text, r.relforcerowsecurity::text,
                        'options', r.reloptions::text, 'identity', r.relreplident::text, 'grants', pg_temp.grants(coalesce(r.relacl, pg_catalog.acldefault('r', r.relowner)))) FROM pg_temp.relations r
    UNION ALL
    SELECT pg_temp.line('view', r.oid::pg_catalog.regclass::text, pg_catalog.pg_get_viewdef(r.oid)) FROM pg_temp.relations r WHERE r.relkind IN ('v', 'm')
    UNION ALL
    SELECT pg_temp.line('column', r.oid::pg_catalog.regclass::text, pg_catalog.lpad(a.attnum::text, 3), a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), 'collation', a.attcollation::text, 'not null', a.attnotnull::text,
                        'default', pg_catalog.pg_get_expr(d.adbin, d.adrelid), 'storage', a.attstorage::text, a.attcompression::text, 'identity', a.attidentity::text, 'generated', a.attgenerated::text,
                        'dropped', a.attisdropped::text, 'statistics', nullif(a.attstattarget::text, '-1'), 'options', pg_temp.options(a.attoptions), 'grants', pg_temp.grants(a.attacl))
      FROM pg_temp.relations r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0
      LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
    UNION ALL
    SELECT pg_temp.line('constraint', r.oid::pg_catalog.regclass::text, k.conname, k.contype::text, pg_catalog.pg_get_constraintdef(k.oid), 'validated', k.convalidated::text, 'deferrable', k.condeferrable::text, k.condeferred::text)
      FROM pg_temp.relations r JOIN pg_catalog.pg_constraint k ON k.conrelid = r.oid
    UNION ALL
    SELECT pg_temp.line('index', pg_catalog.pg_get_indexdef(i.indexrelid), 'valid', i.indisvalid::text, 'primary', i.indisprimary::text, 'clustered', i.indisclustered::text, 'identity', i.indisreplident::text)
      FROM pg_temp.relations r JOIN pg_catalog.pg_index i ON i.indrelid = r.oid
    UNION ALL
    -- The planner takes the youngest of indexes that it finds equally good: a primary key is last, as in the scripts.
    SELECT pg_temp.line('youngest index', r.oid::pg_catalog.regclass::text, (max(i.indexrelid) FILTER (WHERE i.indisprimary) = max(i.indexrelid))::text) FROM pg_temp.relations r JOIN pg_catalog.pg_index i ON i.indrelid = r.oid
     WHERE r.oid IN ('kvcrm.leads'::pg_catalog.regclass, 'kvcrm.lead_fingerprints'::pg_catalog.regclass) GROUP BY r.oid
    UNION ALL
    SELECT pg_temp.line('statistics', pg_catalog.pg_get_statisticsobjdef(s.oid)) FROM pg_temp.relations r JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = r.oid
    UNION ALL
    SELECT pg_temp.line('trigger', pg_catalog.pg_get_triggerdef(t.oid), t.tgenabled::text) FROM pg_temp.relations r JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid WHERE NOT t.tgisinternal
    UNION ALL
    SELECT pg_temp.line('rule', pg_catalog.pg_get_ruledef(w.oid), w.ev_enabled::text) FROM pg_temp.relations r JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.oid WHERE w.rulename <> '_RETURN'
    UNION ALL
    SELECT pg_temp.line('policy', r.oid::pg_catalog.regclass::text, p.polname, p.polcmd::text, p.polpermissive::text, p.polroles::text, 'using', pg_catalog.pg_get_expr(p.polqual, p.polrelid), 'check', pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
      FROM pg_temp.relations r JOIN pg_catalog.pg_policy p ON p.polrelid = r.oid
    UNION ALL
    SELECT pg_temp.line('function', pg_catalog.pg_get_functiondef(f.oid), f.proowner::pg_catalog.regrole::text, 'grants', pg_temp.grants(coalesce(f.proacl, pg_catalog.acldefault('f', f.proowner)))) FROM pg_temp.functions f
    UNION ALL
    SELECT pg_temp.line('event trigger', t.evtname, t.evtevent, t.evtfoid::pg_catalog.regproc::text, t.evtenabled::text, t.evttags::text) FROM pg_catalog.pg_event_trigger t
      JOIN pg_temp.members m ON m.classid = 'pg_catalog.pg_event_trigger'::pg_catalog.regclass AND m.objid = t.oid
    UNION ALL
    SELECT pg_temp.line('comment', i.type, i.identity, d.description) FROM pg_temp.parts m JOIN pg_catalog.pg_description d ON d.classoid = m.classid AND d.objoid = m.objid AND d.objsubid = m.objsubid,
           pg_catalog.pg_identify_object(m.classid, m.objid, m.objsubid) AS i
    UNION ALL
    -- What a dump takes for granted: grants that are missing here are lost in it if they are there.
    SELECT pg_temp.line('initial grants', i.type, i.identity, pg_temp.grants(p.initprivs)) FROM pg_temp.parts m JOIN pg_catalog.pg_init_privs p ON p.classoid = m.classid AND p.objoid = m.objid AND p.objsubid = m.objsubid,
           pg_catalog.pg_identify_object(m.classid, m.objid, m.objsubid) AS i
    UNION ALL
    SELECT pg_temp.line('dependency', i.type, i.identity, 'on', j.type, j.identity, d.deptype::text)
      FROM pg_temp.members m JOIN pg_catalog.pg_depend d ON d.classid = m.classid AND d.objid = m.objid,
           pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) AS i, pg_catalog.pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid) AS j
    UNION ALL
    SELECT pg_temp.line('setting', s.name, s.vartype, s.context, s.boot_val, s.enumvals::text, s.short_desc) FROM pg_catalog.pg_settings s WHERE s.name LIKE 'kvcrm.%'
) AS _ (line) ORDER BY 1;
