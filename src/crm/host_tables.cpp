// How rows that refer to a lead change to another one.
#include "crm/host_tables.hpp"

#include <optional>

#include "crm/batches.hpp"
#include "crm/rows.hpp"
#include "pg/json.hpp"
#include "pg/security.hpp"

extern "C" {
#include "commands/trigger.h"
#include "utils/acl.h"
#include "utils/rls.h"
}

namespace kvcrm::crm {

namespace {

using OptionalText = std::optional<std::string>;

// A key identifies a row when it is unique, never null, and of types whose operators are found without a
// search path. One that the lead is no part of comes first; the journal tells a key as it is after the move.
const pg::Statement<std::string> kReferences{
    "host_tables.references",
    "SELECT c.conrelid::bigint, r.relowner::bigint, EXISTS (SELECT FROM pg_catalog.pg_depend d"
    "     JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'kvcrm'"
    "     WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = r.oid"
    "     AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'),"
    "   n.nspname || '.' || r.relname, a.attname::text,"
    "   CASE WHEN r.relkind = 'r' THEN 'ONLY ' ELSE '' END || format('%I.%I', n.nspname, r.relname),"
    "   quote_ident(a.attname), quote_ident(o.attname), format('%I.%I', n.nspname, r.relname),"
    "   coalesce(k.names, '{}'), coalesce(k.literals, '{}'), coalesce(k.types, '{}')"
    " FROM pg_catalog.pg_constraint c"
    " JOIN pg_catalog.pg_class r ON r.oid = c.conrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace"
    " JOIN pg_catalog.pg_attribute i ON i.attrelid = c.confrelid AND i.attname = 'id'"
    " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid"
    "   AND a.attnum = c.conkey[array_position(c.confkey, i.attnum)]"
    " JOIN pg_catalog.pg_attribute g ON g.attrelid = c.confrelid AND g.attname = 'organization_id'"
    " LEFT JOIN pg_catalog.pg_attribute o ON o.attrelid = c.conrelid"
    "   AND o.attnum = c.conkey[array_position(c.confkey, g.attnum)]"
    " LEFT JOIN LATERAL (SELECT array_agg(quote_ident(b.attname) ORDER BY p.n) AS names,"
    "     array_agg(quote_literal(b.attname) ORDER BY p.n) AS literals,"
    "     array_agg(format_type(b.atttypid, b.atttypmod) ORDER BY p.n) AS types, x.indisprimary, "
    "x.indexrelid,"
    "     bool_or(b.attnum = a.attnum) AS has_lead"
    "   FROM pg_catalog.pg_index x, unnest(x.indkey) WITH ORDINALITY AS p (attnum, n)"
    "   JOIN pg_catalog.pg_attribute b ON b.attnum = p.attnum AND b.attrelid = c.conrelid"
    "   JOIN pg_catalog.pg_type y ON y.oid = b.atttypid"
    "   WHERE x.indrelid = c.conrelid AND x.indisunique AND x.indisvalid AND x.indpred IS NULL"
    "     AND x.indexprs IS NULL AND p.n <= x.indnkeyatts"
    "   GROUP BY x.indexrelid, x.indisprimary HAVING bool_and(b.attnotnull AND (y.typtype IN ('d', 'e')"
    "     OR y.typnamespace = 'pg_catalog'::pg_catalog.regnamespace))"
    "   ORDER BY has_lead, x.indisprimary DESC, x.indexrelid LIMIT 1) k ON true"
    " WHERE c.contype = 'f' AND c.confrelid = $1::pg_catalog.regclass AND c.conparentid = 0"
    "   AND c.conrelid <> c.confrelid AND c.conrelid NOT IN ('kvcrm.lead_fingerprints'::pg_catalog.regclass,"
    "     'kvcrm.lead_field_keys'::pg_catalog.regclass,"
    "     'kvcrm.lead_stage_history'::pg_catalog.regclass, 'kvcrm.duplicate_pairs'::pg_catalog.regclass)"
    " ORDER BY n.nspname, r.relname, a.attname, c.conname"};

const pg::Statement<pg::Json, std::int32_t> kItem{"host_tables.item", "SELECT ($1 -> $2)::text"};

// Constraints of a table and its partitions whose work may be put off until the transaction ends, and the
// tables that also have one of such a name: SET CONSTRAINTS knows them by name only.
const pg::Statement<std::int64_t> kDeferrable{
    "host_tables.deferrable",
    "WITH tree AS (SELECT $1::pg_catalog.oid AS oid UNION SELECT t.relid FROM"
    "     pg_catalog.pg_partition_tree($1::pg_catalog.oid) t)"
    " SELECT format('%I.%I', n.nspname, c.conname), bool_or(t.tginitdeferred),"
    "   (SELECT coalesce(array_agg(DISTINCT s.tgrelid::pg_catalog.text), '{}') FROM pg_catalog.pg_constraint "
    "b"
    "     JOIN pg_catalog.pg_trigger s ON s.tgconstraint = b.oid WHERE b.conname = c.conname"
    "     AND b.connamespace = n.oid AND s.tgrelid NOT IN (SELECT oid FROM tree))"
    " FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_constraint c ON c.oid = t.tgconstraint"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace"
    " WHERE t.tgrelid IN (SELECT oid FROM tree) AND t.tgdeferrable"
    " GROUP BY n.oid, n.nspname, c.conname ORDER BY n.nspname, c.conname"};

// Errors of the kind that one row causes by being where another one is.
bool IsCollision(int sqlstate) {
  return sqlstate == ERRCODE_UNIQUE_VIOLATION || sqlstate == ERRCODE_EXCLUSION_VIOLATION;
}

[[noreturn]] void RaiseRefused(const LeadReference& reference, int sqlstate, const std::string& reason) {
  throw Error(sqlstate, "rows of table " + reference.label + " can't be handed to another lead")
      .Detail(reason)
      .Hint(reference.is_ours ? ""
                              : "They are written as the owner of the table, with search_path pg_catalog.");
}

// DETAIL of a constraint shows the row, to the owner of the table.
std::string Describe(const LeadReference& reference, const ErrorData& data) {
  std::string text = data.message != nullptr ? data.message : "unknown error";
  if (data.detail != nullptr && data.detail[0] != '\0' && MayReadRows(reference))
    text += std::string(" (") + data.detail + ")";
  return text;
}

// Nothing that a statement puts off may run later, when we don't hold the rights of the table's owner any
// more (PostgreSQL itself refuses to put anything off in a security-restricted operation): what is deferrable
// is made immediate. What others have put off would run now too, if it goes by the same name.
void RequireNothingPending(const LeadReference& reference) {
  for (const DeferrableConstraint& constraint : reference.deferrable) {
    for (const Oid table : constraint.namesakes) {
      if (!pg::Call([&] { return AfterTriggerPendingOnRel(table); })) continue;
      RaiseRefused(reference, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                   "Another table has a constraint " + constraint.name + " too, with checks that are due.");
    }
  }
}

// All of them, or those that are deferred unless a session says otherwise. What it said is not
// known, so they go back to what the table's owner wants.
enum class Which { kAll, kInitiallyDeferred };

void SetConstraints(const LeadReference& reference, Which which, const char* mode) {
  std::string names;
  for (const DeferrableConstraint& constraint : reference.deferrable) {
    if (which == Which::kAll || constraint.initially_deferred)
      names += (names.empty() ? "" : ", ") + constraint.name;
  }
  if (!names.empty()) pg::ExecuteOnce("SET CONSTRAINTS " + names + " " + mode);
}

// Runs `write` with the rights that are due on the table, and says which table it was when it fails.
template <typename Write>
auto WriteTable(const LeadReference& reference, const Write& write) {
  try {
    if (reference.is_ours) return write();
    RequireNothingPending(reference);
    const Authorized::Suspended suspended;
    const pg::AsTableOwner owner(reference.owner);
    SetConstraints(reference, Which::kAll, "IMMEDIATE");
    auto result = write();
    SetConstraints(reference, Which::kInitiallyDeferred, "DEFERRED");
    return result;
  } catch (const pg::Error& error) {
    if (ConcernsAll(error.sqlstate()) || IsCollision(error.sqlstate())) throw;
    RaiseRefused(reference, error.sqlstate(), Describe(reference, error.data()));
  }
}

// What identifies row `t`, as jsonb: its key, or all of it.
std::string KeyOf(const LeadReference& reference) {
  if (reference.key.empty()) return "pg_catalog.to_jsonb(t)";
  std::string text;
  for (std::size_t i = 0; i < reference.key.size(); ++i)
    text += (i == 0 ? "" : ", ") + reference.key_literals[i] + ", t." + reference.key[i];
  return "pg_catalog.jsonb_build_object(" + text + ")";
}

// The rows of JSON array $4 with numbers from $5 up to $6, numbered by kvcrm_n; with their keys as columns.
std::string Given(const LeadReference& reference) {
  std::string columns, record;
  for (std::size_t i = 0; i < reference.key.size(); ++i) {
    columns += ", r." + reference.key[i];
    record += (i == 0 ? "" : ", ") + reference.key[i] + " " + reference.key_types[i];
  }
  return "WITH given AS MATERIALIZED (SELECT e.item AS kvcrm_item, e.n AS kvcrm_n" + columns +
         " FROM pg_catalog.jsonb_array_elements($4) WITH ORDINALITY AS e (item, n)" +
         (record.empty() ? ""
                         : " CROSS JOIN LATERAL pg_catalog.jsonb_to_record(e.item) AS r (" + record + ")") +
         " WHERE e.n > $5 AND e.n <= $6)";
}

// Whether row `t` is the one that row `g` of them tells of.
std::string IsGiven(const LeadReference& reference) {
  if (reference.key.empty()) {
    return "t OPERATOR(pg_catalog.*=) pg_catalog.jsonb_populate_record(NULL::" + reference.row_type +
           ", g.kvcrm_item)";
  }
  std::string text;
  for (std::size_t i = 0; i < reference.key.size(); ++i)
    text += (i == 0 ? "t." : " AND t.") + reference.key[i] + " = g." + reference.key[i];
  return text;
}

// Row `t` refers to lead $2 of organization $1.
std::string OfLead(const LeadReference& reference) {
  return "t." + reference.lead + " = $2" +
         (reference.organization.empty() ? "" : " AND t." + reference.organization + " = $1");
}

std::string HandTo(const LeadReference& reference) {
  return "UPDATE " + reference.target + " AS t SET " + reference.lead + " = $3";
}

// How many rows are in `item` of `from`, and which, as text.
std::string CountAndList(const char* from) {
  return std::string(
             "SELECT pg_catalog.count(*)::pg_catalog.int4,"
             " coalesce(pg_catalog.jsonb_agg(kvcrm_item), '[]')::pg_catalog.text FROM ") +
         from;
}

struct Handed {
  std::int32_t count;
  std::string rows;
};

// Hands over all rows of lead `from`.
Handed HandAll(const LeadReference& reference, const pg::Uuid& organization, const pg::Uuid& from,
               const pg::Uuid& to) {
  const std::string text = "WITH moved AS (" + HandTo(reference) + " WHERE " + OfLead(reference) +
                           " RETURNING " + KeyOf(reference) + " AS kvcrm_item) " + CountAndList("moved");
  return WriteTable(reference, [&] {
    const pg::Rows rows = pg::ExecuteOnce(text, organization, from, to);
    return Handed{rows.Get<std::int32_t>(0, 0), rows.Get<std::string>(0, 1)};
  });
}

// Hands over some of `items` and tells which of them are not there any more. Of rows that look all the same,
// in a table without a key, each item stands for one.
struct HandedSome : Handed {
  std::int32_t missing_count;
  std::string missing;
};
HandedSome HandSome(const LeadReference& reference, const pg::Uuid& organization, const pg::Uuid& from,
                    const pg::Uuid& to, pg::Json items, std::size_t first, std::size_t end) {
  std::string text = Given(reference);
  if (reference.key.empty()) {
    text +=
        ", found AS MATERIALIZED (SELECT s.* FROM (SELECT g.kvcrm_n, t.tableoid AS kvcrm_table,"
        " t.ctid AS kvcrm_place, pg_catalog.row_number() OVER (PARTITION BY g.kvcrm_n"
        " ORDER BY t.tableoid, t.ctid) AS place, pg_catalog.row_number() OVER (PARTITION BY t.tableoid,"
        " t.ctid ORDER BY g.kvcrm_n) AS turn FROM given g JOIN " +
        reference.target + " AS t ON " + IsGiven(reference) + " AND " + OfLead(reference) +
        ") s WHERE s.place = s.turn), moved AS (" + HandTo(reference) +
        " FROM found g WHERE t.tableoid = g.kvcrm_table AND t.ctid = g.kvcrm_place";
  } else {
    text += ", moved AS (" + HandTo(reference) + " FROM given g WHERE " + IsGiven(reference);
  }
  text += " AND " + OfLead(reference) + " RETURNING g.kvcrm_n, " + KeyOf(reference) +
          " AS kvcrm_item), missing AS (SELECT g.kvcrm_item FROM given g WHERE NOT EXISTS"
          " (SELECT FROM moved m WHERE m.kvcrm_n = g.kvcrm_n)) SELECT * FROM (" +
          CountAndList("moved") + ") a, (" + CountAndList("missing") + ") b";
  return WriteTable(reference, [&] {
    const pg::Rows rows = pg::ExecuteOnce(text, organization, from, to, items,
                                          static_cast<std::int64_t>(first), static_cast<std::int64_t>(end));
    return HandedSome{{rows.Get<std::int32_t>(0, 0), rows.Get<std::string>(0, 1)},
                      rows.Get<std::int32_t>(0, 2),
                      rows.Get<std::string>(0, 3)};
  });
}

void AppendTo(std::string& array, const std::string& items) {
  if (items == "[]") return;
  array = array == "[]" ? items : array.substr(0, array.size() - 1) + ", " + items.substr(1);
}

// Hands over `count` rows, those alone that can't be handed over are left: ever smaller batches are tried.
MovedRows HandWhatFits(const LeadReference& reference, const pg::Uuid& organization, const pg::Uuid& from,
                       const pg::Uuid& to, const std::string& list, std::size_t count) {
  const pg::Json items = pg::ParseJson(list);
  std::vector<HandedSome> batches;
  MovedRows result;
  InBatches(
      count, count,
      [&](std::size_t first, std::size_t end) {
        batches.push_back(HandSome(reference, organization, from, to, items, first, end));
      },
      [&](std::size_t item, const Failure& failure) {
        if (!IsCollision(failure.sqlstate)) throw Error(failure.sqlstate, failure.message);
        const pg::Rows rows = kItem(items, static_cast<std::int32_t>(item));
        AppendTo(result.left_rows, "[" + rows.Get<std::string>(0, 0) + "]");
        ++result.left;
      });
  for (const HandedSome& batch : batches) {
    result.moved += batch.count;
    result.left += batch.missing_count;
    AppendTo(result.moved_rows, batch.rows);
    AppendTo(result.left_rows, batch.missing);
  }
  return result;
}

// The foreign keys to a table of ours; for one that is not leads, `lead` is the column that holds its id.
std::vector<LeadReference> ReferencesTo(const char* referenced) {
  std::vector<LeadReference> references;
  const pg::Rows rows = kReferences(referenced);
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    LeadReference reference;
    reference.table = static_cast<Oid>(rows.Get<std::int64_t>(i, 0));
    reference.owner = static_cast<Oid>(rows.Get<std::int64_t>(i, 1));
    reference.is_ours = rows.Get<bool>(i, 2);
    reference.label = rows.Get<std::string>(i, 3);
    reference.column = rows.Get<std::string>(i, 4);
    reference.target = rows.Get<std::string>(i, 5);
    reference.lead = rows.Get<std::string>(i, 6);
    reference.organization = rows.Get<OptionalText>(i, 7).value_or("");
    reference.row_type = rows.Get<std::string>(i, 8);
    reference.key = rows.Get<std::vector<std::string>>(i, 9);
    reference.key_literals = rows.Get<std::vector<std::string>>(i, 10);
    reference.key_types = rows.Get<std::vector<std::string>>(i, 11);
    if (!reference.is_ours) {
      const pg::Rows constraints = kDeferrable(static_cast<std::int64_t>(reference.table));
      for (std::uint64_t j = 0; j < constraints.size(); ++j) {
        DeferrableConstraint constraint{constraints.Get<std::string>(j, 0), constraints.Get<bool>(j, 1), {}};
        for (const std::string& oid : constraints.Get<std::vector<std::string>>(j, 2))
          constraint.namesakes.push_back(static_cast<Oid>(std::stoul(oid)));
        reference.deferrable.push_back(std::move(constraint));
      }
    }
    references.push_back(std::move(reference));
  }
  return references;
}

}  // namespace

