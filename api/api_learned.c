#include "api/api_learned.h"

#include <stdlib.h>

#include "api/api_limit.h"
#include "api/api_problem.h"
#include "lbd/balance/balancer.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"
#include "lbd/snapshot/snapshot_build.h"

#define LIMIT_USUAL 100U
#define LIMIT_MOST  10000U

static uint32_t now_s(void)
{
    return (uint32_t)(now_ms() / 1000);
}

/* NULL: the reply says why. */
static const struct pool_sticky *sticky_of(struct api_request *request)
{
    struct slice name = request->names[0];
    const struct pool *pool = snapshot_pool(control_snapshot(request->control), name);
    if (pool == NULL) {
        api_problem(request, "not-found", "there is no pool '%.*s'", SLICE_ARG(name));
    } else if (pool->sticky == NULL || pool->sticky->learned == NULL) {
        api_problem(request, "not-found",
                    "pool '%.*s' learns no sessions: its sticky.mode is not learn",
                    SLICE_ARG(name));
    } else {
        return pool->sticky;
    }
    return NULL;
}

/* The server that the parameter `server` names: *of NULL when it is not given. False: there is
 * none, and the reply says so. */
static bool read_server(struct api_request *request, const struct pool_sticky *sticky,
                        const uint64_t **of)
{
    struct slice name = api_request_query(request, "server");
    const struct pool *pool = snapshot_pool(control_snapshot(request->control), request->names[0]);
    *of = NULL;
    for (uint32_t i = 0; name.ptr != NULL && i < pool->count; i++) {
        if (slice_eq(slice_from(pool->members[i].server->name), name)) {
            *of = &sticky->servers.ids[i];
        }
    }
    if (name.ptr != NULL && *of == NULL) {
        api_problem(request, "not-found", "there is no server '%.*s/%.*s'",
                    SLICE_ARG(request->names[0]), SLICE_ARG(name));
        return false;
    }
    return true;
}

static void write_row(const struct pool *pool, const struct learned_row *row, struct json_write *w)
{
    char key[16];
    uint32_t member = sticky_find(&pool->sticky->servers, row->id);
    num_write_hex16(key, row->key);
    json_write_object_begin(w);
    json_write_member_string(w, "session", slice_of(key, sizeof(key)));
    if (member != BALANCER_NONE) {
        json_write_member_text(w, "server", pool->members[member].server->name);
    }
    json_write_member_u64(w, "idle_s", row->idle_s);
    json_write_object_end(w);
}

static void write_all(struct api_request *request, struct learned *learned, const uint64_t *of,
                      uint32_t limit)
{
    const struct pool *pool = snapshot_pool(control_snapshot(request->control), request->names[0]);
    struct learned_row *rows = mem_zero((size_t)limit + 1, sizeof(*rows));
    uint32_t count = learned_list(learned, of, now_s(), rows, limit);
    struct json_write w;
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_key(&w, "sessions");
    json_write_array_begin(&w);
    for (uint32_t i = 0; i < count; i++) {
        write_row(pool, &rows[i], &w);
    }
    json_write_array_end(&w);
    json_write_member_u64(&w, "count", learned_count(learned));
    json_write_member_u64(&w, "evicted", learned_evicted(learned));
    json_write_object_end(&w);
    api_request_json_end(request, 200);
    free(rows);
}

void api_learned_list(struct api_request *request)
{
    const struct pool_sticky *sticky = sticky_of(request);
    const uint64_t *of = NULL;
    uint32_t limit = 0;
    if (sticky != NULL && api_limit_read(request, 0, LIMIT_USUAL, LIMIT_MOST, &limit) &&
        read_server(request, sticky, &of)) {
        write_all(request, sticky->learned, of, limit);
    }
    api_request_done(request);
}

void api_learned_forget(struct api_request *request)
{
    const struct pool_sticky *sticky = sticky_of(request);
    const uint64_t *of = NULL;
    if (sticky != NULL && read_server(request, sticky, &of)) {
        struct slice session = api_request_query(request, "session");
        uint64_t key = 0;
        uint32_t forgotten = 0;
        if (session.ptr == NULL) {
            forgotten = learned_forget_all(sticky->learned, of);
        } else {
            bool is_key = session.len == 16 && num_parse_hex(session, &key);
            forgotten = is_key ? learned_forget(sticky->learned, key) : 0;
            forgotten += learned_forget(sticky->learned, learned_key(session));
        }
        struct json_write w;
        request->reply.has_changed = true;
        request->reply.is_changed = forgotten != 0;
        api_request_json_begin(request, &w);
        json_write_object_begin(&w);
        json_write_member_u64(&w, "forgotten", forgotten);
        json_write_object_end(&w);
        api_request_json_end(request, 200);
    }
    api_request_done(request);
}
