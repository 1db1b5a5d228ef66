-- E-mail: messages become activities of the leads they belong to.
\ir include/two_organizations.sql

UPDATE kvcrm.organization_members SET email = 'peter@vendor.example' WHERE user_id = test.id('manager') AND organization_id = test.id('a');
UPDATE kvcrm.organization_members SET email = 'rep@freemail.example' WHERE user_id = test.id('rep') AND organization_id = test.id('a');

-- The mailbox of test/mail.
CREATE TABLE test.mailbox (name text PRIMARY KEY, message bytea NOT NULL);
GRANT SELECT ON test.mailbox TO kvcrm_test_client;
\set file `for f in test/mail/*.eml; do printf "('%s',decode('%s','base64'))," "$(basename "$f" .eml)" "$(base64 -w0 "$f")"; done | sed 's/,$//'`
INSERT INTO test.mailbox VALUES :file;
SELECT cmp_ok(count(*)::int, '>=', 25, 'a mailbox of messages') FROM test.mailbox;

CREATE FUNCTION test.message(wanted text) RETURNS bytea STABLE LANGUAGE sql AS $$ SELECT m.message FROM test.mailbox m WHERE m.name = wanted $$;
-- A message of a few headers.
CREATE FUNCTION test.write(sender text, subject text DEFAULT 'Subject', headers text DEFAULT '', body text DEFAULT 'Text') RETURNS bytea LANGUAGE sql AS $$
    SELECT convert_to(format(E'From: %s\nSubject: %s\n%s\n%s\n', sender, subject, CASE WHEN headers = '' THEN '' ELSE headers || E'\n' END, body), 'UTF8') $$;
CREATE FUNCTION test.lead_of(message bytea, organization text DEFAULT 'a') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    lead uuid := (kvcrm.ingest_email(message, test.id(organization))).lead_id;
BEGIN
    RETURN (SELECT l.name FROM kvcrm.leads l WHERE l.id = lead);
END
$$;

-- --- a new sender ---

SELECT test.keep('offer', id) FROM kvcrm.ingest_email(test.message('gmail-reply'), test.id('a'));
SELECT results_eq($$ SELECT type, title, description, due_date, completed_at, assigned_to, created_by FROM kvcrm.lead_activities WHERE id = test.id('offer') $$,
    $$ VALUES ('email', 'Re: Offer for 20 pumps', E'Hello,\n\nwe take all twenty. When can you deliver?\n\nBest regards\nAnna', NULL::timestamptz, '2026-03-12 10:15:23+00'::timestamptz, NULL::uuid, NULL::uuid) $$,
    'a message becomes an activity: title, text without the quotation, when it was written');
SELECT unnest(ARRAY[is(metadata - 'quoted', '{"direction": "inbound", "from": {"name": "Anna Smith", "address": "anna.smith@client.example"}, "to": [{"name": "Sales", "address": "sales@vendor.example"}], "message_id": "CAJ0002@mail.example.com", "in_reply_to": "offer-17@vendor.example", "references": ["offer-17@vendor.example", "CAJ0001@mail.example.com"]}', 'metadata tells who, to whom and in which thread'),
       matches(metadata ->> 'quoted', '^On Wed, Mar 11.*please find our offer attached', 'and keeps the quotation')]) FROM kvcrm.lead_activities WHERE id = test.id('offer');
SELECT results_eq($$ SELECT name, email, source, status, assigned_to, created_by FROM kvcrm.leads WHERE organization_id = test.id('a') $$,
    $$ VALUES ('Anna Smith', 'anna.smith@client.example', 'inbound_email', 'new', NULL::uuid, NULL::uuid) $$, 'a lead was opened for its sender');
