#include "api/api_mail_import.h"

#include <stdlib.h>
#include <string.h>

#include "api/api_body.h"
#include "api/api_change.h"
#include "api/api_mail.h"
#include "api/api_problem.h"
#include "api/api_table.h"
#include "lbd/base/addr.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/control/control_mail.h"
#include "lbd/mail/mail_import.h"

#define REASON_MAX 200U

struct wish {
    struct slice text;
    struct slice pool;
};

/* What became of the lines. */
struct tally {
    uint32_t imported;
    uint32_t skipped;
    uint32_t as_written;            /* listeners make different names of them */
    char first_skipped[REASON_MAX]; /* "line 3: no server 'b9'" */
};

static void skip(struct tally *tally, uint32_t line, const char *fmt, ...) LB_PRINTF(3, 4);

static void skip(struct tally *tally, uint32_t line, const char *fmt, ...)
{
    char why[REASON_MAX - 32];
    va_list args;
    if (tally->skipped++ != 0) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);
    (void)snprintf(tally->first_skipped, sizeof(tally->first_skipped), "line %u: %s", line, why);
}

static void write_tally(struct api_request *request, const struct tally *tally)
{
    struct json_write w;
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_member_u64(&w, "imported", tally->imported);
    json_write_member_u64(&w, "skipped", tally->skipped);
    if (tally->skipped != 0) {
        json_write_member_text(&w, "first_skipped", tally->first_skipped);
    }
    if (tally->as_written != 0) {
        json_write_member_u64(&w, "as_written", tally->as_written);
    }
    json_write_object_end(&w);
    api_request_json_end(request, 200);
}

/* A server by its name, or by the host (and port, when one was said) of its address. */
static const struct conf_server *find_server(const struct conf_pool *pool,
                                             const struct mail_import_entry *entry)
{
    const struct conf_server *found = conf_server_find(pool, entry->server);
    for (uint32_t i = 0; found == NULL && i < pool->server_count; i++) {
        struct slice host;
        uint16_t port = 0;
        if (addr_split(pool->servers[i].address, false, &host, &port) &&
            slice_eq_nocase(host, entry->server) && (entry->port == 0 || entry->port == port)) {
            found = &pool->servers[i];
        }
    }
    return found;
}

/* NULL: the reply says why. */
static const struct conf_pool *find_pool(struct api_request *request, struct slice name)
{
    const struct conf *conf = conf_document_conf(control_document(request->control));
    const struct conf_pool *pool = conf_pool_find(conf, name);
    if (pool == NULL) {
        api_problem(request, "not-found", "there is no pool '%.*s'", SLICE_ARG(name));
    }
    return pool;
}

/* Entries whose server the pool has, one after the other. False: that was all. */
static bool next_entry(struct mail_import *import, const struct conf_pool *pool,
                       struct tally *tally, struct mail_import_entry *entry,
                       const struct conf_server **server)
{
    const char *why = "";
    for (;;) {
        switch (mail_import_next(import, entry, &why)) {
        case MAIL_IMPORT_ENTRY:
            *server = find_server(pool, entry);
            if (*server != NULL) {
                return true;
            }
            skip(tally, import->line, "the pool has no server '%.*s'", SLICE_ARG(entry->server));
            break;
        case MAIL_IMPORT_BAD:
            skip(tally, import->line, "%s", why);
            break;
        case MAIL_IMPORT_END:
            return false;
        }
    }
}

/* The name by which users come here, of listeners that lead to the pool or ask the map. False: it
 * is none, and skipped. */
static bool make_name(struct api_request *request, struct tally *tally, uint32_t line,
                      struct slice pool, struct slice map, struct slice user,
                      struct mail_name *made)
{
    switch (control_mail_make(request->control, pool, map, user, made)) {
    case CONTROL_MAIL_MADE:
        return true;
    case CONTROL_MAIL_DIFFERENT:
        tally->as_written++;
        return true;
    case CONTROL_MAIL_NONE:
        skip(tally, line, "'%.*s' is no name for the listeners", SLICE_ARG(user));
        return false;
    }
    return false;
}

/* -- who is where -- */

static void place(struct api_request *request, const struct conf_pool *conf, struct slice text)
{
    struct mail_users *users = control_mail_users(request->control);
    const struct pool *pool = control_mail_pool(request->control, conf->name);
    const struct conf_server *server = NULL;
    struct mail_import import;
    struct mail_import_entry entry;
    struct tally tally = {0};
    mail_import_init(&import, MAIL_IMPORT_AFFINITY, text);
    import.keeps_case = true; /* the listeners' rules say */
    while (next_entry(&import, conf, &tally, &entry, &server)) {
        uint32_t member = pool != NULL ? mail_users_member(pool, server->name) : BALANCER_NONE;
        struct mail_name name;
        if (!make_name(request, &tally, import.line, conf->name, SLICE_NONE, entry.key, &name)) {
            continue;
        }
        if (member != BALANCER_NONE &&
            mail_users_put(users, pool, mail_name_slice(&name), member, now_ms())) {
            tally.imported++;
        } else {
            skip(&tally, import.line, "'%.*s' is here already", SLICE_ARG(mail_name_slice(&name)));
        }
    }
    request->reply.has_changed = true;
    request->reply.is_changed = tally.imported != 0;
    write_tally(request, &tally);
}

