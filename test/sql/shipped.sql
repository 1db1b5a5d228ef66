-- check_installation() names what was added to the extension's objects or changed in them by hand, which a dump leaves
-- out, and what opens them to others; each with a way out.
BEGIN;
SELECT no_plan();

CREATE ROLE kvcrm_shipped_other;
CREATE ROLE "kvcrm shipped-odd";
CREATE SCHEMA host;
CREATE FUNCTION host.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';

-- Does `change`, looks, and takes it back. What it says must be `problem`, and with a way out.
CREATE FUNCTION pg_temp.noticed(change text, problem text, hint text DEFAULT NULL) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    said text;
    way_out text;
    left_over text;
BEGIN
    BEGIN
        EXECUTE change;
        SELECT string_agg(c.problem, '; '), string_agg(c.hint, '; ') INTO said, way_out FROM kvcrm.check_installation() c;
        IF hint IS NOT NULL THEN
            EXECUTE substring(way_out FROM '[A-Z]+ (?:TABLE|INDEX|ON|CREATE|FUNCTION).*;');
            SELECT string_agg(c.problem, '; ') INTO left_over FROM kvcrm.check_installation() c;
        END IF;
        RAISE EXCEPTION USING ERRCODE = 'ZZ001';
    EXCEPTION WHEN SQLSTATE 'ZZ001' THEN NULL;
    END;
    RETURN NEXT is(said, problem, change);
    IF hint IS NOT NULL THEN
        RETURN NEXT is(left_over, NULL, 'its hint helps');
    ELSE
        RETURN NEXT ok(length(way_out) > 20, 'it has a hint');
    END IF;
END
$$;

SELECT is((SELECT count(*) FROM kvcrm.check_installation()), 0::bigint, 'nothing to say at first');
SELECT pg_temp.noticed('ALTER TABLE kvcrm.leads ADD COLUMN mine int', 'column mine of kvcrm.leads is not of the extension');
SELECT pg_temp.noticed('CREATE INDEX mine ON kvcrm.leads (phone)', 'index mine of kvcrm.leads is not of the extension');
SELECT pg_temp.noticed('ALTER TABLE kvcrm.leads ADD CONSTRAINT mine CHECK (score < 1000000)', 'constraint mine of kvcrm.leads is not of the extension');
SELECT pg_temp.noticed('CREATE TRIGGER mine AFTER INSERT ON kvcrm.leads FOR EACH ROW EXECUTE FUNCTION host.nothing()', 'trigger mine of kvcrm.leads is not of the extension');
SELECT pg_temp.noticed('CREATE POLICY mine ON kvcrm.leads FOR SELECT USING (true)', 'policy mine of kvcrm.leads is not of the extension');
SELECT pg_temp.noticed('CREATE RULE mine AS ON DELETE TO kvcrm.teams DO INSTEAD NOTHING', 'rule mine of kvcrm.teams is not of the extension');
SELECT pg_temp.noticed('CREATE STATISTICS host.mine ON stage_id, status FROM kvcrm.leads', 'statistics mine of kvcrm.leads is not of the extension');
SELECT pg_temp.noticed('CREATE TABLE host.mine () INHERITS (kvcrm.leads)', 'host.mine inherits from kvcrm.leads');
SELECT pg_temp.noticed('ALTER TABLE kvcrm.leads ALTER name SET STATISTICS 500', 'column name of kvcrm.leads is not as it was installed');
SELECT pg_temp.noticed('ALTER TABLE kvcrm.leads ALTER name SET STORAGE external', 'column name of kvcrm.leads is not as it was installed');
SELECT pg_temp.noticed('ALTER TABLE kvcrm.leads ALTER source SET DEFAULT ''web''', 'column source of kvcrm.leads is not as it was installed');
SELECT pg_temp.noticed('ALTER TABLE kvcrm.leads ALTER email SET NOT NULL', 'column email of kvcrm.leads is not as it was installed');
SELECT pg_temp.noticed('ALTER TABLE kvcrm.leads SET (fillfactor = 70)', 'table leads is not as it was installed');
SELECT pg_temp.noticed('ALTER TABLE kvcrm.leads REPLICA IDENTITY FULL', 'table leads is not as it was installed');
SELECT pg_temp.noticed('ALTER INDEX kvcrm.leads_newest SET (fillfactor = 70)', 'index leads_newest of kvcrm.leads is not as it was installed');
SELECT pg_temp.noticed('UPDATE pg_index SET indisvalid = false WHERE indexrelid = ''kvcrm.leads_newest''::regclass', 'index leads_newest of kvcrm.leads is invalid', 'helps');
SELECT pg_temp.noticed('DROP INDEX kvcrm.leads_newest', 'index leads_newest of kvcrm.leads is missing');
SELECT pg_temp.noticed('DROP POLICY leads_select ON kvcrm.leads', 'policy leads_select of kvcrm.leads is missing');
SELECT pg_temp.noticed('ALTER POLICY leads_select ON kvcrm.leads USING (true)', 'policy leads_select of kvcrm.leads is not as it was installed');
SELECT pg_temp.noticed('DROP TRIGGER leads_before ON kvcrm.leads', 'trigger leads_before of kvcrm.leads is missing');
SELECT pg_temp.noticed('ALTER TABLE kvcrm.leads DISABLE TRIGGER leads_before', 'trigger leads_before of kvcrm.leads is disabled', 'helps');
SELECT pg_temp.noticed('ALTER TABLE kvcrm.leads ENABLE ALWAYS TRIGGER leads_before', 'trigger leads_before of kvcrm.leads is not as it was installed');
SELECT pg_temp.noticed('ALTER TABLE kvcrm.leads DISABLE ROW LEVEL SECURITY', 'table leads is without row-level security', 'helps');
SELECT pg_temp.noticed('ALTER TABLE kvcrm.leads FORCE ROW LEVEL SECURITY', 'table leads is not as it was installed');
SELECT pg_temp.noticed($f$ CREATE OR REPLACE FUNCTION kvcrm.derivation_version() RETURNS int LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS 'SELECT 0' $f$,
                       'function kvcrm.derivation_version() is not as it was installed');
