// Stages, moves between them, and sources of leads.
#include "crm/stages.hpp"

#include <algorithm>
#include <map>

#include "crm/fields.hpp"
#include "crm/organizations.hpp"
#include "crm/permissions.hpp"
#include "crm/remembered.hpp"
#include "crm/rows.hpp"
#include "pg/security.hpp"

using namespace kvcrm;

namespace {

using crm::Pipeline;
using crm::Stage;

const pg::Statement<pg::Uuid> kPipeline{
    "stages.pipeline",
    "SELECT id, is_qualified, outcome, CASE WHEN required.fields IS NOT NULL"
    " THEN ARRAY(SELECT jsonb_array_elements_text(required.fields)) END"
    " FROM kvcrm.lead_stages"
    " CROSS JOIN (SELECT (SELECT settings -> 'conversion_required' AS fields"
    "   FROM kvcrm.organizations WHERE id = $1) AS fields) AS required"
    " WHERE organization_id = $1 ORDER BY order_index, id"};

const pg::Statement<pg::Uuid, pg::Uuid, pg::Uuid> kMoveRule{
    "stages.move_rule",
    "SELECT (SELECT t.required_fields FROM kvcrm.lead_stage_transitions t"
    "         WHERE t.organization_id = $1 AND t.from_stage_id = $2 AND t.to_stage_id = $3),"
    "       EXISTS (SELECT 1 FROM kvcrm.lead_stage_transitions t WHERE t.organization_id = $1)"};

const pg::Statement<pg::Uuid, pg::Uuid> kHoldsLeads{
    "stages.holds_leads", "SELECT 1 FROM kvcrm.leads WHERE organization_id = $1 AND stage_id = $2 LIMIT 1"};

const pg::Statement<pg::Uuid, pg::Uuid> kRequiringField{
    "stages.requiring_field",
    "SELECT key FROM kvcrm.custom_field_definitions WHERE organization_id = $1 AND required_from_stage_id = "
    "$2"
    " ORDER BY key LIMIT 1"};

const pg::Statement<pg::Uuid, pg::Uuid> kForgetCounts{
    "stages.forget_counts",
    "DELETE FROM kvcrm.lead_stage_counts WHERE organization_id = $1 AND stage_id = $2"};

const pg::Statement<> kLockLeads{"stages.lock_leads", "LOCK TABLE kvcrm.leads IN SHARE ROW EXCLUSIVE MODE"};

const pg::Statement<pg::Uuid> kHasStages{
    "stages.exist", "SELECT 1 FROM kvcrm.lead_stages WHERE organization_id = $1 LIMIT 1"};

const pg::Statement<pg::Uuid> kOrdering{
    "stages.ordering",
    "SELECT id, order_index, outcome = 'open' FROM kvcrm.lead_stages WHERE organization_id = $1"};

// The trigger of leads derives status; the update only makes it look.
const pg::Statement<pg::Uuid, std::vector<pg::Uuid>> kRederiveStatus{
    "stages.rederive_status",
    "UPDATE kvcrm.leads SET status = status WHERE organization_id = $1 AND stage_id = ANY ($2)"
    " AND status IN ('new', 'contacted')"};

enum StageColumn {
  kSId,
  kSOrganization,
  kSName,
  kSDescription,
  kSQualified,
  kSOutcome,
  kSOrder,
  kSColor,
  kSUpdatedAt,
  kSCount
};
constexpr const char* kStageColumns[] = {"id",      "organization_id", "name",  "description", "is_qualified",
                                         "outcome", "order_index",     "color", "updated_at"};
pg::Columns columns_of_stages(kStageColumns, kSCount);
constexpr crm::TextRule kStageTexts[] = {
    {kSName, crm::kShortLength, true}, {kSDescription, crm::kTextLength}, {kSColor, crm::kShortLength, true}};

enum TransitionColumn { kTId, kTOrganization, kTFields, kTUpdatedAt, kTCount };
constexpr const char* kTransitionColumns[] = {"id", "organization_id", "required_fields", "updated_at"};
pg::Columns columns_of_transitions(kTransitionColumns, kTCount);

enum SourceColumn { kOId, kOOrganization, kOSlug, kOName, kOUpdatedAt, kOCount };
constexpr const char* kSourceColumns[] = {"id", "organization_id", "slug", "name", "updated_at"};
pg::Columns columns_of_sources(kSourceColumns, kOCount);
constexpr crm::TextRule kSourceTexts[] = {{kOSlug, crm::kShortLength, true},
                                          {kOName, crm::kShortLength, true}};

// The columns of leads that a move may require.
constexpr std::string_view kRequirableFields[] = {"email",       "phone",          "company",     "position",
                                                  "inn",         "source",         "assigned_to", "currency",
                                                  "lost_reason", "estimated_value"};

bool IsRequirable(std::string_view field) {
  if (const auto key = crm::CustomFieldKey(field); key) return !key->empty();
  return std::find(std::begin(kRequirableFields), std::end(kRequirableFields), field) !=
         std::end(kRequirableFields);
}

// What decides which open stage comes first.
struct Place {
  std::int32_t order = 0;
  bool open = false;
};
using Places = std::map<pg::Uuid, Place>;

std::optional<pg::Uuid> FirstOpen(const Places& places) {
  std::optional<pg::Uuid> first;
  std::int32_t order = 0;
  for (const auto& [id, place] : places) {  // ascending by id: ties go to the smaller one
    if (!place.open || (first && place.order >= order)) continue;
    first = id;
    order = place.order;
  }
  return first;
}

// Reads a transition table into the places before or after the statement, per organization.
std::map<pg::Uuid, Places> ReadPlaces(Tuplestorestate* table, const pg::TriggerCall& call) {
  std::map<pg::Uuid, Places> result;
  if (table == nullptr) return result;
  const AttrNumber* at = columns_of_stages.In(call.table());
  pg::TransitionReader reader(table, call.descriptor());
  while (reader.Next()) {
    result[reader.Get<pg::Uuid>(at[kSOrganization])][reader.Get<pg::Uuid>(at[kSId])] = {
        reader.Get<std::int32_t>(at[kSOrder]), reader.Get<std::string>(at[kSOutcome]) == "open"};
  }
  return result;
}

Pipeline ReadPipeline(const pg::Uuid& organization) {
  const pg::AsOwner owner;
  const pg::Session session(pg::Access::kWrite);
  const pg::Rows rows = kPipeline.Latest(organization);
  std::vector<Stage> stages;
  stages.reserve(rows.size());
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    stages.push_back({rows.Get<pg::Uuid>(i, 0), rows.Get<bool>(i, 1), rows.Get<std::string>(i, 2)});
  }
  std::optional<std::vector<std::string>> required;
  if (!rows.empty()) required = rows.Get<std::optional<std::vector<std::string>>>(0, 3);
  return Pipeline(std::move(stages), std::move(required));
}

