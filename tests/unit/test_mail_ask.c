#include <stdlib.h>
#include <string.h>

#include "lbd/http/h1_head.h"
#include "lbd/mail/mail_ask.h"
#include "tests/unit/unit.h"

static struct addr_small ip(const char *text, uint16_t port)
{
    struct addr addr;
    struct addr_small out;
    ck_assert(addr_from_ip(slice_from(text), port, &addr));
    addr_small_from(&out, &addr.u.any);
    return out;
}

static void expect_bytes(const struct mail_ask *ask, bool json, const char *want)
{
    struct buf out;
    buf_init(&out, MAIL_ASK_BYTES_MAX);
    ck_assert(json ? mail_ask_write_json(ask, &out) : mail_ask_write_nginx(ask, &out));
    ck_assert_msg(slice_eq(buf_slice(&out), slice_from(want)), "%.*s", SLICE_ARG(buf_slice(&out)));
    buf_fini(&out);
}

START_TEST(the_question_is_nginxs)
{
    struct addr_small client = ip("192.0.2.1", 1234);
    struct addr_small local = ip("2001:db8::9", 143);
    struct mail_ask ask = {.protocol = MAIL_IMAP,
                           .has_login = true,
                           .mechanism = MAIL_LOGIN_COMMAND,
                           .login = SLICE("Joe Smith@a"),
                           .user = SLICE("joe smith@a"),
                           .secret = SLICE("100% s\xff\x01'\"\x7f"),
                           .attempt = 2,
                           .client = &client,
                           .local = &local};
    expect_bytes(&ask, false,
                 "Auth-Method: plain\r\nAuth-User: Joe%20Smith@a\r\n"
                 "Auth-Pass: 100%25%20s\xff%01'\"\x7f\r\nAuth-Protocol: imap\r\n"
                 "Auth-Login-Attempt: 2\r\nClient-IP: 192.0.2.1\r\n");
    ask.secret = SLICE("a\r\nAuth-Status: OK");
    ask.is_secure = true;
    ask.has_proxy_header = true;
    ask.tls_version = SLICE("TLSv1.3");
    ask.tls_cipher = SLICE("TLS_AES_128_GCM_SHA256");
    ask.protocol = MAIL_POP3;
    expect_bytes(&ask, false,
                 "Auth-Method: plain\r\nAuth-User: Joe%20Smith@a\r\n"
                 "Auth-Pass: a%0D%0AAuth-Status:%20OK\r\nAuth-Protocol: pop3\r\n"
                 "Auth-Login-Attempt: 2\r\nClient-IP: 192.0.2.1\r\n"
                 "Proxy-Protocol-Addr: 192.0.2.1\r\nProxy-Protocol-Port: 1234\r\n"
                 "Proxy-Protocol-Server-Addr: 2001:db8::9\r\nProxy-Protocol-Server-Port: 143\r\n"
                 "Auth-SSL: on\r\nAuth-SSL-Protocol: TLSv1.3\r\n"
                 "Auth-SSL-Cipher: TLS_AES_128_GCM_SHA256\r\n");
    ask = (struct mail_ask){.protocol = MAIL_POP3,
                            .has_login = true,
                            .mechanism = MAIL_OAUTHBEARER,
                            .login = SLICE("joe"),
                            .secret = SLICE("n,a=joe,\x01host=a\x01"
                                            "auth=Bearer to.ken==\x01\x01"),
                            .attempt = 1,
                            .client = &client};
    expect_bytes(&ask, false,
                 "Auth-Method: oauthbearer\r\nAuth-User: joe\r\nAuth-Pass: to.ken==\r\n"
                 "Auth-Protocol: pop3\r\nAuth-Login-Attempt: 1\r\nClient-IP: 192.0.2.1\r\n");
    ask.secret = SLICE("auth=Bearer to.ken==\x01\x01"); /* most clients say no more */
    expect_bytes(&ask, false,
                 "Auth-Method: oauthbearer\r\nAuth-User: joe\r\nAuth-Pass: to.ken==\r\n"
                 "Auth-Protocol: pop3\r\nAuth-Login-Attempt: 1\r\nClient-IP: 192.0.2.1\r\n");
    ask.secret = SLICE("odd");
    expect_bytes(&ask, false,
                 "Auth-Method: oauthbearer\r\nAuth-User: joe\r\nAuth-Pass: odd\r\n"
                 "Auth-Protocol: pop3\r\nAuth-Login-Attempt: 1\r\nClient-IP: 192.0.2.1\r\n");
    ask = (struct mail_ask){.protocol = MAIL_SMTP,
                            .attempt = 1,
                            .client = &client,
                            .helo = SLICE("host\r\nEvil: yes"),
                            .mail_from = SLICE("MAIL FROM:<a@b>"),
                            .rcpt_to = SLICE("RCPT TO:<c@d>")};
    expect_bytes(
        &ask, false,
        "Auth-Method: none\r\nAuth-User: \r\nAuth-Pass: \r\nAuth-Protocol: smtp\r\n"
        "Auth-Login-Attempt: 1\r\nClient-IP: 192.0.2.1\r\nClient-Host: [UNAVAILABLE]\r\nAuth-SMTP-Helo: host  Evil: yes\r\n"
        "Auth-SMTP-From: MAIL FROM:<a@b>\r\nAuth-SMTP-To: RCPT TO:<c@d>\r\n");
}
END_TEST

