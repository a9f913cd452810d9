/*
 * mail_cache_park - the connections of the cache while no session has them: their events, their
 * deadlines, their way to another worker. See mail_cache_inside.h.
 *
 *     begin --> CHECKS_IN --two OKs--> PARKED <--> ASKED
 *                                        |  claimed
 *                                        |--------> CHECKS_OUT --OK--> mail_cache_claim_done
 *                                        '--by another worker--> MOVES --message--> PARKED there
 *
 * Threads: the worker that has the connection.
 */
#include <stdlib.h>

#include "lbd/base/mem.h"
#include "lbd/proxy/mail_cache_inside.h"

#define BARRIER_MS     5000U /* for UNSELECT and NOOP */
#define ALIVE_MS       2000U /* for a NOOP that a login waits for */
#define ALIVE_AFTER_US 5000000U
#define KEEPALIVE_MS   600000U /* servers may log out after half an hour (RFC 9051 5.4) */
#define PARTING_MS     3000U   /* for an answer to LOGOUT; logins wait for it */
#define READS_PER_TURN 8

static const struct conn_ops park_ops;

static struct mail_cache_entry *entry_of(const struct conn *conn)
{
    return conn->user;
}

static bool is_parked(const struct mail_cache_entry *entry)
{
    return entry->state == MAIL_CACHE_PARKED || entry->state == MAIL_CACHE_ASKED;
}

/* -- ends -- */

/* A connection that is closing, and the seat that it still has. */
struct parting {
    struct upstream_conn_parting told; /* first */
    struct mail_cache_worker *worker;
    struct mail_seat seat;
};

static void on_parted(struct upstream_conn_parting *told)
{
    struct parting *parting = (struct parting *)told;
    struct mail_cache_worker *worker = parting->worker;
    mail_users_leave(worker->cache->users, &parting->seat, mail_cache_now(worker) / 1000);
    free(parting);
}

/* Its seat goes with it. */
static void part(struct mail_cache_entry *entry, struct upstream_conn *conn)
{
    struct parting *parting = mem_zero(1, sizeof(*parting));
    parting->told.fn = on_parted;
    parting->worker = entry->worker;
    parting->seat = entry->seat;
    entry->seat.user = NULL;
    upstream_conn_part(entry->worker->upstream, conn, PARTING_MS, &parting->told);
}

/* The connection goes; where the server still listens, it is told why. */
static void close_conn(struct mail_cache_entry *entry, enum mail_cache_end end)
{
    struct upstream_worker *upstream = entry->worker->upstream;
    struct upstream_conn *conn = entry->conn;
    entry->conn = NULL;
    list_remove(&entry->of_worker);
    mail_cache_count_end(entry->worker, end);
    conn->conn.user = NULL;
    if (end >= MAIL_CACHE_END_IDLE && imap_park_is_quiet(&entry->park)) {
        struct iovec piece = {.iov_base = (char[]){"lbd LOGOUT\r\n"}, .iov_len = 12};
        if (conn_write(&conn->conn, &piece, 1)) {
            part(entry, conn);
            return;
        }
    }
    upstream_conn_end(upstream, conn);
    mail_users_leave(entry->cache->users, &entry->seat, mail_cache_now(entry->worker) / 1000);
}

void mail_cache_park_destroy(struct mail_cache_entry *entry, enum mail_cache_end end)
{
    close_conn(entry, end);
    mail_cache_entry_drop(entry);
}

void mail_cache_park_end(struct mail_cache_entry *entry, enum mail_cache_end end)
{
    struct mail_cache_claim *claim = entry->claim;
    if (is_parked(entry) && !mail_cache_index_claim_this(entry)) {
        close_conn(entry, end); /* the message of who claimed it is under way */
        entry->state = MAIL_CACHE_DEAD;
        return;
    }
    entry->claim = NULL;
    mail_cache_park_destroy(entry, end);
    if (claim != NULL) {
        claim->entry = NULL;
        mail_cache_claim_done(claim, false);
    }
}

