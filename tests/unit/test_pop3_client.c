#include "lbd/base/compiler.h"
#include "tests/unit/mail_stand.h"
#include "tests/unit/unit.h"

enum how {
    CLEAR = 0,
    SECURE = 1,
    TRUSTED = 2,
    NO_MECHANISMS = 4,
    CLEARTEXT_OK = 8,
    CERTIFICATE = 16,
};

/* What `how` says, and every login is accepted. */
static void play(unsigned how, struct slice in, struct slice want)
{
    struct mail_offer offer = mail_stand_offer;
    offer.allows_cleartext = (how & CLEARTEXT_OK) != 0;
    offer.bad_commands = 3;
    if ((how & NO_MECHANISMS) != 0) {
        offer.mechanisms = MAIL_MECHANISM_BIT(MAIL_LOGIN_COMMAND);
    }
    struct mail_stand_client stand = {
        .protocol = MAIL_POP3,
        .offer = &offer,
        .is_secure = (how & SECURE) != 0,
        .is_trusted = (how & TRUSTED) != 0,
        .subject = (how & CERTIFICATE) != 0 ? SLICE("joe@example.com") : SLICE_NONE,
        .answers = "a",
    };
    mail_stand_client(&stand, in, want);
}

static const struct {
    unsigned how;
    struct slice in;
    struct slice want;
} cases[] = {
    {CLEAR, SLICE_INIT("CAPA\r\nQUIT\r\n"),
     SLICE_INIT("+OK Capability list follows\n"
                "TOP\n"
                "UIDL\n"
                "RESP-CODES\n"
                "AUTH-RESP-CODE\n"
                "STLS\n"
                ".\n"
                "+OK Logging out.\n"
                "<close ok>\n")},
    {SECURE, SLICE_INIT("capa\nquit\n"),
     SLICE_INIT("+OK Capability list follows\n"
                "TOP\n"
                "UIDL\n"
                "RESP-CODES\n"
                "AUTH-RESP-CODE\n"
                "USER\n"
                "SASL PLAIN LOGIN XOAUTH2 OAUTHBEARER\n"
                ".\n"
                "+OK Logging out.\n"
                "<close ok>\n")},
    {SECURE | CERTIFICATE, SLICE_INIT("CAPA\r\nAUTH\r\n"),
     SLICE_INIT("+OK Capability list follows\n"
                "TOP\n"
                "UIDL\n"
                "RESP-CODES\n"
                "AUTH-RESP-CODE\n"
                "USER\n"
                "SASL PLAIN LOGIN XOAUTH2 OAUTHBEARER EXTERNAL\n"
                ".\n"
                "+OK\n"
                "PLAIN\n"
                "LOGIN\n"
                "XOAUTH2\n"
                "OAUTHBEARER\n"
                "EXTERNAL\n"
                ".\n")},
    {SECURE | NO_MECHANISMS, SLICE_INIT("CAPA\r\n"),
     SLICE_INIT("+OK Capability list follows\n"
                "TOP\n"
                "UIDL\n"
                "RESP-CODES\n"
                "AUTH-RESP-CODE\n"
                "USER\n"
                ".\n")},
    /* a password has spaces, at both ends, and what else a line can hold */
    {SECURE, SLICE_INIT("USER joe\r\nPASS  a \"b\\ %{} \xc3\xa9 \r\nSTAT\r\n"),
     SLICE_INIT("+OK\n"
                "<login login_command joe  a \"b\\ %{} \xc3\xa9 >\n"
                "+OK Logged in.\n"
                "<relay STAT\r\n"
                ">\n")},
    {SECURE, SLICE_INIT("USER joe\r\nPASS \r\n"),
     SLICE_INIT("+OK\n"
                "<login login_command joe >\n"
                "+OK Logged in.\n"
                "<relay>\n")},
    {SECURE, SLICE_INIT("PASS x\r\nUSER\r\nUSER \x01\r\n"),
     SLICE_INIT("-ERR USER comes first.\n"
                "-ERR This is no name.\n"
                "-ERR This is no name.\n"
                "<close bad_commands>\n")},
    {CLEAR, SLICE_INIT("USER joe\r\nAUTH PLAIN AGpvZQB4\r\nSTLS\r\n|CAPA\r\n"),
     SLICE_INIT("-ERR Log in over TLS only.\n"
                "-ERR Log in over TLS only.\n"
                "+OK Begin TLS negotiation now.\n"
                "<starttls>\n"
                "+OK Capability list follows\n"
                "TOP\n"
                "UIDL\n"
                "RESP-CODES\n"
                "AUTH-RESP-CODE\n"
                "USER\n"
                "SASL PLAIN LOGIN XOAUTH2 OAUTHBEARER\n"
                ".\n")},
    {CLEARTEXT_OK, SLICE_INIT("USER joe\r\nSTLS\r\n|PASS x\r\n"),
     SLICE_INIT("+OK\n"
                "+OK Begin TLS negotiation now.\n"
                "<starttls>\n"
                "-ERR USER comes first.\n")},
    {SECURE, SLICE_INIT("STLS\r\nSTLS\r\n"),
     SLICE_INIT("-ERR TLS is active already.\n"
                "-ERR TLS is active already.\n")},
    {CLEAR, SLICE_INIT("STLS\r\nUSER joe\r\nPASS x\r\n"),
     SLICE_INIT("+OK Begin TLS negotiation now.\n"
                "<injection>\n")},
    {CLEAR, SLICE_INIT("STLS now\r\n"), SLICE_INIT("-ERR STLS is not offered.\n")},
    /* SASL */
    {SECURE, SLICE_INIT("AUTH PLAIN AGpvZQBzZWNyZXQ=\r\nLIST\r\n"),
     SLICE_INIT("<login PLAIN joe secret>\n"
                "+OK Logged in.\n"
                "<relay LIST\r\n"
                ">\n")},
    {SECURE, SLICE_INIT("AUTH plain\r\nYW5uAGpvZQBzZWNyZXQ=\r\n"),
     SLICE_INIT("+ \n"
                "<login PLAIN joe as ann secret>\n"
                "+OK Logged in.\n"
                "<relay>\n")},
    {SECURE, SLICE_INIT("AUTH LOGIN\r\nam9l\r\nc2VjcmV0\r\n"),
     SLICE_INIT("+ VXNlcm5hbWU6\n"
                "+ UGFzc3dvcmQ6\n"
                "<login LOGIN joe secret>\n"
                "+OK Logged in.\n"
                "<relay>\n")},
    {SECURE, SLICE_INIT("AUTH LOGIN am9l\r\nc2VjcmV0\r\n"),
     SLICE_INIT("+ UGFzc3dvcmQ6\n"
                "<login LOGIN joe secret>\n"
                "+OK Logged in.\n"
                "<relay>\n")},
    {SECURE, SLICE_INIT("AUTH XOAUTH2 dXNlcj1qb2UBYXV0aD1CZWFyZXIgdG9rZW4BAQ==\r\n"),
     SLICE_INIT("<login XOAUTH2 joe token>\n"
                "+OK Logged in.\n"
                "<relay>\n")},
    {SECURE | CERTIFICATE, SLICE_INIT("AUTH EXTERNAL =\r\n"),
     SLICE_INIT("<login EXTERNAL joe@example.com >\n"
                "+OK Logged in.\n"
                "<relay>\n")},
    {SECURE, SLICE_INIT("AUTH EXTERNAL =\r\n"),
     SLICE_INIT("-ERR This mechanism is not offered.\n")},
    {SECURE, SLICE_INIT("AUTH PLAIN\r\n*\r\nAUTH PLAIN =\r\nAUTH PLAIN !!!!\r\n"),
     SLICE_INIT("+ \n"
                "-ERR Authentication cancelled.\n"
                "-ERR This is no message of the mechanism.\n"
                "-ERR This is no message of the mechanism.\n"
                "<close bad_commands>\n")},
    {SECURE, SLICE_INIT("AUTH CRAM-MD5\r\nAUTH PLAIN a b\r\nAPOP joe 00\r\n"),
     SLICE_INIT("-ERR This mechanism is not offered.\n"
                "-ERR AUTH takes a mechanism and at most one message.\n"
                "-ERR Unknown command, or not before the login.\n"
                "<close bad_commands>\n")},
    {SECURE, SLICE_INIT("AUTH PLAIN AAEAeA==\r\nAUTH PLAIN AAEAeA==\r\nQUIT\r\n"),
     SLICE_INIT("-ERR [AUTH] Authentication failed.\n"
                "-ERR [AUTH] Authentication failed.\n"
                "+OK Logging out.\n"
                "<close ok>\n")},
    {SECURE, SLICE_INIT("AUTH OAUTHBEARER biwsAWF1dGg9QmVhcmVyIHQBAQ==\r\n"),
     SLICE_INIT("-ERR [AUTH] It does not say who the user is.\n")},
    /* what is refused, and when it is enough */
    {SECURE, SLICE_INIT("UTF8\r\nLANG\r\n\r\nQUIT\r\n"),
     SLICE_INIT("-ERR Unknown command, or not before the login.\n"
                "-ERR Unknown command, or not before the login.\n"
                "-ERR Unknown command, or not before the login.\n"
                "<close bad_commands>\n")},
    {SECURE, SLICE_INIT("USER j\0e\r\n"),
     SLICE_INIT("-ERR Bad bytes in a command.\n"
                "<close bad_command_bytes>\n")},
    {CLEAR, SLICE_INIT("XCLIENT ADDR=192.0.2.1\r\n"),
     SLICE_INIT("-ERR XCLIENT is for trusted clients.\n")},
    {TRUSTED, SLICE_INIT("XCLIENT ADDR=192.0.2.1 PORT=77 SESSION=x7 TTL=3 NEW=1\r\n"),
     SLICE_INIT("+OK Updated\n"
                "<behind 192.0.2.1>\n")},
    {TRUSTED, SLICE_INIT("XCLIENT ADDR=2001:db8::1\r\nXCLIENT ADDR=x\r\nXCLIENT\r\n"),
     SLICE_INIT("+OK Updated\n"
                "-ERR Invalid parameters.\n"
                "-ERR Invalid parameters.\n"
                "<behind 2001:db8::1>\n")},
    {TRUSTED, SLICE_INIT("XCLIENT ADDR=192.0.2.1\r\nSTLS\r\n"),
     SLICE_INIT("+OK Updated\n"
                "+OK Begin TLS negotiation now.\n"
                "<starttls>\n")},
};

