#include "lbd/base/compiler.h"
#include "lbd/mail/smtp_guard.h"
#include "tests/unit/unit.h"

/* "C: ..." of the client, "S: ..." of the server; each cut at every place. True: all may pass. */
static bool passes(const char *const *talk, size_t cut)
{
    struct smtp_guard guard = {.word_len = 0};
    for (; *talk != NULL; talk++) {
        struct slice bytes = slice_from(*talk + 3);
        size_t at = cut < bytes.len ? cut : bytes.len;
        struct slice parts[] = {slice_of(bytes.ptr, at), slice_from_at(bytes, at)};
        for (size_t i = 0; i < 2; i++) {
            if (**talk == 'S') {
                smtp_guard_server(&guard, parts[i]);
            } else if (!smtp_guard_client(&guard, parts[i])) {
                return false;
            }
        }
    }
    return true;
}

static const struct {
    const char *const talk[8];
    bool passes;
} cases[] = {
    {{"C: MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "S: 250 ok\r\n250 ok\r\n"}, true},
    {{"C: XCLIENT ADDR=192.0.2.1\r\n"}, false},
    {{"C: RSET\r\n \txclient LOGIN=otto\n"}, false},
    {{"C: XFORWARD NAME=x\r\n"}, false},
    {{"C: XCLIENT\r\n"}, false},
    {{"C: XCLIENTS a\r\nNOOP XCLIENT a\r\n"}, true},
    /* what a message holds is none */
    {{"C: DATA\r\n", "S: 354 go\r\n", "C: XCLIENT ADDR=1\r\n..\r\n..x\r\nXCLIENT a\r\n.\r\n",
      "S: 250 ok\r\n", "C: NOOP\r\n"},
     true},
    {{"C: DATA\r\n", "S: 354 go\r\n", "C: x\r\n.\r\nXCLIENT ADDR=1\r\n"}, false},
    {{"C: DATA\r\n", "S: 354 go\r\n", "C: x\n.\nXCLIENT ADDR=1\r\n"}, false},
    {{"C: DATA\r\n", "S: 354 go\r\n", "C: x\r\n.\r\r\nXCLIENT ADDR=1\r\n"}, false},
    {{"C: DATA\r\n", "S: 354 go\r\n", "S: 421 bye\r\n", "C: XCLIENT ADDR=1\r\n"}, false},
    {{"C: DATA\r\n", "S: 503 no\r\n", "C: XCLIENT ADDR=1\r\n"}, false},
    {{"C: MAIL\r\nRCPT\r\nDATA\r\n", "S: 250 a\r\n250 b\r\n354 go\r\n", "C: XCLIENT a\r\n.\r\n"},
     true},
    /* the 354 of one DATA is not taken for that of another */
    {{"C: DATA\r\n.\r\nDATA\r\n", "S: 354 go\r\n", "C: XCLIENT ADDR=1\r\n"}, false},
    {{"C: DATA\r\nx\r\n.\r\n", "S: 354 go\r\n", "C: DATA\r\n", "S: 354 go\r\n", "C: XCLIENT a\r\n"},
     false},
    {{"C: NOOP\r\n", "S: 354 what\r\n", "C: XCLIENT ADDR=1\r\n"}, false},
};

START_TEST(commands_are_looked_at_and_messages_are_not)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t cut = 0; cut < 60; cut++) {
            ck_assert_msg(passes(cases[i].talk, cut) == cases[i].passes, "case %zu, cut at %zu", i,
                          cut);
        }
    }
}
END_TEST

UNIT_TESTS("smtp_guard", commands_are_looked_at_and_messages_are_not)
