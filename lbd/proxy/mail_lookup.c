#include "lbd/proxy/mail_lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/log.h"
#include "lbd/base/mailbox.h"
#include "lbd/base/mem.h"
#include "lbd/proxy/mail_cache.h"
#include "lbd/proxy/proxy_worker.h"

/* So long a login waits for a user's kicked sessions to go. */
#define PATIENCE_MS 5000U
/* So often a callback may say WAIT in one login. */
#define WAITS_MAX 10U

/* A word for the log, on its way to control. */
struct word {
    struct mailbox_message message;
    char text[512];
};

static void log_word(struct mailbox_message *message, void *receiver)
{
    struct word *word = container_of(message, struct word, message);
    (void)receiver;
    log_warn("mail.lookup", "why=\"%s\"", word->text);
    free(word);
}

/* At most one a second of each worker. */
static void tell_control(struct proxy_worker *proxy, const char *text)
{
    uint64_t now_us = loop_now_us(proxy->loop);
    if (proxy->control == NULL ||
        (proxy->mail_told_us != 0 && now_us < proxy->mail_told_us + 1000000)) {
        return;
    }
    struct word *word = mem_zero(1, sizeof(*word));
    proxy->mail_told_us = now_us;
    word->message.deliver = log_word;
    (void)snprintf(word->text, sizeof(word->text), "%s", text);
    mailbox_post(proxy->control, &word->message);
}

static uint64_t now_ms(const struct mail_lookup *lookup)
{
    return loop_now_us(lookup->question.proxy->loop) / 1000;
}

/* What of it a client is told: a disabled user is a wrong password, and our mistakes pass. */
static enum mail_refusal told_as(enum mail_refusal why)
{
    switch (why) {
    case MAIL_DISABLED:
        return MAIL_REFUSED;
    case MAIL_INTERNAL:
        return MAIL_UNAVAILABLE;
    case MAIL_REFUSED:
    case MAIL_REFUSED_AS_IS:
    case MAIL_TOO_MANY:
    case MAIL_UNAVAILABLE:
        break;
    }
    return why;
}

static enum mail_lookup_state refuse(struct mail_lookup *lookup, enum mail_refusal refusal,
                                     const char *problem)
{
    if (refusal == MAIL_INTERNAL) { /* the site's mistake, or its callback's */
        tell_control(lookup->question.proxy, problem);
    }
    lookup->result = (struct mail_lookup_result){
        .is_refused = true,
        .refusal = told_as(refusal),
        .why = refusal,
        .problem = problem,
        .member = BALANCER_NONE,
        .by = "",
    };
    return MAIL_LOOKUP_READY;
}

/* A login that came to nothing without a server: it counts as one that a server refused. */
static void note_failure(struct mail_lookup *lookup)
{
    if (lookup->name.len != 0) {
        (void)mail_lookup_refused(lookup);
    }
}

/* -- the server -- */

static enum mail_lookup_state sit_down(struct mail_lookup *lookup);

static void on_wait_over(struct loop_timer *timer)
{
    struct mail_lookup *lookup = container_of(timer, struct mail_lookup, timer);
    if (sit_down(lookup) == MAIL_LOOKUP_READY) {
        lookup->fn(lookup);
    }
}

/* Is it the server that decides whether the client may act as another user? */
static bool asks_server(const struct mail_lookup *lookup)
{
    const struct mail_login *login = lookup->question.login;
    return login != NULL && mail_login_authzid(login).len != 0 && !lookup->route.pool->needs_proof;
}

static void let_in(struct mail_lookup *lookup, uint32_t member)
{
    bool has_login = lookup->route.login.len != 0;
    /* what entries and maps have is the name of the one whose mailbox it is */
    bool is_of_other = has_login && asks_server(lookup) && !lookup->is_named;
    struct slice at_server = has_login ? mail_name_slice(&lookup->route.login) : SLICE_NONE;
    lookup->result = (struct mail_lookup_result){
        .pool = lookup->route.pool,
        .member = member,
        .user = is_of_other ? SLICE_NONE : at_server,
        .authzid = is_of_other ? at_server : SLICE_NONE,
        .secret = slice_of(lookup->secret, lookup->secret_len),
        .by = lookup->route.by,
        .problem = "",
    };
}

