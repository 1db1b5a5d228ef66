#include "crm/duplicate_warnings.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "crm/duplicates.hpp"
#include "crm/match_explanation.hpp"
#include "crm/matcher.hpp"

using namespace kvcrm;

namespace {

// So many of one lead are told and put under review.
constexpr std::size_t kMostPerLead = 10;

const pg::Statement<pg::Uuid> kWarns{
    "duplicate_warnings.warns", "SELECT duplicate_policy = 'warn' FROM kvcrm.organizations WHERE id = $1"};

// A decided pair stays as it was decided.
const crm::BulkInsert kRecordPairs(
    "duplicate_warnings.record_pairs",
    "INSERT INTO kvcrm.duplicate_pairs AS p (organization_id, lead_id, other_lead_id, probability, "
    "explanation)",
    {UUIDOID, UUIDOID, UUIDOID, FLOAT8OID, JSONBOID},
    " ON CONFLICT (organization_id, lead_id, other_lead_id) DO UPDATE SET probability = excluded.probability,"
    " explanation = excluded.explanation, updated_at = now() WHERE p.status = 'open'");

bool Warns(const pg::Uuid& organization) {
  const crm::DuplicateChoice* chosen = crm::DuplicateChoice::Current();
  if (chosen != nullptr && chosen->choice()) return *chosen->choice() == crm::OnDuplicate::kWarn;
  const pg::Rows rows = kWarns(organization);
  return !rows.empty() && rows.Get<bool>(0, 0);
}

void Notice(const std::string& message, const std::string& detail, const std::string& hint) {
  pg::Call([&] {
    ereport(NOTICE, (errmsg("%s", message.c_str()), detail.empty() ? 0 : errdetail("%s", detail.c_str()),
                     errhint("%s", hint.c_str())));
  });
}

struct PairKey {
  pg::Uuid organization, first, second;
  auto operator<=>(const PairKey&) const = default;
};

// Every writer of pairs takes them in this order, so that two can't wait for each other.
void RecordPairs(const std::map<PairKey, match::Comparison>& pairs) {
  crm::BulkInsert::Batch batch(kRecordPairs);
  for (const auto& [key, comparison] : pairs) {
    pg::Value explanation;
    {
      const pg::InContext in(batch.context());
      explanation = pg::ToValue(crm::ExplanationOf(comparison));
    }
    batch.Add({batch.Make(key.organization), batch.Make(key.first), batch.Make(key.second),
               batch.Make(comparison.probability), explanation});
  }
  batch.Flush();
}

// "lead X, customer Y and 2 more that you can't see"
std::string Listed(const std::vector<std::string>& seen, std::size_t hidden) {
  std::string text;
  for (const std::string& one : seen) text += (text.empty() ? "" : ", ") + one;
  if (hidden == 0) return text;
  if (seen.empty()) return std::to_string(hidden) + " that you can't see";
  return text + " and " + std::to_string(hidden) + " more that you can't see";
}

}  // namespace

namespace kvcrm::crm {

DuplicateChoice* DuplicateChoice::innermost_ = nullptr;

std::optional<OnDuplicate> ParseOnDuplicate(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  if (*text == "allow") return OnDuplicate::kAllow;
  if (*text == "warn") return OnDuplicate::kWarn;
  if (*text == "block") return OnDuplicate::kBlock;
  throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "on_duplicate must be allow, warn or block");
}

void DuplicateWarnings::Give() {
  std::map<pg::Uuid, std::optional<Caller>> warned;
  for (const pg::Uuid& organization : organizations_) {
    if (Warns(organization)) warned.emplace(organization, std::nullopt);
  }
  if (warned.empty()) return;
  DuplicateChoice* call = DuplicateChoice::Current();
  if (call != nullptr && call->told_to_scan()) return;
  if ((call != nullptr ? call->CountLeads(count_) : count_) > kMost) {
    if (call != nullptr) call->TellToScan();
    Notice("many leads were written at once and not compared with others", "",
           "Look for their duplicates with scan_duplicates().");
    return;
  }
  std::map<PairKey, match::Comparison> pairs;
  std::string detail;
  std::size_t leads = 0;
  for (const LeadKey& key : leads_) {
    const auto organization = warned.find(key.organization);
    if (organization == warned.end()) continue;
    if (!organization->second) organization->second = CallerIn(key.organization);
    const Caller& caller = *organization->second;
    Lead lead;
    lead.caller = caller;
    lead.id = key.id;
    const Sought sought = SoughtLead(lead);
    std::vector<std::string> seen;
    std::size_t hidden = 0;
    std::vector<Match> matches = FindMatches(caller, sought, match::kShippedThreshold);
    if (matches.size() > kMostPerLead) matches.resize(kMostPerLead);
    for (const Match& match : matches) {
      if (!match.visible)
        ++hidden;
      else
        seen.push_back((match.is_customer ? "customer " : "lead ") + match.id.Text());
      if (match.is_customer) continue;
      const auto [first, second] = std::minmax(key.id, match.id);
      pairs.insert_or_assign({key.organization, first, second}, match.comparison);
    }
    if (seen.empty() && hidden == 0) continue;
    ++leads;
    detail +=
        (detail.empty() ? "" : "\n") + ("Lead " + key.id.Text()) + " is like " + Listed(seen, hidden) + ".";
  }
  if (leads == 0) return;
  RecordPairs(pairs);
  Notice(
      leads == 1 ? "the lead has likely duplicates" : std::to_string(leads) + " leads have likely duplicates",
      detail, "See why with find_duplicates(lead_id).");
}

}  // namespace kvcrm::crm
