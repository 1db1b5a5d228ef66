// Small words of persons' names, as Fold folds them. Compiled by hand for kvcrm; a part of the titles as in
// rigour's stopwords.yml (OpenSanctions, MIT licence).
#pragma once

#include <string_view>

namespace kvcrm::text::person_tables {

// Left out, unless nothing else is left.
inline constexpr std::string_view kTitles[] = {
    "mr",       "mister",    "mrs",       "misses",     "miss",       "ms",          "mx",        "madam",
    "madame",   "mme",       "mlle",      "monsieur",   "fraulein",   "frau",        "herr",      "hr",
    "senor",    "senora",    "senorita",  "sr",         "sra",        "signor",      "signora",   "pan",
    "pani",     "sir",       "dame",      "lord",       "lady",       "dr",          "doktor",    "doktor",
    "prof",     "professor", "dott",      "dottore",    "dottoressa", "ing",         "dipl",      "mag",
    "mba",      "phd",       "md",        "esk",        "eskuire",    "jr",          "junior",    "snr",
    "senior",   "iii",       "prezident", "president",  "prasident",  "ambassador",  "amb",       "admiral",
    "general",  "kolonel",   "kapitan",   "kaptain",    "kapt",       "brigadier",   "kommodore", "khairman",
    "direktor", "gospodin",  "gospozha",  "grazhdanin", "grazhdanka", "tovarishkch", "pan",       "pani",
    "akademik", "shaikh",    "sheikh",    "shkeikh",    "khaji",      "mullakh",     "mavlavi",   "maulavi",
    "kari",     "seniora",   "don",       "donna",
};

// Particles weigh little: they come and go, and many names share them.
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

}  // namespace kvcrm::text::person_tables
