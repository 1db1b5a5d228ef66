// Conversion of one lead, for the functions that convert one or many.
#pragma once

#include <string>

#include "crm/leads.hpp"

namespace kvcrm::crm {

// What to do when the lead's INN, e-mail or phone belongs to a customer already.
enum class OnMatch { kLink, kCreate, kError };

// The choice that a text names, kLink for none. Throws 22023.
OnMatch ParseOnMatch(const std::optional<std::string>& text);

// Throws 42501 unless the caller may convert the lead, and so may undo it.
void RequireConvert(const Lead& lead);

// Throws 23514 unless the setting conversion_required, if there is one, is a list of lead fields.
void CheckRequiredSetting(pg::Json settings);

// Converts a lead that the caller sees, as qualify_lead does. Returns the customer's whole row. Needs an open
// session.
pg::Rows ConvertLead(const pg::Uuid& id, const std::optional<pg::Uuid>& customer, OnMatch on_match,
                     const std::optional<pg::Uuid>& organization);

}  // namespace kvcrm::crm
