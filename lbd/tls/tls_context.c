#include "lbd/tls/tls_context.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "lbd/base/mem.h"
#include "lbd/tls/tls_error.h"
#include "lbd/tls/tls_key.h"

#define FILES        3
#define PROTOCOL_MAX 32

/* What tells one state of a file from another. */
struct stamp {
    bool exists;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct tls_context {
    _Atomic uint32_t refs;
    SSL_CTX *handle;
    struct tls_context_options options; /* its texts are ours */
    struct stamp stamps[FILES];         /* of what was looked at last, good or bad */
    unsigned char alpn[PROTOCOL_MAX];   /* a length and the name */
    unsigned alpn_len;
};

static struct stamp stamp_of(const char *path)
{
    struct stat found;
    struct stamp stamp = {0};
    if (path != NULL && stat(path, &found) == 0) {
        stamp = (struct stamp){.exists = true,
                               .device = found.st_dev,
                               .inode = found.st_ino,
                               .size = found.st_size,
                               .changed = found.st_ctim};
    }
    return stamp;
}

static bool stamp_is_same(const struct stamp *a, const struct stamp *b)
{
    return a->exists == b->exists && a->device == b->device && a->inode == b->inode &&
           a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

static void take_stamps(const struct tls_context_options *options, struct stamp out[FILES])
{
    out[0] = stamp_of(options->chain_file);
    out[1] = stamp_of(options->key_file);
    out[2] = stamp_of(options->ca_file);
}

static char *copy(const char *text)
{
    return text != NULL ? mem_strdup(text) : NULL;
}

/* The client's list has our protocol, or it speaks to the wrong place (RFC 7301 3.2). */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *arg)
{
    const struct tls_context *context = arg;
    unsigned char *found = NULL;
    (void)ssl;
    if (SSL_select_next_proto(&found, out_len, context->alpn, context->alpn_len, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = found;
    return SSL_TLSEXT_ERR_OK;
}

static bool set_protocol(struct tls_context *context)
{
    const char *name = context->options.protocol;
    if (name == NULL) {
        return true;
    }
    size_t len = strlen(name);
    assert(len > 0 && len < PROTOCOL_MAX);
    context->alpn[0] = (unsigned char)len;
    memcpy(context->alpn + 1, name, len);
    context->alpn_len = (unsigned)len + 1;
    if (context->options.is_server) {
        SSL_CTX_set_alpn_select_cb(context->handle, on_alpn, context);
        return true;
    }
    return SSL_CTX_set_alpn_protos(context->handle, context->alpn, context->alpn_len) == 0;
}

static bool set_rules(struct tls_context *context, struct err *err)
{
    SSL_CTX *handle = context->handle;
    int version = context->options.min_version == TLS_VERSION_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    (void)SSL_CTX_set_options(handle, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                          SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_mode(handle, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                       SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    (void)SSL_CTX_set_session_cache_mode(handle, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(handle, 0);
    if (SSL_CTX_set_min_proto_version(handle, version) != 1 ||
        SSL_CTX_set_cipher_list(handle, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1 ||
        !set_protocol(context)) {
        return tls_error_set(err, ERR_SYSTEM, "OpenSSL does not take our rules");
    }
    return true;
}

/* Which of the files it is; returns false. */
static bool in_file(struct err *err, const char *which)
{
    if (err != NULL) {
        (void)snprintf(err->place, sizeof(err->place), "%s", which);
    }
    return false;
}

static bool load_own(struct tls_context *context, struct err *err)
{
    const struct tls_context_options *options = &context->options;
    if (options->chain_file == NULL) {
        return true;
    }
    if (SSL_CTX_use_certificate_chain_file(context->handle, options->chain_file) != 1) {
        (void)tls_error_set(err, ERR_INVALID, "cannot use the certificate '%s'",
                            options->chain_file);
        return in_file(err, "chain_file");
    }
    struct tls_key *key = tls_key_load(options->key_file, err);
    bool ok = key != NULL && tls_key_use(key, context->handle, err);
    tls_key_free(key);
    return ok || in_file(err, "key_file");
}

static bool load_trusted(struct tls_context *context, struct err *err)
{
    const struct tls_context_options *options = &context->options;
    SSL_CTX *handle = context->handle;
    if (options->ca_file != NULL) {
        if (SSL_CTX_load_verify_file(handle, options->ca_file) != 1) {
            (void)tls_error_set(err, ERR_INVALID, "cannot use the certificates of '%s'",
                                options->ca_file);
            return in_file(err, "ca_file");
        }
        if (options->is_server) {
            STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(options->ca_file);
            SSL_CTX_set_client_CA_list(handle, names);
        }
    } else if (!options->is_server && SSL_CTX_set_default_verify_paths(handle) != 1) {
        return tls_error_set(err, ERR_SYSTEM, "cannot use the system's certificates");
    }
    if (!options->is_server) {
        SSL_CTX_set_verify(handle, SSL_VERIFY_PEER, NULL);
    } else if (options->ca_file != NULL) {
        int must = options->must_have_peer ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
        SSL_CTX_set_verify(handle, SSL_VERIFY_PEER | must, NULL);
    }
    return true;
}

struct tls_context *tls_context_new(const struct tls_context_options *options, struct err *err)
{
    struct tls_context *context = mem_zero(1, sizeof(*context));
    tls_error_clear();
    context->refs = 1;
    context->options = *options;
    context->options.chain_file = copy(options->chain_file);
    context->options.key_file = copy(options->key_file);
    context->options.ca_file = copy(options->ca_file);
    context->options.protocol = copy(options->protocol);
    take_stamps(options,
                context->stamps); /* before reading: what changes meanwhile is seen later */
    context->handle = SSL_CTX_new(options->is_server ? TLS_server_method() : TLS_client_method());
    if (context->handle == NULL) {
        (void)tls_error_set(err, ERR_SYSTEM, "OpenSSL does not start");
    } else if (set_rules(context, err) && load_own(context, err) && load_trusted(context, err)) {
        return context;
    }
    tls_context_unref(context);
    return NULL;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    (void)atomic_fetch_add(&context->refs, 1);
    return context;
}

/* The texts are const for their readers, and ours to free. */
static void free_text(const char *text)
{
    free((void *)(uintptr_t)text);
}

void tls_context_unref(struct tls_context *context)
{
    if (context == NULL || atomic_fetch_sub(&context->refs, 1) != 1) {
        return;
    }
    SSL_CTX_free(context->handle);
    free_text(context->options.chain_file);
    free_text(context->options.key_file);
    free_text(context->options.ca_file);
    free_text(context->options.protocol);
    free(context);
}

enum tls_context_news tls_context_reload(struct tls_context **context, struct err *err)
{
    struct stamp stamps[FILES];
    take_stamps(&(*context)->options, stamps);
    struct tls_context *fresh = tls_context_new(&(*context)->options, err);
    if (fresh == NULL) {
        memcpy((*context)->stamps, stamps, sizeof(stamps)); /* told once */
        return TLS_CONTEXT_BAD;
    }
    tls_context_unref(*context);
    *context = fresh;
    return TLS_CONTEXT_READ;
}

enum tls_context_news tls_context_refresh(struct tls_context **context, struct err *err)
{
    struct stamp stamps[FILES];
    bool is_same = true;
    take_stamps(&(*context)->options, stamps);
    for (size_t i = 0; i < FILES; i++) {
        is_same = is_same && stamp_is_same(&stamps[i], &(*context)->stamps[i]);
    }
    return is_same ? TLS_CONTEXT_SAME : tls_context_reload(context, err);
}

uint64_t tls_context_not_after_us(const struct tls_context *context)
{
    const X509 *certificate = SSL_CTX_get0_certificate(context->handle);
    struct tm parts;
    if (certificate == NULL || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) {
        return 0;
    }
    time_t end = timegm(&parts);
    return end > 0 ? (uint64_t)end * 1000000U : 0;
}

bool tls_context_is_for(const struct tls_context *context, struct slice host)
{
    X509 *own = SSL_CTX_get0_certificate(context->handle);
    return own != NULL && host.len != 0 &&
           X509_check_host(own, host.ptr, host.len, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) ==
               1;
}

void *tls_context_handle(const struct tls_context *context)
{
    return context->handle;
}

bool tls_context_is_server(const struct tls_context *context)
{
    return context->options.is_server;
}
