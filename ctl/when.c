#include "ctl/when.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lbd/base/now.h"
#include "lbd/base/num.h"

enum { MS_PER_S = 1000, US_PER_MS = 1000 };

/* Digits at `at`; false when one of them is none. */
static bool take_number(struct slice text, size_t at, size_t len, int *out)
{
    uint64_t value;
    if (at + len > text.len || !num_parse_u64(slice_of(text.ptr + at, len), &value)) {
        return false;
    }
    *out = (int)value;
    return true;
}

/* "Z" or "+01:00" at `at`, as seconds east of Greenwich. */
static bool take_offset(struct slice text, size_t at, int *seconds)
{
    int hours;
    int minutes;
    *seconds = 0;
    if (at + 1 == text.len && (text.ptr[at] == 'Z' || text.ptr[at] == 'z')) {
        return true;
    }
    if (at + 6 != text.len || (text.ptr[at] != '+' && text.ptr[at] != '-') ||
        text.ptr[at + 3] != ':' || !take_number(text, at + 1, 2, &hours) ||
        !take_number(text, at + 4, 2, &minutes) || hours > 23 || minutes > 59) {
        return false;
    }
    *seconds = (hours * 60 + minutes) * 60 * (text.ptr[at] == '-' ? -1 : 1);
    return true;
}

bool when_parse(struct slice text, uint64_t *wall_ms)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    enum { WHOLE = sizeof(shape) - 1 };
    struct tm tm = {.tm_isdst = 0};
    int fraction = 0;
    int offset;
    size_t at = WHOLE;
    if (text.len <= WHOLE || text.ptr[4] != '-' || text.ptr[7] != '-' ||
        strchr("Tt ", text.ptr[10]) == NULL || text.ptr[13] != ':' || text.ptr[16] != ':' ||
        !take_number(text, 0, 4, &tm.tm_year) || !take_number(text, 5, 2, &tm.tm_mon) ||
        !take_number(text, 8, 2, &tm.tm_mday) || !take_number(text, 11, 2, &tm.tm_hour) ||
        !take_number(text, 14, 2, &tm.tm_min) || !take_number(text, 17, 2, &tm.tm_sec)) {
        return false;
    }
    if (tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
        tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60) {
        return false;
    }
    if (text.ptr[at] == '.') {
        int scale = 100;
        for (at++; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++) {
            fraction += (text.ptr[at] - '0') * scale;
            scale /= 10;
        }
    }
    if (!take_offset(text, at, &offset)) {
        return false;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    int64_t seconds = (int64_t)timegm(&tm) - offset;
    if (seconds < 0) {
        return false;
    }
    *wall_ms = (uint64_t)seconds * MS_PER_S + (uint64_t)fraction;
    return true;
}

void when_write_clock(char out[WHEN_TEXT_MAX], uint64_t wall_ms)
{
    time_t moment = (time_t)(wall_ms / MS_PER_S);
    time_t now = (time_t)(now_wall_us() / US_PER_MS / MS_PER_S);
    struct tm then;
    struct tm today;
    out[0] = '\0';
    if (localtime_r(&moment, &then) == NULL || localtime_r(&now, &today) == NULL) {
        return;
    }
    bool is_today = then.tm_yday == today.tm_yday;
    if (then.tm_year != today.tm_year) {
        (void)strftime(out, WHEN_TEXT_MAX, "%Y-%m-%d %H:%M", &then);
        return;
    }
    (void)strftime(out, WHEN_TEXT_MAX, is_today ? "%H:%M:%S" : "%b %d %H:%M", &then);
}

void when_write_text(char out[WHEN_TEXT_MAX], struct slice text)
{
    uint64_t wall_ms;
    if (when_parse(text, &wall_ms)) {
        when_write_clock(out, wall_ms);
    } else {
        (void)snprintf(out, WHEN_TEXT_MAX, "%.*s", SLICE_ARG(text));
    }
}

void when_write_sentence(struct buf *out, struct slice text)
{
    struct slice word;
    bool is_first = true;
    while (slice_split(&text, ' ', &word)) {
        char clock[WHEN_TEXT_MAX];
        uint64_t wall_ms;
        bool is_moment = when_parse(word, &wall_ms);
        when_write_text(clock, word);
        buf_append_text(out, is_first ? "" : " ");
        buf_append_slice(out, is_moment ? slice_from(clock) : word);
        is_first = false;
    }
}

void when_write_span(char out[WHEN_TEXT_MAX], uint64_t seconds)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    size_t first = 0;
    while (first + 1 < ARRAY_LEN(units) && seconds < units[first].seconds) {
        first++;
    }
    int len = snprintf(out, WHEN_TEXT_MAX, "%llu%c",
                       (unsigned long long)(seconds / units[first].seconds), units[first].unit);
    if (first + 1 < ARRAY_LEN(units)) {
        (void)snprintf(
            out + len, WHEN_TEXT_MAX - (size_t)len, " %llu%c",
            (unsigned long long)(seconds % units[first].seconds / units[first + 1].seconds),
            units[first + 1].unit);
    }
}
