#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "lbd/base/now.h"
#include "lbd/base/random.h"
#include "lbd/net/loop.h"
#include "tests/unit/loop_stand.h"
#include "tests/unit/unit.h"

#define START_US 5000000000ULL
#define SLOT_US  8192U
#define DAY_MS   (24ULL * 3600 * 1000)

static struct loop *loop;
static uint64_t clock_us;

/* The loop sees this time from its next pass on, which is this one. */
static void pass_at(uint64_t us)
{
    clock_us = us;
    now_set_for_test(us, 1700000000000000ULL + us);
    loop_run_once(loop, 0);
}

static void begin(void)
{
    struct err err;
    clock_us = START_US;
    now_set_for_test(clock_us, 1700000000000000ULL + clock_us);
    loop = loop_new(&err);
    ck_assert_ptr_nonnull(loop);
    loop_run_once(loop, 0);
}

static void end(void)
{
    loop_free(loop);
    loop = NULL;
    now_set_for_test(0, 0);
}

struct alarm {
    struct loop_timer timer;
    unsigned fired;
    uint64_t fired_us;
    uint64_t due_us;
    uint64_t again_ms;
    struct alarm *stops;
};

static void on_alarm(struct loop_timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);
    ck_assert(!loop_timer_is_set(timer));
    alarm->fired++;
    alarm->fired_us = clock_us;
    if (alarm->stops != NULL) {
        loop_timer_stop(&alarm->stops->timer);
    }
    if (alarm->again_ms > 0) {
        loop_timer_set(loop, timer, alarm->again_ms, on_alarm);
    }
}

static void set(struct alarm *alarm, uint64_t delay_ms)
{
    alarm->due_us = clock_us + delay_ms * 1000;
    loop_timer_set(loop, &alarm->timer, delay_ms, on_alarm);
}

/* -- timers -- */

START_TEST(rings_never_early_and_one_slot_late_at_most)
{
    static const uint64_t delays_ms[] = {
        0,     1,     8,      9,      100,    2000,   2090,   2097,    2098,         2200,
        10000, 60000, 534000, 537000, 600000, 600001, 700000, 3600000, 26 * 3600000, 30 * DAY_MS};
    for (size_t i = 0; i < ARRAY_LEN(delays_ms); i++) {
        for (unsigned offset = 0; offset < 3; offset++) {
            begin();
            pass_at(START_US + offset * 3001);
            struct alarm alarm = {0};
            set(&alarm, delays_ms[i]);
            ck_assert(loop_timer_is_set(&alarm.timer));
            if (delays_ms[i] > 0) {
                pass_at(clock_us + delays_ms[i] * 500);
                pass_at(alarm.due_us - 1);
                ck_assert_msg(alarm.fired == 0, "%llu ms: early", (unsigned long long)delays_ms[i]);
            }
            pass_at(alarm.due_us + SLOT_US);
            ck_assert_msg(alarm.fired == 1, "%llu ms: late", (unsigned long long)delays_ms[i]);
            ck_assert(!loop_timer_is_set(&alarm.timer));
            pass_at(alarm.due_us + 100 * SLOT_US);
            ck_assert_uint_eq(alarm.fired, 1);
            end();
        }
    }
}
END_TEST

START_TEST(a_delay_beyond_30_days_is_30_days)
{
    begin();
    struct alarm alarm = {0};
    set(&alarm, UINT64_MAX);
    pass_at(START_US + 30 * DAY_MS * 1000 - 1);
    ck_assert_uint_eq(alarm.fired, 0);
    pass_at(START_US + 30 * DAY_MS * 1000 + SLOT_US);
    ck_assert_uint_eq(alarm.fired, 1);
    end();
}
END_TEST

