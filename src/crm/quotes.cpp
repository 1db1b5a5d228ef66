// Quotes: commercial offers, their numbers, their way from draft to decision.
//
// A quote belongs to a lead, a customer or both. As long as its lead is not converted it has no customer; the
// conversion gives it one, a revert takes it back. Whoever writes a quote of a lead holds a lock on the lead
// that conversions and merges wait for, so that none of them overlooks it.
#include "crm/quotes.hpp"

#include <set>

#include "crm/conversion.hpp"
#include "crm/errors.hpp"
#include "crm/fields.hpp"
#include "crm/identity.hpp"
#include "crm/organizations.hpp"
#include "crm/rows.hpp"
#include "crm/stages.hpp"
#include "crm/uuid.hpp"
#include "pg/json.hpp"
#include "pg/security.hpp"
#include "text/utf8.hpp"

extern "C" {
#include "utils/datetime.h"
}

using namespace kvcrm;
using crm::Authorized;
using crm::Permission;

namespace {

using OptionalText = std::optional<std::string>;
using OptionalUuid = std::optional<pg::Uuid>;

// A number that another quote has, or is just getting, brings no row.
const pg::Statement<pg::Uuid, pg::Uuid, std::string, pg::Decimal, OptionalText, OptionalText> kInsert{
    "quotes.insert",
    "INSERT INTO kvcrm.quotes AS q (organization_id, lead_id, title, amount, currency, number)"
    " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (organization_id, number) DO NOTHING RETURNING q"};

const pg::Statement<pg::Uuid, std::string> kNumbered{
    "quotes.numbered", "SELECT id, lead_id FROM kvcrm.quotes WHERE organization_id = $1 AND number = $2"};

// A conversion or a merge waits for this lock, or this for them.
const pg::Statement<pg::Uuid, pg::Uuid> kLockLead{
    "quotes.lock_lead",
    "SELECT converted_to_customer_id, merged_into_id, deleted_at IS NOT NULL, assigned_to FROM kvcrm.leads"
    " WHERE id = $1 AND organization_id = $2 FOR SHARE"};

const pg::Statement<pg::Uuid, pg::Uuid> kLockCustomer{
    "quotes.lock_customer",
    "SELECT deleted_at IS NOT NULL FROM kvcrm.customers WHERE id = $1 AND organization_id = $2 FOR KEY "
    "SHARE"};

const pg::Statement<pg::Uuid> kAcceptedWins{
    "quotes.accepted_wins",
    "SELECT 1 FROM kvcrm.organizations WHERE id = $1 AND settings @> '{\"quote_accepted_wins\": true}'"};

const pg::Statement<pg::Uuid, pg::Uuid> kLockStage{
    "quotes.lock_stage",
    "SELECT stage_id FROM kvcrm.leads WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL"
    " AND merged_into_id IS NULL FOR NO KEY UPDATE"};

const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid> kMoveLead{
    "quotes.move_lead", "UPDATE kvcrm.leads SET stage_id = $3 WHERE id = $1 AND organization_id = $2"};

const pg::Statement<pg::Uuid, pg::Uuid> kFind{
    "quotes.find",
    "SELECT lead_id, status FROM kvcrm.quotes WHERE id = $1 AND organization_id = $2 FOR UPDATE"};

const pg::Statement<pg::Uuid> kOrganizationsOf{"quotes.organizations_of",
                                               "SELECT organization_id FROM kvcrm.quotes WHERE id = $1"};

const pg::Statement<pg::Uuid, pg::Uuid> kDelete{
    "quotes.delete", "DELETE FROM kvcrm.quotes AS q WHERE id = $1 AND organization_id = $2 RETURNING q"};

const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid> kGiveCustomer{
    "quotes.give_customer",
    "WITH given AS (UPDATE kvcrm.quotes SET customer_id = $3 WHERE lead_id = $1 AND organization_id = $2"
    "   AND customer_id IS NULL RETURNING id)"
    " UPDATE kvcrm.lead_conversions SET before_image = before_image || jsonb_build_object('quotes',"
    "   (SELECT jsonb_agg(g.id) FROM given g))"
    " WHERE lead_id = $1 AND organization_id = $2 AND reverted_at IS NULL AND EXISTS (SELECT 1 FROM given)"};

const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid> kTakeCustomer{
    "quotes.take_customer",
    "UPDATE kvcrm.quotes SET customer_id = NULL WHERE lead_id = $1 AND organization_id = $2 AND customer_id "
    "= $3"};

enum Column {
  kId,
  kOrganization,
  kLead,
  kCustomer,
  kNumber,
  kTitle,
  kAmount,
  kCurrency,
  kStatus,
  kCustomFields,
  kSentAt,
  kDecidedAt,
  kCreatedBy,
  kUpdatedAt,
  kColumnCount
};
constexpr const char* kColumnNames[] = {
    "id",       "organization_id", "lead_id",       "customer_id", "number",     "title",      "amount",
    "currency", "status",          "custom_fields", "sent_at",     "decided_at", "created_by", "updated_at"};
pg::Columns columns_of_quotes(kColumnNames, kColumnCount);
constexpr crm::TextRule kTexts[] = {{kNumber, crm::kShortLength}, {kTitle, crm::kNameLength, true}};
// What was offered; it changes in a draft only.
constexpr Column kContent[] = {kNumber, kTitle, kAmount, kCurrency, kCustomFields};

struct Step {
  std::string_view from, to;
};
// What is decided stays decided: a new offer is a new quote.
constexpr Step kSteps[] = {{"draft", "sent"}, {"sent", "draft"}, {"sent", "accepted"}, {"sent", "rejected"}};

bool IsDecision(std::string_view status) { return status == "accepted" || status == "rejected"; }

// Numbers are drawn, not counted: writers would queue at a counter until each of them commits. Six letters
// out of 32 (Crockford's, without those that look like digits) leave a draw that is taken a rarity, and the
// unique key finds it.
constexpr int kDraws = 20;

std::string DrawNumber() {
  constexpr std::string_view kLetters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  constexpr int kLength = 6;
  const pg::Uuid random = crm::NewUuid();
  std::uint64_t bits = 0;
  for (int i = 11; i < 16; ++i) bits = bits << 8 | random.bytes[static_cast<std::size_t>(i)];
  int year = 0, month = 0, day = 0;
  // Days of the Julian calendar, as PostgreSQL counts them; the year is that of UTC.
  j2date(static_cast<int>(crm::Now().value / USECS_PER_DAY) + POSTGRES_EPOCH_JDATE, &year, &month, &day);
  std::string number = "Q-" + std::to_string(year) + "-";
  for (int i = 0; i < kLength; ++i, bits >>= 5) number += kLetters[bits & 31];
  return number;
}

// One quote on its way into the table.
class QuoteWrite {
 public:
  explicit QuoteWrite(const pg::TriggerCall& call)
      : at_(columns_of_quotes.In(call.table())), row_(call.New()) {
    if (call.OnUpdate()) old_.emplace(call.Old());
  }

