/*
 * conf_store - the state directory: what must be found again after any kind of end.
 *
 *     state_dir/config.json            the document a restart runs, canonical text
 *     state_dir/revision               the last number
 *     state_dir/revisions/000042.json  the document of a revision: to go back, to compare, or if
 *                                      config.json is damaged
 *     state_dir/revisions/000042.meta  what is known about it (conf_revision.h)
 *     state_dir/members.json           endpoints written by the API beside a file's document
 *     state_dir/owners.json            owners whose changes were taken back
 *     state_dir/overrides.json         what was set by hand, and
 *     state_dir/overrides.log          what was set since that was written (conf_journal.h)
 *     state_dir/certificates/          private keys, which documents only name (conf_vault.h)
 *     state_dir/lock                   held by the one daemon that may write here
 *
 * How a file is replaced stands in conf_disk.h. Whoever kills us at whatever point, config.json is
 * the old text or the new one: its rename is the moment of truth of a save. Notes are written
 * before it, documents of the history and the number after it; the next load puts right what is
 * behind. A save that fails has changed nothing, and says ERR_STORAGE.
 *
 * A revision that is not confirmed goes into the history (with fsync) and not into config.json: a
 * restart finds the document before it, and finds out from the note why.
 *
 * The history survives our own end at once, the loss of power some seconds later.
 *
 * Limits: 50 revisions and 64 MiB of them. Memory: the store owns its descriptors and the notes.
 * Threads: control; conf_store_write any thread, one at a time, while control calls nothing but
 * conf_store_history, _find, _read_revision and the functions for overrides.
 */
#ifndef CONF_CONF_STORE_H
#define CONF_CONF_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf_document.h"
#include "conf/conf_revision.h"
#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

#define CONF_STORE_HISTORY_MAX       50
#define CONF_STORE_HISTORY_BYTES_MAX 67108864ULL        /* 64 MiB */
#define CONF_STORE_FILE_MAX          (32 * 1024 * 1024) /* bytes of one file */

struct conf_journal;
struct conf_vault;
struct conf_store;

enum conf_store_found {
    CONF_STORE_EMPTY,      /* nothing was ever saved: use the seed */
    CONF_STORE_CURRENT,    /* config.json, as it should be */
    CONF_STORE_TAKEN_BACK, /* the newest revision was not confirmed; config.json is the one before
                            */
    CONF_STORE_OLDER, /* config.json is damaged; the newest revision that is whole (tell somebody)
                       */
    CONF_STORE_NEWER, /* config.json was written by a newer lbd: do not start */
    CONF_STORE_BROKEN /* something was saved and none of it can be read: do not start */
};

/* Makes the directory (0700) when it is missing and takes the lock. NULL: *err says why;
 * ERR_CONFLICT when another daemon has it. */
LB_MUST_CHECK struct conf_store *conf_store_open(const char *dir, struct err *err);
void conf_store_close(struct conf_store *store); /* NULL is fine */

/* Finds what was saved. CURRENT, TAKEN_BACK and OLDER give a document (the caller's) and the number
 * to run it as: for the latter two a new one, because the newest had another content. OLDER, NEWER
 * and BROKEN fill *err (not NULL) with what is wrong with config.json. EMPTY gives the last number
 * that was used, or 0. */
LB_MUST_CHECK enum conf_store_found conf_store_load(struct conf_store *store,
                                                    struct conf_document **document,
                                                    uint64_t *revision, struct err *err);

/* Only lists the history: the document lives in a file. The last number that was used, or 0. */
uint64_t conf_store_list(struct conf_store *store);

/* -- saving -- */

struct conf_store_item {
    struct conf_revision note;
    struct slice text;       /* canonical, with a final newline; borrowed */
    const struct conf *conf; /* what it means; borrowed. Keys that came in with it are put first */
};

enum conf_store_target {
    CONF_STORE_BOOT,        /* the last text becomes config.json */
    CONF_STORE_UNCONFIRMED, /* history only, durably */
    CONF_STORE_FILE         /* the document lives in a file: history only, as well as it goes */
};

struct conf_store_save {
    struct conf_store_item *items; /* in order of their numbers */
    uint32_t count;
    enum conf_store_target target;
    bool is_confirmation; /* BOOT: of a revision that is in the history already */
    bool has_members;     /* members.json is written first: the moment of truth is there then */
    struct slice members;
};

/* Saves several revisions with one fsync. When it returns true the last of them survives the loss
 * of power. False: ERR_STORAGE, and everything is what it was. (Only when syncing the folder itself
 * failed, which is a broken disk, may a restart find either.) */
LB_MUST_CHECK bool conf_store_write(struct conf_store *store, const struct conf_store_save *save,
                                    struct err *err);
/* What was written is known from now on, the oldest beyond the limits are not. */
void conf_store_noted(struct conf_store *store, const struct conf_store_save *save);

/* -- looking back -- */

/* Newest first. Borrowed until the next conf_store_noted. */
const struct conf_revision *conf_store_history(const struct conf_store *store, uint32_t *count);
/* NULL: not kept. */
const struct conf_revision *conf_store_find(const struct conf_store *store, uint64_t number);
/* Notes that were not kept when it was made: its hash (CONF_REVISION_HASH_MAX). */
void conf_store_learn_hash(struct conf_store *store, uint64_t number, const char *hash);
/* Appends the text of a revision. */
LB_MUST_CHECK bool conf_store_read_revision(const struct conf_store *store, uint64_t revision,
                                            struct buf *out, struct err *err);

/* The private keys; borrowed. */
struct conf_vault *conf_store_vault(struct conf_store *store);

/* -- small files whose text is the caller's business -- */

enum conf_store_file { CONF_STORE_OVERRIDES, CONF_STORE_MEMBERS, CONF_STORE_OWNERS };
LB_MUST_CHECK bool conf_store_save_file(struct conf_store *store, enum conf_store_file file,
                                        struct slice text, struct err *err);
/* Reading what was never saved gives true and nothing. */
LB_MUST_CHECK bool conf_store_read_file(const struct conf_store *store, enum conf_store_file file,
                                        struct buf *out, struct err *err);
/* overrides.json */
LB_MUST_CHECK bool conf_store_save_overrides(struct conf_store *store, struct slice text,
                                             struct err *err);
/* The journal behind it; NULL: it cannot be opened, and overrides.json is all there is. */
struct conf_journal *conf_store_overrides_journal(struct conf_store *store, struct err *err);
LB_MUST_CHECK bool conf_store_read_overrides(struct conf_store *store, struct buf *out,
                                             struct err *err);

#endif
