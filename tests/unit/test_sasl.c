#include "lbd/base/compiler.h"
#include "lbd/base/base64.h"
#include "lbd/mail/sasl.h"
#include "tests/unit/unit.h"

#define A "\x01"

static const struct {
    enum mail_mechanism mechanism;
    struct slice message; /* in clear */
    enum sasl_verdict verdict;
    struct slice user;
    struct slice authzid;
    struct slice secret;
} messages[] = {
    {MAIL_PLAIN, SLICE_INIT("\0joe\0secret"), SASL_DONE, SLICE_INIT("joe"), SLICE_INIT(""),
     SLICE_INIT("secret")},
    {MAIL_PLAIN, SLICE_INIT("bob\0joe\0secret"), SASL_DONE, SLICE_INIT("joe"), SLICE_INIT("bob"),
     SLICE_INIT("secret")},
    {MAIL_PLAIN, SLICE_INIT("joe\0joe\0secret"), SASL_DONE, SLICE_INIT("joe"), SLICE_INIT(""),
     SLICE_INIT("secret")},
    {MAIL_PLAIN, SLICE_INIT("\0joe\0"), SASL_DONE, SLICE_INIT("joe"), SLICE_INIT(""),
     SLICE_INIT("")},
    {MAIL_PLAIN, SLICE_INIT("\0joe\0\"\\ %{}\xc3\xa9\r\n"), SASL_DONE, SLICE_INIT("joe"),
     SLICE_INIT(""), SLICE_INIT("\"\\ %{}\xc3\xa9\r\n")},
    {MAIL_PLAIN, SLICE_INIT(""), SASL_MALFORMED, {0}, {0}, {0}},
    {MAIL_PLAIN, SLICE_INIT("joe"), SASL_MALFORMED, {0}, {0}, {0}},
    {MAIL_PLAIN, SLICE_INIT("\0joe"), SASL_MALFORMED, {0}, {0}, {0}},
    {MAIL_PLAIN, SLICE_INIT("\0joe\0a\0"), SASL_MALFORMED, {0}, {0}, {0}},
    {MAIL_PLAIN, SLICE_INIT("\0joe\0a\0b"), SASL_MALFORMED, {0}, {0}, {0}},
    {MAIL_PLAIN, SLICE_INIT("\0\0secret"), SASL_BAD_NAME, {0}, {0}, {0}},
    {MAIL_PLAIN, SLICE_INIT("\0jo\r\ne\0secret"), SASL_BAD_NAME, {0}, {0}, {0}},
    {MAIL_PLAIN, SLICE_INIT("bo\nb\0joe\0secret"), SASL_BAD_NAME, {0}, {0}, {0}},
    {MAIL_XOAUTH2, SLICE_INIT("user=joe" A "auth=Bearer tok" A A), SASL_DONE, SLICE_INIT("joe"),
     SLICE_INIT(""), SLICE_INIT("tok")},
    {MAIL_XOAUTH2, SLICE_INIT("user=joe" A "auth=bearer tok" A A), SASL_DONE, SLICE_INIT("joe"),
     SLICE_INIT(""), SLICE_INIT("tok")},
    {MAIL_XOAUTH2, SLICE_INIT("user=joe" A "auth=Bearer tok" A), SASL_MALFORMED, {0}, {0}, {0}},
    {MAIL_XOAUTH2, SLICE_INIT("user=joe" A "auth=Bearer " A A), SASL_MALFORMED, {0}, {0}, {0}},
    {MAIL_XOAUTH2, SLICE_INIT("user=joe" A "auth=Basic x" A A), SASL_MALFORMED, {0}, {0}, {0}},
    {MAIL_XOAUTH2, SLICE_INIT("user=joe" A "auth=Bearer t\rk" A A), SASL_MALFORMED, {0}, {0}, {0}},
    {MAIL_XOAUTH2, SLICE_INIT("user=" A "auth=Bearer tok" A A), SASL_BAD_NAME, {0}, {0}, {0}},
    {MAIL_XOAUTH2, SLICE_INIT("joe" A "auth=Bearer tok" A A), SASL_MALFORMED, {0}, {0}, {0}},
    {MAIL_XOAUTH2, SLICE_INIT(""), SASL_MALFORMED, {0}, {0}, {0}},
    {MAIL_OAUTHBEARER, SLICE_INIT("n,a=joe," A "host=h" A "port=143" A "auth=Bearer tok" A A),
     SASL_DONE, SLICE_INIT("joe"), SLICE_INIT(""),
     SLICE_INIT("host=h" A "port=143" A "auth=Bearer tok" A A)},
    {MAIL_OAUTHBEARER, SLICE_INIT("y,a=j=2Co=3De," A "auth=Bearer tok" A A), SASL_DONE,
     SLICE_INIT("j,o=e"), SLICE_INIT(""), SLICE_INIT("auth=Bearer tok" A A)},
    {MAIL_OAUTHBEARER, SLICE_INIT("n,," A "auth=Bearer tok" A A), SASL_NO_USER, {0}, {0}, {0}},
    {MAIL_OAUTHBEARER, SLICE_INIT("n,a=," A "auth=Bearer tok" A A), SASL_BAD_NAME, {0}, {0}, {0}},
    {MAIL_OAUTHBEARER,
     SLICE_INIT("n,a=j=20oe," A "auth=Bearer tok" A A),
     SASL_BAD_NAME,
     {0},
     {0},
     {0}},
    {MAIL_OAUTHBEARER, SLICE_INIT("n,joe," A "auth=Bearer tok" A A), SASL_MALFORMED, {0}, {0}, {0}},
    {MAIL_OAUTHBEARER,
     SLICE_INIT("p=tls-unique,a=joe," A "auth=Bearer tok" A A),
     SASL_MALFORMED,
     {0},
     {0},
     {0}},
    {MAIL_OAUTHBEARER, SLICE_INIT("n,a=joe,auth=Bearer tok" A A), SASL_MALFORMED, {0}, {0}, {0}},
    {MAIL_OAUTHBEARER, SLICE_INIT("n,a=joe," A A), SASL_MALFORMED, {0}, {0}, {0}},
    {MAIL_OAUTHBEARER, SLICE_INIT("n,a=joe," A), SASL_MALFORMED, {0}, {0}, {0}},
    {MAIL_OAUTHBEARER, SLICE_INIT("n,a=joe"), SASL_MALFORMED, {0}, {0}, {0}},
    {MAIL_OAUTHBEARER, SLICE_INIT(A), SASL_MALFORMED, {0}, {0}, {0}},
    {MAIL_EXTERNAL, SLICE_INIT(""), SASL_DONE, SLICE_INIT("cert"), SLICE_INIT(""), SLICE_INIT("")},
    {MAIL_EXTERNAL, SLICE_INIT("cert"), SASL_DONE, SLICE_INIT("cert"), SLICE_INIT(""),
     SLICE_INIT("")},
    {MAIL_EXTERNAL, SLICE_INIT("bob"), SASL_DONE, SLICE_INIT("cert"), SLICE_INIT("bob"),
     SLICE_INIT("")},
    {MAIL_EXTERNAL, SLICE_INIT("b\0b"), SASL_BAD_NAME, {0}, {0}, {0}},
    {MAIL_LOGIN_COMMAND, SLICE_INIT(""), SASL_MALFORMED, {0}, {0}, {0}},
};

