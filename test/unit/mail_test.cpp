#include "mail/message.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "mail/charset.hpp"
#include "mail/html.hpp"
#include "mail/quote.hpp"
#include "text/utf8.hpp"

namespace kvcrm::mail {
namespace {

using namespace std::string_literals;

const std::filesystem::path kMessages = std::filesystem::path(KVCRM_SOURCE_DIR) / "test" / "mail";

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string Render(const std::vector<Mailbox>& mailboxes) {
  std::string text;
  for (const Mailbox& mailbox : mailboxes) text += " " + mailbox.name + " <" + mailbox.address + ">";
  return text;
}

// A message as test/mail/expected/NAME.txt shows it.
std::string Render(const Message& message) {
  std::string text = "from:" + Render(message.from) + "\nreply-to:" + Render(message.reply_to) +
                     "\nto:" + Render(message.to) + "\ncc:" + Render(message.cc) +
                     "\nsubject: " + message.subject + "\nid: " + message.message_id +
                     "\nin reply to: " + message.in_reply_to + "\nreferences:";
  for (const std::string& id : message.references) text += " " + id;
  text += "\ndate: " + (message.date ? std::to_string(*message.date) : "none");
  text += "\nautomatic: "s + (message.is_report ? "report" : message.is_automatic ? "yes" : "no") + "\n";
  for (const Attachment& file : message.attachments) {
    text += "file: " + file.name + ", " + file.type + ", " + std::to_string(file.size) +
            (file.is_inline ? ", inline\n" : "\n");
  }
  return text + "--- text\n" + message.text + "\n--- quoted\n" + message.quoted + "\n";
}

// Lines of expected files end without the spaces that a message may have there.
std::string WithoutTrailingSpaces(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\n') {
      while (result.ends_with(' ')) result.pop_back();
    }
    result += c;
  }
  return result;
}

TEST(Mail, Mailbox) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kMessages)) {
    if (entry.path().extension() != ".eml") continue;
    ++count;
    const std::string name = entry.path().stem().string();
    const std::string expected = ReadFile(kMessages / "expected" / (name + ".txt"));
    EXPECT_EQ(WithoutTrailingSpaces(Render(Parse(ReadFile(entry.path())))), expected) << name;
  }
  EXPECT_GE(count, 25U);
}

TEST(Mail, LineEndsMakeNoDifference) {
  for (const auto& entry : std::filesystem::directory_iterator(kMessages)) {
    if (entry.path().extension() != ".eml") continue;
    std::string unix_lines = ReadFile(entry.path()), network_lines;
    for (const char c : unix_lines) {
      if (c == '\r') continue;
      if (c == '\n') network_lines += '\r';
      network_lines += c;
    }
    std::erase(unix_lines, '\r');
    const Message a = Parse(unix_lines), b = Parse(network_lines);
    EXPECT_EQ(a.text, b.text) << entry.path();
    EXPECT_EQ(a.subject, b.subject) << entry.path();
    EXPECT_EQ(a.hash, b.hash) << entry.path();
  }
}

TEST(Mail, AnyBeginningOfAMessageIsReadOrRefused) {
  for (const auto& entry : std::filesystem::directory_iterator(kMessages)) {
    if (entry.path().extension() != ".eml") continue;
    const std::string whole = ReadFile(entry.path());
    for (std::size_t size = 0; size <= whole.size(); size += 7) {
      try {
        const Message message = Parse(std::string_view(whole).substr(0, size));
        EXPECT_TRUE(text::IsValidUtf8(message.text + message.quoted + message.subject));
      } catch (const Unreadable&) {
      }
    }
  }
}

TEST(Mail, Refused) {
  for (const std::string& bytes : {""s, " "s, "\n\n"s, "no headers at all"s, "a: b\n\nc"s, "From \n"s,
                                   "\xFF\xD8\xFF\xE0 a picture"s, "%PDF-1.4\n1 0 obj\n"s}) {
    EXPECT_THROW(Parse(bytes), Unreadable) << bytes;
  }
  const std::string start = "From: a@b.example\nContent-Type: multipart/mixed; boundary=b\n\n";
  std::string parts = start;
  for (int i = 0; i <= kMaxParts; ++i) parts += "--b\n\n";
  EXPECT_THROW(Parse(parts), Unreadable);
  std::string headers = start + "--b\n";
  for (int i = 0; i <= kMaxHeaders; ++i) headers += "a:\n";
  EXPECT_THROW(Parse(headers), Unreadable);
  EXPECT_THROW(Parse("From: a@b.example\n\n" + std::string(kMaxBytes, 'x')), Unreadable);
}

