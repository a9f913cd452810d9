/*
 * overrides - what was set by hand on top of the document: admin states, weights, drains.
 *
 *     admin      "pool/server"   ready | drain | maint     on top of admin_state
 *     weight     "pool/server"   a number, or a percentage of the configured one
 *     listener   "name"          drain
 *     process    "process"       drain
 *
 * An override of a configured field remembers what was configured when it was laid over: when that
 * is edited, the edit wins and the override is dropped. It may have an end (`expires`), and a drain
 * a deadline. Kept as JSON in the state directory; control saves it before an override takes
 * effect.
 *
 *     {"tag":1770000000000000,
 *      "listeners":{"web":{"since":1770000000000000,"state":"drain",...}},
 *      "process":{"process":{...}},
 *      "servers":{"api/a":{"base":"ready","reason":"kernel","since":1770000000000000,"state":"drain",
 *                          "who":"unix"}},
 *      "weights":{"api/a":{"base":100,"percent":50,"since":1770000000000000,"weight":50,...}}}
 *
 * Files of earlier versions have only "servers". What changes after the file was written stands in
 * the journal behind it (conf/conf_journal.h), one record for what was changed together:
 *
 *     [["servers","api/a",{...}],["weights","api/a",null]]
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

#define OVERRIDES_KEY_MAX 160 /* two names of at most 63 bytes and a slash */
#define OVERRIDES_PROCESS "process"

enum override_kind {
    OVERRIDE_ADMIN,
    OVERRIDE_WEIGHT,
    OVERRIDE_LISTENER,
    OVERRIDE_PROCESS,
    OVERRIDE_KINDS
};

/* What happens to what is still open at the deadline of a drain. */
enum override_end { OVERRIDE_CLOSE, OVERRIDE_KEEP };

struct override {
    enum server_admin state; /* all but weights */
    enum server_admin base;  /* admin: what was configured when it was laid over */
    uint32_t weight;         /* weights: that counts, 1-1000 */
    uint32_t base_weight;    /* likewise; what a share came to */
    uint32_t base_percent;   /* weights: the configured share; 0: a number */
    uint32_t percent;        /* weights: as it was asked for; 0: as a number */
    enum override_end on_deadline;
    uint64_t since_wall_us;
    uint64_t expires_wall_us;  /* 0: never */
    uint64_t deadline_wall_us; /* of a drain; 0: none */
    char *reason;              /* owned, may be "" */
    char *who;                 /* owned, may be "" */
};

struct overrides {
    struct map kinds[OVERRIDE_KINDS]; /* key -> struct override */
};

void overrides_init(struct overrides *overrides);
void overrides_fini(struct overrides *overrides);
/* The key of a server; empty when the names are too long to be any. */
struct slice overrides_server_key(struct slice pool, struct slice server,
                                  char out[OVERRIDES_KEY_MAX]);
/* NULL: none. */
const struct override *overrides_find(const struct overrides *overrides, enum override_kind kind,
                                      struct slice key);
/* Puts or replaces; copies the texts of `value`. Returns what was there before (owned by the caller
 * now, override_free), or NULL. */
struct override *overrides_put(struct overrides *overrides, enum override_kind kind,
                               struct slice key, const struct override *value);
/* Takes it out: the caller's now. NULL: there was none. */
struct override *overrides_take(struct overrides *overrides, enum override_kind kind,
                                struct slice key);
/* Puts back what was taken out. */
void overrides_give(struct overrides *overrides, enum override_kind kind, struct slice key,
                    struct override *value);
void override_free(struct override *override); /* NULL is fine */
uint32_t overrides_count(const struct overrides *overrides);
/* The first end of one that has an end; 0: none. */
uint64_t overrides_next_expiry(const struct overrides *overrides);

/* `tag`: of the records that will follow in the journal. */
void overrides_write(const struct overrides *overrides, uint64_t tag, struct buf *out);
/* Adds what `text` (empty: nothing) holds, and says its tag (may be NULL; 0: it has none). False:
 * it cannot be read, ERR_MALFORMED; nothing added. */
LB_MUST_CHECK bool overrides_read(struct overrides *overrides, struct slice text, uint64_t *tag,
                                  struct err *err);
/* One change as an element of a record's array; NULL: taken out. */
struct json_write;
void overrides_write_change(struct json_write *w, enum override_kind kind, struct slice key,
                            const struct override *value);
/* Applies a record. False: it is none; nothing was changed. */
LB_MUST_CHECK bool overrides_read_record(struct overrides *overrides, struct slice record);

/* "ready", "drain", "maint" */
bool overrides_parse_state(struct slice word, enum server_admin *out);
/* "close", "keep" */
bool overrides_parse_end(struct slice word, enum override_end *out);
const char *override_end_word(enum override_end end);
/* "admin_state", "weight", "listener", "process" */
const char *override_kind_word(enum override_kind kind);

#endif
