#include "api/api_mail_tables.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/api_clients.h"
#include "api/api_mail.h"
#include "api/api_problem.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"
#include "lbd/control/control_mail.h"

/* -- sessions -- */

static void write_session(struct json_write *w, const struct clients_item *item)
{
    char id[CLIENTS_ID_MAX];
    char client[ADDR_TEXT_MAX];
    clients_write_id(item->id, id);
    size_t len = addr_small_write(&item->address, client);
    json_write_object_begin(w);
    json_write_member_text(w, "id", id);
    json_write_member_text(w, "user", item->user);
    json_write_member_text(w, "protocol", session_protocol_word(item->protocol));
    json_write_member_text(w, "listener", item->listener);
    json_write_member_string(w, "client", slice_of(client, len));
    if (item->peer.family != 0) {
        len = addr_small_write(&item->peer, client);
        json_write_member_string(w, "peer", slice_of(client, len));
    }
    if (item->tls_version != NULL) {
        json_write_key(w, "tls");
        json_write_object_begin(w);
        json_write_member_text(w, "version", item->tls_version);
        json_write_member_text(w, "cipher", item->tls_cipher);
        json_write_object_end(w);
    }
    json_write_member_text(w, "state",
                           item->state == SESSION_IS_TUNNEL ? "logged_in" : "logging_in");
    json_write_member_text(w, "pool", item->pool);
    json_write_member_text(w, "server", item->server);
    json_write_member_u64(w, "age_ms", item->age_us / 1000);
    json_write_member_u64(w, "worker", (item->id >> SESSION_NUMBER_BITS) - 1);
    json_write_object_end(w);
}

static void on_listed(const struct clients_answer *answer, void *arg)
{
    api_clients_answer(arg, answer, "sessions", write_session);
}

void api_mail_sessions_list(struct api_request *request)
{
    struct api_clients_question question = {.query = {.is_mail = true}};
    struct mail_name name;
    struct mail_name made;
    if (!api_clients_read(request, &question)) {
        api_request_done(request);
        return;
    }
    if (question.query.user.ptr != NULL) {
        question.query.user = control_mail_mailbox(
            request->control, control_mail_name(request->control, question.query.user, &name),
            &made);
    }
    api_clients_ask(request, &question.query, on_listed);
}

void api_mail_sessions_delete(struct api_request *request)
{
    struct clients_query query = {.is_mail = true};
    api_clients_end(request, &query, "session");
}

/* -- bans -- */

static void write_ban(const struct mail_bans_row *row, void *arg)
{
    struct json_write *w = arg;
    char text[ADDR_TEXT_MAX];
    char id[24];
    (void)snprintf(id, sizeof(id), "%" PRIx64, row->id);
    json_write_object_begin(w);
    json_write_member_text(w, "id", id);
    if (row->kind != MAIL_BANS_USER) {
        size_t len = addr_small_write_ip(&row->address, text);
        json_write_member_string(w, "address", slice_of(text, len));
    }
    if (row->kind != MAIL_BANS_ADDRESS) {
        json_write_member_string(w, "user", row->user);
    }
    json_write_member_u64(w, "failures", row->failures);
    api_request_write_moment(w, "first", row->first_ms);
    api_request_write_moment(w, "until", row->until_ms);
    json_write_object_end(w);
}

void api_mail_bans_list(struct api_request *request)
{
    struct json_write w;
    uint64_t cursor = 0;
    if (api_mail_is_running(request)) {
        api_request_json_begin(request, &w);
        json_write_object_begin(&w);
        json_write_key(&w, "bans");
        json_write_array_begin(&w);
        do {
            mail_bans_walk(control_mail_bans(request->control), &cursor, true, now_ms(), write_ban,
                           &w);
        } while (cursor != 0);
        json_write_array_end(&w);
        json_write_object_end(&w);
        api_request_json_end(request, 200);
    }
    api_request_done(request);
}

void api_mail_bans_delete(struct api_request *request)
{
    uint64_t id = 0;
    if (!api_mail_is_running(request)) {
        api_request_done(request);
        return;
    }
    if (!num_parse_hex(request->names[0], &id) ||
        mail_bans_lift(control_mail_bans(request->control), id) == 0) {
        api_problem(request, "not-found", "there is no ban '%.*s'", SLICE_ARG(request->names[0]));
    } else {
        request->reply.has_changed = true;
        request->reply.is_changed = true;
        request->reply.status = 204;
    }
    api_request_done(request);
}

