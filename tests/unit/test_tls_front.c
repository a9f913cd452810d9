#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "lbd/base/compiler.h"
#include "lbd/base/now.h"
#include "lbd/tls/tls_client.h"
#include "lbd/tls/tls_file.h"
#include "lbd/tls/tls_front.h"
#include "lbd/tls/tls_session_inside.h"
#include "tests/unit/tls_files.h"
#include "tests/unit/unit.h"

static struct tls_files files;
static struct tls_cert *certs[2]; /* localhost, alice.ops.test */
static struct tls_ca *ca;
static struct tls_ca *other_ca;

static void begin(void)
{
    struct err err = {0};
    tls_files_begin(&files);
    certs[0] = tls_cert_from_files(files.chain, files.key, &err);
    certs[1] = tls_cert_from_files(files.client_chain, files.client_key, &err);
    ca = tls_ca_from_files(files.ca, NULL, &err);
    other_ca = tls_ca_from_files(files.other_ca, NULL, &err);
    ck_assert_msg(certs[0] != NULL && certs[1] != NULL && ca != NULL && other_ca != NULL, "%s",
                  err.text);
}

static void end(void)
{
    tls_cert_unref(certs[0]);
    tls_cert_unref(certs[1]);
    tls_ca_unref(ca);
    tls_ca_unref(other_ca);
    tls_files_end(&files);
}

static struct tls_front_options options_of(void)
{
    return (struct tls_front_options){
        .listener = SLICE("web"), .certs = certs, .cert_count = ARRAY_LEN(certs)};
}

static struct tls_front *new_front(const struct tls_front_options *options,
                                   const struct tls_front *previous)
{
    struct err err = {0};
    struct tls_front *front = tls_front_new(options, previous, &err);
    ck_assert_msg(front != NULL, "%s", err.text);
    return front;
}

/* -- a client and a server in one thread -- */

struct pair {
    int fds[2];
    struct tls_session *server;
    struct tls_session *client;
    enum tls_verdict verdicts[2]; /* of the server, of the client */
};

static void begin_pair(struct pair *pair, struct tls_front *front, struct tls_client *client,
                       const char *name, struct tls_reuse *reuse)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair->fds),
                     0);
    pair->server = tls_session_of_client(front, pair->fds[0]);
    pair->client = tls_session_adopt(tls_client_begin(client, name, reuse), pair->fds[1]);
    pair->verdicts[0] = pair->verdicts[1] = TLS_WANT_READ;
}

static void shake(struct pair *pair)
{
    for (int i = 0; i < 20 && pair->verdicts[0] != TLS_FAILED &&
                    (pair->verdicts[0] != TLS_DONE || pair->verdicts[1] != TLS_DONE);
         i++) {
        if (pair->verdicts[1] != TLS_FAILED && pair->verdicts[1] != TLS_DONE) {
            pair->verdicts[1] = tls_session_handshake(pair->client);
        }
        if (pair->verdicts[0] != TLS_DONE) {
            pair->verdicts[0] = tls_session_handshake(pair->server);
        }
    }
}

static void connect_pair(struct pair *pair, struct tls_front *front, struct tls_client *client,
                         const char *name, struct tls_reuse *reuse)
{
    begin_pair(pair, front, client, name, reuse);
    shake(pair);
}

static void say(struct tls_session *from, struct tls_session *to)
{
    char text[8];
    size_t len = 0;
    (void)tls_session_read(from, text, sizeof(text), &len); /* tickets */
    ck_assert_int_eq(tls_session_write(from, "hi", 2, &len), TLS_DONE);
    ck_assert_int_eq(tls_session_read(to, text, sizeof(text), &len), TLS_DONE);
    ck_assert_uint_eq(len, 2);
}

static void close_pair(struct pair *pair)
{
    tls_session_free(pair->server);
    tls_session_free(pair->client);
    (void)close(pair->fds[0]);
    (void)close(pair->fds[1]);
}

static struct tls_client *new_client(enum tls_version most)
{
    struct err err = {0};
    const struct tls_client_options options = {
        .verify = TLS_VERIFY_CHAIN, .ca = ca, .max_version = most};
    struct tls_client *client = tls_client_new(&options, &err);
    ck_assert_msg(client != NULL, "%s", err.text);
    return client;
}

