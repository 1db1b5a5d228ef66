-- Scoring: what a rule may say, the score on every way a lead or its activities are written, explanations that add up,
-- rounds of rescore_leads.
\ir include/two_organizations.sql
SET client_min_messages = warning;

CREATE FUNCTION test.rule(field text, operator text, value jsonb, points int DEFAULT 10, organization text DEFAULT 'a') RETURNS uuid LANGUAGE sql AS $$
    INSERT INTO kvcrm.scoring_rules (organization_id, field, operator, value, points) VALUES (test.id(organization), field, operator, value, points) RETURNING id $$;
CREATE FUNCTION test.score(lead text) RETURNS int LANGUAGE sql AS $$ SELECT l.score FROM kvcrm.leads l WHERE l.id = test.id(lead) $$;
-- Rounds until all is done; how many calls.
CREATE FUNCTION test.rescore(batch int DEFAULT 1000, organization text DEFAULT 'a') RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    calls int := 1;
BEGIN
    WHILE kvcrm.rescore_leads(batch, test.id(organization)) > 0 LOOP
        calls := calls + 1;
    END LOOP;
    RETURN calls;
END $$;

-- --- what a rule may be ---

INSERT INTO kvcrm.custom_field_definitions (organization_id, entity, key, type, options) VALUES
    (test.id('a'), 'lead', 'plan', 'text', '{}'), (test.id('a'), 'lead', 'budget', 'number', '{}'), (test.id('a'), 'lead', 'vip', 'boolean', '{}'),
    (test.id('a'), 'lead', 'start', 'date', '{}'), (test.id('a'), 'lead', 'region', 'select', '{north,south}'), (test.id('a'), 'customer', 'tier', 'text', '{}');
SELECT is((test.error_of(format('SELECT test.rule(%L, %L, %L)', field, operator, value))).code, code, format('%s %s %s: %s', field, operator, left(value, 40), coalesce(code, 'fits')))
  FROM (VALUES ('nonsense', 'eq', '"x"', '23514'), ('id', 'eq', '"x"', '23514'), ('organization_id', 'exists', 'true', '23514'), ('board_rank', 'eq', '"x"', '23514'), ('score', 'gt', '1', '23514'),
               ('custom_fields', 'exists', 'true', '23514'), ('custom_fields.', 'exists', 'true', '23514'), ('custom_fields.unknown', 'exists', 'true', '23514'), ('custom_fields.tier', 'exists', 'true', '23514'),
               ('activities', 'gt', '1', '23514'), ('activities.faxes', 'gt', '1', '23514'), (NULL, 'eq', '"x"', '23514'), ('source', NULL, '"x"', '23514'), ('source', 'eq', NULL, '23514'),
               ('source', 'like', '"x"', '23514'), ('source', 'gt', '"x"', '23514'), ('source', 'older_than', '"1 day"', '23514'), ('source', 'eq', '1', '23514'), ('source', 'eq', '""', '23514'),
               ('source', 'eq', '["x"]', '23514'), ('source', 'eq', 'null', '23514'), ('source', 'in', '"x"', '23514'), ('source', 'in', '[]', '23514'), ('source', 'in', '["x", 1]', '23514'), ('source', 'in', '{"x": 1}', '23514'),
               ('source', 'in', to_jsonb(ARRAY(SELECT 'x' || n FROM generate_series(1, 201) AS n))::text, '23514'), ('source', 'eq', to_jsonb(repeat('x', 256))::text, '23514'),
               ('source', 'exists', '"yes"', '23514'), ('company', 'contains', '"!!"', '23514'), ('estimated_value', 'gt', '"5"', '23514'), ('estimated_value', 'contains', '5', '23514'), ('estimated_value', 'eq', 'true', '23514'),
               ('stage_id', 'eq', '"x"', '23514'), ('stage_id', 'contains', '"x"', '23514'), ('created_at', 'eq', '"2026-01-01"', '23514'), ('created_at', 'gt', '"yesterday"', '23514'), ('created_at', 'gt', '"2026-02-30"', '23514'),
               ('created_at', 'gt', '"2026-01-01Tnonsense"', '23514'), ('created_at', 'gt', '"2026-01-01T25:61:00"', '22008'),
               ('created_at', 'older_than', '"soon"', '22007'), ('created_at', 'older_than', '5', '23514'), ('created_at', 'older_than', '"0"', '23514'), ('created_at', 'older_than', '"30"', '23514'), ('created_at', 'older_than', '"1 day 30 "', '23514'), ('created_at', 'older_than', '""', '23514'), ('created_at', 'older_than', '"-1 day"', '23514'), ('created_at', 'older_than', '"-1 days 36 hours"', '23514'), ('created_at', 'older_than', '"101 years"', '23514'),
               ('activities.calls', 'older_than', '"1 day"', '23514'), ('activities.calls', 'eq', '"1"', '23514'), ('phone_country', 'eq', '"XX"', '23514'), ('phone_country', 'eq', '"Germany"', '23514'),
               ('custom_fields.budget', 'eq', '"1"', '23514'), ('custom_fields.budget', 'contains', '"1"', '23514'), ('custom_fields.vip', 'gt', 'true', '23514'), ('custom_fields.vip', 'eq', '"true"', '23514'), ('custom_fields.start', 'gt', '"x"', '23514'), ('custom_fields.plan', 'older_than', '"1 day"', '23514'),
               ('source', 'eq', '"x"', NULL), ('source', 'in', '["x", "y"]', NULL), ('company', 'contains', '"ромашка"', NULL), ('company', 'exists', 'false', NULL), ('company', 'exists', 'null', NULL), ('estimated_value', 'gt', '1e300', NULL),
               ('stage_id', 'eq', '"00000000-0000-4000-8000-000000000001"', NULL), ('created_at', 'gt', '"2026-01-01"', NULL), ('created_at', 'lt', '"2026-01-01T10:00:00+03:00"', NULL), ('last_activity_at', 'older_than', '"2 weeks"', NULL), ('created_at', 'older_than', '" 1 day 10:30 "', NULL), ('created_at', 'older_than', '"P30D"', NULL),
               ('activities.count', 'eq', '0', NULL), ('phone_country', 'in', '["de", "RU"]', NULL), ('company_domain', 'eq', '"Firm.Example"', NULL), ('custom_fields.budget', 'lt', '-1.5', NULL), ('custom_fields.vip', 'eq', 'true', NULL),
               ('custom_fields.start', 'older_than', '"1 year"', NULL), ('custom_fields.region', 'in', '["north"]', NULL)) AS c (field, operator, value, code);
