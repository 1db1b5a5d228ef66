// The Fellegi-Sunter model: each field of a pair is on one level of agreement, each level has a weight, the
// base-2 logarithm of m/u (how much likelier the level is among duplicates than among others). Weights add up
// to the odds of a duplicate.
//
// Fellegi and Sunter, A Theory for Record Linkage (1969); names of terms as in Splink's documentation.
#pragma once

#include <string_view>
#include <vector>

#include "match/keys.hpp"
#include "match/record.hpp"

namespace kvcrm::match {

struct Level {
  std::string_view field;  // name, company, email, phone, inn, ...
  std::string_view name;   // exact, close, different, missing, ...
  double weight;           // shipped weight, bits
};

// All levels in the order in which a field's levels are tried; an index into it identifies a level. Shipped
// weights stand beside their origin in model.cpp.
const std::vector<Level>& Levels();

// The more records, the fewer of their pairs are duplicates: the prior falls by a bit whenever they double.
inline constexpr double kTypicalRecords = 10000;

struct Model {
  double prior;  // weight before anything is compared, in an organization of kTypicalRecords; bits
  std::vector<double> weights;  // by index into Levels()
};
const Model& ShippedModel();

// From this probability on a pair is shown without being asked for.
inline constexpr double kShippedThreshold =
    0.9;  // 3.2 bits: precision .96 and F1 .89 on the synthetic million

// One field's part in a comparison.
struct Evidence {
  int level;          // index into Levels()
  double weight;      // bits, the frequency adjustment included
  double adjustment;  // bits of it that come from how common the value is
};

struct Comparison {
  double prior;                    // the model's, adjusted to the number of records, bits
  std::vector<Evidence> evidence;  // one per compared field, in the order of the waterfall
  double weight;                   // prior + all evidence, bits
  double probability;              // 2^weight / (1 + 2^weight)
};

// Compares two records. `frequencies` are those of `a`'s values.
Comparison Compare(const Record& a, const Record& b, const Frequencies& frequencies, const Model& model);

// The same without the waterfall, for millions: returns the weight alone.
double Score(const Record& a, const Record& b, const Frequencies& frequencies, const Model& model);

double ProbabilityOf(double weight);
// The other way round, in bits; infinite for 0 and 1.
double WeightOf(double probability);

}  // namespace kvcrm::match
