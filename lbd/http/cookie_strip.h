/*
 * cookie_strip - one cookie among others: taken out of what a request sends.
 *
 *     Cookie: a=1; lbd=00ff; b=2     ->     Cookie: a=1; b=2
 *
 * The others stay byte for byte as they were sent and in their order, also what is no cookie at
 * all; only the separator at a seam goes with the one that is taken out. (cookie and request_value
 * find one.)
 *
 * Limits: the head's. Memory: the caller's arena. Threads: any.
 */
#ifndef LBD_HTTP_COOKIE_STRIP_H
#define LBD_HTTP_COOKIE_STRIP_H

#include <stdbool.h>
#include <stddef.h>

#include "lbd/http/message.h"

/* Writes the text of a Cookie field without the pairs of this name to `out`, which has room for all
 * of it. Returns how much stayed; text.len: there was none. */
size_t cookie_strip_text(struct slice text, struct slice name, char *out);
/* Has the text nothing but pairs of these names? Empty names are passed over. */
bool cookie_strip_is_all(struct slice text, const struct slice *names, size_t count);
/* The first for a request: what stays of its Cookie fields is one field then. False: it has no such
 * cookie, and nothing changed. */
bool cookie_strip(struct message *request, struct slice name, struct arena *arena);

#endif
