// Duplicates of one record: candidates by blocking keys, compared field by field, shown as far as the caller
// may see them.
#pragma once

#include <string>
#include <vector>

#include "crm/fingerprints.hpp"
#include "crm/leads.hpp"
#include "match/model.hpp"

namespace kvcrm::crm {

// What duplicates are looked for: a lead, or a form not saved yet.
struct Sought {
  TypedFields typed;
  std::string values;                // match::Normalize
  std::vector<std::int64_t> keys;    // match::BlockingKeys
  std::optional<pg::Uuid> lead;      // itself is no duplicate, nor what it was found different from
  std::optional<pg::Uuid> customer;  // what the lead became
};
Sought SoughtLead(const Lead& lead);

// A lead or customer that is alike. Not yet masked: `visible` says what the caller may know of it.
struct Match {
  bool is_customer = false;
  pg::Uuid id;
  bool visible = false;
  std::optional<std::string> owner_name;  // of whoever may be asked
  TypedFields typed;                      // of a lead
  std::string values;                     // the normalised ones that were compared
  match::Comparison comparison;
  // What the probability is when e-mail, phone and INN that are nearly right count like wrong ones; rounded
  // down to one of two. Nothing below the shipped threshold. See docs/matching.md.
  std::optional<double> masked_probability;

  // The probability as the caller may know it.
  double ShownProbability() const {
    return visible ? comparison.probability : masked_probability.value_or(0);
  }
};

// The customer that most likely is the lead's, of at least this probability, whoever may see it: one with a
// person of the lead's names in a firm of its name.
std::optional<pg::Uuid> CustomerLike(const Lead& lead, double least_probability);

// Those of at least this probability, as the caller may know it, the likeliest first.
std::vector<Match> FindMatches(const Caller& caller, const Sought& sought, double least_probability);

}  // namespace kvcrm::crm
