#include "mail/message.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include <gmime/gmime.h>

#include "mail/charset.hpp"
#include "mail/html.hpp"
#include "mail/quote.hpp"
#include "text/utf8.hpp"

namespace kvcrm::mail {

namespace {

// Parts inside parts; GMime itself stops at 1024.
constexpr int kMaxDepth = 50;
// Bytes of a header that are looked at, of HTML in all parts, and of a value that is kept.
constexpr std::size_t kMaxHeader = 64 << 10;
// Of one header of addresses, and of all.
constexpr std::size_t kMaxAddressHeader = 8 << 10, kMaxAddressHeaders = 64 << 10;
constexpr std::size_t kMaxHtml = 4 << 20;
constexpr std::size_t kMaxValue = 1000;
constexpr std::size_t kMaxName = 255;  // bytes, of a file, person or type

struct Unref {
  template <typename T>
  void operator()(T* object) const {
    g_object_unref(object);
  }
};
template <typename T>
using Object = std::unique_ptr<T, Unref>;

struct Free {
  void operator()(char* text) const { g_free(text); }
};
using CText = std::unique_ptr<char, Free>;

std::string_view View(const char* text) { return text == nullptr ? std::string_view() : text; }

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && g_ascii_strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// Once per process. GMime warns of what it finds in messages; a server's log is no place for that.
void Start() {
  static const bool started = [] {
    g_mime_init();
    g_log_set_handler(
        "gmime", static_cast<GLogLevelFlags>(G_LOG_LEVEL_MASK | G_LOG_FLAG_RECURSION),
        [](const char*, GLogLevelFlags, const char*, void*) {}, nullptr);
    return true;
  }();
  static_cast<void>(started);
}

// One line, without what surrounds it, at most `size` bytes.
std::string OneLine(std::string_view text, std::size_t size) {
  std::string line;
  bool space = false;
  for (const char c : Clean(text)) {
    if (c == '\n' || c == '\t' || c == ' ') {
      space = true;
    } else {
      if (space && !line.empty()) line += ' ';
      space = false;
      line += c;
    }
  }
  return std::string(text::Trim(text::Beginning(line, size)));
}

// --- bounds ---

// Counts what GMime would make objects of: lines that may begin a part, and lines of headers at the
// beginning, after such a line and in the paragraph below that (a message inside a message).
void CheckBounds(std::string_view bytes) {
  if (bytes.size() > kMaxBytes) throw Unreadable("The message is larger than 64 MiB.");
  int parts = 0, headers = 0, paragraphs = 2;
  for (std::size_t start = 0; start < bytes.size();) {
    const std::size_t end = std::min(bytes.find('\n', start), bytes.size());
    std::string_view line = bytes.substr(start, end - start);
    start = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with("--")) {
      if (++parts > kMaxParts) throw Unreadable("The message has too many parts.");
      paragraphs = 2;
    } else if (line.empty()) {
      if (paragraphs > 0) --paragraphs;
    } else if (paragraphs > 0 && line.front() != ' ' && line.front() != '\t' &&
               line.substr(0, 200).find(':') != std::string_view::npos) {
      if (++headers > kMaxHeaders) throw Unreadable("The message has too many headers.");
    }
  }
}

bool IsOfAddresses(std::string_view header) {
  const std::string_view name = text::Trim(header.substr(0, header.find(':')));
  for (const char* known : {"From", "Sender", "Reply-To", "To", "Cc", "Bcc"}) {
    if (EqualsIgnoringCase(name, known)) return true;
  }
  return false;
}

// The message with what is too long of its headers left out. GMime reads those of addresses, also of messages
// inside the message, when it meets them, and needs a time that grows with the square of their length.
std::string ShortenHeaders(std::string_view bytes) {
  std::string shortened;
  std::size_t addresses = 0, room = 0;
  int paragraphs = 2;  // as above
  bool in_header = false, top = true, of_addresses = false;
  for (std::size_t start = 0; start < bytes.size();) {
    const std::size_t end = std::min(bytes.find('\n', start), bytes.size());
    const std::string_view line = bytes.substr(start, end - start);
    start = end + 1;
    const bool empty = line.empty() || line == "\r";
    const bool goes_on = !empty && (line.front() == ' ' || line.front() == '\t');
    if (line.starts_with("--")) {
      paragraphs = 2;
    } else if (empty) {
      if (paragraphs > 0) --paragraphs;
      top = false;
    }
    if (!goes_on) {
      of_addresses = paragraphs > 0 && IsOfAddresses(line.substr(0, 200));
      in_header = !empty && (top || of_addresses);
      room = of_addresses ? std::min(kMaxAddressHeader, kMaxAddressHeaders - addresses) : kMaxHeader;
      // The name says what it was.
      if (of_addresses) room = std::max(room, line.find(':') + 1);
    }
    const std::size_t kept = in_header ? std::min(room, line.size()) : line.size();
    if (in_header) room -= kept;
    if (of_addresses) addresses = std::min(kMaxAddressHeaders, addresses + kept);
    if (kept == 0 && !line.empty()) continue;
    shortened += line.substr(0, kept);
    if (end < bytes.size()) shortened += '\n';
  }
  return shortened;
}

// --- headers ---

class Headers {
 public:
  explicit Headers(GMimeObject* object) : list_(g_mime_object_get_header_list(object)) {}

