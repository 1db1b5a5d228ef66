-- Erasure: personal data goes for good, the skeleton stays.
\ir include/two_organizations.sql

CREATE FUNCTION test.detail(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE code text; message text; detail text;
BEGIN
    EXECUTE statement;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' | ', code, message, nullif(detail, ''));
END
$$;
-- In which tables of kvcrm a text still stands, in whatever column.
CREATE FUNCTION test.tables_with(needle text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    name text;
    found boolean;
    tables text[] := '{}';
BEGIN
    FOR name IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'kvcrm'::regnamespace AND c.relkind = 'r' ORDER BY 1 LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM kvcrm.%I t WHERE t::text ILIKE %L)', name, '%' || needle || '%') INTO found;
        IF found THEN
            tables := tables || name;
        END IF;
    END LOOP;
    RETURN tables;
END
$$;

SELECT test.keep('lead', id) FROM kvcrm.create_lead('Zebulon Quagga', 'zebulon@quagga.example', '+7 495 987-65-43', 'Quagga Ltd', 'Zookeeper', '7707083893', 'event', assigned_to => test.id('rep'),
    estimated_value => 500, custom_fields => '{"pet": "quagga"}', organization_id => test.id('a'));
SELECT test.keep('twin', id) FROM kvcrm.create_lead('Zebulon Quagga', 'zebulon+2@quagga.example', organization_id => test.id('a'));
UPDATE kvcrm.leads SET email = 'z.quagga@other.example' WHERE id = test.id('lead');
SELECT test.keep('activity', id) FROM kvcrm.log_activity(test.id('lead'), 'call', 'Called Quagga', 'Quagga wants a zoo');
SELECT test.keep('gone', id) FROM kvcrm.log_activity(test.id('lead'), 'note', 'Quagga note');
UPDATE kvcrm.lead_activities SET title = 'Quagga edited' WHERE id = test.id('gone');
SELECT kvcrm.delete_activity(test.id('gone')) IS NOT NULL;
SELECT kvcrm.move_lead(test.id('lead'), test.stage('a', 5), lost_reason => 'Quagga has no money') IS NOT NULL;
INSERT INTO kvcrm.duplicate_pairs (organization_id, lead_id, other_lead_id, probability, explanation)
SELECT test.id('a'), least(test.id('lead'), test.id('twin')), greatest(test.id('lead'), test.id('twin')), 0.99, '{"name": "quagga"}' ON CONFLICT DO NOTHING;
SELECT kvcrm.delete_lead(test.id('twin')) IS NOT NULL;
CREATE TABLE test.counts AS
SELECT (SELECT count(*) FROM kvcrm.activity_logs) AS log, (SELECT count(*) FROM kvcrm.lead_stage_history WHERE lead_id = test.id('lead')) AS history, (SELECT to_jsonb(l) FROM kvcrm.leads l WHERE id = test.id('lead')) AS lead;

SELECT is(test.detail($$ SELECT test.as_user('manager', 'SELECT kvcrm.erase_lead(test.id(''lead''))') $$), '42501 | permission leads:erase is required', 'a manager may not erase');
SELECT throws_ok($$ SELECT test.as_user('rep_b', 'SELECT kvcrm.erase_lead(test.id(''lead''))') $$, 'PT404', NULL, 'another organization''s lead is not found');
SELECT throws_ok($$ SELECT test.as_user('manager', 'SELECT kvcrm.set_legal_hold(test.id(''lead''))') $$, '42501', NULL, 'who may not erase may not set a legal hold');
SELECT lives_ok($$ SELECT test.as_user('admin', 'SELECT kvcrm.set_legal_hold(test.id(''lead''))') $$, 'an admin may');
SELECT is(test.detail($$ SELECT test.as_user('admin', 'SELECT kvcrm.erase_lead(test.id(''lead''))') $$), '23514 | the lead is under a legal hold | Lead ' || test.id('lead') || ' must be kept.', 'a lead under a legal hold stays');
SELECT throws_ok($$ SELECT test.as_user('manager', 'SELECT kvcrm.set_legal_hold(test.id(''lead''), false)') $$, '42501', NULL, 'a manager can''t lift it');
SELECT test.as_user('admin', 'SELECT kvcrm.set_legal_hold(test.id(''lead''), false)') IS NOT NULL;
SELECT is((SELECT legal_hold FROM kvcrm.leads WHERE id = test.id('lead')), NULL, 'an admin lifts it');

