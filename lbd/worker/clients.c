#include "lbd/worker/clients.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/base/num.h"
#include "lbd/proxy/front.h"
#include "lbd/proxy/mail_users.h"
#include "lbd/proxy/sweep.h"
#include "lbd/tls/tls_conn.h"
#include "lbd/worker/worker_inside.h"

struct question;

/* What one worker is asked, and what it says. */
struct part {
    struct mailbox_message message; /* to the worker, then back */
    struct sweep sweep;
    struct question *question;
    struct worker *worker;
    struct clients_item *items; /* room for query.limit */
    uint32_t count;
    uint64_t total;
    uint64_t ended;
};

struct question {
    struct clients_query query;
    char pool[CLIENTS_NAME_MAX];
    char server_name[CLIENTS_NAME_MAX];
    char user[CLIENTS_USER_MAX];
    struct addr_small address;
    uint32_t waiting; /* control's */
    uint32_t part_count;
    void (*done)(const struct clients_answer *answer, void *arg);
    void *arg;
    struct part parts[];
};

static void copy_text(char *out, size_t capacity, struct slice name)
{
    size_t len = name.len < capacity ? name.len : capacity - 1;
    if (len != 0) {
        memcpy(out, name.ptr, len);
    }
    out[len] = '\0';
}

static void copy_name(char out[CLIENTS_NAME_MAX], struct slice name)
{
    copy_text(out, CLIENTS_NAME_MAX, name);
}

/* -- on the workers -- */

static bool session_fits(const struct clients_query *query, const struct session *session)
{
    return (query->id == 0 || query->id == session->id) &&
           (query->listener == NULL || query->listener == session->front->listener);
}

static bool address_fits(const struct clients_query *query, const struct session *session,
                         const struct session_facts *facts)
{
    return query->address == NULL || addr_small_is_same_ip(query->address, &session->conn.peer) ||
           (facts->behind != NULL && addr_small_is_same_ip(query->address, facts->behind));
}

static bool request_fits(const struct clients_query *query, const struct session_facts *facts)
{
    bool is_meant =
        (!query->is_mail || facts->user.len != 0) &&
        (!query->is_kicked || (facts->seat != NULL && mail_users_is_kicked(facts->seat))) &&
        (query->user.len == 0 || slice_eq(query->user, facts->user));
    return is_meant && (query->server == NULL || query->server == facts->server) &&
           (query->pool.len == 0 || slice_eq(query->pool, facts->pool)) &&
           (query->server_name.len == 0 ||
            (facts->server != NULL &&
             slice_eq(query->server_name, slice_from(facts->server->name))));
}

static void describe(struct clients_item *item, const struct session *session,
                     const struct session_facts *facts)
{
    uint64_t now = loop_now_us(session->front->proxy->loop);
    item->id = session->id;
    item->address = facts->behind != NULL ? *facts->behind : session->conn.peer;
    if (facts->behind != NULL) {
        item->peer = session->conn.peer;
    }
    item->state = facts->state;
    item->protocol = facts->protocol;
    item->streams = facts->streams;
    /* one that lingers counts something else there */
    item->requests = facts->state == SESSION_IS_LINGER ? 0 : session->conn.count;
    item->age_us = now > session->opened_us ? now - session->opened_us : 0;
    struct tls_conn_facts tls;
    if (tls_conn_look(&session->conn, &tls)) {
        item->tls_version = tls.version.ptr;
        item->tls_cipher = tls.cipher.ptr;
        copy_text(item->sni, sizeof(item->sni), tls.sni);
        copy_text(item->certificate, sizeof(item->certificate), tls.subject);
    }
    copy_name(item->listener, slice_from(session->front->listener->name));
    copy_text(item->user, sizeof(item->user), facts->user);
    copy_name(item->pool, facts->pool);
    copy_name(item->server, facts->server != NULL ? slice_from(facts->server->name) : SLICE_NONE);
}

static bool on_visit(struct sweep *sweep, struct session *session)
{
    struct part *part = container_of(sweep, struct part, sweep);
    const struct clients_query *query = &part->question->query;
    struct session_facts facts;
    if (!session_fits(query, session)) {
        return true;
    }
    session_look(session, &facts);
    if (!address_fits(query, session, &facts)) {
        return true;
    }
    while (!request_fits(query, &facts)) {
        if (!session_look_on(&facts)) {
            return true;
        }
    }
    part->total++;
    if (part->count < query->limit) {
        describe(&part->items[part->count++], session, &facts);
    }
    if (query->is_end && query->server != NULL) {
        part->ended += session_leave_server(session, query->server, query->reason);
    } else if (query->is_end && facts.state != SESSION_IS_LINGER) {
        session_abort(session, query->reason, true);
        part->ended++;
    }
    return query->id == 0; /* there is but one of that */
}