bool MayReadRows(const LeadReference& reference) {
  if (reference.is_ours) return true;
  const Oid role = pg::CallerRole();
  return pg::Call([&] {
    return pg_class_aclcheck(reference.table, role, ACL_SELECT) == ACLCHECK_OK &&
           check_enable_rls(reference.table, role, true) != RLS_ENABLED;
  });
}

std::vector<LeadReference> LeadReferences() { return ReferencesTo("kvcrm.leads"); }

std::vector<std::string> HostRows(const char* table, const pg::Uuid& organization, const pg::Uuid& id,
                                  std::int32_t limit) {
  std::vector<std::string> found;
  for (const LeadReference& reference : ReferencesTo(table)) {
    if (reference.is_ours) continue;
    const bool told = MayReadRows(reference);
    const std::string text = "SELECT " + KeyOf(reference) + "::pg_catalog.text FROM " + reference.target +
                             " AS t WHERE " + OfLead(reference) + " LIMIT $3";
    try {
      const Authorized::Suspended suspended;
      const pg::AsTableOwner owner(reference.owner);
      const pg::Rows rows = pg::ExecuteOnce(text, organization, id, limit);
      for (std::uint64_t i = 0; i < rows.size(); ++i) {
        found.push_back(told ? "row " + rows.Get<std::string>(i, 0) + " of " + reference.label
                             : "a row of " + reference.label);
        if (!told) break;
      }
    } catch (const pg::Error& error) {
      if (ConcernsAll(error.sqlstate())) throw;
      throw Error(error.sqlstate(), "rows of table " + reference.label + " can't be read")
          .Detail(Describe(reference, error.data()))
          .Hint("They are read as the owner of the table, with search_path pg_catalog.");
    }
  }
  return found;
}

