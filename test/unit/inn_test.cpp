#include "text/inn.hpp"

#include <string>

#include <gtest/gtest.h>

namespace kvcrm::text {
namespace {

TEST(Inn, KnownNumbers) {
  // Sberbank, Gazprom, Yandex, Lukoil; the specimens of a person's number used in the literature.
  for (const char* inn :
       {"7707083893", "7736050003", "7736207543", "7708004767", "500100732259", "526317984689"}) {
    EXPECT_TRUE(IsValidInn(inn)) << inn;
  }
}

TEST(Inn, EverySingleDigitErrorInTheCheckDigitsIsFound) {
  for (const std::string valid : {"7707083893", "500100732259"}) {
    const std::size_t check_digits = valid.size() == 10 ? 1 : 2;
    for (std::size_t i = valid.size() - check_digits; i < valid.size(); ++i) {
      for (char digit = '0'; digit <= '9'; ++digit) {
        std::string changed = valid;
        changed[i] = digit;
        EXPECT_EQ(IsValidInn(changed), changed == valid) << changed;
      }
    }
  }
}

TEST(Inn, Refused) {
  for (const char* text : {"", "1", "7707083894", "770708389", "77070838930", "7707083893 ", " 7707083893",
                           "770708389x", "500100732258", "0000000000", "000000000000", "-707083893",
                           "７７０７０８３８９３", "5001007322590"}) {
    EXPECT_FALSE(IsValidInn(text)) << text;
  }
  EXPECT_FALSE(IsValidInn(std::string(1 << 20, '7')));
}

}  // namespace
}  // namespace kvcrm::text