SELECT lives_ok($$ SELECT test.as_user('admin', 'SELECT kvcrm.erase_lead(test.id(''lead''))') $$, 'an admin erases');
SELECT kvcrm.erase_lead(test.id('twin')) IS NOT NULL;
SELECT is(test.tables_with('quagga'), '{}', 'nothing of the person is left in any table');
SELECT is(test.tables_with('9876543'), '{}', 'nor the phone');
SELECT is(test.tables_with('7707083893'), '{}', 'nor the INN');
SELECT is((SELECT row(l.stage_id, l.status, l.source, l.assigned_to, l.estimated_value, l.created_at, l.stage_entered_at) FROM kvcrm.leads l WHERE id = test.id('lead')),
          (SELECT row(test.stage('a', 5), 'lost'::text, 'event'::text, test.id('rep'), 500.00, (lead->>'created_at')::timestamptz, (lead->>'stage_entered_at')::timestamptz) FROM test.counts), 'the skeleton stays');
SELECT is((SELECT row(name, erased_at IS NOT NULL, deleted_at IS NOT NULL) FROM kvcrm.leads WHERE id = test.id('lead')), row('Erased'::text, true, true), 'it says that it was erased');
SELECT is((SELECT count(*) FROM kvcrm.lead_stage_history WHERE lead_id = test.id('lead')), history, 'so do its stays') FROM test.counts;
SELECT is((SELECT row(type, title, description) FROM kvcrm.lead_activities WHERE id = test.id('activity')), row('call'::text, 'Erased'::text, NULL::text), 'an activity keeps its kind and times');
SELECT is((SELECT array_agg(action ORDER BY id) FROM kvcrm.activity_logs WHERE entity_id = test.id('lead')), '{created,updated,moved,updated,updated,erased}', 'the log keeps what was done');
SELECT is((SELECT changes->'email' FROM kvcrm.activity_logs WHERE entity_id = test.id('lead') AND action = 'created'), '{"old": null, "new": null}', 'but not the values');
SELECT is((SELECT count(*) FROM kvcrm.activity_logs WHERE entity_id = test.id('gone')), 3::bigint, 'of a deleted activity too');
SELECT is((SELECT count(*) FROM kvcrm.duplicate_pairs), 0::bigint, 'its pairs are gone');

SELECT is(test.detail($$ SELECT kvcrm.restore_lead(test.id('lead')) $$), '23514 | the lead was erased', 'there is no way back');
SELECT throws_ok($$ UPDATE kvcrm.leads SET deleted_at = NULL WHERE id = test.id('lead') $$, '23514', 'the lead was erased', 'not by hand either');
SELECT throws_ok($$ UPDATE kvcrm.leads SET erased_at = NULL WHERE id = test.id('lead') $$, '23514', 'the lead was erased', 'nor by taking the mark away');
SELECT throws_ok($$ SELECT kvcrm.set_legal_hold(test.id('lead')) $$, '23514', 'the lead was erased', 'a legal hold comes too late');
SELECT throws_ok($$ INSERT INTO kvcrm.lead_activities (organization_id, lead_id, type, title) VALUES (test.id('a'), test.id('lead'), 'note', 'Quagga is back') $$, '23514', 'the lead was erased', 'no activity is written for it');
SELECT throws_ok($$ UPDATE kvcrm.lead_activities SET description = 'Quagga wants a zoo' WHERE id = test.id('activity') $$, '23514', 'the lead was erased', 'nor is the text of one changed');
SELECT lives_ok($$ UPDATE kvcrm.lead_activities SET completed_at = now() WHERE id = test.id('activity') $$, 'though it can be completed');
CREATE TABLE test.erased AS SELECT * FROM kvcrm.leads WHERE id = test.id('lead');
SELECT is((SELECT erased_at FROM kvcrm.erase_lead(test.id('lead'))), (SELECT erased_at FROM test.erased), 'erasing twice changes nothing');
SELECT is((SELECT version FROM kvcrm.leads WHERE id = test.id('lead')), version, 'not even the version') FROM test.erased;

-- --- converted leads ---

SELECT test.keep('converted', id) FROM kvcrm.create_lead('Okapi Person', 'person@okapi.example', company => 'Okapi', organization_id => test.id('a'));
SELECT test.keep('customer', id) FROM kvcrm.qualify_lead(test.id('converted'));
SELECT lives_ok($$ SELECT kvcrm.erase_lead(test.id('converted')) $$, 'a converted lead can be erased');
SELECT is((SELECT row(converted_to_customer_id, status) FROM kvcrm.leads WHERE id = test.id('converted')), row(test.id('customer'), 'converted'::text), 'that it was converted stays known');
SELECT is((SELECT name FROM kvcrm.customers WHERE id = test.id('customer')), 'Okapi Person', 'the customer is a record of its own');
SELECT throws_ok($$ SELECT kvcrm.revert_conversion(test.id('converted')) $$, '23514', NULL, 'and the conversion stands');
SELECT is_empty($$ SELECT FROM kvcrm.lead_fingerprints WHERE id = test.id('converted') AND search_text LIKE '%okapi%' $$, 'search does not find it');

