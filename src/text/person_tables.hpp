// Small words of persons' names, and keyboards. Compiled by hand for kvcrm; a part of the titles as in
// rigour's stopwords.yml (OpenSanctions, MIT licence).
#pragma once

#include <string_view>

namespace kvcrm::text::person_tables {

// Left out, unless nothing else is left.
inline constexpr std::string_view kTitles[] = {
    "mr mister mrs misses miss ms mx madam madame mme mlle monsieur fräulein frau herr hr señor señora "
    "señorita sr sra",
    "signor signora pan pani sir dame lord lady dr doctor prof professor dott dottore dottoressa ing dipl "
    "mag mba phd",
    "md esq esquire jr junior snr senior president präsident ambassador amb admiral general colonel captain "
    "capt",
    "brigadier commodore chairman director shaikh sheikh haji mullah mawlawi maulavi qari",
    "господин госпожа гражданин гражданка товарищ тов г-н г-жа гн гжа д-р доктор профессор проф академик "
    "акад уважаемый",
    "уважаемая директор менеджер",
    // Legal forms that get among persons.
    "ип ооо llc ltd",
};

// Particles, as Fold spells them. They weigh little: they come and go, and many names share them.
inline constexpr std::string_view kParticles[] = {
    "al",   "el",   "ul",    "ur",    "ud",  "as",   "ad",   "ar",  "bin", "ibn", "ben",  "bint", "van",
    "von",  "vom",  "zu",    "zum",   "der", "den",  "de",   "du",  "des", "da",  "di",   "do",   "dos",
    "das",  "del",  "della", "dello", "la",  "le",   "lo",   "ter", "ten", "i",   "y",    "e",    "ap",
    "ogli", "ogly", "kizi",  "kyzy",  "uli", "uulu", "zade", "st",  "san", "abu", "abou",
};

// Ends of family names, folded: which of two unknown words is the family name.
inline constexpr std::string_view kFamilyEnds[] = {
    "ov",   "ev",     "in",    "ova",  "eva",   "ina",   "skii", "tskii", "skaia", "tskaia",
    "ski",  "ska",    "ko",    "uk",   "iuk",   "kchuk", "enko", "kikh",  "ikh",   "ykh",
    "dze",  "shvili", "ian",   "oglu", "off",   "sen",   "son",  "sson",  "man",   "mann",
    "berg", "stein",  "vikch", "vik",  "ishin", "kchev", "idze", "aia",   "oi",
};

// The keys of the Latin layout and what they write in the Russian one (ЙЦУКЕН).
inline constexpr std::string_view kLatinKeys = "qwertyuiop[]asdfghjkl;'zxcvbnm,.`";
inline constexpr std::string_view kRussianKeys = "йцукенгшщзхъфывапролджэячсмитьбюё";
static_assert(kRussianKeys.size() == 2 * kLatinKeys.size());

}  // namespace kvcrm::text::person_tables
