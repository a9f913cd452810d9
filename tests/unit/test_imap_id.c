#include "lbd/base/compiler.h"
#include "lbd/mail/imap_id.h"
#include "tests/unit/unit.h"

START_TEST(what_is_told_is_heard)
{
    static const struct mail_origin origin = {.client_ip = SLICE_INIT("2001:db8::1"),
                                              .local_ip = SLICE_INIT("192.0.2.1"),
                                              .client_port = 1025,
                                              .local_port = 143,
                                              .session = SLICE_INIT("a\\b\"c"),
                                              .transport = SLICE_INIT("TLS"),
                                              .ttl = 6};
    struct buf out;
    struct mail_behind behind = {0};
    buf_init(&out, 4096);
    imap_id_write(&origin, &out);
    struct mail_words words = mail_words_of(&out);
    words.at += sizeof("ID ") - 1;
    words.end -= sizeof("\r\n") - 1;
    ck_assert(imap_id_read(words, &behind));
    ck_assert(slice_eq(slice_of(behind.address, behind.address_len), origin.client_ip));
    ck_assert_uint_eq(behind.port, 1025);
    ck_assert(behind.has_ttl);
    ck_assert_uint_eq(behind.ttl, 6);
    ck_assert_str_eq(behind.session, "a\\b\"c");
    buf_fini(&out);
}
END_TEST

START_TEST(what_is_not_known_is_not_told)
{
    static const struct mail_origin origin = {
        .client_ip = SLICE_INIT("unix"), .session = SLICE_INIT("a\r\nb"), .ttl = 1};
    struct buf out;
    buf_init(&out, 4096);
    imap_id_write(&origin, &out);
    ck_assert_str_eq(out.data, "ID (\"x-proxy-ttl\" \"1\")\r\n");
    buf_fini(&out);
}
END_TEST

START_TEST(arguments_have_a_grammar)
{
    static const struct {
        const char *arguments;
        bool ok;
        const char *address; /* that is heard */
    } cases[] = {
        {"NIL", true, ""},
        {"nil ", true, ""},
        {"()", true, ""},
        {"(\"name\" \"x\")", true, ""},
        {"(\"name\" NIL \"version\" nil)", true, ""},
        {"(\"X-ORIGINATING-IP\" \"192.0.2.1\")", true, "192.0.2.1"},
        {"(\"x-originating-ip\" {9}\n192.0.2.1)", true, "192.0.2.1"},
        {"(\"x-originating-ip\" \"192.0.2.1:25\")", true, ""},
        {"(\"x-originating-ip\" \"mail.example\")", true, ""},
        {"(\"x-originating-ip\" NIL)", true, ""},
        {"(\"x-originating-ip\" \"\")", true, ""},
        {"(\"x-proxy-ttl\" \"256\" \"x-originating-port\" \"65536\")", true, ""},
        {"(\"x-originating-ip\" \"192.0.2.1\") x", false, ""},
        {"(\"x-originating-ip\" \"192.0.2.1\"", false, ""},
        {"(\"a\")", false, ""},
        {"(\"a\" x)", false, ""},
        {"(a \"x\")", false, ""},
        {"( \"a\"  \"x\" )", true, ""},
        {"(\"a\" \"x\"\"b\" \"y\")", false, ""},
        {"(\"a-key-of-more-than-thirty-bytes\" \"x\")", false, ""},
        {"x", false, ""},
        {"", false, ""},
        {"\"a\" \"b\"", false, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mail_behind behind = {0};
        struct buf line;
        buf_init(&line, SIZE_MAX);
        buf_append_text(&line, cases[i].arguments);
        ck_assert_msg(imap_id_read(mail_words_of(&line), &behind) == cases[i].ok, "case %zu", i);
        ck_assert_msg(
            slice_eq(slice_of(behind.address, behind.address_len), slice_from(cases[i].address)),
            "case %zu", i);
        ck_assert(!behind.has_ttl && behind.port == 0);
        buf_fini(&line);
    }
}
END_TEST

START_TEST(thirty_pairs_and_no_more)
{
    for (unsigned pairs = 30; pairs <= 31; pairs++) {
        struct mail_behind behind = {0};
        struct buf line;
        buf_init(&line, SIZE_MAX);
        for (unsigned i = 0; i < pairs; i++) {
            buf_append_text(&line, i == 0 ? "(\"k\" \"v\"" : " \"k\" \"v\"");
        }
        buf_append_text(&line, ")");
        ck_assert(imap_id_read(mail_words_of(&line), &behind) == (pairs == 30));
        buf_fini(&line);
    }
}
END_TEST

UNIT_TESTS("imap_id", what_is_told_is_heard, what_is_not_known_is_not_told,
           arguments_have_a_grammar, thirty_pairs_and_no_more)