SELECT pg_temp.noticed('ALTER FUNCTION kvcrm.my_tasks(timestamptz, uuid) SECURITY INVOKER', 'function kvcrm.my_tasks(timestamp with time zone,uuid) is not as it was installed');
SELECT pg_temp.noticed('ALTER FUNCTION kvcrm.my_tasks(timestamptz, uuid) SET search_path = host', 'function kvcrm.my_tasks(timestamp with time zone,uuid) is not as it was installed');
SELECT pg_temp.noticed('ALTER TABLE kvcrm.teams OWNER TO kvcrm_shipped_other', format('kvcrm.teams belongs to kvcrm_shipped_other, the extension to %I', current_user), 'helps');
SELECT pg_temp.noticed('ALTER FUNCTION kvcrm.my_tasks(timestamptz, uuid) OWNER TO kvcrm_shipped_other', format('kvcrm.my_tasks(timestamp with time zone,pg_catalog.uuid) belongs to kvcrm_shipped_other, the extension to %I', current_user), 'helps');
SELECT pg_temp.noticed('ALTER TABLE kvcrm.teams OWNER TO "kvcrm shipped-odd"', format('kvcrm.teams belongs to "kvcrm shipped-odd", the extension to %I', current_user), 'helps');
SELECT pg_temp.noticed('GRANT CREATE ON SCHEMA kvcrm TO kvcrm_shipped_other', 'kvcrm_shipped_other may create objects in schema kvcrm', 'helps');
SELECT pg_temp.noticed('GRANT CREATE ON SCHEMA kvcrm TO PUBLIC', 'PUBLIC may create objects in schema kvcrm', 'helps');

-- Settings of a session, a role or a database that change how PostgreSQL writes definitions change none.
CREATE FUNCTION pg_temp.under(setting text, value text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    before text := current_setting(setting);
    problems bigint;
BEGIN
    PERFORM set_config(setting, value, true);
    problems := (SELECT count(*) FROM kvcrm.check_installation());
    PERFORM set_config(setting, before, true);
    RETURN problems;
END
$$;
SELECT is(pg_temp.under(setting, value), 0::bigint, setting || ' = ' || value)
  FROM (VALUES ('bytea_output', 'escape'), ('quote_all_identifiers', 'on'), ('extra_float_digits', '-3'), ('datestyle', 'German'), ('intervalstyle', 'sql_standard'), ('timezone', 'Asia/Kathmandu')) AS v (setting, value);

SELECT is((SELECT count(*) FROM kvcrm.check_installation()), 0::bigint, 'nothing to say at last');

SELECT * FROM finish();
ROLLBACK;
