-- The audit log: one row per row and statement, with exactly what changed.
\ir include/two_organizations.sql

CREATE TABLE test.mark (id uuid);
INSERT INTO test.mark SELECT max(id::text)::uuid FROM kvcrm.activity_logs;

-- Runs a statement and returns the log rows that it left.
CREATE FUNCTION test.logged(statement text) RETURNS SETOF kvcrm.activity_logs LANGUAGE plpgsql AS $$
DECLARE
    seen uuid[] := ARRAY(SELECT id FROM kvcrm.activity_logs);
BEGIN
    EXECUTE statement;
    RETURN QUERY SELECT * FROM kvcrm.activity_logs g WHERE g.id <> ALL (seen) ORDER BY g.id;
END
$$;
CREATE FUNCTION test.changes(statement text) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_agg(jsonb_build_array(g.entity_type, g.action, g.changes) ORDER BY g.id) FROM test.logged(statement) g $$;

-- --- every table, in bulk ---

CREATE TABLE test.tables (n int, entity text, relation text, columns text, source text, change text);
INSERT INTO test.tables VALUES
    (1, 'organization', 'organizations', 'name', '''О '' || i', 'name = name || ''!'''),
    (2, 'role', 'roles', 'organization_id, slug, name, permissions', 'test.id(''a''), ''r'' || i, ''R'', ''{leads:create}''::text[]', 'name = name || ''!'''),
    (3, 'team', 'teams', 'organization_id, name', 'test.id(''a''), ''T'' || i', 'name = name || ''!'''),
    (4, 'member', 'organization_members', 'organization_id, user_id, role_slug, status', 'test.id(''a''), kvcrm.uuid_v7(), ''sales_team'', ''active''', 'display_name = ''М'''),
    (5, 'stage', 'lead_stages', 'organization_id, name, order_index', 'test.id(''a''), ''S'' || i, 100 + i', 'description = ''x'''),
    (6, 'transition', 'lead_stage_transitions', 'organization_id, from_stage_id, to_stage_id', 'test.id(''b''), test.stage(''b'', i), test.stage(''b'', i + 1)', 'required_fields = ''{email}'''),
    (7, 'source', 'lead_sources', 'organization_id, slug, name', 'test.id(''a''), ''s'' || i, ''S''', 'name = name || ''!'''),
    (8, 'lead', 'leads', 'organization_id, name', 'test.id(''a''), ''L'' || i', 'company = ''АО'''),
    (9, 'activity', 'lead_activities', 'organization_id, lead_id, type, title', 'test.id(''a''), (SELECT l.id FROM kvcrm.leads l WHERE l.name = ''L'' || i), ''note'', ''A''', 'title = title || ''!'''),
    (10, 'customer', 'customers', 'organization_id, name', 'test.id(''a''), ''C'' || i', 'company = ''АО'''),
    (11, 'contact', 'customer_contacts', 'organization_id, customer_id, name', 'test.id(''a''), (SELECT c.id FROM kvcrm.customers c WHERE c.name = ''C'' || i), ''P''', '"position" = ''x'''),
    (12, 'field', 'custom_field_definitions', 'organization_id, entity, key, type', 'test.id(''a''), ''quote'', ''f'' || i, ''text''', 'name = name || ''!'''),
    (13, 'scoring_rule', 'scoring_rules', 'organization_id, field, operator, value, points', 'test.id(''b''), ''source'', ''eq'', ''"x"'', i', 'points = points + 1'),
    (14, 'assignment_rule', 'assignment_rules', 'organization_id, field, operator, value, user_id', 'test.id(''b''), ''source'', ''eq'', ''"x"'', test.id(''owner_b'')', 'order_index = order_index + 1');
CREATE TABLE test.results (n int, entity text, step text, logs text, entities uuid[], rows uuid[]);
DO $$
DECLARE
    t record;
    ids uuid[];
    before uuid[];