// Keeps the promises of one organization after a statement changed its stages.
void AfterStagesChanged(const pg::Uuid& organization, const Places& before, const Places& after) {
  const pg::Rows rows = kOrdering.Latest(organization);
  Places now;
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    now[rows.Get<pg::Uuid>(i, 0)] = {rows.Get<std::int32_t>(i, 1), rows.Get<bool>(i, 2)};
  }
  const std::optional<pg::Uuid> first = FirstOpen(now);
  if (!first) {
    throw Error(ERRCODE_CHECK_VIOLATION, "at least one open stage must remain")
        .Hint("Add another stage with outcome open first.");
  }
  Places then = now;
  for (const auto& [id, place] : after) then.erase(id);
  for (const auto& [id, place] : before) then[id] = place;
  const std::optional<pg::Uuid> first_before = FirstOpen(then);
  if (!first_before || *first_before == *first) return;
  const crm::Authorized authorized;
  kRederiveStatus.Latest(organization, {*first, *first_before});
}

}  // namespace

namespace kvcrm::crm {

const Stage* Pipeline::Find(const pg::Uuid& id) const {
  for (const Stage& stage : stages_) {
    if (stage.id == id) return &stage;
  }
  return nullptr;
}

const Stage* Pipeline::FirstOpen() const {
  for (const Stage& stage : stages_) {
    if (stage.IsOpen()) return &stage;
  }
  return nullptr;
}

const Stage* Pipeline::FirstQualified() const {
  for (const Stage& stage : stages_) {
    if (stage.is_qualified) return &stage;
  }
  return nullptr;
}

std::string_view Pipeline::StatusIn(const Stage& stage) const {
  if (stage.outcome == "lost") return "lost";
  if (stage.is_qualified) return "qualified";
  const Stage* first = FirstOpen();
  return first != nullptr && first->id == stage.id ? "new" : "contacted";
}

int UnruledMoves::depth_ = 0;

std::shared_ptr<const Pipeline> PipelineOf(const pg::Uuid& organization) {
  static Remembered<Pipeline> remembered;
  return remembered.Of(organization, [&] { return ReadPipeline(organization); });
}

MoveRule ReadMoveRule(const pg::Uuid& organization, const pg::Uuid& from, const pg::Uuid& to) {
  const pg::Rows rows = kMoveRule(organization, from, to);
  MoveRule rule;
  if (!rows.Get<bool>(0, 1)) return rule;
  auto fields = rows.Get<std::optional<std::vector<std::string>>>(0, 0);
  rule.allowed = fields.has_value();
  if (fields) rule.required_fields = std::move(*fields);
  return rule;
}

}  // namespace kvcrm::crm

