// Whose rights count: the caller's (the outer role) and the owner's (ours).
#pragma once

#include "pg/postgres.hpp"

namespace kvcrm::pg {

// Owner of the schema kvcrm, which the install script makes the owner of everything in it.
Oid ExtensionOwner();

// The caller: SET ROLE, else the session's role. current_user inside a definer function is the owner. To what
// runs in AsTableOwner it is that owner: a host's trigger is not the system because whoever set it off is.
Oid CallerRole();

// Whether the caller may act without naming a user: a superuser, the owner, or a role with BYPASSRLS.
bool CallerIsTrusted();

// Whether policies of the table bind what is just being done: not for its owner, nor inside a definer
// function.
bool RowSecurityBinds(Relation table);

// Switches to the owner for as long as it lives. SECURITY INVOKER code (triggers, policy functions) needs it
// to read and write tables that the caller has no rights on. kPin also fixes search_path, for the policy
// functions, which have no SET clause of their own.
enum class SearchPath { kKeep, kPin };

class AsOwner {
 public:
  explicit AsOwner(SearchPath path = SearchPath::kKeep);
  ~AsOwner();
  AsOwner(const AsOwner&) = delete;
  AsOwner& operator=(const AsOwner&) = delete;

 private:
  Oid user_;
  int security_context_;
  int guc_level_ = 0;
};

// Acts as the owner of somebody else's table for as long as it lives, the way foreign key triggers write such
// a table: its triggers, index expressions and CHECKs, which run as the current user, then have the rights of
// their owner and not ours, and can't get out of that (security-restricted operation). search_path is fixed,
// settings changed meanwhile are put back, and row-level security that binds the owner too is an error
// instead of a filter.
class AsTableOwner {
 public:
  explicit AsTableOwner(Oid owner);
  ~AsTableOwner();
  AsTableOwner(const AsTableOwner&) = delete;
  AsTableOwner& operator=(const AsTableOwner&) = delete;

 private:
  friend Oid CallerRole();
  static Oid acting_;

  Oid outer_;
  Oid user_;
  int security_context_;
  int guc_level_;
};

// Locks a table of kvcrm the way a statement that writes it does, until the transaction ends. For whoever
// locks rows of leads before writing them: who stops all writers and then writes the same rows would wait for
// the rows while the other waits for the table. In a read-only transaction the statement that follows says
// what is wrong.
void LockForWriting(const char* table);

// The value of search_path that the caller of the running function had, below the function's own SET clause.
// Must be called first thing in a function that has such a clause.
const char* CallerSearchPath();

// Whether the running trigger on a table of `table_owner` sees a dump being restored rather than a person
// writing. A dump sets row_security and check_function_bodies off and search_path empty; those alone any
// client could set, so the caller must also be a superuser or a member of the table's owner, and no definer
// function may be in between. Warns once per session.
bool IsRestoring(Oid table_owner);

}  // namespace kvcrm::pg