TEST(Mail, LargeAndDeep) {
  Message message = Parse("From: a@b.example\n\n" + std::string(kMaxText + 1, 'x'));
  EXPECT_EQ(message.text.size(), kMaxText);
  EXPECT_TRUE(message.is_cut);

  std::string deep = "From: a@b.example\n";
  for (int i = 0; i < 5000; ++i) {
    const std::string boundary = "b" + std::to_string(i);
    deep += "Content-Type: multipart/mixed; boundary=" + boundary + "\n\n--" + boundary + "\n";
  }
  message = Parse(deep + "\nbottom\n");
  EXPECT_EQ(message.text, "");

  std::string quotes = "From: a@b.example\nContent-Type: text/html\n\n";
  for (int i = 0; i < 20000; ++i) quotes += "<blockquote><div>";
  EXPECT_NO_THROW(Parse(quotes + "x"));

  std::string many = "From: a@b.example\nTo: ";
  for (int i = 0; i < 5000; ++i) many += "x" + std::to_string(i) + "@b.example, ";
  message = Parse(many + "\n\n");
  EXPECT_EQ(message.to.size(), kMaxAddresses);

  std::string files = "From: a@b.example\nContent-Type: multipart/mixed; boundary=b\n\n";
  for (int i = 0; i < 100; ++i) files += "--b\nContent-Type: image/png\n\nx\n";
  message = Parse(files + "--b--\n");
  EXPECT_EQ(message.attachments.size(), kMaxAttachments);
  EXPECT_EQ(message.attachments_left_out, 60);
}

TEST(Mail, LongHeadersAreReadInTime) {
  std::string words, addresses;
  for (int i = 0; i < 300000; ++i) words += i % 1000 == 0 ? "x,\n " : "x, ";
  for (int i = 0; i < 50; ++i) addresses += "a" + std::to_string(i) + "@b.example, ";
  Message message =
      Parse("From: a@b.example\nTo: " + addresses + words + "\nSubject: S\n\nTo: read\n what follows\n");
  EXPECT_EQ(message.to.size(), kMaxAddresses);
  EXPECT_EQ(message.subject, "S");
  EXPECT_EQ(message.text, "To: read\n what follows");
  // Of a message inside the message, and in many headers.
  std::string many =
      "From: a@b.example\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n";
  for (int i = 0; i < 100; ++i) many += "To: " + words.substr(0, 30000) + "\n";
  message = Parse(many + "Subject: Inner\n\nInner\n--b--\n");
  ASSERT_EQ(message.attachments.size(), 1U);
  EXPECT_EQ(message.attachments[0].name, "Inner");
}

TEST(Mail, Hash) {
  const std::string body = "From: a@b.example\nDate: Mon, 2 Feb 2026 14:20:00 +0300\n\nHi\n";
  // What a relay adds doesn't count.
  EXPECT_EQ(Parse(body).hash, Parse("Received: by x\n" + body).hash);
  EXPECT_NE(Parse(body).hash, Parse(body + "!").hash);
  EXPECT_EQ(Parse("Message-ID: <1@x>\n" + body).hash, HashOfMessageId("1@x"));
  EXPECT_EQ(Parse("Message-ID: 1@x\n" + body).hash, HashOfMessageId("1@x"));
  EXPECT_NE(HashOfMessageId("1@x"), HashOfMessageId("2@x"));
  // Empty brackets are no Message-ID, and two messages with them not the same one.
  EXPECT_EQ(Parse("Message-ID: <>\n" + body).hash, Parse(body).hash);
  EXPECT_NE(Parse("Message-ID: < >\n" + body).hash, Parse("Message-ID: < >\n" + body + "!").hash);
  EXPECT_EQ(Parse("Message-ID: <>\n" + body).message_id, "");
  // A scanner's messages differ in what is attached only.
  const auto scan = [](const std::string& file) {
    return Parse(
        "From: scanner@b.example\nSubject: Scan\nContent-Type: multipart/mixed; boundary=b\n\n"
        "--b\n\nSee the attachment.\n--b\nContent-Type: application/pdf; name=scan.pdf\n\n" +
        file + "\n--b--\n");
  };
  EXPECT_NE(scan("one").hash, scan("two").hash);
  EXPECT_EQ(scan("one\ntwo").hash, scan("one\r\ntwo\r\n").hash);
}