START_TEST(moves_later_and_earlier)
{
    static const struct {
        uint64_t first_ms;
        uint64_t wait_ms; /* then it is moved */
        uint64_t second_ms;
    } cases[] = {
        {100, 50, 200},       /* later: one store */
        {100, 50, 100000},    /* later, into the far wheel */
        {100, 0, 700000},     /* ... and beyond it */
        {100000, 10, 50},     /* earlier, from the far wheel into the near one */
        {700000, 0, 10},      /* earlier, from beyond */
        {1000, 500, 400},     /* earlier within the near wheel */
        {700000, 10, 300000}, /* earlier within the far wheel */
        {100, 50, 50},        /* the same moment */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin();
        struct alarm alarm = {0};
        set(&alarm, cases[i].first_ms);
        pass_at(clock_us + cases[i].wait_ms * 1000);
        set(&alarm, cases[i].second_ms);
        pass_at(alarm.due_us - 1);
        ck_assert_msg(alarm.fired == 0, "case %zu: early", i);
        pass_at(alarm.due_us + SLOT_US);
        ck_assert_msg(alarm.fired == 1, "case %zu: late", i);
        end();
    }
}
END_TEST

START_TEST(stopping_and_setting_from_a_callback)
{
    begin();
    struct alarm alarms[3] = {0};
    for (size_t i = 0; i < 3; i++) {
        set(&alarms[i], 100); /* all in one slot */
    }
    alarms[0].stops = &alarms[2];
    alarms[1].again_ms = 1;
    pass_at(START_US + 100000 + SLOT_US);
    ck_assert_uint_eq(alarms[0].fired, 1);
    ck_assert_uint_eq(alarms[1].fired, 1); /* not twice in one pass */
    ck_assert_uint_eq(alarms[2].fired, 0);
    alarms[1].again_ms = 0;
    pass_at(clock_us + 1000 + SLOT_US);
    ck_assert_uint_eq(alarms[1].fired, 2);
    ck_assert_uint_eq(alarms[2].fired, 0);
    loop_timer_stop(&alarms[2].timer); /* twice does no harm */
    set(&alarms[2], 5);
    loop_timer_stop(&alarms[2].timer);
    pass_at(clock_us + 1000000);
    ck_assert_uint_eq(alarms[2].fired, 0);
    end();
}
END_TEST

START_TEST(a_leap_of_time_rings_all_in_between)
{
    begin();
    struct alarm alarms[64] = {0};
    for (size_t i = 0; i < ARRAY_LEN(alarms); i++) {
        set(&alarms[i], 1 + i * i * i); /* up to 250 s */
    }
    pass_at(START_US + 3600ULL * 1000000);
    for (size_t i = 0; i < ARRAY_LEN(alarms); i++) {
        ck_assert_uint_eq(alarms[i].fired, 1);
    }
    end();
}
END_TEST

/* Many timers, moved about; a model says what may have rung. */
static void random_timers(uint64_t seed_us, unsigned rounds)
{
    static struct alarm alarms[200];
    struct random random;
    memset(alarms, 0, sizeof(alarms));
    random_seed(&random);
    pass_at(clock_us + seed_us);
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned n = 0; n < 20; n++) {
            struct alarm *alarm = &alarms[random_below(&random, ARRAY_LEN(alarms))];
            static const uint32_t ranges_ms[] = {20, 3000, 100000, 1000000};
            if (random_below(&random, 8) == 0) {
                loop_timer_stop(&alarm->timer);
            } else {
                alarm->fired = 0;
                set(alarm, random_below(&random, ranges_ms[random_below(&random, 4)]));
            }
        }
        static const uint32_t steps_us[] = {1000, 20000, 3000000, 700000000};
        pass_at(clock_us + random_below(&random, steps_us[random_below(&random, 4)]));
        for (size_t i = 0; i < ARRAY_LEN(alarms); i++) {
            const struct alarm *alarm = &alarms[i];
            if (alarm->fired > 0 && alarm->due_us != 0) {
                ck_assert_uint_eq(alarm->fired, 1);
                ck_assert_uint_ge(alarm->fired_us, alarm->due_us);
            } else if (loop_timer_is_set(&alarm->timer)) {
                ck_assert_uint_lt(clock_us, alarm->due_us + SLOT_US);
            }
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(alarms); i++) {
        loop_timer_stop(&alarms[i].timer);
    }
}

START_TEST(many_timers_moved_about)
{
    begin();
    random_timers(0, 3000);
    end();
}
END_TEST

