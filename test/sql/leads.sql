-- Leads: what holds whichever way one is written, and the functions on one lead.
-- inconsistent: INNs are written while the check is off
\ir include/two_organizations.sql

-- --- ways of writing ---

-- Writes the fields of a lead in one of the ways there are and returns the lead; `author` is whose request it is.
CREATE FUNCTION test.write(way text, fields jsonb) RETURNS kvcrm.leads LANGUAGE plpgsql AS $$
DECLARE
    body jsonb := CASE WHEN fields ? 'name' THEN fields ELSE fields || '{"name": "Имя"}' END;
    file text := format('%s/%s.copy', current_setting('data_directory'), current_database());
    columns record;
    existing uuid;
    imported record;
    lead kvcrm.leads;
BEGIN
    CASE way
        WHEN 'create_lead' THEN
            SELECT * INTO lead FROM kvcrm.create_lead(body->>'name', body->>'email', body->>'phone', body->>'company',
                body->>'position', body->>'inn', body->>'source', (body->>'stage_id')::uuid, (body->>'assigned_to')::uuid,
                (body->>'estimated_value')::numeric, body->>'currency', nullif(body->'custom_fields', 'null'),
                organization_id => test.id('a'));
        WHEN 'import_leads' THEN
            SELECT * INTO imported FROM kvcrm.import_leads(jsonb_build_array(body), organization_id => test.id('a'));
            IF imported.error IS NOT NULL THEN
                RAISE EXCEPTION USING ERRCODE = 'KVIMP', MESSAGE = imported.error;
            END IF;
            SELECT * INTO lead FROM kvcrm.leads l WHERE l.id = imported.lead_id;
        WHEN 'POST' THEN
            SELECT * INTO lead FROM jsonb_populate_record(NULL::kvcrm.leads, test.post('manager', body));
        WHEN 'PATCH' THEN
            existing := (test.post('manager', '{"name": "Прежнее имя"}')->>'id')::uuid;
            SELECT * INTO lead FROM jsonb_populate_record(NULL::kvcrm.leads, test.patch('manager', existing, fields));
        WHEN 'INSERT' THEN
            columns := test.columns_of(body);
            EXECUTE format('INSERT INTO kvcrm.leads (organization_id, %1$s) SELECT $2, %1$s FROM jsonb_to_record($1) AS _ (%2$s)'
                ' RETURNING *', columns.names, columns.definitions) INTO lead USING body, test.id('a');
        WHEN 'UPDATE' THEN
            INSERT INTO kvcrm.leads (organization_id, name) VALUES (test.id('a'), 'Прежнее имя') RETURNING id INTO existing;
            columns := test.columns_of(fields);
            EXECUTE format('UPDATE kvcrm.leads l SET %s FROM jsonb_to_record($1) AS pgrst_body (%s) WHERE l.id = $2 RETURNING l.*',
                columns.assignments, columns.definitions) INTO lead USING fields, existing;
        WHEN 'COPY' THEN
            columns := test.columns_of(body);
            EXECUTE format('COPY (SELECT %L::uuid, %s FROM jsonb_to_record(%L) AS _ (%s)) TO %L',
                test.id('a'), columns.names, body, columns.definitions, file);
            EXECUTE format('COPY kvcrm.leads (organization_id, %s) FROM %L', columns.names, file);
            SELECT * INTO lead FROM kvcrm.leads l ORDER BY l.id DESC LIMIT 1;
    END CASE;
    RETURN lead;
END
$$;

-- What a way of writing made of the fields: those named in `expected`, or the SQLSTATE. import_leads tells no SQLSTATE:
-- there the expected one counts as met by any reported error.
CREATE FUNCTION test.outcome(way text, fields jsonb, expected jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT jsonb_object_agg(e.key, to_jsonb(w)->e.key)
              FROM test.write(way, fields) w, jsonb_object_keys(expected) AS e (key));
EXCEPTION
    WHEN invalid_parameter_value THEN RETURN to_jsonb(SQLSTATE);  -- from jsonb_object_keys, when an error was expected
    WHEN OTHERS THEN RETURN CASE WHEN SQLSTATE = 'KVIMP' AND jsonb_typeof(expected) = 'string' THEN expected
                                 ELSE to_jsonb(SQLSTATE) END;
END
$$;

CREATE TABLE test.ways (way text PRIMARY KEY, n int);
INSERT INTO test.ways VALUES ('create_lead', 1), ('import_leads', 2), ('POST', 3), ('PATCH', 4), ('INSERT', 5), ('UPDATE', 6),
    ('COPY', 7);

CREATE TABLE test.cases (n int GENERATED ALWAYS AS IDENTITY, rule text, fields jsonb, expected jsonb);

-- Trimming: ASCII, controls, and the spaces of Unicode, which editors and web pages leave behind.
INSERT INTO test.cases (rule, fields, expected) VALUES
    ('spaces around the name go', '{"name": "  Иван Петров "}', '{"name": "Иван Петров"}'),
    ('tabs and line ends around the name go', '{"name": "\t\r\nИван Петров\n"}', '{"name": "Иван Петров"}'),
    ('Unicode spaces around the name go', '{"name": "\u00a0\u2003\u3000Иван Петров\u202f\u200b\ufeff"}', '{"name": "Иван Петров"}'),
    ('spaces inside the name stay', '{"name": "Иван  Петров"}', '{"name": "Иван  Петров"}'),
    ('other texts are trimmed too',
     '{"email": " ivan@firma.ru ", "phone": " 12-34 ", "company": "\u00a0ООО Ромашка\u00a0", "position": " директор ", "inn": " 7707083893 ", "source": " website\t"}',
     '{"email": "ivan@firma.ru", "phone": "12-34", "company": "ООО Ромашка", "position": "директор", "inn": "7707083893", "source": "website"}'),
    ('empty texts become null',
     '{"email": "", "phone": "", "company": "", "position": "", "inn": "", "source": ""}',
     '{"email": null, "phone": null, "company": null, "position": null, "inn": null, "source": null, "email_normalized": null, "phone_e164": null}'),
    ('blank texts become null',
     '{"email": " ", "phone": "\t", "company": "\u00a0", "position": "\u3000", "inn": " \n", "source": "\u200b"}',
     '{"email": null, "phone": null, "company": null, "position": null, "inn": null, "source": null}'),
    ('a blank currency is the organization''s', '{"currency": ""}', '{"currency": "RUB"}'),
    ('an empty name is refused', '{"name": ""}', '"23514"'),
    ('a blank name is refused', '{"name": " \u00a0\t"}', '"23514"');

-- E-mail.
INSERT INTO test.cases (rule, fields, expected)
SELECT 'e-mail ' || typed || ' is normalised', jsonb_build_object('email', typed),
       jsonb_build_object('email', typed, 'email_normalized', normalized)
  FROM (VALUES ('Ivan.Petrov+crm@GMail.com', 'ivanpetrov@gmail.com'), ('i.v.a.n@googlemail.com', 'ivan@gmail.com'),
               ('Ivan.Petrov+crm@Yandex.RU', 'ivan.petrov@yandex.ru'), ('o''brien@firma.co.uk', 'o''brien@firma.co.uk'),
               ('иван@почта.рф', 'иван@xn--80a1acny.xn--p1ai')) AS e (typed, normalized);
