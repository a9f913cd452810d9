#include "api/api_mail_affinity.h"

#include <stdlib.h>

#include "api/api_blocks.h"
#include "api/api_limit.h"
#include "api/api_mail.h"
#include "api/api_problem.h"
#include "lbd/base/mem.h"
#include "lbd/control/control_mail.h"

#define LIMIT_USUAL 100U
#define LIMIT_MOST  100000U
#define WALK_MAX    256U /* users at a time */

/* One answer on its way. */
struct affinity {
    struct api_blocks blocks;
    struct api_request *request; /* lives as long as its answer */
    struct pool *pool;           /* referenced */
    struct json_write w;
    uint64_t cursor;
    uint64_t total;
    uint32_t left; /* to be shown */
    bool has_begun;
};

static bool belongs(const struct pool *pool, const struct mail_users_row *row)
{
    uint32_t member = mail_users_member(pool, row->place);
    return member != BALANCER_NONE && slice_eq(pool->members[member].place->group, row->group);
}

static void write_user(const struct mail_users_row *row, void *arg)
{
    struct affinity *self = arg;
    struct json_write *w = &self->w;
    uint64_t sessions = 0;
    if (!belongs(self->pool, row)) {
        return;
    }
    self->total++;
    if (self->left == 0) {
        return;
    }
    self->left--;
    for (size_t i = 0; i < MAIL_PROTOCOL_COUNT; i++) {
        sessions += row->sessions[i];
    }
    json_write_object_begin(w);
    json_write_member_string(w, "user", row->name);
    json_write_member_string(w, "server", row->place);
    json_write_member_u64(w, "sessions", sessions);
    json_write_member_bool(w, "pinned", row->is_pinned);
    if (row->expires_ms != 0) {
        api_request_write_moment(w, "expires", row->expires_ms);
    }
    json_write_object_end(w);
}

static bool make_more(struct api_blocks *blocks, struct buf *out, size_t bytes)
{
    struct affinity *self = container_of(blocks, struct affinity, blocks);
    struct json_write *w = &self->w;
    if (!self->has_begun) {
        self->has_begun = true;
        json_write_init(w, out, JSON_PRETTY);
        json_write_object_begin(w);
        json_write_key(w, "users");
        json_write_array_begin(w);
    }
    w->out = out;
    do {
        struct mail_users *users = control_mail_users(self->request->control);
        if (users == NULL) { /* lbd ends */
            break;
        }
        mail_users_walk(users, &self->cursor, WALK_MAX, write_user, self);
        if (out->len >= bytes && self->cursor != 0) {
            return true;
        }
    } while (self->cursor != 0);
    json_write_array_end(w);
    json_write_member_u64(w, "total", self->total);
    json_write_object_end(w);
    return false;
}

static void fini(struct api_blocks *blocks)
{
    struct affinity *self = container_of(blocks, struct affinity, blocks);
    pool_unref(self->pool);
    free(self);
}

void api_mail_affinity_list(struct api_request *request)
{
    struct pool *pool = control_mail_pool(request->control, request->names[0]);
    uint32_t limit = 0;
    if (pool == NULL) {
        api_problem(request, "not-found", "there is no pool '%.*s'", SLICE_ARG(request->names[0]));
    } else if (api_limit_read(request, 0, LIMIT_USUAL, LIMIT_MOST, &limit) &&
               api_mail_is_running(request)) {
        struct affinity *self = mem_zero(1, sizeof(*self));
        self->request = request;
        self->pool = pool_ref(pool);
        self->left = limit;
        api_blocks_start(request, &self->blocks, make_more, fini);
        request->reply.status = 200;
        request->reply.content_type = "application/json";
    }
    api_request_done(request);
}
