-- What the planner chooses while tables have no statistics yet: a session that loads the first leads keeps such
-- plans, and so does the foreign key check.
BEGIN;
SELECT plan(2);

CREATE TEMP TABLE home AS SELECT id FROM kvcrm.create_organization('Plans', owner_id => gen_random_uuid());
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
SELECT * FROM finish();
ROLLBACK;