BEGIN
    FOR t IN SELECT * FROM test.tables ORDER BY n LOOP
        EXECUTE format('SELECT array_agg(id) FROM kvcrm.%I', t.relation) INTO before;
        INSERT INTO test.results
        SELECT t.n, t.entity, 'insert', string_agg(DISTINCT format('%s %s', g.action, g.actor_id IS NULL), ', '), array_agg(g.entity_id ORDER BY g.entity_id), NULL
          FROM test.logged(format('INSERT INTO kvcrm.%I (%s) SELECT %s FROM generate_series(1, 3) AS i', t.relation, t.columns, t.source)) g WHERE g.entity_type = t.entity;
        EXECUTE format('SELECT array_agg(id ORDER BY id) FROM kvcrm.%I WHERE id <> ALL ($1)', t.relation) INTO ids USING coalesce(before, '{}');
        INSERT INTO test.results
        SELECT t.n, t.entity, 'update', string_agg(DISTINCT format('%s %s', g.action, g.actor_id IS NULL), ', '), array_agg(g.entity_id ORDER BY g.entity_id), NULL
          FROM test.logged(format('UPDATE kvcrm.%I SET %s WHERE id = ANY (%L)', t.relation, t.change, ids)) g;
        INSERT INTO test.results
        SELECT t.n, t.entity, 'same', coalesce(string_agg(g.changes::text, ', '), 'nothing'), ids, NULL
          FROM test.logged(format('UPDATE kvcrm.%1$I SET %2$s = %2$s WHERE id = ANY (%3$L)', t.relation, split_part(t.change, ' =', 1), ids)) g;
        UPDATE test.results r SET rows = ids WHERE r.n = t.n;
    END LOOP;
    FOR t IN SELECT * FROM test.tables WHERE relation NOT IN ('organizations') ORDER BY n DESC LOOP
        SELECT r.rows INTO ids FROM test.results r WHERE r.n = t.n LIMIT 1;
        INSERT INTO test.results
        SELECT t.n, t.entity, 'delete', string_agg(DISTINCT format('%s %s', g.action, g.actor_id IS NULL), ', '), array_agg(g.entity_id ORDER BY g.entity_id), ids
          FROM test.logged(format('DELETE FROM kvcrm.%I WHERE id = ANY (%L)', t.relation, ids)) g WHERE g.entity_type = t.entity;
    END LOOP;
END
$$;
SELECT is(logs, CASE step WHEN 'insert' THEN 'created t' WHEN 'update' THEN 'updated t' WHEN 'delete' THEN 'deleted t' ELSE 'nothing' END, format('%s: %s is logged so, in nobody''s name for the system', entity, step)) FROM test.results ORDER BY n, step;
SELECT is(entities, rows, format('%s: %s of three rows logs each of them once', entity, step)) FROM test.results WHERE step <> 'same' ORDER BY n, step;
SELECT is_empty($$ SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'kvcrm'::regnamespace AND c.relkind = 'r' AND c.relname IN ('quotes', 'custom_field_definitions', 'scoring_rules')
    AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'log_update') $$, 'tables that come later are logged as well');

-- --- exactly what changed ---

SELECT is((SELECT changes FROM test.logged($$ INSERT INTO kvcrm.leads (organization_id, name, email, estimated_value, custom_fields) VALUES (test.id('a'), ' Лог ', 'Log@Firma.ru', 5, '{"a": 1}') $$)),
          jsonb_build_object('name', '{"old": null, "new": "Лог"}'::jsonb, 'email', '{"old": null, "new": "Log@Firma.ru"}'::jsonb, 'stage_id', jsonb_build_object('old', NULL, 'new', test.stage('a', 1)),
              'estimated_value', '{"old": null, "new": 5.00}'::jsonb, 'currency', '{"old": null, "new": "RUB"}'::jsonb, 'custom_fields', '{"old": null, "new": {"a": 1}}'::jsonb), 'created: the fields that have a value');
