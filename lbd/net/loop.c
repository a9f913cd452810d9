/* loop - see loop.h. */
#include "lbd/net/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/net/loop_memory.h"

/*
 * Two wheels of 256 slots. The near one holds the next 256 ticks of 8.192 ms (2.1 s), the far one
 * the next 65,536 (9 minutes); a timer beyond that waits in the last far slot and is put in again
 * when that fires.
 */
#define TICK_SHIFT      13 /* microseconds to ticks */
#define WHEEL_SLOTS     256U
#define WHEEL_MASK      (WHEEL_SLOTS - 1)
#define FAR_SHIFT       8
#define FAR_TICKS       (WHEEL_SLOTS << FAR_SHIFT)
#define DELAY_MAX_MS    (30ULL * 24 * 3600 * 1000)
#define BATCH_CALLBACKS 16U /* callbacks per reading of the clock */

struct wheel {
    struct list_node slots[WHEEL_SLOTS];
    uint64_t used[WHEEL_SLOTS / 64];
};

struct loop {
    struct event_base *base;
    struct event *alarm; /* the one libevent timer: the next slot that is not empty */
    uint32_t alarm_tick; /* when it rings, if armed */
    bool alarm_is_set;
    struct wheel near_wheel;
    struct wheel far_wheel;
    uint64_t start_us;
    uint32_t
        tick; /* slots up to here have fired; wraps after 407 days, so only differences count */
    uint64_t now_us;
    uint32_t callbacks; /* since the clock was read */
    bool clock_is_stale;
    bool stopping;
    uint64_t wall_second;
    uint64_t wall_offset_us; /* wall clock minus monotonic clock */
    uint64_t woke_us;        /* when the wait of this pass ended */
    char http_date[NOW_HTTP_DATE_LEN + 1];
    struct list_node ready;
    struct loop_grave *graves;
    void (*on_pass)(struct loop *loop, void *arg);
    void *on_pass_arg;
    void *slots[LOOP_SLOT_COUNT];
    /* read by other threads */
    _Atomic uint64_t passes;
    _Atomic uint64_t busy_us;
    _Atomic uint64_t idle_us;
    _Atomic uint64_t last_pass_us;
};

/* Set while a thread runs its loop: an event's callback must find it without a look-up. */
static _Thread_local struct loop *running;

static void wheel_init(struct wheel *wheel)
{
    for (size_t i = 0; i < WHEEL_SLOTS; i++) {
        list_init(&wheel->slots[i]);
    }
}

static void wheel_put(struct wheel *wheel, uint32_t slot, struct loop_timer *timer)
{
    list_push_back(&wheel->slots[slot], &timer->link);
    wheel->used[slot / 64] |= 1ULL << (slot % 64);
}

static bool wheel_slot_is_used(const struct wheel *wheel, uint32_t slot)
{
    return (wheel->used[slot / 64] >> (slot % 64) & 1U) != 0;
}

/* Slots from `from` to the next used one, going round; WHEEL_SLOTS when none is used. */
static uint32_t wheel_distance(const struct wheel *wheel, uint32_t from)
{
    for (uint32_t step = 0; step < WHEEL_SLOTS;) {
        uint32_t slot = (from + step) & WHEEL_MASK;
        uint64_t rest = wheel->used[slot / 64] >> (slot % 64);
        if (rest != 0) {
            return step + (uint32_t)__builtin_ctzll(rest);
        }
        step += 64 - slot % 64;
    }
    return WHEEL_SLOTS;
}

static void read_clock(struct loop *loop)
{
    loop->now_us = now_us();
    loop->clock_is_stale = false;
    loop->callbacks = 0;
}

static uint32_t tick_of(const struct loop *loop, uint64_t us)
{
    return (uint32_t)((us - loop->start_us) >> TICK_SHIFT);
}

/* Ticks from `from` to `to`, negative when `to` is past. */
static int32_t ticks_between(uint32_t from, uint32_t to)
{
    return (int32_t)(to - from);
}

static void on_alarm(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    (void)fd;
    (void)what;
    loop->alarm_is_set = false; /* the wheels are looked at after the events */
}

static void alarm_set(struct loop *loop, uint32_t tick)
{
    if (loop->alarm_is_set && ticks_between(loop->alarm_tick, tick) >= 0) {
        return;
    }
    uint64_t now = loop_now_us(loop);
    int32_t ahead = ticks_between(tick_of(loop, now), tick);
    uint64_t into_tick = (now - loop->start_us) & ((1U << TICK_SHIFT) - 1);
    uint64_t wait_us = ahead <= 0 ? 0 : ((uint64_t)ahead << TICK_SHIFT) - into_tick;
    struct timeval wait = {.tv_sec = (time_t)(wait_us / 1000000),
                           .tv_usec = (suseconds_t)(wait_us % 1000000)};
    loop->alarm_tick = tick;
    loop->alarm_is_set = true;
    (void)event_add(loop->alarm, &wait);
}