/* What the cache has of a user who must go elsewhere is closed before it gets in there. */
static void forget_parked(const struct mail_lookup *lookup)
{
    const struct mail_cache_worker *cache = lookup->question.proxy->mail_cache;
    if (cache != NULL) {
        (void)mail_cache_forget_user(mail_cache_of(cache), mail_name_slice(&lookup->mailbox));
    }
}

static enum mail_lookup_state sit_down(struct mail_lookup *lookup)
{
    const struct mail_users_wish wish = {
        .name = mail_name_slice(&lookup->mailbox),
        .pool = lookup->route.pool,
        .wanted = lookup->route.member,
        .protocol = lookup->question.routes->protocol,
        .now_ms = now_ms(lookup),
        .pools = lookup->question.routes->pools,
        .pool_count = lookup->question.routes->pool_count,
    };
    uint32_t member = BALANCER_NONE;
    uint32_t wait_ms = 0;
    switch (mail_users_enter(lookup->question.proxy->mail_users, &wish, &lookup->seat, &member,
                             &wait_ms)) {
    case MAIL_USERS_IN:
        let_in(lookup, member);
        return MAIL_LOOKUP_READY;
    case MAIL_USERS_WAIT:
        forget_parked(lookup);
        if (wish.now_ms + wait_ms > lookup->give_up_ms) {
            return refuse(lookup, MAIL_UNAVAILABLE, "the user is being moved or kicked");
        }
        loop_timer_set(lookup->question.proxy->loop, &lookup->timer, wait_ms, on_wait_over);
        return MAIL_LOOKUP_PENDING;
    case MAIL_USERS_UNAVAILABLE:
        break;
    }
    return refuse(lookup, MAIL_UNAVAILABLE, "the user's server cannot be used");
}

/* Whose mailbox it is about. */
static struct slice wanted_user(const struct mail_login *login)
{
    struct slice authzid = mail_login_authzid(login);
    return authzid.len != 0 ? authzid : mail_login_user(login);
}

/* Somebody wants to act as another, and neither is the server asked, who would have to allow it,
 * nor has the callback said who it is. That a map has a name for the other is no leave. */
static bool is_without_leave(const struct mail_lookup *lookup)
{
    struct mail_name self;
    const struct mail_lookup_question *question = &lookup->question;
    const struct mail_login *login = question->login;
    if (login == NULL || mail_login_authzid(login).len == 0 || !lookup->route.pool->needs_proof ||
        lookup->is_named) {
        return false;
    }
    return !mail_name_make(&question->routes->rules, mail_login_user(login), &self) ||
           !slice_eq(mail_name_slice(&self), mail_name_slice(&lookup->name));
}

static enum mail_lookup_state go(struct mail_lookup *lookup)
{
    if (lookup->route.pool == NULL) {
        (void)snprintf(lookup->problem, sizeof(lookup->problem),
                       "nothing says to which pool '%.*s' goes, or that has no such server",
                       SLICE_ARG(mail_name_slice(&lookup->name)));
        return refuse(lookup, MAIL_INTERNAL, lookup->problem);
    }
    const struct mail_login *login = lookup->question.login;
    if (lookup->route.pool->needs_proof && login != NULL && login->mechanism != MAIL_EXTERNAL &&
        !lookup->is_proved) {
        return refuse(
            lookup, MAIL_INTERNAL,
            "the pool shows servers no password of clients, and no callback looked at it");
    }
    if (is_without_leave(lookup)) {
        note_failure(lookup);
        return refuse(lookup, MAIL_REFUSED, "nobody has said that it may act as another user");
    }
    if (login == NULL) { /* nobody: any server will do */
        let_in(lookup, lookup->route.member);
        return MAIL_LOOKUP_READY;
    }
    if (lookup->is_named && asks_server(lookup)) { /* it is told whom the client wants to be */
        lookup->mailbox = lookup->name;
    } else if (!mail_routes_mailbox(lookup->question.routes, &lookup->name, &lookup->route,
                                    &lookup->mailbox)) {
        return refuse(lookup, MAIL_INTERNAL, "the name at the server is none of a user");
    }
    lookup->give_up_ms = now_ms(lookup) + PATIENCE_MS; /* however long the callback took */
    return sit_down(lookup);
}

