#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lbd/base/mem.h"
#include "lbd/base/utf8.h"
#include "lbd/stats/access_log.h"
#include "tests/unit/unit.h"

static struct access_record sample(void)
{
    struct access_record record = {
        .time_us = UINT64_C(784111777000042),
        .listener = SLICE("web"),
        .method = SLICE("GET"),
        .host = SLICE("a.example"),
        .path = SLICE("/x?y=1"),
        .protocol = SLICE("HTTP/1.1"),
        .route = SLICE("r"),
        .pool = SLICE("p"),
        .server = SLICE("s"),
        .request_id = SLICE("0123456789abcdef"),
        .reason = CLOSE_OK,
        .status = 200,
        .tries = 1,
        .request_bytes = 7,
        .response_bytes = UINT64_MAX,
        .duration_us = 431,
        .connect_us = 120,
        .first_byte_us = 390,
        .connection_id = UINT64_C(0xfedcba9876543210),
        .revision = 42,
    };
    struct addr addr;
    ck_assert(addr_parse(SLICE("10.0.0.9:4711"), &addr));
    addr_small_from(&record.client, &addr.u.any);
    return record;
}

START_TEST(writes_every_fact)
{
    static char line[ACCESS_LOG_LINE_MAX];
    struct access_record record = sample();
    size_t len = access_log_format(&record, line);
    static const char want[] =
        "{\"time\":\"1994-11-06T08:49:37.000042Z\",\"listener\":\"web\",\"client\":\"10.0.0.9:4711\","
        "\"method\":\"GET\",\"host\":\"a.example\",\"path\":\"/x?y=1\",\"protocol\":\"HTTP/1.1\","
        "\"status\":200,\"reason\":\"ok\",\"route\":\"r\",\"pool\":\"p\",\"server\":\"s\","
        "\"request_bytes\":7,\"response_bytes\":18446744073709551615,\"duration_us\":431,"
        "\"connect_us\":120,\"first_byte_us\":390,\"tries\":1,\"request_id\":\"0123456789abcdef\","
        "\"connection_id\":\"fedcba9876543210\",\"revision\":42}\n";
    line[len] = '\0';
    ck_assert_str_eq(line, want);
}
END_TEST

START_TEST(what_did_not_happen_is_left_out)
{
    static char line[ACCESS_LOG_LINE_MAX];
    struct access_record record = {.reason = CLOSE_BAD_REQUEST_LINE, .status = 400};
    size_t len = access_log_format(&record, line);
    line[len] = '\0';
    ck_assert_str_eq(line,
                     "{\"time\":\"1970-01-01T00:00:00.000000Z\",\"status\":400,\"reason\":"
                     "\"bad_request_line\",\"request_bytes\":0,\"response_bytes\":0,"
                     "\"duration_us\":0,\"tries\":0,\"connection_id\":\"0\",\"revision\":0}\n");
}
END_TEST

/* A connection of TCP has no method and no status. */
START_TEST(a_connection_has_no_status)
{
    struct access_record record = {
        .reason = CLOSE_TUNNEL_CLOSED, .protocol = SLICE("TCP"), .detail = SLICE("why \"so\"")};
    static char line[ACCESS_LOG_LINE_MAX];
    size_t len = access_log_format(&record, line);
    line[len] = '\0';
    ck_assert_ptr_nonnull(strstr(line, "\"protocol\":\"TCP\",\"reason\":\"tunnel_closed\","
                                       "\"detail\":\"why \\\"so\\\"\""));
}
END_TEST

