/* front - see front.h. */
#include "lbd/proxy/front.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/base/mem.h"
#include "lbd/proxy/session.h"
#include "lbd/proxy/sweep.h"

#define ACCEPTS_PER_TURN 64
#define ACCEPTS_LATE     4
#define LONG_PASS_US     1000 /* half of what a pass may take */
#define ACCEPTS_AT_END   4096 /* of a socket that is left: what its queue may hold */
#define PAUSE_MS         50
#define POLITE_MS        1000
#define JUDGE_COST       8 /* a certificate that is looked at, in visits of a sweep */

static void on_acceptable(struct loop_watch *watch, unsigned ready);

static void watch_bind(struct front_bind *place)
{
    struct proxy_worker *proxy = place->front->proxy;
    if (place->bind != NULL && !place->front->closes && !proxy->accept_paused &&
        !loop_watch_is_started(&place->watch)) {
        /* Refused only without descriptors or memory: the next unpausing tries again. */
        if (!listener_bind_listen(place->bind, proxy->worker) ||
            !loop_watch_start(proxy->loop, &place->watch, place->bind->fds[proxy->worker],
                              LOOP_READ, on_acceptable)) {
            front_pause_all(proxy, PAUSE_MS);
        }
    }
}

/* The kernel queues whom we do not take. */
static bool must_pause(const struct proxy_worker *proxy)
{
    const struct net_worker *net = loop_slot(proxy->loop, LOOP_SLOT_NET);
    return atomic_load_explicit(&proxy->open_connections, memory_order_relaxed) >=
               proxy->max_connections ||
           net_worker_is_tight(net) || proxy->relief.refuses;
}

static void on_unpause(struct loop_timer *timer)
{
    struct proxy_worker *proxy = container_of(timer, struct proxy_worker, accept_again);
    if (must_pause(proxy)) {
        loop_timer_set(proxy->loop, timer, PAUSE_MS, on_unpause);
        return;
    }
    proxy->accept_paused = false;
    struct list_node *node;
    list_for_each (node, &proxy->fronts) {
        struct front *front = list_entry(node, struct front, link);
        for (size_t i = 0; i < LISTENER_BINDS_MAX; i++) {
            watch_bind(&front->binds[i]);
        }
    }
}

void front_pause_all(struct proxy_worker *proxy, uint64_t again_ms)
{
    proxy->accept_paused = true;
    counter_add(&proxy->counters->loop.relief[COUNTERS_RELIEF_ACCEPT], 1);
    struct list_node *node;
    list_for_each (node, &proxy->fronts) {
        struct front *front = list_entry(node, struct front, link);
        for (size_t i = 0; i < LISTENER_BINDS_MAX; i++) {
            loop_watch_stop(&front->binds[i].watch);
        }
    }
    loop_timer_set(proxy->loop, &proxy->accept_again, again_ms, on_unpause);
}

static void count_accept_error(struct front *front, int error)
{
    enum counters_accept what = error == EMFILE || error == ENFILE    ? COUNTERS_ACCEPT_DESCRIPTORS
                                : error == ENOBUFS || error == ENOMEM ? COUNTERS_ACCEPT_MEMORY
                                                                      : COUNTERS_ACCEPT_OTHER;
    counter_add(&front->counters->accept_errors[what], 1);
}

/* Over the listener's own limit? Counts the connection in when not. */
static bool is_full(struct front *front)
{
    uint32_t limit = front->plan->limits.connections;
    uint32_t open =
        atomic_fetch_add_explicit(&front->listener->connections, 1, memory_order_relaxed);
    if (limit > 0 && open >= limit) {
        (void)atomic_fetch_sub_explicit(&front->listener->connections, 1, memory_order_relaxed);
        return true;
    }
    return false;
}

/* False: nothing more to accept now. */
static bool accept_one(struct front *front, int listen_fd)
{
    struct proxy_worker *proxy = front->proxy;
    struct sockaddr_storage peer;
    socklen_t peer_len = sizeof(peer);
    peer.ss_family = AF_UNSPEC;
    int fd = accept4(listen_fd, (struct sockaddr *)&peer, &peer_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) {
            return errno != EAGAIN;
        }
        count_accept_error(front, errno);
        front_pause_all(proxy, PAUSE_MS); /* the connection stays in the queue */
        return false;
    }
    if (is_full(front)) {
        counter_add(&front->counters->rejected[COUNTERS_REJECT_LIMIT], 1);
        (void)close(fd);
        return true;
    }
    uint32_t open = atomic_load_explicit(&proxy->open_connections, memory_order_relaxed) + 1;
    atomic_store_explicit(&proxy->open_connections, open, memory_order_relaxed);
    session_start(front, fd, (struct sockaddr *)&peer);
    if (must_pause(proxy)) {
        front_pause_all(proxy, PAUSE_MS);
        return false;
    }
    return true;
}

