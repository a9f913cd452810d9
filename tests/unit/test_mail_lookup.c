#include <string.h>

#include "lbd/proxy/mail_lookup.h"
#include "lbd/proxy/proxy_worker.h"
#include "tests/unit/mail_field.h"
#include "tests/unit/probe_peer.h"

/* A worker with nothing but what a lookup wants, two pools of the same machines, a callback. */
static struct {
    struct loop *loop;
    struct proxy_worker proxy;
    struct probe_peer peer;
    struct pool *pools[2];
    struct pool_mail mail;
    struct mail_answers *answers;
    struct mail_callback *callback;
    struct conf conf;
    struct mail_routes routes;
    struct mail_login login;
    struct mail_lookup lookup;
    struct addr_small address;
    bool done;
} field;

static struct conf_mail_user known[] = {
    {.name = SLICE_INIT("gone"), .disabled = 1},
    {.name = SLICE_INIT("here"), .server = SLICE_INIT("b2")},
    {.name = SLICE_INIT("lost"), .pool = SLICE_INIT("nowhere")},
    {.name = SLICE_INIT("other"), .pool = SLICE_INIT("new"), .login_user = SLICE_INIT("{local}2")},
    {.name = SLICE_INIT("two"), .sessions = 2},
};
static struct conf_mail_entry entries[] = {
    {.name = SLICE_INIT("a.example"),
     .server = SLICE_INIT("b1"),
     .login_user = SLICE_INIT("{local}")},
};
static const struct conf_mail_map map_conf = {.name = SLICE_INIT("domains"),
                                              .type = CONF_MAIL_MAP_DOMAIN,
                                              .entries = entries,
                                              .entry_count = 1};
static struct mail_map map;
static const struct mail_map *maps[] = {&map};

static void begin(const char *callback_answer)
{
    struct err err;
    struct addr addr;
    memset(&field, 0, sizeof(field));
    field.loop = loop_new(&err);
    ck_assert_ptr_nonnull(field.loop);
    probe_peer_init(&field.peer, field.loop, NULL);
    field.peer.closes = true;
    field.answers = mail_answers_new();
    field.proxy.loop = field.loop;
    field.proxy.mail_users = mail_users_new();
    field.proxy.mail_bans = mail_bans_new();
    mail_callback_worker_init(&field.proxy.mail_callbacks, field.loop, field.answers, NULL, 0);
    field.pools[0] = mail_field_pool(SLICE("boxes"), 1, 3);
    field.pools[1] = mail_field_pool(SLICE("new"), 2, 3);
    mail_field_share(field.pools[1], field.pools[0]);
    ck_assert(addr_from_ip(SLICE("10.0.0.9"), 143, &field.pools[1]->members[1].address));
    field.conf = (struct conf){.mail_users = known, .mail_user_count = ARRAY_LEN(known)};
    mail_map_init(&map, &map_conf, NULL);
    field.routes = (struct mail_routes){
        .protocol = MAIL_IMAP,
        .pool = field.pools[0],
        .pools = field.pools,
        .pool_count = 2,
        .conf = &field.conf,
        .maps = maps,
        .map_count = 1,
        .sessions_per_user = 3,
        .bans = {.failures = 3, .window_ms = 60000, .ban_ms = 60000},
    };
    ck_assert(addr_from_ip(SLICE("192.0.2.1"), 1, &addr));
    addr_small_from(&field.address, &addr.u.any);
    if (callback_answer != NULL) {
        static char text[64];
        static struct slice url;
        (void)snprintf(text, sizeof(text), "http://127.0.0.1:%u/", addr_port(&field.peer.address));
        url = slice_from(text);
        const struct conf_mail_callback conf = {
            .name = SLICE("auth"), .urls = &url, .url_count = 1, .timeout_ms = 2000};
        field.callback = mail_callback_new(&conf, NULL);
        field.routes.callback = field.callback;
        field.peer.answer = callback_answer;
    }
}

static void end(void)
{
    mail_lookup_end(&field.lookup);
    mail_login_wipe(&field.login);
    mail_callback_worker_fini(&field.proxy.mail_callbacks);
    mail_callback_unref(field.callback);
    mail_answers_free(field.answers);
    mail_users_free(field.proxy.mail_users);
    mail_bans_free(field.proxy.mail_bans);
    mail_map_fini(&map);
    pool_unref(field.pools[0]);
    pool_unref(field.pools[1]);
    probe_peer_fini(&field.peer);
    loop_free(field.loop);
}

static void on_done(struct mail_lookup *lookup)
{
    ck_assert_ptr_eq(lookup, &field.lookup);
    field.done = true;
}

