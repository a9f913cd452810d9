#include <stdio.h>
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/mail/imap_park.h"
#include "tests/unit/unit.h"

/* What the server says after UNSELECT and NOOP; 'U' and 'N' after a dollar stand for our tags. */
static const struct {
    const char *says;
    enum imap_park_event want;
} answers[] = {
    {"$U OK unselected\r\n$N OK done\r\n", IMAP_PARK_READY},
    {"* 3 EXISTS\r\n$U OK x\r\n* 4 EXISTS\r\n$N OK x\r\n", IMAP_PARK_READY},
    {"* 1 FETCH (X {4}\r\n$N O)\r\n$U OK x\r\n$N OK x\r\n", IMAP_PARK_READY},
    {"$U OK x\r\n", IMAP_PARK_MORE},
    {"$U OK x\r\n$N OK x", IMAP_PARK_MORE},
    {"$U OK x\r\n$N OK x\r\n* 3", IMAP_PARK_MORE}, /* half a line more */
    {"$U OK x\r\n$N OK x\r\n* 3 EXISTS\r\n", IMAP_PARK_READY},
    {"$N OK x\r\n", IMAP_PARK_BROKEN}, /* the wrong order */
    {"$U NO x\r\n$N OK x\r\n", IMAP_PARK_BROKEN},
    {"$U BAD x\r\n$N OK x\r\n", IMAP_PARK_BROKEN},
    {"$U OK x\r\n$N NO x\r\n", IMAP_PARK_BROKEN},
    {"a2 OK SLOW done\r\n$U OK x\r\n$N OK x\r\n", IMAP_PARK_BROKEN}, /* another's answer */
    {"$U OK x\r\na2 OK SLOW done\r\n", IMAP_PARK_BROKEN},
    {"$U OK x\r\n$N OK x\r\na2 OK late\r\n", IMAP_PARK_BROKEN},
    {"$U OK x\r\n$U OK x\r\n", IMAP_PARK_BROKEN},
    {"$U OK x\r\n+ go on\r\n", IMAP_PARK_BROKEN},
    {"* BYE x\r\n", IMAP_PARK_BROKEN},
    {"$U OK x\r\n$N OK x\r\n* BYE x\r\n", IMAP_PARK_BROKEN},
    {"* PREAUTH x\r\n", IMAP_PARK_BROKEN},
    {"nonsense\r\n", IMAP_PARK_BROKEN},
    {"\r\n", IMAP_PARK_BROKEN},
    {"* OK x {3}\r\n", IMAP_PARK_BROKEN},
};

static size_t write_says(const char *says, const char *asked, char *out)
{
    const char *at = strstr(asked, "lbd");
    size_t number = strcspn(at, "UN");
    size_t len = 0;
    for (; *says != '\0'; says++) {
        if (*says == '$' && (says[1] == 'U' || says[1] == 'N')) {
            memcpy(out + len, at, number);
            len += number;
        } else {
            out[len++] = *says;
        }
    }
    return len;
}

/* The most that was said of it: broken, else ready. */
static enum imap_park_event more_of(enum imap_park_event a, enum imap_park_event b)
{
    return a > b ? a : b;
}

START_TEST(only_two_oks_in_their_order_are_clean)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        char room[IMAP_PARK_OUT_MAX + 1] = "";
        char says[512];
        struct imap_park park;
        imap_park_init(&park, 0x1234);
        struct slice asked = imap_park_check_in(&park, true, room);
        ck_assert(slice_eq(asked, SLICE("lbd1235U UNSELECT\r\nlbd1235N NOOP\r\n")));
        size_t len = write_says(answers[i].says, room, says);
        for (size_t cut = 0; cut <= len; cut++) {
            imap_park_init(&park, 0x1234);
            (void)imap_park_check_in(&park, true, room);
            enum imap_park_event got = imap_park_feed(&park, says, cut);
            got = more_of(got, imap_park_feed(&park, says + cut, len - cut));
            /* what was ready in between may hear half a line behind it */
            bool early = answers[i].want == IMAP_PARK_MORE && got == IMAP_PARK_READY &&
                         !imap_park_is_quiet(&park);
            unit_expect(got == answers[i].want || early, "case %zu cut at %zu: %d", i, cut, got);
        }
    }
}
END_TEST

START_TEST(the_largest_number_fits)
{
    char room[IMAP_PARK_OUT_MAX];
    struct imap_park park;
    imap_park_init(&park, UINT64_MAX - 1);
    ck_assert_uint_le(imap_park_check_in(&park, true, room).len, sizeof(room));
}
END_TEST

START_TEST(no_mailbox_no_unselect)
{
    char room[IMAP_PARK_OUT_MAX];
    struct imap_park park;
    imap_park_init(&park, 1);
    ck_assert(slice_eq(imap_park_check_in(&park, false, room), SLICE("lbd2N NOOP\r\n")));
    ck_assert_int_eq(imap_park_feed(&park, "lbd2N OK x\r\n", 12), IMAP_PARK_READY);
    ck_assert(imap_park_is_quiet(&park));
    /* another question, another tag: the answer to the first is none */
    ck_assert(slice_eq(imap_park_ask(&park, room), SLICE("lbd3N NOOP\r\n")));
    ck_assert(!imap_park_is_quiet(&park));
    ck_assert_int_eq(imap_park_feed(&park, "lbd2N OK x\r\n", 12), IMAP_PARK_BROKEN);
}
END_TEST

START_TEST(a_parked_one_may_be_told_things_but_not_without_end)
{
    static const char line[] = "* OK Still here, and here, and here\r\n";
    char room[IMAP_PARK_OUT_MAX];
    struct imap_park park;
    imap_park_init(&park, 1);
    (void)imap_park_check_in(&park, false, room);
    ck_assert_int_eq(imap_park_feed(&park, "lbd2N OK x\r\n", 12), IMAP_PARK_READY);
    size_t said = 0;
    while (imap_park_feed(&park, line, sizeof(line) - 1) == IMAP_PARK_MORE) {
        said += sizeof(line) - 1;
        ck_assert_uint_le(said, IMAP_PARK_DISCARD_MAX);
    }
    ck_assert_uint_gt(said, IMAP_PARK_DISCARD_MAX - 2 * sizeof(line));
    ck_assert_int_eq(imap_park_feed(&park, "", 0), IMAP_PARK_BROKEN); /* for ever */
}
END_TEST

UNIT_TESTS("imap_park", only_two_oks_in_their_order_are_clean, the_largest_number_fits,
           no_mailbox_no_unselect, a_parked_one_may_be_told_things_but_not_without_end)
