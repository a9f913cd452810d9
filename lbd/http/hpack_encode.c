#include "lbd/http/hpack_encode.h"

#include <assert.h>
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/http/hpack_table.h"

/* Of names that are known by id, their index in the static table. */
static const uint8_t static_index[HEADER_ID_COUNT] = {
#define PSEUDO(index, NAME, name, value)
#define KNOWN(index, ID, name, value) [HEADER_##ID] = (index),
#define OTHER(index, name, value)
#include "lbd/http/hpack_static.def"
#undef PSEUDO
#undef KNOWN
#undef OTHER
};

/* Of pseudo-headers, the first index with the name, how many there are, 0: none. */
static const struct {
    uint8_t index;
    uint8_t count;
} static_pseudo[HPACK_PSEUDO_COUNT] = {
    [HPACK_METHOD] = {2, 2}, [HPACK_SCHEME] = {6, 2},   [HPACK_AUTHORITY] = {1, 0},
    [HPACK_PATH] = {4, 2},   [HPACK_PROTOCOL] = {0, 0}, [HPACK_STATUS] = {8, 7},
};

static inline void put_bytes(struct hpack_encode *writer, const char *bytes, size_t len)
{
    if (LB_UNLIKELY(len > (size_t)(writer->end - writer->at))) {
        writer->full = true;
        writer->end = writer->at;
        return;
    }
    if (len != 0) {
        memcpy(writer->at, bytes, len);
    }
    writer->at += len;
}

/* RFC 7541 5.1 */
static inline void put_integer(struct hpack_encode *writer, unsigned first, unsigned prefix_bits,
                               size_t value)
{
    char bytes[1 + (sizeof(value) * 8 + 6) / 7];
    size_t len = 0;
    size_t most = (1U << prefix_bits) - 1U;
    if (LB_LIKELY(value < most)) {
        bytes[len++] = (char)(first | value);
    } else {
        bytes[len++] = (char)(first | most);
        value -= most;
        for (; value >= 0x80; value >>= 7) {
            bytes[len++] = (char)(0x80U | (value & 0x7fU));
        }
        bytes[len++] = (char)value;
    }
    put_bytes(writer, bytes, len);
}

static inline void put_string(struct hpack_encode *writer, struct slice text)
{
    put_integer(writer, 0, 7, text.len);
    put_bytes(writer, text.ptr, text.len);
}

/* Bit 5 makes a letter lower case and changes no digit and no '-' (R9). */
static void put_name(struct hpack_encode *writer, struct slice name)
{
    put_integer(writer, 0, 7, name.len);
    char *to = writer->at;
    put_bytes(writer, name.ptr, name.len);
    for (; to < writer->at; to++) {
        *to = (char)(*to | 0x20);
    }
}

static void put_literal(struct hpack_encode *writer, struct slice name, enum header_id id,
                        struct slice value, bool is_secret)
{
    unsigned first = is_secret ? HPACK_NEVER_INDEXED : 0;
    put_integer(writer, first, 4, static_index[id]);
    if (static_index[id] == 0) {
        put_name(writer, name);
    }
    put_string(writer, value);
}

void hpack_encode_init(struct hpack_encoder *encoder)
{
    encoder->said_no_table = false;
}

void hpack_encode_begin(struct hpack_encode *writer, struct hpack_encoder *encoder, char *out,
                        size_t capacity)
{
    *writer =
        (struct hpack_encode){.encoder = encoder, .begin = out, .at = out, .end = out + capacity};
    if (!encoder->said_no_table) {
        put_integer(writer, HPACK_SIZE_UPDATE, 5, 0);
    }
}

size_t hpack_encode_end(struct hpack_encode *writer)
{
    if (writer->full) {
        return 0;
    }
    writer->encoder->said_no_table = true;
    return (size_t)(writer->at - writer->begin);
}

void hpack_encode_status(struct hpack_encode *writer, unsigned status)
{
    char digits[] = {(char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10),
                     (char)('0' + status % 10)};
    hpack_encode_pseudo(writer, HPACK_STATUS, slice_of(digits, sizeof(digits)));
}

void hpack_encode_pseudo(struct hpack_encode *writer, enum hpack_pseudo pseudo, struct slice value)
{
    unsigned index = static_pseudo[pseudo].index;
    for (unsigned i = index; i < index + static_pseudo[pseudo].count; i++) {
        const struct hpack_static_line *row = &hpack_static[i];
        if (slice_eq(slice_of(row->bytes + row->name_len + 2, row->value_len), value)) {
            put_integer(writer, HPACK_INDEXED, 7, i);
            return;
        }
    }
    put_integer(writer, 0, 4, index);
    if (index == 0) {
        put_string(writer, hpack_pseudo_names[pseudo]);
    }
    put_string(writer, value);
}

void hpack_encode_field(struct hpack_encode *writer, struct slice name, struct slice value)
{
    put_literal(writer, name, header_id_of(name), value, false);
}

void hpack_encode_known(struct hpack_encode *writer, enum header_id id, struct slice value)
{
    assert(id != HEADER_OTHER);
    put_literal(writer, header_id_name(id), id, value, false);
}

void hpack_encode_header(struct hpack_encode *writer, const struct headers *headers,
                         const struct header *header)
{
    put_literal(writer, header_name(headers, header), (enum header_id)header->id,
                header_value(headers, header), header->secret != 0);
}
