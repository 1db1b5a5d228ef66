-- The duplicate policy: every way to write a lead under allow, warn and block, and the switch between them.
\ir include/two_organizations.sql

-- What became of a statement, whose changes are undone: 'written', or the error with the holder's id as HOLDER.
CREATE FUNCTION test.attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    e record;
BEGIN
    SELECT * INTO e FROM test.error_of(format('DO %L', 'BEGIN ' || statement || '; RAISE EXCEPTION SQLSTATE ''KVOK1''; END'));
    RETURN CASE e.code WHEN 'KVOK1' THEN 'written' WHEN 'KVIMP' THEN e.message
        ELSE concat_ws(' ', e.code, replace(concat_ws(' ', e.message, nullif(e.detail, '')), test.id('holder')::text, 'HOLDER'), '@' || nullif(e.column_name, '')) END;
END
$$;

-- Every way to give a second lead a contact; %1$s is the column, %2$L the value.
CREATE TABLE test.ways (way text, statement text);
INSERT INTO test.ways VALUES
    ('INSERT', $$INSERT INTO kvcrm.leads (organization_id, name, %1$s) VALUES (test.id('a'), 'x', %2$L)$$),
    ('INSERT of several rows', $$INSERT INTO kvcrm.leads (organization_id, name, %1$s) VALUES (test.id('a'), 'x', NULL), (test.id('a'), 'y', %2$L)$$),
    ('UPDATE', $$UPDATE kvcrm.leads SET %1$s = %2$L WHERE id = test.id('plain')$$),
    ('UPDATE of several rows', $$UPDATE kvcrm.leads SET %1$s = CASE id WHEN test.id('plain') THEN %2$L ELSE %1$s END WHERE organization_id = test.id('a') AND deleted_at IS NULL AND converted_at IS NULL$$),
    ('COPY', $$EXECUTE format('COPY kvcrm.leads (organization_id, name, %1$s) FROM PROGRAM %%L WITH (FORMAT csv)', format('echo "%%s,x,%%s"', test.id('a'), %2$L))$$),
    ('upsert of a new row', $$INSERT INTO kvcrm.leads (id, organization_id, name, %1$s) VALUES (gen_random_uuid(), test.id('a'), 'x', %2$L) ON CONFLICT (id, organization_id) DO UPDATE SET %1$s = excluded.%1$s$$),
    ('upsert of an old row', $$INSERT INTO kvcrm.leads (id, organization_id, name, %1$s) VALUES (test.id('plain'), test.id('a'), 'x', %2$L) ON CONFLICT (id, organization_id) DO UPDATE SET %1$s = excluded.%1$s$$),
    ('ON CONFLICT DO NOTHING', $$INSERT INTO kvcrm.leads (organization_id, name, %1$s) VALUES (test.id('a'), 'x', %2$L) ON CONFLICT DO NOTHING$$),
    ('POST', $$PERFORM test.post('admin', jsonb_build_object('name', 'x', '%1$s', %2$L))$$),
    ('PATCH', $$PERFORM test.patch('admin', test.id('plain'), jsonb_build_object('%1$s', %2$L))$$),
    ('create_lead', $$PERFORM kvcrm.create_lead('x', %1$s => %2$L, organization_id => test.id('a'))$$),
    ('create_lead by an admin', $$PERFORM test.as_user('admin', format('SELECT kvcrm.create_lead(''x'', %1$s => %%L)', %2$L))$$),
    ('create_lead by a backend', $$PERFORM test.as_backend_of('admin', format('SELECT kvcrm.create_lead(''x'', %1$s => %%L)', %2$L))$$),
    ('create_lead, allow', $$PERFORM kvcrm.create_lead('x', %1$s => %2$L, on_duplicate => 'allow', organization_id => test.id('a'))$$),
    ('create_lead, warn', $$PERFORM kvcrm.create_lead('x', %1$s => %2$L, on_duplicate => 'warn', organization_id => test.id('a'))$$),
    ('create_lead, block', $$PERFORM kvcrm.create_lead('x', %1$s => %2$L, on_duplicate => 'block', organization_id => test.id('a'))$$),
    ('restore_lead', $$PERFORM kvcrm.restore_lead(test.id('deleted ' || %2$L))$$),
    ('revert_conversion', $$PERFORM kvcrm.revert_conversion(test.id('converted ' || %2$L))$$);

