#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/mail/mail_client.h"
#include "tests/unit/mail_stand.h"
#include "tests/unit/unit.h"

static const enum mail_protocol protocols[] = {MAIL_IMAP, MAIL_POP3, MAIL_SMTP, MAIL_SIEVE};

static void expect_line(struct slice said, const char *what)
{
    ck_assert_msg(slice_ends(said, SLICE("\r\n")), "%s: %.*s", what, SLICE_ARG(said));
    for (size_t i = 0; i < said.len - 2; i++) {
        unsigned char c = (unsigned char)said.ptr[i];
        ck_assert_msg(c >= ' ' && c < 0x7f, "%s: %.*s", what, SLICE_ARG(said));
    }
}

START_TEST(last_words_are_a_line_in_every_protocol)
{
    for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
        struct mail_offer offer = mail_stand_offer;
        offer.protocol = protocols[i];
        for (int reason = 0; reason < CLOSE_REASON_COUNT; reason++) {
            struct mail_client client;
            struct buf out;
            buf_init(&out, 4096);
            mail_client_init(&client, &offer, true);
            mail_client_bye(&client, (enum close_reason)reason, &out);
            if (out.len > 0) { /* in POP3 and SMTP the answer to a command may have been the last */
                expect_line(buf_slice(&out), close_reason_sentence((enum close_reason)reason));
            }
            mail_client_fini(&client);
            buf_fini(&out);
        }
    }
}
END_TEST

START_TEST(last_words_say_whether_to_come_again)
{
    static const struct {
        enum close_reason reason;
        const char *text;
        bool is_passing;
    } cases[] = {
        {CLOSE_BAD_COMMANDS, "Too many bad commands", false},
        {CLOSE_LOGIN_FAILURES, "Too many failed logins", false},
        {CLOSE_ADDRESS_BANNED, "Too many failed logins", false},
        {CLOSE_COMMAND_TOO_LONG, "Command too long", false},
        {CLOSE_LOGIN_TIMEOUT, "Disconnected for inactivity", false},
        {CLOSE_TUNNEL_TIMEOUT, "Disconnected for inactivity", false},
        {CLOSE_ADDRESS_LIMIT, "Too many connections", false},
        {CLOSE_OVERLOAD, "Too many connections", true},
        {CLOSE_SHUTDOWN, "Server shutting down, please connect again", true},
        {CLOSE_SERVER_REMOVED, "Server shutting down, please connect again", true},
        {CLOSE_USER_KICKED, "Please connect again", true},
        {CLOSE_OK, "Logging out", false},
        {CLOSE_BAD_HOST, "Disconnected", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_str_eq(mail_client_bye_text(cases[i].reason), cases[i].text);
        ck_assert_msg(mail_client_is_passing(cases[i].reason) == cases[i].is_passing, "%s",
                      cases[i].text);
    }
}
END_TEST

/* Nobody learns from the answer whether it was the name or the password. */
START_TEST(every_refusal_is_a_line_and_wipes_the_login)
{
    for (size_t i = 0; i < ARRAY_LEN(protocols) * (MAIL_INTERNAL + 1); i++) {
        struct mail_offer offer = mail_stand_offer;
        offer.protocol = protocols[i / (MAIL_INTERNAL + 1)];
        enum mail_refusal refusal = (enum mail_refusal)(i % (MAIL_INTERNAL + 1));
        struct mail_client client;
        struct buf out;
        buf_init(&out, 4096);
        mail_client_init(&client, &offer, true);
        ck_assert(mail_login_set_user(&client.login, SLICE("joe")));
        ck_assert(mail_login_set_secret(&client.login, SLICE("secret"), MAIL_PASSWORD_MAX));
        bool goes_on = mail_client_refuse(&client, refusal, SLICE("no\r\nsuch \xff user"), &out);
        ck_assert(goes_on == (client.reason == CLOSE_OK)); /* SMTP ends some with 421 */
        expect_line(slice_of(out.data, out.len), mail_client_refusal_text(refusal));
        static const struct mail_login empty;
        ck_assert(memcmp(&client.login, &empty, sizeof(empty)) == 0);
        bool counts = refusal == MAIL_REFUSED || refusal == MAIL_REFUSED_AS_IS;
        ck_assert_uint_eq(client.failures, counts);
        mail_client_fini(&client);
        buf_fini(&out);
    }
}
END_TEST

/* It asks and does not read: what we would say has an end. */
START_TEST(who_only_asks_is_left)
{
    struct mail_offer offer = mail_stand_offer;
    struct mail_client client;
    struct buf out;
    struct buf script;
    enum mail_client_event event;
    buf_init(&out, 256);
    buf_init(&script, 65536);
    for (int i = 0; i < 1000; i++) {
        buf_append_text(&script, "a NOOP\r\n");
    }
    mail_client_init(&client, &offer, false);
    size_t used = mail_client_feed(&client, script.data, script.len, &out, &event);
    ck_assert_uint_lt(used, script.len);
    ck_assert_int_eq(event, MAIL_CLIENT_CLOSE);
    ck_assert_int_eq(client.reason, CLOSE_FLOOD);
    mail_client_fini(&client);
    buf_fini(&script);
    buf_fini(&out);
}
END_TEST

UNIT_TESTS("mail_client", last_words_are_a_line_in_every_protocol,
           last_words_say_whether_to_come_again, every_refusal_is_a_line_and_wipes_the_login,
           who_only_asks_is_left)
