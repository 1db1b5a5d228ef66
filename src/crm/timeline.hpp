// What happened to a lead or a customer, as one stream.
#pragma once

namespace kvcrm::crm {

// A query for a page of the stream: (at, kind, title, body, actor_id, ref_id, details), newest first.
// $1 lead, $2 organization, $3 time before which (null: now and later too), $4 page size.
//
// Each source gives a page of its own, so that cost follows the page, whatever is stored. WITH TIES completes
// the last timestamp: all entries of one transaction share it, and paging by time must not drop any of them.
// Ids are made one after the other, so they order what happened at one time.
//
// A stage move is in the history and in the log. The history tells it, with the reason that the log has,
// unless the log tells it as part of something else (created, converted, ...) or of a change of more fields;
// a log entry that has nothing but the move is left out.
//
// What happened to leads that were merged into this one is part of its stream: a merge moves their activities
// and stays; the log is append-only and keeps their ids. Entries that tell of another lead say so in
// details.merged_from_id.
// A quote is told when it was made, as it is now, and by each change of it. What re-parents a quote
// (conversion, merging) is told as that.
#define KVCRM_QUOTE                                                                                         \
  "q.created_at AS at, 'quote'::text AS kind, q.title, NULL::text AS body, q.created_by AS actor_id, q.id " \
  "AS "                                                                                                     \
  "ref_id, jsonb_build_object('number', q.number, 'amount', q.amount, 'currency', q.currency, 'status', "   \
  "q.status, 'sent_at', q.sent_at, 'decided_at', q.decided_at, 'lead_id', q.lead_id, 'customer_id', "       \
  "q.customer_id) AS details"
// $2 organization, $3 time, $4 page size.
#define KVCRM_QUOTE_CHANGES                                                                             \
  " CROSS JOIN LATERAL (SELECT g.created_at AS at, 'quote_change'::text AS kind, q.title,"              \
  "   g.changes #>> '{status,new}' AS body, g.actor_id, g.id AS ref_id,"                                \
  "   g.changes || jsonb_build_object('quote_id', q.id, 'quote_number', q.number) AS details"           \
  "  FROM kvcrm.activity_logs g WHERE g.entity_id = q.id AND g.organization_id = $2"                    \
  "   AND g.entity_type = 'quote' AND g.action = 'updated' AND g.created_at < coalesce($3, 'infinity')" \
  "   AND g.changes - '{customer_id,lead_id}'::text[] <> '{}'"                                          \
  "  ORDER BY g.created_at DESC FETCH FIRST $4 ROWS WITH TIES) o"

#define KVCRM_TIMELINE                                                                                       \
  "WITH RECURSIVE family (id) AS (SELECT $1::uuid UNION SELECT l.id FROM family f"                           \
  "   JOIN kvcrm.leads l ON l.merged_into_id = f.id AND l.organization_id = $2)"                             \
  " SELECT t.* FROM ("                                                                                       \
  "(SELECT a.created_at AS at, 'activity'::text AS kind, a.title, a.description AS body, a.created_by AS "   \
  "actor_id,"                                                                                                \
  "   a.id AS ref_id, jsonb_build_object('type', a.type, 'due_date', a.due_date, 'completed_at', "           \
  "a.completed_at,"                                                                                          \
  "   'assigned_to', a.assigned_to, 'metadata', a.metadata) AS details"                                      \
  "  FROM kvcrm.lead_activities a WHERE a.lead_id = $1 AND a.organization_id = $2"                           \
  "   AND a.created_at < coalesce($3, 'infinity') ORDER BY a.created_at DESC FETCH FIRST $4 ROWS WITH TIES)" \
  " UNION ALL "                                                                                              \
  "(SELECT h.entered_at, 'stage_move', s.name, reason.text, h.moved_by, h.id,"                               \
  "   jsonb_build_object('stage_id', h.stage_id, 'stage_name', s.name, 'color', s.color,"                    \
  "   'from_stage_id', f.stage_id, 'from_stage_name', f.name, 'lost_reason', reason.text, 'left_at', "       \
  "h.left_at)"                                                                                               \
  "   || CASE WHEN h.merged_from_id IS NULL THEN '{}' ELSE jsonb_build_object('merged_from_id',"             \
  "     h.merged_from_id) END"                                                                               \
  "  FROM (SELECT * FROM kvcrm.lead_stage_history h WHERE h.lead_id = $1 AND h.organization_id = $2"         \
  "     AND h.entered_at < coalesce($3, 'infinity') AND NOT EXISTS (SELECT 1 FROM kvcrm.activity_logs g"     \
  "       WHERE g.entity_id = coalesce(h.merged_from_id, $1) AND g.organization_id = $2 AND g.created_at = " \
  "h.entered_at"                                                                                             \
  "       AND g.changes #>> '{stage_id,new}' = h.stage_id::text"                                             \
  "       AND NOT (g.action = 'moved' AND g.changes - '{stage_id,lost_reason}'::text[] = '{}'))"             \
  "     ORDER BY h.entered_at DESC FETCH FIRST $4 ROWS WITH TIES) h"                                         \
  "  LEFT JOIN kvcrm.lead_stages s ON s.id = h.stage_id AND s.organization_id = $2"                          \
  "  LEFT JOIN LATERAL (SELECT p.stage_id, o.name FROM kvcrm.lead_stage_history p"                           \
  "     LEFT JOIN kvcrm.lead_stages o ON o.id = p.stage_id AND o.organization_id = $2"                       \
  "     WHERE p.lead_id = $1 AND p.organization_id = $2 AND p.entered_at <= h.entered_at"                    \
  "     AND p.merged_from_id IS NOT DISTINCT FROM h.merged_from_id"                                          \
  "     AND (p.entered_at, p.id) < (h.entered_at, h.id) ORDER BY p.entered_at DESC, p.id DESC LIMIT 1) f "   \
  "ON true"                                                                                                  \
  "  LEFT JOIN LATERAL (SELECT g.changes #>> '{lost_reason,new}' AS text FROM kvcrm.activity_logs g"         \
  "     WHERE g.entity_id = coalesce(h.merged_from_id, $1) AND g.organization_id = $2 AND g.created_at = "   \
  "h.entered_at"                                                                                             \
  "     AND g.changes #>> '{stage_id,new}' = h.stage_id::text LIMIT 1) reason ON true)"                      \
  " UNION ALL "                                                                                              \
  "(SELECT o.* FROM family f CROSS JOIN LATERAL (SELECT g.created_at, 'log', g.action, NULL, g.actor_id,"    \
  "   g.id, CASE WHEN f.id = $1 THEN g.changes"                                                              \
  "     ELSE g.changes || jsonb_build_object('merged_from_id', f.id) END"                                    \
  "  FROM kvcrm.activity_logs g WHERE g.entity_id = f.id AND g.organization_id = $2 AND g.entity_type = "    \
  "'lead'"                                                                                                   \
  "   AND g.created_at < coalesce($3, 'infinity')"                                                           \
  "   AND NOT (g.action = 'moved' AND g.changes - '{stage_id,lost_reason}'::text[] = '{}')"                  \
  "  ORDER BY g.created_at DESC FETCH FIRST $4 ROWS WITH TIES) o"                                            \
  "  ORDER BY o.created_at DESC FETCH FIRST $4 ROWS WITH TIES)"                                              \
  " UNION ALL "                                                                                              \
  "(SELECT " KVCRM_QUOTE                                                                                     \
  "  FROM kvcrm.quotes q WHERE q.lead_id = $1 AND q.organization_id = $2"                                    \
  "   AND q.created_at < coalesce($3, 'infinity') ORDER BY q.created_at DESC FETCH FIRST $4 ROWS WITH TIES)" \
  " UNION ALL "                                                                                              \
  "(SELECT o.* FROM (SELECT * FROM kvcrm.quotes q WHERE q.lead_id = $1 AND q.organization_id = $2) "         \
  "q" KVCRM_QUOTE_CHANGES                                                                                    \
  "  ORDER BY o.at DESC FETCH FIRST $4 ROWS WITH TIES)"                                                      \
  " ORDER BY at DESC FETCH FIRST $4 ROWS WITH TIES) t ORDER BY t.at DESC, t.ref_id DESC"

// The same of a customer: what happened to it, and the activities, conversions and quotes of the leads that
// became it. $1 customer, $2 organization, $3 and $4 as above, $5 members whose leads the caller sees (null:
// all), $6 whether the caller reads all quotes.
#define KVCRM_CUSTOMER_TIMELINE                                                                             \
  "WITH became AS MATERIALIZED (SELECT l.id, l.name FROM kvcrm.leads l WHERE l.converted_to_customer_id = " \
  "$1 AND l.organization_id = $2 AND ($5::uuid[] IS NULL OR l.assigned_to = ANY ($5))),"                    \
  " offered AS (SELECT q.* FROM kvcrm.quotes q WHERE q.customer_id = $1 AND q.organization_id = $2"         \
  "   AND ($6 OR q.lead_id IN (SELECT b.id FROM became b)))"                                                \
  " SELECT t.* FROM ("                                                                                      \
  "(SELECT o.* FROM became b CROSS JOIN LATERAL (SELECT a.created_at AS at, 'activity'::text AS kind, "     \
  "a.title, a.description AS body, a.created_by AS actor_id, a.id AS ref_id,"                               \
  "   jsonb_build_object('type', a.type, 'due_date', a.due_date, 'completed_at', a.completed_at,"           \
  "   'assigned_to', a.assigned_to, 'metadata', a.metadata, 'lead_id', b.id, 'lead_name', b.name) AS "      \
  "details"                                                                                                 \
  "  FROM kvcrm.lead_activities a WHERE a.lead_id = b.id AND a.organization_id = $2"                        \
  "   AND a.created_at < coalesce($3, 'infinity') ORDER BY a.created_at DESC FETCH FIRST $4 ROWS WITH "     \
  "TIES) o ORDER BY o.at DESC FETCH FIRST $4 ROWS WITH TIES)"                                               \
  " UNION ALL "                                                                                             \
  "(SELECT " KVCRM_QUOTE                                                                                    \
  "  FROM offered q WHERE q.created_at < coalesce($3, 'infinity')"                                          \
  "  ORDER BY q.created_at DESC FETCH FIRST $4 ROWS WITH TIES)"                                             \
  " UNION ALL "                                                                                             \
  "(SELECT o.* FROM offered q" KVCRM_QUOTE_CHANGES                                                          \
  "  ORDER BY o.at DESC FETCH FIRST $4 ROWS WITH TIES)"                                                     \
  " UNION ALL "                                                                                             \
  "(SELECT v.created_at, 'conversion', b.name, NULL, v.converted_by, v.id, jsonb_build_object('lead_id', "  \
  "b.id, 'lead_name', b.name, 'contact_id', v.contact_id, 'customer_created', v.customer_created)"          \
  "  FROM became b JOIN kvcrm.lead_conversions v ON v.lead_id = b.id AND v.organization_id = $2"            \
  "  WHERE v.reverted_at IS NULL AND v.created_at < coalesce($3, 'infinity')"                               \
  "  ORDER BY v.created_at DESC FETCH FIRST $4 ROWS WITH TIES)"                                             \
  " UNION ALL "                                                                                             \
  "(SELECT g.created_at, 'log', g.action, NULL, g.actor_id, g.id, g.changes"                                \
  "  FROM kvcrm.activity_logs g WHERE g.entity_id = $1 AND g.organization_id = $2"                          \
  "   AND g.entity_type = 'customer' AND g.created_at < coalesce($3, 'infinity')"                           \
  "  ORDER BY g.created_at DESC FETCH FIRST $4 ROWS WITH TIES)"                                             \
  " ORDER BY at DESC FETCH FIRST $4 ROWS WITH TIES) t ORDER BY t.at DESC, t.ref_id DESC"

}  // namespace kvcrm::crm
