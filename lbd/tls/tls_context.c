#include "lbd/tls/tls_context.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/file_stamp.h"
#include "lbd/base/mem.h"
#include "lbd/tls/tls_client.h"
#include "lbd/tls/tls_error.h"
#include "lbd/tls/tls_front.h"

#define FILES 3

struct tls_context {
    _Atomic uint32_t refs;
    struct tls_front *front;            /* of a server */
    struct tls_client *client;          /* of a client */
    struct tls_cert *cert;              /* ours; NULL: none */
    struct tls_context_options options; /* its texts are ours */
    struct file_stamp stamps[FILES];    /* of what was looked at last, good or bad */
};

static void take_stamps(const struct tls_context_options *options, struct file_stamp out[FILES])
{
    out[0] = file_stamp_of(options->chain_file);
    out[1] = file_stamp_of(options->key_file);
    out[2] = file_stamp_of(options->ca_file);
}

static char *copy(const char *text)
{
    return text != NULL ? mem_strdup(text) : NULL;
}

static bool make_front(struct tls_context *context, struct tls_ca *ca, const struct slice *alpn,
                       struct err *err)
{
    const struct tls_context_options *options = &context->options;
    const struct tls_front_options front = {
        .listener = SLICE("api"),
        .certs = &context->cert,
        .cert_count = 1,
        .min_version = options->min_version,
        .alpn = alpn,
        .alpn_count = options->protocol != NULL ? 1 : 0,
        .client_auth = ca == NULL                ? TLS_CLIENT_AUTH_OFF
                       : options->must_have_peer ? TLS_CLIENT_AUTH_REQUIRED
                                                 : TLS_CLIENT_AUTH_OPTIONAL,
        .client_ca = ca,
        .is_strict = true,
    };
    assert(context->cert != NULL);
    context->front = tls_front_new(&front, NULL, err);
    return context->front != NULL;
}

static bool make_client(struct tls_context *context, struct tls_ca *ca, const struct slice *alpn,
                        struct err *err)
{
    const struct tls_client_options client = {
        .verify = TLS_VERIFY_FULL,
        .ca = ca,
        .cert = context->cert,
        .min_version = context->options.min_version,
        .alpn = alpn,
        .alpn_count = context->options.protocol != NULL ? 1 : 0,
    };
    context->client = tls_client_new(&client, err);
    return context->client != NULL;
}

static bool make(struct tls_context *context, struct err *err)
{
    const struct tls_context_options *options = &context->options;
    struct slice alpn = slice_from(options->protocol);
    struct tls_ca *ca = NULL;
    if (options->chain_file != NULL) {
        context->cert = tls_cert_from_files(options->chain_file, options->key_file, err);
        if (context->cert == NULL) {
            return false;
        }
    }
    if (options->ca_file != NULL) {
        ca = tls_ca_from_files(options->ca_file, NULL, err);
        if (ca == NULL) {
            return tls_error_at(err, "ca_file");
        }
    }
    bool ok = options->is_server ? make_front(context, ca, &alpn, err)
                                 : make_client(context, ca, &alpn, err);
    tls_ca_unref(ca);
    return ok;
}

struct tls_context *tls_context_new(const struct tls_context_options *options, struct err *err)
{
    struct tls_context *context = mem_zero(1, sizeof(*context));
    context->refs = 1;
    context->options = *options;
    context->options.chain_file = copy(options->chain_file);
    context->options.key_file = copy(options->key_file);
    context->options.ca_file = copy(options->ca_file);
    context->options.protocol = copy(options->protocol);
    take_stamps(options,
                context->stamps); /* before reading: what changes meanwhile is seen later */
    if (make(context, err)) {
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
    tls_front_unref(context->front);
    tls_client_unref(context->client);
    tls_cert_unref(context->cert);
    free_text(context->options.chain_file);
    free_text(context->options.key_file);
    free_text(context->options.ca_file);
    free_text(context->options.protocol);
    free(context);
}

enum tls_context_news tls_context_reload(struct tls_context **context, struct err *err)
{
    struct file_stamp stamps[FILES];
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
    struct file_stamp stamps[FILES];
    bool is_same = true;
    take_stamps(&(*context)->options, stamps);
    for (size_t i = 0; i < FILES; i++) {
        is_same = is_same && file_stamp_is_same(&stamps[i], &(*context)->stamps[i]);
    }
    return is_same ? TLS_CONTEXT_SAME : tls_context_reload(context, err);
}

uint64_t tls_context_not_after_us(const struct tls_context *context)
{
    return context->cert != NULL ? tls_cert_facts(context->cert)->not_after_us : 0;
}

bool tls_context_is_for(const struct tls_context *context, struct slice host)
{
    return context->cert != NULL && tls_cert_is_for(context->cert, host);
}

struct tls_front *tls_context_front(const struct tls_context *context)
{
    return context->front;
}

struct tls_client *tls_context_client(const struct tls_context *context)
{
    return context->client;
}
