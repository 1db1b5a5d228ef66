-- Statements of the module: an error inside one leaves nothing behind, and says nothing but itself.

CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused by the host'; END $$;
SELECT id AS organization FROM kvcrm.create_organization('Refused', owner_id => md5('owner')::uuid) \gset
SELECT id FROM kvcrm.add_member(md5('rep')::uuid, 'sales_team', organization_id => :'organization') \g /dev/null
SELECT id FROM kvcrm.create_lead('Lead', assigned_to => md5('rep')::uuid, organization_id => :'organization') \g /dev/null
CREATE TRIGGER refuse BEFORE UPDATE ON kvcrm.leads FOR EACH ROW EXECUTE FUNCTION public.refuse();

-- A trigger that fails holds an SPI connection of its own, while rows of ours are still in use.
\setenv database :DBNAME
\setenv organization :organization
\set said `psql -X -q -d "$database" -v SHOW_CONTEXT=never -c "SELECT kvcrm.suspend_member(md5('rep')::uuid, organization_id => '$organization')" 2>&1`

BEGIN;
SELECT plan(2);
SELECT is(:'said'::text, 'ERROR:  refused by the host', 'an error under rows that are in use comes alone');
SELECT is((SELECT status FROM kvcrm.organization_members WHERE user_id = md5('rep')::uuid), 'active',
    'and undoes what came before it');
SELECT * FROM finish();
ROLLBACK;
