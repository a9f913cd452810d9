/* mail_cache - see mail_cache.h. */
#include "lbd/proxy/mail_cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/mail/mail_token.h"
#include "lbd/proxy/mail_cache_inside.h"

/* -- the process -- */

struct mail_cache *mail_cache_new(uint32_t workers, struct mail_users *users, struct err *err)
{
    struct mail_cache_secret *secret = mail_cache_secret_new(err);
    if (secret == NULL) {
        return NULL;
    }
    struct mail_cache *cache = mem_zero_aligned(sizeof(*cache));
    cache->secret = secret;
    cache->users = users;
    cache->worker_count = workers;
    cache->workers = mem_zero(workers, sizeof(struct mail_cache_worker *));
    mail_cache_index_init(cache);
    return cache;
}

void mail_cache_free(struct mail_cache *cache)
{
    struct list_node *node = NULL;
    if (cache == NULL) {
        return;
    }
    while ((node = list_first(&cache->claims)) != NULL) { /* whose message nobody read */
        struct mail_cache_claim *claim = list_entry(node, struct mail_cache_claim, link);
        upstream_conn_drop_parcel(&claim->parcel);
        if (claim->entry != NULL) {
            mail_cache_entry_drop(claim->entry);
        }
        mail_cache_claim_free(cache, claim);
    }
    for (uint32_t i = 0; i < cache->worker_count; i++) {
        free(cache->workers[i]);
    }
    free(cache->workers);
    mail_cache_index_fini(cache);
    mail_cache_secret_free(cache->secret);
    free(cache);
}

struct mail_cache_worker *mail_cache_worker_new(struct mail_cache *cache, uint32_t number,
                                                struct mailbox *mailbox,
                                                struct upstream_worker *upstream)
{
    struct mail_cache_worker *worker = mem_zero(1, sizeof(*worker));
    worker->cache = cache;
    worker->number = number;
    worker->mailbox = mailbox;
    worker->upstream = upstream;
    list_init(&worker->entries);
    cache->workers[number] = worker;
    return worker;
}

struct mail_cache *mail_cache_of(const struct mail_cache_worker *worker)
{
    return worker->cache;
}

void mail_cache_worker_end(struct mail_cache_worker *worker)
{
    struct list_node *node = NULL;
    worker->has_ended = true;
    while ((node = list_first(&worker->entries)) != NULL) {
        mail_cache_park_end(list_entry(node, struct mail_cache_entry, of_worker),
                            MAIL_CACHE_END_SERVER);
    }
}

void mail_cache_sweep(struct mail_cache_worker *worker)
{
    bool again = true;
    while (again) {
        struct list_node *node = NULL;
        again = false;
        list_for_each (node, &worker->entries) {
            struct mail_cache_entry *entry = list_entry(node, struct mail_cache_entry, of_worker);
            bool is_ready = server_is_ready(entry->server);
            if (!is_ready || !mail_cache_entry_renew(entry)) {
                mail_cache_park_end(entry,
                                    is_ready ? MAIL_CACHE_END_FORGOTTEN : MAIL_CACHE_END_SERVER);
                again = true; /* others may have gone with it */
                break;
            }
            mail_cache_park_look_at_limits(entry);
        }
    }
}

void mail_cache_set_settings(struct mail_cache_worker *worker, mail_cache_settings_fn *fn,
                             const void *arg)
{
    worker->settings = fn;
    worker->settings_arg = arg;
}

/* -- entries -- */

/* When a token ends, on the monotonic clock; 0: it does not say. */
static uint64_t expires_us(struct mail_cache_worker *worker, const struct mail_cache_login *login)
{
    uint64_t expires_s = 0;
    if (!mail_token_expiry(login->mechanism, login->secret, &expires_s)) {
        return 0;
    }
    uint64_t wall_us = loop_wall_us(worker->upstream->loop);
    uint64_t now_us = mail_cache_now(worker);
    uint64_t left_us = expires_s > wall_us / 1000000 ? expires_s * 1000000 - wall_us : 0;
    return now_us + left_us;
}

static void set_limits(struct mail_cache_entry *entry, const struct conf_mail_cache *conf)
{
    entry->per_user = conf->per_user;
    entry->per_pool = conf->per_pool;
    entry->keeps_mailbox = conf->keep_selected != 0;
}

