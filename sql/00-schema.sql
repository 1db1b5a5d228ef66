-- What must be true before anything is created.

DO $$
BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = 'kvcrm needs a database with encoding UTF8';
    END IF;
    -- A squatter who owns the schema, or may create in it, could shadow our functions with closer matches.
    IF (SELECT n.nspowner FROM pg_catalog.pg_namespace n WHERE n.nspname = 'kvcrm')
        <> (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'schema kvcrm exists and is owned by another role',
            HINT = 'Drop or rename it, then install again.';
    END IF;
    -- What PUBLIC has is taken back below; a named role got its right from somebody, who should know.
    IF EXISTS (SELECT FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
                WHERE n.nspname = 'kvcrm' AND a.privilege_type = 'CREATE' AND a.grantee NOT IN (0, n.nspowner)) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'another role may create objects in schema kvcrm',
            HINT = 'Revoke CREATE on the schema, or drop it, then install again.';
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'kvcrm'::pg_catalog.regnamespace)
        OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = 'kvcrm'::pg_catalog.regnamespace)
        OR EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.typnamespace = 'kvcrm'::pg_catalog.regnamespace)
        OR EXISTS (SELECT FROM pg_catalog.pg_operator o WHERE o.oprnamespace = 'kvcrm'::pg_catalog.regnamespace) THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object',
            MESSAGE = 'schema kvcrm is not empty',
            HINT = 'Drop or rename it, then install again.';
    END IF;
END
$$;

REVOKE ALL ON SCHEMA kvcrm FROM PUBLIC;
COMMENT ON SCHEMA kvcrm IS 'kvcrm: a B2B CRM core inside PostgreSQL';
