/*
 * conf_hint - a key that nobody knows: what was meant, or where it belongs.
 *
 * The reader of documents and `explain` say the same.
 *
 *     pools.web.weight     -> belongs under 'pools.servers'
 *     pools.web.wieght     -> 'weight' belongs under 'pools.servers'
 *     pools.web.algoritm   -> algorithm
 *     split.canary         -> known are pools, key, name, cookie
 *
 * Memory: constant texts of the schema. Threads: any.
 */
#ifndef CONF_CONF_HINT_H
#define CONF_CONF_HINT_H

#include "conf/conf_schema.h"

struct conf_hint {
    struct slice suggestion;         /* the key of this place that was probably meant; or empty */
    const char *belongs;             /* the place that knows the key, "pools.servers"; or NULL */
    struct slice key;                /* that belongs there: it, or what was probably meant */
    const struct conf_object *known; /* nothing is near, and its keys are few; or NULL */
};

/* `key` is none of `object`. */
struct conf_hint conf_hint_unknown(const struct conf_object *object, struct slice key);
/* "'wieght' is not a known key here; 'weight' belongs under 'pools.servers'", without the
 * suggestion. `shown` is the key, shortened for people. */
void conf_hint_describe(const struct conf_hint *hint, struct slice shown, struct buf *out);

#endif
