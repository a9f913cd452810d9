#include "lbd/filter/jwt.h"

#include <math.h>
#include <string.h>

#include "lbd/base/base64.h"

static const struct json_limits limits = {
    .bytes = JWT_BYTES_MAX, .depth = 8, .values = 1000, .objects = 100};

/* An object in base64; NULL: it is none. */
static struct json *read_object(struct slice text, struct arena *arena)
{
    struct slice bytes;
    struct json_error error;
    char *copy = arena_alloc(arena, text.len + 1);
    memcpy(copy, text.ptr, text.len);
    if (!base64_read_url(copy, text.len, &bytes)) {
        return NULL;
    }
    struct json *object = json_parse(bytes, JSON_FOREIGN, &limits, &error);
    if (object != NULL && !json_is(object, JSON_OBJECT)) {
        json_free(object);
        return NULL;
    }
    return object;
}

static bool read_header(struct slice text, struct arena *arena, struct jwt *jwt)
{
    struct json *header = read_object(text, arena);
    const struct json *kid = json_get(header, SLICE("kid"));
    bool ok = header != NULL && json_get(header, SLICE("crit")) == NULL &&
              (kid == NULL || json_is(kid, JSON_STRING)) &&
              jwk_alg_find(json_string(json_get(header, SLICE("alg"))), &jwt->alg);
    jwt->kid = ok ? arena_copy(arena, json_string(kid)) : SLICE_NONE;
    json_free(header);
    return ok;
}

bool jwt_read(struct slice token, struct arena *arena, struct jwt *jwt)
{
    size_t first = slice_find(token, '.');
    if (token.len > JWT_BYTES_MAX || first >= token.len) {
        return false;
    }
    struct slice rest = slice_from_at(token, first + 1);
    size_t second = slice_find(rest, '.');
    if (second >= rest.len || !read_header(slice_of(token.ptr, first), arena, jwt)) {
        return false;
    }
    jwt->data = slice_of(token.ptr, first + 1 + second);
    struct slice signature = slice_from_at(rest, second + 1);
    char *copy = arena_alloc(arena, signature.len + 1);
    memcpy(copy, signature.ptr, signature.len);
    if (!base64_read_url(copy, signature.len, &jwt->signature)) {
        return false;
    }
    jwt->claims = read_object(slice_of(rest.ptr, second), arena);
    return jwt->claims != NULL;
}

void jwt_fini(struct jwt *jwt)
{
    json_free(jwt->claims);
    jwt->claims = NULL;
}

bool jwt_date(const struct jwt *jwt, struct slice claim, int64_t *seconds)
{
    const struct json *value = json_get(jwt->claims, claim);
    double number = json_number(value);
    if (!json_is(value, JSON_NUMBER) || !(number >= 0 && number < 1e12)) {
        return false;
    }
    *seconds = (int64_t)floor(number);
    return true;
}

bool jwt_has(const struct jwt *jwt, struct slice claim, struct slice value)
{
    const struct json *found = json_get(jwt->claims, claim);
    if (json_is(found, JSON_STRING)) {
        return slice_eq(json_string(found), value);
    }
    const struct json *item;
    if (json_is(found, JSON_ARRAY)) {
        json_for_each(item, found)
        {
            if (json_is(item, JSON_STRING) && slice_eq(json_string(item), value)) {
                return true;
            }
        }
    }
    return false;
}
