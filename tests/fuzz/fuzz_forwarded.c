/*
 * fuzz_forwarded - what clients write cannot change what a trusted proxy appends, and what is told
 * to servers reads back as what was found.
 *
 * The input: a byte of flags, then the value of one field.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/http/forwarded.h"

enum { VALUE_MAX = 4096, BASE_MAX = VALUE_MAX + 128 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static bool is_same(const struct addr_small *a, const struct addr_small *b)
{
    return addr_small_is_same_ip(a, b);
}

static void find(const struct forwarded_rules *rules, struct slice value,
                 const struct addr_small *peer, struct forwarded_found *found)
{
    struct header field = {.value_len = (uint32_t)value.len,
                           .id =
                               rules->reads_forwarded ? HEADER_FORWARDED : HEADER_X_FORWARDED_FOR};
    const struct headers headers = {.base = value.ptr, .list = &field, .count = 1, .capacity = 1};
    forwarded_find(rules, &headers, peer, found);
    must(found->count >= 1 && found->count <= rules->depth + 1);
    must(found->host.len == 0 || (found->host.ptr >= value.ptr &&
                                  found->host.ptr + found->host.len <= value.ptr + value.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct addr_small peer = {
        .ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1}, .family = AF_INET};
    struct slice trusted[] = {SLICE("10.0.0.0/8"), SLICE("fd00::/8")};
    struct forwarded_rules rules;
    struct forwarded_found found;
    struct forwarded_found again;
    struct arena arena;
    char appended[BASE_MAX];
    if (size == 0 || size > VALUE_MAX) {
        return 0;
    }
    struct slice value = slice_of((const char *)data + 1, size - 1);
    arena_init(&arena, NULL, 0);
    rules = (struct forwarded_rules){.reads_forwarded = (data[0] & 1) != 0,
                                     .depth = 1 + (data[0] >> 3U) % FORWARDED_DEPTH_MAX};
    must(cidr_set_build(&rules.trusted, &arena, trusted, 2));
    find(&rules, value, &peer, &found);

    /* what is written is read back, by a reader who trusts those that were trusted */
    struct forwarded_rules reader = rules;
    struct slice written = rules.reads_forwarded
                               ? forwarded_write(&found, SLICE("https"), SLICE("a:1"), &arena)
                               : forwarded_write_list(&found, &arena);
    reader.depth = FORWARDED_DEPTH_MAX;
    if (found.count <= FORWARDED_DEPTH_MAX - 1) {
        find(&reader, written, &peer, &again);
        must(!again.is_broken && again.count == found.count + 1);
        must(is_same(forwarded_client(&again), forwarded_client(&found)));
    }

    /* what a proxy appends counts, whatever stands before it */
    int len = snprintf(appended, sizeof(appended), "%.*s, %s192.0.2.7", SLICE_ARG(value),
                       rules.reads_forwarded ? "for=" : "");
    must(len > 0 && (size_t)len < sizeof(appended));
    if (memchr(value.ptr, '\0', value.len) == NULL) {
        find(&rules, slice_of(appended, (size_t)len), &peer, &again);
        must(again.count == 2 && again.hops[1].ip[15] == 7 && again.hops[1].ip[12] == 192);
    }
    arena_fini(&arena);
    return 0;
}
