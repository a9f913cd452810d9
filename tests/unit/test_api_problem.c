#include <string.h>

#include "api/api_problem.h"
#include "tests/unit/live_api.h"
#include "tests/unit/unit.h"

static struct api_request request;

static void begin_request(void)
{
    live_api_begin();
    memset(&request, 0, sizeof(request));
    request.control = live_api.live.control;
    (void)strcpy(request.id, "id-1");
    buf_init(&request.reply.body, 65536);
}

static void end_request(void)
{
    buf_fini(&request.reply.body);
    live_api_end();
}

static bool says(const char *text)
{
    (void)buf_append_char(&request.reply.body, '\0');
    request.reply.body.len--;
    return strstr(request.reply.body.data, text) != NULL;
}

START_TEST(a_problem_lists_all_that_is_wrong)
{
    struct conf_errors errors;
    begin_request();
    conf_errors_init(&errors);
    conf_errors_add_at(&errors, SLICE("/pools/a"), "unknown-key", SLICE("address"), "no %s", "way");
    conf_errors_add_at(&errors, SLICE_NONE, "wrong-type", SLICE_NONE, "must be an object");
    errors.errors[0].line = 14;
    errors.errors[0].column = 21;
    api_problem_with(&request, "invalid-config", "2 errors", &errors);
    ck_assert_uint_eq(request.reply.status, 422);
    ck_assert_str_eq(request.reply.content_type, "application/problem+json");
    ck_assert(says("\"type\": \"/v1/problems/invalid-config\""));
    ck_assert(says("\"status\": 422"));
    ck_assert(says("\"instance\": \"urn:lbd:api-request:id-1\""));
    ck_assert(says("\"pointer\": \"#/pools/a\""));
    ck_assert(says("\"suggestion\": \"address\""));
    ck_assert(says("\"line\": 14"));
    ck_assert(says("\"pointer\": \"#\""));
    ck_assert(!says("warnings"));
    conf_errors_fini(&errors);
    end_request();
}
END_TEST

START_TEST(every_kind_of_error_has_a_type_with_its_status)
{
    static const struct {
        enum err_kind kind;
        unsigned status;
    } kinds[] = {
        {ERR_INVALID, 422},      {ERR_MALFORMED, 400}, {ERR_NOT_FOUND, 404}, {ERR_CONFLICT, 409},
        {ERR_PRECONDITION, 412}, {ERR_TOO_LARGE, 413}, {ERR_DENIED, 403},    {ERR_UNAVAILABLE, 503},
        {ERR_STORAGE, 507},      {ERR_SYSTEM, 500},
    };
    begin_request();
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        api_problem(&request, api_problem_of(kinds[i].kind), "why %zu", i);
        ck_assert_uint_eq(request.reply.status, kinds[i].status);
    }
    end_request();
}
END_TEST

START_TEST(a_type_explains_itself)
{
    begin_request();
    ck_assert_uint_eq(live_api_call("GET", "/v1/problems/storage", "", ""), 200);
    ck_assert(live_api_has("\"status\": 507"));
    ck_assert_uint_eq(live_api_call("GET", "/v1/problems/none", "", ""), 404);
    end_request();
}
END_TEST

UNIT_TESTS("api_problem", a_problem_lists_all_that_is_wrong,
           every_kind_of_error_has_a_type_with_its_status, a_type_explains_itself)
