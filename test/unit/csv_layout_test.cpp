#include "text/csv_layout.hpp"

#include <gtest/gtest.h>

namespace kvcrm::text {
namespace {

TEST(CsvLayout, SeparatorOfTheHeader) {
  EXPECT_EQ(FindCsvLayout("a,b,c\n1;2;3;4").separator, ',');
  EXPECT_EQ(FindCsvLayout("a;b,c;d").separator, ';');
  EXPECT_EQ(FindCsvLayout("a\tb\tc,d").separator, '\t');
  EXPECT_EQ(FindCsvLayout("\"a,b,c\";d").separator, ';');
  EXPECT_EQ(FindCsvLayout("\"a\nb\"\tc,").separator, '\t');
  EXPECT_EQ(FindCsvLayout("name").separator, ',');
  EXPECT_EQ(FindCsvLayout("").separator, ',');
}

TEST(CsvLayout, WhatComesBeforeTheHeader) {
  EXPECT_EQ(FindCsvLayout("\xEF\xBB\xBF\r\n\na,b").body, "a,b");
  EXPECT_EQ(FindCsvLayout("sep=;\r\na,b,c").body, "a,b,c");
  EXPECT_EQ(FindCsvLayout("sep=;\r\na,b,c").separator, ';');
  EXPECT_EQ(FindCsvLayout("sep=x\na,b").body, "sep=x\na,b");
  EXPECT_EQ(FindCsvLayout("a\r\nb\r\n\r").body, "a\r\nb");
}

TEST(CsvLayout, EndOfCopy) {
  for (const char* csv : {"\\.", "a\n\\.", "a\r\n\\.\r\nb"}) EXPECT_TRUE(HasEndOfCopy(csv)) << csv;
  for (const char* csv : {"", "a\\.", "\\.a", "a,\\.\n", "\\\n."}) EXPECT_FALSE(HasEndOfCopy(csv)) << csv;
}

}  // namespace
}  // namespace kvcrm::text
