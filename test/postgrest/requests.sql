-- What PostgREST 14 sends for requests to kvcrm, as its log shows it: a transaction, one set_config, one prepared
-- statement. Assertions are made after the transaction, as superuser.

\set QUIET 1
\pset format unaligned
\pset tuples_only on

SELECT * FROM no_plan();

-- Roles belong to the cluster.
DO $$
BEGIN
    CREATE ROLE kvcrm_postgrest;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;
DO $$
BEGIN
    CREATE ROLE kvcrm_postgrest_anon;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;
SELECT kvcrm.grant_api('kvcrm_postgrest');

CREATE TABLE ids (name text PRIMARY KEY, id uuid NOT NULL);
INSERT INTO ids SELECT n, gen_random_uuid() FROM unnest(ARRAY['owner', 'manager', 'rep', 'stranger']) AS n;
CREATE FUNCTION id(text) RETURNS uuid STABLE LANGUAGE sql AS 'SELECT i.id FROM public.ids i WHERE i.name = $1';
INSERT INTO ids SELECT 'org', o.id FROM kvcrm.create_organization('Acme', 'en', 'US', id('owner')) o;
INSERT INTO ids SELECT 'other', o.id FROM kvcrm.create_organization('Other', 'en', 'US', id('stranger')) o;
INSERT INTO ids SELECT 'm1', m.id FROM kvcrm.add_member(id('manager'), 'sales_manager', organization_id => id('org')) m;
INSERT INTO ids SELECT 'm2', m.id FROM kvcrm.add_member(id('rep'), 'sales_team', organization_id => id('org')) m;
INSERT INTO ids SELECT lower(s.name), s.id FROM kvcrm.lead_stages s WHERE s.organization_id = id('org');
INSERT INTO ids SELECT 'ann', l.id FROM kvcrm.create_lead('Ann', 'ann@firm.example', assigned_to => id('rep'), organization_id => id('org')) l;
INSERT INTO ids SELECT 'bob', l.id FROM kvcrm.create_lead('Bob', organization_id => id('org')) l;
INSERT INTO ids SELECT 'carol', l.id FROM kvcrm.create_lead('Carol', stage_id => id('contacted'), organization_id => id('org')) l;
INSERT INTO ids SELECT 'foreign', l.id FROM kvcrm.create_lead('Foreign', organization_id => id('other')) l;
INSERT INTO ids SELECT 'call', a.id FROM kvcrm.log_activity(id('ann'), 'call', 'Called') a;
SELECT id('owner') AS owner, id('manager') AS manager, id('rep') AS rep, id('stranger') AS stranger, id('org') AS org, id('ann') AS ann,
       id('bob') AS bob, id('carol') AS carol, id('foreign') AS foreign_lead, id('other') AS other, id('contacted') AS contacted, id('qualified') AS qualified,
       gen_random_uuid() AS nothing \gset

-- The HTTP status PostgREST gives an error.
CREATE FUNCTION status_of(state text) RETURNS int IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE
        WHEN state LIKE 'PT___' THEN substr(state, 3)::int
        WHEN state LIKE '08%' THEN 503 WHEN state LIKE '09%' THEN 500 WHEN state LIKE '0L%' OR state LIKE '0P%' THEN 403
        WHEN state IN ('23503', '23505') THEN 409 WHEN state = '25006' THEN 405 WHEN state LIKE '25%' THEN 500
        WHEN state LIKE '28%' OR state = '42501' THEN 403 WHEN state LIKE '2D%' THEN 500
        WHEN state LIKE '38%' OR state LIKE '39%' OR state LIKE '3B%' OR state LIKE '40%' THEN 500
        WHEN state = '53400' THEN 500 WHEN state LIKE '53%' THEN 503
        WHEN state LIKE '54%' OR state LIKE '55%' OR state LIKE '57%' OR state LIKE '58%' THEN 500
        WHEN state LIKE 'F0%' OR state LIKE 'HV%' OR state LIKE 'XX%' OR state = '42P17' THEN 500
        WHEN state = 'P0001' THEN 400 WHEN state LIKE 'P0%' THEN 500
        WHEN state IN ('42883', '42P01') THEN 404
        ELSE 400 END
$$;

-- Prepares and executes a request's statement as the caller: what reads or writes, inside the frame that PostgREST gives
-- this kind of request. Types are those of the parameters, unknown where PostgREST leaves them to the server. An error
-- comes back as PostgREST answers it.
CREATE FUNCTION send(kind text, source text, types text, VARIADIC parameters text[])
    RETURNS TABLE (status int, body text, rows bigint, total text, inserted text) LANGUAGE plpgsql AS $$
DECLARE
    total_result_set text := CASE kind WHEN 'count' THEN '(SELECT pg_catalog.count(*) FROM pgrst_source_count)'
        WHEN 'written' THEN '''''' WHEN 'minimal' THEN '''''' WHEN 'upserted' THEN '''''' ELSE 'null::bigint' END;
    page_total text := CASE kind WHEN 'single' THEN '1' WHEN 'scalar' THEN '1' WHEN 'text/csv' THEN '1' ELSE 'pg_catalog.count(_postgrest_t)' END;
    json text := CASE kind WHEN 'minimal' THEN '''''::text' WHEN 'single' THEN 'coalesce(json_agg(_postgrest_t)->0, ''null'')'
        WHEN 'scalar' THEN 'coalesce(json_agg(_postgrest_t.pgrst_scalar)->0, ''null'')'
        -- By the domain that the function returns; by itself, of a list.
        WHEN 'text/csv' THEN '"kvcrm"."text/csv"(_postgrest_t.pgrst_scalar)' ELSE 'coalesce(json_agg(_postgrest_t), ''[]'')' END;
    response_inserted text := CASE kind WHEN 'upserted' THEN 'nullif(current_setting(''pgrst.inserted'', true),'''')::int' ELSE '''''' END;
    header text; headers text; code text;
    state text; message text; detail text; hint text;
BEGIN
    EXECUTE format('PREPARE request (%s) AS WITH pgrst_source AS (%s) SELECT %s AS total_result_set, %s AS page_total, array[]::text[] AS header,'
        ' %s AS body, nullif(current_setting(''response.headers'', true), '''') AS response_headers,'
        ' nullif(current_setting(''response.status'', true), '''') AS response_status, %s AS response_inserted'
        ' FROM (SELECT * FROM pgrst_source) _postgrest_t', types, source, total_result_set, page_total, json, response_inserted);
    EXECUTE 'EXECUTE request (' || (SELECT string_agg(quote_nullable(p), ', ') FROM unnest(parameters) AS p) || ')'
        INTO total, rows, header, body, headers, code, inserted;
    DEALLOCATE request;
    status := 200; total := coalesce(total, ''); inserted := coalesce(inserted, '');
    RETURN NEXT;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    IF EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE name = 'request') THEN DEALLOCATE request; END IF;
    status := public.status_of(state);
    body := json_build_object('code', state, 'message', message, 'details', nullif(detail, ''), 'hint', nullif(hint, ''));
    rows := 0; total := ''; inserted := '';
    RETURN NEXT;
END
$$;

-- How a request begins, to be expanded where it does: GET and STABLE functions read only.
\set context 'SELECT set_config(''search_path'', ''"kvcrm", "public"'', true), set_config(''role'', :''role'', true), set_config(''request.jwt.claims'', :''claims'', true), set_config(''request.method'', ''GET'', true), set_config(''request.path'', ''/'', true), set_config(''request.headers'', ''{"host":"127.0.0.1:3000","accept":"*/*"}'', true), set_config(''request.cookies'', ''{}'', true);'
\set reading 'BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; :context'
\set writing 'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; :context'

\set role kvcrm_postgrest
SELECT json_build_object('exp', 4000000000, 'role', 'authenticated', 'sub', :'manager')::text AS as_manager,
       json_build_object('exp', 4000000000, 'role', 'authenticated', 'sub', :'rep')::text AS as_rep,
       json_build_object('exp', 4000000000, 'role', 'authenticated', 'sub', :'owner')::text AS as_owner,
       json_build_object('exp', 4000000000, 'role', 'authenticated', 'sub', :'stranger')::text AS as_stranger \gset

-- --- GET ---

\set claims :as_manager

-- GET /leads?select=name,status&status=eq.new&order=name.desc&limit=5
:reading
SELECT * FROM send('list', $q$ SELECT "kvcrm"."leads"."name", "kvcrm"."leads"."status" FROM "kvcrm"."leads" WHERE  "kvcrm"."leads"."status" = $1  ORDER BY "kvcrm"."leads"."name" DESC  LIMIT $2 OFFSET $3 $q$,
    'unknown, unknown, unknown', 'new', '5', '0') \gset
COMMIT;
SELECT is(:'body'::jsonb, '[{"name": "Bob", "status": "new"}, {"name": "Ann", "status": "new"}]', 'GET with filter, order and limit');

-- GET /leads?select=name&id=eq.<id>
:reading
SELECT * FROM send('list', $q$ SELECT "kvcrm"."leads"."name" FROM "kvcrm"."leads" WHERE  "kvcrm"."leads"."id" = $1 $q$,
    'unknown', :'ann') \gset
COMMIT;
SELECT is(:'body'::jsonb, '[{"name": "Ann"}]', 'GET by id');

-- GET /leads?id=eq.<id of another organization>
:reading
SELECT * FROM send('list', $q$ SELECT "kvcrm"."leads".* FROM "kvcrm"."leads" WHERE  "kvcrm"."leads"."id" = $1 $q$,
    'unknown', :'foreign_lead') \gset
COMMIT;
SELECT is(:'body'::jsonb, '[]', 'GET of another organization''s lead: nothing');

