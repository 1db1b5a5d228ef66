-- Stages: what status follows, what is fixed while a stage holds leads, rules for moves, history, order inside a column.
\ir include/two_organizations.sql

CREATE FUNCTION test.status(lead text) RETURNS text LANGUAGE sql AS $$ SELECT l.status FROM kvcrm.leads l WHERE l.id = test.id(lead) $$;

-- --- defaults ---

SELECT results_eq($$ SELECT name, color, is_qualified, outcome FROM kvcrm.lead_stages WHERE organization_id = test.id('a') ORDER BY order_index $$,
    $$ VALUES ('Новый лид', '#1890ff', false, 'open'), ('Контакт установлен', '#faad14', false, 'open'), ('Квалифицирован', '#52c41a', true, 'open'),
              ('Продан', '#1890ff', true, 'won'), ('Потеря', '#ff7875', false, 'lost') $$, 'a Russian organization starts with the Russian stages');
SELECT results_eq($$ SELECT name, color, is_qualified, outcome FROM kvcrm.lead_stages WHERE organization_id = test.id('b') ORDER BY order_index $$,
    $$ VALUES ('New lead', '#1890ff', false, 'open'), ('Contacted', '#faad14', false, 'open'), ('Qualified', '#52c41a', true, 'open'),
              ('Won', '#1890ff', true, 'won'), ('Lost', '#ff7875', false, 'lost') $$, 'an English one with the English stages');
SELECT results_eq($$ SELECT slug FROM kvcrm.lead_sources WHERE organization_id = test.id('a') ORDER BY slug $$,
    $$ VALUES ('cold_call'), ('event'), ('inbound_email'), ('other'), ('referral'), ('website') $$, 'and the six sources');

-- --- what a stage may be ---

CREATE FUNCTION test.add_stage(fields jsonb) RETURNS uuid LANGUAGE sql AS $$
    SELECT (test.post('admin', '{"name": "Этап", "order_index": 10}'::jsonb || fields, 'kvcrm.lead_stages')->>'id')::uuid $$;
SELECT throws_ok(format('SELECT test.add_stage(%L)', fields), code, NULL, 'a stage is refused: ' || left(fields, 80))
  FROM (VALUES ('{"name": null}', '23514'), ('{"name": " "}', '23514'), ('{"name": "Новый лид"}', '23505'), ('{"name": " Новый лид\u00a0"}', '23505'),
               ('{"outcome": "won"}', '23514'), ('{"outcome": "lost", "is_qualified": true}', '23514'), ('{"outcome": "maybe"}', '23514'),
               ('{"probability": 101}', '23514'), ('{"probability": -1}', '23514'), ('{"color": "red"}', '23514'), ('{"color": "#12345"}', '23514'),
               ('{"rotting_days": 0}', '23514'), (format('{"name": "%s"}', repeat('ж', 101)), '22001'),
               (format('{"description": "%s"}', repeat('ж', 20001)), '22001'), ('{"order_index": 3000000000}', '22003')) AS c (fields, code);
SELECT lives_ok($$ SELECT test.keep('long', test.add_stage(format('{"name": "%s", "description": "%s"}', repeat('ж', 100), repeat('ж', 20000))::jsonb)) $$, 'lengths are in characters');
SELECT throws_ok($$ SELECT test.post('rep', '{"name": "Этап"}', 'kvcrm.lead_stages') $$, '42501', NULL, 'a rep adds no stage');
SELECT throws_ok($$ SELECT test.post('manager', '{"name": "Этап"}', 'kvcrm.lead_stages') $$, '42501', NULL, 'nor does a manager');
SELECT is(test.patch('manager', test.stage('a', 1), '{"name": "Этап"}', 'kvcrm.lead_stages'), NULL, 'a manager changes none');
SELECT is(test.patch('owner_b', test.stage('a', 1), '{"name": "Этап"}', 'kvcrm.lead_stages'), NULL, 'nor does another organization''s owner');
SELECT throws_ok(format('SELECT test.post(%L, %L, %L)', 'admin', jsonb_build_object('name', 'Этап', 'organization_id', test.id('b')), 'kvcrm.lead_stages'), '42501', NULL, 'nor adds an admin one to another organization');
SELECT throws_ok($$ UPDATE kvcrm.lead_stages SET organization_id = test.id('b') WHERE id = test.stage('a', 5) $$, '23514', NULL, 'the organization of a stage never changes');
SELECT throws_ok($$ SELECT test.as_user('owner', 'DELETE FROM kvcrm.lead_stages') $$, '42501', NULL, 'clients don''t delete stages directly');
DELETE FROM kvcrm.lead_stages WHERE id = test.id('long');

