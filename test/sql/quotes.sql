-- Quotes: numbers, the way from draft to decision, whose they are, and what they do to leads.
\ir include/two_organizations.sql

CREATE FUNCTION test.lead(handle text, fields jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
    SELECT test.keep(handle, l.id) FROM kvcrm.create_lead(coalesce(fields->>'name', handle), fields->>'email', fields->>'phone', coalesce(fields->>'company', handle), assigned_to => (fields->>'assigned_to')::uuid,
        organization_id => test.id('a')) l $$;
CREATE FUNCTION test.quote(handle text, lead text, amount numeric DEFAULT 100, number text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    SELECT test.keep(handle, q.id) FROM kvcrm.create_quote_from_lead(test.id(lead), handle, amount, number => number) q $$;
-- A quote of a lead that stays unconverted.
CREATE FUNCTION test.draft(handle text, lead text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE new uuid;
BEGIN
    INSERT INTO kvcrm.quotes (organization_id, lead_id, title, amount) VALUES (test.id('a'), test.id(lead), handle, 50) RETURNING id INTO new;
    PERFORM test.keep(handle, new);
END $$;
CREATE FUNCTION test.status(quote text) RETURNS text LANGUAGE sql AS $$ SELECT status FROM kvcrm.quotes WHERE id = test.id(quote) $$;
CREATE FUNCTION test.stage_of(lead text) RETURNS text LANGUAGE sql AS $$
    SELECT s.name FROM kvcrm.leads l JOIN kvcrm.lead_stages s ON s.id = l.stage_id AND s.organization_id = l.organization_id WHERE l.id = test.id(lead) $$;

-- --- from a lead ---

SELECT test.lead('lead', jsonb_build_object('email', 'ivan@firma.ru', 'assigned_to', test.id('rep'))) \g /dev/null
CREATE TABLE test.made AS SELECT r.* FROM jsonb_populate_record(NULL::kvcrm.quotes, test.as_user('rep', 'SELECT to_jsonb(q) FROM kvcrm.create_quote_from_lead(test.id(''lead''), ''  Поставка '', 1234.567) q')::jsonb) r;
SELECT is((SELECT to_jsonb(m) - '{id,number,customer_id,created_at,updated_at}'::text[] FROM test.made m),
          jsonb_build_object('organization_id', test.id('a'), 'lead_id', test.id('lead'), 'title', 'Поставка', 'amount', 1234.57, 'currency', 'RUB', 'status', 'draft', 'custom_fields', '{}'::jsonb,
                             'sent_at', NULL, 'decided_at', NULL, 'created_by', test.id('rep')), 'a quote from a lead is a draft in the organization''s currency');
SELECT is(m.customer_id, l.converted_to_customer_id, 'its lead was converted, and it knows the customer') FROM test.made m JOIN kvcrm.leads l ON l.id = m.lead_id;
SELECT isnt(m.customer_id, NULL, 'who is there') FROM test.made m;
SELECT matches(m.number, '^Q-20[0-9]{2}-[0-9A-HJKMNP-TV-Z]{6}$', 'its number was drawn') FROM test.made m;
SELECT is(array_agg(g.action || ' ' || g.entity_type ORDER BY g.id), ARRAY['created customer', 'converted lead', 'created contact', 'created quote'], 'the log tells of all in order')
  FROM kvcrm.activity_logs g WHERE g.created_at = (SELECT m.created_at FROM test.made m);
SELECT is(test.as_user('rep', 'SELECT concat_ws('' '', q.customer_id = m.customer_id, currency, number) FROM kvcrm.create_quote_from_lead(test.id(''lead''), ''Вторая'', 0, ''USD'', ''  КП-7 '') q, test.id(''lead'') l, LATERAL (SELECT converted_to_customer_id AS customer_id FROM kvcrm.leads WHERE id = l) m'),
          't USD КП-7', 'a second quote of the lead: the same customer, a currency and a number of one''s own');
SELECT is((SELECT count(*) FROM kvcrm.customers), 1::bigint, 'no second customer');

-- The number is what makes a retry harmless.
CREATE TABLE test.before AS SELECT test.everything() AS it;
SELECT is((e).code || ' ' || (e).message || ' ' || (e).column_name, '23505 another quote has this number number', 'the same number again')
  FROM test.error_of('SELECT test.as_user(''rep'', ''SELECT kvcrm.create_quote_from_lead(test.id(''''lead''''), ''''x'''', 1, number => '''' КП-7'''')'')') e;
SELECT is((test.error_of('SELECT test.as_user(''rep'', ''SELECT kvcrm.create_quote_from_lead(test.id(''''lead''''), ''''x'''', 1, number => ''''КП-7'''')'')')).detail,
          (SELECT 'Quote ' || id || '.' FROM kvcrm.quotes WHERE number = 'КП-7'), 'names the quote to those who see it');
SELECT test.lead('hidden', jsonb_build_object('assigned_to', test.id('other_rep'))) \g /dev/null
SELECT is((SELECT jsonb_build_array((e).code, (e).detail) FROM test.error_of('SELECT test.as_user(''other_rep'', ''SELECT kvcrm.create_quote_from_lead(test.id(''''hidden''''), ''''x'''', 1, number => ''''КП-7'''')'')') e), jsonb_build_array('23505', ''), 'and only to them');
SELECT is((SELECT status FROM kvcrm.leads WHERE id = test.id('hidden')), 'new', 'and its lead is not converted');
SELECT is((test.error_of('INSERT INTO kvcrm.quotes (organization_id, lead_id, title, amount, number) VALUES (test.id(''a''), test.id(''lead''), ''x'', 1, ''КП-7'')')).constraint_name, 'quotes_number', 'nor can a plain INSERT take it');
SELECT test.keep('lead_b', (kvcrm.create_lead('B', company => 'B', organization_id => test.id('b'))).id) \g /dev/null
SELECT is((kvcrm.create_quote_from_lead(test.id('lead_b'), 'x', 1, number => 'КП-7')).number, 'КП-7', 'another organization has numbers of its own');

SELECT is((SELECT jsonb_build_array((e).code, (e).column_name) FROM test.error_of(format('SELECT kvcrm.create_quote_from_lead(test.id(''lead''), %s)', arguments)) e), jsonb_build_array(code, field), format('create_quote_from_lead(lead, %s): %s', left(arguments, 50), code))
  FROM (VALUES ('NULL, 1', '22023', ''), ('''x'', NULL', '22023', ''), (''' '', 1', '23514', 'title'), ('repeat(''x'', 256), 1', '22001', 'title'), ('''x'', -1', '23514', ''), ('''x'', ''NaN''', '23514', ''),
               ('''x'', 1e20', '22003', ''), ('''x'', 1, ''usd''', '23514', ''), ('''x'', 1, ''EURO''', '22001', ''), ('''x'', 1, number => repeat(''x'', 101)', '22001', 'number')) AS c (arguments, code, field);
SELECT is((kvcrm.create_quote_from_lead(test.id('lead'), 'x', 1, ' ', ' ')).currency::text, 'RUB', 'a blank currency and number count as none');
SELECT test.lead('gone') \g /dev/null
SELECT kvcrm.delete_lead(test.id('gone')) \g /dev/null
SELECT is((test.error_of('SELECT test.quote(''x'', ''gone'')')).code, '23514', 'no quote for a deleted lead');
SELECT is((test.error_of('INSERT INTO kvcrm.quotes (organization_id, lead_id, title, amount) VALUES (test.id(''a''), test.id(''gone''), ''x'', 1)')).code, '23514', 'not by INSERT either');
SELECT is((test.error_of('SELECT kvcrm.create_quote_from_lead(test.id(''unknown''), ''x'', 1)')).code, 'PT404', 'nor for an unknown one');

-- --- numbers ---

DO $$ BEGIN
    INSERT INTO kvcrm.quotes (organization_id, lead_id, title, amount) SELECT test.id('a'), test.id('lead'), 'n', 1 FROM generate_series(1, 2000);
END $$;
SELECT is((SELECT count(DISTINCT number) FROM kvcrm.quotes WHERE title = 'n'), 2000::bigint, 'two thousand quotes in one statement, each with a number of its own');
DELETE FROM kvcrm.quotes WHERE title = 'n';

-- --- from draft to decision ---

CREATE TABLE test.steps AS SELECT f AS from_status, t AS to_status, (f, t) IN (('draft', 'sent'), ('sent', 'draft'), ('sent', 'accepted'), ('sent', 'rejected')) AS allowed
  FROM unnest('{draft,sent,accepted,rejected}'::text[]) AS f, unnest('{draft,sent,accepted,rejected,lost}'::text[]) AS t WHERE f <> t;
-- The system loads quotes in whatever state they were elsewhere.
INSERT INTO kvcrm.quotes (organization_id, lead_id, title, amount, number, status) SELECT test.id('a'), test.id('lead'), 'step', 1, from_status || '-' || to_status, from_status FROM test.steps;
SELECT is((e).code, CASE WHEN allowed THEN NULL ELSE '23514' END, format('%s to %s', from_status, to_status))
  FROM test.steps, LATERAL (SELECT test.error_of(format('UPDATE kvcrm.quotes SET status = %L WHERE number = %L', to_status, from_status || '-' || to_status)) AS e) t ORDER BY allowed, from_status, to_status;
SELECT is((SELECT count(*) FROM kvcrm.quotes WHERE title = 'step' AND ((sent_at IS NULL) <> (status = 'draft') OR (decided_at IS NULL) <> (status IN ('draft', 'sent')))), 0::bigint, 'sent_at and decided_at follow the status');
DELETE FROM kvcrm.quotes WHERE title = 'step';

SELECT test.quote('q', 'lead', number => 'Q') \g /dev/null
SELECT is((test.patch('manager', test.id('q'), '{"title": "Новое", "amount": 7, "currency": "EUR", "number": "Q2", "custom_fields": {"k": 1}}', 'kvcrm.quotes') - '{updated_at,created_at,customer_id,lead_id,organization_id,id}'::text[])::text,
          '{"title": "Новое", "amount": 7.00, "number": "Q2", "status": "draft", "sent_at": null, "currency": "EUR", "created_by": null, "decided_at": null, "custom_fields": {"k": 1}}', 'a draft changes freely');
SELECT is((SELECT jsonb_build_array((e).code, (e).column_name) FROM test.error_of(format('SELECT test.patch(''manager'', test.id(''q''), %L, ''kvcrm.quotes'')', body)) e), jsonb_build_array(code, field), 'PATCH ' || body || ': ' || code)
  FROM (VALUES ('{"title": " "}', '23514', 'title'), ('{"title": null}', '23514', 'title'), ('{"number": ""}', '23514', 'number'), ('{"amount": null}', '23514', 'amount'), ('{"amount": -1}', '23514', ''),
               ('{"customer_id": null}', '42501', ''), ('{"lead_id": null}', '42501', ''), ('{"sent_at": "2020-01-01"}', '42501', ''), ('{"created_by": null}', '42501', ''), ('{"custom_fields": []}', '23514', 'custom_fields'),
               ('{"status": null}', '23514', 'status'), ('{"status": "accepted"}', '23514', 'status')) AS c (body, code, field);
SELECT is(test.patch('manager', test.id('q'), '{"currency": null}', 'kvcrm.quotes')->>'currency', 'RUB', 'no currency is the organization''s');
SELECT is(test.patch('manager', test.id('q'), '{"status": "sent", "amount": 8}', 'kvcrm.quotes')->>'amount', '8.00', 'a draft is changed and sent in one step');
SELECT isnt((SELECT sent_at FROM kvcrm.quotes WHERE id = test.id('q')), NULL, 'when it was sent is kept');
SELECT is((SELECT jsonb_build_array((e).code, (e).column_name) FROM test.error_of(format('UPDATE kvcrm.quotes SET %I = %L WHERE id = test.id(''q'')', field, value)) e), jsonb_build_array('23514', field), 'a sent quote keeps its ' || field)
  FROM (VALUES ('title', 'y'), ('amount', '9'), ('currency', 'USD'), ('number', 'Q3'), ('custom_fields', '{}')) AS c (field, value);
SELECT is(test.patch('manager', test.id('q'), '{"status": "draft", "amount": 9}', 'kvcrm.quotes')->>'sent_at', NULL, 'taken back, it changes again');
SELECT is((SELECT jsonb_build_array((e).code, (e).column_name) FROM test.error_of(format('UPDATE kvcrm.quotes SET %I = gen_random_uuid() WHERE id = test.id(''q'')', field)) e), jsonb_build_array('23514', field), field || ' never changes')
  FROM unnest('{id,organization_id,lead_id,customer_id}'::text[]) AS field;
SELECT test.patch('manager', test.id('q'), '{"status": "sent"}', 'kvcrm.quotes') IS NOT NULL;
SELECT test.patch('admin', test.id('q'), '{"status": "rejected"}', 'kvcrm.quotes') IS NOT NULL;
SELECT is((test.error_of('UPDATE kvcrm.quotes SET title = ''y'' WHERE id = test.id(''q'')')).hint, 'Make a new quote.', 'what is decided stays as it is');
SELECT results_eq($$ SELECT action, actor_id, changes #>> '{status,old}', changes #>> '{status,new}' FROM kvcrm.activity_logs WHERE entity_id = test.id('q') AND entity_type = 'quote' AND (changes ? 'status' OR action = 'created') ORDER BY id $$,
    $$ VALUES ('created', NULL::uuid, NULL, 'draft'), ('updated', test.id('manager'), 'draft', 'sent'), ('updated', test.id('manager'), 'sent', 'draft'), ('updated', test.id('manager'), 'draft', 'sent'), ('updated', test.id('admin'), 'sent', 'rejected') $$,
    'the log is the history of the status');

-- --- by INSERT ---

SELECT test.keep('customer', (SELECT converted_to_customer_id FROM kvcrm.leads WHERE id = test.id('lead'))) \g /dev/null
SELECT test.lead('other', jsonb_build_object('assigned_to', test.id('rep'))) \g /dev/null
SELECT test.keep('other_customer', (kvcrm.qualify_lead(test.id('other'))).id) \g /dev/null
SELECT test.lead('new', jsonb_build_object('assigned_to', test.id('rep'))) \g /dev/null
CREATE FUNCTION test.try_post(who text, lead text, customer text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE body jsonb := jsonb_build_object('title', 'x', 'amount', 1, 'organization_id', test.id('a'), 'lead_id', test.id(lead), 'customer_id', test.id(customer));
BEGIN
    body := test.post(who, body, 'kvcrm.quotes');
    RETURN concat_ws(' ', (SELECT name FROM test.ids WHERE id::text = body->>'lead_id'), (SELECT name FROM test.ids WHERE id::text = body->>'customer_id'));
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE;
END $$;
SELECT is(test.try_post(who, lead, customer), answer, format('%s posts a quote of lead %s and customer %s', who, coalesce(lead, 'none'), coalesce(customer, 'none')))
  FROM (VALUES ('manager', 'lead', 'customer', 'lead customer'), ('manager', 'lead', NULL, 'lead customer'), ('manager', 'lead', 'other_customer', '23514'), ('manager', 'new', NULL, 'new'), ('manager', 'new', 'customer', '23514'),
               ('manager', NULL, 'customer', 'customer'), ('manager', NULL, NULL, '23514'), ('manager', 'unknown', NULL, 'PT404'), ('manager', NULL, 'unknown', 'PT404'), ('manager', 'lead_b', NULL, 'PT404'),
               ('rep', 'lead', 'customer', 'lead customer'), ('rep', 'new', NULL, 'new'), ('rep', 'hidden', NULL, 'PT404'), ('rep', 'unknown', NULL, 'PT404'), ('rep', NULL, 'customer', '42501'),
               ('stranger', 'lead', NULL, '42501'), ('rep_b', 'lead', NULL, '42501'), ('owner_b', 'lead', 'customer', '42501')) AS c (who, lead, customer, answer);
SELECT is((test.error_of('SELECT test.post(''manager'', jsonb_build_object(''title'', ''x'', ''amount'', 1, ''status'', ''sent'', ''lead_id'', test.id(''lead'')), ''kvcrm.quotes'')')).code, '42501', 'clients don''t choose the status of a new quote');
SELECT is((test.error_of('SELECT test.as_backend_of(''manager'', ''INSERT INTO kvcrm.quotes (organization_id, lead_id, title, amount, status) VALUES (test.id(''''a''''), test.id(''''lead''''), ''''x'''', 1, ''''sent'''') RETURNING id'')')).code, '23514', 'nor do users through a backend');
UPDATE kvcrm.customers SET deleted_at = now() WHERE id = test.id('other_customer');
SELECT is(test.try_post('manager', NULL, 'other_customer'), '23514', 'no quote for a deleted customer');
SELECT is(test.try_post('manager', 'other', NULL), '23514', 'nor for the lead that became it');
SELECT is((SELECT jsonb_build_array((e).code, (e).message) FROM test.error_of('SELECT kvcrm.create_quote_from_lead(test.id(''other''), ''x'', 1)') e), '["23514", "the customer is deleted"]', 'by function too');
UPDATE kvcrm.customers SET deleted_at = NULL WHERE id = test.id('other_customer');

-- --- who sees and changes what ---

CREATE FUNCTION test.visible(who text) RETURNS text LANGUAGE sql AS $$ SELECT test.as_user(who, 'SELECT count(*) || '' of leads '' || count(DISTINCT lead_id) FROM kvcrm.quotes') $$;
SELECT is(test.visible('manager'), (SELECT count(*) || ' of leads ' || count(DISTINCT lead_id) FROM kvcrm.quotes WHERE organization_id = test.id('a')), 'quotes:read sees all quotes');
SELECT is(test.visible('rep'), (SELECT count(*) || ' of leads ' || count(DISTINCT lead_id) FROM kvcrm.quotes WHERE lead_id IN (test.id('lead'), test.id('new'), test.id('other'))), 'a rep sees those of the leads they see');
SELECT is(test.visible(who), '0 of leads 0', who || ' sees none') FROM unnest('{other_rep,suspended,stranger,rep_b}'::text[]) AS who;
SELECT is(test.patch('rep', test.id('q'), '{"status": "sent"}', 'kvcrm.quotes'), NULL, 'seeing a quote is not changing it');

SELECT test.quote('to_delete', 'lead', number => 'D1'), test.quote('agreed', 'lead', number => 'D2') \g /dev/null
UPDATE kvcrm.quotes SET status = 'sent' WHERE id = test.id('agreed');
UPDATE kvcrm.quotes SET status = 'accepted' WHERE id = test.id('agreed');
SELECT is((test.error_of(format('SELECT test.as_user(%L, %L)', who, format('SELECT kvcrm.delete_quote(test.id(%L))', quote)))).code, code, format('%s deletes %s: %s', who, quote, coalesce(code, 'done')))
  FROM (VALUES (1, 'rep', 'to_delete', '42501'), (2, 'other_rep', 'to_delete', 'PT404'), (3, 'owner_b', 'to_delete', 'PT404'), (4, 'manager', 'unknown', 'PT404'), (5, 'manager', 'agreed', '23514'), (6, 'manager', 'to_delete', NULL), (7, 'manager', 'to_delete', 'PT404')) AS c (n, who, quote, code) ORDER BY n;
SELECT is((SELECT changes #>> '{number,old}' FROM kvcrm.activity_logs WHERE entity_id = test.id('to_delete') AND action = 'deleted'), 'D1', 'the log keeps what a deleted quote was');
SELECT is((test.error_of('SELECT kvcrm.delete_quote(NULL)')).code, '22023', 'delete_quote needs an id');
SELECT is((kvcrm.delete_quote((kvcrm.create_quote_from_lead(test.id('lead'), 'x', 1, number => 'D3')).id)).number, 'D3', 'the system needs no organization');

-- --- winning ---

SELECT is((test.error_of(format('UPDATE kvcrm.organizations SET settings = %L WHERE id = test.id(''a'')', settings))).code, code, 'settings ' || settings)
  FROM (VALUES ('{"quote_accepted_wins": "yes"}', '23514'), ('{"quote_accepted_wins": null}', '23514'), ('{"quote_accepted_wins": {}}', '23514'), ('{"quote_accepted_wins": false}', NULL)) AS s (settings, code);
SELECT test.lead('winner', jsonb_build_object('assigned_to', test.id('rep'))), test.lead('unconverted') \g /dev/null
SELECT test.quote('first', 'winner'), test.quote('second', 'winner'), test.draft('loose', 'unconverted') \g /dev/null
UPDATE kvcrm.quotes SET status = 'sent' WHERE id IN (test.id('first'), test.id('second'), test.id('loose'));
SELECT test.patch('manager', test.id('first'), '{"status": "accepted"}', 'kvcrm.quotes') IS NOT NULL;
SELECT is(test.stage_of('winner'), 'Квалифицирован', 'without the setting an accepted quote leaves the lead where it is');
UPDATE kvcrm.organizations SET settings = '{"quote_accepted_wins": true}' WHERE id = test.id('a');
-- Who accepts quotes need not be allowed to move leads.
INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (test.id('a'), 'clerk', 'Clerk', '{quotes:read,quotes:update}');
INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, status) VALUES (test.id('a'), test.id('stranger'), 'clerk', 'active');
SELECT test.patch('stranger', test.id('second'), '{"status": "accepted"}', 'kvcrm.quotes') IS NOT NULL;
SELECT is(test.stage_of('winner'), 'Продан', 'with it, the lead is won');
SELECT is((SELECT jsonb_build_array(status, converted_at IS NULL) FROM kvcrm.leads WHERE id = test.id('winner')), jsonb_build_array('converted', false), 'and stays converted');
SELECT is((SELECT array_agg(concat_ws(' ', g.entity_type, g.action, g.actor_id = test.id('stranger')) ORDER BY g.id) FROM kvcrm.activity_logs g
            WHERE g.created_at = (SELECT decided_at FROM kvcrm.quotes WHERE id = test.id('second'))), ARRAY['quote updated t', 'lead moved t'], 'the log tells both, by whom');
SELECT is((SELECT moved_by FROM kvcrm.lead_stage_history WHERE lead_id = test.id('winner') AND left_at IS NULL), test.id('stranger'), 'so does the history');
UPDATE kvcrm.quotes SET status = 'accepted' WHERE id = test.id('loose');
SELECT is((SELECT jsonb_build_array(test.stage_of('unconverted'), converted_at) FROM kvcrm.leads WHERE id = test.id('unconverted')), jsonb_build_array('Продан', NULL::timestamptz), 'a lead that is not converted is won too');

-- Where the pipeline forbids the move, the acceptance fails with it.
SELECT test.lead('ruled') \g /dev/null
SELECT test.quote('ruled quote', 'ruled') \g /dev/null
UPDATE kvcrm.quotes SET status = 'sent' WHERE id = test.id('ruled quote');
INSERT INTO kvcrm.lead_stage_transitions (organization_id, from_stage_id, to_stage_id) VALUES (test.id('a'), test.stage('a', 1), test.stage('a', 2));
SELECT is((SELECT jsonb_build_array((e).code, (e).message) FROM test.error_of('UPDATE kvcrm.quotes SET status = ''accepted'' WHERE id = test.id(''ruled quote'')') e), jsonb_build_array('23514', 'the pipeline does not allow this move'), 'the move obeys the pipeline');
SELECT is(test.status('ruled quote'), 'sent', 'and so does the acceptance');
DELETE FROM kvcrm.lead_stage_transitions WHERE organization_id = test.id('a');
-- A deleted lead stays where it is.
SELECT test.lead('deleted') \g /dev/null
SELECT test.draft('of deleted', 'deleted') \g /dev/null
SELECT kvcrm.delete_lead(test.id('deleted')) \g /dev/null
UPDATE kvcrm.quotes SET status = 'sent' WHERE id = test.id('of deleted');
UPDATE kvcrm.quotes SET status = 'accepted' WHERE id = test.id('of deleted');
SELECT is(test.stage_of('deleted'), 'Новый лид', 'a deleted lead is not moved');
-- One of another organization follows its own setting.
INSERT INTO kvcrm.quotes (organization_id, lead_id, title, amount, number) VALUES (test.id('b'), test.id('lead_b'), 'x', 1, 'both');
UPDATE kvcrm.quotes SET status = 'sent' WHERE number = 'both' OR id = test.id('ruled quote') AND status <> 'sent';
UPDATE kvcrm.quotes SET status = 'accepted' WHERE number = 'both' OR id = test.id('ruled quote');
SELECT is(test.stage_of('ruled') || ', ' || test.stage_of('lead_b'), 'Продан, Qualified', 'organizations decide for themselves');
-- Without a won stage there is nowhere to go.
UPDATE kvcrm.leads SET stage_id = test.stage('a', 3) WHERE organization_id = test.id('a') AND stage_id = test.stage('a', 4);
UPDATE kvcrm.lead_stages SET outcome = 'open' WHERE id = test.stage('a', 4);
SELECT test.lead('no stage') \g /dev/null
SELECT test.quote('no stage quote', 'no stage') \g /dev/null
UPDATE kvcrm.quotes SET status = 'sent' WHERE id = test.id('no stage quote');
UPDATE kvcrm.quotes SET status = 'accepted' WHERE id = test.id('no stage quote');
SELECT is(test.status('no stage quote') || ', ' || test.stage_of('no stage'), 'accepted, Квалифицирован', 'no won stage, no move');

-- --- conversion and its undo ---

SELECT test.lead('offered', '{"email": "o@offered.ru"}'), test.draft('early', 'offered'), test.draft('earlier', 'offered') \g /dev/null
SELECT is((SELECT count(*) FROM kvcrm.quotes WHERE lead_id = test.id('offered') AND customer_id IS NULL), 2::bigint, 'a lead that is not converted has quotes without customer');
SELECT is((SELECT jsonb_agg(q->>'id' ORDER BY q->>'id') FROM kvcrm.preview_conversion(test.id('offered')) p, LATERAL jsonb_array_elements(p->'quotes') AS t (q) WHERE q->>'customer_id' = p->'customer'->>'id'),
          (SELECT jsonb_agg(id::text ORDER BY id) FROM kvcrm.quotes WHERE lead_id = test.id('offered')), 'a preview tells which quotes would get the customer');
SELECT test.keep('offered customer', (kvcrm.qualify_lead(test.id('offered'))).id) \g /dev/null
SELECT is((SELECT count(*) FROM kvcrm.quotes WHERE customer_id = test.id('offered customer')), 2::bigint, 'the conversion gives them the customer');
SELECT is((SELECT jsonb_agg(changes) FROM kvcrm.activity_logs WHERE entity_id = test.id('early') AND action = 'updated'), jsonb_build_array(jsonb_build_object('customer_id', jsonb_build_object('old', NULL, 'new', test.id('offered customer')))), 'which the log tells');
SELECT is((SELECT array_agg(kind || ':' || title) FROM kvcrm.lead_timeline(test.id('offered')) WHERE kind LIKE 'quote%'), '{quote:earlier,quote:early}', 'and the timeline as the conversion, not as a change of quotes');
SELECT test.quote('late', 'offered', number => 'LATE') \g /dev/null
SELECT is((SELECT jsonb_build_array((e).code, (e).detail) FROM test.error_of('SELECT kvcrm.revert_conversion(test.id(''offered''))') e),
          (SELECT jsonb_build_array('23514', format('In the way: quote %s (LATE) was made at %s.', id, created_at)) FROM kvcrm.quotes WHERE number = 'LATE'), 'a quote made for the new customer stands in the way of removing it');
SELECT kvcrm.delete_quote(test.id('late')) \g /dev/null
UPDATE kvcrm.quotes SET status = 'sent' WHERE id = test.id('early');
SELECT is((kvcrm.revert_conversion(test.id('offered'))).converted_at, NULL, 'quotes that merely got the customer do not');
SELECT is((SELECT count(*) FROM kvcrm.quotes WHERE lead_id = test.id('offered') AND customer_id IS NULL), 2::bigint, 'they lose it again');
SELECT is((SELECT count(*) FROM kvcrm.customers WHERE id = test.id('offered customer')), 0::bigint, 'with the customer gone');
SELECT is(test.status('early'), 'sent', 'and are else what they were');
SELECT is((SELECT (kvcrm.qualify_lead(test.id('offered'), id)).id FROM kvcrm.customers WHERE id = test.id('customer')), test.id('customer'), 'into a customer that was there before');
SELECT test.quote('later', 'offered', number => 'LATER') \g /dev/null
SELECT is((SELECT count(*) FROM kvcrm.quotes WHERE lead_id = test.id('offered') AND customer_id = test.id('customer')), 3::bigint, 'all quotes of the lead are this customer''s');
SELECT kvcrm.revert_conversion(test.id('offered')) \g /dev/null
SELECT is((SELECT count(*) FROM kvcrm.quotes WHERE lead_id = test.id('offered') AND customer_id IS NULL), 3::bigint, 'a customer that stays loses all quotes of the lead');
SELECT is((SELECT jsonb_build_array((e).code, (e).message) FROM test.error_of('UPDATE kvcrm.quotes SET customer_id = test.id(''customer'') WHERE id = test.id(''early'')') e), '["23514", "customer_id never changes"]', 'nobody else gives a quote a customer');

-- --- pages and timelines of the lead ---

SELECT is((SELECT jsonb_agg(q->>'title' ORDER BY n) FROM jsonb_array_elements(test.as_user('rep', 'SELECT kvcrm.lead_page(test.id(''winner''))->''quotes''')::jsonb) WITH ORDINALITY AS t (q, n)), '["second", "first"]', 'lead_page has the quotes, newest first');
SELECT is(test.as_user('rep', 'SELECT array_agg(concat_ws('':'', kind, title, body)) FROM kvcrm.lead_timeline(test.id(''winner'')) WHERE kind LIKE ''quote%''')::text[],
          '{quote_change:second:accepted,quote_change:first:accepted,quote_change:second:sent,quote_change:first:sent,quote:second,quote:first}', 'lead_timeline tells of quotes and their changes');
SELECT is((SELECT details - '{sent_at,decided_at}'::text[] FROM kvcrm.lead_timeline(test.id('winner')) WHERE kind = 'quote' AND title = 'first'),
          (SELECT jsonb_build_object('number', number, 'amount', amount, 'currency', currency, 'status', 'accepted', 'lead_id', lead_id, 'customer_id', customer_id) FROM kvcrm.quotes WHERE id = test.id('first')), 'what a quote tells');
SELECT is((SELECT jsonb_build_array(details #>> '{status,old}', details->>'quote_id', actor_id) FROM kvcrm.lead_timeline(test.id('winner')) WHERE kind = 'quote_change' AND title = 'second' AND body = 'accepted'),
          jsonb_build_array('sent', test.id('second')::text, test.id('stranger')), 'what a change tells');

SELECT * FROM finish();
