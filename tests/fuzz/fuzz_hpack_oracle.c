/*
 * fuzz_hpack_oracle - lbd's HPACK beside that of libnghttp2, block after block of one connection.
 *
 *     again and again: one byte, and what it says
 *         0xff: one more byte n: a limit of 64 * n bytes is announced and acknowledged
 *         else: so many bytes follow, a block
 *
 * Both agree on what is an error of compression, but for two things that lbd refuses on purpose
 * (more than two size updates, integers of more than five bytes); else both have the same fields
 * and the same table. What libnghttp2's deflater makes of the fields, with index and Huffman, lbd
 * reads as the same message; and libnghttp2 reads what lbd sends.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "lbd/base/mem.h"
#include "lbd/http/hpack.h"
#include "lbd/http/hpack_encode.h"
#include "lbd/http/hpack_table.h"
#include "tests/unit/hpack_stand.h"

enum {
    BYTES = 1024 * 1024,
    FIELDS = 4096,
    LIMIT_STEP = 64,
    OUT_MAX = BYTES,
    /* a block of 254 bytes: fields of one byte each that name a full table */
    OPCODE_LIMIT = 0xff,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* -- what libnghttp2 reads -- */

struct field {
    struct slice name; /* owned */
    struct slice value;
    bool is_secret;
};

struct list {
    struct field fields[FIELDS];
    size_t count;
};

static void list_clear(struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free((void *)(uintptr_t)list->fields[i].name.ptr);
        free((void *)(uintptr_t)list->fields[i].value.ptr);
    }
    list->count = 0;
}

static struct slice copy_of(const uint8_t *bytes, size_t len)
{
    return slice_of(mem_slicedup(slice_of((const char *)bytes, len)), len);
}

/* False: an error of compression. */
static bool inflate(nghttp2_hd_inflater *inflater, struct slice block, struct list *list)
{
    const uint8_t *at = (const uint8_t *)block.ptr;
    size_t left = block.len;
    list_clear(list);
    for (;;) {
        nghttp2_nv field;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(inflater, &field, &flags, at, left, 1);
        if (used < 0) {
            return false;
        }
        at += used;
        left -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            must(list->count < FIELDS);
            list->fields[list->count++] = (struct field){
                copy_of(field.name, field.namelen), copy_of(field.value, field.valuelen),
                (field.flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0};
        }
        if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
            (void)nghttp2_hd_inflate_end_headers(inflater);
            return true;
        }
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0 && left == 0) {
            return false;
        }
    }
}

/* -- the rules of hpack.h, once more and slowly -- */

static const char *const pseudo_names[HPACK_PSEUDO_COUNT] = {
    ":method", ":scheme", ":authority", ":path", ":protocol", ":status",
};

static int pseudo_of(struct slice name)
{
    for (int i = 0; i < HPACK_PSEUDO_COUNT; i++) {
        if (slice_eq(name, slice_from(pseudo_names[i]))) {
            return i;
        }
    }
    return -1;
}

