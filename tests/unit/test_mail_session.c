#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/proxy/crowd.h"
#include "lbd/proxy/mail_bans.h"
#include "lbd/proxy/mail_pace.h"
#include "lbd/proxy/mail_session.h"
#include "lbd/proxy/mail_users.h"
#include "tests/unit/proxy_stand.h"
#include "tests/unit/unit.h"

#define LOGIN_MS 60000U

static struct proxy_stand stand;
static struct mail_plan mail;
static struct mail_routes routes;
static struct mail_pace pace;
static struct conf_listener_mail conf;
static struct conf document;

static void open_stand(void)
{
    const struct proxy_stand_options options = {.upstream = {.servers = 1, .response_ms = 5000},
                                                .protocol = CONF_PROTOCOL_IMAP};
    proxy_stand_open(&stand, &options);
    conf = (struct conf_listener_mail){
        .timeouts = {.login_ms = LOGIN_MS, .read_ms = 30000},
        .limits = {.connections_per_address = 2, .bad_commands = 5, .failures = 3},
    };
    mail = (struct mail_plan){
        .offer = {.protocol = MAIL_IMAP,
                  .host = SLICE("mail.example"),
                  .greeting = SLICE("ready"),
                  .mechanisms =
                      MAIL_MECHANISM_BIT(MAIL_PLAIN) | MAIL_MECHANISM_BIT(MAIL_LOGIN_COMMAND),
                  .allows_cleartext = true,
                  .bad_commands = 5,
                  .failures = 3},
        .conf = &conf,
        .idle_ms = 100000,
    };
    stand.up.pool->members[0].place = place_new(SLICE("mail"), SLICE("a"));
    stand.up.pool->members[0].user_weight = 100;
    routes = (struct mail_routes){
        .protocol = MAIL_IMAP, .pool = stand.up.pool, .conf = &document, .sessions_per_user = 1};
    stand.plan.mail = &mail;
    stand.plan.mail_routes = &routes;
    stand.proxy.mail_users = mail_users_new();
    stand.proxy.mail_bans = mail_bans_new();
    pace = (struct mail_pace){0};
    stand.proxy.mail_pace = &pace;
    stand.proxy.mail_crowd = crowd_new();
    listener_bind_server_first(stand.bind, true);
}

static void close_stand(void)
{
    struct mail_users *users = stand.proxy.mail_users;
    struct mail_bans *bans = stand.proxy.mail_bans;
    struct crowd *crowd = stand.proxy.mail_crowd;
    proxy_stand_close(&stand);
    mail_users_free(users);
    mail_bans_free(bans);
    crowd_free(crowd);
}

static int greeted(void)
{
    int client = proxy_stand_client(&stand);
    ck_assert_ptr_nonnull(strstr(hear_until(&stand, client, "\r\n"), "* OK [CAPABILITY"));
    return client;
}

/* Logs in up to the server's answer, for which it gives the tag. */
static int at_server(int client, char tag[16])
{
    tell(&stand, client, "a LOGIN anna secret\r\n");
    int server = upstream_stand_accept(&stand.up, 0);
    tell(&stand, server, "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n");
    const char *said = hear_until(&stand, server, "\r\n");
    const char *line = said;
    for (const char *at = said; *at != '\0'; at++) {
        if (at[0] == '\n' && at[1] != '\0') {
            line = at + 1;
        }
    }
    (void)snprintf(tag, 16, "%.*s", (int)strcspn(line, " "), line);
    return server;
}

static void answer(int server, const char *tag, const char *words)
{
    char line[256];
    (void)snprintf(line, sizeof(line), "%s %s\r\n", tag, words);
    tell(&stand, server, line);
}

START_TEST(a_login_becomes_a_relay)
{
    char tag[16];
    open_stand();
    int client = greeted();
    int server = at_server(client, tag);
    answer(server, tag, "OK [CAPABILITY IMAP4rev1 IDLE] in");
    ck_assert_ptr_nonnull(strstr(hear_until(&stand, client, "\r\n"), "a OK [CAPABILITY"));
    tell(&stand, client, "b NOOP\r\n");
    ck_assert_str_eq(hear_until(&stand, server, "\r\n"), "b NOOP\r\n");
    tell(&stand, server, "b OK\r\n");
    ck_assert_str_eq(hear_until(&stand, client, "\r\n"), "b OK\r\n");
    ck_assert_uint_eq(mail_users_count(stand.proxy.mail_users), 1);
    (void)close(client);
    (void)close(server);
    proxy_stand_tick(&stand, 10);
    const char *log = proxy_stand_log(&stand);
    ck_assert_ptr_nonnull(strstr(log, "\"event\":\"login\""));
    ck_assert_ptr_nonnull(strstr(log, "\"event\":\"end\""));
    ck_assert_ptr_nonnull(strstr(log, "\"user\":\"anna\""));
    ck_assert_ptr_null(strstr(log, "secret"));
    close_stand();
}
END_TEST

