/*
 * fuzz_agent_line - whatever an agent says, what is taken of it is within bounds.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/upstream/agent_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agent_line line;
    char *copy = mem_alloc(size + 1);
    memcpy(copy, data, size);
    (void)agent_line_read(slice_of(copy, size), &line);
    if (line.percent > 100 || line.max_connections > 1000000) {
        abort();
    }
    free(copy);
    return 0;
}
