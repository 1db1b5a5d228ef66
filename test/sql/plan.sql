-- The test list of the plan that the product grew from (its chapter 8), by name: unit tests, integration flows, manual
-- checklist. The suites of the subjects test each of these things in full.
\ir include/two_organizations.sql

-- What a user's list shows: list_leads with arguments, as names in order.
CREATE FUNCTION test.list(who text, arguments text DEFAULT '') RETURNS text LANGUAGE sql AS $$
    SELECT test.as_user(who, format('SELECT string_agg(name, '', '' ORDER BY name) FROM kvcrm.list_leads(%s)', arguments)) $$;
CREATE FUNCTION test.timeline(who text, lead text) RETURNS text LANGUAGE sql AS $$
    SELECT test.as_user(who, format('SELECT string_agg(t.kind || '':'' || coalesce(t.title, ''''), '' '' ORDER BY t.at DESC) FROM kvcrm.lead_timeline(test.id(%L)) t', lead)) $$;

-- --- test_leads_crud: create, read, update, delete ---

SELECT test.keep('crud', (test.post('manager', '{"name": "Иван Петров", "email": "ivan@firma.ru", "company": "ООО Ромашка"}')->>'id')::uuid);
SELECT isnt(test.id('crud'), NULL, 'test_leads_crud: create by POST');
SELECT is(test.as_user('manager', $$ SELECT l.name FROM kvcrm.create_lead('Анна', 'anna@firma.ru') l $$), 'Анна', 'test_leads_crud: create by create_lead');
SELECT throws_ok($$ SELECT test.post('manager', '{"email": "x@firma.ru"}') $$, '23514', NULL, 'test_leads_crud: create without a name is refused');
SELECT is(test.as_user('manager', $$ SELECT name FROM kvcrm.leads WHERE id = test.id('crud') $$), 'Иван Петров', 'test_leads_crud: read');
SELECT is(test.as_user('manager', $$ SELECT count(*) FROM kvcrm.leads WHERE id = test.id('unknown') $$), '0', 'test_leads_crud: read of an unknown lead finds nothing');
SELECT is(test.patch('manager', test.id('crud'), '{"phone": "8 495 123-45-67"}')->>'phone', '+74951234567', 'test_leads_crud: update');
SELECT is(test.patch('manager', test.id('unknown'), '{"phone": "1"}'), NULL, 'test_leads_crud: update of an unknown lead changes nothing');
SELECT isnt(test.as_user('manager', $$ SELECT l.deleted_at FROM kvcrm.delete_lead(test.id('crud')) l $$), NULL, 'test_leads_crud: delete is soft');
SELECT is((SELECT count(*) FROM kvcrm.leads WHERE id = test.id('crud')), 1::bigint, 'test_leads_crud: the row stays');
SELECT is(test.as_user('manager', $$ SELECT l.deleted_at FROM kvcrm.restore_lead(test.id('crud')) l $$), NULL, 'test_leads_crud: restore');
SELECT is(test.list('manager', 'page_size => 1'), 'Анна', 'test_leads_crud: the list is paged, newest first');
SELECT is(test.list('manager', 'page_size => 1, after_lead_id => (SELECT id FROM kvcrm.leads WHERE name = ''Анна'')'), 'Иван Петров', 'test_leads_crud: the next page');

-- --- test_leads_qualification: lead → customer ---

SELECT test.keep('customer', test.as_user('manager', $$ SELECT c.id FROM kvcrm.convert_lead_to_customer(test.id('crud')) c $$)::uuid);
SELECT is((SELECT row(name, email, phone, company) FROM kvcrm.customers WHERE id = test.id('customer')), row('Иван Петров'::text, 'ivan@firma.ru'::text, '+74951234567'::text, 'ООО Ромашка'::text), 'test_leads_qualification: the customer bears the lead''s data');
SELECT is((SELECT row(name, email, phone, is_primary) FROM kvcrm.customer_contacts WHERE customer_id = test.id('customer')), row('Иван Петров'::text, 'ivan@firma.ru'::text, '+74951234567'::text, true), 'test_leads_qualification: the primary contact too');
SELECT is((SELECT row(status, converted_to_customer_id, converted_at IS NOT NULL, qualified_at IS NOT NULL) FROM kvcrm.leads WHERE id = test.id('crud')), row('converted'::text, test.id('customer'), true, true), 'test_leads_qualification: the lead is marked as converted');
SELECT is(test.as_user('manager', $$ SELECT c.id FROM kvcrm.convert_lead_to_customer(test.id('crud')) c $$)::uuid, test.id('customer'), 'test_leads_qualification: a retry gives the same customer');
SELECT is((SELECT count(*) FROM kvcrm.customers WHERE organization_id = test.id('a')), 1::bigint, 'test_leads_qualification: of which there is one');
SELECT is((SELECT array_agg(action ORDER BY id) FROM kvcrm.activity_logs WHERE entity_id = test.id('crud')), ARRAY['created', 'updated', 'deleted', 'restored', 'converted'], 'test_leads_qualification: the log tells of it');

-- --- test_lead_activities: creation and linking ---

SELECT test.keep('own', (test.post('rep', '{"name": "Свой лид"}')->>'id')::uuid);
SELECT is(test.as_user('rep', format($$ SELECT a.lead_id FROM kvcrm.log_activity(test.id('own'), %L, 'x') a $$, type))::uuid, test.id('own'), 'test_lead_activities: a ' || type || ' is linked to its lead') FROM unnest(ARRAY['call', 'meeting', 'email', 'task', 'note']) AS type;
SELECT throws_ok($$ SELECT test.as_user('rep', 'SELECT kvcrm.log_activity(test.id(''own''), ''fax'', ''x'')') $$, '22023', NULL, 'test_lead_activities: an unknown type is refused');
SELECT throws_ok($$ SELECT test.as_user('rep', 'SELECT kvcrm.log_activity(test.id(''unknown''), ''call'', ''x'')') $$, 'PT404', NULL, 'test_lead_activities: an unknown lead is refused');
SELECT is((SELECT count(*) FROM kvcrm.activity_logs WHERE entity_type = 'activity'), 5::bigint, 'test_lead_activities: each leaves an entry in the system''s log');

-- --- test_lead_rls: organization isolation ---

SELECT is(test.as_user('owner_b', format('SELECT count(*) FROM kvcrm.%I WHERE organization_id <> test.id(''b'')', relname)), '0', 'test_lead_rls: nothing of another organization in ' || relname)
  FROM pg_class WHERE relnamespace = 'kvcrm'::regnamespace AND relkind = 'r' AND has_table_privilege('kvcrm_test_client', oid, 'SELECT') AND relname <> 'organizations' ORDER BY relname;
SELECT is(test.as_user('owner_b', 'SELECT string_agg(name, '','') FROM kvcrm.organizations'), 'Beta', 'test_lead_rls: nor the other organization itself');
SELECT is(test.patch('owner_b', test.id('own'), '{"name": "x"}'), NULL, 'test_lead_rls: no lead of another organization is changed');
SELECT throws_ok(format('SELECT test.post(%L, %L)', 'owner_b', jsonb_build_object('name', 'x', 'organization_id', test.id('a'))), '42501', NULL, 'test_lead_rls: none is created there');
SELECT throws_ok(format('SELECT test.as_user(%L, %L)', 'owner_b', statement), 'PT404', NULL, 'test_lead_rls: no function reaches it: ' || statement)
  FROM unnest(ARRAY['SELECT kvcrm.delete_lead(test.id(''own''))', 'SELECT kvcrm.assign_lead(test.id(''own''), test.id(''owner_b''))', 'SELECT kvcrm.qualify_lead(test.id(''own''))', 'SELECT kvcrm.log_activity(test.id(''own''), ''note'', ''x'')',
                    'SELECT kvcrm.delete_lead(test.id(''own''), test.id(''a''))']) AS statement;
SELECT is(test.as_user(who, 'SELECT count(*) FROM kvcrm.leads'), '0', 'test_lead_rls: ' || coalesce(who, 'nobody') || ' sees none') FROM unnest(ARRAY['suspended', 'stranger', NULL]) AS who;

-- --- test_lead_stage_permissions: role-based access ---

SELECT is(test.as_user(who, 'SELECT count(*) FROM kvcrm.lead_stages'), '5', 'test_lead_stage_permissions: read by ' || who) FROM unnest(ARRAY['rep', 'manager', 'admin', 'owner']) AS who;
SELECT throws_ok(format('SELECT test.post(%L, %L, %L)', who, '{"name": "Этап"}', 'kvcrm.lead_stages'), '42501', NULL, 'test_lead_stage_permissions: not created by ' || who) FROM unnest(ARRAY['rep', 'manager']) AS who;
SELECT is(test.patch(who, test.stage('a', 2), '{"color": "#000000"}', 'kvcrm.lead_stages'), NULL, 'test_lead_stage_permissions: not changed by ' || who) FROM unnest(ARRAY['rep', 'manager']) AS who;
SELECT isnt(test.post(who, jsonb_build_object('name', 'Этап ' || who, 'order_index', 10), 'kvcrm.lead_stages'), NULL, 'test_lead_stage_permissions: created by ' || who) FROM unnest(ARRAY['admin', 'owner']) AS who;
SELECT isnt(test.patch(who, test.stage('a', 2), jsonb_build_object('description', who), 'kvcrm.lead_stages'), NULL, 'test_lead_stage_permissions: changed by ' || who) FROM unnest(ARRAY['admin', 'owner']) AS who;

-- --- flow 1: create lead → add activity → view activity timeline → delete lead ---

SELECT test.keep('flow1', test.as_user('manager', $$ SELECT l.id FROM kvcrm.create_lead('Поток 1') l $$)::uuid);
SELECT is(test.as_user('manager', $$ SELECT a.title FROM kvcrm.log_activity(test.id('flow1'), 'call', 'Первый звонок') a $$), 'Первый звонок', 'flow 1: add activity');
SELECT matches(test.timeline('manager', 'flow1'), 'Первый звонок', 'flow 1: view activity timeline');
SELECT isnt(test.as_user('manager', $$ SELECT l.deleted_at FROM kvcrm.delete_lead(test.id('flow1')) l $$), NULL, 'flow 1: delete lead');
SELECT unalike(test.list('manager'), '%Поток 1%', 'flow 1: it is gone from the list');

-- --- flow 2: create lead → qualify lead → verify customer created → verify lead gone from the lists ---

SELECT test.keep('flow2', test.as_user('manager', $$ SELECT l.id FROM kvcrm.create_lead('Поток 2', 'flow2@firma.ru') l $$)::uuid);
SELECT is(test.as_user('manager', $$ SELECT c.name FROM kvcrm.qualify_lead(test.id('flow2')) c $$), 'Поток 2', 'flow 2: qualify lead');
SELECT is(test.as_user('manager', $$ SELECT count(*) FROM kvcrm.customers WHERE source_lead_id = test.id('flow2') AND email = 'flow2@firma.ru' $$), '1', 'flow 2: customer created');
SELECT isnt((SELECT converted_at FROM kvcrm.leads WHERE id = test.id('flow2')), NULL, 'flow 2: converted_at is set');
SELECT unalike(test.list('manager'), '%Поток 2%', 'flow 2: the lead is gone from the list');
SELECT alike(test.list('manager', 'include => ''{converted}'''), '%Поток 2%', 'flow 2: and there when asked for');