INSERT INTO test.cases (rule, fields, expected)
SELECT 'e-mail ' || typed || ' is refused', jsonb_build_object('email', typed), '"23514"'
  FROM unnest(ARRAY['ivan', 'ivan@', '@firma.ru', 'ivan petrov@firma.ru', 'ivan@firma', 'ivan@@firma.ru', 'ivan@firma..ru',
                    '.ivan@firma.ru', 'ivan@-firma.ru', 'ivan@firma.ru, petr@firma.ru', 'Иван <ivan@firma.ru>',
                    'ivan@firma.ru''; DROP TABLE kvcrm.leads; --']) AS typed;

-- Phone: national notations of the organization's country, international ones, and what can't be understood.
INSERT INTO test.cases (rule, fields, expected)
SELECT 'phone ' || typed || ' becomes E.164', jsonb_build_object('phone', typed),
       jsonb_build_object('phone', '+74951234567', 'phone_e164', '+74951234567')
  FROM unnest(ARRAY['8 (495) 123-45-67', '+7 495 123-45-67', '84951234567', '495 123 45 67', '7 495 1234567',
                    '+7(495)1234567', '007 495 123 45 67']) AS typed;
INSERT INTO test.cases (rule, fields, expected) VALUES
    ('a foreign phone becomes E.164', '{"phone": "+1 (650) 253-0000"}', '{"phone": "+16502530000", "phone_e164": "+16502530000"}');
INSERT INTO test.cases (rule, fields, expected)
SELECT 'phone ' || typed || ' is kept as typed', jsonb_build_object('phone', typed),
       jsonb_build_object('phone', typed, 'phone_e164', NULL)
  FROM unnest(ARRAY['12-34', 'спросить Ивана', '+7 999', '8 (495) 123-45-67-89-10']) AS typed;

-- INN.
INSERT INTO test.cases (rule, fields, expected)
SELECT 'INN ' || inn || ' is accepted', jsonb_build_object('inn', inn), jsonb_build_object('inn', inn)
  FROM unnest(ARRAY['7707083893', '500100732259']) AS inn;
INSERT INTO test.cases (rule, fields, expected)
SELECT 'INN ' || inn || ' is refused', jsonb_build_object('inn', inn), '"23514"'
  FROM unnest(ARRAY['7707083894', '500100732250', '500100732359', '770708389', '77070838931', '7707083893012', 'семь',
                    '0000000000', '7707 083893', '٧٧٠٧٠٨٣٨٩٣']) AS inn;

-- Lengths, in characters: ж has two bytes, 😀 four.
INSERT INTO test.cases (rule, fields, expected)
SELECT format('%s of %s %s fits', name, size, letter), jsonb_build_object(name, repeat(letter, size)),
       jsonb_build_object(name, repeat(letter, size))
  FROM (VALUES ('name', 255), ('company', 255), ('phone', 100), ('position', 100), ('source', 100)) AS c (name, size),
       unnest(ARRAY['ж', '😀']) AS letter;
INSERT INTO test.cases (rule, fields, expected)
SELECT format('%s of %s %s is refused', name, size, letter), jsonb_build_object(name, repeat(letter, size)), '"22001"'
  FROM (VALUES ('name', 256), ('email', 256), ('company', 256), ('phone', 101), ('position', 101), ('source', 101), ('inn', 101))
           AS c (name, size), unnest(ARRAY['x', '😀']) AS letter;
INSERT INTO test.cases (rule, fields, expected) VALUES
    ('what trimming takes away does not count', jsonb_build_object('name', repeat(' ', 300) || repeat('ж', 255) || repeat(' ', 300)),
     jsonb_build_object('name', repeat('ж', 255))),
    ('custom_fields of nearly 64 KiB fit', jsonb_build_object('custom_fields', jsonb_build_object('k', repeat('x', 65000))),
     jsonb_build_object('custom_fields', jsonb_build_object('k', repeat('x', 65000)))),
    ('custom_fields of more than 64 KiB are refused', jsonb_build_object('custom_fields', jsonb_build_object('k', repeat('x', 66000))), '"22001"'),
    ('custom_fields that compress well are refused all the same', jsonb_build_object('custom_fields', jsonb_build_object('k', repeat('x', 10000000))), '"22001"'),
    ('custom_fields may be missing', '{"custom_fields": null}', '{"custom_fields": {}}'),
    ('custom_fields must be an object, no array', '{"custom_fields": [1]}', '"23514"'),
    ('custom_fields must be an object, no text', '{"custom_fields": "x"}', '"23514"'),
    ('custom_fields must be an object, no number', '{"custom_fields": 1}', '"23514"');

-- Value and currency.
INSERT INTO test.cases (rule, fields, expected) VALUES
    ('a value of 0 is accepted', '{"estimated_value": 0}', '{"estimated_value": 0.00}'),
    ('a value is rounded to two digits', '{"estimated_value": 10.005}', '{"estimated_value": 10.01}'),
    ('the largest value fits', '{"estimated_value": 9999999999999999.99}', '{"estimated_value": 9999999999999999.99}'),
    ('a negative value is refused', '{"estimated_value": -0.01}', '"23514"'),
    ('a value that is no number is refused', '{"estimated_value": "NaN"}', '"23514"'),
    ('an infinite value is refused', '{"estimated_value": "Infinity"}', '"22003"'),
    ('a value out of range is refused', '{"estimated_value": 10000000000000000}', '"22003"'),
    ('a currency is kept', '{"currency": "EUR"}', '{"currency": "EUR"}'),
    ('a missing currency is the organization''s', '{"currency": null}', '{"currency": "RUB"}'),
    ('a currency in lower case is refused', '{"currency": "eur"}', '"23514"'),
    ('a currency of two letters is refused', '{"currency": "EU"}', '"23514"'),
    ('a currency of four letters is refused', '{"currency": "EURO"}', '"22001"');

SELECT is(test.outcome(w.way, c.fields, c.expected), c.expected, format('%s: %s', w.way, left(c.rule, 200)))
  FROM test.cases c, test.ways w ORDER BY c.n, w.n;

SELECT throws_ok($$ SELECT test.write('POST', '{"name": null}') $$, '23514', 'lead name is required', 'POST: a null name is refused');
SELECT throws_ok($$ SELECT test.write('PATCH', '{"name": null}') $$, '23514', 'lead name is required', 'PATCH: a null name is refused');
SELECT throws_ok($$ SELECT test.write('COPY', '{"name": null}') $$, '23514', 'lead name is required', 'COPY: a null name is refused');
SELECT throws_ok($$ INSERT INTO kvcrm.leads (organization_id) VALUES (test.id('a')) $$, '23514', NULL, 'INSERT: a lead without name is refused');
SELECT throws_ok($$ SELECT kvcrm.create_lead(NULL, organization_id => test.id('a')) $$, '22023', 'name is required', 'create_lead: a null name is refused');
SELECT is((test.error_of($$ SELECT test.write('POST', '{"email": "ivan"}') $$)).column_name, 'email', 'an error names the column');

-- --- settings of the organization ---

UPDATE kvcrm.organizations SET settings = '{"inn_check": false}' WHERE id = test.id('a');
SELECT is((test.write(way, '{"inn": "7707083894"}')).inn, '7707083894', way || ': without inn_check any INN is accepted')
  FROM test.ways ORDER BY n;
