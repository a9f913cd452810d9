#include "lbd/filter/jwt_keys.h"

#include <string.h>

#include "lbd/base/base64.h"

static const struct json_limits limits = {
    .bytes = 1024U * 1024, .depth = 8, .values = 20000, .objects = 2000};

/* A member in base64; empty: it is not there, or malformed. */
static struct slice bytes_of(const struct json *key, const char *name, struct arena *arena)
{
    struct slice text = json_string(json_get(key, slice_from(name)));
    struct slice bytes;
    if (text.len == 0) {
        return SLICE_NONE;
    }
    char *copy = arena_alloc(arena, text.len);
    memcpy(copy, text.ptr, text.len);
    return base64_read_url(copy, text.len, &bytes) ? bytes : SLICE_NONE;
}

static bool is(const struct json *key, const char *name, const char *word)
{
    return slice_eq(json_string(json_get(key, slice_from(name))), slice_from(word));
}

/* NULL: none that is known here. */
static struct jwk *make(const struct json *key, struct arena *arena)
{
    struct slice use = json_string(json_get(key, SLICE("use")));
    if (use.len > 0 && !slice_eq(use, SLICE("sig"))) {
        return NULL;
    }
    if (is(key, "kty", "RSA")) {
        return jwk_new_rsa(bytes_of(key, "n", arena), bytes_of(key, "e", arena));
    }
    if (is(key, "kty", "EC") && is(key, "crv", "P-256")) {
        return jwk_new_p256(bytes_of(key, "x", arena), bytes_of(key, "y", arena));
    }
    if (is(key, "kty", "OKP") && is(key, "crv", "Ed25519")) {
        return jwk_new_ed25519(bytes_of(key, "x", arena));
    }
    return is(key, "kty", "oct") ? jwk_new_secret(bytes_of(key, "k", arena)) : NULL;
}

/* One that says what it is for is for nothing else. */
static bool is_for(const struct jwk *made, const struct json *key)
{
    struct slice alg = json_string(json_get(key, SLICE("alg")));
    return alg.len == 0 || slice_eq(alg, slice_from(jwk_alg_word(jwk_alg(made))));
}

bool jwt_keys_read(struct jwt_keys *keys, struct arena *arena, struct slice text, struct err *err)
{
    struct json_error error;
    struct arena scratch;
    struct json *set = json_parse(text, JSON_FOREIGN, &limits, &error);
    const struct json *list = json_get(set, SLICE("keys"));
    const struct json *key;
    if (!json_is(list, JSON_ARRAY)) {
        json_free(set);
        return err_set(err, ERR_INVALID, "the keys are no JWKS: {\"keys\": [...]} (RFC 7517)");
    }
    arena_init(&scratch, NULL, 0);
    json_for_each(key, list)
    {
        struct jwk *made = json_is(key, JSON_OBJECT) ? make(key, &scratch) : NULL;
        if (made == NULL || !is_for(made, key) || keys->count == JWT_KEYS_MAX) {
            jwk_free(made);
            continue;
        }
        keys->list[keys->count++] = (struct jwt_key){
            .kid = arena_copy(arena, json_string(json_get(key, SLICE("kid")))), .key = made};
    }
    arena_fini(&scratch);
    json_free(set);
    return keys->count > 0 ||
           err_set(err, ERR_INVALID,
                   "no key for RS256, ES256, EdDSA or HS256 is among the keys (RSA from 2048 bits, "
                   "secrets from 32 bytes)");
}

void jwt_keys_fini(struct jwt_keys *keys)
{
    for (uint32_t i = 0; i < keys->count; i++) {
        jwk_free(keys->list[i].key);
    }
    keys->count = 0;
}

bool jwt_keys_verify(const struct jwt_keys *keys, const struct jwt *jwt)
{
    for (uint32_t i = 0; i < keys->count; i++) {
        const struct jwt_key *key = &keys->list[i];
        bool is_meant = jwt->kid.len == 0 || key->kid.len == 0 || slice_eq(jwt->kid, key->kid);
        if (is_meant && jwk_alg(key->key) == jwt->alg &&
            jwk_verify(key->key, jwt->data, jwt->signature)) {
            return true;
        }
    }
    return false;
}
