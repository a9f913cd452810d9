#include "api/api_mail.h"

#include "api/api_body.h"
#include "api/api_problem.h"
#include "lbd/base/log.h"
#include "lbd/base/now.h"
#include "lbd/control/control_mail.h"

#define DAY_MS (24U * 3600U * 1000U)

bool api_mail_is_running(struct api_request *request)
{
    if (control_mail_users(request->control) == NULL) {
        api_problem(request, "unavailable", "the workers do not run");
        return false;
    }
    return true;
}

/* The user that is meant. */
static struct slice user_of(const struct api_request *request, struct mail_name *name)
{
    return control_mail_name(request->control, request->names[0], name);
}

/* -- where one is -- */

struct places {
    struct json_write *w;
    uint64_t sessions;
};

static void write_protocols(struct json_write *w, const struct mail_users_row *row)
{
    json_write_key(w, "protocols");
    json_write_object_begin(w);
    for (size_t i = 0; i < MAIL_PROTOCOL_COUNT; i++) {
        if (row->sessions[i] != 0) {
            json_write_member_u64(w, mail_protocol_word((enum mail_protocol)i), row->sessions[i]);
        }
    }
    json_write_object_end(w);
}

static void write_place(const struct mail_users_row *row, void *arg)
{
    struct places *places = arg;
    struct json_write *w = places->w;
    uint64_t sessions = 0;
    for (size_t i = 0; i < MAIL_PROTOCOL_COUNT; i++) {
        sessions += row->sessions[i];
    }
    places->sessions += sessions;
    json_write_object_begin(w);
    json_write_member_string(w, "server", row->place);
    json_write_member_string(w, "group", row->group);
    json_write_member_u64(w, "sessions", sessions);
    write_protocols(w, row);
    json_write_member_u64(w, "logging_in", row->trying);
    json_write_member_u64(w, "kicked", row->kicked);
    json_write_member_u64(w, "kept", row->parked);
    json_write_member_bool(w, "pinned", row->is_pinned);
    if (row->is_failed_over) {
        json_write_member_string(w, "failed_over_from", row->home);
    }
    api_request_write_moment(w, "last_activity", row->last_ms);
    if (row->expires_ms != 0) {
        api_request_write_moment(w, "expires", row->expires_ms);
    }
    if (row->hold_ms > now_ms()) {
        api_request_write_moment(w, "held_until", row->hold_ms);
    }
    json_write_object_end(w);
}

