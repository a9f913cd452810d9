#include "api/api_admin.h"

#include "api/api_problem.h"
#include "conf/json/json.h"
#include "lbd/control/overrides.h"

#define REASON_MAX 256 /* bytes */

static const struct conf_server *find_server(struct api_request *request)
{
    const struct conf *conf = conf_document_conf(control_document(request->control));
    const struct conf_pool *pool = conf_pool_find(conf, request->names[0]);
    const struct conf_server *server =
        pool != NULL ? conf_server_find(pool, request->names[1]) : NULL;
    if (server == NULL) {
        api_problem(request, "not-found", "there is no server '%.*s/%.*s'",
                    SLICE_ARG(request->names[0]), SLICE_ARG(request->names[1]));
    }
    return server;
}

static void write_state(struct api_request *request, const struct conf_server *server,
                        const char *state)
{
    const struct override *override =
        control_override(request->control, request->names[0], request->names[1]);
    const char *configured = conf_admin_state_word(server->admin_state);
    struct json_write w;

    if (state == NULL) {
        state = override != NULL ? server_admin_word(override->state) : configured;
    }
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_member_text(&w, "state", state);
    json_write_member_text(&w, "configured", configured);
    if (override != NULL) {
        json_write_key(&w, "override");
        json_write_object_begin(&w);
        json_write_member_text(&w, "state", server_admin_word(override->state));
        json_write_member_text(&w, "reason", override->reason);
        json_write_member_text(&w, "who", override->who);
        api_request_write_time(&w, "since", override->since_wall_us);
        json_write_object_end(&w);
    }
    json_write_object_end(&w);
    api_request_json_end(request, 200);
}

void api_admin_get(struct api_request *request)
{
    const struct conf_server *server = find_server(request);
    if (server != NULL) {
        write_state(request, server, NULL);
    }
    api_request_done(request);
}

/* Reads {"state": ..., "reason": ...}; false with all that is wrong in *errors. */
static bool read_wish(const struct json *body, enum server_admin *state, struct slice *reason,
                      struct conf_errors *errors)
{
    const struct json *item = NULL;
    bool has_state = false;
    *reason = SLICE_NONE;
    if (!json_is(body, JSON_OBJECT)) {
        conf_errors_add_at(errors, SLICE_NONE, "wrong-type", SLICE_NONE, "must be an object");
        return false;
    }
    json_for_each(item, body)
    {
        struct slice key = json_key(item);
        if (slice_eq(key, SLICE("state"))) {
            has_state =
                json_is(item, JSON_STRING) && overrides_parse_state(json_string(item), state);
            if (!has_state) {
                conf_errors_add_at(errors, SLICE("/state"), "wrong-value", SLICE_NONE,
                                   "must be \"ready\", \"drain\" or \"maint\"");
                return false;
            }
        } else if (slice_eq(key, SLICE("reason"))) {
            *reason = json_string(item);
            if (!json_is(item, JSON_STRING) || reason->len > REASON_MAX) {
                conf_errors_add_at(errors, SLICE("/reason"), "wrong-value", SLICE_NONE,
                                   "must be a text of at most %u bytes", (unsigned)REASON_MAX);
            }
        } else {
            struct buf pointer;
            buf_init(&pointer, 1024);
            (void)buf_printf(&pointer, "/%.*s", SLICE_ARG(key));
            conf_errors_add_at(errors, buf_slice(&pointer), "unknown-key", SLICE_NONE,
                               "'%.*s' is not a known key; there are \"state\" and \"reason\"",
                               SLICE_ARG(key));
            buf_fini(&pointer);
        }
    }
    if (!has_state) {
        conf_errors_add_at(errors, SLICE_NONE, "missing-key", SLICE_NONE, "\"state\" is missing");
    }
    return errors->error_count == 0;
}

static void on_adopted(const struct control_result *result, void *arg)
{
    (void)result;
    api_request_done(arg);
}

/* Returns true when workers are to be waited for before the answer is sent. */
static bool put_state(struct api_request *request, const struct conf_server *server,
                      enum server_admin state, struct slice reason)
{
    struct err err;
    const struct override *old =
        control_override(request->control, request->names[0], request->names[1]);
    const char *was =
        old != NULL ? server_admin_word(old->state) : conf_admin_state_word(server->admin_state);
    bool is_changed = !slice_eq(slice_from(was), slice_from(server_admin_word(state)));

    request->reply.has_changed = true;
    if (api_request_flag(request, "dry_run")) {
        write_state(request, server, server_admin_word(state));
        return false;
    }
    if (!control_set_admin(request->control, request->names[0], request->names[1], state, reason,
                           slice_from(request->who), &err)) {
        api_problem(request, api_problem_of(err.kind), "%s", err.text);
        return false;
    }
    request->reply.is_changed = is_changed;
    write_state(request, server, NULL);
    return true;
}

void api_admin_put(struct api_request *request)
{
    const struct conf_server *server = find_server(request);
    struct json_error why;
    struct conf_errors errors;
    enum server_admin state = SERVER_READY;
    struct slice reason;
    bool must_wait = false;

    if (server == NULL) {
        api_request_done(request);
        return;
    }
    struct json *body = json_parse(request->body, JSON_STRICT, &json_limits_resource, &why);
    conf_errors_init(&errors);
    if (body == NULL) {
        conf_errors_add_syntax(&errors, &why);
        api_problem_with(request, why.too_large ? "too-large" : "malformed-json", why.text,
                         &errors);
    } else if (!read_wish(body, &state, &reason, &errors)) {
        api_problem_with(request, "invalid-body", "the body is not an admin state", &errors);
    } else {
        must_wait = put_state(request, server, state, reason);
    }
    conf_errors_fini(&errors);
    json_free(body);
    if (must_wait) {
        control_when_adopted(request->control, on_adopted, request);
    } else {
        api_request_done(request);
    }
}

void api_admin_delete(struct api_request *request)
{
    const struct conf_server *server = find_server(request);
    struct err err;
    if (server != NULL && !api_request_flag(request, "dry_run")) {
        request->reply.has_changed = true;
        request->reply.is_changed =
            control_override(request->control, request->names[0], request->names[1]) != NULL;
        if (!control_clear_admin(request->control, request->names[0], request->names[1], &err)) {
            api_problem(request, api_problem_of(err.kind), "%s", err.text);
            api_request_done(request);
            return;
        }
    }
    if (server == NULL) {
        api_request_done(request);
        return;
    }
    request->reply.status = 204;
    control_when_adopted(request->control, on_adopted, request);
}
