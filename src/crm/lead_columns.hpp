// The columns of kvcrm.leads, by name and number.
#pragma once

#include <string_view>

#include "pg/trigger.hpp"

namespace kvcrm::crm {

#define KVCRM_LEAD_COLUMNS(X)                           \
  X(kId, "id")                                          \
  X(kOrganizationId, "organization_id")                 \
  X(kName, "name")                                      \
  X(kEmail, "email")                                    \
  X(kPhone, "phone")                                    \
  X(kCompany, "company")                                \
  X(kPosition, "position")                              \
  X(kInn, "inn")                                        \
  X(kSource, "source")                                  \
  X(kStageId, "stage_id")                               \
  X(kStatus, "status")                                  \
  X(kAssignedTo, "assigned_to")                         \
  X(kEstimatedValue, "estimated_value")                 \
  X(kCurrency, "currency")                              \
  X(kScore, "score")                                    \
  X(kCustomFields, "custom_fields")                     \
  X(kLostReason, "lost_reason")                         \
  X(kBoardRank, "board_rank")                           \
  X(kVersion, "version")                                \
  X(kStageEnteredAt, "stage_entered_at")                \
  X(kQualifiedAt, "qualified_at")                       \
  X(kConvertedAt, "converted_at")                       \
  X(kConvertedToCustomerId, "converted_to_customer_id") \
  X(kMergedIntoId, "merged_into_id")                    \
  X(kDeletedAt, "deleted_at")                           \
  X(kErasedAt, "erased_at")                             \
  X(kLegalHold, "legal_hold")                           \
  X(kCreatedBy, "created_by")                           \
  X(kCreatedAt, "created_at")                           \
  X(kUpdatedAt, "updated_at")                           \
  X(kEmailNormalized, "email_normalized")               \
  X(kPhoneE164, "phone_e164")                           \
  X(kBlockEmail, "block_email")                         \
  X(kBlockPhone, "block_phone")

enum LeadColumn {
#define KVCRM_LEAD_COLUMN(symbol, name) symbol,
  KVCRM_LEAD_COLUMNS(KVCRM_LEAD_COLUMN)
#undef KVCRM_LEAD_COLUMN
      kLeadColumnCount
};

// Attribute numbers, indexed by LeadColumn.
const AttrNumber* ColumnsOfLeads(Relation leads);

// The column of that name, or -1.
int LeadColumnNamed(std::string_view name);

}  // namespace kvcrm::crm
