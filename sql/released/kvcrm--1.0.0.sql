\echo Use "CREATE EXTENSION kvcrm" to load this file. \quit

-- sql/00-schema.sql

-- What must be true before anything is created.

DO $$
BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = 'kvcrm needs a database with encoding UTF8';
    END IF;
    -- A squatter who owns the schema, or may create in it, could shadow our functions with closer matches.
    IF (SELECT n.nspowner FROM pg_catalog.pg_namespace n WHERE n.nspname = 'kvcrm')
        <> (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'schema kvcrm exists and is owned by another role',
            HINT = 'Drop or rename it, then install again.';
    END IF;
    -- What PUBLIC has is taken back below; a named role got its right from somebody, who should know.
    IF EXISTS (SELECT FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
                WHERE n.nspname = 'kvcrm' AND a.privilege_type = 'CREATE' AND a.grantee NOT IN (0, n.nspowner)) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'another role may create objects in schema kvcrm',
            HINT = 'Revoke CREATE on the schema, or drop it, then install again.';
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'kvcrm'::pg_catalog.regnamespace)
        OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = 'kvcrm'::pg_catalog.regnamespace)
        OR EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.typnamespace = 'kvcrm'::pg_catalog.regnamespace)
        OR EXISTS (SELECT FROM pg_catalog.pg_operator o WHERE o.oprnamespace = 'kvcrm'::pg_catalog.regnamespace) THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object',
            MESSAGE = 'schema kvcrm is not empty',
            HINT = 'Drop or rename it, then install again.';
    END IF;
END
$$;

REVOKE ALL ON SCHEMA kvcrm FROM PUBLIC;
COMMENT ON SCHEMA kvcrm IS 'kvcrm: a B2B CRM core inside PostgreSQL';

-- sql/code/10-identity.sql

-- Functions that tables need for their defaults.

CREATE OR REPLACE FUNCTION kvcrm.uuid_v7() RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'uuid_v7';
COMMENT ON FUNCTION kvcrm.uuid_v7() IS
    'A new time-ordered UUID (RFC 9562 version 7), monotonic inside a session.';

CREATE OR REPLACE FUNCTION kvcrm.current_user_id() RETURNS uuid
    LANGUAGE c STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'current_user_id';
COMMENT ON FUNCTION kvcrm.current_user_id() IS
    'The acting user: request.jwt.claims (sub), else request.jwt.claim.sub, else the setting kvcrm.user_id; null for nobody. 28000 when a claim is malformed.';

CREATE OR REPLACE FUNCTION kvcrm.current_organization_id() RETURNS uuid
    LANGUAGE c STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'current_organization_id';
COMMENT ON FUNCTION kvcrm.current_organization_id() IS
    'The current organization: the claim organization_id (top level or under app_metadata), else the setting kvcrm.organization_id, else the acting user''s only active membership; else null. 28000 when a claim is malformed.';

-- sql/20-organizations.sql

-- Tenancy: an organization owns everything else; people act in it through memberships and roles.

