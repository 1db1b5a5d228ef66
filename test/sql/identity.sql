-- Who is acting: claims, settings, the system; and that no answer outlives a change of user.

-- Settings made before the module is loaded count once it is.
\c
SET kvcrm.user_id = '33333333-3333-4333-8333-333333333333';
SET kvcrm.organization_id = '11111111-1111-4111-8111-111111111111';
SELECT kvcrm.current_user_id() = '33333333-3333-4333-8333-333333333333'
   AND kvcrm.current_organization_id() = '11111111-1111-4111-8111-111111111111' AS early \gset
RESET kvcrm.user_id;
RESET kvcrm.organization_id;

BEGIN;
SELECT no_plan();
SELECT ok(:'early', 'settings made before the module is loaded count');
\set api kvcrm_identity_api
\ir include/access.sql

\set A '11111111-1111-4111-8111-111111111111'
\set B '22222222-2222-4222-8222-222222222222'
\set C '33333333-3333-4333-8333-333333333333'

-- The settings that name a user, all at once; null = ''.
CREATE FUNCTION t.name_user(claims text, old_sub text, setting text) RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('request.jwt.claims', coalesce(claims, ''), true),
            set_config('request.jwt.claim.sub', coalesce(old_sub, ''), true),
            set_config('kvcrm.user_id', coalesce(setting, ''), true);
    RETURN kvcrm.current_user_id();
END
$$;
CREATE FUNCTION t.name_organization(claims text, setting text) RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('request.jwt.claims', coalesce(claims, ''), true),
            set_config('kvcrm.organization_id', coalesce(setting, ''), true);
    RETURN kvcrm.current_organization_id();
END
$$;

-- The acting user: claims, else the old claim, else the setting.

SELECT is(t.name_user(NULL, NULL, NULL), NULL, 'nothing set, or all empty: nobody');
SELECT is(t.name_user(NULL, NULL, :'C'), :'C', 'the setting kvcrm.user_id names the user');
SELECT is(t.name_user(NULL, :'B', :'C'), :'B', 'request.jwt.claim.sub goes before the setting');
SELECT is(t.name_user(format('{"sub": "%s"}', :'A'), :'B', :'C'), :'A', 'request.jwt.claims go before both');
SELECT is(t.name_user('{}', :'B', :'C'), NULL, 'claims decide alone: without sub it is nobody');
SELECT is(t.name_user('{"sub": null}', :'B', :'C'), NULL, 'sub null is nobody');
SELECT is(t.name_user('{"sub": ""}', :'B', :'C'), NULL, 'an empty sub is nobody');
SELECT is(t.name_user('{"SUB": "x", "role": "authenticated"}', NULL, :'C'), NULL, 'other claims name nobody');
SELECT is(t.name_user(format('{"a": {"sub": "%s"}}', :'A'), NULL, NULL), NULL, 'a nested sub is not the sub');
SELECT is(t.name_user(upper(format('{"sub": "%s"}', 'x')), NULL, :'C'), NULL, 'names of claims are case-sensitive');
SELECT is(t.name_user('{"sub": "AAAAAAAA-BBBB-4CCC-8DDD-EEEEEEEEEEEE"}', NULL, NULL),
          'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee', 'capital letters in a UUID do not matter');

SELECT throws_ok(format('SELECT t.name_user(%L, %L, %L)', claims, :'B', :'C'), '28000', NULL, 'refused as claims: ' || left(claims, 40))
  FROM unnest(ARRAY['x', ' ', 'null', 'true', '1', '"x"', '[]', '[{"sub": null}]', '{', '{}{}', '{"sub"}', '{''sub'': 1}',
                    '{"sub": 1}', '{"sub": {}}', '{"sub": []}', '{"sub": true}', '{"sub": "x"}', '{"sub": " "}',
                    '{"sub": "11111111-1111-4111-8111-11111111111"}', '{"sub": "11111111-1111-4111-8111-1111111111111"}',
                    '{"sub": "11111111-1111-4111-8111-11111111111g"}', '{"a": "\u0000"}', '{"sub": "\u0000"}',
                    repeat('[', 100000), repeat('{"a":', 100000)]) AS claims;
