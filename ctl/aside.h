/*
 * aside - runs a command without a word on the terminal: what it says goes into two texts.
 *
 *     struct aside aside;
 *     aside_open(&aside, ctl);
 *     code = cmd_server_drain(&aside.ctl);
 *     aside_end(&aside);
 *     ... aside.out, aside.err ...
 *     aside_fini(&aside);
 *
 * For `lbctl top`, which draws the whole screen itself. Threads: one.
 */
#ifndef CTL_ASIDE_H
#define CTL_ASIDE_H

#include <stddef.h>

#include "ctl/ctl.h"
#include "lbd/base/slice.h"

struct aside {
    struct ctl ctl; /* a copy: nobody is asked anything, no colour, a table */
    char *out;      /* both: terminated, after aside_end */
    char *err;
    size_t out_len;
    size_t err_len;
};

void aside_open(struct aside *aside, const struct ctl *ctl);
/* Ends both streams, so that the texts can be read. */
void aside_end(struct aside *aside);
void aside_fini(struct aside *aside);

/* The first line of a text without "lbctl: "; nothing when there is none. */
struct slice aside_line(const char *text);

#endif
