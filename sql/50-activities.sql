-- What people do with a lead: calls, meetings, e-mails, tasks, notes.

CREATE TABLE kvcrm.lead_activities (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    lead_id         uuid        NOT NULL,
    type            text        NOT NULL CHECK (type IN ('call', 'meeting', 'email', 'task', 'note')),
    title           text        NOT NULL,
    description     text,
    due_date        timestamptz,
    completed_at    timestamptz,
    assigned_to     uuid,
    created_by      uuid,
    metadata        jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    FOREIGN KEY (lead_id, organization_id) REFERENCES kvcrm.leads (id, organization_id) ON DELETE CASCADE
);
CREATE INDEX lead_activities_lead ON kvcrm.lead_activities (lead_id, organization_id, created_at DESC, id DESC);
CREATE INDEX lead_activities_due ON kvcrm.lead_activities (organization_id, assigned_to, due_date) WHERE completed_at IS NULL;

COMMENT ON TABLE kvcrm.lead_activities IS 'A call, meeting, e-mail, task or note about a lead.';
COMMENT ON COLUMN kvcrm.lead_activities.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.lead_activities.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.lead_activities.lead_id IS 'The lead.';
COMMENT ON COLUMN kvcrm.lead_activities.type IS 'call, meeting, email, task or note.';
COMMENT ON COLUMN kvcrm.lead_activities.title IS 'Title, at most 255 characters.';
COMMENT ON COLUMN kvcrm.lead_activities.description IS 'Text, at most 20 000 characters.';
COMMENT ON COLUMN kvcrm.lead_activities.due_date IS 'When it is due; null = no date.';
COMMENT ON COLUMN kvcrm.lead_activities.completed_at IS 'When it was done; null = open.';
COMMENT ON COLUMN kvcrm.lead_activities.assigned_to IS 'The active member who has to do it.';
COMMENT ON COLUMN kvcrm.lead_activities.created_by IS 'The user who created it; null = the system.';
COMMENT ON COLUMN kvcrm.lead_activities.metadata IS 'Machine-readable extras; an object of at most 64 KiB.';
COMMENT ON COLUMN kvcrm.lead_activities.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.lead_activities.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.lead_activities', '');