UPDATE kvcrm.organizations SET settings = '{}' WHERE id = test.id('a');
SELECT throws_ok($$ SELECT test.write('POST', '{"inn": "7707083894"}') $$, '23514', NULL, 'with the check on again a wrong INN is refused');
SELECT lives_ok($$ UPDATE kvcrm.leads SET company = 'Другая' WHERE inn = '7707083894' $$, 'a wrong INN from before does not stand in the way of other changes');

UPDATE kvcrm.organizations SET default_country = 'DE', currency = 'EUR' WHERE id = test.id('b');
SELECT is((kvcrm.create_lead('Fritz', phone => '030 123456', organization_id => test.id('b'))).phone, '+4930123456', 'national phones are read in the organization''s country');
SELECT is((kvcrm.create_lead('Fritz', organization_id => test.id('b'))).currency::text, 'EUR', 'the currency is the organization''s');
SELECT throws_ok($$ UPDATE kvcrm.organizations SET default_country = 'XX' WHERE id = test.id('a') $$, '23514', NULL, 'an unknown country is refused');

-- --- a new lead ---

SELECT test.keep('new', id) FROM kvcrm.create_lead('Новый', organization_id => test.id('a'));
SELECT is(stage_id, test.stage('a', 1), 'a new lead is in the first open stage') FROM kvcrm.leads WHERE id = test.id('new');
SELECT is(status, 'new', 'its status is new') FROM kvcrm.leads WHERE id = test.id('new');
SELECT is(version, 1, 'its version is 1') FROM kvcrm.leads WHERE id = test.id('new');
SELECT is(created_by, NULL, 'created by the system: nobody') FROM kvcrm.leads WHERE id = test.id('new');
SELECT is(assigned_to, NULL, 'created by the system: assigned to nobody') FROM kvcrm.leads WHERE id = test.id('new');
SELECT is(score, 0, 'its score is 0') FROM kvcrm.leads WHERE id = test.id('new');

SELECT is((test.write(way, jsonb_build_object('stage_id', test.stage('a', 2)))).status, 'contacted', way || ': a named open stage is taken')
  FROM test.ways ORDER BY n;
SELECT is((test.write(way, jsonb_build_object('stage_id', test.stage('a', 3)))).status, 'qualified', way || ': an open stage may be qualified')
  FROM test.ways ORDER BY n;
SELECT ok((test.write(way, jsonb_build_object('stage_id', test.stage('a', 3)))).qualified_at IS NOT NULL, way || ': then qualified_at is set')
  FROM test.ways ORDER BY n;
SELECT throws_ok(format('SELECT test.write(%L, %L)', way, jsonb_build_object('stage_id', test.stage('a', stage))), '23514',
                 'a new lead starts in an open stage', format('%s: a new lead in closed stage %s is refused', way, stage))
  FROM test.ways, unnest(ARRAY[4, 5]) AS stage WHERE way NOT IN ('PATCH', 'UPDATE', 'import_leads') ORDER BY n;
SELECT throws_ok(format('SELECT test.write(%L, %L)', way, jsonb_build_object('stage_id', stage)), 'PT404', 'stage not found',
                 format('%s: %s stage is not found', way, what))
  FROM test.ways, (VALUES (test.id('unknown'), 'an unknown'), (test.stage('b', 1), 'another organization''s')) AS s (stage, what)
 WHERE way <> 'import_leads' ORDER BY n;
SELECT ok(test.outcome(way, jsonb_build_object('stage_id', test.id('unknown')), '"PT404"') = '"PT404"', way || ': an unknown stage is reported')
  FROM test.ways WHERE way = 'import_leads';

-- The end of the column: behind every card that was there.
SELECT is((SELECT count(*) FROM kvcrm.leads o WHERE o.organization_id = test.id('a') AND o.stage_id = w.stage_id
              AND o.id <> w.id AND o.board_rank >= w.board_rank), 0::bigint, way || ': a new lead is at the end of its column')
  FROM test.ways, LATERAL test.write(way, '{"name": "Последний"}') w WHERE way NOT IN ('PATCH', 'UPDATE') ORDER BY n;
INSERT INTO kvcrm.leads (organization_id, name) SELECT test.id('a'), 'Ряд ' || lpad(i::text, 4, '0') FROM generate_series(1, 1000) AS i;
SELECT is((SELECT array_agg(name ORDER BY board_rank, id) FROM kvcrm.leads WHERE name LIKE 'Ряд %'),
          (SELECT array_agg(name ORDER BY name) FROM kvcrm.leads WHERE name LIKE 'Ряд %'), 'leads of one statement are ranked in its order');
SELECT is((SELECT count(DISTINCT board_rank) FROM kvcrm.leads WHERE name LIKE 'Ряд %'), 1000::bigint, 'each with a rank of its own');

-- Creator and assignee.
SELECT is((test.as_user('rep', $$ SELECT l.assigned_to FROM kvcrm.create_lead('Мой') l $$))::uuid, test.id('rep'), 'create_lead: a rep''s lead is the rep''s');
SELECT is((test.as_user('rep', $$ SELECT l.created_by FROM kvcrm.create_lead('Мой') l $$))::uuid, test.id('rep'), 'create_lead: the creator is the acting user');
SELECT is((test.post('rep', '{"name": "Мой"}')->>'assigned_to')::uuid, test.id('rep'), 'POST: a rep''s lead is the rep''s');
SELECT is((test.post('rep', '{"name": "Мой"}')->>'created_by')::uuid, test.id('rep'), 'POST: the creator is the acting user');
SELECT is(test.post('manager', '{"name": "Общий"}')->>'assigned_to', NULL, 'who reads all leads may leave one to nobody');
SELECT is((test.as_backend_of('rep', $$ INSERT INTO kvcrm.leads (organization_id, name, created_by) VALUES (test.id('a'), 'Мой', test.id('owner')) RETURNING created_by $$))::uuid,
          test.id('rep'), 'a backend can''t create a lead in another user''s name');
SELECT is((test.as_backend_of('rep', $$ INSERT INTO kvcrm.leads (organization_id, name) VALUES (test.id('a'), 'Мой') RETURNING assigned_to $$))::uuid,
          test.id('rep'), 'through a backend a rep''s lead is the rep''s too');
SELECT throws_ok(format('SELECT test.write(%L, %L)', way, jsonb_build_object('assigned_to', test.id(whom))), '23514',
                 'an assignee must be an active member of the organization', format('%s: an assignee who is %s is refused', way, whom))
  FROM test.ways, unnest(ARRAY['suspended', 'owner_b', 'stranger']) AS whom WHERE way <> 'import_leads' ORDER BY n, whom;
SELECT is((test.write(way, jsonb_build_object('assigned_to', test.id('rep')))).assigned_to, test.id('rep'), way || ': an active member is accepted')
  FROM test.ways ORDER BY n;
SELECT throws_ok(format('SELECT test.post(%L, %L)', 'rep', jsonb_build_object('name', 'Чужой', 'assigned_to', test.id('other_rep'))), '42501', NULL,
                 'POST: a rep can''t assign a new lead to somebody else');
SELECT throws_ok($$ SELECT test.as_user('rep', $q$ SELECT kvcrm.create_lead('Чужой', assigned_to => test.id('other_rep')) $q$) $$, '42501', NULL,
                 'create_lead: a rep can''t assign a new lead to somebody else');
SELECT is((test.post('rep', jsonb_build_object('name', 'Свой', 'assigned_to', test.id('rep')))->>'assigned_to')::uuid, test.id('rep'), 'but to oneself');

-- --- what can't be faked ---

