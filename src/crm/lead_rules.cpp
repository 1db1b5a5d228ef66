// The triggers of leads: what holds whichever way a lead is written.
//
// BEFORE changes only the row itself (it also runs for an upsert that turns into an update); history and
// fingerprints are written AFTER the statement, in bulk.
#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "crm/board_counts.hpp"
#include "crm/board_rank.hpp"
#include "crm/assignment.hpp"
#include "crm/bulk_insert.hpp"
#include "crm/derived.hpp"
#include "crm/duplicate_policy.hpp"
#include "crm/duplicate_warnings.hpp"
#include "crm/errors.hpp"
#include "crm/fields.hpp"
#include "crm/fingerprints.hpp"
#include "crm/identity.hpp"
#include "crm/lead_columns.hpp"
#include "crm/leads.hpp"
#include "crm/members.hpp"
#include "crm/organizations.hpp"
#include "crm/permissions.hpp"
#include "crm/rows.hpp"
#include "crm/scoring.hpp"
#include "crm/stages.hpp"
#include "pg/json.hpp"
#include "pg/memo.hpp"
#include "pg/security.hpp"
#include "pg/unique_index.hpp"
#include "text/email.hpp"
#include "text/utf8.hpp"

extern "C" {
#include "access/xact.h"
}

using namespace kvcrm;
using crm::Authorized;
using crm::LeadColumn;
using crm::Permission;

namespace {

using OptionalText = std::optional<std::string>;
using OptionalUuid = std::optional<pg::Uuid>;

// Ends the open stay and begins the next one; reading the first part makes it happen first.
const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid, pg::Timestamp, OptionalUuid> kChangeStay{
    "lead_rules.change_stay",
    "WITH ended AS (UPDATE kvcrm.lead_stage_history SET left_at = greatest($4, entered_at), updated_at = "
    "now()"
    "   WHERE lead_id = $1 AND organization_id = $2 AND left_at IS NULL RETURNING 1)"
    " INSERT INTO kvcrm.lead_stage_history (organization_id, lead_id, stage_id, entered_at, moved_by)"
    " SELECT $2, $1, $3, $4, $5 FROM (SELECT count(*) FROM ended) AS first"};

const crm::BulkInsert kInsertHistory(
    "lead_rules.insert_history",
    "INSERT INTO kvcrm.lead_stage_history (organization_id, lead_id, stage_id, entered_at, moved_by)",
    {UUIDOID, UUIDOID, UUIDOID, TIMESTAMPTZOID, UUIDOID});

constexpr crm::TextRule kTexts[] = {
    {crm::kName, crm::kNameLength, true}, {crm::kEmail, crm::kNameLength},
    {crm::kPhone, crm::kShortLength},     {crm::kCompany, crm::kNameLength},
    {crm::kPosition, crm::kShortLength},  {crm::kInn, crm::kShortLength},
    {crm::kSource, crm::kShortLength},    {crm::kLostReason, crm::kTextLength},
};

// What clients may change; the rest is derived, or changed by functions.
constexpr LeadColumn kClientColumns[] = {
    crm::kName,     crm::kEmail,        crm::kPhone,      crm::kCompany,    crm::kPosition,
    crm::kInn,      crm::kSource,       crm::kStageId,    crm::kAssignedTo, crm::kEstimatedValue,
    crm::kCurrency, crm::kCustomFields, crm::kLostReason, crm::kBoardRank,
};
// What stays free to change once a lead is converted.
constexpr LeadColumn kFreeWhenConverted[] = {crm::kStageId, crm::kBoardRank, crm::kLostReason,
                                             crm::kAssignedTo};
// What a change of raises neither version nor updated_at.
constexpr LeadColumn kInvisible[] = {crm::kScore,           crm::kStatus,     crm::kVersion,
                                     crm::kUpdatedAt,       crm::kBlockEmail, crm::kBlockPhone,
                                     crm::kEmailNormalized, crm::kPhoneE164};

// What refresh_derived() writes.
constexpr LeadColumn kDerivedAnew[] = {crm::kPhone, crm::kPhoneE164, crm::kEmailNormalized};

template <std::size_t kSize>
bool IsOneOf(LeadColumn column, const LeadColumn (&list)[kSize]) {
  for (const LeadColumn entry : list) {
    if (entry == column) return true;
  }
  return false;
}

// What the rules need to know of one organization, read once per statement: nobody else can change it while
// the statement holds its lock on leads, and an own change raises the command id.
struct Surroundings {
  CommandId command = InvalidCommandId;
  std::map<pg::Uuid, crm::OrganizationRules> rules;
  std::map<pg::Uuid, crm::Caller> callers;
  // Members locked by this statement, who therefore stay active.
  std::set<std::pair<pg::Uuid, pg::Uuid>> active_members;
  // Of block_email and block_phone.
  Oid block_indexes[2] = {InvalidOid, InvalidOid};
  // Whom the organization's rules give new leads to.
  crm::NewLeadTurns turns;

