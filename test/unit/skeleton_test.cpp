#include "text/skeleton.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "text/fold.hpp"

namespace kvcrm::text {
namespace {

std::string Sounds(std::string_view word) {
  const std::string folded = Fold(word);
  std::string sounds(folded.size(), '\0');
  sounds.resize(WriteSounds(folded, sounds.data()));
  return sounds;
}

TEST(Sounds, OneLetterPerSound) {
  const struct {
    std::string_view word, sounds;
  } cases[] = {
      {"", ""},
      {"Щукин", "wukin"},
      {"Shchukin", "wukin"},
      {"Schukin", "wukin"},
      {"Шишкин", "wiwkin"},
      {"Чехов", "cehov"},
      {"Хабаров", "habarov"},
      {"Habarov", "habarov"},
      {"Жуков", "jukov"},
      {"Цой", "qoi"},
      {"Tsoy", "qoi"},
      {"Юлия", "xly"},
      {"Iuliia", "xly"},
      {"Юля", "xly"},
      {"Соловьев", "solovev"},
      {"Soloviev", "solovev"},
      {"Николаев", "nikolaev"},
      {"Nikolayev", "nikolaev"},
      {"Анна", "ana"},
      {"Исаак", "isaak"},
      {"Смирнофф", "smirnov"},
      {"Smirnoff", "smirnov"},
      {"f", "f"},
      {"ff", "f"},
      {"2000", "2000"},
  };
  for (const auto& c : cases) EXPECT_EQ(Sounds(c.word), c.sounds) << c.word;
}

TEST(Skeleton, ForgetsVowelsAndVoice) {
  EXPECT_EQ(Skeleton("ivanov"), "afnf");
  EXPECT_EQ(Skeleton("evanov"), "afnf");
  EXPECT_EQ(Skeleton("ivonof"), "afnf");
  EXPECT_EQ(Skeleton("petrov"), Skeleton("pedrov"));
  EXPECT_NE(Skeleton("petrov"), Skeleton("pavlov"));
  EXPECT_EQ(Skeleton(""), "");
  EXPECT_LE(Skeleton("konstantinopolskii").size(), 8U);
}

}  // namespace
}  // namespace kvcrm::text
