/*
 * num - numbers, durations, sizes and percents as text and back. Overflow is an answer, not an
 * accident.
 *
 * Threads: any.
 */
#ifndef LBD_BASE_NUM_H
#define LBD_BASE_NUM_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

#define NUM_TEXT_MAX 24 /* bytes any of the writers below needs at most, with the final NUL */

/* Decimal digits only, at least one, no sign, no space. False: not a number or too large. */
LB_MUST_CHECK bool num_parse_u64(struct slice text, uint64_t *out);
/* 1 to 16 hexadecimal digits. */
LB_MUST_CHECK bool num_parse_hex(struct slice text, uint64_t *out);
/* "250ms", "2s", "5m", "1h", "1d"; also compounds such as "1m30s". Unit required except for "0". */
LB_MUST_CHECK bool num_parse_duration_ms(struct slice text, uint64_t *out_ms);
/* "512", "64KiB", "16MiB", "1GiB", and "kB/MB/GB" as powers of ten. A bare number is bytes ("0"
 * too). */
LB_MUST_CHECK bool num_parse_size(struct slice text, uint64_t *out_bytes);
/* Each writes text and a NUL, returns the length. */
size_t num_write_u64(char *out, uint64_t value);
size_t num_write_hex(char *out, uint64_t value); /* lower case, no leading zeros */
/* All 16 digits, and no NUL: once for every request. */
void num_write_hex16(char out[16], uint64_t value);
size_t num_write_duration(char out[NUM_TEXT_MAX],
                          uint64_t ms); /* the largest unit that divides it: "90s", "2m" */
size_t num_write_size(char out[NUM_TEXT_MAX], uint64_t bytes); /* likewise: "64KiB" */

#endif
