#include "lbd/http/hpack.h"

#include <assert.h>

#include "lbd/http/h1_scan.h"
#include "lbd/http/header_table.h"
#include "lbd/http/hpack_table.h"
#include "lbd/http/huffman.h"

enum {
    HUFFMAN = 0x80, /* RFC 7541 5.2 */

    INTEGER_SHIFT_MAX = 21, /* four further bytes: far beyond every limit, far below an overflow */
    UPDATES_MAX = 2,        /* RFC 7541 4.2: the smallest and the last */
    LINE_ROOM = 32,         /* of HPACK_SLACK, left free behind the last byte of a line */
};

_Static_assert(HPACK_STATIC_LINE <= (int)LINE_ROOM && HPACK_COPY <= (int)LINE_ROOM &&
                   (int)LINE_ROOM * 2 <= (int)HPACK_SLACK,
               "copies end in the slack, and so does the empty line");

/* What reading a part of a block comes to. */
enum step {
    STEP_ON,
    STEP_FULL, /* the field does not fit into what is left of the buffer */
    STEP_BAD,
};

/* One block. */
struct walk {
    struct hpack_decoder *decoder;
    const struct hpack_limits *limits;
    struct hpack_fields *out;
    const uint8_t *at; /* in the block */
    const uint8_t *end;
    char *line; /* where the next line goes */
    char *stop; /* where a line must end */
    uint64_t bytes;
    bool too_large;      /* lines are read for the table's sake, all to the start of the buffer */
    bool malformed;      /* out->reason says why, unless it is too large, too */
    bool in_fields;      /* no pseudo-header may come any more */
    bool cookies_spread; /* crumbs that are not neighbours */
    uint32_t cookie_at;  /* 1 + the index of the last cookie line, 0: none yet */
};

/* -- the parts of a representation -- */

/* RFC 7541 5.1. The first byte, with other bits before the prefix, is there. */
static bool take_integer(struct walk *walk, unsigned prefix_bits, uint32_t *value)
{
    uint32_t most = (1U << prefix_bits) - 1U;
    uint32_t result = *walk->at++ & most;
    if (LB_LIKELY(result < most)) {
        *value = result;
        return true;
    }
    for (unsigned shift = 0; shift <= (unsigned)INTEGER_SHIFT_MAX; shift += 7) {
        if (walk->at == walk->end) {
            return false;
        }
        uint8_t byte = *walk->at++;
        result += (uint32_t)(byte & 0x7fU) << shift;
        if ((byte & 0x80U) == 0) {
            *value = result;
            return true;
        }
    }
    return false;
}

/* RFC 7541 5.2: the bytes as they came. */
static bool take_raw(struct walk *walk, struct slice *raw, bool *is_huffman)
{
    if (walk->at == walk->end) {
        return false;
    }
    uint32_t len;
    *is_huffman = (*walk->at & HUFFMAN) != 0;
    if (!take_integer(walk, 7, &len) || len > (size_t)(walk->end - walk->at)) {
        return false;
    }
    *raw = slice_of((const char *)walk->at, len);
    walk->at += len;
    return true;
}

/* A string to *to, which moves behind it. */
static enum step take_string(struct walk *walk, char **to)
{
    struct slice raw;
    bool is_huffman;
    if (!take_raw(walk, &raw, &is_huffman)) {
        return STEP_BAD;
    }
    size_t room = (size_t)(walk->stop - *to);
    size_t len = raw.len;
    if (is_huffman) {
        enum huffman_verdict verdict = huffman_decode(raw, *to, room, &len);
        if (verdict != HUFFMAN_OK) {
            return verdict == HUFFMAN_FULL ? STEP_FULL : STEP_BAD;
        }
    } else if (len > room) {
        return STEP_FULL;
    } else if (len > 0) {
        memcpy(*to, raw.ptr, len);
    }
    *to += len;
    return STEP_ON;
}

/* Looks at a string that is too large for the buffer, and so for the table. */
static bool skip_string(struct walk *walk, size_t *len)
{
    struct slice raw;
    bool is_huffman;
    if (!take_raw(walk, &raw, &is_huffman)) {
        return false;
    }
    *len = is_huffman ? huffman_decoded_len(raw) : raw.len;
    return *len != SIZE_MAX;
}

