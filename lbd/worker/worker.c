/* worker - see worker.h. */
#include "lbd/worker/worker.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/proxy/crowd.h"
#include "lbd/proxy/mail_cache.h"
#include "lbd/stats/log_writer.h"
#include "lbd/worker/worker_inside.h"

#define TIDY_MS 250

/* Of OpenSSL, for a connection that is idle: it is not asked, and not counted to the byte. */
#define TLS_CONN_BYTES (14U * 1024)

/* -- how many -- */

/* CPUs' worth of time the cgroup grants ("max" or no file: no limit), at least 1. */
static uint32_t quota_cpus(void)
{
    char quota[32];
    long period;
    uint32_t cpus = SNAPSHOT_WORKERS_MAX;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file == NULL) {
        return cpus;
    }
    if (fscanf(file, "%31s %ld", quota, &period) == 2 && strcmp(quota, "max") != 0 && period > 0) {
        long granted = strtol(quota, NULL, 10);
        cpus = granted > period ? (uint32_t)((granted + period - 1) / period) : 1;
    }
    (void)fclose(file);
    return cpus;
}

uint32_t workers_auto_count(void)
{
    cpu_set_t set;
    uint32_t cpus = 1;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        cpus = (uint32_t)CPU_COUNT(&set);
    }
    uint32_t quota = quota_cpus();
    cpus = cpus < quota ? cpus : quota;
    return cpus < 1 ? 1 : cpus > SNAPSHOT_WORKERS_MAX ? SNAPSHOT_WORKERS_MAX : cpus;
}

/* -- the thread -- */

static void on_mail(struct loop_watch *watch, unsigned ready)
{
    struct worker *worker = container_of(watch, struct worker, mailbox_watch);
    (void)ready;
    (void)mailbox_drain(&worker->mailbox);
}

/* All slabs of a worker; what a burst left empty goes back soon after. */
static bool tidy(struct worker *worker)
{
    struct slab *slabs[] = {
        &worker->net.small_buffers,      &worker->net.large_buffers,  &worker->http.h1_conns,
        &worker->upstream.conns,         &worker->proxy.sessions,     &worker->proxy.exchanges,
        &worker->proxy.exchange_heads,   &worker->proxy.tunnels,      &worker->proxy.imap_tracks,
        &worker->proxy.exchange_tunnels, &worker->proxy.tcp_sessions, &worker->proxy.mail_sessions};
    bool again = false;
    for (size_t i = 0; i < ARRAY_LEN(slabs); i++) {
        again = slab_tidy(slabs[i]) || again;
    }
    return again;
}

static bool is_tidy(const struct worker *worker)
{
    return slab_is_tidy(&worker->net.small_buffers) && slab_is_tidy(&worker->net.large_buffers) &&
           slab_is_tidy(&worker->http.h1_conns) && slab_is_tidy(&worker->upstream.conns) &&
           slab_is_tidy(&worker->proxy.sessions) && slab_is_tidy(&worker->proxy.exchanges) &&
           slab_is_tidy(&worker->proxy.exchange_heads) && slab_is_tidy(&worker->proxy.tunnels) &&
           slab_is_tidy(&worker->proxy.imap_tracks) &&
           slab_is_tidy(&worker->proxy.exchange_tunnels) &&
           slab_is_tidy(&worker->proxy.tcp_sessions) && slab_is_tidy(&worker->proxy.mail_sessions);
}

static void on_tidy(struct loop_timer *timer)
{
    struct worker *worker = container_of(timer, struct worker, tidy_timer);
    if (tidy(worker)) {
        loop_timer_set(worker->loop, timer, TIDY_MS, on_tidy);
    }
}

/* What it holds for connections and requests. What HPACK keeps, arenas beyond their first block and
 * the kernel's buffers are not in it. */
static uint64_t memory_of(const struct worker *worker)
{
    const struct slab *slabs[] = {
        &worker->http.h1_conns,          &worker->http.h2_conns,
        &worker->http.h2_streams,        &worker->upstream.conns,
        &worker->upstream.shared,        &worker->proxy.sessions,
        &worker->proxy.exchanges,        &worker->proxy.exchange_heads,
        &worker->proxy.tunnels,          &worker->proxy.imap_tracks,
        &worker->proxy.tcp_sessions,     &worker->proxy.mail_sessions,
        &worker->proxy.exchange_tunnels,
    };
    uint64_t bytes = worker->net.held_bytes + (uint64_t)worker->net.tls_conns * TLS_CONN_BYTES;
    for (size_t i = 0; i < ARRAY_LEN(slabs); i++) {
        bytes += slabs[i]->objects * slabs[i]->object_bytes;
    }
    return bytes;
}

static void count_spared(struct counters_loop *counters, const struct net_worker *net)
{
    counter_set(&counters->relief[COUNTERS_RELIEF_LARGE_BUFFER], net->spared[NET_SPARED_LARGE]);
    counter_set(&counters->relief[COUNTERS_RELIEF_PIPE], net->spared[NET_SPARED_PIPE]);
    counter_set(&counters->relief[COUNTERS_RELIEF_COMPRESSION], net->spared[NET_SPARED_CODER]);
}