START_TEST(escapes_what_json_forbids)
{
    static char line[ACCESS_LOG_LINE_MAX];
    static const struct {
        struct slice path;
        const char *want;
    } cases[] = {
        {SLICE_INIT("/plain-and-longer-than-eight"), "/plain-and-longer-than-eight"},
        {SLICE_INIT("/\"\\/"), "/\\\"\\\\/"},
        {SLICE_INIT("/\n\r\t\x01\x1f\x7f "), "/\\u000a\\u000d\\u0009\\u0001\\u001f\\u007f "},
        {SLICE_INIT("\0/"), "\\u0000/"},
        {SLICE_INIT("/\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80"),
         "/\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80"},
        {SLICE_INIT("/\xff\xc3"), "/\\u00ff\\u00c3"},
        {SLICE_INIT("1234567\"1234567\\12345678"), "1234567\\\"1234567\\\\12345678"},
        {SLICE_INIT("1234567\xc3\xbc"
                    "12345678"),
         "1234567\xc3\xbc"
         "12345678"},
        {SLICE_INIT("\xed\xa0\x80xxxxxxxx"), "\\u00ed\\u00a0\\u0080xxxxxxxx"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct access_record record = {.path = cases[i].path};
        char want[256];
        size_t len = access_log_format(&record, line);
        line[len] = '\0';
        (void)snprintf(want, sizeof(want), "\"path\":\"%s\",\"reason\"", cases[i].want);
        ck_assert_msg(strstr(line, want) != NULL, "case %zu gave %s", i, line);
    }
}
END_TEST

/* Each byte at each place of a word of eight: plain bytes come back, all others escaped, nothing
 * else changes. */
START_TEST(every_byte_at_every_place)
{
    static char line[ACCESS_LOG_LINE_MAX];
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t place = 0; place < 24; place++) {
            char path[24];
            char want[64];
            char escaped[8];
            memset(path, 'a' + (int)(place % 2) * ('!' - 'a'), sizeof(path));
            path[place] = (char)byte;
            bool is_plain = byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
            if (is_plain) {
                (void)snprintf(escaped, sizeof(escaped), "%c", (char)byte);
            } else if (byte == '"' || byte == '\\') {
                (void)snprintf(escaped, sizeof(escaped), "\\%c", (char)byte);
            } else {
                (void)snprintf(escaped, sizeof(escaped), "\\u%04x", byte);
            }
            (void)snprintf(want, sizeof(want), ":\"%.*s%s%.*s\",", (int)place, path, escaped,
                           (int)(sizeof(path) - place - 1), path + place + 1);
            struct access_record record = {.path = slice_of(path, sizeof(path))};
            line[access_log_format(&record, line)] = '\0';
            ck_assert_msg(strstr(line, want) != NULL, "no %s in %s", want, line);
        }
    }
}
END_TEST

START_TEST(the_longest_line_fits)
{
    static char line[ACCESS_LOG_LINE_MAX];
    static char nasty[100000];
    memset(nasty, '\x01', sizeof(nasty));
    struct slice all = slice_of(nasty, sizeof(nasty));
    struct access_record record = sample();
    record.listener = record.method = record.host = record.path = record.protocol = all;
    record.route = record.pool = record.server = record.request_id = all;
    record.reason = CLOSE_TRANSFER_ENCODING_NOT_IMPLEMENTED;
    record.request_bytes = record.duration_us = record.connect_us = UINT64_MAX;
    record.first_byte_us = record.revision = UINT64_MAX;
    record.tries = UINT32_MAX;
    size_t len = access_log_format(&record, line);
    ck_assert_uint_lt(len, sizeof(line) - 512);
    ck_assert_int_eq(line[len - 1], '\n');
    line[len] = '\0';
    ck_assert_ptr_nonnull(strstr(line, "\\u0001...\",\"protocol\""));
    ck_assert_uint_eq(utf8_first_invalid(slice_of(line, len)), SIZE_MAX);
}
END_TEST

/* Takes everything that waits into `out`, which has room. */
static size_t take_all(struct access_log *log, char *out)
{
    struct slice pieces[2];
    size_t len = access_log_peek(log, pieces);
    ck_assert_uint_eq(pieces[0].len + pieces[1].len, len);
    memcpy(out, pieces[0].ptr, pieces[0].len);
    memcpy(out + pieces[0].len, pieces[1].ptr, pieces[1].len);
    access_log_consume(log, len);
    return len;
}

START_TEST(a_full_ring_drops_and_counts)
{
    struct access_log *log = access_log_new(-1);
    char *out = mem_alloc(ACCESS_LOG_RING_BYTES + 1);
    struct access_record record = sample();
    char line[1024];
    size_t line_len = access_log_format(&record, out);
    memcpy(line, out, line_len);
    for (size_t round = 0; round < 5; round++) {
        size_t fits = ACCESS_LOG_RING_BYTES / line_len;
        for (size_t i = 0; i < fits; i++) {
            ck_assert_msg(access_log_write(log, &record), "line %zu of %zu", i, fits);
        }
        ck_assert(!access_log_write(log, &record));
        ck_assert_uint_eq(access_log_dropped(log), round + 1);
        ck_assert_uint_eq(take_all(log, out), fits * line_len);
        for (size_t i = 0; i < fits; i++) {
            ck_assert_msg(memcmp(out + i * line_len, line, line_len) == 0, "line %zu", i);
        }
        ck_assert_uint_eq(take_all(log, out), 0);
    }
    free(out);
    access_log_free(log);
}
END_TEST

