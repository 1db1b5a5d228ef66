-- Conversion of a lead into a customer.
-- inconsistent: a lead is merged by hand
\ir include/two_organizations.sql

CREATE FUNCTION test.lead(handle text, fields jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
    SELECT test.keep(handle, l.id) FROM kvcrm.create_lead(coalesce(fields->>'name', handle), fields->>'email', fields->>'phone', fields->>'company', fields->>'position', fields->>'inn',
        fields->>'source', (fields->>'stage_id')::uuid, (fields->>'assigned_to')::uuid, custom_fields => fields->'custom_fields', organization_id => test.id('a')) l $$;
CREATE FUNCTION test.contacts(customer uuid) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_agg(jsonb_strip_nulls(to_jsonb(c) - '{id,organization_id,customer_id,created_at,updated_at}'::text[]) ORDER BY c.is_primary DESC, c.id) FROM kvcrm.customer_contacts c WHERE c.customer_id = customer $$;
CREATE FUNCTION test.identities(customer uuid) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(concat(kind, '=', value), ' ' ORDER BY kind) FROM kvcrm.customer_identities WHERE customer_id = customer $$;
CREATE FUNCTION test.customer_of(lead text) RETURNS uuid LANGUAGE sql AS $$ SELECT l.converted_to_customer_id FROM kvcrm.leads l WHERE l.id = test.id(lead) $$;

-- --- a new customer, field by field ---

SELECT test.lead('full', jsonb_build_object('name', 'Иван Петров', 'email', 'Ivan.Petrov+crm@gmail.com', 'phone', '8 (495) 123-45-67', 'company', 'ООО «Ромашка»', 'position', 'директор',
    'inn', '7707083893', 'source', 'cold_call', 'assigned_to', test.id('rep'), 'custom_fields', '{"budget": 5}'::jsonb));
SELECT kvcrm.log_activity(test.id('full'), 'call', 'Звонок') IS NOT NULL;
CREATE TABLE test.lead_before AS SELECT * FROM kvcrm.leads WHERE id = test.id('full');
CREATE TABLE test.log_before AS SELECT max(id::text)::uuid AS id FROM kvcrm.activity_logs;
SELECT test.keep('customer', test.as_user('rep', 'SELECT c.id FROM kvcrm.qualify_lead(test.id(''full'')) c')::uuid);

SELECT is(c.name, 'Иван Петров', 'name → name') FROM kvcrm.customers c WHERE id = test.id('customer');
SELECT is(c.company, 'ООО «Ромашка»', 'company → company') FROM kvcrm.customers c WHERE id = test.id('customer');
SELECT is(c.inn, '7707083893', 'inn → inn') FROM kvcrm.customers c WHERE id = test.id('customer');
SELECT is(c.email, 'Ivan.Petrov+crm@gmail.com', 'email → email') FROM kvcrm.customers c WHERE id = test.id('customer');
SELECT is(c.phone, '+74951234567', 'phone → phone') FROM kvcrm.customers c WHERE id = test.id('customer');
SELECT is(c.notes, 'Source: Холодный звонок', 'source → notes, by the source''s name') FROM kvcrm.customers c WHERE id = test.id('customer');
SELECT is(c.custom_fields, '{}', 'custom fields that customers don''t have stay with the lead') FROM kvcrm.customers c WHERE id = test.id('customer');
SELECT is(c.owner_user_id, test.id('rep'), 'assigned_to → owner_user_id') FROM kvcrm.customers c WHERE id = test.id('customer');
SELECT is(c.source_lead_id, test.id('full'), 'the customer knows its lead') FROM kvcrm.customers c WHERE id = test.id('customer');
SELECT is(c.created_by, test.id('rep'), 'and who converted it') FROM kvcrm.customers c WHERE id = test.id('customer');
SELECT is(c.organization_id, test.id('a'), 'in the lead''s organization') FROM kvcrm.customers c WHERE id = test.id('customer');
SELECT is(c.deleted_at, NULL, 'and is not deleted') FROM kvcrm.customers c WHERE id = test.id('customer');
SELECT is(test.contacts(test.id('customer')), '[{"name": "Иван Петров", "email": "Ivan.Petrov+crm@gmail.com", "phone": "+74951234567", "position": "директор", "is_primary": true}]',
          'name, email, phone and position → the primary contact');
SELECT is(test.identities(test.id('customer')), 'email=ivanpetrov@gmail.com inn=7707083893 phone=+74951234567', 'the customer owns the normalised identities');

SELECT is(l.converted_to_customer_id, test.id('customer'), 'the lead knows its customer') FROM kvcrm.leads l WHERE id = test.id('full');
SELECT isnt(l.converted_at, NULL, 'and when') FROM kvcrm.leads l WHERE id = test.id('full');
SELECT is(l.qualified_at, l.converted_at, 'qualified_at is set') FROM kvcrm.leads l WHERE id = test.id('full');
SELECT is(l.status, 'converted', 'status is converted') FROM kvcrm.leads l WHERE id = test.id('full');
SELECT is(l.stage_id, test.stage('a', 3), 'the stage is the first qualified one') FROM kvcrm.leads l WHERE id = test.id('full');
SELECT is(l.version, b.version + 1, 'the version rises by one') FROM kvcrm.leads l JOIN test.lead_before b USING (id);
SELECT is(row(l.name, l.email, l.phone, l.company, l."position", l.inn, l.source, l.assigned_to, l.custom_fields, l.created_by, l.created_at, l.deleted_at),
          row(b.name, b.email, b.phone, b.company, b."position", b.inn, b.source, b.assigned_to, b.custom_fields, b.created_by, b.created_at, b.deleted_at), 'the rest of the lead stays') FROM kvcrm.leads l JOIN test.lead_before b USING (id);
SELECT results_eq($$ SELECT stage_id, moved_by, left_at IS NULL FROM kvcrm.lead_stage_history WHERE lead_id = test.id('full') ORDER BY entered_at $$,
    $$ VALUES (test.stage('a', 1), NULL::uuid, false), (test.stage('a', 3), test.id('rep'), true) $$, 'history tells of the move');
SELECT is((SELECT count(*) FROM kvcrm.lead_activities WHERE lead_id = test.id('full')), 1::bigint, 'activities stay on the lead');
SELECT results_eq($$ SELECT entity_type, action, actor_id FROM kvcrm.activity_logs WHERE id > (SELECT id FROM test.log_before) ORDER BY entity_type $$,
    $$ VALUES ('contact', 'created', test.id('rep')), ('customer', 'created', test.id('rep')), ('lead', 'converted', test.id('rep')) $$, 'the log tells of lead, customer and contact');
SELECT is((SELECT row(j.lead_id, j.customer_id, j.contact_id, j.customer_created, j.converted_by, j.reverted_at, j.organization_id) FROM kvcrm.lead_conversions j WHERE j.lead_id = test.id('full')),
          (SELECT row(test.id('full'), test.id('customer'), c.id, true, test.id('rep'), NULL::timestamptz, test.id('a')) FROM kvcrm.customer_contacts c WHERE c.customer_id = test.id('customer')), 'the journal tells what was written');
SELECT is((SELECT j.before_image->>'stage_id' FROM kvcrm.lead_conversions j WHERE j.lead_id = test.id('full'))::uuid, test.stage('a', 1), 'and what was before');

-- --- the second call ---

CREATE TABLE test.before AS SELECT test.everything() AS it;
SELECT is(test.as_user('rep', 'SELECT c.id FROM kvcrm.qualify_lead(test.id(''full'')) c')::uuid, test.id('customer'), 'converting again returns the same customer');
SELECT is((SELECT c.id FROM kvcrm.convert_lead_to_customer(test.id('full')) c), test.id('customer'), 'convert_lead_to_customer too');
SELECT is((SELECT c.id FROM kvcrm.qualify_lead(test.id('full'), on_match => 'create') c), test.id('customer'), 'whatever on_match says');
SELECT is((SELECT c.id FROM kvcrm.qualify_lead(test.id('full'), on_match => 'error') c), test.id('customer'), 'even error');
SELECT is(test.everything(), it, 'and nothing is written: no row of any table') FROM test.before;
SELECT throws_ok($$ INSERT INTO kvcrm.lead_conversions (organization_id, lead_id, customer_id, customer_created, before_image) VALUES (test.id('a'), test.id('full'), test.id('customer'), true, '{}') $$, '23505', NULL, 'the journal holds one conversion per lead');

-- --- little known ---

SELECT test.lead('name only');
SELECT is((SELECT to_jsonb(c) - '{id,created_at,updated_at}'::text[] FROM kvcrm.qualify_lead(test.id('name only')) c),
          jsonb_build_object('organization_id', test.id('a'), 'name', 'name only', 'company', NULL, 'inn', NULL, 'email', NULL, 'phone', NULL, 'notes', NULL, 'custom_fields', '{}'::jsonb, 'owner_user_id', NULL,
                             'source_lead_id', test.id('name only'), 'deleted_at', NULL, 'created_by', NULL), 'a name alone makes a customer, in nobody''s name by the system');
SELECT is(test.contacts(test.customer_of('name only')), '[{"name": "name only", "is_primary": true}]', 'with a contact');
SELECT is(test.identities(test.customer_of('name only')), NULL, 'who is identified by nothing');
SELECT test.lead('name only 2', '{"name": "name only"}');
SELECT isnt((SELECT c.id FROM kvcrm.qualify_lead(test.id('name only 2')) c), test.customer_of('name only'), 'the same name alone is another customer');
SELECT test.lead('odd phone', '{"phone": "12-34", "source": "own_source"}');
SELECT is((SELECT row(c.phone, c.notes) FROM kvcrm.qualify_lead(test.id('odd phone')) c), row('12-34'::text, 'Source: own_source'::text), 'an odd phone and an unlisted source are carried over as they are');
SELECT is(test.identities(test.customer_of('odd phone')), NULL, 'the phone identifies nobody');
SELECT test.lead('odd phone 2', '{"phone": "12-34"}');
SELECT isnt((SELECT c.id FROM kvcrm.qualify_lead(test.id('odd phone 2')) c), test.customer_of('odd phone'), 'and links nobody');

-- --- stages ---

SELECT test.lead('won');
SELECT kvcrm.move_lead(test.id('won'), test.stage('a', 4)) IS NOT NULL;
CREATE TABLE test.won AS SELECT * FROM kvcrm.leads WHERE id = test.id('won');
SELECT kvcrm.qualify_lead(test.id('won')) IS NOT NULL;
SELECT is(row(l.stage_id, l.qualified_at, l.board_rank, l.stage_entered_at), row(w.stage_id, w.qualified_at, w.board_rank, w.stage_entered_at), 'a lead in a qualified stage stays there') FROM kvcrm.leads l JOIN test.won w USING (id);
SELECT test.lead('lost');
SELECT kvcrm.move_lead(test.id('lost'), test.stage('a', 5), lost_reason => 'дорого') IS NOT NULL;
SELECT kvcrm.qualify_lead(test.id('lost')) IS NOT NULL;
SELECT is(row(stage_id, status, lost_reason), row(test.stage('a', 3), 'converted'::text, NULL::text), 'a lost lead that is converted comes back') FROM kvcrm.leads WHERE id = test.id('lost');
SELECT is((SELECT before_image->>'lost_reason' FROM kvcrm.lead_conversions WHERE lead_id = test.id('lost')), 'дорого', 'the journal keeps its lost_reason');
INSERT INTO kvcrm.lead_stage_transitions (organization_id, from_stage_id, to_stage_id) VALUES (test.id('a'), test.stage('a', 1), test.stage('a', 2));
SELECT test.lead('rules');
SELECT lives_ok($$ SELECT kvcrm.qualify_lead(test.id('rules')) $$, 'rules for moves don''t bind a conversion');
DELETE FROM kvcrm.lead_stage_transitions;

-- --- finding the customer ---

SELECT test.lead('same inn', '{"name": "Анна Сидорова", "inn": "7707083893", "company": "Совсем другое", "email": "anna@other.ru", "source": "event"}');
CREATE TABLE test.customer_before AS SELECT * FROM kvcrm.customers WHERE id = test.id('customer');
SELECT is((SELECT c.id FROM kvcrm.qualify_lead(test.id('same inn')) c), test.id('customer'), 'the INN leads to the customer');
SELECT is(to_jsonb(c) - 'updated_at', to_jsonb(b) - 'updated_at', 'what it has is not overwritten') FROM kvcrm.customers c JOIN test.customer_before b USING (id);
SELECT is(jsonb_array_length(test.contacts(test.id('customer'))), 2, 'the person is added as contact');
SELECT is((SELECT count(*) FROM kvcrm.customer_contacts WHERE customer_id = test.id('customer') AND is_primary), 1::bigint, 'one of them stays primary');
SELECT is((SELECT j.customer_created FROM kvcrm.lead_conversions j WHERE j.lead_id = test.id('same inn')), false, 'the journal says that the customer was there');
SELECT is((SELECT count(*) FROM kvcrm.customer_identities WHERE customer_id = test.id('customer') AND value = 'anna@other.ru'), 1::bigint, 'the new e-mail leads to the customer from now on');

SELECT test.lead('colleague', '{"name": "Семён Котов", "phone": "+7 495 123-45-67", "company": "ООО «РОМАШКА»", "email": "semen@romashka.ru"}');
SELECT is((SELECT c.id FROM kvcrm.qualify_lead(test.id('colleague')) c), test.id('customer'), 'the phone leads to the customer if the company reads alike');
SELECT is((SELECT count(*) FROM kvcrm.customer_contacts WHERE customer_id = test.id('customer') AND name = 'Семён Котов'), 1::bigint, 'a colleague at the same switchboard is a contact of their own');
SELECT test.lead('again', '{"name": "Иван Петров", "email": "ivan.petrov+crm@gmail.com", "company": "ООО «Ромашка»"}');
SELECT is((SELECT c.id FROM kvcrm.qualify_lead(test.id('again')) c), test.id('customer'), 'the e-mail leads to the customer if the company reads alike');
SELECT is(jsonb_array_length(test.contacts(test.id('customer'))), 3, 'a person already there is not added twice');
SELECT test.lead('other spelling', '{"name": "Иван Петров", "email": "ivan.petrov@gmail.com", "company": "OOO Romashka"}');
SELECT is((SELECT c.id FROM kvcrm.qualify_lead(test.id('other spelling')) c), test.id('customer'), 'a company in another script and form is compatible');
SELECT test.lead('no company', '{"email": "ivanpetrov@gmail.com"}');
SELECT is((SELECT c.id FROM kvcrm.qualify_lead(test.id('no company')) c), test.id('customer'), 'no company is compatible with any');
SELECT test.lead('other company', '{"email": "ivanpetrov@gmail.com", "company": "ЗАО Гвоздика"}');
SELECT isnt((SELECT c.id FROM kvcrm.qualify_lead(test.id('other company')) c), test.id('customer'), 'the same e-mail with another company is another customer');

SELECT test.keep('blank', (test.post('manager', '{"name": "Пустой", "email": "blank@firma.ru"}', 'kvcrm.customers')->>'id')::uuid);
SELECT test.lead('fills', jsonb_build_object('name', 'Заполнитель', 'email', 'blank@firma.ru', 'phone', '8 499 555 66 77', 'company', 'АО', 'inn', '500100732259', 'source', 'event', 'assigned_to', test.id('rep')));
SELECT is((SELECT to_jsonb(c) - '{id,created_at,updated_at}'::text[] FROM kvcrm.qualify_lead(test.id('fills')) c),
          jsonb_build_object('organization_id', test.id('a'), 'name', 'Пустой', 'company', 'АО', 'inn', '500100732259', 'email', 'blank@firma.ru', 'phone', '+74995556677', 'notes', 'Source: Мероприятие', 'custom_fields', '{}'::jsonb,
                             'owner_user_id', test.id('rep'), 'source_lead_id', NULL, 'deleted_at', NULL, 'created_by', test.id('manager')), 'blank fields of a customer are filled');
SELECT is(test.contacts(test.id('blank')), '[{"name": "Заполнитель", "email": "blank@firma.ru", "phone": "+74995556677", "is_primary": true}]', 'the first contact is primary');
SELECT is(test.identities(test.id('blank')), 'email=blank@firma.ru inn=500100732259 phone=+74995556677', 'what was filled leads to the customer from now on');

-- on_match
SELECT test.lead('error', '{"inn": "500100732259", "email": "free@firma.ru"}');
CREATE TABLE test.before_error AS SELECT test.everything() AS it;
SELECT is((test.error_of($$ SELECT kvcrm.qualify_lead(test.id('error'), on_match => 'error') $$)).code, '23505', 'on_match => error refuses');
SELECT is((test.error_of($$ SELECT kvcrm.qualify_lead(test.id('error'), on_match => 'error') $$)).detail, format('Customer %s.', test.id('blank')), 'and names the customer');
SELECT is(test.everything(), it, 'and writes nothing') FROM test.before_error;
SELECT isnt((SELECT c.id FROM kvcrm.qualify_lead(test.id('error'), on_match => 'create') c), test.id('blank'), 'on_match => create makes another');
SELECT is(test.identities(test.customer_of('error')), 'email=free@firma.ru', 'which owns what is free');
SELECT test.lead('wrong on_match');
SELECT throws_ok($$ SELECT kvcrm.qualify_lead(test.id('wrong on_match'), on_match => 'merge') $$, '22023', NULL, 'on_match must be known');
SELECT lives_ok($$ SELECT kvcrm.qualify_lead(test.id('wrong on_match'), on_match => 'error') $$, 'on_match => error converts where nothing matches');

-- customer_id
SELECT test.lead('named', '{"email": "named@firma.ru", "company": "Любая"}');
SELECT is((SELECT c.id FROM kvcrm.qualify_lead(test.id('named'), test.id('blank')) c), test.id('blank'), 'a named customer is taken');
SELECT is((SELECT count(*) FROM kvcrm.customer_identities WHERE value = 'named@firma.ru' AND customer_id = test.id('blank')), 1::bigint, 'and identified by the lead''s e-mail from now on');
SELECT test.lead('named 2');
SELECT throws_ok(format('SELECT kvcrm.qualify_lead(test.id(''named 2''), %L)', customer), 'PT404', 'customer not found', what || ' customer is not found')
  FROM (VALUES ('an unknown', test.id('unknown')), ('another organization''s', (kvcrm.qualify_lead((kvcrm.create_lead('Other', organization_id => test.id('b'))).id)).id)) AS c (what, customer);
UPDATE kvcrm.customers SET deleted_at = now() WHERE id = test.id('blank');
SELECT is_empty($$ SELECT kind, value FROM kvcrm.customer_identities WHERE customer_id = test.id('blank') $$, 'a deleted customer owns nothing, the lead''s e-mail neither');
SELECT throws_ok($$ SELECT kvcrm.qualify_lead(test.id('named 2'), test.id('blank')) $$, 'PT404', 'customer not found', 'a deleted customer is not found');
SELECT is(converted_at, NULL, 'the lead is not converted') FROM kvcrm.leads WHERE id = test.id('named 2');
SELECT test.lead('after', '{"inn": "500100732259"}');
SELECT isnt((SELECT c.id FROM kvcrm.qualify_lead(test.id('after')) c), test.id('blank'), 'the INN does not lead to a deleted customer');
SELECT test.lead('after 2', '{"inn": "500100732259"}');
SELECT is((SELECT c.id FROM kvcrm.qualify_lead(test.id('after 2')) c), test.customer_of('after'), 'but to the one that has it now');

SELECT is((kvcrm.qualify_lead((kvcrm.create_lead('Other', inn => '7707083893', organization_id => test.id('b'))).id)).organization_id, test.id('b'), 'another organization has customers of its own under the same INN');

-- --- who may ---

SELECT test.lead('own', jsonb_build_object('assigned_to', test.id('rep')));
SELECT test.lead('others', jsonb_build_object('assigned_to', test.id('other_rep')));
INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (test.id('a'), 'viewer', 'Viewer', '{leads:read_all,leads:update}'), (test.id('a'), 'halfway', 'Halfway', '{leads:read_all,leads:convert_own}');
SELECT kvcrm.add_member(test.id('stranger'), 'viewer', organization_id => test.id('a')) IS NOT NULL;
SELECT throws_ok(format('SELECT test.as_user(%L, %L)', who, format('SELECT kvcrm.qualify_lead(test.id(%L))', lead)), code, NULL, format('%s can''t convert %s: %s', coalesce(who, 'nobody'), lead, code))
  FROM (VALUES ('other_rep', 'own', 'PT404'), ('rep', 'others', 'PT404'), ('owner_b', 'own', 'PT404'), ('suspended', 'own', 'PT404'), ('stranger', 'own', '42501'), (NULL, 'own', '42501')) AS c (who, lead, code);
SELECT kvcrm.set_member_role(test.id('stranger'), 'halfway', test.id('a')) IS NOT NULL;
SELECT throws_ok($$ SELECT test.as_user('stranger', 'SELECT kvcrm.qualify_lead(test.id(''own''))') $$, '42501', NULL, 'convert_own does not convert what one only sees');
SELECT throws_ok($$ SELECT test.patch('owner', test.id('own'), '{"converted_at": "2030-01-01"}') $$, '42501', NULL, 'there is no way around the function');
SELECT isnt(test.as_user('rep', 'SELECT c.id FROM kvcrm.qualify_lead(test.id(''own'')) c'), NULL, 'convert_own converts one''s own');
SELECT isnt(test.as_user('manager', 'SELECT c.id FROM kvcrm.convert_lead_to_customer(test.id(''others'')) c'), NULL, 'convert converts everybody''s');
SELECT is((SELECT owner_user_id FROM kvcrm.customers WHERE id = test.customer_of('others')), test.id('other_rep'), 'the owner is the assignee, not who converted');

-- --- refusals ---

SELECT test.lead('deleted');
SELECT kvcrm.delete_lead(test.id('deleted')) IS NOT NULL;
SELECT throws_ok($$ SELECT kvcrm.qualify_lead(test.id('deleted')) $$, '23514', 'the lead is deleted', 'a deleted lead is refused');
SELECT test.lead('merged');
UPDATE kvcrm.leads SET merged_into_id = test.id('named 2') WHERE id = test.id('merged');
SELECT ok((test.error_of($$ SELECT kvcrm.qualify_lead(test.id('merged')) $$)).code IS NOT DISTINCT FROM '23514' OR test.customer_of('named 2') IS NOT NULL, 'a merged lead is refused, or its survivor converted');
SELECT is(converted_at, NULL, 'the merged one itself is not') FROM kvcrm.leads WHERE id = test.id('merged');
SELECT throws_ok($$ SELECT kvcrm.qualify_lead(NULL) $$, '22023', 'lead_id is required', 'lead_id is required');
SELECT throws_ok($$ SELECT kvcrm.convert_lead_to_customer(NULL) $$, '22023', 'lead_id is required', 'convert_lead_to_customer: lead_id is required');
SELECT throws_ok($$ SELECT kvcrm.qualify_lead(test.id('unknown')) $$, 'PT404', 'lead not found', 'an unknown lead is not found');
SELECT throws_ok($$ SELECT kvcrm.qualify_lead(test.id('full'), organization_id => test.id('b')) $$, 'PT404', 'lead not found', 'nor one in another organization');
SELECT throws_ok($$ SELECT test.as_user('owner', 'SELECT * FROM kvcrm.lead_conversions') $$, '42501', NULL, 'the journal is not for clients');

-- A failure half way leaves nothing: a trigger of the host's on the last table written.
SELECT test.lead('half', '{"email": "half@firma.ru"}');
CREATE FUNCTION test.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'half way' USING ERRCODE = 'KVHLF'; END $$;
CREATE TRIGGER fail AFTER INSERT ON kvcrm.customer_contacts FOR EACH ROW EXECUTE FUNCTION test.fail();
CREATE TABLE test.before_half AS SELECT test.everything() AS it;
SELECT throws_ok($$ SELECT kvcrm.qualify_lead(test.id('half')) $$, 'KVHLF', 'half way', 'a failure half way keeps its SQLSTATE');
SELECT is(test.everything(), it, 'and leaves nothing behind') FROM test.before_half;
DROP TRIGGER fail ON kvcrm.customer_contacts;
SELECT lives_ok($$ SELECT kvcrm.qualify_lead(test.id('half')) $$, 'so that the next attempt succeeds');

SELECT is_empty($$ SELECT l.id FROM kvcrm.leads l LEFT JOIN kvcrm.lead_conversions j ON j.lead_id = l.id AND j.reverted_at IS NULL WHERE (l.converted_at IS NULL) <> (j.id IS NULL) OR l.converted_to_customer_id <> j.customer_id $$, 'in the end leads and journal agree');
SELECT is_empty($$ SELECT c.id FROM kvcrm.customers c WHERE c.source_lead_id IS NOT NULL AND (SELECT count(*) FROM kvcrm.customer_contacts p WHERE p.customer_id = c.id AND p.is_primary) <> 1 $$, 'and every customer has one primary contact');
-- --- a second look ---

SELECT test.lead('first look', '{"name": "Вахтанг Гогоберидзе", "email": "v.gogoberidze@kolibri-trade.ru", "phone": "+7 495 333-11-22", "company": "ООО «Колибри»"}');
SELECT test.keep('gogoberidze', id) FROM kvcrm.qualify_lead(test.id('first look'));
SELECT test.lead('second look', '{"name": "Gogoberidze Vakhtang", "email": "v.gogoberidze@kolibri-trade.com", "phone": "+7 495 333-11-25", "company": "Kolibri LLC"}');
SELECT is((SELECT c.id FROM kvcrm.qualify_lead(test.id('second look')) c), test.id('gogoberidze'), 'a lead that most likely is a customer''s, though e-mail and phone differ, is linked');
SELECT test.lead('colleague look', '{"name": "Марина Пчёлкина", "company": "ООО «Колибри»"}');
SELECT isnt((SELECT c.id FROM kvcrm.qualify_lead(test.id('colleague look')) c), test.id('gogoberidze'), 'a colleague is not taken for them');
SELECT test.lead('third look', '{"name": "Вахтанг Гогоберидзе", "email": "v.gogoberidze@kolibri-trade.net", "company": "Колибри"}');
SELECT isnt((SELECT c.id FROM kvcrm.qualify_lead(test.id('third look'), on_match => 'create') c), test.id('gogoberidze'), 'nor looked for when a new customer is asked for');

SELECT * FROM finish();