SELECT throws_ok(format('SELECT test.patch(%L, %L, %L)', 'owner', test.id('new'), jsonb_build_object(a.attname, NULL)), '42501', NULL,
                 'PATCH: even an owner can''t write ' || a.attname)
  FROM pg_attribute a
 WHERE a.attrelid = 'kvcrm.leads'::regclass AND a.attnum > 0 AND NOT a.attisdropped
   AND a.attname NOT IN ('name', 'email', 'phone', 'company', 'position', 'inn', 'source', 'stage_id', 'assigned_to',
                         'estimated_value', 'currency', 'custom_fields', 'lost_reason')
 ORDER BY a.attnum;
SELECT throws_ok(format('SELECT test.post(%L, %L)', 'owner', jsonb_build_object('name', 'x', a.attname, NULL)), '42501', NULL,
                 'POST: even an owner can''t write ' || a.attname)
  FROM pg_attribute a
 WHERE a.attrelid = 'kvcrm.leads'::regclass AND a.attnum > 0 AND NOT a.attisdropped
   AND a.attname NOT IN ('organization_id', 'name', 'email', 'phone', 'company', 'position', 'inn', 'source', 'stage_id',
                         'assigned_to', 'estimated_value', 'currency', 'custom_fields')
 ORDER BY a.attnum;
SELECT throws_ok($$ SELECT test.as_user('owner', 'DELETE FROM kvcrm.leads') $$, '42501', NULL, 'DELETE: even an owner can''t');
SELECT throws_ok($$ SELECT test.as_user('owner', 'TRUNCATE kvcrm.leads CASCADE') $$, '42501', NULL, 'TRUNCATE: even an owner can''t');
SELECT throws_ok($$ SELECT test.as_user('owner', 'SELECT * FROM kvcrm.lead_fingerprints') $$, '42501', NULL, 'fingerprints are not for clients');

INSERT INTO kvcrm.leads (organization_id, name, email, phone, status, version, board_rank, email_normalized, phone_e164, block_email, block_phone)
VALUES (test.id('a'), 'Подделка', 'Real@Firma.ru', '8 495 1234567', 'converted', 99, '!!!', 'fake@x.ru', '+70000000000', 'fake@x.ru', '+70000000000');
SELECT is(ARRAY[status, version::text, email_normalized, phone_e164, block_email, block_phone],
          ARRAY['new', '1', 'real@firma.ru', '+74951234567', NULL, NULL], 'INSERT: derived columns are derived, whatever is given')
  FROM kvcrm.leads WHERE name = 'Подделка';
SELECT isnt(board_rank, '!!!', 'INSERT: the rank is given by the column') FROM kvcrm.leads WHERE name = 'Подделка';
UPDATE kvcrm.leads SET status = 'lost', version = 99, updated_at = '2000-01-01', email_normalized = 'fake@x.ru', phone_e164 = '+70000000000',
       block_email = 'fake@x.ru', block_phone = '+70000000000' WHERE name = 'Подделка';
SELECT is(ARRAY[status, version::text, email_normalized, phone_e164, block_email, block_phone],
          ARRAY['new', '1', 'real@firma.ru', '+74951234567', NULL, NULL], 'UPDATE: derived columns stay as they are')
  FROM kvcrm.leads WHERE name = 'Подделка';
SELECT ok(updated_at > '2020-01-01', 'UPDATE: updated_at can''t be set') FROM kvcrm.leads WHERE name = 'Подделка';
SELECT throws_ok($$ UPDATE kvcrm.leads SET id = kvcrm.uuid_v7() WHERE name = 'Подделка' $$, '23514', 'id never changes', 'UPDATE: the id never changes');
SELECT throws_ok($$ UPDATE kvcrm.leads SET organization_id = test.id('b') WHERE name = 'Подделка' $$, '23514', 'organization_id never changes',
                 'UPDATE: the organization never changes');

SELECT throws_ok(format('UPDATE kvcrm.leads SET board_rank = %L WHERE name = %L', rank, 'Подделка'), '23514', 'lead board_rank is not a rank', format('UPDATE: a rank between which nothing fits is refused: "%s"', rank))
  FROM unnest(ARRAY['', '!', '10', 'ж', 'a b', '0']) AS rank;

-- --- version and updated_at ---

SELECT test.keep('v', id) FROM kvcrm.create_lead('Версия', email => 'v@firma.ru', organization_id => test.id('a'));
CREATE FUNCTION test.raises_version(change text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    before kvcrm.leads;
    after kvcrm.leads;
BEGIN
    SELECT * INTO before FROM kvcrm.leads WHERE id = test.id('v');
    EXECUTE format('UPDATE kvcrm.leads SET %s WHERE id = test.id(''v'')', change);
    SELECT * INTO after FROM kvcrm.leads WHERE id = test.id('v');
    IF after.version NOT IN (before.version, before.version + 1) OR (after.version > before.version) <> (after.updated_at > before.updated_at) THEN
        RAISE 'version % -> %, updated_at % -> %', before.version, after.version, before.updated_at, after.updated_at;
    END IF;
    RETURN after.version > before.version;
END
$$;
SELECT ok(test.raises_version($$ name = 'Версия 2' $$), 'a new name raises version and updated_at');
SELECT ok(test.raises_version($$ email = 'w@firma.ru' $$), 'a new e-mail does');
SELECT ok(test.raises_version($$ email = 'W@firma.ru' $$), 'an e-mail written otherwise does');
SELECT ok(test.raises_version($$ phone = '8 495 1234567' $$), 'a new phone does');
SELECT ok(test.raises_version($$ company = 'ООО', "position" = 'директор', inn = '7707083893', source = 'event' $$), 'several fields raise it once');
SELECT ok(test.raises_version($$ estimated_value = 5 $$), 'a value does');
SELECT ok(test.raises_version($$ currency = 'EUR' $$), 'a currency does');
SELECT ok(test.raises_version($$ custom_fields = '{"a": 1}' $$), 'a custom field does');
SELECT ok(test.raises_version($$ assigned_to = test.id('rep') $$), 'an assignee does');
SELECT ok(test.raises_version($$ stage_id = test.stage('a', 2) $$), 'a stage does');
SELECT ok(test.raises_version($$ board_rank = 'V1' $$), 'a rank does');
SELECT ok(test.raises_version($$ stage_id = test.stage('a', 5), lost_reason = 'дорого' $$), 'losing does');
SELECT ok(test.raises_version($$ lost_reason = 'очень дорого' $$), 'another reason does');
SELECT ok(test.raises_version($$ deleted_at = now() $$), 'deleting does');
SELECT ok(test.raises_version($$ deleted_at = NULL $$), 'restoring does');
SELECT ok(NOT test.raises_version($$ name = name $$), 'writing the same does not raise version or updated_at');
SELECT ok(NOT test.raises_version($$ name = '  Версия 2 ' $$), 'what is the same once trimmed does not');
SELECT ok(NOT test.raises_version($$ phone = '+7 (495) 123-45-67' $$), 'what is the same once normalised does not');
SELECT ok(NOT test.raises_version($$ estimated_value = 5.000 $$), 'an equal number does not');
SELECT ok(NOT test.raises_version($$ custom_fields = '{"a" : 1}' $$), 'equal JSON does not');
SELECT ok(NOT test.raises_version($$ status = 'new' $$), 'a faked status does not');
SELECT ok(NOT test.raises_version($$ score = 10 $$), 'scoring does not');
SELECT is(score, 10, 'and the score is kept') FROM kvcrm.leads WHERE id = test.id('v');

-- --- upsert, as PostgREST sends it ---

SELECT test.keep('u', id) FROM kvcrm.create_lead('Апсерт', email => 'u@firma.ru', organization_id => test.id('a'));
UPDATE kvcrm.leads SET stage_id = test.stage('a', 2) WHERE id = test.id('u');
CREATE TABLE test.upserted AS SELECT * FROM kvcrm.leads WHERE id = test.id('u');
SELECT test.as_backend_of('manager', format($$
    WITH pgrst_source AS (INSERT INTO "kvcrm"."leads"("id", "name", "organization_id", "phone")
        SELECT "pgrst_body"."id", "pgrst_body"."name", "pgrst_body"."organization_id", "pgrst_body"."phone"
          FROM (SELECT %L::json AS json_data) pgrst_payload, LATERAL (SELECT "id", "name", "organization_id", "phone"
                FROM json_to_recordset(pgrst_payload.json_data) AS _("id" uuid, "name" text, "organization_id" uuid, "phone" text)) pgrst_body
         WHERE set_config('pgrst.inserted', (coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0) + 1)::text, true) <> '0'
        ON CONFLICT("id", "organization_id") DO UPDATE SET "id" = EXCLUDED."id", "name" = EXCLUDED."name",
            "organization_id" = EXCLUDED."organization_id", "phone" = EXCLUDED."phone"
         WHERE set_config('pgrst.inserted', (coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0) - 1)::text, true) <> '-1'
        RETURNING "kvcrm"."leads".*) SELECT count(*) FROM pgrst_source $$,
    jsonb_build_array(jsonb_build_object('id', test.id('u'), 'organization_id', test.id('a'), 'name', ' Апсерт 2 ', 'phone', '8 495 1234567'),
                      jsonb_build_object('id', test.id('unknown'), 'organization_id', test.id('a'), 'name', 'Апсерт 3', 'phone', '')))) IS NOT NULL AS upserted;
