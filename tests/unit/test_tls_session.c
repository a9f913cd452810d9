#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/base/compiler.h"
#include "lbd/tls/tls_session.h"
#include "tests/unit/tls_files.h"
#include "tests/unit/unit.h"

static struct tls_files files;

/* Both ends of a connection in one thread. */
struct pair {
    int fds[2];
    struct tls_context *contexts[2];
    struct tls_session *server;
    struct tls_session *client;
};

static void begin(struct pair *pair, const struct tls_context_options *client, const char *name,
                  enum tls_version server_version)
{
    struct err err = {0};
    const struct tls_context_options server = {.is_server = true,
                                               .chain_file = files.chain,
                                               .key_file = files.key,
                                               .ca_file = files.ca,
                                               .min_version = server_version,
                                               .protocol = "http/1.1"};
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair->fds),
                     0);
    pair->contexts[0] = tls_context_new(&server, &err);
    pair->contexts[1] = tls_context_new(client, &err);
    ck_assert_msg(pair->contexts[0] != NULL && pair->contexts[1] != NULL, "%s", err.text);
    pair->server = tls_session_new(pair->contexts[0], pair->fds[0], NULL, &err);
    pair->client = tls_session_new(pair->contexts[1], pair->fds[1], name, &err);
    ck_assert(pair->server != NULL && pair->client != NULL);
}

static void end(struct pair *pair)
{
    tls_session_free(pair->server);
    tls_session_free(pair->client);
    tls_context_unref(pair->contexts[0]);
    tls_context_unref(pair->contexts[1]);
    (void)close(pair->fds[0]);
    (void)close(pair->fds[1]);
}

/* Steps until both are done or one has failed. */
static void shake(struct pair *pair, enum tls_verdict *server, enum tls_verdict *client)
{
    *server = TLS_WANT_READ;
    *client = TLS_WANT_WRITE;
    for (int i = 0; i < 20 && (*server != TLS_DONE || *client != TLS_DONE); i++) {
        *client = *client == TLS_FAILED ? TLS_FAILED : tls_session_handshake(pair->client);
        *server = *server == TLS_FAILED ? TLS_FAILED : tls_session_handshake(pair->server);
    }
}

static struct tls_context_options client_options(void)
{
    return (struct tls_context_options){.ca_file = files.ca, .protocol = "http/1.1"};
}

START_TEST(both_versions_carry_bytes_and_ends)
{
    static const char text[] = "what one side says the other hears";
    tls_files_begin(&files);
    for (int version = 0; version < 2; version++) {
        struct tls_context_options options = client_options();
        struct pair pair;
        enum tls_verdict server;
        enum tls_verdict client;
        char got[256];
        size_t len = 0;
        options.min_version = version == 0 ? TLS_VERSION_1_2 : TLS_VERSION_1_3;
        begin(&pair, &options, "localhost", TLS_VERSION_1_2);
        shake(&pair, &server, &client);
        ck_assert_msg(server == TLS_DONE && client == TLS_DONE, "%s %s",
                      tls_session_why(pair.server), tls_session_why(pair.client));
        ck_assert(tls_session_is_open(pair.server));
        ck_assert_str_eq(tls_session_version(pair.server), "TLSv1.3");
        ck_assert_int_eq(tls_session_read(pair.server, got, sizeof(got), &len), TLS_WANT_READ);
        ck_assert_int_eq(tls_session_write(pair.client, text, sizeof(text), &len), TLS_DONE);
        ck_assert_uint_eq(len, sizeof(text));
        ck_assert_int_eq(tls_session_read(pair.server, got, 4, &len), TLS_DONE);
        ck_assert_uint_eq(len, 4);
        ck_assert_int_eq(tls_session_read(pair.server, got + 4, sizeof(got) - 4, &len), TLS_DONE);
        ck_assert_uint_eq(len, sizeof(text) - 4);
        ck_assert_str_eq(got, text);

        /* one way ends, the other goes on */
        ck_assert_int_eq(tls_session_shut(pair.client), TLS_DONE);
        ck_assert(!tls_session_has_ended(pair.server));
        ck_assert_int_eq(tls_session_read(pair.server, got, sizeof(got), &len), TLS_END);
        ck_assert(tls_session_has_ended(pair.server));
        ck_assert_int_eq(tls_session_write(pair.server, text, sizeof(text), &len), TLS_DONE);
        ck_assert_int_eq(tls_session_read(pair.client, got, sizeof(got), &len), TLS_DONE);
        ck_assert_uint_eq(len, sizeof(text));
        end(&pair);
    }
    tls_files_end(&files);
}
END_TEST

START_TEST(bytes_before_an_end_are_read_and_a_cut_is_no_end)
{
    struct tls_context_options options;
    struct pair pair;
    enum tls_verdict server;
    enum tls_verdict client;
    char got[16];
    size_t len = 0;
    tls_files_begin(&files);
    options = client_options();
    begin(&pair, &options, "127.0.0.1", TLS_VERSION_1_3);
    shake(&pair, &server, &client);
    ck_assert_int_eq(tls_session_write(pair.client, "bye", 3, &len), TLS_DONE);
    ck_assert_int_eq(tls_session_shut(pair.client), TLS_DONE);
    ck_assert_int_eq(tls_session_read(pair.server, got, sizeof(got), &len), TLS_DONE);
    ck_assert_uint_eq(len, 3);
    ck_assert(tls_session_has_ended(pair.server)); /* seen on the way */
    ck_assert_int_eq(tls_session_read(pair.server, got, sizeof(got), &len), TLS_END);

    ck_assert_int_eq(shutdown(pair.fds[0], SHUT_WR), 0); /* no close_notify: somebody cut it */
    ck_assert_int_eq(tls_session_read(pair.client, got, sizeof(got), &len), TLS_FAILED);
    ck_assert_str_ne(tls_session_why(pair.client), "");
    ck_assert_int_eq(tls_session_write(pair.client, "x", 1, &len), TLS_FAILED);
    end(&pair);
    tls_files_end(&files);
}
END_TEST

