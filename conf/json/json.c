#include "conf/json/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "lbd/base/mem.h"

#define INTEGER_MAX 9007199254740992.0 /* 2^53 */

/* struct json is never defined: a pointer to one is a pointer to a cJSON. */
static cJSON *node(struct json *json)
{
    return (cJSON *)(void *)json;
}

static const cJSON *node_const(const struct json *json)
{
    return (const cJSON *)(const void *)json;
}

static struct json *wrap(cJSON *item)
{
    return (struct json *)(void *)item;
}

static const struct json *wrap_const(const cJSON *item)
{
    return (const struct json *)(const void *)item;
}

/* cJSON answers NULL when there is no memory; we end instead, as mem_alloc does. */
static struct json *must(cJSON *item)
{
    if (item == NULL) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    return wrap(item);
}

static void must_be_done(cJSON_bool done)
{
    assert(done); /* false only for NULL arguments */
}

struct json *json_parse_trusted(struct slice text)
{
    const char *end = NULL;
    if (text.len == 0) {
        return NULL;
    }
    cJSON *root = cJSON_ParseWithLengthOpts(text.ptr, text.len, &end, 0);
    if (root == NULL) {
        return NULL;
    }
    struct slice rest = slice_from_at(text, (size_t)(end - text.ptr));
    for (size_t i = 0; i < rest.len; i++) {
        char c = rest.ptr[i];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
            cJSON_Delete(root);
            return NULL;
        }
    }
    return wrap(root);
}

static struct json *parse_scanned(struct slice text, struct json_error *error)
{
    struct json *json = json_parse_trusted(text);
    if (json == NULL) { /* only for want of memory: the scanner is stricter than the parser */
        *error = (struct json_error){.line = 1, .column = 1, .too_large = true};
        (void)snprintf(error->text, sizeof error->text, "could not be held in memory");
    }
    return json;
}

struct json *json_parse(struct slice text, enum json_syntax syntax,
                        const struct json_limits *limits, struct json_error *error)
{
    if (syntax == JSON_FOREIGN) {
        return json_scan_foreign(text, limits, error) ? parse_scanned(text, error) : NULL;
    }
    if (syntax == JSON_STRICT || text.len > limits->bytes) {
        return json_scan_strict(text, limits, error) ? parse_scanned(text, error) : NULL;
    }

    struct json *json = NULL;
    char *copy = mem_slicedup(text);
    if (json_scan(copy, text.len, syntax, limits, error)) {
        json = parse_scanned(slice_of(copy, text.len), error);
    } else {
        /* The copy's comments are spaces now, which may have moved the column. */
        json_scan_position(text, error->offset, &error->line, &error->column);
    }
    free(copy);
    return json;
}

void json_free(struct json *json)
{
    cJSON_Delete(node(json));
}

struct json *json_copy(const struct json *json)
{
    return must(cJSON_Duplicate(node_const(json), 1));
}

static bool objects_equal(const struct json *a, const struct json *b)
{
    if (json_count(a) != json_count(b)) {
        return false;
    }
    /* Mostly both are in the same order; then no key is searched for. */
    const struct json *other = json_first(b);
    const struct json *member = NULL;
    json_for_each(member, a)
    {
        struct slice key = json_key(member);
        if (other == NULL || !slice_eq(key, json_key(other))) {
            other = wrap_const(
                cJSON_GetObjectItemCaseSensitive(node_const(b), node_const(member)->string));
        }
        if (other == NULL || !json_equal(member, other)) {
            return false;
        }
        other = json_next(other);
    }
    return true;
}

static bool arrays_equal(const struct json *a, const struct json *b)
{
    const struct json *other = json_first(b);
    const struct json *item = NULL;
    json_for_each(item, a)
    {
        if (other == NULL || !json_equal(item, other)) {
            return false;
        }
        other = json_next(other);
    }
    return other == NULL;
}

bool json_equal(const struct json *a, const struct json *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    enum json_type type = json_type(a);
    if (type != json_type(b)) {
        return false;
    }
    switch (type) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return json_bool(a) == json_bool(b);
    case JSON_NUMBER:
        return !(json_number(a) < json_number(b)) && !(json_number(a) > json_number(b));
    case JSON_STRING:
        return slice_eq(json_string(a), json_string(b));
    case JSON_ARRAY:
        return arrays_equal(a, b);
    case JSON_OBJECT:
        return objects_equal(a, b);
    }
    return false;
}

enum json_type json_type(const struct json *json)
{
    switch (node_const(json)->type & 0xff) {
    case cJSON_False:
    case cJSON_True:
        return JSON_BOOL;
    case cJSON_Number:
        return JSON_NUMBER;
    case cJSON_String:
        return JSON_STRING;
    case cJSON_Array:
        return JSON_ARRAY;
    case cJSON_Object:
        return JSON_OBJECT;
    default:
        return JSON_NULL;
    }
}

const char *json_type_word(enum json_type type)
{
    switch (type) {
    case JSON_NULL:
        return "null";
    case JSON_BOOL:
        return "true or false";
    case JSON_NUMBER:
        return "a number";
    case JSON_STRING:
        return "a string";
    case JSON_ARRAY:
        return "a list";
    case JSON_OBJECT:
        return "an object";
    }
    return "";
}

