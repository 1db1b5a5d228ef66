-- customer_timeline: what happened to a customer and to the leads that became it, nothing twice, nothing lost between
-- pages, and nothing of leads that the caller doesn't see.
\ir include/two_organizations.sql

CREATE FUNCTION test.timeline(who text, arguments text DEFAULT '') RETURNS text[] LANGUAGE sql AS $$
    SELECT test.as_user(who, 'SELECT coalesce(array_agg(concat_ws('':'', kind, title, body)), ''{}'') FROM kvcrm.customer_timeline(test.id(''customer'')'
                        || arguments || ')')::text[]
$$;

SELECT test.keep('first', (kvcrm.create_lead('Пётр', 'petr@firma.ru', company => 'Фирма', assigned_to => test.id('rep'), organization_id => test.id('a'))).id) \g /dev/null
SELECT test.keep('second', (kvcrm.create_lead('Анна', 'anna@firma.ru', company => 'Фирма', assigned_to => test.id('other_rep'), organization_id => test.id('a'))).id) \g /dev/null
SELECT test.keep('unrelated', (kvcrm.create_lead('Чужой', company => 'Другая', organization_id => test.id('a'))).id) \g /dev/null
SELECT kvcrm.log_activity(test.id('unrelated'), 'note', 'Чужая заметка') \g /dev/null
SELECT test.as_user('rep', 'SELECT kvcrm.log_activity(test.id(''first''), ''call'', ''Звонок'', ''Перезвонить'')') \g /dev/null
INSERT INTO kvcrm.quotes (organization_id, lead_id, title, amount, number) VALUES (test.id('a'), test.id('first'), 'Первая', 10, '1');
SELECT test.keep('customer', test.as_user('rep', 'SELECT c.id FROM kvcrm.qualify_lead(test.id(''first'')) c')::uuid) \g /dev/null
SELECT kvcrm.log_activity(test.id('second'), 'meeting', 'Встреча') \g /dev/null
SELECT test.as_user('manager', 'SELECT kvcrm.qualify_lead(test.id(''second''), test.id(''customer''))') \g /dev/null
SELECT test.as_user('manager', 'UPDATE kvcrm.customers SET notes = ''Важный'' WHERE id = test.id(''customer'') RETURNING id') \g /dev/null
SELECT test.as_user('manager', 'SELECT kvcrm.create_quote_from_lead(test.id(''second''), ''Вторая'', 20, number => ''2'')') \g /dev/null
SELECT test.patch('manager', (SELECT id FROM kvcrm.quotes WHERE number = '1' AND organization_id = test.id('a')), '{"status": "sent"}', 'kvcrm.quotes') \g /dev/null
SELECT test.as_user('manager', 'INSERT INTO kvcrm.quotes (customer_id, title, amount, number) VALUES (test.id(''customer''), ''Прямая'', 30, ''3'') RETURNING id') \g /dev/null
SELECT test.as_user('rep', 'SELECT kvcrm.log_activity(test.id(''first''), ''task'', ''После'')') \g /dev/null

SELECT is(test.timeline('manager'), '{activity:После,quote:Прямая,quote_change:Первая:sent,quote:Вторая,log:updated,conversion:Анна,activity:Встреча,log:created,conversion:Пётр,quote:Первая,activity:Звонок:Перезвонить}',
          'activities of both leads, both conversions, all quotes and the customer''s own log, newest first');
SELECT is(test.timeline('admin'), test.timeline('manager'), 'for everybody who reads all');
SELECT is(test.timeline('rep'), '{activity:После,quote_change:Первая:sent,log:updated,log:created,conversion:Пётр,quote:Первая,activity:Звонок:Перезвонить}', 'for a rep nothing of leads they don''t see, nor quotes of the customer alone');
SELECT is(test.timeline('other_rep'), '{quote:Вторая,log:updated,conversion:Анна,activity:Встреча,log:created}', 'nor for another one');
INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (test.id('a'), 'accountant', 'Accountant', '{customers:read,quotes:read}'), (test.id('a'), 'blind', 'Blind', '{leads:read_all,quotes:read}');
INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, status) VALUES (test.id('a'), test.id('stranger'), 'accountant', 'active');
SELECT is(test.timeline('stranger'), '{quote:Прямая,quote_change:Первая:sent,quote:Вторая,log:updated,log:created,quote:Первая}', 'who reads customers and quotes but no leads');
UPDATE kvcrm.organization_members SET role_slug = 'blind' WHERE user_id = test.id('stranger');
SELECT is((test.error_of(format('SELECT test.timeline(%L)', who))).code, code, 'not for ' || coalesce(who, 'nobody'))
  FROM (VALUES ('stranger', 'PT404'), ('suspended', 'PT404'), ('owner_b', 'PT404'), ('rep_b', 'PT404'), (NULL, '42501')) AS t (who, code);

-- Whatever is told here of a lead, lead_timeline tells too, and row-level security shows.
SELECT is((SELECT array_agg(t.ref_id ORDER BY t.ref_id) FROM kvcrm.customer_timeline(test.id('customer')) t WHERE t.kind IN ('activity', 'quote', 'quote_change') AND t.details->>'lead_id' IS DISTINCT FROM NULL AND t.kind <> 'quote_change'),
          (SELECT array_agg(t.ref_id ORDER BY t.ref_id) FROM unnest('{first,second}'::text[]) AS l, LATERAL kvcrm.lead_timeline(test.id(l)) t WHERE t.kind IN ('activity', 'quote')), 'what it tells of leads is what their own timelines tell');
