#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lbd/http/h1_scan.h"
#include "tests/unit/unit.h"

/* What each class is, said another way than by a table. */
static unsigned defined(int c)
{
    unsigned classes = 0;
    bool alnum = c < 128 && isalnum(c) != 0;
    bool visible = c > 0x20 && c < 0x7f;
    if ((c >= 0x20 && c != 0x7f) || c == '\t') {
        classes |= H1_TEXT;
    }
    if (alnum || c == '-') {
        classes |= H1_NAME;
    }
    if (alnum || (visible && strchr("!#$%&'*+-.^_`|~", c) != NULL)) {
        classes |= H1_TOKEN;
    }
    if (visible && c != '#') {
        classes |= H1_TARGET;
    }
    if (visible && strchr("#%;\\", c) == NULL) {
        classes |= H1_PLAIN;
    }
    if (alnum || (visible && strchr("-._~", c) != NULL)) {
        classes |= H1_HOST;
    }
    if (c >= '0' && c <= '9') {
        classes |= H1_DIGIT;
    }
    return classes;
}

START_TEST(classes_are_those_of_the_grammar)
{
    for (int c = 0; c < 256; c++) {
        ck_assert_msg(h1_class[c] == defined(c), "0x%02x", (unsigned)c);
    }
}
END_TEST

#ifdef __SSE2__
/* The twins on the same bytes. */
static void compare(const char *at, const char *end)
{
    const char *query[2];
    bool plain[2];
    unit_expect(h1_scan_text_sse2(at, end) == h1_scan_text_scalar(at, end), "text '%.*s'",
                (int)(end - at), at);
    unit_expect(h1_scan_name_sse2(at, end) == h1_scan_name_scalar(at, end), "name '%.*s'",
                (int)(end - at), at);
    const char *fast = h1_scan_target_sse2(at, end, &query[0], &plain[0]);
    const char *slow = h1_scan_target_scalar(at, end, &query[1], &plain[1]);
    unit_expect(fast == slow && query[0] == query[1] && plain[0] == plain[1], "target '%.*s'",
                (int)(end - at), at);
}

/* Bytes that end where a page that may not be read begins. */
static char *edge_of_page(size_t len)
{
    enum { PAGE = 4096 };
    char *pages =
        mmap(NULL, (size_t)2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(pages, MAP_FAILED);
    ck_assert_int_eq(mprotect(pages + PAGE, PAGE, PROT_NONE), 0);
    return pages + PAGE - len;
}

START_TEST(twins_agree_on_every_byte_at_every_place)
{
    enum { LEN = 40 };
    char *bytes = edge_of_page(LEN);
    static const char fill[] = {'a', '/', '\t', '?'};
    for (size_t f = 0; f < sizeof(fill); f++) {
        for (size_t at = 0; at < LEN; at++) {
            memset(bytes, fill[f], LEN);
            for (int c = 0; c < 256; c++) {
                bytes[at] = (char)c;
                for (size_t from = 0; from < 20; from++) {
                    compare(bytes + from, bytes + LEN);
                }
            }
        }
    }
}
END_TEST

START_TEST(twins_agree_on_random_bytes_of_any_length)
{
    static const char likely[] = "abcXYZ019-./?%;\\#_~!\t \r\n\x01\x7f\x80\xff/././..";
    enum { MOST = 100 };
    char *bytes = edge_of_page(MOST);
    uint32_t random = 12345;
    for (int round = 0; round < 20000; round++) {
        size_t len = (size_t)round % MOST;
        bool rare = round % 3 == 0;
        for (size_t i = 0; i < MOST; i++) {
            random = random * 1664525U + 1013904223U;
            size_t pick = random >> 16U;
            bytes[i] =
                rare && pick % 16 != 0 ? "a/."[pick % 3] : likely[pick % (sizeof(likely) - 1)];
        }
        compare(bytes + MOST - len, bytes + MOST);
    }
}
END_TEST
#endif

START_TEST(tells_a_plain_path_from_one_that_needs_a_look)
{
    static const struct {
        const char *target;
        size_t path_len;
        bool plain;
    } cases[] = {
        {"/", 1, true},
        {"/a/b.html", 9, true},
        {"/a..b/c.", 8, true},
        {"//", 2, true},
        {"/.", 2, false},
        {"/a/./b", 6, false},
        {"/.well-known", 12, false}, /* a second look finds nothing */
        {"/a%41", 5, false},
        {"/a;x", 4, false},
        {"/a\\b", 4, false},
        {"/a?/.%;\\", 2, true},
        {"?", 0, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *at = cases[i].target;
        const char *end = at + strlen(at);
        const char *query;
        bool plain;
        ck_assert_ptr_eq(h1_scan_target(at, end, &query, &plain), end);
        ck_assert_uint_eq((size_t)(query - at), cases[i].path_len);
        ck_assert_msg(plain == cases[i].plain, "%s", at);
    }
}
END_TEST

#ifdef __SSE2__
UNIT_TESTS("h1_scan", classes_are_those_of_the_grammar, twins_agree_on_every_byte_at_every_place,
           twins_agree_on_random_bytes_of_any_length, tells_a_plain_path_from_one_that_needs_a_look)
#else
UNIT_TESTS("h1_scan", classes_are_those_of_the_grammar,
           tells_a_plain_path_from_one_that_needs_a_look)
#endif
