/*
 * close_reason - every way a conversation ends, in one table.
 *
 * The word is the same in the access log ("reason"), in metrics (label reason), in API answers and
 * in the header Lbd-Reason of answers by which lbd refuses a request or says what failed.
 * close_reasons.def is the table.
 *
 * Threads: any.
 */
#ifndef LBD_BASE_CLOSE_REASON_H
#define LBD_BASE_CLOSE_REASON_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/slice.h"

enum close_reason {
#define REASON(name, word, status, sentence) CLOSE_##name,
#include "lbd/base/close_reasons.def"
#undef REASON
    CLOSE_REASON_COUNT
};

struct slice close_reason_word(enum close_reason reason);
/* The HTTP status of the answer that lbd makes for it; 0: no answer is made. */
uint16_t close_reason_status(enum close_reason reason);
/* Did it go as it should? */
static inline bool close_reason_is_good(enum close_reason reason)
{
    return reason < CLOSE_CLIENT_ABORT;
}
/* Is it a request that broke the protocol? Nothing more is read from such a client. */
static inline bool close_reason_is_malformed(enum close_reason reason)
{
    return reason >= CLOSE_BAD_REQUEST_LINE && reason <= CLOSE_BODY_TOO_LARGE;
}
const char *close_reason_sentence(enum close_reason reason);

#endif
