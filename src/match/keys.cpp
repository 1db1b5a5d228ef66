#include "match/keys.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>

#include "match/company_comparison.hpp"
#include "match/email_address.hpp"
#include "match/name_comparison.hpp"
#include "text/skeleton.hpp"

namespace kvcrm::match {

namespace {

// What a hash is of. A part of the hash: never renumber without raising the derivation version.
enum class Kind : std::uint8_t {
  kEmail = 1,
  kPhone,
  kInnAndName,
  kCompanyAndName,
  kCompanyAndInitials,
  kDomainAndName,
  kFullName,
  kCompanyWords,
  kLocalPart,
  kDomain,
  kNamePart,
  kValue = 64,  // + Value
};

// A 64-bit hash that is the same on every machine, for it is stored. FNV-1a with the finalizer of
// MurmurHash3, which spreads it over all bits: sorting and indexes see the leading ones.
class Hash {
 public:
  Hash(std::string_view organization, Kind kind) {
    Add(organization);
    Byte(static_cast<unsigned char>(kind));
  }

  Hash& Add(std::string_view bytes) {
    for (const char c : bytes) Byte(static_cast<unsigned char>(c));
    Byte(0);  // ends the part: ("ab", "c") isn't ("a", "bc")
    return *this;
  }

  // Never 0, which stands for no value.
  std::int64_t Finish() const {
    std::uint64_t h = state_;
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53ULL;
    h ^= h >> 33;
    return h == 0 ? 1 : static_cast<std::int64_t>(h);
  }

 private:
  void Byte(unsigned char byte) {
    state_ ^= byte;
    state_ *= 0x100000001b3ULL;
  }

  std::uint64_t state_ = 0xcbf29ce484222325ULL;
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The parts of a name by which keys are made, as skeletons without repetition: family name and given name,
// which may have been mistaken for each other, so that all words count alike but patronymics and particles
// (text/person_name.cpp describes the stored form). A nickname is taken for the first full name it stands
// for.
struct NameParts {
  std::array<std::string, 2> parts;
  std::size_t count = 0;
  std::array<char, 2> initials = {};  // in order; also of words that are nothing but an initial

  explicit NameParts(std::string_view stored) {
    std::string patronymic;
    std::size_t letters = 0;
    for (std::size_t start = 0; start < stored.size();) {
      const std::size_t end = std::min(stored.find(' ', start), stored.size());
      std::string_view word = stored.substr(start, end - start);
      start = end + 1;
      if (word.size() < 2) continue;
      const char kind = word.front();
      word.remove_prefix(1);
      if (kind == 'F' || kind == 'G' || kind == 'N') {
        if (const std::size_t full = word.find('='); full != std::string_view::npos) {
          word.remove_prefix(full + 1);
          word = word.substr(0, word.find(','));
        }
        std::string skeleton = text::Skeleton(word);
        if (letters < 2 && !word.empty()) initials[letters++] = word.front();
        if (skeleton.empty() || count == 2 || (count == 1 && parts[0] == skeleton)) continue;
        parts[count++] = std::move(skeleton);
      } else if (kind == 'I') {
        if (letters < 2) initials[letters++] = word.front();
      } else if (kind == 'P' && patronymic.empty()) {
        patronymic = text::Skeleton(word);
      }
    }
    if (count == 0 && !patronymic.empty()) parts[count++] = std::move(patronymic);
    if (letters < 2) initials = {};
    if (initials[1] < initials[0]) std::swap(initials[0], initials[1]);
  }
};

constexpr std::size_t kMaxCoreWords = 16;
// Names of companies of so many words are taken as a whole.
constexpr std::size_t kShortName = 3;

struct CoreWords {
  std::array<std::string_view, kMaxCoreWords> words;
  std::size_t count = 0;

  explicit CoreWords(std::string_view core) {
    for (std::size_t start = 0; start < core.size() && count < kMaxCoreWords;) {
      const std::size_t end = std::min(core.find(' ', start), core.size());
      if (end > start) words[count++] = core.substr(start, end - start);
      start = end + 1;
    }
  }

