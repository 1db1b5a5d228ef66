// Comparison of two company names on named levels.
#pragma once

#include <string_view>

namespace kvcrm::match {

enum class CompanyLevel {
  kExact,      // the same core, legal forms agree or one is missing
  kOtherForm,  // the same core, different legal forms
  kTypo,       // the core with a slip of the pen, or run together
  kPartial,    // one core within the other, or most of the tokens' weight agrees
  kDifferent,  // a number or a distinguishing token contradicts: Vector-2 and Vector-3
  kMissing,
};

struct CompanyComparison {
  CompanyLevel level;
  double similarity;  // 0 to 1, finer than the level
};

// Both are stored forms of text::NormalizeCompany. Symmetric.
CompanyComparison CompareCompanies(std::string_view a, std::string_view b);

// The company's name without legal form and the like, of a stored form, its tokens separated by spaces.
std::string_view CompanyCore(std::string_view stored);

}  // namespace kvcrm::match
