/*
 * fuzz_keep_alive - the seconds of a Keep-Alive field are some number up to a day, whatever it
 * says.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>

#include "lbd/upstream/keep_alive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (keep_alive_parse(slice_of((const char *)data, size)) > 86400) {
        abort();
    }
    return 0;
}
