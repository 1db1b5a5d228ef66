-- Training an organization's matcher from its merges and dismissals.
\ir include/two_organizations.sql
SET client_min_messages = warning;
UPDATE kvcrm.organizations SET duplicate_policy = 'allow';

CREATE FUNCTION test.train(who text) RETURNS jsonb LANGUAGE sql AS $$ SELECT test.as_user(who, 'SELECT kvcrm.train_matcher()')::jsonb $$;
CREATE FUNCTION test.reset(who text) RETURNS text LANGUAGE sql AS $$ SELECT test.as_user(who, 'SELECT kvcrm.reset_matcher()') $$;
-- Two leads that are looked at again and again, in each organization: what they are told to weigh.
SELECT test.keep(v.name, l.id) FROM (VALUES ('one', 'a', 'Иванов Иван', 'ivanov@romashka-torg.ru', '+79161234567'), ('two', 'a', 'Иванов Иван', NULL, '+79161234567'),
    ('b_one', 'b', 'Иванов Иван', 'ivanov@romashka-torg.ru', '+79161234567'), ('b_two', 'b', 'Иванов Иван', NULL, '+79161234567')) AS v (name, o, n, e, p),
    LATERAL kvcrm.create_lead(v.n, v.e, v.p, organization_id => test.id(v.o)) l;
CREATE FUNCTION test.told(prefix text DEFAULT '') RETURNS jsonb LANGUAGE sql AS
    $$ SELECT kvcrm.explain_match(test.id(prefix || 'one'), test.id(prefix || 'two')) $$;
CREATE FUNCTION test.weight(told jsonb, field text) RETURNS numeric LANGUAGE sql AS
    $$ SELECT (f ->> 'weight')::numeric FROM jsonb_array_elements(told -> 'fields') AS f WHERE f ->> 'field' = field $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA test TO kvcrm_test_client;
CREATE TABLE test.shipped AS SELECT test.told() AS told, test.told('b_') AS told_b;

-- --- too little ---

SELECT is((test.error_of('SELECT test.train(''admin'')')).code, '23514', 'nothing was decided');
SELECT matches((test.error_of('SELECT test.train(''admin'')')).detail, '^0 merged leads and 0 dismissed pairs; at least \d+ of each are needed\.$', 'so many decisions');
SELECT isnt((test.error_of('SELECT test.train(''admin'')')).hint, '', 'and what to do');
SELECT is((test.error_of(format('SELECT test.%s(%L)', call, who))).code, '42501', format('not for %s: %s', who, call))
  FROM unnest(ARRAY['manager', 'rep']) AS who, unnest(ARRAY['train', 'reset']) AS call;
SELECT is(test.reset('admin'), 'false', 'there is nothing to reset');

-- In this organization fathers and sons share names and phones: thirty such pairs were dismissed, thirty with other phones in
-- one firm merged. Merged leads have an e-mail, survivors get it by the merge.
CREATE TABLE test.pairs (n int, kind text, one uuid, other uuid);
INSERT INTO test.pairs
SELECT n, 'merged', x.id, y.id FROM generate_series(1, 30) AS n,
    LATERAL kvcrm.create_lead('Кузнецов Пётр ' || chr(1072 + n), phone => '+7916' || lpad((n * 7919)::text, 7, '0'), company => 'Фирма ' || n * 17, organization_id => test.id('a')) x,
    LATERAL kvcrm.create_lead('Кузнецов Пётр ' || chr(1072 + n), 'p' || n || '@firm' || n || '.ru', '+7926' || lpad((n * 104729 % 10000000)::text, 7, '0'), 'Фирма ' || n * 17, organization_id => test.id('a')) y;
INSERT INTO test.pairs
SELECT n, 'dismissed', x.id, y.id FROM generate_series(1, 30) AS n,
    LATERAL kvcrm.create_lead('Смирнов Олег ' || chr(1072 + n), phone => '+7495' || lpad((n * 7919)::text, 7, '0'), organization_id => test.id('a')) x,
    LATERAL kvcrm.create_lead('Смирнов Олег ' || chr(1072 + n), phone => '+7495' || lpad((n * 7919)::text, 7, '0'), organization_id => test.id('a')) y;
SELECT count(kvcrm.dismiss_duplicate(one, other)) FROM test.pairs WHERE kind = 'dismissed';
SELECT count(kvcrm.merge_leads(one, ARRAY[other])) FROM test.pairs WHERE kind = 'merged' AND n <= 10;
SELECT matches((test.error_of('SELECT test.train(''admin'')')).detail, '^10 merged leads and 30 dismissed pairs;', 'it takes enough of each kind');
SELECT is((SELECT count(*) FROM kvcrm.match_models), 0::bigint, 'nothing is learnt');
SELECT count(kvcrm.merge_leads(one, ARRAY[other])) FROM test.pairs WHERE kind = 'merged' AND n > 10;
SELECT is((SELECT email IS NOT NULL FROM kvcrm.leads WHERE id = (SELECT one FROM test.pairs WHERE kind = 'merged' AND n = 1)), true, 'a merge fills what the survivor lacked');

