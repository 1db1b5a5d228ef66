-- The main job on real input. Each \connect is somebody else at work.

\set QUIET on
\set SHOW_CONTEXT never
\pset border 1
\pset linestyle unicode
\pset footer off
\pset null '·'

\echo
\echo '━━━ An organization and its people ━━━'
\echo
SELECT m.display_name AS "who", l.login AS "logs in as", r.name AS "role", t.name AS "team"
  FROM kvcrm.organization_members m
  JOIN kvcrm.roles r ON r.organization_id = m.organization_id AND r.slug = m.role_slug
  LEFT JOIN kvcrm.teams t ON t.id = m.team_id AND t.organization_id = m.organization_id
  JOIN (SELECT a.rolname AS login, split_part(c, '=', 2)::uuid AS user_id
          FROM pg_roles a, unnest(a.rolconfig) AS c WHERE c LIKE 'kvcrm.user_id=%') AS l USING (user_id)
 ORDER BY m.user_id;

\connect - vera
\echo '━━━ Vera imports demo/leads.csv ━━━'
\echo
CREATE TEMP TABLE sheet (row_no int GENERATED ALWAYS AS IDENTITY, name text, email text, phone text, company text,
    "position" text, inn text, source text, estimated_value text);
\copy sheet (name, email, phone, company, "position", inn, source, estimated_value) from demo/leads.csv csv header
-- Every fifth lead is left for anybody, the others go to Anton and Nina in turn.
CREATE TEMP TABLE report AS
SELECT i.* FROM kvcrm.import_leads((
    SELECT jsonb_agg(to_jsonb(s) - 'row_no' || CASE
        WHEN s.row_no % 5 = 0 THEN '{}'
        WHEN s.row_no % 2 = 0 THEN '{"assigned_to": "00000000-0000-4000-8000-000000000003"}'
        ELSE '{"assigned_to": "00000000-0000-4000-8000-000000000004"}' END::jsonb ORDER BY s.row_no)
      FROM sheet s)) AS i;

SELECT count(*) AS "rows", count(*) FILTER (WHERE outcome = 'created') AS "created",
       count(*) FILTER (WHERE outcome = 'error') AS "rejected" FROM report;

\echo 'A bad row says why; the good ones load.'
\echo
SELECT r.row_no + 1 AS "line", trim(s.name) AS "name",
       CASE WHEN r.error LIKE '%inn%' THEN 'inn' WHEN r.error LIKE '%email%' THEN 'email'
            WHEN r.error LIKE '%numeric%' THEN 'estimated_value' ELSE 'name' END AS "field",
       CASE WHEN r.error LIKE '%inn%' THEN s.inn WHEN r.error LIKE '%email%' THEN s.email
            WHEN r.error LIKE '%numeric%' THEN s.estimated_value ELSE '''' || coalesce(s.name, '') || '''' END AS "as typed",
       split_part(r.error, ' (', 1) AS "why not"
  FROM report r JOIN sheet s USING (row_no) WHERE r.outcome = 'error' ORDER BY r.row_no;

\echo 'Phones and addresses are understood, whatever the notation; what can''t be understood is kept as typed.'
\echo
SELECT s.phone AS "phone as typed", l.phone AS "as stored", s.email AS "e-mail as typed", l.email_normalized AS "as compared"
  FROM unnest(ARRAY['+7 (___) %', '8 ___ %', '8__________', '(___) %', '007 %', '0044 %', '+1 %', '+49 %', 'есть%'])
       WITH ORDINALITY AS n (form, no),
       LATERAL (SELECT * FROM sheet WHERE trim(phone) LIKE n.form ORDER BY email ~ '[+A-Z]' DESC NULLS LAST, row_no LIMIT 1) AS s
  JOIN report r USING (row_no) JOIN kvcrm.leads l ON l.id = r.lead_id ORDER BY n.no;

