-- The two walls agree: for every user of random organizations the functions show and change exactly the leads that
-- row-level security lets through. SEED=0.123 repeats a run.
-- inconsistent: rows are written without triggers
\ir include/two_organizations.sql

\ir include/seed.sql
SELECT setseed(:'seed'::float8) IS NULL;

-- --- random organizations ---

CREATE TABLE test.organizations (id uuid);
CREATE TABLE test.users (id uuid);
-- subject: the lead that functions act on, given this one's id: of a merged lead the survivor.
CREATE TABLE test.leads (id uuid, organization_id uuid, stage_id uuid, live boolean, subject uuid);
CREATE TABLE test.customers (id uuid, organization_id uuid);
GRANT SELECT ON test.organizations, test.users, test.leads, test.customers TO kvcrm_test_client;

-- One of them; null for an empty array.
CREATE FUNCTION test.one(anyarray) RETURNS anyelement VOLATILE LANGUAGE sql AS $$ SELECT $1[1 + floor(random() * cardinality($1))::int] $$;
CREATE FUNCTION test.some(text[], share float8) RETURNS text[] VOLATILE LANGUAGE plpgsql AS $$
DECLARE token text; answer text[] := '{}';
BEGIN
    FOREACH token IN ARRAY $1 LOOP
        IF random() < share THEN answer := answer || token; END IF;
    END LOOP;
    RETURN answer;
END $$;
-- A random id that the seed decides.
CREATE FUNCTION test.random_id() RETURNS uuid VOLATILE LANGUAGE sql AS $$ SELECT md5(random()::text)::uuid $$;

DO $$
DECLARE
    org uuid; lead uuid; n int; users uuid[]; members uuid[]; teams uuid[]; roles text[]; stages uuid[]; ids uuid[]; dice float8;
    tokens text[] := '{leads:create,leads:read_own,leads:read_team,leads:read_all,leads:update_own,leads:update_team,leads:update,leads:assign,activities:create,lead_stages:read,customers:read,quotes:read}';
BEGIN
    FOR n IN 1..14 LOOP users := users || test.random_id(); END LOOP;
    INSERT INTO test.users SELECT unnest(users);
    FOR n IN 1..4 LOOP
        org := test.random_id(); teams := '{}'; members := '{}'; ids := '{}';
        roles := '{owner,admin,sales_manager,sales_team}';
        INSERT INTO test.organizations VALUES (org);
        PERFORM kvcrm.create_organization('O' || n, 'en', owner_id => users[n], organization_id => org);
        UPDATE kvcrm.organizations SET settings = '{"conversion_required": ["name"]}' WHERE id = org;
        FOR i IN 1..3 LOOP
            teams := teams || test.random_id();
            INSERT INTO kvcrm.teams (id, organization_id, name) VALUES (teams[i], org, 'T' || i);
        END LOOP;
        FOR i IN 1..8 LOOP
            INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (org, 'r' || i, 'R' || i, test.some(tokens, 0.4));
            roles := roles || ('r' || i);
        END LOOP;
        FOR i IN 1..14 LOOP
            CONTINUE WHEN i <> n AND random() < 0.3;
            INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, team_id, status)
            VALUES (org, users[i], test.one(roles), CASE WHEN random() < 0.8 THEN test.one(teams) END, 'active')
            ON CONFLICT (organization_id, user_id) DO NOTHING;
            members := members || users[i];
        END LOOP;
        SELECT array_agg(id ORDER BY order_index) INTO stages FROM kvcrm.lead_stages s WHERE s.organization_id = org AND s.outcome = 'open';
        FOR i IN 1..60 LOOP
            lead := test.random_id();
            INSERT INTO kvcrm.leads (id, organization_id, name, stage_id, assigned_to)
            VALUES (lead, org, 'Lead ' || i, test.one(stages), CASE WHEN random() < 0.8 THEN test.one(members) END);
            ids := ids || lead;
            IF random() < 0.3 THEN PERFORM kvcrm.log_activity(lead, 'note', 'Note', organization_id => org); END IF;
            IF random() < 0.3 THEN INSERT INTO kvcrm.quotes (id, organization_id, lead_id, title, amount) VALUES (test.random_id(), org, lead, 'Quote', i); END IF;
        END LOOP;
        FOR i IN 2..60 LOOP
            dice := random();
            IF dice < 0.1 THEN PERFORM kvcrm.delete_lead(ids[i], org);
            ELSIF dice < 0.2 THEN PERFORM kvcrm.qualify_lead(ids[i], organization_id => org);
            ELSIF dice < 0.3 THEN UPDATE kvcrm.leads SET merged_into_id = ids[1] WHERE id = ids[i];
            ELSIF dice < 0.35 THEN PERFORM kvcrm.move_lead(ids[i], (SELECT s.id FROM kvcrm.lead_stages s WHERE s.organization_id = org AND s.outcome = 'lost'), lost_reason => 'price', organization_id => org);
            END IF;
        END LOOP;
        INSERT INTO kvcrm.quotes (id, organization_id, customer_id, title, amount) SELECT test.random_id(), org, c.id, 'Direct', 1 FROM kvcrm.customers c WHERE c.organization_id = org AND random() < 0.5;
        INSERT INTO test.customers SELECT c.id, org FROM kvcrm.customers c WHERE c.organization_id = org;
        -- Without triggers, so that leads stay with members who are no longer active.
        PERFORM set_config('session_replication_role', 'replica', true);
        FOR i IN 1..14 LOOP
            dice := random();
            UPDATE kvcrm.organization_members m SET status = CASE WHEN dice < 0.15 THEN 'suspended' ELSE 'invited' END
             WHERE m.organization_id = org AND m.user_id = users[i] AND i <> n AND dice < 0.25;
        END LOOP;
        PERFORM set_config('session_replication_role', 'origin', true);
    END LOOP;
    INSERT INTO test.leads SELECT l.id, l.organization_id, l.stage_id, l.deleted_at IS NULL AND l.merged_into_id IS NULL AND l.converted_at IS NULL, coalesce(l.merged_into_id, l.id)
      FROM kvcrm.leads l WHERE l.organization_id IN (SELECT id FROM test.organizations);