SELECT throws_ok(format('SELECT t.name_user(NULL, %L, %L)', 'x', :'C'), '28000', NULL, 'request.jwt.claim.sub must be a UUID');
SELECT throws_ok('SELECT t.name_user(NULL, NULL, ''x'')', '28000', NULL, 'kvcrm.user_id must be a UUID');
SELECT throws_ok(format('SELECT t.name_user(NULL, NULL, %L)', repeat('1', 10 * 1024 * 1024)), '28000', NULL, 'a UUID of 10 MB is none');
SELECT throws_ok($$ SELECT t.name_user('x', NULL, NULL) UNION ALL SELECT kvcrm.has_permission('leads:create')::text::uuid $$,
                 '28000', NULL, 'malformed claims stop the statement');
SELECT is(t.name_user(format('{"sub": "%s"}', :'A'), NULL, NULL), :'A', 'after malformed claims good ones work');
SELECT is(t.name_user(format('{"sub": "%s", "x": "%s"}', :'B', repeat('x', 1000000)), NULL, NULL), :'B', 'claims of a megabyte work');

SAVEPOINT settings;
SET LOCAL request.jwt.claims = '{"sub": "33333333-3333-4333-8333-333333333333"}';
SELECT is(kvcrm.current_user_id(), :'C', 'claims set in a sub-transaction');
ROLLBACK TO settings;
SELECT is(kvcrm.current_user_id(), :'B', 'are gone with it');

-- Every function refuses malformed claims, whoever calls it.
SELECT is(t.try(NULL, statement, role), '28000', format('malformed claims: %s as %s', statement, role))
  FROM unnest(ARRAY[:'api', current_user::text]) AS role,
       unnest(ARRAY['SELECT set_config(''request.jwt.claims'', ''x'', true), kvcrm.create_lead(''x'')',
                    'SELECT set_config(''request.jwt.claims'', ''x'', true), kvcrm.has_permission(''leads:create'')',
                    'SELECT set_config(''request.jwt.claims'', ''x'', true), kvcrm.current_organization_id()']) AS statement;
DO $$
BEGIN
    PERFORM set_config('request.jwt.claims', 'x', true), set_config('role', current_setting('t.api'), true);
END
$$;
SELECT throws_ok('SELECT count(*) FROM kvcrm.leads', '28000', NULL, 'malformed claims under row-level security');
SELECT throws_ok($$ INSERT INTO kvcrm.leads (name) VALUES ('x') $$, '28000', NULL, 'malformed claims on INSERT');
SELECT throws_ok($$ UPDATE kvcrm.leads SET name = 'x' $$, '28000', NULL, 'malformed claims on UPDATE');
RESET ROLE;

-- The current organization.

SELECT t.act('rep');
SELECT is(kvcrm.current_organization_id(), t.id('north'), 'the only active membership');
SELECT is(t.name_organization(format('{"sub": "%s"}', t.id('rep')), :'B'), :'B', 'the setting goes before the membership');
SELECT is(t.name_organization(format('{"organization_id": "%s"}', :'A'), :'B'), :'A', 'the claim goes before the setting');
SELECT is(t.name_organization(format('{"app_metadata": {"organization_id": "%s"}}', :'A'), :'B'), :'A', 'the claim may lie under app_metadata');
SELECT is(t.name_organization(format('{"organization_id": "%s", "app_metadata": {"organization_id": "%s"}}', :'A', :'B'), :'C'), :'A',
          'the top level goes before app_metadata');
SELECT is(t.name_organization(format('{"organization_id": null, "app_metadata": {"organization_id": "%s"}}', :'A'), :'C'), :'A',
          'a null at the top level counts as missing');
SELECT is(t.name_organization('{"organization_id": "", "app_metadata": {"organization_id": ""}}', :'C'), :'C', 'empty claims count as missing');
SELECT is(t.name_organization('{"app_metadata": "x"}', :'C'), :'C', 'app_metadata that is no object is ignored');
SELECT is(t.name_organization(format('{"user_metadata": {"organization_id": "%s"}}', :'A'), NULL), NULL, 'user_metadata, which users write themselves, is not asked');
SELECT is(t.name_organization(NULL, NULL), NULL, 'nobody has no current organization');
SELECT is(t.name_organization(NULL, :'C'), :'C', 'unless the setting names it');
SELECT throws_ok(format('SELECT t.name_organization(%L, %L)', claims, :'C'), '28000', NULL, 'refused as claims: ' || claims)
  FROM unnest(ARRAY['{"organization_id": "x"}', '{"organization_id": 1}', '{"app_metadata": {"organization_id": "x"}}',
                    '{"app_metadata": {"organization_id": []}}']) AS claims;
