#include "lbd/http/headers.h"

#include "lbd/http/h1_scan.h"
#include "lbd/http/header_table.h"

const uint8_t header_slots[HEADER_SLOTS] = {
    [HEADER_SLOT(4, 'h', 's', 't')] = HEADER_HOST,
    [HEADER_SLOT(14, 'c', 't', 'h')] = HEADER_CONTENT_LENGTH,
    [HEADER_SLOT(17, 't', 'n', 'g')] = HEADER_TRANSFER_ENCODING,
    [HEADER_SLOT(10, 'c', 'o', 'n')] = HEADER_CONNECTION,
    [HEADER_SLOT(10, 'k', 'v', 'e')] = HEADER_KEEP_ALIVE,
    [HEADER_SLOT(16, 'p', 'o', 'n')] = HEADER_PROXY_CONNECTION,
    [HEADER_SLOT(19, 'p', 'o', 'n')] = HEADER_PROXY_AUTHORIZATION,
    [HEADER_SLOT(18, 'p', 't', 'e')] = HEADER_PROXY_AUTHENTICATE,
    [HEADER_SLOT(2, 't', 't', 'e')] = HEADER_TE,
    [HEADER_SLOT(7, 't', 'e', 'r')] = HEADER_TRAILER,
    [HEADER_SLOT(7, 'u', 'd', 'e')] = HEADER_UPGRADE,
    [HEADER_SLOT(14, 'h', 'g', 's')] = HEADER_HTTP2_SETTINGS,
    [HEADER_SLOT(6, 'e', 'c', 't')] = HEADER_EXPECT,
    [HEADER_SLOT(4, 'd', 't', 'e')] = HEADER_DATE,
    [HEADER_SLOT(3, 'v', 'i', 'a')] = HEADER_VIA,
    [HEADER_SLOT(15, 'x', 'o', 'r')] = HEADER_X_FORWARDED_FOR,
    [HEADER_SLOT(17, 'x', 't', 'o')] = HEADER_X_FORWARDED_PROTO,
    [HEADER_SLOT(16, 'x', 's', 't')] = HEADER_X_FORWARDED_HOST,
    [HEADER_SLOT(16, 'x', 'r', 't')] = HEADER_X_FORWARDED_PORT,
    [HEADER_SLOT(9, 'x', 'i', 'p')] = HEADER_X_REAL_IP,
    [HEADER_SLOT(9, 'f', 'e', 'd')] = HEADER_FORWARDED,
    [HEADER_SLOT(11, 'c', 'r', 't')] = HEADER_CLIENT_CERT,
    [HEADER_SLOT(17, 'c', 'i', 'n')] = HEADER_CLIENT_CERT_CHAIN,
    [HEADER_SLOT(21, 'x', 'c', 't')] = HEADER_X_CLIENT_CERT_SUBJECT,
    [HEADER_SLOT(20, 'x', '5', '6')] = HEADER_X_CLIENT_CERT_SHA256,
    [HEADER_SLOT(12, 'x', 'i', 'd')] = HEADER_X_REQUEST_ID,
    [HEADER_SLOT(12, 'c', 'p', 'e')] = HEADER_CONTENT_TYPE,
    [HEADER_SLOT(16, 'c', 'n', 'g')] = HEADER_CONTENT_ENCODING,
    [HEADER_SLOT(13, 'c', 'g', 'e')] = HEADER_CONTENT_RANGE,
    [HEADER_SLOT(6, 'a', 'p', 't')] = HEADER_ACCEPT,
    [HEADER_SLOT(15, 'a', 'n', 'g')] = HEADER_ACCEPT_ENCODING,
    [HEADER_SLOT(15, 'a', 'g', 'e')] = HEADER_ACCEPT_LANGUAGE,
    [HEADER_SLOT(13, 'a', 'o', 'n')] = HEADER_AUTHORIZATION,
    [HEADER_SLOT(13, 'c', 'o', 'l')] = HEADER_CACHE_CONTROL,
    [HEADER_SLOT(6, 'c', 'i', 'e')] = HEADER_COOKIE,
    [HEADER_SLOT(10, 's', 'i', 'e')] = HEADER_SET_COOKIE,
    [HEADER_SLOT(8, 'l', 'o', 'n')] = HEADER_LOCATION,
    [HEADER_SLOT(5, 'r', 'g', 'e')] = HEADER_RANGE,
    [HEADER_SLOT(7, 'r', 'e', 'r')] = HEADER_REFERER,
    [HEADER_SLOT(6, 's', 'e', 'r')] = HEADER_SERVER,
    [HEADER_SLOT(10, 'u', 'n', 't')] = HEADER_USER_AGENT,
};