SELECT throws_ok(format('SELECT test.rule(%L, %L, %L, %s)', 'source', 'eq', '"x"', points), '23514', NULL, points || ' points') FROM unnest(ARRAY[10001, -10001]) AS points;
SELECT lives_ok($$ INSERT INTO kvcrm.scoring_rules (organization_id, field, operator, value, points) VALUES (test.id('a'), 'inn', 'exists', NULL, 1) $$, 'no value: exists true');
SELECT is((SELECT value FROM kvcrm.scoring_rules WHERE field = 'inn'), 'true', 'which is written down');
SELECT throws_ok(format('UPDATE kvcrm.scoring_rules SET %s WHERE field = ''inn''', change), '23514', NULL, 'refused in an update: ' || change)
  FROM unnest(ARRAY['operator = ''gt''', 'field = ''x''', 'value = ''1''', 'points = 99999', 'organization_id = test.id(''b'')', 'id = kvcrm.uuid_v7()']) AS change;
-- An organization without definitions may name any custom field.
SELECT lives_ok($$ SELECT test.rule('custom_fields.whatever', 'gt', '5', 10, 'b') $$, 'without definitions any custom field');
SELECT throws_ok($$ DELETE FROM kvcrm.custom_field_definitions WHERE key = 'region' $$, '23514', NULL, 'a field that a rule names stays');
SELECT throws_ok($$ INSERT INTO kvcrm.scoring_rules (organization_id, field, operator, value, points) SELECT test.id('b'), 'source', 'eq', '"x"', 1 FROM generate_series(1, 201) $$, '23514', NULL, 'at most 200 rules');
DELETE FROM kvcrm.scoring_rules;

-- Who reads and writes them.
SELECT isnt(test.post('admin', '{"field": "source", "operator": "eq", "value": "x", "points": 1}', 'kvcrm.scoring_rules'), NULL, 'an admin adds a rule');
SELECT throws_ok(format('SELECT test.post(%L, %L, %L)', who, '{"field": "source", "operator": "eq", "value": "x", "points": 1}', 'kvcrm.scoring_rules'), '42501', NULL, who || ' doesn''t') FROM unnest(ARRAY['manager', 'rep', 'stranger']) AS who;
SELECT throws_ok(format('SELECT test.post(%L, %L, %L)', who, '{"organization_id": "' || test.id('a') || '", "field": "custom_fields.unknown", "operator": "eq", "value": "x", "points": 1}', 'kvcrm.scoring_rules'), '42501', NULL, who || ' learns nothing about fields')
  FROM unnest(ARRAY['owner_b', 'stranger']) AS who;
