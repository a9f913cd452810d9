/*
 * access_format - which requests the access log has, and what of them its lines say, when it is not
 * just everything as JSON.
 *
 *     json      {"time":"...","client":"10.0.0.9:4711",...,"request_headers":{"user-agent":"..."}}
 *     logfmt    time=... client=10.0.0.9:4711 ... request_headers.user-agent="curl 7"
 *     combined  10.0.0.9 - - [21/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/7"
 *
 * combined is byte by byte what nginx writes by that name, in UTC; what is no request has "-" for
 * it. Nothing that a client sends ends a line or a value: in JSON and logfmt controls, quotes and
 * bytes that are not UTF-8 are escaped as \u00XX, in combined as \xXX. A value of logfmt that has
 * anything but visible ASCII without quotes, backslash and '=' stands in quotes.
 *
 * Credentials (Authorization, Proxy-Authorization, Cookie, Set-Cookie) are written as "[redacted]"
 * unless shows_credentials.
 *
 * Limits: ACCESS_HEADERS_MAX headers each way, 256 bytes of each value; the others as in
 * access_log.h. Memory: constant once built; borrows its names. Threads: any.
 */
#ifndef LBD_STATS_ACCESS_FORMAT_H
#define LBD_STATS_ACCESS_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/slice.h"
#include "lbd/stats/access_record.h"

#define ACCESS_FIELDS_MAX      40U
#define ACCESS_HEADERS_MAX     8U /* each way */
#define ACCESS_FORMAT_LINE_MAX 65536U

enum access_style { ACCESS_JSON, ACCESS_COMBINED, ACCESS_LOGFMT };
/* Errors are always logged: endings that are not as they should be, and answers of 500 and above.
 * ACCESS_SLOW: those whose answer took slow_us to begin, too. */
enum access_only { ACCESS_ALL, ACCESS_ERRORS, ACCESS_SLOW };

struct access_format {
    enum access_style style;
    enum access_only only;
    uint64_t slow_us;
    uint32_t sample; /* with ACCESS_ALL: of what is no error, one of so many; 0: all */
    uint32_t field_count;
    uint8_t fields[ACCESS_FIELDS_MAX];
    bool shows_credentials;
    uint32_t request_header_count;
    uint32_t response_header_count;
    struct slice request_headers[ACCESS_HEADERS_MAX]; /* names in lower case */
    struct slice response_headers[ACCESS_HEADERS_MAX];
};

/* The number of a field by its name; false: there is none. */
bool access_format_field(struct slice name, uint8_t *field);
/* The name of a field; empty: past the last. */
struct slice access_format_name(uint8_t field);
/* Completes what was filled in: without fields all of them; combined asks for its own headers. */
void access_format_build(struct access_format *format);
/* `count`: of lines asked for so far, for the sample. */
bool access_format_wants(const struct access_format *format, const struct access_record *record,
                         uint64_t count);
/* One line with its '\n'; returns its length. `date`: of the record's time, as now_log_date has it.
 */
size_t access_format_line(const struct access_format *format, const struct access_record *record,
                          const char *date, char out[ACCESS_FORMAT_LINE_MAX]);

#endif