static void wait_for(enum mail_lookup_state state)
{
    for (uint32_t i = 0; state == MAIL_LOOKUP_PENDING && i < 20000 && !field.done; i++) {
        loop_run_once(field.loop, 20);
    }
    ck_assert(state == MAIL_LOOKUP_READY || field.done);
}

static const struct mail_lookup_result *look_up(const char *user)
{
    mail_lookup_end(&field.lookup);
    field.done = false;
    ck_assert(mail_login_set_user(&field.login, slice_from(user)));
    ck_assert(mail_login_set_secret(&field.login, SLICE("pw"), 100));
    const struct mail_lookup_question question = {
        .proxy = &field.proxy,
        .routes = &field.routes,
        .login = &field.login,
        .client = {.address = &field.address, .attempt = 1},
    };
    wait_for(mail_lookup_start(&field.lookup, &question, on_done, NULL));
    return &field.lookup.result;
}

static void expect_refusal(const char *user, enum mail_refusal refusal, enum mail_refusal why)
{
    const struct mail_lookup_result *result = look_up(user);
    ck_assert_msg(result->is_refused, "%s", user);
    ck_assert_msg(result->refusal == refusal && result->why == why, "%s: %d %d %s", user,
                  (int)result->refusal, (int)result->why, result->problem);
    ck_assert_uint_eq(mail_users_count(field.proxy.mail_users), 0);
}

static void expect_server(const char *user, const struct pool *pool, uint32_t member,
                          const char *login, const char *by)
{
    const struct mail_lookup_result *result = look_up(user);
    ck_assert_msg(!result->is_refused, "%s: %s", user, result->problem);
    ck_assert_ptr_eq(result->pool, pool);
    ck_assert_msg(result->member == member, "%s is at %u", user, result->member);
    ck_assert_msg(slice_eq(result->user, slice_from(login)), "%.*s", SLICE_ARG(result->user));
    ck_assert_str_eq(result->by, by);
}

START_TEST(users_then_maps_then_the_name)
{
    begin(NULL);
    expect_server("Here", field.pools[0], 2, "", "user");
    expect_server("other", field.pools[1], mail_users_hashed(field.pools[1], SLICE("other2")),
                  "other2", "user");
    expect_server("Joe@A.example", field.pools[0], 1, "joe", "map");
    expect_server("joe@b.example", field.pools[0],
                  mail_users_hashed(field.pools[0], SLICE("joe@b.example")), "", "default");
    mail_lookup_end(&field.lookup);
    ck_assert_uint_eq(mail_users_count(field.proxy.mail_users), 0); /* none of them got in */
    end();
}
END_TEST

START_TEST(names_that_are_one_at_the_server_are_one_user)
{
    begin(NULL);
    expect_server("other", field.pools[1], mail_users_hashed(field.pools[1], SLICE("other2")),
                  "other2", "user");
    ck_assert(mail_lookup_proved(&field.lookup));
    struct mail_seat seat = mail_lookup_take_seat(&field.lookup);
    expect_server("Other2", field.pools[0], field.lookup.result.member, "", "default");
    ck_assert_ptr_eq(field.lookup.seat.user, seat.user);
    ck_assert(slice_eq(mail_name_slice(&field.lookup.name), SLICE("other2")));
    mail_lookup_end(&field.lookup);
    mail_users_leave(field.proxy.mail_users, &seat, 1);
    end();
}
END_TEST

START_TEST(refusals_tell_nothing)
{
    begin(NULL);
    field.routes.bans.failures = 0;
    expect_refusal("gone", MAIL_REFUSED, MAIL_DISABLED);
    expect_refusal("joe@", MAIL_REFUSED, MAIL_REFUSED);
    expect_refusal("lost", MAIL_UNAVAILABLE, MAIL_INTERNAL);
    field.pools[0]->needs_proof = true;
    expect_refusal("joe", MAIL_UNAVAILABLE, MAIL_INTERNAL); /* who has looked at the password? */
    field.login.mechanism = MAIL_EXTERNAL;
    ck_assert(!look_up("joe")->is_refused);
    end();
}
END_TEST

START_TEST(who_acts_as_another_goes_where_that_user_is)
{
    begin(NULL);
    ck_assert(mail_login_set_authzid(&field.login, SLICE("Here")));
    expect_server("master", field.pools[0], 2, "", "user");
    ck_assert(slice_eq(mail_name_slice(&field.lookup.name), SLICE("here")));
    mail_lookup_end(&field.lookup);
    ck_assert(mail_login_set_authzid(&field.login, SLICE("joe@a.example")));
    expect_server("master", field.pools[0], 1, "", "map"); /* the master's name stays its own */
    ck_assert(slice_eq(field.lookup.result.authzid, SLICE("joe")));
    mail_lookup_end(&field.lookup);
    ck_assert(mail_login_set_authzid(&field.login, SLICE("Here")));
    field.pools[0]->needs_proof = true; /* no server is asked whether it may */
    field.login.mechanism = MAIL_EXTERNAL;
    expect_refusal("master", MAIL_REFUSED, MAIL_REFUSED);
    expect_server("HERE", field.pools[0], 2, "", "user");
    mail_lookup_end(&field.lookup);
    /* that a map has another name for that user is nobody's leave */
    ck_assert(mail_login_set_authzid(&field.login, SLICE("joe@a.example")));
    expect_refusal("master", MAIL_REFUSED, MAIL_REFUSED);
    expect_server("Joe@A.example", field.pools[0], 1, "joe", "map");
    end();
}
END_TEST

