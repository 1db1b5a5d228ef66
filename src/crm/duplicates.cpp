#include "crm/duplicates.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "crm/fingerprints.hpp"
#include "crm/match_explanation.hpp"
#include "crm/matcher.hpp"
#include "crm/organizations.hpp"
#include "crm/rows.hpp"
#include "match/keys.hpp"
#include "pg/gin_sample.hpp"
#include "pg/json.hpp"
#include "pg/result_set.hpp"
#include "text/phone.hpp"
#include "text/utf8.hpp"

using namespace kvcrm;
using crm::Permission;

namespace {

using OptionalText = std::optional<std::string>;
using OptionalUuid = std::optional<pg::Uuid>;
using Keys = std::vector<std::int64_t>;

constexpr std::int32_t kMaxResults = 10, kMostResults = 100;

const pg::Statement<pg::Uuid, pg::Uuid> kFingerprint{
    "duplicates.fingerprint",
    "SELECT f.match_keys, f.match_values, l.name, l.company, l.email, l.phone, l.inn FROM"
    " kvcrm.lead_fingerprints f JOIN kvcrm.leads l ON l.id = f.id AND l.organization_id = $2"
    " WHERE f.id = $1 AND f.organization_id = $2"};

// The same number as match::kKeyCap.
#define KEY_CAP "50"
static_assert(match::kKeyCap == 50);

// Rows that share a key, so many of each key and no more. The limit is kept from the planner, who would take
// it for a reason to walk the table until the first few rows are found.
#define SHARING_A_KEY(table)                                                                         \
  "SELECT c.id, c.match_values FROM unnest($2) AS k (key) CROSS JOIN LATERAL"                        \
  " (WITH sharing AS MATERIALIZED (SELECT f.id, f.organization_id, f.match_values FROM kvcrm." table \
  " f"                                                                                               \
  "   WHERE f.match_keys @> ARRAY[k.key])"                                                           \
  " SELECT s.id, s.match_values FROM sharing s WHERE s.organization_id = $1 LIMIT " KEY_CAP ") c"

const pg::Statement<pg::Uuid, Keys> kLeadCandidates{"duplicates.lead_candidates",
                                                    SHARING_A_KEY("lead_fingerprints"), pg::Plan::kGin};
const pg::Statement<pg::Uuid, Keys> kCustomerCandidates{
    "duplicates.customer_candidates", SHARING_A_KEY("customer_fingerprints"), pg::Plan::kGin};

// Customers that have all of these keys.
const pg::Statement<pg::Uuid, Keys> kCustomersWithKeys{
    "duplicates.customers_with_keys",
    "WITH sharing AS MATERIALIZED (SELECT f.id, f.organization_id, f.match_values"
    "   FROM kvcrm.customer_fingerprints f WHERE f.match_keys @> $2)"
    " SELECT s.id, s.match_values FROM sharing s WHERE s.organization_id = $1 LIMIT " KEY_CAP,
    pg::Plan::kGin};

// Keys of more rows than this are noise: a name like Иванов Александр alone. Of such a key a sample is looked
// at.
constexpr int kNoisyKey = 4 * match::kKeyCap;

pg::Rows CandidatesOf(const pg::Statement<pg::Uuid, Keys>& statement, const pg::Uuid& organization,
                      const Keys& keys) {
  const pg::GinSample sample(kNoisyKey);
  return statement(organization, keys);
}

// A row is fetched by its id alone (OFFSET 0 keeps the planner from mixing conditions): while tables have no
// statistics it would walk the whole organization instead.
// Of the candidates that are live leads, and not known to be somebody else than $3.
const pg::Statement<pg::Uuid, std::vector<pg::Uuid>, OptionalUuid> kLeads{
    "duplicates.leads",
    "SELECT l.id, l.assigned_to, m.display_name, l.name, l.company, l.email, l.phone, l.inn FROM unnest($2) "
    "AS i (id)"
    " CROSS JOIN LATERAL (SELECT x.* FROM kvcrm.leads x WHERE x.id = i.id OFFSET 0) l"
    " LEFT JOIN kvcrm.organization_members m ON m.organization_id = $1 AND m.user_id = l.assigned_to"
    " WHERE l.organization_id = $1 AND l.deleted_at IS NULL AND l.merged_into_id IS NULL AND l.converted_at "
    "IS NULL"
    " AND NOT EXISTS (SELECT FROM kvcrm.duplicate_pairs p WHERE p.organization_id = $1"
    "   AND p.lead_id = least($3, l.id) AND p.other_lead_id = greatest($3, l.id) AND p.status = "
    "'dismissed')"};
const pg::Statement<pg::Uuid, std::vector<pg::Uuid>> kCustomers{
    "duplicates.customers",
    "SELECT c.id, c.owner_user_id, m.display_name FROM unnest($2) AS i (id)"
    " CROSS JOIN LATERAL (SELECT x.* FROM kvcrm.customers x WHERE x.id = i.id OFFSET 0) c"
    " LEFT JOIN kvcrm.organization_members m ON m.organization_id = $1 AND m.user_id = c.owner_user_id"
    " WHERE c.organization_id = $1 AND c.deleted_at IS NULL"};

// A key of the form that none of its fields has.
const pg::Statement<pg::Json> kUnknownKey{
    "duplicates.unknown_key",
    "SELECT k FROM jsonb_object_keys($1) AS k WHERE k NOT IN ('name', 'email', 'phone', 'company', 'inn')"
    " LIMIT 1"};

// Compares records with one that is sought.
class Comparer {
 public:
  Comparer(const pg::Uuid& organization, std::string_view sought)
      : model_(crm::MatcherOf(organization)),
        sought_(sought),
        frequencies_(
            crm::FrequenciesOf(organization, match::HashValues(sought_, crm::BytesOf(organization)))) {}