END $$;
ANALYZE;

-- --- what each user gets ---

-- The ids that a query returns, sorted; none when it is refused with 42501. What it writes is undone.
CREATE FUNCTION test.ids_of(query text, VARIADIC args uuid[] DEFAULT '{}') RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE answer uuid[];
BEGIN
    BEGIN
        EXECUTE 'WITH q (id) AS (' || query || ') SELECT array_agg(id ORDER BY id) FROM q' INTO answer USING args[1], args[2];
        RAISE EXCEPTION USING ERRCODE = 'KVUND';
    EXCEPTION
        WHEN SQLSTATE 'KVUND' THEN NULL;
        WHEN insufficient_privilege THEN RETURN '{}';
    END;
    RETURN coalesce(answer, '{}');
END $$;

-- All pages of a function that takes the last row's id as $2.
CREATE FUNCTION test.pages_of(call text, org uuid, page int) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE answer uuid[] := '{}'; rows uuid[]; last uuid;
BEGIN
    LOOP
        EXECUTE format('SELECT array_agg(id ORDER BY ordinality) FROM %s WITH ORDINALITY', call) INTO rows USING org, last;
        EXIT WHEN rows IS NULL;
        answer := answer || rows;
        EXIT WHEN cardinality(rows) < page;
        last := rows[page];
    END LOOP;
    RETURN (SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM unnest(answer) AS id);
-- The stages of an organization that is not one's own are not found.
EXCEPTION WHEN insufficient_privilege OR SQLSTATE 'PT404' THEN RETURN '{}';
END $$;