CREATE TABLE test.contacts (field text, value text);
INSERT INTO test.contacts VALUES ('email', 'John.Smith@gmail.com'), ('email', 'j.ohnsmith+crm@GMAIL.com'), ('phone', '8 (495) 123-45-67'), ('phone', '+7 495 1234567');

INSERT INTO kvcrm.organizations AS o (id, name, duplicate_policy) VALUES (test.id('unknown'), 'Никто', 'block');
SELECT is((SELECT duplicate_policy FROM kvcrm.organizations WHERE id = test.id('a')), 'warn', 'the default is warn');
SELECT test.keep('plain', id) FROM kvcrm.create_lead('Plain', assigned_to => test.id('rep'), organization_id => test.id('a'));
SELECT test.keep('deleted ' || value, (kvcrm.create_lead('Deleted', email => CASE field WHEN 'email' THEN value END, phone => CASE field WHEN 'phone' THEN value END,
    organization_id => test.id('a'))).id) FROM test.contacts;
SELECT kvcrm.delete_lead(id) IS NOT NULL FROM test.ids WHERE name LIKE 'deleted %';
SELECT test.keep('converted ' || value, (kvcrm.create_lead('Converted', email => CASE field WHEN 'email' THEN value END, phone => CASE field WHEN 'phone' THEN value END,
    organization_id => test.id('a'))).id) FROM test.contacts;
SELECT kvcrm.qualify_lead(id, on_match => 'create') IS NOT NULL FROM test.ids WHERE name LIKE 'converted %';
SELECT test.keep('holder', id) FROM kvcrm.create_lead('Holder', 'john.smith@gmail.com', '+74951234567', assigned_to => test.id('other_rep'), organization_id => test.id('a'));

-- --- every way to write, under every policy ---

