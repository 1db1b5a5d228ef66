#include "sets.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string_view>

#include "text/phone.hpp"
#include "text/utf8.hpp"

namespace quality {

namespace {

std::string Joined(const std::vector<std::string>& parts) {
  std::string joined;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    if (!joined.empty()) joined.push_back(' ');
    joined += part;
  }
  return joined;
}

std::string StoredPhone(const std::string& typed, const char* country) {
  return kvcrm::text::ToE164(typed, country).value_or(typed);
}

}  // namespace

void Fail(const std::string& message) {
  std::fprintf(stderr, "bench-match: %s\n", message.c_str());
  std::exit(1);
}

Csv::Csv(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) Fail("can't read " + path);
  std::stringstream contents;
  contents << file.rdbuf();
  const std::string text = std::move(contents).str();

  std::vector<std::string> row;
  std::string field;
  bool quoted = false;
  const auto end_field = [&] {
    row.emplace_back(kvcrm::text::Trim(field));
    field.clear();
  };
  const auto end_row = [&] {
    end_field();
    if (row.size() > 1 || !row[0].empty()) {
      if (header_.empty()) {
        header_ = std::move(row);
      } else {
        rows_.push_back(std::move(row));
      }
    }
    row.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c != '"') {
        field.push_back(c);
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        field.push_back('"');
        ++i;
      } else {
        quoted = false;
      }
    } else if (c == '"' && kvcrm::text::Trim(field).empty()) {
      quoted = true;
    } else if (c == ',') {
      end_field();
    } else if (c == '\n') {
      end_row();
    } else {
      field.push_back(c);
    }
  }
  if (!field.empty() || !row.empty()) end_row();
}

const std::string& Csv::At(std::size_t row, const std::string& header, bool optional) const {
  static const std::string nothing;
  const auto found = std::find(header_.begin(), header_.end(), header);
  if (found == header_.end()) {
    if (!optional) Fail("no column " + header);
    return nothing;
  }
  const auto column = static_cast<std::size_t>(found - header_.begin());
  return column < rows_[row].size() ? rows_[row][column] : nothing;
}

std::vector<Lead> ReadSynthetic(const std::string& path) {
  const Csv csv(path);
  std::vector<Lead> leads;
  leads.reserve(csv.size());
  for (std::size_t row = 0; row < csv.size(); ++row) {
    leads.push_back({csv.At(row, "id"), csv.At(row, "entity_id"), csv.At(row, "name"), csv.At(row, "company"),
                     csv.At(row, "email"), StoredPhone(csv.At(row, "phone"), "RU"), csv.At(row, "inn")});
  }
  return leads;
}

std::vector<Lead> ReadSplink(const std::string& path) {
  const Csv csv(path);
  std::vector<Lead> leads;
  for (std::size_t row = 0; row < csv.size(); ++row) {
    leads.push_back({csv.At(row, "unique_id"), csv.At(row, "cluster"),
                     Joined({csv.At(row, "first_name"), csv.At(row, "surname")}), "", csv.At(row, "email"),
                     "", ""});
  }
  return leads;
}

std::vector<Lead> ReadFebrl(const std::vector<std::string>& paths) {
  std::vector<Lead> leads;
  for (const std::string& path : paths) {
    const Csv csv(path);
    for (std::size_t row = 0; row < csv.size(); ++row) {
      const std::string& id = csv.At(row, "rec_id");
      // rec-1496-org, rec-1496-dup-3
      const std::string entity = id.substr(0, id.find('-', 4));
      leads.push_back(
          {id, entity, Joined({csv.At(row, "given_name"), csv.At(row, "surname")}),
           Joined({csv.At(row, "street_number"), csv.At(row, "address_1"), csv.At(row, "address_2"),
                   csv.At(row, "suburb"), csv.At(row, "postcode"), csv.At(row, "state")}),
           "", "", ""});
    }
  }
  return leads;
}

std::vector<Lead> ReadSenzing(const std::string& directory) {
  std::map<std::string, std::string> clusters;
  const Csv key(directory + "/actual_truthset_key.csv");
  for (std::size_t row = 0; row < key.size(); ++row)
    clusters[key.At(row, "DATA_SOURCE") + " " + key.At(row, "RECORD_ID")] = key.At(row, "CLUSTER_ID");

  std::vector<Lead> leads;
  for (const char* file : {"customers.csv", "reference.csv", "watchlist.csv"}) {
    const Csv csv(directory + "/" + file);
    for (std::size_t row = 0; row < csv.size(); ++row) {
      const auto at = [&](const char* header) -> const std::string& { return csv.At(row, header, true); };
      const std::string id = at("DATA_SOURCE") + " " + at("RECORD_ID");
      const auto cluster = clusters.find(id);
      if (cluster == clusters.end()) Fail("no cluster for " + id);
      std::string name = Joined({at("PRIMARY_NAME_FULL"), at("PRIMARY_NAME_FIRST"), at("PRIMARY_NAME_MIDDLE"),
                                 at("PRIMARY_NAME_LAST")});
      if (name.empty()) name = at("NATIVE_NAME_FULL");
      std::string company = at("PRIMARY_NAME_ORG");
      if (company.empty()) company = at("EMPLOYER");
      leads.push_back({id, cluster->second, name, company, at("EMAIL_ADDRESS"),
                       StoredPhone(at("PHONE_NUMBER"), "US"), at("TAX_ID_NUMBER")});
    }
  }
  return leads;
}

std::vector<NamePair> ReadNamePairs(const std::string& path) {
  const Csv csv(path);
  std::vector<NamePair> pairs;
  for (std::size_t row = 0; row < csv.size(); ++row) {
    const std::string& schema = csv.At(row, "schema");
    pairs.push_back({csv.At(row, "name1"), csv.At(row, "name2"), schema != "Person",
                     csv.At(row, "is_match") == "true", schema, csv.At(row, "category")});
  }
  return pairs;
}

}  // namespace quality
