// qualify_lead against the same rows written into bare copies: by one statement, and by the statements that
// an application would send.
#include <time.h>

#include <cstdio>

#include "leads.hpp"
#include "subjects.hpp"

namespace bench {

namespace {

constexpr int kRounds = 40;
constexpr int kPerRound = 100;        // conversions a side
constexpr int kPerRoundDelayed = 10;  // with 1 ms a round trip
constexpr int kSample = 50;           // conversions whose writes are compared
constexpr int kBefore = 2'000;        // conversions before the first: an empty table has plans of its own

// $1 lead, $2 organization, $3 acting user, $4 the qualified stage. All that a conversion writes, and nothing
// that it checks.
constexpr const char* kBare = R"(
WITH lead AS MATERIALIZED (
  SELECT l.*, coalesce(s.name, l.source) AS source_name FROM bare.leads l
    LEFT JOIN kvcrm.lead_sources s ON s.organization_id = l.organization_id AND s.slug = l.source
   WHERE l.id = $1::uuid AND l.organization_id = $2::uuid),
customer AS (
  INSERT INTO bare.customers (organization_id, name, company, inn, email, phone, notes, owner_user_id,
      source_lead_id, created_by)
  SELECT organization_id, name, company, inn, email, phone, 'Source: ' || source_name, assigned_to, id, $3::uuid
    FROM lead RETURNING *),
contact AS (
  INSERT INTO bare.customer_contacts (organization_id, customer_id, name, email, phone, "position", is_primary)
  SELECT lead.organization_id, customer.id, lead.name, lead.email, lead.phone, lead."position", true
    FROM lead, customer RETURNING *),
fingerprint AS (
  INSERT INTO bare.customer_fingerprints (id, organization_id, match_keys, match_values, derivation_version)
  SELECT customer.id, f.organization_id, f.match_keys, f.match_values, f.derivation_version
    FROM bare.lead_fingerprints f, customer WHERE f.id = $1::uuid AND f.organization_id = $2::uuid),
identities AS (
  INSERT INTO bare.customer_identities (organization_id, kind, value, customer_id)
  SELECT lead.organization_id, v.kind, v.value, customer.id FROM lead, customer,
    LATERAL (VALUES ('email', lead.email_normalized), ('inn', lead.inn), ('phone', lead.phone_e164)) AS v (kind, value)
   WHERE v.value IS NOT NULL),
conversion AS (
  INSERT INTO bare.lead_conversions (organization_id, lead_id, customer_id, contact_id, customer_created,
      converted_by, before_image)
  SELECT lead.organization_id, lead.id, customer.id, contact.id, true, $3::uuid,
    jsonb_build_object('stage_id', lead.stage_id, 'board_rank', lead.board_rank, 'lost_reason', lead.lost_reason,
      'stage_entered_at', lead.stage_entered_at, 'qualified_at', lead.qualified_at)
    FROM lead, customer, contact),
converted AS (
  UPDATE bare.leads l SET converted_at = now(), converted_to_customer_id = customer.id, stage_id = $4::uuid,
    qualified_at = coalesce(l.qualified_at, now()), status = 'converted', board_rank = l.board_rank || '0',
    stage_entered_at = now(), version = l.version + 1, updated_at = now()
    FROM customer WHERE l.id = $1::uuid AND l.organization_id = $2::uuid RETURNING l.stage_id, l.converted_at),
left_stay AS (
  UPDATE bare.lead_stage_history SET left_at = greatest(now(), entered_at), updated_at = now()
   WHERE lead_id = $1::uuid AND organization_id = $2::uuid AND left_at IS NULL RETURNING lead_id),
entered_stay AS (
  INSERT INTO bare.lead_stage_history (organization_id, lead_id, stage_id, entered_at, moved_by)
  SELECT $2::uuid, lead_id, $4::uuid, now(), $3::uuid FROM left_stay),
counted AS (
  INSERT INTO bare.lead_stage_counts (organization_id, stage_id, assigned_to, currency, leads, value)
  SELECT organization_id, stage_id, coalesce(assigned_to, '00000000-0000-0000-0000-000000000000'), currency, -1,
    -estimated_value FROM lead),
logged AS (
  INSERT INTO bare.activity_logs (organization_id, entity_type, entity_id, action, actor_id, changes)
  SELECT $2::uuid, 'customer', c.id, 'created', $3::uuid, jsonb_build_object(
    'name', jsonb_build_object('old', null, 'new', c.name),
    'company', jsonb_build_object('old', null, 'new', c.company),
    'inn', jsonb_build_object('old', null, 'new', c.inn),
    'email', jsonb_build_object('old', null, 'new', c.email),
    'phone', jsonb_build_object('old', null, 'new', c.phone),
    'notes', jsonb_build_object('old', null, 'new', c.notes),
    'custom_fields', jsonb_build_object('old', null, 'new', c.custom_fields),
    'owner_user_id', jsonb_build_object('old', null, 'new', c.owner_user_id),
    'source_lead_id', jsonb_build_object('old', null, 'new', c.source_lead_id)) FROM customer c
  UNION ALL
  SELECT $2::uuid, 'contact', p.id, 'created', $3::uuid, jsonb_build_object(
    'customer_id', jsonb_build_object('old', null, 'new', p.customer_id),
    'name', jsonb_build_object('old', null, 'new', p.name),
    'email', jsonb_build_object('old', null, 'new', p.email),
    'phone', jsonb_build_object('old', null, 'new', p.phone),
    'position', jsonb_build_object('old', null, 'new', p."position"),
    'is_primary', jsonb_build_object('old', null, 'new', p.is_primary)) FROM contact p
  UNION ALL
  SELECT $2::uuid, 'lead', $1::uuid, 'converted', $3::uuid, jsonb_build_object(
    'stage_id', jsonb_build_object('old', lead.stage_id, 'new', n.stage_id),
    'converted_at', jsonb_build_object('old', null, 'new', n.converted_at),
    'converted_to_customer_id', jsonb_build_object('old', null, 'new', customer.id)) FROM lead, customer, converted n)
SELECT customer FROM customer)";

// --- the same as an application would do it ---

struct ClientStatement {
  const char* name;
  const char* sql;
};
constexpr ClientStatement kClient[] = {
    {"client_membership",
     "SELECT m.role_slug, m.team_id, r.permissions FROM kvcrm.organization_members m JOIN kvcrm.roles r"
     " ON r.organization_id = m.organization_id AND r.slug = m.role_slug"
     " WHERE m.organization_id = $1::uuid AND m.user_id = $2::uuid AND m.status = 'active'"},
    {"client_lead",
     "SELECT l.name, l.company, l.inn, l.email, l.phone, l.\"position\", coalesce(s.name, l.source), "
     "l.assigned_to,"
     " l.stage_id, l.board_rank, l.lost_reason, l.stage_entered_at, l.qualified_at, l.email_normalized,"
     " l.phone_e164, l.version, l.converted_at, l.deleted_at, l.merged_into_id, l.currency, "
     "-l.estimated_value FROM bare.leads l"
     " LEFT JOIN kvcrm.lead_sources s ON s.organization_id = l.organization_id AND s.slug = l.source"
     " WHERE l.id = $1::uuid AND l.organization_id = $2::uuid FOR UPDATE OF l"},
    {"client_stages",
     "SELECT id, is_qualified, outcome FROM kvcrm.lead_stages WHERE organization_id = $1::uuid"
     " ORDER BY order_index, id"},
    {"client_find_customer",
     "SELECT i.kind, i.customer_id, c.company FROM bare.customer_identities i JOIN bare.customers c"
     " ON c.id = i.customer_id AND c.organization_id = i.organization_id WHERE i.organization_id = $1::uuid"
     " AND c.deleted_at IS NULL AND (i.kind, i.value) IN (('email', $2), ('inn', $3), ('phone', $4))"},
    {"client_customer",
     "INSERT INTO bare.customers (organization_id, name, company, inn, email, phone, notes, owner_user_id,"
     " source_lead_id, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING *"},
    {"client_contact",
     "INSERT INTO bare.customer_contacts (organization_id, customer_id, name, email, phone, \"position\","
     " is_primary) VALUES ($1, $2, $3, $4, $5, $6, true) RETURNING id"},
    {"client_fingerprint",
     "INSERT INTO bare.customer_fingerprints (id, organization_id, match_keys, match_values, "
     "derivation_version) SELECT $3, organization_id, match_keys, match_values, derivation_version FROM "
     "bare.lead_fingerprints WHERE id = $1 AND organization_id = $2"},
    {"client_identities",
     "INSERT INTO bare.customer_identities (organization_id, customer_id, kind, value)"
     " VALUES ($1, $2, 'email', $3), ($1, $2, 'inn', $4), ($1, $2, 'phone', $5)"},
    {"client_conversion",
     "INSERT INTO bare.lead_conversions (organization_id, lead_id, customer_id, contact_id, customer_created,"
     " converted_by, before_image) VALUES ($1, $2, $3, $4, true, $5, $6)"},
    {"client_convert",
     "UPDATE bare.leads SET converted_at = now(), converted_to_customer_id = $3, stage_id = $4, status = "
     "'converted',"
     " qualified_at = coalesce(qualified_at, now()), board_rank = board_rank || '0', stage_entered_at = "
     "now(),"
     " version = version + 1, updated_at = now() WHERE id = $1 AND organization_id = $2 RETURNING "
     "converted_at"},
    {"client_leave",
     "UPDATE bare.lead_stage_history SET left_at = greatest(now(), entered_at), updated_at = now()"
     " WHERE lead_id = $1 AND organization_id = $2 AND left_at IS NULL"},
    {"client_enter",
     "INSERT INTO bare.lead_stage_history (organization_id, lead_id, stage_id, entered_at, moved_by)"
     " VALUES ($1, $2, $3, now(), $4)"},
    {"client_count",
     "INSERT INTO bare.lead_stage_counts (organization_id, stage_id, assigned_to, currency, leads, value)"
     " VALUES ($1, $2, coalesce($3::uuid, '00000000-0000-0000-0000-000000000000'), $4, -1, $5)"},
    {"client_log",
     "INSERT INTO bare.activity_logs (organization_id, entity_type, entity_id, action, actor_id, changes) "
     "VALUES"
     " ($1, 'customer', $2, 'created', $3, $4), ($1, 'contact', $5, 'created', $3, $6),"
     " ($1, 'lead', $7, 'converted', $3, $8)"},
};

std::string JsonText(const Parameter& value) {
  if (!value) return "null";
  std::string text = "\"";
  for (const char c : *value) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + '"';
}

// {"field": {"old": ..., "new": ...}, ...} of JSON texts.
struct Change {
  const char* field;
  std::string before, after;
};
std::string Changes(std::initializer_list<Change> changes) {
  std::string json = "{";
  for (const Change& change : changes) {
    json += (json.size() > 1 ? ",\"" : "\"") + std::string(change.field) + "\":{\"old\":" + change.before +
            ",\"new\":" + change.after + "}";
  }
  return json + "}";
}

void Sleep(long nanoseconds) {
  if (nanoseconds == 0) return;
  const timespec time{0, nanoseconds};
  nanosleep(&time, nullptr);
}

class Converter {
 public:
  explicit Converter(const Setting& setting) : connection_(setting.connection), setting_(setting) {
    stage_ =
        connection_.Value(Printf("SELECT id FROM kvcrm.lead_stages WHERE organization_id = '%s' AND "
                                 "is_qualified ORDER BY order_index LIMIT 1",
                                 setting.organization.c_str()));
    connection_.Prepare("qualify", "SELECT kvcrm.qualify_lead($1::uuid)");
    connection_.Prepare("bare", kBare);
    connection_.Prepare("begin", "BEGIN");
    connection_.Prepare("commit", "COMMIT");
    for (const ClientStatement& statement : kClient) connection_.Prepare(statement.name, statement.sql);
  }