static void on_pass(struct loop *loop, void *arg)
{
    struct worker *worker = arg;
    struct counters_loop *counters = &worker->proxy.counters->loop;
    struct loop_stats stats = loop_stats(loop);
    counter_set(&counters->passes, stats.passes);
    counter_set(&counters->us[COUNTERS_LOOP_BUSY], stats.busy_us);
    counter_set(&counters->us[COUNTERS_LOOP_IDLE], stats.idle_us);
    counter_set(&counters->last_pass_wall_us, loop_wall_us(loop));
    counter_set(&counters->buffered_bytes, worker->net.held_bytes);
    relief_look(&worker->proxy, memory_of(worker), stats.busy_us);
    counter_set(&counters->memory_bytes, worker->proxy.relief.memory_bytes);
    count_spared(counters, &worker->net);
    if (!loop_timer_is_set(&worker->tidy_timer) && !is_tidy(worker)) {
        loop_timer_set(loop, &worker->tidy_timer, TIDY_MS, on_tidy);
    }
}

/* -- a stage of pressure, for control -- */

struct stage_message {
    struct mailbox_message message;
    const struct workers *workers;
    struct worker_pressure pressure;
};

static void stage_at_control(struct mailbox_message *message, void *receiver)
{
    struct stage_message *self = container_of(message, struct stage_message, message);
    const struct workers_options *options = &self->workers->options;
    (void)receiver;
    options->pressed(&self->pressure, options->arg);
    free(self);
}

static void on_stage(struct proxy_worker *proxy, enum pressure_kind kind, uint64_t used,
                     uint64_t limit)
{
    const struct worker *worker = container_of(proxy, struct worker, proxy);
    struct stage_message *self = mem_zero(1, sizeof(*self));
    self->message.deliver = stage_at_control;
    self->workers = worker->workers;
    self->pressure = (struct worker_pressure){.worker = worker->number,
                                              .kind = kind,
                                              .stage = proxy->relief.stages[kind],
                                              .used = used,
                                              .limit = limit};
    mailbox_post(worker->workers->options.control, &self->message);
}

static void *run(void *arg)
{
    struct worker *worker = arg;
    loop_run(worker->loop);
    return NULL;
}

static bool worker_init(struct worker *worker, struct workers *workers, uint32_t number,
                        struct err *err)
{
    const struct workers_options *options = &workers->options;
    worker->workers = workers;
    worker->number = number;
    if (!mailbox_init(&worker->mailbox, worker, err)) {
        return false;
    }
    worker->loop = loop_new(err);
    if (worker->loop == NULL) {
        mailbox_fini(&worker->mailbox);
        return false;
    }
    net_worker_init(&worker->net);
    http_worker_init(&worker->http);
    loop_slot_set(worker->loop, LOOP_SLOT_NET, &worker->net);
    loop_slot_set(worker->loop, LOOP_SLOT_HTTP, &worker->http);
    upstream_worker_init(&worker->upstream, worker->loop, counters_worker(number), number,
                         options->count);
    filter_worker_init(&worker->filter, worker->loop, options->resolvers, options->resolver_count);
    struct access_log *log =
        options->access_log != NULL ? log_writer_ring(options->access_log, number) : NULL;
    worker->upstream.bell.mailbox = &worker->mailbox;
    if (options->max_idle != 0) {
        worker->upstream.idle_max = options->max_idle / options->count + 1;
    }
    if (options->max_buffered_bytes != 0) {
        net_worker_limit(&worker->net, options->max_buffered_bytes / options->count);
    }
    uint32_t share = options->max_connections / options->count;
    proxy_worker_init(&worker->proxy, worker->loop, &worker->upstream, log, number,
                      share > 0 ? share : 1);
    const struct pressure_limits limits = {.memory_bytes = options->max_memory_bytes,
                                           .buffered_bytes = options->max_buffered_bytes,
                                           .max_connections = options->max_connections,
                                           .shed_lag_ms = options->shed_lag_ms};
    relief_init(&worker->proxy, &limits, options->count);
    worker->proxy.relief.on_stage = options->pressed != NULL ? on_stage : NULL;
    worker->proxy.mail_cache =
        mail_cache_worker_new(workers->mail_cache, number, &worker->mailbox, &worker->upstream);
    worker->proxy.mail_users = workers->mail_users;
    worker->proxy.mail_bans = workers->mail_bans;
    worker->proxy.mail_pace = &workers->mail_pace;
    worker->proxy.control = options->control;
    mail_callback_worker_init(&worker->proxy.mail_callbacks, worker->loop, workers->mail_answers,
                              options->resolvers, options->resolver_count);
    worker->proxy.mail_crowd = workers->mail_crowd;
    loop_on_pass(worker->loop, on_pass, worker);
    if (!loop_watch_start(worker->loop, &worker->mailbox_watch, mailbox_fd(&worker->mailbox),
                          LOOP_READ, on_mail)) {
        return err_set(err, ERR_SYSTEM, "cannot watch a worker's mailbox: %s", strerror(errno));
    }
    return true;
}

