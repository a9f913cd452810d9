/*
 * conf_hint - a key that nobody knows: what was meant, or where it belongs.
 *
 * The reader of documents and `explain` say the same.
 *
 *     pools.web.weight     -> belongs under 'pools.servers'
 *     pools.web.algoritm   -> algorithm
 *
 * Memory: constant texts of the schema. Threads: any.
 */
#ifndef CONF_CONF_HINT_H
#define CONF_CONF_HINT_H

#include "conf/conf_schema.h"

struct conf_hint {
    struct slice suggestion; /* the key that was probably meant; or empty */
    const char *belongs;     /* the place that knows the key, "pools.servers"; or NULL */
};

/* `key` is none of `object`. */
struct conf_hint conf_hint_unknown(const struct conf_object *object, struct slice key);

#endif