SELECT is(test.as_user(who, 'SELECT count(*) FROM kvcrm.scoring_rules'), n, who || ' reads them') FROM (VALUES ('rep', '1'), ('owner_b', '0'), ('suspended', '0')) AS c (who, n);
SELECT is(test.as_user('admin', 'WITH d AS (DELETE FROM kvcrm.scoring_rules RETURNING 1) SELECT count(*) FROM d'), '1', 'and an admin deletes one');
SELECT is((SELECT string_agg(action, ', ' ORDER BY id) FROM kvcrm.activity_logs WHERE entity_type = 'scoring_rule' AND actor_id = test.id('admin')), 'created, deleted', 'the log tells who did');
DELETE FROM kvcrm.scoring_states;
UPDATE kvcrm.custom_field_definitions SET name = name || '!';

-- --- an organization that never had rules ---

SELECT test.keep('free', l.id) FROM kvcrm.create_lead('Free', organization_id => test.id('b')) l;
UPDATE kvcrm.leads SET score = 7 WHERE id = test.id('free');
UPDATE kvcrm.leads SET name = 'Freer' WHERE id = test.id('free');
SELECT is(test.score('free'), 7, 'without rules the score is what the system writes');
SELECT is(kvcrm.rescore_leads(organization_id => test.id('b')), 0, 'and stays so');
SELECT throws_ok($$ SELECT test.patch('owner', test.id('free'), '{"score": 5}') $$, '42501', NULL, 'clients don''t write scores');

-- --- what conditions mean ---

INSERT INTO kvcrm.leads (id, organization_id, name, email, phone, company, source, estimated_value, custom_fields, created_at)
    VALUES (test.id('unknown'), test.id('a'), 'Анна', 'Anna+x@Firm.Example', '+49 30 901820', 'ООО «Ромашка»', 'website', 1000, '{"plan": " Gold ", "budget": 12.5, "vip": true, "start": "2020-02-29", "region": "north"}', now() - interval '40 days');
SELECT test.keep('lead', test.id('unknown'));
INSERT INTO kvcrm.lead_activities (organization_id, lead_id, type, title, created_at, completed_at)
    SELECT test.id('a'), test.id('lead'), type, 'x', now() - interval '10 days', done FROM (VALUES ('call', NULL), ('call', now() - interval '5 days'), ('task', NULL::timestamptz)) AS c (type, done);
