#include "api/api_config.h"

#include "api/api_change.h"

static void on_looked(const struct control_result *result, void *arg)
{
    struct api_request *request = arg;
    if (result->err.kind != ERR_NONE) {
        api_change_fail(request, result, SLICE_NONE);
    } else {
        api_change_dry_run(request, result, false, SLICE_NONE);
    }
    api_request_done(request);
}

static void look(struct api_request *request, bool is_comparison)
{
    const struct control_change change = {
        .edit = CONF_EDIT_PUT,
        .body = request->body,
        .is_dry_run = true,
        .is_comparison = is_comparison,
        .who = slice_from(request->who),
    };
    control_apply(request->control, &change, on_looked, request);
}

void api_config_validate(struct api_request *request)
{
    look(request, false);
}

void api_config_diff(struct api_request *request)
{
    look(request, true);
}

static void on_reloaded(const struct control_result *result, void *arg)
{
    struct api_request *request = arg;
    struct json_write w;
    api_change_head(request, result);
    if (result->err.kind != ERR_NONE) {
        api_change_fail(request, result, SLICE_NONE);
    } else {
        api_request_json_begin(request, &w);
        json_write_object_begin(&w);
        json_write_member_u64(&w, "revision", result->revision);
        json_write_member_bool(&w, "changed", result->is_changed);
        json_write_object_end(&w);
        api_request_json_end(request, result->is_pending ? 202 : 200);
    }
    api_request_done(request);
}

void api_config_reload(struct api_request *request)
{
    struct control_change change = {.kind = CONTROL_RELOAD};
    if (api_change_begin(request, &change)) {
        change.needs_precondition = false; /* the file knows of no tags */
        control_apply(request->control, &change, on_reloaded, request);
    }
}