  // Every value of a header as it stands in the message, unfolded; raw bytes above ASCII, which mailers
  // shouldn't write, are decoded.
  std::vector<std::string> All(const char* name, std::size_t most) const {
    std::vector<std::string> values;
    const int count = g_mime_header_list_get_count(list_);
    for (int i = 0; i < count && values.size() < most; ++i) {
      GMimeHeader* header = g_mime_header_list_get_header_at(list_, i);
      if (g_ascii_strcasecmp(g_mime_header_get_name(header), name) != 0) continue;
      values.push_back(Unfold(View(g_mime_header_get_raw_value(header))));
    }
    return values;
  }
  std::string First(const char* name) const {
    const std::vector<std::string> values = All(name, 1);
    return values.empty() ? std::string() : values.front();
  }
  // With encoded words (RFC 2047) decoded.
  std::string Text(const char* name) const { return DecodeText(First(name)); }

  static std::string DecodeText(const std::string& raw) {
    const CText decoded(g_mime_utils_header_decode_text(Options(), raw.c_str()));
    return OneLine(View(decoded.get()), kMaxValue);
  }

  // What to take for UTF-8 that isn't.
  static GMimeParserOptions* Options() {
    static GMimeParserOptions* options = [] {
      GMimeParserOptions* made = g_mime_parser_options_new();
      const char* charsets[] = {"utf-8", "windows-1251", nullptr};
      g_mime_parser_options_set_fallback_charsets(made, charsets);
      return made;
    }();
    return options;
  }

 private:
  static std::string Unfold(std::string_view raw) {
    std::string value;
    for (const char c : raw.substr(0, kMaxHeader)) {
      if (c != '\r' && c != '\n' && c != '\0') value += c;
    }
    return Clean(ToUtf8(value, ""));
  }

  GMimeHeaderList* list_;
};

void AddMailboxes(InternetAddressList* list, std::vector<Mailbox>& mailboxes, int depth) {
  const int count = internet_address_list_length(list);
  for (int i = 0; i < count && mailboxes.size() < kMaxAddresses; ++i) {
    InternetAddress* entry = internet_address_list_get_address(list, i);
    if (INTERNET_ADDRESS_IS_GROUP(entry)) {
      InternetAddressList* members = internet_address_group_get_members(INTERNET_ADDRESS_GROUP(entry));
      if (depth > 0 && members != nullptr) AddMailboxes(members, mailboxes, depth - 1);
      continue;
    }
    if (!INTERNET_ADDRESS_IS_MAILBOX(entry)) continue;
    Mailbox mailbox{OneLine(View(internet_address_get_name(entry)), kMaxName),
                    OneLine(View(internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(entry))), 320)};
    // Quotation marks and brackets that somebody put into a name.
    while (!mailbox.name.empty() && (mailbox.name.front() == '\'' || mailbox.name.front() == '"') &&
           mailbox.name.size() > 1 && mailbox.name.back() == mailbox.name.front()) {
      mailbox.name = std::string(text::Trim(mailbox.name.substr(1, mailbox.name.size() - 2)));
    }
    if (!mailbox.address.empty()) mailboxes.push_back(std::move(mailbox));
  }
}

