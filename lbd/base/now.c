#include "lbd/base/now.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

static _Atomic(uint64_t) test_mono_us;
static _Atomic(uint64_t) test_wall_us;

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now); /* cannot fail for these two clocks */
    return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}

uint64_t now_us(void)
{
    uint64_t fixed = atomic_load_explicit(&test_mono_us, memory_order_relaxed);
    return fixed != 0 ? fixed : read_clock(CLOCK_MONOTONIC);
}

uint64_t now_ms(void)
{
    return now_us() / 1000U;
}

uint64_t now_wall_us(void)
{
    uint64_t fixed = atomic_load_explicit(&test_wall_us, memory_order_relaxed);
    return fixed != 0 ? fixed : read_clock(CLOCK_REALTIME);
}

uint64_t now_thread_cpu_us(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void now_set_for_test(uint64_t mono_us, uint64_t wall_us)
{
    atomic_store_explicit(&test_mono_us, mono_us, memory_order_relaxed);
    atomic_store_explicit(&test_wall_us, wall_us, memory_order_relaxed);
}

struct date {
    unsigned year;
    unsigned month;   /* 1-12 */
    unsigned day;     /* 1-31 */
    unsigned weekday; /* 0 = Sunday */
};

/* gmtime_r without its time zone lock. Years start in March, so the leap day is the last one. */
static struct date date_of(uint64_t days_since_1970)
{
    uint64_t days = days_since_1970 + 719468U; /* since 0000-03-01 */
    uint64_t era = days / 146097U;             /* of 400 years */
    uint64_t day_of_era = days % 146097U;
    uint64_t year_of_era =
        (day_of_era - day_of_era / 1460U + day_of_era / 36524U - day_of_era / 146096U) / 365U;
    uint64_t day_of_year =
        day_of_era - (365U * year_of_era + year_of_era / 4U - year_of_era / 100U);
    uint64_t month = (5U * day_of_year + 2U) / 153U; /* 0 = March */
    uint64_t year = era * 400U + year_of_era + (month >= 10 ? 1U : 0U);
    return (struct date){
        .year = (unsigned)(year % 10000U),
        .month = (unsigned)(month < 10 ? month + 3U : month - 9U),
        .day = (unsigned)(day_of_year - (153U * month + 2U) / 5U + 1U),
        .weekday = (unsigned)((days_since_1970 + 4U) % 7U), /* 1970-01-01 was a Thursday */
    };
}

/* Writes `width` digits with leading zeros and returns what follows them. */
static char *put_digits(char *out, unsigned value, size_t width)
{
    for (size_t i = width; i-- > 0; value /= 10U) {
        out[i] = (char)('0' + value % 10U);
    }
    return out + width;
}

static char *put_text(char *out, const char *text, size_t len)
{
    memcpy(out, text, len);
    return out + len;
}

static char *put_time(char *out, unsigned second_of_day)
{
    out = put_digits(out, second_of_day / 3600U, 2);
    *out++ = ':';
    out = put_digits(out, second_of_day / 60U % 60U, 2);
    *out++ = ':';
    return put_digits(out, second_of_day % 60U, 2);
}

void now_http_date(char out[NOW_HTTP_DATE_LEN + 1], uint64_t wall_s)
{
    static const char weekdays[] = "Sun, Mon, Tue, Wed, Thu, Fri, Sat, ";
    static const char months[] = " Jan  Feb  Mar  Apr  May  Jun  Jul  Aug  Sep  Oct  Nov  Dec ";
    struct date date = date_of(wall_s / 86400U);
    out = put_text(out, weekdays + (size_t)date.weekday * 5, 5);
    out = put_digits(out, date.day, 2);
    out = put_text(out, months + (size_t)(date.month - 1) * 5, 5);
    out = put_digits(out, date.year, 4);
    *out++ = ' ';
    out = put_time(out, (unsigned)(wall_s % 86400U));
    memcpy(out, " GMT", 5);
}

void now_log_date(char out[NOW_LOG_DATE_LEN + 1], uint64_t wall_us)
{
    uint64_t wall_s = wall_us / 1000000U;
    struct date date = date_of(wall_s / 86400U);
    out = put_digits(out, date.year, 4);
    *out++ = '-';
    out = put_digits(out, date.month, 2);
    *out++ = '-';
    out = put_digits(out, date.day, 2);
    *out++ = 'T';
    out = put_time(out, (unsigned)(wall_s % 86400U));
    *out++ = '.';
    out = put_digits(out, (unsigned)(wall_us % 1000000U), 6);
    memcpy(out, "Z", 2);
}
