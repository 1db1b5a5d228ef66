// The labelled sets, each read as leads.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace quality {

[[noreturn]] void Fail(const std::string& message);

// Rows of fields; the first row is the header. Quoted fields by RFC 4180.
class Csv {
 public:
  explicit Csv(const std::string& path);
  std::size_t size() const { return rows_.size(); }
  // The field of a row under a header, trimmed; empty where the row is shorter. A header that isn't there
  // ends the run unless `optional`.
  const std::string& At(std::size_t row, const std::string& header, bool optional = false) const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

struct Lead {
  std::string id;
  std::string entity;  // equal = duplicates
  std::string name, company, email, phone, inn;
};

// phone: as E.164 where it is understood, as the extension stores it.
std::vector<Lead> ReadSynthetic(const std::string& path);
std::vector<Lead> ReadSplink(const std::string& path);
std::vector<Lead> ReadFebrl(const std::vector<std::string>& paths);
std::vector<Lead> ReadSenzing(const std::string& directory);

struct NamePair {
  std::string first, second;
  bool organization;
  bool duplicate;
  std::string schema, category;
};
std::vector<NamePair> ReadNamePairs(const std::string& path);

}  // namespace quality
