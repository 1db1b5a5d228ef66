-- Conversions looked at before they happen and taken back; what a conversion requires.
\ir include/two_organizations.sql

CREATE FUNCTION test.lead(handle text, fields jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
    SELECT test.keep(handle, l.id) FROM kvcrm.create_lead(coalesce(fields->>'name', handle), fields->>'email', fields->>'phone', fields->>'company', fields->>'position', fields->>'inn',
        fields->>'source', (fields->>'stage_id')::uuid, (fields->>'assigned_to')::uuid, custom_fields => fields->'custom_fields', organization_id => test.id('a')) l $$;
-- A lead, without what rises with every change.
CREATE FUNCTION test.lead_row(handle text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT to_jsonb(l) - '{version,updated_at,stage_entered_at}'::text[] FROM kvcrm.leads l WHERE l.id = test.id(handle) $$;
CREATE FUNCTION test.customers() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM kvcrm.customers $$;
-- Everything about customers, without times.
CREATE FUNCTION test.customer_side() RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object(
        'customers', (SELECT jsonb_agg(to_jsonb(c) - 'updated_at' ORDER BY id) FROM kvcrm.customers c),
        'contacts', (SELECT jsonb_agg(to_jsonb(c) ORDER BY id) FROM kvcrm.customer_contacts c),
        'identities', (SELECT jsonb_agg(concat_ws(' ', customer_id, kind, value) ORDER BY kind, value) FROM kvcrm.customer_identities)) $$;

-- --- preview ---

SELECT test.lead('new', '{"name": "Иван Петров", "email": "Ivan@firma.ru", "phone": "8 495 123-45-67", "company": "ООО «Фирма»", "inn": "7707083893", "source": "event"}');
CREATE TABLE test.before AS SELECT test.everything() AS it;
CREATE TABLE test.previews AS SELECT kvcrm.preview_conversion(test.id('new')) AS it;
SELECT is(test.everything(), b.it, 'a preview writes nothing, no row of any table') FROM test.before b;
SELECT is(it->'customer_created', 'true', 'it tells that the customer would be new') FROM test.previews;
SELECT is(it->'already_converted', 'false', 'and that the lead is not converted yet') FROM test.previews;
SELECT is((it->'customer') - '{id,created_at,updated_at}'::text[], jsonb_build_object('organization_id', test.id('a'), 'name', 'Иван Петров', 'company', 'ООО «Фирма»', 'inn', '7707083893', 'email', 'Ivan@firma.ru',
          'phone', '+74951234567', 'notes', 'Source: Мероприятие', 'custom_fields', '{}'::jsonb, 'owner_user_id', NULL, 'source_lead_id', test.id('new'), 'deleted_at', NULL, 'created_by', NULL), 'the customer as it would be') FROM test.previews;
SELECT is(it->'contact'->>'name', 'Иван Петров', 'its contact') FROM test.previews;
SELECT is(it->'lead'->>'status', 'converted', 'the lead') FROM test.previews;
SELECT is(it->>'stage', 'Квалифицирован', 'and its stage') FROM test.previews;
SELECT is((SELECT c.name FROM kvcrm.qualify_lead(test.id('new')) c), it->'customer'->>'name', 'the conversion does the same') FROM test.previews;
SELECT test.keep('customer', converted_to_customer_id) FROM kvcrm.leads WHERE id = test.id('new');
UPDATE kvcrm.customers SET phone = NULL WHERE id = test.id('customer');
SELECT test.lead('second', '{"name": "Анна Сидорова", "email": "anna@firma.ru", "phone": "+7 499 222-33-44", "company": "Фирма", "inn": "7707083893"}');
SELECT is(jsonb_build_array(p->'customer'->'id', p->'customer_created', p->'filled'), jsonb_build_array(test.id('customer'), false, '{"phone": "+74992223344"}'::jsonb),
          'a preview finds the existing customer, and tells which blank fields would be filled') FROM kvcrm.preview_conversion(test.id('second')) AS p;
SELECT is((kvcrm.preview_conversion(test.id('second'), on_match => 'create'))->'customer_created', 'true', 'on_match is obeyed');
SELECT throws_ok($$ SELECT kvcrm.preview_conversion(test.id('second'), on_match => 'error') $$, '23505', 'a customer with the same INN, e-mail or phone exists', 'errors are those of the conversion');
SELECT is((kvcrm.preview_conversion(test.id('new')))->'already_converted', 'true', 'a lead that is converted');
SELECT throws_ok($$ SELECT test.as_user('rep', 'SELECT kvcrm.preview_conversion(test.id(''second''))') $$, 'PT404', NULL, 'a lead one doesn''t see');
UPDATE kvcrm.leads SET assigned_to = test.id('rep') WHERE id = test.id('second');
UPDATE kvcrm.roles SET permissions = array_remove(permissions, 'customers:read') WHERE slug = 'sales_team' AND organization_id = test.id('a');
SELECT is(test.as_user('rep', 'SELECT kvcrm.preview_conversion(test.id(''second''))->''customer''')::jsonb, jsonb_build_object('id', test.id('customer')), 'who may not read customers sees only the id of one that was there');
SELECT is(test.as_user('rep', 'SELECT kvcrm.preview_conversion(test.id(''second''))->''filled'''), '{}', 'and not which of its fields are blank');

-- --- undo: a customer of its own ---

SELECT test.lead('own', jsonb_build_object('name', 'Своя', 'email', 'own@svoya.ru', 'company', 'Своя', 'stage_id', test.stage('a', 2), 'assigned_to', test.id('rep')));
CREATE TABLE test.own AS SELECT test.lead_row('own') AS lead, test.customer_side() AS customers;
SELECT lives_ok($$ SELECT test.as_user('rep', 'SELECT kvcrm.qualify_lead(test.id(''own''))') $$, 'a rep converts');
SELECT is(test.as_user('rep', 'SELECT l.status FROM kvcrm.revert_conversion(test.id(''own'')) l'), 'contacted', 'and takes it back');
SELECT is(test.lead_row('own'), lead, 'the lead is as it was') FROM test.own;
SELECT is(test.customer_side(), customers, 'and so are customers, contacts and identities') FROM test.own;
SELECT is((SELECT array_agg(action ORDER BY id) FROM kvcrm.activity_logs WHERE entity_id = test.id('own')), '{created,converted,reverted}', 'the log tells');
SELECT is((SELECT row(reverted_at IS NOT NULL, reverted_by) FROM kvcrm.lead_conversions WHERE lead_id = test.id('own')), row(true, test.id('rep')), 'and the ledger');
SELECT throws_ok($$ SELECT kvcrm.revert_conversion(test.id('own')) $$, '23514', 'the lead is not converted', 'twice is once too often');
SELECT lives_ok($$ SELECT kvcrm.qualify_lead(test.id('own')) $$, 'it can be converted again');
SELECT lives_ok($$ SELECT kvcrm.revert_conversion(test.id('own')) $$, 'and reverted again');

-- --- undo: what stands in the way ---

SELECT test.keep('own customer', id) FROM kvcrm.qualify_lead(test.id('own'));
UPDATE kvcrm.customers SET notes = 'важный' WHERE id = test.id('own customer');
CREATE TABLE test.blocked AS SELECT test.everything() AS it;
SELECT throws_like($$ SELECT kvcrm.revert_conversion(test.id('own')) $$, '%has been used since%', 'a customer that was changed since stands in the way');
CREATE FUNCTION test.detail(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE code text; detail text;
BEGIN
    EXECUTE statement;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL;
    RETURN code || ' ' || detail;
END
$$;
SELECT matches(test.detail($$ SELECT kvcrm.revert_conversion(test.id('own')) $$), '^23514 In the way: customer ' || test.id('own customer') || ' was updated at .*\.$', 'and is named');
SELECT is(test.everything(), it, 'nothing changed') FROM test.blocked;
SELECT test.lead('third', '{"name": "Третья", "email": "third@third.ru", "company": "Третья"}');
SELECT test.keep('third customer', id) FROM kvcrm.qualify_lead(test.id('third'));
SELECT test.lead('fourth', '{"name": "Её коллега", "email": "other@third.ru", "company": "Третья"}');
SELECT kvcrm.qualify_lead(test.id('fourth'), test.id('third customer')) IS NOT NULL;
INSERT INTO kvcrm.customer_contacts (organization_id, customer_id, name) VALUES (test.id('a'), test.id('third customer'), 'Ещё один');
SELECT matches(test.detail($$ SELECT kvcrm.revert_conversion(test.id('third')) $$), 'contact [-0-9a-f]+ was added at .*; contact [-0-9a-f]+ was added at .*; lead ' || test.id('fourth') || ' was converted into the same customer', 'each row is named');

-- --- undo: a linked customer ---

UPDATE kvcrm.customers SET phone = NULL, company = NULL WHERE id = test.id('customer');
CREATE TABLE test.linked AS SELECT test.lead_row('second') AS lead, test.customer_side() AS customers;
SELECT is((SELECT c.id FROM kvcrm.qualify_lead(test.id('second')) c), test.id('customer'), 'a lead is linked');
SELECT is((SELECT row(phone, company) FROM kvcrm.customers WHERE id = test.id('customer')), row('+74992223344'::text, 'Фирма'::text), 'and fills blanks');
SELECT lives_ok($$ SELECT kvcrm.revert_conversion(test.id('second')) $$, 'it is reverted');
SELECT is(test.lead_row('second'), lead, 'the lead is as it was') FROM test.linked;
SELECT is(test.customer_side(), customers, 'the customer has its blanks back, contact and identities are gone') FROM test.linked;
SELECT kvcrm.qualify_lead(test.id('second')) IS NOT NULL;
UPDATE kvcrm.customers SET phone = '+7 495 000-11-22' WHERE id = test.id('customer');
SELECT lives_ok($$ SELECT kvcrm.revert_conversion(test.id('second')) $$, 'a filled field that was changed since is no obstacle');
SELECT is((SELECT row(phone, company) FROM kvcrm.customers WHERE id = test.id('customer')), row('+74950001122'::text, NULL::text), 'it keeps its new value');
SELECT kvcrm.qualify_lead(test.id('second')) IS NOT NULL;
UPDATE kvcrm.customer_contacts SET "position" = 'директор' WHERE name = 'Анна Сидорова';
SELECT throws_ok($$ SELECT kvcrm.revert_conversion(test.id('second')) $$, '23514', 'the contact that the conversion made has been used since', 'a contact that was changed since is');
SELECT test.lead('named', '{"name": "Пётр", "email": "petr@petr.ru", "company": "Пётр"}');
SELECT kvcrm.qualify_lead(test.id('named'), test.id('customer')) IS NOT NULL;
SELECT is((SELECT customer_id FROM kvcrm.customer_identities WHERE value = 'petr@petr.ru'), test.id('customer'), 'a named customer owns the lead''s identities');
SELECT kvcrm.revert_conversion(test.id('named')) IS NOT NULL;
SELECT is((SELECT count(*) FROM kvcrm.customer_identities WHERE value = 'petr@petr.ru'), 0::bigint, 'until it is reverted');

-- --- undo: who, and the rules of leads ---

SELECT test.lead('other', jsonb_build_object('company', 'Другая', 'email', 'x@other.ru', 'assigned_to', test.id('other_rep')));
SELECT kvcrm.qualify_lead(test.id('other')) IS NOT NULL;
SELECT throws_ok($$ SELECT test.as_user('rep', 'SELECT kvcrm.revert_conversion(test.id(''other''))') $$, 'PT404', NULL, 'another''s lead is not found');
UPDATE kvcrm.roles SET permissions = permissions || '{leads:read_all}' WHERE slug = 'sales_team' AND organization_id = test.id('a');
SELECT throws_ok($$ SELECT test.as_user('rep', 'SELECT kvcrm.revert_conversion(test.id(''other''))') $$, '42501', NULL, 'reverting needs what converting needed');
UPDATE kvcrm.organizations SET duplicate_policy = 'block' WHERE id = test.id('a');
SELECT test.lead('twin', '{"email": "x@other.ru"}');
SELECT throws_ok($$ SELECT kvcrm.revert_conversion(test.id('other')) $$, '23505', NULL, 'an e-mail that is taken meanwhile stands in the way under block');
UPDATE kvcrm.organizations SET duplicate_policy = 'warn' WHERE id = test.id('a');
SELECT test.keep('stage', (test.post('admin', '{"name": "На время", "order_index": 9}', 'kvcrm.lead_stages')->>'id')::uuid);
SELECT test.lead('staged', jsonb_build_object('company', 'S', 'stage_id', test.id('stage')));
SELECT kvcrm.qualify_lead(test.id('staged')) IS NOT NULL;
DELETE FROM kvcrm.lead_stages WHERE id = test.id('stage');
SELECT is((SELECT stage_id FROM kvcrm.revert_conversion(test.id('staged'))), test.stage('a', 1), 'a stage that was deleted meanwhile is replaced by the first open one');
SELECT test.lead('was lost', '{"company": "L"}');
SELECT kvcrm.move_lead(test.id('was lost'), test.stage('a', 5), lost_reason => 'дорого') IS NOT NULL;
SELECT kvcrm.qualify_lead(test.id('was lost')) IS NOT NULL;
SELECT is((SELECT row(status, lost_reason) FROM kvcrm.revert_conversion(test.id('was lost'))), row('lost'::text, 'дорого'::text), 'a lost lead is lost again, for its reason');

-- --- contacts ---

SELECT test.lead('host', '{"name": "Олег Львов", "email": "Oleg.Lvov@gmail.com", "phone": "+7 495 777-66-55", "company": "Львов и Ко", "inn": "500100732259"}');
SELECT test.keep('contacts', id) FROM kvcrm.qualify_lead(test.id('host'));
CREATE FUNCTION test.added(fields jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    before bigint := (SELECT count(*) FROM kvcrm.customer_contacts);
    lead uuid;
BEGIN
    SELECT id INTO lead FROM kvcrm.create_lead(fields->>'name', fields->>'email', fields->>'phone', organization_id => test.id('a'));
    PERFORM kvcrm.qualify_lead(lead, test.id('contacts'));
    RETURN (SELECT count(*) FROM kvcrm.customer_contacts) - before;
END
$$;
SELECT is(test.added('{"name": "О. Львов", "email": "oleglvov+x@googlemail.com"}'), 0::bigint, 'the same mailbox is the same person');
SELECT is(test.added('{"name": "Oleg Lvov", "phone": "8 (495) 777-66-55"}'), 0::bigint, 'the same phone with a name that fits too');
SELECT is(test.added('{"name": "Марина Белова", "phone": "8 (495) 777-66-55"}'), 1::bigint, 'a colleague at the switchboard is not');
SELECT is(test.added('{"name": "Львов Олег", "email": null}'), 0::bigint, 'the same name without another e-mail is');
SELECT is(test.added('{"name": "Львов Олег", "email": "namesake@lvov.ru"}'), 1::bigint, 'a namesake with an e-mail of their own is not');

-- --- what a conversion requires ---

UPDATE kvcrm.organizations SET settings = '{}' WHERE id = test.id('a');
SELECT test.lead('bare');
SELECT throws_ok($$ SELECT kvcrm.qualify_lead(test.id('bare')) $$, '23514', 'the conversion requires fields that are empty', 'a name alone is not enough');
SELECT is(test.detail($$ SELECT kvcrm.qualify_lead(test.id('bare')) $$), '23514 Empty: company or email or phone.', 'what is missing is named');
SELECT throws_ok($$ SELECT kvcrm.preview_conversion(test.id('bare')) $$, '23514', NULL, 'in a preview too');
SELECT is((SELECT row(ok, error_code) FROM kvcrm.bulk_qualify(ARRAY[test.id('bare')])), row(false, '23514'::text), 'and in bulk');
SELECT test.lead('phone only', '{"phone": "12-34"}');
SELECT lives_ok($$ SELECT kvcrm.qualify_lead(test.id('phone only')) $$, 'a phone is enough, even one that can''t be understood');
UPDATE kvcrm.organizations SET settings = '{"conversion_required": ["inn", "position", "custom_fields.budget", "email|phone"]}' WHERE id = test.id('a');
SELECT is(test.detail($$ SELECT kvcrm.qualify_lead(test.id('bare')) $$), '23514 Empty: inn, position, custom_fields.budget, email or phone.', 'the organization''s own list, all at once');
UPDATE kvcrm.leads SET inn = '7707083893', "position" = 'x', custom_fields = '{"budget": 5}', phone = '1' WHERE id = test.id('bare');
SELECT lives_ok($$ SELECT kvcrm.qualify_lead(test.id('bare')) $$, 'filled in, it converts');
SELECT throws_ok(format('UPDATE kvcrm.organizations SET settings = %L WHERE id = test.id(''a'')', bad), '23514', 'setting conversion_required is not a list of lead fields', 'refused: ' || bad)
  FROM unnest(ARRAY['{"conversion_required": "name"}', '{"conversion_required": [1]}', '{"conversion_required": ["nome"]}', '{"conversion_required": ["name|"]}', '{"conversion_required": ["custom_fields."]}', '{"conversion_required": {"a": 1}}',
                    '{"conversion_required": null}', '{"conversion_required": [null]}']) AS bad;

-- --- undo into a stage that has become another one ---

UPDATE kvcrm.organizations SET settings = '{}' WHERE id = test.id('a');
WITH s AS (INSERT INTO kvcrm.lead_stages (organization_id, name, order_index) SELECT test.id('a'), n, 90 FROM unnest(ARRAY['becomes qualified', 'becomes lost']) AS n RETURNING id, name) SELECT test.keep(name, id) FROM s \g /dev/null
SELECT test.keep(v.stage || ' lead', l.id) FROM (VALUES ('becomes qualified'), ('becomes lost')) AS v (stage), LATERAL kvcrm.create_lead('Лид', stage_id => test.id(v.stage), company => v.stage, organization_id => test.id('a')) AS l \g /dev/null
SELECT kvcrm.qualify_lead(test.id(stage || ' lead')) FROM unnest(ARRAY['becomes qualified', 'becomes lost']) AS stage \g /dev/null
UPDATE kvcrm.lead_stages SET is_qualified = true WHERE id = test.id('becomes qualified');
UPDATE kvcrm.lead_stages SET outcome = 'lost' WHERE id = test.id('becomes lost');
SELECT kvcrm.move_lead(test.id('becomes qualified lead'), test.id('becomes qualified')) \g /dev/null
SELECT is((SELECT row(l.stage_id, l.qualified_at IS NOT NULL, l.status) FROM kvcrm.revert_conversion(test.id('becomes qualified lead')) AS l), row(test.id('becomes qualified'), true, 'qualified'::text), 'a lead that returns into what became a qualified stage is qualified');
SELECT is((SELECT row(l.stage_id, l.lost_reason, l.status) FROM kvcrm.revert_conversion(test.id('becomes lost lead')) AS l), row(test.stage('a', 1), NULL::text, 'new'::text), 'one that would return into what became a lost stage is new');
SELECT * FROM finish();
