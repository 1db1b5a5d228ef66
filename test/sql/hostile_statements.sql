-- Hostile callers, by table: statements made up from the catalog against every table of the extension, by strangers,
-- members with few rights and the owner of another organization: reading with functions, operators, casts and
-- aggregates of one's own, whole rows, locks, subselects; INSERT, UPDATE, DELETE, MERGE and upserts of any column with
-- RETURNING. Nothing of others comes back, in rows or errors, and nothing of theirs changes.
--
-- SEED=0.123 repeats a run, CASES=50000 makes a long one.
\set default_cases 2500
\ir include/hostile.sql

CREATE TABLE test.tables (n int GENERATED ALWAYS AS IDENTITY (START 0 MINVALUE 0) PRIMARY KEY, oid oid, name text, readable boolean);
INSERT INTO test.tables (oid, name, readable)
SELECT c.oid, 'kvcrm.' || quote_ident(c.relname), has_table_privilege('kvcrm_test_client', c.oid, 'SELECT') FROM pg_class c
 WHERE c.relnamespace = 'kvcrm'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
   -- Most of what clients may read twice, the rest once.
 ORDER BY c.relname;
INSERT INTO test.tables (oid, name, readable) SELECT oid, name, readable FROM test.tables, generate_series(1, 3) WHERE readable;
SELECT is_empty($$ SELECT DISTINCT a.atttypid::regtype FROM test.tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped WHERE test.some_value(a.atttypid) IS NULL $$, 'there are values for the type of every column');
SELECT is_empty($$ SELECT name FROM test.tables t JOIN pg_class c USING (oid) WHERE NOT c.relrowsecurity $$, 'every table has row-level security');

CREATE FUNCTION test.some_column(relation oid) RETURNS pg_attribute VOLATILE LANGUAGE sql AS $$
    SELECT a FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped ORDER BY random() LIMIT 1
$$;
-- What clients may write: else nearly every INSERT and UPDATE would end at a column's privilege.
CREATE FUNCTION test.some_writable(relation oid, privilege text) RETURNS pg_attribute VOLATILE LANGUAGE sql AS $$
    SELECT a FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY has_column_privilege('kvcrm_test_client', relation, a.attnum, privilege) AND random() < 0.97 DESC, random() LIMIT 1
$$;
CREATE FUNCTION test.value_for(a pg_attribute) RETURNS text VOLATILE LANGUAGE sql AS $$
    SELECT CASE WHEN a.attname = 'organization_id' AND random() < 0.85 THEN quote_literal(test.id(test.any_of('a', 'a', 'b')))
                WHEN a.attname IN ('user_id', 'assigned_to', 'owner_user_id') AND random() < 0.7 THEN quote_literal(test.id(test.any_of('rep', 'other_rep', 'owner', 'owner_b', 'stranger', 'suspended', 'invited')))
                WHEN a.attname LIKE '%stage_id' AND random() < 0.7 THEN quote_literal(test.stage(test.any_of('a', 'a', 'b'), 1 + floor(random() * 5)::int))
                WHEN a.attname = 'role_slug' AND random() < 0.8 THEN quote_literal(test.any_of('owner', 'admin', 'sales_team', 'zsecretb'))
                WHEN a.attname = 'permissions' AND random() < 0.8 THEN quote_literal(test.any_of('{*:*}', '{leads:read_all}', '{leads:*,roles:*}', '{}'))
                WHEN a.attname = 'name' AND random() < 0.5 THEN quote_literal('N' || round(random() * 1e6))
                ELSE test.some_value(a.atttypid) END
$$;

-- A condition that tries to look at the rows it is asked about.
CREATE FUNCTION test.some_condition(relation oid) RETURNS text VOLATILE LANGUAGE plpgsql AS $$
DECLARE
    a pg_attribute := test.some_column(relation);
    c text := format('t.%I', a.attname);
