/*
 * screen - the whole terminal for a while: alternate screen, keys as they are pressed.
 *
 *     screen_open --> draw, read keys, draw ... --> screen_close
 *
 * However it ends, the terminal is as it was before: when the process leaves, by a signal (INT,
 * TERM, HUP, QUIT, a crash), and while it is stopped by Ctrl-Z. Only kill -9 cannot be helped.
 * Plain ANSI sequences and termios; whatever terminal answers to those will do.
 *
 * Limits: one at a time. Memory: none. Threads: one.
 */
#ifndef CTL_SCREEN_H
#define CTL_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

enum screen_key {
    SCREEN_NOTHING, /* the time is up, or the size has changed */
    SCREEN_LETTER,  /* a character: see `letter` */
    SCREEN_UP,
    SCREEN_DOWN,
    SCREEN_PAGE_UP,
    SCREEN_PAGE_DOWN,
    SCREEN_HOME,
    SCREEN_END,
    SCREEN_TAB,
    SCREEN_ENTER,
    SCREEN_BACKSPACE,
    SCREEN_ESCAPE,
    SCREEN_GONE /* nobody sits there any more */
};

struct screen_input {
    enum screen_key key;
    char letter; /* printable ASCII */
};

/* False: stdin or stdout is no terminal. */
LB_MUST_CHECK bool screen_open(struct err *err);
void screen_close(void);
/* Columns and rows; 80 by 24 when the terminal does not say. */
void screen_size(uint32_t *width, uint32_t *height);
/* Waits for a key, for at most so long. */
struct screen_input screen_read(uint32_t wait_ms);
/* Puts out what was drawn. */
void screen_write(struct slice bytes);

/* One key off the front of what a terminal sent; *used says how many bytes it was (at least 1).
 * `bytes` is not empty. */
struct screen_input screen_decode(struct slice bytes, size_t *used);

#endif
