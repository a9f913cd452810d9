#include "lbd/control/control_mail.h"

#include <stdlib.h>
#include <string.h>

#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/control/control_inside.h"
#include "lbd/control/control_mail_inside.h"
#include "lbd/worker/clients.h"

#define HOUSEKEEPING_MS 1000U
#define SWEEP_MAX       4096U /* users looked at in one go */
#define FAILBACK_MAX    100U  /* users that come home each second */

struct mail_users *control_mail_users(const struct control *control)
{
    return control->workers != NULL ? workers_mail_users(control->workers) : NULL;
}

struct mail_bans *control_mail_bans(const struct control *control)
{
    return control->workers != NULL ? workers_mail_bans(control->workers) : NULL;
}

struct mail_answers *control_mail_answers(const struct control *control)
{
    return control->workers != NULL ? workers_mail_answers(control->workers) : NULL;
}

/* -- sessions that must go -- */

static void walk(struct control_mail *mail);

static void on_walked(const struct clients_answer *answer, void *arg)
{
    struct control_mail *mail = arg;
    mail->is_walking = false;
    if (answer->ended != 0) {
        log_info("mail.kicked", "sessions=%llu", (unsigned long long)answer->ended);
    }
    if (mail->walks_again) {
        mail->walks_again = false;
        walk(mail);
    }
}

static void walk(struct control_mail *mail)
{
    struct control *control = mail->control;
    const struct clients_query query = {
        .is_kicked = true, .is_end = true, .reason = CLOSE_USER_KICKED};
    if (control->workers == NULL || control->is_ending) {
        return;
    }
    mail->is_walking = true;
    clients_ask(control->workers, &query, on_walked, mail);
}

void control_mail_kicked(struct control *control)
{
    struct control_mail *mail = control->mail;
    if (mail->is_walking) {
        mail->walks_again = true;
    } else {
        walk(mail);
    }
}

/* -- what goes on by itself -- */

struct pool *control_mail_pool(const struct control *control, struct slice name)
{
    const struct snapshot *snapshot = control->newest;
    for (uint32_t i = 0; snapshot != NULL && i < snapshot->pool_count; i++) {
        if (slice_eq(snapshot->pools[i]->name, name)) {
            return snapshot->pools[i];
        }
    }
    return NULL;
}

struct mail_users_wish control_mail_wish(const struct control *control, const struct pool *pool,
                                         struct slice user, uint32_t member)
{
    return (struct mail_users_wish){
        .name = user,
        .pool = pool,
        .wanted = member,
        .now_ms = now_ms(),
        .pools = control->newest->pools,
        .pool_count = control->newest->pool_count,
    };
}

static void go_home(struct control_mail *mail, uint64_t now)
{
    struct control_mail_home *home = mail->homes;
    const struct pool *pool =
        home != NULL ? control_mail_pool(mail->control, slice_from(home->pool)) : NULL;
    uint32_t member =
        pool != NULL ? mail_users_member(pool, slice_from(home->server)) : BALANCER_NONE;
    if (home == NULL) {
        return;
    }
    if (member != BALANCER_NONE &&
        mail_users_failback(control_mail_users(mail->control), pool, member, &home->cursor,
                            FAILBACK_MAX, now) != 0) {
        control_mail_kicked(mail->control);
    }
    if (member == BALANCER_NONE || home->cursor == 0) {
        mail->homes = home->next;
        free(home->pool);
        free(home->server);
        free(home);
    }
}

static void on_timer(struct loop_timer *timer)
{
    struct control_mail *mail = container_of(timer, struct control_mail, timer);
    struct mail_users *users = control_mail_users(mail->control);
    uint64_t now = now_ms();
    if (users == NULL) {
        return;
    }
    mail_users_sweep(users, SWEEP_MAX, now);
    if (mail_users_take_kicked(users)) { /* logins whose users' servers are gone */
        control_mail_kicked(mail->control);
    }
    go_home(mail, now);
    control_mail_drains_turn(mail, now);
    loop_timer_set(mail->control->options.loop, timer, HOUSEKEEPING_MS, on_timer);
}

