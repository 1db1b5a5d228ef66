-- Rights of database roles on the API. What a role may do inside it is decided by its user's permissions.

CREATE OR REPLACE FUNCTION kvcrm.api_privileges()
    RETURNS TABLE (object_type text, object_name text, privilege text, columns text[])
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'schema', 'kvcrm', 'USAGE', NULL::text[]
    UNION ALL
    -- Everything but triggers and what only the owner may call.
    SELECT 'function', p.oid::regprocedure::text, 'EXECUTE', NULL
      FROM pg_proc p
      JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'kvcrm'
     WHERE p.pronamespace = 'kvcrm'::regnamespace
       AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
       AND p.proname NOT IN ('grant_api', 'api_privileges', 'check_installation', 'prepare_statements', 'derivation_version',
                             'search_keys', 'field_fits', 'catalog_parts', 'shipped_parts')
    UNION ALL
    SELECT 'table', 'kvcrm.' || t.name, 'SELECT', NULL
      FROM unnest(ARRAY['organizations', 'roles', 'teams', 'organization_members', 'lead_stages',
                        'lead_stage_transitions', 'lead_sources', 'custom_field_definitions', 'leads', 'lead_stage_history',
                        'lead_activities', 'customers', 'customer_contacts', 'quotes', 'activity_logs',
                        'duplicate_pairs', 'lead_imports', 'scoring_rules', 'assignment_rules', 'feed_consumers']) AS t (name)
    UNION ALL
    SELECT 'table', 'kvcrm.' || t.name, 'DELETE', NULL FROM unnest(ARRAY['custom_field_definitions', 'scoring_rules', 'assignment_rules']) AS t (name)
    UNION ALL
    SELECT 'columns', 'kvcrm.' || t.name, v.privilege, string_to_array(v.columns, ' ')
      FROM (VALUES
        ('organizations', NULL, 'name locale default_country currency duplicate_policy settings'),
        ('roles', 'organization_id slug name permissions', 'name permissions'),
        ('teams', 'organization_id name', 'name'),
        ('organization_members', 'organization_id user_id role_slug team_id display_name email',
            'role_slug team_id status display_name email assignment_weight assignment_capacity'),
        ('lead_stages', 'organization_id name description is_qualified outcome probability order_index color rotting_days',
            'name description is_qualified outcome probability order_index color rotting_days'),
        ('lead_stage_transitions', 'organization_id from_stage_id to_stage_id required_fields', 'required_fields'),
        ('lead_sources', 'organization_id slug name', 'name'),
        ('custom_field_definitions',
            'organization_id entity key name type required required_from_stage_id options order_index',
            'name type required required_from_stage_id options order_index'),
        ('assignment_rules', 'organization_id order_index field operator value team_id user_id',
            'order_index field operator value team_id user_id'),
        ('scoring_rules', 'organization_id field operator value points', 'field operator value points'),
        ('leads', 'organization_id name email phone company position inn source stage_id assigned_to estimated_value'
            || ' currency custom_fields',
            'name email phone company position inn source stage_id assigned_to estimated_value currency custom_fields'
            || ' lost_reason'),
        ('lead_activities', 'organization_id lead_id type title description due_date completed_at assigned_to metadata',
            'type title description due_date completed_at assigned_to metadata'),
        ('customers', 'organization_id name company inn email phone notes custom_fields owner_user_id',
            'name company inn email phone notes custom_fields owner_user_id deleted_at'),
        ('customer_contacts', 'organization_id customer_id name email phone position is_primary',
            'name email phone position is_primary'),
        ('quotes', 'organization_id lead_id customer_id number title amount currency custom_fields',
            'number title amount currency status custom_fields')
      ) AS t (name, insertable, updatable),
      LATERAL (VALUES ('INSERT', t.insertable), ('UPDATE', t.updatable)) AS v (privilege, columns)
     WHERE v.columns IS NOT NULL
