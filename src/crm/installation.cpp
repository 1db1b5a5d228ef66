// Upkeep of the installation itself.
#include "pg/entry.hpp"
#include "pg/statement.hpp"

using namespace kvcrm;

// prepare_statements() -> setof text: prepares every statement of the registry and returns their names. Fails
// on the first that doesn't fit the tables.
KVCRM_FUNCTION(prepare_statements) {
  pg::Call([&] { InitMaterializedSRF(args.call(), MAT_SRF_USE_EXPECTED_DESC); });
  auto* result = reinterpret_cast<ReturnSetInfo*>(args.call()->resultinfo);
  pg::Session session(pg::Access::kWrite);
  for (const pg::StatementBase* statement = pg::StatementBase::First(); statement != nullptr;
       statement = statement->next()) {
    statement->Prepare();
    Datum name = pg::ToValue(std::string_view(statement->name())).datum;
    bool is_null = false;
    pg::Call([&] { tuplestore_putvalues(result->setResult, result->setDesc, &name, &is_null); });
  }
  return args.ReturnNull();
}