CREATE TABLE test.meaning (field text, operator text, value jsonb, holds boolean);
INSERT INTO test.meaning VALUES
    ('source', 'eq', '"website"', true), ('source', 'eq', '" website "', true), ('source', 'eq', '"Website"', false), ('source', 'in', '["event", "website"]', true), ('source', 'in', '["event"]', false),
    ('source', 'contains', '"SITE"', true), ('source', 'exists', 'true', true), ('source', 'exists', 'false', false), ('inn', 'exists', 'false', true), ('inn', 'exists', 'true', false), ('inn', 'eq', '"7707083893"', false), ('inn', 'contains', '"7"', false),
    ('company', 'contains', '"romashka"', true), ('company', 'contains', '"лютик"', false), ('company', 'eq', '"Ромашка"', false), ('name', 'eq', '"Анна"', true), ('email', 'contains', '"@firm.example"', true),
    ('company_domain', 'eq', '"FIRM.example"', true), ('company_domain', 'eq', '"gmail.com"', false), ('company_domain', 'exists', 'true', true), ('phone_country', 'eq', '"de"', true), ('phone_country', 'in', '["RU", "AT"]', false),
    ('status', 'eq', '"new"', true), ('currency', 'eq', '"RUB"', true), ('stage_id', 'eq', to_jsonb(test.stage('a', 1)), true), ('stage_id', 'in', to_jsonb(ARRAY[test.stage('a', 2), test.stage('a', 3)]), false), ('assigned_to', 'exists', 'false', true),
    ('estimated_value', 'gt', '999.99', true), ('estimated_value', 'gt', '1000', false), ('estimated_value', 'lt', '1000.01', true), ('estimated_value', 'eq', '1000', true), ('estimated_value', 'in', '[1, 1e3]', true),
    ('created_at', 'older_than', '"39 days"', true), ('created_at', 'older_than', '"41 days"', false), ('created_at', 'gt', '"2020-01-01"', true), ('created_at', 'lt', '"2020-01-01"', false), ('stage_entered_at', 'older_than', '"1 hour"', false),
    ('converted_at', 'exists', 'false', true), ('converted_at', 'older_than', '"1 day"', false),
    ('activities.count', 'eq', '3', true), ('activities.calls', 'gt', '1', true), ('activities.calls', 'gt', '2', false), ('activities.tasks', 'in', '[1, 5]', true), ('activities.completed', 'eq', '1', true), ('activities.meetings', 'eq', '0', true),
    ('activities.emails', 'exists', 'true', false), ('activities.notes', 'exists', 'false', true), ('last_activity_at', 'older_than', '"4 days"', true), ('last_activity_at', 'older_than', '"6 days"', false), ('last_activity_at', 'exists', 'true', true),
    ('custom_fields.plan', 'eq', '"Gold"', true), ('custom_fields.plan', 'contains', '"OL"', true), ('custom_fields.plan', 'exists', 'true', true), ('custom_fields.budget', 'eq', '12.50', true), ('custom_fields.budget', 'gt', '12.5', false), ('custom_fields.budget', 'lt', '100', true),
    ('custom_fields.vip', 'eq', 'true', true), ('custom_fields.vip', 'eq', 'false', false), ('custom_fields.start', 'lt', '"2020-03-01"', true), ('custom_fields.start', 'gt', '"2020-02-29"', false), ('custom_fields.start', 'older_than', '"1 year"', true), ('custom_fields.start', 'older_than', '"90 years"', false),
    ('custom_fields.region', 'in', '["south", "north"]', true), ('custom_fields.region', 'eq', '"south"', false);
-- One after the other is the only rule.
CREATE FUNCTION test.scored(c test.meaning) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM kvcrm.scoring_rules WHERE organization_id = test.id('a');
    PERFORM test.rule(c.field, c.operator, c.value, 3);
    PERFORM kvcrm.rescore_leads(organization_id => test.id('a'));
    RETURN test.score('lead') = 3;
END $$;
SELECT is(test.scored(m), holds, format('%s %s %s %s', field, operator, value, CASE WHEN holds THEN 'holds' ELSE 'does not hold' END)) FROM test.meaning m;
-- What depends on a time zone or on how dates are read doesn't depend on the session's.
SET timezone = 'Pacific/Auckland';
SET datestyle = 'SQL, DMY';
SET intervalstyle = 'iso_8601';
SELECT test.scored(ROW ('created_at', 'gt', '"2020-01-02T00:00:00"', true)::test.meaning) \g /dev/null
INSERT INTO kvcrm.leads (id, organization_id, name, created_at) VALUES (test.id('stranger'), test.id('a'), 'Midnight', '2020-01-02T00:00:01Z');
SELECT is((SELECT score FROM kvcrm.leads WHERE id = test.id('stranger')), 3, 'a time without zone is one of UTC');
RESET timezone;
RESET datestyle;
RESET intervalstyle;
DELETE FROM kvcrm.scoring_rules;
SELECT test.rescore() \g /dev/null
SELECT is((SELECT count(*) FROM kvcrm.leads WHERE organization_id = test.id('a') AND score <> 0), 0::bigint, 'without the last rule scores go back to 0');

-- --- current in the writing transaction ---

