-- import_leads: bad rows are reported, the others load.
\ir include/two_organizations.sql

CREATE FUNCTION test.import(rows jsonb, dry_run boolean DEFAULT false) RETURNS TABLE (row_no int, outcome text, lead_id uuid, error text) LANGUAGE sql AS $$
    SELECT * FROM kvcrm.import_leads(rows, dry_run => dry_run, organization_id => test.id('a')) $$;

-- The lead that became of one row, read by a statement of its own, which sees what the import wrote.
CREATE FUNCTION test.imported(fields jsonb) RETURNS kvcrm.leads LANGUAGE plpgsql AS $$
DECLARE
    created uuid;
    lead kvcrm.leads;
BEGIN
    SELECT i.lead_id INTO created FROM test.import(jsonb_build_array(fields)) i;
    SELECT * INTO lead FROM kvcrm.leads l WHERE l.id = created;
    RETURN lead;
END
$$;

-- --- what a row may hold ---

SELECT test.keep('full', lead_id) FROM test.import(jsonb_build_array(jsonb_build_object('name', ' Иван ', 'email', 'Ivan+x@gmail.com', 'phone', '8 (495) 123-45-67', 'company', 'ООО', 'position', 'директор', 'inn', '7707083893', 'source', 'event',
    'stage_id', test.stage('a', 2), 'assigned_to', test.id('rep'), 'estimated_value', 5.5, 'currency', 'EUR', 'custom_fields', '{"a": 1}'::jsonb)));
SELECT is((SELECT row(name, email, email_normalized, phone, company, "position", inn, source, stage_id, status, assigned_to, estimated_value, currency::text, custom_fields, created_by, version) FROM kvcrm.leads WHERE id = test.id('full')),
          row('Иван'::text, 'Ivan+x@gmail.com'::text, 'ivan@gmail.com'::text, '+74951234567'::text, 'ООО'::text, 'директор'::text, '7707083893'::text, 'event'::text, test.stage('a', 2), 'contacted'::text, test.id('rep'), 5.50::numeric, 'EUR'::text, '{"a": 1}'::jsonb, NULL::uuid, 1), 'every column of a lead is loaded, normalised');
SELECT is((SELECT l."position" FROM test.imported('{"name": "x", "job_title": " бухгалтер "}') l), 'бухгалтер', 'job_title stands for position');
SELECT is((SELECT row(l.email, l.phone, l.company, l."position", l.inn, l.source, l.currency::text) FROM test.imported('{"name": "x", "email": "", "phone": " ", "company": "", "position": "", "inn": "", "source": "", "currency": ""}') l),
          row(NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, 'RUB'::text), 'empty strings are empty fields');
SELECT is((SELECT outcome FROM test.import('[{"name": "x", "assigned_to": null, "stage_id": null, "estimated_value": null, "custom_fields": null}]')), 'created', 'nulls are empty fields');
SELECT is((SELECT outcome FROM test.import('[{"name": "x", "shoe_size": 43, "id": "y", "organization_id": "z", "version": "w"}]')), 'created', 'unknown keys are passed over');
SELECT is((SELECT row(l.organization_id, l.version, l.converted_at, l.board_rank <> '!') FROM test.imported(jsonb_build_object('name', 'x', 'organization_id', test.id('b'), 'version', 99, 'converted_at', '2020-01-01', 'board_rank', '!', 'status', 'lost')) l),
          row(test.id('a'), 1, NULL::timestamptz, true), 'and can''t fake anything');
SELECT is((SELECT l.name FROM test.imported('{"name": 12345}') l), '12345', 'a number is a text where one is wanted');

-- --- bad rows ---

CREATE TABLE test.bad (n int, cell jsonb, error text);
INSERT INTO test.bad VALUES (1, '{}', '%name%'), (2, '{"name": " "}', '%name%'), (3, '{"name": "x", "email": "x"}', '%email%'), (4, '{"name": "x", "inn": "7707083894"}', '%inn%'), (5, '{"name": "x", "estimated_value": "dear"}', '%numeric%'),
    (6, '{"name": "x", "estimated_value": -1}', '%estimated_value%'), (7, '{"name": "x", "stage_id": "first"}', '%uuid%'), (8, '"x"', '%'), (9, 'null', '%'), (10, '[]', '%'), (11, '7', '%'),
    (12, '{"name": "x", "assigned_to": "00000000-0000-0000-0000-000000000000"}', '%assignee%'), (13, '{"name": "x", "custom_fields": []}', '%custom_fields%'), (14, '{"name": "x", "currency": "rub"}', '%currency%');