  Surroundings() = default;
  Surroundings(Surroundings&&) = default;
};

// One row on its way into the table.
class LeadWrite {
 public:
  LeadWrite(pg::Args& args, const pg::TriggerCall& call)
      : args_(args), table_(call.table()), at_(crm::ColumnsOfLeads(table_)), row_(call.New()) {
    if (call.OnUpdate()) old_.emplace(call.Old());
  }

  pg::Row& row() { return row_; }
  bool IsNoChange() const { return old_ && !Authorized::Active() && !crm::AnyChanged(row_, *old_); }
  bool HasOrganization() const { return !row_.IsNull(at_[crm::kOrganizationId]); }

  void Apply() {
    organization_ = row_.Get<pg::Uuid>(at_[crm::kOrganizationId]);
    if (IsDerivedAnew()) {
      DeriveBlocks();
      Score();
      return;
    }
    if (old_) {
      RequireChangeable();
    } else if (!Authorized::Active()) {
      crm::RequireMembership(Caller());
    }
    crm::NormalizeTexts(row_, old_ ? &*old_ : nullptr, kTexts, at_, "lead");
    if (!old_ || Changed(crm::kCustomFields)) crm::NormalizeObject(row_, at_[crm::kCustomFields], "lead");
    if (!old_) Begin();
    if (!old_ || Changed(crm::kCurrency)) FillCurrency();
    NormalizeContacts();
    CheckAssignee();
    KeepDerived();
    EnterStage();
    CheckFields();
    if (old_ && Changed(crm::kBoardRank)) CheckRank();
    CheckFate();
    DeriveStatus();
    if (old_) ReleaseFromInactive();
    DeriveBlocks();
    if (old_) Stamp();
    Score();
    if (!old_ && AssignByRules()) Score();
  }

 private:
  bool IsNull(LeadColumn column) const { return row_.IsNull(at_[column]); }
  bool Changed(LeadColumn column) const { return crm::Changed(row_, *old_, at_[column]); }
  template <typename T>
  T Get(LeadColumn column) const {
    return row_.Get<T>(at_[column]);
  }
  template <typename T>
  void Set(LeadColumn column, const T& value) {
    row_.Set(at_[column], value);
  }
  [[noreturn]] void Refuse(const char* message, const char* hint = "") const {
    throw Error(ERRCODE_CHECK_VIOLATION, message).Hint(hint);
  }

  // The statement's memory of organizations, stages and permissions.
  Surroundings& Around() {
    auto* kept = pg::Kept<Surroundings>(args_);
    if (kept == nullptr) {
      kept = pg::Keep(args_, Surroundings());
      // Reading with the latest snapshot would do this anyway, and so seem a change.
      pg::Call([] { CommandCounterIncrement(); });
    }
    const CommandId command = GetCurrentCommandId(false);
    if (kept->command != command) {
      kept->rules.clear();
      kept->callers.clear();
      kept->active_members.clear();
      kept->command = command;
    }
    return *kept;
  }
  // Runs `read` as the owner.
  template <typename Read>
  static auto AsOwner(Read read) {
    const pg::AsOwner owner;
    const pg::Session session(pg::Access::kWrite);
    return read();
  }
  const crm::OrganizationRules& Rules() {
    auto& rules = Around().rules;
    if (const auto found = rules.find(organization_); found != rules.end()) return found->second;
    auto read = AsOwner([&] { return crm::ReadOrganizationRules(organization_); });
    // The foreign key reports an unknown organization.
    return rules
        .emplace(organization_, read ? std::move(*read) : crm::OrganizationRules{"RU", "RUB", false, true})
        .first->second;
  }
  const crm::Pipeline& Stages() {
    if (!pipeline_) pipeline_ = crm::PipelineOf(organization_);
    return *pipeline_;
  }
  const crm::Caller& Caller() {
    auto& callers = Around().callers;
    if (const auto found = callers.find(organization_); found != callers.end()) return found->second;
    return callers.emplace(organization_, AsOwner([&] { return crm::CallerIn(organization_); }))
        .first->second;
  }