SELECT test.rule('company', 'exists', 'true', 10), test.rule('activities.calls', 'gt', '0', 20), test.rule('status', 'eq', '"qualified"', 40), test.rule('source', 'eq', '"event"', 80) \g /dev/null
SELECT test.rescore() \g /dev/null
SELECT is(test.score('lead'), 30, 'a round brings scores up to date');
SELECT test.keep('new', l.id) FROM kvcrm.create_lead('Neu', company => 'Firm', source => 'event', organization_id => test.id('a')) l;
SELECT is(test.score('new'), 90, 'a new lead has its score');
SELECT is((test.post('manager', '{"name": "Posted", "source": "event"}')->>'score')::int, 80, 'also through PostgREST');
SELECT is((test.patch('manager', test.id('new'), '{"company": null}')->>'score')::int, 80, 'a change brings it up to date');
SELECT is((SELECT score FROM kvcrm.move_lead(test.id('new'), test.stage('a', 3))), 120, 'so does a move');
SELECT kvcrm.import_leads('[{"name": "Imported", "company": "x"}]', organization_id => test.id('a')) \g /dev/null
SELECT is((SELECT score FROM kvcrm.leads WHERE name = 'Imported'), 10, 'an import has scores');
UPDATE kvcrm.leads SET score = 1000 WHERE id = test.id('new');
SELECT is(test.score('new'), 120, 'not even the system writes another one');
CREATE TABLE test.before AS SELECT version, updated_at FROM kvcrm.leads WHERE id = test.id('new');
SELECT test.keep('call', a.id) FROM kvcrm.log_activity(test.id('new'), 'call', 'x') a;
SELECT is(test.score('new'), 140, 'an activity counts at once');
SELECT kvcrm.log_activity(test.id('new'), 'note', 'x') \g /dev/null
SELECT is(test.score('new'), 140, 'one of another type doesn''t');
UPDATE kvcrm.lead_activities SET type = 'meeting' WHERE id = test.id('call');
SELECT is(test.score('new'), 120, 'a change of its type counts');
UPDATE kvcrm.lead_activities SET type = 'call' WHERE id = test.id('call');
SELECT is(test.score('new'), 140, 'back');
SELECT kvcrm.delete_activity(test.id('call')) \g /dev/null
SELECT is(test.score('new'), 120, 'and its end');
SELECT is((SELECT row(version, updated_at) FROM kvcrm.leads WHERE id = test.id('new')), (SELECT row(version, updated_at) FROM test.before), 'without version and updated_at');
SELECT is((SELECT count(*) FROM kvcrm.activity_logs WHERE entity_id = test.id('new') AND action = 'updated' AND changes = '{}'), 0::bigint, 'and without a log entry');
-- A transaction that fails leaves the score as it was.
DO $$ BEGIN PERFORM kvcrm.log_activity(test.id('new'), 'call', 'x'); RAISE 'no'; EXCEPTION WHEN raise_exception THEN NULL; END $$;
SELECT is(test.score('new'), 120, 'nothing of what was rolled back');
-- A statement on many.
INSERT INTO kvcrm.lead_activities (organization_id, lead_id, type, title) SELECT test.id('a'), l.id, 'call', 'x' FROM kvcrm.leads l WHERE l.organization_id = test.id('a');
SELECT is((SELECT count(*) FROM kvcrm.leads WHERE organization_id = test.id('a') AND score < 20), 0::bigint, 'many at once');

-- Merging and undoing it, conversion and back, deletion, erasure.
SELECT test.keep('survivor', l.id) FROM kvcrm.create_lead('Survivor', organization_id => test.id('a')) l;
SELECT test.keep('duplicate', l.id) FROM kvcrm.create_lead('Survivor', company => 'Firm', source => 'event', organization_id => test.id('a')) l;
SELECT kvcrm.log_activity(test.id('duplicate'), 'call', 'x') \g /dev/null
SELECT is((SELECT score FROM kvcrm.merge_leads(test.id('survivor'), ARRAY[test.id('duplicate')])), 110, 'the survivor gets the score of what it gets');
SELECT is(test.score('survivor'), 110, 'for good');
SELECT is(test.score('duplicate'), 90, 'the duplicate loses its call');
SELECT kvcrm.undo_merge(id) FROM kvcrm.lead_merges \g /dev/null
SELECT is((SELECT row(test.score('survivor'), test.score('duplicate'))), row(0, 110), 'undone, both are as before');
SELECT kvcrm.qualify_lead(test.id('duplicate')) \g /dev/null
SELECT is(test.score('duplicate'), 110, 'a converted lead is converted, not qualified');
SELECT kvcrm.revert_conversion(test.id('duplicate')) \g /dev/null
SELECT is(test.score('duplicate'), 110, 'and back');
SELECT kvcrm.delete_lead(test.id('duplicate')), kvcrm.restore_lead(test.id('duplicate')) \g /dev/null
SELECT kvcrm.erase_lead(test.id('duplicate')) \g /dev/null
SELECT is(test.score('duplicate'), 100, 'an erased lead has no company any more');

-- --- stale, rounds ---