-- --- flow 3: create lead → assign to user → verify user can see it in the list ---

SELECT test.keep('flow3', test.as_user('manager', $$ SELECT l.id FROM kvcrm.create_lead('Поток 3') l $$)::uuid);
SELECT is(test.as_user('rep', $$ SELECT count(*) FROM kvcrm.leads WHERE id = test.id('flow3') $$), '0', 'flow 3: before, the user does not see it');
SELECT is(test.as_user('manager', $$ SELECT l.assigned_to FROM kvcrm.assign_lead(test.id('flow3'), test.id('rep')) l $$)::uuid, test.id('rep'), 'flow 3: assign to user');
SELECT is(test.as_user('rep', $$ SELECT count(*) FROM kvcrm.leads WHERE id = test.id('flow3') $$), '1', 'flow 3: the user sees it');
SELECT alike(test.list('rep'), '%Поток 3%', 'flow 3: in the list');
SELECT unalike(coalesce(test.list('other_rep'), ''), '%Поток 3%', 'flow 3: in nobody else''s');

-- --- flow 4: create lead as a sales rep → verify the manager can see it ---

SELECT test.keep('flow4', (test.post('rep', '{"name": "Поток 4"}')->>'id')::uuid);
SELECT is(test.as_user('manager', $$ SELECT name FROM kvcrm.leads WHERE id = test.id('flow4') $$), 'Поток 4', 'flow 4: the manager sees it');
SELECT is(test.as_user('other_rep', $$ SELECT count(*) FROM kvcrm.leads WHERE id = test.id('flow4') $$), '0', 'flow 4: another rep does not');
SELECT alike(test.list('manager'), '%Поток 4%', 'flow 4: in the list');
SELECT is(test.as_user('manager', $$ SELECT p->'lead'->>'name' FROM kvcrm.lead_page(test.id('flow4')) p $$), 'Поток 4', 'flow 4: and on its page');