TEST(Charset, Guessed) {
  struct Case {
    const char* bytes;
    const char* label;
    const char* text;
  };
  const Case cases[] = {
      {"\xcf\xf0\xe8\xe2\xe5\xf2", "", "Привет"},          // windows-1251
      {"\xf0\xd2\xc9\xd7\xc5\xd4", "", "Привет"},          // koi8-r
      {"\x8f\xe0\xa8\xa2\xa5\xe2", "", "Привет"},          // ibm866
      {"\xd1\xd0\xce\xd7\xcd\xce", "us-ascii", "СРОЧНО"},  // windows-1251
      {"\xcf\xf0\xe8\xe2\xe5\xf2, \xea\xe0\xea", "utf-8", "Привет, как"},
      {"\xcf\xf0\xe8\xe2\xe5\xf2, \xea\xe0\xea \xe4\xe5\xeb\xe0", "koi8-r", "Привет, как дела"},
      {"Gr\xfc\xdf"
       "e",
       "", "Grüße"},
      {"\x84Zitat\x93", "iso-8859-1", "„Zitat“"},
      {"\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82", "windows-1251", "Привет"},  // UTF-8
      {"plain", "nonsense", "plain"},
      {"+BB8EQAQ4BDIENQRC-", "utf-7", "Привет"},
      {"Pro\xb6"
       "ba",
       "iso-8859-2", "Prośba"},
  };
  for (const Case& c : cases) EXPECT_EQ(ToUtf8(c.bytes, c.label), c.text) << c.label;
}

TEST(Charset, Clean) {
  EXPECT_EQ(Clean("a\r\nb\rc\nd"), "a\nb\nc\nd");
  EXPECT_EQ(Clean("a\0b\x01\x7f\xff"s), "ab\uFFFD");
  EXPECT_EQ(Clean("\uFEFFa\u2028b\u0085"), "a\nb");
}

TEST(Html, Text) {
  struct Case {
    const char* html;
    const char* text;
  };
  const Case cases[] = {
      {"", ""},
      {"plain", "plain\n"},
      {"a  \n b", "a b\n"},
      {"<p>a</p><p>b</p>", "a\n\nb\n"},
      {"<div>a</div><div>b</div>", "a\nb\n"},
      {"a<br>b<br/><br>c", "a\nb\n\nc\n"},
      {"&lt;a&gt; &amp; &copy;&nbsp;&#1078;&#x436;", "<a> & © жж\n"},
      {"<script>x</script><style>y</style>a<!-- c -->", "a\n"},
      {"a<span style='DISPLAY : none'>b</span>c", "ac\n"},
      {"<blockquote>a<blockquote>b</blockquote></blockquote>c", "> a\n>> b\n\nc\n"},
      {"<ul><li>a<li>b</ul>", "- a\n- b\n"},
      {"<table><tr><td>a<td>b<tr><td>c</table>", "a b\nc\n"},
      {"<pre>a  b\n c</pre>", "a  b\n c\n"},
      {"<a><b><i>unclosed", "unclosed\n"},
      {"</div></p>a</b>", "a\n"},
      {"a <b title='>' class=x>b</b> < c <3", "a b < c <3\n"},
      {"a<b hidden>b<b>c</b>d</b>e<i style=display:none>f</i></i>g", "aeg\n"},
      {"<SCRIPT>if (a<b && c == \"</x>\") d();</SCRIPT>a<style>b", "a\n"},
      {"a<!-- <p -- > --><!-->b<!--[if !mso]><!-->c<!--<![endif]-->d", "abcd\n"},
      {"<p/class='MsoNormal'>a<p CLASS=MsoNormal>b", "a\nb\n"},
      {"<a href=\"x>y", ""},
      {"<p class=MsoNormal>a</p><p class=MsoNormal>&nbsp;</p><p class=MsoNormal>b</p>", "a\n\nb\n"},
  };
  for (const Case& c : cases) EXPECT_EQ(HtmlToText(c.html, 1000), c.text) << c.html;
  EXPECT_LT(HtmlToText("<p>" + std::string(100000, 'x'), 1000).size(), 100001U);
}