SELECT test.keep('lead', id) FROM kvcrm.leads WHERE name = 'Лог';
CREATE FUNCTION test.update_lead(change text) RETURNS jsonb LANGUAGE sql AS $$ SELECT test.changes(format('UPDATE kvcrm.leads SET %s WHERE id = test.id(''lead'')', change)) $$;
SELECT is(test.update_lead($$ name = 'Лог "2" \ ж' $$), '[["lead", "updated", {"name": {"old": "Лог", "new": "Лог \"2\" \\ ж"}}]]', 'a text, escaped as JSON wants it');
SELECT is(test.update_lead($$ name = 'Лог', email = NULL, estimated_value = 7.5 $$), '[["lead", "updated", {"name": {"old": "Лог \"2\" \\ ж", "new": "Лог"}, "email": {"old": "Log@Firma.ru", "new": null}, "estimated_value": {"old": 5.00, "new": 7.50}}]]', 'several fields, null and numbers; no derived column');
SELECT is(test.update_lead($$ custom_fields = '{"a": {"b": [1, null]}}' $$), '[["lead", "updated", {"custom_fields": {"old": {"a": 1}, "new": {"a": {"b": [1, null]}}}}]]', 'JSON as JSON');
SELECT is(test.update_lead($$ stage_id = test.stage('a', 2), company = 'АО' $$), jsonb_build_array(jsonb_build_array('lead', 'moved', jsonb_build_object('stage_id', jsonb_build_object('old', test.stage('a', 1), 'new', test.stage('a', 2)), 'company', '{"old": null, "new": "АО"}'::jsonb))), 'moved');
SELECT is(test.update_lead($$ assigned_to = test.id('rep') $$), jsonb_build_array(jsonb_build_array('lead', 'assigned', jsonb_build_object('assigned_to', jsonb_build_object('old', NULL, 'new', test.id('rep'))))), 'assigned');
SELECT is(test.update_lead($$ deleted_at = '2030-01-01 00:00+00' $$)->0->>1, 'deleted', 'deleted');
SELECT is(test.update_lead($$ deleted_at = NULL $$)->0->2->'deleted_at'->'new', 'null', 'restored: deleted_at becomes null');
SELECT is((SELECT action FROM kvcrm.activity_logs WHERE entity_id = test.id('lead') ORDER BY id DESC LIMIT 1), 'restored', 'restored');
SELECT is(test.update_lead($$ board_rank = 'V' $$), NULL, 'a rank is not logged');
SELECT is(test.update_lead($$ score = 7 $$), NULL, 'nor is a score');
SELECT is(test.update_lead($$ name = ' Лог ', phone = '', status = 'lost', version = 50, updated_at = now() $$), NULL, 'nor what changes nothing');
SELECT is(test.update_lead($$ phone = '12-34' $$)->0->2, '{"phone": {"old": null, "new": "12-34"}}', 'nor what is derived from what changed');
SELECT is(test.changes($$ SELECT kvcrm.qualify_lead(test.id('lead')) $$)->0->>1 IS NOT NULL, true, 'a conversion is logged');
SELECT is((SELECT changes - '{converted_at}'::text[] FROM kvcrm.activity_logs WHERE entity_id = test.id('lead') AND action = 'converted'),
          (SELECT jsonb_build_object('stage_id', jsonb_build_object('old', test.stage('a', 2), 'new', test.stage('a', 3)), 'converted_to_customer_id', jsonb_build_object('old', NULL, 'new', converted_to_customer_id)) FROM kvcrm.leads WHERE id = test.id('lead')), 'converted: with customer and stage');
SELECT test.keep('merged', id) FROM kvcrm.create_lead('Слитый', organization_id => test.id('a'));
SELECT is(test.changes($$ UPDATE kvcrm.leads SET merged_into_id = test.id('lead') WHERE id = test.id('merged') $$)->0->>1, 'merged', 'merged');
SELECT is(test.changes($$ UPDATE kvcrm.leads SET merged_into_id = NULL WHERE id = test.id('merged') $$)->0->>1, 'unmerged', 'unmerged');
SELECT is(test.changes($$ DELETE FROM kvcrm.leads WHERE id = test.id('merged') $$)->0->2->'name', '{"old": "Слитый", "new": null}', 'deleted for good: the log keeps its content');
SELECT is(test.changes($$ SELECT kvcrm.set_member_role(test.id('rep'), 'sales_manager', test.id('a')) $$), '[["member", "updated", {"role_slug": {"old": "sales_team", "new": "sales_manager"}}]]', 'a member''s role');
SELECT is(test.changes($$ SELECT kvcrm.suspend_member(test.id('other_rep'), organization_id => test.id('a')) $$), '[["member", "updated", {"status": {"old": "active", "new": "suspended"}}]]', 'a member''s status is a fact, not derived');
SELECT is(test.changes($$ UPDATE kvcrm.lead_stages SET probability = 11 WHERE id = test.stage('a', 1) $$), '[["stage", "updated", {"probability": {"old": 10, "new": 11}}]]', 'a stage');
SELECT is(test.changes($$ UPDATE kvcrm.organizations SET duplicate_policy = 'allow' WHERE id = test.id('a') $$), '[["organization", "updated", {"duplicate_policy": {"old": "warn", "new": "allow"}}]]', 'an organization');
SELECT is_empty($$ SELECT DISTINCT k FROM kvcrm.activity_logs g, jsonb_object_keys(g.changes) AS k WHERE k IN ('id', 'organization_id', 'version', 'updated_at', 'board_rank', 'score', 'email_normalized', 'phone_e164', 'block_email', 'block_phone', 'created_at')
    OR g.entity_type = 'lead' AND k IN ('status', 'qualified_at', 'stage_entered_at') $$, 'no entry tells of ids, version, updated_at, rank, score or derived columns');
