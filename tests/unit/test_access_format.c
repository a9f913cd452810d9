#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/stats/access_format.h"
#include "tests/unit/unit.h"

#define DATE "2026-11-21T10:00:00.123456Z"

static const struct slice hostile[] = {SLICE_INIT("http://r/\"\r\n{}"),
                                       SLICE_INIT("a\\b=\xff\xc3\xa4")};
static const struct slice answered[] = {SLICE_INIT("sid=1")};

static struct access_record sample(void)
{
    struct access_record record = {
        .listener = SLICE("web"),
        .method = SLICE("GET"),
        .host = SLICE("a.example"),
        .path = SLICE("/x?y=1"),
        .protocol = SLICE("HTTP/1.1"),
        .pool = SLICE("p"),
        .reason = CLOSE_OK,
        .status = 200,
        .tries = 1,
        .response_bytes = 5,
        .duration_us = 431,
        .first_byte_us = 390,
        .connection_id = 0x1a,
        .request_headers = hostile,
        .request_header_count = 2,
        .response_headers = answered,
        .response_header_count = 1,
    };
    struct addr addr;
    ck_assert(addr_parse(SLICE("10.0.0.9:4711"), &addr));
    addr_small_from(&record.client, &addr.u.any);
    return record;
}

static const char *line_of(const struct access_format *from, const struct access_record *record)
{
    static char line[ACCESS_FORMAT_LINE_MAX + 1];
    struct access_format format = *from;
    access_format_build(&format);
    size_t len = access_format_line(&format, record, DATE, line);
    line[len] = '\0';
    return line;
}

START_TEST(all_fields_as_json)
{
    struct access_record record = sample();
    static const struct access_format format = {
        .style = ACCESS_JSON,
        .request_headers = {SLICE_INIT("referer"), SLICE_INIT("Cookie")},
        .request_header_count = 2,
        .response_headers = {SLICE_INIT("x")},
        .response_header_count = 1,
    };
    ck_assert_str_eq(
        line_of(&format, &record),
        "{\"time\":\"" DATE
        "\",\"listener\":\"web\",\"client\":\"10.0.0.9:4711\",\"method\":\"GET\","
        "\"host\":\"a.example\",\"path\":\"/x?y=1\",\"protocol\":\"HTTP/1.1\",\"status\":200,"
        "\"reason\":\"ok\",\"pool\":\"p\",\"request_bytes\":0,\"response_bytes\":5,"
        "\"duration_us\":431,\"first_byte_us\":390,\"tries\":1,\"connection_id\":\"1a\","
        "\"revision\":0,\"request_headers\":{\"referer\":\"http://r/\\\"\\u000d\\u000a{}\","
        "\"Cookie\":\"[redacted]\"},\"response_headers\":{\"x\":\"sid=1\"}}\n");
}
END_TEST

START_TEST(chosen_fields_in_their_order)
{
    struct access_record record = sample();
    struct access_format format = {.style = ACCESS_LOGFMT};
    static const char *const names[] = {"status", "path", "client", "route", "duration_us"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        ck_assert(access_format_field(slice_from(names[i]), &format.fields[format.field_count++]));
    }
    ck_assert_str_eq(line_of(&format, &record),
                     "status=200 path=\"/x?y=1\" client=10.0.0.9:4711 duration_us=431\n");
    format.style = ACCESS_JSON;
    ck_assert_str_eq(line_of(&format, &record),
                     "{\"status\":200,\"path\":\"/x?y=1\",\"client\":\"10.0.0.9:4711\","
                     "\"duration_us\":431}\n");
}
END_TEST

START_TEST(hostile_values_of_logfmt)
{
    struct access_record record = sample();
    struct access_format format = {
        .style = ACCESS_LOGFMT,
        .shows_credentials = true,
        .request_headers = {SLICE_INIT("referer"), SLICE_INIT("authorization")},
        .request_header_count = 2,
        .response_headers = {SLICE_INIT("set-cookie")},
        .response_header_count = 1,
    };
    ck_assert(access_format_field(SLICE("method"), &format.fields[format.field_count++]));
    ck_assert_str_eq(line_of(&format, &record),
                     "method=GET request_headers.referer=\"http://r/\\\"\\u000d\\u000a{}\" "
                     "request_headers.authorization=\"a\\\\b=\\u00ff\xc3\xa4\" "
                     "response_headers.set-cookie=\"sid=1\"\n");
    format.shows_credentials = false;
    ck_assert_ptr_nonnull(strstr(line_of(&format, &record),
                                 "request_headers.authorization=[redacted] "
                                 "response_headers.set-cookie=[redacted]\n"));
}
END_TEST

