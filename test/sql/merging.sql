-- Merging leads, previewing it and taking it back.
-- inconsistent: pairs are decided by hand
\ir include/two_organizations.sql

CREATE FUNCTION test.lead(handle text, fields jsonb DEFAULT '{}', organization text DEFAULT 'a') RETURNS void LANGUAGE sql AS $$
    SELECT test.keep(handle, l.id) FROM kvcrm.create_lead(coalesce(fields->>'name', handle), fields->>'email', fields->>'phone', fields->>'company', fields->>'position', fields->>'inn',
        fields->>'source', (fields->>'stage_id')::uuid, (fields->>'assigned_to')::uuid, (fields->>'estimated_value')::numeric, fields->>'currency', fields->'custom_fields', 'allow', test.id(organization)) l $$;
CREATE FUNCTION test.ids_of(VARIADIC handles text[]) RETURNS uuid[] STABLE LANGUAGE sql AS $$ SELECT array_agg(test.id(h) ORDER BY n) FROM unnest(handles) WITH ORDINALITY AS u (h, n) $$;
CREATE FUNCTION test.last_merge(survivor text) RETURNS uuid LANGUAGE sql AS $$ SELECT m.id FROM kvcrm.lead_merges m WHERE m.survivor_id = test.id(survivor) AND m.undone_at IS NULL ORDER BY m.created_at DESC, m.id DESC LIMIT 1 $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA test TO kvcrm_test_client;
-- Everything a merge may touch, without bookkeeping.
CREATE FUNCTION test.state() RETURNS TABLE (line text) LANGUAGE sql AS $$
    SELECT (to_jsonb(l) - '{version,updated_at}'::text[])::text FROM kvcrm.leads l
    UNION ALL SELECT (to_jsonb(a) - 'updated_at')::text FROM kvcrm.lead_activities a
    UNION ALL SELECT (to_jsonb(h) - 'updated_at')::text FROM kvcrm.lead_stage_history h
    UNION ALL SELECT (to_jsonb(p) - 'updated_at')::text FROM kvcrm.duplicate_pairs p
    UNION ALL SELECT (to_jsonb(q) - 'updated_at')::text FROM kvcrm.quotes q
    UNION ALL SELECT (to_jsonb(f) - 'updated_at')::text FROM kvcrm.lead_fingerprints f
    UNION ALL SELECT concat_ws(' ', c.stage_id, c.assigned_to, c.currency, sum(c.leads), round(sum(c.value), 2)) FROM kvcrm.lead_stage_counts c GROUP BY c.stage_id, c.assigned_to, c.currency HAVING sum(c.leads) <> 0 $$;

-- --- fields ---

SELECT test.lead('s', jsonb_build_object('name', 'Иван', 'email', 'ivan@firma.ru', 'custom_fields', '{"a": 1, "b": null}'::jsonb));
SELECT test.lead('d1', jsonb_build_object('name', 'Иван Петров', 'email', 'petrov@firma.ru', 'phone', '8 495 123-45-67', 'estimated_value', 100, 'currency', 'USD', 'custom_fields', '{"a": 2, "b": 3, "c": {"x": []}}'::jsonb));
SELECT test.lead('d2', jsonb_build_object('name', 'И. Петров', 'phone', '8 495 765-43-21', 'company', 'ООО Ромашка', 'position', 'директор', 'inn', '7707083893', 'source', 'event', 'assigned_to', test.id('rep'), 'estimated_value', 5, 'custom_fields', '{"c": 9, "d": 4}'::jsonb));
SELECT kvcrm.log_activity(test.id('d1'), 'call', 'Звонок') IS NOT NULL;
SELECT kvcrm.log_activity(test.id('d2'), 'note', 'Заметка') IS NOT NULL;
SELECT kvcrm.move_lead(test.id('d2'), test.stage('a', 2)) IS NOT NULL;
CREATE TABLE test.before AS SELECT * FROM test.state();
CREATE TABLE test.log_before AS SELECT max(id::text)::uuid AS id FROM kvcrm.activity_logs;

