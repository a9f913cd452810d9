/*
 * tls_error - what OpenSSL has to say about a failure, in one sentence.
 *
 * OpenSSL keeps a queue of errors for each thread; whoever calls it takes them, or they would be
 * told about the next one's failure.
 *
 * Memory: keeps nothing. Threads: any, each its own queue.
 */
#ifndef LBD_TLS_TLS_ERROR_H
#define LBD_TLS_TLS_ERROR_H

#include <stddef.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"

#define TLS_ERROR_TEXT_MAX 160

/* Empties the queue and writes the reason of its first error ("no shared cipher"); the system's
 * word for `number` when there is none, or "unknown" when that is 0. */
void tls_error_take(int number, char out[TLS_ERROR_TEXT_MAX]);
/* Forgets what is queued. */
void tls_error_clear(void);
/* err_set with ": " and the reason behind the sentence; returns false. */
bool tls_error_set(struct err *err, enum err_kind kind, const char *fmt, ...) LB_PRINTF(3, 4);
/* Says which of several inputs the sentence is about; returns false. `err` may be NULL. */
bool tls_error_at(struct err *err, const char *place);

#endif
