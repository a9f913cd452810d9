/*
 * cmd_get - `lbctl get KIND [NAME]`: what is configured, beside how it is.
 *
 * Each kind is a row: its words, where it lives in the API and the columns of its table. Tables
 * show values in effect (defaults included) next to the status; -o json and jsonl show the
 * resource as the API has it, with only what was set.
 *
 * Threads: one.
 */
#ifndef CTL_CMD_GET_H
#define CTL_CMD_GET_H

#include <stdbool.h>

#include "conf/json/json.h"
#include "ctl/ctl.h"
#include "ctl/print_table.h"

enum { CMD_GET_COLUMNS_MAX = 12 };

/* Where a cell comes from. `config` is the resource with its defaults, `status` the member of that
 * name in /v1/status, or NULL. */
struct cmd_get_column {
    const char *title;
    bool is_wide;     /* only with -o wide */
    bool from_status; /* `path` is seen from the status */
    const char *path; /* dotted; NULL when `cell` writes it */
    void (*cell)(struct print_table *table, const struct json *config, const struct json *status);
};

/* What the table of a kind shows. */
struct cmd_get_kind {
    const char *status_path; /* of its objects in /v1/status; NULL: they have none */
    struct cmd_get_column columns[CMD_GET_COLUMNS_MAX];
};

enum ctl_exit cmd_get(struct ctl *ctl);

#endif
