-- The board, its columns, the report, and the administration of stages.
-- inconsistent: stage_entered_at is set by hand
\ir include/two_organizations.sql

-- `head` reads a team's leads, of which `mate` is; `watcher` may read no leads.
INSERT INTO test.ids VALUES ('head', gen_random_uuid()), ('mate', gen_random_uuid()), ('watcher', gen_random_uuid());
INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES
    (test.id('a'), 'head', 'Head', '{leads:read_team}'), (test.id('a'), 'watcher', 'Watcher', '{customers:read}');
INSERT INTO kvcrm.teams (organization_id, name) VALUES (test.id('a'), 'Север');
SELECT test.keep('team', id) FROM kvcrm.teams \g /dev/null
SELECT count(*) FROM (VALUES ('head', 'head', true), ('mate', 'sales_team', true), ('watcher', 'watcher', false)) AS m (who, role, team),
    LATERAL kvcrm.add_member(test.id(m.who), m.role, m.who, team_id => CASE WHEN m.team THEN test.id('team') END,
                             organization_id => test.id('a')) \g /dev/null

UPDATE kvcrm.lead_stages SET probability = 10 * order_index + 15, rotting_days = CASE WHEN order_index % 2 = 0 THEN 7 END WHERE organization_id = test.id('a');
INSERT INTO kvcrm.leads (organization_id, name, company, stage_id, assigned_to, estimated_value, currency, stage_entered_at)
SELECT test.id('a'), 'Lead ' || n, 'Firm ' || n % 9, test.stage('a', n % 3 + 1),
       CASE n % 5 WHEN 0 THEN test.id('rep') WHEN 1 THEN test.id('mate') WHEN 2 THEN test.id('head') WHEN 3 THEN test.id('other_rep') END,
       CASE WHEN n % 4 > 0 THEN n * 10.55 END, CASE WHEN n % 7 = 0 THEN 'USD' WHEN n % 11 = 0 THEN 'EUR' ELSE 'RUB' END, now() - n % 20 * interval '1 day'
  FROM generate_series(1, 120) AS n;
INSERT INTO kvcrm.leads (organization_id, name, estimated_value) SELECT test.id('b'), 'Other ' || n, 5 FROM generate_series(1, 10) AS n;
SELECT test.keep(name, id) FROM kvcrm.leads WHERE organization_id = test.id('a') \g /dev/null
SELECT test.keep('other', id) FROM kvcrm.leads WHERE organization_id = test.id('b') LIMIT 1 \g /dev/null
SELECT kvcrm.log_activity(l.id, 'call', t.title, due_date => t.due::timestamptz, completed_at => t.done::timestamptz) IS NOT NULL
  FROM kvcrm.leads l, (VALUES ('later', '2030-01-02', NULL), ('sooner', '2030-01-01', NULL), ('done', '2029-01-01', '2029-01-01'), ('some day', NULL, NULL)) AS t (title, due, done)
 WHERE l.name = 'Lead 30' \g /dev/null
SELECT kvcrm.log_activity(test.id('Lead 30'), 'note', 'note', due_date => '2028-01-01') IS NOT NULL \g /dev/null

-- --- the board equals a recount ---

-- Who sees which leads.
CREATE TABLE test.scopes (who text, members text[]);
INSERT INTO test.scopes VALUES (NULL, NULL), ('owner', NULL), ('manager', NULL), ('rep', '{rep}'), ('mate', '{mate}'), ('head', '{head,mate}');

CREATE FUNCTION test.board(who text, arguments text DEFAULT '') RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    statement text := 'SELECT jsonb_agg(to_jsonb(b)) FROM kvcrm.pipeline_board(' || arguments || CASE arguments WHEN '' THEN '' ELSE ', ' END
                      || 'organization_id => test.id(''a'')) b';
    answer jsonb;
BEGIN
    IF who IS NOT NULL THEN RETURN test.as_user(who, statement)::jsonb; END IF;
    EXECUTE statement INTO answer;
    RETURN answer;
