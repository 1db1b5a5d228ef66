// Folding: the form of a text that search compares.
//
// Search asks whether the folded query word is a substring of the folded text, and the word is often still
// being typed. Two texts that a reader takes for the same should therefore fold alike whatever their case,
// accents, script or transliteration scheme (Щукин, Shchukin, Schukin; Хабаров, Khabarov, Habarov), and the
// fold of a beginning of a word must be found in the fold of the word. Most romanisation rules work by
// contraction (kh -> h), which loses the second property: "mik" would not find "Mikhail". The rules here
// work the other way round, by expansion: each letter adds to what was written and takes nothing back.
//
// Letters of the folded form, after case folding and removal of accents:
//
//   y, j -> i   so that ya, ia, ja and я meet, also yu, iu, ju and ю; ey and ei; a run of i is one i, so that
//               Юлия, Yulia, Iuliia, Julia meet, also Дмитрий, Dmitry, Dmitriy, Dmitrii
//   x -> ks     Алексей, Aleksey, Alexey        w -> v   Wolkow, Volkov       q -> k    Qazaqstan, Kazakstan
//   h -> kh     except after k, s, z and c: Habarov and Khabarov are "khabarov"
//   c -> k      Victor and Виктор; a run of k is one k, so that Beck and Бек meet
//   ch -> kch   the c has already become k, the h adds the rest
//   sch, shch   щ too: "shkch" before a vowel, so that чермет ("kchermet") is found in Roschermet;
//               otherwise "sh": Schmidt and Шмидт, Bosch and Бош, Borsch and Борщ
//   ye -> e     at the beginning of a word: Yelena, Elena, Елена; Yekaterinburg, Екатеринбург
//
// Cyrillic is brought to the same letters by a table of our own (fold_tables.hpp). It follows BGN/PCGN 1947
// for Russian as far as sounds go (ж zh, х kh, ц ts, ч ch, ш sh, щ shch, ю yu, я ya; ъ and ь leave no letter
// of their own, but turn a following е, ё, о into ie, io, as in Soloviev), the Ukrainian national system of
// 2010 for є, і, ї, ґ, and plain letters for the Kazakh, Tatar, Belarusian, Serbian and other additions. ё
// and е, й and и are one. ICU's own Cyrillic transliteration is ISO 9 (ш -> š), whose letters lose what tells
// them apart once the accents are stripped. All other scripts go through ICU: NFKC_Casefold, then Any-Latin,
// then Latin-ASCII.
//
// Known limits: ё is е, not yo (Solovyov isn't Соловьёв); the Ukrainian г is g, not h; ts is ц and тс; the
// one-letter query "y" does not find "Yelena", "ye" does; the folds of words in scripts that ICU
// transliterates by context (Thai, Han) needn't contain the folds of their beginnings.
#pragma once

#include <string>
#include <string_view>

namespace kvcrm::text {

// The folded form of `utf8`: lower-case ASCII words separated by single spaces, without leading or trailing
// space. Besides letters and digits only @ . - _ + are kept; apostrophes and zero-width characters vanish,
// all other punctuation, symbols, controls and malformed bytes separate words. Letters of a script that ICU
// can't transliterate stay as they are (case folded). Idempotent: Fold(Fold(x)) == Fold(x).
//
// At the very end of the string a c after s or sh is left out, because the next letter decides what it is:
// the fold of "sc" is "s", contained in that of both "Scania" and "Schukin".
//
// ASCII, Cyrillic and the Latin letters of Europe are folded by table, at about 5 nanoseconds a byte; ICU is
// entered for the rest only, which is some hundred times slower, and its transliterators load on first use.
std::string Fold(std::string_view utf8);

// Loads ICU's transliterators, which otherwise delay the first text in another script by about 0.1 s.
void WarmUpFold();

}  // namespace kvcrm::text