  double Score(std::string_view other) const {
    return match::Score(sought_, match::Record(other), frequencies_, model_);
  }
  match::Comparison Compare(std::string_view other) const {
    return match::Compare(sought_, match::Record(other), frequencies_, model_);
  }
  pg::Json Explain(const match::Comparison& comparison, const crm::TypedFields& sought,
                   const crm::TypedFields& other) const {
    return crm::ExplanationOf(comparison, crm::Compared{sought.View(), other.View()});
  }
  std::optional<double> MaskedProbability(const match::Comparison& comparison, std::string_view values) const;

 private:
  const match::Model& model_;
  const match::Record sought_;
  const match::Frequencies frequencies_;
};

// The least weight of a field's levels: of one that is wrong.
double LeastWeightOf(std::string_view field, const match::Model& model) {
  double least = 0;
  const auto& levels = match::Levels();
  for (std::size_t i = 0; i < levels.size(); ++i) {
    if (levels[i].field == field) least = std::min(least, model.weights[i]);
  }
  return least;
}

// An answer that rose with every letter guessed right would lead to the whole address. So an e-mail, phone or
// INN that is not wholly right counts as wrong, whatever it has in common with the right one, and what is
// left is told in two steps.
std::optional<double> Comparer::MaskedProbability(const match::Comparison& comparison,
                                                  std::string_view values) const {
  if (comparison.probability < match::kShippedThreshold) return std::nullopt;
  const match::Record other(values);
  match::Record guess = sought_;
  double penalty = 0;
  const auto drop_unless_right = [&](std::string_view field, std::string_view& value,
                                     std::string_view right) {
    if (value.empty() || right.empty() || value == right) return;
    value = {};
    penalty += LeastWeightOf(field, model_);
  };
  drop_unless_right("email", guess.email, other.email);
  drop_unless_right("phone", guess.phone, other.phone);
  drop_unless_right("inn", guess.inn, other.inn);
  const double probability = match::ProbabilityOf(match::Score(guess, other, frequencies_, model_) + penalty);
  if (probability < match::kShippedThreshold) return std::nullopt;
  return probability < 0.99 ? 0.9 : 0.99;
}

// A candidate that is likely enough to be looked at.
struct Likely {
  std::string_view values;
  double weight;
};
using LikelyById = std::map<pg::Uuid, Likely>;

std::vector<pg::Uuid> IdsOf(const LikelyById& likely) {
  std::vector<pg::Uuid> ids;
  for (const auto& entry : likely) ids.push_back(entry.first);
  return ids;
}

// Candidates of at least `least_weight`; a customer is as alike as the most alike of its people.
LikelyById LikelyAmong(const pg::Rows& candidates, bool customers, const OptionalUuid& itself,
                       const Comparer& comparer, double least_weight) {
  std::set<pg::Uuid> seen;
  LikelyById likely;
  for (std::uint64_t i = 0; i < candidates.size(); ++i) {
    const auto id = candidates.Get<pg::Uuid>(i, 0);
    if (id == itself || !seen.insert(id).second) continue;
    const std::string_view values = crm::ViewText(candidates.At(i, 1));
    Likely best{{}, -HUGE_VAL};
    for (const std::string_view record :
         customers ? crm::RecordsOfCustomer(values) : std::vector<std::string_view>{values}) {
      const double weight = comparer.Score(record);
      if (weight > best.weight) best = {record, weight};
    }
    if (best.weight >= least_weight) likely.emplace(id, best);
  }
  return likely;
}

// `details`: id, user, name of the user.
template <typename Sees>
void PutMatches(const pg::Rows& details, bool customers, const LikelyById& likely, const Comparer& comparer,
                Sees sees, std::vector<crm::Match>& matches) {
  for (std::uint64_t i = 0; i < details.size(); ++i) {
    crm::Match match;
    match.is_customer = customers;
    match.id = details.Get<pg::Uuid>(i, 0);
    match.visible = sees(details.Get<OptionalUuid>(i, 1));
    match.owner_name = details.Get<OptionalText>(i, 2);
    if (!customers && match.visible) match.typed = crm::TypedFieldsAt(details, i, 3);
    match.values = likely.at(match.id).values;
    match.comparison = comparer.Compare(match.values);
    match.masked_probability = comparer.MaskedProbability(match.comparison, match.values);
    matches.push_back(std::move(match));
  }
}

double ProbabilityGiven(const std::optional<double>& given) {
  if (!given) return match::kShippedThreshold;
  if (!(*given >= 0 && *given <= 1)) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "min_probability must be between 0 and 1");
  }
  return *given;
}

