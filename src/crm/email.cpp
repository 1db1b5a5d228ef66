// E-mail: a message becomes an activity of the lead it belongs to (docs/email.md).
//
// Which lead: the one in whose thread the message is; else the one whose address, or whose customer's, it
// bears; else a new one. A message of a member is a copy of what went out, and belongs to whom it went to.
//
// Two sessions may bring the same message, or two messages of one unknown person, at once. The unique key of
// email_messages lets one activity of a message be; the row of email_senders lets one of two open a lead, the
// other waits for it and then finds that lead.
#include <algorithm>
#include <exception>
#include <set>

#include "crm/errors.hpp"
#include "crm/fingerprints.hpp"
#include "crm/leads.hpp"
#include "crm/rows.hpp"
#include "crm/uuid.hpp"
#include "mail/message.hpp"
#include "match/email_address.hpp"
#include "match/keys.hpp"
#include "pg/entry.hpp"
#include "pg/json.hpp"
#include "text/email.hpp"
#include "text/utf8.hpp"

extern "C" {
#include "access/xact.h"
}

using namespace kvcrm;
using crm::Permission;

namespace {

using OptionalText = std::optional<std::string>;
using OptionalUuid = std::optional<pg::Uuid>;
using Texts = std::vector<std::string>;
using Uuids = std::vector<pg::Uuid>;
using Keys = std::vector<std::int64_t>;

// clang-format off
// Rows are fetched by their keys alone (OFFSET 0): while tables have no statistics the planner would walk the
// organization instead.
#define LEAD_OF(id) \
  " CROSS JOIN LATERAL (SELECT x.* FROM kvcrm.leads x WHERE x.id = " id " OFFSET 0) l"
#define ACTIVITY_OF(hash) \
  " CROSS JOIN LATERAL (SELECT x.id FROM kvcrm.email_messages x WHERE x.message_hash = decode(" hash ", 'hex')" \
  "   AND x.organization_id = $1 OFFSET 0) e" \
  " CROSS JOIN LATERAL (SELECT x.* FROM kvcrm.lead_activities x WHERE x.id = e.id OFFSET 0) a"

// The activity of a message that was filed before, and who works on its lead.
const pg::Statement<pg::Uuid, std::string> kFiled{
    "email.filed",
    "SELECT (SELECT b FROM kvcrm.lead_activities b WHERE b.id = a.id AND b.organization_id = $1), l.assigned_to"
    " FROM (VALUES ($2)) AS g (hash)" ACTIVITY_OF("g.hash") LEAD_OF("a.lead_id")
    " WHERE a.organization_id = $1 AND l.organization_id = $1"};

// The leads of messages that this one answers, in the order given.
const pg::Statement<pg::Uuid, Texts> kThread{
    "email.thread",
    "SELECT l.id, l.assigned_to FROM unnest($2) WITH ORDINALITY AS g (hash, n)" ACTIVITY_OF("g.hash")
    LEAD_OF("a.lead_id")
    " WHERE a.organization_id = $1 AND l.organization_id = $1 AND l.deleted_at IS NULL ORDER BY g.n"};

// Customers that share a blocking key with an address, for C++ to compare.
const pg::Statement<pg::Uuid, Keys> kCustomers{
    "email.customers",
    "WITH sharing AS MATERIALIZED (SELECT f.id, f.organization_id, f.match_values"
    "   FROM kvcrm.customer_fingerprints f WHERE f.match_keys && $2)"
    " SELECT s.id, s.match_values FROM sharing s"
    " CROSS JOIN LATERAL (SELECT x.* FROM kvcrm.customers x WHERE x.id = s.id OFFSET 0) c"
    " WHERE s.organization_id = $1 AND c.organization_id = $1 AND c.deleted_at IS NULL",
    pg::Plan::kGin};

// Leads with address $2, which have one of the keys $3, those that such leads were merged into, and those that
// became the customers $4; open ones first, then customers and won ones, the newest first.
const pg::Statement<pg::Uuid, std::string, Keys, Uuids> kByAddress{
    "email.by_address",
    "WITH RECURSIVE sharing AS MATERIALIZED (SELECT f.id, f.organization_id FROM kvcrm.lead_fingerprints f"
    "   WHERE f.match_keys && $3),"
    " given AS (SELECT l.id, l.merged_into_id FROM sharing s" LEAD_OF("s.id")
    "     WHERE s.organization_id = $1 AND l.organization_id = $1 AND l.email_normalized = $2"
    "   UNION ALL SELECT l.id, l.merged_into_id FROM unnest($4) AS c (id) CROSS JOIN LATERAL"
    "     (SELECT x.id, x.merged_into_id FROM kvcrm.leads x WHERE x.converted_to_customer_id = c.id"
    "      AND x.organization_id = $1 OFFSET 0) l),"
    " found AS (SELECT g.id, g.merged_into_id FROM given g"
    "   UNION SELECT l.id, l.merged_into_id FROM found f" LEAD_OF("f.merged_into_id")
    "     WHERE l.organization_id = $1)"
    " SELECT l.id, l.assigned_to FROM found f" LEAD_OF("f.id")
    " JOIN kvcrm.lead_stages s ON s.id = l.stage_id AND s.organization_id = $1"
    " WHERE f.merged_into_id IS NULL AND l.organization_id = $1 AND l.deleted_at IS NULL"
    " ORDER BY CASE WHEN l.converted_at IS NOT NULL OR s.outcome = 'won' THEN 1 WHEN s.outcome = 'open' THEN 0"
    "   ELSE 2 END, l.created_at DESC, l.id DESC",
    pg::Plan::kGin};
// clang-format on

// Which of some addresses (lower case) are members', and which of some domains their addresses have.
const pg::Statement<pg::Uuid, Texts, Texts> kMembers{
    "email.members",
    "SELECT lower(m.email) = ANY ($2), lower(m.email), lower(split_part(m.email, '@', 2))"
    " FROM kvcrm.organization_members m WHERE m.organization_id = $1 AND (lower(m.email) = ANY ($2)"
    "   OR lower(split_part(m.email, '@', 2)) = ANY ($3))"};

// A lead that somebody is just deleting or erasing gets no mail any more.
const pg::Statement<pg::Uuid, pg::Uuid> kHold{
    "email.hold",
    "SELECT 1 FROM kvcrm.leads WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL FOR KEY SHARE"};

const pg::Statement<pg::Uuid, std::string> kClaimSender{
    "email.claim_sender",
    "INSERT INTO kvcrm.email_senders (organization_id, address_hash) VALUES ($1, sha256(convert_to($2, "
    "'UTF8')))"
    " ON CONFLICT (address_hash, organization_id) DO UPDATE SET address_hash = EXCLUDED.address_hash"};
const pg::Statement<pg::Uuid, std::string> kReleaseSender{
    "email.release_sender",
    "DELETE FROM kvcrm.email_senders WHERE organization_id = $1"
    " AND address_hash = sha256(convert_to($2, 'UTF8'))"};

const pg::Statement<pg::Uuid, std::string, std::string, OptionalText> kInsertLead{
    "email.insert_lead",
    "INSERT INTO kvcrm.leads AS l (organization_id, name, email, source) VALUES ($1, $2, $3, $4)"
    " RETURNING l.id"};

const pg::Statement<pg::Uuid, pg::Uuid> kInSnapshot{
    "email.in_snapshot", "SELECT 1 FROM kvcrm.leads WHERE id = $1 AND organization_id = $2"};

// Nothing when the message was filed meanwhile.
const pg::Statement<pg::Uuid, pg::Uuid, std::string, pg::Uuid, std::string, OptionalText, pg::Timestamp,
                    pg::Json>
    kInsertActivity{
        "email.insert_activity",
        "WITH claimed AS (INSERT INTO kvcrm.email_messages AS e (organization_id, id, message_hash)"
        "   VALUES ($1, $2, decode($3, 'hex')) ON CONFLICT (message_hash, organization_id) DO NOTHING "
        "RETURNING e.id)"
        " INSERT INTO kvcrm.lead_activities AS a (organization_id, id, lead_id, type, title, description,"
        " completed_at, metadata) SELECT $1, c.id, $4, 'email', $5, $6, $7, $8 FROM claimed c RETURNING a"};

constexpr char kNoSubject[] = "(no subject)";
constexpr std::size_t kMaxKeptReferences = 10;
constexpr std::size_t kMaxKeptId = 250;  // bytes
// Of the quotation, in bytes, and of all metadata as text, so that it stays below crm::kJsonBytes.
constexpr std::size_t kMaxQuoted = 24000, kMaxMetadata = 60000;

// At most `count` code points of a text, and whether that is all of it.
bool CutTo(std::string& text, int count) {
  std::size_t position = 0;
  for (int i = 0; i < count && position < text.size(); ++i) text::DecodeCodePoint(text, position);
  if (position == text.size()) return true;
  text.resize(position);
  return false;
}

// --- who is who ---

// The addresses of a message that are the organization's own.
class OwnAddresses {
 public:
  OwnAddresses(const crm::Caller& caller, const mail::Message& message) {
    std::set<std::string> addresses, domains;
    for (const auto* list : {&message.from, &message.reply_to, &message.to, &message.cc, &message.bcc}) {
      for (const mail::Mailbox& mailbox : *list) {
        const std::string normalized = text::NormalizeEmail(mailbox.address);
        addresses.insert({Lower(mailbox.address), normalized});
        const std::string_view domain = match::EmailAddress(normalized).domain;
        if (!domain.empty() && !match::IsFreeMail(domain)) domains.insert(std::string(domain));
      }
    }
    const pg::Rows rows = kMembers(caller.organization, Texts(addresses.begin(), addresses.end()),
                                   Texts(domains.begin(), domains.end()));
    for (std::uint64_t i = 0; i < rows.size(); ++i) {
      if (rows.Get<bool>(i, 0)) members_.insert(text::NormalizeEmail(rows.Get<std::string>(i, 1)));
      std::string domain = rows.Get<std::string>(i, 2);
      if (domains.contains(domain)) domains_.insert(std::move(domain));
    }
    for (const std::string& address : message.delivered_to) mailboxes_.insert(text::NormalizeEmail(address));
  }

