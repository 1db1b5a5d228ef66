#!/usr/bin/env bash
# Measures lists, search and timeline: time at SCALE leads in one organization ÷ at 10 000 in another one of the same
# database, each for a manager and for a rep with ten leads; the worse of both counts.
#
#   bench/search.sh [SCALE]     default 1000000
#
#   KEEP=1   leave the server and its data;  REUSE=1   take what a run with KEEP left
set -euo pipefail
cd "$(dirname "$0")/.."
scale=${1:-1000000}
export PG=${PG:-15} PGOPTIONS='-c client_min_messages=warning'
KEEP=${KEEP:-${REUSE:-}}
[[ -n ${REUSE:-} ]] || scripts/server destroy search
[[ -n $KEEP ]] || trap 'scripts/server destroy search' EXIT
scripts/server start search autovacuum=off shared_buffers=2GB max_wal_size=16GB checkpoint_timeout=1h \
  maintenance_work_mem=512MB synchronous_commit=off jit=off
eval "$(scripts/server env search)"
export PGOPTIONS='-c client_min_messages=warning'

if [[ -z ${REUSE:-} ]]; then
  psql -X -q -v ON_ERROR_STOP=1 -c 'CREATE DATABASE bench'
  psql -X -q -v ON_ERROR_STOP=1 -d bench -v scale="$scale" <<'SQL'
CREATE EXTENSION kvcrm;
CREATE SCHEMA bench;
CREATE TABLE bench.organizations (name text, id uuid, leads int);
INSERT INTO bench.organizations SELECT 'small', (kvcrm.create_organization('Small', owner_id => gen_random_uuid())).id, 10000;
INSERT INTO bench.organizations SELECT 'large', (kvcrm.create_organization('Large', owner_id => gen_random_uuid())).id, :scale;
-- 1: the manager, 2: the rep with ten leads, 3 to 22: those who have the rest.
CREATE FUNCTION bench.member(n int) RETURNS uuid IMMUTABLE LANGUAGE sql
    RETURN ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid;
INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, status)
SELECT o.id, bench.member(n), CASE WHEN n = 1 THEN 'sales_manager' ELSE 'sales_team' END, 'active'
  FROM bench.organizations o, generate_series(1, 22) AS n;

-- A number below `below` that looks random.
CREATE FUNCTION bench.pick(n bigint, salt text, below int) RETURNS int IMMUTABLE LANGUAGE sql
    RETURN (hashtextextended(salt, n) % below + below) % below;

