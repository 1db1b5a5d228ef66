// What Fold knows about single code points; see fold.hpp for the rules and their origin.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace kvcrm::text::fold_tables {

// A code point's spelling: lower-case Latin letters that go through Fold's rules, digits, a space, a hyphen,
// and these marks.
inline constexpr char kSoft = '\'';  // ъ, ь: no letter, but a following e or o gets an i
inline constexpr char kChe = 'C';    // ч: ch, whatever stands before it
inline constexpr char kShcha = 'S';  // щ: shch

struct Spelling {
  std::u32string_view code_points;
  std::string_view letters;
};

// Upper and lower case, U+0400 to U+052F: first the letters of Russian, then what other languages add.
inline constexpr Spelling kCyrillicSpellings[] = {
    {U"Аа", "a"},
    {U"Бб", "b"},
    {U"Вв", "v"},
    {U"Гг", "g"},
    {U"Дд", "d"},
    {U"ЕеЁёЭэЀѐ", "e"},
    {U"Жж", "zh"},
    {U"Зз", "z"},
    {U"ИиЙйЫыЍѝ", "i"},
    {U"Кк", "k"},
    {U"Лл", "l"},
    {U"Мм", "m"},
    {U"Нн", "n"},
    {U"Оо", "o"},
    {U"Пп", "p"},
    {U"Рр", "r"},
    {U"Сс", "s"},
    {U"Тт", "t"},
    {U"Уу", "u"},
    {U"Фф", "f"},
    {U"Хх", "kh"},
    {U"Цц", "ts"},
    {U"Чч", "C"},
    {U"Шш", "sh"},
    {U"Щщ", "S"},
    {U"ЪъЬь", "'"},
    {U"Юю", "iu"},
    {U"Яя", "ia"},
    // Ukrainian, Belarusian, and the letters of the old orthography.
    {U"ІіЇї", "i"},
    {U"Єє", "ye"},
    {U"Ґґ", "g"},
    {U"Ўў", "u"},
    {U"Ѣѣ", "e"},
    {U"Ѳѳ", "f"},
    {U"Ѵѵ", "i"},
    // Serbian and Macedonian, as their Latin letters fold: ć like c, lj, nj, dž spelled as the Russian дж.
    {U"Јј", "i"},
    {U"Ђђ", "d"},
    {U"Ћћ", "c"},
    {U"Љљ", "li"},
    {U"Њњ", "ni"},
    {U"Џџ", "dzh"},
    {U"Ѓѓ", "g"},
    {U"Ќќ", "k"},
    {U"Ѕѕ", "dz"},
    // Turkic, Mongolian, Finno-Ugric, Caucasian, Tajik.
    {U"ӐӑӒӓӘәӚӛ", "a"},
    {U"ӖӗӬӭ", "e"},
    {U"Ӕӕ", "ae"},
    {U"ҐґҒғҔҕӶӷ", "g"},
    {U"ӁӂӜӝ", "zh"},
    {U"ҖҗҶҷ", "dzh"},
    {U"ҘҙӞӟ", "z"},
    {U"ӠӡӢӣӤӥӸӹҊҋ", "i"},
    {U"ҚқҜҝҞҟҠҡӃӄ", "k"},
    {U"ӅӆԒԓ", "l"},
    {U"ҢңҤҥӇӈӉӊ", "n"},
    {U"ӦӧӨөӪӫ", "o"},
    {U"Ҧҧ", "p"},
    {U"Ҫҫ", "s"},
    {U"Ҭҭ", "t"},
    {U"ҮүҰұӮӯӰӱӲӳ", "u"},
    {U"ҲҳҺһ", "kh"},
    {U"Ҵҵ", "ts"},
    {U"ҸҹӋӌӴӵ", "C"},
    {U"Ҍҍ", "'"},
    {U"Ԛԛ", "k"},
    {U"Ԝԝ", "v"},
};