SELECT is((SELECT count(*) FROM kvcrm.activity_logs WHERE organization_id = test.id('a') AND entity_type IN ('lead', 'activity') AND action = 'created'), 2::bigint, 'both are logged');
SELECT is((SELECT count(*) FROM kvcrm.email_senders), 0::bigint, 'no address stays behind');
SELECT is(test.lead_of(test.write('=?utf-8?B?0JjQstCw0L0=?= <ivan@new.example>')), 'Иван', 'a lead has the name of the sender');
SELECT is(test.lead_of(test.write('olga.p@new.example')), 'olga.p', 'or, without one, what is before the @');
SELECT is(test.lead_of(test.write('"x@y.example" <x@y.example>')), 'x', 'a name that is an address is none');

-- --- the same message ---

-- Without a Message-ID, on two ways here.
CREATE TABLE test.ways AS SELECT E'From: way@new.example\nTo: crm@vendor.example\nDate: Mon, 02 Nov 2026 10:00:00 +0300\nSubject: Two ways\n\nHello\n' AS message;
SELECT is(count(DISTINCT a.id), 1::bigint, 'however it came and ended') FROM test.ways, unnest(ARRAY[message, E'Received: from mx\n' || message, replace(message || E'\n', E'\n', E'\r\n'), rtrim(message, E'\n')]) AS way, kvcrm.ingest_email(convert_to(way, 'UTF8'), test.id('a')) a;

SELECT is((kvcrm.ingest_email(test.message('gmail-reply'), test.id('a'))).id, test.id('offer'), 'the same message is the same activity');
SELECT is((kvcrm.ingest_email(convert_to(E'Received: by another\nX-Spam: no\n', 'UTF8') || test.message('gmail-reply'), test.id('a'))).id, test.id('offer'), 'by whatever way it came');
SELECT is((SELECT count(*) FROM kvcrm.lead_activities WHERE title = 'Re: Offer for 20 pumps'), 1::bigint, 'there is one');
SELECT isnt((kvcrm.ingest_email(test.message('gmail-reply'), test.id('b'))).id, test.id('offer'), 'another organization has its own');
SELECT is((kvcrm.ingest_email(test.message('bare'), test.id('a'))).id, (kvcrm.ingest_email(test.message('bare'), test.id('a'))).id, 'without a Message-ID the content says whether it is the same');
SELECT isnt((kvcrm.ingest_email(test.message('bare') || 'more', test.id('a'))).id, (kvcrm.ingest_email(test.message('bare'), test.id('a'))).id, 'or another one');

-- --- whose it is ---

SELECT is(test.lead_of(test.write('Whoever <Anna.Smith+crm@Client.EXAMPLE>')), 'Anna Smith', 'addresses are compared as everywhere: case and plus-tags don''t count');
SELECT is(test.lead_of(test.write('Private <private@home.example>', 'Re: x', 'In-Reply-To: <CAJ0002@mail.example.com>')), 'Anna Smith', 'an answer goes to the lead of its thread, whoever writes');
SELECT is(test.lead_of(test.write('Private <private@home.example>', 'Re: x', 'References: <unknown@x.example> <CAJ0002@mail.example.com> <other@x.example>')), 'Anna Smith', 'by References too');
SELECT is((SELECT count(*) FROM kvcrm.leads WHERE email = 'private@home.example'), 0::bigint, 'no lead is opened for them');

