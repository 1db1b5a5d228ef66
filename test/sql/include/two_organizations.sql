-- Two organizations with people in every role, and helpers to act as them: \ir this at the top of a suite.
--
-- Suites run in autocommit: every statement is a transaction of its own, as it is for a client. Assertions are made
-- as the superuser, who is the system while no acting user is set; test.as_user runs a statement as an API client.

SELECT * FROM no_plan();

CREATE SCHEMA test;

-- Roles belong to the cluster, and suites run side by side.
DO $$
BEGIN
    CREATE ROLE kvcrm_test_client;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;
SELECT kvcrm.grant_api('kvcrm_test_client');
GRANT USAGE ON SCHEMA test TO kvcrm_test_client;

-- Ids by name, so that statements can be written down before the rows exist.
CREATE TABLE test.ids (name text PRIMARY KEY, id uuid NOT NULL);
GRANT SELECT ON test.ids TO kvcrm_test_client;

CREATE FUNCTION test.id(wanted text) RETURNS uuid STABLE LANGUAGE sql
    AS $$ SELECT i.id FROM test.ids i WHERE i.name = wanted $$;

CREATE FUNCTION test.keep(name text, id uuid) RETURNS void LANGUAGE sql
    AS $$ INSERT INTO test.ids VALUES (name, id) $$;

-- The n-th stage of an organization's pipeline, for those who may not see it too.
CREATE FUNCTION test.stage(organization text, n int) RETURNS uuid STABLE SECURITY DEFINER LANGUAGE sql
    AS $$ SELECT s.id FROM kvcrm.lead_stages s WHERE s.organization_id = test.id(organization)
           ORDER BY s.order_index, s.id OFFSET n - 1 LIMIT 1 $$;

