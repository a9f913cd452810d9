/*
 * http_call - lbd's own small HTTP/1.1 client: one request, one whole answer, one callback.
 *
 *     http_call_start -> [resolve] -> talk: connect, TLS -> request out -> answer in -> fn()
 *              '---------------- timeout, refused, not trusted, malformed -------------^
 *
 * For what lbd itself asks: OCSP responders, callbacks. The connection is closed afterwards, or
 * waits for the next call (http_lines): when a connection that waited turns out to be closed before
 * a byte of the answer came, the call is made again, once, on a new one. Redirects are answers like
 * any other.
 *
 * Limits: URL_MAX (base/url), a head of 64 KiB and 100 fields, 5 interim answers, answer_max bytes
 * of body, timeout_ms for everything. Memory: lives until fn or http_call_cancel. Threads: the
 * loop's owner.
 */
#ifndef LBD_UPSTREAM_HTTP_CALL_H
#define LBD_UPSTREAM_HTTP_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/addr.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"
#include "lbd/http/headers.h"
#include "lbd/net/loop.h"
#include "lbd/net/resolve.h"
#include "lbd/tls/tls_client.h"
#include "lbd/upstream/http_lines.h"

#define HTTP_CALL_WHY_MAX TLS_CLIENT_WHY_MAX

/* Borrowed for the call of http_call_start; `tls` is referenced, `resolve` lives longer. */
struct http_call_request {
    struct slice url;    /* http://host[:port]/path?query, or https: base/url */
    struct slice method; /* empty: GET, with a body POST */
    struct slice body;
    struct slice content_type; /* of the body */
    struct slice accept;       /* empty: not sent */
    struct slice fields;       /* further header lines, valid, each with its CRLF */
    bool is_copy; /* of a request of somebody else: what is not in `fields` is not there, but Host
                     and the length of the body */
    const struct addr *address; /* where it is; NULL: its host says so */
    struct resolve *resolve;    /* for hosts that are names; NULL: those fail */
    struct tls_client *tls;     /* for https; NULL: that fails */
    struct http_lines *lines;   /* connections that wait; NULL: none, and this one closes */
    uint32_t timeout_ms;
    uint32_t answer_max; /* bytes of its body */
};

struct http_call_answer {
    uint16_t status;      /* 0: no whole answer came, `why` says why */
    uint16_t status_line; /* what its status line says, whatever became of the rest; 0: none came */
    const struct headers *headers; /* NULL: its head did not come whole */
    struct slice content_type;
    struct slice body; /* borrowed for the call, as all texts */
    const char *why;   /* "connection refused", "timed out after 5s"; "" with a status */
};

struct http_call;
/* The call is gone when this is called. */
typedef void http_call_fn(const struct http_call_answer *answer, void *arg);

/* fn comes later from the loop, once, also for a URL that is none. */
struct http_call *http_call_start(struct loop *loop, const struct http_call_request *request,
                                  http_call_fn *fn, void *arg);
/* fn will not come. NULL is fine. */
void http_call_cancel(struct http_call *call);

#endif
