// What somebody wrote, and what their mailer quoted below it.
#pragma once

#include <string>
#include <string_view>

namespace kvcrm::mail {

struct Split {
  std::string text, quoted;
};

// Takes the quoted tail off a text: what follows a line like "On … wrote:", "… пишет:", "-----Original
// Message-----" or a block "From: … Sent: … Subject: …", and lines behind ">" at the end; or at the beginning
// when the answer stands below. Answers between quoted lines stay together with them, and a text that is
// nothing but a quotation (a forwarded message) stays whole.
Split SplitQuoted(std::string_view text);

}  // namespace kvcrm::mail
