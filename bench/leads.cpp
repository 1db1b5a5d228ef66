#include "leads.hpp"

#include <algorithm>
#include <cstdio>

namespace bench {

namespace {

constexpr long kBatch = 10'000;

// What a lead's import writes.
constexpr const char* kImported[] = {"leads", "lead_fingerprints", "lead_stage_history", "lead_stage_counts",
                                     "activity_logs"};
// And its conversion, besides.
constexpr const char* kConverted[] = {"customers", "customer_contacts", "customer_identities",
                                      "lead_conversions"};

constexpr const char* kFirstNames[] = {"Иван",    "Мария", "Алексей", "Ольга", "Сергей", "Anna",
                                       "Дмитрий", "Елена", "Peter",   "Павел", "Юлия"};
constexpr const char* kLastNames[] = {"Иванов",  "Смирнова", "Кузнецов", "Попова",  "Соколов",
                                      "Schmidt", "Лебедев",  "Козлова",  "Новиков", "Johnson",
                                      "Морозов", "Волкова",  "Зайцев"};
constexpr const char* kCompanies[] = {"ООО «Ромашка",  "АО «Северсталь-Монтаж", "Vector Systems LLC «A",
                                      "ИП «Медведь",   "ООО «Технопарк",        "ПАО «Сибирь-Энерго",
                                      "Baltic GmbH «B"};
constexpr const char* kPositions[] = {"Директор", "Главный бухгалтер", "CTO", "Менеджер по закупкам",
                                      "Инженер"};
constexpr const char* kSources[] = {"website", "cold_call", "referral", "event", "inbound_email", "other"};

template <std::size_t kSize>
const char* Pick(const char* const (&list)[kSize], long n) {
  return list[static_cast<std::size_t>(n) % kSize];
}

// A 10-digit INN with its check digit: the weighted sum of the first nine, modulo 11, modulo 10.
std::string Inn(long n) {
  constexpr int kWeights[] = {2, 4, 10, 3, 5, 9, 4, 6, 8};
  std::string digits = Printf("%09ld", 100'000'000 + n * 7 % 800'000'000);
  int sum = 0;
  for (std::size_t i = 0; i < 9; ++i) sum += kWeights[i] * (digits[i] - '0');
  return digits + static_cast<char>('0' + sum % 11 % 10);
}

std::string LeadAsJson(long n) {
  const long h = n * 2'654'435'761L % 1'000'003;  // spreads the choices
  return Printf(
      R"({"name":"%s %s","email":"lead%ld@company%ld.example.com","phone":"8 (9%02ld) %03ld-%02ld-%02ld",)"
      R"("company":"%s %ld»","position":"%s","inn":"%s","source":"%s","estimated_value":%ld})",
      Pick(kFirstNames, h), Pick(kLastNames, h / 11), n, h % 50'000, n / 10'000'000 % 100, n / 10'000 % 1000,
      n / 100 % 100, n % 100, Pick(kCompanies, h), h % 50'000, Pick(kPositions, h), Inn(n).c_str(),
      Pick(kSources, h), (h % 5000 + 1) * 1000);
}

}  // namespace

std::string LeadsAsJson(long first, long last) {
  std::string json = "[";
  for (long n = first; n <= last; ++n) json += (n > first ? "," : "") + LeadAsJson(n);
  return json + "]";
}

void CreateBareCopies(Connection& connection) {
  connection.Run("CREATE SCHEMA bare");
  connection.Run("CREATE TABLE bench.taken (id uuid PRIMARY KEY)");
  const auto copy = [&](const char* table) {
    connection.Run(
        Printf("CREATE TABLE bare.%s (LIKE kvcrm.%s INCLUDING DEFAULTS INCLUDING INDEXES)", table, table));
  };
  for (const char* table : kImported) copy(table);
  for (const char* table : kConverted) copy(table);
}

void LoadLeads(const Setting& setting) {
  Connection& connection = setting.connection;
  connection.Prepare("import",
                     "SELECT count(*) FROM kvcrm.import_leads($1::jsonb) WHERE outcome = 'created'");
  Rounds rounds;
  double importing = 0, copying = 0;
  for (long first = 1; first <= setting.scale; first += kBatch) {
    const long end = std::min(first + kBatch - 1, setting.scale);
    const std::string json = LeadsAsJson(first, end);
    // Ids of one session rise, so those of the batch are greater than this one.
    const std::string before = connection.Value("SELECT kvcrm.uuid_v7()");
    std::string created;
    const double import_time = Time([&] { created = connection.Execute("import", {json}).Text(0, 0); });
    if (created != std::to_string(end - first + 1)) Fail("import_leads created " + created + " leads");

    std::vector<std::string> rows;
    for (const char* table : kImported) {
      rows.push_back(connection.CopyOut(
          Printf("COPY (SELECT * FROM kvcrm.%s WHERE id > '%s') TO STDOUT", table, before.c_str())));
    }
    const double copy_time = Time([&] {
      connection.Run("BEGIN");
      std::size_t i = 0;
      for (const char* table : kImported)
        connection.CopyIn(Printf("COPY bare.%s FROM STDIN", table), rows[i++]);
      connection.Run("COMMIT");
    });
    rounds.Add("import", import_time);
    rounds.Add("copy", copy_time);
    importing += import_time;
    copying += copy_time;
    std::fprintf(stderr, "\r  loaded %ld leads ", end);
  }
  std::fprintf(stderr, "\n");
  if (connection.Number("SELECT count(*) FROM bare.leads") != static_cast<double>(setting.scale))
    Fail("the copy of leads lacks rows");
  setting.report.Add("import_vs_copy", rounds.Ratio("copy", "import"),
                     Printf("%.0f leads/s imported, %.0f copied, batches of %ld",
                            static_cast<double>(setting.scale) / importing,
                            static_cast<double>(setting.scale) / copying, kBatch));
  connection.Run("VACUUM ANALYZE");
  connection.Run("CHECKPOINT");
}

std::vector<std::string> TakeLeads(const Setting& setting, long count) {
  return setting.connection
      .Run(Printf("INSERT INTO bench.taken SELECT l.id FROM kvcrm.leads l JOIN bare.leads b USING (id)"
                  " WHERE l.organization_id = '%s' AND l.converted_at IS NULL AND b.converted_at IS NULL"
                  " AND l.id NOT IN (SELECT id FROM bench.taken) ORDER BY random() LIMIT %ld RETURNING id",
                  setting.organization.c_str(), count))
      .Column(0);
}

}  // namespace bench