  // Whether refresh_derived() writes phone and e-mail address as they are derived now, and nothing else.
  bool IsDerivedAnew() const {
    if (!crm::DerivedAnew::Active() || !old_) return false;
    for (int column = 0; column < crm::kLeadColumnCount; ++column) {
      if (!IsOneOf(static_cast<LeadColumn>(column), kDerivedAnew) && Changed(static_cast<LeadColumn>(column)))
        return false;
    }
    return true;
  }

  // What an update may not touch at all.
  void RequireChangeable() {
    for (const LeadColumn column : {crm::kId, crm::kOrganizationId})
      crm::RequireUnchanged(row_, *old_, at_[column]);
    const bool erased = !old_->IsNull(at_[crm::kErasedAt]);
    if (erased && (Changed(crm::kErasedAt) || Changed(crm::kDeletedAt) || Changed(crm::kMergedIntoId) ||
                   Changed(crm::kConvertedAt) || Changed(crm::kLegalHold))) {
      Refuse("the lead was erased", "What was erased can't be brought back.");
    }
    if (Authorized::Active()) return;
    const bool merged = !old_->IsNull(at_[crm::kMergedIntoId]) && !IsNull(crm::kMergedIntoId);
    const bool deleted = !old_->IsNull(at_[crm::kDeletedAt]) && !IsNull(crm::kDeletedAt);
    const bool converted = !old_->IsNull(at_[crm::kConvertedAt]) && !IsNull(crm::kConvertedAt);
    if (!merged && !deleted && !converted) return;
    for (const LeadColumn column : kClientColumns) {
      if (!Changed(column)) continue;
      if (merged) Refuse("the lead was merged into another one", "Change the lead it was merged into.");
      if (deleted) Refuse("the lead is deleted", "Restore it first, with restore_lead(lead_id).");
      if (!IsOneOf(column, kFreeWhenConverted)) {
        Refuse("the lead is converted and keeps its fields", "Change the customer instead.");
      }
    }
  }

  // Defaults of a new lead.
  void Begin() {
    const OptionalUuid user = crm::CurrentUser();
    if (user) Set(crm::kCreatedBy, user);
    Set(crm::kBoardRank, crm::RankAtEnd());
    Set(crm::kVersion, std::int32_t{1});
    if (user && IsNull(crm::kAssignedTo) && !Caller().Can(Permission::kLeadsReadAll))
      Set(crm::kAssignedTo, user);
  }
  // An empty currency, as imports and forms send it, is the organization's.
  void FillCurrency() {
    if (!IsNull(crm::kCurrency) && !text::Trim(crm::ViewText(row_.At(at_[crm::kCurrency]))).empty()) return;
    Set(crm::kCurrency, pg::Opaque<BPCHAROID>{CurrencyOfOrganization()});
  }
  Datum CurrencyOfOrganization() { return pg::ToValue(Rules().currency).datum; }

  void NormalizeContacts() {
    if (!old_ || Changed(crm::kEmail)) {
      crm::CheckEmail(row_, at_[crm::kEmail], "lead");
      OptionalText normalized;
      if (!IsNull(crm::kEmail)) normalized = text::NormalizeEmail(crm::ViewText(row_.At(at_[crm::kEmail])));
      Set(crm::kEmailNormalized, normalized);
    } else if (Changed(crm::kEmailNormalized)) {
      row_.Set(at_[crm::kEmailNormalized], old_->At(at_[crm::kEmailNormalized]));
    }
    if (!old_ || Changed(crm::kPhone)) {
      Set(crm::kPhoneE164, IsNull(crm::kPhone)
                               ? OptionalText{}
                               : crm::NormalizePhone(row_, at_[crm::kPhone], Rules().default_country));
    } else if (Changed(crm::kPhoneE164)) {
      row_.Set(at_[crm::kPhoneE164], old_->At(at_[crm::kPhoneE164]));
    }
    if ((!old_ || Changed(crm::kInn)) && !IsNull(crm::kInn) && Rules().checks_inn) {
      crm::CheckInn(row_, at_[crm::kInn], "lead");
    }
  }

