/* Whatever a server says first, looking at it is safe and has an answer. */
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/upstream/interview.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = mem_alloc(size + 1); /* exactly so many: what is read beyond is seen */
    memcpy(copy, data, size);
    enum interview_found found = interview_look(slice_of(copy, size));
    if ((found == INTERVIEW_NOTHING) != (size == 0) || found > INTERVIEW_OTHER) {
        abort();
    }
    free(copy);
    return 0;
}
