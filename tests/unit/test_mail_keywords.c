#include "lbd/base/compiler.h"
#include "lbd/mail/mail_keywords.h"
#include "lbd/mail/mail_protocol.h"
#include "tests/unit/unit.h"

static const struct {
    const char *a;
    const char *b;
    enum mail_keywords_form form;
    const char *common;
    const char *beyond; /* of a, what b has not */
} cases[] = {
    {"IMAP4rev1 IDLE ID", "ID IMAP4REV1 UIDPLUS", MAIL_KEYWORDS_WORDS, "IMAP4rev1 ID", "IDLE"},
    {"IDLE", "", MAIL_KEYWORDS_WORDS, "", "IDLE"},
    {"", "IDLE", MAIL_KEYWORDS_WORDS, "", ""},
    {"  IDLE   ID ", "ID IDLE", MAIL_KEYWORDS_WORDS, "IDLE ID", ""},
    {"PIPELINING\nCHUNKING\nDSN", "DSN\nPIPELINING", MAIL_KEYWORDS_LINES, "PIPELINING\nDSN",
     "CHUNKING"},
    {"SIZE 5000\nDSN", "DSN\nsize 3000", MAIL_KEYWORDS_LINES, "SIZE 3000\nDSN", ""},
    {"SIZE 3000", "SIZE", MAIL_KEYWORDS_LINES, "SIZE 3000", ""},
    {"SIZE 0", "SIZE", MAIL_KEYWORDS_LINES, "SIZE", ""},
    {"SIZE lots", "SIZE 7", MAIL_KEYWORDS_LINES, "SIZE 7", ""},
    {"AUTH PLAIN LOGIN XOAUTH2", "AUTH LOGIN PLAIN", MAIL_KEYWORDS_LINES, "AUTH PLAIN LOGIN", ""},
    {"X\nAUTH CRAM-MD5\nY", "Y\nAUTH PLAIN\nX", MAIL_KEYWORDS_LINES, "X\nY", ""},
    {"EXPIRE 60", "EXPIRE", MAIL_KEYWORDS_LINES, "", ""},
    {"A\n\nB", "B\nA", MAIL_KEYWORDS_LINES, "A\nB", ""},
    /* a line is one keyword, not the words of another */
    {"PLAIN", "AUTH PLAIN", MAIL_KEYWORDS_LINES, "", "PLAIN"},
};

START_TEST(two_lists_share_what_both_have)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out;
        buf_init(&out, MAIL_CAPABILITIES_MAX);
        mail_keywords_common(slice_from(cases[i].a), slice_from(cases[i].b), cases[i].form, &out);
        ck_assert_msg(slice_eq(buf_slice(&out), slice_from(cases[i].common)), "%zu: %.*s", i,
                      SLICE_ARG(buf_slice(&out)));
        buf_clear(&out);
        mail_keywords_beyond(slice_from(cases[i].a), slice_from(cases[i].b), cases[i].form, &out);
        ck_assert_msg(slice_eq(buf_slice(&out), slice_from(cases[i].beyond)), "%zu: %.*s", i,
                      SLICE_ARG(buf_slice(&out)));
        buf_fini(&out);
    }
}
END_TEST

START_TEST(what_is_beyond_is_said_once)
{
    struct buf out;
    buf_init(&out, MAIL_CAPABILITIES_MAX);
    mail_keywords_beyond(SLICE("DSN\nCHUNKING"), SLICE("DSN"), MAIL_KEYWORDS_LINES, &out);
    mail_keywords_beyond(SLICE("chunking\nSIZE 1"), SLICE("DSN"), MAIL_KEYWORDS_LINES, &out);
    ck_assert(slice_eq(buf_slice(&out), SLICE("CHUNKING SIZE")));
    buf_fini(&out);
}
END_TEST

UNIT_TESTS("mail_keywords", two_lists_share_what_both_have, what_is_beyond_is_said_once)
