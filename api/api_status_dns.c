/* api_status_dns - what is known of the names of servers; see api_status_inside.h. */
#include <stdio.h>

#include "api/api_status_inside.h"
#include "conf/conf_address.h"
#include "lbd/control/control_resolve.h"

static void write_answer(const struct control_resolve_facts *facts, struct json_write *w)
{
    json_write_key(w, "answer");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < facts->count; i++) {
        char text[RESOLVE_NAME_MAX + 64];
        if (facts->kind == RESOLVE_SERVICES) {
            const struct resolve_service *service = &facts->services[i];
            (void)snprintf(text, sizeof(text), "%u %u %u %s", service->priority, service->weight,
                           service->port, service->host);
        } else {
            struct addr_small address;
            addr_small_from(&address, &facts->addresses[i].u.any);
            (void)addr_small_write_ip(&address, text);
        }
        json_write_text(w, text);
    }
    json_write_array_end(w);
}

static void write_facts(const struct control_resolve_facts *facts, struct json_write *w)
{
    json_write_member_text(w, "name", facts->host);
    json_write_member_text(w, "kind", facts->kind == RESOLVE_SERVICES ? "srv" : "address");
    write_answer(facts, w);
    json_write_member_u64(w, "ttl_left_ms", facts->ttl_left_ms);
    json_write_member_bool(w, "stale", facts->is_stale);
    json_write_member_u64(w, "questions", facts->questions);
    json_write_member_u64(w, "failures", facts->failures);
    if (facts->last_wall_us != 0) {
        api_request_write_time(w, "asked_at", facts->last_wall_us);
    }
    if (facts->found_wall_us != 0) {
        api_request_write_time(w, "found_at", facts->found_wall_us);
    }
    if (facts->failure[0] != '\0') {
        json_write_member_text(w, "error", facts->failure);
    }
}

void api_status_write_dns(const struct api_request *request, struct slice pool, struct slice server,
                          struct json_write *w)
{
    struct control_resolve_facts facts;
    if (control_resolve_look(control_names(request->control), pool, server, &facts)) {
        json_write_key(w, "dns");
        json_write_object_begin(w);
        write_facts(&facts, w);
        json_write_object_end(w);
    }
}

static void write_members(const struct control_resolve_member *members, uint32_t count,
                          struct json_write *w)
{
    json_write_key(w, "members");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < count; i++) {
        json_write_text(w, members[i].name);
    }
    json_write_array_end(w);
}

void api_status_write_templates(const struct api_request *request, struct slice pool,
                                struct json_write *w)
{
    const struct control_resolve *names = control_names(request->control);
    const struct conf *conf = conf_document_conf(control_document(request->control));
    const struct conf_pool *of = conf_pool_find(conf, pool);
    bool is_begun = false;
    for (uint32_t i = 0; of != NULL && i < of->server_count; i++) {
        const struct conf_server *server = &of->servers[i];
        struct control_resolve_facts facts;
        uint32_t count = 0;
        if (!conf_address_is_template(server->address) ||
            !control_resolve_look(names, pool, server->name, &facts)) {
            continue;
        }
        if (!is_begun) {
            json_write_key(w, "discovered");
            json_write_object_begin(w);
            is_begun = true;
        }
        json_write_key_slice(w, server->name);
        json_write_object_begin(w);
        write_facts(&facts, w);
        const struct control_resolve_member *members =
            control_resolve_members(names, of, server, &count);
        write_members(members, count, w);
        json_write_object_end(w);
    }
    if (is_begun) {
        json_write_object_end(w);
    }
}
