-- A host with quotes of its own: its table refers to leads and customers by foreign key, belongs to a role without
-- any right in kvcrm but REFERENCES, and goes through conversion, merging, erasure and their undo.
\ir include/two_organizations.sql

DO $$
BEGIN
    CREATE ROLE kvcrm_test_host;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;
GRANT USAGE ON SCHEMA kvcrm TO kvcrm_test_host;
GRANT REFERENCES (id, organization_id) ON kvcrm.leads, kvcrm.customers, kvcrm.customer_contacts TO kvcrm_test_host;
CREATE SCHEMA shop AUTHORIZATION kvcrm_test_host;
SET ROLE kvcrm_test_host;
CREATE TABLE shop.quotes (
    number          text PRIMARY KEY,
    organization_id uuid NOT NULL,
    lead_id         uuid,
    customer_id     uuid,
    amount          numeric NOT NULL,
    changed_as      text,
    FOREIGN KEY (lead_id, organization_id) REFERENCES kvcrm.leads (id, organization_id),
    FOREIGN KEY (customer_id, organization_id) REFERENCES kvcrm.customers (id, organization_id)
);
-- Rows that the database would remove with the customer, and others without any key.
CREATE TABLE shop.notes (
    organization_id uuid NOT NULL, customer_id uuid NOT NULL, body text,
    FOREIGN KEY (customer_id, organization_id) REFERENCES kvcrm.customers (id, organization_id) ON DELETE CASCADE
);
CREATE TABLE shop.people (
    id int PRIMARY KEY, organization_id uuid NOT NULL, contact_id uuid,
    FOREIGN KEY (contact_id, organization_id) REFERENCES kvcrm.customer_contacts (id, organization_id) DEFERRABLE INITIALLY DEFERRED
);
CREATE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.changed_as := current_user; RETURN NEW; END';
CREATE TRIGGER stamp BEFORE UPDATE ON shop.quotes FOR EACH ROW EXECUTE FUNCTION shop.stamp();
RESET ROLE;

