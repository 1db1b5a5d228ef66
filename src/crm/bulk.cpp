// Bulk: what the functions on one lead do, for many; a lead that is refused doesn't undo the others.
//
// Leads are taken in the order of their ids, whatever the order they come in, so that two calls at once that
// share leads wait for each other instead of deadlocking. Ids of merged leads are replaced by their
// survivors' first, or else the order would not be that of the rows that are locked.
#include <algorithm>
#include <map>

#include "crm/batches.hpp"
#include "crm/conversion.hpp"
#include "crm/leads.hpp"
#include "pg/result_set.hpp"

using namespace kvcrm;

namespace {

using OptionalText = std::optional<std::string>;
using OptionalUuid = std::optional<pg::Uuid>;
using Ids = std::vector<OptionalUuid>;
using Failures = std::map<pg::Uuid, crm::Failure>;

constexpr std::size_t kBatch = 64;

std::vector<pg::Uuid> Given(const Ids& ids) {
  std::vector<pg::Uuid> given;
  for (const OptionalUuid& id : ids) {
    if (id) given.push_back(*id);
  }
  std::sort(given.begin(), given.end());
  given.erase(std::unique(given.begin(), given.end()), given.end());
  return given;
}

// Does `one(id)` to the leads, in their order, and returns those that were refused.
template <typename One>
Failures DoAll(const std::vector<pg::Uuid>& leads, const One& one) {
  Failures failures;
  crm::InBatches(
      leads.size(), kBatch,
      [&](std::size_t first, std::size_t end) {
        pg::Scratch scratch;
        for (std::size_t i = first; i < end; ++i) {
          pg::CheckForInterrupts();
          one(leads[i]);
          scratch.Reset();
        }
      },
      [&](std::size_t lead, crm::Failure failure) { failures.emplace(leads[lead], std::move(failure)); });
  return failures;
}

// Does it to what the ids stand for, each once.
template <typename One>
Failures DoAllSurvivors(const std::vector<pg::Uuid>& given, const OptionalUuid& organization,
                        const One& one) {
  const std::map<pg::Uuid, pg::Uuid> stand_for = crm::StandsFor(given, organization);
  const auto lead_of = [&](const pg::Uuid& id) {
    const auto found = stand_for.find(id);
    return found != stand_for.end() ? found->second : id;
  };
  Ids leads;
  for (const pg::Uuid& id : given) leads.push_back(lead_of(id));
  const Failures failures = DoAll(Given(leads), one);
  Failures answers;
  for (const pg::Uuid& id : given) {
    if (const auto found = failures.find(lead_of(id)); found != failures.end())
      answers.emplace(id, found->second);
  }
  return answers;
}

// Does it to the very leads. Those that were merged away come first: whoever is given such an id locks it
// before its survivor.
template <typename One>
Failures DoAllThemselves(std::vector<pg::Uuid> given, const OptionalUuid& organization, const One& one) {
  const std::map<pg::Uuid, pg::Uuid> stand_for = crm::StandsFor(given, organization);
  std::stable_partition(given.begin(), given.end(), [&](const pg::Uuid& id) {
    const auto found = stand_for.find(id);
    return found != stand_for.end() && found->second != id;
  });
  return DoAll(given, one);
}

void PutAnswers(pg::ResultSet& result, const Ids& ids, const Failures& failures) {
  const crm::Failure missing{ERRCODE_INVALID_PARAMETER_VALUE, "lead_id must not be null"};
  for (const OptionalUuid& id : ids) {
    pg::CheckForInterrupts();
    const crm::Failure* failure = &missing;
    if (id) {
      const auto found = failures.find(*id);
      failure = found != failures.end() ? &found->second : nullptr;
    }
    OptionalText code, message;
    if (failure != nullptr) {
      code = unpack_sql_state(failure->sqlstate);
      message = failure->message;
    }
    result.Add(id, failure == nullptr, code, message);
  }
}

// The frame of every bulk function: `one(id)` is what the function on one lead does.
template <typename One>
Datum Bulk(pg::Args& args, const Ids& ids, const OptionalUuid& organization, crm::Merged merged,
           const One& one) {
  pg::ResultSet result(args);
  pg::Session session(pg::Access::kWrite);
  const std::vector<pg::Uuid> given = Given(ids);
  PutAnswers(result, ids,
             merged == crm::Merged::kFollow ? DoAllSurvivors(given, organization, one)
                                            : DoAllThemselves(given, organization, one));
  return result.Done();
}

}  // namespace

// bulk_assign(lead_ids uuid[], assignee_id, organization_id) -> setof (lead_id, ok, error_code, error):
// assign_lead for each id, answered in the order given; an id given twice is done once. Errors of the call:
// 22023 when lead_ids is null; those of a lead are in its row.
KVCRM_FUNCTION(bulk_assign) {
  const auto ids = args.Require<Ids>(0, "lead_ids");
  const auto assignee = args.Get<OptionalUuid>(1);
  const auto organization = args.Get<OptionalUuid>(2);
  return Bulk(args, ids, organization, crm::Merged::kFollow,
              [&](const pg::Uuid& id) { crm::AssignLead(id, assignee, organization); });
}

// bulk_move(lead_ids uuid[], stage_id, lost_reason, organization_id): move_lead to the end of the stage.
// Errors of the call: 22023 when lead_ids or stage_id is null.
KVCRM_FUNCTION(bulk_move) {
  const auto ids = args.Require<Ids>(0, "lead_ids");
  const crm::Move move{args.Require<pg::Uuid>(1, "stage_id"), {}, args.Get<OptionalText>(2), {}};
  const auto organization = args.Get<OptionalUuid>(3);
  return Bulk(args, ids, organization, crm::Merged::kFollow,
              [&](const pg::Uuid& id) { crm::MoveLead(id, move, organization); });
}

// bulk_delete(lead_ids uuid[], organization_id): delete_lead. Errors of the call: 22023 when lead_ids is
// null.
KVCRM_FUNCTION(bulk_delete) {
  const auto ids = args.Require<Ids>(0, "lead_ids");
  const auto organization = args.Get<OptionalUuid>(1);
  return Bulk(args, ids, organization, crm::Merged::kStay,
              [&](const pg::Uuid& id) { crm::DeleteLead(id, organization); });
}

// bulk_qualify(lead_ids uuid[], on_match, organization_id): qualify_lead. Errors of the call: 22023 when
// lead_ids is null or on_match unknown.
KVCRM_FUNCTION(bulk_qualify) {
  const auto ids = args.Require<Ids>(0, "lead_ids");
  const crm::OnMatch on_match = crm::ParseOnMatch(args.Get<OptionalText>(1));
  const auto organization = args.Get<OptionalUuid>(2);
  return Bulk(args, ids, organization, crm::Merged::kFollow,
              [&](const pg::Uuid& id) { crm::ConvertLead(id, std::nullopt, on_match, organization); });
}