std::vector<Mailbox> MailboxesOf(const Headers& headers, const char* name) {
  std::vector<Mailbox> mailboxes;
  for (const std::string& value : headers.All(name, kMaxAddresses)) {
    const Object<InternetAddressList> list(internet_address_list_parse(Headers::Options(), value.c_str()));
    if (list) AddMailboxes(list.get(), mailboxes, 2);
  }
  return mailboxes;
}

std::vector<std::string> IdsOf(const std::string& value) {
  std::vector<std::string> ids;
  for (std::size_t i = 0; (i = value.find('<', i)) != std::string::npos;) {
    const std::size_t end = value.find('>', i);
    if (end == std::string::npos) break;
    std::string id = OneLine(value.substr(i + 1, end - i - 1), kMaxValue);
    if (!id.empty() && std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(std::move(id));
    i = end;
  }
  return ids;
}

// A Message-ID; some mailers forget the brackets, others put nothing between them.
std::string IdOf(const std::string& value) {
  std::vector<std::string> ids = IdsOf(value);
  if (!ids.empty()) return std::move(ids.front());
  const std::string line = OneLine(value, kMaxValue);
  return line.find_first_of(" <>") == std::string::npos ? line : std::string();
}

std::optional<std::int64_t> DateOf(const Headers& headers) {
  const std::string value = headers.First("Date");
  if (value.empty()) return std::nullopt;
  GDateTime* date = g_mime_utils_header_decode_date(value.c_str());
  if (date == nullptr) return std::nullopt;
  const std::int64_t seconds = g_date_time_to_unix(date);
  g_date_time_unref(date);
  return seconds;
}

// --- the parts ---

bool IsType(GMimeObject* part, const char* type, const char* subtype) {
  GMimeContentType* content = g_mime_object_get_content_type(part);
  return content != nullptr && g_mime_content_type_is_type(content, type, subtype);
}

std::string DecodedName(const char* name) {
  if (name == nullptr) return {};
  // Some write encoded words where RFC 2231 wants something else, others raw bytes.
  const std::string value = Clean(ToUtf8(View(name).substr(0, kMaxHeader), ""));
  return OneLine(Headers::DecodeText(value), kMaxName);
}

std::string FileName(GMimeObject* part) {
  if (!GMIME_IS_PART(part)) return {};
  return DecodedName(g_mime_part_get_filename(GMIME_PART(part)));
}

// A part that is shown as text, not offered as a file.
bool IsText(GMimeObject* part) {
  if (!GMIME_IS_PART(part)) return false;
  if (!IsType(part, "text", "plain") && !IsType(part, "text", "html")) return false;
  const char* disposition = g_mime_object_get_disposition(part);
  const bool attached = disposition != nullptr && g_ascii_strcasecmp(disposition, "attachment") == 0;
  const char* name = g_mime_part_get_filename(GMIME_PART(part));
  return (!attached && name == nullptr) || (attached && name == nullptr && IsType(part, "text", "plain"));
}

std::string Decoded(GMimeObject* part) {
  GMimeDataWrapper* content = g_mime_part_get_content(GMIME_PART(part));
  if (content == nullptr) return {};
  const Object<GMimeStream> stream(g_mime_stream_mem_new());
  g_mime_data_wrapper_write_to_stream(content, stream.get());
  const GByteArray* bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream.get()));
  if (bytes == nullptr || bytes->data == nullptr) return {};
  return {reinterpret_cast<const char*>(bytes->data), bytes->len};
}

