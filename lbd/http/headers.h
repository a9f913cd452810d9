/*
 * headers - an ordered list of header fields whose bytes lie in one block.
 *
 * A field is four numbers into `base` (R4: explicit lengths, no terminators), so copying a head to
 * another place means copying the bytes and the numbers. The lines lie in `base` one after another
 * in the order of the list, each with its CRLF; the last one is followed by the empty line
 * (h1_write sends neighbours in one copy). Known names carry an id (header_names.def, found by
 * length and a perfect hash while parsing); id HEADER_OTHER is any other name. A field is taken out
 * by its flag, never moved.
 *
 * Memory: points into a block that its message owns or borrows. Threads: any.
 */
#ifndef LBD_HTTP_HEADERS_H
#define LBD_HTTP_HEADERS_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

/* HEADER(NAME, "canonical-lower-case-name", flags) */
enum header_id {
    HEADER_OTHER = 0,
#define HEADER(name, text, flags) HEADER_##name,
#include "lbd/http/header_names.def"
#undef HEADER
    HEADER_ID_COUNT
};

enum {
    HEADER_HOP = 1, /* by name hop-by-hop: stops here (RFC 9110 7.6.1) */
    HEADER_FRAMING =
        2, /* content-length, transfer-encoding: re-made by the writer from the framing decision */
    HEADER_OURS = 4, /* lbd sets it: what the client sent is dropped, in any folded spelling (R9) */
    HEADER_SINGLE = 8,      /* must not be repeated (host, content-length, ...) */
    HEADER_NO_TRAILER = 16, /* must not appear in trailers */
};

struct header {
    uint32_t name_at; /* from base */
    uint32_t name_len;
    uint32_t value_at; /* without surrounding white space */
    uint32_t value_len;
    uint16_t id;
    uint8_t dropped; /* 1: not to be sent on */
    uint8_t secret;  /* 1: came as never to be indexed (RFC 7541 6.2.3) and goes on so */
};

/* A field that lbd adds; the bytes live as long as the message (arena, literal). */
struct header_extra {
    struct slice name;
    struct slice value;
};

struct headers {
    const char *base;
    struct header *list; /* lent by the parser's caller, or in the message's arena */
    uint32_t count;
    uint32_t capacity;
};

static inline struct slice header_name(const struct headers *headers, const struct header *header)
{
    return slice_of(headers->base + header->name_at, header->name_len);
}

static inline struct slice header_value(const struct headers *headers, const struct header *header)
{
    return slice_of(headers->base + header->value_at, header->value_len);
}

/* The id of a name in any case, HEADER_OTHER when unknown. */
enum header_id header_id_of(struct slice name);
struct slice header_id_name(enum header_id id); /* canonical lower-case text */
unsigned header_id_flags(enum header_id id);
/* Equal when '-', '_' and '.' count as the same and case does not (R9). `canonical` is lower case
 * with '-'. */
bool header_name_folds_to(struct slice name, struct slice canonical);
/* The known id that a name folds to, HEADER_OTHER when none. */
enum header_id header_folded_id_of(struct slice name);
/* First field with this id that is not dropped, or NULL. */
const struct header *headers_find(const struct headers *headers, enum header_id id);
const struct header *headers_find_name(const struct headers *headers, struct slice name);
/* Iterates the comma-separated members of a list value: *rest starts as the value. False at the
 * end. */
bool header_list_next(struct slice *rest, struct slice *member);
/* RFC 9110 5.5 field-value: no CR, LF, NUL, no other control characters but HTAB. */
bool header_value_is_valid(struct slice value);
bool header_name_is_valid(
    struct slice name); /* RFC 9110 5.1 token, restricted to [A-Za-z0-9-] (R9) */

#endif
