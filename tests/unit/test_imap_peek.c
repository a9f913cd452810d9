#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/mail/imap_peek.h"
#include "tests/unit/unit.h"

#define TAG_32 "abcdefghijklmnopqrstuvwxyz012345"

static const struct {
    const char *bytes;
    enum imap_peek logout;
    enum imap_peek select;
} cases[] = {
    {"a LOGOUT\r\n", IMAP_PEEK_SO, IMAP_PEEK_OTHER},
    {"a1 logout\n", IMAP_PEEK_SO, IMAP_PEEK_OTHER},
    {"a LOGOUT\r\nb NOOP\r\n", IMAP_PEEK_SO, IMAP_PEEK_OTHER},
    {"a LOGOUT \r\n", IMAP_PEEK_OTHER, IMAP_PEEK_OTHER},
    {"a LOGOUT\r\r\n", IMAP_PEEK_OTHER, IMAP_PEEK_OTHER},
    {"a  LOGOUT\r\n", IMAP_PEEK_OTHER, IMAP_PEEK_OTHER},
    {"a SELECT x\r\n", IMAP_PEEK_OTHER, IMAP_PEEK_SO},
    {"a examine \"x\"\r\n", IMAP_PEEK_OTHER, IMAP_PEEK_SO},
    {"a SELECT\r\n", IMAP_PEEK_OTHER, IMAP_PEEK_SO},
    {"a SELECTED x\r\n", IMAP_PEEK_OTHER, IMAP_PEEK_OTHER},
    {"a EXAMINED", IMAP_PEEK_OTHER, IMAP_PEEK_OTHER},
    {"a EXAMINE", IMAP_PEEK_OTHER, IMAP_PEEK_CUT},
    {"a NOOP\r\n", IMAP_PEEK_OTHER, IMAP_PEEK_OTHER},
    {"a LO", IMAP_PEEK_CUT, IMAP_PEEK_CUT},
    {"a ", IMAP_PEEK_CUT, IMAP_PEEK_CUT},
    {"a", IMAP_PEEK_CUT, IMAP_PEEK_CUT},
    {TAG_32, IMAP_PEEK_CUT, IMAP_PEEK_CUT},
    {TAG_32 " LOGOUT\r\n", IMAP_PEEK_SO, IMAP_PEEK_OTHER},
    {TAG_32 " SELECT x\r\n", IMAP_PEEK_OTHER, IMAP_PEEK_SO},
    {TAG_32 "6", IMAP_PEEK_OTHER, IMAP_PEEK_OTHER}, /* too long for a tag */
    {TAG_32 "6 SELECT x\r\n", IMAP_PEEK_OTHER, IMAP_PEEK_OTHER},
    {" LOGOUT\r\n", IMAP_PEEK_OTHER, IMAP_PEEK_OTHER},
    {" SELECT x\r\n", IMAP_PEEK_OTHER, IMAP_PEEK_OTHER},
    {"\r\n", IMAP_PEEK_OTHER, IMAP_PEEK_OTHER},
    {"* LOGOUT\r\n", IMAP_PEEK_OTHER, IMAP_PEEK_OTHER},
};

START_TEST(says_what_a_command_is)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *bytes = cases[i].bytes;
        size_t tag_len = 0;
        size_t line_len = 0;
        enum imap_peek logout = imap_peek_logout(bytes, strlen(bytes), &tag_len, &line_len);
        enum imap_peek selects = imap_peek_select(bytes, strlen(bytes));
        ck_assert_msg(logout == cases[i].logout && selects == cases[i].select, "'%s': %d, %d",
                      bytes, logout, selects);
        if (logout == IMAP_PEEK_SO) {
            ck_assert_ptr_eq(bytes + tag_len, strchr(bytes, ' '));
            ck_assert_ptr_eq(bytes + line_len, strchr(bytes, '\n') + 1);
        }
    }
}
END_TEST

/* However many bytes lie here, what is said of them stays true; and few are kept for more. */
START_TEST(never_says_too_early)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *bytes = cases[i].bytes;
        for (size_t len = 1; len <= strlen(bytes); len++) {
            size_t tag_len = 0;
            size_t line_len = 0;
            enum imap_peek logout = imap_peek_logout(bytes, len, &tag_len, &line_len);
            enum imap_peek selects = imap_peek_select(bytes, len);
            ck_assert_msg(logout == IMAP_PEEK_CUT ? len <= IMAP_PEEK_MAX
                                                  : logout == cases[i].logout,
                          "'%.*s': %d", (int)len, bytes, logout);
            ck_assert_msg(selects == IMAP_PEEK_CUT ? len <= IMAP_PEEK_MAX
                                                   : selects == cases[i].select,
                          "'%.*s': %d", (int)len, bytes, selects);
        }
    }
}
END_TEST

UNIT_TESTS("imap_peek", says_what_a_command_is, never_says_too_early)
