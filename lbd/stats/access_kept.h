/*
 * access_kept - the record of a request whose head is gone before it ends: a tunnel's.
 *
 * Holds the facts and copies of the texts, so that what lives long keeps a few hundred bytes for
 * the log and not the memory of a request.
 *
 * Memory: one block, made once per tunnel and only when there is a log. Threads: the worker's.
 */
#ifndef LBD_STATS_ACCESS_KEPT_H
#define LBD_STATS_ACCESS_KEPT_H

#include <stdint.h>

#include "lbd/stats/access_log.h"
#include "lbd/stats/access_record.h"

struct access_kept;

/* now_us: monotonic; the record's duration so far is counted from it. */
struct access_kept *access_kept_new(const struct access_record *record, uint64_t now_us);
/* The setting behind its end; both are borrowed until access_kept_finish. */
void access_kept_blame(struct access_kept *kept, struct slice setting, struct slice value);
/* Writes the line, with bytes that came on top of those of the record, and frees it. */
void access_kept_finish(struct access_kept *kept, struct access_log *log, enum close_reason reason,
                        uint64_t request_bytes, uint64_t response_bytes, uint64_t now_us);

#endif
