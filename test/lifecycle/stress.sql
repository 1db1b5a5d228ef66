-- What sessions of the stress run do at random. stress.next() makes up the statements of one transaction: as whom, then
-- calls of any function of the API with arguments by name and type, and direct writes, all of few rows of few organizations.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
CREATE EXTENSION kvcrm;
SELECT kvcrm.grant_api(:'role') \g /dev/null

CREATE SCHEMA stress;
CREATE TABLE stress.homes AS
    SELECT o.id, ARRAY(SELECT md5(o.id || n::text)::uuid FROM generate_series(1, 8) AS n) AS users
      FROM unnest(ARRAY['Ромашка', 'Acme', 'Kvant']) AS name,
           LATERAL kvcrm.create_organization(name, CASE name WHEN 'Acme' THEN 'en' ELSE 'ru' END, owner_id => gen_random_uuid()) AS o;
CREATE TABLE stress.settings (deadline timestamptz, role text);
INSERT INTO stress.settings VALUES (NULL, :'role');
-- Owner, admin, two managers, four representatives.
SELECT kvcrm.add_member(h.users[n], (ARRAY['owner', 'admin', 'sales_manager', 'sales_manager', 'sales_team', 'sales_team', 'sales_team', 'sales_team'])[n], 'User ' || n, organization_id => h.id)
  FROM stress.homes h, generate_series(1, 8) AS n \g /dev/null
INSERT INTO kvcrm.custom_field_definitions (organization_id, entity, key, type, options)
    SELECT h.id, e, k.key, k.type, k.options FROM stress.homes h, unnest(ARRAY['lead', 'customer', 'quote']) AS e,
           (VALUES ('budget', 'number', '{}'::text[]), ('region', 'select', '{north,south}')) AS k (key, type, options);
INSERT INTO kvcrm.teams (organization_id, name) SELECT h.id, 'Team ' || n FROM stress.homes h, generate_series(1, 2) AS n;
INSERT INTO kvcrm.leads (organization_id, name, company) SELECT h.id, 'Lead ' || n, 'Firm ' || n % 4 FROM stress.homes h, generate_series(1, 20) AS n;

CREATE FUNCTION stress.one_of(VARIADIC text[]) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT $1[1 + floor(random() * cardinality($1))]';
-- One of the rows of a table, most of the time of the few newest; now and then none, or one that is not there.
CREATE FUNCTION stress.row_of(source text, home uuid, what text DEFAULT 'id') RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE chosen uuid; chance float8 := random();
BEGIN
    IF chance < 0.02 THEN RETURN NULL; END IF;
    IF chance < 0.04 THEN RETURN gen_random_uuid(); END IF;
    -- Of another organization.
    IF chance < 0.06 THEN home := (SELECT id FROM stress.homes ORDER BY random() LIMIT 1); END IF;
    EXECUTE format('SELECT %I FROM (SELECT * FROM kvcrm.%I WHERE organization_id = $1 ORDER BY id DESC LIMIT $2) AS s ORDER BY random() LIMIT 1', what, source)
        INTO chosen USING home, CASE WHEN random() < 0.7 THEN 15 ELSE 1000 END;
    RETURN chosen;
END $$;
CREATE FUNCTION stress.email() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT stress.one_of('a', 'B', 'c.d', 'e+tag', 'f', 'info') || '@' || stress.one_of('gmail.com', 'firm.example', 'ФИРМА.рф') $$;
CREATE FUNCTION stress.phone() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT stress.one_of('8 916 123-45-6', '+7 495 100-20-3', '(916) 000-00-0', 'доб. ') || floor(random() * 5) $$;
CREATE FUNCTION stress.inn() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT stress.one_of('7707083893', '7736050003', '7702070139', '500100732259', '123') $$;
CREATE FUNCTION stress.person() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT stress.one_of('Иванов Иван', 'Ivan Ivanov', 'Петрова Анна', 'Anna Petrova', ' Смит ', 'Bob') $$;
CREATE FUNCTION stress.fields() RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object('budget', CASE WHEN random() < 0.5 THEN floor(random() * 10) END, 'region', CASE WHEN random() < 0.5 THEN stress.one_of('north', 'south', 'south', 'south') END,
        'extra', CASE WHEN random() < 0.1 THEN 'x' END))::text $$;
CREATE FUNCTION stress.lead_row() RETURNS jsonb LANGUAGE sql VOLATILE AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object('name', stress.person(), 'email', CASE WHEN random() < 0.6 THEN stress.email() END, 'phone', CASE WHEN random() < 0.5 THEN stress.phone() END,
        'company', stress.one_of('ООО «Фирма»', 'Firma LLC', 'Acme', NULL), 'inn', CASE WHEN random() < 0.2 THEN stress.inn() END)) $$;

