// The words of a name, folded, with what of their spelling still matters.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace kvcrm::text {

struct Word {
  std::string_view folded;  // by Fold: lower-case Latin where it can be; never empty
  bool single = false;      // was a single letter
  bool dot = false;         // a full stop follows
  bool comma = false;       // a comma follows
  bool hyphen = false;      // a hyphen joins it to the next word
  bool cyrillic = false;    // was written in Cyrillic
};

enum class WordsOf : std::uint8_t {
  kPerson,   // the digits 0 and 1 among letters are slips
  kCompany,  // numbers are words of their own, Roman ones too
};

// Splits and folds a name. Before folding, words that mix Cyrillic with Latin look-alike letters are brought
// to the script of those letters that have no look-alike. Words run together are taken apart where a capital
// tells. Only the beginning of an overlong name is read.
class Words {
 public:
  Words(std::string_view utf8, WordsOf kind);
  Words(const Words&) = delete;
  Words& operator=(const Words&) = delete;

  std::span<const Word> all() const { return {words_.data(), count_}; }

 private:
  static constexpr std::size_t kMaxWords = 24;

  std::string folded_;
  std::array<Word, kMaxWords> words_;
  std::size_t count_ = 0;
};

}  // namespace kvcrm::text
