-- refresh_derived(): what older rules, or another ICU or libphonenumber, derived. Rows are made old by force, with the
-- triggers off, as a dump of a machine with other libraries brings them.
\ir include/two_organizations.sql
\setenv PGDATABASE :DBNAME
SET client_min_messages = warning;

UPDATE kvcrm.organizations SET duplicate_policy = 'block' WHERE id = test.id('a');
SELECT test.keep(v.name, l.id) FROM (VALUES
    ('lead', 'Анна Петрова', 'Anna.Petrova+crm@gmail.com', '8 916 123-45-67', 'ООО «Ромашка»'),
    ('first', 'Олег Кот', 'Kot@firm.example', '+74951002030', 'Firm'),
    ('plain', 'Lost Person', NULL, 'доб. 12', NULL),
    ('gone', 'Яна Волк', 'Wolf@wood.example', '+79161112233', 'Wood')) AS v (name, person, email, phone, company),
    LATERAL kvcrm.create_lead(v.person, v.email, v.phone, v.company, organization_id => test.id('a')) AS l;
SELECT test.keep('abroad', id) FROM kvcrm.create_lead('Abroad', 'abroad@b.example', '030 1234567', organization_id => test.id('b'));
SELECT kvcrm.qualify_lead(test.id('first')), kvcrm.delete_lead(test.id('gone')) \g /dev/null
SELECT test.keep('customer', converted_to_customer_id) FROM kvcrm.leads WHERE id = test.id('first');
-- It owns another address than its lead's, too.
UPDATE kvcrm.customers SET email = 'Office@firm.example' WHERE id = test.id('customer');
WITH c AS (INSERT INTO kvcrm.customers (organization_id, name, email, phone) VALUES (test.id('a'), 'Typed', 'Typed@typed.example', '8 495 765 43 21') RETURNING id)
SELECT test.keep('typed', id) FROM c;
WITH c AS (INSERT INTO kvcrm.customer_contacts (organization_id, customer_id, name, phone) VALUES (test.id('a'), test.id('typed'), 'Person', '8 495 765 43 22') RETURNING id)
SELECT test.keep('contact', id) FROM c;
INSERT INTO kvcrm.customers (organization_id, name, email) VALUES (test.id('a'), 'Shares it', 'typed+too@typed.example');
-- Read as German it would be understood, but it was typed in Russia.
UPDATE kvcrm.organizations SET default_country = 'DE' WHERE id = test.id('b');

-- Everything there is, but when a fingerprint was written.
CREATE VIEW test.everything AS
    SELECT 'lead' AS kind, to_jsonb(l) AS row FROM kvcrm.leads l
    UNION ALL SELECT 'customer', to_jsonb(c) FROM kvcrm.customers c
    UNION ALL SELECT 'contact', to_jsonb(c) FROM kvcrm.customer_contacts c
    UNION ALL SELECT 'identity', to_jsonb(i) - '{id,created_at}'::text[] FROM kvcrm.customer_identities i
    UNION ALL SELECT 'heir', to_jsonb(i) - '{id,created_at}'::text[] FROM kvcrm.customer_identity_heirs i
    UNION ALL SELECT 'fingerprint', to_jsonb(f) - 'updated_at' FROM kvcrm.lead_fingerprints f
    UNION ALL SELECT 'customer_fingerprint', to_jsonb(f) - '{created_at,updated_at}'::text[] FROM kvcrm.customer_fingerprints f
    UNION ALL SELECT 'log', to_jsonb(g) FROM kvcrm.activity_logs g
    UNION ALL SELECT 'pair', to_jsonb(p) FROM kvcrm.duplicate_pairs p
    UNION ALL SELECT 'count', to_jsonb(c) FROM kvcrm.lead_stage_counts c;
CREATE TABLE test.before AS SELECT * FROM test.everything;
CREATE PROCEDURE test.past_triggers(statement text) LANGUAGE plpgsql SET session_replication_role = 'replica' AS $$ BEGIN EXECUTE statement; END $$;
CREATE FUNCTION test.old_rows() RETURNS bigint LANGUAGE sql AS $$
    SELECT (SELECT count(*) FROM kvcrm.lead_fingerprints WHERE derivation_version <> kvcrm.derivation_version())
         + (SELECT count(*) FROM kvcrm.customer_fingerprints WHERE derivation_version <> kvcrm.derivation_version()) $$;
CREATE FUNCTION test.refreshed() RETURNS int LANGUAGE plpgsql AS $$
DECLARE done int := 0; n int;
BEGIN LOOP n := kvcrm.refresh_derived(2); EXIT WHEN n = 0; done := done + n; END LOOP; RETURN done; END $$;

