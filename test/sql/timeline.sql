-- lead_timeline: one stream, nothing twice, nothing lost between pages.
-- inconsistent: a lead is written without triggers
\ir include/two_organizations.sql

CREATE FUNCTION test.timeline(who text, arguments text DEFAULT '') RETURNS text[] LANGUAGE sql AS $$
    SELECT test.as_user(who, 'SELECT coalesce(array_agg(kind || '':'' || title), ''{}'') FROM kvcrm.lead_timeline(test.id(''lead'')'
                        || arguments || ')')::text[]
$$;

SELECT test.keep('lead', (kvcrm.create_lead('Пётр', assigned_to => test.id('rep'), organization_id => test.id('a'))).id) \g /dev/null
SELECT is(test.timeline('rep'), '{log:created}', 'a new lead: its creation, once');
SELECT test.as_user('rep', 'SELECT kvcrm.log_activity(test.id(''lead''), ''call'', ''Звонок'', ''Перезвонить'', due_date => ''2030-01-01'')') \g /dev/null
SELECT test.as_user('rep', 'SELECT kvcrm.move_lead(test.id(''lead''), test.stage(''a'', 2))') \g /dev/null
SELECT test.as_user('rep', 'UPDATE kvcrm.leads SET company = ''Ромашка'' WHERE id = test.id(''lead'') RETURNING id') \g /dev/null
UPDATE kvcrm.leads SET stage_id = test.stage('a', 3), company = 'Василёк' WHERE id = test.id('lead');
SELECT test.as_user('manager', 'SELECT kvcrm.move_lead(test.id(''lead''), test.stage(''a'', 5), lost_reason => ''Дорого'')') \g /dev/null
SELECT test.as_user('manager', 'SELECT kvcrm.assign_lead(test.id(''lead''), test.id(''other_rep''))') \g /dev/null
SELECT is(test.timeline('manager'),
          '{log:assigned,stage_move:Потеря,log:moved,log:updated,stage_move:Контакт установлен,activity:Звонок,log:created}',
          'newest first; a move is told once, by the log when other fields went with it');
SELECT is(test.timeline('other_rep'), test.timeline('manager'), 'whoever sees the lead sees all of it');
SELECT is((test.error_of('SELECT test.timeline(''rep'')')).code, 'PT404', 'not for who no longer sees the lead');
SELECT is((test.error_of(format('SELECT test.timeline(%L)', w))).code, c, 'not for ' || coalesce(w, 'nobody'))
  FROM (VALUES ('stranger', 'PT404'), ('rep_b', 'PT404'), ('owner_b', 'PT404'), (NULL, '42501')) AS t (w, c);
SELECT is((SELECT (to_jsonb(t) - 'ref_id' - 'at')::text FROM kvcrm.lead_timeline(test.id('lead')) t WHERE title = 'Потеря'),
          jsonb_build_object('kind', 'stage_move', 'title', 'Потеря', 'body', 'Дорого', 'actor_id', test.id('manager'), 'details',
              jsonb_build_object('stage_id', test.stage('a', 5), 'stage_name', 'Потеря', 'color', '#ff7875', 'from_stage_id', test.stage('a', 3),
                                 'from_stage_name', 'Квалифицирован', 'lost_reason', 'Дорого', 'left_at', NULL))::text, 'what a move tells');
