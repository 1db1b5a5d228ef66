-- What exports return. Types can't be replaced, so each is created where it is missing.

DO $types$
BEGIN
    IF pg_catalog.to_regtype('kvcrm.exported_lead') IS NULL THEN
        CREATE TYPE kvcrm.exported_lead AS (
            id                       uuid,
            name                     text,
            email                    text,
            phone                    text,
            company                  text,
            "position"               text,
            inn                      text,
            source                   text,
            stage                    text,
            status                   text,
            assigned_to              uuid,
            assignee                 text,
            estimated_value          numeric,
            currency                 text,
            score                    int,
            lost_reason              text,
            created_at               timestamptz,
            updated_at               timestamptz,
            stage_entered_at         timestamptz,
            qualified_at             timestamptz,
            converted_at             timestamptz,
            converted_to_customer_id uuid,
            merged_into_id           uuid,
            deleted_at               timestamptz,
            created_by               uuid,
            custom_fields            jsonb
        );
    END IF;
    -- PostgREST serves what a function returns as a domain named like a media type as just that.
    IF pg_catalog.to_regtype('kvcrm."text/csv"') IS NULL THEN
        CREATE DOMAIN kvcrm."text/csv" AS pg_catalog.text;
    END IF;
END
$types$;
COMMENT ON TYPE kvcrm.exported_lead IS 'A lead as leads_export gives it: stage and assignee by name.';
COMMENT ON DOMAIN kvcrm."text/csv" IS 'A CSV file; PostgREST 12 and later serves it as it is.';
