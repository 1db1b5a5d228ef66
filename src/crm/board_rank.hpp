// Order inside a column of the board: fractional ranks, so that a move writes one lead.
//
// A rank is a string over 0-9A-Za-z, compared bytewise (COLLATE "C"), that never ends in 0, so that there is
// always room below it. The end of a column is the clock: a new rank is larger than every rank given out
// before, on any number of sessions, without reading the column. Between two neighbours a rank steps away
// from the longer of the two, which is the younger one: a hundred thousand cards dropped at one spot, each
// before the same card or each before the one dropped last, then cost a few more characters, not a character
// each.
#pragma once

#include <string>
#include <string_view>

namespace kvcrm::crm {

// Whether a text is a rank at all; between others nothing can be put.
bool IsRank(std::string_view text);

// A rank behind all ranks given out so far (as far as the servers' clocks agree).
std::string RankAtEnd();

// A rank strictly between two ranks, lower < upper. An empty `lower` is the start of the column. Two calls
// with the same neighbours give different ranks most of the time; equal ones are ordered by the leads' ids.
std::string RankBetween(std::string_view lower, std::string_view upper);

}  // namespace kvcrm::crm