  void CheckAssignee() {
    const bool assigned = old_ ? Changed(crm::kAssignedTo) : !IsNull(crm::kAssignedTo);
    if (!assigned) return;
    const auto assignee = Get<OptionalUuid>(crm::kAssignedTo);
    if (!Authorized::Active() && crm::CurrentUser() && !Caller().Is(assignee)) {
      Caller().Require(Permission::kLeadsAssign);
    }
    if (!assignee) return;
    if (!IsActiveMember(*assignee)) Refuse("an assignee must be an active member of the organization");
  }
  bool IsActiveMember(const pg::Uuid& user) {
    Surroundings& around = Around();
    const std::pair member{organization_, user};
    if (around.active_members.count(member) != 0) return true;
    const bool active = AsOwner([&] { return crm::LockActiveMember(organization_, user); });
    if (!active) return false;
    // Locking a row counts as a command of ours; it changes nothing that is remembered.
    pg::Call([] { CommandCounterIncrement(); });
    around.command = GetCurrentCommandId(false);
    around.active_members.insert(member);
    return true;
  }

  // What follows from stages, conversions and erasures is not for direct writes, whoever makes them.
  void KeepDerived() {
    if (Authorized::Active()) return;
    if (IsSet(crm::kConvertedAt) || IsSet(crm::kConvertedToCustomerId)) {
      Refuse("a lead is converted by functions only",
             "Use qualify_lead(lead_id) or revert_conversion(lead_id).");
    }
    if (IsSet(crm::kErasedAt)) Refuse("a lead is erased by erase_lead only", "Use erase_lead(lead_id).");
    if (!old_) {
      // One that starts in a qualified stage may have been qualified before it got here.
      const crm::Stage* stage = IsNull(crm::kStageId) ? Stages().FirstOpen() : FindStage();
      if (stage != nullptr && !stage->is_qualified) {
        Set(crm::kQualifiedAt, std::optional<pg::Timestamp>{});
      }
      return;
    }
    for (const LeadColumn column : {crm::kStageEnteredAt, crm::kQualifiedAt}) {
      if (Changed(column)) row_.Set(at_[column], old_->At(at_[column]));
    }
  }
  // Whether the write changes the column, or gives a new lead a value.
  bool IsSet(LeadColumn column) const { return old_ ? Changed(column) : !IsNull(column); }

