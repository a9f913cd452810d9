/*
 * fuzz_accept_encoding - weights stay in their range, a field says the same as its members in
 * fields of their own, and what is chosen is what is wanted, in order.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/http/accept_encoding.h"

#define FIELDS 32U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void choose(const struct accept_encoding *takes)
{
    static const enum conf_encoding offered[] = {CONF_ENCODING_ZSTD, CONF_ENCODING_BR,
                                                 CONF_ENCODING_GZIP};
    enum conf_encoding chosen[CONF_ENCODING_COUNT];
    uint32_t wanted = 0;
    uint32_t count = accept_encoding_choose(takes, offered, CONF_ENCODING_COUNT, chosen);
    for (size_t i = 0; i < CONF_ENCODING_COUNT; i++) {
        uint16_t weight = takes->weights[i];
        must(weight <= ACCEPT_ENCODING_MOST);
        wanted += weight > 0 && weight >= takes->identity ? 1 : 0;
    }
    must(count == wanted);
    for (uint32_t i = 1; i < count; i++) {
        uint16_t before = takes->weights[chosen[i - 1]];
        uint16_t weight = takes->weights[chosen[i]];
        must(before > weight || (before == weight && chosen[i - 1] < chosen[i]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of((const char *)data, size);
    struct accept_encoding whole = accept_encoding_of(text);
    must(whole.identity <= ACCEPT_ENCODING_MOST);
    choose(&whole);
    struct header list[FIELDS];
    struct headers headers = {.base = text.ptr, .list = list, .capacity = FIELDS};
    struct slice rest = text;
    struct slice member;
    while (header_list_next(&rest, &member)) {
        if (headers.count == FIELDS) {
            return 0;
        }
        list[headers.count++] = (struct header){.value_at = (uint32_t)(member.ptr - text.ptr),
                                                .value_len = (uint32_t)member.len,
                                                .id = HEADER_ACCEPT_ENCODING};
    }
    struct accept_encoding parts = accept_encoding_read(&headers);
    must(memcmp(&parts, &whole, sizeof(parts)) == 0);
    return 0;
}