  pg::Row& row() { return row_; }
  bool IsNoChange() const { return old_ && !crm::AnyChanged(row_, *old_); }

  void Apply() {
    if (old_) {
      for (const Column column : {kId, kOrganization}) crm::RequireUnchanged(row_, *old_, at_[column]);
      // Conversion, merging and their undo re-parent quotes; nobody else does.
      if (!Authorized::Active()) {
        for (const Column column : {kLead, kCustomer}) crm::RequireUnchanged(row_, *old_, at_[column]);
      }
      row_.Set(at_[kUpdatedAt], crm::Now());
    } else if (const OptionalUuid user = crm::CurrentUser(); user) {
      row_.Set(at_[kCreatedBy], user);
    }
    crm::NormalizeTexts(row_, old_ ? &*old_ : nullptr, kTexts, at_, "quote");
    if (row_.IsNull(at_[kAmount])) Require("amount");
    if (old_ && row_.IsNull(at_[kNumber])) Require("number");
    if (row_.IsNull(at_[kOrganization])) return CheckFields();
    organization_ = row_.Get<pg::Uuid>(at_[kOrganization]);
    if (!old_) Begin();
    if (!old_ || Changed(kCurrency)) FillCurrency();
    if (old_) {
      KeepContent();
      if (Changed(kStatus)) TakeStep();
    }
    CheckFields();
  }

 private:
  bool Changed(Column column) const { return crm::Changed(row_, *old_, at_[column]); }
  [[noreturn]] static void Require(const char* column) {
    throw Error(ERRCODE_CHECK_VIOLATION, std::string("quote ") + column + " is required").Column(column);
  }
  std::string StatusOf(const pg::Row& row) const {
    return row.IsNull(at_[kStatus]) ? std::string() : row.Get<std::string>(at_[kStatus]);
  }
  // Runs `read` as the owner; what is made inside is freed with the session.
  template <typename Read>
  static auto AsOwner(Read read) {
    const pg::AsOwner owner;
    const pg::Session session(pg::Access::kWrite);
    return read();
  }