-- GET /leads?id=eq.nonsense
:reading
SELECT * FROM send('list', $q$ SELECT "kvcrm"."leads".* FROM "kvcrm"."leads" WHERE  "kvcrm"."leads"."id" = $1 $q$,
    'unknown', 'nonsense') \gset
COMMIT;
SELECT is(:'status'::int, 400, 'GET by what is no id: status');
SELECT is((:'body'::json->>'code') || ': ' || (:'body'::json->>'message'), '22P02: invalid input syntax for type uuid: "nonsense"', 'and why');

-- GET /lead_stages?select=name,leads(name)&name=eq.New lead
:reading
SELECT * FROM send('list', $q$ SELECT "kvcrm"."lead_stages"."name", COALESCE( "lead_stages_leads_1"."lead_stages_leads_1", '[]') AS "leads" FROM "kvcrm"."lead_stages" LEFT JOIN LATERAL ( SELECT json_agg("lead_stages_leads_1")::jsonb AS "lead_stages_leads_1" FROM (SELECT "leads_1"."name" FROM "kvcrm"."leads" AS "leads_1" WHERE "leads_1"."stage_id" = "kvcrm"."lead_stages"."id" AND "leads_1"."organization_id" = "kvcrm"."lead_stages"."organization_id"  ORDER BY "leads_1"."name" ASC  ) AS "lead_stages_leads_1" ) AS "lead_stages_leads_1" ON TRUE WHERE  "kvcrm"."lead_stages"."name" = $1 $q$,
    'unknown', 'New lead') \gset
COMMIT;
SELECT is(:'body'::jsonb, '[{"name": "New lead", "leads": [{"name": "Ann"}, {"name": "Bob"}]}]', 'GET embeds many through the foreign key');

-- GET /lead_activities?select=title,leads(name,lead_stages(name))
:reading
SELECT * FROM send('list', $q$ SELECT "kvcrm"."lead_activities"."title", row_to_json("lead_activities_leads_1".*)::jsonb AS "leads" FROM "kvcrm"."lead_activities" LEFT JOIN LATERAL ( SELECT "leads_1"."name", row_to_json("leads_lead_stages_2".*)::jsonb AS "lead_stages" FROM "kvcrm"."leads" AS "leads_1" LEFT JOIN LATERAL ( SELECT "lead_stages_2"."name" FROM "kvcrm"."lead_stages" AS "lead_stages_2" WHERE "lead_stages_2"."id" = "leads_1"."stage_id" AND "lead_stages_2"."organization_id" = "leads_1"."organization_id"    ) AS "leads_lead_stages_2" ON TRUE WHERE "leads_1"."id" = "kvcrm"."lead_activities"."lead_id" AND "leads_1"."organization_id" = "kvcrm"."lead_activities"."organization_id"    ) AS "lead_activities_leads_1" ON TRUE WHERE "kvcrm"."lead_activities"."title" = $1 $q$,
    'unknown', 'Called') \gset
COMMIT;
SELECT is(:'body'::jsonb, '[{"title": "Called", "leads": {"name": "Ann", "lead_stages": {"name": "New lead"}}}]', 'GET embeds one, and one of that one');

-- GET /leads?limit=1 with Prefer: count=exact
:reading
SELECT * FROM send('count', $q$ SELECT "kvcrm"."leads".* FROM "kvcrm"."leads"   LIMIT $1 OFFSET $2 ) , pgrst_source_count AS (SELECT 1  FROM "kvcrm"."leads"$q$,
    'unknown, unknown', '1', '0') \gset
COMMIT;
SELECT is(:'total' || ' ' || :'rows', '3 1', 'GET counts what the user sees');

\set claims :as_rep

-- The same as a rep
:reading
SELECT * FROM send('count', $q$ SELECT "kvcrm"."leads".* FROM "kvcrm"."leads"   LIMIT $1 OFFSET $2 ) , pgrst_source_count AS (SELECT 1  FROM "kvcrm"."leads"$q$,
    'unknown, unknown', '5', '0') \gset
COMMIT;
SELECT is(:'total' || ' ' || :'rows', '1 1', 'a rep counts their own');

-- GET /lead_fingerprints
:reading
SELECT * FROM send('list', $q$ SELECT "kvcrm"."lead_fingerprints".* FROM "kvcrm"."lead_fingerprints" LIMIT $1 $q$,
    'unknown', '1') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'GET of lead_fingerprints, which is not for clients: status');

-- GET /customer_identities
:reading
SELECT * FROM send('list', $q$ SELECT "kvcrm"."customer_identities".* FROM "kvcrm"."customer_identities" LIMIT $1 $q$,
    'unknown', '1') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'GET of customer_identities, which is not for clients: status');

-- GET /lead_conversions
:reading
SELECT * FROM send('list', $q$ SELECT "kvcrm"."lead_conversions".* FROM "kvcrm"."lead_conversions" LIMIT $1 $q$,
    'unknown', '1') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'GET of lead_conversions, which is not for clients: status');

-- GET /lead_stage_counts
:reading
SELECT * FROM send('list', $q$ SELECT "kvcrm"."lead_stage_counts".* FROM "kvcrm"."lead_stage_counts" LIMIT $1 $q$,
    'unknown', '1') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'GET of lead_stage_counts, which is not for clients: status');

-- GET /api_roles
:reading
SELECT * FROM send('list', $q$ SELECT "kvcrm"."api_roles".* FROM "kvcrm"."api_roles" LIMIT $1 $q$,
    'unknown', '1') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'GET of api_roles, which is not for clients: status');

\set role kvcrm_postgrest_anon
\set claims '{"role":"anon"}'

-- GET /leads without a token
:reading
SELECT * FROM send('list', $q$ SELECT "kvcrm"."leads".* FROM "kvcrm"."leads" LIMIT $1 $q$,
    'unknown', '1') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'GET as a role without the API: status');
SELECT is((:'body'::json->>'code') || ': ' || (:'body'::json->>'message'), '42501: permission denied for schema kvcrm', 'and why');

\set role kvcrm_postgrest

-- GET /leads with a token that names nobody
:reading
SELECT * FROM send('list', $q$ SELECT "kvcrm"."leads".* FROM "kvcrm"."leads" LIMIT $1 $q$,
    'unknown', '1') \gset
COMMIT;
SELECT is(:'body'::jsonb, '[]', 'GET without sub: nothing');

\set claims '{"sub":"alice"}'

-- GET /leads with a sub that is no UUID
:reading
SELECT * FROM send('list', $q$ SELECT "kvcrm"."leads".* FROM "kvcrm"."leads" LIMIT $1 $q$,
    'unknown', '1') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'GET with a sub that is no UUID: status');
SELECT is((:'body'::json->>'code') || ': ' || (:'body'::json->>'message'), '28000: claim sub is not a UUID', 'and why');

-- --- POST ---

\set claims :as_manager

-- POST /leads with Prefer: return=minimal
:writing
SELECT * FROM send('minimal', $q$INSERT INTO "kvcrm"."leads"("name", "email") SELECT "pgrst_body"."name", "pgrst_body"."email" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "name", "email" FROM json_to_record(pgrst_payload.json_data) AS _("name" text, "email" text) ) pgrst_body RETURNING 1$q$,
    'json', '{"name":" Dave ","email":"Dave+x@Firm.example"}') \gset
COMMIT;
SELECT is(:'status'::int, 200, 'POST minimal: status');
SELECT is((SELECT concat_ws(' ', name, email_normalized, status, organization_id = :'org', created_by = :'manager', version) FROM kvcrm.leads WHERE name = 'Dave'), 'Dave dave@firm.example new t t 1', 'POST minimal: the lead is there, with its defaults');

\set claims :as_rep

-- POST /leads with Prefer: return=representation
:writing
SELECT * FROM send('written', $q$INSERT INTO "kvcrm"."leads"("name", "phone") SELECT "pgrst_body"."name", "pgrst_body"."phone" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "name", "phone" FROM json_to_record(pgrst_payload.json_data) AS _("name" text, "phone" text) ) pgrst_body RETURNING "kvcrm"."leads".*$q$,
    'json', '{"name":"Eve","phone":"(202) 456-1111"}') \gset
COMMIT;
SELECT is((SELECT concat_ws(' ', l->>'name', l->>'phone', l->>'status', l->>'assigned_to' = :'rep') FROM json_array_elements(:'body'::json) AS l), 'Eve +12024561111 new t', 'POST representation: as the triggers have made it');

-- POST /leads of several
:writing
SELECT * FROM send('minimal', $q$INSERT INTO "kvcrm"."leads"("name", "estimated_value") SELECT "pgrst_body"."name", "pgrst_body"."estimated_value" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "name", "estimated_value" FROM json_to_recordset(pgrst_payload.json_data) AS _("name" text, "estimated_value" numeric) ) pgrst_body RETURNING 1$q$,
    'json', '[{"name":"F1","estimated_value":1.5},{"name":"F2"}]') \gset
COMMIT;
SELECT is((SELECT string_agg(concat_ws(' ', name, estimated_value), ', ' ORDER BY name) FROM kvcrm.leads WHERE name LIKE 'F_'), 'F1 1.50, F2', 'POST of several');

-- POST /leads for somebody else
:writing
SELECT * FROM send('minimal', $q$INSERT INTO "kvcrm"."leads"("name", "assigned_to") SELECT "pgrst_body"."name", "pgrst_body"."assigned_to" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "name", "assigned_to" FROM json_to_record(pgrst_payload.json_data) AS _("name" text, "assigned_to" uuid) ) pgrst_body RETURNING 1$q$,
    'json', json_build_object('name', 'G', 'assigned_to', :'manager')::text) \gset
