-- What races.sh runs two at a time: the subjects (calls and direct writes, by whom), the rows they meet on, and a driver
-- with two sessions.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
CREATE EXTENSION dblink SCHEMA public;
SELECT kvcrm.grant_api(:'role') \g /dev/null

CREATE SCHEMA race;
CREATE TABLE race.ids (name text PRIMARY KEY, id uuid NOT NULL);
CREATE FUNCTION race.id(text) RETURNS uuid LANGUAGE sql STABLE AS 'SELECT i.id FROM race.ids i WHERE i.name = $1';
CREATE TABLE race.settings AS SELECT :'role'::text AS role;

-- The rows.

INSERT INTO race.ids SELECT n, gen_random_uuid() FROM unnest(ARRAY['olga', 'oscar', 'otto', 'adam', 'ada', 'mia', 'rita', 'rob', 'sam', 'ivan', 'nobody']) AS n;
INSERT INTO race.ids SELECT 'org', o.id FROM kvcrm.create_organization('Test', 'en', owner_id => race.id('olga'), owner_name => 'Olga') o;
SELECT set_config('kvcrm.organization_id', race.id('org')::text, false) \g /dev/null
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET kvcrm.organization_id = %L', current_database(), race.id('org')); END $$;
INSERT INTO race.ids SELECT lower(replace(s.name, ' ', '_')), s.id FROM kvcrm.lead_stages s;
WITH t AS (INSERT INTO kvcrm.teams (name) VALUES ('North') RETURNING id) INSERT INTO race.ids SELECT 'north', id FROM t;
SELECT kvcrm.add_member(race.id(n), r, n, team_id => CASE WHEN n IN ('rita', 'rob') THEN race.id('north') END)
  FROM (VALUES ('oscar', 'owner'), ('otto', 'owner'), ('adam', 'admin'), ('ada', 'admin'), ('mia', 'sales_manager'), ('rita', 'sales_team'), ('rob', 'sales_team'), ('sam', 'sales_team')) AS m (n, r) \g /dev/null
SELECT kvcrm.suspend_member(race.id('sam')) \g /dev/null
BEGIN;
SET LOCAL kvcrm.user_id = '';
SELECT set_config('kvcrm.user_id', race.id('olga')::text, true) \g /dev/null
SELECT kvcrm.add_member(race.id('ivan'), 'sales_team', 'ivan') \g /dev/null
COMMIT;
INSERT INTO kvcrm.roles (slug, name, permissions) VALUES ('caller', 'Caller', '{leads:create,leads:read_own}');
INSERT INTO kvcrm.lead_sources (slug, name) VALUES ('expo', 'Expo');
INSERT INTO kvcrm.custom_field_definitions (entity, key, type, options) VALUES ('lead', 'region', 'select', '{north,south}'), ('customer', 'region', 'select', '{north,south}');
WITH r AS (INSERT INTO kvcrm.scoring_rules (field, operator, value, points) VALUES ('source', 'eq', '"expo"', 5) RETURNING id) INSERT INTO race.ids SELECT 'score', id FROM r;
WITH r AS (INSERT INTO kvcrm.assignment_rules (field, operator, value, user_id) VALUES ('company', 'eq', '"Rob Ltd"', race.id('rob')) RETURNING id) INSERT INTO race.ids SELECT 'rule', id FROM r;
WITH s AS (INSERT INTO kvcrm.lead_stages (name, order_index) VALUES ('Spare', 7) RETURNING id) INSERT INTO race.ids SELECT 'spare', id FROM s;
-- Every move but one is allowed.
INSERT INTO kvcrm.lead_stage_transitions (from_stage_id, to_stage_id)
    SELECT a.id, b.id FROM kvcrm.lead_stages a, kvcrm.lead_stages b WHERE a.id <> b.id AND NOT (a.name = 'Won' AND b.name = 'Lost');

INSERT INTO race.ids SELECT n, l.id FROM unnest(ARRAY['open', 'other', 'converted', 'deleted', 'survivor', 'loser']) AS n,
    LATERAL kvcrm.create_lead(CASE WHEN n = 'other' THEN 'Anna Open' ELSE 'Ann ' || initcap(n) END, n || '@firm.example', CASE n WHEN 'open' THEN '84951234567' WHEN 'other' THEN '84951234568' END, 'Firm of ' || CASE n WHEN 'other' THEN 'open' ELSE n END,
        source => 'event', stage_id => CASE WHEN n = 'open' THEN race.id('contacted') END, assigned_to => race.id('rita'), estimated_value => 10, custom_fields => '{"region": "north"}') l;
INSERT INTO race.ids SELECT 'imported', i.lead_id FROM kvcrm.import_leads('[{"name": "Ann Imported", "email": "imported@firm.example", "company": "Firm of imported"}]') i;
INSERT INTO race.ids SELECT 'import', i.id FROM kvcrm.lead_imports i;
INSERT INTO race.ids SELECT 'task ' || n, a.id FROM unnest(ARRAY['open', 'other', 'converted', 'deleted', 'survivor', 'loser', 'imported']) AS n,
    LATERAL kvcrm.log_activity(race.id(n), 'task', 'Call ' || n, assigned_to => race.id('rita')) a WHERE n <> 'imported';
WITH q AS (INSERT INTO kvcrm.quotes (lead_id, title, amount) SELECT race.id(n), 'Offer ' || n, 5 FROM unnest(ARRAY['open', 'survivor', 'converted']) AS n RETURNING id, title)
    INSERT INTO race.ids SELECT replace(title, 'Offer', 'quote'), id FROM q;
INSERT INTO race.ids SELECT 'customer', c.id FROM kvcrm.qualify_lead(race.id('converted')) c;
WITH c AS (INSERT INTO kvcrm.customers (name, company, email) VALUES ('Firm', 'Firm', 'office@firm.example') RETURNING id) INSERT INTO race.ids SELECT 'firm', id FROM c;
WITH c AS (INSERT INTO kvcrm.customer_contacts (customer_id, name, email, is_primary) VALUES (race.id('firm'), 'Ann', 'ann@firm.example', true) RETURNING id) INSERT INTO race.ids SELECT 'contact', id FROM c;
SELECT kvcrm.delete_lead(race.id('deleted')) \g /dev/null
SELECT kvcrm.merge_leads(race.id('survivor'), ARRAY[race.id('loser')]) \g /dev/null
INSERT INTO race.ids SELECT 'merge', m.id FROM kvcrm.lead_merges m;
SELECT * FROM kvcrm.scan_duplicates(0.3) \g /dev/null
INSERT INTO race.ids SELECT 'event', l.id FROM kvcrm.activity_logs l ORDER BY l.id LIMIT 1;
INSERT INTO race.ids SELECT 'event 2', l.id FROM kvcrm.activity_logs l ORDER BY l.id OFFSET 1 LIMIT 1;
INSERT INTO race.ids VALUES ('quote deleted', race.id('nobody')), ('quote loser', race.id('nobody')), ('quote imported', race.id('nobody')), ('task imported', race.id('nobody'));

