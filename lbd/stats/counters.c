#include "lbd/stats/counters.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"

/*
 * The way of a released id:
 *
 *     released --next sweep begins--> sweeping --every worker swept--> spare --acquire--> in use
 *
 * A sweep is a list of ids and a number. Workers read the list only after they saw the number, and
 * it is not touched again before all of them stored the number as theirs.
 */

struct id_list {
    uint64_t *ids; /* kind << 32 | id */
    size_t count;
    size_t capacity;
};

static struct {
    pthread_mutex_t lock; /* over all but what workers read: `sweeping` and `sweep` */
    uint32_t worker_count;
    struct counters_worker **workers; /* worker_count of them, then control's */
    uint32_t next_id[COUNTERS_KIND_COUNT];
    uint32_t chunk_count[COUNTERS_KIND_COUNT];
    struct id_list spare[COUNTERS_KIND_COUNT];
    struct id_list released;
    struct id_list sweeping;
    uint64_t sweep; /* number of the last sweep that began */
    unsigned holds;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const struct {
    size_t block_bytes;
    unsigned shift;
} shapes[] = {
    [COUNTERS_LISTENER] = {sizeof(struct counters_listener), COUNTERS_LISTENER_SHIFT},
    [COUNTERS_ROUTE] = {sizeof(struct counters_route), COUNTERS_ROUTE_SHIFT},
    [COUNTERS_POLICY] = {sizeof(struct counters_policy), COUNTERS_POLICY_SHIFT},
    [COUNTERS_POOL] = {sizeof(struct counters_pool), COUNTERS_POOL_SHIFT},
    [COUNTERS_SERVER] = {sizeof(struct counters_server), COUNTERS_SERVER_SHIFT},
    [COUNTERS_LOOP] = {sizeof(struct counters_loop), 0},
    [COUNTERS_MAIL] = {sizeof(struct counters_mail), 0},
};

static void list_add(struct id_list *list, uint64_t id)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity != 0 ? list->capacity * 2 : 16;
        list->ids = mem_resize(list->ids, list->capacity * sizeof(*list->ids));
    }
    list->ids[list->count++] = id;
}

static void list_fini(struct id_list *list)
{
    free(list->ids);
    *list = (struct id_list){0};
}

static void set_chunk(struct counters_worker *worker, enum counters_kind kind, uint32_t chunk,
                      void *blocks)
{
    switch (kind) {
    case COUNTERS_LISTENER:
        worker->listeners[chunk] = blocks;
        break;
    case COUNTERS_ROUTE:
        worker->routes[chunk] = blocks;
        break;
    case COUNTERS_POLICY:
        worker->policies[chunk] = blocks;
        break;
    case COUNTERS_POOL:
        worker->pools[chunk] = blocks;
        break;
    case COUNTERS_SERVER:
        worker->servers[chunk] = blocks;
        break;
    case COUNTERS_LOOP:
    case COUNTERS_MAIL:
    case COUNTERS_KIND_COUNT:
        assert(false && "a kind without chunks");
    }
}

/* A worker's block as an array of slots. */
static uint64_t *find_block(struct counters_worker *worker, enum counters_kind kind, uint32_t id)
{
    switch (kind) {
    case COUNTERS_LISTENER:
        return (uint64_t *)counters_of_listener(worker, id);
    case COUNTERS_ROUTE:
        return (uint64_t *)counters_of_route(worker, id);
    case COUNTERS_POLICY:
        return (uint64_t *)counters_of_policy(worker, id);
    case COUNTERS_POOL:
        return (uint64_t *)counters_of_pool(worker, id);
    case COUNTERS_SERVER:
        return (uint64_t *)counters_of_server(worker, id);
    case COUNTERS_LOOP:
        return (uint64_t *)&worker->loop;
    case COUNTERS_MAIL:
        return (uint64_t *)&worker->mail[id];
    case COUNTERS_KIND_COUNT:
        break;
    }
    assert(false && "not a kind");
    return NULL;
}

/* A worker reads a chunk's pointer only for an id that was sent to it after this, so a plain store
 * does. */
static void add_chunk(struct counters_worker *worker, enum counters_kind kind, uint32_t chunk)
{
    set_chunk(worker, kind, chunk,
              mem_zero_aligned(shapes[kind].block_bytes << shapes[kind].shift));
}

static struct counters_worker *new_worker(void)
{
    /* large and mostly never touched: calloc's fresh pages cost nothing until they are */
    struct counters_worker *worker = mem_zero(1, sizeof(*worker));
    for (unsigned kind = 0; kind < COUNTERS_LOOP; kind++) {
        for (uint32_t chunk = 0; chunk < registry.chunk_count[kind]; chunk++) {
            add_chunk(worker, (enum counters_kind)kind, chunk);
        }
    }
    worker->swept = registry.sweep;
    return worker;
}

