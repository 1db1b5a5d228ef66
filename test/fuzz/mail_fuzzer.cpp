#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "mail/message.hpp"
#include "text/utf8.hpp"

namespace {

// What jsonb and text take: UTF-8 without NUL.
void Check(std::string_view text, std::size_t limit) {
  if (text.size() > limit || !kvcrm::text::IsValidUtf8(text) || text.find('\0') != std::string_view::npos)
    std::abort();
}

}  // namespace

// A message.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kvcrm::mail;
  try {
    const Message message = Parse({reinterpret_cast<const char*>(data), size});
    for (const auto* list : {&message.from, &message.reply_to, &message.to, &message.cc, &message.bcc}) {
      if (list->size() > kMaxAddresses) std::abort();
      for (const Mailbox& mailbox : *list) {
        Check(mailbox.name, 255);
        Check(mailbox.address, 320);
      }
    }
    for (const std::string& address : message.delivered_to) Check(address, 320);
    Check(message.subject, 1000);
    Check(message.message_id, 1000);
    Check(message.in_reply_to, 1000);
    for (const std::string& id : message.references) Check(id, 1000);
    Check(message.text, kMaxText);
    Check(message.quoted, kMaxText);
    if (message.attachments.size() > kMaxAttachments) std::abort();
    for (const Attachment& file : message.attachments) {
      Check(file.name, 255);
      Check(file.type, 100);
      if (file.size < 0) std::abort();
    }
    if (message.hash.size() != 64) std::abort();
  } catch (const Unreadable&) {
  }
  return 0;
}
