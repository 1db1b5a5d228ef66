-- The event feed: the audit log read in an order that is safe under concurrent commits.

-- Transaction ids start anew in another cluster. Its own row, since every log row needs the number and
-- organizations are edited. Like the log it has no foreign key: the last entry tells of the organization's end.
CREATE TABLE IF NOT EXISTS kvcrm.feed_epochs (
    id                uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id   uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    epoch             int         NOT NULL,
    system_identifier bigint      NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    UNIQUE (organization_id)
);

CREATE TABLE IF NOT EXISTS kvcrm.feed_consumers (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id() REFERENCES kvcrm.organizations (id),
    name            text        NOT NULL,
    feed_epoch      int         NOT NULL,
    tx              xid8        NOT NULL,
    event_id        uuid        NOT NULL,
    acknowledged_by uuid,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    UNIQUE (organization_id, name)
);

-- The order of the feed.
CREATE INDEX IF NOT EXISTS activity_logs_feed ON kvcrm.activity_logs (organization_id, feed_epoch, tx, id);

COMMENT ON TABLE kvcrm.feed_epochs IS 'The epoch that new entries of the audit log belong to. Not for clients.';
COMMENT ON COLUMN kvcrm.feed_epochs.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.feed_epochs.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.feed_epochs.epoch IS 'Rises when the first entry is written in another cluster.';
COMMENT ON COLUMN kvcrm.feed_epochs.system_identifier IS 'The cluster whose transaction ids the epoch''s entries bear (pg_control_system()).';
COMMENT ON COLUMN kvcrm.feed_epochs.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.feed_epochs.updated_at IS 'When the row last changed.';

COMMENT ON TABLE kvcrm.feed_consumers IS 'How far each reader of the event feed has come; written by ack_events.';
COMMENT ON COLUMN kvcrm.feed_consumers.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.feed_consumers.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.feed_consumers.name IS 'The consumer''s name; unique in the organization.';
COMMENT ON COLUMN kvcrm.feed_consumers.feed_epoch IS 'Of the last event acknowledged.';
COMMENT ON COLUMN kvcrm.feed_consumers.tx IS 'Of the last event acknowledged.';
COMMENT ON COLUMN kvcrm.feed_consumers.event_id IS 'The last event acknowledged, an id of activity_logs.';
COMMENT ON COLUMN kvcrm.feed_consumers.acknowledged_by IS 'The user who acknowledged last; null = the system.';
COMMENT ON COLUMN kvcrm.feed_consumers.created_at IS 'When the consumer acknowledged for the first time.';
COMMENT ON COLUMN kvcrm.feed_consumers.updated_at IS 'When it acknowledged last.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.feed_epochs', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.feed_consumers', '');
