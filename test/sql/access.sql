-- Rights of database roles: grant_api, check_installation, and what an API role tries to get at more.

-- A setting that decides who may create organizations can't be taken over before the module is loaded.
SELECT format('ALTER DATABASE %I SET kvcrm.organization_creation = ''system''', current_database()) \gexec
\c
SET ROLE pg_monitor;
SET client_min_messages = error;
SET kvcrm.organization_creation = 'anyone';
RESET ROLE;
SELECT count(*) FROM kvcrm.permission_registry() \g /dev/null
SELECT current_setting('kvcrm.organization_creation') AS creation \gset
SELECT format('ALTER DATABASE %I RESET kvcrm.organization_creation', current_database()) \gexec
\c

BEGIN;
SELECT no_plan();
SELECT is(:'creation'::text, 'system', 'a role without the right can''t place kvcrm.organization_creation before the module is loaded');
\set api kvcrm_access_api
\ir include/access.sql
\set system 'current_user::text'

-- What the catalog says a role has got, anywhere in the database, in the form of api_privileges().
CREATE FUNCTION t.privileges(role text) RETURNS TABLE (object_type text, object_name text, privilege text, columns text[]) LANGUAGE sql AS $$
    SELECT 'schema', n.nspname::text, a.privilege_type, NULL::text[] FROM pg_namespace n, aclexplode(n.nspacl) a WHERE a.grantee = role::regrole AND n.nspname <> 't'
    UNION ALL
    SELECT 'function', p.oid::regprocedure::text, a.privilege_type, NULL FROM pg_proc p, aclexplode(p.proacl) a WHERE a.grantee = role::regrole
    UNION ALL
    SELECT 'table', c.oid::regclass::text, a.privilege_type, NULL FROM pg_class c, aclexplode(c.relacl) a WHERE a.grantee = role::regrole
    UNION ALL
    SELECT 'columns', c.oid::regclass::text, a.privilege_type, array_agg(t.attname::text ORDER BY t.attname) FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a
     WHERE a.grantee = role::regrole GROUP BY c.oid, a.privilege_type
$$;
CREATE VIEW t.promised AS
    SELECT object_type, object_name, privilege, (SELECT array_agg(c ORDER BY c) FROM unnest(columns) AS c) AS columns FROM kvcrm.api_privileges();

SELECT set_eq(format('SELECT * FROM t.privileges(%L)', :'api'), 'SELECT * FROM t.promised', 'grant_api gives exactly what api_privileges lists');
SELECT is((SELECT count(*) FROM pg_class c, aclexplode(c.relacl) a WHERE a.grantee = :'api'::regrole AND (a.is_grantable OR a.privilege_type <> 'SELECT')
              AND NOT (c.relname IN ('custom_field_definitions', 'scoring_rules', 'assignment_rules') AND a.privilege_type = 'DELETE')), 0::bigint,
          'on tables SELECT alone but for definitions of fields and rules, which may be deleted; and not to pass on');
SELECT is((SELECT columns FROM t.promised WHERE object_name = 'kvcrm.leads' AND privilege = 'UPDATE'),
          '{assigned_to,company,currency,custom_fields,email,estimated_value,inn,lost_reason,name,phone,position,source,stage_id}', 'the columns of leads that clients may update');
SELECT is((SELECT columns FROM t.promised WHERE object_name = 'kvcrm.leads' AND privilege = 'INSERT'),
          '{assigned_to,company,currency,custom_fields,email,estimated_value,inn,name,organization_id,phone,position,source,stage_id}', 'and insert');
SELECT is((SELECT string_agg(object_name, ' ' ORDER BY object_name) FROM t.promised
            WHERE object_type = 'table' AND object_name IN ('kvcrm.api_roles', 'kvcrm.lead_fingerprints', 'kvcrm.lead_field_keys', 'kvcrm.lead_conversions', 'kvcrm.customer_identities', 'kvcrm.customer_identity_heirs', 'kvcrm.lead_merges', 'kvcrm.lead_import_writes')), NULL, 'internal tables are not for clients');
