-- Merging and the tables of others: every row that refers to a lead follows it, written as the owner of its table.
\ir include/two_organizations.sql

CREATE FUNCTION test.lead(handle text) RETURNS void LANGUAGE sql AS $$
    SELECT test.keep(handle, l.id) FROM kvcrm.create_lead(handle, organization_id => test.id('a'), on_duplicate => 'allow') l $$;
CREATE FUNCTION test.merge(survivor text, VARIADIC duplicates text[]) RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kvcrm.merge_leads(test.id(survivor), (SELECT array_agg(test.id(d) ORDER BY n) FROM unnest(duplicates) WITH ORDINALITY AS u (d, n)));
    RETURN (SELECT m.id FROM kvcrm.lead_merges m WHERE m.undone_at IS NULL ORDER BY m.created_at DESC, m.id DESC LIMIT 1);
END
$$;
-- What became of a merge, undone again: null, or the SQLSTATE and message of its error.
CREATE FUNCTION test.try_merge(survivor text, VARIADIC duplicates text[]) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM test.merge(survivor, VARIADIC duplicates);
    RAISE EXCEPTION USING ERRCODE = 'KVUND';
EXCEPTION
    WHEN SQLSTATE 'KVUND' THEN RETURN NULL;
    WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;

DO $$
BEGIN
    CREATE ROLE kvcrm_test_host;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;
CREATE SCHEMA host AUTHORIZATION kvcrm_test_host;
GRANT USAGE ON SCHEMA kvcrm TO kvcrm_test_host;
GRANT REFERENCES ON kvcrm.leads TO kvcrm_test_host;

SELECT test.lead(l) FROM unnest(ARRAY['s', 'd1', 'd2', 'other']) AS l;

-- --- tables of many kinds ---

