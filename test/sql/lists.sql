-- list_leads and count_leads: filters, sorts and their paging, scopes, search.
-- inconsistent: leads are merged and deleted by hand
\ir include/two_organizations.sql

-- A team in a: lead of it is `head` (own and team), `mate` is in it; `rep` is not. `watcher` may read nothing of leads.
INSERT INTO test.ids VALUES ('head', gen_random_uuid()), ('mate', gen_random_uuid()), ('watcher', gen_random_uuid());
INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES
    (test.id('a'), 'head', 'Head', '{leads:create,leads:read_team}'),
    (test.id('a'), 'watcher', 'Watcher', '{customers:read}');
INSERT INTO kvcrm.teams (organization_id, name) VALUES (test.id('a'), 'Север');
SELECT test.keep('team', id) FROM kvcrm.teams \g /dev/null
SELECT count(*) FROM (VALUES ('head', 'head', true), ('mate', 'sales_team', true), ('watcher', 'watcher', false)) AS m (who, role, team),
    LATERAL kvcrm.add_member(test.id(m.who), m.role, m.who, team_id => CASE WHEN m.team THEN test.id('team') END,
                             organization_id => test.id('a')) \g /dev/null

-- 300 leads of a with values that repeat, so that ties matter; a few are gone. Each is a transaction of its own in
-- effect: times are set.
INSERT INTO kvcrm.leads (organization_id, name, company, source, stage_id, assigned_to, estimated_value, custom_fields, created_at, updated_at)
SELECT test.id('a'), 'Lead ' || (n * 7 % 50), 'Firm ' || n, CASE WHEN n % 3 = 0 THEN 'referral' ELSE 'website' END,
       test.stage('a', n % 3 + 1), CASE n % 6 WHEN 1 THEN test.id('rep') WHEN 2 THEN test.id('mate') WHEN 3 THEN test.id('other_rep') WHEN 4 THEN test.id('head') END,
       CASE WHEN n % 4 > 0 THEN n % 7 * 1000 END, jsonb_build_object('n', n % 5, 'tags', jsonb_build_array('x', n % 2)),
       '2026-01-01'::timestamptz + n / 3 * interval '1 hour', '2026-02-01'::timestamptz + n * 17 % 90 * interval '1 hour'
  FROM generate_series(1, 300) AS n;
-- As the system may: derived and lifecycle columns of rows that exist.
ALTER TABLE kvcrm.leads DISABLE TRIGGER USER;
UPDATE kvcrm.leads SET score = hashtext(company) % 5, updated_at = '2026-02-01'::timestamptz + hashtext(name) % 90 * interval '1 hour';
UPDATE kvcrm.leads SET deleted_at = now() WHERE company IN ('Firm 10', 'Firm 11', 'Firm 12');
UPDATE kvcrm.leads SET merged_into_id = (SELECT id FROM kvcrm.leads WHERE company = 'Firm 1') WHERE company IN ('Firm 20', 'Firm 21');
ALTER TABLE kvcrm.leads ENABLE TRIGGER USER;
SELECT kvcrm.qualify_lead(id, organization_id => test.id('a')) FROM kvcrm.leads WHERE company IN ('Firm 31', 'Firm 32') \g /dev/null
INSERT INTO kvcrm.leads (organization_id, name, company) SELECT test.id('b'), 'Lead ' || n, 'Firm ' || n FROM generate_series(1, 20) AS n;
SELECT test.keep('lead_b', (SELECT id FROM kvcrm.leads WHERE organization_id = test.id('b') LIMIT 1)) \g /dev/null
SELECT test.keep('lead_mate', (SELECT id FROM kvcrm.leads WHERE organization_id = test.id('a') AND company = 'Firm 2')) \g /dev/null

-- Ids of all pages, in order, read as a user (null: as the system). `arguments` are further ones of list_leads.
CREATE FUNCTION test.pages(who text, arguments text, size int) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    everything uuid[] := '{}';
    page uuid[];
BEGIN
    LOOP
        page := test.page(who, format('page_size => %s, after_lead_id => %L', size, everything[cardinality(everything)])
                          || coalesce(', ' || arguments, ''));
        EXIT WHEN cardinality(page) = 0 OR cardinality(everything) > 20000;
        IF cardinality(page) > size THEN RAISE 'a page of % leads', cardinality(page); END IF;
        everything := everything || page;
    END LOOP;
    RETURN everything;
