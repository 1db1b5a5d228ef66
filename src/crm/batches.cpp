#include "crm/batches.hpp"

#include <optional>

namespace kvcrm::crm {

namespace {

using Attempt = std::function<void(std::size_t, std::size_t)>;
using Refused = std::function<void(std::size_t, Failure)>;

std::string Describe(std::string message, const std::string& detail) {
  return detail.empty() ? std::move(message) : std::move(message) + " (" + detail + ")";
}

// A constraint is named after its table and column: leads_estimated_value_not_negative.
std::string ColumnOf(const ErrorData& error) {
  if (error.column_name != nullptr) return error.column_name;
  if (error.constraint_name == nullptr || error.table_name == nullptr) return {};
  const std::string_view constraint = error.constraint_name;
  const std::string prefix = std::string(error.table_name) + "_";
  if (!constraint.starts_with(prefix)) return {};
  std::string_view best;
  for (const std::string_view column : {"estimated_value", "currency"}) {
    if (constraint.substr(prefix.size()).starts_with(column)) best = column;
  }
  return std::string(best);
}

std::optional<Failure> Try(std::size_t first, std::size_t end, const Attempt& attempt) {
  const pg::Scratch scratch;
  pg::SubTransaction batch;
  try {
    attempt(first, end);
    batch.Commit();
    return std::nullopt;
  } catch (const pg::Error& error) {
    if (ConcernsAll(error.sqlstate())) throw;
    const ErrorData& data = error.data();
    return Failure{error.sqlstate(),
                   Describe(data.message != nullptr ? data.message : "unknown error",
                            data.detail != nullptr && !pg::DetailShowsRow(data) ? data.detail : ""),
                   ColumnOf(data)};
  } catch (const Error& error) {
    if (ConcernsAll(error.sqlstate())) throw;
    return Failure{error.sqlstate(), Describe(error.message(), error.detail()), error.column()};
  }
}

void Halve(std::size_t first, std::size_t end, const Attempt& attempt, const Refused& refused) {
  pg::CheckForInterrupts();
  std::optional<Failure> failure = Try(first, end, attempt);
  if (!failure) return;
  if (end - first == 1) {
    refused(first, *std::move(failure));
    return;
  }
  const std::size_t middle = first + (end - first) / 2;
  Halve(first, middle, attempt, refused);
  Halve(middle, end, attempt, refused);
}

}  // namespace

bool ConcernsAll(int sqlstate) {
  const int category = ERRCODE_TO_CATEGORY(sqlstate);
  return category == ERRCODE_OPERATOR_INTERVENTION || category == ERRCODE_INSUFFICIENT_RESOURCES ||
         category == ERRCODE_SYSTEM_ERROR || category == ERRCODE_INTERNAL_ERROR ||
         category == ERRCODE_INVALID_TRANSACTION_STATE || category == ERRCODE_TRANSACTION_ROLLBACK;
}

void InBatches(std::size_t count, std::size_t size, const Attempt& attempt, const Refused& refused) {
  for (std::size_t first = 0; first < count; first += size) {
    Halve(first, std::min(first + size, count), attempt, refused);
  }
}

}  // namespace kvcrm::crm