-- --- status in all cases ---

SELECT test.keep('lead', id) FROM kvcrm.create_lead('Лид', organization_id => test.id('a'));
SELECT is(test.status('lead'), 'new', 'the first open stage: new');
SELECT kvcrm.move_lead(test.id('lead'), test.stage('a', 2)) IS NOT NULL;
SELECT is(test.status('lead'), 'contacted', 'another open stage: contacted');
SELECT is((SELECT qualified_at FROM kvcrm.leads WHERE id = test.id('lead')), NULL, 'and qualified_at is not set');
SELECT kvcrm.move_lead(test.id('lead'), test.stage('a', 3)) IS NOT NULL;
SELECT is(test.status('lead'), 'qualified', 'a qualified open stage: qualified');
CREATE TABLE test.qualified AS SELECT qualified_at FROM kvcrm.leads WHERE id = test.id('lead');
SELECT isnt(qualified_at, NULL, 'and qualified_at is set') FROM test.qualified;
SELECT kvcrm.move_lead(test.id('lead'), test.stage('a', 4)) IS NOT NULL;
SELECT is(test.status('lead'), 'qualified', 'a won stage: qualified');
SELECT kvcrm.move_lead(test.id('lead'), test.stage('a', 5), lost_reason => 'дорого') IS NOT NULL;
SELECT is(test.status('lead'), 'lost', 'a lost stage: lost');
SELECT kvcrm.move_lead(test.id('lead'), test.stage('a', 3)) IS NOT NULL;
SELECT is(l.qualified_at, q.qualified_at, 'qualified_at is when it was first qualified') FROM kvcrm.leads l, test.qualified q WHERE id = test.id('lead');
SELECT kvcrm.qualify_lead(test.id('lead')) IS NOT NULL;
SELECT is(test.status('lead'), 'converted', 'converted');
SELECT kvcrm.move_lead(test.id('lead'), test.stage('a', 5), lost_reason => 'ушёл') IS NOT NULL;
SELECT is(test.status('lead'), 'converted', 'converted wins over lost');

-- --- reordering ---

SELECT test.keep('n' || i, l.id) FROM generate_series(1, 3) AS i, LATERAL kvcrm.create_lead('Новый ' || i, organization_id => test.id('a')) l;
SELECT test.keep('c' || i, l.id) FROM generate_series(1, 3) AS i, LATERAL kvcrm.create_lead('Контакт ' || i, stage_id => test.stage('a', 2), organization_id => test.id('a')) l;
SELECT test.keep('q', l.id) FROM kvcrm.create_lead('Квалифицированный', stage_id => test.stage('a', 3), organization_id => test.id('a')) l;
SELECT test.keep('other', l.id) FROM kvcrm.create_lead('Other', organization_id => test.id('b')) l;
SELECT kvcrm.delete_lead(test.id('n3')) IS NOT NULL;
SELECT test.keep('first', test.stage('a', 1)), test.keep('second', test.stage('a', 2));
CREATE TABLE test.before AS SELECT xmin::text AS written_by, to_jsonb(l) AS it, id FROM kvcrm.leads l;
CREATE TABLE test.log AS SELECT count(*) AS n FROM kvcrm.activity_logs WHERE entity_type = 'lead';
SELECT isnt(test.patch('admin', test.id('second'), '{"order_index": 0}', 'kvcrm.lead_stages'), NULL, 'an admin puts the second stage first');
SELECT is((SELECT string_agg(i.name || '=' || l.status, ' ' ORDER BY i.name) FROM kvcrm.leads l JOIN test.ids i USING (id) WHERE i.name <> 'lead'),
          'c1=new c2=new c3=new n1=contacted n2=contacted n3=contacted other=new q=qualified', 'the status of both stages follows');