static void free_worker(struct counters_worker *worker)
{
    for (size_t chunk = 0; chunk < COUNTERS_CHUNKS_MAX; chunk++) {
        free(worker->listeners[chunk]);
        free(worker->routes[chunk]);
        free(worker->policies[chunk]);
        free(worker->pools[chunk]);
        free(worker->servers[chunk]);
    }
    free(worker);
}

/* The first use makes the control thread's numbers and chunk 0 of each kind, so that id 0 always
 * works. */
static void start_locked(void)
{
    if (registry.workers != NULL) {
        return;
    }
    registry.workers = mem_zero(1, sizeof(struct counters_worker *));
    for (unsigned kind = 0; kind < COUNTERS_LOOP; kind++) {
        registry.next_id[kind] = 1;
        registry.chunk_count[kind] = 1;
    }
    registry.workers[0] = new_worker();
}

void counters_init(uint32_t worker_count)
{
    (void)pthread_mutex_lock(&registry.lock);
    start_locked();
    assert(registry.worker_count == 0);
    struct counters_worker *control = registry.workers[0];
    registry.workers =
        mem_resize(registry.workers, ((size_t)worker_count + 1) * sizeof(struct counters_worker *));
    for (uint32_t i = 0; i < worker_count; i++) {
        registry.workers[i] = new_worker();
    }
    registry.workers[worker_count] = control;
    registry.worker_count = worker_count;
    (void)pthread_mutex_unlock(&registry.lock);
}

void counters_fini(void)
{
    (void)pthread_mutex_lock(&registry.lock);
    if (registry.workers != NULL) {
        for (uint32_t i = 0; i <= registry.worker_count; i++) {
            free_worker(registry.workers[i]);
        }
    }
    free((void *)registry.workers);
    registry.workers = NULL;
    registry.worker_count = 0;
    for (size_t kind = 0; kind < COUNTERS_KIND_COUNT; kind++) {
        list_fini(&registry.spare[kind]);
    }
    list_fini(&registry.released);
    list_fini(&registry.sweeping);
    registry.holds = 0;
    (void)pthread_mutex_unlock(&registry.lock);
}

uint32_t counters_worker_count(void)
{
    return registry.worker_count;
}

struct counters_worker *counters_worker(uint32_t number)
{
    assert(number < registry.worker_count);
    return registry.workers[number];
}

struct counters_worker *counters_control(void)
{
    (void)pthread_mutex_lock(&registry.lock);
    start_locked();
    struct counters_worker *control = registry.workers[registry.worker_count];
    (void)pthread_mutex_unlock(&registry.lock);
    return control;
}

/* -- sweeping -- */

static void zero_swept(struct counters_worker *worker)
{
    for (size_t i = 0; i < registry.sweeping.count; i++) {
        enum counters_kind kind = (enum counters_kind)(registry.sweeping.ids[i] >> 32U);
        uint64_t *block = find_block(worker, kind, (uint32_t)registry.sweeping.ids[i]);
        for (size_t slot = 0; slot < shapes[kind].block_bytes / sizeof(uint64_t); slot++) {
            counter_set(&block[slot], 0);
        }
    }
}

void counters_sweep(struct counters_worker *worker)
{
    uint64_t sweep = __atomic_load_n(&registry.sweep, __ATOMIC_ACQUIRE);
    if (LB_UNLIKELY(worker->swept != sweep)) {
        zero_swept(worker);
        __atomic_store_n(&worker->swept, sweep, __ATOMIC_RELEASE);
    }
}

/* Ends a sweep that all workers did and begins the next one. */
static void advance_locked(void)
{
    for (uint32_t i = 0; i < registry.worker_count; i++) {
        if (__atomic_load_n(&registry.workers[i]->swept, __ATOMIC_ACQUIRE) != registry.sweep) {
            return;
        }
    }
    for (size_t i = 0; i < registry.sweeping.count; i++) {
        list_add(&registry.spare[registry.sweeping.ids[i] >> 32U], registry.sweeping.ids[i]);
    }
    registry.sweeping.count = 0;
    if (registry.released.count == 0 || registry.holds != 0) {
        return;
    }
    struct id_list empty = registry.sweeping;
    registry.sweeping = registry.released;
    registry.released = empty;
    /* of control's own numbers all writers are at rest: an object is released by its last user */
    zero_swept(registry.workers[registry.worker_count]);
    __atomic_store_n(&registry.sweep, registry.sweep + 1, __ATOMIC_RELEASE);
}

uint32_t counters_acquire(enum counters_kind kind)
{
    assert(kind < COUNTERS_LOOP);
    (void)pthread_mutex_lock(&registry.lock);
    start_locked();
    advance_locked();
    uint32_t id;
    if (registry.spare[kind].count != 0) {
        id = (uint32_t)registry.spare[kind].ids[--registry.spare[kind].count];
    } else {
        id = registry.next_id[kind]++;
        uint32_t chunk = id >> shapes[kind].shift;
        /* a document is limited far below what would fill the table of chunks */
        assert(chunk < COUNTERS_CHUNKS_MAX);
        if (chunk == registry.chunk_count[kind]) {
            for (uint32_t i = 0; i <= registry.worker_count; i++) {
                add_chunk(registry.workers[i], kind, chunk);
            }
            registry.chunk_count[kind]++;
        }
    }
    (void)pthread_mutex_unlock(&registry.lock);
    return id;
}