START_TEST(the_question_is_json)
{
    struct addr_small client = ip("192.0.2.1", 1234);
    struct mail_ask ask = {.protocol = MAIL_IMAP,
                           .has_login = true,
                           .mechanism = MAIL_XOAUTH2,
                           .login = SLICE("Joe"),
                           .user = SLICE("joe@a"),
                           .secret = SLICE("to\"ken"),
                           .attempt = 1,
                           .is_secure = true,
                           .tls_version = SLICE("TLSv1.3"),
                           .client = &client};
    expect_bytes(
        &ask, true,
        "{\"protocol\":\"imap\",\"method\":\"xoauth2\",\"user\":\"joe@a\",\"login\":\"Joe\","
        "\"password\":\"to\\\"ken\",\"attempt\":1,\"client\":{\"ip\":\"192.0.2.1\","
        "\"port\":1234},\"tls\":{\"version\":\"TLSv1.3\"}}");
    ask.is_secure = false;
    ask.client = NULL;
    ask.secret = SLICE("\xff\xfe");
    expect_bytes(
        &ask, true,
        "{\"protocol\":\"imap\",\"method\":\"xoauth2\",\"user\":\"joe@a\",\"login\":\"Joe\","
        "\"password_base64\":\"//4=\",\"attempt\":1}");
}
END_TEST

#define TARGET "Auth-Status: OK\r\nAuth-Server: 10.0.0.1\r\nAuth-Port: 143\r\n"

static const struct {
    const char *headers;
    enum mail_ask_verdict verdict;
    const char *want; /* address, user, secret; or text, code, wait; or problem */
} answers[] = {
    {TARGET, MAIL_ASK_OK, "10.0.0.1:143||"},
    {"auth-status: OK\r\nAUTH-SERVER: ::1\r\nauth-port: 143\r\nX-Other: y\r\n", MAIL_ASK_OK,
     "[::1]:143||"},
    {"Auth-Status: OK\r\nAuth-Server: [::1]\r\nAuth-Port: 143\r\n", MAIL_ASK_OK, "[::1]:143||"},
    {TARGET "Auth-User: other\r\nAuth-Pass: p w\r\n", MAIL_ASK_OK, "10.0.0.1:143|other|p w"},
    {TARGET "Auth-Wait: 3\r\n", MAIL_ASK_OK, "10.0.0.1:143||"},
    {"Auth-Status: OK\r\nAuth-Port: 143\r\n", MAIL_ASK_BAD,
     "it names no Auth-Server or no Auth-Port"},
    {"Auth-Status: OK\r\nAuth-Server: 10.0.0.1\r\n", MAIL_ASK_BAD,
     "it names no Auth-Server or no Auth-Port"},
    {"Auth-Status: OK\r\nAuth-Server: mail.example\r\nAuth-Port: 143\r\n", MAIL_ASK_BAD,
     "its Auth-Server is no address (names are not resolved)"},
    {"Auth-Status: OK\r\nAuth-Server: 10.0.0.1\r\nAuth-Port: x\r\n", MAIL_ASK_BAD,
     "its Auth-Port is none"},
    {"Auth-Status: OK\r\nAuth-Server: 10.0.0.1\r\nAuth-Port: 0\r\n", MAIL_ASK_BAD,
     "its Auth-Port is none"},
    {"Auth-Status: OK\r\nAuth-Server: 10.0.0.1\r\nAuth-Port: 65536\r\n", MAIL_ASK_BAD,
     "its Auth-Port is none"},
    {"Auth-Status: OK\r\nAuth-Server: 10.0.0.1\r\nAuth-Port: 99999999999999999999\r\n",
     MAIL_ASK_BAD, "its Auth-Port is none"},
    {TARGET "Auth-User: a\xff\r\n", MAIL_ASK_BAD, "its Auth-User is no name"},
    {"Auth-Status: Invalid login\r\n", MAIL_ASK_REFUSED, "Invalid login||-"},
    {"Auth-Status: Later\r\nAuth-Wait: 5\r\nAuth-Error-Code: 451 4.3.2\r\n", MAIL_ASK_REFUSED,
     "Later|451 4.3.2|5"},
    {"Auth-Status: No\r\nAuth-Wait: x\r\n", MAIL_ASK_REFUSED, "No||-"},
    {"Auth-Status: No\r\nAuth-Error-Code: 250 ok\r\n", MAIL_ASK_REFUSED, "No||-"},
    {"Auth-Status: No\r\nAuth-Error-Code: 535-5.7.8\r\n", MAIL_ASK_REFUSED, "No||-"},
    {"Auth-Status: ok\r\n", MAIL_ASK_REFUSED, "ok||-"}, /* only OK is */
    {"Auth-Status: WAIT\r\nAuth-Wait: 2\r\n", MAIL_ASK_WAIT, "||2"},
    {"Auth-Status: WAIT\r\n", MAIL_ASK_WAIT, "||-"},
    {"Auth-Status: WAIT\r\nAuth-Wait: 999999999\r\n", MAIL_ASK_WAIT, "||3600"},
    {"X-Other: y\r\n", MAIL_ASK_BAD, "it has no Auth-Status"},
};