SELECT is((SELECT string_agg(object_name, ' ') FROM t.promised p JOIN pg_proc f ON p.object_type = 'function' AND f.oid = p.object_name::regprocedure
            WHERE f.prorettype = 'trigger'::regtype OR f.proname IN ('grant_api', 'api_privileges', 'check_installation', 'prepare_statements', 'search_keys', 'field_fits', 'derivation_version')), NULL, 'nor are triggers and upkeep');
SELECT is((SELECT count(*) FROM t.privileges('pg_monitor') WHERE object_name LIKE '%kvcrm%'), 0::bigint, 'other roles get nothing');

SELECT is((SELECT count(*) FROM kvcrm.api_roles WHERE role_name = :'api'), 1::bigint, 'the role is recorded');
SELECT lives_ok(format('SELECT kvcrm.grant_api(%L)', :'api'), 'grant_api twice');
SELECT set_eq(format('SELECT * FROM t.privileges(%L)', :'api'), 'SELECT * FROM t.promised', 'gives the same');
SELECT is((SELECT count(*) FROM kvcrm.api_roles WHERE role_name = :'api'), 1::bigint, 'and is recorded once');

GRANT ALL ON ALL TABLES IN SCHEMA kvcrm TO :"api";
GRANT ALL ON ALL FUNCTIONS IN SCHEMA kvcrm TO :"api";
GRANT ALL ON SCHEMA kvcrm TO :"api";
GRANT UPDATE (status), INSERT (id), SELECT (name), REFERENCES (id) ON kvcrm.leads TO :"api";
SELECT kvcrm.grant_api(:'api') \g /dev/null
SELECT set_eq(format('SELECT * FROM t.privileges(%L)', :'api'), 'SELECT * FROM t.promised', 'grant_api takes back what is more than that');

CREATE ROLE "kvcrm_access ""odd"" Имя";
SELECT lives_ok($$ SELECT kvcrm.grant_api('kvcrm_access "odd" Имя') $$, 'names are quoted');
SELECT set_eq($$ SELECT * FROM t.privileges(quote_ident('kvcrm_access "odd" Имя')) $$, 'SELECT * FROM t.promised', 'whatever they hold');
SELECT throws_ok(format('SELECT kvcrm.grant_api(%L)', name), '22023', NULL, 'no role: ' || coalesce(name, 'null'))
  FROM unnest(ARRAY['PUBLIC', 'public', 'Public', '', 'kvcrm_no_such_role', 'KVCRM_ACCESS_API', 'kvcrm_access_api, postgres', NULL]) AS name;

-- The owner has all rights and needs them: functions work with them.
CREATE TEMP TABLE rights AS SELECT * FROM t.privileges(quote_ident(current_user));
SELECT lives_ok('SELECT kvcrm.grant_api(current_user)', 'the API for the owner');
SELECT set_eq('SELECT * FROM t.privileges(quote_ident(current_user))', 'SELECT * FROM rights', 'takes nothing from it');

CREATE ROLE kvcrm_access_bypass BYPASSRLS CREATEROLE;
GRANT USAGE ON SCHEMA kvcrm TO kvcrm_access_bypass;
SELECT is(t.try(NULL, 'SELECT kvcrm.grant_api(''kvcrm_access_bypass'')', role), '42501', 'grant_api is not for ' || role) FROM unnest(ARRAY[:'api', 'kvcrm_access_bypass']) AS role;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA kvcrm TO kvcrm_access_bypass;
SELECT is(t.try(NULL, 'SELECT kvcrm.grant_api(''kvcrm_access_bypass'')', 'kvcrm_access_bypass'), '42501', 'even when somebody gave them EXECUTE on it');

-- check_installation.

