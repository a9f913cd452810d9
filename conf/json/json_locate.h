/*
 * json_locate - where in the text is the value that a JSON pointer names?
 *
 * Trees carry no positions; when something is wrong with a value, this walks the text once and
 * finds line and column for many pointers at the same time. Comments and trailing commas are
 * understood, so the text of a file is walked as the person wrote it.
 *
 * A pointer that leads nowhere gets the place of the deepest part that exists (the object in which
 * a key is missing).
 *
 * Limits: JSON_LOCATE_MAX queries a call. Memory: keeps nothing. Threads: any.
 */
#ifndef CONF_JSON_JSON_LOCATE_H
#define CONF_JSON_JSON_LOCATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/slice.h"

#define JSON_LOCATE_MAX 128

struct json_place {
    struct slice pointer; /* RFC 6901, "" is the whole text */
    bool want_key;        /* the place of the key rather than of its value */
    bool exact;           /* out: the pointer's own place, not that of an ancestor */
    size_t offset;        /* out: bytes */
    uint32_t line;        /* out: from 1; 0 when the text is no JSON at all */
    uint32_t column;      /* out: from 1, in characters */
};

/* `text` is JSON or JSONC that json_scan accepts; with anything else the answers are useless but
 * safe. */
void json_locate_all(struct slice text, struct json_place *places, uint32_t count);
/* For one value. Returns `exact`. */
bool json_locate(struct slice text, struct slice pointer, uint32_t *line, uint32_t *column);

#endif