std::size_t ResultsGiven(const std::optional<std::int32_t>& given) {
  const std::int32_t results = given.value_or(kMaxResults);
  if (results < 1 || results > kMostResults) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE,
                "max_results must be between 1 and " + std::to_string(kMostResults));
  }
  return static_cast<std::size_t>(results);
}

Datum Answer(pg::Args& args, const crm::Caller& caller, const crm::Sought& sought, double least_probability,
             std::size_t results) {
  pg::ResultSet answer(args);
  const auto matches = crm::FindMatches(caller, sought, least_probability);
  const Comparer comparer(caller.organization, sought.values);
  for (std::size_t i = 0; i < std::min(results, matches.size()); ++i) {
    const crm::Match& match = matches[i];
    OptionalUuid id;
    std::optional<pg::Json> explanation;
    if (match.visible) {
      id = match.id;
      explanation = comparer.Explain(match.comparison, sought.typed,
                                     match.is_customer
                                         ? crm::PersonOfCustomer(caller.organization, match.id, match.values)
                                         : match.typed);
    }
    answer.Add(std::string_view(match.is_customer ? "customer" : "lead"), id, match.ShownProbability(),
               explanation, !match.visible, match.owner_name);
  }
  return answer.Done();
}

// One text of the form, trimmed; nothing for a missing key, a null and an empty text.
std::string FormText(pg::Json candidate, const char* key, int limit) {
  const pg::JsonMember member = pg::FindMember(candidate, key);
  if (member.kind == pg::JsonMember::Kind::kMissing || member.kind == pg::JsonMember::Kind::kNull) return {};
  if (member.kind != pg::JsonMember::Kind::kString) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, std::string("candidate ") + key + " must be a text");
  }
  const std::string_view text = text::Trim(member.text);
  if (text::CountCodePoints(text) > static_cast<std::size_t>(limit)) {
    throw Error(ERRCODE_STRING_DATA_RIGHT_TRUNCATION,
                std::string("candidate ") + key + " is longer than " + std::to_string(limit) + " characters");
  }
  return std::string(text);
}

