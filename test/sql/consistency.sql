-- check_consistency(): empty on what the functions and triggers leave; each invariant, broken by force, gives its row.
-- What a CHECK, NOT NULL or unique index holds can't be broken even so, and is not looked at: a second open stay, a pair
-- with itself, two primary contacts, two owners of one INN, a status that there is not.
\ir include/two_organizations.sql
SET client_min_messages = warning;

INSERT INTO kvcrm.custom_field_definitions (organization_id, entity, key, type) SELECT test.id('a'), e, 'budget', 'number' FROM unnest(ARRAY['lead', 'customer', 'quote']) AS e;
WITH t AS (INSERT INTO kvcrm.teams (organization_id, name) VALUES (test.id('a'), 'Север') RETURNING id) SELECT test.keep('north', id) FROM t;
UPDATE kvcrm.organizations SET duplicate_policy = 'block' WHERE id = test.id('b');
SELECT test.keep(v.name, l.id) FROM (VALUES
    ('lead', 'Анна Петрова', 'Anna.Petrova+crm@gmail.com', '8 916 123-45-67', 'ООО «Ромашка»', '7707083893', 'rep', '{"budget": 5}'),
    ('first', 'Олег Кот', 'kot@firm.example', '+74951002030', 'Firm', '7736050003', 'rep', '{"budget": 7}'),
    ('plain', 'Lost Person', NULL, 'доб. 12', NULL, NULL, NULL, '{}'),
    ('survivor', 'Иван Лис', 'lis@fox.example', NULL, 'Fox', NULL, NULL, '{}'),
    ('loser', 'Иван Лис', 'lis@fox.example', NULL, NULL, NULL, NULL, '{}'),
    ('gone', 'Яна Волк', 'wolf@wood.example', NULL, 'Wood', NULL, NULL, '{}')) AS v (name, person, email, phone, company, inn, assignee, fields),
    LATERAL kvcrm.create_lead(v.person, v.email, v.phone, v.company, inn => v.inn, assigned_to => test.id(v.assignee), custom_fields => v.fields::jsonb, on_duplicate => 'allow', organization_id => test.id('a')) AS l;
SELECT test.keep('blocked', id) FROM kvcrm.create_lead('Blocked', 'b@b.example', '+79161110000', organization_id => test.id('b'));
SELECT test.keep('task', id) FROM kvcrm.log_activity(test.id('lead'), 'task', 'Call', assigned_to => test.id('rep'));
SELECT test.keep('note', id) FROM kvcrm.log_activity(test.id('gone'), 'note', 'Note');
SELECT test.keep('quote', id) FROM kvcrm.create_quote_from_lead(test.id('first'), 'Quote', 10);
SELECT test.keep('customer', converted_to_customer_id) FROM kvcrm.leads WHERE id = test.id('first');
SELECT test.keep('contact', id) FROM kvcrm.customer_contacts WHERE customer_id = test.id('customer');
WITH c AS (INSERT INTO kvcrm.customers (organization_id, name, email, inn) VALUES (test.id('a'), 'Typed', 'Typed@typed.example', '7702070139') RETURNING id) SELECT test.keep('typed', id) FROM c;
WITH c AS (INSERT INTO kvcrm.customers (organization_id, name, email) VALUES (test.id('a'), 'Shares it', 'typed+too@typed.example') RETURNING id) SELECT test.keep('shares', id) FROM c;
SELECT kvcrm.scan_duplicates(0.5, test.id('a')) \g /dev/null
SELECT test.keep('pair', id) FROM kvcrm.duplicate_pairs WHERE test.id('loser') IN (lead_id, other_lead_id);
SELECT kvcrm.move_lead(test.id('lead'), test.stage('a', 2)) \g /dev/null
SELECT kvcrm.move_lead(test.id('lead'), test.stage('a', 3)), kvcrm.move_lead(test.id('plain'), test.stage('a', 5), lost_reason => 'price') \g /dev/null
SELECT kvcrm.merge_leads(test.id('survivor'), ARRAY[test.id('loser')]), kvcrm.erase_lead(test.id('gone')) \g /dev/null
SELECT test.keep('stage 1', test.stage('a', 1)), test.keep('stage 3', test.stage('a', 3));
SELECT test.keep('rep role', id) FROM kvcrm.roles WHERE organization_id = test.id('a') AND slug = 'sales_team';
SELECT test.keep('rep member', id) FROM kvcrm.organization_members WHERE organization_id = test.id('a') AND user_id = test.id('rep');
SELECT test.keep('stay', id) FROM kvcrm.lead_stage_history WHERE lead_id = test.id('plain') AND left_at IS NULL;
INSERT INTO kvcrm.feed_consumers (organization_id, name, feed_epoch, tx, event_id) SELECT organization_id, 'hook', feed_epoch, tx, id FROM kvcrm.activity_logs WHERE organization_id = test.id('a') AND entity_id = test.id('lead') LIMIT 1;
SELECT test.keep('consumer', id) FROM kvcrm.feed_consumers;