void control_mail_server_up(struct control *control, struct slice pool, struct slice server)
{
    const struct conf_pool *conf =
        conf_pool_find(conf_document_conf(control_running(control)), pool);
    if (control->workers == NULL || conf == NULL || !conf->has_mail ||
        conf->mail.failback != CONF_MAIL_FAILBACK_KICK) {
        return;
    }
    struct control_mail_home **end = &control->mail->homes;
    while (*end != NULL) {
        if (slice_eq(slice_from((*end)->server), server) &&
            slice_eq(slice_from((*end)->pool), pool)) {
            return;
        }
        end = &(*end)->next;
    }
    *end = mem_zero(1, sizeof(**end));
    (*end)->pool = mem_slicedup(pool);
    (*end)->server = mem_slicedup(server);
}

struct control_mail *control_mail_new(struct control *control)
{
    struct control_mail *mail = mem_zero(1, sizeof(*mail));
    mail->control = control;
    list_init(&mail->drains);
    return mail;
}

void control_mail_start(struct control *control)
{
    loop_timer_set(control->options.loop, &control->mail->timer, HOUSEKEEPING_MS, on_timer);
}

void control_mail_free(struct control_mail *mail)
{
    if (mail == NULL) {
        return;
    }
    loop_timer_stop(&mail->timer);
    control_mail_drains_free(mail);
    while (mail->homes != NULL) {
        struct control_mail_home *next = mail->homes->next;
        free(mail->homes->pool);
        free(mail->homes->server);
        free(mail->homes);
        mail->homes = next;
    }
    free(mail);
}

/* -- where a user goes -- */

uint32_t control_mail_plans(const struct control *control)
{
    return control->newest != NULL ? control->newest->plan_count : 0;
}

static struct slice member_name(const struct pool *pool, uint32_t member)
{
    return member == BALANCER_NONE ? SLICE_NONE : slice_from(pool->members[member].server->name);
}

bool control_mail_route(const struct control *control, uint32_t plan, struct slice user,
                        struct control_mail_route *out)
{
    const struct plan *of = control->newest->plans[plan];
    const struct mail_routes *routes = of->mail_routes;
    if (routes == NULL || !mail_name_make(&routes->rules, user, &out->name) ||
        !mail_routes_find(routes, &out->name, &out->route)) {
        return false;
    }
    const struct pool *pool = out->route.pool;
    out->listener = slice_from(of->listener->name);
    out->has_callback = routes->callback != NULL;
    out->hashed = SLICE_NONE;
    out->server = SLICE_NONE;
    struct mail_name mailbox;
    if (pool != NULL && mail_routes_mailbox(routes, &out->name, &out->route, &mailbox)) {
        out->hashed = member_name(pool, mail_users_hashed(pool, mail_name_slice(&mailbox)));
        out->server =
            out->route.member != BALANCER_NONE ? member_name(pool, out->route.member) : out->hashed;
    }
    return true;
}

static bool is_known(const struct control *control, struct slice name)
{
    struct mail_users *users = control_mail_users(control);
    return users != NULL && mail_users_look(users, name, NULL, NULL) != 0;
}

/* Does a listener make this very name? A table may have others, of listeners that are gone. */
static bool is_made(const struct control *control, struct slice user)
{
    for (uint32_t i = 0; i < control_mail_plans(control); i++) {
        const struct mail_routes *routes = control->newest->plans[i]->mail_routes;
        struct mail_name name;
        if (routes != NULL && mail_name_make(&routes->rules, user, &name) &&
            slice_eq(mail_name_slice(&name), user)) {
            return true;
        }
    }
    return false;
}

struct slice control_mail_name(const struct control *control, struct slice user,
                               struct mail_name *made)
{
    struct mail_name name;
    bool is_here = is_known(control, user);
    bool has_one = false;
    if (is_here && is_made(control, user)) {
        return user;
    }
    for (uint32_t i = 0; i < control_mail_plans(control); i++) {
        const struct mail_routes *routes = control->newest->plans[i]->mail_routes;
        if (routes == NULL || !mail_name_make(&routes->rules, user, &name)) {
            continue;
        }
        bool is_it = is_known(control, mail_name_slice(&name));
        if (is_it || !has_one) {
            has_one = true;
            *made = name;
        }
        if (is_it) {
            return mail_name_slice(made);
        }
    }
    return has_one && !is_here ? mail_name_slice(made) : user;
}

/* -- names in lists -- */

static bool asks_map(const struct mail_routes *routes, struct slice map)
{
    for (uint32_t i = 0; i < routes->map_count; i++) {
        if (slice_eq(routes->maps[i]->conf->name, map)) {
            return true;
        }
    }
    return false;
}

