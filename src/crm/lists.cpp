// Lists of leads: filters, search, sorts, keyset paging. docs/search.md says how search works and what it
// costs.
//
// Each sort has an index that begins with the organization, and a statement per sort, scope and page (first
// or later), so that a page reads what it shows. A caller who sees the leads of some members only gets them
// through the members' own index, whatever the statistics say; many leads of theirs are walked in the sort's
// order.
#include "crm/lists.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <set>
#include <string>

#include "crm/errors.hpp"
#include "crm/fields.hpp"
#include "crm/leads.hpp"
#include "crm/search.hpp"
#include "pg/result_set.hpp"

using namespace kvcrm;
using crm::Permission;

namespace {

using OptionalText = std::optional<std::string>;
using OptionalUuid = std::optional<pg::Uuid>;
using OptionalTime = std::optional<pg::Timestamp>;

constexpr std::int32_t kMaxPageSize = 1000;

// A member's leads up to this number are fetched at once and sorted; beyond it the sort's index is walked,
// which then finds one of them soon enough.
constexpr std::int32_t kFewLeads = 5000;
// The same where the members' index has the order already.
constexpr std::int32_t kFewNewest = 200;

// Search walks the list this many rows at a time, and asks the index of grams when it has found so few that
// filling the page would take more rows than these: fingerprints alone are walked fast, leads with theirs
// less so.
constexpr std::int32_t kFirstChunk = 1000, kLeastChunk = 250, kMostChunk = 4000;
constexpr double kFingerprintsWorthWalking = 25000, kLeadsWorthWalking = 8000;
// More candidates than these are not held in memory: the walk goes on instead.
constexpr std::int32_t kMaxCandidates = 100000;

// --- what is asked for ---

enum ListSort { kNewest, kOldest, kUpdated, kName, kScore, kValue, kRank, kSortCount };

struct SortRule {
  const char* name;
  const char* key;        // of lead l
  const char* key_after;  // of the last lead of the page before
  const char* direction;
  const char* beyond;  // how the keys of later rows compare
};
#define AFTER(expression) \
  "(SELECT " expression " FROM kvcrm.leads a WHERE a.id = $2 AND a.organization_id = $1)"
constexpr SortRule kSorts[kSortCount] = {
    {"newest", "l.created_at", AFTER("a.created_at"), "DESC", "<"},
    {"oldest", "l.created_at", AFTER("a.created_at"), "ASC", ">"},
    {"updated", "l.updated_at", AFTER("a.updated_at"), "DESC", "<"},
    {"name", "l.name", AFTER("a.name"), "ASC", ">"},
    {"score", "l.score", AFTER("a.score"), "DESC", "<"},
    {"value", "coalesce(l.estimated_value, -1)", AFTER("coalesce(a.estimated_value, -1)"), "DESC", "<"},
    {"rank", nullptr, nullptr, "ASC", ">"},
};

struct Filters {
  OptionalText query;
  OptionalUuid stage;
  OptionalText status;
  OptionalUuid assignee;
  OptionalText source;
  OptionalTime from, to;
  std::optional<pg::Json> custom;
  bool converted = false, merged = false, deleted = false;