  void EnterStage() {
    if (!old_) {
      const crm::Stage* stage = IsNull(crm::kStageId) ? Stages().FirstOpen() : FindStage();
      if (stage == nullptr) Refuse("the organization has no open stage");
      if (!stage->IsOpen() && !Authorized::Active()) Refuse("a new lead starts in an open stage");
      Set(crm::kStageId, stage->id);
      if (stage->is_qualified && IsNull(crm::kQualifiedAt)) Set(crm::kQualifiedAt, crm::Now());
      return;
    }
    if (!Changed(crm::kStageId)) {
      RequireLostReason(Changed(crm::kLostReason) ? FindStage() : nullptr);
      return;
    }
    const crm::Stage* stage = FindStage();
    const bool converted = !IsNull(crm::kConvertedAt);
    if (converted && !stage->is_qualified && stage->outcome != "lost") {
      Refuse("a converted lead moves among qualified, won and lost stages only");
    }
    if (IsRuledMove()) ObeyMoveRule(*stage);
    if (stage->outcome != "lost" && !Changed(crm::kLostReason)) Set(crm::kLostReason, OptionalText{});
    RequireLostReason(stage);
    // A transaction that began before the last move committed doesn't enter before it.
    Set(crm::kStageEnteredAt,
        pg::Timestamp{std::max(crm::Now().value, old_->Get<pg::Timestamp>(at_[crm::kStageEnteredAt]).value)});
    if (!Changed(crm::kBoardRank)) Set(crm::kBoardRank, crm::RankAtEnd());
    if (stage->is_qualified && IsNull(crm::kQualifiedAt)) Set(crm::kQualifiedAt, crm::Now());
  }
  // A conversion has requirements of its own, an undo restores what was.
  bool IsRuledMove() const {
    return IsNull(crm::kConvertedAt) == old_->IsNull(at_[crm::kConvertedAt]) && IsNull(crm::kMergedIntoId) &&
           !crm::UnruledMoves::Active();
  }
  // Values fit their definitions, and what the lead's stage requires is there: of a new lead, of one whose
  // fields are written, and of one that moves, unless it is lost by that or has become a customer.
  void CheckFields() {
    const bool given = !old_ || Changed(crm::kCustomFields);
    const bool moved = old_ && Changed(crm::kStageId) && IsNull(crm::kConvertedAt) && IsRuledMove();
    if (!given && !moved) return;
    const std::shared_ptr<const crm::Fields> fields = crm::FieldsOf(crm::FieldEntity::kLead, organization_);
    if (fields->empty()) return;
    const auto values = Get<pg::Json>(crm::kCustomFields);
    crm::FieldProblems problems;
    if (given) {
      problems.FindMisfits(*fields, values,
                           old_ ? std::optional(old_->Get<pg::Json>(at_[crm::kCustomFields])) : std::nullopt);
    }
    const bool requires_values = moved || !old_ || !crm::CarriedFields::Active();
    const auto stage = Get<pg::Uuid>(crm::kStageId);
    for (const crm::Field& field : *fields) {
      if (!requires_values || !field.required) continue;
      if (moved && !field.required_from && FindStage()->outcome == "lost") continue;
      if (field.required_from && !crm::IsRequiredIn(field, Stages(), stage)) continue;
      problems.RequireValue(field, values, field.required_from ? " in this stage" : "");
    }
    problems.Raise("lead");
  }
  void CheckRank() const {
    if (IsNull(crm::kBoardRank) || crm::IsRank(crm::ViewText(row_.At(at_[crm::kBoardRank])))) return;
    throw Error(ERRCODE_CHECK_VIOLATION, "lead board_rank is not a rank")
        .Hint("Use move_lead(lead_id, stage_id, before_lead_id).")
        .Column("board_rank");
  }
  const crm::Stage* FindStage() {
    const auto id = Get<OptionalUuid>(crm::kStageId);
    const crm::Stage* stage = id ? Stages().Find(*id) : nullptr;
    if (stage == nullptr) throw Error(crm::kNotFound, "stage not found");
    return stage;
  }
  void RequireLostReason(const crm::Stage* stage) const {
    if (stage == nullptr || stage->outcome != "lost" || !IsNull(crm::kLostReason)) return;
    throw Error(ERRCODE_CHECK_VIOLATION, "a lost lead needs a lost_reason").Column("lost_reason");
  }
  void ObeyMoveRule(const crm::Stage& to) {
    const crm::MoveRule rule = AsOwner(
        [&] { return crm::ReadMoveRule(organization_, old_->Get<pg::Uuid>(at_[crm::kStageId]), to.id); });
    if (!rule.allowed) {
      Refuse("the pipeline does not allow this move", "lead_stage_transitions lists the moves it allows.");
    }
    std::string missing;
    for (const std::string& field : rule.required_fields) {
      if (!IsFilled(field)) missing += (missing.empty() ? "" : ", ") + field;
    }
    if (missing.empty()) return;
    throw Error(ERRCODE_CHECK_VIOLATION, "the move requires fields that are empty")
        .Detail("Empty: " + missing + ".");
  }
  // Whether a field that a transition requires has a value.
  bool IsFilled(const std::string& field) const {
    if (const auto key = crm::CustomFieldKey(field); key) {
      const auto custom = Get<std::optional<pg::Json>>(crm::kCustomFields);
      return custom && crm::IsFilled(pg::FindMember(*custom, *key));
    }
    const int column = crm::LeadColumnNamed(field);
    return column < 0 || !row_.IsNull(at_[column]);
  }

  // Conversion and merging leave two facts that belong together.
  void CheckFate() {
    if (IsNull(crm::kConvertedAt) != IsNull(crm::kConvertedToCustomerId)) {
      Refuse("a converted lead has both converted_at and converted_to_customer_id",
             "Convert it with qualify_lead.");
    }
    if (Get<OptionalUuid>(crm::kMergedIntoId) == Get<OptionalUuid>(crm::kId)) {
      Refuse("a lead is not merged into itself");
    }
  }

