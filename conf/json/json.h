/*
 * json - a JSON value as a tree: read it, walk it, change it, throw it away.
 *
 * A facade over cJSON, which no other file names. Texts go through json_scan first, so a tree never
 * holds duplicate keys, unpaired surrogates, infinite numbers or strings with a zero byte. Trees
 * live only while a document is read or edited; what is kept is canonical text and struct conf.
 *
 * Objects keep the order of the text; looking up a key is a linear walk. Keys and strings are
 * UTF-8.
 *
 * Limits: those of json_scan. Memory: a root owns everything below it; pointers and slices handed
 * out are borrowed from it until that part is changed. Threads: any, one owner per tree.
 */
#ifndef CONF_JSON_JSON_H
#define CONF_JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/json/json_scan.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

struct json;

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* Scans and parses; the caller's text is left as it is. NULL: *error says why. The caller owns the
 * result. */
LB_MUST_CHECK struct json *json_parse(struct slice text, enum json_syntax syntax,
                                      const struct json_limits *limits, struct json_error *error);
/* Parses text that we wrote ourselves or that json_scan has passed; NULL when it is not JSON after
 * all. */
LB_MUST_CHECK struct json *json_parse_trusted(struct slice text);
void json_free(struct json *json);
LB_MUST_CHECK struct json *json_copy(const struct json *json);
/* Same value: numbers by value, objects whatever the order of their members. NULL equals only NULL.
 */
bool json_equal(const struct json *a, const struct json *b);

/* What it is. All of these take NULL (a missing value) and answer false, 0, NULL or an empty slice.
 */
enum json_type json_type(const struct json *json); /* not for NULL */
const char *json_type_word(enum json_type type);   /* "a string", "an object", ... */
bool json_is(const struct json *json, enum json_type type);
bool json_bool(const struct json *json);
struct slice json_string(const struct json *json);
double json_number(const struct json *json);
/* True when it is a number without a fraction within +-2^53. */
bool json_integer(const struct json *json, int64_t *out);

/* Members of an object or elements of an array, in order: json_first, then json_next until NULL. */
const struct json *json_first(const struct json *container);
const struct json *json_next(const struct json *item);
#define json_for_each(item, container)                                                             \
    for ((item) = json_first(container); (item) != NULL; (item) = json_next(item))
/* The key of a member; empty for elements. */
struct slice json_key(const struct json *member);
uint32_t json_count(const struct json *container);
/* NULL: no such key, or not an object. */
struct json *json_get(const struct json *object, struct slice key);
/* NULL: past the end, or not an array. */
struct json *json_at(const struct json *array, uint32_t index);

/* Building. Each result is owned by the caller until it is put somewhere. */
struct json *json_new_object(void);
struct json *json_new_array(void);
struct json *json_new_null(void);
struct json *json_new_bool(bool value);
struct json *json_new_integer(int64_t value);
struct json *json_new_string(struct slice value); /* must hold no zero byte */
/* Puts or replaces a member; keeps `value`. */
void json_set(struct json *object, struct slice key, struct json *value);
/* Appends; keeps `value`. */
void json_append(struct json *array, struct json *value);
/* Puts `value` before element `index` (at the end when index is the count); keeps `value`. */
void json_insert(struct json *array, uint32_t index, struct json *value);
/* The quick ones, for an item in hand: walk what may be changed (json_child, then json_sibling
 * until NULL), take an item out of its container and give it to the caller, put a member whose key
 * is known to be new. */
struct json *json_child(struct json *container);
struct json *json_sibling(struct json *item);
struct json *json_detach(struct json *container, struct json *item);
void json_add(struct json *object, struct slice key, struct json *value); /* keeps value */
/* Takes it out and gives it to the caller; NULL when it is not there. */
struct json *json_take(struct json *object, struct slice key);
struct json *json_take_at(struct json *array, uint32_t index);

#endif
