// Import: rows become leads through the same gate as everything else; a bad row doesn't undo the good ones.
//
// Rows are written in batches, each in a sub-transaction; a batch that fails is halved until the bad row
// stands alone. A clean import thus costs a sub-transaction per batch, not per row. Rows that look bad at
// once are no part of a batch.
//
// Where duplicates matter, the leads that the rows of a batch are duplicates of are looked up together before
// anything is written. Such imports of one organization follow each other (lead_imports_one_at_a_time), so
// that the same file loaded by two sessions is loaded once, whatever the policy. Rows of one file that are
// duplicates of each other never go into one statement: the second finds what the first became.
#include <algorithm>
#include <map>
#include <set>

#include "crm/batches.hpp"
#include "crm/duplicate_policy.hpp"
#include "crm/duplicate_warnings.hpp"
#include "crm/errors.hpp"
#include "crm/fingerprints.hpp"
#include "crm/import_rows.hpp"
#include "crm/leads.hpp"
#include "crm/lists.hpp"
#include "crm/organizations.hpp"
#include "match/keys.hpp"
#include "pg/json.hpp"
#include "pg/result_set.hpp"
#include "pg/security.hpp"
#include "text/amount.hpp"
#include "text/email.hpp"
#include "text/fold.hpp"
#include "text/inn.hpp"
#include "text/phone.hpp"
#include "text/utf8.hpp"

using namespace kvcrm;
using crm::ImportRow;
using crm::Permission;