END
$$;
CREATE FUNCTION test.page(who text, arguments text) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    statement text := 'SELECT coalesce(array_agg(id), ''{}'') FROM kvcrm.list_leads(' || arguments
                      || ', organization_id => ''' || test.id('a') || ''')';
    answer uuid[];
BEGIN
    IF who IS NOT NULL THEN RETURN test.as_user(who, statement)::uuid[]; END IF;
    EXECUTE statement INTO answer;
    RETURN answer;
END
$$;
CREATE FUNCTION test.names(who text, arguments text) RETURNS text[] LANGUAGE sql AS $$
    SELECT coalesce(array_agg(l.name ORDER BY l.name), '{}') FROM unnest(test.page(who, arguments)) AS i JOIN kvcrm.leads l ON l.id = i
$$;
CREATE FUNCTION test.count(who text, arguments text) RETURNS bigint LANGUAGE sql AS $$
    SELECT test.as_user(who, 'SELECT kvcrm.count_leads(' || arguments || ', organization_id => ''' || test.id('a') || ''')')::bigint
$$;

-- What a list should be, by a plain query.
CREATE FUNCTION test.expected(condition text, ordering text) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE answer uuid[];
BEGIN
    EXECUTE format('SELECT coalesce(array_agg(l.id ORDER BY %s), ''{}'') FROM kvcrm.leads l JOIN kvcrm.lead_stages s ON s.id = l.stage_id'
                   ' WHERE l.organization_id = test.id(''a'') AND (%s)', ordering, condition) INTO answer;
    RETURN answer;
END
$$;
\set live 'l.converted_at IS NULL AND l.merged_into_id IS NULL AND l.deleted_at IS NULL'

CREATE TABLE test.sorts (sort text, ordering text);
INSERT INTO test.sorts VALUES
    ('newest', 'l.created_at DESC, l.id DESC'), ('oldest', 'l.created_at, l.id'), ('updated', 'l.updated_at DESC, l.id DESC'),
    ('name', 'l.name, l.id'), ('score', 'l.score DESC, l.id DESC'), ('value', 'l.estimated_value DESC NULLS LAST, l.id DESC'),
    ('rank', 's.order_index, s.id, l.board_rank, l.id');
CREATE TABLE test.scopes (who text, condition text);
INSERT INTO test.scopes VALUES (NULL, 'true'), ('manager', 'true'), ('owner', 'true'),
    ('rep', 'l.assigned_to = test.id(''rep'')'),
    ('head', 'l.assigned_to IN (test.id(''head''), test.id(''mate''))');

-- --- sorts, paging, scopes ---

SELECT is(cardinality(test.expected(:'live', 'l.id')), 293, 'there is something to page through');
SELECT is(test.pages(c.who, format('sort => %L', s.sort), p.size), test.expected(:'live' || ' AND ' || c.condition, s.ordering),
          format('%s, sort %s, pages of %s', coalesce(c.who, 'the system'), s.sort, p.size))
  FROM test.scopes c, test.sorts s, (VALUES (7), (1000)) AS p (size);
SELECT is(test.pages('manager', format('sort => %L, source => %L, query => %L', s.sort, 'referral', 'firm 1'), 5),
          test.expected(:'live' || $$ AND l.source = 'referral' AND l.company LIKE 'Firm%' AND l.name || l.company LIKE '%1%' $$, s.ordering),
          format('filters and a query, sort %s', s.sort)) FROM test.sorts s;
SELECT is(test.pages('head', format('sort => %L, query => %L', s.sort, 'irm 1'), 5),
          test.expected(:'live' || $$ AND l.company LIKE 'Firm%' AND l.name || l.company LIKE '%1%' AND l.assigned_to IN (test.id('head'), test.id('mate')) $$, s.ordering),
          format('a team''s query, sort %s', s.sort)) FROM test.sorts s;
SELECT is(test.page('manager', 'sort => NULL, page_size => NULL'), (test.expected(:'live', 'l.created_at DESC, l.id DESC'))[1:50],
          'without sort and size: the 50 newest');
SELECT is(test.page('rep', format('assigned_to => %L', test.id('rep'))), test.page('rep', 'page_size => 50'), 'one''s own leads, asked for');
SELECT is(test.page('rep', format('assigned_to => %L', test.id('mate'))), '{}', 'somebody else''s leads don''t show');
SELECT is(cardinality(test.page('manager', format('assigned_to => %L, page_size => 1000', test.id('rep')))), 49, 'a manager asks for a rep''s leads');

-- The other sorts of a member with many leads are walked, not fetched at once: both ways agree with a plain query.
INSERT INTO kvcrm.leads (organization_id, name, company, assigned_to, created_at)
SELECT test.id('a'), 'Bulk ' || n % 11, 'Bulk ' || n, test.id('other_rep'), '2025-01-01'::timestamptz + n / 10 * interval '1 minute'
  FROM generate_series(1, 5200) AS n;
SELECT is(test.pages('other_rep', format('sort => %L', s.sort), 1000),
          test.expected(:'live' || ' AND l.assigned_to = test.id(''other_rep'')', s.ordering),
          format('a rep with thousands of leads, sort %s', s.sort)) FROM test.sorts s;
SELECT is(test.pages('other_rep', format('sort => %L, query => %L', s.sort, q.query), 30),
          test.expected(:'live' || format($$ AND l.assigned_to = test.id('other_rep') AND l.company ILIKE %L $$, '%' || replace(q.query, ' ', '%') || '%'), s.ordering),
          format('a rep with thousands of leads searches for %s, sort %s', q.query, s.sort))
  FROM test.sorts s, (VALUES ('lk 51'), ('firm')) AS q (query);
SELECT is(test.pages('manager', format('sort => %L, query => %L', s.sort, q.query), 30),
          test.expected(:'live' || format($$ AND l.company ILIKE %L $$, '%' || replace(q.query, ' ', '%') || '%'), s.ordering),
          format('a manager searches thousands of leads for %s, sort %s', q.query, s.sort))
  FROM test.sorts s, (VALUES ('lk 77'), ('firm'), ('5199')) AS q (query);
SELECT is(test.count('manager', $$ query => 'firm' $$), 293::bigint, 'count of a query');
SELECT is(test.count('other_rep', $$ query => 'bulk' $$), 5200::bigint, 'count of a query in a large scope');

-- Rows that move, or leave, between two pages.
SELECT is(test.page('manager', format('sort => ''name'', page_size => 3, after_lead_id => %L', m.id)),
          (SELECT array_agg(id) FROM (SELECT id FROM kvcrm.leads l WHERE organization_id = test.id('a') AND converted_at IS NULL
              AND merged_into_id IS NULL AND deleted_at IS NULL AND (l.name, l.id) > (m.name, m.id) ORDER BY l.name, l.id LIMIT 3) x),
          'a page goes on behind a lead that is ' || m.what)
  FROM (SELECT id, name, 'deleted' AS what FROM kvcrm.leads WHERE company = 'Firm 10' AND organization_id = test.id('a')
        UNION ALL SELECT id, name, 'converted' FROM kvcrm.leads WHERE company = 'Firm 31' AND organization_id = test.id('a')) m;

-- --- filters ---

CREATE TABLE test.filters (arguments text, condition text);
INSERT INTO test.filters VALUES
    (format('stage_id => %L', test.stage('a', 2)), 'l.stage_id = test.stage(''a'', 2)'),
    ('status => ''qualified''', 'l.status = ''qualified'''),
    ('status => ''new'', source => ''referral''', 'l.status = ''new'' AND l.source = ''referral'''),
    (format('assigned_to => %L', test.id('mate')), 'l.assigned_to = test.id(''mate'')'),
    ('created_from => ''2026-01-02 03:00+00''', 'l.created_at >= ''2026-01-02 03:00+00'''),
    ('created_to => ''2026-01-02 03:00+00''', 'l.created_at < ''2026-01-02 03:00+00'''),
    ('custom_fields => ''{"n": 3}''', 'l.custom_fields->''n'' = ''3'''),
    ('custom_fields => ''{"n": 3, "tags": [1]}''', 'l.custom_fields->''n'' = ''3'' AND l.custom_fields->''tags'' @> ''[1]'''),
    ('query => ''''', 'true'), ('query => '' «» ''', 'false');