SELECT is_empty($$ SELECT l.id FROM kvcrm.leads l JOIN test.before b USING (id) WHERE to_jsonb(l) - 'status' <> b.it - 'status' $$, 'nothing else of any lead changes: no version, no updated_at');
SELECT is((SELECT string_agg(i.name, ' ' ORDER BY i.name) FROM kvcrm.leads l JOIN test.before b USING (id) JOIN test.ids i USING (id) WHERE l.xmin::text <> b.written_by),
          'c1 c2 c3 n1 n2 n3', 'only leads of these two stages are written');
SELECT is((SELECT count(*) FROM kvcrm.activity_logs WHERE entity_type = 'lead'), n, 'no lead is logged') FROM test.log;
SELECT is((SELECT changes FROM kvcrm.activity_logs WHERE entity_type = 'stage' AND entity_id = test.id('second') ORDER BY id DESC LIMIT 1),
          '{"order_index": {"old": 2, "new": 0}}', 'the stage is');
SELECT is((kvcrm.create_lead('Ещё', organization_id => test.id('a'))).stage_id, test.id('second'), 'new leads go to the new first stage');
UPDATE kvcrm.lead_stages SET order_index = 5 - order_index WHERE organization_id = test.id('a') AND id IN (test.id('first'), test.id('second'));
UPDATE kvcrm.lead_stages SET order_index = 1 WHERE organization_id = test.id('a') AND outcome = 'open';
SELECT is((SELECT string_agg(DISTINCT status, ' ') FROM kvcrm.leads WHERE stage_id = (SELECT min(id::text)::uuid FROM kvcrm.lead_stages WHERE organization_id = test.id('a') AND outcome = 'open')),
          'new', 'with equal order_index the smaller id is first');
SELECT lives_ok($$ INSERT INTO kvcrm.lead_stages (organization_id, name, order_index) VALUES (test.id('a'), 'Самый первый', -5) $$, 'a stage is added in front');
SELECT is((SELECT count(*) FROM kvcrm.leads WHERE organization_id = test.id('a') AND status = 'new'), 0::bigint, 'no lead is new any more');
SELECT lives_ok($$ DELETE FROM kvcrm.lead_stages WHERE organization_id = test.id('a') AND name = 'Самый первый' $$, 'an empty stage can be deleted');
SELECT is((SELECT string_agg(DISTINCT status, ' ') FROM kvcrm.leads WHERE stage_id = test.id('first')), 'new', 'and the next one is first again');
UPDATE kvcrm.lead_stages s SET order_index = o.n FROM (VALUES ('Новый лид', 1), ('Контакт установлен', 2), ('Квалифицирован', 3)) AS o (name, n) WHERE s.name = o.name AND s.organization_id = test.id('a');
SELECT is_empty($$ SELECT l.id FROM kvcrm.leads l JOIN test.before b USING (id) WHERE to_jsonb(l) <> b.it $$, 'put back in order, all leads are what they were');

-- --- what is fixed while a stage holds leads ---

SELECT is((test.error_of(format('UPDATE kvcrm.lead_stages SET %s WHERE id = test.stage(%L, %s)', change, 'a', n))).code, '23514', format('refused while it holds leads: %s of stage %s', change, n))
  FROM (VALUES ('is_qualified = true', 1), ('is_qualified = false', 3), ($$ outcome = 'lost' $$, 1), ($$ outcome = 'won' $$, 3), ($$ outcome = 'open' $$, 5)) AS c (change, n);