CREATE TABLE kvcrm.organizations (
    id               uuid        NOT NULL DEFAULT kvcrm.uuid_v7() PRIMARY KEY,
    name             text        NOT NULL,
    locale           text        NOT NULL DEFAULT 'ru' CHECK (locale IN ('ru', 'en')),
    default_country  text        NOT NULL DEFAULT 'RU' CHECK (default_country ~ '^[A-Z]{2}$'),
    currency         char(3)     NOT NULL DEFAULT 'RUB' CHECK (currency ~ '^[A-Z]{3}$'),
    duplicate_policy text        NOT NULL DEFAULT 'warn' CHECK (duplicate_policy IN ('allow', 'warn', 'block')),
    settings         jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE kvcrm.roles (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id() REFERENCES kvcrm.organizations (id),
    slug            text        NOT NULL CHECK (slug ~ '^[a-z][a-z0-9_]{0,62}$'),
    name            text        NOT NULL,
    permissions     text[]      NOT NULL DEFAULT '{}' CHECK (array_position(permissions, NULL) IS NULL),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    UNIQUE (organization_id, slug)
);

CREATE TABLE kvcrm.teams (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id() REFERENCES kvcrm.organizations (id),
    name            text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    UNIQUE (organization_id, name)
);

CREATE TABLE kvcrm.organization_members (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id() REFERENCES kvcrm.organizations (id),
    user_id         uuid        NOT NULL,
    role_slug       text        NOT NULL,
    team_id         uuid,
    status          text        NOT NULL DEFAULT 'invited' CHECK (status IN ('invited', 'active', 'suspended')),
    display_name    text,
    email           text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    UNIQUE (organization_id, user_id),
    FOREIGN KEY (organization_id, role_slug) REFERENCES kvcrm.roles (organization_id, slug),
    FOREIGN KEY (team_id, organization_id) REFERENCES kvcrm.teams (id, organization_id)
);
CREATE INDEX organization_members_user ON kvcrm.organization_members (user_id);
CREATE INDEX organization_members_team ON kvcrm.organization_members (organization_id, team_id);

CREATE TABLE kvcrm.api_roles (
    role_name  text        NOT NULL PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE kvcrm.organizations IS 'A tenant. Everything else belongs to exactly one organization.';
COMMENT ON COLUMN kvcrm.organizations.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.organizations.name IS 'Name of the organization, at most 255 characters.';
COMMENT ON COLUMN kvcrm.organizations.locale IS 'Language of the defaults: ru or en.';
COMMENT ON COLUMN kvcrm.organizations.default_country IS 'ISO 3166-1 alpha-2 country in which phones without a country code are read.';
COMMENT ON COLUMN kvcrm.organizations.currency IS 'ISO 4217 currency of new leads.';
COMMENT ON COLUMN kvcrm.organizations.duplicate_policy IS 'What happens to a likely duplicate: allow, warn or block.';
COMMENT ON COLUMN kvcrm.organizations.settings IS 'Switches of the organization, e.g. {"inn_check": false}; at most 64 KiB.';
COMMENT ON COLUMN kvcrm.organizations.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.organizations.updated_at IS 'When the row last changed.';

COMMENT ON TABLE kvcrm.roles IS 'A named set of permissions in an organization. The role owner is immutable.';
COMMENT ON COLUMN kvcrm.roles.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.roles.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.roles.slug IS 'Name used in memberships; unique in the organization, never changes.';
COMMENT ON COLUMN kvcrm.roles.name IS 'Name shown to people.';
COMMENT ON COLUMN kvcrm.roles.permissions IS 'Tokens area:action; unknown tokens are refused, * as action means all.';
COMMENT ON COLUMN kvcrm.roles.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.roles.updated_at IS 'When the row last changed.';

COMMENT ON TABLE kvcrm.teams IS 'A sales team; the scope of the permissions leads:read_team and leads:update_team.';
COMMENT ON COLUMN kvcrm.teams.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.teams.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.teams.name IS 'Name of the team, unique in the organization.';
COMMENT ON COLUMN kvcrm.teams.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.teams.updated_at IS 'When the row last changed.';

COMMENT ON TABLE kvcrm.organization_members IS 'A user in an organization: role, team and status.';
COMMENT ON COLUMN kvcrm.organization_members.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.organization_members.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.organization_members.user_id IS 'The identity provider''s id of the user; never changes.';
COMMENT ON COLUMN kvcrm.organization_members.role_slug IS 'The role of the user in this organization.';
COMMENT ON COLUMN kvcrm.organization_members.team_id IS 'The team of the user in this organization, if any.';
COMMENT ON COLUMN kvcrm.organization_members.status IS 'invited (not accepted yet), active or suspended.';
COMMENT ON COLUMN kvcrm.organization_members.display_name IS 'Name shown to colleagues.';
COMMENT ON COLUMN kvcrm.organization_members.email IS 'E-mail address of the member.';
COMMENT ON COLUMN kvcrm.organization_members.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.organization_members.updated_at IS 'When the row last changed.';

COMMENT ON TABLE kvcrm.api_roles IS 'Database roles that got kvcrm.grant_api; check_installation() compares their grants.';
COMMENT ON COLUMN kvcrm.api_roles.role_name IS 'Name of the database role.';
COMMENT ON COLUMN kvcrm.api_roles.created_at IS 'When grant_api was first called for it.';
COMMENT ON COLUMN kvcrm.api_roles.updated_at IS 'When grant_api was last called for it.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.organizations', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.roles', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.teams', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.organization_members', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.api_roles', '');

-- sql/30-stages.sql

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

-- sql/32-fields.sql

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

-- sql/35-customers.sql

-- What a lead becomes. Created before leads, which point here; a customer's source_lead_id is a plain
-- column, because a foreign key back would close a cycle and a dump could load neither table.

CREATE TABLE kvcrm.customers (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id() REFERENCES kvcrm.organizations (id),
    name            text        NOT NULL,
    company         text,
    inn             text,
    email           text,
    phone           text,
    notes           text,
    custom_fields   jsonb       NOT NULL DEFAULT '{}',
    owner_user_id   uuid,
    source_lead_id  uuid,
    deleted_at      timestamptz,
    created_by      uuid,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX customers_newest ON kvcrm.customers (organization_id, created_at DESC, id DESC);
-- Last, for the reason given at leads.
ALTER TABLE kvcrm.customers ADD PRIMARY KEY (id, organization_id);

CREATE TABLE kvcrm.customer_contacts (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    customer_id     uuid        NOT NULL,
    name            text        NOT NULL,
    email           text,
    phone           text,
    "position"      text,
    is_primary      boolean     NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    FOREIGN KEY (customer_id, organization_id) REFERENCES kvcrm.customers (id, organization_id) ON DELETE CASCADE
);
CREATE INDEX customer_contacts_customer ON kvcrm.customer_contacts (customer_id, organization_id);
CREATE UNIQUE INDEX customer_contacts_one_primary ON kvcrm.customer_contacts (organization_id, customer_id) WHERE is_primary;

-- Only triggers and conversions write here, and a conversion claims its identities before it decides which customer
-- owns them. So there is neither a foreign key (it would have to wait for the commit) nor a CHECK; the trigger of
-- customers takes the rows of a deleted one away.
CREATE TABLE kvcrm.customer_identities (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    kind            text        COLLATE "C" NOT NULL,
    value           text        COLLATE "C" NOT NULL,
    customer_id     uuid        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    UNIQUE (organization_id, kind, value)
);
CREATE INDEX customer_identities_customer ON kvcrm.customer_identities (customer_id, organization_id);

-- Written by triggers and conversions only; without a foreign key, as customer_identities.
CREATE TABLE kvcrm.customer_fingerprints (
    id                 uuid        NOT NULL,
    organization_id    uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    match_keys         bigint[]    NOT NULL DEFAULT '{}',
    match_values       text        NOT NULL DEFAULT '',
    derivation_version int         NOT NULL,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now()
);
-- Without a pending list, as lead_fingerprints_keys.
CREATE INDEX customer_fingerprints_keys ON kvcrm.customer_fingerprints USING gin (match_keys) WITH (fastupdate = off);
-- Last, as with customers.
ALTER TABLE kvcrm.customer_fingerprints ADD PRIMARY KEY (id, organization_id);

COMMENT ON TABLE kvcrm.customers IS 'A customer: what a lead becomes when it is converted.';
COMMENT ON COLUMN kvcrm.customers.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.customers.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.customers.name IS 'Name of the person or firm, at most 255 characters.';
COMMENT ON COLUMN kvcrm.customers.company IS 'Company name.';
COMMENT ON COLUMN kvcrm.customers.inn IS 'Russian taxpayer number, 10 or 12 digits.';
COMMENT ON COLUMN kvcrm.customers.email IS 'E-mail address.';
COMMENT ON COLUMN kvcrm.customers.phone IS 'Phone, E.164 when it can be understood.';
COMMENT ON COLUMN kvcrm.customers.notes IS 'Notes; a converted lead''s source stands in the first line.';
COMMENT ON COLUMN kvcrm.customers.custom_fields IS 'Fields the organization added; at most 64 KiB.';
COMMENT ON COLUMN kvcrm.customers.owner_user_id IS 'The member who looks after the customer.';
COMMENT ON COLUMN kvcrm.customers.source_lead_id IS 'The lead this customer was made from; kept right by the functions.';
COMMENT ON COLUMN kvcrm.customers.deleted_at IS 'When the customer was deleted; null = it is not.';
COMMENT ON COLUMN kvcrm.customers.created_by IS 'The user who created it; null = the system.';
COMMENT ON COLUMN kvcrm.customers.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.customers.updated_at IS 'When the row last changed.';

COMMENT ON TABLE kvcrm.customer_contacts IS 'A person at a customer; one of them is primary.';
COMMENT ON COLUMN kvcrm.customer_contacts.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.customer_contacts.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.customer_contacts.customer_id IS 'The customer this person belongs to.';
COMMENT ON COLUMN kvcrm.customer_contacts.name IS 'Name of the person.';
COMMENT ON COLUMN kvcrm.customer_contacts.email IS 'E-mail address.';
COMMENT ON COLUMN kvcrm.customer_contacts.phone IS 'Phone, E.164 when it can be understood.';
COMMENT ON COLUMN kvcrm.customer_contacts."position" IS 'Job title.';
COMMENT ON COLUMN kvcrm.customer_contacts.is_primary IS 'Whether this is the customer''s main contact; at most one is.';
COMMENT ON COLUMN kvcrm.customer_contacts.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.customer_contacts.updated_at IS 'When the row last changed.';

COMMENT ON TABLE kvcrm.customer_identities IS 'Who owns an INN, e-mail or phone: the arbiter between two conversions at once. Not for clients.';
COMMENT ON COLUMN kvcrm.customer_identities.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.customer_identities.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.customer_identities.kind IS 'inn, email or phone.';
COMMENT ON COLUMN kvcrm.customer_identities.value IS 'The normalised value.';
COMMENT ON COLUMN kvcrm.customer_identities.customer_id IS 'The customer that owns the value.';
COMMENT ON COLUMN kvcrm.customer_identities.created_at IS 'When the row was created.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.customers', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.customer_contacts', '');
COMMENT ON TABLE kvcrm.customer_fingerprints IS 'The derived side of a customer, one to one: what matching reads of it and of its contacts. Not for clients.';
COMMENT ON COLUMN kvcrm.customer_fingerprints.id IS 'The customer''s id.';
COMMENT ON COLUMN kvcrm.customer_fingerprints.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.customer_fingerprints.match_keys IS 'Blocking keys of the customer and of its contacts, as in lead_fingerprints.';
COMMENT ON COLUMN kvcrm.customer_fingerprints.match_values IS 'The normalised values that matching compares: the customer''s own, then those of each contact that differs.';
COMMENT ON COLUMN kvcrm.customer_fingerprints.derivation_version IS 'Version of the rules that derived this row.';
COMMENT ON COLUMN kvcrm.customer_fingerprints.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.customer_fingerprints.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.customer_identities', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.customer_fingerprints', '');

-- sql/code/12-search.sql

-- The keys of the search index; before the tables, because an index is built of them.

CREATE OR REPLACE FUNCTION kvcrm.search_keys(organization_id uuid, search_text text) RETURNS bigint[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 1000 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'search_keys';
COMMENT ON FUNCTION kvcrm.search_keys(uuid, text) IS
    'The keys under which the search index holds a search_text. Internal: what it returns may change only together with REINDEX INDEX kvcrm.lead_fingerprints_search.';

-- sql/40-leads.sql

-- Leads. What moves often (stage, rank, assignee) stays here; what is indexed heavily (search text, match
-- keys) lives one to one in lead_fingerprints, because an UPDATE that changes any indexed column writes
-- every index of the row again.

-- What the policies look at comes first: a column behind texts costs a walk over them for every row scanned.
CREATE TABLE kvcrm.leads (
    id                       uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id          uuid        NOT NULL DEFAULT kvcrm.current_organization_id() REFERENCES kvcrm.organizations (id),
    stage_id                 uuid        NOT NULL,
    assigned_to              uuid,
    name                     text        NOT NULL,
    email                    text,
    phone                    text,
    company                  text,
    "position"               text,
    inn                      text,
    source                   text,
    status                   text        NOT NULL CHECK (status IN ('new', 'contacted', 'qualified', 'lost', 'converted')),
    estimated_value          numeric(18,2) CONSTRAINT leads_estimated_value_not_negative CHECK (estimated_value BETWEEN 0 AND 9999999999999999.99),
    currency                 char(3)     NOT NULL CONSTRAINT leads_currency_is_iso CHECK (currency ~ '^[A-Z]{3}$'),
    score                    int         NOT NULL DEFAULT 0,
    custom_fields            jsonb       NOT NULL DEFAULT '{}',
    lost_reason              text,
    board_rank               text        COLLATE "C" NOT NULL,
    version                  int         NOT NULL DEFAULT 1,
    stage_entered_at         timestamptz NOT NULL DEFAULT now(),
    qualified_at             timestamptz,
    converted_at             timestamptz,
    converted_to_customer_id uuid,
    merged_into_id           uuid,
    deleted_at               timestamptz,
    erased_at                timestamptz,
    legal_hold               boolean,
    created_by               uuid,
    created_at               timestamptz NOT NULL DEFAULT now(),
    updated_at               timestamptz NOT NULL DEFAULT now(),
    email_normalized         text,
    phone_e164               text,
    block_email              text,
    block_phone              text,
    FOREIGN KEY (stage_id, organization_id) REFERENCES kvcrm.lead_stages (id, organization_id),
    FOREIGN KEY (converted_to_customer_id, organization_id) REFERENCES kvcrm.customers (id, organization_id)
);
CREATE INDEX leads_newest ON kvcrm.leads (organization_id, created_at DESC, id DESC);
CREATE INDEX leads_assigned ON kvcrm.leads (organization_id, assigned_to, created_at DESC, id DESC);
-- One index per sort of list_leads. A null value sorts as -1, below all others.
CREATE INDEX leads_updated ON kvcrm.leads (organization_id, updated_at DESC, id DESC);
CREATE INDEX leads_name ON kvcrm.leads (organization_id, name, id);
CREATE INDEX leads_score ON kvcrm.leads (organization_id, score DESC, id DESC);
CREATE INDEX leads_value ON kvcrm.leads (organization_id, coalesce(estimated_value, -1) DESC, id DESC);
-- The board: columns of everybody's live leads, and of one assignee's.
CREATE INDEX leads_column ON kvcrm.leads (organization_id, stage_id, board_rank, id)
    WHERE deleted_at IS NULL AND merged_into_id IS NULL AND converted_at IS NULL;
CREATE INDEX leads_own_column ON kvcrm.leads (organization_id, assigned_to, stage_id, board_rank, id)
    WHERE deleted_at IS NULL AND merged_into_id IS NULL AND converted_at IS NULL;
-- Whether a stage holds leads, and which: what of them is gone included. Longest stays first, for crm_overview.
CREATE INDEX leads_stage ON kvcrm.leads (stage_id, organization_id, stage_entered_at);
CREATE INDEX leads_customer ON kvcrm.leads (converted_to_customer_id, organization_id) WHERE converted_to_customer_id IS NOT NULL;
CREATE INDEX leads_merged ON kvcrm.leads (merged_into_id, organization_id) WHERE merged_into_id IS NOT NULL;
CREATE UNIQUE INDEX leads_block_email ON kvcrm.leads (organization_id, block_email) WHERE block_email IS NOT NULL;
CREATE UNIQUE INDEX leads_block_phone ON kvcrm.leads (organization_id, block_phone) WHERE block_phone IS NOT NULL;
-- The primary key comes last: as long as a table has no statistics, the planner finds all indexes that contain
-- id and organization_id equally good and takes the youngest. With another one, a foreign key check would read
-- the index of the whole organization, and so would a session that kept the plan.
ALTER TABLE kvcrm.leads ADD PRIMARY KEY (id, organization_id);
ALTER TABLE kvcrm.leads ADD FOREIGN KEY (merged_into_id, organization_id) REFERENCES kvcrm.leads (id, organization_id);

CREATE TABLE kvcrm.lead_fingerprints (
    id                 uuid        NOT NULL,
    organization_id    uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    search_text        text        NOT NULL,
    match_keys         bigint[]    NOT NULL DEFAULT '{}',
    match_values       text        NOT NULL DEFAULT '',
    derivation_version int         NOT NULL,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (id, organization_id) REFERENCES kvcrm.leads (id, organization_id) ON DELETE CASCADE
);
-- Search: the walk in the order of the list, and the grams (docs/search.md).
CREATE INDEX lead_fingerprints_newest ON kvcrm.lead_fingerprints (organization_id, created_at DESC, id DESC);
CREATE INDEX lead_fingerprints_search ON kvcrm.lead_fingerprints
    USING gin (kvcrm.search_keys(organization_id, search_text));
-- Matching: one lookup for each blocking key. A key is a hash that the organization is part of. Without a pending
-- list, which each of these lookups would read: 20 000 leads in it make one take 30 ms instead of 0.15. The price is
-- 0.1 to 0.2 ms for each lead written; a short list saves nothing of it, since keys are spread over the whole index.
CREATE INDEX lead_fingerprints_keys ON kvcrm.lead_fingerprints USING gin (match_keys) WITH (fastupdate = off);
-- Last, as with leads.
ALTER TABLE kvcrm.lead_fingerprints ADD PRIMARY KEY (id, organization_id);

-- Only the trigger of leads writes here, so it has no CHECKs, which every statement would compile anew. stage_id is
-- a plain column: a stage may be deleted once its leads have moved on, the history stays.
CREATE TABLE kvcrm.lead_stage_history (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    lead_id         uuid        NOT NULL,
    stage_id        uuid        NOT NULL,
    entered_at      timestamptz NOT NULL DEFAULT now(),
    left_at         timestamptz,
    moved_by        uuid,
    merged_from_id  uuid,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    FOREIGN KEY (lead_id, organization_id) REFERENCES kvcrm.leads (id, organization_id) ON DELETE CASCADE
);
CREATE INDEX lead_stage_history_lead ON kvcrm.lead_stage_history (lead_id, organization_id, entered_at);
-- For reports on a period.
CREATE INDEX lead_stage_history_entered ON kvcrm.lead_stage_history (organization_id, entered_at);
CREATE UNIQUE INDEX lead_stage_history_one_stay ON kvcrm.lead_stage_history (organization_id, lead_id) WHERE left_at IS NULL;

COMMENT ON TABLE kvcrm.leads IS 'A potential customer.';
COMMENT ON COLUMN kvcrm.leads.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.leads.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.leads.name IS 'Name of the person or firm; required, at most 255 characters.';
COMMENT ON COLUMN kvcrm.leads.email IS 'E-mail address; checked for syntax.';
COMMENT ON COLUMN kvcrm.leads.phone IS 'Phone in E.164 when it can be understood in the organization''s country, else as typed.';
COMMENT ON COLUMN kvcrm.leads.company IS 'Company name, at most 255 characters.';
COMMENT ON COLUMN kvcrm.leads."position" IS 'Job title, at most 100 characters.';
COMMENT ON COLUMN kvcrm.leads.inn IS 'Russian taxpayer number: 10 or 12 digits with a correct checksum.';
COMMENT ON COLUMN kvcrm.leads.source IS 'Slug of the lead source.';
COMMENT ON COLUMN kvcrm.leads.stage_id IS 'Stage of the pipeline; the first open one for a new lead.';
COMMENT ON COLUMN kvcrm.leads.status IS 'Derived from the stage, read-only: new, contacted, qualified, lost or converted.';
COMMENT ON COLUMN kvcrm.leads.assigned_to IS 'The active member who works on the lead.';
COMMENT ON COLUMN kvcrm.leads.estimated_value IS 'Expected value in the lead''s currency, not negative.';
COMMENT ON COLUMN kvcrm.leads.currency IS 'ISO 4217 code; the organization''s currency by default.';
COMMENT ON COLUMN kvcrm.leads.score IS 'Sum of the points of the scoring rules that apply.';
COMMENT ON COLUMN kvcrm.leads.custom_fields IS 'Fields the organization added; an object of at most 64 KiB.';
COMMENT ON COLUMN kvcrm.leads.lost_reason IS 'Why the lead was lost; required in a lost stage.';
COMMENT ON COLUMN kvcrm.leads.board_rank IS 'Order inside the column of the board, ascending bytewise; ties are broken by id.';
COMMENT ON COLUMN kvcrm.leads.version IS 'Rises with every change a client can see.';
COMMENT ON COLUMN kvcrm.leads.stage_entered_at IS 'Since when the lead is in its stage.';
COMMENT ON COLUMN kvcrm.leads.qualified_at IS 'When the lead first entered a qualified stage.';
COMMENT ON COLUMN kvcrm.leads.converted_at IS 'When the lead became a customer; null = it did not.';
COMMENT ON COLUMN kvcrm.leads.converted_to_customer_id IS 'The customer the lead became.';
COMMENT ON COLUMN kvcrm.leads.merged_into_id IS 'The lead this one was merged into; null = it was not.';
COMMENT ON COLUMN kvcrm.leads.deleted_at IS 'When the lead was deleted; null = it is not.';
COMMENT ON COLUMN kvcrm.leads.erased_at IS 'When the personal data of the lead was erased for good; null = it was not.';
COMMENT ON COLUMN kvcrm.leads.legal_hold IS 'True while the lead must be kept: erase_lead refuses it; set_legal_hold sets and lifts it.';
COMMENT ON COLUMN kvcrm.leads.created_by IS 'The user who created the lead; null = the system.';
COMMENT ON COLUMN kvcrm.leads.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.leads.updated_at IS 'When the row last changed visibly.';
COMMENT ON COLUMN kvcrm.leads.email_normalized IS 'Derived: lower case, without plus-tag, without dots for gmail.';
COMMENT ON COLUMN kvcrm.leads.phone_e164 IS 'Derived: the phone in E.164; null when it can''t be understood.';
COMMENT ON COLUMN kvcrm.leads.block_email IS 'Derived: email_normalized of a live lead under the policy block, else null.';
COMMENT ON COLUMN kvcrm.leads.block_phone IS 'Derived: phone_e164 of a live lead under the policy block, else null.';

COMMENT ON TABLE kvcrm.lead_fingerprints IS 'The cold, derived side of a lead, one to one: what search and matching read. Not for clients.';
COMMENT ON COLUMN kvcrm.lead_fingerprints.id IS 'The lead''s id.';
COMMENT ON COLUMN kvcrm.lead_fingerprints.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.lead_fingerprints.search_text IS 'Name, e-mail, company, phone digits and INN, folded and transliterated, one per line.';
COMMENT ON COLUMN kvcrm.lead_fingerprints.match_keys IS 'Blocking keys: hashes of (organization, kind, value).';
COMMENT ON COLUMN kvcrm.lead_fingerprints.match_values IS 'The normalised values that matching compares.';
COMMENT ON COLUMN kvcrm.lead_fingerprints.derivation_version IS 'Version of the rules that derived this row.';
COMMENT ON COLUMN kvcrm.lead_fingerprints.created_at IS 'When the lead was created.';
COMMENT ON COLUMN kvcrm.lead_fingerprints.updated_at IS 'When the row last changed.';

COMMENT ON TABLE kvcrm.lead_stage_history IS 'One stay of a lead in a stage; stays of a lead never overlap, but for those that a merge brought from others.';
COMMENT ON COLUMN kvcrm.lead_stage_history.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.lead_stage_history.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.lead_stage_history.lead_id IS 'The lead.';
COMMENT ON COLUMN kvcrm.lead_stage_history.stage_id IS 'The stage, which may have been deleted since.';
COMMENT ON COLUMN kvcrm.lead_stage_history.entered_at IS 'When the lead entered the stage.';
COMMENT ON COLUMN kvcrm.lead_stage_history.left_at IS 'When it left it; null = it is there now.';
COMMENT ON COLUMN kvcrm.lead_stage_history.moved_by IS 'The user who brought it there; null = the system.';
COMMENT ON COLUMN kvcrm.lead_stage_history.merged_from_id IS 'The lead whose stay it was before a merge, which ended it; null = the lead''s own.';
COMMENT ON COLUMN kvcrm.lead_stage_history.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.lead_stage_history.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.leads', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.lead_fingerprints', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.lead_stage_history', '');

-- sql/42-lead-field-keys.sql

-- The index of leads' custom fields. A table of its own, since leads move often and fingerprints are indexed heavily:
-- a change of a field writes here only, and a lead without fields has no row.

CREATE TABLE kvcrm.lead_field_keys (
    id              uuid        NOT NULL,
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    keys            bigint[]    NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (id, organization_id) REFERENCES kvcrm.leads (id, organization_id) ON DELETE CASCADE
);
-- Without a list of pending entries, which every lookup would read: a lead has few keys.
CREATE INDEX lead_field_keys_keys ON kvcrm.lead_field_keys USING gin (keys) WITH (fastupdate = off);
-- Last, as with leads.
ALTER TABLE kvcrm.lead_field_keys ADD PRIMARY KEY (id, organization_id);

COMMENT ON TABLE kvcrm.lead_field_keys IS 'Where list_leads finds leads by custom fields, one row per lead that has any. Not for clients.';
COMMENT ON COLUMN kvcrm.lead_field_keys.id IS 'The lead''s id.';
COMMENT ON COLUMN kvcrm.lead_field_keys.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.lead_field_keys.keys IS 'Hashes of (organization, key, value), one for each value.';
COMMENT ON COLUMN kvcrm.lead_field_keys.created_at IS 'When the lead was created.';
COMMENT ON COLUMN kvcrm.lead_field_keys.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.lead_field_keys', '');

-- sql/45-board.sql

-- How many live leads each column of the board holds, and what they are worth, per assignee and currency.
--
-- A counter row per column would make everybody who moves a card wait for everybody else. So writers only ever
-- insert what they changed; a sum over the rows of a key is its count, in every snapshot. Now and then a writer
-- folds the rows of the keys it touched into one, skipping rows that somebody else has locked.

CREATE TABLE kvcrm.lead_stage_counts (
    id              uuid          NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid          NOT NULL DEFAULT kvcrm.current_organization_id(),
    stage_id        uuid          NOT NULL,
    assigned_to     uuid          NOT NULL,
    currency        char(3)       NOT NULL,
    leads           bigint        NOT NULL,
    value           numeric       NOT NULL,
    created_at      timestamptz   NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id)
);
CREATE INDEX lead_stage_counts_key ON kvcrm.lead_stage_counts (organization_id, assigned_to, stage_id);

COMMENT ON TABLE kvcrm.lead_stage_counts IS 'Changes of the number and value of live leads; their sum is what the board shows. Not for clients.';
COMMENT ON COLUMN kvcrm.lead_stage_counts.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.lead_stage_counts.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.lead_stage_counts.stage_id IS 'The stage.';
COMMENT ON COLUMN kvcrm.lead_stage_counts.assigned_to IS 'The assignee; the nil UUID stands for nobody.';
COMMENT ON COLUMN kvcrm.lead_stage_counts.currency IS 'ISO 4217 currency of the value.';
COMMENT ON COLUMN kvcrm.lead_stage_counts.leads IS 'By how many leads the key grew (or shrank).';
COMMENT ON COLUMN kvcrm.lead_stage_counts.value IS 'By how much their estimated value grew (or shrank).';
COMMENT ON COLUMN kvcrm.lead_stage_counts.created_at IS 'When the row was created.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.lead_stage_counts', '');

