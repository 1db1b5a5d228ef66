-- lead_page, my_tasks, crm_overview.
-- inconsistent: stage_entered_at is set by hand
\ir include/two_organizations.sql

INSERT INTO test.ids VALUES ('helper', gen_random_uuid());
INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (test.id('a'), 'helper', 'Helper', '{leads:read_all}');
SELECT kvcrm.add_member(test.id('helper'), 'helper', organization_id => test.id('a')) \g /dev/null
SELECT test.keep(n, (kvcrm.create_lead(n, email => n || '@example.com', assigned_to => test.id(who), estimated_value => v, organization_id => test.id('a'))).id)
  FROM (VALUES ('one', 'rep', 100), ('two', 'rep', 250.50), ('three', 'other_rep', 7)) AS l (n, who, v) \g /dev/null
SELECT test.keep(t.name, (kvcrm.log_activity(test.id(t.lead), t.type, t.name, due_date => t.due, assigned_to => test.id(t.who),
                                             organization_id => test.id('a'))).id)
  FROM (VALUES ('later', 'one', 'task', now() + interval '2 days', 'rep'), ('overdue', 'one', 'call', now() - interval '1 day', 'rep'),
               ('someday', 'two', 'task', NULL, 'rep'), ('note', 'one', 'note', now() - interval '3 days', 'rep'),
               ('done', 'one', 'task', now() - interval '2 days', 'rep'), ('of others', 'three', 'task', now(), 'other_rep')) AS t (name, lead, type, due, who) \g /dev/null
SELECT kvcrm.complete_activity(test.id('done'), test.id('a')) \g /dev/null

-- --- lead_page ---

