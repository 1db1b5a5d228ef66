-- E-mail: which messages became activities. Their texts are the activities'; here are hashes only.

-- The id is the activity's. The unique key is what makes one activity of a message that comes twice, whoever brings it.
CREATE TABLE IF NOT EXISTS kvcrm.email_messages (
    id              uuid        NOT NULL,
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    message_hash    bytea       NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    UNIQUE (message_hash, organization_id),
    FOREIGN KEY (id, organization_id) REFERENCES kvcrm.lead_activities (id, organization_id) ON DELETE CASCADE
);

-- The arbiter between two messages of one unknown sender at once: whoever opens a lead for an address writes its row
-- and removes it in the same transaction, and the other one waits at the unique key. So it is empty at all times for
-- everybody, and keeps nothing of anybody.
CREATE TABLE IF NOT EXISTS kvcrm.email_senders (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    address_hash    bytea       NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    UNIQUE (address_hash, organization_id)
);

COMMENT ON TABLE kvcrm.email_messages IS 'A message that became an activity, one to one: finds it when the message comes again, and its answers. Not for clients.';
COMMENT ON COLUMN kvcrm.email_messages.id IS 'The activity''s id.';
COMMENT ON COLUMN kvcrm.email_messages.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.email_messages.message_hash IS 'SHA-256 of the Message-ID, or of the content of a message without one.';
COMMENT ON COLUMN kvcrm.email_messages.created_at IS 'When the message was taken in.';

COMMENT ON TABLE kvcrm.email_senders IS 'Addresses for which a lead is just being opened; rows live inside one transaction. Not for clients.';
COMMENT ON COLUMN kvcrm.email_senders.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.email_senders.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.email_senders.address_hash IS 'SHA-256 of the normalised address.';
COMMENT ON COLUMN kvcrm.email_senders.created_at IS 'When the row was created.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.email_messages', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.email_senders', '');
