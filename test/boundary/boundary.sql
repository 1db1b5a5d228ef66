-- The boundary between C++ and PostgreSQL (src/pg), driven to its edges inside a backend by boundary.cpp.
\set QUIET 1
\pset format unaligned
\pset tuples_only on

CREATE TABLE boundary_rows (
    id   int CONSTRAINT boundary_rows_unique UNIQUE CONSTRAINT boundary_rows_not_negative CHECK (id >= 0),
    name text
);

DO $$
DECLARE
    signature text;
BEGIN
    FOREACH signature IN ARRAY ARRAY[
        'warnings() RETURNS int', 'heap() RETURNS bigint', 'fail(text) RETURNS boolean', 'swallow(text, int) RETURNS text[]',
        'descend(int) RETURNS int', 'subtransactions() RETURNS text[]', 'failing_commit() RETURNS text[]',
        'rows_outlive() RETURNS text[]', 'error_outlives() RETURNS text', 'spin(int) RETURNS bigint', 'terminate() RETURNS text',
        'not_null(int) RETURNS int', 'required(int) RETURNS int', 'count(int) RETURNS int',
        'echo_bool(boolean) RETURNS boolean', 'echo_int4(int) RETURNS int', 'echo_int8(bigint) RETURNS bigint',
        'echo_float8(float8) RETURNS float8', 'echo_timestamptz(timestamptz) RETURNS timestamptz', 'echo_uuid(uuid) RETURNS uuid',
        'echo_text(text) RETURNS text', 'echo_uuids(uuid[]) RETURNS uuid[]', 'echo_texts(text[]) RETURNS text[]',
        'echo_jsonb(jsonb) RETURNS jsonb', 'echo_numeric(numeric) RETURNS numeric',
        'parse_uuid(text) RETURNS uuid', 'uuid_text(uuid) RETURNS text']
    LOOP
        EXECUTE format('CREATE FUNCTION boundary_%s LANGUAGE c AS ''$libdir/kvcrm_boundary'', %L',
            signature, 'boundary_' || split_part(signature, '(', 1));
    END LOOP;
END
$$;

