// Organizations: creation with defaults, settings.
#include "crm/organizations.hpp"

#include "crm/conversion.hpp"
#include "crm/duplicate_policy.hpp"
#include "crm/identity.hpp"
#include "crm/permissions.hpp"
#include "crm/rows.hpp"
#include "pg/json.hpp"
#include "pg/relation_changes.hpp"
#include "pg/security.hpp"
#include "text/phone.hpp"

using namespace kvcrm;
using crm::Authorized;

namespace {

const pg::Statement<pg::Uuid> kRules{
    "organizations.rules",
    "SELECT default_country, currency::text, duplicate_policy = 'block',"
    " settings @> '{\"inn_check\": false}' FROM kvcrm.organizations WHERE id = $1"};

using OptionalText = std::optional<std::string>;

const pg::Statement<std::optional<pg::Uuid>, std::string, std::string, std::string> kInsert{
    "organizations.insert",
    "INSERT INTO kvcrm.organizations AS o (id, name, locale, default_country)"
    " VALUES (coalesce($1, kvcrm.uuid_v7()), $2, $3, $4) RETURNING o, o.id"};

const pg::Statement<pg::Uuid, pg::Uuid, OptionalText, OptionalText> kInsertOwner{
    "organizations.insert_owner",
    "INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, status, display_name, "
    "email)"
    " VALUES ($1, $2, 'owner', 'active', $3, $4)"};

const pg::Statement<pg::Uuid, std::string, std::string, std::vector<std::string>> kInsertRole{
    "organizations.insert_role",
    "INSERT INTO kvcrm.roles (organization_id, slug, name, permissions) VALUES ($1, $2, $3, $4)"};

const pg::Statement<pg::Uuid, std::string, std::string> kInsertSource{
    "organizations.insert_source",
    "INSERT INTO kvcrm.lead_sources (organization_id, slug, name) VALUES ($1, $2, $3)"};

const pg::Statement<pg::Uuid, std::string, std::string, bool, std::string, std::int32_t, std::int32_t,
                    std::optional<std::int32_t>>
    kInsertStage{
        "organizations.insert_stage",
        "INSERT INTO kvcrm.lead_stages (organization_id, name, color, is_qualified, outcome, probability,"
        " order_index, rotting_days) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"};

const pg::Statement<pg::Uuid> kLock{"organizations.lock",
                                    "SELECT 1 FROM kvcrm.organizations WHERE id = $1 FOR NO KEY UPDATE"};

const pg::Statement<> kLockLeads{"organizations.lock_leads",
                                 "LOCK TABLE kvcrm.leads IN SHARE ROW EXCLUSIVE MODE"};

// Makes the trigger of leads derive block_email and block_phone anew.
const pg::Statement<pg::Uuid> kRederiveBlocks{
    "organizations.rederive_blocks",
    "UPDATE kvcrm.leads SET block_email = block_email WHERE organization_id = $1 AND deleted_at IS NULL"
    " AND merged_into_id IS NULL AND (email_normalized IS NOT NULL OR phone_e164 IS NOT NULL)"};

struct DefaultRole {
  const char* slug;
  const char* russian;
  const char* english;
  std::vector<std::string> permissions;
};

const std::vector<DefaultRole>& DefaultRoles() {
  static const std::vector<DefaultRole> roles = {
      {"sales_team",
       "Менеджер по продажам",
       "Sales representative",
       {"leads:create", "leads:read_own", "leads:update_own", "leads:convert_own", "activities:create",
        "lead_stages:read", "customers:read", "quotes:create"}},
      {"sales_manager",
       "Руководитель продаж",
       "Sales manager",
       {"leads:create", "leads:read_all", "leads:update", "leads:delete", "leads:convert", "leads:assign",
        "leads:merge", "leads:import", "leads:export", "duplicates:review", "activities:*",
        "lead_stages:read", "teams:*", "customers:*", "quotes:*", "logs:read"}},
      {"admin",
       "Администратор",
       "Administrator",
       {"leads:*", "duplicates:*", "activities:*", "lead_stages:*", "fields:*", "scoring:*", "customers:*",
        "quotes:*", "members:*", "roles:*", "teams:*", "settings:*", "logs:*"}},
      {"owner", "Владелец", "Owner", {"*:*"}},
  };
  return roles;
}

struct DefaultSource {
  const char* slug;
  const char* russian;
  const char* english;
};
constexpr DefaultSource kDefaultSources[] = {
    {"website", "Сайт", "Website"},
    {"cold_call", "Холодный звонок", "Cold call"},
    {"referral", "Рекомендация", "Referral"},
    {"event", "Мероприятие", "Event"},
    {"inbound_email", "Входящее письмо", "Inbound e-mail"},
    {"other", "Другое", "Other"},
};

struct DefaultStage {
  const char* russian;
  const char* english;
  const char* color;
  bool is_qualified;
  const char* outcome;
  int probability;  // percent
  std::optional<std::int32_t> rotting_days;
};
constexpr DefaultStage kDefaultStages[] = {
    {"Новый лид", "New lead", "#1890ff", false, "open", 10, 7},
    {"Контакт установлен", "Contacted", "#faad14", false, "open", 30, 14},
    {"Квалифицирован", "Qualified", "#52c41a", true, "open", 60, 30},
    {"Продан", "Won", "#1890ff", true, "won", 100, std::nullopt},
    {"Потеря", "Lost", "#ff7875", false, "lost", 0, std::nullopt},
};

void InsertDefaults(const pg::Uuid& organization, bool russian) {
  for (const DefaultRole& role : DefaultRoles()) {
    kInsertRole(organization, role.slug, russian ? role.russian : role.english, role.permissions);
  }
  for (const DefaultSource& source : kDefaultSources) {
    kInsertSource(organization, source.slug, russian ? source.russian : source.english);
  }
  std::int32_t order = 0;
  for (const DefaultStage& stage : kDefaultStages) {
    kInsertStage(organization, russian ? stage.russian : stage.english, stage.color, stage.is_qualified,
                 stage.outcome, stage.probability, ++order, stage.rotting_days);
  }
}

enum Column { kId, kName, kLocale, kCountry, kPolicy, kSettings, kUpdatedAt, kColumnCount };
constexpr const char* kColumnNames[] = {
    "id", "name", "locale", "default_country", "duplicate_policy", "settings", "updated_at"};
pg::Columns columns_of_organizations(kColumnNames, kColumnCount);
constexpr crm::TextRule kTexts[] = {{kName, crm::kNameLength, true}};
constexpr const char* kSwitches[] = {"inn_check", "assignment_rules", "quote_accepted_wins"};

// A switch of another type, a text "true" say, would be taken as none.
void CheckSwitches(pg::Json settings) {
  using Kind = pg::JsonMember::Kind;
  for (const char* name : kSwitches) {
    const Kind kind = pg::FindMember(settings, name).kind;
    if (kind == Kind::kMissing || kind == Kind::kBoolean) continue;
    throw Error(ERRCODE_CHECK_VIOLATION, "setting " + std::string(name) + " is true or false")
        .Column("settings");
  }
}

}  // namespace

