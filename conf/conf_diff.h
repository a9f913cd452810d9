/*
 * conf_diff - what is different between two documents, in words.
 *
 *     pools/web/servers/a/weight: 100 -> 50
 *     pools/api: added
 *
 * For `lbctl diff`, the answers of dry runs, the audit line. Parts that two documents share are not
 * looked at.
 *
 * Limits: CONF_DIFF_MAX changes are listed, all are counted. Memory: the list owns its texts.
 * Threads: control.
 */
#ifndef CONF_CONF_DIFF_H
#define CONF_CONF_DIFF_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf_document.h"
#include "lbd/base/arena.h"
#include "lbd/base/buf.h"
#include "lbd/base/slice.h"

#define CONF_DIFF_MAX 1000

enum conf_change_kind { CONF_ADDED, CONF_REMOVED, CONF_CHANGED };

struct conf_change {
    enum conf_change_kind kind;
    bool is_setting;      /* of a resource; else a whole resource came or went */
    struct slice pointer; /* "/pools/web/servers/a/weight" */
    struct slice before;  /* canonical JSON; empty: was not there */
    struct slice after;   /* canonical JSON; empty: is not there any more */
};

struct conf_diff {
    struct arena arena;
    struct conf_change *changes;
    uint32_t count;    /* listed */
    uint32_t total;    /* found */
    uint32_t capacity; /* of `changes` */
    uint32_t stop_at;  /* when so many are found, no more are looked for; 0: all are */
};

void conf_diff_init(struct conf_diff *diff);
void conf_diff_fini(struct conf_diff *diff);
/* Fills an initialised, empty list. */
void conf_diff_documents(struct conf_diff *diff, const struct conf_document *before,
                         const struct conf_document *after);
/* One line for people, no newline. */
void conf_diff_describe(const struct conf_change *change, struct buf *out);

#endif