-- Several leads of one address: the newest open one.
SELECT test.keep('old', id) FROM kvcrm.create_lead('Old', 'many@client.example', on_duplicate => 'allow', organization_id => test.id('a'));
SELECT test.keep('open', id) FROM kvcrm.create_lead('Open', 'many@client.example', on_duplicate => 'allow', organization_id => test.id('a'));
SELECT test.keep('lost', id) FROM kvcrm.create_lead('Lost', 'many@client.example', on_duplicate => 'allow', organization_id => test.id('a'));
SELECT test.keep('gone', id) FROM kvcrm.create_lead('Gone', 'many@client.example', on_duplicate => 'allow', organization_id => test.id('a'));
SELECT kvcrm.move_lead(test.id('lost'), test.stage('a', 5), lost_reason => 'x') IS NOT NULL;
SELECT kvcrm.delete_lead(test.id('gone')) IS NOT NULL;
SELECT is(test.lead_of(test.write('many@client.example', 'one')), 'Open', 'the newest open lead gets it, not a lost or deleted one');
SELECT kvcrm.merge_leads(test.id('old'), ARRAY[test.id('open')]) IS NOT NULL;
UPDATE kvcrm.leads SET email = 'else@client.example' WHERE id = test.id('old');
SELECT is(test.lead_of(test.write('many@client.example', 'two')), 'Old', 'mail of a merged lead goes to the survivor, whose address is another one now');
SELECT is((SELECT count(*) FROM kvcrm.lead_activities WHERE lead_id = test.id('old') AND type = 'email'), 2::bigint, 'the merge brought it the older mail');
SELECT is(test.lead_of(test.write('many@client.example', 'one')), 'Old', 'which comes again as the same activity');
SELECT kvcrm.delete_lead(test.id('old')) IS NOT NULL;
SELECT is(test.lead_of(test.write('many@client.example', 'three')), 'Lost', 'a lost lead is better than none');
SELECT kvcrm.delete_lead(test.id('lost')) IS NOT NULL;
SELECT is(test.lead_of(test.write('Again <many@client.example>', 'four')), 'Again', 'when all are deleted a new one is opened');

-- Customers and their contacts.
SELECT test.keep('source', id) FROM kvcrm.create_lead('Source', 'boss@firm.example', company => 'Firm', organization_id => test.id('a'));
SELECT test.keep('customer', id) FROM kvcrm.qualify_lead(test.id('source'));
INSERT INTO kvcrm.customer_contacts (organization_id, customer_id, name, email) VALUES (test.id('a'), test.id('customer'), 'Buyer', 'buyer@firm.example');
SELECT is(test.lead_of(test.write('Buyer <buyer@firm.example>')), 'Source', 'a contact''s mail goes to the lead that became the customer');
SELECT is(test.lead_of(test.write('Boss <boss@firm.example>')), 'Source', 'and so does that lead''s');
SELECT kvcrm.create_lead('New deal', 'buyer@firm.example', on_duplicate => 'allow', organization_id => test.id('a')) IS NOT NULL;
SELECT is(test.lead_of(test.write('Buyer <buyer@firm.example>', 'more')), 'New deal', 'unless an open lead has the address');
SELECT is(test.lead_of(test.write('Other <other@firm.example>')), 'Other', 'the domain alone is nobody');

-- --- what went out ---

SELECT is(test.lead_of(test.message('outbound-copy')), 'Anna Smith', 'a member''s message belongs to the lead addressed');
SELECT is(metadata ->> 'direction', 'outbound', 'and says that it went out') FROM kvcrm.lead_activities WHERE title = 'Offer for 20 pumps';
SELECT is(test.lead_of(test.write('Peter <Peter@vendor.example>', 'x', E'To: colleague@vendor.example\nCc: Rep <rep@freemail.example>, Boss <boss@firm.example>')), 'Source', 'colleagues are passed over');
SELECT is(test.lead_of(test.write('Peter <peter@vendor.example>', 'x', 'To: Fresh <fresh@client.example>')), 'Fresh', 'a lead is opened for whom a member writes to first');
SELECT is(source, NULL, 'without a source') FROM kvcrm.leads WHERE email = 'fresh@client.example';
SELECT is(test.lead_of(test.message('web-form')), 'Visitor Vera', 'a form on the own site speaks for who is in Reply-To');

-- --- what opens no lead ---