/* One of both is empty. */
static bool leads_to(const struct mail_routes *routes, struct slice pool, struct slice map)
{
    return map.len != 0 ? asks_map(routes, map)
                        : routes->pool != NULL && slice_eq(routes->pool->name, pool);
}

enum control_mail_making control_mail_make(const struct control *control, struct slice pool,
                                           struct slice map, struct slice user,
                                           struct mail_name *made)
{
    static const struct mail_name_rules usual;
    bool has_leading = false;
    bool has_one = false;
    bool has_rules = false;
    for (uint32_t i = 0; i < control_mail_plans(control); i++) {
        const struct mail_routes *routes = control->newest->plans[i]->mail_routes;
        has_leading = has_leading || (routes != NULL && leads_to(routes, pool, map));
    }
    for (uint32_t i = 0; i < control_mail_plans(control); i++) {
        const struct mail_routes *routes = control->newest->plans[i]->mail_routes;
        struct mail_name name;
        if (routes == NULL || (has_leading && !leads_to(routes, pool, map))) {
            continue;
        }
        has_rules = true;
        if (!mail_name_make(&routes->rules, user, &name)) {
            continue;
        }
        if (has_one && !slice_eq(mail_name_slice(&name), mail_name_slice(made))) {
            made->len = user.len; /* no longer than MAIL_USER_MAX, or nobody had made a name */
            memcpy(made->text, user.ptr, user.len);
            return CONTROL_MAIL_DIFFERENT;
        }
        has_one = true;
        *made = name;
    }
    has_one = has_one || (!has_rules && mail_name_make(&usual, user, made));
    return has_one ? CONTROL_MAIL_MADE : CONTROL_MAIL_NONE;
}

bool control_mail_map_keeps_case(const struct control *control, struct slice map)
{
    bool keeps = false;
    for (uint32_t i = 0; i < control_mail_plans(control); i++) {
        const struct mail_routes *routes = control->newest->plans[i]->mail_routes;
        if (routes != NULL && asks_map(routes, map)) {
            keeps = routes->rules.keeps_case;
            if (!keeps) {
                break;
            }
        }
    }
    return keeps;
}

/* -- mailboxes -- */

/* What is looked for among the names that callbacks gave. */
struct renaming {
    const struct control *control;
    struct slice mailbox;    /* is it this one? */
    struct mail_name *first; /* or: the first that is one */
};

/* By the rules of any listener. */
static bool is_mailbox(struct slice renamed, void *arg)
{
    const struct renaming *renaming = arg;
    const struct control *control = renaming->control;
    for (uint32_t i = 0; i < control_mail_plans(control); i++) {
        const struct mail_routes *routes = control->newest->plans[i]->mail_routes;
        struct mail_name name;
        if (routes != NULL && routes->callback != NULL &&
            mail_name_make(&routes->rules, renamed, &name) &&
            slice_eq(mail_name_slice(&name), renaming->mailbox)) {
            return true;
        }
    }
    return false;
}

/* The name that a listener with a callback makes of it; rather one that is known. */
static bool take_mailbox(struct slice renamed, void *arg)
{
    struct renaming *renaming = arg;
    const struct control *control = renaming->control;
    for (uint32_t i = 0; i < control_mail_plans(control); i++) {
        const struct mail_routes *routes = control->newest->plans[i]->mail_routes;
        struct mail_name name;
        if (routes == NULL || routes->callback == NULL ||
            !mail_name_make(&routes->rules, renamed, &name)) {
            continue;
        }
        bool is_it = is_known(control, mail_name_slice(&name));
        if (is_it || renaming->first->len == 0) {
            *renaming->first = name;
        }
        if (is_it) {
            return true;
        }
    }
    return false;
}

/* What callbacks have made of this user, as far as their answers are kept. */
static bool follow_answers(const struct control *control, struct slice name,
                           struct mail_name *mailbox)
{
    struct renaming renaming = {.control = control, .first = mailbox};
    struct mail_answers *answers = control_mail_answers(control);
    mailbox->len = 0;
    if (answers != NULL) {
        mail_answers_renamed(answers, name, take_mailbox, &renaming);
    }
    return mailbox->len != 0;
}