SELECT is((SELECT count(*) FROM kvcrm.check_installation()), 0::bigint, 'nothing to say');
CREATE FUNCTION t.problems() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(problem || ' -> ' || hint, E'\n' ORDER BY problem) FROM kvcrm.check_installation() $$;
CREATE FUNCTION t.after(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text; fix text;
BEGIN
    EXECUTE statement;
    result := t.problems();
    FOR fix IN SELECT hint FROM kvcrm.check_installation() WHERE hint LIKE '%grant_api%' LOOP EXECUTE fix; END LOOP;
    RETURN result;
END
$$;
SELECT is(t.after(statement), 'role kvcrm_access_api lacks privileges of the API -> SELECT kvcrm.grant_api(''kvcrm_access_api'');', 'check_installation after ' || statement)
  FROM unnest(ARRAY['REVOKE USAGE ON SCHEMA kvcrm FROM kvcrm_access_api', 'REVOKE SELECT ON kvcrm.leads FROM kvcrm_access_api', 'REVOKE UPDATE (name) ON kvcrm.leads FROM kvcrm_access_api',
                    'REVOKE EXECUTE ON FUNCTION kvcrm.policy_user() FROM kvcrm_access_api']) AS statement;
SELECT is(t.problems(), NULL, 'its hints help');
INSERT INTO kvcrm.api_roles (role_name) VALUES ('kvcrm_access_gone');
SELECT is(t.problems(), 'role kvcrm_access_gone was granted the API but does not exist in this cluster -> CREATE ROLE kvcrm_access_gone; SELECT kvcrm.grant_api(''kvcrm_access_gone'');', 'a role that a restore did not bring');
DELETE FROM kvcrm.api_roles WHERE role_name = 'kvcrm_access_gone';
SAVEPOINT version;
UPDATE pg_extension SET extversion = '0.0.1' WHERE extname = 'kvcrm';
SELECT matches(t.problems(), '^version 0\.0\.1 is installed, .* -> ALTER EXTENSION kvcrm UPDATE;$', 'an update that waits');
ROLLBACK TO version;

-- The restore gate. A dump's settings, by everybody, on every way in.

-- (SET search_path = '' would be a path of one schema with an empty name.)
\set empty 'SELECT pg_catalog.set_config(''search_path'', '''', true);'
\set gate 'SET LOCAL row_security = off; SET LOCAL check_function_bodies = off;' :empty
SELECT is(t.try('rep', :'gate' || statement), state, 'an API role with a dump''s settings: ' || statement)
  FROM (VALUES ('INSERT INTO kvcrm.leads (name, email) VALUES ('' x '', ''no address'')', '42501'), ('UPDATE kvcrm.leads SET email = ''no address''', '42501'),
               ('SELECT FROM kvcrm.leads', '42501'), ('SELECT kvcrm.create_lead(''x'', ''no address'')', '23514'), ('SELECT kvcrm.create_lead(''x'', inn => ''1'')', '23514'),
               ('SELECT kvcrm.create_lead(repeat(''x'', 256))', '22001'), ('SELECT kvcrm.assign_lead(t.id(''lead_rep''), t.id(''mate''))', '42501'), ('SELECT kvcrm.delete_lead(t.id(''lead_mate''))', 'PT404'),
               ('SELECT kvcrm.add_member(t.id(''n''), ''owner'')', '42501')) AS s (statement, state);
-- Without row_security = off, which RLS refuses, the rest is let through to the triggers.
\set half 'SET LOCAL check_function_bodies = off;' :empty
SELECT is(t.try('rep', :'half' || 'INSERT INTO kvcrm.leads (name, email) VALUES ('' x '', ''no address'')'), '23514', 'an API role with two of three settings');