/* Shakes hands and says something; was the handshake resumed? */
static bool is_resumed(struct tls_front *front, struct tls_client *client, const char *name,
                       struct tls_reuse *reuse)
{
    struct pair pair;
    connect_pair(&pair, front, client, name, reuse);
    ck_assert_msg(pair.verdicts[0] == TLS_DONE && pair.verdicts[1] == TLS_DONE, "%s %s",
                  tls_session_why(pair.server), tls_session_why(pair.client));
    say(pair.client, pair.server);
    say(pair.server, pair.client);
    bool resumed = tls_session_is_resumed(pair.server);
    close_pair(&pair);
    return resumed;
}

/* -- tests -- */

START_TEST(a_name_has_its_certificate)
{
    const struct tls_cert *shown[TLS_FRONT_SHOWN];
    begin();
    struct tls_front_options options = options_of();
    struct tls_front *front = new_front(&options, NULL);
    const struct {
        const char *name;
        const struct tls_cert *want;
    } cases[] = {{"localhost", certs[0]}, {"LOCALHOST.", certs[0]},   {"alice.ops.test", certs[1]},
                 {"nobody", certs[0]},    {"bob.ops.test", certs[0]}, {"", certs[0]}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_uint_eq(tls_front_certs_for(front, slice_from(cases[i].name), shown), 1);
        ck_assert_msg(shown[0] == cases[i].want, "%s", cases[i].name);
    }
    tls_front_unref(front);
    options.strict_sni = true;
    front = new_front(&options, NULL);
    ck_assert_uint_eq(tls_front_certs_for(front, SLICE("nobody"), shown), 0);
    ck_assert_uint_eq(tls_front_certs_for(front, SLICE(""), shown), 0);
    ck_assert_uint_eq(tls_front_certs_for(front, SLICE("localhost"), shown), 1);
    tls_front_unref(front);
    tls_front_unref(NULL);
    end();
}
END_TEST

START_TEST(only_what_changed_is_made_anew)
{
    begin();
    struct tls_front_options options = options_of();
    options.tickets = tls_tickets_new();
    struct tls_front *front = new_front(&options, NULL);
    ck_assert(tls_front_is_made_of(front, &options));
    struct tls_front *same = new_front(&options, front);
    ck_assert(tls_front_is_made_of(same, &options));
    tls_front_unref(same);

    struct tls_front_options other = options;
    other.cert_count = 1;
    ck_assert(!tls_front_is_made_of(front, &other));
    other = options;
    other.client_auth = TLS_CLIENT_AUTH_OPTIONAL;
    other.client_ca = ca;
    ck_assert(!tls_front_is_made_of(front, &other));
    struct tls_front *asks = new_front(&other, front);
    ck_assert(!tls_front_is_made_of(asks, &options));
    other.client_ca = other_ca;
    ck_assert(!tls_front_is_made_of(asks, &other));
    other = options;
    other.tickets = NULL;
    ck_assert(!tls_front_is_made_of(front, &other));
    tls_front_unref(asks);

    /* what a connection uses stays, whatever became of the rest */
    struct tls_client *client = new_client(TLS_VERSION_ANY);
    struct pair pair;
    connect_pair(&pair, front, client, "alice.ops.test", NULL);
    tls_front_unref(front);
    tls_tickets_unref(options.tickets);
    say(pair.client, pair.server);
    ck_assert(tls_session_is_for(pair.server, SLICE("alice.ops.test")));
    ck_assert(!tls_session_is_for(pair.server, SLICE("localhost")));
    ck_assert(!tls_session_is_for(pair.server, SLICE("nobody")));
    close_pair(&pair);
    tls_client_unref(client);
    end();
}
END_TEST

/* R12 */
START_TEST(tickets_and_sessions_are_for_one_policy)
{
    static const enum tls_version versions[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};
    begin();
    struct tls_reuse *reuse = tls_reuse_new();
    for (size_t v = 0; v < 2 * ARRAY_LEN(versions); v++) {
        bool has_tickets = v < ARRAY_LEN(versions);
        struct tls_front_options options = options_of();
        struct tls_tickets *tickets = has_tickets ? tls_tickets_new() : NULL;
        struct tls_client *client = new_client(versions[v % ARRAY_LEN(versions)]);
        bool has_any = has_tickets || versions[v % ARRAY_LEN(versions)] == TLS_VERSION_1_2;
        options.tickets = tickets;
        options.client_auth = TLS_CLIENT_AUTH_OPTIONAL;
        options.client_ca = ca;
        struct tls_front *front = new_front(&options, NULL);
        tls_reuse_forget(reuse);
        ck_assert(!is_resumed(front, client, "localhost", reuse));
        ck_assert_msg(is_resumed(front, client, "localhost", reuse) == has_any, "%zu", v);
        struct tls_front *again = new_front(&options, NULL);
        ck_assert_msg(is_resumed(again, client, "localhost", reuse) == has_any, "%zu", v);
        tls_front_unref(again);

        struct tls_front_options others[4] = {options, options, options, options};
        others[0].listener = SLICE("shop");
        others[1].client_ca = other_ca;
        others[2].client_auth = TLS_CLIENT_AUTH_OFF;
        others[3].strict_sni = true;
        for (size_t i = 0; i < ARRAY_LEN(others); i++) {
            (void)is_resumed(front, client, "localhost", reuse);
            struct tls_front *other = new_front(&others[i], NULL);
            ck_assert_msg(!is_resumed(other, client, "localhost", reuse), "%zu %zu", v, i);
            tls_front_unref(other);
            tls_reuse_forget(reuse);
        }
        tls_front_unref(front);
        tls_client_unref(client);
        tls_tickets_unref(tickets);
    }
    tls_reuse_free(reuse);
    end();
}
END_TEST