SELECT is_empty('SELECT * FROM kvcrm.check_consistency()', 'all that is consistent');

-- What the check finds after the statement, run with triggers and foreign keys off, all of it undone: rows as
-- "invariant entity row". Nearly everything written so is news to the log: that is told only if asked for.
CREATE FUNCTION test.broken_by(statement text, log_values boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE found text;
BEGIN
    BEGIN
        PERFORM set_config('session_replication_role', 'replica', true);
        EXECUTE statement;
        PERFORM set_config('session_replication_role', 'origin', true);
        SELECT string_agg(row, ', ' ORDER BY row) INTO found FROM (
            SELECT concat_ws(' ', c.invariant, c.entity_type, (SELECT min(i.name) FROM test.ids i WHERE i.id = c.entity_id)) FROM kvcrm.check_consistency() c
             WHERE (c.invariant = 'log_values') = log_values) AS s (row);
        RAISE SQLSTATE 'ZZ000';
    EXCEPTION WHEN SQLSTATE 'ZZ000' THEN NULL;
    END;
    RETURN found;
END $$;

CREATE TABLE test.cases (n int GENERATED ALWAYS AS IDENTITY, invariant text, statement text, rows text);
INSERT INTO test.cases (invariant, statement, rows) VALUES
('texts', $$UPDATE kvcrm.leads SET "position" = ' boss' WHERE id = test.id('lead')$$, 'texts lead lead'),
('texts', $$UPDATE kvcrm.leads SET lost_reason = '' WHERE id = test.id('plain')$$, 'texts lead plain'),
('texts', $$UPDATE kvcrm.lead_activities SET title = repeat('ж', 256) WHERE id = test.id('task')$$, 'texts activity task'),
('texts', $$UPDATE kvcrm.customers SET notes = U&'x\00A0' WHERE id = test.id('customer')$$, 'texts customer customer'),
('texts', $$UPDATE kvcrm.customer_contacts SET "position" = E'\t' WHERE id = test.id('contact')$$, 'texts contact contact'),
('texts', $$UPDATE kvcrm.quotes SET title = 'x ' WHERE id = test.id('quote')$$, 'texts quote quote'),
('texts', $$UPDATE kvcrm.lead_stages SET name = ' x' WHERE id = test.id('stage 1')$$, 'texts stage stage 1'),
('texts', $$UPDATE kvcrm.organization_members SET display_name = '' WHERE id = test.id('rep member')$$, 'texts member rep member'),
('texts', $$UPDATE kvcrm.roles SET name = ' ' WHERE id = test.id('rep role')$$, 'texts role rep role'),
('texts', $$UPDATE kvcrm.teams SET name = ' ' WHERE id = test.id('north')$$, 'texts team north'),
('texts', $$UPDATE kvcrm.organizations SET name = ' ' WHERE id = test.id('a')$$, 'texts organization a'),
('texts', $$UPDATE kvcrm.lead_sources SET name = ' ' WHERE organization_id = test.id('b') AND slug = 'event'$$, 'texts source'),
('texts', $$UPDATE kvcrm.custom_field_definitions SET name = ' ' WHERE entity = 'lead'$$, 'texts field'),
('email', $$UPDATE kvcrm.customer_contacts SET email = 'nobody' WHERE id = test.id('contact')$$, 'email contact contact, fingerprint customer customer'),
('email', $$UPDATE kvcrm.organization_members SET email = 'nobody' WHERE id = test.id('rep member')$$, 'email member rep member'),
('email', $$UPDATE kvcrm.leads SET email = 'nobody', email_normalized = 'nobody' WHERE id = test.id('survivor')$$, 'email lead survivor, fingerprint lead survivor'),
('phone', $$UPDATE kvcrm.customer_contacts SET phone = '8 495 100-20-30' WHERE id = test.id('contact')$$, 'fingerprint customer customer, phone contact contact'),
('phone', $$UPDATE kvcrm.leads SET phone = '8 916 123-45-67', phone_e164 = NULL WHERE id = test.id('lead')$$, 'fingerprint lead lead, phone lead lead'),
('inn', $$UPDATE kvcrm.leads SET inn = '7707083894' WHERE id = test.id('lead')$$, 'fingerprint lead lead, inn lead lead'),
('inn', $$UPDATE kvcrm.customers SET inn = '12' WHERE id = test.id('typed')$$, 'fingerprint customer typed, identity customer typed, identity_owner customer typed, inn customer typed'),
('inn', $$UPDATE kvcrm.leads SET inn = '7707083894' WHERE id = test.id('lead'); UPDATE kvcrm.organizations SET settings = '{"inn_check": false}'$$, 'fingerprint lead lead'),
('email_normalized', $$UPDATE kvcrm.leads SET email_normalized = email WHERE id = test.id('lead')$$, 'email_normalized lead lead'),
('email_normalized', $$UPDATE kvcrm.leads SET email_normalized = 'x' WHERE id = test.id('plain')$$, 'email_normalized lead plain'),
('phone_e164', $$UPDATE kvcrm.leads SET phone_e164 = NULL WHERE id = test.id('lead')$$, 'phone_e164 lead lead'),
('phone_e164', $$UPDATE kvcrm.leads SET phone_e164 = '+7' WHERE id = test.id('plain')$$, 'phone_e164 lead plain'),
('fingerprint', $$UPDATE kvcrm.leads SET company = 'Other' WHERE id = test.id('lead')$$, 'fingerprint lead lead'),
('fingerprint', $$DELETE FROM kvcrm.lead_fingerprints WHERE id = test.id('plain')$$, 'fingerprint lead plain'),
('fingerprint', $$UPDATE kvcrm.lead_fingerprints SET search_text = 'x' WHERE id = test.id('plain')$$, 'fingerprint lead plain'),
('fingerprint', $$UPDATE kvcrm.lead_fingerprints SET match_keys = '{}' WHERE id = test.id('lead')$$, 'fingerprint lead lead'),
('fingerprint', $$UPDATE kvcrm.lead_fingerprints SET created_at = '2020-01-01' WHERE id = test.id('lead')$$, 'fingerprint lead lead'),
('fingerprint', $$DELETE FROM kvcrm.customer_fingerprints WHERE id = test.id('customer')$$, 'fingerprint customer customer'),
('fingerprint', $$UPDATE kvcrm.customer_contacts SET name = 'Somebody Else' WHERE id = test.id('contact')$$, 'fingerprint customer customer'),
('derivation_version', $$UPDATE kvcrm.lead_fingerprints SET derivation_version = 1, match_keys = '{}' WHERE id = test.id('lead')$$, 'derivation_version lead lead'),
('derivation_version', $$UPDATE kvcrm.customer_fingerprints SET derivation_version = 1 WHERE id = test.id('typed')$$, 'derivation_version customer typed'),
('field_keys', $$UPDATE kvcrm.lead_field_keys SET keys = '{1}' WHERE id = test.id('lead')$$, 'field_keys lead lead'),
('field_keys', $$DELETE FROM kvcrm.lead_field_keys WHERE id = test.id('lead')$$, 'field_keys lead lead'),
('field_keys', $$UPDATE kvcrm.leads SET custom_fields = '{"budget": 6}' WHERE id = test.id('lead')$$, 'field_keys lead lead'),
('identity', $$DELETE FROM kvcrm.customer_identities WHERE customer_id = test.id('typed') AND kind = 'inn'$$, 'identity customer typed'),
('identity', $$DELETE FROM kvcrm.customer_identities WHERE customer_id = test.id('customer')$$, 'identity customer customer, identity customer customer, identity customer customer'),
('identity', $$DELETE FROM kvcrm.customer_identity_heirs WHERE customer_id = test.id('shares')$$, 'identity customer shares'),
('identity_owner', $$DELETE FROM kvcrm.customer_identities WHERE customer_id = test.id('typed') AND kind = 'email'$$, 'identity customer shares, identity customer typed, identity_owner customer shares'),
('identity_owner', $$UPDATE kvcrm.customers SET email = NULL WHERE id = test.id('shares')$$, 'fingerprint customer shares, identity_owner customer shares'),
('identity_owner', $$INSERT INTO kvcrm.customer_identity_heirs (organization_id, kind, value, customer_id) VALUES (test.id('a'), 'inn', '7702070139', test.id('typed'))$$, 'identity_owner customer typed'),
('identity_owner', $$INSERT INTO kvcrm.customer_identities (organization_id, kind, value, customer_id) VALUES (test.id('a'), 'email', 'x@x.example', test.id('typed'))$$, 'identity_owner customer typed'),
('identity_owner', $$INSERT INTO kvcrm.customer_identities (organization_id, kind, value, customer_id) VALUES (test.id('a'), 'email', 'x@x.example', test.id('lead'))$$, 'identity_owner customer lead'),
('identity_owner', $$UPDATE kvcrm.customers SET deleted_at = now() WHERE id = test.id('typed')$$, 'identity_owner customer typed, identity_owner customer typed'),
('custom_fields', $$UPDATE kvcrm.quotes SET custom_fields = '{"budget": "many"}' WHERE id = test.id('quote')$$, 'custom_fields quote quote'),
('custom_fields', $$UPDATE kvcrm.customers SET custom_fields = '[1]' WHERE id = test.id('typed')$$, 'custom_fields customer typed'),
('custom_fields', $$UPDATE kvcrm.custom_field_definitions SET type = 'text' WHERE entity = 'lead'$$, 'custom_fields lead first, custom_fields lead lead'),
('status', $$UPDATE kvcrm.leads SET status = 'new' WHERE id = test.id('lead')$$, 'status lead lead'),
('status', $$UPDATE kvcrm.leads SET status = 'qualified' WHERE id = test.id('first')$$, 'status lead first'),
('status', $$UPDATE kvcrm.lead_stages SET order_index = 100 WHERE id = test.id('stage 1')$$, 'status lead gone, status lead loser, status lead survivor'),
('qualified_at', $$UPDATE kvcrm.leads SET qualified_at = NULL WHERE id IN (test.id('lead'), test.id('first'))$$, 'qualified_at lead first, qualified_at lead lead'),
('lost_reason', $$UPDATE kvcrm.leads SET lost_reason = NULL WHERE id = test.id('plain')$$, 'lost_reason lead plain'),
('board_rank', $$UPDATE kvcrm.leads SET board_rank = 'a0' WHERE id = test.id('plain')$$, 'board_rank lead plain'),
('board_rank', $$UPDATE kvcrm.leads SET board_rank = '' WHERE id = test.id('plain')$$, 'board_rank lead plain'),
('block_keys', $$UPDATE kvcrm.leads SET block_email = NULL WHERE id = test.id('blocked')$$, 'block_keys lead blocked'),
('block_keys', $$UPDATE kvcrm.leads SET block_phone = phone_e164 WHERE id = test.id('lead')$$, 'block_keys lead lead'),
('block_keys', $$UPDATE kvcrm.organizations SET duplicate_policy = 'warn' WHERE id = test.id('b')$$, 'block_keys lead blocked'),
('open_stay', $$UPDATE kvcrm.leads SET stage_entered_at = '2020-01-01' WHERE id = test.id('lead')$$, 'open_stay lead lead'),
('open_stay', $$UPDATE kvcrm.lead_stage_history SET stage_id = test.id('stage 1') WHERE id = test.id('stay')$$, 'open_stay lead plain'),
('open_stay', $$UPDATE kvcrm.lead_stage_history SET left_at = now() WHERE id = test.id('stay')$$, 'open_stay lead plain'),
('stays', $$UPDATE kvcrm.lead_stage_history SET left_at = left_at + interval '1 second' WHERE lead_id = test.id('plain') AND left_at IS NOT NULL$$, 'stays lead plain'),
('stays', $$DELETE FROM kvcrm.lead_stage_history WHERE lead_id = test.id('lead') AND stage_id = test.stage('a', 2)$$, 'stays lead lead'),
('board_counts', $$DELETE FROM kvcrm.lead_stage_counts WHERE stage_id = test.id('stage 3') AND leads > 0$$, 'board_counts stage stage 3'),
('board_counts', $$UPDATE kvcrm.leads SET estimated_value = 7 WHERE id = test.id('lead')$$, 'board_counts stage stage 3'),
('assignee', $$UPDATE kvcrm.organization_members SET status = 'suspended' WHERE id = test.id('rep member')$$, 'assignee activity task, assignee lead lead'),
('assignee', $$UPDATE kvcrm.lead_activities SET assigned_to = test.id('owner_b') WHERE id = test.id('task')$$, 'assignee activity task'),
('conversion', $$DELETE FROM kvcrm.lead_conversions$$, 'conversion lead first'),
('conversion', $$UPDATE kvcrm.lead_conversions SET customer_id = test.id('typed')$$, 'conversion lead first'),
('conversion', $$UPDATE kvcrm.leads SET converted_to_customer_id = NULL WHERE id = test.id('first')$$, 'conversion lead first, quote_customer quote quote, source_lead customer customer'),
('source_lead', $$UPDATE kvcrm.customers SET source_lead_id = test.id('lead') WHERE id = test.id('typed')$$, 'source_lead customer typed'),
('quote_customer', $$UPDATE kvcrm.quotes SET customer_id = NULL WHERE id = test.id('quote')$$, 'quote_customer quote quote'),
('quote_customer', $$UPDATE kvcrm.quotes SET customer_id = test.id('typed') WHERE id = test.id('quote')$$, 'quote_customer quote quote'),
('merge_chain', $$UPDATE kvcrm.leads SET merged_into_id = test.id('loser') WHERE id = test.id('survivor')$$, 'board_counts stage stage 1, merge lead survivor, merge_chain lead loser, merge_chain lead survivor'),
('merge', $$DELETE FROM kvcrm.lead_merges$$, 'merge lead loser'),
('merge', $$UPDATE kvcrm.lead_merges SET duplicate_ids = duplicate_ids || test.id('plain')$$, 'merge lead plain'),
('merged_rows', $$UPDATE kvcrm.lead_activities SET lead_id = test.id('loser') WHERE id = test.id('task')$$, 'merged_rows activity task'),
('erased', $$UPDATE kvcrm.leads SET "position" = 'boss' WHERE id = test.id('gone')$$, 'erased lead gone'),
('erased', $$UPDATE kvcrm.lead_activities SET description = 'x' WHERE id = test.id('note')$$, 'erased activity note'),
('duplicate_pair', $$UPDATE kvcrm.duplicate_pairs SET decided_at = NULL WHERE id = test.id('pair')$$, 'duplicate_pair duplicate_pair pair'),
('owner', $$UPDATE kvcrm.organization_members SET status = 'suspended' WHERE organization_id = test.id('a') AND role_slug = 'owner'$$, 'owner organization a'),
('owner', $$UPDATE kvcrm.roles SET permissions = '{leads:*}' WHERE organization_id = test.id('b') AND slug = 'owner'$$, 'owner organization b'),
('open_stage', $$UPDATE kvcrm.lead_stages SET outcome = 'won', is_qualified = true WHERE organization_id = test.id('b') AND outcome = 'open'$$, 'open_stage organization b, qualified_at lead blocked, status lead blocked'),
('roles', $$UPDATE kvcrm.roles SET permissions = '{leads:create,leads:fly,cats:*,leads:*,*:*}' WHERE id = test.id('rep role')$$, 'roles role rep role, roles role rep role'),
('log', $$DELETE FROM kvcrm.activity_logs WHERE entity_id IN (test.id('lead'), test.id('task'), test.id('customer'), test.id('contact'), test.id('quote'), test.id('stage 1'), test.id('rep member'), test.id('rep role'))$$,
 'feed feed_consumer consumer, log activity task, log contact contact, log customer customer, log lead lead, log member rep member, log quote quote, log role rep role, log stage stage 1'),
('log_values', $$UPDATE kvcrm.leads SET "position" = 'boss', deleted_at = now() WHERE id IN (test.id('lead'), test.id('gone'))$$, 'log_values lead lead'),
('log_values', $$UPDATE kvcrm.leads SET company = NULL WHERE id = test.id('first')$$, 'log_values lead first'),
('log_values', $$UPDATE kvcrm.lead_activities SET due_date = now() WHERE id IN (test.id('task'), test.id('note'))$$, 'log_values activity task'),
('log_values', $$UPDATE kvcrm.customers SET notes = 'x', deleted_at = now(); UPDATE kvcrm.customer_contacts SET is_primary = false$$, 'log_values contact contact, log_values customer customer, log_values customer shares, log_values customer typed'),
('log_values', $$UPDATE kvcrm.quotes SET amount = 11$$, 'log_values quote quote'),
('log_values', $$UPDATE kvcrm.lead_stages SET rotting_days = 99 WHERE id = test.id('stage 1')$$, 'log_values stage stage 1'),
('log_values', $$UPDATE kvcrm.organization_members SET role_slug = 'admin' WHERE id = test.id('rep member')$$, 'log_values member rep member'),
('log_values', $$UPDATE kvcrm.roles SET permissions = '{*:*}' WHERE id = test.id('rep role')$$, 'log_values role rep role'),
('log_values', $$DELETE FROM kvcrm.activity_logs WHERE entity_id = test.id('lead') AND action = 'moved'$$, 'log_values lead lead'),
('score', $$INSERT INTO kvcrm.scoring_rules (organization_id, field, operator, value, points) VALUES (test.id('a'), 'source', 'eq', '"event"', 5); UPDATE kvcrm.leads SET score = 7 WHERE id = test.id('lead')$$, 'score lead lead'),
('feed', $$UPDATE kvcrm.feed_consumers SET tx = '9000000000000000000'$$, 'feed feed_consumer consumer'),
('feed', $$UPDATE kvcrm.feed_consumers SET event_id = test.id('a')$$, 'feed feed_consumer consumer'),
('feed', $$UPDATE kvcrm.activity_logs SET feed_epoch = 9 WHERE entity_id = test.id('typed')$$, 'feed organization a'),
('references', $$INSERT INTO kvcrm.email_messages (organization_id, id, message_hash) VALUES (test.id('a'), test.id('lead'), '\x00')$$, 'references activity lead'),
('references', $$INSERT INTO kvcrm.assignment_rules (organization_id, field, operator, value, team_id) VALUES (test.id('a'), 'source', 'eq', '"x"', test.id('a')); INSERT INTO kvcrm.lead_import_writes (organization_id, import_id) VALUES (test.id('a'), test.id('a'))$$, 'references assignment_rule, references import'),
('references', $$INSERT INTO kvcrm.assignment_rules (organization_id, field, operator, value, user_id) VALUES (test.id('a'), 'source', 'eq', '"x"', test.id('owner_b'))$$, 'references assignment_rule'),
('references', $$INSERT INTO kvcrm.feed_consumers (organization_id, name, feed_epoch, tx, event_id) VALUES (test.id('unknown'), 'x', 1, '3', test.id('a'))$$, 'references organization unknown'),
('references', $$UPDATE kvcrm.lead_activities SET lead_id = test.id('blocked') WHERE id = test.id('task')$$, 'references activity task'),
('references', $$UPDATE kvcrm.organization_members SET team_id = test.id('a'), role_slug = 'none' WHERE id = test.id('rep member')$$, 'references member rep member, references member rep member'),
('references', $$UPDATE kvcrm.customer_contacts SET customer_id = test.id('a') WHERE id = test.id('contact')$$, 'references contact contact'),
('references', $$UPDATE kvcrm.duplicate_pairs SET other_lead_id = 'ffffffff-ffff-4fff-bfff-ffffffffffff' WHERE id = test.id('pair')$$, 'duplicate_pair duplicate_pair pair, references duplicate_pair pair'),
('references', $$INSERT INTO kvcrm.teams (organization_id, name) VALUES (test.id('unknown'), 'Nobody''s')$$, 'references organization unknown');

SELECT is(test.broken_by(statement, invariant = 'log_values'), rows, format('%s: %s', invariant, statement)) FROM test.cases ORDER BY n;
SELECT is_empty('SELECT invariant FROM kvcrm.consistency_registry() EXCEPT SELECT invariant FROM test.cases', 'every invariant is broken here');
SELECT is_empty($$ SELECT c.invariant FROM test.cases c WHERE c.rows NOT LIKE '%' || c.invariant || ' %' GROUP BY c.invariant HAVING NOT EXISTS (SELECT FROM test.cases d WHERE d.invariant = c.invariant AND d.rows LIKE '%' || c.invariant || ' %') $$, 'and found');
SELECT is_empty('SELECT * FROM kvcrm.check_consistency()', 'all of it was undone');

-- The reference of the invariants names each.
\set docs `cat docs/consistency.md`
SELECT is_empty(format($$ SELECT invariant FROM kvcrm.consistency_registry() WHERE strpos(%L, '| `' || invariant || '` |') = 0 $$, :'docs'), 'docs/consistency.md explains each invariant');

-- --- who, where ---

SELECT test.as_user('owner', 'SELECT count(*) FROM kvcrm.check_consistency()') AS owner, test.as_user('admin', 'SELECT count(*) FROM kvcrm.check_consistency()') AS admin \gset
SELECT is(ARRAY[:'owner', :'admin'], '{0,0}', 'who may change the settings may check');
SELECT is((test.error_of(format('SELECT test.as_user(%L, ''SELECT count(*) FROM kvcrm.check_consistency()'')', who))).code, '42501', who || ' may not') FROM unnest(ARRAY['manager', 'rep']) AS who;
SELECT is((test.error_of(format('SELECT test.as_user(''owner'', %L)', format('SELECT count(*) FROM kvcrm.check_consistency(%L)', test.id('b'))))).code, '42501', 'nor anybody another organization''s data');
SELECT is((test.error_of($$ SELECT test.as_user('stranger', 'SELECT count(*) FROM kvcrm.check_consistency()') $$)).code, '22023', 'a stranger has none');
SELECT is(test.as_user('owner_b', 'SELECT count(*) FROM kvcrm.check_consistency()'), '0', 'an owner checks their own');
BEGIN READ ONLY;
SELECT count(*) AS broken FROM kvcrm.check_consistency() \gset
COMMIT;
SELECT is(:broken, 0, 'it reads only');

SET session_replication_role = replica;
UPDATE kvcrm.leads SET status = 'lost' WHERE id IN (test.id('blocked'), test.id('lead'));
RESET session_replication_role;
SELECT results_eq('SELECT invariant, entity_type, entity_id, organization_id, detail FROM kvcrm.check_consistency(test.id(''b''))',
    $$ SELECT 'status', 'lead', test.id('blocked'), test.id('b'), 'status is lost, its stage makes it new' $$, 'a row says what, where and why, of one organization');
SELECT is(test.as_user('owner_b', 'SELECT string_agg(entity_id::text, '','') FROM kvcrm.check_consistency()'), test.id('blocked')::text, 'also for its owner');
SELECT is((SELECT count(*) FROM kvcrm.check_consistency()), 2::bigint, 'the system sees both');
-- As docs/consistency.md says.
UPDATE kvcrm.leads SET stage_id = test.stage('b', 2) WHERE id = test.id('blocked');
UPDATE kvcrm.leads SET stage_id = test.stage('a', 2) WHERE id = test.id('lead');
SELECT is_empty('SELECT * FROM kvcrm.check_consistency()', 'moving the leads repairs them');

SELECT * FROM finish();