static void on_acceptable(struct loop_watch *watch, unsigned ready)
{
    struct front_bind *place = container_of(watch, struct front_bind, watch);
    struct front *front = place->front;
    int fd = place->bind->fds[front->proxy->worker];
    (void)ready;
    if (must_pause(front->proxy)) {
        front_pause_all(front->proxy, PAUSE_MS);
        return;
    }
    /* New connections wait first when a pass is long; some are always let in. */
    bool is_long = loop_pass_us(front->proxy->loop) > LONG_PASS_US;
    int max = is_long ? ACCEPTS_LATE : ACCEPTS_PER_TURN;
    for (int i = 0; i < max && accept_one(front, fd); i++) {
    }
}

/* Takes what still waits in the queue, so that closing the socket resets nobody. */
static void empty_queue(struct front_bind *place)
{
    const struct proxy_worker *proxy = place->front->proxy;
    if (!proxy->accept_paused && !listener_bind_is_shut(place->bind, proxy->worker)) {
        int fd = place->bind->fds[proxy->worker];
        for (int i = 0; i < ACCEPTS_AT_END && accept_one(place->front, fd); i++) {
        }
    }
}

/* Refuses from here on, with the port still ours. */
static void rest_bind(struct front_bind *place, bool is_first)
{
    if (place->bind != NULL) {
        loop_watch_stop(&place->watch);
        if (is_first || !place->bind->is_shared) { /* one that is not shut fills again */
            empty_queue(place);
        }
        listener_bind_shut(place->bind, place->front->proxy->worker);
    }
}

static void leave_bind(struct front_bind *place)
{
    if (place->bind == NULL) {
        return;
    }
    loop_watch_stop(&place->watch);
    if (!place->bind->is_shared) { /* else the others still accept there */
        empty_queue(place);
    }
    listener_bind_unref(place->bind);
    place->bind = NULL;
}

static bool plan_has(const struct plan *plan, const struct listener_bind *bind)
{
    for (uint32_t i = 0; i < plan->bind_count; i++) {
        if (plan->binds[i] == bind) {
            return true;
        }
    }
    return false;
}

static bool front_has(const struct front *front, const struct listener_bind *bind)
{
    for (size_t i = 0; i < LISTENER_BINDS_MAX; i++) {
        if (front->binds[i].bind == bind) {
            return true;
        }
    }
    return false;
}

/* -- clients that keep a connection and can be told that it ends -- */

static bool say_goodbye(struct sweep *sweep, struct session *session)
{
    const struct front *front = session->front;
    bool stays = true;
    if (front->is_asking) {
        sweep->cost = JUDGE_COST;
        stays = session_judge(session, front->is_late);
    }
    if (stays && front->closes) {
        session_drain(session);
    }
    return true;
}

static void said_goodbye(struct sweep *sweep)
{
    struct proxy_worker *proxy = sweep->proxy;
    if (proxy->goodbyes_again) {
        proxy->goodbyes_again = false;
        sweep_start(sweep, proxy);
    }
}

static void say_goodbyes(struct proxy_worker *proxy)
{
    struct sweep *sweep = &proxy->goodbyes;
    if (list_is_linked(&sweep->link)) {
        proxy->goodbyes_again = true;
        return;
    }
    sweep->visit = say_goodbye;
    sweep->done = said_goodbye;
    sweep_start(sweep, proxy);
}

/* -- clients who have not shown what a new plan asks for -- */

static void on_last_call(struct loop_timer *timer)
{
    struct front *front = container_of(timer, struct front, last_call);
    front->is_late = true;
    say_goodbyes(front->proxy);
}

static void ask_anew(struct front *front, uint64_t drain_ms)
{
    front->is_asking = true;
    front->is_late = false;
    say_goodbyes(front->proxy);
    loop_timer_stop(&front->last_call);
    loop_timer_set(front->proxy->loop, &front->last_call, drain_ms, on_last_call);
}

static uint64_t demand_of(const struct plan *plan)
{
    return plan != NULL && plan->tls != NULL ? tls_front_demand(plan->tls) : 0;
}