START_TEST(answers_as_pop3)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        play(cases[i].how, cases[i].in, cases[i].want);
    }
}
END_TEST

/* What the server or the callback decided, and what goes on after it. */
static const struct {
    const char *answer; /* mail_stand has the letters */
    struct slice text;
    struct slice want;
} ends[] = {
    {"a", SLICE_INIT("maildrop has 3 messages"), SLICE_INIT("+OK maildrop has 3 messages\n")},
    {"a", SLICE_INIT("two\r\nlines"), SLICE_INIT("+OK two??lines\n")},
    {"rr", SLICE_INIT("not for you"), SLICE_INIT("-ERR [AUTH] Authentication failed.\n")},
    {"s", SLICE_INIT("[IN-USE] locked\r\n+OK"), SLICE_INIT("-ERR [IN-USE] locked??+OK\n")},
    {"s", SLICE_INIT(""), SLICE_INIT("-ERR [AUTH] Authentication failed.\n")},
    {"d", SLICE_INIT(""), SLICE_INIT("-ERR [SYS/PERM] Login is disabled for this account.\n")},
    {"t", SLICE_INIT(""), SLICE_INIT("-ERR [IN-USE] Too many sessions.\n")},
    {"u", SLICE_INIT(""), SLICE_INIT("-ERR [SYS/TEMP] Account is temporarily unavailable.\n")},
    {"i", SLICE_INIT(""), SLICE_INIT("-ERR [SYS/TEMP] Internal error.\n")},
};

