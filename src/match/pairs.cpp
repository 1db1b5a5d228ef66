#include "match/pairs.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

namespace kvcrm::match {

namespace {

// A block with more records than kKeyCap is sorted, and each record compared with so many before and after
// it.
constexpr std::uint32_t kNeighbours = 2;

constexpr std::uint32_t kNoBlock = 0xFFFFFFFF;

// Calls `progress` every few milliseconds, looking at the clock only now and then.
class Ticker {
 public:
  Ticker(const std::function<void(double, double)>& progress, double total)
      : progress_(progress), total_(total) {}

  void Work(double amount) {
    done_ += amount;
    if (++calls_ % 64 != 0) return;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::milliseconds(2)) return;
    last_ = now;
    Report();
  }
  void Report() const {
    if (progress_) progress_(std::min(done_, total_), total_);
  }

 private:
  const std::function<void(double, double)>& progress_;
  double total_, done_ = 0;
  std::uint64_t calls_ = 0;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// Bytes in chunks that never move: growing costs no copy and no second buffer.
class Arena {
 public:
  const char* Append(std::string_view bytes) {
    if (chunks_.empty() || used_ + bytes.size() > size_) {
      size_ = std::max(kChunk, bytes.size());
      chunks_.push_back(std::make_unique_for_overwrite<char[]>(size_));
      used_ = 0;
    }
    char* const to = chunks_.back().get() + used_;
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
    used_ += bytes.size();
    return to;
  }

 private:
  static constexpr std::size_t kChunk = 1 << 20;
  std::vector<std::unique_ptr<char[]>> chunks_;
  std::size_t size_ = 0, used_ = 0;
};

// A list in chunks, for the same reason.
template <typename T>
class Chunks {
 public:
  void Append(const T& value) {
    if (size_ % kChunk == 0) chunks_.push_back(std::make_unique_for_overwrite<T[]>(kChunk));
    chunks_[size_ / kChunk][size_ % kChunk] = value;
    ++size_;
  }
  const T& operator[](std::size_t i) const { return chunks_[i / kChunk][i % kChunk]; }
  T& operator[](std::size_t i) { return chunks_[i / kChunk][i % kChunk]; }
  std::size_t size() const { return size_; }
  void Clear() {
    chunks_.clear();
    size_ = 0;
  }

 private:
  static constexpr std::size_t kChunk = 1 << 16;
  std::vector<std::unique_ptr<T[]>> chunks_;
  std::size_t size_ = 0;
};

struct Entry {
  std::uint64_t hash;
  std::uint32_t slot;
};

// Calls each(begin, end) for the entries of every hash. Hashes are uniform: one pass distributes them by
// their leading bits into parts that fit into a cache, where they are sorted.
template <typename Each>
void ForEachHash(std::vector<Entry>& entries, Ticker& ticker, double work, const Each& each) {
  std::size_t bits = 0;
  while (bits < 12 && (entries.size() >> bits) > 16384) ++bits;
  const std::size_t parts = std::size_t{1} << bits;
  const auto part_of = [&](const Entry& entry) { return bits == 0 ? 0 : entry.hash >> (64 - bits); };
  std::vector<std::size_t> starts(parts + 1, 0);
  for (const Entry& entry : entries) ++starts[part_of(entry) + 1];
  for (std::size_t part = 0; part < parts; ++part) starts[part + 1] += starts[part];
  {
    // In place: each entry is swapped to its part until all are where they belong.
    std::vector<std::size_t> next(starts.begin(), starts.end() - 1);
    for (std::size_t part = 0; part < parts; ++part) {
      while (next[part] < starts[part + 1]) {
        Entry& entry = entries[next[part]];
        const std::size_t home = part_of(entry);
        if (home == part) {
          ++next[part];
        } else {
          std::swap(entry, entries[next[home]++]);
        }
      }
      ticker.Work(work / 2 / static_cast<double>(parts));
    }
  }
  for (std::size_t part = 0; part < parts; ++part) {
    const auto begin = entries.data() + starts[part], end = entries.data() + starts[part + 1];
    std::sort(begin, end, [](const Entry& x, const Entry& y) {
      return x.hash != y.hash ? x.hash < y.hash : x.slot < y.slot;
    });
    for (auto first = begin; first != end;) {
      auto last = first + 1;
      while (last != end && last->hash == first->hash) ++last;
      each(first, last);
      first = last;
    }
    ticker.Work(work / 2 / static_cast<double>(parts));
  }
}

}  // namespace

struct PairFinder::State {
  struct Line {
    const char* text;
    std::uint32_t size;
    std::uint32_t first_key;  // into keys, later into blocks
  };

