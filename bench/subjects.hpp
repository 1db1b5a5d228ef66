// The subjects, one file each; a new one is declared here and listed in main.cpp.
#pragma once

#include "harness.hpp"

namespace bench {

void MeasureQualify(const Setting& setting);

}  // namespace bench
