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
COMMENT ON COLUMN kvcrm.customer_fingerprints.derivation_version IS 'What it was derived by, and whatever else is derived of the customer: see derivation_version(). Negative: a phone or e-mail address could not be written as derived by that.';
COMMENT ON COLUMN kvcrm.customer_fingerprints.created_at IS 'When the row was created.';
COMMENT ON COLUMN kvcrm.customer_fingerprints.updated_at IS 'When the row last changed.';

SELECT pg_catalog.pg_extension_config_dump('kvcrm.customer_identities', '');
SELECT pg_catalog.pg_extension_config_dump('kvcrm.customer_fingerprints', '');
