// Ranks of cards: order, room at one spot for any number of inserts, length.
#include "crm/board_rank.hpp"

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace {

using kvcrm::crm::IsRank;
using kvcrm::crm::RankAtEnd;
using kvcrm::crm::RankBetween;

constexpr int kInserts = 100'000;
// What a rank at one spot may grow to. A character per insert would be 100 000.
constexpr std::size_t kLengthAtOneSpot = 24;
// At random places the deepest spot has been halved some 50 times (4.3 ln 100 000), and five more digits last
// for 25 or so: 36 to 51 characters in 150 runs, each five more being thirty times rarer.
constexpr std::size_t kLengthAtRandomPlaces = 96;

TEST(BoardRank, KnowsARank) {
  for (const char* rank : {"1", "z", "V0001", "0001"}) EXPECT_TRUE(IsRank(rank)) << rank;
  for (const char* text : {"", "0", "10", "!", "a b", "1\n", "ж", "-1"}) EXPECT_FALSE(IsRank(text)) << text;
}

// In the loops below one assertion per insert: more would take most of the time.
TEST(BoardRank, EndIsBehindEverythingBefore) {
  std::string last;
  for (int i = 0; i < kInserts; ++i) {
    std::string rank = RankAtEnd();
    ASSERT_TRUE(IsRank(rank)) << rank;
    ASSERT_LT(last, rank);
    ASSERT_EQ(rank.size(), 11U);
    last = std::move(rank);
  }
}

TEST(BoardRank, LiesBetweenItsNeighbours) {
  // Adjacent, of unequal lengths, one the prefix of the other, at the edges of the alphabet.
  const std::pair<const char*, const char*> neighbours[] = {
      {"", "1"},        {"", "01"},     {"", "00001"},     {"1", "2"},      {"1", "11"},
      {"1", "1001"},    {"V", "V0001"}, {"Vz", "W"},       {"Vzzzz", "W"},  {"z", "z1"},
      {"9", "A"},       {"Z", "a"},     {"zzzz", "zzzz1"}, {"A", "zzzzz"},  {"0z", "1"},
      {"1zzzzzz", "2"}, {"V", "V1"},    {"V1", "V2"},      {"V0001", "V1"},
  };
  for (const auto& [lower, upper] : neighbours) {
    for (int i = 0; i < 1000; ++i) {
      const std::string rank = RankBetween(lower, upper);
      ASSERT_TRUE(IsRank(rank)) << rank;
      ASSERT_LT(std::string(lower), rank) << "below " << upper;
      ASSERT_LT(rank, std::string(upper)) << "above " << lower;
    }
  }
}

TEST(BoardRank, NeighboursOfOneSpotDiffer) {
  std::set<std::string> ranks;
  for (int i = 0; i < 100; ++i) ranks.insert(RankBetween("V0001", "V1001"));
  EXPECT_GT(ranks.size(), 30U);
}

TEST(BoardRank, StaysShortBeforeAFixedCard) {
  std::string last = RankAtEnd();
  const std::string fixed = RankAtEnd();
  std::size_t longest = 0;
  for (int i = 0; i < kInserts; ++i) {
    std::string rank = RankBetween(last, fixed);
    ASSERT_TRUE(last < rank && rank < fixed && IsRank(rank)) << last << " < " << rank << " < " << fixed;
    longest = std::max(longest, rank.size());
    last = std::move(rank);
  }
  EXPECT_LE(longest, kLengthAtOneSpot);
}

TEST(BoardRank, StaysShortBeforeTheLastInserted) {
  const std::string fixed = RankAtEnd();
  std::string last = RankAtEnd();
  std::size_t longest = 0;
  for (int i = 0; i < kInserts; ++i) {
    std::string rank = RankBetween(fixed, last);
    ASSERT_TRUE(fixed < rank && rank < last && IsRank(rank)) << fixed << " < " << rank << " < " << last;
    longest = std::max(longest, rank.size());
    last = std::move(rank);
  }
  EXPECT_LE(longest, kLengthAtOneSpot);
}

TEST(BoardRank, StaysShortAtTheFront) {
  std::string first = RankAtEnd();
  std::size_t longest = 0;
  for (int i = 0; i < kInserts; ++i) {
    std::string rank = RankBetween("", first);
    ASSERT_TRUE(rank < first && IsRank(rank)) << rank << " < " << first;
    longest = std::max(longest, rank.size());
    first = std::move(rank);
  }
  EXPECT_LE(longest, kLengthAtOneSpot);
}

TEST(BoardRank, StaysShortAtRandomPlaces) {
  std::minstd_rand generator(20240229);
  std::set<std::string> column{RankAtEnd()};
  std::vector<std::string> cards(column.begin(), column.end());
  std::size_t longest = 0;
  for (int i = 0; i < kInserts; ++i) {
    const auto next = column.find(cards[generator() % cards.size()]);
    const std::string rank = RankBetween(next == column.begin() ? std::string() : *std::prev(next), *next);
    ASSERT_TRUE(IsRank(rank) && column.insert(rank).second) << rank;
    ASSERT_EQ(std::next(column.find(rank)), next);
    cards.push_back(rank);
    longest = std::max(longest, rank.size());
  }
  EXPECT_LE(longest, kLengthAtRandomPlaces);
}

// Halving the room each time is what no scheme can do in fewer than one digit per six inserts.
TEST(BoardRank, GrowsSlowlyWhenTheRoomIsHalved) {
  std::string lower = RankAtEnd(), upper = RankAtEnd();
  for (int i = 0; i < 1000; ++i) {
    const std::string rank = RankBetween(lower, upper);
    ASSERT_TRUE(lower < rank && rank < upper && IsRank(rank)) << lower << " < " << rank << " < " << upper;
    (i % 2 == 0 ? lower : upper) = rank;
  }
  EXPECT_LE(std::max(lower.size(), upper.size()), 1000U);
}

}  // namespace
