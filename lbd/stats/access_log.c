#include "lbd/stats/access_log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/stats/access_text.h"
#include "lbd/stats/counter.h"

#define PATH_MAX_BYTES 2048U
#define HOST_MAX_BYTES 255U
#define WORD_MAX_BYTES 128U
#define USER_MAX_BYTES 320U
#define MAIL_MAX_BYTES (USER_MAX_BYTES + 3 * WORD_MAX_BYTES)
#define DATE_SECONDS   20U /* "2026-11-21T10:00:00." */

struct access_log {
    /* the worker's line: what only it writes */
    LB_ALIGNED uint64_t head; /* bytes ever written */
    uint64_t tail_seen;       /* the writer's tail when last looked at */
    uint64_t bell_rung_at;    /* the tail when the bell was last rung, + 1 */
    uint64_t dropped;
    uint64_t asked;                     /* lines, for the sample; counted with a format only */
    const struct access_format *format; /* NULL: everything as JSON */
    char *long_line;                    /* of a format: ACCESS_FORMAT_LINE_MAX */
    int bell_fd;
    uint64_t date_s; /* the second that `date` stands for */
    char date[NOW_LOG_DATE_LEN + 1];
    /* the writer's line */
    LB_ALIGNED uint64_t tail; /* bytes ever taken */
    LB_ALIGNED char ring[ACCESS_LOG_RING_BYTES];
    char line[ACCESS_LOG_LINE_MAX]; /* for a line that would wrap */
};

/* every source byte may become six; the fixed text and numbers, and what is ours (a setting, a
 * policy: they never grow), fit in 1.5 KB */
static_assert((PATH_MAX_BYTES + 5 * HOST_MAX_BYTES + 12 * WORD_MAX_BYTES + MAIL_MAX_BYTES) * 6 +
                      1536 <
                  ACCESS_LOG_LINE_MAX,
              "the longest line fits");

struct access_log *access_log_new(int bell_fd)
{
    struct access_log *log = mem_zero_aligned(sizeof(*log));
    log->bell_fd = bell_fd;
    log->date_s = UINT64_MAX;
    return log;
}

void access_log_use(struct access_log *log, const struct access_format *format)
{
    log->format = format;
    log->long_line = mem_alloc(ACCESS_FORMAT_LINE_MAX);
}

const struct access_format *access_log_format_of(const struct access_log *log)
{
    return log->format;
}

void access_log_free(struct access_log *log)
{
    if (log != NULL) {
        free(log->long_line);
    }
    free(log);
}

uint64_t access_log_dropped(const struct access_log *log)
{
    return counter_get(&log->dropped);
}

/* -- formatting -- */

/* ,"name":"value" or nothing when the value is empty. */
#define PUT_WORD(out, name, value, max)                                                            \
    ((value).len == 0                                                                              \
         ? (out)                                                                                   \
         : put_close(access_put_text(PUT((out), ",\"" name "\":\""), (value), (max))))
#define PUT_NUMBER(out, name, value) access_put_number(PUT((out), ",\"" name "\":"), (value))

static inline char *put_close(char *out)
{
    *out = '"';
    return out + 1;
}