SELECT is(ARRAY[name, phone, email], ARRAY['Апсерт 2', '+74951234567', 'u@firma.ru'], 'an upsert of an existing lead updates what it names, normalised')
  FROM kvcrm.leads WHERE id = test.id('u');
SELECT is(row(l.stage_id, l.status, l.board_rank, l.created_by, l.created_at, l.assigned_to, l.currency, l.version, l.stage_entered_at),
          row(u.stage_id, u.status, u.board_rank, u.created_by, u.created_at, u.assigned_to, u.currency, u.version + 1, u.stage_entered_at),
          'and leaves stage, rank, creator and assignee alone') FROM kvcrm.leads l JOIN test.upserted u USING (id);
SELECT is(row(name, phone, created_by, version), row('Апсерт 3'::text, NULL::text, test.id('manager'), 1), 'an upsert of a new lead creates it')
  FROM kvcrm.leads WHERE id = test.id('unknown');
SELECT results_eq($$ SELECT l.id, h.n, f.n, g.actions FROM kvcrm.leads l,
        LATERAL (SELECT count(*) FROM kvcrm.lead_stage_history h WHERE h.lead_id = l.id) AS h (n),
        LATERAL (SELECT count(*) FROM kvcrm.lead_fingerprints f WHERE f.id = l.id) AS f (n),
        LATERAL (SELECT string_agg(action, ' ' ORDER BY g.id) FROM kvcrm.activity_logs g WHERE g.entity_id = l.id) AS g (actions)
      WHERE l.id IN (test.id('u'), test.id('unknown')) ORDER BY l.name $$,
    $$ VALUES (test.id('u'), 2::bigint, 1::bigint, 'created moved updated'), (test.id('unknown'), 1, 1, 'created') $$,
    'history, fingerprint and log are those of an update and of an insert');
SELECT throws_ok($$ SELECT test.as_user('manager', $q$ INSERT INTO kvcrm.leads (id, name) VALUES (test.id('u'), 'x')
    ON CONFLICT (id, organization_id) DO UPDATE SET name = excluded.name $q$) $$, '42501', NULL, 'a client can''t choose ids');
SELECT is(test.as_user('manager', $$ INSERT INTO kvcrm.leads (name) VALUES ('Апсерт 4') ON CONFLICT (id, organization_id) DO UPDATE SET name = excluded.name RETURNING name $$),
          'Апсерт 4', 'an upsert without id creates a lead');
DELETE FROM kvcrm.leads WHERE id = test.id('unknown');

-- --- fingerprints ---

SELECT test.keep('f', id) FROM kvcrm.create_lead('Ёлкин Пётр', 'Petr@Firma.ru', '8 495 1234567', 'ООО «Ромашка»', 'директор', '7707083893', organization_id => test.id('a'));
SELECT is((SELECT count(*) FROM kvcrm.leads l FULL JOIN kvcrm.lead_fingerprints f USING (id, organization_id) WHERE l.name IS NULL OR f.search_text IS NULL),
          0::bigint, 'every lead has one fingerprint, whichever way it was written');
CREATE FUNCTION test.fingerprint() RETURNS text LANGUAGE sql AS $$ SELECT concat(f.xmin, ' ', f.ctid, ' ', f.search_text) FROM kvcrm.lead_fingerprints f WHERE f.id = test.id('f') $$;
CREATE TABLE test.fingerprint_before AS SELECT test.fingerprint() AS it;
UPDATE kvcrm.leads SET stage_id = test.stage('a', 2) WHERE id = test.id('f');
UPDATE kvcrm.leads SET assigned_to = test.id('rep'), estimated_value = 1, custom_fields = '{"a": 1}', source = 'event', "position" = 'x', score = 3 WHERE id = test.id('f');
UPDATE kvcrm.leads SET deleted_at = now() WHERE id = test.id('f');
UPDATE kvcrm.leads SET deleted_at = NULL WHERE id = test.id('f');
UPDATE kvcrm.leads SET name = name || ' ', phone = '+7 (495) 123-45-67' WHERE id = test.id('f');
SELECT is(test.fingerprint(), it, 'a fingerprint is not rewritten by what does not change its text') FROM test.fingerprint_before;
CREATE TABLE test.rewritten (field text, before text, after text);
DO $$
DECLARE
    change record;
    before text;
BEGIN
    FOR change IN SELECT * FROM (VALUES ('name', 'Сидоров'), ('email', 's@firma.ru'), ('phone', '8 495 7654321'), ('company', 'АО'), ('inn', NULL)) AS c (field, value) LOOP
        before := test.fingerprint();
        EXECUTE format('UPDATE kvcrm.leads SET %I = %L WHERE id = test.id(''f'')', change.field, change.value);
        INSERT INTO test.rewritten VALUES (change.field, before, test.fingerprint());
    END LOOP;
END
$$;
SELECT isnt(after, before, 'a fingerprint is rewritten with ' || field) FROM test.rewritten;
SELECT is((SELECT count(*) FROM kvcrm.lead_fingerprints WHERE id = test.id('f')), 1::bigint, 'and stays one');

-- --- many at once ---

