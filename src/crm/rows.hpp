// What the BEFORE triggers of all tables share: trimming, lengths, required texts, columns that never change.
#pragma once

#include <span>
#include <string_view>

#include "pg/statement.hpp"
#include "pg/trigger.hpp"

namespace kvcrm::crm {

using pg::ViewText;

// Lengths in characters (SPEC: beyond them 22001) and bytes.
inline constexpr int kNameLength = 255;
inline constexpr int kShortLength = 100;
inline constexpr int kTextLength = 20000;
inline constexpr std::size_t kJsonBytes = 64 * 1024;

struct TextRule {
  int column;  // index into the table's Columns
  int limit;   // in characters
  bool required = false;
};

// Trims texts, makes empty ones null, and checks lengths (22001) and required ones (23514). Unchanged columns
// of an update are left alone. `entity` names the row in messages.
void NormalizeTexts(pg::Row& row, const pg::Row* old, std::span<const TextRule> rules,
                    const AttrNumber* columns, const char* entity);

// Throws 22001 when a jsonb column is larger than kJsonBytes, 23514 when it is not an object; null becomes
// {}.
void NormalizeObject(pg::Row& row, AttrNumber column, const char* entity);

// Throws 23514 when an update changes the column.
void RequireUnchanged(const pg::Row& row, const pg::Row& old, AttrNumber column);

bool Changed(const pg::Row& row, const pg::Row& old, AttrNumber column);
bool AnyChanged(const pg::Row& row, const pg::Row& old);

// The composite in the first column of the first row, as a function's result. Throws PT404 "<entity> not
// found" when there is no row.
Datum ReturnFirst(pg::Args& args, const pg::Rows& rows, const char* entity);

// The transaction's start: what now() returns.
pg::Timestamp Now();

// E-mail and INN as every table that has them wants them. Throw 23514.
void CheckEmail(pg::Row& row, AttrNumber column, const char* entity);
void CheckInn(pg::Row& row, AttrNumber column, const char* entity);
// The phone in E.164 if `country` helps to understand it, else as typed. Returns the E.164 form or nothing.
std::optional<std::string> NormalizePhone(pg::Row& row, AttrNumber column, std::string_view country);

// Marks the statements that a function runs after it has authorised the caller, so that triggers, which hold
// the same rules for direct writes, don't ask again for another permission than the function's own.
class Authorized {
 public:
  Authorized() { ++depth_; }
  ~Authorized() { --depth_; }
  Authorized(const Authorized&) = delete;
  Authorized& operator=(const Authorized&) = delete;
  static bool Active() { return depth_ > 0; }

  // Ends the above for as long as it lives: for statements that run code of others.
  class Suspended {
   public:
    Suspended() : depth_(std::exchange(Authorized::depth_, 0)) {}
    ~Suspended() { Authorized::depth_ = depth_; }
    Suspended(const Suspended&) = delete;
    Suspended& operator=(const Suspended&) = delete;

   private:
    int depth_;
  };

 private:
  static int depth_;
};

}  // namespace kvcrm::crm
