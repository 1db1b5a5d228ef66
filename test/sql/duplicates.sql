-- Duplicates of one lead or form: what is found, what is shown to whom, and the policy 'warn'.
-- errors expected
-- inconsistent: a lead is merged by hand
\ir include/two_organizations.sql
\setenv PGDATABASE :DBNAME
\setenv PGOPTIONS '-c client_min_messages=notice'

-- What a statement of somebody's tells besides its result: NOTICE, DETAIL and HINT, ids replaced by their names.
CREATE FUNCTION test.named(message text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    name record;
BEGIN
    FOR name IN SELECT i.name, i.id FROM test.ids i LOOP
        message := replace(message, name.id::text, name.name);
    END LOOP;
    RETURN regexp_replace(message, '[0-9a-f]{8}-[0-9a-f-]{27}', 'ID', 'g');
END $$;

-- kind, name of the row, band of its probability, owner: one line each, in order.
CREATE FUNCTION test.shown(answer text) RETURNS text LANGUAGE sql AS
    $$ SELECT format('SELECT string_agg(concat_ws('' '', d.kind, CASE WHEN d.masked THEN ''hidden'' ELSE (SELECT i.name FROM test.ids i WHERE i.id = d.id) END,
                     CASE WHEN d.probability >= 0.99 THEN ''sure'' WHEN d.probability >= 0.5 THEN ''likely'' ELSE ''unlikely'' END, d.owner_name), '', '' ORDER BY d.ordinality)
                      FROM %s WITH ORDINALITY d', answer) $$;
CREATE FUNCTION test.find(who text, lead text, options text DEFAULT '') RETURNS text LANGUAGE sql AS
    $$ SELECT test.as_user(who, test.shown(format('kvcrm.find_duplicates(%L::uuid%s)', test.id(lead), options))) $$;
CREATE FUNCTION test.check_form(who text, form jsonb, options text DEFAULT '') RETURNS text LANGUAGE sql AS
    $$ SELECT test.as_user(who, test.shown(format('kvcrm.check_duplicates(%L::jsonb%s)', form, options))) $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA test TO kvcrm_test_client;

SET client_min_messages = warning;

-- --- what is found ---

SELECT test.keep('ivan', id) FROM kvcrm.create_lead('Иванов Иван Петрович', 'ivanov@romashka-torg.ru', '8 916 123-45-67', 'ООО «Ромашка-Торг»',
    assigned_to => test.id('rep'), organization_id => test.id('a'));
SELECT test.keep('other', id) FROM kvcrm.create_lead('Смирнова Ольга', 'olga@ural-montazh.ru', '8 922 765-43-21', 'АО «Урал-Монтаж»',
    assigned_to => test.id('rep'), organization_id => test.id('a'));
SELECT is(test.find('manager', 'ivan'), NULL, 'a lead on its own has no duplicates');
SELECT test.keep('latin', id) FROM kvcrm.create_lead('Ivan Ivanov', 'Ivanov+spam@Romashka-Torg.ru', '+7 (916) 123 45 67', 'Romashka-Torg LLC',
    assigned_to => test.id('other_rep'), organization_id => test.id('a'));
SELECT is(test.find('manager', 'ivan'), 'lead latin sure Света', 'the same person in other letters is found');
SELECT is(test.find('manager', 'latin'), 'lead ivan sure Роман', 'from either side');
SELECT is(test.find('manager', 'other'), NULL, 'others are not');
SELECT test.keep('b_twin', id) FROM kvcrm.create_lead('Ivan Ivanov', 'ivanov@romashka-torg.ru', '+7 (916) 123 45 67', 'Romashka-Torg LLC', organization_id => test.id('b'));
SELECT is(test.find('manager', 'ivan'), 'lead latin sure Света', 'nor is the same person in another organization');
SELECT is(test.find('owner_b', 'b_twin'), NULL, 'from there neither');

SELECT is(test.find('manager', 'ivan', ', 1'), NULL, 'min_probability bounds');
SELECT is(test.find('manager', 'ivan', ', 0, 1'), 'lead latin sure Света', 'max_results bounds');
SELECT is((test.error_of(format('SELECT * FROM kvcrm.find_duplicates(%L, %s)', test.id('ivan'), bad))).code, '22023', 'find_duplicates refuses ' || bad)
  FROM unnest(ARRAY['-0.01', '1.01', '''NaN''', '''Infinity''', '0.5, 0', '0.5, 101', '0.5, -1']) AS bad;
