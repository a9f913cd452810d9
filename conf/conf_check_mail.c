/* conf_check_mail - mail: listeners, pools, maps, users, callbacks; see conf_check_inside.h. */
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf_check_inside.h"
#include "lbd/base/mem.h"

#define PATH CONF_CHECK_PATH

#define DOORS_MAX              64U
#define CONF_CHECK_REPEATS_MAX 1000U /* of all repeats of a pattern, multiplied */

static void fail(struct conf_check *check, const struct conf_path *object, const char *key,
                 const char *code, const char *detail)
{
    PATH(at, object, slice_from(key));
    conf_errors_add(check->errors, &at, code, SLICE_NONE, "%s", detail);
    check->ok = false;
}

static void refer(struct conf_check *check, const struct conf_path *object, const char *key,
                  const struct conf_check_names *names, const void *found, struct slice name)
{
    PATH(at, object, slice_from(key));
    conf_check_reference(check, names, found != NULL, name, &at);
}

static void refer_to_pool(struct conf_check *check, const struct conf_path *object,
                          struct slice name)
{
    const struct conf *conf = check->conf;
    const struct conf_check_names names = {conf->pools, conf->pool_count, sizeof(*conf->pools),
                                           "pool"};
    refer(check, object, "pool", &names, conf_pool_find(conf, name), name);
}

/* -- listeners -- */

static void check_tls(struct conf_check *check, const struct conf_listener *listener,
                      const struct conf_path *mail)
{
    const struct conf_listener_mail *of = &listener->mail;
    if (of->starttls && !listener->has_tls) {
        fail(check, mail, "starttls", "not-applicable",
             "must not be set: the listener has no 'tls'");
    }
    if (listener->has_tls || of->allow_cleartext || of->login == CONF_MAIL_LOGIN_NONE) {
        return;
    }
    PATH(at, mail, SLICE("allow_cleartext"));
    conf_errors_warn(check->errors, &at, "no-login",
                     "nobody can log in: the listener has no 'tls', and this is false");
}

static void check_mechanisms(struct conf_check *check, const struct conf_listener *listener,
                             const struct conf_path *mail)
{
    PATH(list, mail, SLICE("mechanisms"));
    for (uint32_t i = 0; i < listener->mail.mechanism_count; i++) {
        const struct conf_path item = {.parent = &list, .index = i};
        if (slice_eq(listener->mail.mechanisms[i], SLICE("external")) &&
            listener->tls.client_auth.mode == CONF_CLIENT_AUTH_OFF) {
            conf_errors_add(check->errors, &item, "not-applicable", SLICE_NONE,
                            "must not be offered: 'tls.client_auth' asks for no certificate");
            check->ok = false;
        }
    }
}

static void check_lookups(struct conf_check *check, const struct conf_listener_mail *of,
                          const struct conf_path *mail)
{
    const struct conf *conf = check->conf;
    const struct conf_check_names maps = {conf->mail_maps, conf->mail_map_count,
                                          sizeof(*conf->mail_maps), "mail map"};
    const struct conf_check_names callbacks = {conf->mail_callbacks, conf->mail_callback_count,
                                               sizeof(*conf->mail_callbacks), "mail callback"};
    PATH(list, mail, SLICE("maps"));
    for (uint32_t i = 0; i < of->map_count; i++) {
        const struct conf_path item = {.parent = &list, .index = i};
        conf_check_reference(check, &maps, conf_mail_map_find(conf, of->maps[i]) != NULL,
                             of->maps[i], &item);
    }
    refer(check, mail, "callback", &callbacks, conf_mail_callback_find(conf, of->callback),
          of->callback);
}