struct upstream_conn *mail_cache_park_release(struct mail_cache_entry *entry)
{
    struct upstream_conn *conn = entry->conn;
    entry->conn = NULL;
    list_remove(&entry->of_worker);
    conn->conn.user = NULL;
    conn_no_deadline(&conn->conn);
    mail_cache_entry_drop(entry);
    return conn;
}

/* -- what is said -- */

/* False: it cannot be said. */
static bool say(struct mail_cache_entry *entry, struct slice text, uint32_t answer_ms)
{
    struct iovec piece = {.iov_base = (char *)(uintptr_t)text.ptr, .iov_len = text.len};
    conn_deadline(&entry->conn->conn, answer_ms);
    return conn_write(&entry->conn->conn, &piece, 1);
}

static bool ask(struct mail_cache_entry *entry, enum mail_cache_state state, uint32_t answer_ms)
{
    char out[IMAP_PARK_OUT_MAX];
    entry->state = state;
    return say(entry, imap_park_ask(&entry->park, out), answer_ms);
}

/* -- parked -- */

/* Until it is too old, or nobody came, or the server wants to hear something. */
static void wait_parked(struct mail_cache_entry *entry)
{
    uint64_t now_us = mail_cache_now(entry->worker);
    uint64_t until_us = mail_cache_idle_at(entry);
    uint64_t old_us = mail_cache_old_at(entry);
    uint64_t keepalive_us = now_us + KEEPALIVE_MS * UINT64_C(1000);
    until_us = old_us < until_us ? old_us : until_us;
    until_us = keepalive_us < until_us ? keepalive_us : until_us;
    if (entry->park.is_asked) {
        entry->state = MAIL_CACHE_ASKED;
        conn_deadline(&entry->conn->conn, BARRIER_MS);
        return;
    }
    entry->state = MAIL_CACHE_PARKED;
    conn_deadline(&entry->conn->conn, until_us > now_us ? (until_us - now_us) / 1000 + 1 : 1);
}

void mail_cache_park_look_at_limits(struct mail_cache_entry *entry)
{
    if (entry->state == MAIL_CACHE_PARKED) {
        wait_parked(entry);
    }
}

static void evict(struct mail_cache_entry *entry)
{
    if (entry != NULL) {
        mail_cache_park_send_away(entry, MAIL_CACHE_END_LIMIT);
    }
}

/* It is clean, and may be somebody's. */
static void park(struct mail_cache_entry *entry)
{
    struct mail_cache_entry *evicted = NULL;
    enum mail_cache_end end = MAIL_CACHE_END_SERVER;
    uint64_t now_us = mail_cache_now(entry->worker);
    bool ok = server_is_ready(entry->server);
    if (ok && !mail_cache_entry_renew(entry)) { /* or it comes from a worker with older ones */
        end = MAIL_CACHE_END_FORGOTTEN;
        ok = false;
    } else if (ok && now_us >= mail_cache_old_at(entry)) {
        end = MAIL_CACHE_END_AGE;
        ok = false;
    }
    list_remove(&entry->of_worker);
    list_push_back(&entry->worker->entries, &entry->of_worker);
    entry->state = MAIL_CACHE_PARKED; /* before somebody can claim it */
    if (!ok || !mail_cache_index_park(entry, now_us, &evicted, &end)) {
        mail_cache_park_destroy(entry, end);
        return;
    }
    counter_add(&entry->worker->stats.parked, 1);
    wait_parked(entry);
    evict(evicted);
}

void mail_cache_park_put_back(struct mail_cache_entry *entry)
{
    park(entry);
}

/* -- events -- */