SELECT isnt((test.error_of($$ UPDATE kvcrm.lead_stages SET is_qualified = true WHERE id = test.stage('a', 1) $$)).hint, '', 'a HINT says what to do');
SELECT lives_ok($$ UPDATE kvcrm.lead_stages SET name = 'Новый', probability = 5, color = '#000000', description = 'x', rotting_days = 3 WHERE id = test.stage('a', 1) $$, 'the rest may change');
SELECT is((test.error_of(format('DELETE FROM kvcrm.lead_stages WHERE id = test.stage(%L, %s)', 'a', n))).code, '23514', format('stage %s can''t be deleted while it holds leads', n)) FROM unnest(ARRAY[1, 2, 3, 5]) AS n;
SELECT lives_ok($$ UPDATE kvcrm.lead_stages SET is_qualified = false, outcome = 'open' WHERE id = test.stage('a', 4) $$, 'flags of an empty stage may change');
SELECT lives_ok($$ UPDATE kvcrm.lead_stages SET is_qualified = true, outcome = 'won' WHERE id = test.stage('a', 4) $$, 'and change back');

SELECT kvcrm.create_organization('Пустая', owner_id => test.id('stranger'), organization_id => test.id('stranger')) IS NOT NULL;
SELECT throws_ok($$ UPDATE kvcrm.lead_stages SET outcome = 'lost', is_qualified = false WHERE organization_id = test.id('stranger') $$, '23514', 'at least one open stage must remain', 'the last open stage can''t be closed');
SELECT throws_ok($$ DELETE FROM kvcrm.lead_stages WHERE organization_id = test.id('stranger') AND outcome = 'open' $$, '23514', 'at least one open stage must remain', 'nor deleted');
SELECT lives_ok($$ DELETE FROM kvcrm.lead_stages WHERE organization_id = test.id('stranger') AND name <> 'Новый лид' $$, 'all others can');
SELECT is((kvcrm.create_lead('Лид', organization_id => test.id('stranger'))).status, 'new', 'one stage is enough');

-- --- losing ---

SELECT throws_ok($$ SELECT kvcrm.move_lead(test.id('n1'), test.stage('a', 5)) $$, '23514', 'a lost lead needs a lost_reason', 'move_lead: a lost stage needs a reason');
SELECT throws_ok($$ SELECT kvcrm.move_lead(test.id('n1'), test.stage('a', 5), lost_reason => '  ') $$, '23514', 'a lost lead needs a lost_reason', 'move_lead: a blank reason is none');
SELECT throws_ok(format('SELECT test.patch(%L, %L, %L)', 'manager', test.id('n1'), jsonb_build_object('stage_id', test.stage('a', 5))), '23514', NULL, 'PATCH: a lost stage needs a reason');
SELECT throws_ok($$ UPDATE kvcrm.leads SET stage_id = test.stage('a', 5) WHERE id = test.id('n1') $$, '23514', NULL, 'UPDATE: a lost stage needs a reason');
SELECT is((kvcrm.move_lead(test.id('n1'), test.stage('a', 5), lost_reason => ' дорого ')).lost_reason, 'дорого', 'with one the lead is lost');
SELECT throws_ok($$ UPDATE kvcrm.leads SET lost_reason = NULL WHERE id = test.id('n1') $$, '23514', NULL, 'the reason can''t be taken away');
SELECT is((kvcrm.move_lead(test.id('n1'), test.stage('a', 1))).lost_reason, NULL, 'a lead that comes back has no reason');
SELECT throws_ok($$ SELECT kvcrm.move_lead(test.id('n1'), test.stage('a', 5), lost_reason => repeat('ж', 20001)) $$, '22001', NULL, 'a reason has at most 20 000 characters');

-- --- rules for moves ---

SELECT test.keep('move', id) FROM kvcrm.create_lead('Правила', organization_id => test.id('a'));
SELECT throws_ok(format('SELECT test.post(%L, %L, %L)', 'admin', jsonb_build_object('from_stage_id', test.stage('a', 1), 'to_stage_id', test.stage('a', 2), 'required_fields', fields), 'kvcrm.lead_stage_transitions'), '23514', NULL, 'required_fields are checked: ' || fields::text)
  FROM unnest(ARRAY['["salary"]', '["version"]', '["custom_fields."]', '["organization_id"]', '["email", "name; DROP TABLE kvcrm.leads"]']::jsonb[]) AS fields;