-- sql/50-activities.sql

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

-- sql/55-quotes.sql

-- Quotes: commercial offers, to a lead or to a customer.

CREATE TABLE kvcrm.quotes (
    id              uuid          NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid          NOT NULL DEFAULT kvcrm.current_organization_id(),
    lead_id         uuid,
    customer_id     uuid,
    number          text          NOT NULL,
    title           text          NOT NULL,
    amount          numeric(18,2) NOT NULL CONSTRAINT quotes_amount_not_negative CHECK (amount BETWEEN 0 AND 9999999999999999.99),
    currency        char(3)       NOT NULL CONSTRAINT quotes_currency_is_iso CHECK (currency ~ '^[A-Z]{3}$'),
    status          text          NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'sent', 'accepted', 'rejected')),
    custom_fields   jsonb         NOT NULL DEFAULT '{}',
    sent_at         timestamptz,
    decided_at      timestamptz,
    created_by      uuid,
    created_at      timestamptz   NOT NULL DEFAULT now(),
    updated_at      timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT quotes_is_for_somebody CHECK (lead_id IS NOT NULL OR customer_id IS NOT NULL),
    CONSTRAINT quotes_sent_at_follows_status CHECK ((sent_at IS NULL) = (status = 'draft')),
    CONSTRAINT quotes_decided_at_follows_status CHECK ((decided_at IS NOT NULL) = (status IN ('accepted', 'rejected'))),
    FOREIGN KEY (lead_id, organization_id) REFERENCES kvcrm.leads (id, organization_id),
    FOREIGN KEY (customer_id, organization_id) REFERENCES kvcrm.customers (id, organization_id)
);
CREATE INDEX quotes_lead ON kvcrm.quotes (lead_id, organization_id, created_at DESC, id DESC);
CREATE INDEX quotes_customer ON kvcrm.quotes (customer_id, organization_id, created_at DESC, id DESC);
-- The only arbiter of numbers: no counter that all writers would queue at.
ALTER TABLE kvcrm.quotes ADD CONSTRAINT quotes_number UNIQUE (organization_id, number);
-- Last, for the reason given at leads.
ALTER TABLE kvcrm.quotes ADD PRIMARY KEY (id, organization_id);

COMMENT ON TABLE kvcrm.quotes IS 'A commercial offer to a lead or a customer.';
COMMENT ON COLUMN kvcrm.quotes.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.quotes.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.quotes.lead_id IS 'The lead it was made for; null = made for a customer directly.';
COMMENT ON COLUMN kvcrm.quotes.customer_id IS 'The customer; null as long as the lead is not converted.';
COMMENT ON COLUMN kvcrm.quotes.number IS 'Number, unique in the organization, at most 100 characters; made when none is given.';
COMMENT ON COLUMN kvcrm.quotes.title IS 'Title, at most 255 characters.';
COMMENT ON COLUMN kvcrm.quotes.amount IS 'Amount in currency.';
COMMENT ON COLUMN kvcrm.quotes.currency IS 'ISO 4217 currency; the organization''s when none is given.';
COMMENT ON COLUMN kvcrm.quotes.status IS 'draft, sent, accepted or rejected.';
COMMENT ON COLUMN kvcrm.quotes.custom_fields IS 'Fields the organization added; at most 64 KiB.';
COMMENT ON COLUMN kvcrm.quotes.sent_at IS 'When it was last sent; null = a draft.';
COMMENT ON COLUMN kvcrm.quotes.decided_at IS 'When it was accepted or rejected; null = open.';
COMMENT ON COLUMN kvcrm.quotes.created_by IS 'The user who created it; null = the system.';
COMMENT ON COLUMN kvcrm.quotes.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.quotes.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.quotes', '');

-- sql/65-conversion.sql

-- The ledger of conversions: what each wrote and what it changed, so that it can be undone. A journal
-- without foreign keys: it may tell of rows that are gone.

CREATE TABLE kvcrm.lead_conversions (
    id               uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id  uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    lead_id          uuid        NOT NULL,
    customer_id      uuid        NOT NULL,
    contact_id       uuid,
    customer_created boolean     NOT NULL,
    before_image     jsonb       NOT NULL,
    converted_by     uuid,
    reverted_at      timestamptz,
    reverted_by      uuid,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id)
);
-- A second conversion of the same lead can't be written even by a bug: one that stands per lead.
CREATE UNIQUE INDEX lead_conversions_one_stands ON kvcrm.lead_conversions (organization_id, lead_id) WHERE reverted_at IS NULL;
CREATE INDEX lead_conversions_newest ON kvcrm.lead_conversions (organization_id, created_at DESC);
CREATE INDEX lead_conversions_lead ON kvcrm.lead_conversions (lead_id, organization_id);

COMMENT ON TABLE kvcrm.lead_conversions IS 'The ledger of conversions with a before-image: what undo needs. Not for clients.';
COMMENT ON COLUMN kvcrm.lead_conversions.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.lead_conversions.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.lead_conversions.lead_id IS 'The converted lead.';
COMMENT ON COLUMN kvcrm.lead_conversions.customer_id IS 'The customer it became; a plain column, the customer may be gone after a revert.';
COMMENT ON COLUMN kvcrm.lead_conversions.contact_id IS 'The contact the conversion added, if any.';
COMMENT ON COLUMN kvcrm.lead_conversions.customer_created IS 'Whether this conversion created the customer.';
COMMENT ON COLUMN kvcrm.lead_conversions.before_image IS 'The lead''s stage, rank and times as they were before.';
COMMENT ON COLUMN kvcrm.lead_conversions.converted_by IS 'The user who converted it; null = the system.';
COMMENT ON COLUMN kvcrm.lead_conversions.reverted_at IS 'When the conversion was undone; null = it stands.';
COMMENT ON COLUMN kvcrm.lead_conversions.reverted_by IS 'The user who undid it; null = the system or nobody.';
COMMENT ON COLUMN kvcrm.lead_conversions.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.lead_conversions.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.lead_conversions', '');

-- sql/68-duplicates.sql

-- Pairs of leads that look like one, and what was decided about them.

CREATE TABLE kvcrm.duplicate_pairs (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    lead_id         uuid        NOT NULL,
    other_lead_id   uuid        NOT NULL,
    probability     float8      NOT NULL CHECK (probability BETWEEN 0 AND 1),
    explanation     jsonb       NOT NULL DEFAULT '{}',
    status          text        NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'dismissed', 'merged')),
    decided_by      uuid,
    decided_at      timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    -- One row per pair, whichever of the two comes first.
    CONSTRAINT duplicate_pairs_in_order CHECK (lead_id < other_lead_id),
    FOREIGN KEY (lead_id, organization_id) REFERENCES kvcrm.leads (id, organization_id) ON DELETE CASCADE,
    FOREIGN KEY (other_lead_id, organization_id) REFERENCES kvcrm.leads (id, organization_id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX duplicate_pairs_leads ON kvcrm.duplicate_pairs (organization_id, lead_id, other_lead_id);
CREATE INDEX duplicate_pairs_other ON kvcrm.duplicate_pairs (other_lead_id, organization_id);
CREATE INDEX duplicate_pairs_open ON kvcrm.duplicate_pairs (organization_id, probability DESC, id) WHERE status = 'open';
-- Last, as with leads.
ALTER TABLE kvcrm.duplicate_pairs ADD PRIMARY KEY (id, organization_id);

COMMENT ON TABLE kvcrm.duplicate_pairs IS 'A pair of leads under review: open, dismissed (not duplicates) or merged.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.lead_id IS 'The lead of the pair with the smaller id.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.other_lead_id IS 'The other lead.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.probability IS 'Probability that both are one, 0 to 1, when the pair was last looked at.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.explanation IS 'Level and weight of each field, as explain_match gives them.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.status IS 'open, dismissed or merged.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.decided_by IS 'The user who dismissed or merged them; null = nobody yet, or the system.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.decided_at IS 'When that was; null = the pair is open.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.created_at IS 'When the pair was first found.';
COMMENT ON COLUMN kvcrm.duplicate_pairs.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.duplicate_pairs', '');

-- sql/69-matcher.sql

-- What matching knows about one organization: a model trained from its decisions, and which values are common there.

CREATE TABLE kvcrm.match_models (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id() REFERENCES kvcrm.organizations (id),
    version         uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    prior           float8      NOT NULL,
    weights         jsonb       NOT NULL CHECK (jsonb_typeof(weights) = 'object'),
    duplicates      int         NOT NULL,
    others          int         NOT NULL,
    diagnostics     jsonb       NOT NULL DEFAULT '{}',
    trained_by      uuid,
    trained_at      timestamptz NOT NULL DEFAULT now(),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    UNIQUE (organization_id)
);

-- Like a planner's most common values. One row with hash 0 holds the number of leads that were counted.
CREATE TABLE kvcrm.match_common_values (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id() REFERENCES kvcrm.organizations (id),
    hash            bigint      NOT NULL,
    records         int         NOT NULL CHECK (records >= 0),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id),
    UNIQUE (organization_id, hash) INCLUDE (records)
);

COMMENT ON TABLE kvcrm.match_models IS 'The weights of matching that an organization trained; without a row the shipped ones hold. Not for clients.';
COMMENT ON COLUMN kvcrm.match_models.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.match_models.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.match_models.version IS 'Another one with each training, so that sessions know when to read the row again.';
COMMENT ON COLUMN kvcrm.match_models.prior IS 'Weight of a pair before anything is compared, in bits (binary logarithm of the odds).';
COMMENT ON COLUMN kvcrm.match_models.weights IS 'Weights in bits by field and level: {"name": {"exact": 8.5, ...}, ...}. Levels that the module doesn''t know are ignored, missing ones have their shipped weight.';
COMMENT ON COLUMN kvcrm.match_models.duplicates IS 'Merged pairs the model was trained on.';
COMMENT ON COLUMN kvcrm.match_models.others IS 'Dismissed pairs the model was trained on.';
COMMENT ON COLUMN kvcrm.match_models.diagnostics IS 'What train_matcher answered.';
COMMENT ON COLUMN kvcrm.match_models.trained_by IS 'The user who trained it; null = the system.';
COMMENT ON COLUMN kvcrm.match_models.trained_at IS 'When it was trained.';
COMMENT ON COLUMN kvcrm.match_models.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.match_models.updated_at IS 'When the row last changed.';

COMMENT ON TABLE kvcrm.match_common_values IS 'Values (names, companies, domains, ...) that many of an organization''s leads share, as its last scan counted them: agreeing on one says less. Not for clients.';
COMMENT ON COLUMN kvcrm.match_common_values.id IS 'Identifier, a time-ordered UUID.';
COMMENT ON COLUMN kvcrm.match_common_values.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.match_common_values.hash IS 'Hash of (organization, kind, value); 0 = all leads.';
COMMENT ON COLUMN kvcrm.match_common_values.records IS 'How many leads share it.';
COMMENT ON COLUMN kvcrm.match_common_values.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.match_common_values.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.match_models', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.match_common_values', '');

-- sql/72-merging.sql

-- The ledger of merges: which rows moved and what the leads were like before, so that it can be undone. A journal
-- without foreign keys: it may tell of rows that are gone.

CREATE TABLE kvcrm.lead_merges (
    id              uuid        NOT NULL DEFAULT kvcrm.uuid_v7(),
    organization_id uuid        NOT NULL DEFAULT kvcrm.current_organization_id(),
    survivor_id     uuid        NOT NULL,
    duplicate_ids   uuid[]      NOT NULL,
    merged_by       uuid,
    before_image    jsonb       NOT NULL,
    undone_at       timestamptz,
    undone_by       uuid,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, organization_id)
);
CREATE INDEX lead_merges_survivor ON kvcrm.lead_merges (survivor_id, organization_id);

COMMENT ON TABLE kvcrm.lead_merges IS 'The ledger of merges with a before-image: what undo needs. Not for clients.';
COMMENT ON COLUMN kvcrm.lead_merges.id IS 'Identifier, a time-ordered UUID; what undo_merge takes.';
COMMENT ON COLUMN kvcrm.lead_merges.organization_id IS 'The organization; never changes.';
COMMENT ON COLUMN kvcrm.lead_merges.survivor_id IS 'The lead the others were merged into.';
COMMENT ON COLUMN kvcrm.lead_merges.duplicate_ids IS 'The leads that were merged, in the order given.';
COMMENT ON COLUMN kvcrm.lead_merges.merged_by IS 'The user who merged them; null = the system.';
COMMENT ON COLUMN kvcrm.lead_merges.before_image IS 'fields: what changed in the survivor; duplicates: the others as they were; stays, pairs, tables: the rows that moved and those that could not.';
COMMENT ON COLUMN kvcrm.lead_merges.undone_at IS 'When the merge was undone; null = it stands.';
COMMENT ON COLUMN kvcrm.lead_merges.undone_by IS 'The user who undid it; null = the system or nobody.';
COMMENT ON COLUMN kvcrm.lead_merges.created_at IS 'When the leads were merged.';
COMMENT ON COLUMN kvcrm.lead_merges.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.lead_merges', '');

