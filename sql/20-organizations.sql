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
    assignment_weight   int     NOT NULL DEFAULT 1 CONSTRAINT organization_members_assignment_weight_in_range CHECK (assignment_weight BETWEEN 0 AND 100),
    assignment_capacity int     CONSTRAINT organization_members_assignment_capacity_not_negative CHECK (assignment_capacity >= 0),
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
COMMENT ON COLUMN kvcrm.organization_members.assignment_weight IS 'Share of the leads that are given in turn, 0 to 100; 0 = none.';
COMMENT ON COLUMN kvcrm.organization_members.assignment_capacity IS 'With how many open leads the member gets no more in turn; null = no limit.';

COMMENT ON TABLE kvcrm.api_roles IS 'Database roles that got kvcrm.grant_api; check_installation() compares their grants.';
COMMENT ON COLUMN kvcrm.api_roles.role_name IS 'Name of the database role.';
COMMENT ON COLUMN kvcrm.api_roles.created_at IS 'When grant_api was first called for it.';
COMMENT ON COLUMN kvcrm.api_roles.updated_at IS 'When grant_api was last called for it.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.organizations', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.roles', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.teams', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.organization_members', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.api_roles', '');
