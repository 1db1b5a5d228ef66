-- Assignment: whose turn it is, weights, capacity, who is passed over; rules for new leads on every way they come in.
\ir include/two_organizations.sql

CREATE FUNCTION test.counts(of text[] DEFAULT '{m1,m2,m3}') RETURNS bigint[] LANGUAGE sql AS $$
    SELECT array_agg((SELECT count(*) FROM kvcrm.leads l WHERE l.assigned_to = test.id(u)) ORDER BY n) FROM unnest(of) WITH ORDINALITY AS t (u, n) $$;
-- n new leads, one after the other.
CREATE FUNCTION test.give(n int, team text DEFAULT 'team') RETURNS void LANGUAGE sql AS $$
    SELECT kvcrm.assign_next(l.id, test.id(team), test.id('a')) FROM generate_series(1, n) AS i, LATERAL kvcrm.create_lead('L' || i, organization_id => test.id('a')) l $$;
CREATE FUNCTION test.fresh() RETURNS void LANGUAGE sql AS $$
    UPDATE kvcrm.leads SET assigned_to = NULL WHERE assigned_to IS NOT NULL AND deleted_at IS NULL; DELETE FROM kvcrm.assignment_pools;
    UPDATE kvcrm.organization_members SET assignment_weight = 1, assignment_capacity = NULL $$;

WITH t AS (INSERT INTO kvcrm.teams (organization_id, name) VALUES (test.id('a'), 'North') RETURNING id) SELECT test.keep('team', id) FROM t;
WITH t AS (INSERT INTO kvcrm.teams (organization_id, name) VALUES (test.id('b'), 'Foreign') RETURNING id) SELECT test.keep('team_b', id) FROM t;
SELECT test.keep('m' || n, gen_random_uuid()) FROM generate_series(1, 3) AS n;
SELECT kvcrm.add_member(test.id('m' || n), 'sales_team', team_id => test.id('team'), organization_id => test.id('a')) FROM generate_series(1, 3) AS n \g /dev/null
SELECT test.keep('lead', l.id) FROM kvcrm.create_lead('Lead', organization_id => test.id('a')) l;

-- --- turns ---

