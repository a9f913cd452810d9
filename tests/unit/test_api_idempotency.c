#include <stdio.h>
#include <string.h>

#include "api/api_idempotency.h"
#include "api/api_table.h"
#include "lbd/base/now.h"
#include "tests/unit/live_control.h"
#include "tests/unit/unit.h"

static struct live_control live;
static struct api_idempotency *memory;

static void setup(void)
{
    live_control_start(&live, "\"pools\":{}", "");
    memory = api_idempotency_new();
}

static void teardown(void)
{
    now_set_for_test(0, 0);
    api_idempotency_free(memory);
    live_control_stop(&live);
}

static void make(struct api_request *request, const char *who, const char *key, const char *body)
{
    static const struct api_row row = {.pattern = "/v1/config"};
    memset(request, 0, sizeof(*request));
    request->control = live.control;
    request->row = &row;
    request->method = API_PUT;
    request->path = SLICE("/v1/config");
    request->body = slice_from(body);
    request->idempotency_key = slice_from(key);
    (void)snprintf(request->identity.name, sizeof(request->identity.name), "%s", who);
    buf_init(&request->reply.body, API_REPLY_MAX);
}

static void answer(struct api_request *request, unsigned status, const char *body)
{
    request->reply.status = status;
    request->reply.content_type = "application/json";
    request->reply.has_changed = true;
    request->reply.is_changed = true;
    request->reply.revision = 7;
    (void)snprintf(request->reply.etag, sizeof(request->reply.etag), "0123456789abcdef");
    (void)buf_append_text(&request->reply.body, body);
    api_idempotency_end(memory, request);
    buf_fini(&request->reply.body);
}

/* One exchange; returns whether the handler was to run. */
static bool go(const char *who, const char *key, const char *body, unsigned status,
               const char *reply)
{
    struct api_request request;
    make(&request, who, key, body);
    bool runs = api_idempotency_begin(memory, &request);
    if (runs) {
        answer(&request, status, reply);
    } else {
        ck_assert_uint_eq(request.reply.status, status);
        if (status < 400) {
            ck_assert_str_eq(request.reply.body.data, reply);
            ck_assert_str_eq(request.reply.headers[0].name, "Idempotent-Replay");
            ck_assert_str_eq(request.reply.etag, "0123456789abcdef");
            ck_assert(request.reply.is_changed);
            ck_assert_uint_eq(request.reply.revision, 7);
        } else {
            ck_assert_ptr_nonnull(strstr(request.reply.body.data, reply));
        }
        api_idempotency_end(memory, &request);
        buf_fini(&request.reply.body);
    }
    return runs;
}

START_TEST(the_same_again_is_answered_from_memory)
{
    ck_assert(go("a", "k", "{}", 201, "one"));
    ck_assert(!go("a", "k", "{}", 201, "one"));
    ck_assert(!go("a", "k", "{}", 201, "one"));
    ck_assert(!go("a", "k", "{ }", 422, "idempotency-mismatch"));
    ck_assert(go("b", "k", "{ }", 200, "two")); /* somebody else's key */
    ck_assert(go("a", "K", "{}", 200, "three"));
    ck_assert_uint_eq(api_idempotency_count(memory), 3);
}
END_TEST

START_TEST(everything_of_a_request_counts)
{
    struct api_request request;
    ck_assert(go("a", "k", "{}", 200, "one"));
    for (int i = 0; i < 6; i++) {
        make(&request, "a", "k", "{}");
        switch (i) {
        case 0:
            request.method = API_PATCH;
            break;
        case 1:
            request.path = SLICE("/v1/confi");
            break;
        case 2:
            request.query[request.query_count++] =
                (struct api_query){SLICE("dry_run"), SLICE("true")};
            break;
        case 3:
            request.if_match = SLICE("\"x\"");
            break;
        case 4:
            request.if_none_match = SLICE("*");
            break;
        default:
            request.content_type = SLICE("application/json");
            break;
        }
        ck_assert(!api_idempotency_begin(memory, &request));
        ck_assert_uint_eq(request.reply.status, 422);
        buf_fini(&request.reply.body);
    }
}
END_TEST