SELECT is((test.error_of(format('SELECT * FROM kvcrm.check_duplicates(''{}'', %s)', bad))).code, '22023', 'check_duplicates refuses ' || bad)
  FROM unnest(ARRAY['-0.01', '1.01', '''NaN''', '0.5, 0', '0.5, 101']) AS bad;

BEGIN READ ONLY;
SELECT set_config('kvcrm.organization_id', test.id('a')::text, true);
SELECT is((SELECT count(*) FROM kvcrm.find_duplicates(test.id('ivan'))), 1::bigint, 'find_duplicates works in a READ ONLY transaction');
SELECT is((SELECT count(*) FROM kvcrm.check_duplicates('{"name": "Иванов Иван", "email": "ivanov@romashka-torg.ru"}')), 2::bigint, 'check_duplicates too');
SELECT ok(kvcrm.explain_match(test.id('ivan'), test.id('latin')) IS NOT NULL, 'and explain_match');
COMMIT;

-- --- the waterfall ---

SELECT test.as_user('manager', format('SELECT kvcrm.explain_match(%L, %L)', test.id('ivan'), test.id('latin'))) AS waterfall \gset
SELECT is((SELECT array_agg(f ->> 'field' ORDER BY f ->> 'field') FROM jsonb_array_elements(:'waterfall'::jsonb -> 'fields') AS f),
          '{company,email,inn,name,phone}', 'each field has its place');
SELECT cmp_ok(abs((:'waterfall'::jsonb ->> 'prior')::float8 + (SELECT sum((f ->> 'weight')::float8) FROM jsonb_array_elements(:'waterfall'::jsonb -> 'fields') AS f)
                  - (:'waterfall'::jsonb ->> 'weight')::float8), '<', 0.01::float8, 'prior and weights add up');
SELECT cmp_ok(abs(1 / (1 + power(2, -(:'waterfall'::jsonb ->> 'weight')::float8)) - (:'waterfall'::jsonb ->> 'probability')::float8), '<', 0.001::float8,
              'to the probability');
SELECT is((SELECT f -> 'values' FROM jsonb_array_elements(:'waterfall'::jsonb -> 'fields') AS f WHERE f ->> 'field' = 'company'),
          '["ООО «Ромашка-Торг»", "Romashka-Torg LLC"]'::jsonb, 'with the values as typed');
SELECT is((SELECT f -> 'values' FROM jsonb_array_elements(:'waterfall'::jsonb -> 'fields') AS f WHERE f ->> 'field' = 'inn'), '[null, null]'::jsonb, 'or null');
SELECT is((SELECT f ->> 'level' FROM jsonb_array_elements(:'waterfall'::jsonb -> 'fields') AS f WHERE f ->> 'field' = 'email'), 'exact', 'and the level');
SELECT is(test.as_user('manager', format('SELECT d.explanation FROM kvcrm.find_duplicates(%L) d', test.id('ivan')))::jsonb, :'waterfall'::jsonb,
          'find_duplicates explains the same');
SELECT is((test.error_of(format('SELECT test.as_user(%L, $q$ SELECT kvcrm.explain_match(%s, %s) $q$)', who, one, another))).code, code,
          format('explain_match(%s, %s) of %s', one, another, who))
  FROM (VALUES ('rep', 'test.id(''ivan'')', 'test.id(''latin'')', 'PT404'), ('rep', 'test.id(''latin'')', 'test.id(''ivan'')', 'PT404'),
               ('manager', 'test.id(''ivan'')', 'test.id(''b_twin'')', 'PT404'), ('manager', 'test.id(''ivan'')', 'test.id(''unknown'')', 'PT404'),
               ('manager', 'test.id(''ivan'')', 'test.id(''ivan'')', '22023'), ('manager', 'test.id(''ivan'')', 'NULL', '22023'),
               ('manager', 'NULL', 'test.id(''ivan'')', '22023')) AS s (who, one, another, code);

-- --- a form not saved yet ---

SELECT ok(test.check_form('manager', '{"name": "Иванов Иван", "company": "Ромашка-Торг", "phone": "8 (916) 123-45-67"}')
              IN ('lead ivan sure Роман, lead latin sure Света', 'lead latin sure Света, lead ivan sure Роман'),
          'a form is compared, its phone read in the organization''s country');
