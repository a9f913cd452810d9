#include "lbd/base/compiler.h"
#include "tests/unit/mail_stand.h"
#include "tests/unit/unit.h"

enum how {
    PLAIN = 0,
    STARTTLS = 1,
    TELLS = 2,
    MASTER = 4,
    NONE = 8,
    CHECK = 16,
    NOBODY = 32, /* no login: a check without one */
    TOKEN = 64,
    AUTHZID = 128,
    WANTS_LOGIN = 256,
    SPACES = 512,
    EMPTY = 1024,
    LONG = 2048,
};

static const struct mail_origin origin = {
    .client_ip = SLICE_INIT("2001:db8::1"),
    .client_port = 1025,
    .local_ip = SLICE_INIT("192.0.2.1"),
    .local_port = 110,
    .session = SLICE_INIT("x7"),
    .transport = SLICE_INIT("TLS"),
    .ttl = 6,
};

static void play(unsigned how, struct slice script, struct slice want)
{
    static char password[252];
    memset(password, 'p', sizeof(password));
    struct slice secret = SLICE("se cret");
    if ((how & SPACES) != 0) {
        secret = SLICE(" secret ");
    } else if ((how & EMPTY) != 0) {
        secret = SLICE_NONE;
    } else if ((how & LONG) != 0) {
        secret = slice_of(password, sizeof(password));
    }
    struct mail_login login = {.mechanism = MAIL_LOGIN_COMMAND};
    ck_assert(mail_login_set_user(&login, SLICE("joe")));
    ck_assert(mail_login_set_secret(&login, secret, MAIL_PASSWORD_MAX));
    if ((how & AUTHZID) != 0) {
        ck_assert(mail_login_set_authzid(&login, SLICE("ann")));
    }
    if ((how & TOKEN) != 0) {
        login.mechanism = MAIL_XOAUTH2;
        ck_assert(mail_login_set_secret(&login, SLICE("token"), MAIL_TOKEN_MAX));
    }
    struct mail_stand_server stand = {
        .terms = {.protocol = MAIL_POP3,
                  .starttls = (how & STARTTLS) != 0,
                  .tells_client = (how & TELLS) != 0,
                  .is_check = (how & CHECK) != 0,
                  .mechanism = (how & WANTS_LOGIN) != 0 ? MAIL_LOGIN + 1 : 0,
                  .master_user = SLICE_INIT("master"),
                  .master_password = SLICE_INIT("key")},
        .login = (how & NOBODY) != 0 ? NULL : &login,
        .origin = (how & TELLS) != 0 ? &origin : NULL,
    };
    if ((how & MASTER) != 0) {
        stand.terms.credentials = MAIL_CREDENTIALS_MASTER;
    } else if ((how & NONE) != 0) {
        stand.terms.credentials = MAIL_CREDENTIALS_NONE;
    }
    mail_stand_server(&stand, script, want);
    mail_login_wipe(&login);
}

#define XCLIENT_LINE                                                                               \
    "XCLIENT ADDR=2001:db8::1 PORT=1025 CLIENT-TRANSPORT=TLS DESTADDR=192.0.2.1 DESTPORT=110 "     \
    "SESSION=x7 TTL=6\n"