std::int64_t DecodedSize(GMimeObject* part) {
  GMimeDataWrapper* content = g_mime_part_get_content(GMIME_PART(part));
  if (content == nullptr) return 0;
  const Object<GMimeStream> stream(g_mime_stream_null_new());
  g_mime_data_wrapper_write_to_stream(content, stream.get());
  return static_cast<std::int64_t>(GMIME_STREAM_NULL(stream.get())->written);
}

// RFC 3676: lines that end with a space go on in the next one.
std::string Unflow(const std::string& text, bool delete_space) {
  std::string result;
  bool flowing = false;
  std::size_t flowing_depth = 0;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    std::string_view line(text.data() + start, end - start);
    start = end + 1;
    const std::size_t depth = std::min(line.find_first_not_of('>'), line.size());
    std::string_view words = line.substr(depth);
    if (words.starts_with(' ')) words.remove_prefix(1);
    const bool signature = words == "-- ";
    if (flowing && depth == flowing_depth && !signature) {
      result += words;
    } else {
      if (flowing) result += '\n';
      result += line.substr(0, depth);
      if (depth > 0 && !words.empty()) result += ' ';
      result += words;
    }
    flowing = words.ends_with(' ') && !signature;
    flowing_depth = depth;
    if (!flowing)
      result += '\n';
    else if (delete_space)
      result.pop_back();
  }
  return result;
}

std::string Parameter(GMimeObject* part, const char* name) {
  GMimeContentType* content = g_mime_object_get_content_type(part);
  return content == nullptr ? std::string()
                            : std::string(View(g_mime_content_type_get_parameter(content, name)));
}

std::string Sha256(std::string_view text) {
  const CText hex(g_compute_checksum_for_data(G_CHECKSUM_SHA256, reinterpret_cast<const guchar*>(text.data()),
                                              text.size()));
  return std::string(View(hex.get()));
}

class Body {
 public:
  explicit Body(Message& message) : message_(message) {}

  std::string TextOf(GMimeObject* part, int depth) {
    if (depth > kMaxDepth) return {};
    if (IsText(part)) return Shown(part);
    if (!GMIME_IS_MULTIPART(part)) return {};
    GMimeMultipart* multipart = GMIME_MULTIPART(part);
    const int count = g_mime_multipart_get_count(multipart);
    std::string text;
    if (IsType(part, "multipart", "alternative")) {
      // The plain one if it says anything; else what a mailer would show, the last that it can.
      for (int i = 0; i < count; ++i) {
        GMimeObject* child = g_mime_multipart_get_part(multipart, i);
        if (!IsText(child) || !IsType(child, "text", "plain")) continue;
        text = Shown(child);
        if (!text::Trim(text).empty()) return text;
      }
      for (int i = count - 1; i >= 0; --i) {
        text = TextOf(g_mime_multipart_get_part(multipart, i), depth + 1);
        if (!text::Trim(text).empty()) return text;
      }
      return {};
    }
    for (int i = 0; i < count && text.size() < kMaxText; ++i) {
      const std::string part_text = TextOf(g_mime_multipart_get_part(multipart, i), depth + 1);
      if (text::Trim(part_text).empty()) continue;
      if (!text.empty()) text += text.ends_with('\n') ? "\n" : "\n\n";
      text += part_text;
    }
    return text;
  }