INSERT INTO test.bad VALUES (16, '{"name": "x", "currency": "рубли"}', 'currency: %"рубли"');
INSERT INTO test.bad SELECT 17, jsonb_build_object('name', 'x', 'stage_id', repeat('ж', 100000)), 'stage_id: % "' || repeat('ж', 50) || '…"';
INSERT INTO test.bad SELECT 15, jsonb_build_object('name', repeat('ж', 256)), '%too long%';
SELECT is((SELECT array_agg(i.outcome ORDER BY i.row_no) FROM test.import(jsonb_build_array('{"name": "before"}'::jsonb, cell, '{"name": "after"}'::jsonb)) i), ARRAY['created', 'error', 'created'], 'a bad row alone is refused: ' || left(cell::text, 60)) FROM test.bad ORDER BY n;
SELECT ok(i.error LIKE b.error AND i.lead_id IS NULL, 'and why: ' || coalesce(i.error, 'nothing')) FROM test.bad b, LATERAL test.import(jsonb_build_array(b.cell)) i ORDER BY n;
SELECT is_empty($$ SELECT i.error FROM test.import((SELECT jsonb_agg(cell) FROM test.bad)) i WHERE i.error LIKE '%Failing row%' $$, 'without the row as the table has it');
SELECT is((SELECT count(*) FROM kvcrm.leads WHERE name = 'before') + (SELECT count(*) FROM kvcrm.leads WHERE name = 'after'), 34::bigint, 'the good rows are there');

-- 1 000 rows, every seventh of which is bad in one of the ways above.
CREATE TABLE test.rows AS SELECT i, CASE WHEN i % 7 = 3 THEN (SELECT cell FROM test.bad WHERE n = 1 + i % 15) ELSE jsonb_build_object('name', 'Импорт ' || lpad(i::text, 4, '0'), 'phone', '8 495 ' || (1000000 + i)) END AS cell FROM generate_series(1, 1000) AS i;
CREATE TABLE test.log AS SELECT count(*) AS n FROM kvcrm.activity_logs;
CREATE TABLE test.answers AS SELECT row_number() OVER () AS place, i.* FROM test.import((SELECT jsonb_agg(cell ORDER BY i) FROM test.rows)) i;
SELECT is((SELECT count(*) FROM test.answers), 1000::bigint, 'every row is answered');
SELECT is_empty($$ SELECT FROM test.answers WHERE place <> row_no $$, 'in order');
SELECT is((SELECT array_agg(row_no ORDER BY row_no) FROM test.answers WHERE outcome = 'error'), (SELECT array_agg(i ORDER BY i) FROM test.rows WHERE i % 7 = 3), 'the bad ones are the bad ones');
SELECT is_empty($$ SELECT FROM test.answers a JOIN test.rows r ON r.i = a.row_no LEFT JOIN kvcrm.leads l ON l.id = a.lead_id WHERE a.outcome = 'created' AND l.name IS DISTINCT FROM r.cell->>'name' OR (a.outcome = 'created') = (a.lead_id IS NULL) OR (a.outcome = 'error') = (a.error IS NULL) $$, 'each answer bears the id of its row''s lead, or an error');
SELECT is((SELECT count(*) FROM kvcrm.leads WHERE name LIKE 'Импорт %'), (SELECT count(*) FROM test.rows WHERE i % 7 <> 3), 'all others are there, once');
SELECT is((SELECT array_agg(name ORDER BY board_rank, id) FROM kvcrm.leads WHERE name LIKE 'Импорт %'), (SELECT array_agg(cell->>'name' ORDER BY i) FROM test.rows WHERE i % 7 <> 3), 'lined up on the board in the order of the file');
SELECT is((SELECT count(*) FROM kvcrm.activity_logs) - n, (SELECT count(*) FROM test.rows WHERE i % 7 <> 3), 'one log row each') FROM test.log;
SELECT is((SELECT count(*) FROM kvcrm.leads l LEFT JOIN kvcrm.lead_fingerprints f USING (id) LEFT JOIN kvcrm.lead_stage_history h ON h.lead_id = l.id WHERE l.name LIKE 'Импорт %' AND (f.id IS NULL OR h.id IS NULL)), 0::bigint, 'with fingerprint and history');
SELECT is((SELECT count(*) FROM test.import((SELECT jsonb_agg('{}'::jsonb) FROM generate_series(1, 300))) i WHERE i.outcome = 'error'), 300::bigint, 'an import of nothing but errors ends');
SELECT is((SELECT count(*) FROM test.import('[]')), 0::bigint, 'an empty import is empty');