/* Steps of 16 bytes: `to` has LINE_ROOM behind the line, `from` HPACK_COPY. */
static inline void copy_line(char *to, const char *from, size_t len)
{
    for (size_t done = 0; done < len; done += HPACK_COPY) {
        memcpy(to + done, from + done, HPACK_COPY);
    }
}

/* -- what a name and a value are -- */

/* A name that came as text: R9, and lower case (RFC 9113 8.2.1). Returns the kind. */
static uint8_t name_kind(const char *name, size_t len, uint8_t *id)
{
    *id = HEADER_OTHER;
    if (len > 0 && name[0] == ':') {
        for (unsigned i = 0; i < HPACK_PSEUDO_COUNT; i++) {
            if (slice_eq(slice_of(name, len), hpack_pseudo_names[i])) {
                return (uint8_t)(1 + i);
            }
        }
        return HPACK_KIND_BAD_NAME;
    }
    const char *end = name + len;
    if (len == 0 || h1_scan_name(name, end) != end) {
        return HPACK_KIND_BAD_NAME;
    }
    for (const char *at = name; at < end; at++) {
        if (*at >= 'A' && *at <= 'Z') {
            return HPACK_KIND_BAD_NAME;
        }
    }
    enum header_id candidate = header_candidate(name, len);
    if (candidate != HEADER_OTHER && memcmp(header_text[candidate], name, len) == 0) {
        *id = (uint8_t)candidate;
    }
    return 0;
}

/* RFC 9113 8.2.1: no white space around a value. */
static bool value_is_valid(const char *value, size_t len)
{
    return len == 0 || (value[0] != ' ' && value[0] != '\t' && value[len - 1] != ' ' &&
                        value[len - 1] != '\t' && header_value_is_valid(slice_of(value, len)));
}

/* -- a field goes out -- */

static void refuse(struct walk *walk, enum close_reason reason)
{
    if (!walk->malformed && !walk->too_large) {
        walk->out->reason = reason;
    }
    walk->malformed = true;
}

static void overflow(struct walk *walk, enum close_reason reason)
{
    if (!walk->too_large) {
        walk->out->reason = reason;
    }
    walk->too_large = true;
    walk->line = walk->out->bytes;
}

static void note_pseudo(struct walk *walk, const struct hpack_line *line)
{
    struct hpack_fields *out = walk->out;
    unsigned pseudo = (line->kind & HPACK_KIND_PSEUDO) - 1U;
    /* RFC 9113 8.3: once each, before the fields */
    if ((out->pseudo_seen & 1U << pseudo) != 0 || walk->in_fields) {
        refuse(walk, CLOSE_BAD_HEADER);
        return;
    }
    const char *bytes = line->bytes;
    if (bytes < (const char *)hpack_static || bytes >= (const char *)(&hpack_static + 1)) {
        size_t len = hpack_line_len(line);
        if (bytes != walk->line) {
            copy_line(walk->line, bytes, len);
        }
        bytes = walk->line;
        walk->line += len;
    }
    out->pseudo_seen |= 1U << pseudo;
    out->pseudo[pseudo] = slice_of(bytes + line->name_len + 2, line->value_len);
}

/* RFC 9113 8.2.3: the crumb at walk->line joins the cookie that is the line before. */
static bool join_crumb(struct walk *walk, const struct hpack_line *line)
{
    struct headers *headers = &walk->out->headers;
    if (walk->cookie_at == 0 || walk->cookie_at != headers->count) {
        walk->cookies_spread = walk->cookies_spread || walk->cookie_at != 0;
        return false;
    }
    struct header *cookie = &headers->list[headers->count - 1];
    char *to = walk->out->bytes + cookie->value_at + cookie->value_len;
    memmove(to + 2, walk->line + line->name_len + 2, line->value_len + 2U);
    memcpy(to, "; ", 2);
    cookie->value_len += 2 + line->value_len;
    walk->line = to + 2 + line->value_len + 2;
    return true;
}