SELECT cmp_ok(kvcrm.derivation_version(), '>', 20000000, 'a version tells rules and libraries');
SELECT is(test.old_rows(), 0::bigint, 'what is written now is derived by the version of now');
SELECT is_empty('SELECT * FROM kvcrm.check_consistency()', 'all is consistent');
SELECT is((SELECT count(*) FROM kvcrm.check_installation()), 0::bigint, 'nothing is due');

-- --- other libraries ---

CALL test.past_triggers($$
    UPDATE kvcrm.lead_fingerprints SET derivation_version = kvcrm.derivation_version() + 1, search_text = upper(search_text), match_values = '', match_keys = '{}' $$);
CALL test.past_triggers($$ UPDATE kvcrm.customer_fingerprints SET derivation_version = 2, match_values = '', match_keys = '{}' $$);
CALL test.past_triggers($$ UPDATE kvcrm.leads SET email_normalized = email, block_email = CASE WHEN block_email IS NOT NULL THEN email END $$);
CALL test.past_triggers($$ UPDATE kvcrm.leads SET phone = '8 916 123-45-67', phone_e164 = NULL, block_phone = NULL WHERE id = test.id('lead') $$);
CALL test.past_triggers($$ UPDATE kvcrm.leads SET phone_e164 = '+7495' WHERE id = test.id('first') $$);
CALL test.past_triggers($$ UPDATE kvcrm.leads SET phone_e164 = phone, block_phone = phone WHERE id = test.id('plain') $$);
CALL test.past_triggers($$ UPDATE kvcrm.customers SET phone = '8 (495) 765-43-21' WHERE id = test.id('typed') $$);
CALL test.past_triggers($$ UPDATE kvcrm.customer_contacts SET phone = '8 (495) 765-43-22' WHERE id = test.id('contact') $$);
CALL test.past_triggers($$ DELETE FROM kvcrm.customer_identities WHERE customer_id = test.id('typed') AND kind = 'phone' $$);
CALL test.past_triggers($$ UPDATE kvcrm.customer_identities SET value = CASE value WHEN 'kot@firm.example' THEN 'Kot@firm.example' WHEN '+74951002030' THEN '+7495' ELSE initcap(value) END WHERE kind <> 'inn' $$);
CALL test.past_triggers($$ UPDATE kvcrm.customer_identity_heirs SET value = initcap(value) $$);
SELECT isnt_empty('SELECT row FROM test.everything EXCEPT SELECT row FROM test.before', 'rows are as others derived them');
SELECT is((SELECT array_agg(DISTINCT invariant ORDER BY invariant) FROM kvcrm.check_consistency()),
          '{derivation_version,email_normalized,identity,identity_owner,phone,phone_e164}', 'check_consistency() tells');
SELECT is((SELECT array_agg(DISTINCT hint) FROM kvcrm.check_installation()), '{"SELECT kvcrm.refresh_derived(10000); until it returns 0."}', 'check_installation() says what to do');

-- Whoever changes a row meanwhile leaves it due.
UPDATE kvcrm.leads SET company = 'Other' WHERE id = test.id('lead');
UPDATE kvcrm.customers SET company = 'Other' WHERE id = test.id('typed');
SELECT is(test.old_rows(), 8::bigint, 'a row stays old though its text changes');
CALL test.past_triggers($$ DELETE FROM kvcrm.activity_logs WHERE id NOT IN (SELECT (row ->> 'id')::uuid FROM test.before WHERE kind = 'log') $$);
CALL test.past_triggers($$ UPDATE kvcrm.leads l SET company = row ->> 'company', version = (row ->> 'version')::int, updated_at = (row ->> 'updated_at')::timestamptz FROM test.before WHERE kind = 'lead' AND row ->> 'id' = l.id::text $$);
CALL test.past_triggers($$ UPDATE kvcrm.customers c SET company = row ->> 'company', updated_at = (row ->> 'updated_at')::timestamptz FROM test.before WHERE kind = 'customer' AND row ->> 'id' = c.id::text $$);

SELECT is(test.refreshed(), 8, 'all leads and customers are refreshed');
SELECT is_empty('SELECT * FROM test.everything EXCEPT SELECT * FROM test.before', 'everything is as it was derived here, and neither version nor updated_at nor the log tells of it');
SELECT is_empty('SELECT * FROM test.before EXCEPT SELECT * FROM test.everything', 'and nothing is missing');
SELECT is_empty('SELECT * FROM kvcrm.check_consistency()', 'all is consistent again');
SELECT is((SELECT count(*) FROM kvcrm.check_installation()), 0::bigint, 'nothing is due any more');