-- Addresses that are none stand alone from the start: the good rows around them are written once.
BEGIN;
-- What transactions before have written may be in the figures still.
SELECT n_tup_ins AS inserted FROM pg_stat_xact_user_tables WHERE relid = 'kvcrm.leads'::regclass \gset
SELECT is((SELECT count(*) FROM test.import((SELECT jsonb_agg(jsonb_build_object('name', 'x', 'email', CASE WHEN n % 20 > 0 THEN n || '@x.ru' ELSE 'x' END)) FROM generate_series(1, 250) n)) i WHERE i.outcome = 'created'), 238::bigint, 'bad addresses here and there');
SELECT is(n_tup_ins - :inserted, 238::bigint, 'nothing is written and undone for them') FROM pg_stat_xact_user_tables WHERE relid = 'kvcrm.leads'::regclass;
ROLLBACK;

-- --- dry run ---

CREATE TABLE test.before AS SELECT test.everything() AS it;
SELECT is((SELECT array_agg(i.outcome ORDER BY i.row_no) FROM test.import('[{"name": "x"}, {"name": ""}, {"name": "y"}]', true) i), ARRAY['created', 'error', 'created'], 'a dry run answers the same');
SELECT is(test.everything(), it, 'and writes nothing') FROM test.before;

-- --- duplicates under the policy block ---

SELECT kvcrm.create_organization('Строгая', owner_id => test.id('owner'), organization_id => test.id('unknown')) IS NOT NULL;
UPDATE kvcrm.organizations SET duplicate_policy = 'block' WHERE id = test.id('unknown');
SELECT is((SELECT array_agg(i.outcome ORDER BY i.row_no) FROM kvcrm.import_leads('[{"name": "1", "email": "a@x.ru"}, {"name": "2", "email": "A@x.ru"}, {"name": "3", "email": "b@x.ru"}]', organization_id => test.id('unknown')) i), ARRAY['created', 'error', 'created'], 'a duplicate inside the file is refused, the first stays');

-- --- memory ---

BEGIN;
SELECT count(*) AS created FROM test.import((SELECT jsonb_agg(jsonb_build_object('name', 'Память ' || i)) FROM generate_series(1, 4096) AS i)) \g /dev/null
SELECT cmp_ok((SELECT coalesce(sum(total_bytes), 0)::int FROM pg_backend_memory_contexts WHERE name = 'CurTransactionContext'), '<', 1 << 20, 'batches that are over keep no memory');
ROLLBACK;

-- --- who may, and what is no import ---

SELECT throws_ok(format('SELECT test.as_user(%L, %L)', who, $$ SELECT count(*) FROM kvcrm.import_leads('[{"name": "x"}]', organization_id => test.id('a')) $$), '42501', NULL, coalesce(who, 'nobody') || ' can''t import') FROM unnest(ARRAY['rep', 'owner_b', 'suspended', 'stranger', NULL]) AS who;
SELECT test.keep('managers', test.as_user('manager', $$ SELECT i.lead_id FROM kvcrm.import_leads('[{"name": "x"}]') i $$)::uuid);
SELECT is(created_by, test.id('manager'), 'a manager can, and created the leads') FROM kvcrm.leads WHERE id = test.id('managers');
SELECT throws_ok(format('SELECT * FROM test.import(%L)', rows), '22023', NULL, 'no array: ' || coalesce(rows::text, 'null')) FROM unnest(ARRAY['{}', '"x"', '7', 'null', 'true', NULL]::jsonb[]) AS rows;
SELECT throws_ok($$ SELECT * FROM kvcrm.import_leads('[]', on_duplicate => 'maybe', organization_id => test.id('a')) $$, '22023', NULL, 'on_duplicate must be known');
SELECT throws_ok($$ SELECT * FROM kvcrm.import_leads('[]', organization_id => '00000000-0000-0000-0000-00000000ffff') $$, '42501', NULL, 'the organization must be');
SELECT * FROM finish();
