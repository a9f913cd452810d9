#include "lbd/filter/filter_cors.h"

#include <string.h>

struct filter_cors {
    struct filter filter;
    struct slice *origins;
    uint32_t origin_count;
    bool is_any;
    bool with_credentials;
    struct slice methods; /* lists, as they are sent; empty: not sent */
    struct slice headers;
    struct slice exposed;
    struct slice max_age;
};

/* What a request asks for, if it is one of another site. */
struct asked {
    struct slice origin; /* as it is to be allowed; empty: it is not */
    bool is_preflight;
};

static const struct filter_cors *cors_of(const struct filter *self)
{
    return (const struct filter_cors *)self; /* its first member */
}

static struct slice join(struct arena *arena, const struct slice *list, uint32_t count)
{
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++) {
        len += list[i].len + 2;
    }
    char *out = arena_alloc(arena, len + 1);
    char *at = out;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(at, i == 0 ? "" : ", ", i == 0 ? 0 : 2);
        at += i == 0 ? 0 : 2;
        memcpy(at, list[i].ptr, list[i].len);
        at += list[i].len;
    }
    return slice_of(out, (size_t)(at - out));
}

static bool build(struct filter *self, const struct conf_policy *conf, struct err *err)
{
    const struct conf_policy_cors *from = &conf->cors;
    struct filter_cors *cors = container_of(self, struct filter_cors, filter);
    (void)err;
    cors->origins = arena_zero(&self->arena, from->origin_count * sizeof(*cors->origins));
    for (uint32_t i = 0; i < from->origin_count; i++) {
        cors->is_any = cors->is_any || slice_eq(from->origins[i], SLICE("*"));
        cors->origins[cors->origin_count++] = arena_copy(&self->arena, from->origins[i]);
    }
    cors->with_credentials = from->credentials != 0;
    cors->methods = from->method_count != 0 ? join(&self->arena, from->methods, from->method_count)
                                            : SLICE("GET, HEAD, POST");
    cors->headers = join(&self->arena, from->headers, from->header_count);
    cors->exposed = join(&self->arena, from->exposed, from->exposed_count);
    if (from->max_age_ms != 0) {
        cors->max_age = arena_printf(&self->arena, "%u", from->max_age_ms / 1000);
    }
    return true;
}

bool filter_cors_matches(struct slice pattern, struct slice origin)
{
    static const char mark[] = "://*.";
    const char *star = memmem(pattern.ptr, pattern.len, mark, sizeof(mark) - 1);
    if (star == NULL) {
        return slice_eq(pattern, origin);
    }
    struct slice scheme = slice_of(pattern.ptr, (size_t)(star - pattern.ptr) + 3);
    struct slice domain = slice_from_at(pattern, scheme.len + 1); /* ".example.com:8443" */
    if (!slice_starts(origin, scheme) || !slice_ends(origin, domain) ||
        origin.len <= scheme.len + domain.len) {
        return false;
    }
    for (size_t i = scheme.len; i < origin.len - domain.len; i++) {
        char c = origin.ptr[i];
        bool is_of_a_name = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                            (c == '.' && i > scheme.len && origin.ptr[i - 1] != '.');
        if (!is_of_a_name) {
            return false;
        }
    }
    return origin.ptr[origin.len - domain.len - 1] != '.';
}

static struct slice allow(const struct filter_cors *cors, struct slice origin)
{
    if (cors->is_any) {
        return SLICE("*");
    }
    for (uint32_t i = 0; i < cors->origin_count; i++) {
        if (filter_cors_matches(cors->origins[i], origin)) {
            return origin;
        }
    }
    return SLICE_NONE;
}

static enum filter_verdict request(struct filter_run *run, const struct filter *self, void **kept)
{
    const struct filter_cors *cors = cors_of(self);
    const struct headers *headers = &run->request->headers;
    const struct header *origin = headers_find_name(headers, SLICE("origin"));
    if (origin == NULL) {
        return FILTER_GO_ON;
    }
    struct asked *asked = arena_zero(run->arena, sizeof(*asked));
    *kept = asked;
    asked->origin = allow(cors, header_value(headers, origin));
    asked->is_preflight =
        run->request->method == METHOD_OPTIONS &&
        headers_find_name(headers, SLICE("access-control-request-method")) != NULL;
    if (!asked->is_preflight) {
        return FILTER_GO_ON;
    }
    (void)filter_refuse(run, CLOSE_CORS_PREFLIGHT);
    run->answer.status = 204;
    return FILTER_ANSWERED;
}

static void add(struct message *answer, struct slice name, struct slice value)
{
    if (value.len != 0) {
        (void)filter_field_add(answer, name, value);
    }
}

static void response(struct filter_run *run, const struct filter *self, void **kept,
                     struct message *answer)
{
    const struct filter_cors *cors = cors_of(self);
    const struct asked *asked = *kept;
    static const struct slice ours[] = {
        SLICE_INIT("Access-Control-Allow-Origin"),   SLICE_INIT("Access-Control-Allow-Credentials"),
        SLICE_INIT("Access-Control-Allow-Methods"),  SLICE_INIT("Access-Control-Allow-Headers"),
        SLICE_INIT("Access-Control-Expose-Headers"), SLICE_INIT("Access-Control-Max-Age"),
    };
    (void)run;
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        filter_field_drop(answer, ours[i]);
    }
    if (!cors->is_any) { /* caches must not give one site the answer to another, or to none */
        add(answer, SLICE("Vary"), SLICE("Origin"));
    }
    if (asked == NULL || asked->origin.len == 0) {
        return;
    }
    add(answer, ours[0], asked->origin);
    add(answer, ours[1], cors->with_credentials ? SLICE("true") : SLICE_NONE);
    if (asked->is_preflight) {
        add(answer, ours[2], cors->methods);
        add(answer, ours[3], cors->headers);
        add(answer, ours[5], cors->max_age);
    } else {
        add(answer, ours[4], cors->exposed);
    }
}

const struct filter_ops filter_cors_ops = {
    .size = sizeof(struct filter_cors),
    .is_edit = true,
    .build = build,
    .request = request,
    .response = response,
};
