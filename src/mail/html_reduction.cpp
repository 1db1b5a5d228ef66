#include "mail/html_reduction.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>

namespace kvcrm::mail {

namespace {

constexpr std::size_t kMaxStyle = 2000;  // bytes of a style that are looked at
constexpr std::size_t kMaxElement = 40;  // bytes of a name; libxml2 takes what is beyond 100 for attributes

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string Lower(std::string_view text) {
  std::string lower;
  for (const char c : text) lower += Lower(c);
  return lower;
}

bool IsLetter(char c) { return Lower(c) >= 'a' && Lower(c) <= 'z'; }
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

bool HidesElement(std::string_view style) {
  std::string compact;
  for (const char c : style.substr(0, kMaxStyle)) {
    if (!IsSpace(c)) compact += Lower(c);
  }
  return compact.find("display:none") != std::string::npos;
}

struct Tag {
  std::string name;  // in lower case
  bool is_end = false, hidden = false, of_word = false;
};

// Reads tags as browsers do (HTML Living Standard, 13.2.5).
class Reader {
 public:
  explicit Reader(std::string_view html) : html_(html) {}

  bool AtEnd() const { return at_ == html_.size(); }
  bool At(std::string_view text) const { return html_.substr(at_).starts_with(text); }
  // A start tag or an end tag, not a lone "<".
  bool AtTag() const {
    const std::size_t name = at_ + (At("</") ? 2 : 1);
    return At("<") && name < html_.size() && IsLetter(html_[name]);
  }

  char Take() { return html_[at_++]; }
  // Up to `text`, or to the end.
  std::string_view TakeUntil(std::string_view text) {
    const std::size_t start = at_;
    at_ = std::min(html_.find(text, at_), html_.size());
    return html_.substr(start, at_ - start);
  }
  void Skip(std::size_t count) { at_ += std::min(count, html_.size() - at_); }
  // To the end tag of an element that holds no others.
  void SkipContent(const std::string& name) {
    while (TakeUntil("</"), !AtEnd() && Lower(html_.substr(at_ + 2, name.size())) != name) Skip(2);
  }

  Tag TakeTag() {
    Tag tag;
    tag.is_end = At("</");
    Skip(tag.is_end ? 2 : 1);
    tag.name = Lower(TakeName("/>"));
    while (!AtEnd() && html_[at_] != '>') {
      if (IsSpace(html_[at_]) || html_[at_] == '/')
        Skip(1);
      else
        TakeAttribute(tag);
    }
    Skip(1);
    return tag;
  }

 private:
  std::string_view TakeName(std::string_view ends) {
    const std::size_t start = at_++;
    while (!AtEnd() && !IsSpace(html_[at_]) && ends.find(html_[at_]) == std::string_view::npos) ++at_;
    return html_.substr(start, at_ - start);
  }

  void SkipSpace() {
    while (!AtEnd() && IsSpace(html_[at_])) ++at_;
  }

  std::string_view TakeValue() {
    if (AtEnd() || html_[at_] == '>') return {};
    if (!At("\"") && !At("'")) return TakeName(">");
    const char quote = Take();
    const std::string_view value = TakeUntil(std::string_view(&quote, 1));
    Skip(1);
    return value;
  }

  void TakeAttribute(Tag& tag) {
    const std::string_view name = TakeName("=/>");
    SkipSpace();
    std::string_view value;
    if (At("=")) {
      Skip(1);
      SkipSpace();
      value = TakeValue();
    }
    if (name.size() > 6) return;
    const std::string known = Lower(name);
    if (known == "hidden" || (known == "style" && HidesElement(value))) tag.hidden = true;
    if (known == "class" && value.starts_with("Mso")) tag.of_word = true;
  }

  std::string_view html_;
  std::size_t at_ = 0;
};

}  // namespace

bool ShapesText(std::string_view element) {
  constexpr std::string_view kElements[] = {
      "address", "article",  "aside",  "blockquote", "body",   "br",    "caption", "center", "dd",
      "div",     "dl",       "dt",     "figure",     "footer", "form",  "h1",      "h2",     "h3",
      "h4",      "h5",       "h6",     "head",       "header", "hr",    "html",    "li",     "main",
      "nav",     "noscript", "object", "ol",         "p",      "pre",   "section", "table",  "tbody",
      "td",      "template", "tfoot",  "th",         "thead",  "title", "tr",      "ul"};
  return std::find(std::begin(kElements), std::end(kElements), element) != std::end(kElements);
}

std::string ReduceHtml(std::string_view html) {
  std::string reduced;
  std::map<std::string, int> hidden;  // elements within lines that are open, counted from a hidden one on
  Reader reader(html);
  while (reduced += reader.TakeUntil("<"), !reader.AtEnd()) {
    if (reader.At("<!--")) {
      reader.Skip(2);
      reader.TakeUntil("-->");
      reader.Skip(3);
      continue;
    }
    if (!reader.AtTag()) {
      const bool markup = reader.At("<!") || reader.At("<?");
      reader.Skip(1);
      // Or else it would begin a tag with what follows an element that is left out.
      reduced += markup ? "<" : "&lt;";
      continue;
    }
    const Tag tag = reader.TakeTag();
    if (!tag.is_end && (tag.name == "script" || tag.name == "style")) {
      reader.SkipContent(tag.name);
      continue;
    }
    if (!ShapesText(tag.name)) {
      if (tag.name.size() > kMaxElement) continue;
      const auto open = hidden.find(tag.name);
      const bool inside = open != hidden.end() && open->second > 0;
      if (!inside && (tag.is_end || !tag.hidden)) continue;
      if (inside)
        open->second += tag.is_end ? -1 : 1;
      else
        hidden[tag.name] = 1;
    }
    reduced += tag.is_end ? "</" : "<";
    reduced += tag.name;
    if (tag.hidden && !tag.is_end) reduced += " hidden";
    if (tag.of_word && !tag.is_end) reduced += " class=\"Mso\"";
    reduced += '>';
  }
  return reduced;
}

}  // namespace kvcrm::mail
