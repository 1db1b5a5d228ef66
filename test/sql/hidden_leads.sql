-- A lead that the caller doesn't see is answered like one that isn't there, whatever has become of it: by every function
-- that takes an id, and by every table that a lead can be named to; and no statement changes it.
BEGIN;
SELECT no_plan();
\set api kvcrm_hidden_leads_api
\ir include/access.sql

-- Who may do everything, but read leads that are others'.
INSERT INTO kvcrm.roles (organization_id, slug, name, permissions)
SELECT t.id('north'), 'blinkered', 'Blinkered', array_agg(permission) FROM kvcrm.permission_registry()
 WHERE permission NOT IN ('leads:read_all', 'leads:read_team', 'customers:read', 'quotes:read', 'logs:read');
INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, status, display_name) VALUES (t.id('north'), t.id('blinkered'), 'blinkered', 'active', 'Blinkered');

CREATE TABLE t.hidden AS SELECT state, t.id('hidden_' || state) AS id
  FROM unnest('{live,busy,deleted,survivor,merged,converted,held,lost,erased,erased_survivor,erased_merged}'::text[]) AS state;
INSERT INTO kvcrm.leads (id, organization_id, name, email, phone, company, assigned_to)
SELECT id, t.id('north'), 'Hidden ' || state, state || '@hidden.example', '+7912' || lpad((row_number() OVER ())::text, 7, '0'), 'Hidden ' || state, t.id('far') FROM t.hidden;
-- One's own.
INSERT INTO kvcrm.leads (id, organization_id, name, assigned_to)
SELECT t.id(who || '_' || n), t.id(organization), who || ' ' || n, t.id(who)
  FROM (VALUES ('rep', 'north'), ('blinkered', 'north'), ('south_owner', 'south')) AS v (who, organization), generate_series(1, 2) AS n;
DO $$
DECLARE north uuid := t.id('north');
BEGIN
    PERFORM kvcrm.log_activity(t.id('hidden_busy'), 'task', 'Hidden task', organization_id => north);
    INSERT INTO kvcrm.quotes (organization_id, lead_id, title, amount) VALUES (north, t.id('hidden_busy'), 'Hidden quote', 5);
    PERFORM kvcrm.delete_lead(t.id('hidden_deleted'), north);
    PERFORM kvcrm.merge_leads(t.id('hidden_survivor'), ARRAY[t.id('hidden_merged')], NULL, north);
    PERFORM kvcrm.qualify_lead(t.id('hidden_converted'), organization_id => north);
    PERFORM kvcrm.set_legal_hold(t.id('hidden_held'), true, north);
    PERFORM kvcrm.move_lead(t.id('hidden_lost'), (SELECT id FROM kvcrm.lead_stages WHERE organization_id = north AND outcome = 'lost'), lost_reason => 'price', organization_id => north);
    PERFORM kvcrm.erase_lead(t.id('hidden_erased'), north);
    PERFORM kvcrm.merge_leads(t.id('hidden_erased_survivor'), ARRAY[t.id('hidden_erased_merged')], NULL, north);
    PERFORM kvcrm.erase_lead(t.id('hidden_erased_survivor'), north);
END $$;

