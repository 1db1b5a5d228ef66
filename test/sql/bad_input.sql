-- Bad input: every function of the API, called with what no form should send. Each call ends in a clear error with an
-- SQLSTATE of the contract and changes nothing, or succeeds as the value is a plain text like any other.
\ir include/two_organizations.sql

-- The functions that API clients may call, from the catalog: what is added later is tested without being named here.
CREATE VIEW test.functions AS
SELECT p.oid, p.proname AS name, p.pronargs - p.pronargdefaults AS required, p.pronargs AS arguments, p.provolatile = 'v' AS writes,
       a.i, p.proargnames[a.i] AS argument, a.type::regtype AS type
  FROM pg_proc p, unnest(p.proargtypes) WITH ORDINALITY AS a (type, i)
 WHERE p.pronamespace = 'kvcrm'::regnamespace AND p.prorettype <> 'trigger'::regtype AND p.prorettype <> 'event_trigger'::regtype
   AND has_function_privilege('kvcrm_test_client', p.oid, 'EXECUTE') AND p.proname NOT LIKE 'policy\_%';

SELECT cmp_ok((SELECT count(DISTINCT name) FROM test.functions), '>=', 20::bigint, 'the catalog lists the functions of the API');
SELECT is_empty($$ SELECT name FROM test.functions GROUP BY name HAVING count(DISTINCT oid) > 1 $$, 'none is overloaded');
SELECT is_empty($$ SELECT name FROM test.functions GROUP BY name HAVING (array_agg(argument ORDER BY i DESC))[1] <> 'organization_id' $$, 'the last argument of each is organization_id');

-- --- arguments ---

SELECT test.keep('lead', id) FROM kvcrm.create_lead('Лид', 'lead@firma.ru', assigned_to => test.id('rep'), organization_id => test.id('a'));
SELECT test.keep('gone', id) FROM kvcrm.create_lead('Удалён', organization_id => test.id('a'));
SELECT kvcrm.delete_lead(test.id('gone')) IS NOT NULL;
SELECT test.keep('lead_b', id) FROM kvcrm.create_lead('Other', organization_id => test.id('b'));
INSERT INTO kvcrm.lead_stage_transitions (organization_id, from_stage_id, to_stage_id) VALUES (test.id('a'), test.stage('a', 1), test.stage('a', 2));
SELECT test.keep('activity', id) FROM kvcrm.log_activity(test.id('lead'), 'task', 'Задача');
SELECT test.keep('activity_b', id) FROM kvcrm.log_activity(test.id('lead_b'), 'note', 'x');
SELECT test.keep('converted', id) FROM kvcrm.create_lead('Клиент', inn => '7707083893', organization_id => test.id('a'));
SELECT test.keep('customer', id) FROM kvcrm.qualify_lead(test.id('converted'));
INSERT INTO kvcrm.quotes (organization_id, lead_id, title, amount) VALUES (test.id('a'), test.id('lead'), 'x', 1), (test.id('b'), test.id('lead_b'), 'x', 1);
SELECT test.keep(CASE organization_id WHEN test.id('a') THEN 'quote' ELSE 'quote_b' END, id) FROM kvcrm.quotes;
SELECT test.keep('customer_b', c.id) FROM kvcrm.create_lead('B', company => 'B', organization_id => test.id('b')) l, LATERAL kvcrm.qualify_lead(l.id) c;
SELECT kvcrm.add_member(test.id('stranger'), 'sales_team', organization_id => test.id('b')) IS NOT NULL;
SELECT test.keep('other', id) FROM kvcrm.create_lead('Другой', organization_id => test.id('a'));
SELECT test.keep('merged', id) FROM kvcrm.create_lead('Слитый', organization_id => test.id('a'));
SELECT kvcrm.merge_leads(test.id('other'), ARRAY[test.id('merged')]) IS NOT NULL;
SELECT test.keep('merge', id) FROM kvcrm.lead_merges;
SELECT count(*) FROM kvcrm.import_leads('[{"name": "Импорт"}]', organization_id => test.id('a'));
SELECT test.keep('import', id) FROM kvcrm.lead_imports;
SELECT test.keep('event', id) FROM kvcrm.activity_logs WHERE entity_id = test.id('other') LIMIT 1;