namespace {

using OptionalText = std::optional<std::string>;
using OptionalUuid = std::optional<pg::Uuid>;
using Texts = std::vector<std::string>;
using OptionalTexts = std::vector<OptionalText>;
using Keys = std::vector<std::int64_t>;
using Uuids = std::vector<pg::Uuid>;

constexpr std::size_t kBatch = 256;
// Of estimated_value, the sign included.
constexpr std::size_t kMaxWholeDigits = 16;

// --- the ledger ---

const pg::Statement<pg::Uuid, OptionalUuid, std::string, OptionalText, bool> kBegin{
    "import.begin",
    "INSERT INTO kvcrm.lead_imports (organization_id, imported_by, format, on_duplicate, running)"
    " VALUES ($1, $2, $3, $4, $5) RETURNING id"};

const pg::Statement<pg::Uuid, pg::Uuid, std::int32_t, std::int32_t, std::int32_t, std::int32_t> kEnd{
    "import.end",
    "UPDATE kvcrm.lead_imports SET running = false, row_count = $3 + $4 + $5 + $6, created_count = $3,"
    " updated_count = $4, skipped_count = $5, error_count = $6, updated_at = now()"
    " WHERE id = $1 AND organization_id = $2"};

const pg::Statement<pg::Uuid, pg::Uuid, Uuids> kRecordCreated{
    "import.record_created",
    "INSERT INTO kvcrm.lead_import_writes (organization_id, import_id, created_ids) VALUES ($1, $2, $3)"};

const pg::Statement<pg::Uuid, pg::Uuid, Uuids, OptionalTexts, Keys> kRecordUpdated{
    "import.record_updated",
    "INSERT INTO kvcrm.lead_import_writes (organization_id, import_id, lead_id, before_image, version)"
    " SELECT $1, $2, w.id, w.before::jsonb, w.version FROM unnest($3, $4, $5) AS w (id, before, version)"};

// --- writing ---

// One array for each of kImportFieldNames, and custom_fields.
#define ROWS_OF_ARRAYS(first)                                                              \
  "unnest(" first                                                                          \
  ") AS r (name, email, phone, company, \"position\", inn, source, stage_id, assigned_to," \
  " estimated_value, currency, custom_fields)"

template <typename... First>
using WriteRows = pg::Statement<First..., OptionalTexts, OptionalTexts, OptionalTexts, OptionalTexts,
                                OptionalTexts, OptionalTexts, OptionalTexts, OptionalTexts, OptionalTexts,
                                OptionalTexts, OptionalTexts, OptionalTexts>;

const WriteRows<pg::Uuid> kInsert{
    "import.insert",
    "INSERT INTO kvcrm.leads (organization_id, name, email, phone, company, \"position\", inn, source,"
    " stage_id, assigned_to, estimated_value, currency, custom_fields)"
    " SELECT $1, r.name, r.email, r.phone, r.company, r.\"position\", r.inn, r.source, r.stage_id::uuid,"
    " r.assigned_to::uuid, r.estimated_value::numeric, r.currency, coalesce(r.custom_fields::jsonb, '{}')"
    " FROM " ROWS_OF_ARRAYS("$2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13") " RETURNING id"};

// What a row has no value for stays as it is.
const WriteRows<pg::Uuid, Uuids> kUpdate{
    "import.update",
    "UPDATE kvcrm.leads AS l SET name = coalesce(r.name, l.name), email = coalesce(r.email, l.email),"
    " phone = coalesce(r.phone, l.phone), company = coalesce(r.company, l.company),"
    " \"position\" = coalesce(r.\"position\", l.\"position\"), inn = coalesce(r.inn, l.inn),"
    " source = coalesce(r.source, l.source), stage_id = coalesce(r.stage_id::uuid, l.stage_id),"
    " assigned_to = coalesce(r.assigned_to::uuid, l.assigned_to),"
    " estimated_value = coalesce(r.estimated_value::numeric, l.estimated_value),"
    " currency = coalesce(r.currency, l.currency),"
    " custom_fields = CASE WHEN r.custom_fields IS NULL THEN l.custom_fields"
    "   ELSE l.custom_fields || r.custom_fields::jsonb END"
    " FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) AS r (id, name, email, phone,"
    " company, \"position\", inn, source, stage_id, assigned_to, estimated_value, currency, custom_fields)"
    " WHERE l.id = r.id AND l.organization_id = $1 RETURNING l.id, l.version"};

// --- finding duplicates ---

#define LIVE "l.deleted_at IS NULL AND l.merged_into_id IS NULL AND l.converted_at IS NULL"
// The lead to take of several: an open one, the newest.
#define BEST_FIRST " ORDER BY w.n, l.status = 'lost', l.created_at DESC, l.id DESC"

// By blocking key: $2 the keys, $3 the values that must be equal. As a lookup of one contact (leads.cpp): the
// planner must see nothing but the key.
#define HAVING_THE_SAME(column)                                                        \
  "SELECT w.n, l.id, l.assigned_to"                                                    \
  " FROM unnest($2, $3) WITH ORDINALITY AS w (key, value, n)"                          \
  " CROSS JOIN LATERAL (SELECT f.id, f.organization_id FROM kvcrm.lead_fingerprints f" \
  "   WHERE f.match_keys @> ARRAY[w.key] OFFSET 0) s"                                  \
  " CROSS JOIN LATERAL (SELECT x.* FROM kvcrm.leads x WHERE x.id = s.id OFFSET 0) l"   \
  " WHERE s.organization_id = $1 AND l.organization_id = $1 AND l." column " = w.value AND " LIVE BEST_FIRST
using SameByKey = pg::Statement<pg::Uuid, Keys, Texts>;
const SameByKey kSameEmail{"import.same_email", HAVING_THE_SAME("email_normalized"), pg::Plan::kGin};
const SameByKey kSamePhone{"import.same_phone", HAVING_THE_SAME("phone_e164"), pg::Plan::kGin};

// By an index of the column itself.
#define HAVING_INDEXED(column, condition)                                \
  "SELECT w.n, l.id, l.assigned_to"                                      \
  " FROM unnest($2) WITH ORDINALITY AS w (value, n)"                     \
  " CROSS JOIN LATERAL (SELECT x.* FROM kvcrm.leads x"                   \
  "   WHERE x.organization_id = $1 AND x." column " = w.value" condition \
  " OFFSET 0) l WHERE " LIVE BEST_FIRST
using SameByValue = pg::Statement<pg::Uuid, Texts>;
const SameByValue kBlockedEmail{"import.blocked_email", HAVING_INDEXED("block_email", "")};
const SameByValue kBlockedPhone{"import.blocked_phone", HAVING_INDEXED("block_phone", "")};

// A firm's INN is on all its people, who may be thousands: one with another address is a colleague, and one
// with the same was found by it. So of leads with the INN only those are asked for that lack what the row
// has. Their order is one that only leads_inn gives: without statistics all indexes of the organization look
// alike.
#define HAVING_INN(condition) HAVING_INDEXED("inn", condition " ORDER BY x.email_normalized, x.phone_e164")
#define LACKS_EMAIL " AND x.email_normalized IS NULL"
#define LACKS_PHONE " AND x.phone_e164 IS NULL"
const SameByValue kSameInn{"import.same_inn", HAVING_INN("")};
const SameByValue kSameInnNoEmail{"import.same_inn_no_email", HAVING_INN(LACKS_EMAIL)};
const SameByValue kSameInnNoPhone{"import.same_inn_no_phone", HAVING_INN(LACKS_PHONE)};
const SameByValue kSameInnAlone{"import.same_inn_alone", HAVING_INN(LACKS_EMAIL LACKS_PHONE)};

// In the order in which others lock many leads.
const pg::Statement<pg::Uuid, Uuids> kLock{
    "import.lock",
    "SELECT l.id, l.assigned_to, l.email_normalized, l.phone_e164, l.inn, " LIVE
    ", jsonb_build_object('name', name, 'email', email, 'phone', phone, 'company', company,"
    " 'position', \"position\", 'inn', inn, 'source', source, 'stage_id', stage_id, 'assigned_to', "
    "assigned_to,"
    " 'estimated_value', estimated_value, 'currency', currency, 'custom_fields', custom_fields,"
    " 'lost_reason', lost_reason)::text"
    " FROM kvcrm.leads l WHERE l.organization_id = $1 AND l.id = ANY ($2) ORDER BY l.id FOR NO KEY UPDATE"};

// --- names that stand for ids ---

const pg::Statement<pg::Uuid> kStages{
    "import.stages", "SELECT id::text, name FROM kvcrm.lead_stages WHERE organization_id = $1"};
const pg::Statement<pg::Uuid> kMembers{
    "import.members",
    "SELECT user_id::text, email FROM kvcrm.organization_members"
    " WHERE organization_id = $1 AND status = 'active' AND email IS NOT NULL"
    " UNION ALL SELECT user_id::text, display_name FROM kvcrm.organization_members"
    " WHERE organization_id = $1 AND status = 'active' AND display_name IS NOT NULL"};
const pg::Statement<pg::Uuid> kSources{
    "import.sources", "SELECT slug, name FROM kvcrm.lead_sources WHERE organization_id = $1"};

// Read when the first name needs it.
class Directory {
 public:
  Directory(const pg::Statement<pg::Uuid>& statement, const pg::Uuid& organization)
      : statement_(statement), organization_(organization) {}
  // Nothing for a name that nobody has, or several.
  OptionalText Find(const std::string& name) {
    if (!read_) Read();
    const auto found = ids_.find(text::Fold(name));
    return found == ids_.end() ? std::nullopt : found->second;
  }