namespace kvcrm::crm {

void LockOrganization(const pg::Uuid& organization) { kLock(organization); }

std::optional<OrganizationRules> ReadOrganizationRules(const pg::Uuid& organization) {
  const pg::Rows rows = kRules.Latest(organization);
  if (rows.empty()) return std::nullopt;
  return OrganizationRules{rows.Get<std::string>(0, 0), rows.Get<std::string>(0, 1), rows.Get<bool>(0, 2),
                           !rows.Get<bool>(0, 3)};
}

}  // namespace kvcrm::crm

// Trigger before insert or update of organizations: texts, country, settings; locks writers of leads out
// before the duplicate policy is switched.
KVCRM_FUNCTION(organizations_before) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Proceed();
  const AttrNumber* at = columns_of_organizations.In(call.table());
  pg::Row row = call.New();
  std::optional<pg::Row> old;
  if (call.OnUpdate()) old.emplace(call.Old());
  if (old) {
    if (!crm::AnyChanged(row, *old)) return call.Proceed();
    crm::RequireUnchanged(row, *old, at[kId]);
  }
  crm::NormalizeTexts(row, old ? &*old : nullptr, kTexts, at, "organization");
  crm::NormalizeObject(row, at[kSettings], "organization");
  if (!old || crm::Changed(row, *old, at[kSettings])) {
    CheckSwitches(row.Get<pg::Json>(at[kSettings]));
    const pg::AsOwner owner;
    const pg::Session session(pg::Access::kWrite);
    crm::CheckRequiredSetting(row.Get<pg::Json>(at[kSettings]));
  }
  if (!row.IsNull(at[kCountry]) && !text::IsKnownRegion(crm::ViewText(row.At(at[kCountry])))) {
    throw Error(ERRCODE_CHECK_VIOLATION, "default_country is not a known country")
        .Hint("Use an ISO 3166-1 alpha-2 code such as RU.")
        .Column("default_country");
  }
  if (old) row.Set(at[kUpdatedAt], crm::Now());
  if (old && crm::Changed(row, *old, at[kPolicy])) {
    const pg::AsOwner owner;
    const pg::Session session(pg::Access::kWrite);
    kLockLeads();
  }
  return call.Proceed(row);
}

