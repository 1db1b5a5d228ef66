#include "mail/quote.hpp"

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <vector>

#include "text/utf8.hpp"

namespace kvcrm::mail {

namespace {

using Lines = std::vector<std::string_view>;

// Where a text has more lines, what follows them counts as one.
constexpr std::size_t kMaxLines = 100000;
constexpr std::size_t kMaxAttribution = 600;  // bytes

bool Contains(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return text.find(word) != std::string_view::npos; });
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsQuoted(std::string_view line) { return line.starts_with(">"); }
bool IsBlank(std::string_view line) { return text::Trim(line).empty(); }

// Without the marks that mailers put around the bold labels of an HTML original.
std::string_view Bare(std::string_view line) {
  line = text::Trim(line);
  while (!line.empty() && (line.front() == '*' || line.front() == '_')) line.remove_prefix(1);
  return line;
}

enum class Label { kNone, kFrom, kOther };

Label LabelOf(std::string_view line) {
  line = Bare(line);
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon > 40) return Label::kNone;
  std::string_view label = text::Trim(line.substr(0, colon));
  while (!label.empty() && label.back() == '*') label.remove_suffix(1);
  const auto is = [&](std::initializer_list<std::string_view> labels) {
    return std::find(labels.begin(), labels.end(), label) != labels.end();
  };
  if (is({"From", "Von", "De", "От", "От кого", "Da", "Od", "Від", "Van", "Från"})) return Label::kFrom;
  if (is({"Sent",  "Date",   "To",        "Cc",          "CC",       "Subject",    "Gesendet",
          "Datum", "An",     "Betreff",   "Envoyé",      "À",        "Objet",      "Отправлено",
          "Дата",  "Кому",   "Копия",     "Тема",        "Enviado",  "Enviado el", "Fecha",
          "Para",  "Asunto", "Inviato",   "Data",        "A",        "Oggetto",    "Wysłano",
          "Do",    "Temat",  "Надіслано", "Відправлено", "Reply-To", "Importance"})) {
    return Label::kOther;
  }
  return Label::kNone;
}

// "From: …", and at least two more lines like it below, blank lines not counted.
bool IsHeaderBlock(const Lines& lines, std::size_t at) {
  if (LabelOf(lines[at]) != Label::kFrom) return false;
  int others = 0;
  for (std::size_t i = at + 1, seen = 0; i < lines.size() && seen < 5; ++i) {
    if (IsBlank(lines[i])) continue;
    ++seen;
    if (LabelOf(lines[i]) == Label::kOther) ++others;
  }
  return others >= 2;
}

// "-----Original Message-----" and its like.
bool IsSeparator(std::string_view line) {
  line = text::Trim(line);
  if (line.size() > 200 || !line.starts_with("--") || !line.ends_with("--")) return false;
  return Contains(line, {"Original Message",
                         "Original message",
                         "Forwarded message",
                         "Forwarded Message",
                         "Исходное сообщение",
                         "Пересланное сообщение",
                         "Пересылаемое сообщение",
                         "Пересланное письмо",
                         "Перенаправленное сообщение",
                         "Ursprüngliche Nachricht",
                         "Original-Nachricht",
                         "Originalnachricht",
                         "Weitergeleitete Nachricht",
                         "Message d'origine",
                         "Message transféré",
                         "Mensaje original",
                         "Mensaje reenviado",
                         "Messaggio originale",
                         "Reply message",
                         "Oryginalna wiadomość"});
}

bool IsRule(std::string_view line) {
  line = text::Trim(line);
  return line.size() >= 10 && line.find_first_not_of('_') == std::string_view::npos;
}

bool HasTime(std::string_view text) {
  for (std::size_t i = 1; i + 2 < text.size(); ++i) {
    if ((text[i] == ':' || text[i] == '.') && IsDigit(text[i - 1]) && IsDigit(text[i + 1]) &&
        IsDigit(text[i + 2]))
      return true;
  }
  return false;
}

