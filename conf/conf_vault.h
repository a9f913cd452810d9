/*
 * conf_vault - the private keys in the state folder: documents name them, revisions keep them.
 *
 *     state_dir/certificates/HEX.pem    a chain and its key as they came in; HEX is the SHA-256 of
 *                                       that text, and what documents say instead of it
 *
 *     state_dir/certificates/HEX.ocsp   what an authority said last of the certificate with this
 *                                       SHA-256, so that it need not be asked first after a start
 *
 *     put:    before a document that names it is saved
 *     note:   a revision of the history names these, or config.json does
 *     forget: that revision is not kept any more; what nobody else names goes with it
 *
 * conf_store is the only caller of note, forget and sweep, so that a rollback finds its keys for as
 * long as it finds its document. What was put when we ended before the document was saved is swept
 * at the next start.
 *
 * For tests LBD_TEST_CRASH_AT (conf_disk.h) knows the kind "key".
 *
 * Limits: CONF_VAULT_FILE_MAX bytes of one file. Memory: names of files by revision; revisions that
 * name the same share them. Threads: put, has and read any, one at a time for one name; the others
 * control.
 */
#ifndef CONF_CONF_VAULT_H
#define CONF_CONF_VAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "conf/conf_disk.h"
#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

#define CONF_VAULT_PREFIX       "sha256:"
#define CONF_VAULT_HEX_LEN      64
#define CONF_VAULT_FILE_MAX     (1024 * 1024)
#define CONF_VAULT_ANSWER_AGE_S (31 * 24 * 3600)

struct conf_vault;

/* In the folder `dir_fd` (borrowed, as `disk`), which is made when the first key comes. */
LB_MUST_CHECK struct conf_vault *conf_vault_new(const struct conf_disk *disk, int dir_fd);
void conf_vault_free(struct conf_vault *vault); /* NULL is fine */

/* `stored` is what a document says: "sha256:" and 64 digits. */
bool conf_vault_has(const struct conf_vault *vault, struct slice stored);
/* Durable when it returns true; what is there already is not written again. ERR_STORAGE. */
LB_MUST_CHECK bool conf_vault_put(struct conf_vault *vault, struct slice stored, struct slice text,
                                  struct err *err);
/* Appends the text. ERR_NOT_FOUND: there is none; ERR_STORAGE: it cannot be read. */
LB_MUST_CHECK bool conf_vault_read(const struct conf_vault *vault, struct slice stored,
                                   struct buf *out, struct err *err);

/* The last answer about a certificate (64 digits); as well as it goes: it can be asked for again.
 */
void conf_vault_put_answer(struct conf_vault *vault, const char *hex, struct slice answer);
/* Appends it. False: there is none. */
bool conf_vault_read_answer(const struct conf_vault *vault, const char *hex, struct buf *out);

/* -- who names what -- */

#define CONF_VAULT_BOOT 0 /* in place of a revision: config.json */

/* From here on `revision` names what this document does. */
void conf_vault_note(struct conf_vault *vault, uint64_t revision, const struct conf *conf);
/* The same for a canonical text, when that is all there is. */
void conf_vault_note_text(struct conf_vault *vault, uint64_t revision, struct slice text);
/* It names nothing any more. */
void conf_vault_forget(struct conf_vault *vault, uint64_t revision);
/* Removes it when nobody names it: its document came to nothing. */
void conf_vault_drop(struct conf_vault *vault, struct slice stored);
/* Is there anything to keep or to sweep? */
bool conf_vault_is_empty(const struct conf_vault *vault);
/* Everything that is kept has been noted: removes every file that nobody names, and what was not
 * finished, and answers of a month ago. Nothing is removed before this was called once. */
void conf_vault_sweep(struct conf_vault *vault);

#endif