\connect - anton
\echo '━━━ Anton''s list: his own leads, the newest ━━━'
\echo
SELECT l.name, l.company, l.phone, l.source, to_char(l.estimated_value, 'FM999G999G990') AS "value", s.name AS "stage"
  FROM kvcrm.list_leads(page_size => 8) AS l JOIN kvcrm.lead_stages s ON s.id = l.stage_id;
SELECT count(*) AS "leads that Anton sees" FROM kvcrm.leads;

\connect - vera
\echo '━━━ Vera''s list: everybody''s, the most valuable ━━━'
\echo
SELECT l.name, l.company, to_char(l.estimated_value, 'FM999G999G990') AS "value", s.name AS "stage",
       coalesce(m.display_name, '—') AS "assigned to"
  FROM kvcrm.list_leads(sort => 'value', page_size => 8) AS l
  JOIN kvcrm.lead_stages s ON s.id = l.stage_id
  LEFT JOIN kvcrm.organization_members m ON m.user_id = l.assigned_to;
SELECT coalesce(m.display_name, '—') AS "assigned to", count(*) AS "leads",
       to_char(sum(l.estimated_value), 'FM999G999G990') AS "value"
  FROM kvcrm.leads l LEFT JOIN kvcrm.organization_members m ON m.user_id = l.assigned_to GROUP BY 1 ORDER BY 1;

\echo '━━━ She types «romashka» ━━━'
\echo
SELECT l.name, l.company, l.email, l.phone FROM kvcrm.list_leads('romashka', page_size => 6) AS l;

\echo '━━━ Who is there twice? Vera scans all leads ━━━'
\echo
SELECT * FROM kvcrm.scan_duplicates();
\echo 'The likeliest pairs that don''t read alike:'
\echo
SELECT round(100 * p.probability::numeric, 2) AS "%", a.name, a.email, a.phone, b.name AS "and", b.email AS "e-mail", b.phone AS "tel."
  FROM kvcrm.duplicate_pairs p JOIN kvcrm.leads a ON a.id = p.lead_id JOIN kvcrm.leads b ON b.id = p.other_lead_id
 WHERE a.name <> b.name ORDER BY p.probability DESC LIMIT 5;
SELECT p.lead_id AS one, p.other_lead_id AS other FROM kvcrm.duplicate_pairs p JOIN kvcrm.leads a ON a.id = p.lead_id
  JOIN kvcrm.leads b ON b.id = p.other_lead_id WHERE a.name <> b.name ORDER BY p.probability DESC LIMIT 1 \gset
\echo 'Why the first? What each field says, in bits:'
\echo
SELECT f.field, f.level, f.weight, f.values ->> 0 AS "one", f.values ->> 1 AS "the other"
  FROM jsonb_to_recordset(kvcrm.explain_match(:'one', :'other') -> 'fields')
       AS f (field text, level text, weight numeric, "values" jsonb);

\echo '━━━ She merges them, and thinks better of it ━━━'
\echo
SELECT survivor_id AS survivor, (lead_ids)[1 + (lead_ids[1] = survivor_id)::int] AS loser
  FROM kvcrm.duplicate_clusters() WHERE :'one' = ANY (lead_ids) \gset
SELECT l.name, l.company, l.email, l.phone, s.name AS "stage" FROM kvcrm.merge_leads(:'survivor', ARRAY[:'loser']::uuid[]) AS l
  JOIN kvcrm.lead_stages s ON s.id = l.stage_id;
\echo 'The other one''s id still works, and stands for the survivor:'
\echo
SELECT a.type, a.title, l.name AS "on" FROM kvcrm.log_activity(:'loser', 'note', 'Один человек, а не два') AS a JOIN kvcrm.leads l ON l.id = a.lead_id;
SELECT m.value ->> 'id' AS merge FROM jsonb_array_elements(kvcrm.lead_page(:'survivor') -> 'merges') AS m LIMIT 1 \gset
SELECT u.name, u.email, u.phone FROM kvcrm.undo_merge(:'merge') AS u;

