#include "crm/ownership.hpp"

#include <algorithm>

#include "pg/entry.hpp"
#include "pg/statement.hpp"
#include "text/email.hpp"

namespace kvcrm::crm {

namespace {

const pg::Statement<pg::Uuid, std::string, std::string, pg::Uuid> kClaim{
    "ownership.claim",
    "INSERT INTO kvcrm.customer_identities (organization_id, kind, value, customer_id) VALUES ($1, $2, $3, "
    "$4) ON CONFLICT (organization_id, kind, value) DO NOTHING"};

// The weakest lock that keeps the value from being given up: claims don't wait for each other.
const pg::Statement<pg::Uuid, std::string, std::string> kOwner{
    "ownership.owner",
    "SELECT customer_id FROM kvcrm.customer_identities WHERE organization_id = $1 AND kind = $2 AND value = "
    "$3 FOR KEY SHARE"};

const pg::Statement<pg::Uuid, std::string, std::string, pg::Uuid> kStandInLine{
    "ownership.stand_in_line",
    "INSERT INTO kvcrm.customer_identity_heirs (organization_id, kind, value, customer_id) VALUES ($1, $2, "
    "$3, "
    "$4) ON CONFLICT (organization_id, kind, value, customer_id) DO NOTHING"};

const pg::Statement<pg::Uuid, pg::Uuid> kAllOf{
    "ownership.all_of",
    "SELECT kind, value FROM kvcrm.customer_identities WHERE customer_id = $1 AND organization_id = $2"
    " UNION ALL"
    " SELECT kind, value FROM kvcrm.customer_identity_heirs WHERE customer_id = $1 AND organization_id = $2"};

const pg::Statement<pg::Uuid, std::string, std::string> kLock{
    "ownership.lock",
    "SELECT 1 FROM kvcrm.customer_identities WHERE organization_id = $1 AND kind = $2 AND value = $3 FOR "
    "UPDATE"};

// The oldest customer is the first in line: ids are ordered by time.
const pg::Statement<pg::Uuid, std::string, std::string, pg::Uuid> kGiveUp{
    "ownership.give_up",
    "WITH heir AS MATERIALIZED (SELECT h.customer_id FROM kvcrm.customer_identity_heirs h"
    "   WHERE h.organization_id = $1 AND h.kind = $2 AND h.value = $3 AND h.customer_id <> $4"
    "   AND EXISTS (SELECT FROM kvcrm.customer_identities i WHERE i.organization_id = $1 AND i.kind = $2"
    "     AND i.value = $3 AND i.customer_id = $4) ORDER BY h.customer_id LIMIT 1),"
    " passed AS (UPDATE kvcrm.customer_identities i SET customer_id = heir.customer_id FROM heir"
    "   WHERE i.organization_id = $1 AND i.kind = $2 AND i.value = $3 AND i.customer_id = $4),"
    " left_the_line AS (DELETE FROM kvcrm.customer_identity_heirs h WHERE h.organization_id = $1 AND h.kind "
    "= $2"
    "   AND h.value = $3 AND h.customer_id IN ($4, (SELECT heir.customer_id FROM heir)))"
    " DELETE FROM kvcrm.customer_identities i WHERE i.organization_id = $1 AND i.kind = $2 AND i.value = $3"
    "   AND i.customer_id = $4 AND NOT EXISTS (SELECT FROM heir)"};

}  // namespace

std::optional<std::string> OwnedForm(std::string_view kind, std::optional<std::string> value) {
  if (!value) return value;
  if (kind == "email") return text::NormalizeEmail(*value);
  if (kind == "phone" && !value->starts_with('+')) return std::nullopt;
  return value;
}

void ClaimIdentity(const pg::Uuid& organization, const pg::Uuid& customer, const Identity& identity) {
  const auto& [kind, value] = identity;
  while (kClaim(organization, kind, value, customer).empty()) {
    pg::CheckForInterrupts();
    const pg::Rows owner = kOwner.Latest(organization, kind, value);
    // Given up meanwhile, with nobody in line.
    if (owner.empty()) continue;
    if (owner.Get<pg::Uuid>(0, 0) != customer) kStandInLine(organization, kind, value, customer);
    return;
  }
}

void GiveUpIdentity(const pg::Uuid& organization, const pg::Uuid& customer, const Identity& identity) {
  kLock.Latest(organization, identity.kind, identity.value);
  // Whoever came to stand in line while this one waited is seen.
  kGiveUp.Latest(organization, identity.kind, identity.value, customer);
}

void GiveUpAllIdentities(const pg::Uuid& organization, const pg::Uuid& customer) {
  const pg::Rows rows = kAllOf.Latest(customer, organization);
  std::vector<Identity> identities;
  for (std::uint64_t i = 0; i < rows.size(); ++i)
    identities.push_back({rows.Get<std::string>(i, 0), rows.Get<std::string>(i, 1)});
  std::sort(identities.begin(), identities.end());
  for (const Identity& identity : identities) GiveUpIdentity(organization, customer, identity);
}

}  // namespace kvcrm::crm