SELECT throws_ok(format('SELECT test.post(%L, %L, %L)', 'admin', jsonb_build_object('from_stage_id', test.stage('a', 1), 'to_stage_id', test.stage('b', 2)), 'kvcrm.lead_stage_transitions'), '23503', NULL, 'a rule does not lead into another organization');
SELECT throws_ok(format('SELECT test.post(%L, %L, %L)', 'admin', jsonb_build_object('from_stage_id', test.stage('a', 1), 'to_stage_id', test.stage('a', 1)), 'kvcrm.lead_stage_transitions'), '23514', NULL, 'nor back to the same stage');
SELECT throws_ok(format('SELECT test.post(%L, %L, %L)', 'manager', jsonb_build_object('from_stage_id', test.stage('a', 1), 'to_stage_id', test.stage('a', 2)), 'kvcrm.lead_stage_transitions'), '42501', NULL, 'a manager makes no rules');
SELECT isnt(test.post('admin', jsonb_build_object('from_stage_id', test.stage('a', 1), 'to_stage_id', test.stage('a', 2), 'required_fields', '{email,company,custom_fields.budget}'), 'kvcrm.lead_stage_transitions'), NULL, 'an admin does');

CREATE FUNCTION test.moves(way text, stage int) RETURNS text LANGUAGE sql AS $$
    SELECT CASE way WHEN 'move_lead' THEN format('SELECT kvcrm.move_lead(test.id(''move''), test.stage(''a'', %s))', stage)
                    WHEN 'move_lead as client' THEN format('SELECT test.as_user(''manager'', ''SELECT kvcrm.move_lead(test.id(''''move''''), test.stage(''''a'''', %s))'')', stage)
                    WHEN 'PATCH' THEN format('SELECT test.patch(''manager'', test.id(''move''), jsonb_build_object(''stage_id'', test.stage(''a'', %s)))', stage)
                    WHEN 'UPDATE' THEN format('UPDATE kvcrm.leads SET stage_id = test.stage(''a'', %s) WHERE id = test.id(''move'')', stage) END $$;
CREATE TABLE test.ways AS SELECT * FROM unnest(ARRAY['move_lead', 'move_lead as client', 'PATCH', 'UPDATE']) WITH ORDINALITY AS w (way, n);
SELECT throws_ok(test.moves(way, 3), '23514', 'the pipeline does not allow this move', way || ': a move without a rule is refused') FROM test.ways ORDER BY n;
SELECT throws_ok(test.moves(way, 2), '23514', 'the move requires fields that are empty', way || ': a move with empty required fields is refused') FROM test.ways ORDER BY n;
SELECT is((test.error_of(test.moves(way, 2))).detail, 'Empty: email, company, custom_fields.budget.', way || ': the DETAIL names them') FROM test.ways ORDER BY n;
UPDATE kvcrm.leads SET email = 'x@x.ru', custom_fields = '{"budget": null}' WHERE id = test.id('move');
SELECT is((test.error_of(test.moves(way, 2))).detail, 'Empty: company, custom_fields.budget.', way || ': a JSON null is empty') FROM test.ways ORDER BY n;
SELECT is(test.patch('manager', test.id('move'), jsonb_build_object('stage_id', test.stage('a', 2), 'company', 'АО', 'custom_fields', '{"budget": 0}'::jsonb))->>'status', 'contacted', 'filling them in the same PATCH is enough');
SELECT throws_ok(test.moves(way, 1), '23514', 'the pipeline does not allow this move', way || ': a rule has a direction') FROM test.ways ORDER BY n;
SELECT lives_ok($$ UPDATE kvcrm.leads SET name = 'Правила!', stage_id = stage_id WHERE id = test.id('move') $$, 'staying needs no rule');
SELECT lives_ok($$ SELECT kvcrm.qualify_lead(test.id('move')) $$, 'conversion obeys its own requirements instead');
SELECT is((kvcrm.move_lead((kvcrm.create_lead('Other', organization_id => test.id('b'))).id, test.stage('b', 3))).status, 'qualified', 'other organizations are not concerned');
DELETE FROM kvcrm.lead_stage_transitions;

-- --- history ---