static enum sasl_verdict read_message(struct mail_login *login, struct slice message)
{
    struct buf text;
    buf_init(&text, (size_t)256 * 1024);
    base64_write(message, &text);
    enum sasl_verdict verdict = sasl_read(login, SLICE("cert"), text.data, text.len);
    buf_fini(&text);
    return verdict;
}

START_TEST(messages_are_read_or_have_a_verdict)
{
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        struct mail_login login = {.mechanism = (uint8_t)messages[i].mechanism};
        enum sasl_verdict verdict = read_message(&login, messages[i].message);
        ck_assert_msg(verdict == messages[i].verdict, "case %zu: %d", i, (int)verdict);
        if (verdict == SASL_DONE) {
            ck_assert_msg(slice_eq(mail_login_user(&login), messages[i].user), "case %zu", i);
            ck_assert_msg(slice_eq(mail_login_authzid(&login), messages[i].authzid), "case %zu", i);
            ck_assert_msg(slice_eq(mail_login_secret(&login), messages[i].secret), "case %zu", i);
            ck_assert_msg(login.has_authzid == (messages[i].authzid.len > 0), "case %zu", i);
        }
        mail_login_wipe(&login);
    }
}
END_TEST

START_TEST(login_takes_two_messages)
{
    struct mail_login login = {.mechanism = MAIL_LOGIN};
    ck_assert(slice_eq(sasl_question(&login), SLICE("VXNlcm5hbWU6")));
    ck_assert_int_eq(read_message(&login, SLICE("")), SASL_BAD_NAME);
    ck_assert_int_eq(read_message(&login, SLICE("joe")), SASL_NEXT);
    ck_assert(slice_eq(sasl_question(&login), SLICE("UGFzc3dvcmQ6")));
    ck_assert_int_eq(read_message(&login, SLICE("a\0b")), SASL_MALFORMED);
    ck_assert_int_eq(read_message(&login, SLICE("secret")), SASL_DONE);
    ck_assert(slice_eq(mail_login_user(&login), SLICE("joe")));
    ck_assert(slice_eq(mail_login_secret(&login), SLICE("secret")));
    mail_login_wipe(&login);
}
END_TEST