  // Whether anything but the assignee and the query is asked for.
  bool Any() const {
    return stage || status || source || from || to || custom || converted || merged || deleted;
  }
};

[[noreturn]] void RaiseInvalid(const char* message) { throw Error(ERRCODE_INVALID_PARAMETER_VALUE, message); }

// The first nine arguments of all these functions.
Filters ReadFilters(const pg::Args& args) {
  Filters filters;
  filters.query = args.Get<OptionalText>(0);
  filters.stage = args.Get<OptionalUuid>(1);
  filters.status = args.Get<OptionalText>(2);
  filters.assignee = args.Get<OptionalUuid>(3);
  filters.source = args.Get<OptionalText>(4);
  filters.from = args.Get<OptionalTime>(5);
  filters.to = args.Get<OptionalTime>(6);
  filters.custom = args.Get<std::optional<pg::Json>>(7);
  if (filters.status) {
    static const std::set<std::string> kStatuses = {"new", "contacted", "qualified", "lost", "converted"};
    if (kStatuses.count(*filters.status) == 0) {
      RaiseInvalid("status must be new, contacted, qualified, lost or converted");
    }
  }
  if (!args.IsNull(8)) {
    for (const std::string& kind : args.Get<std::vector<std::string>>(8)) {
      if (kind == "converted") {
        filters.converted = true;
      } else if (kind == "merged") {
        filters.merged = true;
      } else if (kind == "deleted") {
        filters.deleted = true;
      } else {
        RaiseInvalid("include may have converted, merged and deleted");
      }
    }
  }
  return filters;
}

ListSort ReadSort(const OptionalText& name) {
  if (!name) return kNewest;
  for (int sort = 0; sort < kSortCount; ++sort) {
    if (*name == kSorts[sort].name) return static_cast<ListSort>(sort);
  }
  RaiseInvalid("sort must be newest, oldest, updated, name, score, value or rank");
}

// --- the statements ---

// Every statement on leads takes the same parameters, whether or not it uses them.
enum Parameter {
  kOrganization,
  kAfter,
  kLimit,
  kIds,
  kMembers,  // null: of everybody
  kStage,
  kStatus,
  kSource,
  kFrom,
  kTo,
  kCustom,
  kConverted,
  kMerged,
  kDeleted,
  kParameterCount
};
constexpr Oid kParameterTypes[kParameterCount] = {UUIDOID,  UUIDOID, INT4OID, UUIDARRAYOID,   UUIDARRAYOID,
                                                  UUIDOID,  TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
                                                  JSONBOID, BOOLOID, BOOLOID, BOOLOID};

#define LIVE " AND l.converted_at IS NULL AND l.merged_into_id IS NULL AND l.deleted_at IS NULL"
#define FILTERED                                                                                        \
  " AND ($5::uuid[] IS NULL OR l.assigned_to = ANY ($5)) AND ($6::uuid IS NULL OR l.stage_id = $6)"     \
  " AND ($7::text IS NULL OR l.status = $7) AND ($8::text IS NULL OR l.source = $8)"                    \
  " AND ($9::timestamptz IS NULL OR l.created_at >= $9) AND ($10::timestamptz IS NULL OR l.created_at " \
  "< $10)"                                                                                              \
  " AND ($11::jsonb IS NULL OR l.custom_fields @> $11) AND ($12 OR l.converted_at IS NULL)"             \
  " AND ($13 OR l.merged_into_id IS NULL) AND ($14 OR l.deleted_at IS NULL)"

// Where a statement gets its leads from.
enum LeadSource {
  kAll,          // the organization
  kAllFiltered,  // the organization, those that pass the filters
  kMine,         // the members in $5, each by the index of assignees; for newest and oldest only
  kMineFiltered,
  kGiven,  // the leads with the ids $4 that pass the filters
  kSourceCount
};

bool IsFiltered(LeadSource source) { return source != kAll && source != kMine; }

// How the members' index is read in the order of the sort. BETWEEN, not =: nothing but that index gives this
// order then, so no plan can walk the organization's leads instead, whatever the statistics say.
#define OF_MEMBER \
  " FROM kvcrm.leads l WHERE l.organization_id = $1 AND l.assigned_to BETWEEN m.member AND m.member"

std::string RankText(LeadSource source, bool later) {
  const std::string conditions = IsFiltered(source) ? FILTERED : LIVE;
  const std::string last = later ? " JOIN kvcrm.leads a ON a.id = $2 AND a.organization_id = $1"
                                   " JOIN kvcrm.lead_stages b ON b.id = a.stage_id AND b.organization_id = $1"
                                 : "";
  if (source == kGiven) {
    return "SELECT l, l.id FROM kvcrm.leads l"
           " JOIN kvcrm.lead_stages s ON s.id = l.stage_id AND s.organization_id = $1" +
           last + " WHERE l.organization_id = $1 AND l.id = ANY ($4)" + conditions +
           (later ? " AND (s.order_index, s.id, l.board_rank, l.id) > (b.order_index, b.id, a.board_rank, $2)"
                  : "") +
           " ORDER BY s.order_index, s.id, l.board_rank, l.id LIMIT $3";
  }
  // One stage after the other, each by the index of its column; the first one is entered in the middle.
  return "SELECT q.lead, q.id FROM kvcrm.lead_stages s" + last +
         " CROSS JOIN LATERAL (SELECT l AS lead, l.id, l.board_rank FROM kvcrm.leads l"
         "   WHERE l.organization_id = $1 AND l.stage_id = s.id" +
         conditions +
         (later ? " AND (l.board_rank, l.id) > (CASE WHEN s.id = a.stage_id THEN a.board_rank ELSE '' END,"
                  " CASE WHEN s.id = a.stage_id THEN $2 ELSE '00000000-0000-0000-0000-000000000000' END)"
                : "") +
         "   ORDER BY l.board_rank, l.id LIMIT $3) q WHERE s.organization_id = $1" +
         (IsFiltered(source) ? " AND ($6::uuid IS NULL OR s.id = $6)" : "") +
         (later ? " AND (s.order_index, s.id) >= (b.order_index, b.id)" : "") +
         " ORDER BY s.order_index, s.id, q.board_rank, q.id LIMIT $3";
}

// A page of leads: (lead, id), in the order of the sort.
std::string PageText(ListSort sort, LeadSource source, bool later) {
  if (sort == kRank) return RankText(source, later);
  const SortRule& rule = kSorts[sort];
  const std::string key = rule.key, direction = rule.direction;
  const std::string conditions =
      (IsFiltered(source) ? std::string(FILTERED) : std::string(LIVE)) +
      (later ? " AND (" + key + ", l.id) " + rule.beyond + " (" + rule.key_after + ", $2)" : "");
  if (source == kMine || source == kMineFiltered) {
    return "SELECT q.lead, q.id FROM unnest($5) AS m (member) CROSS JOIN LATERAL (SELECT l AS lead, l.id, " +
           key + " AS key" OF_MEMBER + conditions + " ORDER BY l.assigned_to " +
           (sort == kNewest ? "ASC" : "DESC") + ", " + key + " " + direction + ", l.id " + direction +
           " LIMIT $3) q ORDER BY q.key " + direction + ", q.id " + direction + " LIMIT $3";
  }
  return "SELECT l, l.id FROM kvcrm.leads l WHERE l.organization_id = $1" +
         std::string(source == kGiven ? " AND l.id = ANY ($4)" : "") + conditions + " ORDER BY " + key + " " +
         direction + ", l.id " + direction + " LIMIT $3";
}

// The statements for pages, one per sort, source and page (first or later).
class PageStatements {
 public:
  PageStatements() {
    constexpr const char* kSourceNames[kSourceCount] = {"all", "all_filtered", "mine", "mine_filtered",
                                                        "given"};
    for (int sort = 0; sort < kSortCount; ++sort) {
      for (int source = 0; source < kSourceCount; ++source) {
        const bool mine = source == kMine || source == kMineFiltered;
        if (mine && sort != kNewest && sort != kOldest) continue;
        for (const bool later : {false, true}) {
          Entry& entry = entries_[sort][source][later];
          entry.name = std::string("lists.") + kSorts[sort].name + "_" + kSourceNames[source] +
                       (later ? "_later" : "");
          entry.text = PageText(static_cast<ListSort>(sort), static_cast<LeadSource>(source), later);
          // Which index serves a filter best depends on the filter.
          const bool custom = source == kAllFiltered || source == kMineFiltered;
          entry.statement = std::make_unique<pg::BulkStatement>(
              entry.name.c_str(), entry.text.c_str(), custom ? pg::Plan::kCustom : pg::Plan::kGeneric,
              kParameterTypes, kParameterCount);
        }
      }
    }
  }
  const pg::BulkStatement& For(ListSort sort, LeadSource source, bool later) const {
    return *entries_[sort][source][later].statement;
  }