SELECT is_empty($$ SELECT id FROM kvcrm.activity_logs WHERE changes = '{}' OR jsonb_typeof(changes) <> 'object' $$, 'no entry is empty');

-- One statement on many rows, of which some change.
INSERT INTO kvcrm.leads (organization_id, name, company) SELECT test.id('b'), 'M' || i, CASE WHEN i % 2 = 0 THEN 'АО' END FROM generate_series(1, 1000) AS i;
SELECT is((SELECT count(*) FROM test.logged($$ UPDATE kvcrm.leads SET company = 'АО' WHERE organization_id = test.id('b') $$)), 500::bigint, 'only rows that change are logged');
SELECT is((SELECT count(*) FROM test.logged($$ WITH x AS (UPDATE kvcrm.leads SET company = 'ЗАО' WHERE name = 'M1'), y AS (UPDATE kvcrm.leads SET company = 'ЗАО' WHERE name = 'M2') SELECT 1 $$)), 2::bigint, 'two updates of one WITH: one row each');
SELECT is((SELECT count(DISTINCT tx) FROM kvcrm.activity_logs WHERE entity_type = 'lead' AND organization_id = test.id('b') AND action = 'created'), 1::bigint, 'the writing transaction is kept');
SELECT is((SELECT count(*) FROM kvcrm.activity_logs g JOIN kvcrm.leads l ON l.id = g.entity_id WHERE g.organization_id <> l.organization_id), 0::bigint, 'entries are in the organization of what they tell of');
DO $$ BEGIN UPDATE kvcrm.leads SET company = 'x' WHERE organization_id = test.id('b'); RAISE 'back'; EXCEPTION WHEN raise_exception THEN NULL; END $$;
SELECT is((SELECT count(*) FROM kvcrm.activity_logs WHERE changes->'company'->>'new' = 'x'), 0::bigint, 'what is rolled back is not logged');

-- --- who did it ---

SELECT test.keep('acted', id) FROM kvcrm.create_lead('Актор', organization_id => test.id('a'));
SELECT test.patch('manager', test.id('acted'), '{"company": "1"}') IS NOT NULL, test.as_backend_of('admin', $$ UPDATE kvcrm.leads SET company = '2' WHERE id = test.id('acted') RETURNING 1 $$), test.as_user('owner', $$ SELECT kvcrm.delete_lead(test.id('acted')) $$) IS NOT NULL;
SELECT results_eq($$ SELECT action, actor_id FROM kvcrm.activity_logs WHERE entity_id = test.id('acted') ORDER BY id $$,
    $$ VALUES ('created', NULL::uuid), ('updated', test.id('manager')), ('updated', test.id('admin')), ('deleted', test.id('owner')) $$, 'the actor is the acting user, null for the system');

-- --- append-only ---

SELECT throws_ok($$ UPDATE kvcrm.activity_logs SET actor_id = NULL $$, '42501', 'the audit log is append-only', 'even a superuser doesn''t change the log');
SELECT throws_ok($$ DELETE FROM kvcrm.activity_logs $$, '42501', 'the audit log is append-only', 'nor delete from it');
SELECT throws_ok($$ TRUNCATE kvcrm.activity_logs $$, '23514', NULL, 'nor truncate it');
SELECT throws_ok(format('SELECT test.as_user(%L, %L)', 'owner', statement), '42501', NULL, 'a client: ' || statement)
  FROM unnest(ARRAY['INSERT INTO kvcrm.activity_logs (organization_id, entity_type, entity_id, action) VALUES (test.id(''a''), ''lead'', test.id(''a''), ''created'')', 'UPDATE kvcrm.activity_logs SET actor_id = NULL', 'DELETE FROM kvcrm.activity_logs', 'TRUNCATE kvcrm.activity_logs']) AS statement;

-- --- who reads it ---

SELECT cmp_ok(test.as_user(who, 'SELECT count(*) FROM kvcrm.activity_logs')::bigint, '=', (SELECT count(*) FROM kvcrm.activity_logs WHERE organization_id = test.id('a')), who || ' reads the log of the organization') FROM unnest(ARRAY['manager', 'admin', 'owner']) AS who;
SELECT is(test.as_user(who, 'SELECT count(*) FROM kvcrm.activity_logs'), '0', who || ' reads none') FROM unnest(ARRAY['suspended', 'stranger', 'rep_b']) AS who;

SELECT * FROM finish();
