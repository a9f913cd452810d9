/*
 * conf_store - the state directory: what must be found again after any kind of end.
 *
 *     state_dir/config.json            the document that runs, canonical text
 *     state_dir/revision               its number
 *     state_dir/revisions/000042.json  what ran before: to go back, or if config.json is damaged
 *     state_dir/overrides.json         admin states set by hand
 *     state_dir/lock                   held by the one daemon that may write here
 *
 * A save is: write a temporary file beside the target, fsync it, rename it over the target, fsync
 * the directory. Whoever kills us at whatever point, config.json is the old text or the new one.
 * The rename is the moment of truth; history and number are written after it and are put right by
 * the next load when they are behind. A save that fails has changed nothing, and says ERR_STORAGE.
 *
 * For tests the environment variable LBD_TEST_CRASH_AT (save-open, save-write, save-fsync,
 * save-rename, save-dirsync; read once, by conf_store_open) makes the process end with _exit(137)
 * just before that step.
 *
 * Limits: 50 old revisions and 64 MiB of them. Memory: the store owns its descriptors. Threads:
 * control.
 */
#ifndef CONF_CONF_STORE_H
#define CONF_CONF_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf_document.h"
#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

#define CONF_STORE_HISTORY_MAX       50
#define CONF_STORE_HISTORY_BYTES_MAX 67108864ULL /* 64 MiB */

struct conf_store;

enum conf_store_found {
    CONF_STORE_EMPTY,   /* nothing was ever saved: use the seed */
    CONF_STORE_CURRENT, /* config.json, as it should be */
    CONF_STORE_OLDER,   /* config.json is damaged; the newest revision that is whole (tell somebody)
                         */
    CONF_STORE_BROKEN   /* something was saved and none of it can be read: do not start */
};

struct conf_store_revision {
    uint64_t number;
    uint64_t bytes;
    uint64_t saved_wall_s; /* seconds since 1970 */
};

/* Makes the directory (0700) when it is missing and takes the lock. NULL: *err says why;
 * ERR_CONFLICT when another daemon has it. */
LB_MUST_CHECK struct conf_store *conf_store_open(const char *dir, struct err *err);
void conf_store_close(struct conf_store *store); /* NULL is fine */

/* Finds what was saved. CURRENT and OLDER give a document (the caller's) and the number to run it
 * as: for OLDER a new one, because the newest had another content. OLDER and BROKEN fill *err (not
 * NULL) with what is wrong with config.json. EMPTY gives the last number that was used, or 0. */
LB_MUST_CHECK enum conf_store_found conf_store_load(struct conf_store *store,
                                                    struct conf_document **document,
                                                    uint64_t *revision, struct err *err);
/* Saves a document as `revision`. When it returns true the text survives the loss of power. False:
 * ERR_STORAGE, and config.json is what it was. (Only when syncing the folder itself failed, which
 * is a broken disk, may a restart find either.) */
LB_MUST_CHECK bool conf_store_save(struct conf_store *store, const struct conf_document *document,
                                   uint64_t revision, struct err *err);
/* Only the number, when the document itself lives elsewhere (config_source file). */
LB_MUST_CHECK bool conf_store_save_revision(struct conf_store *store, uint64_t revision,
                                            struct err *err);

/* Newest first; returns how many were filled in. */
uint32_t conf_store_history(struct conf_store *store,
                            struct conf_store_revision revisions[CONF_STORE_HISTORY_MAX]);
/* Appends the text of an old revision. */
LB_MUST_CHECK bool conf_store_read_revision(struct conf_store *store, uint64_t revision,
                                            struct buf *out, struct err *err);

/* overrides.json: the text is the caller's business. Reading what was never saved gives true and
 * nothing. */
LB_MUST_CHECK bool conf_store_save_overrides(struct conf_store *store, struct slice text,
                                             struct err *err);
LB_MUST_CHECK bool conf_store_read_overrides(struct conf_store *store, struct buf *out,
                                             struct err *err);

#endif
