// The subjects, one file each; a new one is declared here and listed in main.cpp.
#pragma once

#include "harness.hpp"

namespace bench {

void MeasureRls(const Setting& setting);
void MeasureGrowth(const Setting& setting);
void MeasureQualify(const Setting& setting);
void MeasureBoard(const Setting& setting);
void MeasureFind(const Setting& setting);
void MeasureScan(const Setting& setting);
void MeasureAudit(const Setting& setting);

}  // namespace bench