/* An answer's time tells nothing: a second after the command, whatever the server took. */
START_TEST(a_wrong_password_is_answered_late)
{
    char tag[16];
    open_stand();
    int client = greeted();
    int server = at_server(client, tag);
    answer(server, tag, "NO [AUTHENTICATIONFAILED] no");
    proxy_stand_tick(&stand, 900);
    ck_assert_str_eq(hear(&stand, client), "");
    proxy_stand_tick(&stand, 200);
    ck_assert_ptr_nonnull(strstr(hear(&stand, client), "a NO [AUTHENTICATIONFAILED]"));
    tell(&stand, client, "b NOOP\r\n");
    ck_assert_ptr_nonnull(strstr(hear(&stand, client), "b OK"));
    (void)close(client);
    (void)close(server);
    proxy_stand_tick(&stand, 2000);
    close_stand();
}
END_TEST

START_TEST(a_client_that_goes_takes_its_login_with_it)
{
    char tag[16];
    open_stand();
    int client = greeted();
    int server = at_server(client, tag);
    const struct linger at_once = {.l_onoff = 1};
    ck_assert_int_eq(setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    (void)close(client);
    proxy_stand_tick(&stand, 10);
    ck_assert_uint_eq(proxy_stand_open_count(&stand), 0);
    ck_assert_uint_eq(mail_users_count(stand.proxy.mail_users), 0);
    (void)close(server);
    close_stand();
}
END_TEST

START_TEST(one_login_has_so_much_time)
{
    char tag[16];
    open_stand();
    conf.timeouts.login_ms = 500;
    int client = greeted();
    int server = at_server(client, tag);
    proxy_stand_tick(&stand, 600);
    const char *heard = hear(&stand, client);
    ck_assert_ptr_nonnull(strstr(heard, "a NO [UNAVAILABLE]"));
    ck_assert_ptr_nonnull(strstr(heard, "* BYE"));
    (void)close(client);
    (void)close(server);
    proxy_stand_tick(&stand, 2500);
    close_stand();
}
END_TEST

#define MINUTE_MS 60000U

/* A client renews its IDLE after 29 minutes (RFC 2177): until then nobody says a word. */
START_TEST(an_idle_of_29_minutes_goes_on)
{
    for (int tracks = 0; tracks < 2; tracks++) {
        char tag[16];
        open_stand();
        mail.idle_ms = 35 * MINUTE_MS;
        mail.tracks = tracks != 0;
        int client = greeted();
        int server = at_server(client, tag);
        answer(server, tag, "OK [CAPABILITY IMAP4rev1 IDLE] in");
        ck_assert_ptr_nonnull(strstr(hear_until(&stand, client, "\r\n"), "a OK [CAPABILITY"));
        for (int round = 0; round < 3; round++) {
            tell(&stand, client, "b IDLE\r\n");
            ck_assert_str_eq(hear_until(&stand, server, "\r\n"), "b IDLE\r\n");
            tell(&stand, server, "+ idling\r\n");
            ck_assert_str_eq(hear_until(&stand, client, "\r\n"), "+ idling\r\n");
            for (int minute = 0; minute < 29; minute++) {
                proxy_stand_tick(&stand, MINUTE_MS);
            }
            ck_assert_uint_eq(proxy_stand_open_count(&stand), 1);
            tell(&stand, server, "* 1 EXISTS\r\n");
            ck_assert_str_eq(hear_until(&stand, client, "\r\n"), "* 1 EXISTS\r\n");
            tell(&stand, client, "DONE\r\n");
            ck_assert_str_eq(hear_until(&stand, server, "\r\n"), "DONE\r\n");
            tell(&stand, server, "b OK\r\n");
            ck_assert_str_eq(hear_until(&stand, client, "\r\n"), "b OK\r\n");
        }
        proxy_stand_tick(&stand, 34 * MINUTE_MS);
        ck_assert_uint_eq(proxy_stand_open_count(&stand), 1);
        proxy_stand_tick(&stand, 2 * MINUTE_MS); /* nobody is there any more */
        (void)close(client);
        (void)close(server);
        proxy_stand_tick(&stand, 2500);
        ck_assert_uint_eq(proxy_stand_open_count(&stand), 0);
        ck_assert_ptr_nonnull(strstr(proxy_stand_log(&stand), "\"reason\":\"tunnel_timeout\""));
        close_stand();
    }
}
END_TEST

START_TEST(an_address_has_so_many_that_are_not_logged_in)
{
    open_stand();
    int first = greeted();
    int second = greeted();
    int third = proxy_stand_client(&stand);
    ck_assert_ptr_nonnull(strstr(hear_until(&stand, third, "\r\n"), "* BYE"));
    (void)close(third);
    (void)close(first);
    proxy_stand_tick(&stand, 10);
    int fourth = greeted();
    (void)close(second);
    (void)close(fourth);
    proxy_stand_tick(&stand, 2500);
    close_stand();
}
END_TEST

UNIT_TESTS("mail_session", a_login_becomes_a_relay, a_wrong_password_is_answered_late,
           an_idle_of_29_minutes_goes_on, a_client_that_goes_takes_its_login_with_it,
           one_login_has_so_much_time, an_address_has_so_many_that_are_not_logged_in)