 private:
  struct Entry {
    std::string name, text;
    std::unique_ptr<pg::BulkStatement> statement;
  };
  Entry entries_[kSortCount][kSourceCount][2];
};
const PageStatements kPages;

constexpr Oid kCountTypes[] = {UUIDOID, UUIDOID, INT4OID,        UUIDARRAYOID,   UUIDARRAYOID, UUIDOID,
                               TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, JSONBOID,     BOOLOID,
                               BOOLOID, BOOLOID, TEXTARRAYOID,   TEXTARRAYOID,   TEXTARRAYOID};
const pg::BulkStatement kCount{"lists.count",
                               "SELECT count(*) FROM kvcrm.leads l WHERE l.organization_id = $1" FILTERED,
                               pg::Plan::kCustom, kParameterTypes, kParameterCount};
const pg::BulkStatement kCountGiven{
    "lists.count_given",
    "SELECT count(*) FROM kvcrm.leads l WHERE l.organization_id = $1 AND l.id = ANY ($4)" FILTERED,
    pg::Plan::kGeneric, kParameterTypes, kParameterCount};
// The last three parameters are the LIKE patterns of a query's variants.
const pg::BulkStatement kCountMatching{
    "lists.count_matching",
    "SELECT count(*) FROM kvcrm.leads l JOIN kvcrm.lead_fingerprints f ON f.id = l.id AND f.organization_id "
    "= $1"
    " WHERE l.organization_id = $1" FILTERED
    " AND (f.search_text LIKE ALL ($15) OR f.search_text LIKE ALL ($16) OR f.search_text LIKE ALL ($17))",
    pg::Plan::kCustom, kCountTypes, std::size(kCountTypes)};

// The same leads, all of them, newest first.
#define NEWEST_FIRST " ORDER BY l.created_at DESC, l.id DESC"
const pg::BulkStatement kEach{"lists.each",
                              "SELECT " KVCRM_EXPORTED_COLUMNS
                              " FROM kvcrm.leads l WHERE l.organization_id = $1" FILTERED NEWEST_FIRST,
                              pg::Plan::kCustom, kParameterTypes, kParameterCount};
const pg::BulkStatement kEachGiven{
    "lists.each_given",
    "SELECT " KVCRM_EXPORTED_COLUMNS
    " FROM kvcrm.leads l WHERE l.organization_id = $1 AND l.id = ANY ($4)" FILTERED NEWEST_FIRST,
    pg::Plan::kGeneric, kParameterTypes, kParameterCount};
const pg::BulkStatement kEachMatching{
    "lists.each_matching",
    "SELECT " KVCRM_EXPORTED_COLUMNS
    " FROM kvcrm.leads l JOIN kvcrm.lead_fingerprints f ON f.id = l.id AND f.organization_id = $1"
    " WHERE l.organization_id = $1" FILTERED
    " AND (f.search_text LIKE ALL ($15) OR f.search_text LIKE ALL ($16) OR f.search_text LIKE ALL "
    "($17))" NEWEST_FIRST,
    pg::Plan::kCustom, kCountTypes, std::size(kCountTypes)};
// How many of them are held at a time.
constexpr long kPiece = 1000;

const pg::Statement<pg::Uuid, pg::Uuid> kTeam{"lists.team",
                                              "SELECT user_id FROM kvcrm.organization_members WHERE "
                                              "organization_id = $1 AND team_id = $2 AND status = 'active'"
                                              " ORDER BY user_id"};

const pg::Statement<pg::Uuid> kCountry{"lists.country",
                                       "SELECT default_country FROM kvcrm.organizations WHERE id = $1"};

// Ids of leads of some members, at most $3.
const pg::Statement<pg::Uuid, std::vector<pg::Uuid>, std::int32_t> kLeadsOfMembers{
    "lists.leads_of_members",
    "SELECT q.id FROM unnest($2) AS m (member) CROSS JOIN LATERAL (SELECT l.id" OF_MEMBER
    " ORDER BY l.assigned_to, l.created_at DESC, l.id DESC LIMIT $3) q LIMIT $3"};

const pg::Statement<pg::Uuid, std::vector<pg::Uuid>> kTexts{
    "lists.texts",
    "SELECT id, search_text FROM kvcrm.lead_fingerprints WHERE organization_id = $1 AND id = ANY ($2)"};

// Fingerprints in the order of the list, beyond a place in it.
#define FINGERPRINTS \
  "SELECT f.id, f.search_text, f.created_at FROM kvcrm.lead_fingerprints f WHERE f.organization_id = $1 "
const pg::Statement<pg::Uuid, pg::Timestamp, pg::Uuid, std::int32_t> kNewestTexts{
    "lists.newest_texts",
    FINGERPRINTS "AND (f.created_at, f.id) < ($2, $3) ORDER BY f.created_at DESC, f.id DESC LIMIT $4"};
const pg::Statement<pg::Uuid, pg::Timestamp, pg::Uuid, std::int32_t> kOldestTexts{
    "lists.oldest_texts",
    FINGERPRINTS "AND (f.created_at, f.id) > ($2, $3) ORDER BY f.created_at, f.id LIMIT $4"};

const pg::Statement<pg::Uuid, pg::Uuid> kCreatedAt{
    "lists.created_at", "SELECT created_at FROM kvcrm.leads WHERE id = $1 AND organization_id = $2"};

constexpr Oid kCandidateTypes[] = {UUIDOID, INT8ARRAYOID, INT4OID};
// The texts with all of the keys, and those with any of them. The function costs much to the planner, so that
// it looks into the index, never through all texts. Many keys are looked up one by one: GIN finds the union
// of thousands of keys slowly.
#define KEYS "kvcrm.search_keys(f.organization_id, f.search_text)"
const pg::BulkStatement kWithAllKeys{"lists.with_all_keys",
                                     "SELECT f.id, f.search_text, f.created_at FROM (SELECT * FROM"
                                     " kvcrm.lead_fingerprints f WHERE " KEYS
                                     " @> $2 OFFSET 0) f"
                                     " WHERE f.organization_id = $1 LIMIT $3",
                                     pg::Plan::kCustom, kCandidateTypes, std::size(kCandidateTypes)};
const pg::BulkStatement kWithAnyKey{"lists.with_any_key",
                                    "SELECT f.id, f.search_text, f.created_at FROM unnest($2) AS k (key)"
                                    " CROSS JOIN LATERAL (SELECT * FROM kvcrm.lead_fingerprints f WHERE " KEYS
                                    " @> ARRAY[k.key] OFFSET 0) f WHERE f.organization_id = $1 LIMIT $3",
                                    pg::Plan::kGeneric, kCandidateTypes, std::size(kCandidateTypes)};

// Of the newest leads, how many pass a filter by custom fields: whether a walk finds enough of them.
constexpr std::int32_t kFieldSample = 200, kCommonInSample = 4;
const pg::Statement<pg::Uuid, pg::Json, std::int32_t> kSampleFields{
    "lists.sample_fields",
    "SELECT count(*) FROM (SELECT l.custom_fields FROM kvcrm.leads l WHERE l.organization_id = $1"
    " ORDER BY l.created_at DESC, l.id DESC LIMIT $3) l WHERE l.custom_fields @> $2"};
const pg::BulkStatement kWithFields{"lists.with_fields",
                                    "SELECT k.id, k.created_at FROM (SELECT * FROM kvcrm.lead_field_keys k"
                                    " WHERE k.keys @> $2 OFFSET 0) k WHERE k.organization_id = $1 LIMIT $3",
                                    pg::Plan::kCustom, kCandidateTypes, std::size(kCandidateTypes)};

// --- listing ---

// A place in the list by creation time.
struct Place {
  pg::Timestamp at;
  pg::Uuid id;
  auto operator<=>(const Place&) const = default;
};

class LeadList {
 public:
  LeadList(const crm::Caller& caller, const Filters& filters, ListSort sort)
      : organization_(caller.organization), filters_(filters), sort_(sort), scope_(crm::ReadScopeOf(caller)) {
    if (filters.assignee) scope_.Narrow(filters.assignee);
    if (!filters.query) return;
    std::string country;
    if (crm::LooksLikePhone(*filters.query)) {
      const pg::Rows rows = kCountry(organization_);
      if (!rows.empty()) country = rows.Get<std::string>(0, 0);
    }
    query_.emplace(*filters.query, country);
    if (query_->IsEmpty()) query_.reset();
  }

