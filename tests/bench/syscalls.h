/*
 * syscalls - how many system calls does a thread make? Counted by the kernel, not timed, not
 * slowed.
 *
 * A tracepoint counter (raw_syscalls:sys_enter) per thread. Needs the right to use perf events on
 * another process, which root has; who lacks it counts with strace instead (bench.py does).
 *
 * Limits: 16 threads. Threads: one owner.
 */
#ifndef TESTS_BENCH_SYSCALLS_H
#define TESTS_BENCH_SYSCALLS_H

#include <stdbool.h>
#include <stdint.h>

/* Counts for one more thread from now on. False when the kernel does not let us. */
bool syscalls_watch(long tid);
/* Sum over the watched threads. */
uint64_t syscalls_total(void);

#endif