-- Everything that an error says.
CREATE FUNCTION diagnostics(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text; message text; detail text; hint text; col text; con text; tab text; sch text;
BEGIN
    EXECUTE command;
    RETURN 'no error';
-- OTHERS leaves cancels out.
EXCEPTION WHEN OTHERS OR query_canceled THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT,
        col = COLUMN_NAME, con = CONSTRAINT_NAME, tab = TABLE_NAME, sch = SCHEMA_NAME;
    RETURN concat_ws(' | ', state, message, nullif(detail, ''), nullif(hint, ''), nullif(col, ''), nullif(con, ''), nullif(tab, ''), nullif(sch, ''));
END
$$;
CREATE FUNCTION context_of(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    context text;
BEGIN
    EXECUTE command;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
    RETURN context;
END
$$;
CREATE TABLE kinds (kind text PRIMARY KEY, said text NOT NULL);
INSERT INTO kinds VALUES
    ('error', '23514 | 100% wrong: %s | the detail %d | the hint %n | the_column'),
    ('bare error', '22023 | only a message'),
    ('bad_alloc', '53200 | out of memory'),
    ('too many', 'XX000 | vector::reserve'),
    ('exception', 'XX000 | a runtime error'),
    ('unknown', 'XX000 | unknown C++ exception'),
    ('palloc', 'XX000 | invalid memory alloc request size 1073741824'),
    ('out of memory', '53200 | out of memory | Failed on request of size 1.'),
    ('ereport', '22012 | a message | a detail | a hint'),
    ('nested call', '22000 | inner'),
    ('exception in call', '22000 | thrown inside a guarded call'),
    ('rethrown', '22012 | a message | a detail | a hint'),
    ('in owner', '22012 | a message | a detail | a hint'),
    ('in session', '23514 | 100% wrong: %s | the detail %d | the hint %n | the_column'),
    ('in sessions', '22012 | a message | a detail | a hint'),
    ('check', '23514 | new row for relation "boundary_rows" violates check constraint "boundary_rows_not_negative"'
        || ' | Failing row contains (-1, null). | boundary_rows_not_negative | boundary_rows | public'),
    ('unique', '23505 | duplicate key value violates unique constraint "boundary_rows_unique" | Key (id)=(1000000) already exists.'
        || ' | boundary_rows_unique | boundary_rows | public'),
    ('parse', '42P01 | relation "public.boundary_no_table" does not exist'),
    ('read only', '0A000 | INSERT is not allowed in a non-volatile function'),
    ('below rows', '22000 | the bottom | detail of the bottom'),
    ('scratch', '23514 | new row for relation "boundary_rows" violates check constraint "boundary_rows_not_negative"'
        || ' | Failing row contains (-1, null). | boundary_rows_not_negative | boundary_rows | public'),
    ('subtransaction', '22012 | a message | a detail | a hint');

SELECT * FROM no_plan();

-- --- errors survive the way through C++ ---

SELECT is(diagnostics(format('SELECT boundary_fail(%L)', kind)), said, 'error: ' || kind)
  FROM kinds ORDER BY kind;
SELECT matches(context_of('SELECT boundary_fail(''ereport'')'), E'^a context\nSQL statement "SELECT boundary_fail.*\nPL/pgSQL function context_of',
    'the context is told once, from the inside out');
SELECT matches(context_of('SELECT boundary_fail(''check'')'), E'^SQL statement "INSERT INTO public.boundary_rows .*\nSQL statement "SELECT boundary_fail',
    'and names the statement of C++ that failed');
SELECT is(diagnostics('SELECT boundary_fail(''no such kind'')'), 'no error', 'no failure, no error');

-- --- a failure leaves nothing behind ---

SELECT is(boundary_warnings(), 0, 'no warning so far');
SELECT is(boundary_swallow(kind, 3), '{}', 'swallowed inside C++: ' || kind) FROM kinds ORDER BY kind;
SELECT is((SELECT count(*)::int FROM boundary_rows), 0, 'nothing that was rolled back is there');

-- Once to warm caches up, then a thousand times, in sub-transactions of PL/pgSQL and of C++.
CREATE FUNCTION catch_failures(kind text, times int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..times LOOP
        BEGIN
            PERFORM boundary_fail(kind);
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
END
$$;
CREATE FUNCTION backend_memory() RETURNS bigint LANGUAGE sql VOLATILE AS 'SELECT sum(used_bytes)::bigint FROM pg_backend_memory_contexts';
CREATE TABLE leaks (kind text, way text, contexts bigint, heap bigint, error_contexts bigint);
-- Commits, so that what belongs to a transaction is gone when memory is measured.
CREATE PROCEDURE measure(kind text, way text, command text) LANGUAGE plpgsql AS $$
DECLARE
    memory bigint; heap bigint;
BEGIN
    EXECUTE format(command, kind, 100);
    COMMIT;
    memory := backend_memory();
    heap := boundary_heap();
    COMMIT;
    EXECUTE format(command, kind, 1000);
    COMMIT;
    memory := backend_memory() - memory;
    heap := boundary_heap() - heap;
    INSERT INTO leaks VALUES (kind, way, memory, heap, (SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'kvcrm error'));
    COMMIT;
END
$$;
SELECT format('CALL measure(%L, %L, %L)', kind, way, command)
  FROM kinds, (VALUES ('caught', 'SELECT catch_failures(%L, %s)'), ('swallowed', 'SELECT boundary_swallow(%L, %s)')) AS w (way, command)
 ORDER BY kind, way \gexec
-- Far less than a thousand copies of anything would take.
SELECT ok(l.contexts < 65536 AND l.heap < 262144 AND l.error_contexts = 0,
    format('a thousand failures leak nothing, %s: %s (contexts %s, heap %s, errors %s)', l.way, l.kind, l.contexts, l.heap, l.error_contexts))
  FROM leaks l ORDER BY kind, way;
SELECT is((SELECT count(*)::int FROM boundary_rows), 0, 'nothing that was rolled back is there');
-- Inside one transaction too: errors are freed with the sub-transaction, not with the transaction.
BEGIN;
SELECT catch_failures('ereport', 50) \g /dev/null
SELECT backend_memory() AS memory \gset
SELECT catch_failures('ereport', 1000) \g /dev/null
SELECT ok(backend_memory() - :memory < 65536, 'nor do they pile up in a transaction');
ROLLBACK;
SELECT is(boundary_warnings(), 0, 'none of it raised a warning');

-- --- sub-transactions, sessions, rows ---

BEGIN;
SELECT is(boundary_subtransactions(), '{committed,committed outside}', 'sub-transactions: what is committed stays, what is not goes');
ROLLBACK;
BEGIN;
SELECT is(boundary_failing_commit(), '{outer}', 'a sub-transaction that fails at commit is rolled back alone');
ROLLBACK;
INSERT INTO boundary_rows VALUES (10, 'kept');
SELECT is(boundary_rows_outlive(), '{kept}', 'rows of a sub-transaction may outlive it');
SELECT is(boundary_error_outlives(),
    'new row for relation "boundary_rows" violates check constraint "boundary_rows_not_negative" / boundary_rows_not_negative',
    'an error outlives the sub-transaction it comes from');
DELETE FROM boundary_rows;
SELECT is(boundary_descend(20), 20, 'twenty sessions nest, each with its own access');
SELECT is(diagnostics('SELECT boundary_descend(-20)'), '22000 | the bottom | detail of the bottom', 'an error passes through twenty boundaries');
SELECT is(boundary_descend(4), 4, 'and sessions nest again');
SELECT is(boundary_warnings(), 0, 'no warning');

-- --- values ---

SELECT is(boundary_echo_bool(v), v, 'boolean ' || coalesce(v::text, 'null')) FROM unnest(ARRAY[true, false, NULL]) AS v;
SELECT is(boundary_echo_int4(v), v, 'int ' || coalesce(v::text, 'null')) FROM unnest(ARRAY[0, -2147483648, 2147483647, NULL]) AS v;
SELECT is(boundary_echo_int8(v), v, 'bigint ' || coalesce(v::text, 'null'))
  FROM unnest(ARRAY[0, -9223372036854775808, 9223372036854775807, NULL]) AS v;
SELECT is(boundary_echo_float8(v), v, 'float8 ' || coalesce(v::text, 'null')) FROM unnest(ARRAY['-0', 'NaN', '-Infinity', '1.5e-300', NULL]::float8[]) AS v;
SELECT is(boundary_echo_timestamptz(v), v, 'timestamptz ' || coalesce(v::text, 'null'))
  FROM unnest(ARRAY['infinity', '-infinity', '4713-01-01 BC', '2024-02-29 12:34:56.789012+03', NULL]::timestamptz[]) AS v;
SELECT is(boundary_echo_uuid(v), v, 'uuid ' || coalesce(v::text, 'null'))
  FROM unnest(ARRAY['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', NULL]::uuid[]) AS v;
SELECT is(md5(boundary_echo_text(v)), md5(v), 'text of ' || coalesce(length(v)::text, 'null'))
  FROM unnest(ARRAY['', 'Ромашка 🌼', repeat('x', 100), repeat('длинный ', 300000), NULL]) AS v;
SELECT is(boundary_echo_uuids('{}'), '{}', 'no uuids');
SELECT is(boundary_echo_uuids(NULL), NULL, 'null for uuids');
SELECT is(boundary_echo_uuids('{00000000-0000-0000-0000-000000000001,NULL,00000000-0000-0000-0000-000000000002}'),
    '{00000000-0000-0000-0000-000000000001,00000000-0000-0000-0000-000000000002}', 'nulls among uuids are left out');
SELECT is(boundary_echo_texts('{"",NULL,"a,b","\"","Ромашка"}'), '{"","a,b","\"","Ромашка"}', 'texts that arrays have to quote');
SELECT is(cardinality(boundary_echo_texts(array_agg(repeat('x', n)))), 5000, 'many texts') FROM generate_series(1, 5000) AS n;
SELECT is(boundary_echo_jsonb(v), v, 'jsonb ' || coalesce(left(v::text, 30), 'null'))
  FROM unnest(ARRAY['null', '{"a": [1, {"b": null}]}', NULL, to_jsonb(repeat('y', 100000))]::jsonb[]) AS v;
SELECT is(boundary_echo_numeric(v), v, 'numeric ' || coalesce(v::text, 'null'))
  FROM unnest(ARRAY['NaN', '-Infinity', '0.00', '123456789012345678901234567890.123456789', NULL]::numeric[]) AS v;

SELECT is(boundary_parse_uuid(v), v::uuid, 'a uuid written as ' || v)
  FROM unnest(ARRAY['0190163D-8694-739B-AEA5-966C26F8AD91', '{0190163d-8694-739b-aea5-966c26f8ad91}', '0190163d8694739baea5966c26f8ad91',
                    '0190-163d-8694-739b-aea5-966c-26f8-ad91']) AS v;
SELECT is(boundary_parse_uuid(v), NULL, 'no uuid: ' || v)
  FROM unnest(ARRAY['', '{}', '0190163d-8694-739b-aea5-966c26f8ad9', '0190163d-8694-739b-aea5-966c26f8ad911', '0190163d-8694-739b-aea5-966c26f8ad9g',
                    '-0190163d8694739baea5966c26f8ad91', '0190163d--8694739baea5966c26f8ad91', '{0190163d-8694-739b-aea5-966c26f8ad91',
                    '0190163d8694739baea5966c26f8ad91-', '01-90163d8694739baea5966c26f8ad91', ' 0190163d-8694-739b-aea5-966c26f8ad91']) AS v;
-- As PostgreSQL's own reader has it.
SELECT is(boundary_parse_uuid(v) IS NULL, diagnostics(format('SELECT %L::uuid', v)) <> 'no error', 'read like PostgreSQL: ' || v)
  FROM unnest(ARRAY['{0190163d-8694-739b-aea5-966c26f8ad91', '0190-163d8694739baea5966c26f8ad91', '019-0163d8694739baea5966c26f8ad91',
                    '0190163d-8694-739b-aea5-966c26f8-ad91', '0190163d-8694-739b-aea5-966c26f8ad91-', '0190163d--8694-739b-aea5-966c26f8ad91']) AS v;
SELECT is(boundary_uuid_text('0190163D-8694-739B-AEA5-966C26F8AD91'), '0190163d-8694-739b-aea5-966c26f8ad91', 'a uuid as text');

SELECT is(diagnostics('SELECT boundary_not_null(NULL)'), '22004 | unexpected null value', 'a null that is not optional');
SELECT is(diagnostics('SELECT boundary_required(NULL)'), '22023 | the_argument is required', 'a null for a required argument');

-- --- what is kept between calls ---

SELECT is((SELECT max(boundary_count(0)) FROM generate_series(1, 100)), 100, 'an object is kept between the calls of one execution');
SELECT is(boundary_count(0), 1, 'and not longer');
SELECT is(diagnostics('SELECT sum(boundary_count(50)) FROM generate_series(1, 100)'),
    '23514 | 100% wrong: %s | the detail %d | the hint %n | the_column', 'an error ends it');
CREATE FUNCTION count_and_fail(times int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..times LOOP
        PERFORM diagnostics('SELECT sum(boundary_count(20)) FROM generate_series(1, 100)');
    END LOOP;
END
$$;
CALL measure('kept', 'caught', 'SELECT count_and_fail(%2$s)');
SELECT ok(contexts < 65536 AND heap < 262144, format('and frees it (contexts %s, heap %s)', contexts, heap)) FROM leaks WHERE kind = 'kept';

-- --- interrupts ---

-- Twenty seconds at most, should the interrupt not be noticed.
SET statement_timeout = '50ms';
SELECT is(diagnostics('SELECT boundary_spin(20)'), '57014 | canceling statement due to statement timeout', 'a timeout ends a loop of C++');
RESET statement_timeout;
SELECT is(boundary_swallow('check', 1), '{}', 'and the backend goes on');
-- A shutdown in the midst of C++ frames ends that backend, and no other: after a crash this session would be gone.
\setenv BOUNDARY_DATABASE :DBNAME
\! psql -X -q -d "$BOUNDARY_DATABASE" -c 'SELECT boundary_terminate()' 2>/dev/null
SELECT is((SELECT count(*)::int FROM boundary_rows), 0, 'a backend that ends in C++ leaves nothing');

SELECT is(boundary_warnings(), 0, 'no warning in all this');
SELECT * FROM finish();
