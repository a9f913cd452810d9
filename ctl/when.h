/*
 * when - moments and spans of time as a person reads them.
 *
 * The API speaks RFC 3339; a person at a terminal reads the clock on the wall, and the day only
 * when it is not today.
 *
 * Threads: one.
 */
#ifndef CTL_WHEN_H
#define CTL_WHEN_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

enum { WHEN_TEXT_MAX = 40 };

/* "2026-11-26T11:25:01.123Z" as milliseconds since 1970; offsets are understood, fractions may be
 * missing. False: that is no moment. */
LB_MUST_CHECK bool when_parse(struct slice text, uint64_t *wall_ms);
/* "11:25:01", or "Nov 25 11:25" when that was another day, or "2025-11-25 11:25" in another year,
 * in local time. */
void when_write_clock(char out[WHEN_TEXT_MAX], uint64_t wall_ms);
/* The same for a text of the API; the text itself when it is no moment. */
void when_write_text(char out[WHEN_TEXT_MAX], struct slice text);
/* Writes a text of the API with its moments as a clock. */
void when_write_sentence(struct buf *out, struct slice text);
/* The two largest units: "3d 4h", "12m 5s", "0s". */
void when_write_span(char out[WHEN_TEXT_MAX], uint64_t seconds);

#endif
