/*
 * filter_users - names and hashed passwords, a line each, as htpasswd and mkpasswd make them.
 *
 *     ann:$2y$10$...      bcrypt; also yescrypt $y$, scrypt $7$, SHA-512 $6$, SHA-256 $5$
 *
 * Empty lines and lines that begin with '#' are passed over. MD5, SHA-1, DES and passwords in clear
 * are refused: they can be guessed.
 *
 * Limits: names of at most FILTER_USERS_NAME_MAX bytes, FILTER_USERS_MAX lines. Memory: an arena.
 * Threads: built on control; read by any.
 */
#ifndef LBD_FILTER_FILTER_USERS_H
#define LBD_FILTER_FILTER_USERS_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/arena.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

#define FILTER_USERS_NAME_MAX 255U
#define FILTER_USERS_HASH_MAX 255U
#define FILTER_USERS_MAX      100000U

struct filter_user {
    struct slice name;
    const char *hash; /* ends with NUL */
};

struct filter_users {
    struct filter_user *list; /* sorted by name */
    uint32_t count;
};

/* The texts are copied. False: *err names the line, never what is in it. */
LB_MUST_CHECK bool filter_users_read(struct filter_users *users, struct arena *arena,
                                     struct slice text, struct err *err);
/* NULL: there is none. */
const struct filter_user *filter_users_find(const struct filter_users *users, struct slice name);

#endif
