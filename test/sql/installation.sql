-- Lints over the catalog: what every object of the extension must be, now and when more are added.
BEGIN;
SELECT no_plan();

-- Members of the extension.
CREATE VIEW pg_temp.functions AS
    SELECT p.*, p.oid::regprocedure::text AS signature,
           p.prorettype IN ('trigger'::regtype, 'event_trigger'::regtype) AS is_trigger, p.proname LIKE 'policy\_%' AS is_policy
      FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'kvcrm';
CREATE VIEW pg_temp.tables AS
    SELECT c.*, e.extconfig, c.relname IN ('organizations', 'api_roles') AS is_root
      FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
      JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'kvcrm'
     WHERE c.relkind IN ('r', 'p');
CREATE VIEW pg_temp.columns AS
    SELECT t.relname, a.attrelid, a.attname, a.attnum, a.atttypid, a.attnotnull, a.attidentity, a.attacl FROM pg_temp.tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped;
CREATE VIEW pg_temp.foreign_keys AS
    SELECT k.*, t.relname, r.relname AS referenced FROM pg_constraint k JOIN pg_temp.tables t ON t.oid = k.conrelid JOIN pg_class r ON r.oid = k.confrelid WHERE k.contype = 'f';

-- No row may come from `query`, whose one column names the offenders.
CREATE FUNCTION pg_temp.none(query text, description text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    offenders text;
BEGIN
    EXECUTE format('SELECT string_agg(o::text, '', '' ORDER BY o::text) FROM (%s) AS s (o)', query) INTO offenders;
    RETURN is(offenders, NULL, description);
END
$$;

-- The lints see something to look at.
SELECT ok((SELECT count(*) FROM pg_temp.functions) >= 50 AND (SELECT count(*) FROM pg_temp.tables) >= 17
          AND (SELECT count(*) FROM pg_temp.foreign_keys) >= 15, 'the catalog holds the extension');
SELECT pg_temp.none($$ SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'kvcrm'::regnamespace AND c.relkind = 'r' AND c.oid NOT IN (SELECT oid FROM pg_temp.tables) $$,
                    'every table of the schema belongs to the extension');
SELECT pg_temp.none($$ SELECT signature FROM pg_temp.functions WHERE pronamespace <> 'kvcrm'::regnamespace $$, 'nothing is created outside of the schema');

-- Functions.

SELECT pg_temp.none($$ SELECT f.signature FROM pg_temp.functions f, aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a WHERE a.grantee = 0 $$,
                    'no function is executable by PUBLIC');
SELECT pg_temp.none($$ SELECT f.signature FROM pg_temp.functions f, aclexplode(f.proacl) a WHERE a.grantee <> f.proowner $$, 'nor by anybody else yet');
SELECT pg_temp.none($$ SELECT t.relname FROM pg_class t, aclexplode(t.relacl) a WHERE t.relnamespace = 'kvcrm'::regnamespace AND a.grantee <> t.relowner $$,
                    'nobody but the owner has rights on a table or view');
SELECT pg_temp.none($$ SELECT c.relname || '.' || c.attname FROM pg_temp.columns c WHERE c.attacl IS NOT NULL $$, 'or on a column');
SELECT pg_temp.none($$ SELECT a.grantee FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'kvcrm' AND a.grantee <> n.nspowner $$, 'or on the schema');
-- These run no SQL.
SELECT pg_temp.none($$ SELECT f.signature FROM pg_temp.functions f WHERE NOT is_policy AND f.proname NOT IN ('uuid_v7', 'current_user_id', 'search_keys', 'field_fits')
                          AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (f.proconfig), false) $$, 'all functions that run SQL, but policy_*, pin search_path to pg_catalog, pg_temp');
SELECT pg_temp.none($$ SELECT f.signature FROM pg_temp.functions f WHERE proparallel <> 'u' AND (prosecdef OR proconfig IS NOT NULL) $$,
                    'what a parallel worker may run loads the module before the query begins');
SELECT pg_temp.none($$ SELECT f.signature FROM pg_temp.functions f JOIN pg_language l ON l.oid = f.prolang
                        WHERE is_policy AND (l.lanname <> 'c' OR provolatile <> 's' OR proparallel <> 's' OR prosecdef OR proconfig IS NOT NULL) $$,
                    'policy_* are C, STABLE, PARALLEL SAFE, without SECURITY DEFINER and SET');