  // A draft may lack what is required.
  void CheckFields() {
    const bool draft = StatusOf(row_) == "draft";
    const bool leaves_draft = !draft && old_ && StatusOf(*old_) == "draft";
    crm::CheckCustomFields(row_, old_ ? &*old_ : nullptr, at_[kCustomFields], at_[kOrganization],
                           crm::FieldEntity::kQuote, "quote",
                           draft          ? crm::FieldDemand::kLater
                           : leaves_draft ? crm::FieldDemand::kNow
                                          : crm::FieldDemand::kOnWriting);
  }

  void Begin() {
    const std::string status = StatusOf(row_);
    // The system may load what was decided elsewhere.
    if (status != "draft" && crm::CurrentUser()) {
      throw Error(ERRCODE_CHECK_VIOLATION, "a new quote is a draft").Column("status");
    }
    if (status != "draft" && row_.IsNull(at_[kSentAt])) row_.Set(at_[kSentAt], crm::Now());
    if (IsDecision(status) && row_.IsNull(at_[kDecidedAt])) row_.Set(at_[kDecidedAt], crm::Now());
    if (!Authorized::Active())
      AsOwner([&] {
        caller_ = crm::CallerIn(organization_);
        crm::RequireMembership(*caller_);
      });
    if (!row_.IsNull(at_[kLead])) {
      FollowLead();
    } else if (!row_.IsNull(at_[kCustomer])) {
      CheckCustomer();
    } else {
      throw Error(ERRCODE_CHECK_VIOLATION, "a quote is for a lead or a customer")
          .Hint("Give lead_id or customer_id.")
          .Column("customer_id");
    }
    if (row_.IsNull(at_[kNumber])) row_.Set(at_[kNumber], FreeNumber());
  }

  struct LeadState {
    pg::Uuid id;
    OptionalUuid customer, assignee;
    bool deleted = false;
  };
  // The quote of a merged lead is the survivor's; one of a converted lead is its customer's.
  void FollowLead() {
    const auto given = row_.Get<pg::Uuid>(at_[kLead]);
    const LeadState lead = AsOwner([&] { return LockLead(given); });
    if (lead.deleted) {
      throw Error(ERRCODE_CHECK_VIOLATION, "the lead is deleted")
          .Hint("Restore it first, with restore_lead(lead_id).");
    }
    if (lead.id != given) row_.Set(at_[kLead], lead.id);
    const auto customer = row_.Get<OptionalUuid>(at_[kCustomer]);
    if (!customer) {
      row_.Set(at_[kCustomer], lead.customer);
    } else if (customer != lead.customer) {
      throw Error(ERRCODE_CHECK_VIOLATION, lead.customer ? "the lead became another customer"
                                                         : "the lead is not converted into this customer")
          .Hint("Leave customer_id out: the quote gets the lead's customer.")
          .Column("customer_id");
    }
  }
  // A lead that the acting user doesn't see is not there.
  LeadState LockLead(const pg::Uuid& given) {
    LeadState lead;
    lead.id = given;
    for (;;) {
      pg::CheckForInterrupts();
      const pg::Rows rows = kLockLead.Latest(lead.id, organization_);
      if (rows.empty()) break;
      if (const auto survivor = rows.Get<OptionalUuid>(0, 1); survivor) {
        lead.id = *survivor;
        continue;
      }
      lead.customer = rows.Get<OptionalUuid>(0, 0);
      lead.deleted = rows.Get<bool>(0, 2);
      lead.assignee = rows.Get<OptionalUuid>(0, 3);
      if (caller_ && !crm::SeesLead(*caller_, lead.assignee)) break;
      if (lead.customer) RefuseDeleted(kLockCustomer.Latest(*lead.customer, organization_));
      return lead;
    }
    throw Error(crm::kNotFound, "lead not found");
  }
  void CheckCustomer() {
    const auto customer = row_.Get<pg::Uuid>(at_[kCustomer]);
    AsOwner([&] {
      const bool reads = !caller_ || caller_->Can(Permission::kCustomersRead);
      if (!reads) throw Error(crm::kNotFound, "customer not found");
      RefuseDeleted(kLockCustomer.Latest(customer, organization_));
    });
  }
  static void RefuseDeleted(const pg::Rows& customer) {
    if (customer.empty()) throw Error(crm::kNotFound, "customer not found");
    if (customer.Get<bool>(0, 0))
      throw Error(ERRCODE_CHECK_VIOLATION, "the customer is deleted").Column("customer_id");
  }
  std::string FreeNumber() const {
    for (int i = 0; i < kDraws; ++i) {
      std::string number = DrawNumber();
      if (AsOwner([&] { return kNumbered.Latest(organization_, number).empty(); })) return number;
    }
    throw Error(ERRCODE_UNIQUE_VIOLATION, "no free quote number was found").Column("number");
  }