/* -- the callback -- */

static enum mail_lookup_state ask(struct mail_lookup *lookup);

/* The server at this address, the listener's pool first, then others of mail. */
static bool find_address(struct mail_lookup *lookup, const struct addr *address)
{
    const struct mail_routes *routes = lookup->question.routes;
    for (uint32_t i = 0; i <= routes->pool_count; i++) {
        const struct pool *pool = i == 0 ? routes->pool : routes->pools[i - 1];
        bool is_asked = pool != NULL && (i == 0 || (pool->mail != NULL && pool != routes->pool));
        for (uint32_t m = 0; is_asked && m < pool->count; m++) {
            if (addr_eq(&pool->members[m].address, address)) {
                lookup->route.pool = pool;
                lookup->route.member = m;
                return true;
            }
        }
    }
    return false;
}

static bool find_names(struct mail_lookup *lookup, const struct mail_ask_answer *answer)
{
    const struct mail_routes *routes = lookup->question.routes;
    struct slice pool = slice_from(answer->pool);
    struct slice server = slice_from(answer->server);
    lookup->route.pool = pool.len != 0 ? mail_routes_pool(routes, pool) : routes->pool;
    lookup->route.member = BALANCER_NONE;
    if (lookup->route.pool != NULL && server.len != 0) {
        lookup->route.member = mail_users_member(lookup->route.pool, server);
        return lookup->route.member != BALANCER_NONE;
    }
    return lookup->route.pool != NULL;
}

static void keep_secret(struct mail_lookup *lookup, const struct mail_ask_answer *answer)
{
    if (answer->secret_len != 0) {
        lookup->secret_len = answer->secret_len;
        lookup->secret = mem_alloc(answer->secret_len);
        memcpy(lookup->secret, answer->secret, answer->secret_len);
    }
}

static enum mail_lookup_state send_away(struct mail_lookup *lookup,
                                        const struct mail_ask_answer *answer)
{
    bool has_code = answer->code[0] != '\0' && lookup->question.routes->protocol == MAIL_SMTP;
    int len = snprintf(lookup->text, sizeof(lookup->text), "%s%s%.*s", has_code ? answer->code : "",
                       has_code ? " " : "", (int)answer->text_len, answer->text);
    if (answer->code[0] != '4') { /* that one says: later */
        note_failure(lookup);
    }
    (void)refuse(lookup, MAIL_REFUSED_AS_IS, "the callback refused");
    lookup->result.text = slice_of(lookup->text, (size_t)len);
    lookup->result.may_retry = answer->has_wait;
    lookup->result.has_delay = answer->has_wait;
    lookup->result.delay_ms = answer->wait_s * 1000;
    return MAIL_LOOKUP_READY;
}

static enum mail_lookup_state go_where_it_says(struct mail_lookup *lookup,
                                               const struct mail_ask_answer *answer)
{
    lookup->is_proved = true;
    if (answer->user_len != 0) {
        lookup->is_named = true;
        lookup->route.login.len = answer->user_len;
        memcpy(lookup->route.login.text, answer->user, answer->user_len);
    }
    keep_secret(lookup, answer);
    if (lookup->route.is_known) { /* a map has said where; it was asked for the password only */
        return go(lookup);
    }
    lookup->route.by = "callback";
    if (answer->address.len != 0 ? find_address(lookup, &answer->address)
                                 : find_names(lookup, answer)) {
        return go(lookup);
    }
    char address[ADDR_TEXT_MAX] = "";
    if (answer->address.len != 0) {
        (void)addr_write(&answer->address, address);
    }
    (void)snprintf(lookup->problem, sizeof(lookup->problem),
                   "callback '%.*s' names %s%s%s%s, which is no server of a pool of mail",
                   SLICE_ARG(mail_callback_name(lookup->question.routes->callback)), address,
                   answer->pool, answer->pool[0] != '\0' && answer->server[0] != '\0' ? "/" : "",
                   answer->server);
    return refuse(lookup, MAIL_INTERNAL, lookup->problem);
}

