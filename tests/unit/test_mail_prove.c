#include "lbd/base/compiler.h"
#include "lbd/mail/mail_prove.h"
#include "tests/unit/unit.h"

/* A dialogue: what the server asks, one prompt after the other, up to its verdict. */
static const struct {
    enum mail_mechanism mechanism;
    size_t max;          /* of the line with AUTH */
    const char *prompts; /* separated by '|' */
    const char *want;
    enum mail_server_event event; /* of the last one */
} cases[] = {
    {MAIL_PLAIN, 512, NULL, "AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n", MAIL_SERVER_MORE},
    {MAIL_PLAIN, 29, NULL, "AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n", MAIL_SERVER_MORE},
    {MAIL_PLAIN, 28, "", "AUTH PLAIN\r\nAGpvZQBzZWNyZXQ=\r\n", MAIL_SERVER_MORE},
    {MAIL_PLAIN, 0, "", "AUTH PLAIN\r\nAGpvZQBzZWNyZXQ=\r\n", MAIL_SERVER_MORE},
    {MAIL_PLAIN, 0, "|", "AUTH PLAIN\r\nAGpvZQBzZWNyZXQ=\r\n", MAIL_SERVER_FAILED},
    {MAIL_LOGIN, 512, "VXNlcm5hbWU6|UGFzc3dvcmQ6", "AUTH LOGIN\r\nam9l\r\nc2VjcmV0\r\n",
     MAIL_SERVER_MORE},
    {MAIL_LOGIN, 512, "VXNlcm5hbWU6|UGFzc3dvcmQ6|eA==", "AUTH LOGIN\r\nam9l\r\nc2VjcmV0\r\n",
     MAIL_SERVER_FAILED},
    {MAIL_XOAUTH2, 512, "e30=", "AUTH XOAUTH2 dXNlcj1qb2UBYXV0aD1CZWFyZXIgc2VjcmV0AQE=\r\n\r\n",
     MAIL_SERVER_CHALLENGE},
    {MAIL_OAUTHBEARER, 0,
     "|e30=", "AUTH OAUTHBEARER\r\nbixhPWpvZSwBYXV0aD1CZWFyZXIgc2VjcmV0AQE=\r\nAQ==\r\n",
     MAIL_SERVER_CHALLENGE},
    {MAIL_XOAUTH2, 512, "e30=|e30=",
     "AUTH XOAUTH2 dXNlcj1qb2UBYXV0aD1CZWFyZXIgc2VjcmV0AQE=\r\n\r\n", MAIL_SERVER_FAILED},
};

START_TEST(answers_what_it_is_asked)
{
    struct mail_terms terms = {.protocol = MAIL_SMTP};
    struct mail_login login = {.mechanism = MAIL_PLAIN};
    ck_assert(mail_login_set_user(&login, SLICE("joe")));
    ck_assert(mail_login_set_secret(&login, SLICE("secret"), MAIL_PASSWORD_MAX));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mail_server server;
        struct sasl_proof proof;
        struct buf out;
        enum mail_server_event event = MAIL_SERVER_MORE;
        bool is_token = mail_mechanism_is_token(cases[i].mechanism);
        login.mechanism = (uint8_t)(is_token ? cases[i].mechanism : MAIL_PLAIN);
        buf_init(&out, 4096);
        mail_server_init(&server, &terms, &login, SLICE("joe"), NULL, true);
        ck_assert(mail_server_proof(&server, &proof));
        ck_assert(mail_server_choose(&server, MAIL_MECHANISM_BIT(cases[i].mechanism), &proof));
        mail_prove_begin(&server, &proof, cases[i].max, &out);
        struct slice rest = slice_from(cases[i].prompts);
        struct slice prompt;
        while (cases[i].prompts != NULL && slice_split(&rest, '|', &prompt)) {
            event = MAIL_SERVER_MORE;
            mail_prove_continue(&server, prompt, &out, &event);
        }
        ck_assert_msg(slice_eq(buf_slice(&out), slice_from(cases[i].want)), "case %zu: %.*s", i,
                      SLICE_ARG(buf_slice(&out)));
        ck_assert_msg(event == cases[i].event, "case %zu: event %d", i, event);
        ck_assert(event != MAIL_SERVER_CHALLENGE ||
                  slice_eq(buf_slice(&server.text), SLICE("e30=")));
        mail_server_fini(&server);
        buf_fini(&out);
    }
    mail_login_wipe(&login);
}
END_TEST

START_TEST(shows_nothing_before_it_is_its_turn)
{
    struct mail_terms terms = {.protocol = MAIL_POP3};
    struct mail_login login = {.mechanism = MAIL_PLAIN};
    struct mail_server server;
    struct buf out;
    enum mail_server_event event = MAIL_SERVER_MORE;
    ck_assert(mail_login_set_user(&login, SLICE("joe")));
    buf_init(&out, 4096);
    mail_server_init(&server, &terms, &login, SLICE("joe"), NULL, true);
    mail_prove_continue(&server, SLICE(""), &out, &event);
    ck_assert_int_eq(event, MAIL_SERVER_FAILED);
    ck_assert_uint_eq(out.len, 0);
    mail_server_fini(&server);
    buf_fini(&out);
    mail_login_wipe(&login);
}
END_TEST

UNIT_TESTS("mail_prove", answers_what_it_is_asked, shows_nothing_before_it_is_its_turn)