SELECT is((SELECT count(*) FROM kvcrm.check_installation()), 0::bigint, 'all are scored');
SELECT test.rule('name', 'exists', 'true', 1) \g /dev/null
SELECT is((kvcrm.explain_score(test.id('new'))->>'stale')::boolean, true, 'a new rule makes scores stale');
SELECT is((kvcrm.explain_score(test.id('new'))->>'difference')::int, -1, 'by so much');
SELECT matches((SELECT problem || hint FROM kvcrm.check_installation()), 'Альфа.*rescore_leads', 'check_installation says so');
UPDATE kvcrm.leads SET "position" = 'x' WHERE id = test.id('new');
SELECT is((kvcrm.explain_score(test.id('new'))->>'difference')::int, 0, 'what is written is scored by the new rules');
CREATE FUNCTION test.written() RETURNS bigint LANGUAGE sql AS $$ SELECT sum(version) FROM kvcrm.leads $$;
SELECT test.written() AS written \gset
SELECT is(kvcrm.rescore_leads(2, test.id('a')), 2, 'a batch');
SELECT is((SELECT count(*) FROM kvcrm.check_installation()), 1::bigint, 'is not all');
SELECT is(kvcrm.rescore_leads(2), 2, 'the system goes on with it');
SELECT is(test.rescore(3), ceil(((SELECT count(*) FROM kvcrm.leads WHERE organization_id = test.id('a')) - 4) / 3.0)::int + 1, 'the rest in as many calls as it takes');
SELECT is((SELECT count(*) FROM kvcrm.check_installation()), 0::bigint, 'that is all');
SELECT is((SELECT count(*) FROM kvcrm.leads l, kvcrm.explain_score(l.id, l.organization_id) e WHERE l.organization_id = test.id('a') AND (e->>'difference' <> '0' OR (e->>'stale')::boolean)), 0::bigint, 'no score is off');
SELECT is(test.written(), :written::bigint, 'no version has risen');
SELECT is(kvcrm.rescore_leads(organization_id => test.id('a')), 0, 'there is nothing left to do');
SELECT is(kvcrm.rescore_leads(), 0, 'for the system either');
-- check_consistency derives scores again.
SELECT is((SELECT count(*) FROM kvcrm.check_consistency(test.id('a')) WHERE invariant = 'score'), 0::bigint, 'check_consistency() agrees');
SET session_replication_role = replica;
UPDATE kvcrm.leads SET score = score + 1 WHERE id = test.id('new');
RESET session_replication_role;
SELECT is((SELECT array_agg(entity_id) FROM kvcrm.check_consistency(test.id('a')) WHERE invariant = 'score'), ARRAY[test.id('new')], 'and sees a score that is not');
UPDATE kvcrm.leads SET score = 0 WHERE id = test.id('new');
SELECT is((SELECT count(*) FROM kvcrm.check_consistency(test.id('a')) WHERE invariant = 'score'), 0::bigint, 'which any update puts right');
-- A rule that changes in the middle starts the round again.
SELECT test.rule('name', 'exists', 'true', 1) \g /dev/null
SELECT kvcrm.rescore_leads(2, test.id('a')) \g /dev/null
UPDATE kvcrm.scoring_rules SET points = 2 WHERE field = 'name';
SELECT test.rescore(2) \g /dev/null
SELECT is((SELECT count(*) FROM kvcrm.leads l, kvcrm.explain_score(l.id, l.organization_id) e WHERE l.organization_id = test.id('a') AND e->>'difference' <> '0'), 0::bigint, 'a rule changed in the middle of a round reaches all leads');
-- Time passes.
SELECT test.rule('last_activity_at', 'older_than', '"30 days"', -500), test.rescore() \g /dev/null
SET session_replication_role = replica;
UPDATE kvcrm.lead_activities SET created_at = now() - interval '31 days' WHERE lead_id = test.id('new');
RESET session_replication_role;
SELECT is((SELECT row(e->'difference', e->'stale') FROM kvcrm.explain_score(test.id('new')) e), row('500'::jsonb, 'false'::jsonb), 'time makes a difference');
SELECT is(kvcrm.rescore_leads(), 0, 'the system waits an hour before the next round');
SELECT cmp_ok(kvcrm.rescore_leads(organization_id => test.id('a')), '>', 0, 'but not when told the organization');
SELECT is((kvcrm.explain_score(test.id('new'))->>'difference')::int, 0, 'and the difference is gone');
SELECT test.rescore() \g /dev/null
UPDATE kvcrm.scoring_states SET scored_at = now() - interval '61 minutes';
SELECT cmp_ok(kvcrm.rescore_leads(), '>', 0, 'an hour later it does');
SELECT test.rescore() \g /dev/null
SELECT is((test.error_of(format('SELECT kvcrm.rescore_leads(%s)', bad))).code, '22023', 'a batch of ' || bad) FROM unnest(ARRAY[0, -1, 1000001]) AS bad;
SELECT is((test.error_of(format('SELECT test.as_user(%L, ''SELECT kvcrm.rescore_leads()'')', who))).code, '42501', who || ' rescores nothing') FROM unnest(ARRAY['manager', 'rep']) AS who;
SELECT is(test.as_user('admin', 'SELECT kvcrm.rescore_leads() > 0'), 'true', 'an admin does');
SELECT is((test.error_of($$ SELECT test.as_user('rep', format('SELECT kvcrm.explain_score(%L)', test.id('new'))) $$)).code, 'PT404', 'a rep is told nothing about a lead that is hidden');
SELECT is((test.error_of('SELECT kvcrm.explain_score(NULL)')).code, '22023', 'explain_score needs a lead');
SELECT is(kvcrm.explain_score(test.id('lead'))->'rules' @> '[{"field": "activities.calls", "applies": true, "points": 20}, {"field": "company", "actual": "ООО «Ромашка»"}]', true, 'an explanation tells what the lead has');

