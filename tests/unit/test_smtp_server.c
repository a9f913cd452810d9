#include "lbd/base/base64.h"
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
    NOBODY = 32, /* no login: a relay, or a check without one */
    HELO = 64,
    TOKEN = 128,
    AUTHZID = 256,
    WANTS_LOGIN = 512,
    SENDER = 1024,
};

static const struct mail_origin origin = {
    .client_ip = SLICE_INIT("2001:db8::1"),
    .client_port = 1025,
    .local_ip = SLICE_INIT("192.0.2.1"),
    .local_port = 587,
    .session = SLICE_INIT("x7"),
    .helo = SLICE_INIT("a.example"),
    .transport = SLICE_INIT("TLS"),
    .ttl = 6,
    .is_esmtp = true,
};

static void play(unsigned how, struct slice script, struct slice want)
{
    struct mail_login login = mail_stand_login(MAIL_PLAIN, "joe", "secret");
    if ((how & AUTHZID) != 0) {
        ck_assert(mail_login_set_authzid(&login, SLICE("ann")));
    }
    if ((how & TOKEN) != 0) {
        login.mechanism = MAIL_OAUTHBEARER;
        ck_assert(mail_login_set_secret(&login, SLICE("auth=Bearer t\x01\x01"), 1024));
    }
    struct mail_stand_server stand = {
        .terms = {.protocol = MAIL_SMTP,
                  .host = SLICE_INIT("mx.example"),
                  .starttls = (how & STARTTLS) != 0,
                  .tells_client = (how & TELLS) != 0,
                  .is_check = (how & CHECK) != 0,
                  .mechanism = (how & WANTS_LOGIN) != 0 ? MAIL_LOGIN + 1 : 0,
                  .master_user = SLICE_INIT("master"),
                  .master_password = SLICE_INIT("key")},
        .login = (how & NOBODY) != 0 ? NULL : &login,
        .user = SLICE_INIT("joe o'neil=+"),
        .mail_from = (how & SENDER) != 0 ? SLICE("MAIL FROM:<a@b> SIZE=1") : SLICE_NONE,
        .origin = (how & (TELLS | HELO)) != 0 ? &origin : NULL,
    };
    if ((how & MASTER) != 0) {
        stand.terms.credentials = MAIL_CREDENTIALS_MASTER;
    } else if ((how & NONE) != 0) {
        stand.terms.credentials = MAIL_CREDENTIALS_NONE;
    }
    mail_stand_server(&stand, script, want);
    mail_login_wipe(&login);
}