SELECT test.keep('h', id) FROM kvcrm.create_lead('История', assigned_to => test.id('rep'), organization_id => test.id('a'));
SELECT test.as_user('manager', 'SELECT kvcrm.move_lead(test.id(''h''), test.stage(''a'', 2))') IS NOT NULL;
SELECT test.as_user('rep', 'SELECT kvcrm.move_lead(test.id(''h''), test.stage(''a'', 3))') IS NOT NULL;
SELECT kvcrm.move_lead(test.id('h'), test.stage('a', 3)) IS NOT NULL;
SELECT kvcrm.move_lead(test.id('h'), test.stage('a', 1)) IS NOT NULL;
SELECT results_eq($$ SELECT stage_id, moved_by, left_at IS NULL FROM kvcrm.lead_stage_history WHERE lead_id = test.id('h') ORDER BY entered_at $$,
    $$ VALUES (test.stage('a', 1), NULL::uuid, false), (test.stage('a', 2), test.id('manager'), false), (test.stage('a', 3), test.id('rep'), false), (test.stage('a', 1), NULL, true) $$,
    'history tells the stays and who made them; a move inside a column is none');
SELECT is_empty($$ SELECT FROM (SELECT left_at, lead(entered_at) OVER (ORDER BY entered_at) AS next FROM kvcrm.lead_stage_history WHERE lead_id = test.id('h')) AS s WHERE next IS NOT NULL AND left_at IS DISTINCT FROM next $$, 'each stay ends when the next begins');
SELECT is(l.stage_entered_at, h.entered_at, 'stage_entered_at is the beginning of the last') FROM kvcrm.leads l JOIN kvcrm.lead_stage_history h ON h.lead_id = l.id AND h.left_at IS NULL WHERE l.id = test.id('h');
SELECT is(test.as_user('rep', 'SELECT count(*) FROM kvcrm.lead_stage_history WHERE lead_id = test.id(''h'')'), '4', 'who sees the lead sees its history');
SELECT is(test.as_user('other_rep', 'SELECT count(*) FROM kvcrm.lead_stage_history WHERE lead_id = test.id(''h'')'), '0', 'who does not, does not');
SELECT throws_ok($$ SELECT test.as_user('owner', 'UPDATE kvcrm.lead_stage_history SET moved_by = NULL') $$, '42501', NULL, 'clients don''t write history');
SELECT throws_ok($$ INSERT INTO kvcrm.lead_stage_history (organization_id, lead_id, stage_id) VALUES (test.id('a'), test.id('h'), test.stage('a', 2)) $$, '23505', NULL, 'a lead can''t be in two stages');

-- --- move_lead: who may ---

SELECT throws_ok($$ SELECT kvcrm.move_lead(test.id('h'), test.stage('b', 2)) $$, 'PT404', 'stage not found', 'a stage of another organization is not found');
SELECT throws_ok($$ SELECT kvcrm.move_lead(test.id('h'), test.id('unknown')) $$, 'PT404', 'stage not found', 'nor an unknown one');
SELECT throws_ok(format('SELECT test.patch(%L, %L, %L)', 'manager', test.id('h'), jsonb_build_object('stage_id', test.stage('b', 2))), 'PT404', 'stage not found', 'PATCH: nor here');
SELECT throws_ok($$ SELECT kvcrm.move_lead(test.id('unknown'), test.stage('a', 2)) $$, 'PT404', 'lead not found', 'an unknown lead is not found');
SELECT throws_ok($$ SELECT test.as_user('other_rep', 'SELECT kvcrm.move_lead(test.id(''h''), test.stage(''a'', 2))') $$, 'PT404', 'lead not found', 'nor an invisible one');
SELECT throws_ok($$ SELECT test.as_user('owner_b', 'SELECT kvcrm.move_lead(test.id(''h''), test.stage(''a'', 2))') $$, 'PT404', 'lead not found', 'nor another organization''s');
SELECT throws_ok($$ SELECT test.as_user('suspended', 'SELECT kvcrm.move_lead(test.id(''h''), test.stage(''a'', 2))') $$, 'PT404', 'lead not found', 'a suspended member finds nothing');
SELECT throws_ok($$ SELECT test.as_user(NULL, 'SELECT kvcrm.move_lead(test.id(''h''), test.stage(''a'', 2))') $$, '42501', NULL, 'nobody may do nothing');
SELECT throws_ok($$ SELECT kvcrm.move_lead(NULL, test.stage('a', 2)) $$, '22023', 'lead_id is required', 'lead_id is required');
SELECT throws_ok($$ SELECT kvcrm.move_lead(test.id('h'), NULL) $$, '22023', 'stage_id is required', 'stage_id is required');