bool mail_cache_entry_renew(struct mail_cache_entry *entry)
{
    const struct mail_cache_worker *worker = entry->worker;
    if (worker->settings == NULL) {
        return true;
    }
    const struct conf_mail_cache *conf =
        worker->settings(worker->settings_arg, entry->listener, &entry->client);
    if (conf != NULL) {
        set_limits(entry, conf);
        mail_cache_index_limit(entry, conf->idle_ttl_ms, conf->max_age_ms);
    }
    return conf != NULL;
}

struct mail_cache_entry *mail_cache_entry_new(struct mail_cache_worker *worker,
                                              const struct mail_cache_login *login)
{
    struct mail_cache_entry *entry = mem_zero(1, sizeof(*entry));
    assert(login->mechanism != MAIL_EXTERNAL); /* nothing to compare */
    entry->cache = worker->cache;
    entry->pool = mail_cache_index_pool(worker->cache, login->pool->id);
    entry->listener = slice_of(mem_slicedup(login->group), login->group.len);
    entry->client = login->client != NULL ? *login->client : (struct addr_small){.port = 0};
    entry->idle_ttl_ms = login->conf->idle_ttl_ms;
    entry->max_age_ms = login->conf->max_age_ms;
    set_limits(entry, login->conf);
    entry->announces = login->conf->announce_reuse != 0;
    entry->expires_us = expires_us(worker, login);
    entry->worker = worker;
    mail_cache_key_make(worker->cache->secret, login, &entry->key);
    mail_cache_index_add(entry);
    return entry;
}

void mail_cache_entry_drop(struct mail_cache_entry *entry)
{
    mail_cache_index_remove(entry);
    mail_users_leave(entry->cache->users, &entry->seat, now_ms());
    if (entry->server != NULL) {
        server_unref(entry->server);
    }
    mem_wipe(&entry->key, sizeof(entry->key));
    free((char *)(uintptr_t)entry->capabilities.ptr);
    free((char *)(uintptr_t)entry->listener.ptr);
    free(entry);
}

void mail_cache_entry_free(struct mail_cache_entry *entry)
{
    if (entry != NULL) {
        mail_cache_entry_drop(entry);
    }
}

/* -- claims -- */

struct mail_cache_claim *mail_cache_claim_new(struct mail_cache *cache,
                                              struct mail_cache_entry *entry)
{
    struct mail_cache_claim *claim = mem_zero(1, sizeof(*claim));
    claim->entry = entry;
    (void)pthread_mutex_lock(&cache->lock);
    list_push_back(&cache->claims, &claim->link);
    (void)pthread_mutex_unlock(&cache->lock);
    return claim;
}

void mail_cache_claim_free(struct mail_cache *cache, struct mail_cache_claim *claim)
{
    (void)pthread_mutex_lock(&cache->lock);
    list_remove(&claim->link);
    (void)pthread_mutex_unlock(&cache->lock);
    free(claim);
}

/* -- taking -- */

/* From here on the login has what the entry had. */
static void hand_over(struct mail_cache_worker *worker, struct mail_cache_entry *entry,
                      const struct mail_cache_wish *wish, struct mail_cache_hit *hit)
{
    static const struct slice announcement = SLICE_INIT("* OK [XPROXYREUSE] Reused\r\n");
    struct mail_cache_stats *stats = &worker->stats;
    struct mail_cache_entry *into = wish->into;
    bool has_mailbox = entry->has_mailbox;
    uint64_t took_us = mail_cache_now(worker) - wish->asked_us;
    into->capabilities = entry->capabilities;
    into->logged_in_us = entry->logged_in_us;
    into->cost_us = entry->cost_us;
    entry->capabilities = SLICE_NONE;
    counter_add(&stats->hits, 1);
    counter_add(&stats->saved_us, into->cost_us > took_us ? into->cost_us - took_us : 0);
    histogram_note_us(&stats->hit, took_us);
    *hit = (struct mail_cache_hit){
        .conn = mail_cache_park_release(entry),
        .capabilities = into->capabilities,
        .has_mailbox = has_mailbox,
        .untagged = into->announces ? announcement : SLICE_NONE,
    };
}

