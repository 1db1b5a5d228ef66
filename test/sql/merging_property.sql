-- Any sequence of merges, undone in reverse order, restores the tables exactly: all columns but version and
-- updated_at, and the log. Random leads, activities, pairs, quotes, stays and rows of a host; chains included.
-- SEED=0.123 repeats a run.
-- inconsistent: pairs are decided by hand
\ir include/two_organizations.sql
\ir include/seed.sql
SELECT setseed(:'seed'::float8) IS NULL;

CREATE TABLE public.host_keyed (id int PRIMARY KEY, lead uuid, org uuid, tag text, UNIQUE (lead, tag), FOREIGN KEY (lead, org) REFERENCES kvcrm.leads (id, organization_id) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE public.host_in_key (lead uuid, org uuid, slot int, note text, PRIMARY KEY (lead, slot), FOREIGN KEY (lead, org) REFERENCES kvcrm.leads (id, organization_id));
CREATE TABLE public.host_without_key (lead uuid, org uuid, other uuid, at timestamptz, note text, FOREIGN KEY (lead, org) REFERENCES kvcrm.leads (id, organization_id), FOREIGN KEY (other, org) REFERENCES kvcrm.leads (id, organization_id));

CREATE FUNCTION test.state() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(line, E'\n' ORDER BY line) FROM (
        SELECT concat('lead ', to_jsonb(l) - '{version,updated_at}'::text[]) AS line FROM kvcrm.leads l
        UNION ALL SELECT concat('activity ', to_jsonb(a) - 'updated_at') FROM kvcrm.lead_activities a
        UNION ALL SELECT concat('stay ', to_jsonb(h) - 'updated_at') FROM kvcrm.lead_stage_history h
        UNION ALL SELECT concat('pair ', to_jsonb(p) - 'updated_at') FROM kvcrm.duplicate_pairs p
        UNION ALL SELECT concat('quote ', to_jsonb(q) - 'updated_at') FROM kvcrm.quotes q
        UNION ALL SELECT concat('fingerprint ', to_jsonb(f) - 'updated_at') FROM kvcrm.lead_fingerprints f
        UNION ALL SELECT concat_ws(' ', 'count', c.stage_id, c.assigned_to, c.currency, sum(c.leads), round(sum(c.value), 2)) FROM kvcrm.lead_stage_counts c GROUP BY c.stage_id, c.assigned_to, c.currency HAVING sum(c.leads) <> 0 OR sum(c.value) <> 0
        UNION ALL SELECT concat('keyed ', to_jsonb(k)) FROM public.host_keyed k UNION ALL SELECT concat('in key ', to_jsonb(k)) FROM public.host_in_key k UNION ALL SELECT concat('without key ', to_jsonb(k)) FROM public.host_without_key k) s $$;
CREATE FUNCTION test.one(anyarray) RETURNS anyelement VOLATILE LANGUAGE sql AS $$ SELECT $1[1 + floor(random() * cardinality($1))::int] $$;

DO $$
DECLARE
    ids uuid[];
    n int;
BEGIN
    FOR i IN 1 .. 40 LOOP
        INSERT INTO kvcrm.leads (organization_id, name, email, phone, company, inn, source, assigned_to, estimated_value, currency, custom_fields, stage_id)
        SELECT test.id('a'), 'Лид ' || i, test.one(ARRAY[NULL, 'lead' || i || '@firma.ru']), test.one(ARRAY[NULL, '+7 495 123-45-' || lpad(i::text, 2, '0')]), test.one('{NULL,Ромашка,Вега}'::text[]), test.one('{NULL,7707083893}'::text[]), test.one('{NULL,event,other}'::text[]),
               test.one(ARRAY[NULL, test.id('rep'), test.id('other_rep')]), test.one('{NULL,0,100.5}'::numeric[]), test.one('{NULL,USD,EUR}'::text[]), test.one(ARRAY['{}', '{"a": 1}', '{"a": null, "b": [2]}', '{"c": {"d": "é"}}']::jsonb[]), test.stage('a', 1);
    END LOOP;
    SELECT array_agg(id ORDER BY id) INTO ids FROM kvcrm.leads;
    FOR i IN 1 .. 60 LOOP
        PERFORM kvcrm.log_activity(test.one(ids), test.one('{call,note,task}'::text[]), 'Дело ' || i, completed_at => test.one(ARRAY[NULL, now()]));
        INSERT INTO public.host_keyed VALUES (i, test.one(ids), test.id('a'), test.one('{x,y,z}'::text[])) ON CONFLICT DO NOTHING;
        INSERT INTO public.host_in_key VALUES (test.one(ids), test.id('a'), floor(random() * 3)::int, 'n' || i) ON CONFLICT DO NOTHING;
        INSERT INTO public.host_without_key VALUES (test.one(ids), test.id('a'), test.one(ids), test.one(ARRAY[NULL, '2026-01-01 10:00+00'::timestamptz]), test.one('{NULL,same}'::text[]));
        INSERT INTO kvcrm.quotes (organization_id, lead_id, title, amount) VALUES (test.id('a'), test.one(ids), 'КП ' || i, i);
        INSERT INTO kvcrm.duplicate_pairs (organization_id, lead_id, other_lead_id, probability, status)
        SELECT test.id('a'), least(a, b), greatest(a, b), random(), test.one('{open,open,dismissed}'::text[]) FROM (SELECT test.one(ids) AS a, test.one(ids) AS b OFFSET 0) p WHERE a <> b ON CONFLICT DO NOTHING;
        PERFORM kvcrm.move_lead(test.one(ids), test.stage('a', test.one('{1,2,3,4}'::int[])));
    END LOOP;
END
$$;

CREATE TABLE test.states (n int PRIMARY KEY, merge uuid, state text);
-- Merges live leads until few are left; each state is kept to be compared with on the way back.
CREATE PROCEDURE test.merge_some() LANGUAGE plpgsql AS $$
DECLARE
    live uuid[];
    before text;
    choices jsonb;
BEGIN
    FOR n IN 1 .. 18 LOOP
        SELECT array_agg(id ORDER BY random()) INTO live FROM (SELECT id FROM kvcrm.leads WHERE merged_into_id IS NULL ORDER BY id) l;
        EXIT WHEN cardinality(live) < 5;
        before := test.state();
        choices := CASE WHEN random() < 0.4 THEN jsonb_build_object('email', test.one(live[1:2]), 'company', test.one('{Другая,NULL}'::text[]), 'custom_fields.a', test.one(live[1:2]), 'custom_fields.new', n) ELSE '{}' END;
        PERFORM kvcrm.merge_leads(live[1], live[2:2 + floor(random() * 3)::int], choices);
        INSERT INTO test.states SELECT n, m.id, before FROM kvcrm.lead_merges m WHERE m.survivor_id = live[1] AND m.undone_at IS NULL ORDER BY m.id DESC LIMIT 1;
        COMMIT;
    END LOOP;
END
$$;
CALL test.merge_some();
CREATE TABLE test.undone (n int, same boolean, state text);
CREATE PROCEDURE test.undo_all() LANGUAGE plpgsql AS $$
DECLARE
    step test.states;
BEGIN
    FOR step IN SELECT * FROM test.states ORDER BY n DESC LOOP
        PERFORM kvcrm.undo_merge(step.merge);
        INSERT INTO test.undone SELECT step.n, s = step.state, s FROM test.state() s;
        COMMIT;
    END LOOP;
END
$$;
SELECT cmp_ok((SELECT count(*) FROM kvcrm.leads l JOIN kvcrm.leads s ON s.id = l.merged_into_id AND s.merged_into_id IS NOT NULL), '>', 0::bigint, 'some leads were merged into ones that were merged later');
SELECT cmp_ok((SELECT sum(jsonb_array_length(t->'left')) FROM kvcrm.lead_merges m, jsonb_array_elements(m.before_image->'tables') t), '>', 0::bigint, 'some rows collided');
SELECT is((SELECT count(*) FROM kvcrm.lead_activities a JOIN kvcrm.leads l ON l.id = a.lead_id WHERE l.merged_into_id IS NOT NULL), 0::bigint, 'no activity is left on a merged lead');
SELECT is((SELECT count(*) FROM kvcrm.lead_stage_history WHERE left_at IS NULL), (SELECT count(*) FROM kvcrm.leads WHERE merged_into_id IS NULL), 'every live lead has one open stay, no other has');
SELECT is((SELECT count(*) FROM kvcrm.duplicate_pairs p JOIN kvcrm.leads l ON l.id IN (p.lead_id, p.other_lead_id) WHERE p.status = 'open' AND l.merged_into_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM kvcrm.duplicate_pairs q WHERE q.id <> p.id)), 0::bigint, 'nor an open pair, unless another stands for it');
CALL test.undo_all();
SELECT is((SELECT count(*) FROM test.undone), (SELECT count(*) FROM test.states), 'every merge was undone');
SELECT is((SELECT string_agg(n::text, ' ' ORDER BY n) FROM test.undone WHERE NOT same), NULL, 'and each undo brought back what was before the merge, seed ' || :'seed');
-- What the first undo that failed did differently.
SELECT diag(format('%s: %s', what, left(line, 600))) FROM (
    SELECT 'missing' AS what, unnest(string_to_array(s.state, E'\n')) AS line FROM test.states s WHERE s.n = (SELECT max(n) FROM test.undone WHERE NOT same)
    EXCEPT SELECT 'missing', unnest(string_to_array(state, E'\n')) FROM test.undone u WHERE u.n = (SELECT max(n) FROM test.undone WHERE NOT same)
    UNION ALL (SELECT 'too much', unnest(string_to_array(state, E'\n')) FROM test.undone u WHERE u.n = (SELECT max(n) FROM test.undone WHERE NOT same)
    EXCEPT SELECT 'too much', unnest(string_to_array(s.state, E'\n')) FROM test.states s WHERE s.n = (SELECT max(n) FROM test.undone WHERE NOT same))) d ORDER BY line;
SELECT is((SELECT count(*) FROM kvcrm.activity_logs WHERE changes ? 'left'), 0::bigint, 'nothing was left');
SELECT * FROM finish();