-- An argument of a function, as SQL, or null where the default will do.
CREATE FUNCTION stress.argument(argument text, type regtype, home uuid) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE
        WHEN argument = 'organization_id' THEN CASE WHEN random() < 0.8 THEN quote_literal(home) END
        WHEN argument IN ('lead_ids', 'duplicate_ids') THEN quote_literal(ARRAY(SELECT stress.row_of('leads', home) FROM generate_series(1, 1 + (random() * 3)::int)))
        WHEN argument = 'survivor_id' OR argument LIKE '%lead_id' THEN quote_nullable(stress.row_of('leads', home))
        WHEN argument LIKE '%stage_id' OR argument = 'move_leads_to' THEN quote_nullable(stress.row_of('lead_stages', home))
        WHEN argument = 'merge_id' THEN quote_nullable(stress.row_of('lead_merges', home))
        WHEN argument = 'activity_id' THEN quote_nullable(stress.row_of('lead_activities', home))
        WHEN argument = 'quote_id' THEN quote_nullable(stress.row_of('quotes', home))
        WHEN argument = 'customer_id' THEN CASE WHEN random() < 0.3 THEN quote_nullable(stress.row_of('customers', home)) ELSE 'NULL' END
        WHEN argument = 'team_id' THEN quote_nullable(stress.row_of('teams', home))
        WHEN argument IN ('user_id', 'assignee_id', 'assigned_to', 'reassign_to') THEN quote_nullable(stress.row_of('organization_members', home, 'user_id'))
        WHEN type = 'uuid'::regtype THEN quote_literal(gen_random_uuid())
        WHEN argument = 'rows' THEN quote_literal((SELECT jsonb_agg(stress.lead_row()) FROM generate_series(1, 3)))
        WHEN argument = 'csv' THEN quote_literal(E'name;email\n' || stress.person() || ';' || stress.email())
        WHEN argument = 'candidate' THEN quote_literal(stress.lead_row())
        WHEN argument = 'custom_fields' THEN quote_literal(stress.fields())
        WHEN argument = 'field_choices' THEN '''{}'''
        WHEN argument IN ('email', 'owner_email') THEN quote_literal(stress.email())
        WHEN argument = 'phone' THEN quote_literal(stress.phone())
        WHEN argument = 'inn' THEN quote_nullable(CASE WHEN random() < 0.3 THEN stress.inn() END)
        WHEN argument = 'on_duplicate' THEN quote_nullable(stress.one_of(NULL, 'allow', 'warn', 'block'))
        WHEN argument = 'on_match' THEN quote_literal(stress.one_of('link', 'link', 'create', 'error'))
        WHEN argument = 'type' THEN quote_literal(stress.one_of('call', 'task', 'task', 'note'))
        WHEN argument = 'role_slug' THEN quote_literal(stress.one_of('sales_team', 'sales_manager', 'admin', 'owner'))
        WHEN argument = 'lost_reason' THEN quote_nullable(stress.one_of('price', 'silence', NULL))
        WHEN argument = 'expected_version' THEN stress.one_of('NULL', 'NULL', 'NULL', '2')
        WHEN argument = 'permission' THEN quote_literal('leads:create')
        WHEN argument IN ('company', 'name', 'query', 'title', 'number') THEN quote_literal(stress.person())
        WHEN type = 'boolean'::regtype THEN stress.one_of('true', 'false')
        WHEN type = 'numeric'::regtype THEN floor(random() * 100)::text
        WHEN argument = 'min_probability' THEN '0.5'
        WHEN argument = 'locale' THEN '''en'''
        ELSE NULL END;
END $$;

CREATE VIEW stress.functions AS
    SELECT p.oid, p.proname AS name, p.provolatile = 'v' AS writes, p.pronargs, p.pronargs - p.pronargdefaults AS required, p.proargnames, p.proargtypes
      FROM pg_proc p JOIN kvcrm.api_privileges() a ON a.object_type = 'function' AND a.object_name::regprocedure = p.oid
     WHERE p.proname NOT LIKE 'policy\_%';

