/*
 * filter_external_auth - policies of the kind `external_auth`: a service says whether a request may
 * pass.
 *
 *     GET url, with X-Forwarded-{Method,Proto,Host,Uri,For} and the request's own headers that the
 *     policy names
 *         2xx            -> it passes, with the headers of the answer that the policy names
 *         3xx 401 403    -> the client gets this answer: status, body, Content-Type, Location,
 *                           WWW-Authenticate, Cache-Control, Set-Cookie
 *         304, other 4xx -> 503: a client that sends what the service chokes on does not pass
 *         anything else  -> on_error: 503, or it passes
 *
 * The status line is the verdict. A body that is too long or cut is left out of a no, which is in
 * lbd's words then, and does not matter to a yes; a yes needs a whole head, for what servers are
 * told, and is 503 without.
 *
 * In shadow mode it is asked beside the request, and a question may outlive it: it belongs to the
 * worker, FILTER_ASIDES_MAX at once, and holds the snapshot until it is answered.
 *
 * With a cache_ttl a yes is remembered by the worker, under an HMAC of all that was sent.
 *
 * Limits: FILTER_EXTERNAL_AUTH_QUESTION_MAX bytes of headers (more: 431), _ANSWER_MAX bytes of an
 * answer's body, timeout for all of a call.
 * Threads: see filter.h.
 */
#ifndef LBD_FILTER_FILTER_EXTERNAL_AUTH_H
#define LBD_FILTER_FILTER_EXTERNAL_AUTH_H

#include "lbd/filter/filter.h"

#define FILTER_EXTERNAL_AUTH_ANSWER_MAX   65536U
#define FILTER_EXTERNAL_AUTH_QUESTION_MAX 32768U /* header lines that are sent */

extern const struct filter_ops filter_external_auth_ops;

#endif
