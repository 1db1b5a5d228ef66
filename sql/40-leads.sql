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
COMMENT ON COLUMN kvcrm.lead_fingerprints.derivation_version IS 'What it was derived by, and whatever else is derived of the lead: see derivation_version(). Negative: a phone or e-mail address could not be written as derived by that.';
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
