#include "lbd/snapshot/snapshot_mail_routes.h"

#include <stdio.h>

#include "lbd/snapshot/snapshot_call_tls.h"

static struct mail_map *find_map(const struct snapshot *snapshot, struct slice name)
{
    uint32_t low = 0;
    uint32_t high = snapshot != NULL ? snapshot->mail_map_count : 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = slice_compare(snapshot->mail_maps[middle].conf->name, name);
        if (order == 0) {
            return &snapshot->mail_maps[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static struct mail_callback *find_callback(const struct snapshot *snapshot, struct slice name)
{
    for (uint32_t i = 0; snapshot != NULL && i < snapshot->mail_callback_count; i++) {
        if (slice_eq(mail_callback_name(snapshot->mail_callbacks[i]), name)) {
            return snapshot->mail_callbacks[i];
        }
    }
    return NULL;
}

static bool add_callbacks(struct snapshot *snapshot, const struct snapshot_build *build,
                          struct err *err)
{
    const struct conf *conf = conf_document_conf(build->document);
    snapshot->mail_callbacks =
        arena_zero(&snapshot->arena, conf->mail_callback_count * sizeof(*snapshot->mail_callbacks));
    for (uint32_t i = 0; i < conf->mail_callback_count; i++) {
        const struct conf_mail_callback *of = &conf->mail_callbacks[i];
        struct mail_callback *old = find_callback(build->newest, of->name);
        struct tls_client *tls = NULL;
        if (!snapshot_call_tls(build, of->urls, of->url_count, of->ca,
                               old != NULL ? mail_callback_tls(old) : NULL, &tls, err)) {
            (void)snprintf(err->place, sizeof(err->place), "/mail_callbacks/%.*s/ca",
                           SLICE_ARG(of->name));
            return false;
        }
        bool is_same = old != NULL && mail_callback_is_of(old, of, tls);
        snapshot->mail_callbacks[i] = is_same ? mail_callback_ref(old) : mail_callback_new(of, tls);
        snapshot->mail_callback_count++;
        tls_client_unref(tls);
    }
    return true;
}

bool snapshot_mail_routes_build(struct snapshot *snapshot, const struct snapshot_build *build,
                                struct err *err)
{
    const struct conf *conf = conf_document_conf(build->document);
    snapshot->mail_maps =
        arena_zero(&snapshot->arena, conf->mail_map_count * sizeof(*snapshot->mail_maps));
    for (uint32_t i = 0; i < conf->mail_map_count; i++) {
        mail_map_init(&snapshot->mail_maps[i], &conf->mail_maps[i],
                      find_map(build->newest, conf->mail_maps[i].name));
        snapshot->mail_map_count++;
    }
    return add_callbacks(snapshot, build, err);
}

void snapshot_mail_routes_add(struct snapshot *snapshot, const struct conf_listener *conf,
                              struct plan *plan)
{
    const struct conf_listener_mail *mail = &conf->mail;
    if (plan->mail == NULL) {
        return;
    }
    struct mail_routes *routes = arena_zero(&snapshot->arena, sizeof(*routes));
    routes->protocol = plan->mail->offer.protocol;
    routes->rules = (struct mail_name_rules){
        .default_domain = mail->default_domain,
        .extension = (char)(mail->strip_extension.len != 0 ? mail->strip_extension.ptr[0] : 0),
        .separator = (char)(mail->master_separator.len != 0 ? mail->master_separator.ptr[0] : 0),
        .keeps_case = mail->keep_case != 0,
    };
    routes->pools = snapshot->pools;
    routes->pool_count = snapshot->pool_count;
    routes->conf = conf_document_conf(snapshot->document);
    routes->pool = mail_routes_pool(routes, conf->default_pool);
    routes->sessions_per_user = mail->limits.sessions_per_user;
    routes->bans = (struct mail_bans_limits){.failures = mail->limits.ban_failures,
                                             .window_ms = mail->limits.ban_window_ms,
                                             .ban_ms = mail->limits.ban_ms};
    routes->maps = arena_zero(&snapshot->arena, mail->map_count * sizeof(*routes->maps));
    for (uint32_t i = 0; i < mail->map_count; i++) {
        const struct mail_map *map = find_map(snapshot, mail->maps[i]);
        if (map != NULL) { /* conf_check has seen to it */
            routes->maps[routes->map_count++] = map;
        }
    }
    routes->asks_certificate =
        conf->has_tls != 0 && conf->tls.client_auth.mode != CONF_CLIENT_AUTH_OFF;
    routes->callback = mail->callback.len != 0 ? find_callback(snapshot, mail->callback) : NULL;
    plan->mail_routes = routes;
}

void snapshot_mail_routes_fini(struct snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->mail_map_count; i++) {
        mail_map_fini(&snapshot->mail_maps[i]);
    }
    snapshot->mail_map_count = 0;
    for (uint32_t i = 0; i < snapshot->mail_callback_count; i++) {
        mail_callback_unref(snapshot->mail_callbacks[i]);
    }
    snapshot->mail_callback_count = 0;
}
