#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/proxy/mail_leg.h"
#include "tests/unit/unit.h"
#include "tests/unit/upstream_stand.h"

static struct upstream_stand stand;
static struct mail_login login;
static struct pool_mail terms;

static struct {
    struct mail_leg leg;
    unsigned called;
    enum mail_server_event event;
    enum close_reason reason;
} user;

static void on_leg(struct mail_leg *leg, enum mail_server_event event, enum close_reason reason)
{
    ck_assert_ptr_eq(leg, &user.leg);
    user.called++;
    user.event = event;
    user.reason = reason;
}

/* Begins, and gives the server's end. */
static int begin(bool starttls)
{
    const struct upstream_stand_options options = {.servers = 1};
    enum close_reason reason;
    memset(&user, 0, sizeof(user));
    upstream_stand_open(&stand, &options);
    terms = (struct pool_mail){.terms = {.starttls = starttls}};
    stand.pool->mail = &terms;
    ck_assert(mail_login_set_user(&login, SLICE("anna")));
    ck_assert(mail_login_set_secret(&login, SLICE("secret"), 100));
    const struct mail_leg_begin what = {
        .upstream = &stand.upstream,
        .pool = stand.pool,
        .protocol = MAIL_IMAP,
        .login = &login,
        .user = SLICE("anna"),
        .host = SLICE("mail.example"),
        .fn = on_leg,
    };
    ck_assert(mail_leg_start(&user.leg, &what, &reason));
    return upstream_stand_accept(&stand, 0);
}

static void say(int server, const char *text)
{
    ck_assert_int_eq(send(server, text, strlen(text), 0), (ssize_t)strlen(text));
    upstream_stand_tick(&stand, 1);
}

/* What lbd said; the tag of its last line in *tag. */
static const char *hear(int server, char tag[16])
{
    static char text[4096];
    size_t len = 0;
    ssize_t got;
    upstream_stand_tick(&stand, 1);
    while ((got = recv(server, text + len, sizeof(text) - 1 - len, MSG_DONTWAIT)) > 0) {
        len += (size_t)got;
    }
    text[len] = '\0';
    const char *line = text;
    for (const char *at = text; *at != '\0'; at++) {
        if (at[0] == '\n' && at[1] != '\0') {
            line = at + 1;
        }
    }
    (void)snprintf(tag, 16, "%.*s", (int)strcspn(line, " "), line);
    return text;
}

static void finish(int server)
{
    mail_leg_fini(&user.leg);
    mail_leg_fini(&user.leg); /* twice does nothing */
    mail_login_wipe(&login);
    (void)close(server);
    upstream_stand_tick(&stand, 2000);
    stand.pool->mail = NULL;
    upstream_stand_close(&stand);
}

START_TEST(what_comes_behind_the_answer_is_the_relays)
{
    char tag[16];
    char answer[256];
    int server = begin(false);
    say(server, "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\n");
    ck_assert_str_ne(hear(server, tag), "");
    (void)snprintf(answer, sizeof(answer), "%s OK [CAPABILITY IMAP4rev1 IDLE] in\r\n* 1 EXISTS\r\n",
                   tag);
    say(server, answer);
    ck_assert_uint_eq(user.called, 1);
    ck_assert_int_eq(user.event, MAIL_SERVER_READY);
    struct upstream_conn *conn = mail_leg_take(&user.leg);
    char rest[32];
    size_t len = flow_take(conn_net(&conn->conn), &conn->conn.in, rest);
    ck_assert_uint_eq(len, 12);
    ck_assert_mem_eq(rest, "* 1 EXISTS\r\n", 12);
    ck_assert(slice_eq(user.leg.server.welcome.capabilities, SLICE("IMAP4rev1 IDLE")));
    upstream_conn_end(&stand.upstream, conn);
    finish(server);
}
END_TEST

START_TEST(a_server_that_refuses_is_let_go)
{
    char tag[16];
    char answer[256];
    int server = begin(false);
    say(server, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello\r\n");
    (void)hear(server, tag);
    (void)snprintf(answer, sizeof(answer), "%s NO [AUTHENTICATIONFAILED] no\r\n", tag);
    say(server, answer);
    ck_assert_int_eq(user.event, MAIL_SERVER_REFUSED);
    ck_assert_int_eq(user.leg.server.refusal, MAIL_REFUSED);
    ck_assert_ptr_null(user.leg.conn);
    finish(server);
}
END_TEST

START_TEST(a_server_that_goes_or_says_nothing_may_be_another_ones_turn)
{
    int server = begin(false);
    (void)shutdown(server, SHUT_RDWR);
    upstream_stand_tick(&stand, 1);
    ck_assert_int_eq(user.event, MAIL_SERVER_UNAVAILABLE);
    ck_assert_int_eq(user.reason, CLOSE_SERVER_RESET);
    finish(server);

    server = begin(false);
    upstream_stand_tick(&stand, 1100);
    ck_assert_uint_eq(user.called, 1);
    ck_assert_int_eq(user.event, MAIL_SERVER_UNAVAILABLE);
    ck_assert_int_eq(user.reason, CLOSE_RESPONSE_TIMEOUT);
    finish(server);
}
END_TEST

START_TEST(nothing_is_shown_without_the_tls_that_is_required)
{
    char tag[16];
    int server = begin(true);
    say(server, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n");
    ck_assert_ptr_null(strstr(hear(server, tag), "anna"));
    ck_assert_int_eq(user.event, MAIL_SERVER_FAILED);
    ck_assert_int_eq(user.reason, CLOSE_SERVER_NO_STARTTLS);
    finish(server);
}
END_TEST

START_TEST(bytes_behind_the_go_ahead_for_tls_are_an_attack)
{
    char tag[16];
    char answer[256];
    int server = begin(true);
    say(server, "* OK [CAPABILITY IMAP4rev1 STARTTLS] hello\r\n");
    (void)hear(server, tag);
    (void)snprintf(answer, sizeof(answer), "%s OK go\r\n* CAPABILITY EVIL\r\n", tag);
    say(server, answer);
    ck_assert_int_eq(user.event, MAIL_SERVER_FAILED);
    ck_assert_int_eq(user.reason, CLOSE_SERVER_STARTTLS_INJECTION);
    finish(server);
}
END_TEST

START_TEST(nobody_waits_any_more)
{
    int server = begin(false);
    mail_leg_fini(&user.leg);
    upstream_stand_tick(&stand, 1);
    ck_assert_uint_eq(user.called, 0);
    finish(server);
}
END_TEST

UNIT_TESTS("mail_leg", what_comes_behind_the_answer_is_the_relays, a_server_that_refuses_is_let_go,
           a_server_that_goes_or_says_nothing_may_be_another_ones_turn,
           nothing_is_shown_without_the_tls_that_is_required,
           bytes_behind_the_go_ahead_for_tls_are_an_attack, nobody_waits_any_more)
