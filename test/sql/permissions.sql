-- What each permission allows, in functions and under row-level security, and what nobody is allowed.
BEGIN;
SELECT no_plan();
\set api kvcrm_permissions_api
\ir include/access.sql

-- The registry.

SELECT is((SELECT array_agg(permission ORDER BY permission) FROM kvcrm.permission_registry()), ARRAY[
    'activities:create', 'activities:delete', 'activities:update',
    'customers:create', 'customers:delete', 'customers:read', 'customers:update',
    'duplicates:review', 'duplicates:train', 'fields:manage',
    'lead_stages:create', 'lead_stages:delete', 'lead_stages:read', 'lead_stages:update',
    'leads:assign', 'leads:convert', 'leads:convert_own', 'leads:create', 'leads:delete', 'leads:erase',
    'leads:export', 'leads:import', 'leads:merge', 'leads:read_all', 'leads:read_own', 'leads:read_team',
    'leads:update', 'leads:update_own', 'leads:update_team', 'logs:acknowledge', 'logs:read',
    'members:create', 'members:update', 'quotes:create', 'quotes:delete', 'quotes:read', 'quotes:update',
    'roles:create', 'roles:delete', 'roles:update', 'scoring:manage', 'settings:update',
    'teams:create', 'teams:delete', 'teams:update'], 'the registry of permissions');
SELECT is((SELECT count(*) FROM kvcrm.permission_registry() WHERE description ~ '^[a-z].*[^.]$'), 45::bigint, 'each says what it allows');

