/*
 * fuzz_cidr - a set of networks says what its networks say one by one.
 *
 * The input is lines; the first is an address, the others are networks.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>

#include "lbd/base/cidr.h"

#define NETWORKS_MAX 32U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of((const char *)data, size);
    struct slice line;
    struct addr address;
    struct addr_small wanted = {.family = AF_UNIX};
    struct slice texts[NETWORKS_MAX];
    uint32_t count = 0;
    bool want = false;
    bool all = true;
    struct arena arena;
    struct cidr_set set;

    if (slice_split(&rest, '\n', &line) && addr_from_ip(line, 0, &address)) {
        addr_small_from(&wanted, &address.u.any);
    }
    while (count < NETWORKS_MAX && slice_split(&rest, '\n', &line)) {
        struct cidr cidr;
        if (slice_eq(line, SLICE("unix"))) {
            want = want || wanted.family == AF_UNIX;
        } else if (cidr_parse(line, &cidr)) {
            must(cidr.bits <= 128 && (cidr.is_v6 || cidr.bits >= 96));
            want = want || cidr_has(&cidr, &wanted);
        } else {
            all = false;
        }
        texts[count++] = line;
    }
    arena_init(&arena, NULL, 0);
    must(cidr_set_build(&set, &arena, texts, count) == all);
    must(cidr_set_has(&set, &wanted) == want);
    arena_fini(&arena);
    return 0;
}