static bool value_is_good(struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        bool is_blank = c == ' ' || c == '\t';
        if ((is_blank && (i == 0 || i + 1 == value.len)) || (c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool name_is_good(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) {
            return false;
        }
    }
    return name.len > 0;
}

struct text {
    char bytes[OUT_MAX];
    size_t len;
};

static void add(struct text *text, struct slice s)
{
    must(text->len + s.len <= sizeof(text->bytes));
    if (s.len != 0) {
        memcpy(text->bytes + text->len, s.ptr, s.len);
    }
    text->len += s.len;
}

static void add_field(struct text *text, struct slice name, struct slice value, bool is_secret)
{
    add(text, name);
    add(text, is_secret ? SLICE(":! ") : SLICE(": "));
    add(text, value);
    add(text, SLICE("|"));
}

/* Where the cookie of a list goes: at its first crumb when all are neighbours, else to the end. */
static bool crumbs_are_spread(const struct list *list)
{
    bool seen = false;
    bool left = false;
    for (size_t i = 0; i < list->count; i++) {
        const struct field *field = &list->fields[i];
        if (slice_eq(field->name, SLICE("cookie"))) {
            if (field->value.len != 0 && left) {
                return true;
            }
            seen = seen || field->value.len != 0;
        } else {
            left = left || seen;
        }
    }
    return false;
}

static void add_cookie(struct text *text, const struct list *list)
{
    bool is_secret = false;
    bool is_first = true;
    for (size_t i = 0; i < list->count; i++) {
        const struct field *field = &list->fields[i];
        is_secret = is_secret || (field->is_secret && field->value.len != 0 &&
                                  slice_eq(field->name, SLICE("cookie")));
    }
    add(text, SLICE("cookie"));
    add(text, is_secret ? SLICE(":! ") : SLICE(": "));
    for (size_t i = 0; i < list->count; i++) {
        const struct field *field = &list->fields[i];
        if (slice_eq(field->name, SLICE("cookie")) && field->value.len != 0) {
            add(text, is_first ? SLICE("") : SLICE("; "));
            add(text, field->value);
            is_first = false;
        }
    }
    add(text, SLICE("|"));
}

/* As hpack_stand_text writes it; false: malformed. */
static bool expect_text(const struct list *list, struct text *text)
{
    struct slice pseudo[HPACK_PSEUDO_COUNT] = {{NULL, 0}};
    unsigned seen = 0;
    bool in_fields = false;
    for (size_t i = 0; i < list->count; i++) {
        const struct field *field = &list->fields[i];
        int which = pseudo_of(field->name);
        if (!value_is_good(field->value) || (which < 0 && !name_is_good(field->name))) {
            return false;
        }
        if (which >= 0) {
            if (in_fields || (seen & 1U << which) != 0) {
                return false;
            }
            seen |= 1U << which;
            pseudo[which] = field->value;
        } else {
            in_fields = true;
        }
    }
    text->len = 0;
    for (int i = 0; i < HPACK_PSEUDO_COUNT; i++) {
        if ((seen & 1U << i) != 0) {
            add(text, slice_from(pseudo_names[i]));
            add(text, SLICE("="));
            add(text, pseudo[i]);
            add(text, SLICE(" "));
        }
    }
    add(text, SLICE("|"));
    bool spread = crumbs_are_spread(list);
    bool cookie_done = false;
    bool any_cookie = false;
    for (size_t i = 0; i < list->count; i++) {
        const struct field *field = &list->fields[i];
        if (pseudo_of(field->name) >= 0) {
            continue;
        }
        if (!slice_eq(field->name, SLICE("cookie"))) {
            add_field(text, field->name, field->value, field->is_secret);
            continue;
        }
        any_cookie = any_cookie || field->value.len != 0;
        if (field->value.len != 0 && !spread && !cookie_done) {
            add_cookie(text, list);
            cookie_done = true;
        }
    }
    if (spread && any_cookie) {
        add_cookie(text, list);
    }
    return true;
}

/* -- both -- */

static void check_same_tables(nghttp2_hd_inflater *inflater, const struct hpack_decoder *decoder)
{
    size_t entries = nghttp2_hd_inflate_get_num_table_entries(inflater);
    for (size_t index = 1; index <= entries; index++) {
        const nghttp2_nv *entry = nghttp2_hd_inflate_get_table_entry(inflater, index);
        struct hpack_line line;
        must(hpack_table_find(decoder->table, (uint32_t)index, &line));
        must(line.name_len == entry->namelen && line.value_len == entry->valuelen);
        must(memcmp(line.bytes, entry->name, line.name_len) == 0);
        must(line.value_len == 0 ||
             memcmp(line.bytes + line.name_len + 2, entry->value, line.value_len) == 0);
    }
    must((size_t)(decoder->table == NULL ? 0 : decoder->table->count) + HPACK_STATIC_COUNT ==
         entries);
    must(decoder->table == NULL ||
         decoder->table->size == nghttp2_hd_inflate_get_dynamic_table_size(inflater));
}

/* lbd refuses these on purpose. */
static bool is_stricter_here(struct slice block)
{
    size_t at = 0;
    unsigned updates = 0;
    while (at < block.len && ((unsigned char)block.ptr[at] & 0xe0U) == 0x20) {
        updates++;
        if (((unsigned char)block.ptr[at++] & 0x1fU) == 0x1f) {
            while (at < block.len && ((unsigned char)block.ptr[at] & 0x80U) != 0) {
                at++;
            }
            at++;
        }
    }
    if (updates > 2) {
        return true;
    }
    /* an integer of more than five bytes somewhere: four in a row that say "more" */
    unsigned row = 0;
    for (size_t i = 0; i < block.len; i++) {
        row = ((unsigned char)block.ptr[i] & 0x80U) != 0 ? row + 1 : 0;
        if (row >= 4) {
            return true;
        }
    }
    return false;
}

struct connection {
    struct hpack_stand stand;
    nghttp2_hd_inflater *inflater;
    nghttp2_hd_deflater *deflater; /* and back: */
    struct hpack_stand from_deflater;
    struct hpack_encoder encoder;
    nghttp2_hd_inflater *from_encoder;
};

/* What libnghttp2 makes of the fields is the same message here. */
static void check_deflated(struct connection *connection, const struct list *list,
                           const struct text *want)
{
    static nghttp2_nv fields[FIELDS];
    for (size_t i = 0; i < list->count; i++) {
        const struct field *field = &list->fields[i];
        fields[i] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)field->name.ptr,
                                 .value = (uint8_t *)(uintptr_t)field->value.ptr,
                                 .namelen = field->name.len,
                                 .valuelen = field->value.len,
                                 .flags = field->is_secret ? NGHTTP2_NV_FLAG_NO_INDEX
                                                           : NGHTTP2_NV_FLAG_NONE};
    }
    size_t bound = nghttp2_hd_deflate_bound(connection->deflater, fields, list->count);
    char *out = mem_alloc(bound + 1);
    ssize_t len =
        nghttp2_hd_deflate_hd(connection->deflater, (uint8_t *)out, bound, fields, list->count);
    must(len >= 0);
    struct hpack_stand *stand = &connection->from_deflater;
    must(hpack_stand_decode(stand, slice_of(out, (size_t)len)) == HPACK_OK);
    free(out);
    /* the deflater adds secrets of its own: short cookies, authorization */
    struct slice text = hpack_stand_text(stand);
    size_t w = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (w < want->len && text.ptr[i] == want->bytes[w]) {
            w++;
        } else {
            must(text.ptr[i] == '!');
        }
    }
    must(w == want->len);
}