START_TEST(dates_follow_the_second)
{
    struct access_log *log = access_log_new(-1);
    char *out = mem_alloc(ACCESS_LOG_RING_BYTES + 1);
    static const struct {
        uint64_t time_us;
        const char *want;
    } cases[] = {
        {UINT64_C(784111777000042), "1994-11-06T08:49:37.000042Z"},
        {UINT64_C(784111777999999), "1994-11-06T08:49:37.999999Z"},
        {UINT64_C(784111778000000), "1994-11-06T08:49:38.000000Z"},
        {UINT64_C(784111777000001), "1994-11-06T08:49:37.000001Z"}, /* the clock was set back */
        {UINT64_C(784111777000010), "1994-11-06T08:49:37.000010Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct access_record record = {.time_us = cases[i].time_us};
        ck_assert(access_log_write(log, &record));
        (void)take_all(log, out);
        ck_assert_msg(memcmp(out + 9, cases[i].want, 27) == 0, "%.27s", out + 9);
    }
    free(out);
    access_log_free(log);
}
END_TEST

START_TEST(the_bell_rings_once_when_half_full)
{
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct access_log *log = access_log_new(bell);
    char *out = mem_alloc(ACCESS_LOG_RING_BYTES + 1);
    struct access_record record = sample();
    uint64_t rings = 0;
    for (size_t round = 0; round < 3; round++) {
        size_t written = 0;
        while (written <= ACCESS_LOG_RING_BYTES / 2) {
            ck_assert_int_lt(read(bell, &rings, sizeof(rings)), 0); /* not yet */
            ck_assert(access_log_write(log, &record));
            struct slice pieces[2];
            written = access_log_peek(log, pieces);
        }
        while (access_log_write(log, &record)) {
        }
        ck_assert_int_eq(read(bell, &rings, sizeof(rings)), sizeof(rings));
        ck_assert_uint_eq(rings, 1);
        (void)take_all(log, out);
        ck_assert(access_log_write(log, &record)); /* lets the worker see the writer's tail */
        ck_assert_int_ne(read(bell, &rings, sizeof(rings)), 0);
        (void)take_all(log, out);
    }
    free(out);
    access_log_free(log);
    (void)close(bell);
}
END_TEST

enum { LINES = 100000 };

static atomic_bool finished;

static void *write_lines(void *argument)
{
    struct access_log *log = argument;
    struct access_record record = {.path = SLICE("/some/path/of/usual/length")};
    for (uint64_t i = 0; i < LINES; i++) {
        record.revision = i;
        record.path.len = 1 + i % 26;
        (void)access_log_write(log, &record);
    }
    atomic_store(&finished, true);
    return NULL;
}

START_TEST(a_reader_beside_the_writer_sees_whole_lines_in_order)
{
    struct access_log *log = access_log_new(-1);
    char *out = mem_alloc(ACCESS_LOG_RING_BYTES + 1);
    pthread_t thread;
    uint64_t seen = 0;
    uint64_t next = 0;
    bool last = false;
    atomic_store(&finished, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, write_lines, log), 0);
    while (!last) {
        last = atomic_load(&finished);
        size_t len = take_all(log, out);
        out[len] = '\0';
        for (char *at = out; at < out + len; seen++) {
            char *end = strchr(at, '\n');
            ck_assert_ptr_nonnull(end);
            const char *number = strstr(at, "\"revision\":");
            ck_assert(memcmp(at, "{\"time\":", 8) == 0 && number != NULL && number < end);
            uint64_t revision = strtoull(number + 11, NULL, 10);
            ck_assert_uint_ge(revision, next);
            next = revision + 1;
            at = end + 1;
        }
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(seen + access_log_dropped(log), LINES);
    free(out);
    access_log_free(log);
}
END_TEST

UNIT_TESTS("access_log", writes_every_fact, what_did_not_happen_is_left_out,
           a_connection_has_no_status, escapes_what_json_forbids, every_byte_at_every_place,
           the_longest_line_fits, a_full_ring_drops_and_counts, dates_follow_the_second,
           the_bell_rings_once_when_half_full, a_reader_beside_the_writer_sees_whole_lines_in_order)