static void check_listener(struct conf_check *check, const struct conf_listener *listener,
                           const struct conf_path *at)
{
    const struct conf_listener_mail *of = &listener->mail;
    bool is_mail = conf_protocol_is_mail(listener->protocol);
    PATH(mail, at, SLICE("mail"));
    if (!is_mail) {
        if (listener->has_mail) {
            conf_errors_warn(check->errors, &mail, "no-effect",
                             "without effect: 'protocol' is none of imap, pop3, smtp, sieve");
        }
        return;
    }
    if (of->login == CONF_MAIL_LOGIN_NONE && listener->protocol != CONF_PROTOCOL_SMTP) {
        fail(check, &mail, "login", "not-applicable", "must not be none: 'protocol' is not smtp");
    }
    if (of->has_cache && listener->protocol != CONF_PROTOCOL_IMAP) {
        fail(check, &mail, "cache", "not-applicable", "must not be set: 'protocol' is not imap");
    }
    if (of->relay == CONF_MAIL_RELAY_TRACK && listener->protocol != CONF_PROTOCOL_IMAP) {
        PATH(relay, &mail, SLICE("relay"));
        conf_errors_warn(check->errors, &relay, "no-effect",
                         "track is without effect: 'protocol' is not imap");
    }
    check_tls(check, listener, &mail);
    check_mechanisms(check, listener, &mail);
    check_lookups(check, of, &mail);
    if (listener->default_pool.len == 0 && of->callback.len == 0 && of->map_count == 0) {
        PATH(pool, at, SLICE("default_pool"));
        conf_errors_warn(check->errors, &pool, "no-default-pool",
                         "none, and no 'mail.maps' or 'mail.callback': only users of 'mail_users' "
                         "with a pool can log in");
    }
}

static void check_routes(struct conf_check *check)
{
    const struct conf *conf = check->conf;
    PATH(routes, &conf_check_root, SLICE("routes"));
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_listener *listener = conf_listener_find(conf, conf->routes[i].listener);
        if (listener != NULL && conf_protocol_is_mail(listener->protocol)) {
            PATH(at, &routes, conf->routes[i].name);
            PATH(field, &at, SLICE("listener"));
            conf_errors_add(check->errors, &field, "invalid-value", SLICE_NONE,
                            "must not be '%.*s': it speaks %s, where 'mail' of the listener says "
                            "where users go",
                            SLICE_ARG(listener->name), conf_protocol_word(listener->protocol));
            check->ok = false;
        }
    }
}

/* -- pools and checks -- */

static void check_pool(struct conf_check *check, const struct conf_pool *pool,
                       const struct conf_path *at)
{
    const struct conf_pool_mail *of = &pool->mail;
    bool is_master = of->credentials == CONF_MAIL_CREDENTIALS_MASTER;
    PATH(mail, at, SLICE("mail"));
    if (of->starttls && !pool->has_tls) {
        fail(check, &mail, "starttls", "not-applicable", "must not be set: the pool has no 'tls'");
    }
    if (is_master && of->master_user.len == 0) {
        fail(check, &mail, "master_user", "missing-key", "must be set: 'credentials' is master");
    }
    if (is_master && of->master_password_file.len == 0) {
        fail(check, &mail, "master_password_file", "missing-key",
             "must be set: 'credentials' is master");
    }
    if (!is_master && of->master_user.len != 0) {
        PATH(user, &mail, SLICE("master_user"));
        conf_errors_warn(check->errors, &user, "no-effect",
                         "without effect: 'credentials' is not master");
    }
}

/* What listeners of these protocols send to the pool. */
static void check_users_of_pool(struct conf_check *check, const struct conf_pool *pool,
                                const struct conf_path *at)
{
    const struct conf *conf = check->conf;
    const struct conf_listener *first = NULL;
    bool is_told = false;
    PATH(mail, at, SLICE("mail"));
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_listener *listener = &conf->listeners[i];
        if (!conf_protocol_is_mail(listener->protocol) ||
            !slice_eq(listener->default_pool, pool->name)) {
            continue;
        }
        if (pool->mail.credentials == CONF_MAIL_CREDENTIALS_NONE &&
            listener->protocol != CONF_PROTOCOL_SMTP) {
            PATH(credentials, &mail, SLICE("credentials"));
            conf_errors_warn(check->errors, &credentials, "no-login",
                             "nobody can log in by %s: only servers of smtp let users in without a "
                             "password (XCLIENT)",
                             conf_protocol_word(listener->protocol));
            return;
        }
        if (first == NULL) {
            first = listener;
        } else if (listener->protocol != first->protocol && !is_told) {
            is_told = true;
            conf_errors_warn(check->errors, at, "two-protocols",
                             "listener '%.*s' leads here by %s and '%.*s' by %s, and a server has "
                             "one port in a pool: one of the two will not be understood",
                             SLICE_ARG(first->name), conf_protocol_word(first->protocol),
                             SLICE_ARG(listener->name), conf_protocol_word(listener->protocol));
        }
    }
}

