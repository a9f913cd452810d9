#include "lbd/snapshot/snapshot_pool_tls.h"

#include <stdio.h>
#include <string.h>

#include "lbd/tls/digest.h"

/* "/pools/web/tls/ca" */
static bool at_key(struct err *err, const struct conf_pool *pool, const char *key)
{
    (void)snprintf(err->place, sizeof(err->place), "/pools/%.*s/tls/%s", SLICE_ARG(pool->name),
                   key);
    return false;
}

static enum tls_version version_of(enum conf_tls_version version)
{
    return version == CONF_TLS_1_3 ? TLS_VERSION_1_3 : TLS_VERSION_1_2;
}

static enum tls_verify verify_of(enum conf_tls_verify verify)
{
    switch (verify) {
    case CONF_TLS_VERIFY_FULL:
        return TLS_VERIFY_FULL;
    case CONF_TLS_VERIFY_CHAIN:
        return TLS_VERIFY_CHAIN;
    case CONF_TLS_VERIFY_OFF:
        return TLS_VERIFY_OFF;
    }
    return TLS_VERIFY_FULL;
}

static bool find_certificate(const struct conf *conf, const struct conf_pool *pool,
                             struct registry *registry, struct tls_client_options *options,
                             struct err *err)
{
    if (pool->tls.certificate.len == 0) {
        return true;
    }
    const struct conf_certificate *found = conf_certificate_find(conf, pool->tls.certificate);
    assert(found != NULL); /* conf_check */
    options->cert = registry_certificate_of(&registry->tls, found, err);
    return options->cert != NULL || at_key(err, pool, "certificate");
}

static bool find_trusted(const struct conf *conf, const struct conf_pool *pool,
                         struct registry *registry, struct tls_client_options *options,
                         struct err *err)
{
    if (options->verify == TLS_VERIFY_OFF) {
        return true;
    }
    if (pool->tls.ca.len != 0) {
        const struct conf_ca_set *found = conf_ca_set_find(conf, pool->tls.ca);
        assert(found != NULL); /* conf_check */
        options->ca = registry_ca_set_of(&registry->tls, found, err);
        return options->ca != NULL || at_key(err, pool, "ca");
    }
    options->ca = registry_system_ca(registry, err);
    return options->ca != NULL || at_key(err, pool, "ca");
}

static bool read_pins(const struct conf_pool *pool, uint8_t out[][TLS_CERT_SHA256],
                      struct tls_client_options *options, struct err *err)
{
    for (uint32_t i = 0; i < pool->tls.pin_sha256_count; i++) {
        if (options->pin_count == TLS_CLIENT_PINS_MAX ||
            !digest_read_base64(pool->tls.pin_sha256[i], out[options->pin_count])) {
            (void)err_set(err, ERR_INVALID, "must be base64 of 32 bytes, %u of them at most",
                          TLS_CLIENT_PINS_MAX);
            return at_key(err, pool, "pin_sha256");
        }
        options->pin_count++;
    }
    options->pins = (const uint8_t(*)[TLS_CERT_SHA256])out;
    return true;
}

/* HTTP/1.1 goes without ALPN: what does not know it (and what is no HTTP) is reached too. */
static void set_protocols(const struct conf_pool *pool, struct tls_client_options *options)
{
    static const struct slice protocols[] = {SLICE_INIT("h2"), SLICE_INIT("http/1.1")};
    options->alpn = protocols;
    options->alpn_count = pool->has_mail != 0                            ? 0
                          : pool->http_version == CONF_HTTP_VERSION_2    ? 1
                          : pool->http_version == CONF_HTTP_VERSION_AUTO ? 2
                                                                         : 0;
}

bool snapshot_pool_tls(const struct conf *conf, const struct conf_pool *pool,
                       struct registry *registry, const struct pool *old,
                       struct tls_client **client, struct err *err)
{
    uint8_t pins[TLS_CLIENT_PINS_MAX][TLS_CERT_SHA256];
    struct tls_client_options options = {.verify = verify_of(pool->tls.verify),
                                         .min_version = version_of(pool->tls.min_version)};
    *client = NULL;
    if (!pool->has_tls) {
        return true;
    }
    set_protocols(pool, &options);
    if (!find_certificate(conf, pool, registry, &options, err) ||
        !find_trusted(conf, pool, registry, &options, err) ||
        !read_pins(pool, pins, &options, err)) {
        return false;
    }
    if (old != NULL && old->tls != NULL &&
        tls_client_identity(old->tls) == tls_client_identity_of(&options)) {
        *client = tls_client_ref(old->tls);
        return true;
    }
    *client = tls_client_new(&options, err);
    return *client != NULL || at_key(err, pool, "");
}

void snapshot_pool_tls_commit(const struct snapshot *snapshot, struct registry *registry)
{
    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool *pool = snapshot->pools[i];
        struct registry_pool *live = registry_find_pool(registry, pool->name);
        if (live != NULL && live->tls != pool->tls) {
            tls_client_unref(live->tls);
            live->tls = pool->tls != NULL ? tls_client_ref(pool->tls) : NULL;
        }
    }
}