SELECT id AS contacted FROM kvcrm.lead_stages WHERE order_index = 2 \gset
SELECT id AS lost FROM kvcrm.lead_stages WHERE outcome = 'lost' \gset
SELECT id AS won FROM kvcrm.lead_stages WHERE outcome = 'won' \gset

\connect - anton
\echo '━━━ Anton works ━━━'
\echo
-- Of two firms: one whose INN he knows, another that will say no.
SELECT id AS lead, name AS lead_name FROM kvcrm.leads WHERE company = 'ООО «Ромашка»' AND inn IS NOT NULL
   AND email IS NOT NULL AND phone_e164 IS NOT NULL AND "position" IS NOT NULL ORDER BY id LIMIT 1 \gset
SELECT id AS hopeless FROM kvcrm.leads WHERE company LIKE '%Grosh%' OR company LIKE '%Грош%' ORDER BY id LIMIT 1 \gset
SELECT id AS call FROM kvcrm.log_activity(:'lead', 'call', 'Первый звонок', 'Перезвонить в четверг') \gset
SELECT id FROM kvcrm.complete_activity(:'call') \g /dev/null
SELECT id FROM kvcrm.log_activity(:'lead', 'task', 'Выслать прайс-лист', due_date => now() + interval '2 days') \g /dev/null
\echo 'He calls' :lead_name 'of Ромашка and moves the lead on:'
\echo
SELECT l.name, s.name AS "stage", l.status, l.version
  FROM kvcrm.move_lead(:'lead', :'contacted') AS l JOIN kvcrm.lead_stages s ON s.id = l.stage_id;

\echo 'He gives up on Медный Грош without saying why:'
\echo
\set ON_ERROR_STOP 0
SELECT * FROM kvcrm.move_lead(:'hopeless', :'lost');
\set code 23514
\i demo/refused.sql
\echo
\echo 'and says why:'
\echo
SELECT l.name, l.company, l.status, l.lost_reason FROM kvcrm.move_lead(:'hopeless', :'lost', lost_reason => 'Нет бюджета') AS l;

\connect - nina
\echo 'Nina, who is not told of other people''s leads, tries to convert Anton''s:'
\echo
\set ON_ERROR_STOP 0
SELECT * FROM kvcrm.qualify_lead(:'lead');
\set code PT404
\i demo/refused.sql

\connect - anton
\echo
\echo '━━━ Anton converts it into a customer ━━━'
\echo
\x on
SELECT c.name, c.company, c.inn, c.email, c.phone, c.notes, m.display_name AS owner
  FROM kvcrm.qualify_lead(:'lead') AS c JOIN kvcrm.organization_members m ON m.user_id = c.owner_user_id;
\x off

\connect - vera
\echo '━━━ Vera converts everybody else of Ромашка: one firm, one customer ━━━'
\echo
SELECT l.name AS "lead", c.name AS "customer", c.company, c.inn
  FROM kvcrm.leads l, LATERAL kvcrm.qualify_lead(l.id) AS c
 WHERE l.company = 'ООО «Ромашка»' AND l.inn IS NOT NULL AND l.converted_at IS NULL ORDER BY l.id;
-- Some more customers.
SELECT count(*) FROM (SELECT id FROM kvcrm.leads WHERE converted_at IS NULL AND inn IS NOT NULL
    AND company NOT LIKE '%Ромашка%' ORDER BY estimated_value DESC NULLS LAST, id LIMIT 9) AS l,
    LATERAL kvcrm.qualify_lead(l.id) \g /dev/null
SELECT id FROM kvcrm.move_lead(:'lead', :'won') \g /dev/null

\echo 'Customers and their people (★ the main contact):'
\echo
SELECT c.company, c.inn, c.email, string_agg(CASE WHEN p.is_primary THEN '★ ' ELSE '' END || p.name, ', '
       ORDER BY p.is_primary DESC, p.id) AS "contacts"
  FROM kvcrm.customers c JOIN kvcrm.customer_contacts p ON p.customer_id = c.id
 GROUP BY c.id, c.organization_id ORDER BY c.id;

