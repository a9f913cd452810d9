/*
 * endpoint - where an lbd answers, and what to show it: a socket, or a URL with who is trusted and
 * who we are.
 *
 *     unix:/run/lbd/api.sock             the kernel says who we are
 *     https://lb1.example.com:9443       TLS; a token, a certificate, or both
 *     http://127.0.0.1:9443              loopback only, for daemon.api.insecure; a token
 *
 * A token is read from its file when it is needed and shown nowhere.
 *
 * Memory: owns its texts. Threads: one.
 */
#ifndef CTL_ENDPOINT_H
#define CTL_ENDPOINT_H

#include <stdbool.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

#define ENDPOINT_TOKEN_MAX 512 /* bytes of a token, with its NUL */

struct endpoint {
    char *socket; /* the path of a unix socket; NULL: what follows */
    char *url;    /* as it was given, without a slash at its end */
    char *host;   /* name or IP address, without brackets */
    char *port;
    bool is_tls;
    char *ca_file;    /* NULL: whom the system trusts */
    char *cert_file;  /* of ours, or NULL */
    char *key_file;   /* its key */
    char *token_file; /* or NULL */
};

void endpoint_init(struct endpoint *endpoint);
void endpoint_fini(struct endpoint *endpoint);
/* Keeps a copy; NULL and "" take it away. */
void endpoint_text(char **place, const char *value);
/* "unix:/path", a path. */
void endpoint_set_socket(struct endpoint *endpoint, const char *path);
/* Takes the parts of an https:// or http:// URL. False: ERR_INVALID. */
LB_MUST_CHECK bool endpoint_set_url(struct endpoint *endpoint, const char *url, struct err *err);
/* What is set goes together: a certificate has its key, a URL without TLS is loopback. */
LB_MUST_CHECK bool endpoint_check(const struct endpoint *endpoint, struct err *err);
/* For messages: the path of the socket, or the URL. */
const char *endpoint_name(const struct endpoint *endpoint);
/* Reads the token into `out`; "" when there is none. False: ERR_INVALID. */
LB_MUST_CHECK bool endpoint_read_token(const struct endpoint *endpoint,
                                       char out[ENDPOINT_TOKEN_MAX], struct err *err);

#endif
