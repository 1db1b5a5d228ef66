#include "crm/board_rank.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

// Two ranks, one a line.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kvcrm::crm;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(input.find('\n'), size);
  std::string_view lower = input.substr(0, end), upper = input.substr(std::min(end + 1, size));
  if (!IsRank(upper) || !(lower.empty() || IsRank(lower)) || lower == upper) return 0;
  if (lower > upper) std::swap(lower, upper);
  const std::string rank = RankBetween(lower, upper);
  if (!IsRank(rank) || rank <= lower || rank >= upper) std::abort();
  return 0;
}
