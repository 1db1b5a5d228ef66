-- leads_export, leads_export_query and leads_export_csv: which leads, which columns, formulas, the log, files.
-- inconsistent: leads are merged and deleted by hand
\ir include/two_organizations.sql

-- `chief` sees the leads of a team and exports; `clerk` exports but reads none.
INSERT INTO test.ids VALUES ('chief', gen_random_uuid()), ('mate', gen_random_uuid()), ('clerk', gen_random_uuid());
INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES
    (test.id('a'), 'chief', 'Chief', '{leads:create,leads:read_team,leads:read_own,leads:export}'), (test.id('a'), 'clerk', 'Clerk', '{leads:export}');
INSERT INTO kvcrm.teams (organization_id, name) VALUES (test.id('a'), 'Север');
SELECT test.keep('team', id) FROM kvcrm.teams \g /dev/null
SELECT count(*) FROM (VALUES ('chief', 'chief', true), ('mate', 'sales_team', true), ('clerk', 'clerk', false)) AS m (who, role, team),
    LATERAL kvcrm.add_member(test.id(m.who), m.role, m.who, team_id => CASE WHEN m.team THEN test.id('team') END, organization_id => test.id('a')) \g /dev/null

-- More than one piece of what is read at a time; many at the same instant, a few gone.
INSERT INTO kvcrm.leads (organization_id, name, email, company, source, stage_id, assigned_to, custom_fields, created_at)
SELECT test.id('a'), 'Лид ' || n % 50, 'lead' || n || '@firm.ru', 'Фирма ' || n, CASE WHEN n % 3 = 0 THEN 'referral' ELSE 'website' END, test.stage('a', n % 3 + 1),
       CASE n % 6 WHEN 1 THEN test.id('rep') WHEN 2 THEN test.id('mate') WHEN 3 THEN test.id('other_rep') WHEN 4 THEN test.id('chief') END,
       jsonb_build_object('n', n % 5, 'rare', n / 100), '2026-01-01'::timestamptz + n / 3 * interval '1 hour'
  FROM generate_series(1, 2500) AS n;
ALTER TABLE kvcrm.leads DISABLE TRIGGER USER;
UPDATE kvcrm.leads SET deleted_at = now() WHERE company IN ('Фирма 10', 'Фирма 11', 'Фирма 12');
UPDATE kvcrm.leads SET merged_into_id = (SELECT id FROM kvcrm.leads WHERE company = 'Фирма 1') WHERE company IN ('Фирма 20', 'Фирма 21');
ALTER TABLE kvcrm.leads ENABLE TRIGGER USER;
SELECT kvcrm.qualify_lead(id, organization_id => test.id('a')) FROM kvcrm.leads WHERE company IN ('Фирма 31', 'Фирма 32') \g /dev/null
INSERT INTO kvcrm.leads (organization_id, name) SELECT test.id('b'), 'Lead ' || n FROM generate_series(1, 20) AS n;

-- --- which leads ---

CREATE FUNCTION test.listed(who text, filters text) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    everything uuid[] := '{}';
    page uuid[];
BEGIN
    LOOP
        page := test.ids_of(who, format('kvcrm.list_leads(page_size => 1000, after_lead_id => %L%s)', everything[cardinality(everything)], filters));
        everything := everything || page;
        EXIT WHEN cardinality(page) < 1000;
    END LOOP;
    RETURN everything;
END $$;
-- As a user, or null: as the system.
CREATE FUNCTION test.ids_of(who text, source text) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    statement text := 'SELECT coalesce(array_agg(id), ''{}'') FROM ' || source;
    answer uuid[];
BEGIN
    IF who IS NOT NULL THEN RETURN test.as_user(who, statement)::uuid[]; END IF;
    EXECUTE statement INTO answer;
    RETURN answer;