 private:
  void Read() {
    const pg::Rows rows = statement_(organization_);
    for (std::uint64_t i = 0; i < rows.size(); ++i) {
      const auto id = rows.Get<std::string>(i, 0);
      const auto [at, is_new] = ids_.emplace(text::Fold(rows.Get<std::string>(i, 1)), id);
      if (!is_new && at->second != id) at->second.reset();
    }
    read_ = true;
  }

  const pg::Statement<pg::Uuid>& statement_;
  pg::Uuid organization_;
  bool read_ = false;
  std::map<std::string, OptionalText> ids_;
};

// --- the import ---

enum class OnDuplicate { kAllow, kWarn, kBlock, kSkip, kUpdate };

std::optional<OnDuplicate> ParseOnDuplicate(const OptionalText& text) {
  if (!text) return std::nullopt;
  if (*text == "allow") return OnDuplicate::kAllow;
  if (*text == "warn") return OnDuplicate::kWarn;
  if (*text == "block") return OnDuplicate::kBlock;
  if (*text == "skip") return OnDuplicate::kSkip;
  if (*text == "update") return OnDuplicate::kUpdate;
  throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "on_duplicate must be allow, warn, block, skip or update");
}

// Of one row: what became of it.
struct Outcome {
  const char* name = "error";
  OptionalUuid lead;
  OptionalText error;
};

// By what a row finds a lead, the strongest first.
enum Contact { kEmail, kPhone, kInn, kContactCount };
constexpr const char* kContactNames[kContactCount] = {"email", "phone", "INN"};

struct Item {
  ImportRow row;
  std::array<OptionalText, kContactCount> contacts;  // normalised
  bool doubtful = false;
  Outcome outcome;
};

// The lead that a row is a duplicate of.
struct Match {
  pg::Uuid lead;
  OptionalUuid assignee;
  Contact by = kEmail;
  bool visible = false;
};