START_TEST(tickets_outlive_one_rotation)
{
    begin();
    struct tls_front_options options = options_of();
    struct tls_tickets *tickets = tls_tickets_new();
    struct tls_client *client = new_client(TLS_VERSION_ANY);
    struct tls_reuse *reuse = tls_reuse_new();
    options.tickets = tickets;
    struct tls_front *front = new_front(&options, NULL);
    ck_assert(!is_resumed(front, client, "localhost", reuse));
    tls_tickets_rotate(tickets);
    ck_assert(is_resumed(front, client, "localhost", reuse)); /* and gets one of the new key */
    tls_tickets_rotate(tickets);
    ck_assert(is_resumed(front, client, "localhost", reuse));
    tls_tickets_rotate(tickets);
    tls_tickets_rotate(tickets);
    ck_assert(!is_resumed(front, client, "localhost", reuse));
    tls_front_unref(front);
    tls_reuse_free(reuse);
    tls_client_unref(client);
    tls_tickets_unref(tickets);
    end();
}
END_TEST

START_TEST(says_what_the_trouble_is)
{
    begin();
    struct tls_front_options options = options_of();
    static const struct slice alpn[] = {SLICE_INIT("http/1.1")};
    options.alpn = alpn;
    options.alpn_count = 1;
    options.client_auth = TLS_CLIENT_AUTH_REQUIRED;
    options.client_ca = ca;
    options.max_version = TLS_VERSION_1_2;
    options.strict_sni = true;
    struct tls_front *front = new_front(&options, NULL);
    static const struct slice foreign[] = {SLICE_INIT("spdy/3")};
    struct err err = {0};
    struct tls_cert *stranger = tls_cert_from_files(files.stranger_chain, files.stranger_key, &err);
    const struct {
        struct tls_client_options client;
        const char *name;
        enum tls_trouble want;
    } cases[] = {
        {{.cert = certs[1]}, "localhost", TLS_TROUBLE_NONE},
        {{.cert = NULL}, "localhost", TLS_TROUBLE_NO_CERTIFICATE},
        {{.cert = stranger}, "localhost", TLS_TROUBLE_CERTIFICATE},
        {{.cert = certs[1]}, "nobody", TLS_TROUBLE_NAME},
        {{.cert = certs[1], .alpn = foreign, .alpn_count = 1}, "localhost", TLS_TROUBLE_PROTOCOL},
        {{.cert = certs[1], .min_version = TLS_VERSION_1_3},
         "localhost",
         TLS_TROUBLE_NOTHING_SHARED},
        {{.cert = certs[1], .ca = other_ca}, "localhost", TLS_TROUBLE_REFUSED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tls_client_options client_options = cases[i].client;
        struct pair pair;
        client_options.verify = TLS_VERIFY_CHAIN;
        client_options.ca = client_options.ca != NULL ? client_options.ca : ca;
        struct tls_client *client = tls_client_new(&client_options, &err);
        connect_pair(&pair, front, client, cases[i].name, NULL);
        ck_assert_msg(tls_session_trouble(pair.server) == cases[i].want, "%zu: %d %s", i,
                      (int)tls_session_trouble(pair.server), tls_session_why(pair.server));
        close_pair(&pair);
        tls_client_unref(client);
    }
    tls_cert_unref(stranger);
    tls_front_unref(front);
    end();
}
END_TEST

static struct tls_ca *ca_that_revoked(const char *chain)
{
    struct err err = {0};
    struct slice pem;
    char crl[TLS_FILES_CRL_MAX];
    size_t len = tls_files_crl(chain, crl);
    ck_assert(tls_file_read(files.ca, "the file", false, 8192, &pem, &err));
    struct tls_ca *found = tls_ca_from_pem(pem, slice_of(crl, len), &err);
    ck_assert_msg(found != NULL, "%s", err.text);
    ck_assert_uint_eq(tls_ca_facts(found)->revocation_lists, 1);
    ck_assert_uint_gt(tls_ca_facts(found)->crl_until_us, now_wall_us());
    tls_file_forget(pem);
    return found;
}

START_TEST(who_was_revoked_is_refused)
{
    begin();
    const char *const revoked[] = {NULL, files.late_chain, files.client_chain};
    for (size_t i = 0; i < ARRAY_LEN(revoked); i++) {
        struct err err = {0};
        struct tls_front_options options = options_of();
        options.client_auth = TLS_CLIENT_AUTH_REQUIRED;
        options.client_ca = ca_that_revoked(revoked[i]);
        struct tls_front *front = new_front(&options, NULL);
        const struct tls_client_options client_options = {
            .verify = TLS_VERIFY_CHAIN, .ca = ca, .cert = certs[1]};
        struct tls_client *client = tls_client_new(&client_options, &err);
        struct pair pair;
        connect_pair(&pair, front, client, "localhost", NULL);
        ck_assert_int_eq(tls_session_trouble(pair.server),
                         i == 2 ? TLS_TROUBLE_CERTIFICATE : TLS_TROUBLE_NONE);
        ck_assert(i != 2 || strstr(tls_session_why(pair.server), "revoked") != NULL);
        close_pair(&pair);
        tls_client_unref(client);
        tls_front_unref(front);
        tls_ca_unref(options.client_ca);
    }
    end();
}
END_TEST

/* Connections are judged by fronts that they did not come in by. */
START_TEST(what_a_client_has_shown_is_judged_anew)
{
    enum { OFF, OPTIONAL, REQUIRED, OTHER_CA, REVOKED, SAME, FRONTS };
    static const struct {
        const char *name;
        bool shows;
        bool let_in[FRONTS];
    } cases[] = {
        {"alice", true, {[OFF] = true, [OPTIONAL] = true, [REQUIRED] = true, [SAME] = true}},
        {"nobody", false, {[OFF] = true, [OPTIONAL] = true}},
    };
    struct tls_front *fronts[FRONTS];
    struct tls_ca *revoked;
    begin();
    revoked = ca_that_revoked(files.client_chain);
    const struct {
        enum tls_client_auth auth;
        struct tls_ca *ca;
    } asks[FRONTS] = {
        [OFF] = {TLS_CLIENT_AUTH_OFF, NULL},
        [OPTIONAL] = {TLS_CLIENT_AUTH_OPTIONAL, ca},
        [REQUIRED] = {TLS_CLIENT_AUTH_REQUIRED, ca},
        [OTHER_CA] = {TLS_CLIENT_AUTH_REQUIRED, other_ca},
        [REVOKED] = {TLS_CLIENT_AUTH_REQUIRED, revoked},
        [SAME] = {TLS_CLIENT_AUTH_REQUIRED, ca},
    };
    for (size_t i = 0; i < FRONTS; i++) {
        struct tls_front_options options = options_of();
        options.client_auth = asks[i].auth;
        options.client_ca = asks[i].ca;
        options.cert_count = i == SAME ? 1 : 2; /* other certificates ask for nothing else */
        fronts[i] = new_front(&options, NULL);
        ck_assert(tls_front_is_closed(fronts[i]) == (i >= REQUIRED));
        for (size_t j = 0; j < i; j++) {
            bool same = tls_front_demand(fronts[i]) == tls_front_demand(fronts[j]);
            ck_assert_msg(same == (i == SAME && j == REQUIRED), "%zu %zu", i, j);
        }
    }
    ck_assert_uint_eq(tls_front_demand(fronts[OFF]), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t from = OFF; from <= REQUIRED; from++) {
            struct err err = {0};
            const struct tls_client_options options = {
                .verify = TLS_VERIFY_CHAIN, .ca = ca, .cert = cases[i].shows ? certs[1] : NULL};
            struct tls_client *client = tls_client_new(&options, &err);
            struct pair pair;
            connect_pair(&pair, fronts[from], client, "localhost", NULL);
            bool came_in = pair.verdicts[0] == TLS_DONE;
            ck_assert(came_in == (cases[i].shows || from != REQUIRED));
            bool shown = cases[i].shows && from != OFF; /* who is not asked shows nothing */
            for (size_t to = 0; came_in && to < 2 * FRONTS; to++) { /* and there and back */
                size_t by = to < FRONTS ? to : 2 * FRONTS - 1 - to;
                bool want = cases[shown ? 0 : 1].let_in[by];
                ck_assert_msg(tls_session_is_let_in(pair.server, fronts[by]) == want,
                              "%s, %zu to %zu", cases[i].name, from, by);
            }
            close_pair(&pair);
            tls_client_unref(client);
        }
    }
    for (size_t i = 0; i < FRONTS; i++) {
        tls_front_unref(fronts[i]);
    }
    tls_ca_unref(revoked);
    end();
}
END_TEST