  // Puts a page into the result. `after` must be visible to the caller.
  void Page(const OptionalUuid& after, std::int32_t size, pg::ResultSet& result) {
    after_ = after;
    wanted_ = size;
    result_ = &result;
    if (const auto few = FewIds(sort_ == kNewest || sort_ == kOldest ? kFewNewest : kFewLeads); few) {
      PutGiven(query_ ? Matching(*few) : *few);
    } else if (auto places = FieldCandidates(); places) {
      PutPlaces(std::move(*places));
    } else if (!query_) {
      PutAll(Walk(after_, size));
    } else if (scope_.all && !filters_.Any() && (sort_ == kNewest || sort_ == kOldest)) {
      if (!SearchFingerprints()) PutCandidates();
    } else {
      if (!SearchLeads()) PutCandidates();
    }
  }

  std::int64_t Count() {
    const auto few = Few();
    if (few) return few->empty() ? 0 : kCountGiven(Parameters({}, 0, &*few)).Get<std::int64_t>(0, 0);
    if (!query_) return kCount(Parameters({}, 0, nullptr)).Get<std::int64_t>(0, 0);
    return kCountMatching(WithPatterns()).Get<std::int64_t>(0, 0);
  }

  void Each(const std::function<void(const pg::Rows&)>& take) {
    const auto few = Few();
    if (few && few->empty()) return;
    pg::Cursor cursor = few       ? kEachGiven.Open(Parameters({}, 0, &*few))
                        : !query_ ? kEach.Open(Parameters({}, 0, nullptr))
                                  : kEachMatching.Open(WithPatterns());
    for (;;) {
      pg::CheckForInterrupts();
      const pg::Rows rows = cursor.Fetch(kPiece);
      if (rows.empty()) return;
      take(rows);
    }
  }

