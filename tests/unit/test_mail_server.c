#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/mail/mail_server.h"
#include "tests/unit/unit.h"

#define BIT(mechanism) MAIL_MECHANISM_BIT(MAIL_##mechanism)

/* What is chosen among what a server offers; -1: nothing fits. */
START_TEST(a_login_is_shown_in_the_way_that_fits)
{
    static const struct {
        enum mail_mechanism login;
        bool has_authzid;
        uint8_t insists; /* mechanism + 1 */
        uint32_t offered;
        int chosen;
    } cases[] = {
        {MAIL_LOGIN_COMMAND, false, 0, BIT(PLAIN) | BIT(LOGIN) | BIT(LOGIN_COMMAND), MAIL_PLAIN},
        {MAIL_PLAIN, false, 0, BIT(LOGIN) | BIT(LOGIN_COMMAND), MAIL_LOGIN_COMMAND},
        {MAIL_PLAIN, false, 0, BIT(LOGIN) | BIT(XOAUTH2), MAIL_LOGIN},
        {MAIL_PLAIN, false, 0, BIT(XOAUTH2) | BIT(OAUTHBEARER) | BIT(EXTERNAL), -1},
        {MAIL_PLAIN, false, 0, 0, -1},
        {MAIL_PLAIN, true, 0, BIT(PLAIN) | BIT(LOGIN), MAIL_PLAIN},
        {MAIL_PLAIN, true, 0, BIT(LOGIN) | BIT(LOGIN_COMMAND), -1},
        {MAIL_PLAIN, false, MAIL_LOGIN + 1, BIT(PLAIN), MAIL_LOGIN},
        {MAIL_PLAIN, false, MAIL_XOAUTH2 + 1, BIT(PLAIN), -1},
        {MAIL_PLAIN, true, MAIL_LOGIN + 1, BIT(PLAIN), -1},
        {MAIL_XOAUTH2, false, 0, BIT(XOAUTH2) | BIT(OAUTHBEARER), MAIL_XOAUTH2},
        {MAIL_OAUTHBEARER, false, 0, BIT(XOAUTH2) | BIT(OAUTHBEARER), MAIL_OAUTHBEARER},
        {MAIL_OAUTHBEARER, false, 0, BIT(XOAUTH2) | BIT(PLAIN), MAIL_XOAUTH2},
        {MAIL_XOAUTH2, false, 0, BIT(PLAIN) | BIT(LOGIN) | BIT(LOGIN_COMMAND), -1},
        {MAIL_XOAUTH2, false, MAIL_PLAIN + 1, BIT(XOAUTH2), -1},
        {MAIL_EXTERNAL, false, 0, BIT(PLAIN) | BIT(EXTERNAL), -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct mail_terms terms = {.mechanism = cases[i].insists};
        struct mail_login login = {.mechanism = (uint8_t)cases[i].login};
        struct mail_server server;
        struct sasl_proof proof;
        ck_assert(mail_login_set_user(&login, SLICE("joe")));
        ck_assert(!cases[i].has_authzid || mail_login_set_authzid(&login, SLICE("bob")));
        mail_server_init(&server, &terms, &login, SLICE("joe"), NULL, true);
        bool fits = mail_server_proof(&server, &proof) &&
                    mail_server_choose(&server, cases[i].offered, &proof);
        ck_assert_msg(fits == (cases[i].chosen >= 0), "case %zu", i);
        ck_assert_msg(!fits || (proof.mechanism == (enum mail_mechanism)cases[i].chosen &&
                                server.mechanism == cases[i].chosen),
                      "case %zu: %s", i, mail_mechanism_word(proof.mechanism));
        mail_server_fini(&server);
        mail_login_wipe(&login);
    }
}
END_TEST

START_TEST(whose_credentials_are_shown)
{
    struct mail_terms terms = {.credentials = MAIL_CREDENTIALS_FORWARD,
                               .master_user = SLICE("master"),
                               .master_password = SLICE("key")};
    struct mail_login login = {.mechanism = MAIL_PLAIN};
    struct mail_server server;
    struct sasl_proof proof;
    ck_assert(mail_login_set_user(&login, SLICE("joe")));
    ck_assert(mail_login_set_secret(&login, SLICE("secret"), MAIL_PASSWORD_MAX));
    mail_server_init(&server, &terms, &login, SLICE("renamed"), NULL, true);
    ck_assert(mail_server_proof(&server, &proof));
    ck_assert(slice_eq(proof.user, SLICE("renamed")) && slice_eq(proof.secret, SLICE("secret")));
    ck_assert_uint_eq(proof.authzid.len, 0);
    terms.credentials = MAIL_CREDENTIALS_MASTER;
    ck_assert(mail_server_proof(&server, &proof));
    ck_assert(slice_eq(proof.user, SLICE("master")) && slice_eq(proof.secret, SLICE("key")));
    ck_assert(slice_eq(proof.authzid, SLICE("renamed")));
    terms.credentials = MAIL_CREDENTIALS_NONE;
    ck_assert(!mail_server_proof(&server, &proof));
    terms.credentials = MAIL_CREDENTIALS_FORWARD;
    server.login = NULL;
    ck_assert(!mail_server_proof(&server, &proof));
    mail_server_fini(&server);
    mail_login_wipe(&login);
}
END_TEST

START_TEST(how_far_it_came_has_a_word)
{
    static const char *const words[] = {
        [MAIL_AT_BANNER] = "banner",     [MAIL_AT_CAPABILITY] = "capability",
        [MAIL_AT_STARTTLS] = "starttls", [MAIL_AT_HANDSHAKE] = "handshake",
        [MAIL_AT_XCLIENT] = "xclient",   [MAIL_AT_LOGIN] = "login",
        [MAIL_AT_END] = "end",
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct mail_server server = {.at = (uint8_t)i};
        ck_assert_str_eq(mail_server_state_word(&server), words[i]);
    }
}
END_TEST

START_TEST(what_a_server_says_is_kept_as_text)
{
    const struct mail_terms terms = {0};
    struct mail_server server;
    enum mail_server_event event;
    mail_server_init(&server, &terms, NULL, SLICE_NONE, NULL, true);
    mail_server_fail(&server, CLOSE_BAD_RESPONSE, SLICE("a\r\nb\xff"), &event);
    ck_assert_int_eq(event, MAIL_SERVER_FAILED);
    ck_assert_str_eq(server.text.data, "a??b?");
    mail_server_refuse(&server, MAIL_REFUSED_AS_IS, SLICE("[LIMIT] x\r"), &event);
    ck_assert_int_eq(event, MAIL_SERVER_REFUSED);
    ck_assert_str_eq(server.text.data, "[LIMIT] x?");
    mail_server_put_off(&server, SLICE("later"), &event);
    ck_assert_int_eq(event, MAIL_SERVER_UNAVAILABLE);
    ck_assert_str_eq(server.text.data, "later");
    mail_server_fini(&server);
}
END_TEST

UNIT_TESTS("mail_server", a_login_is_shown_in_the_way_that_fits, whose_credentials_are_shown,
           how_far_it_came_has_a_word, what_a_server_says_is_kept_as_text)
