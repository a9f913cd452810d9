#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/stats/access_kept.h"
#include "tests/unit/unit.h"

START_TEST(it_outlives_the_texts_it_was_made_of)
{
    char path[] = "/chat?x";
    struct access_record record = {.path = slice_from(path),
                                   .method = SLICE("GET"),
                                   .status = 101,
                                   .request_bytes = 1,
                                   .response_bytes = 2,
                                   .duration_us = 10};
    struct access_log *log = access_log_new(-1);
    struct access_kept *kept = access_kept_new(&record, 1000010);
    memset(path, '?', sizeof(path) - 1);
    access_kept_finish(kept, log, CLOSE_TUNNEL_CLOSED, 100, 200, 3000000);

    struct slice pieces[2];
    char line[1024];
    size_t len = access_log_peek(log, pieces);
    ck_assert_uint_lt(len, sizeof(line));
    memcpy(line, pieces[0].ptr, len);
    line[len] = '\0';
    ck_assert_ptr_nonnull(strstr(line, "\"path\":\"/chat?x\""));
    ck_assert_ptr_nonnull(strstr(line, "\"status\":101,\"reason\":\"tunnel_closed\""));
    ck_assert_ptr_nonnull(strstr(line, "\"request_bytes\":101,\"response_bytes\":202"));
    ck_assert_ptr_nonnull(strstr(line, "\"duration_us\":2000000,"));
    access_log_free(log);
}
END_TEST

UNIT_TESTS("access_kept", it_outlives_the_texts_it_was_made_of)
