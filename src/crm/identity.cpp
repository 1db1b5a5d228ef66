#include "crm/identity.hpp"

#include <string>

#include "pg/entry.hpp"
#include "pg/json.hpp"
#include "pg/security.hpp"
#include "pg/statement.hpp"

extern "C" {
#include "utils/guc.h"
}

namespace kvcrm::crm {

namespace {

char* user_id_setting = nullptr;
char* organization_id_setting = nullptr;

enum OrganizationCreation { kAnyone, kSystem };
int organization_creation = kAnyone;
const config_enum_entry kOrganizationCreation[] = {
    {"anyone", kAnyone, false}, {"system", kSystem, false}, {nullptr, 0, false}};

const pg::Statement<pg::Uuid> kActiveMemberships{"identity.active_memberships",
                                                 "SELECT organization_id FROM kvcrm.organization_members "
                                                 "WHERE user_id = $1 AND status = 'active' LIMIT 2"};

[[noreturn]] void RaiseInvalid(const std::string& what) {
  throw Error(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, what);
}

// A setting's value; the empty string counts as not set (settings are '' after the transaction that set
// them).
const char* Setting(const char* name) {
  const char* value = pg::Call([&] { return GetConfigOption(name, true, false); });
  return value != nullptr && value[0] != '\0' ? value : nullptr;
}

pg::Uuid ParseId(const std::string& text, const char* what) {
  const std::optional<pg::Uuid> id = pg::Uuid::Parse(text);
  if (!id) RaiseInvalid(std::string(what) + " is not a UUID");
  return *id;
}

std::optional<pg::Uuid> MemberId(const pg::JsonMember& member, const char* what) {
  switch (member.kind) {
    case pg::JsonMember::Kind::kMissing:
    case pg::JsonMember::Kind::kNull:
      return std::nullopt;
    case pg::JsonMember::Kind::kString:
      if (member.text.empty()) return std::nullopt;
      return ParseId(member.text, what);
    default:
      RaiseInvalid(std::string(what) + " is not a UUID");
  }
}

struct Claims {
  std::optional<pg::Uuid> user, organization;
};

Claims ParseClaims(const char* text) {
  pg::Json json;
  try {
    json = pg::ParseJson(text);
  } catch (const pg::Error& error) {
    if (error.sqlstate() == ERRCODE_QUERY_CANCELED) throw;
    RaiseInvalid("request.jwt.claims is not JSON");
  }
  if (!pg::IsJsonObject(json)) RaiseInvalid("request.jwt.claims is not a JSON object");
  Claims claims;
  claims.user = MemberId(pg::FindMember(json, "sub"), "claim sub");
  claims.organization = MemberId(pg::FindMember(json, "organization_id"), "claim organization_id");
  if (!claims.organization) {
    const pg::JsonMember metadata = pg::FindMember(json, "app_metadata");
    if (metadata.kind == pg::JsonMember::Kind::kObject) {
      claims.organization =
          MemberId(pg::FindMember(metadata.value, "organization_id"), "claim organization_id");
    }
  }
  return claims;
}

// The claims of the session, or nothing when there are none. Kept against their exact text.
const Claims* CurrentClaims() {
  static std::string text;
  static Claims claims;
  const char* current = Setting("request.jwt.claims");
  if (current == nullptr) return nullptr;
  if (text != current) {
    text.clear();
    claims = ParseClaims(current);
    text = current;
  }
  return &claims;
}

}  // namespace

void DefineSettings() {
  DefineCustomStringVariable("kvcrm.user_id", "The acting user, when no JWT claims name one.", nullptr,
                             &user_id_setting, "", PGC_USERSET, 0, nullptr, nullptr, nullptr);
  DefineCustomStringVariable("kvcrm.organization_id",
                             "The current organization, when no JWT claims name one.", nullptr,
                             &organization_id_setting, "", PGC_USERSET, 0, nullptr, nullptr, nullptr);
  DefineCustomEnumVariable("kvcrm.organization_creation", "Who may create organizations: anyone or system.",
                           nullptr, &organization_creation, kAnyone, kOrganizationCreation, PGC_SUSET, 0,
                           nullptr, nullptr, nullptr);
}

std::optional<pg::Uuid> CurrentUser() {
  // Once there are claims they alone decide: a claim without sub is nobody, whatever the settings say.
  if (const Claims* claims = CurrentClaims(); claims != nullptr) return claims->user;
  if (const char* sub = Setting("request.jwt.claim.sub"); sub != nullptr) {
    return ParseId(sub, "request.jwt.claim.sub");
  }
  if (user_id_setting != nullptr && user_id_setting[0] != '\0')
    return ParseId(user_id_setting, "kvcrm.user_id");
  return std::nullopt;
}

std::optional<pg::Uuid> NamedOrganization() {
  if (const Claims* claims = CurrentClaims(); claims != nullptr && claims->organization)
    return claims->organization;
  if (organization_id_setting != nullptr && organization_id_setting[0] != '\0') {
    return ParseId(organization_id_setting, "kvcrm.organization_id");
  }
  return std::nullopt;
}

std::optional<pg::Uuid> CurrentOrganization() {
  if (const std::optional<pg::Uuid> named = NamedOrganization(); named) return named;
  const std::optional<pg::Uuid> user = CurrentUser();
  if (!user) return std::nullopt;
  const pg::Rows rows = kActiveMemberships(*user);
  if (rows.size() != 1) return std::nullopt;
  return rows.Get<pg::Uuid>(0, 0);
}

bool ActsAsSystem() { return !CurrentUser() && pg::CallerIsTrusted(); }

bool AnyoneMayCreateOrganizations() { return organization_creation == kAnyone; }

}  // namespace kvcrm::crm

// current_user_id() -> uuid: the acting user, null for nobody.
// Errors: 28000 when the claims are not a JSON object or their sub is not a UUID.
KVCRM_FUNCTION(current_user_id) { return args.Return(kvcrm::crm::CurrentUser()); }

// current_organization_id() -> uuid: what the claims or settings name, else the user's only active
// membership. Errors: 28000 as current_user_id.
KVCRM_FUNCTION(current_organization_id) {
  if (const auto named = kvcrm::crm::NamedOrganization(); named) return args.Return(named);
  kvcrm::pg::Session session(kvcrm::pg::Access::kRead);
  return args.Return(kvcrm::crm::CurrentOrganization());
}