static char *put_line(char *out, const struct access_record *record, const char *date)
{
    out = PUT(out, "{\"time\":\"");
    out = access_put(out, date, NOW_LOG_DATE_LEN);
    out = put_close(out);
    out = PUT_WORD(out, "listener", record->listener, WORD_MAX_BYTES);
    if (record->client.family != 0) {
        out = PUT(out, ",\"client\":\"");
        out = put_close(out + addr_small_write(&record->client, out));
    }
    if (record->peer.family != 0) {
        out = PUT(out, ",\"peer\":\"");
        out = put_close(out + addr_small_write(&record->peer, out));
    }
    if (record->local.family != 0) {
        out = PUT(out, ",\"local\":\"");
        out = put_close(out + addr_small_write(&record->local, out));
    }
    out = PUT_WORD(out, "event", record->event, WORD_MAX_BYTES);
    out = PUT_WORD(out, "user", record->user, USER_MAX_BYTES);
    out = PUT_WORD(out, "mechanism", record->mechanism, WORD_MAX_BYTES);
    out = PUT_WORD(out, "state", record->state, WORD_MAX_BYTES);
    out = PUT_WORD(out, "method", record->method, WORD_MAX_BYTES);
    out = PUT_WORD(out, "host", record->host, HOST_MAX_BYTES);
    out = PUT_WORD(out, "path", record->path, PATH_MAX_BYTES);
    out = PUT_WORD(out, "protocol", record->protocol, WORD_MAX_BYTES);
    if (record->tls.len != 0) {
        out = PUT_WORD(out, "tls", record->tls, WORD_MAX_BYTES);
        out = PUT_WORD(out, "cipher", record->cipher, WORD_MAX_BYTES);
        out = PUT_WORD(out, "sni", record->sni, HOST_MAX_BYTES);
        out = PUT_WORD(out, "client_subject", record->subject, HOST_MAX_BYTES);
    }
    if (LB_UNLIKELY(record->proxy_authority.len + record->proxy_unique_id.len != 0)) {
        out = PUT_WORD(out, "proxy_authority", record->proxy_authority, HOST_MAX_BYTES);
        out = PUT_WORD(out, "proxy_unique_id", record->proxy_unique_id, WORD_MAX_BYTES);
    }
    if (record->status != 0 || record->method.len != 0) { /* of TCP there is none */
        out = PUT_NUMBER(out, "status", record->status);
    }
    out = PUT(out, ",\"reason\":\"");
    struct slice reason = close_reason_word(record->reason);
    out = put_close(access_put(out, reason.ptr, reason.len));
    out = PUT_WORD(out, "detail", record->detail, WORD_MAX_BYTES);
    if (LB_UNLIKELY(record->setting.len != 0)) {
        out = PUT_WORD(out, "setting", record->setting, HOST_MAX_BYTES);
        out = PUT_WORD(out, "setting_value", record->setting_value, WORD_MAX_BYTES);
    }
    if (LB_UNLIKELY(record->shadow_policy.len != 0)) {
        out = PUT_WORD(out, "shadow_policy", record->shadow_policy, WORD_MAX_BYTES);
    }
    if (LB_UNLIKELY(record->policy_key.len != 0)) {
        out = PUT_WORD(out, "policy_key", record->policy_key, WORD_MAX_BYTES);
    }
    out = PUT_WORD(out, "route", record->route, WORD_MAX_BYTES);
    out = PUT_WORD(out, "pool", record->pool, WORD_MAX_BYTES);
    out = PUT_WORD(out, "server", record->server, WORD_MAX_BYTES);
    out = PUT_NUMBER(out, "request_bytes", record->request_bytes);
    out = PUT_NUMBER(out, "response_bytes", record->response_bytes);
    out = PUT_NUMBER(out, "duration_us", record->duration_us);
    if (record->queue_us != 0) {
        out = PUT_NUMBER(out, "queue_us", record->queue_us);
    }
    if (record->connect_us != 0) {
        out = PUT_NUMBER(out, "connect_us", record->connect_us);
    }
    if (record->first_byte_us != 0) {
        out = PUT_NUMBER(out, "first_byte_us", record->first_byte_us);
    }
    out = PUT_NUMBER(out, "tries", record->tries);
    out = PUT_WORD(out, "request_id", record->request_id, HOST_MAX_BYTES);
    out = PUT_WORD(out, "trace_id", record->trace_id, WORD_MAX_BYTES);
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

static size_t free_bytes(struct access_log *log, size_t wanted)
{
    if (LB_UNLIKELY(ACCESS_LOG_RING_BYTES - used_bytes(log) < wanted)) {
        log->tail_seen = counter_get(&log->tail);
    }
    return ACCESS_LOG_RING_BYTES - used_bytes(log);
}

static bool drop_line(struct access_log *log)
{
    counter_add(&log->dropped, 1);
    ring_bell(log);
    return false;
}

/* What was formatted aside. */
static void copy_line(struct access_log *log, const char *line, size_t len)
{
    size_t at = (size_t)(log->head % ACCESS_LOG_RING_BYTES);
    size_t first = ACCESS_LOG_RING_BYTES - at < len ? ACCESS_LOG_RING_BYTES - at : len;
    memcpy(log->ring + at, line, first);
    memcpy(log->ring, line + first, len - first);
}

/* The line stands in the ring. */
static void publish_line(struct access_log *log, size_t len)
{
    counter_set(&log->head, log->head + len); /* release: the bytes before the number */
    if (LB_UNLIKELY(used_bytes(log) > ACCESS_LOG_RING_BYTES / 2)) {
        log->tail_seen =
            counter_get(&log->tail); /* half full it was when last looked at; is it now? */
        if (used_bytes(log) > ACCESS_LOG_RING_BYTES / 2) {
            ring_bell(log);
        }
    }
}

static bool write_formatted(struct access_log *log, const struct access_record *record)
{
    if (!access_format_wants(log->format, record, log->asked++)) {
        return true;
    }
    size_t len =
        access_format_line(log->format, record, date_of(log, record->time_us), log->long_line);
    if (len > free_bytes(log, len)) {
        return drop_line(log);
    }
    copy_line(log, log->long_line, len);
    publish_line(log, len);
    return true;
}

bool access_log_write(struct access_log *log, const struct access_record *record)
{
    if (LB_UNLIKELY(log->format != NULL)) {
        return write_formatted(log, record);
    }
    size_t at = (size_t)(log->head % ACCESS_LOG_RING_BYTES);
    size_t room = free_bytes(log, ACCESS_LOG_LINE_MAX);

    /* in place when even the longest line fits, else aside first */
    bool in_place =
        room >= ACCESS_LOG_LINE_MAX && ACCESS_LOG_RING_BYTES - at >= ACCESS_LOG_LINE_MAX;
    char *line = in_place ? log->ring + at : log->line;
    size_t len = (size_t)(put_line(line, record, date_of(log, record->time_us)) - line);
    if (LB_UNLIKELY(len > room)) {
        return drop_line(log);
    }
    if (!in_place) {
        copy_line(log, line, len);
    }
    publish_line(log, len);
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
