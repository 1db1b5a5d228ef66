#include "match/edit_distance.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace {

// By the definition: a table of all beginnings.
int Distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<int>> table(a.size() + 1, std::vector<int>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      int& least = table[i][j];
      if (i == 0 || j == 0) {
        least = static_cast<int>(i + j);
        continue;
      }
      least =
          std::min({table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        least = std::min(least, table[i - 2][j - 2] + 1);
    }
  }
  return table[a.size()][b.size()];
}

}  // namespace

// A limit and two words.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 300) return 0;
  const int limit = data[0] % 8;
  const std::string_view words(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::size_t end = std::min(words.find('\n'), words.size() - 1);
  const std::string_view a = words.substr(0, end), b = words.substr(end + 1);
  const int found = kvcrm::match::EditDistance(a, b, limit);
  if (found != kvcrm::match::EditDistance(b, a, limit) || found < 0 || found > limit + 1) std::abort();
  // Overlong words count as different.
  if (found > limit && std::min(a.size(), b.size()) > 64) return 0;
  if (found != std::min(Distance(a, b), limit + 1)) std::abort();
  return 0;
}