COMMIT;
SELECT is(:'status'::int, 403, 'POST of a lead for somebody else, as a rep: status');

-- POST /leads into another organization
:writing
SELECT * FROM send('minimal', $q$INSERT INTO "kvcrm"."leads"("name", "organization_id") SELECT "pgrst_body"."name", "pgrst_body"."organization_id" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "name", "organization_id" FROM json_to_record(pgrst_payload.json_data) AS _("name" text, "organization_id" uuid) ) pgrst_body RETURNING 1$q$,
    'json', json_build_object('name', 'G', 'organization_id', :'other')::text) \gset
COMMIT;
SELECT is(:'status'::int, 403, 'POST into another organization: status');

-- POST /leads without a name
:writing
SELECT * FROM send('minimal', $q$INSERT INTO "kvcrm"."leads"("email") SELECT "pgrst_body"."email" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "email" FROM json_to_record(pgrst_payload.json_data) AS _("email" text) ) pgrst_body RETURNING 1$q$,
    'json', '{"email":"g@firm.example"}') \gset
COMMIT;
SELECT is(:'status'::int, 400, 'POST without a name: status');
SELECT is((:'body'::json->>'code') || ': ' || (:'body'::json->>'message'), '23514: lead name is required', 'and why');

-- POST /leads with a wrong INN
:writing
SELECT * FROM send('minimal', $q$INSERT INTO "kvcrm"."leads"("name", "inn") SELECT "pgrst_body"."name", "pgrst_body"."inn" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "name", "inn" FROM json_to_record(pgrst_payload.json_data) AS _("name" text, "inn" text) ) pgrst_body RETURNING 1$q$,
    'json', '{"name":"G","inn":"7707083894"}') \gset
COMMIT;
SELECT is(:'status'::int, 400, 'POST with a wrong INN: status');
SELECT is((:'body'::json->>'code') || ': ' || (:'body'::json->>'message'), '23514: lead inn is not valid', 'and why');

-- POST /leads with id
:writing
SELECT * FROM send('minimal', $q$INSERT INTO "kvcrm"."leads"("name", "id") SELECT "pgrst_body"."name", "pgrst_body"."id" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "name", "id" FROM json_to_record(pgrst_payload.json_data) AS _("name" text, "id" uuid) ) pgrst_body RETURNING 1$q$,
    'json', '{"name":"G","id":"00000000-0000-0000-0000-000000000001"}') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'POST with id, which is not the client''s: status');

-- POST /leads with status
:writing
SELECT * FROM send('minimal', $q$INSERT INTO "kvcrm"."leads"("name", "status") SELECT "pgrst_body"."name", "pgrst_body"."status" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "name", "status" FROM json_to_record(pgrst_payload.json_data) AS _("name" text, "status" text) ) pgrst_body RETURNING 1$q$,
    'json', '{"name":"G","status":"lost"}') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'POST with status, which is not the client''s: status');

-- POST /leads with version
:writing
SELECT * FROM send('minimal', $q$INSERT INTO "kvcrm"."leads"("name", "version") SELECT "pgrst_body"."name", "pgrst_body"."version" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "name", "version" FROM json_to_record(pgrst_payload.json_data) AS _("name" text, "version" integer) ) pgrst_body RETURNING 1$q$,
    'json', '{"name":"G","version":7}') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'POST with version, which is not the client''s: status');

-- POST /leads with converted_at
:writing
SELECT * FROM send('minimal', $q$INSERT INTO "kvcrm"."leads"("name", "converted_at") SELECT "pgrst_body"."name", "pgrst_body"."converted_at" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "name", "converted_at" FROM json_to_record(pgrst_payload.json_data) AS _("name" text, "converted_at" timestamptz) ) pgrst_body RETURNING 1$q$,
    'json', '{"name":"G","converted_at":"2024-01-01"}') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'POST with converted_at, which is not the client''s: status');

-- POST /leads with board_rank
:writing
SELECT * FROM send('minimal', $q$INSERT INTO "kvcrm"."leads"("name", "board_rank") SELECT "pgrst_body"."name", "pgrst_body"."board_rank" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "name", "board_rank" FROM json_to_record(pgrst_payload.json_data) AS _("name" text, "board_rank" text) ) pgrst_body RETURNING 1$q$,
    'json', '{"name":"G","board_rank":"a"}') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'POST with board_rank, which is not the client''s: status');

SELECT is((SELECT count(*)::int FROM kvcrm.leads WHERE name = 'G'), 0, 'none of these wrote anything');

-- --- POST with Prefer: resolution=merge-duplicates ---

\set claims :as_manager

-- POST /teams?on_conflict=organization_id,name
:writing
SELECT * FROM send('upserted', $q$INSERT INTO "kvcrm"."teams"("name") SELECT "pgrst_body"."name" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "name" FROM json_to_recordset(pgrst_payload.json_data) AS _("name" text) ) pgrst_body WHERE set_config('pgrst.inserted', (coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0) + 1)::text, true) <> '0' ON CONFLICT("organization_id", "name") DO UPDATE SET "name" = EXCLUDED."name"WHERE set_config('pgrst.inserted', (coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0) - 1)::text, true) <> '-1' RETURNING "kvcrm"."teams".*$q$,
    'json', '[{"name":"North"},{"name":"South"}]') \gset
COMMIT;
SELECT is(:'inserted' || ' of ' || :'rows', '2 of 2', 'upsert inserts');

-- The same again, and one more
:writing
SELECT * FROM send('upserted', $q$INSERT INTO "kvcrm"."teams"("name") SELECT "pgrst_body"."name" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "name" FROM json_to_recordset(pgrst_payload.json_data) AS _("name" text) ) pgrst_body WHERE set_config('pgrst.inserted', (coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0) + 1)::text, true) <> '0' ON CONFLICT("organization_id", "name") DO UPDATE SET "name" = EXCLUDED."name"WHERE set_config('pgrst.inserted', (coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0) - 1)::text, true) <> '-1' RETURNING "kvcrm"."teams".*$q$,
    'json', '[{"name":"North"},{"name":" South "},{"name":"West"}]') \gset
COMMIT;
SELECT is(:'inserted' || ' of ' || :'rows', '1 of 3', 'upsert updates what is there, trimmed names too');
SELECT is((SELECT string_agg(name, ' ' ORDER BY name) FROM kvcrm.teams), 'North South West', 'and there is one of each');

\set claims :as_owner

-- POST /lead_stages?on_conflict=organization_id,name
:writing
SELECT * FROM send('upserted', $q$INSERT INTO "kvcrm"."lead_stages"("name", "probability") SELECT "pgrst_body"."name", "pgrst_body"."probability" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "name", "probability" FROM json_to_recordset(pgrst_payload.json_data) AS _("name" text, "probability" integer) ) pgrst_body WHERE set_config('pgrst.inserted', (coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0) + 1)::text, true) <> '0' ON CONFLICT("organization_id", "name") DO UPDATE SET "name" = EXCLUDED."name", "probability" = EXCLUDED."probability"WHERE set_config('pgrst.inserted', (coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0) - 1)::text, true) <> '-1' RETURNING "kvcrm"."lead_stages".*$q$,
    'json', '[{"name":"Contacted","probability":35},{"name":"Demo","probability":50}]') \gset
COMMIT;
SELECT is(:'inserted' || ' of ' || :'rows', '1 of 2', 'upsert of stages');
SELECT is((SELECT string_agg(name || ' ' || probability, ', ' ORDER BY name) FROM kvcrm.lead_stages WHERE organization_id = :'org' AND name IN ('Contacted', 'Demo')), 'Contacted 35, Demo 50', 'upsert of stages: what is there now');

\set claims :as_manager

-- POST /leads without on_conflict: the primary key decides
:writing
SELECT * FROM send('upserted', $q$INSERT INTO "kvcrm"."leads"("name") SELECT "pgrst_body"."name" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "name" FROM json_to_recordset(pgrst_payload.json_data) AS _("name" text) ) pgrst_body WHERE set_config('pgrst.inserted', (coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0) + 1)::text, true) <> '0' ON CONFLICT("id", "organization_id") DO UPDATE SET "name" = EXCLUDED."name"WHERE set_config('pgrst.inserted', (coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0) - 1)::text, true) <> '-1' RETURNING "kvcrm"."leads".*$q$,
    'json', '[{"name":"Upserted"}]') \gset
COMMIT;
SELECT is(:'inserted' || ' of ' || :'rows', '1 of 1', 'upsert of a lead without id inserts');

-- POST /leads with an id
:writing
SELECT * FROM send('upserted', $q$INSERT INTO "kvcrm"."leads"("id", "name") SELECT "pgrst_body"."id", "pgrst_body"."name" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "id", "name" FROM json_to_recordset(pgrst_payload.json_data) AS _("id" uuid, "name" text) ) pgrst_body WHERE set_config('pgrst.inserted', (coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0) + 1)::text, true) <> '0' ON CONFLICT("id", "organization_id") DO UPDATE SET "id" = EXCLUDED."id", "name" = EXCLUDED."name"WHERE set_config('pgrst.inserted', (coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0) - 1)::text, true) <> '-1' RETURNING "kvcrm"."leads".*$q$,
    'json', json_build_array(json_build_object('id', :'ann', 'name', 'Other'))::text) \gset
COMMIT;
SELECT is(:'status'::int, 403, 'upsert of a lead by id: status');

-- --- PATCH ---

\set claims :as_rep