/* Puts the timer into the slot of its due tick; both wheels are relative to loop->tick. */
static void timer_link(struct loop *loop, struct loop_timer *timer)
{
    int32_t ahead = ticks_between(loop->tick, timer->due_tick);
    if (ahead < 1) {
        ahead = 1;
    }
    if (ahead < (int32_t)WHEEL_SLOTS) {
        timer->slot_tick = loop->tick + (uint32_t)ahead;
        wheel_put(&loop->near_wheel, timer->slot_tick & WHEEL_MASK, timer);
    } else {
        if (ahead >= (int32_t)(FAR_TICKS - WHEEL_SLOTS)) {
            ahead = (int32_t)(FAR_TICKS - WHEEL_SLOTS) - 1;
        }
        uint32_t far = (loop->tick + (uint32_t)ahead) >> FAR_SHIFT;
        timer->slot_tick = far << FAR_SHIFT;
        wheel_put(&loop->far_wheel, far & WHEEL_MASK, timer);
    }
    alarm_set(loop, timer->slot_tick);
}

static void fire_slot(struct loop *loop, struct wheel *wheel, uint32_t slot)
{
    if (!wheel_slot_is_used(wheel, slot)) {
        return;
    }
    wheel->used[slot / 64] &= ~(1ULL << (slot % 64));
    /* Take the slot's list as it stands: what the callbacks set goes to later slots. */
    struct list_node due;
    list_init(&due);
    struct list_node *head = &wheel->slots[slot];
    if (!list_is_empty(head)) {
        due.next = head->next;
        due.prev = head->prev;
        due.next->prev = &due;
        due.prev->next = &due;
        list_init(head);
    }
    struct list_node *node;
    while ((node = list_pop_front(&due)) != NULL) {
        struct loop_timer *timer = list_entry(node, struct loop_timer, link);
        if (ticks_between(loop->tick, timer->due_tick) > 0) {
            timer_link(loop, timer); /* moved later meanwhile */
        } else {
            timer->fn(timer);
        }
    }
}

static void run_timers(struct loop *loop)
{
    uint32_t target = tick_of(loop, loop_now_us(loop));
    while (ticks_between(loop->tick, target) > 0) {
        /* Skip what is empty: to the next used near slot, but not past a border of the far wheel.
         */
        uint32_t distance = 1 + wheel_distance(&loop->near_wheel, (loop->tick + 1) & WHEEL_MASK);
        uint32_t border = WHEEL_SLOTS - (loop->tick & WHEEL_MASK);
        uint32_t step = distance < border ? distance : border;
        if (step > target - loop->tick) {
            loop->tick = target;
            break;
        }
        loop->tick += step;
        if ((loop->tick & WHEEL_MASK) == 0) {
            fire_slot(loop, &loop->far_wheel, (loop->tick >> FAR_SHIFT) & WHEEL_MASK);
        }
        fire_slot(loop, &loop->near_wheel, loop->tick & WHEEL_MASK);
    }
    /* Also when the alarm is set: a callback may have set it for a timer of its own, farther away.
     */
    uint32_t steps = wheel_distance(&loop->near_wheel, (loop->tick + 1) & WHEEL_MASK);
    if (steps < WHEEL_SLOTS) {
        alarm_set(loop, loop->tick + 1 + steps);
    }
    uint32_t turn = (loop->tick >> FAR_SHIFT) + 1;
    steps = wheel_distance(&loop->far_wheel, turn & WHEEL_MASK);
    if (steps < WHEEL_SLOTS) {
        alarm_set(loop, (turn + steps) << FAR_SHIFT);
    }
}

static void use_loop_memory(void)
{
    loop_memory_init();
    event_set_mem_functions(loop_memory_take, loop_memory_resize, loop_memory_give);
}

