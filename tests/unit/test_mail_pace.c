#include "lbd/proxy/mail_pace.h"
#include "tests/unit/unit.h"

START_TEST(the_longest_counts_in_steps)
{
    static const struct {
        uint64_t took_ms;
        uint32_t want_ms;
    } refusals[] = {{20, 500}, {1700, 2000}, {20, 2000}, {2000, 2500}, {60000, 4000}};
    struct mail_pace pace = {0};
    ck_assert_uint_eq(mail_pace_ms(&pace, MAIL_IMAP, 10000), 0);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        mail_pace_note(&pace, MAIL_IMAP, refusals[i].took_ms, 10000 + i);
        uint32_t is_ms = mail_pace_ms(&pace, MAIL_IMAP, 10000 + i);
        unit_expect(is_ms == refusals[i].want_ms, "%zu: %u", i, is_ms);
    }
    ck_assert_uint_eq(mail_pace_ms(&pace, MAIL_POP3, 10000), 0);
}
END_TEST

START_TEST(it_holds_while_it_is_seen)
{
    struct mail_pace pace = {0};
    mail_pace_note(&pace, MAIL_IMAP, 1700, 10000);
    mail_pace_note(&pace, MAIL_IMAP, 1600, 10000 + MAIL_PACE_KEEP_MS - 1); /* the same step */
    ck_assert_uint_eq(mail_pace_ms(&pace, MAIL_IMAP, 10000 + MAIL_PACE_KEEP_MS), 2000);
    mail_pace_note(&pace, MAIL_IMAP, 20, 10000 + 2 * MAIL_PACE_KEEP_MS);
    ck_assert_uint_eq(mail_pace_ms(&pace, MAIL_IMAP, 10000 + 2 * MAIL_PACE_KEEP_MS), 500);
    ck_assert_uint_eq(mail_pace_ms(&pace, MAIL_IMAP, 10000 + 3 * MAIL_PACE_KEEP_MS), 0);
}
END_TEST

UNIT_TESTS("mail_pace", the_longest_counts_in_steps, it_holds_while_it_is_seen)