-- What was the lead's between a merge and its undo is another lead's.
SELECT test.keep('kept', l.id) FROM kvcrm.create_lead('Kept', organization_id => test.id('a')) l;
SELECT test.keep('lost', l.id) FROM kvcrm.create_lead('Lost', organization_id => test.id('a')) l;
SELECT test.keep('moved', a.id) FROM kvcrm.log_activity(test.id('lost'), 'note', 'Came and went') a;
SELECT kvcrm.merge_leads(test.id('kept'), ARRAY[test.id('lost')]) IS NOT NULL;
SELECT count(*) FROM kvcrm.lead_merges m, LATERAL kvcrm.undo_merge(m.id) WHERE m.survivor_id = test.id('kept');
SELECT kvcrm.erase_lead(test.id('kept')) IS NOT NULL;
SELECT is((SELECT changes #>> '{title,new}' FROM kvcrm.activity_logs WHERE entity_id = test.id('moved') AND action = 'created'), 'Came and went', 'an activity that came and went with a merge keeps its log');

-- --- what merges and conversions that were taken back left behind ---

CREATE TABLE test.host (lead_id uuid, organization_id uuid, note text, FOREIGN KEY (lead_id, organization_id) REFERENCES kvcrm.leads (id, organization_id));
SELECT test.keep('wildebeest', l.id) FROM kvcrm.create_lead('Wildebeest Person', 'person@wildebeest.example', company => 'Wildebeest', organization_id => test.id('a')) l;
SELECT test.keep('wildebeest2', l.id) FROM kvcrm.create_lead('Wildebeest Two', organization_id => test.id('a')) l;
INSERT INTO test.host VALUES (test.id('wildebeest2'), test.id('a'), 'Wildebeest of the host');
SELECT kvcrm.qualify_lead(test.id('wildebeest')) IS NOT NULL;
SELECT kvcrm.revert_conversion(test.id('wildebeest')) IS NOT NULL;
SELECT kvcrm.merge_leads(test.id('wildebeest'), ARRAY[test.id('wildebeest2')]) IS NOT NULL;
SELECT kvcrm.erase_lead(test.id('wildebeest')) IS NOT NULL;
SELECT is(test.tables_with('wildebeest'), '{}', 'neither the log of a customer that is gone nor the journal of rows that moved tells of the person');

-- What is written of it later tells nothing either.
WITH s AS (INSERT INTO kvcrm.lead_stages (organization_id, name, order_index) VALUES (test.id('a'), 'Gone soon', 90) RETURNING id) SELECT test.keep('gone soon', id) FROM s;
SELECT test.keep('yak', l.id) FROM kvcrm.create_lead('Yak', stage_id => test.id('gone soon'), organization_id => test.id('a')) l;
SELECT kvcrm.erase_lead(test.id('yak')) IS NOT NULL;
SELECT kvcrm.delete_stage(test.id('gone soon'), test.stage('a', 5)) IS NOT NULL;
SELECT is((SELECT row(stage_id, lost_reason) FROM kvcrm.leads WHERE id = test.id('yak')), row(test.stage('a', 5), 'Erased'::text), 'an erased lead whose stage is deleted has the lost_reason of those that were erased');

-- Exports: what was searched for, when it finds the lead or did.
SELECT test.keep('wildebeest_o', id) FROM kvcrm.create_lead('Zorilla Frabjous', 'zorilla@frabjous.example', custom_fields => '{"pet": "zorilla"}', organization_id => test.id('a')) \g /dev/null
UPDATE kvcrm.leads SET name = 'Zorillas Frabjous', email = 'o@plugh.example' WHERE id = test.id('wildebeest_o');
SELECT count(*) FROM (VALUES ('FRABJOUS', NULL), ('zorilla@frabjous', NULL), ('оказия', NULL), (NULL, '{"pet": "zorilla"}'), (NULL, '{"pet": "cat"}')) AS f (words, fields),
    LATERAL kvcrm.leads_export(query => words, custom_fields => fields::jsonb, organization_id => test.id('a')) \g /dev/null
SELECT (kvcrm.erase_lead(test.id('wildebeest_o'))).erased_at IS NOT NULL \g /dev/null
SELECT is(test.tables_with('frabjous') || test.tables_with('zorilla'), '{}', 'the log of exports does not tell whom they looked for');
SELECT is((SELECT array_agg(changes #> '{filters,new}' ORDER BY id) FROM kvcrm.activity_logs WHERE entity_type = 'export' AND organization_id = test.id('a')),
    '{"{\"query\": \"Erased\"}","{\"query\": \"Erased\"}","{\"query\": \"оказия\"}","{}","{\"custom_fields\": {\"pet\": \"cat\"}}"}'::jsonb[], 'others stay');
SELECT * FROM finish();