  bool IsMember(const mail::Mailbox& mailbox) const {
    return members_.contains(text::NormalizeEmail(mailbox.address));
  }
  // A member's, an address of the domain of members (unless a provider gives those to anybody), or the
  // address under which the message came here.
  bool Has(const mail::Mailbox& mailbox) const {
    const std::string normalized = text::NormalizeEmail(mailbox.address);
    return members_.contains(normalized) || mailboxes_.contains(normalized) ||
           domains_.contains(std::string(match::EmailAddress(normalized).domain));
  }

 private:
  static std::string Lower(std::string text) {
    for (char& c : text) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    return text;
  }

  std::set<std::string> members_, domains_, mailboxes_;
};

// Those a message is from or, if it is the organization's own, to.
struct Counterparts {
  bool outbound = false;
  std::vector<mail::Mailbox> mailboxes;
};

Counterparts CounterpartsOf(const crm::Caller& caller, const mail::Message& message) {
  const OwnAddresses own(caller, message);
  const mail::Mailbox* sender = message.from.empty() ? nullptr : message.from.data();
  Counterparts result;
  // A form on the organization's own site names the visitor in Reply-To.
  if (sender != nullptr && own.Has(*sender) && !own.IsMember(*sender)) {
    const auto visitor = std::find_if(message.reply_to.begin(), message.reply_to.end(),
                                      [&](const mail::Mailbox& mailbox) { return !own.Has(mailbox); });
    if (visitor != message.reply_to.end()) sender = &*visitor;
  }
  if (sender == nullptr || !own.Has(*sender)) {
    if (sender != nullptr) result.mailboxes.push_back(*sender);
    return result;
  }
  result.outbound = true;
  for (const auto* list : {&message.to, &message.cc, &message.bcc}) {
    for (const mail::Mailbox& mailbox : *list) {
      if (!own.Has(mailbox)) result.mailboxes.push_back(mailbox);
    }
  }
  return result;
}

// --- which lead ---

// The first of some leads (id, assignee) that the caller sees. The others are to him as if they weren't
// there.
OptionalUuid FirstVisible(const crm::Caller& caller, const pg::Rows& rows) {
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    if (crm::SeesLead(caller, rows.Get<OptionalUuid>(i, 1))) return rows.Get<pg::Uuid>(i, 0);
  }
  return std::nullopt;
}

