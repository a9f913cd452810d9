#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api_front.h"
#include "lbd/base/mem.h"
#include "tests/unit/loop_stand.h"
#include "tests/unit/tls_files.h"
#include "tests/unit/unit.h"

static struct loop_stand stand;
static struct tls_files files;
static struct conf_daemon conf;
static struct api_guard *guard;
static struct api_front *front;
static struct sockaddr_in address;
static int given = -1; /* what came out behind the front */
static unsigned given_count;
static bool takes;

static bool on_give(void *arg, int fd, const struct sockaddr *from, socklen_t len)
{
    (void)arg;
    ck_assert_int_eq(from->sa_family, AF_INET);
    ck_assert_uint_eq(len, sizeof(struct sockaddr_in));
    given_count++;
    if (!takes) {
        (void)close(fd);
        return false;
    }
    given = fd;
    return true;
}

static void begin(void)
{
    socklen_t len = sizeof(address);
    struct err err = {0};
    tls_files_begin(&files);
    loop_stand_open(&stand);
    memset(&conf, 0, sizeof(conf));
    conf.state_dir = slice_from(files.folder);
    conf.api.tls.chain_file = slice_from(files.chain);
    conf.api.tls.key_file = slice_from(files.key);
    conf.api.tls.client_ca_file = slice_from(files.ca);
    conf.api.audit.path = SLICE("off");
    conf.api.limits.connections = 4;
    conf.api.limits.connections_per_address = 3;
    conf.api.limits.handshake_timeout_ms = 60000;
    guard = api_guard_new(&conf, &err);
    ck_assert_msg(guard != NULL, "%s", err.text);

    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    const struct api_front_options options = {
        .loop = stand.loop, .guard = guard, .conf = &conf.api, .fd = fd, .give = on_give};
    front = api_front_new(&options, &err);
    ck_assert_msg(front != NULL, "%s", err.text);
    given = -1;
    given_count = 0;
    takes = true;
}

static void end(void)
{
    if (given >= 0) {
        (void)close(given);
    }
    api_front_free(front);
    api_guard_free(guard);
    loop_stand_close(&stand);
    tls_files_end(&files);
}

struct client {
    int fd;
    struct tls_context *context;
    struct tls_session *session;
};

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static struct client connect_client(void)
{
    struct err err = {0};
    const struct tls_context_options options = {.chain_file = files.client_chain,
                                                .key_file = files.client_key,
                                                .ca_file = files.ca,
                                                .protocol = "http/1.1"};
    struct client client = {.fd = dial(), .context = tls_context_new(&options, &err)};
    ck_assert_msg(client.context != NULL, "%s", err.text);
    client.session = tls_session_new(client.context, client.fd, "localhost", &err);
    unsigned before = given_count;
    loop_stand_until(&stand, tls_session_handshake(client.session) != TLS_WANT_READ &&
                                 given_count > before);
    ck_assert(tls_session_is_open(client.session));
    return client;
}

static void close_client(struct client *client)
{
    tls_session_free(client->session);
    tls_context_unref(client->context);
    (void)close(client->fd);
}

/* Reads until `want` bytes are there. */
static void client_reads(struct client *client, char *out, size_t want)
{
    size_t total = 0;
    enum tls_verdict verdict = TLS_WANT_READ;
    for (int i = 0; i < LOOP_STAND_TURNS && total < want; i++) {
        size_t got = 0;
        verdict = tls_session_read(client->session, out + total, want - total, &got);
        ck_assert(verdict == TLS_DONE || verdict == TLS_WANT_READ);
        total += got;
        loop_stand_turn(&stand);
    }
    ck_assert_uint_eq(total, want);
}

START_TEST(bytes_and_ends_pass_and_the_client_has_a_name)
{
    char text[64] = "";
    size_t len = 0;
    begin();
    struct client client = connect_client();
    const struct tls_names *names = api_front_names(front, given);
    ck_assert_ptr_nonnull(names);
    ck_assert(names->is_shown);
    ck_assert(slice_eq(names->items[0], SLICE("DNS:alice.ops.test")));
    ck_assert_ptr_null(api_front_names(front, -7));

    ck_assert_int_eq(tls_session_write(client.session, "question", 8, &len), TLS_DONE);
    loop_stand_until(&stand, recv(given, text, sizeof(text), MSG_PEEK) == 8);
    ck_assert_int_eq(recv(given, text, sizeof(text), 0), 8);
    ck_assert_mem_eq(text, "question", 8);

    ck_assert_int_eq(tls_session_shut(client.session), TLS_DONE); /* the client ends its side */
    loop_stand_until(&stand, peer_sees_end(given));
    ck_assert_int_eq(send(given, "answer", 6, 0), 6);
    client_reads(&client, text, 6);
    ck_assert_mem_eq(text, "answer", 6);

    (void)close(given);
    given = -1;
    loop_stand_until(&stand, tls_session_read(client.session, text, sizeof(text), &len) == TLS_END);
    close_client(&client);
    end();
}
END_TEST