END
$$;
-- The same by plain queries over leads; members: null = of everybody.
CREATE FUNCTION test.recount(members uuid[], size int DEFAULT 20) RETURNS jsonb LANGUAGE sql AS $$
    WITH live AS (
        SELECT l.*, s.probability, s.rotting_days, row_number() OVER (PARTITION BY l.stage_id ORDER BY l.board_rank, l.id) AS place
          FROM kvcrm.leads l JOIN kvcrm.lead_stages s ON s.id = l.stage_id
         WHERE l.organization_id = test.id('a') AND l.deleted_at IS NULL AND l.merged_into_id IS NULL AND l.converted_at IS NULL
           AND (members IS NULL OR l.assigned_to = ANY (members)))
    SELECT jsonb_agg(jsonb_build_object('stage_id', s.id, 'stage_name', s.name, 'color', s.color, 'order_index', s.order_index, 'outcome', s.outcome,
        'lead_count', (SELECT count(*) FROM live l WHERE l.stage_id = s.id),
        'totals', (SELECT coalesce(jsonb_object_agg(t.currency, jsonb_build_object('value', t.value, 'weighted', t.weighted)), '{}') FROM (
            SELECT l.currency, round(coalesce(sum(l.estimated_value), 0), 2) AS value, round(coalesce(sum(l.estimated_value), 0) * min(l.probability) / 100, 2) AS weighted
              FROM live l WHERE l.stage_id = s.id GROUP BY l.currency) t),
        'cards', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', l.id, 'name', l.name, 'company', l.company, 'assigned_to', l.assigned_to,
            'estimated_value', l.estimated_value, 'currency', l.currency, 'score', l.score, 'version', l.version, 'board_rank', l.board_rank,
            'stage_entered_at', l.stage_entered_at, 'rotting', coalesce(l.stage_entered_at + l.rotting_days * interval '1 day' < now(), false),
            'next_task', (SELECT jsonb_build_object('id', a.id, 'type', a.type, 'title', a.title, 'due_date', a.due_date) FROM kvcrm.lead_activities a
                           WHERE a.lead_id = l.id AND a.title = 'sooner')) ORDER BY l.place), '[]') FROM live l WHERE l.stage_id = s.id AND l.place <= size))
        ORDER BY s.order_index, s.id)
      FROM kvcrm.lead_stages s WHERE s.organization_id = test.id('a')