static void note_field(struct walk *walk, const struct hpack_line *line, bool is_secret)
{
    struct headers *headers = &walk->out->headers;
    if (line->bytes != walk->line) {
        copy_line(walk->line, line->bytes, hpack_line_len(line));
    }
    walk->in_fields = true;
    if (line->id == HEADER_COOKIE) {
        if (line->value_len == 0) {
            return; /* says nothing, and would leave "; " at an end */
        }
        if (join_crumb(walk, line)) {
            headers->list[headers->count - 1].secret |= is_secret;
            return;
        }
    }
    if (headers->count == headers->capacity) {
        overflow(walk, CLOSE_TOO_MANY_HEADERS);
        return;
    }
    uint32_t index = headers->count++;
    uint32_t name_at = (uint32_t)(walk->line - walk->out->bytes);
    headers->list[index] = (struct header){
        .name_at = name_at,
        .name_len = line->name_len,
        .value_at = name_at + line->name_len + 2,
        .value_len = line->value_len,
        .id = line->id,
        .secret = is_secret,
    };
    walk->line += hpack_line_len(line);
    h1_seen_note(&walk->out->seen, (enum header_id)line->id, index);
    if (line->id == HEADER_COOKIE) {
        walk->cookie_at = index + 1;
    }
}

static inline void count_field(struct walk *walk, uint64_t name_len, uint64_t value_len)
{
    struct hpack_fields *out = walk->out;
    walk->bytes += name_len + value_len + HPACK_ENTRY_COST;
    out->count++;
    if (LB_UNLIKELY(out->count > walk->limits->fields)) {
        overflow(walk, CLOSE_TOO_MANY_HEADERS);
    } else if (LB_UNLIKELY(walk->bytes > walk->limits->bytes)) {
        overflow(walk, CLOSE_HEADER_TOO_LARGE);
    }
}

/* The line lies in a table or, just read, at walk->line. Within the limits it fits: they count 32
 * for a field where a line has 4. */
static inline void note_line(struct walk *walk, const struct hpack_line *line, bool is_secret)
{
    count_field(walk, line->name_len, line->value_len);
    if (LB_UNLIKELY((line->kind & (HPACK_KIND_BAD_NAME | HPACK_KIND_BAD_VALUE)) != 0)) {
        refuse(walk, CLOSE_BAD_HEADER);
    }
    if (LB_UNLIKELY(walk->too_large || walk->malformed)) {
        return;
    }
    if (line->kind != 0) {
        note_pseudo(walk, line);
    } else {
        note_field(walk, line, is_secret);
    }
}

/* -- the representations (RFC 7541 6) -- */

/* RFC 7541 6.3 */
static enum step take_updates(struct walk *walk)
{
    struct hpack_decoder *decoder = walk->decoder;
    for (unsigned i = 0; walk->at < walk->end && (*walk->at & 0xe0U) == HPACK_SIZE_UPDATE; i++) {
        uint32_t max;
        if (i == UPDATES_MAX || !take_integer(walk, 5, &max) || max > decoder->limit ||
            (decoder->must_update && max > decoder->max)) {
            return STEP_BAD;
        }
        decoder->max = (uint16_t)max;
        decoder->must_update = false;
        hpack_table_shrink(&decoder->table, max);
    }
    /* RFC 7541 4.2 */
    return decoder->must_update ? STEP_BAD : STEP_ON;
}

/* The name of a literal to walk->line, with ": ". */
static enum step take_name(struct walk *walk, unsigned prefix_bits, struct hpack_line *line,
                           char **to)
{
    uint32_t index;
    if (!take_integer(walk, prefix_bits, &index)) {
        return STEP_BAD;
    }
    *to = walk->line;
    if (index == 0) {
        enum step step = take_string(walk, to);
        if (step != STEP_ON) {
            return step;
        }
        line->name_len = (uint32_t)(*to - walk->line);
        line->kind = name_kind(walk->line, line->name_len, &line->id);
    } else {
        if (!hpack_table_find(walk->decoder->table, index, line)) {
            return STEP_BAD;
        }
        if (line->name_len > (size_t)(walk->stop - *to)) {
            return STEP_FULL;
        }
        copy_line(*to, line->bytes, line->name_len);
        line->kind &= (uint8_t)~HPACK_KIND_BAD_VALUE;
        *to += line->name_len;
    }
    if (walk->stop - *to < HPACK_LINE_EXTRA) {
        return STEP_FULL;
    }
    *to = (char *)memcpy(*to, ": ", 2) + 2;
    return STEP_ON;
}

