#include "text/words.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "text/skeleton.hpp"
#include "text/utf8.hpp"

// A name, as one of a person and of a company; and each of its words as it sounds.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kvcrm::text;
  const std::string_view name(reinterpret_cast<const char*>(data), size);
  for (const WordsOf kind : {WordsOf::kPerson, WordsOf::kCompany}) {
    const Words words(name, kind);
    for (const Word& word : words.all()) {
      if (word.folded.empty() || !IsValidUtf8(word.folded)) std::abort();
      std::vector<char> sounds(word.folded.size());
      if (WriteSounds(word.folded, sounds.data()) > sounds.size()) std::abort();
      if (Skeleton(word.folded).size() > 8) std::abort();
    }
  }
  // A stored form may be damaged.
  std::vector<char> sounds(size);
  if (WriteSounds(name, sounds.data()) > size) std::abort();
  if (Skeleton(name).size() > 8) std::abort();
  return 0;
}