-- The subjects. What is about one lead is run on leads in several states; {NAME} is an id of race.ids, {lead} the lead.

CREATE TABLE race.subjects (name text PRIMARY KEY, groups text[] NOT NULL, actor text NOT NULL, command text NOT NULL);
-- lead: about one lead. open: something that meets an open lead only. new: makes a lead. stage, member, rules: about those.
INSERT INTO race.subjects VALUES
    ('create_lead blocked', '{new,lead}', 'mia', $$kvcrm.create_lead('Twin', '{name}@firm.example', on_duplicate => 'block')$$),
    ('create_lead', '{new,stage,member,rules}', 'mia', $$kvcrm.create_lead('Newcomer', 'new@firm.example', '89161234567', company => 'Rob Ltd', source => 'expo', stage_id => {spare}, assigned_to => {rita}, custom_fields => '{"region": "south"}')$$),
    ('create_lead for nobody', '{new,stage,member,rules}', 'mia', $$kvcrm.create_lead('Newcomer', 'new@firm.example', company => 'Rob Ltd', source => 'expo')$$),
    ('INSERT leads', '{new,rules}', 'rita', $$INSERT INTO kvcrm.leads (organization_id, name, email, custom_fields) VALUES ({org}, 'Inserted', 'other@firm.example', '{"region": "north"}')$$),
    ('UPDATE leads name', '{lead}', 'mia', $$UPDATE kvcrm.leads SET name = 'Renamed', company = 'Renamed Ltd' WHERE id = {lead}$$),
    ('UPDATE leads email', '{lead,rules}', 'mia', $$UPDATE kvcrm.leads SET email = 'changed@firm.example', phone = '89161234567' WHERE id = {lead}$$),
    ('UPDATE leads stage', '{lead,stage}', 'mia', $$UPDATE kvcrm.leads SET stage_id = {spare} WHERE id = {lead}$$),
    ('UPDATE leads assigned_to', '{lead,member}', 'mia', $$UPDATE kvcrm.leads SET assigned_to = {rob} WHERE id = {lead}$$),
    ('UPDATE leads own', '{lead,member}', 'rita', $$UPDATE kvcrm.leads SET "position" = 'Boss' WHERE id = {lead}$$),
    ('UPDATE leads custom_fields', '{lead,rules}', 'mia', $$UPDATE kvcrm.leads SET custom_fields = '{"region": "south"}', source = 'expo' WHERE id = {lead}$$),
    ('assign_lead', '{lead,member}', 'mia', $$kvcrm.assign_lead({lead}, {rob})$$),
    ('assign_lead to nobody', '{lead}', 'mia', $$kvcrm.assign_lead({lead}, NULL)$$),
    ('assign_next', '{lead,member}', 'mia', $$kvcrm.assign_next({lead}, {north})$$),
    ('move_lead', '{lead,stage}', 'mia', $$kvcrm.move_lead({lead}, {spare})$$),
    ('move_lead before', '{lead,stage}', 'mia', $$kvcrm.move_lead({lead}, {new_lead}, {other})$$),
    ('move_lead of a version', '{lead}', 'mia', $$kvcrm.move_lead({lead}, {spare}, expected_version => (SELECT version FROM race.versions WHERE id = {lead}))$$),
    ('move_lead to lost', '{lead,stage}', 'mia', $$kvcrm.move_lead({lead}, {lost}, lost_reason => 'price')$$),
    ('move_lead to qualified', '{lead,stage}', 'mia', $$kvcrm.move_lead({lead}, {qualified})$$),
    ('delete_lead', '{lead,stage,member}', 'mia', $$kvcrm.delete_lead({lead})$$),
    ('restore_lead', '{lead}', 'mia', $$kvcrm.restore_lead({lead})$$),
    ('erase_lead', '{lead}', 'olga', $$kvcrm.erase_lead({lead})$$),
    ('set_legal_hold', '{lead}', 'olga', $$kvcrm.set_legal_hold({lead})$$),
    ('set_legal_hold off', '{lead}', 'olga', $$kvcrm.set_legal_hold({lead}, false)$$),
    ('qualify_lead', '{lead,stage,member,rules}', 'mia', $$kvcrm.qualify_lead({lead})$$),
    ('qualify_lead own', '{lead,member}', 'rita', $$kvcrm.qualify_lead({lead})$$),
    ('qualify_lead to a customer', '{lead}', 'mia', $$kvcrm.qualify_lead({lead}, {firm})$$),
    ('convert_lead_to_customer', '{lead}', 'mia', $$kvcrm.convert_lead_to_customer({lead})$$),
    ('preview_conversion', '{lead}', 'mia', $$kvcrm.preview_conversion({lead})$$),
    ('revert_conversion', '{lead,stage}', 'mia', $$kvcrm.revert_conversion({lead})$$),
    ('merge_leads survivor', '{lead,stage}', 'mia', $$kvcrm.merge_leads({lead}, ARRAY[{other}])$$),
    ('merge_leads loser', '{lead,stage,rules}', 'mia', $$kvcrm.merge_leads({other}, ARRAY[{lead}])$$),
    ('preview_merge', '{lead}', 'mia', $$kvcrm.preview_merge({lead}, ARRAY[{other}])$$),
    ('undo_merge', '{survivor,loser,stage,rules}', 'mia', $$kvcrm.undo_merge({merge})$$),
    ('dismiss_duplicate', '{lead}', 'mia', $$kvcrm.dismiss_duplicate({lead}, {other})$$),
    ('scan_duplicates', '{open,rules}', 'olga', $$kvcrm.scan_duplicates(0.3)$$),
    ('train_matcher', '{rules}', 'olga', $$kvcrm.train_matcher()$$),
    ('reset_matcher', '{rules}', 'olga', $$kvcrm.reset_matcher()$$),
    ('log_activity', '{lead,member}', 'mia', $$kvcrm.log_activity({lead}, 'task', 'Write', assigned_to => {rob})$$),
    ('complete_activity', '{lead}', 'mia', $$kvcrm.complete_activity({task})$$),
    ('delete_activity', '{lead}', 'mia', $$kvcrm.delete_activity({task})$$),
    ('UPDATE lead_activities', '{lead,member}', 'mia', $$UPDATE kvcrm.lead_activities SET title = 'Call again', assigned_to = {rob} WHERE id = {task}$$),
    ('INSERT lead_activities', '{lead,member}', 'mia', $$INSERT INTO kvcrm.lead_activities (organization_id, lead_id, type, title, assigned_to) VALUES ({org}, {lead}, 'call', 'Ring', {rita})$$),
    ('create_quote_from_lead', '{lead}', 'mia', $$kvcrm.create_quote_from_lead({lead}, 'Offer', 7)$$),
    ('create_quote_from_lead numbered', '{lead}', 'mia', $$kvcrm.create_quote_from_lead({lead}, 'Offer', 7, number => 'N1')$$),
    ('INSERT quotes', '{lead}', 'mia', $$INSERT INTO kvcrm.quotes (organization_id, lead_id, title, amount, number) VALUES ({org}, {lead}, 'Offer', 8, 'N1')$$),
    ('UPDATE quotes', '{lead}', 'mia', $$UPDATE kvcrm.quotes SET amount = 6, status = 'sent' WHERE id = {quote}$$),
    ('UPDATE quotes title', '{lead}', 'mia', $$UPDATE kvcrm.quotes SET title = 'Better offer' WHERE id = {quote}$$),
    ('delete_quote', '{lead}', 'mia', $$kvcrm.delete_quote({quote})$$),
    ('bulk_assign', '{lead,member}', 'mia', $$kvcrm.bulk_assign(ARRAY[{lead}, {other}], {rob})$$),
    ('bulk_move', '{lead,stage}', 'mia', $$kvcrm.bulk_move(ARRAY[{lead}, {other}], {spare})$$),
    ('bulk_delete', '{lead}', 'mia', $$kvcrm.bulk_delete(ARRAY[{lead}, {other}])$$),
    ('bulk_qualify', '{lead}', 'mia', $$kvcrm.bulk_qualify(ARRAY[{lead}, {other}])$$),
    ('import_leads update', '{lead,rules}', 'mia', $$kvcrm.import_leads('[{"name": "Imported again", "email": "{name}@firm.example", "company": "Firm of {name}", "source": "event"}]', 'update')$$),
    ('import_leads skip', '{lead}', 'mia', $$kvcrm.import_leads('[{"name": "Skipped", "email": "{name}@firm.example"}]', 'skip')$$),
    ('import_leads', '{new,stage,rules}', 'mia', $$kvcrm.import_leads('[{"name": "Brought", "email": "new@firm.example", "custom_fields": {"region": "south"}}]')$$),
    ('import_leads_csv', '{lead,rules}', 'mia', $$kvcrm.import_leads_csv(E'name;email\nFrom a file;{name}@firm.example', on_duplicate => 'block')$$),
    ('leads_export', '{open,rules}', 'mia', $$kvcrm.leads_export()$$),
    ('leads_export_csv', '{open}', 'mia', $$kvcrm.leads_export_csv()$$),
    ('undo_import', '{imported}', 'mia', $$kvcrm.undo_import({import})$$),
    ('ingest_email', '{lead,new,member}', 'mia', $$kvcrm.ingest_email(convert_to(E'From: Ann <{name}@firm.example>\r\nTo: us@crm.example\r\nSubject: Question\r\nMessage-ID: <1@firm.example>\r\nDate: Mon, 1 Jan 2024 10:00:00 +0000\r\n\r\nHow much?\r\n', 'UTF8'))$$),
    ('rescore_leads', '{lead,rules}', 'olga', $$kvcrm.rescore_leads()$$),
    ('refresh_derived', '{lead,rules}', 'olga', $$kvcrm.refresh_derived()$$),

    ('UPDATE customers', '{converted}', 'mia', $$UPDATE kvcrm.customers SET name = 'Renamed', email = 'changed@firm.example' WHERE id = {customer}$$),
    ('UPDATE customers deleted_at', '{converted}', 'mia', $$UPDATE kvcrm.customers SET deleted_at = now() WHERE id = {customer}$$),
    ('INSERT customers', '{open,converted}', 'mia', $$INSERT INTO kvcrm.customers (organization_id, name, company, email) VALUES ({org}, 'Direct', 'Firm of open', 'open@firm.example')$$),
    ('INSERT customer_contacts', '{converted}', 'mia', $$INSERT INTO kvcrm.customer_contacts (organization_id, customer_id, name, email, is_primary) VALUES ({org}, {customer}, 'Bob', 'bob@firm.example', false)$$),
    ('UPDATE customer_contacts', '{converted,open}', 'mia', $$UPDATE kvcrm.customer_contacts SET name = 'Anna', is_primary = false WHERE id = {contact}$$),
    ('UPDATE firm', '{open}', 'mia', $$UPDATE kvcrm.customers SET deleted_at = now() WHERE id = {firm}$$),

    ('delete_stage', '{stage}', 'olga', $$kvcrm.delete_stage({spare})$$),
    ('delete_stage of leads', '{stage,member,rules}', 'olga', $$kvcrm.delete_stage({contacted}, {spare})$$),
    ('delete_stage of the first', '{stage}', 'olga', $$kvcrm.delete_stage({new_lead}, {contacted})$$),
    ('INSERT lead_stages', '{stage}', 'olga', $$INSERT INTO kvcrm.lead_stages (organization_id, name, order_index) VALUES ({org}, 'Very first', -1)$$),
    ('UPDATE lead_stages flags', '{stage}', 'olga', $$UPDATE kvcrm.lead_stages SET is_qualified = true WHERE id = {spare}$$),
    ('UPDATE lead_stages outcome', '{stage}', 'olga', $$UPDATE kvcrm.lead_stages SET outcome = 'lost' WHERE id = {spare}$$),
    ('UPDATE lead_stages order', '{stage}', 'olga', $$UPDATE kvcrm.lead_stages SET order_index = -2 WHERE id = {contacted}$$),
    ('UPDATE lead_stages name', '{stage}', 'olga', $$UPDATE kvcrm.lead_stages SET name = 'Renamed' WHERE id = {spare}$$),
    ('INSERT lead_stage_transitions', '{stage}', 'olga', $$INSERT INTO kvcrm.lead_stage_transitions (organization_id, from_stage_id, to_stage_id) VALUES ({org}, {won}, {lost})$$),
    ('UPDATE lead_stage_transitions', '{stage}', 'olga', $$UPDATE kvcrm.lead_stage_transitions SET required_fields = '{inn}' WHERE from_stage_id = {contacted} AND to_stage_id = {spare}$$),
    ('remove_transition', '{stage}', 'olga', $$kvcrm.remove_transition({contacted}, {spare})$$),

    ('add_member', '{member}', 'olga', $$kvcrm.add_member({nobody}, 'sales_team', 'Nobody')$$),
    ('INSERT organization_members', '{member}', 'olga', $$INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug) VALUES ({org}, {nobody}, 'caller')$$),
    ('accept_invitation', '{member}', 'ivan', $$kvcrm.accept_invitation()$$),
    ('decline_invitation', '{member}', 'ivan', $$kvcrm.decline_invitation()$$),
    ('set_member_role', '{member}', 'olga', $$kvcrm.set_member_role({rob}, 'caller')$$),
    ('set_member_role of the caller', '{member}', 'olga', $$kvcrm.set_member_role({mia}, 'caller')$$),
    ('set_member_role of an owner', '{member}', 'olga', $$kvcrm.set_member_role({oscar}, 'admin')$$),
    ('set_member_role by an owner', '{member}', 'oscar', $$kvcrm.set_member_role({olga}, 'admin')$$),
    ('suspend_member', '{member}', 'olga', $$kvcrm.suspend_member({rob})$$),
    ('suspend_member and reassign', '{member}', 'olga', $$kvcrm.suspend_member({rita}, {rob})$$),
    ('suspend_member of the caller', '{member}', 'olga', $$kvcrm.suspend_member({mia})$$),
    ('suspend_member by an admin', '{member}', 'adam', $$kvcrm.suspend_member({ada})$$),
    ('suspend_member by another admin', '{member}', 'ada', $$kvcrm.suspend_member({adam})$$),
    ('set_member_role by an admin', '{member}', 'adam', $$kvcrm.set_member_role({rob}, 'admin')$$),
    ('suspend_member of an owner', '{member}', 'olga', $$kvcrm.suspend_member({oscar})$$),
    ('reactivate_member', '{member}', 'olga', $$kvcrm.reactivate_member({sam})$$),
    ('UPDATE organization_members', '{member}', 'olga', $$UPDATE kvcrm.organization_members SET team_id = NULL, assignment_weight = 3 WHERE user_id = {rob}$$),
    ('UPDATE organization_members status', '{member}', 'olga', $$UPDATE kvcrm.organization_members SET status = 'suspended' WHERE user_id = {rob}$$),
    ('INSERT teams', '{member}', 'olga', $$INSERT INTO kvcrm.teams (organization_id, name) VALUES ({org}, 'South')$$),
    ('UPDATE teams', '{member}', 'olga', $$UPDATE kvcrm.teams SET name = 'Far north' WHERE id = {north}$$),
    ('INSERT roles', '{member}', 'olga', $$INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES ({org}, 'reader', 'Reader', '{leads:read_all}')$$),
    ('UPDATE roles', '{member}', 'olga', $$UPDATE kvcrm.roles SET permissions = '{leads:read_own}' WHERE slug = 'sales_manager'$$),
    ('UPDATE roles of callers', '{member}', 'adam', $$UPDATE kvcrm.roles SET permissions = '{leads:*}' WHERE slug = 'caller'$$),
    ('demote an admin', '{member}', 'olga', $$kvcrm.set_member_role({adam}, 'sales_team')$$),

    ('UPDATE organizations block', '{rules,stage,member}', 'olga', $$UPDATE kvcrm.organizations SET duplicate_policy = 'block' WHERE id = {org}$$),
    ('UPDATE organizations allow', '{rules}', 'olga', $$UPDATE kvcrm.organizations SET duplicate_policy = 'allow' WHERE id = {org}$$),
    ('UPDATE organizations settings', '{rules}', 'olga', $$UPDATE kvcrm.organizations SET settings = '{"assignment_rules": true}' WHERE id = {org}$$),
    ('UPDATE organizations country', '{rules,stage,member}', 'olga', $$UPDATE kvcrm.organizations SET default_country = 'US', name = 'Renamed' WHERE id = {org}$$),
    ('create_organization', '{rules}', 'olga', $$kvcrm.create_organization('Another')$$),
    ('INSERT custom_field_definitions', '{rules}', 'olga', $$INSERT INTO kvcrm.custom_field_definitions (organization_id, entity, key, type) VALUES ({org}, 'lead', 'budget', 'number')$$),
    ('UPDATE custom_field_definitions', '{rules}', 'olga', $$UPDATE kvcrm.custom_field_definitions SET options = '{north,west}' WHERE key = 'region' AND entity = 'lead'$$),
    ('UPDATE custom_field_definitions required', '{rules}', 'olga', $$UPDATE kvcrm.custom_field_definitions SET required = true WHERE key = 'region' AND entity = 'lead'$$),
    ('DELETE custom_field_definitions', '{rules}', 'olga', $$DELETE FROM kvcrm.custom_field_definitions WHERE key = 'region' AND entity = 'lead'$$),
    ('INSERT scoring_rules', '{rules}', 'olga', $$INSERT INTO kvcrm.scoring_rules (organization_id, field, operator, value, points) VALUES ({org}, 'email', 'exists', 'true', 3)$$),
    ('UPDATE scoring_rules', '{rules}', 'olga', $$UPDATE kvcrm.scoring_rules SET points = 50 WHERE id = {score}$$),
    ('DELETE scoring_rules', '{rules}', 'olga', $$DELETE FROM kvcrm.scoring_rules WHERE id = {score}$$),
    ('INSERT assignment_rules', '{rules,member}', 'olga', $$INSERT INTO kvcrm.assignment_rules (organization_id, field, operator, value, user_id) VALUES ({org}, 'source', 'eq', '"expo"', {rob})$$),
    ('UPDATE assignment_rules', '{rules,member}', 'olga', $$UPDATE kvcrm.assignment_rules SET user_id = {rita} WHERE id = {rule}$$),
    ('DELETE assignment_rules', '{rules}', 'olga', $$DELETE FROM kvcrm.assignment_rules WHERE id = {rule}$$),
    ('INSERT lead_sources', '{rules}', 'olga', $$INSERT INTO kvcrm.lead_sources (organization_id, slug, name) VALUES ({org}, 'mail', 'Mail')$$),
    ('UPDATE lead_sources', '{rules}', 'olga', $$UPDATE kvcrm.lead_sources SET name = 'Fair' WHERE slug = 'expo'$$),
    ('ack_events', '{feed}', 'olga', $$kvcrm.ack_events('hook', {event})$$),
    ('ack_events later', '{feed}', 'olga', $$kvcrm.ack_events('hook', {event 2})$$);