-- A good value for an argument, as SQL; null where the default is good.
CREATE FUNCTION test.good(function text, argument text, type regtype) RETURNS text LANGUAGE sql AS $$
    SELECT CASE
        WHEN function = 'revert_conversion' AND argument = 'lead_id' THEN quote_literal(test.id('converted')) || '::uuid'
        WHEN function IN ('explain_match', 'dismiss_duplicate') AND argument = 'other_lead_id' THEN quote_literal(test.id('converted')) || '::uuid'
        WHEN argument = 'candidate' THEN $q$'{"name": "Имя"}'::jsonb$q$
        WHEN argument = 'lead_id' OR argument LIKE '%lead_id' THEN quote_literal(test.id('lead')) || '::uuid'
        WHEN argument = 'survivor_id' THEN quote_literal(test.id('lead')) || '::uuid'
        WHEN argument = 'duplicate_ids' THEN format('ARRAY[%L]::uuid[]', test.id('other'))
        WHEN argument = 'merge_id' THEN quote_literal(test.id('merge')) || '::uuid'
        WHEN argument = 'import_id' THEN quote_literal(test.id('import')) || '::uuid'
        WHEN argument = 'csv' THEN quote_literal(E'name\nИмпорт')
        WHEN argument = 'lead_ids' THEN format('ARRAY[%L]::uuid[]', test.id('lead'))
        WHEN argument = 'activity_id' THEN quote_literal(test.id('activity')) || '::uuid'
        WHEN argument = 'quote_id' THEN quote_literal(test.id('quote')) || '::uuid'
        WHEN argument = 'amount' THEN '1'
        WHEN argument = 'consumer' THEN quote_literal('hook')
        WHEN argument = 'up_to' THEN quote_literal(test.id('event')) || '::uuid'
        WHEN argument = 'customer_id' THEN quote_literal(test.id('customer')) || '::uuid'
        -- A stage without leads.
        WHEN function = 'delete_stage' AND argument = 'stage_id' THEN quote_literal(test.stage('a', 4)) || '::uuid'
        WHEN argument IN ('stage_id', 'from_stage_id') THEN quote_literal(test.stage('a', 1)) || '::uuid'
        WHEN argument IN ('to_stage_id', 'move_leads_to') THEN quote_literal(test.stage('a', 2)) || '::uuid'
        WHEN function = 'add_member' AND argument = 'user_id' THEN quote_literal(test.id('unknown')) || '::uuid'
        WHEN function = 'reactivate_member' AND argument = 'user_id' THEN quote_literal(test.id('suspended')) || '::uuid'
        WHEN argument = 'user_id' THEN quote_literal(test.id('other_rep')) || '::uuid'
        WHEN argument IN ('assignee_id', 'assigned_to', 'reassign_to') THEN quote_literal(test.id('rep')) || '::uuid'
        WHEN argument = 'owner_id' THEN 'NULL::uuid'
        WHEN argument = 'organization_id' THEN 'NULL::uuid'
        WHEN argument = 'permission' THEN quote_literal('leads:create')
        WHEN argument = 'role_slug' THEN quote_literal('sales_team')
        WHEN argument = 'type' THEN quote_literal('note')
        WHEN argument = 'name' THEN quote_literal('Имя')
        WHEN argument = 'title' THEN quote_literal('Заголовок')
        WHEN argument = 'message' THEN $q$convert_to(E'From: Name <name@mail.example>\n\nText', 'UTF8')$q$
        WHEN argument = 'rows' THEN $q$'[{"name": "Импорт"}]'::jsonb$q$
        ELSE 'NULL::' || type::text END $$;

-- A call of a function with good values for what is required, and one argument as given.
CREATE FUNCTION test.call(function oid, bad text, value text) RETURNS text LANGUAGE sql AS $$
    SELECT format('SELECT count(*) FROM kvcrm.%I(%s)', min(f.name::text), string_agg(format('%I => %s', f.argument,
               CASE WHEN f.argument = bad THEN value ELSE test.good(f.name, f.argument, f.type) END), ', ' ORDER BY f.i))
      FROM test.functions f WHERE f.oid = function AND (f.i <= f.required OR f.argument = bad) $$;