class Importer {
 public:
  struct Choice {
    OptionalText on_duplicate;
    bool dry_run = false;
    const char* format = "";
  };

  Importer(const crm::Caller& caller, const Choice& choice)
      : caller_(caller),
        given_(choice.on_duplicate),
        format_(choice.format),
        choice_(ParseOnDuplicate(choice.on_duplicate)),
        stages_(kStages, caller.organization),
        members_(kMembers, caller.organization),
        sources_(kSources, caller.organization) {}

  void Run(crm::ImportSource& source, pg::ResultSet& result) {
    const auto rules = crm::ReadOrganizationRules(caller_.organization);
    country_ = rules ? rules->default_country : "RU";
    blocks_ = rules && rules->blocks_duplicates;
    checks_inn_ = rules && rules->checks_inn;
    // Under the policy 'block' the table refuses duplicates, whatever was chosen.
    if (blocks_ && (!choice_ || *choice_ == OnDuplicate::kAllow || *choice_ == OnDuplicate::kWarn))
      choice_ = OnDuplicate::kBlock;
    looks_ = choice_ && *choice_ != OnDuplicate::kAllow && *choice_ != OnDuplicate::kWarn;
    import_ = kBegin(caller_.organization, caller_.user, format_, given_, looks_).Get<pg::Uuid>(0, 0);
    const crm::DuplicateChoice one_call(WarningsWanted());
    pg::Scratch scratch;
    for (;;) {
      pg::CheckForInterrupts();
      items_.clear();
      for (ImportRow& row : source.Next(kBatch)) items_.push_back({std::move(row), {}, false, {}});
      if (items_.empty()) break;
      ImportItems();
      for (const Item& item : items_) {
        result.Add(item.row.number, std::string_view(item.outcome.name), item.outcome.lead,
                   item.outcome.error);
        ++counts_[item.outcome.name];
      }
      scratch.Reset();
    }
    kEnd(import_, caller_.organization, counts_["created"], counts_["updated"], counts_["skipped"],
         counts_["error"]);
  }

 private:
  std::optional<crm::OnDuplicate> WarningsWanted() const {
    if (!choice_) return std::nullopt;
    switch (*choice_) {
      case OnDuplicate::kAllow:
        return crm::OnDuplicate::kAllow;
      case OnDuplicate::kWarn:
        return crm::OnDuplicate::kWarn;
      default:
        return std::nullopt;
    }
  }

  void ImportItems() {
    good_.clear();
    for (std::size_t i = 0; i < items_.size(); ++i) {
      Item& item = items_[i];
      if (!item.row.error) item.row.error = Prepare(item);
      if (item.row.error) {
        item.outcome = {"error", {}, item.row.error};
      } else {
        item.doubtful = IsDoubtful(item.row);
        good_.push_back(i);
      }
    }
    for (std::size_t first = 0; first < good_.size();) {
      std::size_t end = first + 1;
      if (!items_[good_[first]].doubtful) {
        while (end < good_.size() && !items_[good_[end]].doubtful) ++end;
      }
      crm::InBatches(
          end - first, kBatch, [&](std::size_t from, std::size_t to) { Write(first + from, first + to); },
          [&](std::size_t at, const crm::Failure& failure) { Refuse(items_[good_[first + at]], failure); });
      first = end;
    }
  }

  // Whether the table is going to refuse the row for what files are full of: it goes alone, so that the good
  // ones around it aren't written anew with every half. A guess, by which nothing is decided.
  bool IsDoubtful(const ImportRow& row) const {
    const OptionalText& email = row.fields[crm::kImportEmail];
    const OptionalText& inn = row.fields[crm::kImportInn];
    return (!row.fields[crm::kImportName] && choice_ != OnDuplicate::kUpdate) ||
           (email && !text::IsValidEmail(text::Trim(*email))) ||
           (checks_inn_ && inn && !text::IsValidInn(text::Trim(*inn)));
  }

  // The field first, unless the message tells it.
  static void Refuse(Item& item, const crm::Failure& failure) {
    const bool told = failure.column.empty() || failure.message.find(failure.column) != std::string::npos;
    item.outcome = {"error", {}, told ? failure.message : failure.column + ": " + failure.message};
  }