START_TEST(without_a_certificate_nobody_is_external)
{
    struct mail_login login = {.mechanism = MAIL_EXTERNAL};
    char empty[1];
    ck_assert_int_eq(sasl_read(&login, SLICE_NONE, empty, 0), SASL_NO_USER);
}
END_TEST

START_TEST(secrets_have_limits)
{
    static char text[MAIL_SASL_LINE_MAX + 4];
    struct mail_login login = {.mechanism = MAIL_PLAIN};
    struct buf message;
    buf_init(&message, 65536);
    buf_append(&message, "\0joe\0", 5);
    for (size_t i = 0; i < MAIL_PASSWORD_MAX; i++) {
        buf_append_char(&message, 'p');
    }
    ck_assert_int_eq(read_message(&login, buf_slice(&message)), SASL_DONE);
    buf_append_char(&message, 'p');
    ck_assert_int_eq(read_message(&login, buf_slice(&message)), SASL_TOO_LONG);
    mail_login_wipe(&login);
    buf_clear(&message);
    login.mechanism = MAIL_XOAUTH2;
    buf_append_text(&message, "user=joe" A "auth=Bearer ");
    while (message.len < MAIL_TOKEN_MAX - 2) {
        buf_append_char(&message, 't');
    }
    buf_append_text(&message, A A);
    ck_assert_int_eq(read_message(&login, buf_slice(&message)), SASL_DONE);
    memset(text, 'A', sizeof(text));
    ck_assert_int_eq(sasl_read(&login, SLICE_NONE, text, sizeof(text)), SASL_TOO_LONG);
    mail_login_wipe(&login);
    buf_fini(&message);
}
END_TEST

