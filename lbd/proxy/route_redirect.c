#include "lbd/proxy/route_redirect.h"

#include "lbd/base/authority.h"
#include "lbd/base/num.h"

static struct slice with_one_slash(struct slice path)
{
    while (path.len > 1 && path.ptr[0] == '/' && path.ptr[1] == '/') {
        path = slice_from_at(path, 1);
    }
    return path;
}

/* "{path}" stands for path and query as they are forwarded. */
static struct slice fill_location(struct slice pattern, const struct message *request,
                                  struct arena *arena)
{
    static const char mark[] = "{path}";
    const char *at = memmem(pattern.ptr, pattern.len, mark, sizeof(mark) - 1);
    if (at == NULL) {
        return pattern;
    }
    struct slice before = slice_of(pattern.ptr, (size_t)(at - pattern.ptr));
    struct slice after = slice_from_at(pattern, before.len + sizeof(mark) - 1);
    struct slice path = before.len == 0 ? with_one_slash(request->path) : request->path;
    const struct slice parts[] = {before, path, request->query, after};
    return arena_join(arena, parts, ARRAY_LEN(parts));
}

static struct slice scheme_of(const struct conf_redirect *redirect, struct slice proto)
{
    switch (redirect->scheme) {
    case CONF_SCHEME_SAME:
        return proto;
    case CONF_SCHEME_HTTP:
        return SLICE("http");
    case CONF_SCHEME_HTTPS:
        return SLICE("https");
    }
    return proto;
}

static struct slice port_of(const struct conf_redirect *redirect, bool stays, uint16_t asked,
                            struct arena *arena)
{
    uint32_t port = redirect->port != 0 ? redirect->port : stays ? asked : 0;
    return port != 0 ? arena_printf(arena, ":%u", port) : SLICE_NONE;
}

bool route_redirect_make(const struct route *route, const struct message *request,
                         struct slice proto, struct pattern_work *patterns, struct arena *arena,
                         struct slice *out)
{
    const struct conf_redirect *redirect = route->redirect;
    if (route->location.len != 0) {
        *out = fill_location(route->location, request, arena);
        return true;
    }
    struct slice path = request->path;
    if (route->path != NULL && !route_path_make(route->path, path, patterns, arena, &path)) {
        return false;
    }
    if (path.len == 0 || path.ptr[0] != '/') {
        path = SLICE("/"); /* OPTIONS * */
    }
    struct slice asked_host;
    uint16_t asked_port = 0;
    authority_split(request->authority, &asked_host, &asked_port);
    struct slice host = redirect->host.len != 0 ? redirect->host : asked_host;
    if (host.len == 0) {
        const struct slice parts[] = {with_one_slash(path), request->query};
        *out = arena_join(arena, parts, ARRAY_LEN(parts));
        return true;
    }
    struct slice scheme = scheme_of(redirect, proto);
    bool stays = redirect->host.len == 0 && slice_eq(scheme, proto);
    const struct slice parts[] = {scheme, SLICE("://"),
                                  host,   port_of(redirect, stays, asked_port, arena),
                                  path,   request->query};
    *out = arena_join(arena, parts, ARRAY_LEN(parts));
    return true;
}