SELECT is(test.pages('manager', f.arguments, 400), test.expected(:'live' || ' AND ' || f.condition, 'l.created_at DESC, l.id DESC'), f.arguments)
  FROM test.filters f;
SELECT cmp_ok(cardinality(test.expected(:'live' || ' AND ' || f.condition, 'l.id')), '>', 0, 'there are some with ' || f.arguments) FROM test.filters f WHERE f.condition <> 'false';
SELECT is(test.count('manager', f.arguments), cardinality(test.expected(:'live' || ' AND ' || f.condition, 'l.id'))::bigint, 'count: ' || f.arguments)
  FROM test.filters f;
SELECT is(test.pages('manager', format('include => %L', i.include), 1000),
          test.expected(format('(l.converted_at IS NULL OR %L::text[] @> ''{converted}'') AND (l.merged_into_id IS NULL OR %1$L::text[] @> ''{merged}'')'
                               ' AND (l.deleted_at IS NULL OR %1$L::text[] @> ''{deleted}'')', i.include), 'l.created_at DESC, l.id DESC'),
          'include ' || i.include)
  FROM (VALUES ('{}'), ('{converted}'), ('{merged}'), ('{deleted}'), ('{converted,merged,deleted}')) AS i (include);
SELECT is(test.count('manager', format('include => %L', i.include)), i.n + 5493::bigint, 'count with ' || i.include)
  FROM (VALUES ('{}', 0), ('{converted}', 2), ('{merged}', 2), ('{deleted}', 3), ('{converted,merged,deleted}', 7)) AS i (include, n);