CREATE FUNCTION t.logs() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM kvcrm.activity_logs';
GRANT INSERT (name, organization_id), SELECT ON kvcrm.leads TO kvcrm_access_bypass;
GRANT USAGE ON SCHEMA kvcrm TO kvcrm_access_bypass;
-- Name as stored, and whether the log tells: a lead that came in through the gate is stored as it came, unlogged.
CREATE FUNCTION t.stored(role text, settings text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    before bigint := t.logs();
    result text;
BEGIN
    BEGIN
        PERFORM t.act(NULL);
        PERFORM set_config('role', role, true);
        EXECUTE settings || statement INTO result;
        RAISE EXCEPTION SQLSTATE 'ZZZZZ' USING MESSAGE = quote_literal(result) || CASE WHEN t.logs() > before THEN ' logged' ELSE ' unlogged' END;
    EXCEPTION
        WHEN SQLSTATE 'ZZZZZ' THEN RETURN SQLERRM;
        WHEN OTHERS THEN RETURN SQLSTATE;
    END;
END
$$;
\set insert 'INSERT INTO kvcrm.leads (organization_id, name, stage_id, status, currency, board_rank) SELECT organization_id, ''  x  '', id, ''new'', ''RUB'', ''V'' FROM kvcrm.lead_stages WHERE organization_id = t.id(''north'') AND order_index = 1 RETURNING name'
\set short 'INSERT INTO kvcrm.leads (organization_id, name) VALUES (t.id(''north''), ''  x  '') RETURNING name'
\set call 'SELECT l.name FROM kvcrm.create_lead(''  x  '', organization_id => t.id(''north'')) l'
CREATE FUNCTION t.as_definer(statement text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$ DECLARE result text; BEGIN EXECUTE statement INTO result; RETURN result; END $$;
SET LOCAL client_min_messages = error;  -- the gate warns, once
SELECT is(t.stored(:system, :'gate', :'insert'), '''  x  '' unlogged', 'a superuser with a dump''s settings restores');
SELECT is(t.stored(:system, settings, :'insert'), '''x'' logged', 'not with only: ' || settings)
  FROM unnest(ARRAY['', :'half', 'SET LOCAL row_security = off;' || :'empty', 'SET LOCAL check_function_bodies = off; SET LOCAL row_security = off; SET LOCAL search_path = '''';',
                    'SET LOCAL row_security = off; SET LOCAL check_function_bodies = off;', 'SET LOCAL row_security = off; SET LOCAL check_function_bodies = off; SET LOCAL search_path = public;',
                    'SET LOCAL row_security = off; SET LOCAL check_function_bodies = off; SET LOCAL search_path = pg_catalog;']) AS settings;
SELECT is(t.stored(:system, :'gate', :'call'), '''x'' logged', 'nor through our definer functions');
SELECT is(t.stored(:system, :'gate', format('SELECT t.as_definer(%L)', :'insert')), '''x'' logged', 'nor through anybody''s');
SELECT is(t.stored('kvcrm_access_bypass', :'gate', :'short'), '''x'' logged', 'a role that bypasses row-level security, but is no owner, restores nothing');
SELECT is(t.stored(:'api', :'gate', format('SELECT t.as_definer(%L)', :'insert')), '42501', 'an API role does not through a definer function of a superuser');
SELECT is(t.stored(:'api', :'half', format('SELECT t.as_definer(%L)', 'SET LOCAL row_security = off;' || :'insert')), '42501', 'whoever sets row_security');
RESET client_min_messages;
SELECT is(t.try('rep', 'SET LOCAL session_replication_role = replica'), '42501', 'an API role can''t switch triggers off');

-- As the system, or as somebody with more rights.

SELECT current_user AS superuser \gset
SET SESSION AUTHORIZATION :"api";
SELECT throws_ok(statement, '42501', NULL, 'an API role: ' || statement)
  FROM unnest(ARRAY[format('SET ROLE %I', :'superuser'), 'SET ROLE kvcrm_access_bypass', 'RESET ROLE; SELECT kvcrm.create_lead(''x'', organization_id => t.id(''north''))',
                    'SELECT set_config(''role'', ''none'', true), kvcrm.create_lead(''x'', organization_id => t.id(''north''))',
                    'SELECT set_config(''kvcrm.user_id'', '''', true), kvcrm.create_lead(''x'', organization_id => t.id(''north''))',
                    'SELECT set_config(''request.jwt.claims'', ''{"role": "service_role"}'', true), kvcrm.create_lead(''x'', organization_id => t.id(''north''))',
                    'SELECT set_config(''request.jwt.claims'', ''{"sub": null, "role": "superuser"}'', true), kvcrm.create_lead(''x'', organization_id => t.id(''north''))',
                    'SELECT set_config(''kvcrm.organization_creation'', ''anyone'', true)', 'ALTER ROLE kvcrm_access_api BYPASSRLS', 'ALTER SCHEMA kvcrm OWNER TO kvcrm_access_api',
                    'CREATE TABLE kvcrm.x (a int)', 'CREATE FUNCTION kvcrm.lower(text) RETURNS text LANGUAGE sql AS ''SELECT $1''', 'ALTER TABLE kvcrm.leads DISABLE ROW LEVEL SECURITY',
                    'ALTER TABLE kvcrm.leads DISABLE TRIGGER ALL', 'DROP POLICY leads_select ON kvcrm.leads', 'CREATE POLICY mine ON kvcrm.leads USING (true)', 'DROP FUNCTION kvcrm.policy_user()',
                    'ALTER FUNCTION kvcrm.create_lead RESET search_path', 'LOCK TABLE kvcrm.leads IN ACCESS EXCLUSIVE MODE', 'TRUNCATE kvcrm.leads CASCADE', 'ALTER EXTENSION kvcrm UPDATE', 'DROP EXTENSION kvcrm CASCADE',
                    'COMMENT ON TABLE kvcrm.leads IS ''x''', 'CREATE INDEX ON kvcrm.leads (name)', 'CREATE TRIGGER x BEFORE INSERT ON kvcrm.leads FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()']) AS statement;
RESET SESSION AUTHORIZATION;

-- Writing what only triggers and functions write.

SELECT is(t.try('owner', format('UPDATE kvcrm.%I SET %I = %2$I', c.relname, a.attname)), '42501', format('an owner updates %s.%s', c.relname, a.attname))
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'kvcrm'::regnamespace AND c.relkind = 'r'
   AND NOT EXISTS (SELECT FROM t.promised p WHERE p.object_name = 'kvcrm.' || c.relname AND p.privilege = 'UPDATE' AND a.attname = ANY (p.columns)) ORDER BY c.relname, a.attnum;
SELECT is(t.try('owner', format('INSERT INTO kvcrm.%I (%I) VALUES (NULL)', c.relname, a.attname)), '42501', format('an owner inserts %s.%s', c.relname, a.attname))
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'kvcrm'::regnamespace AND c.relkind = 'r'
   AND NOT EXISTS (SELECT FROM t.promised p WHERE p.object_name = 'kvcrm.' || c.relname AND p.privilege = 'INSERT' AND a.attname = ANY (p.columns)) ORDER BY c.relname, a.attnum;
SELECT is(t.try('owner', format('DELETE FROM kvcrm.%I', relname)), '42501', 'an owner deletes from ' || relname)
  FROM pg_class WHERE relnamespace = 'kvcrm'::regnamespace AND relkind = 'r' AND relname NOT IN ('custom_field_definitions', 'scoring_rules', 'assignment_rules') ORDER BY relname;
SELECT is(t.try('owner', format('SELECT FROM kvcrm.%I', relname)), '42501', 'an owner reads ' || relname)
  FROM pg_class c WHERE relnamespace = 'kvcrm'::regnamespace AND relkind = 'r' AND NOT EXISTS (SELECT FROM t.promised p WHERE p.object_name = 'kvcrm.' || c.relname AND p.privilege = 'SELECT') ORDER BY relname;
-- The log is append-only for everybody.
SELECT is(t.try(who, statement, :system), state, format('%s: %s', coalesce(who, 'the system'), statement))
  FROM unnest(ARRAY[NULL, 'owner']) AS who,
       (VALUES ('UPDATE kvcrm.activity_logs SET actor_id = NULL', '42501'), ('DELETE FROM kvcrm.activity_logs', '42501'), ('DELETE FROM kvcrm.activity_logs WHERE false', '42501'),
               ('TRUNCATE kvcrm.activity_logs', '23514'), ('TRUNCATE kvcrm.leads CASCADE', '23514'), ('TRUNCATE kvcrm.organizations CASCADE', '23514')) AS s (statement, state);

-- Trigger and policy functions.

SELECT is(t.try('owner', format('SELECT %s', p.oid::regprocedure)), '42501', 'an API role calls ' || p.proname)
  FROM pg_proc p WHERE p.pronamespace = 'kvcrm'::regnamespace AND p.prorettype = 'trigger'::regtype;
SELECT is(t.try(NULL, format('SELECT %s', p.oid::regprocedure), :system), '39P01', 'nobody calls a trigger function: ' || p.proname)
  FROM pg_proc p WHERE p.pronamespace = 'kvcrm'::regnamespace AND p.prorettype = 'trigger'::regtype;
CREATE SCHEMA t_hostile AUTHORIZATION :"api";
SELECT is(t.try('rep', $$ CREATE TABLE t_hostile.x (id uuid, organization_id uuid);
    CREATE TRIGGER x AFTER INSERT ON t_hostile.x REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('lead') $$), '42501',
          'an API role writes no log through a table of its own');
SELECT is(t.try('rep', $$ CREATE TABLE t_hostile.x (id uuid REFERENCES kvcrm.organizations) $$), '42501', 'nor probes ids through foreign keys of its own');

SELECT is(t.get('rep', query), answer, query)
  FROM (VALUES ('SELECT kvcrm.policy_user()', t.id('rep')::text), ('SELECT kvcrm.policy_organizations(''member'')', format('{%s}', t.id('north'))), ('SELECT kvcrm.policy_organizations(''leads:read_all'')', '{}'),
               ('SELECT kvcrm.policy_organizations(''x:y'')', '22023'), ('SELECT kvcrm.policy_organizations(NULL)', '22023'), ('SELECT kvcrm.policy_teammates(''leads:read_team'')', '{}'),
               ('SELECT kvcrm.policy_team(t.id(''north''), t.id(''mate''), ''leads:read_team'')', 'false'), ('SELECT kvcrm.policy_team(NULL, NULL, NULL)', 'false'),
               ('SELECT kvcrm.policy_lead(t.id(''north''), t.id(''lead_rep''))', 'true'), ('SELECT kvcrm.policy_lead(t.id(''north''), t.id(''lead_mate''))', 'false'),
               ('SELECT kvcrm.policy_lead(t.id(''south''), t.id(''lead_south''))', 'false'), ('SELECT kvcrm.policy_lead(t.id(''north''), t.id(''unknown''))', 'false'), ('SELECT kvcrm.policy_lead(NULL, NULL)', 'false')) AS s (query, answer);
SELECT is(t.get(NULL, query), answer, 'nobody: ' || query)
  FROM (VALUES ('SELECT kvcrm.policy_user()', NULL), ('SELECT kvcrm.policy_organizations(''member'')', '{}'), ('SELECT kvcrm.policy_lead(t.id(''north''), t.id(''lead_rep''))', 'false')) AS s (query, answer);

-- A role that shadows functions, operators and tables, in a schema of its own and in pg_temp, changes no answer.

SET LOCAL ROLE :"api";
CREATE FUNCTION t_hostile.yes(uuid, uuid) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''shadowed''; END';
CREATE FUNCTION t_hostile.yes(text, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''shadowed''; END';
CREATE FUNCTION t_hostile.yes(timestamptz, timestamptz) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''shadowed''; END';
CREATE FUNCTION t_hostile.yes(int, int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''shadowed''; END';
CREATE FUNCTION t_hostile.yes(jsonb, jsonb) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''shadowed''; END';
CREATE FUNCTION t_hostile.join(text, text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''shadowed''; END';
CREATE OPERATOR t_hostile.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = t_hostile.yes);
CREATE OPERATOR t_hostile.= (LEFTARG = text, RIGHTARG = text, FUNCTION = t_hostile.yes);
CREATE OPERATOR t_hostile.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = t_hostile.yes);
CREATE OPERATOR t_hostile.< (LEFTARG = text, RIGHTARG = text, FUNCTION = t_hostile.yes);
CREATE OPERATOR t_hostile.= (LEFTARG = int, RIGHTARG = int, FUNCTION = t_hostile.yes);
CREATE OPERATOR t_hostile.>= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = t_hostile.yes);
CREATE OPERATOR t_hostile.@> (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = t_hostile.yes);
CREATE OPERATOR t_hostile.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = t_hostile.join);
CREATE FUNCTION t_hostile.now() RETURNS timestamptz LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''shadowed''; END';
CREATE FUNCTION t_hostile.lower(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''shadowed''; END';
CREATE FUNCTION t_hostile.uuid_v7() RETURNS uuid LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''shadowed''; END';
CREATE FUNCTION t_hostile.current_user_id() RETURNS uuid LANGUAGE sql AS 'SELECT t.id(''owner'')';
CREATE FUNCTION t_hostile.policy_user() RETURNS uuid LANGUAGE sql AS 'SELECT t.id(''owner'')';
CREATE FUNCTION t_hostile.policy_organizations(text) RETURNS uuid[] LANGUAGE sql AS 'SELECT ARRAY[t.id(''north''), t.id(''south'')]';
CREATE TEMP TABLE organization_members (organization_id uuid, user_id uuid, role_slug text, team_id uuid, status text);
INSERT INTO pg_temp.organization_members VALUES (t.id('south'), t.id('rep'), 'owner', NULL, 'active'), (t.id('north'), t.id('rep'), 'owner', NULL, 'active');
CREATE TEMP TABLE roles (organization_id uuid, slug text, permissions text[]);
INSERT INTO pg_temp.roles VALUES (t.id('north'), 'owner', '{*:*}'), (t.id('north'), 'sales_team', '{*:*}');
CREATE TEMP TABLE leads (id uuid, organization_id uuid, name text, assigned_to uuid);
CREATE TEMP TABLE pg_roles (oid oid, rolname name, rolsuper boolean);
CREATE TEMP TABLE pg_proc (oid oid, proname name);
CREATE FUNCTION pg_temp.lower(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''shadowed''; END';
CREATE DOMAIN pg_temp.jsonb AS pg_catalog.jsonb CHECK (VALUE IS NULL);
CREATE DOMAIN pg_temp.timestamptz AS pg_catalog.timestamptz CHECK (VALUE IS NULL);
CREATE DOMAIN t_hostile.text AS pg_catalog.text CHECK (VALUE IS NULL);
CREATE DOMAIN t_hostile.uuid AS pg_catalog.uuid CHECK (VALUE IS NULL);
RESET ROLE;

-- What a query tells `who` under a search_path, undone afterwards.
CREATE FUNCTION t.peek(who text, path text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result pg_catalog.text;
BEGIN
    PERFORM t.act(who);
    PERFORM set_config('role', current_setting('t.api'), true), set_config('search_path', path, true);
    EXECUTE query INTO result;
    RAISE EXCEPTION SQLSTATE 'ZZZZZ' USING MESSAGE = coalesce(result, 'null');
EXCEPTION
    WHEN SQLSTATE 'ZZZZZ' THEN RETURN SQLERRM;
    WHEN OTHERS THEN RETURN SQLSTATE;
END
$$;
\set hostile 't_hostile, pg_temp, kvcrm, pg_catalog, public'
SELECT is(t.peek('rep', :'hostile', 'SELECT lower(''X'')'), 'P0001', 'the shadows are in place');
CREATE TABLE t.shadowed (n serial, query pg_catalog.text);
INSERT INTO t.shadowed (query) VALUES
('SELECT pg_catalog.count(*) FROM kvcrm.leads'), ('SELECT pg_catalog.count(*) FROM kvcrm.organization_members'), ('SELECT pg_catalog.count(*) FROM kvcrm.lead_stage_history'),
('SELECT pg_catalog.count(*) FROM kvcrm.activity_logs'), ('SELECT kvcrm.current_user_id()'), ('SELECT kvcrm.current_organization_id()'), ('SELECT kvcrm.has_permission(''leads:read_all'')'),
('SELECT p::pg_catalog.text FROM kvcrm.my_permissions() p'), ('SELECT kvcrm.policy_organizations(''member'')'), ('SELECT kvcrm.policy_lead(t.id(''north''), t.id(''lead_mate''))'),
('SELECT l.email_normalized FROM kvcrm.create_lead('' x '', ''A.B+c@GMail.com'', ''8 (912) 345-67-89'') l'), ('SELECT l.name FROM kvcrm.move_lead(t.id(''lead_rep''), (SELECT s.id FROM kvcrm.lead_stages s ORDER BY order_index OFFSET 1 LIMIT 1)) l'),
('SELECT c.name FROM kvcrm.qualify_lead(t.id(''lead_rep'')) c'), ('SELECT l.name FROM kvcrm.delete_lead(t.id(''lead_mate'')) l'), ('SELECT a.title FROM kvcrm.log_activity(t.id(''lead_rep''), ''call'', ''x'') a'),
('SELECT i.outcome FROM kvcrm.import_leads(''[{"name": "x"}]'') i'), ('SELECT m.role_slug FROM kvcrm.add_member(t.id(''n''), ''owner'') m'), ('SELECT o.name FROM kvcrm.create_organization(''x'') o'),
('INSERT INTO kvcrm.leads (name, email, phone) VALUES ('' x '', ''X@Example.com'', ''8 912 345 67 89'') RETURNING phone_e164'), ('UPDATE kvcrm.leads SET company = '' z '' RETURNING company'),
('INSERT INTO kvcrm.lead_activities (lead_id, type, title) VALUES (t.id(''lead_rep''), ''task'', '' x '') RETURNING title');
CREATE TABLE t.expected AS SELECT n, who, t.peek(who, 'pg_catalog, public', query) AS answer FROM t.shadowed, unnest(ARRAY['rep', 'manager', 'stranger']) AS who;
-- Twice: statements prepared under a clean search_path, and those prepared under the hostile one.
SELECT is(t.peek(e.who, :'hostile', s.query), e.answer, format('shadowed, %s: %s', e.who, s.query)) FROM t.shadowed s JOIN t.expected e USING (n) ORDER BY n, e.who;
DISCARD PLANS;
SELECT is(t.peek(e.who, :'hostile', s.query), e.answer, format('shadowed from the start, %s: %s', e.who, s.query)) FROM t.shadowed s JOIN t.expected e USING (n) ORDER BY n, e.who;
SELECT isnt((SELECT count(*) FROM t.expected WHERE answer !~ '^[0-9A-Z]{5}$'), 0::bigint, 'most of which answer something');
SELECT is((SELECT count(*) FROM t.expected WHERE answer = 'P0001'), 0::bigint, 'and are themselves unshadowed');
SELECT is(t.problems(), NULL, 'check_installation is not fooled by pg_temp');

-- A function of the caller's own in WHERE sees only rows that policies let through, whatever it claims to cost.
SET LOCAL ROLE :"api";
CREATE TEMP TABLE leaked (name pg_catalog.text);
CREATE FUNCTION t_hostile.leak(name pg_catalog.text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS 'BEGIN INSERT INTO pg_temp.leaked VALUES (name); RETURN true; END';
SELECT t.act('rep') \g /dev/null
SELECT count(*) FROM kvcrm.leads WHERE t_hostile.leak(name) \g /dev/null
SELECT count(*) FROM kvcrm.leads l WHERE t_hostile.leak(l.name) AND l.id > '00000000-0000-0000-0000-000000000000' \g /dev/null
UPDATE kvcrm.leads SET company = 'q' WHERE t_hostile.leak(name);
SELECT is(array_agg(DISTINCT name), '{Lead_Rep}', 'a cheap function in WHERE sees the caller''s rows only') FROM pg_temp.leaked;
SELECT is(count(*), 0::bigint, 'statistics tell clients no values') FROM pg_stats WHERE schemaname = 'kvcrm';
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
