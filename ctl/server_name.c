#include "ctl/server_name.h"

#include <string.h>

#include "ctl/confirm.h"

static bool copy(char out[SERVER_NAME_MAX + 1], struct slice text)
{
    if (text.len == 0 || text.len > SERVER_NAME_MAX) {
        return false;
    }
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

bool server_name_read(struct ctl *ctl, const char *text, struct server_name *name,
                      enum ctl_exit *code)
{
    struct slice rest = slice_from(text);
    struct slice pool;
    *name = (struct server_name){.pool = ""};
    bool ok = slice_split(&rest, '/', &pool) && copy(name->pool, pool) &&
              (rest.ptr == NULL || (slice_find(rest, '/') == SIZE_MAX && copy(name->server, rest)));
    if (!ok) {
        *code = ctl_fail(ctl, CTL_USAGE, "'%s' must be POOL/SERVER", text);
    }
    return ok;
}

/* Notes one more pool that has the server. */
static void candidate(struct buf *list, struct slice pool, const char *server)
{
    if (list->len != 0) {
        buf_append_text(list, ", ");
    }
    buf_append_slice(list, pool);
    buf_append_char(list, '/');
    buf_append_text(list, server);
}

bool server_name_find(struct ctl *ctl, const char *text, struct server_name *name,
                      enum ctl_exit *code)
{
    if (strchr(text, '/') != NULL) {
        return server_name_read(ctl, text, name, code);
    }
    *name = (struct server_name){.pool = ""};
    if (!copy(name->server, slice_from(text))) {
        *code = ctl_fail(ctl, CTL_USAGE, "'%s' must be POOL/SERVER", text);
        return false;
    }
    struct json *status = ctl_get(ctl, "/v1/status", NULL, code);
    if (status == NULL) {
        return false;
    }
    uint32_t found = 0;
    const struct json *pool;
    struct buf list;
    buf_init(&list, CTL_PATH_MAX);
    json_for_each(pool, json_get(status, SLICE("pools")))
    {
        if (json_get(ctl_member(pool, "servers"), slice_from(name->server)) != NULL) {
            found += copy(name->pool, json_key(pool)) ? 1 : 0;
            candidate(&list, json_key(pool), name->server);
        }
    }
    if (found == 0) {
        *code = ctl_fail(ctl, CTL_NOT_FOUND, "no pool has a server '%s'", text);
        ctl_hint(ctl, "lbctl get servers");
    } else if (found > 1) {
        *code = ctl_fail(ctl, CTL_USAGE, "'%s' may be %s", text,
                         list.data != NULL ? list.data : "in many pools");
    }
    buf_fini(&list);
    json_free(status);
    return found == 1;
}

void server_name_hint(struct ctl *ctl, const struct server_name *name)
{
    if (name->server[0] != '\0') {
        ctl_hint(ctl, "lbctl get servers");
    } else {
        ctl_hint(ctl, "lbctl get pools; a server is POOL/SERVER: lbctl get servers");
    }
}

static bool is_usable(const struct json *server)
{
    return slice_eq(ctl_text(server, "health"), SLICE("up")) &&
           slice_eq(ctl_text(server, "admin"), SLICE("ready"));
}

enum ctl_exit server_name_confirm_last(struct ctl *ctl, const char *text, const char *fate)
{
    struct server_name name;
    struct server_name pool;
    enum ctl_exit code = CTL_OK;
    struct buf path;
    const struct json *server;
    uint64_t others = 0;
    if (ctl->yes) {
        return CTL_OK;
    }
    if (!server_name_read(ctl, text, &name, &code)) {
        return code;
    }
    pool = name;
    pool.server[0] = '\0';
    buf_init(&path, CTL_PATH_MAX);
    server_name_path(&pool, &path);
    buf_append_text(&path, "/status");
    struct json *status = ctl_get(ctl, path.data, NULL, &code);
    const struct json *servers = ctl_member(status, "servers");
    json_for_each(server, servers)
    {
        others += is_usable(server) && !slice_eq(json_key(server), slice_from(name.server)) ? 1 : 0;
    }
    if (others == 0 && is_usable(json_get(servers, slice_from(name.server)))) {
        code = confirm_ask(ctl,
                           "%s is the last server of pool %s that receives requests, and is "
                           "to be %s",
                           text, name.pool, fate);
    }
    json_free(status);
    buf_fini(&path);
    return code;
}

void server_name_path(const struct server_name *name, struct buf *path)
{
    buf_append_text(path, "/v1/pools");
    rest_client_append_segment(path, slice_from(name->pool));
    if (name->server[0] != '\0') {
        buf_append_text(path, "/servers");
        rest_client_append_segment(path, slice_from(name->server));
    }
}