static bool is_mail_check(enum conf_check_type type)
{
    return type >= CONF_CHECK_IMAP;
}

static void check_health(struct conf_check *check, const struct conf_health_check *health,
                         const struct conf_path *at)
{
    const struct {
        const char *key;
        struct slice value;
    } fields[] = {{"user", health->user}, {"password_file", health->password_file}};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (fields[i].value.len != 0 && !is_mail_check(health->type)) {
            PATH(field, at, slice_from(fields[i].key));
            conf_errors_warn(check->errors, &field, "no-effect",
                             "without effect: 'type' is none of imap, pop3, smtp, sieve");
        }
    }
    if ((health->user.len == 0) != (health->password_file.len == 0)) {
        fail(check, at, health->user.len == 0 ? "user" : "password_file", "missing-key",
             "'user' and 'password_file' must be set together");
    }
}

/* -- where users go -- */

/* The default pools of listeners of mail, each once: whose servers a name alone may mean. */
struct doors {
    const struct conf_pool *pools[DOORS_MAX];
    size_t count; /* DOORS_MAX: there may be more */
};

static void find_doors(const struct conf *conf, struct doors *doors)
{
    doors->count = 0;
    for (uint32_t i = 0; i < conf->listener_count && doors->count < DOORS_MAX; i++) {
        const struct conf_listener *listener = &conf->listeners[i];
        const struct conf_pool *pool = conf_pool_find(conf, listener->default_pool);
        bool is_new = pool != NULL && conf_protocol_is_mail(listener->protocol);
        for (size_t d = 0; is_new && d < doors->count; d++) {
            is_new = doors->pools[d] != pool;
        }
        if (is_new) {
            doors->pools[doors->count++] = pool;
        }
    }
}

/* Does a server of this name stand in one of them? Where there are too many to look: yes. */
static bool leads_there(const struct doors *doors, struct slice server)
{
    bool leads = server.len == 0 || doors->count == 0 || doors->count == DOORS_MAX;
    for (size_t i = 0; !leads && i < doors->count; i++) {
        leads = conf_server_find(doors->pools[i], server) != NULL;
    }
    return leads;
}

static void check_target(struct conf_check *check, const struct doors *doors, struct slice pool,
                         struct slice server, const struct conf_path *at)
{
    refer_to_pool(check, at, pool);
    const struct conf_pool *found = pool.len != 0 ? conf_pool_find(check->conf, pool) : NULL;
    if (pool.len == 0 && !leads_there(doors, server)) {
        PATH(field, at, SLICE("server"));
        conf_errors_warn(check->errors, &field, "no-server",
                         "no pool that a listener of mail leads to has a server '%.*s': logins are "
                         "asked to come again",
                         SLICE_ARG(server));
    }
    if (found != NULL) {
        const struct conf_check_names names = {found->servers, found->server_count,
                                               sizeof(*found->servers), "server"};
        refer(check, at, "server", &names, conf_server_find(found, server), server);
    }
}

/* The larger number of the repeat "{n}", "{n,}" or "{n,m}" at the front, else 1. */
static uint32_t repeats(struct slice pattern)
{
    uint32_t number = 0;
    uint32_t most = 0;
    for (size_t i = 1; i < pattern.len && pattern.ptr[i] != '}'; i++) {
        char c = pattern.ptr[i];
        if (c == ',') {
            number = 0;
        } else if (c < '0' || c > '9') {
            return 1;
        } else if (number < CONF_CHECK_REPEATS_MAX) {
            number = number * 10 + (uint32_t)(c - '0');
        }
        most = number > most ? number : most;
    }
    return most > 1 ? most : 1;
}

