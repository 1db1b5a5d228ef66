-- Activities: calls, meetings, e-mails, tasks and notes on a lead.
-- inconsistent: a lead is deleted for good, its customer stays
\ir include/two_organizations.sql

SELECT test.keep('lead', id) FROM kvcrm.create_lead('Лид', assigned_to => test.id('rep'), organization_id => test.id('a'));
SELECT test.keep('lead_b', id) FROM kvcrm.create_lead('Other', organization_id => test.id('b'));

-- --- creation ---

SELECT is(test.as_user('rep', format('SELECT a.type FROM kvcrm.log_activity(test.id(''lead''), %L, ''x'') a', type)), type, 'a rep logs a ' || type || ' on the own lead')
  FROM unnest(ARRAY['call', 'meeting', 'email', 'task', 'note']) AS type;
SELECT test.keep('call', test.as_user('rep', $$ SELECT a.id FROM kvcrm.log_activity(test.id('lead'), 'call', ' Звонок ', E' обсудили\nцену ', '2030-01-02 10:00+03', completed_at => '2030-01-02 11:00+03') a $$)::uuid);
SELECT results_eq($$ SELECT lead_id, organization_id, type, title, description, due_date, completed_at, assigned_to, created_by, metadata FROM kvcrm.lead_activities WHERE id = test.id('call') $$,
    $$ VALUES (test.id('lead'), test.id('a'), 'call', 'Звонок', E'обсудили\nцену', '2030-01-02 10:00+03'::timestamptz, '2030-01-02 11:00+03'::timestamptz, NULL::uuid, test.id('rep'), '{}'::jsonb) $$,
    'an activity holds what was said about it, trimmed, and who created it');
SELECT is(test.as_user('rep', $$ SELECT a.assigned_to FROM kvcrm.log_activity(test.id('lead'), 'task', 'x') a $$)::uuid, test.id('rep'), 'a task without assignee is its creator''s');
SELECT is(test.as_user('rep', $$ SELECT a.assigned_to FROM kvcrm.log_activity(test.id('lead'), 'task', 'x', assigned_to => test.id('manager')) a $$)::uuid, test.id('manager'), 'one with an assignee is the assignee''s');
SELECT is(test.as_user('rep', $$ SELECT a.assigned_to FROM kvcrm.log_activity(test.id('lead'), 'note', 'x') a $$), NULL, 'a note is nobody''s');
SELECT is((kvcrm.log_activity(test.id('lead'), 'note', 'x')).created_by, NULL, 'the system creates in nobody''s name');
SELECT is((test.post('rep', jsonb_build_object('lead_id', test.id('lead'), 'type', 'note', 'title', ' x ', 'description', ' ', 'metadata', '{"a": 1}'::jsonb), 'kvcrm.lead_activities')
          - '{id,created_at,updated_at}'::text[]),
          jsonb_build_object('organization_id', test.id('a'), 'lead_id', test.id('lead'), 'type', 'note', 'title', 'x', 'description', NULL, 'due_date', NULL, 'completed_at', NULL,
                             'assigned_to', NULL, 'created_by', test.id('rep'), 'metadata', '{"a": 1}'::jsonb), 'POST: the same rules hold');
SELECT ok(test.as_user('rep', $$ INSERT INTO kvcrm.lead_activities (lead_id, type, title) VALUES (test.id('lead'), 'note', 'x') RETURNING updated_at = created_at $$)::boolean, 'INSERT: updated_at starts as created_at');

