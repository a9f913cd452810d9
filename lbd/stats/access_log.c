#include "lbd/stats/access_log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"
#include "lbd/base/utf8.h"
#include "lbd/stats/counter.h"

#define PATH_MAX_BYTES 2048U
#define HOST_MAX_BYTES 255U
#define WORD_MAX_BYTES 128U
#define DATE_SECONDS   20U /* "2026-11-21T10:00:00." */

struct access_log {
    /* the worker's line: what only it writes */
    LB_ALIGNED uint64_t head; /* bytes ever written */
    uint64_t tail_seen;       /* the writer's tail when last looked at */
    uint64_t bell_rung_at;    /* the tail when the bell was last rung, + 1 */
    uint64_t dropped;
    int bell_fd;
    uint64_t date_s; /* the second that `date` stands for */
    char date[NOW_LOG_DATE_LEN + 1];
    /* the writer's line */
    LB_ALIGNED uint64_t tail; /* bytes ever taken */
    LB_ALIGNED char ring[ACCESS_LOG_RING_BYTES];
    char line[ACCESS_LOG_LINE_MAX]; /* for a line that would wrap */
};

/* every source byte may become six, and the fixed text and numbers fit in 1 KB */
static_assert((PATH_MAX_BYTES + 2 * HOST_MAX_BYTES + 8 * WORD_MAX_BYTES) * 6 + 1024 <
                  ACCESS_LOG_LINE_MAX,
              "the longest line fits");

struct access_log *access_log_new(int bell_fd)
{
    struct access_log *log = mem_zero_aligned(sizeof(*log));
    log->bell_fd = bell_fd;
    log->date_s = UINT64_MAX;
    return log;
}

void access_log_free(struct access_log *log)
{
    free(log);
}

uint64_t access_log_dropped(const struct access_log *log)
{
    return counter_get(&log->dropped);
}

/* -- formatting: each returns where to go on -- */

#define PUT(out, literal) put((out), "" literal "", sizeof(literal) - 1)

static inline char *put(char *out, const char *text, size_t len)
{
    memcpy(out, text, len);
    return out + len;
}

static char *put_escaped_byte(char *out, unsigned char byte)
{
    if (byte == '"' || byte == '\\') {
        out[0] = '\\';
        out[1] = (char)byte;
        return out + 2;
    }
    out = PUT(out, "\\u00");
    out[0] = "0123456789abcdef"[byte >> 4U];
    out[1] = "0123456789abcdef"[byte & 15U];
    return out + 2;
}

/* Bit 7 of each byte that is a control, a quote, a backslash or not ASCII. */
static inline uint64_t special_bytes(uint64_t eight)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t tops = ones << 7U;
    uint64_t quote = eight ^ ones * '"';
    uint64_t backslash = eight ^ ones * '\\';
    uint64_t rubout = eight ^ ones * 0x7f;
    /* x - 0x20 borrows below 0x20, x - 1 below 1; what is above 0x7f is special anyway, so a borrow
     * from a special neighbour only costs the slow way */
    return ((eight - ones * 0x20) | (quote - ones) | (backslash - ones) | (rubout - ones) | eight) &
           tops;
}

/* From `at` on, byte by byte: some of it needs care. */
static char *put_json_slow(char *out, struct slice s, size_t at)
{
    while (at < s.len) {
        unsigned char byte = (unsigned char)s.ptr[at];
        if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\') {
            *out++ = (char)byte;
            at++;
            continue;
        }
        size_t len = byte < 0x80 ? 0 : utf8_length(slice_of(s.ptr + at, s.len - at));
        if (len != 0) {
            out = put(out, s.ptr + at, len);
            at += len;
        } else {
            out = put_escaped_byte(out, byte);
            at++;
        }
    }
    return out;
}

/* Eight bytes at a time; the last eight may overlap those before them, which writes the same again.
 */
static inline char *put_json(char *out, struct slice s)
{
    if (s.len < 8) {
        return put_json_slow(out, s, 0);
    }
    for (size_t at = 0;; at = at + 16 <= s.len ? at + 8 : s.len - 8) {
        uint64_t eight;
        memcpy(&eight, s.ptr + at, 8);
        if (LB_UNLIKELY(special_bytes(eight) != 0)) {
            return put_json_slow(out + at, s, at);
        }
        memcpy(out + at, &eight, 8);
        if (at + 8 == s.len) {
            return out + s.len;
        }
    }
}

/* A cut may leave half a character, whose bytes are then written as \u00XX. */
static char *put_text(char *out, struct slice s, size_t max)
{
    if (LB_LIKELY(s.len <= max)) {
        return put_json(out, s);
    }
    out = put_json(out, slice_of(s.ptr, max));
    return PUT(out, "...");
}

static inline char *put_number(char *out, uint64_t value)
{
    return out + num_write_u64(out, value);
}

/* ,"name":"value" or nothing when the value is empty. */
#define PUT_WORD(out, name, value, max)                                                            \
    ((value).len == 0 ? (out) : put_close(put_text(PUT((out), ",\"" name "\":\""), (value), (max))))
#define PUT_NUMBER(out, name, value) put_number(PUT((out), ",\"" name "\":"), (value))

static inline char *put_close(char *out)
{
    *out = '"';
    return out + 1;
}

