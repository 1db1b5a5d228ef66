-- For memory.sh: calls of every function of the API that succeed, calls that are refused, and direct statements, in test.calls.
\set calls_only 1
\ir ../sql/bad_input.sql

CREATE FUNCTION test.heap() RETURNS bigint LANGUAGE c AS '$libdir/kvcrm_boundary', 'boundary_heap';

-- Bytes of this backend's memory that are in use: what malloc has given out, to C++ and to memory contexts, without what
-- is free in those. Exact, where the memory of a process tells of pages, and malloc of whole blocks.
CREATE FUNCTION test.in_use() RETURNS bigint SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE sql
    AS 'SELECT test.heap() - sum(free_bytes)::bigint FROM pg_backend_memory_contexts';

-- How a line of figures begins that memory.sh reads.
CREATE FUNCTION test.figures(n int, batch int) RETURNS text LANGUAGE sql AS $$ SELECT concat_ws(' ', 'figures', n, batch, test.in_use()) $$;
-- Kilobytes of the process that are its own.
CREATE FUNCTION test.resident() RETURNS text SECURITY DEFINER LANGUAGE sql
    AS $$ SELECT 'resident ' || substring(pg_read_file('/proc/self/status') FROM 'RssAnon:\s*(\d+)') $$;

-- Microseconds that a statement takes once what it needs is prepared; nothing of it stays.
CREATE FUNCTION test.cost(statement text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE since timestamptz;
BEGIN
    FOR i IN 1 .. 3 LOOP
        since := clock_timestamp();
        BEGIN
            EXECUTE statement;
            RAISE 'back';
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
    RETURN extract(epoch FROM clock_timestamp() - since) * 1e6;
END $$;

CREATE TABLE test.calls (n int GENERATED ALWAYS AS IDENTITY, name text, kind text, statement text);
-- Those that succeed.
INSERT INTO test.calls (name, kind, statement)
SELECT name, 'good', CASE WHEN min(required) > 0 THEN test.call(oid, '', '') ELSE format('SELECT count(*) FROM kvcrm.%I()', name) END FROM test.functions GROUP BY oid, name ORDER BY name;
-- Those that are refused: for a null, for what there is not, and by a member whose role allows nothing of the kind.
INSERT INTO test.calls (name, kind, statement)
SELECT name, 'null', test.call(oid, argument, 'NULL') FROM test.functions f
 WHERE i = 1 AND required > 0 AND argument <> 'organization_id' AND test.outcome_of(test.call(oid, argument, 'NULL')) = '22023' ORDER BY name;
INSERT INTO test.calls (name, kind, statement)
SELECT name, 'unknown', test.call(oid, argument, format('%L::uuid', test.id('unknown'))) FROM test.functions f
 WHERE type = 'uuid'::regtype AND (i = 1 OR argument = 'organization_id')
   AND test.outcome_of(test.call(oid, argument, format('%L::uuid', test.id('unknown')))) IS NOT NULL ORDER BY name;
-- What a refused row of a bulk call leaves: an error that was caught inside.
INSERT INTO test.calls (name, kind, statement)
SELECT name, 'good rows and bad', test.call(oid, 'lead_ids', format('ARRAY[%L, %L, %L]::uuid[]', test.id('unknown'), test.id('lead'), test.id('gone')))
  FROM test.functions WHERE argument = 'lead_ids' ORDER BY name;
-- Direct statements: policies and triggers.
INSERT INTO test.calls (name, kind, statement) VALUES
    ('leads', 'select', 'SELECT count(*) FROM kvcrm.leads'),
    ('leads', 'insert', $$INSERT INTO kvcrm.leads (organization_id, name, email, phone, company) VALUES ('$$ || test.id('a') || $$', 'Анна Müller', 'anna@mail.example', '8 916 123-45-67', 'ООО «Фирма»')$$),
    ('leads', 'update', $$UPDATE kvcrm.leads SET name = name || 'x', phone = '+7 916 000-00-00' WHERE id = '$$ || test.id('lead') || $$'$$),
    ('leads', 'refused', $$UPDATE kvcrm.leads SET email = '@' WHERE id = '$$ || test.id('lead') || $$'$$),
    ('lead_activities', 'insert', $$INSERT INTO kvcrm.lead_activities (organization_id, lead_id, type, title) VALUES ('$$ || test.id('a') || $$', '$$ || test.id('lead') || $$', 'note', 'Заметка')$$),
    ('lead_stages', 'update', $$UPDATE kvcrm.lead_stages SET description = 'x' WHERE organization_id = '$$ || test.id('a') || $$'$$),
    ('activity_logs', 'select', 'SELECT count(*) FROM kvcrm.activity_logs');
-- A life of a lead that is committed.
CREATE FUNCTION test.life() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    lead uuid := (SELECT id FROM kvcrm.create_lead('Пётр Ким', 'kim@firma.example', '8 916 765-43-21', 'ООО «Ким»', organization_id => test.id('a')));
    other uuid := (SELECT id FROM kvcrm.create_lead('Kim P.', 'kim@firma.example', organization_id => test.id('a')));
    merge uuid;
BEGIN
    PERFORM kvcrm.log_activity(lead, 'call', 'Звонок'), kvcrm.move_lead(lead, test.stage('a', 2)), kvcrm.find_duplicates(lead);
    PERFORM kvcrm.merge_leads(lead, ARRAY[other]);
    PERFORM kvcrm.qualify_lead(lead), kvcrm.revert_conversion(lead);
    PERFORM kvcrm.erase_lead(other), kvcrm.erase_lead(lead);
    RETURN 1;
END
$$;
-- What does leave something, to see that it would show: PostgreSQL never forgets the name of a setting.
INSERT INTO test.calls (name, kind, statement) VALUES ('a setting', 'leaking', $$SELECT set_config('memory.x' || md5(random()::text), 'x', true)$$);
INSERT INTO test.calls (name, kind, statement) VALUES ('a lead''s life', 'committed', 'SELECT test.life()');
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA test TO kvcrm_test_client;
