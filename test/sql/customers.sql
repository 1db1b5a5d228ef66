-- Customers and contacts: the rules for rows that people write, and who owns which INN, e-mail and phone.
\ir include/two_organizations.sql

CREATE FUNCTION test.customer(fields jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT test.post('manager', '{"name": "Клиент"}'::jsonb || fields, 'kvcrm.customers') $$;

-- --- rules ---

SELECT is(test.customer('{"name": " Иван\u00a0", "company": " АО ", "inn": " 7707083893 ", "email": " Ivan@Firma.ru ", "phone": "8 (495) 123-45-67", "notes": " x ", "custom_fields": null}')
          - '{id,created_at,updated_at}'::text[],
          jsonb_build_object('organization_id', test.id('a'), 'name', 'Иван', 'company', 'АО', 'inn', '7707083893', 'email', 'Ivan@Firma.ru', 'phone', '+74951234567', 'notes', 'x', 'custom_fields', '{}'::jsonb,
                             'owner_user_id', NULL, 'source_lead_id', NULL, 'deleted_at', NULL, 'created_by', test.id('manager')), 'a customer is trimmed and normalised');
SELECT is(test.customer('{"company": "", "inn": " ", "email": "", "phone": "", "notes": "\t"}')->c.key, 'null', 'empty ' || c.key || ' becomes null') FROM unnest(ARRAY['company', 'inn', 'email', 'phone', 'notes']) AS c (key);
SELECT is(test.customer('{"phone": "12-34"}')->>'phone', '12-34', 'a phone that can''t be understood is kept');
SELECT throws_ok(format('SELECT test.customer(%L)', fields), code, NULL, format('%s: %s', left(fields::text, 60), code))
  FROM (VALUES ('{"name": null}'::jsonb, '23514'), ('{"name": " "}', '23514'), ('{"email": "ivan"}', '23514'), ('{"inn": "7707083894"}', '23514'), ('{"custom_fields": []}', '23514'),
               (jsonb_build_object('name', repeat('ж', 256)), '22001'), (jsonb_build_object('company', repeat('ж', 256)), '22001'), (jsonb_build_object('email', repeat('x', 256)), '22001'),
               (jsonb_build_object('phone', repeat('1', 101)), '22001'), (jsonb_build_object('notes', repeat('ж', 20001)), '22001'),
               (jsonb_build_object('custom_fields', jsonb_build_object('x', repeat('x', 66000))), '22001'),
               (jsonb_build_object('organization_id', test.id('b')), '42501'), (jsonb_build_object('created_by', test.id('owner')), '42501'),
               (jsonb_build_object('source_lead_id', test.id('owner')), '42501'), (jsonb_build_object('id', test.id('owner')), '42501')) AS c (fields, code);
SELECT lives_ok($$ SELECT test.customer(jsonb_build_object('name', repeat('ж', 255), 'company', repeat('ж', 255), 'notes', repeat('ж', 20000))) $$, 'lengths are in characters');
SELECT test.keep('c', (test.customer('{"name": "Меняемый", "email": "c@firma.ru"}')->>'id')::uuid);
SELECT throws_ok($$ SELECT test.patch('manager', test.id('c'), '{"email": "x"}', 'kvcrm.customers') $$, '23514', NULL, 'PATCH: the same rules hold');
SELECT throws_ok($$ UPDATE kvcrm.customers SET name = ' ' WHERE id = test.id('c') $$, '23514', NULL, 'UPDATE: the same rules hold');
SELECT throws_ok($$ UPDATE kvcrm.customers SET organization_id = test.id('b') WHERE id = test.id('c') $$, '23514', NULL, 'the organization never changes');
SELECT is(test.patch('manager', test.id('c'), '{"phone": "495 123 45 67"}', 'kvcrm.customers')->>'phone', '+74951234567', 'PATCH: a phone is normalised');
SELECT ok(updated_at > created_at, 'updated_at follows') FROM kvcrm.customers WHERE id = test.id('c');

-- --- who may ---

SELECT is(test.as_user('rep', 'SELECT count(*) FROM kvcrm.customers')::bigint, (SELECT count(*) FROM kvcrm.customers WHERE organization_id = test.id('a')), 'a rep reads customers');
SELECT is(test.as_user(who, 'SELECT count(*) FROM kvcrm.customers'), '0', who || ' reads none') FROM unnest(ARRAY['owner_b', 'suspended', 'stranger']) AS who;
SELECT throws_ok($$ SELECT test.post('rep', '{"name": "x"}', 'kvcrm.customers') $$, '42501', NULL, 'a rep creates none');
SELECT is(test.patch('rep', test.id('c'), '{"name": "x"}', 'kvcrm.customers'), NULL, 'a rep changes none');
SELECT is(test.patch('owner_b', test.id('c'), '{"name": "x"}', 'kvcrm.customers'), NULL, 'nor does another organization''s owner');
SELECT throws_ok($$ SELECT test.as_user('owner', 'DELETE FROM kvcrm.customers') $$, '42501', NULL, 'clients don''t delete rows');
SELECT isnt(test.patch('manager', test.id('c'), '{"deleted_at": "2030-01-01"}', 'kvcrm.customers'), NULL, 'a manager deletes softly');
SELECT isnt(test.patch('manager', test.id('c'), '{"deleted_at": null}', 'kvcrm.customers'), NULL, 'and restores');
INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (test.id('a'), 'editor', 'Editor', '{customers:read,customers:update}');
SELECT kvcrm.set_member_role(test.id('other_rep'), 'editor', test.id('a')) IS NOT NULL;
SELECT is(test.patch('other_rep', test.id('c'), '{"name": "Правка"}', 'kvcrm.customers')->>'name', 'Правка', 'customers:update changes');
SELECT throws_ok($$ SELECT test.patch('other_rep', test.id('c'), '{"deleted_at": "2030-01-01"}', 'kvcrm.customers') $$, '42501', NULL, 'but does not delete: that takes customers:delete');

-- --- identities ---

CREATE FUNCTION test.identities(customer uuid) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(concat(kind, '=', value), ' ' ORDER BY kind) FROM kvcrm.customer_identities WHERE customer_id = customer $$;
SELECT test.keep('i', (test.customer('{"inn": "500100732259", "email": "Ivan.Petrov+x@gmail.com", "phone": "8 499 111 22 33"}')->>'id')::uuid);
SELECT is(test.identities(test.id('i')), 'email=ivanpetrov@gmail.com inn=500100732259 phone=+74991112233', 'a customer owns INN, normalised e-mail and phone');
SELECT is(test.identities((test.customer('{"phone": "12-34"}')->>'id')::uuid), NULL, 'a phone that can''t be understood identifies nobody');
UPDATE kvcrm.customers SET phone = '8 499 444 55 66', inn = NULL WHERE id = test.id('i');
SELECT is(test.identities(test.id('i')), 'email=ivanpetrov@gmail.com phone=+74994445566', 'they follow changes');
SELECT is(test.identities((test.customer('{"email": "ivanpetrov@gmail.com"}')->>'id')::uuid), NULL, 'what is owned already stays with its owner');
SELECT is((SELECT count(*) FROM kvcrm.customer_identities WHERE organization_id = test.id('a') AND value = 'ivanpetrov@gmail.com'), 1::bigint, 'there is one owner');
UPDATE kvcrm.customers SET deleted_at = now() WHERE id = test.id('i');
SELECT is(test.identities(test.id('i')), NULL, 'a deleted customer owns nothing');
SELECT is(test.identities((test.customer('{"phone": "84994445566"}')->>'id')::uuid), 'phone=+74994445566', 'so that another may');
UPDATE kvcrm.customers SET deleted_at = NULL WHERE id = test.id('i');
SELECT is(test.identities(test.id('i')), 'email=ivanpetrov@gmail.com', 'a restored one owns again what is free');
SELECT throws_ok($$ SELECT test.as_user('owner', 'SELECT * FROM kvcrm.customer_identities') $$, '42501', NULL, 'identities are not for clients');

-- --- contacts ---

CREATE FUNCTION test.contact(fields jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT test.post('manager', jsonb_build_object('customer_id', test.id('c'), 'name', 'Контакт') || fields, 'kvcrm.customer_contacts') $$;
SELECT is(test.contact('{"name": " Пётр ", "email": " p@firma.ru ", "phone": "8 495 1234567", "position": " бухгалтер ", "is_primary": true}') - '{id,created_at,updated_at}'::text[],
          jsonb_build_object('organization_id', test.id('a'), 'customer_id', test.id('c'), 'name', 'Пётр', 'email', 'p@firma.ru', 'phone', '+74951234567', 'position', 'бухгалтер', 'is_primary', true), 'a contact is trimmed and normalised');
SELECT throws_ok(format('SELECT test.contact(%L)', fields), code, NULL, format('%s: %s', left(fields::text, 60), code))
  FROM (VALUES ('{"name": ""}'::jsonb, '23514'), ('{"email": "x"}', '23514'), ('{"is_primary": true}', '23505'), (jsonb_build_object('position', repeat('ж', 101)), '22001'),
               (jsonb_build_object('customer_id', test.id('unknown')), '23503'), (jsonb_build_object('organization_id', test.id('b')), '42501')) AS c (fields, code);
SELECT throws_ok($$ UPDATE kvcrm.customer_contacts SET customer_id = test.id('i') WHERE customer_id = test.id('c') $$, '23514', NULL, 'a contact stays with its customer');
SELECT throws_ok($$ INSERT INTO kvcrm.customer_contacts (organization_id, customer_id, name) VALUES (test.id('b'), test.id('c'), 'x') $$, '23503', NULL, 'it can''t point into another organization');
SELECT throws_ok($$ SELECT test.post('rep', jsonb_build_object('customer_id', test.id('c'), 'name', 'x'), 'kvcrm.customer_contacts') $$, '42501', NULL, 'a rep adds none');
SELECT is(test.as_user('rep', 'SELECT count(*) FROM kvcrm.customer_contacts'), '1', 'a rep reads them');
SELECT is(test.as_user('owner_b', 'SELECT count(*) FROM kvcrm.customer_contacts'), '0', 'another organization does not');
DELETE FROM kvcrm.customers WHERE id = test.id('c');
SELECT is((SELECT count(*) FROM kvcrm.customer_contacts WHERE customer_id = test.id('c')) + (SELECT count(*) FROM kvcrm.customer_identities WHERE customer_id = test.id('c')), 0::bigint, 'contacts and identities go with their customer');

SELECT * FROM finish();
