-- DROP EXTENSION, and what comes down to it, stops at leads and customers: docs/dropping.md.

CREATE OR REPLACE FUNCTION kvcrm.guard_drop() RETURNS event_trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'guard_drop';
COMMENT ON FUNCTION kvcrm.guard_drop() IS
    'Event trigger: the extension is not dropped while it holds leads or customers, unless kvcrm.allow_drop is on.';

-- The commands that can reach the extension: it depends on its owner, its schema and the languages of its functions.
-- ALWAYS: a parallel restore runs with session_replication_role = replica.
DROP EVENT TRIGGER IF EXISTS kvcrm_guard_drop;
CREATE EVENT TRIGGER kvcrm_guard_drop ON ddl_command_start
    WHEN TAG IN ('DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED', 'DROP LANGUAGE')
    EXECUTE FUNCTION kvcrm.guard_drop();
ALTER EVENT TRIGGER kvcrm_guard_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER kvcrm_guard_drop IS 'DROP EXTENSION kvcrm is refused while leads or customers exist.';

-- No table is truncated while it holds rows: row triggers would not fire, so rules would break unseen.
DO $$
DECLARE
    member regclass;
BEGIN
    FOR member IN
        SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
          JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND e.oid = d.refobjid
         WHERE e.extname = 'kvcrm' AND d.deptype = 'e' AND c.relkind = 'r' ORDER BY c.relname
    LOOP
        EXECUTE pg_catalog.format('CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.refuse_truncate()', member);
    END LOOP;
END
$$;
