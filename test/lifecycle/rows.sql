-- Rows in every table of the extension, in two organizations: for the lifecycle tests. psql variable api_role.

\set ON_ERROR_STOP 1
\set QUIET 1
SET client_min_messages = warning;

SELECT kvcrm.grant_api(:'api_role') \g /dev/null

CREATE TEMP TABLE ids (name text PRIMARY KEY, id uuid NOT NULL);
CREATE FUNCTION pg_temp.id(text) RETURNS uuid LANGUAGE sql STABLE AS 'SELECT i.id FROM pg_temp.ids i WHERE i.name = $1';
INSERT INTO ids SELECT n, gen_random_uuid() FROM unnest(ARRAY['owner', 'manager', 'rep', 'left']) AS n;
INSERT INTO ids SELECT 'ru', o.id FROM kvcrm.create_organization('Ромашка', owner_id => pg_temp.id('owner'), owner_name => 'Ольга') o;
INSERT INTO ids SELECT 'en', o.id FROM kvcrm.create_organization('Acme', 'en', 'US', pg_temp.id('owner')) o;

INSERT INTO kvcrm.roles (organization_id, slug, name, permissions)
    VALUES (pg_temp.id('ru'), 'analyst', 'Аналитик', '{leads:read_all,logs:read}');
WITH t AS (INSERT INTO kvcrm.teams (organization_id, name) VALUES (pg_temp.id('ru'), 'Север') RETURNING id)
INSERT INTO ids SELECT 'team', id FROM t;
INSERT INTO ids SELECT 'm1', m.id FROM kvcrm.add_member(pg_temp.id('manager'), 'sales_manager', 'Мария', 'maria@romashka.example', organization_id => pg_temp.id('ru')) m;
INSERT INTO ids SELECT 'm2', m.id FROM kvcrm.add_member(pg_temp.id('rep'), 'sales_team', 'Роман', team_id => pg_temp.id('team'), organization_id => pg_temp.id('ru')) m;
INSERT INTO ids SELECT 'm3', m.id FROM kvcrm.add_member(pg_temp.id('left'), 'analyst', organization_id => pg_temp.id('ru')) m;

INSERT INTO kvcrm.lead_sources (organization_id, slug, name) VALUES (pg_temp.id('ru'), 'expo-2024', 'Выставка');
INSERT INTO kvcrm.lead_stage_transitions (organization_id, from_stage_id, to_stage_id, required_fields)
    SELECT a.organization_id, a.id, b.id, CASE b.outcome WHEN 'won' THEN ARRAY['company', 'custom_fields.budget'] ELSE '{}' END
      FROM kvcrm.lead_stages a JOIN kvcrm.lead_stages b ON b.organization_id = a.organization_id AND b.id <> a.id
     WHERE a.organization_id = pg_temp.id('ru') AND b.order_index <> 1;

-- Texts with what COPY and SQL have to quote.
INSERT INTO kvcrm.leads (organization_id, name, email, phone, company, "position", inn, source, assigned_to, estimated_value, custom_fields)
    SELECT pg_temp.id('ru'), format(E'Лид %s\t\\N "кавычки" ''апострофы''', n), format('Lead%s+tag@Firm.example', n),
           CASE WHEN n % 3 = 0 THEN 'доб. ' || n ELSE format('8 (495) 100-%s-%s', 10 + n / 10, 10 + n % 10) END,
           CASE WHEN n % 2 = 0 THEN E'ООО «Фирма»\nстрока 2' END, 'директор', CASE WHEN n = 7 THEN '7707083893' END, 'expo-2024',
           CASE n % 4 WHEN 0 THEN pg_temp.id('rep') WHEN 1 THEN pg_temp.id('left') END, n * 1000.5, jsonb_build_object('budget', n, 'note', E'a\\b\n')
      FROM generate_series(1, 40) AS n;
INSERT INTO ids SELECT 'lead ' || row_number() OVER (ORDER BY l.id), l.id FROM kvcrm.leads l WHERE organization_id = pg_temp.id('ru');
INSERT INTO kvcrm.leads (organization_id, name, currency) VALUES (pg_temp.id('en'), 'John', 'EUR');