SELECT is((SELECT to_jsonb(t) - '{at,ref_id}'::text[] FROM kvcrm.customer_timeline(test.id('customer')) t WHERE title = 'Звонок'),
          jsonb_build_object('kind', 'activity', 'title', 'Звонок', 'body', 'Перезвонить', 'actor_id', test.id('rep'), 'details', jsonb_build_object('type', 'call', 'due_date', NULL, 'completed_at', NULL, 'assigned_to', NULL,
              'metadata', '{}'::jsonb, 'lead_id', test.id('first'), 'lead_name', 'Пётр')), 'what an activity tells');
SELECT is((SELECT to_jsonb(t) - '{at}'::text[] FROM kvcrm.customer_timeline(test.id('customer')) t WHERE kind = 'conversion' AND title = 'Анна'),
          (SELECT jsonb_build_object('kind', 'conversion', 'title', 'Анна', 'body', NULL, 'actor_id', test.id('manager'), 'ref_id', j.id, 'details',
              jsonb_build_object('lead_id', test.id('second'), 'lead_name', 'Анна', 'contact_id', j.contact_id, 'customer_created', false)) FROM kvcrm.lead_conversions j WHERE j.lead_id = test.id('second')), 'what a conversion tells');
SELECT is((SELECT details #>> '{notes,new}' FROM kvcrm.customer_timeline(test.id('customer'), page_size => 1000) WHERE kind = 'log' AND title = 'updated' ORDER BY at DESC LIMIT 1), 'Важный', 'what an entry of the log tells');
SELECT is((SELECT array_agg(DISTINCT ref_id) FROM kvcrm.customer_timeline(test.id('customer'))), (SELECT array_agg(ref_id ORDER BY ref_id) FROM kvcrm.customer_timeline(test.id('customer'))), 'no entry twice');

-- A conversion taken back is the customer's no more.
SELECT test.keep('third', (kvcrm.create_lead('Олег', 'oleg@firma.ru', company => 'Фирма', organization_id => test.id('a'))).id) \g /dev/null
SELECT kvcrm.qualify_lead(test.id('third'), test.id('customer')) \g /dev/null
SELECT is((test.timeline('manager'))[1], 'conversion:Олег', 'a third conversion');
SELECT kvcrm.revert_conversion(test.id('third')) \g /dev/null
SELECT is((SELECT count(*) FROM unnest(test.timeline('manager')) AS t WHERE t LIKE '%Олег%'), 0::bigint, 'that is reverted');

-- Pages. Entries of one transaction share their time.
DELETE FROM test.ids WHERE name = 'customer';
SELECT test.keep('many', (kvcrm.create_lead('Много', company => 'Много', organization_id => test.id('a'))).id) \g /dev/null
SELECT test.keep('customer', (kvcrm.qualify_lead(test.id('many'))).id) \g /dev/null
DO $$
BEGIN
    FOR i IN 1..6 LOOP
        FOR j IN 1..2 LOOP
            PERFORM kvcrm.log_activity(test.id('many'), 'note', format('Заметка %s.%s', i, j), organization_id => test.id('a'));
        END LOOP;
        PERFORM kvcrm.create_quote_from_lead(test.id('many'), format('КП %s', i), i, number => 'M' || i);
        UPDATE kvcrm.quotes SET status = 'sent' WHERE number = 'M' || i;
        UPDATE kvcrm.customers SET notes = i WHERE id = test.id('customer');
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
        SELECT array_agg(ref_id) AS ids, min(at) AS last, count(*) AS n INTO page FROM kvcrm.customer_timeline(test.id('customer'), last, size, test.id('a'));
        EXIT WHEN page.n = 0;
        IF page.n > size + 5 THEN RAISE 'a page of %', page.n; END IF;
        everything := everything || page.ids;
        last := page.last;
    END LOOP;
    RETURN everything;
END
$$;
-- Twelve notes, six quotes and their sending, six changes of the customer, its creation, the conversion.
SELECT is((SELECT count(*)::int FROM kvcrm.customer_timeline(test.id('customer'), page_size => 1000)), 32, 'all of it');
SELECT is(test.all_pages(size), (SELECT array_agg(ref_id) FROM kvcrm.customer_timeline(test.id('customer'), page_size => 1000)),
          'pages of ' || size || ' make up the whole') FROM unnest('{1,2,3,4,5,6,7,31,32,33}'::int[]) AS size;

SELECT is((test.error_of(format('SELECT * FROM kvcrm.customer_timeline(%s)', c.call))).code, c.code, c.call)
  FROM (VALUES ('NULL', '22023'), ('test.id(''customer''), page_size => 0', '22023'), ('test.id(''customer''), page_size => 1001', '22023'),
               ('gen_random_uuid()', 'PT404'), ('test.id(''customer''), organization_id => test.id(''b'')', 'PT404'), ('test.id(''many'')', 'PT404'),
               ('test.id(''customer''), page_size => NULL', NULL)) AS c (call, code);
BEGIN READ ONLY;
SELECT is((SELECT count(*)::int FROM kvcrm.customer_timeline(test.id('customer'))), 32, 'in a READ ONLY transaction');
COMMIT;

-- A page is as long as it was asked to be, and what shares its last time.
SELECT is((SELECT count(*)::int FROM kvcrm.customer_timeline(test.id('customer'), page_size => 2)), 5, 'a page of two is completed to the whole last transaction');

SELECT * FROM finish();