OptionalUuid FindByAddress(const crm::Caller& caller, const std::string& address) {
  const std::string normalized = text::NormalizeEmail(address);
  const std::string values = match::Normalize({"", "", address, "", ""});
  const match::Record sought(values);
  const Keys keys = match::KeysOfContacts(sought, crm::BytesOf(caller.organization));
  if (normalized.empty() || sought.email.empty()) return std::nullopt;
  Uuids customers;
  const pg::Rows rows = kCustomers.Latest(caller.organization, keys);
  for (std::uint64_t i = 0; i < rows.size(); ++i) {
    for (const std::string_view record : crm::RecordsOfCustomer(crm::ViewText(rows.At(i, 1)))) {
      if (match::Record(record).email != sought.email) continue;
      customers.push_back(rows.Get<pg::Uuid>(i, 0));
      break;
    }
  }
  return FirstVisible(caller, kByAddress.Latest(caller.organization, normalized, keys, customers));
}

// What a message says of the messages before it, the nearest first.
Texts ThreadHashes(const mail::Message& message) {
  Texts hashes;
  if (!message.in_reply_to.empty()) hashes.push_back(mail::HashOfMessageId(message.in_reply_to));
  for (auto id = message.references.rbegin(); id != message.references.rend(); ++id)
    hashes.push_back(mail::HashOfMessageId(*id));
  return hashes;
}