crm::Sought SoughtForm(pg::Json candidate, const pg::Uuid& organization) {
  candidate = pg::Unpack(candidate);
  if (!pg::IsJsonObject(candidate)) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "candidate must be a JSON object");
  }
  if (const pg::Rows unknown = kUnknownKey(candidate); !unknown.empty()) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "candidate has an unknown key")
        .Detail("Key: " + unknown.Get<std::string>(0, 0) + ".")
        .Hint("Keys are name, email, phone, company and inn.");
  }
  crm::Sought sought;
  crm::TypedFields& typed = sought.typed;
  typed.name = FormText(candidate, "name", crm::kNameLength);
  typed.company = FormText(candidate, "company", crm::kNameLength);
  typed.email = FormText(candidate, "email", crm::kNameLength);
  typed.inn = FormText(candidate, "inn", crm::kShortLength);
  typed.phone = FormText(candidate, "phone", crm::kShortLength);
  if (!typed.phone.empty()) {
    const auto rules = crm::ReadOrganizationRules(organization);
    if (auto e164 = text::ToE164(typed.phone, rules ? rules->default_country : "RU"))
      typed.phone = std::move(*e164);
  }
  sought.values = match::Normalize(typed.View());
  sought.keys = match::BlockingKeys(match::Record(sought.values), crm::BytesOf(organization));
  return sought;
}

}  // namespace

namespace kvcrm::crm {

Sought SoughtLead(const Lead& lead) {
  const pg::Rows rows = kFingerprint(lead.id, lead.caller.organization);
  if (rows.empty()) throw Error(ERRCODE_INTERNAL_ERROR, "the lead has no fingerprint");
  return {TypedFieldsAt(rows, 0, 2), rows.Get<std::string>(0, 1), rows.Get<Keys>(0, 0), lead.id,
          lead.customer};
}

OptionalUuid CustomerLike(const Lead& lead, double least_probability) {
  const pg::Uuid& home = lead.caller.organization;
  const auto view = [](const OptionalText& text) {
    return text ? std::string_view(*text) : std::string_view();
  };
  const std::string values =
      match::Normalize({lead.name, view(lead.company), view(lead.email), view(lead.phone), view(lead.inn)});
  const Keys keys = match::KeysOfPersonInFirm(match::Record(values), BytesOf(home));
  if (keys.empty()) return std::nullopt;
  const pg::Rows candidates = kCustomersWithKeys(home, keys);
  if (candidates.empty()) return std::nullopt;
  const Comparer comparer(home, values);
  const LikelyById likely =
      LikelyAmong(candidates, true, std::nullopt, comparer, match::WeightOf(least_probability));
  OptionalUuid best;
  double weight = -HUGE_VAL;
  if (likely.empty()) return best;
  const pg::Rows live = kCustomers(home, IdsOf(likely));
  for (std::uint64_t i = 0; i < live.size(); ++i) {
    const auto id = live.Get<pg::Uuid>(i, 0);
    if (likely.at(id).weight <= weight) continue;
    weight = likely.at(id).weight;
    best = id;
  }
  return best;
}

std::vector<Match> FindMatches(const Caller& caller, const Sought& sought, double least_probability) {
  const pg::Uuid& home = caller.organization;
  const Comparer comparer(home, sought.values);
  // A row that turns out to be hidden needs the shipped threshold.
  const double least_weight = match::WeightOf(std::min(least_probability, match::kShippedThreshold));
  std::vector<Match> matches;
  {
    const pg::Rows candidates = CandidatesOf(kLeadCandidates, home, sought.keys);
    const LikelyById likely = LikelyAmong(candidates, false, sought.lead, comparer, least_weight);
    if (!likely.empty()) {
      std::map<OptionalUuid, bool> sees;
      PutMatches(
          kLeads(home, IdsOf(likely), sought.lead), false, likely, comparer,
          [&](const OptionalUuid& assignee) {
            const auto [known, is_new] = sees.emplace(assignee, false);
            if (is_new) known->second = SeesLead(caller, assignee);
            return known->second;
          },
          matches);
    }
  }
  {
    const pg::Rows candidates = CandidatesOf(kCustomerCandidates, home, sought.keys);
    const LikelyById likely = LikelyAmong(candidates, true, sought.customer, comparer, least_weight);
    const bool sees = caller.Can(Permission::kCustomersRead);
    if (!likely.empty()) {
      PutMatches(
          kCustomers(home, IdsOf(likely)), true, likely, comparer, [&](const OptionalUuid&) { return sees; },
          matches);
    }
  }
  // By what is shown alone: a hidden row's place among visible ones would tell its probability.
  std::erase_if(matches, [&](const Match& match) {
    return (!match.visible && !match.masked_probability) || match.ShownProbability() < least_probability;
  });
  std::sort(matches.begin(), matches.end(), [](const Match& a, const Match& b) {
    return std::tuple(-a.ShownProbability(), !a.visible, a.id) <
           std::tuple(-b.ShownProbability(), !b.visible, b.id);
  });
  return matches;
}

}  // namespace kvcrm::crm

