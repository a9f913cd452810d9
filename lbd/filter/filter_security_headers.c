#include "lbd/filter/filter_security_headers.h"

#include <assert.h>

#define FIELDS_MAX 5U

struct filter_security_headers {
    struct filter filter;
    bool overrides;
    struct slice transport; /* over https only; empty: none */
    uint32_t count;
    struct header_extra fields[FIELDS_MAX];
};

static void add(struct filter_security_headers *self, struct slice name, struct slice value)
{
    assert(self->count < FIELDS_MAX);
    self->fields[self->count++] = (struct header_extra){name, value};
}

static bool build(struct filter *self, const struct conf_policy *conf, struct err *err)
{
    static const struct slice frames[] = {[CONF_FRAME_DENY] = SLICE_INIT("DENY"),
                                          [CONF_FRAME_SAME_ORIGIN] = SLICE_INIT("SAMEORIGIN")};
    const struct conf_policy_security_headers *from = &conf->security_headers;
    struct filter_security_headers *security =
        container_of(self, struct filter_security_headers, filter);
    (void)err;
    security->overrides = from->override != 0;
    if (from->hsts_max_age_s != 0) {
        security->transport = arena_printf(&self->arena, "max-age=%u%s%s", from->hsts_max_age_s,
                                           from->hsts_subdomains != 0 ? "; includeSubDomains" : "",
                                           from->hsts_preload != 0 ? "; preload" : "");
    }
    if (from->no_sniff != 0) {
        add(security, SLICE("X-Content-Type-Options"), SLICE("nosniff"));
    }
    if (from->frame_options != CONF_FRAME_OFF) {
        add(security, SLICE("X-Frame-Options"), frames[from->frame_options]);
    }
    if (from->referrer_policy.len != 0) {
        add(security, SLICE("Referrer-Policy"), arena_copy(&self->arena, from->referrer_policy));
    }
    if (from->content_security_policy.len != 0) {
        add(security, SLICE("Content-Security-Policy"),
            arena_copy(&self->arena, from->content_security_policy));
    }
    return true;
}

static void tell(const struct filter_security_headers *security, struct message *answer,
                 struct slice name, struct slice value)
{
    if (security->overrides) {
        filter_field_drop(answer, name);
    } else if (headers_find_name(&answer->headers, name) != NULL) {
        return;
    }
    (void)filter_field_add(answer, name, value);
}

static void response(struct filter_run *run, const struct filter *self, void **kept,
                     struct message *answer)
{
    const struct filter_security_headers *security =
        (const struct filter_security_headers *)self; /* its first member */
    (void)kept;
    if (security->transport.len != 0 && slice_eq(run->proto, SLICE("https"))) { /* RFC 6797 7.2 */
        tell(security, answer, SLICE("Strict-Transport-Security"), security->transport);
    }
    for (uint32_t i = 0; i < security->count; i++) {
        tell(security, answer, security->fields[i].name, security->fields[i].value);
    }
}

const struct filter_ops filter_security_headers_ops = {
    .size = sizeof(struct filter_security_headers),
    .is_edit = true,
    .build = build,
    .response = response,
};
