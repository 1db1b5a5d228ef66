-- What the suites on access share: named ids, two organizations with people, and a way to run a statement as
-- somebody and see what became of it. Include it inside a transaction:  \ir include/access.sql
--
-- The variable api, set before, names the database role that stands for API clients; roles belong to the whole
-- cluster, so every suite brings its own.

CREATE SCHEMA t;
GRANT USAGE ON SCHEMA t TO PUBLIC;
CREATE ROLE :"api";
SELECT kvcrm.grant_api(:'api') \g /dev/null
SELECT set_config('t.api', :'api', false) \g /dev/null

-- The id of anybody or anything that goes by a name.
CREATE FUNCTION t.id(name text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT pg_catalog.md5(name)::pg_catalog.uuid $$;

-- Names the acting user; null for nobody. Lasts until the transaction ends.
CREATE FUNCTION t.act(who text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('request.jwt.claims',
        CASE WHEN who IS NULL THEN '' ELSE json_build_object('sub', t.id(who))::text END, true);
END
$$;

-- Runs a statement as `who` (null: nobody) under the database role `role`, and keeps what it did. Returns the
-- number of rows it returned or wrote, or the SQLSTATE of its error.
CREATE FUNCTION t.run(who text, statement text, role text DEFAULT current_setting('t.api'), keep boolean DEFAULT true)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    rows bigint;
    before text := current_setting('request.jwt.claims', true);
BEGIN
    BEGIN
        PERFORM t.act(who);
        PERFORM set_config('role', role, true);
        EXECUTE statement;
        GET DIAGNOSTICS rows = ROW_COUNT;
        SET CONSTRAINTS ALL IMMEDIATE;
        IF NOT keep THEN RAISE EXCEPTION SQLSTATE 'ZZZZZ'; END IF;
    EXCEPTION
        WHEN SQLSTATE 'ZZZZZ' THEN RETURN rows;
        WHEN OTHERS THEN RETURN SQLSTATE;
    END;
    SET CONSTRAINTS ALL DEFERRED;
    PERFORM set_config('role', 'none', true), set_config('request.jwt.claims', coalesce(before, ''), true);
    RETURN rows;
END
$$;

-- The same, and undoes what it did.
CREATE FUNCTION t.try(who text, statement text, role text DEFAULT current_setting('t.api')) RETURNS text
LANGUAGE sql AS $$ SELECT t.run(who, statement, role, false) $$;

-- The message, detail and hint of the statement's error, for messages that must not differ.
CREATE FUNCTION t.message(who text, statement text, role text DEFAULT current_setting('t.api')) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    message text; detail text; hint text;
BEGIN
    PERFORM t.act(who);
    PERFORM set_config('role', role, true);
    EXECUTE statement;
    RAISE EXCEPTION 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', SQLSTATE, message, detail, hint);
END
$$;

-- The one value that a query gives `who`, as text.
CREATE FUNCTION t.get(who text, query text, role text DEFAULT current_setting('t.api')) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    result text;
    before text := current_setting('request.jwt.claims', true);
BEGIN
    BEGIN
        PERFORM t.act(who);
        PERFORM set_config('role', role, true);
        EXECUTE query INTO result;
        PERFORM set_config('role', 'none', true), set_config('request.jwt.claims', coalesce(before, ''), true);
        RETURN result;
    EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE;
    END;
END
$$;

-- Two organizations. In `north`: owner, admin, manager, and reps in two teams (rep and mate in the first, far
-- in the second), one suspended, one invited. In `south` its own owner and rep.
SELECT kvcrm.create_organization('North', 'en', 'RU', t.id('owner'), 'Olga Owner', NULL, t.id('north')) \g /dev/null
SELECT kvcrm.create_organization('South', 'ru', 'DE', t.id('south_owner'), 'Sven Owner', NULL, t.id('south')) \g /dev/null
INSERT INTO kvcrm.teams (id, organization_id, name)
VALUES (t.id('team1'), t.id('north'), 'First'), (t.id('team2'), t.id('north'), 'Second'),
       (t.id('south_team'), t.id('south'), 'First');
INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, team_id, status, display_name)
SELECT t.id(organization), t.id(who), role, t.id(team), status, who
  FROM (VALUES ('north', 'admin', 'admin', NULL, 'active'),
               ('north', 'manager', 'sales_manager', 'team1', 'active'),
               ('north', 'rep', 'sales_team', 'team1', 'active'),
               ('north', 'mate', 'sales_team', 'team1', 'active'),
               ('north', 'far', 'sales_team', 'team2', 'active'),
               ('north', 'suspended', 'sales_team', 'team1', 'suspended'),
               ('north', 'invited', 'sales_team', 'team1', 'invited'),
               ('south', 'south_rep', 'sales_team', 'south_team', 'active'))
       AS m (organization, who, role, team, status);

-- A lead of each, and one of nobody.
INSERT INTO kvcrm.leads (id, organization_id, name, email, assigned_to)
SELECT t.id(lead), t.id(organization), initcap(lead), lead || '@example.com', t.id(assignee)
  FROM (VALUES ('lead_rep', 'north', 'rep'), ('lead_mate', 'north', 'mate'), ('lead_far', 'north', 'far'),
               ('lead_manager', 'north', 'manager'), ('lead_nobody', 'north', NULL),
               ('lead_south', 'south', 'south_rep')) AS l (lead, organization, assignee);