START_TEST(base64_has_one_spelling)
{
    static const struct {
        const char *text;
        const char *bytes; /* NULL: it is none */
    } cases[] = {
        {"", ""},           {"Zg==", "f"},        {"Zm8=", "fo"},
        {"Zm9v", "foo"},    {"Zm9vYg==", "foob"}, {"+/+/", "\xfb\xff\xbf"},
        {"Zg", NULL},       {"Zg=", NULL},        {"Zm8", NULL},
        {"=", NULL},        {"==", NULL},         {"====", NULL},
        {"Z===", NULL},     {"Zh==", NULL},       {"Zm9=", NULL},
        {"Zg==Zg==", NULL}, {"Zm 9", NULL},       {"Zm9v\r", NULL},
        {"Zm9v\n", NULL},   {"-_-_", NULL},       {"Zm9\xff", NULL},
        {"*", NULL},        {"Zm=v", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[16];
        size_t len = strlen(cases[i].text);
        memcpy(text, cases[i].text, len);
        struct slice bytes;
        bool ok = base64_read(text, len, &bytes);
        ck_assert_msg(ok == (cases[i].bytes != NULL), "'%s'", cases[i].text);
        ck_assert_msg(!ok || slice_eq(bytes, slice_from(cases[i].bytes)), "'%s'", cases[i].text);
    }
}
END_TEST

START_TEST(what_is_written_is_read_the_same)
{
    static const struct sasl_proof proofs[] = {
        {MAIL_PLAIN, SLICE_INIT(""), SLICE_INIT("joe"), SLICE_INIT("p\xc3\xa4ss \"\\")},
        {MAIL_PLAIN, SLICE_INIT("bob"), SLICE_INIT("master"), SLICE_INIT("")},
        {MAIL_XOAUTH2, SLICE_INIT(""), SLICE_INIT("joe@example.com"), SLICE_INIT("tok.en")},
        {MAIL_OAUTHBEARER, SLICE_INIT(""), SLICE_INIT("j,o=e"),
         SLICE_INIT("host=h" A "auth=Bearer tok" A A)},
    };
    for (size_t i = 0; i < ARRAY_LEN(proofs); i++) {
        struct buf text;
        struct mail_login login = {.mechanism = (uint8_t)proofs[i].mechanism};
        buf_init(&text, 4096);
        sasl_write(&proofs[i], &text);
        ck_assert_int_eq(sasl_read(&login, SLICE_NONE, text.data, text.len), SASL_DONE);
        ck_assert(slice_eq(mail_login_user(&login), proofs[i].user));
        ck_assert(slice_eq(mail_login_authzid(&login), proofs[i].authzid));
        ck_assert(slice_eq(mail_login_secret(&login), proofs[i].secret));
        mail_login_wipe(&login);
        buf_fini(&text);
    }
}
END_TEST

/* The server may know only the other of the two forms. */
START_TEST(a_token_changes_its_form)
{
    static const struct {
        struct sasl_proof proof;
        const char *message;
    } cases[] = {
        {{MAIL_XOAUTH2, SLICE_INIT(""), SLICE_INIT("joe"),
          SLICE_INIT("host=h" A "auth=Bearer tok" A A)},
         "user=joe" A "auth=Bearer tok" A A},
        {{MAIL_OAUTHBEARER, SLICE_INIT(""), SLICE_INIT("joe"), SLICE_INIT("tok")},
         "n,a=joe," A "auth=Bearer tok" A A},
        {{MAIL_LOGIN, SLICE_INIT(""), SLICE_INIT("joe"), SLICE_INIT("secret")}, "joe"},
        {{MAIL_EXTERNAL, SLICE_INIT("bob"), SLICE_INIT("joe"), SLICE_INIT("")}, "bob"},
        {{MAIL_LOGIN_COMMAND, SLICE_INIT(""), SLICE_INIT("joe"), SLICE_INIT("secret")}, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text;
        struct slice bytes;
        buf_init(&text, 4096);
        buf_append_text(&text, ""); /* there is memory, also for nothing */
        sasl_write(&cases[i].proof, &text);
        ck_assert(base64_read(text.data, text.len, &bytes));
        ck_assert_msg(slice_eq(bytes, slice_from(cases[i].message)), "case %zu", i);
        buf_clear(&text);
        sasl_write_second(&cases[i].proof, &text);
        ck_assert(base64_read(text.data, text.len, &bytes));
        ck_assert(slice_eq(bytes, cases[i].proof.secret));
        buf_fini(&text);
    }
}
END_TEST

START_TEST(mechanisms_have_names)
{
    enum mail_mechanism mechanism;
    ck_assert(sasl_mechanism_find(SLICE("xoauth2"), &mechanism) && mechanism == MAIL_XOAUTH2);
    ck_assert(sasl_mechanism_find(SLICE("PLAIN"), &mechanism) && mechanism == MAIL_PLAIN);
    ck_assert(!sasl_mechanism_find(SLICE("login_command"), &mechanism));
    ck_assert(!sasl_mechanism_find(SLICE("SCRAM-SHA-256"), &mechanism));
    ck_assert(!sasl_mechanism_find(SLICE(""), &mechanism));
}
END_TEST

UNIT_TESTS("sasl", messages_are_read_or_have_a_verdict, login_takes_two_messages,
           without_a_certificate_nobody_is_external, secrets_have_limits, base64_has_one_spelling,
           what_is_written_is_read_the_same, a_token_changes_its_form, mechanisms_have_names)
