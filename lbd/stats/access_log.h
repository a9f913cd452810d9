/*
 * access_log - one line per request, from a worker into its own ring: JSON with everything, unless
 * access_format says otherwise.
 *
 *     worker: access_log_write(record) --ring, 256 KB--> log_writer: one thread, the file
 *
 * The worker formats by hand and never waits: when the ring is full the line is dropped and
 * counted. When the ring is half full it rings the writer's bell (an eventfd), else the writer
 * comes by every 100 ms. A log that is off has no ring: callers hold a NULL and write nothing.
 *
 *     {"time":"2026-11-21T10:00:00.123456Z","listener":"web","client":"10.0.0.9:4711",
 *      "method":"GET","host":"a.example","path":"/x?y","protocol":"HTTP/1.1","status":200,
 *      "reason":"ok","route":"r","pool":"p","server":"s","request_bytes":0,"response_bytes":5,
 *      "duration_us":431,"connect_us":120,"first_byte_us":390,"tries":1,"request_id":"...",
 *      "connection_id":"1a2b","revision":42}                                 (on one line)
 *
 * When there is something behind it: "setting", "setting_value", "queue_us", "trace_id". Over TLS,
 * after "protocol": "tls":"TLSv1.3", "cipher", "sni", "client_subject" (where a
 * certificate is asked for and forwarded).
 *
 * Always valid JSON: controls and bytes that are not UTF-8 are written as \u00XX.
 *
 * Limits: path 2,048 bytes, host, names and request id 255, other words 128; longer ones are cut
 * and end in "...". Lines are at most ACCESS_LOG_LINE_MAX bytes. Memory: owned by the log_writer
 * that made it. Threads: write the one worker; drain the writer.
 */
#ifndef LBD_STATS_ACCESS_LOG_H
#define LBD_STATS_ACCESS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"
#include "lbd/stats/access_format.h"
#include "lbd/stats/access_record.h"

#define ACCESS_LOG_RING_BYTES ((size_t)256 * 1024) /* a power of two */
#define ACCESS_LOG_LINE_MAX   36864U

struct access_log;

/* bell_fd: an eventfd, borrowed; -1: nobody to wake. */
struct access_log *access_log_new(int bell_fd);
void access_log_free(struct access_log *log);

/* Lines as a format says from now on, before the first one. Borrowed; not needed for one that is
 * everything as JSON. */
void access_log_use(struct access_log *log, const struct access_format *format);
/* NULL: everything as JSON. What a record's headers are, it says. */
const struct access_format *access_log_format_of(const struct access_log *log);
/* False: the ring was full and the line is counted as dropped. */
bool access_log_write(struct access_log *log, const struct access_record *record);
/* Lines dropped because the ring was full. Threads: any. */
uint64_t access_log_dropped(const struct access_log *log);

/* The writer's side: the bytes that wait, at most two pieces (the second after the ring's end),
 * whole lines when taken together. They stay until access_log_consume. */
size_t access_log_peek(const struct access_log *log, struct slice pieces[2]);
void access_log_consume(struct access_log *log, size_t len);

/* Formats one line with its '\n' into out; returns its length. What access_log_write does, without
 * a ring. */
size_t access_log_format(const struct access_record *record, char out[ACCESS_LOG_LINE_MAX]);

#endif
