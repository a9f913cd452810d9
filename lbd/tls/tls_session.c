#include "lbd/tls/tls_session.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "lbd/base/mem.h"
#include "lbd/tls/tls_error.h"

struct tls_session {
    SSL *ssl;
    struct tls_context *context;
    int fd;
    bool is_broken; /* nothing may be said any more */
    bool has_ended; /* the peer says nothing more */
    char why[TLS_ERROR_TEXT_MAX];
};

/* -- a socket as OpenSSL sees it: its own would raise SIGPIPE -- */

static int on_bio_read(BIO *bio, char *out, size_t len, size_t *got)
{
    const struct tls_session *session = BIO_get_data(bio);
    ssize_t n = recv(session->fd, out, len, 0);
    BIO_clear_retry_flags(bio);
    if (n > 0) {
        *got = (size_t)n;
        return 1;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_read(bio);
    } else if (n == 0) {
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    }
    return 0;
}

static int on_bio_write(BIO *bio, const char *data, size_t len, size_t *taken)
{
    const struct tls_session *session = BIO_get_data(bio);
    ssize_t n = send(session->fd, data, len, MSG_NOSIGNAL);
    BIO_clear_retry_flags(bio);
    if (n >= 0) {
        *taken = (size_t)n;
        return 1;
    }
    if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS) {
        BIO_set_retry_write(bio);
    }
    return 0;
}

static long on_bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_FLUSH) {
        return 1;
    }
    return command == BIO_CTRL_EOF && BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
}

/* One for the process; made by whoever comes first. */
static BIO_METHOD *socket_method;
static pthread_once_t socket_once = PTHREAD_ONCE_INIT;

static void make_method(void)
{
    socket_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lbd socket");
    bool ok = socket_method != NULL && BIO_meth_set_read_ex(socket_method, on_bio_read) == 1 &&
              BIO_meth_set_write_ex(socket_method, on_bio_write) == 1 &&
              BIO_meth_set_ctrl(socket_method, on_bio_ctrl) == 1;
    assert(ok);
}

static bool attach(struct tls_session *session)
{
    (void)pthread_once(&socket_once, make_method);
    BIO *bio = BIO_new(socket_method);
    if (bio == NULL) {
        return false;
    }
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    SSL_set_bio(session->ssl, bio, bio); /* keeps it */
    return true;
}

/* -- life -- */

static bool is_ip(const char *text)
{
    unsigned char out[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, text, out) == 1 || inet_pton(AF_INET6, text, out) == 1;
}

/* The certificate must be for this name (RFC 6125); an IP address is no name for SNI (RFC 6066 3).
 */
static bool expect(SSL *ssl, const char *name)
{
    if (is_ip(name)) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    /* what SSL_set_tlsext_host_name stands for, const kept */
    return SSL_set1_host(ssl, name) == 1 &&
           SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    (void *)(uintptr_t)name) == 1;
}

struct tls_session *tls_session_new(struct tls_context *context, int fd, const char *peer_name,
                                    struct err *err)
{
    struct tls_session *session = mem_zero(1, sizeof(*session));
    tls_error_clear();
    session->fd = fd;
    session->context = tls_context_ref(context);
    session->ssl = SSL_new(tls_context_handle(context));
    if (session->ssl == NULL || !attach(session) ||
        (peer_name != NULL && !expect(session->ssl, peer_name))) {
        (void)tls_error_set(err, ERR_SYSTEM, "cannot begin TLS");
        tls_session_free(session);
        return NULL;
    }
    if (tls_context_is_server(context)) {
        SSL_set_accept_state(session->ssl);
    } else {
        SSL_set_connect_state(session->ssl);
    }
    return session;
}

void tls_session_free(struct tls_session *session)
{
    if (session != NULL) {
        SSL_free(session->ssl);
        tls_context_unref(session->context);
        free(session);
    }
}

/* -- steps -- */

static enum tls_verdict fail(struct tls_session *session, int number)
{
    long verify = SSL_get_verify_result(session->ssl);
    session->is_broken = true;
    tls_error_take(number, session->why);
    if (verify != X509_V_OK) {
        (void)snprintf(session->why, sizeof(session->why), "the certificate of the peer: %s",
                       X509_verify_cert_error_string(verify));
    }
    return TLS_FAILED;
}

