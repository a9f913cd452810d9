/*
 * top_view - a top_model as lines of a screen, or as a plain table.
 *
 *     lbd  revision 42  up 3d 4h  2 workers
 *     1234 connections  3012 req/s  0.1% errors  p50 1.2 ms  p95 3.4 ms  p99 8.9 ms
 *     [pools] servers listeners routes                           by req/s  3 of 10
 *     NAME                      USABLE    OPEN   REQ/S  ERR% ...
 *     shop                         3/4      12   3010    0.1
 *     ...
 *     sort c r e l n  filter /  Enter describe  q quit
 *
 * Every line is exactly as wide as the screen or shorter; the row that is selected is shown in
 * reverse and marked with '>'.
 *
 * Memory: keeps nothing. Threads: one.
 */
#ifndef CTL_TOP_VIEW_H
#define CTL_TOP_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/json/json_write.h"
#include "ctl/ctl.h"
#include "ctl/top_model.h"
#include "lbd/base/buf.h"

enum { TOP_VIEW_HEAD_LINES = 4, TOP_VIEW_FOOT_LINES = 1 };

/* How it is looked at. */
struct top_view_state {
    uint32_t width;
    uint32_t height;
    bool color;
    uint32_t selected; /* row */
    uint32_t first;    /* the row at the top; top_view_draw keeps `selected` in sight */
    struct slice foot; /* the last line; empty: what the keys do */
    bool foot_is_bad;  /* it is a complaint */
};

/* Appends the bytes that draw the whole screen. */
void top_view_draw(const struct top_model *model, struct top_view_state *state, struct buf *out);
/* Appends the bytes that show lines of a text, from line `first` on. Returns how many lines it has.
 */
uint32_t top_view_draw_text(struct slice text, uint32_t first, const struct top_view_state *state,
                            struct buf *out);
/* Prints two lines of head and a table with all rows. */
void top_view_print(const struct top_model *model, struct ctl *ctl);
/* The same numbers as an object. */
void top_view_write_json(const struct top_model *model, struct json_write *w);

/* "12", "1.2k", "3.4M"; "0.12", "12.3", "123", "4.5k" */
void top_view_count(struct buf *out, uint64_t count);
void top_view_number(struct buf *out, double number);

#endif
