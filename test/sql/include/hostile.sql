-- What the suites on hostile callers share: secrets in rows that a caller must not see, values that no form sends, and
-- a runner that looks for the secrets in whatever comes back. \ir this at the top of a suite. It takes the variables
-- SEED (else random) and CASES (else what the suite says) of the environment, and leaves them in :seed and :cases.
--
-- Every text of organization b, its people's names included, bears a word that begins with zSecretB; what the rep of
-- organization a must not see of their own organization, one that begins with zSecretA.
\ir two_organizations.sql

\ir seed.sql
\getenv cases CASES
\if :{?cases}
\else
\set cases :default_cases
\endif

INSERT INTO test.ids SELECT name, ('00000000-0000-4000-8000-' || lpad((100 + n)::text, 12, '0'))::uuid
  FROM unnest(ARRAY['invited', 'nobody', 'manager_b']) WITH ORDINALITY AS t (name, n);
DELETE FROM test.ids WHERE name = 'nobody';
INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, status)
VALUES (test.id('a'), test.id('invited'), 'sales_team', 'invited');
SELECT kvcrm.add_member(test.id('manager_b'), 'sales_manager', 'zSecretB manager', 'zsecretb@b.example', organization_id => test.id('b')) IS NOT NULL;

-- Rows of both organizations in every table that functions write.
CREATE FUNCTION test.furnish(org text, secret text, who uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    o uuid := test.id(org);
    l uuid; c uuid; other uuid;
BEGIN
    FOR i IN 1..4 LOOP
        SELECT id INTO l FROM kvcrm.create_lead(secret || ' lead ' || i, lower(secret) || i || '@' || org || '.example', '+7912555' || (1000 + i + ascii(org)),
            secret || ' company ' || i, secret || ' chief', NULL, NULL, NULL, who, i * 1234.56, NULL, jsonb_build_object('note', secret || ' field'), 'allow', o);
        PERFORM test.keep(secret || i, l);
        PERFORM kvcrm.log_activity(l, 'task', secret || ' task', secret || ' description', now(), who, organization_id => o);
        PERFORM kvcrm.create_lead(secret || ' lead ' || i, lower(secret) || i || 'x@' || org || '.example', NULL, secret || ' company ' || i, assigned_to => who, on_duplicate => 'allow', organization_id => o);
    END LOOP;
    SELECT id INTO other FROM kvcrm.create_lead(secret || ' lead 4', NULL, NULL, secret || ' company', assigned_to => who, on_duplicate => 'allow', organization_id => o);
    PERFORM kvcrm.merge_leads(l, ARRAY[other], NULL, o);
    PERFORM kvcrm.scan_duplicates(NULL, o);
    PERFORM kvcrm.move_lead(l, test.stage(org, 2), organization_id => o);
    IF org = 'b' THEN
        SELECT id INTO c FROM kvcrm.qualify_lead(test.id(secret || 3), organization_id => o);
        PERFORM test.keep('customer_' || org, c);
        PERFORM kvcrm.create_quote_from_lead(test.id(secret || 2), secret || ' quote', 100, number => secret || '-1', organization_id => o);
        INSERT INTO kvcrm.teams (organization_id, name) VALUES (o, secret || ' team');
        INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (o, 'zsecretb', secret || ' role', '{leads:read_all}');
        INSERT INTO kvcrm.lead_sources (organization_id, slug, name) VALUES (o, 'zsecretb', secret || ' source');
        INSERT INTO kvcrm.lead_stages (organization_id, name, description) VALUES (o, secret || ' stage', secret || ' text');
        INSERT INTO kvcrm.custom_field_definitions (organization_id, entity, key, name, type) VALUES (o, 'quote', 'zsecretb', secret || ' field', 'text');
        UPDATE kvcrm.organizations SET name = secret || ' organization' WHERE id = o;
        UPDATE kvcrm.organization_members SET display_name = secret || ' member' WHERE organization_id = o;
    END IF;
END
$$;
SET client_min_messages = error;
SELECT test.furnish('b', 'zSecretB', test.id('rep_b'));
SELECT test.furnish('a', 'zSecretA', test.id('other_rep'));
RESET client_min_messages;
-- Something of the rep's own.
SELECT test.keep('own' || i, (kvcrm.create_lead('Own ' || i, 'own' || i || '@a.example', assigned_to => test.id('rep'), on_duplicate => 'allow', organization_id => test.id('a'))).id)
  FROM generate_series(1, 6) AS i;
SELECT test.keep('task' || i, (kvcrm.log_activity(test.id('own' || i), 'task', 'Mine', assigned_to => test.id('rep'), organization_id => test.id('a'))).id) FROM generate_series(1, 3) AS i;
SELECT test.keep('quote', (kvcrm.create_quote_from_lead(test.id('own6'), 'Q', 1, organization_id => test.id('a'))).id);
SELECT test.keep('converted', test.id('own6'));
SELECT test.keep('customer', converted_to_customer_id) FROM kvcrm.leads WHERE id = test.id('own6');

-- Ids of rows that nobody of a may learn, and those that the rep may not.
CREATE TABLE test.secret_ids (id uuid PRIMARY KEY, org text NOT NULL);
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT c.relname FROM pg_class c JOIN pg_attribute x ON x.attrelid = c.oid AND x.attname = 'organization_id'
                 WHERE c.relnamespace = 'kvcrm'::regnamespace AND c.relkind = 'r'
                   AND EXISTS (SELECT FROM pg_attribute i WHERE i.attrelid = c.oid AND i.attname = 'id') LOOP
        EXECUTE format('INSERT INTO test.secret_ids SELECT id, ''b'' FROM kvcrm.%I WHERE organization_id = test.id(''b'') ON CONFLICT DO NOTHING', name);
    END LOOP;
    INSERT INTO test.secret_ids SELECT id, 'a' FROM kvcrm.leads WHERE organization_id = test.id('a') AND assigned_to = test.id('other_rep');
    INSERT INTO test.secret_ids SELECT id, 'a' FROM kvcrm.lead_activities WHERE organization_id = test.id('a') AND assigned_to = test.id('other_rep');
END
$$;

-- Everything of one organization, in one number; of a: what the rep may not write.
CREATE FUNCTION test.state(org text, hidden boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    name text; key text; line text;
    answer text := '';
BEGIN
    FOR name, key IN SELECT c.relname, CASE c.relname WHEN 'organizations' THEN 'id' ELSE 'organization_id' END FROM pg_class c
                      WHERE c.relnamespace = 'kvcrm'::regnamespace AND c.relkind = 'r'
                        AND (c.relname = 'organizations' OR EXISTS (SELECT FROM pg_attribute x WHERE x.attrelid = c.oid AND x.attname = 'organization_id'))
                      ORDER BY c.relname LOOP
        IF hidden THEN
            CONTINUE WHEN name NOT IN ('leads', 'lead_activities', 'roles', 'lead_merges');
            EXECUTE format('SELECT concat_ws('' '', %L, count(*), sum(hashtext(t::text))) FROM kvcrm.%I t WHERE organization_id = test.id(%L)%s', name, name, org,
                CASE WHEN name IN ('leads', 'lead_activities') THEN ' AND id IN (SELECT id FROM test.secret_ids)' ELSE '' END) INTO line;
        ELSE
            EXECUTE format('SELECT concat_ws('' '', %L, count(*), sum(hashtext(t::text))) FROM kvcrm.%I t WHERE %I = test.id(%L)', name, name, key, org) INTO line;
        END IF;
        answer := answer || line || E'\n';
    END LOOP;
    RETURN answer;
END
$$;

-- --- values ---

-- One of them, by chance.
CREATE FUNCTION test.any_of(VARIADIC choices text[]) RETURNS text VOLATILE LANGUAGE sql AS $$ SELECT choices[1 + floor(random() * cardinality(choices))::int] $$;

-- An id as SQL: of anything, known and unknown.
CREATE TABLE test.pool (n int GENERATED BY DEFAULT AS IDENTITY (START 0 MINVALUE -100000) PRIMARY KEY, id uuid NOT NULL);
INSERT INTO test.pool (id) SELECT id FROM test.ids WHERE name NOT IN ('unknown') AND name !~ '^zSecret[AB][34]$' ORDER BY name COLLATE "C";
INSERT INTO test.pool (id) SELECT test.stage(o, i) FROM unnest(ARRAY['a', 'b']) AS o, generate_series(1, 5) AS i;
INSERT INTO test.pool (id) SELECT id FROM test.secret_ids ORDER BY id;
INSERT INTO test.pool (id) SELECT id FROM kvcrm.duplicate_pairs UNION ALL SELECT id FROM kvcrm.lead_merges UNION ALL SELECT id FROM kvcrm.quotes UNION ALL SELECT id FROM kvcrm.customers ORDER BY id;
INSERT INTO test.pool (id) VALUES ('00000000-0000-0000-0000-000000000000'), ('ffffffff-ffff-ffff-ffff-ffffffffffff');
-- Callers may know and name any id, keep it in rows of their own and read it there. Those that none of them names are looked for.
DELETE FROM test.pool WHERE id IN (SELECT id FROM test.secret_ids WHERE hashtext(id::text) % 2 = 0);
DELETE FROM test.ids WHERE name ~ '^zSecret[AB][34]$';
WITH numbered AS (SELECT n, row_number() OVER (ORDER BY n) - 1 AS place FROM test.pool) UPDATE test.pool p SET n = -1 - place FROM numbered WHERE numbered.n = p.n;
UPDATE test.pool SET n = -1 - n;
DELETE FROM test.secret_ids WHERE id IN (SELECT id FROM test.pool UNION ALL SELECT id FROM test.ids);
CREATE FUNCTION test.some_id() RETURNS uuid VOLATILE LANGUAGE plpgsql AS $$
DECLARE
    x float8 := random();
BEGIN
    IF x < 0.35 THEN RETURN test.id('own' || 1 + floor(random() * 6)::int); END IF;
    IF x < 0.40 THEN RETURN md5(random()::text)::uuid; END IF;
    RETURN (SELECT p.id FROM test.pool p, (SELECT floor(random() * (SELECT count(*) FROM test.pool))::int AS n OFFSET 0) r WHERE p.n = r.n);
END
$$;

CREATE TABLE test.texts (n int GENERATED ALWAYS AS IDENTITY (START 0 MINVALUE 0) PRIMARY KEY, value text NOT NULL);
INSERT INTO test.texts (value) VALUES
    (''), (' '), ('x'), ('%'), ('_'), ('\'), (''''), ('"'), ($t$'; DROP TABLE kvcrm.leads; --$t$), ($t$') OR true; SELECT pg_sleep(1); --$t$), ('%s%n%1$s'), ('{}'), ('{"a": 1}'), ('[]'), ('null'), ('0'), ('-1'), ('1e400'), ('NaN'), ('true'),
    (U&'\FFFF'), (U&'\FFFE\FDD0'), (U&'\+10FFFF'), (U&'\202E\2066x'), (U&'\FEFFx'), (U&'\200B\200C\200D'), (U&'\00A0'), ('ﷺ'), ('İıſK'), (repeat(U&'a\0301', 200)), (repeat(U&'\0301', 3000)), ('👩‍👩‍👧‍👦🇷🇺'), (E'\x01\x02\x1b[31m\x7f'), (E'a\r\nb\tc'),
    (repeat('x', 256)), (repeat('ж', 20001)), (repeat('a ', 40000)), (repeat('''', 5000)), (repeat('@', 1000)), (repeat('1', 5000)), (repeat('(', 3000)), (repeat('А-', 3000)), (repeat('a', 300) || '@' || repeat('b.', 300) || 'ru'),
    ('boss@b.example'), ('zsecretb1@b.example'), ('zsecreta1@a.example'), ('zsecretb1+tag@b.example'), ('own1@a.example'), ('+79125551099'), ('+79125551098'), ('8 (912) 555-10-98'), ('7707083893'), ('500100732259'), ('a.example'), ('@b.example'), ('Own 1'), ('own'), ('zsecret'), ('company'),
    ('allow'), ('warn'), ('block'), ('skip'), ('update'), ('link'), ('create'), ('error'), ('newest'), ('oldest'), ('updated'), ('name'), ('score'), ('value'), ('rank'), ('call'), ('meeting'), ('email'), ('task'), ('note'), ('lead'), ('customer'), ('quote'),
    ('open'), ('won'), ('lost'), ('new'), ('contacted'), ('qualified'), ('converted'), ('active'), ('invited'), ('suspended'), ('owner'), ('admin'), ('sales_manager'), ('sales_team'), ('zsecretb'), ('leads:read_all'), ('*:*'), ('leads:*'), ('member'), ('x:y'),
    ('ru'), ('en'), ('RU'), ('RUB'), ('XXX'), ('website'), ('referral'), ('inbound_email'), ('draft'), ('sent'), ('accepted'), ('leads'), ('custom_fields.note'), ('id'), ('organization_id'), ('pg_temp'), ('kvcrm.leads'), ('UTF8'), ('WIN1251'), ('LATIN1'),
    (E'name,email\nA,a@x.ru\n"B ""q""","b@x.ru"\n'), (E'name;email\n"open\nquote'), (E'name\tphone\n=cmd\t+7912\n'), (E'\ufeffИмя;Почта\r\nЖ;ж@x.ru\r\n'), ('name' || repeat(',', 2000)), (repeat('"', 999)), (repeat(E'x\n', 3000)), (E'name\n' || repeat('y', 70000));
CREATE FUNCTION test.some_text() RETURNS text VOLATILE LANGUAGE plpgsql AS $$
DECLARE
    x float8 := random();
BEGIN
    IF x < 0.004 THEN RETURN 'repeat(''ж'', 1000000)'; END IF;
    IF x < 0.05 THEN RETURN quote_literal(test.some_id()) || '::text'; END IF;
    IF x < 0.12 THEN RETURN quote_literal((SELECT coalesce(string_agg(chr(CASE WHEN random() < 0.5 THEN 1 + floor(random() * 126)::int ELSE 128 + floor(random() * 54000)::int END), ''), '') FROM generate_series(1, floor(random() * 40)::int))) || '::text'; END IF;
    RETURN (SELECT quote_literal(t.value) FROM test.texts t, (SELECT floor(random() * (SELECT count(*) FROM test.texts))::int AS n OFFSET 0) r WHERE t.n = r.n) || '::text';
END
$$;

-- JSON of any shape, with the keys that functions look for.
CREATE FUNCTION test.some_json(depth int DEFAULT 0) RETURNS jsonb VOLATILE LANGUAGE plpgsql AS $$
DECLARE
    x float8 := random();
    n int := floor(random() * 5)::int;
BEGIN
    IF depth > 3 OR x < 0.45 AND depth > 0 THEN
        RETURN CASE floor(random() * 9)::int
            WHEN 0 THEN 'null' WHEN 1 THEN 'true' WHEN 2 THEN '-1' WHEN 3 THEN '1e300' WHEN 4 THEN to_jsonb(test.some_id()) WHEN 5 THEN '{}' WHEN 6 THEN '[]' WHEN 7 THEN '12345678901234567890.123'
            ELSE to_jsonb((SELECT t.value FROM test.texts t, (SELECT floor(random() * (SELECT count(*) FROM test.texts))::int AS n OFFSET 0) r WHERE t.n = r.n)) END;
    END IF;
    IF x < 0.55 THEN RETURN coalesce((SELECT jsonb_agg(test.some_json(depth + 1)) FROM generate_series(1, n)), '[]'); END IF;
    RETURN coalesce((SELECT jsonb_object_agg(test.any_of('name', 'email', 'phone', 'company', 'position', 'inn', 'source', 'stage_id', 'status', 'assigned_to', 'estimated_value', 'currency', 'custom_fields', 'id', 'organization_id', 'version',
        'score', 'deleted_at', 'merged_into_id', 'created_at', 'board_rank', 'created_by', 'note', '', 'x', 'delimiter', 'encoding', 'columns', 'NAME', 'lead_id', U&'\202E', '__proto__', 'job_title', 'lost_reason'), test.some_json(depth + 1)) FROM generate_series(1, n + 1)), '{}');
END
$$;

-- A value of a type as SQL. Null for a type that nobody has taught it.
CREATE FUNCTION test.some_value(type regtype) RETURNS text VOLATILE LANGUAGE plpgsql AS $$
DECLARE
    element regtype := (SELECT t.typelem FROM pg_type t WHERE t.oid = some_value.type AND t.typcategory = 'A');
    item text;
BEGIN
    item := CASE
        WHEN random() < 0.06 THEN 'NULL'
        WHEN element IS NOT NULL AND element <> 0 THEN
            test.any_of('NULL', '''{}''', '''{NULL}''', 'array_fill(' || test.some_value(element) || '::' || element || ', ARRAY[2, 2])', 'array_fill(' || test.some_value(element) || '::' || element || ', ARRAY[2], ARRAY[-7])', 'array_fill(' || test.some_value(element) || '::' || element || ', ARRAY[300])',
                'ARRAY[' || test.some_value(element) || ']', 'ARRAY[' || test.some_value(element) || ', ' || test.some_value(element) || ']', 'ARRAY[' || test.some_value(element) || ', ' || test.some_value(element) || ', NULL]',
                CASE WHEN element = 'text'::regtype THEN quote_literal(test.any_of('{converted}', '{merged,deleted,converted}', '{leads:read_all}', '{*:*}', '{x}', '{name}', '{custom_fields.note}')) ELSE '''{}''' END)
        WHEN type = 'uuid'::regtype THEN quote_literal(test.some_id())
        WHEN type IN ('text'::regtype, 'varchar'::regtype, 'name'::regtype, 'bpchar'::regtype) THEN test.some_text()
        WHEN type = 'boolean'::regtype THEN test.any_of('true', 'false')
        WHEN type IN ('int'::regtype, 'smallint'::regtype) THEN test.any_of('-1', '0', '1', '2', '50', '1000', '1001', '32767', CASE WHEN type = 'int'::regtype THEN '2147483647' ELSE '5' END, CASE WHEN type = 'int'::regtype THEN '(-2147483648)' ELSE '5' END)
        WHEN type = 'bigint'::regtype THEN test.any_of('-1', '0', '1', '1000', '9223372036854775807', '(-9223372036854775808)')
        WHEN type = 'numeric'::regtype THEN test.any_of('-1', '0', '0.005', '1', '1e15', '1e16', '1e-300', '1e131071', '''NaN''', '''Infinity''', '''-Infinity''', '99999999999999999.999')
        WHEN type IN ('float8'::regtype, 'float4'::regtype) THEN test.any_of('-1', '0', '0.5', '0.9', '1', '2', '''NaN''', '''Infinity''', '''-Infinity''', '1e-30')
        WHEN type IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype) THEN test.any_of('''infinity''', '''-infinity''', '''4713-01-01 BC''', '''294276-12-31''', 'now()', '''2026-01-01''', '''1970-01-01''')
        WHEN type = 'interval'::regtype THEN test.any_of('''1 day''', '''-1 day''', '''178000000 years''', '''0''')
        WHEN type IN ('jsonb'::regtype, 'json'::regtype) THEN CASE WHEN random() < 0.06 THEN test.any_of('(repeat(''{"a":'', 6000) || ''1'' || repeat(''}'', 6000))', '(repeat(''['', 3000) || repeat('']'', 3000))', '(''{"'' || repeat(''k'', 70000) || ''": 1}'')', '(''"'' || repeat(''v'', 70000) || ''"'')',
                '(SELECT jsonb_agg(jsonb_build_object(''name'', i))::text FROM generate_series(1, 300) i)', '(SELECT jsonb_object_agg(i::text, i)::text FROM generate_series(1, 3000) i)') ELSE quote_literal(test.some_json()) END
        WHEN type = 'bytea'::regtype THEN test.any_of('''''', '''\x00''', '''\xff00fe''', 'convert_to(' || test.some_text() || ', ''UTF8'')', 'convert_to(E''From: Zed <own1@a.example>\nSubject: =?koi8-r?B?4A==?=\nMessage-ID: <1@x>\n\n'' || ' || test.some_text() || ', ''UTF8'')',
                'convert_to(E''From: zsecretb1@b.example\nTo: x@a.example\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html; charset=x-none\n\n<b>'' || ' || test.some_text() || ', ''UTF8'')', 'decode(md5(random()::text), ''hex'')', 'repeat(''\x41''::text, 100000)::bytea')
        WHEN type = 'xid8'::regtype THEN test.any_of('''0''', '''1''', '''18446744073709551615''', 'pg_current_xact_id()')
    END;
    IF item IS NULL THEN RETURN NULL; END IF;
    RETURN format('%s::%s', CASE WHEN item = 'NULL' OR element IS NULL THEN item ELSE '(' || item || ')' END, type);
END
$$;

-- --- running ---

-- The attacker's own schema, in front of everything, with functions that see what they are called with.
SELECT set_config('test.attacker', 'kvcrm_test_client', false);
CREATE SCHEMA attack AUTHORIZATION kvcrm_test_client;
GRANT USAGE, CREATE ON SCHEMA attack TO kvcrm_test_client;
SET ROLE kvcrm_test_client;
CREATE FUNCTION attack.peek(seen text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN IF seen ~* 'zsecret' THEN RAISE EXCEPTION 'peeked: %', left(seen, 2000); END IF; RETURN true; END $$;
CREATE FUNCTION attack.same(a text, b text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN PERFORM attack.peek(a); RETURN a OPERATOR(pg_catalog.=) b; END $$;
CREATE OPERATOR attack.= (LEFTARG = text, RIGHTARG = text, FUNCTION = attack.same, RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE OPERATOR attack.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = attack.same, RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE FUNCTION attack.gather(state text, seen text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM attack.peek(seen); RETURN state; END $$;
CREATE AGGREGATE attack.gather_all(text) (SFUNC = attack.gather, STYPE = text, INITCOND = '');
RESET ROLE;

CREATE TABLE test.cases (n int PRIMARY KEY, who text, statement text, code text, message text, found text, ms int);

-- Runs statement `n` as an attacker and keeps what it did if it succeeds and `keep`. What comes back, rows or all
-- fields of an error, is searched for secrets: words of `secrets` (a regular expression) and ids of rows of `orgs`.
CREATE FUNCTION test.attack(n int, who text, statement text, secrets text, orgs text[], keep boolean DEFAULT true, settings text DEFAULT '') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    code text; message text; detail text; hint text; context text; rest text;
    col text; con text; dt text; tab text; sch text;
    item record;
    answer text := '';
    began timestamptz := clock_timestamp();
BEGIN
    BEGIN
        PERFORM set_config('request.jwt.claims', CASE who WHEN 'nobody' THEN '{}' ELSE json_build_object('sub', test.id(who), 'role', 'authenticated')::text END, true);
        PERFORM set_config('role', current_setting('test.attacker'), true);
        IF settings <> '' THEN EXECUTE settings; END IF;
        IF statement ~ '^(SELECT|WITH|TABLE|VALUES|EXPLAIN|FETCH)' OR statement ~ 'RETURNING' THEN
            FOR item IN EXECUTE statement LOOP
                IF length(answer) < 3000000 THEN answer := answer || item::text || E'\n'; END IF;
            END LOOP;
        ELSE
            EXECUTE statement;
        END IF;
        SET CONSTRAINTS ALL IMMEDIATE;
        SET CONSTRAINTS ALL DEFERRED;
        IF NOT keep THEN RAISE EXCEPTION SQLSTATE 'KVOK0'; END IF;
        PERFORM set_config('role', 'none', true), set_config('request.jwt.claims', '', true), set_config('search_path', 'public, pg_catalog', true);
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT,
            col = COLUMN_NAME, con = CONSTRAINT_NAME, dt = PG_DATATYPE_NAME, tab = TABLE_NAME, sch = SCHEMA_NAME;
        IF code = 'KVOK0' THEN code := NULL; message := NULL;
        ELSE
            -- The context ends in this function, and quotes the statement, which may name what it looks for.
            answer := answer || concat_ws(E'\n', message, detail, hint, replace(split_part(context, 'PL/pgSQL function test.attack(', 1), statement, ''), col, con, dt, tab, sch);
        END IF;
    END;
    INSERT INTO test.cases VALUES (n, who, statement, code, left(message, 300),
        coalesce((SELECT 'word: ' || left(m[1], 200) FROM regexp_matches(answer, '(.{0,80}' || secrets || '.{0,80})') AS m LIMIT 1),
                 CASE WHEN cardinality(orgs) > 0 THEN (SELECT 'id: ' || s.id FROM regexp_matches(answer, '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}', 'g') AS m
                    JOIN test.secret_ids s ON s.id = m[1]::uuid AND s.org = ANY (orgs) LIMIT 1) END), 1000 * extract(epoch FROM clock_timestamp() - began));
END
$$;

-- Errors that mean that something is broken, not that something was refused: internal errors, a lack of resources that
-- nothing justified, a server that went away, statements of our own that don't compile.
CREATE VIEW test.broken AS
    SELECT n, who, code, message, left(statement, 400) AS statement FROM test.cases
     WHERE code ~ '^(XX|58|57P|F0|53|2F|38|39|25000|26|34|0A)' OR code IS NOT NULL AND message !~ '\S';

CREATE FUNCTION test.started() RETURNS timestamptz LANGUAGE sql AS 'SELECT pg_postmaster_start_time()';
CREATE TABLE test.beginning AS SELECT test.started() AS at, test.state('b') AS b, test.state('a', true) AS hidden, test.state('a') AS a;