-- PATCH /leads?id=eq.<id> with Prefer: return=representation
:writing
SELECT * FROM send('written', $q$UPDATE "kvcrm"."leads" SET "company" = "pgrst_body"."company", "phone" = "pgrst_body"."phone" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "company", "phone" FROM json_to_record(pgrst_payload.json_data) AS _("company" text, "phone" text) ) pgrst_body WHERE "kvcrm"."leads"."id" = $2 RETURNING "kvcrm"."leads".*$q$,
    'json, unknown', '{"company":"Firm","phone":"202-456-1111"}', :'ann') \gset
COMMIT;
SELECT is((SELECT concat_ws(' ', l->>'name', l->>'company', l->>'phone', l->>'version') FROM json_array_elements(:'body'::json) AS l), 'Ann Firm +12024561111 2', 'PATCH representation');

-- PATCH /leads?id=eq.<a lead the rep does not see>
:writing
SELECT * FROM send('written', $q$UPDATE "kvcrm"."leads" SET "company" = "pgrst_body"."company" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "company" FROM json_to_record(pgrst_payload.json_data) AS _("company" text) ) pgrst_body WHERE "kvcrm"."leads"."id" = $2 RETURNING "kvcrm"."leads".*$q$,
    'json, unknown', '{"company":"Mine"}', :'bob') \gset
COMMIT;
SELECT is(:'status' || ' ' || :'body', '200 []', 'PATCH of what one does not see: no rows, no error');

-- PATCH /leads?id=eq.<id> with a wrong e-mail
:writing
SELECT * FROM send('written', $q$UPDATE "kvcrm"."leads" SET "email" = "pgrst_body"."email" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "email" FROM json_to_record(pgrst_payload.json_data) AS _("email" text) ) pgrst_body WHERE "kvcrm"."leads"."id" = $2 RETURNING "kvcrm"."leads".*$q$,
    'json, unknown', '{"email":"nonsense"}', :'ann') \gset
COMMIT;
SELECT is(:'status'::int, 400, 'PATCH with a wrong e-mail: status');
SELECT is((:'body'::json->>'code') || ': ' || (:'body'::json->>'message'), '23514: lead email is not a valid address', 'and why');

-- PATCH /leads: giving it away
:writing
SELECT * FROM send('written', $q$UPDATE "kvcrm"."leads" SET "assigned_to" = "pgrst_body"."assigned_to" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "assigned_to" FROM json_to_record(pgrst_payload.json_data) AS _("assigned_to" uuid) ) pgrst_body WHERE "kvcrm"."leads"."id" = $2 RETURNING "kvcrm"."leads".*$q$,
    'json, unknown', json_build_object('assigned_to', :'manager')::text, :'ann') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'PATCH that gives a lead away, as a rep: status');

-- PATCH /leads of status
:writing
SELECT * FROM send('written', $q$UPDATE "kvcrm"."leads" SET "status" = "pgrst_body"."status" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "status" FROM json_to_record(pgrst_payload.json_data) AS _("status" text) ) pgrst_body WHERE "kvcrm"."leads"."id" = $2 RETURNING "kvcrm"."leads".*$q$,
    'json, unknown', '{"status":"lost"}', :'ann') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'PATCH of status, which is not the client''s: status');

-- PATCH /leads of deleted_at
:writing
SELECT * FROM send('written', $q$UPDATE "kvcrm"."leads" SET "deleted_at" = "pgrst_body"."deleted_at" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "deleted_at" FROM json_to_record(pgrst_payload.json_data) AS _("deleted_at" timestamptz) ) pgrst_body WHERE "kvcrm"."leads"."id" = $2 RETURNING "kvcrm"."leads".*$q$,
    'json, unknown', '{"deleted_at":"2024-01-01"}', :'ann') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'PATCH of deleted_at, which is not the client''s: status');

-- PATCH /leads of organization_id
:writing
SELECT * FROM send('written', $q$UPDATE "kvcrm"."leads" SET "organization_id" = "pgrst_body"."organization_id" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "organization_id" FROM json_to_record(pgrst_payload.json_data) AS _("organization_id" uuid) ) pgrst_body WHERE "kvcrm"."leads"."id" = $2 RETURNING "kvcrm"."leads".*$q$,
    'json, unknown', '{"organization_id":"00000000-0000-0000-0000-000000000001"}', :'ann') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'PATCH of organization_id, which is not the client''s: status');

-- PATCH /leads of version
:writing
SELECT * FROM send('written', $q$UPDATE "kvcrm"."leads" SET "version" = "pgrst_body"."version" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "version" FROM json_to_record(pgrst_payload.json_data) AS _("version" integer) ) pgrst_body WHERE "kvcrm"."leads"."id" = $2 RETURNING "kvcrm"."leads".*$q$,
    'json, unknown', '{"version":9}', :'ann') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'PATCH of version, which is not the client''s: status');

-- PATCH /organization_members: one's own role
:writing
SELECT * FROM send('written', $q$UPDATE "kvcrm"."organization_members" SET "role_slug" = "pgrst_body"."role_slug" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "role_slug" FROM json_to_record(pgrst_payload.json_data) AS _("role_slug" text) ) pgrst_body WHERE "kvcrm"."organization_members"."user_id" = $2 RETURNING "kvcrm"."organization_members".*$q$,
    'json, unknown', '{"role_slug":"owner"}', :'rep') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'PATCH of one''s own role: status');
SELECT is((:'body'::json->>'code') || ': ' || (:'body'::json->>'message'), '42501: nobody changes their own role, team or status', 'and why');

SELECT is((SELECT concat_ws(' ', email, assigned_to = :'rep', status <> 'lost', version) FROM kvcrm.leads WHERE id = :'ann'), 'ann@firm.example t t 2', 'none of these changed anything');

-- --- DELETE ---

\set claims :as_owner

-- DELETE /leads?id=eq.<id>
:writing
SELECT * FROM send('minimal', $q$DELETE FROM "kvcrm"."leads"  WHERE  "kvcrm"."leads"."id" = $1 RETURNING 1$q$,
    'unknown', :'ann') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'DELETE of leads: status');

-- DELETE /customers?id=eq.<id>
:writing
SELECT * FROM send('minimal', $q$DELETE FROM "kvcrm"."customers"  WHERE  "kvcrm"."customers"."id" = $1 RETURNING 1$q$,
    'unknown', :'ann') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'DELETE of customers: status');

-- DELETE /lead_activities?id=eq.<id>
:writing
SELECT * FROM send('minimal', $q$DELETE FROM "kvcrm"."lead_activities"  WHERE  "kvcrm"."lead_activities"."id" = $1 RETURNING 1$q$,
    'unknown', :'ann') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'DELETE of lead_activities: status');

-- DELETE /activity_logs?id=eq.<id>
:writing
SELECT * FROM send('minimal', $q$DELETE FROM "kvcrm"."activity_logs"  WHERE  "kvcrm"."activity_logs"."id" = $1 RETURNING 1$q$,
    'unknown', :'ann') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'DELETE of activity_logs: status');

-- DELETE /organization_members?id=eq.<id>
:writing
SELECT * FROM send('minimal', $q$DELETE FROM "kvcrm"."organization_members"  WHERE  "kvcrm"."organization_members"."id" = $1 RETURNING 1$q$,
    'unknown', :'ann') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'DELETE of organization_members: status');

-- DELETE /lead_stages?id=eq.<id>
:writing
SELECT * FROM send('minimal', $q$DELETE FROM "kvcrm"."lead_stages"  WHERE  "kvcrm"."lead_stages"."id" = $1 RETURNING 1$q$,
    'unknown', :'ann') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'DELETE of lead_stages: status');

-- DELETE /organizations?id=eq.<id>
:writing
SELECT * FROM send('minimal', $q$DELETE FROM "kvcrm"."organizations"  WHERE  "kvcrm"."organizations"."id" = $1 RETURNING 1$q$,
    'unknown', :'ann') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'DELETE of organizations: status');

SELECT is((SELECT count(*)::int FROM kvcrm.leads WHERE id = :'ann'), 1, 'nothing was deleted');

-- --- RPC ---

\set claims :as_manager

-- POST /rpc/create_lead: one row
:writing
SELECT * FROM send('single', $q$SELECT pgrst_call.* FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "name", "estimated_value" FROM json_to_record(pgrst_payload.json_data) AS _("name" text, "estimated_value" numeric) LIMIT 1) pgrst_body , LATERAL "kvcrm"."create_lead"("name" := pgrst_body."name", "estimated_value" := pgrst_body."estimated_value") pgrst_call$q$,
    'json', '{"name":"Grace","estimated_value":10}') \gset
COMMIT;
SELECT is((:'body'::json->>'name') || ' ' || (:'body'::json->>'estimated_value'), 'Grace 10.00', 'RPC of a function that returns a row');
SELECT is((SELECT count(*)::int FROM kvcrm.leads WHERE name = 'Grace'), 1, 'called once');

-- POST /rpc/move_lead
:writing
SELECT * FROM send('single', $q$SELECT pgrst_call.* FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "lead_id", "stage_id", "expected_version" FROM json_to_record(pgrst_payload.json_data) AS _("lead_id" uuid, "stage_id" uuid, "expected_version" integer) LIMIT 1) pgrst_body , LATERAL "kvcrm"."move_lead"("lead_id" := pgrst_body."lead_id", "stage_id" := pgrst_body."stage_id", "expected_version" := pgrst_body."expected_version") pgrst_call$q$,
    'json', json_build_object('lead_id', :'carol', 'stage_id', :'qualified', 'expected_version', 1)::text) \gset
COMMIT;
SELECT is((:'body'::json->>'status') || ' ' || (:'body'::json->>'version'), 'qualified 2', 'RPC move_lead');

