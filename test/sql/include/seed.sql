-- Leaves in :seed what SEED of the environment says, else something random, and says it: SEED=0.123 repeats a run.
\getenv seed SEED
\if :{?seed}
\else
SELECT round(random()::numeric, 9) AS seed \gset
\endif
SELECT diag('seed: ' || :'seed');
