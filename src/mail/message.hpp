// An e-mail message (RFC 5322, MIME) as the CRM reads it: parsed with GMime, all texts clean UTF-8
// (charset.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvcrm::mail {

// GMime aborts the process when memory is short, so what it is given is bounded: bytes, parts, and lines of
// headers, each of which it makes an object of.
inline constexpr std::size_t kMaxBytes = 64 << 20;
inline constexpr int kMaxParts = 20000;
inline constexpr int kMaxHeaders = 100000;

// What of a message is read; the rest is left out, and says so where there is a field for it.
inline constexpr std::size_t kMaxText = 1 << 20;  // bytes of its text before the quotation is taken off
inline constexpr std::size_t kMaxAddresses = 20;  // of each of To, Cc and so on
inline constexpr std::size_t kMaxAttachments = 40;
inline constexpr std::size_t kMaxReferences = 50;  // the newest ones

struct Mailbox {
  std::string name, address;  // the name may be empty; the address is as written, trimmed
};

struct Attachment {
  std::string name, type;  // type: image/png
  std::int64_t size = 0;   // bytes, decoded
  bool is_inline = false;  // a picture inside the text
};

struct Message {
  std::vector<Mailbox> from, reply_to, to, cc, bcc;
  // Addresses under which the message reached the mailbox: Delivered-To, X-Original-To, Envelope-To.
  std::vector<std::string> delivered_to;
  std::string subject;
  // Without angle brackets; the newest reference comes last.
  std::string message_id, in_reply_to;
  std::vector<std::string> references;
  std::optional<std::int64_t> date;  // seconds since 1970
  std::string text, quoted;          // what was written, and the quoted tail
  bool is_cut = false;               // the text was longer than kMaxText
  std::vector<Attachment> attachments;
  int attachments_left_out = 0;
  bool is_automatic = false;  // written by a program: Auto-Submitted, a mailing list, a delivery report
  bool is_report = false;     // a delivery report
  // Neither a delivery report, nor an automatic answer, nor from a mailing list: a person who writes, or the
  // form of a web site in a person's name.
  bool is_personal = true;
  // The same for each copy of the message, different for different ones: SHA-256 in hex, of the Message-ID
  // or, without one, of sender, recipients, date, subject, text and attachments.
  std::string hash;
};

// The message can't be read; what() says why.
class Unreadable : public std::exception {
 public:
  explicit Unreadable(const char* reason) : reason_(reason) {}
  const char* what() const noexcept override { return reason_; }

 private:
  const char* reason_;
};

// Reads what it can of a message that isn't as it should be. Throws Unreadable for what is none or goes
// beyond the bounds.
Message Parse(std::string_view bytes);

// Message::hash of the message with this Message-ID.
std::string HashOfMessageId(std::string_view id);

}  // namespace kvcrm::mail
