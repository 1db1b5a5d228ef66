-- Hostile callers, by function: every function of the API, from the catalog, called thousands of times by strangers,
-- by members with few rights and by the owner of another organization, with values that no form sends. Nothing of
-- other organizations, nor of colleagues, comes back in rows or errors; nothing of theirs changes; every error is clear.
--
-- SEED=0.123 repeats a run, CASES=50000 makes a long one.
\set default_cases 2500
\ir include/hostile.sql

CREATE TABLE test.functions (n int GENERATED ALWAYS AS IDENTITY (START 0 MINVALUE 0) PRIMARY KEY, oid oid, name text, required int, writes boolean);
INSERT INTO test.functions (oid, name, required, writes)
SELECT p.oid, p.proname, p.pronargs - p.pronargdefaults, p.provolatile = 'v' FROM pg_proc p
 WHERE p.pronamespace = 'kvcrm'::regnamespace AND has_function_privilege('kvcrm_test_client', p.oid, 'EXECUTE') ORDER BY p.proname;
SELECT is_empty($$ SELECT DISTINCT t::regtype FROM test.functions f JOIN pg_proc p ON p.oid = f.oid, unnest(p.proargtypes) AS t WHERE test.some_value(t) IS NULL $$, 'there are values for the type of every argument');

-- A value that a call may well succeed with, by the name of the argument.
CREATE FUNCTION test.fitting(argument text, type regtype) RETURNS text VOLATILE LANGUAGE plpgsql AS $$
DECLARE
    own text := quote_literal(test.id('own' || 1 + floor(random() * 5)::int));
    hidden text := quote_literal((SELECT i.id FROM test.ids i, (SELECT 1 + floor(random() * 2)::int AS n OFFSET 0) r WHERE i.name = 'zSecretA' || r.n));
    foreign_one text := quote_literal((SELECT i.id FROM test.ids i, (SELECT 1 + floor(random() * 2)::int AS n OFFSET 0) r WHERE i.name = 'zSecretB' || r.n));
    lead text := test.any_of(own, own, own, hidden, foreign_one);
    person text := quote_literal(test.id(test.any_of('rep', 'rep', 'other_rep', 'manager', 'owner', 'suspended', 'invited', 'stranger', 'rep_b')));
