// Bounded lookups in a GIN index.
//
// A bitmap scan collects all rows of a key before it gives the first one, LIMIT or not: 10 000 rows take 3
// ms, most of it for the bitmap. gin_fuzzy_search_limit makes the index give a random sample of about so many
// instead. It is random by the backend's generator, so that is seeded for as long as this lives: the same
// index gives the same sample.
#pragma once

#include "pg/postgres.hpp"

extern "C" {
#include "access/gin.h"
#include "common/pg_prng.h"
}

namespace kvcrm::pg {

class GinSample {
 public:
  explicit GinSample(int rows) : limit_(GinFuzzySearchLimit), generator_(pg_global_prng_state) {
    GinFuzzySearchLimit = rows;
    pg_prng_seed(&pg_global_prng_state, 0);
  }
  ~GinSample() {
    GinFuzzySearchLimit = limit_;
    pg_global_prng_state = generator_;
  }
  GinSample(const GinSample&) = delete;
  GinSample& operator=(const GinSample&) = delete;

 private:
  const int limit_;
  const pg_prng_state generator_;
};

}  // namespace kvcrm::pg