/* What a read had to say. False: the entry is gone. */
static bool on_event(struct mail_cache_entry *entry, enum imap_park_event event)
{
    struct mail_cache_claim *claim = entry->claim;
    switch (event) {
    case IMAP_PARK_MORE:
        return true;
    case IMAP_PARK_BROKEN:
        mail_cache_park_end(entry, entry->state == MAIL_CACHE_CHECKS_IN ? MAIL_CACHE_END_BARRIER
                                                                        : MAIL_CACHE_END_SPOKE);
        return false;
    case IMAP_PARK_READY:
        break;
    }
    switch (entry->state) {
    case MAIL_CACHE_CHECKS_IN:
        park(entry);
        return false; /* or as good as */
    case MAIL_CACHE_ASKED:
        wait_parked(entry);
        return true;
    case MAIL_CACHE_CHECKS_OUT:
        entry->claim = NULL;
        mail_cache_claim_done(claim, true);
        return false;
    default:
        return true;
    }
}

/* Reads what there is; the first event that is one, MORE when nothing comes, BROKEN at the end. */
static enum imap_park_event read_some(struct mail_cache_entry *entry)
{
    struct conn *conn = &entry->conn->conn;
    char *to = conn_net(conn)->scratch;
    for (int i = 0; i < READS_PER_TURN; i++) {
        size_t got = 0;
        enum imap_park_event event;
        switch (conn_read(conn, to, FLOW_SCRATCH_BYTES, &got)) {
        case CONN_READ_BYTES:
            event = imap_park_feed(&entry->park, to, got);
            if (event != IMAP_PARK_MORE) {
                return event;
            }
            conn_look_again(conn);
            break;
        case CONN_READ_NOTHING:
            return IMAP_PARK_MORE;
        case CONN_READ_END:
        case CONN_READ_FAILED:
            return IMAP_PARK_BROKEN;
        }
    }
    conn_again(conn);
    return IMAP_PARK_MORE;
}

static void on_readable(struct conn *conn)
{
    struct mail_cache_entry *entry = entry_of(conn);
    if (on_event(entry, read_some(entry)) && (conn->flags & CONN_READ_READY) != 0) {
        conn_again(conn); /* an edge that was used up: what is left comes with the next turn */
    }
}

static void on_room(struct conn *conn)
{
    (void)conn;
}

static void on_timeout(struct conn *conn)
{
    struct mail_cache_entry *entry = entry_of(conn);
    uint64_t now_us = mail_cache_now(entry->worker);
    if (entry->state != MAIL_CACHE_PARKED) {
        mail_cache_park_end(entry, entry->state == MAIL_CACHE_CHECKS_IN ? MAIL_CACHE_END_BARRIER
                                                                        : MAIL_CACHE_END_BYE);
    } else if (now_us >= mail_cache_old_at(entry)) {
        mail_cache_park_end(entry, MAIL_CACHE_END_AGE);
    } else if (now_us >= mail_cache_idle_at(entry)) {
        mail_cache_park_end(entry, MAIL_CACHE_END_IDLE);
    } else if (!ask(entry, MAIL_CACHE_ASKED, BARRIER_MS)) {
        mail_cache_park_end(entry, MAIL_CACHE_END_BYE);
    }
}

static const struct conn_ops park_ops = {
    .on_readable = on_readable,
    .on_room = on_room,
    .on_timeout = on_timeout,
};

/* -- in -- */

void mail_cache_park_begin(struct mail_cache_entry *entry, bool unselect)
{
    char out[IMAP_PARK_OUT_MAX];
    struct conn *conn = &entry->conn->conn;
    conn->ops = &park_ops;
    conn->user = entry;
    list_push_back(&entry->worker->entries, &entry->of_worker);
    entry->state = MAIL_CACHE_CHECKS_IN;
    imap_park_init(&entry->park, random_u64(&entry->worker->upstream->random) >> 1U);
    if (!say(entry, imap_park_check_in(&entry->park, unselect, out), BARRIER_MS)) {
        mail_cache_park_destroy(entry, MAIL_CACHE_END_BYE);
    }
}

/* -- out -- */

