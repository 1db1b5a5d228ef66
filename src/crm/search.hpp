// Search inside lead_fingerprints.search_text: words, and the grams that an index finds them by.
//
// A gram is four symbols of a word, beginning at each of its letters and padded behind its end, so that every
// substring of at most four letters is the beginning of some gram. Words of four letters and more are found
// by their grams; shorter ones by all the grams that begin with them. Symbols are classes of characters: what
// folding leaves of Latin and Cyrillic has a class of its own each, the letters of other scripts share a few.
// A gram says where a word may be, the text decides.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pg/types.hpp"

namespace kvcrm::crm {

// The keys under which one search text is indexed: each carries a hash of the organization in its upper bits,
// so that an organization's keys lie together and nobody else's postings are read.
std::vector<std::int64_t> SearchKeys(const pg::Uuid& organization, std::string_view search_text);

// Words that must all be in a text.
using Words = std::vector<std::string>;

// What a query asks for: the words of at least one variant. The first variant is the query as it stands;
// others read what looks like a phone number ("8 (916) 123-45-67") as its digits.
class SearchQuery {
 public:
  // `country` (ISO 3166) is where numbers without a country code belong.
  SearchQuery(std::string_view text, std::string_view country);

  // Without a word to look for: everything matches.
  bool IsEmpty() const { return variants_.front().empty(); }
  const std::vector<Words>& variants() const { return variants_; }
  bool Matches(std::string_view search_text) const;

 private:
  std::vector<Words> variants_;
};

// Whether a query has something that the country decides how to read.
bool LooksLikePhone(std::string_view query);

// Which keys bring the texts that may match: those with all of `keys` (kAll), or with one of them (kAny).
// kNone: the words are single letters, which nearly every text has.
struct SearchPlan {
  enum class Kind { kNone, kAll, kAny };
  Kind kind = Kind::kNone;
  std::vector<std::int64_t> keys;
};
// `sample`: some of the organization's texts, which tell frequent grams from rare ones.
inline constexpr std::size_t kSampleSize = 128;
SearchPlan PlanSearch(const pg::Uuid& organization, const Words& words,
                      const std::vector<std::string>& sample);

// As bigint[], in the current memory context.
pg::Value KeysValue(const std::vector<std::int64_t>& keys);

}  // namespace kvcrm::crm
