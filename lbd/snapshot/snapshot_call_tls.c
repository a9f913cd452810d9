#include "lbd/snapshot/snapshot_call_tls.h"

#include <assert.h>

#include "lbd/tls/tls_ca.h"

static bool has_https(const struct slice *urls, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (urls[i].len > 6 && slice_eq_nocase(slice_of(urls[i].ptr, 6), SLICE("https:"))) {
            return true;
        }
    }
    return false;
}

bool snapshot_call_tls(const struct snapshot_build *build, const struct slice *urls, uint32_t count,
                       struct slice ca, const struct tls_client *old, struct tls_client **tls,
                       struct err *err)
{
    struct tls_client_options options = {.verify = TLS_VERIFY_FULL};
    *tls = NULL;
    if (!has_https(urls, count)) {
        return true;
    }
    if (ca.len != 0) {
        const struct conf_ca_set *found = conf_ca_set_find(conf_document_conf(build->document), ca);
        assert(found != NULL); /* conf_check */
        options.ca = registry_ca_set_of(&build->registry->tls, found, err);
    } else {
        options.ca = registry_system_ca(build->registry, err);
    }
    if (options.ca != NULL && old != NULL &&
        tls_client_identity(old) == tls_client_identity_of(&options)) {
        *tls = tls_client_ref((struct tls_client *)(uintptr_t)old);
    } else if (options.ca != NULL) {
        *tls = tls_client_new(&options, err);
    }
    return *tls != NULL;
}