/* What makes a pattern expensive: groups that are matched again, and repeats of repeats. NULL: none
 * of that. */
static const char *why_costly(struct slice pattern)
{
    uint64_t states = 1;
    for (size_t i = 0; i < pattern.len; i++) {
        if (pattern.ptr[i] == '\\') {
            i++;
            if (i < pattern.len && pattern.ptr[i] >= '1' && pattern.ptr[i] <= '9') {
                return "back-references are not taken";
            }
        } else if (pattern.ptr[i] == '{') {
            states *= repeats(slice_from_at(pattern, i));
            if (states > CONF_CHECK_REPEATS_MAX) {
                return "it repeats more than 1,000 times";
            }
        }
    }
    return NULL;
}

static void check_pattern(struct conf_check *check, struct slice pattern,
                          const struct conf_path *at)
{
    const char *costly = why_costly(pattern);
    if (costly != NULL) {
        conf_errors_add(check->errors, at, "invalid-name", SLICE_NONE,
                        "must be a cheap regular expression: %s", costly);
        check->ok = false;
        return;
    }
    char *text = mem_slicedup(pattern);
    regex_t compiled;
    int code = regcomp(&compiled, text, REG_EXTENDED);
    if (code != 0) {
        char why[128];
        (void)regerror(code, &compiled, why, sizeof(why));
        conf_errors_add(check->errors, at, "invalid-name", SLICE_NONE,
                        "must be an extended regular expression: %s", why);
        check->ok = false;
    } else {
        regfree(&compiled);
    }
    free(text);
}

/* Names are looked up in lower case, unless some listener keeps theirs; domains always. */
static void check_case(struct conf_check *check, struct slice name, bool is_domain, bool keeps_case,
                       const struct conf_path *at)
{
    size_t from = 0;
    if (!is_domain && keeps_case) {
        const char *sign = memrchr(name.ptr, '@', name.len);
        from = sign != NULL ? (size_t)(sign - name.ptr) : name.len;
    }
    for (size_t i = from; i < name.len; i++) {
        if (name.ptr[i] >= 'A' && name.ptr[i] <= 'Z') {
            conf_errors_warn(check->errors, at, "no-effect",
                             "without effect: names are looked up in lower case");
            return;
        }
    }
}

static bool some_keep_case(const struct conf *conf)
{
    bool keeps = false;
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        keeps = keeps || conf->listeners[i].mail.keep_case != 0;
    }
    return keeps;
}

static void check_map(struct conf_check *check, const struct doors *doors,
                      const struct conf_mail_map *map, const struct conf_path *at)
{
    bool keeps_case = some_keep_case(check->conf);
    PATH(entries, at, SLICE("entries"));
    for (uint32_t i = 0; i < map->entry_count; i++) {
        const struct conf_mail_entry *entry = &map->entries[i];
        PATH(here, &entries, entry->name);
        check_target(check, doors, entry->pool, entry->server, &here);
        if (map->type == CONF_MAIL_MAP_DOMAIN && slice_find(entry->name, '@') != SIZE_MAX) {
            conf_errors_warn(check->errors, &here, "no-effect",
                             "without effect: keys of domain maps are domains, without an '@'");
        }
        if (map->type != CONF_MAIL_MAP_REGEX) {
            check_case(check, entry->name, map->type == CONF_MAIL_MAP_DOMAIN, keeps_case, &here);
        }
        if (map->type == CONF_MAIL_MAP_REGEX) {
            check_pattern(check, entry->name, &here);
        }
    }
}

/* -- pools of one group -- */