-- --- trained ---

CREATE TABLE test.answers AS SELECT test.train('admin') AS answer;
SELECT is(answer ->> 'duplicates', '30', 'labels of merges') FROM test.answers;
SELECT is(answer ->> 'others', '30', 'labels of dismissals') FROM test.answers;
SELECT ok((answer ->> 'largest_move')::numeric > 0 AND (answer ->> 'largest_move')::numeric >= (answer ->> 'mean_move')::numeric AND (answer ->> 'mean_move')::numeric > 0, 'weights moved') FROM test.answers;
SELECT ok(bool_and((answer -> side ->> q)::numeric BETWEEN 0 AND 1), 'quality is told: ' || q) FROM test.answers, unnest(ARRAY['before', 'after']) AS side, unnest(ARRAY['precision', 'recall']) AS q GROUP BY q;
SELECT ok((answer -> 'after' ->> 'log_loss')::numeric < (answer -> 'before' ->> 'log_loss')::numeric, 'and has risen') FROM test.answers;
SELECT is((SELECT count(*) FROM test.answers, jsonb_array_elements(answer -> 'moves') AS m WHERE m ->> 'field' = 'email' AND (m ->> 'labels')::int > 0 AND m ->> 'level' <> 'missing'), 0::bigint,
          'survivors are compared as they were before the merge');
SELECT is((SELECT (m ->> 'labels') FROM test.answers, jsonb_array_elements(answer -> 'moves') AS m WHERE m ->> 'field' = 'phone' AND m ->> 'level' = 'different'), '30', 'how many decisions a level had');
SELECT is((SELECT m.diagnostics FROM kvcrm.match_models m), (SELECT answer FROM test.answers), 'the answer is kept');
SELECT is((SELECT (duplicates, others, trained_by)::text FROM kvcrm.match_models WHERE organization_id = test.id('a')), format('(30,30,%s)', test.id('admin')), 'with who trained it');

SELECT ok(test.weight(test.told(), 'phone') < test.weight((SELECT told FROM test.shipped), 'phone'), 'a shared phone says less in this organization');
SELECT ok((test.told() ->> 'weight')::numeric <> (SELECT told ->> 'weight' FROM test.shipped)::numeric, 'explain_match tells with the trained weights');
SELECT is(round((SELECT d.probability FROM kvcrm.find_duplicates(test.id('one'), 0, organization_id => test.id('a')) d WHERE d.id = test.id('two'))::numeric, 6), (test.told() ->> 'probability')::numeric, 'find_duplicates finds with them');
SELECT is(test.told('b_'), (SELECT told_b FROM test.shipped), 'the other organization has the shipped ones');
SELECT is((SELECT prior::numeric(9, 3) FROM kvcrm.match_models) , (SELECT (answer -> 'prior' ->> 'after')::numeric(9, 3) FROM test.answers), 'the prior is stored');

CREATE TABLE test.trained AS SELECT test.told() AS told;
SELECT is(test.train('owner') - 'before', (SELECT answer - 'before' FROM test.answers), 'training again from the same decisions gives the same');
SELECT is(test.told(), (SELECT told FROM test.trained), 'whatever was trained before');
SELECT is((SELECT count(*) FROM kvcrm.match_models), 1::bigint, 'one model per organization');

-- Levels come and go between versions.
UPDATE kvcrm.match_models SET version = kvcrm.uuid_v7(), weights = (weights - 'phone') || '{"smell": {"exact": 3}, "email": {"telepathy": 7}, "name": 5}';
SELECT is(test.weight(test.told(), 'phone'), test.weight((SELECT told FROM test.shipped), 'phone'), 'a level that the model lacks has its shipped weight; unknown ones are passed over');

-- A merge that was undone is no label.
SELECT count(*) FROM kvcrm.lead_merges m, LATERAL kvcrm.undo_merge(m.id);
SELECT matches((test.error_of('SELECT test.train(''admin'')')).detail, '^0 merged leads and 30 dismissed pairs;', 'what was undone is no decision');

-- --- reset ---

SELECT is(test.reset('admin'), 'true', 'reset_matcher');
SELECT is(test.told(), (SELECT told FROM test.shipped), 'brings the shipped weights back');
SELECT is((SELECT count(*) FROM kvcrm.match_models), 0::bigint, 'and leaves no row');
BEGIN;
SET TRANSACTION READ ONLY;
SELECT is((test.error_of(format('SELECT kvcrm.reset_matcher(%L)', test.id('a')))).code, '25006', 'resetting writes');
COMMIT;

SELECT * FROM finish();
