// SQLSTATEs of our own; PostgREST turns PTnnn into HTTP status nnn, with the message as reason phrase: it
// must be one line of ASCII.
#pragma once

#include "pg/error.hpp"

namespace kvcrm::crm {

inline constexpr int kNotFound = MAKE_SQLSTATE('P', 'T', '4', '0', '4');
inline constexpr int kStale = MAKE_SQLSTATE('P', 'T', '4', '0', '9');

}  // namespace kvcrm::crm