$$;
COMMENT ON FUNCTION kvcrm.api_privileges() IS 'Every privilege that grant_api gives, one row each.';

CREATE OR REPLACE FUNCTION kvcrm.grant_api(role_name text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    owner oid := (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'kvcrm');
    given record;
    object record;
BEGIN
    IF role_name IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'role_name is required';
    END IF;
    IF NOT (SELECT r.rolsuper OR r.oid = owner FROM pg_roles r WHERE r.rolname = current_user) THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'only a superuser or the owner of kvcrm may grant the API';
    END IF;
    IF lower(role_name) = 'public' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'the API is granted to named roles, not to PUBLIC';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role_name) THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'role does not exist', DETAIL = format('Role: %s.', role_name);
    END IF;
    -- Two who grant at once, scripts of a deployment say, would meet at one object: tuple concurrently updated.
    LOCK TABLE kvcrm.api_roles IN SHARE ROW EXCLUSIVE MODE;
    INSERT INTO kvcrm.api_roles AS a (role_name) VALUES (grant_api.role_name)
        ON CONFLICT ON CONSTRAINT api_roles_pkey DO UPDATE SET updated_at = now();
    -- The owner has all rights, and functions work with them: none is taken back.
    IF EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role_name AND r.oid = owner) THEN
        RETURN;
    END IF;
    -- Start from nothing, so that what an older version granted doesn't stay.
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA kvcrm FROM %I', role_name);
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA kvcrm FROM %I', role_name);
    EXECUTE format('REVOKE ALL ON SCHEMA kvcrm FROM %I', role_name);
    -- A column privilege of an older version is not touched by revoking the table's.
    FOR object IN
        SELECT c.oid::regclass AS name, string_agg(quote_ident(a.attname), ', ') AS columns
          FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relnamespace = 'kvcrm'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped AND a.attacl IS NOT NULL
         GROUP BY c.oid
    LOOP
        EXECUTE format('REVOKE ALL (%s) ON %s FROM %I', object.columns, object.name, role_name);
    END LOOP;
    FOR given IN SELECT * FROM kvcrm.api_privileges() LOOP
        IF given.object_type = 'columns' THEN
            EXECUTE format('GRANT %s (%s) ON %s TO %I', given.privilege,
                (SELECT string_agg(quote_ident(c), ', ') FROM unnest(given.columns) AS c), given.object_name, role_name);
        ELSE
            EXECUTE format('GRANT %s ON %s %s TO %I', given.privilege, given.object_type, given.object_name, role_name);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION kvcrm.grant_api(text) IS
    'Gives a database role what API clients need, and nothing else; run it again after an update or a restore. For a superuser or the owner. 22023 for PUBLIC or an unknown role; 42501.';