CREATE FUNCTION test.lead(handle text, fields jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
    SELECT test.keep(handle, l.id) FROM kvcrm.create_lead(handle, fields->>'email', company => coalesce(fields->>'company', handle), organization_id => test.id('a')) l $$;
CREATE FUNCTION test.rows_of(lead text) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(number, ' ' ORDER BY number) FROM shop.quotes WHERE lead_id = test.id(lead) $$;
CREATE FUNCTION test.refused() RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_array((e).code, (e).message, (e).detail) FROM test.error_of('SELECT kvcrm.revert_conversion(test.id(''lead''))') e $$;

-- --- conversion ---

SELECT test.lead('lead', '{"email": "lead@firma.ru"}') \g /dev/null
INSERT INTO shop.quotes (number, organization_id, lead_id, amount) VALUES ('H1', test.id('a'), test.id('lead'), 10);
SELECT test.keep('customer', (kvcrm.qualify_lead(test.id('lead'))).id) \g /dev/null
SELECT is(test.rows_of('lead'), 'H1', 'a conversion leaves the host''s rows with the lead');
SELECT is((SELECT jsonb_agg(jsonb_build_array(q.number, c.name)) FROM shop.quotes q JOIN kvcrm.leads l ON l.id = q.lead_id AND l.organization_id = q.organization_id
            JOIN kvcrm.customers c ON c.id = l.converted_to_customer_id AND c.organization_id = l.organization_id), '[["H1", "lead"]]', 'whose customer is found through the lead');

-- --- and its undo ---

SELECT is((kvcrm.revert_conversion(test.id('lead'))).converted_at, NULL, 'a row that refers to the lead alone doesn''t stand in the way of the undo');
SELECT test.keep('customer2', (kvcrm.qualify_lead(test.id('lead'))).id) \g /dev/null
SELECT test.keep('contact', (SELECT id FROM kvcrm.customer_contacts WHERE customer_id = test.id('customer2'))) \g /dev/null
UPDATE shop.quotes SET customer_id = test.id('customer2') WHERE number = 'H1';
SELECT is(test.refused(), '["23514", "the customer that the conversion made has been used since", "In the way: row {\"number\": \"H1\"} of shop.quotes refers to the customer."]', 'one that refers to the customer does, and is named');
UPDATE shop.quotes SET customer_id = NULL;
INSERT INTO shop.notes VALUES (test.id('a'), test.id('customer2'), 'Важно');
SELECT is(test.refused(), jsonb_build_array('23514', 'the customer that the conversion made has been used since',
          format('In the way: row {"body": "Важно", "customer_id": "%s", "organization_id": "%s"} of shop.notes refers to the customer.', test.id('customer2'), test.id('a'))), 'even where it would go silently with the customer');
SELECT is((SELECT count(*) FROM shop.notes), 1::bigint, 'it has not');
DELETE FROM shop.notes;
INSERT INTO shop.people VALUES (7, test.id('a'), test.id('contact'));
SELECT is(test.refused(), '["23514", "the customer that the conversion made has been used since", "In the way: row {\"id\": 7} of shop.people refers to the contact."]', 'or be found only at commit');
SET ROLE kvcrm_test_host;
REVOKE SELECT ON shop.people FROM kvcrm_test_host;
RESET ROLE;
SELECT is(test.refused(), '["42501", "rows of table shop.people can''t be read", "permission denied for table people"]', 'a table that its owner may not read is named');
SET ROLE kvcrm_test_host;
GRANT SELECT ON shop.people TO kvcrm_test_host;
RESET ROLE;
DELETE FROM shop.people;
SELECT is((kvcrm.revert_conversion(test.id('lead'))).converted_at, NULL, 'with them gone the conversion is undone');
SELECT is((SELECT count(*) FROM kvcrm.customers), 0::bigint, 'and the customer with it');
SELECT is(test.rows_of('lead'), 'H1', 'the lead keeps its row all the time');

-- --- merging ---

SELECT test.lead('loser', '{"email": "loser@firma.ru"}') \g /dev/null
INSERT INTO shop.quotes (number, organization_id, lead_id, amount) VALUES ('H2', test.id('a'), test.id('loser'), 20), ('H3', test.id('a'), test.id('loser'), 30);
INSERT INTO kvcrm.quotes (organization_id, lead_id, title, amount, number) VALUES (test.id('a'), test.id('loser'), 'Наша', 1, 'OURS'), (test.id('a'), test.id('loser'), 'Отправлена', 1, 'SENT'), (test.id('a'), test.id('lead'), 'Своя', 1, 'OWN');
UPDATE kvcrm.quotes SET status = 'sent' WHERE number = 'SENT';
CREATE TABLE test.quotes_before AS SELECT id, to_jsonb(q) - 'updated_at' AS it FROM kvcrm.quotes q;
CREATE FUNCTION test.ours(lead text) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(number, ' ' ORDER BY number) FROM kvcrm.quotes WHERE lead_id = test.id(lead) $$;
SELECT test.as_user('manager', 'SELECT kvcrm.merge_leads(test.id(''lead''), ARRAY[test.id(''loser'')])') \g /dev/null
SELECT is(test.rows_of('lead'), 'H1 H2 H3', 'a merge hands the host''s rows to the survivor');
SELECT is((SELECT string_agg(DISTINCT changed_as, ' ') FROM shop.quotes WHERE number <> 'H1'), 'kvcrm_test_host', 'written as their owner');
SELECT is(test.ours('lead'), 'OURS OWN SENT', 'and ours, sent ones too');
SELECT is((SELECT jsonb_build_array(action, actor_id, changes) FROM kvcrm.activity_logs WHERE entity_id = (SELECT id FROM kvcrm.quotes WHERE number = 'OURS') ORDER BY id DESC LIMIT 1),
          jsonb_build_array('updated', test.id('manager'), jsonb_build_object('lead_id', jsonb_build_object('old', test.id('loser'), 'new', test.id('lead')))), 'which the log tells');
SELECT is((kvcrm.create_quote_from_lead(test.id('loser'), 'Поздняя', 5, number => 'LATE')).lead_id, test.id('lead'), 'a quote for the merged lead is the survivor''s');
SELECT kvcrm.revert_conversion(test.id('lead')) FROM kvcrm.delete_quote((SELECT id FROM kvcrm.quotes WHERE number = 'LATE')) \g /dev/null
INSERT INTO kvcrm.quotes (organization_id, lead_id, title, amount, number) VALUES (test.id('a'), test.id('loser'), 'Прямо', 1, 'DIRECT');
SELECT is(test.ours('lead'), 'DIRECT OURS OWN SENT', 'by INSERT too');
DELETE FROM kvcrm.quotes WHERE number = 'DIRECT';
SELECT is((SELECT count(*) FROM kvcrm.lead_timeline(test.id('lead')) WHERE kind = 'quote'), 3::bigint, 'the survivor''s timeline has them');

SELECT kvcrm.undo_merge((SELECT id FROM kvcrm.lead_merges ORDER BY created_at DESC LIMIT 1)) IS NOT NULL AS undone \g /dev/null
SELECT is(test.rows_of('lead') || ' | ' || test.rows_of('loser'), 'H1 | H2 H3', 'the undo gives the host''s rows back');
SELECT is(test.ours('lead') || ' | ' || test.ours('loser'), 'OWN | OURS SENT', 'and ours');
SELECT is((SELECT jsonb_agg(to_jsonb(q) - 'updated_at' ORDER BY id) FROM kvcrm.quotes q), (SELECT jsonb_agg(it ORDER BY id) FROM test.quotes_before), 'as they were');

-- --- erasure ---

UPDATE kvcrm.quotes SET title = 'КП для Quagga', custom_fields = '{"who": "Quagga"}' WHERE number = 'OWN';
INSERT INTO kvcrm.quotes (organization_id, lead_id, title, amount, number) VALUES (test.id('a'), test.id('lead'), 'Quagga', 1, 'GONE');
SELECT kvcrm.delete_quote((SELECT id FROM kvcrm.quotes WHERE number = 'GONE')) \g /dev/null
SELECT kvcrm.erase_lead(test.id('lead')) \g /dev/null
SELECT is(test.rows_of('lead'), 'H1', 'erasure leaves the host''s rows, which stay valid');
SELECT is((SELECT jsonb_build_array(title, custom_fields, amount, number) FROM kvcrm.quotes WHERE lead_id = test.id('lead')), '["Erased", {}, 1.00, "OWN"]', 'our quotes without customer lose what may tell of the person');
SELECT is((SELECT count(*) FROM kvcrm.activity_logs g WHERE g::text LIKE '%Quagga%'), 0::bigint, 'and the log too, of deleted ones as well');
SELECT is((SELECT changes->'amount'->>'old' FROM kvcrm.activity_logs WHERE entity_type = 'quote' AND action = 'deleted' AND changes #>> '{number,old}' = 'GONE'), '1.00', 'which keeps number and amount');
SELECT is((SELECT count(*) FROM kvcrm.activity_logs WHERE entity_type = 'quote' AND changes #>> '{title,new}' = 'Наша'), 1::bigint, 'quotes of other leads keep theirs');
SELECT test.keep('late customer', (kvcrm.qualify_lead(test.id('loser'))).id) \g /dev/null
SELECT kvcrm.erase_lead(test.id('loser')) \g /dev/null
SELECT is((SELECT string_agg(title, ' ' ORDER BY number) FROM kvcrm.quotes WHERE customer_id = test.id('late customer')), 'Наша Отправлена', 'quotes of a customer are the customer''s, and stay');
SELECT is((SELECT count(*) FROM kvcrm.activity_logs WHERE entity_type = 'quote' AND changes #>> '{title,new}' = 'Наша'), 1::bigint, 'in the log too');

SELECT * FROM finish();