  // `delay`: nanoseconds before each statement, as a network would add them.
  void ByFunction(const std::string& lead, long delay) { Send("qualify", {lead}, delay); }

  void ByBareStatement(const std::string& lead) {
    Send("bare", {lead, setting_.organization, setting_.manager, stage_}, 0);
  }

  void ByClient(const std::string& id, long delay) {
    Send("begin", {}, delay);
    ByClientInTransaction(id, delay);
    Send("commit", {}, delay);
  }

  void ByClientInTransaction(const std::string& id, long delay) {
    const std::string& home = setting_.organization;
    const std::string& user = setting_.manager;
    Send("client_membership", {home, user}, delay);
    const Result lead = Send("client_lead", {id, home}, delay);
    const auto field = [&](int column) {
      return lead.IsNull(0, column) ? Parameter() : Parameter(lead.Text(0, column));
    };
    const Parameter name = field(0), company = field(1), inn = field(2), email = field(3), phone = field(4),
                    position = field(5), assignee = field(7);
    const std::string notes = "Source: " + lead.Text(0, 6);
    Send("client_stages", {home}, delay);
    const Result found = Send("client_find_customer", {home, field(13), inn, field(14)}, delay);
    if (found.rows() != 0) Fail("a client's conversion found a customer");
    const std::string customer =
        Send("client_customer", {home, name, company, inn, email, phone, notes, assignee, id, user}, delay)
            .Text(0, 0);
    const std::string contact =
        Send("client_contact", {home, customer, name, email, phone, position}, delay).Text(0, 0);
    Send("client_fingerprint", {id, home, customer}, delay);
    Send("client_identities", {home, customer, field(13), inn, field(14)}, delay);
    Send("client_conversion",
         {home, id, customer, contact, user,
          "{\"stage_id\":" + JsonText(field(8)) + ",\"board_rank\":" + JsonText(field(9)) +
              ",\"lost_reason\":" + JsonText(field(10)) + ",\"stage_entered_at\":" + JsonText(field(11)) +
              ",\"qualified_at\":" + JsonText(field(12)) + "}"},
         delay);
    const std::string converted_at = Send("client_convert", {id, home, customer, stage_}, delay).Text(0, 0);
    Send("client_leave", {id, home}, delay);
    Send("client_enter", {home, id, stage_, user}, delay);
    Send("client_count", {home, field(8), assignee, field(19), field(20)}, delay);
    Send("client_log",
         {home, customer, user,
          Changes({{"name", "null", JsonText(name)},
                   {"company", "null", JsonText(company)},
                   {"inn", "null", JsonText(inn)},
                   {"email", "null", JsonText(email)},
                   {"phone", "null", JsonText(phone)},
                   {"notes", "null", JsonText(notes)},
                   {"custom_fields", "null", "{}"},
                   {"owner_user_id", "null", JsonText(assignee)},
                   {"source_lead_id", "null", JsonText(id)}}),
          contact,
          Changes({{"customer_id", "null", JsonText(customer)},
                   {"name", "null", JsonText(name)},
                   {"email", "null", JsonText(email)},
                   {"phone", "null", JsonText(phone)},
                   {"position", "null", JsonText(position)},
                   {"is_primary", "null", "true"}}),
          id,
          Changes({{"stage_id", JsonText(field(8)), JsonText(stage_)},
                   {"converted_at", "null", JsonText(converted_at)},
                   {"converted_to_customer_id", "null", JsonText(customer)}})},
         delay);
  }