-- The same again: stale
:writing
SELECT * FROM send('single', $q$SELECT pgrst_call.* FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "lead_id", "stage_id", "expected_version" FROM json_to_record(pgrst_payload.json_data) AS _("lead_id" uuid, "stage_id" uuid, "expected_version" integer) LIMIT 1) pgrst_body , LATERAL "kvcrm"."move_lead"("lead_id" := pgrst_body."lead_id", "stage_id" := pgrst_body."stage_id", "expected_version" := pgrst_body."expected_version") pgrst_call$q$,
    'json', json_build_object('lead_id', :'carol', 'stage_id', :'contacted', 'expected_version', 1)::text) \gset
COMMIT;
SELECT is(:'status'::int, 409, 'RPC move_lead of a stale card: status');
SELECT is((:'body'::json->>'code') || ': ' || (:'body'::json->>'message'), 'PT409: lead was changed by somebody else', 'and why');
SELECT ok(:'body'::json->>'details' LIKE 'Version is 2, not 1.%', 'the details tell the version');

-- POST /rpc/import_leads?select=row_no,outcome&outcome=eq.error: a set, filtered
:writing
SELECT * FROM send('list', $q$SELECT pgrst_call."row_no", pgrst_call."outcome" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "rows" FROM json_to_record(pgrst_payload.json_data) AS _("rows" jsonb) LIMIT 1) pgrst_body , LATERAL "kvcrm"."import_leads"("rows" := pgrst_body."rows") pgrst_call WHERE pgrst_call."outcome" = $2$q$,
    'json, unknown', '{"rows":[{"name":"H"},{"name":""},{"name":"I","inn":"1"}]}', 'error') \gset
COMMIT;
SELECT is(:'body'::jsonb, '[{"row_no": 2, "outcome": "error"}, {"row_no": 3, "outcome": "error"}]', 'RPC of a function that returns a set, filtered');
SELECT is((SELECT count(*)::int FROM kvcrm.leads WHERE name = 'H'), 1, 'called once');

-- POST /rpc/import_leads_csv: a file with semicolons
:writing
SELECT * FROM send('list', $q$SELECT pgrst_call.* FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "csv", "mapping", "on_duplicate" FROM json_to_record(pgrst_payload.json_data) AS _("csv" text, "mapping" jsonb, "on_duplicate" text) LIMIT 1) pgrst_body , LATERAL "kvcrm"."import_leads_csv"("csv" := pgrst_body."csv", "mapping" := pgrst_body."mapping", "on_duplicate" := pgrst_body."on_duplicate") pgrst_call$q$,
    'json', '{"csv": "Имя;Почта;Размер\r\nJoe;joe@import.example;XL\r\nKim;kim@import.example\r\n", "mapping": {"Размер": null}, "on_duplicate": "skip"}') \gset
COMMIT;
SELECT is((SELECT jsonb_agg(a - 'lead_id') FROM jsonb_array_elements(:'body'::jsonb) a), '[{"row_no": 1, "outcome": "created", "error": null}, {"row_no": 2, "outcome": "error", "error": "the row has 2 fields, the header 3"}]', 'RPC import_leads_csv');

-- POST /rpc/undo_import
SELECT id AS last_import FROM kvcrm.lead_imports ORDER BY id DESC LIMIT 1 \gset
:writing
SELECT * FROM send('single', $q$SELECT pgrst_call.* FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "import_id" FROM json_to_record(pgrst_payload.json_data) AS _("import_id" uuid) LIMIT 1) pgrst_body , LATERAL "kvcrm"."undo_import"("import_id" := pgrst_body."import_id") pgrst_call$q$,
    'json', json_build_object('import_id', :'last_import')::text) \gset
COMMIT;
SELECT is((:'body'::json->>'created_count') || ' ' || ((:'body'::json->>'undone_at') IS NOT NULL), '1 true', 'RPC undo_import');
SELECT is((SELECT deleted_at IS NOT NULL FROM kvcrm.leads WHERE name = 'Joe'), true, 'undid it');

-- POST /rpc/qualify_lead
:writing
SELECT * FROM send('single', $q$SELECT pgrst_call.* FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "lead_id" FROM json_to_record(pgrst_payload.json_data) AS _("lead_id" uuid) LIMIT 1) pgrst_body , LATERAL "kvcrm"."qualify_lead"("lead_id" := pgrst_body."lead_id") pgrst_call$q$,
    'json', json_build_object('lead_id', :'ann')::text) \gset
COMMIT;
SELECT is((:'body'::json->>'name') || ' ' || (:'body'::json->>'email'), 'Ann ann@firm.example', 'RPC qualify_lead');
SELECT is((:'body'::json->>'id')::uuid, (SELECT converted_to_customer_id FROM kvcrm.leads WHERE id = :'ann'), 'returns the customer');

-- POST /rpc/qualify_lead again
:writing
SELECT * FROM send('single', $q$SELECT pgrst_call.* FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "lead_id" FROM json_to_record(pgrst_payload.json_data) AS _("lead_id" uuid) LIMIT 1) pgrst_body , LATERAL "kvcrm"."qualify_lead"("lead_id" := pgrst_body."lead_id") pgrst_call$q$,
    'json', json_build_object('lead_id', :'ann')::text) \gset
COMMIT;
SELECT is((:'body'::json->>'id')::uuid, (SELECT converted_to_customer_id FROM kvcrm.leads WHERE id = :'ann'), 'RPC qualify_lead again: the same customer');

-- POST /rpc/qualify_lead of an unknown lead
:writing
SELECT * FROM send('single', $q$SELECT pgrst_call.* FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "lead_id" FROM json_to_record(pgrst_payload.json_data) AS _("lead_id" uuid) LIMIT 1) pgrst_body , LATERAL "kvcrm"."qualify_lead"("lead_id" := pgrst_body."lead_id") pgrst_call$q$,
    'json', json_build_object('lead_id', :'nothing')::text) \gset
COMMIT;
SELECT is(:'status'::int, 404, 'RPC of an unknown lead: status');
SELECT is((:'body'::json->>'code') || ': ' || (:'body'::json->>'message'), 'PT404: lead not found', 'and why');
SELECT is(:'body'::jsonb - 'code' - 'message', '{"hint": null, "details": null}', 'and nothing more');

-- POST /rpc/qualify_lead of another organization's lead
:writing
SELECT * FROM send('single', $q$SELECT pgrst_call.* FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "lead_id" FROM json_to_record(pgrst_payload.json_data) AS _("lead_id" uuid) LIMIT 1) pgrst_body , LATERAL "kvcrm"."qualify_lead"("lead_id" := pgrst_body."lead_id") pgrst_call$q$,
    'json', json_build_object('lead_id', :'foreign_lead')::text) \gset
COMMIT;
SELECT is(:'status'::int, 404, 'RPC of another organization''s lead: status');
SELECT is((:'body'::json->>'code') || ': ' || (:'body'::json->>'message'), 'PT404: lead not found', 'and why');
SELECT is(:'body'::jsonb - 'code' - 'message', '{"hint": null, "details": null}', 'and nothing more');

-- POST /rpc/qualify_lead with null
:writing
SELECT * FROM send('single', $q$SELECT pgrst_call.* FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "lead_id" FROM json_to_record(pgrst_payload.json_data) AS _("lead_id" uuid) LIMIT 1) pgrst_body , LATERAL "kvcrm"."qualify_lead"("lead_id" := pgrst_body."lead_id") pgrst_call$q$,
    'json', '{"lead_id":null}') \gset
COMMIT;
SELECT is(:'status'::int, 400, 'RPC with a null for a required argument: status');
SELECT is((:'body'::json->>'code') || ': ' || (:'body'::json->>'message'), '22023: lead_id is required', 'and why');

-- POST /rpc/qualify_lead with no UUID
:writing
SELECT * FROM send('single', $q$SELECT pgrst_call.* FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "lead_id" FROM json_to_record(pgrst_payload.json_data) AS _("lead_id" uuid) LIMIT 1) pgrst_body , LATERAL "kvcrm"."qualify_lead"("lead_id" := pgrst_body."lead_id") pgrst_call$q$,
    'json', '{"lead_id":"x"}') \gset
COMMIT;
SELECT is(:'status'::int, 400, 'RPC with what is no UUID: status');

-- POST /rpc/no_such_function
:writing
SELECT * FROM send('single', $q$SELECT pgrst_call.* FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "lead_id" FROM json_to_record(pgrst_payload.json_data) AS _("lead_id" uuid) LIMIT 1) pgrst_body , LATERAL "kvcrm"."no_such_function"("lead_id" := pgrst_body."lead_id") pgrst_call$q$,
    'json', '{}') \gset
COMMIT;
SELECT is(:'status'::int, 404, 'RPC of an unknown function: status');

-- POST /rpc/grant_api
:writing
SELECT * FROM send('scalar', $q$SELECT pgrst_call.pgrst_scalar FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "role_name" FROM json_to_record(pgrst_payload.json_data) AS _("role_name" text) LIMIT 1) pgrst_body , LATERAL (SELECT "kvcrm"."grant_api"("role_name" := pgrst_body."role_name") pgrst_scalar) pgrst_call$q$,
    'json', '{"role_name":"kvcrm_postgrest_anon"}') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'RPC of what is not for clients: status');

\set claims :as_rep

-- POST /rpc/delete_lead as a rep
:writing
SELECT * FROM send('single', $q$SELECT pgrst_call.* FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "lead_id" FROM json_to_record(pgrst_payload.json_data) AS _("lead_id" uuid) LIMIT 1) pgrst_body , LATERAL "kvcrm"."delete_lead"("lead_id" := pgrst_body."lead_id") pgrst_call$q$,
    'json', (SELECT json_build_object('lead_id', l.id)::text FROM kvcrm.leads l WHERE l.name = 'Eve')) \gset
