#include "api/api_explain_route.h"

#include <stdlib.h>

#include "api/api_problem.h"
#include "api/api_question.h"
#include "conf/conf_suggest.h"
#include "conf/json/json.h"
#include "lbd/base/authority.h"
#include "lbd/base/now.h"
#include "lbd/base/random.h"
#include "lbd/http/h1_head.h"
#include "lbd/http/hop.h"
#include "lbd/http/request_value.h"
#include "lbd/proxy/mirror.h"
#include "lbd/proxy/route_explain.h"
#include "lbd/proxy/route_redirect.h"

enum {
    FIELDS_MAX = 1000,
    SERVERS_SHOWN = 100,
    OTHERS_SHOWN = 50,
    WHY_MAX = 1024,
    ALPN_MAX = 1024,
};

/* -- which listener -- */

static bool has_port(const struct plan *plan, uint16_t port)
{
    for (uint32_t i = 0; i < plan->bind_count; i++) {
        const struct addr *bound = &plan->binds[i]->bound;
        if (bound->u.any.sa_family != AF_UNIX && addr_port(bound) == port) {
            return true;
        }
    }
    return false;
}

/* The listener by its name, by the port of the URL, or because it is the only one. */
static const struct plan *choose_plan(const struct snapshot *snapshot,
                                      const struct api_question *question,
                                      struct conf_errors *errors)
{
    const struct plan *found = NULL;
    uint32_t with_port = 0;
    struct conf_suggest suggest;
    conf_suggest_init(&suggest, question->listener);
    for (uint32_t i = 0; snapshot != NULL && i < snapshot->plan_count; i++) {
        const struct plan *plan = snapshot->plans[i];
        struct slice name = slice_from(plan->listener->name);
        if (question->listener.len != 0) {
            conf_suggest_offer(&suggest, name);
            if (slice_eq(name, question->listener)) {
                return plan;
            }
        } else if (question->port != 0 && has_port(plan, question->port)) {
            found = plan;
            with_port++;
        }
    }
    if (question->listener.len != 0) {
        conf_errors_add_at(errors, SLICE("/listener"), "unknown-reference", suggest.best,
                           "no listener named '%.*s'", SLICE_ARG(question->listener));
        return NULL;
    }
    if (with_port == 1) {
        return found;
    }
    struct buf names;
    uint32_t count = 0;
    buf_init(&names, 512);
    for (uint32_t i = 0; snapshot != NULL && i < snapshot->plan_count; i++) {
        const struct plan *plan = snapshot->plans[i];
        if (plan->mail != NULL) {
            continue; /* requests do not come in there */
        }
        found = plan;
        if (count++ < 10) {
            (void)buf_printf(&names, "%s%s", count != 1 ? ", " : "", plan->listener->name);
        }
    }
    if (count == 1) {
        buf_fini(&names);
        return found;
    }
    conf_errors_add_at(errors, SLICE("/listener"), "missing-key", SLICE_NONE,
                       "must be set: the request could come in by several or none (%.*s)",
                       SLICE_ARG(buf_slice(&names)));
    buf_fini(&names);
    return NULL;
}

/* -- the proxy is asked -- */

/* What the proxy does with a head, up to the choice of a server: CLOSE_OK and *route, or why not.
 */
static enum close_reason route_head(const struct plan *plan, struct slice head,
                                    const struct addr_small *client, struct pattern_work *patterns,
                                    struct message *message, struct arena *arena,
                                    const struct route **route)
{
    const struct h1_limits limits = {.head_bytes = plan->limits.header_size_bytes,
                                     .fields = plan->limits.header_fields};
    struct h1_head parser;
    enum close_reason reason = CLOSE_OK;
    *route = NULL;
    h1_head_init(&parser);
    switch (h1_head_request(&parser, head, &limits, message)) {
    case H1_DONE:
        break;
    case H1_BAD:
        return (enum close_reason)parser.reason;
    case H1_MORE:
        return CLOSE_BAD_REQUEST_LINE;
    }
    reason = plan_route(plan, message, client, patterns, arena, route);
    if (reason == CLOSE_OK && (*route)->action == CONF_ACTION_POOL) {
        const struct hop_facts facts = {
            .client_ip = SLICE("192.0.2.1"),
            .proto = SLICE("http"),
            .request_id = SLICE("0000000000000000"),
            .forward_trailers = (*route)->forward_trailers,
        };
        (void)hop_request(message, &facts, &reason);
    }
    return reason;
}