/* Servers of one name are one machine: what they and their users are like, pools must say alike. */
static void check_group(struct conf_check *check, const struct conf_pool *first,
                        const struct conf_pool *pool, const struct conf_path *at)
{
    const struct conf_pool_mail *a = &first->mail;
    const struct conf_pool_mail *b = &pool->mail;
    const struct {
        const char *key;
        bool is_same;
    } members[] = {{"affinity", a->affinity == b->affinity},
                   {"failback", a->failback == b->failback},
                   {"down_for", a->down_for_ms == b->down_for_ms},
                   {"linger", a->linger_ms == b->linger_ms}};
    PATH(mail, at, SLICE("mail"));
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (!members[i].is_same) {
            PATH(field, &mail, slice_from(members[i].key));
            conf_errors_warn(
                check->errors, &field, "differs",
                "another one than pool '%.*s' has, of the same group: users are on one "
                "machine by both",
                SLICE_ARG(first->name));
        }
    }
    PATH(servers, at, SLICE("servers"));
    for (uint32_t i = 0; i < pool->server_count; i++) {
        const struct conf_server *other = conf_server_find(first, pool->servers[i].name);
        if (other != NULL && (other->weight != pool->servers[i].weight ||
                              other->weight_percent != pool->servers[i].weight_percent)) {
            PATH(server, &servers, other->name);
            PATH(field, &server, SLICE("weight"));
            conf_errors_warn(check->errors, &field, "differs",
                             "another one than in pool '%.*s', of the same group: new users go to "
                             "other machines by it",
                             SLICE_ARG(first->name));
        }
    }
}

static void check_groups(struct conf_check *check, const struct doors *doors)
{
    PATH(pools, &conf_check_root, SLICE("pools"));
    for (size_t i = 1; i < doors->count; i++) {
        for (size_t first = 0; first < i; first++) {
            if (slice_eq(doors->pools[first]->mail.group, doors->pools[i]->mail.group)) {
                PATH(at, &pools, doors->pools[i]->name);
                check_group(check, doors->pools[first], doors->pools[i], &at);
                break;
            }
        }
    }
}

void conf_check_mail(struct conf_check *check)
{
    const struct conf *conf = check->conf;
    PATH(listeners, &conf_check_root, SLICE("listeners"));
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        PATH(at, &listeners, conf->listeners[i].name);
        check_listener(check, &conf->listeners[i], &at);
    }
    check_routes(check);
    PATH(pools, &conf_check_root, SLICE("pools"));
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        PATH(at, &pools, conf->pools[i].name);
        if (conf->pools[i].has_mail) {
            check_pool(check, &conf->pools[i], &at);
        }
        check_users_of_pool(check, &conf->pools[i], &at);
    }
    PATH(checks, &conf_check_root, SLICE("health_checks"));
    for (uint32_t i = 0; i < conf->health_check_count; i++) {
        PATH(at, &checks, conf->health_checks[i].name);
        check_health(check, &conf->health_checks[i], &at);
    }
    struct doors doors;
    find_doors(conf, &doors);
    check_groups(check, &doors);
    PATH(maps, &conf_check_root, SLICE("mail_maps"));
    for (uint32_t i = 0; i < conf->mail_map_count; i++) {
        PATH(at, &maps, conf->mail_maps[i].name);
        check_map(check, &doors, &conf->mail_maps[i], &at);
    }
    bool keeps_case = some_keep_case(conf);
    PATH(users, &conf_check_root, SLICE("mail_users"));
    for (uint32_t i = 0; i < conf->mail_user_count; i++) {
        PATH(at, &users, conf->mail_users[i].name);
        check_target(check, &doors, conf->mail_users[i].pool, conf->mail_users[i].server, &at);
        check_case(check, conf->mail_users[i].name, false, keeps_case, &at);
    }
    const struct conf_check_names ca_sets = {conf->ca_sets, conf->ca_set_count,
                                             sizeof(*conf->ca_sets), "CA set"};
    PATH(callbacks, &conf_check_root, SLICE("mail_callbacks"));
    for (uint32_t i = 0; i < conf->mail_callback_count; i++) {
        const struct conf_mail_callback *callback = &conf->mail_callbacks[i];
        PATH(at, &callbacks, callback->name);
        refer(check, &at, "ca", &ca_sets, conf_ca_set_find(conf, callback->ca), callback->ca);
    }
}

/* -- who uses what -- */