COMMIT;
SELECT is(:'status'::int, 403, 'RPC without the permission: status');

-- --- RPC that reads ---

-- POST /rpc/has_permission: a scalar
:reading
SELECT * FROM send('scalar', $q$SELECT pgrst_call.pgrst_scalar FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "permission" FROM json_to_record(pgrst_payload.json_data) AS _("permission" text) LIMIT 1) pgrst_body , LATERAL (SELECT "kvcrm"."has_permission"("permission" := pgrst_body."permission") pgrst_scalar) pgrst_call$q$,
    'json', '{"permission":"leads:create"}') \gset
COMMIT;
SELECT is(:'body'::text, 'true', 'RPC of a scalar in a READ ONLY transaction');

-- GET /rpc/has_permission?permission=leads:merge
:reading
SELECT * FROM send('scalar', $q$SELECT pgrst_call.pgrst_scalar FROM (SELECT "kvcrm"."has_permission"("permission" := $1::text) pgrst_scalar) pgrst_call$q$,
    'text', 'leads:merge') \gset
COMMIT;
SELECT is(:'body'::text, 'false', 'RPC by GET');

-- GET /rpc/has_permission of an unknown token
:reading
SELECT * FROM send('scalar', $q$SELECT pgrst_call.pgrst_scalar FROM (SELECT "kvcrm"."has_permission"("permission" := $1::text) pgrst_scalar) pgrst_call$q$,
    'text', 'leads:fly') \gset
COMMIT;
SELECT is(:'status'::int, 400, 'RPC with an unknown token: status');

-- GET /rpc/current_user_id
:reading
SELECT * FROM send('scalar', $q$SELECT pgrst_call.pgrst_scalar FROM (SELECT "kvcrm"."current_user_id"() pgrst_scalar) pgrst_call WHERE $1 IS NOT NULL$q$,
    'text', '') \gset
COMMIT;
SELECT is(:'body'::json #>> '{}', :'rep', 'RPC current_user_id');

-- GET /rpc/my_permissions?select=organization_name,role_slug: a set
:reading
SELECT * FROM send('list', $q$SELECT "pgrst_call"."organization_name", "pgrst_call"."role_slug" FROM "kvcrm"."my_permissions"("organization_id" := $1::uuid) pgrst_call$q$,
    'text', :'org') \gset
COMMIT;
SELECT is(:'body'::jsonb, '[{"organization_name": "Acme", "role_slug": "sales_team"}]', 'RPC of a set in a READ ONLY transaction');

-- GET /rpc/create_lead: it writes
:reading
SELECT * FROM send('single', $q$SELECT "pgrst_call".* FROM "kvcrm"."create_lead"("name" := $1::text) pgrst_call$q$,
    'text', 'Read only') \gset
COMMIT;
SELECT is(:'status'::int, 405, 'RPC by GET of a function that writes: status');
SELECT is((SELECT count(*)::int FROM kvcrm.leads WHERE name = 'Read only'), 0, 'and nothing is written');

-- --- blocked duplicates, leads that are gone ---

INSERT INTO kvcrm.leads (organization_id, name, phone) SELECT :'org', 'Twin', '+12125550123' FROM generate_series(1, 2);
\set claims :as_owner

-- PATCH /organizations: a switch to block that duplicates stand in the way of
:writing
SELECT * FROM send('minimal', $q$UPDATE "kvcrm"."organizations" SET "duplicate_policy" = "pgrst_body"."duplicate_policy" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "duplicate_policy" FROM json_to_record(pgrst_payload.json_data) AS _("duplicate_policy" text) ) pgrst_body WHERE "kvcrm"."organizations"."id" = $2 RETURNING 1$q$,
    'json, unknown', '{"duplicate_policy":"block"}', :'org') \gset
COMMIT;
SELECT is(:'status'::int, 409, 'PATCH of the policy while there are duplicates: status');
SELECT is(:'body'::json->>'details', (SELECT format('Leads %s and %s have the same phone.', min(id::text), max(id::text)) FROM kvcrm.leads WHERE name = 'Twin'), 'and which');

\set claims :as_rep
SELECT kvcrm.delete_lead(max(id::text)::uuid) IS NOT NULL FROM kvcrm.leads WHERE name = 'Twin';
UPDATE kvcrm.organizations SET duplicate_policy = 'block' WHERE id = :'org';

-- POST /leads with an address that is taken by a lead the rep does not see
:writing
SELECT * FROM send('minimal', $q$INSERT INTO "kvcrm"."leads"("name", "email") SELECT "pgrst_body"."name", "pgrst_body"."email" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "name", "email" FROM json_to_record(pgrst_payload.json_data) AS _("name" text, "email" text) ) pgrst_body RETURNING 1$q$,
    'json', '{"name":"J","email":"dave@firm.example"}') \gset
COMMIT;
SELECT is(:'status'::int, 409, 'POST of a blocked duplicate: status');
SELECT is((:'body'::json->>'code') || ': ' || (:'body'::json->>'message'), '23505: another live lead has the same email', 'and why');
SELECT is(:'body'::json->>'details', NULL::text, 'a hidden lead is not named');

\set claims :as_manager

-- The same as a manager
:writing
SELECT * FROM send('minimal', $q$INSERT INTO "kvcrm"."leads"("name", "email") SELECT "pgrst_body"."name", "pgrst_body"."email" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "name", "email" FROM json_to_record(pgrst_payload.json_data) AS _("name" text, "email" text) ) pgrst_body RETURNING 1$q$,
    'json', '{"name":"J","email":"dave@firm.example"}') \gset
COMMIT;
SELECT is(:'status'::int, 409, 'POST of a blocked duplicate: status');
SELECT is(:'body'::json->>'details', (SELECT 'Lead ' || id || '.' FROM kvcrm.leads WHERE name = 'Dave'), 'who sees the lead is told which');

-- POST /rpc/delete_lead
:writing
SELECT * FROM send('single', $q$SELECT pgrst_call.* FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "lead_id" FROM json_to_record(pgrst_payload.json_data) AS _("lead_id" uuid) LIMIT 1) pgrst_body , LATERAL "kvcrm"."delete_lead"("lead_id" := pgrst_body."lead_id") pgrst_call$q$,
    'json', json_build_object('lead_id', :'bob')::text) \gset
COMMIT;
SELECT ok(:'body'::json->>'deleted_at' IS NOT NULL, 'RPC delete_lead');

-- PATCH /leads of a deleted lead
:writing
SELECT * FROM send('written', $q$UPDATE "kvcrm"."leads" SET "company" = "pgrst_body"."company" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "company" FROM json_to_record(pgrst_payload.json_data) AS _("company" text) ) pgrst_body WHERE "kvcrm"."leads"."id" = $2 RETURNING "kvcrm"."leads".*$q$,
    'json, unknown', '{"company":"X"}', :'bob') \gset
COMMIT;
SELECT is(:'status'::int, 400, 'PATCH of a deleted lead: status');
SELECT is((:'body'::json->>'code') || ': ' || (:'body'::json->>'message'), '23514: the lead is deleted', 'and why');
SELECT is(:'body'::json->>'hint', 'Restore it first, with restore_lead(lead_id).', 'and the way out');

-- --- conversion, merging, erasure, fields, quotes ---

-- POST /rpc/<name> with a body, as PostgREST puts it from what it knows of the function's parameters.
CREATE FUNCTION rpc(kind text, called text, arguments json) RETURNS TABLE (status int, body text, rows bigint, total text, inserted text) LANGUAGE plpgsql AS $$
DECLARE
    function oid := (SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'kvcrm'::regnamespace AND p.proname = called);
    columns text; typed text; given text;
BEGIN
    SELECT string_agg(format('%I', k.key), ', '), string_agg(format('%I %s', k.key, format_type(t.type, NULL)), ', '), string_agg(format('%I := pgrst_body.%I', k.key, k.key), ', ')
      INTO columns, typed, given
      FROM json_object_keys(arguments) AS k (key)
      JOIN pg_proc p ON p.oid = function
      JOIN LATERAL unnest(p.proargnames, coalesce(p.proallargtypes, p.proargtypes::oid[])) AS t (name, type) ON t.name = k.key;
    RETURN QUERY SELECT * FROM public.send(kind, format(CASE
        WHEN kind IN ('scalar', 'text/csv') THEN 'SELECT pgrst_call.pgrst_scalar FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT %1$s FROM json_to_record(pgrst_payload.json_data) AS _(%2$s) LIMIT 1) pgrst_body , LATERAL (SELECT "kvcrm".%3$I(%4$s) pgrst_scalar) pgrst_call'
        ELSE 'SELECT pgrst_call.* FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT %1$s FROM json_to_record(pgrst_payload.json_data) AS _(%2$s) LIMIT 1) pgrst_body , LATERAL "kvcrm".%3$I(%4$s) pgrst_call' END,
        columns, typed, called, given), 'json', arguments::text);
END
$$;
-- Status, code and message of an error in short.
CREATE FUNCTION answer(status int, body text) RETURNS text LANGUAGE sql AS $$ SELECT concat_ws(' ', status, body::json->>'code', body::json->>'message') $$;

INSERT INTO ids SELECT n, l.id FROM unnest(ARRAY['kim', 'lea', 'max', 'nia', 'oda']) AS n,
    LATERAL kvcrm.create_lead(initcap(n) || ' Underhill', n || '@underhill.example', company => 'Underhill', assigned_to => CASE WHEN n IN ('kim', 'max') THEN id('rep') END, organization_id => id('org')) l;