const uint8_t header_text_len[HEADER_ID_COUNT] = {
    [HEADER_OTHER] = 0,
#define HEADER(name, text, flags) [HEADER_##name] = sizeof(text) - 1,
#include "lbd/http/header_names.def"
#undef HEADER
};

const char header_text[HEADER_ID_COUNT][HEADER_TEXT_MAX] = {
    [HEADER_OTHER] = "",
#define HEADER(name, text, flags) [HEADER_##name] = text,
#include "lbd/http/header_names.def"
#undef HEADER
};

const uint8_t header_flags[HEADER_ID_COUNT] = {
    [HEADER_OTHER] = 0,
#define HEADER(name, text, flags) [HEADER_##name] = (flags),
#include "lbd/http/header_names.def"
#undef HEADER
};

enum header_id header_id_of(struct slice name)
{
    enum header_id id = header_candidate(name.ptr, name.len);
    return slice_eq_nocase(name, header_id_name(id)) ? id : HEADER_OTHER;
}

struct slice header_id_name(enum header_id id)
{
    return slice_of(header_text[id], header_text_len[id]);
}

unsigned header_id_flags(enum header_id id)
{
    return header_flags[id];
}

bool header_name_folds_to(struct slice name, struct slice canonical)
{
    if (name.len != canonical.len) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i] == '_' || name.ptr[i] == '.' ? '-' : slice_lower(name.ptr[i]);
        if (c != canonical.ptr[i]) {
            return false;
        }
    }
    return true;
}

enum header_id header_folded_id_of(struct slice name)
{
    char folded[HEADER_TEXT_MAX];
    if (name.len > sizeof(folded)) {
        return HEADER_OTHER;
    }
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        folded[i] = c == '_' || c == '.' ? '-' : c;
    }
    return header_id_of(slice_of(folded, name.len));
}

const struct header *headers_find(const struct headers *headers, enum header_id id)
{
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct header *header = &headers->list[i];
        if (header->id == id && header->dropped == 0) {
            return header;
        }
    }
    return NULL;
}

const struct header *headers_find_name(const struct headers *headers, struct slice name)
{
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct header *header = &headers->list[i];
        if (header->name_len == name.len && header->dropped == 0 &&
            slice_eq_nocase(header_name(headers, header), name)) {
            return header;
        }
    }
    return NULL;
}

bool header_list_next(struct slice *rest, struct slice *member)
{
    struct slice part;
    while (rest->len > 0) {
        size_t comma = slice_find(*rest, ',');
        if (comma == SIZE_MAX) {
            part = *rest;
            *rest = slice_of(rest->ptr + rest->len, 0);
        } else {
            part = slice_of(rest->ptr, comma);
            *rest = slice_from_at(*rest, comma + 1);
        }
        part = slice_trim(part);
        if (part.len > 0) { /* RFC 9110 5.6.1.2: empty members are ignored */
            *member = part;
            return true;
        }
    }
    return false;
}

#ifdef __SSE2__
/* No control character but HTAB in these 16. */
static bool is_text(__m128i bytes)
{
    unsigned tabs = h1_mask(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t')));
    return (h1_mask_controls(bytes) & ~tabs) == 0;
}
#endif

/* Checked for every field we add, so values of usual length take one or two steps: the last bytes
 * are looked at with those before them, twice if need be. */
bool header_value_is_valid(struct slice value)
{
    if (value.len == 0) {
        return true;
    }
    const char *at = value.ptr;
    const char *end = at + value.len;
#ifdef __SSE2__
    if (value.len >= 16) {
        for (; end - at > 16; at += 16) {
            if (!is_text(h1_load(at))) {
                return false;
            }
        }
        return is_text(h1_load(end - 16));
    }
    if (value.len >= 8) {
        __m128i first = _mm_loadl_epi64((const __m128i *)(const void *)at);
        __m128i last = _mm_loadl_epi64((const __m128i *)(const void *)(end - 8));
        return is_text(_mm_unpacklo_epi64(first, last));
    }
#endif
    return h1_scan_class(at, end, H1_TEXT) == end;
}

bool header_name_is_valid(struct slice name)
{
    return name.len > 0 && h1_scan_name(name.ptr, name.ptr + name.len) == name.ptr + name.len;
}