-- Which functions and writes of the API no subject has.
CREATE VIEW race.forgotten AS
    SELECT p.oid::regproc::text AS what FROM pg_proc p JOIN kvcrm.api_privileges() a ON a.object_type = 'function' AND a.object_name::regprocedure = p.oid
     WHERE p.provolatile = 'v' AND p.proname <> 'uuid_v7' AND NOT EXISTS (SELECT FROM race.subjects s WHERE s.command ~ ('^kvcrm\.' || p.proname || '\('))
    UNION ALL
    SELECT a.privilege || ' ' || a.object_name FROM kvcrm.api_privileges() a
     WHERE a.privilege IN ('INSERT', 'UPDATE', 'DELETE')
       AND NOT EXISTS (SELECT FROM race.subjects s WHERE s.command ~ ('^' || a.privilege || '( INTO| FROM)? ' || a.object_name || ' '));

-- A case's meeting place is a lead in some state, or a group. On an open lead all meet that are about leads.
-- Calls that are `typical` of a place are always tried there with all others; the rest of its pairs differ little from those on
-- an open lead.
CREATE TABLE race.calls (place text NOT NULL, name text NOT NULL, actor text NOT NULL, command text NOT NULL, typical boolean NOT NULL, PRIMARY KEY (place, name));
CREATE FUNCTION race.fill(command text, lead text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE i race.ids;
BEGIN
    command := replace(replace(replace(replace(command, '{name}', lead), '{lead}', '{' || lead || '}'), '{task}', '{task ' || lead || '}'), '{quote}', '{quote ' || lead || '}');
    FOR i IN SELECT * FROM race.ids LOOP
        command := replace(command, '{' || i.name || '}', quote_literal(i.id) || '::uuid');
    END LOOP;
    -- One text, whatever it does.
    RETURN CASE WHEN command LIKE 'kvcrm.%' THEN format('SELECT coalesce(jsonb_agg(to_jsonb(r)), ''[]'')::text FROM %s AS r', command)
                ELSE format('WITH r AS (%s RETURNING id) SELECT count(*)::text FROM r', command) END;
END $$;
INSERT INTO race.calls
    SELECT p.place, s.name, s.actor, race.fill(s.command, CASE WHEN p.place IN ('stage', 'member', 'rules', 'feed') THEN 'open' ELSE p.place END),
           p.place IN ('open', 'stage', 'member', 'rules', 'feed') OR p.place = ANY (s.groups) OR (p.place, s.name) IN (('deleted', 'restore_lead'), ('converted', 'revert_conversion'))
      FROM unnest(ARRAY['open', 'converted', 'deleted', 'survivor', 'loser', 'imported', 'stage', 'member', 'rules', 'feed']) AS p (place)
           JOIN race.subjects s ON p.place = ANY (s.groups) OR ('lead' = ANY (s.groups) AND p.place NOT IN ('stage', 'member', 'rules', 'feed'));

-- The rows as they were, and what differs from them.

CREATE SCHEMA race_before;
CREATE TABLE race.versions AS SELECT id, version FROM kvcrm.leads;
CREATE TABLE race.expected_tables AS
    SELECT c.relname::text AS name FROM pg_class c
     WHERE c.relnamespace = 'kvcrm'::regnamespace AND c.relkind = 'r'
       AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'id' AND NOT a.attisdropped);
