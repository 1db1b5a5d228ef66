-- The event feed: its order, its consumers, what holds it back, its epochs.
-- alone: a transaction that ends elsewhere in this moment may hold the feed back until the next read.
\ir include/two_organizations.sql
SET client_min_messages = error;

-- How many events a consumer is given, and one of them.
CREATE FUNCTION test.feed(who text, consumer text, most int DEFAULT 10000) RETURNS int LANGUAGE sql AS
    $$ SELECT test.as_user(who, format('SELECT count(*) FROM kvcrm.event_feed(%L, %s)', consumer, most))::int $$;
CREATE FUNCTION test.refused(who text, statement text) RETURNS text LANGUAGE sql AS
    $$ SELECT (test.error_of(format('SELECT test.as_user(%L, %L)', who, statement))).code $$;
CREATE FUNCTION test.nth_event(consumer text, n int) RETURNS uuid LANGUAGE sql AS
    $$ SELECT id FROM kvcrm.event_feed(consumer, 10000, test.id('a')) OFFSET n - 1 LIMIT 1 $$;

SELECT kvcrm.create_lead('Иван ' || n, organization_id => test.id('a')) IS NOT NULL FROM generate_series(1, 5) AS n;
SELECT kvcrm.create_lead('Ivan', organization_id => test.id('b')) IS NOT NULL;
CREATE TABLE test.counts AS SELECT count(*)::int AS all FROM kvcrm.activity_logs WHERE organization_id = test.id('a');

-- --- reading and acknowledging ---

SELECT is(test.feed('manager', 'hook'), (SELECT c.all FROM test.counts c), 'a new consumer is given everything');
SELECT is((SELECT count(*) FROM kvcrm.feed_consumers), 0::bigint, 'and reading writes nothing');
SELECT results_eq($$ SELECT id FROM kvcrm.event_feed('hook', 10000, test.id('a')) $$,
                  $$ SELECT id FROM kvcrm.activity_logs WHERE organization_id = test.id('a') ORDER BY feed_epoch, tx, id $$,
                  'the organization''s own log, in order');
SELECT is(test.feed('manager', 'hook', 3), 3, 'at most max_events');
SELECT test.keep('third', test.nth_event('hook', 3));
SELECT is(test.as_user('admin', format('SELECT event_id FROM kvcrm.ack_events(''hook'', %L)', test.id('third'))), test.id('third')::text, 'ack_events says how far the consumer is');
SELECT is(test.feed('manager', 'hook'), (SELECT c.all FROM test.counts c) - 3, 'what was acknowledged doesn''t come again');
SELECT is(test.feed('manager', 'queue'), (SELECT c.all FROM test.counts c), 'another consumer is where it was');
SELECT is((SELECT event_id FROM kvcrm.ack_events('hook', test.nth_event('queue', 1), test.id('a'))), test.id('third'), 'a consumer doesn''t go back');
SELECT is((SELECT event_id FROM kvcrm.ack_events('hook', test.id('third'), test.id('a'))), test.id('third'), 'acknowledging twice is acknowledging');
SELECT is((SELECT acknowledged_by FROM kvcrm.feed_consumers), test.id('admin'), 'and who said so');
SELECT is((SELECT count(*) FROM kvcrm.ack_events('hook', (SELECT id FROM kvcrm.event_feed('hook', 10000, test.id('a')) ORDER BY feed_epoch DESC, tx DESC, id DESC LIMIT 1), test.id('a'))), 1::bigint, 'all of it');
SELECT is(test.feed('manager', 'hook'), 0, 'then nothing is left');
SELECT results_eq($$ SELECT consumer, next_event_id, held_back FROM kvcrm.feed_status(test.id('a')) $$, $$ VALUES ('hook', NULL::uuid, false) $$, 'and feed_status says so');
SELECT kvcrm.create_lead('Ольга', organization_id => test.id('a')) IS NOT NULL;
SELECT is(test.feed('manager', 'hook'), 1, 'new events come');
SELECT is(test.as_user('manager', 'SELECT next_event_id FROM kvcrm.feed_status()'), test.nth_event('hook', 1)::text, 'feed_status names the next');
SELECT is(test.as_user('manager', 'SELECT count(*) FROM kvcrm.feed_consumers'), '1', 'consumers are listed to whoever reads the log');
SELECT is(test.as_user('rep', 'SELECT count(*) FROM kvcrm.feed_consumers'), '0', 'and to nobody else');

-- --- what isn't allowed ---

SELECT is(test.refused('rep', $$ SELECT * FROM kvcrm.event_feed('hook') $$), '42501', 'reading needs logs:read');
SELECT is(test.refused('rep', $$ SELECT * FROM kvcrm.feed_status() $$), '42501', 'so does the status');
SELECT is(test.refused('manager', format('SELECT * FROM kvcrm.ack_events(''hook'', %L)', test.nth_event('hook', 1))), '42501', 'acknowledging needs logs:acknowledge');
SELECT is(test.refused('owner_b', format('SELECT * FROM kvcrm.event_feed(''hook'', organization_id => %L)', test.id('a'))), '42501', 'the other organization''s feed');
SELECT is((test.error_of(format('SELECT * FROM kvcrm.ack_events(''hook'', %L, %L)', test.nth_event('hook', 1), test.id('b')))).code, 'PT404', 'an event of another organization');
SELECT is((test.error_of(format('SELECT * FROM kvcrm.ack_events(''hook'', %L, %L)', kvcrm.uuid_v7(), test.id('a')))).code, 'PT404', 'an unknown event');
SELECT is((test.error_of(format('SELECT * FROM kvcrm.event_feed(%s, %s, %L)', c, n, test.id('a')))).code, '22023', c || ' ' || n)
  FROM (VALUES ('NULL', '1'), ('''''', '1'), ('repeat(''x'', 101)', '1'), ('''hook''', 'NULL'), ('''hook''', '0'), ('''hook''', '10001')) AS v (c, n);