START_TEST(an_answer_of_the_authority_is_stapled)
{
    struct err err = {0};
    struct tls_ocsp_facts facts;
    unsigned char answer[TLS_FILES_OCSP_MAX];
    begin();
    struct tls_cert *cert = tls_files_cert(&files);
    size_t len = tls_files_ocsp(files.chain, true, -60, 3600, answer);
    ck_assert_msg(
        tls_cert_ocsp_set(cert, slice_of((const char *)answer, len), now_wall_us(), &facts, &err),
        "%s", err.text);
    for (int staples = 0; staples < 2; staples++) {
        struct tls_front_options options = {
            .listener = SLICE("web"), .certs = &cert, .cert_count = 1, .staples = staples == 1};
        struct tls_front *front = new_front(&options, NULL);
        struct tls_client *client = new_client(TLS_VERSION_ANY);
        for (int asks = 0; asks < 2; asks++) {
            struct pair pair;
            const unsigned char *found = NULL;
            begin_pair(&pair, front, client, "localhost", NULL);
            SSL *ssl = tls_session_handle(pair.client);
            if (asks == 1) {
                ck_assert_int_eq(SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp), 1);
            }
            shake(&pair);
            long found_len = SSL_get_tlsext_status_ocsp_resp(ssl, &found);
            if (staples == 1 && asks == 1) {
                ck_assert_int_eq(found_len, (long)len);
                ck_assert_int_eq(memcmp(found, answer, len), 0);
            } else {
                ck_assert_int_le(found_len, 0);
            }
            close_pair(&pair);
        }
        tls_client_unref(client);
        tls_front_unref(front);
    }
    tls_cert_unref(cert);
    end();
}
END_TEST

