#include "text/phone.hpp"

#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace kvcrm::text {
namespace {

TEST(Phone, Understood) {
  const struct {
    std::string_view raw, region, number;
  } cases[] = {
      {"8 (495) 123-45-67", "RU", "+74951234567"},
      {"+7 495 123-45-67", "RU", "+74951234567"},
      {"7 495 123 45 67", "RU", "+74951234567"},
      {"007 495 1234567", "RU", "+74951234567"},
      {"007 (495) 1234567 доб. 3", "RU", "+74951234567"},
      {"(495) 123-45-67", "RU", "+74951234567"},
      {"84951234567", "RU", "+74951234567"},
      {"8.495.123.45.67", "RU", "+74951234567"},
      {"8\u00A0495\u00A0123\u201145\u201167", "RU", "+74951234567"},
      {"тел. 8 495 123-45-67", "RU", "+74951234567"},
      {"8 (495) 123-45-67 доб. 12", "RU", "+74951234567"},
      {"8 (495) 123-45-67 доб 12", "RU", "+74951234567"},
      {"+7 495 123-45-67 ext. 12", "RU", "+74951234567"},
      {"+7 495 123-45-67 x12", "RU", "+74951234567"},
      {"8 800 555 35 35", "RU", "+78005553535"},
      {"8-916-123-45-67", "RU", "+79161234567"},
      {"＋７９１６１２３４５６７", "RU", "+79161234567"},
      {"+٧٩١٦١٢٣٤٥٦٧", "RU", "+79161234567"},
      {"+49 30 1234567", "RU", "+49301234567"},
      {"030 1234567", "DE", "+49301234567"},
      {"0049 30 1234567", "DE", "+49301234567"},
      {"0049 30 1234567", "RU", "+49301234567"},
      {"0049 30 1234567", "US", "+49301234567"},
      {"(650) 253-0000", "US", "+16502530000"},
      {"1-800-356-9377", "US", "+18003569377"},
      {"8 701 234 56 78", "KZ", "+77012345678"},
      {"+375 29 123-45-67", "RU", "+375291234567"},
      {"020 7946 0000", "GB", "+442079460000"},
      {"+7 495 123-45-67", "", "+74951234567"},
      {"+7 495 123-45-67", "ZZ", "+74951234567"},
      {"  +7 495 123-45-67\n", "RU", "+74951234567"},
  };
  for (const auto& c : cases) {
    // Twice: the second answer is remembered.
    EXPECT_EQ(ToE164(c.raw, c.region), std::optional(std::string(c.number))) << c.raw << ' ' << c.region;
    EXPECT_EQ(ToE164(c.raw, c.region), std::optional(std::string(c.number))) << c.raw << ' ' << c.region;
  }
}

TEST(Phone, NotUnderstood) {
  for (const std::string_view raw :
       {"", " ", "+", "00", "112", "12345", "Ромашка", "call Ivan", "+7 495 123", "8 495 123-45-67-89-10",
        "+999 123456789", "0000000000", "ivan@example.com", "\xFF\xFE",
        "+7\xFF"
        "4951234567",
        "----", "доб. 12", "👍👍👍👍👍👍"}) {
    EXPECT_EQ(ToE164(raw, "RU"), std::nullopt) << raw;
    EXPECT_EQ(ToE164(raw, "RU"), std::nullopt) << raw;
  }
  EXPECT_EQ(ToE164("8 (495) 123-45-67", ""), std::nullopt);
  EXPECT_EQ(ToE164("8 (495) 123-45-67", "ZZ"), std::nullopt);
  EXPECT_EQ(ToE164("8 (495) 123-45-67", "not a region"), std::nullopt);
}

TEST(Phone, TheRegionDecides) {
  // Asked in turn, so that an answer remembered for one region would show up in another.
  EXPECT_EQ(ToE164("0301234567", "DE"), "+49301234567");
  EXPECT_EQ(ToE164("0301234567", "RU"), std::nullopt);
  EXPECT_EQ(ToE164("0301234567", "DE"), "+49301234567");
}

TEST(Phone, LongInputIsNotLookedAt) {
  std::string raw = "+74951234567";
  raw.resize(kMaxPhoneInput, ' ');
  EXPECT_EQ(ToE164(raw, "RU"), "+74951234567");
  raw.push_back(' ');
  EXPECT_EQ(ToE164(raw, "RU"), std::nullopt);
  EXPECT_EQ(ToE164(std::string(1 << 20, '7'), "RU"), std::nullopt);
}

TEST(Phone, KnownRegions) {
  for (const char* region : {"RU", "DE", "US", "KZ", "GB"}) EXPECT_TRUE(IsKnownRegion(region)) << region;
  for (const char* region : {"", "ru", "ZZ", "RUS", "001"}) EXPECT_FALSE(IsKnownRegion(region)) << region;
}

// A server's standard output isn't ours to write to.
TEST(Phone, Silent) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  WarmUpPhones();
  ToE164("+999 123456789", "ZZ");
  ToE164("call Ivan 12345", "no region");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace kvcrm::text