/* What it does with a connection: the route, or NULL. */
static const struct route *route_connection(const struct plan *plan,
                                            const struct api_question *asked, struct arena *arena,
                                            struct route_question *question)
{
    uint16_t port = 0;
    char *alpn = arena_alloc(arena, ALPN_MAX);
    question->path = SLICE("");
    question->by_name = true;
    if (plan_has_names(plan) ||
        !cidr_set_is_empty(&plan->proxies)) { /* or a PROXY header says it */
        authority_split(asked->host, &question->host, &port);
        question->alpn = slice_of(alpn, api_question_alpn(asked, alpn, ALPN_MAX));
    }
    return plan_route_name(plan, question);
}

/* -- the answer -- */

/* What the answer is made from. */
struct explained {
    const struct plan *plan;
    const struct route *route;     /* NULL: nobody takes it */
    const struct conf_route *conf; /* of the route; NULL: the default pool, or nobody */
    enum close_reason refusal;     /* CLOSE_OK: none */
    bool is_drained;               /* the listener takes no new connections */
    struct route_question question;
    const struct pool *pool; /* of the route, or of its split; NULL: it leads to none */
    bool is_split;           /* ... which `choice` says */
    struct route_split_choice choice;
    struct slice sent_path; /* where servers get another one than was asked for; else empty */
    struct slice location;  /* of a redirect */
    const struct message *message; /* NULL: a connection */
};