$$;
-- Asserts it for everybody.
CREATE FUNCTION test.board_is_right(what text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT is(test.board(s.who), test.recount((SELECT array_agg(test.id(m)) FROM unnest(s.members) AS m)), format('%s: the board of %s', what, coalesce(s.who, 'the system'))) FROM test.scopes s
$$;

SELECT test.board_is_right('at first');
SELECT is(jsonb_path_query_array(test.board('manager'), '$[*].lead_count'), '[40, 40, 40, 0, 0]', 'a row per stage, empty ones too');
SELECT is((SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(test.board('manager')->0->'totals') AS k), '{EUR,RUB,USD}', 'a total per currency');
SELECT is(test.board('manager')->3->'totals', '{}', 'none without leads');
SELECT is((SELECT count(*) FROM jsonb_path_query(test.board('manager'), '$[*].cards[*] ? (@.rotting == true)')) > 0
      AND (SELECT count(*) FROM jsonb_path_query(test.board('manager'), '$[*].cards[*] ? (@.rotting == false)')) > 0, true, 'some leads rot, some don''t');
SELECT is(test.board('manager', format('assigned_to => %L', test.id('rep'))), test.recount(ARRAY[test.id('rep')]), 'a manager looks at a rep''s board');
SELECT is(test.board('head', format('assigned_to => %L', test.id('mate'))), test.recount(ARRAY[test.id('mate')]), 'a head of team at a teammate''s');
SELECT is(test.board(who, format('assigned_to => %L', test.id('rep'))), test.recount('{}'), who || ' sees nothing of a rep''s') FROM unnest(ARRAY['head', 'mate']) AS who;
SELECT is(test.board('manager', format('assigned_to => %L', u)), test.recount('{}'), 'nor is there anything of ' || u) FROM unnest(ARRAY[test.id('unknown'), '00000000-0000-0000-0000-000000000000']) AS u;
SELECT is(test.board(s.who, 'cards_per_stage => ' || size), test.recount((SELECT array_agg(test.id(m)) FROM unnest(s.members) AS m), size), format('%s cards for %s', size, s.who))
  FROM (VALUES (0), (1), (7), (200)) AS c (size), test.scopes s WHERE s.who IN ('manager', 'head', 'rep');
SELECT is(test.board('manager', 'cards_per_stage => NULL'), test.board('manager'), 'null cards are the default');
SELECT throws_ok(format('SELECT test.board(%L, %L)', 'manager', 'cards_per_stage => ' || n), '22023', 'cards_per_stage must be between 0 and 200', n || ' cards are refused') FROM unnest(ARRAY[-1, 201, 2147483647]) AS n;
SELECT throws_ok($$ SELECT test.board('watcher') $$, '42501', NULL, 'who may read no leads has no board');
SELECT throws_ok(format('SELECT test.board(%L)', who), '42501', NULL, 'nor has ' || who) FROM unnest(ARRAY['owner_b', 'suspended', 'stranger']) AS who;

-- Whatever happens to leads.
SELECT kvcrm.move_lead(test.id('Lead ' || n), test.stage('a', 4), NULL) IS NOT NULL FROM generate_series(1, 30) AS n \g /dev/null
SELECT kvcrm.move_lead(test.id('Lead 10'), test.stage('a', 4), test.id('Lead 2')) IS NOT NULL \g /dev/null
SELECT test.board_is_right('after moves');
SELECT kvcrm.assign_lead(test.id('Lead ' || n), CASE WHEN n % 2 = 0 THEN test.id('mate') END) IS NOT NULL FROM generate_series(20, 50) AS n \g /dev/null
SELECT test.board_is_right('after assignments');
SELECT kvcrm.delete_lead(test.id('Lead ' || n)) IS NOT NULL FROM generate_series(40, 70) AS n \g /dev/null
SELECT test.board_is_right('after deletions');
SELECT kvcrm.restore_lead(test.id('Lead ' || n)) IS NOT NULL FROM generate_series(50, 60) AS n \g /dev/null
SELECT test.board_is_right('after restoring some');
SELECT kvcrm.qualify_lead(test.id('Lead ' || n)) IS NOT NULL FROM generate_series(1, 10) AS n \g /dev/null
SELECT test.board_is_right('after conversions');
UPDATE kvcrm.leads SET estimated_value = CASE WHEN estimated_value IS NULL THEN 7.77 END, currency = CASE currency WHEN 'USD' THEN 'RUB' ELSE 'USD' END
 WHERE organization_id = test.id('a') AND name LIKE 'Lead 1__' AND deleted_at IS NULL AND converted_at IS NULL;
SELECT test.board_is_right('after changes of value and currency');
DELETE FROM kvcrm.leads WHERE name = 'Lead 120';
SELECT test.board_is_right('after a row is deleted');
BEGIN;
SELECT kvcrm.delete_lead(test.id('Lead 100')) IS NOT NULL \g /dev/null
SELECT kvcrm.move_lead(test.id('Lead 101'), test.stage('a', 1)) IS NOT NULL \g /dev/null
SELECT test.board_is_right('inside a transaction');
ROLLBACK;
SELECT test.board_is_right('after its rollback');

-- --- the column ---

CREATE FUNCTION test.column_page(who text, stage int, after uuid DEFAULT NULL, size int DEFAULT 50) RETURNS uuid[] LANGUAGE sql AS $$
    SELECT test.as_user(who, format('SELECT coalesce(array_agg(id), ''{}'') FROM kvcrm.pipeline_column(%L, %L, %L)', test.stage('a', stage), after, size))::uuid[] $$;
CREATE FUNCTION test.column_pages(who text, stage int, size int) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    everything uuid[] := '{}';
    page uuid[];
BEGIN
    LOOP
        page := test.column_page(who, stage, everything[cardinality(everything)], size);
        EXIT WHEN cardinality(page) = 0 OR cardinality(everything) > 1000;
        everything := everything || page;
    END LOOP;
    RETURN everything;
END
$$;
SELECT is(test.column_pages(s.who, n, size), (SELECT coalesce(array_agg((c->>'id')::uuid ORDER BY i), '{}') FROM jsonb_array_elements(test.board(s.who, 'cards_per_stage => 200')->(n - 1)->'cards') WITH ORDINALITY AS t (c, i)),
          format('column %s of %s in pages of %s', n, s.who, size))
  FROM test.scopes s, generate_series(1, 5) AS n, (VALUES (3), (1000)) AS p (size) WHERE s.who IS NOT NULL;
SELECT is(test.column_page('manager', 1, size => NULL), test.column_page('manager', 1), 'without a size there are 50');
SELECT throws_ok(format('SELECT test.column_page(%L, 1, size => %s)', 'manager', n), '22023', 'page_size must be between 1 and 1000', 'pages of ' || n) FROM unnest(ARRAY[0, -1, 1001]) AS n;
SELECT throws_ok(format('SELECT test.as_user(%L, %L)', who, format('SELECT kvcrm.pipeline_column(%L)', stage)), 'PT404', 'stage not found', who || ' finds no such stage')
  FROM (VALUES ('manager', test.id('unknown')), ('manager', test.stage('b', 1)), ('owner_b', test.stage('a', 1)), ('suspended', test.stage('a', 1))) AS c (who, stage);
SELECT throws_ok(format('SELECT test.column_page(%L, 1, %L)', who, after), 'PT404', 'lead not found', who || ' does not page after a lead that can''t be seen')
  FROM (VALUES ('manager', test.id('unknown')), ('manager', test.id('other')), ('rep', test.id('Lead 63'))) AS c (who, after);
SELECT throws_ok(format('SELECT test.column_page(%L, 1, %L)', 'manager', test.id('Lead 11')), '23514', 'after_lead_id is not in that stage', 'a card that has left the column is no place in it');
SELECT throws_ok($$ SELECT test.column_page('watcher', 1) $$, '42501', NULL, 'who may read no leads reads no column');

-- --- as PostgREST serves it ---

BEGIN READ ONLY;
SELECT lives_ok(format('SELECT test.as_user(%L, %L)', 'manager', 'SELECT count(*) FROM kvcrm.' || f), 'in a READ ONLY transaction: ' || f)
  FROM unnest(ARRAY['pipeline_board()', 'pipeline_column(test.stage(''a'', 1))', 'pipeline_report()', 'stage_admin()']) AS f;
ROLLBACK;

-- --- stages ---

SELECT is((SELECT jsonb_agg(jsonb_build_array(a.name, a.lead_count, a.can_delete)) FROM kvcrm.stage_admin(test.id('b')) a),
          '[["New lead", 10, false], ["Contacted", 0, true], ["Qualified", 0, true], ["Won", 0, true], ["Lost", 0, true]]', 'stages with their leads, and which can go');
SELECT is((SELECT jsonb_agg(a.lead_count) FROM kvcrm.stage_admin(test.id('a')) a), jsonb_path_query_array(test.board('manager'), '$[*].lead_count'), 'live leads are counted');
SELECT is(test.as_user(who, 'SELECT count(*) FROM kvcrm.stage_admin()'), '5', 'for ' || who) FROM unnest(ARRAY['rep', 'watcher', 'owner']) AS who;
SELECT throws_ok(format('SELECT test.as_user(%L, %L)', who, 'SELECT kvcrm.stage_admin(test.id(''a''))'), '42501', NULL, 'not for ' || who) FROM unnest(ARRAY['owner_b', 'suspended', 'stranger']) AS who;
INSERT INTO kvcrm.lead_stage_transitions (organization_id, from_stage_id, to_stage_id, required_fields)
VALUES (test.id('b'), test.stage('b', 1), test.stage('b', 3), '{email}'), (test.id('b'), test.stage('b', 1), test.stage('b', 2), '{}'), (test.id('b'), test.stage('b', 2), test.stage('b', 5), '{}');
SELECT is((SELECT jsonb_agg((SELECT jsonb_agg(t - 'id' ORDER BY i) FROM jsonb_array_elements(a.transitions) WITH ORDINALITY AS e (t, i))) FROM kvcrm.stage_admin(test.id('b')) a WHERE a.order_index <= 2),
          jsonb_build_array(jsonb_build_array(jsonb_build_object('to_stage_id', test.stage('b', 2), 'to_stage_name', 'Contacted', 'required_fields', '[]'::jsonb),
                            jsonb_build_object('to_stage_id', test.stage('b', 3), 'to_stage_name', 'Qualified', 'required_fields', '["email"]'::jsonb)),
                            jsonb_build_array(jsonb_build_object('to_stage_id', test.stage('b', 5), 'to_stage_name', 'Lost', 'required_fields', '[]'::jsonb))), 'with the moves allowed from them');

-- --- rules go ---

SELECT throws_ok(format('SELECT test.as_user(%L, %L)', who, 'SELECT kvcrm.remove_transition(test.stage(''b'', 1), test.stage(''b'', 3))'), code, NULL, who || ' removes no rule')
  FROM (VALUES ('rep_b', '42501'), ('owner', 'PT404'), ('stranger', 'PT404')) AS c (who, code);
SELECT is((SELECT required_fields FROM kvcrm.remove_transition(test.stage('b', 1), test.stage('b', 3))), '{email}', 'a rule is removed');
SELECT throws_ok($$ SELECT kvcrm.remove_transition(test.stage('b', 1), test.stage('b', 3)) $$, 'PT404', 'transition not found', 'only once');
SELECT is((SELECT count(*) FROM kvcrm.lead_stage_transitions), 2::bigint, 'the others stay');

-- --- stages go ---

CREATE FUNCTION test.names(n int) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(l.name, ',' ORDER BY l.board_rank, l.id) FROM kvcrm.leads l WHERE l.stage_id = test.stage('b', n) $$;
CREATE FUNCTION test.delete_stage(who text, n int, target uuid DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT test.as_user(who, format('SELECT (kvcrm.delete_stage(%L, %L)).name', test.stage('b', n), target)) $$;
SELECT throws_ok(format('SELECT test.delete_stage(%L, %s, %L)', c.who, c.n, c.target), c.code, NULL, format('%s: stage %s is not deleted (%s)', c.who, c.n, c.why)) FROM (VALUES
    ('rep_b', 2, NULL, '42501', 'no permission'), ('owner', 2, NULL, 'PT404', 'another organization''s'), ('owner_b', 1, NULL, '23514', 'it holds leads'),
    ('owner_b', 1, test.stage('b', 1), '22023', 'to itself'), ('owner_b', 1, test.id('unknown'), 'PT404', 'unknown target'), ('owner_b', 1, test.stage('a', 1), 'PT404', 'foreign target')) AS c (who, n, target, code, why);
SELECT throws_ok($$ SELECT kvcrm.delete_stage(test.id('unknown')) $$, 'PT404', 'stage not found', 'an unknown stage');
SELECT matches((test.error_of($$ SELECT kvcrm.delete_stage(test.stage('b', 1)) $$)).hint, 'delete_stage\(stage_id, move_leads_to\)', 'the HINT says how');
SELECT is(test.names(1), 'Other 1,Other 2,Other 3,Other 4,Other 5,Other 6,Other 7,Other 8,Other 9,Other 10', 'nothing was moved');

-- From a stage with a gone lead and cards in another order, to one that no rule leads to.
SELECT kvcrm.move_lead(l.id, test.stage('b', 2)) IS NOT NULL FROM kvcrm.leads l WHERE l.organization_id = test.id('b') AND l.name IN ('Other 3', 'Other 4', 'Other 5') \g /dev/null
SELECT kvcrm.move_lead(a.id, test.stage('b', 2), b.id) IS NOT NULL FROM kvcrm.leads a, kvcrm.leads b WHERE a.name = 'Other 5' AND b.name = 'Other 3' \g /dev/null
SELECT kvcrm.delete_lead(id) IS NOT NULL FROM kvcrm.leads WHERE name = 'Other 4' \g /dev/null
CREATE TABLE test.versions AS SELECT id, version FROM kvcrm.leads;
SELECT throws_ok(format('SELECT kvcrm.move_lead(id, test.stage(%L, 1)) FROM kvcrm.leads WHERE name = %L', 'b', 'Other 3'), '23514', 'the pipeline does not allow this move', 'a person may not move there');
CREATE TABLE test.order AS SELECT test.names(1) || ',' || test.names(2) AS it;
SELECT is(test.delete_stage('owner_b', 2, test.stage('b', 1)), 'Contacted', 'a stage is deleted');
SELECT is(test.names(1), (SELECT it FROM test.order), 'its leads, gone ones too, are at the end of the other, in their order');
SELECT results_eq($$ SELECT l.name, l.status, l.version - v.version, l.deleted_at IS NOT NULL FROM kvcrm.leads l JOIN test.versions v USING (id) WHERE l.name IN ('Other 3', 'Other 4') ORDER BY 1 $$,
                  $$ VALUES ('Other 3', 'new', 1, false), ('Other 4', 'new', 1, true) $$, 'their status follows, and the version');
SELECT is((SELECT array_agg(CASE WHEN h.left_at IS NULL THEN 'here' ELSE 'left' END || (h.stage_id = l.stage_id)::text ORDER BY h.entered_at, h.left_at) FROM kvcrm.lead_stage_history h JOIN kvcrm.leads l ON l.id = h.lead_id WHERE l.name = 'Other 3'),
          '{lefttrue,leftfalse,heretrue}', 'history tells it');
SELECT is((SELECT row(g.action, g.actor_id) FROM kvcrm.activity_logs g JOIN kvcrm.leads l ON l.id = g.entity_id WHERE l.name = 'Other 3' ORDER BY g.id DESC LIMIT 1), row('moved'::text, test.id('owner_b')), 'so does the log');
SELECT is((SELECT row(count(*), count(*) FILTER (WHERE action = 'deleted')) FROM kvcrm.activity_logs WHERE entity_type = 'stage' AND action = 'deleted' AND organization_id = test.id('b')), row(1::bigint, 1::bigint), 'and of the stage');
SELECT is((SELECT count(*) FROM kvcrm.lead_stage_transitions WHERE organization_id = test.id('b')), 0::bigint, 'its rules go with it');
SELECT is((SELECT sum(leads) FROM kvcrm.lead_stage_counts WHERE organization_id = test.id('b')), 9::numeric, 'the counts are right');
BEGIN;
SELECT is(test.delete_stage('owner_b', 2), 'Qualified', 'an empty stage needs no target');
DELETE FROM kvcrm.leads WHERE name = 'Other 4';
UPDATE kvcrm.leads SET stage_id = test.stage('b', 2) WHERE organization_id = test.id('b');
SELECT throws_ok(format('SELECT test.delete_stage(%L, 1, %L)', 'owner_b', test.stage('b', 3)), '23514', 'at least one open stage must remain', 'the last open stage stays');
SELECT is((SELECT row(lead_count, can_delete) FROM kvcrm.stage_admin(test.id('b')) LIMIT 1), row(0::bigint, false), 'stage_admin says so');
ROLLBACK;

-- A new first stage: who is new changes at once, here when it goes again.
INSERT INTO kvcrm.lead_stages (organization_id, name, order_index) VALUES (test.id('b'), 'First', -1), (test.id('b'), 'Last', 9);
SELECT is((SELECT array_agg(DISTINCT status) FROM kvcrm.leads WHERE organization_id = test.id('b')), '{contacted}', 'another stage is first');
SELECT kvcrm.move_lead(id, test.stage('b', 1)) IS NOT NULL FROM kvcrm.leads WHERE name = 'Other 1' \g /dev/null
SELECT is(test.delete_stage('owner_b', 1, test.stage('b', 6)), 'First', 'the first stage goes');
SELECT results_eq($$ SELECT name, status FROM kvcrm.leads WHERE name IN ('Other 1', 'Other 2') ORDER BY 1 $$, $$ VALUES ('Other 1', 'contacted'), ('Other 2', 'new') $$, 'status is right afterwards');
-- To the lost stage.
SELECT is(test.delete_stage('owner_b', 5, test.stage('b', 4)), 'Last', 'into a lost stage');
SELECT is((SELECT row(status, lost_reason) FROM kvcrm.leads WHERE name = 'Other 1'), row('lost'::text, 'Last'::text), 'the deleted stage is the reason');
-- Converted leads don't go back among the open ones.
SELECT kvcrm.qualify_lead(id) IS NOT NULL FROM kvcrm.leads WHERE name = 'Other 2' \g /dev/null
SELECT throws_ok(format('SELECT test.delete_stage(%L, 2, %L)', 'owner_b', test.stage('b', 1)), '23514', 'a converted lead moves among qualified, won and lost stages only', 'converted leads need a qualified stage');
SELECT is(test.delete_stage('owner_b', 2, test.stage('b', 3)), 'Qualified', 'which they get');
SELECT is((SELECT row(l.status, s.name) FROM kvcrm.leads l JOIN kvcrm.lead_stages s ON s.id = l.stage_id WHERE l.name = 'Other 2'), row('converted'::text, 'Won'::text), 'and stay converted');

-- --- the report ---

INSERT INTO test.ids VALUES ('r', gen_random_uuid());
SELECT kvcrm.create_organization('Report', 'en', owner_id => test.id('owner_b'), organization_id => test.id('r')) IS NOT NULL \g /dev/null
UPDATE kvcrm.organizations SET settings = '{"conversion_required": ["name"]}' WHERE id = test.id('r');
SELECT kvcrm.add_member(test.id('rep_b'), 'sales_team', 'Rita', organization_id => test.id('r')) IS NOT NULL \g /dev/null
INSERT INTO kvcrm.leads (organization_id, name, source, assigned_to, created_at)
SELECT test.id('r'), 'R' || n, CASE WHEN n <= 4 THEN 'website' END, CASE WHEN n % 2 = 0 THEN test.id('rep_b') END, '2026-01-01' FROM generate_series(1, 8) AS n;
SELECT test.keep(name, id) FROM kvcrm.leads WHERE organization_id = test.id('r') \g /dev/null
-- R1, R2: to the second stage after 2 and 4 days; R3 qualified after 6; R4 lost after 8; R5 lost, but deleted; R6 stays; R7 merged away; R8 back and forth.
SELECT kvcrm.move_lead(test.id('R1'), test.stage('r', 2)), kvcrm.move_lead(test.id('R2'), test.stage('r', 2)), kvcrm.qualify_lead(test.id('R3')),
       kvcrm.move_lead(test.id('R4'), test.stage('r', 5), lost_reason => 'price'), kvcrm.move_lead(test.id('R5'), test.stage('r', 5), lost_reason => 'price') \g /dev/null
SELECT kvcrm.delete_lead(test.id('R5')), kvcrm.move_lead(test.id('R8'), test.stage('r', 2)) \g /dev/null
SELECT kvcrm.move_lead(test.id('R8'), test.stage('r', 1)) IS NOT NULL \g /dev/null
ALTER TABLE kvcrm.leads DISABLE TRIGGER USER;
UPDATE kvcrm.leads SET merged_into_id = test.id('R6') WHERE id = test.id('R7');
UPDATE kvcrm.leads SET converted_at = '2026-01-07' WHERE id = test.id('R3');
UPDATE kvcrm.leads SET stage_entered_at = '2026-01-09' WHERE id = test.id('R4');
ALTER TABLE kvcrm.leads ENABLE TRIGGER USER;
-- The stays, on days of January.
WITH days (lead, n, since, until) AS (VALUES ('R1', 1, 1, 3), ('R1', 2, 3, NULL), ('R2', 1, 1, 5), ('R2', 2, 5, NULL), ('R3', 1, 1, 7), ('R3', 2, 7, NULL), ('R4', 1, 1, 9), ('R4', 2, 9, NULL),
                                             ('R5', 1, 1, 9), ('R5', 2, 9, NULL), ('R6', 1, 1, NULL), ('R7', 1, 1, NULL), ('R8', 1, 1, 2), ('R8', 2, 2, 12), ('R8', 3, 12, NULL)),
     stays AS (SELECT h.id, h.lead_id, row_number() OVER (PARTITION BY h.lead_id ORDER BY h.id) AS n FROM kvcrm.lead_stage_history h WHERE h.organization_id = test.id('r'))
UPDATE kvcrm.lead_stage_history h SET entered_at = '2026-01-01'::timestamptz + (d.since - 1) * interval '1 day', left_at = '2026-01-01'::timestamptz + (d.until - 1) * interval '1 day'
  FROM stays s, days d WHERE h.id = s.id AND test.id(d.lead) = s.lead_id AND d.n = s.n;

CREATE FUNCTION test.report(who text, wanted text, since text DEFAULT NULL, until text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT test.as_user(who, format('SELECT string_agg(concat_ws('' '', coalesce(name, ''-''), coalesce(entered::text, ''-''), coalesce(advanced::text, ''-''), lost, coalesce(conversion_rate::text, ''-''),'
        ' coalesce(median_days::text, ''-''), coalesce(p90_days::text, ''-'')), ''; '') FROM kvcrm.pipeline_report(%L, %L, test.id(''r'')) WHERE dimension = %L', since, until, wanted)) $$;
SELECT is(test.report('owner_b', 'stage'), 'New lead 7 4 1 0.5714 4.00 7.20; Contacted 3 0 0 0.0000 10.00 10.00; Qualified 1 0 0 0.0000 - -; Won 0 0 0 - - -; Lost 1 0 0 0.0000 - -', 'stages: entered, advanced, lost, rate, days');
SELECT is(test.report('owner_b', 'stage', until => '2026-01-05'), 'New lead 6 2 0 0.3333 1.50 1.90; Contacted 2 0 0 0.0000 - -; Qualified 0 0 0 - - -; Won 0 0 0 - - -; Lost 0 0 0 - - -', 'as they stood at the end of a period');
SELECT is(test.report('owner_b', 'stage', '2026-01-02', '2026-01-10'), 'New lead 0 0 0 - - -; Contacted 3 0 0 0.0000 - -; Qualified 1 0 0 0.0000 - -; Won 0 0 0 - - -; Lost 1 0 0 0.0000 - -', 'only what began in it');
SELECT is(test.report('owner_b', 'source'), 'Website 4 1 1 0.2500 6.00 6.00; - 2 0 0 0.0000 - -', 'sources');
SELECT is(test.report('owner_b', 'assignee'), 'Rita 4 0 1 0.0000 - -; - 2 1 0 0.5000 6.00 6.00', 'assignees');
SELECT is(test.report('owner_b', 'lost_reason'), 'price - - 1 - - -', 'reasons');
SELECT is(test.report('owner_b', 'lost_reason', '2026-01-10'), NULL, 'of the period');
SELECT is(test.report('rep_b', 'stage'), 'New lead 5 2 1 0.4000 4.00 7.20; Contacted 2 0 0 0.0000 10.00 10.00; Qualified 0 0 0 - - -; Won 0 0 0 - - -; Lost 1 0 0 0.0000 - -', 'a rep''s own leads');
SELECT is(test.report('rep_b', 'assignee'), 'Rita 4 0 1 0.0000 - -', 'and nobody else''s');
SELECT throws_ok($$ SELECT test.report('owner_b', 'stage', '2026-01-02', '2026-01-01') $$, '22023', 'from_date must not be after to_date', 'a period that ends before it begins');
SELECT throws_ok(format('SELECT test.as_user(%L, %L)', who, 'SELECT kvcrm.pipeline_report(organization_id => test.id(''a''))'), '42501', NULL, 'no report for ' || who) FROM unnest(ARRAY['watcher', 'owner_b', 'suspended']) AS who;

SELECT * FROM finish();