enum { GOT_MAX = 4096 };

static void describe(const struct mail_ask_answer *answer, char out[GOT_MAX])
{
    char address[ADDR_TEXT_MAX];
    switch (answer->verdict) {
    case MAIL_ASK_OK:
        address[0] = '\0';
        if (answer->address.len != 0) {
            (void)addr_write(&answer->address, address);
        }
        (void)snprintf(out, GOT_MAX, "%s%s%s|%.*s|%.*s", address, answer->pool, answer->server,
                       answer->user_len, answer->user, (int)answer->secret_len, answer->secret);
        break;
    case MAIL_ASK_REFUSED:
    case MAIL_ASK_WAIT:
        (void)snprintf(out, GOT_MAX, "%.*s|%s|", answer->text_len, answer->text, answer->code);
        if (answer->has_wait) {
            (void)snprintf(out + strlen(out), 16, "%u", answer->wait_s);
        } else {
            strcat(out, "-");
        }
        break;
    case MAIL_ASK_BAD:
        (void)snprintf(out, GOT_MAX, "%s", answer->problem);
        break;
    }
}

static void expect(const struct mail_ask_answer *answer, const char *of,
                   enum mail_ask_verdict verdict, const char *want)
{
    char got[GOT_MAX];
    describe(answer, got);
    ck_assert_msg(answer->verdict == verdict && strcmp(got, want) == 0, "%s: %d %s", of,
                  (int)answer->verdict, got);
}

static void read_headers(const char *text, const struct mail_ask *ask,
                         struct mail_ask_answer *answer)
{
    static const struct h1_limits limits = {.head_bytes = 65536, .fields = 100};
    struct header list[100];
    struct message message = {.headers = {.list = list, .capacity = 100}};
    struct h1_head head;
    char whole[1024];
    int len = snprintf(whole, sizeof(whole), "HTTP/1.1 200 OK\r\n%s\r\n", text);
    h1_head_init(&head);
    ck_assert_int_eq(h1_head_response(&head, slice_of(whole, (size_t)len), &limits,
                                      method_of(SLICE("GET")), &message),
                     H1_DONE);
    mail_ask_read_nginx(answer, &message.headers, ask);
}