SELECT ok((SELECT count(*) FROM pg_temp.functions WHERE is_policy) >= 5, 'there are policy_* functions');
SELECT pg_temp.none($$ SELECT signature FROM pg_temp.functions WHERE is_trigger AND prosecdef $$, 'trigger functions are SECURITY INVOKER');
SELECT pg_temp.none($$ SELECT f.signature FROM pg_temp.functions f JOIN pg_language l ON l.oid = f.prolang WHERE f.prosecdef AND l.lanname <> 'c' $$, 'definer functions are C');
SELECT pg_temp.none($$ SELECT signature FROM pg_temp.functions WHERE prosrc ~ '\mmd5\M' $$, 'no function calls md5(), which fails where OpenSSL is held to FIPS');
SELECT pg_temp.none($$ SELECT signature FROM pg_temp.functions WHERE proleakproof $$, 'no function claims to be leakproof');
SELECT pg_temp.none($$ SELECT proname FROM pg_temp.functions GROUP BY proname HAVING count(*) > 1 $$, 'no function is overloaded');
SELECT pg_temp.none($$ SELECT signature FROM pg_temp.functions WHERE NOT is_trigger AND pronargs > 0 AND NOT coalesce(array_length(proargnames, 1) >= pronargs AND '' <> ALL (proargnames), false) $$,
                    'every argument has a name');
-- Identity, policies, the registry and what only a DBA calls have no organization.
SELECT pg_temp.none($$ SELECT signature FROM pg_temp.functions
                        WHERE NOT is_trigger AND NOT is_policy
                          AND proname NOT IN ('uuid_v7', 'current_user_id', 'current_organization_id', 'permission_registry', 'grant_api',
                                              'api_privileges', 'check_installation', 'prepare_statements', 'search_keys', 'field_fits', 'consistency_registry', 'derivation_version', 'catalog_parts', 'shipped_parts')
                          AND NOT (pronargs > 0 AND pronargdefaults > 0 AND proargnames[pronargs] = 'organization_id'
                                   AND proargtypes[pronargs - 1] = 'uuid'::regtype
                                   AND pg_get_function_arguments(oid) LIKE '%organization_id uuid DEFAULT NULL::uuid') $$,
                    'the last parameter of every API function is organization_id uuid DEFAULT NULL');
SELECT pg_temp.none($$ SELECT signature FROM pg_temp.functions WHERE NOT is_trigger AND proisstrict $$, 'no function is STRICT: a null argument is an error, not a null');

-- Tables.

