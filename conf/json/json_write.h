/*
 * json_write - JSON text, written as a stream into a buf.
 *
 *     json_write_init(&w, &buf, JSON_COMPACT);
 *     json_write_object_begin(&w);
 *     json_write_key(&w, "weight");
 *     json_write_u64(&w, 100);
 *     json_write_object_end(&w);
 *
 * Commas, colons and indentation come by themselves. Numbers of 64 bits are exact. Strings are
 * escaped; invalid UTF-8 becomes U+FFFD, so whatever was put in, what comes out is valid JSON.
 *
 * Limits: depth 64 (asserted); size is the buf's maximum: buf->overflow says that text is missing.
 * Memory: the buf is the caller's. Threads: any, one owner.
 */
#ifndef CONF_JSON_JSON_WRITE_H
#define CONF_JSON_JSON_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/json/json.h"
#include "lbd/base/buf.h"
#include "lbd/base/slice.h"

#define JSON_WRITE_DEPTH_MAX 64

enum json_layout {
    JSON_COMPACT, /* no space at all */
    JSON_PRETTY   /* two spaces a level, "key": value, no newline at the end */
};

struct json_write {
    struct buf *out; /* borrowed */
    enum json_layout layout;
    uint32_t depth;
    uint64_t started; /* bit n: something was written at depth n */
    bool after_key;
};

void json_write_init(struct json_write *w, struct buf *out, enum json_layout layout);
void json_write_object_begin(struct json_write *w);
void json_write_object_end(struct json_write *w);
void json_write_array_begin(struct json_write *w);
void json_write_array_end(struct json_write *w);
void json_write_key(struct json_write *w, const char *key);
void json_write_key_slice(struct json_write *w, struct slice key);

void json_write_string(struct json_write *w, struct slice value);
void json_write_text(struct json_write *w, const char *value); /* NULL writes null */
void json_write_u64(struct json_write *w, uint64_t value);
void json_write_i64(struct json_write *w, int64_t value);
/* The shortest text that reads back as the same number; null when it is not finite. */
void json_write_double(struct json_write *w, double value);
void json_write_bool(struct json_write *w, bool value);
void json_write_null(struct json_write *w);

/* Key and value at once. */
void json_write_member_string(struct json_write *w, const char *key, struct slice value);
void json_write_member_text(struct json_write *w, const char *key, const char *value);
void json_write_member_u64(struct json_write *w, const char *key, uint64_t value);
void json_write_member_i64(struct json_write *w, const char *key, int64_t value);
void json_write_member_double(struct json_write *w, const char *key, double value);
void json_write_member_bool(struct json_write *w, const char *key, bool value);

/* A whole tree, members in their order. */
void json_write_json(struct json_write *w, const struct json *json);
/* A whole tree, members of every object in order of their bytes: the same value is always the same
 * text. */
void json_write_canonical(struct json_write *w, const struct json *json);
/* A text that is valid, strict JSON already, laid out like the rest. */
void json_write_raw(struct json_write *w, struct slice json_text);

/* For people, and no JSON: the text of a value, of a longer one `max` bytes at most, cut between
 * two characters and with "..." behind them; a string is closed: "sha256:9cce3133...". */
void json_write_beginning(struct buf *out, struct slice json_text, size_t max);

#endif