START_TEST(says_how_a_login_ended)
{
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct mail_stand_client stand = {.protocol = MAIL_POP3,
                                          .answers = ends[i].answer,
                                          .text = ends[i].text,
                                          .welcome = {.text = ends[i].text}};
        char want[512];
        (void)snprintf(want, sizeof(want), "<login PLAIN joe secret>\n%.*s%s",
                       SLICE_ARG(ends[i].want),
                       *ends[i].answer == 'a' ? "<relay>\n" : "+OK Logging out.\n<close ok>\n");
        mail_stand_client(&stand, SLICE("AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n|QUIT\r\n"),
                          slice_from(want));
    }
}
END_TEST

/* RFC 7628 3.2.3: the line that answers the challenge is no command. */
START_TEST(passes_a_challenge_on)
{
    struct mail_stand_client stand = {
        .protocol = MAIL_POP3, .answers = "c", .text = SLICE_INIT("e30=")};
    mail_stand_client(&stand,
                      SLICE("AUTH XOAUTH2 dXNlcj1qb2UBYXV0aD1CZWFyZXIgdG9rZW4BAQ==\r\n"
                            "QUIT\r\nQUIT\r\n"),
                      SLICE("<login XOAUTH2 joe token>\n+ e30=\n-ERR [AUTH] Authentication "
                            "failed.\n+OK Logging out.\n<close ok>\n"));
}
END_TEST