-- --- expected_version ---

CREATE TABLE test.version AS SELECT version FROM kvcrm.leads WHERE id = test.id('h');
SELECT throws_ok($$ SELECT kvcrm.move_lead(test.id('h'), test.stage('a', 2), expected_version => (SELECT version - 1 FROM test.version)) $$, 'PT409', NULL, 'a stale version is refused');
SELECT throws_ok($$ SELECT kvcrm.move_lead(test.id('h'), test.stage('a', 2), expected_version => (SELECT version + 1 FROM test.version)) $$, 'PT409', NULL, 'so is one to come');
SELECT ok((test.error_of($$ SELECT kvcrm.move_lead(test.id('h'), test.stage('a', 2), expected_version => 0) $$)).message ~ '^[ -~]+$', 'the message is one ASCII line');
SELECT is((SELECT l.version FROM kvcrm.leads l WHERE l.id = test.id('h')), version, 'nothing was written') FROM test.version;
SELECT is((SELECT m.version FROM kvcrm.move_lead(test.id('h'), test.stage('a', 2), expected_version => (SELECT version FROM test.version)) m), version + 1, 'the right version moves') FROM test.version;

-- --- positions ---

-- The names in a stage, in the order of the board.
CREATE FUNCTION test.column_of(n int) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(l.name, ' ' ORDER BY l.board_rank, l.id) FROM kvcrm.leads l WHERE l.stage_id = test.stage('b', n) AND l.deleted_at IS NULL $$;
DELETE FROM kvcrm.leads WHERE organization_id = test.id('b');
SELECT test.keep('card ' || i, l.id) FROM unnest(ARRAY['A', 'B', 'C', 'D']) AS i, LATERAL kvcrm.create_lead(i, organization_id => test.id('b')) l;
SELECT is(test.column_of(1), 'A B C D', 'new cards line up');
CREATE FUNCTION test.drag(card text, stage int, before text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kvcrm.move_lead(test.id('card ' || card), test.stage('b', stage), test.id('card ' || before));
    RETURN test.column_of(stage);
END
$$;
CREATE TABLE test.others AS SELECT id, xmin::text AS written_by FROM kvcrm.leads WHERE organization_id = test.id('b');
SELECT is(test.drag('D', 1, 'A'), 'D A B C', 'to the front');
SELECT is((SELECT count(*) FROM kvcrm.leads l JOIN test.others o USING (id) WHERE l.xmin::text <> o.written_by), 1::bigint, 'writes this one lead');
SELECT is(test.drag('A', 1, 'C'), 'D B A C', 'between two');
SELECT is(test.drag('D', 1), 'B A C D', 'to the end');
SELECT is(test.drag('B', 1, 'B'), 'B A C D', 'before itself: where it is');
SELECT is(test.drag('B', 1, 'A'), 'B A C D', 'before the card it is before');
SELECT is(test.drag('C', 2), 'C', 'into an empty column');
SELECT is(test.drag('A', 2, 'C'), 'A C', 'in front of it');
SELECT is(test.drag('B', 2, 'C'), 'A B C', 'between the two');
SELECT throws_ok($$ SELECT kvcrm.move_lead(test.id('card D'), test.stage('b', 2), test.id('unknown')) $$, 'PT404', NULL, 'before an unknown card: not found');
SELECT throws_ok($$ SELECT kvcrm.move_lead(test.id('card D'), test.stage('b', 1), test.id('h')) $$, 'PT404', NULL, 'before another organization''s card: not found');
SELECT throws_ok($$ SELECT test.drag('A', 2, 'D') $$, '23514', 'before_lead_id is not in that stage', 'before a card of another column: refused');
SELECT is(test.column_of(1) || '|' || test.column_of(2), 'D|A B C', 'none of which moved anything');
SELECT is((SELECT count(*) FROM kvcrm.activity_logs WHERE entity_id = test.id('card D') AND action <> 'created'), 0::bigint, 'moves inside a column leave no log row');
SELECT is((SELECT count(*) FROM kvcrm.activity_logs WHERE entity_id = test.id('card C') AND action = 'moved'), 1::bigint, 'moves between columns one');
SELECT is((SELECT version FROM kvcrm.leads WHERE id = test.id('card D')), 3, 'both raise the version');

-- 2 000 drops at one spot: always before the same card, then always before the one dropped last.
INSERT INTO kvcrm.leads (organization_id, name, stage_id) SELECT test.id('b'), i::text, test.stage('b', 3) FROM generate_series(1, 4002) AS i;
DO $$
DECLARE
    stage uuid := test.stage('b', 2);
    ends uuid[] := ARRAY[test.id('card B'), test.id('card C')];
    last uuid := ends[1];
    card record;
BEGIN
    FOR card IN SELECT id, name::int AS n FROM kvcrm.leads WHERE stage_id = test.stage('b', 3) ORDER BY name::int LOOP
        IF card.n <= 2000 THEN
            PERFORM kvcrm.move_lead(card.id, stage, ends[2]);
        ELSIF card.n <= 4000 THEN
            PERFORM kvcrm.move_lead(card.id, stage, last);
            last := card.id;
        END IF;
    END LOOP;
END
$$;
SELECT is((SELECT array_agg(name ORDER BY board_rank, id) FROM kvcrm.leads WHERE stage_id = test.stage('b', 2)),
          (SELECT ARRAY['A'] || (SELECT array_agg(i::text ORDER BY i DESC) FROM generate_series(2001, 4000) AS i) || ARRAY['B']
               || (SELECT array_agg(i::text ORDER BY i) FROM generate_series(1, 2000) AS i) || ARRAY['C']), '4 000 drops at two spots are in the order they should be');
SELECT is((SELECT count(DISTINCT board_rank) FROM kvcrm.leads WHERE stage_id = test.stage('b', 2)), 4003::bigint, 'every rank is another');
SELECT cmp_ok((SELECT max(length(board_rank)) FROM kvcrm.leads WHERE stage_id = test.stage('b', 2)), '<=', 40, 'and short');
SELECT ok((SELECT bool_and(board_rank ~ '^[0-9A-Za-z]*[1-9A-Za-z]$') FROM kvcrm.leads), 'no rank ends in 0');
SELECT is((SELECT max(version) FROM kvcrm.leads WHERE stage_id = test.stage('b', 2) AND name ~ '^\d'), 2, 'every drop wrote one lead once');

-- --- what a session keeps of a pipeline, until it changes ---

SELECT lives_ok($$ SELECT test.keep('spare', test.add_stage('{"name": "Запасной", "order_index": 20}')) $$, 'a stage without leads');
CREATE FUNCTION test.status_in_spare() RETURNS text LANGUAGE sql AS $$ SELECT status FROM kvcrm.create_lead('Лид', stage_id => test.id('spare'), organization_id => test.id('a')) $$;
BEGIN;
SAVEPOINT before;
SELECT is(test.status_in_spare(), 'contacted', 'a lead in an open stage');
ROLLBACK TO before;
UPDATE kvcrm.lead_stages SET is_qualified = true WHERE id = test.id('spare');
SAVEPOINT changed;
SELECT is(test.status_in_spare(), 'qualified', 'after a change it is what the stage is now');
ROLLBACK TO before;
SELECT is(test.status_in_spare(), 'contacted', 'once the change is rolled back, what it was');
ROLLBACK;
SELECT is((SELECT l.status FROM kvcrm.create_lead('Лид', organization_id => test.id('a')) l), 'new', 'and afterwards, too');
-- As replication does, and a parallel restore.
BEGIN;
SET session_replication_role = replica;
UPDATE kvcrm.lead_stages SET is_qualified = true WHERE id = test.id('spare');
RESET session_replication_role;
SELECT test.status_in_spare() AS status \gset
ROLLBACK;
SELECT is(:'status'::text, 'qualified', 'a change that fires no other trigger is heard of');

SELECT * FROM finish();