/* Those of an address, of a name, or (neither given) all. False: the reply says what is wrong. */
static bool lift(struct api_request *request, uint32_t *lifted)
{
    struct mail_bans *bans = control_mail_bans(request->control);
    struct slice text = api_request_query(request, "address");
    struct slice user = api_request_query(request, "user");
    struct addr addr;
    struct addr_small address;
    if (text.ptr != NULL && !addr_from_ip(text, 1, &addr)) {
        api_problem(request, "unknown-parameter", "'address' is an IP address");
        return false;
    }
    if (text.ptr != NULL) {
        addr_small_from(&address, &addr.u.any);
        *lifted += mail_bans_lift_address(bans, &address);
    }
    if (user.ptr != NULL) {
        *lifted += mail_bans_lift_user(bans, user);
    }
    if (text.ptr == NULL && user.ptr == NULL) {
        *lifted = mail_bans_lift_all(bans);
    }
    return true;
}

void api_mail_bans_clear(struct api_request *request)
{
    struct json_write w;
    uint32_t lifted = 0;
    if (api_mail_is_running(request) && lift(request, &lifted)) {
        request->reply.has_changed = true;
        request->reply.is_changed = lifted != 0;
        api_request_json_begin(request, &w);
        json_write_object_begin(&w);
        json_write_member_u64(&w, "lifted", lifted);
        json_write_object_end(&w);
        api_request_json_end(request, 200);
    }
    api_request_done(request);
}

/* -- the cache -- */

void api_mail_cache_get(struct api_request *request)
{
    struct json_write w;
    struct mail_cache_stats stats;
    uint64_t misses = 0;
    if (api_mail_is_running(request)) {
        mail_cache_stats(control_mail_cache(request->control), &stats);
        api_request_json_begin(request, &w);
        json_write_object_begin(&w);
        json_write_member_u64(&w, "parked", stats.parked_now);
        json_write_member_u64(&w, "hits", stats.hits);
        json_write_key(&w, "misses");
        json_write_object_begin(&w);
        for (size_t i = 0; i < MAIL_CACHE_MISS_COUNT; i++) {
            misses += stats.misses[i];
            json_write_member_u64(&w, mail_cache_miss_word((enum mail_cache_miss)i),
                                  stats.misses[i]);
        }
        json_write_object_end(&w);
        json_write_key(&w, "destroyed");
        json_write_object_begin(&w);
        for (size_t i = 0; i < MAIL_CACHE_END_COUNT; i++) {
            json_write_member_u64(&w, mail_cache_end_word((enum mail_cache_end)i), stats.ends[i]);
        }
        json_write_object_end(&w);
        json_write_member_double(
            &w, "hit_rate",
            stats.hits + misses != 0 ? (double)stats.hits / (double)(stats.hits + misses) : 0.0);
        json_write_member_u64(&w, "saved_ms", stats.saved_us / 1000);
        json_write_object_end(&w);
        api_request_json_end(request, 200);
    }
    api_request_done(request);
}

void api_mail_cache_delete(struct api_request *request)
{
    struct json_write w;
    struct slice user = api_request_query(request, "user");
    if (api_mail_is_running(request)) {
        struct control_mail_purged purged;
        struct mail_name name;
        if (user.ptr != NULL) {
            purged = control_mail_purge(request->control,
                                        control_mail_name(request->control, user, &name));
        } else {
            purged.connections = mail_cache_forget_all(control_mail_cache(request->control));
            purged.answers =
                mail_answers_forget(control_mail_answers(request->control), SLICE_NONE);
        }
        request->reply.has_changed = true;
        request->reply.is_changed = purged.connections != 0 || purged.answers != 0;
        api_request_json_begin(request, &w);
        json_write_object_begin(&w);
        json_write_member_u64(&w, "purged", purged.connections);
        json_write_object_end(&w);
        api_request_json_end(request, 200);
    }
    api_request_done(request);
}