MovedRows MoveRows(const LeadReference& reference, const pg::Uuid& organization, const pg::Uuid& from,
                   const pg::Uuid& to) {
  {
    pg::SubTransaction all;
    try {
      const Handed handed = HandAll(reference, organization, from, to);
      all.Commit();
      return {handed.count, 0, handed.rows, "[]"};
    } catch (const pg::Error& error) {
      if (!IsCollision(error.sqlstate())) throw;
    }
  }
  const std::string text = "SELECT pg_catalog.count(*)::pg_catalog.int4, coalesce(pg_catalog.jsonb_agg(" +
                           KeyOf(reference) + "), '[]')::pg_catalog.text FROM " + reference.target +
                           " AS t WHERE " + OfLead(reference);
  const Handed found = WriteTable(reference, [&] {
    const pg::Rows rows = pg::ExecuteOnce(text, organization, from);
    return Handed{rows.Get<std::int32_t>(0, 0), rows.Get<std::string>(0, 1)};
  });
  return HandWhatFits(reference, organization, from, to, found.rows, static_cast<std::size_t>(found.count));
}

MovedRows MoveRowsBack(const LeadReference& reference, const pg::Uuid& organization, const pg::Uuid& from,
                       const pg::Uuid& to, const std::string& rows, std::int32_t count) {
  return HandWhatFits(reference, organization, from, to, rows, static_cast<std::size_t>(count));
}

}  // namespace kvcrm::crm
