#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/mail/imap_lines.h"
#include "tests/unit/unit.h"

/* What is said of each response: '*' data, '+', 't' tagged; O N B (bad) Y (bye) P (preauth) of its
 * word; 'l' a literal or line is not whole at the end; '!' lost. */
static const struct {
    const char *text;
    const char *want;
} cases[] = {
    {"", ""},
    {"* OK hello\r\n", "*O"},
    {"* ok hello\r\n", "*O"},
    {"* OK\r\n", "*O"},
    {"* NO\n", "*N"},
    {"* BYE see you\r\n", "*Y"},
    {"* PREAUTH in\r\n", "*P"},
    {"* OKAY\r\n", "*-"},
    {"* 1 EXISTS\r\na1 OK done\r\n", "*-tO"},
    {"a1 OK\r\n", "tO"},
    {"a1 NO [ALERT] x\r\n", "tN"},
    {"a1 BAD x\r\n", "tB"},
    {"a1 BYE x\r\n", "!"},
    {"a1 WHAT x\r\n", "!"},
    {"a1\r\n", "!"},
    {"\r\n", "!"},
    {"\n", "!"},
    {" a1 OK\r\n", "!"},
    {"+ idling\r\n", "+-"},
    {"+\r\n", "+-"},
    {"+\n", "+-"},
    {"+x\r\n", "!"},
    {"*\r\n", "!"},
    {"a*1 OK\r\n", "!"},
    {"01234567890123456789012345678901 OK\r\n", "tO"},
    {"012345678901234567890123456789012 OK\r\n", "!"},
    {"* 1 FETCH (BODY[] {3}\r\nabc)\r\n", "*-"},
    {"* 1 FETCH (BODY[] {3}\r\na\n+)\r\n* BYE x\r\n", "*-*Y"},
    {"* 1 FETCH (BODY[] {3}\r\nabc FLAGS (\\Seen) X {2}\r\n\r\n)\r\na OK x\r\n", "*-tO"},
    {"* 1 FETCH (BODY[] {0}\r\n)\r\n", "*-"},
    {"* 1 FETCH (BODY[] {0}\r\n", "l"},
    {"* 1 FETCH (BODY[] {3}\r\nab", "l"},
    {"* 1 FETCH (BINARY[] ~{3}\r\n\0b\n)\r\n", "*-"}, /* see LEN */
    {"* LIST () \"/\" {1}\r\nx\r\n", "*-"},
    {"* LIST () \"/\" \"x {1}\"\r\n", "*-"},
    {"* LIST () \"/\" x{1}\r\n", "!"},
    {"* LIST () \"/\" x}\r\n", "*-"},
    {"* LIST () \"/\" {1+}\r\n", "!"},
    {"* 1 FETCH (BODY[] {999999999999999}\r\n", "l"},
    {"* 1 FETCH (BODY[] {1000000000000000}\r\n", "!"},
    {"* 1 FETCH (BODY[] {18446744073709551616}\r\n", "!"},
    {"* OK what {3}\r\n", "!"}, /* a text may end so */
    {"a1 NO no such folder {3}\r\n", "!"},
    {"* BYE {3}\r\n", "!"},
    {"+ {3}\r\n", "!"},
    {"* OK what {x}\r\n", "*O"},
    {"* OK what {}\r\n", "*O"},
    {"* 1 FETCH (X {3}\r\nabc{2}\r\n", "!"}, /* nothing stands between */
    {"* 1 FETCH (X {3}\r\nabc {2}\r\nde)\r\n", "*-"},
    {"* SEARCH 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26\r\n", "*-"},
};

struct seen {
    char text[256];
    size_t len;
};

static void note(struct seen *seen, char c)
{
    ck_assert_uint_lt(seen->len + 1, sizeof(seen->text));
    seen->text[seen->len++] = c;
    seen->text[seen->len] = '\0';
}

static void feed(struct imap_lines *lines, const char *bytes, size_t len, struct seen *seen)
{
    static const char kinds[] = {'*', '+', 't'};
    static const char words[] = {'O', 'N', 'B', 'Y', 'P', '-'};
    size_t at = 0;
    for (;;) {
        struct imap_lines_response response;
        size_t used = 0;
        switch (imap_lines_feed(lines, bytes + at, len - at, &used, &response)) {
        case IMAP_LINES_MORE:
            ck_assert_uint_eq(used, len - at);
            return;
        case IMAP_LINES_LOST:
            if (seen->len == 0 || seen->text[seen->len - 1] != '!') {
                note(seen, '!');
            }
            return;
        case IMAP_LINES_DONE:
            ck_assert(imap_lines_is_between(lines));
            note(seen, kinds[response.kind]);
            note(seen, words[response.word]);
            break;
        }
        at += used;
    }
}

static void finish(const struct imap_lines *lines, struct seen *seen)
{
    bool lost = seen->len > 0 && seen->text[seen->len - 1] == '!';
    if (!lost && !imap_lines_is_between(lines)) {
        note(seen, 'l');
    }
}

static size_t length_of(size_t i)
{
    /* the one with a NUL in its literal */
    return strstr(cases[i].text, "~{3}") != NULL
               ? sizeof("* 1 FETCH (BINARY[] ~{3}\r\n\0b\n)\r\n") - 1
               : strlen(cases[i].text);
}

START_TEST(split_anywhere_the_same_responses)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t len = length_of(i);
        for (size_t cut = 0; cut <= len; cut++) {
            for (size_t second = cut; second <= len; second += 1 + (len - cut) / 7) {
                struct imap_lines lines = {0};
                struct seen seen = {.len = 0};
                feed(&lines, cases[i].text, cut, &seen);
                feed(&lines, cases[i].text + cut, second - cut, &seen);
                feed(&lines, cases[i].text + second, len - second, &seen);
                finish(&lines, &seen);
                unit_expect(strcmp(seen.text, cases[i].want) == 0,
                            "'%s' cut at %zu and %zu: %s, not %s", cases[i].text, cut, second,
                            seen.text, cases[i].want);
            }
        }
    }
}
END_TEST

START_TEST(byte_by_byte_the_same_responses)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct imap_lines lines = {0};
        struct seen seen = {.len = 0};
        for (size_t at = 0; at < length_of(i); at++) {
            feed(&lines, cases[i].text + at, 1, &seen);
        }
        finish(&lines, &seen);
        ck_assert_str_eq(seen.text, cases[i].want);
    }
}
END_TEST

START_TEST(the_tag_is_told)
{
    struct imap_lines lines = {0};
    struct imap_lines_response response;
    size_t used = 0;
    ck_assert_int_eq(imap_lines_feed(&lines, "tag", 3, &used, &response), IMAP_LINES_MORE);
    ck_assert_int_eq(imap_lines_feed(&lines, ".7 OK x\r\nz", 10, &used, &response),
                     IMAP_LINES_DONE);
    ck_assert_uint_eq(used, 9);
    ck_assert(slice_eq(response.tag, SLICE("tag.7")));
}
END_TEST

UNIT_TESTS("imap_lines", split_anywhere_the_same_responses, byte_by_byte_the_same_responses,
           the_tag_is_told)
