// How many leads one move on the board writes.
#include <algorithm>
#include <cstdlib>

#include "subjects.hpp"

namespace bench {

namespace {

constexpr int kCards = 10'000;
constexpr int kDrags = 200;

// The organization with the column, of an earlier run or a new one; its id.
std::string BoardOf(Connection& connection) {
  if (connection.Value("SELECT to_regclass('bench.board') IS NOT NULL") == "f") {
    connection.Run(
        "CREATE TABLE bench.board AS SELECT id AS organization FROM"
        " kvcrm.create_organization('Board', owner_id => gen_random_uuid())");
    connection.Run(
        Printf("INSERT INTO kvcrm.leads (organization_id, name) SELECT organization, 'Card ' || n"
               " FROM bench.board, generate_series(1, %d) AS n",
               kCards));
    connection.Run("ANALYZE kvcrm.leads");
  }
  return connection.Value("SELECT organization FROM bench.board");
}

}  // namespace

void MeasureBoard(const Setting& setting) {
  Connection connection;  // acts as the system
  const std::string organization = BoardOf(connection);
  const std::vector<std::string> cards =
      connection
          .Run(Printf("SELECT id FROM kvcrm.leads WHERE organization_id = '%s' ORDER BY board_rank, id",
                      organization.c_str()))
          .Column(0);
  if (cards.size() != kCards) Fail("the column has not the cards it should have");
  const std::string stage = connection.Value(
      Printf("SELECT DISTINCT stage_id FROM kvcrm.leads WHERE organization_id = '%s'", organization.c_str()));
  connection.Prepare("move", "SELECT kvcrm.move_lead($1::uuid, $2::uuid, $3::uuid)");
  connection.Prepare("written", "SELECT count(*) FROM kvcrm.leads WHERE xmin = pg_current_xact_id()::xid");
  connection.Prepare("above",
                     "SELECT id FROM kvcrm.leads WHERE organization_id = $1::uuid AND stage_id = $2::uuid"
                     " AND (board_rank, id) < (SELECT board_rank, id FROM kvcrm.leads WHERE id = $3::uuid)"
                     " ORDER BY board_rank DESC, id DESC LIMIT 1");
  // Always to the same place, where ranks grow longest.
  const std::string& target = cards[kCards / 2];
  long most = 0;
  double seconds = 0;
  for (int drag = 0; drag < kDrags; ++drag) {
    const std::string& card = cards[static_cast<std::size_t>(drag)];
    connection.Run("BEGIN");
    seconds += Time([&] { connection.Execute("move", {card, stage, target}); });
    most = std::max(most, std::atol(connection.Execute("written", {}).Get(0, 0)));
    connection.Run("COMMIT");
    if (connection.Execute("above", {organization, stage, target}).Text(0, 0) != card)
      Fail("a moved card is not where it was moved");
  }
  setting.report.Add(
      "board_drag", static_cast<double>(most),
      Printf("%d moves before the same card of %d, %.2f ms each", kDrags, kCards, seconds / kDrags * 1000));
}

}  // namespace bench