  // Brings the values into the form that the table takes. Returns what is wrong.
  OptionalText Prepare(Item& item) {
    for (OptionalText& field : item.row.fields) {
      if (field && text::Trim(*field).empty()) field.reset();
    }
    if (OptionalText& value = item.row.fields[crm::kImportValue]; value) {
      OptionalText number = text::ParseAmount(*value);
      if (!number)
        return "estimated_value: invalid input syntax for type numeric: " + crm::ShownValue(*value);
      if (std::string_view(format_) == "csv" && MayBeThousands(*number))
        return "estimated_value: can be read in two ways: " + crm::ShownValue(*value);
      // numeric(18,2); the table's own error would not name the column.
      if (std::min(number->find('.'), number->size()) > kMaxWholeDigits)
        return "estimated_value: out of range: " + crm::ShownValue(*value);
      value = std::move(number);
    }
    // Of a longer one char(3) would not say which column it is.
    if (const OptionalText& currency = item.row.fields[crm::kImportCurrency];
        currency && text::CountCodePoints(text::Trim(*currency)) > 3)
      return "currency: must be an ISO 4217 code such as EUR: " + crm::ShownValue(*currency);
    if (OptionalText problem = PutId(item, crm::kImportStage, stages_, "stage")) return problem;
    if (OptionalText problem = PutId(item, crm::kImportAssignee, members_, "active member")) return problem;
    if (OptionalText& source = item.row.fields[crm::kImportSource]; source) {
      if (OptionalText slug = sources_.Find(*source)) source = std::move(slug);
    }
    if (looks_) TakeContacts(item);
    return std::nullopt;
  }
  // Money has no third digit after the point: who writes 1.234 may mean 1234.
  static bool MayBeThousands(std::string_view number) {
    if (number.starts_with('-')) number.remove_prefix(1);
    const std::size_t whole = number.find('.');
    return whole >= 1 && whole <= 3 && number.size() == whole + 4 && number[0] != '0';
  }
  static OptionalText PutId(Item& item, crm::ImportField field, Directory& directory, const char* what) {
    OptionalText& value = item.row.fields[field];
    if (!value) return std::nullopt;
    value = text::Trim(*value);
    if (pg::Uuid::Parse(*value)) return std::nullopt;
    OptionalText id = directory.Find(*value);
    if (!id) {
      return std::string(crm::kImportFieldNames[field]) + ": no " + what +
             " has this name, and invalid input syntax for type uuid: " + crm::ShownValue(*value);
    }
    value = std::move(id);
    return std::nullopt;
  }

  void TakeContacts(Item& item) const {
    const auto trimmed = [&](crm::ImportField field) {
      const OptionalText& value = item.row.fields[field];
      return value ? OptionalText(text::Trim(*value)) : std::nullopt;
    };
    if (const OptionalText email = trimmed(crm::kImportEmail))
      item.contacts[kEmail] = text::NormalizeEmail(*email);
    if (const OptionalText phone = trimmed(crm::kImportPhone))
      item.contacts[kPhone] = text::ToE164(*phone, country_);
    if (*choice_ != OnDuplicate::kBlock) item.contacts[kInn] = trimmed(crm::kImportInn);
  }

  // --- one batch ---

  // Writes the good items from `first` to `end`. What it keeps bears repeating: it comes again after a
  // failure.
  void Write(std::size_t first, std::size_t end) {
    while (first < end) {
      const pg::Scratch scratch;
      std::size_t stop = end;
      std::map<std::size_t, Match> matches;
      if (looks_) {
        stop = FirstRepeated(first, end);
        matches = FindLeads(first, stop);
      }
      std::vector<std::size_t> created;
      std::map<pg::Uuid, std::size_t> updated;
      for (std::size_t at = first; at < stop; ++at) {
        const auto match = matches.find(at);
        if (match == matches.end()) {
          created.push_back(good_[at]);
        } else if (*choice_ == OnDuplicate::kUpdate && match->second.visible) {
          // Two rows of one lead follow each other.
          if (!updated.emplace(match->second.lead, good_[at]).second) stop = at;
        } else {
          Answer(items_[good_[at]], match->second);
        }
      }
      Update(updated, matches, first, stop);
      Create(created);
      first = stop;
    }
  }

  // Which of e-mail and phone a row has: one bit each.
  static unsigned Addresses(const Item& item) {
    return (item.contacts[kEmail] ? 1U : 0U) | (item.contacts[kPhone] ? 2U : 0U);
  }