SET ROLE kvcrm_test_host;
CREATE TABLE host.orders (id serial PRIMARY KEY, "Lead" uuid, org uuid, n text,
    FOREIGN KEY ("Lead", org) REFERENCES kvcrm.leads (id, organization_id) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE host.tags (lead uuid, org uuid, tag text, PRIMARY KEY (lead, tag), FOREIGN KEY (org, lead) REFERENCES kvcrm.leads (organization_id, id));
CREATE TABLE host.visits (lead uuid, org uuid, day date, note text, twice text GENERATED ALWAYS AS (note || note) STORED,
    FOREIGN KEY (lead, org) REFERENCES kvcrm.leads (id, organization_id)) PARTITION BY LIST (lead);
CREATE TABLE host.visits_rest PARTITION OF host.visits DEFAULT;
CREATE TABLE host.deals (id int PRIMARY KEY, buyer uuid, seller uuid, org uuid, FOREIGN KEY (buyer, org) REFERENCES kvcrm.leads (id, organization_id),
    FOREIGN KEY (seller, org) REFERENCES kvcrm.leads (id, organization_id), CHECK (buyer <> seller));
CREATE TABLE host.slots (id int, lead uuid, org uuid, during int4range, EXCLUDE USING gist (during WITH &&) WHERE (false),
    FOREIGN KEY (lead, org) REFERENCES kvcrm.leads (id, organization_id));
CREATE UNIQUE INDEX ON host.slots (lead, lower(during));
CREATE DOMAIN host.lead_id AS uuid;
CREATE TABLE host.typed (code text COLLATE "C" NOT NULL UNIQUE, at timestamptz, lead host.lead_id, org uuid, FOREIGN KEY (lead, org) REFERENCES kvcrm.leads (id, organization_id));
RESET ROLE;
-- One leads partition is enough for the survivor: rows change partition when they move.
CREATE FUNCTION test.partition() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('CREATE TABLE host.visits_s PARTITION OF host.visits FOR VALUES IN (%L)', test.id('s')); EXECUTE 'ALTER TABLE host.visits_s OWNER TO kvcrm_test_host'; END $$;
SELECT test.partition() \g /dev/null

INSERT INTO host.orders ("Lead", org, n) SELECT test.id(l), test.id('a'), l || i FROM unnest(ARRAY['s', 'd1', 'd2', 'other']) AS l, generate_series(1, 3) AS i;
INSERT INTO host.tags SELECT test.id(l), test.id('a'), t FROM (VALUES ('s', 'vip'), ('d1', 'vip'), ('d1', 'new'), ('d2', 'new'), ('d2', 'old'), ('other', 'vip')) AS v (l, t);
INSERT INTO host.visits SELECT test.id(l), test.id('a'), '2026-01-01', n FROM (VALUES ('s', 'x'), ('d1', 'x'), ('d1', 'x'), ('d1', NULL), ('d2', 'x'), ('other', 'y')) AS v (l, n);
INSERT INTO host.deals VALUES (1, test.id('d1'), test.id('d2'), test.id('a')), (2, test.id('d1'), test.id('other'), test.id('a'));
INSERT INTO host.slots SELECT i, test.id(l), test.id('a'), int4range(i, i + 5) FROM (VALUES ('s', 1), ('d1', 1), ('d1', 2), ('d2', 2)) AS v (l, i);
INSERT INTO host.typed VALUES ('a', '2026-01-01 10:00:00.123456+03', test.id('d1'), test.id('a')), ('b', NULL, test.id('d2'), test.id('a'));
-- The key is satisfied by a row whose organization is null; such a row belongs to nobody.
INSERT INTO host.orders ("Lead", org, n) VALUES (test.id('d1'), NULL, 'stray');

CREATE VIEW test.host AS
    SELECT format('orders %s %s', id, n) AS item, "Lead" AS lead FROM host.orders UNION ALL SELECT 'tag ' || tag, lead FROM host.tags
    UNION ALL SELECT format('visit %s %s', note, twice), lead FROM host.visits UNION ALL SELECT 'buyer ' || id, buyer FROM host.deals
    UNION ALL SELECT 'seller ' || id, seller FROM host.deals UNION ALL SELECT 'slot ' || id, lead FROM host.slots UNION ALL SELECT format('typed %s %s', code, at), lead FROM host.typed;
CREATE TABLE test.before AS SELECT item, lead, count(*) FROM test.host GROUP BY item, lead;

-- Buyer and seller would be one: the table's own rule refuses it, and the merge says which table it was.
SELECT matches(test.try_merge('s', 'd1', 'd2'), '^23514 rows of table host\.deals can''t be handed to another lead', 'a rule of the host is an error that names the table');
SELECT is((test.error_of($$ SELECT test.merge('s', 'd1', 'd2') $$)).detail ~ 'deals_check', true, 'and tells its reason');
SELECT results_eq('SELECT item, lead, count(*) FROM test.host GROUP BY 1, 2 ORDER BY 1, 2', 'SELECT * FROM test.before ORDER BY 1, 2', 'and nothing has moved');
UPDATE host.deals SET seller = test.id('other') WHERE id = 1;
DROP TABLE test.before;
CREATE TABLE test.before AS SELECT item, lead, count(*) FROM test.host GROUP BY item, lead;

-- The preview counts, and changes nothing.
SELECT is((SELECT string_agg(concat_ws(' ', t->>'table', t->>'column', t->>'rows', t->>'collisions'), ', ') FROM jsonb_array_elements(kvcrm.preview_merge(test.id('s'), ARRAY[test.id('d1'), test.id('d2')])->'tables') AS t),
    'host.deals buyer 2 0, host.orders Lead 6 0, host.slots lead 1 2, host.tags lead 2 2, host.typed lead 2 0, host.visits lead 4 0, kvcrm.lead_stage_history lead_id 2 0', 'preview_merge counts rows and collisions per table');
SELECT results_eq('SELECT item, lead, count(*) FROM test.host GROUP BY 1, 2 ORDER BY 1, 2', 'SELECT * FROM test.before ORDER BY 1, 2', 'and leaves them');

SELECT test.keep('merge', test.merge('s', 'd1', 'd2')) \g /dev/null
SELECT is((SELECT string_agg(item, ', ' ORDER BY item) FROM test.host WHERE lead IN (test.id('d1'), test.id('d2'))),
    'orders 13 stray, slot 1, slot 2, tag new, tag vip', 'rows that collide stay with the lead they were of, all others move');
SELECT is((SELECT count(*) FROM test.host), (SELECT sum(count)::bigint FROM test.before), 'none is lost');
SELECT is((SELECT count(*) FROM host.visits_s), 5::bigint, 'rows of a partitioned table change partition');
SELECT is((SELECT count(*) FROM test.host WHERE lead = test.id('other')), 7::bigint, 'other leads keep theirs');
SELECT is((SELECT sum(jsonb_array_length(t->'left')) FROM kvcrm.lead_merges m, jsonb_array_elements(m.before_image->'tables') AS t WHERE m.id = test.id('merge')), 4::bigint, 'the journal names those that stayed');
SELECT lives_ok($$ UPDATE host.orders SET n = n WHERE id = 1 $$, 'the session''s constraints work as before');
BEGIN;
UPDATE host.orders SET "Lead" = test.id('unknown') WHERE id = 1;
SELECT pass('what is initially deferred still is');
ROLLBACK;

SELECT set_config('timezone', 'Asia/Tokyo', false) \g /dev/null
SELECT is((SELECT count(*) FROM kvcrm.undo_merge(test.id('merge'))), 3::bigint, 'the merge is undone');
SELECT set_config('timezone', 'Europe/Moscow', false) \g /dev/null
UPDATE test.before SET item = h.item FROM test.host h WHERE h.item LIKE 'typed a%' AND test.before.item LIKE 'typed a%';
SELECT results_eq('SELECT item, lead, count(*) FROM test.host GROUP BY 1, 2 ORDER BY 1, 2', 'SELECT * FROM test.before ORDER BY 1, 2', 'and every row is back where it was, one without a key too');

-- What was changed since is left and named.
SELECT test.keep('merge 2', test.merge('s', 'd1', 'd2')) \g /dev/null
CREATE TABLE test.changed AS SELECT jsonb_agg(jsonb_build_object('id', id) ORDER BY id) AS rows FROM host.orders WHERE n IN ('d11', 'd12');
DELETE FROM host.orders WHERE n = 'd11';
UPDATE host.orders SET "Lead" = test.id('other') WHERE n = 'd12';
UPDATE host.orders SET n = 'renamed' WHERE n = 'd13';
DELETE FROM host.tags WHERE tag = 'old';
INSERT INTO host.tags VALUES (test.id('d2'), test.id('a'), 'late');
UPDATE host.tags SET tag = 'late' WHERE lead = test.id('s') AND tag = 'new';
INSERT INTO host.tags VALUES (test.id('s'), test.id('a'), 'old');
SELECT kvcrm.undo_merge(test.id('merge 2')) \g /dev/null
SELECT is((SELECT string_agg(n, ' ' ORDER BY n) FROM host.orders WHERE "Lead" = test.id('d1') AND org IS NOT NULL), 'renamed', 'a row that was edited goes back as it is');
SELECT is((SELECT "Lead" FROM host.orders WHERE n = 'd12'), test.id('other'), 'one that refers to another lead by now is left');
SELECT is((SELECT jsonb_agg(x ORDER BY x->>'table') FROM kvcrm.activity_logs g, jsonb_array_elements(g.changes #> '{left,new}') AS x WHERE g.entity_id = test.id('s') AND g.action = 'unmerged' AND g.changes ? 'left'),
    jsonb_build_array(jsonb_build_object('table', 'host.orders', 'rows', (SELECT rows FROM test.changed)),
                      jsonb_build_object('table', 'host.tags', 'rows', jsonb_build_array(jsonb_build_object('lead', test.id('s'), 'tag', 'new')))), 'and the log of the undo names it, what is gone too');

-- A row that comes into the place of one that moved.
SELECT test.lead('s2'), test.lead('d3') \g /dev/null
INSERT INTO host.tags VALUES (test.id('d3'), test.id('a'), 'k');
SELECT test.keep('merge 3', test.merge('s2', 'd3')) \g /dev/null
INSERT INTO host.tags VALUES (test.id('d3'), test.id('a'), 'k');
SELECT lives_ok($$ SELECT kvcrm.undo_merge(test.id('merge 3')) $$, 'a place that was taken since hinders no undo');
SELECT is((SELECT count(*) FROM host.tags WHERE tag = 'k' AND lead = test.id('s2')), 1::bigint, 'the row stays with the survivor');

-- --- rights ---

CREATE SCHEMA IF NOT EXISTS elsewhere AUTHORIZATION kvcrm_test_host;
SELECT test.lead(l) FROM unnest(ARRAY['v', 'w']) AS l \g /dev/null
INSERT INTO host.orders ("Lead", org, n) VALUES (test.id('w'), test.id('a'), 'w');
SELECT is(test.try_merge('v', 'w'), NULL, 'the caller needs no rights on tables of the host');
SELECT is(test.as_user('manager', $$ SELECT l.id FROM kvcrm.preview_merge(test.id('v'), ARRAY[test.id('w')]) p, jsonb_to_record(p->'lead') AS l (id uuid) $$)::uuid, test.id('v'), 'nor do clients');
REVOKE UPDATE ON host.orders FROM kvcrm_test_host;
SELECT matches(test.try_merge('v', 'w'), '^42501 rows of table host\.orders can''t be handed', 'an owner who may not write refuses, by name');
SELECT is((SELECT p #>> '{obstacles,0,code}' FROM kvcrm.preview_merge(test.id('v'), ARRAY[test.id('w')]) p), '42501', 'the preview tells it');
GRANT UPDATE ON host.orders TO kvcrm_test_host;
ALTER TABLE host.orders ENABLE ROW LEVEL SECURITY;
SELECT is(test.try_merge('v', 'w'), NULL, 'row-level security doesn''t bind the owner');
ALTER TABLE host.orders FORCE ROW LEVEL SECURITY;
SELECT matches(test.try_merge('v', 'w'), '^42501 rows of table host\.orders can''t be handed', 'unless it is forced: then rows would stay unseen, and that is an error');
ALTER TABLE host.orders NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;

-- Whoever has code in the table: it runs as the owner of the table, and as nobody else.
CREATE TABLE host.seen (at_what text, who name, outer_error text);
ALTER TABLE host.seen OWNER TO kvcrm_test_host;
CREATE FUNCTION host.attack(at_what text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    attempt text;
    error text;
BEGIN
    -- Statements of the test itself can do all that it tries.
    IF current_setting('host.armed', true) IS DISTINCT FROM 'on' THEN RETURN true; END IF;
    FOREACH attempt IN ARRAY ARRAY['ALTER ROLE kvcrm_test_host SUPERUSER', 'RESET ROLE', 'SET SESSION AUTHORIZATION DEFAULT', 'SET ROLE postgres',
        'UPDATE kvcrm.organization_members SET role_slug = ''owner''', 'DELETE FROM kvcrm.activity_logs', 'UPDATE kvcrm.leads SET name = ''mine''',
        'INSERT INTO kvcrm.lead_merges DEFAULT VALUES', 'CREATE TEMP TABLE t (a int)', 'GRANT kvcrm_test_host TO kvcrm_test_client WITH ADMIN OPTION, pg_write_server_files'] LOOP
        BEGIN
            EXECUTE attempt;
            error := coalesce(error || '; ', '') || attempt;
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
    INSERT INTO host.seen VALUES (at_what, current_user, error);
    RETURN true;
END
$$;
CREATE FUNCTION host.attack_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM host.attack(TG_NAME); RETURN NEW; END $$;
CREATE FUNCTION host.attack_index(n text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM host.attack('index'); RETURN n; END $$;
ALTER FUNCTION host.attack(text) OWNER TO kvcrm_test_host;
ALTER FUNCTION host.attack_trigger() OWNER TO kvcrm_test_host;
ALTER FUNCTION host.attack_index(text) OWNER TO kvcrm_test_host;
SET ROLE kvcrm_test_host;
CREATE TABLE host.trap (id int PRIMARY KEY, lead uuid, org uuid, n text, FOREIGN KEY (lead, org) REFERENCES kvcrm.leads (id, organization_id) DEFERRABLE INITIALLY DEFERRED);
CREATE TRIGGER before_row BEFORE UPDATE ON host.trap FOR EACH ROW EXECUTE FUNCTION host.attack_trigger();
CREATE TRIGGER after_statement AFTER UPDATE ON host.trap FOR EACH STATEMENT EXECUTE FUNCTION host.attack_trigger();
CREATE CONSTRAINT TRIGGER deferred AFTER UPDATE ON host.trap DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION host.attack_trigger();
CREATE INDEX ON host.trap (host.attack_index(n), lead);
ALTER TABLE host.trap ADD CHECK (host.attack('check'));
RESET ROLE;
GRANT USAGE ON SCHEMA test TO kvcrm_test_host;
GRANT SELECT ON test.ids TO kvcrm_test_host;
-- Its own statements run its code with its own rights.
SET ROLE kvcrm_test_host;
INSERT INTO host.trap VALUES (1, test.id('w'), test.id('a'), 'n');
RESET ROLE;
SET host.armed = on;
SELECT test.keep('merge 4', test.merge('v', 'w')) \g /dev/null
SELECT results_eq('SELECT at_what, who, outer_error FROM host.seen GROUP BY 1, 2, 3 ORDER BY 1', $$ SELECT w, 'kvcrm_test_host'::name, NULL FROM unnest(ARRAY['after_statement', 'before_row', 'check', 'deferred', 'index']) AS w $$,
    'triggers, index expressions, CHECKs and deferred triggers run as the table''s owner, and nothing they try succeeds');
SELECT is((SELECT rolsuper FROM pg_roles WHERE rolname = 'kvcrm_test_host'), false, 'no trigger made its author a superuser');
SELECT is((SELECT lead FROM host.trap), test.id('v'), 'the row moved all the same');
TRUNCATE host.seen;
SELECT kvcrm.undo_merge(test.id('merge 4')) \g /dev/null
SELECT is((SELECT string_agg(DISTINCT who, ' ') FROM host.seen WHERE outer_error IS NULL), 'kvcrm_test_host', 'an undo writes as the owner too');
SELECT is((SELECT lead FROM host.trap), test.id('w'), 'and brings the row back');
RESET host.armed;

-- Work that was put off before, by the caller, is done before we act, not later with rights of ours.
TRUNCATE host.seen;
BEGIN;
SET LOCAL ROLE kvcrm_test_host;
UPDATE host.trap SET n = 'pending';
RESET ROLE;
SET LOCAL host.armed = on;
SELECT test.merge('v', 'w') \g /dev/null
SELECT is((SELECT string_agg(DISTINCT concat_ws(' ', who, outer_error), ', ') FROM host.seen WHERE at_what = 'deferred'), 'kvcrm_test_host', 'what was pending runs as the table''s owner');
ROLLBACK;
-- Another table has a constraint of the same name: its pending work would run as the wrong owner.
CREATE TABLE host.namesake (id int);
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON host.namesake DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION host.attack_trigger();
BEGIN;
INSERT INTO host.namesake VALUES (1);
SELECT matches(test.try_merge('v', 'w'), '^55000 rows of table host\.trap can''t be handed', 'pending work of another owner''s table is not done in passing');
ROLLBACK;
SELECT is(test.try_merge('v', 'w'), NULL, 'without any, it is no hindrance');

-- A trigger that refuses, and one whose function needs another search path.
CREATE FUNCTION host.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'closed year'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON host.trap FOR EACH ROW EXECUTE FUNCTION host.refuse();
SELECT matches(test.try_merge('v', 'w'), '^P0001 rows of table host\.trap can''t be handed', 'a trigger that refuses is told with its own SQLSTATE');
SELECT is((test.error_of($$ SELECT test.merge('v', 'w') $$)).detail, 'closed year', 'and its message');
DROP TRIGGER refuse ON host.trap;
-- Functions of ours that a host's trigger calls ask for the caller's own rights again.
CREATE FUNCTION host.assign() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE kvcrm.leads SET assigned_to = test.id('manager') WHERE id = NEW.lead; RETURN NEW; END $$;
CREATE TRIGGER assign AFTER UPDATE ON host.trap FOR EACH ROW EXECUTE FUNCTION host.assign();
SELECT matches(test.try_merge('v', 'w'), '^42501 rows of table host\.trap', 'a trigger has no rights on leads that its owner lacks');
DROP TRIGGER assign ON host.trap;
SELECT kvcrm.grant_api('kvcrm_test_host');
CREATE FUNCTION host.join_in() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM kvcrm.add_member(test.id('stranger'), 'owner', organization_id => NEW.org); RETURN NEW; END $$;
CREATE TRIGGER join_in AFTER UPDATE ON host.trap FOR EACH ROW EXECUTE FUNCTION host.join_in();
SELECT matches(test.try_merge('v', 'w'), '^42501 rows of table host\.trap', 'nor is it the system because the system merges');
SELECT is_empty($$ SELECT FROM kvcrm.organization_members WHERE user_id = test.id('stranger') $$, 'nobody joined');
DROP TRIGGER join_in ON host.trap;
SELECT is(test.try_merge('v', 'w'), NULL, 'the system is the system again afterwards');

SELECT is((SELECT count(*) FROM kvcrm.lead_merges WHERE undone_at IS NULL), 0::bigint, 'all has been undone');
DROP SCHEMA host, elsewhere CASCADE;
DROP OWNED BY kvcrm_test_host;
SELECT * FROM finish();