struct loop *loop_new(struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, use_loop_memory);
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;
    if (config != NULL) {
        (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
        (void)event_config_require_features(config, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE);
        base = event_base_new_with_config(config);
        event_config_free(config);
    }
    if (base == NULL) {
        err_set(err, ERR_SYSTEM, "cannot make an event loop: %s", strerror(errno));
        return NULL;
    }
    struct loop *loop = mem_zero(1, sizeof(*loop));
    loop->base = base;
    loop->alarm = evtimer_new(base, on_alarm, loop);
    if (loop->alarm == NULL) {
        event_base_free(base);
        free(loop);
        err_set(err, ERR_SYSTEM, "cannot make an event loop's timer");
        return NULL;
    }
    wheel_init(&loop->near_wheel);
    wheel_init(&loop->far_wheel);
    list_init(&loop->ready);
    read_clock(loop);
    loop->start_us = loop->now_us - (1U << TICK_SHIFT);
    loop->tick = 0;
    atomic_store_explicit(&loop->last_pass_us, loop->now_us, memory_order_relaxed);
    return loop;
}

static void empty_graveyard(struct loop *loop)
{
    while (loop->graves != NULL) {
        struct loop_grave *grave = loop->graves;
        loop->graves = grave->next;
        grave->fn(grave);
    }
}

void loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    empty_graveyard(loop);
    event_free(loop->alarm);
    event_base_free(loop->base);
    if (running == loop) {
        running = NULL;
    }
    free(loop);
}

static void add_relaxed(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + value,
                          memory_order_relaxed);
}

static void run_ready(struct loop *loop)
{
    if (list_is_empty(&loop->ready)) {
        return;
    }
    /* Only what was there now; a marker at the end tells where the next pass begins. */
    struct list_node marker;
    list_push_back(&loop->ready, &marker);
    struct list_node *node;
    while ((node = list_pop_front(&loop->ready)) != &marker) {
        struct loop_ready *ready = list_entry(node, struct loop_ready, link);
        if (++loop->callbacks >= BATCH_CALLBACKS) {
            loop->clock_is_stale = true;
        }
        ready->fn(ready);
    }
}

static void pass(struct loop *loop, int flags)
{
    running = loop;
    loop->clock_is_stale = true;
    (void)event_base_loop(loop->base, flags);
    (void)loop_now_us(loop);
    run_ready(loop);
    run_timers(loop);
    if (loop->on_pass != NULL) {
        loop->on_pass(loop, loop->on_pass_arg);
    }
    empty_graveyard(loop);
}

/* One pass with its accounts: busy is the time from the first callback to the end. */
static void counted_pass(struct loop *loop, int flags)
{
    uint64_t before = atomic_load_explicit(&loop->last_pass_us, memory_order_relaxed);
    loop->now_us = 0; /* the first callback of the batch reads the clock */
    pass(loop, flags);
    uint64_t after = now_us();
    uint64_t woke = loop->woke_us > before ? loop->woke_us : before;
    add_relaxed(&loop->passes, 1);
    if (after > woke) {
        add_relaxed(&loop->busy_us, after - woke);
    }
    if (woke > before) {
        add_relaxed(&loop->idle_us, woke - before);
    }
    atomic_store_explicit(&loop->last_pass_us, after, memory_order_relaxed);
}

