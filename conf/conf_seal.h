/*
 * conf_seal - a private key comes in with a document and does not stay in it.
 *
 *     {"chain": PEM, "key": PEM} --conf_part--> {"stored": "sha256:..."} in the text
 *                                               chain and key beside it, in memory only
 *
 * Whatever door a certificate comes through, its part of the document is made by conf_part, which
 * asks here first. What a text says from then on (GET, diff, history, ETag, saving) names the key
 * and does not show it. conf_store puts it into the vault before the document is saved.
 *
 * What PEM is and how it is hashed is known further right: whoever runs documents sets the function
 * that looks at both.
 *
 * Memory: keeps nothing. Threads: any; the function is set before there is a second one.
 */
#ifndef CONF_CONF_SEAL_H
#define CONF_CONF_SEAL_H

#include <stdbool.h>

#include "conf/conf_errors.h"
#include "conf/conf_schema.h"
#include "conf/json/json.h"
#include "lbd/base/arena.h"
#include "lbd/base/buf.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

#define CONF_SEAL_NAME_MAX  72           /* "sha256:", 64 digits, a NUL */
#define CONF_SEAL_CHAIN_MAX (192 * 1024) /* bytes; both together are read again as one text */
#define CONF_SEAL_KEY_MAX   (32 * 1024)

/* Are chain and key what they should be, and do they belong together? True: *stored is what the
 * document says instead. False: *err says why not; its place is "chain" or "key". */
typedef bool (*conf_seal_fn)(struct slice chain, struct slice key, char stored[CONF_SEAL_NAME_MAX],
                             struct err *err);
/* NULL, as at first: no key is taken. */
void conf_seal_set(conf_seal_fn seal);

/* What is stored: both texts, each with a newline at its end. */
void conf_seal_text(struct slice chain, struct slice key, struct buf *out);

/* What was taken out of the JSON of a certificate; freed by conf_seal_fini. */
struct conf_sealed {
    char *chain;
    char *key;
    size_t chain_len;
    size_t key_len;
};
/* Takes "chain" and "key" out of the JSON of an object and puts "stored" in. Objects that are no
 * certificates stay as they are. False: *errors says what is wrong; neither is in there all the
 * same. */
bool conf_seal_take(struct conf_sealed *sealed, const struct conf_object *object, struct json *json,
                    const struct conf_path *path, struct conf_errors *errors);
/* So many bytes for conf_seal_put. */
size_t conf_seal_bytes(const struct conf_sealed *sealed);
/* Into the value of that object. */
void conf_seal_put(const struct conf_sealed *sealed, struct arena *arena, void *value);
void conf_seal_fini(struct conf_sealed *sealed);
/* The end of the value of an object: what it knows of a key is wiped. */
void conf_seal_wipe(const struct conf_object *object, void *value);

#endif
