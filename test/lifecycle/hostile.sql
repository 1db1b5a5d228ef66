-- Run by hostile.sh: other sessions, driven from this one through dblink. This one only looks, and commits at once.
SET client_min_messages = warning;
CREATE EXTENSION kvcrm;
CREATE EXTENSION pgtap;
CREATE EXTENSION dblink;
SELECT no_plan();
\set api kvcrm_hostile_api
\ir ../sql/include/access.sql
ALTER ROLE :"api" LOGIN;
CREATE ROLE kvcrm_hostile_service LOGIN BYPASSRLS;
SELECT kvcrm.grant_api('kvcrm_hostile_service') \g /dev/null
GRANT USAGE ON SCHEMA t TO kvcrm_hostile_service;

-- --- other sessions ---

-- A session of a login; acting as `who` from now on.
CREATE FUNCTION t.connect(session text, login text, who text DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.dblink_connect(session, format('host=%s dbname=%s user=%s application_name=%s', current_setting('unix_socket_directories'), current_database(), login, session));
    PERFORM public.dblink_exec(session, 'SET client_min_messages = error');
    PERFORM public.dblink_exec(session, format('SET request.jwt.claims = %L', CASE WHEN who IS NULL THEN '' ELSE json_build_object('sub', t.id(who))::text END));
END
$$;
-- What a statement does in a session: its one value, the command's tag, or the SQLSTATE of its error.
CREATE FUNCTION t.on(session text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    IF statement ~* '^(SELECT|WITH|FETCH)' OR statement ~ 'RETURNING' THEN
        SELECT string_agg(r, ',') INTO answer FROM public.dblink(session, statement) AS d (r text);
        RETURN answer;
    END IF;
    RETURN public.dblink_exec(session, statement);
EXCEPTION WHEN OTHERS OR query_canceled THEN RETURN SQLSTATE;
END
$$;
CREATE FUNCTION t.failed(answer text) RETURNS boolean LANGUAGE sql AS $$ SELECT answer IS NULL OR answer ~ '^[0-9]{2}[0-9A-Z]{3}$|^PT' $$;
-- Which versions of which rows are stored.
CREATE FUNCTION t.state() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    relation regclass;
    part text;
    result text := '';
BEGIN
    FOR relation IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'kvcrm'::regnamespace AND c.relkind = 'r' ORDER BY c.relname LOOP
        EXECUTE format('SELECT count(*) || '':'' || coalesce(sum(xmin::text::bigint), 0) FROM %s', relation) INTO part;
        result := result || relation || ' ' || part || E'\n';
    END LOOP;
    RETURN result;
END
$$;

SELECT t.connect('system', 'postgres'), t.connect('other', 'postgres'), t.connect('owner', :'api', 'owner'), t.connect('rep', :'api', 'rep'), t.connect('service', 'kvcrm_hostile_service', 'rep') \g /dev/null

-- What the triggers keep from a representative, unless a function has asked for permission before: whether some function's
-- permission outlived it. As a role that bypasses row-level security, so that only the triggers stand in the way.
CREATE FUNCTION t.still_held(session text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM public.dblink_exec(session, format('SET request.jwt.claims = %L', json_build_object('sub', t.id('rep'))::text));
    answer := t.on(session, 'UPDATE kvcrm.leads SET assigned_to = t.id(''far'') WHERE id = t.id(''lead_rep'')');
    PERFORM t.on(session, format('SET request.jwt.claims = %L', json_build_object('sub', t.id('owner'))::text));
    RETURN answer;
END
$$;
SELECT is(t.still_held('service'), '42501', 'a representative may not give a lead away') \g

-- --- cursors and prepared statements across changes of who one is ---

CREATE FUNCTION t.play(session text, VARIADIC script text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    step text;
    answers text[] := '{}';
BEGIN
    PERFORM t.on(session, 'BEGIN');
    FOREACH step IN ARRAY script LOOP
        IF step LIKE 'as %' THEN PERFORM t.on(session, format('SET request.jwt.claims = %L', CASE step WHEN 'as nobody' THEN '' ELSE json_build_object('sub', t.id(substr(step, 4)))::text END));
        ELSIF step ~ '^(FETCH|SELECT|EXECUTE)' THEN answers := answers || coalesce(t.on(session, step), 'none');
        ELSIF t.failed(t.on(session, step)) THEN answers := answers || (step || ' fails'); END IF;
    END LOOP;
    PERFORM t.on(session, 'ROLLBACK'), t.on(session, 'CLOSE ALL'), t.on(session, 'DEALLOCATE ALL'), t.on(session, 'RESET ROLE');
    RETURN array_to_string(answers, ' | ');
END
$$;
\set leads '\'DECLARE c CURSOR FOR SELECT name FROM kvcrm.leads ORDER BY name\''
\set held '\'DECLARE c CURSOR WITH HOLD FOR SELECT name FROM kvcrm.leads ORDER BY name\''
\set scrolled '\'DECLARE c SCROLL CURSOR FOR SELECT name FROM kvcrm.leads ORDER BY name\''
\set listed '\'DECLARE c CURSOR FOR SELECT name FROM kvcrm.list_leads(sort => \'\'name\'\')\''
\set counted '\'DECLARE c CURSOR FOR SELECT (SELECT count(*) FROM kvcrm.leads l WHERE g > 0)::text FROM generate_series(1, 3) AS g\''
\set all '\'Lead_Far,Lead_Manager,Lead_Mate,Lead_Nobody,Lead_Rep\''
-- A cursor is whoever's fetched its first row; from then on it stays theirs, like any cursor of PostgreSQL.
SELECT is(t.play('rep', 'as south_rep', :leads, 'FETCH 1 FROM c', 'as rep', 'FETCH ALL FROM c'), 'Lead_South | none', 'a cursor that somebody began gives nobody else rows of theirs');
SELECT is(t.play('rep', 'as owner', :leads, 'as rep', 'FETCH ALL FROM c'), 'Lead_Rep', 'one that is opened and not read yet is the reader''s');
SELECT is(t.play('rep', 'as owner', :leads, 'as nobody', 'FETCH ALL FROM c'), 'none', 'also when that is nobody');
SELECT is(t.play('rep', 'as rep', :leads, 'as owner', 'FETCH ALL FROM c'), :all, 'or somebody who sees more');
SELECT is(t.play('rep', 'as rep', :leads, 'FETCH 0 FROM c', 'FETCH 1 FROM c', 'as owner', 'FETCH ALL FROM c'), 'none | Lead_Rep | none', 'somebody who sees more gets no more from a cursor that was begun');
SELECT is(t.play('rep', 'as owner', :scrolled, 'FETCH ALL FROM c', 'as rep', 'MOVE ABSOLUTE 0 FROM c', 'FETCH ALL FROM c') IN (:all || ' | ' || :all, :all || ' | Lead_Rep'), true, 'read again from the start it is one''s or the other''s');
SELECT is(t.play('rep', 'as owner', :held, 'COMMIT', 'as rep', 'FETCH ALL FROM c'), :all, 'WITH HOLD keeps what was read when it was committed');
SELECT is(t.play('rep', 'as owner', :listed, 'FETCH 1 FROM c', 'as rep', 'FETCH ALL FROM c'), 'Lead_Far | ' || substr(:all, 10), 'a function answers the one who called it');
SELECT is(t.play('rep', 'as owner', :listed, 'as rep', 'FETCH ALL FROM c'), 'Lead_Rep', 'which is the one who reads the first row');
SELECT is(t.play('rep', 'as owner', :counted, 'FETCH 1 FROM c', 'as rep', 'FETCH ALL FROM c') IN ('5 | 5,5', '5 | 1,1'), true, 'a sub-select of a cursor is one''s or the other''s');
SELECT is(t.play('system', 'as rep', format('SET ROLE %I', :'api'), :leads, 'RESET ROLE', 'FETCH ALL FROM c'), 'Lead_Rep', 'a cursor opened as an API role keeps to its policies when the role goes');
SELECT is(t.play('system', :leads, 'as rep', format('SET ROLE %I', :'api'), 'FETCH ALL FROM c'), :all || ',Lead_South', 'one opened as a superuser has none');
SELECT is(t.play('system', 'as owner', :listed, 'as rep', format('SET ROLE %I', :'api'), 'FETCH ALL FROM c'), 'Lead_Rep', 'a function called by it answers the acting user');
-- Statements that a session prepared run as whoever executes them, also when the plan is kept.
SELECT t.on('system', 'PREPARE q AS SELECT string_agg(name, '','' ORDER BY name) FROM kvcrm.leads'), t.on('system', 'SET plan_cache_mode = force_generic_plan') \g /dev/null
CREATE FUNCTION t.execute(session text, role text, who text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer text;
BEGIN
    PERFORM t.on(session, format('SET ROLE %s', role)), t.on(session, format('SET request.jwt.claims = %L', CASE WHEN who IS NULL THEN '' ELSE json_build_object('sub', t.id(who))::text END));
    SELECT r INTO answer FROM public.dblink(session, 'EXECUTE q') AS d (r text);
    PERFORM t.on(session, 'RESET ROLE'), t.on(session, 'SET request.jwt.claims = ''''');
    RETURN coalesce(answer, 'none');
END
$$;
SELECT is(t.execute('system', role, who), answer, format('a prepared statement executed as %s, %s', role, coalesce(who, 'nobody')))
  FROM (VALUES (1, 'NONE', NULL, :all || ',Lead_South'), (2, :'api', 'rep', 'Lead_Rep'), (3, :'api', 'owner', :all), (4, :'api', NULL, 'none'), (5, 'NONE', NULL, :all || ',Lead_South'), (6, :'api', 'south_rep', 'Lead_South'), (7, :'api', 'rep', 'Lead_Rep')) AS v (n, role, who, answer) ORDER BY n;
SELECT t.on('system', 'RESET ALL'), t.on('system', 'DEALLOCATE ALL') \g /dev/null

-- --- one write after the other: old snapshots, two phases, savepoints ---

-- Rows of its own for each run, named after it.
CREATE FUNCTION t.fresh(run text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO kvcrm.leads (organization_id, id, name, email, company, assigned_to, created_at)
    SELECT t.id('north'), t.id(run || ' ' || n), run || ' ' || n, replace(run, ' ', '.') || '.' || n || '@firm.example', 'Firm ' || run, t.id('rep'), now() FROM unnest(ARRAY['a', 'b', 'deleted', 'converted', 'survivor', 'merged', 'unquoted']) AS n;
    PERFORM kvcrm.delete_lead(t.id(run || ' deleted')), kvcrm.qualify_lead(t.id(run || ' converted'), on_match => 'create'), kvcrm.qualify_lead(t.id(run || ' unquoted'), on_match => 'create'), kvcrm.merge_leads(t.id(run || ' survivor'), ARRAY[t.id(run || ' merged')]);
    INSERT INTO kvcrm.lead_activities (organization_id, id, lead_id, type, title, assigned_to) VALUES (t.id('north'), t.id(run || ' task'), t.id(run || ' a'), 'task', 'Call', t.id('rep'));
    INSERT INTO kvcrm.lead_stages (organization_id, id, name, order_index) VALUES (t.id('north'), t.id(run || ' stage'), run, 100);
    INSERT INTO kvcrm.quotes (organization_id, id, lead_id, customer_id, title, amount, currency)
    SELECT t.id('north'), t.id(run || ' quote'), id, converted_to_customer_id, 'Offer', 1, 'RUB' FROM kvcrm.leads WHERE id = t.id(run || ' converted');
    INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, status, display_name)
    SELECT t.id('north'), t.id(run || ' ' || n), 'sales_team', n, n FROM unnest(ARRAY['active', 'suspended', 'invited']) AS n;
    PERFORM kvcrm.import_leads(jsonb_build_array(jsonb_build_object('name', run || ' imported')), 'allow', organization_id => t.id('north'));
    INSERT INTO t.made SELECT run, (SELECT id FROM kvcrm.lead_imports WHERE organization_id = t.id('north') ORDER BY id DESC LIMIT 1), (SELECT id FROM kvcrm.lead_merges WHERE survivor_id = t.id(run || ' survivor'));
    INSERT INTO kvcrm.duplicate_pairs (organization_id, lead_id, other_lead_id, probability, explanation, status, decided_at)
    SELECT t.id('north'), least(t.id(run || ' survivor'), t.id(run || ' ' || n)), greatest(t.id(run || ' survivor'), t.id(run || ' ' || n)), 0.9, '{}', 'dismissed', now() FROM unnest(ARRAY['deleted', 'converted']) AS n;
    INSERT INTO kvcrm.lead_stage_transitions (organization_id, from_stage_id, to_stage_id) SELECT t.id('north'), id, t.id(run || ' stage') FROM kvcrm.lead_stages WHERE organization_id = t.id('north') AND name = 'New lead';
END
$$;
CREATE TABLE t.made (run text PRIMARY KEY, import_id uuid, merge_id uuid);
GRANT SELECT ON t.made TO PUBLIC;
INSERT INTO kvcrm.lead_stage_transitions (organization_id, from_stage_id, to_stage_id)
SELECT t.id('north'), f.id, s.id FROM kvcrm.lead_stages f JOIN kvcrm.lead_stages s USING (organization_id) WHERE f.organization_id = t.id('north') AND f.id <> s.id;
-- Somebody else's change of all that meanwhile.
CREATE FUNCTION t.meddle(run text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE kvcrm.leads SET "position" = 'changed' WHERE organization_id = t.id('north') AND name LIKE run || ' %' AND name NOT LIKE '% imported' AND deleted_at IS NULL AND merged_into_id IS NULL AND converted_at IS NULL;
    UPDATE kvcrm.leads SET stage_id = (SELECT id FROM kvcrm.lead_stages WHERE organization_id = t.id('north') AND outcome = 'lost'), lost_reason = 'x' WHERE id = t.id(run || ' converted');
    UPDATE kvcrm.lead_activities SET title = 'changed' WHERE id = t.id(run || ' task');
    UPDATE kvcrm.lead_stages SET description = 'changed' WHERE id = t.id(run || ' stage');
    UPDATE kvcrm.quotes SET title = 'changed' WHERE id = t.id(run || ' quote');
    UPDATE kvcrm.organization_members SET display_name = 'changed' WHERE organization_id = t.id('north') AND user_id IN (t.id(run || ' active'), t.id(run || ' suspended'), t.id(run || ' invited'));
    INSERT INTO kvcrm.leads (organization_id, name, email, assigned_to) VALUES (t.id('north'), run || ' late', gen_random_uuid() || '@firm.example', t.id('rep'));
    PERFORM kvcrm.assign_next(t.id(run || ' b'), organization_id => t.id('north')), kvcrm.ack_events('hook', (SELECT id FROM kvcrm.event_feed('hook', 1, t.id('north'))), t.id('north'));
END
$$;

-- Each function that writes, and direct writes. $R stands for the run.
CREATE TABLE t.writes (n int GENERATED ALWAYS AS IDENTITY, name text, who text, statement text);
INSERT INTO t.writes (name, who, statement) VALUES
    ('create_lead', 'rep', 'SELECT name FROM kvcrm.create_lead(''$R new'', ''$R.new@firm.example'')'),
    ('assign_lead', 'owner', 'SELECT name FROM kvcrm.assign_lead(t.id(''$R a''), t.id(''mate''), t.id(''north''))'),
    ('assign_next', 'owner', 'SELECT name FROM kvcrm.assign_next(t.id(''$R a''), organization_id => t.id(''north''))'),
    ('move_lead', 'rep', 'SELECT name FROM kvcrm.move_lead(t.id(''$R a''), t.id(''$R stage''), NULL)'),
    ('delete_lead', 'owner', 'SELECT name FROM kvcrm.delete_lead(t.id(''$R a''))'),
    ('restore_lead', 'owner', 'SELECT name FROM kvcrm.restore_lead(t.id(''$R deleted''))'),
    ('erase_lead', 'owner', 'SELECT id = t.id(''$R a'') FROM kvcrm.erase_lead(t.id(''$R a''))'),
    ('set_legal_hold', 'owner', 'SELECT name FROM kvcrm.set_legal_hold(t.id(''$R a''), true)'),
    ('qualify_lead', 'rep', 'SELECT name FROM kvcrm.qualify_lead(t.id(''$R a''), on_match => ''create'')'),
    ('convert_lead_to_customer', 'rep', 'SELECT name FROM kvcrm.convert_lead_to_customer(t.id(''$R a''))'),
    ('preview_conversion', 'rep', 'SELECT (kvcrm.preview_conversion(t.id(''$R a'')) IS NOT NULL)::text'),
    ('revert_conversion', 'owner', 'SELECT name FROM kvcrm.revert_conversion(t.id(''$R unquoted''))'),
    ('create_quote_from_lead', 'rep', 'SELECT title FROM kvcrm.create_quote_from_lead(t.id(''$R a''), ''Offer'', 10)'),
    ('delete_quote', 'owner', 'SELECT title FROM kvcrm.delete_quote(t.id(''$R quote''))'),
    ('log_activity', 'rep', 'SELECT title FROM kvcrm.log_activity(t.id(''$R a''), ''note'', ''Said'')'),
    ('complete_activity', 'rep', 'SELECT title FROM kvcrm.complete_activity(t.id(''$R task''))'),
    ('delete_activity', 'owner', 'SELECT title FROM kvcrm.delete_activity(t.id(''$R task''))'),
    ('merge_leads', 'owner', 'SELECT name FROM kvcrm.merge_leads(t.id(''$R a''), ARRAY[t.id(''$R b'')])'),
    ('preview_merge', 'owner', 'SELECT (kvcrm.preview_merge(t.id(''$R a''), ARRAY[t.id(''$R b'')]) IS NOT NULL)::text'),
    ('undo_merge', 'owner', 'SELECT count(*)::text FROM kvcrm.undo_merge((SELECT merge_id FROM t.made WHERE run = ''$R''))'),
    ('dismiss_duplicate', 'owner', 'SELECT status FROM kvcrm.dismiss_duplicate(t.id(''$R a''), t.id(''$R b''))'),
    ('scan_duplicates', 'owner', 'SELECT (pairs_found >= 0)::text FROM kvcrm.scan_duplicates(0.5, t.id(''north''))'),
    ('train_matcher', 'owner', 'SELECT (kvcrm.train_matcher(t.id(''north'')) IS NOT NULL)::text'),
    ('reset_matcher', 'owner', 'SELECT (kvcrm.reset_matcher(t.id(''north'')) IS NOT NULL)::text'),
    ('bulk_assign', 'owner', 'SELECT string_agg(ok::text || coalesce(error_code, ''''), '','') FROM kvcrm.bulk_assign(ARRAY[t.id(''$R a''), t.id(''$R b''), t.id(''nothing'')], t.id(''mate''), t.id(''north''))'),
    ('bulk_move', 'owner', 'SELECT string_agg(ok::text || coalesce(error_code, ''''), '','') FROM kvcrm.bulk_move(ARRAY[t.id(''$R a''), t.id(''$R b''), t.id(''nothing'')], t.id(''$R stage''), NULL, t.id(''north''))'),
    ('bulk_delete', 'owner', 'SELECT string_agg(ok::text || coalesce(error_code, ''''), '','') FROM kvcrm.bulk_delete(ARRAY[t.id(''$R a''), t.id(''$R b''), t.id(''nothing'')], t.id(''north''))'),
    ('bulk_qualify', 'owner', 'SELECT string_agg(ok::text || coalesce(error_code, ''''), '','') FROM kvcrm.bulk_qualify(ARRAY[t.id(''$R a''), t.id(''$R b''), t.id(''nothing'')], ''create'', t.id(''north''))'),
    ('import_leads', 'owner', 'SELECT string_agg(outcome, '','') FROM kvcrm.import_leads(''[{"name": "$R one"}, {"name": "$R two", "email": "$R.a@firm.example"}]'', ''update'', organization_id => t.id(''north''))'),
    ('import_leads_csv', 'owner', 'SELECT string_agg(outcome, '','') FROM kvcrm.import_leads_csv(E''name;email\n$R one;$R.one@firm.example'', on_duplicate => ''skip'', organization_id => t.id(''north''))'),
    ('leads_export', 'owner', 'SELECT (count(*) > 0)::text FROM kvcrm.leads_export(organization_id => t.id(''north''))'),
    ('leads_export_csv', 'owner', 'SELECT (length(kvcrm.leads_export_csv(organization_id => t.id(''north''))::text) > 0)::text'),
    ('undo_import', 'owner', 'SELECT created_count::text FROM kvcrm.undo_import((SELECT import_id FROM t.made WHERE run = ''$R''))'),
    ('ingest_email', 'owner', 'SELECT title FROM kvcrm.ingest_email(convert_to(E''From: $R.a@firm.example\nSubject: Hello\nMessage-ID: <$R@x>\n\ntext'', ''UTF8''), t.id(''north''))'),
    ('rescore_leads', 'owner', 'SELECT (kvcrm.rescore_leads(1000, t.id(''north'')) >= 0)::text'),
    ('refresh_derived', 'owner', 'SELECT kvcrm.refresh_derived(1000, t.id(''north''))::text'),
    ('add_member', 'owner', 'SELECT status FROM kvcrm.add_member(t.id(''$R new''), ''sales_team'', organization_id => t.id(''north''))'),
    ('accept_invitation', '$R invited', 'SELECT status FROM kvcrm.accept_invitation(t.id(''north''))'),
    ('decline_invitation', '$R invited', 'SELECT status FROM kvcrm.decline_invitation(t.id(''north''))'),
    ('set_member_role', 'owner', 'SELECT role_slug FROM kvcrm.set_member_role(t.id(''$R active''), ''admin'', t.id(''north''))'),
    ('suspend_member', 'owner', 'SELECT status FROM kvcrm.suspend_member(t.id(''$R active''), organization_id => t.id(''north''))'),
    ('reactivate_member', 'owner', 'SELECT status FROM kvcrm.reactivate_member(t.id(''$R suspended''), t.id(''north''))'),
    ('create_organization', 'owner', 'SELECT name FROM kvcrm.create_organization(''$R'')'),
    ('delete_stage', 'owner', 'SELECT name FROM kvcrm.delete_stage(t.id(''$R stage''))'),
    ('remove_transition', 'owner', 'SELECT (to_stage_id IS NOT NULL)::text FROM kvcrm.remove_transition((SELECT id FROM kvcrm.lead_stages WHERE organization_id = t.id(''north'') AND name = ''New lead''), t.id(''$R stage''), t.id(''north''))'),
    ('ack_events', 'owner', 'SELECT name FROM kvcrm.ack_events(''hook'', (SELECT id FROM kvcrm.event_feed(''hook'', 5, t.id(''north'')) ORDER BY feed_epoch DESC, tx DESC, id DESC LIMIT 1), t.id(''north''))'),
    ('INSERT', 'rep', 'INSERT INTO kvcrm.leads (organization_id, name) VALUES (t.id(''north''), ''$R new'')'),
    ('UPDATE', 'rep', 'UPDATE kvcrm.leads SET email = ''$R.x@firm.example'' WHERE id = t.id(''$R a'')'),
    ('UPDATE of the stage', 'rep', 'UPDATE kvcrm.leads SET stage_id = t.id(''$R stage'') WHERE id = t.id(''$R a'')'),
    ('UPDATE of the policy', 'owner', 'UPDATE kvcrm.organizations SET duplicate_policy = CASE duplicate_policy WHEN ''block'' THEN ''warn'' ELSE ''block'' END WHERE id = t.id(''north'')'),
    ('UPDATE of stages', 'owner', 'UPDATE kvcrm.lead_stages SET order_index = -1 WHERE id = t.id(''$R stage'')'),
    ('INSERT of a contact', 'owner', 'INSERT INTO kvcrm.customer_contacts (organization_id, customer_id, name) SELECT organization_id, converted_to_customer_id, ''$R'' FROM kvcrm.leads WHERE id = t.id(''$R converted'')');
SELECT is((SELECT string_agg(p.proname, ', ') FROM pg_proc p JOIN kvcrm.api_privileges() a ON a.object_type = 'function' AND a.object_name::regprocedure = p.oid
           WHERE p.provolatile = 'v' AND p.proname <> 'uuid_v7' AND NOT EXISTS (SELECT FROM t.writes w WHERE w.name = p.proname)), NULL, 'every function that writes is tried');

-- Writes in all these ways, undone but for the last; returns what went wrong, null if nothing.
CREATE FUNCTION t.try_write(w t.writes) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    run text := 'w' || w.n;
    wrong text := '';
    before text := t.state();
    write text := replace(w.statement, '$R', run);
    claims text := format('SET request.jwt.claims = %L', json_build_object('sub', t.id(replace(w.who, '$R', run)))::text);
    first text;
    answer text;
    level text;
BEGIN
    PERFORM t.on('service', claims);

    -- Undone to a savepoint, and again, since what the backend remembers may be of the undone one.
    PERFORM t.on('service', 'BEGIN ISOLATION LEVEL SERIALIZABLE'), t.on('service', 'SAVEPOINT s');
    first := t.on('service', write);
    IF t.failed(first) THEN wrong := wrong || ' fails: ' || coalesce(first, 'null'); END IF;
    PERFORM t.on('service', 'ROLLBACK TO s');
    answer := t.still_held('service');
    IF answer <> '42501' THEN wrong := wrong || ' permission left after a savepoint: ' || answer; END IF;
    PERFORM t.on('service', 'ROLLBACK TO s'), t.on('service', claims);
    answer := t.on('service', write);
    IF answer IS DISTINCT FROM first THEN wrong := wrong || format(' after a savepoint %s instead of %s', answer, first); END IF;
    PERFORM t.on('service', 'SAVEPOINT s');
    answer := t.still_held('service');
    IF answer <> '42501' THEN wrong := wrong || ' permission left in the transaction: ' || answer; END IF;
    PERFORM t.on('service', 'ROLLBACK');

    -- Prepared and given up by another session.
    PERFORM t.on('service', 'BEGIN'), t.on('service', write);
    answer := t.on('service', 'PREPARE TRANSACTION ''p''');
    IF answer <> 'PREPARE TRANSACTION' THEN wrong := wrong || ' not prepared: ' || answer; END IF;
    -- Some writes lock leads against others.
    answer := t.still_held('service');
    IF answer NOT IN ('42501', '55P03') THEN wrong := wrong || ' permission left after PREPARE: ' || answer; END IF;
    PERFORM t.on('service', claims);
    answer := t.on('other', 'ROLLBACK PREPARED ''p''');
    IF answer <> 'ROLLBACK PREPARED' THEN wrong := wrong || ' not rolled back: ' || answer; END IF;
    IF t.state() <> before THEN wrong := wrong || ' something is left of what was undone'; END IF;

    -- An old snapshot, of before somebody else's change: it works, or it is to be tried again.
    FOREACH level IN ARRAY ARRAY['REPEATABLE READ', 'SERIALIZABLE'] LOOP
        PERFORM t.on('service', 'BEGIN ISOLATION LEVEL ' || level), t.on('service', 'SELECT count(*)::text FROM kvcrm.leads WHERE false'), t.on('service', 'SAVEPOINT s');
        answer := t.on('other', format('SELECT t.meddle(%L)::text', run));
        IF answer <> '' THEN wrong := wrong || ' meddling: ' || answer; END IF;
        answer := t.on('service', write);
        IF t.failed(answer) AND answer IS DISTINCT FROM '40001' THEN wrong := wrong || format(' %s: %s', level, answer); END IF;
        EXIT WHEN level = 'SERIALIZABLE';
        PERFORM t.on('service', 'ROLLBACK');
    END LOOP;
    IF NOT t.failed(answer) THEN
        answer := t.on('service', 'COMMIT');
        IF answer NOT IN ('COMMIT', '40001') THEN wrong := wrong || ' COMMIT: ' || answer; END IF;
        IF answer = 'COMMIT' THEN RETURN nullif(wrong, ''); END IF;
    END IF;

    -- Prepared and committed by another session.
    PERFORM t.on('service', 'ROLLBACK');
    before := t.state();
    PERFORM t.on('service', 'BEGIN'), t.on('service', write), t.on('service', 'PREPARE TRANSACTION ''p''');
    answer := t.on('other', 'COMMIT PREPARED ''p''');
    IF answer <> 'COMMIT PREPARED' THEN wrong := wrong || ' not committed: ' || answer; END IF;
    IF t.state() = before AND w.name NOT LIKE 'preview%' THEN wrong := wrong || ' nothing is there'; END IF;
    RETURN nullif(wrong, '');
END
$$;
SELECT t.on('service', 'SET lock_timeout = ''50ms''') \g /dev/null
SELECT format('SELECT t.fresh(%L)', 'w' || n) FROM t.writes ORDER BY n \gexec
SELECT format('SELECT is(t.try_write(w), NULL, w.name || '': undone, prepared, in an old snapshot'') FROM t.writes w WHERE n = %s', n) FROM t.writes ORDER BY n \gexec

-- --- interrupted in the middle ---

SELECT kvcrm.create_organization('Big', 'en', 'RU', t.id('owner'), 'Olga Owner', NULL, t.id('big')) \g /dev/null
CREATE TABLE t.people AS
    SELECT n, jsonb_build_object('name', 'Ivan Petrov ' || n % 3001, 'email', 'ivan.' || n % 4001 || '@firm' || n % 97 || '.example', 'phone', '+7912' || lpad((n % 5003)::text, 7, '0'), 'company', 'Firm ' || n % 997) AS person
      FROM generate_series(1, 20000) AS n;
INSERT INTO kvcrm.leads (organization_id, id, name, email, phone, company)
SELECT t.id('big'), t.id('big ' || n), person ->> 'name', person ->> 'email', person ->> 'phone', person ->> 'company' FROM t.people WHERE n <= 3000;
UPDATE kvcrm.lead_fingerprints SET derivation_version = 0 WHERE organization_id = t.id('big');
INSERT INTO kvcrm.scoring_rules (organization_id, field, operator, value, points) VALUES (t.id('big'), 'company', 'exists', NULL, 5);
ANALYZE kvcrm.leads, kvcrm.lead_fingerprints;
GRANT SELECT ON t.people TO PUBLIC;
CREATE FUNCTION t.big(first int, last int) RETURNS uuid[] LANGUAGE sql IMMUTABLE AS $$ SELECT array_agg(t.id('big ' || n) ORDER BY n) FROM generate_series(first, last) AS n $$;

-- Runs a call once to the end, undone again, then stops it at several points of the time that it took: by the timeout
-- and by somebody else's cancel. Returns what went wrong, null if nothing. With `ms`, it isn't run to the end: a call that
-- takes longer than that.
CREATE FUNCTION t.interrupt(call text, ms int DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    whole text;
    answer text;
    began timestamptz;
    long boolean := ms IS NOT NULL;
    share float8;
    stopped int := 0;
    wrong text := '';
    n int := 0;
    pid int := (SELECT d.pid FROM public.dblink('service', 'SELECT pg_backend_pid()') AS d (pid int));
BEGIN
    IF NOT long THEN
        -- The shortest of three: the first one plans, and a busy machine stalls.
        FOR i IN 1..3 LOOP
            PERFORM public.dblink_exec('service', 'BEGIN');
            began := clock_timestamp();
            whole := t.on('service', call);
            ms := least(ms, (extract(epoch FROM clock_timestamp() - began) * 1000)::int);
            PERFORM public.dblink_exec('service', 'ROLLBACK');
            IF whole IS NULL OR whole ~ '^[0-9A-Z]{5}$' THEN RETURN 'does not work: ' || coalesce(whole, 'null'); END IF;
        END LOOP;
        IF ms < 2 THEN RETURN format('done in %s ms (%s)', ms, whole); END IF;
    END IF;
    FOREACH share IN ARRAY ARRAY[0.15, 0.4, 0.7, 0.1, 0.2, 0.3, 0.1, 0.2] LOOP
        n := n + 1;
        EXIT WHEN n > 3 AND stopped > 0;
        PERFORM public.dblink_exec('service', 'BEGIN');
        PERFORM public.dblink_exec('service', 'SET LOCAL statement_timeout = ' || greatest(1, (ms * share)::int));
        answer := t.on('service', call);
        IF answer = '57014' THEN stopped := stopped + 1;
        ELSIF answer IS DISTINCT FROM whole THEN wrong := wrong || ' timeout: ' || coalesce(answer, 'null'); END IF;
        -- As COMMIT would be, since it failed; and as long as the timeout hits this too.
        WHILE t.on('service', 'ROLLBACK') = '57014' LOOP END LOOP;
        IF t.still_held('service') <> '42501' THEN wrong := wrong || ' permission left after timeout'; END IF;
    END LOOP;
    IF stopped = 0 THEN wrong := wrong || ' no timeout stopped it'; END IF;
    stopped := 0;
    FOREACH share IN ARRAY ARRAY[0.3, 0.1, 0.5, 0.2, 0.3, 0.1, 0.5, 0.2] LOOP
        EXIT WHEN stopped > 0;
        PERFORM public.dblink_exec('service', 'BEGIN');
        PERFORM public.dblink_send_query('service', call);
        PERFORM pg_sleep(ms * share / 1000);
        PERFORM pg_cancel_backend(pid);
        BEGIN
            SELECT string_agg(r, ',') INTO answer FROM public.dblink_get_result('service') AS d (r text);
        EXCEPTION WHEN OTHERS OR query_canceled THEN
            answer := SQLSTATE;
        END;
        WHILE public.dblink_is_busy('service') = 1 LOOP PERFORM pg_sleep(0.001); END LOOP;
        PERFORM * FROM public.dblink_get_result('service') AS d (r text);
        IF answer = '57014' THEN stopped := stopped + 1;
        ELSIF NOT long AND answer IS DISTINCT FROM whole THEN wrong := wrong || ' cancel: ' || coalesce(answer, 'null'); END IF;
        PERFORM public.dblink_exec('service', CASE answer WHEN '57014' THEN 'COMMIT' ELSE 'ROLLBACK' END);
    END LOOP;
    IF stopped = 0 THEN wrong := wrong || ' no cancel stopped it'; END IF;
    IF t.still_held('service') <> '42501' THEN wrong := wrong || ' permission left after cancel'; END IF;
    IF long THEN RETURN nullif(wrong, ''); END IF;
    -- The session goes on as if nothing had been.
    PERFORM public.dblink_exec('service', 'BEGIN');
    answer := t.on('service', call);
    IF answer IS DISTINCT FROM whole THEN wrong := wrong || format(' then %s instead of %s', answer, whole); END IF;
    PERFORM public.dblink_exec('service', 'ROLLBACK');
    RETURN nullif(wrong, '');
END
$$;
GRANT ALL ON ALL TABLES IN SCHEMA t TO PUBLIC;

SELECT t.state() AS state \gset
SELECT public.dblink_exec('service', format('SET request.jwt.claims = %L', json_build_object('sub', t.id('owner'))::text)) \g /dev/null
SELECT is(t.interrupt(call, ms), NULL, 'stopped in the middle: ' || left(call, 110))
  FROM (VALUES
       ('SELECT pairs_found > 0 AND leads_scanned = 3000 FROM kvcrm.scan_duplicates(0.5, t.id(''big''))', NULL),
       ('SELECT count(*) || '' rows'' FROM kvcrm.import_leads((SELECT jsonb_agg(person) FROM t.people), ''allow'', organization_id => t.id(''big''))', 700),
       ('SELECT count(*) || '' rows'' FROM kvcrm.import_leads((SELECT jsonb_agg(person) FROM t.people WHERE n BETWEEN 2800 AND 3200), ''skip'', organization_id => t.id(''big''))', NULL),
       ('SELECT count(*) || '' rows'' FROM kvcrm.import_leads_csv((SELECT E''name;email;phone\n'' || string_agg(concat_ws('';'', person ->> ''name'', person ->> ''email'', person ->> ''phone''), E''\n'') FROM t.people), NULL, ''warn'', organization_id => t.id(''big''))', 400),
       ('SELECT count(*) || '' rows'' FROM kvcrm.import_leads_csv(''name;email'' || repeat(E''\n"Some ""quoted"" name";x@x.example'', 200000), NULL, ''allow'', true, t.id(''big''))', 100),
       ('SELECT l.id = t.id(''big 1'') FROM kvcrm.merge_leads(t.id(''big 1''), t.big(2, 90), organization_id => t.id(''big'')) l', NULL),
       ('SELECT count(*) || coalesce(max(error_code), '' fine'') FROM kvcrm.bulk_assign(t.big(1, 200), t.id(''owner''), t.id(''big''))', NULL),
       ('SELECT count(*) || coalesce(max(error_code), '' fine'') FROM kvcrm.bulk_move(t.big(1, 200), (SELECT id FROM kvcrm.lead_stages WHERE organization_id = t.id(''big'') AND name = ''Contacted''), NULL, t.id(''big''))', NULL),
       ('SELECT count(*) || coalesce(max(error_code), '' fine'') FROM kvcrm.bulk_delete(t.big(1, 500), t.id(''big''))', NULL),
       ('SELECT count(*) || coalesce(max(error_code), '' fine'') FROM kvcrm.bulk_qualify(t.big(1, 100), ''create'', t.id(''big''))', NULL),
       ('SELECT count(*) || '' times '' || sum(kvcrm.refresh_derived(3000, t.id(''big''))) FROM generate_series(1, 2)', NULL),
       ('SELECT kvcrm.rescore_leads(1000, t.id(''big'')) || '' leads''', NULL),
       ('SELECT string_agg(kvcrm.train_matcher(t.id(''north'')) ->> ''duplicates'', '' '') FROM generate_series(1, 20)', NULL),
       ('SELECT count(*) || '' violations'' FROM kvcrm.check_consistency(t.id(''big''))', NULL),
       ('SELECT left(title, 20) FROM kvcrm.ingest_email(convert_to(E''From: New <new@mail.example>\nSubject: Long\nMessage-ID: <big@x>\nContent-Type: text/html; charset=koi8-r\n\n'' || repeat(''<p>some <b>words</b> of text &amp; more'', 100000), ''UTF8''), t.id(''big''))', NULL),
       ('SELECT count(*) || '' leads'' FROM kvcrm.list_leads(''petrov ivan'', sort => ''name'', page_size => 1000, organization_id => t.id(''big''))', NULL)
       ) AS v (call, ms);
SELECT is(t.state(), :'state', 'nothing half done is left');

SELECT sum(kvcrm.refresh_derived(10000, t.id('big'))) FROM generate_series(1, 2) \g /dev/null

SELECT * FROM finish() WHERE false;