static void write_split(const struct route_split *split, struct json_write *w)
{
    json_write_key(w, "split");
    json_write_object_begin(w);
    json_write_key(w, "pools");
    json_write_object_begin(w);
    for (uint32_t i = 0; i < split->count; i++) {
        json_write_key_slice(w, split->arms[i].pool->name);
        json_write_u64(w, split->arms[i].weight);
    }
    json_write_object_end(w);
    if (split->cookie != NULL) {
        json_write_key(w, "cookie");
        json_write_object_begin(w);
        json_write_member_string(w, "name", split->cookie->name);
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

/* Which pool of the split, and why. */
static void write_split_choice(const struct explained *explained, struct json_write *w)
{
    static const char *const words[] = {
        [ROUTE_SPLIT_BY_COOKIE] = "cookie",
        [ROUTE_SPLIT_BY_KEY] = "key",
        [ROUTE_SPLIT_BY_ADDRESS] = "address",
        [ROUTE_SPLIT_BY_CHANCE] = "chance",
    };
    static const char *const cookies[] = {
        [ROUTE_SPLIT_NOTHING] = "",
        [ROUTE_SPLIT_ITS_POOL] = "",
        [ROUTE_SPLIT_UNKNOWN] = "its cookie names no pool of the split: ",
        [ROUTE_SPLIT_CLOSED] = "its cookie names a pool of weight 0: ",
    };
    const struct route_split *split = explained->route->split;
    const struct route_split_choice *choice = &explained->choice;
    uint64_t sum = 0;
    struct buf why;
    for (uint32_t i = 0; i < split->count; i++) {
        sum += split->arms[i].weight;
    }
    buf_init(&why, WHY_MAX);
    (void)buf_append_text(&why, cookies[choice->brought]);
    switch (choice->by) {
    case ROUTE_SPLIT_BY_COOKIE:
        (void)buf_printf(&why, "cookie '%.*s' says so, whatever the weights are",
                         SLICE_ARG(split->cookie->name));
        break;
    case ROUTE_SPLIT_BY_KEY:
        (void)buf_printf(&why, "%s '%.*s' falls into its share",
                         split->key == CONF_SPLIT_KEY_HEADER ? "header" : "cookie",
                         SLICE_ARG(split->name));
        break;
    case ROUTE_SPLIT_BY_ADDRESS:
        (void)buf_append_text(&why, explained->question.client != NULL
                                        ? "the client's address falls into its share"
                                        : "an unknown address falls into its share");
        break;
    case ROUTE_SPLIT_BY_CHANCE:
        (void)buf_append_text(&why, "drawn by chance, the next one anew");
        break;
    }
    if (choice->by != ROUTE_SPLIT_BY_COOKIE) {
        (void)buf_printf(&why, ", %u of %llu", split->arms[choice->arm].weight,
                         (unsigned long long)sum);
    }
    json_write_member_text(w, "split_by", words[choice->by]);
    json_write_member_string(w, "split_why", buf_slice(&why));
    buf_fini(&why);
}

static void write_action(const struct explained *explained, struct json_write *w)
{
    const struct route *route = explained->route;
    json_write_key(w, "action");
    json_write_object_begin(w);
    switch (route->action) {
    case CONF_ACTION_POOL:
    case CONF_ACTION_SPLIT:
        if (route->split != NULL) {
            write_split(route->split, w);
        } else {
            json_write_member_string(w, "pool", route->pool->name);
        }
        if (route->mirror != NULL) {
            json_write_key(w, "mirror");
            json_write_object_begin(w);
            json_write_member_string(w, "pool", route->mirror->pool->name);
            json_write_member_u64(w, "percent", route->mirror->percent);
            json_write_object_end(w);
        }
        break;
    case CONF_ACTION_RESPOND:
        json_write_key(w, "respond");
        json_write_object_begin(w);
        json_write_member_u64(w, "status", route->status);
        json_write_member_string(w, "content_type", route->content_type);
        json_write_object_end(w);
        break;
    case CONF_ACTION_REDIRECT:
        json_write_key(w, "redirect");
        json_write_object_begin(w);
        json_write_member_u64(w, "status", route->status);
        json_write_member_string(w, "location", explained->location);
        json_write_object_end(w);
        break;
    }
    json_write_object_end(w);
}

static const char *why_no_candidate(const struct pool *pool, const struct server *server,
                                    enum pool_candidate candidate, char text[64])
{
    switch (candidate) {
    case POOL_CANDIDATE:
        return server_is_usable(server) ? "usable"
                                        : "tried though it is down: when_all_down is fail_open";
    case POOL_NO_ADDRESS:
        return "its name has no address";
    case POOL_FULL:
        return "at its max_connections";
    case POOL_STANDS_BY:
        return "stands by: servers of a lower priority, or nearer, take all requests";
    case POOL_NOT_FIT:
        if (server->admin != SERVER_READY) {
            (void)snprintf(text, 64, "admin state %s", server_admin_word(server->admin));
        } else if (server->health != SERVER_UP) {
            (void)snprintf(text, 64, "health %s", server_health_word(server->health));
        } else if (server->is_ejected) {
            return "ejected as an outlier";
        } else {
            return "gets no requests now";
        }
        return text;
    }
    (void)pool;
    return "";
}

/* Why a client that belongs to this member goes there or not. */
static const char *why_stays(const struct pool *pool, enum balancer_fitness fitness,
                             uint32_t member, bool *stays, char text[64])
{
    enum pool_candidate candidate = pool_candidate(pool, fitness, member);
    *stays = pool_sticky_may_stay(pool, member) && candidate != POOL_FULL;
    if (!*stays) {
        return why_no_candidate(pool, pool->members[member].server, candidate, text);
    }
    return candidate == POOL_CANDIDATE ? "its client belongs there"
                                       : "its client belongs there, others get no requests there";
}

/* Where the cookie or header of the request leads, in a pool whose clients stay. */
static void write_sticky(const struct pool *pool, const struct message *message,
                         struct json_write *w)
{
    const struct pool_sticky *sticky = pool->sticky;
    struct slice value = SLICE_NONE;
    bool is_there = sticky->is_header ? request_value_header(message, sticky->name, &value)
                                      : request_value_cookie(message, sticky->name, &value);
    uint32_t member =
        is_there ? pool_sticky_find(sticky, value, (uint32_t)(now_us() / 1000000)) : BALANCER_NONE;
    bool stays = false;
    char text[64];
    const char *why = !is_there ? "the request does not bring it; any server, which is told"
                                : "it names no server of the pool; any server, which is told";
    json_write_key(w, "sticky");
    json_write_object_begin(w);
    json_write_member_text(w, "by", sticky->is_header ? "header" : "cookie");
    json_write_member_string(w, "name", sticky->name);
    if (member != BALANCER_NONE) {
        why = why_stays(pool, pool_fitness(pool), member, &stays, text);
        json_write_member_text(w, "server", pool->members[member].server->name);
    }
    json_write_member_bool(w, "stays", stays);
    json_write_member_text(w, "otherwise", sticky->fails ? "fail" : "any server");
    json_write_member_text(w, "why", why);
    json_write_object_end(w);
}

/* What counts now, as in the server's status. */
static uint32_t weight_now(const struct pool *pool, uint32_t i, enum pool_candidate candidate)
{
    bool is_out = candidate == POOL_NOT_FIT || candidate == POOL_NO_ADDRESS;
    return is_out ? 0 : pool->targets[i].weight;
}

static void write_servers(const struct pool *pool, struct json_write *w)
{
    enum balancer_fitness fitness = pool_fitness(pool);
    uint32_t candidates = 0;
    json_write_member_string(w, "pool", pool->name);
    json_write_member_bool(w, "fail_open", fitness == BALANCER_READY);
    json_write_key(w, "servers");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < pool->count; i++) {
        const struct pool_member *member = &pool->members[i];
        enum pool_candidate candidate = pool_candidate(pool, fitness, i);
        char text[64];
        candidates += candidate == POOL_CANDIDATE ? 1 : 0;
        if (i >= SERVERS_SHOWN) {
            continue;
        }
        json_write_object_begin(w);
        json_write_member_text(w, "name", member->server->name);
        json_write_member_string(w, "address", member->host);
        json_write_member_text(w, "health", server_health_word(member->server->health));
        json_write_member_text(w, "admin", server_admin_word(member->server->admin));
        json_write_member_u64(w, "weight", weight_now(pool, i, candidate));
        json_write_member_bool(w, "is_candidate", candidate == POOL_CANDIDATE);
        json_write_member_text(w, "reason",
                               why_no_candidate(pool, member->server, candidate, text));
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_member_u64(w, "servers_total", pool->count);
    json_write_member_u64(w, "candidates", candidates);
    if (pool->fallback != NULL) {
        json_write_member_string(w, "fallback_pool", pool->fallback->name);
    }
}

/* Writes one of the others; false: it is not of this round. */
static bool write_other(const struct explained *explained, const struct conf_route *route,
                        bool want_matched, struct buf *why, struct json_write *w)
{
    buf_clear(why);
    if (route_explain_other(route, explained->conf, &explained->question, why) != want_matched) {
        return false;
    }
    json_write_object_begin(w);
    json_write_member_string(w, "route", route->name);
    json_write_member_bool(w, "matched", want_matched);
    json_write_member_string(w, "why", buf_slice(why));
    json_write_object_end(w);
    return true;
}

/* Routes that would take the request alone come first, then the others in order of their names. */
static void write_considered(const struct explained *explained, const struct conf *conf,
                             struct json_write *w)
{
    struct slice listener = slice_from(explained->plan->listener->name);
    uint32_t total = 0;
    uint32_t written = 0;
    struct buf why;
    buf_init(&why, WHY_MAX);
    json_write_key(w, "considered");
    json_write_array_begin(w);
    for (int round = 0; round < 2; round++) {
        bool want_matched = round == 0;
        for (uint32_t i = 0; i < conf->route_count; i++) {
            const struct conf_route *route = &conf->routes[i];
            if (route == explained->conf || !slice_eq(route->listener, listener)) {
                continue;
            }
            total += want_matched ? 1 : 0;
            if (written < OTHERS_SHOWN &&
                (!want_matched || route_explain_may_take(&route->match, &explained->question)) &&
                write_other(explained, route, want_matched, &why, w)) {
                written++;
            }
        }
    }
    json_write_array_end(w);
    json_write_member_u64(w, "considered_total", total);
    buf_fini(&why);
}

static void write_why(const struct explained *explained, struct json_write *w)
{
    struct buf why;
    buf_init(&why, WHY_MAX);
    if (explained->is_drained) {
        (void)buf_append_text(&why, "the listener drains and takes no new connections; on one that "
                                    "is open: ");
    }
    if (explained->conf != NULL) {
        route_explain_fit(&explained->conf->match, &explained->question, &why);
        if (explained->refusal != CLOSE_OK) {
            (void)buf_printf(&why, "; but %s", close_reason_sentence(explained->refusal));
        }
    } else if (explained->refusal != CLOSE_OK) {
        (void)buf_append_text(&why, close_reason_sentence(explained->refusal));
    } else {
        (void)buf_append_text(&why, "no route takes it; the default pool of the listener does");
    }
    json_write_member_string(w, "why", buf_slice(&why));
    buf_fini(&why);
}

/* Who are asked first; of what is refused before a route is looked for nobody. */
static void write_policies(const struct explained *explained, struct json_write *w)
{
    const struct filter_chain *chain = explained->route != NULL && !explained->question.by_name
                                           ? explained->route->filters
                                           : explained->plan->filters;
    if (chain == NULL) {
        return;
    }
    json_write_key(w, "policies");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < chain->count; i++) {
        json_write_string(w, chain->list[i]->name);
    }
    json_write_array_end(w);
}

static void write_answer(const struct explained *explained, const struct snapshot *snapshot,
                         struct json_write *w)
{
    const struct route *route = explained->route;
    bool is_routed = explained->question.path.ptr != NULL;
    json_write_object_begin(w);
    json_write_member_text(w, "listener", explained->plan->listener->name);
    json_write_member_text(w, "listener_state", explained->is_drained ? "draining" : "up");
    json_write_member_u64(w, "revision", snapshot->revision);
    json_write_member_bool(w, "matched", route != NULL);
    json_write_member_string(w, "host", explained->question.host);
    json_write_member_string(w, "path", explained->question.path);
    if (route != NULL && explained->conf != NULL) {
        json_write_member_string(w, "route", route->name);
        json_write_member_i64(w, "priority", explained->conf->priority);
    }
    json_write_member_bool(w, "is_default", route != NULL && explained->conf == NULL);
    write_why(explained, w);
    if (explained->refusal != CLOSE_OK) {
        if (!explained->question.by_name) {
            json_write_member_u64(w, "status", close_reason_status(explained->refusal));
        }
        json_write_key(w, "reason");
        json_write_string(w, close_reason_word(explained->refusal));
    } else if (route != NULL && route->action != CONF_ACTION_POOL) {
        json_write_member_u64(w, "status", route->status);
    }
    if (is_routed) {
        write_policies(explained, w);
    }
    if (explained->sent_path.len != 0) {
        json_write_member_string(w, "sent_path", explained->sent_path);
    }
    if (route != NULL && route->host.len != 0) {
        json_write_member_string(w, "sent_host", route->host);
    }
    if (route != NULL) {
        write_action(explained, w);
        if (explained->is_split) {
            write_split_choice(explained, w);
        }
        if (explained->pool != NULL) {
            if (explained->pool->sticky != NULL && explained->message != NULL) {
                write_sticky(explained->pool, explained->message, w);
            }
            write_servers(explained->pool, w);
        }
    }
    if (is_routed) {
        write_considered(explained, conf_document_conf(snapshot->document), w);
    } else {
        json_write_key(w, "considered");
        json_write_array_begin(w);
        json_write_array_end(w);
        json_write_member_u64(w, "considered_total", 0);
    }
    json_write_object_end(w);
}

/* What becomes of a request whose route is known. */
static void follow_route(struct explained *explained, const struct message *message,
                         struct arena *arena)
{
    const struct route *route = explained->route;
    const struct route_question *question = &explained->question;
    bool made = true;
    if (route == NULL) {
        return;
    }
    if (route->action == CONF_ACTION_REDIRECT) {
        struct slice proto = explained->plan->tls != NULL ? SLICE("https") : SLICE("http");
        made = route_redirect_make(route, message, proto, question->patterns, arena,
                                   &explained->location);
    } else if (route->action == CONF_ACTION_POOL) {
        explained->message = question->by_name ? NULL : message;
        explained->pool = route->pool;
        if (route->split != NULL && !question->by_name) {
            explained->is_split = true;
            uint64_t chance = 0;
            random_bytes(&chance, sizeof(chance));
            explained->choice = route_split_pick(route->split, message, question->client, chance);
            explained->pool = route->split->arms[explained->choice.arm].pool;
        }
        made = route->path == NULL || question->by_name ||
               route_path_make(route->path, question->path, question->patterns, arena,
                               &explained->sent_path);
    }
    if (!made) {
        explained->refusal = CLOSE_REWRITE_FAILED;
    }
}

static void explain(struct api_request *request, const struct plan *plan,
                    const struct api_question *question)
{
    const struct snapshot *snapshot = plan->snapshot;
    struct pattern_work patterns;
    const struct registry_listener *live = registry_find_listener(
        control_registry(request->control), slice_from(plan->listener->name));
    struct explained explained = {
        .plan = plan,
        .is_drained = live != NULL && control_listener_is_drained(request->control, live),
        .question = {.client = question->client.family != 0 ? &question->client : NULL,
                     .patterns = &patterns},
    };
    struct message message = {0};
    struct arena arena;
    struct buf head;
    struct json_write w;

    pattern_work_init(&patterns);
    arena_init(&arena, NULL, 0);
    buf_init(&head, API_QUESTION_HEAD_MAX);
    message.headers.list = arena_alloc(&arena, FIELDS_MAX * sizeof(struct header));
    message.headers.capacity = FIELDS_MAX;
    if (plan->protocol != CONF_PROTOCOL_HTTP) {
        explained.route = route_connection(plan, question, &arena, &explained.question);
        explained.refusal = explained.route != NULL ? CLOSE_OK : CLOSE_NO_ROUTE;
    } else if (api_question_write_head(question, &head)) {
        explained.refusal = route_head(plan, buf_slice(&head), explained.question.client, &patterns,
                                       &message, &arena, &explained.route);
    } else {
        explained.refusal = CLOSE_HEADER_TOO_LARGE;
    }
    if (!explained.question.by_name &&
        (explained.route != NULL || explained.refusal == CLOSE_NO_ROUTE)) {
        explained.question.host = message_host(&message);
        explained.question.path = message.path;
        explained.question.request = &message;
    }
    if (explained.route != NULL && explained.route != plan->default_route) {
        explained.conf =
            conf_route_find(conf_document_conf(snapshot->document), explained.route->name);
    }
    if (explained.refusal == CLOSE_OK || explained.question.by_name) {
        follow_route(&explained, &message, &arena);
    } else if (explained.route != NULL) {
        explained.pool = explained.route->pool; /* where it would have gone */
        explained.location = explained.route->location;
    }
    api_request_json_begin(request, &w);
    write_answer(&explained, snapshot, &w);
    api_request_json_end(request, 200);
    buf_fini(&head);
    arena_fini(&arena);
    pattern_work_fini(&patterns);
}

void api_explain_route(struct api_request *request)
{
    struct json_error why;
    struct conf_errors errors;
    struct api_question question = {.port = 0};
    const struct plan *plan = NULL;

    struct json *body = json_parse(request->body, JSON_STRICT, &json_limits_resource, &why);
    conf_errors_init(&errors);
    if (body == NULL) {
        conf_errors_add_syntax(&errors, &why);
        api_problem_with(request, why.too_large ? "too-large" : "malformed-json", why.text,
                         &errors);
    } else {
        if (api_question_read(body, &question, &errors)) {
            plan = choose_plan(control_snapshot(request->control), &question, &errors);
        }
        if (plan != NULL) {
            explain(request, plan, &question);
        } else {
            conf_errors_locate(&errors, request->body, SLICE_NONE);
            api_problem_with(request, "invalid-body", "the body is not a question about a request",
                             &errors);
        }
    }
    conf_errors_fini(&errors);
    json_free(body);
    api_request_done(request);
}