// Trigger before insert, update or delete of lead_stages: texts; flags fixed and row kept while it holds
// leads.
KVCRM_FUNCTION(lead_stages_before) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Proceed();
  const AttrNumber* at = columns_of_stages.In(call.table());
  pg::Row row = call.New();
  std::optional<pg::Row> old;
  if (!call.OnInsert()) old.emplace(call.Old());
  if (call.OnUpdate()) {
    if (!crm::AnyChanged(row, *old)) return call.Proceed();
    for (const StageColumn column : {kSId, kSOrganization}) crm::RequireUnchanged(row, *old, at[column]);
    row.Set(at[kSUpdatedAt], crm::Now());
  }
  if (!call.OnDelete()) {
    crm::NormalizeTexts(row, call.OnUpdate() ? &*old : nullptr, kStageTexts, at, "stage");
    for (const StageColumn column : {kSOrganization, kSId, kSQualified, kSOutcome, kSOrder}) {
      if (row.IsNull(at[column])) return call.Proceed(row);
    }
  }
  const pg::Uuid organization = row.Get<pg::Uuid>(at[kSOrganization]);
  const pg::Uuid stage = row.Get<pg::Uuid>(at[kSId]);
  const bool flags_change =
      call.OnUpdate() && (crm::Changed(row, *old, at[kSQualified]) || crm::Changed(row, *old, at[kSOutcome]));
  const bool order_changes = call.OnUpdate() && crm::Changed(row, *old, at[kSOrder]);
  const pg::AsOwner owner;
  const pg::Session session(pg::Access::kWrite);
  if (call.OnInsert() && !crm::Authorized::Active()) crm::RequireMembership(organization);
  // The first stages of a new organization hold nobody up: it has no leads yet.
  const bool first_of_organization = call.OnInsert() && kHasStages(organization).empty();
  if (flags_change || order_changes || call.OnDelete() ||
      (call.OnInsert() && !first_of_organization && !crm::Authorized::Active())) {
    crm::LockOrganization(organization);
    kLockLeads();
  }
  if (call.OnDelete() && !kHoldsLeads.Latest(organization, stage).empty()) {
    throw Error(ERRCODE_CHECK_VIOLATION, "a stage that holds leads can't be deleted")
        .Hint("Move its leads to another stage first, e.g. with delete_stage(stage_id, move_leads_to).");
  }
  if (call.OnDelete()) {
    if (const pg::Rows field = kRequiringField.Latest(organization, stage); !field.empty()) {
      throw Error(ERRCODE_CHECK_VIOLATION, "a stage from which a custom field is required can't be deleted")
          .Detail("Field \"" + field.Get<std::string>(0, 0) + "\".")
          .Hint("Set the field's required_from_stage_id to another stage first.");
    }
  }
  // What is left of its counts adds up to nothing.
  if (call.OnDelete()) kForgetCounts(organization, stage);
  if (flags_change && !kHoldsLeads.Latest(organization, stage).empty()) {
    throw Error(ERRCODE_CHECK_VIOLATION, "is_qualified and outcome are fixed while the stage holds leads")
        .Hint("Add a stage with the flags you need and move the leads there.");
  }
  return call.Proceed(row);
}