START_TEST(the_tick_counter_wraps_after_407_days)
{
    begin();
    for (unsigned i = 0; i < 407 / 29; i++) {
        pass_at(clock_us + 29 * DAY_MS * 1000);
    }
    /* the counter wraps at 2^32 slots, some hours from here */
    uint64_t wrap_us = START_US + ((uint64_t)SLOT_US << 32);
    ck_assert_uint_lt(clock_us, wrap_us);
    pass_at(wrap_us - 120ULL * 1000000);
    struct alarm across = {0};
    struct alarm far = {0};
    set(&across, 125000);
    set(&far, 3600000);
    random_timers(0, 300);
    pass_at(across.due_us > clock_us ? across.due_us + SLOT_US : clock_us + 1);
    ck_assert_uint_eq(across.fired, 1);
    ck_assert_uint_ge(across.fired_us, across.due_us);
    pass_at(far.due_us > clock_us ? far.due_us + SLOT_US : clock_us + 1);
    ck_assert_uint_eq(far.fired, 1);
    ck_assert_uint_ge(far.fired_us, far.due_us);
    ck_assert_uint_gt(clock_us, wrap_us);
    end();
}
END_TEST

static void on_alarm_stop(struct loop_timer *timer)
{
    (void)timer;
    loop_stop(loop);
}

START_TEST(wakes_by_itself_and_not_early)
{
    static const uint64_t delays_ms[] = {0, 1, 20, 50};
    for (size_t i = 0; i < ARRAY_LEN(delays_ms); i++) {
        struct err err;
        loop = loop_new(&err); /* the real clock */
        struct loop_timer timer = {0};
        struct alarm later = {0};
        uint64_t before = now_us();
        loop_timer_set(loop, &timer, delays_ms[i], on_alarm_stop);
        loop_timer_set(loop, &later.timer, 60000, on_alarm);
        loop_run(loop);
        uint64_t took_us = now_us() - before;
        ck_assert_uint_ge(took_us, delays_ms[i] * 1000);
        ck_assert_uint_lt(took_us, 30000000); /* not with the later one */
        struct loop_stats stats = loop_stats(loop);
        ck_assert_uint_le(stats.passes, 8); /* it slept and did not spin */
        loop_timer_stop(&later.timer);
        loop_free(loop);
    }
}
END_TEST

struct sleeper {
    struct loop_timer timer;
    struct loop_timer far;
    uint64_t rang_us;
};

static void on_far(struct loop_timer *timer)
{
    (void)timer;
}

static void on_first(struct loop_timer *timer)
{
    struct sleeper *sleeper = container_of(timer, struct sleeper, timer);
    loop_timer_set(loop, &sleeper->far, 100000, on_far);
}

START_TEST(a_far_timer_set_in_a_callback_does_not_hide_a_near_one)
{
    struct err err;
    struct sleeper sleeper = {0};
    struct loop_timer near = {0};
    loop = loop_new(&err); /* the real clock */
    uint64_t before = now_us();
    loop_timer_set(loop, &sleeper.timer, 10, on_first);
    loop_timer_set(loop, &near, 60, on_alarm_stop);
    loop_run(loop);
    ck_assert_uint_lt(now_us() - before, 50000000);
    loop_timer_stop(&sleeper.far);
    loop_free(loop);
}
END_TEST

/* -- work for later -- */

struct work {
    struct loop_ready ready;
    unsigned *order; /* shared counter */
    unsigned ran_as; /* 1: first */
    unsigned runs;
    bool again;
    struct work *removes;
    struct work *puts;
};

static void on_work(struct loop_ready *ready)
{
    struct work *work = container_of(ready, struct work, ready);
    work->ran_as = ++*work->order;
    work->runs++;
    if (work->again) {
        loop_ready_put(loop, ready, on_work);
    }
    if (work->removes != NULL) {
        loop_ready_remove(&work->removes->ready);
    }
    if (work->puts != NULL) {
        loop_ready_put(loop, &work->puts->ready, on_work);
    }
}

