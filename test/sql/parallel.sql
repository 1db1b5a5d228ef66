-- A session whose first call of kvcrm is part of a parallel query keeps who is acting. Each case is a session of its
-- own, since only the first call loads the module.
\ir include/two_organizations.sql
\setenv PGDATABASE :DBNAME
SELECT CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'debug_parallel_query' ELSE 'force_parallel_mode' END AS force \gset
\set options '-c client_min_messages=error -c ' :force '=regress'
\setenv PGOPTIONS :options
SELECT test.id('rep') AS rep \gset
\setenv REP :rep
-- CREATE TABLE AS may run in parallel; a sub-transaction may not.
\! psql -X -q -c "SET kvcrm.user_id = '$REP'" -c "CREATE TABLE test.a1 AS SELECT kvcrm.current_user_id()::text AS a" -c "CREATE TABLE test.a2 AS SELECT kvcrm.current_user_id()::text AS a"
\! psql -X -q -c "SET kvcrm.user_id = '$REP'" -c "CREATE TABLE test.a3 AS SELECT kvcrm.has_permission('leads:create')::text AS a" -c "CREATE TABLE test.a4 AS SELECT kvcrm.current_user_id()::text AS a"
\! psql -X -q -c "SET kvcrm.user_id = '$REP'" -c "CREATE TABLE test.a5 AS SELECT (kvcrm.uuid_v7() IS NOT NULL)::text AS a" -c "CREATE TABLE test.a6 AS SELECT kvcrm.current_user_id()::text AS a"
\! psql -X -q -c "SET kvcrm.user_id = '$REP'" -c "CREATE TABLE test.a7 AS SELECT count(*)::text AS a FROM kvcrm.my_permissions()" -c "CREATE TABLE test.a8 AS SELECT kvcrm.current_user_id()::text AS a"
SELECT is((SELECT a FROM test.a1), test.id('rep')::text, 'the acting user in a worker');
SELECT is((SELECT a FROM test.a2), test.id('rep')::text, 'and behind it');
SELECT is((SELECT a FROM test.a3), 'true', 'permissions');
SELECT is((SELECT a FROM test.a4), test.id('rep')::text, 'the acting user behind them');
SELECT is((SELECT a FROM test.a6), test.id('rep')::text, 'behind an id');
SELECT is((SELECT a FROM test.a7), '1', 'memberships');
SELECT is((SELECT a FROM test.a8), test.id('rep')::text, 'the acting user behind them');
SELECT * FROM finish();