static enum mail_lookup_state without_answer(struct mail_lookup *lookup, const char *why)
{
    (void)snprintf(lookup->problem, sizeof(lookup->problem), "%s", why);
    if (mail_callback_on_error(lookup->question.routes->callback) == CONF_MAIL_CALLBACK_HASH) {
        return go(lookup);
    }
    return refuse(lookup, MAIL_INTERNAL, lookup->problem);
}

static void on_wait_to_ask_over(struct loop_timer *timer)
{
    struct mail_lookup *lookup = container_of(timer, struct mail_lookup, timer);
    if (ask(lookup) == MAIL_LOOKUP_READY) {
        lookup->fn(lookup);
    }
}

static void count(const struct mail_lookup *lookup, const struct mail_ask_answer *answer)
{
    static const enum counters_callback of[] = {
        [MAIL_ASK_OK] = COUNTERS_CALLBACK_OK,
        [MAIL_ASK_REFUSED] = COUNTERS_CALLBACK_REFUSED,
        [MAIL_ASK_WAIT] = COUNTERS_CALLBACK_WAIT,
        [MAIL_ASK_BAD] = COUNTERS_CALLBACK_FAILED,
    };
    struct counters_worker *counters = lookup->question.proxy->counters;
    if (counters != NULL) {
        struct counters_mail *mail = &counters->mail[lookup->question.routes->protocol];
        counter_add(
            &mail->callback_answers[answer->is_kept ? COUNTERS_CALLBACK_KEPT : of[answer->verdict]],
            1);
    }
}

static enum mail_lookup_state answered(struct mail_lookup *lookup,
                                       const struct mail_ask_answer *answer, const char *why)
{
    count(lookup, answer);
    switch (answer->verdict) {
    case MAIL_ASK_OK:
        return go_where_it_says(lookup, answer);
    case MAIL_ASK_REFUSED:
        return send_away(lookup, answer);
    case MAIL_ASK_WAIT:
        if (++lookup->waits > WAITS_MAX) {
            return without_answer(lookup, "the callback said WAIT too often");
        }
        loop_timer_set(lookup->question.proxy->loop, &lookup->timer,
                       answer->wait_s != 0 ? answer->wait_s * 1000U : 1000U, on_wait_to_ask_over);
        return MAIL_LOOKUP_PENDING;
    case MAIL_ASK_BAD:
        break;
    }
    return without_answer(lookup, why);
}

static void on_answer(struct mail_ask_answer *answer, const char *why, void *arg)
{
    struct mail_lookup *lookup = arg;
    lookup->call = NULL;
    if (answered(lookup, answer, why) == MAIL_LOOKUP_READY) {
        lookup->fn(lookup);
    }
}

static enum mail_lookup_state ask(struct mail_lookup *lookup)
{
    const struct mail_lookup_question *question = &lookup->question;
    const struct mail_lookup_client *client = &question->client;
    const struct mail_login *login = question->login;
    struct mail_ask_answer answer;
    lookup->ask = (struct mail_ask){
        .protocol = question->routes->protocol,
        .has_login = login != NULL,
        .user = mail_name_slice(&lookup->name),
        .attempt = client->attempt,
        .client = client->address,
        .local = client->local,
        .has_proxy_header = client->has_proxy_header,
        .is_secure = client->is_secure,
        .tls_version = client->tls_version,
        .tls_cipher = client->tls_cipher,
        .asks_certificate = question->routes->asks_certificate,
        .tls_subject = client->tls_subject,
        .tls_fingerprint = client->tls_fingerprint,
        .helo = client->helo,
        .mail_from = client->mail_from,
        .rcpt_to = client->rcpt_to,
        .session = client->session,
    };
    if (login != NULL) {
        lookup->ask.mechanism = login->mechanism;
        lookup->ask.login = mail_login_user(login);
        lookup->ask.authzid = mail_login_authzid(login);
        lookup->ask.secret = mail_login_secret(login);
    }
    if (mail_callback_ask(&question->proxy->mail_callbacks, question->routes->callback,
                          &lookup->ask, login != NULL, &answer, &lookup->call, on_answer,
                          lookup) == MAIL_CALLBACK_PENDING) {
        return MAIL_LOOKUP_PENDING;
    }
    enum mail_lookup_state state = answered(lookup, &answer, "");
    mail_ask_answer_wipe(&answer);
    return state;
}