START_TEST(nginxs_answers_are_read)
{
    const struct mail_ask ask = {.protocol = MAIL_IMAP, .has_login = true};
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct mail_ask_answer answer;
        read_headers(answers[i].headers, &ask, &answer);
        expect(&answer, answers[i].headers, answers[i].verdict, answers[i].want);
        mail_ask_answer_wipe(&answer);
        ck_assert_uint_eq(answer.secret_len, 0);
    }
    const struct mail_ask external = {
        .protocol = MAIL_IMAP, .has_login = true, .mechanism = MAIL_EXTERNAL};
    struct mail_ask_answer answer;
    read_headers(TARGET, &external, &answer);
    ck_assert_int_eq(answer.verdict, MAIL_ASK_BAD); /* as nginx has it */
    read_headers(TARGET "Auth-Pass: x\r\n", &external, &answer);
    ck_assert_int_eq(answer.verdict, MAIL_ASK_OK);
}
END_TEST

static const struct {
    const char *body;
    enum mail_ask_verdict verdict;
    const char *want;
} jsons[] = {
    {"{'status':'ok'}", MAIL_ASK_OK, "||"},
    {"{'status':'ok','pool':'mail','server':'b1','other':[1]}", MAIL_ASK_OK, "mailb1||"},
    {"{'status':'ok','address':'10.0.0.1:143','login_user':'x','password':'y'}", MAIL_ASK_OK,
     "10.0.0.1:143|x|y"},
    {"{'status':'ok','address':'mail.example:143'}", MAIL_ASK_BAD, "its \"address\" is none"},
    {"{'status':'ok','address':5}", MAIL_ASK_BAD, "its \"address\" is none"},
    {"{'status':'ok','pool':5}", MAIL_ASK_BAD, "its \"pool\" is no name"},
    {"{'status':'ok','pool':''}", MAIL_ASK_BAD, "its \"pool\" is no name"},
    {"{'status':'ok','server':null}", MAIL_ASK_BAD, "its \"server\" is no name"},
    {"{'status':'ok','login_user':'a\\u000ab'}", MAIL_ASK_BAD, "its \"login_user\" is no name"},
    {"{'status':'ok','login_user':5}", MAIL_ASK_BAD, "its \"login_user\" is no name"},
    {"{'status':'ok','password':'a\\u000db'}", MAIL_ASK_BAD, "its \"password\" is none"},
    {"{'status':'refused'}", MAIL_ASK_REFUSED, "||-"},
    {"{'status':'refused','text':'no\\u000a way','code':'535 5.7.8','wait':2.5}", MAIL_ASK_REFUSED,
     "no  way|535 5.7.8|3"},
    {"{'status':'refused','code':'220'}", MAIL_ASK_BAD, "its \"text\" or \"code\" is none"},
    {"{'status':'refused','text':5}", MAIL_ASK_BAD, "its \"text\" or \"code\" is none"},
    {"{'status':'wait','wait':2}", MAIL_ASK_WAIT, "||2"},
    {"{'status':'wait','wait':99999999999999999999}", MAIL_ASK_WAIT, "||3600"},
    {"{'status':'ok','pool':'a','uid':18446744073709551615}", MAIL_ASK_OK, "a||"},
    {"{'status':'wait','wait':-2}", MAIL_ASK_WAIT, "||-"},
    {"{'status':'wait','wait':1e9}", MAIL_ASK_WAIT, "||3600"},
    {"{'status':'OK'}", MAIL_ASK_BAD, "its \"status\" is none of ok, refused, wait"},
    {"{}", MAIL_ASK_BAD, "its \"status\" is none of ok, refused, wait"},
    {"{'status':'ok','status':'ok'}", MAIL_ASK_BAD, "it is no JSON object"},
    {"[]", MAIL_ASK_BAD, "it is no JSON object"},
    {"", MAIL_ASK_BAD, "it is no JSON object"},
    {"{'status':'ok'", MAIL_ASK_BAD, "it is no JSON object"},
};

START_TEST(json_answers_are_read)
{
    const struct mail_ask ask = {.protocol = MAIL_IMAP, .has_login = true};
    for (size_t i = 0; i < ARRAY_LEN(jsons); i++) {
        char text[256];
        struct mail_ask_answer answer;
        (void)snprintf(text, sizeof(text), "%s", jsons[i].body);
        for (char *c = text; *c != '\0'; c++) {
            *c = *c == '\'' ? '"' : *c;
        }
        mail_ask_read_json(&answer, slice_from(text), &ask);
        expect(&answer, text, jsons[i].verdict, jsons[i].want);
    }
}
END_TEST

UNIT_TESTS("mail_ask", the_question_is_nginxs, the_question_is_json, nginxs_answers_are_read,
           json_answers_are_read)