-- sql/80-audit.sql

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
COMMENT ON COLUMN kvcrm.activity_logs.action IS 'created, updated, moved, assigned, converted, reverted, merged, unmerged, deleted, restored or erased.';
COMMENT ON COLUMN kvcrm.activity_logs.actor_id IS 'The user who did it; null = the system.';
COMMENT ON COLUMN kvcrm.activity_logs.changes IS 'The fields that changed: {"field": {"old": ..., "new": ...}}.';
COMMENT ON COLUMN kvcrm.activity_logs.feed_epoch IS 'Rises when the data moves to another cluster, whose transaction ids start anew.';
COMMENT ON COLUMN kvcrm.activity_logs.tx IS 'The writing transaction: orders the event feed safely.';
COMMENT ON COLUMN kvcrm.activity_logs.created_at IS 'When it happened (start of the transaction).';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.activity_logs', '');

-- sql/code/15-permissions.sql

-- What the acting user may do, and the functions that policies call.

CREATE OR REPLACE FUNCTION kvcrm.has_permission(permission text, organization_id uuid DEFAULT NULL) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'has_permission';
COMMENT ON FUNCTION kvcrm.has_permission(text, uuid) IS
    'Whether the acting user has a permission (area:action) in the given or current organization; always true for the system. 22023 for an unknown permission.';

CREATE OR REPLACE FUNCTION kvcrm.my_permissions(organization_id uuid DEFAULT NULL)
    RETURNS TABLE (organization_id uuid, organization_name text, role_slug text, permissions text[])
    LANGUAGE c STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'my_permissions';
COMMENT ON FUNCTION kvcrm.my_permissions(uuid) IS
    'The acting user''s active memberships with role and permissions, of one organization or of all.';

CREATE OR REPLACE FUNCTION kvcrm.permission_registry() RETURNS TABLE (permission text, description text)
    LANGUAGE c IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'permission_registry';
COMMENT ON FUNCTION kvcrm.permission_registry() IS
    'Every permission a role can have, with what it allows. A role may also hold area:* and *:*.';

-- No SET and no SECURITY DEFINER on policy functions: either costs several times the scan they guard.

CREATE OR REPLACE FUNCTION kvcrm.policy_user() RETURNS uuid
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'policy_user';
COMMENT ON FUNCTION kvcrm.policy_user() IS
    'For row-level security policies only: the acting user, remembered for one execution.';

CREATE OR REPLACE FUNCTION kvcrm.policy_organizations(permission text) RETURNS uuid[]
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'policy_organizations';
COMMENT ON FUNCTION kvcrm.policy_organizations(text) IS
    'For row-level security policies only: the organizations where the acting user has a permission; member = any active membership.';

CREATE OR REPLACE FUNCTION kvcrm.policy_teammates(permission text) RETURNS uuid[]
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'policy_teammates';
COMMENT ON FUNCTION kvcrm.policy_teammates(text) IS
    'For row-level security policies only: the active members of the acting user''s teams where the user has a permission; lets an index find what policy_team then decides.';

CREATE OR REPLACE FUNCTION kvcrm.policy_team(organization_id uuid, user_id uuid, permission text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'policy_team';
COMMENT ON FUNCTION kvcrm.policy_team(uuid, uuid, text) IS
    'For row-level security policies only: whether a user is an active member of the acting user''s team in that organization.';

CREATE OR REPLACE FUNCTION kvcrm.policy_lead(organization_id uuid, lead_id uuid) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'policy_lead';
COMMENT ON FUNCTION kvcrm.policy_lead(uuid, uuid) IS
    'For row-level security policies only: whether the acting user sees the lead.';

-- sql/code/80-audit.sql

-- The audit log: append-only, written in bulk after each statement.

CREATE OR REPLACE FUNCTION kvcrm.log_changes() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'log_changes';
COMMENT ON FUNCTION kvcrm.log_changes() IS 'Trigger: writes one row of activity_logs per changed row; its argument is the entity type.';
CREATE OR REPLACE FUNCTION kvcrm.activity_logs_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'activity_logs_before';
COMMENT ON FUNCTION kvcrm.activity_logs_before() IS 'Trigger: keeps the audit log append-only.';
CREATE OR REPLACE FUNCTION kvcrm.refuse_truncate() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'refuse_truncate';
COMMENT ON FUNCTION kvcrm.refuse_truncate() IS 'Trigger: a table that holds rows is not truncated.';

CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON kvcrm.activity_logs
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.activity_logs_before();
CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON kvcrm.activity_logs
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.refuse_truncate();

ALTER TABLE kvcrm.activity_logs ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS activity_logs_select ON kvcrm.activity_logs;
CREATE POLICY activity_logs_select ON kvcrm.activity_logs FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('logs:read')));

-- sql/code/20-organizations.sql

-- Tenancy: triggers, policies and functions of organizations, roles, teams and members.

CREATE OR REPLACE FUNCTION kvcrm.organizations_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'organizations_before';
COMMENT ON FUNCTION kvcrm.organizations_before() IS 'Trigger: texts, country and settings of an organization; locks writers of leads out before the duplicate policy is switched.';
CREATE OR REPLACE FUNCTION kvcrm.organizations_after() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'organizations_after';
COMMENT ON FUNCTION kvcrm.organizations_after() IS 'Trigger: defaults of a new organization; blocking keys of its leads when the duplicate policy was switched.';
CREATE OR REPLACE FUNCTION kvcrm.roles_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'roles_before';
COMMENT ON FUNCTION kvcrm.roles_before() IS 'Trigger: permissions are known, the role owner is immutable, nobody gives more than they have.';
CREATE OR REPLACE FUNCTION kvcrm.teams_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'teams_before';
COMMENT ON FUNCTION kvcrm.teams_before() IS 'Trigger: texts of a team.';
CREATE OR REPLACE FUNCTION kvcrm.organization_members_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'organization_members_before';
COMMENT ON FUNCTION kvcrm.organization_members_before() IS 'Trigger: who may make whom a member of what role, team and status.';
CREATE OR REPLACE FUNCTION kvcrm.organization_members_after() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'organization_members_after';
COMMENT ON FUNCTION kvcrm.organization_members_after() IS 'Trigger: a member who is no longer active keeps no open leads and tasks; an organization never loses its last active owner.';

CREATE OR REPLACE TRIGGER organizations_before BEFORE INSERT OR UPDATE ON kvcrm.organizations
    FOR EACH ROW EXECUTE FUNCTION kvcrm.organizations_before();
CREATE OR REPLACE TRIGGER roles_before BEFORE INSERT OR UPDATE OR DELETE ON kvcrm.roles
    FOR EACH ROW EXECUTE FUNCTION kvcrm.roles_before();
CREATE OR REPLACE TRIGGER teams_before BEFORE INSERT OR UPDATE ON kvcrm.teams
    FOR EACH ROW EXECUTE FUNCTION kvcrm.teams_before();
CREATE OR REPLACE TRIGGER organization_members_before BEFORE INSERT OR UPDATE OR DELETE ON kvcrm.organization_members
    FOR EACH ROW EXECUTE FUNCTION kvcrm.organization_members_before();
CREATE OR REPLACE TRIGGER organizations_after AFTER INSERT OR UPDATE ON kvcrm.organizations
    FOR EACH ROW EXECUTE FUNCTION kvcrm.organizations_after();
CREATE OR REPLACE TRIGGER organization_members_after AFTER UPDATE OR DELETE ON kvcrm.organization_members
    FOR EACH ROW EXECUTE FUNCTION kvcrm.organization_members_after();
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.organizations REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('organization');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.organizations REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('organization');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.organizations REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('organization');
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.roles REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('role');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.roles REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('role');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.roles REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('role');
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.teams REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('team');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.teams REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('team');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.teams REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('team');
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.organization_members REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('member');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.organization_members REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('member');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.organization_members REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('member');

ALTER TABLE kvcrm.organizations ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS organizations_select ON kvcrm.organizations;
CREATE POLICY organizations_select ON kvcrm.organizations FOR SELECT
    USING (id = ANY (kvcrm.policy_organizations('member')));
DROP POLICY IF EXISTS organizations_update ON kvcrm.organizations;
CREATE POLICY organizations_update ON kvcrm.organizations FOR UPDATE
    USING (id = ANY (kvcrm.policy_organizations('settings:update')));

ALTER TABLE kvcrm.roles ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS roles_select ON kvcrm.roles;
CREATE POLICY roles_select ON kvcrm.roles FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('member')));
DROP POLICY IF EXISTS roles_insert ON kvcrm.roles;
CREATE POLICY roles_insert ON kvcrm.roles FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('roles:create')));
DROP POLICY IF EXISTS roles_update ON kvcrm.roles;
CREATE POLICY roles_update ON kvcrm.roles FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('roles:update')));

ALTER TABLE kvcrm.teams ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS teams_select ON kvcrm.teams;
CREATE POLICY teams_select ON kvcrm.teams FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('member')));
DROP POLICY IF EXISTS teams_insert ON kvcrm.teams;
CREATE POLICY teams_insert ON kvcrm.teams FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('teams:create')));
DROP POLICY IF EXISTS teams_update ON kvcrm.teams;
CREATE POLICY teams_update ON kvcrm.teams FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('teams:update')));

ALTER TABLE kvcrm.organization_members ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS organization_members_select ON kvcrm.organization_members;
CREATE POLICY organization_members_select ON kvcrm.organization_members FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('member')) OR user_id = kvcrm.policy_user());
DROP POLICY IF EXISTS organization_members_insert ON kvcrm.organization_members;
CREATE POLICY organization_members_insert ON kvcrm.organization_members FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('members:create')));
-- The trigger says who may change what; a policy sees only one side of the change.
DROP POLICY IF EXISTS organization_members_update ON kvcrm.organization_members;
CREATE POLICY organization_members_update ON kvcrm.organization_members FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('members:update'))
        OR organization_id = ANY (kvcrm.policy_organizations('teams:update'))
        OR user_id = kvcrm.policy_user());

ALTER TABLE kvcrm.api_roles ENABLE ROW LEVEL SECURITY;

CREATE OR REPLACE FUNCTION kvcrm.create_organization(name text, locale text DEFAULT 'ru', default_country text DEFAULT 'RU',
    owner_id uuid DEFAULT NULL, owner_name text DEFAULT NULL, owner_email text DEFAULT NULL, organization_id uuid DEFAULT NULL) RETURNS kvcrm.organizations
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'create_organization';
COMMENT ON FUNCTION kvcrm.create_organization(text, text, text, uuid, text, text, uuid) IS
    'Creates an organization with its default roles, sources and stages (in Russian for locale ru, English for en) and its owner: the acting user, or the one the system names. default_country: ISO 3166-1 alpha-2. organization_id: the new id, for the system only. 22023 without name or owner; 42501 when users may not create organizations (setting kvcrm.organization_creation).';
CREATE OR REPLACE FUNCTION kvcrm.add_member(user_id uuid, role_slug text, display_name text DEFAULT NULL, email text DEFAULT NULL,
    team_id uuid DEFAULT NULL, organization_id uuid DEFAULT NULL) RETURNS kvcrm.organization_members
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'add_member';
COMMENT ON FUNCTION kvcrm.add_member(uuid, text, text, text, uuid, uuid) IS
    'Invites a user into the organization; the system adds an active member. Needs members:create and a role within one''s own permissions. 22023 for an unknown role or team; 42501; 23505 when already a member.';
CREATE OR REPLACE FUNCTION kvcrm.accept_invitation(organization_id uuid DEFAULT NULL) RETURNS kvcrm.organization_members
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'accept_invitation';
COMMENT ON FUNCTION kvcrm.accept_invitation(uuid) IS
    'Makes the acting user an active member of the organization that invited them. PT404 without an open invitation; 22023 when several are open and none is named.';
CREATE OR REPLACE FUNCTION kvcrm.decline_invitation(organization_id uuid DEFAULT NULL) RETURNS kvcrm.organization_members
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'decline_invitation';
COMMENT ON FUNCTION kvcrm.decline_invitation(uuid) IS
    'Declines an invitation and returns the row, which is deleted. PT404 without an open invitation; 22023 when several are open and none is named.';
CREATE OR REPLACE FUNCTION kvcrm.set_member_role(user_id uuid, role_slug text, organization_id uuid DEFAULT NULL) RETURNS kvcrm.organization_members
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'set_member_role';
COMMENT ON FUNCTION kvcrm.set_member_role(uuid, text, uuid) IS
    'Gives a member another role. Needs members:update; neither the old nor the new role may allow more than one''s own. PT404; 22023 for an unknown role; 42501; 23514 for the last owner.';
CREATE OR REPLACE FUNCTION kvcrm.suspend_member(user_id uuid, reassign_to uuid DEFAULT NULL, organization_id uuid DEFAULT NULL) RETURNS kvcrm.organization_members
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'suspend_member';
COMMENT ON FUNCTION kvcrm.suspend_member(uuid, uuid, uuid) IS
    'Suspends a member and hands their open leads and tasks to another active member (null: to nobody) in the same transaction; withdraws an invitation not accepted yet. PT404; 22023 for a wrong reassign_to; 42501; 23514 for the last owner.';
CREATE OR REPLACE FUNCTION kvcrm.reactivate_member(user_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.organization_members
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'reactivate_member';
COMMENT ON FUNCTION kvcrm.reactivate_member(uuid, uuid) IS
    'Makes a suspended member active again. PT404; 42501; 23514 for an invitation not accepted yet.';

-- sql/code/30-stages.sql

-- Stages, rules for moves, sources: triggers and policies.

CREATE OR REPLACE FUNCTION kvcrm.lead_stages_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'lead_stages_before';
COMMENT ON FUNCTION kvcrm.lead_stages_before() IS 'Trigger: texts of a stage; its flags and its row are kept while it holds leads.';
CREATE OR REPLACE FUNCTION kvcrm.lead_stages_after() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'lead_stages_after';
COMMENT ON FUNCTION kvcrm.lead_stages_after() IS 'Trigger: an open stage remains; the status of leads follows which stage is first.';
CREATE OR REPLACE FUNCTION kvcrm.lead_stage_transitions_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'lead_stage_transitions_before';
COMMENT ON FUNCTION kvcrm.lead_stage_transitions_before() IS 'Trigger: required_fields name fields of leads.';
CREATE OR REPLACE FUNCTION kvcrm.lead_sources_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'lead_sources_before';
COMMENT ON FUNCTION kvcrm.lead_sources_before() IS 'Trigger: texts of a source.';

CREATE OR REPLACE TRIGGER lead_stages_before BEFORE INSERT OR UPDATE OR DELETE ON kvcrm.lead_stages
    FOR EACH ROW EXECUTE FUNCTION kvcrm.lead_stages_before();
CREATE OR REPLACE TRIGGER lead_stages_after_insert AFTER INSERT ON kvcrm.lead_stages REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.lead_stages_after();
CREATE OR REPLACE TRIGGER lead_stages_after_update AFTER UPDATE ON kvcrm.lead_stages REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.lead_stages_after();
CREATE OR REPLACE TRIGGER lead_stages_after_delete AFTER DELETE ON kvcrm.lead_stages REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.lead_stages_after();
CREATE OR REPLACE TRIGGER lead_stage_transitions_before BEFORE INSERT OR UPDATE ON kvcrm.lead_stage_transitions
    FOR EACH ROW EXECUTE FUNCTION kvcrm.lead_stage_transitions_before();
CREATE OR REPLACE TRIGGER lead_sources_before BEFORE INSERT OR UPDATE ON kvcrm.lead_sources
    FOR EACH ROW EXECUTE FUNCTION kvcrm.lead_sources_before();
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.lead_stages REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('stage');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.lead_stages REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('stage');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.lead_stages REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('stage');
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.lead_stage_transitions REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('transition');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.lead_stage_transitions REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('transition');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.lead_stage_transitions REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('transition');
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.lead_sources REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('source');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.lead_sources REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('source');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.lead_sources REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('source');

ALTER TABLE kvcrm.lead_stages ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS lead_stages_select ON kvcrm.lead_stages;
CREATE POLICY lead_stages_select ON kvcrm.lead_stages FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('member')));
DROP POLICY IF EXISTS lead_stages_insert ON kvcrm.lead_stages;
CREATE POLICY lead_stages_insert ON kvcrm.lead_stages FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('lead_stages:create')));
DROP POLICY IF EXISTS lead_stages_update ON kvcrm.lead_stages;
CREATE POLICY lead_stages_update ON kvcrm.lead_stages FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('lead_stages:update')));

