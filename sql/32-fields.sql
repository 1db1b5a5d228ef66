-- Fields that an organization adds to its leads, customers and quotes. Their values lie in custom_fields of those
-- tables.

CREATE TABLE kvcrm.custom_field_definitions (
    id                     uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id        uuid        NOT NULL DEFAULT kvcrm.current_organization_id() REFERENCES kvcrm.organizations (id),
    entity                 text        NOT NULL CHECK (entity IN ('lead', 'customer', 'quote')),
    key                    text        COLLATE "C" NOT NULL CONSTRAINT custom_field_definitions_key_is_name CHECK (key ~ '^[a-z][a-z0-9_]{0,62}$'),
    name                   text        NOT NULL,
    type                   text        NOT NULL CHECK (type IN ('text', 'number', 'boolean', 'date', 'select')),
    required               boolean     NOT NULL DEFAULT false,
    required_from_stage_id uuid,
    options                text[]      NOT NULL DEFAULT '{}',
    order_index            int         NOT NULL DEFAULT 0,
    created_at             timestamptz NOT NULL DEFAULT now(),
    updated_at             timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    UNIQUE (organization_id, entity, key),
    FOREIGN KEY (required_from_stage_id, organization_id) REFERENCES kvcrm.lead_stages (id, organization_id),
    CONSTRAINT custom_field_definitions_options_of_select CHECK ((type = 'select') = (cardinality(options) > 0)),
    CONSTRAINT custom_field_definitions_stage_requires CHECK (required_from_stage_id IS NULL OR (required AND entity = 'lead'))
);

COMMENT ON TABLE kvcrm.custom_field_definitions IS 'A field that the organization added to its leads, customers or quotes. An entity without any takes every object as custom_fields.';
COMMENT ON COLUMN kvcrm.custom_field_definitions.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.custom_field_definitions.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.custom_field_definitions.entity IS 'What has the field: lead, customer or quote; never changes.';
COMMENT ON COLUMN kvcrm.custom_field_definitions.key IS 'The key in custom_fields: lower-case Latin letters, digits and _, at most 63; unique in organization and entity, never changes.';
COMMENT ON COLUMN kvcrm.custom_field_definitions.name IS 'Name shown to people, at most 100 characters; the key by default.';
COMMENT ON COLUMN kvcrm.custom_field_definitions.type IS 'text, number, boolean, date (an ISO 8601 day as text) or select (one of options). Changes only while all values fit the new one.';
COMMENT ON COLUMN kvcrm.custom_field_definitions.required IS 'Whether a new row, and one whose custom_fields are written, needs a value; a quote needs it once it is no draft.';
COMMENT ON COLUMN kvcrm.custom_field_definitions.required_from_stage_id IS 'Of a required field of leads: needed in this stage and in the stages behind it that are not lost; null = in every stage.';
COMMENT ON COLUMN kvcrm.custom_field_definitions.options IS 'The values of a select, in the order they are offered; one in use stays.';
COMMENT ON COLUMN kvcrm.custom_field_definitions.order_index IS 'Order in forms, ascending; ties are broken by id.';
COMMENT ON COLUMN kvcrm.custom_field_definitions.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.custom_field_definitions.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.custom_field_definitions', '');