  // The first item that shares a contact with one before it; the INN counts unless both have an e-mail
  // address or both a phone, which then differ.
  std::size_t FirstRepeated(std::size_t first, std::size_t end) const {
    std::set<std::pair<int, std::string_view>> seen;
    std::map<std::string_view, std::set<unsigned>> firms;  // INN, and what its people have
    for (std::size_t at = first; at < end; ++at) {
      const Item& item = items_[good_[at]];
      for (const Contact contact : {kEmail, kPhone}) {
        const OptionalText& value = item.contacts[contact];
        if (value && !seen.emplace(contact, *value).second) return at;
      }
      if (!item.contacts[kInn]) continue;
      const unsigned has = Addresses(item);
      std::set<unsigned>& others = firms[*item.contacts[kInn]];
      if (std::any_of(others.begin(), others.end(), [&](unsigned other) { return (other & has) == 0; }))
        return at;
      others.insert(has);
    }
    return end;
  }

  // The duplicates of rows, by their places.
  std::map<std::size_t, Match> FindLeads(std::size_t first, std::size_t end) const {
    std::map<std::size_t, Match> matches;
    for (const Contact contact : {kEmail, kPhone}) FindByAddress(contact, first, end, matches);
    for (const unsigned addresses : {0U, 1U, 2U, 3U}) FindByInn(addresses, first, end, matches);
    return matches;
  }
  void FindByAddress(Contact contact, std::size_t first, std::size_t end,
                     std::map<std::size_t, Match>& matches) const {
    Texts values;
    std::vector<std::size_t> places;
    Keys keys;
    for (std::size_t at = first; at < end; ++at) {
      const OptionalText& value = items_[good_[at]].contacts[contact];
      if (!value || matches.count(at) != 0) continue;
      if (blocks_) {
        values.push_back(*value);
        places.push_back(at);
        continue;
      }
      match::Fields fields;
      (contact == kEmail ? fields.email : fields.phone) = *value;
      const std::string normalized = match::Normalize(fields);
      for (const std::int64_t key :
           match::KeysOfContacts(match::Record(normalized), crm::BytesOf(caller_.organization))) {
        keys.push_back(key);
        values.push_back(*value);
        places.push_back(at);
      }
    }
    if (values.empty()) return;
    const pg::Uuid& home = caller_.organization;
    Take(contact,
         blocks_ ? (contact == kEmail ? kBlockedEmail : kBlockedPhone).Latest(home, values)
                 : (contact == kEmail ? kSameEmail : kSamePhone).Latest(home, keys, values),
         places, matches);
  }
  // Of rows that have just these addresses.
  void FindByInn(unsigned addresses, std::size_t first, std::size_t end,
                 std::map<std::size_t, Match>& matches) const {
    Texts values;
    std::vector<std::size_t> places;
    for (std::size_t at = first; at < end; ++at) {
      const Item& item = items_[good_[at]];
      if (!item.contacts[kInn] || Addresses(item) != addresses || matches.count(at) != 0) continue;
      values.push_back(*item.contacts[kInn]);
      places.push_back(at);
    }
    if (values.empty()) return;
    const SameByValue* const kLacking[] = {&kSameInn, &kSameInnNoEmail, &kSameInnNoPhone, &kSameInnAlone};
    Take(kInn, kLacking[addresses]->Latest(caller_.organization, values), places, matches);
  }
  // What was found for the rows at `places`. The best comes first, but one that is seen is better.
  void Take(Contact contact, const pg::Rows& rows, const std::vector<std::size_t>& places,
            std::map<std::size_t, Match>& matches) const {
    for (std::uint64_t i = 0; i < rows.size(); ++i) {
      const std::size_t at = places[static_cast<std::size_t>(rows.Get<std::int64_t>(i, 0)) - 1];
      const auto found = matches.find(at);
      if (found != matches.end() && found->second.visible) continue;
      const auto assignee = rows.Get<OptionalUuid>(i, 2);
      const Match match{rows.Get<pg::Uuid>(i, 1), assignee, contact, crm::SeesLead(caller_, assignee)};
      if (found == matches.end()) {
        matches.emplace(at, match);
      } else if (match.visible) {
        found->second = match;
      }
    }
  }