-- --- explanations add up: random rules, random leads ---

\ir include/seed.sql
SELECT setseed(:'seed'::float8) \g /dev/null
CREATE FUNCTION test.one(choices anyarray) RETURNS anyelement VOLATILE LANGUAGE sql AS $$ SELECT choices[1 + floor(random() * cardinality(choices))::int] $$;
-- What the rules come to, worked out in SQL for the conditions drawn here.
CREATE FUNCTION test.expected(l kvcrm.leads) RETURNS bigint LANGUAGE sql AS $$
    SELECT coalesce(sum(r.points), 0) FROM kvcrm.scoring_rules r,
           LATERAL (SELECT count(*) AS count, count(*) FILTER (WHERE a.type = 'call') AS calls, max(greatest(a.created_at, a.completed_at)) AS last FROM kvcrm.lead_activities a WHERE a.lead_id = l.id) f
     WHERE r.organization_id = l.organization_id AND CASE r.field
        WHEN 'activities.count' THEN CASE r.operator WHEN 'gt' THEN f.count > r.value::int ELSE f.count < r.value::int END
        WHEN 'activities.calls' THEN CASE r.operator WHEN 'gt' THEN f.calls > r.value::int ELSE f.calls < r.value::int END
        WHEN 'last_activity_at' THEN f.last < now() - (r.value #>> '{}')::interval
        WHEN 'estimated_value' THEN CASE r.operator WHEN 'gt' THEN l.estimated_value > r.value::numeric ELSE l.estimated_value < r.value::numeric END
        WHEN 'custom_fields.budget' THEN CASE r.operator WHEN 'gt' THEN (l.custom_fields->>'budget')::numeric > r.value::numeric ELSE (l.custom_fields->>'budget')::numeric < r.value::numeric END
        WHEN 'source' THEN CASE r.operator WHEN 'eq' THEN l.source = r.value #>> '{}' ELSE (l.source IS NOT NULL) = r.value::boolean END
        WHEN 'created_at' THEN l.created_at < now() - (r.value #>> '{}')::interval END $$;
DELETE FROM kvcrm.scoring_rules;
CREATE FUNCTION test.write_something() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    lead uuid := (SELECT l.id FROM kvcrm.leads l WHERE l.organization_id = test.id('a') AND l.merged_into_id IS NULL AND l.erased_at IS NULL AND l.converted_at IS NULL AND l.deleted_at IS NULL ORDER BY random() LIMIT 1);
    field text;
BEGIN
    CASE floor(random() * 8)::int
        WHEN 0, 1 THEN INSERT INTO kvcrm.leads (organization_id, name, source, estimated_value, custom_fields, created_at)
            VALUES (test.id('a'), 'R', test.one('{website,event,referral,null}'::text[]), nullif(floor(random() * 10), 0), CASE WHEN random() < .5 THEN jsonb_build_object('budget', floor(random() * 10)) ELSE '{}' END, now() - random() * interval '20 days');
        WHEN 2, 3 THEN INSERT INTO kvcrm.lead_activities (organization_id, lead_id, type, title, created_at)
            SELECT test.id('a'), l.id, test.one('{call,note,task}'::text[]), 'x', now() - random() * interval '20 days' FROM kvcrm.leads l WHERE l.organization_id = test.id('a') AND l.erased_at IS NULL AND random() < .3;
        WHEN 4 THEN UPDATE kvcrm.leads SET source = test.one('{website,event,null}'::text[]), estimated_value = floor(random() * 10) WHERE id = lead;
        WHEN 5 THEN DELETE FROM kvcrm.lead_activities WHERE lead_id = lead AND random() < .5;
        WHEN 6 THEN PERFORM kvcrm.merge_leads(lead, ARRAY[o.id]) FROM (SELECT l.id FROM kvcrm.leads l WHERE l.organization_id = test.id('a') AND l.id <> lead AND l.merged_into_id IS NULL AND l.erased_at IS NULL AND l.converted_at IS NULL AND l.deleted_at IS NULL ORDER BY random() LIMIT 1) o;
        ELSE
            field := test.one('{activities.count,activities.calls,last_activity_at,estimated_value,custom_fields.budget,source,created_at}'::text[]);
            IF random() < .3 THEN DELETE FROM kvcrm.scoring_rules r WHERE r.id = (SELECT id FROM kvcrm.scoring_rules ORDER BY random() LIMIT 1); END IF;
            PERFORM test.rule(field, o.operator, CASE WHEN o.operator = 'older_than' THEN to_jsonb(floor(random() * 20 + 1) || ' days') WHEN o.operator = 'eq' THEN '"website"' WHEN o.operator = 'exists' THEN to_jsonb(random() < .5) ELSE to_jsonb(floor(random() * 6)::int) END, floor(random() * 41 - 20)::int)
               FROM (SELECT CASE WHEN field = 'source' THEN test.one('{eq,exists}'::text[]) WHEN field IN ('last_activity_at', 'created_at') THEN 'older_than' ELSE test.one('{gt,lt}'::text[]) END AS operator) o;
            PERFORM kvcrm.rescore_leads(5, test.id('a'));
    END CASE;
END $$;
CREATE TABLE test.steps (step int, leads bigint, off bigint, wrong bigint, unsaid bigint);
DO $$
BEGIN
    FOR i IN 1..120 LOOP
        PERFORM test.write_something();
        IF i % 10 = 0 THEN
            INSERT INTO test.steps SELECT i, count(*),
                count(*) FILTER (WHERE l.score <> (e->>'sum')::int + (e->>'difference')::int OR l.score <> (e->>'score')::int
                    OR (e->>'sum')::int <> (SELECT coalesce(sum((r->>'points')::int), 0) FROM jsonb_array_elements(e->'rules') r WHERE (r->>'applies')::boolean)),
                count(*) FILTER (WHERE (e->>'sum')::bigint <> test.expected(l)),
                count(*) FILTER (WHERE e->>'difference' <> '0' AND NOT (e->>'stale')::boolean)
              FROM kvcrm.leads l, kvcrm.explain_score(CASE WHEN l.merged_into_id IS NULL THEN l.id END, l.organization_id) e WHERE l.organization_id = test.id('a') AND l.merged_into_id IS NULL;
            PERFORM test.rescore(7);
        END IF;
    END LOOP;
END $$;
SELECT is((SELECT sum(off) FROM test.steps), 0::numeric, 'score = sum + difference, sum = the points that apply, in every step');
SELECT is((SELECT sum(wrong) FROM test.steps), 0::numeric, 'and the sum is what SQL makes of the rules');
SELECT is((SELECT sum(unsaid) FROM test.steps), 0::numeric, 'a score that is off is said to be stale');
-- Two rules that tell leads apart for certain; in one transaction, since ages go by its time.
BEGIN;
SELECT test.rule('source', 'eq', '"website"', 1000), test.rule('estimated_value', 'gt', '4', 2000) \g /dev/null
SELECT test.rescore() \g /dev/null
SELECT is((SELECT count(*) FROM kvcrm.leads l WHERE l.organization_id = test.id('a') AND l.score <> test.expected(l)), 0::bigint, 'after a round every score is the sum of the rules, of merged leads too');
SELECT cmp_ok((SELECT count(DISTINCT score) FROM kvcrm.leads WHERE organization_id = test.id('a')), '>', 2::bigint, 'and there are several');
COMMIT;

SELECT * FROM finish();