ALTER TABLE kvcrm.lead_stage_transitions ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS lead_stage_transitions_select ON kvcrm.lead_stage_transitions;
CREATE POLICY lead_stage_transitions_select ON kvcrm.lead_stage_transitions FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('member')));
DROP POLICY IF EXISTS lead_stage_transitions_insert ON kvcrm.lead_stage_transitions;
CREATE POLICY lead_stage_transitions_insert ON kvcrm.lead_stage_transitions FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('lead_stages:create')));
DROP POLICY IF EXISTS lead_stage_transitions_update ON kvcrm.lead_stage_transitions;
CREATE POLICY lead_stage_transitions_update ON kvcrm.lead_stage_transitions FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('lead_stages:update')));

ALTER TABLE kvcrm.lead_sources ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS lead_sources_select ON kvcrm.lead_sources;
CREATE POLICY lead_sources_select ON kvcrm.lead_sources FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('member')));
DROP POLICY IF EXISTS lead_sources_insert ON kvcrm.lead_sources;
CREATE POLICY lead_sources_insert ON kvcrm.lead_sources FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('settings:update')));
DROP POLICY IF EXISTS lead_sources_update ON kvcrm.lead_sources;
CREATE POLICY lead_sources_update ON kvcrm.lead_sources FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('settings:update')));

-- sql/code/32-fields.sql

-- Custom fields: triggers and policies.

CREATE OR REPLACE FUNCTION kvcrm.custom_field_definitions_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'custom_field_definitions_before';
COMMENT ON FUNCTION kvcrm.custom_field_definitions_before() IS 'Trigger: texts of a definition; values in use go on fitting it.';
CREATE OR REPLACE FUNCTION kvcrm.custom_field_definitions_after() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'custom_field_definitions_after';
COMMENT ON FUNCTION kvcrm.custom_field_definitions_after() IS 'Trigger: makes every backend read the definitions anew.';
CREATE OR REPLACE FUNCTION kvcrm.field_fits(value jsonb, type text, options text[]) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'field_fits';
COMMENT ON FUNCTION kvcrm.field_fits(jsonb, text, text[]) IS 'Whether a value of custom_fields fits a definition; none always does. Internal.';

CREATE OR REPLACE TRIGGER custom_field_definitions_before BEFORE INSERT OR UPDATE OR DELETE ON kvcrm.custom_field_definitions
    FOR EACH ROW EXECUTE FUNCTION kvcrm.custom_field_definitions_before();
-- Always: definitions that replication brings are news to the backends here too.
CREATE OR REPLACE TRIGGER custom_field_definitions_after AFTER INSERT OR UPDATE OR DELETE ON kvcrm.custom_field_definitions
    FOR EACH ROW EXECUTE FUNCTION kvcrm.custom_field_definitions_after();
ALTER TABLE kvcrm.custom_field_definitions ENABLE ALWAYS TRIGGER custom_field_definitions_after;
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.custom_field_definitions REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('field');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.custom_field_definitions REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('field');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.custom_field_definitions REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('field');

ALTER TABLE kvcrm.lead_field_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE kvcrm.custom_field_definitions ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS custom_field_definitions_select ON kvcrm.custom_field_definitions;
CREATE POLICY custom_field_definitions_select ON kvcrm.custom_field_definitions FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('member')));
DROP POLICY IF EXISTS custom_field_definitions_insert ON kvcrm.custom_field_definitions;
CREATE POLICY custom_field_definitions_insert ON kvcrm.custom_field_definitions FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('fields:manage')));
DROP POLICY IF EXISTS custom_field_definitions_update ON kvcrm.custom_field_definitions;
CREATE POLICY custom_field_definitions_update ON kvcrm.custom_field_definitions FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('fields:manage')));
DROP POLICY IF EXISTS custom_field_definitions_delete ON kvcrm.custom_field_definitions;
CREATE POLICY custom_field_definitions_delete ON kvcrm.custom_field_definitions FOR DELETE
    USING (organization_id = ANY (kvcrm.policy_organizations('fields:manage')));

-- sql/code/35-customers.sql

-- Customers and contacts: triggers and policies.

CREATE OR REPLACE FUNCTION kvcrm.customers_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'customers_before';
COMMENT ON FUNCTION kvcrm.customers_before() IS 'Trigger: texts, e-mail, phone and INN of a customer.';
CREATE OR REPLACE FUNCTION kvcrm.customers_after() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'customers_after';
COMMENT ON FUNCTION kvcrm.customers_after() IS 'Trigger: who owns which INN, e-mail and phone.';
CREATE OR REPLACE FUNCTION kvcrm.customer_contacts_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'customer_contacts_before';
COMMENT ON FUNCTION kvcrm.customer_contacts_before() IS 'Trigger: texts, e-mail and phone of a contact.';
CREATE OR REPLACE FUNCTION kvcrm.customer_fingerprints_after() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'customer_fingerprints_after';
COMMENT ON FUNCTION kvcrm.customer_fingerprints_after() IS 'Trigger: what matching reads of customers and their contacts.';

CREATE OR REPLACE TRIGGER customers_before BEFORE INSERT OR UPDATE ON kvcrm.customers
    FOR EACH ROW EXECUTE FUNCTION kvcrm.customers_before();
CREATE OR REPLACE TRIGGER customers_after AFTER INSERT OR UPDATE OR DELETE ON kvcrm.customers
    FOR EACH ROW EXECUTE FUNCTION kvcrm.customers_after();
CREATE OR REPLACE TRIGGER customer_contacts_before BEFORE INSERT OR UPDATE ON kvcrm.customer_contacts
    FOR EACH ROW EXECUTE FUNCTION kvcrm.customer_contacts_before();
CREATE OR REPLACE TRIGGER fingerprints_insert AFTER INSERT ON kvcrm.customers REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.customer_fingerprints_after('customer');
CREATE OR REPLACE TRIGGER fingerprints_update AFTER UPDATE ON kvcrm.customers REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.customer_fingerprints_after('customer');
CREATE OR REPLACE TRIGGER fingerprints_insert AFTER INSERT ON kvcrm.customer_contacts REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.customer_fingerprints_after('contact');
CREATE OR REPLACE TRIGGER fingerprints_update AFTER UPDATE ON kvcrm.customer_contacts REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.customer_fingerprints_after('contact');
CREATE OR REPLACE TRIGGER fingerprints_delete AFTER DELETE ON kvcrm.customer_contacts REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.customer_fingerprints_after('contact');
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.customers REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('customer');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.customers REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('customer');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.customers REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('customer');
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.customer_contacts REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('contact');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.customer_contacts REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('contact');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.customer_contacts REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('contact');

ALTER TABLE kvcrm.customers ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS customers_select ON kvcrm.customers;
CREATE POLICY customers_select ON kvcrm.customers FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('customers:read')));
DROP POLICY IF EXISTS customers_insert ON kvcrm.customers;
CREATE POLICY customers_insert ON kvcrm.customers FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('customers:create')));
DROP POLICY IF EXISTS customers_update ON kvcrm.customers;
CREATE POLICY customers_update ON kvcrm.customers FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('customers:update')));

ALTER TABLE kvcrm.customer_contacts ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS customer_contacts_select ON kvcrm.customer_contacts;
CREATE POLICY customer_contacts_select ON kvcrm.customer_contacts FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('customers:read')));
DROP POLICY IF EXISTS customer_contacts_insert ON kvcrm.customer_contacts;
CREATE POLICY customer_contacts_insert ON kvcrm.customer_contacts FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('customers:create')));
DROP POLICY IF EXISTS customer_contacts_update ON kvcrm.customer_contacts;
CREATE POLICY customer_contacts_update ON kvcrm.customer_contacts FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('customers:update')));

ALTER TABLE kvcrm.customer_identities ENABLE ROW LEVEL SECURITY;

ALTER TABLE kvcrm.customer_fingerprints ENABLE ROW LEVEL SECURITY;

-- sql/code/40-leads.sql

-- Leads: triggers, policies and the functions on one lead.

CREATE OR REPLACE FUNCTION kvcrm.leads_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'leads_before';
COMMENT ON FUNCTION kvcrm.leads_before() IS 'Trigger: everything that holds for a lead whichever way it is written.';
CREATE OR REPLACE FUNCTION kvcrm.leads_after() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'leads_after';
COMMENT ON FUNCTION kvcrm.leads_after() IS 'Trigger: stage history, fingerprints and the counts of the board, in bulk.';

CREATE OR REPLACE TRIGGER leads_before BEFORE INSERT OR UPDATE ON kvcrm.leads
    FOR EACH ROW EXECUTE FUNCTION kvcrm.leads_before();
CREATE OR REPLACE TRIGGER leads_after_insert AFTER INSERT ON kvcrm.leads REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.leads_after();
CREATE OR REPLACE TRIGGER leads_after_update AFTER UPDATE ON kvcrm.leads REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.leads_after();
CREATE OR REPLACE TRIGGER leads_after_delete AFTER DELETE ON kvcrm.leads REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.leads_after();
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.leads REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('lead');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.leads REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('lead');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.leads REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('lead');
CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON kvcrm.leads
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.refuse_truncate();

ALTER TABLE kvcrm.leads ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS leads_select ON kvcrm.leads;
CREATE POLICY leads_select ON kvcrm.leads FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('leads:read_all'))
        OR (assigned_to = kvcrm.policy_user() AND organization_id = ANY (kvcrm.policy_organizations('leads:read_own')))
        OR (organization_id = ANY (kvcrm.policy_organizations('leads:read_team'))
            AND assigned_to = ANY (kvcrm.policy_teammates('leads:read_team'))
            AND kvcrm.policy_team(organization_id, assigned_to, 'leads:read_team')));
DROP POLICY IF EXISTS leads_insert ON kvcrm.leads;
CREATE POLICY leads_insert ON kvcrm.leads FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('leads:create')));
DROP POLICY IF EXISTS leads_update ON kvcrm.leads;
CREATE POLICY leads_update ON kvcrm.leads FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('leads:update'))
        OR (assigned_to = kvcrm.policy_user() AND organization_id = ANY (kvcrm.policy_organizations('leads:update_own')))
        OR (organization_id = ANY (kvcrm.policy_organizations('leads:update_team'))
            AND assigned_to = ANY (kvcrm.policy_teammates('leads:update_team'))
            AND kvcrm.policy_team(organization_id, assigned_to, 'leads:update_team')));

ALTER TABLE kvcrm.lead_fingerprints ENABLE ROW LEVEL SECURITY;

ALTER TABLE kvcrm.lead_stage_history ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS lead_stage_history_select ON kvcrm.lead_stage_history;
CREATE POLICY lead_stage_history_select ON kvcrm.lead_stage_history FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('leads:read_all')) OR kvcrm.policy_lead(organization_id, lead_id));

CREATE OR REPLACE FUNCTION kvcrm.create_lead(name text, email text DEFAULT NULL, phone text DEFAULT NULL, company text DEFAULT NULL,
    job_title text DEFAULT NULL, inn text DEFAULT NULL, source text DEFAULT NULL, stage_id uuid DEFAULT NULL,
    assigned_to uuid DEFAULT NULL, estimated_value numeric DEFAULT NULL, currency text DEFAULT NULL,
    custom_fields jsonb DEFAULT NULL, on_duplicate text DEFAULT NULL, organization_id uuid DEFAULT NULL) RETURNS kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'create_lead';
COMMENT ON FUNCTION kvcrm.create_lead(text, text, text, text, text, text, text, uuid, uuid, numeric, text, jsonb, text, uuid) IS
    'Creates a lead in the first open stage or the one named. estimated_value is in currency (ISO 4217, default the organization''s). on_duplicate: allow, warn, block; null = the organization''s policy. 22023 without name; 42501 without leads:create; 23514 for a violated rule; 22001 for a text too long; 23505 for a blocked duplicate; PT404 for an unknown stage.';
