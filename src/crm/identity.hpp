// Who is acting: the user and the organization that the session's claims or settings name.
//
// Nothing here remembers an answer, since the user may change between two calls; only the parsing of the
// claims is kept, against their exact text.
#pragma once

#include <optional>

#include "pg/types.hpp"

namespace kvcrm::crm {

// Registers the settings kvcrm.user_id, kvcrm.organization_id and the other ones; called by _PG_init.
void DefineSettings();

// The acting user, or nobody. Throws 28000 when the claims are not a JSON object or the id is not a UUID.
std::optional<pg::Uuid> CurrentUser();

// The organization that the claims or the settings name. Throws 28000 as above. Does not look at memberships.
std::optional<pg::Uuid> NamedOrganization();

// The named organization, else the user's only active membership. Needs a session with the owner's rights.
std::optional<pg::Uuid> CurrentOrganization();

// Whether nobody is acting and the caller's role may act as the system, to whom everything is allowed.
bool ActsAsSystem();

// Setting kvcrm.organization_creation: whether any signed-in user may create an organization.
bool AnyoneMayCreateOrganizations();

}  // namespace kvcrm::crm