CREATE TABLE race.restored (xid bigint);
CREATE TABLE race.nothing ();

-- What a text says apart from ids and times that are new.
CREATE FUNCTION race.canonical(t text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE u text;
BEGIN
    t := regexp_replace(t, '\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d(:?\d\d)?|Z)?', 'TIME', 'g');
    -- Chance has a part in it.
    t := regexp_replace(t, '"board_rank": ?"[^"]*"', '"board_rank": "RANK"', 'g');
    t := regexp_replace(t, 'Q-\d{4}-[0-9A-Z]{6}', 'NUMBER', 'g');
    FOR u IN SELECT DISTINCT m[1] FROM regexp_matches(t, '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}', 'g') AS m EXCEPT SELECT k.id FROM race.known k LOOP
        t := replace(t, u, 'NEW');
    END LOOP;
    RETURN t;
END $$;

-- Written here, since there is a statement for each table.
DO $$
DECLARE t text; columns text; written text; digest text := ''; restore text := ''; lines text := ''; known text := ''; delta text;
BEGIN
    FOR t IN SELECT name FROM race.expected_tables ORDER BY name LOOP
        -- A time says only that it is there, and whether a row was rewritten nothing. The counts of the board are spread over rows by chance.
        SELECT string_agg(CASE WHEN a.atttypid = 'timestamptz'::regtype THEN format('%L, t.%I IS NOT NULL', a.attname, a.attname)
                               WHEN a.attname IN ('tx', 'feed_epoch') THEN format('%L, 0', a.attname)
                               -- In any order.
                               WHEN a.attname = 'before_image' THEN format('%L, (SELECT string_agg(l, ''|'' ORDER BY l) FROM regexp_split_to_table(regexp_replace(t.%I::text, ''"(board_rank|[a-z]+_at)": "[^"]*",?'', '''', ''g''), ''[{}]'') AS l)', a.attname, a.attname)
                               WHEN t = 'customer_fingerprints' AND a.attname = 'match_values' THEN format('%L, length(t.match_values::text)', a.attname) ELSE format('%L, t.%I', a.attname, a.attname) END, ', '),
               string_agg(quote_ident(a.attname), ', ') FILTER (WHERE a.attgenerated = '')
          INTO columns, written FROM pg_attribute a WHERE a.attrelid = ('kvcrm.' || t)::regclass AND a.attnum > 0 AND NOT a.attisdropped;
        EXECUTE format('CREATE TABLE race_before.%I AS SELECT * FROM kvcrm.%1$I', t);
        EXECUTE format('ALTER TABLE race_before.%I ADD PRIMARY KEY (id)', t);
        restore := restore || format('DELETE FROM kvcrm.%1$I WHERE xmin::text::bigint > last;
            INSERT INTO kvcrm.%1$I (%2$s) SELECT %2$s FROM race_before.%1$I b WHERE NOT EXISTS (SELECT FROM kvcrm.%1$I t WHERE t.id = b.id);
            ', t, written);
        CONTINUE WHEN t = 'lead_stage_counts';
        delta := format('SELECT %1$L || jsonb_build_object(%2$s)::text AS line, t.id AS id FROM kvcrm.%1$I t WHERE t.xmin::text::bigint > last', t, columns);
        digest := digest || format('SELECT n.line FROM (%s) AS n LEFT JOIN race_before.lines b ON b.id = n.id AND b.source = %2$L WHERE n.line IS DISTINCT FROM b.line
            UNION ALL SELECT ''gone: '' || b.line FROM race_before.lines b WHERE b.source = %2$L AND NOT EXISTS (SELECT FROM kvcrm.%2$I t WHERE t.id = b.id) UNION ALL ', delta, t);
        lines := lines || format('SELECT %1$L AS source, t.id, %1$L || jsonb_build_object(%2$s)::text AS line FROM kvcrm.%1$I t UNION ALL ', t, columns);
    END LOOP;
    EXECUTE 'CREATE TABLE race_before.lines AS ' || left(lines, -length(' UNION ALL '));
    CREATE INDEX ON race_before.lines (id);
    CREATE INDEX ON race_before.lines (source);
    CREATE TABLE race.known AS SELECT DISTINCT m[1] AS id FROM race_before.lines, regexp_matches(line, '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}', 'g') AS m
        UNION SELECT id::text FROM race.ids;
    EXECUTE format('CREATE FUNCTION race.restore() RETURNS void LANGUAGE plpgsql AS $f$
        DECLARE last bigint := (SELECT max(xid) FROM race.restored);
        BEGIN
            %s
            UPDATE race.restored SET xid = pg_current_xact_id()::text::bigint;
            -- What backends remember of the rows.
            GRANT SELECT ON race.nothing TO CURRENT_USER;
        END $f$', restore);
    EXECUTE format('CREATE FUNCTION race.digest() RETURNS text LANGUAGE plpgsql AS $f$
        DECLARE last bigint := (SELECT max(xid) FROM race.restored);
        BEGIN
            RETURN (SELECT string_agg(l.line, E''\n'' ORDER BY l.line COLLATE "C") FROM (SELECT race.canonical(line) AS line FROM (%s) AS d (line)) AS l);
        END $f$', left(digest, -length(' UNION ALL ')));
    INSERT INTO race.restored VALUES (pg_current_xact_id()::text::bigint);
END $$;
GRANT USAGE ON SCHEMA race TO PUBLIC;
GRANT SELECT ON race.versions TO PUBLIC;

-- The driver.

CREATE TABLE race.outcomes (place text, first text, second text, way text, first_result text, second_result text, state text, waited boolean, inconsistent text);
CREATE INDEX ON race.outcomes (place, first, second);

CREATE FUNCTION race.connect() RETURNS void LANGUAGE plpgsql AS $$
DECLARE s text;
BEGIN
    FOREACH s IN ARRAY ARRAY['s1', 's2', 'restorer'] LOOP
        PERFORM dblink_connect(s, format('host=%s port=%s dbname=%I user=%I', split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database(), session_user));
        PERFORM dblink_exec(s, 'SET client_min_messages = error');
    END LOOP;
    PERFORM set_config('race.' || n, t.pid::text, false) FROM unnest(ARRAY['s1', 's2']) AS n, LATERAL dblink(n, 'SELECT pg_backend_pid()') AS t (pid int);
    -- Switching it to and fro would have the others plan everything anew.
    PERFORM dblink_exec('restorer', 'SET session_replication_role = replica');
END $$;
CREATE FUNCTION race.pid(session text) RETURNS int LANGUAGE sql STABLE AS $$ SELECT current_setting('race.' || session)::int $$;
-- Makes a session somebody's, or the system's, and begins or ends a transaction of it: one message.
CREATE FUNCTION race.become(session text, actor text, next text DEFAULT '') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM dblink_exec(session, CASE WHEN actor IS NULL THEN 'RESET ROLE; SET kvcrm.user_id = '''';'
        ELSE format('SET ROLE %I; SET kvcrm.user_id = %L;', (SELECT role FROM race.settings), race.id(actor)) END || next);
END $$;
-- What a command comes to: its rows, or its error.
CREATE FUNCTION race.outcome(session text, command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN race.canonical((SELECT t.r FROM dblink(session, command) AS t (r text)));
EXCEPTION WHEN OTHERS THEN
    RETURN 'ERROR ' || SQLSTATE || ': ' || race.canonical(SQLERRM);
END $$;
CREATE FUNCTION race.awaited() RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
    SELECT t.r INTO result FROM dblink_get_result('s2') AS t (r text);
    PERFORM * FROM dblink_get_result('s2') AS t (r text);
    RETURN race.canonical(result);
EXCEPTION WHEN OTHERS THEN
    result := 'ERROR ' || SQLSTATE || ': ' || race.canonical(SQLERRM);
    PERFORM * FROM dblink_get_result('s2') AS t (r text);
    RETURN result;
END $$;
CREATE FUNCTION race.try_exec(session text, command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM dblink_exec(session, command);
    RETURN '';
EXCEPTION WHEN OTHERS THEN
    RETURN ' ERROR ' || SQLSTATE || ': ' || race.canonical(SQLERRM);
END $$;

-- first, then second. way: serial; commit and rollback: second begins while first has not committed yet, and then it does.
CREATE FUNCTION race.meet(p text, f text, g text, way text, OUT r race.outcomes) LANGUAGE plpgsql AS $$
DECLARE
    one race.calls; two race.calls;
BEGIN
    SELECT * INTO one FROM race.calls c WHERE c.place = p AND c.name = f;
    SELECT * INTO two FROM race.calls c WHERE c.place = p AND c.name = g;
    r.place := p; r.first := f; r.second := g; r.way := way; r.waited := false;
    PERFORM race.become('s1', one.actor, CASE WHEN way = 'serial' THEN '' ELSE 'BEGIN' END);
    PERFORM race.become('s2', two.actor, CASE WHEN way = 'rollback' THEN 'BEGIN' ELSE '' END);
    r.first_result := race.outcome('s1', one.command);
    IF way = 'serial' THEN
        r.second_result := race.outcome('s2', two.command);
    ELSE
        PERFORM dblink_send_query('s2', two.command);
        WHILE dblink_is_busy('s2') = 1 LOOP
            r.waited := race.pid('s1') = ANY (pg_blocking_pids(race.pid('s2')));
            EXIT WHEN r.waited;
            PERFORM pg_sleep(0.0002);
        END LOOP;
        r.first_result := r.first_result || race.try_exec('s1', upper(way));
        r.second_result := race.awaited();
    END IF;
    IF way = 'rollback' THEN
        IF r.second_result NOT LIKE 'ERROR%' THEN
            PERFORM race.become('s2', NULL);
            SELECT t.d INTO r.state FROM dblink('s2', 'SELECT race.digest()') AS t (d text);
        END IF;
        PERFORM dblink_exec('s2', 'ROLLBACK');
        RETURN;
    END IF;
    r.state := race.digest();
    IF way = 'commit' THEN
        SELECT string_agg(c.invariant || ' ' || c.entity_type || ' ' || coalesce(c.detail, ''), E'\n') INTO r.inconsistent FROM kvcrm.check_consistency(race.id('org')) c;
    END IF;
    PERFORM * FROM dblink('restorer', 'SELECT race.restore()::text') AS t (r text);
END $$;

-- What each call comes to on its own.
CREATE TABLE race.alone (place text, name text, result text, state text, PRIMARY KEY (place, name));
CREATE PROCEDURE race.run_alone() LANGUAGE plpgsql AS $$
DECLARE c race.calls; r record;
BEGIN
    PERFORM race.connect();
    FOR c IN SELECT * FROM race.calls LOOP
        PERFORM race.become('s1', c.actor, 'BEGIN');
        INSERT INTO race.alone VALUES (c.place, c.name, race.outcome('s1', c.command));
        IF race.try_exec('s1', 'COMMIT') <> '' THEN RAISE EXCEPTION '% fails when it commits', c.name; END IF;
        UPDATE race.alone a SET state = race.digest() WHERE a.place = c.place AND a.name = c.name;
        PERFORM * FROM dblink('restorer', 'SELECT race.restore()::text') AS t (r text);
        COMMIT;
    END LOOP;
    PERFORM dblink_disconnect(n) FROM unnest(dblink_get_connections()) AS n;
    -- Who fails leaves things as they were.
    INSERT INTO race.outcomes SELECT f.place, f.name, g.name, 'serial', f.result, g.result, g.state FROM race.alone f JOIN race.alone g USING (place) WHERE f.result LIKE 'ERROR%';
END $$;

-- The pairs of one of several lanes, both orders of a pair in the same one, in an order by seed, as many as the time allows. Who
-- fails alone isn't first.
CREATE PROCEDURE race.run(lane int, lanes int, everything boolean, names text, seed text, time_limit interval) LANGUAGE plpgsql AS $$
DECLARE c record; waited boolean; done int := 0; pair text := ''; until timestamptz := clock_timestamp() + time_limit;
BEGIN
    PERFORM race.connect();
    COMMIT;
    FOR c IN SELECT a.place, a.name AS f, b.name AS g FROM race.alone a JOIN race.calls x USING (place, name) JOIN race.calls b ON b.place = a.place
              WHERE (everything OR x.typical OR b.typical) AND (names IS NULL OR a.name ~ names OR b.name ~ names) AND a.result NOT LIKE 'ERROR%' AND abs(hashtext(least(a.name, b.name) || greatest(a.name, b.name))) % lanes = lane
              ORDER BY md5(seed || a.place || least(a.name, b.name) || greatest(a.name, b.name)), a.name LOOP
        -- Both orders of a pair, or none.
        EXIT WHEN clock_timestamp() > until AND pair <> c.place || least(c.f, c.g) || greatest(c.f, c.g);
        pair := c.place || least(c.f, c.g) || greatest(c.f, c.g);
        -- Of a key that seems to have many rows, dead ones among them, matching only reads a sample.
        IF done % 20 = 0 THEN PERFORM dblink_exec('restorer', 'VACUUM kvcrm.lead_fingerprints, kvcrm.customer_fingerprints'); END IF;
        -- Others' dead rows only cost time.
        IF done % 200 = 0 THEN PERFORM dblink_exec('restorer', 'VACUUM'); END IF;
        done := done + 1;
        INSERT INTO race.outcomes SELECT * FROM race.meet(c.place, c.f, c.g, 'serial');
        COMMIT;
        INSERT INTO race.outcomes SELECT * FROM race.meet(c.place, c.f, c.g, 'commit') RETURNING outcomes.waited INTO waited;
        COMMIT;
        -- Who didn't wait had done everything before.
        CONTINUE WHEN NOT waited;
        INSERT INTO race.outcomes SELECT * FROM race.meet(c.place, c.f, c.g, 'rollback');
        COMMIT;
    END LOOP;
END $$;

-- What needn't be as in either order, and why: for everything, or for what lies outside of one table.
CREATE TABLE race.accepted (first text, second text, but_for text, why text NOT NULL);
INSERT INTO race.accepted VALUES
    ('^(create_lead|INSERT leads|import_leads|ingest_email|UPDATE leads email)', '^(create_lead|INSERT leads|import_leads|ingest_email|UPDATE leads email|scan_duplicates)', 'duplicate_pairs',
        'Likely duplicates are told of what is committed. Two who write at once don''t hear of each other; scan_duplicates() finds the pair.'),
    ('^(create_lead|INSERT leads|import_leads|ingest_email|UPDATE leads email)', '^(create_lead blocked|import_leads skip|import_leads update|import_leads_csv)$', NULL,
        'What a call chooses for itself is about what is committed; only the policy of the organization has an index that arbitrates.'),
    ('^(create_lead blocked|import_leads skip|import_leads update|import_leads_csv)$', '^(create_lead|INSERT leads|import_leads|ingest_email|UPDATE leads email)', NULL, 'As above.'),
    ('', '^preview_', NULL, 'A preview that waited may tell of how it was before.'),
    ('^undo_merge$', '^bulk_', NULL, 'What the ids of bulk functions stand for is looked up when they begin.'),
    ('^merge_leads', '^bulk_move$', NULL, 'Of two leads that are merged while bulk_move waits, the survivor is moved for each.'),
    ('', '^import_leads update$', NULL, 'A row whose lead changed under it is answered with an error and can be imported again.');

CREATE FUNCTION race.without(state text, source text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(string_agg(l, E'\n' ORDER BY n), '') FROM string_to_table(state, E'\n') WITH ORDINALITY AS t (l, n) WHERE source IS NULL OR l !~ ('^(gone: )?' || source) $$;
-- What was returned, or that nothing was done: refused with whatever error of the contract, or no such row.
CREATE FUNCTION race.gist(result text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN result LIKE 'ERROR%' OR result = '0' THEN 'nothing' ELSE result END $$;

CREATE VIEW race.compared AS
    SELECT o.*, a.result AS alone_result, a.state AS alone_state, fg.first_result AS fg_first, fg.second_result AS fg_second, fg.state AS fg_state,
           gf.second_result AS gf_first, gf.first_result AS gf_second, gf.state AS gf_state,
           coalesce(race.gist(o.first_result) = race.gist(fg.first_result) AND race.gist(o.second_result) = race.gist(fg.second_result) AND coalesce(o.state, '') = coalesce(fg.state, ''), false) AS as_fg,
           coalesce(race.gist(o.first_result) = race.gist(gf.second_result) AND race.gist(o.second_result) = race.gist(gf.first_result) AND coalesce(o.state, '') = coalesce(gf.state, ''), false) AS as_gf
      FROM race.outcomes o
           JOIN race.alone a ON a.place = o.place AND a.name = o.second
           LEFT JOIN race.outcomes fg ON fg.place = o.place AND fg.first = o.first AND fg.second = o.second AND fg.way = 'serial'
           LEFT JOIN race.outcomes gf ON gf.place = o.place AND gf.first = o.second AND gf.second = o.first AND gf.way = 'serial'
     WHERE o.way <> 'serial';

CREATE VIEW race.wrong AS
    SELECT * FROM (SELECT c.*, CASE
        WHEN c.inconsistent IS NOT NULL THEN 'inconsistent: ' || c.inconsistent
        -- 23503: what a row that is inserted directly refers to has just gone.
        WHEN c.second_result LIKE 'ERROR%' AND NOT (c.second LIKE 'INSERT %' AND c.second_result LIKE 'ERROR 23503:%') AND c.second_result !~ '^ERROR (PT404|PT409|42501|22023|23505|23514):' THEN 'no error of the contract'
        WHEN c.way = 'rollback' AND (race.gist(c.second_result), coalesce(c.state, '')) <> (race.gist(c.alone_result), coalesce(c.alone_state, '')) THEN 'not as if the first had not been'
        WHEN c.way = 'commit' AND NOT c.as_fg AND NOT c.as_gf AND NOT EXISTS (SELECT FROM race.accepted x WHERE c.first ~ x.first AND c.second ~ x.second
            AND (x.but_for IS NULL OR race.without(c.state, x.but_for) IN (race.without(c.fg_state, x.but_for), race.without(c.gf_state, x.but_for)))) THEN 'not as in either order'
        END AS problem FROM race.compared c) AS v
     WHERE v.problem IS NOT NULL;

-- A problem with what the two got, and the lines that differ from the nearer order.
CREATE FUNCTION race.explain(w race.wrong) RETURNS text LANGUAGE sql STABLE AS $$
    WITH nearer AS (SELECT * FROM (VALUES ('first, then second', w.fg_first, w.fg_second, w.fg_state), ('second, then first', w.gf_first, w.gf_second, w.gf_state), ('second alone', NULL, w.alone_result, w.alone_state)) AS v (name, f, g, s)
                     WHERE (w.way = 'rollback') = (name = 'second alone')),
         lines AS (SELECT n.name, '- ' || l AS line FROM nearer n, string_to_table(n.s, E'\n') AS l WHERE l <> ALL (string_to_array(coalesce(w.state, ''), E'\n'))
                   UNION ALL SELECT n.name, '+ ' || l FROM nearer n, string_to_table(w.state, E'\n') AS l WHERE l <> ALL (string_to_array(coalesce(n.s, ''), E'\n'))
                   UNION ALL SELECT n.name, '- result: ' || v FROM nearer n, LATERAL (VALUES (n.f, w.first_result), (n.g, w.second_result)) AS r (v, was) WHERE v <> was
                   UNION ALL SELECT n.name, '+ result: ' || was FROM nearer n, LATERAL (VALUES (n.f, w.first_result), (n.g, w.second_result)) AS r (v, was) WHERE v <> was)
    SELECT format(E'%s: %s, meanwhile %s, then %s: %s', w.place, w.first, w.second, w.way, w.problem)
        || (SELECT string_agg(t, '') FROM (SELECT E'\n  against ' || name || string_agg(E'\n    ' || left(line, 400), '' ORDER BY line) AS t FROM lines GROUP BY name ORDER BY count(*) LIMIT 1) AS nearest) $$;

-- Pauses: first stops after its first statement that writes a table, second does what it can, then both go on. What locks in
-- opposite orders is found so.
CREATE FUNCTION race.pause() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('race.pause_at', true) = TG_TABLE_NAME THEN PERFORM pg_advisory_xact_lock(42); END IF;
    RETURN NULL;
END $$;
CREATE PROCEDURE race.add_pauses() LANGUAGE plpgsql AS $$
DECLARE t text;
BEGIN
    FOR t IN SELECT name FROM race.expected_tables LOOP
        EXECUTE format('CREATE TRIGGER zzz_pause AFTER INSERT OR UPDATE OR DELETE ON kvcrm.%I FOR EACH STATEMENT EXECUTE FUNCTION race.pause()', t);
    END LOOP;
END $$;
CREATE FUNCTION race.answer(session text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
    SELECT t.r INTO result FROM dblink_get_result(session) AS t (r text);
    PERFORM * FROM dblink_get_result(session) AS t (r text);
    RETURN race.canonical(result);
EXCEPTION WHEN OTHERS THEN
    result := 'ERROR ' || SQLSTATE || ': ' || race.canonical(SQLERRM);
    PERFORM * FROM dblink_get_result(session) AS t (r text);
    RETURN result;
END $$;
CREATE FUNCTION race.settled(session text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    LOOP
        IF dblink_is_busy(session) = 0 THEN RETURN true; END IF;
        IF cardinality(pg_blocking_pids(race.pid(session))) > 0 THEN RETURN false; END IF;
        PERFORM pg_sleep(0.0002);
    END LOOP;
END $$;
CREATE FUNCTION race.meet_paused(p text, f text, g text, at text, OUT r race.outcomes) LANGUAGE plpgsql AS $$
DECLARE
    one race.calls; two race.calls;
BEGIN
    SELECT * INTO one FROM race.calls c WHERE c.place = p AND c.name = f;
    SELECT * INTO two FROM race.calls c WHERE c.place = p AND c.name = g;
    r.place := p; r.first := f; r.second := g; r.way := 'paused at ' || at;
    PERFORM race.become('s1', one.actor, format('SET race.pause_at = %L', at));
    PERFORM race.become('s2', two.actor, 'SET race.pause_at = ''''');
    PERFORM * FROM dblink('restorer', 'SELECT pg_advisory_lock(42)::text') AS t (r text);
    PERFORM dblink_send_query('s1', one.command);
    IF NOT race.settled('s1') THEN
        PERFORM dblink_send_query('s2', two.command);
        r.waited := NOT race.settled('s2');
        PERFORM * FROM dblink('restorer', 'SELECT pg_advisory_unlock(42)::text') AS t (r text);
        r.first_result := race.answer('s1');
        r.second_result := race.answer('s2');
    ELSE
        PERFORM * FROM dblink('restorer', 'SELECT pg_advisory_unlock(42)::text') AS t (r text);
        r.first_result := race.answer('s1');
    END IF;
    r.state := race.digest();
    SELECT string_agg(c.invariant || ' ' || c.entity_type || ' ' || coalesce(c.detail, ''), E'\n') INTO r.inconsistent FROM kvcrm.check_consistency(race.id('org')) c;
    PERFORM * FROM dblink('restorer', 'SELECT race.restore()::text') AS t (r text);
END $$;
CREATE TABLE race.pauses (LIKE race.outcomes);
CREATE PROCEDURE race.run_paused(lane int, lanes int, everything boolean, names text, seed text, time_limit interval) LANGUAGE plpgsql AS $$
DECLARE c record; done int := 0; until timestamptz := clock_timestamp() + time_limit;
BEGIN
    -- The sessions are there.
    FOR c IN SELECT a.place, a.name AS f, b.name AS g, t.name AS at
               FROM race.alone a JOIN race.calls x USING (place, name) JOIN race.calls b ON b.place = a.place
                    CROSS JOIN LATERAL (SELECT DISTINCT substring(l FROM '^(?:gone: )?([a-z_]+)\{') AS name FROM string_to_table(a.state, E'\n') AS l) AS t
              WHERE (everything OR x.typical OR b.typical) AND (names IS NULL OR a.name ~ names OR b.name ~ names) AND a.result NOT LIKE 'ERROR%' AND abs(hashtext(a.name || b.name || t.name)) % lanes = lane
              ORDER BY md5(seed || a.place || a.name || b.name || t.name) LOOP
        EXIT WHEN clock_timestamp() > until;
        IF done % 200 = 0 THEN PERFORM dblink_exec('restorer', 'VACUUM'); END IF;
        done := done + 1;
        INSERT INTO race.pauses SELECT * FROM race.meet_paused(c.place, c.f, c.g, c.at);
        COMMIT;
    END LOOP;
END $$;