CREATE TABLE test.preview AS SELECT test.as_user('manager', $$ SELECT kvcrm.preview_merge(test.id('s'), test.ids_of('d1', 'd2')) $$)::jsonb AS it;
SELECT set_eq('SELECT line FROM test.state()', 'SELECT line FROM test.before', 'a preview changes nothing');
SELECT is((SELECT count(*) FROM kvcrm.activity_logs WHERE id > (SELECT id FROM test.log_before)), 0::bigint, 'nor does it log');
SELECT is((SELECT row(l.id, l.email, l.company, l.merged_into_id) FROM kvcrm.merge_leads(test.id('s'), test.ids_of('d1', 'd2')) l), row(test.id('s'), 'ivan@firma.ru'::text, 'ООО Ромашка'::text, NULL::uuid), 'merge_leads returns the survivor') FROM test.preview;
SELECT is((it->'lead') - '{version,updated_at}'::text[], to_jsonb(l) - '{version,updated_at}'::text[], 'the preview told what it would be') FROM test.preview, kvcrm.leads l WHERE l.id = test.id('s');
SELECT is(row(l.name, l.email, l.phone, l.company, l."position", l.inn, l.source, l.assigned_to, l.estimated_value, l.currency::text),
    row('Иван'::text, 'ivan@firma.ru'::text, '+74951234567'::text, 'ООО Ромашка'::text, 'директор'::text, '7707083893'::text, 'event'::text, test.id('rep'), 100.00, 'USD'::text), 'blank fields are filled in the order given, a value with its currency') FROM kvcrm.leads l WHERE l.id = test.id('s');
SELECT is(l.custom_fields, '{"a": 1, "b": 3, "c": {"x": []}, "d": 4}', 'custom fields are filled key by key; null is blank') FROM kvcrm.leads l WHERE l.id = test.id('s');
SELECT is(l.version, 2, 'the version rises once') FROM kvcrm.leads l WHERE l.id = test.id('s');
SELECT is((SELECT jsonb_object_agg(l.id, row(l.merged_into_id, l.email)::text) FROM kvcrm.leads l WHERE l.id IN (test.id('d1'), test.id('d2'))),
    jsonb_build_object(test.id('d1'), format('(%s,petrov@firma.ru)', test.id('s')), test.id('d2'), format('(%s,)', test.id('s'))), 'the others know the survivor and keep their fields');
SELECT is((SELECT count(*) FROM kvcrm.lead_activities WHERE lead_id = test.id('s')), 2::bigint, 'activities move');
SELECT is((SELECT string_agg(concat_ws(' ', h.merged_from_id = test.id('d2'), h.left_at IS NULL), ', ' ORDER BY h.merged_from_id NULLS FIRST, h.entered_at) FROM kvcrm.lead_stage_history h WHERE h.lead_id = test.id('s')), 't, f f, t f, t f', 'stays move, those of the others have ended');
SELECT is((SELECT string_agg(g.action || ' ' || (SELECT string_agg(k, ',' ORDER BY k) FROM jsonb_object_keys(g.changes) k), '; ' ORDER BY g.entity_type DESC, g.entity_id = test.id('s'), g.id) FROM kvcrm.activity_logs g WHERE g.id > (SELECT id FROM test.log_before)),
    'merged merged_into_id; merged merged_into_id; merged assigned_to,company,currency,custom_fields,estimated_value,inn,merge_id,merged_leads,phone,position,source; updated lead_id; updated lead_id', 'one entry per lead, and one per activity');
SELECT is((SELECT string_agg(f->>'field' || ' ' || (f->>'source'), ', ') FROM test.preview, jsonb_array_elements(it->'fields') f WHERE f->>'field' IN ('name', 'phone', 'currency', 'custom_fields.a', 'custom_fields.d')),
    format('name survivor, phone %1$s, currency %1$s, custom_fields.a survivor, custom_fields.d %2$s', test.id('d1'), test.id('d2')), 'the preview says where each value comes from');
SELECT is((SELECT f->'values' FROM test.preview, jsonb_array_elements(it->'fields') f WHERE f->>'field' = 'phone'), jsonb_build_object(test.id('s'), NULL, test.id('d1'), '+74951234567', test.id('d2'), '+74957654321'), 'and what each lead has');
SELECT is(it->'proposed_survivor', jsonb_build_object('lead_id', test.id('d2'), 'reasons', '["furthest in the pipeline", "most complete"]'::jsonb), 'it proposes a survivor, with reasons') FROM test.preview;
SELECT is(it->'obstacles', '[]', 'and sees nothing in the way') FROM test.preview;
SELECT results_eq($$ SELECT t.kind, t.title, t.details ? 'merged_from_id' FROM kvcrm.lead_timeline(test.id('s')) t WHERE t.title IN ('Звонок', 'Заметка', 'Контакт установлен', 'created') ORDER BY t.at $$,
    $$ VALUES ('log', 'created', false), ('log', 'created', true), ('log', 'created', true), ('activity', 'Звонок', false), ('activity', 'Заметка', false), ('stage_move', 'Контакт установлен', true) $$, 'the timeline tells of all of them in one stream');