UPDATE kvcrm.leads SET stage_id = test.stage('a', 2), company = 'Оптом' WHERE name LIKE 'Ряд %';
SELECT is((SELECT count(*) FROM kvcrm.leads WHERE name LIKE 'Ряд %' AND version = 2 AND status = 'contacted'), 1000::bigint, 'a bulk move raises each version once and sets each status');
SELECT is((SELECT count(*) FROM kvcrm.leads l WHERE l.name LIKE 'Ряд %' AND (SELECT array_agg((h.stage_id, h.left_at IS NULL) ORDER BY h.id) FROM kvcrm.lead_stage_history h WHERE h.lead_id = l.id)
              = ARRAY[(test.stage('a', 1), false), (test.stage('a', 2), true)]), 1000::bigint, 'each has one closed and one open stay');
SELECT is((SELECT count(*) FROM kvcrm.leads l WHERE l.name LIKE 'Ряд %' AND (SELECT array_agg(g.action ORDER BY g.id) FROM kvcrm.activity_logs g WHERE g.entity_id = l.id)
              = ARRAY['created', 'moved']), 1000::bigint, 'each has one log row per statement');
SELECT is((SELECT count(DISTINCT board_rank) FROM kvcrm.leads WHERE name LIKE 'Ряд %'), 1000::bigint, 'each has a rank of its own');
SELECT is((SELECT count(*) FROM kvcrm.leads l JOIN kvcrm.lead_fingerprints f USING (id) WHERE l.name LIKE 'Ряд %' AND f.search_text LIKE '%' || lower('Оптом') || '%' OR l.name LIKE 'Ряд %' AND f.search_text LIKE '%optom%'), 1000::bigint, 'each fingerprint follows');
DO $$
BEGIN
    UPDATE kvcrm.leads SET stage_id = test.stage('a', 1) WHERE name LIKE 'Ряд 000%';
    UPDATE kvcrm.leads SET stage_id = test.stage('a', 3) WHERE name LIKE 'Ряд 000%';
END
$$;
SELECT is((SELECT count(*) FROM kvcrm.lead_stage_history h JOIN kvcrm.leads l ON l.id = h.lead_id WHERE l.name LIKE 'Ряд 000%' AND h.left_at IS NULL), 9::bigint, 'two moves in one transaction leave one open stay each');
SELECT is((SELECT count(*) FROM kvcrm.lead_stage_history h JOIN kvcrm.leads l ON l.id = h.lead_id WHERE l.name LIKE 'Ряд 000%'), 36::bigint, 'and four stays each');

-- --- delete and restore ---

SELECT test.keep('d', id) FROM kvcrm.create_lead('Удаляемый', assigned_to => test.id('rep'), organization_id => test.id('a'));
SELECT throws_ok($$ SELECT test.as_user('rep', 'SELECT kvcrm.delete_lead(test.id(''d''))') $$, '42501', NULL, 'a rep can''t delete a lead');
SELECT throws_ok($$ SELECT test.as_user('other_rep', 'SELECT kvcrm.delete_lead(test.id(''d''))') $$, 'PT404', 'lead not found', 'an invisible lead can''t be told from an unknown one');
SELECT throws_ok($$ SELECT test.as_user('owner_b', 'SELECT kvcrm.delete_lead(test.id(''d''))') $$, 'PT404', 'lead not found', 'nor another organization''s');
SELECT throws_ok($$ SELECT kvcrm.delete_lead(test.id('unknown')) $$, 'PT404', 'lead not found', 'an unknown lead is not found');
SELECT throws_ok($$ SELECT kvcrm.delete_lead(NULL) $$, '22023', 'lead_id is required', 'delete_lead needs an id');
SELECT isnt(test.as_user('manager', 'SELECT l.deleted_at FROM kvcrm.delete_lead(test.id(''d'')) l'), NULL, 'a manager deletes a lead');
CREATE TABLE test.deleted AS SELECT * FROM kvcrm.leads WHERE id = test.id('d');
SELECT is((SELECT l.deleted_at FROM kvcrm.delete_lead(test.id('d')) l), deleted_at, 'deleting twice answers the same') FROM test.deleted;
SELECT is((SELECT l.version FROM kvcrm.leads l WHERE l.id = test.id('d')), version, 'and changes no version') FROM test.deleted;
SELECT is((SELECT count(*) FROM kvcrm.activity_logs WHERE entity_id = test.id('d') AND action = 'deleted'), 1::bigint, 'and is logged once');
SELECT throws_ok(format('UPDATE kvcrm.leads SET %s WHERE id = test.id(''d'')', change), '23514', 'the lead is deleted', 'a deleted lead keeps its fields: ' || change)
  FROM unnest(ARRAY[$$ name = 'x' $$, $$ email = 'x@x.ru' $$, $$ phone = '1' $$, $$ company = 'x' $$, $$ "position" = 'x' $$, $$ inn = '7707083893' $$, $$ source = 'x' $$,
                    $$ stage_id = test.stage('a', 2) $$, $$ assigned_to = NULL $$, $$ estimated_value = 1 $$, $$ currency = 'EUR' $$,
                    $$ custom_fields = '{"x": 1}' $$, $$ lost_reason = 'x' $$, $$ board_rank = 'x' $$]) AS change;
SELECT throws_ok($$ SELECT test.patch('manager', test.id('d'), '{"name": "x"}') $$, '23514', 'the lead is deleted', 'PATCH of a deleted lead is refused');
SELECT throws_ok($$ SELECT kvcrm.move_lead(test.id('d'), test.stage('a', 2)) $$, '23514', 'the lead is deleted', 'moving it too');
SELECT throws_ok($$ SELECT kvcrm.assign_lead(test.id('d'), test.id('rep')) $$, '23514', 'the lead is deleted', 'assigning it too');
SELECT throws_ok($$ SELECT kvcrm.log_activity(test.id('d'), 'note', 'x') $$, '23514', 'the lead is deleted', 'noting something on it too');
SELECT throws_ok($$ SELECT test.as_user('rep', 'SELECT kvcrm.restore_lead(test.id(''d''))') $$, '42501', NULL, 'a rep can''t restore a lead');
SELECT is(test.as_user('manager', 'SELECT l.deleted_at FROM kvcrm.restore_lead(test.id(''d'')) l'), NULL, 'a manager restores it');
SELECT lives_ok($$ SELECT kvcrm.restore_lead(test.id('d')) $$, 'restoring twice is no error');
SELECT is((SELECT array_agg(action ORDER BY id) FROM kvcrm.activity_logs WHERE entity_id = test.id('d')), ARRAY['created', 'deleted', 'restored'], 'and is logged once');
SELECT is(row(l.name, l.stage_id, l.assigned_to, l.board_rank), row(d.name, d.stage_id, d.assigned_to, d.board_rank), 'a restored lead is what it was')
  FROM kvcrm.leads l JOIN test.deleted d USING (id);

-- --- assigning ---