CREATE OR REPLACE FUNCTION kvcrm.check_installation() RETURNS TABLE (problem text, hint text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('role %s lacks privileges of the API', a.role_name),
           format('SELECT kvcrm.grant_api(%L);', a.role_name)
      FROM kvcrm.api_roles a JOIN pg_roles r ON r.rolname = a.role_name
     WHERE EXISTS (
        SELECT FROM kvcrm.api_privileges() p
         WHERE CASE p.object_type
            WHEN 'schema' THEN NOT has_schema_privilege(r.oid, p.object_name, p.privilege)
            WHEN 'function' THEN NOT has_function_privilege(r.oid, p.object_name, p.privilege)
            WHEN 'table' THEN NOT has_table_privilege(r.oid, p.object_name, p.privilege)
            ELSE EXISTS (SELECT FROM unnest(p.columns) AS c
                          WHERE NOT has_column_privilege(r.oid, p.object_name, c, p.privilege))
            END)
    UNION ALL
    SELECT format('role %s was granted the API but does not exist in this cluster', a.role_name),
           format('CREATE ROLE %I; SELECT kvcrm.grant_api(%L);', a.role_name, a.role_name)
      FROM kvcrm.api_roles a
     WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = a.role_name)
    UNION ALL
    SELECT format('version %s is installed, %s is available', e.extversion, v.default_version),
           'ALTER EXTENSION kvcrm UPDATE;'
      FROM pg_extension e JOIN pg_available_extensions v ON v.name = e.extname
     WHERE e.extname = 'kvcrm' AND e.extversion <> v.default_version
    UNION ALL
    SELECT 'nothing keeps DROP EXTENSION from dropping data: the event trigger kvcrm_guard_drop is ' || g.state, g.way_out
      FROM (SELECT CASE WHEN t.oid IS NULL THEN 'missing' WHEN t.evtenabled <> 'A' THEN 'disabled'
                        -- From PostgreSQL 17; what a session says for itself is seen in that session only.
                        WHEN current_setting('event_triggers', true) = 'off' THEN 'switched off by event_triggers' END,
                   CASE WHEN t.oid IS NULL THEN
                            'CREATE EVENT TRIGGER kvcrm_guard_drop ON ddl_command_start'
                            ' WHEN TAG IN (''DROP EXTENSION'', ''DROP SCHEMA'', ''DROP OWNED'', ''DROP LANGUAGE'')'
                            ' EXECUTE FUNCTION kvcrm.guard_drop(); ALTER EVENT TRIGGER kvcrm_guard_drop ENABLE ALWAYS;'
                            ' ALTER EXTENSION kvcrm ADD EVENT TRIGGER kvcrm_guard_drop;'
                        WHEN t.evtenabled <> 'A' THEN 'ALTER EVENT TRIGGER kvcrm_guard_drop ENABLE ALWAYS;'
                        ELSE 'SET event_triggers = on;' END
              FROM (SELECT) AS one
              LEFT JOIN pg_event_trigger t ON t.evtname = 'kvcrm_guard_drop' AND t.evtfoid = to_regproc('kvcrm.guard_drop')) AS g (state, way_out)
     WHERE g.state IS NOT NULL
    UNION ALL
    SELECT format('role %I owns the event trigger kvcrm_guard_drop and is no superuser: pg_upgrade fails', r.rolname),
           format('ALTER EVENT TRIGGER kvcrm_guard_drop OWNER TO %I;', (SELECT b.rolname FROM pg_roles b WHERE b.oid = 10))
      FROM pg_event_trigger t JOIN pg_roles r ON r.oid = t.evtowner
     WHERE t.evtname = 'kvcrm_guard_drop' AND NOT r.rolsuper
    UNION ALL
    -- What was added to the tables: a dump leaves it out.
    SELECT format('%s %s of kvcrm.%s is not of the extension', c.kind, c.name, c.part_of),
           CASE c.kind
               WHEN 'column' THEN 'A dump holds its values but not the column, so the table does not load: keep them in custom_fields or a table of your own.'
               ELSE 'A dump leaves it out: keep the command, and run it again after a restore.'
           END
      FROM kvcrm.catalog_parts() c
     WHERE c.kind <> 'function' AND NOT EXISTS (SELECT FROM kvcrm.shipped_parts() s WHERE (s.kind, s.part_of, s.name) = (c.kind, c.part_of, c.name))
    UNION ALL
    SELECT format('%s inherits from %s', h.inhrelid::regclass, h.inhparent::regclass),
           format('Its rows are read with those of %2$s, and no rule of kvcrm holds for them: ALTER TABLE %1$s NO INHERIT %2$s;', h.inhrelid::regclass, h.inhparent::regclass)
      FROM pg_inherits h JOIN pg_class r ON r.oid = h.inhparent
     WHERE r.relnamespace = 'kvcrm'::regnamespace AND r.relkind = 'r'
    UNION ALL
    SELECT format('%s %s%s is %s', s.kind, s.name, ' of kvcrm.' || nullif(nullif(s.part_of, s.name), ''), CASE
               WHEN c.kind IS NULL THEN 'missing'
               WHEN t.tgenabled = 'D' THEN 'disabled'
               WHEN NOT i.indisvalid THEN 'invalid'
               WHEN s.kind = 'table' AND NOT r.relrowsecurity AND r.relkind = 'r' THEN 'without row-level security'
               ELSE 'not as it was installed' END),
           CASE
               WHEN c.kind IS NULL THEN 'Rules do not hold without it. ALTER EXTENSION kvcrm UPDATE makes functions, triggers and policies again; restoring a dump makes everything again.'
               WHEN t.tgenabled = 'D' THEN format('ALTER TABLE kvcrm.%I ENABLE TRIGGER %I;', s.part_of, s.name)
               WHEN NOT i.indisvalid THEN format('REINDEX INDEX kvcrm.%I;', s.name)
               WHEN s.kind = 'table' AND NOT r.relrowsecurity AND r.relkind = 'r' THEN format('ALTER TABLE kvcrm.%I ENABLE ROW LEVEL SECURITY;', s.name)
               WHEN s.kind = 'function' THEN 'A dump and an update bring back the function of the extension: give yours another name and schema.'
               ELSE 'A dump leaves the change out: keep the command, and run it again after a restore.'
           END
      FROM kvcrm.shipped_parts() s
      LEFT JOIN kvcrm.catalog_parts() c ON (s.kind, s.part_of, s.name) = (c.kind, c.part_of, c.name)
      LEFT JOIN pg_class r ON r.relnamespace = 'kvcrm'::regnamespace AND r.relname = s.part_of
      LEFT JOIN pg_trigger t ON s.kind = 'trigger' AND t.tgrelid = r.oid AND t.tgname = s.name
      LEFT JOIN pg_index i ON s.kind = 'index' AND i.indexrelid = to_regclass(format('kvcrm.%I', s.name))
     WHERE c.definition IS DISTINCT FROM s.definition
    UNION ALL
    SELECT format('%s belongs to %s, the extension to %s', i.identity, o.owner::regrole::text, e.extowner::regrole::text),
           format('A dump leaves that out, and definer functions run with the owner''s rights: ALTER %s OWNER TO %s;', CASE o.kind WHEN 'f' THEN 'FUNCTION ' WHEN 'v' THEN 'VIEW ' ELSE 'TABLE ' END || i.identity, e.extowner::regrole::text)
      FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
      JOIN (SELECT 'pg_proc'::regclass AS class, p.oid, p.proowner AS owner, 'f' AS kind FROM pg_proc p
            UNION ALL SELECT 'pg_class'::regclass, r.oid, r.relowner, r.relkind::text FROM pg_class r) AS o ON o.class = d.classid AND o.oid = d.objid,
           pg_identify_object(d.classid, d.objid, 0) AS i
     WHERE e.extname = 'kvcrm' AND o.owner <> e.extowner
    UNION ALL
    SELECT format('%s may create objects in schema kvcrm', CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END),
           format('They could shadow functions of the extension: REVOKE CREATE ON SCHEMA kvcrm FROM %s;', CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
      FROM pg_namespace n, aclexplode(n.nspacl) AS a
     WHERE n.nspname = 'kvcrm' AND a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner
    UNION ALL
    -- Negated: derived by those of now, but a phone or e-mail address could not be written.
    SELECT 'phones, e-mail addresses, search and matching are as older rules, or another ICU or libphonenumber, derived them',
           'SELECT kvcrm.refresh_derived(10000); until it returns 0.'
      FROM kvcrm.derivation_version() AS v
     WHERE EXISTS (SELECT FROM kvcrm.lead_fingerprints f WHERE f.derivation_version NOT IN (v, -v))
        OR EXISTS (SELECT FROM kvcrm.customer_fingerprints f WHERE f.derivation_version NOT IN (v, -v))
    UNION ALL
    SELECT format('leads or customers keep a phone or e-mail address derived otherwise than now: %s', count(*)),
           'SELECT kvcrm.refresh_derived(10000); tells which and why. Merge, change or delete them, and call it until it returns 0.'
      FROM kvcrm.derivation_version() AS v, LATERAL (SELECT f.id FROM kvcrm.lead_fingerprints f WHERE f.derivation_version = -v
           UNION ALL SELECT f.id FROM kvcrm.customer_fingerprints f WHERE f.derivation_version = -v) AS kept
    HAVING count(*) > 0
    UNION ALL
    SELECT 'customers neither own their INN, e-mail or phone nor stand in line for it',
           'SELECT kvcrm.refresh_derived(10000); until it returns 0.'
     WHERE EXISTS (SELECT FROM kvcrm.customers c
                     CROSS JOIN LATERAL (VALUES ('email', c.email), ('inn', c.inn), ('phone', c.phone)) AS v (kind, value)
                    WHERE c.deleted_at IS NULL AND v.value IS NOT NULL AND (v.kind <> 'phone' OR v.value LIKE '+%')
                      AND NOT EXISTS (SELECT FROM kvcrm.customer_identities i WHERE i.customer_id = c.id AND i.organization_id = c.organization_id
                                         AND i.kind = v.kind AND (v.kind = 'email' OR i.value = v.value))
                      AND NOT EXISTS (SELECT FROM kvcrm.customer_identity_heirs i WHERE i.customer_id = c.id AND i.organization_id = c.organization_id
                                         AND i.kind = v.kind AND (v.kind = 'email' OR i.value = v.value)))
    UNION ALL
    SELECT format('leads of %s are scored by rules that changed since %s', o.name, s.stale_since),
           format('SELECT kvcrm.rescore_leads(10000, organization_id => %L); until it returns 0.', o.id)
      FROM kvcrm.scoring_states s JOIN kvcrm.organizations o ON o.id = s.organization_id
     WHERE s.stale_since IS NOT NULL
$$;
COMMENT ON FUNCTION kvcrm.check_installation() IS
    'What is not as it should be with this installation, and what to do: grants that are due, roles that are missing, an update that waits, a guard that is off, what was added or changed by hand and a dump leaves out, derived rows that are out of date. No rows = all is well.';

CREATE OR REPLACE FUNCTION kvcrm.prepare_statements() RETURNS SETOF text
    LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'prepare_statements';
COMMENT ON FUNCTION kvcrm.prepare_statements() IS
    'Prepares every SQL statement of the module and returns their names; fails on one that does not fit the tables. For tests and after an update.';

-- Nobody but the owner has a right on what is new here, whatever ALTER DEFAULT PRIVILEGES says. What an older version
-- made stays as it is: a REVOKE in an extension's script makes the grants that an object then has part of the
-- extension, and dumps leave them out from then on.
DO $$
DECLARE
    object record;
BEGIN
    FOR object IN
        SELECT m.name, g.grantee
          FROM (SELECT d.classid, d.objid, 'FUNCTION ' || p.oid::pg_catalog.regprocedure AS name, p.proowner AS owner, p.proacl AS acl
                  FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.extname = 'kvcrm' AND d.refobjid = e.oid
                  JOIN pg_catalog.pg_proc p ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.objid
                 WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
                UNION ALL
                SELECT d.classid, d.objid, 'TABLE ' || c.oid::pg_catalog.regclass, c.relowner, c.relacl
                  FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.extname = 'kvcrm' AND d.refobjid = e.oid
                  JOIN pg_catalog.pg_class c ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid
                 WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e' AND c.relkind IN ('r', 'p', 'v')) AS m,
               LATERAL (SELECT 'PUBLIC' AS grantee
                        UNION SELECT pg_catalog.quote_ident(r.rolname) FROM pg_catalog.aclexplode(m.acl) AS a
                                JOIN pg_catalog.pg_roles r ON r.oid = a.grantee WHERE a.grantee <> m.owner) AS g
         WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_init_privs i WHERE i.classoid = m.classid AND i.objoid = m.objid AND i.objsubid = 0)
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM %s', object.name, object.grantee);
    END LOOP;
END
$$;
