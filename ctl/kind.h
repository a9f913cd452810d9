/*
 * kind - the kinds of things that the configuration holds, as a person names them.
 *
 *     "pool", "pools"      --> /v1/pools/NAME                    pools/NAME in the document
 *     "server" "web/anna"  --> /v1/pools/web/servers/anna        pools/web/servers/anna
 *     "config"             --> /v1/config                        the whole of it
 *
 * Memory: constant tables. Threads: one.
 */
#ifndef CTL_KIND_H
#define CTL_KIND_H

#include <stdbool.h>

#include "ctl/ctl.h"
#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"

enum kind_id {
    KIND_LISTENERS,
    KIND_ROUTES,
    KIND_POLICIES,
    KIND_ADDRESS_SETS,
    KIND_POOLS,
    KIND_SERVERS,
    KIND_HEALTH_CHECKS,
    KIND_CERTIFICATES,
    KIND_CA_SETS,
    KIND_MAIL_USERS,
    KIND_MAIL_MAPS,
    KIND_MAIL_CALLBACKS,
    KIND_CONFIG,
    KIND_COUNT
};

struct kind {
    enum kind_id id;
    const char *plural;   /* "health-checks" */
    const char *singular; /* "health-check" */
    const char *key;      /* of the document's top level: "health_checks"; NULL for config */
    const char *path;     /* of the collection: "/v1/health-checks"; of config itself */
};

/* The plurals; ends with NULL. */
extern const char *const kind_words[];

/* NULL: there is none. */
const struct kind *kind_find(const char *word);
/* The kind that lives under this key of the document, which has `len` bytes. NULL: none. */
const struct kind *kind_of_key(struct slice key);
/* The same as kind_find; NULL: printed which there are. */
const struct kind *kind_read(struct ctl *ctl, const char *word, enum ctl_exit *code);

/* One word that is KIND/NAME, as pointers are, becomes the two that it stands for. */
void kind_split_pointer(struct ctl *ctl);

/* One thing, found from the words of a command line. */
struct kind_target {
    const struct kind *kind;
    struct buf path;    /* in the API */
    struct buf pointer; /* in the document, without a slash in front; empty for config */
    struct buf name;    /* as lbctl names it: "web/anna"; "the configuration" */
};

/* Reads KIND NAME; a server's name may lack its pool where only one has it. False: printed why not.
 * kind_target_fini in both cases. */
LB_MUST_CHECK bool kind_target_read(struct ctl *ctl, const char *word, const char *name,
                                    struct kind_target *target, enum ctl_exit *code);
void kind_target_fini(struct kind_target *target);

#endif