static void write_routes(struct api_request *request, struct slice user, struct json_write *w)
{
    json_write_key(w, "routes");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < control_mail_plans(request->control); i++) {
        struct control_mail_route route;
        if (!control_mail_route(request->control, i, user, &route)) {
            continue;
        }
        bool asks = route.has_callback && !route.route.is_known;
        json_write_object_begin(w);
        json_write_member_string(w, "listener", route.listener);
        json_write_member_string(w, "name", mail_name_slice(&route.name));
        json_write_member_text(w, "by", asks ? "callback" : route.route.by);
        if (route.route.map.len != 0) {
            json_write_member_string(w, "map", route.route.map);
        }
        if (route.route.pool != NULL) {
            json_write_member_string(w, "pool", route.route.pool->name);
            json_write_member_string(w, "server", route.server);
            json_write_member_string(w, "hashed", route.hashed);
        }
        json_write_member_bool(w, "disabled", route.route.is_disabled);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

void api_mail_user_status(struct api_request *request)
{
    struct json_write w;
    struct places places = {.w = &w};
    if (api_mail_is_running(request)) {
        struct mail_name name;
        struct mail_name made;
        struct slice user = user_of(request, &name);
        struct slice mailbox = control_mail_mailbox(request->control, user, &made);
        api_request_json_begin(request, &w);
        json_write_object_begin(&w);
        json_write_member_string(&w, "user", user);
        json_write_key(&w, "places");
        json_write_array_begin(&w);
        (void)mail_users_look(control_mail_users(request->control), mailbox, write_place, &places);
        json_write_array_end(&w);
        json_write_member_u64(&w, "sessions", places.sessions);
        write_routes(request, user, &w);
        json_write_object_end(&w);
        api_request_json_end(request, 200);
    }
    api_request_done(request);
}

/* -- move, kick, release -- */

struct move {
    struct slice server;
    struct slice pool;
    struct slice reason;
    uint32_t kick_delay_ms;
};

static const char *problem_of(const struct err *err)
{
    return err->kind == ERR_CONFLICT ? "not-drained" : api_problem_of(err->kind);
}

static void answer_kicked(struct api_request *request, struct slice user, struct slice server,
                          uint32_t kicked)
{
    struct json_write w;
    request->reply.has_changed = true;
    request->reply.is_changed = server.len != 0 || kicked != 0;
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_member_string(&w, "user", user);
    if (server.len != 0) {
        json_write_member_string(&w, "server", server);
    }
    json_write_member_u64(&w, "kicked", kicked);
    json_write_object_end(&w);
    api_request_json_end(request, 200);
}

void api_mail_user_move(struct api_request *request)
{
    static const struct api_body_member members[] = {
        {.key = "server",
         .kind = API_BODY_TEXT,
         .offset = offsetof(struct move, server),
         .is_required = true},
        {.key = "pool", .kind = API_BODY_TEXT, .offset = offsetof(struct move, pool)},
        {.key = "reason", .kind = API_BODY_TEXT, .offset = offsetof(struct move, reason)},
        {.key = "kick_delay",
         .kind = API_BODY_DURATION,
         .offset = offsetof(struct move, kick_delay_ms),
         .max = 600000},
    };
    struct move move = {.kick_delay_ms = MAIL_USERS_KICK_DELAY_MS};
    struct err err = {0};
    uint32_t kicked = 0;
    struct json *body = api_mail_is_running(request)
                            ? api_body_read(request, members, ARRAY_LEN(members), &move)
                            : NULL;
    struct mail_name name;
    struct slice user = user_of(request, &name);
    if (body != NULL && !control_mail_move(request->control, user, move.pool, move.server,
                                           move.kick_delay_ms, &kicked, &err)) {
        api_problem(request, problem_of(&err), "%s", err.text);
    } else if (body != NULL) {
        log_info("mail.moved", "user=\"%.*s\" server=%.*s kicked=%u who=\"%s\" reason=\"%.*s\"",
                 SLICE_ARG(user), SLICE_ARG(move.server), kicked, request->who,
                 SLICE_ARG(move.reason));
        answer_kicked(request, user, move.server, kicked);
    }
    json_free(body);
    api_request_done(request);
}

void api_mail_user_kick(struct api_request *request)
{
    static const struct api_body_member members[] = {
        {.key = "reason", .kind = API_BODY_TEXT, .offset = offsetof(struct move, reason)},
    };
    struct move kick = {0};
    struct json *body = api_mail_is_running(request)
                            ? api_body_read(request, members, ARRAY_LEN(members), &kick)
                            : NULL;
    if (body != NULL) {
        struct mail_name name;
        struct slice user = user_of(request, &name);
        uint32_t kicked = control_mail_kick(request->control, user);
        log_info("mail.kicked", "user=\"%.*s\" kicked=%u who=\"%s\" reason=\"%.*s\"",
                 SLICE_ARG(user), kicked, request->who, SLICE_ARG(kick.reason));
        answer_kicked(request, user, SLICE_NONE, kicked);
    }
    json_free(body);
    api_request_done(request);
}

void api_mail_user_release(struct api_request *request)
{
    struct json *body = api_mail_is_running(request) ? api_body_read(request, NULL, 0, NULL) : NULL;
    if (body != NULL) {
        struct mail_name name;
        struct mail_name made;
        struct slice user = user_of(request, &name);
        bool was = mail_users_unpin(control_mail_users(request->control),
                                    control_mail_mailbox(request->control, user, &made));
        answer_kicked(request, user, SLICE_NONE, 0);
        request->reply.is_changed = was;
    }
    json_free(body);
    api_request_done(request);
}

/* -- a drain that moves users off -- */

static const char *const modes[] = {
    [CONTROL_MAIL_SLOW] = "slow", [CONTROL_MAIL_FLUSH] = "flush", NULL};

static void write_drain(struct api_request *request, const struct control_mail_drain *drain)
{
    struct json_write w;
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_member_text(&w, "mode", modes[drain->mode]);
    api_request_write_time(&w, "started", drain->started_wall_us);
    json_write_member_u64(&w, "over_ms", drain->over_ms);
    json_write_member_u64(&w, "max_parallel", drain->max_parallel);
    json_write_member_u64(&w, "users", drain->users);
    json_write_member_u64(&w, "moved", drain->moved);
    json_write_member_u64(&w, "remaining", drain->remaining);
    json_write_member_u64(&w, "stuck", drain->stuck);
    json_write_member_bool(&w, "done", drain->is_done);
    json_write_object_end(&w);
    api_request_json_end(request, 200);
}

static void answer_drain(struct api_request *request)
{
    struct control_mail_drain drain;
    if (control_mail_drain_look(request->control, request->names[0], request->names[1], &drain)) {
        write_drain(request, &drain);
    } else {
        api_problem(request, "not-found", "no users are moved off '%.*s/%.*s'",
                    SLICE_ARG(request->names[0]), SLICE_ARG(request->names[1]));
    }
}

void api_mail_drain_get(struct api_request *request)
{
    answer_drain(request);
    api_request_done(request);
}

struct drain_wish {
    uint32_t mode;
    uint32_t over_ms;
    uint32_t max_parallel;
    struct slice reason;
};

void api_mail_drain_put(struct api_request *request)
{
    static const struct api_body_member members[] = {
        {.key = "mode",
         .kind = API_BODY_WORD,
         .offset = offsetof(struct drain_wish, mode),
         .words = modes},
        {.key = "over",
         .kind = API_BODY_DURATION,
         .offset = offsetof(struct drain_wish, over_ms),
         .max = 7U * DAY_MS},
        {.key = "max_parallel",
         .kind = API_BODY_NUMBER,
         .offset = offsetof(struct drain_wish, max_parallel),
         .min = 1,
         .max = 10000},
        {.key = "reason", .kind = API_BODY_TEXT, .offset = offsetof(struct drain_wish, reason)},
    };
    struct drain_wish asked = {.over_ms = 600000, .max_parallel = 100};
    struct err err = {0};
    struct json *body = api_mail_is_running(request)
                            ? api_body_read(request, members, ARRAY_LEN(members), &asked)
                            : NULL;
    const struct control_mail_drain_wish wish = {
        .pool = request->names[0],
        .server = request->names[1],
        .mode = (enum control_mail_mode)asked.mode,
        .over_ms = asked.over_ms,
        .max_parallel = asked.max_parallel,
    };
    if (body != NULL && !control_mail_drain(request->control, &wish, &err)) {
        api_problem(request, problem_of(&err), "%s", err.text);
    } else if (body != NULL) {
        request->reply.has_changed = true;
        request->reply.is_changed = true;
        log_info("mail.drain", "pool=%.*s server=%.*s mode=%s who=\"%s\" reason=\"%.*s\"",
                 SLICE_ARG(wish.pool), SLICE_ARG(wish.server), modes[wish.mode], request->who,
                 SLICE_ARG(asked.reason));
        answer_drain(request);
    }
    json_free(body);
    api_request_done(request);
}

void api_mail_drain_delete(struct api_request *request)
{
    bool was = control_mail_drain_cancel(request->control, request->names[0], request->names[1]);
    request->reply.has_changed = true;
    request->reply.is_changed = was;
    request->reply.status = 204;
    api_request_done(request);
}
