// Upkeep of the installation itself.
#include "pg/result_set.hpp"

using namespace kvcrm;

// prepare_statements() -> setof text: prepares every statement of the registry and returns their names. Fails
// on the first that doesn't fit the tables.
KVCRM_FUNCTION(prepare_statements) {
  pg::ResultSet result(args, pg::ResultSet::Shape::kSingle);
  pg::Session session(pg::Access::kWrite);
  for (const pg::StatementBase* statement = pg::StatementBase::First(); statement != nullptr;
       statement = statement->next()) {
    statement->Prepare();
    result.Add(std::string_view(statement->name()));
  }
  return result.Done();
}
