#include "lbd/base/compiler.h"
#include "lbd/mail/mail_command.h"
#include "tests/unit/mail_stand.h"
#include "tests/unit/unit.h"

static char said[32]; /* the verb and what stands behind it */

static void take_pass(struct mail_client *client, struct slice rest, struct buf *out,
                      enum mail_client_event *event)
{
    (void)client;
    (void)out;
    (void)event;
    (void)snprintf(said, sizeof(said), "pass[%.*s]", SLICE_ARG(rest));
}

static void take_nothing(struct mail_client *client, struct slice rest, struct buf *out,
                         enum mail_client_event *event)
{
    (void)client;
    (void)out;
    (void)event;
    (void)snprintf(said, sizeof(said), "nothing[%.*s]", SLICE_ARG(rest));
}

START_TEST(a_verb_ends_at_the_first_space)
{
    static const struct mail_verb verbs[] = {
        {SLICE_INIT("PASS"), take_pass},
        {SLICE_INIT(""), take_nothing},
    };
    static const struct {
        const char *line;
        const char *want; /* empty: it is none of them */
    } cases[] = {
        {"PASS", "pass[]"},   {"PASS  a b ", "pass[ a b ]"},
        {"pass ", "pass[]"},  {"", "nothing[]"},
        {" x", "nothing[x]"}, {"PASSx", ""},
        {"PAS S", ""},        {"PASS\tx", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mail_client client;
        struct buf out;
        enum mail_client_event event = MAIL_CLIENT_MORE;
        said[0] = '\0';
        buf_init(&out, 1024);
        mail_client_init(&client, &mail_stand_offer, false);
        buf_append_text(&client.line, cases[i].line);
        bool is_one = mail_command_run(&client, verbs, ARRAY_LEN(verbs), &out, &event);
        ck_assert_msg(is_one == (cases[i].want[0] != '\0'), "'%s'", cases[i].line);
        ck_assert_str_eq(said, cases[i].want);
        mail_client_fini(&client);
        buf_fini(&out);
    }
}
END_TEST

/* AUTH may be as long as a line of SASL, wherever it is cut; nothing else may. */
START_TEST(only_auth_is_long)
{
    static const struct {
        const char *begin;
        enum mail_line_end want;
    } cases[] = {
        {"AUTH PLAIN ", MAIL_LINE_WHOLE},
        {"auth plain ", MAIL_LINE_WHOLE},
        {"AUTHENTICATE ", MAIL_LINE_TOO_LONG},
        {"USER AUTH ", MAIL_LINE_TOO_LONG},
        {"", MAIL_LINE_TOO_LONG},
    };
    char line[1002];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        memset(line, 'x', sizeof(line));
        memcpy(line, cases[i].begin, strlen(cases[i].begin));
        memcpy(line + 1000, "\r\n", 2);
        for (size_t cut = 1; cut < 300; cut++) {
            struct mail_client client;
            enum mail_line_end end;
            mail_client_init(&client, &mail_stand_offer, false);
            size_t used = mail_command_take(&client, 255, line, cut, &end);
            if (end == MAIL_LINE_MORE) {
                (void)mail_command_take(&client, 255, line + used, sizeof(line) - used, &end);
            }
            ck_assert_msg(end == cases[i].want, "'%s' cut at %zu: %d", cases[i].begin, cut, end);
            mail_client_fini(&client);
        }
    }
}
END_TEST

static const struct {
    const char *words; /* behind AUTH */
    bool is_secure;
    bool has_certificate;
    enum mail_auth want;
    const char *user;
} auths[] = {
    {"PLAIN AGpvZQB4", true, false, MAIL_AUTH_DONE, "joe"},
    {"plain", true, false, MAIL_AUTH_ASK, ""},
    {"LOGIN am9l", true, false, MAIL_AUTH_ASK, "joe"},
    {"EXTERNAL =", true, true, MAIL_AUTH_DONE, "joe@example.com"},
    {"EXTERNAL =", true, false, MAIL_AUTH_UNKNOWN, ""},
    {"PLAIN AGpvZQB4", false, false, MAIL_AUTH_NEEDS_TLS, ""},
    {"GSSAPI", false, false, MAIL_AUTH_NEEDS_TLS, ""},
    {"GSSAPI", true, false, MAIL_AUTH_UNKNOWN, ""},
    {"", true, false, MAIL_AUTH_SYNTAX, ""},
    {"PLAIN a b", true, false, MAIL_AUTH_SYNTAX, ""},
    {"PLAIN =", true, false, MAIL_AUTH_MALFORMED, ""},
    {"PLAIN AGpvZQB", true, false, MAIL_AUTH_MALFORMED, ""},
    {"PLAIN AAEAeA==", true, false, MAIL_AUTH_WRONG, ""},
    {"OAUTHBEARER biwsAWF1dGg9QmVhcmVyIHQBAQ==", true, false, MAIL_AUTH_NO_USER, ""},
};

