-- E-mail.

ALTER TABLE kvcrm.email_messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE kvcrm.email_senders ENABLE ROW LEVEL SECURITY;

CREATE OR REPLACE FUNCTION kvcrm.ingest_email(message bytea, organization_id uuid DEFAULT NULL) RETURNS kvcrm.lead_activities
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ingest_email';
COMMENT ON FUNCTION kvcrm.ingest_email(bytea, uuid) IS
    'Files an e-mail message (RFC 5322) as an activity of the lead in whose thread it is, or whose address, or whose customer''s contact''s address, it bears; a new lead with source inbound_email when there is none. The same message twice is one activity. A member''s own mail goes to the lead addressed. Quotation, addresses and attachments are in metadata. Needs leads:create and activities:create. 22023 for what is no message, or names nobody a lead could be opened for; 42501; 23505 when the message is filed with a lead one does not see.';