class Filing {
 public:
  Filing(const crm::Caller& caller, const mail::Message& message)
      : caller_(caller), message_(message), counterparts_(CounterpartsOf(caller, message)) {}

  bool outbound() const { return counterparts_.outbound; }

  // The lead the message belongs to, made if need be; nothing when the message was filed
  // meanwhile. The trigger of activities takes the survivor when it is merged away before the activity is
  // written.
  OptionalUuid FindOrOpen() {
    if (const OptionalUuid lead = Find()) return lead;
    const mail::Mailbox& unknown = Openable();
    const std::string address = text::NormalizeEmail(unknown.address);
    kClaimSender(caller_.organization, address);
    // Whoever was here before has committed now, maybe this very message.
    OptionalUuid lead;
    if (kFiled.Latest(caller_.organization, message_.hash).empty()) {
      lead = Find();
      if (lead) RequireInSnapshot(*lead);
      if (!lead) lead = Open(unknown);
    }
    kReleaseSender(caller_.organization, address);
    return lead;
  }

 private:
  // A transaction that repeats its reads can't refer to a lead that came after its first one.
  void RequireInSnapshot(const pg::Uuid& lead) const {
    if (!IsolationUsesXactSnapshot() || !kInSnapshot(lead, caller_.organization).empty()) return;
    throw Error(ERRCODE_T_R_SERIALIZATION_FAILURE, "another session has just opened the lead")
        .Hint("Repeat the transaction.");
  }

  // Held until the activity is written. Who is found deleted isn't found again.
  OptionalUuid Find() const {
    OptionalUuid lead = Look();
    for (int tries = 3; lead && tries > 0 && kHold.Latest(*lead, caller_.organization).empty(); --tries)
      lead = Look();
    return lead;
  }

  OptionalUuid Look() const {
    if (const Texts hashes = ThreadHashes(message_); !hashes.empty()) {
      if (OptionalUuid lead = FirstVisible(caller_, kThread.Latest(caller_.organization, hashes)))
        return lead;
    }
    for (const mail::Mailbox& mailbox : counterparts_.mailboxes) {
      if (OptionalUuid lead = FindByAddress(caller_, mailbox.address)) return lead;
    }
    return std::nullopt;
  }

