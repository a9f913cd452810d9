/*
 * overrides - admin states set by hand, each on top of what the document says.
 *
 * An override remembers the configured state it was laid over: when that is edited, the edit wins
 * and the override is dropped. Kept as JSON in the state directory; control saves it before an
 * override takes effect.
 *
 *     {"servers":{"api/a":{"base":"ready","reason":"kernel","since":1770000000000000,"state":"drain",
 *                          "who":"unix"}}}
 *
 * Memory: owns its texts. Threads: control.
 */
#ifndef LBD_CONTROL_OVERRIDES_H
#define LBD_CONTROL_OVERRIDES_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/map.h"
#include "lbd/base/slice.h"
#include "lbd/upstream/server.h"

struct override {
    enum server_admin state;
    enum server_admin base; /* what was configured when it was laid over */
    uint64_t since_wall_us;
    char *reason; /* owned, may be "" */
    char *who;    /* owned, may be "" */
};

struct overrides {
    struct map servers; /* "pool/server" -> struct override */
};

void overrides_init(struct overrides *overrides);
void overrides_fini(struct overrides *overrides);
/* NULL: none. */
const struct override *overrides_find(const struct overrides *overrides, struct slice pool,
                                      struct slice server);
/* Puts or replaces; copies the texts of `value`. */
void overrides_put(struct overrides *overrides, struct slice pool, struct slice server,
                   const struct override *value);
/* Returns true when there was one. */
bool overrides_remove(struct overrides *overrides, struct slice pool, struct slice server);
/* `out` (initialised, empty) becomes the same. */
void overrides_copy(struct overrides *out, const struct overrides *overrides);
/* Exchanges the contents. */
void overrides_swap(struct overrides *a, struct overrides *b);

void overrides_write(const struct overrides *overrides, struct buf *out);
/* Adds what `text` (empty: nothing) holds. False: it cannot be read, ERR_MALFORMED; nothing added.
 */
LB_MUST_CHECK bool overrides_read(struct overrides *overrides, struct slice text, struct err *err);

/* "ready", "drain", "maint" */
bool overrides_parse_state(struct slice word, enum server_admin *out);

#endif