  State(const Model& shipped, std::string_view owner) : model(shipped), organization(owner) {}

  const Model model;
  const std::string organization;
  Arena texts;
  Chunks<Line> lines;
  Chunks<std::int64_t> keys;
  std::array<std::vector<std::uint32_t>, kValueCount> counts;  // per record
  std::vector<CommonValue> common;

  std::uint32_t size() const { return static_cast<std::uint32_t>(lines.size()); }
  std::string_view TextOf(std::uint32_t record) const { return {lines[record].text, lines[record].size}; }
  std::size_t EndOfKeys(std::uint32_t record, std::size_t all) const {
    return record + 1 < size() ? lines[record + 1].first_key : all;
  }
  Frequencies FrequenciesOf(std::uint32_t record) const;

  void CountValues(Ticker& ticker);
  // Records by block; blocks of one record vanish.
  struct Blocks {
    std::vector<std::uint32_t> starts;        // of each block in members, and the end
    std::vector<std::uint32_t> members;       // records
    std::vector<std::uint32_t> of_key;        // the place of each key's record in members, or kNoBlock
    std::vector<std::uint32_t> begins, ends;  // per place: the members that it is compared with
  };
  void MakeBlocks(Blocks& blocks, Ticker& ticker);
};

Frequencies PairFinder::State::FrequenciesOf(std::uint32_t record) const {
  Frequencies frequencies;
  frequencies.records = size();
  for (std::size_t value = 0; value < kValueCount; ++value) {
    if (record < counts[value].size()) frequencies.of[value] = counts[value][record];
  }
  return frequencies;
}

void PairFinder::State::CountValues(Ticker& ticker) {
  const std::uint32_t least = LeastCommon(size());
  std::array<std::vector<Entry>, kValueCount> entries;
  for (std::size_t value = 0; value < kValueCount; ++value) counts[value].assign(size(), 0);
  for (std::uint32_t record = 0; record < size(); ++record) {
    const ValueHashes hashes = HashValues(Record(TextOf(record)), organization);
    for (std::size_t value = 0; value < kValueCount; ++value) {
      if (hashes.of[value] != 0)
        entries[value].push_back({static_cast<std::uint64_t>(hashes.of[value]), record});
    }
    ticker.Work(1);
  }
  for (std::size_t value = 0; value < kValueCount; ++value) {
    ForEachHash(entries[value], ticker, size() / 4.0, [&](const Entry* first, const Entry* last) {
      const auto count = static_cast<std::uint32_t>(last - first);
      // What single lookups don't know isn't known here either: a pair weighs the same wherever it is shown.
      if (count < least) return;
      common.push_back({static_cast<std::int64_t>(first->hash), count});
      for (const Entry* entry = first; entry != last; ++entry) counts[value][entry->slot] = count;
    });
    entries[value] = {};
  }
}

void PairFinder::State::MakeBlocks(Blocks& blocks, Ticker& ticker) {
  std::vector<Entry> entries(keys.size());
  for (std::size_t key = 0; key < keys.size(); ++key)
    entries[key] = {static_cast<std::uint64_t>(keys[key]), static_cast<std::uint32_t>(key)};
  std::vector<std::uint32_t> record_of(keys.size());
  for (std::uint32_t record = 0; record < size(); ++record) {
    const std::size_t end = EndOfKeys(record, keys.size());
    for (std::size_t key = lines[record].first_key; key < end; ++key) record_of[key] = record;
  }
  blocks.of_key.assign(keys.size(), kNoBlock);
  keys.Clear();

  ForEachHash(entries, ticker, size() * 2.0, [&](Entry* first, Entry* last) {
    const auto count = static_cast<std::uint32_t>(last - first);
    if (count < 2) return;
    const bool large = count > kKeyCap;
    if (large) {
      // Neighbours are those whose stored forms, which begin with the name and the company, sort next to each
      // other.
      std::sort(first, last, [&](const Entry& x, const Entry& y) {
        const std::string_view a = TextOf(record_of[x.slot]), b = TextOf(record_of[y.slot]);
        return a != b ? a < b : x.slot < y.slot;
      });
    }
    const auto start = static_cast<std::uint32_t>(blocks.members.size());
    for (std::uint32_t i = 0; i < count; ++i) {
      blocks.of_key[first[i].slot] = start + i;
      blocks.members.push_back(record_of[first[i].slot]);
      blocks.begins.push_back(start + (large ? i - std::min(i, kNeighbours) : i + 1));
      blocks.ends.push_back(start + (large ? std::min(count, i + 1 + kNeighbours) : count));
    }
    ticker.Work(0);
  });
}

PairFinder::PairFinder(const Model& model, std::string_view organization)
    : state_(std::make_unique<State>(model, organization)) {}

PairFinder::~PairFinder() = default;

void PairFinder::Add(std::string_view normalized, const std::int64_t* keys, std::size_t key_count) {
  State& state = *state_;
  state.lines.Append({state.texts.Append(normalized), static_cast<std::uint32_t>(normalized.size()),
                      static_cast<std::uint32_t>(state.keys.size())});
  for (std::size_t i = 0; i < key_count; ++i) state.keys.Append(keys[i]);
}

void PairFinder::Find(double least_weight, const std::function<void(const Pair&)>& found,
                      const std::function<void(double done, double total)>& progress) {
  State& state = *state_;
  Ticker ticker(progress, state.size() * 8.0 + 1);
  state.CountValues(ticker);
  const std::size_t key_count = state.keys.size();
  State::Blocks blocks;
  state.MakeBlocks(blocks, ticker);

  // Each record meets the members of its blocks with higher numbers; met through several keys, they are
  // compared once. Both sides lie anywhere in memory, and waiting for it would take most of the time: so
  // places are fetched some records ahead, and comparisons put off until their texts have come.
  constexpr std::uint32_t kAhead = 16;
  constexpr std::size_t kPutOff = 256;
  struct Candidate {
    std::uint32_t record, other;
  };
  std::vector<Candidate> candidates;
  const auto compare = [&] {
    for (const Candidate& candidate : candidates) {
      const char* text = state.lines[candidate.other].text;
      __builtin_prefetch(text);
      __builtin_prefetch(text + 64);
    }
    std::uint32_t last = kNoBlock;
    Frequencies frequencies;
    Record a;
    for (const Candidate& candidate : candidates) {
      if (candidate.record != last) {
        last = candidate.record;
        frequencies = state.FrequenciesOf(last);
        a = Record(state.TextOf(last));
      }
      const double weight = Score(a, Record(state.TextOf(candidate.other)), frequencies, state.model);
      if (weight >= least_weight) found({candidate.record, candidate.other, weight});
      ticker.Work(0);
    }
    candidates.clear();
  };
  std::vector<std::uint32_t> others;
  for (std::uint32_t record = 0; record < state.size(); ++record) {
    if (record + kAhead < state.size()) {
      const std::size_t end = state.EndOfKeys(record + kAhead, key_count);
      for (std::size_t key = state.lines[record + kAhead].first_key; key < end; ++key) {
        const std::uint32_t place = blocks.of_key[key];
        if (place == kNoBlock) continue;
        __builtin_prefetch(&blocks.begins[place]);
        __builtin_prefetch(&blocks.ends[place]);
        __builtin_prefetch(&blocks.members[place]);
      }
    }
    others.clear();
    const std::size_t end = state.EndOfKeys(record, key_count);
    for (std::size_t key = state.lines[record].first_key; key < end; ++key) {
      const std::uint32_t place = blocks.of_key[key];
      if (place == kNoBlock) continue;
      for (std::uint32_t other = blocks.begins[place]; other < blocks.ends[place]; ++other) {
        if (blocks.members[other] > record) others.push_back(blocks.members[other]);
      }
    }
    std::sort(others.begin(), others.end());
    others.erase(std::unique(others.begin(), others.end()), others.end());
    for (const std::uint32_t other : others) {
      __builtin_prefetch(&state.lines[other]);
      candidates.push_back({record, other});
    }
    if (candidates.size() >= kPutOff) compare();
    ticker.Work(3);
  }
  compare();
  ticker.Report();
}

std::vector<CommonValue> PairFinder::CommonValues() const { return state_->common; }

Frequencies PairFinder::FrequenciesOf(std::uint32_t record) const { return state_->FrequenciesOf(record); }

std::string_view PairFinder::NormalizedAt(std::uint32_t record) const { return state_->TextOf(record); }

}  // namespace kvcrm::match