  // Whom a lead may be opened for.
  const mail::Mailbox& Openable() const {
    if (!message_.is_personal) {
      throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "an automatic message opens no lead")
          .Detail(
              "It is a delivery report, an automatic answer or from a mailing list, and no lead bears its "
              "address.");
    }
    for (const mail::Mailbox& mailbox : counterparts_.mailboxes) {
      if (text::IsValidEmail(mailbox.address)) return mailbox;
    }
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, counterparts_.outbound
                                                     ? "the message is addressed to nobody outside"
                                                     : "the message has no valid sender")
        .Detail("There is nobody a lead could be opened for.");
  }

  // Through the same gate as create_lead: a person may write the same lead at this moment under the policy
  // 'block', and then it is that one.
  OptionalUuid Open(const mail::Mailbox& mailbox) const {
    std::string name = mailbox.name;
    if (text::Trim(name).empty() || name.find('@') != std::string::npos)
      name = mailbox.address.substr(0, mailbox.address.find('@'));
    CutTo(name, crm::kNameLength);
    const OptionalText source = outbound() ? OptionalText{} : OptionalText("inbound_email");
    std::exception_ptr refused;
    {
      pg::SubTransaction attempt;
      try {
        const pg::Uuid lead =
            kInsertLead(caller_.organization, name, mailbox.address, source).Get<pg::Uuid>(0, 0);
        attempt.Commit();
        return lead;
      } catch (const pg::Error& error) {
        if (error.sqlstate() != ERRCODE_UNIQUE_VIOLATION) throw;
        refused = std::current_exception();
      }
    }
    if (const OptionalUuid lead = Find()) return lead;
    std::rethrow_exception(refused);
  }

  const crm::Caller& caller_;
  const mail::Message& message_;
  const Counterparts counterparts_;
};

// --- what is kept of it ---

// JSON text, a member at a time.
class Json {
 public:
  explicit Json(char open) : text_(1, open), close_(open == '{' ? '}' : ']') {}
  Json& Add(const char* key, const std::string& json) {
    Comma();
    text_ += '"';
    text_ += key;
    text_ += "\":";
    text_ += json;
    return *this;
  }
  Json& AddText(const char* key, const std::string& text) {
    return text.empty() ? *this : Add(key, pg::QuoteJson(text));
  }
  void Append(const std::string& json) {
    Comma();
    text_ += json;
  }
  std::size_t size() const { return text_.size(); }
  std::string Done() const { return text_ + close_; }

 private:
  void Comma() {
    if (text_.size() > 1) text_ += ',';
  }
  std::string text_;
  char close_;
};

std::string ToJson(const mail::Mailbox& mailbox) {
  return Json('{').AddText("name", mailbox.name).AddText("address", mailbox.address).Done();
}

template <typename T>
std::string ToJson(const std::vector<T>& items) {
  Json list('[');
  for (const T& item : items) list.Append(ToJson(item));
  return list.Done();
}

std::string ToJson(const mail::Attachment& attachment) {
  Json json('{');
  json.AddText("name", attachment.name)
      .AddText("type", attachment.type)
      .Add("size", std::to_string(attachment.size));
  if (attachment.is_inline) json.Add("inline", "true");
  return json.Done();
}