static enum tls_verdict judge(struct tls_session *session, int result, int number)
{
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_NONE:
        return TLS_DONE;
    case SSL_ERROR_WANT_READ:
        return TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_END;
    default:
        return fail(session, number);
    }
}

enum tls_verdict tls_session_handshake(struct tls_session *session)
{
    if (session->is_broken) {
        return TLS_FAILED;
    }
    tls_error_clear();
    errno = 0;
    int result = SSL_do_handshake(session->ssl);
    enum tls_verdict verdict = judge(session, result, errno);
    if (verdict == TLS_END) {
        return fail(session, ECONNRESET);
    }
    return verdict;
}

bool tls_session_is_open(const struct tls_session *session)
{
    return SSL_is_init_finished(session->ssl) == 1;
}

enum tls_verdict tls_session_read(struct tls_session *session, void *out, size_t len, size_t *got)
{
    enum tls_verdict verdict = TLS_DONE;
    *got = 0;
    if (session->is_broken) {
        return TLS_FAILED;
    }
    while (*got < len && verdict == TLS_DONE) {
        size_t n = 0;
        tls_error_clear();
        errno = 0;
        int result = SSL_read_ex(session->ssl, (char *)out + *got, len - *got, &n);
        verdict = result == 1 ? TLS_DONE : judge(session, result, errno);
        *got += n;
    }
    session->has_ended = session->has_ended || verdict == TLS_END;
    return *got > 0 ? TLS_DONE : verdict;
}

enum tls_verdict tls_session_write(struct tls_session *session, const void *data, size_t len,
                                   size_t *taken)
{
    *taken = 0;
    if (session->is_broken) {
        return TLS_FAILED;
    }
    tls_error_clear();
    errno = 0;
    int result = SSL_write_ex(session->ssl, data,
                              len < TLS_SESSION_RECORD_MAX ? len : TLS_SESSION_RECORD_MAX, taken);
    return result == 1 ? TLS_DONE : judge(session, result, errno);
}

enum tls_verdict tls_session_shut(struct tls_session *session)
{
    if (session->is_broken || !tls_session_is_open(session)) {
        return TLS_DONE; /* there is nothing to end */
    }
    tls_error_clear();
    errno = 0;
    int result = SSL_shutdown(session->ssl);
    return result >= 0 ? TLS_DONE : judge(session, result, errno);
}

bool tls_session_has_ended(const struct tls_session *session)
{
    return session->has_ended || session->is_broken;
}

const char *tls_session_why(const struct tls_session *session)
{
    return session->why;
}

const char *tls_session_version(const struct tls_session *session)
{
    return SSL_get_version(session->ssl);
}

/* -- who is there -- */

static void add_name(struct tls_names *out, const char *kind, const unsigned char *text, int len)
{
    size_t kind_len = strlen(kind);
    if (len <= 0 || out->count == TLS_NAMES_MAX ||
        out->len + kind_len + (size_t)len > sizeof(out->text)) {
        return;
    }
    for (int i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] == 0x7F) { /* "a\0.evil" is not "a" */
            return;
        }
    }
    char *at = out->text + out->len;
    memcpy(at, kind, kind_len);
    memcpy(at + kind_len, text, (size_t)len);
    out->items[out->count++] = slice_of(at, kind_len + (size_t)len);
    out->len += kind_len + (size_t)len;
}

static void add_alternatives(struct tls_names *out, const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int type = 0;
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
        const char *kind = type == GEN_DNS     ? "DNS:"
                           : type == GEN_URI   ? "URI:"
                           : type == GEN_EMAIL ? "email:"
                                               : NULL;
        if (kind != NULL) {
            add_name(out, kind, ASN1_STRING_get0_data(value), ASN1_STRING_length(value));
        }
    }
    GENERAL_NAMES_free(names);
}

static void add_common_names(struct tls_names *out, const X509 *certificate)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = -1;
    while ((at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0) {
        const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
        unsigned char *text = NULL;
        int len = ASN1_STRING_to_UTF8(&text, value);
        add_name(out, "CN:", text, len);
        OPENSSL_free(text);
    }
}

void tls_session_peer_names(const struct tls_session *session, struct tls_names *out)
{
    X509 *certificate = SSL_get1_peer_certificate(session->ssl);
    out->is_shown = certificate != NULL;
    out->count = 0;
    out->len = 0;
    if (certificate != NULL) {
        add_alternatives(out, certificate);
        add_common_names(out, certificate);
        X509_free(certificate);
    }
    tls_error_clear();
}
