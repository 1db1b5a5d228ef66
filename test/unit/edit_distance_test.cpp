#include "match/edit_distance.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace kvcrm::match {
namespace {

// Optimal string alignment, the plain way.
int PlainDistance(std::string_view a, std::string_view b) {
  std::vector<std::vector<int>> d(a.size() + 1, std::vector<int>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = static_cast<int>(i + j);
        continue;
      }
      d[i][j] =
          std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

TEST(EditDistance, Plain) {
  EXPECT_EQ(EditDistance("", "", 2), 0);
  EXPECT_EQ(EditDistance("a", "", 2), 1);
  EXPECT_EQ(EditDistance("ivanov", "ivanov", 2), 0);
  EXPECT_EQ(EditDistance("ivanov", "ivnaov", 2), 1);
  EXPECT_EQ(EditDistance("ivanov", "ivanova", 2), 1);
  EXPECT_EQ(EditDistance("ivanov", "petrov", 2), 3);
  EXPECT_EQ(EditDistance("ab", "ba", 0), 1);
}

TEST(EditDistance, AgreesWithThePlainWay) {
  std::mt19937 random(20261122);
  for (int round = 0; round < 100000; ++round) {
    std::string a(random() % 12, 'a'), b;
    for (char& c : a) c = static_cast<char>('a' + random() % 4);
    b = a;
    for (unsigned slip = random() % 4; slip > 0; --slip) {
      const std::size_t at = b.empty() ? 0 : random() % b.size();
      switch (random() % 4) {
        case 0:
          b.insert(at, 1, static_cast<char>('a' + random() % 4));
          break;
        case 1:
          if (!b.empty()) b.erase(at, 1);
          break;
        case 2:
          if (!b.empty()) b[at] = static_cast<char>('a' + random() % 4);
          break;
        default:
          if (at + 1 < b.size()) std::swap(b[at], b[at + 1]);
      }
    }
    const int expected = PlainDistance(a, b);
    for (const int limit : {0, 1, 2, 3}) {
      ASSERT_EQ(EditDistance(a, b, limit), std::min(expected, limit + 1)) << a << " " << b << " " << limit;
      ASSERT_EQ(EditDistance(b, a, limit), EditDistance(a, b, limit));
    }
  }
}

TEST(EditDistance, LongWords) {
  const std::string a(300, 'a');
  EXPECT_EQ(EditDistance(a, a + "b", 2), 1);
  EXPECT_EQ(EditDistance("x" + a + "y", "z" + a + "w", 2), 3);  // further apart than is looked at
}

}  // namespace
}  // namespace kvcrm::match
