-- Scanning all leads, reviewing pairs, and the sets to merge.
\ir include/two_organizations.sql
SET client_min_messages = warning;
-- Pairs are what scans make of it, not what warnings did.
UPDATE kvcrm.organizations SET duplicate_policy = 'allow';

-- Pairs by their leads' names, those of organization a.
CREATE FUNCTION test.pairs(wanted text DEFAULT 'open') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(pair, ' ' ORDER BY pair) FROM (
        SELECT least(x.name, y.name) || '-' || greatest(x.name, y.name) FROM kvcrm.duplicate_pairs p
          JOIN test.ids x ON x.id = p.lead_id JOIN test.ids y ON y.id = p.other_lead_id
         WHERE p.organization_id = test.id('a') AND p.status = wanted) AS s (pair) $$;
CREATE FUNCTION test.scan(who text, options text DEFAULT '') RETURNS text LANGUAGE sql AS
    $$ SELECT test.as_user(who, format('SELECT pairs_found || '' '' || leads_scanned FROM kvcrm.scan_duplicates(%s)', options)) $$;
CREATE FUNCTION test.clusters(who text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN test.as_user(who, $q$ SELECT string_agg(c.leads || ' -> ' || (SELECT i.name FROM test.ids i WHERE i.id = c.survivor_id), ', ' ORDER BY c.leads)
        FROM (SELECT (SELECT string_agg(i.name, ' ' ORDER BY i.name) FROM test.ids i WHERE i.id = ANY (c.lead_ids)) AS leads, c.survivor_id
                FROM kvcrm.duplicate_clusters() c) AS c $q$);
END $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA test TO kvcrm_test_client;

SELECT is(test.scan('manager'), '0 0', 'an organization without leads has no pairs');

-- Everybody else.
INSERT INTO kvcrm.leads (organization_id, name, email, phone, company)
SELECT test.id(o), format('%s%s %s%s', s, chr(1072 + n % 7), g, n % 3), format('p%s@firm%s.ru', n, n), '+7916' || lpad((n * 7919)::text, 7, '0'), format('ООО «Фирма %s»', n * 31)
  FROM unnest(ARRAY['a', 'b']) AS o, generate_series(1, 60) AS n, LATERAL (SELECT (ARRAY['Берг', 'Волк', 'Зимин', 'Кот', 'Лис'])[1 + n % 5], (ARRAY['Иван', 'Олег', 'Анна', 'Яна'])[1 + n % 4]) AS x (s, g);
SELECT test.keep(v.name, l.id) FROM (VALUES
    ('ivan', 'Иванов Иван Петрович', 'ivanov@romashka-torg.ru', '+79161234567', 'ООО «Ромашка-Торг»', 'rep'),
    ('latin', 'Ivan Ivanov', 'ivanov@romashka-torg.ru', '+79161234567', 'Romashka-Torg LLC', 'rep'),
    ('short', 'Иванов И. П.', 'ivanov@romashka-torg.ru', '+79161234567', 'Ромашка-Торг', 'other_rep'),
    ('anna', 'Смирнова Анна', 'smirnova@ural-montazh.ru', '+79227654321', 'АО «Урал-Монтаж»', 'rep'),
    ('anya', 'Анна Смирнова', 'smirnova@ural-montazh.ru', '+79227654321', 'Урал-Монтаж', 'rep'),
    ('boss', 'Громов Пётр', 'info@vektor-plus.ru', '+74951112233', 'ООО «Вектор Плюс»', NULL),
    ('clerk', 'Яшина Ольга', 'info@vektor-plus.ru', '+74951112233', 'ООО «Вектор Плюс»', NULL)) AS v (name, n, e, p, c, who),
    LATERAL kvcrm.create_lead(v.n, v.e, v.p, v.c, inn => CASE WHEN v.name IN ('boss', 'clerk') THEN '7707083893' END, assigned_to => test.id(v.who), organization_id => test.id('a')) l;
SELECT test.keep('gone', id) FROM kvcrm.create_lead('Иван Иванов', 'ivanov@romashka-torg.ru', '+79161234567', 'Ромашка-Торг', organization_id => test.id('a'));
SELECT kvcrm.delete_lead(test.id('gone')) IS NOT NULL;
SELECT test.keep('sold', id) FROM kvcrm.create_lead('Анна Смирнова', 'smirnova@ural-montazh.ru', '+79227654321', 'Урал-Монтаж', organization_id => test.id('a'));
SELECT kvcrm.qualify_lead(test.id('sold')) IS NOT NULL;
SELECT test.keep('b_ivan', id) FROM kvcrm.create_lead('Иванов Иван Петрович', 'ivanov@romashka-torg.ru', '+79161234567', 'ООО «Ромашка-Торг»', organization_id => test.id('b'));

-- --- scanning ---

SELECT is(test.scan('manager'), '4 67', 'pairs found, live leads scanned');
SELECT is(test.pairs(), 'anna-anya ivan-latin ivan-short latin-short', 'the duplicates among live leads; colleagues with one switchboard, info@ and INN are none');
SELECT is((SELECT count(*) FROM kvcrm.duplicate_pairs WHERE organization_id = test.id('b')), 0::bigint, 'nothing of the other organization');
SELECT is((SELECT count(*) FROM kvcrm.duplicate_pairs p WHERE p.explanation <> (SELECT jsonb_set(e, '{fields}', (SELECT jsonb_agg(f - 'values') FROM jsonb_array_elements(e -> 'fields') AS f))
                                                                FROM kvcrm.explain_match(p.lead_id, p.other_lead_id, p.organization_id) e)), 0::bigint,
          'a pair is explained as explain_match explains it');
SELECT is((SELECT count(*) FROM kvcrm.duplicate_pairs p WHERE round(p.probability::numeric, 6) <> (p.explanation ->> 'probability')::numeric), 0::bigint, 'its probability is the explanation''s');
SELECT is((SELECT records FROM kvcrm.match_common_values WHERE organization_id = test.id('a') AND hash = 0), 67, 'a scan counts the leads');

CREATE TABLE test.before AS SELECT test.everything();
SELECT is(test.scan('manager'), '4 67', 'a second scan finds the same');
SELECT is(test.everything(), (SELECT everything FROM test.before), 'and writes nothing');

SELECT is((test.error_of(format('SELECT * FROM kvcrm.scan_duplicates(%s, %L)', bad, test.id('a')))).code, '22023', 'min_probability ' || bad)
  FROM unnest(ARRAY['0'::text, '-0.1', '1.0000001', '''NaN''', '''Infinity''']::text[]) AS bad;
SELECT is(test.scan('manager', '1'), '0 67', 'certain pairs there are none');
SELECT is(test.pairs(), NULL, 'pairs below min_probability go');
SELECT is(test.scan('manager', '0.000000001') <> '4 67', true, 'a lower bar finds more');
SELECT is(test.scan('manager', 'NULL'), '4 67', 'null is the shipped threshold');
SELECT is(test.pairs(), 'anna-anya ivan-latin ivan-short latin-short', 'with the pairs of before');

SELECT is((test.error_of('SELECT test.scan(''rep'')')).code, '42501', 'a rep scans nothing');
SELECT is((test.error_of(format('SELECT test.scan(''manager'', %L)', 'NULL, test.id(''b'')'))).code, '42501', 'nor a manager somebody else''s organization');
SELECT is((SELECT count(*) FROM kvcrm.scan_duplicates(organization_id => test.id('b'))), 1::bigint, 'the system scans any');
BEGIN;
SET TRANSACTION READ ONLY;
SAVEPOINT here;
SELECT (test.error_of(format('SELECT * FROM kvcrm.scan_duplicates(0.000001, %L)', test.id('a')))).code AS read_only_code \gset
ROLLBACK;
SELECT is(:'read_only_code'::text, '25006', 'a scan writes');

-- What changes takes pairs with it, what returns brings them back.

UPDATE kvcrm.leads SET name = 'Zhukov Gleb', email = 'gleb@elsewhere.com', phone = '+74957776655', company = 'Elsewhere' WHERE id = test.id('short');
SELECT is(test.scan('manager'), '2 67', 'a lead that became somebody else');
SELECT is(test.pairs(), 'anna-anya ivan-latin', 'has lost its pairs');
UPDATE kvcrm.leads SET name = 'Иванов И. П.', email = 'ivanov@romashka-torg.ru', phone = '+79161234567', company = 'Ромашка-Торг' WHERE id = test.id('short');
SELECT kvcrm.delete_lead(test.id('anya')) IS NOT NULL;
SELECT is(test.scan('manager'), '3 66', 'a deleted lead isn''t scanned');
SELECT is(test.pairs(), 'ivan-latin ivan-short latin-short', 'nor paired');
SELECT kvcrm.restore_lead(test.id('anya')) IS NOT NULL;
SELECT is(test.scan('manager'), '4 67', 'a restored one is again');
UPDATE kvcrm.duplicate_pairs SET probability = 0.5, explanation = '{}', created_at = '2020-01-01' WHERE lead_id IN (test.id('anna'), test.id('anya'));
SELECT is(test.scan('manager'), '4 67', 'a pair that was weighed otherwise');
SELECT is((SELECT probability > 0.9 AND explanation ? 'fields' AND created_at = '2020-01-01' AND updated_at > created_at FROM kvcrm.duplicate_pairs WHERE lead_id IN (test.id('anna'), test.id('anya'))), true,
          'is weighed anew, in place');

-- A scan that is cancelled leaves nothing.
INSERT INTO kvcrm.leads (organization_id, name, email) SELECT test.id('b'), 'Имя ' || n % 50, format('n%s@x.ru', n % 500) FROM generate_series(1, 3000) AS n;
CREATE FUNCTION test.cancelled() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kvcrm.scan_duplicates(organization_id => test.id('b'));
    RETURN false;
EXCEPTION WHEN query_canceled THEN
    RETURN true;
END $$;
SET statement_timeout = '20ms';
SELECT test.cancelled() \gset
SET statement_timeout = 0;
SELECT is(:'cancelled'::boolean, true, 'a scan can be cancelled');
SELECT is((SELECT count(*) FROM kvcrm.duplicate_pairs WHERE organization_id = test.id('b')), 0::bigint, 'a cancelled scan leaves nothing');

-- --- who sees pairs ---

SELECT is(test.as_user('manager', 'SELECT count(*) FROM kvcrm.duplicate_pairs'), '4', 'a manager sees all pairs');
SELECT is(test.as_user('rep', 'SELECT count(*) FROM kvcrm.duplicate_pairs'), '2', 'a rep those of which they see both leads');
SELECT is(test.as_user('other_rep', 'SELECT count(*) FROM kvcrm.duplicate_pairs'), '0', 'one is not enough');
SELECT is(test.as_user('owner_b', 'SELECT count(*) FROM kvcrm.duplicate_pairs'), '0', 'another organization sees none');
SELECT is((test.error_of(format('SELECT test.as_user(''manager'', %L)', statement))).code, '42501', 'nobody writes them: ' || statement)
  FROM unnest(ARRAY['UPDATE kvcrm.duplicate_pairs SET status = ''dismissed''', 'DELETE FROM kvcrm.duplicate_pairs',
                    'INSERT INTO kvcrm.duplicate_pairs (lead_id, other_lead_id, probability) SELECT gen_random_uuid(), gen_random_uuid(), 1',
                    'SELECT * FROM kvcrm.match_models', 'SELECT * FROM kvcrm.match_common_values']) AS statement;

-- --- sets to merge ---

UPDATE kvcrm.leads SET stage_id = test.stage('a', 2) WHERE id = test.id('latin');
SELECT is(test.clusters('manager'), 'anna anya -> anna, ivan latin short -> latin', 'pairs grouped; the lead furthest in the pipeline survives');
SELECT is(test.clusters('rep'), 'anna anya -> anna, ivan latin -> latin', 'of the leads one sees');
SELECT is(test.clusters('other_rep'), NULL, 'none');
SELECT is(test.clusters('owner_b'), NULL, 'nobody else''s');
SELECT is((SELECT array_agg(c.cluster_number ORDER BY c.ordinality) FROM kvcrm.duplicate_clusters(test.id('a')) WITH ORDINALITY c), '{1,2}', 'numbered');
SELECT is((SELECT count(*) FROM kvcrm.duplicate_clusters(test.id('a')) c
            WHERE c.probability <> (SELECT min(p.probability) FROM kvcrm.duplicate_pairs p WHERE p.lead_id = ANY (c.lead_ids) AND p.other_lead_id = ANY (c.lead_ids))), 0::bigint,
          'with the least probability inside');
SELECT is((SELECT count(*) FROM kvcrm.duplicate_clusters(test.id('a')) a JOIN kvcrm.duplicate_clusters(test.id('a')) b ON a.cluster_number = b.cluster_number - 1 AND a.probability < b.probability), 0::bigint, 'the surest first');
BEGIN;
SET TRANSACTION READ ONLY;
SELECT is(test.clusters('manager'), 'anna anya -> anna, ivan latin short -> latin', 'reading needs no writing');
COMMIT;
-- anna like boss, boss like ivan: a chain whose ends contradict each other.
INSERT INTO kvcrm.duplicate_pairs (organization_id, lead_id, other_lead_id, probability)
SELECT test.id('a'), least(test.id(x), test.id('boss')), greatest(test.id(x), test.id('boss')), p FROM (VALUES ('anna', 0.97), ('ivan', 0.96)) AS v (x, p);
SELECT is(test.clusters('manager'), 'anna anya -> anna, ivan latin short -> latin', 'a chain joins nobody whom others contradict');
DELETE FROM kvcrm.duplicate_pairs WHERE test.id('boss') IN (lead_id, other_lead_id);
SELECT kvcrm.delete_lead(test.id('anya')) IS NOT NULL;
SELECT is(test.clusters('manager'), 'ivan latin short -> latin', 'a deleted lead is in no set, though its pair is still recorded');
SELECT kvcrm.restore_lead(test.id('anya')) IS NOT NULL;

-- --- dismissing ---

CREATE FUNCTION test.dismiss(who text, one text, other text) RETURNS text LANGUAGE sql AS $$
    SELECT test.as_user(who, format('SELECT status || '' '' || coalesce(decided_by = %L, false) || '' '' || (decided_at IS NOT NULL) FROM kvcrm.dismiss_duplicate(%L, %L)',
                                    test.id(who), test.id(one), test.id(other))) $$;
SELECT is(test.dismiss('manager', 'short', 'ivan'), 'dismissed true true', 'a reviewer dismisses a pair, in either order');
SELECT is(test.pairs('dismissed'), 'ivan-short', 'it is dismissed');
SELECT is(test.clusters('manager'), 'anna anya -> anna, ivan latin -> latin', 'leads that were told apart are in no set together');
SELECT is(test.scan('manager'), '3 67', 'a scan counts it no more');
SELECT is(test.pairs('dismissed'), 'ivan-short', 'and leaves it alone');
SELECT is(test.as_user('manager', format('SELECT count(*) FROM kvcrm.find_duplicates(%L) WHERE id = %L', test.id('ivan'), test.id('short'))), '0', 'they aren''t found for one another');
CREATE TABLE test.dismissed AS SELECT * FROM kvcrm.duplicate_pairs WHERE status = 'dismissed';
SELECT is(test.dismiss('admin', 'ivan', 'short'), 'dismissed false true', 'dismissing again changes nothing');
SELECT is((SELECT count(*) FROM (TABLE test.dismissed EXCEPT SELECT * FROM kvcrm.duplicate_pairs) AS s), 0::bigint, 'not a bit');
SELECT is(test.dismiss('rep', 'anna', 'ivan'), 'dismissed true true', 'two leads that one may change can be told apart without being a pair');
SELECT is((SELECT explanation ? 'fields' AND probability < 0.5 FROM kvcrm.duplicate_pairs WHERE status = 'dismissed' AND decided_by = test.id('rep')), true, 'weighed as they are');
SELECT is((test.error_of(format('SELECT test.dismiss(%L, %L, %L)', who, one, other))).code, code, format('%s: %s, %s', who, one, other))
  FROM (VALUES ('rep', 'ivan', 'short', 'PT404'), ('rep', 'boss', 'clerk', 'PT404'), ('manager', 'ivan', 'b_ivan', 'PT404'), ('manager', 'ivan', 'unknown', 'PT404'), ('owner_b', 'ivan', 'latin', 'PT404'),
               ('manager', 'ivan', 'ivan', '22023'), ('suspended', 'ivan', 'latin', 'PT404')) AS v (who, one, other, code);
UPDATE kvcrm.roles SET permissions = '{leads:read_all,leads:update_own}' WHERE slug = 'sales_team' AND organization_id = test.id('a');
SELECT is((test.error_of($$ SELECT test.dismiss('rep', 'latin', 'short') $$)).code, '42501', 'seeing both and changing one is not enough');
UPDATE kvcrm.roles SET permissions = '{leads:read_own,leads:update_own}' WHERE slug = 'sales_team' AND organization_id = test.id('a');

-- --- merging ---

SELECT kvcrm.merge_leads(test.id('anna'), ARRAY[test.id('anya')]) IS NOT NULL;
SELECT is(test.pairs('merged'), 'anna-anya', 'a merge decides its pair');
SELECT is((test.error_of($$ SELECT test.dismiss('manager', 'anna', 'anya') $$)).code, '23514', 'leads that are merged can''t be told apart');
SELECT is(test.scan('manager'), '2 66', 'a merged lead isn''t scanned');
SELECT is(test.pairs('merged') || ', ' || test.pairs('dismissed'), 'anna-anya, anna-ivan ivan-short', 'decisions outlive scans');
SELECT is(test.clusters('manager'), 'ivan latin -> latin', 'what is merged is in no set');

SELECT * FROM finish();
