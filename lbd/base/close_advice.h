/*
 * close_advice - who ended a conversation, and what a person can do about it: close_advice.def.
 *
 * Beside close_reason, for those who explain: /v1/reasons, /v1/requests, lbctl explain request.
 *
 * Threads: any.
 */
#ifndef LBD_BASE_CLOSE_ADVICE_H
#define LBD_BASE_CLOSE_ADVICE_H

#include "lbd/base/buf.h"
#include "lbd/base/close_reason.h"

enum close_by {
    CLOSE_BY_LBD,
    CLOSE_BY_NOBODY,
    CLOSE_BY_CLIENT,
    CLOSE_BY_SERVER,
    CLOSE_BY_OPERATOR
};

enum close_by close_advice_by(enum close_reason reason);
/* "lbd", "nobody", "client", "server", "operator" */
const char *close_advice_by_word(enum close_by by);
/* Half a sentence; nothing when none is known. The names say which policy and which pool it is
 * about; empty: it speaks of any. */
void close_advice_write(struct buf *out, enum close_reason reason, struct slice policy,
                        struct slice pool);

#endif