BEGIN
    RETURN CASE floor(random() * 16)::int
        WHEN 0 THEN format('attack.peek(%s::text)', c)
        WHEN 1 THEN 'attack.peek(t::text)'
        WHEN 2 THEN format('%s::text OPERATOR(attack.===) ''x''', c)
        WHEN 3 THEN format('(%s::text)::numeric > 0', c)
        WHEN 4 THEN format('(%s::text)::uuid IS NOT NULL', c)
        WHEN 5 THEN format('1 / (CASE WHEN %s::text LIKE ''%%z_ecret%%'' THEN 0 ELSE 1 END) > 0', c)
        WHEN 6 THEN format('%s = %s', c, test.value_for(a))
        WHEN 7 THEN format('%s = %s', c, test.value_for(a))
        WHEN 8 THEN format('%s IN (SELECT s.%I FROM %s s WHERE attack.peek(s::text))', c, a.attname, relation::regclass)
        WHEN 9 THEN format('EXISTS (SELECT FROM %s s WHERE s = t AND attack.peek(s::text))', relation::regclass)
        WHEN 10 THEN format('to_jsonb(t) @? ''$.** ? (@ like_regex "z.ecret")''')
        WHEN 11 THEN format('pg_catalog.xml_is_well_formed(t::text) OR attack.peek(%s::text)', c)
        WHEN 12 THEN format('t IN (SELECT s FROM %s s)', relation::regclass)
        WHEN 13 THEN format('t.tableoid = %s AND attack.peek((t).%I::text)', relation, a.attname)
        WHEN 14 THEN format('%s::text ~ ''^z'' AND attack.peek(%s::text)', c, c)
        ELSE 'true' END;
END
$$;

CREATE FUNCTION test.some_statement(t test.tables) RETURNS text VOLATILE LANGUAGE plpgsql AS $$
DECLARE
    a pg_attribute := test.some_column(t.oid);
    names text := ''; items text := ''; sets text := '';
    target text[];
    condition text := test.some_condition(t.oid);
    other text := (SELECT o.name FROM test.tables o WHERE o.readable ORDER BY random() LIMIT 1);
    x float8 := random();
    tail text := test.any_of('', ' RETURNING t.*', ' RETURNING t::text', ' RETURNING attack.peek(t::text)', ' RETURNING (SELECT string_agg(s::text, '','') FROM ' || t.name || ' s)');
