#include "match/model.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "match/company_comparison.hpp"
#include "match/edit_distance.hpp"
#include "match/email_address.hpp"
#include "match/name_comparison.hpp"
#include "text/inn.hpp"

namespace kvcrm::match {

namespace {

// --- Levels and weights ---

// Indexes into kLevels. The first part of a name is the field.
enum : int {
  kNameExact,
  kNameEquivalent,
  kNameTypo,
  kNameInitials,
  kNameFamilyAlone,
  kNameGivenAlone,
  kNameFamilyOnly,
  kNameGivenOnly,
  kNameDifferent,
  kNameMissing,
  kCompanyExact,
  kCompanyColleague,
  kCompanyOtherForm,
  kCompanyTypo,
  kCompanyPartial,
  kCompanyMostWords,
  kCompanySomeWords,
  kCompanyFewWords,
  kCompanyNoWords,
  kCompanyDifferent,
  kCompanyMissing,
  kEmailExact,
  kEmailRole,
  kEmailTypo,
  kEmailAlike,
  kEmailLocalPart,
  kEmailDomain,
  kEmailColleague,
  kEmailDifferent,
  kEmailMissing,
  kPhoneExact,
  kPhoneSameFirm,
  kPhoneSwitchboard,
  kPhoneTypo,
  kPhoneDifferent,
  kPhoneMissing,
  kInnExact,
  kInnSameFirm,
  kInnTypo,
  kInnDifferent,
  kInnUnclear,
  kInnMissing,
  kLevelCount,
};

// Origins, behind each weight: S = log2(m/u) estimated on the synthetic set with 100 000 leads, m from its
// true pairs, u from a million random pairs (bench/data/synthetic); F = the same on febrl 3, whose addresses
// are names of many words; J = judgement, where a set is small, made up or silent on what people do. They are
// rounded, not fitted to a threshold.
//
// Where two fields say the same thing (a company's name, its INN and its domain; a switchboard and the firm),
// the second has a level of its own with the little that it adds: weights may be added up only for fields
// that are independent.
constexpr Level kLevels[] = {
    {"name", "exact", 12.5},        // S 12.8
    {"name", "equivalent", 11.5},   // S 11.7
    {"name", "typo", 10.0},         // S 10.9
    {"name", "initials", 9.0},      // S 10.1; J: room for a brother or a wife
    {"name", "family_alone", 6.0},  // S 8.2 with given_alone; J: the part a family name has in it
    {"name", "given_alone", 3.5},   // with family_alone S 8.2; J: one of some sixty names
    {"name", "family_only", -1.5},  // S 0.4; J: relatives work together
    {"name", "given_only", -1.5},   // S 1.0; J: a given name is nobody's own
    {"name", "different", -8.0},    // S -7.3; J: outweighs what colleagues share
    {"name", "missing", 0.0},       // neutral

    {"company", "exact", 12.0},  // S 12.3
    {"company", "colleague",
     3.0},  // J: where names are of two people, a firm they share makes them colleagues
    {"company", "other_form", 9.0},   // S 8.4; J: people mix up forms
    {"company", "typo", 10.0},        // S 9.1
    {"company", "partial", 4.0},      // S 1.7 from few pairs; J: branches, short forms
    {"company", "most_words", 10.5},  // F: no false pair among 25 000 candidates; J: below exact
    {"company", "some_words", 6.0},   // F 7
    {"company", "few_words", -1.0},   // F -0.5
    {"company", "no_words", -10.0},   // F -10
    {"company", "different", -6.5},   // S -5.9
    {"company", "missing", 0.0},      // neutral

    {"email", "exact", 18.0},      // S 18.3, for an address of two records in ten thousand
    {"email", "role", 2.0},        // J: a firm's, hardly more than its domain
    {"email", "typo", 14.0},       // S 15.8; J: addresses of namesakes look like slips
    {"email", "alike", 0.5},       // J: a.ivanov and o.ivanov are two people where their names are
    {"email", "local_part", 1.5},  // S 3.7, but -4.5 where names agree, which give the local part
    {"email", "domain", 6.0},      // S 15.9 from few pairs; J: says no more than the firm
    {"email", "colleague", -1.0},  // J: a firm gives a person one mailbox
    {"email", "different", -3.0},  // S -2.9
    {"email", "missing", 0.0},     // neutral

    {"phone", "exact", 13.0},       // S 17.8; J: offices and families share numbers
    {"phone", "same_firm", 5.0},    // S 5.7 among candidates, who share a firm
    {"phone", "switchboard", 1.0},  // J: colleagues share it
    {"phone", "typo", 9.0},         // S 19.5 from few pairs; J: numbers come in blocks
    {"phone", "different", -2.0},   // S -2.1
    {"phone", "missing", 0.0},      // neutral

    {"inn", "exact", 9.0},       // S 16.8; J: colleagues share it
    {"inn", "same_firm", 0.5},   // J: colleagues share it; a sole trader's is a person's
    {"inn", "typo", 3.0},        // S 7.9; J: numbers of one inspectorate look alike
    {"inn", "different", -7.0},  // S -8.1; J: people change firms
    {"inn", "unclear", -3.0},    // J: one of both is invalid
    {"inn", "missing", 0.0},     // neutral
};
static_assert(std::size(kLevels) == kLevelCount);

// Log odds that a pair taken at random among ten thousand records is a duplicate. If one record in five had
// one, it would be -15.6; two bits more make the probabilities near the threshold agree with the share of
// true pairs there, for the fields' weights are rounded down.
constexpr double kPrior = -13.5;

// --- How common a value is ---

// In what share of the records of a typical organization a value occurs that is neither rare nor common: what
// the weights above are meant for.
constexpr double kTypicalShare[kValueCount] = {
    1.0 / 400,              // family name
    1.0 / 60,               // given name
    1.0 / 2000,             // company
    1.0 / 2000,             // domain
    2.0 / kTypicalRecords,  // e-mail: the two records that are compared
    2.0 / kTypicalRecords,  // phone
    3.0 / kTypicalRecords,  // INN
};
// Shares are counted as if that many records with typical values had been seen before.
constexpr double kImaginaryRecords = 500;
// No value's frequency changes a weight by more. Bits.
constexpr double kMostAdjustment = 8;

// The weight of an agreement is log2(m/u), and u, the chance that two records agree on this value, is its
// share.
double Adjustment(const Frequencies& frequencies, Value value) {
  const auto slot = static_cast<std::size_t>(value);
  const double typical = kTypicalShare[slot], records = frequencies.records;
  if (records == 0) return 0;
  // At least the two that are compared have it.
  const double count = std::max<double>(frequencies.of[slot], 2);
  const double share = (count + typical * kImaginaryRecords) / (records + kImaginaryRecords);
  return std::clamp(std::log2(typical / share), -kMostAdjustment, kMostAdjustment);
}

double PriorOf(const Frequencies& frequencies, const Model& model) {
  if (frequencies.records == 0) return model.prior;
  return model.prior -
         std::log2((frequencies.records + kImaginaryRecords) / (kTypicalRecords + kImaginaryRecords));
}

// --- Fields ---

struct Found {
  int level;
  double adjustment = 0;
};

Found FindName(const Record& a, const Record& b, const Frequencies& frequencies) {
  const NameComparison comparison = CompareNames(a.name, b.name);
  const auto adjustment = [&] {
    double bits = 0;
    const std::string_view family = FamilyName(a.name), given = GivenName(a.name);
    if (!family.empty() && family == FamilyName(b.name)) bits += Adjustment(frequencies, Value::kFamilyName);
    if (!given.empty() && given == GivenName(b.name)) bits += Adjustment(frequencies, Value::kGivenName);
    return bits;
  };
  switch (comparison.level) {
    case NameLevel::kExact:
      return {kNameExact, adjustment()};
    case NameLevel::kEquivalent:
      return {kNameEquivalent, adjustment()};
    case NameLevel::kTypo:
      return {kNameTypo, adjustment()};
    case NameLevel::kInitials:
      return {kNameInitials, adjustment()};
    case NameLevel::kPartial: {
      const std::string_view given = GivenName(a.name);
      const bool alone = !given.empty() && given == GivenName(b.name);
      return {alone ? kNameGivenAlone : kNameFamilyAlone, adjustment()};
    }
    case NameLevel::kFamilyOnly:
      return {kNameFamilyOnly};
    case NameLevel::kGivenOnly:
      return {kNameGivenOnly};
    case NameLevel::kDifferent:
      return {kNameDifferent};
    case NameLevel::kMissing:
      break;
  }
  return {kNameMissing};
}

// In names of many words, as addresses and full names of institutions are, few words agree by chance, and few
// names are written twice the same: how many agree says more than that some don't.
constexpr std::ptrdiff_t kManyWords = 4;
constexpr double kMostWords = 0.5, kSomeWords = 0.2, kFewWords = 0.08;

bool IsLong(std::string_view company) {
  const std::string_view core = CompanyCore(company);
  return std::count(core.begin(), core.end(), ' ') + 1 >= kManyWords;
}

Found FindCompany(const Record& a, const Record& b, const Frequencies& frequencies) {
  const CompanyComparison comparison = CompareCompanies(a.company, b.company);
  switch (comparison.level) {
    case CompanyLevel::kExact:
      return {kCompanyExact, Adjustment(frequencies, Value::kCompany)};
    case CompanyLevel::kOtherForm:
      return {kCompanyOtherForm, Adjustment(frequencies, Value::kCompany)};
    case CompanyLevel::kTypo:
      return {kCompanyTypo};
    case CompanyLevel::kPartial:
    case CompanyLevel::kDifferent:
      if (IsLong(a.company) && IsLong(b.company)) {
        if (comparison.similarity < kFewWords) return {kCompanyNoWords};
        if (comparison.similarity < kSomeWords) return {kCompanyFewWords};
        return {comparison.similarity < kMostWords ? kCompanySomeWords : kCompanyMostWords};
      }
      return {comparison.level == CompanyLevel::kPartial ? kCompanyPartial : kCompanyDifferent};
    case CompanyLevel::kMissing:
      break;
  }
  return {kCompanyMissing};
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string_view WithoutDigits(std::string_view text) {
  while (!text.empty() && IsDigit(text.back())) text.remove_suffix(1);
  return text;
}

// A slip of the pen or two in one of two addresses. Digits don't count as slips in a local part (ivanov1 and
// ivanov2 are two people), nor one provider for another.
bool IsEmailTypo(const Record& a, const Record& b, const EmailAddress& x, const EmailAddress& y) {
  if (WithoutDigits(x.local) == WithoutDigits(y.local) && x.local != y.local) return false;
  if (x.domain == y.domain) {
    const std::size_t length = std::min(x.local.size(), y.local.size());
    return length >= 4 && EditDistance(x.local, y.local, 2) <= (length >= 8 ? 2 : 1);
  }
  if (IsFreeMail(x.domain) && IsFreeMail(y.domain)) return false;
  if (x.local == y.local) return EditDistance(x.domain, y.domain, 2) <= 2;
  return std::min(a.email.size(), b.email.size()) >= 14 && EditDistance(a.email, b.email, 3) <= 3 &&
         EditDistance(x.local, y.local, 2) <= 2;
}

Found FindEmail(const Record& a, const Record& b, bool same_firm, bool other_person,
                const Frequencies& frequencies) {
  if (a.email.empty() || b.email.empty()) return {kEmailMissing};
  const EmailAddress x(a.email), y(b.email);
  if (a.email == b.email) {
    if (IsRole(x.local)) return {kEmailRole};
    return {kEmailExact, Adjustment(frequencies, Value::kEmail)};
  }
  const bool role = IsRole(x.local) || IsRole(y.local);
  if (!role && IsEmailTypo(a, b, x, y)) {
    // Addresses follow names: those of relatives and namesakes differ as little as the names do.
    const bool colleagues = other_person && (same_firm || x.local.front() != y.local.front());
    return {colleagues ? kEmailAlike : kEmailTypo};
  }
  if (x.domain == y.domain && !IsFreeMail(x.domain)) return {same_firm ? kEmailColleague : kEmailDomain};
  if (x.local == y.local && x.local.size() >= 5 && !role) return {kEmailLocalPart};
  return {kEmailDifferent};
}

Found FindPhone(const Record& a, const Record& b, bool same_firm, bool other_person,
                const Frequencies& frequencies) {
  if (a.phone.empty() || b.phone.empty()) return {kPhoneMissing};
  const std::string_view x = Subscriber(a.phone), y = Subscriber(b.phone);
  if (x == y) {
    if (same_firm && other_person) return {kPhoneSwitchboard};
    return {same_firm ? kPhoneSameFirm : kPhoneExact, Adjustment(frequencies, Value::kPhone)};
  }
  if (std::min(x.size(), y.size()) >= 7 && EditDistance(x, y, 1) <= 1) return {kPhoneTypo};
  return {kPhoneDifferent};
}

Found FindInn(const Record& a, const Record& b, bool same_firm, const Frequencies& frequencies) {
  if (a.inn.empty() || b.inn.empty()) return {kInnMissing};
  if (a.inn == b.inn)
    return same_firm ? Found{kInnSameFirm} : Found{kInnExact, Adjustment(frequencies, Value::kInn)};
  const bool valid = text::IsValidInn(a.inn) && text::IsValidInn(b.inn);
  if (valid) return {kInnDifferent};
  return {EditDistance(a.inn, b.inn, 1) <= 1 ? kInnTypo : kInnUnclear};
}

constexpr std::size_t kFieldCount = 5;

// The level of each field, in the order of the waterfall; returns the weight.
double Assess(const Record& a, const Record& b, const Frequencies& frequencies, const Model& model,
              std::array<Found, kFieldCount>& found) {
  found[0] = FindName(a, b, frequencies);
  found[1] = FindCompany(a, b, frequencies);
  const int company = found[1].level;
  bool same_firm = company == kCompanyExact || company == kCompanyOtherForm || company == kCompanyTypo;
  const int name = found[0].level;
  const bool other_person = name == kNameFamilyOnly || name == kNameGivenOnly || name == kNameDifferent;
  // A name of many words, as an address is, is shared for other reasons.
  if (same_firm && other_person && !IsLong(a.company)) found[1] = {kCompanyColleague};
  found[2] = FindEmail(a, b, same_firm, other_person, frequencies);
  same_firm = same_firm || found[2].level == kEmailDomain;
  found[3] = FindPhone(a, b, same_firm, other_person, frequencies);
  found[4] = FindInn(a, b, same_firm, frequencies);
  double weight = PriorOf(frequencies, model);
  for (const Found& field : found)
    weight += model.weights[static_cast<std::size_t>(field.level)] + field.adjustment;
  return weight;
}

}  // namespace

const std::vector<Level>& Levels() {
  static const std::vector<Level> levels(std::begin(kLevels), std::end(kLevels));
  return levels;
}

const Model& ShippedModel() {
  static const Model model = [] {
    Model shipped{.prior = kPrior, .weights = {}};
    for (const Level& level : kLevels) shipped.weights.push_back(level.weight);
    return shipped;
  }();
  return model;
}

Comparison Compare(const Record& a, const Record& b, const Frequencies& frequencies, const Model& model) {
  std::array<Found, kFieldCount> found;
  Comparison comparison;
  comparison.prior = PriorOf(frequencies, model);
  comparison.weight = Assess(a, b, frequencies, model, found);
  comparison.probability = ProbabilityOf(comparison.weight);
  comparison.evidence.reserve(kFieldCount);
  for (const Found& field : found) {
    comparison.evidence.push_back({field.level,
                                   model.weights[static_cast<std::size_t>(field.level)] + field.adjustment,
                                   field.adjustment});
  }
  return comparison;
}

double Score(const Record& a, const Record& b, const Frequencies& frequencies, const Model& model) {
  std::array<Found, kFieldCount> found;
  return Assess(a, b, frequencies, model, found);
}

double ProbabilityOf(double weight) { return 1 / (1 + std::exp2(-weight)); }

double WeightOf(double probability) {
  if (probability <= 0) return -HUGE_VAL;
  if (probability >= 1) return HUGE_VAL;
  return std::log2(probability / (1 - probability));
}

}  // namespace kvcrm::match