-- A bad row of an import is reported, not raised.
CREATE FUNCTION test.imported(field text, value text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(row_no || ' ' || outcome || coalesce(' ' || replace(error, test.id('holder')::text, 'HOLDER'), ''), ', ' ORDER BY row_no)
      FROM kvcrm.import_leads(jsonb_build_array(jsonb_build_object('name', 'x'), jsonb_build_object('name', 'y', field, value), jsonb_build_object('name', 'z')), dry_run => true, organization_id => test.id('a')) $$;

-- Under allow and warn only a call that says block is refused.
CREATE FUNCTION test.free(policy text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT is(test.attempt(format(statement, field, value)),
              CASE way WHEN 'create_lead, block' THEN format('23505 another live lead has the same %s Lead HOLDER. @%s', field, field) ELSE 'written' END,
              format('%s: %s, %s', policy, way, value)) FROM test.ways, test.contacts
    UNION ALL
    SELECT is(test.imported(field, value), '1 created, 2 created, 3 created', format('%s: import_leads, %s', policy, value)) FROM test.contacts $$;

SELECT test.free('warn');
UPDATE kvcrm.organizations SET duplicate_policy = 'allow' WHERE id = test.id('a');
SELECT test.free('allow');

UPDATE kvcrm.organizations SET duplicate_policy = 'block' WHERE id = test.id('a');
SELECT is(test.attempt(format(statement, field, value)), format('23505 another live lead has the same %s Lead HOLDER. @%s', field, field),
          format('block: %s, %s', way, value)) FROM test.ways, test.contacts;
SELECT is(test.imported(field, value), format('1 created, 2 error another live lead has the same %s (Lead HOLDER.), 3 created', field), 'block: import_leads, ' || value) FROM test.contacts;
SELECT is(test.imported('email', 'other@gmail.com'), '1 created, 2 created, 3 created', 'block: an address of its own is free');
SELECT is(test.attempt(replace(format(statement, field, value), $$test.id('a')$$, $$test.id('b')$$)), 'written', 'another organization doesn''t count: ' || value)
  FROM test.ways, test.contacts WHERE way = 'INSERT';
SELECT is((SELECT string_agg(error, '; ') FROM kvcrm.import_leads('[{"name": "x", "email": "new@firm.ru"}, {"name": "y", "email": "NEW@firm.ru"}]', dry_run => true, organization_id => test.id('a'))) ~ '^another live lead has the same email \(Lead [0-9a-f-]{36}\.\)$',
          true, 'two rows of one import: the second one is refused');
SELECT is(test.attempt($$PERFORM kvcrm.create_lead('x', on_duplicate => 'never', organization_id => test.id('a'))$$), '22023 on_duplicate must be allow, warn or block', 'there are three policies');
SELECT is(test.attempt($$UPDATE kvcrm.organizations SET duplicate_policy = 'never'$$) ~ '^23514', true, 'for organizations too');

-- --- what the error tells ---

-- The holder is other_rep's, which rep doesn't see and the manager does.
SELECT is(test.attempt(format(statement, field, value)), format('23505 another live lead has the same %s @%s', field, field), format('%s by one who doesn''t see the holder: %s', way, value))
  FROM test.contacts, (VALUES ('POST', $$PERFORM test.post('rep', jsonb_build_object('name', 'x', '%1$s', %2$L))$$),
                              ('PATCH', $$PERFORM test.patch('rep', test.id('plain'), jsonb_build_object('%1$s', %2$L))$$),
                              ('create_lead', $$PERFORM test.as_user('rep', format('SELECT kvcrm.create_lead(''x'', %1$s => %%L)', %2$L))$$),
                              ('create_lead, block', $$PERFORM test.as_user('rep', format('SELECT kvcrm.create_lead(''x'', %1$s => %%L, on_duplicate => ''block'')', %2$L))$$),
                              ('a backend''s INSERT', $$PERFORM test.as_backend_of('rep', format('INSERT INTO kvcrm.leads (organization_id, name, %1$s) VALUES (test.id(''a''), ''x'', %%L) RETURNING 1', %2$L))$$)) AS w (way, statement);
SELECT is(test.attempt($$PERFORM test.post('other_rep', jsonb_build_object('name', 'x', 'email', 'johnsmith@gmail.com'))$$), '23505 another live lead has the same email Lead HOLDER. @email', 'whose it is is told');
SELECT is(test.attempt($$PERFORM test.post('manager', jsonb_build_object('name', 'x', 'email', 'johnsmith@gmail.com'))$$), '23505 another live lead has the same email Lead HOLDER. @email', 'who reads all is told');
SELECT is(test.attempt($$PERFORM test.post('owner_b', jsonb_build_object('name', 'x', 'email', 'johnsmith@gmail.com', 'organization_id', test.id('a')))$$) ~ '^42501', true, 'a stranger is told nothing');

INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (test.id('a'), 'cleaner', 'Уборка', '{leads:delete,leads:read_own,settings:update}');
SELECT kvcrm.add_member(test.id('stranger'), 'cleaner', organization_id => test.id('a')) IS NOT NULL;
-- As a restore brings rows, past the triggers.
SET session_replication_role = replica;
UPDATE kvcrm.leads SET assigned_to = test.id('stranger') WHERE id = test.id('deleted ' || 'John.Smith@gmail.com');
RESET session_replication_role;
SELECT is(test.attempt($$PERFORM test.as_user('stranger', 'SELECT kvcrm.restore_lead(test.id(''deleted John.Smith@gmail.com''))')$$), '23505 another live lead has the same email @email', 'restore_lead by one who doesn''t see the holder');

SET session_replication_role = replica;
UPDATE kvcrm.leads SET assigned_to = NULL WHERE id = test.id('deleted ' || 'John.Smith@gmail.com');
RESET session_replication_role;

-- In the moment between the trigger's look and the row only the index is left to refuse. Here a trigger that comes
-- later gives the row a key that is taken.
CREATE FUNCTION test.late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.block_email := 'johnsmith@gmail.com'; RETURN NEW; END $$;
CREATE TRIGGER zz_late BEFORE INSERT OR UPDATE ON kvcrm.leads FOR EACH ROW EXECUTE FUNCTION test.late();
SELECT is(row(e.code, e.message, e.detail, e.column_name, e.constraint_name)::text, row('23505', 'another live lead has the same email', '', 'email', 'leads_block_email')::text,
          'functions give the index''s error the same words: ' || statement)
  FROM unnest(ARRAY[$$SELECT kvcrm.create_lead('x', 'new@firm.ru', organization_id => test.id('a'))$$, $$SELECT kvcrm.assign_lead(test.id('plain'), NULL)$$]) AS statement, test.error_of(statement) e;
SELECT is((SELECT string_agg(error, ',') FROM kvcrm.import_leads('[{"name": "x"}]', organization_id => test.id('a'))), 'another live lead has the same email', 'imports too');
SELECT is((SELECT string_agg(error_code || ' ' || error, ',') FROM kvcrm.bulk_assign(ARRAY[test.id('plain')], NULL)), '23505 another live lead has the same email', 'and bulk functions');
DROP TRIGGER zz_late ON kvcrm.leads;

-- --- giving keys away, within a statement and a transaction ---

SELECT test.keep('second', id) FROM kvcrm.create_lead('Second', 'second@firm.ru', organization_id => test.id('a'));
SELECT is(test.attempt($$UPDATE kvcrm.leads l SET email = CASE id WHEN test.id('holder') THEN 'second@firm.ru' ELSE 'johnsmith@gmail.com' END WHERE id IN (test.id('holder'), test.id('second'))$$) ~ '^23505 another live lead has the same email Lead ',
          true, 'two leads can''t swap addresses in one statement, as with any unique index');
SELECT is(test.attempt($$UPDATE kvcrm.leads SET email = NULL WHERE id = test.id('holder'); UPDATE kvcrm.leads SET email = 'johnsmith@gmail.com' WHERE id = test.id('second'); UPDATE kvcrm.leads SET email = 'second@firm.ru' WHERE id = test.id('holder')$$),
          'written', 'in three they can');
SELECT is(test.attempt($$WITH gone AS (UPDATE kvcrm.leads SET email = NULL WHERE id = test.id('holder') RETURNING organization_id) INSERT INTO kvcrm.leads (organization_id, name, email) SELECT organization_id, 'x', 'johnsmith@gmail.com' FROM gone$$),
          'written', 'an address that was given away earlier in the statement is free');
SELECT is(test.attempt($$PERFORM kvcrm.delete_lead(test.id('holder')); PERFORM kvcrm.restore_lead(test.id('deleted John.Smith@gmail.com'))$$), 'written', 'deleting the holder frees it');
SELECT is(test.attempt($$PERFORM kvcrm.qualify_lead(test.id('holder')); PERFORM kvcrm.restore_lead(test.id('deleted John.Smith@gmail.com'))$$), 'written', 'converting it too');
SELECT is(test.attempt($$PERFORM kvcrm.qualify_lead(test.id('holder')); PERFORM kvcrm.create_lead('x', 'johnsmith@gmail.com', organization_id => test.id('a')); PERFORM kvcrm.revert_conversion(test.id('holder'))$$) ~ '^23505 another live lead has the same email Lead ',
          true, 'and then the holder itself doesn''t come back');
SELECT is(test.attempt($$UPDATE kvcrm.leads SET email = 'J.O.H.N.Smith@gmail.com', phone = '84951234567' WHERE id = test.id('holder')$$), 'written', 'a lead doesn''t stand in its own way');
SELECT is(test.attempt($$INSERT INTO kvcrm.leads (id, organization_id, name, email) VALUES (test.id('holder'), test.id('a'), 'x', 'johnsmith@gmail.com') ON CONFLICT (id, organization_id) DO UPDATE SET name = excluded.name$$), 'written', 'nor in an upsert');

-- --- merging ---

SELECT test.keep('loser', id) FROM kvcrm.create_lead('Loser', 'loser@firm.ru', '+74990000099', organization_id => test.id('a'));
SELECT lives_ok($$SELECT kvcrm.merge_leads(test.id('second'), ARRAY[test.id('loser')], '{"email": "loser@firm.ru"}')$$, 'a survivor takes over what is blocked by the lead merged into it');
SELECT is((SELECT string_agg(concat_ws(' ', name, block_email, block_phone), ', ' ORDER BY name) FROM kvcrm.leads WHERE id IN (test.id('loser'), test.id('second'))), 'Loser, Second loser@firm.ru +74990000099', 'with the keys');
SELECT test.keep('taker', id) FROM kvcrm.create_lead('Taker', 'second@firm.ru', organization_id => test.id('a'));
SELECT is((test.error_of($$SELECT kvcrm.undo_merge((SELECT id FROM kvcrm.lead_merges))$$)).detail, format('Lead %s.', test.id('taker')), 'undo_merge names the lead that took an address meanwhile');
SELECT is((test.error_of($$SELECT kvcrm.undo_merge((SELECT id FROM kvcrm.lead_merges))$$)).code, '23505', 'and is refused');
SELECT kvcrm.delete_lead(test.id('taker')) IS NOT NULL;
SELECT lives_ok($$SELECT kvcrm.undo_merge((SELECT id FROM kvcrm.lead_merges))$$, 'once it is free, both come back');
SELECT is((SELECT string_agg(concat_ws(' ', name, block_email, block_phone), ', ' ORDER BY name) FROM kvcrm.leads WHERE id IN (test.id('loser'), test.id('second'))), 'Loser loser@firm.ru +74990000099, Second second@firm.ru', 'with their keys');

-- --- switching to block ---

SELECT is(test.attempt($$UPDATE kvcrm.organizations SET duplicate_policy = 'block' WHERE id = test.id('a')$$), 'written', 'switching to what it is');
UPDATE kvcrm.organizations SET duplicate_policy = 'warn' WHERE id = test.id('a');
SELECT is((SELECT count(*) FROM kvcrm.leads WHERE organization_id = test.id('a') AND (block_email IS NOT NULL OR block_phone IS NOT NULL)), 0::bigint, 'switching away takes the keys away');
-- The ids are chosen: pairs are told in their order.
INSERT INTO kvcrm.leads (id, organization_id, name, email, phone, assigned_to)
SELECT format('00000000-0000-4000-9000-%s', lpad(n::text, 12, '0'))::uuid, test.id('a'), 'Pair ' || n, email, phone, CASE WHEN mine THEN test.id('stranger') END
  FROM (VALUES (1, 'a@firm.ru', NULL, false), (2, 'A@firm.ru', NULL, true), (3, 'a+3@firm.ru', '84990000001', true), (4, NULL, '+74990000001', true)) AS t (n, email, phone, mine);
CREATE FUNCTION test.switched(statement text) RETURNS text LANGUAGE sql AS $$
    SELECT regexp_replace(concat_ws(' | ', e.code, e.message, e.detail, e.column_name), '00000000-0000-4000-9000-0*', '#', 'g') || CASE WHEN e.hint LIKE '%merge_leads%' THEN '' ELSE ' no hint' END FROM test.error_of(statement) e $$;
SELECT is(test.switched(statement), '23505 | duplicates can''t be blocked while live leads share an email or phone | Leads #1 and #2 have the same email; leads #3 and #4 have the same phone; further pairs: 1. | duplicate_policy', way || ' is refused and says which')
  FROM (VALUES ('psql', $$UPDATE kvcrm.organizations SET duplicate_policy = 'block' WHERE id = test.id('a')$$),
               ('upsert', $$INSERT INTO kvcrm.organizations (id, name) VALUES (test.id('a'), 'x') ON CONFLICT (id) DO UPDATE SET duplicate_policy = 'block'$$),
               ('PATCH', $$SELECT test.patch('admin', test.id('a'), '{"duplicate_policy": "block"}', 'kvcrm.organizations')$$),
               ('a backend', $$SELECT test.as_backend_of('admin', 'UPDATE kvcrm.organizations SET duplicate_policy = ''block'' WHERE id = test.id(''a'') RETURNING 1')$$)) AS t (way, statement);
SELECT is(test.switched($$UPDATE kvcrm.organizations SET duplicate_policy = 'block'$$) ~ '^23505', true, 'of several organizations one with duplicates stops all');
SELECT is(test.switched($$SELECT test.patch('stranger', test.id('a'), '{"duplicate_policy": "block"}', 'kvcrm.organizations')$$),
          '23505 | duplicates can''t be blocked while live leads share an email or phone | Leads #2 and #3 have the same email; leads #3 and #4 have the same phone; further pairs: 1. | duplicate_policy', 'who sees three of four is told of those');
UPDATE kvcrm.roles SET permissions = '{settings:update}' WHERE slug = 'cleaner';
SELECT is(test.switched($$SELECT test.patch('stranger', test.id('a'), '{"duplicate_policy": "block"}', 'kvcrm.organizations')$$),
          '23505 | duplicates can''t be blocked while live leads share an email or phone | Pairs of leads with the same email or phone: 3. | duplicate_policy', 'who sees no leads is told how many');
SELECT is(test.switched($$SELECT test.patch('manager', test.id('a'), '{"duplicate_policy": "block"}', 'kvcrm.organizations')$$) ~ '^23505', false, 'who may not switch is told nothing of it');
SELECT is((SELECT duplicate_policy FROM kvcrm.organizations WHERE id = test.id('a')), 'warn', 'it stays warn');

INSERT INTO kvcrm.leads (organization_id, name, phone) SELECT test.id('a'), 'Many', '+7499000' || lpad((n / 2)::text, 4, '0') FROM generate_series(20, 39) AS n;
SELECT is(test.switched($$UPDATE kvcrm.organizations SET duplicate_policy = 'block' WHERE id = test.id('a')$$) ~ '([Ll]eads [^;]* have the same (email|phone); ){5}further pairs: 8\.', true, 'five pairs are named, the others counted');
SELECT kvcrm.delete_lead(id) IS NOT NULL FROM kvcrm.leads WHERE organization_id = test.id('a') AND name = 'Many';
SELECT kvcrm.delete_lead('00000000-0000-4000-9000-000000000001') IS NOT NULL, kvcrm.qualify_lead('00000000-0000-4000-9000-000000000002') IS NOT NULL;
UPDATE kvcrm.leads SET phone = '+74990000002' WHERE id = '00000000-0000-4000-9000-000000000004';
SELECT lives_ok($$SELECT test.patch('admin', test.id('a'), '{"duplicate_policy": "block"}', 'kvcrm.organizations')$$, 'once they are deleted, converted or changed, the switch works');
SELECT is((SELECT string_agg(concat_ws(' ', right(id::text, 1), block_email, block_phone), ', ' ORDER BY id) FROM kvcrm.leads WHERE name LIKE 'Pair %'), '1, 2, 3 a@firm.ru +74990000001, 4 +74990000002', 'and gives live leads their keys');
SELECT is(test.attempt($$INSERT INTO kvcrm.leads (organization_id, name, email) VALUES (test.id('a'), 'x', 'a@firm.ru')$$) ~ '^23505', true, 'which hold at once');
SELECT is(test.attempt($$UPDATE kvcrm.organizations SET duplicate_policy = 'allow' WHERE id = test.id('a'); INSERT INTO kvcrm.leads (organization_id, name, email) VALUES (test.id('a'), 'x', 'a@firm.ru'); UPDATE kvcrm.organizations SET duplicate_policy = 'block' WHERE id = test.id('a')$$) ~ '^23505 duplicates can''t be blocked',
          true, 'a switch sees what its own transaction wrote');

SELECT * FROM finish();
