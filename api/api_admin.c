#include "api/api_admin.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/api_admin_wish.h"
#include "api/api_change.h"
#include "api/api_problem.h"
#include "conf/json/json.h"
#include "lbd/base/mem.h"
#include "lbd/control/drains.h"

/* -- what is asked about -- */

static struct control_wish wish_of(const struct api_request *request, enum override_kind kind)
{
    struct control_wish wish = {.kind = kind, .who = slice_from(request->who)};
    switch (kind) {
    case OVERRIDE_ADMIN:
    case OVERRIDE_WEIGHT:
        wish.pool = request->names[0];
        wish.name = request->names[1];
        break;
    case OVERRIDE_LISTENER:
        wish.name = request->names[0];
        break;
    case OVERRIDE_PROCESS:
    case OVERRIDE_KINDS:
        break;
    }
    return wish;
}

static const struct conf_server *server_of(const struct api_request *request,
                                           const struct control_wish *wish)
{
    const struct conf *conf = conf_document_conf(control_running(request->control));
    const struct conf_pool *pool = conf_pool_find(conf, wish->pool);
    return pool != NULL ? conf_server_find(pool, wish->name) : NULL;
}

/* False: there is none, and the reply says so. */
static bool exists(struct api_request *request, const struct control_wish *wish)
{
    const struct conf *conf = conf_document_conf(control_running(request->control));
    switch (wish->kind) {
    case OVERRIDE_ADMIN:
    case OVERRIDE_WEIGHT:
        if (server_of(request, wish) == NULL) {
            api_problem(request, "not-found", "there is no server '%.*s/%.*s'",
                        SLICE_ARG(wish->pool), SLICE_ARG(wish->name));
            return false;
        }
        break;
    case OVERRIDE_LISTENER:
        if (conf_listener_find(conf, wish->name) == NULL) {
            api_problem(request, "not-found", "there is no listener '%.*s'", SLICE_ARG(wish->name));
            return false;
        }
        break;
    case OVERRIDE_PROCESS:
    case OVERRIDE_KINDS:
        break;
    }
    return true;
}

/* -- answers -- */

static void write_drain(struct json_write *w, const struct drain *drain)
{
    json_write_object_begin(w);
    json_write_member_text(w, "target", drain->target);
    json_write_member_text(w, "phase", drain_phase_word(drain->phase));
    api_request_write_time(w, "started", drain->started_wall_us);
    if (drain->ended_wall_us != 0) {
        api_request_write_time(w, "ended", drain->ended_wall_us);
    }
    if (drain->deadline_wall_us != 0) {
        api_request_write_time(w, "deadline", drain->deadline_wall_us);
    }
    json_write_member_text(w, "on_deadline", override_end_word(drain->on_deadline));
    json_write_member_u64(w, "initial", drain->initial);
    json_write_member_u64(w, "remaining", drain->remaining);
    json_write_member_text(w, "reason", drain->reason);
    json_write_member_text(w, "who", drain->who);
    json_write_object_end(w);
}

static void write_percent(struct json_write *w, const char *key, uint32_t percent)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "%u%%", percent);
    json_write_member_text(w, key, text);
}

/* Members that say what was set. */
static void write_set(struct json_write *w, enum override_kind kind,
                      const struct override *override)
{
    if (kind == OVERRIDE_WEIGHT) {
        if (override->percent != 0) {
            write_percent(w, "weight", override->percent);
        } else {
            json_write_member_u64(w, "weight", override->weight);
        }
        if (override->base_percent != 0) {
            write_percent(w, "base", override->base_percent);
        } else {
            json_write_member_u64(w, "base", override->base_weight);
        }
    } else {
        json_write_member_text(w, "state", server_admin_word(override->state));
        json_write_member_text(
            w, "base", server_admin_word(kind == OVERRIDE_ADMIN ? override->base : SERVER_READY));
    }
    json_write_member_text(w, "reason", override->reason);
    json_write_member_text(w, "who", override->who);
    api_request_write_time(w, "since", override->since_wall_us);
    if (override->expires_wall_us != 0) {
        api_request_write_time(w, "expires", override->expires_wall_us);
    }
}

void api_admin_write_drain(const struct api_request *request, struct json_write *w,
                           enum override_kind kind, struct slice key)
{
    const struct drain *drain = drains_find(control_drains(request->control), kind, key);
    if (drain != NULL && drain->phase != DRAIN_CANCELLED) {
        json_write_key(w, "drain");
        write_drain(w, drain);
    }
}

