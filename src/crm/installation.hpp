// Whether the module and the SQL of the database it works in are of one version.
#pragma once

namespace kvcrm::crm {

// Has every function called from SQL refuse (55000) when the database has kvcrm of another version than this
// module: between the installation of new files and ALTER EXTENSION UPDATE, and in a session that has held
// the module since before an update. Arguments and tables may have changed with the version.
void CheckVersionOnEntry();

// This module's own version.
const char* LibraryVersion();

}  // namespace kvcrm::crm