  void DeriveStatus() {
    const bool moved = !old_ || Changed(crm::kStageId) || Changed(crm::kConvertedAt);
    if (old_ && !moved && !Authorized::Active()) {
      if (Changed(crm::kStatus)) row_.Set(at_[crm::kStatus], old_->At(at_[crm::kStatus]));
      return;
    }
    const std::string_view status =
        IsNull(crm::kConvertedAt) ? Stages().StatusIn(*FindStage()) : std::string_view("converted");
    if (!old_ || crm::ViewText(row_.At(at_[crm::kStatus])) != status) Set(crm::kStatus, status);
  }

  // A suspension takes a member's open leads away. One that opens again, restored or back from a lost stage,
  // belongs to nobody when its assignee was suspended meanwhile.
  void ReleaseFromInactive() {
    if (IsNull(crm::kAssignedTo) || IsOpen(*old_) || !IsOpen(row_)) return;
    if (!IsActiveMember(Get<pg::Uuid>(crm::kAssignedTo))) Set(crm::kAssignedTo, OptionalUuid{});
  }
  bool IsOpen(const pg::Row& row) const {
    for (const LeadColumn fate : {crm::kDeletedAt, crm::kMergedIntoId, crm::kConvertedAt}) {
      if (!row.IsNull(at_[fate])) return false;
    }
    return crm::ViewText(row.At(at_[crm::kStatus])) != "lost";
  }

  // The keys that two live leads can't share under the policy 'block'.
  void DeriveBlocks() {
    const bool live = IsNull(crm::kDeletedAt) && IsNull(crm::kMergedIntoId) && IsNull(crm::kConvertedAt);
    const bool may_change = !old_ || Authorized::Active() || crm::DerivedAnew::Active() ||
                            Changed(crm::kEmail) || Changed(crm::kPhone) || Changed(crm::kDeletedAt) ||
                            Changed(crm::kMergedIntoId) || Changed(crm::kConvertedAt) ||
                            Changed(crm::kBlockEmail) || Changed(crm::kBlockPhone);
    if (!may_change) return;
    const bool has_key = !IsNull(crm::kEmailNormalized) || !IsNull(crm::kPhoneE164);
    const bool blocks = live && has_key && Rules().blocks_duplicates;
    SetBlock(crm::kBlockEmail, crm::kEmailNormalized, blocks);
    SetBlock(crm::kBlockPhone, crm::kPhoneE164, blocks);
  }
  void SetBlock(LeadColumn block, LeadColumn source, bool blocks) {
    if (!blocks || IsNull(source)) {
      if (!IsNull(block)) row_.Set(at_[block], pg::Value{});
      return;
    }
    const bool kept = old_ && old_->Get<OptionalText>(at_[block]) == Get<OptionalText>(source);
    row_.Set(at_[block], row_.At(at_[source]));
    if (!kept) RefuseTaken(block);
  }
  // The unique index is what holds; this only says it better. Like the index it waits for a transaction that
  // has just written the key, but before our row is there, so with less in our hands than the index would
  // have: whoever doesn't deadlock there doesn't here. What is left to the index is the moment between our
  // look and our row; functions then say the same without the lead's name (RewordDuplicate).
  void RefuseTaken(LeadColumn block) {
    Oid& index = Around().block_indexes[block == crm::kBlockPhone];
    if (!OidIsValid(index)) {
      const AttrNumber columns[] = {at_[crm::kOrganizationId], at_[block]};
      index = pg::FindUniqueIndex(table_, columns);
      if (!OidIsValid(index)) return;
    }
    const Datum key[] = {row_.At(at_[crm::kOrganizationId]).datum, row_.At(at_[block]).datum};
    const std::optional<pg::Row> holder = pg::FindHolder(table_, index, key);
    if (!holder) return;
    const auto id = holder->Get<pg::Uuid>(at_[crm::kId]);
    if (id == Get<pg::Uuid>(crm::kId)) return;
    const auto assignee = holder->Get<OptionalUuid>(at_[crm::kAssignedTo]);
    AsOwner(
        [&] { crm::RaiseDuplicate(Caller(), block == crm::kBlockEmail ? "email" : "phone", id, assignee); });
  }

