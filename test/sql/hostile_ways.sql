-- Hostile callers, one way at a time: what the generated suites don't think of.
BEGIN;
SELECT no_plan();
\set api kvcrm_ways_api
\ir include/access.sql
\set system 'current_user::text'
SELECT pg_postmaster_start_time() AS started \gset

-- --- what the catalog promises ---

CREATE VIEW t.functions AS
    SELECT p.*, l.lanname, p.oid::regprocedure::text AS signature FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.pronamespace = 'kvcrm'::regnamespace;
SELECT is((SELECT string_agg(signature, ', ') FROM t.functions WHERE proname NOT LIKE 'policy\_%' AND proname NOT IN ('uuid_v7', 'current_user_id', 'search_keys', 'field_fits') AND NOT coalesce(proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp']), NULL, 'every function that runs SQL, but those of policies, fixes its search path, pg_temp last');
SELECT is((SELECT string_agg(signature, ', ') FROM t.functions WHERE proname LIKE 'policy\_%' AND (lanname <> 'c' OR prosecdef)), NULL, 'and those fix it in C');
SELECT is((SELECT string_agg(signature, ', ') FROM t.functions WHERE proleakproof), NULL, 'no function claims to be leakproof');
SELECT is((SELECT string_agg(signature, ', ') FROM t.functions WHERE prosecdef AND lanname <> 'c'), NULL, 'no definer function is SQL or PL/pgSQL');
SELECT is((SELECT string_agg(signature, ', ') FROM t.functions WHERE prosecdef AND proowner <> (SELECT nspowner FROM pg_namespace WHERE nspname = 'kvcrm')), NULL, 'definer functions are the schema owner''s');
SELECT is((SELECT string_agg(DISTINCT n.nspname || '.' || o.name, ', ') FROM pg_depend e
            JOIN pg_depend d ON d.classid = e.classid AND d.objid = e.objid AND d.deptype = 'n'
            JOIN LATERAL (SELECT pronamespace AS ns, proname::text AS name FROM pg_proc WHERE d.refclassid = 'pg_proc'::regclass AND oid = d.refobjid
                          UNION ALL SELECT oprnamespace, oprname FROM pg_operator WHERE d.refclassid = 'pg_operator'::regclass AND oid = d.refobjid
                          UNION ALL SELECT typnamespace, typname FROM pg_type WHERE d.refclassid = 'pg_type'::regclass AND oid = d.refobjid) o ON true
            JOIN pg_namespace n ON n.oid = o.ns
           WHERE e.deptype = 'e' AND e.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'kvcrm') AND n.nspname NOT IN ('pg_catalog', 'kvcrm')), NULL, 'nothing of the extension uses a function, operator or type of another schema');
SELECT is((SELECT string_agg(polname, ', ') FROM pg_policy p WHERE NOT polpermissive OR polroles <> '{0}'), NULL, 'policies are for everybody: no role is left out of them');
SELECT is((SELECT string_agg(c.relname || '.' || p.polname, ', ') FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace = 'kvcrm'::regnamespace
           AND coalesce(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) !~ 'policy_(organizations|user|lead)'), NULL, 'and each asks for the acting user''s organizations');
SELECT is((SELECT string_agg(name, ' ' ORDER BY name) FROM pg_settings WHERE name LIKE 'kvcrm.%'), 'kvcrm.allow_drop kvcrm.feed_patience kvcrm.organization_creation kvcrm.organization_id kvcrm.user_id', 'the settings are those of docs/security.md');
SELECT is((SELECT string_agg(name, ' ' ORDER BY name) FROM pg_settings WHERE name LIKE 'kvcrm.%' AND context = 'user'), 'kvcrm.feed_patience kvcrm.organization_id kvcrm.user_id', 'of which a role may set three');
SELECT is(t.try('rep', format('SET LOCAL kvcrm.%s = ''on''', name)), state, 'SET kvcrm.' || name)
  FROM (VALUES ('authorized', '42602'), ('restoring', '42602'), ('system', '42602'), ('bypass', '42602'), ('allow_drop', '42501'), ('organization_creation', '42501')) AS v (name, state);
SAVEPOINT forged;
-- Names that the triggers might obey if they were settings: with any value, nothing changes.
SELECT is(t.get('rep', format('SELECT set_config(%L, %L, true) IS NOT NULL AND (SELECT count(*) FROM kvcrm.leads) = 1', name, value)), 'true', format('%s = %s opens nothing', name, value))
  FROM (VALUES ('kvcrm.organization_id', t.id('south')::text), ('kvcrm.user_id', t.id('owner')::text), ('request.jwt.claim.sub', t.id('owner')::text), ('request.jwt.claim.role', 'service_role'), ('app.role', 'owner'), ('role.kvcrm', 'x')) AS v (name, value);
ROLLBACK TO forged;

-- --- who one is ---

SELECT is(t.try('suspended', format('UPDATE kvcrm.organization_members SET %s WHERE user_id = t.id(''suspended'')', change)), '42501', 'a suspended member changes nothing of their own row: ' || change)
  FROM unnest(ARRAY['display_name = ''x''', 'email = ''x@example.com''', 'status = ''active''', 'status = ''invited''', 'role_slug = ''owner''', 'team_id = NULL']) AS change;
SELECT is(t.try(who, format('INSERT INTO kvcrm.organization_members AS m (organization_id, user_id, role_slug) VALUES (t.id(%L), t.id(%L), %L) ON CONFLICT (organization_id, user_id) DO UPDATE SET role_slug = excluded.role_slug', org, whom, role)), '42501',
          format('%s upserts %s as %s of %s', who, whom, role, org))
  FROM (VALUES ('rep', 'north', 'rep', 'owner'), ('rep', 'south', 'rep', 'owner'), ('rep', 'north', 'stranger', 'sales_team'), ('admin', 'north', 'admin', 'owner'), ('admin', 'north', 'rep', 'owner'), ('admin', 'north', 'owner', 'sales_team'),
               ('manager', 'north', 'manager', 'admin'), ('stranger', 'north', 'stranger', 'owner'), ('south_owner', 'north', 'south_owner', 'owner'), ('owner', 'south', 'owner', 'owner'), ('invited', 'north', 'invited', 'owner')) AS v (who, org, whom, role);
SELECT is(t.try(who, format('INSERT INTO kvcrm.roles AS r (organization_id, slug, name, permissions) VALUES (t.id(%L), %L, ''x'', %L) ON CONFLICT (organization_id, slug) DO UPDATE SET permissions = excluded.permissions', org, slug, permissions)), state,
          format('%s upserts role %s of %s with %s', who, slug, org, permissions))
  FROM (VALUES ('rep', 'north', 'sales_team', '{*:*}', '42501'), ('manager', 'north', 'sales_manager', '{*:*}', '42501'), ('admin', 'north', 'admin', '{*:*}', '42501'), ('admin', 'north', 'own', '{*:*}', '42501'),
               ('owner', 'north', 'owner', '{}', '23514'), ('owner', 'south', 'owner', '{*:*}', '42501'), ('owner', 'south', 'own', '{*:*}', '42501')) AS v (who, org, slug, permissions, state);
-- Whatever single permission somebody has: it doesn't grow.
INSERT INTO kvcrm.roles (organization_id, slug, name, permissions)
SELECT t.id('north'), 'only_' || row_number() OVER (ORDER BY permission), permission, ARRAY[permission] FROM kvcrm.permission_registry();
INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, status)
SELECT t.id('north'), t.id(slug), slug, 'active' FROM kvcrm.roles WHERE slug LIKE 'only\_%';
SELECT is(t.try(r.slug, s.statement) ~ '^(42501|0|23514)$', true, format('%s alone: %s', r.name, s.statement))
  FROM kvcrm.roles r, LATERAL unnest(ARRAY[
       format('UPDATE kvcrm.roles SET permissions = ''{*:*}'' WHERE slug = %L', r.slug), 'INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (t.id(''north''), ''grown'', ''x'', ''{*:*}'')',
       format('UPDATE kvcrm.organization_members SET role_slug = ''owner'' WHERE user_id = t.id(%L)', r.slug), 'UPDATE kvcrm.organization_members SET role_slug = ''admin'' WHERE user_id = t.id(''rep'')',
       'UPDATE kvcrm.organization_members SET status = ''suspended'' WHERE user_id = t.id(''owner'')', 'INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug) VALUES (t.id(''north''), t.id(''new''), ''owner'')',
       format('UPDATE kvcrm.organization_members SET team_id = t.id(''team2'') WHERE user_id = t.id(%L)', r.slug), 'UPDATE kvcrm.organization_members SET team_id = t.id(''south_team'') WHERE user_id = t.id(''rep'')']) AS s (statement)
 WHERE r.slug LIKE 'only\_%' AND NOT (r.name IN ('teams:update', 'members:update') AND s.statement LIKE '%south_team%');
SELECT is(t.try(r.slug, 'UPDATE kvcrm.organization_members SET team_id = t.id(''south_team'') WHERE user_id = t.id(''rep'')') IN ('23503', '42501'), true, 'a member is not moved to a team of another organization by ' || r.name)
  FROM kvcrm.roles r WHERE r.name IN ('teams:update', 'members:update');

-- --- odd places to call a function from ---

GRANT CREATE ON SCHEMA t TO :"api";
SET LOCAL ROLE :"api";
CREATE TABLE t.mine (id uuid, n int, CHECK (kvcrm.has_permission('leads:read_own') IS NOT NULL));
CREATE FUNCTION t.always(uuid, uuid) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT kvcrm.policy_lead($1, $2)';
CREATE TABLE t.indexed (o uuid, l uuid);
CREATE INDEX ON t.indexed (t.always(o, l));
CREATE FUNCTION t.tally(state bigint, organization uuid) RETURNS bigint LANGUAGE sql AS 'SELECT state + kvcrm.count_leads(organization_id => organization)';
CREATE AGGREGATE t.total(uuid) (SFUNC = t.tally, STYPE = bigint, INITCOND = '0', MSFUNC = t.tally, MINVFUNC = t.tally, MSTYPE = bigint, MINITCOND = '0');
CREATE VIEW t.owned AS SELECT * FROM kvcrm.leads;
CREATE FUNCTION t.everything() RETURNS SETOF kvcrm.leads LANGUAGE sql SECURITY DEFINER BEGIN ATOMIC SELECT * FROM kvcrm.leads; END;
CREATE FUNCTION t.of_row(kvcrm.leads) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1.name';
CREATE DOMAIN t.probe AS uuid CHECK (kvcrm.policy_lead('00000000-0000-0000-0000-000000000000', VALUE) IS FALSE);
RESET ROLE;
REVOKE CREATE ON SCHEMA t FROM :"api";
SELECT is(t.get('rep', query), answer, query)
  FROM (VALUES ('INSERT INTO t.mine VALUES (t.id(''x''), 1) RETURNING n', '1'), ('INSERT INTO t.indexed VALUES (t.id(''north''), t.id(''lead_mate'')) RETURNING t.always(o, l)', 'false'),
               ('SELECT t.total(o) FROM (VALUES (t.id(''north'')), (t.id(''north''))) AS v (o)', '2'), ('SELECT count(*) FROM t.owned', '1'), ('SELECT count(*) FROM t.everything()', '1'),
               ('SELECT string_agg(l.of_row, '','') FROM kvcrm.leads l', '42703'), ('SELECT string_agg(t.of_row(l), '','') FROM kvcrm.leads l', 'Lead_Rep'), ('SELECT t.of_row(jsonb_populate_record(NULL::kvcrm.leads, ''{"name": "made up"}''))', 'made up'),
               ('SELECT t.id(''lead_mate'')::t.probe IS NOT NULL', 'true'), ('SELECT sum(kvcrm.count_leads()) OVER () FROM (VALUES (1), (2)) AS v LIMIT 1', '2'),
               ('SELECT count(*) FROM kvcrm.leads TABLESAMPLE BERNOULLI (100)', '1'), ('SELECT count(DISTINCT l.id) FROM generate_series(1, 3), LATERAL kvcrm.list_leads() l', '1'),
               ('SELECT count(*) FROM kvcrm.leads l FULL JOIN kvcrm.leads k USING (id, organization_id)', '1'), ('SELECT bool_or(kvcrm.policy_lead(t.id(''north''), t.id(n))) FROM unnest(ARRAY[''lead_mate'', ''lead_south'', ''lead_far'']) AS n', 'false'),
               ('SELECT bool_or(kvcrm.policy_lead(t.id(''south''), t.id(n))) FROM unnest(ARRAY[''lead_mate'', ''lead_south'', ''lead_rep'']) AS n', 'false')) AS s (query, answer);
-- A view and a definer function of an API role see what that role's acting user sees, also when somebody else calls them.
SELECT is(t.get('south_rep', query), '1', 'south: ' || query) FROM unnest(ARRAY['SELECT count(*) FROM t.owned', 'SELECT count(*) FROM t.everything()']) AS query;
SELECT is(t.get('stranger', query), '0', 'a stranger: ' || query) FROM unnest(ARRAY['SELECT count(*) FROM t.owned', 'SELECT count(*) FROM t.everything()']) AS query;
-- In parallel workers.
SAVEPOINT parallel;
SELECT set_config(name, 'on', true) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query') \g /dev/null
SELECT is(t.get(who, query), answer, format('in a parallel worker, %s: %s', who, query))
  FROM (VALUES ('rep', '1', '1'), ('manager', '5', '5'), ('stranger', '0', '22023'), ('south_owner', '1', '1')) AS v (who, rows, counted),
       LATERAL (VALUES ('SELECT count(*) FROM kvcrm.leads', v.rows), ('SELECT count(*) FROM kvcrm.list_leads()', v.counted), ('SELECT kvcrm.current_user_id()', t.id(who)::text),
                       ('SELECT count(*) FROM kvcrm.lead_stage_history', v.rows)) AS q (query, answer);
ROLLBACK TO parallel;

-- --- direct writes of what is derived, by those who may: derived again ---

SELECT is(t.get(NULL, statement, :system), answer, 'the system: ' || statement)
  FROM (VALUES ('UPDATE kvcrm.leads SET email_normalized = ''forged@example.com'' WHERE id = t.id(''lead_rep'') RETURNING email_normalized', 'lead_rep@example.com'),
               ('UPDATE kvcrm.leads SET phone_e164 = ''+1'' WHERE id = t.id(''lead_rep'') RETURNING coalesce(phone_e164, ''none'')', 'none'), ('UPDATE kvcrm.leads SET status = ''converted'' WHERE id = t.id(''lead_rep'') RETURNING status', 'new'),
               ('UPDATE kvcrm.leads SET block_email = ''x'' WHERE id = t.id(''lead_rep'') RETURNING coalesce(block_email, ''none'')', 'none'),
               ('UPDATE kvcrm.leads SET version = 1000 WHERE id = t.id(''lead_rep'') RETURNING version < 1000', 'true')) AS v (statement, answer);

SAVEPOINT derived;
SELECT is(t.get(NULL, statement, :system), answer, 'the system: ' || statement)
  FROM (VALUES ('UPDATE kvcrm.leads SET qualified_at = now() WHERE id = t.id(''lead_rep'') RETURNING coalesce(qualified_at::text, ''none'')', 'none'),
               ('INSERT INTO kvcrm.leads (organization_id, name, qualified_at) VALUES (t.id(''north''), ''x'', now()) RETURNING coalesce(qualified_at::text, ''none'')', 'none'),
               ('UPDATE kvcrm.leads SET stage_entered_at = ''2020-01-01'' WHERE id = t.id(''lead_rep'') RETURNING stage_entered_at > ''2020-01-02''', 'true'),
               ('UPDATE kvcrm.leads SET updated_at = ''2020-01-01'', name = ''Other'' WHERE id = t.id(''lead_rep'') RETURNING updated_at > ''2020-01-02''', 'true'),
               ('UPDATE kvcrm.leads SET stage_id = (SELECT id FROM kvcrm.lead_stages WHERE organization_id = t.id(''north'') AND name = ''Qualified''), qualified_at = ''2020-01-01'' WHERE id = t.id(''lead_rep'') RETURNING qualified_at > ''2020-01-02''', 'true'),
               ('UPDATE kvcrm.leads SET converted_at = now() WHERE id = t.id(''lead_rep'') RETURNING id', '23514'),
               ('UPDATE kvcrm.leads SET converted_at = now(), converted_to_customer_id = (SELECT id FROM kvcrm.customers LIMIT 1) WHERE id = t.id(''lead_rep'') RETURNING id', '23514'),
               ('INSERT INTO kvcrm.leads (organization_id, name, converted_at) VALUES (t.id(''north''), ''x'', now()) RETURNING id', '23514'),
               ('INSERT INTO kvcrm.leads (organization_id, name, erased_at) VALUES (t.id(''north''), ''x'', now()) RETURNING id', '23514'),
               ('UPDATE kvcrm.leads SET erased_at = now() WHERE id = t.id(''lead_rep'') RETURNING id', '23514'),
               ('UPDATE kvcrm.leads SET deleted_at = ''2020-01-01'' WHERE id = t.id(''lead_rep'') RETURNING status', 'qualified'),
               ('UPDATE kvcrm.leads SET merged_into_id = t.id(''lead_rep'') WHERE id = t.id(''lead_rep'') RETURNING id', '23514')) AS v (statement, answer);
ROLLBACK TO derived;
-- A circle of merged leads, which only the system can make by hand, is found out: nobody runs in it for ever.
SAVEPOINT circle;
UPDATE kvcrm.leads SET merged_into_id = t.id(CASE id WHEN t.id('lead_rep') THEN 'lead_mate' ELSE 'lead_rep' END) WHERE id IN (t.id('lead_rep'), t.id('lead_mate'));
SELECT matches(t.try('owner', call), '^(PT404|23514|22023|XX001|[01])$', 'in a circle: ' || call)
  FROM unnest(ARRAY['SELECT kvcrm.lead_page(t.id(''lead_rep''))', 'SELECT kvcrm.move_lead(t.id(''lead_rep''), NULL)', 'SELECT kvcrm.qualify_lead(t.id(''lead_mate''))', 'SELECT kvcrm.log_activity(t.id(''lead_rep''), ''note'', ''x'')',
                    'SELECT kvcrm.bulk_assign(ARRAY[t.id(''lead_rep'')], t.id(''owner''))', 'SELECT kvcrm.merge_leads(t.id(''lead_far''), ARRAY[t.id(''lead_rep'')])', 'SELECT kvcrm.merge_leads(t.id(''lead_rep''), ARRAY[t.id(''lead_far'')])', 'SELECT kvcrm.erase_lead(t.id(''lead_rep''))']) AS call;
ROLLBACK TO circle;

-- --- a lot at once ---

SELECT is(t.try('rep', 'SELECT kvcrm.create_lead(repeat(''ж'', 30000000))'), '22001', '60 MB are too long for a name');
SELECT is(t.try('rep', 'SELECT kvcrm.log_activity(t.id(''lead_rep''), ''note'', ''x'', repeat(''x'', 60000000))'), '22001', 'and for a description');
SELECT is(t.try('rep', 'SELECT kvcrm.check_duplicates(jsonb_build_object(''name'', repeat(''x'', 30000000)))') IN ('22001', '0', '1', '22023'), true, 'and of no use in a search for duplicates');

-- --- tables of the host that nobody thought of ---

CREATE ROLE kvcrm_ways_host;
CREATE SCHEMA t_host AUTHORIZATION kvcrm_ways_host;
GRANT USAGE ON SCHEMA kvcrm TO kvcrm_ways_host;
GRANT REFERENCES (id, organization_id) ON kvcrm.leads TO kvcrm_ways_host;
CREATE TABLE t.seen (at_what text, who text);
GRANT INSERT, SELECT ON t.seen TO PUBLIC;
SET LOCAL ROLE kvcrm_ways_host;
CREATE FUNCTION t_host.note(at_what text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO t.seen VALUES (at_what, current_user || coalesce(' could ' || (SELECT string_agg(x, ',') FROM (SELECT 'superuser' AS x WHERE (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)) s), ''));
    BEGIN
        EXECUTE 'SET LOCAL ROLE NONE';
        INSERT INTO t.seen VALUES (at_what, 'changed role');
    EXCEPTION WHEN insufficient_privilege THEN NULL;
    END;
    RETURN true;
END
$$;
CREATE FUNCTION t_host.noted(v text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM t_host.note('generated'); RETURN v; END $$;
CREATE FUNCTION t_host.ranged(v int) RETURNS int4range IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM t_host.note('exclusion'); RETURN int4range(v, v + 1); END $$;
CREATE FUNCTION t_host.noting() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM t_host.note(TG_NAME); RETURN coalesce(NEW, OLD); END $$;
CREATE DOMAIN t_host.code AS int CHECK (t_host.note('domain'));
CREATE TABLE t_host.odd (code t_host.code PRIMARY KEY, lead uuid, org uuid, n text, made text GENERATED ALWAYS AS (t_host.noted(n || lead::text)) STORED,
    FOREIGN KEY (lead, org) REFERENCES kvcrm.leads (id, organization_id), EXCLUDE USING gist (t_host.ranged(code) WITH &&));
CREATE TRIGGER a_transition AFTER UPDATE ON t_host.odd REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION t_host.noting();
CREATE TABLE t_host.plain (code int PRIMARY KEY, lead uuid, org uuid, FOREIGN KEY (lead, org) REFERENCES kvcrm.leads (id, organization_id), made text GENERATED ALWAYS AS (t_host.noted(lead::text)) STORED, EXCLUDE USING gist (t_host.ranged(code) WITH &&));
CREATE TRIGGER a_transition AFTER UPDATE ON t_host.plain REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION t_host.noting();
CREATE TABLE t_host.parts (code t_host.code, lead uuid, org uuid, n text, FOREIGN KEY (lead, org) REFERENCES kvcrm.leads (id, organization_id)) PARTITION BY HASH (lead);
CREATE TABLE t_host.part0 PARTITION OF t_host.parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE t_host.part1 PARTITION OF t_host.parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TRIGGER row_in_part BEFORE INSERT OR DELETE ON t_host.part0 FOR EACH ROW EXECUTE FUNCTION t_host.noting();
CREATE TRIGGER row_in_part BEFORE INSERT OR DELETE ON t_host.part1 FOR EACH ROW EXECUTE FUNCTION t_host.noting();
ALTER TABLE t_host.plain ENABLE ROW LEVEL SECURITY;
CREATE POLICY spy ON t_host.plain USING (t_host.note('policy'));
INSERT INTO t_host.odd VALUES (1, t.id('lead_mate'), t.id('north'), 'x');
INSERT INTO t_host.plain VALUES (1, t.id('lead_mate'), t.id('north')), (2, t.id('lead_far'), t.id('north'));
INSERT INTO t_host.parts SELECT i, t.id('lead_mate'), t.id('north'), 'x' FROM generate_series(1, 3) i;
RESET ROLE;
DELETE FROM t.seen;
SAVEPOINT merged;
SELECT matches(t.get('owner', 'SELECT l.id FROM kvcrm.merge_leads(t.id(''lead_rep''), ARRAY[t.id(''lead_mate''), t.id(''lead_far'')]) l'), '^[0-9a-f]{8}-', 'leads with rows in such tables are merged');
SELECT is((SELECT string_agg(DISTINCT at_what || ': ' || who, ', ') FROM t.seen WHERE who <> 'kvcrm_ways_host'), NULL, 'and code in them runs as their owner');
SELECT cmp_ok((SELECT count(DISTINCT at_what) FROM t.seen), '>=', 3::bigint, 'of several kinds');
SELECT is((SELECT count(*) FROM t_host.plain WHERE lead = t.id('lead_rep')), 2::bigint, 'the rows moved');
SELECT is((SELECT count(*) FROM t_host.parts WHERE lead = t.id('lead_rep')), 3::bigint, 'those in partitions too');
DELETE FROM t.seen;
SELECT is(t.try('owner', 'SELECT kvcrm.undo_merge((SELECT max(id::text)::uuid FROM kvcrm.lead_merges))', :system), '3', 'and it is undone');
SELECT is(t.run('owner', 'SELECT kvcrm.undo_merge((SELECT max(id::text)::uuid FROM kvcrm.lead_merges))', :system), '3', 'for good');
SELECT is((SELECT string_agg(DISTINCT at_what || ': ' || who, ', ') FROM t.seen WHERE who <> 'kvcrm_ways_host'), NULL, 'as their owner again');
SELECT is((SELECT string_agg(code || ' ' || (lead = t.id('lead_mate')), ', ' ORDER BY code) FROM t_host.plain), '1 true, 2 false', 'all rows are back');
ROLLBACK TO merged;
-- What is in rows of the host is told to those who could read them.
SAVEPOINT told;
GRANT REFERENCES (id, organization_id) ON kvcrm.customers TO kvcrm_ways_host;
SET LOCAL ROLE kvcrm_ways_host;
CREATE TABLE t_host.payments (customer uuid, org uuid, card text, FOREIGN KEY (customer, org) REFERENCES kvcrm.customers (id, organization_id));
CREATE TABLE t_host.picky (lead uuid, org uuid, card text, CHECK (lead <> t.id('lead_manager')), FOREIGN KEY (lead, org) REFERENCES kvcrm.leads (id, organization_id));
INSERT INTO t_host.picky VALUES (t.id('lead_mate'), t.id('north'), '4111');
RESET ROLE;
SELECT is(t.run('rep', 'SELECT kvcrm.qualify_lead(t.id(''lead_rep''))'), '1', 'a lead becomes a customer');
INSERT INTO t_host.payments SELECT id, organization_id, '4111' FROM kvcrm.customers WHERE source_lead_id = t.id('lead_rep');
CREATE FUNCTION t.told() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(', ', CASE WHEN t.message('rep', 'SELECT kvcrm.revert_conversion(t.id(''lead_rep''))') LIKE '%4111%' THEN 'revert' END,
        CASE WHEN t.message('owner', 'SELECT kvcrm.merge_leads(t.id(''lead_manager''), ARRAY[t.id(''lead_mate'')])') LIKE '%4111%' THEN 'merge' END,
        CASE WHEN t.get('owner', 'SELECT kvcrm.preview_merge(t.id(''lead_manager''), ARRAY[t.id(''lead_mate'')])') LIKE '%4111%' THEN 'preview' END) $$;
SELECT is(t.message('rep', 'SELECT kvcrm.revert_conversion(t.id(''lead_rep''))'), '23514 | the customer that the conversion made has been used since | In the way: a row of t_host.payments refers to the customer. | Revert or undo these first, or keep the customer and create a new lead.', 'whoever can''t read a table of the host hears that a row is in the way');
SELECT matches(t.message('owner', 'SELECT kvcrm.merge_leads(t.id(''lead_manager''), ARRAY[t.id(''lead_mate'')])'), '^23514 . rows of table t_host\.picky can''t be handed to another lead . new row for relation "picky" violates check constraint "[a-z_]*" . They', 'and which rule refuses');
SELECT is(t.told(), '', 'but not what is in it');
GRANT SELECT ON t_host.payments, t_host.picky TO :"api";
SELECT is(t.told(), 'revert, merge, preview', 'whoever can read it is told');
ALTER TABLE t_host.payments ENABLE ROW LEVEL SECURITY;
ALTER TABLE t_host.picky ENABLE ROW LEVEL SECURITY;
SELECT is(t.told(), '', 'but not beyond its row-level security');
ROLLBACK TO told;
-- A rule can't do anything but stand in the way.
SET LOCAL ROLE kvcrm_ways_host;
CREATE RULE also AS ON UPDATE TO t_host.odd DO ALSO SELECT t_host.note('rule');
RESET ROLE;
DELETE FROM t.seen;
SELECT matches(t.message('owner', 'SELECT kvcrm.merge_leads(t.id(''lead_rep''), ARRAY[t.id(''lead_mate'')])'), '^0A000 . rows of table t_host\.odd can''t be handed', 'a rule that does something else is an error that names the table');
SELECT is((SELECT string_agg(DISTINCT at_what || ': ' || who, ', ') FROM t.seen WHERE who <> 'kvcrm_ways_host'), NULL, 'and is run as nobody else');
SET LOCAL ROLE kvcrm_ways_host;
CREATE OR REPLACE RULE also AS ON UPDATE TO t_host.odd DO INSTEAD NOTHING;
RESET ROLE;
SELECT is(t.try('owner', 'SELECT kvcrm.merge_leads(t.id(''lead_rep''), ARRAY[t.id(''lead_mate'')])') ~ '^(1|0A000|23514|55000)$', true, 'one that does nothing breaks nothing');

SELECT is(pg_postmaster_start_time()::text, :'started', 'the server never went away');
SELECT * FROM finish();
ROLLBACK;
