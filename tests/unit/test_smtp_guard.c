#include "lbd/base/compiler.h"
#include "lbd/mail/smtp_guard.h"
#include "tests/unit/unit.h"

/* "C: ..." of the client, "S: ..." of the server; each cut at every place. "-": the server has no
 * CHUNKING. True: all may pass. */
static bool passes(const char *const *talk, size_t cut)
{
    struct smtp_guard guard;
    smtp_guard_init(&guard, **talk != '-', 0);
    talk += **talk == '-' ? 1 : 0;
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
    const char *const talk[10];
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
    {{"C: STARTTLS\r\n"}, false},
    /* a DATA that was refused leaves no doubt */
    {{"C: MAIL\r\nRCPT\r\nDATA\r\n", "S: 250-a\r\n250 b\r\n550 c\r\n554 d\r\n",
      "C: RSET\r\nDATA\r\n", "S: 250 e\r\n354 go\r\n", "C: XCLIENT a\r\n.\r\n"},
     true},
    /* what comes behind the end of a message waits for its answer, too */
    {{"C: DATA\r\n", "S: 354 go\r\n", "C: x\r\n.\r\nMAIL\r\nRCPT\r\nDATA\r\n",
      "S: 250 queued\r\n250 a\r\n250 b\r\n354 go\r\n", "C: XCLIENT a\r\n.\r\nQUIT\r\n"},
     true},
    {{"C: DATA\r\n", "S: 354 go\r\n", "C: x\r\n.\r\nDATA\r\n", "S: 354 what\r\n",
      "C: XCLIENT a\r\n"},
     false},
    /* an end to some servers only */
    {{"C: DATA\r\n", "S: 354 go\r\n", "C: .x\r\n . 5\r\n..\r\nXCLIENT a\r\n.\r\n", "S: 250 ok\r\n"},
     true},
    {{"C: DATA\r\n", "S: 354 go\r\n", "C: x\n.\r\nBDAT 30\r\n\r\n.\r\nXCLIENT ADDR=1\r\n"}, false},
    {{"C: DATA\r\n", "S: 354 go\r\n", "C: x\r.\r\nXCLIENT ADDR=1\r\n"}, false},
    {{"C: DATA\r\n", "S: 354 go\r\n", "C: x\r\n\v.\r\nXCLIENT ADDR=1\r\n"}, false},
    {{"C: DATA\r\n", "S: 354 go\r\n", "C: x\r\n. \r\nXCLIENT ADDR=1\r\n"}, false},
    {{"C: NOOP\rXCLIENT ADDR=1\r\n"}, false},
    {{"C: NOOP\rNOOP\r\nDATA\r\n", "S: 250 a\r\n250 b\r\n354 go\r\n", "C: XCLIENT a\r\n"}, false},
    /* a chunk holds what it holds, and behind it comes a command */
    {{"C: BDAT 13\r\nXCLIENT ADDR=", "S: 250 ok\r\n", "C: bdat 9 last\r\nSTARTTLS NOOP\r\n",
      "S: 250 ok\r\n250 ok\r\n"},
     true},
    {{"C: BDAT 0 LAST\r\nNOOP\r\n", "S: 250 ok\r\n250 ok\r\n"}, true},
    {{"C: BDAT 5 LAST\r\nabcdeXCLIENT ADDR=1\r\n"}, false},
    {{"C: BDAT 0 LAST\r\nXCLIENT ADDR=1\r\n"}, false},
    {{"C: BDAT 5\r\nDATA\r\n354 go\r\n", "S: 250 ok\r\n", "C: XCLIENT ADDR=1\r\n"}, false},
    /* where a server may see no chunk there is none */
    {{"-", "C: BDAT 30 LAST\r\nXCLIENT ADDR=1\r\n"}, false},
    {{"C: BDAT x\r\n"}, false},
    {{"C: BDAT\r\n"}, false},
    {{"C: BDAT -5\r\n"}, false},
    {{"C: BDAT 5 FIRST\r\n"}, false},
    {{"C: BDAT 5 LAST x\r\n"}, false},
    {{"C: BDAT 18446744073709551616\r\n"}, false},
    {{"C: BDAT 00000000000000000000000000005\r\n"}, false},
    {{"C: BDAT 30 LAST\r\n", "S: 503 no\r\n", "C: XCLIENT ADDR=1\r\n"}, false},
    {{"C: DATA\r\nBDAT 30 LAST\r\n.\r\nXCLIENT ADDR=1\r\n"}, false},
};

START_TEST(commands_are_looked_at_and_messages_are_not)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t cut = 0; cut < 70; cut++) {
            ck_assert_msg(passes(cases[i].talk, cut) == cases[i].passes, "case %zu, cut at %zu", i,
                          cut);
        }
    }
}
END_TEST

UNIT_TESTS("smtp_guard", commands_are_looked_at_and_messages_are_not)
