// Growth: what a page costs in an organization of SCALE leads, against the same page in one of 10 000 in the
// same database; and the curve between them, drawn as SVG.
//
// Each page is measured for a manager, who sees everything, and for a rep with ten leads. The figure of a key
// is the worst of its pages.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "leads.hpp"
#include "subjects.hpp"

namespace bench {

namespace {

constexpr long kSmall = 10'000, kMiddle = 100'000;
// From this scale on the picture is the one to publish.
constexpr long kPublished = 1'000'000;
constexpr int kRounds = 15, kCallsPerRound = 3;
constexpr int kActivities = 27;

struct Organization {
  int number;
  long leads;
  std::string id;
  std::string busy_lead;  // one of the rep's, with a long timeline
};

struct Page {
  const char* key;
  const char* statement;  // as prepared
  std::string parameter;
  std::string name;
};

struct Figure {
  double ratio = 0;
  std::string name;             // of the page and who reads it
  std::vector<double> seconds;  // by organization
};

// A list has a page per sort; a search has one per word and, for some words, sort.
std::vector<Page> Pages() {
  std::vector<Page> pages;
  for (const char* sort : {"newest", "oldest", "updated", "name", "score", "value", "rank"})
    pages.push_back({"growth_list", "list", sort, std::string("sorted by ") + sort});
  pages.push_back({"growth_board", "board", "", "board"});
  pages.push_back({"growth_timeline", "timeline", "", "timeline"});
  const auto search = [&](const char* key, const char* statement, const char* query) {
    pages.push_back({key, statement, query,
                     std::string("'") + query + "'" +
                         (std::string(statement) == "search"           ? ""
                          : std::string(statement) == "search_by_name" ? " by name"
                                                                       : " by rank")});
  };
  search("growth_search_rare", "search", "зяблик");
  search("growth_search_common", "search", "северсталь");
  search("growth_search_none", "search", "квазимодо");
  search("growth_search_none", "search", "смирновашка");  // of grams that many leads have
  search("growth_search_short", "search", "ив");
  search("growth_search_short", "search", "пп");
  search("growth_search_middling", "search", "каспийск");
  // Without a bar: other ways to ask.
  for (const char* query : {"и", "9000012", "79161234567", "иван зяблик"})
    search("growth_search_other", "search", query);
  for (const char* statement : {"search_by_name", "search_by_rank"}) {
    for (const char* query : {"зяблик", "северсталь"}) search("growth_search_other", statement, query);
    search("growth_search_middling_sorted", statement, "каспийск");
  }
  return pages;
}

void Act(Connection& connection, const Organization& organization, int member) {
  connection.Run("SET kvcrm.user_id = " + Quote(Member(organization.number, member)));
  connection.Run("SET kvcrm.organization_id = " + Quote(organization.id));
}

// The organizations beside the measured one, and everybody's activities: of an earlier run, or made now.
std::vector<Organization> Organizations(const Setting& setting) {
  Connection connection;  // acts as the system
  std::vector<long> sizes = {kSmall};
  if (setting.scale > kMiddle) sizes.push_back(kMiddle);
  sizes.push_back(setting.scale);
  const bool made = connection.Value("SELECT to_regclass('bench.growth') IS NOT NULL") == "t";
  if (!made) {
    connection.Run("CREATE TABLE bench.growth (number int, leads bigint, organization uuid, busy_lead uuid)");
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const bool is_large = i + 1 == sizes.size();
      const int number = is_large ? 0 : static_cast<int>(i) + 1;
      std::string id = setting.organization;
      if (!is_large) {
        id = CreateOrganization(connection, Printf("Growth %d", number), number);
        FillOrganization(connection, id, number, sizes[i]);
      }
      connection.Run("RESET kvcrm.user_id");
      const std::string busy =
          connection.Value(Printf("SELECT id FROM kvcrm.leads WHERE organization_id = '%s' AND assigned_to = "
                                  "'%s' ORDER BY id LIMIT 1",
                                  id.c_str(), Member(number, kRep).c_str()));
      // A task for each twentieth lead, and many on one.
      connection.Run(
          Printf("INSERT INTO kvcrm.lead_activities (organization_id, lead_id, type, title, due_date)"
                 " SELECT organization_id, id, 'task', 'Call back', now() + interval '1 day' FROM kvcrm.leads"
                 " WHERE organization_id = '%s' AND hashtext(email) %% 20 = 0",
                 id.c_str()));
      connection.Run(
          Printf("INSERT INTO kvcrm.lead_activities (organization_id, lead_id, type, title, description)"
                 " SELECT '%s', '%s', 'note', 'Note ' || n, 'What was said' FROM generate_series(1, %d) AS n",
                 id.c_str(), busy.c_str(), kActivities));
      connection.Run(Printf("INSERT INTO bench.growth VALUES (%d, %ld, '%s', '%s')", number, sizes[i],
                            id.c_str(), busy.c_str()));
    }
    connection.Run("VACUUM ANALYZE");
    connection.Run("CHECKPOINT");
  }
  const Result rows =
      connection.Run("SELECT number, leads, organization, busy_lead FROM bench.growth ORDER BY leads");
  std::vector<Organization> organizations;
  for (int row = 0; row < rows.rows(); ++row) {
    organizations.push_back(
        {std::atoi(rows.Get(row, 0)), std::atol(rows.Get(row, 1)), rows.Text(row, 2), rows.Text(row, 3)});
  }
  if (organizations.size() != sizes.size()) Fail("an earlier run was interrupted: load the data again");
  return organizations;
}

// The words occur as often as the keys claim, and the rep has ten leads at most (conversions take some away).
void Verify(Connection& connection, const Organization& organization) {
  Act(connection, organization, kManager);
  const auto require = [&](const char* query, double least, double most) {
    const double hits = connection.Number(Printf("SELECT kvcrm.count_leads(%s)", Quote(query).c_str()));
    if (hits < least || hits > most) Fail(Printf("%g of %ld leads have %s", hits, organization.leads, query));
  };
  const auto leads = static_cast<double>(organization.leads);
  require("зяблик", 1, 20);
  require("северсталь", 0.045 * leads, 0.055 * leads);
  require("каспийск", 0.0055 * leads, 0.0085 * leads);
  require("квазимодо", 0, 0);
  require("смирновашка", 0, 0);
  Act(connection, organization, kRep);
  const double own = connection.Number("SELECT kvcrm.count_leads()");
  if (own < 1 || own > kRepsLeads) Fail(Printf("the rep has %g leads", own));
}

void Prepare(Connection& connection) {
  connection.Prepare("list", "SELECT * FROM kvcrm.list_leads(sort => $1)");
  connection.Prepare("board", "SELECT * FROM kvcrm.pipeline_board()");
  connection.Prepare("timeline", "SELECT * FROM kvcrm.lead_timeline($1::uuid)");
  connection.Prepare("search", "SELECT * FROM kvcrm.list_leads($1)");
  connection.Prepare("search_by_name", "SELECT * FROM kvcrm.list_leads($1, sort => 'name')");
  connection.Prepare("search_by_rank", "SELECT * FROM kvcrm.list_leads($1, sort => 'rank')");
}

// One page for one kind of reader, in all organizations by turns.
Figure Measure(Connection& connection, const std::vector<Organization>& organizations, const Page& page,
               int reader) {
  Rounds rounds;
  for (int round = -1; round < kRounds; ++round) {
    for (std::size_t i = 0; i < organizations.size(); ++i) {
      // Who goes first changes.
      const std::size_t turn = round % 2 == 0 ? i : organizations.size() - 1 - i;
      const Organization& organization = organizations[turn];
      Act(connection, organization, reader);
      std::vector<Parameter> parameters;
      if (std::string(page.statement) == "timeline")
        parameters = {organization.busy_lead};
      else if (std::string(page.statement) != "board")
        parameters = {page.parameter};
      connection.Execute(page.statement, parameters);  // reads what the other organizations' turns pushed out
      std::vector<double> times;
      for (int call = 0; call < kCallsPerRound; ++call) {
        int rows = 0;
        times.push_back(Time([&] { rows = connection.Execute(page.statement, parameters).rows(); }));
        if (std::string(page.statement) == "timeline" && rows < kActivities) Fail("the timeline is short");
        if (std::string(page.statement) == "list" && rows < (reader == kManager ? 50 : 1))
          Fail("a page is not full");
      }
      if (round >= 0) rounds.Add(std::to_string(turn), Median(times));
    }
  }
  Figure figure;
  figure.ratio = rounds.Ratio(std::to_string(organizations.size() - 1), "0");
  figure.name = page.name + (reader == kManager ? ", manager" : ", rep");
  for (std::size_t i = 0; i < organizations.size(); ++i)
    figure.seconds.push_back(rounds.Seconds(std::to_string(i)));
  return figure;
}

// --- the picture ---

struct Curve {
  std::string name;
  std::vector<double> ms;  // by organization
};

std::string WithSpaces(long number) {
  std::string digits = std::to_string(number);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), " ");
  return digits;
}

