/*
 * api_calls - what the API itself was asked: answers by route, method and status, how long they
 * took, and the connections that are open.
 *
 * The transport counts here; /metrics shows it. A route is a row of api_table, never the path that
 * a client sent.
 *
 * Limits: statuses that are not in the table of codes count as `other`. Threads: control.
 */
#ifndef API_API_CALLS_H
#define API_API_CALLS_H

#include <stddef.h>
#include <stdint.h>

#include "lbd/stats/histogram.h"

#define API_CALLS_ROWS_MAX 128 /* rows of api_table, and one for what is in no row */

/* A connection to the API or an observe address was opened (1) or closed (-1). */
void api_calls_connection(int change);
uint64_t api_calls_connections(void);

/* Counts an answer to a request of a row (SIZE_MAX: of no row). */
void api_calls_note(size_t row, const char *method, unsigned status, uint64_t took_us);

/* The sets, for who shows them. */
size_t api_calls_methods(void);
const char *api_calls_method(size_t method); /* the last one is "other" */
size_t api_calls_codes(void);
unsigned api_calls_code(size_t code); /* the last one is 0: other */
/* `row` up to and with api_table_count(), which stands for no row. */
uint64_t api_calls_count(size_t row, size_t method, size_t code);
const struct histogram_duration *api_calls_duration(size_t row);

#endif