/* And libnghttp2 reads what lbd sends. */
static void check_encoded(struct connection *connection)
{
    static char out[OUT_MAX];
    static struct list list;
    static struct text text;
    const struct hpack_fields *fields = &connection->stand.fields;
    struct hpack_encode writer;
    hpack_encode_begin(&writer, &connection->encoder, out, sizeof(out));
    for (unsigned i = 0; i < HPACK_PSEUDO_COUNT; i++) {
        if ((fields->pseudo_seen & 1U << i) != 0) {
            hpack_encode_pseudo(&writer, (enum hpack_pseudo)i, fields->pseudo[i]);
        }
    }
    for (uint32_t i = 0; i < fields->headers.count; i++) {
        if (fields->headers.list[i].dropped == 0) {
            hpack_encode_header(&writer, &fields->headers, &fields->headers.list[i]);
        }
    }
    size_t len = hpack_encode_end(&writer);
    must(inflate(connection->from_encoder, slice_of(out, len), &list));
    must(nghttp2_hd_inflate_get_dynamic_table_size(connection->from_encoder) == 0);
    must(expect_text(&list, &text));
    must(slice_eq(hpack_stand_text(&connection->stand), slice_of(text.bytes, text.len)));
    list_clear(&list);
}

/* False: the connection is over. */
static bool take_block(struct connection *connection, struct slice block)
{
    static struct list list;
    static struct text want;
    bool good = inflate(connection->inflater, block, &list);
    enum hpack_verdict verdict = hpack_stand_decode(&connection->stand, block);
    if (!good || verdict == HPACK_BAD) {
        must((!good && verdict == HPACK_BAD) || is_stricter_here(block));
        list_clear(&list);
        return false;
    }
    check_same_tables(connection->inflater, &connection->stand.decoder);
    must(connection->stand.fields.count == list.count);
    must(verdict != HPACK_TOO_LARGE);
    must(expect_text(&list, &want) == (verdict == HPACK_OK));
    if (verdict == HPACK_OK) {
        must(slice_eq(hpack_stand_text(&connection->stand), slice_of(want.bytes, want.len)));
        check_deflated(connection, &list, &want);
        check_encoded(connection);
    }
    list_clear(&list);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct hpack_limits limits = {.bytes = BYTES, .fields = FIELDS};
    struct connection connection = {0};
    hpack_stand_init(&connection.stand, limits);
    hpack_stand_init(&connection.from_deflater, limits);
    hpack_encode_init(&connection.encoder);
    must(nghttp2_hd_inflate_new(&connection.inflater) == 0);
    must(nghttp2_hd_inflate_new(&connection.from_encoder) == 0);
    must(nghttp2_hd_deflate_new(&connection.deflater, HPACK_TABLE) == 0);

    const uint8_t *at = data;
    const uint8_t *end = data + size;
    while (at < end) {
        size_t len = *at++;
        if (len == OPCODE_LIMIT) {
            if (at == end) {
                break;
            }
            uint32_t limit = *at++ % (HPACK_TABLE / LIMIT_STEP + 1) * (uint32_t)LIMIT_STEP;
            hpack_decoder_limit(&connection.stand.decoder, limit);
            must(nghttp2_hd_inflate_change_table_size(connection.inflater, limit) == 0);
            continue;
        }
        len = len > (size_t)(end - at) ? (size_t)(end - at) : len;
        if (!take_block(&connection, slice_of((const char *)at, len))) {
            break;
        }
        at += len;
    }

    nghttp2_hd_inflate_del(connection.inflater);
    nghttp2_hd_inflate_del(connection.from_encoder);
    nghttp2_hd_deflate_del(connection.deflater);
    hpack_stand_fini(&connection.stand);
    hpack_stand_fini(&connection.from_deflater);
    return 0;
}