bool json_is(const struct json *json, enum json_type type)
{
    return json != NULL && json_type(json) == type;
}

bool json_bool(const struct json *json)
{
    return json != NULL && cJSON_IsTrue(node_const(json));
}

struct slice json_string(const struct json *json)
{
    return json_is(json, JSON_STRING) ? slice_from(node_const(json)->valuestring) : SLICE_NONE;
}

double json_number(const struct json *json)
{
    return json_is(json, JSON_NUMBER) ? node_const(json)->valuedouble : 0.0;
}

bool json_integer(const struct json *json, int64_t *out)
{
    if (!json_is(json, JSON_NUMBER)) {
        return false;
    }
    double value = node_const(json)->valuedouble;
    if (!(value >= -INTEGER_MAX && value <= INTEGER_MAX) || value < floor(value) ||
        value > floor(value)) {
        return false;
    }
    *out = (int64_t)value;
    return true;
}

const struct json *json_first(const struct json *container)
{
    if (container == NULL ||
        (!json_is(container, JSON_ARRAY) && !json_is(container, JSON_OBJECT))) {
        return NULL;
    }
    return wrap_const(node_const(container)->child);
}

const struct json *json_next(const struct json *item)
{
    return wrap_const(node_const(item)->next);
}

struct slice json_key(const struct json *member)
{
    return member != NULL ? slice_from(node_const(member)->string) : SLICE_NONE;
}

uint32_t json_count(const struct json *container)
{
    uint32_t count = 0;
    const struct json *item = NULL;
    json_for_each(item, container)
    {
        count++;
    }
    return count;
}

struct json *json_get(const struct json *object, struct slice key)
{
    if (!json_is(object, JSON_OBJECT)) {
        return NULL;
    }
    for (cJSON *item = node_const(object)->child; item != NULL; item = item->next) {
        /* Keys hold no zero byte, so strncmp sees all of them. */
        if (strncmp(item->string, key.ptr != NULL ? key.ptr : "", key.len) == 0 &&
            strlen(item->string) == key.len) {
            return wrap(item);
        }
    }
    return NULL;
}

struct json *json_child(struct json *container)
{
    return wrap(node(container)->child);
}

struct json *json_sibling(struct json *item)
{
    return wrap(node(item)->next);
}

struct json *json_at(const struct json *array, uint32_t index)
{
    if (!json_is(array, JSON_ARRAY)) {
        return NULL;
    }
    cJSON *item = node_const(array)->child;
    while (item != NULL && index > 0) {
        item = item->next;
        index--;
    }
    return wrap(item);
}

struct json *json_new_object(void)
{
    return must(cJSON_CreateObject());
}

struct json *json_new_array(void)
{
    return must(cJSON_CreateArray());
}

struct json *json_new_null(void)
{
    return must(cJSON_CreateNull());
}

struct json *json_new_bool(bool value)
{
    return must(cJSON_CreateBool(value));
}

struct json *json_new_integer(int64_t value)
{
    return must(cJSON_CreateNumber((double)value));
}

struct json *json_new_string(struct slice value)
{
    char *copy = mem_slicedup(value);
    struct json *json = must(cJSON_CreateString(copy));
    free(copy);
    return json;
}

void json_set(struct json *object, struct slice key, struct json *value)
{
    struct json *old = json_get(object, key);
    if (old == NULL) {
        json_add(object, key, value);
        return;
    }
    char *copy = mem_slicedup(key);
    must_be_done(cJSON_ReplaceItemInObjectCaseSensitive(node(object), copy, node(value)));
    free(copy);
}

void json_add(struct json *object, struct slice key, struct json *value)
{
    char *copy = mem_slicedup(key);
    must_be_done(cJSON_AddItemToObject(node(object), copy, node(value)));
    free(copy);
}

void json_append(struct json *array, struct json *value)
{
    must_be_done(cJSON_AddItemToArray(node(array), node(value)));
}

/* Debian's cJSON 1.7.15 refuses to insert anywhere but at the front (its fix for CVE-2023-50471
 * looks at the wrong item), so what stands behind is taken out and appended again. */
void json_insert(struct json *array, uint32_t index, struct json *value)
{
    uint32_t count = json_count(array);
    struct json *before = json_at(array, index);
    json_append(array, value);
    for (uint32_t i = index; i < count; i++) {
        struct json *next = json_sibling(before);
        json_append(array, json_detach(array, before));
        before = next;
    }
}

struct json *json_detach(struct json *container, struct json *item)
{
    return wrap(cJSON_DetachItemViaPointer(node(container), node(item)));
}

struct json *json_take(struct json *object, struct slice key)
{
    struct json *item = json_get(object, key);
    return item != NULL ? json_detach(object, item) : NULL;
}

struct json *json_take_at(struct json *array, uint32_t index)
{
    struct json *item = json_at(array, index);
    return item != NULL ? json_detach(array, item) : NULL;
}
