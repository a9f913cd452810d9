/*
 * tls_client - what the TLS connections towards the servers of one pool have in common: whom we
 * trust, who we are, which protocols and versions.
 *
 *     tls_client --tls_conn_client--> a connection of net/ --handshake--> verified, or
 *         tls_conn_why: "the certificate of 'CN=web.example' has expired"
 *
 * The name that the server's certificate must be for is that of the server, given for each
 * connection. A tls_reuse beside each server keeps its last session, so that the next handshake is
 * short.
 *
 * Memory: counted; never changed once made. Threads: built on control; used on any.
 */
#ifndef LBD_TLS_TLS_CLIENT_H
#define LBD_TLS_TLS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"
#include "lbd/tls/tls_ca.h"
#include "lbd/tls/tls_cert.h"
#include "lbd/tls/tls_version.h"

#define TLS_CLIENT_PINS_MAX 16U

enum tls_verify {
    TLS_VERIFY_FULL,  /* signed by who is trusted, valid now, and for the server's name */
    TLS_VERIFY_CHAIN, /* the name does not matter */
    TLS_VERIFY_OFF,   /* anybody's; pins still count */
};

/* Everything is borrowed for the call; what stays is referenced or copied. */
struct tls_client_options {
    enum tls_verify verify;
    struct tls_ca *ca;     /* NULL: whom the system trusts */
    struct tls_cert *cert; /* ours, if the server asks; NULL: none */
    enum tls_version min_version;
    enum tls_version max_version;
    const struct slice *alpn;               /* the best first */
    uint32_t alpn_count;                    /* 0: none is spoken of */
    const uint8_t (*pins)[TLS_CERT_SHA256]; /* SHA-256 of public keys (SubjectPublicKeyInfo);
                                               the server's must be one of them */
    uint32_t pin_count;
};

struct tls_client;

LB_MUST_CHECK struct tls_client *tls_client_new(const struct tls_client_options *options,
                                                struct err *err);
struct tls_client *tls_client_ref(struct tls_client *client);
void tls_client_unref(struct tls_client *client); /* NULL is fine */
/* A number for all that matters of it: connections of clients that differ are not shared. */
uint64_t tls_client_identity(const struct tls_client *client);

/* Of options that would make one. */
uint64_t tls_client_identity_of(const struct tls_client_options *options);

/* The last sessions with one server, each bound to the tls_client and the name it was verified
 * with (R12), offered once and for an hour at most. Limits: TLS_REUSE_SESSIONS. Memory: one beside
 * each server; it outlives the connections to it. Threads: any; a pointer is exchanged. */
#define TLS_REUSE_SESSIONS 4U
struct tls_reuse;
struct tls_reuse *tls_reuse_new(void);
void tls_reuse_free(struct tls_reuse *reuse); /* NULL is fine */
/* Forgets them: the next handshake is a full one. */
void tls_reuse_forget(struct tls_reuse *reuse);

/* What a handshake with a server failed for. */
enum tls_client_failure {
    TLS_CLIENT_HANDSHAKE, /* it is not what the peer speaks or wants */
    TLS_CLIENT_VERIFY,    /* its certificate is not to be trusted */
    TLS_CLIENT_PIN        /* its key is not one of the pinned */
};

#define TLS_CLIENT_WHY_MAX 256U

/* For this room only. */
struct ssl_st;
/* A connection of it that is to begin; `name`: host name or address that the certificate must be
 * for, and SNI; `reuse` may be NULL. NULL: no memory. */
struct ssl_st *tls_client_begin(struct tls_client *client, const char *name,
                                struct tls_reuse *reuse);
/* The handshake is complete. Any SSL. */
void tls_client_settle(struct ssl_st *ssl);
/* What it failed for; HANDSHAKE for any SSL that tls_client_begin did not make. */
enum tls_client_failure tls_client_failure(const struct ssl_st *ssl);
/* The peer said so by an alert (tls_client_explain saw it). */
bool tls_client_was_refused(const struct ssl_st *ssl);
/* The handshake is complete for us, and the server has yet to judge the certificate that it asked
 * for (TLS 1.3: its verdict is an alert, or anything else that it sends). */
bool tls_client_waits_for_verdict(const struct ssl_st *ssl);
/* Says it for a person: about the certificate with its subject, about the rest with `code` (of
 * OpenSSL's queue) and `words`, what tls_error_take has for it. */
void tls_client_explain(const struct ssl_st *ssl, unsigned long code, const char *words,
                        char out[TLS_CLIENT_WHY_MAX]);

#endif
