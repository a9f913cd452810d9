/*
 * log_writer - the one thread that may wait for a disk.
 *
 * Every 100 ms, or when a worker's bell rings, it takes what waits in the rings of all workers and
 * writes it to the file. A line that cannot be written is dropped and counted; nobody waits for it.
 *
 *     worker 0: access_log --\
 *     worker 1: access_log ---+--> writer thread --> file
 *     worker n: access_log --/
 *
 * After rotation log_writer_reopen opens the path again; lines taken before go to the old file.
 * Lines of one worker keep their order; lines of different workers do not.
 *
 * Memory: owns the rings and the file. Threads: all calls control; the rings belong to the workers
 * until they are joined.
 */
#ifndef LBD_STATS_LOG_WRITER_H
#define LBD_STATS_LOG_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/stats/access_log.h"

struct log_writer;

/* Opens the file for appending ("stdout" and "stderr" are those), makes one ring per worker and
 * starts the thread, which blocks all signals. NULL: *err says why. */
LB_MUST_CHECK struct log_writer *log_writer_start(const char *path, uint32_t worker_count,
                                                  struct err *err);
/* How lines look, before the first one; borrowed. */
void log_writer_use(struct log_writer *writer, const struct access_format *format);
/* The ring of worker `number`; valid until log_writer_stop. */
struct access_log *log_writer_ring(struct log_writer *writer, uint32_t number);
/* On failure the old file stays. */
LB_MUST_CHECK bool log_writer_reopen(struct log_writer *writer, struct err *err);
/* Lines that were lost, by full rings and by a file that took no more. Threads: any. */
uint64_t log_writer_dropped(const struct log_writer *writer);
/* Writes what is left, ends the thread and frees. No worker may write any more. NULL does nothing.
 */
void log_writer_stop(struct log_writer *writer);

#endif