START_TEST(ready_runs_in_order_and_once)
{
    begin();
    unsigned order = 0;
    struct work works[4] = {
        {.order = &order}, {.order = &order}, {.order = &order}, {.order = &order}};
    for (size_t i = 0; i < 4; i++) {
        loop_ready_put(loop, &works[i].ready, on_work);
        loop_ready_put(loop, &works[0].ready, on_work); /* queued already */
    }
    works[1].removes = &works[2];
    loop_run_once(loop, -1); /* does not wait: something is ready */
    ck_assert_uint_eq(works[0].ran_as, 1);
    ck_assert_uint_eq(works[1].ran_as, 2);
    ck_assert_uint_eq(works[2].runs, 0);
    ck_assert_uint_eq(works[3].ran_as, 3);
    loop_run_once(loop, 0);
    ck_assert_uint_eq(order, 3);
    loop_ready_remove(&works[2].ready); /* not queued: no harm */
    end();
}
END_TEST

START_TEST(what_ready_queues_runs_in_the_next_pass)
{
    begin();
    unsigned order = 0;
    struct work follower = {.order = &order};
    struct work work = {.order = &order, .again = true, .puts = &follower};
    loop_ready_put(loop, &work.ready, on_work);
    loop_run_once(loop, 0);
    ck_assert_uint_eq(work.runs, 1);
    ck_assert_uint_eq(follower.runs, 0);
    loop_run_once(loop, 0);
    ck_assert_uint_eq(work.runs, 2);
    ck_assert_uint_eq(follower.runs, 1);
    work.again = false;
    work.puts = NULL;
    loop_run_once(loop, 0);
    loop_run_once(loop, 0);
    ck_assert_uint_eq(work.runs, 3);
    end();
}
END_TEST

/* -- descriptors -- */

struct eye {
    struct loop_watch watch;
    int fd;
    unsigned seen; /* all bits so far */
    unsigned calls;
    bool reads;
    struct eye *stops;
    struct work *puts;
};

static void on_eye(struct loop_watch *watch, unsigned ready)
{
    struct eye *eye = container_of(watch, struct eye, watch);
    eye->seen |= ready;
    eye->calls++;
    if (eye->reads) {
        char bytes[64];
        (void)peer_read(eye->fd, bytes, sizeof(bytes));
    }
    if (eye->stops != NULL) {
        loop_watch_stop(&eye->stops->watch);
    }
    if (eye->puts != NULL) {
        loop_ready_put(loop, &eye->puts->ready, on_work);
    }
}

START_TEST(tells_what_is_ready)
{
    begin();
    int theirs;
    struct eye eye = {.reads = true};
    loop_stand_unix_pair(&eye.fd, &theirs);
    ck_assert(!loop_watch_is_started(&eye.watch));
    ck_assert(loop_watch_start(loop, &eye.watch, eye.fd,
                               LOOP_READ | LOOP_WRITE | LOOP_CLOSED | LOOP_EDGE, on_eye));
    ck_assert(loop_watch_is_started(&eye.watch));
    loop_run_once(loop, 0);
    ck_assert_uint_eq(eye.seen, LOOP_WRITE);
    ck_assert_uint_eq(eye.calls, 1);
    loop_run_once(loop, 0);
    ck_assert_uint_eq(eye.calls, 1); /* an edge, not a level */
    peer_say(theirs, "x");
    loop_run_once(loop, 0);
    ck_assert_uint_eq(eye.seen, LOOP_READ | LOOP_WRITE);
    ck_assert_int_eq(shutdown(theirs, SHUT_WR), 0);
    loop_run_once(loop, 0);
    ck_assert_uint_eq(eye.seen, LOOP_READ | LOOP_WRITE | LOOP_CLOSED);
    loop_watch_stop(&eye.watch);
    loop_watch_stop(&eye.watch); /* twice does no harm */
    ck_assert(!loop_watch_is_started(&eye.watch));
    (void)close(eye.fd);
    (void)close(theirs);
    end();
}
END_TEST