std::string ForXml(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '&')
      escaped += "&amp;";
    else if (c == '<')
      escaped += "&lt;";
    else
      escaped += c;
  }
  return escaped;
}

// Both axes are logarithmic: a cost that does not depend on the number of leads is a level line, whatever it
// is.
void Draw(const std::string& path, const std::vector<Organization>& organizations, std::vector<Curve> curves,
          const std::string& version) {
  constexpr const char* kColors[] = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd",
                                     "#ff7f0e", "#17a2b8", "#8c564b", "#444444"};
  constexpr double kLeft = 70, kTop = 60, kWidth = 480, kHeight = 360, kLegend = kLeft + kWidth + 30;
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) Fail("can't write " + path);

  double least = 1e9, most = 0;
  for (const Curve& curve : curves) {
    for (const double ms : curve.ms) {
      least = std::min(least, ms);
      most = std::max(most, ms);
    }
  }
  const double low = std::floor(std::log10(least)), high = std::max(std::ceil(std::log10(most)), low + 1);
  const double first = std::log10(static_cast<double>(organizations.front().leads));
  const double last = std::log10(static_cast<double>(organizations.back().leads));
  const auto x = [&](long leads) {
    return kLeft + (std::log10(static_cast<double>(leads)) - first) / (last - first) * kWidth;
  };
  const auto y = [&](double ms) { return kTop + (high - std::log10(ms)) / (high - low) * kHeight; };
  const auto text = [&](double at_x, double at_y, const char* attributes, const std::string& content) {
    std::fprintf(file, "<text x=\"%.1f\" y=\"%.1f\"%s>%s</text>\n", at_x, at_y, attributes,
                 ForXml(content).c_str());
  };
  const auto line = [&](double x1, double y1, double x2, double y2, const char* color, double width) {
    std::fprintf(
        file, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"%g\"/>\n",
        x1, y1, x2, y2, color, width);
  };

  std::fputs(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 960 480\" width=\"960\" height=\"480\""
      " font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n"
      "<rect width=\"960\" height=\"480\" fill=\"#fff\"/>\n",
      file);
  text(kLeft, 24, " font-size=\"16\"", "Time per call as an organization grows");
  text(kLeft, 42, " fill=\"#666\"",
       "PostgreSQL " + version + ", one connection, warm cache; of each kind the page that grows most");
  for (double decade = low; decade <= high; ++decade) {
    for (const int step : {1, 2, 5}) {
      const double ms = step * std::pow(10, decade);
      if (std::log10(ms) > high + 1e-9) break;
      line(kLeft, y(ms), kLeft + kWidth, y(ms), step == 1 ? "#ccc" : "#eee", 1);
      text(kLeft - 8, y(ms) + 4, " text-anchor=\"end\"", Printf("%g", ms));
    }
  }
  for (const Organization& organization : organizations) {
    line(x(organization.leads), kTop, x(organization.leads), kTop + kHeight, "#ccc", 1);
    text(x(organization.leads), kTop + kHeight + 20, " text-anchor=\"middle\"",
         WithSpaces(organization.leads));
  }
  text(kLeft + kWidth / 2, kTop + kHeight + 42, " text-anchor=\"middle\"", "leads in the organization");
  text(18, kTop + kHeight / 2,
       Printf(" text-anchor=\"middle\" transform=\"rotate(-90 18 %.1f)\"", kTop + kHeight / 2).c_str(),
       "ms per call");

  // The legend in the order of the curves' right ends.
  std::stable_sort(curves.begin(), curves.end(),
                   [](const Curve& a, const Curve& b) { return a.ms.back() > b.ms.back(); });
  double at = kTop + 12;
  text(kLegend, at, " fill=\"#666\"", "ms at " + WithSpaces(organizations.back().leads) + " leads");
  for (std::size_t i = 0; i < curves.size(); ++i) {
    const char* color = kColors[i % std::size(kColors)];
    std::fprintf(file, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", color);
    for (std::size_t j = 0; j < organizations.size(); ++j)
      std::fprintf(file, "%s%.1f,%.1f", j > 0 ? " " : "", x(organizations[j].leads), y(curves[i].ms[j]));
    std::fputs("\"/>\n", file);
    for (std::size_t j = 0; j < organizations.size(); ++j)
      std::fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", x(organizations[j].leads),
                   y(curves[i].ms[j]), color);
    at += 26;
    line(kLegend, at - 4, kLegend + 22, at - 4, color, 3);
    text(kLegend + 66, at, " text-anchor=\"end\"", Printf("%.2f", curves[i].ms.back()));
    text(kLegend + 76, at, "", curves[i].name);
  }
  std::fputs("</svg>\n", file);
  std::fclose(file);
  std::fprintf(stderr, "  drew %s\n", path.c_str());
}

}  // namespace

