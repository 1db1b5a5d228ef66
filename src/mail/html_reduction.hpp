// What of an HTML page has a bearing on its text.
#pragma once

#include <string>
#include <string_view>

namespace kvcrm::mail {

// Elements that shape text or keep it from being seen.
bool ShapesText(std::string_view element);

// The page (UTF-8) without comments, scripts, styles, and elements within lines, such as <b> and <font>. Of
// attributes `hidden` stays, which also stands for a style that says so, and a paragraph's class="Mso".
//
// libxml2 compares each attribute of a tag with all before it, and an end tag with all elements that are
// open: of a few megabytes made for it, it would make hours in which nothing can interrupt it.
std::string ReduceHtml(std::string_view html);

}  // namespace kvcrm::mail