 private:
  std::vector<pg::Value> Parameters(const OptionalUuid& after, std::int32_t limit,
                                    const std::vector<pg::Uuid>* ids) const {
    std::vector<pg::Value> values(kParameterCount);
    values[kOrganization] = pg::ToValue(organization_);
    values[kAfter] = pg::ToValue(after);
    values[kLimit] = pg::ToValue(limit);
    if (ids != nullptr) values[kIds] = pg::ToValue(*ids);
    if (!scope_.all) values[kMembers] = pg::ToValue(scope_.members);
    values[kStage] = pg::ToValue(filters_.stage);
    values[kStatus] = pg::ToValue(filters_.status);
    values[kSource] = pg::ToValue(filters_.source);
    values[kFrom] = pg::ToValue(filters_.from);
    values[kTo] = pg::ToValue(filters_.to);
    values[kCustom] = pg::ToValue(filters_.custom);
    values[kConverted] = pg::ToValue(filters_.converted);
    values[kMerged] = pg::ToValue(filters_.merged);
    values[kDeleted] = pg::ToValue(filters_.deleted);
    return values;
  }

  // The leads to look at, whatever their order, when an index tells that there are few.
  std::optional<std::vector<pg::Uuid>> Few() {
    if (const auto few = FewIds(kFewLeads); few) return query_ ? Matching(*few) : *few;
    if (const auto places = FieldCandidates(); places) return IdsOf(*places);
    if (!query_) return std::nullopt;
    TakeSample();
    if (const auto candidates = Candidates(); candidates) return IdsOf(*candidates);
    return std::nullopt;
  }
  std::vector<pg::Value> WithPatterns() const {
    std::vector<pg::Value> values = Parameters({}, 0, nullptr);
    for (std::size_t i = 0; i < 3; ++i) {
      values.push_back(i < query_->variants().size() ? pg::ToValue(Patterns(query_->variants()[i]))
                                                     : pg::Value{});
    }
    return values;
  }