-- Refusals, by function and by POST.
SELECT throws_ok(format('SELECT kvcrm.log_activity(%s)', arguments), code, NULL, format('log_activity(%s): %s', left(arguments, 60), code))
  FROM (VALUES ('NULL, ''note'', ''x''', '22023'), ('test.id(''lead''), NULL, ''x''', '22023'), ('test.id(''lead''), ''note'', NULL', '22023'),
               ('test.id(''lead''), ''fax'', ''x''', '22023'), ('test.id(''lead''), ''CALL'', ''x''', '22023'), ('test.id(''lead''), ''note'', '' ''', '23514'),
               ('test.id(''unknown''), ''note'', ''x''', 'PT404'), ('test.id(''lead''), ''note'', ''x'', assigned_to => test.id(''suspended'')', '23514'),
               ('test.id(''lead''), ''note'', ''x'', assigned_to => test.id(''owner_b'')', '23514'),
               ('test.id(''lead''), ''note'', ''x'', organization_id => test.id(''b'')', 'PT404'),
               ('test.id(''lead''), ''note'', repeat(''ж'', 256)', '22001'), ('test.id(''lead''), ''note'', ''x'', repeat(''ж'', 20001)', '22001')) AS c (arguments, code);
SELECT throws_ok(format('SELECT test.post(%L, %L, %L)', 'rep', jsonb_build_object('lead_id', test.id('lead'), 'type', 'note', 'title', 'x') || fields, 'kvcrm.lead_activities'), code, NULL, format('POST %s: %s', left(fields::text, 60), code))
  FROM (VALUES ('{"type": "fax"}'::jsonb, '23514'), ('{"title": null}', '23514'), ('{"title": " "}', '23514'), (jsonb_build_object('title', repeat('ж', 256)), '22001'),
               (jsonb_build_object('description', repeat('ж', 20001)), '22001'), ('{"metadata": []}', '23514'), ('{"metadata": "x"}', '23514'),
               (jsonb_build_object('metadata', jsonb_build_object('x', repeat('x', 66000))), '22001'), (jsonb_build_object('lead_id', test.id('unknown')), '42501'),
               (jsonb_build_object('lead_id', test.id('lead_b')), '42501'), (jsonb_build_object('assigned_to', test.id('stranger')), '23514'),
               (jsonb_build_object('organization_id', test.id('b')), '42501'), (jsonb_build_object('created_by', test.id('owner')), '42501'),
               ('{"due_date": "soon"}', '22007')) AS c (fields, code);
SELECT throws_ok($$ INSERT INTO kvcrm.lead_activities (organization_id, lead_id, type, title) VALUES (test.id('a'), test.id('lead_b'), 'note', 'x') $$, '23503', NULL, 'an activity can''t point into another organization');
SELECT lives_ok($$ SELECT kvcrm.log_activity(test.id('lead'), 'note', repeat('ж', 255), repeat('ж', 20000)) $$, 'lengths are in characters');

-- Who may.
SELECT throws_ok(format('SELECT test.as_user(%L, %L)', who, $$ SELECT kvcrm.log_activity(test.id('lead'), 'note', 'x') $$), code, NULL, coalesce(who, 'nobody') || ' can''t log on that lead')
  FROM (VALUES ('other_rep', 'PT404'), ('owner_b', 'PT404'), ('suspended', 'PT404'), ('stranger', 'PT404'), (NULL, '42501')) AS c (who, code);
SELECT throws_ok(format('SELECT test.post(%L, %L, %L)', who, jsonb_build_object('organization_id', test.id('a'), 'lead_id', test.id('lead'), 'type', 'note', 'title', 'x'), 'kvcrm.lead_activities'), '42501', NULL, 'POST: nor can ' || who || ' here')
  FROM unnest(ARRAY['other_rep', 'owner_b', 'suspended', 'stranger']) AS who;
SELECT lives_ok(format('SELECT test.as_user(%L, %L)', who, $$ SELECT kvcrm.log_activity(test.id('lead'), 'note', 'x') $$), who || ' can') FROM unnest(ARRAY['rep', 'manager', 'admin', 'owner']) AS who;
SELECT is(test.as_user('rep', 'SELECT count(*) FROM kvcrm.lead_activities')::bigint, (SELECT count(*) FROM kvcrm.lead_activities), 'who sees the lead sees its activities');
SELECT is(test.as_user(who, 'SELECT count(*) FROM kvcrm.lead_activities'), '0', who || ' sees none') FROM unnest(ARRAY['other_rep', 'owner_b', 'suspended', 'stranger']) AS who;

