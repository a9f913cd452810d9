/*
 * api_guard - who asks, and what may they?
 *
 *     unix socket    SO_PEERCRED, SO_PEERGROUPS  -> role     root and lbd's own user: admin
 *     Authorization  token_file                  -> role     what it says counts, also on a socket
 *     certificate    names and patterns          -> role     of TLS with
 * daemon.api.tls.client_ca_file observe                                    -> metrics
 *
 * Knows nothing of HTTP beyond the two header values, and nothing of libmicrohttpd. Counts and
 * limits failures by source and writes by identity; writes the audit.
 *
 * Memory: owns tokens, limits, audit. Threads: control.
 */
#ifndef API_API_GUARD_H
#define API_API_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "api/api_request.h"
#include "api/token_file.h"
#include "conf/conf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

struct api_guard;

/* Reads the tokens, opens the audit, looks up the groups. NULL: *err says why (ERR_INVALID: what
 * is configured). `daemon` is borrowed. */
LB_MUST_CHECK struct api_guard *api_guard_new(const struct conf_daemon *daemon, struct err *err);
void api_guard_free(struct api_guard *guard); /* NULL is fine */
/* The same without opening anything for writing: `lbd -t`. */
LB_MUST_CHECK bool api_guard_check(const struct conf_daemon *daemon, struct err *err);
/* SIGHUP: tokens and groups again. SIGUSR1: the audit file again. */
void api_guard_reload(struct api_guard *guard);
void api_guard_reopen(struct api_guard *guard);

/* -- who -- */

/* Where a request comes from. */
struct api_peer {
    bool is_observe;
    bool is_unix;
    bool is_tls;
    int fd;                          /* of a unix socket's client */
    const char *ip;                  /* of a TCP client, without port */
    const struct slice *certificate; /* its names, "DNS:..." first; NULL: it showed none */
    uint32_t certificate_count;
    struct slice authorization; /* the header; ptr NULL: none */
};

enum api_guard_verdict {
    API_GUARD_KNOWN,   /* has a role */
    API_GUARD_UNKNOWN, /* 401: no or wrong credentials */
    API_GUARD_NO_ROLE, /* 403: known, and nothing is allowed to it */
    API_GUARD_TOO_MANY /* 429: it failed too often */
};

enum api_guard_verdict api_guard_identify(struct api_guard *guard, const struct api_peer *peer,
                                          struct api_identity *out);
/* Is what it showed still good? Asked while a long answer is sent: a token may have been revoked or
 * have expired. */
bool api_guard_still_knows(struct api_guard *guard, const struct api_identity *identity);
/* May this identity write now? False: *retry_s. */
bool api_guard_may_write(struct api_guard *guard, const struct api_identity *identity,
                         uint32_t *retry_s);
/* A TLS handshake that came to nothing. */
void api_guard_note_handshake(struct api_guard *guard, const char *ip, const char *why);
/* Host of a request over TCP. */
bool api_guard_knows_host(const struct api_guard *guard, struct slice host);

/* -- what was refused, for the metrics -- */

enum api_guard_failure {
    API_GUARD_NO_CREDENTIALS,
    API_GUARD_BAD_TOKEN,
    API_GUARD_EXPIRED_TOKEN,
    API_GUARD_CERTIFICATE, /* with names that have no role */
    API_GUARD_PEER,        /* a local user without a role */
    API_GUARD_ROLE,        /* known, but not for this */
    API_GUARD_HOST,
    API_GUARD_BROWSER,
    API_GUARD_HANDSHAKE, /* TLS, also a client certificate that is not good */
    API_GUARD_FAILURES
};
void api_guard_count(enum api_guard_failure failure);
uint64_t api_guard_failures(enum api_guard_failure failure);
const char *api_guard_failure_word(enum api_guard_failure failure);
/* Answers with 429. */
void api_guard_count_limited(void);
uint64_t api_guard_limited(void);

/* -- the audit -- */

/* Can what is about to be changed be written down? False: *err; the change is to be refused. */
LB_MUST_CHECK bool api_guard_can_audit(struct api_guard *guard, struct err *err);
/* A write, or something refused: into the audit file and the log. */
struct api_guard_record {
    const struct api_request *request;
    const char *method; /* as it came */
    bool is_denied;
    uint64_t revision_before;
};
void api_guard_audit(struct api_guard *guard, const struct api_guard_record *record);
/* Notes what `request` changed, for its line in the audit. */
void api_guard_note_changes(struct api_request *request, const struct conf_document *before,
                            const struct conf_document *after);
/* Lines that the file did not take. */
uint64_t api_guard_audit_lost(void);

/* -- tokens, for their resources -- */

/* Has read what changed in the file. */
struct token_file *api_guard_tokens(struct api_guard *guard);
const char *api_guard_via_word(enum api_via via);

#endif