enum mail_cache_look mail_cache_park_look(struct mail_cache_entry *entry)
{
    struct conn *conn = &entry->conn->conn;
    bool was_asked = entry->state == MAIL_CACHE_ASKED;
    conn_look_again(conn);
    enum imap_park_event event = read_some(entry);
    if (event == IMAP_PARK_BROKEN || conn_is_blocked(conn)) {
        return MAIL_CACHE_LOOK_DEAD;
    }
    uint64_t parked_us = mail_cache_now(entry->worker) - entry->parked_us;
    bool is_fresh = event == IMAP_PARK_READY || (!was_asked && parked_us < ALIVE_AFTER_US);
    if (event == IMAP_PARK_READY) {
        entry->state = MAIL_CACHE_PARKED;
    }
    return is_fresh && imap_park_is_quiet(&entry->park) ? MAIL_CACHE_LOOK_READY
                                                        : MAIL_CACHE_LOOK_ASK;
}

void mail_cache_park_ask(struct mail_cache_entry *entry, struct mail_cache_claim *claim)
{
    entry->claim = claim;
    if (entry->state == MAIL_CACHE_ASKED) { /* already, so that the server keeps it */
        entry->state = MAIL_CACHE_CHECKS_OUT;
        conn_deadline(&entry->conn->conn, ALIVE_MS);
    } else if (!ask(entry, MAIL_CACHE_CHECKS_OUT, ALIVE_MS)) {
        /* told from the loop, as any other answer */
        conn_deadline(&entry->conn->conn, 1);
    }
}

/* -- to another worker -- */

static void arrived(struct mailbox_message *message, void *receiver)
{
    struct mail_cache_claim *claim = container_of(message, struct mail_cache_claim, message);
    struct mail_cache_entry *entry = claim->entry;
    struct mail_cache_worker *worker = claim->worker;
    (void)receiver;
    if (claim->has_moved && !worker->has_ended) {
        struct server *server = entry->server;
        entry->conn = upstream_conn_unpack(worker->upstream, &claim->parcel, &park_ops);
        mail_cache_index_own(entry, worker, server);
        entry->state = MAIL_CACHE_DEAD;
        if (entry->conn != NULL) {
            entry->conn->conn.user = entry;
            entry->state = entry->park.is_asked ? MAIL_CACHE_ASKED : MAIL_CACHE_PARKED;
            list_push_back(&worker->entries, &entry->of_worker);
            conn_deadline(&entry->conn->conn, ALIVE_MS);
        }
    }
    mail_cache_claim_arrived(claim);
}

/* On the worker that has the connection. */
static void claimed(struct mailbox_message *message, void *receiver)
{
    struct mail_cache_claim *claim = container_of(message, struct mail_cache_claim, message);
    struct mail_cache_entry *entry = claim->entry;
    struct mail_cache *cache = entry->cache;
    (void)receiver;
    if (claim->worker == NULL) {
        if (entry->state == MAIL_CACHE_DEAD) {
            mail_cache_entry_drop(entry);
        } else {
            mail_cache_park_destroy(entry, claim->end);
        }
        mail_cache_claim_free(cache, claim);
        return;
    }
    if (entry->state != MAIL_CACHE_DEAD && conn_is_blocked(&entry->conn->conn)) {
        close_conn(entry, MAIL_CACHE_END_BYE);
        entry->state = MAIL_CACHE_DEAD;
    }
    if (entry->state != MAIL_CACHE_DEAD) {
        list_remove(&entry->of_worker);
        upstream_conn_pack(entry->worker->upstream, entry->conn, &claim->parcel);
        entry->conn = NULL;
        entry->state = MAIL_CACHE_MOVES;
        claim->has_moved = true;
    }
    claim->message.deliver = arrived;
    mailbox_post(claim->worker->mailbox, &claim->message);
}

void mail_cache_park_fetch(struct mail_cache_claim *claim)
{
    claim->message.deliver = claimed;
    mailbox_post(claim->entry->worker->mailbox, &claim->message);
}

void mail_cache_park_send_away(struct mail_cache_entry *entry, enum mail_cache_end end)
{
    struct mail_cache_claim *claim = mail_cache_claim_new(entry->cache, entry);
    claim->end = end;
    mail_cache_park_fetch(claim);
}