void counters_release(enum counters_kind kind, uint32_t id)
{
    assert(kind < COUNTERS_LOOP);
    if (id == 0) {
        return;
    }
    (void)pthread_mutex_lock(&registry.lock);
    if (registry.workers != NULL) { /* after counters_fini there is nothing to give back */
        list_add(&registry.released, (uint64_t)kind << 32U | id);
    }
    (void)pthread_mutex_unlock(&registry.lock);
}

void counters_hold(void)
{
    (void)pthread_mutex_lock(&registry.lock);
    registry.holds++;
    (void)pthread_mutex_unlock(&registry.lock);
}

void counters_unhold(void)
{
    (void)pthread_mutex_lock(&registry.lock);
    assert(registry.holds != 0);
    registry.holds--;
    if (registry.workers != NULL) {
        advance_locked();
    }
    (void)pthread_mutex_unlock(&registry.lock);
}

size_t counters_pending(void)
{
    (void)pthread_mutex_lock(&registry.lock);
    if (registry.workers != NULL) {
        advance_locked();
    }
    size_t count = registry.released.count + registry.sweeping.count;
    (void)pthread_mutex_unlock(&registry.lock);
    return count;
}

/* -- reading -- */

/* The threads whose numbers make up the answer: [*from, return value). */
static uint32_t writers_of(enum counters_kind kind, uint32_t id, uint32_t *from)
{
    *from = kind == COUNTERS_LOOP ? id : 0;
    return kind == COUNTERS_LOOP ? id + 1 : registry.worker_count + 1;
}

void counters_read(enum counters_kind kind, uint32_t id, void *out)
{
    uint64_t *sums = out;
    size_t slots = shapes[kind].block_bytes / sizeof(uint64_t);
    uint32_t at;
    uint32_t end = writers_of(kind, id, &at);
    memset(out, 0, shapes[kind].block_bytes);
    for (; at < end; at++) {
        const uint64_t *block = find_block(registry.workers[at], kind, id);
        for (size_t slot = 0; slot < slots; slot++) {
            sums[slot] += counter_get(&block[slot]);
        }
    }
}

uint64_t counters_sum(enum counters_kind kind, uint32_t id, size_t slot)
{
    uint64_t sum = 0;
    uint32_t at;
    uint32_t end = writers_of(kind, id, &at);
    assert(slot < shapes[kind].block_bytes / sizeof(uint64_t));
    for (; at < end; at++) {
        sum += counter_get(&find_block(registry.workers[at], kind, id)[slot]);
    }
    return sum;
}

uint64_t counters_gauge(enum counters_kind kind, uint32_t id, size_t more, size_t less)
{
    uint64_t down = counters_sum(kind, id, less);
    uint64_t up = counters_sum(kind, id, more);
    /* an object whose two numbers come from two threads could still be caught in between */
    return up > down ? up - down : 0;
}

enum counters_error counters_error_of(enum close_reason reason)
{
    switch ((unsigned)reason) {
    case CLOSE_CONNECT_REFUSED:
    case CLOSE_CONNECT_FAILED:
    case CLOSE_SERVER_REFUSED:
        return COUNTERS_ERROR_REFUSED;
    case CLOSE_CONNECT_TIMEOUT:
    case CLOSE_RESPONSE_TIMEOUT:
    case CLOSE_TRY_TIMEOUT:
    case CLOSE_SERVER_IDLE_TIMEOUT:
        return COUNTERS_ERROR_TIMEOUT;
    case CLOSE_SERVER_RESET:
    case CLOSE_SERVER_TRUNCATED:
        return COUNTERS_ERROR_RESET;
    case CLOSE_BAD_RESPONSE:
    case CLOSE_SERVER_SPEAKS_TLS:
    case CLOSE_BAD_RESPONSE_FRAMING:
    case CLOSE_RESPONSE_HEADER_TOO_LARGE:
    case CLOSE_TOO_MANY_INTERIM:
    case CLOSE_BAD_SWITCH:
    case CLOSE_BAD_ACCEPT:
    case CLOSE_NOT_SWITCHED:
        return COUNTERS_ERROR_PROTOCOL;
    case CLOSE_SERVER_TLS_FAILED:
    case CLOSE_SERVER_TLS_TIMEOUT:
    case CLOSE_SERVER_TLS_UNVERIFIED:
    case CLOSE_SERVER_TLS_PIN_MISMATCH:
        return COUNTERS_ERROR_TLS;
    case CLOSE_UNRESOLVED:
        return COUNTERS_ERROR_DNS;
    default:
        return COUNTERS_ERROR_COUNT;
    }
}
