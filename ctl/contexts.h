/*
 * contexts - the lbds that a person speaks to, by name, in a file of theirs.
 *
 *     ~/.config/lbd/contexts.json, 0600 ($XDG_CONFIG_HOME/lbd/contexts.json when that is set)
 *
 *     {
 *       "current": "shop",
 *       "contexts": {
 *         "here": {"socket": "/run/lbd/api.sock"},
 *         "shop": {"url": "https://lb1.example.com:9443", "ca_file": "/home/a/shop-ca.pem",
 *                  "token_file": "/home/a/.config/lbd/shop.token"}
 *       }
 *     }
 *
 * A file that others may write is not used: it would send our token to them. Secrets are not in it.
 *
 * Memory: owns the tree. Threads: one.
 */
#ifndef CTL_CONTEXTS_H
#define CTL_CONTEXTS_H

#include <stdbool.h>

#include "conf/json/json.h"
#include "ctl/endpoint.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

#define CONTEXTS_PATH_MAX 4096

struct contexts {
    char path[CONTEXTS_PATH_MAX];
    char folder[CONTEXTS_PATH_MAX];
    struct json *root;
};

/* No file is one without contexts. False: *err says what is wrong with it (ERR_INVALID). */
LB_MUST_CHECK bool contexts_load(struct contexts *contexts, struct err *err);
void contexts_fini(struct contexts *contexts);
/* Empty: none is. */
struct slice contexts_current(const struct contexts *contexts);
/* The object of all of them, by name. */
const struct json *contexts_all(const struct contexts *contexts);
bool contexts_has(const struct contexts *contexts, struct slice name);
/* Fills `out` (initialised). False: ERR_NOT_FOUND, or ERR_INVALID. */
LB_MUST_CHECK bool contexts_find(const struct contexts *contexts, struct slice name,
                                 struct endpoint *out, struct err *err);

/* Puts or replaces. */
void contexts_put(struct contexts *contexts, struct slice name, const struct endpoint *endpoint);
/* False: there is none. */
bool contexts_remove(struct contexts *contexts, struct slice name);
void contexts_use(struct contexts *contexts, struct slice name);
/* Makes the folder (0700) and the file (0600). False: ERR_STORAGE. */
LB_MUST_CHECK bool contexts_save(const struct contexts *contexts, struct err *err);
/* Puts a secret beside it (0600): NAME.token; its path into `path`. False: ERR_STORAGE. */
LB_MUST_CHECK bool contexts_save_token(const struct contexts *contexts, struct slice name,
                                       struct slice token, char path[CONTEXTS_PATH_MAX],
                                       struct err *err);
/* Removes it, if it is there. */
void contexts_remove_token(const struct contexts *contexts, struct slice name);

#endif
