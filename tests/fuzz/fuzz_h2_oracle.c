/*
 * fuzz_h2_oracle - a client's frames, in lbd and in libnghttp2 (h2_oracle).
 *
 * Threads: the main thread.
 */
#include <stdint.h>

#include "lbd/http/h2_conn.h"
#include "tests/unit/h2_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    h2_oracle_run(H2_CLIENT_FACING, slice_of((const char *)data, size));
    return 0;
}