SELECT is((test.error_of(format('SELECT * FROM kvcrm.ack_events(NULL, %L, %L)', test.nth_event('hook', 1), test.id('a')))).code, '22023', 'consumer is required');
SELECT is((test.error_of(format('SELECT * FROM kvcrm.ack_events(''hook'', NULL, %L)', test.id('a')))).code, '22023', 'up_to is required');

-- --- what is not over yet ---

BEGIN;
SELECT kvcrm.create_lead('Пётр', organization_id => test.id('a')) IS NOT NULL;
SELECT is(test.feed('manager', 'hook'), 1, 'a transaction isn''t given its own events');
SELECT is((SELECT held_back FROM kvcrm.feed_status(test.id('a'))), true, 'they are held back');
SELECT is((SELECT waits_for FROM kvcrm.feed_status(test.id('a'))), format('process %s, active', pg_backend_pid()), 'by what');
SELECT is((SELECT waits_since FROM kvcrm.feed_status(test.id('a'))), now(), 'since when');
SELECT is((test.error_of(format('SELECT * FROM kvcrm.ack_events(''hook'', %L, %L)', (SELECT id FROM kvcrm.activity_logs WHERE organization_id = test.id('a') ORDER BY feed_epoch DESC, tx DESC, id DESC LIMIT 1), test.id('a')))).code,
          '22023', 'what wasn''t given out can''t be acknowledged');
COMMIT;
SELECT is(test.feed('manager', 'hook'), 2, 'they come with its end');

-- --- epochs ---

SELECT results_eq($$ SELECT epoch, system_identifier FROM kvcrm.feed_epochs WHERE organization_id = test.id('a') $$, $$ SELECT 1, system_identifier FROM pg_control_system() $$,
                  'the first epoch is this cluster''s');
-- As if the database had been restored from a cluster whose transactions were counted far beyond ours. A session keeps
-- the epoch, so others write.
\setenv PGDATABASE :DBNAME
\setenv PGOPTIONS '-c client_min_messages=error'
SET session_replication_role = replica;
UPDATE kvcrm.activity_logs SET tx = (tx::text::numeric + 1000000)::text::xid8;
UPDATE kvcrm.feed_consumers SET tx = (tx::text::numeric + 1000000)::text::xid8;
UPDATE kvcrm.feed_epochs SET system_identifier = 1;
RESET session_replication_role;
SELECT is(test.feed('manager', 'hook'), 2, 'restored elsewhere, a consumer goes on where it was');
SELECT is((SELECT count(*)::int FROM kvcrm.event_feed('new', 10000, test.id('a'))), (SELECT c.all + 2 FROM test.counts c), 'events of the old cluster are all given out');
\! psql -X -q -c BEGIN -c "CREATE TABLE test.lead AS SELECT kvcrm.create_lead('Анна', organization_id => test.id('a'))" -c ROLLBACK > /dev/null
SELECT is((SELECT epoch FROM kvcrm.feed_epochs WHERE organization_id = test.id('a')), 1, 'an epoch that is rolled back has not begun');
\! psql -X -q -c "CREATE TABLE test.anna AS SELECT kvcrm.create_lead('Анна', organization_id => test.id('a'))" -c "CREATE TABLE test.jana AS SELECT kvcrm.create_lead('Яна', organization_id => test.id('a'))"
SELECT results_eq($$ SELECT epoch, system_identifier FROM kvcrm.feed_epochs WHERE organization_id = test.id('a') $$, $$ SELECT 2, system_identifier FROM pg_control_system() $$,
                  'the first new entry begins an epoch');
SELECT is((SELECT string_agg(feed_epoch::text, ' ') FROM kvcrm.event_feed('hook', organization_id => test.id('a'))), '1 1 2 2', 'its events come after those of the first, though their transactions have lower numbers');
SELECT is((SELECT count(*) FROM kvcrm.ack_events('hook', (SELECT id FROM kvcrm.event_feed('hook', 10000, test.id('a')) ORDER BY feed_epoch DESC, tx DESC, id DESC LIMIT 1), test.id('a'))), 1::bigint, 'and are acknowledged');
SELECT is(test.feed('manager', 'hook'), 0, 'for good');

-- A database updated from a version without epochs.
DELETE FROM kvcrm.feed_epochs;
SELECT is(test.feed('manager', 'old'), (SELECT c.all + 4 FROM test.counts c), 'without a row everything is given out');
\! psql -X -q -c "CREATE TABLE test.emma AS SELECT kvcrm.create_lead('Эмма', organization_id => test.id('a'))"
SELECT is((SELECT epoch FROM kvcrm.feed_epochs WHERE organization_id = test.id('a')), 2, 'entries that may be of another cluster have an epoch of their own');

SELECT * FROM finish();