SELECT is(test.check_form('manager', form::jsonb), NULL, 'nothing is like ' || form)
  FROM unnest(ARRAY['{}', '{"name": null}', '{"name": "", "email": "  "}', '{"name": "Пётр Сидоров", "company": "Вектор"}']) AS form;
SELECT is((test.error_of(format('SELECT test.as_user(''rep'', $q$ SELECT * FROM kvcrm.check_duplicates(%s) $q$)', form))).code, code, 'a form like ' || left(form, 40))
  FROM (VALUES ('NULL', '22023'), ('''[]''', '22023'), ('''"x"''', '22023'), ('''null''', '22023'), ('''{"name": 1}''', '22023'), ('''{"name": {"a": 1}}''', '22023'),
               ('''{"title": "x"}''', '22023'), ('''{"name": "x", "Email": "x"}''', '22023'), ('''{"position": "x"}''', '22023'), ('''{"id": null}''', '22023'),
               (quote_literal(jsonb_build_object('name', repeat('x', 256))), '22001'), (quote_literal(jsonb_build_object('phone', repeat('1', 101))), '22001')) AS s (form, code);
SELECT is((test.error_of(format('SELECT test.as_user(%L, $q$ SELECT * FROM kvcrm.check_duplicates(''{}'', organization_id => %L) $q$)', who, test.id('a')))).code, '42501',
          who || ' checks nothing')
  FROM unnest(ARRAY['stranger', 'suspended', 'rep_b']) AS who;
SELECT is((test.error_of('SELECT * FROM kvcrm.check_duplicates(''{}'')')).code, '22023', 'a form belongs to an organization');

-- --- what a masked answer tells ---

SELECT is(test.find('rep', 'ivan'), 'lead hidden sure Света', 'a rep is told that there is one, and whom to ask');
SELECT is(test.as_user('rep', format('SELECT concat_ws('' '', kind, id, probability, explanation, masked) FROM kvcrm.find_duplicates(%L)', test.id('ivan'))),
          'lead 0.99 t', 'no id, no explanation, no exact probability');
SELECT is((test.error_of(format('SELECT test.as_user(''rep'', $q$ SELECT * FROM kvcrm.find_duplicates(%L) $q$)', test.id('latin')))).code, 'PT404',
          'the duplicates of a hidden lead are hidden');
SELECT is(test.find('rep', 'ivan', ', 0'), 'lead hidden sure Света', 'a smaller min_probability shows no more of what is hidden');
SELECT is(test.find('rep', 'ivan', ', 0.99'), 'lead hidden sure Света', 'a greater one knows two steps');
SELECT is(test.find('rep', 'ivan', ', 0.991'), NULL, 'and nothing between');

-- Ten thousand guesses at the address of a lead of whom everything else is known.
SELECT test.keep('secret', id) FROM kvcrm.create_lead('Тайнов Сергей', 'sergey.taynov77@vektor-pribor.ru', '8 903 555-77-11', 'ЗАО «Вектор-Прибор»',
    assigned_to => test.id('other_rep'), organization_id => test.id('a'));
CREATE TABLE test.guesses AS
SELECT n, CASE n % 4
            -- Letter by letter from the front, one letter wrong, letters of the right length, the domain right.
            WHEN 0 THEN left('sergey.taynov77', n % 15) || 'q' || n
            WHEN 1 THEN overlay('sergey.taynov77' PLACING chr(97 + n / 4 % 26) FROM 1 + n / 104 % 15 FOR 1)
            WHEN 2 THEN md5(n::text)
            ELSE 'sergey.taynov' || n % 100 END
          || CASE WHEN n % 3 = 0 THEN '@vektor-pribor.ru' WHEN n % 3 = 1 THEN '@vektor-pribor.com' ELSE '@mail.ru' END AS email
  FROM generate_series(1, 10000) AS n;
