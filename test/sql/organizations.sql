-- Organizations, members, roles and teams: defaults, invitations, and that nobody reaches beyond their own rights.
BEGIN;
SELECT no_plan();
\set api kvcrm_organizations_api
\ir include/access.sql

-- The defaults of a new organization.

SELECT results_eq(format($$ SELECT name, color, is_qualified, outcome FROM kvcrm.lead_stages WHERE organization_id = t.id(%L) ORDER BY order_index, id $$, organization), stages,
                  'stages of a new organization: ' || organization)
  FROM (VALUES ('south', $$ VALUES ('Новый лид', '#1890ff', false, 'open'), ('Контакт установлен', '#faad14', false, 'open'),
                    ('Квалифицирован', '#52c41a', true, 'open'), ('Продан', '#1890ff', true, 'won'), ('Потеря', '#ff7875', false, 'lost') $$),
               ('north', $$ VALUES ('New lead', '#1890ff', false, 'open'), ('Contacted', '#faad14', false, 'open'),
                    ('Qualified', '#52c41a', true, 'open'), ('Won', '#1890ff', true, 'won'), ('Lost', '#ff7875', false, 'lost') $$)) AS s (organization, stages);
SELECT is((SELECT array_agg(slug ORDER BY slug) FROM kvcrm.lead_sources WHERE organization_id = t.id(organization)),
          '{cold_call,event,inbound_email,other,referral,website}', 'sources of a new organization: ' || organization)
  FROM unnest(ARRAY['south', 'north']) AS organization;
SELECT is((SELECT name FROM kvcrm.lead_sources WHERE organization_id = t.id(organization) AND slug = 'cold_call'), name, 'in its language: ' || organization)
  FROM (VALUES ('south', 'Холодный звонок'), ('north', 'Cold call')) AS s (organization, name);
SELECT results_eq(format($$ SELECT slug, (SELECT string_agg(p, ' ' ORDER BY p) FROM unnest(permissions) AS p) FROM kvcrm.roles WHERE organization_id = t.id(%L) ORDER BY slug $$, organization), $$ VALUES
    ('admin', 'activities:* customers:* duplicates:* fields:* lead_stages:* leads:* logs:* members:* quotes:* roles:* scoring:* settings:* teams:*'),
    ('owner', '*:*'),
    ('sales_manager', 'activities:* customers:* duplicates:review lead_stages:read leads:assign leads:convert leads:create leads:delete leads:export leads:import leads:merge leads:read_all leads:update logs:read quotes:* teams:*'),
    ('sales_team', 'activities:create customers:read lead_stages:read leads:convert_own leads:create leads:read_own leads:update_own quotes:create') $$,
    'roles of a new organization: ' || organization)
  FROM unnest(ARRAY['south', 'north']) AS organization;
SELECT is((SELECT name FROM kvcrm.roles WHERE organization_id = t.id(organization) AND slug = 'owner'), name, 'in its language: ' || organization)
  FROM (VALUES ('south', 'Владелец'), ('north', 'Owner')) AS s (organization, name);
SELECT is((SELECT ROW (name, locale, default_country, currency, duplicate_policy, settings)::text FROM kvcrm.organizations WHERE id = t.id('south')),
          '(South,ru,DE,RUB,warn,{})', 'columns of a new organization');
SELECT is((SELECT ROW (user_id = t.id('south_owner'), role_slug, status, display_name)::text FROM kvcrm.organization_members
            WHERE organization_id = t.id('south') AND role_slug = 'owner'), '(t,owner,active,"Sven Owner")', 'its owner is an active member');
SELECT is((SELECT count(*) FROM kvcrm.activity_logs WHERE organization_id = t.id('south') AND entity_type = 'stage' AND action = 'created'), 5::bigint, 'the log tells of the defaults');

-- create_organization.

CREATE FUNCTION t.organization(who text, arguments text, role text DEFAULT current_setting('t.api')) RETURNS text LANGUAGE sql AS $$
    SELECT t.get(who, format('SELECT ROW (o.name, o.locale, o.default_country)::text FROM kvcrm.create_organization(%s) o', arguments), role)