DO $$
DECLARE
    stage uuid := (SELECT id FROM kvcrm.lead_stages WHERE organization_id = pg_temp.id('ru') AND order_index = 2);
    lost uuid := (SELECT id FROM kvcrm.lead_stages WHERE organization_id = pg_temp.id('ru') AND outcome = 'lost');
    activity uuid;
BEGIN
    FOR n IN 1..8 LOOP
        PERFORM kvcrm.move_lead(pg_temp.id('lead ' || n), stage);
    END LOOP;
    PERFORM kvcrm.move_lead(pg_temp.id('lead 9'), lost, lost_reason => 'дорого');
    PERFORM kvcrm.qualify_lead(pg_temp.id('lead ' || n)) FROM unnest(ARRAY[5, 6, 7]) AS n;
    PERFORM kvcrm.delete_lead(pg_temp.id('lead 10'));
    SELECT a.id INTO activity FROM kvcrm.log_activity(pg_temp.id('lead 1'), 'call', 'Звонок', E'текст\n\\.', now(), pg_temp.id('manager')) a;
    PERFORM kvcrm.complete_activity(activity);
    PERFORM kvcrm.log_activity(pg_temp.id('lead ' || n), 'task', 'Задача', assigned_to => pg_temp.id('left')) FROM generate_series(1, 5) AS n;
    -- Quotes: of leads that are converted, or not, and of a customer; in every state.
    PERFORM kvcrm.create_quote_from_lead(pg_temp.id('lead ' || n), E'КП\t"' || n, n * 10.5) FROM generate_series(5, 8) AS n;
    INSERT INTO kvcrm.quotes (organization_id, lead_id, title, amount, currency, custom_fields) VALUES (pg_temp.id('ru'), pg_temp.id('lead 4'), 'Черновик', 1, 'EUR', '{"a": "\\b"}');
    INSERT INTO kvcrm.quotes (organization_id, customer_id, title, amount, number) SELECT organization_id, id, 'Прямо', 0, 'N ' || id FROM kvcrm.customers LIMIT 1;
    UPDATE kvcrm.quotes SET status = 'sent' WHERE amount > 10;
    UPDATE kvcrm.quotes SET status = CASE WHEN amount > 70 THEN 'accepted' ELSE 'rejected' END WHERE amount > 60;
    INSERT INTO kvcrm.customers (organization_id, name, phone, email) SELECT organization_id, 'Сосед', phone, email FROM kvcrm.customers WHERE phone LIKE '+%' LIMIT 1;
    PERFORM kvcrm.delete_lead(pg_temp.id('lead 5'));
    PERFORM kvcrm.suspend_member(pg_temp.id('left'), pg_temp.id('rep'), pg_temp.id('ru'));
END
$$;

-- Messages, one of a new sender; and a row that a crash of rules to come might leave.
SELECT kvcrm.ingest_email(convert_to(E'From: Письмо <letter@firm.example>\nMessage-ID: <1@firm.example>\nSubject: Тема\n\nтекст\n\n> цитата', 'UTF8'), pg_temp.id('ru')) \g /dev/null
SELECT kvcrm.ingest_email(convert_to(E'From: Письмо <letter@firm.example>\n\nбез номера', 'UTF8'), pg_temp.id('ru')) \g /dev/null
INSERT INTO kvcrm.email_senders (organization_id, address_hash) VALUES (pg_temp.id('ru'), '\x00');

-- What a user wrote, so that created_by and actor_id are filled.
BEGIN;
SELECT set_config('kvcrm.user_id', pg_temp.id('rep')::text, true) \g /dev/null
SELECT kvcrm.create_lead('Свой', 'own@firm.example', company => 'Свои') \g /dev/null
UPDATE kvcrm.leads SET phone = '+7 916 123-45-67' WHERE name = 'Свой';
COMMIT;
-- An invitation that a user sent.
BEGIN;
SELECT set_config('kvcrm.user_id', pg_temp.id('owner')::text, true) \g /dev/null
SELECT kvcrm.add_member(gen_random_uuid(), 'sales_team', organization_id => pg_temp.id('ru')) \g /dev/null
COMMIT;
-- Fields, of which some leads have values that were there before.
INSERT INTO kvcrm.custom_field_definitions (organization_id, entity, key, type, required, required_from_stage_id, options)
    SELECT s.organization_id, 'lead', d.key, d.type, d.key = 'budget', CASE WHEN d.key = 'budget' THEN s.id END, d.options
      FROM (VALUES ('budget', 'number', '{}'::text[]), ('region', 'select', ARRAY['север', E'"ю\\г"'])) AS d (key, type, options), kvcrm.lead_stages s
     WHERE s.organization_id = pg_temp.id('ru') AND s.order_index = 3;
