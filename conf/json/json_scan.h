/*
 * json_scan - is this text JSON as we accept it? One pass, before any tree is built.
 *
 * cJSON is generous: it takes duplicate keys, "010", "1.", bad UTF-8 and cuts strings at \u0000. So
 * every text from outside passes here first. Files may hold comments and trailing commas (JSONC);
 * these are overwritten with spaces in place, so that offsets stay true and what is left is strict
 * JSON.
 *
 *     text -> json_scan -> strict JSON, same length -> json_parse (cJSON)
 *
 * Refused: what RFC 8259 refuses, duplicate keys (compared after unescaping), control characters,
 * invalid UTF-8, \u0000, lone surrogates, integers beyond 2^53 (but in JSON_FOREIGN), numbers that
 * are not finite or have more than 40 characters (60), and what is over a limit.
 *
 * Limits: struct json_limits. Memory: keeps nothing. Threads: any.
 */
#ifndef CONF_JSON_JSON_SCAN_H
#define CONF_JSON_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

enum json_syntax {
    JSON_STRICT,   /* RFC 8259: what comes over the wire */
    JSON_COMMENTS, /* JSONC: line and block comments, trailing commas: files */
    JSON_FOREIGN   /* as JSON_STRICT, of programs that are not ours, of which we read a part: whole
                      numbers may be beyond 2^53, and doubles are all that is left of them */
};

struct json_limits {
    size_t bytes;     /* of the text */
    uint32_t depth;   /* of nested arrays and objects, at most JSON_DEPTH_MAX */
    uint32_t values;  /* of every kind, members included */
    uint32_t objects; /* '{' alone */
};

#define JSON_DEPTH_MAX 32

/* 16 MiB, depth 32, 2,000,000 values, 500,000 objects: a whole document. */
extern const struct json_limits json_limits_document;
/* 1 MiB: one resource. */
extern const struct json_limits json_limits_resource;

/* The first thing that is wrong. */
struct json_error {
    size_t offset;   /* bytes */
    uint32_t line;   /* from 1 */
    uint32_t column; /* from 1, in characters */
    bool too_large;  /* a limit was passed: 413 rather than 400 */
    char text[160];
};

/* Returns true when `text` is acceptable; with JSON_COMMENTS the text is then strict JSON. The text
 * need not be terminated. On false *error says why and the text may be partly blanked. */
LB_MUST_CHECK bool json_scan(char *text, size_t len, enum json_syntax syntax,
                             const struct json_limits *limits, struct json_error *error);

/* The same for strict JSON, or for foreign, which is never written to. */
LB_MUST_CHECK bool json_scan_strict(struct slice text, const struct json_limits *limits,
                                    struct json_error *error);
LB_MUST_CHECK bool json_scan_foreign(struct slice text, const struct json_limits *limits,
                                     struct json_error *error);

/* Appends what the text between two quotes stands for. Safe for anything; exact for what json_scan
 * passed. */
void json_scan_unescape(struct slice quoted, struct buf *out);

/* Line and column of an offset, both from 1; the column counts characters. */
void json_scan_position(struct slice text, size_t offset, uint32_t *line, uint32_t *column);

#endif
