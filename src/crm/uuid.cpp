#include "crm/uuid.hpp"

#include <algorithm>
#include <chrono>

#include "pg/entry.hpp"

namespace kvcrm::crm {

namespace {

// Asking the system for random bytes costs more than the rest of a UUID, so they are fetched in stock.
void TakeRandom(unsigned char* target, std::size_t size) {
  static std::array<unsigned char, 512> stock;
  static std::size_t left = 0;
  if (left < size) {
    if (!pg::Call([] { return pg_strong_random(stock.data(), stock.size()); })) {
      throw Error(ERRCODE_INTERNAL_ERROR, "could not generate random values");
    }
    left = stock.size();
  }
  left -= size;
  std::memcpy(target, stock.data() + left, size);
}

}  // namespace

pg::Uuid NewUuid() {
  using namespace std::chrono;
  // Time in units of 1/4096 ms, which is what the first 60 bits of payload hold.
  static std::int64_t last = 0;
  const std::int64_t nanoseconds =
      duration_cast<std::chrono::nanoseconds>(system_clock::now().time_since_epoch()).count();
  const std::int64_t now = nanoseconds / 1'000'000 * 4096 + nanoseconds % 1'000'000 * 4096 / 1'000'000;
  last = std::max(now, last + 1);

  pg::Uuid uuid;
  TakeRandom(uuid.bytes.data() + 8, 8);
  const std::int64_t milliseconds = last / 4096;
  const std::int64_t fraction = last % 4096;
  for (int i = 0; i < 6; ++i)
    uuid.bytes[static_cast<std::size_t>(i)] = static_cast<unsigned char>(milliseconds >> (40 - 8 * i));
  uuid.bytes[6] = static_cast<unsigned char>(0x70 | fraction >> 8);
  uuid.bytes[7] = static_cast<unsigned char>(fraction);
  uuid.bytes[8] = static_cast<unsigned char>(0x80 | (uuid.bytes[8] & 0x3f));
  return uuid;
}

}  // namespace kvcrm::crm

// uuid_v7() -> uuid: a new time-ordered identifier.
KVCRM_TIMELESS_FUNCTION(uuid_v7) { return args.Return(kvcrm::crm::NewUuid()); }