/* `wish` (not NULL: a dry run) stands in for what is. */
static void write_weight(const struct api_request *request, const struct control_wish *target,
                         const struct control_wish *wish, const struct override *override,
                         struct json_write *w)
{
    const struct conf *conf = conf_document_conf(control_running(request->control));
    const struct conf_server *server = server_of(request, target);
    uint32_t configured = conf_share_number(conf_pool_find(conf, target->pool), server);
    uint32_t weight = configured;
    if (wish != NULL) {
        weight = wish->percent != 0 ? conf_share_of(configured, wish->percent) : wish->weight;
    } else if (override != NULL) {
        weight = override->percent != 0 && server->weight_percent != 0
                     ? conf_share_of(configured, override->percent)
                     : override->weight;
    }
    json_write_member_u64(w, "weight", weight);
    json_write_member_u64(w, "configured", configured);
    if (server->weight_percent != 0) {
        write_percent(w, "configured_share", server->weight_percent);
    }
}

static void write_state(const struct api_request *request, const struct control_wish *target,
                        const struct control_wish *wish, const struct override *override,
                        struct json_write *w)
{
    const char *configured = server_admin_word(SERVER_READY);
    if (target->kind == OVERRIDE_ADMIN) {
        configured = conf_admin_state_word(server_of(request, target)->admin_state);
    }
    const char *state = override != NULL ? server_admin_word(override->state) : configured;
    if (wish != NULL) {
        state = server_admin_word(wish->state);
    }
    json_write_member_text(w, "state", state);
    json_write_member_text(w, "configured", configured);
}

static bool is_out(const struct api_request *request, const struct control_wish *target,
                   const struct override *override)
{
    if (override != NULL) {
        return override->state != SERVER_READY;
    }
    return target->kind == OVERRIDE_ADMIN && server_of(request, target)->admin_state != CONF_READY;
}

static void reply_with(struct api_request *request, const struct control_wish *target,
                       const struct control_wish *wish)
{
    char key_text[OVERRIDES_KEY_MAX];
    struct slice key = control_wish_key(target, key_text);
    const struct override *override =
        overrides_find(control_overrides(request->control), target->kind, key);
    struct json_write w;
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    if (target->kind == OVERRIDE_WEIGHT) {
        write_weight(request, target, wish, override, &w);
    } else {
        write_state(request, target, wish, override, &w);
    }
    if (override != NULL) {
        json_write_key(&w, "override");
        json_write_object_begin(&w);
        write_set(&w, target->kind, override);
        json_write_object_end(&w);
    }
    if (target->kind != OVERRIDE_WEIGHT && is_out(request, target, override)) {
        api_admin_write_drain(request, &w, target->kind, key);
    }
    json_write_object_end(&w);
    api_request_json_end(request, 200);
}

/* -- the three methods -- */

static void get(struct api_request *request, enum override_kind kind)
{
    const struct control_wish target = wish_of(request, kind);
    if (exists(request, &target)) {
        reply_with(request, &target, NULL);
    }
    api_request_done(request);
}

/* A request that waits for its wish. */
struct waiting {
    struct api_request *request;
    enum override_kind kind;
    bool is_delete;
};

static void refuse(struct api_request *request, const struct err *err)
{
    struct conf_errors errors;
    if (err->kind != ERR_INVALID) {
        api_problem(request, api_problem_of(err->kind), "%s", err->text);
        return;
    }
    conf_errors_init(&errors);
    conf_errors_add_at(&errors, slice_from(err->place), "wrong-value", SLICE_NONE, "%s", err->text);
    api_problem_with(request, "invalid-body", err->text, &errors);
    conf_errors_fini(&errors);
}

static void on_set(const struct control_wished *wished, void *arg)
{
    struct waiting *waiting = arg;
    struct api_request *request = waiting->request;
    const struct control_wish target = wish_of(request, waiting->kind);
    if (wished->err.kind != ERR_NONE) {
        refuse(request, &wished->err);
    } else if (waiting->is_delete || exists(request, &target)) {
        request->reply.has_changed = true;
        request->reply.is_changed = wished->is_changed;
        if (waiting->is_delete) {
            request->reply.status = 204;
        } else {
            reply_with(request, &target, NULL);
        }
    }
    free(waiting);
    api_request_done(request);
}

/* There is always one: what the configuration says, or what was set over it. */
static bool is_expected(struct api_request *request, enum override_kind kind)
{
    return api_change_expects(request, true, kind == OVERRIDE_WEIGHT ? "weight" : "admin state");
}

/* Asks control; the request is answered later. */
static void wish_for(struct api_request *request, const struct control_wish *wish)
{
    struct waiting *waiting = mem_zero(1, sizeof(*waiting));
    waiting->request = request;
    waiting->kind = wish->kind;
    waiting->is_delete = wish->is_clear;
    control_override_set(request->control, wish, on_set, waiting);
}

static void answer_dry_run(struct api_request *request, const struct control_wish *wish)
{
    struct err err = {0};
    if (!control_override_check(request->control, wish, &err)) {
        refuse(request, &err);
    } else {
        request->reply.has_changed = true;
        if (wish->is_clear) {
            request->reply.status = 204;
        } else {
            reply_with(request, wish, wish);
        }
    }
    api_request_done(request);
}