SELECT throws_ok(format('SELECT kvcrm.ingest_email(%L::bytea, test.id(''a''))', message), code, NULL, what)
  FROM (VALUES (test.message('delivery-report'), '22023', 'a delivery report'), (test.message('newsletter-html'), '22023', 'a mailing list'),
               (test.write('new@client.example', 'x', 'Auto-Submitted: auto-replied'), '22023', 'an automatic answer of somebody unknown'),
               (test.write('peter@vendor.example', 'x', 'To: sue@vendor.example'), '22023', 'mail among colleagues'),
               (test.write('root@localhost'), '22023', 'a sender without a valid address'), (test.write(''), '22023', 'a message of nobody'),
               (''::bytea, '22023', 'nothing'), ('\x0000'::bytea, '22023', 'zeros'), (convert_to('%PDF-1.4', 'UTF8'), '22023', 'a file'),
               (decode(repeat('00', 1000), 'hex'), '22023', 'more zeros')) AS c (message, code, what);
SELECT throws_ok($$ SELECT kvcrm.ingest_email(NULL, test.id('a')) $$, '22023', 'message is required', 'null');
SELECT throws_ok($$ SELECT kvcrm.ingest_email(test.message('bare')) $$, '22023', NULL, 'the system must name the organization');
SELECT throws_ok($$ SELECT kvcrm.ingest_email(convert_to(E'From: a@b.example\n\n' || repeat('x', 64 << 20), 'UTF8'), test.id('a')) $$, '22023', 'the message can''t be read', 'more than 64 MiB');
SELECT is(test.lead_of(test.message('out-of-office')), 'Anna Smith', 'an automatic answer of somebody known is filed');
SELECT is(metadata -> 'automatic', 'true', 'and marked') FROM kvcrm.lead_activities WHERE title LIKE 'Automatic reply%';
SELECT is(test.lead_of(convert_to(replace(convert_from(test.message('delivery-report'), 'UTF8'), 'offer-99', 'offer-17'), 'UTF8')), 'Anna Smith', 'a delivery report goes to the thread of what it reports on');

-- --- the whole mailbox ---

SELECT lives_ok(format('SELECT kvcrm.ingest_email(test.message(%L), test.id(''b''))', name), name) FROM test.mailbox WHERE name NOT IN ('delivery-report', 'newsletter-html', 'outbound-copy') ORDER BY name;
SELECT is(metadata -> 'attachments', '[{"name": "Чертёж.pdf", "size": 19, "type": "application/pdf"}, {"name": "Смета.xls", "size": 100, "type": "application/vnd.ms-excel"}, {"name": "parts.csv", "size": 7, "type": "text/csv"}]',
    'attachments are listed') FROM kvcrm.lead_activities WHERE title = 'Drawings';
SELECT is(title, '(no subject)', 'a message without a subject') FROM kvcrm.lead_activities WHERE description = 'Just text.' AND organization_id = test.id('b');
SELECT is(completed_at, created_at, 'without a date') FROM kvcrm.lead_activities WHERE description = 'Just text.' AND organization_id = test.id('b');
SELECT is((kvcrm.ingest_email(test.write('anna.smith@client.example', 'future', 'Date: Mon, 1 Jan 2085 00:00:00 +0000'), test.id('a'))).completed_at <= now(), true, 'a date in the future is none');
SELECT is((SELECT count(*) FROM kvcrm.email_messages m JOIN kvcrm.lead_activities a ON a.id = m.id AND a.type = 'email'), (SELECT count(*) FROM kvcrm.lead_activities WHERE type = 'email'), 'each has its hash');

-- Long ones.
SELECT test.keep('long', id) FROM kvcrm.ingest_email(test.write('long@client.example', repeat('ж', 300), '', repeat('я', 30000) || E'\n\n' || repeat(E'> цитата "x" \\ \n', 20000)), test.id('a'));
SELECT unnest(ARRAY[is(length(title), 255, 'a long subject is cut'), is(length(description), 20000, 'a long text too'), is(right(description, 3), '[…]', 'with a mark'), is(metadata -> 'cut', 'true', 'and says so'),
       cmp_ok(pg_column_size(metadata::text), '<', 65536, 'the quotation too')]) FROM kvcrm.lead_activities WHERE id = test.id('long');
