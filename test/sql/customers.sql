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
SELECT is(test.identities(test.id('i')), NULL, 'a restored one owns nothing that others own by now');
UPDATE kvcrm.customers SET inn = '500100732259' WHERE id = test.id('i');
UPDATE kvcrm.customers SET deleted_at = CASE n WHEN 1 THEN now() END FROM generate_series(1, 1) AS n WHERE id = test.id('i');
UPDATE kvcrm.customers SET deleted_at = NULL WHERE id = test.id('i');
SELECT is(test.identities(test.id('i')), 'inn=500100732259', 'but what is free');

-- --- who shares a value owns it next ---

CREATE FUNCTION test.owner_of(value text) RETURNS text LANGUAGE sql AS $$
    SELECT c.name || coalesce(' then ' || (SELECT string_agg(d.name, ', ' ORDER BY d.id) FROM kvcrm.customer_identity_heirs h JOIN kvcrm.customers d ON d.id = h.customer_id WHERE (h.organization_id, h.kind, h.value) = (i.organization_id, i.kind, i.value)), '')
      FROM kvcrm.customer_identities i JOIN kvcrm.customers c ON c.id = i.customer_id WHERE i.organization_id = test.id('a') AND i.value = $1 $$;
SELECT test.keep('shares ' || n, (test.customer(jsonb_build_object('name', 'Sharer ' || n, 'email', format('shared+%s@shared.example', n), 'phone', '8 499 777-00-0' || n, 'inn', '7736050003'))->>'id')::uuid) FROM generate_series(1, 4) AS n;
SELECT is(test.owner_of(v), 'Sharer 1 then Sharer 2, Sharer 3, Sharer 4', 'the first one owns it, the others stand in line: ' || v) FROM unnest(ARRAY['shared@shared.example', '7736050003']) AS v;
UPDATE kvcrm.customers SET email = 'other@shared.example' WHERE id = test.id('shares 1');
SELECT is(test.owner_of('shared@shared.example'), 'Sharer 2 then Sharer 3, Sharer 4', 'who changes a value gives it to the oldest in line');
UPDATE kvcrm.customers SET email = 'shared@shared.example' WHERE id = test.id('shares 1');
SELECT is(test.owner_of('shared@shared.example'), 'Sharer 2 then Sharer 1, Sharer 3, Sharer 4', 'and stands in line to have it again');
SELECT is((SELECT count(*) FROM kvcrm.customer_identities WHERE value = 'other@shared.example'), 0::bigint, 'what nobody else has is owned by nobody');
UPDATE kvcrm.customers SET email = NULL WHERE id = test.id('shares 3');
SELECT is(test.owner_of('shared@shared.example'), 'Sharer 2 then Sharer 1, Sharer 4', 'who stands in line leaves it');
UPDATE kvcrm.customers SET deleted_at = now() WHERE id IN (test.id('shares 1'), test.id('shares 2'));
SELECT is(test.owner_of('shared@shared.example'), 'Sharer 4', 'a deleted one gives up its place');
SELECT is(test.owner_of('7736050003'), 'Sharer 3 then Sharer 4', 'of whatever kind');
DELETE FROM kvcrm.customers WHERE id = test.id('shares 3');
SELECT is(test.owner_of('7736050003'), 'Sharer 4', 'and so does one that is removed');
SELECT is((SELECT count(*) FROM kvcrm.customer_identity_heirs h WHERE h.customer_id IN (test.id('shares 1'), test.id('shares 2'), test.id('shares 3'))), 0::bigint, 'they stand in no line');
UPDATE kvcrm.customers SET deleted_at = NULL WHERE id = test.id('shares 1');
UPDATE kvcrm.customers SET email = CASE id WHEN test.id('shares 1') THEN 'swap@shared.example' ELSE 'shared@shared.example' END WHERE id IN (test.id('shares 1'), test.id('shares 4'));
SELECT is(test.owner_of('shared@shared.example'), 'Sharer 4', 'one statement may change several');
SELECT is(test.owner_of('swap@shared.example'), 'Sharer 1', 'each to its own');
-- A conversion finds the heir.
UPDATE kvcrm.customers SET deleted_at = now() WHERE id = test.id('shares 4');
SELECT is((SELECT c.id FROM kvcrm.create_lead('Sharer', inn => '7736050003', on_duplicate => 'allow', organization_id => test.id('a')) AS l, LATERAL kvcrm.qualify_lead(l.id) AS c), test.id('shares 1'), 'the next conversion finds who is left');
-- A lead brings its customer what another one owns.
UPDATE kvcrm.customers SET deleted_at = NULL WHERE id = test.id('shares 4');
SELECT test.keep('brings', id) FROM kvcrm.create_lead('Sharer', 'shared@shared.example', company => 'Other', on_duplicate => 'allow', organization_id => test.id('a'));
SELECT kvcrm.qualify_lead(test.id('brings'), test.id('shares 1')) \g /dev/null
SELECT is(test.owner_of('shared@shared.example'), 'Sharer 4 then Sharer 1', 'a conversion stands in line');
SELECT kvcrm.revert_conversion(test.id('brings')) \g /dev/null
SELECT is(test.owner_of('shared@shared.example'), 'Sharer 4', 'until it is taken back');
SELECT kvcrm.qualify_lead(test.id('brings'), on_match => 'create') \g /dev/null
SELECT is(test.owner_of('shared@shared.example'), 'Sharer 4 then Sharer', 'one that creates a customer does, too');
UPDATE kvcrm.customers SET deleted_at = now() WHERE id = test.id('shares 4');
SELECT is(test.owner_of('shared@shared.example'), 'Sharer', 'and owns it in the end');
SELECT kvcrm.revert_conversion(test.id('brings')) \g /dev/null
SELECT is(test.owner_of('shared@shared.example'), NULL, 'until that is taken back');
-- What was there before there was a line.
SELECT test.customer(jsonb_build_object('email', 'old@shared.example', 'inn', '7736050003', 'phone', '8 499 888-00-00', 'name', 'Old ' || n)) FROM generate_series(1, 2) AS n \g /dev/null
DELETE FROM kvcrm.customer_identity_heirs;
DELETE FROM kvcrm.customer_identities WHERE value = '+74998880000';
SELECT is((SELECT string_agg(hint, ' ') FROM kvcrm.check_installation() WHERE problem LIKE 'customers neither%'), 'SELECT kvcrm.refresh_derived(10000); until it returns 0.', 'check_installation() says that the line is missing');
SELECT is((SELECT string_agg(kvcrm.refresh_derived(1)::text, ' ') FROM generate_series(1, 10)), '1 1 1 1 0 0 0 0 0 0', 'refresh_derived() makes it, some at a time');
SELECT is(test.owner_of('old@shared.example'), 'Old 1 then Old 2', 'behind the owner');
SELECT is(test.owner_of('+74998880000'), 'Old 1 then Old 2', 'or an owner first');
SELECT throws_ok($$ SELECT test.as_user('owner', 'SELECT * FROM kvcrm.customer_identity_heirs') $$, '42501', NULL, 'the line is not for clients');
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
SELECT is(test.as_user('rep', 'SELECT count(*) FROM kvcrm.customer_contacts WHERE name = ''Пётр'''), '1', 'a rep reads them');
SELECT is(test.as_user('owner_b', 'SELECT count(*) FROM kvcrm.customer_contacts'), '0', 'another organization does not');
DELETE FROM kvcrm.customers WHERE id = test.id('c');
SELECT is((SELECT count(*) FROM kvcrm.customer_contacts WHERE customer_id = test.id('c')) + (SELECT count(*) FROM kvcrm.customer_identities WHERE customer_id = test.id('c')), 0::bigint, 'contacts and identities go with their customer');

SELECT * FROM finish();