  // People run words together, or take them apart.
  std::string Joined() const {
    std::string joined;
    for (std::size_t i = 0; i < count; ++i) joined.append(words[i]);
    return joined;
  }
};

}  // namespace

std::vector<std::int64_t> BlockingKeys(const Record& record, std::string_view organization) {
  std::vector<std::int64_t> keys = KeysOfContacts(record, organization);
  keys.reserve(16);
  const auto add = [&](Kind kind, auto... values) {
    Hash hash(organization, kind);
    (hash.Add(values), ...);
    keys.push_back(hash.Finish());
  };

  const NameParts name(record.name);
  if (!record.email.empty()) {
    const std::string_view domain = EmailAddress(record.email).domain;
    if (!domain.empty() && !IsFreeMail(domain)) {
      for (std::size_t i = 0; i < name.count; ++i)
        add(Kind::kDomainAndName, domain, std::string_view(name.parts[i]));
    }
  }
  if (!record.inn.empty()) {
    for (std::size_t i = 0; i < name.count; ++i)
      add(Kind::kInnAndName, record.inn, std::string_view(name.parts[i]));
    if (name.count == 0) add(Kind::kInnAndName, record.inn, std::string_view());
  }
  if (name.count == 2) {
    const bool ordered = name.parts[0] < name.parts[1];
    add(Kind::kFullName, std::string_view(name.parts[!ordered]), std::string_view(name.parts[ordered]));
  }

  if (const std::string_view core = CompanyCore(record.company); !core.empty()) {
    const CoreWords words(core);
    if (words.count <= kShortName) {
      const std::string joined = words.Joined();
      const std::string_view company = joined;
      for (std::size_t i = 0; i < name.count; ++i)
        add(Kind::kCompanyAndName, company, std::string_view(name.parts[i]));
      if (name.initials[0] != 0)
        add(Kind::kCompanyAndInitials, company, std::string_view(name.initials.data(), 2));
      if (name.count == 0) add(Kind::kCompanyAndName, company, std::string_view());
    } else {
      // A long name or an address rarely is written twice the same: its longest words stand for it, and its
      // numbers.
      std::array<std::string_view, kMaxCoreWords> sorted = words.words;
      std::sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(words.count),
                [](std::string_view x, std::string_view y) {
                  return x.size() != y.size() ? x.size() > y.size() : x < y;
                });
      std::array<std::string, 3> longest;
      std::size_t found = 0;
      std::string_view number;
      std::string numbers;
      for (std::size_t i = 0; i < words.count; ++i) {
        const std::string_view word = sorted[i];
        if (IsDigit(word.front())) {
          if (number.empty()) number = word;
          numbers.append(word).push_back(' ');
        } else if (found < longest.size()) {
          longest[found++] = text::Skeleton(word).substr(0, 4);
        }
      }
      // Initials outlive a slip of the pen in the name; a name of one word has none.
      const auto add_with_name = [&](std::string_view value) {
        if (name.initials[0] != 0) {
          add(Kind::kCompanyAndInitials, value, std::string_view(name.initials.data(), 2));
        } else if (name.count > 0) {
          add(Kind::kCompanyAndName, value, std::string_view(name.parts[0]));
        }
      };
      for (std::size_t i = 0; i < found; ++i) {
        add_with_name(longest[i]);
        for (std::size_t j = 0; j < name.count; ++j)
          add(Kind::kCompanyAndName, std::string_view(longest[i]),
              std::string_view(name.parts[j]).substr(0, 3));
      }
      if (!number.empty()) {
        add_with_name(number);
        for (std::size_t i = 0; i < name.count; ++i)
          add(Kind::kCompanyAndName, number, std::string_view(name.parts[i]).substr(0, 3));
      }
      if (numbers.size() > number.size() + 1) add(Kind::kCompanyWords, std::string_view(numbers));
      for (std::size_t i = 1; i < found; ++i) {
        const auto& [x, y] = std::minmax(longest[0], longest[i]);
        add(Kind::kCompanyWords, std::string_view(x), std::string_view(y));
      }
    }
  } else {
    // Without a company a record has few keys: single words have to do. In a large organization most of them
    // are beyond the cap.
    for (std::size_t i = 0; i < name.count; ++i) add(Kind::kNamePart, std::string_view(name.parts[i]));
    if (const EmailAddress email(record.email); !email.domain.empty()) {
      if (!IsFreeMail(email.domain)) add(Kind::kDomain, email.domain);
      if (!IsRole(email.local)) add(Kind::kLocalPart, email.local);
    }
  }

  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

std::vector<std::int64_t> KeysOfContacts(const Record& record, std::string_view organization) {
  std::vector<std::int64_t> keys;
  if (!record.email.empty()) keys.push_back(Hash(organization, Kind::kEmail).Add(record.email).Finish());
  if (!record.phone.empty())
    keys.push_back(Hash(organization, Kind::kPhone).Add(Subscriber(record.phone)).Finish());
  return keys;
}

std::vector<std::int64_t> KeysOfPersonInFirm(const Record& record, std::string_view organization) {
  const NameParts name(record.name);
  const CoreWords words(CompanyCore(record.company));
  if (name.count < 2 || words.count == 0 || words.count > kShortName) return {};
  const std::string company = words.Joined();
  std::vector<std::int64_t> keys;
  for (const std::string& part : name.parts)
    keys.push_back(Hash(organization, Kind::kCompanyAndName).Add(company).Add(part).Finish());
  return keys;
}

ValueHashes HashValues(const Record& record, std::string_view organization) {
  ValueHashes hashes;
  const auto set = [&](Value value, std::string_view bytes) {
    if (bytes.empty()) return;
    const auto slot = static_cast<std::size_t>(value);
    const auto kind = static_cast<Kind>(static_cast<std::size_t>(Kind::kValue) + slot);
    hashes.of[slot] = Hash(organization, kind).Add(bytes).Finish();
  };
  set(Value::kFamilyName, FamilyName(record.name));
  set(Value::kGivenName, GivenName(record.name));
  set(Value::kCompany, CompanyCore(record.company));
  set(Value::kDomain, EmailAddress(record.email).domain);
  set(Value::kEmail, record.email);
  set(Value::kPhone, Subscriber(record.phone));
  set(Value::kInn, record.inn);
  return hashes;
}

std::uint32_t LeastCommon(std::uint32_t records) { return std::max<std::uint32_t>(8, records / 100000); }

}  // namespace kvcrm::match