#define THREADS 3
#define ROUNDS  12

static struct tls_front *shared;
static _Atomic unsigned resumed_count;

static void *shake_often(void *arg)
{
    struct tls_client *client = arg;
    struct tls_reuse *reuse = tls_reuse_new();
    for (int i = 0; i < ROUNDS; i++) {
        if (is_resumed(shared, client, i % 4 < 2 ? "localhost" : "alice.ops.test", reuse)) {
            resumed_count++;
        }
    }
    tls_reuse_free(reuse);
    return NULL;
}

START_TEST(workers_share_it)
{
    static const enum tls_version versions[THREADS] = {TLS_VERSION_1_2, TLS_VERSION_1_3,
                                                       TLS_VERSION_1_2};
    pthread_t threads[THREADS];
    struct tls_client *clients[THREADS];
    begin();
    for (int with_tickets = 0; with_tickets < 2; with_tickets++) {
        struct tls_front_options options = options_of();
        options.tickets = with_tickets == 1 ? tls_tickets_new() : NULL;
        shared = new_front(&options, NULL);
        resumed_count = 0;
        for (size_t i = 0; i < THREADS; i++) {
            clients[i] = new_client(versions[i]);
            ck_assert_int_eq(pthread_create(&threads[i], NULL, shake_often, clients[i]), 0);
        }
        if (options.tickets != NULL) {
            tls_tickets_rotate(options.tickets);
        }
        tls_cert_ocsp_clear(certs[0]);
        for (size_t i = 0; i < THREADS; i++) {
            ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
            tls_client_unref(clients[i]);
        }
        ck_assert_uint_ge(resumed_count, ROUNDS);
        tls_front_unref(shared);
        tls_tickets_unref(options.tickets);
    }
    end();
}
END_TEST

UNIT_TESTS("tls_front", who_was_revoked_is_refused, what_a_client_has_shown_is_judged_anew,
           an_answer_of_the_authority_is_stapled, workers_share_it, a_name_has_its_certificate,
           only_what_changed_is_made_anew, tickets_and_sessions_are_for_one_policy,
           tickets_outlive_one_rotation, says_what_the_trouble_is)