struct slice control_mail_mailbox(const struct control *control, struct slice name,
                                  struct mail_name *made)
{
    struct control_mail_route route;
    if (is_known(control, name)) {
        return name;
    }
    if (follow_answers(control, name, made)) { /* they go before what maps say */
        return mail_name_slice(made);
    }
    for (uint32_t i = 0; i < control_mail_plans(control); i++) {
        if (control_mail_route(control, i, name, &route) && route.route.login.len != 0 &&
            mail_routes_mailbox(control->newest->plans[i]->mail_routes, &route.name, &route.route,
                                made)) {
            return mail_name_slice(made);
        }
    }
    return name;
}

/* -- moves and kicks -- */

/* The pool that is meant, and the member in it. */
static const struct pool *find_target(const struct control *control, struct slice user,
                                      struct slice pool, struct slice server, uint32_t *member)
{
    for (uint32_t i = 0; i < control_mail_plans(control); i++) {
        struct control_mail_route route;
        const struct mail_routes *routes = control->newest->plans[i]->mail_routes;
        const struct pool *found = NULL;
        if (routes == NULL) {
            continue;
        }
        if (pool.len != 0) {
            found = mail_routes_pool(routes, pool);
        } else if (control_mail_route(control, i, user, &route)) {
            found = route.route.pool;
        }
        *member = found != NULL ? mail_users_member(found, server) : BALANCER_NONE;
        if (*member != BALANCER_NONE) {
            return found;
        }
    }
    return NULL;
}

bool control_mail_move(struct control *control, struct slice user, struct slice pool,
                       struct slice server, uint32_t kick_delay_ms, uint32_t *kicked,
                       struct err *err)
{
    struct mail_users *users = control_mail_users(control);
    uint32_t member = BALANCER_NONE;
    struct mail_name made;
    if (users == NULL) {
        return err_set(err, ERR_UNAVAILABLE, "the workers do not run");
    }
    const struct pool *target = find_target(control, user, pool, server, &member);
    if (target == NULL) {
        return err_set(err, ERR_NOT_FOUND,
                       "no pool that listeners of mail lead to has a server '%.*s'",
                       SLICE_ARG(server));
    }
    struct slice mailbox = control_mail_mailbox(control, user, &made);
    const struct mail_users_wish wish = control_mail_wish(control, target, mailbox, member);
    (void)mail_users_move(users, &wish, kick_delay_ms, false, kicked);
    (void)mail_cache_forget_user(control_mail_cache(control), mailbox);
    control_mail_kicked(control);
    return true;
}

/* The names that an operator means with this one: the mailbox, and what a callback has made of the
 * name where that is another one. */
struct meant {
    struct slice names[2];
    size_t count;
    struct mail_name made;
    struct mail_name followed;
};

static void mean(const struct control *control, struct slice user, struct meant *meant)
{
    meant->names[0] = control_mail_mailbox(control, user, &meant->made);
    meant->count = 1;
    if (follow_answers(control, user, &meant->followed) &&
        !slice_eq(mail_name_slice(&meant->followed), meant->names[0])) {
        meant->names[meant->count++] = mail_name_slice(&meant->followed);
    }
}

static struct control_mail_purged purge(struct control *control, struct slice user,
                                        const struct meant *meant)
{
    struct mail_answers *answers = control_mail_answers(control);
    struct control_mail_purged purged = {.answers = mail_answers_forget(answers, user)};
    for (size_t i = 0; i < meant->count; i++) {
        struct renaming renaming = {.control = control, .mailbox = meant->names[i]};
        purged.connections += mail_cache_forget_user(control_mail_cache(control), meant->names[i]);
        purged.answers += mail_answers_forget(answers, meant->names[i]);
        purged.answers += mail_answers_forget_renamed(answers, is_mailbox, &renaming);
    }
    return purged;
}

uint32_t control_mail_kick(struct control *control, struct slice user)
{
    struct mail_users *users = control_mail_users(control);
    struct meant meant;
    uint32_t kicked = 0;
    if (users == NULL) {
        return 0;
    }
    mean(control, user, &meant); /* before the answers that say so are gone */
    for (size_t i = 0; i < meant.count; i++) {
        kicked += mail_users_kick(users, meant.names[i]);
    }
    (void)purge(control, user, &meant);
    control_mail_kicked(control);
    return kicked;
}

struct control_mail_purged control_mail_purge(struct control *control, struct slice user)
{
    struct meant meant;
    if (control_mail_users(control) == NULL) {
        return (struct control_mail_purged){.connections = 0};
    }
    mean(control, user, &meant);
    return purge(control, user, &meant);
}