SELECT is(test.as_user('manager', $$ SELECT kvcrm.lead_page(test.id('s')) #>> '{merges,0,id}' $$)::uuid, test.last_merge('s'), 'lead_page tells which merge can be undone');
SELECT is(test.as_user('manager', $$ SELECT t.details #>> '{merge_id,new}' FROM kvcrm.lead_timeline(test.id('s')) t WHERE t.title = 'merged' AND t.details ? 'merge_id' $$)::uuid, test.last_merge('s'), 'and so does the log');
SELECT is((SELECT sum(entered) FROM kvcrm.pipeline_report(organization_id => test.id('a')) WHERE dimension = 'stage'), 1::numeric, 'a report counts the survivor''s own stays');
SELECT is(test.as_user('manager', 'SELECT kvcrm.count_leads()'), '1', 'lists show the survivor only');

SELECT results_eq($$ SELECT l.id FROM kvcrm.undo_merge(test.last_merge('s')) l $$, $$ SELECT unnest(test.ids_of('s', 'd1', 'd2')) $$, 'undo_merge returns the survivor and those that are back');
SELECT set_eq('SELECT line FROM test.state()', 'SELECT line FROM test.before', 'and everything is as it was');
SELECT is((SELECT row(count(*), count(*) FILTER (WHERE changes ? 'left')) FROM kvcrm.activity_logs WHERE action = 'unmerged'), row(3::bigint, 0::bigint), 'it logs one entry per lead, nothing is left');
SELECT throws_ok(format('SELECT kvcrm.undo_merge(%L)', id), '23514', 'the merge was undone already', 'a merge is undone once') FROM kvcrm.lead_merges;
SELECT is(test.as_user('manager', $$ SELECT kvcrm.lead_page(test.id('s'))->'merges' $$), '[]', 'and no longer offered');

-- field_choices
CREATE FUNCTION test.choose(choices jsonb, who text DEFAULT 'manager') RETURNS jsonb LANGUAGE sql AS $$
    SELECT test.as_user(who, format('SELECT kvcrm.preview_merge(test.id(''s''), test.ids_of(''d1'', ''d2''), %L)', choices))::jsonb $$;
CREATE FUNCTION test.chosen(choices jsonb, field text) RETURNS text LANGUAGE sql AS $$ SELECT coalesce(p->'lead'->>field, p #>> '{obstacles,0,code}') FROM test.choose(choices) p $$;
SELECT is(test.chosen(jsonb_build_object(field, choice), field), value, format('%s: %s', field, choice))
  FROM (VALUES ('email', to_jsonb(test.id('d1')), 'petrov@firma.ru'), ('email', to_jsonb(upper(test.id('d1')::text)), 'petrov@firma.ru'), ('email', '"survivor"', 'ivan@firma.ru'), ('email', to_jsonb(test.id('d2')), NULL), ('email', '"new@firma.ru"', 'new@firma.ru'), ('email', 'null', NULL),
               ('email', '"nonsense"', '23514'), ('inn', '"123"', '23514'), ('name', 'null', '23514'), ('name', '" Пётр "', 'Пётр'), ('name', '{"value": "survivor"}', 'survivor'), ('phone', '"survivor"', NULL), ('phone', '"8 499 555 66 77"', '+74995556677'),
               ('estimated_value', '7.5', '7.50'), ('estimated_value', '-1', '23514'), ('estimated_value', '"x"', '22P02'), ('currency', '"EUR"', 'EUR'), ('currency', '"eur"', '23514'), ('lost_reason', '"дорого"', 'дорого'), ('source', to_jsonb(test.id('s')), NULL),
               ('assigned_to', to_jsonb(test.id('other_rep')), test.id('other_rep')::text), ('assigned_to', to_jsonb(test.id('suspended')), '23514'), ('assigned_to', '"survivor"', NULL), ('assigned_to', to_jsonb(test.id('d2')), test.id('rep')::text)) AS c (field, choice, value);
SELECT is(test.chosen(jsonb_build_object('estimated_value', test.id('d2')), 'currency'), 'RUB', 'a currency follows the value that was chosen');
SELECT is((test.choose('{"estimated_value": 3}') #>> '{lead,currency}'), 'RUB', 'to a value of one''s own belongs the survivor''s');
SELECT is(test.choose(choices::jsonb) #> '{lead,custom_fields}', fields, format('custom fields: %s', choices))
  FROM (VALUES (jsonb_build_object('custom_fields.a', test.id('d1'))::text, '{"a": 2, "b": 3, "c": {"x": []}, "d": 4}'::jsonb), ('{"custom_fields": "survivor"}', '{"a": 1, "b": null}'), (jsonb_build_object('custom_fields', test.id('d2'))::text, '{"b": null, "c": 9, "d": 4}'),
               ('{"custom_fields": {"e": 1}, "custom_fields.a": "survivor"}', '{"a": 1, "b": null, "e": 1}'), ('{"custom_fields.a": null, "custom_fields.c": "survivor", "custom_fields.new": [1], "custom_fields.d": {"value": {"value": 1}}}', '{"b": 3, "d": {"value": 1}, "new": [1]}')) AS c (choices, fields);
SELECT throws_ok(format('SELECT kvcrm.preview_merge(test.id(''s''), test.ids_of(''d1'', ''d2''), %L)', choices), '22023', NULL, 'refused: ' || choices)
  FROM unnest(ARRAY['{"stage_id": "survivor"}', '{"id": "survivor"}', '{"nonsense": 1}', '{"custom_fields.": 1}', '{"": 1}', '{"email": ["x"]}', '{"email": {"a": 1}}', '{"email": {"value": {}}}', '{"custom_fields": 5}', '{"custom_fields": "x"}', '[]', '"survivor"', 'null',
                    format('{"email": "%s"}', test.id('unknown')), format('{"custom_fields": "%s"}', test.id('unknown')), format('{"custom_fields.a": "%s"}', test.id('unknown'))]) AS choices;

-- Assigning takes leads:assign, filling a blank assignee too.
INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (test.id('a'), 'merger', 'Merger', '{leads:read_all,leads:update,leads:merge}');
SELECT test.keep('merger', 'aaaaaaaa-0000-4000-8000-000000000001');
SELECT kvcrm.add_member(test.id('merger'), 'merger', organization_id => test.id('a')) IS NOT NULL;
SELECT is(test.choose('{}', 'merger') #>> '{lead,assigned_to}', NULL, 'who may not assign fills no assignee');
SELECT is(test.choose(jsonb_build_object('assigned_to', test.id('other_rep')), 'merger') #>> '{obstacles,0,code}', '42501', 'nor chooses one');
SELECT is(test.choose(jsonb_build_object('assigned_to', test.id('merger')), 'merger') #>> '{lead,assigned_to}', test.id('merger')::text, 'but oneself');

-- --- who and what is refused ---

SELECT test.lead('lead b', '{}', 'b');
SELECT test.lead('deleted'), test.lead('converted'), test.lead('merged'), test.lead('into'), test.lead('twice');
SELECT kvcrm.delete_lead(test.id('deleted')) IS NOT NULL;
SELECT kvcrm.qualify_lead(test.id('converted')) IS NOT NULL;
SELECT kvcrm.merge_leads(test.id('into'), test.ids_of('merged')) IS NOT NULL;
CREATE TABLE test.untouched AS SELECT test.everything() AS it;
SELECT is(row(e.code, e.message)::text, row(c.code, c.message)::text, what) FROM (VALUES
    ('an empty list', $$ '{}' $$, '22023', 'duplicate_ids must not be empty'), ('a null in the list', $$ ARRAY[NULL]::uuid[] $$, '22023', 'duplicate_ids must not contain nulls'), ('no list', 'NULL', '22023', 'duplicate_ids is required'),
    ('an id given twice', $$ test.ids_of('d1', 'd1') $$, '22023', 'duplicate_ids names a lead twice'), ('the survivor itself', $$ test.ids_of('d1', 's') $$, '23514', 'a lead is not merged into itself'),
    ('a deleted lead', $$ test.ids_of('deleted') $$, '23514', 'a deleted lead can''t be merged'), ('a converted lead', $$ test.ids_of('converted') $$, '23514', 'a converted lead can''t be merged'), ('a merged lead', $$ test.ids_of('merged') $$, '23514', 'the lead was merged into another one'),
    ('an unknown lead', $$ test.ids_of('unknown') $$, 'PT404', 'lead not found'), ('another organization''s lead', $$ test.ids_of('lead b') $$, 'PT404', 'lead not found')) AS c (what, ids, code, message), LATERAL test.error_of(format('SELECT kvcrm.merge_leads(test.id(''s''), %s)', ids)) e;
SELECT is((test.error_of($$ SELECT kvcrm.merge_leads(test.id('merged'), test.ids_of('s')) $$)).detail, format('Merged into lead %s.', test.id('into')), 'a merged lead is no survivor, and the error names the one that is');
SELECT is((SELECT p #>> '{obstacles,0,code}' FROM kvcrm.preview_merge(test.id('s'), test.ids_of('converted')) p), '23514', 'the preview tells it as an obstacle');
SELECT is((test.error_of(format($$ SELECT test.as_user(%L, 'SELECT kvcrm.%s') $$, who, call))).code, code, format('%s: %s', who, call)) FROM (VALUES
    ('rep', 'merge_leads(test.id(''''s''''), test.ids_of(''''d1''''))', 'PT404'), ('rep_b', 'merge_leads(test.id(''''s''''), test.ids_of(''''d1''''))', 'PT404'), ('owner_b', 'merge_leads(test.id(''''lead b''''), test.ids_of(''''d1''''))', 'PT404'),
    ('suspended', 'merge_leads(test.id(''''s''''), test.ids_of(''''d1''''))', 'PT404'), ('rep_b', 'undo_merge(test.last_merge(''''into''''))', '42501'), ('stranger', 'undo_merge(test.id(''''s''''))', 'PT404')) AS c (who, call, code);
SELECT is(test.everything(), it, 'none of these has written anything') FROM test.untouched;
SELECT is(test.as_user('rep', 'SELECT count(*) FROM kvcrm.lead_stage_history WHERE lead_id = test.id(''into'')'), '0', 'history is seen with the lead');
SELECT throws_ok($$ SELECT test.as_user('owner', 'SELECT count(*) FROM kvcrm.lead_merges') $$, '42501', NULL, 'the journal is not for clients');

-- --- a loser's id ---

-- What a call answers, or what a query finds after it; all is undone.
CREATE FUNCTION test.outcome(call text, look text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer text;
BEGIN
    BEGIN
        EXECUTE call INTO answer;
        IF look IS NOT NULL THEN EXECUTE look INTO answer; END IF;
        RAISE EXCEPTION USING ERRCODE = 'KVUND';
    EXCEPTION WHEN SQLSTATE 'KVUND' THEN NULL; WHEN OTHERS THEN answer := SQLSTATE;
    END;
    RETURN answer;
END
$$;
SELECT test.lead('end'), test.lead('card');
SELECT kvcrm.merge_leads(test.id('end'), test.ids_of('into')) IS NOT NULL;
SELECT is(test.outcome(call), test.id('end')::text, 'acts on the survivor at the end of the chain: ' || call) FROM unnest(ARRAY[
    'SELECT l.id FROM kvcrm.assign_lead(test.id(''merged''), test.id(''rep'')) l', 'SELECT l.id FROM kvcrm.move_lead(test.id(''merged''), test.stage(''a'', 2)) l', 'SELECT l.id FROM kvcrm.move_lead(test.id(''merged''), test.stage(''a'', 1), test.id(''into'')) l',
    'SELECT c.source_lead_id FROM kvcrm.qualify_lead(test.id(''merged'')) c', 'SELECT c.source_lead_id FROM kvcrm.convert_lead_to_customer(test.id(''into'')) c',
    'SELECT a.lead_id FROM kvcrm.log_activity(test.id(''merged''), ''note'', ''x'') a', 'SELECT kvcrm.lead_page(test.id(''merged'')) #>> ''{lead,id}''', 'SELECT t.ref_id FROM (SELECT test.id(''end'') AS ref_id FROM kvcrm.lead_timeline(test.id(''merged'')) t WHERE t.details ? ''merge_id'' LIMIT 1) t',
    'INSERT INTO kvcrm.lead_activities (organization_id, lead_id, type, title) VALUES (test.id(''a''), test.id(''merged''), ''note'', ''x'') RETURNING lead_id',
    'SELECT q.lead_id FROM kvcrm.create_quote_from_lead(test.id(''merged''), ''КП'', 5) q', 'SELECT l.id FROM kvcrm.set_legal_hold(test.id(''merged''), true) l']) AS call;
SELECT is(test.outcome(call, 'SELECT l.id FROM kvcrm.leads l WHERE l.id = test.id(''end'') AND ' || what), test.id('end')::text, 'acts on the survivor: ' || call) FROM (VALUES
    ('SELECT kvcrm.bulk_assign(test.ids_of(''merged''), test.id(''rep''))', 'assigned_to = test.id(''rep'')'), ('SELECT kvcrm.bulk_move(test.ids_of(''merged''), test.stage(''a'', 2))', 'stage_id = test.stage(''a'', 2)'),
    ('SELECT kvcrm.bulk_qualify(test.ids_of(''merged''))', 'converted_at IS NOT NULL')) AS c (call, what);
SELECT lives_ok($$ SELECT * FROM kvcrm.find_duplicates(test.id('merged')) $$, 'find_duplicates asks for the survivor''s');
SELECT is(test.outcome('SELECT l.board_rank < (SELECT board_rank FROM kvcrm.leads WHERE id = test.id(''end'')) FROM kvcrm.move_lead(test.id(''card''), test.stage(''a'', 1), test.id(''merged'')) l'), 'true', 'before_lead_id: before the survivor');
SELECT is(row(e.code, e.detail)::text, row('23514', format('Merged into lead %s.', test.id('end')))::text, 'refused, naming the survivor: ' || call) FROM unnest(ARRAY['delete_lead(test.id(''merged''))', 'restore_lead(test.id(''merged''))', 'erase_lead(test.id(''into''))',
    'merge_leads(test.id(''card''), test.ids_of(''merged''))', 'merge_leads(test.id(''merged''), test.ids_of(''card''))']) AS call, LATERAL test.error_of('SELECT kvcrm.' || call) e;
SELECT is((SELECT error_code FROM kvcrm.bulk_delete(test.ids_of('merged'))), '23514', 'bulk_delete too');
SELECT throws_ok($$ UPDATE kvcrm.leads SET name = 'x' WHERE id = test.id('merged') $$, '23514', NULL, 'a merged lead is not edited');
-- Who counts is who sees the survivor.
SELECT kvcrm.assign_lead(test.id('end'), test.id('other_rep')) IS NOT NULL;
SELECT is(test.as_user('other_rep', $$ SELECT kvcrm.lead_page(test.id('merged')) #>> '{lead,id}' $$)::uuid, test.id('end'), 'who sees the survivor may use the id');
SELECT throws_ok($$ SELECT test.as_user('rep', 'SELECT kvcrm.lead_page(test.id(''merged''))') $$, 'PT404', 'lead not found', 'who doesn''t, may not');
SELECT throws_ok($$ SELECT test.post('rep', jsonb_build_object('lead_id', test.id('merged'), 'type', 'note', 'title', 'x', 'organization_id', test.id('a')), 'kvcrm.lead_activities') $$, '42501', NULL, 'nor by a direct insert');
SELECT is((test.post('other_rep', jsonb_build_object('lead_id', test.id('merged'), 'type', 'note', 'title', 'x', 'organization_id', test.id('a')), 'kvcrm.lead_activities'))->>'lead_id', test.id('end')::text, 'an activity that a client inserts goes to the survivor');

-- --- pairs ---

SELECT test.lead(l) FROM unnest(ARRAY['p', 'q', 'r', 'x', 'y', 'z']) AS l;
DELETE FROM kvcrm.duplicate_pairs;
INSERT INTO kvcrm.duplicate_pairs (organization_id, lead_id, other_lead_id, probability, status) SELECT test.id('a'), least(test.id(a), test.id(b)), greatest(test.id(a), test.id(b)), p, s
  FROM (VALUES ('p', 'q', 0.9, 'open'), ('q', 'r', 0.8, 'dismissed'), ('q', 'x', 0.7, 'open'), ('r', 'x', 0.6, 'open'), ('q', 'y', 0.5, 'dismissed'), ('p', 'y', 0.4, 'open'), ('r', 'z', 0.3, 'open'), ('x', 'z', 0.2, 'open')) AS v (a, b, p, s);
CREATE VIEW test.pairs AS SELECT string_agg(concat_ws(' ', (SELECT string_agg(name, '-' ORDER BY name) FROM test.ids WHERE id IN (d.lead_id, d.other_lead_id)), d.probability, d.status), ', ' ORDER BY d.probability DESC) AS them FROM kvcrm.duplicate_pairs d;
CREATE TABLE test.before_pairs AS SELECT * FROM test.state();
SELECT kvcrm.merge_leads(test.id('p'), test.ids_of('q', 'r')) IS NOT NULL;
SELECT is((SELECT them FROM test.pairs), 'p-q 0.9 merged, q-r 0.8 merged, p-x 0.7 open, r-x 0.6 open, q-y 0.5 dismissed, p-y 0.4 dismissed, p-z 0.3 open, x-z 0.2 open', 'pairs among them are merged, those with others the survivor''s, and a no stays a no');
SELECT is((SELECT count(*) FROM kvcrm.duplicate_pairs WHERE lead_id >= other_lead_id), 0::bigint, 'in order');
SELECT kvcrm.undo_merge(test.last_merge('p')) IS NOT NULL;
SELECT set_eq('SELECT line FROM test.state()', 'SELECT line FROM test.before_pairs', 'an undo restores them');
SELECT kvcrm.merge_leads(test.id('p'), test.ids_of('q', 'r')) IS NOT NULL;
DELETE FROM kvcrm.duplicate_pairs WHERE probability = 0.7;
UPDATE kvcrm.duplicate_pairs SET status = 'dismissed' WHERE probability = 0.3;
SELECT kvcrm.undo_merge(test.last_merge('p')) IS NOT NULL;
SELECT is((SELECT g.changes #> '{left,new}' FROM kvcrm.activity_logs g WHERE g.changes ? 'left' AND g.entity_id = test.id('p')), '[{"count": 2, "table": "kvcrm.duplicate_pairs"}]', 'pairs that were decided or deleted since are left, and counted');

-- --- undo and what changed since ---

SELECT test.lead('u', '{"name": "U", "email": "u@firma.ru"}'), test.lead('v', jsonb_build_object('name', 'V', 'phone', '8 495 111-22-33', 'company', 'Вега', 'inn', '7707083893', 'assigned_to', test.id('rep'), 'custom_fields', '{"k": 1, "l": 2}'::jsonb));
SELECT kvcrm.log_activity(test.id('v'), 'task', title) IS NOT NULL FROM unnest(ARRAY['stays edited', 'goes', 'survives']) AS title;
SELECT kvcrm.merge_leads(test.id('u'), test.ids_of('v')) IS NOT NULL;
UPDATE kvcrm.leads SET company = 'Другая', custom_fields = custom_fields || '{"k": 7, "m": 1}' WHERE id = test.id('u');
UPDATE kvcrm.lead_activities SET title = 'edited' WHERE title = 'stays edited';
SELECT kvcrm.delete_activity(a.id) IS NOT NULL FROM kvcrm.lead_activities a WHERE a.title = 'goes';
SELECT kvcrm.log_activity(test.id('u'), 'note', 'new') IS NOT NULL;
SELECT kvcrm.undo_merge(test.last_merge('u')) IS NOT NULL;
SELECT is((SELECT row(company, phone, inn, assigned_to, custom_fields) FROM kvcrm.leads WHERE id = test.id('u')), row('Другая'::text, NULL::text, NULL::text, NULL::uuid, '{"k": 7, "m": 1}'::jsonb), 'fields that nobody changed go back, the others stay, key by key');
SELECT is((SELECT string_agg(title, ', ' ORDER BY title) FROM kvcrm.lead_activities WHERE lead_id = test.id('v')), 'edited, survives', 'activities go back, with what was edited');
SELECT is((SELECT string_agg(title, ', ' ORDER BY title) FROM kvcrm.lead_activities WHERE lead_id = test.id('u')), 'new', 'what is new stays');
SELECT is((SELECT jsonb_path_query_array(g.changes, '$.left.new[*].fields[*]') FROM kvcrm.activity_logs g WHERE g.changes ? 'left' AND g.entity_id = test.id('u')), '["company", "custom_fields.k"]', 'the log names the fields');
SELECT is((SELECT jsonb_path_query_array(g.changes, '$.left.new[*].table') FROM kvcrm.activity_logs g WHERE g.changes ? 'left' AND g.entity_id = test.id('u')), '["kvcrm.lead_activities"]', 'and the row that is gone');
SELECT is((SELECT row(status, assigned_to, merged_into_id) FROM kvcrm.leads WHERE id = test.id('v')), row('new'::text, test.id('rep'), NULL::uuid), 'the other lead is live again');

SELECT test.lead('m1'), test.lead('m2'), test.lead('m3'), test.lead('m4', jsonb_build_object('assigned_to', test.id('other_rep')));
SELECT kvcrm.merge_leads(test.id('m1'), test.ids_of('m2')) IS NOT NULL;
SELECT test.keep('first', test.last_merge('m1'));
SELECT kvcrm.merge_leads(test.id('m3'), test.ids_of('m1', 'm4')) IS NOT NULL;
SELECT is(row(e.code, e.detail)::text, row('23514', format('Merge %s.', test.last_merge('m3')))::text, 'while the survivor is merged itself, the later merge is named') FROM test.error_of($$ SELECT kvcrm.undo_merge(test.id('first')) $$) e;
SELECT test.keep('second', test.last_merge('m3'));
SELECT kvcrm.qualify_lead(test.id('m2')) IS NOT NULL;
SELECT is(row(e.code, e.hint LIKE '%revert_conversion%')::text, row('23514', true)::text, 'a converted survivor must be reverted first') FROM test.error_of($$ SELECT kvcrm.undo_merge(test.id('second')) $$) e;
SELECT kvcrm.revert_conversion(test.id('m1')) IS NOT NULL;
-- A stage that goes away meanwhile, a member who leaves.
SELECT lives_ok($$ SELECT kvcrm.delete_stage(test.stage('a', 1), test.stage('a', 2)) $$, 'a stage is deleted that merged leads are in');
SELECT kvcrm.suspend_member(test.id('other_rep'), organization_id => test.id('a')) IS NOT NULL;
SELECT lives_ok($$ SELECT kvcrm.undo_merge(test.id('second')) $$, 'the second merge can be undone then');
SELECT lives_ok($$ SELECT kvcrm.undo_merge(test.id('first')) $$, 'and the first one after it');
SELECT is((SELECT count(*) FROM kvcrm.lead_stage_history h WHERE h.left_at IS NULL AND h.lead_id = ANY (test.ids_of('m1', 'm2', 'm3', 'm4'))), 4::bigint, 'each lead has one open stay');
SELECT is((SELECT assigned_to FROM kvcrm.leads WHERE id = test.id('m4')), NULL, 'a lead that comes back is nobody''s when its assignee was suspended');

SELECT test.lead('e1', '{"email": "e1@firma.ru"}'), test.lead('e2', '{"email": "e2@firma.ru", "company": "Тайна", "phone": "8 495 222-11-00"}');
SELECT kvcrm.merge_leads(test.id('e1'), test.ids_of('e2')) IS NOT NULL;
SELECT kvcrm.erase_lead(test.id('e1')) IS NOT NULL;
SELECT throws_ok($$ SELECT kvcrm.undo_merge(test.last_merge('e1')) $$, '23514', 'the leads were erased: the merge can''t be undone', 'a merge of erased leads is not undone');
SELECT is((SELECT count(*) FROM kvcrm.lead_merges m WHERE m::text ~ 'e2@firma|Тайна|2221100'), 0::bigint, 'and its journal knows nothing of them any more');

-- --- the policy block ---

SELECT test.lead('k1', '{"email": "k1@firma.ru"}', 'b'), test.lead('k2', '{"email": "k2@firma.ru", "phone": "8 495 999-88-77"}', 'b');
UPDATE kvcrm.organizations SET duplicate_policy = 'block' WHERE id = test.id('b');
SELECT lives_ok($$ SELECT kvcrm.merge_leads(test.id('k1'), test.ids_of('k2'), jsonb_build_object('email', test.id('k2'))) $$, 'the others release their keys before the survivor takes them');
SELECT is((SELECT row(block_email, block_phone) FROM kvcrm.leads WHERE id = test.id('k1')), row('k2@firma.ru'::text, '+74959998877'::text), 'it holds them now');
SELECT test.keep('k3', id) FROM kvcrm.create_lead('K3', 'k1@firma.ru', organization_id => test.id('b'));
SELECT is(row(e.code, e.detail)::text, row('23505', format('Lead %s.', test.id('k3')))::text, 'an undo whose key is taken names who has it') FROM test.error_of($$ SELECT kvcrm.undo_merge(test.last_merge('k1')) $$) e;
SELECT kvcrm.delete_lead(test.id('k3')) IS NOT NULL;
SELECT lives_ok($$ SELECT kvcrm.undo_merge(test.last_merge('k1')) $$, 'when it is free, all get back what they had');
SELECT is((SELECT string_agg(block_email, ' ' ORDER BY block_email) FROM kvcrm.leads WHERE id = ANY (test.ids_of('k1', 'k2'))), 'k1@firma.ru k2@firma.ru', 'each its own');

-- --- who sees what comes back ---

INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (test.id('a'), 'undoer', 'Undoer', '{leads:merge,leads:read_own,leads:update_own}');
UPDATE kvcrm.organization_members SET role_slug = 'undoer' WHERE organization_id = test.id('a') AND user_id = test.id('rep');
SELECT test.lead('h1', jsonb_build_object('assigned_to', test.id('rep'))), test.lead('h2', jsonb_build_object('assigned_to', test.id('manager'))), test.lead('h3', jsonb_build_object('assigned_to', test.id('rep')));
SELECT kvcrm.merge_leads(test.id('h1'), test.ids_of('h2', 'h3')) IS NOT NULL;
SELECT test.keep('hidden', test.last_merge('h1'));
SELECT is(test.as_user('rep', $$ SELECT string_agg(u.name, ' ' ORDER BY u.name) FROM kvcrm.undo_merge(test.id('hidden')) u $$), 'h1 h3', 'an undo returns no lead that the caller doesn''t see');
SELECT is((SELECT merged_into_id FROM kvcrm.leads WHERE id = test.id('h2')), NULL, 'it comes back all the same');

SELECT * FROM finish();