static struct mail_cache_claim *wait_for(struct mail_cache_worker *worker,
                                         struct mail_cache_entry *entry,
                                         const struct mail_cache_wish *wish)
{
    struct mail_cache_claim *claim = mail_cache_claim_new(worker->cache, entry);
    claim->worker = worker;
    claim->wish = *wish;
    wish->waiter->claim = claim;
    return claim;
}

/* A claimed one that is here. MISS: it was none. */
static enum mail_cache_answer try_here(struct mail_cache_worker *worker,
                                       struct mail_cache_entry *entry,
                                       const struct mail_cache_wish *wish,
                                       struct mail_cache_hit *hit)
{
    if (mail_cache_index_is_forgotten(entry)) {
        mail_cache_park_destroy(entry, MAIL_CACHE_END_FORGOTTEN);
        return MAIL_CACHE_MISS;
    }
    switch (mail_cache_park_look(entry)) {
    case MAIL_CACHE_LOOK_READY:
        hand_over(worker, entry, wish, hit);
        return MAIL_CACHE_HIT;
    case MAIL_CACHE_LOOK_ASK:
        mail_cache_park_ask(entry, wait_for(worker, entry, wish));
        return MAIL_CACHE_PENDING;
    case MAIL_CACHE_LOOK_DEAD:
        mail_cache_park_destroy(entry, MAIL_CACHE_END_BYE);
        return MAIL_CACHE_MISS;
    }
    return MAIL_CACHE_MISS;
}

static enum mail_cache_answer look_for(struct mail_cache_worker *worker,
                                       const struct mail_cache_wish *wish, bool was_dead,
                                       struct mail_cache_hit *hit)
{
    struct mail_cache_entry *entry = NULL;
    enum mail_cache_miss miss = MAIL_CACHE_MISS_NONE;
    while (!worker->has_ended &&
           (entry = mail_cache_index_claim(worker, wish->into, wish->server, &miss)) != NULL) {
        enum mail_cache_answer answer = MAIL_CACHE_PENDING;
        if (entry->worker == worker) {
            answer = try_here(worker, entry, wish, hit);
        } else {
            mail_cache_park_fetch(wait_for(worker, entry, wish));
        }
        if (answer != MAIL_CACHE_MISS) {
            return answer;
        }
        was_dead = true;
    }
    miss = was_dead && miss == MAIL_CACHE_MISS_NONE ? MAIL_CACHE_MISS_DEAD : miss;
    counter_add(&worker->stats.misses[miss], 1);
    return MAIL_CACHE_MISS;
}

enum mail_cache_answer mail_cache_take(struct mail_cache_worker *worker,
                                       struct mail_cache_entry *entry, const struct server *server,
                                       struct mail_cache_waiter *waiter, struct mail_cache_hit *hit)
{
    const struct mail_cache_wish wish = {
        .waiter = waiter, .into = entry, .server = server, .asked_us = mail_cache_now(worker)};
    waiter->claim = NULL;
    return look_for(worker, &wish, false, hit);
}

void mail_cache_cancel(struct mail_cache_waiter *waiter)
{
    struct mail_cache_claim *claim = waiter->claim;
    if (claim != NULL) {
        claim->wish.waiter = NULL;
        claim->wish.into = NULL;
        waiter->claim = NULL;
    }
}

/* The waiter hears of it, unless it has to wait on. */
static void tell(const struct mail_cache_wish *wish, enum mail_cache_answer answer,
                 const struct mail_cache_hit *hit)
{
    if (answer != MAIL_CACHE_PENDING) {
        wish->waiter->fn(wish->waiter, answer == MAIL_CACHE_HIT ? hit : NULL);
    }
}

/* What was claimed is dead, and perhaps there is another one. */
static void go_on(struct mail_cache_worker *worker, const struct mail_cache_wish *wish)
{
    struct mail_cache_hit hit;
    if (wish->waiter != NULL) {
        tell(wish, look_for(worker, wish, true, &hit), &hit);
    }
}

/* The claim is over. */
static struct mail_cache_wish end_claim(struct mail_cache_claim *claim)
{
    struct mail_cache_wish wish = claim->wish;
    if (wish.waiter != NULL) {
        wish.waiter->claim = NULL;
    }
    mail_cache_claim_free(claim->worker->cache, claim);
    return wish;
}

