#include "api/api_clients.h"

#include "api/api_change.h"
#include "api/api_limit.h"
#include "api/api_problem.h"

#define LIMIT_USUAL 100U
#define LIMIT_MOST  1000U

static bool read_listener(struct api_request *request, struct clients_query *query)
{
    struct slice name = api_request_query(request, "listener");
    if (name.ptr == NULL) {
        return true;
    }
    const struct registry_listener *live =
        registry_find_listener(control_registry(request->control), name);
    if (live == NULL) {
        api_problem(request, "not-found", "there is no listener '%.*s'", SLICE_ARG(name));
        return false;
    }
    query->listener = live->listener;
    return true;
}

static bool read_client(struct api_request *request, struct api_clients_question *question)
{
    bool is_given;
    bool ok = api_request_client(request, &question->address, &is_given);
    question->query.address = ok && is_given ? &question->address : NULL;
    return ok;
}

static bool read_server(struct api_request *request, struct clients_query *query)
{
    const struct registry *registry = control_registry(request->control);
    struct slice server = api_request_query(request, "server");
    query->pool = api_request_query(request, "pool");
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

bool api_clients_read(struct api_request *request, struct api_clients_question *question)
{
    question->query.user = api_request_query(request, "user");
    return api_limit_read(request, 0, LIMIT_USUAL, LIMIT_MOST, &question->query.limit) &&
           read_listener(request, &question->query) && read_client(request, question) &&
           read_server(request, &question->query);
}

void api_clients_ask(struct api_request *request, const struct clients_query *query,
                     void (*done)(const struct clients_answer *answer, void *arg))
{
    if (!control_ask_clients(request->control, query, done, request)) {
        api_request_header(request, "Retry-After", "%u", 1U);
        api_problem(request, "unavailable", "%u questions to the workers are under way",
                    CONTROL_ASKING_MAX);
        api_request_done(request);
    }
}

void api_clients_answer(struct api_request *request, const struct clients_answer *answer,
                        const char *key,
                        void (*write)(struct json_write *w, const struct clients_item *item))
{
    struct json_write w;
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_key(&w, key);
    json_write_array_begin(&w);
    for (uint32_t i = 0; i < answer->count; i++) {
        write(&w, answer->items[i]);
    }
    json_write_array_end(&w);
    json_write_member_u64(&w, "total", answer->total);
    json_write_object_end(&w);
    api_request_json_end(request, 200);
    api_request_done(request);
}

static void on_ended(const struct clients_answer *answer, void *arg)
{
    struct api_request *request = arg;
    if (answer->total == 0) {
        api_problem(request, "not-found", "there is no %.*s", SLICE_ARG(request->path));
    } else {
        request->reply.has_changed = true;
        request->reply.is_changed = answer->ended != 0; /* else it was ending already */
        request->reply.status = 204;
    }
    api_request_done(request);
}

void api_clients_end(struct api_request *request, struct clients_query *query, const char *word)
{
    struct slice id = request->names[0];
    query->is_end = true;
    query->reason = CLOSE_KILLED;
    if (!clients_read_id(id, &query->id)) {
        struct slice list = slice_of(request->path.ptr, request->path.len - id.len - 1);
        api_problem(request, "not-found", "'%.*s' is not the id of a %s: GET %.*s shows them",
                    SLICE_ARG(id), word, SLICE_ARG(list));
        api_request_done(request);
    } else if (!api_change_expects(request, true, word)) {
        api_request_done(request);
    } else {
        api_clients_ask(request, query, on_ended);
    }
}