SELECT throws_ok($$ SELECT test.as_user('rep', 'SELECT kvcrm.assign_lead(test.id(''d''), test.id(''other_rep''))') $$, '42501', NULL, 'assign_lead: a rep can''t hand a lead to somebody else');
SELECT throws_ok($$ SELECT test.patch('rep', test.id('d'), jsonb_build_object('assigned_to', test.id('other_rep'))) $$, '42501', NULL, 'PATCH: nor so');
SELECT throws_ok($$ SELECT test.patch('rep', test.id('d'), '{"assigned_to": null}') $$, '42501', NULL, 'PATCH: nor leave it to nobody');
SELECT throws_ok($$ SELECT test.as_backend_of('rep', 'UPDATE kvcrm.leads SET assigned_to = test.id(''other_rep'') WHERE id = test.id(''d'')  RETURNING 1') $$, '42501', NULL, 'a backend that names the user: nor so');
SELECT is(test.as_user('manager', 'SELECT l.assigned_to FROM kvcrm.assign_lead(test.id(''d''), test.id(''other_rep'')) l')::uuid, test.id('other_rep'), 'a manager assigns');
SELECT is(test.as_user('manager', 'SELECT l.assigned_to FROM kvcrm.assign_lead(test.id(''d''), NULL) l'), NULL, 'a manager leaves a lead to nobody');
SELECT throws_ok(format('SELECT kvcrm.assign_lead(test.id(''d''), test.id(%L))', whom), '23514', NULL, 'assign_lead: refused for ' || whom) FROM unnest(ARRAY['suspended', 'owner_b', 'unknown']) AS whom;
SELECT throws_ok($$ SELECT kvcrm.assign_lead(NULL, test.id('rep')) $$, '22023', 'lead_id is required', 'assign_lead needs an id');

-- --- converted, merged ---

SELECT test.keep('c', id) FROM kvcrm.create_lead('Конвертируемый', 'c@firma.ru', '8 495 1112233', 'АО', 'директор', '7707083893', 'event', assigned_to => test.id('rep'), estimated_value => 5, custom_fields => '{"a": 1}', organization_id => test.id('a'));
SELECT lives_ok($$ SELECT kvcrm.qualify_lead(test.id('c')) $$, 'a lead is converted');
SELECT throws_ok(format('UPDATE kvcrm.leads SET %s WHERE id = test.id(''c'')', change), '23514', 'the lead is converted and keeps its fields', 'a converted lead keeps its fields: ' || change)
  FROM unnest(ARRAY[$$ name = 'x' $$, $$ email = 'x@x.ru' $$, $$ phone = '1' $$, $$ company = 'x' $$, $$ "position" = 'x' $$, $$ inn = NULL $$, $$ source = 'x' $$,
                    $$ estimated_value = 1 $$, $$ currency = 'EUR' $$, $$ custom_fields = '{"x": 1}' $$]) AS change;
SELECT throws_ok($$ SELECT test.patch('manager', test.id('c'), '{"name": "x"}') $$, '23514', 'the lead is converted and keeps its fields', 'PATCH of a converted lead is refused');
SELECT throws_ok(format($$ UPDATE kvcrm.leads SET stage_id = test.stage('a', %s) WHERE id = test.id('c') $$, n), '23514', NULL, format('it can''t go back to open stage %s', n)) FROM unnest(ARRAY[1, 2]) AS n;
SELECT throws_ok($$ SELECT kvcrm.move_lead(test.id('c'), test.stage('a', 1)) $$, '23514', NULL, 'nor by move_lead');
SELECT lives_ok(format('UPDATE kvcrm.leads SET %s WHERE id = test.id(''c'')', change), 'a converted lead may change: ' || change)
  FROM unnest(ARRAY[$$ stage_id = test.stage('a', 4) $$, $$ board_rank = 'V' $$, $$ assigned_to = test.id('other_rep') $$, $$ stage_id = test.stage('a', 5), lost_reason = 'ушёл' $$, $$ lost_reason = 'ушёл к другим' $$, $$ stage_id = test.stage('a', 3) $$]) AS change;
SELECT is(status, 'converted', 'its status stays converted') FROM kvcrm.leads WHERE id = test.id('c');
SELECT is(test.patch('manager', test.id('c'), '{"name": "Конвертируемый"}')->>'version', (SELECT version::text FROM kvcrm.leads WHERE id = test.id('c')), 'writing the same to it is no error');

SELECT test.keep('m', id) FROM kvcrm.create_lead('Слитый', organization_id => test.id('a'));
UPDATE kvcrm.leads SET merged_into_id = test.id('d') WHERE id = test.id('m');
SELECT throws_ok(format('UPDATE kvcrm.leads SET %s WHERE id = test.id(''m'')', change), '23514', 'the lead was merged into another one', 'a merged lead keeps its fields: ' || change)
  FROM unnest(ARRAY[$$ name = 'x' $$, $$ email = 'x@x.ru' $$, $$ phone = '1' $$, $$ stage_id = test.stage('a', 2) $$, $$ assigned_to = test.id('rep') $$, $$ lost_reason = 'x' $$, $$ board_rank = 'x' $$]) AS change;
SELECT throws_ok($$ SELECT kvcrm.delete_lead(test.id('m')) $$, '23514', NULL, 'a merged lead can''t be deleted');
SELECT throws_ok($$ SELECT kvcrm.restore_lead(test.id('m')) $$, '23514', NULL, 'nor restored');
SELECT throws_ok($$ UPDATE kvcrm.leads SET merged_into_id = id WHERE id = test.id('d') $$, '23514', NULL, 'a lead is not merged into itself');
SELECT throws_ok($$ UPDATE kvcrm.leads SET merged_into_id = (SELECT id FROM kvcrm.leads WHERE organization_id = test.id('b') LIMIT 1) WHERE id = test.id('d') $$, '23503', NULL, 'nor into a lead of another organization');

-- --- duplicate_policy ---

SELECT test.keep('first', (test.write('create_lead', '{"name": "Первый", "email": "Same.Person+a@gmail.com", "phone": "8 499 111 22 33"}')).id);
SELECT is((SELECT count(*) FROM kvcrm.leads WHERE organization_id = test.id('a') AND (block_email IS NOT NULL OR block_phone IS NOT NULL)), 0::bigint, 'without the policy block there are no keys');
SELECT test.keep('second', (test.write('create_lead', '{"name": "Второй", "email": "sameperson@gmail.com"}')).id);
CREATE TABLE test.not_blocked AS SELECT test.everything() AS it;
SELECT is((test.error_of($$ UPDATE kvcrm.organizations SET duplicate_policy = 'block' WHERE id = test.id('a') $$)).code, '23505', 'block is refused while there are duplicates');
SELECT is(test.everything(), it, 'and nothing has changed') FROM test.not_blocked;

-- The other duplicates that the tests above have made.
UPDATE kvcrm.leads SET deleted_at = now() WHERE organization_id = test.id('a') AND deleted_at IS NULL AND merged_into_id IS NULL AND converted_at IS NULL AND id <> test.id('first');
CREATE TABLE test.versions AS SELECT id, version, updated_at FROM kvcrm.leads;
CREATE TABLE test.log_size AS SELECT count(*) AS n FROM kvcrm.activity_logs WHERE entity_type = 'lead';
SELECT lives_ok($$ SELECT test.as_user('admin', $q$ UPDATE kvcrm.organizations SET duplicate_policy = 'block' RETURNING 1 $q$) $$, 'an admin switches the policy to block');
SELECT is(ARRAY[block_email, block_phone], ARRAY['sameperson@gmail.com', '+74991112233'], 'live leads get their keys') FROM kvcrm.leads WHERE id = test.id('first');
SELECT is((SELECT count(*) FROM kvcrm.leads WHERE id <> test.id('first') AND (block_email IS NOT NULL OR block_phone IS NOT NULL)), 0::bigint, 'deleted, merged, converted ones and other organizations'' none');
SELECT is_empty($$ SELECT id FROM kvcrm.leads l JOIN test.versions v USING (id) WHERE l.version <> v.version OR l.updated_at <> v.updated_at $$, 'switching the policy raises no version');
SELECT is((SELECT count(*) FROM kvcrm.activity_logs WHERE entity_type = 'lead'), n, 'and logs no lead') FROM test.log_size;

