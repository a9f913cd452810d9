/*
 * fuzz_json_patch - merge patches and pointers on any two values.
 *
 * Two texts, one a line. A merge done twice is a merge done once (RFC 7396), and a member of the
 * patch is afterwards gone or what the patch says; a value put at a pointer is found there, and
 * gone when removed.
 */
#include <stdlib.h>

#include "conf/json/json_patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_members(const struct json *result, const struct json *patch)
{
    const struct json *change = NULL;
    if (!json_is(patch, JSON_OBJECT)) {
        must(json_equal(result, patch));
        return;
    }
    must(json_is(result, JSON_OBJECT));
    json_for_each(change, patch)
    {
        const struct json *member = json_get(result, json_key(change));
        if (json_is(change, JSON_NULL)) {
            must(member == NULL);
        } else {
            must(member != NULL);
            check_members(member, change);
        }
    }
}

static bool holds_null(const struct json *json)
{
    const struct json *member = NULL;
    json_for_each(member, json)
    {
        if (holds_null(member)) {
            return true;
        }
    }
    return json_is(json, JSON_NULL);
}

static void check_make(const struct json *before, const struct json *after)
{
    if (!holds_null(after)) {
        struct json *patch = json_patch_make(before, after);
        struct json *result = json_patch_merge(json_copy(before), patch);
        must(json_equal(result, after));
        json_free(result);
        json_free(patch);
    }
}

static void check_pointer(struct json *json, struct slice pointer)
{
    if (pointer.len > 0 && json_patch_set(json, pointer, json_new_integer(7))) {
        int64_t number = 0;
        struct json *found = json_patch_get(json, pointer);
        bool appended = slice_ends(pointer, SLICE("/-"));
        must(appended || (json_integer(found, &number) && number == 7));
        must(json_patch_remove(json, pointer) == (found != NULL));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_error error;
    struct slice rest = slice_of((const char *)data, size);
    struct slice first = SLICE_NONE;
    if (size == 0 || !slice_split(&rest, '\n', &first) || rest.ptr == NULL) {
        return 0;
    }
    struct json *target = json_parse(first, JSON_STRICT, &json_limits_document, &error);
    struct json *patch = json_parse(rest, JSON_STRICT, &json_limits_document, &error);
    if (target != NULL && patch != NULL) {
        check_make(target, patch);
        target = json_patch_merge(target, patch);
        check_members(target, patch);
        struct json *twice = json_patch_merge(json_copy(target), patch);
        must(json_equal(target, twice));
        json_free(twice);
    }
    if (target != NULL) {
        check_pointer(target, rest);
    }
    json_free(target);
    json_free(patch);
    return 0;
}
