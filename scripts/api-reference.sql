-- The pages of docs/api.md. Called by scripts/api-reference, with the table subjects.

-- So that types and defaults are printed with their schema.
SET search_path = pg_catalog, pg_temp;

-- Comments are plain text; these characters mean something in Markdown.
CREATE FUNCTION pg_temp.markdown(text) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT replace(replace(replace($1, '*', '\*'), '<', '&lt;'), '|', '\|') $$;

CREATE TEMP VIEW subject_order AS
    SELECT subject, initcap(left(subject, 1)) || substr(subject, 2) AS title, min(no) AS no FROM pg_temp.subjects GROUP BY subject;

CREATE TEMP VIEW functions AS
SELECT s.subject, min(s.no) OVER (PARTITION BY p.oid) AS no, p.proname AS name, p.provolatile,
       -- What no client calls itself.
       CASE WHEN p.proname LIKE 'policy\_%' THEN 'policy'
            WHEN p.prorettype IN ('trigger'::regtype, 'event_trigger'::regtype) THEN 'trigger'
            WHEN a.object_name IS NULL THEN 'owner'
            ELSE 'client' END AS audience,
       CASE WHEN length(f.arguments) > 80
            THEN format(E'kvcrm.%s(\n    %s\n) → %s', p.proname, f.arguments_by_line, f.result)
            ELSE format('kvcrm.%s(%s) → %s', p.proname, f.arguments, f.result) END AS signature,
       pg_temp.markdown(obj_description(p.oid, 'pg_proc')) AS comment
  FROM pg_proc p
  JOIN pg_temp.subjects s ON s.kind = 'function' AND s.name = p.proname
  LEFT JOIN kvcrm.api_privileges() a ON a.object_type = 'function' AND a.object_name::regprocedure = p.oid
  CROSS JOIN LATERAL (
    SELECT string_agg(argument, ', ' ORDER BY i) AS arguments, string_agg(argument, E',\n    ' ORDER BY i) AS arguments_by_line,
           replace(pg_get_function_result(p.oid), 'TABLE(', 'TABLE (') AS result
      FROM generate_series(1, p.pronargs) AS i,
           LATERAL (SELECT format('%s %s', quote_ident(p.proargnames[i]), format_type(p.proargtypes[i - 1], NULL))
                           || coalesce(' DEFAULT ' || regexp_replace(pg_get_function_arg_default(p.oid, i), '::[a-z ]+(\[\])?$', ''), '')
                           AS argument) AS one
  ) AS f
 WHERE p.pronamespace = 'kvcrm'::regnamespace;

CREATE TEMP VIEW columns AS
SELECT s.subject, s.no, c.oid, c.relname AS table_name, pg_temp.markdown(obj_description(c.oid, 'pg_class')) AS table_comment,
       EXISTS (SELECT FROM kvcrm.api_privileges() p WHERE p.object_type = 'table' AND p.object_name = 'kvcrm.' || c.relname) AS readable,
       a.attnum, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull,
       pg_temp.markdown(col_description(c.oid, a.attnum)) AS comment,
       concat_ws(', ',
           CASE WHEN EXISTS (SELECT FROM kvcrm.api_privileges() p WHERE p.object_name = 'kvcrm.' || c.relname
                                AND p.privilege = 'INSERT' AND a.attname = ANY (p.columns)) THEN 'insert' END,
           CASE WHEN EXISTS (SELECT FROM kvcrm.api_privileges() p WHERE p.object_name = 'kvcrm.' || c.relname
                                AND p.privilege = 'UPDATE' AND a.attname = ANY (p.columns)) THEN 'update' END) AS writable
  FROM pg_class c
  JOIN pg_temp.subjects s ON s.kind = 'table' AND s.name = c.relname
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'kvcrm'::regnamespace AND c.relkind IN ('r', 'p');

SELECT format(E'# API reference of kvcrm %s\n\n', extversion)
    || E'Written by `make docs` from the comments in the catalog; change those, not this file.\n\n'
    || E'- Every function can be called by position or by name. Its last parameter, `organization_id`, says in which organization: '
    || E'null means the current one, else the only one in which the named id is visible to the caller.\n'
    || E'- *reads* marks functions that also run in a READ ONLY transaction (PostgREST answers them to GET).\n'
    || E'- Codes such as 22023 are SQLSTATEs; [postgrest.md](postgrest.md) has the HTTP statuses. PT404 means: not there, or not '
    || E'visible to the caller. The permissions named are those of [permissions.md](permissions.md).\n'
  FROM pg_extension WHERE extname = 'kvcrm';

SELECT E'## Functions';
SELECT text FROM (
    SELECT o.no AS subject_no, 0 AS no, E'\n### ' || o.title AS text FROM subject_order o
     WHERE EXISTS (SELECT FROM functions f WHERE f.subject = o.subject AND f.audience = 'client')
    UNION ALL
    SELECT o.no, f.no, E'\n#### ' || f.name || CASE WHEN f.provolatile <> 'v' THEN ' · *reads*' ELSE '' END
           || E'\n\n```\n' || f.signature || E'\n```\n\n' || f.comment
      FROM functions f JOIN subject_order o USING (subject) WHERE f.audience = 'client'
) AS lines ORDER BY subject_no, no;

SELECT E'\n### For the owner of the extension';
SELECT E'\n#### ' || f.name || E'\n\n```\n' || f.signature || E'\n```\n\n' || f.comment
  FROM functions f WHERE f.audience = 'owner' ORDER BY f.no;

SELECT E'\n## Tables\n\n'
    || E'*Clients may* says what `grant_api` lets an API role write; row-level security decides in which rows. '
    || E'A column without it is derived, or changed by functions. No client deletes rows.';
SELECT text FROM (
    SELECT DISTINCT no, 0 AS attnum, E'\n### ' || table_name || E'\n\n' || table_comment
           || CASE WHEN readable THEN '' ELSE ' No API role reads it.' END
           || E'\n\n| column | type | what it is | clients may |\n|---|---|---|---|' AS text FROM columns
    UNION ALL
    SELECT no, attnum, format('| %s | %s%s | %s | %s |', name, type, CASE WHEN attnotnull THEN ', not null' ELSE '' END,
           comment, writable) FROM columns
) AS lines ORDER BY no, attnum;

LOAD 'kvcrm';
SELECT E'\n## Settings\n\n| setting | values | default | who sets it | what it does |\n|---|---|---|---|---|';
SELECT format('| %s | %s | %s | %s | %s |', name, coalesce(array_to_string(enumvals, ', '), vartype),
              coalesce('`' || nullif(boot_val, '') || '`', 'not set'),
              CASE context WHEN 'user' THEN 'anybody, in the session' WHEN 'superuser' THEN 'a superuser' ELSE context END,
              short_desc)
  FROM pg_settings WHERE name LIKE 'kvcrm.%' ORDER BY name COLLATE "C";