  void FillCurrency() {
    if (!row_.IsNull(at_[kCurrency]) && !text::Trim(crm::ViewText(row_.At(at_[kCurrency]))).empty()) return;
    const auto rules = AsOwner([&] { return crm::ReadOrganizationRules(organization_); });
    // The foreign keys report an unknown organization.
    row_.Set(at_[kCurrency], pg::Opaque<BPCHAROID>{pg::ToValue(rules ? rules->currency : "RUB").datum});
  }

  // A draft's content changes freely, also in the statement that takes the quote back to be one.
  void KeepContent() const {
    if (Authorized::Active() || StatusOf(*old_) == "draft" || StatusOf(row_) == "draft") return;
    for (const Column column : kContent) {
      if (!Changed(column)) continue;
      Error error(ERRCODE_CHECK_VIOLATION, "a quote that was sent keeps its content");
      if (IsDecision(StatusOf(*old_)))
        throw std::move(error).Hint("Make a new quote.").Column(kColumnNames[column]);
      throw std::move(error).Hint("Take it back first: set status to draft.").Column(kColumnNames[column]);
    }
  }
  void TakeStep() {
    const std::string from = StatusOf(*old_), to = StatusOf(row_);
    bool allowed = false;
    for (const Step& step : kSteps) allowed = allowed || (step.from == from && step.to == to);
    if (!allowed) {
      throw Error(ERRCODE_CHECK_VIOLATION, "a quote does not change to this status")
          .Detail("Status is " + from + ".")
          .Hint("A draft is sent; a sent quote is accepted, rejected or taken back to draft.")
          .Column("status");
    }
    if (to == "sent") row_.Set(at_[kSentAt], crm::Now());
    if (to == "draft") row_.Set(at_[kSentAt], pg::Value{});
    if (IsDecision(to)) row_.Set(at_[kDecidedAt], crm::Now());
  }

  const AttrNumber* at_;
  pg::Row row_;
  std::optional<pg::Row> old_;
  pg::Uuid organization_;
  std::optional<crm::Caller> caller_;  // not when a function has authorised the caller
};

using LeadKey = std::pair<pg::Uuid, pg::Uuid>;  // organization, lead

// Moves a lead to the first won stage, unless it is in one, gone, or there is none.
void WinLead(const LeadKey& key) {
  const auto& [organization, lead] = key;
  pg::LockForWriting("leads");
  const pg::Rows rows = kLockStage.Latest(lead, organization);
  if (rows.empty()) return;
  const auto pipeline = crm::PipelineOf(organization);
  const crm::Stage* current = pipeline->Find(rows.Get<pg::Uuid>(0, 0));
  if (current != nullptr && current->outcome == "won") return;
  for (const crm::Stage& stage : pipeline->stages()) {
    if (stage.outcome != "won") continue;
    kMoveLead(lead, organization, stage.id);
    return;
  }
}

// Whether the caller sees a quote: all of them, or those of a lead they see.
bool SeesQuote(const crm::Caller& caller, const OptionalUuid& lead) {
  if (caller.Can(Permission::kQuotesRead)) return true;
  if (!lead) return false;
  try {
    crm::FindLead(*lead, caller.organization, crm::Lock::kNone);
    return true;
  } catch (const Error& error) {
    if (error.sqlstate() != crm::kNotFound) throw;
    return false;
  }
}

// The way out of a number that another quote has.
[[noreturn]] void RefuseNumber(const crm::Caller& caller, const std::string& number) {
  const pg::Rows rows = kNumbered.Latest(caller.organization, number);
  Error error(ERRCODE_UNIQUE_VIOLATION, "another quote has this number");
  if (rows.empty() || !SeesQuote(caller, rows.Get<OptionalUuid>(0, 1)))
    throw std::move(error).Column("number");
  throw std::move(error).Detail("Quote " + rows.Get<pg::Uuid>(0, 0).Text() + ".").Column("number");
}

}  // namespace

namespace kvcrm::crm {

void GiveCustomerToQuotes(const pg::Uuid& organization, const pg::Uuid& lead, const pg::Uuid& customer) {
  kGiveCustomer.Latest(lead, organization, customer);
}

void TakeCustomerFromQuotes(const pg::Uuid& organization, const pg::Uuid& lead, const pg::Uuid& customer) {
  kTakeCustomer.Latest(lead, organization, customer);
}

}  // namespace kvcrm::crm