SELECT is((test.error_of(format('SELECT test.write(%L, %L)', way, fields))).code, CASE way WHEN 'import_leads' THEN 'KVIMP' ELSE '23505' END, format('%s: the same %s is blocked', way, what))
  FROM test.ways, (VALUES ('e-mail', '{"email": "SAMEPERSON+x@googlemail.com"}'::jsonb), ('phone', '{"phone": "+7 499 1112233"}')) AS f (what, fields) ORDER BY n;
SELECT lives_ok(format('SELECT test.write(%L, %L)', 'POST', fields), 'what has no key is not blocked: ' || fields)
  FROM unnest(ARRAY['{"phone": "12-34"}', '{"phone": "12-34"}', '{"email": ""}', '{}']) AS fields;
SELECT lives_ok($$ SELECT kvcrm.create_lead('Тёзка', 'sameperson@gmail.com', organization_id => test.id('b')) $$, 'another organization is not concerned');
SELECT lives_ok($$ UPDATE kvcrm.leads SET email = 'same.person@gmail.com', name = 'Первый!' WHERE id = test.id('first') $$, 'a lead does not block itself');
SELECT throws_ok($$ INSERT INTO kvcrm.leads (organization_id, name, email) VALUES (test.id('a'), 'x', 'twice@x.ru'), (test.id('a'), 'y', 'Twice@x.ru') $$, '23505', NULL, 'two rows of one statement block each other');

-- The first lead is nobody's: reps don't see it, the manager does.
SELECT is((test.error_of($$ SELECT test.post('rep', '{"name": "x", "email": "sameperson@gmail.com"}') $$)).detail, '', 'POST: the error does not name a lead the caller can''t see');
SELECT is((test.error_of($$ SELECT test.as_user('rep', $q$ SELECT kvcrm.create_lead('x', 'sameperson@gmail.com') $q$) $$)).detail, '', 'create_lead: nor here');
SELECT is((test.error_of($$ SELECT test.post('manager', '{"name": "x", "email": "sameperson@gmail.com"}') $$)).detail, format('Lead %s.', test.id('first')), 'POST: it names one that the caller sees');
SELECT is((test.error_of($$ SELECT test.as_user('manager', $q$ SELECT kvcrm.create_lead('x', phone => '84991112233') $q$) $$)).detail, format('Lead %s.', test.id('first')), 'create_lead: here too');

SELECT is((test.error_of($$ SELECT kvcrm.restore_lead(test.id('second')) $$)).code, '23505', 'a deleted lead whose key is taken can''t be restored');
SELECT is((test.error_of($$ SELECT kvcrm.restore_lead(test.id('second')) $$)).detail, format('Lead %s.', test.id('first')), 'the error names the blocker');
SELECT isnt(deleted_at, NULL, 'and the lead stays deleted') FROM kvcrm.leads WHERE id = test.id('second');
SELECT lives_ok($$ SELECT kvcrm.delete_lead(test.id('first')) $$, 'deleting the blocker');
SELECT is(ARRAY[block_email, block_phone], ARRAY[NULL, NULL]::text[], 'frees its keys') FROM kvcrm.leads WHERE id = test.id('first');
SELECT lives_ok($$ SELECT kvcrm.restore_lead(test.id('second')) $$, 'and lets the other one be restored');
SELECT is((test.error_of($$ SELECT kvcrm.restore_lead(test.id('first')) $$)).code, '23505', 'which now blocks the first');
SELECT lives_ok($$ SELECT kvcrm.qualify_lead(test.id('second')) $$, 'converting it');
SELECT lives_ok($$ SELECT kvcrm.restore_lead(test.id('first')) $$, 'frees its key as well');
SELECT lives_ok($$ UPDATE kvcrm.organizations SET duplicate_policy = 'warn' WHERE id = test.id('a') $$, 'switching block off');
SELECT is((SELECT count(*) FROM kvcrm.leads WHERE organization_id = test.id('a') AND (block_email IS NOT NULL OR block_phone IS NOT NULL)), 0::bigint, 'removes all keys');
SELECT lives_ok($$ SELECT kvcrm.create_lead('Дубль', 'sameperson@gmail.com', organization_id => test.id('a')) $$, 'and lets duplicates in');
SELECT throws_ok($$ SELECT kvcrm.create_lead('Дубль', 'sameperson@gmail.com', on_duplicate => 'block', organization_id => test.id('a')) $$, '23505', NULL, 'on_duplicate => block blocks one call');
SELECT throws_ok($$ SELECT kvcrm.create_lead('Дубль', phone => '8 499 111-22-33', on_duplicate => 'block', organization_id => test.id('a')) $$, '23505', NULL, 'by phone too');
SELECT lives_ok(format('SELECT kvcrm.create_lead(%L, %L, on_duplicate => %L, organization_id => test.id(''a''))', 'Дубль', 'sameperson@gmail.com', choice), 'on_duplicate => ' || choice || ' lets it in') FROM unnest(ARRAY['allow', 'warn']) AS choice;
SELECT throws_ok($$ SELECT kvcrm.create_lead('Дубль', on_duplicate => 'maybe', organization_id => test.id('a')) $$, '22023', NULL, 'on_duplicate must be known');
SELECT throws_ok($$ UPDATE kvcrm.organizations SET duplicate_policy = 'maybe' WHERE id = test.id('a') $$, '23514', NULL, 'duplicate_policy must be known');

-- --- removing rows ---

SELECT throws_ok($$ TRUNCATE kvcrm.leads CASCADE $$, '23514', NULL, 'leads are not truncated while there are any');
SELECT throws_ok($$ TRUNCATE kvcrm.organizations CASCADE $$, '23514', NULL, 'nor by cascade');
SELECT throws_ok($$ TRUNCATE kvcrm.customers CASCADE $$, '23514', NULL, 'from any table that leads refer to');
SELECT lives_ok($$ DELETE FROM kvcrm.leads WHERE id = test.id('d') AND NOT EXISTS (SELECT FROM kvcrm.leads l WHERE l.merged_into_id = test.id('d')) $$, 'a DBA may delete');
SELECT throws_ok($$ DELETE FROM kvcrm.leads WHERE id = test.id('d') $$, '23503', NULL, 'but not a lead that another was merged into');
DELETE FROM kvcrm.leads WHERE id = test.id('m');
SELECT is((SELECT count(*) FROM kvcrm.lead_fingerprints WHERE id = test.id('m')) + (SELECT count(*) FROM kvcrm.lead_stage_history WHERE lead_id = test.id('m')), 0::bigint, 'fingerprint and history go with the lead');
SELECT is((SELECT count(*) FROM kvcrm.activity_logs WHERE entity_id = test.id('m') AND action = 'deleted'), 1::bigint, 'the log says so');

SELECT is_empty($$ SELECT l.id FROM kvcrm.leads l LEFT JOIN kvcrm.lead_fingerprints f USING (id, organization_id) WHERE f.id IS NULL $$, 'in the end every lead has a fingerprint');
SELECT is_empty($$ SELECT l.id FROM kvcrm.leads l WHERE (SELECT count(*) FROM kvcrm.lead_stage_history h WHERE h.lead_id = l.id AND h.left_at IS NULL AND h.stage_id = l.stage_id) <> 1 $$, 'and one open stay, in its stage');
SELECT * FROM finish();
