#include "varied_leads.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <numeric>

#include "leads.hpp"

namespace bench {

namespace {

constexpr long kBatch = 10'000;

constexpr const char* kFamilyNames[] = {
    "Иванов",   "Смирнов",  "Кузнецов", "Попов",    "Васильев",  "Петров",    "Соколов",  "Михайлов",
    "Новиков",  "Федоров",  "Морозов",  "Волков",   "Алексеев",  "Лебедев",   "Семенов",  "Егоров",
    "Павлов",   "Козлов",   "Степанов", "Николаев", "Орлов",     "Андреев",   "Макаров",  "Никитин",
    "Захаров",  "Зайцев",   "Соловьев", "Борисов",  "Яковлев",   "Григорьев", "Романов",  "Воробьев",
    "Сергеев",  "Фролов",   "Королев",  "Гусев",    "Киселев",   "Ильин",     "Максимов", "Поляков",
    "Сорокин",  "Ковалев",  "Белов",    "Медведев", "Антонов",   "Тарасов",   "Жуков",    "Баранов",
    "Филиппов", "Комаров",  "Давыдов",  "Беляев",   "Герасимов", "Богданов",  "Осипов",   "Сидоров",
    "Титов",    "Марков",   "Миронов",  "Крылов",   "Куликов",   "Карпов",    "Власов",   "Мельников",
    "Денисов",  "Гаврилов", "Тихонов",  "Казаков",  "Данилов",   "Савельев",  "Тимофеев", "Фомин",
    "Чернов",   "Абрамов",  "Мартынов", "Ефимов",   "Щербаков",  "Назаров",   "Калинин",  "Исаев",
    "Быков",    "Маслов",   "Родионов", "Лазарев",  "Воронин",   "Климов",    "Голубев",  "Прохоров",
    "Наумов",   "Потапов",  "Журавлев", "Трофимов", "Соболев",   "Ермаков",   "Гончаров", "Грачев"};
constexpr const char* kGivenNames[] = {"Александр", "Сергей",   "Дмитрий", "Андрей",  "Алексей",  "Максим",
                                       "Евгений",   "Иван",     "Михаил",  "Николай", "Владимир", "Артем",
                                       "Денис",     "Павел",    "Роман",   "Антон",   "Игорь",    "Олег",
                                       "Юрий",      "Виктор",   "Кирилл",  "Илья",    "Никита",   "Вадим",
                                       "Тимур",     "Григорий", "Петр",    "Василий", "Семен",    "Федор"};
// Of the given name at the same place; the same where there is none.
constexpr const char* kNicknames[] = {
    "Саша",   "Серёжа", "Дима",   "Андрей", "Лёша",  "Макс",  "Женя",  "Ваня", "Миша",  "Коля",
    "Володя", "Артём",  "Денис",  "Паша",   "Рома",  "Антон", "Игорь", "Олег", "Юра",   "Витя",
    "Кирилл", "Илья",   "Никита", "Вадим",  "Тимур", "Гриша", "Пётр",  "Вася", "Семён", "Фёдор"};
constexpr const char* kPatronymics[] = {"Александрович", "Сергеевич", "Дмитриевич", "Андреевич",
                                        "Алексеевич",    "Иванович",  "Михайлович", "Николаевич",
                                        "Владимирович",  "Павлович",  "Игоревич",   "Юрьевич"};
constexpr const char* kLatinFamilyNames[] = {"Müller", "Schmidt", "Weber",   "Becker", "Novak",   "Kowalski",
                                             "Smith",  "Johnson", "Taylor",  "Wilson", "Roberts", "Walker",
                                             "Martin", "Bernard", "Rossi",   "Garcia", "Lopez",   "Yilmaz",
                                             "Chen",   "Kim",     "Singh",   "Jensen", "Hansen",  "Korhonen",
                                             "Tamm",   "Aliyev",  "Larsson", "Silva",  "Petrov",  "Ivanov"};
constexpr const char* kLatinGivenNames[] = {"Anna",  "Peter",  "Hans",  "Michael", "Thomas", "Jan",
                                            "Marek", "John",   "James", "Robert",  "Mary",   "Susan",
                                            "Paul",  "Pierre", "Luca",  "Carlos",  "Elena",  "Mehmet",
                                            "Wei",   "Raj",    "Erik",  "Julia",   "Daniel", "Emma"};
constexpr const char* kParts[] = {"Рос",  "Сиб",    "Урал",   "Тех",   "Строй", "Пром",   "Агро",    "Авто",
                                  "Мед",  "Энерго", "Транс",  "Гео",   "Газ",   "Металл", "Электро", "Био",
                                  "Инфо", "Спец",   "Мос",    "Волга", "Север", "Восток", "Евро",    "Интер",
                                  "Хим",  "Альфа",  "Вектор", "Орион", "Титан", "Гранит"};
constexpr const char* kTrades[] = {"Сервис", "Групп",    "Трейд", "Инвест", "Строй",    "Проект",
                                   "Маркет", "Снаб",     "Торг",  "Монтаж", "Комплект", "Деталь",
                                   "Ресурс", "Логистик", "Маш",   "Прибор", "Партнер",  "Центр",
                                   "Софт",   "Телеком",  "Медиа", "Финанс", "Капитал",  "Инжиниринг"};
constexpr const char* kWords[] = {"Ромашка", "Горизонт", "Прогресс", "Меридиан", "Эталон", "Стандарт",
                                  "Лидер",   "Импульс",  "Гарант",   "Восход",   "Маяк",   "Олимп",
                                  "Феникс",  "Сокол",    "Кедр",     "Радуга",   "Корона", "Арсенал",
                                  "Кварц",   "Янтарь",   "Аврора",   "Каскад",   "Спектр", "Контур"};
constexpr const char* kSyllables[] = {
    "ба", "ва", "га", "да", "ка", "ла",  "ма",  "на",  "ра",  "са",  "та",  "бе",  "ве",  "де",  "ле",
    "ме", "не", "ре", "ви", "ди", "ли",  "ми",  "ни",  "ри",  "бо",  "во",  "го",  "до",  "ко",  "ло",
    "мо", "но", "ро", "со", "то", "рос", "тек", "лин", "вар", "мет", "дор", "фор", "гал", "нар", "сан"};
constexpr const char* kForms[] = {"ООО", "ООО", "ООО", "ООО", "ООО", "ООО", "АО", "ЗАО", "ПАО", "НПО"};
constexpr const char* kLatinForms[] = {"LLC", "Ltd", "Inc.", "GmbH", "AG", "B.V.", "Oy", "s.r.o."};
constexpr const char* kCodes[] = {"495", "499", "812", "343", "383", "903", "905", "909",
                                  "912", "916", "921", "925", "926", "960", "977", "985"};
constexpr const char* kFreeMail[] = {"gmail.com", "mail.ru", "yandex.ru", "bk.ru", "inbox.ru", "outlook.com"};
constexpr const char* kPositions[] = {"Генеральный директор", "Менеджер по закупкам", "CEO",
                                      "Главный инженер",      "Собственник",          "Sales Manager"};
constexpr const char* kCities[] = {"Москва", "Казань", "Самара", "Пермь", "Омск", "Тула"};

// Random numbers of one subject (a person, a firm, a damaged copy), the same in every run.
class Dice {
 public:
  Dice(long number, std::uint64_t salt)
      : state_(static_cast<std::uint64_t>(number) * 0xd1342543de82ef95UL +
               (salt + 1) * 0x9e3779b97f4a7c15UL) {}
  // 0 to below - 1.
  long Roll(long below) {
    state_ += 0x9e3779b97f4a7c15UL;
    std::uint64_t x = state_;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9UL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebUL;
    return static_cast<long>((x ^ (x >> 31)) % static_cast<std::uint64_t>(below));
  }
  bool Percent(long share) { return Roll(100) < share; }
  template <std::size_t kSize>
  const char* Pick(const char* const (&list)[kSize]) {
    return list[Roll(static_cast<long>(kSize))];
  }
  // The first ones more often, as with names of people.
  template <std::size_t kSize>
  std::size_t Frequent() {
    const double roll = static_cast<double>(Roll(1'000'000)) / 1e6;
    return static_cast<std::size_t>(static_cast<double>(kSize) * roll * roll);
  }

