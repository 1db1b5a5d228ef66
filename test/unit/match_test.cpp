// Records, keys, the model and training. Names and companies have tests of their own.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "match/email_address.hpp"
#include "match/keys.hpp"
#include "match/model.hpp"
#include "match/record.hpp"
#include "match/training.hpp"
#include "text/utf8.hpp"

namespace kvcrm::match {
namespace {

const std::string kOrganization = "0123456789abcdef";

Frequencies AmongTenThousand() {
  Frequencies frequencies;
  frequencies.records = 10000;
  return frequencies;
}

Comparison CompareFields(const Fields& a, const Fields& b,
                         const Frequencies& frequencies = AmongTenThousand()) {
  const std::string x = Normalize(a), y = Normalize(b);
  return Compare(Record(x), Record(y), frequencies, ShippedModel());
}

std::string LevelOf(std::string_view field, const Fields& a, const Fields& b) {
  for (const Evidence& evidence : CompareFields(a, b).evidence) {
    const Level& level = Levels()[static_cast<std::size_t>(evidence.level)];
    if (level.field == field) return std::string(level.name);
  }
  return "none";
}

std::string EmailLevel(std::string_view a, std::string_view b, std::string_view company = "") {
  return LevelOf("email", {.company = company, .email = a}, {.company = company, .email = b});
}
std::string PhoneLevel(std::string_view a, std::string_view b) {
  return LevelOf("phone", {.phone = a}, {.phone = b});
}
std::string InnLevel(std::string_view a, std::string_view b, std::string_view company = "") {
  return LevelOf("inn", {.company = company, .inn = a}, {.company = company, .inn = b});
}
std::string NameLevelOf(std::string_view a, std::string_view b) {
  return LevelOf("name", {.name = a}, {.name = b});
}
std::string CompanyLevelOf(std::string_view a, std::string_view b) {
  return LevelOf("company", {.company = a}, {.company = b});
}

std::vector<std::int64_t> KeysOf(const Fields& fields, std::string_view organization = kOrganization) {
  const std::string normalized = Normalize(fields);
  return BlockingKeys(Record(normalized), organization);
}

bool ShareKey(const Fields& a, const Fields& b) {
  const auto x = KeysOf(a), y = KeysOf(b);
  std::vector<std::int64_t> both;
  std::set_intersection(x.begin(), x.end(), y.begin(), y.end(), std::back_inserter(both));
  return !both.empty();
}

// --- Records ---

TEST(Record, ReadsWhatWasNormalized) {
  const std::string normalized = Normalize({.name = "Иванов Иван",
                                            .company = "ООО «Ромашка»",
                                            .email = " Ivan+crm@Romashka.RU ",
                                            .phone = "+74951234567",
                                            .inn = "7707 083893"});
  const Record record(normalized);
  EXPECT_FALSE(record.name.empty());
  EXPECT_FALSE(record.company.empty());
  EXPECT_EQ(record.email, "ivan@romashka.ru");
  EXPECT_EQ(record.phone, "+74951234567");
  EXPECT_EQ(record.inn, "7707083893");
  EXPECT_EQ(std::count(normalized.begin(), normalized.end(), '\n'), 4);
}

TEST(Record, PhonesAsTyped) {
  const std::pair<const char*, const char*> cases[] = {
      {"8 (495) 123-45-67 доб. 12", "84951234567"},
      {"123-45-67#9", "1234567"},
      {"+7 495 1234567, 8", "+74951234567"},
      {"12", ""},
      {"", ""},
      {"call me", ""},
      {"доб. 55512345", "55512345"},
  };
  for (const auto& [typed, digits] : cases) {
    const std::string normalized = Normalize({.phone = typed});
    EXPECT_EQ(Record(normalized).phone, digits) << typed;
  }
}

TEST(Record, MissingLinesReadAsEmpty) {
  EXPECT_TRUE(Record("").name.empty());
  const Record partial("Fivanov\nromawka");
  EXPECT_EQ(partial.name, "Fivanov");
  EXPECT_EQ(partial.company, "romawka");
  EXPECT_TRUE(partial.email.empty());
  EXPECT_TRUE(partial.inn.empty());
}

TEST(Record, BadInputStaysFiveLinesOfUtf8) {
  const std::string inputs[] = {
      "\xff\xfe\x80",
      "a\nb\r\nc\td",
      std::string("nul\0nul", 7),
      "\xd0",
      std::string(100000, 'x'),
      std::string(5000, '\xd0'),
      "Иван\n\n\nПетров@\xf0\x9f\x98",
      std::string(2000, '@'),
  };
  for (const std::string& input : inputs) {
    const std::string normalized =
        Normalize({.name = input, .company = input, .email = input, .phone = input, .inn = input});
    EXPECT_TRUE(text::IsValidUtf8(normalized));
    EXPECT_EQ(std::count(normalized.begin(), normalized.end(), '\n'), 4);
    EXPECT_EQ(normalized.find('\0'), std::string::npos);
    EXPECT_LT(normalized.size(), 2500U);
    const Record record(normalized);
    BlockingKeys(record, kOrganization);
    EXPECT_TRUE(std::isfinite(Score(record, record, AmongTenThousand(), ShippedModel())));
  }
}

// --- Levels ---

TEST(Levels, Email) {
  EXPECT_EQ(EmailLevel("ivanov@firma.ru", "IVANOV@firma.ru"), "exact");
  EXPECT_EQ(EmailLevel("i.vanov+x@gmail.com", "ivanov@googlemail.com"), "exact");
  EXPECT_EQ(EmailLevel("info@firma.ru", "info@firma.ru"), "role");
  EXPECT_EQ(EmailLevel("ivanov@firma.ru", "ivanvo@firma.ru"), "typo");
  EXPECT_EQ(EmailLevel("ivanov@firma.ru", "ivanov@frima.ru"), "typo");
  EXPECT_EQ(EmailLevel("ivan.petrov@romashka.ru", "iwan.petrov@romahska.ru"), "typo");
  EXPECT_EQ(EmailLevel("ivanov1@firma.ru", "ivanov2@firma.ru"), "domain");
  EXPECT_EQ(EmailLevel("ivanov1@mail.ru", "ivanov2@mail.ru"), "different");
  EXPECT_EQ(EmailLevel("ivanov@mail.ru", "ivanov@gmail.com"), "local_part");
  EXPECT_EQ(EmailLevel("ivanov@firma.ru", "ivanov@gmail.com"), "local_part");
  EXPECT_EQ(EmailLevel("info@firma.ru", "info@zavod.ru"), "different");
  EXPECT_EQ(EmailLevel("ivanov@firma.ru", "petrov@firma.ru"), "domain");
  EXPECT_EQ(EmailLevel("ivanov@firma.ru", "petrov@firma.ru", "Фирма"), "colleague");
  EXPECT_EQ(EmailLevel("ivanov@mail.ru", "petrov@mail.ru"), "different");
  EXPECT_EQ(EmailLevel("ivanov@firma.ru", ""), "missing");
  EXPECT_EQ(EmailLevel("no address", "no address"), "missing");
}

TEST(Levels, Phone) {
  EXPECT_EQ(PhoneLevel("+74951234567", "+74951234567"), "exact");
  EXPECT_EQ(PhoneLevel("+74951234567", "84951234567"), "exact");
  EXPECT_EQ(PhoneLevel("+74951234567", "+74951234576"), "typo");
  EXPECT_EQ(PhoneLevel("+74951234567", "+74951234967"), "typo");
  EXPECT_EQ(PhoneLevel("+74951234567", "+79161112233"), "different");
  EXPECT_EQ(PhoneLevel("+74951234567", ""), "missing");
  const Fields ivan{.name = "Иванов Иван", .company = "Ромашка", .phone = "+74951234567"};
  EXPECT_EQ(LevelOf("phone", ivan, ivan), "same_firm");
  EXPECT_EQ(LevelOf("phone", ivan, {.name = "Сидорова Ольга", .company = "Ромашка", .phone = "+74951234567"}),
            "switchboard");
}

TEST(Levels, Inn) {
  EXPECT_EQ(InnLevel("7707083893", "7707083893"), "exact");
  EXPECT_EQ(InnLevel("7707083893", "7707083893", "Ромашка"), "same_firm");
  EXPECT_EQ(InnLevel("7707083893", "7728168971"), "different");
  EXPECT_EQ(InnLevel("7707083893", "7707083898"), "typo");
  EXPECT_EQ(InnLevel("7707083893", "1234567890"), "unclear");
  EXPECT_EQ(InnLevel("7707083893", ""), "missing");
}

TEST(Levels, Name) {
  EXPECT_EQ(NameLevelOf("Иванов Иван", "Иван Иванов"), "exact");
  EXPECT_EQ(NameLevelOf("Иванов Александр", "Ivanov Sasha"), "equivalent");
  EXPECT_EQ(NameLevelOf("Кузнецов Александр", "Кузнцов Александр"), "typo");
  EXPECT_EQ(NameLevelOf("Кузнецов Александр", "Кузнецов А."), "initials");
  EXPECT_EQ(NameLevelOf("Кузнецов Александр", "Кузнецов"), "family_alone");
  EXPECT_EQ(NameLevelOf("Кузнецов Александр", "Александр"), "given_alone");
  EXPECT_EQ(NameLevelOf("Кузнецов Александр", "Кузнецов Борис"), "family_only");
  EXPECT_EQ(NameLevelOf("Кузнецов Александр", "Сидоров Александр"), "given_only");
  EXPECT_EQ(NameLevelOf("Кузнецов Александр", "Сидоров Борис"), "different");
  EXPECT_EQ(NameLevelOf("Кузнецов Александр", ""), "missing");
}

TEST(Levels, Company) {
  EXPECT_EQ(CompanyLevelOf("ООО «Ромашка»", "OOO Romashka"), "exact");
  EXPECT_EQ(CompanyLevelOf("ООО «Ромашка»", "ЗАО «Ромашка»"), "other_form");
  EXPECT_EQ(CompanyLevelOf("Стройкомплект", "Строкомплект"), "typo");
  EXPECT_EQ(CompanyLevelOf("Вектор-2", "Вектор-3"), "different");
  EXPECT_EQ(CompanyLevelOf("Ромашка", "Лютик"), "different");
  EXPECT_EQ(CompanyLevelOf("Ромашка", ""), "missing");
  // Long ones are compared word by word.
  EXPECT_EQ(
      CompanyLevelOf("12 wallaby place delmar cleveland 2119", "12 wallabi place delmar clevelend 2119"),
      "typo");
  EXPECT_EQ(
      CompanyLevelOf("12 wallaby place delmar cleveland 2119", "7 hoseason street lakefront granville 4881"),
      "no_words");
}

TEST(Levels, WeightsFallWithAgreement) {
  EXPECT_EQ(Levels().size(), ShippedModel().weights.size());
  const auto weight = [](std::string_view field, std::string_view name) {
    for (const Level& level : Levels()) {
      if (level.field == field && level.name == name) return level.weight;
    }
    ADD_FAILURE() << field << " " << name;
    return 0.0;
  };
  for (const char* field : {"name", "company", "email", "phone", "inn"}) {
    EXPECT_GT(weight(field, "exact"), weight(field, "typo")) << field;
    EXPECT_GT(weight(field, "typo"), 0) << field;
    EXPECT_LT(weight(field, "different"), 0) << field;
    EXPECT_EQ(weight(field, "missing"), 0) << field;
  }
}

// --- Comparisons ---

TEST(Comparison, WaterfallAddsUp) {
  const Comparison comparison = CompareFields(
      {.name = "Иванов Иван", .company = "Ромашка", .email = "ivanov@romashka.ru", .phone = "+74951234567"},
      {.name = "Ivan Ivanov", .company = "ООО Ромашка", .email = "ivanov@romashka.ru"});
  double sum = comparison.prior;
  for (const Evidence& evidence : comparison.evidence) sum += evidence.weight;
  EXPECT_EQ(comparison.evidence.size(), 5U);
  EXPECT_NEAR(sum, comparison.weight, 1e-9);
  EXPECT_NEAR(comparison.probability, ProbabilityOf(comparison.weight), 1e-12);
  EXPECT_GT(comparison.probability, 0.99);
}

TEST(Comparison, ColleaguesAreNoDuplicates) {
  const Fields ivan{.name = "Иванов Иван",
                    .company = "ООО «Ромашка»",
                    .email = "info@romashka.ru",
                    .phone = "+74951234567",
                    .inn = "7707083893"};
  for (const char* colleague : {"Сидорова Ольга", "Петров Иван", "Иванов Борис"}) {
    Fields other = ivan;
    other.name = colleague;
    for (const std::uint32_t records : {0U, 100U, 10000U, 1000000U}) {
      Frequencies frequencies;
      frequencies.records = records;
      EXPECT_LT(CompareFields(ivan, other, frequencies).probability, kShippedThreshold)
          << colleague << records;
      EXPECT_GT(CompareFields(ivan, ivan, frequencies).probability, kShippedThreshold) << records;
    }
  }
}

// Their addresses are made of their names, so they differ as little as those do.
TEST(Comparison, RelativesAndNamesakesAtOneFirmAreNoDuplicates) {
  const Fields clara{
      .name = "Clara Buttercup", .company = "Brave Little Tailor AG", .email = "c.buttercup@tailor.example"};
  const Fields kirill{
      .name = "Кирилл Щеглов", .company = "ООО «Щучье Веление»", .email = "k.scheglov@velenie.example"};
  Frequencies frequencies;
  for (const std::uint32_t records : {0U, 300U, 10000U}) {
    frequencies.records = records;
    EXPECT_LT(CompareFields(clara,
                            {.name = "Søren Buttercup",
                             .company = "Brave Little Tailor AG",
                             .email = "s.buttercup@tailor.example"},
                            frequencies)
                  .probability,
              0.1)
        << records;
    // Neither is the firm's name needed to tell.
    EXPECT_LT(
        CompareFields(clara, {.name = "Søren Buttercup", .email = "s.buttercup@tailor.example"}, frequencies)
            .probability,
        0.1)
        << records;
    EXPECT_LT(
        CompareFields(
            kirill,
            {.name = "Олег Щеглов", .company = "ООО «Щучье Веление»", .email = "o.scheglov@velenie.example"},
            frequencies)
            .probability,
        0.1)
        << records;
  }
}

TEST(Comparison, AnotherInnIsStrongEvidenceAgainst) {
  const Fields a{.name = "Иванов Иван", .company = "ООО «Ромашка»", .inn = "7707083893"};
  Fields b = a;
  EXPECT_GT(CompareFields(a, b).probability, kShippedThreshold);
  const double same = CompareFields(a, b).weight;
  b.inn = "7728168971";
  EXPECT_LT(CompareFields(a, b).weight, same - 5);
}

TEST(Comparison, CommonValuesSayLess) {
  const Fields a{.name = "Иванов Иван", .company = "Ромашка"};
  Frequencies rare = AmongTenThousand(), common = AmongTenThousand();
  for (const Value value : {Value::kFamilyName, Value::kGivenName, Value::kCompany})
    common.of[static_cast<std::size_t>(value)] = 1000;
  const Comparison one = CompareFields(a, a, rare), other = CompareFields(a, a, common);
  EXPECT_GT(one.weight, other.weight + 3);
  EXPECT_GT(one.evidence[0].adjustment, other.evidence[0].adjustment);
}

TEST(Comparison, PriorFallsAsRecordsGrow) {
  Frequencies few, many;
  few.records = 1000;
  many.records = 1000000;
  EXPECT_GT(CompareFields({}, {}, few).prior, CompareFields({}, {}, many).prior + 5);
  EXPECT_EQ(CompareFields({}, {}, Frequencies()).prior, ShippedModel().prior);
}

TEST(Comparison, SymmetricAndSameAsScore) {
  const std::string_view pieces[] = {"Иванов",  "Ivan",       "И.",      "ООО",      "Ромашка", "-2",
                                     "Строй",   "@",          "mail.ru", "firma.ru", "info",    "+7495",
                                     "1234567", "7707083893", " ",       "\xff",     "Саша",    "Müller",
                                     "GmbH",    "12 street",  ",",       "X"};
  std::mt19937 random(1);
  const auto any = [&] {
    std::string text;
    for (std::size_t n = random() % 5; n > 0; --n) {
      text += pieces[random() % std::size(pieces)];
      if (random() % 2 == 0) text += ' ';
    }
    return text;
  };
  for (int round = 0; round < 3000; ++round) {
    std::string texts[10];
    for (std::string& text : texts) text = any();
    const std::string a = Normalize({texts[0], texts[1], texts[2], texts[3], texts[4]});
    const std::string b = Normalize({texts[5], texts[6], texts[7], texts[8], texts[9]});
    const Record x(a), y(b);
    const Comparison there = Compare(x, y, AmongTenThousand(), ShippedModel());
    const Comparison back = Compare(y, x, AmongTenThousand(), ShippedModel());
    ASSERT_NEAR(there.weight, back.weight, 1e-9) << a << "\n--\n" << b;
    ASSERT_DOUBLE_EQ(there.weight, Score(x, y, AmongTenThousand(), ShippedModel()));
    for (std::size_t field = 0; field < there.evidence.size(); ++field)
      ASSERT_EQ(there.evidence[field].level, back.evidence[field].level) << a << "\n--\n" << b;
  }
}

// --- Keys ---

TEST(Keys, SortedDistinctAndFew) {
  const auto keys = KeysOf({.name = "Иванов Иван Петрович",
                            .company = "ООО «Ромашка»",
                            .email = "ivanov@romashka.ru",
                            .phone = "+74951234567",
                            .inn = "7707083893"});
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end());
  EXPECT_LE(keys.size(), 10U);
  EXPECT_TRUE(KeysOf({}).empty());
}

// The values are stored: another hash needs another derivation version.
TEST(Keys, AreTheSameEverywhere) {
  EXPECT_EQ(KeysOf({.phone = "+74951234567"}), (std::vector<std::int64_t>{249498353380015648}));
}

TEST(Keys, OfContactsAreAmongThem) {
  const Fields fields = {
      .name = "Иванов Иван", .company = "Ромашка", .email = "ivanov@romashka.ru", .phone = "+74951234567"};
  const std::string normalized = Normalize(fields);
  const auto all = KeysOf(fields);
  const auto contacts = KeysOfContacts(Record(normalized), kOrganization);
  EXPECT_EQ(contacts.size(), 2U);
  for (const std::int64_t key : contacts) EXPECT_TRUE(std::binary_search(all.begin(), all.end(), key));
  // The same address alone has the same key, and none that others of its domain have.
  const std::string address = Normalize({.email = "Ivanov+x@romashka.ru"});
  EXPECT_EQ(KeysOfContacts(Record(address), kOrganization), std::vector{contacts.front()});
  EXPECT_TRUE(KeysOfContacts(Record(), kOrganization).empty());
}

TEST(Keys, SaltedByOrganization) {
  const Fields fields{.name = "Иванов Иван", .company = "Ромашка", .email = "ivanov@romashka.ru"};
  const auto one = KeysOf(fields), other = KeysOf(fields, "fedcba9876543210");
  EXPECT_EQ(one.size(), other.size());
  std::vector<std::int64_t> both;
  std::set_intersection(one.begin(), one.end(), other.begin(), other.end(), std::back_inserter(both));
  EXPECT_TRUE(both.empty());

  const std::string normalized = Normalize(fields);
  const ValueHashes here = HashValues(Record(normalized), kOrganization);
  const ValueHashes there = HashValues(Record(normalized), "fedcba9876543210");
  const auto company = static_cast<std::size_t>(Value::kCompany), inn = static_cast<std::size_t>(Value::kInn);
  EXPECT_NE(here.of[company], 0);
  EXPECT_NE(here.of[company], there.of[company]);
  EXPECT_EQ(here.of[inn], 0);
}

TEST(Keys, SurviveATypoInAnyOneField) {
  const Fields lead{.name = "Кузнецов Александр",
                    .company = "ООО «Стройкомплект»",
                    .email = "kuznetsov@stroykomplekt.ru",
                    .phone = "+74951234567"};
  Fields other = lead;
  other.name = "Кузнцов Алксандр";
  EXPECT_TRUE(ShareKey(lead, other));
  other = lead;
  other.company = "Сторйкомплект";
  EXPECT_TRUE(ShareKey(lead, other));
  other = lead;
  other.email = "kuznecov@stroykomplekt.ru";
  other.phone = "";
  EXPECT_TRUE(ShareKey(lead, other));
  EXPECT_TRUE(ShareKey({.name = "Кузнецов Александр", .company = "Ромашка"},
                       {.name = "Sasha Kuznetsov", .company = "OOO Romashka"}));
  EXPECT_TRUE(ShareKey({.name = "Кузнецов А.В.", .company = "Ромашка"},
                       {.name = "Кузнецов Александр", .company = "Ромашка"}));
  EXPECT_FALSE(ShareKey({.name = "Кузнецов Александр", .company = "Ромашка"},
                        {.name = "Сидорова Ольга", .company = "Лютик"}));
}

TEST(Keys, ColleaguesShareNoKeyOfTheirFirm) {
  EXPECT_FALSE(ShareKey({.name = "Кузнецов Александр", .company = "Ромашка", .inn = "7707083893"},
                        {.name = "Сидорова Ольга", .company = "Ромашка", .inn = "7707083893"}));
}

TEST(EmailAddress, Parts) {
  const EmailAddress address("ivanov@firma.ru");
  EXPECT_EQ(address.local, "ivanov");
  EXPECT_EQ(address.domain, "firma.ru");
  EXPECT_TRUE(EmailAddress("").domain.empty());
  EXPECT_TRUE(IsFreeMail("mail.ru"));
  EXPECT_TRUE(IsFreeMail("gmail.com"));
  EXPECT_TRUE(IsFreeMail("126.com"));
  EXPECT_TRUE(IsFreeMail("zoho.com"));
  EXPECT_FALSE(IsFreeMail("firma.ru"));
  EXPECT_TRUE(IsRole("info"));
  EXPECT_TRUE(IsRole("zakupki"));
  EXPECT_FALSE(IsRole("ivanov"));
}

// --- Training ---

Label Labelled(const Fields& a, const Fields& b, bool duplicate) {
  return LabelOf(CompareFields(a, b), ShippedModel(), duplicate);
}

std::size_t LevelIndex(std::string_view field, std::string_view name) {
  for (std::size_t i = 0; i < Levels().size(); ++i) {
    if (Levels()[i].field == field && Levels()[i].name == name) return i;
  }
  ADD_FAILURE() << field << " " << name;
  return 0;
}

TEST(Training, NothingLearntFromNothing) {
  const Training training = Train({}, ShippedModel());
  EXPECT_EQ(training.model.weights, ShippedModel().weights);
  EXPECT_EQ(training.duplicates + training.others, 0);
  EXPECT_EQ(training.largest_move, 0);
}

TEST(Training, LabelKnowsWhatIsNotLearnt) {
  Frequencies frequencies;
  frequencies.records = 500000;
  const Comparison comparison = CompareFields({.name = "Иванов Иван"}, {.name = "Иванов Иван"}, frequencies);
  const Label label = LabelOf(comparison, ShippedModel(), true);
  double sum = ShippedModel().prior + label.offset;
  for (const int level : label.levels) sum += ShippedModel().weights[static_cast<std::size_t>(level)];
  EXPECT_NEAR(sum, comparison.weight, 1e-9);
}

TEST(Training, MovesTowardsDecisions) {
  // An organization that merges leads of one e-mail whatever their names, and doesn't merge people by phone.
  std::vector<Label> labels;
  for (int i = 0; i < 60; ++i) {
    labels.push_back(Labelled({.name = "Иванов Иван", .email = "a.ivanov@firma.ru"},
                              {.name = "Сидорова Ольга", .email = "a.ivanov@firma.ru"}, true));
    labels.push_back(Labelled({.name = "Иванов Иван", .phone = "+74951234567"},
                              {.name = "Иванов Иван", .phone = "+74951234567"}, false));
  }
  const Training training = Train(labels, ShippedModel());
  EXPECT_EQ(training.duplicates, 60);
  EXPECT_EQ(training.others, 60);
  const auto moved = [&](std::string_view field, std::string_view name) {
    const std::size_t level = LevelIndex(field, name);
    return training.model.weights[level] - ShippedModel().weights[level];
  };
  EXPECT_GT(moved("email", "exact"), 0.1);
  EXPECT_GT(moved("name", "different"), 0.1);
  EXPECT_LT(moved("phone", "exact"), -0.1);
  EXPECT_LT(moved("name", "exact"), -0.1);
  EXPECT_EQ(moved("inn", "different"), 0);
  EXPECT_EQ(moved("company", "missing"), 0);
  EXPECT_GE(training.largest_move, training.mean_move);
  EXPECT_GT(training.mean_move, 0);
}

TEST(Training, MoreDecisionsMoveFurther) {
  const Label label = Labelled({.name = "Иванов Иван", .phone = "+74951234567"},
                               {.name = "Иванов Иван", .phone = "+74951234567"}, false);
  const double few = Train(std::vector<Label>(5, label), ShippedModel()).largest_move;
  const double many = Train(std::vector<Label>(500, label), ShippedModel()).largest_move;
  EXPECT_GT(few, 0);
  EXPECT_GT(many, few);
  EXPECT_TRUE(std::isfinite(many));
}

TEST(Training, IgnoresLevelsThatAreNone) {
  const Training training = Train({Label{{-1, 100000}, true}}, ShippedModel());
  EXPECT_EQ(training.duplicates, 1);
  EXPECT_EQ(training.model.weights, ShippedModel().weights);
}

}  // namespace
}  // namespace kvcrm::match