SELECT is((SELECT array[body, actor_id::text, details->>'type', details->>'due_date'] FROM kvcrm.lead_timeline(test.id('lead')) WHERE kind = 'activity'),
          ARRAY['Перезвонить', test.id('rep')::text, 'call', to_jsonb('2030-01-01'::timestamptz) #>> '{}'], 'what an activity tells');
SELECT is((SELECT details #>> '{company,new}' FROM kvcrm.lead_timeline(test.id('lead')) WHERE title = 'moved'), 'Василёк', 'what an entry of the log tells');
SELECT is((SELECT array_agg(ref_id ORDER BY ref_id) FROM kvcrm.lead_timeline(test.id('lead'), page_size => 1000)),
          (SELECT array_agg(DISTINCT ref_id ORDER BY ref_id) FROM kvcrm.lead_timeline(test.id('lead'), page_size => 1000)), 'no entry twice');

-- A conversion: the log tells the stage with it.
DELETE FROM test.ids WHERE name = 'lead';
SELECT test.keep('lead', (kvcrm.create_lead('Анна', organization_id => test.id('a'))).id) \g /dev/null
SELECT kvcrm.qualify_lead(test.id('lead'), organization_id => test.id('a')) \g /dev/null
SELECT is(test.timeline('manager'), '{log:converted,log:created}', 'a conversion is told once');

-- Pages. Entries of one transaction share their time.
DELETE FROM test.ids WHERE name = 'lead';
SELECT test.keep('lead', (kvcrm.create_lead('Много', assigned_to => test.id('rep'), organization_id => test.id('a'))).id) \g /dev/null
DO $$
BEGIN
    FOR i IN 1..6 LOOP
        FOR j IN 1..3 LOOP
            PERFORM kvcrm.log_activity(test.id('lead'), 'note', format('Заметка %s.%s', i, j), organization_id => test.id('a'));
        END LOOP;
        PERFORM kvcrm.move_lead(test.id('lead'), test.stage('a', i % 3 + 1), organization_id => test.id('a'));
        PERFORM kvcrm.move_lead(test.id('lead'), test.stage('a', (i + 2) % 3 + 1), organization_id => test.id('a'));
        COMMIT;
    END LOOP;
END
$$;
CREATE FUNCTION test.all_pages(size int) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    everything uuid[] := '{}';
    last timestamptz;
    page record;
BEGIN
    LOOP
        -- count(DISTINCT at) beside it would, from PostgreSQL 16 on, sort the rows of array_agg too.
        SELECT array_agg(ref_id) AS ids, min(at) AS last, count(*) AS n INTO page
          FROM kvcrm.lead_timeline(test.id('lead'), last, size, test.id('a'));
        EXIT WHEN page.n = 0;
        IF page.n > size + 5 THEN RAISE 'a page of %', page.n; END IF;
        everything := everything || page.ids;
        last := page.last;
    END LOOP;
    RETURN everything;
END
$$;
-- 18 notes, 12 moves, the creation.
SELECT is((SELECT count(*)::int FROM kvcrm.lead_timeline(test.id('lead'), page_size => 1000)), 31, 'all of it');
SELECT is(test.all_pages(size), (SELECT array_agg(ref_id) FROM kvcrm.lead_timeline(test.id('lead'), page_size => 1000)),
          'pages of ' || size || ' make up the whole') FROM unnest('{1,2,3,4,5,6,7,30,31,32}'::int[]) AS size;
SELECT is((SELECT array_agg(title) FROM kvcrm.lead_timeline(test.id('lead'), page_size => 1)),
          ARRAY['Квалифицирован', 'Новый лид', 'Заметка 6.3', 'Заметка 6.2', 'Заметка 6.1'],
          'a page of one is the last transaction, in the order it happened');

SELECT is((test.error_of(format('SELECT * FROM kvcrm.lead_timeline(%s)', c.call))).code, c.code, c.call)
  FROM (VALUES ('NULL', '22023'), ('test.id(''lead''), page_size => 0', '22023'), ('test.id(''lead''), page_size => 1001', '22023'),
               ('gen_random_uuid()', 'PT404'), ('test.id(''lead''), organization_id => test.id(''b'')', 'PT404'),
               ('test.id(''lead''), page_size => NULL', NULL)) AS c (call, code);

-- A lead without a log or history, as another tool may have loaded it.
SET session_replication_role = replica;
INSERT INTO kvcrm.leads (id, organization_id, name, stage_id, status, currency, board_rank)
VALUES ('0f000000-0000-7000-8000-000000000001', test.id('a'), 'Голый', test.stage('a', 1), 'new', 'RUB', 'a');
RESET session_replication_role;
SELECT is((SELECT count(*)::int FROM kvcrm.lead_timeline('0f000000-0000-7000-8000-000000000001')), 0, 'nothing to tell is no error');

BEGIN READ ONLY;
SELECT cmp_ok((SELECT count(*) FROM kvcrm.lead_timeline(test.id('lead'))), '=', 31::bigint, 'in a READ ONLY transaction');
COMMIT;

SELECT * FROM finish();