  void ListAttachments(GMimeObject* part, int depth, bool related) {
    if (depth > kMaxDepth) return;
    if (GMIME_IS_MULTIPART(part)) {
      GMimeMultipart* multipart = GMIME_MULTIPART(part);
      const bool inside = IsType(part, "multipart", "related");
      const int count = g_mime_multipart_get_count(multipart);
      for (int i = 0; i < count; ++i)
        ListAttachments(g_mime_multipart_get_part(multipart, i), depth + 1, inside);
      return;
    }
    if (IsText(part)) return;
    if (message_.attachments.size() == kMaxAttachments) {
      ++message_.attachments_left_out;
      return;
    }
    Attachment attachment;
    GMimeContentType* type = g_mime_object_get_content_type(part);
    if (type != nullptr) {
      attachment.type = OneLine(std::string(View(g_mime_content_type_get_media_type(type))) + "/" +
                                    std::string(View(g_mime_content_type_get_media_subtype(type))),
                                100);
    }
    attachment.name = FileName(part);
    if (GMIME_IS_MESSAGE_PART(part)) {
      GMimeMessage* inner = g_mime_message_part_get_message(GMIME_MESSAGE_PART(part));
      if (inner != nullptr) {
        const Headers headers(GMIME_OBJECT(inner));
        if (attachment.name.empty()) attachment.name = OneLine(headers.Text("Subject"), kMaxName);
        // A delivery report tells of a message in a thread.
        if (message_.is_report) {
          const std::string id = IdOf(headers.First("Message-ID"));
          if (!id.empty()) message_.references.push_back(id);
        }
        const Object<GMimeStream> stream(g_mime_stream_null_new());
        g_mime_object_write_to_stream(GMIME_OBJECT(inner), nullptr, stream.get());
        attachment.size = static_cast<std::int64_t>(GMIME_STREAM_NULL(stream.get())->written);
      }
    } else if (GMIME_IS_PART(part)) {
      const char* disposition = g_mime_object_get_disposition(part);
      attachment.is_inline = IsType(part, "image", "*") && (related || View(disposition) == "inline") &&
                             !EqualsIgnoringCase(View(disposition), "attachment");
      attachment.size = DecodedSize(part);
      if (message_.message_id.empty()) files_ += attachment.name + ' ' + HashOfFile(Decoded(part)) + '\n';
    }
    message_.attachments.push_back(std::move(attachment));
  }

  // What tells the attachments of a message without Message-ID from those of another.
  const std::string& files() const { return files_; }

 private:
  // The same whatever line ends it came with.
  static std::string HashOfFile(std::string content) {
    std::erase(content, '\r');
    while (content.ends_with('\n')) content.pop_back();
    return Sha256(content);
  }

  // What a part says, as text.
  std::string Shown(GMimeObject* part) {
    std::string bytes = Decoded(part);
    const bool html = IsType(part, "text", "html");
    const std::size_t most = html ? kMaxHtml - html_ : kMaxText;
    if (bytes.size() > most) {
      bytes.resize(most);
      message_.is_cut = true;
    }
    if (html) html_ += bytes.size();
    std::string label = Parameter(part, "charset");
    if (label.empty() && html) label = MetaCharset(bytes);
    std::string text = Clean(ToUtf8(bytes, label));
    if (html) return HtmlToText(text, kMaxText, &message_.is_cut);
    if (EqualsIgnoringCase(Parameter(part, "format"), "flowed"))
      text = Unflow(text, EqualsIgnoringCase(Parameter(part, "delsp"), "yes"));
    return text;
  }

  // The encoding that HTML says of itself.
  static std::string MetaCharset(std::string_view html) {
    html = html.substr(0, 4096);
    std::size_t at = html.find("charset=");
    if (at == std::string_view::npos) return {};
    at += 8;
    if (at < html.size() && (html[at] == '"' || html[at] == '\'')) ++at;
    const std::size_t end = std::min(html.find_first_of("\"' ;/>", at), html.size());
    return std::string(html.substr(at, end - at));
  }

  Message& message_;
  std::string files_;
  std::size_t html_ = 0;  // bytes read of all parts
};

// Mail that nobody wrote, to be answered by nobody.
bool IsMachines(const Headers& headers) {
  const std::string submitted = headers.First("Auto-Submitted");
  if (EqualsIgnoringCase(text::Trim(submitted).substr(0, 12), "auto-replied")) return true;
  const std::string precedence = headers.First("Precedence");
  for (const char* word : {"bulk", "junk", "list", "auto_reply"}) {
    if (EqualsIgnoringCase(text::Trim(precedence), word)) return true;
  }
  return !headers.First("List-Id").empty() || !headers.First("X-Autoreply").empty();
}

bool IsAutomatic(const Headers& headers) {
  const std::string submitted = headers.First("Auto-Submitted");
  return IsMachines(headers) ||
         (!submitted.empty() && !EqualsIgnoringCase(text::Trim(submitted).substr(0, 2), "no"));
}

}  // namespace

