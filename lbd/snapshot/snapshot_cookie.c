#include "lbd/snapshot/snapshot_cookie.h"

#include <stdio.h>
#include <string.h>

#include "lbd/tls/digest.h"
#include "lbd/tls/tls_secret.h"

enum { SECRET_MIN = 16 };

bool snapshot_cookie_key(struct registry_tls *tls, const struct conf_cookie *conf, uint64_t key[2],
                         struct err *err)
{
    /* for ever: another one sends every client elsewhere */
    static const uint64_t known[2] = {UINT64_C(0x6c62642073746963), UINT64_C(0x6b79206b65793031)};
    if (conf->key_file.len == 0) {
        memcpy(key, known, sizeof(known));
        return true;
    }
    const struct tls_secret *secret = registry_secret_of(tls, conf->key_file, SECRET_MIN, err);
    if (secret == NULL) {
        return false;
    }
    uint8_t digest[DIGEST_SHA256_BYTES];
    digest_sha256(tls_secret_text(secret), digest);
    memcpy(key, digest, sizeof(known));
    return true;
}

static const char *same_site_of(enum conf_same_site word)
{
    switch (word) {
    case CONF_SAME_SITE_LAX:
        return "; SameSite=Lax";
    case CONF_SAME_SITE_STRICT:
        return "; SameSite=Strict";
    case CONF_SAME_SITE_NONE:
        return "; SameSite=None";
    case CONF_SAME_SITE_UNSET:
        break;
    }
    return "";
}

struct slice snapshot_cookie_attributes(struct arena *arena, const struct conf_cookie *conf,
                                        bool over_tls)
{
    bool is_secure = conf->secure == CONF_COOKIE_SECURE_ON ||
                     (conf->secure == CONF_COOKIE_SECURE_AUTO && over_tls);
    char age[32] = "";
    if (conf->max_age_ms != 0) {
        (void)snprintf(age, sizeof(age), "; Max-Age=%u", (conf->max_age_ms + 999) / 1000);
    }
    return arena_printf(arena, "; Path=%.*s%s%.*s%s%s%s%s", SLICE_ARG(conf->path),
                        conf->domain.len != 0 ? "; Domain=" : "", SLICE_ARG(conf->domain), age,
                        conf->http_only != 0 ? "; HttpOnly" : "", is_secure ? "; Secure" : "",
                        same_site_of(conf->same_site));
}