void MeasureGrowth(const Setting& setting) {
  const std::vector<Organization> organizations = Organizations(setting);
  Connection connection;
  for (const Organization& organization : organizations) Verify(connection, organization);
  Prepare(connection);

  std::vector<std::string> keys;
  std::map<std::string, Figure> worst;
  for (const Page& page : Pages()) {
    for (const int reader : {kManager, kRep}) {
      Figure figure = Measure(connection, organizations, page, reader);
      std::fprintf(stderr, "    %-30s %-32s %8.2f", page.key, figure.name.c_str(), figure.ratio);
      for (const double seconds : figure.seconds) std::fprintf(stderr, " %8.2f ms", seconds * 1000);
      std::fprintf(stderr, "\n");
      if (std::find(keys.begin(), keys.end(), page.key) == keys.end()) keys.push_back(page.key);
      if (figure.ratio > worst[page.key].ratio) worst[page.key] = std::move(figure);
    }
  }
  std::vector<Curve> curves;
  for (const std::string& key : keys) {
    const Figure& figure = worst[key];
    setting.report.Add(key, figure.ratio,
                       Printf("worst: %s: %.2f ms, %.2f at %ld", figure.name.c_str(),
                              figure.seconds.back() * 1000, figure.seconds.front() * 1000, kSmall));
    if (key == "growth_search_other" || key == "growth_search_middling_sorted") continue;
    Curve curve;
    const std::string kind = key.substr(std::string("growth_").size());
    const std::size_t underscore = kind.find('_');
    curve.name =
        (underscore == std::string::npos ? kind
                                         : kind.substr(0, underscore) + ", " + kind.substr(underscore + 1)) +
        " (" + figure.name + ")";
    for (const double seconds : figure.seconds) curve.ms.push_back(seconds * 1000);
    curves.push_back(std::move(curve));
  }
  Draw(setting.scale >= kPublished ? "docs/growth.svg" : "build/growth.svg", organizations, curves,
       connection.Value("SHOW server_version"));
}

}  // namespace bench