-- --- flow 5: create 50 leads → load the board. How fast that is, the benchmark measures ---

SELECT test.as_user('manager', $$ SELECT count(*) FROM kvcrm.import_leads((SELECT jsonb_agg(jsonb_build_object('name', 'Поток 5 ' || lpad(i::text, 2, '0'), 'stage_id', test.stage('a', 1 + i % 3))) FROM generate_series(1, 50) AS i)) $$) IS NOT NULL;
SELECT is(test.as_user('manager', $$ SELECT string_agg(n::text, ' ' ORDER BY order_index) FROM (SELECT s.order_index, count(l.id) AS n FROM kvcrm.lead_stages s JOIN kvcrm.leads l ON l.stage_id = s.id AND l.name LIKE 'Поток 5%' GROUP BY s.id, s.order_index) AS c $$), '16 17 17', 'flow 5: fifty leads in their columns');
SELECT is(test.as_user('manager', $$ SELECT string_agg(right(name, 2), ' ' ORDER BY board_rank, id) FROM kvcrm.leads WHERE name LIKE 'Поток 5%' AND stage_id = test.stage('a', 1) $$), '03 06 09 12 15 18 21 24 27 30 33 36 39 42 45 48', 'flow 5: in order');
SELECT is(test.as_user('manager', 'SELECT count(*) FROM kvcrm.pipeline_board()'), (SELECT count(*)::text FROM kvcrm.lead_stages WHERE organization_id = test.id('a')), 'flow 5: the board has a row per stage');
SELECT cmp_ok(test.as_user('manager', 'SELECT sum(lead_count) FROM kvcrm.pipeline_board()')::numeric, '>=', 50::numeric, 'flow 5: and counts them all');