SELECT throws_ok('SELECT t.name_organization(NULL, ''x'')', '28000', NULL, 'kvcrm.organization_id must be a UUID');
SELECT t.name_organization(NULL, NULL) \g /dev/null

SELECT is(t.get('suspended', 'SELECT kvcrm.current_organization_id()'), NULL, 'a suspended membership does not count');
SELECT is(t.get('invited', 'SELECT kvcrm.current_organization_id()'), NULL, 'an invitation does not count');
SELECT is(t.get('stranger', 'SELECT kvcrm.current_organization_id()'), NULL, 'a stranger has none');
INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, status)
VALUES (t.id('south'), t.id('rep'), 'sales_team', 'suspended');
SELECT is(t.get('rep', 'SELECT kvcrm.current_organization_id()'), t.id('north')::text, 'the only active one, beside a suspended one');
UPDATE kvcrm.organization_members SET status = 'active' WHERE user_id = t.id('rep') AND organization_id = t.id('south');
SELECT is(t.get('rep', 'SELECT kvcrm.current_organization_id()'), NULL, 'of two active memberships neither is current');
SELECT is(t.try('rep', $$ SELECT kvcrm.create_lead('x') $$), '22023', 'without current organization a function asks for one');
SELECT is(t.try('rep', format('SELECT kvcrm.create_lead(''x'', organization_id => %L)', t.id('south'))), '1', 'and takes the given one');
DELETE FROM kvcrm.organization_members WHERE user_id = t.id('rep') AND organization_id = t.id('south');
-- A claim or setting names an organization, it doesn't make anybody a member.
SELECT is(t.try('rep', format('SELECT set_config(''kvcrm.organization_id'', %L, true), kvcrm.create_lead(''x'')', t.id('south'))), '42501',
          'naming an organization gives no rights in it');
SELECT is(t.message('rep', format('SELECT kvcrm.create_lead(''x'', organization_id => %L)', t.id('south'))),
          t.message('rep', format('SELECT kvcrm.create_lead(''x'', organization_id => %L)', t.id('unknown'))),
          'an organization one is not in, and an unknown one, give the same error');

-- The system, and who is not.

CREATE ROLE kvcrm_identity_bypass BYPASSRLS;
CREATE ROLE kvcrm_identity_plain;
CREATE ROLE kvcrm_identity_member;
GRANT kvcrm_identity_bypass TO kvcrm_identity_member;
SELECT kvcrm.grant_api(r) FROM unnest(ARRAY['kvcrm_identity_bypass', 'kvcrm_identity_member']) AS r \g /dev/null
\set create 'SELECT kvcrm.create_lead(''By nobody'', organization_id => t.id(''north''))'

SELECT is(t.get(NULL, $$ SELECT l.created_by IS NULL AND l.assigned_to IS NULL FROM kvcrm.create_lead('By the system', organization_id => t.id('north')) l $$, role), 'true',
          'acts as the system: ' || role)
  FROM unnest(ARRAY[current_user::text, 'kvcrm_identity_bypass']) AS role;
SELECT is((SELECT count(*) FROM kvcrm.activity_logs g JOIN kvcrm.leads l ON l.id = g.entity_id
            WHERE l.name = 'By the system' AND g.action = 'created' AND g.actor_id IS NULL), 2::bigint, 'the log knows the system as null');
SELECT is(t.get(NULL, 'SELECT kvcrm.has_permission(''leads:erase'', t.id(''north''))', 'kvcrm_identity_bypass'), 'true', 'the system may do everything');
SELECT is(t.get(NULL, 'SELECT count(*) FROM kvcrm.my_permissions()', 'kvcrm_identity_bypass'), '0', 'but is a member of nothing');

SELECT is(t.try(NULL, :'create', role), '42501', 'without a user may do nothing: ' || role)
  FROM unnest(ARRAY[:'api', 'kvcrm_identity_plain', 'kvcrm_identity_member']) AS role;