 private:
  std::uint64_t state_;
};

// --- letters: all texts here are ASCII, Cyrillic or Latin with at most two bytes per letter ---

std::vector<std::string> LettersOf(const std::string& text) {
  std::vector<std::string> letters;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size =
        (text[at] & 0x80) == 0 ? 1 : (static_cast<unsigned char>(text[at]) >= 0xe0 ? 3 : 2);
    letters.push_back(text.substr(at, size));
    at += size;
  }
  return letters;
}

std::string Join(const std::vector<std::string>& letters) {
  return std::accumulate(letters.begin(), letters.end(), std::string());
}

std::string FirstLetter(const std::string& text) { return LettersOf(text).front(); }

// А..Я, а..я, ё by their places in Unicode; other letters stay.
std::string Transliterate(const std::string& text) {
  constexpr const char* kLatin[] = {"a",  "b",  "v",  "g",    "d", "e", "zh", "z", "i",  "y", "k",
                                    "l",  "m",  "n",  "o",    "p", "r", "s",  "t", "u",  "f", "kh",
                                    "ts", "ch", "sh", "shch", "",  "y", "",   "e", "yu", "ya"};
  std::string result;
  for (const std::string& letter : LettersOf(text)) {
    if (letter.size() != 2) {
      result += letter;
      continue;
    }
    const int code =
        (static_cast<unsigned char>(letter[0]) & 0x1f) << 6 | (static_cast<unsigned char>(letter[1]) & 0x3f);
    if (code == 0x451 || code == 0x401) {
      result += "e";
    } else if (code >= 0x430 && code <= 0x44f) {
      result += kLatin[code - 0x430];
    } else if (code >= 0x410 && code <= 0x42f) {
      std::string latin = kLatin[code - 0x410];
      if (!latin.empty()) latin[0] = static_cast<char>(latin[0] - 'a' + 'A');
      result += latin;
    } else {
      result += letter;
    }
  }
  return result;
}

// What can stand in an address.
std::string Slug(const std::string& text) {
  std::string slug;
  for (const char c : Transliterate(text)) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) slug += c;
    if (c >= 'A' && c <= 'Z') slug += static_cast<char>(c - 'A' + 'a');
  }
  return slug;
}