void conf_check_mail_pools(const struct conf *conf, void (*used)(struct slice pool, void *arg),
                           void *arg)
{
    for (uint32_t i = 0; i < conf->mail_map_count; i++) {
        for (uint32_t e = 0; e < conf->mail_maps[i].entry_count; e++) {
            used(conf->mail_maps[i].entries[e].pool, arg);
        }
    }
    for (uint32_t i = 0; i < conf->mail_user_count; i++) {
        used(conf->mail_users[i].pool, arg);
    }
}

static bool is_pool_unused(const struct conf *conf, struct slice name, struct conf_errors *errors)
{
    bool unused = true;
    PATH(maps, &conf_check_root, SLICE("mail_maps"));
    for (uint32_t i = 0; i < conf->mail_map_count; i++) {
        PATH(at, &maps, conf->mail_maps[i].name);
        PATH(entries, &at, SLICE("entries"));
        for (uint32_t e = 0; e < conf->mail_maps[i].entry_count; e++) {
            const struct conf_mail_entry *entry = &conf->mail_maps[i].entries[e];
            if (slice_eq(entry->pool, name)) {
                PATH(here, &entries, entry->name);
                PATH(field, &here, SLICE("pool"));
                unused = conf_check_report_user(errors, &field, SLICE("pools"), name);
            }
        }
    }
    PATH(users, &conf_check_root, SLICE("mail_users"));
    for (uint32_t i = 0; i < conf->mail_user_count; i++) {
        if (slice_eq(conf->mail_users[i].pool, name)) {
            PATH(at, &users, conf->mail_users[i].name);
            PATH(field, &at, SLICE("pool"));
            unused = conf_check_report_user(errors, &field, SLICE("pools"), name);
        }
    }
    return unused;
}

static bool is_map_unused(const struct conf *conf, struct slice name, struct conf_errors *errors)
{
    bool unused = true;
    PATH(listeners, &conf_check_root, SLICE("listeners"));
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_listener_mail *mail = &conf->listeners[i].mail;
        for (uint32_t m = 0; m < mail->map_count; m++) {
            if (slice_eq(mail->maps[m], name)) {
                PATH(at, &listeners, conf->listeners[i].name);
                PATH(object, &at, SLICE("mail"));
                PATH(list, &object, SLICE("maps"));
                const struct conf_path item = {.parent = &list, .index = m};
                unused = conf_check_report_user(errors, &item, SLICE("mail_maps"), name);
            }
        }
    }
    return unused;
}

static bool is_callback_unused(const struct conf *conf, struct slice name,
                               struct conf_errors *errors)
{
    bool unused = true;
    PATH(listeners, &conf_check_root, SLICE("listeners"));
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        if (slice_eq(conf->listeners[i].mail.callback, name)) {
            PATH(at, &listeners, conf->listeners[i].name);
            PATH(object, &at, SLICE("mail"));
            PATH(field, &object, SLICE("callback"));
            unused = conf_check_report_user(errors, &field, SLICE("mail_callbacks"), name);
        }
    }
    return unused;
}

static bool is_ca_set_unused(const struct conf *conf, struct slice name, struct conf_errors *errors)
{
    bool unused = true;
    PATH(callbacks, &conf_check_root, SLICE("mail_callbacks"));
    for (uint32_t i = 0; i < conf->mail_callback_count; i++) {
        if (slice_eq(conf->mail_callbacks[i].ca, name)) {
            PATH(at, &callbacks, conf->mail_callbacks[i].name);
            PATH(field, &at, SLICE("ca"));
            unused = conf_check_report_user(errors, &field, SLICE("ca_sets"), name);
        }
    }
    return unused;
}

bool conf_check_mail_unused(const struct conf *conf, struct slice collection, struct slice name,
                            struct conf_errors *errors)
{
    static const struct {
        const char *collection;
        bool (*is_unused)(const struct conf *conf, struct slice name, struct conf_errors *errors);
    } rows[] = {{"pools", is_pool_unused},
                {"ca_sets", is_ca_set_unused},
                {"mail_maps", is_map_unused},
                {"mail_callbacks", is_callback_unused}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (slice_eq(collection, slice_from(rows[i].collection))) {
            return rows[i].is_unused(conf, name, errors);
        }
    }
    return true;
}
