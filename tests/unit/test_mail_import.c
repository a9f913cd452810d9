#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/mail/mail_import.h"
#include "tests/unit/unit.h"

static const struct {
    enum mail_import_kind kind;
    const char *text;
    const char *want; /* entries "key|user|server|port" and mistakes "line: why", each with a LF */
} cases[] = {
    {MAIL_IMPORT_POPMAP, "", ""},
    {MAIL_IMPORT_POPMAP, "# comment\n\n  \r\njoe:imap1\n", "joe||imap1|0\n"},
    {MAIL_IMPORT_POPMAP, "Joe@A.example: imap1.example.com:1143\r\nann:imap2",
     "joe@a.example||imap1.example.com|1143\nann||imap2|0\n"},
    {MAIL_IMPORT_POPMAP, "joe: joseph@10.0.0.1\nann: a@b@[2001:db8::1]:143\nzoe: [::1]\n",
     "joe|joseph|10.0.0.1|0\nann|a@b|2001:db8::1|143\nzoe||::1|0\n"},
    {MAIL_IMPORT_POPMAP, "joe\n:imap1\njoe:\njoe: @imap1\njoe: a b\njoe: imap:x\nann:ok\n",
     "1: no colon between key and server\n2: the key is none\n3: the server is none\n"
     "4: the user at the server is none\n5: the server is none\n6: the server is none\n"
     "ann||ok|0\n"},
    {MAIL_IMPORT_POPMAP, "joe: $1@imap1\n", "joe|$1|imap1|0\n"}, /* no pattern */

    {MAIL_IMPORT_POPMAP_RE, "^[A-M].*: imap1\n", "^[a-m].*||imap1|0\n"},
    {MAIL_IMPORT_POPMAP_RE, "^(.*)@(.*)\\.example: $1.$2@imap2:144\n",
     "^(.*)@(.*)\\.example|{1}.{2}|imap2|144\n"},
    {MAIL_IMPORT_POPMAP_RE, "^x: $0@imap2\n", "^x|{user}|imap2|0\n"},
    {MAIL_IMPORT_POPMAP_RE, "^[[:alpha:]]+$: imap1\n", "^[[:alpha:]]+$||imap1|0\n"},
    {MAIL_IMPORT_POPMAP_RE, "a\\:b: imap1\n", "a\\:b||imap1|0\n"},
    {MAIL_IMPORT_POPMAP_RE, "[]:]x: imap1\n", "[]:]x||imap1|0\n"},
    {MAIL_IMPORT_POPMAP_RE, "\\W: imap1\n", "\\W||imap1|0\n"},

    {MAIL_IMPORT_AFFINITY,
     "user                 mail server ip expire time\n"
     "joe@a.example        10.0.0.1       2026-11-26 18:00:00\n"
     "<unknown>            10.0.0.2       2026-11-26 18:00:00\n"
     "Ann                  2001:db8::1    2026-11-26 18:00:00\n",
     "joe@a.example||10.0.0.1|0\nann||2001:db8::1|0\n"},
    {MAIL_IMPORT_AFFINITY,
     "user  hash  mail server ip  expire time\njoe  123456  10.0.0.1  2026-11-26 18:00:00\n",
     "joe||10.0.0.1|0\n"},
    {MAIL_IMPORT_AFFINITY, "joe\tb1\nann\tb2\t900\tpinned\n", "joe||b1|0\nann||b2|0\n"},
    {MAIL_IMPORT_AFFINITY,
     "{\"user\":\"Joe B\",\"server\":\"b1\",\"sessions\":2,\"pinned\":false}\n"
     "{\"user\":\"ann\"}\n{\"server\":\"b1\"}\n{\"user\":\"ann\",\"server\":\"a/b\"}\n{\"user\":\n",
     "joe b||b1|0\n2: no server\n3: the user is none\n4: no server\n5: no JSON object\n"},
    {MAIL_IMPORT_AFFINITY, "user 10.0.0.1\n", "user||10.0.0.1|0\n"}, /* a user of that name */
    {MAIL_IMPORT_AFFINITY, "joe\njoe a/b\n\x01 b1\n",
     "1: no server\n2: no server\n3: the user is none\n"},
};

static void read_all(enum mail_import_kind kind, const char *text, char out[2048])
{
    struct mail_import import;
    struct mail_import_entry entry;
    const char *why;
    size_t at = 0;
    out[0] = '\0';
    mail_import_init(&import, kind, slice_from(text));
    for (;;) {
        switch (mail_import_next(&import, &entry, &why)) {
        case MAIL_IMPORT_ENTRY:
            at += (size_t)snprintf(out + at, 2048 - at, "%.*s|%.*s|%.*s|%u\n", SLICE_ARG(entry.key),
                                   SLICE_ARG(entry.user), SLICE_ARG(entry.server), entry.port);
            break;
        case MAIL_IMPORT_BAD:
            at += (size_t)snprintf(out + at, 2048 - at, "%u: %s\n", import.line, why);
            break;
        case MAIL_IMPORT_END:
            return;
        }
    }
}

START_TEST(tables_are_read)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char got[2048];
        read_all(cases[i].kind, cases[i].text, got);
        ck_assert_msg(strcmp(got, cases[i].want) == 0, "'%s' is '%s'", cases[i].text, got);
    }
}
END_TEST

START_TEST(case_is_kept_on_request)
{
    static const char text[] = "Ann: b1\n";
    for (int keeps = 0; keeps < 2; keeps++) {
        struct mail_import import;
        struct mail_import_entry entry;
        const char *why;
        mail_import_init(&import, MAIL_IMPORT_POPMAP, slice_from(text));
        import.keeps_case = keeps != 0;
        ck_assert_int_eq(mail_import_next(&import, &entry, &why), MAIL_IMPORT_ENTRY);
        ck_assert(slice_eq(entry.key, keeps != 0 ? SLICE("Ann") : SLICE("ann")));
    }
}
END_TEST

START_TEST(a_long_line_is_passed_over)
{
    static char text[MAIL_IMPORT_LINE_MAX + 32];
    char got[2048];
    memset(text, 'a', MAIL_IMPORT_LINE_MAX + 10);
    strcpy(text + MAIL_IMPORT_LINE_MAX + 10, "\njoe:b1\n");
    read_all(MAIL_IMPORT_POPMAP, text, got);
    ck_assert_str_eq(got, "1: the line is too long\njoe||b1|0\n");
}
END_TEST

UNIT_TESTS("mail_import", tables_are_read, case_is_kept_on_request, a_long_line_is_passed_over)
