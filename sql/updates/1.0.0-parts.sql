-- Notes what has been added to the tables by hand, for 95-shipped.sql: what is there without being of the version that
-- is updated. That of 1.0.0 is listed here, kind, table and names, with the indexes that may be built before the update
-- (docs/upgrade.md); later ones say it themselves. Comes first.

DO $additions$
DECLARE
    shipped text[];
BEGIN
    -- Only if it is ours: an owner may have let others create functions here.
    IF EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'kvcrm'
                WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
                  AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = pg_catalog.to_regprocedure('kvcrm.shipped_parts()')) THEN
        EXECUTE 'SELECT pg_catalog.array_agg(pg_catalog.concat_ws(''|'', s.kind, s.part_of, s.name)) FROM kvcrm.shipped_parts() s' INTO shipped;
    ELSE
        SELECT pg_catalog.array_agg(pg_catalog.concat_ws('|', a[1], a[2], n)) INTO shipped
          FROM pg_catalog.string_to_table($list$column|activity_logs|action actor_id changes created_at entity_id entity_type feed_epoch id organization_id tx
column|api_roles|created_at role_name updated_at
column|custom_field_definitions|created_at entity id key name options order_index organization_id required required_from_stage_id type updated_at
column|customer_contacts|created_at customer_id email id is_primary name organization_id phone position updated_at
column|customer_fingerprints|created_at derivation_version id match_keys match_values organization_id updated_at
column|customer_identities|created_at customer_id id kind organization_id value
column|customers|company created_at created_by custom_fields deleted_at email id inn name notes organization_id owner_user_id phone source_lead_id updated_at
column|duplicate_pairs|created_at decided_at decided_by explanation id lead_id organization_id other_lead_id probability status updated_at
column|lead_activities|assigned_to completed_at created_at created_by description due_date id lead_id metadata organization_id title type updated_at
column|lead_conversions|before_image contact_id converted_by created_at customer_created customer_id id lead_id organization_id reverted_at reverted_by updated_at
column|lead_field_keys|created_at id keys organization_id updated_at
column|lead_fingerprints|created_at derivation_version id match_keys match_values organization_id search_text updated_at
column|lead_merges|before_image created_at duplicate_ids id merged_by organization_id survivor_id undone_at undone_by updated_at
column|lead_sources|created_at id name organization_id slug updated_at
column|lead_stage_counts|assigned_to created_at currency id leads organization_id stage_id value
column|lead_stage_history|created_at entered_at id lead_id left_at merged_from_id moved_by organization_id stage_id updated_at
column|lead_stage_transitions|created_at from_stage_id id organization_id required_fields to_stage_id updated_at
column|lead_stages|color created_at description id is_qualified name order_index organization_id outcome probability rotting_days updated_at
column|leads|assigned_to block_email block_phone board_rank company converted_at converted_to_customer_id created_at created_by currency custom_fields deleted_at email email_normalized erased_at estimated_value id inn legal_hold lost_reason merged_into_id name organization_id phone phone_e164 position qualified_at score source stage_entered_at stage_id status updated_at version
column|match_common_values|created_at hash id organization_id records updated_at
column|match_models|created_at diagnostics duplicates id organization_id others prior trained_at trained_by updated_at version weights
column|organization_members|created_at display_name email id organization_id role_slug status team_id updated_at user_id
column|organizations|created_at currency default_country duplicate_policy id locale name settings updated_at
column|quotes|amount created_at created_by currency custom_fields customer_id decided_at id lead_id number organization_id sent_at status title updated_at
column|roles|created_at id name organization_id permissions slug updated_at
column|teams|created_at id name organization_id updated_at
constraint|activity_logs|activity_logs_pkey
constraint|api_roles|api_roles_pkey
constraint|custom_field_definitions|custom_field_definitions_entity_check custom_field_definitions_key_is_name custom_field_definitions_options_of_select custom_field_definitions_organization_id_entity_key_key custom_field_definitions_organization_id_fkey custom_field_definitions_pkey custom_field_definitions_required_from_stage_id_organizati_fkey custom_field_definitions_stage_requires custom_field_definitions_type_check
constraint|customer_contacts|customer_contacts_customer_id_organization_id_fkey customer_contacts_pkey
constraint|customer_fingerprints|customer_fingerprints_pkey
constraint|customer_identities|customer_identities_organization_id_kind_value_key customer_identities_pkey
constraint|customers|customers_organization_id_fkey customers_pkey
constraint|duplicate_pairs|duplicate_pairs_in_order duplicate_pairs_lead_id_organization_id_fkey duplicate_pairs_other_lead_id_organization_id_fkey duplicate_pairs_pkey duplicate_pairs_probability_check duplicate_pairs_status_check
constraint|lead_activities|lead_activities_lead_id_organization_id_fkey lead_activities_metadata_check lead_activities_pkey lead_activities_type_check
constraint|lead_conversions|lead_conversions_pkey
constraint|lead_field_keys|lead_field_keys_id_organization_id_fkey lead_field_keys_pkey
constraint|lead_fingerprints|lead_fingerprints_id_organization_id_fkey lead_fingerprints_pkey
constraint|lead_merges|lead_merges_pkey
constraint|lead_sources|lead_sources_organization_id_fkey lead_sources_organization_id_slug_key lead_sources_pkey lead_sources_slug_check
constraint|lead_stage_counts|lead_stage_counts_pkey
constraint|lead_stage_history|lead_stage_history_lead_id_organization_id_fkey lead_stage_history_pkey
constraint|lead_stage_transitions|lead_stage_transitions_check lead_stage_transitions_from_stage_id_organization_id_fkey lead_stage_transitions_organization_id_from_stage_id_to_sta_key lead_stage_transitions_pkey lead_stage_transitions_to_stage_id_organization_id_fkey
constraint|lead_stages|lead_stages_color_check lead_stages_lost_is_not_qualified lead_stages_organization_id_fkey lead_stages_organization_id_name_key lead_stages_outcome_check lead_stages_pkey lead_stages_probability_check lead_stages_rotting_days_check lead_stages_won_is_qualified
constraint|leads|leads_converted_to_customer_id_organization_id_fkey leads_currency_is_iso leads_estimated_value_not_negative leads_merged_into_id_organization_id_fkey leads_organization_id_fkey leads_pkey leads_stage_id_organization_id_fkey leads_status_check
constraint|match_common_values|match_common_values_organization_id_fkey match_common_values_organization_id_hash_records_key match_common_values_pkey match_common_values_records_check
constraint|match_models|match_models_organization_id_fkey match_models_organization_id_key match_models_pkey match_models_weights_check
constraint|organization_members|organization_members_organization_id_fkey organization_members_organization_id_role_slug_fkey organization_members_organization_id_user_id_key organization_members_pkey organization_members_status_check organization_members_team_id_organization_id_fkey
constraint|organizations|organizations_currency_check organizations_default_country_check organizations_duplicate_policy_check organizations_locale_check organizations_pkey organizations_settings_check
constraint|quotes|quotes_amount_not_negative quotes_currency_is_iso quotes_customer_id_organization_id_fkey quotes_decided_at_follows_status quotes_is_for_somebody quotes_lead_id_organization_id_fkey quotes_number quotes_pkey quotes_sent_at_follows_status quotes_status_check
constraint|roles|roles_organization_id_fkey roles_organization_id_slug_key roles_permissions_check roles_pkey roles_slug_check
constraint|teams|teams_organization_id_fkey teams_organization_id_name_key teams_pkey
index|activity_logs|activity_logs_entity activity_logs_feed activity_logs_pkey
index|api_roles|api_roles_pkey
index|custom_field_definitions|custom_field_definitions_organization_id_entity_key_key custom_field_definitions_pkey
index|customer_contacts|customer_contacts_customer customer_contacts_one_primary customer_contacts_pkey
index|customer_fingerprints|customer_fingerprints_keys customer_fingerprints_pkey
index|customer_identities|customer_identities_customer customer_identities_organization_id_kind_value_key customer_identities_pkey
index|customers|customers_newest customers_pkey
index|duplicate_pairs|duplicate_pairs_leads duplicate_pairs_open duplicate_pairs_other duplicate_pairs_pkey
index|lead_activities|lead_activities_due lead_activities_lead lead_activities_pkey
index|lead_conversions|lead_conversions_lead lead_conversions_newest lead_conversions_one_stands lead_conversions_pkey
index|lead_field_keys|lead_field_keys_keys lead_field_keys_pkey
index|lead_fingerprints|lead_fingerprints_keys lead_fingerprints_newest lead_fingerprints_pkey lead_fingerprints_search
index|lead_merges|lead_merges_pkey lead_merges_survivor
index|lead_sources|lead_sources_organization_id_slug_key lead_sources_pkey
index|lead_stage_counts|lead_stage_counts_key lead_stage_counts_pkey
index|lead_stage_history|lead_stage_history_entered lead_stage_history_lead lead_stage_history_one_stay lead_stage_history_pkey
index|lead_stage_transitions|lead_stage_transitions_organization_id_from_stage_id_to_sta_key lead_stage_transitions_pkey
index|lead_stages|lead_stages_organization_id_name_key lead_stages_pkey
index|leads|leads_assigned leads_block_email leads_block_phone leads_column leads_customer leads_inn leads_merged leads_name leads_newest leads_own_column leads_pkey leads_score leads_stage leads_updated leads_value
index|match_common_values|match_common_values_organization_id_hash_records_key match_common_values_pkey
index|match_models|match_models_organization_id_key match_models_pkey
index|organization_members|organization_members_organization_id_user_id_key organization_members_pkey organization_members_team organization_members_user
index|organizations|organizations_pkey
index|quotes|quotes_customer quotes_lead quotes_number quotes_pkey
index|roles|roles_organization_id_slug_key roles_pkey
index|teams|teams_organization_id_name_key teams_pkey
policy|activity_logs|activity_logs_select
policy|custom_field_definitions|custom_field_definitions_delete custom_field_definitions_insert custom_field_definitions_select custom_field_definitions_update
policy|customer_contacts|customer_contacts_insert customer_contacts_select customer_contacts_update
policy|customers|customers_insert customers_select customers_update
policy|duplicate_pairs|duplicate_pairs_select
policy|lead_activities|lead_activities_insert lead_activities_select lead_activities_update
policy|lead_sources|lead_sources_insert lead_sources_select lead_sources_update
policy|lead_stage_history|lead_stage_history_select
policy|lead_stage_transitions|lead_stage_transitions_insert lead_stage_transitions_select lead_stage_transitions_update
policy|lead_stages|lead_stages_insert lead_stages_select lead_stages_update
policy|leads|leads_insert leads_select leads_update
policy|organization_members|organization_members_insert organization_members_select organization_members_update
policy|organizations|organizations_select organizations_update
policy|quotes|quotes_insert quotes_select quotes_update
policy|roles|roles_insert roles_select roles_update
policy|teams|teams_insert teams_select teams_update
trigger|activity_logs|append_only refuse_truncate
trigger|custom_field_definitions|custom_field_definitions_after custom_field_definitions_before log_delete log_insert log_update
trigger|customer_contacts|customer_contacts_before fingerprints_delete fingerprints_insert fingerprints_update log_delete log_insert log_update
trigger|customer_identities|keep_keys
trigger|customers|customers_after customers_before fingerprints_insert fingerprints_update log_delete log_insert log_update
trigger|lead_activities|lead_activities_before log_delete log_insert log_update
trigger|lead_conversions|keep_keys
trigger|lead_field_keys|keep_keys
trigger|lead_merges|keep_keys
trigger|lead_sources|lead_sources_before log_delete log_insert log_update
trigger|lead_stage_counts|keep_keys
trigger|lead_stage_transitions|lead_stage_transitions_before log_delete log_insert log_update
trigger|lead_stages|lead_stages_after_delete lead_stages_after_insert lead_stages_after_update lead_stages_before log_delete log_insert log_update
trigger|leads|leads_after_delete leads_after_insert leads_after_update leads_before log_delete log_insert log_update refuse_truncate
trigger|match_common_values|keep_keys
trigger|match_models|keep_keys
trigger|organization_members|log_delete log_insert log_update organization_members_after organization_members_before
trigger|organizations|log_delete log_insert log_update organizations_after organizations_before
trigger|quotes|log_delete log_insert log_update quotes_after quotes_before
trigger|roles|log_delete log_insert log_update roles_before
trigger|teams|log_delete log_insert log_update teams_before$list$, E'\n') AS line, pg_catalog.string_to_array(line, '|') AS a, pg_catalog.string_to_table(a[3], ' ') AS n;
    END IF;
    PERFORM pg_catalog.set_config('kvcrm_update.additions', coalesce((
        WITH relations AS (
            SELECT c.* FROM pg_catalog.pg_class c
              JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'
              JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND e.oid = d.refobjid AND e.extname = 'kvcrm'
        ), parts (kind, part_of, name) AS (
        SELECT 'column', r.relname, a.attname FROM pg_catalog.pg_attribute a JOIN relations r ON r.oid = a.attrelid WHERE a.attnum > 0 AND NOT a.attisdropped
        UNION ALL SELECT 'index', r.relname, x.relname FROM pg_catalog.pg_index i JOIN relations r ON r.oid = i.indrelid JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
        UNION ALL SELECT 'constraint', r.relname, k.conname FROM pg_catalog.pg_constraint k JOIN relations r ON r.oid = k.conrelid WHERE k.contype NOT IN ('n', 't')
        UNION ALL SELECT 'trigger', r.relname, t.tgname FROM pg_catalog.pg_trigger t JOIN relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
        UNION ALL SELECT 'policy', r.relname, p.polname FROM pg_catalog.pg_policy p JOIN relations r ON r.oid = p.polrelid
        UNION ALL SELECT 'rule', r.relname, w.rulename FROM pg_catalog.pg_rewrite w JOIN relations r ON r.oid = w.ev_class
        UNION ALL SELECT 'statistics', r.relname, s.stxname FROM pg_catalog.pg_statistic_ext s JOIN relations r ON r.oid = s.stxrelid
        )
        SELECT pg_catalog.string_agg(p.line, E'\n')
          FROM (SELECT pg_catalog.concat_ws('|', parts.kind, parts.part_of, parts.name) AS line FROM parts) AS p
         WHERE p.line <> ALL (shipped)), ''), true);
END
$additions$;
