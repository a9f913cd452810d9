/*
 * conf_read - one JSON object becomes one struct of conf.h, by the table of its keys.
 *
 * Collects every mistake and goes on; what was wrong keeps its default, so that later checks still
 * make sense. Knows no key by name. Maps of named members are left to conf_part.c.
 *
 * Memory: strings and lists go to the arena; the tree may die afterwards. Threads: control.
 */
#ifndef CONF_CONF_READ_H
#define CONF_CONF_READ_H

#include <stdbool.h>

#include "conf/conf.h"
#include "conf/conf_errors.h"
#include "conf/conf_schema.h"
#include "conf/json/json.h"
#include "lbd/base/arena.h"

/* Reads `json` into `out` (of object->size bytes), over the defaults. Returns true when nothing was
 * wrong. */
bool conf_read_object(const struct conf_object *object, const struct json *json,
                      const struct conf_path *path, struct arena *arena, void *out,
                      struct conf_errors *errors);
/* The key "daemon"; `json` may be NULL: all defaults. NULL: *errors says why. The caller owns the
 * result. */
LB_MUST_CHECK struct conf_daemon *conf_read_daemon(const struct json *json,
                                                   struct conf_errors *errors);

#endif
