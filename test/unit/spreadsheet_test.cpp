#include "text/spreadsheet.hpp"

#include <gtest/gtest.h>

namespace kvcrm::text {
namespace {

TEST(Spreadsheet, Formulas) {
  for (const char* cell : {"=1+1",
                           "+7 (916) 123-45-67",
                           "+7-916",
                           "-2+3",
                           "@SUM(A1)",
                           "=",
                           "+",
                           "-",
                           "\t=1",
                           "\r=1",
                           "\nx",
                           "\tx",
                           " =1",
                           "\xC2\xA0=1",
                           "\xEF\xBB\xBF=1",
                           "\xEF\xBC\x9D"
                           "1",
                           "\xEF\xBC\x8B"
                           "1",
                           "\xEF\xBC\x8D"
                           "1",
                           "\xEF\xBC\xA0"
                           "1",
                           "'=1",
                           "''=1",
                           " '=1",
                           "'+7",
                           "' -x",
                           "-1e5",
                           "+1.2.3",
                           "+1.",
                           "-.5",
                           "=cmd|'/c calc'!A0",
                           "+79161234567;=1"}) {
    EXPECT_TRUE(LooksLikeFormula(cell)) << cell;
    EXPECT_EQ(Guard(cell), "'" + std::string(cell));
  }
}

TEST(Spreadsheet, Others) {
  for (const char* cell :
       {"", " ", "'", "Ann", "O'Neil", "1=1", "a@b.ru", "'quoted'", "'a=b", "+79161234567", "-120.5", "+1",
        "-1,5", "120", "8 (916) 123-45-67", "\xD0\x96=1", "\xFF=1", "1-2"}) {
    EXPECT_FALSE(LooksLikeFormula(cell)) << cell;
    EXPECT_EQ(Guard(cell), cell);
    EXPECT_EQ(Unguard(cell), cell) << cell;
  }
}

// Every text of up to five of these comes back as it went in.
TEST(Spreadsheet, RoundTrip) {
  const std::string_view pieces[] = {"'", "=", "+", " ", "\t", "7", "x"};
  std::size_t texts = 1;
  for (int length = 0; length <= 5; ++length, texts *= std::size(pieces)) {
    for (std::size_t n = 0; n < texts; ++n) {
      std::string text;
      for (std::size_t i = 0, rest = n; i < static_cast<std::size_t>(length); ++i, rest /= std::size(pieces))
        text += pieces[rest % std::size(pieces)];
      EXPECT_EQ(Unguard(Guard(text)), text) << text;
      EXPECT_TRUE(Guard(text)[0] == '\'' || !LooksLikeFormula(Guard(text))) << text;
    }
  }
}

}  // namespace
}  // namespace kvcrm::text
