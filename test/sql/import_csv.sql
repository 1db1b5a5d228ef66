-- import_leads_csv: what a file may look like, which header is which column, and what a cell says.
\ir include/two_organizations.sql

-- A line for each answer, with the lead that became of it.
CREATE FUNCTION test.load(csv text, mapping jsonb DEFAULT NULL, on_duplicate text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answers jsonb := (SELECT jsonb_agg(to_jsonb(i) ORDER BY i.row_no) FROM kvcrm.import_leads_csv(csv, mapping, on_duplicate, organization_id => test.id('a')) i);
BEGIN
    RETURN (SELECT string_agg(concat_ws('|', a->>'row_no', a->>'outcome', l.name, l.email, l.phone, l.company, a->>'error'), E'\n' ORDER BY (a->>'row_no')::int)
              FROM jsonb_array_elements(answers) a LEFT JOIN kvcrm.leads l ON l.id = (a->>'lead_id')::uuid);
END $$;
CREATE FUNCTION test.one(csv text, mapping jsonb DEFAULT NULL) RETURNS kvcrm.leads LANGUAGE plpgsql AS $$
DECLARE
    created uuid := (SELECT i.lead_id FROM kvcrm.import_leads_csv(csv, mapping, 'allow', organization_id => test.id('a')) i);
    lead kvcrm.leads;
BEGIN
    SELECT * INTO lead FROM kvcrm.leads l WHERE l.id = created;
    RETURN lead;
END $$;

-- --- the file ---

SELECT is(test.load(replace(replace(E'name,email,company;Иван,ivan@firm.ru,"ООО ""Рога""";Пётр,,;', ',', separator), ';', line_end)), E'1|created|Иван|ivan@firm.ru|ООО "Рога"\n2|created|Пётр', format('separated by %L, lines ended by %L', separator, line_end))
  FROM unnest(ARRAY[',', E'\t']) AS separator, unnest(ARRAY[E'\n', E'\r\n', E'\r']) AS line_end;
SELECT is(test.load(E'name;email\nИван, сын;ivan@firm.ru'), '1|created|Иван, сын|ivan@firm.ru', 'separated by semicolons');
SELECT is(test.load(E'"name, full";email\nx;y@y.ru', '{"name, full": "name"}'), '1|created|x|y@y.ru', 'a separator in quotes is none');
SELECT is(test.load(E'\ufeffname;email\nx;y@y.ru'), '1|created|x|y@y.ru', 'a byte order mark is dropped');
SELECT is(test.load(E'sep=;\r\nname;email\r\nx,;y@y.ru'), '1|created|x,|y@y.ru', 'sep= is understood');
SELECT is(test.load(E'\n\nname,company\n\n"a","Две\nстроки"\n,\n  ,  \nb,'), E'2|created|a|Две\nстроки\n5|created|b', 'quoted newlines; empty lines are passed over and counted');
SELECT is(test.load(E'name,email\na\nb,b@b.ru,c\nd,d@d.ru'), E'1|error|the row has 1 fields, the header 2\n2|error|the row has 3 fields, the header 2\n3|created|d|d@d.ru', 'rows that are too short or too long');
SELECT is(test.load(E'name\nпервый\n""\nвторой'), E'1|created|первый\n3|created|второй', 'one column');
SELECT is(test.load(E'name\r\nx\r'), '1|created|x', 'half a line end at the end, as shells leave it');
SELECT is(test.load('name,email'), NULL, 'a header only');
SELECT is(test.load(convert_from(convert_to(E'Имя;Компания\nЖора;Щит', encoding), encoding)), '1|created|Жора|Щит', 'bytes in ' || encoding) FROM unnest(ARRAY['WIN1251', 'KOI8R', 'ISO_8859_5', 'WIN866', 'UTF8']) AS encoding;
SELECT is((SELECT string_agg(i.outcome, ',') FROM kvcrm.import_leads_csv(E'name\n' || repeat('x', 100000) || E'\ny', organization_id => test.id('a')) i), 'error,created', 'a huge cell is an error of its row');
SELECT throws_ok(format('SELECT test.load(%L)', csv), '22023', NULL, 'refused: ' || what) FROM (VALUES
    ('', 'an empty file'), (E'\n\n', 'empty lines'), (NULL, 'null'), (',,', 'an empty header'), (E'name,name\nx,y', 'the same header twice'), (E'name,Имя\nx,y', 'two headers for a column'),
    (E'name,email\nx,"y\nz', 'a quote that never ends'), (E'name\nx\r\ny', 'line ends of several kinds'), (E'name\nx\n\\.\ny', 'the end mark of COPY'), (E'name,shoe size\nx,43', 'an unknown header'), (E'имя;"обувь";id\nx;43;1', 'unknown headers')) AS bad (csv, what);
CREATE TABLE test.told AS SELECT (test.error_of($$ SELECT test.load(E'имя;"обувь";id\nx;43;1') $$)).*;
SELECT is(detail, 'Unknown: обувь, id.', 'unknown headers are named') FROM test.told;
SELECT ok(hint LIKE '%{"обувь": null}%', 'and the way out') FROM test.told;
SELECT cmp_ok(length((test.error_of(format('SELECT test.load(%L)', header))).detail), '<', 3000, 'but not all that are there') FROM unnest(ARRAY[repeat('x', 100000), (SELECT string_agg('h' || i, ',') FROM generate_series(1, 10000) i)]) AS header;
SELECT is((SELECT count(*) FROM kvcrm.leads WHERE name = 'x' AND email = 'never'), 0::bigint, 'nothing of a refused file is loaded');
SELECT count(*) AS n FROM kvcrm.leads \gset
SELECT throws_ok($$ SELECT test.load(E'name\n' || (SELECT string_agg('r' || i, E'\n') FROM generate_series(1, 600) i) || E'\n"x') $$, '22023', NULL, 'a file that turns out to be no CSV at its end is refused');
SELECT is((SELECT count(*) FROM kvcrm.leads), :n::bigint, 'as a whole');

-- --- headers ---

SELECT is(row(l.name, l.email, l.phone, l.company, l."position", l.inn, l.source, l.estimated_value, l.currency::text, l.stage_id, l.assigned_to),
          row('Иван'::text, 'i@i.ru'::text, '+74951234567'::text, 'ООО'::text, 'директор'::text, '7707083893'::text, 'event'::text, 1234.50, 'EUR'::text, test.stage('a', 2), test.id('rep')), 'known headers: ' || headers)
  FROM (VALUES ('name;email;phone;company;position;inn;source;estimated_value;currency;stage_id;assigned_to'), ('Имя;Почта;Телефон;Компания;Должность;ИНН;Источник;Сумма;Валюта;Стадия;Ответственный'),
      ('ФИО; E-MAIL ;"телефон";Организация;job_title;инн;Source;Amount;CURRENCY;Этап;Assignee')) AS t (headers), test.one(headers || format(E'\nИван;i@i.ru;84951234567;ООО;директор;7707083893;event;1 234,50;EUR;%s;%s', test.stage('a', 2), test.id('rep'))) l;
SELECT is(row(l.stage_id, l.assigned_to, l.source), row(test.stage('a', 2), test.id('rep'), 'event'::text), 'stages, members and sources by name')
  FROM (SELECT s.name AS stage, m.display_name AS member, o.name AS source FROM kvcrm.lead_stages s, kvcrm.organization_members m, kvcrm.lead_sources o
         WHERE s.id = test.stage('a', 2) AND m.user_id = test.id('rep') AND m.organization_id = test.id('a') AND o.slug = 'event' AND o.organization_id = test.id('a')) t,
       test.one(format(E'name;stage;assignee;source\nx;%s;%s;%s', upper(stage), coalesce(member, test.id('rep')::text), source)) l;
SELECT is(test.load(E'name;stage\nx;Нет такой'), '1|error|stage_id: no stage has this name, and invalid input syntax for type uuid: "Нет такой"', 'an unknown stage');
SELECT is((test.one(E'A;B;C\nx;1;y', '{"A": "name", " b ": null, "C": "custom_fields.c"}')).custom_fields, '{"c": "y"}', 'a mapping names columns, custom fields, and what to leave out');
SELECT is((test.one(E'name;email\nx@x.ru;y', '{"name": "email", "email": "name"}')).email, 'x@x.ru', 'it goes before what is known');
SELECT is((test.one(E'Name;;\nx;1;2')).name, 'x', 'a column without a header is passed over');
SELECT throws_ok(format('SELECT test.load(E''name;b\nx;y'', %L)', mapping), '22023', NULL, 'no mapping: ' || mapping::text)
  FROM unnest(ARRAY['[]', '"x"', '7', '{"b": "shoe_size"}', '{"b": "status"}', '{"b": "id"}', '{"b": 7}', '{"c": null}', '{"b": ""}', '{"b": "name"}', '{"b": {"x": 1}}', '{"b": "organization_id"}', 'null']::jsonb[]) AS mapping;

-- --- cells ---

INSERT INTO kvcrm.custom_field_definitions (organization_id, entity, key, type, options) VALUES (test.id('a'), 'lead', 'budget', 'number', '{}'), (test.id('a'), 'lead', 'vip', 'boolean', '{}'), (test.id('a'), 'lead', 'since', 'date', '{}'), (test.id('a'), 'lead', 'size', 'select', '{S,M}'), (test.id('a'), 'lead', 'note', 'text', '{}');
SELECT is((test.one(E'name;budget;vip;since;size;custom_fields.note\nx;1 000,5;да;31.12.2026;M;"a ""b"" \\\\"')).custom_fields, '{"vip": true, "note": "a \"b\" \\\\", "size": "M", "since": "2026-12-31", "budget": 1000.5}', 'cells of custom fields take their types');
SELECT is((test.one(E'name;budget;vip\nx;;')).custom_fields, '{}', 'empty cells are no values');
SELECT ok(test.load(format(E'name;%s\nx;%s', key, cell)) LIKE '1|error|%' || key || '%', format('%s can''t be %s', key, cell)) FROM (VALUES ('budget', 'дорого'), ('vip', 'может быть'), ('since', '31.02.2026'), ('since', 'вчера'), ('size', 'XL')) AS t (key, cell);
SELECT is((test.one(E'name;сумма\nx;' || typed)).estimated_value, value, 'an amount: ' || typed) FROM (VALUES ('1234', 1234), ('1 234,50', 1234.50), ('"1,234.50"', 1234.50), ('1.234,50', 1234.50), (U&'1\00a0234\202f567,5 ₽', 1234567.5), ('$1,234,567', 1234567), ('0,5', 0.5), ('100 руб.', 100)) AS t (typed, value);
SELECT ok(test.load(E'name;сумма\nx;' || typed) LIKE '1|error|%estimated_value%', 'no amount: ' || typed) FROM unnest(ARRAY['1,234', '10.000', '12.345', '-1.234 ₽', 'много', '1-2', '12,34,56', '1e400', 'NaN', '-1', '99999999999999999999']) AS typed;

SELECT is((SELECT i.outcome FROM kvcrm.import_leads('[{"name": "x", "estimated_value": 12.345}]', organization_id => test.id('a')) i), 'created', 'numbers of JSON are typed by nobody');
SELECT is((test.one(E'name;сумма\nx;0.125')).estimated_value, 0.13, 'no thousands begin with 0');

-- --- who may ---

SELECT throws_ok($$ SELECT test.as_user('rep', $q$ SELECT count(*) FROM kvcrm.import_leads_csv(E'name\nx') $q$) $$, '42501', NULL, 'it needs leads:import');
SELECT is(test.as_user('manager', $$ SELECT i.outcome FROM kvcrm.import_leads_csv(E'name\nx', dry_run => true) i $$), 'created', 'a manager has it');
SELECT is(format, 'csv', 'the ledger tells what came') FROM kvcrm.lead_imports ORDER BY id DESC LIMIT 1;
SELECT * FROM finish();
