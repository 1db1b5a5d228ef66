-- Bulk functions: every id answered in order, a refused lead doesn't undo the others, what ends a call; the work of those who are suspended.
-- inconsistent: leads are merged by hand
\ir include/two_organizations.sql

CREATE FUNCTION test.leads(n int, prefix text, assignee text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    INSERT INTO kvcrm.leads (organization_id, name, assigned_to)
    SELECT test.id('a'), prefix || i, test.id(assignee) FROM generate_series(1, n) AS i;
    INSERT INTO test.ids SELECT l.name, l.id FROM kvcrm.leads l WHERE l.name ~ ('^' || prefix || '\d+$') $$;
CREATE FUNCTION test.ids(VARIADIC names text[]) RETURNS uuid[] STABLE LANGUAGE sql AS $$
    SELECT array_agg(test.id(name) ORDER BY i) FROM unnest(names) WITH ORDINALITY AS u (name, i) $$;
-- The answers to a call as somebody: name:ok or name:code, in order.
CREATE FUNCTION test.answers(who text, call text) RETURNS text LANGUAGE sql AS $$
    SELECT test.as_user(who, format($q$
        SELECT string_agg(coalesce((SELECT i.name FROM test.ids i WHERE i.id = b.lead_id), 'null') || ':'
                          || CASE WHEN b.ok AND b.error_code IS NULL AND b.error IS NULL THEN 'ok' WHEN NOT b.ok AND b.error ~ '\S' THEN b.error_code ELSE 'wrong' END, ' ')
          FROM (SELECT * FROM kvcrm.%s) b $q$, call)) $$;

SELECT test.leads(6, 'x');
SELECT test.leads(2, 'mine', 'rep');
SELECT test.keep('foreign', id) FROM kvcrm.create_lead('Foreign', organization_id => test.id('b'));

-- --- null, empty and nobody ---

SELECT throws_ok(format('SELECT test.answers(%L, %L)', who, call), '22023', NULL, format('refused whole: %s', call)) FROM unnest(ARRAY['owner', 'rep', 'stranger']) AS who,
    unnest(ARRAY['bulk_assign(NULL, test.id(''rep''))', 'bulk_move(NULL, test.stage(''a'', 2))', 'bulk_move(test.ids(''x1''), NULL)', 'bulk_delete(NULL)', 'bulk_qualify(NULL)', 'bulk_qualify(test.ids(''x1''), ''perhaps'')']) AS call;
SELECT is(test.answers('owner', call), NULL, 'no ids, no answers: ' || call) FROM unnest(ARRAY['bulk_assign(''{}'', NULL)', 'bulk_move(''{}'', test.stage(''a'', 2))', 'bulk_delete(''{}'')', 'bulk_qualify(''{}'')']) AS call;
SELECT is(test.answers('owner', 'bulk_delete(test.ids(''x1'', ''foreign''), test.id(''b''))'), 'x1:PT404 foreign:PT404', 'in another organization there is nothing to find');

-- --- assign ---

SELECT is(test.answers('manager', 'bulk_assign(test.ids(''x3'', ''unknown'', ''x1'', NULL, ''x3'', ''foreign'', ''x2''), test.id(''rep''))'),
          'x3:ok unknown:PT404 x1:ok null:22023 x3:ok foreign:PT404 x2:ok', 'every id is answered in the order given');
SELECT is((SELECT array_agg(name ORDER BY name) FROM kvcrm.leads WHERE assigned_to = test.id('rep')), ARRAY['mine1', 'mine2', 'x1', 'x2', 'x3'], 'and the good ones are assigned');
SELECT is((SELECT version FROM kvcrm.leads WHERE id = test.id('x3')), 2, 'a lead given twice is written once');
SELECT is((SELECT count(*) FROM kvcrm.activity_logs WHERE entity_id = test.id('x3') AND action = 'assigned' AND actor_id = test.id('manager')), 1::bigint, 'and logged once');
SELECT is(test.answers('manager', 'bulk_assign(test.ids(''x1'', ''x2''), test.id(''suspended''))'), 'x1:23514 x2:23514', 'an assignee who isn''t active is refused in each row');
SELECT is(test.answers('rep', 'bulk_assign(test.ids(''x1'', ''x4''), test.id(''other_rep''))'), 'x1:42501 x4:PT404', 'a rep assigns to nobody else, and doesn''t see others'' leads');
SELECT is(test.answers('rep', 'bulk_assign(test.ids(''x1''), test.id(''rep''))'), 'x1:ok', 'but may take what is theirs');
SELECT is(test.answers('stranger', 'bulk_assign(test.ids(''x1''), test.id(''rep''), test.id(''a''))'), 'x1:PT404', 'a stranger finds nothing');
SELECT is(test.answers('manager', 'bulk_assign(test.ids(''x1'', ''x2''), NULL)'), 'x1:ok x2:ok', 'null leaves them to nobody');
SELECT is((SELECT count(*) FROM kvcrm.leads WHERE id = ANY (test.ids('x1', 'x2')) AND assigned_to IS NULL), 2::bigint, 'all of them');

-- --- move ---

SELECT is(test.answers('manager', 'bulk_move(test.ids(''x1'', ''foreign'', ''x2''), test.stage(''a'', 2))'), 'x1:ok foreign:PT404 x2:ok', 'leads move');
SELECT is(test.answers('manager', 'bulk_move(test.ids(''x1''), test.stage(''b'', 2))'), 'x1:PT404', 'not to a stage of another organization');
SELECT is(test.answers('manager', 'bulk_move(test.ids(''x1'', ''x2''), test.stage(''a'', 5))'), 'x1:23514 x2:23514', 'not to a lost stage without a reason');
SELECT is(test.answers('manager', 'bulk_move(test.ids(''x1''), test.stage(''a'', 5), repeat(''x'', 10000000))'), 'x1:22001', 'nor with one that is too long');
SELECT is(test.answers('manager', 'bulk_move(test.ids(''x1''), test.stage(''a'', 5), ''дорого'')'), 'x1:ok', 'with one they do');
SELECT is((SELECT row(status, lost_reason) FROM kvcrm.leads WHERE id = test.id('x1')), row('lost'::text, 'дорого'::text), 'and keep it');
SELECT is(test.answers('rep', 'bulk_move(test.ids(''mine1'', ''x2''), test.stage(''a'', 2))'), 'mine1:ok x2:PT404', 'a rep moves their own');
BEGIN;
INSERT INTO kvcrm.lead_stage_transitions (organization_id, from_stage_id, to_stage_id, required_fields) VALUES (test.id('a'), test.stage('a', 2), test.stage('a', 3), '{inn}');
UPDATE kvcrm.leads SET inn = '7707083893' WHERE id = test.id('x2');
SELECT is(test.answers('manager', 'bulk_move(test.ids(''mine1'', ''x2'', ''x1''), test.stage(''a'', 3))'), 'mine1:23514 x2:ok x1:23514', 'the pipeline''s rules hold');
ROLLBACK;

-- --- delete ---

UPDATE kvcrm.leads SET merged_into_id = test.id('x2') WHERE id = test.id('x6');
SELECT is(test.answers('manager', 'bulk_delete(test.ids(''x5'', ''x6'', ''x5''))'), 'x5:ok x6:23514 x5:ok', 'leads are deleted, a merged one isn''t');
SELECT is(test.answers('manager', 'bulk_delete(test.ids(''x5''))'), 'x5:ok', 'deleting again changes nothing');
SELECT is((SELECT row(deleted_at IS NOT NULL, version) FROM kvcrm.leads WHERE id = test.id('x5')), row(true, 2), 'nothing');
SELECT is(test.answers('rep', 'bulk_delete(test.ids(''mine1''))'), 'mine1:42501', 'a rep deletes none');
SELECT is(test.answers('manager', 'bulk_move(test.ids(''x5'', ''x2''), test.stage(''a'', 1))'), 'x5:23514 x2:ok', 'a deleted lead doesn''t move');

-- --- qualify ---

SELECT is(test.answers('rep', 'bulk_qualify(test.ids(''mine2'', ''x2'', ''mine1'', ''mine2''))'), 'mine2:ok x2:PT404 mine1:ok mine2:ok', 'a rep converts their own');
SELECT is((SELECT count(*) FROM kvcrm.customers), 2::bigint, 'into a customer each');
SELECT is(test.answers('manager', 'bulk_qualify(test.ids(''mine1'', ''x5'', ''x6''))'), 'mine1:ok x5:23514 x6:ok', 'a converted lead is as it was, a deleted one is refused, a merged one stands for its survivor');
SELECT is((SELECT count(*) FROM kvcrm.customers), 3::bigint, 'which becomes a customer');
SELECT test.leads(3, 'firm');
UPDATE kvcrm.leads SET inn = '7707083893' WHERE name LIKE 'firm%';
SELECT is(test.answers('manager', 'bulk_qualify(test.ids(''firm1'', ''firm2''))'), 'firm1:ok firm2:ok', 'two leads of one firm');
SELECT is((SELECT count(DISTINCT converted_to_customer_id) FROM kvcrm.leads WHERE name LIKE 'firm%'), 1::bigint, 'become one customer');
SELECT is(test.answers('manager', 'bulk_qualify(test.ids(''firm3'', ''x4''), ''error'')'), 'firm3:23505 x4:ok', 'on_match error refuses the one that matches');
SELECT is(test.answers('manager', 'bulk_qualify(test.ids(''firm3''), ''create'')'), 'firm3:ok', 'on_match create doesn''t');
SELECT is((SELECT count(DISTINCT converted_to_customer_id) FROM kvcrm.leads WHERE name LIKE 'firm%'), 2::bigint, 'and makes another customer');

-- --- many, with bad ones at random places ---

SELECT test.leads(1000, 'many');
CREATE TABLE test.asked AS SELECT i, CASE WHEN i % 37 = 5 THEN gen_random_uuid() WHEN i % 50 = 0 THEN test.id('x6') ELSE test.id('many' || i) END AS id FROM generate_series(1, 1000) AS i;
CREATE TABLE test.answered AS SELECT row_number() OVER () AS i, b.* FROM kvcrm.bulk_delete((SELECT array_agg(id ORDER BY md5(i::text)) FROM test.asked)) b;
SELECT is_empty($$ SELECT FROM (SELECT id, row_number() OVER (ORDER BY md5(i::text)) AS i FROM test.asked) q JOIN test.answered a USING (i) WHERE a.lead_id <> q.id $$, 'a thousand answers in the order of the questions');
SELECT is((SELECT count(*) FROM test.answered), 1000::bigint, 'all of them');
SELECT is_empty($$ SELECT FROM test.answered a LEFT JOIN kvcrm.leads l ON l.id = a.lead_id WHERE a.ok <> coalesce(l.deleted_at IS NOT NULL, false) $$, 'ok is what was deleted');
SELECT is_empty($$ SELECT FROM test.answered a LEFT JOIN kvcrm.leads l ON l.id = a.lead_id WHERE a.error_code IS DISTINCT FROM CASE WHEN l.id IS NULL THEN 'PT404' WHEN l.merged_into_id IS NOT NULL THEN '23514' END $$, 'and the others say why not');
SELECT is_empty($$ SELECT l.id FROM kvcrm.leads l JOIN kvcrm.activity_logs g ON g.entity_id = l.id AND g.action = 'deleted' WHERE l.name LIKE 'many%' GROUP BY l.id HAVING count(*) <> 1 $$, 'each is logged once');
SELECT is((SELECT count(*) FROM kvcrm.bulk_delete((SELECT array_agg(gen_random_uuid()) FROM generate_series(1, 200))) WHERE error_code = 'PT404'), 200::bigint, 'a call of nothing but errors ends');

-- --- what ends the whole call ---

SELECT throws_ok($$ SELECT * FROM kvcrm.bulk_delete(ARRAY[test.id('many1')]) $$, '25006', NULL, 'a transaction that may not write') FROM set_config('transaction_read_only', 'on', true);
CREATE FUNCTION test.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = TG_ARGV[0]; END $$;
CREATE FUNCTION test.outcome_when(code text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer text;
BEGIN
    EXECUTE format('CREATE TRIGGER fail BEFORE UPDATE ON kvcrm.leads FOR EACH ROW WHEN (OLD.name = ''many500'') EXECUTE FUNCTION test.fail(%L)', code);
    BEGIN
        SELECT string_agg(coalesce(b.error_code, 'ok'), ' ') INTO answer FROM kvcrm.bulk_assign(test.ids('many499', 'many500', 'many501'), test.id('rep')) b;
    EXCEPTION WHEN OTHERS OR query_canceled THEN answer := 'ended: ' || SQLSTATE;
    END;
    DROP TRIGGER fail ON kvcrm.leads;
    RETURN answer;
END $$;
SELECT kvcrm.restore_lead(id) IS NOT NULL FROM unnest(test.ids('many499', 'many500', 'many501')) AS id;
SELECT is(test.outcome_when(code), 'ended: ' || code, code || ' ends the call') FROM unnest(ARRAY['57014', '57P01', '53100', '53200', '40001', '40P01', '58030', 'XX000']) AS code;
SELECT is((SELECT count(*) FROM kvcrm.leads WHERE id = ANY (test.ids('many499', 'many501')) AND assigned_to IS NOT NULL), 0::bigint, 'and leaves nothing of it');
SELECT is(test.outcome_when(code), format('ok %s ok', code), code || ' is one row''s') FROM unnest(ARRAY['P0001', '23514', '55P03', '22012']) AS code;

-- --- suspension, whichever way ---

CREATE FUNCTION test.work() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(l.name || ':' || coalesce((SELECT i.name FROM test.ids i WHERE i.id = l.assigned_to), 'nobody'), ' ' ORDER BY l.name) FROM kvcrm.leads l WHERE l.name LIKE 'work%' $$;
SELECT test.leads(4, 'work', 'other_rep');
SELECT test.keep('task', id) FROM kvcrm.log_activity(test.id('work1'), 'task', 'Позвонить', assigned_to => test.id('other_rep'));
SELECT test.keep('done', id) FROM kvcrm.log_activity(test.id('work1'), 'task', 'Готово', assigned_to => test.id('other_rep'), completed_at => now());
SELECT kvcrm.delete_lead(test.id('work2')) IS NOT NULL;
SELECT kvcrm.move_lead(test.id('work3'), test.stage('a', 5), lost_reason => 'дорого') IS NOT NULL;
BEGIN;
SELECT test.patch('admin', m.id, '{"status": "suspended"}', 'kvcrm.organization_members') IS NOT NULL FROM kvcrm.organization_members m WHERE m.user_id = test.id('other_rep');
SELECT is(test.work(), 'work1:nobody work2:other_rep work3:other_rep work4:nobody', 'a member suspended by PATCH leaves open leads to nobody, the others keep their assignee');
SELECT is((SELECT array_agg(assigned_to ORDER BY title) FROM kvcrm.lead_activities WHERE id = ANY (test.ids('task', 'done'))), ARRAY[test.id('other_rep'), NULL], 'and open tasks');
SELECT is((SELECT actor_id FROM kvcrm.activity_logs WHERE entity_id = test.id('work1') AND action = 'assigned' ORDER BY created_at DESC, id DESC LIMIT 1), test.id('admin'), 'logged under who did it');
SELECT kvcrm.restore_lead(test.id('work2')) IS NOT NULL;
SELECT kvcrm.move_lead(test.id('work3'), test.stage('a', 2)) IS NOT NULL;
SELECT is(test.work(), 'work1:nobody work2:nobody work3:nobody work4:nobody', 'a lead restored or back from a lost stage is nobody''s when its assignee is suspended');
UPDATE kvcrm.lead_activities SET completed_at = NULL WHERE id = test.id('done');
SELECT is((SELECT assigned_to FROM kvcrm.lead_activities WHERE id = test.id('done')), NULL, 'and so is a task opened again');
ROLLBACK;
BEGIN;
SELECT kvcrm.suspend_member(test.id('other_rep'), test.id('rep'), test.id('a')) IS NOT NULL;
SELECT is(test.work(), 'work1:rep work2:other_rep work3:other_rep work4:rep', 'suspend_member hands open leads to the successor');
SELECT is((SELECT count(*) FROM kvcrm.activity_logs WHERE entity_id = test.id('work1') AND action = 'assigned'), 1::bigint, 'in one step');
SELECT is((SELECT assigned_to FROM kvcrm.lead_activities WHERE id = test.id('task')), test.id('rep'), 'and tasks');
ROLLBACK;
BEGIN;
DELETE FROM kvcrm.organization_members WHERE user_id = test.id('other_rep');
SELECT is(test.work(), 'work1:nobody work2:other_rep work3:other_rep work4:nobody', 'a member who is removed leaves open leads to nobody');
ROLLBACK;
SELECT kvcrm.restore_lead(test.id('work2')) IS NOT NULL;
SELECT is(test.work(), 'work1:other_rep work2:other_rep work3:other_rep work4:other_rep', 'a lead restored under an active assignee keeps them');

SELECT * FROM finish();