-- What a statement gives `who`, rows and all, without the id that it names and those that it makes.
CREATE FUNCTION t.answer(who text, statement text, named uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer text; m text; d text; h text; x text; c text;
BEGIN
    BEGIN
        PERFORM t.act(who), set_config('role', current_setting('t.api'), true);
        EXECUTE format('WITH q AS (%s) SELECT count(*) || '' rows '' || coalesce(string_agg(q::text, '' ''), '''') FROM q', statement) INTO answer;
        RAISE EXCEPTION SQLSTATE 'ZZZZZ';
    EXCEPTION
        WHEN SQLSTATE 'ZZZZZ' THEN NULL;
        WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT, x = PG_EXCEPTION_CONTEXT, c = CONSTRAINT_NAME;
            answer := concat_ws(' | ', SQLSTATE, m, d, h, c, regexp_replace(x, '\nPL/pgSQL function t\.answer.*', ''));
    END;
    RETURN regexp_replace(regexp_replace(replace(answer, named::text, '<named>'), '[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f-]{17}', '<made>', 'g'), '\d{4}-\d\d-\d\d[ T][\d:.]+\S*', '<time>', 'g');
END $$;

-- Each argument of each function that may be an id, and what the others are. $1: the id that is named.
CREATE FUNCTION t.argument(name text, type regtype, who text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN name IN ('lead_id', 'other_lead_id', 'survivor_id') THEN quote_literal(t.id(who || '_1'))
                WHEN name IN ('lead_ids', 'duplicate_ids') THEN format('ARRAY[%L]', t.id(who || '_2'))
                WHEN name = 'stage_id' THEN '(SELECT s.id FROM kvcrm.lead_stages s WHERE s.order_index = 2 LIMIT 1)'
                WHEN name IN ('user_id', 'assignee_id') THEN quote_literal(t.id(who)) WHEN name = 'type' THEN '''note''' WHEN name IN ('title', 'name') THEN '''x'''
                WHEN name = 'amount' THEN '1' WHEN name = 'role_slug' THEN '''sales_team''' WHEN name = 'candidate' THEN '''{}''' WHEN type = 'boolean'::regtype THEN 'false' ELSE 'NULL' END || '::' || type $$;
CREATE TABLE t.calls AS
SELECT who, format('SELECT * FROM kvcrm.%I(', p.proname)
       || (SELECT string_agg(CASE WHEN b.n <> a.n THEN t.argument(b.name, b.type, who) WHEN b.type = 'uuid'::regtype THEN '%1$L::uuid' ELSE 'ARRAY[%1$L]::uuid[]' END, ', ' ORDER BY b.n)
             FROM unnest(p.proargnames[1:p.pronargs], p.proargtypes::regtype[]) WITH ORDINALITY AS b (name, type, n)) || ')' AS call
  FROM pg_proc p, unnest(p.proargnames[1:p.pronargs], p.proargtypes::regtype[]) WITH ORDINALITY AS a (name, type, n), unnest('{rep,blinkered,south_owner}'::text[]) AS who
 WHERE p.pronamespace = 'kvcrm'::regnamespace AND has_function_privilege(:'api', p.oid, 'EXECUTE') AND a.type IN ('uuid'::regtype, 'uuid[]'::regtype) AND a.name NOT IN ('organization_id', 'user_id');
INSERT INTO t.calls
SELECT who, format('SELECT * FROM (VALUES (1)) AS one WHERE kvcrm.policy_lead(%L, %%1$L)', t.id('north')) FROM unnest('{rep,blinkered,south_owner}'::text[]) AS who
UNION ALL
SELECT who, replace(statement, '%2$L', quote_literal(t.id('north')))
  FROM unnest('{rep,blinkered,south_owner,suspended,stranger}'::text[]) AS who, unnest(ARRAY[
    'INSERT INTO kvcrm.lead_activities (organization_id, lead_id, type, title) VALUES (%2$L, %1$L, ''note'', ''x'') RETURNING 1',
    'INSERT INTO kvcrm.lead_activities (organization_id, lead_id, type, title, assigned_to) VALUES (%2$L, %1$L, ''task'', ''x'', kvcrm.current_user_id()) RETURNING 1',
    'INSERT INTO kvcrm.quotes (organization_id, lead_id, title, amount) VALUES (%2$L, %1$L, ''x'', 1) RETURNING 1',
    'UPDATE kvcrm.leads SET name = ''x'' WHERE id = %1$L RETURNING 1', 'UPDATE kvcrm.lead_activities SET title = ''x'' WHERE lead_id = %1$L RETURNING 1',
    'UPDATE kvcrm.quotes SET title = ''x'' WHERE lead_id = %1$L RETURNING 1', 'SELECT 1 FROM kvcrm.leads WHERE id = %1$L OR merged_into_id = %1$L',
    'SELECT 1 FROM kvcrm.lead_stage_history WHERE lead_id = %1$L', 'SELECT 1 FROM kvcrm.lead_activities WHERE lead_id = %1$L', 'SELECT 1 FROM kvcrm.quotes WHERE lead_id = %1$L',
    'SELECT 1 FROM kvcrm.duplicate_pairs WHERE %1$L IN (lead_id, other_lead_id)', 'SELECT 1 FROM kvcrm.activity_logs WHERE entity_id = %1$L']) AS statement;

SELECT cmp_ok(count(*), '>', 180::bigint, 'there are many ways to name a lead') FROM t.calls;
SELECT is(string_agg(DISTINCT format('%s, %s: %s; not there: %s', who, state, told, not_there), E'\n'), NULL, 'none tells a lead that one does not see from one that is not there')
  FROM (SELECT c.who, h.state, t.answer(c.who, format(c.call, h.id), h.id) AS told, c.not_there
          FROM (SELECT who, call, t.answer(who, format(call, t.id('not there')), t.id('not there')) AS not_there FROM t.calls) AS c, t.hidden h) AS a
 WHERE told <> not_there;
-- With one's own lead they do work: the answers above are not all about something else.
SELECT cmp_ok(count(*), '>', 60::bigint, 'many do something with a lead that one sees') FROM t.calls c WHERE t.answer(c.who, format(c.call, t.id(c.who || '_1')), t.id(c.who || '_1')) LIKE '1 rows%';

-- An UPDATE without WHERE and RETURNING reads no column, and PostgreSQL doesn't ask it for what one may read.
SELECT is(t.try('blinkered', statement), rows, statement || ' writes nothing that is hidden')
  FROM (VALUES ('UPDATE kvcrm.leads SET source = ''x''', '2'), ('UPDATE kvcrm.leads SET assigned_to = t.id(''blinkered'')', '2'), ('UPDATE kvcrm.lead_activities SET title = ''x''', '0'), ('UPDATE kvcrm.quotes SET title = ''x''', '0'),
               ('UPDATE kvcrm.customers SET notes = ''x''', '0'), ('UPDATE kvcrm.customer_contacts SET name = ''x''', '0')) AS v (statement, rows);

-- Nor are leads handed over by suspending who has them.
INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) SELECT organization_id, 'personnel', 'Personnel', permissions || '{members:*}' FROM kvcrm.roles WHERE organization_id = t.id('north') AND slug = 'sales_team';
INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, status) VALUES (t.id('north'), t.id('personnel'), 'personnel', 'active');
SELECT is(t.message('personnel', 'SELECT kvcrm.suspend_member(t.id(''mate''), t.id(''personnel''))'), '42501 | permission leads:assign is required |  | ', 'whoever suspends a member needs leads:assign to name a successor');
SELECT is(t.try('personnel', 'SELECT kvcrm.suspend_member(t.id(''mate''))'), '1', 'but may leave the leads to nobody');

-- Whoever sees the lead is told.
SELECT is(t.message('far', format('INSERT INTO kvcrm.lead_activities (organization_id, lead_id, type, title) VALUES (%L, %L, ''note'', ''x'')', t.id('north'), t.id(lead))), '23514 | the lead was erased |  | Nothing more is written about it.', lead || ': nothing is written about an erased lead that one sees')
  FROM unnest('{hidden_erased,hidden_erased_merged}'::text[]) AS lead;
SELECT * FROM finish();
ROLLBACK;
