-- A new database with the extension, and the people of the tour: a database role each, whose sessions act as that
-- person. All of them are members of one role that was granted the API.

DROP DATABASE IF EXISTS :"database" WITH (FORCE);
DROP ROLE IF EXISTS olga, vera, anton, nina, crm_api;
CREATE DATABASE :"database" ENCODING 'UTF8' TEMPLATE template0;
\connect :database

CREATE EXTENSION kvcrm;
CREATE ROLE crm_api;
SELECT kvcrm.grant_api('crm_api') \g /dev/null

CREATE ROLE olga LOGIN IN ROLE crm_api;
CREATE ROLE vera LOGIN IN ROLE crm_api;
CREATE ROLE anton LOGIN IN ROLE crm_api;
CREATE ROLE nina LOGIN IN ROLE crm_api;
-- For a demonstration: whoever may run SQL may also say SET kvcrm.user_id. Real clients get their claims from
-- PostgREST or from a backend.
ALTER ROLE olga SET kvcrm.user_id = '00000000-0000-4000-8000-000000000001';
ALTER ROLE vera SET kvcrm.user_id = '00000000-0000-4000-8000-000000000002';
ALTER ROLE anton SET kvcrm.user_id = '00000000-0000-4000-8000-000000000003';
ALTER ROLE nina SET kvcrm.user_id = '00000000-0000-4000-8000-000000000004';

-- No acting user and a superuser: the system, which may name an owner and add active members.
SELECT id AS organization FROM kvcrm.create_organization('Лавка чудес',
    owner_id => '00000000-0000-4000-8000-000000000001', owner_name => 'Ольга Лопухова') \gset
INSERT INTO kvcrm.teams (organization_id, name) VALUES (:'organization', 'Северо-Запад') RETURNING id AS team \gset
SELECT count(*) FROM (VALUES
    ('00000000-0000-4000-8000-000000000002'::uuid, 'sales_manager', 'Вера Щеглова', NULL::uuid),
    ('00000000-0000-4000-8000-000000000003', 'sales_team', 'Антон Чижиков', :'team'),
    ('00000000-0000-4000-8000-000000000004', 'sales_team', 'Нина Ёжикова', :'team')) AS m (user_id, role, name, team),
    LATERAL kvcrm.add_member(m.user_id, m.role, m.name, team_id => m.team, organization_id => :'organization') \g /dev/null
