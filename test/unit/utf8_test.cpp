#include "text/utf8.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace kvcrm::text {
namespace {

using namespace std::string_view_literals;

TEST(Utf8, Validity) {
  const struct {
    std::string_view bytes;
    bool valid;
  } cases[] = {
      {"", true},
      {"Romashka", true},
      {"Ромашка, 株式会社, 👍", true},
      {"\0"sv, true},
      {"\xED\x9F\xBF\xEE\x80\x80", true},  // U+D7FF, U+E000
      {"\xF4\x8F\xBF\xBF", true},          // U+10FFFF
      {"\x80", false},
      {"\xC0\x80", false},          // overlong NUL
      {"\xC1\xBF", false},          // overlong
      {"\xE0\x9F\xBF", false},      // overlong
      {"\xF0\x8F\xBF\xBF", false},  // overlong
      {"\xED\xA0\x80", false},      // surrogate
      {"\xF4\x90\x80\x80", false},  // U+110000
      {"\xF5\x80\x80\x80", false},
      {"\xFF", false},
      {"abc\xD0", false},  // cut off
      {"\xE2\x82", false},
      {"\xF0\x9F\x91", false},
      {"\xD0x", false},
  };
  for (const auto& c : cases)
    EXPECT_EQ(IsValidUtf8(c.bytes), c.valid) << testing::PrintToString(std::string(c.bytes));
}

TEST(Utf8, Trim) {
  const struct {
    std::string_view text, trimmed;
  } cases[] = {
      {"", ""},
      {" ", ""},
      {"a", "a"},
      {"  a b \t\r\n", "a b"},
      {"\0a\0"sv, "a"},
      {"\u00A0Ромашка\u00A0", "Ромашка"},
      {"\u2003\u200B\u202F\u3000\uFEFFx\uFEFF\u3000\u202F\u200B\u2003", "x"},
      {"\u0085\u2028x\u2029\u1680", "x"},
      {"\u00A0\u3000 ", ""},
      {"«Ромашка»", "«Ромашка»"},
      {"👍", "👍"},
      {" \xFF ", "\xFF"},
      {" \x80\xA0", "\x80\xA0"},  // malformed, though it ends like U+00A0
      {"à", "à"},                 // ends with the byte A0
      {"a\u0301 ", "a\u0301"},
  };
  for (const auto& c : cases)
    EXPECT_EQ(Trim(c.text), c.trimmed) << testing::PrintToString(std::string(c.text));
}

TEST(Utf8, TrimReturnsAView) {
  const std::string text = "  Ромашка  ";
  EXPECT_EQ(Trim(text).data(), text.data() + 2);
}

TEST(Utf8, CountCodePoints) {
  EXPECT_EQ(CountCodePoints(""), 0U);
  EXPECT_EQ(CountCodePoints("Ромашка"), 7U);
  EXPECT_EQ(CountCodePoints("a\u0301👍"), 3U);
  EXPECT_EQ(CountCodePoints("a\xFF\xD0"), 3U);
  EXPECT_EQ(CountCodePoints(std::string(1 << 20, 'x')), 1U << 20);
}

TEST(Utf8, Beginning) {
  EXPECT_EQ(Beginning("abc", 5), "abc");
  EXPECT_EQ(Beginning("abc", 2), "ab");
  EXPECT_EQ(Beginning("Юля", 3), "Ю");
  EXPECT_EQ(Beginning("Юля", 4), "Юл");
  EXPECT_EQ(Beginning("中", 2), "");
  EXPECT_EQ(Beginning("", 0), "");
}

}  // namespace
}  // namespace kvcrm::text