/* After its thread ended. */
static void worker_fini(struct worker *worker)
{
    loop_watch_stop(&worker->mailbox_watch);
    loop_timer_stop(&worker->tidy_timer);
    loop_run_once(worker->loop, 0); /* buries what the end left */
    mail_callback_worker_fini(&worker->proxy.mail_callbacks);
    proxy_worker_fini(&worker->proxy);
    filter_worker_fini(&worker->filter);
    upstream_worker_fini(&worker->upstream);
    http_worker_fini(&worker->http);
    net_worker_fini(&worker->net);
    loop_free(worker->loop);
    mailbox_fini(&worker->mailbox);
}

static void stop_message(struct mailbox_message *message, void *receiver)
{
    struct worker *worker = receiver;
    free(message);
    worker_end_all(worker);
    loop_stop(worker->loop);
}

static void ping_message(struct mailbox_message *message, void *receiver)
{
    (void)receiver; /* the pass itself is the answer */
    free(message);
}

static void post_all(struct workers *workers, uint32_t count,
                     void (*deliver)(struct mailbox_message *message, void *receiver))
{
    for (uint32_t i = 0; i < count; i++) {
        struct mailbox_message *message = mem_zero(1, sizeof(*message));
        message->deliver = deliver;
        mailbox_post(&workers->list[i].mailbox, message);
    }
}

void workers_ping(struct workers *workers)
{
    post_all(workers, workers->count, ping_message);
}

static void stop_first(struct workers *workers, uint32_t count)
{
    post_all(workers, count, stop_message);
    for (uint32_t i = 0; i < count; i++) {
        (void)pthread_join(workers->list[i].thread, NULL);
    }
    for (uint32_t i = 0; i < count; i++) { /* nobody posts to another any more */
        worker_fini(&workers->list[i]);
    }
}

static bool start_thread(struct worker *worker, struct err *err)
{
    sigset_t all;
    sigset_t before;
    char name[16];
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are control's */
    int error = pthread_create(&worker->thread, NULL, run, worker);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        return err_set(err, ERR_SYSTEM, "cannot start a worker: %s", strerror(error));
    }
    (void)snprintf(name, sizeof(name), "worker-%u", worker->number);
    (void)pthread_setname_np(worker->thread, name);
    return true;
}

static void free_it(struct workers *workers)
{
    mail_cache_free(workers->mail_cache);
    mail_users_free(workers->mail_users);
    mail_bans_free(workers->mail_bans);
    mail_answers_free(workers->mail_answers);
    crowd_free(workers->mail_crowd);
    free(workers->list);
    free(workers);
}

struct workers *workers_start(const struct workers_options *options, struct err *err)
{
    assert(options->count >= 1 && options->count <= SNAPSHOT_WORKERS_MAX);
    struct workers *workers = mem_zero(1, sizeof(*workers));
    workers->options = *options;
    workers->count = options->count;
    workers->mail_users = mail_users_new();
    workers->mail_cache = mail_cache_new(options->count, workers->mail_users, err);
    if (workers->mail_cache == NULL) {
        mail_users_free(workers->mail_users);
        free(workers);
        return NULL;
    }
    workers->mail_bans = mail_bans_new();
    workers->mail_answers = mail_answers_new();
    workers->mail_crowd = crowd_new();
    workers->list = mem_zero_aligned(options->count * sizeof(struct worker));
    for (uint32_t i = 0; i < options->count; i++) {
        if (!worker_init(&workers->list[i], workers, i, err) ||
            !start_thread(&workers->list[i], err)) {
            stop_first(workers, i);
            free_it(workers);
            return NULL;
        }
    }
    return workers;
}

struct mail_users *workers_mail_users(const struct workers *workers)
{
    return workers->mail_users;
}

struct mail_bans *workers_mail_bans(const struct workers *workers)
{
    return workers->mail_bans;
}

struct mail_answers *workers_mail_answers(const struct workers *workers)
{
    return workers->mail_answers;
}

uint32_t workers_count(const struct workers *workers)
{
    return workers->count;
}

void workers_stop(struct workers *workers)
{
    stop_first(workers, workers->count);
    /* What the workers said last (snapshots released) refers to us. */
    (void)mailbox_drain(workers->options.control);
    free_it(workers);
}

struct mail_cache *workers_mail_cache(const struct workers *workers)
{
    return workers->mail_cache;
}

struct loop_stats workers_loop_stats(const struct workers *workers, uint32_t worker)
{
    return loop_stats(workers->list[worker].loop);
}

uint64_t workers_generation(const struct workers *workers, uint32_t worker)
{
    return atomic_load_explicit(&workers->list[worker].generation, memory_order_acquire);
}

uint32_t workers_connections(const struct workers *workers, uint32_t worker)
{
    return atomic_load_explicit(&workers->list[worker].proxy.open_connections,
                                memory_order_relaxed);
}