// One letter lost, doubled, or swapped with the next.
std::string Typo(const std::string& text, Dice& dice) {
  std::vector<std::string> letters = LettersOf(text);
  if (letters.size() < 4) return text;
  const auto at = static_cast<std::ptrdiff_t>(1 + dice.Roll(static_cast<long>(letters.size()) - 2));
  const long kind = dice.Roll(3);
  if (kind == 0) letters.erase(letters.begin() + at);
  if (kind == 1) letters.insert(letters.begin() + at, letters[static_cast<std::size_t>(at)]);
  if (kind == 2) std::swap(letters[static_cast<std::size_t>(at)], letters[static_cast<std::size_t>(at) + 1]);
  return Join(letters);
}

// --- firms and people ---

struct Firm {
  long number;
  bool latin;
  std::string name, form, domain, inn, switchboard;
};

struct Person {
  Firm firm;
  bool latin;
  std::string family, given, nickname, patronymic;
  std::string email, phone, inn, position;  // phone: ten digits; each empty when missing
};

std::string PhoneOf(Dice& dice) { return dice.Pick(kCodes) + Printf("%07ld", dice.Roll(10'000'000)); }

// Ten digits with a check digit.
std::string InnOf(Dice& dice) {
  constexpr int kWeights[] = {2, 4, 10, 3, 5, 9, 4, 6, 8};
  std::string digits = Printf("%09ld", 100'000'000 + dice.Roll(899'999'999));
  int sum = 0;
  for (std::size_t i = 0; i < 9; ++i) sum += kWeights[i] * (digits[i] - '0');
  return digits + static_cast<char>('0' + sum % 11 % 10);
}

