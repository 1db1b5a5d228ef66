#include "match/company_comparison.hpp"

#include <ostream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "text/company.hpp"

namespace kvcrm::match {

std::ostream& operator<<(std::ostream& out, CompanyLevel level) { return out << static_cast<int>(level); }

namespace {

CompanyComparison Compare(std::string_view a, std::string_view b) {
  const std::string first = text::NormalizeCompany(a), second = text::NormalizeCompany(b);
  const CompanyComparison result = CompareCompanies(first, second), reverse = CompareCompanies(second, first);
  EXPECT_EQ(result.level, reverse.level) << a << " | " << b;
  EXPECT_EQ(result.similarity, reverse.similarity) << a << " | " << b;
  return result;
}

TEST(CompareCompanies, Levels) {
  using enum CompanyLevel;
  const struct {
    std::string_view a, b;
    CompanyLevel level;
  } cases[] = {
      {"", "ООО Ромашка", kMissing},
      {"ООО «Ромашка»", "Ромашка", kExact},
      {"ООО «Ромашка»", "Romashka LLC", kExact},
      {"ООО «Ромашка»", "Общество с ограниченной ответственностью \"Ромашка\"", kExact},
      {"ООО «Ромашка»", "Ромашка (Москва)", kExact},
      {"ООО «Ромашка»", "Romashka GmbH", kExact},
      {"Siemens Aktiengesellschaft", "Siemens AG", kExact},
      {"ООО Транссервис Технологии", "Transservis Technologies", kExact},
      {"АО «Ромашка»", "ООО «Ромашка»", kOtherForm},
      {"Deutsche Bank AG", "Deutsche Bank GmbH", kOtherForm},
      {"ЗАО «Ромашка»", "Romashka Ltd", kOtherForm},
      {"ООО «Ромашка»", "ООО «Рмоашка»", kTypo},
      {"TechSolutions", "Tech Solutions", kExact},
      {"Techsolutions LLC", "Tech Solutions", kTypo},
      {"ООО «СВК-Сервис»", "ООО «СКВ-Сервис»", kTypo},
      {"CRYSTALORD SYSTEMS", "CRYSTALORD", kPartial},
      {"ООО Вектор Трейд", "ООО Вектор", kPartial},
      {"PLA", "People's Liberation Army", kPartial},
      {"Ромашка Москва", "Ромашка Казань", kPartial},
      {"Вектор-2", "Вектор-3", kDifferent},
      {"Вектор", "Вектор-3", kDifferent},
      {"Vector II", "Vector III", kDifferent},
      {"ООО \"БАЙ\"", "ООО \"БАЗО\"", kDifferent},
      {"ООО \"БАЙ\"", "ООО \"БАЙКАЛ\"", kDifferent},
      {"ООО Ромашка", "ООО Лютик", kDifferent},
      {"LXC Aviation", "LAU Aviation", kDifferent},
      {"ИП Иванов Иван Иванович", "Иванов Иван Иванович", kExact},
      {"ИП Иванов И.И.", "ИП Иванов Иван Иванович", kPartial},
      {"ИП Иванов Иван", "ИП Иванов Пётр", kDifferent},
      {"ИП Иванов Иван Иванович", "Иванов Иван Иванович г. Тула", kExact},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Compare(c.a, c.b).level, c.level)
        << c.a << " | " << c.b << ": " << text::NormalizeCompany(c.a) << " | " << text::NormalizeCompany(c.b);
  }
}

TEST(CompareCompanies, RanksLikePeopleDo) {
  const std::vector<std::string_view> names = {
      "ООО «Ромашка Строй»", "Ромашка Строй (Казань)", "ООО «Ромашка Сторй»", "АО «Ромашка Строй»",
      "ООО «Ромашка»",       "ООО «Ромашка Снаб»",     "ООО «Строй»",         "ООО «Лютик»",
  };
  double previous = 2;
  for (const std::string_view name : names) {
    const double similarity = Compare(names[0], name).similarity;
    EXPECT_LT(similarity, previous) << name;
    previous = similarity;
  }
}

TEST(CompareCompanies, SymmetricAndBounded) {
  const std::vector<std::string_view> parts = {
      "ООО",    "АО",   "LLC",    "ИП",     "«Ромашка»", "Romashka", "Ромшка",    "Вектор",
      "-2",     "-3",   "Москва", "Russia", "групп",     "Tech",     "Solutions", "TechSolutions",
      "Иванов", "И.И.", "Иван",   "Bank",   "of",        "China",    "1st",       "I",
  };
  std::mt19937 random(5);
  std::vector<std::string> stored;
  for (int i = 0; i < 400; ++i) {
    std::string name;
    for (unsigned words = random() % 5; words > 0; --words)
      name.append(parts[random() % parts.size()]).append(" ");
    stored.push_back(text::NormalizeCompany(name));
  }
  for (const std::string& a : stored) {
    for (const std::string& b : stored) {
      const CompanyComparison one = CompareCompanies(a, b), other = CompareCompanies(b, a);
      ASSERT_EQ(one.level, other.level) << a << " / " << b;
      ASSERT_EQ(one.similarity, other.similarity) << a << " / " << b;
      ASSERT_GE(one.similarity, 0);
      ASSERT_LE(one.similarity, 1);
      if (!a.empty() && a == b) {
        ASSERT_EQ(one.similarity, 1);
      }
    }
  }
}

}  // namespace
}  // namespace kvcrm::match
