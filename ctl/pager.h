/*
 * pager - a page that is longer than the screen goes through $PAGER.
 *
 * Only when stdout is a terminal. Without PAGER it is less(1), if there is one; PAGER=cat or an
 * empty PAGER means none.
 *
 *     pager_begin(ctl, &pager);   ... prints to ctl->out ...   pager_end(ctl, &pager);
 *
 * Memory: holds the page until its end. Threads: one.
 */
#ifndef CTL_PAGER_H
#define CTL_PAGER_H

#include <stddef.h>
#include <stdio.h>

#include "ctl/ctl.h"

struct pager {
    FILE *out; /* the real one; NULL: nothing is held back */
    char *text;
    size_t len;
};

void pager_begin(struct ctl *ctl, struct pager *pager);
void pager_end(struct ctl *ctl, struct pager *pager);

/* Lines that a text takes on a screen of `width` characters. */
size_t pager_count_lines(struct slice text, size_t width);

#endif
