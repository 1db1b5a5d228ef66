#include "text/libraries.hpp"

#include <gtest/gtest.h>

namespace kvcrm::text {
namespace {

// Of 250 countries; a build that doesn't tell its plans is one that no upgrade is noticed of.
TEST(Libraries, NumberingPlansAreTold) {
  EXPECT_GT(NumberingPlans().size(), 50'000U);
  // An example number of Russia's plan.
  EXPECT_NE(NumberingPlans().find("3011234567"), std::string_view::npos);
}

TEST(Libraries, HashStays) {
  EXPECT_NE(LibrariesHash(), 0U);
  EXPECT_EQ(LibrariesHash(), LibrariesHash());
}

}  // namespace
}  // namespace kvcrm::text
