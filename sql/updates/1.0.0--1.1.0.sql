-- Changes of what 1.0.0 has. Each can be run again: IF EXISTS, IF NOT EXISTS, OR REPLACE.

-- Members take turns at new leads.
ALTER TABLE kvcrm.organization_members ADD COLUMN IF NOT EXISTS assignment_weight int NOT NULL DEFAULT 1
    CONSTRAINT organization_members_assignment_weight_in_range CHECK (assignment_weight BETWEEN 0 AND 100);
ALTER TABLE kvcrm.organization_members ADD COLUMN IF NOT EXISTS assignment_capacity int
    CONSTRAINT organization_members_assignment_capacity_not_negative CHECK (assignment_capacity >= 0);
COMMENT ON COLUMN kvcrm.organization_members.assignment_weight IS 'Share of the leads that are given in turn, 0 to 100; 0 = none.';
COMMENT ON COLUMN kvcrm.organization_members.assignment_capacity IS 'With how many open leads the member gets no more in turn; null = no limit.';