SELECT is(t.try(NULL, q), '42501', 'nobody may not: ' || q)
  FROM unnest(ARRAY['SELECT kvcrm.create_organization(''x'')',
                    'SELECT kvcrm.create_organization(''x'', owner_id => t.id(''owner''))',
                    'SELECT kvcrm.add_member(t.id(''x''), ''owner'', organization_id => t.id(''north''))',
                    'SELECT kvcrm.accept_invitation(t.id(''north''))',
                    'SELECT kvcrm.decline_invitation(t.id(''north''))',
                    'SELECT kvcrm.set_member_role(t.id(''rep''), ''owner'', t.id(''north''))',
                    'SELECT kvcrm.suspend_member(t.id(''rep''), organization_id => t.id(''north''))',
                    'SELECT kvcrm.reactivate_member(t.id(''suspended''), t.id(''north''))',
                    'SELECT kvcrm.assign_lead(t.id(''lead_rep''), t.id(''mate''))',
                    'SELECT kvcrm.move_lead(t.id(''lead_rep''), t.id(''x''))',
                    'SELECT kvcrm.delete_lead(t.id(''lead_rep''))',
                    'SELECT kvcrm.restore_lead(t.id(''lead_rep''))',
                    'SELECT kvcrm.qualify_lead(t.id(''lead_rep''))',
                    'SELECT kvcrm.convert_lead_to_customer(t.id(''lead_rep''), t.id(''north''))',
                    'SELECT kvcrm.log_activity(t.id(''lead_rep''), ''call'', ''x'')',
                    'SELECT kvcrm.complete_activity(t.id(''x''))',
                    'SELECT kvcrm.delete_activity(t.id(''x''))',
                    'SELECT kvcrm.import_leads(''[]'', organization_id => t.id(''north''))',
                    'INSERT INTO kvcrm.leads (organization_id, name) VALUES (t.id(''north''), ''x'')']) AS q;
SELECT is(t.get(NULL, 'SELECT kvcrm.has_permission(''leads:create'', t.id(''north''))'), 'false', 'nobody has no permission');
SELECT is(t.get(NULL, 'SELECT count(*) FROM kvcrm.leads'), '0', 'nobody sees no lead');
SELECT is(t.try(NULL, $$ UPDATE kvcrm.leads SET name = 'x' $$), '0', 'nobody changes no lead');

-- A role granted BYPASSRLS only through membership has not got it: attributes are not inherited.
SELECT is(t.get(NULL, 'SELECT count(*) FROM kvcrm.leads', 'kvcrm_identity_member'), '0', 'a member of a bypassing role does not bypass');

-- With an acting user everybody is held to that user's permissions.
SELECT is(t.try('rep', statement, role), expected, format('%s as rep: %s', role, statement))
  FROM unnest(ARRAY[current_user::text, 'kvcrm_identity_bypass', :'api']) AS role,
       (VALUES ('SELECT kvcrm.create_lead(''x'')', '1'),
               ('SELECT kvcrm.create_lead(''x'', organization_id => t.id(''south''))', '42501'),
               ('SELECT kvcrm.create_lead(''x'', assigned_to => t.id(''mate''))', '42501'),
               ('SELECT kvcrm.delete_lead(t.id(''lead_rep''))', '42501'),
               ('SELECT kvcrm.delete_lead(t.id(''lead_mate''))', 'PT404'),
               ('SELECT kvcrm.qualify_lead(t.id(''lead_rep''))', '1'),
               ('SELECT kvcrm.qualify_lead(t.id(''lead_mate''))', 'PT404'),
               ('SELECT kvcrm.qualify_lead(t.id(''lead_south''), organization_id => t.id(''south''))', 'PT404'),
               ('SELECT kvcrm.assign_lead(t.id(''lead_rep''), t.id(''mate''))', '42501'),
               ('SELECT kvcrm.set_member_role(t.id(''mate''), ''owner'')', '42501'),
               ('SELECT kvcrm.import_leads(''[]'')', '42501')) AS s (statement, expected);
SELECT is(t.try('stranger', :'create', current_user::text), '42501', 'a superuser for a stranger may do nothing');
SELECT is(t.get('rep', 'SELECT kvcrm.has_permission(''leads:delete'')', current_user::text), 'false', 'a superuser has the permissions of the user');
SELECT is(t.try('rep', $$ SELECT kvcrm.create_organization('x', organization_id => t.id('x')) $$, current_user::text), '42501',
          'a superuser for a user is not the system');