// find_duplicates(lead_id, min_probability, max_results, organization_id) -> setof (kind, id, probability,
// explanation, masked, owner_name), the likeliest first. Errors: 22023; PT404.
KVCRM_FUNCTION(find_duplicates) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "lead_id");
  const double least = ProbabilityGiven(args.Get<std::optional<double>>(1));
  const std::size_t results = ResultsGiven(args.Get<std::optional<std::int32_t>>(2));
  const pg::Session session(pg::Access::kRead);
  const crm::Lead lead = crm::FindLead(id, args.Get<OptionalUuid>(3), crm::Lock::kNone);
  return Answer(args, lead.caller, crm::SoughtLead(lead), least, results);
}

// check_duplicates(candidate, min_probability, max_results, organization_id): the same for a form that is not
// saved yet, an object with some of name, email, phone, company, inn. Errors: 22023; 22001; 42501 for someone
// who may neither create nor read leads.
KVCRM_FUNCTION(check_duplicates) {
  const auto candidate = args.Require<pg::Json>(0, "candidate");
  const double least = ProbabilityGiven(args.Get<std::optional<double>>(1));
  const std::size_t results = ResultsGiven(args.Get<std::optional<std::int32_t>>(2));
  const pg::Session session(pg::Access::kRead);
  const crm::Caller caller = crm::CallerInGivenOrCurrent(args.Get<OptionalUuid>(3));
  const auto enough =
      crm::PermissionSet::OfTokens({"leads:create", "leads:read_own", "leads:read_team", "leads:read_all"});
  if (!caller.permissions.HasAny(enough)) crm::RaiseNotAllowed(Permission::kLeadsCreate);
  return Answer(args, caller, SoughtForm(candidate, caller.organization), least, results);
}

// explain_match(lead_id, other_lead_id, organization_id) -> jsonb. Errors: 22023 without both, or when they
// are one; PT404 unless the caller sees both.
KVCRM_FUNCTION(explain_match) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "lead_id");
  const pg::Uuid other_id = args.Require<pg::Uuid>(1, "other_lead_id");
  const pg::Session session(pg::Access::kRead);
  const crm::Lead lead = crm::FindLead(id, args.Get<OptionalUuid>(2), crm::Lock::kNone);
  const crm::Lead other = crm::FindLead(other_id, lead.caller.organization, crm::Lock::kNone);
  if (lead.id == other.id) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "a lead is compared with another one, not with itself");
  }
  const crm::Sought one = crm::SoughtLead(lead), another = crm::SoughtLead(other);
  const Comparer comparer(lead.caller.organization, one.values);
  return args.Return(comparer.Explain(comparer.Compare(another.values), one.typed, another.typed));
}
