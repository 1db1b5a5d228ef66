-- on_duplicate of imports, the ledger and undo_import.
\ir include/two_organizations.sql

CREATE FUNCTION test.import(rows jsonb, on_duplicate text DEFAULT NULL, dry_run boolean DEFAULT false) RETURNS TABLE (row_no int, outcome text, lead_id uuid, error text) LANGUAGE sql AS $$
    SELECT * FROM kvcrm.import_leads(rows, on_duplicate, dry_run, test.id('a')) $$;
-- Outcomes in a line; leads by name.
CREATE FUNCTION test.outcomes(rows jsonb, on_duplicate text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answers jsonb := (SELECT jsonb_agg(to_jsonb(i) ORDER BY i.row_no) FROM test.import(rows, on_duplicate) i);
BEGIN
    -- The names as the import left them: a statement of its own.
    RETURN (SELECT string_agg(concat_ws(' ', a->>'outcome', l.name, regexp_replace(a->>'error', '[0-9a-f]{8}-[0-9a-f-]+', 'ID')), ', ' ORDER BY (a->>'row_no')::int)
              FROM jsonb_array_elements(answers) a LEFT JOIN kvcrm.leads l ON l.id = (a->>'lead_id')::uuid);
END $$;
CREATE FUNCTION test.last_import() RETURNS uuid LANGUAGE sql AS $$ SELECT i.id FROM kvcrm.lead_imports i WHERE i.organization_id = test.id('a') ORDER BY i.id DESC LIMIT 1 $$;
CREATE FUNCTION test.as_json(VARIADIC fields text[]) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_agg(jsonb_object(string_to_array(f, '|'))) FROM unnest(fields) AS f $$;

SELECT test.keep('anna', id) FROM kvcrm.create_lead('Анна', 'anna@firm.ru', '8 495 111-11-11', 'ООО', inn => '7707083893', custom_fields => '{"a": 1, "b": 1}', organization_id => test.id('a'));
SELECT test.keep('other', id) FROM kvcrm.create_lead('Чужая', 'anna@firm.ru', '8 495 111-11-11', inn => '7707083893', organization_id => test.id('b'));

-- --- whichever is chosen ---

SELECT is(test.outcomes(test.as_json('name|1|email|ANNA+x@firm.ru', 'name|2|phone|+74951111111', 'name|3|inn|7707083893', 'name|4'), 'skip'),
          'skipped Анна, skipped Анна, skipped Анна, created 4', 'skip: e-mail, phone and INN find the lead, another row loads');
SELECT is(test.outcomes(test.as_json('name|1|email|ANNA+x@firm.ru', 'name|2|phone|+74951111111', 'name|3|inn|7707083893'), 'block'),
          'error another live lead has the same email (Lead ID.), error another live lead has the same phone (Lead ID.), created 3', 'block: as create_lead, by e-mail and phone');
SELECT is(test.outcomes(test.as_json('name|1|email|anna@firm.ru', 'name|1|email|anna@firm.ru'), 'allow'), 'created 1, created 1', 'allow: both load');
SELECT is(test.outcomes(test.as_json('name|x|email|x@new.ru', 'name|y|email|X@new.ru', 'name|z|email|z@new.ru', 'name|w|email|x@new.ru'), 'skip'), 'created x, skipped x, created z, skipped x', 'skip: rows of one file find each other');
SELECT is(test.outcomes(test.as_json('name|x|email|x@block.ru', 'name|y|email|X@block.ru', 'name|z|email|z@block.ru'), 'block'), 'created x, error another live lead has the same email (Lead ID.), created z', 'block: too');
SELECT throws_ok($$ SELECT * FROM test.import('[]', 'merge') $$, '22023', NULL, 'an unknown word is refused');
SELECT throws_ok($$ SELECT * FROM test.import('[]', '') $$, '22023', NULL, 'and an empty one');

-- --- update ---

SELECT kvcrm.delete_lead(l.id) FROM kvcrm.leads l WHERE l.organization_id = test.id('a') AND l.id <> test.id('anna') \g /dev/null
SELECT is(test.outcomes('[{"email": "ANNA@firm.ru", "position": "директор", "company": "", "phone": null, "custom_fields": {"b": 2, "c": 3}}]', 'update'), 'updated Анна', 'update: a row without a name will do');
SELECT is((SELECT row(name, email, phone, company, "position", inn, custom_fields, version) FROM kvcrm.leads WHERE id = test.id('anna')),
          row('Анна'::text, 'ANNA@firm.ru'::text, '+74951111111'::text, 'ООО'::text, 'директор'::text, '7707083893'::text, '{"a": 1, "b": 2, "c": 3}'::jsonb, 2), 'fields that the row has are overwritten, empty ones are kept, custom fields merged');
SELECT is((SELECT changes - 'email' FROM kvcrm.activity_logs WHERE entity_id = test.id('anna') AND action = 'updated'), '{"position": {"new": "директор", "old": null}, "custom_fields": {"new": {"a": 1, "b": 2, "c": 3}, "old": {"a": 1, "b": 1}}}', 'and logged as a change');
SELECT is(test.outcomes('[{"name": "Борис", "inn": "7707083893", "email": "boris@firm.ru"}, {"name": "Анна А.", "inn": "7707083893", "phone": "84951111111"}]', 'update'), 'created Борис, updated Анна А.', 'a firm''s INN with another e-mail is a colleague');
SELECT is(test.outcomes(test.as_json('name|N|email|n@n.ru', 'name|N2|email|n@n.ru|phone|8 495 222-22-22', 'name|N3|phone|8 495 222-22-22'), 'update'), 'created N3, updated N3, updated N3', 'rows of one file build on each other');
SELECT is(test.outcomes(test.as_json('email|anna@firm.ru|company|1', 'phone|8 495 111 11 11|company|2', 'email|anna@firm.ru|company|3'), 'update'), 'updated Анна А., updated Анна А., updated Анна А.', 'several rows of one lead');
SELECT is(company, '3', 'the last one stands') FROM kvcrm.leads WHERE id = test.id('anna');
SELECT is(test.outcomes(test.as_json('email|anna@firm.ru|estimated_value|-1', 'email|anna@firm.ru|company|4'), 'update') ~ '^error .*estimated_value.*, updated Анна А.$', true, 'a bad row leaves the lead alone, the next does not');
SELECT is(test.outcomes(test.as_json('email|unknown@firm.ru'), 'update') ~ '^error .*name', true, 'a new lead needs its name');
-- By INN: never one whose e-mail or phone differs, also among rows of one file.
CREATE FUNCTION test.by_inn() RETURNS text LANGUAGE sql AS $$
    SELECT test.outcomes(test.as_json('inn|7736207543', 'inn|7736207543|email|new@y.ru', 'inn|7736207543|phone|84950000009', 'inn|7736207543|email|new@y.ru|phone|84950000009'), 'skip') $$;
SELECT count(l.id) AS made FROM (VALUES ('Почта', 'e@y.ru', NULL), ('Телефон', NULL, '84950000001'), ('Оба', 'b@y.ru', '84950000002'), ('Ничего', NULL, NULL)) AS t (name, email, phone),
    kvcrm.create_lead(t.name, t.email, t.phone, inn => '7736207543', on_duplicate => 'allow', organization_id => test.id('a')) l \g /dev/null
SELECT is(test.by_inn(), 'skipped Ничего, skipped Ничего, skipped Ничего, skipped Ничего', 'by INN: one without e-mail and phone is found by any row');
SELECT kvcrm.delete_lead(l.id) FROM kvcrm.leads l WHERE l.name = 'Ничего' \g /dev/null
SELECT is(test.by_inn(), 'skipped Оба, skipped Телефон, skipped Почта, error lead name is required', 'another one by rows that lack what it has');
SELECT is(test.outcomes(test.as_json('name|1|inn|7740000076|email|1@z.ru', 'name|2|inn|7740000076|email|2@z.ru', 'name|3|inn|7740000076|phone|84950000003', 'name|4|inn|7740000076|email|4@z.ru|phone|84950000004', 'name|5|inn|7740000076'), 'skip'),
          'created 1, created 2, skipped 2, created 4, skipped 4', 'rows of one file the same way');
SELECT is(test.outcomes(test.as_json('email|1@z.ru|phone|84950000001|inn|7740000076', 'name|6|phone|84950000006|inn|7740000076', 'name|7|email|7@z.ru|inn|7740000076'), 'update'),
          'updated 1, updated 6, created 7', 'and as those before have left the lead');
-- Colleagues are not looked at one by one: that took minutes for a firm of some thousands.
BEGIN;
INSERT INTO kvcrm.leads (organization_id, name, email, inn) SELECT test.id('a'), 'Коллега', 'c' || i || '@bank.ru', '7744001497' FROM generate_series(1, 400) AS i;
CREATE FUNCTION test.leads_read() RETURNS bigint LANGUAGE sql AS $$ SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'kvcrm.leads'::regclass $$;
SELECT test.leads_read() AS read \gset
SELECT is((SELECT count(*) FROM test.import((SELECT jsonb_agg(jsonb_build_object('name', 'Коллега', 'email', 'd' || i || '@bank.ru', 'inn', '7744001497')) FROM generate_series(1, 200) AS i), 'skip') i WHERE i.outcome = 'created'), 200::bigint, 'colleagues load');
SELECT cmp_ok(test.leads_read() - :read, '<', 5000::bigint, 'without a look at each of those that are there');
SELECT test.leads_read() AS read \gset
SELECT l.id IS NOT NULL AS made FROM kvcrm.create_lead('Коллега', 'e1@bank.ru', on_duplicate => 'block', organization_id => test.id('a')) l \g /dev/null
SELECT cmp_ok(test.leads_read() - :read, '<', 100::bigint, 'nor does create_lead look at them');
SELECT test.leads_read() AS read \gset
SELECT a.id IS NOT NULL AS filed FROM kvcrm.ingest_email(convert_to(E'From: e2@bank.ru\nTo: sales@us.example\nSubject: x\nMessage-ID: <colleague@bank.ru>\n\nx', 'UTF8'), test.id('a')) a \g /dev/null
SELECT cmp_ok(test.leads_read() - :read, '<', 100::bigint, 'nor ingest_email');
ROLLBACK;
-- Of several, the newest open one.
SELECT test.keep('old', id) FROM kvcrm.create_lead('Старый', 'many@firm.ru', on_duplicate => 'allow', organization_id => test.id('a'));
SELECT test.keep('new', id) FROM kvcrm.create_lead('Новый', 'many@firm.ru', on_duplicate => 'allow', organization_id => test.id('a'));
SELECT test.keep('lost', id) FROM kvcrm.create_lead('Потерян', 'many@firm.ru', on_duplicate => 'allow', organization_id => test.id('a'));
SELECT kvcrm.move_lead(test.id('lost'), test.stage('a', 5), lost_reason => 'x') IS NOT NULL AS moved \g /dev/null
SELECT is(test.outcomes('[{"email": "many@firm.ru", "company": "x"}]', 'update'), 'updated Новый', 'of several leads the newest open one is updated');
SELECT kvcrm.qualify_lead(test.id('anna')) IS NOT NULL AS done \g /dev/null
SELECT is(test.outcomes('[{"name": "Анна снова", "email": "anna@firm.ru"}]', 'update'), 'created Анна снова', 'a converted lead keeps its fields: the row is a new lead');
SELECT is((SELECT count(*) FROM kvcrm.leads WHERE organization_id = test.id('b')), 1::bigint, 'nothing of it reached another organization');
SELECT is(name, 'Чужая', 'nor changed its lead') FROM kvcrm.leads WHERE id = test.id('other');

-- Who may not update a lead, or not even see it.
INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (test.id('a'), 'loader', 'Loader', '{leads:import,leads:create,leads:read_own,leads:update_own}');
UPDATE kvcrm.organization_members SET role_slug = 'loader' WHERE user_id = test.id('rep') AND organization_id = test.id('a');
SELECT is(test.as_user('rep', $$ SELECT string_agg(concat_ws(' ', i.outcome, i.lead_id::text, i.error), ', ') FROM kvcrm.import_leads('[{"email": "many@firm.ru", "company": "y"}]', 'update') i $$), 'error another live lead has the same email', 'a lead that the caller can''t see is not updated and not named');
SELECT is(test.as_user('rep', $$ SELECT string_agg(concat_ws(' ', i.outcome, i.lead_id::text, i.error), ', ') FROM kvcrm.import_leads('[{"email": "many@firm.ru", "company": "y"}]', 'skip') i $$), 'skipped', 'nor named when it is skipped');
UPDATE kvcrm.roles SET permissions = '{leads:import,leads:create,leads:read_all,leads:update_own}' WHERE slug = 'loader' AND organization_id = test.id('a');
SELECT is(test.as_user('rep', $$ SELECT string_agg(i.outcome || ' ' || split_part(i.error, '(', 1), ', ') FROM kvcrm.import_leads('[{"email": "many@firm.ru", "company": "y"}]', 'update') i $$), 'error permission denied: leads:update is needed ', 'one that the caller may only see is not updated');
SELECT is(company, 'x', 'in fact') FROM kvcrm.leads WHERE id = test.id('new');

-- --- under the policy block ---

SELECT kvcrm.create_organization('Строгая', owner_id => test.id('owner'), organization_id => test.id('unknown')) IS NOT NULL AS made \g /dev/null
UPDATE kvcrm.organizations SET duplicate_policy = 'block' WHERE id = test.id('unknown');
CREATE FUNCTION test.strict(rows jsonb, on_duplicate text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(i.outcome, ', ' ORDER BY i.row_no) FROM kvcrm.import_leads(rows, on_duplicate, organization_id => test.id('unknown')) i $$;
SELECT is(test.strict(test.as_json('name|1|email|a@x.ru', 'name|2|phone|84951234567')), 'created, created', 'new ones load');
SELECT is(test.strict(test.as_json('name|1|email|a@x.ru', 'name|2|phone|84951234567', 'name|3'), choice), 'error, error, created', 'block: duplicates are refused with ' || coalesce(choice, 'null')) FROM unnest(ARRAY[NULL, 'allow', 'warn', 'block']) AS choice;
SELECT is(test.strict(test.as_json('name|1|email|a@x.ru', 'name|2|phone|84951234567', 'name|3'), 'skip'), 'skipped, skipped, created', 'or skipped');
SELECT is(test.strict(test.as_json('name|1|email|a@x.ru', 'name|2|phone|84951234567', 'name|3'), 'update'), 'updated, updated, created', 'or updated');
SELECT is(test.strict(test.as_json('name|1|email|a@x.ru|phone|84951234567'), 'update'), 'error', 'e-mail decides; the phone that another lead has is refused by the table');

-- --- the ledger ---

SELECT is((SELECT row(format, on_duplicate, row_count, created_count, updated_count, skipped_count, error_count, running, imported_by) FROM kvcrm.lead_imports WHERE id = test.last_import()),
          row('json'::text, 'update'::text, 1, 0, 0, 0, 1, false, test.id('rep')), 'an import is kept with its counts');
CREATE TABLE test.before AS SELECT test.everything() AS it;
SELECT count(*) AS tried FROM test.import(test.as_json('name|x', 'email|many@firm.ru|company|z', 'name|'), 'update', true) \g /dev/null
SELECT is(test.everything(), it, 'a dry run leaves no trace, of an update neither') FROM test.before;
SELECT is(test.as_user('manager', $$ SELECT count(*) > 3 AND count(*) = (SELECT count(*) FROM kvcrm.list_imports()) FROM kvcrm.lead_imports $$), 'true', 'a manager reads it, as table and as list');
SELECT is(test.as_user('owner_b', $$ SELECT count(*) FROM kvcrm.lead_imports $$), '0', 'another organization does not');
SELECT is((SELECT array_agg(l.id) FROM kvcrm.list_imports(page_size => 2, organization_id => test.id('a')) l), (SELECT (array_agg(id ORDER BY id DESC))[1:2] FROM kvcrm.lead_imports WHERE organization_id = test.id('a')), 'newest first');
SELECT is((SELECT l.id FROM kvcrm.list_imports(test.last_import(), 1, test.id('a')) l), (SELECT (array_agg(id ORDER BY id DESC))[2] FROM kvcrm.lead_imports WHERE organization_id = test.id('a')), 'and on from there');
SELECT throws_ok($$ SELECT * FROM kvcrm.list_imports(test.id('unknown'), organization_id => test.id('a')) $$, 'PT404', NULL, 'an unknown import');

-- --- undo ---

CREATE FUNCTION test.undo(import uuid) RETURNS text LANGUAGE sql AS $$ SELECT (i.undone_at IS NOT NULL)::text FROM kvcrm.undo_import(import) i $$;
SELECT test.keep('kept', id) FROM kvcrm.create_lead('Прежний', 'kept@firm.ru', '84951110000', 'Было', estimated_value => 5, custom_fields => '{"k": 1}', organization_id => test.id('a'));
CREATE FUNCTION test.state(lead uuid) RETURNS jsonb LANGUAGE sql AS $$ SELECT to_jsonb(l) - '{version,updated_at,board_rank,stage_entered_at,qualified_at}'::text[] FROM kvcrm.leads l WHERE l.id = lead $$;
CREATE TABLE test.kept AS SELECT test.state(test.id('kept')) AS it;
SELECT is(test.outcomes(jsonb_build_array(jsonb_build_object('email', 'kept@firm.ru', 'name', 'Стал', 'company', 'Стало', 'stage_id', test.stage('a', 2), 'custom_fields', '{"k": 2}'::jsonb, 'estimated_value', 7, 'assigned_to', test.id('manager')), '{"name": "u1", "email": "u1@u.ru"}'::jsonb, '{"name": "u2"}'::jsonb,
    '{"email": "kept@firm.ru", "phone": "84952220000"}'::jsonb, '{"email": "u1@u.ru", "name": "u1!"}'::jsonb), 'update'), 'updated Стал, created u1!, created u2, updated Стал, updated u1!', 'an import to undo');
SELECT test.keep('import', test.last_import());
SELECT isnt(test.state(test.id('kept')), it, 'that changed a lead') FROM test.kept;
SELECT throws_ok($$ SELECT test.as_user('rep', format('SELECT id FROM kvcrm.undo_import(%L)', test.id('import'))) $$, '42501', NULL, 'without leads:delete it can''t be undone');
SELECT throws_ok($$ SELECT test.as_user('owner_b', format('SELECT id FROM kvcrm.undo_import(%L)', test.id('import'))) $$, 'PT404', NULL, 'nor by another organization');
SELECT is(test.as_user('manager', format('SELECT undone_by = %L FROM kvcrm.undo_import(%L)', test.id('manager'), test.id('import'))), 'true', 'a manager undoes it');
SELECT is(test.state(test.id('kept')), it, 'the lead is what it was') FROM test.kept;
SELECT is((SELECT count(*) FROM kvcrm.leads WHERE name IN ('u1!', 'u2') AND deleted_at IS NOT NULL), 2::bigint, 'new leads are deleted');
SELECT is((SELECT string_agg(g.action, ',' ORDER BY g.id) FROM kvcrm.activity_logs g JOIN kvcrm.leads l ON l.id = g.entity_id WHERE l.name = 'u2'), 'created,deleted', 'which the log tells');
SELECT throws_ok($$ SELECT test.undo(test.id('import')) $$, '23514', 'the import is undone already', 'once');
SELECT throws_ok($$ SELECT test.undo(test.id('unknown')) $$, 'PT404', NULL, 'an unknown import can''t be undone');
SELECT throws_ok($$ SELECT test.undo(NULL) $$, '22023', NULL, 'nor null');

-- What stands in the way.
CREATE TABLE test.obstacles (n serial, what text, told text);
INSERT INTO test.obstacles (what, told) VALUES
    ($$ UPDATE kvcrm.leads SET company = 'x' WHERE id = test.id('made') $$, 'lead ID was changed'),
    ($$ SELECT kvcrm.qualify_lead(test.id('made')) $$, 'lead ID was converted'),
    ($$ SELECT kvcrm.merge_leads(test.id('new'), ARRAY[test.id('made')]) $$, 'lead ID was merged'),
    ($$ SELECT kvcrm.merge_leads(test.id('made'), ARRAY[(SELECT id FROM kvcrm.create_lead('Сделан', organization_id => test.id('a')))]) $$, 'another lead was merged into lead ID'),
    ($$ SELECT kvcrm.move_lead(test.id('made'), test.stage('a', 2)) $$, 'lead ID was changed'),
    ($$ SELECT kvcrm.log_activity(test.id('made'), 'note', 'x') $$, 'activity ID was logged on lead ID'),
    ($$ SELECT kvcrm.create_quote_from_lead(test.id('made'), 'x', 1) $$, 'lead ID was converted'),
    ($$ SELECT kvcrm.erase_lead(test.id('touched')) $$, 'lead ID was erased'),
    ($$ SELECT kvcrm.delete_lead(test.id('touched')) $$, 'lead ID was deleted'),
    ($$ UPDATE kvcrm.leads SET company = 'y' WHERE id = test.id('touched') $$, 'lead ID was changed');
CREATE FUNCTION test.obstacle(what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    told text;
BEGIN
    DELETE FROM test.ids WHERE name IN ('made', 'touched');
    PERFORM test.keep('touched', l.id) FROM kvcrm.create_lead('Тронутый', 'touched@t.ru', organization_id => test.id('a')) l;
    PERFORM test.keep('made', i.lead_id) FROM test.import('[{"name": "Сделан", "company": "К"}, {"email": "touched@t.ru", "company": "z"}]', 'update') i WHERE i.row_no = 1;
    EXECUTE what;
    BEGIN
        PERFORM test.undo(test.last_import());
        told := 'undone';
    EXCEPTION WHEN check_violation THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
        told := regexp_replace(detail, '[0-9a-f]{8}-[0-9a-f-]{27}', 'ID', 'g');
    END;
    RAISE EXCEPTION USING ERRCODE = 'KVRBK', MESSAGE = told;
EXCEPTION WHEN SQLSTATE 'KVRBK' THEN
    RETURN SQLERRM;
END $$;
SELECT is(test.obstacle('SELECT 1'), 'undone', 'nothing happened');
SELECT is(test.obstacle($$ SELECT kvcrm.delete_lead(test.id('made')) $$), 'undone', 'a new lead that is deleted already is no obstacle');
SELECT is(test.obstacle(what) LIKE 'In the way: ' || told || ' %', true, 'in the way: ' || told || ', by' || left(what, 50)) FROM test.obstacles ORDER BY n;
-- As delete_lead, it takes no lead away that the caller doesn't see.
UPDATE kvcrm.roles SET permissions = '{leads:import,leads:create,leads:read_own,leads:update_own,leads:delete}' WHERE slug = 'loader' AND organization_id = test.id('a');
SELECT lead_id AS unseen FROM test.import('[{"name": "Невидимый"}]') \gset
SELECT throws_ok(format('SELECT test.as_user(''rep'', $q$ SELECT kvcrm.undo_import(%L) $q$)', test.last_import()), '42501', NULL, 'leads that the caller does not see are not deleted');
SELECT is(deleted_at, NULL, 'in fact') FROM kvcrm.leads WHERE id = :'unseen';
SELECT is(test.as_user('rep', $$ SELECT outcome FROM kvcrm.import_leads('[{"name": "Свой"}]') $$), 'created', 'who sees their own leads only');
SELECT is(test.as_user('rep', format('SELECT undone_at IS NOT NULL FROM kvcrm.undo_import(%L)', test.last_import())), 'true', 'takes those back');
-- Whoever had the lead before and isn't active any more doesn't get it back; the rest of it is undone.
SELECT test.keep('was_rep''s', l.id) FROM kvcrm.create_lead('Ничей', 'was@t.ru', assigned_to => test.id('other_rep'), organization_id => test.id('a')) l;
SELECT count(*) AS imported FROM test.import(jsonb_build_array(jsonb_build_object('email', 'was@t.ru', 'company', 'z', 'assigned_to', test.id('manager')), '{"email": "was@t.ru", "position": "y"}'), 'update') \g /dev/null
SELECT kvcrm.suspend_member(test.id('other_rep'), organization_id => test.id('a')) IS NOT NULL AS done \g /dev/null
SELECT is(test.undo(test.last_import()), 'true', 'an import is undone after the assignee of before was suspended');
SELECT is(row(company, "position", assigned_to), row(NULL::text, NULL::text, test.id('manager')), 'the lead stays with whom the import named') FROM kvcrm.leads WHERE id = test.id('was_rep''s');
SELECT kvcrm.reactivate_member(test.id('other_rep'), organization_id => test.id('a')) IS NOT NULL AS done \g /dev/null
-- Personal data that was before.
SELECT test.keep('touched', l.id) FROM kvcrm.create_lead('Секрет', 'secret@t.ru', organization_id => test.id('a')) l;
SELECT count(*) AS imported FROM test.import('[{"email": "secret@t.ru", "name": "z"}]', 'update') \g /dev/null
SELECT is((SELECT count(*) FROM kvcrm.lead_import_writes WHERE before_image::text LIKE '%Секрет%'), 1::bigint, 'the ledger has what was before');
SELECT kvcrm.erase_lead(test.id('touched')) IS NOT NULL AS erased \g /dev/null
SELECT is((SELECT count(*) FROM kvcrm.lead_import_writes WHERE before_image::text LIKE '%Секрет%'), 0::bigint, 'until the lead is erased');

-- --- a cancelled import ---

SELECT count(*) AS n FROM kvcrm.leads \gset
CREATE FUNCTION test.cancelled() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM test.import((SELECT jsonb_agg(jsonb_build_object('name', 'Прерван ' || i, 'email', i || '@cancel.ru')) FROM generate_series(1, 20000) AS i), 'skip');
    RETURN 'loaded';
EXCEPTION WHEN query_canceled THEN
    RETURN SQLSTATE;
END $$;
SET statement_timeout = '150ms';
SELECT is(test.cancelled(), '57014', 'an import can be cancelled');
RESET statement_timeout;
SELECT is((SELECT count(*) FROM kvcrm.leads), :n::bigint, 'and leaves nothing');
SELECT * FROM finish();