START_TEST(a_server_that_is_down_is_said_to_be)
{
    begin(NULL);
    field.pools[0]->affinity.fails_over = false;
    (void)server_set_health(field.pools[0]->members[2].server, SERVER_DOWN, 1);
    expect_refusal("here", MAIL_UNAVAILABLE, MAIL_UNAVAILABLE);
    (void)server_set_health(field.pools[0]->members[2].server, SERVER_UP, 1);
    ck_assert(!look_up("here")->is_refused);
    (void)server_set_health(field.pools[0]->members[2].server, SERVER_DOWN, 1);
    ck_assert_int_eq(mail_lookup_again(&field.lookup), MAIL_LOOKUP_READY);
    ck_assert(field.lookup.result.is_refused);
    end();
}
END_TEST

START_TEST(failures_ban_the_address)
{
    begin(NULL);
    for (int i = 0; i < 3; i++) {
        ck_assert(!look_up("joe")->is_refused);
        ck_assert(mail_lookup_refused(&field.lookup) == (i == 2));
    }
    expect_refusal("joe", MAIL_TOO_MANY, MAIL_TOO_MANY);
    expect_refusal("ann", MAIL_TOO_MANY, MAIL_TOO_MANY);
    field.address.ip[15]++;
    ck_assert(!look_up("ann")->is_refused);
    for (int i = 0; i < 3; i++) { /* names that do not exist count, too */
        expect_refusal("gone", MAIL_REFUSED, MAIL_DISABLED);
    }
    expect_refusal("gone", MAIL_TOO_MANY, MAIL_TOO_MANY);
    end();
}
END_TEST

START_TEST(sessions_have_the_limit_of_their_user)
{
    static const struct {
        const char *user;
        size_t max;
    } cases[] = {{"joe", 3}, {"two", 2}};
    begin(NULL);
    for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
        struct mail_seat seats[4];
        for (size_t i = 0; i <= cases[c].max; i++) {
            ck_assert(!look_up(cases[c].user)->is_refused);
            ck_assert(mail_lookup_proved(&field.lookup) == (i < cases[c].max));
            seats[i] = mail_lookup_take_seat(&field.lookup);
        }
        for (size_t i = 0; i <= cases[c].max; i++) {
            mail_users_leave(field.proxy.mail_users, &seats[i], 1);
        }
    }
    end();
}
END_TEST

START_TEST(a_login_waits_while_its_user_is_moved)
{
    begin(NULL);
    ck_assert(!look_up("joe")->is_refused);
    ck_assert(mail_lookup_proved(&field.lookup));
    struct mail_seat seat = mail_lookup_take_seat(&field.lookup);
    uint64_t now_ms = loop_now_us(field.loop) / 1000;
    uint32_t to = (mail_users_hashed(field.pools[0], SLICE("joe")) + 1) % 3;
    ck_assert(mail_field_move(field.proxy.mail_users, field.pools[0], SLICE("joe"), to, 50, false,
                              now_ms));
    ck_assert(mail_users_is_kicked(&seat));
    mail_users_leave(field.proxy.mail_users, &seat, now_ms);
    ck_assert(!look_up("joe")->is_refused); /* after 50 ms */
    ck_assert(field.done);
    ck_assert_uint_eq(field.lookup.result.member, to);
    mail_lookup_end(&field.lookup);
    ck_assert(mail_field_move(field.proxy.mail_users, field.pools[0], SLICE("joe"), (to + 1) % 3,
                              60000, false, now_ms));
    end();
}
END_TEST

#define OK(address)                                                                                \
    "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: " address "\r\nAuth-Port: 143\r\n"

START_TEST(a_callback_names_servers_of_pools)
{
    begin(OK("10.0.0.9") "Auth-User: theirs\r\nAuth-Pass: word\r\n\r\n");
    field.pools[1]->mail = &field.mail;
    expect_server("joe", field.pools[1], 1, "theirs", "callback");
    ck_assert(slice_eq(field.lookup.result.secret, SLICE("word")));
    end();
}
END_TEST

