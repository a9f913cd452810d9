#include "tests/bench/secure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

static SSL_CTX *context;
static const char *offered; /* borrowed: the protocol of ALPN, or NULL */
static char spoken[128] = "";

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "bench_load: %s: %s\n", what, ERR_error_string(ERR_get_error(), NULL));
    exit(EXIT_FAILURE);
}

/* A session to keep has come: after the handshake in TLS 1.2, with a ticket in TLS 1.3. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct secure *secure = SSL_get_app_data(ssl);
    SSL_SESSION_free(secure->kept);
    secure->kept = session;
    return 1; /* the reference is ours */
}

void secure_init(const char *version, const char *alpn, bool resume)
{
    int number = strcmp(version, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || SSL_CTX_set_min_proto_version(context, number) != 1 ||
        SSL_CTX_set_max_proto_version(context, number) != 1 ||
        SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_set_cipher_list(context,
                                "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256") != 1 ||
        SSL_CTX_set1_groups_list(context, "X25519:P-256") != 1) {
        die("TLS");
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    offered = alpn;
    if (alpn != NULL) {
        unsigned char list[32];
        size_t len = strlen(alpn);
        list[0] = (unsigned char)len;
        memcpy(list + 1, alpn, len);
        if (SSL_CTX_set_alpn_protos(context, list, (unsigned)len + 1) != 0) {
            die("ALPN");
        }
    }
    if (resume) {
        (void)SSL_CTX_set_session_cache_mode(context,
                                             SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, on_session);
    }
}

void secure_open(struct secure *secure, int fd)
{
    secure->ssl = SSL_new(context);
    if (secure->ssl == NULL || SSL_set_fd(secure->ssl, fd) != 1 ||
        SSL_set_tlsext_host_name(secure->ssl, "bench.test") != 1) {
        die("SSL_new");
    }
    SSL_set_app_data(secure->ssl, secure);
    SSL_set_connect_state(secure->ssl);
    secure->resumed = false;
    if (secure->kept != NULL) {
        (void)SSL_set_session(secure->ssl, secure->kept);
    }
}

static bool alpn_taken(const struct secure *secure)
{
    const unsigned char *chosen = NULL;
    unsigned len = 0;
    if (offered == NULL) {
        return true;
    }
    SSL_get0_alpn_selected(secure->ssl, &chosen, &len);
    return len == strlen(offered) && memcmp(chosen, offered, len) == 0;
}

enum secure_step secure_handshake(struct secure *secure)
{
    ERR_clear_error();
    int got = SSL_do_handshake(secure->ssl);
    if (got == 1) {
        secure->resumed = SSL_session_reused(secure->ssl) == 1;
        if (spoken[0] == '\0') {
            (void)snprintf(spoken, sizeof(spoken), "%s %s", SSL_get_version(secure->ssl),
                           SSL_get_cipher_name(secure->ssl));
        }
        return alpn_taken(secure) ? SECURE_DONE : SECURE_BAD;
    }
    int error = SSL_get_error(secure->ssl, got);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? SECURE_MORE : SECURE_BAD;
}

/* What SSL_read and SSL_write answered, as recv and send would have. */
static ssize_t as_socket(const struct secure *secure, int got)
{
    if (got > 0) {
        return got;
    }
    switch (SSL_get_error(secure->ssl, got)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        errno = ECONNRESET;
        return -1;
    }
}

ssize_t secure_read(struct secure *secure, void *bytes, size_t room)
{
    ERR_clear_error();
    return as_socket(secure,
                     SSL_read(secure->ssl, bytes, room > INT32_MAX ? INT32_MAX : (int)room));
}

ssize_t secure_write(struct secure *secure, const void *bytes, size_t len)
{
    ERR_clear_error();
    return as_socket(secure, SSL_write(secure->ssl, bytes, len > INT32_MAX ? INT32_MAX : (int)len));
}

void secure_close(struct secure *secure)
{
    if (secure->ssl != NULL) {
        /* Without this its session would count as broken and could not be resumed. */
        SSL_set_shutdown(secure->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(secure->ssl);
        secure->ssl = NULL;
    }
}

const char *secure_spoken(void)
{
    return spoken;
}
