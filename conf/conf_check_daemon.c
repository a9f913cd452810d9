/* conf_check_daemon - the key `daemon` as a whole; declared in conf_check.h. */
#include <string.h>

#include "conf/conf_check.h"
#include "lbd/base/addr.h"

#define PATH(name_, parent_, key_)                                                                 \
    const struct conf_path name_ = {.parent = (parent_), .key = (key_)}

static bool is_loopback(const struct addr *address)
{
    if (address->u.any.sa_family == AF_INET) {
        return ntohl(address->u.v4.sin_addr.s_addr) >> 24 == 127;
    }
    return address->u.any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address->u.v6.sin6_addr);
}

/* One entry of daemon.api.listen that is no unix socket. */
static bool check_tcp(const struct conf_api *api, const struct conf_path *path,
                      struct conf_errors *errors)
{
    struct slice text = api->listen[path->index];
    struct addr address;
    if (api->tls.chain_file.len != 0 || text.len == 0 || !addr_parse(text, &address)) {
        return true; /* what is no address was refused before */
    }
    if (!is_loopback(&address)) {
        conf_errors_add(
            errors, path, "needs-tls", SLICE_NONE,
            "must be a unix socket or have 'tls' beside it: only a loopback address may "
            "do without (with 'insecure')");
        return false;
    }
    if (api->insecure == 0) {
        conf_errors_add(errors, path, "needs-tls", SLICE_NONE,
                        "must be a unix socket, or have 'tls' or \"insecure\": true beside it");
        return false;
    }
    return true;
}

static bool check_api(const struct conf_api *api, const struct conf_path *parent,
                      struct conf_errors *errors)
{
    const struct conf_api_certificates *names = &api->certificates;
    bool ok = true;
    bool has_tcp = false;
    PATH(path, parent, SLICE("api"));
    PATH(listen, &path, SLICE("listen"));
    for (uint32_t i = 0; i < api->listen_count; i++) {
        const struct conf_path entry = {.parent = &listen, .index = i};
        if (!addr_is_unix(api->listen[i])) {
            has_tcp = true;
            ok = check_tcp(api, &entry, errors) && ok;
        }
    }
    if (api->insecure != 0 && api->tls.chain_file.len != 0) {
        PATH(insecure, &path, SLICE("insecure"));
        conf_errors_add(errors, &insecure, "exclusive-keys", SLICE_NONE,
                        "must not be true beside 'tls': every \"IP:port\" speaks TLS then");
        ok = false;
    }
    if (api->tls.client_ca_file.len == 0 &&
        names->admin_count + names->operate_count + names->read_count + names->metrics_count != 0) {
        PATH(certificates, &path, SLICE("certificates"));
        conf_errors_add(errors, &certificates, "needs-client-ca", SLICE_NONE,
                        "must have 'tls.client_ca_file': without it no certificate is asked for");
        ok = false;
    }
    if (!has_tcp && api->tls.chain_file.len != 0) {
        PATH(tls, &path, SLICE("tls"));
        conf_errors_warn(errors, &tls, "no-effect", "no \"IP:port\" in 'listen': it is not used");
    }
    return ok;
}

/* A list that means nothing in the combined format. */
static bool check_list(const struct conf_access_log *log, uint32_t count, const char *key,
                       const struct conf_path *parent, struct conf_errors *errors)
{
    if (log->format != CONF_ACCESS_COMBINED || count == 0) {
        return true;
    }
    PATH(path, parent, slice_from(key));
    conf_errors_add(errors, &path, "exclusive-keys", SLICE_NONE,
                    "must not be there with \"format\": \"combined\", which has what it has");
    return false;
}

static bool check_access_log(const struct conf_access_log *log, const struct conf_path *parent,
                             struct conf_errors *errors)
{
    bool ok = true;
    PATH(path, parent, SLICE("access_log"));
    PATH(fields, &path, SLICE("fields"));
    ok = check_list(log, log->field_count, "fields", &path, errors) && ok;
    ok = check_list(log, log->request_header_count, "request_headers", &path, errors) && ok;
    ok = check_list(log, log->response_header_count, "response_headers", &path, errors) && ok;
    for (uint32_t i = 0; i < log->field_count; i++) {
        for (uint32_t before = 0; before < i; before++) {
            const struct conf_path entry = {.parent = &fields, .index = i};
            if (slice_eq(log->fields[i], log->fields[before])) {
                conf_errors_add(errors, &entry, "duplicate", SLICE_NONE, "must not stand twice");
                ok = false;
                break;
            }
        }
    }
    if (log->only != CONF_ACCESS_ALL && log->sample != 1) {
        PATH(sample, &path, SLICE("sample"));
        conf_errors_warn(errors, &sample, "no-effect",
                         "with 'only' there is nothing to choose from");
    }
    return ok;
}

#define MEMORY_MIN 1048576U /* what a few dozen connections have */

static bool check_memory(const struct conf_daemon *daemon, const struct conf_path *parent,
                         struct conf_errors *errors)
{
    if (daemon->max_memory_bytes == 0 || daemon->max_memory_bytes >= MEMORY_MIN) {
        return true;
    }
    PATH(path, parent, SLICE("max_memory"));
    conf_errors_add(errors, &path, "out-of-range", SLICE_NONE,
                    "must be at least 1MiB, or 0: three quarters of what the process may have");
    return false;
}

bool conf_check_daemon(const struct conf_daemon *daemon, struct conf_errors *errors)
{
    const struct conf_path root = {0};
    PATH(path, &root, SLICE("daemon"));
    bool ok = check_api(&daemon->api, &path, errors);
    ok = check_memory(daemon, &path, errors) && ok;
    return check_access_log(&daemon->access_log, &path, errors) && ok;
}
