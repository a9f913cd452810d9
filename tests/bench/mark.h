/*
 * mark - what is read at both ends of a measurement, and the line of JSON that comes of it.
 *
 * Processor time of the watched processes (all threads, from schedstat: to the ns, kernel work done
 * on their behalf included), system calls of watched threads, a copy of a file.
 *
 * Threads: the main thread.
 */
#ifndef TESTS_BENCH_MARK_H
#define TESTS_BENCH_MARK_H

#include <stdbool.h>
#include <stdint.h>

struct mark {
    uint64_t us;
    uint64_t cpu_ns;
    uint64_t syscalls;
    uint64_t done; /* requests answered so far */
};

/* Watches one more process; at most 16. */
void mark_watch_pid(long pid);
/* Copies `path` to path.start and path.end. Keeps `path`. */
void mark_snapshot(const char *path);
struct mark mark_take(void);
/* Prints what lies between two marks, and the crowd's counts and latencies. */
void mark_report(const struct mark *from, const struct mark *to);

#endif