-- Shares: Северсталь 5 %, Каспийск 0.7 %, Зябликов 15 leads whatever the scale.
CREATE FUNCTION bench.load(organization uuid, first int, last int, total int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO kvcrm.leads (organization_id, name, email, phone, company, inn, assigned_to, source, estimated_value, created_at, updated_at)
    SELECT organization,
           (ARRAY['Иван', 'Мария', 'Алексей', 'Ольга', 'Сергей', 'Anna', 'Дмитрий', 'Елена', 'Peter', 'Павел', 'Юлия'])[1 + bench.pick(n, 'first', 11)] || ' '
           || CASE WHEN n % (total / 15) = 7 THEN 'Зябликов'
                   ELSE (ARRAY['Иванов', 'Смирнова', 'Кузнецов', 'Попова', 'Соколов', 'Schmidt', 'Лебедев', 'Козлова', 'Новиков', 'Johnson', 'Морозов', 'Волкова'])[1 + bench.pick(n, 'last', 12)] END,
           'lead' || n || '@' || (ARRAY['mail.ru', 'yandex.ru', 'gmail.com', 'firm' || bench.pick(n, 'firm', 50000) || '.ru'])[1 + bench.pick(n, 'host', 4)],
           '+79' || lpad(bench.pick(n, 'phone', 1000000000)::text, 9, '0'),
           CASE WHEN bench.pick(n, 'share', 1000) < 50 THEN 'ПАО «Северсталь-' WHEN bench.pick(n, 'share', 1000) < 57 THEN 'АО «Каспийск '
                ELSE (ARRAY['ООО «Ромашка ', 'Vector Systems LLC ', 'ИП Медведь ', 'ООО «Технопарк '])[1 + bench.pick(n, 'company', 4)] END || bench.pick(n, 'firm', 50000) || '»',
           NULL, CASE WHEN n % (total / 10) = 3 THEN bench.member(2) ELSE bench.member(3 + bench.pick(n, 'assignee', 20)) END,
           'website', bench.pick(n, 'value', 5000) * 1000, now() - (total - n) * interval '1 minute', now() - bench.pick(n, 'updated', 1000000) * interval '1 second'
      FROM generate_series(first, last) AS n
$$;
SELECT bench.load(id, 1, leads, leads) FROM bench.organizations WHERE name = 'small' \g /dev/null
DO $$
DECLARE o bench.organizations; started timestamptz := clock_timestamp();
BEGIN
    SELECT * INTO o FROM bench.organizations WHERE name = 'large';
    FOR start IN 1..o.leads BY 50000 LOOP
        PERFORM bench.load(o.id, start, least(start + 49999, o.leads), o.leads);
        COMMIT;
    END LOOP;
    RAISE WARNING 'loaded % leads a second', round(o.leads / extract(epoch FROM clock_timestamp() - started));
END
$$;
VACUUM ANALYZE;
CHECKPOINT;
SQL
fi

# In one session, as a service's connection would be: median of some calls after some to warm up.
psql -X -q -v ON_ERROR_STOP=1 -d bench <<'SQL'
CREATE OR REPLACE FUNCTION bench.measure(call text, who int, organization text, OUT ms numeric, OUT rows int) LANGUAGE plpgsql AS $$
DECLARE times numeric[] := '{}'; started timestamptz; o uuid := (SELECT id FROM bench.organizations WHERE name = organization);
BEGIN
    PERFORM set_config('kvcrm.user_id', bench.member(who)::text, true);
    FOR i IN 1..12 LOOP
        started := clock_timestamp();
        EXECUTE format('SELECT count(*) FROM kvcrm.%s', format(call, o)) INTO rows;
        IF i > 3 THEN times := times || extract(epoch FROM clock_timestamp() - started) * 1000; END IF;
    END LOOP;
    ms := (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t) FROM unnest(times) AS t);
END
$$;
CREATE TEMP TABLE calls (key text, call text);
INSERT INTO calls SELECT 'list ' || s, format('list_leads(sort => %L, organization_id => %%L)', s)
  FROM unnest('{newest,oldest,updated,name,score,value,rank}'::text[]) AS s;
INSERT INTO calls SELECT 'search ' || key, format('list_leads(%L, organization_id => %%L)', q) FROM (VALUES
    ('rare', 'зяблик'), ('common', 'северсталь'), ('middling', 'каспийск'), ('none', 'квазимодо'), ('none, common grams', 'смирновашка'),
    ('short', 'ив'), ('short, rare', 'пп'), ('one digit phone part', '9161234'), ('none, phone', '79161234567'), ('two words', 'иван зяблик'), ('letter', 'и')) AS q (key, q);
INSERT INTO calls SELECT 'search by ' || s || ' ' || key, format('list_leads(%L, sort => %L, organization_id => %%L)', q, s) FROM (VALUES
    ('rare', 'зяблик'), ('common', 'северсталь'), ('middling', 'каспийск')) AS q (key, q), unnest('{name,rank}'::text[]) AS s;
\pset footer off
SELECT c.key, CASE who WHEN 1 THEN 'manager' ELSE 'rep' END AS who, (l).rows, round((s).ms, 2) AS "10 000, ms", round((l).ms, 2) AS "large, ms",
       round((l).ms / (s).ms, 2) AS ratio
  FROM calls c, unnest('{1,2}'::int[]) AS who,
       LATERAL (SELECT bench.measure(c.call, who, 'small') AS s, bench.measure(c.call, who, 'large') AS l) m;
SELECT relname, pg_size_pretty(pg_relation_size(oid)) FROM pg_class WHERE relnamespace = 'kvcrm'::regnamespace AND relname ~ '^lead(s|_fing)' ORDER BY pg_relation_size(oid) DESC;
SQL