-- A role of whatever tokens, tried out by one member.
INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (t.id('north'), 'tried', 'Tried', '{}');
INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, team_id, status)
VALUES (t.id('north'), t.id('tester'), 'tried', t.id('team1'), 'active');
CREATE FUNCTION t.allow(VARIADIC tokens text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE kvcrm.roles SET permissions = tokens WHERE slug = 'tried';
END
$$;
CREATE FUNCTION t.all_but(VARIADIC tokens text[]) RETURNS text[] LANGUAGE sql AS $$
    SELECT array_agg(permission) FROM kvcrm.permission_registry() WHERE permission <> ALL (tokens)
$$;

SELECT lives_ok(format('SELECT t.allow(VARIADIC %L)', ARRAY[token]), 'a role may hold ' || token)
  FROM (SELECT permission FROM kvcrm.permission_registry()
        UNION ALL SELECT DISTINCT split_part(permission, ':', 1) || ':*' FROM kvcrm.permission_registry()
        UNION ALL SELECT '*:*') AS s (token);
SELECT throws_ok(format('SELECT t.allow(VARIADIC %L)', ARRAY[token]), '23514', 'unknown permission in role', 'a role may not hold ' || quote_literal(token))
  FROM unnest(ARRAY['', ' ', '*', ':', '*:', ':*', 'leads', 'leads:', 'leads:*:*', 'leads:fly', 'Leads:create', 'leads:create ', 'lead:*',
                    '*:create', 'leads:cre', 'leads:create,leads:delete', '**:**', 'member', E'leads:create\n', 'лиды:*']) AS token;
SELECT throws_ok($$ SELECT t.allow(NULL) $$, '23514', NULL, 'a role may not hold a null');
SELECT throws_ok($$ SELECT t.allow('leads:create', 'x:y') $$, '23514', NULL, 'one unknown token among known ones is refused');
SELECT throws_ok($$ INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (t.id('north'), 'r', 'R', '{x:y}') $$,
                 '23514', NULL, 'unknown tokens are refused on INSERT too');

-- has_permission and my_permissions.

CREATE FUNCTION t.allows(held text[], asked text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM t.allow(VARIADIC held);
    RETURN t.get('tester', format('SELECT kvcrm.has_permission(%L)', asked));
END
$$;
SELECT is(t.allows(held, asked), answer, format('%s holds %s: %s', held, asked, answer))
  FROM (VALUES ('{}'::text[], 'leads:create', 'false'), ('{leads:create}', 'leads:create', 'true'), ('{leads:create}', 'leads:delete', 'false'),
               ('{leads:*}', 'leads:erase', 'true'), ('{leads:*}', 'leads:*', 'true'), ('{leads:*}', 'lead_stages:read', 'false'),
               ('{lead_stages:*}', 'leads:create', 'false'), ('{leads:create}', 'leads:*', 'false'), ('{*:*}', '*:*', 'true'),
               ('{*:*}', 'logs:read', 'true'), ('{leads:*}', '*:*', 'false'), ('{logs:read,logs:acknowledge}', 'logs:*', 'true'),
               ('{leads:update}', 'leads:update_own', 'false'), ('{leads:create,leads:create}', 'leads:create', 'true'),
               ('{*:*}', 'leads:fly', '22023'), ('{*:*}', '', '22023'), ('{*:*}', 'member', '22023'), ('{*:*}', NULL, '22023')) AS s (held, asked, answer);
SELECT is((SELECT count(*) FROM kvcrm.permission_registry() r WHERE t.allows(t.all_but(r.permission), r.permission) <> 'false'), 0::bigint,
          'no permission follows from all the others');
SELECT is(t.get('rep', 'SELECT kvcrm.has_permission(''leads:create'', t.id(''south''))'), 'false', 'no permission in an organization one is not in');
SELECT is(t.get('rep', 'SELECT kvcrm.has_permission(''leads:create'', t.id(''unknown''))'), 'false', 'nor in an unknown one');
SELECT is(t.get(who, 'SELECT kvcrm.has_permission(''leads:create'')'), 'false', 'no permission: ' || who)
  FROM unnest(ARRAY['suspended', 'invited', 'stranger']) AS who;

SELECT is(t.get('rep', 'SELECT p::text FROM kvcrm.my_permissions() p'),
          format('(%s,North,sales_team,"{leads:create,leads:read_own,leads:update_own,leads:convert_own,activities:create,lead_stages:read,customers:read,quotes:create}")', t.id('north')),
          'my_permissions() of a rep');
SELECT is(t.get('rep', 'SELECT count(*) FROM kvcrm.my_permissions(t.id(''south''))'), '0', 'my_permissions() of an organization one is not in');
SELECT is(t.get('rep', 'SELECT count(*) FROM kvcrm.my_permissions(t.id(''north''))'), '1', 'my_permissions() of one''s own');
SELECT is(t.get(who, 'SELECT count(*) FROM kvcrm.my_permissions()'), '0', 'my_permissions() is empty: ' || who)
  FROM unnest(ARRAY['suspended', 'invited', 'stranger']) AS who;
INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, status) VALUES (t.id('south'), t.id('manager'), 'sales_team', 'active');
SELECT is(t.get('manager', 'SELECT string_agg(organization_name || '' '' || role_slug, '', '' ORDER BY organization_name) FROM kvcrm.my_permissions()'),
          'North sales_manager, South sales_team', 'my_permissions() in two organizations');
SELECT is(t.get('manager', 'SELECT count(*) FROM kvcrm.leads'), '5', 'what one may in one organization one may not in another');
SELECT is(t.try('manager', 'SELECT kvcrm.delete_lead(t.id(''lead_south''))'), 'PT404', 'nor in functions');
DELETE FROM kvcrm.organization_members WHERE user_id = t.id('manager') AND organization_id = t.id('south');

-- The matrix. What each default role gets from each statement: the number of rows, or an SQLSTATE. Every role
-- has a lead of its own, so that `own` names the caller's.

INSERT INTO kvcrm.leads (id, organization_id, name, email, assigned_to)
SELECT t.id('own_' || who), t.id('north'), 'Own', 'own_' || who || '@example.com', t.id(who)
  FROM unnest(ARRAY['rep', 'manager', 'admin', 'owner', 'tester']) AS who;
INSERT INTO kvcrm.leads (id, organization_id, name, assigned_to) VALUES (t.id('lead_deleted'), t.id('north'), 'Deleted', t.id('mate'));
SELECT kvcrm.delete_lead(t.id('lead_deleted')) \g /dev/null
-- A second lead of each, and two of others that were merged.
INSERT INTO kvcrm.leads (id, organization_id, name, assigned_to)
SELECT t.id('merge_' || who), t.id('north'), 'Own too', t.id(who) FROM unnest(ARRAY['rep', 'manager', 'admin', 'owner', 'tester']) AS who;
INSERT INTO kvcrm.leads (id, organization_id, name) VALUES (t.id('survivor'), t.id('north'), 'Survivor'), (t.id('duplicate'), t.id('north'), 'Duplicate');
SELECT kvcrm.merge_leads(t.id('survivor'), ARRAY[t.id('duplicate')]) \g /dev/null
INSERT INTO kvcrm.lead_imports (id, organization_id, format, created_count) VALUES (t.id('import'), t.id('north'), 'json', 1);
INSERT INTO kvcrm.lead_merges (id, organization_id, survivor_id, duplicate_ids, before_image) SELECT t.id('merge'), organization_id, survivor_id, duplicate_ids, before_image FROM kvcrm.lead_merges;
-- Somebody else's activity, and one's own, on each lead.
INSERT INTO kvcrm.lead_activities (id, organization_id, lead_id, type, title, created_by, assigned_to)
SELECT t.id(prefix || '_' || who), t.id('north'), t.id('own_' || who), 'task', prefix, t.id('far'), CASE prefix WHEN 'mine' THEN t.id(who) ELSE t.id('far') END
  FROM unnest(ARRAY['rep', 'manager', 'admin', 'owner', 'tester']) AS who, unnest(ARRAY['mine', 'theirs']) AS prefix;
INSERT INTO kvcrm.custom_field_definitions (organization_id, entity, key, type) VALUES (t.id('north'), 'quote', 'terms', 'text'), (t.id('south'), 'quote', 'terms', 'text');
INSERT INTO kvcrm.scoring_rules (organization_id, field, operator, value, points) VALUES (t.id('north'), 'source', 'eq', '"website"', 1), (t.id('south'), 'source', 'eq', '"website"', 1);
INSERT INTO kvcrm.assignment_rules (organization_id, field, operator, value, user_id) VALUES (t.id('north'), 'source', 'eq', '"website"', t.id('far')), (t.id('south'), 'source', 'eq', '"website"', t.id('south_rep'));
INSERT INTO kvcrm.customers (id, organization_id, name) VALUES (t.id('customer'), t.id('north'), 'Customer'), (t.id('customer_south'), t.id('south'), 'Customer');
INSERT INTO kvcrm.customer_contacts (id, organization_id, customer_id, name) VALUES (t.id('contact'), t.id('north'), t.id('customer'), 'Contact');
-- A quote on each lead of one's own, one on somebody else's.
INSERT INTO kvcrm.quotes (id, organization_id, lead_id, title, amount)
SELECT t.id('quote_' || who), t.id('north'), t.id('own_' || who), 'Quote', 1 FROM unnest(ARRAY['rep', 'manager', 'admin', 'owner', 'tester']) AS who
UNION ALL SELECT t.id('quote_far'), t.id('north'), t.id('lead_far'), 'Quote', 1;
-- An event that the feed gives out, as if its transaction were over.
INSERT INTO kvcrm.activity_logs (id, organization_id, entity_type, entity_id, action, tx) VALUES (t.id('event'), t.id('north'), 'lead', t.id('lead_far'), 'updated', '3');
INSERT INTO kvcrm.roles (id, organization_id, slug, name, permissions) VALUES (t.id('role'), t.id('north'), 'temp', 'Temp', '{leads:create}');
SELECT id AS stage FROM kvcrm.lead_stages WHERE organization_id = t.id('north') AND name = 'Contacted' \gset

-- tokens: any of them is enough; needs: what else it takes; the rest: what the default roles get.
CREATE TABLE t.operations (n serial, statement text, tokens text[], needs text[], rep text, manager text, admin text, owner text);
INSERT INTO t.operations (statement, tokens, needs, rep, manager, admin, owner) VALUES
-- leads: functions
('SELECT kvcrm.create_lead(''x'')', '{leads:create}', '{}', 1, 1, 1, 1),
('SELECT kvcrm.create_lead(''x'', assigned_to => t.id(''far''))', '{leads:assign}', '{leads:create}', '42501', 1, 1, 1),
('SELECT kvcrm.create_lead(''x'', assigned_to => t.id({me}))', '{leads:create}', '{}', 1, 1, 1, 1),
('SELECT kvcrm.move_lead(t.id(''own_'' || {me}), {stage})', '{leads:update,leads:update_own,leads:update_team}', '{leads:read_own}', 1, 1, 1, 1),
('SELECT kvcrm.move_lead(t.id(''lead_mate''), {stage})', '{leads:update,leads:update_team}', '{leads:read_all}', 'PT404', 1, 1, 1),
('SELECT kvcrm.move_lead(t.id(''lead_far''), {stage})', '{leads:update}', '{leads:read_all}', 'PT404', 1, 1, 1),
('SELECT kvcrm.assign_lead(t.id(''own_'' || {me}), t.id(''far''))', '{leads:assign}', '{leads:read_own}', '42501', 1, 1, 1),
('SELECT kvcrm.assign_lead(t.id(''own_'' || {me}), NULL)', '{leads:assign}', '{leads:read_own}', '42501', 1, 1, 1),
('SELECT kvcrm.assign_lead(t.id(''lead_nobody''), t.id({me}))', '{leads:assign,leads:update}', '{leads:read_all}', 'PT404', 1, 1, 1),
('SELECT kvcrm.delete_lead(t.id(''own_'' || {me}))', '{leads:delete}', '{leads:read_own}', '42501', 1, 1, 1),
('SELECT kvcrm.delete_lead(t.id(''lead_far''))', '{leads:delete}', '{leads:read_all}', 'PT404', 1, 1, 1),
('SELECT kvcrm.restore_lead(t.id(''lead_deleted''))', '{leads:delete}', '{leads:read_all}', 'PT404', 1, 1, 1),
('SELECT kvcrm.qualify_lead(t.id(''own_'' || {me}))', '{leads:convert,leads:convert_own}', '{leads:read_own}', 1, 1, 1, 1),
('SELECT kvcrm.qualify_lead(t.id(''lead_far''))', '{leads:convert}', '{leads:read_all}', 'PT404', 1, 1, 1),
('SELECT kvcrm.convert_lead_to_customer(t.id(''lead_nobody''))', '{leads:convert}', '{leads:read_all}', 'PT404', 1, 1, 1),
('SELECT kvcrm.preview_conversion(t.id(''own_'' || {me}))', '{leads:convert,leads:convert_own}', '{leads:read_own}', 1, 1, 1, 1),
('SELECT kvcrm.preview_conversion(t.id(''lead_far''))', '{leads:convert}', '{leads:read_all}', 'PT404', 1, 1, 1),
('SELECT kvcrm.revert_conversion(t.id(''lead_far''))', '{leads:convert}', '{leads:read_all}', 'PT404', '23514', '23514', '23514'),
('SELECT kvcrm.erase_lead(t.id(''lead_far''))', '{leads:erase}', '{leads:read_all}', 'PT404', '42501', 1, 1),
('SELECT kvcrm.set_legal_hold(t.id(''lead_far''))', '{leads:erase}', '{leads:read_all}', 'PT404', '42501', 1, 1),
('SELECT kvcrm.merge_leads(t.id(''own_'' || {me}), ARRAY[t.id(''merge_'' || {me})])', '{leads:merge}', '{leads:read_own,leads:update_own}', '42501', 1, 1, 1),
('SELECT kvcrm.merge_leads(t.id(''own_'' || {me}), ARRAY[t.id(''lead_far'')])', '{leads:update}', '{leads:merge,leads:read_all}', '42501', 1, 1, 1),
('SELECT kvcrm.preview_merge(t.id(''own_'' || {me}), ARRAY[t.id(''merge_'' || {me})])', '{leads:merge}', '{leads:read_own,leads:update_own}', '42501', 1, 1, 1),
('SELECT kvcrm.undo_merge(t.id(''merge''))', '{leads:merge}', '{leads:read_all}', 'PT404', 2, 2, 2),
('SELECT kvcrm.import_leads(''[{"name": "x"}]'')', '{leads:import}', '{leads:create}', '42501', 1, 1, 1),
('SELECT kvcrm.import_leads_csv(''name,email
x,own@import.example'', on_duplicate => ''update'')', '{leads:import}', '{leads:create}', '42501', 1, 1, 1),
('SELECT kvcrm.list_imports(page_size => 1)', '{leads:import}', '{}', '42501', 1, 1, 1),
('SELECT kvcrm.undo_import(t.id(''import''))', '{leads:import}', '{leads:delete}', 'PT404', 1, 1, 1),
-- e-mail; who doesn't see a lead opens another one
('SELECT kvcrm.ingest_email(convert_to(E''From: x@mail.example\n\nx'', ''UTF8''))', '{leads:create}', '{activities:create}', 1, 1, 1, 1),
('SELECT kvcrm.ingest_email(convert_to(E''From: x@mail.example\n\nx'', ''UTF8''))', '{activities:create}', '{leads:create}', 1, 1, 1, 1),
-- duplicates of one lead
('SELECT count(*) FROM kvcrm.find_duplicates(t.id(''own_'' || {me}))', '{leads:read_own,leads:read_team,leads:read_all}', '{}', 1, 1, 1, 1),
('SELECT count(*) FROM kvcrm.find_duplicates(t.id(''lead_far''))', '{leads:read_all}', '{}', 'PT404', 1, 1, 1),
('SELECT kvcrm.explain_match(t.id(''own_'' || {me}), t.id(''lead_far''))', '{leads:read_all}', '{}', 'PT404', 1, 1, 1),
('SELECT count(*) FROM kvcrm.check_duplicates(''{"name": "x"}'')', '{leads:create,leads:read_own,leads:read_team,leads:read_all}', '{}', 1, 1, 1, 1),
('SELECT kvcrm.refresh_derived()', '{settings:update}', '{}', '42501', '42501', 1, 1),
('SELECT count(*) FROM kvcrm.check_consistency()', '{settings:update}', '{}', '42501', '42501', 1, 1),
-- duplicates
('SELECT kvcrm.scan_duplicates()', '{duplicates:review}', '{leads:read_all}', '42501', 1, 1, 1),
('SELECT kvcrm.scan_duplicates()', '{leads:read_all}', '{duplicates:review}', '42501', 1, 1, 1),
('SELECT kvcrm.dismiss_duplicate(t.id(''lead_mate''), t.id(''lead_far''))', '{duplicates:review,leads:update}', '{leads:read_all}', 'PT404', 1, 1, 1),
('SELECT count(*) FROM kvcrm.duplicate_clusters()', '{leads:read_own,leads:read_team,leads:read_all}', '{}', 1, 1, 1, 1),
-- To nothing: there are no decisions yet.
('SELECT kvcrm.train_matcher()', '{duplicates:train}', '{}', '42501', '42501', '23514', '23514'),
('SELECT kvcrm.reset_matcher()', '{duplicates:train}', '{}', '42501', '42501', 1, 1),
-- leads: direct
('SELECT FROM kvcrm.leads WHERE id = t.id(''own_'' || {me})', '{leads:read_own,leads:read_team,leads:read_all}', '{}', 1, 1, 1, 1),
('SELECT FROM kvcrm.leads WHERE id = t.id(''lead_mate'')', '{leads:read_team,leads:read_all}', '{}', 0, 1, 1, 1),
('SELECT FROM kvcrm.leads WHERE id = t.id(''lead_far'')', '{leads:read_all}', '{}', 0, 1, 1, 1),
('SELECT FROM kvcrm.leads WHERE id = t.id(''lead_nobody'')', '{leads:read_all}', '{}', 0, 1, 1, 1),
('INSERT INTO kvcrm.leads (name) VALUES (''x'')', '{leads:create}', '{}', 1, 1, 1, 1),
('INSERT INTO kvcrm.leads (name, assigned_to) VALUES (''x'', t.id({me}))', '{leads:create}', '{}', 1, 1, 1, 1),
('INSERT INTO kvcrm.leads (name, assigned_to) VALUES (''x'', t.id(''far''))', '{leads:assign}', '{leads:create}', '42501', 1, 1, 1),
('UPDATE kvcrm.leads SET name = ''y'' WHERE id = t.id(''own_'' || {me})', '{leads:update,leads:update_own,leads:update_team}', '{leads:read_all}', 1, 1, 1, 1),
('UPDATE kvcrm.leads SET name = ''y'' WHERE id = t.id(''lead_mate'')', '{leads:update,leads:update_team}', '{leads:read_all}', 0, 1, 1, 1),
('UPDATE kvcrm.leads SET name = ''y'' WHERE id = t.id(''lead_far'')', '{leads:update}', '{leads:read_all}', 0, 1, 1, 1),
('UPDATE kvcrm.leads SET stage_id = {stage} WHERE id = t.id(''lead_far'')', '{leads:update}', '{leads:read_all}', 0, 1, 1, 1),
('UPDATE kvcrm.leads SET assigned_to = t.id(''far'') WHERE id = t.id(''own_'' || {me})', '{leads:assign}', '{leads:read_all,leads:update}', '42501', 1, 1, 1),
('UPDATE kvcrm.leads SET assigned_to = NULL WHERE id = t.id(''own_'' || {me})', '{leads:assign}', '{leads:read_all,leads:update}', '42501', 1, 1, 1),
('UPDATE kvcrm.leads SET assigned_to = t.id({me}) WHERE id = t.id(''lead_nobody'')', '{leads:update}', '{leads:read_all}', 0, 1, 1, 1),
('DELETE FROM kvcrm.leads', '{}', '{}', '42501', '42501', '42501', '42501'),
-- activities
('SELECT kvcrm.log_activity(t.id(''own_'' || {me}), ''call'', ''x'')', '{activities:create}', '{leads:read_own}', 1, 1, 1, 1),
('SELECT kvcrm.log_activity(t.id(''lead_far''), ''call'', ''x'')', '{activities:create}', '{leads:read_all}', 'PT404', 1, 1, 1),
('SELECT kvcrm.complete_activity(t.id(''mine_'' || {me}))', '{activities:create,activities:update}', '{leads:read_own}', 1, 1, 1, 1),
('SELECT kvcrm.complete_activity(t.id(''theirs_'' || {me}))', '{activities:update}', '{leads:read_own}', '42501', 1, 1, 1),
('SELECT kvcrm.delete_activity(t.id(''mine_'' || {me}))', '{activities:create,activities:delete}', '{leads:read_own}', 1, 1, 1, 1),
('SELECT kvcrm.delete_activity(t.id(''theirs_'' || {me}))', '{activities:delete}', '{leads:read_own}', '42501', 1, 1, 1),
('SELECT FROM kvcrm.lead_activities WHERE id = t.id(''theirs_'' || {me})', '{leads:read_own,leads:read_team,leads:read_all}', '{}', 1, 1, 1, 1),
('INSERT INTO kvcrm.lead_activities (lead_id, type, title) VALUES (t.id(''own_'' || {me}), ''note'', ''x'')', '{activities:create}', '{leads:read_own}', 1, 1, 1, 1),
('INSERT INTO kvcrm.lead_activities (lead_id, type, title) VALUES (t.id(''lead_far''), ''note'', ''x'')', '{activities:create}', '{leads:read_all}', '42501', 1, 1, 1),
('UPDATE kvcrm.lead_activities SET title = ''y'' WHERE id = t.id(''mine_'' || {me})', '{activities:create,activities:update}', '{leads:read_own}', 1, 1, 1, 1),
('UPDATE kvcrm.lead_activities SET title = ''y'' WHERE id = t.id(''theirs_'' || {me})', '{activities:update}', '{leads:read_own}', 0, 1, 1, 1),
('UPDATE kvcrm.lead_activities SET assigned_to = t.id(''far'') WHERE id = t.id(''mine_'' || {me})', '{activities:create,activities:update}', '{leads:read_own}', 1, 1, 1, 1),
('DELETE FROM kvcrm.lead_activities', '{}', '{}', '42501', '42501', '42501', '42501'),
('SELECT FROM kvcrm.lead_stage_history WHERE lead_id = t.id(''own_'' || {me})', '{leads:read_own,leads:read_team,leads:read_all}', '{}', 1, 1, 1, 1),
('SELECT FROM kvcrm.lead_stage_history WHERE lead_id = t.id(''lead_far'')', '{leads:read_all}', '{}', 0, 1, 1, 1),
-- pipeline
('SELECT FROM kvcrm.lead_stages', NULL, NULL, 5, 5, 5, 5),
('INSERT INTO kvcrm.lead_stages (name) VALUES (''x'')', '{lead_stages:create}', '{}', '42501', '42501', 1, 1),
('UPDATE kvcrm.lead_stages SET color = ''#000000'' WHERE id = {stage}', '{lead_stages:update}', '{}', 0, 0, 1, 1),
('INSERT INTO kvcrm.lead_stage_transitions (from_stage_id, to_stage_id) SELECT id, {stage} FROM kvcrm.lead_stages WHERE name = ''New lead''', '{lead_stages:create}', '{}', '42501', '42501', 1, 1),
('DELETE FROM kvcrm.lead_stages', '{}', '{}', '42501', '42501', '42501', '42501'),
('SELECT FROM kvcrm.lead_sources', NULL, NULL, 6, 6, 6, 6),
('SELECT FROM kvcrm.custom_field_definitions', NULL, NULL, 1, 1, 1, 1),
('INSERT INTO kvcrm.custom_field_definitions (entity, key, type) VALUES (''quote'', ''x'', ''text'')', '{fields:manage}', '{}', '42501', '42501', 1, 1),
('UPDATE kvcrm.custom_field_definitions SET name = ''x''', '{fields:manage}', '{}', 0, 0, 1, 1),
('DELETE FROM kvcrm.custom_field_definitions', '{fields:manage}', '{}', 0, 0, 1, 1),
-- scoring
('SELECT FROM kvcrm.scoring_rules', NULL, NULL, 1, 1, 1, 1),
('INSERT INTO kvcrm.scoring_rules (field, operator, value, points) VALUES (''source'', ''eq'', ''"x"'', 1)', '{scoring:manage}', '{}', '42501', '42501', 1, 1),
('UPDATE kvcrm.scoring_rules SET points = 2', '{scoring:manage}', '{}', 0, 0, 1, 1),
('DELETE FROM kvcrm.scoring_rules', '{scoring:manage}', '{}', 0, 0, 1, 1),
('SELECT FROM kvcrm.assignment_rules', NULL, NULL, 1, 1, 1, 1),
('INSERT INTO kvcrm.assignment_rules (field, operator, value, user_id) VALUES (''source'', ''eq'', ''"x"'', t.id(''far''))', '{settings:update}', '{}', '42501', '42501', 1, 1),
('UPDATE kvcrm.assignment_rules SET order_index = 2', '{settings:update}', '{}', 0, 0, 1, 1),
('DELETE FROM kvcrm.assignment_rules', '{settings:update}', '{}', 0, 0, 1, 1),
('SELECT kvcrm.assign_next(t.id(''own_'' || {me}))', '{leads:assign}', '{leads:read_own}', '42501', 1, 1, 1),
('SELECT kvcrm.assign_next(t.id(''lead_far''))', '{leads:assign}', '{leads:read_all}', 'PT404', 1, 1, 1),
('UPDATE kvcrm.organization_members SET assignment_weight = 2 WHERE user_id = t.id(''far'')', '{members:update,teams:update}', '{sales_team}', 0, 1, 1, 1),
('SELECT kvcrm.rescore_leads()', '{scoring:manage}', '{}', '42501', '42501', 1, 1),
('SELECT kvcrm.explain_score(t.id(''own_'' || {me}))', '{leads:read_own,leads:read_team,leads:read_all}', '{}', 1, 1, 1, 1),
('SELECT kvcrm.explain_score(t.id(''lead_far''))', '{leads:read_all}', '{}', 'PT404', 1, 1, 1),
('SELECT count(*) FROM kvcrm.leads_export()', '{leads:export}', '{leads:read_own}', '42501', 1, 1, 1),
('SELECT kvcrm.leads_export_csv()', '{leads:export}', '{leads:read_own}', '42501', 1, 1, 1),
('SELECT kvcrm.leads_export_query()', '{leads:export}', '{}', '42501', 1, 1, 1),
('INSERT INTO kvcrm.lead_sources (slug, name) VALUES (''x'', ''x'')', '{settings:update}', '{}', '42501', '42501', 1, 1),
('UPDATE kvcrm.lead_sources SET name = ''x'' WHERE slug = ''other''', '{settings:update}', '{}', 0, 0, 1, 1),
-- customers
('SELECT FROM kvcrm.customers', '{customers:read}', '{}', 1, 1, 1, 1),
('INSERT INTO kvcrm.customers (name) VALUES (''x'')', '{customers:create}', '{}', '42501', 1, 1, 1),
('UPDATE kvcrm.customers SET name = ''x'' WHERE id = t.id(''customer'')', '{customers:update}', '{customers:read}', 0, 1, 1, 1),
('UPDATE kvcrm.customers SET deleted_at = now() WHERE id = t.id(''customer'')', '{customers:delete}', '{customers:read,customers:update}', 0, 1, 1, 1),
('SELECT FROM kvcrm.customer_contacts', '{customers:read}', '{}', 1, 1, 1, 1),
('INSERT INTO kvcrm.customer_contacts (customer_id, name) VALUES (t.id(''customer''), ''x'')', '{customers:create}', '{}', '42501', 1, 1, 1),
('UPDATE kvcrm.customer_contacts SET name = ''x'' WHERE id = t.id(''contact'')', '{customers:update}', '{customers:read}', 0, 1, 1, 1),
('DELETE FROM kvcrm.customers', '{}', '{}', '42501', '42501', '42501', '42501'),
('SELECT FROM kvcrm.customer_timeline(t.id(''customer''))', '{customers:read}', '{}', 1, 1, 1, 1),
-- quotes
('SELECT kvcrm.create_quote_from_lead(t.id(''own_'' || {me}), ''x'', 1)', '{quotes:create}', '{leads:read_own,leads:convert_own}', 1, 1, 1, 1),
('SELECT kvcrm.create_quote_from_lead(t.id(''own_'' || {me}), ''x'', 1)', '{leads:convert,leads:convert_own}', '{leads:read_own,quotes:create}', 1, 1, 1, 1),
('SELECT kvcrm.create_quote_from_lead(t.id(''lead_far''), ''x'', 1)', '{quotes:create}', '{leads:read_all,leads:convert}', 'PT404', 1, 1, 1),
('SELECT kvcrm.delete_quote(t.id(''quote_'' || {me}))', '{quotes:delete}', '{leads:read_own}', '42501', 1, 1, 1),
('SELECT kvcrm.delete_quote(t.id(''quote_far''))', '{quotes:delete}', '{quotes:read}', 'PT404', 1, 1, 1),
('SELECT FROM kvcrm.quotes WHERE id = t.id(''quote_'' || {me})', '{quotes:read,leads:read_own,leads:read_team,leads:read_all}', '{}', 1, 1, 1, 1),
('SELECT FROM kvcrm.quotes WHERE id = t.id(''quote_far'')', '{quotes:read,leads:read_all}', '{}', 0, 1, 1, 1),
('INSERT INTO kvcrm.quotes (lead_id, title, amount) VALUES (t.id(''own_'' || {me}), ''x'', 1)', '{quotes:create}', '{leads:read_own}', 1, 1, 1, 1),
('INSERT INTO kvcrm.quotes (lead_id, title, amount) VALUES (t.id(''lead_far''), ''x'', 1)', '{quotes:create}', '{leads:read_all}', 'PT404', 1, 1, 1),
('INSERT INTO kvcrm.quotes (customer_id, title, amount) VALUES (t.id(''customer''), ''x'', 1)', '{quotes:create}', '{customers:read,quotes:read}', '42501', 1, 1, 1),
('INSERT INTO kvcrm.quotes (customer_id, title, amount) VALUES (t.id(''customer''), ''x'', 1)', '{customers:read}', '{quotes:create,quotes:read}', '42501', 1, 1, 1),
('INSERT INTO kvcrm.quotes (customer_id, title, amount) VALUES (t.id(''customer''), ''x'', 1)', '{quotes:read}', '{quotes:create,customers:read}', '42501', 1, 1, 1),
('UPDATE kvcrm.quotes SET status = ''sent'' WHERE id = t.id(''quote_'' || {me})', '{quotes:update}', '{leads:read_own}', 0, 1, 1, 1),
('UPDATE kvcrm.quotes SET status = ''sent'' WHERE id = t.id(''quote_far'')', '{quotes:update}', '{quotes:read}', 0, 1, 1, 1),
('UPDATE kvcrm.quotes SET lead_id = NULL', '{}', '{}', '42501', '42501', '42501', '42501'),
('DELETE FROM kvcrm.quotes', '{}', '{}', '42501', '42501', '42501', '42501'),
-- members, roles, teams
('SELECT FROM kvcrm.organization_members WHERE user_id IN (t.id(''far''), t.id(''invited''))', NULL, NULL, 2, 2, 2, 2),
('SELECT kvcrm.add_member(t.id(''new''), ''temp'')', '{members:create}', '{leads:create}', '42501', '42501', 1, 1),
('INSERT INTO kvcrm.organization_members (user_id, role_slug) VALUES (t.id(''new''), ''temp'')', '{members:create}', '{leads:create}', '42501', '42501', 1, 1),
('SELECT kvcrm.set_member_role(t.id(''far''), ''temp'')', '{members:update}', '{sales_team}', '42501', '42501', 1, 1),
('SELECT kvcrm.suspend_member(t.id(''far''))', '{members:update}', '{sales_team}', '42501', '42501', 1, 1),
('SELECT kvcrm.reactivate_member(t.id(''suspended''))', '{members:update}', '{sales_team}', '42501', '42501', 1, 1),
('UPDATE kvcrm.organization_members SET display_name = ''x'' WHERE user_id = t.id(''far'')', '{members:update}', '{sales_team}', '0', '42501', 1, 1),
('UPDATE kvcrm.organization_members SET team_id = t.id(''team1'') WHERE user_id = t.id(''far'')', '{members:update,teams:update}', '{sales_team}', 0, 1, 1, 1),
('DELETE FROM kvcrm.organization_members', '{}', '{}', '42501', '42501', '42501', '42501'),
('SELECT FROM kvcrm.roles WHERE slug = ''temp''', NULL, NULL, 1, 1, 1, 1),
('INSERT INTO kvcrm.roles (slug, name, permissions) VALUES (''x'', ''x'', ''{leads:create}'')', '{roles:create}', '{leads:create}', '42501', '42501', 1, 1),
('UPDATE kvcrm.roles SET name = ''x'' WHERE slug = ''temp''', '{roles:update}', '{leads:create}', 0, 0, 1, 1),
('DELETE FROM kvcrm.roles', '{}', '{}', '42501', '42501', '42501', '42501'),
('SELECT FROM kvcrm.teams', NULL, NULL, 2, 2, 2, 2),
('INSERT INTO kvcrm.teams (name) VALUES (''x'')', '{teams:create}', '{}', '42501', 1, 1, 1),
('UPDATE kvcrm.teams SET name = ''x'' WHERE id = t.id(''team2'')', '{teams:update}', '{}', 0, 1, 1, 1),
('DELETE FROM kvcrm.teams', '{}', '{}', '42501', '42501', '42501', '42501'),
-- the organization and its log
('SELECT FROM kvcrm.organizations', NULL, NULL, 1, 1, 1, 1),
('UPDATE kvcrm.organizations SET name = ''x'' WHERE id = t.id(''north'')', '{settings:update}', '{}', 0, 0, 1, 1),
('DELETE FROM kvcrm.organizations', '{}', '{}', '42501', '42501', '42501', '42501'),
('SELECT FROM kvcrm.activity_logs WHERE entity_id = t.id(''own_'' || {me})', '{logs:read}', '{}', 0, 1, 1, 1),
('SELECT FROM kvcrm.event_feed(''hook'', 1)', '{logs:read}', '{}', '42501', 1, 1, 1),
('SELECT FROM kvcrm.feed_status()', '{logs:read}', '{}', '42501', 0, 0, 0),
('SELECT kvcrm.ack_events(''hook'', t.id(''event''))', '{logs:acknowledge}', '{}', '42501', '42501', 1, 1),
('SELECT FROM kvcrm.feed_consumers', '{logs:read}', '{}', 0, 0, 0, 0);

CREATE FUNCTION t.fill(statement text, who text, stage uuid) RETURNS text LANGUAGE sql AS $$
    SELECT replace(replace(statement, '{me}', quote_literal(who)), '{stage}', quote_literal(stage))
$$;
SELECT is(t.try(who, t.fill(statement, who, :'stage')), expected, format('%s: %s', who, statement))
  FROM t.operations, LATERAL (VALUES ('rep', rep), ('manager', manager), ('admin', admin), ('owner', owner)) AS r (who, expected)
 ORDER BY n, who;
SELECT set_config('kvcrm.organization_id', t.id('north')::text, true) \g /dev/null
SELECT is(t.try(who, t.fill(statement, who, :'stage')) ~ '^(0|42501|PT404)$', true, format('%s: %s', who, statement))
  FROM t.operations, unnest(ARRAY['stranger', 'suspended']) AS who
 WHERE statement !~ '^SELECT FROM kvcrm.organization_members' ORDER BY n, who;
SELECT set_config('kvcrm.organization_id', '', true) \g /dev/null

-- Each operation with nothing but one of its tokens (and what else it needs) is allowed, with everything but
-- its tokens it is not.
CREATE FUNCTION t.as_tester(tokens text[], statement text, stage uuid) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF 'sales_team' = ANY (tokens) THEN
        tokens := array_remove(tokens, 'sales_team') || (SELECT permissions FROM kvcrm.roles WHERE slug = 'sales_team' AND organization_id = t.id('north'));
    END IF;
    PERFORM t.allow(VARIADIC tokens);
    RETURN t.try('tester', t.fill(statement, 'tester', stage));
END
$$;
SELECT is(t.as_tester(needs || token, statement, :'stage'), owner, format('%s alone allows: %s', token, statement))
  FROM t.operations, unnest(tokens) AS token ORDER BY n;
SELECT is(t.as_tester(t.all_but(VARIADIC tokens), statement, :'stage') IN ('0', '42501', 'PT404'), true,
          format('all but %s does not allow: %s', tokens, statement))
  FROM t.operations WHERE tokens <> '{}' ORDER BY n;
-- Wider scopes of reading aren't needed where a lead is visible otherwise; without any nothing is found.
SELECT is(t.as_tester(t.all_but('leads:read_own', 'leads:read_team', 'leads:read_all'), statement, :'stage'), expected, 'invisible: ' || statement)
  FROM (VALUES ('SELECT kvcrm.move_lead(t.id(''own_'' || {me}), {stage})', 'PT404'), ('SELECT kvcrm.delete_lead(t.id(''own_'' || {me}))', 'PT404'),
               ('SELECT kvcrm.qualify_lead(t.id(''own_'' || {me}))', 'PT404'), ('SELECT kvcrm.assign_lead(t.id(''own_'' || {me}), NULL)', 'PT404'),
               ('SELECT kvcrm.log_activity(t.id(''own_'' || {me}), ''call'', ''x'')', 'PT404'), ('SELECT kvcrm.complete_activity(t.id(''mine_'' || {me}))', 'PT404'),
               ('SELECT kvcrm.delete_activity(t.id(''mine_'' || {me}))', 'PT404'), ('UPDATE kvcrm.leads SET name = ''y'' WHERE id = t.id(''lead_far'')', '0'),
               ('UPDATE kvcrm.lead_activities SET title = ''y'' WHERE id = t.id(''mine_'' || {me})', '0'),
               ('SELECT FROM kvcrm.lead_stage_history', '0')) AS s (statement, expected);

-- Tokens whose functions come with other subjects are at least told to clients.
SELECT is(t.get(who, format('SELECT kvcrm.has_permission(%L)', token)), answer, format('%s, %s: %s', who, token, answer))
  FROM (VALUES ('rep', 'leads:merge', 'false'), ('manager', 'leads:merge', 'true'), ('rep', 'leads:export', 'false'), ('manager', 'leads:export', 'true'),
               ('manager', 'leads:erase', 'false'), ('admin', 'leads:erase', 'true'), ('rep', 'duplicates:review', 'false'), ('manager', 'duplicates:review', 'true'),
               ('manager', 'duplicates:train', 'false'), ('admin', 'duplicates:train', 'true'),
               ('rep', 'quotes:create', 'true'), ('rep', 'quotes:update', 'false'), ('manager', 'quotes:*', 'true'), ('manager', 'fields:manage', 'false'),
               ('admin', 'fields:manage', 'true'), ('manager', 'scoring:manage', 'false'), ('admin', 'scoring:manage', 'true'),
               ('rep', 'lead_stages:read', 'true'), ('manager', 'lead_stages:delete', 'false'), ('admin', 'lead_stages:delete', 'true'),
               ('rep', 'teams:delete', 'false'), ('manager', 'teams:delete', 'true'), ('manager', 'roles:delete', 'false'), ('admin', 'roles:delete', 'true'),
               ('admin', '*:*', 'false'), ('owner', '*:*', 'true'), ('manager', '*:*', 'false')) AS s (who, token, answer);
-- A backend that connects as owner deletes for a user.
SELECT is(t.try(who, $$ DELETE FROM kvcrm.roles WHERE slug = 'temp' $$, current_user::text), expected, format('%s deletes a role through a backend', who))
  FROM (VALUES ('rep', '42501'), ('manager', '42501'), ('admin', '1'), ('owner', '1')) AS s (who, expected);

-- The leads to be merged have served.
DELETE FROM kvcrm.leads WHERE id IN (t.id('duplicate'));
DELETE FROM kvcrm.leads WHERE id IN (t.id('survivor')) OR name = 'Own too';

-- Scopes of reading and updating: own, team, all.

SELECT t.allow('leads:create') \g /dev/null
INSERT INTO kvcrm.leads (id, organization_id, name, assigned_to) VALUES (t.id('lead_suspended'), t.id('north'), 'Suspended', t.id('far'));
UPDATE kvcrm.organization_members SET status = 'active' WHERE user_id = t.id('suspended');
UPDATE kvcrm.leads SET assigned_to = t.id('suspended') WHERE id = t.id('lead_suspended');
UPDATE kvcrm.organization_members SET status = 'suspended' WHERE user_id = t.id('suspended');
-- mate is in a team of South as well, which is nobody's business in North; and so is south_rep.
INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, team_id, status) VALUES (t.id('south'), t.id('mate'), 'sales_team', t.id('south_team'), 'active');
CREATE FUNCTION t.visible(token text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM t.allow(token);
    RETURN t.get('tester', statement);
END
$$;
\set names 'SELECT string_agg(name, '' '' ORDER BY name) FROM kvcrm.leads'
SELECT is(t.visible('leads:read_own', :'names'), 'Own', 'read_own: the leads assigned to me');
SELECT is(t.visible('leads:read_team', :'names'), 'Deleted Lead_Manager Lead_Mate Lead_Rep Own Own Own',
          'read_team: the leads of the active members of my team, and of that organization only');
SELECT is(t.visible('leads:read_all', 'SELECT count(*) FROM kvcrm.leads'), '12', 'read_all: all of my organization');
SELECT is(t.visible('leads:read_team', 'SELECT count(*) FROM kvcrm.lead_activities'), '6', 'activities follow the scope of their lead');
SELECT is(t.visible('leads:read_team', 'SELECT count(DISTINCT lead_id) FROM kvcrm.lead_stage_history'), '7', 'so does the stage history');
UPDATE kvcrm.organization_members SET team_id = NULL WHERE user_id = t.id('tester');
SELECT is(t.visible('leads:read_team', :'names'), NULL, 'read_team without a team: nothing');
UPDATE kvcrm.organization_members SET team_id = t.id('team2') WHERE user_id = t.id('tester');
SELECT is(t.visible('leads:read_team', :'names'), 'Lead_Far Own', 'read_team follows a change of team');
UPDATE kvcrm.organization_members SET team_id = t.id('team1') WHERE user_id = t.id('tester');

CREATE FUNCTION t.changes(token text, lead text, stage uuid) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
    PERFORM t.allow('leads:read_all', token);
    RETURN ARRAY[t.try('tester', format('UPDATE kvcrm.leads SET company = ''z'' WHERE id = %L', t.id(lead))),
                 t.try('tester', format('SELECT kvcrm.move_lead(%L, %L)', t.id(lead), stage))];
END
$$;
SELECT is(t.changes(token, lead, :'stage'), CASE WHEN allowed THEN '{1,1}' ELSE '{0,42501}' END::text[], format('%s, %s: %s', token, lead, allowed))
  FROM (VALUES ('leads:update_own', 'own_tester', true), ('leads:update_own', 'lead_mate', false), ('leads:update_own', 'lead_nobody', false),
               ('leads:update_team', 'own_tester', true), ('leads:update_team', 'lead_mate', true), ('leads:update_team', 'lead_far', false),
               ('leads:update_team', 'lead_suspended', false), ('leads:update_team', 'lead_nobody', false),
               ('leads:update', 'own_tester', true), ('leads:update', 'lead_mate', true), ('leads:update', 'lead_far', true), ('leads:update', 'lead_nobody', true),
               ('leads:read_all', 'own_tester', false)) AS s (token, lead, allowed);

-- Assignment.

SELECT is(t.get(who, format('SELECT l.assigned_to = t.id(%L) FROM kvcrm.create_lead(''x'') l', who)), 'true', 'who cannot read all leads gets the leads they create: ' || who)
  FROM unnest(ARRAY['rep', 'far']) AS who;
SELECT is(t.get('rep', $$ INSERT INTO kvcrm.leads (name) VALUES ('x') RETURNING assigned_to = t.id('rep') $$), 'true', 'on INSERT too');
SELECT is(t.get('manager', $$ SELECT l.assigned_to FROM kvcrm.create_lead('x') l $$), NULL, 'a manager''s new lead is nobody''s');
SELECT is(t.get('manager', $$ INSERT INTO kvcrm.leads (name) VALUES ('x') RETURNING assigned_to $$), NULL, 'on INSERT too');
SELECT is(t.get('rep', $$ INSERT INTO kvcrm.leads (name) VALUES ('x') RETURNING created_by = t.id('rep') $$), 'true', 'the creator is the acting user');
SELECT is(t.try('manager', format(statement, assignee)), '23514', format('%s is no assignee: %s', assignee, statement))
  FROM unnest(ARRAY['suspended', 'invited', 'stranger', 'south_rep']) AS assignee,
       unnest(ARRAY['SELECT kvcrm.create_lead(''x'', assigned_to => t.id(%L))', 'SELECT kvcrm.assign_lead(t.id(''lead_far''), t.id(%L))',
                    'INSERT INTO kvcrm.leads (name, assigned_to) VALUES (''x'', t.id(%L))',
                    'UPDATE kvcrm.leads SET assigned_to = t.id(%L) WHERE id = t.id(''lead_far'')',
                    'SELECT kvcrm.log_activity(t.id(''lead_far''), ''task'', ''x'', assigned_to => t.id(%L))',
                    'INSERT INTO kvcrm.lead_activities (lead_id, type, title, assigned_to) VALUES (t.id(''lead_far''), ''task'', ''x'', t.id(%L))']) AS statement;
SELECT is(t.message('manager', format('SELECT kvcrm.assign_lead(t.id(''lead_far''), t.id(%L))', 'south_rep')),
          t.message('manager', format('SELECT kvcrm.assign_lead(t.id(''lead_far''), t.id(%L))', 'stranger')),
          'a member of another organization and an unknown user are told apart by no message');
SELECT is(t.try(NULL, 'SELECT kvcrm.assign_lead(t.id(''lead_far''), t.id(''suspended''))', current_user::text), '23514', 'the system assigns to active members only');

-- Organizations are walls.

INSERT INTO kvcrm.leads (id, organization_id, name) VALUES (t.id('twin_south'), t.id('south'), 'Twin');
INSERT INTO kvcrm.quotes (id, organization_id, lead_id, title, amount) VALUES (t.id('quote_south'), t.id('south'), t.id('lead_south'), 'x', 1);
INSERT INTO kvcrm.duplicate_pairs (organization_id, lead_id, other_lead_id, probability)
SELECT t.id('south'), least(t.id('lead_south'), t.id('twin_south')), greatest(t.id('lead_south'), t.id('twin_south')), 0.9;
INSERT INTO kvcrm.lead_imports (organization_id, format) VALUES (t.id('south'), 'csv');
INSERT INTO kvcrm.feed_consumers (organization_id, name, feed_epoch, tx, event_id) VALUES (t.id('south'), 'hook', 1, '3', t.id('event'));
SELECT is(t.get('owner', format('SELECT count(*) FROM kvcrm.%I WHERE %s <> t.id(''north'')', relname, CASE relname WHEN 'organizations' THEN 'id' ELSE 'organization_id' END)), '0',
          'the owner of one organization sees no row of another in ' || relname)
  FROM pg_class c WHERE relnamespace = 'kvcrm'::regnamespace AND relkind = 'r' AND has_table_privilege(:'api', c.oid, 'SELECT') ORDER BY relname;
SELECT isnt(t.get(NULL, format('SELECT count(*) FROM kvcrm.%I WHERE %s = t.id(''south'')', relname, CASE relname WHEN 'organizations' THEN 'id' ELSE 'organization_id' END), current_user::text), '0',
          'though there are some: ' || relname)
  FROM pg_class c WHERE relnamespace = 'kvcrm'::regnamespace AND relkind = 'r' AND has_table_privilege(:'api', c.oid, 'SELECT')
   AND relname NOT IN ('lead_activities', 'lead_stage_transitions', 'customer_contacts') ORDER BY relname;

SELECT id AS south_stage FROM kvcrm.lead_stages WHERE organization_id = t.id('south') ORDER BY order_index LIMIT 1 \gset
INSERT INTO kvcrm.lead_activities (id, organization_id, lead_id, type, title) VALUES (t.id('activity_south'), t.id('south'), t.id('lead_south'), 'note', 'x');
INSERT INTO kvcrm.leads (id, organization_id, name, email) VALUES (t.id('lead_blocked'), t.id('south'), 'x', 'blocked@example.com');
UPDATE kvcrm.organizations SET duplicate_policy = 'block', settings = '{"inn_check": true}' WHERE id = t.id('south');

-- Every statement that names a row of the other organization (the first id) answers as if it named one that
-- does not exist (the second): same rows, same state, same message but for the id.
CREATE TABLE t.probes (statement text, foreign_id uuid);
INSERT INTO t.probes VALUES
('SELECT kvcrm.create_lead(''x'', organization_id => {id})', t.id('south')),
('SELECT kvcrm.create_lead(''x'', stage_id => {id})', :'south_stage'),
('SELECT kvcrm.create_lead(''x'', assigned_to => {id})', t.id('south_rep')),
('SELECT kvcrm.dismiss_duplicate({id}, t.id(''lead_rep''))', t.id('lead_south')),
('SELECT kvcrm.dismiss_duplicate(t.id(''lead_rep''), {id})', t.id('lead_south')),
('SELECT kvcrm.assign_lead({id}, t.id(''rep''))', t.id('lead_south')),
('SELECT kvcrm.assign_lead({id}, t.id(''rep''), t.id(''north''))', t.id('lead_south')),
('SELECT kvcrm.assign_lead({id}, t.id(''rep''), t.id(''south''))', t.id('lead_south')),
('SELECT kvcrm.move_lead({id}, t.id(''x''))', t.id('lead_south')),
('SELECT kvcrm.move_lead(t.id(''lead_rep''), {id})', :'south_stage'),
('SELECT kvcrm.move_lead(t.id(''lead_rep''), (SELECT id FROM kvcrm.lead_stages WHERE name = ''Contacted''), {id})', t.id('lead_south')),
('SELECT kvcrm.delete_lead({id})', t.id('lead_south')),
('SELECT kvcrm.restore_lead({id})', t.id('lead_south')),
('SELECT kvcrm.qualify_lead({id})', t.id('lead_south')),
('SELECT kvcrm.qualify_lead({id}, organization_id => t.id(''south''))', t.id('lead_south')),
('SELECT kvcrm.qualify_lead(t.id(''lead_rep''), {id})', t.id('customer_south')),
('SELECT kvcrm.convert_lead_to_customer({id})', t.id('lead_south')),
('SELECT kvcrm.preview_conversion({id})', t.id('lead_south')),
('SELECT kvcrm.revert_conversion({id})', t.id('lead_south')),
('SELECT kvcrm.erase_lead({id})', t.id('lead_south')),
('SELECT kvcrm.set_legal_hold({id})', t.id('lead_south')),
('SELECT kvcrm.log_activity({id}, ''call'', ''x'')', t.id('lead_south')),
('SELECT kvcrm.complete_activity({id})', t.id('activity_south')),
('SELECT kvcrm.delete_activity({id})', t.id('activity_south')),
('SELECT kvcrm.create_quote_from_lead({id}, ''x'', 1)', t.id('lead_south')),
('SELECT kvcrm.delete_quote({id})', t.id('quote_south')),
('SELECT FROM kvcrm.customer_timeline({id})', t.id('customer_south')),
('SELECT FROM kvcrm.customer_timeline({id}, organization_id => t.id(''south''))', t.id('customer_south')),
('INSERT INTO kvcrm.quotes (lead_id, title, amount) VALUES ({id}, ''x'', 1)', t.id('lead_south')),
('INSERT INTO kvcrm.quotes (customer_id, title, amount) VALUES ({id}, ''x'', 1)', t.id('customer_south')),
('INSERT INTO kvcrm.quotes (lead_id, organization_id, title, amount) VALUES (t.id(''lead_south''), {id}, ''x'', 1)', t.id('south')),
('INSERT INTO kvcrm.quotes (lead_id, customer_id, title, amount) VALUES ({id}, t.id(''customer''), ''x'', 1)', t.id('lead_south')),
('UPDATE kvcrm.quotes SET title = ''y'' WHERE id = {id}', t.id('quote_south')),
('SELECT kvcrm.ingest_email(convert_to(E''From: x@mail.example\n\nx'', ''UTF8''), {id})', t.id('south')),
('SELECT kvcrm.import_leads(''[{"name": "x"}]'', organization_id => {id})', t.id('south')),
('SELECT kvcrm.add_member(t.id(''x''), ''sales_team'', organization_id => {id})', t.id('south')),
('SELECT kvcrm.add_member(t.id(''x''), ''sales_team'', team_id => {id})', t.id('south_team')),
('SELECT kvcrm.accept_invitation({id})', t.id('south')),
('SELECT kvcrm.decline_invitation({id})', t.id('south')),
('SELECT kvcrm.set_member_role({id}, ''sales_team'')', t.id('south_rep')),
('SELECT kvcrm.suspend_member({id})', t.id('south_rep')),
('SELECT kvcrm.suspend_member(t.id(''rep''), {id})', t.id('south_rep')),
('SELECT kvcrm.reactivate_member({id})', t.id('south_rep')),
('SELECT FROM kvcrm.leads WHERE id = {id}', t.id('lead_south')),
('SELECT FROM kvcrm.organizations WHERE id = {id}', t.id('south')),
('UPDATE kvcrm.leads SET name = ''x'' WHERE id = {id}', t.id('lead_south')),
('UPDATE kvcrm.leads SET stage_id = {id} WHERE id = t.id(''lead_rep'')', :'south_stage'),
('UPDATE kvcrm.leads SET assigned_to = {id} WHERE id = t.id(''lead_rep'')', t.id('south_rep')),
('INSERT INTO kvcrm.leads (name, stage_id) VALUES (''x'', {id})', :'south_stage'),
('INSERT INTO kvcrm.leads (name, organization_id) VALUES (''x'', {id})', t.id('south')),
('INSERT INTO kvcrm.leads (name, organization_id, email) VALUES (''x'', {id}, ''blocked@example.com'')', t.id('south')),
('INSERT INTO kvcrm.leads (name, organization_id, inn) VALUES (''x'', {id}, ''1234567890'')', t.id('south')),
('INSERT INTO kvcrm.leads (name, organization_id, assigned_to) VALUES (''x'', {id}, t.id(''south_rep''))', t.id('south')),
('INSERT INTO kvcrm.leads (name, organization_id, assigned_to) VALUES (''x'', {id}, t.id(''stranger''))', t.id('south')),
('INSERT INTO kvcrm.lead_activities (lead_id, type, title) VALUES ({id}, ''note'', ''x'')', t.id('lead_south')),
('INSERT INTO kvcrm.lead_activities (lead_id, organization_id, type, title) VALUES (t.id(''lead_south''), {id}, ''note'', ''x'')', t.id('south')),
('INSERT INTO kvcrm.lead_activities (lead_id, organization_id, type, title, assigned_to) VALUES (t.id(''x''), {id}, ''note'', ''x'', t.id(''south_rep''))', t.id('south')),
('INSERT INTO kvcrm.lead_activities (lead_id, organization_id, type, title, assigned_to) VALUES (t.id(''x''), t.id(''south''), ''note'', ''x'', {id})', t.id('south_rep')),
('INSERT INTO kvcrm.customers (name, organization_id) VALUES (''x'', {id})', t.id('south')),
('INSERT INTO kvcrm.customers (name, organization_id, inn) VALUES (''x'', {id}, ''1234567890'')', t.id('south')),
('INSERT INTO kvcrm.customer_contacts (name, customer_id) VALUES (''x'', {id})', t.id('customer_south')),
('INSERT INTO kvcrm.customer_contacts (name, customer_id, organization_id) VALUES (''x'', t.id(''customer_south''), {id})', t.id('south')),
('INSERT INTO kvcrm.lead_stages (name, organization_id) VALUES (''x'', {id})', t.id('south')),
('INSERT INTO kvcrm.lead_stage_transitions (from_stage_id, to_stage_id) SELECT id, {id} FROM kvcrm.lead_stages WHERE name = ''Contacted''', :'south_stage'),
('INSERT INTO kvcrm.custom_field_definitions (entity, key, type, organization_id) VALUES (''lead'', ''budget'', ''date'', {id})', t.id('south')),
('INSERT INTO kvcrm.scoring_rules (field, operator, value, points, organization_id) VALUES (''custom_fields.budget'', ''contains'', ''"x"'', 1, {id})', t.id('south')),
('SELECT kvcrm.rescore_leads(organization_id => {id})', t.id('south')),
('SELECT kvcrm.explain_score({id})', t.id('lead_south')),
('SELECT kvcrm.assign_next({id})', t.id('lead_south')),
('SELECT kvcrm.assign_next(t.id(''lead_rep''), {id})', t.id('south_team')),
('INSERT INTO kvcrm.assignment_rules (field, operator, value, user_id) VALUES (''source'', ''eq'', ''"x"'', {id})', t.id('south_rep')),
('INSERT INTO kvcrm.lead_sources (slug, name, organization_id) VALUES (''x'', ''x'', {id})', t.id('south')),
('INSERT INTO kvcrm.teams (name, organization_id) VALUES (''First'', {id})', t.id('south')),
('INSERT INTO kvcrm.roles (slug, name, organization_id) VALUES (''owner'', ''x'', {id})', t.id('south')),
('INSERT INTO kvcrm.organization_members (user_id, role_slug, organization_id) VALUES (t.id(''south_rep''), ''sales_team'', {id})', t.id('south')),
('INSERT INTO kvcrm.organization_members (user_id, role_slug, team_id) VALUES (t.id(''x''), ''sales_team'', {id})', t.id('south_team')),
('UPDATE kvcrm.organization_members SET team_id = {id} WHERE user_id = t.id(''rep'')', t.id('south_team')),
('UPDATE kvcrm.organization_members SET role_slug = ''owner'' WHERE user_id = {id}', t.id('south_rep')),
('UPDATE kvcrm.organizations SET name = ''x'' WHERE id = {id}', t.id('south'));
CREATE FUNCTION t.answer(who text, statement text, id uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    filled text := replace(statement, '{id}', quote_literal(id) || '::uuid');
    rows text := t.try(who, filled);
BEGIN
    IF rows ~ '^[0-9]$' THEN RETURN rows; END IF;
    RETURN replace(t.message(who, filled), id::text, '<id>');
END
$$;
SELECT is(t.answer('owner', statement, foreign_id), t.answer('owner', statement, t.id('unknown')), 'another organization''s row reads as no row: ' || statement)
  FROM t.probes;
SELECT is(t.answer('owner', statement, foreign_id) ~ '^(0$|42501|PT404|23503|23514|22023)', true, 'and is out of reach: ' || statement)
  FROM t.probes WHERE statement !~ 'import_leads\(''\[\]';
-- Inside one organization a lead one doesn't see reads as no lead as well.
SELECT is(t.answer('rep', statement, t.id('lead_far')), t.answer('rep', statement, t.id('unknown')), 'an invisible lead reads as no lead: ' || statement)
  FROM t.probes WHERE foreign_id = t.id('lead_south') AND statement !~ 'south';

SELECT is((SELECT count(*) FROM kvcrm.leads WHERE organization_id = t.id('south')), 3::bigint, 'nothing of this reached the other organization');

SELECT * FROM finish();
ROLLBACK;
