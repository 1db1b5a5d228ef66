// What every benchmark uses: connections, timing, rounds, and the report.
//
// Machines are noisy, so nothing is judged by an absolute time. The two sides of a ratio take turns in short
// rounds, and the figure is the median of the rounds' ratios.
#pragma once

#include <libpq-fe.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

// Ends the run with a message: a benchmark that did not do what it claims to measure has no figure.
[[noreturn]] void Fail(const std::string& message);

class Result {
 public:
  explicit Result(PGresult* result) : result_(result, &PQclear) {}
  int rows() const { return PQntuples(result_.get()); }
  bool IsNull(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
  const char* Get(int row, int column) const { return PQgetvalue(result_.get(), row, column); }
  std::string Text(int row, int column) const { return Get(row, column); }
  std::vector<std::string> Column(int column) const;

 private:
  std::unique_ptr<PGresult, decltype(&PQclear)> result_;
};

using Parameter = std::optional<std::string>;

// One connection over the unix socket; server and database come from the environment. An error ends the run.
class Connection {
 public:
  Connection();
  Result Run(const std::string& sql);
  void Prepare(const char* name, const std::string& sql);
  Result Execute(const char* name, const std::vector<Parameter>& parameters);
  // The single value of a single row.
  std::string Value(const std::string& sql);
  double Number(const std::string& sql);
  // All that COPY (...) TO STDOUT sends, and back.
  std::string CopyOut(const std::string& sql);
  void CopyIn(const std::string& sql, const std::string& data);

 private:
  Result Check(PGresult* result, const std::string& what);
  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
};

// Seconds that `work` takes.
double Time(const std::function<void()>& work);
double Median(std::vector<double> values);

// Times of several sides that take turns, one entry per round.
class Rounds {
 public:
  void Add(const std::string& side, double seconds) { times_[side].push_back(seconds); }
  // Median over the rounds of a's time ÷ b's time.
  double Ratio(const std::string& a, const std::string& b) const;
  double Seconds(const std::string& side) const { return Median(times_.at(side)); }

 private:
  std::map<std::string, std::vector<double>> times_;
};

class Report {
 public:
  void Add(const std::string& key, double value, const std::string& note);
  void Print() const;
  void Write(const std::string& path) const;

 private:
  struct Figure {
    std::string key;
    double value;
    std::string note;
  };
  std::vector<Figure> figures_;
};

// What the subjects measure on.
struct Setting {
  Connection& connection;  // a superuser's, acting as `manager`
  Report& report;
  long scale;                  // leads in `organization`
  std::string organization;    // ids
  std::string owner, manager;  // users
};

std::string Printf(const char* format, ...) __attribute__((format(printf, 1, 2)));
// 'text' as an SQL literal.
std::string Quote(const std::string& text);

}  // namespace bench