\echo '━━━ The first lead''s timeline ━━━'
\echo
SELECT to_char(t.at, 'HH24:MI:SS') AS "at", t.kind, t.title, t.body, m.display_name AS "who"
  FROM kvcrm.lead_timeline(:'lead') AS t LEFT JOIN kvcrm.organization_members m ON m.user_id = t.actor_id;

\echo '━━━ The log: who did what ━━━'
\echo
SELECT coalesce(m.display_name, 'the system') AS "who", g.action, g.entity_type AS "what", count(*)
  FROM kvcrm.activity_logs g LEFT JOIN kvcrm.organization_members m ON m.user_id = g.actor_id
 WHERE g.entity_type IN ('lead', 'activity', 'customer', 'contact') GROUP BY 1, 2, 3 ORDER BY 1, 3, 2;

\echo 'and field by field, here of the first lead (ids of stages and people read as names):'
\echo
SELECT to_char(g.created_at, 'HH24:MI:SS') AS "at", m.display_name AS "who", g.action, f.key AS "field",
       coalesce(n.old, f.value ->> 'old') AS "old", coalesce(n.new, f.value ->> 'new') AS "new"
  FROM kvcrm.activity_logs g JOIN kvcrm.organization_members m ON m.user_id = g.actor_id
 CROSS JOIN LATERAL jsonb_each(g.changes) AS f
 CROSS JOIN LATERAL (
    SELECT max(x.name) FILTER (WHERE x.id = f.value ->> 'old') AS old, max(x.name) FILTER (WHERE x.id = f.value ->> 'new') AS new
      FROM (SELECT id::text, name FROM kvcrm.lead_stages UNION ALL SELECT user_id::text, display_name FROM kvcrm.organization_members) AS x) AS n
 WHERE g.entity_id = :'lead' AND f.key NOT IN ('custom_fields', 'converted_at', 'converted_to_customer_id') ORDER BY g.id, f.key;

\connect - vera
\echo '━━━ Vera loads a spreadsheet twice, and takes the second load back ━━━'
\echo
\set csv 'Имя;Почта;Телефон;Сумма\n"Сорокина, Анна";anna@sorochka.example;8 812 055-11-22;"12 500,50"\nПетухов Глеб;gleb@sorochka.example;;=1+1\n'
SELECT i.row_no + 1 AS "line", i.outcome, i.error FROM kvcrm.import_leads_csv(replace(:'csv', '\n', E'\n'), on_duplicate => 'skip') AS i;
SELECT i.row_no + 1 AS "line", i.outcome FROM kvcrm.import_leads_csv(replace(replace(:'csv', '\n', E'\n'), '=1+1', '1'), on_duplicate => 'skip') AS i;
SELECT id AS import FROM kvcrm.list_imports() LIMIT 1 \gset
SELECT count(*) AS "leads taken back" FROM kvcrm.undo_import(:'import');

\echo '━━━ A message comes in: it belongs to the lead who wrote it ━━━'
\echo
SELECT a.type, a.title, a.description FROM kvcrm.ingest_email(convert_to(
    E'From: =?UTF-8?B?0JDQvdC90LA=?= <Anna@sorochka.example>\r\nSubject: =?UTF-8?B?0KHRh9GR0YI=?=\r\nMessage-ID: <1@sorochka.example>\r\n'
    || E'Content-Type: text/plain; charset=UTF-8\r\n\r\nПришлите счёт, пожалуйста.\r\n', 'UTF8')) AS a;

\connect - olga
\echo '━━━ What another system hears of it: the event feed ━━━'
\echo
SELECT g.entity_type AS "what", g.action, coalesce(g.changes #>> '{name,new}', g.changes #>> '{title,new}') AS "name"
  FROM kvcrm.event_feed('webhook', 10000) WITH ORDINALITY AS g ORDER BY g.ordinality DESC LIMIT 5;
SELECT count(*) AS "rows that break a rule of kvcrm" FROM kvcrm.check_consistency();
