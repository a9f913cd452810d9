/*
 * fuzz_json_locate - the locator and the tree agree on what a pointer leads to.
 *
 * The first line is a pointer, the rest a text. For any text: no crash, and a place inside of it.
 * For JSON: the place is exact just when the tree has such a value, and what stands there is of its
 * kind.
 */
#include <stdlib.h>

#include "conf/json/json_locate.h"
#include "conf/json/json_patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static bool looks_like(const struct json *json, char first)
{
    switch (json_type(json)) {
    case JSON_NULL:
        return first == 'n';
    case JSON_BOOL:
        return first == 't' || first == 'f';
    case JSON_NUMBER:
        return first == '-' || (first >= '0' && first <= '9');
    case JSON_STRING:
        return first == '"';
    case JSON_ARRAY:
        return first == '[';
    case JSON_OBJECT:
        return first == '{';
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of((const char *)data, size);
    struct slice pointer = SLICE_NONE;
    if (size == 0 || !slice_split(&text, '\n', &pointer) || text.ptr == NULL) {
        return 0;
    }

    struct json_place places[2] = {{.pointer = pointer}, {.pointer = pointer, .want_key = true}};
    json_locate_all(text, places, 2);
    must(places[0].offset <= text.len && places[1].offset <= text.len);
    must(places[0].exact == places[1].exact && places[1].offset <= places[0].offset);

    struct json_error error;
    struct json *json = json_parse(text, JSON_COMMENTS, &json_limits_document, &error);
    if (json != NULL) {
        const struct json *found =
            json_patch_pointer_valid(pointer) ? json_patch_get(json, pointer) : NULL;
        must(places[0].exact == (found != NULL));
        must(found == NULL || looks_like(found, text.ptr[places[0].offset]));
    }
    json_free(json);
    return 0;
}
