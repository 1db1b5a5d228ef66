#include "leads.hpp"

#include <algorithm>
#include <cstdio>

namespace bench {

namespace {

constexpr long kBatch = 10'000;

// What a lead's import writes.
constexpr const char* kImported[] = {
    "leads",         "lead_fingerprints", "lead_stage_history", "lead_stage_counts",
    "activity_logs", "lead_imports",      "lead_import_writes"};
// And its conversion, besides.
constexpr const char* kConverted[] = {"customers", "customer_contacts", "customer_identities",
                                      "customer_fingerprints", "lead_conversions"};

// What distinguishes the leads of one organization.
struct LeadsOf {
  int number;  // of the organization
  long total;
  std::string later_stage;  // where a quarter of the leads stands; the others stand in the first stage
};

constexpr const char* kFirstNames[] = {"Иван",    "Мария", "Алексей", "Ольга", "Сергей", "Anna",
                                       "Дмитрий", "Елена", "Peter",   "Павел", "Юлия"};
constexpr const char* kLastNames[] = {"Иванов",  "Смирнова", "Кузнецов", "Попова",  "Соколов",
                                      "Schmidt", "Лебедев",  "Козлова",  "Новиков", "Johnson",
                                      "Морозов", "Волкова",  "Зайцев"};
constexpr const char* kCompanies[] = {"ООО «Ромашка",  "АО «Урал-Монтаж", "Vector Systems LLC «A",
                                      "ИП «Медведь",   "ООО «Технопарк",  "ПАО «Сибирь-Энерго",
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

// A number below `below` that looks random, always the same for the same arguments.
long Spread(long n, unsigned long salt, long below) {
  unsigned long x = static_cast<unsigned long>(n) + (salt + 1) * 0x9e3779b97f4a7c15UL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9UL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebUL;
  return static_cast<long>((x ^ (x >> 31)) % static_cast<unsigned long>(below));
}

// The words of leads.hpp get their shares here.
const char* LastNameOf(long n, long h, const LeadsOf& leads) {
  return n % (leads.total / 15) == 7 ? "Зябликов" : Pick(kLastNames, h / 11);
}
const char* CompanyOf(long n, long h) {
  const long share = Spread(n, 1, 1000);
  return share < 50 ? "ПАО «Северсталь-Снаб" : share < 57 ? "АО «Каспийск" : Pick(kCompanies, h);
}

std::string AssigneeOf(long n, const LeadsOf& leads) {
  if (n % (leads.total / kRepsLeads) == 3) return Member(leads.number, kRep);
  return Member(leads.number, kFirstColleague + static_cast<int>(Spread(n, 2, kColleagues)));
}

std::string LeadAsJson(long n, const LeadsOf& leads) {
  const long h = n * 2'654'435'761L % 1'000'003;  // spreads the choices
  const std::string stage = Spread(n, 3, 4) == 0 ? ",\"stage_id\":\"" + leads.later_stage + "\"" : "";
  return Printf(
      R"({"name":"%s %s","email":"lead%ld@company%ld.example.com","phone":"8 (9%02ld) %03ld-%02ld-%02ld",)"
      R"("company":"%s %ld»","position":"%s","inn":"%s","source":"%s","estimated_value":%ld,)"
      R"("assigned_to":"%s"%s})",
      Pick(kFirstNames, h), LastNameOf(n, h, leads), n, h % 50'000, n / 10'000'000 % 100, n / 10'000 % 1000,
      n / 100 % 100, n % 100, CompanyOf(n, h), h % 50'000, Pick(kPositions, h), Inn(n).c_str(),
      Pick(kSources, h), (h % 5000 + 1) * 1000, AssigneeOf(n, leads).c_str(), stage.c_str());
}

std::string LeadsAsJson(long first, long last, const LeadsOf& leads) {
  std::string json = "[";
  for (long n = first; n <= last; ++n) json += (n > first ? "," : "") + LeadAsJson(n, leads);
  return json + "]";
}

LeadsOf DescribeLeads(Connection& connection, const std::string& organization, int number, long total) {
  return {number, total,
          connection.Value("SELECT id FROM kvcrm.lead_stages WHERE organization_id = " + Quote(organization) +
                           " AND outcome = 'open' AND NOT is_qualified ORDER BY order_index DESC LIMIT 1")};
}

void PrepareImport(Connection& connection) {
  connection.Prepare("import",
                     "SELECT count(*) FROM kvcrm.import_leads($1::jsonb) WHERE outcome = 'created'");
}

void Import(Connection& connection, const std::string& json, long count) {
  const std::string created = connection.Execute("import", {json}).Text(0, 0);
  if (created != std::to_string(count)) Fail("import_leads created " + created + " leads");
}

}  // namespace

std::string Member(int number, int member) {
  return Printf("00000000-0000-7000-8000-%06d%06d", number, member);
}

std::string CreateOrganization(Connection& connection, const std::string& name, int number) {
  const std::string id =
      connection.Value(Printf("SELECT id FROM kvcrm.create_organization(%s, owner_id => '%s')",
                              Quote(name).c_str(), Member(number, kOwner).c_str()));
  const auto add = [&](int member, const char* role, const std::string& display_name) {
    connection.Run(
        Printf("INSERT INTO kvcrm.organization_members (organization_id, user_id, role_slug, status,"
               " display_name) VALUES ('%s', '%s', '%s', 'active', %s)",
               id.c_str(), Member(number, member).c_str(), role, Quote(display_name).c_str()));
  };
  add(kManager, "sales_manager", "Manager");
  add(kRep, "sales_team", "Rep");
  for (int i = 0; i < kColleagues; ++i) add(kFirstColleague + i, "sales_team", Printf("Colleague %d", i + 1));
  return id;
}

void FillOrganization(Connection& connection, const std::string& organization, int number, long total) {
  connection.Run("SET kvcrm.user_id = " + Quote(Member(number, kManager)));
  PrepareImport(connection);
  const LeadsOf leads = DescribeLeads(connection, organization, number, total);
  for (long first = 1; first <= total; first += kBatch) {
    const long end = std::min(first + kBatch - 1, total);
    Import(connection, LeadsAsJson(first, end, leads), end - first + 1);
    std::fprintf(stderr, "\r  loaded %ld leads ", end);
  }
  std::fprintf(stderr, "\n");
  connection.Run("DEALLOCATE import");
  connection.Run("VACUUM ANALYZE");
  connection.Run("CHECKPOINT");
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
  PrepareImport(connection);
  const LeadsOf leads = DescribeLeads(connection, setting.organization, 0, setting.scale);
  Rounds rounds;
  double importing = 0, copying = 0;
  std::vector<double> batches;  // how long each import took
  for (long first = 1; first <= setting.scale; first += kBatch) {
    const long end = std::min(first + kBatch - 1, setting.scale);
    const std::string json = LeadsAsJson(first, end, leads);
    // Ids of one session rise, so those of the batch are greater than this one.
    const std::string before = connection.Value("SELECT kvcrm.uuid_v7()");
    const double import_time = Time([&] { Import(connection, json, end - first + 1); });

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
    batches.push_back(import_time);
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
  // The first batch is left out: it also prepares statements.
  constexpr std::ptrdiff_t kEnds = 5;
  if (const auto count = static_cast<std::ptrdiff_t>(batches.size()); count > 2 * kEnds) {
    const double early = Median({batches.begin() + 1, batches.begin() + 1 + kEnds});
    const double late = Median({batches.end() - kEnds, batches.end()});
    setting.report.Add("growth_import", late / early,
                       Printf("%.3f ms a lead with %ld there, %.3f with %ld", late / kBatch * 1000,
                              setting.scale - kEnds * kBatch, early / kBatch * 1000, kBatch));
  }
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
