#include "harness.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace bench {

namespace {

enum class Direction { kAtLeast, kAtMost, kExactly };

struct Bar {
  const char* key;
  Direction direction;
  double value;
};
// SPEC §8; a key without a bar is reported only.
constexpr Bar kBars[] = {
    {"qualify_vs_bare", Direction::kAtLeast, 0.7},
    {"qualify_vs_client", Direction::kAtLeast, 1.3},
    {"qualify_vs_client_1ms", Direction::kAtLeast, 6},
    {"growth_list", Direction::kAtMost, 2},
    {"growth_board", Direction::kAtMost, 2},
    {"growth_timeline", Direction::kAtMost, 2},
    {"growth_find", Direction::kAtMost, 2},
    {"growth_search_rare", Direction::kAtMost, 2},
    {"growth_search_common", Direction::kAtMost, 2},
    {"growth_search_none", Direction::kAtMost, 2},
    {"growth_search_short", Direction::kAtMost, 2},
    {"growth_search_middling", Direction::kAtMost, 12},
    {"find_p50_ms", Direction::kAtMost, 0.5},
    {"find_p99_ms", Direction::kAtMost, 2},
    {"scan_1m_s", Direction::kAtMost, 30},
    {"scan_1m_mib", Direction::kAtMost, 1024},
    {"scan_growth", Direction::kAtMost, 1.3},
    {"import_vs_copy", Direction::kAtLeast, 0.5},
    {"rls_page", Direction::kAtMost, 1.2},
    {"rls_scan", Direction::kAtMost, 2},
    {"scan_1m_s", Direction::kAtMost, 30},
    {"scan_1m_mib", Direction::kAtMost, 1024},
    {"scan_growth", Direction::kAtMost, 1.3},
    {"audit_update", Direction::kAtMost, 2},
    {"board_drag", Direction::kExactly, 1},
};

const Bar* BarOf(const std::string& key) {
  for (const Bar& bar : kBars) {
    if (key == bar.key) return &bar;
  }
  return nullptr;
}

bool Meets(const Bar& bar, double value) {
  switch (bar.direction) {
    case Direction::kAtLeast:
      return value >= bar.value;
    case Direction::kAtMost:
      return value <= bar.value;
    default:
      return value == bar.value;
  }
}

std::string Describe(const Bar& bar) {
  constexpr const char* kSigns[] = {">=", "<=", "="};
  return Printf("%s %g", kSigns[static_cast<int>(bar.direction)], bar.value);
}

}  // namespace

void Fail(const std::string& message) {
  std::fprintf(stderr, "bench: %s\n", message.c_str());
  std::exit(1);
}

std::string Printf(const char* format, ...) {
  char buffer[4096];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}

std::string Quote(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') quoted += c;
    quoted += c;
  }
  return quoted + "'";
}

std::vector<std::string> Result::Column(int column) const {
  std::vector<std::string> values;
  for (int row = 0; row < rows(); ++row) values.push_back(Text(row, column));
  return values;
}

Connection::Connection() : connection_(PQconnectdb(""), &PQfinish) {
  if (PQstatus(connection_.get()) != CONNECTION_OK) Fail(PQerrorMessage(connection_.get()));
}

Result Connection::Check(PGresult* result, const std::string& what) {
  const ExecStatusType status = PQresultStatus(result);
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_COPY_IN &&
      status != PGRES_COPY_OUT) {
    Fail(std::string(PQerrorMessage(connection_.get())) + "in: " + what);
  }
  return Result(result);
}

Result Connection::Run(const std::string& sql) { return Check(PQexec(connection_.get(), sql.c_str()), sql); }

void Connection::Prepare(const char* name, const std::string& sql) {
  Check(PQprepare(connection_.get(), name, sql.c_str(), 0, nullptr), sql);
}

Result Connection::Execute(const char* name, const std::vector<Parameter>& parameters) {
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const Parameter& parameter : parameters) values.push_back(parameter ? parameter->c_str() : nullptr);
  return Check(PQexecPrepared(connection_.get(), name, static_cast<int>(values.size()), values.data(),
                              nullptr, nullptr, 0),
               name);
}

std::string Connection::Value(const std::string& sql) {
  const Result result = Run(sql);
  if (result.rows() != 1) Fail("not one row: " + sql);
  return result.Text(0, 0);
}

double Connection::Number(const std::string& sql) { return std::stod(Value(sql)); }

std::string Connection::CopyOut(const std::string& sql) {
  Run(sql);
  std::string data;
  char* buffer;
  int size;
  while ((size = PQgetCopyData(connection_.get(), &buffer, 0)) > 0) {
    data.append(buffer, static_cast<std::size_t>(size));
    PQfreemem(buffer);
  }
  Check(PQgetResult(connection_.get()), sql);
  PQclear(PQgetResult(connection_.get()));
  return data;
}

void Connection::CopyIn(const std::string& sql, const std::string& data) {
  Run(sql);
  // In pieces of a size that a client would send.
  constexpr std::size_t kPiece = 1 << 16;
  for (std::size_t at = 0; at < data.size(); at += kPiece) {
    const auto size = static_cast<int>(std::min(kPiece, data.size() - at));
    if (PQputCopyData(connection_.get(), data.data() + at, size) != 1)
      Fail(PQerrorMessage(connection_.get()));
  }
  if (PQputCopyEnd(connection_.get(), nullptr) != 1) Fail(PQerrorMessage(connection_.get()));
  Check(PQgetResult(connection_.get()), sql);
  PQclear(PQgetResult(connection_.get()));
}

double Time(const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double Median(std::vector<double> values) {
  if (values.empty()) Fail("no measurement");
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double Rounds::Ratio(const std::string& a, const std::string& b) const {
  const std::vector<double>&of_a = times_.at(a), &of_b = times_.at(b);
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(of_a.size(), of_b.size()); ++i) ratios.push_back(of_a[i] / of_b[i]);
  return Median(ratios);
}

void Report::Add(const std::string& key, double value, const std::string& note) {
  figures_.push_back({key, value, note});
  std::fprintf(stderr, "  %s = %.4g  (%s)\n", key.c_str(), value, note.c_str());
}

void Report::Print() const {
  std::printf("\n%-24s %10s  %-8s %-5s %s\n", "key", "figure", "bar", "met", "measured");
  for (const Figure& figure : figures_) {
    const Bar* bar = BarOf(figure.key);
    std::printf("%-24s %10.4g  %-8s %-5s %s\n", figure.key.c_str(), figure.value,
                bar != nullptr ? Describe(*bar).c_str() : "",
                bar == nullptr ? "" : (Meets(*bar, figure.value) ? "yes" : "NO"), figure.note.c_str());
  }
}

void Report::Write(const std::string& path) const {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) Fail("can't write " + path);
  std::fputs("{\n", file);
  for (std::size_t i = 0; i < figures_.size(); ++i) {
    std::fprintf(file, "  \"%s\": %.6g%s\n", figures_[i].key.c_str(), figures_[i].value,
                 i + 1 < figures_.size() ? "," : "");
  }
  std::fputs("}\n", file);
  std::fclose(file);
}

}  // namespace bench
