-- The pipeline: its columns, the moves allowed between them, and where leads come from.

CREATE TABLE kvcrm.lead_stages (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id() REFERENCES kvcrm.organizations (id),
    name            text        NOT NULL,
    description     text,
    is_qualified    boolean     NOT NULL DEFAULT false,
    outcome         text        NOT NULL DEFAULT 'open' CHECK (outcome IN ('open', 'won', 'lost')),
    probability     int         NOT NULL DEFAULT 0 CHECK (probability BETWEEN 0 AND 100),
    order_index     int         NOT NULL DEFAULT 0,
    color           text        NOT NULL DEFAULT '#1890ff' CHECK (color ~ '^#[0-9a-fA-F]{6}$'),
    rotting_days    int         CHECK (rotting_days > 0),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    UNIQUE (organization_id, name),
    CONSTRAINT lead_stages_won_is_qualified CHECK (outcome <> 'won' OR is_qualified),
    CONSTRAINT lead_stages_lost_is_not_qualified CHECK (outcome <> 'lost' OR NOT is_qualified)
);

CREATE TABLE kvcrm.lead_stage_transitions (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    from_stage_id   uuid        NOT NULL,
    to_stage_id     uuid        NOT NULL CHECK (to_stage_id <> from_stage_id),
    required_fields text[]      NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    UNIQUE (organization_id, from_stage_id, to_stage_id),
    FOREIGN KEY (from_stage_id, organization_id) REFERENCES kvcrm.lead_stages (id, organization_id) ON DELETE CASCADE,
    FOREIGN KEY (to_stage_id, organization_id) REFERENCES kvcrm.lead_stages (id, organization_id) ON DELETE CASCADE
);

CREATE TABLE kvcrm.lead_sources (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id() REFERENCES kvcrm.organizations (id),
    slug            text        NOT NULL CHECK (slug ~ '^[a-z0-9][a-z0-9_-]*$'),
    name            text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    UNIQUE (organization_id, slug)
);

COMMENT ON TABLE kvcrm.lead_stages IS 'A column of the organization''s pipeline.';
COMMENT ON COLUMN kvcrm.lead_stages.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.lead_stages.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.lead_stages.name IS 'Name, unique in the organization, at most 100 characters.';
COMMENT ON COLUMN kvcrm.lead_stages.description IS 'What belongs into this stage.';
COMMENT ON COLUMN kvcrm.lead_stages.is_qualified IS 'Whether leads in it count as qualified; fixed while the stage holds leads.';
COMMENT ON COLUMN kvcrm.lead_stages.outcome IS 'open, won (implies is_qualified) or lost (excludes it); fixed while the stage holds leads.';
COMMENT ON COLUMN kvcrm.lead_stages.probability IS 'Chance of winning a lead of this stage in percent; weighs the board''s totals.';
COMMENT ON COLUMN kvcrm.lead_stages.order_index IS 'Order of the columns, ascending; ties are broken by id.';
COMMENT ON COLUMN kvcrm.lead_stages.color IS 'Colour as #rrggbb.';
COMMENT ON COLUMN kvcrm.lead_stages.rotting_days IS 'After how many days in this stage a lead counts as rotting; null = never.';
COMMENT ON COLUMN kvcrm.lead_stages.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.lead_stages.updated_at IS 'When the row last changed.';

COMMENT ON TABLE kvcrm.lead_stage_transitions IS 'An allowed move between two stages. An organization without rows allows every move.';
COMMENT ON COLUMN kvcrm.lead_stage_transitions.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.lead_stage_transitions.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.lead_stage_transitions.from_stage_id IS 'The stage a lead leaves.';
COMMENT ON COLUMN kvcrm.lead_stage_transitions.to_stage_id IS 'The stage it enters.';
COMMENT ON COLUMN kvcrm.lead_stage_transitions.required_fields IS 'Columns of leads (or custom_fields.<key>) that must be filled for the move.';
COMMENT ON COLUMN kvcrm.lead_stage_transitions.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.lead_stage_transitions.updated_at IS 'When the row last changed.';

COMMENT ON TABLE kvcrm.lead_sources IS 'Where leads come from: the shipped six and the organization''s own.';
COMMENT ON COLUMN kvcrm.lead_sources.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.lead_sources.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.lead_sources.slug IS 'Name used in leads.source; unique in the organization, never changes.';
COMMENT ON COLUMN kvcrm.lead_sources.name IS 'Name shown to people.';
COMMENT ON COLUMN kvcrm.lead_sources.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.lead_sources.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.lead_stages', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.lead_stage_transitions', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.lead_sources', '');