static const struct {
    unsigned how;
    struct slice script;
    struct slice want;
} cases[] = {
    {PLAIN,
     SLICE_INIT("220 mx ESMTP\r\n250-mx\r\n250-SIZE 100\r\n250 AUTH PLAIN LOGIN\r\n"
                "235 2.7.0 Welcome\r\n354 rest"),
     SLICE_INIT("EHLO mx.example\n"
                "AUTH PLAIN AGpvZSBvJ25laWw9KwBzZWNyZXQ=\n"
                "<ready 2.7.0 Welcome [SIZE 100\n"
                "AUTH PLAIN LOGIN]>\n"
                "<relay 354 rest>\n")},
    {HELO, SLICE_INIT("220-two\r\n220 lines\r\n250 mx\r\n"),
     SLICE_INIT("EHLO a.example\n"
                "<failed server_no_login at capability>\n")},
    {PLAIN, SLICE_INIT("220 mx\n250-mx\n250 AUTH LOGIN\n334 VXNlcm5hbWU6\n334 UGFzc3dvcmQ6\n235\n"),
     SLICE_INIT("EHLO mx.example\n"
                "AUTH LOGIN\n"
                "am9lIG8nbmVpbD0r\n"
                "c2VjcmV0\n"
                "<ready  [AUTH LOGIN]>\n")},
    {WANTS_LOGIN, SLICE_INIT("220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n334 VXNlcm5hbWU6\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "AUTH LOGIN\n"
                "am9lIG8nbmVpbD0r\n")},
    {AUTHZID, SLICE_INIT("220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n235 in\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "AUTH PLAIN YW5uAGpvZSBvJ25laWw9KwBzZWNyZXQ=\n"
                "<ready in [AUTH PLAIN]>\n")},
    {AUTHZID, SLICE_INIT("220 mx\r\n250-mx\r\n250 AUTH LOGIN\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "<failed server_no_login at capability>\n")},
    {MASTER, SLICE_INIT("220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n235 in\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "AUTH PLAIN am9lIG8nbmVpbD0rAG1hc3RlcgBrZXk=\n"
                "<ready in [AUTH PLAIN]>\n")},
    {TOKEN,
     SLICE_INIT("220 mx\r\n250-mx\r\n250 AUTH PLAIN OAUTHBEARER\r\n334 eyJzdGF0dXMiOiI0MDEifQ==\r\n"
                "535 5.7.8 no\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "AUTH OAUTHBEARER bixhPWpvZSBvJ25laWw9M0QrLAFhdXRoPUJlYXJlciB0AQE=\n"
                "AQ==\n"
                "<challenge eyJzdGF0dXMiOiI0MDEifQ==>\n"
                "<refused 535 5.7.8 no>\n")},
    {TOKEN, SLICE_INIT("220 mx\r\n250-mx\r\n250 AUTH XOAUTH2\r\n334 a b\r\n535 5.7.8 no\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "AUTH XOAUTH2 dXNlcj1qb2UgbyduZWlsPSsBYXV0aD1CZWFyZXIgdAEB\n"
                "\n"
                "<challenge a b>\n"
                "<refused 535 5.7.8 no>\n")},
    {TOKEN, SLICE_INIT("220 mx\r\n250-mx\r\n250 AUTH PLAIN LOGIN\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "<failed server_no_login at capability>\n")},
    /* a relay that must take the sender first */
    {NOBODY | SENDER, SLICE_INIT("220 mx\r\n250 mx\r\n250 2.1.0 fine\r\n250 more"),
     SLICE_INIT("EHLO mx.example\n"
                "MAIL FROM:<a@b> SIZE=1\n"
                "<ready  []>\n"
                "<relay 250 more>\n")},
    {NOBODY | SENDER, SLICE_INIT("220 mx\r\n250 mx\r\n550-5.7.1 not\r\n550 5.7.1 this\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "MAIL FROM:<a@b> SIZE=1\n"
                "<refused as is: 550 5.7.1 this>\n")},
    {NOBODY | SENDER, SLICE_INIT("220 mx\r\n250 mx\r\n451 4.7.1 later\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "MAIL FROM:<a@b> SIZE=1\n"
                "<refused as is: 451 4.7.1 later>\n")},
    {NOBODY | SENDER, SLICE_INIT("220 mx\r\n250 mx\r\n354 what\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "MAIL FROM:<a@b> SIZE=1\n"
                "<failed bad_response at login>\n")},
    /* how a login is refused */
    {PLAIN, SLICE_INIT("220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n535 5.7.8 no such user\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "AUTH PLAIN AGpvZSBvJ25laWw9KwBzZWNyZXQ=\n"
                "<refused 535 5.7.8 no such user>\n")},
    {PLAIN, SLICE_INIT("220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n525 5.7.13 disabled\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "AUTH PLAIN AGpvZSBvJ25laWw9KwBzZWNyZXQ=\n"
                "<refused as is: 525 5.7.13 disabled>\n")},
    {PLAIN, SLICE_INIT("220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n454 4.7.0 later\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "AUTH PLAIN AGpvZSBvJ25laWw9KwBzZWNyZXQ=\n"
                "<unavailable 454 4.7.0 later>\n")},
    {PLAIN, SLICE_INIT("220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n421 4.3.2 bye\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "AUTH PLAIN AGpvZSBvJ25laWw9KwBzZWNyZXQ=\n"
                "<unavailable 421 4.3.2 bye>\n")},
    {PLAIN, SLICE_INIT("220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n538 5.7.11 TLS\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "AUTH PLAIN AGpvZSBvJ25laWw9KwBzZWNyZXQ=\n"
                "<failed server_no_login at login>\n")},
    {PLAIN, SLICE_INIT("220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n504 what\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "AUTH PLAIN AGpvZSBvJ25laWw9KwBzZWNyZXQ=\n"
                "<failed server_no_login at login>\n")},
    {PLAIN, SLICE_INIT("220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n334 eh?\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "AUTH PLAIN AGpvZSBvJ25laWw9KwBzZWNyZXQ=\n"
                "<failed bad_response at login>\n")},
    {PLAIN, SLICE_INIT("220 mx\r\n250 mx\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "<failed server_no_login at capability>\n")},
    {PLAIN, SLICE_INIT("220 mx\r\n250-mx\r\n250 AUTH GSSAPI\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "<failed server_no_login at capability>\n")},
    {PLAIN, SLICE_INIT("421 4.3.2 too busy\r\n"), SLICE_INIT("<unavailable 421 4.3.2 too busy>\n")},
    {PLAIN, SLICE_INIT("554 5.3.2 no service\r\n"),
     SLICE_INIT("<unavailable 554 5.3.2 no service>\n")},
    {PLAIN, SLICE_INIT("220 mx\r\n451 no\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "<unavailable 451 no>\n")},
    /* no replies at all */
    {PLAIN, SLICE_INIT("* OK IMAP\r\n"), SLICE_INIT("<failed bad_response at banner>\n")},
    {PLAIN, SLICE_INIT("220-mx\r\n250 mx\r\n"), SLICE_INIT("<failed bad_response at banner>\n")},
    {PLAIN, SLICE_INIT("220 m\0x\r\n"), SLICE_INIT("<failed bad_response at banner>\n")},
    {PLAIN, SLICE_INIT("22\r\n"), SLICE_INIT("<failed bad_response at banner>\n")},
    {PLAIN, SLICE_INIT("220:mx\r\n"), SLICE_INIT("<failed bad_response at banner>\n")},
    {PLAIN, SLICE_INIT("999 mx\r\n"), SLICE_INIT("<failed bad_response at banner>\n")},
    /* STARTTLS: one reply, then TLS, and nothing is left of before */
    {STARTTLS,
     SLICE_INIT("220 mx\r\n250-mx\r\n250-STARTTLS\r\n250 AUTH LOGIN\r\n220 go\r\n|250-mx\r\n250 "
                "AUTH PLAIN\r\n235 in\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "STARTTLS\n"
                "<starttls>\n"
                "EHLO mx.example\n"
                "AUTH PLAIN AGpvZSBvJ25laWw9KwBzZWNyZXQ=\n"
                "<ready in [AUTH PLAIN]>\n")},
    {STARTTLS, SLICE_INIT("220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 go\r\n250 mx\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "STARTTLS\n"
                "<failed server_starttls_injection at handshake>\n")},
    {STARTTLS, SLICE_INIT("220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "<failed server_no_starttls at capability>\n")},
    {STARTTLS, SLICE_INIT("220 mx\r\n250-mx\r\n250 STARTTLS\r\n454 later\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "STARTTLS\n"
                "<unavailable 454 later>\n")},
    {STARTTLS, SLICE_INIT("220 mx\r\n250-mx\r\n250 STARTTLS\r\n502 no\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "STARTTLS\n"
                "<failed server_no_starttls at starttls>\n")},
    /* XCLIENT: what is advertised, once */
    {TELLS,
     SLICE_INIT(
         "220 mx\r\n250-mx\r\n250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT "
         "REVERSE_NAME\r\n250 AUTH PLAIN\r\n220 mx\r\n250-mx\r\n250-XCLIENT ADDR\r\n250 AUTH "
         "PLAIN\r\n235 in\r\n"),
     SLICE_INIT(
         "EHLO a.example\n"
         "XCLIENT ADDR=IPV6:2001:db8::1 PORT=1025 NAME=[UNAVAILABLE] PROTO=ESMTP HELO=a.example DESTADDR=192.0.2.1 DESTPORT=587\n"
         "EHLO a.example\n"
         "AUTH PLAIN AGpvZSBvJ25laWw9KwBzZWNyZXQ=\n"
         "<ready in [XCLIENT ADDR\n"
         "AUTH PLAIN]>\n")},
    {TELLS | NOBODY,
     SLICE_INIT("220 mx\r\n250-mx\r\n250 XCLIENT SESSION TTL CLIENT-TRANSPORT\r\n"
                "220 mx\r\n250 mx\r\n"),
     SLICE_INIT("EHLO a.example\n"
                "XCLIENT CLIENT-TRANSPORT=TLS SESSION=x7 TTL=6\n"
                "EHLO a.example\n"
                "<ready  []>\n")},
    {TELLS | NOBODY, SLICE_INIT("220 mx\r\n250-mx\r\n250 XCLIENT ADDR\r\n550 not you\r\n"),
     SLICE_INIT("EHLO a.example\n"
                "XCLIENT ADDR=IPV6:2001:db8::1\n"
                "<ready  [XCLIENT ADDR]>\n")},
    {TELLS | NOBODY, SLICE_INIT("220 mx\r\n250-mx\r\n250 XCLIENT ADDR\r\n421 bye\r\n"),
     SLICE_INIT("EHLO a.example\n"
                "XCLIENT ADDR=IPV6:2001:db8::1\n"
                "<unavailable 421 bye>\n")},
    {TELLS | NOBODY, SLICE_INIT("220 mx\r\n250-mx\r\n250 XCLIENT FOO\r\n"),
     SLICE_INIT("EHLO a.example\n"
                "<ready  [XCLIENT FOO]>\n")},
    {NONE, SLICE_INIT("220 mx\r\n250-mx\r\n250 XCLIENT ADDR LOGIN\r\n220 mx\r\n250 mx\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "XCLIENT LOGIN=joe+20o'neil+3D+2B\n"
                "EHLO mx.example\n"
                "<ready  []>\n")},
    {NONE, SLICE_INIT("220 mx\r\n250-mx\r\n250 XCLIENT ADDR LOGIN\r\n550 not you\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "XCLIENT LOGIN=joe+20o'neil+3D+2B\n"
                "<failed server_no_login at xclient>\n")},
    {NONE, SLICE_INIT("220 mx\r\n250-mx\r\n250 XCLIENT ADDR\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "<failed server_no_login at capability>\n")},
    /* relays and checks */
    {NOBODY, SLICE_INIT("220 mx\r\n500 what\r\n250 mx\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "HELO mx.example\n"
                "<ready  []>\n")},
    {NOBODY, SLICE_INIT("220 mx\r\n500 what\r\n500 no\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "HELO mx.example\n"
                "<failed bad_response at capability>\n")},
    {CHECK | NOBODY,
     SLICE_INIT("220 mx\r\n250-mx\r\n250-PIPELINING\r\n250-SIZE 5\r\n250 AUTH PLAIN\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "<ready  [PIPELINING\n"
                "SIZE 5\n"
                "AUTH PLAIN]>\n"
                "QUIT\n")},
    {CHECK, SLICE_INIT("220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n235 in\r\n"),
     SLICE_INIT("EHLO mx.example\n"
                "AUTH PLAIN AGpvZSBvJ25laWw9KwBzZWNyZXQ=\n"
                "<ready in [AUTH PLAIN]>\n"
                "QUIT\n")},
};

START_TEST(logs_in_by_smtp)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        play(cases[i].how, cases[i].script, cases[i].want);
    }
}
END_TEST

/* RFC 4954 4: with the command only where it fits a line of 512 bytes. */
START_TEST(a_long_message_waits_to_be_asked_for)
{
    static char message[1 + 3 + 1 + 400] = "\0joe";
    memset(message + 5, 'p', sizeof(message) - 5);
    struct mail_login login = {.mechanism = MAIL_PLAIN};
    ck_assert(mail_login_set_user(&login, SLICE("joe")));
    ck_assert(mail_login_set_secret(&login, slice_of(message + 5, sizeof(message) - 5),
                                    MAIL_PASSWORD_MAX));
    struct mail_stand_server stand = {.terms = {.protocol = MAIL_SMTP}, .login = &login};
    struct buf want;
    buf_init(&want, 4096);
    buf_append_text(&want, "EHLO \nAUTH PLAIN\n");
    base64_write(slice_of(message, sizeof(message)), &want);
    buf_append_text(&want, "\n<ready in [AUTH PLAIN]>\n");
    mail_stand_server(&stand, SLICE("220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n334 \r\n235 in\r\n"),
                      buf_slice(&want));
    buf_fini(&want);
    mail_login_wipe(&login);
}
END_TEST

START_TEST(has_limits)
{
    struct mail_stand_server stand = {.terms = {.protocol = MAIL_SMTP}};
    struct buf script;
    buf_init(&script, 100000);
    buf_append_text(&script, "220 mx\r\n");
    for (int i = 0; i < 201; i++) {
        buf_append_text(&script, "250-mx\r\n");
    }
    mail_stand_server(&stand, buf_slice(&script),
                      SLICE("EHLO \n<failed bad_response at capability>\n"));
    buf_clear(&script);
    for (int i = 0; i < 9000; i++) {
        buf_append_text(&script, "2");
    }
    mail_stand_server(&stand, buf_slice(&script), SLICE("<failed bad_response at banner>\n"));
    buf_fini(&script);
}
END_TEST

UNIT_TESTS("smtp_server", logs_in_by_smtp, a_long_message_waits_to_be_asked_for, has_limits)