std::string HashOfMessageId(std::string_view id) { return Sha256("message-id:" + std::string(id)); }

Message Parse(std::string_view bytes) {
  Start();
  // An mbox's separator, or what a pipe puts there.
  while (bytes.starts_with("\n") || bytes.starts_with("\r\n")) bytes.remove_prefix(1);
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  if (bytes.starts_with("From ")) bytes.remove_prefix(std::min(bytes.find('\n'), bytes.size() - 1) + 1);
  CheckBounds(bytes);

  const std::string shortened = ShortenHeaders(bytes);
  const Object<GMimeStream> stream(g_mime_stream_mem_new_with_buffer(shortened.data(), shortened.size()));
  const Object<GMimeParser> parser(g_mime_parser_new_with_stream(stream.get()));
  const Object<GMimeMessage> parsed(g_mime_parser_construct_message(parser.get(), Headers::Options()));
  if (!parsed) throw Unreadable("It has no headers.");

  Message message;
  const Headers headers(GMIME_OBJECT(parsed.get()));
  message.from = MailboxesOf(headers, "From");
  if (message.from.empty()) message.from = MailboxesOf(headers, "Sender");
  message.reply_to = MailboxesOf(headers, "Reply-To");
  message.to = MailboxesOf(headers, "To");
  message.cc = MailboxesOf(headers, "Cc");
  message.bcc = MailboxesOf(headers, "Bcc");
  for (const char* name : {"Delivered-To", "X-Original-To", "Envelope-To"}) {
    for (const std::string& value : headers.All(name, 3)) message.delivered_to.push_back(OneLine(value, 320));
  }
  message.subject = headers.Text("Subject");
  message.message_id = IdOf(headers.First("Message-ID"));
  message.date = DateOf(headers);
  if (message.from.empty() && message.to.empty() && message.subject.empty() && message.message_id.empty() &&
      headers.First("Received").empty()) {
    throw Unreadable("It has no headers.");
  }
  const std::vector<std::string> replies = IdsOf(headers.First("In-Reply-To"));
  if (!replies.empty()) message.in_reply_to = replies.front();
  message.references = IdsOf(headers.First("References"));
  if (message.references.size() > kMaxReferences) {
    message.references.erase(message.references.begin(),
                             message.references.end() - static_cast<std::ptrdiff_t>(kMaxReferences));
  }

  GMimeObject* root = g_mime_message_get_mime_part(parsed.get());
  const std::string return_path = headers.First("Return-Path");
  const std::string_view sender =
      message.from.empty() ? std::string_view() : std::string_view(message.from.front().address);
  message.is_report = (root != nullptr && IsType(root, "multipart", "report")) ||
                      text::Trim(return_path) == "<>" ||
                      EqualsIgnoringCase(sender.substr(0, sender.find('@')), "mailer-daemon");
  message.is_automatic = message.is_report || IsAutomatic(headers);
  message.is_personal = !message.is_report && !IsMachines(headers);

  std::string text;
  Body body(message);
  if (root != nullptr) {
    text = body.TextOf(root, 0);
    body.ListAttachments(root, 0, false);
  }
  if (text.size() > kMaxText) {
    text = std::string(text::Beginning(text, kMaxText));
    message.is_cut = true;
  }
  if (!message.message_id.empty()) {
    message.hash = HashOfMessageId(message.message_id);
  } else {
    std::string content = "content:";
    for (const auto* list : {&message.from, &message.to, &message.cc}) {
      for (const Mailbox& mailbox : *list) content += mailbox.address + ",";
      content += '\n';
    }
    content += headers.First("Date") + '\n' + message.subject + '\n';
    // What carries a message may add lines to its end, or take them off.
    content += text::Trim(text);
    if (!body.files().empty()) content += "\nfiles:\n" + body.files();
    message.hash = Sha256(content);
  }
  Split split = SplitQuoted(text);
  message.text = std::move(split.text);
  message.quoted = std::move(split.quoted);
  return message;
}

}  // namespace kvcrm::mail
