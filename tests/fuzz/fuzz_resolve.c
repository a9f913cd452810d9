/*
 * fuzz_resolve - the SRV records of a DNS message.
 *
 * The input is the message.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/net/resolve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct resolve_service services[RESOLVE_ANSWERS_MAX];
    uint32_t count = 0;
    uint32_t ttl_s = 0;
    memset(services, 0, sizeof(services));
    bool ok = resolve_parse_services(data, size, services, &count, &ttl_s);
    must(count <= RESOLVE_ANSWERS_MAX);
    for (uint32_t i = 0; ok && i < count; i++) {
        size_t len = strnlen(services[i].host, RESOLVE_NAME_MAX);
        must(len > 0 && len < RESOLVE_NAME_MAX && services[i].port != 0);
    }
    return 0;
}