SELECT test.give(9) \g /dev/null
SELECT is(test.counts(), '{3,3,3}'::bigint[], 'three members take turns');
SELECT test.give(1) \g /dev/null
SELECT is((SELECT max(c) - min(c) FROM unnest(test.counts()) AS c), 1::bigint, 'counts differ by one at most');
SELECT test.fresh() \g /dev/null
UPDATE kvcrm.organization_members SET assignment_weight = n FROM generate_series(1, 3) AS n WHERE user_id = test.id('m' || n);
SELECT test.give(12) \g /dev/null
SELECT is(test.counts(), '{2,4,6}'::bigint[], 'weights are shares');
SELECT test.give(600) \g /dev/null
SELECT is(test.counts(), '{102,204,306}'::bigint[], 'and stay so');
UPDATE kvcrm.organization_members SET assignment_weight = 0 WHERE user_id = test.id('m3');
SELECT test.give(6) \g /dev/null
SELECT is(test.counts(), '{104,208,306}'::bigint[], 'weight 0 takes none');
UPDATE kvcrm.organization_members SET assignment_weight = 3 WHERE user_id = test.id('m3');
SELECT test.give(6) \g /dev/null
SELECT cmp_ok((test.counts())[3], '<=', 310::bigint, 'who comes back is not given what the others had meanwhile');
SELECT test.fresh() \g /dev/null
UPDATE kvcrm.organization_members SET assignment_capacity = 2 WHERE user_id = test.id('m1');
SELECT test.give(12) \g /dev/null
SELECT is(test.counts(), '{2,5,5}'::bigint[], 'nobody gets more than their capacity');
UPDATE kvcrm.leads SET stage_id = test.stage('a', 5), lost_reason = 'x' WHERE assigned_to = test.id('m1');
SELECT test.give(3) \g /dev/null
SELECT is((test.counts())[1], 3::bigint, 'lost leads make room');
-- Each new lead asks for everybody's room: that must not cost what they have, or have had.
BEGIN;
INSERT INTO kvcrm.leads (organization_id, name, assigned_to) SELECT test.id('a'), 'Many', test.id('m1') FROM generate_series(1, 400);
UPDATE kvcrm.leads SET stage_id = test.stage('a', 5), lost_reason = 'x' WHERE name = 'Many' AND ctid IN (SELECT ctid FROM kvcrm.leads WHERE name = 'Many' LIMIT 200);
CREATE FUNCTION test.leads_read() RETURNS bigint LANGUAGE sql AS $$ SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'kvcrm.leads'::regclass $$;
SELECT test.leads_read() AS read \gset
SELECT test.give(1) \g /dev/null
SELECT cmp_ok(test.leads_read() - :read, '<', 100::bigint, 'room is counted no further than the capacity');
ROLLBACK;
SELECT test.fresh() \g /dev/null
SELECT kvcrm.suspend_member(test.id('m2'), organization_id => test.id('a')) \g /dev/null
SELECT test.give(4) \g /dev/null
SELECT is(test.counts(), '{2,0,2}'::bigint[], 'who is suspended is passed over');
INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (test.id('a'), 'reader', 'Reader', '{leads:read_all}');
SELECT kvcrm.set_member_role(test.id('m3'), 'reader', test.id('a')) \g /dev/null
SELECT test.give(2) \g /dev/null
SELECT is(test.counts(), '{4,0,2}'::bigint[], 'whose role changes no leads gets none');
SELECT is((SELECT (kvcrm.assign_next(test.id('lead'), test.id('team'), test.id('a'))).assigned_to), test.id('m1'), 'one is left');
SELECT is((test.error_of($$ SELECT kvcrm.assign_next(test.id('lead'), test.id('team'), test.id('a')) $$)).code, '23514', 'who has the lead is passed over: nobody is left');
SELECT isnt((test.error_of($$ SELECT kvcrm.assign_next(test.id('lead'), test.id('team'), test.id('a')) $$)).hint, '', 'and there is a way out');
SELECT kvcrm.set_member_role(test.id('m3'), 'sales_team', test.id('a')), kvcrm.reactivate_member(test.id('m2'), test.id('a')) \g /dev/null
SELECT is((SELECT (kvcrm.assign_next(test.id('lead'), organization_id => test.id('a'))).assigned_to IS NOT NULL), true, 'without a team the whole organization takes turns');
SELECT is((SELECT count(DISTINCT assigned_to) FROM (SELECT (kvcrm.assign_next(l.id, organization_id => test.id('a'))).assigned_to FROM kvcrm.leads l WHERE l.organization_id = test.id('a') AND l.status = 'new' LIMIT 8) x),
          (SELECT count(*) FROM kvcrm.organization_members WHERE organization_id = test.id('a') AND status = 'active'), 'each of its active members');

-- What is refused.
SELECT is((test.error_of(format('SELECT kvcrm.assign_next(%s, organization_id => test.id(''a''))', call))).code, code, call)
  FROM (VALUES ('NULL', '22023'), ('test.id(''unknown'')', 'PT404'), ('test.id(''lead''), test.id(''unknown'')', '22023'), ('test.id(''lead''), test.id(''team_b'')', '22023')) AS c (call, code);
SELECT is((test.error_of(format($$ SELECT test.as_user(%L, 'SELECT kvcrm.assign_next(test.id(''lead''), test.id(''team''))') $$, who))).code, code, who || ' calls it')
  FROM (VALUES ('manager', NULL), ('rep', 'PT404'), ('owner_b', 'PT404'), ('stranger', 'PT404')) AS c (who, code);
UPDATE kvcrm.leads SET assigned_to = test.id('rep') WHERE id = test.id('lead');
SELECT is((test.error_of($$ SELECT test.as_user('rep', 'SELECT kvcrm.assign_next(test.id(''lead''))') $$)).code, '42501', 'a rep gives no lead away');
SELECT kvcrm.delete_lead(test.id('lead')) \g /dev/null
SELECT is((test.error_of($$ SELECT kvcrm.assign_next(test.id('lead')) $$)).code, '23514', 'nor is a deleted lead given');
SELECT throws_ok(format('UPDATE kvcrm.organization_members SET %s', change), '23514', NULL, change) FROM unnest(ARRAY['assignment_weight = -1', 'assignment_weight = 101', 'assignment_capacity = -1']) AS change;
SELECT is((test.error_of(format($$ SELECT test.as_user(%L, 'UPDATE kvcrm.organization_members SET assignment_weight = 5 WHERE user_id = test.id(''%s'') RETURNING 1') $$, who, whose))).code, code, format('%s sets the weight of %s', who, whose))
  FROM (VALUES ('manager', 'm1', NULL), ('manager', 'manager', NULL), ('rep', 'rep', '42501'), ('admin', 'm2', NULL)) AS c (who, whose, code);
