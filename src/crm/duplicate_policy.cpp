#include "crm/duplicate_policy.hpp"

#include <cstring>

#include "crm/leads.hpp"
#include "crm/lists.hpp"

namespace kvcrm::crm {

namespace {

using OptionalUuid = std::optional<pg::Uuid>;

constexpr const char* kHint =
    "find_duplicates(lead_id) finds the duplicates of a lead, scan_duplicates() those of the organization;"
    " merge them with merge_leads(survivor_id, duplicate_ids), or change or delete them, and switch again.";

#define LIVE                                                           \
  "FROM kvcrm.leads WHERE organization_id = $1 AND deleted_at IS NULL" \
  " AND merged_into_id IS NULL AND converted_at IS NULL"

// How many leads would have to go. Planned for the organization at hand: of a large one all leads are read,
// which an index would only slow down.
const pg::Statement<pg::Uuid> kCountDuplicates{
    "duplicate_policy.count",
    "SELECT (coalesce(sum(leads - 1), 0))::bigint FROM"
    " (SELECT count(*) " LIVE
    " AND email_normalized IS NOT NULL GROUP BY email_normalized HAVING count(*) > 1"
    " UNION ALL SELECT count(*) " LIVE
    " AND phone_e164 IS NOT NULL GROUP BY phone_e164 HAVING count(*) > 1) AS shared (leads)",
    pg::Plan::kCustom};

// The first pairs among the leads that somebody sees: all, or those of some members.
const pg::Statement<pg::Uuid, bool, std::vector<pg::Uuid>, std::int64_t> kFirstPairs{
    "duplicate_policy.first_pairs",
    "WITH visible AS MATERIALIZED (SELECT id, email_normalized, phone_e164 " LIVE
    " AND ($2 OR assigned_to = ANY ($3)))"
    " SELECT field, ids[1], ids[2] FROM"
    " (SELECT 'email' AS field, array_agg(id ORDER BY id) AS ids FROM visible WHERE email_normalized IN"
    "   (SELECT email_normalized FROM visible WHERE email_normalized IS NOT NULL"
    "     GROUP BY email_normalized HAVING count(*) > 1) GROUP BY email_normalized"
    " UNION ALL SELECT 'phone', array_agg(id ORDER BY id) FROM visible WHERE phone_e164 IN"
    "   (SELECT phone_e164 FROM visible WHERE phone_e164 IS NOT NULL"
    "     GROUP BY phone_e164 HAVING count(*) > 1) GROUP BY phone_e164) AS shared"
    " ORDER BY ids[1], field LIMIT $4",
    pg::Plan::kCustom};

constexpr std::int64_t kNamedPairs = 5;

std::string SameAs(const char* field) { return std::string("another live lead has the same ") + field; }

pg::Rows FirstVisiblePairs(const Caller& caller) {
  static const PermissionSet readers =
      PermissionSet::OfTokens({"leads:read_own", "leads:read_team", "leads:read_all"});
  ReadScope scope;
  if (caller.permissions.HasAny(readers)) scope = ReadScopeOf(caller);
  return kFirstPairs.Latest(caller.organization, scope.all, scope.members, kNamedPairs);
}

}  // namespace

void RaiseDuplicate(const Caller& caller, const char* field, const pg::Uuid& lead,
                    const OptionalUuid& assignee) {
  Error error(ERRCODE_UNIQUE_VIOLATION, SameAs(field));
  if (SeesLead(caller, assignee)) throw std::move(error).Detail("Lead " + lead.Text() + ".").Column(field);
  throw std::move(error).Column(field);
}

void RequireNoDuplicates(const pg::Uuid& organization) {
  const auto count = kCountDuplicates.Latest(organization).Get<std::int64_t>(0, 0);
  if (count == 0) return;
  const pg::Rows pairs = FirstVisiblePairs(CallerIn(organization));
  std::string detail;
  for (std::uint64_t i = 0; i < pairs.size(); ++i) {
    detail += (i == 0 ? "Leads " : "; leads ") + pairs.Get<pg::Uuid>(i, 1).Text() + " and " +
              pairs.Get<pg::Uuid>(i, 2).Text() + " have the same " + pairs.Get<std::string>(i, 0);
  }
  const auto rest = count - static_cast<std::int64_t>(pairs.size());
  if (pairs.empty()) {
    detail = "Pairs of leads with the same email or phone: " + std::to_string(count);
  } else if (rest > 0) {
    detail += "; further pairs: " + std::to_string(rest);
  }
  throw Error(ERRCODE_UNIQUE_VIOLATION,
              "duplicates can't be blocked while live leads share an email or phone")
      .Detail(detail + ".")
      .Hint(kHint)
      .Column("duplicate_policy");
}

void RewordDuplicate(ErrorData* error) {
  if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION || error->constraint_name == nullptr ||
      error->schema_name == nullptr || std::strcmp(error->schema_name, "kvcrm") != 0) {
    return;
  }
  const char* field = nullptr;
  if (std::strcmp(error->constraint_name, "leads_block_email") == 0) field = "email";
  if (std::strcmp(error->constraint_name, "leads_block_phone") == 0) field = "phone";
  if (field == nullptr) return;
  error->message = psprintf("another live lead has the same %s", field);
  // The index tells the key; the lead can't be looked up any more, the transaction is lost.
  error->detail = nullptr;
  error->column_name = pstrdup(field);
}

}  // namespace kvcrm::crm
