#include "api/api_check.h"

#include <stdlib.h>

#include "api/api_problem.h"
#include "lbd/base/mem.h"

/* Each takes a descriptor, of which clients need most. */
#define AT_ONCE_MAX 64U /* of one pool */
#define POOLS_MAX   4U
#define SERVERS_MAX 64U /* asked for one by one */

static uint32_t pools_running;
static uint32_t servers_running;

static bool is_too_much(struct api_request *request, uint32_t running, uint32_t most)
{
    if (running < most) {
        return false;
    }
    api_request_header(request, "Retry-After", "%u", 1U);
    api_problem(request, "unavailable", "%u such checks are under way", running);
    api_request_done(request);
    return true;
}

static void write_checked(struct json_write *w, const struct control_checked *checked)
{
    json_write_object_begin(w);
    json_write_member_text(w, "result", checked->is_passed ? "passed" : "failed");
    json_write_member_text(w, "detail", checked->detail);
    json_write_member_double(w, "duration_ms", (double)checked->duration_us / 1000.0);
    json_write_member_text(w, "health", server_health_word(checked->health));
    json_write_object_end(w);
}

/* -- one -- */

static void on_checked(const struct control_checked *checked, void *arg)
{
    struct api_request *request = arg;
    struct json_write w;
    servers_running--;
    api_request_json_begin(request, &w);
    write_checked(&w, checked);
    api_request_json_end(request, 200);
    api_request_done(request);
}

void api_check_server(struct api_request *request)
{
    if (is_too_much(request, servers_running, SERVERS_MAX)) {
        return;
    }
    servers_running++;
    if (!control_check(request->control, request->names[0], request->names[1], on_checked,
                       request)) {
        servers_running--;
        api_problem(request, "not-found", "there is no server '%.*s/%.*s'",
                    SLICE_ARG(request->names[0]), SLICE_ARG(request->names[1]));
        api_request_done(request);
    }
}

/* -- all of a pool -- */

struct pool_check;

/* One of its servers. */
struct member_check {
    struct pool_check *pool;
    char *name;   /* owned */
    char *detail; /* owned; NULL: not checked, it went meanwhile */
    struct control_checked checked;
};

struct pool_check {
    struct api_request *request;
    uint32_t count;
    uint32_t next;    /* to begin with */
    uint32_t running; /* under way */
    struct member_check members[];
};

static void reply(struct pool_check *pool)
{
    struct api_request *request = pool->request;
    struct json_write w;
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_key(&w, "servers");
    json_write_object_begin(&w);
    for (uint32_t i = 0; i < pool->count; i++) {
        struct member_check *member = &pool->members[i];
        if (member->detail != NULL) {
            member->checked.detail = member->detail;
            json_write_key(&w, member->name);
            write_checked(&w, &member->checked);
        }
        free(member->name);
        free(member->detail);
    }
    json_write_object_end(&w);
    json_write_object_end(&w);
    api_request_json_end(request, 200);
    free(pool);
    pools_running--;
    api_request_done(request);
}

static void go_on(struct pool_check *pool);

static void on_member(const struct control_checked *checked, void *arg)
{
    struct member_check *member = arg;
    member->checked = *checked;
    member->detail = mem_strdup(checked->detail);
    member->pool->running--;
    go_on(member->pool);
}

static void go_on(struct pool_check *pool)
{
    while (pool->next < pool->count && pool->running < AT_ONCE_MAX) {
        struct member_check *member = &pool->members[pool->next++];
        pool->running++;
        if (!control_check(pool->request->control, pool->request->names[0],
                           slice_from(member->name), on_member, member)) {
            pool->running--;
        }
    }
    if (pool->running == 0) {
        reply(pool);
    }
}

void api_check_pool(struct api_request *request)
{
    const struct conf *conf = conf_document_conf(control_running(request->control));
    const struct conf_pool *named = conf_pool_find(conf, request->names[0]);
    if (named == NULL) {
        api_problem(request, "not-found", "there is no pool '%.*s'", SLICE_ARG(request->names[0]));
        api_request_done(request);
        return;
    }
    if (is_too_much(request, pools_running, POOLS_MAX)) {
        return;
    }
    pools_running++;
    struct pool_check *pool =
        mem_zero(1, sizeof(*pool) + named->server_count * sizeof(struct member_check));
    pool->request = request;
    pool->count = named->server_count;
    for (uint32_t i = 0; i < pool->count; i++) {
        pool->members[i].pool = pool;
        pool->members[i].name = mem_slicedup(named->servers[i].name);
    }
    go_on(pool);
}
