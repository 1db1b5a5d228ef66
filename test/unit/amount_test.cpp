#include "text/amount.hpp"

#include <gtest/gtest.h>

namespace kvcrm::text {
namespace {

std::string Parsed(std::string_view typed) { return ParseAmount(typed).value_or("none"); }

TEST(Amount, PlainNumbers) {
  EXPECT_EQ(Parsed("1234"), "1234");
  EXPECT_EQ(Parsed(" -12.5 "), "-12.5");
  EXPECT_EQ(Parsed("+7"), "7");
  EXPECT_EQ(Parsed("12.345"), "12.345");
  EXPECT_EQ(Parsed(".5"), "0.5");
  EXPECT_EQ(Parsed("5."), "5");
}

TEST(Amount, Thousands) {
  EXPECT_EQ(Parsed("1 234,50"), "1234.50");
  EXPECT_EQ(Parsed("1,234.50"), "1234.50");
  EXPECT_EQ(Parsed("1.234.567,8"), "1234567.8");
  EXPECT_EQ(Parsed("1,234,567"), "1234567");
  EXPECT_EQ(Parsed("1\u00a0234\u202f567"), "1234567");
  EXPECT_EQ(Parsed("1'234"), "1234");
}

TEST(Amount, DecimalComma) {
  EXPECT_EQ(Parsed("0,5"), "0.5");
  EXPECT_EQ(Parsed("1234,567"), "1234.567");
  EXPECT_EQ(Parsed("0,123"), "0.123");
}

TEST(Amount, Currencies) {
  EXPECT_EQ(Parsed("100 руб."), "100");
  EXPECT_EQ(Parsed("$ 1,000.00"), "1000.00");
  EXPECT_EQ(Parsed("12 ₽"), "12");
}

TEST(Amount, WhatCanBeReadInTwoWaysOrNotAtAll) {
  for (const char* typed : {"1,234", "12,345", "", " ", "-", ".", ",", "many", "1-2", "12,34,56", "1,2.3,4",
                            "1e5", "NaN", "0x10", "1.2.3", "--1", "\xff"}) {
    EXPECT_EQ(Parsed(typed), "none") << typed;
  }
}

}  // namespace
}  // namespace kvcrm::text
