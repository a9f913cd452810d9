/*
 * now - what time it is: monotonic for deadlines and durations, wall clock for people.
 *
 * Workers read the clock once per batch (net/loop) and do not call this per request.
 * Threads: any; the test clock is for single-threaded tests.
 */
#ifndef LBD_BASE_NOW_H
#define LBD_BASE_NOW_H

#include <stddef.h>
#include <stdint.h>

#define NOW_HTTP_DATE_LEN 29 /* "Sun, 06 Nov 1994 08:49:37 GMT", RFC 9110 5.6.7 */
#define NOW_LOG_DATE_LEN  27 /* "2026-11-21T10:00:00.123456Z" */

uint64_t now_us(void);      /* CLOCK_MONOTONIC */
uint64_t now_ms(void);      /* the same in milliseconds */
uint64_t now_wall_us(void); /* CLOCK_REALTIME since 1970 */
/* Processor time that the calling thread has used; the test clock does not touch it. */
uint64_t now_thread_cpu_us(void);
/* Both write LEN bytes and a NUL. */
void now_http_date(char out[NOW_HTTP_DATE_LEN + 1], uint64_t wall_s);
void now_log_date(char out[NOW_LOG_DATE_LEN + 1], uint64_t wall_us);
/* From here on the clocks stand at these values; 0, 0 gives the real ones back. Tests only. */
void now_set_for_test(uint64_t mono_us, uint64_t wall_us);

#endif