-- The outer role counts, inside a definer function of somebody trusted too.
CREATE FUNCTION t.as_definer(statement text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN EXECUTE statement; END $$;
SELECT is(t.try(NULL, format('SELECT t.as_definer(%L)', :'create')), '42501', 'a definer function of a superuser does not make its caller the system');
SELECT is(t.try('rep', format('SELECT t.as_definer(%L)', :'create')), '1', 'but works for a user who may');
CREATE FUNCTION t.as_invoker(statement text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE statement; END $$;
ALTER FUNCTION t.as_invoker OWNER TO kvcrm_identity_bypass;
SELECT is(t.try(NULL, format('SELECT t.as_invoker(%L)', :'create')), '42501', 'who owns an invoker function does not matter');

-- An owner who is no superuser.
SAVEPOINT owner;
CREATE ROLE kvcrm_identity_owner;
DO $$
DECLARE
    object record;
BEGIN
    FOR object IN SELECT c.oid::regclass AS name FROM pg_class c WHERE c.relnamespace = 'kvcrm'::regnamespace AND c.relkind = 'r' LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO kvcrm_identity_owner', object.name);
    END LOOP;
    FOR object IN SELECT p.oid::regprocedure AS name FROM pg_proc p WHERE p.pronamespace = 'kvcrm'::regnamespace LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO kvcrm_identity_owner', object.name);
    END LOOP;
END
$$;
ALTER SCHEMA kvcrm OWNER TO kvcrm_identity_owner;
SELECT is(t.try(NULL, :'create', 'kvcrm_identity_owner'), '1', 'the owner acts as the system');
SELECT is(t.try('rep', :'create', 'kvcrm_identity_owner'), '1', 'the owner acts for a user');
SELECT is(t.try('rep', 'SELECT kvcrm.delete_lead(t.id(''lead_rep''))', 'kvcrm_identity_owner'), '42501', 'and is held to the user''s permissions');
SELECT is(t.try('rep', 'SELECT kvcrm.qualify_lead(t.id(''lead_rep''))'), '1', 'an owner who is no superuser serves API roles too');
SELECT is(t.get('rep', 'SELECT count(*) FROM kvcrm.leads'), '1', 'and policies');
ROLLBACK TO owner;

-- Nothing is remembered from one call to the next.

SELECT results_eq(format($$
    SELECT array[a, b, c] FROM (SELECT set_config('request.jwt.claims', '', true), set_config('kvcrm.user_id', %1$L, true), kvcrm.current_user_id() AS a,
           set_config('kvcrm.user_id', %2$L, true), kvcrm.current_user_id() AS b,
           set_config('kvcrm.user_id', '', true), kvcrm.current_user_id() AS c) AS s $$, :'A', :'B'),
    format('SELECT array[%L, %L, NULL]::uuid[]', :'A', :'B'), 'current_user_id() twice in one statement, the setting changing');
SELECT results_eq($$
    SELECT count(DISTINCT kvcrm.current_user_id()) FROM (SELECT set_config('kvcrm.user_id', t.id(n::text)::text, true) FROM generate_series(1, 5) AS n OFFSET 0) AS s $$,
    'SELECT 5::bigint', 'current_user_id() once per row, the setting changing with every row');
SELECT set_config('kvcrm.user_id', '', true) \g /dev/null

CREATE FUNCTION t.loop(expression text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    who text;
    result text[] := '{}';
BEGIN
    FOREACH who IN ARRAY ARRAY['rep', 'south_rep', 'owner', 'stranger', 'rep'] LOOP
        PERFORM t.act(who);
        result := result || CASE expression
            WHEN 'user' THEN kvcrm.current_user_id()::text
            WHEN 'organization' THEN kvcrm.current_organization_id()::text
            WHEN 'permission' THEN kvcrm.has_permission('leads:read_all')::text
            WHEN 'roles' THEN coalesce((SELECT string_agg(p.role_slug, ',') FROM kvcrm.my_permissions() p), 'none') END;
    END LOOP;
    PERFORM t.act(NULL);
    RETURN result;
END
$$;
SELECT is(t.loop('user'), ARRAY[t.id('rep'), t.id('south_rep'), t.id('owner'), t.id('stranger'), t.id('rep')]::text[], 'PL/pgSQL: current_user_id() in a loop');
SELECT is(t.loop('organization'), ARRAY[t.id('north'), t.id('south'), t.id('north'), NULL, t.id('north')]::text[], 'PL/pgSQL: current_organization_id() in a loop');
SELECT is(t.loop('permission'), '{false,false,true,false,false}', 'PL/pgSQL: has_permission() in a loop');
SELECT is(t.loop('roles'), '{sales_team,sales_team,owner,none,sales_team}', 'PL/pgSQL: my_permissions() in a loop');

-- A role changed in the middle counts at once.
CREATE FUNCTION t.promote() RETURNS boolean[] LANGUAGE plpgsql AS $$
DECLARE
    before boolean; after boolean;
BEGIN
    PERFORM t.act('rep');
    before := kvcrm.has_permission('leads:read_all');
    PERFORM t.act(NULL);
    UPDATE kvcrm.organization_members SET role_slug = 'sales_manager' WHERE user_id = t.id('rep');
    PERFORM t.act('rep');
    after := kvcrm.has_permission('leads:read_all');
    PERFORM t.act(NULL);
    UPDATE kvcrm.organization_members SET role_slug = 'sales_team' WHERE user_id = t.id('rep');
    RETURN ARRAY[before, after];
END
$$;
SELECT is(t.promote(), '{false,true}', 'a promotion counts at once');

-- The same for policies, which remember, but only for one execution: an API role tries to keep what it saw as
-- somebody else. The owner of North sees five leads, reps one each.
DELETE FROM kvcrm.leads WHERE name = 'By the system';
GRANT CREATE ON SCHEMA t TO :"api";
SET LOCAL ROLE :"api";
PREPARE count_leads AS SELECT count(*) FROM kvcrm.leads;
PREPARE read_lead (uuid) AS SELECT count(*) FROM kvcrm.leads WHERE id = $1;
PREPARE change_lead (uuid) AS UPDATE kvcrm.leads SET name = name || '!' WHERE id = $1 RETURNING 1;
CREATE FUNCTION t.count_sql() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM kvcrm.leads';
CREATE FUNCTION t.count_sql_stable() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM kvcrm.leads';
CREATE FUNCTION t.leads_inlined() RETURNS SETOF kvcrm.leads LANGUAGE sql STABLE AS 'SELECT * FROM kvcrm.leads';
CREATE FUNCTION t.count_plpgsql() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM kvcrm.leads); END';
CREATE VIEW t.leads_invoker WITH (security_invoker = true) AS SELECT * FROM kvcrm.leads;

CREATE FUNCTION t.counts(kind text) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    who text;
    n bigint;
    result bigint[] := '{}';
BEGIN
    FOREACH who IN ARRAY ARRAY['owner', 'rep', 'south_rep', 'stranger', NULL, 'owner', 'rep'] LOOP
        PERFORM t.act(who);
        CASE kind
            WHEN 'static' THEN SELECT count(*) INTO n FROM kvcrm.leads;
            WHEN 'expression' THEN n := (SELECT count(*) FROM kvcrm.leads);
            WHEN 'dynamic' THEN EXECUTE 'SELECT count(*) FROM kvcrm.leads' INTO n;
            WHEN 'sql' THEN n := t.count_sql();
            WHEN 'sql stable' THEN n := t.count_sql_stable();
            WHEN 'sql inlined' THEN SELECT count(*) INTO n FROM t.leads_inlined();
            WHEN 'plpgsql' THEN n := t.count_plpgsql();
            WHEN 'view' THEN SELECT count(*) INTO n FROM t.leads_invoker;
            WHEN 'update' THEN UPDATE kvcrm.leads SET company = 'x' || clock_timestamp() WHERE name > ''; GET DIAGNOSTICS n = ROW_COUNT;
            WHEN 'activities' THEN SELECT count(*) INTO n FROM kvcrm.lead_stage_history;
            WHEN 'cursor each' THEN
                n := 0;
                DECLARE row record;
                BEGIN
                    FOR row IN SELECT 1 FROM kvcrm.leads LOOP n := n + 1; END LOOP;
                END;
        END CASE;
        result := result || n;
    END LOOP;
    PERFORM t.act(NULL);
    RETURN result;
END
$$;
SELECT is(t.counts(kind), '{5,1,1,0,0,5,1}', format('an API role keeps no former user''s view: %s (%s)', kind, mode))
  FROM unnest(ARRAY['auto', 'force_generic_plan', 'force_custom_plan']) AS mode,
       LATERAL (SELECT set_config('plan_cache_mode', mode, true) OFFSET 0) AS s (mode_set),
       unnest(ARRAY['static', 'expression', 'dynamic', 'sql', 'sql stable', 'sql inlined', 'plpgsql', 'view', 'activities', 'cursor each', 'update']) AS kind
 WHERE mode_set IS NOT NULL;

-- Prepared statements at the top level.
CREATE TABLE pg_temp.seen (n bigint);
SET LOCAL plan_cache_mode = force_generic_plan;
SELECT t.act('owner') \g /dev/null
EXECUTE count_leads \gset owner_
EXECUTE read_lead ('00000000-0000-0000-0000-000000000000') \g /dev/null
SELECT t.act('rep') \g /dev/null
EXECUTE count_leads \gset rep_
SELECT t.id('lead_mate') AS lead_mate \gset
EXECUTE read_lead (:'lead_mate') \gset read_
EXECUTE change_lead (:'lead_mate') \g /dev/null
SELECT t.act('stranger') \g /dev/null
EXECUTE count_leads \gset stranger_
SELECT t.act(NULL) \g /dev/null
EXECUTE count_leads \gset nobody_
SELECT is(ARRAY[:owner_count, :rep_count, :read_count, :stranger_count, :nobody_count], '{5,1,0,0,0}', 'PREPARE as one user, EXECUTE as another');
RESET ROLE;
SELECT is((SELECT name FROM kvcrm.leads WHERE id = t.id('lead_mate')), 'Lead_Mate', 'a prepared UPDATE does not reach what its maker saw');

-- A prepared statement survives neither a change of role.
SET LOCAL ROLE kvcrm_identity_bypass;
PREPARE as_bypass AS SELECT count(*) FROM kvcrm.leads;
EXECUTE as_bypass \gset bypass_
SET LOCAL ROLE :"api";
EXECUTE as_bypass \gset after_
RESET ROLE;
SELECT is(ARRAY[:bypass_count, :after_count], '{6,0}', 'PREPARE under a role that bypasses row-level security, EXECUTE under one that does not');

-- DO blocks run as one execution each.
SET LOCAL ROLE :"api";
DO $$
DECLARE
    n bigint;
BEGIN
    PERFORM t.act('owner');
    SELECT count(*) INTO n FROM kvcrm.leads;
    INSERT INTO pg_temp.seen VALUES (n);
    PERFORM t.act('rep');
    SELECT count(*) INTO n FROM kvcrm.leads;
    INSERT INTO pg_temp.seen VALUES (n);
END
$$;
DO $$
BEGIN
    INSERT INTO pg_temp.seen SELECT count(*) FROM kvcrm.leads;
    PERFORM t.act('stranger');
    INSERT INTO pg_temp.seen SELECT count(*) FROM kvcrm.leads;
END
$$;
SELECT is(array_agg(n), '{5,1,1,0}', 'DO blocks that change the user') FROM pg_temp.seen;
RESET ROLE;

-- Workers of a parallel query know the user as well.
SELECT t.act('rep') \g /dev/null
SET LOCAL ROLE :"api";
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
SELECT is(count(*), 1::bigint, 'a parallel scan sees what a serial one does') FROM kvcrm.leads;
SELECT is(count(*), 1::bigint, 'also of the stage history') FROM kvcrm.lead_stage_history;
RESET ROLE;

-- Identifiers.

CREATE TABLE t.ids AS SELECT n, kvcrm.uuid_v7() AS id FROM generate_series(1, 20000) AS n;
SELECT is((SELECT count(*) FROM t.ids WHERE id::text !~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'), 0::bigint,
          'uuid_v7() has version 7 and the variant of RFC 9562');
SELECT is((SELECT count(DISTINCT id) FROM t.ids), 20000::bigint, 'uuid_v7() never repeats');
SELECT is((SELECT count(*) FROM (SELECT id <= lag(id) OVER (ORDER BY n) AS falls FROM t.ids) AS s WHERE falls), 0::bigint,
          'uuid_v7() rises with every call of a session');
SELECT ok((SELECT abs(extract(epoch FROM clock_timestamp()) * 1000 - ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint) < 3600 * 1000
             FROM t.ids WHERE n = 20000), 'uuid_v7() begins with the time in milliseconds');
SELECT ok((SELECT count(DISTINCT right(id::text, 15)) = 20000 FROM t.ids), 'uuid_v7() ends with random bits');
SELECT is(t.try('stranger', 'SELECT kvcrm.uuid_v7()'), '1', 'anybody who got the API may ask for an id');

SELECT * FROM finish();
ROLLBACK;