-- Runs a statement as an API client with the claims of a user (a name of test.ids; null: nobody) and returns the
-- first column of its first row.
CREATE FUNCTION test.as_user(who text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM set_config('request.jwt.claims', json_build_object('sub', test.id(who), 'role', 'authenticated')::text, true);
    PERFORM set_config('role', 'kvcrm_test_client', true);
    EXECUTE statement INTO answer;
    PERFORM set_config('role', 'none', true);
    PERFORM set_config('request.jwt.claims', '', true);
    RETURN answer;
END
$$;

-- The same for a backend that connects as a superuser and names the user in a setting.
CREATE FUNCTION test.as_backend_of(who text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM set_config('kvcrm.user_id', test.id(who)::text, true);
    EXECUTE statement INTO answer;
    PERFORM set_config('kvcrm.user_id', '', true);
    RETURN answer;
END
$$;

-- What became of a statement: null, or the error. Its changes stay when it succeeds.
CREATE FUNCTION test.error_of(statement text, OUT code text, OUT message text, OUT detail text, OUT hint text,
                              OUT column_name text, OUT constraint_name text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
        hint = PG_EXCEPTION_HINT, column_name = COLUMN_NAME, constraint_name = CONSTRAINT_NAME;
END
$$;

-- How many rows every table of the extension has, and the newest transaction that wrote to it: equal before and after
-- means that nothing was written.
CREATE FUNCTION test.everything() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    name regclass;
    line text;
    answer text := '';
BEGIN
    FOR name IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'kvcrm'::regnamespace AND c.relkind = 'r'
                 ORDER BY c.relname LOOP
        EXECUTE format('SELECT concat_ws('' '', %L, count(*), max(xmin::text::bigint), sum(hashtext(t::text))) FROM %s t',
                       name, name) INTO line;
        answer := answer || line || E'\n';
    END LOOP;
    RETURN answer;
END
$$;

-- A body that PostgREST would be sent, as the column list and record definition of its statements.
CREATE FUNCTION test.columns_of(body jsonb, relation regclass DEFAULT 'kvcrm.leads', OUT names text, OUT definitions text,
                                OUT assignments text) LANGUAGE sql AS $$
    SELECT string_agg(format('%I', k), ', ' ORDER BY k),
           string_agg(format('%I %s', k, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY k),
           string_agg(format('%I = pgrst_body.%I', k, k), ', ' ORDER BY k)
      FROM jsonb_object_keys(body) AS k JOIN pg_attribute a ON a.attrelid = relation AND a.attname = k
$$;

-- POST /leads with return=representation: the new row as JSON.
CREATE FUNCTION test.post(who text, body jsonb, relation regclass DEFAULT 'kvcrm.leads') RETURNS jsonb LANGUAGE sql AS $$
    SELECT test.as_user(who, format(
        'WITH pgrst_source AS (INSERT INTO %1$s (%2$s) SELECT %2$s FROM (SELECT %4$L::json AS json_data) pgrst_payload,'
        ' LATERAL (SELECT %2$s FROM json_to_record(pgrst_payload.json_data) AS _(%3$s)) pgrst_body RETURNING %1$s.*)'
        ' SELECT json_agg(_postgrest_t)->0 FROM (SELECT * FROM pgrst_source) _postgrest_t',
        relation, c.names, c.definitions, body))::jsonb
      FROM test.columns_of(body, relation) c
$$;

-- PATCH /leads?id=eq...: the row as JSON, null when there was none to change.
CREATE FUNCTION test.patch(who text, id uuid, body jsonb, relation regclass DEFAULT 'kvcrm.leads') RETURNS jsonb LANGUAGE sql AS $$
    SELECT test.as_user(who, format(
        'WITH pgrst_source AS (UPDATE %1$s SET %2$s FROM (SELECT %3$L::json AS json_data) pgrst_payload,'
        ' LATERAL (SELECT %4$s FROM json_to_record(pgrst_payload.json_data) AS _(%5$s)) pgrst_body'
        ' WHERE %1$s.id = %6$L RETURNING %1$s.*)'
        ' SELECT json_agg(_postgrest_t)->0 FROM (SELECT * FROM pgrst_source) _postgrest_t',
        relation, c.assignments, body, c.names, c.definitions, id))::jsonb
      FROM test.columns_of(body, relation) c
$$;

GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA test TO kvcrm_test_client;

-- The people: a is where most tests happen, b is the other organization.
INSERT INTO test.ids
SELECT name, ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid
  FROM unnest(ARRAY['a', 'b', 'owner', 'admin', 'manager', 'rep', 'other_rep', 'suspended', 'owner_b', 'rep_b',
                    'stranger', 'unknown']) WITH ORDINALITY AS t (name, n);

DO $$
BEGIN
    PERFORM kvcrm.create_organization('Альфа', owner_id => test.id('owner'), owner_name => 'Ольга', organization_id => test.id('a'));
    PERFORM kvcrm.create_organization('Beta', 'en', owner_id => test.id('owner_b'), organization_id => test.id('b'));
    -- Most suites convert leads that are no more than a name.
    UPDATE kvcrm.organizations SET settings = '{"conversion_required": ["name"]}';
    PERFORM kvcrm.add_member(test.id('admin'), 'admin', 'Андрей', organization_id => test.id('a'));
    PERFORM kvcrm.add_member(test.id('manager'), 'sales_manager', 'Мария', organization_id => test.id('a'));
    PERFORM kvcrm.add_member(test.id('rep'), 'sales_team', 'Роман', organization_id => test.id('a'));
    PERFORM kvcrm.add_member(test.id('other_rep'), 'sales_team', 'Света', organization_id => test.id('a'));
    PERFORM kvcrm.add_member(test.id('suspended'), 'sales_team', organization_id => test.id('a'));
    PERFORM kvcrm.suspend_member(test.id('suspended'), organization_id => test.id('a'));
    PERFORM kvcrm.add_member(test.id('rep_b'), 'sales_team', organization_id => test.id('b'));
END
$$;
