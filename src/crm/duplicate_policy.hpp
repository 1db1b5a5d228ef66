// The duplicate policy 'block': two live leads of an organization can't share an e-mail or a phone.
//
// What holds are the unique indexes leads_block_email and leads_block_phone, whichever way a lead is written;
// what is here says why a write is refused, in the same words every time (docs/matching.md).
#pragma once

#include <optional>

#include "crm/permissions.hpp"

namespace kvcrm::crm {

// Throws 23505: `lead` has the same e-mail or phone (`field`). Names it if the caller may see it.
[[noreturn]] void RaiseDuplicate(const Caller& caller, const char* field, const pg::Uuid& lead,
                                 const std::optional<pg::Uuid>& assignee);

// Throws 23505 when live leads of the organization share an e-mail or a phone, naming the first ones that the
// caller may see. Sees what was committed before the call, whatever snapshot the transaction works with.
void RequireNoDuplicates(const pg::Uuid& organization);

// Makes an error of one of the two indexes, which comes when two transactions write at the very same moment,
// read like RaiseDuplicate. For pg::Error::SetRewording.
void RewordDuplicate(ErrorData* error);

}  // namespace kvcrm::crm
