#include <string.h>

#include "lbd/proxy/mail_callback.h"
#include "tests/unit/probe_peer.h"
#include "tests/unit/unit.h"

static struct {
    struct loop *loop;
    struct probe_peer peers[2];
    struct mail_answers *answers;
    struct mail_callback_worker worker;
    struct mail_callback *callback;
    /* the latest */
    bool done;
    struct mail_ask_answer answer;
    char why[256];
} field;

#define HEAD   "HTTP/1.0 200 OK\r\n"
#define TARGET HEAD "Auth-Status: OK\r\nAuth-Server: 10.0.0.1\r\nAuth-Port: 143\r\n\r\n"

static void make(struct conf_mail_callback *conf)
{
    static struct slice urls[2];
    static char texts[2][64];
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "http://127.0.0.1:%u/auth",
                       addr_port(&field.peers[i].address));
        urls[i] = slice_from(texts[i]);
    }
    conf->name = SLICE("auth");
    conf->version = 1;
    conf->urls = urls;
    conf->url_count = 2;
    conf->timeout_ms = conf->timeout_ms != 0 ? conf->timeout_ms : 3000;
    field.callback = mail_callback_new(conf, NULL);
}

static void begin(struct conf_mail_callback conf)
{
    struct err err;
    memset(&field, 0, sizeof(field));
    field.loop = loop_new(&err);
    ck_assert_ptr_nonnull(field.loop);
    for (size_t i = 0; i < 2; i++) {
        probe_peer_init(&field.peers[i], field.loop, NULL);
        field.peers[i].answer = TARGET;
        field.peers[i].closes = true;
    }
    field.answers = mail_answers_new();
    mail_callback_worker_init(&field.worker, field.loop, field.answers, NULL, 0);
    make(&conf);
}

static void end(void)
{
    mail_callback_worker_fini(&field.worker);
    mail_callback_unref(field.callback);
    mail_answers_free(field.answers);
    for (size_t i = 0; i < 2; i++) {
        probe_peer_fini(&field.peers[i]);
    }
    loop_free(field.loop);
}

static void note(struct mail_ask_answer *answer, const char *why, void *arg)
{
    (void)arg;
    field.done = true;
    field.answer = *answer;
    (void)snprintf(field.why, sizeof(field.why), "%s", why);
}

/* False: it was kept. */
static bool ask(const char *secret)
{
    struct mail_callback_call *call;
    const struct mail_ask question = {.protocol = MAIL_IMAP,
                                      .has_login = true,
                                      .login = SLICE("joe"),
                                      .user = SLICE("joe"),
                                      .secret = slice_from(secret)};
    field.done = false;
    field.why[0] = '\0';
    if (mail_callback_ask(&field.worker, field.callback, &question, true, &field.answer, &call,
                          note, NULL) == MAIL_CALLBACK_READY) {
        return false;
    }
    ck_assert(!field.done);
    for (uint32_t i = 0; i < 20000 && !field.done; i++) {
        loop_run_once(field.loop, 20);
    }
    ck_assert(field.done);
    return true;
}

START_TEST(it_is_asked_in_nginxs_words)
{
    struct conf_header headers[] = {{SLICE_INIT("X-Auth-Key"), SLICE_INIT("k")}};
    begin((struct conf_mail_callback){.headers = headers, .header_count = 1});
    ck_assert(ask("p w"));
    ck_assert_int_eq(field.answer.verdict, MAIL_ASK_OK);
    char want[512];
    (void)snprintf(want, sizeof(want),
                   "GET /auth HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: lbd\r\n"
                   "Auth-Method: plain\r\nAuth-User: joe\r\nAuth-Pass: p%%20w\r\n"
                   "Auth-Protocol: imap\r\nAuth-Login-Attempt: 0\r\nClient-IP: \r\n"
                   "X-Auth-Key: k\r\n\r\n",
                   addr_port(&field.peers[0].address));
    ck_assert_str_eq(field.peers[0].request, want);
    end();
}
END_TEST

START_TEST(it_is_asked_in_json)
{
    begin((struct conf_mail_callback){.format = CONF_MAIL_CALLBACK_JSON});
    field.peers[0].answer =
        "HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n{\"status\":\"ok\",\"pool\":\"m\",\"server\":\"b1\"}   ";
    ck_assert(ask("pw"));
    ck_assert_msg(field.answer.verdict == MAIL_ASK_OK, "%s", field.why);
    ck_assert_str_eq(field.answer.server, "b1");
    ck_assert(strncmp(field.peers[0].request, "POST /auth HTTP/1.1\r\n", 21) == 0);
    ck_assert_ptr_nonnull(strstr(field.peers[0].request, "Content-Type: application/json\r\n"));
    end();
}
END_TEST