-- --- manual checklist ---

SELECT is((test.post('rep', '{"name": "Минимум", "email": "min@firma.ru"}') - '{id,organization_id,stage_id,board_rank,created_at,updated_at,stage_entered_at}'::text[])->>'status', 'new', 'checklist: create lead with minimal data (name and email only)');
SELECT test.as_user('manager', $$ SELECT kvcrm.create_lead('Ольга Соколова', 'sokolova@vega.ru', company => 'АО «Северная Вега»', stage_id => test.stage('a', 2), assigned_to => test.id('other_rep'), source => 'event') $$) IS NOT NULL;
SELECT is(test.list('manager', format('%L', query)), 'Ольга Соколова', 'checklist: search leads by ' || what || ': ' || query)
  FROM (VALUES ('name', 'соколова'), ('name', 'Ольга Соко'), ('email', 'SOKOLOVA@vega'), ('company', 'северная'), ('company in Latin letters', 'severnaya')) AS q (what, query);
SELECT is(test.list('manager', format('%L', query)), NULL, 'checklist: search for what there is not: ' || query) FROM unnest(ARRAY['не бывает', '%', '_____________________']) AS query;
SELECT alike(test.list('manager', arguments), '%Ольга Соколова%', 'checklist: filter leads by ' || what) FROM (VALUES ('status', 'status => ''contacted'''), ('stage', 'stage_id => test.stage(''a'', 2)'), ('assigned_to', 'assigned_to => test.id(''other_rep'')'), ('source', 'source => ''event''')) AS f (what, arguments);
SELECT unalike(coalesce(test.list('manager', arguments), ''), '%Ольга Соколова%', 'checklist: another filter leaves it out: ' || what) FROM (VALUES ('status', 'status => ''new'''), ('stage', 'stage_id => test.stage(''a'', 1)'), ('assigned_to', 'assigned_to => test.id(''rep'')'), ('source', 'source => ''website''')) AS f (what, arguments);
SELECT is(test.as_user('rep', format($$ SELECT a.type FROM kvcrm.log_activity(test.id('flow3'), %L, 'x') a $$, type)), type, 'checklist: add activity to lead: ' || type) FROM unnest(ARRAY['call', 'meeting', 'note']) AS type;
SELECT is(test.as_user('rep', $$ SELECT c.name FROM kvcrm.convert_lead_to_customer(test.id('flow3')) c $$), 'Поток 3', 'checklist: convert lead to customer');
SELECT is((SELECT row(c.name, c.owner_user_id, c.source_lead_id) FROM kvcrm.customers c JOIN kvcrm.leads l ON l.converted_to_customer_id = c.id WHERE l.id = test.id('flow3')), row('Поток 3'::text, test.id('rep'), test.id('flow3')), 'checklist: the customer is created correctly');
SELECT isnt(test.as_user('manager', $$ SELECT l.deleted_at FROM kvcrm.delete_lead(test.id('flow4')) l $$), NULL, 'checklist: soft-delete lead');
SELECT unalike(test.list('manager'), '%Поток 4%', 'checklist: it disappears from the list');
SELECT test.keep('logged', (test.post('manager', '{"name": "Журнал"}')->>'id')::uuid);
SELECT test.patch('manager', test.id('logged'), '{"name": "Журнал 2"}') IS NOT NULL;
SELECT test.as_user('manager', $$ SELECT kvcrm.delete_lead(test.id('logged')) $$) IS NOT NULL;
SELECT is(test.as_user('manager', $$ SELECT string_agg(action, ' ' ORDER BY id) FROM kvcrm.activity_logs WHERE entity_id = test.id('logged') AND actor_id = test.id('manager') $$), 'created updated deleted', 'checklist: the activity log shows create, update and delete');
SELECT is(test.as_user('other_rep', $$ SELECT count(*) FROM kvcrm.leads WHERE assigned_to IS DISTINCT FROM test.id('other_rep') $$), '0', 'checklist: a salesperson cannot see others'' leads');
SELECT throws_ok($$ SELECT test.as_user('other_rep', 'SELECT kvcrm.move_lead(test.id(''own''), test.stage(''a'', 2))') $$, 'PT404', NULL, 'checklist: nor move them');
SELECT is(test.patch('other_rep', test.id('own'), '{"name": "x"}'), NULL, 'checklist: nor change them');
SELECT throws_ok($$ SELECT test.as_user('rep', 'SELECT kvcrm.delete_lead(test.id(''own''))') $$, '42501', NULL, 'checklist: nor delete even their own');
SELECT * FROM finish();