 private:
  Result Send(const char* statement, const std::vector<Parameter>& parameters, long delay) {
    Sleep(delay);
    return connection_.Execute(statement, parameters);
  }

  Connection& connection_;
  const Setting setting_;
  std::string stage_;
};

// --- that both sides write the same ---

struct Written {
  const char* table;
  double rows, bytes;
};

// Rows, and bytes of their content, that the session's statements wrote since `since` (an id: ids rise), and
// the new versions of rows that were updated.
std::vector<Written> CountWritten(Connection& connection, const char* schema, const std::string& since,
                                  const std::string& leads) {
  std::vector<Written> all;
  const auto add = [&](const char* table, const std::string& condition) {
    const Result result = connection.Run(
        Printf("SELECT count(*), coalesce(sum(pg_column_size(t.*)), 0) FROM %s.%s t WHERE ", schema, table) +
        condition);
    all.push_back({table, std::stod(result.Text(0, 0)), std::stod(result.Text(0, 1))});
  };
  const std::string later = "id > '" + since + "'";
  add("leads", "converted_at IS NOT NULL AND id = ANY (" + leads + ")");
  for (const char* table : {"lead_stage_history", "customers", "customer_contacts", "customer_fingerprints",
                            "customer_identities", "lead_conversions", "activity_logs"}) {
    add(table, later);
  }
  add("lead_stage_history", "left_at IS NOT NULL AND lead_id = ANY (" + leads + ")");
  return all;
}

// What a conversion inserts, updates and deletes, table by table. It is rolled back.
std::string WritesOf(Connection& connection, const char* schema, const std::string& lead,
                     const std::function<void(const std::string&)>& convert) {
  // Else the statistics would still hold those of transactions before.
  connection.Run("SELECT pg_stat_force_next_flush()");
  connection.Run("BEGIN");
  convert(lead);
  // Counts are folded now and then; that is qualify_lead's own cost.
  const Result result = connection.Run(Printf(
      "SELECT string_agg(format('%%s %%s inserted %%s updated %%s deleted', relname, n_tup_ins, n_tup_upd,"
      " n_tup_del), '; ' ORDER BY relname) FROM pg_stat_xact_user_tables WHERE schemaname = '%s'"
      " AND n_tup_ins + n_tup_upd + n_tup_del > 0 AND relname <> 'lead_stage_counts'",
      schema));
  connection.Run("ROLLBACK");
  return result.Text(0, 0);
}

// Runs both sides over the same number of leads and fails unless they write as many rows, of the same size.
void RequireSameWrites(Connection& connection, const std::vector<std::string>& our_leads,
                       const std::function<void(const std::string&)>& by_function,
                       const std::vector<std::string>& their_leads,
                       const std::function<void(const std::string&)>& otherwise, const char* what) {
  const auto run = [&](const char* schema, const std::vector<std::string>& leads, const auto& convert) {
    const std::string since = connection.Value("SELECT kvcrm.uuid_v7()");
    std::string ids = "'{";
    for (const std::string& lead : leads) {
      convert(lead);
      ids += (ids.size() > 2 ? "," : "") + lead;
    }
    return CountWritten(connection, schema, since, ids + "}'::uuid[]");
  };
  const std::vector<Written> ours = run("kvcrm", our_leads, by_function);
  const std::vector<Written> theirs = run("bare", their_leads, otherwise);
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (ours[i].rows == theirs[i].rows && ours[i].rows >= static_cast<double>(our_leads.size()) &&
        ours[i].bytes > theirs[i].bytes * 0.9 && ours[i].bytes < theirs[i].bytes * 1.1)
      continue;
    Fail(Printf("qualify_lead and %s don't write the same into %s: %.0f rows of %.0f bytes, %.0f of %.0f",
                what, ours[i].table, ours[i].rows, ours[i].bytes, theirs[i].rows, theirs[i].bytes));
  }
}

