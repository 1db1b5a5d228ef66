#include "text/email.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace kvcrm::text {
namespace {

using namespace std::string_literals;

std::string Repeated(std::size_t count, char c) { return std::string(count, c); }

TEST(Email, Valid) {
  const std::string cases[] = {
      "a@b.co",
      "ivan.petrov+crm@example.com",
      "Ivan_Petrov-1@sub.example-company.co.uk",
      "!#$%&'*+-/=?^_`{|}~@example.com",
      "1@1.ru",
      "ivan@3com.com",
      "ivan@xn--80a1acny.xn--p1ai",
      "иван.петров@почта.рф",
      "ivan@почта.рф",
      "用户@例え.jp",
      "jürgen@müller.de",
      "ivan@пример。рф",  // the ideographic full stop separates labels too
      Repeated(64, 'a') + "@example.com",
      "a@" + Repeated(63, 'b') + ".com",
  };
  for (const std::string& address : cases) EXPECT_TRUE(IsValidEmail(address)) << address;
}

TEST(Email, Invalid) {
  const std::string cases[] = {
      "",
      "@",
      "ivan",
      "ivan@",
      "@example.com",
      "ivan@localhost",
      "ivan@@example.com",
      "ivan@petrov@example.com",
      " ivan@example.com",
      "ivan@example.com ",
      "ivan petrov@example.com",
      ".ivan@example.com",
      "ivan.@example.com",
      "ivan..petrov@example.com",
      "ivan@example..com",
      "ivan@.example.com",
      "ivan@example.com.",
      "ivan@-example.com",
      "ivan@example-.com",
      "ivan@exam_ple.com",
      "ivan@[127.0.0.1]",
      "ivan@127.0.0.1",
      "\"ivan petrov\"@example.com",
      "ivan(comment)@example.com",
      "Ivan <ivan@example.com>",
      "ivan,petr@example.com",
      "ivan@example.com\n",
      "ivan\0@example.com"s,
      "ivan\u00A0@example.com",
      "ivan\u200B@example.com",
      "ivan\u202E@example.com",
      "\xFF@example.com",
      "ivan@\xFF.com",
      "ivan@exam\u2028ple.com",
      "ivan@👍\xD0.com",
      Repeated(65, 'a') + "@example.com",
      "a@" + Repeated(64, 'b') + ".com",
      "a@" + Repeated(63, 'b') + "." + Repeated(63, 'b') + "." + Repeated(63, 'b') + "." + Repeated(63, 'b') +
          ".com",
      Repeated(1 << 20, 'a'),
      "a@" + Repeated(1 << 20, '.'),
  };
  for (const std::string& address : cases) EXPECT_FALSE(IsValidEmail(address)) << address.substr(0, 100);
}

TEST(Email, Normalized) {
  const struct {
    std::string_view address, normalized;
  } cases[] = {
      {"", ""},
      {"@", "@"},
      {"  Ivan@Example.COM ", "ivan@example.com"},
      {"ivan+crm@example.com", "ivan@example.com"},
      {"ivan+a+b@example.com", "ivan@example.com"},
      {"+ivan@example.com", "+ivan@example.com"},
      {"Ivan.Petrov@example.com", "ivan.petrov@example.com"},
      {"I.van.Petrov+x@GMail.com", "ivanpetrov@gmail.com"},
      {"ivan.petrov@googlemail.com", "ivanpetrov@gmail.com"},
      {"ivan.petrov@mail.gmail.com", "ivan.petrov@mail.gmail.com"},
      {"..@gmail.com", "..@gmail.com"},
      {"ИВАН@ПОЧТА.РФ", "иван@xn--80a1acny.xn--p1ai"},
      {"иван@XN--80A1ACNY.XN--P1AI", "иван@xn--80a1acny.xn--p1ai"},
      {"иван@почта.рф", "иван@xn--80a1acny.xn--p1ai"},
      {"ju\u0308rgen@mu\u0308ller.de", "jürgen@xn--mller-kva.de"},
      {"JÜRGEN@MÜLLER.DE", "jürgen@xn--mller-kva.de"},
      {"straße@example.com", "straße@example.com"},
      {"ivan.petrov@ｇｍａｉｌ.com", "ivanpetrov@gmail.com"},
      {"Not An Address", "not an address"},
      {"A@\xFF.Com", "a@\xFF.com"},
      {"П+\xFF@example.com", "п@example.com"},
      {"a.\u0301@gmail.com", "á@gmail.com"},
      {". ivan @gmail.com", "ivan@gmail.com"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(NormalizeEmail(c.address), c.normalized) << c.address;
    EXPECT_EQ(NormalizeEmail(c.normalized), c.normalized) << c.address;
  }
}

TEST(Email, LongInput) {
  EXPECT_EQ(NormalizeEmail(Repeated(1 << 20, 'A')), Repeated(1 << 20, 'a'));
  std::string cyrillic = "@";
  while (cyrillic.size() < 1 << 20) cyrillic += "Ж";
  EXPECT_EQ(NormalizeEmail(cyrillic).size(), cyrillic.size());
}

}  // namespace
}  // namespace kvcrm::text