static const struct api_body_member text_member = {.key = "text",
                                                   .kind = API_BODY_LONG_TEXT,
                                                   .offset = offsetof(struct wish, text),
                                                   .is_required = true};

void api_mail_import_affinity(struct api_request *request)
{
    struct wish wish = {0};
    struct json *body = api_body_read(request, &text_member, 1, &wish);
    const struct conf_pool *pool = body != NULL ? find_pool(request, request->names[0]) : NULL;
    if (pool != NULL && api_mail_is_running(request)) {
        place(request, pool, wish.text);
    }
    json_free(body);
    api_request_done(request);
}

/* -- popmaps -- */

/* A change that is made of one, until it is. */
struct popmap {
    struct api_request *request;
    struct buf pointer;
    struct buf body;
    struct tally tally;
};

static void free_popmap(struct popmap *popmap)
{
    buf_fini(&popmap->pointer);
    buf_fini(&popmap->body);
    free(popmap);
}

static void on_applied(const struct control_result *result, void *arg)
{
    struct popmap *popmap = arg;
    struct api_request *request = popmap->request;
    api_change_head(request, result);
    if (result->err.kind != ERR_NONE) {
        api_change_fail(request, result, buf_slice(&popmap->pointer));
    } else {
        write_tally(request, &popmap->tally);
    }
    free_popmap(popmap);
    api_request_done(request);
}

/* The entries as a merge patch. */
static void write_patch(struct popmap *popmap, const struct conf_mail_map *map,
                        const struct conf_pool *pool, struct slice text)
{
    const struct control *control = popmap->request->control;
    bool has_users = map->type == CONF_MAIL_MAP_EXACT;
    enum mail_import_kind kind =
        map->type == CONF_MAIL_MAP_REGEX ? MAIL_IMPORT_POPMAP_RE : MAIL_IMPORT_POPMAP;
    const struct conf_server *server = NULL;
    struct mail_import import;
    struct mail_import_entry entry;
    struct json_write w;
    int64_t priority = 1000000;
    json_write_init(&w, &popmap->body, JSON_COMPACT);
    json_write_object_begin(&w);
    mail_import_init(&import, kind, text);
    import.keeps_case = has_users || (map->type != CONF_MAIL_MAP_DOMAIN &&
                                      control_mail_map_keeps_case(control, map->name));
    while (next_entry(&import, pool, &popmap->tally, &entry, &server)) {
        char key[MAIL_USER_MAX + 1];
        struct mail_name name;
        if (has_users && !make_name(popmap->request, &popmap->tally, import.line, SLICE_NONE,
                                    map->name, entry.key, &name)) {
            continue;
        }
        struct slice text_of_key = has_users ? mail_name_slice(&name) : entry.key;
        (void)snprintf(key, sizeof(key), "%.*s", SLICE_ARG(text_of_key));
        json_write_key(&w, key);
        json_write_object_begin(&w);
        json_write_member_string(&w, "pool", pool->name);
        json_write_member_string(&w, "server", server->name);
        if (entry.user.len != 0) {
            json_write_member_string(&w, "login_user", entry.user);
        }
        if (kind == MAIL_IMPORT_POPMAP_RE) { /* perdition takes the first line that fits */
            json_write_member_i64(&w, "priority", priority--);
        }
        json_write_object_end(&w);
        popmap->tally.imported++;
    }
    json_write_object_end(&w);
}

static void fill_map(struct api_request *request, const struct conf_mail_map *map,
                     const struct conf_pool *pool, struct slice text)
{
    struct popmap *popmap = mem_zero(1, sizeof(*popmap));
    popmap->request = request;
    buf_init(&popmap->pointer, 1024);
    buf_init(&popmap->body, API_DOCUMENT_MAX);
    (void)buf_append_text(&popmap->pointer, "/mail_maps/");
    (void)buf_append_slice(&popmap->pointer, request->names[0]);
    (void)buf_append_text(&popmap->pointer, "/entries");
    write_patch(popmap, map, pool, text);
    struct control_change change = {.kind = CONTROL_EDIT,
                                    .edit = CONF_EDIT_MERGE,
                                    .pointer = buf_slice(&popmap->pointer),
                                    .body = buf_slice(&popmap->body)};
    if (popmap->body.overflow) {
        api_problem(request, "too-large", "the map becomes larger than a document may be");
        free_popmap(popmap);
        api_request_done(request);
    } else if (api_change_begin(request, &change)) {
        control_apply(request->control, &change, on_applied, popmap);
    } else {
        free_popmap(popmap);
    }
}

void api_mail_import_map(struct api_request *request)
{
    const struct api_body_member members[] = {text_member,
                                              {.key = "pool",
                                               .kind = API_BODY_TEXT,
                                               .offset = offsetof(struct wish, pool),
                                               .is_required = true}};
    struct wish wish = {0};
    const struct conf *conf = conf_document_conf(control_document(request->control));
    const struct conf_mail_map *map = conf_mail_map_find(conf, request->names[0]);
    struct json *body = api_body_read(request, members, ARRAY_LEN(members), &wish);
    const struct conf_pool *pool = body != NULL ? find_pool(request, wish.pool) : NULL;
    if (pool != NULL && map == NULL) {
        api_problem(request, "not-found", "there is no map '%.*s'", SLICE_ARG(request->names[0]));
        pool = NULL;
    }
    if (pool == NULL) {
        json_free(body);
        api_request_done(request);
        return;
    }
    fill_map(request, map, pool, wish.text);
    json_free(body);
}