BEGIN
    IF x < 0.45 THEN
        RETURN CASE floor(random() * 14)::int
            WHEN 0 THEN format('SELECT t.* FROM %s t WHERE %s', t.name, condition)
            WHEN 1 THEN format('SELECT t::text, to_jsonb(t), row_to_json(t), t.ctid, t.xmin, t.tableoid FROM %s t WHERE %s', t.name, condition)
            WHEN 2 THEN format('SELECT attack.gather_all(t::text), count(*), max(t.%I::text), array_agg(t.%I ORDER BY t.%I) FROM %s t WHERE %s', a.attname, a.attname, a.attname, t.name, condition)
            WHEN 3 THEN format('SELECT t.%I, o.* FROM %s t LEFT JOIN %s o ON attack.peek(t::text || o::text) WHERE %s', a.attname, t.name, other, condition)
            WHEN 4 THEN format('SELECT t.* FROM %s t WHERE %s FOR %s', t.name, condition, test.any_of('UPDATE', 'SHARE', 'KEY SHARE', 'UPDATE SKIP LOCKED'))
            WHEN 5 THEN format('SELECT (json_populate_record(NULL::%s, ''{}'')).*, t.* FROM %s t ORDER BY t.%I LIMIT 3', t.name, t.name, a.attname)
            WHEN 6 THEN format('SELECT query_to_xml(%L, true, false, ''''), table_to_xml(%L, true, false, '''')', 'SELECT * FROM ' || t.name, t.name)
            WHEN 7 THEN 'SELECT schema_to_xml(''kvcrm'', true, false, '''')'
            WHEN 8 THEN format('SELECT * FROM pg_catalog.ts_stat(%L)', format('SELECT to_tsvector(t::text) FROM %s t', t.name))
            WHEN 9 THEN format('SELECT *, lag(t::text) OVER w, first_value(t::text) OVER w FROM %s t TABLESAMPLE SYSTEM (100) WHERE %s WINDOW w AS (ORDER BY t.%I)', t.name, condition, a.attname)
            WHEN 10 THEN format('WITH RECURSIVE r AS (SELECT t.%I FROM %s t WHERE %s UNION SELECT r.%I FROM r) SELECT * FROM r', a.attname, t.name, condition, a.attname)
            WHEN 11 THEN format('EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM %s t WHERE %s', t.name, condition)
            WHEN 12 THEN format('SELECT * FROM pg_stats WHERE schemaname = ''kvcrm'' AND tablename = %L', split_part(t.name, '.', 2))
            ELSE format('SELECT * FROM ONLY %s t, LATERAL (SELECT attack.peek(t::text)) p WHERE %s', t.name, condition) END;
    ELSIF x < 0.70 THEN
        FOR i IN 1..1 + floor(random() * 3)::int LOOP
            a := test.some_writable(t.oid, 'UPDATE');
            CONTINUE WHEN names LIKE '%|' || a.attname || '|%';
            names := names || '|' || a.attname || '|';
            sets := concat_ws(', ', nullif(sets, ''), format('%I = %s', a.attname, CASE WHEN random() < 0.08 THEN format('(SELECT max(s.%I::text) FROM %s s WHERE attack.peek(s::text))::%s', a.attname, t.name, a.atttypid::regtype) WHEN random() < 0.05 THEN 'DEFAULT' ELSE test.value_for(a) END));
        END LOOP;
        RETURN format('UPDATE %s AS t SET %s WHERE %s%s', t.name, sets, CASE WHEN random() < 0.5 THEN 't.id = ' || quote_literal(test.some_id()) || '::uuid' ELSE condition END, tail);
    ELSIF x < 0.95 THEN
        FOR i IN 1..2 + floor(random() * 6)::int LOOP
            a := test.some_writable(t.oid, 'INSERT');
            CONTINUE WHEN names LIKE '%|' || a.attname || '|%';
            names := names || '|' || a.attname || '|';
            target := target || quote_ident(a.attname);
            items := concat_ws(', ', nullif(items, ''), test.value_for(a));
            sets := concat_ws(', ', nullif(sets, ''), format('%I = excluded.%I', a.attname, a.attname));
        END LOOP;
        RETURN format('INSERT INTO %s AS t (%s) VALUES (%s)%s%s', t.name, array_to_string(target, ', '), items,
            test.any_of('', '', ' ON CONFLICT DO NOTHING', format(' ON CONFLICT (id, organization_id) DO UPDATE SET %s', sets), format(' ON CONFLICT (%s) DO UPDATE SET %s WHERE attack.peek(t::text)',
                coalesce((SELECT string_agg(quote_ident(k.attname), ', ') FROM (SELECT i.indexrelid, i.indkey FROM pg_index i WHERE i.indrelid = t.oid AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL ORDER BY random() LIMIT 1) i
                    JOIN pg_attribute k ON k.attrelid = t.oid AND k.attnum = ANY (i.indkey)), 'id'), sets)), tail);
    ELSE
        RETURN CASE floor(random() * 5)::int
            WHEN 0 THEN format('DELETE FROM %s AS t WHERE %s%s', t.name, condition, tail)
            WHEN 1 THEN format('TRUNCATE %s CASCADE', t.name)
            WHEN 2 THEN format('MERGE INTO %s AS t USING (SELECT %L::uuid AS id) s ON t.id = s.id WHEN MATCHED AND attack.peek(t::text) THEN UPDATE SET %I = %s WHEN NOT MATCHED THEN INSERT (%I) VALUES (%s)', t.name, test.some_id(),
                (test.some_writable(t.oid, 'UPDATE')).attname, 'DEFAULT', a.attname, test.value_for(a))
            WHEN 3 THEN format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', t.name)
            ELSE format('CREATE TEMP TABLE x ON COMMIT DROP AS SELECT t.* FROM %s t; SELECT attack.gather_all(x::text) FROM pg_temp.x; DROP TABLE pg_temp.x', t.name) END;
    END IF;
END
$$;

-- Where an owner is at work too, a rep may be given anything of their own organization.
CREATE PROCEDURE test.run(first int, last int, total int, among_themselves boolean DEFAULT false) LANGUAGE plpgsql AS $$
DECLARE
    who text;
    f test.tables;
    tables int := (SELECT count(*) FROM test.tables);
    chosen int;
BEGIN
    FOR i IN first..last LOOP
        who := CASE WHEN i <= total * 0.2 THEN test.any_of('stranger', 'nobody', 'suspended') WHEN i <= total * 0.6 THEN test.any_of('rep', 'rep', 'invited') ELSE test.any_of('owner', 'manager', 'admin', 'rep') END;
        chosen := floor(random() * tables);
        SELECT * INTO f FROM test.tables t WHERE t.n = chosen;
        PERFORM test.attack(i, who, test.some_statement(f), CASE WHEN among_themselves THEN 'zSecretB' ELSE 'zSecret' END,
            CASE WHEN among_themselves THEN '{b}' WHEN f.name IN ('kvcrm.leads', 'kvcrm.lead_activities', 'kvcrm.lead_stage_history') THEN '{a,b}' ELSE '{b}'::text[] END, keep => random() < 0.8,
            settings => test.any_of('', '', '', '', '', 'SET LOCAL search_path = attack, pg_temp, kvcrm, pg_catalog, public', 'SET LOCAL row_security = off', 'SET LOCAL check_function_bodies = off; SELECT set_config(''search_path'', '''', true)',
                'SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off', 'SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_nestloop = off', 'SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL cursor_tuple_fraction = 0.0001'));
        IF i % 50 = 0 THEN COMMIT; END IF;
    END LOOP;