std::string Metadata(const mail::Message& message, bool outbound, bool cut) {
  Json json('{');
  json.Add("direction", outbound ? "\"outbound\"" : "\"inbound\"");
  if (!message.from.empty()) json.Add("from", ToJson(message.from.front()));
  if (!message.reply_to.empty()) json.Add("reply_to", ToJson(message.reply_to.front()));
  if (!message.to.empty()) json.Add("to", ToJson(message.to));
  if (!message.cc.empty()) json.Add("cc", ToJson(message.cc));
  const auto id = [](const std::string& text) { return std::string(text::Beginning(text, kMaxKeptId)); };
  json.AddText("message_id", id(message.message_id)).AddText("in_reply_to", id(message.in_reply_to));
  if (!message.references.empty()) {
    Json list('[');
    const std::size_t count = message.references.size();
    for (std::size_t i = count - std::min(count, kMaxKeptReferences); i < count; ++i)
      list.Append(pg::QuoteJson(id(message.references[i])));
    json.Add("references", list.Done());
  }
  if (!message.attachments.empty()) {
    Json list('[');
    for (const mail::Attachment& attachment : message.attachments) list.Append(ToJson(attachment));
    json.Add("attachments", list.Done());
  }
  if (message.attachments_left_out > 0)
    json.Add("attachments_left_out", std::to_string(message.attachments_left_out));
  if (message.is_automatic) json.Add("automatic", "true");
  if (cut) json.Add("cut", "true");
  if (!message.quoted.empty()) {
    const std::size_t room = kMaxMetadata - std::min(kMaxMetadata, json.size());
    std::string quoted(text::Beginning(message.quoted, std::min(kMaxQuoted, room)));
    if (quoted.size() < message.quoted.size()) quoted += "\n[…]";
    json.AddText("quoted", quoted);
  }
  return json.Done();
}

// When it was written: never in the future, whatever its clock said, and now if it doesn't say.
pg::Timestamp WrittenAt(const mail::Message& message) {
  constexpr std::int64_t kEpoch = 946684800;  // of PostgreSQL, in seconds since 1970
  const pg::Timestamp now = crm::Now();
  if (!message.date || *message.date <= 0 || *message.date > kEpoch + now.value / USECS_PER_SEC) return now;
  return {(*message.date - kEpoch) * USECS_PER_SEC};
}

mail::Message ParseMessage(std::string_view bytes) {
  try {
    return mail::Parse(bytes);
  } catch (const mail::Unreadable& error) {
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "the message can't be read").Detail(error.what());
  }
}

// The activity of a message that is filed already.
Datum ReturnFiled(pg::Args& args, const crm::Caller& caller, const pg::Rows& rows) {
  if (!rows.empty() && !crm::SeesLead(caller, rows.Get<OptionalUuid>(0, 1))) {
    throw Error(ERRCODE_UNIQUE_VIOLATION, "the message is filed already")
        .Hint("It belongs to a lead that you don't see.");
  }
  return crm::ReturnFirst(args, rows, "activity");
}

}  // namespace

// ingest_email(message bytea, organization_id) -> lead_activities. Errors: 22023 for what is no message, is
// too large, or names nobody a lead could be opened for; 42501 without leads:create and activities:create;
// 23505 when the message is filed with a lead that the caller doesn't see, or when the policy 'block' knows
// such a lead.
KVCRM_FUNCTION(ingest_email) {
  if (args.IsNull(0)) pg::Args::RaiseMissing("message");
  pg::Session session(pg::Access::kWrite);
  const crm::Caller caller = crm::CallerInGivenOrCurrent(args.Get<OptionalUuid>(1));
  caller.Require(Permission::kLeadsCreate);
  caller.Require(Permission::kActivitiesCreate);
  mail::Message message = ParseMessage(crm::ViewText({args.call()->args[0].value, false}));

  if (const pg::Rows rows = kFiled.Latest(caller.organization, message.hash); !rows.empty())
    return ReturnFiled(args, caller, rows);
  Filing filing(caller, message);
  if (const OptionalUuid lead = filing.FindOrOpen()) {
    std::string title = message.subject.empty() ? kNoSubject : message.subject;
    CutTo(title, crm::kNameLength);
    constexpr int kMark = 4;
    std::string text = message.text;
    bool whole = true;
    if (text::CountCodePoints(text) > static_cast<std::size_t>(crm::kTextLength)) {
      whole = CutTo(text, crm::kTextLength - kMark);
      text += "\n[…]";
    }
    const pg::Rows rows = kInsertActivity(
        caller.organization, crm::NewUuid(), message.hash, *lead, title, text, WrittenAt(message),
        pg::ParseJson(Metadata(message, filing.outbound(), !whole || message.is_cut)));
    if (!rows.empty()) return crm::ReturnFirst(args, rows, "activity");
  }
  return ReturnFiled(args, caller, kFiled.Latest(caller.organization, message.hash));
}