START_TEST(combined_is_that_of_nginx)
{
    struct access_record record = sample();
    static const struct access_format format = {.style = ACCESS_COMBINED};
    ck_assert_str_eq(line_of(&format, &record),
                     "10.0.0.9 - - [21/Nov/2026:10:00:00 +0000] \"GET /x?y=1 HTTP/1.1\" 200 5 "
                     "\"http://r/\\x22\\x0D\\x0A{}\" \"a\\x5Cb=\\xFF\\xC3\\xA4\"\n");
    record.request_headers = NULL;
    record.method = SLICE_NONE; /* a connection of TCP */
    record.status = 0;
    record.user = SLICE("joe");
    ck_assert_str_eq(line_of(&format, &record),
                     "10.0.0.9 - joe [21/Nov/2026:10:00:00 +0000] \"-\" 000 5 \"-\" \"-\"\n");
}
END_TEST

START_TEST(the_longest_line_fits)
{
    static char long_text[4096];
    static const enum access_style styles[] = {ACCESS_JSON, ACCESS_LOGFMT, ACCESS_COMBINED};
    struct slice values[ACCESS_HEADERS_MAX];
    memset(long_text, '\1', sizeof(long_text));
    struct slice text = slice_of(long_text, sizeof(long_text));
    struct access_record record = {.listener = text,
                                   .method = text,
                                   .host = text,
                                   .path = text,
                                   .protocol = text,
                                   .tls = text,
                                   .cipher = text,
                                   .sni = text,
                                   .subject = text,
                                   .route = text,
                                   .pool = text,
                                   .server = text,
                                   .request_id = text,
                                   .detail = text,
                                   .event = text,
                                   .user = text,
                                   .mechanism = text,
                                   .state = text,
                                   .setting = text,
                                   .setting_value = text,
                                   .request_headers = values,
                                   .request_header_count = ACCESS_HEADERS_MAX,
                                   .response_headers = values,
                                   .response_header_count = ACCESS_HEADERS_MAX};
    for (size_t s = 0; s < ARRAY_LEN(styles); s++) {
        struct access_format format = {.style = styles[s],
                                       .request_header_count = ACCESS_HEADERS_MAX,
                                       .response_header_count = ACCESS_HEADERS_MAX};
        for (size_t i = 0; i < ACCESS_HEADERS_MAX; i++) {
            values[i] = text;
            format.request_headers[i] = slice_of("a-header-name-of-sixty-four-bytes-which-is-long-"
                                                 "enough-for-anybody",
                                                 64);
            format.response_headers[i] = format.request_headers[i];
        }
        size_t len = strlen(line_of(&format, &record));
        ck_assert_uint_gt(len, 5000);
        ck_assert_uint_lt(len, ACCESS_FORMAT_LINE_MAX);
    }
}
END_TEST

START_TEST(which_are_wanted)
{
    static const struct {
        struct access_format format;
        enum close_reason reason;
        uint16_t status;
        uint64_t first_byte_us;
        uint64_t count;
        bool want;
    } cases[] = {
        {{.only = ACCESS_ALL}, CLOSE_OK, 200, 5, 7, true},
        {{.only = ACCESS_ALL, .sample = 100}, CLOSE_OK, 200, 5, 7, false},
        {{.only = ACCESS_ALL, .sample = 100}, CLOSE_OK, 200, 5, 300, true},
        {{.only = ACCESS_ALL, .sample = 100}, CLOSE_OK, 502, 5, 7, true},
        {{.only = ACCESS_ALL, .sample = 100}, CLOSE_CLIENT_ABORT, 200, 5, 7, true},
        {{.only = ACCESS_ERRORS}, CLOSE_OK, 200, 5, 0, false},
        {{.only = ACCESS_ERRORS}, CLOSE_REDIRECT, 302, 0, 0, false},
        {{.only = ACCESS_ERRORS}, CLOSE_OK, 404, 5, 0, false}, /* the server's own */
        {{.only = ACCESS_ERRORS}, CLOSE_NO_ROUTE, 404, 0, 0, true},
        {{.only = ACCESS_SLOW, .slow_us = 1000}, CLOSE_OK, 200, 999, 0, false},
        {{.only = ACCESS_SLOW, .slow_us = 1000}, CLOSE_OK, 200, 1000, 0, true},
        {{.only = ACCESS_SLOW, .slow_us = 1000}, CLOSE_NO_SERVER, 503, 0, 0, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct access_record record = {.reason = cases[i].reason,
                                             .status = cases[i].status,
                                             .first_byte_us = cases[i].first_byte_us};
        ck_assert_msg(access_format_wants(&cases[i].format, &record, cases[i].count) ==
                          cases[i].want,
                      "case %zu", i);
    }
}
END_TEST

START_TEST(names_lead_to_fields_and_back)
{
    uint8_t field;
    uint8_t count = 0;
    while (access_format_name(count).len != 0) {
        ck_assert(access_format_field(access_format_name(count), &field));
        ck_assert_uint_eq(field, count);
        count++;
    }
    ck_assert_uint_gt(count, 30);
    ck_assert(!access_format_field(SLICE("nonsense"), &field));
}
END_TEST

UNIT_TESTS("access_format", all_fields_as_json, chosen_fields_in_their_order,
           hostile_values_of_logfmt, combined_is_that_of_nginx, the_longest_line_fits,
           which_are_wanted, names_lead_to_fields_and_back)
