#include "crm/board_rank.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace kvcrm::crm {

namespace {

constexpr std::string_view kDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr int kBase = 62;
// 62^9 microseconds since 1970 last until the year 2398.
constexpr int kClockDigits = 9;
constexpr int kJitterDigits = 2;
// Room made where two ranks touch: 62^5 ranks, of which a step takes 31 on average.
constexpr std::size_t kExtension = 5;

int DigitOf(char c) {
  if (c <= '9') return c - '0';
  if (c <= 'Z') return c - 'A' + 10;
  return c - 'a' + 36;
}

int Random(int below) {
  static std::minstd_rand generator{std::random_device{}()};
  return std::uniform_int_distribution<int>(0, below - 1)(generator);
}

// Not 0: a rank must not end in 0.
char RandomLastDigit() { return kDigits[static_cast<std::size_t>(1 + Random(kBase - 1))]; }

std::string Padded(std::string_view rank, std::size_t size) {
  std::string padded(rank);
  padded.resize(std::max(size, rank.size()), '0');
  return padded;
}

// Adds `step` (may be negative) to a rank read as a number of its length; false when it leaves the length.
bool Add(std::string& rank, int step) {
  int carry = step;
  for (std::size_t i = rank.size(); i-- > 0 && carry != 0;) {
    int value = DigitOf(rank[i]) + carry;
    carry = 0;
    while (value < 0) value += kBase, --carry;
    while (value >= kBase) value -= kBase, ++carry;
    rank[i] = kDigits[static_cast<std::size_t>(value)];
  }
  return carry == 0;
}

// Steps away from a rank; a step that would end in 0 goes one further.
bool StepFrom(std::string& rank, int step) {
  return Add(rank, step) && (rank.back() != '0' || Add(rank, step < 0 ? -1 : 1));
}

bool Fits(const std::string& rank, std::string_view lower, std::string_view upper) {
  return lower < rank && rank < upper && rank.back() != '0';
}

// The middle of two ranks of one length, rounded down.
std::string Middle(std::string_view lower, std::string_view upper, std::size_t size) {
  const std::string a = Padded(lower, size), b = Padded(upper, size);
  std::string sum(size, '0');
  int carry = 0;
  for (std::size_t i = size; i-- > 0;) {
    const int value = DigitOf(a[i]) + DigitOf(b[i]) + carry;
    sum[i] = static_cast<char>(value % kBase);  // a digit's value, not its letter
    carry = value / kBase;
  }
  int remainder = carry;
  for (std::size_t i = 0; i < size; ++i) {
    const int value = remainder * kBase + sum[i];
    sum[i] = kDigits[static_cast<std::size_t>(value / 2)];
    remainder = value % 2;
  }
  return sum;
}

}  // namespace

bool IsRank(std::string_view text) {
  return !text.empty() && text.back() != '0' && text.find_first_not_of(kDigits) == std::string_view::npos;
}

std::string RankAtEnd() {
  static std::int64_t last = 0;
  using std::chrono::duration_cast, std::chrono::microseconds, std::chrono::system_clock;
  last = std::max(last + 1,
                  std::int64_t{duration_cast<microseconds>(system_clock::now().time_since_epoch()).count()});
  std::string rank(kClockDigits + kJitterDigits, '0');
  std::int64_t rest = last;
  for (int i = kClockDigits; i-- > 0; rest /= kBase) {
    rank[static_cast<std::size_t>(i)] = kDigits[static_cast<std::size_t>(rest % kBase)];
  }
  rank[kClockDigits] = kDigits[static_cast<std::size_t>(Random(kBase))];
  rank.back() = RandomLastDigit();
  return rank;
}

std::string RankBetween(std::string_view lower, std::string_view upper) {
  const int step = 1 + Random(kBase - 1);
  if (lower.size() > upper.size()) {
    std::string rank(lower);
    if (StepFrom(rank, step) && Fits(rank, lower, upper)) return rank;
  } else if (upper.size() > lower.size()) {
    std::string rank(upper);
    if (StepFrom(rank, -step) && Fits(rank, lower, upper)) return rank;
  }
  // A few more digits than either has always leave a middle; its last digit tells two sessions apart.
  const std::size_t size = std::max(lower.size(), upper.size());
  std::string rank = Middle(lower, upper, size);
  rank.back() = rank.back() == '0' ? '1' : rank.back();
  if (Fits(rank, lower, upper)) {
    std::string varied = rank;
    if (Add(varied, Random(kBase)) && Fits(varied, lower, upper)) return varied;
    return rank;
  }
  rank = Middle(lower, upper, size + kExtension);
  rank.back() = RandomLastDigit();
  return rank;
}

}  // namespace kvcrm::crm