  // Of a row that is a duplicate and changes nothing.
  void Answer(Item& item, const Match& match) const {
    const OptionalUuid shown = match.visible ? OptionalUuid(match.lead) : std::nullopt;
    if (*choice_ == OnDuplicate::kSkip) {
      item.outcome = {"skipped", shown, {}};
      return;
    }
    std::string error = std::string("another live lead has the same ") + kContactNames[match.by];
    if (shown) error += " (Lead " + shown->Text() + ".)";
    item.outcome = {"error", {}, std::move(error)};
  }

  void Create(const std::vector<std::size_t>& created) {
    if (created.empty()) return;
    std::array<OptionalTexts, crm::kImportFieldCount + 1> columns = Columns(created);
    const pg::Rows inserted =
        std::apply([&](const auto&... values) { return kInsert(caller_.organization, values...); }, columns);
    Uuids ids;
    for (std::size_t i = 0; i < created.size(); ++i) {
      ids.push_back(inserted.Get<pg::Uuid>(i, 0));
      items_[created[i]].outcome = {"created", ids.back(), {}};
    }
    kRecordCreated(caller_.organization, import_, ids);
  }

  // `updated`: leads and the items that change them. What is found changed once it is locked is not written:
  // the row says so and can be imported again.
  void Update(const std::map<pg::Uuid, std::size_t>& updated, const std::map<std::size_t, Match>& matches,
              std::size_t first, std::size_t stop) {
    if (updated.empty()) return;
    std::map<std::size_t, Contact> found_by;
    for (const auto& [at, match] : matches) {
      if (at >= first && at < stop) found_by[good_[at]] = match.by;
    }
    Uuids ids;
    for (const auto& [id, item] : updated) {
      if (found_by.count(item) != 0) ids.push_back(id);
    }
    const pg::Rows locked = kLock.Latest(caller_.organization, ids);
    Uuids targets;
    std::vector<std::size_t> sources;
    OptionalTexts images;
    for (std::uint64_t i = 0; i < locked.size(); ++i) {
      const auto id = locked.Get<pg::Uuid>(i, 0);
      const std::size_t source = updated.at(id);
      Item& item = items_[source];
      const Contact by = found_by.at(source);
      const bool stands = locked.Get<bool>(i, 5) && locked.Get<OptionalText>(i, 2 + by) == item.contacts[by];
      if (!stands) {
        item.outcome = {
            "error", {}, "the lead with the same " + std::string(kContactNames[by]) + " has just changed"};
      } else if (!crm::MayUpdateLead(caller_, locked.Get<OptionalUuid>(i, 1))) {
        item.outcome = {"error", {}, "permission denied: leads:update is needed (Lead " + id.Text() + ".)"};
      } else {
        targets.push_back(id);
        sources.push_back(source);
        images.push_back(locked.Get<std::string>(i, 6));
        item.outcome = {"updated", id, {}};
      }
    }
    if (targets.empty()) return;
    std::array<OptionalTexts, crm::kImportFieldCount + 1> columns = Columns(sources);
    const pg::Rows written = std::apply(
        [&](const auto&... values) { return kUpdate(caller_.organization, targets, values...); }, columns);
    std::map<pg::Uuid, std::int64_t> versions;
    for (std::uint64_t i = 0; i < written.size(); ++i)
      versions[written.Get<pg::Uuid>(i, 0)] = written.Get<std::int32_t>(i, 1);
    Keys in_order;
    for (const pg::Uuid& id : targets) in_order.push_back(versions[id]);
    kRecordUpdated(caller_.organization, import_, targets, images, in_order);
  }

  std::array<OptionalTexts, crm::kImportFieldCount + 1> Columns(const std::vector<std::size_t>& items) const {
    std::array<OptionalTexts, crm::kImportFieldCount + 1> columns;
    for (OptionalTexts& column : columns) column.reserve(items.size());
    for (const std::size_t item : items) {
      const ImportRow& row = items_[item].row;
      for (std::size_t field = 0; field < crm::kImportFieldCount; ++field)
        columns[field].push_back(row.fields[field]);
      columns.back().push_back(row.custom_fields);
    }
    return columns;
  }

  const crm::Caller& caller_;
  const OptionalText given_;
  const char* const format_;
  std::optional<OnDuplicate> choice_;
  std::string country_;
  bool blocks_ = false;  // by the organization's policy
  bool checks_inn_ = true;
  bool looks_ = false;  // for duplicates
  Directory stages_, members_, sources_;
  pg::Uuid import_;
  std::vector<Item> items_;
  std::vector<std::size_t> good_;  // places in items_
  std::map<std::string, std::int32_t> counts_;
};