/* RFC 7541 6.2. STEP_FULL: nothing was done but reading. */
static enum step take_literal(struct walk *walk)
{
    uint8_t first = *walk->at;
    bool is_inserted = (first & HPACK_INSERTED) != 0;
    struct hpack_line line = {0};
    char *to;
    enum step step = take_name(walk, is_inserted ? 6 : 4, &line, &to);
    if (step != STEP_ON) {
        return step;
    }
    const char *value = to;
    step = take_string(walk, &to);
    if (step != STEP_ON) {
        return step;
    }
    if (walk->stop - to < 2) {
        return STEP_FULL;
    }
    memcpy(to, "\r\n", 2);
    line.bytes = walk->line;
    line.value_len = (uint32_t)(to - value);
    if (LB_UNLIKELY(!value_is_valid(value, line.value_len))) {
        line.kind |= HPACK_KIND_BAD_VALUE;
    }
    struct hpack_decoder *decoder = walk->decoder;
    if (is_inserted && !hpack_table_insert(&decoder->table, decoder->max, &line)) {
        return STEP_BAD;
    }
    note_line(walk, &line, !is_inserted && (first & HPACK_NEVER_INDEXED) != 0);
    return STEP_ON;
}

/* A literal that is larger than the whole buffer: when it is inserted, nothing is left. */
static enum step skip_literal(struct walk *walk)
{
    bool is_inserted = (*walk->at & HPACK_INSERTED) != 0;
    uint32_t index;
    struct hpack_line name = {0};
    size_t name_len = 0;
    size_t value_len;
    if (!take_integer(walk, is_inserted ? 6 : 4, &index)) {
        return STEP_BAD;
    }
    if (index == 0) {
        if (!skip_string(walk, &name_len)) {
            return STEP_BAD;
        }
    } else if (!hpack_table_find(walk->decoder->table, index, &name)) {
        return STEP_BAD;
    } else {
        name_len = name.name_len;
    }
    if (!skip_string(walk, &value_len)) {
        return STEP_BAD;
    }
    if (is_inserted) {
        hpack_table_shrink(&walk->decoder->table, 0);
    }
    count_field(walk, name_len, value_len);
    return STEP_ON;
}

static enum step take_indexed(struct walk *walk)
{
    uint32_t index;
    struct hpack_line line;
    if (!take_integer(walk, 7, &index) || !hpack_table_find(walk->decoder->table, index, &line)) {
        return STEP_BAD;
    }
    note_line(walk, &line, false);
    return STEP_ON;
}

static enum step take_field(struct walk *walk)
{
    uint8_t first = *walk->at;
    if ((first & HPACK_INDEXED) != 0) {
        return take_indexed(walk);
    }
    if ((first & (HPACK_INSERTED | HPACK_SIZE_UPDATE)) == HPACK_SIZE_UPDATE) {
        return STEP_BAD; /* RFC 7541 4.2: only at the beginning */
    }
    const uint8_t *field = walk->at;
    enum step step = take_literal(walk);
    if (LB_LIKELY(step != STEP_FULL)) {
        return step;
    }
    /* What does not fit is over the limits, which are smaller than the buffer. */
    bool was_at_start = walk->line == walk->out->bytes;
    overflow(walk, CLOSE_HEADER_TOO_LARGE);
    walk->at = field;
    if (!was_at_start) {
        step = take_literal(walk);
        if (step != STEP_FULL) {
            return step;
        }
        walk->at = field;
    }
    return skip_literal(walk);
}

/* -- the whole block -- */