void front_adopt(struct front *front, const struct plan *plan, uint64_t drain_ms)
{
    bool is_first = !front->is_drained;
    uint64_t demand = demand_of(front->plan);
    front->plan = plan;
    front->rates = (struct stream_rates){.body_bytes_per_s = plan->limits.min_body_rate_bytes,
                                         .read_bytes_per_s = plan->limits.min_read_rate_bytes,
                                         .grace_ms = plan->timeouts.rate_grace_ms};
    front->is_drained = plan->is_drained;
    front->closes = plan->is_drained;
    for (size_t i = 0; i < LISTENER_BINDS_MAX; i++) {
        if (front->binds[i].bind != NULL && !plan_has(plan, front->binds[i].bind)) {
            leave_bind(&front->binds[i]);
        }
    }
    for (uint32_t i = 0; i < plan->bind_count; i++) {
        if (front_has(front, plan->binds[i])) {
            continue;
        }
        for (size_t j = 0; j < LISTENER_BINDS_MAX; j++) {
            if (front->binds[j].bind == NULL) {
                front->binds[j].bind = listener_bind_ref(plan->binds[i]);
                break;
            }
        }
    }
    for (size_t i = 0; i < LISTENER_BINDS_MAX; i++) {
        if (plan->is_drained) {
            rest_bind(&front->binds[i], is_first);
        } else {
            watch_bind(&front->binds[i]);
        }
    }
    if (plan->is_drained && is_first) {
        say_goodbyes(front->proxy);
    }
    if (demand_of(plan) != demand && demand_of(plan) != 0 && !list_is_empty(&front->sessions)) {
        ask_anew(front, drain_ms);
    }
}

struct front *front_new(struct proxy_worker *proxy, const struct plan *plan)
{
    struct front *front = mem_zero(1, sizeof(*front));
    front->proxy = proxy;
    front->listener = listener_ref(plan->listener);
    front->counters = counters_of_listener(proxy->counters, plan->listener->id);
    list_init(&front->sessions);
    for (size_t i = 0; i < LISTENER_BINDS_MAX; i++) {
        front->binds[i].front = front;
    }
    list_push_back(&proxy->fronts, &front->link);
    front_adopt(front, plan, 0);
    return front;
}

static void front_free(struct front *front)
{
    assert(list_is_empty(&front->sessions));
    for (size_t i = 0; i < LISTENER_BINDS_MAX; i++) {
        if (front->binds[i].bind != NULL) {
            loop_watch_stop(&front->binds[i].watch);
            listener_bind_unref(front->binds[i].bind);
        }
    }
    loop_timer_stop(&front->deadline);
    loop_timer_stop(&front->last_call);
    sweep_leave_front(front->proxy, front);
    list_remove(&front->link);
    struct lease *pinned = front->pinned;
    struct proxy_worker *proxy = front->proxy;
    listener_unref(front->listener);
    free(front);
    if (pinned != NULL) {
        lease_drop(pinned);
    }
    if (list_is_empty(&proxy->fronts) && proxy->on_quiet != NULL) {
        proxy->on_quiet(proxy);
    }
}

static void end_sessions(struct front *front, enum close_reason reason, bool polite)
{
    struct list_node *node;
    struct list_node *next;
    list_for_each_safe (node, next, &front->sessions) {
        session_abort(list_entry(node, struct session, link), reason, polite);
    }
}

static void on_second_deadline(struct loop_timer *timer)
{
    front_end(container_of(timer, struct front, deadline), CLOSE_DRAIN_DEADLINE);
}

/* What is idle now is closed by half-close first; what does not go along is ended soon after. */
static void on_deadline(struct loop_timer *timer)
{
    struct front *front = container_of(timer, struct front, deadline);
    loop_timer_set(front->proxy->loop, &front->deadline, POLITE_MS, on_second_deadline);
    front->draining = false; /* not freed under this loop's feet */
    end_sessions(front, CLOSE_DRAIN_DEADLINE, true);
    front->draining = true;
    front_session_ended(front);
}

void front_drain(struct front *front, struct lease *pin, uint64_t deadline_ms)
{
    for (size_t i = 0; i < LISTENER_BINDS_MAX; i++) {
        leave_bind(&front->binds[i]);
    }
    front->draining = true;
    front->closes = true;
    if (pin != NULL && front->pinned == NULL) {
        front->pinned = pin;
        lease_hold(pin);
    }
    if (list_is_empty(&front->sessions)) {
        front_free(front);
        return;
    }
    say_goodbyes(front->proxy);
    loop_timer_stop(&front->deadline);
    loop_timer_set(front->proxy->loop, &front->deadline, deadline_ms, on_deadline);
}

void front_end(struct front *front, enum close_reason reason)
{
    front->draining = false; /* it is freed here and not by its last session */
    end_sessions(front, reason, false);
    front_free(front);
}

void front_session_ended(struct front *front)
{
    if (front->draining && list_is_empty(&front->sessions)) {
        front_free(front);
    }
}
