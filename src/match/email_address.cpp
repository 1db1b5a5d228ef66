#include "match/email_address.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace kvcrm::match {

namespace {

// Providers where anybody gets a mailbox. Written down for this project: the providers in common use in
// Russia and its neighbours, worldwide, in Europe and in Asia; among them those that answer under several
// domains.
constexpr std::string_view kFreeMail[] = {
    "126.com",     "163.com",     "aim.com",     "aol.com",        "bigmir.net",   "bk.ru",
    "centrum.cz",  "cox.net",     "email.com",   "email.cz",       "email.ua",     "fastmail.com",
    "foxmail.com", "free.fr",     "freenet.de",  "gmail.com",      "gmx.at",       "gmx.com",
    "gmx.de",      "gmx.net",     "hotmail.com", "hotmail.co.uk",  "hotmail.de",   "hotmail.es",
    "hotmail.fr",  "hotmail.it",  "hotmail.ru",  "hushmail.com",   "i.ua",         "icloud.com",
    "inbox.lv",    "inbox.ru",    "internet.ru", "interia.pl",     "laposte.net",  "lenta.ru",
    "libero.it",   "list.ru",     "live.com",    "live.de",        "live.fr",      "live.ru",
    "mac.com",     "mail.com",    "mail.ee",     "mail.kz",        "mail.ru",      "mail.ua",
    "me.com",      "meta.ua",     "msn.com",     "narod.ru",       "naver.com",    "ngs.ru",
    "nm.ru",       "nxt.ru",      "o2.pl",       "onet.pl",        "orange.fr",    "outlook.com",
    "outlook.de",  "outlook.fr",  "pm.me",       "pochta.ru",      "proton.me",    "protonmail.com",
    "qip.ru",      "qq.com",      "rambler.ru",  "rediffmail.com", "ro.ru",        "seznam.cz",
    "sina.com",    "sky.com",     "t-online.de", "tut.by",         "tutanota.com", "ukr.net",
    "virgilio.it", "vk.com",      "wanadoo.fr",  "web.de",         "wp.pl",        "xaker.ru",
    "ya.ru",       "yahoo.co.in", "yahoo.co.jp", "yahoo.co.uk",    "yahoo.com",    "yahoo.de",
    "yahoo.es",    "yahoo.fr",    "yahoo.it",    "yandex.by",      "yandex.com",   "yandex.kz",
    "yandex.ru",   "yandex.ua",   "zoho.com",
};

// RFC 2142 (Mailbox names for common services, roles and functions) and what else stands on the contact pages
// of firms, in English and in transliterated Russian.
constexpr std::string_view kRoles[] = {
    "abuse",       "accounting", "admin",     "administrator", "bookkeeping", "buh",         "buhgalter",
    "buhgalteria", "business",   "career",    "careers",       "ceo",         "client",      "clients",
    "commerce",    "company",    "contact",   "contacts",      "crm",         "customer",    "delivery",
    "dir",         "director",   "direktor",  "dostavka",      "enquiries",   "export",      "feedback",
    "finance",     "firma",      "general",   "hello",         "help",        "helpdesk",    "hi",
    "hostmaster",  "hr",         "import",    "inbox",         "info",        "information", "it",
    "job",         "jobs",       "kadry",     "kontakt",       "lead",        "leads",       "legal",
    "logist",      "logistic",   "logistics", "mail",          "mailbox",     "main",        "manager",
    "marketing",   "market",     "media",     "noc",           "no-reply",    "noreply",     "office",
    "ofis",        "opt",        "order",     "orders",        "partner",     "partners",    "personal",
    "post",        "postmaster", "pr",        "press",         "priemnaya",   "procurement", "prodazhi",
    "purchase",    "purchasing", "reception", "reklama",       "root",        "sale",        "sales",
    "secretary",   "security",   "sekretar",  "service",       "shop",        "snab",        "supply",
    "support",     "team",       "tender",    "tenders",       "trade",       "webmaster",   "welcome",
    "work",        "zakaz",      "zakupki",   "zayavka",
};

template <std::size_t count>
constexpr auto Sorted(const std::string_view (&list)[count]) {
  std::array<std::string_view, count> sorted{};
  for (std::size_t i = 0; i < count; ++i) sorted[i] = list[i];
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

template <std::size_t count>
bool Contains(const std::array<std::string_view, count>& sorted, std::string_view value) {
  return std::binary_search(sorted.begin(), sorted.end(), value);
}

}  // namespace

EmailAddress::EmailAddress(std::string_view normalized) {
  const std::size_t at = normalized.rfind('@');
  if (at == std::string_view::npos) return;
  local = normalized.substr(0, at);
  domain = normalized.substr(at + 1);
}

bool IsFreeMail(std::string_view domain) {
  static constexpr auto kSorted = Sorted(kFreeMail);
  return Contains(kSorted, domain);
}

bool IsRole(std::string_view local) {
  static constexpr auto kSorted = Sorted(kRoles);
  return Contains(kSorted, local);
}

}  // namespace kvcrm::match
