/*
 * conf_explain - one setting, or all below it, from the schema table: GET /v1/explain.
 *
 * A setting is named by its keys, joined by dots or slashes; names of objects may stand in between:
 *
 *     pools.servers.weight     /pools/web/servers/a/weight     #/pools/web     daemon.log
 *
 * Memory: constant texts. Threads: any.
 */
#ifndef CONF_CONF_EXPLAIN_H
#define CONF_CONF_EXPLAIN_H

#include "conf/conf_hint.h"
#include "conf/json/json_write.h"

#define CONF_EXPLAIN_DEPTH_MAX 32 /* parts of a path */

/* What a path leads to, or where it goes astray. */
struct conf_explain {
    const struct conf_object *object; /* what is below, or NULL: nothing */
    const struct conf_field *field;   /* NULL: the document, or `daemon` */
    struct buf path;                  /* "pools.servers.weight"; on failure how far it was right */
    struct slice unknown;             /* on failure: the part that is not known; borrowed */
    struct conf_hint hint;            /* on failure */
};

/* True: found. False: `unknown` and `hint` say what is wrong; conf_explain_fini either way. */
bool conf_explain_find(struct conf_explain *explain, struct slice path);
void conf_explain_fini(struct conf_explain *explain);
/* As one JSON object. */
void conf_explain_write(const struct conf_explain *explain, struct json_write *w);

#endif
