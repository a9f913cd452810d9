/*
 * fuzz_api_admin_wish - any body of a PUT on an admin state or a weight: refused with a reason, or
 * a wish within its limits.
 */
#include <stdlib.h>

#include "api/api_admin_wish.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check(const struct control_wish *wish)
{
    must(wish->reason.len <= 256);
    must(wish->expires_ms <= UINT64_C(366) * 86400000);
    must(wish->deadline_ms <= UINT64_C(366) * 86400000);
    if (wish->kind == OVERRIDE_WEIGHT) {
        must((wish->weight >= 1 && wish->weight <= 1000) || wish->percent >= 1);
    } else if (wish->kind != OVERRIDE_ADMIN) {
        must(wish->state != SERVER_MAINT);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_error why;
    struct json *body =
        json_parse(slice_of((const char *)data, size), JSON_STRICT, &json_limits_resource, &why);
    for (int kind = 0; body != NULL && kind < OVERRIDE_KINDS; kind++) {
        struct control_wish wish = {.kind = (enum override_kind)kind};
        struct conf_errors errors;
        conf_errors_init(&errors);
        if (api_admin_wish_read(body, &wish, &errors)) {
            check(&wish);
        } else {
            must(errors.error_count != 0);
        }
        conf_errors_fini(&errors);
    }
    json_free(body);
    return 0;
}