// `make_source` opens it once the caller is known to be allowed to.
template <typename MakeSource>
Datum Import(pg::Args& args, const Importer::Choice& choice, const OptionalUuid& organization,
             const MakeSource& make_source) {
  ParseOnDuplicate(choice.on_duplicate);
  pg::ResultSet result(args);
  pg::Session session(pg::Access::kWrite);
  const crm::Caller caller = crm::CallerInGivenOrCurrent(organization);
  caller.Require(Permission::kLeadsImport);
  // What is read of policies, stages and fields stays true until the end.
  pg::LockForWriting("leads");
  const std::unique_ptr<crm::ImportSource> source = make_source(caller);
  Importer importer(caller, choice);
  if (choice.dry_run) {
    const pg::SubTransaction rolled_back;
    importer.Run(*source, result);
  } else {
    importer.Run(*source, result);
  }
  return result.Done();
}

const pg::Statement<pg::Uuid, pg::Uuid> kExists{
    "import.exists", "SELECT 1 FROM kvcrm.lead_imports WHERE id = $1 AND organization_id = $2"};

const pg::Statement<pg::Uuid, OptionalUuid, std::int32_t> kList{
    "import.list",
    "SELECT i.* FROM kvcrm.lead_imports i WHERE i.organization_id = $1 AND ($2 IS NULL OR i.id < $2)"
    " ORDER BY i.id DESC LIMIT $3",
    pg::Plan::kCustom};

}  // namespace

namespace kvcrm::crm {

std::string ShownValue(std::string_view value) {
  constexpr std::size_t kMostBytes = 100;
  const std::string_view shown = text::Beginning(value, kMostBytes);
  return "\"" + std::string(shown) + (shown.size() < value.size() ? "…\"" : "\"");
}

}  // namespace kvcrm::crm

// import_leads(rows jsonb, on_duplicate, dry_run, organization_id) -> setof (row_no, outcome, lead_id,
// error). `rows` is an array of objects with the columns of leads as keys (job_title also stands for
// position). Errors: 22023 when rows is no array or on_duplicate unknown; 42501 without leads:import. A bad
// row is reported as outcome 'error'; the others load.
KVCRM_FUNCTION(import_leads) {
  const pg::Json rows = args.Require<pg::Json>(0, "rows");
  const Importer::Choice choice{args.Get<OptionalText>(1), args.Get<std::optional<bool>>(2).value_or(false),
                                "json"};
  return Import(args, choice, args.Get<OptionalUuid>(3),
                [&](const crm::Caller&) { return crm::ReadJsonRows(rows); });
}

// import_leads_csv(csv text, mapping jsonb, on_duplicate, dry_run, organization_id) -> setof (row_no,
// outcome, lead_id, error): the same for the records of CSV with a header; row_no counts them from 1. Errors:
// also 22023 for headers or a mapping that fit no column, and for what is no CSV.
KVCRM_FUNCTION(import_leads_csv) {
  const auto csv = args.Require<std::string>(0, "csv");
  const auto mapping = args.Get<std::optional<pg::Json>>(1);
  const Importer::Choice choice{args.Get<OptionalText>(2), args.Get<std::optional<bool>>(3).value_or(false),
                                "csv"};
  return Import(args, choice, args.Get<OptionalUuid>(4), [&](const crm::Caller& caller) {
    return crm::ReadCsvRows(csv, mapping, caller.organization);
  });
}

// list_imports(after_import_id, page_size, organization_id) -> setof lead_imports, newest first. Errors:
// 22023 for a page beyond 1..1000; 42501 without leads:import.
KVCRM_FUNCTION(list_imports) {
  const std::int32_t page_size = crm::PageSize(args.Get<std::optional<std::int32_t>>(1));
  pg::ResultSet result(args);
  pg::Session session(pg::Access::kRead);
  const crm::Caller caller = crm::CallerInGivenOrCurrent(args.Get<OptionalUuid>(2));
  caller.Require(Permission::kLeadsImport);
  const auto after = args.Get<OptionalUuid>(0);
  if (after && kExists(*after, caller.organization).empty()) throw Error(crm::kNotFound, "import not found");
  result.AddAll(kList(caller.organization, after, page_size));
  return result.Done();
}