static void on_answer(struct mailbox_message *message, void *receiver);

static void on_swept(struct sweep *sweep)
{
    struct part *part = container_of(sweep, struct part, sweep);
    part->message.deliver = on_answer;
    mailbox_post(part->worker->workers->options.control, &part->message);
}

static void ask_at_worker(struct mailbox_message *message, void *receiver)
{
    struct part *part = container_of(message, struct part, message);
    struct worker *worker = receiver;
    part->sweep.visit = on_visit;
    part->sweep.done = on_swept;
    sweep_start(&part->sweep, &worker->proxy);
}

/* -- on control -- */

/* One of each worker in turn. */
static void collect(const struct question *question, struct clients_answer *answer)
{
    bool found = true;
    answer->items = mem_alloc((question->query.limit + 1) * sizeof(const struct clients_item *));
    for (uint32_t turn = 0; found && answer->count < question->query.limit; turn++) {
        found = false;
        for (uint32_t i = 0; i < question->part_count; i++) {
            const struct part *part = &question->parts[i];
            if (turn < part->count && answer->count < question->query.limit) {
                answer->items[answer->count++] = &part->items[turn];
                found = true;
            }
        }
    }
}

static void on_answer(struct mailbox_message *message, void *receiver)
{
    struct question *question = container_of(message, struct part, message)->question;
    struct clients_answer answer = {0};
    (void)receiver;
    if (--question->waiting > 0) {
        return;
    }
    for (uint32_t i = 0; i < question->part_count; i++) {
        answer.total += question->parts[i].total;
        answer.ended += question->parts[i].ended;
    }
    collect(question, &answer);
    question->done(&answer, question->arg);
    free(answer.items);
    for (uint32_t i = 0; i < question->part_count; i++) {
        free(question->parts[i].items);
    }
    listener_unref(question->query.listener);
    server_unref(question->query.server);
    free(question);
}

void clients_ask(struct workers *workers, const struct clients_query *query,
                 void (*done)(const struct clients_answer *answer, void *arg), void *arg)
{
    struct question *question =
        mem_zero(1, sizeof(*question) + workers->count * sizeof(struct part));
    question->query = *query;
    copy_name(question->pool, query->pool);
    question->query.pool = slice_from(question->pool);
    copy_name(question->server_name, query->server_name);
    question->query.server_name = slice_from(question->server_name);
    copy_text(question->user, sizeof(question->user), query->user);
    question->query.user = slice_from(question->user);
    if (query->address != NULL) {
        question->address = *query->address;
        question->query.address = &question->address;
    }
    if (query->listener != NULL) {
        (void)listener_ref(query->listener);
    }
    if (query->server != NULL) {
        (void)server_ref(query->server);
    }
    question->done = done;
    question->arg = arg;
    question->part_count = workers->count;
    question->waiting = workers->count;
    for (uint32_t i = 0; i < workers->count; i++) {
        struct part *part = &question->parts[i];
        part->question = question;
        part->worker = &workers->list[i];
        part->items = query->limit != 0 ? mem_zero(query->limit, sizeof(*part->items)) : NULL;
        part->message.deliver = ask_at_worker;
    }
    for (uint32_t i = 0; i < workers->count; i++) {
        mailbox_post(&workers->list[i].mailbox, &question->parts[i].message);
    }
}

void clients_write_id(uint64_t id, char out[CLIENTS_ID_MAX])
{
    (void)snprintf(out, CLIENTS_ID_MAX, "%" PRIu64 "-%" PRIx64, (id >> SESSION_NUMBER_BITS) - 1,
                   id & SESSION_NUMBER_MASK);
}

bool clients_read_id(struct slice text, uint64_t *id)
{
    char again[CLIENTS_ID_MAX];
    uint64_t worker = 0;
    uint64_t number = 0;
    size_t dash = slice_find(text, '-');
    if (dash == SIZE_MAX || !num_parse_u64(slice_of(text.ptr, dash), &worker) ||
        !num_parse_hex(slice_from_at(text, dash + 1), &number) || worker >= SNAPSHOT_WORKERS_MAX ||
        number == 0 || number > SESSION_NUMBER_MASK) {
        return false;
    }
    *id = (worker + 1) << SESSION_NUMBER_BITS | number;
    clients_write_id(*id, again); /* one way to write it */
    return slice_eq(slice_from(again), text);
}