static const struct {
    unsigned how;
    struct slice script;
    struct slice want;
} cases[] = {
    {PLAIN, SLICE_INIT("+OK ready\r\n+OK\r\n+OK 3 messages\r\n+OK rest"),
     SLICE_INIT("USER joe\n"
                "PASS se cret\n"
                "<ready 3 messages []>\n"
                "<relay +OK rest>\n")},
    {PLAIN, SLICE_INIT("+ok\n+OK\n+OK\n"),
     SLICE_INIT("USER joe\n"
                "PASS se cret\n"
                "<ready  []>\n")},
    /* what USER and PASS cannot say goes by AUTH */
    {SPACES, SLICE_INIT("+OK\r\n+ \r\n+OK in\r\n"),
     SLICE_INIT("AUTH PLAIN\n"
                "AGpvZQAgc2VjcmV0IA==\n"
                "<ready in []>\n")},
    {EMPTY, SLICE_INIT("+OK\r\n+\r\n+OK in\r\n"),
     SLICE_INIT("AUTH PLAIN\n"
                "AGpvZQA=\n"
                "<ready in []>\n")},
    {LONG, SLICE_INIT("+OK\r\n"), SLICE_INIT("AUTH PLAIN\n")},
    {AUTHZID, SLICE_INIT("+OK\r\n+ \r\n+OK in\r\n"),
     SLICE_INIT("AUTH PLAIN\n"
                "YW5uAGpvZQBzZSBjcmV0\n"
                "<ready in []>\n")},
    {MASTER, SLICE_INIT("+OK\r\n+ \r\n+OK in\r\n"),
     SLICE_INIT("AUTH PLAIN\n"
                "am9lAG1hc3RlcgBrZXk=\n"
                "<ready in []>\n")},
    {WANTS_LOGIN, SLICE_INIT("+OK\r\n+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n+OK in\r\n"),
     SLICE_INIT("AUTH LOGIN\n"
                "am9l\n"
                "c2UgY3JldA==\n"
                "<ready in []>\n")},
    {TOKEN, SLICE_INIT("+OK\r\n+ \r\n+OK in\r\n"),
     SLICE_INIT("AUTH XOAUTH2\n"
                "dXNlcj1qb2UBYXV0aD1CZWFyZXIgdG9rZW4BAQ==\n"
                "<ready in []>\n")},
    {TOKEN, SLICE_INIT("+OK\r\n+ \r\n+ e30=\r\n-ERR [AUTH] no\r\n"),
     SLICE_INIT("AUTH XOAUTH2\n"
                "dXNlcj1qb2UBYXV0aD1CZWFyZXIgdG9rZW4BAQ==\n"
                "\n"
                "<challenge e30=>\n"
                "<refused [AUTH] no>\n")},
    {NONE, SLICE_INIT("+OK\r\n"), SLICE_INIT("<failed server_no_login at banner>\n")},
    /* how a login is refused */
    {PLAIN, SLICE_INIT("+OK\r\n-ERR no such user\r\n"),
     SLICE_INIT("USER joe\n"
                "<refused no such user>\n")},
    {PLAIN, SLICE_INIT("+OK\r\n+OK\r\n-ERR [AUTH] wrong\r\n"),
     SLICE_INIT("USER joe\n"
                "PASS se cret\n"
                "<refused [AUTH] wrong>\n")},
    {PLAIN, SLICE_INIT("+OK\r\n+OK\r\n-ERR [SYS/TEMP] later\r\n"),
     SLICE_INIT("USER joe\n"
                "PASS se cret\n"
                "<unavailable [SYS/TEMP] later>\n")},
    {PLAIN, SLICE_INIT("+OK\r\n+OK\r\n-ERR [sys/perm] never\r\n"),
     SLICE_INIT("USER joe\n"
                "PASS se cret\n"
                "<refused as is: [sys/perm] never>\n")},
    {PLAIN, SLICE_INIT("+OK\r\n+OK\r\n-ERR [IN-USE] locked\r\n"),
     SLICE_INIT("USER joe\n"
                "PASS se cret\n"
                "<refused as is: [IN-USE] locked>\n")},
    {PLAIN, SLICE_INIT("-ERR too busy\r\n"), SLICE_INIT("<unavailable too busy>\n")},
    /* no answers at all */
    {PLAIN, SLICE_INIT("* OK IMAP\r\n"), SLICE_INIT("<failed bad_response at banner>\n")},
    {PLAIN, SLICE_INIT("+OKAY\r\n"), SLICE_INIT("<failed bad_response at banner>\n")},
    {PLAIN, SLICE_INIT("\r\n"), SLICE_INIT("<failed bad_response at banner>\n")},
    {PLAIN, SLICE_INIT("+OK \0\r\n"), SLICE_INIT("<failed bad_response at banner>\n")},
    {PLAIN, SLICE_INIT("+OK\r\n+ eh?\r\n"),
     SLICE_INIT("USER joe\n"
                "<failed bad_response at login>\n")},
    {PLAIN, SLICE_INIT("+ eh?\r\n"), SLICE_INIT("<failed bad_response at banner>\n")},
    {MASTER, SLICE_INIT("+OK\r\n+OK\r\n"),
     SLICE_INIT("AUTH PLAIN\n"
                "<failed bad_response at login>\n")},
    {MASTER, SLICE_INIT("+OK\r\n+ \r\n+ \r\n"),
     SLICE_INIT("AUTH PLAIN\n"
                "am9lAG1hc3RlcgBrZXk=\n"
                "<failed bad_response at login>\n")},
    /* STLS: one answer, then TLS */
    {STARTTLS, SLICE_INIT("+OK\r\n+OK go\r\n|+OK\r\n+OK in\r\n"),
     SLICE_INIT("STLS\n"
                "<starttls>\n"
                "USER joe\n"
                "PASS se cret\n"
                "<ready in []>\n")},
    {STARTTLS, SLICE_INIT("+OK\r\n+OK go\r\n+OK\r\n+OK in\r\n"),
     SLICE_INIT("STLS\n"
                "<failed server_starttls_injection at handshake>\n")},
    {STARTTLS, SLICE_INIT("+OK\r\n-ERR no\r\n"),
     SLICE_INIT("STLS\n"
                "<failed server_no_starttls at starttls>\n")},
    {STARTTLS | NONE, SLICE_INIT("+OK\r\n+OK go\r\n|-ERR what\r\n"),
     SLICE_INIT("STLS\n"
                "<starttls>\n"
                "CAPA\n"
                "<failed server_no_login at capability>\n")},
    /* XCLIENT where the greeting has it */
    {TELLS, SLICE_INIT("+OK ready\r\n+OK\r\n"),
     SLICE_INIT("USER joe\n"
                "PASS se cret\n")},
    {TELLS, SLICE_INIT("+OK [XCLIENT] ready\r\n+OK Updated\r\n+OK\r\n"),
     SLICE_INIT(XCLIENT_LINE "USER joe\n"
                             "PASS se cret\n")},
    {TELLS, SLICE_INIT("+OK [XCLIENT] ready\r\n-ERR not you\r\n+OK\r\n"),
     SLICE_INIT(XCLIENT_LINE "USER joe\n"
                             "PASS se cret\n")},
    {TELLS | STARTTLS, SLICE_INIT("+OK [XCLIENT] ready\r\n+OK go\r\n|+OK\r\n+OK\r\n"),
     SLICE_INIT("STLS\n"
                "<starttls>\n" XCLIENT_LINE "USER joe\n"
                "PASS se cret\n")},
    /* checks */
    {CHECK | NOBODY, SLICE_INIT("+OK\r\n+OK list\r\nTOP\r\nSASL PLAIN\r\n.\r\n"),
     SLICE_INIT("CAPA\n"
                "<ready  [TOP\n"
                "SASL PLAIN]>\n"
                "QUIT\n")},
    {CHECK | NOBODY, SLICE_INIT("+OK\r\n-ERR what\r\n"),
     SLICE_INIT("CAPA\n"
                "<ready  []>\n"
                "QUIT\n")},
    {CHECK | NOBODY | STARTTLS, SLICE_INIT("+OK\r\n+OK go\r\n|+OK\r\nUIDL\r\n.\r\n"),
     SLICE_INIT("STLS\n"
                "<starttls>\n"
                "CAPA\n"
                "<ready  [UIDL]>\n"
                "QUIT\n")},
    {CHECK, SLICE_INIT("+OK\r\n+OK\r\n.\r\n+OK\r\n+OK in\r\n"),
     SLICE_INIT("CAPA\n"
                "USER joe\n"
                "PASS se cret\n"
                "<ready in []>\n"
                "QUIT\n")},
};

START_TEST(logs_in_by_pop3)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        play(cases[i].how, cases[i].script, cases[i].want);
    }
}
END_TEST

START_TEST(has_limits)
{
    struct mail_stand_server stand = {.terms = {.protocol = MAIL_POP3, .is_check = true}};
    struct buf script;
    buf_init(&script, 100000);
    buf_append_text(&script, "+OK\r\n+OK\r\n");
    for (int i = 0; i < 201; i++) {
        buf_append_text(&script, "X\r\n");
    }
    mail_stand_server(&stand, buf_slice(&script),
                      SLICE("CAPA\n<failed bad_response at capability>\n"));
    buf_clear(&script);
    for (int i = 0; i < 9000; i++) {
        buf_append_text(&script, "+");
    }
    mail_stand_server(&stand, buf_slice(&script), SLICE("<failed bad_response at banner>\n"));
    buf_fini(&script);
}
END_TEST

UNIT_TESTS("pop3_server", logs_in_by_pop3, has_limits)