BEGIN
    RETURN CASE
        WHEN argument = 'organization_id' THEN test.any_of('NULL', 'NULL', quote_literal(test.id('a')), quote_literal(test.id('b'))) || '::uuid'
        WHEN argument = 'converted' OR random() < 0.05 AND argument = 'lead_id' THEN quote_literal(test.id('converted')) || '::uuid'
        WHEN type = 'uuid'::regtype AND (argument LIKE '%lead_id' OR argument = 'survivor_id') THEN lead || '::uuid'
        WHEN argument LIKE '%stage_id' OR argument = 'move_leads_to' THEN quote_nullable(test.stage(test.any_of('a', 'a', 'a', 'b'), 1 + floor(random() * 5)::int)) || '::uuid'
        WHEN argument = 'activity_id' THEN quote_nullable((SELECT id FROM kvcrm.lead_activities WHERE id NOT IN (SELECT id FROM test.secret_ids) ORDER BY random() LIMIT 1)) || '::uuid'
        WHEN argument = 'quote_id' THEN quote_nullable((SELECT id FROM kvcrm.quotes WHERE id NOT IN (SELECT id FROM test.secret_ids) ORDER BY random() LIMIT 1)) || '::uuid'
        WHEN argument = 'customer_id' THEN quote_nullable((SELECT id FROM kvcrm.customers WHERE id NOT IN (SELECT id FROM test.secret_ids) ORDER BY random() LIMIT 1)) || '::uuid'
        WHEN argument = 'merge_id' THEN quote_nullable((SELECT id FROM kvcrm.lead_merges WHERE id NOT IN (SELECT id FROM test.secret_ids) ORDER BY random() LIMIT 1)) || '::uuid'
        WHEN type = 'uuid[]'::regtype THEN format('ARRAY[%s, %s]::uuid[]', quote_literal(test.id('own' || 1 + floor(random() * 5)::int)), lead)
        WHEN type = 'uuid'::regtype AND argument ~ 'user|assign|owner' THEN person || '::uuid'
        WHEN argument = 'role_slug' THEN quote_literal(test.any_of('owner', 'admin', 'sales_manager', 'sales_team'))
        WHEN argument = 'on_duplicate' THEN quote_literal(test.any_of('allow', 'warn', 'block', 'skip', 'update'))
        WHEN argument = 'on_match' THEN quote_literal(test.any_of('link', 'create', 'error'))
        WHEN argument = 'permission' THEN quote_literal(test.any_of('leads:read_all', 'leads:read_own', 'leads:read_team', 'member'))
        WHEN argument = 'type' THEN quote_literal(test.any_of('call', 'task', 'note'))
        WHEN argument = 'sort' THEN quote_literal(test.any_of('newest', 'oldest', 'updated', 'name', 'score', 'value', 'rank'))
        WHEN argument = 'query' THEN quote_literal(test.any_of('zsecret', 'secretb', 'own', 'company', 'лид', 'a', 'example'))
        WHEN argument = 'inn' THEN quote_literal('7707083893')
        WHEN argument = 'email' THEN quote_literal(test.any_of('zsecreta1@a.example', 'zsecretb1@b.example', 'new@a.example'))
        WHEN argument = 'phone' THEN quote_literal(test.any_of('+79125551098', '+79125551099', '8 912 555-10-98'))
        WHEN argument IN ('name', 'title', 'display_name', 'lost_reason') THEN quote_literal('Name')
        WHEN argument = 'status' THEN quote_literal(test.any_of('new', 'contacted', 'converted'))
        WHEN argument IN ('currency') THEN quote_literal('RUB')
        WHEN argument = 'locale' THEN quote_literal('en')
        WHEN argument = 'default_country' THEN quote_literal('RU')
        WHEN argument IN ('page_size', 'cards_per_stage', 'max_results', 'batch') THEN '20'
        WHEN argument = 'expected_version' THEN '1'
        WHEN type IN ('float8'::regtype) THEN '0.01'
        WHEN type = 'numeric'::regtype THEN '10.5'
        WHEN type = 'timestamptz'::regtype THEN 'now()'
        WHEN argument = 'candidate' THEN quote_literal(jsonb_build_object('name', 'ZSECRETB LEAD 1', 'email', test.any_of('zsecreta1@a.example', 'zsecretb1@b.example'), 'phone', '+79125551098')) || '::jsonb'
        WHEN argument = 'rows' THEN quote_literal(jsonb_build_array(jsonb_build_object('name', 'New', 'email', test.any_of('zsecreta1@a.example', 'own1@a.example')), jsonb_build_object('name', ''), '7', jsonb_build_object('name', 'x', 'email', '@', 'phone', '+79125551098'))) || '::jsonb'
        WHEN argument = 'csv' THEN quote_literal(E'name,email\nNew,zsecreta1@a.example\nOther,own1@a.example\n')
        WHEN type = 'jsonb'::regtype THEN '''{}''::jsonb'
        WHEN argument = 'include' THEN quote_literal('{converted,merged,deleted}') || '::text[]'
        WHEN type IN ('text'::regtype) AND random() < 0.5 THEN 'NULL::text'
        ELSE test.some_value(type) END;
END
$$;

-- A call with some of its arguments, by name.
CREATE FUNCTION test.some_call(function oid) RETURNS text VOLATILE LANGUAGE plpgsql AS $$
DECLARE
    f pg_proc := (SELECT p FROM pg_proc p WHERE p.oid = function);
    arguments text := '';
    value text;
    generous float8 := random();
    sense float8 := sqrt(random());
BEGIN
    FOR i IN 1..f.pronargs LOOP
        CONTINUE WHEN i > f.pronargs - f.pronargdefaults AND random() < generous;
        value := CASE WHEN random() < sense THEN test.fitting(f.proargnames[i], f.proargtypes[i - 1]) ELSE test.some_value(f.proargtypes[i - 1]) END;
        arguments := concat_ws(', ', nullif(arguments, ''), format('%I => %s', f.proargnames[i], value));
    END LOOP;
    RETURN CASE WHEN random() < 0.15 THEN format('SELECT (kvcrm.%I(%s))::text', f.proname, arguments)
                WHEN random() < 0.05 THEN format('SELECT x::text, count(*) OVER (), lag(x::text) OVER () FROM (VALUES (1), (2)) AS v (i), LATERAL kvcrm.%I(%s) AS x', f.proname, arguments)
                ELSE format('SELECT * FROM kvcrm.%I(%s)', f.proname, arguments) END;
END
$$;

-- Outsiders leave no trace in either organization; a rep none in other people's rows; an owner none in the other one.
CREATE FUNCTION test.who_of(n int, total int) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN n <= total * 0.3 THEN test.any_of('stranger', 'nobody', 'suspended')
                WHEN n <= total * 0.75 THEN test.any_of('rep', 'rep', 'rep', 'invited')
                ELSE test.any_of('owner', 'manager', 'admin', 'owner', 'rep') END
$$;
-- Where an owner is at work too, a rep may be given anything of their own organization.
CREATE PROCEDURE test.run(first int, last int, total int, among_themselves boolean DEFAULT false) LANGUAGE plpgsql AS $$
DECLARE
    who text;
    f test.functions;
    functions int := (SELECT count(*) FROM test.functions);
    chosen int;
BEGIN
    FOR i IN first..last LOOP
        who := test.who_of(i, total);
        chosen := floor(random() * functions);
        SELECT * INTO f FROM test.functions t WHERE t.n = chosen;
        PERFORM test.attack(i, who, test.some_call(f.oid), CASE WHEN among_themselves THEN 'zSecretB' ELSE 'zSecret' END,
            CASE WHEN among_themselves THEN '{b}' ELSE '{a,b}'::text[] END, keep => random() < 0.8,
            settings => test.any_of('', '', '', 'SET LOCAL transaction_read_only = on', 'SET LOCAL search_path = attack, pg_temp, kvcrm, pg_catalog, public', 'SET LOCAL timezone = ''Pacific/Kiritimati''; SET LOCAL datestyle = ''SQL, DMY''; SET LOCAL intervalstyle = ''sql_standard''; SET LOCAL extra_float_digits = -15',
                'SET LOCAL row_security = off; SET LOCAL check_function_bodies = off; SELECT set_config(''search_path'', '''', true)', 'SET LOCAL bytea_output = ''escape''; SET LOCAL standard_conforming_strings = off; SET LOCAL transform_null_equals = on; SET LOCAL array_nulls = off',
                'SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_generic_plan', 'SET LOCAL work_mem = ''64kB''; SET LOCAL lc_numeric = ''C''', 'SET LOCAL kvcrm.organization_id = ''00000000-0000-4000-8000-000000000002''', 'SET LOCAL kvcrm.user_id = ''00000000-0000-4000-8000-000000000009'''));
        IF i % 50 = 0 THEN COMMIT; END IF;
    END LOOP;
