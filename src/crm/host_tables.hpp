// Tables that refer to leads by foreign key, ours and the host's, and how their rows change from one lead to
// another.
//
// A table of the host is written as its owner, in a security-restricted operation, as foreign key triggers
// write it: its triggers, index expressions, CHECKs and deferred constraints are somebody else's code, which
// never runs with our rights. If the owner may not, the call fails and names the table.
#pragma once

#include <string>
#include <vector>

#include "pg/statement.hpp"

namespace kvcrm::crm {

// A constraint whose check may be put off to the end of the transaction.
struct DeferrableConstraint {
  std::string name;  // schema.name, quoted
  bool initially_deferred = false;
  std::vector<Oid> namesakes;  // other tables with a constraint of that name
};

// A foreign key to leads.
struct LeadReference {
  Oid table = InvalidOid;
  Oid owner = InvalidOid;
  bool is_ours = false;  // a table of this extension
  std::string label;     // schema.table, as a person reads it; also the name in the journal
  std::string column;    // the one that holds the lead's id

  // For statements, quoted: the table (with ONLY where rows of inheriting tables are not bound by the key),
  // the columns that hold the lead's id and its organization (empty: the key doesn't carry it), what
  // identifies a row, and the names and types of that. A table without a key has no such columns.
  std::string target, lead, organization, row_type;
  std::vector<std::string> key, key_literals, key_types;

  std::vector<DeferrableConstraint> deferrable;
};

// All of them but those that tell of the lead itself and stay with it (lead_fingerprints, leads), and those
// that merging handles by rules of their own (lead_stage_history, duplicate_pairs); in order of their names.
std::vector<LeadReference> LeadReferences();

// Whether the caller may be told what is in rows of the table, their keys included: one of ours, or one that
// the caller's role could read all of.
bool MayReadRows(const LeadReference& reference);

// At most `limit` rows of each of the host's tables that refer to a row of ours by foreign key, as a person
// reads them; of a table that the caller may not read, that there are some. `table` is the one of ours:
// schema.table.
std::vector<std::string> HostRows(const char* table, const pg::Uuid& organization, const pg::Uuid& id,
                                  std::int32_t limit);

// What became of a table's rows. Both are JSON arrays of what identifies a row: an object of its key columns,
// or of all columns in a table without a key.
struct MovedRows {
  std::int32_t moved = 0, left = 0;
  std::string moved_rows = "[]", left_rows = "[]";
};

// Hands all rows from one lead to another. A row that the other lead can't take, because it would collide
// with one it has, stays where it is. `moved_rows` tells how a moved row is found afterwards.
MovedRows MoveRows(const LeadReference& reference, const pg::Uuid& organization, const pg::Uuid& from,
                   const pg::Uuid& to);

// Hands the given rows back, as MoveRows told of them. What is gone, refers to another lead by now, or
// collides is left.
MovedRows MoveRowsBack(const LeadReference& reference, const pg::Uuid& organization, const pg::Uuid& from,
                       const pg::Uuid& to, const std::string& rows, std::int32_t count);

}  // namespace kvcrm::crm
