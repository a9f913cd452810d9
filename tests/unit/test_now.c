#include <time.h>

#include "lbd/base/compiler.h"
#include "lbd/base/now.h"
#include "tests/unit/unit.h"

START_TEST(writes_dates)
{
    static const struct {
        uint64_t wall_s;
        const char *http;
        const char *log;
    } cases[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00.000007Z"},
        /* RFC 9110 5.6.7 */
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37.000007Z"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00.000007Z"},
        {951868799, "Tue, 29 Feb 2000 23:59:59 GMT", "2000-02-29T23:59:59.000007Z"},
        {4107542399, "Sun, 28 Feb 2100 23:59:59 GMT", "2100-02-28T23:59:59.000007Z"},
        {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00.000007Z"},
        {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59.000007Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char http[NOW_HTTP_DATE_LEN + 1];
        char log[NOW_LOG_DATE_LEN + 1];
        now_http_date(http, cases[i].wall_s);
        now_log_date(log, cases[i].wall_s * 1000000U + 7U);
        ck_assert_str_eq(http, cases[i].http);
        ck_assert_str_eq(log, cases[i].log);
    }
}
END_TEST

START_TEST(agrees_with_the_library_on_every_day)
{
    for (uint64_t day = 0; day < 60000; day++) {
        time_t at = (time_t)(day * 86400U + day % 86400U);
        struct tm tm;
        char want[64];
        char got[NOW_HTTP_DATE_LEN + 1];
        ck_assert_ptr_nonnull(gmtime_r(&at, &tm));
        ck_assert_uint_gt(strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &tm), 0);
        now_http_date(got, (uint64_t)at);
        ck_assert_str_eq(got, want);
    }
}
END_TEST

START_TEST(a_test_may_stop_the_clocks)
{
    uint64_t before = now_us();
    ck_assert_uint_gt(before, 0);
    ck_assert_uint_gt(now_wall_us(), UINT64_C(1600000000000000));
    now_set_for_test(5000000, 7000000);
    ck_assert_uint_eq(now_us(), 5000000);
    ck_assert_uint_eq(now_ms(), 5000);
    ck_assert_uint_eq(now_wall_us(), 7000000);
    now_set_for_test(0, 0);
    ck_assert_uint_ge(now_us(), before);
}
END_TEST

UNIT_TESTS("now", writes_dates, agrees_with_the_library_on_every_day, a_test_may_stop_the_clocks)