  // All ids of the members' leads, unless there are more than `limit`.
  std::optional<std::vector<pg::Uuid>> FewIds(std::int32_t limit) const {
    if (scope_.all) return std::nullopt;
    const pg::Rows rows = kLeadsOfMembers(organization_, scope_.members, limit + 1);
    if (rows.size() > static_cast<std::uint64_t>(limit)) return std::nullopt;
    std::vector<pg::Uuid> ids;
    for (std::uint64_t i = 0; i < rows.size(); ++i) ids.push_back(rows.Get<pg::Uuid>(i, 0));
    return ids;
  }

  // The next rows of the list that pass scope and filters.
  pg::Rows Walk(const OptionalUuid& after, std::int32_t limit) const {
    const bool by_members = !scope_.all && (sort_ == kNewest || sort_ == kOldest);
    const LeadSource source = by_members                      ? (filters_.Any() ? kMineFiltered : kMine)
                              : filters_.Any() || !scope_.all ? kAllFiltered
                                                              : kAll;
    return kPages.For(sort_, source, after.has_value())(Parameters(after, limit, nullptr));
  }

  void Put(const pg::Rows& rows, std::uint64_t i) {
    result_->AddComposite(rows.At(i, 0).datum);
    ++put_;
  }
  void PutAll(const pg::Rows& rows) {
    for (std::uint64_t i = 0; i < rows.size(); ++i) Put(rows, i);
  }
  bool IsFull() const { return put_ == wanted_; }
  // Those of the leads that pass and lie behind the place where the page begins, in order.
  void PutGiven(const std::vector<pg::Uuid>& ids) {
    if (ids.empty()) return;
    PutAll(kPages.For(sort_, kGiven, after_.has_value())(Parameters(after_, wanted_ - put_, &ids)));
  }

  bool Matches(pg::Value search_text) {
    const std::string_view text = pg::ViewText(search_text);
    if (sample_.size() < crm::kSampleSize) sample_.emplace_back(text);
    return query_->Matches(text);
  }
  // Those of the leads whose text matches.
  std::vector<pg::Uuid> Matching(const std::vector<pg::Uuid>& ids) {
    std::vector<pg::Uuid> matching;
    if (ids.empty()) return matching;
    const pg::Rows texts = kTexts(organization_, ids);
    for (std::uint64_t i = 0; i < texts.size(); ++i) {
      if (Matches(texts.At(i, 1))) matching.push_back(texts.Get<pg::Uuid>(i, 0));
    }
    return matching;
  }

  // How many more rows fill the page, going by what was found among those walked so far.
  double RowsToGo(std::int64_t walked) const {
    if (put_ == 0) return std::numeric_limits<double>::infinity();
    return static_cast<double>(walked) / put_ * (wanted_ - put_);
  }
  std::int32_t NextChunk(std::int64_t walked) const {
    // A quarter more, since half of all guesses are too low.
    return static_cast<std::int32_t>(std::clamp<double>(RowsToGo(walked) * 1.25, kLeastChunk, kMostChunk));
  }
  // Walks fingerprints in the order of the list, and looks at the leads of those that match only. Returns
  // false when the index should be asked instead; what was put so far stands.
  bool SearchFingerprints() {
    const bool newest = sort_ == kNewest;
    Place place = walked_to_ ? *walked_to_ : Start(newest);
    std::int64_t walked = 0;
    for (std::int32_t chunk = kFirstChunk;; chunk = NextChunk(walked)) {
      pg::CheckForInterrupts();
      const pg::Rows rows = newest ? kNewestTexts(organization_, place.at, place.id, chunk)
                                   : kOldestTexts(organization_, place.at, place.id, chunk);
      std::vector<pg::Uuid> ids;
      for (std::uint64_t i = 0; i < rows.size(); ++i) {
        if (Matches(rows.At(i, 1))) ids.push_back(rows.Get<pg::Uuid>(i, 0));
      }
      PutInOrder(ids);
      if (IsFull() || rows.size() < static_cast<std::uint64_t>(chunk)) return true;
      place = {rows.Get<pg::Timestamp>(rows.size() - 1, 2), rows.Get<pg::Uuid>(rows.size() - 1, 0)};
      walked += chunk;
      if (asks_index_ && RowsToGo(walked) > kFingerprintsWorthWalking) {
        walked_to_ = place;
        return false;
      }
    }
  }
  void TakeSample() {
    const Place place = Start(true);
    const pg::Rows rows = kNewestTexts(organization_, place.at, place.id, std::int32_t{crm::kSampleSize});
    for (std::uint64_t i = 0; i < rows.size(); ++i) Matches(rows.At(i, 1));
  }
  // Before the first row of the page.
  Place Start(bool newest) const {
    Place place;
    if (after_) {
      place = {kCreatedAt(*after_, organization_).Get<pg::Timestamp>(0, 0), *after_};
    } else if (newest) {
      place.at.value = DT_NOEND;
      place.id.bytes.fill(0xFF);
    } else {
      place.at.value = DT_NOBEGIN;
    }
    return place;
  }

