// Words of names as they sound: what comparison and blocking keys see of a word.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kvcrm::text {

// Writes the sounds of a word that Fold has folded, one letter per sound, so that an edit distance counts
// sounds and a typist's slip stays one. Fold only expands, because search needs beginnings of words to be
// found; here whole words are compared, and what schemes of transliteration spell differently is contracted:
// c is ch (ч), h is kh (х), j is zh (ж), q is ts (ц), w is sh (ш, щ), x is iu (ю), y is ia (я), ie is e,
// doubled consonants are one, a final f is v. Writes at most folded.size() bytes to `out` and returns how
// many.
std::size_t WriteSounds(std::string_view folded, char* out);

// The consonants of a word of a stored form (its first letter too, when that is a vowel), voiced and
// voiceless ones as one: words with a slip in a vowel, or by another transliteration scheme, mostly share it.
// At most 8 bytes.
std::string Skeleton(std::string_view token);

}  // namespace kvcrm::text