std::string Syllables(Dice& dice, long count) {
  std::string text;
  for (long i = 0; i < count; ++i) text += dice.Pick(kSyllables);
  // A capital, of the two-byte letters а..п and р..я.
  const auto second = static_cast<unsigned char>(text[1]);
  if (static_cast<unsigned char>(text[0]) == 0xd0) {
    text[1] = static_cast<char>(second - 0x20);
  } else {
    text[0] = static_cast<char>(0xd0);
    text[1] = static_cast<char>(second + 0x20);
  }
  return text;
}

Firm FirmOf(long number) {
  Dice dice(number, 1);
  Firm firm;
  firm.number = number;
  firm.latin = dice.Percent(18);
  const long kind = dice.Roll(100);
  if (firm.latin) {
    firm.name = Transliterate(Syllables(dice, 2 + dice.Roll(2))) + " " +
                (kind < 50 ? Transliterate(dice.Pick(kTrades)) : Transliterate(dice.Pick(kParts)));
    firm.form = dice.Pick(kLatinForms);
  } else {
    firm.name = kind < 30   ? std::string(dice.Pick(kParts)) + dice.Pick(kTrades)
                : kind < 45 ? std::string(dice.Pick(kParts)) + "-" + dice.Pick(kTrades)
                : kind < 60 ? std::string(dice.Pick(kWords)) + Printf("-%ld", 2 + dice.Roll(98))
                : kind < 70 ? std::string(dice.Pick(kWords)) + " " + dice.Pick(kTrades)
                            : Syllables(dice, 2 + dice.Roll(3)) + (kind < 85 ? "" : " ") +
                                  (kind < 85 ? "" : dice.Pick(kTrades));
    firm.form = dice.Pick(kForms);
  }
  firm.domain = Slug(firm.name).substr(0, 18) + Printf("%lx", number) + (dice.Percent(80) ? ".ru" : ".com");
  if (!firm.latin || dice.Percent(30)) firm.inn = InnOf(dice);
  firm.switchboard = PhoneOf(dice);
  return firm;
}

std::string EmailOf(const Person& person, long number, Dice& dice) {
  const std::string family = Slug(person.family), given = Slug(person.given);
  const long kind = dice.Roll(4);
  const std::string user = kind == 0   ? given.substr(0, 1) + "." + family
                           : kind == 1 ? given + "." + family
                           : kind == 2 ? family
                                       : family + given.substr(0, 1);
  // Nobody else's: numbered.
  if (dice.Percent(28)) return user + Printf("%lx", number) + "@" + dice.Pick(kFreeMail);
  return user + (dice.Percent(50) ? "" : Printf("%lx", number % 256)) + "@" + person.firm.domain;
}

Person PersonOf(long number) {
  Dice dice(number, 2);
  Person person;
  // 2.6 people to a firm.
  person.firm = FirmOf(number * 5 / 13);
  person.latin = person.firm.latin && dice.Percent(70);
  if (person.latin) {
    person.family = dice.Pick(kLatinFamilyNames);
    person.given = person.nickname = dice.Pick(kLatinGivenNames);
  } else {
    person.family = kFamilyNames[dice.Frequent<std::size(kFamilyNames)>()];
    const std::size_t given = dice.Frequent<std::size(kGivenNames)>();
    person.given = kGivenNames[given];
    person.nickname = kNicknames[given];
    person.patronymic = dice.Pick(kPatronymics);
    // Syllables make more families than the list has.
    if (dice.Percent(40)) person.family = Syllables(dice, 2) + "нов";
  }
  if (!dice.Percent(18)) person.phone = dice.Percent(12) ? person.firm.switchboard : PhoneOf(dice);
  if (!dice.Percent(14))
    person.email = dice.Percent(6) ? "info@" + person.firm.domain : EmailOf(person, number, dice);
  if (dice.Percent(50)) person.inn = person.firm.inn;
  if (dice.Percent(70)) person.position = dice.Pick(kPositions);
  return person;
}

// --- leads ---

struct Written {
  std::string name, company, email, phone, inn, position;
};