INSERT INTO ids SELECT 'bare', l.id FROM kvcrm.create_lead('Bare', organization_id => id('org')) l;
-- Two that are one.
INSERT INTO ids SELECT n, l.id FROM (VALUES ('zoya', 'Zoya Ivy', 'zoya.ivy@romashka.example'), ('zoia', 'Zoia Ivy', 'zoia.ivy@romashka.example')) AS v (n, name, email),
    LATERAL kvcrm.create_lead(v.name, v.email, company => 'Romashka', inn => '7707083893', organization_id => id('org')) l;
SELECT id('kim') AS kim, id('lea') AS lea, id('max') AS max, id('nia') AS nia, id('oda') AS oda, id('bare') AS bare, id('zoya') AS zoya, id('zoia') AS zoia \gset

\set claims :as_manager

-- Conversion
:writing
SELECT * FROM rpc('single', 'qualify_lead', json_build_object('lead_id', :'bare')) \gset
COMMIT;
SELECT is(answer(:'status'::int, :'body'), '400 23514 the conversion requires fields that are empty', 'RPC qualify_lead without required fields');
SELECT is(:'body'::json->>'details', 'Empty: company or email or phone.', 'the details name them');
:writing
SELECT * FROM rpc('single', 'qualify_lead', json_build_object('lead_id', :'kim', 'on_match', 'guess')) \gset
COMMIT;
SELECT is(answer(:'status'::int, :'body'), '400 22023 on_match must be link, create or error', 'RPC qualify_lead with an unknown on_match');
:writing
SELECT * FROM rpc('single', 'qualify_lead', json_build_object('lead_id', :'kim', 'customer_id', :'nothing')) \gset
COMMIT;
SELECT is(answer(:'status'::int, :'body'), '404 PT404 customer not found', 'RPC qualify_lead into an unknown customer');
:writing
SELECT * FROM rpc('scalar', 'preview_conversion', json_build_object('lead_id', :'zoya')) \gset
COMMIT;
SELECT is(:'status' || ' ' || (:'body'::json->>'customer_created'), '200 true', 'RPC preview_conversion');
:writing
SELECT * FROM rpc('single', 'qualify_lead', json_build_object('lead_id', :'zoya')) \gset
COMMIT;
SELECT is(:'status' || ' ' || (:'body'::json->>'name'), '200 Zoya Ivy', 'RPC qualify_lead');
:writing
SELECT * FROM rpc('single', 'qualify_lead', json_build_object('lead_id', :'zoia', 'on_match', 'error')) \gset
COMMIT;
SELECT is(answer(:'status'::int, :'body'), '409 23505 a customer with the same INN, e-mail or phone exists', 'RPC qualify_lead with on_match error');
:writing
SELECT * FROM rpc('single', 'revert_conversion', json_build_object('lead_id', :'zoia')) \gset
COMMIT;
SELECT is(answer(:'status'::int, :'body'), '400 23514 the lead is not converted', 'RPC revert_conversion of what is not converted');

\set claims :as_rep
:writing
SELECT * FROM rpc('single', 'qualify_lead', json_build_object('lead_id', :'zoia')) \gset
COMMIT;
SELECT is(answer(:'status'::int, :'body'), '404 PT404 lead not found', 'RPC qualify_lead of a hidden lead');

\set claims :as_manager
:writing
SELECT * FROM rpc('single', 'revert_conversion', json_build_object('lead_id', :'zoya')) \gset
COMMIT;
SELECT is(:'status' || ' ' || (:'body'::json->>'status'), '200 new', 'RPC revert_conversion');

-- Duplicates: POST /rpc/scan_duplicates, GET /duplicate_pairs?select=probability,lead:leads!...(name)&status=eq.open&order=probability.desc
:writing
SELECT * FROM rpc('single', 'scan_duplicates', '{"min_probability": 0.5}') \gset
COMMIT;
SELECT is(:'status'::int, 200, 'RPC scan_duplicates');
:reading
SELECT * FROM send('list', $q$ SELECT "kvcrm"."duplicate_pairs"."lead_id", "kvcrm"."duplicate_pairs"."other_lead_id" FROM "kvcrm"."duplicate_pairs" WHERE  "kvcrm"."duplicate_pairs"."status" = $1 AND  "kvcrm"."duplicate_pairs"."lead_id" = ANY ($2)  ORDER BY "kvcrm"."duplicate_pairs"."probability" DESC  LIMIT $3 OFFSET $4 $q$,
    'unknown, unknown, unknown, unknown', 'open', format('{%s,%s}', :'zoya', :'zoia'), '20', '0') \gset
COMMIT;
SELECT is(:'body'::jsonb, json_build_array(json_build_object('lead_id', least(:'zoya', :'zoia'), 'other_lead_id', greatest(:'zoya', :'zoia')))::jsonb, 'GET duplicate_pairs: the list to review');
:writing
SELECT * FROM send('written', $q$UPDATE "kvcrm"."duplicate_pairs" SET "status" = "pgrst_body"."status" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "status" FROM json_to_record(pgrst_payload.json_data) AS _("status" text) ) pgrst_body WHERE "kvcrm"."duplicate_pairs"."lead_id" = $2 RETURNING "kvcrm"."duplicate_pairs".*$q$,
    'json, unknown', '{"status":"dismissed"}', :'zoya') \gset
COMMIT;
SELECT is(:'status'::int, 403, 'PATCH of duplicate_pairs: functions write them');
:writing
SELECT * FROM rpc('single', 'dismiss_duplicate', json_build_object('lead_id', :'zoya', 'other_lead_id', :'nothing')) \gset
COMMIT;
SELECT is(answer(:'status'::int, :'body'), '404 PT404 lead not found', 'RPC dismiss_duplicate of an unknown lead');
:writing
SELECT * FROM rpc('scalar', 'train_matcher', '{"organization_id": null}') \gset
COMMIT;
SELECT is(answer(:'status'::int, :'body'), '403 42501 permission duplicates:train is required', 'RPC train_matcher as a manager');

-- Merging
:writing
SELECT * FROM rpc('single', 'merge_leads', json_build_object('survivor_id', :'zoya', 'duplicate_ids', json_build_array(:'nothing'))) \gset
COMMIT;
SELECT is(answer(:'status'::int, :'body'), '404 PT404 lead not found', 'RPC merge_leads of an unknown lead');
:writing
SELECT * FROM rpc('single', 'merge_leads', json_build_object('survivor_id', :'zoya', 'duplicate_ids', json_build_array(:'ann'))) \gset
COMMIT;
SELECT is(:'status' || ' ' || (:'body'::json->>'code'), '400 23514', 'RPC merge_leads of a converted lead');
:writing
SELECT * FROM rpc('single', 'merge_leads', json_build_object('survivor_id', :'zoya', 'duplicate_ids', json_build_array())) \gset
COMMIT;
SELECT is(:'status' || ' ' || (:'body'::json->>'code'), '400 22023', 'RPC merge_leads of none');
\set claims :as_rep
:writing
SELECT * FROM rpc('single', 'merge_leads', json_build_object('survivor_id', :'kim', 'duplicate_ids', json_build_array(:'max'))) \gset
COMMIT;
SELECT is(answer(:'status'::int, :'body'), '403 42501 permission leads:merge is required', 'RPC merge_leads as a rep');
\set claims :as_manager
:writing
SELECT * FROM rpc('single', 'merge_leads', json_build_object('survivor_id', :'zoya', 'duplicate_ids', json_build_array(:'zoia'), 'field_choices', json_build_object('email', :'zoia'))) \gset
COMMIT;
SELECT is(:'status' || ' ' || (:'body'::json->>'email'), '200 zoia.ivy@romashka.example', 'RPC merge_leads');
SELECT id AS merge FROM kvcrm.lead_merges \gset
:writing
SELECT * FROM rpc('list', 'undo_merge', json_build_object('merge_id', :'merge')) \gset
COMMIT;
SELECT is(:'status' || ' ' || json_array_length(:'body'), '200 2', 'RPC undo_merge: its leads');
:writing
SELECT * FROM rpc('list', 'undo_merge', json_build_object('merge_id', :'merge')) \gset
COMMIT;
SELECT is(:'status' || ' ' || (:'body'::json->>'code'), '400 23514', 'RPC undo_merge a second time');

-- Erasure
:writing
SELECT * FROM rpc('single', 'erase_lead', json_build_object('lead_id', :'oda')) \gset
COMMIT;
SELECT is(answer(:'status'::int, :'body'), '403 42501 permission leads:erase is required', 'RPC erase_lead as a manager');
\set claims :as_owner
:writing
SELECT * FROM rpc('single', 'erase_lead', json_build_object('lead_id', :'nothing')) \gset
COMMIT;
SELECT is(answer(:'status'::int, :'body'), '404 PT404 lead not found', 'RPC erase_lead of an unknown lead');
:writing
SELECT * FROM rpc('single', 'set_legal_hold', json_build_object('lead_id', :'nia', 'hold', true)) \gset
COMMIT;
:writing
SELECT * FROM rpc('single', 'erase_lead', json_build_object('lead_id', :'nia')) \gset
COMMIT;
SELECT is(answer(:'status'::int, :'body'), '400 23514 the lead is under a legal hold', 'RPC erase_lead under a legal hold');
:writing
SELECT * FROM rpc('single', 'erase_lead', json_build_object('lead_id', :'oda')) \gset
COMMIT;
SELECT is(:'status' || ' ' || (:'body'::json->>'name'), '200 Erased', 'RPC erase_lead');
:writing
SELECT * FROM rpc('single', 'restore_lead', json_build_object('lead_id', :'oda')) \gset
COMMIT;
SELECT is(answer(:'status'::int, :'body'), '400 23514 the lead was erased', 'RPC restore_lead of an erased lead');

