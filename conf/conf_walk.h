/*
 * conf_walk - the canonical text of a resource, a piece at a time.
 *
 * What conf_document_text appends at once, for those who send it as their reader takes it: a
 * document of 100,000 servers is megabytes, and neither the memory nor the time for all of it is
 * wanted in one go. The pieces, one after the other, are exactly that text.
 *
 *     conf_walk_begin(&walk, document, pointer);
 *     while (conf_walk_next(&walk, &piece)) ...
 *     conf_walk_end(&walk);
 *
 * A piece is at most the own settings of one object. Memory: holds a reference on the document;
 * a piece lives until the next call. Threads: any, one owner.
 */
#ifndef CONF_CONF_WALK_H
#define CONF_CONF_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf_document.h"
#include "conf/conf_format.h"
#include "conf/conf_part.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

#define CONF_WALK_DEPTH 4 /* document, pool, server, and one to spare */

enum conf_walk_state { CONF_WALK_OWN, CONF_WALK_LISTS, CONF_WALK_MEMBERS };

struct conf_walk_frame {
    const struct conf_part *part; /* NULL: a collection alone */
    const struct conf_list *list; /* in CONF_WALK_MEMBERS */
    enum conf_walk_state state;
    uint32_t field;  /* of the part's object: the next one to look at */
    uint32_t index;  /* of the next list */
    uint32_t member; /* of `list`: the next one */
    bool has_any;    /* something stands before what comes next */
};

struct conf_walk {
    struct conf_document *document;
    struct conf_walk_frame frames[CONF_WALK_DEPTH];
    uint32_t depth;  /* frames in use; 0: the end */
    char glue[1024]; /* punctuation and keys */
};

/* False: there is no such resource, and nothing to end. */
LB_MUST_CHECK bool conf_walk_begin(struct conf_walk *walk, struct conf_document *document,
                                   struct slice pointer);
/* False: that was all. */
bool conf_walk_next(struct conf_walk *walk, struct slice *piece);
void conf_walk_end(struct conf_walk *walk);

#endif
