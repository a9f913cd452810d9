/*
 * err - why something did not work, for a person to read.
 *
 * A fixed-size value on the caller's stack: a kind (maps to an HTTP status and an exit code), a
 * place (JSON pointer, file:line, path), a sentence. Whoever decides what happens next logs it,
 * once.
 *
 * Threads: any.
 */
#ifndef LBD_BASE_ERR_H
#define LBD_BASE_ERR_H

#include <stdbool.h>

#include "lbd/base/compiler.h"

enum err_kind {
    ERR_NONE,
    ERR_INVALID,      /* what was asked makes no sense: 422, exit 78 */
    ERR_MALFORMED,    /* it could not even be read: 400 */
    ERR_NOT_FOUND,    /* 404 */
    ERR_CONFLICT,     /* 409: in use, wrong source */
    ERR_PRECONDITION, /* 412 */
    ERR_TOO_LARGE,    /* 413 */
    ERR_DENIED,       /* 403: the kernel or a role says no */
    ERR_UNAVAILABLE,  /* 503: starting, stopping, too busy */
    ERR_STORAGE,      /* 507: could not be saved */
    ERR_SYSTEM,       /* 500: a system call failed */
};

struct err {
    enum err_kind kind;
    char place[128]; /* "" when there is none */
    char text[384];
};

/* Fills *err (which may be NULL) and returns false, so that a failing line is one line. */
bool err_set(struct err *err, enum err_kind kind, const char *fmt, ...) LB_PRINTF(3, 4);
bool err_set_at(struct err *err, enum err_kind kind, const char *place, const char *fmt, ...)
    LB_PRINTF(4, 5);
void err_clear(struct err *err);

#endif
