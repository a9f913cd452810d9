/* control_admin - admin states set by hand, on top of the document; declared in control.h. */
#include <stdlib.h>
#include <string.h>

#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/control/control_inside.h"

static enum server_admin configured(const struct conf_server *server)
{
    switch (server->admin_state) {
    case CONF_READY:
        return SERVER_READY;
    case CONF_DRAIN:
        return SERVER_DRAIN;
    case CONF_MAINT:
        break;
    }
    return SERVER_MAINT;
}

enum server_admin control_admin_of(const struct control *control, const struct conf_pool *pool,
                                   const struct conf_server *server)
{
    const struct override *override = overrides_find(&control->overrides, pool->name, server->name);
    return override != NULL ? override->state : configured(server);
}

const struct override *control_override(const struct control *control, struct slice pool,
                                        struct slice server)
{
    return overrides_find(&control->overrides, pool, server);
}

uint32_t control_override_count(const struct control *control)
{
    return (uint32_t)control->overrides.servers.count;
}

static bool save(struct control *control, const struct overrides *overrides, struct err *err)
{
    struct buf text;
    buf_init(&text, 64U * 1024U * 1024U);
    overrides_write(overrides, &text);
    bool ok = conf_store_save_overrides(control->store, buf_slice(&text), err);
    if (!ok) {
        control->facts.persist_failures++;
        log_error("overrides.persist_failed", "why=\"%s\"", err->text);
    }
    buf_fini(&text);
    return ok;
}

static const struct conf_server *find(const struct control *control, struct slice pool,
                                      struct slice server, struct err *err)
{
    const struct conf_pool *found = conf_pool_find(conf_document_conf(control->document), pool);
    if (found == NULL) {
        (void)err_set(err, ERR_NOT_FOUND, "there is no pool named '%.*s'", SLICE_ARG(pool));
        return NULL;
    }
    const struct conf_server *member = conf_server_find(found, server);
    if (member == NULL) {
        (void)err_set(err, ERR_NOT_FOUND, "pool '%.*s' has no server named '%.*s'", SLICE_ARG(pool),
                      SLICE_ARG(server));
    }
    return member;
}

/* Saves first; what was saved then takes effect at once: workers read the state of a server with
 * every choice, the new generation only makes them close its idle connections and even out the
 * schedule. */
static bool take_effect(struct control *control, struct overrides *next, struct slice pool,
                        struct slice server, enum server_admin state, struct err *err)
{
    if (!save(control, next, err)) {
        return false;
    }
    overrides_swap(&control->overrides, next);
    struct registry_server *live = registry_find_server(&control->registry, pool, server);
    if (live != NULL) {
        if (server_set_admin(live->server, state, now_wall_us())) {
            registry_touch(&control->registry, pool);
        }
        control_health_heed_admin(control->health, pool, server);
        control_republish_now(control);
    }
    return true;
}

bool control_set_admin(struct control *control, struct slice pool, struct slice server,
                       enum server_admin state, struct slice reason, struct slice who,
                       struct err *err)
{
    const struct conf_server *member = find(control, pool, server, err);
    if (member == NULL) {
        return false;
    }

    struct overrides next;
    struct override value = {
        .state = state,
        .base = configured(member),
        .since_wall_us = now_wall_us(),
        .reason = mem_slicedup(reason),
        .who = mem_slicedup(who),
    };
    overrides_init(&next);
    overrides_copy(&next, &control->overrides);
    (void)overrides_remove(&next, pool, server);
    if (state != value.base) { /* what is configured needs no override */
        overrides_put(&next, pool, server, &value);
    }
    bool ok = take_effect(control, &next, pool, server, state, err);
    if (ok) {
        log_info("server.admin", "pool=%.*s server=%.*s state=%s who=\"%s\" reason=\"%s\"",
                 SLICE_ARG(pool), SLICE_ARG(server), server_admin_word(state), value.who,
                 value.reason);
    }
    overrides_fini(&next);
    free(value.reason);
    free(value.who);
    return ok;
}

bool control_clear_admin(struct control *control, struct slice pool, struct slice server,
                         struct err *err)
{
    const struct conf_server *member = find(control, pool, server, err);
    if (member == NULL) {
        return false;
    }

    struct overrides next;
    bool ok = true;
    overrides_init(&next);
    overrides_copy(&next, &control->overrides);
    if (overrides_remove(&next, pool, server)) {
        ok = take_effect(control, &next, pool, server, configured(member), err);
        if (ok) {
            log_info("server.admin", "pool=%.*s server=%.*s state=%s override=cleared",
                     SLICE_ARG(pool), SLICE_ARG(server), server_admin_word(configured(member)));
        }
    }
    overrides_fini(&next);
    return ok;
}

void control_supersede_overrides(struct control *control)
{
    const struct conf *conf = conf_document_conf(control->document);
    struct overrides next;
    struct map_entry *entry = NULL;
    bool is_changed = false;

    overrides_init(&next);
    map_for_each (entry, &control->overrides.servers) {
        const struct override *override = entry->value;
        struct slice rest = entry->key;
        struct slice pool_name;
        (void)slice_split(&rest, '/', &pool_name);
        const struct conf_pool *pool = conf_pool_find(conf, pool_name);
        const struct conf_server *server = pool != NULL ? conf_server_find(pool, rest) : NULL;
        if (server != NULL && configured(server) == override->base) {
            overrides_put(&next, pool_name, rest, override);
            continue;
        }
        is_changed = true;
        log_info("override.superseded", "server=%.*s state=%s why=\"%s\"", SLICE_ARG(entry->key),
                 server_admin_word(override->state),
                 server == NULL ? "the server is gone" : "its configured state was edited");
    }
    if (is_changed) {
        struct err err;
        overrides_swap(&control->overrides, &next);
        /* A file that keeps a dead override does no harm: it is dropped again at the next start. */
        (void)save(control, &control->overrides, &err);
    }
    overrides_fini(&next);
}