static void put(struct api_request *request, enum override_kind kind)
{
    struct control_wish wish = wish_of(request, kind);
    struct json_error why;
    struct conf_errors errors;
    bool ok = exists(request, &wish) && is_expected(request, kind);
    if (!ok) {
        api_request_done(request);
        return;
    }
    struct json *body = json_parse(request->body, JSON_STRICT, &json_limits_resource, &why);
    conf_errors_init(&errors);
    if (body == NULL) {
        ok = false;
        conf_errors_add_syntax(&errors, &why);
        api_problem_with(request, why.too_large ? "too-large" : "malformed-json", why.text,
                         &errors);
    } else if (!api_admin_wish_read(body, &wish, &errors)) {
        ok = false;
        api_problem_with(request, "invalid-body",
                         kind == OVERRIDE_WEIGHT ? "the body is not a weight"
                                                 : "the body is not an admin state",
                         &errors);
    }
    conf_errors_fini(&errors);
    if (!ok) {
        api_request_done(request);
    } else if (api_request_flag(request, "dry_run")) {
        answer_dry_run(request, &wish);
    } else {
        wish_for(request, &wish);
    }
    json_free(body);
}

static void clear(struct api_request *request, enum override_kind kind)
{
    struct control_wish wish = wish_of(request, kind);
    wish.is_clear = true;
    if (!exists(request, &wish) || !is_expected(request, kind)) {
        api_request_done(request);
    } else if (api_request_flag(request, "dry_run")) {
        answer_dry_run(request, &wish);
    } else {
        wish_for(request, &wish);
    }
}

void api_admin_get(struct api_request *request)
{
    get(request, OVERRIDE_ADMIN);
}

void api_admin_put(struct api_request *request)
{
    put(request, OVERRIDE_ADMIN);
}

void api_admin_delete(struct api_request *request)
{
    clear(request, OVERRIDE_ADMIN);
}

void api_admin_get_weight(struct api_request *request)
{
    get(request, OVERRIDE_WEIGHT);
}

void api_admin_put_weight(struct api_request *request)
{
    put(request, OVERRIDE_WEIGHT);
}

void api_admin_delete_weight(struct api_request *request)
{
    clear(request, OVERRIDE_WEIGHT);
}

void api_admin_get_listener(struct api_request *request)
{
    get(request, OVERRIDE_LISTENER);
}

void api_admin_put_listener(struct api_request *request)
{
    put(request, OVERRIDE_LISTENER);
}

void api_admin_delete_listener(struct api_request *request)
{
    clear(request, OVERRIDE_LISTENER);
}

void api_admin_get_process(struct api_request *request)
{
    get(request, OVERRIDE_PROCESS);
}

void api_admin_put_process(struct api_request *request)
{
    put(request, OVERRIDE_PROCESS);
}

void api_admin_delete_process(struct api_request *request)
{
    clear(request, OVERRIDE_PROCESS);
}

/* -- lists -- */

static void write_entry(struct json_write *w, enum override_kind kind, struct slice key,
                        const struct override *override)
{
    struct buf target;
    buf_init(&target, 512);
    (void)buf_printf(&target, "%s%.*s", kind == OVERRIDE_LISTENER ? "listener/" : "",
                     SLICE_ARG(key));
    json_write_object_begin(w);
    json_write_member_text(w, "kind", kind == OVERRIDE_WEIGHT ? "weight" : "admin_state");
    json_write_member_string(w, "target", buf_slice(&target));
    write_set(w, kind, override);
    json_write_object_end(w);
    buf_fini(&target);
}

void api_admin_overrides(struct api_request *request)
{
    const struct overrides *overrides = control_overrides(request->control);
    struct json_write w;
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_key(&w, "overrides");
    json_write_array_begin(&w);
    for (size_t i = 0; i < OVERRIDE_KINDS; i++) {
        struct map_entry *entry = NULL;
        map_for_each (entry, &overrides->kinds[i]) {
            write_entry(&w, (enum override_kind)i, entry->key, entry->value);
        }
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    api_request_json_end(request, 200);
    api_request_done(request);
}

void api_admin_drains(struct api_request *request)
{
    const struct drains *drains = control_drains(request->control);
    const struct list_node *running = drains_running(drains);
    const struct list_node *ended = drains_ended(drains);
    struct list_node *node = NULL;
    struct json_write w;
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_key(&w, "drains");
    json_write_array_begin(&w);
    for (node = running->prev; node != running; node = node->prev) {
        write_drain(&w, list_entry(node, struct drain, link));
    }
    list_for_each (node, ended) {
        write_drain(&w, list_entry(node, struct drain, link));
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    api_request_json_end(request, 200);
    api_request_done(request);
}
