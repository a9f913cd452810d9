#include "tests/unit/hpack_stand.h"

#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/http/hpack_table.h"

enum { TEXT_MAX = 256 * 1024 };

static const char *const pseudo_names[HPACK_PSEUDO_COUNT] = {
    ":method", ":scheme", ":authority", ":path", ":protocol", ":status",
};

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

void hpack_stand_init(struct hpack_stand *stand, struct hpack_limits limits)
{
    *stand = (struct hpack_stand){.limits = limits};
    hpack_decoder_init(&stand->decoder);
    struct hpack_fields *fields = &stand->fields;
    fields->capacity = (limits.bytes > HPACK_TABLE ? limits.bytes : HPACK_TABLE) + HPACK_SLACK;
    fields->bytes = (char *)mem_alloc(fields->capacity);
    fields->headers.capacity = limits.fields;
    fields->headers.list = (struct header *)mem_alloc((limits.fields + 1U) * sizeof(struct header));
}

void hpack_stand_fini(struct hpack_stand *stand)
{
    hpack_decoder_fini(&stand->decoder);
    free(stand->fields.bytes);
    free(stand->fields.headers.list);
}

enum hpack_verdict hpack_stand_decode(struct hpack_stand *stand, struct slice block)
{
    /* nothing of an earlier block may be needed */
    memset(stand->fields.bytes, 0xa5,
           stand->fields.capacity < HPACK_TABLE ? stand->fields.capacity : HPACK_TABLE);
    char *copy = (char *)mem_alloc(block.len == 0 ? 1 : block.len);
    if (block.len != 0) {
        memcpy(copy, block.ptr, block.len);
    }
    enum hpack_verdict verdict =
        hpack_decode(&stand->decoder, slice_of(copy, block.len), &stand->limits, &stand->fields);
    free(copy);
    const struct hpack_table *table = stand->decoder.table;
    if (verdict != HPACK_BAD && table != NULL) {
        must(table->size <= stand->decoder.max && table->room <= HPACK_TABLE_MAX);
        must(table->lines_end <= table->entries_at && table->entries_at <= table->room);
        must(table->room <= HPACK_TABLE);
    }
    return verdict;
}

struct text {
    char *bytes;
    size_t len;
};

static void add(struct text *text, struct slice s)
{
    must(text->len + s.len <= TEXT_MAX);
    if (s.len != 0) {
        memcpy(text->bytes + text->len, s.ptr, s.len);
    }
    text->len += s.len;
}

/* The lines lie one after another with their CRLFs, and behind the last one is the empty line. */
static void check_lines(const struct hpack_fields *fields)
{
    const struct headers *headers = &fields->headers;
    const struct h1_seen *seen = &fields->seen;
    must(headers->base == fields->bytes && fields->head_len <= fields->capacity);
    must(memcmp(headers->base + fields->head_len - 2, "\r\n", 2) == 0);
    unsigned hosts = 0;
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct header *header = &headers->list[i];
        uint32_t end = header->value_at + header->value_len;
        uint32_t next =
            i + 1 < headers->count ? headers->list[i + 1].name_at : fields->head_len - 2;
        must(header->value_at == header->name_at + header->name_len + 2);
        must(memcmp(headers->base + header->value_at - 2, ": ", 2) == 0);
        must(end + 2 == next && memcmp(headers->base + end, "\r\n", 2) == 0);
        must(header_name_is_valid(header_name(headers, header)));
        must(header_value_is_valid(header_value(headers, header)));
        must(header->id == (unsigned)header_id_of(header_name(headers, header)));
        must(header->dropped == 0 || header->id == HEADER_COOKIE);
        if (header->id == HEADER_HOST && hosts++ == 0) {
            must(seen->first[HEADER_HOST] == i);
        }
    }
    must(seen->count[HEADER_HOST] == hosts);
}

struct slice hpack_stand_text(const struct hpack_stand *stand)
{
    static char bytes[TEXT_MAX];
    struct text text = {bytes, 0};
    const struct hpack_fields *fields = &stand->fields;
    const struct headers *headers = &fields->headers;
    check_lines(fields);
    for (unsigned i = 0; i < HPACK_PSEUDO_COUNT; i++) {
        if ((fields->pseudo_seen & 1U << i) != 0) {
            add(&text, slice_from(pseudo_names[i]));
            add(&text, SLICE("="));
            add(&text, fields->pseudo[i]);
            add(&text, SLICE(" "));
        } else {
            must(fields->pseudo[i].len == 0);
        }
    }
    add(&text, SLICE("|"));
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct header *header = &headers->list[i];
        if (header->dropped != 0) {
            continue;
        }
        add(&text, header_name(headers, header));
        add(&text, header->secret != 0 ? SLICE(":! ") : SLICE(": "));
        add(&text, header_value(headers, header));
        add(&text, SLICE("|"));
    }
    return slice_of(text.bytes, text.len);
}
