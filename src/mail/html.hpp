// HTML as plain text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kvcrm::mail {

// The text that a reader of `html` (UTF-8) sees: blocks and rows on lines of their own, paragraphs apart,
// items of lists behind "- ", what is in a blockquote behind "> ", without scripts, styles and hidden
// elements. Stops after about `limit` bytes of text, or where elements are nested deeper than in any page
// that somebody wrote; `cut` tells.
std::string HtmlToText(std::string_view html, std::size_t limit, bool* cut = nullptr);

}  // namespace kvcrm::mail
