/*
 * print_change - what a change to the configuration changes, line by line.
 *
 *     + /pools/web/servers/c: {"address":"10.0.0.3:80"}
 *     ~ /pools/web/servers/a/weight: 100 -> 50
 *     - /routes/old: {...}
 *
 * Takes any answer of the API with "changes" and "changes_total".
 *
 * Threads: one.
 */
#ifndef CTL_PRINT_CHANGE_H
#define CTL_PRINT_CHANGE_H

#include "conf/json/json.h"
#include "ctl/ctl.h"

/* How many there are, listed or not. */
uint64_t print_change_count(const struct json *answer);
/* One line each, then how many are not listed. */
void print_change_list(struct ctl *ctl, FILE *out, const struct json *answer);
/* A value on one line; a text that is long by its beginning, of what else is long only a hint. */
void print_change_value(FILE *out, const struct json *value);

#endif