void loop_run(struct loop *loop)
{
    loop->stopping = false;
    while (!loop->stopping) {
        counted_pass(loop, list_is_empty(&loop->ready) ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
    }
}

void loop_run_once(struct loop *loop, int max_wait_ms)
{
    running = loop;
    if (max_wait_ms == 0 || !list_is_empty(&loop->ready)) {
        counted_pass(loop, EVLOOP_NONBLOCK);
        return;
    }
    if (max_wait_ms > 0) {
        struct timeval wait = {.tv_sec = max_wait_ms / 1000,
                               .tv_usec = (max_wait_ms % 1000) * 1000};
        (void)event_base_loopexit(loop->base, &wait);
    }
    counted_pass(loop, EVLOOP_ONCE);
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
}

uint64_t loop_now_us(struct loop *loop)
{
    if (LB_UNLIKELY(loop->clock_is_stale)) {
        bool first = loop->now_us == 0;
        read_clock(loop);
        if (first) {
            loop->woke_us = loop->now_us;
        }
    }
    return loop->now_us;
}

uint64_t loop_pass_us(struct loop *loop)
{
    uint64_t now = loop_now_us(loop);
    return now - loop->woke_us;
}

static void refresh_wall(struct loop *loop)
{
    uint64_t now = loop_now_us(loop);
    if (loop->wall_second == 0 || (now + loop->wall_offset_us) / 1000000 != loop->wall_second) {
        uint64_t wall = now_wall_us();
        loop->wall_offset_us = wall - now;
        loop->wall_second = wall / 1000000;
        now_http_date(loop->http_date, loop->wall_second);
    }
}

const char *loop_http_date(struct loop *loop)
{
    refresh_wall(loop);
    return loop->http_date;
}

uint64_t loop_wall_us(struct loop *loop)
{
    refresh_wall(loop);
    return loop_now_us(loop) + loop->wall_offset_us;
}

static void on_watch_event(evutil_socket_t fd, short what, void *arg)
{
    struct loop_watch *watch = arg;
    struct loop *loop = running;
    (void)fd;
    if (++loop->callbacks >= BATCH_CALLBACKS) {
        loop->clock_is_stale = true;
    }
    (void)loop_now_us(loop);
    unsigned ready = ((what & EV_READ) != 0 ? LOOP_READ : 0U) |
                     ((what & EV_WRITE) != 0 ? LOOP_WRITE : 0U) |
                     ((what & EV_CLOSED) != 0 ? LOOP_CLOSED : 0U);
    watch->fn(watch, ready);
}

bool loop_watch_start(struct loop *loop, struct loop_watch *watch, int fd, unsigned events,
                      void (*fn)(struct loop_watch *watch, unsigned ready))
{
    short what = EV_PERSIST;
    what = (short)(what | ((events & LOOP_READ) != 0 ? EV_READ : 0));
    what = (short)(what | ((events & LOOP_WRITE) != 0 ? EV_WRITE : 0));
    what = (short)(what | ((events & LOOP_CLOSED) != 0 ? EV_CLOSED : 0));
    what = (short)(what | ((events & LOOP_EDGE) != 0 ? EV_ET : 0));
    watch->fn = fn;
    if (event_assign(&watch->event, loop->base, fd, what, on_watch_event, watch) != 0 ||
        event_add(&watch->event, NULL) != 0) {
        memset(&watch->event, 0, sizeof(watch->event));
        return false;
    }
    return true;
}

bool loop_watch_is_started(const struct loop_watch *watch)
{
    return watch->event.ev_base != NULL;
}

void loop_watch_stop(struct loop_watch *watch)
{
    if (loop_watch_is_started(watch)) {
        (void)event_del(&watch->event);
        watch->event.ev_base = NULL;
    }
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms,
                    void (*fn)(struct loop_timer *timer))
{
    uint64_t due_us =
        loop_now_us(loop) + (delay_ms < DELAY_MAX_MS ? delay_ms : DELAY_MAX_MS) * 1000;
    timer->fn = fn;
    timer->due_tick = tick_of(loop, due_us) + 1; /* the end of its slot: never early */
    if (loop_timer_is_set(timer)) {
        if (ticks_between(timer->slot_tick, timer->due_tick) >= 0) {
            return;
        }
        list_remove(&timer->link); /* the slot's bit may stay: an empty slot fires nothing */
    }
    timer_link(loop, timer);
}

uint64_t loop_timer_left_ms(struct loop *loop, const struct loop_timer *timer)
{
    int32_t ticks = ticks_between(tick_of(loop, loop_now_us(loop)), timer->due_tick);
    return loop_timer_is_set(timer) && ticks > 0 ? ((uint64_t)ticks << TICK_SHIFT) / 1000 : 0;
}

void loop_timer_stop(struct loop_timer *timer)
{
    list_remove(&timer->link);
}

void loop_ready_put(struct loop *loop, struct loop_ready *ready,
                    void (*fn)(struct loop_ready *ready))
{
    ready->fn = fn;
    if (ready->link.next == NULL) {
        list_push_back(&loop->ready, &ready->link);
    }
}

void loop_ready_remove(struct loop_ready *ready)
{
    list_remove(&ready->link);
}

void loop_bury(struct loop *loop, struct loop_grave *grave, void (*fn)(struct loop_grave *grave))
{
    grave->fn = fn;
    grave->next = loop->graves;
    loop->graves = grave;
}

void loop_slot_set(struct loop *loop, enum loop_slot slot, void *value)
{
    loop->slots[slot] = value;
}

void *loop_slot(const struct loop *loop, enum loop_slot slot)
{
    return loop->slots[slot];
}

void loop_on_pass(struct loop *loop, void (*fn)(struct loop *loop, void *arg), void *arg)
{
    loop->on_pass = fn;
    loop->on_pass_arg = arg;
}

struct loop_stats loop_stats(const struct loop *loop)
{
    return (struct loop_stats){
        .passes = atomic_load_explicit(&loop->passes, memory_order_relaxed),
        .busy_us = atomic_load_explicit(&loop->busy_us, memory_order_relaxed),
        .idle_us = atomic_load_explicit(&loop->idle_us, memory_order_relaxed),
        .last_pass_us = atomic_load_explicit(&loop->last_pass_us, memory_order_relaxed),
    };
}

const char *loop_library_version(void)
{
    return event_get_version();
}

struct event_base *loop_event_base(struct loop *loop)
{
    return loop->base;
}