CREATE FUNCTION test.lead_page(who text, lead text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT test.as_user(who, format('SELECT kvcrm.lead_page(test.id(%L))', lead))::jsonb
$$;
SELECT is((SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(test.lead_page('rep', 'one')) AS k),
          '{assignee,customer,duplicates,lead,merges,next_task,quotes,stage,timeline}', 'what a page has');
SELECT is(test.lead_page('rep', 'one')->'lead', (SELECT to_jsonb(l) FROM kvcrm.leads l WHERE l.id = test.id('one')), 'the lead');
SELECT is(test.lead_page('rep', 'one') #>> '{stage,name}', 'Новый лид', 'its stage');
SELECT is(test.lead_page('rep', 'one') #>> '{assignee,display_name}', 'Роман', 'its assignee');
SELECT is(test.lead_page('rep', 'one') #>> '{next_task,title}', 'overdue', 'the next task is the one due first; notes and done ones aside');
SELECT is(test.lead_page('rep', 'two') #>> '{next_task,title}', 'someday', 'a task needs no date');
SELECT is(test.lead_page('rep', 'one')->'customer', 'null', 'no customer yet');
SELECT is(jsonb_array_length(test.lead_page('rep', 'one')->'timeline'), 5, 'the timeline');
SELECT is((SELECT array_agg(e->>'ref_id' ORDER BY n) FROM jsonb_array_elements(test.lead_page('rep', 'one')->'timeline') WITH ORDINALITY AS t (e, n)),
          (SELECT array_agg(ref_id::text) FROM kvcrm.lead_timeline(test.id('one'))), 'is that of lead_timeline, in its order');
SELECT kvcrm.qualify_lead(test.id('one'), organization_id => test.id('a')) \g /dev/null
SELECT is(test.lead_page('rep', 'one') #>> '{customer,source_lead_id}', test.id('one')::text, 'the customer it became');
SELECT is(test.lead_page('helper', 'one')->'customer', 'null', 'but not without customers:read');
SELECT is((test.error_of(format('SELECT test.lead_page(%L, %L)', c.who, c.lead))).code, c.code, format('%s asks for %s', coalesce(c.who, 'nobody'), c.lead))
  FROM (VALUES ('rep', 'three', 'PT404'), ('stranger', 'one', 'PT404'), ('owner_b', 'one', 'PT404'), ('rep', 'a', 'PT404'),
               ('rep', 'no such', '22023'), (NULL, 'one', '42501'), ('manager', 'three', NULL)) AS c (who, lead, code);

-- --- my_tasks ---

SELECT test.keep('four', (kvcrm.create_lead('four', assigned_to => test.id('rep'), organization_id => test.id('a'))).id) \g /dev/null
SELECT kvcrm.log_activity(test.id('four'), t.type, t.title, due_date => t.due, assigned_to => test.id('rep'), organization_id => test.id('a'))
  FROM (VALUES ('task', 'four later', now() + interval '3 days'), ('meeting', 'four overdue', now() - interval '3 days')) AS t (type, title, due) \g /dev/null
CREATE FUNCTION test.tasks(who text, arguments text DEFAULT '') RETURNS text[] LANGUAGE sql AS $$
    SELECT test.as_user(who, format('SELECT coalesce(array_agg(title), ''{}'') FROM kvcrm.my_tasks(%s)', arguments))::text[]
$$;
SELECT is(test.tasks('rep') @> '{four overdue,four later,someday}', true, 'my open tasks');
SELECT is((SELECT array_agg(t ORDER BY n) FROM unnest(test.tasks('rep')) WITH ORDINALITY AS x (t, n) WHERE t IN ('four overdue', 'four later', 'someday')),
          '{four overdue,four later,someday}', 'overdue first, without a date last');
SELECT is(test.tasks('rep') && '{note,done,of others}', false, 'no notes, nothing done, nothing of others');
SELECT is(test.tasks('rep', 'due_before => now()') @> '{four overdue}' AND NOT test.tasks('rep', 'due_before => now()') && '{four later,someday}', true, 'due_before');
SELECT is(test.tasks('other_rep'), '{of others}', 'somebody else''s');
SELECT is(test.tasks('manager'), '{}', 'a manager has none');
SELECT kvcrm.delete_lead(test.id('four'), test.id('a')) \g /dev/null
SELECT is(test.tasks('rep') && '{four overdue,four later}', false, 'nothing on a deleted lead');
-- A task on a lead that one no longer sees.
SELECT kvcrm.log_activity(test.id('three'), 'task', 'hidden', assigned_to => test.id('rep'), organization_id => test.id('a')) \g /dev/null
SELECT is(test.tasks('rep') && '{hidden}', false, 'nothing on a lead one doesn''t see');
-- In two organizations.
SELECT kvcrm.add_member(test.id('rep'), 'sales_team', organization_id => test.id('b')) \g /dev/null
SELECT test.keep('in_b', (kvcrm.create_lead('b', assigned_to => test.id('rep'), organization_id => test.id('b'))).id) \g /dev/null
SELECT kvcrm.log_activity(test.id('in_b'), 'task', 'in b', due_date => now() - interval '9 days', assigned_to => test.id('rep'), organization_id => test.id('b')) \g /dev/null
SELECT is((test.tasks('rep'))[1], 'in b', 'those of all my organizations, in one order');
SELECT is(test.tasks('rep', 'organization_id => test.id(''a'')') && '{in b}', false, 'or of one');
SELECT is(test.tasks('rep', 'organization_id => test.id(''b'')'), '{in b}', 'or of the other');
SELECT is((test.error_of(format('SELECT test.tasks(%L, %L)', c.who, c.arguments))).code, c.code, format('my_tasks of %s', coalesce(c.who, 'nobody')))
  FROM (VALUES (NULL, '', '42501'), ('stranger', 'organization_id => test.id(''a'')', '42501'), ('stranger', '', NULL)) AS c (who, arguments, code);

-- --- crm_overview ---

CREATE FUNCTION test.overview(who text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT test.as_user(who, 'SELECT kvcrm.crm_overview(test.id(''a''))')::jsonb
$$;
SELECT is((SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(test.overview('rep')) AS k), '{my_pipeline,my_tasks,recent_conversions,rotting_leads}', 'what an overview has');
SELECT is((SELECT array_agg(t->>'title' ORDER BY n) FROM jsonb_array_elements(test.overview('rep')->'my_tasks') WITH ORDINALITY AS x (t, n)),
          test.tasks('rep', 'organization_id => test.id(''a'')'), 'my tasks');
SELECT is(jsonb_array_length(test.overview('rep')->'my_pipeline'), 5, 'all stages');
SELECT is((SELECT sum((s->>'lead_count')::int)::int FROM jsonb_array_elements(test.overview('rep')->'my_pipeline') AS s),
          (SELECT count(*)::int FROM kvcrm.leads WHERE assigned_to = test.id('rep') AND organization_id = test.id('a')
              AND converted_at IS NULL AND deleted_at IS NULL), 'with my live leads');
UPDATE kvcrm.lead_stages SET probability = 50 WHERE id = test.stage('a', 2);
SELECT kvcrm.move_lead(test.id('two'), test.stage('a', 2), organization_id => test.id('a')) \g /dev/null
SELECT is(test.overview('rep') #> '{my_pipeline,1,totals}', '{"RUB": {"value": 250.50, "weighted": 125.25}}'::jsonb, 'and what they are worth');
SELECT is(test.overview('manager') #> '{my_pipeline,1,totals}', '{}'::jsonb, 'a manager has none');
SELECT is(test.overview('manager')->'rotting_leads', '[]'::jsonb, 'nothing rots without rotting_days');
UPDATE kvcrm.lead_stages SET rotting_days = 5 WHERE organization_id = test.id('a') AND outcome = 'open';
SELECT is(test.overview('manager')->'rotting_leads', '[]'::jsonb, 'nor before that time');
ALTER TABLE kvcrm.leads DISABLE TRIGGER USER;
UPDATE kvcrm.leads SET stage_entered_at = now() - CASE id WHEN test.id('two') THEN interval '6 days' WHEN test.id('three') THEN interval '7 days' ELSE interval '4 days' END;
ALTER TABLE kvcrm.leads ENABLE TRIGGER USER;
SELECT is(jsonb_path_query_array(test.overview('manager'), '$.rotting_leads[*].name'), '["three", "two"]'::jsonb, 'longest first');
SELECT is(jsonb_path_query_array(test.overview('rep'), '$.rotting_leads[*].name'), '["two"]'::jsonb, 'of those one sees');
INSERT INTO kvcrm.leads (organization_id, name, assigned_to) SELECT test.id('a'), 'won ' || n, test.id('other_rep') FROM generate_series(1, 12) AS n;
DO $$
BEGIN
    FOR i IN 1..12 LOOP
        PERFORM kvcrm.qualify_lead((SELECT id FROM kvcrm.leads WHERE name = 'won ' || i), organization_id => test.id('a'));
        COMMIT;
    END LOOP;
END
$$;
SELECT is(jsonb_path_query_array(test.overview('manager'), '$.recent_conversions[*].lead_name'),
          (SELECT jsonb_agg('won ' || n ORDER BY n DESC) FROM generate_series(3, 12) AS n), 'the last ten conversions');
SELECT is(jsonb_path_query_array(test.overview('other_rep'), '$.recent_conversions[*].lead_name'),
          jsonb_path_query_array(test.overview('manager'), '$.recent_conversions[*].lead_name'), 'those one sees');
SELECT is(test.overview('rep') @> '{"recent_conversions": [{"lead_name": "won 12"}]}', false, 'not those one doesn''t');
SELECT is((test.error_of(format('SELECT test.overview(%L)', w))).code, '42501', 'no overview for ' || coalesce(w, 'nobody'))
  FROM unnest(ARRAY['stranger', 'owner_b', 'suspended', NULL]) AS w;

BEGIN READ ONLY;
SELECT set_config('kvcrm.user_id', test.id('rep')::text, true) \g /dev/null
SELECT isnt(kvcrm.lead_page(test.id('two')), NULL, 'lead_page in a READ ONLY transaction');
SELECT cmp_ok((SELECT count(*) FROM kvcrm.my_tasks()), '>', 0::bigint, 'my_tasks too');
SELECT isnt(kvcrm.crm_overview(test.id('a')), NULL, 'crm_overview too');
COMMIT;

SELECT * FROM finish();
