-- What the reading functions and the tables answer about the rows of rows.sql, to the system and to several users: two
-- databases with the same rows answer the same. Functions that take no argument or the id of a lead, a customer or a
-- stage are found in the catalog, so that a new one is asked too. Nothing is written.

\set QUIET 1
\pset tuples_only on
\pset format unaligned
\set ON_ERROR_STOP 1
SET client_min_messages = warning;

-- Everything a query answers, or its SQLSTATE.
CREATE FUNCTION pg_temp.ask(who text, question text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM set_config('kvcrm.user_id', coalesce((SELECT m.user_id::text FROM kvcrm.organization_members m
        WHERE m.organization_id = current_setting('kvcrm.organization_id')::uuid AND m.role_slug = who AND m.status = 'active'), ''), true);
    BEGIN
        EXECUTE format('SELECT string_agg(a::text, E''\n'') FROM (%s) AS a', question) INTO answer;
    EXCEPTION WHEN OTHERS THEN
        answer := SQLSTATE;
    END;
    RETURN format(E'-- %s: %s\n%s', who, question, answer);
END
$$;

CREATE TEMP TABLE questions (question text);
-- STABLE functions whose only required argument, if any, is the id of a row.
INSERT INTO questions
    SELECT format('SELECT f.* FROM %s r, %s(%s) f WHERE r.organization_id = current_setting(''kvcrm.organization_id'')::uuid ORDER BY r.id, f::text', t.rows, p.oid::regproc, t.argument)
      FROM pg_proc p JOIN kvcrm.api_privileges() a ON a.object_type = 'function' AND a.object_name::regprocedure = p.oid
      JOIN (VALUES ('lead_id', 'kvcrm.leads', 'r.id'), ('customer_id', 'kvcrm.customers', 'r.id'), ('stage_id', 'kvcrm.lead_stages', 'r.id')) AS t (name, rows, argument) ON t.name = p.proargnames[1]
     WHERE p.provolatile = 's' AND p.pronargs - p.pronargdefaults = 1 AND p.proname NOT LIKE 'policy\_%'
    UNION ALL
    SELECT format('SELECT f.* FROM %s() f', p.oid::regproc)
      FROM pg_proc p JOIN kvcrm.api_privileges() a ON a.object_type = 'function' AND a.object_name::regprocedure = p.oid
     WHERE p.provolatile = 's' AND p.pronargs = p.pronargdefaults AND p.proname NOT LIKE 'policy\_%';
INSERT INTO questions
    SELECT format('SELECT * FROM kvcrm.list_leads(sort => %L, include => ''{converted,merged,deleted}'', page_size => 100)', s) FROM unnest('{newest,oldest,updated,name,score,value}'::text[]) AS s
    UNION ALL SELECT format('SELECT id, name FROM kvcrm.list_leads(%L)', q) FROM unnest('{firma,кавычки,7707083893,"lead1 firm",нет}'::text[]) AS q
    UNION ALL SELECT format('SELECT f.* FROM kvcrm.check_duplicates(%L) f', c) FROM unnest(ARRAY['{"email": "lead3@firm.example"}', '{"inn": "7707083893", "name": "Лид"}']) AS c
    UNION ALL SELECT 'SELECT kvcrm.explain_match(a.id, b.id) FROM kvcrm.leads a JOIN kvcrm.leads b USING (organization_id) WHERE a.name LIKE ''Лид%'' AND b.name LIKE ''Merged%'' ORDER BY a.id, b.id'
    UNION ALL SELECT 'SELECT kvcrm.has_permission(p.permission) FROM kvcrm.permission_registry() p ORDER BY p.permission';

SELECT o.id AS organization FROM kvcrm.organizations o WHERE o.locale = 'ru' \gset
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT set_config('kvcrm.organization_id', :'organization', true) \g /dev/null
SELECT pg_temp.ask(w, q.question) FROM questions q, unnest('{system,owner,sales_manager,sales_team}'::text[]) AS w ORDER BY q.question COLLATE "C", w;
-- What its users see of the tables.
SELECT format('SELECT set_config(''kvcrm.user_id'', %L, true); %s; SELECT ''-- %s: %s''; SELECT t::text FROM %s AS t ORDER BY 1; RESET ROLE',
              m.user_id, format('SET LOCAL ROLE %I', r.role_name), m.role_slug, p.object_name, p.object_name)
  FROM kvcrm.organization_members m, (SELECT role_name FROM kvcrm.api_roles ORDER BY 1 LIMIT 1) AS r, kvcrm.api_privileges() p
 WHERE m.organization_id = :'organization' AND m.status = 'active' AND p.object_type = 'table' AND p.privilege = 'SELECT'
 ORDER BY m.role_slug, p.object_name \gexec
COMMIT;