START_TEST(the_next_is_asked_when_one_does_not_answer)
{
    begin((struct conf_mail_callback){.timeout_ms = 3000});
    field.peers[0].answer = NULL; /* closes without a word */
    ck_assert(ask("a"));
    ck_assert_int_eq(field.answer.verdict, MAIL_ASK_OK);
    ck_assert_uint_eq(field.peers[0].accepted, 1);
    ck_assert_uint_eq(field.peers[1].accepted, 1);
    ck_assert(ask("b")); /* the one that answered is the first now */
    ck_assert_uint_eq(field.peers[0].accepted, 1);
    ck_assert_uint_eq(field.peers[1].accepted, 2);
    field.peers[1].answer = "HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n";
    field.peers[0].answer = TARGET;
    ck_assert(ask("c"));
    ck_assert_int_eq(field.answer.verdict, MAIL_ASK_OK);
    field.peers[0].answer = NULL;
    field.peers[0].closes = false; /* says nothing at all */
    ck_assert(ask("d"));
    ck_assert_int_eq(field.answer.verdict, MAIL_ASK_BAD);
    ck_assert_str_eq(field.why, "callback 'auth': status 502");
    ck_assert_uint_eq(field.worker.failed, 1);
    end();
}
END_TEST

START_TEST(nonsense_is_not_asked_again_elsewhere)
{
    begin((struct conf_mail_callback){.timeout_ms = 1000});
    field.peers[0].answer = HEAD "Auth-Status: OK\r\n\r\n";
    ck_assert(ask("a"));
    ck_assert_int_eq(field.answer.verdict, MAIL_ASK_BAD);
    ck_assert_str_eq(field.why,
                     "callback 'auth': it names no Auth-Server or no Auth-Port (status 200)");
    ck_assert_uint_eq(field.peers[1].accepted, 0);
    end();
}
END_TEST

START_TEST(answers_are_kept)
{
    begin((struct conf_mail_callback){
        .cache_ttl_ms = 60000, .stale_ttl_ms = 600000, .on_error = CONF_MAIL_CALLBACK_STALE});
    ck_assert(ask("right"));
    ck_assert(!ask("right"));
    ck_assert_int_eq(field.answer.verdict, MAIL_ASK_OK);
    ck_assert(ask("wrong")); /* another password is another question */
    field.peers[0].answer = HEAD "Auth-Status: no\r\n\r\n";
    ck_assert(ask("wronger"));
    ck_assert(ask("wronger")); /* negative_ttl is 0 */
    ck_assert_uint_eq(field.worker.kept, 1);
    end();
}
END_TEST

START_TEST(old_answers_stand_in)
{
    begin((struct conf_mail_callback){
        .stale_ttl_ms = 600000, .on_error = CONF_MAIL_CALLBACK_STALE, .timeout_ms = 3000});
    ck_assert(ask("right"));
    ck_assert(ask("right")); /* cache_ttl is 0: asked each time */
    ck_assert_uint_eq(field.peers[0].accepted, 2);
    field.peers[0].answer = NULL;
    field.peers[1].answer = NULL;
    ck_assert(ask("right"));
    ck_assert_int_eq(field.answer.verdict, MAIL_ASK_OK);
    ck_assert(ask("other"));
    ck_assert_int_eq(field.answer.verdict, MAIL_ASK_BAD);
    end();
}
END_TEST

START_TEST(who_leaves_is_not_told)
{
    struct mail_callback_call *call;
    struct mail_ask_answer answer;
    const struct mail_ask question = {.protocol = MAIL_IMAP, .has_login = true};
    begin((struct conf_mail_callback){.timeout_ms = 1000});
    ck_assert_int_eq(mail_callback_ask(&field.worker, field.callback, &question, true, &answer,
                                       &call, note, NULL),
                     MAIL_CALLBACK_PENDING);
    loop_run_once(field.loop, 1);
    mail_callback_cancel(call);
    mail_callback_cancel(NULL);
    for (int i = 0; i < 10; i++) {
        loop_run_once(field.loop, 1);
    }
    ck_assert(!field.done);
    end();
}
END_TEST

UNIT_TESTS("mail_callback", it_is_asked_in_nginxs_words, it_is_asked_in_json,
           the_next_is_asked_when_one_does_not_answer, nonsense_is_not_asked_again_elsewhere,
           answers_are_kept, old_answers_stand_in, who_leaves_is_not_told)