-- Whether a call about one lead answers (t), says PT404 (f), or something else (null).
CREATE FUNCTION test.answers(call text, lead uuid, org uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE call USING lead, org;
    RETURN true;
EXCEPTION
    WHEN SQLSTATE 'PT404' THEN RETURN false;
    WHEN OTHERS THEN RETURN NULL;
END $$;

CREATE TABLE test.cases (what text, who uuid, org uuid, subject text, wall text, door text);
GRANT SELECT, INSERT ON test.cases TO kvcrm_test_client;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA test TO kvcrm_test_client;

CREATE PROCEDURE test.compare(who uuid, org uuid) LANGUAGE plpgsql AS $$
DECLARE
    visible uuid[]; alive uuid[]; writable uuid[]; everything uuid[]; stage record; lead record; customer uuid; n bigint; written bigint; may_assign boolean;
    page int := 1 + floor(random() * 30)::int; sort text := test.one('{newest,oldest,updated,name,score,value,rank}'::text[]);
    first_stage uuid := (SELECT s.stage_id FROM test.leads s WHERE s.organization_id = org LIMIT 1);
BEGIN
    PERFORM set_config('request.jwt.claims', json_build_object('sub', who)::text, true), set_config('role', 'kvcrm_test_client', true);
    visible := test.ids_of('SELECT id FROM kvcrm.leads WHERE organization_id = $1', org);
    SELECT coalesce(array_agg(l.id ORDER BY l.id) FILTER (WHERE l.live AND l.id = ANY (visible)), '{}'), array_agg(l.id ORDER BY l.id)
      INTO alive, everything FROM test.leads l WHERE l.organization_id = org;

    INSERT INTO test.cases VALUES
        ('list_leads with all', who, org, sort, visible::text, test.pages_of(format('kvcrm.list_leads(include => ''{converted,merged,deleted}'', sort => %L, after_lead_id => $2, page_size => %s, organization_id => $1)', sort, page), org, page)::text),
        ('list_leads', who, org, sort, alive::text, test.pages_of(format('kvcrm.list_leads(sort => %L, after_lead_id => $2, page_size => %s, organization_id => $1)', sort, page), org, page)::text);
    BEGIN
        EXECUTE 'SELECT kvcrm.count_leads(include => ''{converted,merged,deleted}'', organization_id => $1)' INTO n USING org;
    EXCEPTION WHEN insufficient_privilege THEN n := 0; END;
    INSERT INTO test.cases VALUES ('count_leads with all', who, org, '', cardinality(visible), n);
    BEGIN
        EXECUTE 'SELECT kvcrm.count_leads(organization_id => $1)' INTO n USING org;
    EXCEPTION WHEN insufficient_privilege THEN n := 0; END;
    INSERT INTO test.cases VALUES ('count_leads', who, org, '', cardinality(alive), n);

    FOR lead IN SELECT l.id, l.subject FROM test.leads l WHERE l.organization_id = org ORDER BY l.id LOOP
        INSERT INTO test.cases VALUES
            ('lead_timeline', who, org, lead.id, lead.subject = ANY (visible), test.answers('SELECT count(*) FROM kvcrm.lead_timeline($1, organization_id => $2)', lead.id, org)),
            ('lead_page', who, org, lead.id, lead.subject = ANY (visible), test.answers('SELECT kvcrm.lead_page($1, $2)', lead.id, org));
    END LOOP;

    INSERT INTO test.cases VALUES ('quotes of lead_page', who, org, '', test.ids_of('SELECT q.id FROM kvcrm.quotes q JOIN kvcrm.leads l ON l.id = q.lead_id WHERE q.organization_id = $1 AND l.merged_into_id IS NULL', org)::text,
        test.ids_of('SELECT (q->>''id'')::uuid FROM kvcrm.leads l, jsonb_array_elements(kvcrm.lead_page(l.id, $1)->''quotes'') AS q WHERE l.organization_id = $1 AND l.merged_into_id IS NULL', org)::text);
    FOR customer IN SELECT c.id FROM test.customers c WHERE c.organization_id = org ORDER BY c.id LOOP
        INSERT INTO test.cases VALUES ('customer_timeline', who, org, customer,
            test.ids_of('SELECT t.id FROM kvcrm.customers c, LATERAL (SELECT c.id UNION ALL SELECT q.id FROM kvcrm.quotes q WHERE q.customer_id = c.id
                UNION ALL SELECT a.id FROM kvcrm.lead_activities a JOIN kvcrm.leads l ON l.id = a.lead_id WHERE l.converted_to_customer_id = c.id) t WHERE c.organization_id = $1 AND c.id = $2', org, customer)::text,
            CASE WHEN test.answers('SELECT count(*) FROM kvcrm.customer_timeline($1, organization_id => $2)', customer, org)
                THEN test.ids_of('SELECT $2 UNION ALL SELECT t.ref_id FROM kvcrm.customer_timeline($2, page_size => 1000, organization_id => $1) t WHERE t.kind IN (''activity'', ''quote'')', org, customer)::text ELSE '{}' END);
    END LOOP;

    FOR stage IN SELECT DISTINCT l.stage_id AS id FROM test.leads l WHERE l.organization_id = org LOOP
        BEGIN
            EXECUTE 'SELECT coalesce(sum(lead_count), 0) FROM kvcrm.pipeline_board(organization_id => $1) WHERE stage_id = $2' INTO n USING org, stage.id;
        EXCEPTION WHEN insufficient_privilege THEN n := 0; END;
        INSERT INTO test.cases SELECT 'pipeline_board', who, org, stage.id, count(*), n FROM test.leads l WHERE l.stage_id = stage.id AND l.id = ANY (alive);
        INSERT INTO test.cases SELECT 'pipeline_column', who, org, stage.id, coalesce(array_agg(l.id ORDER BY l.id), '{}')::text,
               test.pages_of(format('kvcrm.pipeline_column(%L, $2, %s, $1)', stage.id, page), org, page)::text
          FROM test.leads l WHERE l.stage_id = stage.id AND l.id = ANY (alive);
    END LOOP;

    -- An UPDATE that changes nothing passes every rule but the policies. By function what counts is whether it is
    -- refused for the caller's sake, not for the lead's.
    writable := test.ids_of('SELECT id FROM kvcrm.leads WHERE false');
    BEGIN
        WITH written AS (UPDATE kvcrm.leads l SET name = l.name WHERE l.organization_id = org RETURNING l.id)
        SELECT coalesce(array_agg(id ORDER BY id), '{}') INTO writable FROM written;
        RAISE EXCEPTION USING ERRCODE = 'KVUND';
    EXCEPTION WHEN SQLSTATE 'KVUND' THEN NULL; END;
    -- One that reads no column is held by the policy for UPDATE alone. All organizations', and none of their leads has a source.
    BEGIN
        UPDATE kvcrm.leads SET source = NULL;
        GET DIAGNOSTICS n = ROW_COUNT;
        UPDATE kvcrm.leads SET source = source;
        GET DIAGNOSTICS written = ROW_COUNT;
        RAISE EXCEPTION USING ERRCODE = 'KVUND';
    EXCEPTION WHEN SQLSTATE 'KVUND' THEN NULL; END;
    INSERT INTO test.cases VALUES ('update', who, org, '', written, n);
    SELECT coalesce(array_agg(l.id ORDER BY l.id), '{}') INTO writable FROM test.leads l WHERE l.subject = ANY (writable);
    INSERT INTO test.cases VALUES ('move', who, org, '', writable::text,
        test.ids_of(format('SELECT lead_id FROM kvcrm.bulk_move(%L, $2, NULL, $1) WHERE ok OR error_code NOT IN (''42501'', ''PT404'')', everything), org, first_stage)::text);
    EXECUTE 'SELECT EXISTS (SELECT FROM kvcrm.my_permissions() p WHERE p.organization_id = $1) AND kvcrm.has_permission(''leads:assign'', $1)' INTO may_assign USING org;
    -- Who holds leads:assign may assign whatever they see.
    INSERT INTO test.cases VALUES ('assign', who, org, '', CASE WHEN may_assign THEN (SELECT coalesce(array_agg(l.id ORDER BY l.id), '{}') FROM test.leads l WHERE l.subject = ANY (visible)) ELSE writable END::text,
        test.ids_of(format('SELECT lead_id FROM kvcrm.bulk_assign(%L, $2, $1) WHERE ok OR error_code NOT IN (''42501'', ''PT404'')', everything), org, who)::text);
    PERFORM set_config('role', 'none', true), set_config('request.jwt.claims', '', true);
END $$;

SELECT format('CALL test.compare(%L, %L)', u.id, o.id) FROM test.users u, test.organizations o ORDER BY u.id, o.id \gexec

SELECT is_empty(format('SELECT c.*, m.role_slug, m.status, r.permissions FROM test.cases c LEFT JOIN kvcrm.organization_members m ON m.user_id = c.who AND m.organization_id = c.org
    LEFT JOIN kvcrm.roles r ON r.organization_id = m.organization_id AND r.slug = m.role_slug WHERE what = %L AND wall IS DISTINCT FROM door LIMIT 3', what),
    format('%s agrees with row-level security in all of %s cases', what, count(*))) FROM test.cases GROUP BY what ORDER BY what;

-- The test must have something to tell apart.
SELECT ok(count(*) > 3000, 'thousands of cases') FROM test.cases;
SELECT ok(count(*) FILTER (WHERE wall = '{}') > 0 AND count(DISTINCT wall) > 4, what || ': some users see nothing, the others different things')
  FROM test.cases WHERE what IN ('list_leads', 'list_leads with all', 'move', 'assign', 'quotes of lead_page', 'customer_timeline') GROUP BY what ORDER BY what;
SELECT ok(count(*) FILTER (WHERE wall = 'true') > 100 AND count(*) FILTER (WHERE wall = 'false') > 100, what || ' is asked for leads one sees and doesn''t see') FROM test.cases WHERE what IN ('lead_timeline', 'lead_page') GROUP BY what;

SELECT * FROM finish();