CREATE OR REPLACE FUNCTION kvcrm.assign_lead(lead_id uuid, assignee_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'assign_lead';
COMMENT ON FUNCTION kvcrm.assign_lead(uuid, uuid, uuid) IS
    'Assigns a lead to an active member; null = to nobody. Needs leads:assign, except for taking over a lead one may update. 22023; PT404; 42501; 23514 when the assignee is no active member or the lead is gone.';
CREATE OR REPLACE FUNCTION kvcrm.move_lead(lead_id uuid, stage_id uuid, before_lead_id uuid DEFAULT NULL, lost_reason text DEFAULT NULL,
    expected_version int DEFAULT NULL, organization_id uuid DEFAULT NULL) RETURNS kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'move_lead';
COMMENT ON FUNCTION kvcrm.move_lead(uuid, uuid, uuid, text, int, uuid) IS
    'Moves a lead into a stage, before another card or (null) at the end of the column; writes this one lead. lost_reason is required for a lost stage. expected_version makes a stale drag fail with PT409. 22023; PT404; 42501; 23514 when the pipeline does not allow the move.';
CREATE OR REPLACE FUNCTION kvcrm.delete_lead(lead_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'delete_lead';
COMMENT ON FUNCTION kvcrm.delete_lead(uuid, uuid) IS
    'Deletes a lead: it leaves lists, search and boards and can be restored. Needs leads:delete. 22023; PT404; 42501; 23514 for a merged lead.';
CREATE OR REPLACE FUNCTION kvcrm.restore_lead(lead_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'restore_lead';
COMMENT ON FUNCTION kvcrm.restore_lead(uuid, uuid) IS
    'Restores a deleted lead. Needs leads:delete. 22023; PT404; 42501; 23505 when its e-mail or phone is taken meanwhile under the policy block.';

CREATE OR REPLACE FUNCTION kvcrm.derivation_version() RETURNS int
    LANGUAGE c IMMUTABLE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'derivation_version';
COMMENT ON FUNCTION kvcrm.derivation_version() IS
    'The version of the rules by which this version of kvcrm derives fingerprints; older rows are due for refresh_derived.';
CREATE OR REPLACE FUNCTION kvcrm.refresh_derived(batch int DEFAULT 1000, organization_id uuid DEFAULT NULL) RETURNS int
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'refresh_derived';
COMMENT ON FUNCTION kvcrm.refresh_derived(int, uuid) IS
    'Derives anew what search and matching read, where older rules made it: up to batch rows, in this transaction. Returns how many; call it until it returns 0. The system without an organization goes through all. Needs settings:update. 22023; 42501.';

-- sql/code/45-board.sql

-- The board.

ALTER TABLE kvcrm.lead_stage_counts ENABLE ROW LEVEL SECURITY;

CREATE OR REPLACE FUNCTION kvcrm.pipeline_board(cards_per_stage int DEFAULT 20, assigned_to uuid DEFAULT NULL, organization_id uuid DEFAULT NULL)
    RETURNS TABLE (stage_id uuid, stage_name text, color text, order_index int, outcome text, lead_count bigint, totals jsonb, cards jsonb)
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pipeline_board';
COMMENT ON FUNCTION kvcrm.pipeline_board(int, uuid, uuid) IS
    'The board: a row per stage, in the board''s order, with the live leads that the caller may read, or those of them assigned to one member. totals per currency: {"RUB": {"value": ..., "weighted": ...}}, weighted by the stage''s probability. cards: the first cards_per_stage (0 to 200) leads by rank, with rotting (longer in the stage than its rotting_days) and next_task (the open activity that is due first). pipeline_column gives the rest of a column. 22023; 42501 without a permission leads:read_*.';

CREATE OR REPLACE FUNCTION kvcrm.pipeline_column(stage_id uuid, after_lead_id uuid DEFAULT NULL, page_size int DEFAULT 50, organization_id uuid DEFAULT NULL)
    RETURNS SETOF kvcrm.leads
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pipeline_column';
COMMENT ON FUNCTION kvcrm.pipeline_column(uuid, uuid, int, uuid) IS
    'A page of the live leads of one stage that the caller may read, in the board''s order. after_lead_id: the last card of the page before. page_size: 1 to 1000. 22023; PT404 for an unknown stage, or an after_lead_id that is unknown or not visible; 42501 without a permission leads:read_*; 23514 when that lead has left the stage.';

CREATE OR REPLACE FUNCTION kvcrm.pipeline_report(from_date timestamptz DEFAULT NULL, to_date timestamptz DEFAULT NULL, organization_id uuid DEFAULT NULL)
    RETURNS TABLE (dimension text, id text, name text, entered bigint, advanced bigint, lost bigint, conversion_rate numeric, median_days numeric, p90_days numeric)
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pipeline_report';
COMMENT ON FUNCTION kvcrm.pipeline_report(timestamptz, timestamptz, uuid) IS
    'What became of leads in a period: from_date inclusive, to_date exclusive, null = unlimited. dimension stage: stays that began in the period, how many of them left for a later, qualified or won stage (advanced) or a lost one by its end, and the length of those that ended. source, assignee: leads created in the period, those converted (advanced) and lost by its end, days until conversion. lost_reason: leads lost in the period. conversion_rate = advanced / entered. Only leads that the caller may read; deleted and merged ones don''t count. 22023; 42501 without a permission leads:read_*.';

CREATE OR REPLACE FUNCTION kvcrm.stage_admin(organization_id uuid DEFAULT NULL)
    RETURNS TABLE (stage_id uuid, name text, description text, is_qualified boolean, outcome text, probability int, order_index int,
                   color text, rotting_days int, lead_count bigint, can_delete boolean, transitions jsonb)
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'stage_admin';
COMMENT ON FUNCTION kvcrm.stage_admin(uuid) IS
    'The stages of the pipeline in their order, for any active member. lead_count: live leads of everybody. can_delete: the stage holds no lead, not even a gone one, and is not the last open one, so that delete_stage needs no move_leads_to. transitions: the moves allowed from it, as [{"id", "to_stage_id", "to_stage_name", "required_fields"}]; when no stage has any, every move is allowed. 22023; 42501.';

CREATE OR REPLACE FUNCTION kvcrm.delete_stage(stage_id uuid, move_leads_to uuid DEFAULT NULL, organization_id uuid DEFAULT NULL)
    RETURNS kvcrm.lead_stages
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'delete_stage';
COMMENT ON FUNCTION kvcrm.delete_stage(uuid, uuid, uuid) IS
    'Deletes a stage with its rules for moves and returns it; its leads, gone ones too, move to the end of move_leads_to, whatever the rules for moves say. Leads that become lost by it get the deleted stage''s name as lost_reason. Needs lead_stages:delete. 22023 when both are one; PT404; 42501; 23514 for the last open stage, for a stage with leads and no target, and for converted leads when the target is neither qualified nor lost.';

CREATE OR REPLACE FUNCTION kvcrm.remove_transition(from_stage_id uuid, to_stage_id uuid, organization_id uuid DEFAULT NULL)
    RETURNS kvcrm.lead_stage_transitions
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'remove_transition';
COMMENT ON FUNCTION kvcrm.remove_transition(uuid, uuid, uuid) IS
    'Deletes an allowed move between two stages and returns it; without any left, every move is allowed. Needs lead_stages:delete. 22023; PT404 when there is no such stage or rule; 42501.';

-- sql/code/50-activities.sql

-- Activities: trigger, policies and functions.

CREATE OR REPLACE FUNCTION kvcrm.lead_activities_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'lead_activities_before';
COMMENT ON FUNCTION kvcrm.lead_activities_before() IS 'Trigger: texts and assignee of an activity.';

CREATE OR REPLACE TRIGGER lead_activities_before BEFORE INSERT OR UPDATE ON kvcrm.lead_activities
    FOR EACH ROW EXECUTE FUNCTION kvcrm.lead_activities_before();
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.lead_activities REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('activity');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.lead_activities REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('activity');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.lead_activities REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('activity');

ALTER TABLE kvcrm.lead_activities ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS lead_activities_select ON kvcrm.lead_activities;
CREATE POLICY lead_activities_select ON kvcrm.lead_activities FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('leads:read_all')) OR kvcrm.policy_lead(organization_id, lead_id));
DROP POLICY IF EXISTS lead_activities_insert ON kvcrm.lead_activities;
CREATE POLICY lead_activities_insert ON kvcrm.lead_activities FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('activities:create'))
        AND (organization_id = ANY (kvcrm.policy_organizations('leads:read_all')) OR kvcrm.policy_lead(organization_id, lead_id)));
DROP POLICY IF EXISTS lead_activities_update ON kvcrm.lead_activities;
CREATE POLICY lead_activities_update ON kvcrm.lead_activities FOR UPDATE
    USING ((organization_id = ANY (kvcrm.policy_organizations('leads:read_all')) OR kvcrm.policy_lead(organization_id, lead_id))
        AND (organization_id = ANY (kvcrm.policy_organizations('activities:update'))
            OR ((created_by = kvcrm.policy_user() OR assigned_to = kvcrm.policy_user())
                AND organization_id = ANY (kvcrm.policy_organizations('activities:create')))))
    -- What one may edit one may also hand over, to be somebody else's then; lead and organization never change.
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('member')));

CREATE OR REPLACE FUNCTION kvcrm.log_activity(lead_id uuid, type text, title text, description text DEFAULT NULL, due_date timestamptz DEFAULT NULL,
    assigned_to uuid DEFAULT NULL, completed_at timestamptz DEFAULT NULL, organization_id uuid DEFAULT NULL) RETURNS kvcrm.lead_activities
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'log_activity';
COMMENT ON FUNCTION kvcrm.log_activity(uuid, text, text, text, timestamptz, uuid, timestamptz, uuid) IS
    'Adds a call, meeting, email, task or note to a lead; a task without an assignee is its creator''s. Needs activities:create. 22023; PT404; 42501; 23514 when the lead is gone or the assignee no active member; 22001.';
CREATE OR REPLACE FUNCTION kvcrm.complete_activity(activity_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.lead_activities
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'complete_activity';
COMMENT ON FUNCTION kvcrm.complete_activity(uuid, uuid) IS
    'Marks an activity as done now; doing it twice changes nothing. Everybody''s need activities:update, one''s own activities:create. 22023; PT404; 42501.';
CREATE OR REPLACE FUNCTION kvcrm.delete_activity(activity_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.lead_activities
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'delete_activity';
COMMENT ON FUNCTION kvcrm.delete_activity(uuid, uuid) IS
    'Deletes an activity and returns it as it was; the log keeps its content. Everybody''s need activities:delete, one''s own activities:create. 22023; PT404; 42501.';

-- sql/code/55-quotes.sql

-- Quotes: triggers, policies and functions.

CREATE OR REPLACE FUNCTION kvcrm.quotes_before() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'quotes_before';
COMMENT ON FUNCTION kvcrm.quotes_before() IS 'Trigger: texts, number, currency, customer and status of a quote.';
CREATE OR REPLACE FUNCTION kvcrm.quotes_after() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'quotes_after';
COMMENT ON FUNCTION kvcrm.quotes_after() IS 'Trigger: an accepted quote wins its lead where the organization says so.';

CREATE OR REPLACE TRIGGER quotes_before BEFORE INSERT OR UPDATE ON kvcrm.quotes
    FOR EACH ROW EXECUTE FUNCTION kvcrm.quotes_before();
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON kvcrm.quotes REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('quote');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON kvcrm.quotes REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('quote');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON kvcrm.quotes REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.log_changes('quote');
-- Triggers fire by name: the acceptance is logged before the move that it causes.
CREATE OR REPLACE TRIGGER quotes_after AFTER UPDATE ON kvcrm.quotes REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION kvcrm.quotes_after();

ALTER TABLE kvcrm.quotes ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS quotes_select ON kvcrm.quotes;
CREATE POLICY quotes_select ON kvcrm.quotes FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('quotes:read')) OR kvcrm.policy_lead(organization_id, lead_id));
-- Nobody makes a quote that they could not see.
DROP POLICY IF EXISTS quotes_insert ON kvcrm.quotes;
CREATE POLICY quotes_insert ON kvcrm.quotes FOR INSERT
    WITH CHECK (organization_id = ANY (kvcrm.policy_organizations('quotes:create'))
        AND (organization_id = ANY (kvcrm.policy_organizations('quotes:read')) OR kvcrm.policy_lead(organization_id, lead_id)));
DROP POLICY IF EXISTS quotes_update ON kvcrm.quotes;
CREATE POLICY quotes_update ON kvcrm.quotes FOR UPDATE
    USING (organization_id = ANY (kvcrm.policy_organizations('quotes:update'))
        AND (organization_id = ANY (kvcrm.policy_organizations('quotes:read')) OR kvcrm.policy_lead(organization_id, lead_id)));

CREATE OR REPLACE FUNCTION kvcrm.create_quote_from_lead(lead_id uuid, title text, amount numeric, currency text DEFAULT NULL,
    number text DEFAULT NULL, organization_id uuid DEFAULT NULL) RETURNS kvcrm.quotes
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'create_quote_from_lead';
COMMENT ON FUNCTION kvcrm.create_quote_from_lead(uuid, text, numeric, text, text, uuid) IS
    'Makes a draft quote for a lead and its customer, converting the lead first unless it is converted. currency: the organization''s by default; number: made by default, unique in the organization. Needs quotes:create, and what converting needs when the lead is not converted. 22023; PT404; 42501; 23514 for a lead that is gone or a violated rule; 23505 when the number is taken, so that the same call twice makes one quote; 22001; 22003.';
