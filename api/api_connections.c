#include "api/api_connections.h"

#include "api/api_change.h"
#include "api/api_problem.h"
#include "lbd/base/addr.h"
#include "lbd/base/num.h"
#include "lbd/worker/clients.h"

#define LIMIT_USUAL 100U
#define LIMIT_MOST  1000U

static void write_connection(struct json_write *w, const struct clients_item *item)
{
    char id[CLIENTS_ID_MAX];
    char client[ADDR_TEXT_MAX];
    clients_write_id(item->id, id);
    size_t len = addr_small_write(&item->address, client);
    json_write_object_begin(w);
    json_write_member_text(w, "id", id);
    json_write_member_text(w, "listener", item->listener);
    json_write_member_string(w, "client", slice_of(client, len));
    json_write_member_text(w, "state", session_state_word(item->state));
    if (item->pool[0] != '\0') {
        json_write_member_text(w, "pool", item->pool);
    }
    if (item->server[0] != '\0') {
        json_write_member_text(w, "server", item->server);
    }
    json_write_member_u64(w, "age_ms", item->age_us / 1000);
    json_write_member_u64(w, "requests", item->requests);
    json_write_member_u64(w, "worker", (item->id >> SESSION_NUMBER_BITS) - 1);
    json_write_object_end(w);
}

static void on_listed(const struct clients_answer *answer, void *arg)
{
    struct api_request *request = arg;
    struct json_write w;
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_key(&w, "connections");
    json_write_array_begin(&w);
    for (uint32_t i = 0; i < answer->count; i++) {
        write_connection(&w, answer->items[i]);
    }
    json_write_array_end(&w);
    json_write_member_u64(&w, "total", answer->total);
    json_write_object_end(&w);
    api_request_json_end(request, 200);
    api_request_done(request);
}

/* False: the reply says what is wrong. */
static bool read_query(struct api_request *request, struct clients_query *query)
{
    const struct registry *registry = control_registry(request->control);
    struct slice listener = api_request_query(request, "listener");
    struct slice server = api_request_query(request, "server");
    struct slice limit = api_request_query(request, "limit");
    uint64_t number = LIMIT_USUAL;
    query->pool = api_request_query(request, "pool");
    if (limit.ptr != NULL && (!num_parse_u64(limit, &number) || number > LIMIT_MOST)) {
        api_problem(request, "unknown-parameter", "'limit' is a number from 0 to %u", LIMIT_MOST);
        return false;
    }
    query->limit = (uint32_t)number;
    if (listener.ptr != NULL) {
        const struct registry_listener *live = registry_find_listener(registry, listener);
        if (live == NULL) {
            api_problem(request, "not-found", "there is no listener '%.*s'", SLICE_ARG(listener));
            return false;
        }
        query->listener = live->listener;
    }
    if (slice_find(server, '/') != SIZE_MAX) { /* "pool/server" */
        struct slice pool;
        (void)slice_split(&server, '/', &pool);
        if (query->pool.ptr != NULL && !slice_eq(query->pool, pool)) {
            api_problem(request, "unknown-parameter", "'pool' and 'server' name different pools");
            return false;
        }
        query->pool = pool;
    }
    query->server_name = server;
    if (query->pool.ptr != NULL && registry_find_pool(registry, query->pool) == NULL) {
        api_problem(request, "not-found", "there is no pool '%.*s'", SLICE_ARG(query->pool));
        return false;
    }
    if (server.ptr != NULL && query->pool.ptr != NULL &&
        registry_find_server(registry, query->pool, server) == NULL) {
        api_problem(request, "not-found", "there is no server '%.*s/%.*s'", SLICE_ARG(query->pool),
                    SLICE_ARG(server));
        return false;
    }
    return true;
}

static void ask(struct api_request *request, const struct clients_query *query,
                void (*done)(const struct clients_answer *answer, void *arg))
{
    if (!control_ask_clients(request->control, query, done, request)) {
        api_request_header(request, "Retry-After", "%u", 1U);
        api_problem(request, "unavailable", "%u questions to the workers are under way",
                    CONTROL_ASKING_MAX);
        api_request_done(request);
    }
}

void api_connections_list(struct api_request *request)
{
    struct clients_query query = {0};
    if (read_query(request, &query)) {
        ask(request, &query, on_listed);
    } else {
        api_request_done(request);
    }
}

static void on_ended(const struct clients_answer *answer, void *arg)
{
    struct api_request *request = arg;
    if (answer->total == 0) {
        api_problem(request, "not-found", "there is no connection '%.*s'",
                    SLICE_ARG(request->names[0]));
    } else {
        request->reply.has_changed = true;
        request->reply.is_changed = answer->ended != 0; /* else it was ending already */
        request->reply.status = 204;
    }
    api_request_done(request);
}

void api_connections_delete(struct api_request *request)
{
    struct clients_query query = {.is_end = true, .reason = CLOSE_KILLED};
    if (!clients_read_id(request->names[0], &query.id)) {
        api_problem(request, "not-found",
                    "'%.*s' is not the id of a connection: GET /v1/connections shows them",
                    SLICE_ARG(request->names[0]));
        api_request_done(request);
        return;
    }
    if (!api_change_expects(request, true, "connection")) {
        api_request_done(request);
        return;
    }
    ask(request, &query, on_ended);
}
