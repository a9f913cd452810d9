/*
 * close_advice - who ended a conversation, and what a person can do about it: close_advice.def.
 *
 * Beside close_reason, for those who explain: /v1/reasons, /v1/requests, lbctl explain request.
 *
 * Threads: any.
 */
#ifndef LBD_BASE_CLOSE_ADVICE_H
#define LBD_BASE_CLOSE_ADVICE_H

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
/* Half a sentence; "": none is known. */
const char *close_advice_text(enum close_reason reason);

#endif
