// Every fuzzer of test/fuzz on the files kept for it and on their beginnings: what fuzzing once found stays
// fixed. Looking for more is `make fuzz`.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#define FUZZER(subject) extern "C" int Fuzz_##subject(const std::uint8_t* data, std::size_t size);
#include "fuzzers.inc"
#undef FUZZER

namespace kvcrm {
namespace {

using Fuzzer = int (*)(const std::uint8_t*, std::size_t);

// In a vector of its own each, so that the sanitizer sees a read beyond the end.
void RunOn(Fuzzer fuzzer, const std::string& input) {
  const std::vector<std::uint8_t> data(input.begin(), input.end());
  fuzzer(data.data(), data.size());
}

void RunOnCorpus(Fuzzer fuzzer, const char* subject) {
  constexpr std::size_t kBeginnings = 32;
  const std::filesystem::path corpus =
      std::filesystem::path(KVCRM_SOURCE_DIR) / "test" / "fuzz" / "corpus" / subject;
  int files = 0;
  for (const auto& file : std::filesystem::directory_iterator(corpus)) {
    SCOPED_TRACE(file.path().filename());
    std::ifstream stream(file.path(), std::ios::binary);
    const std::string input{std::istreambuf_iterator<char>(stream), {}};
    RunOn(fuzzer, input);
    const std::size_t step = std::max<std::size_t>(1, input.size() / kBeginnings);
    for (std::size_t size = 0; size < input.size(); size += step) RunOn(fuzzer, input.substr(0, size));
    ++files;
  }
  EXPECT_GT(files, 0);
}

#define FUZZER(subject) \
  TEST(Corpus, subject) { RunOnCorpus(Fuzz_##subject, #subject); }
#include "fuzzers.inc"

}  // namespace
}  // namespace kvcrm
