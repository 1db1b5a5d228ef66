-- What the planner chooses while tables have no statistics yet: a session that loads the first leads keeps such
-- plans, and so does the foreign key check.
BEGIN;
SELECT * FROM no_plan();

CREATE TEMP TABLE home AS SELECT id FROM kvcrm.create_organization('Plans', owner_id => gen_random_uuid());
-- The session plans its statements while there is next to nothing, as statistics say too, and keeps the plans.
ANALYZE kvcrm.lead_fingerprints, kvcrm.customer_fingerprints;
SELECT set_config('kvcrm.organization_id', id::text, true) FROM home;
SELECT count(*) FROM kvcrm.check_duplicates('{"name": "Anna Person1", "company": "Firm 1"}');
SELECT kvcrm.qualify_lead(id) IS NOT NULL FROM kvcrm.create_lead('Early Bird', 'e@bird.example', company => 'Bird', on_duplicate => 'block');
INSERT INTO kvcrm.leads (organization_id, name) SELECT id, 'Lead' FROM home, generate_series(1, 300);
INSERT INTO kvcrm.customers (organization_id, name) SELECT id, 'Customer' FROM home, generate_series(1, 300);

CREATE FUNCTION pg_temp.index_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE tree json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || statement INTO tree;
    RETURN jsonb_path_query_first(tree::jsonb, '$.**."Index Name"') #>> '{}';
END $$;

SELECT is(pg_temp.index_of('SELECT 1 FROM ONLY kvcrm.leads x WHERE id = ''00000000-0000-7000-8000-000000000001'''
                           ' AND organization_id = ''00000000-0000-7000-8000-000000000001'' FOR KEY SHARE OF x'),
          'leads_pkey', 'a lead is looked up by its key, without statistics too');
SELECT is(pg_temp.index_of('SELECT 1 FROM ONLY kvcrm.customers x WHERE id = ''00000000-0000-7000-8000-000000000001'''
                           ' AND organization_id = ''00000000-0000-7000-8000-000000000001'' FOR KEY SHARE OF x'),
          'customers_pkey', 'a customer is looked up by its key, without statistics too');

-- What the functions read of leads, fingerprints and customers, in rows, in an organization of 2 000 alike leads.
INSERT INTO kvcrm.leads (organization_id, name, email, phone, company)
SELECT id, 'Anna Person' || n, 'p' || n || '@firm' || n % 500 || '.example', '+7916' || lpad(n::text, 7, '0'), 'Firm ' || n % 500 FROM home, generate_series(1, 2000) AS n;
INSERT INTO kvcrm.customers (organization_id, name, email, company)
SELECT id, 'Carl Customer' || n, 'c' || n || '@firm' || n % 500 || '.example', 'Firm ' || n % 500 FROM home, generate_series(1, 2000) AS n;
CREATE FUNCTION pg_temp.rows_read(statement text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE before bigint := (SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables WHERE relname IN ('leads', 'lead_fingerprints', 'lead_field_keys', 'customers', 'customer_fingerprints'));
BEGIN
    EXECUTE statement;
    RETURN (SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables WHERE relname IN ('leads', 'lead_fingerprints', 'lead_field_keys', 'customers', 'customer_fingerprints')) - before;
END $$;
CREATE TEMP TABLE lead AS SELECT id FROM kvcrm.leads WHERE name = 'Anna Person7';
CREATE TEMP TABLE other AS SELECT id FROM kvcrm.leads WHERE name = 'Anna Person507';
SELECT cmp_ok(pg_temp.rows_read(statement), '<', 1000::bigint, 'reads little: ' || statement)
  FROM unnest(ARRAY['SELECT kvcrm.create_lead(''Anna Person8'', ''p8@firm8.example'')', 'SELECT kvcrm.create_lead(''Nobody'', ''n@n.example'', ''+79990000000'', on_duplicate => ''block'')',
    'SELECT * FROM kvcrm.find_duplicates((SELECT id FROM lead))', 'SELECT * FROM kvcrm.check_duplicates(''{"name": "Anna Person9", "email": "p9@firm9.example"}'')',
    'SELECT kvcrm.explain_match((SELECT id FROM lead), (SELECT id FROM other))', 'SELECT kvcrm.lead_page((SELECT id FROM lead))',
    'SELECT kvcrm.dismiss_duplicate((SELECT id FROM lead), (SELECT id FROM other))', 'SELECT kvcrm.qualify_lead((SELECT id FROM lead))']) AS statement;

-- Rare values of custom fields, among many.
INSERT INTO kvcrm.leads (organization_id, name, custom_fields, created_at)
SELECT id, 'Bulk', jsonb_build_object('serial', n, 'region', n % 3), '2026-01-01'::timestamptz + n * interval '1 second' FROM home, generate_series(1, 15000) AS n;
ANALYZE kvcrm.leads, kvcrm.lead_field_keys;
SELECT cmp_ok(pg_temp.rows_read(statement), '<', 1000::bigint, 'reads little: ' || statement)
  FROM unnest(ARRAY['SELECT * FROM kvcrm.list_leads(custom_fields => ''{"serial": 77}'')', 'SELECT * FROM kvcrm.list_leads(custom_fields => ''{"serial": 78, "region": 0}'', sort => ''value'')',
    'SELECT * FROM kvcrm.list_leads(custom_fields => ''{"serial": -1}'')', 'SELECT kvcrm.count_leads(custom_fields => ''{"serial": 79}'')']) AS statement;
SELECT * FROM finish();
ROLLBACK;