-- Scores, all of them by these rules.
INSERT INTO kvcrm.scoring_rules (organization_id, field, operator, value, points) VALUES
    (pg_temp.id('ru'), 'custom_fields.budget', 'gt', '20', 30), (pg_temp.id('ru'), 'activities.count', 'exists', 'true', 5), (pg_temp.id('ru'), 'created_at', 'older_than', '"90 days"', -10);
SELECT kvcrm.rescore_leads(1000, pg_temp.id('ru')) \g /dev/null
SELECT kvcrm.rescore_leads(1000, pg_temp.id('ru')) \g /dev/null
-- Turns, and rules that are turned on.
INSERT INTO kvcrm.assignment_rules (organization_id, field, operator, value, team_id) VALUES (pg_temp.id('ru'), 'company_domain', 'exists', 'true', pg_temp.id('team'));
SELECT kvcrm.assign_next(pg_temp.id('lead 13')) \g /dev/null
-- Leads that were merged, and a merge that was undone.
DO $$
DECLARE
    leads uuid[] := ARRAY(SELECT l.id FROM generate_series(1, 4) AS i, LATERAL kvcrm.create_lead('Merged ' || i, 'merged' || i || '@firm.example', on_duplicate => 'allow', organization_id => pg_temp.id('ru')) l ORDER BY i);
BEGIN
    PERFORM kvcrm.log_activity(leads[2], 'note', 'Moves along');
    PERFORM kvcrm.merge_leads(leads[1], leads[2:2]);
    PERFORM kvcrm.merge_leads(leads[3], leads[4:4]);
    PERFORM kvcrm.undo_merge(m.id) FROM kvcrm.lead_merges m WHERE m.survivor_id = leads[3];
END
$$;
-- An import of a lead that is new and one that is not.
SELECT FROM kvcrm.import_leads(jsonb_build_array(jsonb_build_object('name', E'Импорт\t"1"'), jsonb_build_object('name', 'x', 'email', 'merged3@firm.example')), 'update', organization_id => pg_temp.id('ru'));
-- A scan, and a model as training leaves it.
SELECT FROM kvcrm.scan_duplicates(organization_id => pg_temp.id('ru'));
INSERT INTO kvcrm.match_models (organization_id, prior, weights, duplicates, others, diagnostics)
    VALUES (pg_temp.id('ru'), -13.25, '{"name": {"exact": 12.125}, "smell": {"exact": 1}}', 30, 20, '{"duplicates": 30, "others": 20}');
-- A reader of the feed; it may wait for others who write in this cluster.
INSERT INTO kvcrm.feed_consumers (organization_id, name, feed_epoch, tx, event_id)
SELECT organization_id, 'webhook', feed_epoch, tx, id FROM kvcrm.activity_logs WHERE organization_id = pg_temp.id('ru') ORDER BY tx, id LIMIT 1 OFFSET 5;
-- The organization then blocks duplicates.
UPDATE kvcrm.organizations SET duplicate_policy = 'block', settings = '{"inn_check": false}' WHERE id = pg_temp.id('ru');
-- What the triggers would refuse or change today, as rows of an older version might be.
SET session_replication_role = replica;
UPDATE kvcrm.leads SET merged_into_id = pg_temp.id('lead 3'), email = ' not an address ', updated_at = '2001-02-03', version = 99
 WHERE id = pg_temp.id('lead 12');
-- Entries of another cluster, where this organization once was.
UPDATE kvcrm.feed_epochs SET epoch = 4 WHERE organization_id = pg_temp.id('ru');
UPDATE kvcrm.activity_logs SET tx = '4000000000', feed_epoch = 3 WHERE entity_id = pg_temp.id('lead 3');
RESET session_replication_role;