CREATE FUNCTION stress.call(home uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE f record; result text := ''; value text;
BEGIN
    SELECT * INTO f FROM stress.functions
     WHERE writes = (random() < 0.8) AND (random() < 0.02 OR name NOT IN ('create_organization', 'scan_duplicates', 'check_consistency', 'train_matcher', 'reset_matcher', 'refresh_derived', 'erase_lead', 'uuid_v7'))
     ORDER BY random() LIMIT 1;
    IF f IS NULL THEN RETURN 'SELECT kvcrm.crm_overview()'; END IF;
    FOR i IN 1 .. f.pronargs LOOP
        CONTINUE WHEN i > f.required AND f.proargnames[i] <> 'organization_id' AND random() < 0.5;
        value := stress.argument(f.proargnames[i], f.proargtypes[i - 1]::regtype, home);
        CONTINUE WHEN value IS NULL AND i > f.required;
        result := result || CASE result WHEN '' THEN '' ELSE ', ' END || format('%I => %s', f.proargnames[i], coalesce(value, 'NULL::' || f.proargtypes[i - 1]::regtype));
    END LOOP;
    RETURN format('SELECT * FROM kvcrm.%I(%s)', f.name, result);
END $$;

-- A direct write.
CREATE FUNCTION stress.write(home uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    user_id text := quote_nullable(stress.row_of('organization_members', home, 'user_id'));
    chance float8 := random();
BEGIN
    -- What stops others (it locks leads, or changes whole columns of the board) is rarer.
    IF chance < 0.15 THEN
        RETURN CASE floor(random() * 9)
            WHEN 0 THEN format('UPDATE kvcrm.organizations SET duplicate_policy = %L WHERE id = %L', stress.one_of('allow', 'warn', 'block'), home)
            WHEN 1 THEN format('UPDATE kvcrm.organizations SET default_country = %L, settings = %L WHERE id = %L', stress.one_of('RU', 'US'), stress.one_of('{}', '{"quote_accepted_wins": true}'), home)
            WHEN 2 THEN format('UPDATE kvcrm.lead_stages SET order_index = %s WHERE id = %L', floor(random() * 6), stress.row_of('lead_stages', home))
            WHEN 3 THEN format('UPDATE kvcrm.lead_stages SET is_qualified = %s, outcome = %L WHERE id = %L', stress.one_of('true', 'false'), stress.one_of('open', 'won', 'lost'), stress.row_of('lead_stages', home))
            WHEN 4 THEN format('INSERT INTO kvcrm.lead_stages (organization_id, name, order_index, outcome) VALUES (%L, %L, %s, %L)', home, 'Stage ' || floor(random() * 5), floor(random() * 6), stress.one_of('open', 'open', 'lost'))
            WHEN 5 THEN format('INSERT INTO kvcrm.custom_field_definitions (organization_id, entity, key, type) VALUES (%L, %L, %L, %L)', home, stress.one_of('lead', 'customer', 'quote'), stress.one_of('extra', 'budget', 'other'), stress.one_of('text', 'number'))
            WHEN 6 THEN format('UPDATE kvcrm.custom_field_definitions SET options = %L, required = %s WHERE organization_id = %L AND key = ''region'' AND entity = %L', stress.one_of('{north,south}', '{south}', '{north,south,west}'), (random() < 0.1)::text, home, stress.one_of('lead', 'customer', 'quote'))
            WHEN 7 THEN format('DELETE FROM kvcrm.custom_field_definitions WHERE organization_id = %L AND key = %L', home, stress.one_of('extra', 'other'))
            ELSE format('UPDATE kvcrm.organization_members SET %s WHERE organization_id = %L AND user_id = %s', stress.one_of('status = ''active''', 'status = ''active''', 'status = ''suspended''',
                'role_slug = ''admin''', 'role_slug = ''sales_team''', format('team_id = %L', stress.row_of('teams', home))), home, user_id)
        END;
    END IF;
    RETURN CASE floor(random() * 12)
        WHEN 0 THEN format('INSERT INTO kvcrm.leads (organization_id, name, email, phone, inn, assigned_to, custom_fields) VALUES (%L, %L, %L, %L, %L, %s, %L)', home, stress.person(), stress.email(), stress.phone(), CASE WHEN random() < 0.2 THEN stress.inn() END,
            stress.one_of('NULL', user_id), stress.fields())
        WHEN 1 THEN format('UPDATE kvcrm.leads SET email = %L, phone = %L WHERE id = %L', stress.email(), stress.phone(), stress.row_of('leads', home))
        WHEN 2 THEN format('UPDATE kvcrm.leads SET stage_id = %L, lost_reason = %L WHERE id = %L', stress.row_of('lead_stages', home), stress.one_of('price', NULL), stress.row_of('leads', home))
        WHEN 3 THEN format('UPDATE kvcrm.leads SET assigned_to = %s, estimated_value = %s, currency = %L WHERE id = %L', user_id, stress.one_of('NULL', '10', '20.5'), stress.one_of('RUB', 'USD'), stress.row_of('leads', home))
        WHEN 4 THEN format('UPDATE kvcrm.leads SET custom_fields = %L, name = %L WHERE id = ANY (%L)', stress.fields(), stress.person(), ARRAY[stress.row_of('leads', home), stress.row_of('leads', home)])
        WHEN 5 THEN format('UPDATE kvcrm.lead_activities SET completed_at = %s, assigned_to = %s WHERE id = %L', stress.one_of('NULL', 'now()'), stress.one_of('assigned_to', user_id), stress.row_of('lead_activities', home))
        WHEN 6 THEN format('INSERT INTO kvcrm.lead_activities (organization_id, lead_id, type, title, assigned_to) VALUES (%L, %L, ''task'', ''x'', %s)', home, stress.row_of('leads', home), user_id)
        WHEN 7 THEN format('INSERT INTO kvcrm.customers (organization_id, name, email, phone, inn) VALUES (%L, %L, %L, %L, %L)', home, stress.person(), stress.email(), stress.phone(), CASE WHEN random() < 0.3 THEN stress.inn() END)
        WHEN 8 THEN format('UPDATE kvcrm.customers SET %s WHERE id = %L', stress.one_of(format('email = %L', stress.email()), format('phone = %L', stress.phone()), format('inn = %L', stress.inn()), 'deleted_at = now()', 'deleted_at = NULL', 'deleted_at = NULL', format('custom_fields = %L', stress.fields())), stress.row_of('customers', home))
        WHEN 9 THEN format('INSERT INTO kvcrm.customer_contacts (organization_id, customer_id, name, email, is_primary) VALUES (%L, %L, %L, %L, %s)', home, stress.row_of('customers', home), stress.person(), stress.email(), (random() < 0.2)::text)
        WHEN 10 THEN format('UPDATE kvcrm.quotes SET status = %L WHERE id = %L', stress.one_of('sent', 'sent', 'draft', 'accepted', 'rejected'), stress.row_of('quotes', home))
        ELSE format('UPDATE kvcrm.customer_contacts SET %s WHERE id = %L', stress.one_of('is_primary = NOT is_primary', format('name = %L, phone = %L', stress.person(), stress.phone())), stress.row_of('customer_contacts', home))
    END;
END $$;

-- Whatever others are doing: what one snapshot sees is consistent.
CREATE FUNCTION stress.demand_consistency(home uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE broken text;
BEGIN
    SELECT string_agg(c::text, E'\n') INTO broken FROM (SELECT * FROM kvcrm.check_consistency(home) LIMIT 10) AS c;
    IF broken IS NOT NULL THEN RAISE EXCEPTION USING ERRCODE = 'ZZ001', MESSAGE = 'inconsistent: ' || broken; END IF;
END $$;

-- The statements of one transaction, none once the time is over.
CREATE FUNCTION stress.next() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    home stress.homes := (SELECT h FROM stress.homes h ORDER BY random() LIMIT 1);
    system boolean := random() < 0.4;
    several boolean := random() < 0.2;
BEGIN
    IF clock_timestamp() > (SELECT deadline FROM stress.settings) THEN RETURN; END IF;
    IF random() < 0.005 THEN
        RETURN NEXT format('SELECT stress.demand_consistency(%L)', home.id);
        RETURN;
    END IF;
    IF system THEN
        -- Somebody sees to it that the organizations can be worked in.
        IF random() < 0.05 THEN RETURN NEXT format('UPDATE kvcrm.organization_members SET status = ''active'' WHERE organization_id = %L AND status = ''suspended''', home.id); END IF;
        RETURN NEXT 'SELECT set_config(''kvcrm.user_id'', '''', false), set_config(''role'', ''none'', false)';
    ELSE
        RETURN NEXT format('SELECT set_config(''kvcrm.user_id'', %L, false), set_config(''role'', %L, false)', home.users[1 + floor(random() * 8)], (SELECT role FROM stress.settings));
    END IF;
    IF several THEN RETURN NEXT 'BEGIN'; END IF;
    FOR i IN 1 .. CASE WHEN several THEN 3 ELSE 1 END LOOP
        RETURN NEXT CASE WHEN random() < 0.55 THEN stress.call(home.id) ELSE stress.write(home.id) END;
    END LOOP;
    IF several THEN RETURN NEXT stress.one_of('COMMIT', 'COMMIT', 'COMMIT', 'ROLLBACK'); END IF;
    RETURN NEXT 'SELECT set_config(''kvcrm.user_id'', '''', false), set_config(''role'', ''none'', false)';
END $$;
