-- The statement before this had to fail with SQLSTATE :code; if it didn't, the demo fails.
\set ON_ERROR_STOP 1
SELECT :'LAST_ERROR_SQLSTATE' IS DISTINCT FROM :'code' AS surprise \gset
\if :surprise
DO $$ BEGIN RAISE 'the refusal shown here should have had another SQLSTATE'; END $$;
\endif