$$;
\set system 'current_user::text'
SELECT is(t.organization(who, arguments, CASE WHEN who IS NULL THEN :system ELSE :'api' END), answer, format('create_organization(%s) by %s', arguments, coalesce(who, 'the system')))
  FROM (VALUES ('founder', '''A''', '(A,ru,RU)'), ('founder', '''  A  ''', '(A,ru,RU)'), ('founder', '''A'', ''en'', ''US''', '(A,en,US)'), ('founder', '''A'', NULL, NULL', '(A,ru,RU)'),
               ('founder', 'name => ''A'', owner_name => ''Fred'', owner_email => ''fred@example.com''', '(A,ru,RU)'),
               ('founder', '''A'', owner_id => t.id(''founder'')', '(A,ru,RU)'), ('rep', '''A''', '(A,ru,RU)'),
               ('founder', '''A'', owner_id => t.id(''rep'')', '42501'), ('founder', '''A'', organization_id => t.id(''a'')', '42501'),
               ('founder', 'NULL', '22023'), ('founder', '''''', '23514'), ('founder', '''   ''', '23514'), ('founder', 'repeat(''я'', 255)', format('(%s,ru,RU)', repeat('я', 255))),
               ('founder', 'repeat(''x'', 256)', '22001'), ('founder', 'repeat(''x'', 10485760)', '22001'),
               ('founder', '''A'', ''fr''', '23514'), ('founder', '''A'', ''''', '23514'), ('founder', '''A'', ''ru'', ''ZZ''', '23514'), ('founder', '''A'', ''ru'', ''Russia''', '23514'),
               ('founder', '''A'', ''ru'', ''ru''', '23514'), ('founder', '''A'', owner_email => ''not an address''', '23514'), ('founder', '''A'', owner_name => repeat(''x'', 256)', '22001'),
               (NULL, '''A'', owner_id => t.id(''founder'')', '(A,ru,RU)'), (NULL, '''A'', owner_id => t.id(''founder''), organization_id => t.id(''a'')', '(A,ru,RU)'),
               (NULL, '''A''', '22023'), (NULL, 'NULL, owner_id => t.id(''founder'')', '22023'),
               (NULL, '''A'', owner_id => t.id(''founder''), organization_id => t.id(''north'')', '23505')) AS s (who, arguments, answer);
SELECT is(t.get('founder', $$ SELECT count(*) FROM kvcrm.organization_members m WHERE m.user_id = t.id('founder') AND role_slug = 'owner' AND status = 'active' $$), '9',
          'who creates an organization owns it');
SELECT is(t.get('founder', 'SELECT count(*) FROM kvcrm.organizations'), '9', 'and sees it');
SELECT is((SELECT count(*) FROM kvcrm.organizations WHERE name = 'A' AND NOT EXISTS (SELECT FROM kvcrm.organization_members m WHERE m.organization_id = organizations.id)), 0::bigint,
          'a refused creation leaves nothing');
SELECT is((SELECT ROW (display_name, email)::text FROM kvcrm.organization_members WHERE display_name = 'Fred'), '(Fred,fred@example.com)', 'the owner''s name and e-mail are kept');

SET LOCAL kvcrm.organization_creation = 'system';
SELECT is(t.organization('founder', '''A'''), '42501', 'users may not create organizations where the setting says so');
SELECT is(t.organization('founder', '''A''', :system), '42501', 'nor may a superuser for a user');
SELECT is(t.organization(NULL, '''A'', owner_id => t.id(''founder'')', :system), '(A,ru,RU)', 'the system may');
SELECT is(t.try('founder', 'SET kvcrm.organization_creation = ''anyone'''), '42501', 'an API role can''t change the setting');
SELECT is(t.try('founder', 'SELECT set_config(''kvcrm.organization_creation'', ''anyone'', true)'), '42501', 'by no way');
SELECT throws_ok('SET LOCAL kvcrm.organization_creation = ''everyone''', '22023', NULL, 'the setting knows two values');
SET LOCAL kvcrm.organization_creation = 'anyone';

-- Invitations.

SELECT is(t.get('admin', $$ SELECT ROW (m.status, m.role_slug, m.display_name, m.email, m.team_id = t.id('team1'))::text
                              FROM kvcrm.add_member(t.id('new'), 'sales_team', 'New', 'new@example.com', t.id('team1')) m $$),
          '(invited,sales_team,New,new@example.com,t)', 'add_member by a user invites');
SELECT is(t.get(NULL, $$ SELECT m.status FROM kvcrm.add_member(t.id('new2'), 'sales_team', organization_id => t.id('north')) m $$, :system), 'active', 'the system adds active members');
SELECT is(t.try(who, statement), state, format('%s: %s', who, statement))
  FROM (VALUES ('admin', 'SELECT kvcrm.add_member(NULL, ''sales_team'')', '22023'), ('admin', 'SELECT kvcrm.add_member(t.id(''n''), NULL)', '22023'),
               ('admin', 'SELECT kvcrm.add_member(t.id(''n''), ''nobody'')', '22023'), ('admin', 'SELECT kvcrm.add_member(t.id(''n''), '''')', '22023'),
               ('admin', 'SELECT kvcrm.add_member(t.id(''new''), ''sales_team'')', '23505'), ('admin', 'SELECT kvcrm.add_member(t.id(''rep''), ''sales_team'')', '23505'),
               ('admin', 'SELECT kvcrm.add_member(t.id(''n''), ''sales_team'', team_id => t.id(''unknown''))', '22023'),
               ('admin', 'SELECT kvcrm.add_member(t.id(''n''), ''sales_team'', team_id => t.id(''south_team''))', '22023'),
               ('admin', 'SELECT kvcrm.add_member(t.id(''n''), ''sales_team'', email => ''x'')', '23514'),
               ('admin', 'SELECT kvcrm.add_member(t.id(''n''), ''sales_team'', display_name => repeat(''x'', 256))', '22001'),
               ('admin', 'SELECT kvcrm.add_member(t.id(''n''), ''sales_team'', organization_id => t.id(''south''))', '42501'),
               ('admin', 'SELECT kvcrm.set_member_role(NULL, ''sales_team'')', '22023'), ('admin', 'SELECT kvcrm.set_member_role(t.id(''rep''), NULL)', '22023'),
               ('admin', 'SELECT kvcrm.set_member_role(t.id(''rep''), ''nobody'')', '22023'), ('admin', 'SELECT kvcrm.set_member_role(t.id(''n''), ''sales_team'')', 'PT404'),
               ('admin', 'SELECT kvcrm.suspend_member(NULL)', '22023'), ('admin', 'SELECT kvcrm.suspend_member(t.id(''n''))', 'PT404'),
               ('admin', 'SELECT kvcrm.reactivate_member(NULL)', '22023'), ('admin', 'SELECT kvcrm.reactivate_member(t.id(''n''))', 'PT404'),
               ('admin', 'SELECT kvcrm.reactivate_member(t.id(''invited''))', '23514')) AS s (who, statement, state);

-- An invitation gives nothing until it is accepted, and only by the one invited.
SELECT is(t.get('invited', 'SELECT count(*) FROM kvcrm.' || table_name), '0', 'who is only invited sees nothing of ' || table_name)
  FROM unnest(ARRAY['leads', 'organizations', 'roles', 'teams', 'lead_stages', 'customers', 'lead_activities', 'activity_logs']) AS table_name;
SELECT is(t.get('invited', 'SELECT string_agg(status, '','') FROM kvcrm.organization_members'), 'invited', 'but the invitation');
SELECT is(t.try(who, statement, role), '42501', format('nobody accepts for others: %s (%s), %s', who, role, statement))
  FROM unnest(ARRAY['admin', 'owner']) AS who, unnest(ARRAY[:'api', :system]) AS role,
       unnest(ARRAY[$$ UPDATE kvcrm.organization_members SET status = 'active' WHERE user_id = t.id('invited') $$,
                    $$ UPDATE kvcrm.organization_members SET status = 'suspended' WHERE user_id = t.id('invited') $$,
                    $$ UPDATE kvcrm.organization_members SET status = 'invited' WHERE user_id = t.id('rep') $$,
                    $$ INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, status) VALUES (t.id('north'), t.id('n'), 'sales_team', 'active') $$,
                    $$ INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, status) VALUES (t.id('north'), t.id('n'), 'sales_team', 'suspended') $$]) AS statement;
SELECT is(t.try('admin', $$ UPDATE kvcrm.organization_members SET user_id = t.id('admin2') WHERE user_id = t.id('invited') $$, :system), '23514', 'an invitation is not passed on');
SELECT is(t.try('admin', $$ UPDATE kvcrm.organization_members SET user_id = t.id('admin2') WHERE user_id = t.id('invited') $$), '42501', 'and API roles can''t even try');
SELECT is(t.try('admin', $$ INSERT INTO kvcrm.organization_members (user_id, role_slug) VALUES (t.id('n'), 'sales_team') $$), '1', 'a plain INSERT invites as well');
SELECT is(t.try('stranger', $$ SELECT kvcrm.accept_invitation(t.id('north')) $$), 'PT404', 'a stranger has nothing to accept');
SELECT is(t.message('stranger', $$ SELECT kvcrm.accept_invitation(t.id('north')) $$), t.message('stranger', $$ SELECT kvcrm.accept_invitation(t.id('unknown')) $$),
          'nor learns of organizations');
SELECT is(t.try(who, format('SELECT kvcrm.%s()', f)), 'PT404', format('%s: %s has no open invitation', f, who))
  FROM unnest(ARRAY['rep', 'suspended', 'stranger']) AS who, unnest(ARRAY['accept_invitation', 'decline_invitation']) AS f;
SELECT is(t.try('suspended', $$ UPDATE kvcrm.organization_members SET status = 'active' WHERE user_id = t.id('suspended') $$), '42501', 'a suspended member doesn''t come back alone');
SELECT is(t.try('invited', $$ UPDATE kvcrm.organization_members SET status = 'active', role_slug = 'admin' WHERE user_id = t.id('invited') $$), '42501', 'nobody chooses a role while accepting');
SELECT is(t.try('invited', $$ UPDATE kvcrm.organization_members SET status = 'active', team_id = t.id('team2') WHERE user_id = t.id('invited') $$), '42501', 'nor a team');
SELECT is(t.try('invited', $$ UPDATE kvcrm.organization_members SET status = 'active' WHERE user_id = t.id('invited') $$), '1', 'a plain UPDATE by the one invited accepts');
SELECT is(t.get('invited', 'SELECT m.status FROM kvcrm.accept_invitation() m'), 'active', 'accept_invitation()');
SELECT is(t.get('invited', 'SELECT count(*) FROM kvcrm.organizations'), '1', 'makes a member');
SELECT is(t.try('invited', 'SELECT kvcrm.accept_invitation()'), 'PT404', 'once');
SELECT is(t.try('invited', 'SELECT kvcrm.decline_invitation()'), 'PT404', 'what is accepted can''t be declined');
SELECT is(t.run('south_owner', $$ SELECT kvcrm.add_member(t.id('new'), 'sales_team') $$), '1', 'a second invitation');
SELECT is(t.try('new', 'SELECT kvcrm.accept_invitation()'), '22023', 'of two invitations one must be named');
SELECT is(t.get('new', 'SELECT m.status FROM kvcrm.accept_invitation(t.id(''south'')) m'), 'active', 'accepted by name');
SELECT is(t.get('new', 'SELECT m.status FROM kvcrm.decline_invitation(t.id(''north'')) m'), 'invited', 'decline_invitation() returns the row as it was');
SELECT is((SELECT count(*) FROM kvcrm.organization_members WHERE user_id = t.id('new') AND organization_id = t.id('north')), 0::bigint, 'and deletes it');
SELECT is(t.run('admin', $$ SELECT kvcrm.add_member(t.id('new'), 'sales_team') $$), '1', 'who declined may be invited again');
SELECT is(t.run('admin', $$ SELECT kvcrm.suspend_member(t.id('new')) $$), '1', 'suspend_member() withdraws an invitation');
SELECT is(t.try('new', $$ SELECT kvcrm.accept_invitation(t.id('north')) $$), 'PT404', 'which then can''t be accepted');

-- Suspending and reactivating.

INSERT INTO kvcrm.lead_activities (id, organization_id, lead_id, type, title, assigned_to, completed_at)
VALUES (t.id('open_task'), t.id('north'), t.id('lead_far'), 'task', 'Open', t.id('rep'), NULL),
       (t.id('done_task'), t.id('north'), t.id('lead_far'), 'task', 'Done', t.id('rep'), now());
INSERT INTO kvcrm.leads (id, organization_id, name, company, assigned_to)
SELECT t.id(lead), t.id('north'), lead, lead, t.id('rep') FROM unnest(ARRAY['lead_won', 'lead_lost', 'lead_gone']) AS lead;
SELECT kvcrm.qualify_lead(t.id('lead_won')) \g /dev/null
SELECT kvcrm.delete_lead(t.id('lead_gone')) \g /dev/null
SELECT kvcrm.move_lead(t.id('lead_lost'), (SELECT id FROM kvcrm.lead_stages WHERE organization_id = t.id('north') AND name = 'Lost'), lost_reason => 'price') \g /dev/null
SELECT is(t.try('admin', format('SELECT kvcrm.suspend_member(t.id(''rep''), t.id(%L))', successor)), '22023', 'no successor: ' || successor)
  FROM unnest(ARRAY['rep', 'suspended', 'stranger', 'south_rep']) AS successor;
SAVEPOINT suspended;
SELECT is(t.get('admin', $$ SELECT m.status FROM kvcrm.suspend_member(t.id('rep')) m $$), 'suspended', 'suspend_member() without a successor');
SELECT is((SELECT ROW ((SELECT assigned_to FROM kvcrm.leads WHERE id = t.id('lead_rep')), (SELECT assigned_to FROM kvcrm.lead_activities WHERE id = t.id('open_task')))::text),
          '(,)', 'leaves open leads and tasks to nobody');
ROLLBACK TO suspended;
SELECT is(t.get('admin', $$ SELECT m.status FROM kvcrm.suspend_member(t.id('rep'), t.id('mate')) m $$), 'suspended', 'suspend_member() with a successor');
SELECT is((SELECT string_agg(name, ' ' ORDER BY name) FROM kvcrm.leads WHERE assigned_to = t.id('mate')), 'Lead_Mate Lead_Rep', 'hands over open leads');
SELECT is((SELECT string_agg(name, ' ' ORDER BY name) FROM kvcrm.leads WHERE assigned_to = t.id('rep')), 'lead_gone lead_lost lead_won', 'not converted, lost and deleted ones');
SELECT is((SELECT string_agg(title, ' ') FROM kvcrm.lead_activities WHERE assigned_to = t.id('mate')), 'Open', 'and open tasks');
SELECT is(t.get('rep', 'SELECT count(*) FROM kvcrm.leads'), '0', 'a suspended member sees nothing');
SELECT is(t.try('rep', 'SELECT kvcrm.create_lead(''x'', organization_id => t.id(''north''))'), '42501', 'and may do nothing');
SELECT is(t.get('admin', $$ SELECT m.status FROM kvcrm.suspend_member(t.id('rep')) m $$), 'suspended', 'suspending twice changes nothing');
SELECT is(t.get('admin', $$ SELECT m.status FROM kvcrm.reactivate_member(t.id('rep')) m $$), 'active', 'reactivate_member()');
SELECT is(t.get('admin', $$ SELECT m.status FROM kvcrm.reactivate_member(t.id('rep')) m $$), 'active', 'twice changes nothing');
SELECT is(t.get('admin', $$ SELECT m.role_slug FROM kvcrm.set_member_role(t.id('rep'), 'sales_manager') m $$), 'sales_manager', 'set_member_role()');
SELECT is(t.get('rep', 'SELECT count(*) FROM kvcrm.leads WHERE name = ''Lead_Far'''), '1', 'counts at once');
SELECT is(t.get('admin', $$ SELECT m.role_slug FROM kvcrm.set_member_role(t.id('rep'), 'sales_team') m $$), 'sales_team', 'and back');
SELECT is((SELECT array_agg(DISTINCT action) FROM kvcrm.activity_logs WHERE entity_type = 'member' AND actor_id = t.id('admin')), '{created,deleted,updated}', 'the log tells of members');

-- Nobody beyond their own permissions, before or after: functions, API roles, backends that bypass.

INSERT INTO kvcrm.roles (organization_id, slug, name, permissions)
VALUES (t.id('north'), 'hr', 'HR', '{members:*,roles:*,teams:*,leads:read_own}'), (t.id('north'), 'super', 'Super', '{*:*}'), (t.id('north'), 'intern', 'Intern', '{leads:read_own}');
INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, status)
VALUES (t.id('north'), t.id('hr'), 'hr', 'active'), (t.id('north'), t.id('intern'), 'intern', 'active'), (t.id('north'), t.id('super'), 'super', 'active'),
       (t.id('north'), t.id('owner2'), 'owner', 'suspended'), (t.id('north'), t.id('owner3'), 'owner', 'invited');
SELECT is(t.try(who, statement, role), state, format('%s (%s): %s', who, role, statement))
  FROM unnest(ARRAY[:'api', :system]) AS role,
       (VALUES
        ('hr', 'SELECT kvcrm.add_member(t.id(''n''), ''intern'')', '1'), ('hr', 'SELECT kvcrm.add_member(t.id(''n''), ''sales_team'')', '42501'),
        ('hr', 'SELECT kvcrm.add_member(t.id(''n''), ''owner'')', '42501'), ('admin', 'SELECT kvcrm.add_member(t.id(''n''), ''owner'')', '42501'),
        ('admin', 'SELECT kvcrm.add_member(t.id(''n''), ''super'')', '42501'), ('owner', 'SELECT kvcrm.add_member(t.id(''n''), ''owner'')', '1'),
        ('hr', 'SELECT kvcrm.set_member_role(t.id(''intern''), ''hr'')', '1'), ('hr', 'SELECT kvcrm.set_member_role(t.id(''intern''), ''sales_team'')', '42501'),
        ('hr', 'SELECT kvcrm.set_member_role(t.id(''rep''), ''intern'')', '42501'), ('admin', 'SELECT kvcrm.set_member_role(t.id(''rep''), ''owner'')', '42501'),
        ('admin', 'SELECT kvcrm.set_member_role(t.id(''owner2''), ''sales_team'')', '42501'), ('owner', 'SELECT kvcrm.set_member_role(t.id(''rep''), ''owner'')', '1'),
        ('admin', 'SELECT kvcrm.suspend_member(t.id(''owner''))', '42501'), ('admin', 'SELECT kvcrm.suspend_member(t.id(''super''))', '42501'), ('hr', 'SELECT kvcrm.suspend_member(t.id(''rep''))', '42501'),
        ('admin', 'SELECT kvcrm.reactivate_member(t.id(''owner2''))', '42501'), ('owner', 'SELECT kvcrm.reactivate_member(t.id(''owner2''))', '1'),
        ('admin', 'SELECT kvcrm.suspend_member(t.id(''owner3''))', '42501'), ('hr', 'SELECT kvcrm.suspend_member(t.id(''intern''))', '1'),
        ('admin', 'UPDATE kvcrm.organization_members SET role_slug = ''owner'' WHERE user_id = t.id(''rep'')', '42501'),
        ('admin', 'UPDATE kvcrm.organization_members SET role_slug = ''sales_team'' WHERE user_id = t.id(''owner'')', '42501'),
        ('admin', 'UPDATE kvcrm.organization_members SET status = ''suspended'' WHERE user_id = t.id(''owner'')', '42501'),
        ('admin', 'UPDATE kvcrm.organization_members SET display_name = ''x'' WHERE user_id = t.id(''owner'')', '42501'),
        ('admin', 'UPDATE kvcrm.organization_members SET team_id = t.id(''team1'') WHERE user_id = t.id(''owner'')', '42501'),
        ('manager', 'UPDATE kvcrm.organization_members SET team_id = t.id(''team1'') WHERE user_id = t.id(''admin'')', '42501'),
        ('manager', 'UPDATE kvcrm.organization_members SET team_id = t.id(''team1''), display_name = ''x'' WHERE user_id = t.id(''far'')', '42501'),
        ('hr', 'INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug) VALUES (t.id(''north''), t.id(''n''), ''sales_team'')', '42501'),
        ('hr', 'INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (t.id(''north''), ''x'', ''x'', ''{leads:read_own,teams:update}'')', '1'),
        ('hr', 'INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (t.id(''north''), ''x'', ''x'', ''{leads:read_all}'')', '42501'),
        ('admin', 'INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (t.id(''north''), ''x'', ''x'', ''{*:*}'')', '42501'),
        ('admin', 'INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (t.id(''north''), ''x'', ''x'', ''{leads:*}'')', '1'),
        ('hr', 'UPDATE kvcrm.roles SET permissions = ''{}'' WHERE organization_id = t.id(''north'') AND slug = ''sales_team''', '42501'),
        ('hr', 'UPDATE kvcrm.roles SET permissions = ''{leads:read_all}'' WHERE organization_id = t.id(''north'') AND slug = ''intern''', '42501'),
        ('hr', 'UPDATE kvcrm.roles SET permissions = permissions || ''{leads:delete}'' WHERE organization_id = t.id(''north'') AND slug = ''hr''', '42501'),
        ('admin', 'UPDATE kvcrm.roles SET permissions = ''{*:*}'' WHERE organization_id = t.id(''north'') AND slug = ''admin''', '42501'),
        ('admin', 'UPDATE kvcrm.roles SET name = ''x'' WHERE organization_id = t.id(''north'') AND slug = ''super''', '42501'),
        ('admin', 'UPDATE kvcrm.roles SET permissions = ''{}'' WHERE organization_id = t.id(''north'') AND slug = ''super''', '42501'),
        ('owner', 'UPDATE kvcrm.roles SET permissions = ''{}'' WHERE organization_id = t.id(''north'') AND slug = ''super''', '1'),
        -- Nobody their own role, team or status.
        ('admin', 'SELECT kvcrm.set_member_role(t.id(''admin''), ''sales_team'')', '42501'), ('admin', 'SELECT kvcrm.set_member_role(t.id(''admin''), ''owner'')', '42501'),
        ('owner', 'SELECT kvcrm.set_member_role(t.id(''owner''), ''admin'')', '42501'), ('admin', 'SELECT kvcrm.suspend_member(t.id(''admin''))', '42501'),
        ('hr', 'UPDATE kvcrm.organization_members SET team_id = t.id(''team1'') WHERE user_id = t.id(''hr'')', '42501'),
        ('manager', 'UPDATE kvcrm.organization_members SET team_id = t.id(''team2'') WHERE user_id = t.id(''manager'')', '42501'),
        ('rep', 'UPDATE kvcrm.organization_members SET role_slug = ''admin'' WHERE user_id = t.id(''rep'')', '42501'),
        ('rep', 'UPDATE kvcrm.organization_members SET status = ''suspended'' WHERE user_id = t.id(''rep'')', '42501'),
        ('rep', 'UPDATE kvcrm.organization_members SET display_name = ''Me'', email = ''me@example.com'' WHERE user_id = t.id(''rep'') AND role_slug = ''sales_team''', '1')) AS s (who, statement, state);
-- What only a backend can try: deleting members.
SELECT is(t.try(who, format('DELETE FROM kvcrm.organization_members WHERE organization_id = t.id(''north'') AND user_id = t.id(%L)', whom), :system), state,
          format('%s deletes the membership of %s through a backend', who, whom))
  FROM (VALUES ('admin', 'rep', '1'), ('admin', 'owner', '42501'), ('admin', 'super', '42501'), ('hr', 'rep', '42501'), ('hr', 'intern', '1'), ('manager', 'rep', '42501'),
               ('rep', 'rep', '42501'), ('admin', 'admin', '42501'), ('stranger', 'rep', '42501'), (NULL, 'rep', '1')) AS s (who, whom, state);

-- The last active owner stays.

SELECT is(t.try(who, statement, :system), '23514', format('the last owner stays (%s): %s', coalesce(who, 'the system'), statement))
  FROM (VALUES (NULL, 'SELECT kvcrm.suspend_member(t.id(''owner''), organization_id => t.id(''north''))'), (NULL, 'SELECT kvcrm.set_member_role(t.id(''owner''), ''admin'', t.id(''north''))'),
               (NULL, 'UPDATE kvcrm.organization_members SET status = ''suspended'' WHERE user_id = t.id(''owner'')'), (NULL, 'UPDATE kvcrm.organization_members SET role_slug = ''admin'' WHERE user_id = t.id(''owner'')'),
               (NULL, 'UPDATE kvcrm.organization_members SET status = ''invited'' WHERE user_id = t.id(''owner'')'), (NULL, 'DELETE FROM kvcrm.organization_members WHERE user_id = t.id(''owner'')'),
               (NULL, 'DELETE FROM kvcrm.organization_members WHERE organization_id = t.id(''north'')'), (NULL, 'UPDATE kvcrm.organization_members SET status = ''suspended'''),
               ('super', 'SELECT kvcrm.suspend_member(t.id(''owner''))'), ('super', 'SELECT kvcrm.set_member_role(t.id(''owner''), ''intern'')')) AS s (who, statement);
SELECT is(t.run('owner', 'SELECT kvcrm.reactivate_member(t.id(''owner2''))'), '1', 'with a second owner');
SELECT is(t.try('owner2', 'SELECT kvcrm.set_member_role(t.id(''owner''), ''intern'')'), '1', 'the first may go');
SELECT is(t.try(NULL, 'UPDATE kvcrm.organization_members SET status = ''suspended'' WHERE role_slug = ''owner'' AND organization_id = t.id(''north'')', :system), '23514', 'but not both, in one statement');
SELECT is(t.try(NULL, 'DELETE FROM kvcrm.organization_members WHERE role_slug = ''owner'' AND organization_id = t.id(''north'')', :system), '23514', 'in any way');
SELECT is(t.try(NULL, 'DELETE FROM kvcrm.organizations WHERE id = t.id(''south'')', :system), '23503', 'an organization in use is not deleted');

-- The role owner is immutable; what identifies a row never changes.

SELECT is(t.try(who, statement, :system), '23514', format('the role owner is immutable (%s): %s', coalesce(who, 'the system'), statement))
  FROM unnest(ARRAY[NULL, 'owner']) AS who,
       unnest(ARRAY['UPDATE kvcrm.roles SET permissions = ''{}'' WHERE slug = ''owner'' AND organization_id = t.id(''north'')', 'UPDATE kvcrm.roles SET permissions = ''{*:*,leads:*}'' WHERE slug = ''owner'' AND organization_id = t.id(''north'')',
                    'UPDATE kvcrm.roles SET name = ''Boss'' WHERE slug = ''owner'' AND organization_id = t.id(''north'')', 'UPDATE kvcrm.roles SET slug = ''boss'' WHERE slug = ''owner'' AND organization_id = t.id(''north'')',
                    'DELETE FROM kvcrm.roles WHERE slug = ''owner'' AND organization_id = t.id(''north'')']) AS statement;
SELECT is(t.try(NULL, statement, :system), '23514', 'never changes: ' || statement)
  FROM unnest(ARRAY['UPDATE kvcrm.roles SET slug = ''x'' WHERE slug = ''super''', 'UPDATE kvcrm.lead_sources SET slug = ''x'' WHERE slug = ''event''']) AS statement;
SELECT is(t.try(NULL, 'DELETE FROM kvcrm.roles WHERE slug = ''intern''', :system), '23503', 'a role in use is not deleted');
SELECT is(t.try(NULL, format('UPDATE kvcrm.%I SET id = kvcrm.uuid_v7()', relname), :system) ~ '^(23514|42501|23503)$', true, 'ids never change: ' || relname)
  FROM pg_class c WHERE relnamespace = 'kvcrm'::regnamespace AND relkind = 'r'
   AND relname IN ('organizations', 'roles', 'teams', 'organization_members', 'lead_stages', 'lead_sources', 'leads', 'lead_activities', 'customers', 'activity_logs');
SELECT is(t.try(NULL, format('UPDATE kvcrm.%I SET organization_id = t.id(''south'') WHERE organization_id = t.id(''north'')', relname), :system) ~ '^(23514|42501|23503)$', true,
          'organization_id never changes: ' || relname)
  FROM pg_class c WHERE relnamespace = 'kvcrm'::regnamespace AND relkind = 'r'
   AND relname IN ('roles', 'teams', 'organization_members', 'lead_stages', 'lead_sources', 'leads', 'lead_activities', 'customers', 'customer_contacts', 'lead_fingerprints',
                   'lead_stage_history', 'lead_conversions', 'activity_logs');
SELECT is((SELECT string_agg(format('%s.%s', c.relname, a.attname), ', ') FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.relnamespace = 'kvcrm'::regnamespace AND c.relkind = 'r' AND a.attname IN ('id', 'organization_id', 'slug', 'user_id', 'lead_id', 'customer_id', 'created_at', 'updated_at', 'created_by', 'version')
              -- Of a rule it is who gets the lead.
              AND (c.relname, a.attname) <> ('assignment_rules', 'user_id')
              AND has_column_privilege(:'api', c.oid, a.attname, 'UPDATE')), NULL, 'no API role may update what identifies a row, or when and by whom it was made');
SELECT is((SELECT string_agg(format('%s.%s', c.relname, a.attname), ', ') FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.relnamespace = 'kvcrm'::regnamespace AND c.relkind = 'r' AND a.attname IN ('id', 'created_at', 'updated_at', 'created_by', 'version', 'status')
              AND has_column_privilege(:'api', c.oid, a.attname, 'INSERT')), NULL, 'nor insert it');

-- Texts and values of the tables themselves.
SELECT is(t.try(NULL, statement, :system), state, statement)
  FROM (VALUES ('INSERT INTO kvcrm.teams (organization_id, name) VALUES (t.id(''north''), ''  '')', '23514'), ('INSERT INTO kvcrm.teams (organization_id, name) VALUES (t.id(''north''), repeat(''x'', 256))', '22001'),
               ('INSERT INTO kvcrm.teams (organization_id, name) VALUES (t.id(''north''), '' First '')', '23505'), ('INSERT INTO kvcrm.teams (organization_id, name) VALUES (t.id(''unknown''), ''x'')', '23503'),
               ('INSERT INTO kvcrm.roles (organization_id, slug, name) VALUES (t.id(''north''), ''Big'', ''x'')', '23514'), ('INSERT INTO kvcrm.roles (organization_id, slug, name) VALUES (t.id(''north''), ''admin'', ''x'')', '23505'),
               ('INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES (t.id(''north''), ''x'', ''x'', NULL)', '23502'),
               ('INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug) VALUES (t.id(''north''), t.id(''n''), ''nobody'')', '23503'),
               ('INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug) VALUES (t.id(''north''), NULL, ''intern'')', '23502'),
               ('INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, team_id) VALUES (t.id(''north''), t.id(''n''), ''intern'', t.id(''south_team''))', '23503'),
               ('INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, status) VALUES (t.id(''north''), t.id(''n''), ''intern'', ''away'')', '23514'),
               ('UPDATE kvcrm.organizations SET settings = ''[]''', '23514'), ('UPDATE kvcrm.organizations SET settings = jsonb_build_object(''x'', repeat(''x'', 70000))', '22001'),
               ('UPDATE kvcrm.organizations SET settings = ''{"inn_check": "false"}''', '23514'), ('UPDATE kvcrm.organizations SET settings = ''{"assignment_rules": 1}''', '23514'),
               ('UPDATE kvcrm.organizations SET currency = ''rub''', '23514'), ('UPDATE kvcrm.organizations SET duplicate_policy = ''maybe''', '23514'),
               ('UPDATE kvcrm.organizations SET name = NULL', '23514')) AS s (statement, state);
SELECT is(t.get('owner', 'UPDATE kvcrm.organizations SET name = ''  Nord  '' RETURNING name'), 'Nord', 'the owner renames the organization');
SELECT is((SELECT changes::text FROM kvcrm.activity_logs WHERE entity_id = t.id('north') AND action = 'updated'), '{"name": {"new": "Nord", "old": "North"}}', 'and the log tells');

SELECT * FROM finish();
ROLLBACK;
