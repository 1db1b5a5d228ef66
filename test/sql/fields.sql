-- Custom fields: definitions, values on every way into a table, required ones, conversion and back, the filter of list_leads.
\ir include/two_organizations.sql

CREATE FUNCTION test.define(entity text, key text, fields jsonb DEFAULT '{}', organization text DEFAULT 'a') RETURNS uuid LANGUAGE sql AS $$
    INSERT INTO kvcrm.custom_field_definitions (organization_id, entity, key, name, type, required, required_from_stage_id, options)
    VALUES (test.id(organization), entity, key, fields->>'name', coalesce(fields->>'type', 'text'), coalesce((fields->>'required')::boolean, false),
            (fields->>'from')::uuid, coalesce(ARRAY(SELECT jsonb_array_elements_text(fields->'options')), '{}')) RETURNING id $$;
-- A new lead with these custom fields.
CREATE FUNCTION test.lead(given jsonb, name text DEFAULT 'Лид') RETURNS uuid LANGUAGE sql AS $$
    SELECT l.id FROM kvcrm.create_lead(name, custom_fields => given, organization_id => test.id('a')) l $$;
CREATE FUNCTION test.fields(lead uuid) RETURNS jsonb LANGUAGE sql AS $$ SELECT l.custom_fields FROM kvcrm.leads l WHERE l.id = lead $$;
-- What writing these given into a lead says: null or the DETAIL.
CREATE FUNCTION test.refusal(lead uuid, given jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(nullif((e.x).detail, ''), (e.x).message) FROM (SELECT test.error_of(format('UPDATE kvcrm.leads SET custom_fields = %L WHERE id = %L', given, lead)) AS x) e $$;

-- --- what a definition may be ---

SELECT throws_ok(format('SELECT test.define(%L, %L, %L)', entity, key, fields), code, NULL, format('a definition is refused: %s %s %s', entity, left(key, 20), left(fields, 60)))
  FROM (VALUES ('person', 'x', '{}', '23514'), (NULL, 'x', '{}', '23502'), ('lead', NULL, '{}', '23514'), ('lead', '', '{}', '23514'), ('lead', 'Key', '{}', '23514'), ('lead', '1key', '{}', '23514'),
               ('lead', 'ключ', '{}', '23514'), ('lead', 'a-b', '{}', '23514'), ('lead', E'a\nb', '{}', '23514'), ('lead', repeat('k', 64), '{}', '23514'), ('lead', repeat('k', 101), '{}', '22001'),
               ('lead', 'x', '{"type": "money"}', '23514'), ('lead', 'x', '{"type": "select"}', '23514'), ('lead', 'x', '{"type": "text", "options": ["a"]}', '23514'),
               ('lead', 'x', '{"type": "select", "options": ["a", " a "]}', '23514'), ('lead', 'x', '{"type": "select", "options": ["a", ""]}', '23514'),
               ('lead', 'x', format('{"type": "select", "options": ["%s"]}', repeat('ж', 256)), '22001'),
               ('lead', 'x', format('{"type": "select", "options": [%s]}', (SELECT string_agg(format('"%s"', n), ',') FROM generate_series(1, 201) AS n)), '23514'),
               ('lead', 'x', format('{"name": "%s"}', repeat('ж', 101)), '22001'), ('lead', 'x', format('{"from": "%s"}', test.stage('a', 1)), '23514'),
               ('customer', 'x', format('{"from": "%s", "required": true}', test.stage('a', 1)), '23514'), ('lead', 'x', format('{"from": "%s", "required": true}', test.stage('b', 1)), '23503')) AS c (entity, key, fields, code);
SELECT test.keep('long', test.define('lead', repeat('k', 63), '{"type": "select", "options": [" a", "b "]}'));
SELECT is((SELECT row(name, options) FROM kvcrm.custom_field_definitions WHERE id = test.id('long')), row(repeat('k', 63), '{a,b}'::text[]), 'the key is the name by default; options are trimmed');
SELECT throws_ok(format('SELECT test.define(%L, %L)', 'lead', repeat('k', 63)), '23505', NULL, 'a key is unique in organization and entity');
SELECT lives_ok(format('SELECT test.define(%L, %L, organization => %L), test.define(%L, %1$L)', 'customer', 'kkk', 'b', 'quote'), 'but not across them');
SELECT throws_ok(format('UPDATE kvcrm.custom_field_definitions SET %s WHERE id = test.id(%L)', change, 'long'), '23514', NULL, 'never changes: ' || change)
  FROM unnest(ARRAY['key = ''x''', 'entity = ''quote''', 'organization_id = test.id(''b'')', 'id = kvcrm.uuid_v7()']) AS change;
DELETE FROM kvcrm.custom_field_definitions;

-- --- who reads and writes definitions ---

SELECT isnt(test.post('admin', '{"entity": "customer", "key": "tier", "type": "select", "options": ["A", "B"]}', 'kvcrm.custom_field_definitions'), NULL, 'an admin defines a field');
SELECT throws_ok(format('SELECT test.post(%L, %L, %L)', who, '{"entity": "lead", "key": "x", "type": "text"}', 'kvcrm.custom_field_definitions'), '42501', NULL, who || ' doesn''t')
  FROM unnest(ARRAY['manager', 'rep', 'suspended', 'stranger']) AS who;
SELECT is(test.as_user(who, 'SELECT count(*) FROM kvcrm.custom_field_definitions'), n, who || ' reads them')
  FROM (VALUES ('rep', '1'), ('manager', '1'), ('owner_b', '0'), ('suspended', '0'), ('stranger', '0')) AS c (who, n);
SELECT is(test.as_user('rep', 'WITH d AS (DELETE FROM kvcrm.custom_field_definitions RETURNING 1) SELECT count(*) FROM d'), '0', 'a rep deletes none');
SELECT is(test.as_user('admin', 'WITH d AS (DELETE FROM kvcrm.custom_field_definitions RETURNING 1) SELECT count(*) FROM d'), '1', 'an admin does');
SELECT is((SELECT string_agg(action || ' ' || (actor_id = test.id('admin')), ', ' ORDER BY id) FROM kvcrm.activity_logs WHERE entity_type = 'field' AND changes ? 'key' AND changes->'key' @> '{"new": "tier"}' OR changes->'key' @> '{"old": "tier"}'),
          'created true, deleted true', 'the log tells who did');
-- A count of values would tell a stranger what there is.
SELECT test.keep('told', test.lead('{"plan": "x"}'));
SELECT throws_ok(format('SELECT test.post(%L, %L, %L)', who, '{"organization_id": "' || test.id('a') || '", "entity": "lead", "key": "plan", "type": "number"}', 'kvcrm.custom_field_definitions'), '42501', NULL, who || ' learns nothing from values')
  FROM unnest(ARRAY['rep', 'owner_b', 'stranger']) AS who;

-- --- values ---

-- An organization without definitions takes every object.
SELECT is(test.fields(test.lead('{"any": {"thing": [1, null]}}')), '{"any": {"thing": [1, null]}}', 'without definitions every object does');
SELECT test.keep('old', test.lead('{"legacy": 1, "gone": "x"}'));
SELECT test.keep('budget', test.define('lead', 'budget', '{"type": "number"}')), test.keep('note', test.define('lead', 'note')), test.keep('vip', test.define('lead', 'vip', '{"type": "boolean"}')),
       test.keep('start', test.define('lead', 'start', '{"type": "date"}')), test.keep('region', test.define('lead', 'region', '{"type": "select", "options": ["север", "юг", " с пробелом "]}'));
SELECT test.keep('lead', test.lead('{"budget": 5}'));
SELECT is(test.refusal(test.id('lead'), jsonb_build_object(key, value::jsonb)) IS NULL, fits, format('%s %s: %s', CASE WHEN fits THEN 'fits' ELSE 'doesn''t fit' END, key, left(value, 30)))
  FROM (VALUES ('budget', '1', true), ('budget', '-1.5e300', true), ('budget', '"1"', false), ('budget', 'true', false), ('budget', '[1]', false), ('budget', '{"a": 1}', false), ('budget', '""', false),
               ('note', '"x"', true), ('note', '""', true), ('note', '1', false), ('note', '["x"]', false), ('note', to_json(repeat('ж', 20000))::text, true), ('note', to_json(repeat('ж', 20001))::text, false),
               ('vip', 'true', true), ('vip', 'false', true), ('vip', '"true"', false), ('vip', '1', false),
               ('start', '"2026-02-28"', true), ('start', '"2024-02-29"', true), ('start', '"2000-02-29"', true), ('start', '"1900-02-29"', false), ('start', '"2026-02-29"', false), ('start', '"2026-04-31"', false),
               ('start', '"2026-13-01"', false), ('start', '"2026-00-10"', false), ('start', '"2026-01-00"', false), ('start', '"0000-01-01"', false), ('start', '"2026-1-1"', false), ('start', '"01.02.2026"', false),
               ('start', '"2026-01-01T00:00:00Z"', false), ('start', '"+026-01-01"', false), ('start', '"tomorrow"', false), ('start', '20260101', false), ('start', '"infinity"', false),
               ('region', '"север"', true), ('region', '"с пробелом"', true), ('region', '"Север"', false), ('region', '" север"', false), ('region', '""', false), ('region', '["север"]', false), ('region', '1', false)) AS c (key, value, fits);
SELECT is(test.refusal(test.id('lead'), jsonb_build_object(key, NULL)), NULL, 'null is no value: ' || key) FROM unnest(ARRAY['budget', 'note', 'vip', 'start', 'region']) AS key;

SELECT is(row((e).code, (e).column_name, (e).detail), row('23514'::text, 'custom_fields'::text,
          '"vip" must be true or false; "note" must be a text of at most 20000 characters; "start" must be a date such as "2026-12-31"; "budget" must be a number; "region" must be one of "север", "юг", "с пробелом"; "unknown" is not defined.'::text),
          'all violations at once, each with field and rule')
  FROM (SELECT test.error_of(format('INSERT INTO kvcrm.leads (organization_id, name, custom_fields) VALUES (test.id(%L), %L, %L)', 'a', 'x',
        '{"budget": "1", "note": 1, "vip": 1, "start": "1", "region": "x", "unknown": 1}'))) AS x (e);
SELECT is((e).detail, (SELECT string_agg(format('"k%s" is not defined', lpad(n::text, 2, '0')), '; ') FROM generate_series(1, 20) AS n) || '; and 5 more.', 'but no more than twenty')
  FROM (SELECT test.error_of(format('SELECT test.lead(%L)', (SELECT jsonb_object_agg('k' || lpad(n::text, 2, '0'), 1) FROM generate_series(1, 25) AS n)))) AS x (e);
SELECT is((e).detail, format('"a?b" is not defined; "%s..." is not defined.', repeat('k', 63)), 'and no key at length')
  FROM (SELECT test.error_of(format('SELECT test.lead(%L)', jsonb_build_object(E'a\nb', 1, repeat('k', 1000), 1)))) AS x (e);
-- By every way in.
SELECT throws_ok(format('SELECT test.post(%L, %L)', 'rep', '{"name": "x", "custom_fields": {"budget": "1"}}'), '23514', NULL, 'POST');
SELECT throws_ok(format('SELECT test.patch(%L, test.id(%L), %L)', 'manager', 'lead', '{"custom_fields": {"budget": "1"}}'), '23514', NULL, 'PATCH');
SELECT throws_ok(format('SELECT test.as_user(%L, %L)', 'rep', $$ SELECT kvcrm.create_lead('x', custom_fields => '{"budget": "1"}') $$), '23514', NULL, 'create_lead');
SELECT is((SELECT string_agg(outcome, ',' ORDER BY row_no) FROM kvcrm.import_leads('[{"name": "x", "custom_fields": {"budget": "1"}}, {"name": "y", "custom_fields": {"budget": 1}}]', organization_id => test.id('a'))), 'error,created', 'import_leads: only the row');
SELECT is(test.fields(l.id), '{"vip": true, "budget": 7}', 'what fits is kept as it is') FROM kvcrm.create_lead('x', custom_fields => '{"budget": 7, "vip": true}', organization_id => test.id('a')) l;
SELECT lives_ok($$ SELECT kvcrm.create_lead('x', custom_fields => '{"budget": "1"}', organization_id => test.id('b')) $$, 'another organization has its own fields');

-- Keys from before: they stay, and go, but don't change.
SELECT is(test.refusal(test.id('old'), '{"legacy": 1, "gone": "x", "budget": 1}'), NULL, 'a key without definition that was there stays');
SELECT is(test.refusal(test.id('old'), '{"legacy": 1, "budget": 1}'), NULL, 'or goes');
SELECT is(test.refusal(test.id('old'), '{"legacy": 2, "budget": 1}'), '"legacy" is not defined.', 'but doesn''t change');
SELECT is(test.refusal(test.id('old'), '{"legacy": 1, "gone": "x"}'), '"gone" is not defined.', 'nor comes back');
SELECT is(test.refusal(test.id('old'), '{"legacy": 1.0, "budget": 1}'), NULL, 'equal values are no change');

-- --- definitions in use ---

SELECT test.refusal(test.id('lead'), '{"budget": 5, "note": "2026-01-01", "region": "юг"}');
SELECT is((e).detail, 'Field "budget" of 4 leads: it must be true or false.', 'a type changes only while all values fit the new one; the DETAIL counts those that don''t')
  FROM (SELECT test.error_of($$ UPDATE kvcrm.custom_field_definitions SET type = 'boolean' WHERE id = test.id('budget') $$)) AS x (e);
SELECT is(row((e).code, (e).column_name, (e).detail), row('23514'::text, 'options'::text, 'Field "region" of 1 lead: it must be one of "север".'::text), 'an option in use stays')
  FROM (SELECT test.error_of($$ UPDATE kvcrm.custom_field_definitions SET options = '{север}' WHERE id = test.id('region') $$)) AS x (e);
SELECT lives_ok($$ UPDATE kvcrm.custom_field_definitions SET options = '{юг,запад}' WHERE id = test.id('region') $$, 'others go and come');
SELECT is(test.refusal(test.id('lead'), '{"region": "запад"}'), NULL, 'and count at once');
SELECT is(test.refusal(test.id('lead'), '{"region": "север"}'), '"region" must be one of "юг", "запад".', 'in both directions');
SELECT test.refusal(test.id('lead'), '{"note": "2026-01-01"}');
SELECT lives_ok($$ UPDATE kvcrm.custom_field_definitions SET type = 'date' WHERE id = test.id('note') $$, 'texts that are all dates become dates');
SELECT is(test.refusal(test.id('lead'), '{"note": "x"}'), '"note" must be a date such as "2026-12-31".', 'and no others then');
SELECT throws_ok($$ SELECT test.define('lead', 'plan', '{"type": "number"}') $$, '23514', NULL, 'values that are there already must fit a new definition');
SELECT lives_ok($$ SELECT test.keep('plan', test.define('lead', 'plan')) $$, 'which these do');
SELECT kvcrm.delete_lead(test.id('told')) IS NOT NULL;
SELECT throws_ok($$ UPDATE kvcrm.custom_field_definitions SET type = 'number' WHERE id = test.id('plan') $$, '23514', NULL, 'leads that are gone from the lists count too');
-- Deleting one keeps the values.
DELETE FROM kvcrm.custom_field_definitions WHERE id = test.id('plan');
SELECT is(test.fields(test.id('told')), '{"plan": "x"}', 'values outlive their definition');
SELECT lives_ok($$ DO $do$ BEGIN PERFORM kvcrm.restore_lead(test.id('told')); END $do$ $$, 'their lead can be written');
INSERT INTO kvcrm.lead_stage_transitions (organization_id, from_stage_id, to_stage_id, required_fields) VALUES (test.id('a'), test.stage('a', 1), test.stage('a', 2), '{custom_fields.vip}');
SELECT is((e).detail, 'Required by the rules for moves.', 'a field that a rule for moves requires stays')
  FROM (SELECT test.error_of($$ DELETE FROM kvcrm.custom_field_definitions WHERE id = test.id('vip') $$)) AS x (e);
DELETE FROM kvcrm.lead_stage_transitions;
UPDATE kvcrm.organizations SET settings = '{"conversion_required": ["name", "email|custom_fields.vip"]}' WHERE id = test.id('a');
SELECT is((e).detail, 'Required by the setting conversion_required.', 'so does one that conversion requires')
  FROM (SELECT test.error_of($$ DELETE FROM kvcrm.custom_field_definitions WHERE id = test.id('vip') $$)) AS x (e);
UPDATE kvcrm.organizations SET settings = '{"conversion_required": ["name"]}' WHERE id = test.id('a');
SELECT lives_ok($$ DELETE FROM kvcrm.custom_field_definitions WHERE id = test.id('vip') $$, 'then it goes');
-- A change that is rolled back never was.
BEGIN;
SELECT test.define('lead', 'shortlived');
SELECT is(test.refusal(test.id('lead'), '{"shortlived": "x"}'), NULL, 'a definition counts in its own transaction');
ROLLBACK;
SELECT is(test.refusal(test.id('lead'), '{"shortlived": "x"}'), '"shortlived" is not defined.', 'and not when that is rolled back');
DO $$ BEGIN
    BEGIN
        DELETE FROM kvcrm.custom_field_definitions WHERE id = test.id('budget');
        PERFORM test.refusal(test.id('lead'), '{"budget": 1}');
        RAISE EXCEPTION 'undo';
    EXCEPTION WHEN raise_exception THEN NULL;
    END;
END $$;
SELECT is(test.refusal(test.id('lead'), '{"budget": 1}'), NULL, 'nor a deletion in a sub-transaction that is');

-- --- required ---

UPDATE kvcrm.custom_field_definitions SET required = true WHERE id = test.id('budget');
SELECT is((test.error_of(format('SELECT test.lead(%L)', values))).detail, '"budget" is required.', 'required: ' || values) FROM unnest(ARRAY['{}', '{"budget": null}', '{"region": "юг"}']) AS values;
SELECT is((test.error_of($$ INSERT INTO kvcrm.leads (organization_id, name) VALUES (test.id('a'), 'x') $$)).detail, '"budget" is required.', 'required without a word about custom_fields');
SELECT is(test.refusal(test.id('lead'), '{"region": "x"}'), '"region" must be one of "юг", "запад"; "budget" is required.', 'misfits and what is missing in one');
SELECT test.keep('lacking', id) FROM kvcrm.leads WHERE organization_id = test.id('a') AND NOT custom_fields ? 'budget' AND custom_fields <> '{}' LIMIT 1;
SELECT lives_ok($$ UPDATE kvcrm.leads SET name = 'Другой' WHERE id = test.id('lacking') $$, 'a lead from before can change otherwise');
SELECT is(test.refusal(test.id('lacking'), '{"region": "юг"}'), '"budget" is required.', 'but not its custom fields without it');
SELECT is((test.error_of(format('SELECT kvcrm.move_lead(test.id(%L), %L)', 'lacking', test.stage('a', 2)))).detail, '"budget" is required.', 'nor move on');
SELECT lives_ok(format('SELECT kvcrm.move_lead(test.id(%L), %L, lost_reason => %L)', 'lacking', test.stage('a', 5), 'дорого'), 'it can be lost');
SELECT lives_ok(format('SELECT kvcrm.delete_lead(test.id(%L))', 'lacking'), 'and deleted');
UPDATE kvcrm.custom_field_definitions SET required = false WHERE id = test.id('budget');
SELECT test.keep('signed', test.define('lead', 'signed', jsonb_build_object('type', 'text', 'required', true, 'from', test.stage('a', 3))));
SELECT test.keep('fresh', test.lead('{}'));
SELECT lives_ok(format('SELECT kvcrm.move_lead(test.id(%L), %L)', 'fresh', test.stage('a', 2)), 'required from a stage on: not before');
SELECT is((test.error_of(format('SELECT kvcrm.move_lead(test.id(%L), %L)', 'fresh', test.stage('a', n)))).detail, '"signed" is required in this stage.', 'but in it and beyond: ' || n) FROM unnest(ARRAY[3, 4]) AS n;
SELECT is((test.error_of(format('SELECT test.patch(%L, test.id(%L), %L)', 'manager', 'fresh', jsonb_build_object('stage_id', test.stage('a', 3), 'custom_fields', '{"signed": "  "}'::jsonb)))).detail, '"signed" is required in this stage.', 'a blank text is none');
SELECT lives_ok(format('SELECT kvcrm.move_lead(test.id(%L), %L, lost_reason => %L)', 'fresh', test.stage('a', 5), 'x'), 'a lost stage behind it doesn''t need it');
SELECT lives_ok(format('SELECT test.patch(%L, test.id(%L), %L)', 'manager', 'fresh', jsonb_build_object('stage_id', test.stage('a', 3), 'custom_fields', '{"signed": "да"}'::jsonb)), 'with it the lead moves');
SELECT is(test.refusal(test.id('fresh'), '{}'), '"signed" is required in this stage.', 'and keeps it');
SELECT kvcrm.move_lead(test.id('fresh'), test.stage('a', 1)) IS NOT NULL;
SELECT is(test.refusal(test.id('fresh'), '{}'), NULL, 'until it is back');
SELECT is((e).code, '23514', 'a stage from which a field is required stays') FROM (SELECT test.error_of(format('SELECT kvcrm.delete_stage(%L, %L, organization_id => test.id(%L))', test.stage('a', 3), test.stage('a', 2), 'a'))) AS x (e);
UPDATE kvcrm.lead_stages SET order_index = 0 WHERE id = test.stage('a', 3);
SELECT is((test.error_of(format('SELECT kvcrm.move_lead(test.id(%L), %L)', 'fresh', (SELECT id FROM kvcrm.lead_stages WHERE organization_id = test.id('a') AND name = 'Контакт установлен')))).detail, '"signed" is required in this stage.', 'the order is the pipeline''s as it is');
UPDATE kvcrm.lead_stages SET order_index = 3 WHERE organization_id = test.id('a') AND order_index = 0;
UPDATE kvcrm.custom_field_definitions SET required_from_stage_id = test.stage('a', 5) WHERE id = test.id('signed');
SELECT is((test.error_of(format('SELECT kvcrm.move_lead(test.id(%L), %L, lost_reason => %L)', 'fresh', test.stage('a', 5), 'x'))).detail, '"signed" is required in this stage.', 'a lost stage needs what is required from itself');

-- --- conversion ---

DELETE FROM kvcrm.custom_field_definitions;
SELECT test.define('lead', 'budget', '{"type": "number"}'), test.define('lead', 'region'), test.define('lead', 'inner'), test.define('lead', 'size');
SELECT test.define('customer', 'budget', '{"type": "number"}'), test.define('customer', 'region', '{"type": "select", "options": ["юг", "север"]}'), test.define('customer', 'size', '{"type": "number"}');
CREATE FUNCTION test.customer_fields(lead text) RETURNS jsonb LANGUAGE sql AS $$ SELECT c.custom_fields FROM kvcrm.leads l JOIN kvcrm.customers c ON c.id = l.converted_to_customer_id WHERE l.id = test.id(lead) $$;
SELECT test.keep('first', l.id) FROM kvcrm.create_lead('Иван', 'ivan@firma.ru', inn => '7707083893', custom_fields => '{"budget": 5, "region": "юг", "inner": "x", "size": "большой"}', organization_id => test.id('a')) l;
SELECT is(kvcrm.preview_conversion(test.id('first'))->'customer'->'custom_fields', '{"budget": 5, "region": "юг"}', 'the preview shows what is carried');
SELECT kvcrm.qualify_lead(test.id('first')) IS NOT NULL;
SELECT is(test.customer_fields('first'), '{"budget": 5, "region": "юг"}', 'a new customer gets the fields customers have; what doesn''t fit stays with the lead');
SELECT test.keep('second', l.id) FROM kvcrm.create_lead('Пётр', 'petr@firma.ru', inn => '7707083893', custom_fields => '{"budget": 9, "region": "север"}', organization_id => test.id('a')) l;
UPDATE kvcrm.customers SET custom_fields = '{"region": null, "budget": 7}' WHERE inn = '7707083893';
SELECT is(kvcrm.preview_conversion(test.id('second'))->'filled'->'custom_fields', '{"region": "север"}', 'linking: the preview tells which fields it fills');
SELECT kvcrm.qualify_lead(test.id('second')) IS NOT NULL;
SELECT is(test.customer_fields('second'), '{"budget": 7, "region": "север"}', 'linking fills blanks and overwrites nothing');
SELECT kvcrm.revert_conversion(test.id('second')) IS NOT NULL;
SELECT is(c.custom_fields, '{"budget": 7}', 'reverting takes back what was filled') FROM kvcrm.customers c WHERE inn = '7707083893';
SELECT kvcrm.qualify_lead(test.id('second')) IS NOT NULL;
UPDATE kvcrm.customers SET custom_fields = custom_fields || '{"region": "юг"}' WHERE inn = '7707083893';
SELECT kvcrm.revert_conversion(test.id('second')) IS NOT NULL;
SELECT is(c.custom_fields, '{"budget": 7, "region": "юг"}', 'but not what somebody changed since') FROM kvcrm.customers c WHERE inn = '7707083893';
UPDATE kvcrm.customers SET custom_fields = '{}' WHERE inn = '7707083893';
SELECT kvcrm.qualify_lead(test.id('second')) IS NOT NULL;
UPDATE kvcrm.custom_field_definitions SET required = true WHERE entity = 'customer' AND key = 'budget';
SELECT lives_ok($$ SELECT kvcrm.revert_conversion(test.id('second')) $$, 'what became required doesn''t stand in the way of undo');
SELECT is(c.custom_fields, '{}', 'which takes it back') FROM kvcrm.customers c WHERE inn = '7707083893';
SELECT test.keep('third', test.lead('{}', 'Третий'));
SELECT is(row((e).code, (e).detail), row('23514'::text, '"budget" is required.'::text), 'a new customer needs what customers need') FROM (SELECT test.error_of($$ SELECT kvcrm.qualify_lead(test.id('third')) $$)) AS x (e);
SELECT is((SELECT converted_at FROM kvcrm.leads WHERE id = test.id('third')), NULL, 'and without it nothing happened');
UPDATE kvcrm.leads SET custom_fields = '{"budget": 1}' WHERE id = test.id('third');
SELECT lives_ok($$ SELECT kvcrm.qualify_lead(test.id('third')) $$, 'the lead brings it');
SELECT throws_ok(format('INSERT INTO kvcrm.customers (organization_id, name, custom_fields) VALUES (test.id(%L), %L, %L)', 'a', 'x', fields), '23514', NULL, 'customers are held to their fields: ' || fields)
  FROM unnest(ARRAY['{}', '{"budget": "1"}', '{"budget": 1, "inner": "x"}', '{"budget": 1, "region": "запад"}']) AS fields;
SELECT is((test.error_of(format('SELECT test.post(%L, %L, %L)', 'stranger', jsonb_build_object('organization_id', test.id('a'), 'name', 'x'), 'kvcrm.customers'))).code, '42501', 'a stranger doesn''t learn them');
UPDATE kvcrm.custom_field_definitions SET required = true, required_from_stage_id = test.stage('a', 3) WHERE entity = 'lead' AND key = 'inner';
SELECT test.keep('fourth', test.lead('{"budget": 1}', 'Четвёртый'));
SELECT lives_ok($$ SELECT kvcrm.qualify_lead(test.id('fourth')) $$, 'a conversion has requirements of its own, not the stage''s');
SELECT lives_ok(format('SELECT kvcrm.move_lead(test.id(%L), %L)', 'fourth', test.stage('a', 4)), 'and its lead, whose fields are fixed, moves on');

-- --- merging ---

UPDATE kvcrm.leads SET custom_fields = '{}' WHERE organization_id = test.id('b');
SELECT test.keep('legacy', l.id) FROM kvcrm.create_lead('Старый', organization_id => test.id('b'), custom_fields => '{"legacy": 1, "budget": 3, "region": "юг"}') l;
SELECT test.keep('survivor', l.id) FROM kvcrm.create_lead('Новый', organization_id => test.id('b'), custom_fields => '{"region": null, "budget": 2}') l;
DELETE FROM kvcrm.custom_field_definitions WHERE organization_id = test.id('b');
SELECT test.define('lead', 'budget', '{"type": "number"}', 'b'), test.define('lead', 'region', '{}', 'b'), test.define('lead', 'needed', '{"required": true}', 'b');
SELECT throws_ok(format('SELECT kvcrm.merge_leads(test.id(%L), ARRAY[test.id(%L)], %L)', 'survivor', 'legacy', choices), '23514', NULL, 'what a merge is told to write must fit: ' || choices)
  FROM unnest(ARRAY['{"custom_fields": {"budget": "x", "needed": "x"}}', '{"custom_fields": {"typo": 1, "needed": "x"}}', '{"custom_fields": {"budget": 1}}']) AS choices;
SELECT kvcrm.merge_leads(test.id('survivor'), ARRAY[test.id('legacy')]) IS NOT NULL;
SELECT is(test.fields(test.id('survivor')), '{"budget": 2, "legacy": 1, "region": "юг"}', 'a merge fills blanks key by key, with keys of before too, though something is required by now');
SELECT count(*) FROM kvcrm.lead_merges m, kvcrm.undo_merge(m.id, test.id('b')) WHERE m.survivor_id = test.id('survivor');
SELECT is(test.fields(test.id('survivor')), '{"region": null, "budget": 2}', 'undoing takes them back');
-- Erasing empties what is required, of quotes that were sent too.
SELECT test.define('quote', 'terms', '{"required": true}', 'b');
INSERT INTO kvcrm.quotes (organization_id, lead_id, title, amount, status, custom_fields) VALUES (test.id('b'), test.id('survivor'), 'Q', 1, 'sent', '{"terms": "30 дней"}');
UPDATE kvcrm.leads SET custom_fields = '{"needed": "Иван", "budget": 2}' WHERE id = test.id('survivor');
SELECT lives_ok($$ SELECT kvcrm.erase_lead(test.id('survivor')) $$, 'required fields don''t stand in the way of erasing');
SELECT is(row(l.custom_fields, q.custom_fields, (SELECT count(*) FROM kvcrm.lead_field_keys WHERE id = l.id)), row('{}'::jsonb, '{}'::jsonb, 0::bigint), 'which takes them, and from the index')
  FROM kvcrm.leads l JOIN kvcrm.quotes q ON q.lead_id = l.id WHERE l.id = test.id('survivor');
DELETE FROM kvcrm.custom_field_definitions WHERE organization_id = test.id('b');

-- --- quotes ---

SELECT test.define('quote', 'terms', '{"required": true}'), test.define('quote', 'days', '{"type": "number"}');
SELECT test.keep('quote', q.id) FROM kvcrm.create_quote_from_lead(test.id('fourth'), 'Предложение', 100) q;
SELECT is((test.error_of($$ UPDATE kvcrm.quotes SET custom_fields = '{"days": "x"}' WHERE id = test.id('quote') $$)).detail, '"days" must be a number.', 'quotes are held to their fields; a draft may lack required ones');
SELECT is((test.error_of($$ UPDATE kvcrm.quotes SET status = 'sent' WHERE id = test.id('quote') $$)).detail, '"terms" is required.', 'which it needs to be sent');
UPDATE kvcrm.quotes SET custom_fields = '{"days": 5, "terms": "30 дней"}' WHERE id = test.id('quote');
SELECT lives_ok($$ UPDATE kvcrm.quotes SET status = 'sent' WHERE id = test.id('quote') $$, 'with them it is');
SELECT throws_ok($$ UPDATE kvcrm.custom_field_definitions SET type = 'text' WHERE entity = 'quote' AND key = 'days' $$, '23514', NULL, 'values of quotes keep a type too');

-- --- the filter ---

DELETE FROM kvcrm.custom_field_definitions;
INSERT INTO kvcrm.leads (organization_id, name, assigned_to, custom_fields, created_at)
SELECT test.id('b'), 'Lead ' || n, CASE n % 2 WHEN 0 THEN test.id('rep_b') END,
       CASE WHEN n % 10 > 0 THEN jsonb_strip_nulls(jsonb_build_object('n', n % 700, 'half', n % 2, 'old', CASE WHEN n < 40 THEN true END, 'nested', jsonb_build_object('deep', jsonb_build_array(n % 300)))) ELSE '{}' END,
       '2026-01-01'::timestamptz + n / 3 * interval '1 minute'
  FROM generate_series(1, 3000) AS n;
CREATE FUNCTION test.found(who text, arguments text) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    answer uuid[];
BEGIN
    PERFORM set_config('kvcrm.user_id', test.id(who)::text, true);
    EXECUTE format('SELECT array_agg(id) FROM kvcrm.list_leads(%s, page_size => 1000, organization_id => test.id(%L))', arguments, 'b') INTO answer;
    PERFORM set_config('kvcrm.user_id', '', true);
    RETURN coalesce(answer, '{}');
END
$$;
SELECT is(test.found(who, format('custom_fields => %L, sort => %L', filter, sort)),
          coalesce((SELECT array_agg(id ORDER BY CASE sort WHEN 'name' THEN name END, CASE sort WHEN 'oldest' THEN created_at END, CASE sort WHEN 'oldest' THEN id END, CASE WHEN sort = 'newest' THEN created_at END DESC, id DESC)
              FROM (SELECT * FROM kvcrm.leads WHERE organization_id = test.id('b') AND deleted_at IS NULL AND (who = 'owner_b' OR assigned_to = test.id('rep_b')) AND custom_fields @> filter::jsonb
                     ORDER BY CASE sort WHEN 'name' THEN name END, CASE sort WHEN 'oldest' THEN created_at END, CASE sort WHEN 'oldest' THEN id END, CASE WHEN sort = 'newest' THEN created_at END DESC, id DESC LIMIT 1000) l), '{}'),
          format('%s, %s: %s', who, sort, filter))
  FROM unnest(ARRAY['owner_b', 'rep_b']) AS who, unnest(ARRAY['newest', 'oldest', 'name']) AS sort,
       unnest(ARRAY['{"n": 5}', '{"n": 5.0}', '{"n": "5"}', '{"n": 5, "half": 1}', '{"half": 0}', '{"old": true}', '{"nested": {"deep": [7]}}', '{"nested": {}}', '{}', '{"none": null}', '[]', '5']) AS filter;
SELECT is((SELECT count(*) FROM kvcrm.list_leads(query => 'lead 1', custom_fields => '{"old": true}', organization_id => test.id('b'))), 12::bigint, 'with a query');
SELECT is((SELECT array_agg(kvcrm.count_leads(custom_fields => filter::jsonb, organization_id => test.id('b')) ORDER BY n) FROM unnest(ARRAY['{"n": 5}', '{"half": 0}', '{"old": true}', '{"n": -1}']) WITH ORDINALITY AS f (filter, n)),
          (SELECT array_agg((SELECT count(*) FROM kvcrm.leads WHERE organization_id = test.id('b') AND custom_fields @> filter::jsonb) ORDER BY n) FROM unnest(ARRAY['{"n": 5}', '{"half": 0}', '{"old": true}', '{"n": -1}']) WITH ORDINALITY AS f (filter, n)), 'count_leads agrees');
SELECT is((SELECT count(*) FROM kvcrm.list_leads(query => 'none', custom_fields => '{"old": true}', organization_id => test.id('b'))), 0::bigint, 'a query that nothing matches');
-- Later pages.
CREATE TABLE test.page AS SELECT id, row_number() OVER () AS n FROM kvcrm.list_leads(custom_fields => '{"old": true}', page_size => 15, organization_id => test.id('b'));
SELECT is((SELECT array_agg(id) FROM kvcrm.list_leads(custom_fields => '{"old": true}', after_lead_id => (SELECT id FROM test.page ORDER BY n DESC LIMIT 1), organization_id => test.id('b'))),
          (SELECT array_agg(id ORDER BY created_at DESC, id DESC) FROM (SELECT id, created_at FROM kvcrm.leads WHERE organization_id = test.id('b') AND custom_fields @> '{"old": true}' ORDER BY created_at DESC, id DESC OFFSET 15) l), 'the next page goes on where the last one ended');
-- The index follows.
SELECT test.keep('indexed', id) FROM kvcrm.leads WHERE organization_id = test.id('b') AND custom_fields @> '{"n": 5}' LIMIT 1;
CREATE FUNCTION test.indexed() RETURNS boolean LANGUAGE sql AS $$ SELECT test.id('indexed') = ANY (test.found('owner_b', $f$ custom_fields => '{"n": 4711}' $f$)) $$;
UPDATE kvcrm.leads SET custom_fields = '{"n": 4711}' WHERE id = test.id('indexed');
SELECT ok(test.indexed(), 'a changed field is found');
UPDATE kvcrm.leads SET custom_fields = '{"n": 1}' WHERE id = test.id('indexed');
SELECT ok(NOT test.indexed(), 'and not where it was');
UPDATE kvcrm.leads SET custom_fields = '{}' WHERE id = test.id('indexed');
SELECT is((SELECT count(*) FROM kvcrm.lead_field_keys WHERE id = test.id('indexed')), 0::bigint, 'a lead without fields has no row');
UPDATE kvcrm.leads SET custom_fields = '{"n": 4711}' WHERE id = test.id('indexed');
SELECT ok(test.indexed(), 'and gets one with its first');
SELECT throws_ok($$ UPDATE kvcrm.lead_field_keys SET organization_id = test.id('a') $$, '23514', NULL, 'its organization never changes');
SELECT is((SELECT count(*) FROM kvcrm.list_leads(custom_fields => '{"n": 4711}', organization_id => test.id('a'))), 0::bigint, 'another organization doesn''t see it');
SELECT is(array_agg(DISTINCT k.id), array_agg(DISTINCT l.id), 'every lead with fields is in the index, and no other') FROM kvcrm.lead_field_keys k FULL JOIN (SELECT * FROM kvcrm.leads WHERE custom_fields <> '{}') l USING (id);

-- --- options that are no plain list ---

INSERT INTO kvcrm.custom_field_definitions (organization_id, entity, key, type, options) VALUES
    (test.id('b'), 'quote', 'nulls', 'select', ARRAY['north', NULL]), (test.id('b'), 'quote', 'rows', 'select', ARRAY[['north', 'south'], ['east', 'west']]);
SELECT is((SELECT array_agg(options::text ORDER BY key) FROM kvcrm.custom_field_definitions WHERE organization_id = test.id('b') AND key IN ('nulls', 'rows')),
    '{"{north}","{north,south,east,west}"}', 'nulls are no options, and rows of options are one list');
SELECT throws_ok($$ INSERT INTO kvcrm.custom_field_definitions (organization_id, entity, key, type, options) VALUES (test.id('b'), 'quote', 'none', 'select', ARRAY[NULL]::text[]) $$,
    '23514', NULL, 'a select of nothing but nulls has no options');

-- --- a definition and values in one statement ---

SELECT throws_ok(format($$ WITH d AS (%s RETURNING organization_id) INSERT INTO kvcrm.leads (organization_id, name, custom_fields) SELECT organization_id, 'At once', '{"at_once": "five"}' FROM d $$, definition), '23514', 'lead custom_fields don''t fit their definitions', 'a lead goes by what the same statement has just done: ' || definition)
  FROM unnest(ARRAY['INSERT INTO kvcrm.custom_field_definitions (organization_id, entity, key, type) VALUES (test.id(''b''), ''lead'', ''at_once'', ''number'')',
                    'INSERT INTO kvcrm.custom_field_definitions (organization_id, entity, key, type, required) VALUES (test.id(''b''), ''lead'', ''another'', ''number'', true)']) AS definition;
SELECT lives_ok($$ INSERT INTO kvcrm.leads (organization_id, name, custom_fields) VALUES (test.id('b'), 'At once', '{"at_once": "five"}') $$, 'what was undone binds nobody');
SELECT throws_ok($$ WITH l AS (INSERT INTO kvcrm.leads (organization_id, name, custom_fields) VALUES (test.id('b'), 'At once', '{"at_once": "six"}') RETURNING organization_id)
    INSERT INTO kvcrm.custom_field_definitions (organization_id, entity, key, type) SELECT organization_id, 'lead', 'at_once', 'number' FROM l $$, '23514', 'values in use don''t fit the definition', 'nor does a definition come too late');

-- --- export ---

SELECT test.keep('export', id) FROM kvcrm.create_organization('Export', 'en', owner_id => test.id('stranger'));
INSERT INTO kvcrm.custom_field_definitions (organization_id, entity, key, type) VALUES (test.id('export'), 'lead', 'region', 'text');
SELECT kvcrm.create_lead('Exported', custom_fields => '{"region": "north"}', organization_id => test.id('export')) IS NOT NULL \g /dev/null
SELECT is(test.as_user('stranger', $$ SELECT string_agg(concat_ws(',', e.name, e.region), ';') FROM (SELECT name, custom_fields ->> 'region' AS region FROM kvcrm.list_leads()) e $$),
          'Exported,north', 'a client reads fields as columns, of its own organization''s leads');
SELECT * FROM finish();