std::string WritePhone(const std::string& digits, Dice& dice) {
  if (digits.empty()) return "";
  const std::string a = digits.substr(0, 3), b = digits.substr(3, 3), c = digits.substr(6, 2),
                    d = digits.substr(8, 2);
  switch (dice.Roll(4)) {
    case 0:
      return "+7" + digits;
    case 1:
      return "8" + digits;
    case 2:
      return "+7 (" + a + ") " + b + "-" + c + "-" + d;
    default:
      return "8-" + a + "-" + b + "-" + c + d;
  }
}

Written WriteAsIs(const Person& person, Dice& dice) {
  Written lead;
  const long order = dice.Roll(100);
  if (person.latin)
    lead.name = person.given + " " + person.family;
  else
    lead.name = order < 45   ? person.family + " " + person.given + " " + person.patronymic
                : order < 80 ? person.given + " " + person.family
                             : person.family + " " + person.given;
  lead.company = person.firm.latin ? person.firm.name + " " + person.firm.form
                                   : person.firm.form + (dice.Percent(70) ? " «" + person.firm.name + "»"
                                                                          : " " + person.firm.name);
  lead.email = person.email;
  lead.phone = WritePhone(person.phone, dice);
  lead.inn = person.inn;
  lead.position = person.position;
  return lead;
}

std::string DamageName(const Person& person, Dice& dice) {
  std::string family = person.family, given = person.given;
  if (dice.Percent(12)) given = person.nickname;
  if (dice.Percent(18)) family = Typo(family, dice);
  const long kind = dice.Roll(100);
  if (person.latin)
    return kind < 40   ? given + " " + family
           : kind < 60 ? family + " " + given
           : kind < 80 ? FirstLetter(given) + ". " + family
                       : Typo(given + " " + family, dice);
  return kind < 20   ? family + " " + given + " " + person.patronymic
         : kind < 40 ? given + " " + family
         : kind < 52 ? family + " " + given
         : kind < 64 ? family + " " + FirstLetter(given) + "." + FirstLetter(person.patronymic) + "."
         : kind < 70 ? family + " " + FirstLetter(given) + "."
         : kind < 74 ? given
         : kind < 94 ? Transliterate(given + " " + family)
                     : given + " " + person.patronymic;
}

std::string DamageCompany(const Firm& firm, Dice& dice) {
  std::string name = firm.name;
  if (dice.Percent(15)) name = Typo(name, dice);
  const long kind = dice.Roll(100);
  if (firm.latin)
    return kind < 40 ? name : kind < 70 ? name + " " + dice.Pick(kLatinForms) : name + " Russia";
  return kind < 28   ? name
         : kind < 40 ? name + ", " + firm.form
         : kind < 60 ? firm.form + " " + name
         : kind < 76 ? Transliterate(firm.form + " " + name)
         : kind < 88 ? Transliterate(name) + " LLC"
         : kind < 96 ? name + " (" + dice.Pick(kCities) + ")"
                     : "";
}

std::string DamageEmail(const std::string& email, Dice& dice) {
  const std::size_t at = email.find('@');
  const std::string user = Typo(email.substr(0, at), dice);
  // Two dots in a row are no address.
  return user.find("..") == std::string::npos ? user + email.substr(at) : email;
}

Written Damage(const Person& person, long number, Dice& dice) {
  Written lead;
  lead.name = DamageName(person, dice);
  lead.company = DamageCompany(person.firm, dice);
  const long email = dice.Roll(100);
  if (person.email.empty() ? email < 50 : email >= 80)
    lead.email = EmailOf(person, number, dice);
  else if (!person.email.empty() && email >= 28)
    lead.email = email < 72 ? person.email : DamageEmail(person.email, dice);
  const long phone = dice.Roll(100);
  std::string digits = person.phone;
  if (phone < 26)
    digits.clear();
  else if (!digits.empty() && phone >= 74 && phone < 84)
    std::swap(digits[7], digits[8]);
  else if (phone >= 84)
    digits = PhoneOf(dice);
  lead.phone = WritePhone(digits, dice);
  if (dice.Percent(42)) lead.inn = person.firm.inn;
  if (dice.Percent(60)) lead.position = person.position;
  return lead;
}