START_TEST(an_event_of_the_same_batch_does_not_come_after_stop)
{
    begin();
    struct eye eyes[2] = {{.reads = true}, {.reads = true}};
    int theirs[2];
    for (size_t i = 0; i < 2; i++) {
        loop_stand_unix_pair(&eyes[i].fd, &theirs[i]);
        ck_assert(loop_watch_start(loop, &eyes[i].watch, eyes[i].fd, LOOP_READ, on_eye));
        eyes[i].stops = &eyes[1 - i];
        peer_say(theirs[i], "x");
    }
    loop_run_once(loop, 0);
    ck_assert_uint_eq(eyes[0].calls + eyes[1].calls, 1);
    for (size_t i = 0; i < 2; i++) {
        loop_watch_stop(&eyes[i].watch);
        (void)close(eyes[i].fd);
        (void)close(theirs[i]);
    }
    end();
}
END_TEST

START_TEST(a_descriptor_that_cannot_be_watched_is_refused)
{
    begin();
    struct eye eye = {0};
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    (void)close(fds[0]);
    (void)close(fds[1]);
    ck_assert(!loop_watch_start(loop, &eye.watch, fds[0], LOOP_READ, on_eye));
    ck_assert(!loop_watch_is_started(&eye.watch));
    loop_watch_stop(&eye.watch);
    end();
}
END_TEST

START_TEST(events_come_before_the_ready_list_of_the_same_pass)
{
    begin();
    unsigned order = 0;
    int theirs;
    struct work work = {.order = &order};
    struct eye eye = {.reads = true, .puts = &work};
    loop_stand_unix_pair(&eye.fd, &theirs);
    ck_assert(loop_watch_start(loop, &eye.watch, eye.fd, LOOP_READ, on_eye));
    peer_say(theirs, "x");
    loop_run_once(loop, 0);
    ck_assert_uint_eq(eye.calls, 1);
    ck_assert_uint_eq(work.runs, 1);
    loop_watch_stop(&eye.watch);
    (void)close(eye.fd);
    (void)close(theirs);
    end();
}
END_TEST

/* -- graves, pass, clock, slots -- */

struct body {
    struct loop_grave grave;
    struct body *buries;
    bool gone;
};

static void on_grave(struct loop_grave *grave)
{
    struct body *body = container_of(grave, struct body, grave);
    body->gone = true;
    if (body->buries != NULL) {
        loop_bury(loop, &body->buries->grave, on_grave);
    }
}

static void bury_later(struct loop_ready *ready)
{
    (void)ready;
}

struct burying {
    struct loop_ready ready;
    struct body *body;
    bool was_there; /* at the end of the callback */
};

static void on_burying(struct loop_ready *ready)
{
    struct burying *burying = container_of(ready, struct burying, ready);
    loop_bury(loop, &burying->body->grave, on_grave);
    burying->was_there = !burying->body->gone;
}

START_TEST(the_buried_are_freed_at_the_end_of_the_pass)
{
    begin();
    struct body second = {0};
    struct body first = {.buries = &second};
    struct burying burying = {.body = &first};
    loop_ready_put(loop, &burying.ready, on_burying);
    loop_run_once(loop, 0);
    ck_assert(burying.was_there);
    ck_assert(first.gone);
    ck_assert(second.gone); /* buried by a grave: the same pass */
    struct body last = {0};
    loop_bury(loop, &last.grave, on_grave);
    struct loop_ready ready = {0};
    loop_ready_put(loop, &ready, bury_later);
    loop_ready_remove(&ready);
    end(); /* freeing the loop empties the graveyard */
    ck_assert(last.gone);
}
END_TEST

static unsigned passes_told;

static void on_pass(struct loop *told, void *arg)
{
    ck_assert_ptr_eq(told, loop);
    ck_assert_ptr_eq(arg, &passes_told);
    passes_told++;
}

START_TEST(counts_passes_and_tells_their_end)
{
    begin();
    passes_told = 0;
    uint64_t before = loop_stats(loop).passes;
    loop_on_pass(loop, on_pass, &passes_told);
    for (int i = 0; i < 5; i++) {
        pass_at(clock_us + 1000);
    }
    ck_assert_uint_eq(passes_told, 5);
    ck_assert_uint_eq(loop_stats(loop).passes - before, 5);
    ck_assert_uint_eq(loop_stats(loop).last_pass_us, clock_us);
    ck_assert_uint_ge(loop_stats(loop).idle_us, 5000);
    end();
}
END_TEST

