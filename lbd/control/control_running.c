/* control_running - the document as it runs: servers that the DNS names in place of templates; see
 * control_inside.h.
 *
 *     document --each "dns:", "srv:" becomes its members--> running --> snapshots, registry, health
 *
 * Members are servers like any other, made by the edits that the API would make: what a template
 * sets, they have. Without templates both are the same document. A template without members stays
 * as a server that is unresolved.
 *
 * The groups of SRV records begin at the priority of the template. Where a pool may have none (of
 * mail, whose users stay with a server), those of the first group are its members.
 */
#include <stdio.h>
#include <stdlib.h>

#include "conf/conf_address.h"
#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/control/control_conditions.h"
#include "lbd/control/control_inside.h"

#define POINTER_MAX  160
#define TEMPLATE_MAX 65536U

struct edits {
    struct arena arena;
    struct conf_operation *list;
    uint32_t count;
};

static void add_edit(struct edits *edits, enum conf_edit edit, struct slice pointer,
                     struct slice body)
{
    edits->list[edits->count++] =
        (struct conf_operation){.edit = edit, .pointer = pointer, .body = body};
}

static struct slice pointer_of(struct edits *edits, struct slice pool, struct slice server)
{
    return arena_printf(&edits->arena, "/pools/%.*s/servers/%.*s", SLICE_ARG(pool),
                        SLICE_ARG(server));
}

/* What lies behind the last priority is in its group. */
static uint32_t priority_of(const struct conf_server *template,
                            const struct control_resolve_member *member)
{
    uint32_t priority = template->priority + member->group;
    return priority < CONF_PRIORITIES ? priority : CONF_PRIORITIES - 1;
}

/* The template's settings, then what is the member's own. */
static void add_member(struct edits *edits, const struct conf_pool *pool,
                       const struct conf_server *server, struct slice template,
                       const struct control_resolve_member *member)
{
    struct slice pointer = pointer_of(edits, pool->name, slice_from(member->name));
    if (conf_server_find(pool, slice_from(member->name)) != NULL) {
        log_warn("resolve.name_taken", "pool=%.*s server=%s", SLICE_ARG(pool->name), member->name);
        return;
    }
    add_edit(edits, CONF_EDIT_PUT, pointer, template);
    char more[64] = "";
    int len = 0;
    if (member->weight != 0) {
        len = snprintf(more, sizeof(more), ",\"weight\":%u", member->weight);
    }
    if (member->group != 0) {
        (void)snprintf(more + len, sizeof(more) - (size_t)len, ",\"priority\":%u",
                       priority_of(server, member));
    }
    struct slice own = arena_printf(&edits->arena, "{\"address\":\"%s\",\"sticky_id\":null%s}",
                                    member->address, more);
    add_edit(edits, CONF_EDIT_MERGE, pointer, own);
}

/* `groups`: those of the first only, or of all. NULL: the document would not be valid. */
static struct conf_document *edit(struct conf_document *document, const struct conf_pool *pool,
                                  const struct conf_server *server,
                                  const struct control_resolve_member *members, uint32_t count,
                                  bool groups, bool is_last)
{
    struct edits edits = {.count = 0};
    struct buf template;
    struct conf_errors errors;
    struct err err;
    uint32_t failed = 0;
    arena_init(&edits.arena, NULL, 0);
    buf_init(&template, TEMPLATE_MAX);
    conf_errors_init(&errors);
    edits.list = mem_zero(2 * count + 1, sizeof(*edits.list));
    struct slice pointer = pointer_of(&edits, pool->name, server->name);
    struct conf_document *made = NULL;
    if (conf_document_text(document, pointer, &template)) {
        for (uint32_t i = 0; i < count; i++) {
            if (groups || members[i].group == 0) {
                add_member(&edits, pool, server, buf_slice(&template), &members[i]);
            }
        }
        add_edit(&edits, CONF_EDIT_DELETE, pointer, SLICE_NONE);
        made = conf_document_edit_many(document, edits.list, edits.count, &errors, &err, &failed);
        if (made == NULL && is_last) {
            log_error("resolve.not_used", "pool=%.*s server=%.*s why=\"%s%s%.*s\"",
                      SLICE_ARG(pool->name), SLICE_ARG(server->name), err.text,
                      errors.error_count != 0 ? ": " : "",
                      SLICE_ARG(errors.error_count != 0 ? errors.errors[0].detail : SLICE_NONE));
        }
    }
    free(edits.list);
    conf_errors_fini(&errors);
    buf_fini(&template);
    arena_fini(&edits.arena);
    return made;
}

static struct conf_document *expand(const struct control *control, struct conf_document *document,
                                    const struct conf_pool *pool, const struct conf_server *server)
{
    uint32_t count = 0;
    const struct control_resolve_member *members =
        control_resolve_members(control->resolve, pool, server, &count);
    bool has_groups = false;
    for (uint32_t i = 0; i < count; i++) {
        has_groups = has_groups || members[i].group != 0;
    }
    struct conf_document *made = NULL;
    if (has_groups) {
        made = edit(document, pool, server, members, count, true, false);
    }
    if (made == NULL && count != 0) {
        made = edit(document, pool, server, members, count, false, true);
    }
    if (made == NULL) {
        return document;
    }
    conf_document_unref(document);
    return made;
}

struct conf_document *control_running_make(const struct control *control,
                                           struct conf_document *document)
{
    const struct conf *conf = conf_document_conf(document);
    struct conf_document *made = conf_document_ref(document);
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        for (uint32_t j = 0; j < conf->pools[i].server_count; j++) {
            const struct conf_server *server = &conf->pools[i].servers[j];
            if (conf_address_is_template(server->address)) {
                made = expand(control, made, &conf->pools[i], server);
            }
        }
    }
    return made;
}

bool control_running_may_come(const struct control *control, struct slice key)
{
    const struct conf_pool *known = NULL;
    struct slice name = key;
    struct slice pool_name;
    if (control_server_of(control, key, &known) != NULL || !slice_split(&name, '/', &pool_name)) {
        return false;
    }
    const struct conf_pool *pool = conf_pool_find(conf_document_conf(control->document), pool_name);
    for (uint32_t i = 0; pool != NULL && i < pool->server_count; i++) {
        struct slice template = pool->servers[i].name;
        if (conf_address_is_template(pool->servers[i].address) && slice_starts(name, template) &&
            name.len > template.len && name.ptr[template.len] == '-') {
            return true;
        }
    }
    return false;
}

void control_running_set(struct control *control, struct conf_document *running)
{
    conf_document_unref(control->running);
    control->running = running;
}

static void on_members_ready(struct loop_ready *ready)
{
    struct control *control = container_of(ready, struct control, members_ready);
    if (control->document == NULL || control->newest == NULL || control->is_ending) {
        return;
    }
    struct conf_document *running = control_running_make(control, control->document);
    if (conf_document_same(running, control->running)) {
        conf_document_unref(running);
        return;
    }
    control_running_set(control, running);
    control_commit_running(control);
    control_republish_now(control);
    control_conditions_refresh(control);
}

void control_running_members_changed(void *arg)
{
    struct control *control = arg;
    loop_ready_put(control->options.loop, &control->members_ready, on_members_ready);
}

struct conf_document *control_running(const struct control *control)
{
    return control->running != NULL ? control->running : control->document;
}