// Customers there are already.
void ConvertSome(const Setting& setting) {
  Connection connection;
  connection.Run("SET kvcrm.user_id = '" + setting.manager + "'");
  Converter converter(
      {connection, setting.report, setting.scale, setting.organization, setting.owner, setting.manager});
  for (const std::string& lead : TakeLeads(setting, kBefore)) {
    converter.ByFunction(lead, 0);
    converter.ByBareStatement(lead);
  }
  connection.Run("VACUUM ANALYZE");
}

}  // namespace

void MeasureQualify(const Setting& setting) {
  Connection& connection = setting.connection;
  ConvertSome(setting);
  Converter converter(setting);
  constexpr int kPerSide = kRounds * kPerRound, kDelayed = kRounds * kPerRoundDelayed;
  // The function and the bare statement convert the same leads; the client converts others of the copies.
  const std::vector<std::string> leads = TakeLeads(setting, kPerSide + kDelayed + 2 * kSample);
  const std::vector<std::string> others = TakeLeads(setting, kPerSide + kDelayed + 2 * kSample);
  if (leads.size() != others.size() || leads.size() < kPerSide + kDelayed + 2 * kSample)
    Fail("too few leads are left to convert");
  std::size_t next = 0;

  // This also warms the connection up.
  const auto sample = [&](std::size_t from, const std::vector<std::string>& list) {
    return std::vector<std::string>(list.begin() + static_cast<std::ptrdiff_t>(from),
                                    list.begin() + static_cast<std::ptrdiff_t>(from + kSample));
  };
  const std::vector<std::string> first_sample = sample(0, leads), second_sample = sample(kSample, leads),
                                 client_sample = sample(0, others);
  const auto by_bare = [&](const std::string& lead) { converter.ByBareStatement(lead); };
  const auto by_function = [&](const std::string& lead) { converter.ByFunction(lead, 0); };
  const std::string ours = WritesOf(connection, "kvcrm", leads[0], by_function);
  for (const std::string& theirs : {WritesOf(connection, "bare", leads[0], by_bare),
                                    WritesOf(connection, "bare", leads[0], [&](const std::string& lead) {
                                      converter.ByClientInTransaction(lead, 0);
                                    })}) {
    if (theirs != ours) Fail("qualify_lead writes: " + ours + "; to compare with: " + theirs);
  }
  RequireSameWrites(connection, first_sample, by_function, first_sample, by_bare, "the bare statement");
  RequireSameWrites(
      connection, second_sample, by_function, client_sample,
      [&](const std::string& lead) { converter.ByClient(lead, 0); }, "the client's statements");
  next = 2 * kSample;

  Rounds rounds;
  for (int round = 0; round < kRounds; ++round) {
    const std::size_t first = next;
    const auto each = [&](std::size_t from, std::size_t count, const auto& convert) {
      return Time([&] {
        for (std::size_t i = from; i < from + count; ++i) convert(i);
      });
    };
    const auto function = [&] {
      rounds.Add("function",
                 each(first, kPerRound, [&](std::size_t i) { converter.ByFunction(leads[i], 0); }));
    };
    const auto bare = [&] {
      rounds.Add("bare", each(first, kPerRound, [&](std::size_t i) { converter.ByBareStatement(leads[i]); }));
    };
    // Who goes first changes, since the first finds a colder cache.
    if (round % 2 == 0) {
      function();
      bare();
    } else {
      bare();
      function();
    }
    rounds.Add("client", each(first, kPerRound, [&](std::size_t i) { converter.ByClient(others[i], 0); }));
    const std::size_t delayed = first + kPerRound;
    rounds.Add("function_1ms", each(delayed, kPerRoundDelayed,
                                    [&](std::size_t i) { converter.ByFunction(leads[i], 1'000'000); }));
    rounds.Add("client_1ms", each(delayed, kPerRoundDelayed,
                                  [&](std::size_t i) { converter.ByClient(others[i], 1'000'000); }));
    next = delayed + kPerRoundDelayed;
  }
  const auto rate = [&](const char* side, int count) { return count / rounds.Seconds(side); };
  setting.report.Add("qualify_vs_bare", rounds.Ratio("bare", "function"),
                     Printf("%.0f conversions/s, %.0f bare, %d rounds of %d", rate("function", kPerRound),
                            rate("bare", kPerRound), kRounds, kPerRound));
  setting.report.Add("qualify_vs_client", rounds.Ratio("client", "function"),
                     Printf("%.0f conversions/s by 15 client statements", rate("client", kPerRound)));
  setting.report.Add("qualify_vs_client_1ms", rounds.Ratio("client_1ms", "function_1ms"),
                     Printf("%.0f conversions/s, %.0f by client statements",
                            rate("function_1ms", kPerRoundDelayed), rate("client_1ms", kPerRoundDelayed)));
}

}  // namespace bench
