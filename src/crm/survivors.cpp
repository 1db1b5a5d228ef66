// Which lead of a set of duplicates the others had best be merged into.
#include "crm/survivors.hpp"

using namespace kvcrm;

namespace {

// $2 the group of each id (its place, as text), $3 the ids.
const pg::Statement<pg::Uuid, std::vector<std::string>, std::vector<pg::Uuid>> kPropose{
    "survivors.propose",
    "WITH stages AS MATERIALIZED (SELECT s.id, row_number() OVER (ORDER BY CASE s.outcome WHEN 'lost' THEN 0"
    "   WHEN 'won' THEN 3 ELSE 1 + s.is_qualified::int END, s.order_index, s.id) AS place"
    "   FROM kvcrm.lead_stages s WHERE s.organization_id = $1),"
    " members AS (SELECT g.n::int AS n, l.id, l.created_at, s.place,"
    "   num_nonnulls(l.email, l.phone, l.company, l.\"position\", l.inn, l.source, l.assigned_to,"
    "     l.estimated_value)"
    "     + (SELECT count(*) FROM jsonb_each(l.custom_fields) AS f WHERE f.value <> 'null') AS filled"
    "   FROM unnest($2, $3) AS g (n, id) JOIN kvcrm.leads l ON l.id = g.id AND l.organization_id = $1"
    "   JOIN stages s ON s.id = l.stage_id),"
    " ranked AS (SELECT m.*, row_number() OVER (PARTITION BY m.n ORDER BY m.place DESC, m.filled DESC,"
    "     m.created_at, m.id) AS rank, min(m.place) OVER w AS least_place, max(m.place) OVER w AS most_place,"
    "   min(m.filled) OVER w AS least_filled, max(m.filled) OVER w AS most_filled,"
    "   min(m.created_at) OVER w AS first_created, max(m.created_at) OVER w AS last_created"
    "   FROM members m WINDOW w AS (PARTITION BY m.n))"
    " SELECT r.n, r.id, array_remove(ARRAY["
    "   CASE WHEN r.place = r.most_place AND r.place > r.least_place THEN 'furthest in the pipeline' END,"
    "   CASE WHEN r.filled = r.most_filled AND r.filled > r.least_filled THEN 'most complete' END,"
    "   CASE WHEN r.created_at = r.first_created AND r.created_at < r.last_created THEN 'created first' END],"
    "   NULL) FROM ranked r WHERE r.rank = 1",
    pg::Plan::kCustom};

}  // namespace

namespace kvcrm::crm {

std::vector<SurvivorProposal> ProposeSurvivors(const pg::Uuid& organization,
                                               const std::vector<std::vector<pg::Uuid>>& groups) {
  std::vector<std::string> places;
  std::vector<pg::Uuid> ids;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    for (const pg::Uuid& id : groups[i]) {
      places.push_back(std::to_string(i));
      ids.push_back(id);
    }
  }
  std::vector<SurvivorProposal> proposals(groups.size());
  const pg::Rows rows = kPropose(organization, places, ids);
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    proposals[static_cast<std::size_t>(rows.Get<std::int32_t>(i, 0))] = {
        rows.Get<pg::Uuid>(i, 1), rows.Get<std::vector<std::string>>(i, 2)};
  }
  return proposals;
}

}  // namespace kvcrm::crm