START_TEST(the_date_follows_the_wall_clock)
{
    begin();
    now_set_for_test(clock_us, 784111777000000ULL);
    loop_run_once(loop, 0);
    ck_assert_str_eq(loop_http_date(loop), "Sun, 06 Nov 1994 08:49:37 GMT");
    ck_assert_uint_eq(loop_wall_us(loop), 784111777000000ULL);
    clock_us += 400000;
    now_set_for_test(clock_us, 784111777400000ULL);
    loop_run_once(loop, 0);
    ck_assert_uint_eq(loop_wall_us(loop), 784111777400000ULL);
    ck_assert_str_eq(loop_http_date(loop), "Sun, 06 Nov 1994 08:49:37 GMT");
    clock_us += 600000;
    now_set_for_test(clock_us, 784111778000000ULL);
    loop_run_once(loop, 0);
    ck_assert_str_eq(loop_http_date(loop), "Sun, 06 Nov 1994 08:49:38 GMT");
    /* somebody sets the clock: it shows a second later at the latest */
    clock_us += 1000000;
    now_set_for_test(clock_us, 784111839000000ULL);
    loop_run_once(loop, 0);
    ck_assert_str_eq(loop_http_date(loop), "Sun, 06 Nov 1994 08:50:39 GMT");
    end();
}
END_TEST

START_TEST(slots_keep_what_was_put)
{
    begin();
    int values[LOOP_SLOT_COUNT];
    for (int i = 0; i < LOOP_SLOT_COUNT; i++) {
        ck_assert_ptr_null(loop_slot(loop, (enum loop_slot)i));
        loop_slot_set(loop, (enum loop_slot)i, &values[i]);
    }
    for (int i = 0; i < LOOP_SLOT_COUNT; i++) {
        ck_assert_ptr_eq(loop_slot(loop, (enum loop_slot)i), &values[i]);
    }
    ck_assert_ptr_nonnull(loop_event_base(loop));
    end();
}
END_TEST

/* -- another thread reads the account while the loop runs -- */

static void on_tick(struct loop_timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);
    if (++alarm->fired == 5) {
        loop_stop(loop);
    } else {
        loop_timer_set(loop, timer, 1, on_tick);
    }
}

static void *run_loop(void *arg)
{
    struct alarm alarm = {0};
    (void)arg;
    loop_timer_set(loop, &alarm.timer, 1, on_tick);
    loop_run(loop);
    return NULL;
}

START_TEST(its_account_may_be_read_from_another_thread)
{
    struct err err;
    pthread_t thread;
    loop = loop_new(&err);
    ck_assert_int_eq(pthread_create(&thread, NULL, run_loop, NULL), 0);
    uint64_t last = 0;
    for (int i = 0; i < 1000; i++) {
        struct loop_stats stats = loop_stats(loop);
        ck_assert_uint_ge(stats.passes, last);
        last = stats.passes;
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_ge(loop_stats(loop).passes, 5);
    loop_free(loop);
}
END_TEST

UNIT_TESTS("loop", rings_never_early_and_one_slot_late_at_most, a_delay_beyond_30_days_is_30_days,
           moves_later_and_earlier, stopping_and_setting_from_a_callback,
           a_leap_of_time_rings_all_in_between, many_timers_moved_about,
           the_tick_counter_wraps_after_407_days, wakes_by_itself_and_not_early,
           a_far_timer_set_in_a_callback_does_not_hide_a_near_one, ready_runs_in_order_and_once,
           what_ready_queues_runs_in_the_next_pass, tells_what_is_ready,
           an_event_of_the_same_batch_does_not_come_after_stop,
           a_descriptor_that_cannot_be_watched_is_refused,
           events_come_before_the_ready_list_of_the_same_pass,
           the_buried_are_freed_at_the_end_of_the_pass, counts_passes_and_tells_their_end,
           the_date_follows_the_wall_clock, slots_keep_what_was_put,
           its_account_may_be_read_from_another_thread)