START_TEST(a_callback_is_not_asked_whom_a_map_knows)
{
    begin(OK("127.0.0.1") "\r\n");
    expect_server("joe@a.example", field.pools[0], 1, "joe", "map");
    ck_assert_uint_eq(field.peer.accepted, 0);
    field.pools[0]->needs_proof = true; /* but for the password */
    expect_server("joe@a.example", field.pools[0], 1, "joe", "map");
    ck_assert_uint_eq(field.peer.accepted, 1);
    end();
}
END_TEST

START_TEST(a_callback_refuses_in_its_own_words)
{
    begin(
        "HTTP/1.0 200 OK\r\nAuth-Status: Go away\r\nAuth-Wait: 2\r\nAuth-Error-Code: 535 5.7.8\r\n\r\n");
    const struct mail_lookup_result *result = look_up("joe");
    ck_assert(result->is_refused && result->refusal == MAIL_REFUSED_AS_IS && result->may_retry);
    ck_assert_uint_eq(result->delay_ms, 2000);
    ck_assert(slice_eq(result->text, SLICE("Go away")));
    field.routes.protocol = MAIL_SMTP;
    ck_assert(slice_eq(look_up("joe")->text, SLICE("535 5.7.8 Go away")));
    (void)look_up("joe"); /* the third */
    expect_refusal("joe", MAIL_TOO_MANY, MAIL_TOO_MANY);
    end();
}
END_TEST

START_TEST(a_callback_that_fails_is_no_yes)
{
    begin("HTTP/1.0 200 OK\r\n\r\n");
    expect_refusal("joe", MAIL_UNAVAILABLE, MAIL_INTERNAL);
    field.peer.answer = OK("10.9.9.9") "\r\n";
    expect_refusal("joe", MAIL_UNAVAILABLE, MAIL_INTERNAL);
    ck_assert_str_eq(field.lookup.result.problem,
                     "callback 'auth' names 10.9.9.9:143, which is no server of a pool of mail");
    end();
}
END_TEST

START_TEST(a_slow_callback_leaves_time_to_wait)
{
    begin(OK("10.0.0.9") "\r\n");
    field.pools[1]->mail = &field.mail;
    ck_assert(!look_up("joe")->is_refused);
    ck_assert(mail_lookup_proved(&field.lookup));
    struct mail_seat seat = mail_lookup_take_seat(&field.lookup);
    uint64_t now_ms = loop_now_us(field.loop) / 1000;
    ck_assert(mail_field_move(field.proxy.mail_users, field.pools[1], SLICE("joe"), 0, 50, false,
                              now_ms));
    mail_users_leave(field.proxy.mail_users, &seat, now_ms);
    mail_lookup_end(&field.lookup);
    field.done = false;
    const struct mail_lookup_question question = {.proxy = &field.proxy,
                                                  .routes = &field.routes,
                                                  .login = &field.login,
                                                  .client = {.address = &field.address}};
    ck_assert_int_eq(mail_lookup_start(&field.lookup, &question, on_done, NULL),
                     MAIL_LOOKUP_PENDING);
    field.lookup.give_up_ms = now_ms; /* as if it had been asked long ago */
    wait_for(MAIL_LOOKUP_PENDING);
    ck_assert_str_eq(field.lookup.result.problem, "");
    ck_assert_uint_eq(field.lookup.result.member, 0);
    end();
}
END_TEST

START_TEST(who_leaves_while_it_is_asked_leaves_nothing)
{
    begin(OK("10.0.0.9") "\r\n");
    ck_assert(mail_login_set_user(&field.login, SLICE("joe")));
    const struct mail_lookup_question question = {.proxy = &field.proxy,
                                                  .routes = &field.routes,
                                                  .login = &field.login,
                                                  .client = {.address = &field.address}};
    ck_assert_int_eq(mail_lookup_start(&field.lookup, &question, on_done, NULL),
                     MAIL_LOOKUP_PENDING);
    loop_run_once(field.loop, 1);
    mail_lookup_end(&field.lookup);
    for (int i = 0; i < 10; i++) {
        loop_run_once(field.loop, 1);
    }
    ck_assert(!field.done);
    end();
}
END_TEST

UNIT_TESTS("mail_lookup", users_then_maps_then_the_name,
           names_that_are_one_at_the_server_are_one_user, refusals_tell_nothing,
           who_acts_as_another_goes_where_that_user_is, a_server_that_is_down_is_said_to_be,
           failures_ban_the_address, sessions_have_the_limit_of_their_user,
           a_login_waits_while_its_user_is_moved, a_callback_names_servers_of_pools,
           a_callback_is_not_asked_whom_a_map_knows, a_callback_refuses_in_its_own_words,
           a_callback_that_fails_is_no_yes, a_slow_callback_leaves_time_to_wait,
           who_leaves_while_it_is_asked_leaves_nothing)