-- Quotes
\set claims :as_manager
:writing
SELECT * FROM rpc('single', 'create_quote_from_lead', json_build_object('lead_id', :'lea', 'title', 'Chairs', 'amount', 100, 'number', 'RT-7')) \gset
COMMIT;
SELECT is(:'status' || ' ' || (:'body'::json->>'number') || ' ' || (:'body'::json->>'status'), '200 RT-7 draft', 'RPC create_quote_from_lead');
SELECT :'body'::json->>'id' AS quote \gset
:writing
SELECT * FROM rpc('single', 'create_quote_from_lead', json_build_object('lead_id', :'max', 'title', 'Tables', 'amount', 100, 'number', 'RT-7')) \gset
COMMIT;
SELECT is(answer(:'status'::int, :'body'), '409 23505 another quote has this number', 'RPC create_quote_from_lead with a number that is taken');
SELECT is((SELECT status FROM kvcrm.leads WHERE id = :'max'), 'new', 'its lead is not converted');
:writing
SELECT * FROM rpc('single', 'create_quote_from_lead', json_build_object('lead_id', :'max', 'title', 'Tables', 'amount', -1)) \gset
COMMIT;
SELECT is(:'status' || ' ' || (:'body'::json->>'code'), '400 23514', 'RPC create_quote_from_lead with a negative amount');
:writing
SELECT * FROM rpc('single', 'create_quote_from_lead', json_build_object('lead_id', :'max', 'title', NULL, 'amount', 1)) \gset
COMMIT;
SELECT is(:'status' || ' ' || (:'body'::json->>'code'), '400 22023', 'RPC create_quote_from_lead without a title');
:writing
SELECT * FROM rpc('single', 'create_quote_from_lead', json_build_object('lead_id', :'nothing', 'title', 'Tables', 'amount', 1)) \gset
COMMIT;
SELECT is(answer(:'status'::int, :'body'), '404 PT404 lead not found', 'RPC create_quote_from_lead of an unknown lead');
-- PATCH /quotes?id=eq.<id>: a step that there is not, and one that there is
:writing
SELECT * FROM send('written', $q$UPDATE "kvcrm"."quotes" SET "status" = "pgrst_body"."status" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "status" FROM json_to_record(pgrst_payload.json_data) AS _("status" text) ) pgrst_body WHERE "kvcrm"."quotes"."id" = $2 RETURNING "kvcrm"."quotes".*$q$,
    'json, unknown', '{"status":"accepted"}', :'quote') \gset
COMMIT;
SELECT is(:'status' || ' ' || (:'body'::json->>'code'), '400 23514', 'PATCH of a draft to accepted');
:writing
SELECT * FROM send('written', $q$UPDATE "kvcrm"."quotes" SET "status" = "pgrst_body"."status" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "status" FROM json_to_record(pgrst_payload.json_data) AS _("status" text) ) pgrst_body WHERE "kvcrm"."quotes"."id" = $2 RETURNING "kvcrm"."quotes"."status"$q$,
    'json, unknown', '{"status":"sent"}', :'quote') \gset
COMMIT;
SELECT is(:'body'::jsonb, '[{"status": "sent"}]', 'PATCH of a draft to sent');
-- POST /quotes for the customer directly
:writing
SELECT * FROM send('minimal', $q$INSERT INTO "kvcrm"."quotes"("customer_id", "title", "amount") SELECT "pgrst_body"."customer_id", "pgrst_body"."title", "pgrst_body"."amount" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "customer_id", "title", "amount" FROM json_to_record(pgrst_payload.json_data) AS _("customer_id" uuid, "title" text, "amount" numeric) ) pgrst_body RETURNING 1$q$,
    'json', json_build_object('customer_id', (SELECT customer_id FROM kvcrm.quotes WHERE number = 'RT-7'), 'title', 'Lamps', 'amount', 5)::text) \gset
COMMIT;
SELECT is(:'status' || ' ' || (SELECT count(*) FROM kvcrm.quotes WHERE title = 'Lamps'), '200 1', 'POST of a quote for a customer');
\set claims :as_rep
:writing
SELECT * FROM rpc('single', 'delete_quote', json_build_object('quote_id', :'quote')) \gset
COMMIT;
SELECT is(:'status' || ' ' || (:'body'::json->>'code'), '404 PT404', 'RPC delete_quote of a hidden one');

-- Custom fields: POST /custom_field_definitions
\set define 'SELECT * FROM send(''minimal'', $q$INSERT INTO "kvcrm"."custom_field_definitions"("entity", "key", "type", "options") SELECT "pgrst_body"."entity", "pgrst_body"."key", "pgrst_body"."type", "pgrst_body"."options" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "entity", "key", "type", "options" FROM json_to_record(pgrst_payload.json_data) AS _("entity" text, "key" text, "type" text, "options" text[]) ) pgrst_body RETURNING 1$q$, ''json'', :''definition'')'
\set definition '{"entity":"lead","key":"plan","type":"select","options":["basic","pro"]}'
\set claims :as_manager
:writing
:define \gset
COMMIT;
SELECT is(:'status' || ' ' || (:'body'::json->>'code'), '403 42501', 'POST of a field as a manager');
\set claims :as_owner
:writing
:define \gset
COMMIT;
SELECT is(:'status'::int, 200, 'POST of a field');
:writing
:define \gset
COMMIT;
SELECT is(:'status' || ' ' || (:'body'::json->>'code'), '409 23505', 'the same again');
\set definition '{"entity":"lead","key":"day","type":"weekday","options":[]}'
:writing
:define \gset
COMMIT;
SELECT is(:'status' || ' ' || (:'body'::json->>'code'), '400 23514', 'POST of a field with an unknown type');
\set claims :as_manager
:writing
SELECT * FROM send('written', $q$UPDATE "kvcrm"."leads" SET "custom_fields" = "pgrst_body"."custom_fields" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "custom_fields" FROM json_to_record(pgrst_payload.json_data) AS _("custom_fields" jsonb) ) pgrst_body WHERE "kvcrm"."leads"."id" = $2 RETURNING "kvcrm"."leads".*$q$,
    'json, unknown', '{"custom_fields":{"plan":"gold"}}', :'max') \gset
COMMIT;
SELECT is(:'status' || ' ' || (:'body'::json->>'code'), '400 23514', 'PATCH of a custom field to what is no option');
SELECT matches(:'body'::json->>'details', '"plan"', 'the details name the field');
:writing
SELECT * FROM send('written', $q$UPDATE "kvcrm"."leads" SET "custom_fields" = "pgrst_body"."custom_fields" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "custom_fields" FROM json_to_record(pgrst_payload.json_data) AS _("custom_fields" jsonb) ) pgrst_body WHERE "kvcrm"."leads"."id" = $2 RETURNING "kvcrm"."leads"."custom_fields"$q$,
    'json, unknown', '{"custom_fields":{"plan":"pro"}}', :'max') \gset
COMMIT;
:reading
SELECT * FROM rpc('list', 'list_leads', '{"custom_fields":{"plan":"pro"}}') \gset
COMMIT;
SELECT is(:'body'::jsonb #>> '{0,name}', 'Max Underhill', 'RPC list_leads with a custom field');
-- DELETE /custom_field_definitions?key=eq.plan
\set claims :as_owner
:writing
SELECT * FROM send('minimal', $q$DELETE FROM "kvcrm"."custom_field_definitions"  WHERE  "kvcrm"."custom_field_definitions"."key" = $1 RETURNING 1$q$,
    'unknown', 'plan') \gset
COMMIT;
SELECT is(:'status' || ' ' || (SELECT count(*) FROM kvcrm.custom_field_definitions), '200 0', 'DELETE of a field');

-- --- export ---

\set claims :as_manager
-- POST /rpc/leads_export_csv with Accept: text/csv
:writing
SELECT * FROM rpc('text/csv', 'leads_export_csv', '{"query":"max underhill"}') \gset
COMMIT;
SELECT is(:'status'::int, 200, 'RPC leads_export_csv');
SELECT matches(:'body'::text, E'^\ufeffid,name,email,.*,custom_fields\r\n[-0-9a-f]+,Max Underhill,max@underhill.example,.*\r\n$', 'the body is the file');
-- POST /rpc/leads_export
:writing
SELECT * FROM rpc('list', 'leads_export', '{"query":"max underhill","raw":true}') \gset
COMMIT;
SELECT is(:'body'::jsonb #>> '{0,name}', 'Max Underhill', 'RPC leads_export');
-- GET: PostgREST answers 405 to what is VOLATILE by itself; this is what it would say.
:reading
SELECT * FROM rpc('list', 'leads_export', '{"query":"max underhill"}') \gset
COMMIT;
SELECT is(:'status'::int, 405, 'GET of leads_export');
\set claims :as_rep
:writing
SELECT * FROM rpc('text/csv', 'leads_export_csv', '{"raw":true}') \gset
COMMIT;
SELECT is(answer(:'status'::int, :'body'), '403 42501 permission leads:export is required', 'a rep exports nothing');
SELECT results_eq($$ SELECT changes #>> '{format,new}', (changes #>> '{rows,new}')::int, actor_id FROM kvcrm.activity_logs WHERE entity_type = 'export' ORDER BY id $$,
    format('VALUES (%L, 1, %L::uuid), (%L, 1, %2$L::uuid)', 'csv', :'manager', 'rows'), 'what was exported is in the log');

-- No claim of one request stays for the next one on the connection.
SELECT is(current_setting('request.jwt.claims', true), '', 'the claims end with the transaction');
SELECT is(kvcrm.current_user_id(), NULL::uuid, 'and so does the user');

SELECT * FROM finish();
