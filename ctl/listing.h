/*
 * listing - the things of one kind, as a table, as JSON, as names; all of them or what has changed.
 *
 * The columns come from cmd_get. With `seen` a listing can be made again and again: it then holds
 * only rows that are not as they were, and says what has gone. What changes all the time (counts of
 * connections) is no reason to show a row again.
 *
 * Memory: owns its table and what it has seen. Threads: one.
 */
#ifndef CTL_LISTING_H
#define CTL_LISTING_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/json/json.h"
#include "ctl/ctl.h"
#include "ctl/kind.h"
#include "ctl/print_table.h"
#include "ctl/server_name.h"
#include "lbd/base/map.h"

enum { LISTING_COLUMNS_MAX = 12 };

/* Where a cell comes from. `config` is the resource with its defaults, `status` the member of that
 * name in /v1/status, or NULL. */
struct listing_column {
    const char *title;
    bool is_wide;     /* only with -o wide */
    bool is_busy;     /* changes all the time */
    bool from_status; /* `path` is seen from the status */
    const char *path; /* dotted; NULL when `cell` writes it */
    void (*cell)(struct print_table *table, const struct json *config, const struct json *status);
};

/* What the table of a kind shows. */
struct listing_kind {
    const char *status_path; /* of its objects in /v1/status; NULL: they have none */
    struct listing_column columns[LISTING_COLUMNS_MAX];
};

struct listing {
    struct ctl *ctl;
    const struct kind *kind;
    const struct listing_kind *columns;
    struct server_name wanted; /* servers: of this pool, this one; "": all */
    const char *only;          /* other kinds: this name alone; NULL: all */
    bool is_watched;           /* listing_write comes again */

    struct print_table table;
    struct json *picked; /* CTL_JSON */
    bool is_found;       /* there is something of that name, labels or not */
    struct map seen;     /* name -> struct listing_row, when it is watched */
    uint32_t round;
};

/* The members above the empty line are the caller's. */
void listing_init(struct listing *listing);
void listing_fini(struct listing *listing);
/* Asks lbd and prints; complaints only the first time. `name` is what was asked for, as it was
 * typed, or NULL. */
enum ctl_exit listing_write(struct listing *listing, const char *name);

#endif