// Latin letters with accents and their like, U+00C0 to U+024F. The accent goes, as in Unicode's Latin-ASCII.
inline constexpr Spelling kLatinSpellings[] = {
    {U"ÀÁÂÃÄÅàáâãäåĀāĂăĄąǍǎƏ", "a"},
    {U"ÆæǼǽ", "ae"},
    {U"ÇçĆćĈĉĊċČč", "c"},
    {U"ÐðĎďĐđ", "d"},
    {U"ÈÉÊËèéêëĒēĔĕĖėĘęĚě", "e"},
    {U"ĜĝĞğĠġĢģǦǧ", "g"},
    {U"ĤĥĦħ", "h"},
    {U"ÌÍÎÏìíîïĨĩĪīĬĭĮįİıǏǐ", "i"},
    {U"Ĳĳ", "ij"},
    {U"Ĵĵ", "j"},
    {U"Ķķĸ", "k"},
    {U"ĹĺĻļĽľĿŀŁł", "l"},
    {U"ÑñŃńŅņŇňŉŊŋ", "n"},
    {U"ÒÓÔÕÖØòóôõöøŌōŎŏŐőǑǒƠơ", "o"},
    {U"Œœ", "oe"},
    {U"ŔŕŖŗŘř", "r"},
    {U"ŚśŜŝŞşŠšſȘș", "s"},
    {U"ß", "ss"},
    {U"ŢţŤťŦŧȚț", "t"},
    {U"Þþ", "th"},
    {U"ÙÚÛÜùúûüŨũŪūŬŭŮůŰűŲųǓǔƯư", "u"},
    {U"Ŵŵ", "w"},
    {U"ÝýÿŶŷŸ", "y"},
    {U"ŹźŻżŽž", "z"},
};

// Single symbols; what IsSeparator says comes after them.
inline constexpr Spelling kSymbolSpellings[] = {
    // Vanish: apostrophes and what is typed for them, stress marks and primes of scholarly romanisations, the
    // soft hyphen, zero-width and direction marks, variation selectors.
    {U"\u00B4\u02B9\u02BA\u02BB\u02BC\u02BD\u02CA\u02CB\u2018\u2019\u201A\u201B\u2032\u2035"
     U"\u00AD\u200B\u200C\u200D\u200E\u200F\u2060\uFE0E\uFE0F\uFEFF",
     ""},
    {U"\u2010\u2011\u2212", "-"},  // hyphens and the minus sign; dashes separate
    {U"ª\u0259", "a"},             // U+0259 is the Azerbaijani letter whose capital is U+018F
    {U"º", "o"},
    {U"¹", "1"},
    {U"²", "2"},
    {U"³", "3"},
    {U"№", " "},
};

// Symbols that only separate words: punctuation of Latin-1 and of U+2000 to U+206F, pictographs, malformed
// bytes.
constexpr bool IsSeparator(char32_t c) {
  if (c == 0xB5 || (c >= 0xBC && c <= 0xBE)) return false;  // the micro sign and fractions: ICU spells them
  return c < 0xC0 || c == 0xD7 || c == 0xF7 || (c >= 0x2000 && c <= 0x206F) ||
         (c >= 0x1F300 && c <= 0x1FAFF) || c > 0x10FFFF;
}

template <char32_t first, char32_t last, std::size_t count>
constexpr auto Expand(const Spelling (&spellings)[count]) {
  std::array<std::string_view, last - first + 1> table{};
  for (const Spelling& spelling : spellings) {
    for (const char32_t c : spelling.code_points) table[c - first] = spelling.letters;
  }
  return table;
}

inline constexpr char32_t kFirstLatin = 0xC0, kLastLatin = 0x24F;
inline constexpr char32_t kFirstCyrillic = 0x400, kLastCyrillic = 0x52F;
inline constexpr auto kLatin = Expand<kFirstLatin, kLastLatin>(kLatinSpellings);
inline constexpr auto kCyrillic = Expand<kFirstCyrillic, kLastCyrillic>(kCyrillicSpellings);

// Per ASCII character: the lower-case letter, the character itself where it is kept, NUL where it vanishes,
// or a space.
inline constexpr auto kAscii = [] {
  std::array<char, 128> table{};
  for (char& c : table) c = ' ';
  for (char c = 'a'; c <= 'z'; ++c)
    table[static_cast<std::size_t>(c)] = table[static_cast<std::size_t>(c - 'a' + 'A')] = c;
  for (char c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = c;
  for (const char c : std::string_view("@.-_+")) table[static_cast<std::size_t>(c)] = c;
  for (const char c : std::string_view("'`")) table[static_cast<std::size_t>(c)] = '\0';
  return table;
}();

}  // namespace kvcrm::text::fold_tables
