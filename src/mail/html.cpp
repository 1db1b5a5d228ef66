#include "mail/html.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <vector>

#include <libxml/HTMLparser.h>
#include <libxml/parser.h>

#include "mail/html_reduction.hpp"

namespace kvcrm::mail {

namespace {

bool OneOf(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string_view View(const xmlChar* text) {
  return text == nullptr ? std::string_view() : std::string_view(reinterpret_cast<const char*>(text));
}

// Deeper than people quote each other, and a bound on what each line carries.
constexpr std::size_t kMaxQuotes = 20;

// Elements inside elements: libxml2 compares an end tag with each of them.
constexpr std::size_t kMaxOpen = 500;

// Takes the parser's events and writes lines. The parser is C: nothing here throws through it.
class Writer {
 public:
  Writer(std::size_t limit, xmlParserCtxtPtr parser) : limit_(limit), parser_(parser) {}

  void Start(std::string_view name, const xmlChar** attributes) {
    if (open_.size() == kMaxOpen) return Stop();
    Element element;
    if (hidden_ > 0 || OneOf(name, {"head", "template", "title", "noscript", "object"}) ||
        Has(attributes, "hidden")) {
      element.hidden = true;
      // A body inside a head that was never closed is seen.
      if (name == "body") {
        element.hidden = false;
        hidden_ = 0;
        for (Element& outer : open_) outer.hidden = false;
      } else {
        ++hidden_;
      }
    }
    if (!element.hidden) {
      element.gap = GapOf(name, attributes);
      if (name == "br") {
        Break();
      } else if (name == "hr") {
        Gap(2);
      } else if (name == "blockquote") {
        Gap(1);
        if (quotes_ < kMaxQuotes) {
          ++quotes_;
          element.quote = true;
        }
      } else if (name == "pre") {
        ++verbatim_;
        element.verbatim = true;
      } else if (name == "td" || name == "th") {
        if (!line_.empty()) space_ = true;
      }
      if (element.gap > 0) Gap(element.gap);
      if (name == "li") line_ = "- ";
    }
    open_.push_back(element);
  }

  void End() {
    if (open_.empty()) return;
    const Element element = open_.back();
    open_.pop_back();
    if (element.hidden) {
      if (hidden_ > 0) --hidden_;
      return;
    }
    if (element.gap > 0) Gap(element.gap);
    if (element.quote) {
      Gap(1);
      --quotes_;
      wanted_ = std::max(wanted_, 2);
    }
    if (element.verbatim) --verbatim_;
  }

  void Text(std::string_view text) {
    if (hidden_ > 0) return;
    for (std::size_t i = 0; i < text.size(); ++i) {
      // The parser hands over pieces of a few hundred bytes, from libxml2 2.14 on all the text at once.
      if (line_.size() + text_.size() > limit_) return Stop();
      const char c = text[i];
      const bool hard = c == '\xC2' && i + 1 < text.size() && text[i + 1] == '\xA0';
      if (verbatim_ > 0 && c == '\n') {
        Break();
      } else if (verbatim_ == 0 && (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f')) {
        space_ = true;
      } else {
        if (space_ && !line_.empty() && line_.back() != ' ') line_ += ' ';
        space_ = false;
        // A non-breaking space is a space to whoever searches the text.
        if (hard) {
          line_ += ' ';
          ++i;
        } else {
          line_ += c;
        }
      }
    }
  }

  std::string Finish() {
    Gap(1);
    return std::move(text_);
  }

  void Stop() {
    xmlStopParser(parser_);
    stopped_ = true;
  }
  bool stopped() const { return stopped_; }

 private:
  struct Element {
    int gap = 0;  // 1: on lines of its own, 2: with an empty line around
    bool hidden = false, quote = false, verbatim = false;
  };

  static bool Has(const xmlChar** attributes, std::string_view name) {
    for (; attributes != nullptr && *attributes != nullptr; attributes += 2) {
      if (View(attributes[0]) == name) return true;
    }
    return false;
  }

  static int GapOf(std::string_view name, const xmlChar** attributes) {
    // Word's paragraphs have no margins.
    if (name == "p") return Has(attributes, "class") ? 1 : 2;
    if (OneOf(name, {"h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "dl", "pre"})) return 2;
    if (OneOf(name, {"div", "tr", "li", "section", "article", "header", "footer", "address", "dt", "dd",
                     "form", "center", "blockquote", "body", "main", "figure", "caption", "nav", "aside"})) {
      return 1;
    }
    return 0;
  }

  // Ends the line if anything is on it.
  void Gap(int lines) {
    // A paragraph of nothing but a hard space is somebody's empty line.
    if (!line_.empty()) Break();
    space_ = false;
    if (!text_.empty()) wanted_ = std::max(wanted_, lines);
  }

  void Break() {
    while (!line_.empty() && (line_.back() == ' ' || line_.back() == '\t')) line_.pop_back();
    std::string prefix;
    for (std::size_t i = 0; i < quotes_; ++i) prefix += '>';
    if (line_.empty()) {
      // Of empty lines in a row one stays.
      if (!text_.empty()) wanted_ = 2;
    } else {
      if (wanted_ == 2) text_ += '\n';
      wanted_ = 0;
      text_ += prefix;
      if (!prefix.empty()) text_ += ' ';
      text_ += line_;
      text_ += '\n';
    }
    line_.clear();
    space_ = false;
    if (text_.size() > limit_) Stop();
  }

  std::size_t limit_;
  xmlParserCtxtPtr parser_;
  std::string text_, line_;
  std::vector<Element> open_;
  std::size_t quotes_ = 0;
  int hidden_ = 0, verbatim_ = 0;
  int wanted_ = 0;  // 2: an empty line before the next one
  bool space_ = false, stopped_ = false;
};

// An exception must not cross the parser's frames: whatever happens, the text ends here.
template <typename Body>
void Guarded(void* context, Body body) {
  Writer& writer = *static_cast<Writer*>(context);
  if (writer.stopped()) return;
  try {
    body(writer);
  } catch (const std::exception&) {
    writer.Stop();
  }
}

void OnStart(void* context, const xmlChar* name, const xmlChar** attributes) {
  Guarded(context, [&](Writer& writer) { writer.Start(View(name), attributes); });
}
void OnEnd(void* context, const xmlChar*) {
  Guarded(context, [](Writer& writer) { writer.End(); });
}
void OnText(void* context, const xmlChar* text, int size) {
  Guarded(context, [&](Writer& writer) {
    writer.Text({reinterpret_cast<const char*>(text), static_cast<std::size_t>(size)});
  });
}

struct Close {
  void operator()(xmlParserCtxtPtr parser) const { htmlFreeParserCtxt(parser); }
};

}  // namespace

std::string HtmlToText(std::string_view html, std::size_t limit, bool* cut) {
  const std::unique_ptr<xmlParserCtxt, Close> parser(htmlNewParserCtxt());
  if (!parser) throw std::bad_alloc();
  Writer writer(limit, parser.get());
  // Only events: no document is built.
  std::memset(parser->sax, 0, sizeof(*parser->sax));
  parser->sax->startElement = OnStart;
  parser->sax->endElement = OnEnd;
  parser->sax->characters = OnText;
  parser->sax->ignorableWhitespace = OnText;
  parser->userData = &writer;
  const std::string page = ReduceHtml(html);
  const xmlDocPtr document =
      htmlCtxtReadMemory(parser.get(), page.data(), static_cast<int>(page.size()), nullptr, "UTF-8",
                         HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET);
  if (document != nullptr) xmlFreeDoc(document);
  if (cut != nullptr && writer.stopped()) *cut = true;
  return writer.Finish();
}

}  // namespace kvcrm::mail