// Trigger before insert or update of quotes.
KVCRM_FUNCTION(quotes_before) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Proceed();
  QuoteWrite write(call);
  if (write.IsNoChange()) return call.Proceed();
  write.Apply();
  return call.Proceed(write.row());
}

// Trigger after update of quotes: where the organization says so, an accepted quote moves its lead to the
// first won stage.
KVCRM_FUNCTION(quotes_after) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Done();
  const AttrNumber* at = columns_of_quotes.In(call.table());
  // In order of ids, as everybody locks several leads.
  std::set<LeadKey> accepted;
  {
    pg::TransitionReader old(call.OldTable(), call.descriptor()), row(call.NewTable(), call.descriptor());
    while (old.Next() && row.Next()) {
      if (row.At(at[kLead]).is_null || crm::ViewText(row.At(at[kStatus])) != "accepted" ||
          crm::ViewText(old.At(at[kStatus])) == "accepted")
        continue;
      accepted.insert({row.Get<pg::Uuid>(at[kOrganization]), row.Get<pg::Uuid>(at[kLead])});
    }
  }
  if (accepted.empty()) return call.Done();
  const pg::AsOwner owner;
  const pg::Session session(pg::Access::kWrite);
  for (const LeadKey& key : accepted) {
    if (!kAcceptedWins(key.first).empty()) WinLead(key);
  }
  return call.Done();
}

// create_quote_from_lead(lead_id, title, amount, currency, number, organization_id) -> quotes: a draft, after
// converting the lead unless it is converted. amount is in `currency` (ISO 4217), the organization's by
// default. Errors: 22023; PT404; 42501 without quotes:create, or what converting needs; 23514 for a lead that
// is gone; 23505 for a number that another quote has; 22001; 22003.
KVCRM_FUNCTION(create_quote_from_lead) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "lead_id");
  const std::string title = args.Require<std::string>(1, "title");
  const auto amount = args.Require<pg::Decimal>(2, "amount");
  const auto currency = args.Get<OptionalText>(3);
  const auto given = args.Get<OptionalText>(4);
  const std::string number(text::Trim(given ? std::string_view(*given) : std::string_view()));
  pg::Session session(pg::Access::kWrite);
  const crm::Lead lead = crm::FindLead(id, args.Get<OptionalUuid>(5), crm::Lock::kRow);
  const pg::Uuid& home = lead.caller.organization;
  lead.caller.Require(Permission::kQuotesCreate);
  crm::RequireNotGone(lead);
  if (!lead.converted) crm::ConvertLead(lead.id, std::nullopt, crm::OnMatch::kLink, home);
  const Authorized authorized;
  for (int i = 0; i < kDraws; ++i) {
    const pg::Rows rows =
        kInsert(home, lead.id, title, amount, currency, number.empty() ? OptionalText{} : number);
    if (!rows.empty()) return args.ReturnRow(rows.At(0, 0).datum);
    if (!number.empty()) RefuseNumber(lead.caller, number);
  }
  throw Error(ERRCODE_UNIQUE_VIOLATION, "no free quote number was found").Column("number");
}

// delete_quote(quote_id, organization_id) -> quotes: the row as it was; the log keeps its content.
// Errors: 22023; PT404; 42501 without quotes:delete; 23514 for an accepted quote.
KVCRM_FUNCTION(delete_quote) {
  const pg::Uuid id = args.Require<pg::Uuid>(0, "quote_id");
  const auto given = args.Get<OptionalUuid>(1);
  pg::Session session(pg::Access::kWrite);
  std::vector<crm::Caller> callers = crm::PossibleCallers(given);
  if (callers.empty() && !crm::CurrentUser()) {
    const pg::Rows rows = kOrganizationsOf(id);
    for (std::uint64_t i = 0; i < rows.size(); ++i)
      callers.push_back(crm::CallerIn(rows.Get<pg::Uuid>(i, 0)));
  }
  for (const crm::Caller& caller : callers) {
    if (!caller.is_member) continue;
    const pg::Rows rows = kFind(id, caller.organization);
    if (rows.empty() || !SeesQuote(caller, rows.Get<OptionalUuid>(0, 0))) continue;
    caller.Require(Permission::kQuotesDelete);
    if (rows.Get<std::string>(0, 1) == "accepted") {
      throw Error(ERRCODE_CHECK_VIOLATION, "an accepted quote is not deleted");
    }
    return crm::ReturnFirst(args, kDelete(id, caller.organization), "quote");
  }
  throw Error(crm::kNotFound, "quote not found");
}