START_TEST(one_that_runs_is_not_run_twice)
{
    struct api_request first;
    struct api_request second;
    make(&first, "a", "k", "{}");
    ck_assert(api_idempotency_begin(memory, &first));
    make(&second, "a", "k", "{}");
    ck_assert(!api_idempotency_begin(memory, &second));
    ck_assert_uint_eq(second.reply.status, 409);
    buf_fini(&second.reply.body);
    answer(&first, 200, "one");
    ck_assert(!go("a", "k", "{}", 200, "one"));

    make(&first, "a", "other", "{}"); /* its client went away before the answer */
    ck_assert(api_idempotency_begin(memory, &first));
    api_idempotency_abandon(memory, &first);
    buf_fini(&first.reply.body);
    ck_assert(go("a", "other", "{}", 200, "one"));
}
END_TEST

START_TEST(not_now_is_not_kept)
{
    static const unsigned statuses[] = {401, 403, 429, 500, 503, 507};
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        ck_assert(go("a", "k", "{}", statuses[i], "no"));
    }
    ck_assert(go("a", "k", "{}", 422, "wrong"));
    ck_assert(!go("a", "k", "{}", 422, "wrong"));
}
END_TEST

START_TEST(keys_are_visible_characters)
{
    static const char *const bad[] = {"", " ", "a b", "\xc3\xa4", "a\t"};
    char longest[API_IDEMPOTENCY_KEY_MAX + 2];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ck_assert_msg(!go("a", bad[i], "{}", 400, "malformed-request"), "%s", bad[i]);
    }
    memset(longest, 'x', sizeof(longest));
    longest[API_IDEMPOTENCY_KEY_MAX + 1] = '\0';
    ck_assert(!go("a", longest, "{}", 400, "malformed-request"));
    longest[API_IDEMPOTENCY_KEY_MAX] = '\0';
    ck_assert(go("a", longest, "{}", 200, "one"));
}
END_TEST

START_TEST(who_pays_no_heed)
{
    static const struct api_row secret = {.pattern = "/v1/tokens/{}", .is_secret = true};
    struct api_request request;
    make(&request, "a", "k", "{}");
    request.row = &secret;
    ck_assert(api_idempotency_begin(memory, &request));
    make(&request, "a", "k", "{}");
    request.method = API_GET;
    ck_assert(api_idempotency_begin(memory, &request));
    make(&request, "a", "k", "{}");
    request.idempotency_key = SLICE_NONE;
    ck_assert(api_idempotency_begin(memory, &request));
    ck_assert_uint_eq(api_idempotency_count(memory), 0);
}
END_TEST

START_TEST(is_bounded)
{
    char key[32];
    for (int i = 0; i < API_IDEMPOTENCY_COUNT_MAX + 50; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        ck_assert(go("a", key, "{}", 200, "one"));
    }
    ck_assert_uint_eq(api_idempotency_count(memory), API_IDEMPOTENCY_COUNT_MAX);
    ck_assert(go("a", "k0", "{}", 200, "two")); /* forgotten */
    ck_assert(!go("a", "k1000", "{}", 200, "one"));

    struct api_request request;
    for (int i = 0; i < 5; i++) {
        (void)snprintf(key, sizeof(key), "large%d", i);
        make(&request, "a", key, "{}");
        ck_assert(api_idempotency_begin(memory, &request));
        for (int n = 0; n < 10 * 1024; n++) {
            char block[1024];
            memset(block, 'x', sizeof(block));
            (void)buf_append(&request.reply.body, block, sizeof(block));
        }
        answer(&request, 200, "");
        ck_assert_uint_le(api_idempotency_bytes(memory), API_IDEMPOTENCY_BYTES_MAX);
    }
    ck_assert_uint_eq(api_idempotency_count(memory), 3);
}
END_TEST

START_TEST(lasts_a_day)
{
    uint64_t began = 1000000;
    now_set_for_test(began, began);
    ck_assert(go("a", "k", "{}", 200, "one"));
    now_set_for_test(began + 24ULL * 3600 * 1000000, began);
    ck_assert(!go("a", "k", "{}", 200, "one"));
    now_set_for_test(began + 24ULL * 3600 * 1000000 + 1, began);
    ck_assert(go("a", "k", "{}", 200, "two"));
    ck_assert_uint_eq(api_idempotency_count(memory), 1);
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_same_again_is_answered_from_memory);
    tcase_add_test(tcase, everything_of_a_request_counts);
    tcase_add_test(tcase, one_that_runs_is_not_run_twice);
    tcase_add_test(tcase, not_now_is_not_kept);
    tcase_add_test(tcase, keys_are_visible_characters);
    tcase_add_test(tcase, who_pays_no_heed);
    tcase_add_test(tcase, is_bounded);
    tcase_add_test(tcase, lasts_a_day);
}

UNIT_MAIN("api_idempotency", add_all)