static char *put_line(char *out, const struct access_record *record, const char *date)
{
    out = PUT(out, "{\"time\":\"");
    out = put(out, date, NOW_LOG_DATE_LEN);
    out = put_close(out);
    out = PUT_WORD(out, "listener", record->listener, WORD_MAX_BYTES);
    if (record->client.family != 0) {
        out = PUT(out, ",\"client\":\"");
        out = put_close(out + addr_small_write(&record->client, out));
    }
    out = PUT_WORD(out, "method", record->method, WORD_MAX_BYTES);
    out = PUT_WORD(out, "host", record->host, HOST_MAX_BYTES);
    out = PUT_WORD(out, "path", record->path, PATH_MAX_BYTES);
    out = PUT_WORD(out, "protocol", record->protocol, WORD_MAX_BYTES);
    out = PUT_NUMBER(out, "status", record->status);
    out = PUT(out, ",\"reason\":\"");
    struct slice reason = close_reason_word(record->reason);
    out = put_close(put(out, reason.ptr, reason.len));
    out = PUT_WORD(out, "route", record->route, WORD_MAX_BYTES);
    out = PUT_WORD(out, "pool", record->pool, WORD_MAX_BYTES);
    out = PUT_WORD(out, "server", record->server, WORD_MAX_BYTES);
    out = PUT_NUMBER(out, "request_bytes", record->request_bytes);
    out = PUT_NUMBER(out, "response_bytes", record->response_bytes);
    out = PUT_NUMBER(out, "duration_us", record->duration_us);
    if (record->connect_us != 0) {
        out = PUT_NUMBER(out, "connect_us", record->connect_us);
    }
    if (record->first_byte_us != 0) {
        out = PUT_NUMBER(out, "first_byte_us", record->first_byte_us);
    }
    out = PUT_NUMBER(out, "tries", record->tries);
    out = PUT_WORD(out, "request_id", record->request_id, HOST_MAX_BYTES);
    /* as text: a number above 2^53 would lose digits in most readers */
    out = PUT(out, ",\"connection_id\":\"");
    out = put_close(out + num_write_hex(out, record->connection_id));
    out = PUT_NUMBER(out, "revision", record->revision);
    return PUT(out, "}\n");
}

size_t access_log_format(const struct access_record *record, char out[ACCESS_LOG_LINE_MAX])
{
    char date[NOW_LOG_DATE_LEN + 1];
    now_log_date(date, record->time_us);
    return (size_t)(put_line(out, record, date) - out);
}

/* The date up to the second changes once a second; only the digits after it are written each time.
 */
static const char *date_of(struct access_log *log, uint64_t time_us)
{
    if (LB_UNLIKELY(time_us / 1000000U != log->date_s)) {
        log->date_s = time_us / 1000000U;
        now_log_date(log->date, time_us);
        return log->date;
    }
    unsigned micros = (unsigned)(time_us % 1000000U);
    for (size_t i = 6; i-- > 0; micros /= 10U) {
        log->date[DATE_SECONDS + i] = (char)('0' + micros % 10U);
    }
    return log->date;
}

/* -- the ring: head and tail only grow, a position is their remainder -- */

static size_t used_bytes(struct access_log *log)
{
    return (size_t)(log->head - log->tail_seen);
}

static void ring_bell(struct access_log *log)
{
    if (log->bell_fd < 0 || log->bell_rung_at == log->tail_seen + 1) {
        return; /* the writer has not come since */
    }
    log->bell_rung_at = log->tail_seen + 1;
    uint64_t one = 1;
    ssize_t wrote = write(log->bell_fd, &one, sizeof(one));
    (void)wrote; /* a bell that cannot ring means 100 ms of patience */
}

bool access_log_write(struct access_log *log, const struct access_record *record)
{
    size_t at = (size_t)(log->head % ACCESS_LOG_RING_BYTES);
    if (LB_UNLIKELY(ACCESS_LOG_RING_BYTES - used_bytes(log) < ACCESS_LOG_LINE_MAX)) {
        log->tail_seen = counter_get(&log->tail);
    }
    size_t room = ACCESS_LOG_RING_BYTES - used_bytes(log);

    /* in place when even the longest line fits, else aside first */
    bool in_place =
        room >= ACCESS_LOG_LINE_MAX && ACCESS_LOG_RING_BYTES - at >= ACCESS_LOG_LINE_MAX;
    char *line = in_place ? log->ring + at : log->line;
    size_t len = (size_t)(put_line(line, record, date_of(log, record->time_us)) - line);
    if (LB_UNLIKELY(len > room)) {
        counter_add(&log->dropped, 1);
        ring_bell(log);
        return false;
    }
    if (!in_place) {
        size_t first = ACCESS_LOG_RING_BYTES - at < len ? ACCESS_LOG_RING_BYTES - at : len;
        memcpy(log->ring + at, line, first);
        memcpy(log->ring, line + first, len - first);
    }
    counter_set(&log->head, log->head + len); /* release: the bytes before the number */
    if (LB_UNLIKELY(used_bytes(log) > ACCESS_LOG_RING_BYTES / 2)) {
        log->tail_seen =
            counter_get(&log->tail); /* half full it was when last looked at; is it now? */
        if (used_bytes(log) > ACCESS_LOG_RING_BYTES / 2) {
            ring_bell(log);
        }
    }
    return true;
}

size_t access_log_peek(const struct access_log *log, struct slice pieces[2])
{
    uint64_t head = counter_get(&log->head);
    size_t at = (size_t)(log->tail % ACCESS_LOG_RING_BYTES);
    size_t len = (size_t)(head - log->tail);
    size_t first = ACCESS_LOG_RING_BYTES - at < len ? ACCESS_LOG_RING_BYTES - at : len;
    pieces[0] = slice_of(log->ring + at, first);
    pieces[1] = slice_of(log->ring, len - first);
    return len;
}

void access_log_consume(struct access_log *log, size_t len)
{
    counter_set(&log->tail, log->tail + len); /* release: the bytes were read before */
}
