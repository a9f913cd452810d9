#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/when.h"
#include "lbd/base/now.h"
#include "tests/unit/unit.h"

static const struct {
    const char *text;
    uint64_t ms; /* 0: that is no moment */
} moments[] = {
    {"1970-01-01T00:00:01Z", 1000},
    {"2026-11-26T11:25:01Z", 1795692301000},
    {"2026-11-26T11:25:01.5Z", 1795692301500},
    {"2026-11-26T11:25:01.123456Z", 1795692301123},
    {"2026-11-26T12:25:01+01:00", 1795692301000},
    {"2026-11-26T06:25:01-05:00", 1795692301000},
    {"", 0},
    {"2026-11-26", 0},
    {"2026-11-26T11:25:01", 0},
    {"2026-13-26T11:25:01Z", 0},
    {"2026-11-26T24:25:01Z", 0},
    {"2026-11-26T11:25:01.Zz", 0},
    {"2026-11-26T11:25:01+0100", 0},
    {"1969-12-31T23:59:59Z", 0},
    {"1970-01-01T00:00:00+23:00", 0},
    {"2o26-11-26T11:25:01Z", 0},
};

START_TEST(moments_are_read)
{
    for (size_t i = 0; i < ARRAY_LEN(moments); i++) {
        uint64_t ms = 0;
        bool ok = when_parse(slice_from(moments[i].text), &ms);
        ck_assert_msg(ok == (moments[i].ms != 0), "%s", moments[i].text);
        ck_assert_msg(!ok || ms == moments[i].ms, "%s: %llu", moments[i].text,
                      (unsigned long long)ms);
    }
}
END_TEST

START_TEST(today_is_a_clock_and_another_day_a_date)
{
    struct buf sentence;
    char text[WHEN_TEXT_MAX];
    ck_assert_int_eq(setenv("TZ", "UTC", 1), 0);
    tzset();
    now_set_for_test(1, 1795692301000000);
    when_write_text(text, SLICE("2026-11-26T23:00:07Z"));
    ck_assert_str_eq(text, "23:00:07");
    when_write_text(text, SLICE("2026-11-25T23:00:07Z"));
    ck_assert_str_eq(text, "Nov 25 23:00");
    when_write_text(text, SLICE("2027-02-14T17:00:46Z"));
    ck_assert_str_eq(text, "2027-02-14 17:00");
    when_write_text(text, SLICE("soon"));
    ck_assert_str_eq(text, "soon");
    buf_init(&sentence, 100);
    when_write_sentence(&sentence, SLICE("back  at 2026-11-26T23:00:07.5Z unless"));
    ck_assert_str_eq(sentence.data, "back  at 23:00:07 unless");
    buf_fini(&sentence);
    now_set_for_test(0, 0);
}
END_TEST

START_TEST(spans_have_two_units)
{
    static const struct {
        uint64_t seconds;
        const char *want;
    } cases[] = {{0, "0s"}, {59, "59s"}, {60, "1m 0s"}, {3725, "1h 2m"}, {273600, "3d 4h"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[WHEN_TEXT_MAX];
        when_write_span(text, cases[i].seconds);
        ck_assert_str_eq(text, cases[i].want);
    }
}
END_TEST

UNIT_TESTS("when", moments_are_read, today_is_a_clock_and_another_day_a_date, spans_have_two_units)