// Trigger after insert or update of organizations: the defaults of a new one; block_email and block_phone of
// its leads when the duplicate policy was switched.
KVCRM_FUNCTION(organizations_after) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Done();
  const AttrNumber* at = columns_of_organizations.In(call.table());
  const pg::Row row = call.New();
  const pg::Uuid organization = row.Get<pg::Uuid>(at[kId]);
  const pg::AsOwner owner;
  const pg::Session session(pg::Access::kWrite);
  const Authorized authorized;
  // What backends remember of settings is no longer so.
  if (call.OnUpdate() && crm::Changed(row, call.Old(), at[kSettings]))
    pg::InvalidateRelation(RelationGetRelid(call.table()));
  if (call.OnInsert()) {
    InsertDefaults(organization, row.Get<std::string>(at[kLocale]) == "ru");
  } else if (crm::Changed(row, call.Old(), at[kPolicy])) {
    if (row.Get<std::string>(at[kPolicy]) == "block") crm::RequireNoDuplicates(organization);
    kRederiveBlocks.Latest(organization);
  }
  return call.Done();
}

// create_organization(name, locale, default_country, owner_id, owner_name, owner_email, organization_id)
// -> organizations. The owner is the acting user; the system must name one, and may choose the new id.
// Errors: 22023 without a name or an owner; 42501 when users may not create organizations, or name another
// owner.
KVCRM_FUNCTION(create_organization) {
  const std::string name = args.Require<std::string>(0, "name");
  const std::string locale = args.Get<OptionalText>(1).value_or("ru");
  const std::string country = args.Get<OptionalText>(2).value_or("RU");
  const auto owner_id = args.Get<std::optional<pg::Uuid>>(3);
  const auto organization_id = args.Get<std::optional<pg::Uuid>>(6);

  const std::optional<pg::Uuid> user = crm::CurrentUser();
  if (!user && !pg::CallerIsTrusted()) {
    throw Error(ERRCODE_INSUFFICIENT_PRIVILEGE, "nobody is signed in")
        .Hint("Set request.jwt.claims or kvcrm.user_id to name the acting user.");
  }
  if (user && !crm::AnyoneMayCreateOrganizations()) {
    throw Error(ERRCODE_INSUFFICIENT_PRIVILEGE, "only the system may create organizations")
        .Hint("Setting kvcrm.organization_creation decides.");
  }
  if (user && owner_id && *owner_id != *user) {
    throw Error(ERRCODE_INSUFFICIENT_PRIVILEGE, "the owner of a new organization is the acting user");
  }
  if (user && organization_id) {
    throw Error(ERRCODE_INSUFFICIENT_PRIVILEGE, "only the system may choose the id of an organization");
  }
  if (!user && !owner_id) pg::Args::RaiseMissing("owner_id");

  pg::Session session(pg::Access::kWrite);
  const Authorized authorized;
  const pg::Rows rows = kInsert(organization_id, name, locale, country);
  kInsertOwner(rows.Get<pg::Uuid>(0, 1), user ? *user : *owner_id, args.Get<OptionalText>(4),
               args.Get<OptionalText>(5));
  return args.ReturnRow(rows.At(0, 0).datum);
}
