#include "pg/relation_changes.hpp"

extern "C" {
#include "utils/inval.h"
}

namespace kvcrm::pg {

namespace {

std::uint64_t changes = 0;

void Count([[maybe_unused]] Datum argument, [[maybe_unused]] Oid relation) { ++changes; }

}  // namespace

std::uint64_t RelationChanges() {
  static bool listens = false;
  if (!listens) {
    Call([] { CacheRegisterRelcacheCallback(Count, 0); });
    listens = true;
  }
  return changes;
}

void InvalidateRelation(Oid relation) {
  Call([relation] { CacheInvalidateRelcacheByRelid(relation); });
  ++changes;
}

}  // namespace kvcrm::pg
