#include "api/api_limit.h"

#include "api/api_problem.h"
#include "lbd/base/num.h"

bool api_limit_read(struct api_request *request, uint32_t least, uint32_t usual, uint32_t most,
                    uint32_t *limit)
{
    struct slice text = api_request_query(request, "limit");
    uint64_t number = usual;
    if (text.ptr != NULL && (!num_parse_u64(text, &number) || number < least || number > most)) {
        api_problem(request, "unknown-parameter", "'limit' is a number from %u to %u", least, most);
        return false;
    }
    *limit = (uint32_t)number;
    return true;
}