CREATE OR REPLACE FUNCTION kvcrm.delete_quote(quote_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.quotes
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'delete_quote';
COMMENT ON FUNCTION kvcrm.delete_quote(uuid, uuid) IS
    'Deletes a quote and returns it as it was; the log keeps its content. Needs quotes:delete. 22023; PT404; 42501; 23514 for an accepted quote.';

-- sql/code/60-import.sql

-- Import.

CREATE OR REPLACE FUNCTION kvcrm.import_leads(rows jsonb, on_duplicate text DEFAULT NULL, dry_run boolean DEFAULT false, organization_id uuid DEFAULT NULL) RETURNS TABLE (row_no int, outcome text, lead_id uuid, error text)
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'import_leads';
COMMENT ON FUNCTION kvcrm.import_leads(jsonb, text, boolean, uuid) IS
    'Loads an array of objects whose keys are columns of leads (job_title also stands for position) and answers each row: outcome created, or error with the reason; a bad row does not undo the good ones. dry_run: the same, rolled back. Needs leads:import. 22023; 42501.';

-- sql/code/65-conversion.sql

-- Conversion.

ALTER TABLE kvcrm.lead_conversions ENABLE ROW LEVEL SECURITY;

CREATE OR REPLACE FUNCTION kvcrm.qualify_lead(lead_id uuid, customer_id uuid DEFAULT NULL, on_match text DEFAULT 'link', organization_id uuid DEFAULT NULL) RETURNS kvcrm.customers
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'qualify_lead';
COMMENT ON FUNCTION kvcrm.qualify_lead(uuid, uuid, text, uuid) IS
    'Converts a lead into a customer: the one named, else the one that owns its INN, or its e-mail or phone and has a compatible company (on_match link, create or error), else a new one. A converted lead returns its customer and writes nothing. Needs leads:convert, or leads:convert_own for one''s own. 22023; PT404; 42501; 23514 for a lead that is gone; 23505 under on_match error.';
CREATE OR REPLACE FUNCTION kvcrm.convert_lead_to_customer(lead_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.customers
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'convert_lead_to_customer';
COMMENT ON FUNCTION kvcrm.convert_lead_to_customer(uuid, uuid) IS
    'Converts a lead into a customer: qualify_lead with its defaults.';
CREATE OR REPLACE FUNCTION kvcrm.preview_conversion(lead_id uuid, customer_id uuid DEFAULT NULL, on_match text DEFAULT 'link', organization_id uuid DEFAULT NULL) RETURNS jsonb
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'preview_conversion';
COMMENT ON FUNCTION kvcrm.preview_conversion(uuid, uuid, text, uuid) IS
    'The rows that qualify_lead with the same arguments would write, written by the same code and rolled back: customer, customer_created, filled (blank fields of an existing customer), contact, lead, stage, quotes of the lead that get the customer, already_converted. Errors: those of qualify_lead.';
CREATE OR REPLACE FUNCTION kvcrm.revert_conversion(lead_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'revert_conversion';
COMMENT ON FUNCTION kvcrm.revert_conversion(uuid, uuid) IS
    'Takes a conversion back: the lead returns to its stage, a customer or contact that the conversion made is removed, fields it filled are blank again, and quotes of the lead lose the customer. Needs what converting needed. 23514 for a lead that is not converted, or when something happened since to what would be removed (DETAIL names each row); 23505 when its e-mail or phone is taken meanwhile.';

-- sql/code/68-duplicates.sql

-- Finding, reviewing and deciding on duplicates.

CREATE OR REPLACE FUNCTION kvcrm.find_duplicates(lead_id uuid, min_probability float8 DEFAULT NULL, max_results int DEFAULT 10,
    organization_id uuid DEFAULT NULL)
    RETURNS TABLE (kind text, id uuid, probability float8, explanation jsonb, masked boolean, owner_name text)
    LANGUAGE c STABLE SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'find_duplicates';
COMMENT ON FUNCTION kvcrm.find_duplicates(uuid, float8, int, uuid) IS
    'Live leads and customers (kind: lead, customer) that are likely the same as a lead, the likeliest first; a converted lead is represented by its customer. min_probability: 0 to 1, null = the shipped threshold; max_results: 1 to 100. explanation: {prior, fields: [{field, level, weight, adjustment, values}], weight, probability}, weights in bits. Of a row the caller can''t see (masked) id and explanation are null and probability is 0.9 or 0.99; owner_name says whom to ask. 22023; PT404.';
CREATE OR REPLACE FUNCTION kvcrm.check_duplicates(candidate jsonb, min_probability float8 DEFAULT NULL, max_results int DEFAULT 10,
    organization_id uuid DEFAULT NULL)
    RETURNS TABLE (kind text, id uuid, probability float8, explanation jsonb, masked boolean, owner_name text)
    LANGUAGE c STABLE SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'check_duplicates';
COMMENT ON FUNCTION kvcrm.check_duplicates(jsonb, float8, int, uuid) IS
    'What find_duplicates would answer for a form that is not saved yet: candidate is an object with some of name, email, phone, company, inn. Needs leads:create or a permission leads:read_*. 22023 for another key, a value that is no text, or without an organization; 22001 for a text too long; 42501.';
CREATE OR REPLACE FUNCTION kvcrm.explain_match(lead_id uuid, other_lead_id uuid, organization_id uuid DEFAULT NULL) RETURNS jsonb
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'explain_match';
COMMENT ON FUNCTION kvcrm.explain_match(uuid, uuid, uuid) IS
    'How alike two leads are, as a waterfall in bits: {prior, fields: [{field, level, weight, adjustment, values}], weight, probability}. prior and weights add up to weight; adjustment is the part of a field''s weight that comes from how common its value is; values are the two as typed. 22023 for a lead and itself; PT404 unless one sees both.';

ALTER TABLE kvcrm.duplicate_pairs ENABLE ROW LEVEL SECURITY;
-- A pair says something about both leads: only who sees both sees it.
DROP POLICY IF EXISTS duplicate_pairs_select ON kvcrm.duplicate_pairs;
CREATE POLICY duplicate_pairs_select ON kvcrm.duplicate_pairs FOR SELECT
    USING (organization_id = ANY (kvcrm.policy_organizations('leads:read_all'))
        OR (kvcrm.policy_lead(organization_id, lead_id) AND kvcrm.policy_lead(organization_id, other_lead_id)));

-- sql/code/69-matcher.sql

-- The matcher of an organization.

ALTER TABLE kvcrm.match_models ENABLE ROW LEVEL SECURITY;
ALTER TABLE kvcrm.match_common_values ENABLE ROW LEVEL SECURITY;

CREATE OR REPLACE FUNCTION kvcrm.train_matcher(organization_id uuid DEFAULT NULL) RETURNS jsonb
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'train_matcher';
COMMENT ON FUNCTION kvcrm.train_matcher(uuid) IS
    'Re-estimates what agreement and difference weigh from the organization''s merges and dismissals, starting from the shipped model, and uses it from now on; scan again to bring duplicate_pairs up to date. Answers {duplicates, others: labels of each kind; largest_move, mean_move: bits; prior: {before, after}; before, after: {precision, recall, log_loss} on the labels, after by models that had not seen them; moves: [{field, level, before, after, labels}]}. Needs duplicates:train. 22023; 42501; 23514 with too few decisions of either kind.';

CREATE OR REPLACE FUNCTION kvcrm.reset_matcher(organization_id uuid DEFAULT NULL) RETURNS boolean
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'reset_matcher';
COMMENT ON FUNCTION kvcrm.reset_matcher(uuid) IS
    'Returns to the shipped model; true if there was a trained one. Needs duplicates:train. 22023; 42501.';

-- sql/code/69-review.sql

-- Reviewing pairs: dismissing them, and the sets to merge.

CREATE OR REPLACE FUNCTION kvcrm.dismiss_duplicate(lead_id uuid, other_lead_id uuid, organization_id uuid DEFAULT NULL)
    RETURNS kvcrm.duplicate_pairs
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'dismiss_duplicate';
COMMENT ON FUNCTION kvcrm.dismiss_duplicate(uuid, uuid, uuid) IS
    'Says that two leads are not duplicates, whether or not the pair is under review: they are no longer found for one another, and no scan opens the pair again. Dismissing twice changes nothing. Needs duplicates:review, or the right to change both leads. 22023 for a lead and itself; PT404 unless one sees both; 42501; 23514 when they are merged.';

CREATE OR REPLACE FUNCTION kvcrm.duplicate_clusters(organization_id uuid DEFAULT NULL)
    RETURNS TABLE (cluster_number int, lead_ids uuid[], probability float8, survivor_id uuid)
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'duplicate_clusters';
COMMENT ON FUNCTION kvcrm.duplicate_clusters(uuid) IS
    'The open pairs whose leads the caller sees, grouped into sets that a person would merge, the surest first. A lead is in one set at most; two sets grow together only while the evidence between all their leads is, on average, for it, and no pair of theirs was dismissed or speaks against it. probability: the least between two leads of the set. survivor_id: the lead proposed to merge the others into. 22023; 42501 without a permission leads:read_*.';

-- sql/code/69-scan.sql

-- Scanning all leads of an organization for duplicates.

CREATE OR REPLACE FUNCTION kvcrm.scan_duplicates(min_probability float8 DEFAULT NULL, organization_id uuid DEFAULT NULL)
    RETURNS TABLE (pairs_found bigint, leads_scanned bigint)
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'scan_duplicates';
COMMENT ON FUNCTION kvcrm.scan_duplicates(float8, uuid) IS
    'Compares all live leads of the organization and brings duplicate_pairs up to date: likely pairs (at least min_probability, above 0 and at most 1; null = the shipped threshold) become open, open pairs that are less likely now or have lost a lead go, decided ones stay as they are. pairs_found: the likely pairs that nobody has decided on. A NOTICE every few seconds tells how far it is. Needs duplicates:review and leads:read_all. 22023; 42501.';

-- sql/code/70-lists.sql

-- Lists of leads: filters, search, sorts, keyset paging.

CREATE OR REPLACE FUNCTION kvcrm.list_leads(query text DEFAULT NULL, stage_id uuid DEFAULT NULL, status text DEFAULT NULL,
    assigned_to uuid DEFAULT NULL, source text DEFAULT NULL, created_from timestamptz DEFAULT NULL,
    created_to timestamptz DEFAULT NULL, custom_fields jsonb DEFAULT NULL, include text[] DEFAULT NULL,
    sort text DEFAULT 'newest', after_lead_id uuid DEFAULT NULL, page_size int DEFAULT 50,
    organization_id uuid DEFAULT NULL) RETURNS SETOF kvcrm.leads
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'list_leads';
COMMENT ON FUNCTION kvcrm.list_leads(text, uuid, text, uuid, text, timestamptz, timestamptz, jsonb, text[], text, uuid, int, uuid) IS
    'A page of the leads the caller may read. query: words, each a part of name, e-mail, company, phone digits or INN, whatever case, accents and script. created_from is inclusive, created_to exclusive. custom_fields: the fields the lead must have, with their values. include: converted, merged, deleted leads, which are left out otherwise. sort: newest, oldest, updated, name, score (highest first), value (highest first, none last; currencies are not converted), rank (the board''s order: stage, place in its column). after_lead_id: the last lead of the page before; the page continues from where that lead is now. page_size: 1 to 1000. 22023 for an unknown sort, status or include, or a wrong page_size; 42501 without a permission leads:read_*; PT404 for an after_lead_id that is unknown or not visible.';

CREATE OR REPLACE FUNCTION kvcrm.count_leads(query text DEFAULT NULL, stage_id uuid DEFAULT NULL, status text DEFAULT NULL,
    assigned_to uuid DEFAULT NULL, source text DEFAULT NULL, created_from timestamptz DEFAULT NULL,
    created_to timestamptz DEFAULT NULL, custom_fields jsonb DEFAULT NULL, include text[] DEFAULT NULL,
    organization_id uuid DEFAULT NULL) RETURNS bigint
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'count_leads';
COMMENT ON FUNCTION kvcrm.count_leads(text, uuid, text, uuid, text, timestamptz, timestamptz, jsonb, text[], uuid) IS
    'How many leads list_leads would list over all pages; same filters. Takes time in proportion to what it counts. 22023; 42501.';

-- sql/code/72-merging.sql

-- Merging.

ALTER TABLE kvcrm.lead_merges ENABLE ROW LEVEL SECURITY;

CREATE OR REPLACE FUNCTION kvcrm.merge_leads(survivor_id uuid, duplicate_ids uuid[], field_choices jsonb DEFAULT NULL, organization_id uuid DEFAULT NULL)
    RETURNS kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'merge_leads';
COMMENT ON FUNCTION kvcrm.merge_leads(uuid, uuid[], jsonb, uuid) IS
    'Merges leads into one and returns it. Its blank fields are filled from the others, in the order given; field_choices decides per field: "survivor", the id of one of the leads, or a value; keys are fields or custom_fields.KEY. Activities, quotes, history, pairs and the rows of every table that refers to leads by foreign key move to the survivor; a row that would collide there stays. The others keep their fields, and their ids stand for the survivor from then on. undo_merge takes it back. Needs leads:merge, and to see and update all of them. 22023; PT404; 42501; 23514 for leads that are merged, converted or deleted, or a violated rule; 23505; any error of a table that may not be written, which the message names.';

CREATE OR REPLACE FUNCTION kvcrm.preview_merge(survivor_id uuid, duplicate_ids uuid[], field_choices jsonb DEFAULT NULL, organization_id uuid DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'preview_merge';
COMMENT ON FUNCTION kvcrm.preview_merge(uuid, uuid[], jsonb, uuid) IS
    'What merge_leads would do with the same arguments: it does it and rolls back. lead: the survivor as it would be; fields: each field''s value per lead, the one chosen and where from; tables: how many rows would move, and how many would collide; proposed_survivor with reasons; obstacles: the error that stands in the way. 22023; PT404; 42501.';

CREATE OR REPLACE FUNCTION kvcrm.undo_merge(merge_id uuid, organization_id uuid DEFAULT NULL)
    RETURNS SETOF kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'undo_merge';
COMMENT ON FUNCTION kvcrm.undo_merge(uuid, uuid) IS
    'Undoes a merge and returns those of its leads that one sees, the survivor first: rows go back to the leads they came from, fields that nobody changed since go back to what they were. What was changed since is left, and named in a NOTICE and the log. The id is in lead_page (merges) and in the log entry of the merge. Needs leads:merge. 22023; PT404; 42501; 23514 when it was undone already, or the survivor was merged or converted since; 23505 naming the lead that has taken an e-mail or phone under the policy block.';

-- sql/code/74-erasure.sql

-- Erasure of personal data.

CREATE OR REPLACE FUNCTION kvcrm.erase_lead(lead_id uuid, organization_id uuid DEFAULT NULL) RETURNS kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'erase_lead';
COMMENT ON FUNCTION kvcrm.erase_lead(uuid, uuid) IS
    'Erases the personal data of a lead for good: its fields, those of leads merged into it, the texts of its activities, what the log and the journals keep of them, its duplicate pairs. Ids, times and stages stay. Can''t be undone. Needs leads:erase; 23514 for a merged lead and while legal_hold is set.';
CREATE OR REPLACE FUNCTION kvcrm.set_legal_hold(lead_id uuid, hold boolean DEFAULT true, organization_id uuid DEFAULT NULL) RETURNS kvcrm.leads
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'set_legal_hold';
COMMENT ON FUNCTION kvcrm.set_legal_hold(uuid, boolean, uuid) IS
    'Sets or lifts a legal hold: while it is set, erase_lead refuses the lead, which can be worked with like any other. Needs leads:erase.';

-- sql/code/75-timeline.sql

-- What happened to a lead, and to a customer.

CREATE OR REPLACE FUNCTION kvcrm.lead_timeline(lead_id uuid, before timestamptz DEFAULT NULL, page_size int DEFAULT 50,
    organization_id uuid DEFAULT NULL)
    RETURNS TABLE (at timestamptz, kind text, title text, body text, actor_id uuid, ref_id uuid, details jsonb)
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'lead_timeline';
COMMENT ON FUNCTION kvcrm.lead_timeline(uuid, timestamptz, int, uuid) IS
    'What happened to a lead, newest first, for whoever sees the lead. kind: activity (title, description; details: type, due_date, completed_at, assigned_to, metadata), stage_move (title: the stage entered, body: lost_reason; details: stage_id, stage_name, color, from_stage_id, from_stage_name, left_at), log (title: the action; details: {"field": {"old": ..., "new": ...}}), quote (as it is now; details: number, amount, currency, status, sent_at, decided_at, lead_id, customer_id), quote_change (body: the new status if that changed; details: as of log, quote_id, quote_number). ref_id is the id of the activity, stay, quote or log entry. Of a move that nothing else goes with there is the stage_move only. before: exclusive, the at of the last entry shown; a page is longer than page_size (1 to 1000) when entries share its last at, so none is lost between pages. 22023; PT404.';

CREATE OR REPLACE FUNCTION kvcrm.customer_timeline(customer_id uuid, before timestamptz DEFAULT NULL, page_size int DEFAULT 50,
    organization_id uuid DEFAULT NULL)
    RETURNS TABLE (at timestamptz, kind text, title text, body text, actor_id uuid, ref_id uuid, details jsonb)
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'customer_timeline';
COMMENT ON FUNCTION kvcrm.customer_timeline(uuid, timestamptz, int, uuid) IS
    'What happened to a customer, newest first, for whoever has customers:read: activity of the leads that became the customer (details as in lead_timeline, and lead_id, lead_name), conversion of each such lead (title: its name; details: lead_id, lead_name, contact_id, customer_created), quote and quote_change as in lead_timeline, log of the customer itself. Of leads that the caller does not see nothing is told, unless quotes:read shows their quotes. Pages work as in lead_timeline. 22023; PT404.';

-- sql/code/76-pages.sql

-- Pages: what a screen shows, in one call.

CREATE OR REPLACE FUNCTION kvcrm.lead_page(lead_id uuid, organization_id uuid DEFAULT NULL) RETURNS jsonb
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'lead_page';
COMMENT ON FUNCTION kvcrm.lead_page(uuid, uuid) IS
    'All that the page of a lead shows: {lead, stage, assignee, next_task, duplicates, customer, quotes, merges, timeline}. lead, stage, next_task and customer are rows; quotes are rows, the newest 50; assignee has user_id, display_name, email, team_id, role_slug, status; next_task is the open task (or call, meeting, e-mail with a date) that is due first; customer is null unless the lead is converted and the caller has customers:read; merges are those into the lead that can be undone, each {id, duplicate_ids, merged_by, merged_at}; timeline is the first page of lead_timeline. 22023; PT404.';

CREATE OR REPLACE FUNCTION kvcrm.my_tasks(due_before timestamptz DEFAULT NULL, organization_id uuid DEFAULT NULL)
    RETURNS SETOF kvcrm.lead_activities
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'my_tasks';
COMMENT ON FUNCTION kvcrm.my_tasks(timestamptz, uuid) IS
    'Activities assigned to the acting user that are not completed (notes aside), on leads the user sees that are not converted, merged or deleted: by due date, so overdue ones first, those without a date last. due_before: exclusive; leaves out those without a date. organization_id: null = all the user''s organizations. 42501 for nobody, or for an organization one is no active member of.';

CREATE OR REPLACE FUNCTION kvcrm.crm_overview(organization_id uuid DEFAULT NULL) RETURNS jsonb
    LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'crm_overview';
COMMENT ON FUNCTION kvcrm.crm_overview(uuid) IS
    'The dashboard: {my_tasks, my_pipeline, rotting_leads, recent_conversions}. my_tasks: the first 10 of my_tasks in the organization, with lead_name; my_pipeline: per stage lead_count and totals of one''s own live leads, {"RUB": {"value", "weighted"}}; rotting_leads: the 10 of the leads one sees that have been longest in a stage beyond its rotting_days; recent_conversions: the last 10 among the leads one sees. 22023 without an organization; 42501 without a permission leads:read_*.';

-- sql/code/78-bulk.sql

-- Bulk: the functions on one lead, for many.

CREATE OR REPLACE FUNCTION kvcrm.bulk_assign(lead_ids uuid[], assignee_id uuid, organization_id uuid DEFAULT NULL)
    RETURNS TABLE (lead_id uuid, ok boolean, error_code text, error text)
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'bulk_assign';
COMMENT ON FUNCTION kvcrm.bulk_assign(uuid[], uuid, uuid) IS
    'Assigns leads to an active member, null = to nobody: assign_lead for each. Each id is answered, in the order given; a lead that is refused does not undo the others, and an id given twice is done once. 22023 when lead_ids is null.';

CREATE OR REPLACE FUNCTION kvcrm.bulk_move(lead_ids uuid[], stage_id uuid, lost_reason text DEFAULT NULL, organization_id uuid DEFAULT NULL)
    RETURNS TABLE (lead_id uuid, ok boolean, error_code text, error text)
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'bulk_move';
COMMENT ON FUNCTION kvcrm.bulk_move(uuid[], uuid, text, uuid) IS
    'Moves leads to the end of a stage: move_lead for each. lost_reason is required for a lost stage. Each id is answered, in the order given; a lead that is refused does not undo the others, and an id given twice is done once. 22023 when lead_ids or stage_id is null.';

CREATE OR REPLACE FUNCTION kvcrm.bulk_delete(lead_ids uuid[], organization_id uuid DEFAULT NULL)
    RETURNS TABLE (lead_id uuid, ok boolean, error_code text, error text)
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'bulk_delete';
COMMENT ON FUNCTION kvcrm.bulk_delete(uuid[], uuid) IS
    'Deletes leads: delete_lead for each. Each id is answered, in the order given; a lead that is refused does not undo the others, and an id given twice is done once. 22023 when lead_ids is null.';

CREATE OR REPLACE FUNCTION kvcrm.bulk_qualify(lead_ids uuid[], on_match text DEFAULT 'link', organization_id uuid DEFAULT NULL)
    RETURNS TABLE (lead_id uuid, ok boolean, error_code text, error text)
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'bulk_qualify';
COMMENT ON FUNCTION kvcrm.bulk_qualify(uuid[], text, uuid) IS
    'Converts leads into customers: qualify_lead for each, with on_match link, create or error. Each id is answered, in the order given; a lead that is refused does not undo the others, and an id given twice is done once. 22023 when lead_ids is null or on_match unknown.';

-- sql/code/85-keys.sql

-- Tables without triggers and foreign keys of their own that hold a row to its organization.

CREATE OR REPLACE FUNCTION kvcrm.keep_keys() RETURNS trigger
    LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'keep_keys';
COMMENT ON FUNCTION kvcrm.keep_keys() IS 'Trigger: id and organization_id never change.';

CREATE OR REPLACE TRIGGER keep_keys BEFORE UPDATE ON kvcrm.lead_conversions
    FOR EACH ROW EXECUTE FUNCTION kvcrm.keep_keys();
CREATE OR REPLACE TRIGGER keep_keys BEFORE UPDATE ON kvcrm.lead_merges
    FOR EACH ROW EXECUTE FUNCTION kvcrm.keep_keys();
CREATE OR REPLACE TRIGGER keep_keys BEFORE UPDATE ON kvcrm.customer_identities
    FOR EACH ROW EXECUTE FUNCTION kvcrm.keep_keys();
CREATE OR REPLACE TRIGGER keep_keys BEFORE UPDATE ON kvcrm.lead_stage_counts
    FOR EACH ROW EXECUTE FUNCTION kvcrm.keep_keys();
CREATE OR REPLACE TRIGGER keep_keys BEFORE UPDATE ON kvcrm.lead_field_keys
    FOR EACH ROW EXECUTE FUNCTION kvcrm.keep_keys();
CREATE OR REPLACE TRIGGER keep_keys BEFORE UPDATE ON kvcrm.match_models
    FOR EACH ROW EXECUTE FUNCTION kvcrm.keep_keys();
CREATE OR REPLACE TRIGGER keep_keys BEFORE UPDATE ON kvcrm.match_common_values
    FOR EACH ROW EXECUTE FUNCTION kvcrm.keep_keys();

-- sql/code/90-access.sql

-- Rights of database roles on the API. What a role may do inside it is decided by its user's permissions.

CREATE OR REPLACE FUNCTION kvcrm.api_privileges()
    RETURNS TABLE (object_type text, object_name text, privilege text, columns text[])
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'schema', 'kvcrm', 'USAGE', NULL::text[]
    UNION ALL
    -- Everything but triggers and what only the owner may call.
    SELECT 'function', p.oid::regprocedure::text, 'EXECUTE', NULL
      FROM pg_proc p
      JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'kvcrm'
     WHERE p.pronamespace = 'kvcrm'::regnamespace
       AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
       AND p.proname NOT IN ('grant_api', 'api_privileges', 'check_installation', 'prepare_statements', 'derivation_version',
                             'search_keys', 'field_fits')
    UNION ALL
    SELECT 'table', 'kvcrm.' || t.name, 'SELECT', NULL
      FROM unnest(ARRAY['organizations', 'roles', 'teams', 'organization_members', 'lead_stages',
                        'lead_stage_transitions', 'lead_sources', 'custom_field_definitions', 'leads', 'lead_stage_history',
                        'lead_activities', 'customers', 'customer_contacts', 'quotes', 'activity_logs',
                        'duplicate_pairs']) AS t (name)
    UNION ALL
    SELECT 'table', 'kvcrm.custom_field_definitions', 'DELETE', NULL
    UNION ALL
    SELECT 'columns', 'kvcrm.' || t.name, v.privilege, string_to_array(v.columns, ' ')
      FROM (VALUES
        ('organizations', NULL, 'name locale default_country currency duplicate_policy settings'),
        ('roles', 'organization_id slug name permissions', 'name permissions'),
        ('teams', 'organization_id name', 'name'),
        ('organization_members', 'organization_id user_id role_slug team_id display_name email',
            'role_slug team_id status display_name email'),
        ('lead_stages', 'organization_id name description is_qualified outcome probability order_index color rotting_days',
            'name description is_qualified outcome probability order_index color rotting_days'),
        ('lead_stage_transitions', 'organization_id from_stage_id to_stage_id required_fields', 'required_fields'),
        ('lead_sources', 'organization_id slug name', 'name'),
        ('custom_field_definitions',
            'organization_id entity key name type required required_from_stage_id options order_index',
            'name type required required_from_stage_id options order_index'),
        ('leads', 'organization_id name email phone company position inn source stage_id assigned_to estimated_value'
            || ' currency custom_fields',
            'name email phone company position inn source stage_id assigned_to estimated_value currency custom_fields'
            || ' lost_reason'),
        ('lead_activities', 'organization_id lead_id type title description due_date completed_at assigned_to metadata',
            'type title description due_date completed_at assigned_to metadata'),
        ('customers', 'organization_id name company inn email phone notes custom_fields owner_user_id',
            'name company inn email phone notes custom_fields owner_user_id deleted_at'),
        ('customer_contacts', 'organization_id customer_id name email phone position is_primary',
            'name email phone position is_primary'),
        ('quotes', 'organization_id lead_id customer_id number title amount currency custom_fields',
            'number title amount currency status custom_fields')
      ) AS t (name, insertable, updatable),
      LATERAL (VALUES ('INSERT', t.insertable), ('UPDATE', t.updatable)) AS v (privilege, columns)
     WHERE v.columns IS NOT NULL
$$;
COMMENT ON FUNCTION kvcrm.api_privileges() IS 'Every privilege that grant_api gives, one row each.';

CREATE OR REPLACE FUNCTION kvcrm.grant_api(role_name text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    owner oid := (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'kvcrm');
    given record;
    object record;
BEGIN
    IF role_name IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'role_name is required';
    END IF;
    IF NOT (SELECT r.rolsuper OR r.oid = owner FROM pg_roles r WHERE r.rolname = current_user) THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'only a superuser or the owner of kvcrm may grant the API';
    END IF;
    IF lower(role_name) = 'public' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'the API is granted to named roles, not to PUBLIC';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role_name) THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'role does not exist', DETAIL = format('Role: %s.', role_name);
    END IF;
    -- Start from nothing, so that what an older version granted doesn't stay.
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA kvcrm FROM %I', role_name);
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA kvcrm FROM %I', role_name);
    EXECUTE format('REVOKE ALL ON SCHEMA kvcrm FROM %I', role_name);
    -- A column privilege of an older version is not touched by revoking the table's.
    FOR object IN
        SELECT c.oid::regclass AS name, string_agg(quote_ident(a.attname), ', ') AS columns
          FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relnamespace = 'kvcrm'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped AND a.attacl IS NOT NULL
         GROUP BY c.oid
    LOOP
        EXECUTE format('REVOKE ALL (%s) ON %s FROM %I', object.columns, object.name, role_name);
    END LOOP;
    FOR given IN SELECT * FROM kvcrm.api_privileges() LOOP
        IF given.object_type = 'columns' THEN
            EXECUTE format('GRANT %s (%s) ON %s TO %I', given.privilege,
                (SELECT string_agg(quote_ident(c), ', ') FROM unnest(given.columns) AS c), given.object_name, role_name);
        ELSE
            EXECUTE format('GRANT %s ON %s %s TO %I', given.privilege, given.object_type, given.object_name, role_name);
        END IF;
    END LOOP;
    INSERT INTO kvcrm.api_roles AS a (role_name) VALUES (grant_api.role_name)
        ON CONFLICT ON CONSTRAINT api_roles_pkey DO UPDATE SET updated_at = now();
END
$$;
COMMENT ON FUNCTION kvcrm.grant_api(text) IS
    'Gives a database role what API clients need, and nothing else; run it again after an update or a restore. For a superuser or the owner. 22023 for PUBLIC or an unknown role; 42501.';

CREATE OR REPLACE FUNCTION kvcrm.check_installation() RETURNS TABLE (problem text, hint text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('role %s lacks privileges of the API', a.role_name),
           format('SELECT kvcrm.grant_api(%L);', a.role_name)
      FROM kvcrm.api_roles a JOIN pg_roles r ON r.rolname = a.role_name
     WHERE EXISTS (
        SELECT FROM kvcrm.api_privileges() p
         WHERE CASE p.object_type
            WHEN 'schema' THEN NOT has_schema_privilege(r.oid, p.object_name, p.privilege)
            WHEN 'function' THEN NOT has_function_privilege(r.oid, p.object_name, p.privilege)
            WHEN 'table' THEN NOT has_table_privilege(r.oid, p.object_name, p.privilege)
            ELSE EXISTS (SELECT FROM unnest(p.columns) AS c
                          WHERE NOT has_column_privilege(r.oid, p.object_name, c, p.privilege))
            END)
    UNION ALL
    SELECT format('role %s was granted the API but does not exist in this cluster', a.role_name),
           format('CREATE ROLE %I; SELECT kvcrm.grant_api(%L);', a.role_name, a.role_name)
      FROM kvcrm.api_roles a
     WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = a.role_name)
    UNION ALL
    SELECT format('version %s is installed, %s is available', e.extversion, v.default_version),
           'ALTER EXTENSION kvcrm UPDATE;'
      FROM pg_extension e JOIN pg_available_extensions v ON v.name = e.extname
     WHERE e.extname = 'kvcrm' AND e.extversion <> v.default_version
    UNION ALL
    SELECT 'search and matching read what older rules derived',
           'SELECT kvcrm.refresh_derived(10000); until it returns 0.'
     WHERE EXISTS (SELECT FROM kvcrm.lead_fingerprints f WHERE f.derivation_version < kvcrm.derivation_version())
        OR EXISTS (SELECT FROM kvcrm.customer_fingerprints f WHERE f.derivation_version < kvcrm.derivation_version())
$$;
COMMENT ON FUNCTION kvcrm.check_installation() IS
    'What is not as it should be with this installation, and what to do: grants that are due, roles that are missing, an update that waits, derived rows that are out of date. No rows = all is well.';

CREATE OR REPLACE FUNCTION kvcrm.prepare_statements() RETURNS SETOF text
    LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'prepare_statements';
COMMENT ON FUNCTION kvcrm.prepare_statements() IS
    'Prepares every SQL statement of the module and returns their names; fails on one that does not fit the tables. For tests and after an update.';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA kvcrm FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA kvcrm FROM PUBLIC;