START_TEST(auth_is_judged)
{
    struct mail_offer offer = mail_stand_offer;
    offer.allows_cleartext = false;
    for (size_t i = 0; i < ARRAY_LEN(auths); i++) {
        struct mail_client client;
        mail_client_init(&client, &offer, auths[i].is_secure);
        client.subject = auths[i].has_certificate ? SLICE("joe@example.com") : SLICE_NONE;
        buf_append_text(&client.line, auths[i].words);
        enum mail_auth got = mail_auth_begin(&client, buf_slice(&client.line));
        ck_assert_msg(got == auths[i].want, "'%s': %d", auths[i].words, got);
        ck_assert_msg(slice_eq(mail_login_user(&client.login), slice_from(auths[i].user)), "'%s'",
                      auths[i].words);
        mail_client_fini(&client);
    }
}
END_TEST

/* What is no login counts, and only what may be a guess counts as one. */
START_TEST(an_auth_that_came_to_nothing_counts)
{
    static const struct {
        enum mail_auth auth;
        enum mail_client_event event;
        unsigned bad;
        unsigned failures;
    } notes[] = {
        {MAIL_AUTH_DONE, MAIL_CLIENT_LOGIN, 0, 0},     {MAIL_AUTH_ASK, MAIL_CLIENT_MORE, 0, 0},
        {MAIL_AUTH_CANCELLED, MAIL_CLIENT_MORE, 1, 0}, {MAIL_AUTH_UNKNOWN, MAIL_CLIENT_MORE, 1, 0},
        {MAIL_AUTH_NEEDS_TLS, MAIL_CLIENT_MORE, 1, 0}, {MAIL_AUTH_SYNTAX, MAIL_CLIENT_MORE, 1, 0},
        {MAIL_AUTH_MALFORMED, MAIL_CLIENT_MORE, 1, 0}, {MAIL_AUTH_WRONG, MAIL_CLIENT_MORE, 0, 1},
        {MAIL_AUTH_NO_USER, MAIL_CLIENT_MORE, 0, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(notes); i++) {
        struct mail_client client;
        struct buf out;
        enum mail_client_event event = MAIL_CLIENT_MORE;
        buf_init(&out, 1024);
        mail_client_init(&client, &mail_stand_offer, true);
        mail_auth_note(&client, notes[i].auth, &out, &event);
        ck_assert_msg(event == notes[i].event && client.bad_commands == notes[i].bad &&
                          client.failures == notes[i].failures,
                      "%d: event %d, %u bad, %u failures", notes[i].auth, event,
                      client.bad_commands, client.failures);
        mail_client_fini(&client);
        buf_fini(&out);
    }
}
END_TEST

START_TEST(a_star_cancels)
{
    struct mail_client client;
    mail_client_init(&client, &mail_stand_offer, true);
    buf_append_text(&client.line, "LOGIN am9l");
    ck_assert_int_eq(mail_auth_begin(&client, buf_slice(&client.line)), MAIL_AUTH_ASK);
    mail_line_wipe(&client.line);
    buf_append_text(&client.line, "*");
    ck_assert_int_eq(mail_auth_continue(&client), MAIL_AUTH_CANCELLED);
    ck_assert_uint_eq(client.login.user_len, 0);
    mail_client_fini(&client);
}
END_TEST

UNIT_TESTS("mail_command", a_verb_ends_at_the_first_space, only_auth_is_long, auth_is_judged,
           an_auth_that_came_to_nothing_counts, a_star_cancels)
