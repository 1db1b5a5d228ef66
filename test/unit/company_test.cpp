#include "text/company.hpp"

#include <random>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "match/company_comparison.hpp"
#include "text/legal_forms.hpp"
#include "text/utf8.hpp"

namespace kvcrm::text {
namespace {

using namespace std::string_view_literals;

TEST(Company, Parts) {
  const struct {
    std::string_view name, stored;
  } cases[] = {
      {"", ""},
      {" «» ", ""},
      {"ООО «Ромашка»", "romawka|L|0||"},
      {"О.О.О. \"Ромашка\"", "romawka|L|0||"},
      {"OOO Romashka", "romawka|L|0||"},
      {"Ромашка, ООО", "romawka|L|0||"},
      {"Общество с ограниченной ответственностью «Ромашка»", "romawka|L|0||"},
      {"ОБЩЕСТВО С ОГРАНИЧЕНОЙ ОТВЕТСТВЕНОСТЬЮ РОМАШКА", "romawka|L|0||"},  // misspelled
      {"Obshchestvo s ogranichennoy otvetstvennostyu Romashka", "romawka|L|0||"},
      {"Romashka LLC", "romawka|E|0||"},
      {"Romashka L.L.C.", "romawka|E|0||"},
      {"ООО «Pомaшкa»", "romawka|L|0||"},  // Latin P and a
      {"ТОО Ромашка", "romawka|L|0||"},
      {"Kowalski Sp. z o.o.", "kovalski|L|0||"},
      {"Kowalski sp zoo", "kovalski|L|0||"},
      {"Siemens AG", "semens|J|0||"},
      {"SiemensAG", "semens|J|0||"},
      {"Siemens Aktiengeselschaft", "semens|J|0||"},
      {"Volkswagen G.m.b.H.", "volksvagen|L|0||"},
      {"ПАО Ромашка", "romawka|J|0||"},
      {"ФГУП «Маяк»", "mayk|O|0||"},
      {"ТД Вектор", "vektor|T|0||"},
      {"ООО «ТД «Вектор»", "vektor|LT|0||"},
      {"ООО «Вектор-2» (Москва)", "vektor 2|L|00|-moskva|"},
      {"Vector II Ltd.", "vektor 2|E|00||"},
      {"Ромашка г. Санкт-Петербург", "romawka||0|-sankt -peterburg|"},
      {"Romashka Russia", "romawka||0|+rosy|"},
      {"Bank of China Limited", "bank cina|E|x1||"},
      {"First Bank 1st", "1 bank 1||0x0||"},
      {"Brigade Forty-Four", "brigade 44||00||"},
      {"J.P. Morgan & Co.", "ip morgan|C|00||"},
      {"ИП Иванов Иван Иванович", "ivanov i|S|00||Fivanov Nivan Pivanovic"},
      {"Иванов И.И., ИП", "ivanov i|S|00||Fivanov Ii Ii"},
      {"Иванов И.И.", "ivanov i||00||Fivanov Ii Ii"},
      {"Kozlova E.Yu. LLC", "kozlova e|E|00||Fkozlova Ie Ix"},
      {"Lotus UK", "lotus||0|+uk|"},
      {"УК Лотос", "lotos||0||"},
      {"ООО АКК-Маш", "ak maw|L|01||"},
      {"ромашка ооо москва", "romawka|L|0|-moskva|"},
      {"ООО Ромашка-МСК", "romawka|L|0|-moskva|"},
      {"Иванов И.И. ИП г. Москва", "ivanov i|S|00|-moskva|Fivanov Ii Ii"},
      {"1С-Софт", "1 k soft||001||"},
      {"1C Soft", "1 k soft||001||"},
      {"X5 Retail Group", "ks 5 retail||000|grup|"},
      {"romashka.ru", "romawka||0||"},
      {"ООО", "ooo||0||"},
      {"株式会社トヨタ", "toiota|J|0||"},
  };
  for (const auto& c : cases) EXPECT_EQ(NormalizeCompany(c.name), c.stored) << c.name;
}

// A legal form before or behind the name goes, whichever it is.
TEST(Company, EveryLegalForm) {
  for (const legal_forms::Form& form : legal_forms::kForms) {
    for (std::size_t i = 0; i < form.phrases.size();) {
      const std::size_t end = std::min(form.phrases.find(';', i), form.phrases.size());
      const std::string phrase(form.phrases.substr(i, end - i));
      i = end + 1;
      if (form.type == legal_forms::kSoleTrader) continue;
      for (const std::string& name : {phrase + " Зюйдвест", "Зюйдвест " + phrase}) {
        EXPECT_EQ(match::CompanyCore(NormalizeCompany(name)), "zxidvest") << name;
      }
    }
  }
}

TEST(Company, AnyBytes) {
  std::mt19937 random(11);
  const std::string_view alphabet = "ООО «Ромашка» LLC.|,-()\t\n\0 abcXIV0123éбя中\xFF\xD0"sv;
  for (int round = 0; round < 20000; ++round) {
    std::string text(random() % 80, '\0');
    for (char& c : text) c = alphabet[random() % alphabet.size()];
    const std::string stored = NormalizeCompany(text);
    ASSERT_LE(stored.size(), 512U);
    ASSERT_EQ(stored.find_first_of("\t\n"), std::string::npos);
    ASSERT_TRUE(IsValidUtf8(stored)) << stored;
    ASSERT_EQ(stored.empty(), match::CompanyCore(stored).empty());
  }
  std::string longest = "ИП ";
  for (int i = 0; i < 5000; ++i) longest += "Саша Россия Ромашка ";
  EXPECT_LE(NormalizeCompany(longest).size(), 512U);
  EXPECT_LE(NormalizeCompany(std::string(100000, 'x')).size(), 512U);
}

}  // namespace
}  // namespace kvcrm::text