START_TEST(a_client_that_does_not_read_brakes_the_server)
{
    enum { LONG_BYTES = 8 * 1024 * 1024 };
    char *bytes = mem_alloc(LONG_BYTES);
    size_t sent = 0;
    begin();
    struct client client = connect_client();
    pattern_fill(bytes, LONG_BYTES, 0, 5);
    for (int i = 0; i < 200; i++) {
        sent += peer_write(given, bytes + sent, LONG_BYTES - sent);
        loop_stand_turn(&stand);
    }
    ck_assert_uint_lt(sent, LONG_BYTES); /* the kernel's buffers are full, and ours hold little */
    size_t total = 0;
    for (int i = 0; i < 100 * LOOP_STAND_TURNS && total < LONG_BYTES; i++) {
        static char text[65536];
        size_t got = 0;
        sent += peer_write(given, bytes + sent, LONG_BYTES - sent);
        loop_stand_turn(&stand);
        (void)tls_session_read(client.session, text, sizeof(text), &got);
        ck_assert_uint_eq(pattern_differs(text, got, total, 5), SIZE_MAX);
        total += got;
    }
    ck_assert_uint_eq(total, LONG_BYTES);
    free(bytes);
    close_client(&client);
    end();
}
END_TEST

/* It has said what it thinks of the request and closed, while the client still sends. */
START_TEST(an_early_answer_reaches_the_client)
{
    char text[64] = "";
    char junk[16384];
    size_t len = 0;
    begin();
    struct client client = connect_client();
    memset(junk, 'x', sizeof(junk));
    ck_assert_int_eq(tls_session_write(client.session, junk, sizeof(junk), &len), TLS_DONE);
    loop_stand_settle(&stand);
    ck_assert_int_eq(send(given, "no", 2, 0), 2);
    (void)close(given); /* with bytes of the client unread */
    given = -1;
    for (int i = 0; i < 50; i++) {
        (void)tls_session_write(client.session, junk, sizeof(junk), &len);
        loop_stand_turn(&stand);
    }
    client_reads(&client, text, 2);
    ck_assert_mem_eq(text, "no", 2);
    close_client(&client);
    end();
}
END_TEST

static bool client_sees_end(struct client *client)
{
    char text[16];
    size_t got = 0;
    enum tls_verdict verdict = tls_session_read(client->session, text, sizeof(text), &got);
    return verdict == TLS_END || verdict == TLS_FAILED;
}

START_TEST(one_address_gets_so_many_connections)
{
    begin();
    conf.api.limits.handshake_timeout_ms = 50;
    int fds[4];
    for (size_t i = 0; i < 4; i++) {
        fds[i] = dial();
        loop_stand_settle(&stand);
    }
    loop_stand_until(&stand, peer_sees_end(fds[3])); /* at once */
    loop_stand_until(&stand, peer_sees_end(fds[0]) && peer_sees_end(fds[1]) &&
                                 peer_sees_end(fds[2])); /* they have said nothing in 50 ms */
    for (size_t i = 0; i < 4; i++) {
        (void)close(fds[i]);
    }
    conf.api.limits.handshake_timeout_ms = 60000;
    takes = false; /* the server has no room */
    struct client client = connect_client();
    ck_assert_uint_eq(given_count, 1);
    loop_stand_until(&stand, client_sees_end(&client));
    close_client(&client);
    end();
}
END_TEST

START_TEST(a_bad_certificate_is_told_with_its_place)
{
    struct err err = {0};
    begin();
    conf.api.tls.key_file = slice_from(files.client_key);
    ck_assert_ptr_null(api_front_context(&conf.api, &err));
    ck_assert_int_eq(err.kind, ERR_INVALID);
    ck_assert_str_eq(err.place, "/daemon/api/tls/key_file");
    ck_assert_ptr_nonnull(strstr(err.text, "daemon.api.tls: the key"));
    tls_files_write(files.chain, "nothing\n", 0644); /* while it runs: it goes on */
    api_front_reload(front);
    struct client client = connect_client();
    close_client(&client);
    end();
}
END_TEST

UNIT_TESTS("api_front", bytes_and_ends_pass_and_the_client_has_a_name,
           a_client_that_does_not_read_brakes_the_server, an_early_answer_reaches_the_client,
           one_address_gets_so_many_connections, a_bad_certificate_is_told_with_its_place)