-- --- editing ---

SELECT test.keep('managers', test.as_user('manager', $$ SELECT a.id FROM kvcrm.log_activity(test.id('lead'), 'task', 'Руководителя') a $$)::uuid);
SELECT test.keep('for_rep', test.as_user('manager', $$ SELECT a.id FROM kvcrm.log_activity(test.id('lead'), 'task', 'Поручение', assigned_to => test.id('rep')) a $$)::uuid);
SELECT is(test.patch('rep', test.id('call'), '{"title": " Звонок 2 ", "due_date": null}', 'kvcrm.lead_activities')->>'title', 'Звонок 2', 'a rep changes an activity of the own');
SELECT ok(updated_at > created_at, 'updated_at follows') FROM kvcrm.lead_activities WHERE id = test.id('call');
SELECT is(test.patch('rep', test.id('for_rep'), '{"description": "готово"}', 'kvcrm.lead_activities')->>'description', 'готово', 'and one assigned to oneself');
SELECT is(test.patch('rep', test.id('managers'), '{"title": "x"}', 'kvcrm.lead_activities'), NULL, 'but not the manager''s');
SELECT isnt(test.patch('manager', test.id('call'), '{"title": "Звонок"}', 'kvcrm.lead_activities'), NULL, 'a manager changes everybody''s');
SELECT is(test.patch('other_rep', test.id('call'), '{"title": "x"}', 'kvcrm.lead_activities'), NULL, 'who doesn''t see the lead changes none');
SELECT throws_ok($$ SELECT test.patch('manager', test.id('call'), '{"type": "fax"}', 'kvcrm.lead_activities') $$, '23514', NULL, 'types are checked');
SELECT throws_ok(format('SELECT test.patch(%L, %L, %L, %L)', 'owner', test.id('call'), jsonb_build_object(name, NULL), 'kvcrm.lead_activities'), '42501', NULL, 'clients don''t change ' || name)
  FROM unnest(ARRAY['id', 'organization_id', 'lead_id', 'created_by', 'created_at', 'updated_at']) AS name;
SELECT throws_ok($$ UPDATE kvcrm.lead_activities SET lead_id = (kvcrm.create_lead('x', organization_id => test.id('a'))).id WHERE id = test.id('call') $$, '23514', NULL, 'an activity stays with its lead');
CREATE TABLE test.untouched AS SELECT updated_at FROM kvcrm.lead_activities WHERE id = test.id('call');
UPDATE kvcrm.lead_activities SET title = 'Звонок ' WHERE id = test.id('call');
SELECT is((SELECT array_agg(changes) FROM kvcrm.activity_logs WHERE entity_id = test.id('call') AND changes ? 'title' AND changes->'title'->>'new' = changes->'title'->>'old'), NULL, 'writing the same is not logged');

-- --- completing ---