  // A new lead that nobody was named for, nor is its creator's.
  bool AssignByRules() {
    if (!IsNull(crm::kAssignedTo) || !IsOpen(row_)) return false;
    const std::shared_ptr<const crm::Assignment> assignment = crm::AssignmentOf(organization_);
    if (!assignment->on) return false;
    Surroundings& around = Around();
    const crm::ActivityFacts none;
    const OptionalUuid member = AsOwner([&] {
      return around.turns.Choose(*assignment, organization_, {row_, at_, none, crm::Now()});
    });
    // As in IsActiveMember.
    pg::Call([] { CommandCounterIncrement(); });
    around.command = GetCurrentCommandId(false);
    if (member) Set(crm::kAssignedTo, member);
    return member.has_value();
  }
  void Score() {
    if (crm::ScoresGiven::Active()) return;
    const std::shared_ptr<const crm::Scoring> scoring = crm::ScoringOf(organization_);
    if (!scoring->in_use) return;
    crm::ActivityFacts activities;
    if (old_ && scoring->counts_activities) {
      activities = AsOwner([&] { return crm::ReadActivityFacts(organization_, Get<pg::Uuid>(crm::kId)); });
    }
    const std::int32_t score = crm::ScoreOf(*scoring, {row_, at_, activities, crm::Now()});
    if (Get<std::int32_t>(crm::kScore) != score) Set(crm::kScore, score);
  }

  void Stamp() {
    bool visible = false;
    for (int column = 0; column < crm::kLeadColumnCount && !visible; ++column) {
      if (!IsOneOf(static_cast<LeadColumn>(column), kInvisible))
        visible = Changed(static_cast<LeadColumn>(column));
    }
    const auto version = old_->Get<std::int32_t>(at_[crm::kVersion]);
    Set(crm::kVersion, visible ? version + 1 : version);
    if (visible) {
      Set(crm::kUpdatedAt, crm::Now());
    } else {
      row_.Set(at_[crm::kUpdatedAt], old_->At(at_[crm::kUpdatedAt]));
    }
  }