END $$;
CREATE TABLE test.cases AS
SELECT who, filters, test.listed(who, filters) AS listed, test.ids_of(who, format('kvcrm.leads_export(%s)', substr(filters, 3))) AS exported
  FROM unnest(ARRAY['owner', 'manager', 'chief', NULL]) AS who, LATERAL (SELECT format(f, test.stage('a', 2), test.id('rep')) || format(', organization_id => %L', test.id('a')) FROM unnest(ARRAY[
    '', ', stage_id => ''%1$s''', ', assigned_to => ''%2$s''', ', status => ''new''', ', source => ''referral''', ', include => ''{converted,merged,deleted}''', ', include => ''{deleted}''',
    ', created_from => ''2026-01-05'', created_to => ''2026-01-08''', ', custom_fields => ''{"n": 3}''', ', custom_fields => ''{"rare": 7}''', ', query => ''firma 77''', ', query => ''lid''', ', query => ''ф''',
    ', query => ''firma 2'', custom_fields => ''{"n": 1}'', source => ''website''', ', query => ''nothing of the kind''', ', query => ''лид 7'', include => ''{converted,merged,deleted}''']) AS f) AS t (filters);
SELECT is(exported, listed, format('%s: as list_leads: %s', coalesce(who, 'the system'), filters)) FROM test.cases;
SELECT cmp_ok((SELECT max(cardinality(exported)) FROM test.cases WHERE filters LIKE ', organization_id%' AND who = 'manager'), '>', 2400, 'there is something to compare');
SELECT cmp_ok((SELECT max(cardinality(exported)) FROM test.cases WHERE filters LIKE ', organization_id%' AND who = 'chief'), '<', 900, 'and a scope to keep to');
SELECT is(test.as_user(who, format('SELECT kvcrm.leads_export_query(''firma 1'', source => ''website'', organization_id => %L)', test.id('a'))) LIKE '%FROM kvcrm.leads_export(query => ''firma 1'', source => ''website'', organization_id => %', true, who || ' gets a query')
  FROM unnest(ARRAY['manager', 'chief', 'clerk']) AS who;