std::string AsJson(const Written& lead) {
  std::string json = "{";
  const auto add = [&](const char* key, const std::string& value) {
    if (!value.empty()) json += Printf("%s\"%s\":\"%s\"", json.size() > 1 ? "," : "", key, value.c_str());
  };
  add("name", lead.name);
  add("company", lead.company);
  add("email", lead.email);
  add("phone", lead.phone);
  add("inn", lead.inn);
  add("position", lead.position);
  return json + "}";
}

// Which person a lead is about: neighbours in number are no neighbours in firm. A copy is about another
// lead's.
long PersonNumber(long number, long total) {
  long stride = total * 618 / 1000 | 1;
  while (std::gcd(stride, total) != 1) stride += 2;
  return static_cast<long>(static_cast<__int128>(number) * stride % total);
}

bool IsCopy(long number) { return Dice(number, 3).Percent(10); }

}  // namespace

std::string VariedLead(long number, long total) {
  Dice dice(number, 4);
  if (!IsCopy(number)) return AsJson(WriteAsIs(PersonOf(PersonNumber(number, total)), dice));
  long original = 1 + dice.Roll(total);
  while (IsCopy(original)) original = 1 + original % total;
  return AsJson(Damage(PersonOf(PersonNumber(original, total)), number, dice));
}

std::string DamagedLead(long number, long total, int copy) {
  Dice dice(number, 100 + static_cast<std::uint64_t>(copy));
  return AsJson(Damage(PersonOf(PersonNumber(number, total)), number, dice));
}

VariedOrganization VariedLeadsOf(Connection& connection, int number, long total) {
  connection.Run("RESET kvcrm.user_id");
  connection.Run("RESET kvcrm.organization_id");
  connection.Run("SET client_min_messages = warning");
  connection.Run(
      "CREATE TABLE IF NOT EXISTS bench.varied (number int PRIMARY KEY, leads bigint,"
      " organization uuid, complete boolean)");
  const Result found = connection.Run(Printf(
      "SELECT organization, complete, leads = %ld FROM bench.varied WHERE number = %d", total, number));
  VariedOrganization organization{number, total, ""};
  if (found.rows() == 1) {
    if (found.Text(0, 1) != "t" || found.Text(0, 2) != "t")
      Fail("an earlier run was interrupted, or of another scale: load the data again");
    organization.id = found.Text(0, 0);
  } else {
    organization.id = CreateOrganization(connection, Printf("Varied %d", number), number);
    connection.Run("UPDATE kvcrm.organizations SET duplicate_policy = 'allow' WHERE id = " +
                   Quote(organization.id));
    connection.Run(Printf("INSERT INTO bench.varied VALUES (%d, %ld, '%s', false)", number, total,
                          organization.id.c_str()));
  }
  const auto act = [&] {
    connection.Run("SET kvcrm.user_id = " + Quote(Member(number, kManager)));
    connection.Run("SET kvcrm.organization_id = " + Quote(organization.id));
  };
  act();
  if (found.rows() == 1) return organization;
  connection.Prepare("import_varied",
                     "SELECT count(*) FROM kvcrm.import_leads($1::jsonb) WHERE outcome = 'created'");
  for (long first = 1; first <= total; first += kBatch) {
    const long end = std::min(first + kBatch - 1, total);
    std::string json = "[";
    for (long n = first; n <= end; ++n) json += (n > first ? "," : "") + VariedLead(n, total);
    const std::string created = connection.Execute("import_varied", {json + "]"}).Text(0, 0);
    if (created != std::to_string(end - first + 1)) Fail("import_leads created " + created + " leads");
    std::fprintf(stderr, "\r  loaded %ld varied leads ", end);
  }
  std::fprintf(stderr, "\n");
  connection.Run("DEALLOCATE import_varied");
  connection.Run(Printf("UPDATE bench.varied SET complete = true WHERE number = %d", number));
  connection.Run("VACUUM ANALYZE");
  connection.Run("CHECKPOINT");
  return organization;
}

}  // namespace bench