END
$$;
SELECT setseed(:'seed'::float8) IS NULL;
SET client_min_messages = error;
SELECT (:cases * 0.2)::int AS outsiders, (:cases * 0.6)::int AS reps \gset
CALL test.run(1, :outsiders, :cases);
-- A suspended and an invited member have a row, of which they may change what is shown of them.
SELECT is(regexp_replace(test.state('a'), 'organization_members [^\n]*|activity_logs [^\n]*', '', 'g'), regexp_replace(a, 'organization_members [^\n]*|activity_logs [^\n]*', '', 'g'), 'outsiders have changed nothing in an organization, seed ' || :'seed') FROM test.beginning;
CALL test.run(:outsiders + 1, :reps, :cases);
SELECT is(test.state('a', true), hidden, 'a rep has changed nothing of others, seed ' || :'seed') FROM test.beginning;
SELECT is(role_slug || ' ' || status, 'sales_team active', 'and is who they were') FROM kvcrm.organization_members WHERE user_id = test.id('rep') AND organization_id = test.id('a');
SELECT is(role_slug, 'sales_team', 'as is a suspended member') FROM kvcrm.organization_members WHERE user_id = test.id('suspended') AND organization_id = test.id('a');
CALL test.run(:reps + 1, :cases, :cases, true);
SELECT is(test.state('b'), b, 'nobody has changed anything in another organization, seed ' || :'seed') FROM test.beginning;
RESET client_min_messages;

SELECT is_empty($$ SELECT n, who, found, code, left(statement, 300) FROM test.cases WHERE found IS NOT NULL $$, 'nothing that a caller may not see came back, seed ' || :'seed');
SELECT is_empty($$ SELECT * FROM test.broken WHERE code NOT LIKE '0A%' $$, 'every error is clear, seed ' || :'seed');
SELECT is_empty($$ SELECT n, code, message, left(statement, 300) FROM test.cases WHERE code = '42P17' OR code LIKE '42601' $$, 'no policy recurses, and the statements are well-formed');
SELECT is((SELECT count(*) FROM test.cases), :cases::bigint, 'all cases ran');
SELECT cmp_ok((SELECT count(*) FROM test.cases WHERE code IS NULL), '>', (:cases * 0.2)::bigint, 'and many succeeded');
SELECT is(test.started(), at, 'the server never went away') FROM test.beginning;
SELECT diag(count(*) || ' cases, ' || count(*) FILTER (WHERE code IS NULL) || ' succeeded, others: ' || (SELECT string_agg(code || ' ' || c, ', ' ORDER BY c DESC) FROM (SELECT code, count(*) AS c FROM test.cases WHERE code IS NOT NULL GROUP BY code) AS s)) FROM test.cases;
SELECT * FROM finish();