START_TEST(the_names_of_a_client_are_known)
{
    static const char *const want[] = {"DNS:alice.ops.test", "URI:spiffe://test/alice",
                                       "email:alice@test", "CN:alice"};
    struct tls_names *names = malloc(sizeof(*names));
    struct tls_context_options options;
    struct pair pair;
    enum tls_verdict server;
    enum tls_verdict client;
    tls_files_begin(&files);
    options = client_options();
    options.chain_file = files.client_chain;
    options.key_file = files.client_key;
    begin(&pair, &options, "localhost", TLS_VERSION_1_2);
    shake(&pair, &server, &client);
    ck_assert_int_eq(server, TLS_DONE);
    tls_session_peer_names(pair.server, names);
    ck_assert(names->is_shown);
    ck_assert_uint_eq(names->count, ARRAY_LEN(want));
    for (uint32_t i = 0; i < names->count; i++) {
        ck_assert(slice_eq(names->items[i], slice_from(want[i])));
    }
    end(&pair);

    options = client_options(); /* it need not show one */
    begin(&pair, &options, "localhost", TLS_VERSION_1_2);
    shake(&pair, &server, &client);
    ck_assert_int_eq(server, TLS_DONE);
    tls_session_peer_names(pair.server, names);
    ck_assert(!names->is_shown);
    ck_assert_uint_eq(names->count, 0);
    end(&pair);
    tls_files_end(&files);
    free(names);
}
END_TEST

/* Who must not be believed, is not. */
START_TEST(wrong_certificates_end_the_handshake)
{
    tls_files_begin(&files);
    const struct {
        const char *chain;
        const char *key;
        const char *ca;
        const char *name;
        const char *protocol;
        const char *server_why; /* NULL: the client refuses */
        const char *client_why;
    } cases[] = {
        {files.stranger_chain, files.stranger_key, files.ca, "localhost", "http/1.1",
         "unable to get local issuer certificate", NULL},
        {files.late_chain, files.late_key, files.ca, "localhost", "http/1.1",
         "certificate has expired", NULL},
        {NULL, NULL, files.other_ca, "localhost", "http/1.1", NULL,
         "unable to get local issuer certificate"},
        {NULL, NULL, files.ca, "example.com", "http/1.1", NULL, "hostname mismatch"},
        {NULL, NULL, files.ca, "127.0.0.2", "http/1.1", NULL, "IP address mismatch"},
        {NULL, NULL, files.ca, "localhost", "h2", "no application protocol", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tls_context_options options = {.chain_file = cases[i].chain,
                                              .key_file = cases[i].key,
                                              .ca_file = cases[i].ca,
                                              .protocol = cases[i].protocol};
        struct pair pair;
        enum tls_verdict server;
        enum tls_verdict client;
        begin(&pair, &options, cases[i].name, TLS_VERSION_1_2);
        shake(&pair, &server, &client);
        if (cases[i].server_why != NULL) {
            ck_assert_msg(server == TLS_FAILED, "%zu", i);
            ck_assert_msg(strstr(tls_session_why(pair.server), cases[i].server_why) != NULL, "%s",
                          tls_session_why(pair.server));
        } else {
            ck_assert_msg(client == TLS_FAILED, "%zu", i);
            ck_assert_msg(strstr(tls_session_why(pair.client), cases[i].client_why) != NULL, "%s",
                          tls_session_why(pair.client));
        }
        end(&pair);
    }
    tls_files_end(&files);
}
END_TEST

START_TEST(what_is_no_tls_is_refused)
{
    static const char *const noise[] = {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\x16\x03\x01\xff\xff",
                                        "\x80\x2e\x01\x03\x01", "\r\n\r\n"};
    tls_files_begin(&files);
    for (size_t i = 0; i < ARRAY_LEN(noise); i++) {
        struct tls_context_options options = client_options();
        struct pair pair;
        begin(&pair, &options, "localhost", TLS_VERSION_1_2);
        ck_assert_int_gt(send(pair.fds[1], noise[i], strlen(noise[i]), 0), 0);
        ck_assert_int_eq(shutdown(pair.fds[1], SHUT_WR), 0);
        ck_assert_int_eq(tls_session_handshake(pair.server), TLS_FAILED);
        ck_assert_int_eq(tls_session_handshake(pair.server), TLS_FAILED);
        ck_assert_str_ne(tls_session_why(pair.server), "");
        ck_assert_int_eq(tls_session_shut(pair.server), TLS_DONE);
        end(&pair);
    }
    tls_files_end(&files);
}
END_TEST

UNIT_TESTS("tls_session", both_versions_carry_bytes_and_ends,
           bytes_before_an_end_are_read_and_a_cut_is_no_end, the_names_of_a_client_are_known,
           wrong_certificates_end_the_handshake, what_is_no_tls_is_refused)