-- A number that is in the plans no more.
CALL test.past_triggers($$ UPDATE kvcrm.leads SET phone = '+79', phone_e164 = '+79', block_phone = '+79' WHERE id = test.id('plain') $$);
CALL test.past_triggers($$ UPDATE kvcrm.lead_fingerprints SET derivation_version = 1 WHERE id = test.id('plain') $$);
SELECT is(test.refreshed(), 1, 'one that has become unknown');
SELECT is((SELECT (phone, phone_e164, block_phone)::text FROM kvcrm.leads WHERE id = test.id('plain')), '(+79,,)', 'stays as it is written, and means nothing');

-- --- leads that turn out to be duplicates under the policy 'block' ---

SELECT test.keep('second', id) FROM kvcrm.create_lead('Second', 'Second@b.example', '+79030000000', organization_id => test.id('a'));
CALL test.past_triggers($$ UPDATE kvcrm.leads SET phone = '8 916 123 45 67', phone_e164 = NULL, block_phone = NULL, email_normalized = email WHERE id = test.id('second') $$);
CALL test.past_triggers($$ UPDATE kvcrm.lead_fingerprints SET derivation_version = 1 $$);
SELECT to_jsonb(l) AS second FROM kvcrm.leads l WHERE id = test.id('second') \gset
\set told `psql -XAtq -v VERBOSITY=default -c "SELECT kvcrm.refresh_derived()" 2>&1`
SELECT is(replace(:'told', test.id('second')::text, 'SECOND'), E'WARNING:  1 row keeps a phone or e-mail address that was derived otherwise than now\nDETAIL:  Lead SECOND: another live lead has the same phone (Lead '
          || test.id('lead') || E'.)\nHINT:  Merge, change or delete them, and call refresh_derived() until it returns 0.\n6', 'the others are refreshed, and the one that can''t be is named');
SELECT is(to_jsonb(l), :'second'::jsonb, 'it stays as it is') FROM kvcrm.leads l WHERE id = test.id('second');
SELECT matches((SELECT match_values FROM kvcrm.lead_fingerprints WHERE id = test.id('second')), '9161234567', 'but matching knows');
SET client_min_messages = error;
SELECT is(kvcrm.refresh_derived(), 0, 'it can''t be written, and doesn''t count');
SELECT is((SELECT string_agg(problem, ', ') FROM kvcrm.check_installation()), 'leads or customers keep a phone or e-mail address derived otherwise than now: 1', 'check_installation() tells');
SELECT set_eq('SELECT invariant, entity_id FROM kvcrm.check_consistency()',
              $$ SELECT i, test.id('second') FROM unnest('{block_keys,derivation_version,email_normalized,phone}'::text[]) AS i $$, 'and check_consistency()');
UPDATE kvcrm.leads SET name = 'Second Person' WHERE id = test.id('second');
SELECT is((SELECT derivation_version FROM kvcrm.lead_fingerprints WHERE id = test.id('second')), -kvcrm.derivation_version(), 'its other fields can be written');
SELECT kvcrm.delete_lead(test.id('lead')) \g /dev/null
SELECT is(test.as_user('admin', 'SELECT kvcrm.refresh_derived()'), '1', 'once the other one is gone, it is refreshed');
SELECT is((SELECT (phone, block_phone, block_email)::text FROM kvcrm.leads WHERE id = test.id('second')), '(+79161234567,+79161234567,second@b.example)', 'as it is derived now');
SELECT is(test.refreshed(), 0, 'nothing is left');
SELECT is((SELECT count(*) FROM kvcrm.check_installation()), 0::bigint, 'and nothing due');

-- A trigger of the host that refuses a customer.
CREATE FUNCTION test.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not with me'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON kvcrm.customers FOR EACH ROW EXECUTE FUNCTION test.refuse();
CALL test.past_triggers($$ UPDATE kvcrm.customers SET phone = '8 (495) 765-43-21' WHERE id = test.id('typed') $$);
CALL test.past_triggers($$ UPDATE kvcrm.customer_fingerprints SET derivation_version = 1 $$);
SELECT is(kvcrm.refresh_derived(), 3, 'a customer that can''t be written doesn''t stop the others');
SELECT is((SELECT derivation_version FROM kvcrm.customer_fingerprints WHERE id = test.id('typed')), -kvcrm.derivation_version(), 'and is left');
DROP TRIGGER refuse ON kvcrm.customers;
SELECT is(test.refreshed(), 1, 'until it can');
SELECT is((SELECT phone FROM kvcrm.customers WHERE id = test.id('typed')), '+74957654321', 'then it is written');
SELECT is_empty('SELECT * FROM kvcrm.check_consistency()', 'all is consistent');

SELECT * FROM finish();