-- What became of a call, with everything that it wrote rolled back: null, or the SQLSTATE and whether the message is
-- clear. XX000 and the like, an empty message, or a change in spite of an error would show here.
CREATE FUNCTION test.try(who text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    code text;
    message text;
BEGIN
    PERFORM test.as_user(who, statement);
    RAISE EXCEPTION USING ERRCODE = 'KVOK0';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
    IF code = 'KVOK0' THEN
        RETURN NULL;
    END IF;
    RETURN code || CASE WHEN message ~ '\S' THEN '' ELSE ' without message' END;
END
$$;
CREATE FUNCTION test.outcome_of(statement text) RETURNS text LANGUAGE sql AS $$ SELECT test.try('owner', statement) $$;

-- test/lifecycle/memory.sql wants no more than such calls.
\if :{?calls_only}
\q
\endif

-- The good values are good: else a bad one would be refused for another reason.
SELECT is(test.outcome_of(statement), NULL, 'good input: ' || name)
  FROM (SELECT oid, name::text, test.call(oid, '', '') AS statement FROM test.functions WHERE required > 0 GROUP BY oid, name) AS f ORDER BY name;

CREATE TABLE test.before AS SELECT test.everything() AS it;

-- Null for every required argument. A null can mean something: leave to nobody.
SELECT is(test.outcome_of(test.call(oid, argument, 'NULL')), CASE WHEN name IN ('assign_lead', 'bulk_assign') AND argument = 'assignee_id' THEN NULL ELSE '22023' END, format('%s: %s may not be null', name, argument))
  FROM test.functions WHERE i <= required ORDER BY name, i;
SELECT matches((test.error_of(test.call(oid, argument, 'NULL'))).message, argument || ' is required', format('%s: the message names %s', name, argument))
  FROM test.functions WHERE i <= required AND NOT (name IN ('assign_lead', 'bulk_assign') AND argument = 'assignee_id') ORDER BY name, i;
SELECT ok(coalesce(test.outcome_of(test.call(oid, argument, 'NULL')), 'none') NOT LIKE 'XX%', format('%s: an optional %s may be null', name, argument))
  FROM test.functions WHERE i > required ORDER BY name, i;

-- Unknown ids and those of another organization: not found, not allowed, or not valid, and never told apart.
CREATE TABLE test.asked AS
SELECT f.oid, f.name, f.argument, f.i, test.outcome_of(test.call(f.oid, f.argument, quote_literal(test.id('unknown')) || '::uuid')) AS unknown,
       test.outcome_of(test.call(f.oid, f.argument, quote_literal(CASE
           WHEN f.argument LIKE '%lead_id' OR f.argument = 'survivor_id' THEN test.id('lead_b') WHEN f.argument LIKE '%stage_id' OR f.argument = 'move_leads_to' THEN test.stage('b', 2)
           WHEN f.argument = 'activity_id' THEN test.id('activity_b') WHEN f.argument = 'quote_id' THEN test.id('quote_b')
           WHEN f.argument = 'customer_id' THEN test.id('customer_b')
           WHEN f.argument = 'organization_id' THEN test.id('b') ELSE test.id('rep_b') END) || '::uuid')) AS foreign_one
  FROM test.functions f WHERE f.type = 'uuid'::regtype AND f.name NOT IN ('create_organization', 'has_permission', 'my_permissions')
   -- They answer such an id in its row: bulk.sql.
   AND f.name NOT LIKE 'bulk\_%'
   AND NOT (f.name = 'add_member' AND f.argument = 'user_id');
SELECT ok(unknown IN ('PT404', '42501', '23514', '22023', '23503'), format('%s: an unknown %s is refused with %s', name, argument, coalesce(unknown, 'nothing'))) FROM test.asked
 -- A filter that names what there is not finds nothing.
 WHERE NOT (name IN ('list_leads', 'count_leads', 'pipeline_board', 'leads_export', 'leads_export_csv', 'leads_export_query') AND argument IN ('stage_id', 'assigned_to')) ORDER BY name, i;
SELECT is(foreign_one, unknown, format('%s: %s of another organization is answered like an unknown one', name, argument)) FROM test.asked ORDER BY name, i;

-- --- texts ---

-- What a text may not do, whatever is in it: end a statement, act as a pattern, break JSON or the log.
CREATE TABLE test.texts (n int GENERATED ALWAYS AS IDENTITY, what text, value text);
INSERT INTO test.texts (what, value) VALUES ('SQL', $t$'; DROP TABLE kvcrm.leads; --$t$), ('SQL 2', $t$') OR 1 = 1; DELETE FROM kvcrm.leads WHERE ('' = '$t$), ('quotes', $t$'"`$$''""$t$), ('backslashes', $t$\'\\"\x00\u0000\n$t$),
    ('LIKE metacharacters', '%_%\%'), ('braces', '{}[]{"a": 1}'), ('format directives', '%s%n%d%1$s'), ('markup', '<script>alert(1)</script>'), ('directions', U&'\202E\2066abc'), ('surrogate range neighbours', U&'\D7FF\E000\FFFD'),
    ('emoji', '👩‍👩‍👧‍👦🇷🇺'), ('combining marks', repeat(U&'\0301', 50)), ('controls', E'\x01\x02\x1b[31m\x7f'), ('line ends', E'a\r\nb\tc'), ('blank', E' \t\u00a0'), ('empty', '');

SELECT ok(coalesce(r.outcome, 'none') IN ('none', '22023', '23514', '22001', '22P02', 'PT404', '42501', '23505'), format('%s(%s): %s: %s', f.name, f.argument, t.what, coalesce(r.outcome, 'accepted')))
  FROM test.functions f, test.texts t, LATERAL (SELECT test.outcome_of(test.call(f.oid, f.argument, quote_literal(t.value) || '::text'))) AS r (outcome)
 WHERE f.type = 'text'::regtype ORDER BY f.name, f.i, t.n;

-- 10 MB.
SELECT ok(r.outcome IN ('22001', '22023', '23514', '42501', 'PT404'), format('%s(%s): 10 MB are refused with %s', f.name, f.argument, coalesce(r.outcome, 'nothing')))
  FROM test.functions f, LATERAL (SELECT test.outcome_of(test.call(f.oid, f.argument, 'repeat(''ж'', 5000000)'))) AS r (outcome)
 WHERE (f.name, f.argument) <> ('bulk_move', 'lost_reason') AND f.type = 'text'::regtype AND NOT (f.name = 'list_leads' OR f.name = 'count_leads' OR f.name LIKE '%export%') ORDER BY f.name, f.i;
SELECT ok(coalesce(r.outcome, 'none') IN ('none', '22001', '22023'), format('%s(%s): a search for 10 MB: %s', f.name, f.argument, coalesce(r.outcome, 'finds nothing')))
  FROM test.functions f, LATERAL (SELECT test.outcome_of(test.call(f.oid, f.argument, 'repeat(''ж'', 5000000)'))) AS r (outcome)
 WHERE f.type = 'text'::regtype AND (f.name = 'list_leads' OR f.name = 'count_leads') ORDER BY f.name, f.i;

-- Words where only some are known.
SELECT is(test.outcome_of(test.call(f.oid, f.argument, quote_literal(word))), '22023', format('%s(%s): ''%s'' is no such word', f.name, f.argument, word))
  FROM test.functions f, unnest(ARRAY['maybe', 'LINK', 'link ', '', 'всё']) AS word WHERE f.argument IN ('on_duplicate', 'on_match', 'type', 'permission', 'role_slug', 'sort') ORDER BY f.name, f.i, word;

-- --- JSON ---

CREATE TABLE test.jsons (n int GENERATED ALWAYS AS IDENTITY, what text, value text);
INSERT INTO test.jsons (what, value) VALUES ('an array', $$'[1]'::jsonb$$), ('a text', $$'"x"'::jsonb$$), ('a number', $$'1e300'::jsonb$$), ('null', $$'null'::jsonb$$), ('true', $$'true'::jsonb$$), ('10 MB', $$jsonb_build_object('k', repeat('x', 10000000))$$),
    ('10 000 keys', $$(SELECT jsonb_object_agg('key' || i, i) FROM generate_series(1, 10000) AS i)$$), ('depth', $$(repeat('{"a":', 5000) || '1' || repeat('}', 5000))::jsonb$$), ('an empty key', $$'{"": ""}'::jsonb$$), ('a key with quotes', $$'{"''\";--": 1}'::jsonb$$);
SELECT ok(coalesce(r.outcome, 'none') IN ('none', '22023', '23514', '22001', '22P02', '54001'), format('%s(%s): %s: %s', f.name, f.argument, j.what, coalesce(r.outcome, 'accepted')))
  FROM test.functions f, test.jsons j, LATERAL (SELECT test.outcome_of(test.call(f.oid, f.argument, j.value))) AS r (outcome) WHERE f.type = 'jsonb'::regtype ORDER BY f.name, f.i, j.n;
SELECT is(test.outcome_of($$ SELECT kvcrm.create_lead('x', custom_fields => '{"k": "a\u0000b"}') $$), '22P05', 'NUL in JSON is refused by PostgreSQL itself');
SELECT is(test.outcome_of($$ SELECT kvcrm.create_lead('x', custom_fields => '{"k": "\ud800"}') $$), '22P02', 'so is half a surrogate pair');
SELECT is(test.outcome_of($$ SELECT count(*) FROM kvcrm.import_leads('[{"name": "a\u0000b"}]') $$), '22P05', 'in an import too');

-- --- bytes that are no text ---

SELECT is(test.outcome_of(format('SELECT kvcrm.create_lead(convert_from(%L::bytea, ''UTF8''))', bytes)), '22021', 'invalid UTF-8 is refused by PostgreSQL itself: ' || bytes)
  FROM unnest(ARRAY['\xff', '\xc0af', '\xeda080', '\xf4908080', '\xe28', '\x610062', '\xc3']) AS bytes WHERE bytes <> '\xe28';
SELECT is(test.outcome_of($$ SELECT kvcrm.create_lead(E'a\xffb') $$), '22021', 'in an escape too');
SELECT is(test.outcome_of($$ SELECT kvcrm.create_lead(chr(0)) $$), '54000', 'and so is NUL');

-- --- numbers, times ---

SELECT is(test.outcome_of(format('SELECT kvcrm.create_lead(''x'', estimated_value => %L)', value)), code, format('estimated_value %s: %s', value, code))
  FROM (VALUES ('-1', '23514'), ('NaN', '23514'), ('Infinity', '22003'), ('-Infinity', '22003'), ('1e400', '22003'), ('x', '22P02')) AS v (value, code);
SELECT is(test.outcome_of(format('SELECT kvcrm.move_lead(test.id(''lead''), test.stage(''a'', 1), expected_version => %s)', value)), code, format('expected_version %s: %s', value, code))
  FROM (VALUES ('-1', 'PT409'), ('2147483647', 'PT409'), ('-2147483648', 'PT409'), ('2147483648', '42883')) AS v (value, code);
SELECT ok(coalesce(test.outcome_of(format('SELECT kvcrm.log_activity(test.id(''lead''), ''task'', ''x'', due_date => %L)', value)), 'none') = code, format('due_date %s: %s', value, code))
  FROM (VALUES ('infinity', 'none'), ('-infinity', 'none'), ('294276-12-31', 'none'), ('300000-01-01', '22008'), ('soon', '22007')) AS v (value, code);

SELECT is(test.everything(), it, 'none of all this has changed anything') FROM test.before;

-- --- who one says one is ---

CREATE FUNCTION test.with_claims(claims text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM set_config('request.jwt.claims', claims, true), set_config('role', 'kvcrm_test_client', true);
    EXECUTE statement INTO answer;
    RETURN answer;
END
$$;
SELECT throws_ok(format('SELECT test.with_claims(%L, %L)', claims, 'SELECT count(*) FROM kvcrm.leads'), '28000', NULL, 'claims are refused when reading: ' || left(claims, 60))
  FROM unnest(ARRAY['{', '[]', '"x"', '7', '{"sub": "alice"}', '{"sub": 7}', '{"sub": ["x"]}', '{"sub": "00000000-0000-4000-8000-00000000000g"}', '{"sub": "'' OR 1 = 1"}', 'x' || repeat('x', 100000)]) AS claims;
SELECT throws_ok(format('SELECT test.with_claims(%L, %L)', claims, 'SELECT kvcrm.create_lead(''x'')'), '28000', NULL, 'and when writing: ' || left(claims, 60)) FROM unnest(ARRAY['{', '{"sub": "alice"}']) AS claims;
SELECT throws_ok(format('SELECT test.with_claims(%L, %L)', claims, 'SELECT kvcrm.create_lead(''x'')'), '42501', NULL, 'claims without a user are nobody''s: ' || claims) FROM unnest(ARRAY['{}', '{"sub": null}', '{"sub": ""}', '{"role": "service_role"}']) AS claims;

-- --- texts come back as they went in ---

CREATE TABLE test.kept AS SELECT t.n, test.post('owner', jsonb_build_object('name', 'Т' || t.value || 'Т', 'company', 'Т' || t.value || 'Т', 'custom_fields', jsonb_build_object(t.value || 'к', t.value))) AS lead FROM test.texts t;
SELECT is(ARRAY[l.name, l.company, l.custom_fields->>(t.value || 'к')], ARRAY['Т' || t.value || 'Т', 'Т' || t.value || 'Т', t.value], 'kept as it is: ' || t.what) FROM test.texts t JOIN test.kept k USING (n) JOIN kvcrm.leads l ON l.id = (k.lead->>'id')::uuid ORDER BY n;
SELECT is(g.changes->'name'->>'new', 'Т' || t.value || 'Т', 'and logged as it is: ' || t.what) FROM test.texts t JOIN test.kept k USING (n) JOIN kvcrm.activity_logs g ON g.entity_id = (k.lead->>'id')::uuid ORDER BY n;
-- --- what an error shows ---

CREATE FUNCTION test.detail_of(who text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE code text; detail text;
BEGIN
    PERFORM test.as_user(who, statement);
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' ', code, nullif(detail, ''));
END
$$;
SELECT is(test.detail_of('owner', $$ SELECT kvcrm.create_lead('Сумма', estimated_value => 'NaN') $$), '23514', 'a violated constraint shows no row that the owner may read');

SELECT * FROM finish();
