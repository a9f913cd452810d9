/* What a worker gives up near its limits: looks at made-up numbers, with real clients. */
#include <string.h>
#include <unistd.h>

#include "lbd/proxy/relief.h"
#include "tests/unit/proxy_stand.h"
#include "tests/unit/unit.h"

enum { MANY = 17 };

static struct proxy_stand stand;
static int clients[MANY];
static struct {
    enum pressure_kind kind;
    uint8_t stage;
} told[16];
static uint32_t told_count;

static void on_stage(struct proxy_worker *proxy, enum pressure_kind kind, uint64_t used,
                     uint64_t limit)
{
    (void)used;
    (void)limit;
    ck_assert_uint_lt(told_count, ARRAY_LEN(told));
    told[told_count].kind = kind;
    told[told_count++].stage = proxy->relief.stages[kind];
}

/* As a worker does it in each pass. */
static void look(uint64_t memory_bytes, uint64_t busy_us)
{
    relief_look(&stand.proxy, memory_bytes, busy_us);
}

static uint64_t count_of(enum counters_relief what)
{
    return stand.proxy.counters->loop.relief[what];
}

static void begin(uint32_t max_connections, uint32_t count)
{
    const struct proxy_stand_options options = {.max_connections = max_connections};
    const struct pressure_limits limits = {
        .memory_bytes = 2000, .max_connections = max_connections, .shed_lag_ms = 20};
    proxy_stand_open(&stand, &options);
    relief_init(&stand.proxy, &limits, 2); /* 1000 for each of two */
    stand.proxy.relief.on_stage = on_stage;
    told_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        clients[i] = proxy_stand_client(&stand);
        tell(&stand, clients[i], GET("/fixed"));
        (void)hear_until(&stand, clients[i], "fixed answer");
        proxy_stand_tick(&stand, 20); /* each is idle a little shorter than the one before */
    }
}

static void end(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        (void)close(clients[i]);
    }
    proxy_stand_settle(&stand);
    proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 0);
    proxy_stand_close(&stand);
}

START_TEST(who_is_idle_longest_goes)
{
    begin(20, MANY);
    look(0, 0);
    ck_assert(stand.proxy.relief.closes);
    proxy_stand_tick(&stand, 20);
    proxy_stand_until(&stand, count_of(COUNTERS_RELIEF_IDLE_CLIENT) == 2);
    ck_assert_uint_eq(proxy_stand_counters(&stand)->endings[CLOSE_IDLE_EVICTED], 2);
    proxy_stand_until(&stand, peer_sees_end(clients[0]));
    proxy_stand_until(&stand, peer_sees_end(clients[1]));
    (void)close(clients[0]);
    (void)close(clients[1]);
    proxy_stand_until(&stand, proxy_stand_open_count(&stand) == MANY - 2);
    tell(&stand, clients[2], GET("/fixed")); /* still the stage: it was not looked at */
    ck_assert_ptr_nonnull(strstr(hear(&stand, clients[2]), "Connection: close"));
    ck_assert_uint_eq(count_of(COUNTERS_RELIEF_KEEP_ALIVE), 1);
    look(0, 0);
    ck_assert(!stand.proxy.relief.closes);
    tell(&stand, clients[3], GET("/fixed"));
    ck_assert_ptr_null(strstr(hear(&stand, clients[3]), "Connection: close"));
    ck_assert_uint_eq(count_of(COUNTERS_RELIEF_IDLE_CLIENT), 2);
    ck_assert_uint_eq(told_count, 2);
    clients[0] = clients[1] = -1;
    end(MANY);
}
END_TEST

START_TEST(at_the_end_of_memory_nothing_begins)
{
    begin(100, 1);
    look(1000, 0);
    ck_assert(stand.proxy.relief.refuses);
    tell(&stand, clients[0], GET("/fixed"));
    const char *answer = hear(&stand, clients[0]);
    ck_assert_ptr_nonnull(strstr(answer, " 503 "));
    ck_assert_ptr_nonnull(strstr(answer, "Lbd-Reason: memory_short"));
    ck_assert_ptr_nonnull(strstr(answer, "Retry-After: 1"));
    ck_assert_uint_eq(count_of(COUNTERS_RELIEF_REFUSED), 1);
    look(800, 0);
    ck_assert(!stand.proxy.relief.refuses && !stand.proxy.relief.closes);
    ck_assert_uint_eq(told_count, 2);
    ck_assert_uint_eq(told[0].kind, PRESSURE_MEMORY);
    ck_assert_uint_eq(told[0].stage, PRESSURE_MEMORY_FULL);
    ck_assert_uint_eq(told[1].stage, 0);
    end(1);
}
END_TEST

START_TEST(late_passes_shed_the_low_class)
{
    begin(100, 1);
    for (uint64_t pass = 1; pass <= 3; pass++) {
        ck_assert_uint_gt(stand.proxy.relief.sheds, CONF_PRIORITY_LOW);
        look(0, pass * 30000);
    }
    ck_assert_uint_eq(stand.proxy.relief.sheds, CONF_PRIORITY_LOW);
    tell(&stand, clients[0], GET("/fixed")); /* of the class high, for it says nothing */
    (void)hear_until(&stand, clients[0], "fixed answer");
    stand.routes[2].queue_class = CONF_PRIORITY_LOW;
    tell(&stand, clients[0], GET("/fixed"));
    ck_assert_ptr_nonnull(strstr(hear(&stand, clients[0]), "Lbd-Reason: shed"));
    ck_assert_uint_eq(count_of(COUNTERS_RELIEF_SHED), 1);
    proxy_stand_tick(&stand, 600);
    tell(&stand, clients[0], GET("/moved"));
    (void)hear_until(&stand, clients[0], "\r\n\r\n");
    proxy_stand_tick(&stand, 600);
    look(0, 90000);
    ck_assert_uint_gt(stand.proxy.relief.sheds, CONF_PRIORITY_LOW);
    end(1);
}
END_TEST

START_TEST(buffers_that_had_no_room_are_critical)
{
    struct net_worker *net = &stand.up.base.net;
    begin(100, 1);
    net_worker_limit(net, 1U << 20U);
    look(0, 0);
    ck_assert_uint_eq(told_count, 0);
    net->denied++;
    look(0, 0);
    ck_assert_uint_eq(stand.proxy.relief.stages[PRESSURE_BUFFERS], PRESSURE_BUFFERS_CRITICAL);
    ck_assert(net->is_lean);
    look(0, 0); /* what is used is little */
    ck_assert_uint_eq(stand.proxy.relief.stages[PRESSURE_BUFFERS], 0);
    ck_assert(!net->is_lean);
    end(1);
}
END_TEST

UNIT_TESTS("relief", who_is_idle_longest_goes, at_the_end_of_memory_nothing_begins,
           late_passes_shed_the_low_class, buffers_that_had_no_room_are_critical)