// Trigger after each statement on lead_stages: an open stage remains; status follows which stage is first.
KVCRM_FUNCTION(lead_stages_after) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Done();
  std::map<pg::Uuid, Places> before = ReadPlaces(call.OldTable(), call);
  std::map<pg::Uuid, Places> after = ReadPlaces(call.NewTable(), call);
  const pg::AsOwner owner;
  const pg::Session session(pg::Access::kWrite);
  std::map<pg::Uuid, bool> organizations;
  for (const auto& entry : before) organizations[entry.first] = true;
  for (const auto& entry : after) organizations[entry.first] = true;
  for (const auto& entry : organizations) {
    if (call.OnInsert() && crm::Authorized::Active()) continue;
    crm::LockOrganization(entry.first);
    AfterStagesChanged(entry.first, before[entry.first], after[entry.first]);
  }
  return call.Done();
}

// Trigger before insert or update of lead_stage_transitions: required_fields name columns of leads.
KVCRM_FUNCTION(lead_stage_transitions_before) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Proceed();
  const AttrNumber* at = columns_of_transitions.In(call.table());
  pg::Row row = call.New();
  if (call.OnUpdate()) {
    const pg::Row old = call.Old();
    if (!crm::AnyChanged(row, old)) return call.Proceed();
    for (const TransitionColumn column : {kTId, kTOrganization}) crm::RequireUnchanged(row, old, at[column]);
    row.Set(at[kTUpdatedAt], crm::Now());
  }
  if (row.IsNull(at[kTFields])) return call.Proceed(row);
  for (const std::string& field : row.Get<std::vector<std::string>>(at[kTFields])) {
    if (IsRequirable(field)) continue;
    throw Error(ERRCODE_CHECK_VIOLATION, "required_fields names no field that a move may require")
        .Detail("Field: " + field)
        .Hint("Use a column such as email, phone, company, inn, estimated_value, or custom_fields.<key>.")
        .Column("required_fields");
  }
  return call.Proceed(row);
}

// Trigger before insert or update of lead_sources.
KVCRM_FUNCTION(lead_sources_before) {
  const pg::TriggerCall call(args);
  if (pg::IsRestoring(call.table_owner())) return call.Proceed();
  const AttrNumber* at = columns_of_sources.In(call.table());
  pg::Row row = call.New();
  std::optional<pg::Row> old;
  if (call.OnUpdate()) old.emplace(call.Old());
  if (old) {
    if (!crm::AnyChanged(row, *old)) return call.Proceed();
    for (const SourceColumn column : {kOId, kOOrganization, kOSlug})
      crm::RequireUnchanged(row, *old, at[column]);
    row.Set(at[kOUpdatedAt], crm::Now());
  }
  crm::NormalizeTexts(row, old ? &*old : nullptr, kSourceTexts, at, "source");
  return call.Proceed(row);
}
