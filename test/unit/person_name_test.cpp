#include "text/person_name.hpp"

#include <random>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "match/name_comparison.hpp"
#include "text/utf8.hpp"

namespace kvcrm::text {
namespace {

using namespace std::string_view_literals;

TEST(PersonName, Parts) {
  const struct {
    std::string_view name, stored;
  } cases[] = {
      {"", ""},
      {"  \t", ""},
      {"...", ""},
      {"Иванов Иван Иванович", "Fivanov Nivan Pivanovic"},
      {"Иван Иванович Иванов", "Fivanov Nivan Pivanovic"},
      {"IVANOV IVAN", "Fivanov Nivan"},
      {"Иванов И.И.", "Fivanov Ii Ii"},
      {"И. И. Иванов", "Fivanov Ii Ii"},
      {"ИвановИван", "Fivanov Nivan"},
      {"Петрова Анна Сергеевна", "Fpetrova Nana Psergeevna"},
      {"Шевченко Олександр", "Fwevcenko Noleksandr=aleksandr"},
      {"Саша", "Nsawa=aleksandr,aleksandra"},
      {"Смит, Джон", "Fsmit Ndjon=iohn"},
      {"Dr. Robert Smith", "Fsmit Nrobert"},
      {"г-н Петров И.И.", "Fpetrov Ii Ii"},
      {"Mr", "Fmr"},
      {"Ludwig van Beethoven", "Fbeetoven Nludvig=levis Xvan"},
      {"bdfyjd bdfy", "Fivanov Nivan"},
      {"Ig0r Sechin", "Fsecin Nigor"},
      {"Лукашевич Иван", "Flukawevic Nivan"},
      {"Роман Аркадьевич Абрамович", "Fabramovic Nroman Parkadevic"},
      {"Павел Сергеевич", "Npavel Psergeevic"},
      {"Ольга Юрьевна", "Nolga Pxrevna"},
  };
  for (const auto& c : cases) EXPECT_EQ(NormalizePersonName(c.name), c.stored) << c.name;
}

TEST(PersonName, SameInEveryScript) {
  const struct {
    std::string_view one, other;
  } cases[] = {
      {"Щукин Юрий", "Shchukin Yuriy"},
      {"Щукин Юрий", "Schukin Yury"},
      {"Хабарова Юлия", "Khabarova Yuliya"},
      {"Хабарова Юлия", "Habarova Iuliia"},
      {"Хабарова Юлия", "Habarova Julija"},
      {"Соловьёв Фёдор", "Solovyov Fyodor"},
      {"Соловьев Федор", "Соловьёв Фёдор"},
      {"Кузнецов Алексей", "Kuznetsov Alexey"},
      {"Кузнецов Алексей", "Kuznecov Aleksej"},
      {"Жуковский Дмитрий", "Zhukovsky Dmitry"},
      {"Жуковский Дмитрий", "Zhukovskiy Dmitrii"},
      {"Чайковский Пётр", "Tchaikovsky Petr"},
      {"Артёмова Елена", "Artyomova Yelena"},
      {"Николаев Сергей", "Nikolayev Sergey"},
      {"Müller Hans", "Mueller Hans"},
      {"Иванов Иван", "Ивaнoв Ивaн"},          // Latin a and o
      {"Екатерина Сорос", "Eкaтepинa Copoc"},  // a whole word of look-alikes
      {"Smith Paul", "Ѕmіth Раul"},            // Cyrillic among Latin
      {"Алексей Петров", "fktrctq gtnhjd"},    // the wrong keyboard layout
  };
  for (const auto& c : cases)
    EXPECT_EQ(NormalizePersonName(c.one), NormalizePersonName(c.other)) << c.one << " " << c.other;
}

TEST(PersonName, FamilyAndGivenName) {
  const struct {
    std::string_view name, family, given;
  } cases[] = {
      {"Иванов Иван Иванович", "ivanov", "ivan"},
      {"Лёша Кузнецов", "kuzneqov", "aleksei"},
      {"Bob Smith", "smit", "robert"},
      {"Robert Smith", "smit", "robert"},
      {"Putin, Vladimir", "putin", "vladimir"},
      {"Иванов И.И.", "ivanov", ""},
      {"Мария", "", "mary"},
      {"", "", ""},
  };
  for (const auto& c : cases) {
    const std::string stored = NormalizePersonName(c.name);
    EXPECT_EQ(match::FamilyName(stored), c.family) << c.name;
    EXPECT_EQ(match::GivenName(stored), c.given) << c.name;
  }
}

TEST(PersonName, PlainWordsInAWrongLayoutStay) {
  EXPECT_EQ(NormalizePersonName("ghbdtn"), "Fghbdtn");  // привет is no name
  EXPECT_EQ(NormalizePersonName("Smith Clark"), "Fklark Gsmit");
}

// Any bytes: no crash, one line, bounded.
TEST(PersonName, AnyBytes) {
  std::mt19937 random(7);
  const std::string_view alphabet = "Иванов \t\n\0.,-'|= abcXYZ01é中я\xFF\xD0"sv;
  for (int round = 0; round < 20000; ++round) {
    std::string text(random() % 60, '\0');
    for (char& c : text) c = alphabet[random() % alphabet.size()];
    const std::string stored = NormalizePersonName(text);
    ASSERT_LE(stored.size(), 512U);
    ASSERT_EQ(stored.find_first_of("\t\n"), std::string::npos);
    ASSERT_TRUE(IsValidUtf8(stored)) << stored;
  }
  std::string longest;
  for (int i = 0; i < 5000; ++i) longest += "Саша ";
  EXPECT_LE(NormalizePersonName(longest).size(), 512U);
  EXPECT_LE(NormalizePersonName(std::string(100000, 'x')).size(), 512U);
}

}  // namespace
}  // namespace kvcrm::text