SELECT test.keep('open', test.as_user('rep', $$ SELECT a.id FROM kvcrm.log_activity(test.id('lead'), 'task', 'Открыта') a $$)::uuid);
SELECT throws_ok($$ SELECT test.as_user('other_rep', 'SELECT kvcrm.complete_activity(test.id(''open''))') $$, 'PT404', 'activity not found', 'an invisible activity is not found');
SELECT throws_ok($$ SELECT test.as_user('owner_b', 'SELECT kvcrm.complete_activity(test.id(''open''))') $$, 'PT404', 'activity not found', 'nor another organization''s');
SELECT throws_ok($$ SELECT kvcrm.complete_activity(test.id('unknown')) $$, 'PT404', 'activity not found', 'nor an unknown one');
SELECT throws_ok($$ SELECT kvcrm.complete_activity(NULL) $$, '22023', 'activity_id is required', 'an id is required');
SELECT throws_ok($$ SELECT test.as_user('rep', 'SELECT kvcrm.complete_activity(test.id(''managers''))') $$, '42501', NULL, 'a rep can''t complete the manager''s');
SELECT throws_ok($$ SELECT test.as_user(NULL, 'SELECT kvcrm.complete_activity(test.id(''open''))') $$, '42501', NULL, 'nobody can');
SELECT isnt(test.as_user('rep', 'SELECT a.completed_at FROM kvcrm.complete_activity(test.id(''open'')) a'), NULL, 'a rep completes the own');
CREATE TABLE test.completed AS SELECT completed_at, updated_at FROM kvcrm.lead_activities WHERE id = test.id('open');
SELECT is((SELECT a.completed_at FROM kvcrm.complete_activity(test.id('open')) a), completed_at, 'completing twice keeps the first time') FROM test.completed;
SELECT is((SELECT count(*) FROM kvcrm.activity_logs WHERE entity_id = test.id('open') AND action = 'updated'), 1::bigint, 'and is logged once');
SELECT isnt(test.as_user('rep', 'SELECT a.completed_at FROM kvcrm.complete_activity(test.id(''for_rep'')) a'), NULL, 'a rep completes what is assigned to them');
SELECT isnt(test.as_user('manager', 'SELECT a.completed_at FROM kvcrm.complete_activity(test.id(''managers'')) a'), NULL, 'a manager the own');

-- --- deleting ---

SELECT throws_ok($$ SELECT test.as_user('rep', 'SELECT kvcrm.delete_activity(test.id(''managers''))') $$, '42501', NULL, 'a rep can''t delete the manager''s');
SELECT throws_ok($$ SELECT test.as_user('other_rep', 'SELECT kvcrm.delete_activity(test.id(''open''))') $$, 'PT404', NULL, 'nor an invisible one');
SELECT throws_ok($$ SELECT test.as_user('owner', 'DELETE FROM kvcrm.lead_activities') $$, '42501', NULL, 'clients don''t delete directly');
SELECT is(test.as_user('rep', 'SELECT a.title FROM kvcrm.delete_activity(test.id(''open'')) a'), 'Открыта', 'delete_activity returns what it deleted');
SELECT throws_ok($$ SELECT kvcrm.delete_activity(test.id('open')) $$, 'PT404', NULL, 'which is gone then');
SELECT throws_ok($$ SELECT kvcrm.delete_activity(NULL) $$, '22023', 'activity_id is required', 'an id is required');
SELECT is((SELECT changes->'title' FROM kvcrm.activity_logs WHERE entity_id = test.id('open') AND action = 'deleted'), '{"old": "Открыта", "new": null}', 'the log keeps its content');
SELECT is(test.as_user('manager', 'SELECT a.title FROM kvcrm.delete_activity(test.id(''call'')) a'), 'Звонок', 'a manager deletes everybody''s');

-- --- the lead's life ---

SELECT kvcrm.delete_lead(test.id('lead')) IS NOT NULL;
SELECT throws_ok($$ SELECT kvcrm.log_activity(test.id('lead'), 'note', 'x') $$, '23514', 'the lead is deleted', 'nothing is logged on a deleted lead');
SELECT kvcrm.restore_lead(test.id('lead')) IS NOT NULL;
SELECT kvcrm.qualify_lead(test.id('lead')) IS NOT NULL;
SELECT lives_ok($$ SELECT kvcrm.log_activity(test.id('lead'), 'call', 'После конверсии') $$, 'on a converted lead it is');
DELETE FROM kvcrm.leads WHERE id = test.id('lead');
SELECT is((SELECT count(*) FROM kvcrm.lead_activities WHERE lead_id = test.id('lead')), 0::bigint, 'activities go with their lead');

SELECT * FROM finish();