TEST(Html, IsReadInTimeWhateverItHolds) {
  const auto repeat = [](const char* text, int times) {
    std::string result;
    for (int i = 0; i < times; ++i) result += text;
    return result;
  };
  std::string attributes = "<p";
  for (int i = 0; i < 300000; ++i) attributes += " a" + std::to_string(i);
  EXPECT_EQ(HtmlToText(attributes + ">a", 1000), "a\n");
  EXPECT_EQ(HtmlToText("<<b>" + attributes.substr(1), 1000).substr(0, 9), "<p a0 a1 ");
  EXPECT_EQ(HtmlToText(repeat("<b>", 300000) + repeat("</i>", 300000) + "a", 1000), "a\n");
  bool cut = false;
  EXPECT_EQ(HtmlToText("a" + repeat("<table><tr><td>", 100) + "b", 1000, &cut), "a\n\nb\n");
  EXPECT_FALSE(cut);
  EXPECT_EQ(HtmlToText("a" + repeat("<table><tr><td>", 100000) + repeat("</p>", 500000), 1000, &cut), "a\n");
  EXPECT_TRUE(cut);
}

TEST(Quote, Split) {
  struct Case {
    const char* text;
    const char* own;
    const char* quoted;
  };
  const Case cases[] = {
      {"", "", ""},
      {"Hello\n\nworld\n", "Hello\n\nworld", ""},
      {"Yes\n\n> No?", "Yes", "> No?"},
      {"> No?\n\nYes", "Yes", "> No?"},
      {"> a\n\nb\n\n> c", "> a\n\nb", "> c"},
      {"> all\n> quoted", "> all\n> quoted", ""},
      {"Yes\nOn 1 May 2026, Bob <b@x.example> wrote:\nNo?", "Yes",
       "On 1 May 2026, Bob <b@x.example> wrote:\nNo?"},
      {"Ja\nAm 01.05.26 um 10:00 schrieb Bob:\n> Nein?", "Ja", "Am 01.05.26 um 10:00 schrieb Bob:\n> Nein?"},
      {"Да\n1 мая 2026 г., 10:00 Иван написал(а):\nНет?", "Да",
       "1 мая 2026 г., 10:00 Иван написал(а):\nНет?"},
      {"On Monday he wrote: no.\nI agree", "On Monday he wrote: no.\nI agree", ""},
      {"Yes\n________________________________\nFrom: B\nSent: now\nSubject: x\n\nNo?", "Yes",
       "________________________________\nFrom: B\nSent: now\nSubject: x\n\nNo?"},
      {"From: the desk of Bob\nhello", "From: the desk of Bob\nhello", ""},
      {"Да\n\n-------- Исходное сообщение --------\nНет?", "Да",
       "-------- Исходное сообщение --------\nНет?"},
      {"Да\n\nОт: Иван\nОтправлено: вчера\nКому: Пётр\nТема: x\nНет?", "Да",
       "От: Иван\nОтправлено: вчера\nКому: Пётр\nТема: x\nНет?"},
      {"*From:* B\n*Sent:* now\n*Subject:* x\n\nforwarded",
       "*From:* B\n*Sent:* now\n*Subject:* x\n\nforwarded", ""},
  };
  for (const Case& c : cases) {
    const Split split = SplitQuoted(c.text);
    EXPECT_EQ(split.text, c.own) << c.text;
    EXPECT_EQ(split.quoted, c.quoted) << c.text;
  }
}

}  // namespace
}  // namespace kvcrm::mail