START_TEST(ends_after_too_many_failures)
{
    struct mail_stand_client stand = {.protocol = MAIL_POP3, .answers = "rrr"};
    mail_stand_client(&stand,
                      SLICE("USER a\r\nPASS b\r\nUSER a\r\nPASS b\r\nPASS c\r\n"
                            "USER a\r\nPASS b\r\nUSER a\r\n"),
                      SLICE("+OK\n<login login_command a b>\n-ERR [AUTH] Authentication failed.\n"
                            "+OK\n<login login_command a b>\n-ERR [AUTH] Authentication failed.\n"
                            "-ERR USER comes first.\n"
                            "+OK\n<login login_command a b>\n-ERR [AUTH] Authentication failed.\n"
                            "<close login_failures>\n"));
}
END_TEST

START_TEST(says_of_the_servers_what_stays_true)
{
    struct mail_offer offer = mail_stand_offer;
    offer.mechanisms = MAIL_MECHANISM_BIT(MAIL_LOGIN_COMMAND);
    struct mail_stand_client stand = {
        .protocol = MAIL_POP3,
        .offer = &offer,
        .is_secure = true,
        .keywords = SLICE_INIT(
            "TOP\nPIPELINING\nSTLS\nSASL GSSAPI\nUTF8 USER\nLOGIN-DELAY 10\nEXPIRE NEVER")};
    mail_stand_client(&stand, SLICE("CAPA\r\n"),
                      SLICE("+OK Capability list follows\nTOP\nPIPELINING\nLOGIN-DELAY 10\n"
                            "EXPIRE NEVER\nRESP-CODES\nAUTH-RESP-CODE\nUSER\n.\n"));
}
END_TEST

/* A line has 255 bytes, one of SASL 16 KiB, and a password by SASL 1,024. */
START_TEST(has_limits)
{
    static const struct {
        const char *begin;
        size_t len; /* of the line without its end */
        char fill;
        struct slice want;
    } limits[] = {
        {"USER ", 255, 'u', SLICE_INIT("+OK\n")},
        {"USER ", 256, 'u', SLICE_INIT("-ERR Command too long.\n<close command_too_long>\n")},
        {"", 100000, 'x', SLICE_INIT("-ERR Command too long.\n<close command_too_long>\n")},
        {"AUTH PLAIN ", 16384, 'A', SLICE_INIT("-ERR This is no message of the mechanism.\n")},
        {"AUTH PLAIN ", 16385, 'A',
         SLICE_INIT("-ERR Command too long.\n<close command_too_long>\n")},
        {"AUTH PLAIN AGpvZQB4", 11 + 4 * 344, 'e',
         SLICE_INIT("-ERR [AUTH] Authentication failed.\n")},
    };
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        struct mail_stand_client stand = {.protocol = MAIL_POP3};
        mail_stand_client_line(&stand, limits[i].begin, limits[i].len, limits[i].fill,
                               limits[i].want);
    }
}
END_TEST

UNIT_TESTS("pop3_client", answers_as_pop3, says_how_a_login_ended, passes_a_challenge_on,
           ends_after_too_many_failures, says_of_the_servers_what_stays_true, has_limits)