/* Is it asked? When nobody knows the user; and for the password where servers are not shown it. */
static bool needs_callback(const struct mail_lookup *lookup)
{
    const struct mail_route *route = &lookup->route;
    const struct mail_login *login = lookup->question.login;
    if (lookup->question.routes->callback == NULL) {
        return false;
    }
    return !route->is_known || (route->pool != NULL && route->pool->needs_proof && login != NULL &&
                                login->mechanism != MAIL_EXTERNAL);
}

/* -- who it is -- */

static bool is_banned(const struct mail_lookup *lookup)
{
    const struct mail_lookup_question *question = &lookup->question;
    return question->routes->bans.failures != 0 && !question->client.is_exempt &&
           mail_bans_has(question->proxy->mail_bans, question->client.address,
                         mail_name_slice(&lookup->name), now_ms(lookup), NULL);
}

enum mail_lookup_state mail_lookup_start(struct mail_lookup *lookup,
                                         const struct mail_lookup_question *question,
                                         void (*fn)(struct mail_lookup *lookup), void *arg)
{
    memset(lookup, 0, sizeof(*lookup));
    lookup->fn = fn;
    lookup->arg = arg;
    lookup->question = *question;
    if (question->login == NULL) {
        lookup->route = (struct mail_route){
            .pool = question->routes->pool, .member = BALANCER_NONE, .by = "default"};
        return needs_callback(lookup) ? ask(lookup) : go(lookup);
    }
    if (!mail_name_make(&question->routes->rules, wanted_user(question->login), &lookup->name)) {
        lookup->name.len = 0;
        return refuse(lookup, MAIL_REFUSED, "no name of a user");
    }
    if (is_banned(lookup)) {
        return refuse(lookup, MAIL_TOO_MANY, "banned");
    }
    if (!mail_routes_find(question->routes, &lookup->name, &lookup->route)) {
        return refuse(lookup, MAIL_INTERNAL, "login_user makes no name for this user");
    }
    if (lookup->route.is_disabled) {
        note_failure(lookup);
        return refuse(lookup, MAIL_DISABLED, "the user is disabled");
    }
    return needs_callback(lookup) ? ask(lookup) : go(lookup);
}

static void leave(struct mail_lookup *lookup)
{
    if (lookup->seat.user != NULL) {
        mail_users_leave(lookup->question.proxy->mail_users, &lookup->seat, now_ms(lookup));
    }
}

enum mail_lookup_state mail_lookup_again(struct mail_lookup *lookup)
{
    leave(lookup);
    return go(lookup);
}

/* -- how it went -- */

bool mail_lookup_refused(struct mail_lookup *lookup)
{
    const struct mail_lookup_question *question = &lookup->question;
    return question->login != NULL && !question->client.is_exempt &&
           mail_bans_failed(question->proxy->mail_bans, &question->routes->bans,
                            question->client.address, mail_name_slice(&lookup->name),
                            now_ms(lookup));
}

bool mail_lookup_proved(struct mail_lookup *lookup)
{
    const struct mail_lookup_question *question = &lookup->question;
    if (lookup->seat.user == NULL) {
        return true;
    }
    mail_bans_passed(question->proxy->mail_bans, question->client.address,
                     mail_name_slice(&lookup->name));
    return mail_users_prove(question->proxy->mail_users, &lookup->seat, lookup->route.sessions);
}

struct mail_seat mail_lookup_take_seat(struct mail_lookup *lookup)
{
    struct mail_seat seat = lookup->seat;
    lookup->seat.user = NULL;
    return seat;
}

void mail_lookup_end(struct mail_lookup *lookup)
{
    loop_timer_stop(&lookup->timer);
    mail_callback_cancel(lookup->call);
    lookup->call = NULL;
    leave(lookup);
    if (lookup->secret != NULL) {
        mem_wipe(lookup->secret, lookup->secret_len);
        free(lookup->secret);
        lookup->secret = NULL;
    }
}