  // The same over leads, which scope, filters and sort have chosen.
  bool SearchLeads() {
    OptionalUuid place = after_;
    std::int64_t walked = 0;
    for (std::int32_t chunk = kFirstChunk;; chunk = NextChunk(walked)) {
      pg::CheckForInterrupts();
      const pg::Rows rows = Walk(place, chunk);
      std::vector<pg::Uuid> ids;
      for (std::uint64_t i = 0; i < rows.size(); ++i) ids.push_back(rows.Get<pg::Uuid>(i, 1));
      std::vector<pg::Uuid> matching = Matching(ids);
      std::sort(matching.begin(), matching.end());
      for (std::uint64_t i = 0; i < rows.size() && !IsFull(); ++i) {
        if (std::binary_search(matching.begin(), matching.end(), ids[i])) Put(rows, i);
      }
      if (IsFull() || rows.size() < static_cast<std::uint64_t>(chunk)) return true;
      place = ids.back();
      walked += chunk;
      if (asks_index_ && RowsToGo(walked) > kLeadsWorthWalking) {
        after_ = place;
        return false;
      }
    }
  }

  // The leads whose text matches, found by the index of grams; nothing when the words have no grams or there
  // are too many candidates.
  std::optional<std::vector<Place>> Candidates() const {
    std::vector<Place> places;
    for (const crm::Words& words : query_->variants()) {
      const crm::SearchPlan plan = crm::PlanSearch(organization_, words, sample_);
      if (plan.kind == crm::SearchPlan::Kind::kNone) return std::nullopt;
      const pg::BulkStatement& find = plan.kind == crm::SearchPlan::Kind::kAll ? kWithAllKeys : kWithAnyKey;
      const pg::Rows rows =
          find({pg::ToValue(organization_), crm::KeysValue(plan.keys), pg::ToValue(kMaxCandidates + 1)});
      if (rows.size() > kMaxCandidates) return std::nullopt;
      for (std::uint64_t i = 0; i < rows.size(); ++i) {
        if (!query_->Matches(pg::ViewText(rows.At(i, 1)))) continue;
        places.push_back({rows.Get<pg::Timestamp>(i, 2), rows.Get<pg::Uuid>(i, 0)});
      }
    }
    std::sort(places.begin(), places.end());
    places.erase(std::unique(places.begin(), places.end()), places.end());
    return places;
  }

  // The leads whose custom fields, and text, may pass; nothing when there is no such filter, a walk finds
  // them soon enough, or there are too many.
  std::optional<std::vector<Place>> FieldCandidates() {
    if (!filters_.custom) return std::nullopt;
    const std::vector<std::int64_t> keys = crm::FieldKeys(organization_, *filters_.custom);
    if (keys.empty() ||
        kSampleFields(organization_, *filters_.custom, kFieldSample).Get<std::int64_t>(0, 0) >=
            kCommonInSample)
      return std::nullopt;
    const pg::Rows rows =
        kWithFields({pg::ToValue(organization_), pg::ToValue(keys), pg::ToValue(kMaxCandidates + 1)});
    if (rows.size() > kMaxCandidates) return std::nullopt;
    std::vector<Place> places;
    for (std::uint64_t i = 0; i < rows.size(); ++i)
      places.push_back({rows.Get<pg::Timestamp>(i, 1), rows.Get<pg::Uuid>(i, 0)});
    if (query_) {
      std::vector<pg::Uuid> matching = Matching(IdsOf(places));
      std::sort(matching.begin(), matching.end());
      std::erase_if(places, [&](const Place& place) {
        return !std::binary_search(matching.begin(), matching.end(), place.id);
      });
    }
    std::sort(places.begin(), places.end());
    return places;
  }
  static std::vector<pg::Uuid> IdsOf(const std::vector<Place>& places) {
    std::vector<pg::Uuid> ids;
    ids.reserve(places.size());
    for (const Place& place : places) ids.push_back(place.id);
    return ids;
  }

