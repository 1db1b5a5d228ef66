#include "match/name_comparison.hpp"

#include <ostream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "text/person_name.hpp"

namespace kvcrm::match {

std::ostream& operator<<(std::ostream& out, NameLevel level) { return out << static_cast<int>(level); }

namespace {

NameComparison Compare(std::string_view a, std::string_view b) {
  const std::string first = text::NormalizePersonName(a), second = text::NormalizePersonName(b);
  const NameComparison result = CompareNames(first, second), reverse = CompareNames(second, first);
  EXPECT_EQ(result.level, reverse.level) << a << " | " << b;
  EXPECT_EQ(result.similarity, reverse.similarity) << a << " | " << b;
  return result;
}

TEST(CompareNames, Levels) {
  using enum NameLevel;
  const struct {
    std::string_view a, b;
    NameLevel level;
  } cases[] = {
      {"", "", kMissing},
      {"Иванов Иван", "", kMissing},
      {"Иванов Иван", "Иван Иванов", kExact},
      {"Иванов Иван", "Ivanov Ivan", kExact},
      {"Иванов Иван", "IVAN IVANOV", kExact},
      {"Иванов Иван Иванович", "Иванов Иван", kEquivalent},
      {"Кузнецов Алексей", "Лёша Кузнецов", kEquivalent},
      {"Александр Попов", "Alexander Popov", kEquivalent},
      {"Bob Smith", "Robert Smith", kEquivalent},
      {"Джон Смит", "John Smith", kEquivalent},
      {"Елена Петрова", "Алёна Петрова", kEquivalent},
      {"Abdulrahman Saleh", "Abdul Rahman Saleh", kEquivalent},
      {"Попов Дмитрий", "Поппв Дмитрий", kTypo},
      {"Кожевников Максим", "Кожевнков Максим", kTypo},
      {"Zhukov Georgy", "Žukov Georgy", kTypo},
      {"Иванов И.И.", "Иванов Иван Иванович", kInitials},
      {"Ivanov I.", "Иванов Иван", kInitials},
      {"Иванов А.П.", "Саша Иванов", kInitials},
      {"J. Harris", "Jan Harris", kInitials},
      {"Smith S.", "Smith Shaun", kInitials},
      {"Миронов Иван", "Моринов Иван", kTypo},
      {"Oscar Edwards", "Osrac Edwards", kTypo},
      {"Макаров Иван", "Назаров Иван", kGivenOnly},
      {"Zac Maynard", "Zqc Maynard", kTypo},
      {"Tom Cook", "Tim Cook", kFamilyOnly},
      {"Павел Алексеевич", "Петров Павел", kPartial},
      {"Павел Алексеевич", "Петров Сергей", kDifferent},
      {"Иван", "Иванов Иван", kPartial},
      {"Иванов", "Иванов Иван", kPartial},
      {"Иванов Иван", "Иванов Пётр", kFamilyOnly},
      {"Иванов И.", "Иванов Пётр", kFamilyOnly},
      {"Александров Александр", "Александров Александра", kFamilyOnly},
      {"Мария Петрова", "Марина Петрова", kFamilyOnly},
      {"Иванов Иван Петрович", "Иванов Иван Сергеевич", kFamilyOnly},
      {"Иванов Иван", "Смирнов Иван", kGivenOnly},
      {"Попов Александр", "Павлов Александр", kGivenOnly},
      {"Иванов Саша", "Иванова Саша", kGivenOnly},
      {"Жуковский Саша", "Жуковская Саша", kGivenOnly},
      {"Иванов Иван", "Смирнов Пётр", kDifferent},
      {"И.И.", "Иванов Иван", kDifferent},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Compare(c.a, c.b).level, c.level)
        << c.a << " | " << c.b << ": " << text::NormalizePersonName(c.a) << " | "
        << text::NormalizePersonName(c.b);
  }
}

TEST(CompareNames, RanksLikePeopleDo) {
  // From the likeliest duplicate of the first name to the least likely.
  const std::vector<std::string_view> names = {
      "Иванов Александр Петрович",
      "Александр Иванов",
      "Саша Иванов",
      "Ивнаов Александр",
      "Иванов А.П.",
      "Александр",
      "Иванов Сергей Петрович",
      "Смирнов Сергей Викторович",
  };
  double previous = 2;
  for (const std::string_view name : names) {
    const double similarity = Compare(names[0], name).similarity;
    EXPECT_LT(similarity, previous) << name;
    previous = similarity;
  }
}

TEST(CompareNames, SymmetricAndBounded) {
  const std::vector<std::string_view> parts = {
      "Иванов", "Иванова",     "Иван", "Ваня",        "И.",  "Иванович", "Ivan",    "Ivanof",
      "de",     "la",          "Саша", "Женя",        "Kim", "Jong",     "Jong-un", "Abdul",
      "Rahman", "Abdulrahman", "JC",   "Jean-Claude", "X",   "中村",     "محمد",    "Ова"};
  std::mt19937 random(3);
  std::vector<std::string> stored;
  for (int i = 0; i < 400; ++i) {
    std::string name;
    for (unsigned words = random() % 6; words > 0; --words)
      name.append(parts[random() % parts.size()]).append(" ");
    stored.push_back(text::NormalizePersonName(name));
  }
  for (const std::string& a : stored) {
    for (const std::string& b : stored) {
      const NameComparison one = CompareNames(a, b), other = CompareNames(b, a);
      ASSERT_EQ(one.level, other.level) << a << " | " << b;
      ASSERT_EQ(one.similarity, other.similarity) << a << " | " << b;
      ASSERT_GE(one.similarity, 0);
      ASSERT_LE(one.similarity, 1);
      if (!a.empty() && a == b) {
        ASSERT_EQ(one.level, NameLevel::kExact);
        ASSERT_EQ(one.similarity, 1);
      }
    }
  }
}

}  // namespace
}  // namespace kvcrm::match
