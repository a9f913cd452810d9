/*
 * tls_context - the TLS of one place that is named by files: the doors of the API, and lbctl's
 * connection to one. What listeners have as tls_front and pools as tls_client, and the watch over
 * its files.
 *
 * Never changed once made; a file that changed makes a new one, and connections keep theirs.
 *
 *     tls_context --tls_session_new--> tls_session (a descriptor)
 *                 --tls_conn_init----> tls_conn    (a connection of net/)
 *
 * No tickets, no sessions kept.
 *
 * Memory: counted. Threads: made and refreshed by one; sessions of it may be of any thread.
 */
#ifndef LBD_TLS_TLS_CONTEXT_H
#define LBD_TLS_TLS_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"
#include "lbd/tls/tls_version.h"

struct tls_context_options {
    bool is_server;
    const char *chain_file; /* our certificate first; NULL: none (clients) */
    const char *key_file;   /* its key */
    const char *ca_file;    /* who may sign peers' certificates. NULL: server: does not ask for
                               one; client: whom the system trusts */
    bool must_have_peer;    /* server with ca_file: a client without a certificate is refused */
    enum tls_version min_version; /* ANY: 1.2 */
    const char *protocol;         /* ALPN, "http/1.1"; NULL: none is spoken of */
};

struct tls_context;

/* The texts of `options` are copied. NULL: *err says which file and why (ERR_INVALID; its place is
 * "chain_file", "key_file" or "ca_file"). */
LB_MUST_CHECK struct tls_context *tls_context_new(const struct tls_context_options *options,
                                                  struct err *err);
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context); /* NULL is fine */

enum tls_context_news { TLS_CONTEXT_SAME, TLS_CONTEXT_READ, TLS_CONTEXT_BAD };
/* Looks whether a file changed, and if so puts a new context into *context. BAD, once for each
 * change: *err says why the old one stays. */
enum tls_context_news tls_context_refresh(struct tls_context **context, struct err *err);
/* Reads the files whether they changed or not. */
enum tls_context_news tls_context_reload(struct tls_context **context, struct err *err);

/* When our certificate ceases to be valid, wall clock; 0: there is none. */
uint64_t tls_context_not_after_us(const struct tls_context *context);

/* Is our own certificate for this host name (RFC 6125)? */
bool tls_context_is_for(const struct tls_context *context, struct slice host);

/* For this room only; of a server, of a client. NULL: it is the other. */
struct tls_front;
struct tls_client;
struct tls_front *tls_context_front(const struct tls_context *context);
struct tls_client *tls_context_client(const struct tls_context *context);

#endif
