/* What a client says, whole or cut at every byte: the same is let through. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lbd/mail/sieve_guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct slice text = slice_of((const char *)data, size);
    struct sieve_guard whole = {.matched = 0};
    struct sieve_guard cut = {.matched = 0};
    bool may = sieve_guard_client(&whole, text);
    bool may_cut = true;
    for (size_t i = 0; i < text.len && may_cut; i++) {
        may_cut = sieve_guard_client(&cut, slice_of(text.ptr + i, 1));
    }
    assert(may == may_cut);
    assert(!may || memcmp(&whole, &cut, sizeof(whole)) == 0);
    return 0;
}