SELECT is((SELECT assignment_weight FROM kvcrm.organization_members WHERE user_id = test.id('rep')), 1, 'a rep doesn''t set their own');

-- --- rules ---

SELECT test.fresh() \g /dev/null
INSERT INTO kvcrm.assignment_rules (organization_id, order_index, field, operator, value, team_id, user_id) VALUES
    (test.id('a'), 1, 'source', 'eq', '"event"', NULL, test.id('rep')), (test.id('a'), 2, 'phone_country', 'in', '["DE", "AT"]', test.id('team'), NULL),
    (test.id('a'), 3, 'score', 'gt', '50', NULL, test.id('manager')), (test.id('a'), 4, 'company_domain', 'eq', '"big.example"', NULL, test.id('other_rep'));
CREATE FUNCTION test.who(fields jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    lead uuid;
BEGIN
    INSERT INTO kvcrm.leads (organization_id, name, source, phone, email, company) VALUES (test.id('a'), 'New', fields->>'source', fields->>'phone', fields->>'email', fields->>'company') RETURNING id INTO lead;
    RETURN (SELECT coalesce(i.name, 'nobody') FROM kvcrm.leads l LEFT JOIN test.ids i ON i.id = l.assigned_to WHERE l.id = lead);
END $$;
SELECT is(test.who('{"source": "event"}'), 'nobody', 'rules rest until the organization turns them on');
UPDATE kvcrm.organizations SET settings = settings || '{"assignment_rules": true}' WHERE id = test.id('a');
SELECT is(test.who('{"source": "event", "phone": "+49 30 901820"}'), 'rep', 'the first rule that holds decides');
SELECT is(test.who('{"source": "website"}'), 'nobody', 'where none holds nobody is named');
SELECT matches(test.who('{"phone": "+49 30 901820"}'), '^m[123]$', 'a team takes turns');
SELECT is(test.who('{"email": "x@big.example"}'), 'other_rep', 'by the company''s domain');
INSERT INTO kvcrm.scoring_rules (organization_id, field, operator, value, points) VALUES (test.id('a'), 'company', 'exists', 'true', 60), (test.id('a'), 'assigned_to', 'exists', 'true', 7);
SELECT is(test.who('{"company": "Firm"}'), 'manager', 'by score');
SELECT is((SELECT score FROM kvcrm.leads WHERE company = 'Firm'), 67, 'which counts the assignee then');
-- Leads that come otherwise.
SELECT test.fresh() \g /dev/null
SELECT kvcrm.create_lead('Created', phone => '+49 30 901821', organization_id => test.id('a')) FROM generate_series(1, 4) \g /dev/null
SELECT kvcrm.import_leads((SELECT jsonb_agg(jsonb_build_object('name', 'Imported', 'phone', '+49 30 901822')) FROM generate_series(1, 5)), organization_id => test.id('a')) \g /dev/null
INSERT INTO kvcrm.leads (organization_id, name, phone) SELECT test.id('a'), 'Inserted', '+49 30 901823' FROM generate_series(1, 3);
SELECT is(test.counts(), '{4,4,4}'::bigint[], 'create_lead, import and INSERT share the turns');
SELECT kvcrm.import_leads('[{"name": "Dry", "phone": "+49 30 901822"}]', dry_run => true, organization_id => test.id('a')) \g /dev/null
SELECT kvcrm.create_lead('Created', phone => '+49 30 901821', organization_id => test.id('a')) FROM generate_series(1, 3) \g /dev/null
SELECT is(test.counts(), '{5,5,5}'::bigint[], 'a dry run takes no turn');
-- An upsert that becomes an update takes no turn.
SELECT l.id AS there FROM kvcrm.leads l WHERE l.name = 'Created' LIMIT 1 \gset
INSERT INTO kvcrm.leads (id, organization_id, name, phone) VALUES (:'there', test.id('a'), 'Again', '+49 30 901821') ON CONFLICT (id, organization_id) DO UPDATE SET name = excluded.name;
SELECT kvcrm.create_lead('Created', phone => '+49 30 901821', organization_id => test.id('a')) FROM generate_series(1, 3) \g /dev/null
SELECT is(test.counts(), '{6,6,6}'::bigint[], 'an upsert that becomes an update takes none either');
SELECT is((SELECT array_agg(DISTINCT g.action) FROM kvcrm.activity_logs g JOIN kvcrm.leads l ON l.id = g.entity_id WHERE l.name IN ('Imported', 'Inserted')), '{created}', 'the log has one entry, with the assignee');
SELECT is((SELECT count(*) FROM kvcrm.leads WHERE name IN ('Imported', 'Inserted') AND version <> 1), 0::bigint, 'and it is the first version');
SELECT is(test.post('rep', '{"name": "Own", "phone": "+49 30 901820"}')->>'assigned_to', test.id('rep')::text, 'a rep''s own lead stays theirs');
SELECT is(test.post('manager', '{"name": "Posted", "source": "event"}')->>'assigned_to', test.id('rep')::text, 'a manager''s goes by the rules');
SELECT is(test.post('manager', format('{"name": "Named", "source": "event", "assigned_to": "%s"}', test.id('manager'))::jsonb)->>'assigned_to', test.id('manager')::text, 'unless somebody is named');
UPDATE kvcrm.organization_members SET assignment_capacity = 0 WHERE team_id = test.id('team');
SELECT is(test.who('{"phone": "+49 30 901820"}'), 'nobody', 'a team without room takes none: the lead waits');
SELECT is(test.who('{"phone": "+49 30 901820", "company": "Firm"}'), 'manager', 'and the next rule is asked');
UPDATE kvcrm.organization_members SET assignment_capacity = 8 WHERE user_id = test.id('m1');
INSERT INTO kvcrm.leads (organization_id, name, phone) SELECT test.id('a'), 'Many', '+49 30 901823' FROM generate_series(1, 5);
SELECT is((test.counts())[1], 8::bigint, 'capacity holds inside one statement');
SELECT kvcrm.suspend_member(test.id('rep'), organization_id => test.id('a')) \g /dev/null
SELECT is(test.who('{"source": "event"}'), 'nobody', 'a member who is suspended gets nothing by a rule');
UPDATE kvcrm.organizations SET settings = settings - 'assignment_rules' WHERE id = test.id('a');
SELECT is(test.who('{"email": "y@big.example"}'), 'nobody', 'turned off again');

-- What a rule may be, and who writes it.
SELECT throws_ok(format('INSERT INTO kvcrm.assignment_rules (organization_id, field, operator, value, team_id, user_id) VALUES (test.id(''a''), %s)', v), code, NULL, v)
  FROM (VALUES ($$'nonsense', 'eq', '"x"', test.id('team'), NULL$$, '23514'), ($$'source', 'gt', '"x"', test.id('team'), NULL$$, '23514'), ($$'source', 'eq', '"x"', NULL, NULL$$, '23514'),
               ($$'source', 'eq', '"x"', test.id('team'), test.id('m1')$$, '23514'), ($$'source', 'eq', '"x"', test.id('team_b'), NULL$$, '23503'), ($$'source', 'eq', '"x"', NULL, test.id('rep_b')$$, '23503')) AS c (v, code);
SELECT is((test.error_of(format($$ SELECT test.as_user(%L, 'INSERT INTO kvcrm.assignment_rules (field, operator, value, team_id) VALUES (''source'', ''eq'', ''"x"'', test.id(''team'')) RETURNING 1') $$, who))).code, code, who || ' writes a rule')
  FROM (VALUES ('admin', NULL), ('manager', '42501'), ('other_rep', '42501')) AS c (who, code);
SELECT is(test.as_user(who, 'SELECT count(*) > 0 FROM kvcrm.assignment_rules'), answer, who || ' reads them') FROM (VALUES ('other_rep', 'true'), ('owner_b', 'false')) AS c (who, answer);

SELECT * FROM finish();