  pg::Args& args_;
  const Relation table_;
  const AttrNumber* at_;
  pg::Row row_;
  std::optional<pg::Row> old_;
  std::shared_ptr<const crm::Pipeline> pipeline_;
  pg::Uuid organization_;
};

std::string_view ViewOrEmpty(pg::Value value) {
  return value.is_null ? std::string_view() : crm::ViewText(value);
}
match::Fields FieldsOf(const pg::TransitionReader& row, const AttrNumber* at) {
  return {ViewOrEmpty(row.At(at[crm::kName])), ViewOrEmpty(row.At(at[crm::kCompany])),
          ViewOrEmpty(row.At(at[crm::kEmail])), ViewOrEmpty(row.At(at[crm::kPhone])),
          ViewOrEmpty(row.At(at[crm::kInn]))};
}

// What fingerprints and the index of custom fields come from.
constexpr LeadColumn kTextColumns[] = {crm::kName,  crm::kEmail, crm::kCompany,
                                       crm::kPhone, crm::kInn,   crm::kCreatedAt};
constexpr LeadColumn kFieldColumns[] = {crm::kCustomFields, crm::kCreatedAt};

bool AnyChanged(const pg::TransitionReader& row, const pg::TransitionReader& old, const AttrNumber* at,
                TupleDesc descriptor, std::span<const LeadColumn> columns) {
  for (const LeadColumn column : columns) {
    if (!pg::SameValue(row.At(at[column]), old.At(at[column]), descriptor, at[column])) return true;
  }
  return false;
}

bool IsLive(const pg::TransitionReader& row, const AttrNumber* at) {
  return row.At(at[crm::kDeletedAt]).is_null && row.At(at[crm::kMergedIntoId]).is_null &&
         row.At(at[crm::kConvertedAt]).is_null;
}

void AfterInsert(const pg::TriggerCall& call, const AttrNumber* at) {
  const pg::Value actor = pg::ToValue(crm::CurrentUser());
  pg::TransitionReader row(call.NewTable(), call.descriptor());
  crm::BulkInsert::Batch history(kInsertHistory);
  crm::LeadFingerprints fingerprints(crm::LeadFingerprints::Rows::kNew);
  crm::DuplicateWarnings warnings;
  crm::BoardCounts counts(at);
  crm::FieldIndex fields;
  std::vector<pg::Uuid> taking_turns;
  pg::Scratch scratch;
  while (row.Next()) {
    pg::CheckForInterrupts();
    scratch.Reset();
    counts.Add(row);
    // Copies: a transition row lives only until the next one is read.
    const auto id = row.Get<pg::Uuid>(at[crm::kId]);
    const auto organization = row.Get<pg::Uuid>(at[crm::kOrganizationId]);
    history.Add({history.Make(organization), history.Make(id),
                 history.Make(row.Get<pg::Uuid>(at[crm::kStageId])), row.At(at[crm::kStageEnteredAt]),
                 actor});
    fingerprints.Add({id, organization}, FieldsOf(row, at), row.Get<pg::Timestamp>(at[crm::kCreatedAt]));
    warnings.Add({id, organization});
    fields.Add(id, organization, row.Get<pg::Json>(at[crm::kCustomFields]),
               row.Get<pg::Timestamp>(at[crm::kCreatedAt]));
    if (crm::NewLeadTurns::Pending()) taking_turns.push_back(id);
  }
  crm::NewLeadTurns::Count(taking_turns);
  history.Flush();
  fields.Write();
  fingerprints.Write();
  counts.Write();
  warnings.Give();
}

void AfterUpdate(const pg::TriggerCall& call, const AttrNumber* at) {
  const OptionalUuid actor = crm::CurrentUser();
  // Both tables hold the rows in the same order.
  pg::TransitionReader old(call.OldTable(), call.descriptor()), row(call.NewTable(), call.descriptor());
  crm::BoardCounts counts(at);
  crm::LeadFingerprints fingerprints(crm::LeadFingerprints::Rows::kChanged);
  crm::DuplicateWarnings warnings;
  crm::FieldIndex fields;
  pg::Scratch scratch;
  while (old.Next() && row.Next()) {
    pg::CheckForInterrupts();
    scratch.Reset();
    counts.Remove(old);
    counts.Add(row);
    const bool moved = old.Get<pg::Uuid>(at[crm::kStageId]) != row.Get<pg::Uuid>(at[crm::kStageId]);
    const bool text_changed = AnyChanged(row, old, at, call.descriptor(), kTextColumns);
    const bool fields_changed = AnyChanged(row, old, at, call.descriptor(), kFieldColumns);
    if (!moved && !text_changed && !fields_changed) continue;
    const auto id = row.Get<pg::Uuid>(at[crm::kId]);
    const auto organization = row.Get<pg::Uuid>(at[crm::kOrganizationId]);
    if (moved) {
      kChangeStay(id, organization, row.Get<pg::Uuid>(at[crm::kStageId]),
                  row.Get<pg::Timestamp>(at[crm::kStageEnteredAt]), actor);
    }
    if (fields_changed) {
      fields.Change(id, organization, row.Get<pg::Json>(at[crm::kCustomFields]),
                    row.Get<pg::Timestamp>(at[crm::kCreatedAt]));
    }
    if (text_changed) {
      fingerprints.Add({id, organization}, FieldsOf(row, at), row.Get<pg::Timestamp>(at[crm::kCreatedAt]));
      if (IsLive(row, at) && !crm::DerivedAnew::Active()) warnings.Add({id, organization});
    }
  }
  fingerprints.Write();
  fields.Write();
  counts.Write();
  warnings.Give();
}

void AfterDelete(const pg::TriggerCall& call, const AttrNumber* at) {
  pg::TransitionReader old(call.OldTable(), call.descriptor());
  crm::BoardCounts counts(at);
  while (old.Next()) counts.Remove(old);
  counts.Write();
}

}  // namespace

// Trigger before insert or update of leads.
KVCRM_FUNCTION(leads_before) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Proceed();
  LeadWrite write(args, call);
  if (write.IsNoChange() || !write.HasOrganization()) return call.Proceed();
  write.Apply();
  return call.Proceed(write.row());
}

// Trigger after each insert, update or delete statement on leads: stage history, fingerprints, the board's
// counts.
KVCRM_FUNCTION(leads_after) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Done();
  const AttrNumber* at = crm::ColumnsOfLeads(call.table());
  const pg::AsOwner owner;
  const pg::Session session(pg::Access::kWrite);
  if (call.OnInsert()) AfterInsert(call, at);
  if (call.OnUpdate()) AfterUpdate(call, at);
  if (call.OnDelete()) AfterDelete(call, at);
  return call.Done();
}