// How many lines, from `at` on, say who wrote what follows; 0 when they don't. Mailers wrap such lines.
std::size_t AttributionAt(const Lines& lines, std::size_t at) {
  if (IsBlank(lines[at]) || std::none_of(lines[at].begin(), lines[at].end(), IsDigit)) return 0;
  std::string joined;
  for (std::size_t count = 1; count <= 4 && at + count <= lines.size(); ++count) {
    const std::string_view line = text::Trim(lines[at + count - 1]);
    if (line.empty() || joined.size() + line.size() > kMaxAttribution) return 0;
    if (!joined.empty()) joined += ' ';
    joined += line;
    if (!joined.ends_with(':')) continue;
    const bool verb =
        Contains(joined, {" wrote:", " wrote", " writes:", "schrieb", " a écrit", "escribió", "ha scritto",
                          "пишет:", "писал:", "писала:", "написал:", "написала:", "написал(а):", "пише:",
                          "писал(а):", "escreveu", "napisał", "schreef", "skrev"});
    // Without a verb: a date, a time and an address.
    const bool address = joined.ends_with(">:") && joined.find('@') != std::string::npos && HasTime(joined);
    return verb || address ? count : 0;
  }
  return 0;
}

std::string Join(const Lines& lines, std::size_t first, std::size_t end) {
  while (first < end && IsBlank(lines[first])) ++first;
  while (end > first && IsBlank(lines[end - 1])) --end;
  std::string joined;
  for (std::size_t i = first; i < end; ++i) {
    if (i > first) joined += '\n';
    joined += lines[i];
  }
  return joined;
}

// What stands in the lines from `first` on.
struct Rest {
  bool quotes = false;            // quoted lines
  bool own_after_quotes = false;  // and the writer's own below one
  bool quotes_after_own = false;  // and again quoted ones
  std::size_t own = 0;            // the first own line below the quoted ones
};

Rest Look(const Lines& lines, std::size_t first) {
  Rest rest;
  for (std::size_t i = first; i < lines.size(); ++i) {
    if (IsBlank(lines[i])) continue;
    if (IsQuoted(lines[i])) {
      rest.quotes = true;
      if (rest.own_after_quotes) rest.quotes_after_own = true;
    } else if (rest.quotes && !rest.own_after_quotes) {
      rest.own_after_quotes = true;
      rest.own = i;
    }
  }
  return rest;
}

}  // namespace

Split SplitQuoted(std::string_view text) {
  Lines lines;
  for (std::size_t start = 0; start <= text.size();) {
    const bool last = lines.size() + 1 == kMaxLines;
    const std::size_t end = last ? text.size() : std::min(text.find('\n', start), text.size());
    lines.push_back(text.substr(start, end - start));
    start = end + 1;
  }

  std::size_t cut = lines.size();
  bool own = false;     // the writer's own words above
  bool looked = false;  // what follows an attribution was looked at, and is an answer between the lines
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (IsQuoted(lines[i]) || IsBlank(lines[i])) continue;
    if (IsSeparator(lines[i]) || IsHeaderBlock(lines, i) || (IsRule(lines[i]) && [&] {
          std::size_t next = i + 1;
          while (next < lines.size() && IsBlank(lines[next])) ++next;
          return next < lines.size() && IsHeaderBlock(lines, next);
        }())) {
      cut = i;
      break;
    }
    if (const std::size_t count = looked ? 0 : AttributionAt(lines, i); count > 0) {
      const Rest rest = Look(lines, i + count);
      if (!rest.own_after_quotes) {
        cut = i;
        break;
      }
      if (!own && !rest.quotes_after_own) {
        return {Join(lines, rest.own, lines.size()), Join(lines, i, rest.own)};
      }
      looked = true;
    }
    own = true;
  }
  if (cut == lines.size()) {
    // Quoted lines at the end without a word about whose they are.
    std::size_t first = lines.size();
    while (first > 0 && (IsBlank(lines[first - 1]) || IsQuoted(lines[first - 1]))) --first;
    if (std::any_of(lines.begin() + static_cast<std::ptrdiff_t>(first), lines.end(), IsQuoted)) {
      cut = first;
    } else if (const Rest rest = Look(lines, 0);
               rest.own_after_quotes && !rest.quotes_after_own &&
               std::all_of(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(rest.own),
                           [](std::string_view line) { return IsBlank(line) || IsQuoted(line); })) {
      return {Join(lines, rest.own, lines.size()), Join(lines, 0, rest.own)};
    }
  }
  Split split{Join(lines, 0, cut), Join(lines, cut, lines.size())};
  if (split.text.empty()) return {std::move(split.quoted), ""};
  return split;
}

}  // namespace kvcrm::mail