SELECT pg_temp.none('SELECT relname FROM pg_temp.tables WHERE NOT relrowsecurity', 'every table has row-level security');
SELECT pg_temp.none('SELECT relname FROM pg_temp.tables WHERE oid <> ALL (coalesce(extconfig, ''{}''))', 'every table is registered for dumps');
SELECT pg_temp.none('SELECT relname FROM pg_temp.tables, pg_extension e, unnest(e.extconfig, e.extcondition) AS u (o, c) WHERE e.extname = ''kvcrm'' AND u.o = tables.oid AND c <> ''''',
                    'whole, without a condition');
SELECT pg_temp.none($$ SELECT t.relname FROM pg_temp.tables t WHERE NOT is_root AND NOT EXISTS (SELECT FROM pg_temp.columns c WHERE c.attrelid = t.oid
                           AND c.attname = 'organization_id' AND c.atttypid = 'uuid'::regtype AND c.attnotnull) $$, 'every tenant table has organization_id uuid NOT NULL');
SELECT pg_temp.none($$ SELECT t.relname FROM pg_temp.tables t WHERE relname <> 'api_roles' AND NOT EXISTS (SELECT FROM pg_constraint k
                           WHERE k.conrelid = t.oid AND k.contype = 'p' AND (SELECT array_agg(a.attname::text ORDER BY o) FROM unnest(k.conkey) WITH ORDINALITY AS u (n, o)
                               JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = u.n)
                             = CASE t.relname WHEN 'organizations' THEN '{id}' ELSE '{id,organization_id}' END::text[]) $$,
                    'every primary key is (id, organization_id); of organizations (id)');
SELECT pg_temp.none($$ SELECT t.relname || '.' || i.indexrelid::regclass FROM pg_temp.tables t JOIN pg_index i ON i.indrelid = t.oid
                        WHERE i.indisunique AND NOT t.is_root AND NOT EXISTS (SELECT FROM pg_temp.columns c WHERE c.attrelid = t.oid AND c.attname = 'organization_id' AND c.attnum = ANY (i.indkey::int2[])) $$,
                    'every unique key carries organization_id');
SELECT pg_temp.none($$ SELECT k.relname || '.' || k.conname FROM pg_temp.foreign_keys k WHERE k.referenced <> 'organizations'
                          AND NOT EXISTS (SELECT FROM unnest(k.conkey, k.confkey) AS u (here, there)
                                            JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.here AND a.attname = 'organization_id'
                                            JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.there AND b.attname = 'organization_id') $$,
                    'every foreign key between tenant tables carries organization_id');
SELECT pg_temp.none($$ WITH RECURSIVE reach (start, oid) AS (
                           SELECT conrelid, confrelid FROM pg_temp.foreign_keys WHERE conrelid <> confrelid
                           UNION SELECT r.start, k.confrelid FROM reach r JOIN pg_temp.foreign_keys k ON k.conrelid = r.oid AND k.conrelid <> k.confrelid)
                       SELECT DISTINCT start::regclass FROM reach WHERE start = oid $$, 'the foreign keys form no cycle');
SELECT pg_temp.none($$ SELECT relname || '.' || conname FROM pg_temp.foreign_keys WHERE confdeltype IN ('n', 'd') OR confupdtype IN ('n', 'd') $$, 'no ON DELETE or ON UPDATE SET NULL or SET DEFAULT');
SELECT pg_temp.none($$ SELECT conrelid::regclass FROM pg_constraint WHERE contype = 'f' AND confrelid IN (SELECT oid FROM pg_temp.tables) AND conrelid NOT IN (SELECT oid FROM pg_temp.tables) $$,
                    'no foreign key comes from elsewhere');
SELECT pg_temp.none($$ SELECT relname FROM pg_class WHERE relnamespace = 'kvcrm'::regnamespace AND relkind = 'S' $$, 'no sequences');
SELECT pg_temp.none($$ SELECT relname || '.' || attname FROM pg_temp.columns WHERE attidentity <> '' $$, 'no identity columns');
SELECT pg_temp.none($$ SELECT relname || '.' || attname FROM pg_temp.columns WHERE atttypid = 'timestamp'::regtype OR atttypid IN (SELECT oid FROM pg_type WHERE typtype = 'e') $$,
                    'times have time zones, states are text');
SELECT pg_temp.none($$ SELECT relname FROM pg_temp.tables t WHERE NOT EXISTS (SELECT FROM pg_temp.columns c WHERE c.attrelid = t.oid AND c.attname = 'created_at' AND c.attnotnull) $$, 'every table has created_at');
SELECT pg_temp.none($$ SELECT relname || '.' || attname FROM pg_temp.columns c WHERE attname = 'id' AND relname NOT IN ('lead_fingerprints', 'customer_fingerprints', 'lead_field_keys', 'email_messages')
                          AND (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d WHERE d.adrelid = c.attrelid AND d.adnum = c.attnum) IS DISTINCT FROM 'kvcrm.uuid_v7()' $$,
                    'ids come from uuid_v7()');
SELECT pg_temp.none($$ SELECT relname || '.' || attname FROM pg_temp.columns c WHERE attname = 'organization_id'
                          AND (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d WHERE d.adrelid = c.attrelid AND d.adnum = c.attnum) IS DISTINCT FROM 'kvcrm.current_organization_id()' $$,
                    'organization_id defaults to the current one');
SELECT pg_temp.none($$ SELECT relname FROM pg_class WHERE relnamespace = 'kvcrm'::regnamespace AND relkind = 'v' AND NOT coalesce('security_invoker=true' = ANY (reloptions), false) $$,
                    'views run with the rights of who reads them');

-- Policies and triggers.

SELECT pg_temp.none($$ SELECT polrelid::regclass || '.' || polname FROM pg_policy
                        WHERE polrelid IN (SELECT oid FROM pg_temp.tables) AND (polqual::text LIKE '%:subselect%' OR polqual::text LIKE '%{SUBLINK%' OR polwithcheck::text LIKE '%{SUBLINK%') $$,
                    'policies are without sub-selects');
SELECT pg_temp.none($$ SELECT polrelid::regclass || '.' || polname FROM pg_policy WHERE polrelid IN (SELECT oid FROM pg_temp.tables) AND (NOT polpermissive OR polroles <> '{0}') $$,
                    'policies hold for every role');
SELECT pg_temp.none($$ SELECT DISTINCT polrelid::regclass || '.' || polname || ' ' || f.proname FROM pg_policy
                          JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = pg_policy.oid AND d.refclassid = 'pg_proc'::regclass
                          JOIN pg_proc f ON f.oid = d.refobjid
                        WHERE polrelid IN (SELECT oid FROM pg_temp.tables) AND f.pronamespace = 'kvcrm'::regnamespace AND f.proname NOT LIKE 'policy\_%' $$,
                    'policies call policy_* only');
SELECT pg_temp.none($$ SELECT t.relname FROM pg_temp.tables t WHERE EXISTS (SELECT FROM kvcrm.api_privileges() p WHERE p.object_name = 'kvcrm.' || t.relname AND p.privilege = 'SELECT')
                          AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = t.oid AND polcmd = 'r') $$, 'every table that clients may read has a policy for it');
SELECT pg_temp.none($$ SELECT t.relname FROM pg_temp.tables t WHERE NOT EXISTS (SELECT FROM kvcrm.api_privileges() p WHERE p.object_name = 'kvcrm.' || t.relname)
                          AND EXISTS (SELECT FROM pg_policy WHERE polrelid = t.oid) $$, 'no policy opens a table that is not for clients');
SELECT pg_temp.none($$ SELECT tgrelid::regclass || '.' || tgname FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM pg_temp.tables) AND NOT tgisinternal AND tgenabled <> 'O'
                          AND tgname NOT IN ('custom_field_definitions_after', 'scoring_rules_changed', 'assignment_rules_changed', 'lead_stages_changed') $$,
                    'triggers are enabled, and off under session_replication_role = replica, but for those that only make backends read again');

-- Comments.

SELECT pg_temp.none('SELECT relname FROM pg_temp.tables t WHERE coalesce(length(obj_description(t.oid, ''pg_class'')), 0) < 10', 'every table has a comment');
SELECT pg_temp.none('SELECT relname || ''.'' || attname FROM pg_temp.columns c WHERE coalesce(length(col_description(c.attrelid, c.attnum)), 0) < 5', 'every column has a comment');
SELECT pg_temp.none('SELECT signature FROM pg_temp.functions f WHERE coalesce(length(obj_description(f.oid, ''pg_proc'')), 0) < 10', 'every function has a comment');

-- The statements of the module.

SELECT ok((SELECT count(*) FROM kvcrm.prepare_statements()) >= 60, 'prepare_statements() prepares every statement');
SELECT pg_temp.none('SELECT name FROM (SELECT kvcrm.prepare_statements() AS name) AS s GROUP BY name HAVING count(*) > 1', 'each has a name of its own');
SELECT is((SELECT count(*) FROM kvcrm.check_installation()), 0::bigint, 'a fresh installation has no problems');
SELECT throws_ok('ALTER EXTENSION kvcrm SET SCHEMA public', '0A000', NULL, 'the extension stays in its schema');
SELECT is((SELECT ROW (extversion, extnamespace::regnamespace, extrelocatable)::text FROM pg_extension WHERE extname = 'kvcrm'),
          (SELECT format('(%s,kvcrm,f)', default_version) FROM pg_available_extensions WHERE name = 'kvcrm'), 'version and schema');
SELECT is((SELECT bool_or(trusted) FROM pg_available_extension_versions WHERE name = 'kvcrm'), false, 'the extension is not trusted');

SELECT * FROM finish();
ROLLBACK;