void mail_cache_claim_done(struct mail_cache_claim *claim, bool is_alive)
{
    struct mail_cache_worker *worker = claim->worker;
    struct mail_cache_entry *entry = claim->entry;
    const struct mail_cache_wish wish = end_claim(claim);
    struct mail_cache_hit hit;
    if (!is_alive) {
        go_on(worker, &wish);
    } else if (wish.waiter == NULL) {
        mail_cache_park_put_back(entry);
    } else if (mail_cache_index_is_forgotten(entry)) {
        mail_cache_park_destroy(entry, MAIL_CACHE_END_FORGOTTEN);
        go_on(worker, &wish);
    } else {
        hand_over(worker, entry, &wish, &hit);
        tell(&wish, MAIL_CACHE_HIT, &hit);
    }
}

void mail_cache_claim_arrived(struct mail_cache_claim *claim)
{
    struct mail_cache_worker *worker = claim->worker;
    struct mail_cache_entry *entry = claim->entry;
    struct mail_cache_hit hit;
    upstream_conn_drop_parcel(&claim->parcel); /* empty, unless this worker has ended */
    const struct mail_cache_wish wish = end_claim(claim);
    if (entry->state == MAIL_CACHE_DEAD || entry->state == MAIL_CACHE_MOVES) {
        mail_cache_entry_drop(entry);
        go_on(worker, &wish);
        return;
    }
    if (wish.waiter == NULL) {
        mail_cache_park_put_back(entry);
        return;
    }
    counter_add(&worker->stats.moved, 1);
    enum mail_cache_answer answer = try_here(worker, entry, &wish, &hit);
    if (answer == MAIL_CACHE_MISS) {
        go_on(worker, &wish);
    } else {
        tell(&wish, answer, &hit);
    }
}

/* -- sessions -- */

void mail_cache_logged_in(struct mail_cache_worker *worker, struct mail_cache_entry *entry,
                          struct slice capabilities, uint64_t connect_us, uint64_t login_us)
{
    free((char *)(uintptr_t)entry->capabilities.ptr);
    entry->capabilities = slice_of(mem_slicedup(capabilities), capabilities.len);
    entry->logged_in_us = mail_cache_now(worker);
    entry->cost_us = connect_us + login_us;
    histogram_note_us(&worker->stats.connect, connect_us);
    histogram_note_us(&worker->stats.login, login_us);
    (void)mail_cache_index_forget_others(entry);
}

void mail_cache_note(struct mail_cache_worker *worker, struct mail_cache_entry *entry,
                     struct imap_track *track)
{
    unsigned news = imap_track_news(track);
    uint64_t now_us = mail_cache_now(worker);
    if ((news & IMAP_TRACK_SELECT_DONE) != 0 && entry->select_us != 0) {
        histogram_note_us(&worker->stats.select, now_us - entry->select_us);
        entry->select_us = 0;
    }
    if ((news & IMAP_TRACK_SELECT_SENT) != 0) {
        entry->select_us = now_us;
    }
}

/* COUNT: it may. */
static enum mail_cache_end why_not(const struct mail_cache_worker *worker,
                                   const struct mail_cache_entry *entry,
                                   const struct upstream_conn *conn, const struct imap_track *track)
{
    static const enum mail_cache_end ends[] = {
        [IMAP_TRACK_CLEAN] = MAIL_CACHE_END_COUNT,
        [IMAP_TRACK_OUTSTANDING] = MAIL_CACHE_END_OUTSTANDING,
        [IMAP_TRACK_STICKY] = MAIL_CACHE_END_STICKY,
        [IMAP_TRACK_OPAQUE] = MAIL_CACHE_END_OPAQUE,
        [IMAP_TRACK_BYE] = MAIL_CACHE_END_BYE,
    };
    const uint32_t over = CONN_EOF | CONN_BROKEN | CONN_WRITE_BROKEN | CONN_SHUT |
                          CONN_SHUT_WANTED | CONN_PEER_CLOSED;
    enum mail_cache_end end = ends[imap_track_doubt(track)];
    if (end != MAIL_CACHE_END_COUNT) {
        return end;
    }
    if ((conn->conn.flags & over) != 0) {
        return MAIL_CACHE_END_BYE;
    }
    if (!flow_is_empty(&conn->conn.in) || conn_is_blocked(&conn->conn)) {
        return MAIL_CACHE_END_OUTSTANDING;
    }
    if (imap_track_has_mailbox(track) && !imap_track_can_unselect(track)) {
        return MAIL_CACHE_END_MAILBOX;
    }
    if (worker->has_ended || !server_is_ready(conn->server)) {
        return MAIL_CACHE_END_SERVER;
    }
    return entry->logged_in_us == 0 || mail_cache_now(worker) >= mail_cache_old_at(entry)
               ? MAIL_CACHE_END_AGE
               : MAIL_CACHE_END_COUNT;
}

