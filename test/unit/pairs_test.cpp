#include "match/pairs.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "match/record.hpp"

namespace kvcrm::match {
namespace {

const std::string kOrganization = "0123456789abcdef";
constexpr double kAnyWeight = -1e9;

class Finder {
 public:
  Finder() : finder_(ShippedModel(), kOrganization) {}

  void Add(const Fields& fields) {
    const std::string normalized = Normalize(fields);
    const auto keys = BlockingKeys(Record(normalized), kOrganization);
    finder_.Add(normalized, keys.data(), keys.size());
  }
  void AddWithKeys(const Fields& fields, const std::vector<std::int64_t>& keys) {
    finder_.Add(Normalize(fields), keys.data(), keys.size());
  }

  std::vector<Pair> Find(double least_weight = kAnyWeight) {
    std::vector<Pair> pairs;
    finder_.Find(
        least_weight, [&](const Pair& pair) { pairs.push_back(pair); }, [](double, double) {});
    return pairs;
  }
  PairFinder& operator*() { return finder_; }

 private:
  PairFinder finder_;
};

TEST(Pairs, FindsEachPairOnce) {
  Finder finder;
  const Fields ivan{
      .name = "Иванов Иван", .company = "Ромашка", .email = "ivanov@romashka.ru", .phone = "+74951234567"};
  finder.Add(ivan);
  finder.Add({.name = "Сидорова Ольга", .company = "Лютик"});
  finder.Add(ivan);
  finder.Add({.name = "Ivanov Ivan", .company = "OOO Romashka"});
  const std::vector<Pair> pairs = finder.Find();
  std::set<std::pair<std::uint32_t, std::uint32_t>> found;
  for (const Pair& pair : pairs) {
    EXPECT_LT(pair.first, pair.second);
    EXPECT_TRUE(found.emplace(pair.first, pair.second).second);
  }
  EXPECT_EQ(found, (std::set<std::pair<std::uint32_t, std::uint32_t>>{{0, 2}, {0, 3}, {2, 3}}));
}

TEST(Pairs, WeightIsThatOfScore) {
  Finder finder;
  finder.Add({.name = "Иванов Иван", .company = "Ромашка"});
  finder.Add({.name = "Иван Иванов", .company = "Ромашка"});
  const std::vector<Pair> pairs = finder.Find();
  ASSERT_EQ(pairs.size(), 1U);
  EXPECT_DOUBLE_EQ(pairs[0].weight,
                   Score(Record((*finder).NormalizedAt(0)), Record((*finder).NormalizedAt(1)),
                         (*finder).FrequenciesOf(0), ShippedModel()));
  Finder again;
  again.Add({.name = "Иванов Иван", .company = "Ромашка"});
  again.Add({.name = "Иван Иванов", .company = "Ромашка"});
  EXPECT_TRUE(again.Find(pairs[0].weight + 0.1).empty());
}

TEST(Pairs, NothingToFind) {
  Finder none;
  EXPECT_TRUE(none.Find().empty());
  Finder one;
  one.Add({.name = "Иванов Иван"});
  one.Add({});
  EXPECT_TRUE(one.Find().empty());
}

TEST(Pairs, LargeBlocksCompareNeighboursOnly) {
  constexpr std::uint32_t kRecords = 2000;
  Finder finder;
  for (std::uint32_t i = 0; i < kRecords; ++i)
    finder.AddWithKeys({.phone = std::to_string(10000000 + i * 7919 % kRecords)}, {42});
  std::set<std::pair<std::uint32_t, std::uint32_t>> found;
  for (const Pair& pair : finder.Find()) EXPECT_TRUE(found.emplace(pair.first, pair.second).second);
  EXPECT_GE(found.size(), kRecords - 1);
  EXPECT_LE(found.size(), kRecords * 10);
}

TEST(Pairs, BlocksUpToTheCapCompareAll) {
  Finder finder;
  for (int i = 0; i < kKeyCap; ++i) finder.AddWithKeys({.phone = std::to_string(10000000 + i)}, {42, 43});
  EXPECT_EQ(finder.Find().size(), static_cast<std::size_t>(kKeyCap * (kKeyCap - 1) / 2));
}

TEST(Pairs, ManyRecordsInManyBlocks) {
  // Enough to be distributed over several parts; key i is shared by records i and i + 1.
  constexpr std::int64_t kRecords = 60000;
  Finder finder;
  const auto key = [](std::int64_t i) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(i + 1) * 0x9E3779B97F4A7C15ULL);
  };
  for (std::int64_t i = 0; i < kRecords; ++i) {
    std::vector<std::int64_t> keys{key(i), key(i + 1)};
    std::sort(keys.begin(), keys.end());
    finder.AddWithKeys({.phone = "12345678"}, keys);
  }
  std::vector<Pair> pairs = finder.Find();
  ASSERT_EQ(pairs.size(), static_cast<std::size_t>(kRecords - 1));
  std::sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.first < b.first; });
  for (std::uint32_t i = 0; i < pairs.size(); ++i) {
    ASSERT_EQ(pairs[i].first, i);
    ASSERT_EQ(pairs[i].second, i + 1);
  }
}

TEST(Pairs, ProgressGrowsAndStops) {
  Finder finder;
  for (int i = 0; i < 50000; ++i)
    finder.AddWithKeys({.phone = std::to_string(10000000 + i)}, {i / 20, 1000000 + i});
  double last = 0;
  int calls = 0;
  (*finder).Find(
      kAnyWeight, [](const Pair&) {},
      [&](double done, double total) {
        EXPECT_GE(done, last);
        EXPECT_LE(done, total);
        last = done;
        ++calls;
      });
  EXPECT_GT(calls, 0);

  struct Stop : std::runtime_error {
    Stop() : std::runtime_error("stop") {}
  };
  Finder stopped;
  for (int i = 0; i < 50000; ++i) stopped.AddWithKeys({.phone = std::to_string(10000000 + i)}, {i / 20});
  EXPECT_THROW((*stopped).Find(
                   kAnyWeight, [](const Pair&) {}, [](double, double) { throw Stop(); }),
               Stop);
}

TEST(Pairs, CountsValues) {
  Finder finder;
  for (int i = 0; i < 30; ++i) finder.Add({.name = "Иванов Иван", .company = i < 3 ? "Лютик" : "Ромашка"});
  finder.Find();
  const Frequencies frequencies = (*finder).FrequenciesOf(0);
  EXPECT_EQ(frequencies.records, 30U);
  EXPECT_EQ(frequencies.of[static_cast<std::size_t>(Value::kFamilyName)], 30U);
  // Fewer than LeastCommon: not known.
  EXPECT_EQ(frequencies.of[static_cast<std::size_t>(Value::kCompany)], 0U);
  EXPECT_EQ(frequencies.of[static_cast<std::size_t>(Value::kInn)], 0U);
  // Family name, given name and the company of 27, which LeastCommon(30) = 8 lets through.
  EXPECT_EQ((*finder).CommonValues().size(), 3U);
  for (const CommonValue& value : (*finder).CommonValues()) EXPECT_GE(value.records, 27U);
}

}  // namespace
}  // namespace kvcrm::match
