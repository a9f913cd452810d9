#include "ctl/admin_target.h"

#include <string.h>

static const char listener_prefix[] = "listener/";

bool admin_target_read(struct ctl *ctl, const char *text, struct admin_target *target,
                       enum ctl_exit *code)
{
    *target = (struct admin_target){.kind = ADMIN_SERVER};
    buf_init(&target->path, CTL_PATH_MAX);
    buf_init(&target->name, CTL_PATH_MAX);
    if (strcmp(text, "process") == 0) {
        target->kind = ADMIN_PROCESS;
        buf_append_text(&target->path, "/v1");
        buf_append_text(&target->name, text);
        return true;
    }
    if (strncmp(text, listener_prefix, strlen(listener_prefix)) == 0) {
        struct slice name = slice_from(text + strlen(listener_prefix));
        target->kind = ADMIN_LISTENER;
        buf_append_text(&target->path, "/v1/listeners");
        rest_client_append_segment(&target->path, name);
        buf_append_text(&target->name, text);
        if (name.len == 0 || name.len > SERVER_NAME_MAX) {
            *code = ctl_fail(ctl, CTL_USAGE, "'%s' must be listener/NAME", text);
            return false;
        }
        return true;
    }
    if (!server_name_find(ctl, text, &target->server, code)) {
        return false;
    }
    if (target->server.server[0] == '\0') {
        *code = ctl_fail(ctl, CTL_USAGE, "'%s' must be POOL/SERVER", text);
        return false;
    }
    server_name_path(&target->server, &target->path);
    buf_printf(&target->name, "%s/%s", target->server.pool, target->server.server);
    return true;
}

void admin_target_fini(struct admin_target *target)
{
    buf_fini(&target->path);
    buf_fini(&target->name);
}

static struct json *get_below(struct ctl *ctl, const struct admin_target *target,
                              const char *suffix, enum ctl_exit *code)
{
    struct buf path;
    buf_init(&path, (size_t)2 * CTL_PATH_MAX);
    buf_printf(&path, "%s%s", target->path.data, suffix);
    struct json *json = ctl_get(ctl, path.data, NULL, code);
    buf_fini(&path);
    return json;
}

struct json *admin_target_get(struct ctl *ctl, const struct admin_target *target,
                              enum ctl_exit *code)
{
    struct json *state = get_below(ctl, target, "/admin-state", code);
    if (state == NULL && *code == CTL_NOT_FOUND && target->kind == ADMIN_SERVER) {
        server_name_hint(ctl, &target->server);
    } else if (state == NULL && *code == CTL_NOT_FOUND) {
        ctl_hint(ctl, "lbctl get listeners");
    }
    return state;
}

bool admin_target_connections(struct ctl *ctl, const struct admin_target *target, uint64_t *count,
                              enum ctl_exit *code)
{
    const struct json *listener;
    struct json *status = get_below(ctl, target, "/status", code);
    *count = ctl_number(status, "connections");
    if (target->kind == ADMIN_PROCESS) {
        *count = 0;
        json_for_each(listener, ctl_member(status, "listeners"))
        {
            *count += ctl_number(listener, "connections");
        }
    }
    bool ok = status != NULL;
    json_free(status);
    return ok;
}