  // Fills the page by the index.
  void PutCandidates() {
    auto candidates = Candidates();
    if (!candidates) {
      // So many that a walk finds them.
      asks_index_ = false;
      if (walked_to_) {
        SearchFingerprints();
      } else {
        SearchLeads();
      }
      return;
    }
    PutPlaces(std::move(*candidates));
  }
  // Candidates, in ascending order.
  void PutPlaces(std::vector<Place> places) {
    if (sort_ != kNewest && sort_ != kOldest) return PutGiven(IdsOf(places));
    // In the order of the list, so that no more leads are looked at than the page needs.
    const bool newest = sort_ == kNewest;
    if (newest) std::reverse(places.begin(), places.end());
    const Place start = walked_to_ ? *walked_to_ : Start(newest);
    std::vector<pg::Uuid> ids;
    for (const Place& place : places) {
      if (newest ? place < start : place > start) ids.push_back(place.id);
    }
    PutInOrder(ids);
  }
  // Leads that come in the order of the list: no more of them are looked at than the page needs.
  void PutInOrder(const std::vector<pg::Uuid>& ids) {
    const auto step = static_cast<std::size_t>(wanted_);
    for (std::size_t i = 0; i < ids.size() && !IsFull(); i += step) {
      const auto first = ids.begin() + static_cast<std::ptrdiff_t>(i);
      PutGiven({first, first + static_cast<std::ptrdiff_t>(std::min(step, ids.size() - i))});
    }
  }

  static std::vector<std::string> Patterns(const crm::Words& words) {
    std::vector<std::string> patterns;
    for (const std::string& word : words) {
      std::string pattern = "%";
      for (const char c : word) {
        if (c == '_' || c == '%' || c == '\\') pattern += '\\';
        pattern += c;
      }
      patterns.push_back(pattern + '%');
    }
    return patterns;
  }

  const pg::Uuid organization_;
  const Filters& filters_;
  const ListSort sort_;
  crm::ReadScope scope_;
  std::optional<crm::SearchQuery> query_;

  OptionalUuid after_;              // where the page, or the rest of it, begins
  std::optional<Place> walked_to_;  // the same, when a walk over fingerprints has gone there
  bool asks_index_ = true;
  std::int32_t wanted_ = 0, put_ = 0;
  std::vector<std::string> sample_;  // of the texts looked at
  pg::ResultSet* result_ = nullptr;
};

}  // namespace

namespace kvcrm::crm {

bool ReadScope::Has(const pg::Uuid& member) const {
  return std::find(members.begin(), members.end(), member) != members.end();
}

void ReadScope::Narrow(const std::optional<pg::Uuid>& member) {
  const bool visible = member && (all || Has(*member));
  all = false;
  members.clear();
  if (visible) members.push_back(*member);
}

std::int32_t PageSize(std::optional<std::int32_t> given) {
  const std::int32_t size = given.value_or(50);
  if (size < 1 || size > kMaxPageSize) RaiseInvalid("page_size must be between 1 and 1000");
  return size;
}

ReadScope ReadScopeOf(const Caller& caller) {
  ReadScope scope;
  if (caller.Can(Permission::kLeadsReadAll)) {
    scope.all = true;
    return scope;
  }
  const bool own = caller.Can(Permission::kLeadsReadOwn), team = caller.Can(Permission::kLeadsReadTeam);
  if (!own && !team) RaiseNotAllowed(Permission::kLeadsReadOwn);
  if (team && caller.team) {
    const pg::Rows rows = kTeam(caller.organization, *caller.team);
    for (std::uint64_t i = 0; i < rows.size(); ++i) scope.members.push_back(rows.Get<pg::Uuid>(i, 0));
  }
  if (own && caller.user && !scope.Has(*caller.user)) scope.members.push_back(*caller.user);
  return scope;
}

void EachLead(const pg::Args& args, const Caller& caller, const std::function<void(const pg::Rows&)>& take) {
  const Filters filters = ReadFilters(args);
  LeadList(caller, filters, kNewest).Each(take);
}

}  // namespace kvcrm::crm

// list_leads(query, stage_id, status, assigned_to, source, created_from, created_to, custom_fields, include,
// sort, after_lead_id, page_size, organization_id) -> setof leads. Errors: 22023 for an unknown sort, status
// or include, or a page size beyond 1..1000; 42501 without leads:read_*; PT404 for an after_lead_id that is
// unknown or not visible.
KVCRM_FUNCTION(list_leads) {
  const Filters filters = ReadFilters(args);
  const ListSort sort = ReadSort(args.Get<OptionalText>(9));
  const auto after = args.Get<OptionalUuid>(10);
  const std::int32_t size = crm::PageSize(args.Get<std::optional<std::int32_t>>(11));
  pg::ResultSet result(args);
  pg::Session session(pg::Access::kRead);
  const crm::Caller caller = crm::CallerInGivenOrCurrent(args.Get<OptionalUuid>(12));
  LeadList list(caller, filters, sort);
  if (after) crm::FindLead(*after, caller.organization, crm::Lock::kNone, crm::Merged::kStay);
  list.Page(after, size, result);
  return result.Done();
}

// count_leads(query, ..., include, organization_id) -> bigint: how many leads list_leads has with these
// filters. Errors: 22023; 42501.
KVCRM_FUNCTION(count_leads) {
  const Filters filters = ReadFilters(args);
  pg::Session session(pg::Access::kRead);
  LeadList list(crm::CallerInGivenOrCurrent(args.Get<OptionalUuid>(9)), filters, kNewest);
  return args.Return(list.Count());
}
