-- Run by hostile.sh after hostile.sql, which searches what this is told for the word that marks rows of others. A representative of
-- north, as an API role with SQL of its own, turns on every message that a client may turn on.
SET client_min_messages = error;
INSERT INTO kvcrm.leads (organization_id, id, name, email, phone, company, inn, assigned_to, custom_fields)
SELECT t.id(organization), t.id('hidden ' || organization || n), 'zSecret Person ' || n, 'zsecret' || n || '@zsecret.example', '+7495100200' || n, 'zSecret', '7707083893', t.id(assignee), '{}'
  FROM (VALUES ('north', 'mate'), ('south', 'south_rep')) AS o (organization, assignee), generate_series(1, 3) AS n;
INSERT INTO kvcrm.lead_activities (organization_id, lead_id, type, title) SELECT organization_id, id, 'note', 'zSecret' FROM kvcrm.leads WHERE name LIKE 'zSecret%';
SELECT kvcrm.merge_leads(t.id('hidden north1'), ARRAY[t.id('hidden north2')]) \g /dev/null
UPDATE kvcrm.organizations SET duplicate_policy = 'block' WHERE id = t.id('north');
\connect - kvcrm_hostile_api
\set VERBOSITY verbose
\set SHOW_CONTEXT always
SELECT set_config('request.jwt.claims', json_build_object('sub', t.id('rep'))::text, false) \g /dev/null
SELECT id FROM kvcrm.create_lead('Own', company => 'Own', on_duplicate => 'allow') \gset
SET client_min_messages = debug5;
-- Plans of the functions' own statements, with values of what they were made for.
SET debug_print_parse = on;
SET debug_print_plan = on;
SELECT kvcrm.lead_page(t.id('hidden north1'));
SELECT kvcrm.lead_page(t.id('hidden south1'));
SELECT kvcrm.move_lead(t.id('hidden north1'), t.id('x'));
SELECT kvcrm.merge_leads(:'id', ARRAY[t.id('hidden north1')]);
SELECT * FROM kvcrm.find_duplicates(:'id', 0);
SELECT * FROM kvcrm.check_duplicates(jsonb_build_object('name', 'Z S Person', 'company', 'zS', 'inn', '7707083893', 'phone', '+74951002001'), 0);
SELECT kvcrm.create_lead('Other', phone => '+74951002001');
UPDATE kvcrm.leads SET phone = '+74951002001' WHERE id = :'id';
UPDATE kvcrm.leads SET inn = '7707083893' WHERE id = :'id';
SELECT kvcrm.qualify_lead(:'id', on_match => 'error');
SELECT kvcrm.qualify_lead(:'id', on_match => 'link');
SELECT kvcrm.preview_conversion(:'id');
SELECT * FROM kvcrm.import_leads('[{"name": "Other", "phone": "+74951002001"}, {"name": "Third", "inn": "7707083893"}]', 'block');
SELECT * FROM kvcrm.bulk_qualify(ARRAY[t.id('hidden north1'), t.id('hidden south1')]);
SELECT kvcrm.log_activity(t.id('hidden south1'), 'note', 'x');
SELECT kvcrm.ingest_email(convert_to(E'From: a@b.example\nSubject: x\n\nx', 'UTF8'));
SELECT count(*) FROM kvcrm.list_leads('person');
SELECT count(*) FROM kvcrm.leads;
SELECT kvcrm.crm_overview() IS NOT NULL;
SELECT count(*) FROM kvcrm.pipeline_board();
DELETE FROM kvcrm.leads WHERE id = t.id('hidden north1');
INSERT INTO kvcrm.leads (organization_id, id, name) VALUES (t.id('north'), t.id('hidden north1'), 'Taken');
INSERT INTO kvcrm.leads (organization_id, name, merged_into_id) VALUES (t.id('north'), 'Merged', t.id('hidden north1'));
INSERT INTO kvcrm.lead_activities (organization_id, lead_id, type, title) VALUES (t.id('north'), t.id('hidden north1'), 'note', 'x');
UPDATE kvcrm.customers SET name = 'x' WHERE inn = '7707083893';