DELETE FROM test.guesses WHERE email = 'sergey.taynov77@vektor-pribor.ru';
GRANT SELECT ON test.guesses TO kvcrm_test_client;
-- Forms that would be likely, unlikely and on the edge without an address.
CREATE FUNCTION test.answers(who text, form jsonb, OUT guesses text, OUT right_one text) LANGUAGE sql AS $$
    SELECT test.as_user(who, format('SELECT string_agg(DISTINCT answer, '' | '') FROM (SELECT (SELECT coalesce(string_agg(concat_ws('' '', d.kind, d.id, d.probability,
               d.explanation, d.masked, d.owner_name), '', ''), ''nothing'') FROM kvcrm.check_duplicates(%L::jsonb || jsonb_build_object(''email'', g.email), 0) d) AS answer
               FROM test.guesses g) s', form)),
           test.as_user(who, format('SELECT coalesce(string_agg(concat_ws('' '', kind, id, probability, explanation, masked, owner_name), '', ''), ''nothing'')
               FROM kvcrm.check_duplicates(%L::jsonb || ''{"email": "sergey.taynov77@vektor-pribor.ru"}'', 0)', form))
$$;
GRANT EXECUTE ON FUNCTION test.answers TO kvcrm_test_client;
CREATE TABLE test.climb AS
SELECT form, a.* FROM unnest(ARRAY[
    '{"name": "Тайнов Сергей", "company": "Вектор-Прибор", "phone": "89035557711"}',
    '{"name": "Тайнов Сергей", "company": "Вектор-Прибор"}',
    '{"name": "Тайнов Сергей", "phone": "89035557711"}',
    '{"name": "Тайнов С", "company": "Вектор-Прибор"}',
    '{"name": "Тайнов", "company": "Вектор"}']) AS form, test.answers('rep', form::jsonb) a;
SELECT ok(guesses NOT LIKE '%|%', 'every wrong guess has the same answer: ' || form || ' ' || guesses) FROM test.climb;
SELECT ok(right_one ~ '^(nothing|lead 0.9 t Света|lead 0.99 t Света)$', 'the right one has one of three: ' || form || ' ' || right_one) FROM test.climb;
SELECT cmp_ok(length((test.answers('manager', '{"name": "Тайнов Сергей", "company": "Вектор-Прибор"}')).guesses), '>',
              (SELECT max(length(guesses)) FROM test.climb), 'for a manager, who sees the lead, the answer varies with the guess');

-- A hidden row's place among visible ones would tell its probability.
SELECT test.keep('mine', id) FROM kvcrm.create_lead('Тайнов Сергей', 'sergey.taynov77@vektor-pribor.ru', '8 903 555-77-11', 'ЗАО «Вектор-Прибор»',
    assigned_to => test.id('rep'), organization_id => test.id('a'));
SELECT is(test.check_form('rep', '{"name": "Тайнов Сергей", "email": "sergey.taynov77@vektor-pribor.ru", "phone": "89035557711", "company": "Вектор-Прибор"}'),
          'lead mine sure Роман, lead hidden sure Света', 'hidden rows are in the order of what is shown of them');
SELECT is(test.check_form('rep', '{"name": "Тайнов Сергей", "email": "sergey.taynov77@vektor-pribor.ru", "phone": "89035557711", "company": "Вектор-Прибор"}', ', 0, 1'),
          'lead mine sure Роман', 'and cut off in that order');

-- --- gone leads, dismissed pairs ---

SELECT test.keep('third', id) FROM kvcrm.create_lead('Иванов Иван', 'ivanov@romashka-torg.ru', '89161234567', 'Ромашка-Торг', assigned_to => test.id('manager'),
    organization_id => test.id('a'));
SELECT is((SELECT count(*) FROM kvcrm.find_duplicates(test.id('ivan'))), 2::bigint, 'all duplicates are found');
SELECT kvcrm.delete_lead(test.id('third')) IS NOT NULL;
SELECT is(test.find('manager', 'ivan'), 'lead latin sure Света', 'a deleted lead is not found');
SELECT is((SELECT count(*) FROM kvcrm.find_duplicates(test.id('third'))), 2::bigint, 'but finds');
SELECT kvcrm.restore_lead(test.id('third')) IS NOT NULL;
SELECT is((SELECT count(*) FROM kvcrm.find_duplicates(test.id('ivan'))), 2::bigint, 'a restored lead is found again');
UPDATE kvcrm.leads SET merged_into_id = test.id('latin') WHERE id = test.id('third');
SELECT is(test.find('manager', 'ivan'), 'lead latin sure Света', 'a merged lead is not found');
SELECT is(test.find('manager', 'third'), 'lead ivan sure Роман', 'its id stands for the survivor');

UPDATE kvcrm.duplicate_pairs SET status = 'dismissed', decided_at = now()
 WHERE lead_id = least(test.id('ivan'), test.id('latin')) AND other_lead_id = greatest(test.id('ivan'), test.id('latin'));
SELECT is(test.find('manager', 'ivan'), NULL, 'a dismissed pair is left out');
SELECT is(test.find('manager', 'latin'), NULL, 'from either side');
SELECT is(test.find('rep', 'ivan'), NULL, 'of a masked answer too');
UPDATE kvcrm.duplicate_pairs SET status = 'open', decided_at = NULL WHERE status = 'dismissed';

-- --- customers ---

SELECT test.keep('customer', id) FROM kvcrm.qualify_lead(test.id('latin'));
SELECT is(test.find('manager', 'ivan'), 'customer customer sure Света', 'a converted lead is represented by its customer');
SELECT is((SELECT match_values FROM kvcrm.customer_fingerprints WHERE id = test.id('customer')), (SELECT match_values FROM kvcrm.lead_fingerprints WHERE id = test.id('latin')),
          'which says what the lead said');
SELECT is((SELECT match_keys FROM kvcrm.customer_fingerprints WHERE id = test.id('customer')), (SELECT match_keys FROM kvcrm.lead_fingerprints WHERE id = test.id('latin')), 'under the same keys');
SELECT is(test.find('manager', 'latin'), 'lead ivan sure Роман', 'a converted lead does not find its own customer');
SELECT is((SELECT d.explanation -> 'fields' -> 0 -> 'values' ->> 1 FROM kvcrm.find_duplicates(test.id('ivan')) d), 'Ivan Ivanov', 'a customer is explained like a lead');
INSERT INTO kvcrm.customer_contacts (id, customer_id, organization_id, name, email)
VALUES (test.id('unknown'), test.id('customer'), test.id('a'), 'Кузнецова Анна', 'kuznetsova@romashka-torg.ru');
SELECT is(test.check_form('manager', '{"name": "Анна Кузнецова", "email": "kuznetsova@romashka-torg.ru"}'), 'customer customer sure Света', 'a contact''s person is its customer');
SELECT is((SELECT jsonb_path_query_first(d.explanation, '$.fields[*] ? (@.field == "name").values[1]') #>> '{}'
             FROM kvcrm.check_duplicates('{"name": "Анна Кузнецова", "email": "kuznetsova@romashka-torg.ru"}', organization_id => test.id('a')) d),
          'Кузнецова Анна', 'and is compared as such');
UPDATE kvcrm.customer_contacts SET name = 'Белова Вера', email = 'belova@romashka-torg.ru' WHERE id = test.id('unknown');
SELECT is(test.check_form('manager', '{"name": "Анна Кузнецова", "email": "kuznetsova@romashka-torg.ru"}'), NULL, 'no longer once it is somebody else');
SELECT is(test.check_form('manager', '{"name": "Вера Белова", "email": "belova@romashka-torg.ru"}'), 'customer customer sure Света', 'who is found then');
DELETE FROM kvcrm.customer_contacts WHERE id = test.id('unknown');
SELECT is(test.check_form('manager', '{"name": "Вера Белова", "email": "belova@romashka-torg.ru"}'), NULL, 'until it is removed');
UPDATE kvcrm.customers SET email = 'i.ivanov@romashka-torg.ru' WHERE id = test.id('customer');
SELECT matches((SELECT match_values FROM kvcrm.customer_fingerprints WHERE id = test.id('customer')), 'i\.ivanov@.*\f.*ivanov@', 'a changed customer keeps its people');
INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (test.id('a'), 'leads_only', 'Leads only', '{leads:create,leads:read_all}');
UPDATE kvcrm.organization_members SET role_slug = 'leads_only' WHERE user_id = test.id('other_rep');
SELECT is(test.find('other_rep', 'ivan'), 'customer hidden sure Света', 'who may not read customers gets a masked one');
UPDATE kvcrm.organization_members SET role_slug = 'sales_team' WHERE user_id = test.id('other_rep');
UPDATE kvcrm.customers SET deleted_at = now() WHERE id = test.id('customer');
SELECT is(test.find('manager', 'ivan'), NULL, 'a deleted customer is not found');
UPDATE kvcrm.customers SET deleted_at = NULL WHERE id = test.id('customer');
INSERT INTO kvcrm.customers (id, organization_id, name, email) VALUES (test.id('unknown'), test.id('a'), 'Одна Такая', 'odna@takaya.ru');
SELECT is((SELECT count(*) FROM kvcrm.customer_fingerprints WHERE id = test.id('unknown')), 1::bigint, 'a customer has one fingerprint');
DELETE FROM kvcrm.customers WHERE id = test.id('unknown');
SELECT is((SELECT count(*) FROM kvcrm.customer_fingerprints WHERE id = test.id('unknown')), 0::bigint, 'which goes with it');

-- --- the page of a lead ---

SELECT is(test.as_user(who, format('SELECT kvcrm.lead_page(%L) -> ''duplicates''', test.id('ivan')))::jsonb,
          test.as_user(who, format('SELECT coalesce(jsonb_agg(d), ''[]'') FROM kvcrm.find_duplicates(%L) d', test.id('ivan')))::jsonb, 'lead_page shows duplicates as found: ' || who)
  FROM unnest(ARRAY['manager', 'rep']) AS who;
SELECT is(test.as_user('manager', format('SELECT kvcrm.lead_page(%L) -> ''duplicates''', test.id('other'))), '[]', 'or none');

-- --- fingerprints ---

SELECT is((SELECT count(*) FROM kvcrm.lead_fingerprints WHERE cardinality(match_keys) = 0 OR match_values = ''), 0::bigint, 'every lead has keys and values');
SELECT xmin AS before FROM kvcrm.lead_fingerprints WHERE id = test.id('other') \gset
UPDATE kvcrm.leads SET estimated_value = 10, stage_id = test.stage('a', 2), assigned_to = test.id('manager') WHERE id = test.id('other');
SELECT is((SELECT xmin::text FROM kvcrm.lead_fingerprints WHERE id = test.id('other')), :'before', 'a move leaves the fingerprint alone');
UPDATE kvcrm.leads SET inn = '7707083893' WHERE id = test.id('other');
SELECT isnt((SELECT xmin::text FROM kvcrm.lead_fingerprints WHERE id = test.id('other')), :'before', 'another INN does not');

SELECT is((SELECT count(*) FROM kvcrm.check_installation()), 0::bigint, 'nothing is due');
CREATE TABLE test.fingerprints AS SELECT id, search_text, match_keys, match_values FROM kvcrm.lead_fingerprints;
CREATE TABLE test.customer_fingerprints AS SELECT id, match_keys, match_values FROM kvcrm.customer_fingerprints;
UPDATE kvcrm.lead_fingerprints SET derivation_version = 1, search_text = '', match_keys = '{}', match_values = '';
UPDATE kvcrm.customer_fingerprints SET derivation_version = 1, match_keys = '{}', match_values = '';
SELECT matches((SELECT hint FROM kvcrm.check_installation()), 'refresh_derived', 'old rows are due');
SELECT is((test.error_of(format('SELECT test.as_user(%L, ''SELECT kvcrm.refresh_derived()'')', who))).code, '42501', who || ' refreshes nothing')
  FROM unnest(ARRAY['rep', 'manager']) AS who;
SELECT is((test.error_of(format('SELECT kvcrm.refresh_derived(%s)', bad))).code, '22023', 'a batch of ' || bad) FROM unnest(ARRAY[0, -1, 1000001]) AS bad;
SELECT is(test.as_user('admin', 'SELECT kvcrm.refresh_derived(2)'), '2', 'a batch at a time');
SELECT is(test.as_user('owner_b', 'SELECT kvcrm.refresh_derived()'), '1', 'each organization its own');
SELECT is(kvcrm.refresh_derived()::bigint, (SELECT count(*) FROM test.fingerprints) + (SELECT count(*) FROM test.customer_fingerprints) - 3, 'the system all of them');
SELECT is(kvcrm.refresh_derived(), 0, 'until none are left');
SELECT is_empty($$ SELECT id, search_text, match_keys, match_values FROM kvcrm.lead_fingerprints EXCEPT SELECT * FROM test.fingerprints $$, 'leads are as they were');
SELECT is_empty($$ SELECT id, match_keys, match_values FROM kvcrm.customer_fingerprints EXCEPT SELECT * FROM test.customer_fingerprints $$, 'and customers');
SELECT is((SELECT count(*) FROM kvcrm.check_installation()), 0::bigint, 'nothing is due any more');

-- --- the policy 'warn' ---

SELECT is((SELECT string_agg(concat_ws(' ', (SELECT name FROM test.ids i WHERE i.id = p.lead_id), (SELECT name FROM test.ids i WHERE i.id = p.other_lead_id), status), ', ' ORDER BY p.lead_id, p.other_lead_id)
             FROM kvcrm.duplicate_pairs p), 'ivan latin open, ivan third open, latin third open, secret mine open', 'likely duplicates of what was written are under review');
SELECT is((SELECT count(*) FROM kvcrm.duplicate_pairs WHERE lead_id >= other_lead_id OR probability < 0.5 OR explanation -> 'fields' IS NULL OR decided_at IS NOT NULL), 0::bigint,
          'in the order of ids, with probability and explanation');

RESET client_min_messages;
-- The statement as somebody, in a session of its own whose messages come back.
\set told `psql -XAtq -v VERBOSITY=default -c "SELECT test.as_user('rep', 'SELECT id FROM kvcrm.create_lead(''Тайнов С.'', ''sergey.taynov77@vektor-pribor.ru'', company => ''Вектор-Прибор'')')" 2>&1 | grep -vE '^[0-9a-f-]{36}$'`
SELECT is(test.named(:'told'), E'NOTICE:  the lead has likely duplicates\nDETAIL:  Lead ID is like lead mine and 1 more that you can''t see.\nHINT:  See why with find_duplicates(lead_id).',
          'create_lead tells whom the lead is like');
SELECT is((SELECT count(*) FROM kvcrm.duplicate_pairs WHERE created_at > now() - interval '1 minute' AND other_lead_id = (SELECT id FROM kvcrm.leads WHERE name = 'Тайнов С.')), 2::bigint,
          'and puts what is hidden under review too');
\set told `psql -XAtq -c "SELECT test.as_user('rep', 'SELECT id FROM kvcrm.create_lead(''Пугачёва Алла'', ''alla@nigde.ru'')')" 2>&1 | grep -vE '^[0-9a-f-]{36}$'`
SELECT is(:'told'::text, '', 'nothing is told of a lead that is like no other');
\set told `psql -XAtq -c "INSERT INTO kvcrm.leads (organization_id, name, email, phone) SELECT test.id('a'), 'Дубль Дублевич', 'dubl@dubli.ru', '+79031112233' FROM generate_series(1, 3)" 2>&1`
SELECT is(test.named(:'told'), E'NOTICE:  3 leads have likely duplicates\nDETAIL:  Lead ID is like lead ID, lead ID.\nLead ID is like lead ID, lead ID.\nLead ID is like lead ID, lead ID.\nHINT:  See why with find_duplicates(lead_id).',
          'an INSERT tells once, of duplicates among its own rows too');
SELECT is((SELECT count(*) FROM kvcrm.duplicate_pairs p JOIN kvcrm.leads l ON l.id = p.lead_id WHERE l.name = 'Дубль Дублевич'), 3::bigint, 'each pair is there once');
\set told `psql -XAtq -c "UPDATE kvcrm.leads SET score = 1, estimated_value = 5 WHERE name = 'Дубль Дублевич'" 2>&1`
SELECT is(:'told'::text, '', 'an UPDATE of something else tells nothing');
UPDATE kvcrm.duplicate_pairs SET status = 'dismissed', decided_at = now(), probability = 0.6
 WHERE id = (SELECT p.id FROM kvcrm.duplicate_pairs p JOIN kvcrm.leads l ON l.id = p.lead_id WHERE l.name = 'Дубль Дублевич' ORDER BY p.id LIMIT 1);
UPDATE kvcrm.duplicate_pairs p SET probability = 0.6 FROM kvcrm.leads l WHERE l.id = p.lead_id AND l.name = 'Дубль Дублевич';
\set told `psql -XAtq -c "UPDATE kvcrm.leads SET company = 'Дубли' WHERE name = 'Дубль Дублевич'" 2>&1 | head -1`
SELECT is(:'told'::text, 'NOTICE:  3 leads have likely duplicates', 'an UPDATE of what is compared tells');
SELECT is((SELECT array_agg(s ORDER BY s) FROM (SELECT p.status || CASE WHEN p.probability = 0.6 THEN ' kept' ELSE ' refreshed' END AS s FROM kvcrm.duplicate_pairs p
            JOIN kvcrm.leads l ON l.id = p.lead_id WHERE l.name = 'Дубль Дублевич') q), '{"dismissed kept","open refreshed","open refreshed"}'::text[],
          'open pairs are refreshed, decided ones kept');
SELECT count(*) AS pairs FROM kvcrm.duplicate_pairs \gset
\set told `psql -XAtq -c "INSERT INTO kvcrm.leads (organization_id, name, email) SELECT test.id('a'), 'Масса Дублей', 'massa@dubli.ru' FROM generate_series(1, 101)" 2>&1`
SELECT is(:'told'::text, E'NOTICE:  many leads were written at once and not compared with others\nHINT:  Look for their duplicates with scan_duplicates().', 'more than 100 rows are not compared');
SELECT is((SELECT count(*) FROM kvcrm.duplicate_pairs), :pairs::bigint, 'nor put under review');
\set told `psql -XAtq -c "SELECT set_config('kvcrm.organization_id', test.id('a')::text, false); SELECT count(*) FROM kvcrm.import_leads((SELECT jsonb_agg(jsonb_build_object('name', 'Масса Импорта', 'email', 'massa' || n || '@import.ru')) FROM generate_series(1, 800) n))" 2>&1 | grep -c NOTICE`
SELECT is(:'told'::text, '1', 'an import of many batches says so once');
\set told `psql -XAtq -c "SELECT set_config('kvcrm.organization_id', test.id('a')::text, false); SELECT count(*) FROM kvcrm.import_leads((SELECT jsonb_agg(jsonb_build_object('name', 'Кто-то ' || md5(n::text), 'email', CASE WHEN n % 9 > 0 THEN md5(n::text) || '@' || n || '.ru' ELSE 'x' END)) FROM generate_series(1, 300) n))" 2>&1 | grep NOTICE`
SELECT is(:'told'::text, 'NOTICE:  many leads were written at once and not compared with others', 'also one whose batches are small for its bad rows');

-- A call may choose.
SELECT count(*) AS pairs FROM kvcrm.duplicate_pairs \gset
\set told `psql -XAtq -c "SELECT test.as_user('manager', 'SELECT id FROM kvcrm.create_lead(''Дубль Дублевич'', ''dubl@dubli.ru'', on_duplicate => ''allow'')')" 2>&1 | grep -vE '^[0-9a-f-]{36}$'`
SELECT is(:'told'::text, '', 'on_duplicate allow says nothing');
SELECT is((SELECT count(*) FROM kvcrm.duplicate_pairs), :pairs::bigint, 'and records nothing');
SELECT is(e.code || ' ' || test.named(e.detail), '23505 Lead ID.', 'on_duplicate block refuses')
  FROM test.error_of($$ SELECT test.as_user('manager', 'SELECT id FROM kvcrm.create_lead(''Дубль'', ''dubl@dubli.ru'', on_duplicate => ''block'')') $$) e;
SELECT is(e.code || ' ' || e.detail, '23505 ', 'naming no hidden lead')
  FROM test.error_of($$ SELECT test.as_user('rep', 'SELECT id FROM kvcrm.create_lead(''Дубль'', ''dubl@dubli.ru'', on_duplicate => ''block'')') $$) e;
SELECT is((test.error_of($$ SELECT kvcrm.create_lead('x', on_duplicate => 'maybe', organization_id => test.id('a')) $$)).code, '22023', 'on_duplicate knows three words');
UPDATE kvcrm.organizations SET duplicate_policy = 'allow' WHERE id = test.id('a');
\set told `psql -XAtq -c "SELECT test.as_user('manager', 'SELECT id FROM kvcrm.create_lead(''Дубль Дублевич'', ''dubl@dubli.ru'')')" 2>&1 | grep -vE '^[0-9a-f-]{36}$'`
SELECT is(:'told'::text, '', 'under allow nothing is said');
SELECT is((SELECT count(*) FROM kvcrm.duplicate_pairs), :pairs::bigint, 'nor recorded');
\set told `psql -XAtq -c "SELECT test.as_user('manager', 'SELECT id FROM kvcrm.create_lead(''Дубль Дублевич'', ''dubl@dubli.ru'', on_duplicate => ''warn'')')" 2>&1 | grep -c NOTICE`
SELECT is(:'told'::text, '1', 'unless the call asks for it');
SELECT cmp_ok((SELECT count(*) FROM kvcrm.duplicate_pairs), '>', :pairs::bigint, 'then it is recorded');
SELECT cmp_ok((SELECT max(n) FROM (SELECT count(*) AS n FROM kvcrm.duplicate_pairs p, kvcrm.leads l WHERE l.id IN (p.lead_id, p.other_lead_id) AND l.name = 'Дубль Дублевич'
               GROUP BY l.id) s), '<=', 10::bigint, 'ten of a lead at most');

SELECT * FROM finish();