SELECT throws_ok(format('SELECT test.as_user(%L, %L)', who, format(call, format('organization_id => %L', test.id('a')))), code, NULL, format('%s: %s: %s', who, call, code))
  FROM (VALUES ('rep', 'SELECT count(*) FROM kvcrm.leads_export(%s)', '42501'), ('rep', 'SELECT kvcrm.leads_export_csv(%s)', '42501'), ('rep', 'SELECT kvcrm.leads_export_query(%s)', '42501'),
               ('clerk', 'SELECT count(*) FROM kvcrm.leads_export(%s)', '42501'), ('clerk', 'SELECT kvcrm.leads_export_csv(%s)', '42501'),
               ('suspended', 'SELECT count(*) FROM kvcrm.leads_export(%s)', '42501'), ('stranger', 'SELECT kvcrm.leads_export_csv(%s)', '42501'), ('owner_b', 'SELECT kvcrm.leads_export_query(%s)', '42501'),
               ('owner', 'SELECT count(*) FROM kvcrm.leads_export(status => ''open'', %s)', '22023'), ('owner', 'SELECT count(*) FROM kvcrm.leads_export(include => ''{lost}'', %s)', '22023'),
               ('owner', 'SELECT kvcrm.leads_export_csv(separator => ''|'', %s)', '22023'), ('owner', 'SELECT kvcrm.leads_export_csv(separator => '''', %s)', '22023')) AS c (who, call, code);
SELECT is(test.ids_of('owner_b', 'kvcrm.leads_export()'), test.listed('owner_b', ''), 'one organization''s leads, the current one''s');

-- --- the log ---

SELECT set_config('kvcrm.organization_id', test.id('b')::text, false) \g /dev/null
DELETE FROM kvcrm.leads WHERE organization_id = test.id('b');
CREATE TABLE test.seen (id uuid);
CREATE FUNCTION test.logged() RETURNS TABLE (entry jsonb) LANGUAGE sql AS $$
    WITH new AS (INSERT INTO test.seen SELECT l.id FROM kvcrm.activity_logs l WHERE NOT EXISTS (SELECT FROM test.seen s WHERE s.id = l.id) RETURNING id)
    SELECT jsonb_build_object('what', l.entity_type || ' ' || l.action, 'by', l.actor_id, 'of', l.entity_id) || (SELECT jsonb_object_agg(c.key, c.value -> 'new') FROM jsonb_each(l.changes) c)
      FROM new JOIN kvcrm.activity_logs l USING (id) WHERE l.entity_type = 'export' ORDER BY l.id $$;
INSERT INTO kvcrm.leads (organization_id, name) VALUES (test.id('b'), 'One'), (test.id('b'), 'Two');
SELECT count(*) FROM test.logged() \g /dev/null

SELECT test.as_user('owner_b', 'SELECT count(*) FROM kvcrm.leads_export()') \g /dev/null
SELECT is((SELECT jsonb_agg(entry) FROM test.logged()), jsonb_build_array(jsonb_build_object('what', 'export exported', 'by', test.id('owner_b'), 'of', test.id('b'), 'rows', 2, 'format', 'rows', 'raw', false, 'filters', '{}'::jsonb)), 'who exported how many');
SELECT test.as_user('owner_b', $$ SELECT count(*) FROM kvcrm.leads_export('two', status => 'new', created_from => '2020-01-01 00:00+00', custom_fields => '{"a": 1}', include => '{deleted}', raw => true) $$) \g /dev/null
SELECT is((SELECT jsonb_agg(entry - '{what,by,of}'::text[]) FROM test.logged()), '[{"rows": 0, "format": "rows", "raw": true, "filters": {"query": "two", "status": "new", "created_from": "2020-01-01T00:00:00+00:00", "custom_fields": {"a": 1}, "include": ["deleted"]}}]', 'and which');
SELECT test.as_user('owner_b', 'SELECT id FROM kvcrm.leads_export() LIMIT 1') \g /dev/null
SELECT test.as_user('owner_b', 'SELECT length(kvcrm.leads_export_csv())') \g /dev/null
SELECT kvcrm.leads_export_query() IS NULL \g /dev/null
SELECT count(*) FROM kvcrm.leads_export(query => repeat('я', 100000), source => repeat('x', 1000), custom_fields => jsonb_build_object('k', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) n))) \g /dev/null
SELECT is((SELECT jsonb_agg(jsonb_build_array(entry -> 'rows', entry -> 'format', entry -> 'by', octet_length(entry::text) < 2000)) FROM test.logged()),
          jsonb_build_array(jsonb_build_array(2, 'rows', test.id('owner_b'), true), jsonb_build_array(2, 'csv', test.id('owner_b'), true), jsonb_build_array(0, 'rows', NULL, true)),
          'one entry each: of a caller who takes one row only, of CSV, of the system; long filters are cut; the query alone is no export');
SELECT is(test.as_user('rep_b', 'SELECT count(*) FROM kvcrm.activity_logs'), '0', 'who may not read the log doesn''t');
BEGIN READ ONLY;
SELECT throws_ok('SELECT count(*) FROM kvcrm.leads_export()', '25006', 'cannot execute leads_export() in a read-only transaction', 'no export without a log');
SELECT throws_ok('SELECT kvcrm.leads_export_csv()', '25006', NULL, 'nor as CSV');
SELECT lives_ok('SELECT kvcrm.leads_export_query()', 'the query is only asked for');
ROLLBACK;
SELECT is((SELECT string_agg(concat(p.proname, ' ', p.provolatile), ', ' ORDER BY 1) FROM pg_proc p WHERE p.pronamespace = 'kvcrm'::regnamespace AND p.proname LIKE 'leads_export%'), 'leads_export v, leads_export_csv v, leads_export_query s', 'PostgREST is told which of them write');

-- --- columns ---

SELECT is((SELECT array_agg(x.attname::text || ' ' || format_type(x.atttypid, -1) ORDER BY x.attnum) FROM pg_attribute x WHERE x.attrelid = 'kvcrm.exported_lead'::regclass),
    string_to_array('id uuid,name text,email text,phone text,company text,position text,inn text,source text,stage text,status text,assigned_to uuid,assignee text,estimated_value numeric,currency text,score integer,lost_reason text,created_at timestamp with time zone,'
        || 'updated_at timestamp with time zone,stage_entered_at timestamp with time zone,qualified_at timestamp with time zone,converted_at timestamp with time zone,converted_to_customer_id uuid,merged_into_id uuid,deleted_at timestamp with time zone,created_by uuid,custom_fields jsonb', ','), 'the columns');
SELECT is_empty(format($$ SELECT (to_jsonb(e) - '{stage,assignee}'::text[]) FROM kvcrm.leads_export(include => '{converted,merged,deleted}', raw => true, organization_id => %L) e
    EXCEPT SELECT to_jsonb(l) - '{organization_id,stage_id,board_rank,version,legal_hold,email_normalized,phone_e164,block_email,block_phone,erased_at}'::text[] FROM kvcrm.leads l $$, test.id('a')), 'each value is the lead''s');
SELECT is_empty(format($$ SELECT e.id, e.stage, e.assignee FROM kvcrm.leads_export(include => '{converted,merged,deleted}', organization_id => %L) e
    EXCEPT SELECT l.id, s.name, m.display_name FROM kvcrm.leads l JOIN kvcrm.lead_stages s ON s.id = l.stage_id LEFT JOIN kvcrm.organization_members m ON m.user_id = l.assigned_to AND m.organization_id = l.organization_id $$, test.id('a')), 'stage and assignee by name');

-- --- formulas ---

INSERT INTO kvcrm.custom_field_definitions (organization_id, entity, key, name, type, options, order_index) VALUES
    (test.id('b'), 'lead', 'note', 'Note', 'text', '{}', 3), (test.id('b'), 'lead', 'budget', 'Budget', 'number', '{}', 1), (test.id('b'), 'lead', 'hot', 'Hot', 'boolean', '{}', 2), (test.id('b'), 'lead', 'name', 'Nickname', 'text', '{}', 5),
    (test.id('b'), 'lead', 'region', 'Region', 'select', '{north,=south}', 4), (test.id('b'), 'lead', 'since', 'Since', 'date', '{}', 6), (test.id('b'), 'customer', 'other', 'Other', 'text', '{}', 1);
CREATE TABLE test.cells (n int, typed text, shown text);
INSERT INTO test.cells VALUES (1, '=1+1', '''=1+1'), (2, '+1-1', '''+1-1'), (3, '-x', '''-x'), (4, '@SUM(A1)', '''@SUM(A1)'), (5, '=cmd|''/c calc''!A0', '''=cmd|''/c calc''!A0'), (6, '''=1', '''''=1'), (7, '-', '''-'),
    (8, '+79161234567', '+79161234567'), (9, '-12,5', '-12,5'), (10, 'a=b', 'a=b'), (11, 'O''Neil', 'O''Neil'), (12, '''quoted''', '''quoted'''), (13, '＝1', '''＝1'), (14, '+7 916', '''+7 916'), (15, E'a\n=1', E'a\n=1'),
    (16, 'a"b;c,d', 'a"b;c,d'), (17, E'a\r\nb\tc', E'a\r\nb\tc'), (18, 'Жора', 'Жора'), (19, '\.', '\.'), (20, '''', ''''), (21, '-1e5', '''-1e5');
DELETE FROM kvcrm.leads WHERE organization_id = test.id('b');
INSERT INTO kvcrm.leads (organization_id, name, company, "position", custom_fields, email, created_at)
SELECT test.id('b'), typed, typed, typed, jsonb_build_object('note', typed, 'budget', -n, 'hot', n % 2 = 0, 'name', 'nick', 'region', '=south', 'since', '2026-01-31'), '+' || n || '@firm.ru', now() - n * interval '1 minute' FROM test.cells;
SELECT is(array_agg(e.name ORDER BY n), array_agg(c.shown ORDER BY n), 'names') FROM test.cells c JOIN kvcrm.leads_export() e ON e.email = '''+' || n || '@firm.ru';
SELECT is(array_agg(e.custom_fields ->> 'note' ORDER BY n), array_agg(c.shown ORDER BY n), 'custom fields') FROM test.cells c JOIN kvcrm.leads_export() e ON e.email = '''+' || n || '@firm.ru';
SELECT is(array_agg(e.name || e.company || e."position" || (e.custom_fields ->> 'note') ORDER BY n), array_agg(repeat(c.typed, 4) ORDER BY n), 'raw: as they are') FROM test.cells c JOIN kvcrm.leads_export(raw => true) e ON e.email = '+' || n || '@firm.ru';
SELECT is((SELECT custom_fields - 'note' FROM kvcrm.leads_export(query => 'Жора')), '{"budget": -18, "hot": true, "name": "nick", "region": "''=south", "since": "2026-01-31"}', 'numbers are none, options may be');
UPDATE kvcrm.lead_stages SET name = '=stage' WHERE id = test.stage('b', 1);
UPDATE kvcrm.organization_members SET display_name = '@owner' WHERE user_id = test.id('owner_b');
UPDATE kvcrm.leads SET assigned_to = test.id('owner_b'), lost_reason = '-' WHERE organization_id = test.id('b');
SELECT is((SELECT string_agg(DISTINCT concat_ws(' ', stage, assignee), ' | ') FROM kvcrm.leads_export()), '''=stage ''@owner', 'names of stages and members');

-- --- custom fields as columns ---

SELECT kvcrm.leads_export_query() AS query, kvcrm.leads_export_query(raw => true) AS raw_query \gset
CREATE TABLE test.by_query AS :query;
SELECT is((SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'test.by_query'::regclass AND attnum > 25), '{budget,hot,note,region,custom_fields.name,since,custom_fields}', 'in the order of the definitions; a key that a column has is told apart');
SELECT is((SELECT concat_ws('|', budget, hot, note, region, "custom_fields.name", since, custom_fields) FROM test.by_query WHERE name = 'Жора'), '-18|true|Жора|''=south|nick|2026-01-31', 'their values; nothing is left');
DELETE FROM kvcrm.custom_field_definitions WHERE organization_id = test.id('b') AND key IN ('region', 'hot');
SELECT is((SELECT string_agg(key, ' ') FROM kvcrm.custom_field_definitions WHERE organization_id = test.id('b') AND entity = 'lead' AND key IN ('region', 'hot')), NULL, 'two definitions are gone');
SELECT kvcrm.leads_export_query(query => 'Жора') AS query \gset
CREATE TABLE test.by_other AS :query;
SELECT is((SELECT custom_fields FROM test.by_other), '{"hot": true, "region": "''=south"}', 'what has no definition is in custom_fields');
-- Arguments that could end the query.
SELECT kvcrm.leads_export_query(query => $q$it's "\ $$ ; --$q$, source => '''', custom_fields => '{"a''": "\"\\"}', include => '{deleted}') AS query \gset
CREATE TABLE test.by_hostile AS :query;
SELECT is((SELECT count(*) FROM test.by_hostile), 0::bigint, 'quoted arguments');

-- --- CSV ---

SELECT is(left(kvcrm.leads_export_csv(), 4), U&'\FEFFid,', 'a byte order mark');
SELECT is(left(kvcrm.leads_export_csv(separator => ';'), 8), U&'\FEFFid;name', 'a separator');
SELECT is(left(kvcrm.leads_export_csv(separator => E'\t', raw => true), 7), E'id\tname', 'raw: no byte order mark');
SELECT is(kvcrm.leads_export_csv(query => 'nobody at all', raw => true), E'id,name,email,phone,company,position,inn,source,stage,status,assigned_to,assignee,estimated_value,currency,score,lost_reason,created_at,updated_at,stage_entered_at,qualified_at,converted_at,converted_to_customer_id,merged_into_id,deleted_at,created_by,budget,note,custom_fields.name,since,custom_fields\r\n', 'a header alone');
SELECT matches(kvcrm.leads_export_csv('Жора'), E'\r\n[-0-9a-f]{36},Жора,''\\+18@firm.ru,,Жора,Жора,,,''=stage,new,[-0-9a-f]{36},''@owner,,RUB,0,''-,20[-0-9T:.+]+,20[-0-9T:.+]+,20[-0-9T:.+]+,,,,,,,-18,Жора,nick,2026-01-31,"{""hot"": true, ""region"": ""''=south""}"\r\n$', 'a line');
SELECT matches(kvcrm.leads_export_csv('a"b'), E',"a""b;c,d",', 'quoted cells');

-- --- there and back ---

SELECT test.keep('c', id) FROM kvcrm.create_organization('Gamma', 'en', owner_id => test.id('owner_b')) \g /dev/null
INSERT INTO kvcrm.custom_field_definitions (organization_id, entity, key, name, type, options, order_index)
SELECT test.id('c'), entity, key, name, type, options, order_index FROM kvcrm.custom_field_definitions WHERE organization_id = test.id('b');
UPDATE kvcrm.leads SET custom_fields = custom_fields - '{hot,region}'::text[], inn = '7707083893', phone = '+7 916 123-45-67', estimated_value = 1234.5, currency = 'EUR' WHERE organization_id = test.id('b');
UPDATE kvcrm.leads SET custom_fields = custom_fields || '{"budget": -0.125}', phone = 'see =card', estimated_value = NULL WHERE organization_id = test.id('b') AND name LIKE '%a%';
-- What a lead gets by itself, and what names somebody in another organization, is left out.
\set mapping '{"id": null, "stage": null, "status": null, "assigned_to": null, "assignee": null, "score": null, "lost_reason": null, "created_at": null, "updated_at": null, "stage_entered_at": null, "qualified_at": null, "converted_at": null, "converted_to_customer_id": null, "merged_into_id": null, "deleted_at": null, "created_by": null, "custom_fields": null}'
CREATE FUNCTION test.content(organization text, but text DEFAULT '') RETURNS SETOF jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('name', name, 'email', email, 'phone', phone, 'company', company, 'position', "position", 'inn', inn, 'source', source, 'value', estimated_value, 'currency', currency, 'fields', custom_fields)
      FROM kvcrm.leads WHERE organization_id = test.id(organization) AND deleted_at IS NULL AND email <> but ORDER BY email $$;
CREATE FUNCTION test.back(csv text, mapping jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM kvcrm.leads WHERE organization_id = test.id('c');
    RETURN (SELECT string_agg(DISTINCT concat_ws(': ', i.outcome, i.error), '; ') FROM kvcrm.import_leads_csv(csv, mapping, 'allow', organization_id => test.id('c')) i);
END $$;
SELECT unnest(ARRAY[is(test.back(kvcrm.leads_export_csv(separator => separator, raw => raw), :'mapping'), 'created', format('exported leads are imported: separator %L, raw: %s', separator, raw)),
       -- An apostrophe before what looks like a formula was put there by an export, to the import's knowledge.
       results_eq(format('SELECT test.content(%L, %L)', 'c', but), format('SELECT test.content(%L, %L)', 'b', but), 'and are what they were')])
  FROM unnest(ARRAY[',', ';', E'\t']) AS separator, (VALUES (false, ''), (true, '+6@firm.ru')) AS r (raw, but);

-- Through a file, as psql writes it.
SELECT 'COPY (' || kvcrm.leads_export_query() || ') TO STDOUT (FORMAT csv, HEADER)' AS copy \gset
\set file `mktemp`
\o :file
:copy;
\o
\set csv `cat :file; rm -f :file`
SELECT is(test.back(:'csv', :'mapping'), 'created', 'leads exported by COPY are imported');
SELECT results_eq($$ SELECT test.content('c') $$, $$ SELECT test.content('b') $$, 'and are what they were');
SELECT is((SELECT count(*) FROM test.content('c')), 21::bigint, 'all of them');
SELECT * FROM finish();
