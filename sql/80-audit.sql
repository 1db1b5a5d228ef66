-- The audit log. It has no foreign keys, since an entry outlives what it tells of, and no CHECK on action: only the
-- log trigger writes here, and every statement would compile the CHECK anew.

CREATE TABLE kvcrm.activity_logs (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    entity_type     text        NOT NULL,
    entity_id       uuid        NOT NULL,
    action          text        NOT NULL,
    actor_id        uuid,
    changes         jsonb       NOT NULL DEFAULT '{}',
    feed_epoch      int         NOT NULL DEFAULT 1,
    tx              xid8        NOT NULL DEFAULT pg_current_xact_id(),
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id)
);
CREATE INDEX activity_logs_entity ON kvcrm.activity_logs (entity_id, organization_id, created_at DESC, id DESC);

COMMENT ON TABLE kvcrm.activity_logs IS 'The audit log: who did what to which row. Append-only.';
COMMENT ON COLUMN kvcrm.activity_logs.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.activity_logs.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.activity_logs.entity_type IS 'What changed: lead, activity, customer, contact, stage, member, role, ...';
COMMENT ON COLUMN kvcrm.activity_logs.entity_id IS 'The id of the row that changed.';
COMMENT ON COLUMN kvcrm.activity_logs.action IS 'created, updated, moved, assigned, converted, reverted, merged, unmerged, deleted, restored, erased or exported.';
COMMENT ON COLUMN kvcrm.activity_logs.actor_id IS 'The user who did it; null = the system.';
COMMENT ON COLUMN kvcrm.activity_logs.changes IS 'The fields that changed: {"field": {"old": ..., "new": ...}}.';
COMMENT ON COLUMN kvcrm.activity_logs.feed_epoch IS 'Rises when the data moves to another cluster, whose transaction ids start anew.';
COMMENT ON COLUMN kvcrm.activity_logs.tx IS 'The writing transaction: orders the event feed safely.';
COMMENT ON COLUMN kvcrm.activity_logs.created_at IS 'When it happened (start of the transaction).';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.activity_logs', '');