/* One line of all crumbs behind the others (RFC 9113 8.2.3); theirs are left out. */
static void gather_crumbs(struct walk *walk)
{
    struct headers *headers = &walk->out->headers;
    char *base = walk->out->bytes;
    char *name = walk->line;
    char *value = name + sizeof("cookie: ") - 1;
    if (headers->count == headers->capacity || walk->stop - name < (ptrdiff_t)(value - name)) {
        overflow(walk, CLOSE_HEADER_TOO_LARGE);
        return;
    }
    memcpy(name, "cookie: ", (size_t)(value - name));
    char *to = value;
    bool is_secret = false;
    for (uint32_t i = 0; i < headers->count; i++) {
        struct header *crumb = &headers->list[i];
        if (crumb->id != HEADER_COOKIE) {
            continue;
        }
        if ((size_t)(walk->stop - to) < crumb->value_len + 4U) {
            overflow(walk, CLOSE_HEADER_TOO_LARGE);
            return;
        }
        if (to != value) {
            to = (char *)memcpy(to, "; ", 2) + 2;
        }
        to = (char *)memcpy(to, base + crumb->value_at, crumb->value_len) + crumb->value_len;
        crumb->dropped = 1;
        is_secret = is_secret || crumb->secret != 0;
    }
    headers->list[headers->count++] = (struct header){
        .name_at = (uint32_t)(name - base),
        .name_len = sizeof("cookie") - 1,
        .value_at = (uint32_t)(value - base),
        .value_len = (uint32_t)(to - value),
        .id = HEADER_COOKIE,
        .secret = is_secret,
    };
    walk->line = (char *)memcpy(to, "\r\n", 2) + 2;
}

static enum hpack_verdict finish(struct walk *walk)
{
    struct hpack_fields *out = walk->out;
    if (walk->cookies_spread && !walk->too_large && !walk->malformed) {
        gather_crumbs(walk);
    }
    if (walk->too_large) {
        return HPACK_TOO_LARGE;
    }
    if (walk->malformed) {
        return HPACK_MALFORMED;
    }
    memcpy(walk->line, "\r\n", 2);
    out->headers.base = out->bytes;
    out->head_len = (uint32_t)(walk->line + 2 - out->bytes);
    return HPACK_OK;
}

enum hpack_verdict hpack_decode(struct hpack_decoder *decoder, struct slice block,
                                const struct hpack_limits *limits, struct hpack_fields *out)
{
    assert(out->capacity >= (uint64_t)limits->bytes + HPACK_SLACK &&
           out->capacity >= (uint32_t)decoder->limit + HPACK_SLACK);
    struct walk walk = {
        .decoder = decoder,
        .limits = limits,
        .out = out,
        .at = (const uint8_t *)block.ptr,
        .end = (const uint8_t *)block.ptr + block.len,
        .line = out->bytes,
        .stop = out->bytes + out->capacity - LINE_ROOM,
    };
    out->headers.count = 0;
    out->count = 0;
    out->pseudo_seen = 0;
    out->reason = CLOSE_OK;
    memset(out->pseudo, 0, sizeof(out->pseudo));
    memset(&out->seen, 0, sizeof(out->seen));

    enum step step = take_updates(&walk);
    while (step == STEP_ON && walk.at < walk.end) {
        step = take_field(&walk);
    }
    return step == STEP_ON ? finish(&walk) : HPACK_BAD;
}

void hpack_decoder_init(struct hpack_decoder *decoder)
{
    *decoder = (struct hpack_decoder){.limit = HPACK_TABLE, .max = HPACK_TABLE};
}

void hpack_decoder_fini(struct hpack_decoder *decoder)
{
    hpack_table_shrink(&decoder->table, 0);
}

void hpack_decoder_limit(struct hpack_decoder *decoder, uint32_t bytes)
{
    assert(bytes <= HPACK_TABLE_MAX);
    decoder->limit = (uint16_t)bytes;
    if (bytes <
        decoder->max) { /* the smallest is what the next block must begin with or go below */
        decoder->max = (uint16_t)bytes;
        decoder->must_update = true;
        hpack_table_shrink(&decoder->table, bytes);
    }
}

uint32_t hpack_decoder_memory(const struct hpack_decoder *decoder)
{
    return hpack_table_memory(decoder->table);
}
