#include "conf/conf_seal.h"

#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "lbd/base/mem.h"

static conf_seal_fn seal_with;

void conf_seal_set(conf_seal_fn seal)
{
    seal_with = seal;
}

static void append(struct slice text, struct buf *out)
{
    (void)buf_append_slice(out, text);
    if (text.len != 0 && text.ptr[text.len - 1] != '\n') {
        (void)buf_append_char(out, '\n');
    }
}

void conf_seal_text(struct slice chain, struct slice key, struct buf *out)
{
    append(chain, out);
    append(key, out);
}

static bool fail(struct conf_errors *errors, const struct conf_path *path, const char *key,
                 const char *code, const char *detail)
{
    const struct conf_path at = {.parent = path, .key = slice_from(key)};
    conf_errors_add(errors, &at, code, SLICE_NONE, "%s", detail);
    return false;
}

/* A text of at most `max` bytes. */
static bool take_text(struct json *json, const char *key, size_t max, const struct conf_path *path,
                      struct conf_errors *errors, char **out, size_t *len)
{
    struct json *item = json_take(json, slice_from(key));
    bool ok = true;
    if (item == NULL) {
        return true;
    }
    struct slice text = json_string(item);
    if (!json_is(item, JSON_STRING)) {
        ok = fail(errors, path, key, "wrong-type", "must be a string: the text of a PEM file");
    } else if (text.len == 0) {
        ok = fail(errors, path, key, "out-of-range", "must not be empty");
    } else if (text.len > max) {
        ok = fail(errors, path, key, "out-of-range", "is larger than a PEM file may be");
    } else {
        *out = mem_slicedup(text);
        *len = text.len;
    }
    if (text.len != 0) {
        explicit_bzero((void *)(uintptr_t)text.ptr, text.len);
    }
    json_free(item);
    return ok;
}

static bool seal(const struct conf_sealed *sealed, struct json *json, const struct conf_path *path,
                 struct conf_errors *errors)
{
    char stored[CONF_SEAL_NAME_MAX];
    struct err err = {0};
    if (sealed->chain == NULL || sealed->key == NULL) {
        const char *missing = sealed->chain == NULL ? "chain" : "key";
        return fail(errors, path, missing, "missing-key",
                    sealed->chain == NULL ? "'chain' must be set together with 'key'"
                                          : "'key' must be set together with 'chain'");
    }
    if (seal_with == NULL) {
        return fail(errors, path, "key", "not-applicable", "cannot be taken here");
    }
    if (!seal_with(slice_of(sealed->chain, sealed->chain_len),
                   slice_of(sealed->key, sealed->key_len), stored, &err)) {
        return fail(errors, path, strcmp(err.place, "key") == 0 ? "key" : "chain",
                    "invalid-certificate", err.text);
    }
    json_set(json, SLICE("stored"), json_new_string(slice_from(stored)));
    return true;
}

bool conf_seal_take(struct conf_sealed *sealed, const struct conf_object *object, struct json *json,
                    const struct conf_path *path, struct conf_errors *errors)
{
    *sealed = (struct conf_sealed){0};
    if (object != conf_schema_certificate || !json_is(json, JSON_OBJECT) ||
        (json_get(json, SLICE("chain")) == NULL && json_get(json, SLICE("key")) == NULL)) {
        return true;
    }
    bool ok = take_text(json, "chain", CONF_SEAL_CHAIN_MAX, path, errors, &sealed->chain,
                        &sealed->chain_len);
    ok = take_text(json, "key", CONF_SEAL_KEY_MAX, path, errors, &sealed->key, &sealed->key_len) &&
         ok;
    ok = ok && seal(sealed, json, path, errors);
    if (!ok && json_get(json, SLICE("stored")) == NULL) { /* told once: not "must be set" as well */
        json_set(json, SLICE("stored"),
                 json_new_string(SLICE("sha256:0000000000000000000000000000000000000000000000000000"
                                       "000000000000")));
    }
    return ok;
}

size_t conf_seal_bytes(const struct conf_sealed *sealed)
{
    return sealed->chain_len + sealed->key_len;
}

void conf_seal_put(const struct conf_sealed *sealed, struct arena *arena, void *value)
{
    struct conf_certificate *certificate = value;
    if (sealed->chain != NULL && sealed->key != NULL) {
        certificate->sent_chain = arena_copy(arena, slice_of(sealed->chain, sealed->chain_len));
        certificate->sent_key = arena_copy(arena, slice_of(sealed->key, sealed->key_len));
    }
}

void conf_seal_fini(struct conf_sealed *sealed)
{
    if (sealed->key != NULL) {
        explicit_bzero(sealed->key, sealed->key_len);
    }
    free(sealed->chain);
    free(sealed->key);
}

void conf_seal_wipe(const struct conf_object *object, void *value)
{
    if (object == conf_schema_certificate) {
        struct slice key = ((struct conf_certificate *)value)->sent_key;
        if (key.len != 0) {
            explicit_bzero((void *)(uintptr_t)key.ptr, key.len);
        }
    }
}