SELECT lives_ok($$ SELECT kvcrm.ingest_email(test.write('many@x.example', 'x', 'To: ' || (SELECT string_agg(format('%s <%s@%s.example>', repeat('ж', 120), repeat('a', 64), repeat('b', 60)), ', ') FROM generate_series(1, 500))
    || E'\nReferences: ' || (SELECT string_agg('<' || repeat('r', 900) || n || '>', ' ') FROM generate_series(1, 60) n), E'\n' || repeat(E'> я\n', 60000)), test.id('a')) $$, 'metadata fits whatever a message has');

-- --- who may ---

SELECT is(test.as_user(who, $$ SELECT a.created_by FROM kvcrm.ingest_email(convert_to(E'From: $$ || who || $$@client.example\n\nx', 'UTF8')) a $$)::uuid, test.id(who), who || ' may, and is its creator') FROM unnest(ARRAY['rep', 'manager', 'admin', 'owner']) AS who;
SELECT is((SELECT assigned_to FROM kvcrm.leads WHERE email = 'rep@client.example'), test.id('rep'), 'a rep''s new lead is the rep''s');
SELECT throws_ok(format('SELECT test.as_user(%L, %L)', who, $$ SELECT kvcrm.ingest_email('From: x', test.id('a')) $$), '42501', NULL, coalesce(who, 'nobody') || ' may not') FROM (VALUES ('stranger'), ('suspended'), ('owner_b'), (NULL)) AS c (who);
SELECT throws_ok($$ SELECT test.as_user('rep', 'SELECT kvcrm.ingest_email(test.message(''gmail-reply''))') $$, '23505', 'the message is filed already', 'a message filed with a lead one doesn''t see is refused');
SELECT test.keep('reps', test.as_user('rep', $$ SELECT a.lead_id FROM kvcrm.ingest_email(convert_to(E'From: anna.smith@client.example\n\nfor the rep', 'UTF8')) a $$)::uuid);
SELECT is((SELECT assigned_to FROM kvcrm.leads WHERE id = test.id('reps')), test.id('rep'), 'a lead one doesn''t see is as if it weren''t there');
SELECT throws_ok(format('SELECT test.as_user(''owner'', %L)', statement), '42501', NULL, statement) FROM unnest(ARRAY['SELECT FROM kvcrm.email_messages', 'SELECT FROM kvcrm.email_senders', 'DELETE FROM kvcrm.email_messages']) AS statement;

-- --- blocked duplicates ---

UPDATE kvcrm.organizations SET duplicate_policy = 'block' WHERE id = test.id('b');
SELECT kvcrm.create_lead('Blocked', 'blocked@client.example', organization_id => test.id('b')) IS NOT NULL;
SELECT is(test.lead_of(test.write('blocked@client.example'), 'b'), 'Blocked', 'under block the lead that is there gets it');

-- --- erased, deleted ---

SELECT kvcrm.erase_lead(lead_id) IS NOT NULL FROM kvcrm.lead_activities WHERE id = test.id('offer');
SELECT results_eq($$ SELECT title, description, metadata FROM kvcrm.ingest_email(test.message('gmail-reply'), test.id('a')) $$, $$ VALUES ('Erased', NULL::text, '{}'::jsonb) $$, 'a message of an erased lead that comes again brings nothing back');
SELECT is((SELECT count(*) FROM kvcrm.activity_logs g WHERE g.changes::text LIKE '%take all twenty%' AND organization_id = test.id('a')), 0::bigint, 'nor does the log keep it');
SELECT kvcrm.delete_activity(test.id('long')) IS NOT NULL;
SELECT is((SELECT count(*) FROM kvcrm.email_messages WHERE id = test.id('long')), 0::bigint, 'a deleted activity takes its hash along');
SELECT is((SELECT string_agg(invariant || coalesce(': ' || detail, ''), ', ') FROM kvcrm.check_consistency()), NULL, 'all is consistent');

SELECT * FROM finish();