bool mail_cache_offer(struct mail_cache_worker *worker, struct mail_cache_entry *entry,
                      struct upstream_conn *conn, const struct imap_track *track,
                      const struct mail_seat *seat)
{
    bool may_be_kept = mail_cache_entry_renew(entry);
    enum mail_cache_end end = why_not(worker, entry, conn, track);
    counter_add(&worker->stats.offered, 1);
    if (end == MAIL_CACHE_END_COUNT &&
        (!may_be_kept || mail_cache_index_is_forgotten(entry) ||
         !mail_users_park(worker->cache->users, seat, &entry->seat))) {
        end = MAIL_CACHE_END_FORGOTTEN;
    }
    if (end != MAIL_CACHE_END_COUNT) {
        mail_cache_count_end(worker, end);
        return false;
    }
    entry->conn = conn;
    mail_cache_index_own(entry, worker, server_ref(conn->server));
    entry->has_mailbox = imap_track_has_mailbox(track) && entry->keeps_mailbox;
    mail_cache_park_begin(entry, imap_track_has_mailbox(track) && !entry->keeps_mailbox);
    return true;
}

/* -- numbers -- */

const char *mail_cache_miss_word(enum mail_cache_miss miss)
{
    static const char *const words[MAIL_CACHE_MISS_COUNT] = {
        [MAIL_CACHE_MISS_NONE] = "none", [MAIL_CACHE_MISS_SECRET] = "secret",
        [MAIL_CACHE_MISS_AGE] = "age",   [MAIL_CACHE_MISS_SERVER] = "server",
        [MAIL_CACHE_MISS_DEAD] = "dead",
    };
    return words[miss];
}

const char *mail_cache_end_word(enum mail_cache_end end)
{
    static const char *const words[MAIL_CACHE_END_COUNT] = {
        [MAIL_CACHE_END_OUTSTANDING] = "outstanding",
        [MAIL_CACHE_END_STICKY] = "sticky",
        [MAIL_CACHE_END_OPAQUE] = "opaque",
        [MAIL_CACHE_END_BYE] = "bye",
        [MAIL_CACHE_END_MAILBOX] = "mailbox",
        [MAIL_CACHE_END_BARRIER] = "barrier",
        [MAIL_CACHE_END_SPOKE] = "spoke",
        [MAIL_CACHE_END_IDLE] = "idle",
        [MAIL_CACHE_END_AGE] = "age",
        [MAIL_CACHE_END_LIMIT] = "limit",
        [MAIL_CACHE_END_SERVER] = "server",
        [MAIL_CACHE_END_FORGOTTEN] = "forgotten",
    };
    return words[end];
}

void mail_cache_stats(struct mail_cache *cache, struct mail_cache_stats *out)
{
    static_assert(sizeof(*out) % sizeof(uint64_t) == 0, "nothing but slots");
    memset(out, 0, sizeof(*out));
    for (uint32_t i = 0; i < cache->worker_count; i++) {
        const uint64_t *from = (const uint64_t *)&cache->workers[i]->stats;
        uint64_t *to = (uint64_t *)out;
        for (size_t slot = 0; slot < sizeof(*out) / sizeof(uint64_t); slot++) {
            to[slot] += counter_get(&from[slot]);
        }
    }
    (void)pthread_mutex_lock(&cache->lock);
    for (const struct mail_cache_pool *pool = cache->pools; pool != NULL; pool = pool->next) {
        out->parked_now += atomic_load_explicit(&pool->parked, memory_order_relaxed);
    }
    (void)pthread_mutex_unlock(&cache->lock);
}