END
$$;
SELECT setseed(:'seed'::float8) IS NULL;
SET client_min_messages = error;
SELECT (:cases * 0.3)::int AS outsiders, (:cases * 0.75)::int AS reps \gset
CALL test.run(1, :outsiders, :cases);
SELECT is(test.state('a'), a, 'outsiders have changed nothing in an organization, seed ' || :'seed') FROM test.beginning;
CALL test.run(:outsiders + 1, :reps, :cases);
SELECT is(test.state('a', true), hidden, 'a rep has changed nothing of others, seed ' || :'seed') FROM test.beginning;
CALL test.run(:reps + 1, :cases, :cases, true);
SELECT is(test.state('b'), b, 'nobody has changed anything in another organization, seed ' || :'seed') FROM test.beginning;
RESET client_min_messages;

-- What an export was given comes back: leads_export_query answers with a statement, in which the ids stand, and the log of
-- exports, which the feed reads, keeps the filters.
SELECT is_empty($$ SELECT n, who, found, code, left(statement, 300) FROM test.cases c WHERE found IS NOT NULL
                      AND NOT (found LIKE 'id: %' AND CASE WHEN statement LIKE '%kvcrm.leads\_export\_query(%' THEN strpos(statement, substr(found, 5)) > 0
                               ELSE EXISTS (SELECT FROM test.cases e WHERE e.n < c.n AND e.code IS NULL AND e.statement LIKE '%kvcrm.leads\_export%' AND strpos(e.statement, substr(c.found, 5)) > 0) END) $$, 'nothing that a caller may not see came back, seed ' || :'seed');
SELECT is_empty($$ SELECT * FROM test.broken $$, 'every error is one of the contract, seed ' || :'seed');
SELECT is((SELECT count(*) FROM test.cases), :cases::bigint, 'all cases ran');
SELECT cmp_ok((SELECT count(*) FROM test.cases WHERE code IS NULL), '>', (:cases * 0.1)::bigint, 'and many succeeded');
SELECT is(test.started(), at, 'the server never went away') FROM test.beginning;
SELECT diag(count(*) || ' cases, ' || count(*) FILTER (WHERE code IS NULL) || ' succeeded, others: ' || (SELECT string_agg(code || ' ' || c, ', ' ORDER BY c DESC) FROM (SELECT code, count(*) AS c FROM test.cases WHERE code IS NOT NULL GROUP BY code) AS s)) FROM test.cases;
SELECT * FROM finish();
