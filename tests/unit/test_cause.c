#include "lbd/base/mem.h"
#include "lbd/proxy/cause.h"
#include "tests/unit/unit.h"

static char listener_name[] = "web";
static struct listener listener = {.name = listener_name};
static const struct plan plan = {
    .listener = &listener,
    .timeouts = {.header_ms = 10000, .tunnel_idle_ms = 3600000},
    .limits = {.header_size_bytes = 65536, .header_fields = 100},
};
static const struct pool pool = {
    .name = SLICE_INIT("api"),
    .connect_ms = 250,
    .circuit = {.max = {[CIRCUIT_REQUESTS] = 7, [CIRCUIT_PENDING] = 3}},
    .response_ms = 60000,
    .idle_ms = 90000,
    .retry = {.per_try_ms = 1500},
    .queue_max = 500,
    .queue_ms = 2000,
};

START_TEST(it_names_the_setting_and_its_value)
{
    static const struct {
        enum close_reason reason;
        bool is_call;
        bool is_uploading;
        const char *pointer;
        const char *value;
    } cases[] = {
        {CLOSE_HEADER_TIMEOUT, false, false, "/listeners/web/timeouts/header", "10s"},
        {CLOSE_HEADER_TOO_LARGE, false, false, "/listeners/web/limits/header_size", "64KiB"},
        {CLOSE_TOO_MANY_HEADERS, false, false, "/listeners/web/limits/header_fields", "100"},
        {CLOSE_CONNECT_TIMEOUT, false, false, "/pools/api/timeouts/connect", "250ms"},
        {CLOSE_RESPONSE_TIMEOUT, false, false, "/pools/api/timeouts/response", "1m"},
        {CLOSE_RESPONSE_TIMEOUT, false, true, "/pools/api/timeouts/idle", "90s"},
        {CLOSE_SERVER_IDLE_TIMEOUT, false, false, "/pools/api/timeouts/idle", "90s"},
        {CLOSE_SERVER_IDLE_TIMEOUT, true, false, "/listeners/web/timeouts/tunnel_idle", "1h"},
        {CLOSE_TRY_TIMEOUT, false, false, "/pools/api/retry/per_try_timeout", "1500ms"},
        {CLOSE_QUEUE_FULL, false, false, "/pools/api/queue/max", "500"},
        {CLOSE_QUEUE_TIMEOUT, false, false, "/pools/api/queue/timeout", "2s"},
        {CLOSE_POOL_REQUESTS_LIMIT, false, false, "/pools/api/limits/requests", "7"},
        {CLOSE_POOL_PENDING_LIMIT, false, false, "/pools/api/limits/pending", "3"},
        {CLOSE_SERVER_TLS_UNVERIFIED, false, false, "/pools/api/tls/verify", ""},
        {CLOSE_OK, false, false, "", ""},
        {CLOSE_CLIENT_ABORT, false, false, "", ""},
        {CLOSE_SERVER_LIMIT, false, false, "", ""}, /* nobody is full any more */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cause cause;
        const struct cause_facts facts = {.plan = &plan,
                                          .pool = &pool,
                                          .is_call = cases[i].is_call,
                                          .is_uploading = cases[i].is_uploading};
        bool found = cause_find(&cause, cases[i].reason, &facts);
        ck_assert_str_eq(cause.pointer, cases[i].pointer);
        ck_assert_str_eq(cause.value, cases[i].value);
        ck_assert_int_eq(found, cases[i].pointer[0] != '\0');
    }
}
END_TEST

START_TEST(limits_of_the_process)
{
    static const struct pressure_limits limits = {.memory_bytes = UINT64_C(3) << 30U,
                                                  .buffered_bytes = 1U << 20U,
                                                  .max_connections = 1000,
                                                  .shed_lag_ms = 20};
    static const struct {
        enum close_reason reason;
        bool is_short_of_buffers;
        const char *pointer;
        const char *value;
    } cases[] = {
        {CLOSE_OVERLOAD, true, "/daemon/max_buffered", "1MiB"},
        {CLOSE_OVERLOAD, false, "", ""}, /* descriptors, or the client's own share */
        {CLOSE_BUFFER_HOLDER, true, "/daemon/max_buffered", "1MiB"},
        {CLOSE_BUFFER_HOLDER, false, "/daemon/max_memory", "3GiB"},
        {CLOSE_MEMORY_SHORT, false, "/daemon/max_memory", "3GiB"},
        {CLOSE_SHED, false, "/daemon/shed_lag", "20ms"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cause cause;
        const struct cause_facts facts = {.limits = &limits,
                                          .is_short_of_buffers = cases[i].is_short_of_buffers};
        (void)cause_find(&cause, cases[i].reason, &facts);
        ck_assert_str_eq(cause.pointer, cases[i].pointer);
        ck_assert_str_eq(cause.value, cases[i].value);
    }
}
END_TEST

START_TEST(without_a_plan_or_pool_there_is_nothing_to_name)
{
    const struct cause_facts nothing = {.plan = NULL};
    for (unsigned i = 0; i < CLOSE_REASON_COUNT; i++) {
        struct cause cause;
        ck_assert(!cause_find(&cause, (enum close_reason)i, &nothing));
        ck_assert_str_eq(cause.pointer, "");
    }
}
END_TEST

START_TEST(a_full_server_is_named)
{
    struct pool *two = pool_new(SLICE("two"), 1, 2);
    for (uint32_t i = 0; i < 2; i++) {
        two->members[i].server = server_new(SLICE("two"), i == 0 ? SLICE("a") : SLICE("b"), i);
        two->targets[i] =
            (struct target){.load = &two->members[i].server->load, .max_in_flight = i + 1};
    }
    atomic_store(&two->members[1].server->load.in_flight, 2);
    struct cause cause;
    const struct cause_facts facts = {.plan = &plan, .pool = two};
    ck_assert(cause_find(&cause, CLOSE_SERVER_LIMIT, &facts));
    ck_assert_str_eq(cause.pointer, "/pools/two/servers/b/max_connections");
    ck_assert_str_eq(cause.value, "2");
    pool_unref(two);
}
END_TEST

START_TEST(a_tunnel_was_silent)
{
    struct cause cause;
    ck_assert(cause_of_tunnel(&cause, CLOSE_TUNNEL_TIMEOUT, "web", 1500));
    ck_assert_str_eq(cause.pointer, "/listeners/web/timeouts/tunnel_idle");
    ck_assert_str_eq(cause.value, "1500ms");
    ck_assert(!cause_of_tunnel(&cause, CLOSE_TUNNEL_CLOSED, "web", 1500));
    ck_assert_str_eq(cause.pointer, "");
}
END_TEST

START_TEST(a_policy_said_no)
{
    struct cause cause;
    ck_assert(cause_of_policy(&cause, SLICE("office-only")));
    ck_assert_str_eq(cause.pointer, "/policies/office-only");
    ck_assert_str_eq(cause.value, "");
}
END_TEST

UNIT_TESTS("cause", limits_of_the_process, it_names_the_setting_and_its_value,
           without_a_plan_or_pool_there_is_nothing_to_name, a_full_server_is_named,
           a_tunnel_was_silent, a_policy_said_no)