-- What a user lists with everything included is what row-level security shows them.
SELECT is((SELECT array_agg(i ORDER BY i) FROM unnest(test.pages(w, 'include => ''{converted,merged,deleted}''', 1000)) AS i),
          test.as_user(w, 'SELECT array_agg(id ORDER BY id) FROM kvcrm.leads')::uuid[], 'list and row-level security agree for ' || w)
  FROM unnest('{manager,rep,mate,head,owner}'::text[]) AS w;

-- --- refusals ---

CREATE FUNCTION test.code(who text, call text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((test.error_of(format('SELECT test.as_user(%L, %L)', who, call))).code, 'none')
$$;
SELECT is(test.code(r.who, format(r.call, test.id('a'))), r.code, r.who || ': ' || r.call)
  FROM (VALUES
    ('manager', 'SELECT count(*) FROM kvcrm.list_leads(organization_id => %L)', 'none'),
    ('manager', 'SELECT count(*) FROM kvcrm.list_leads(sort => ''color'', organization_id => %L)', '22023'),
    ('manager', 'SELECT count(*) FROM kvcrm.list_leads(sort => ''Newest'', organization_id => %L)', '22023'),
    ('manager', 'SELECT count(*) FROM kvcrm.list_leads(status => ''open'', organization_id => %L)', '22023'),
    ('manager', 'SELECT kvcrm.count_leads(status => ''open'', organization_id => %L)', '22023'),
    ('manager', 'SELECT count(*) FROM kvcrm.list_leads(include => ''{lost}'', organization_id => %L)', '22023'),
    ('manager', 'SELECT kvcrm.count_leads(include => ''{lost}'', organization_id => %L)', '22023'),
    ('manager', 'SELECT count(*) FROM kvcrm.list_leads(page_size => 0, organization_id => %L)', '22023'),
    ('manager', 'SELECT count(*) FROM kvcrm.list_leads(page_size => -1, organization_id => %L)', '22023'),
    ('manager', 'SELECT count(*) FROM kvcrm.list_leads(page_size => 1001, organization_id => %L)', '22023'),
    ('manager', 'SELECT count(*) FROM kvcrm.list_leads(page_size => 1000, organization_id => %L)', 'none'),
    ('manager', 'SELECT count(*) FROM kvcrm.list_leads(after_lead_id => gen_random_uuid(), organization_id => %L)', 'PT404'),
    ('manager', 'SELECT count(*) FROM kvcrm.list_leads(after_lead_id => test.id(''lead_b''), organization_id => %L)', 'PT404'),
    ('manager', 'SELECT count(*) FROM kvcrm.list_leads(after_lead_id => test.id(''lead_mate''), organization_id => %L)', 'none'),
    ('rep', 'SELECT count(*) FROM kvcrm.list_leads(after_lead_id => test.id(''lead_mate''), organization_id => %L)', 'PT404'),
    ('watcher', 'SELECT count(*) FROM kvcrm.list_leads(organization_id => %L)', '42501'),
    ('watcher', 'SELECT kvcrm.count_leads(organization_id => %L)', '42501'),
    ('suspended', 'SELECT count(*) FROM kvcrm.list_leads(organization_id => %L)', '42501'),
    ('stranger', 'SELECT count(*) FROM kvcrm.list_leads(organization_id => %L)', '42501'),
    ('rep_b', 'SELECT count(*) FROM kvcrm.list_leads(organization_id => %L)', '42501'),
    (NULL, 'SELECT count(*) FROM kvcrm.list_leads(organization_id => %L)', '42501'),
    (NULL, 'SELECT kvcrm.count_leads(organization_id => %L)', '42501'),
    ('stranger', 'SELECT count(*) FROM kvcrm.list_leads()', '22023')) AS r (who, call, code);
SELECT is(test.as_user('manager', 'SELECT count(*) FROM kvcrm.list_leads(page_size => 1000) WHERE organization_id <> test.id(''a'')'), '0',
          'nothing of another organization');
SELECT is(test.as_user('rep_b', 'SELECT kvcrm.count_leads()'), '0', 'another organization''s rep has none');
SELECT is(test.as_user('owner_b', 'SELECT kvcrm.count_leads()'), '20', 'and its owner those of that one');

-- --- search ---

UPDATE kvcrm.leads SET deleted_at = now() WHERE name LIKE 'Bulk%';
INSERT INTO kvcrm.leads (organization_id, name, email, phone, company, inn) VALUES
    (test.id('a'), 'Щукин Пётр', 'p.schukin+crm@Mail-Online.ru', '8 (916) 123-45-67', 'ООО «Ромашка»', '7707083893'),
    (test.id('a'), 'Müller Jürgen', 'mueller_g@gmbh.de', '+49 30 901820', 'Bäckerei 100% O''Neil', NULL),
    (test.id('a'), 'Хабаров Ёлкин', NULL, 'доб. 77 спросить', 'Rostec; DROP', NULL),
    (test.id('a'), '李小龍', NULL, NULL, '詠春', NULL),
    (test.id('a'), 'Zz Uu', NULL, NULL, NULL, NULL);
INSERT INTO kvcrm.leads (organization_id, name, company) VALUES (test.id('b'), 'Щукин чужой', 'Ромашка');
SELECT is(test.names('manager', format('query => %L', q.query)), q.names, 'search: ' || left(q.query, 40)) || E'\n'
    || is(test.count('manager', format('query => %L', q.query)), cardinality(q.names)::bigint, 'count: ' || left(q.query, 40))
  FROM (VALUES
    ('romashka', '{Щукин Пётр}'::text[]), ('РОМАШКА', '{Щукин Пётр}'), ('омашк', '{Щукин Пётр}'), ('romaschka', '{Щукин Пётр}'), ('romasha', '{}'),
    ('щукин', '{Щукин Пётр}'), ('shchukin', '{Щукин Пётр}'), ('Schukin', '{Щукин Пётр}'), ('петр', '{Щукин Пётр}'), ('ПЁТР', '{Щукин Пётр}'),
    ('елкин', '{Хабаров Ёлкин}'), ('Khabarov', '{Хабаров Ёлкин}'), ('habarov', '{Хабаров Ёлкин}'),
    ('9161234567', '{Щукин Пётр}'), ('+7 916 123-45-67', '{Щукин Пётр}'), ('8 (916) 123-45-67', '{Щукин Пётр}'),
    ('89161234567', '{Щукин Пётр}'), ('8 916 123', '{Щукин Пётр}'), ('123-45-67', '{Щукин Пётр}'), ('45-67', '{Щукин Пётр}'),
    ('щукин 8 (916) 123-45-67', '{Щукин Пётр}'), ('хабаров 8 (916) 123-45-67', '{}'), ('8 (916) 123-45-68', '{}'),
    ('+49 (30) 90 18 20', '{Müller Jürgen}'), ('4930901', '{Müller Jürgen}'), ('77 ёлк', '{Хабаров Ёлкин}'),
    ('7707083893', '{Щукин Пётр}'), ('70708', '{Щукин Пётр}'), ('083', '{Щукин Пётр}'), ('83893', '{Щукин Пётр}'), ('83894', '{}'),
    ('muller', '{Müller Jürgen}'), ('MÜLLER', '{Müller Jürgen}'), ('mueller_g', '{Müller Jürgen}'), ('backerei', '{Müller Jürgen}'),
    ('mail-online', '{Щукин Пётр}'), ('schukin+crm@', '{Щукин Пётр}'), ('p.s', '{Щукин Пётр}'),
    ('zz', '{Zz Uu}'), ('uu', '{Zz Uu}'), ('zz u', '{Zz Uu}'), ('z u', '{Zz Uu}'), ('zuz', '{}'),
    ('петр ромашка', '{Щукин Пётр}'), ('ромашка щук', '{Щукин Пётр}'), ('ромашка хабаров', '{}'), ('щукинпетр', '{}'),
    ('李小', '{李小龍}'), ('龍', '{李小龍}'),
    ('100% bäck', '{Müller Jürgen}'), ('b_ckerei', '{}'), ('%', NULL), ('oneil', '{Müller Jürgen}'), ('''; DROP TABLE', '{}'), ('\', NULL),
    ('rostec;', '{Хабаров Ёлкин}'), ('"rostec" OR 1=1', '{}'), (repeat('щ', 5000), '{}'), (repeat('щукин ', 900), '{Щукин Пётр}')) AS q (query, names)
 WHERE q.names IS NOT NULL;
SELECT is(cardinality(test.page('manager', format('query => %L', q))), 0, 'a query of signs alone finds nothing: ' || q)
  FROM unnest(ARRAY['%', '\', '()']) AS q;
SELECT is(test.names('rep', 'query => ''ромашка'''), '{}', 'search keeps to one''s leads');
SELECT is(test.names('rep', 'query => ''firm 1'''), test.names('manager', format('query => ''firm 1'', assigned_to => %L, page_size => 1000', test.id('rep'))),
          'a rep''s search is a manager''s for that rep');
SELECT is(test.code('manager', format('SELECT count(*) FROM kvcrm.list_leads(query => repeat(%L, 200000), organization_id => %L)', 'ab ёж 12-3 ', test.id('a'))), 'none',
          'a query of two megabytes');

-- Every beginning, middle and end of what was stored finds it, at every length.
SELECT is(count(*) FILTER (WHERE NOT test.names('manager', format('query => %L', substr(w.word, i, n))) @> ARRAY['Щукин Пётр'])::int, 0,
          'every part of ' || w.word || ' finds it')
  FROM (VALUES ('9161234567'), ('7707083893'), ('ромашка')) AS w (word), generate_series(1, 10) AS i, generate_series(1, 10) AS n
 WHERE i + n - 1 <= length(w.word) AND (n > 1 OR w.word <> 'ромашка') GROUP BY w.word;

-- A change of the text is found at once, and the old text no more.
UPDATE kvcrm.leads SET company = 'Василёк' WHERE name = 'Щукин Пётр';
SELECT is(test.names('manager', 'query => ''ромашка'''), '{}', 'the old company is not found');
SELECT is(test.names('manager', 'query => ''vasilek'''), '{Щукин Пётр}', 'the new one is');
-- The walk keeps its order when a lead's creation time is set later.
UPDATE kvcrm.leads SET created_at = '2020-01-01' WHERE name = 'Щукин Пётр';
SELECT is((test.page('manager', 'query => ''василек'', sort => ''oldest'''))[1], (SELECT id FROM kvcrm.leads WHERE name = 'Щукин Пётр'), 'found with another creation time');
SELECT is((SELECT count(*)::int FROM kvcrm.leads l JOIN kvcrm.lead_fingerprints f USING (id) WHERE f.created_at <> l.created_at), 0, 'a fingerprint has its lead''s creation time');

-- --- transactions that only read ---

BEGIN READ ONLY;
SELECT set_config('kvcrm.user_id', test.id('manager')::text, true) \g /dev/null
SELECT is((SELECT count(*)::int FROM kvcrm.list_leads('firm', page_size => 10)), 10, 'list_leads in a READ ONLY transaction');
SELECT is((SELECT count(*)::int FROM kvcrm.list_leads('8 (916) 123-45-67')), 1, 'search in a READ ONLY transaction');
SELECT is(kvcrm.count_leads('firm'), 293::bigint, 'count_leads in a READ ONLY transaction');
COMMIT;
SELECT is((SELECT string_agg(p.proname || ' ' || p.provolatile::text, ' ' ORDER BY p.proname) FROM pg_proc p
            WHERE p.pronamespace = 'kvcrm'::regnamespace AND p.proname IN ('list_leads', 'count_leads')), 'count_leads s list_leads s', 'both are STABLE');
-- Inside a statement that writes, a list sees what was there before it.
SELECT is(cardinality(test.page(NULL, 'page_size => 1')), 1, 'positional and by name');

SELECT * FROM finish();
