#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl/rest_wire.h"
#include "lbd/base/compiler.h"
#include "lbd/base/now.h"
#include "lbd/tls/tls_session.h"
#include "tests/unit/tls_files.h"
#include "tests/unit/unit.h"

#define LIMIT_MS 10000

static struct tls_files files;

/* One that answers every byte with itself, over TLS. */
struct echo {
    int listener;
    char url[64];
    pthread_t thread;
    bool has_tls;
    bool is_silent; /* accepts and says nothing */
    char name[64];  /* the client's first name */
};

static void wait_readable(int fd)
{
    struct pollfd watch = {.fd = fd, .events = POLLIN};
    (void)poll(&watch, 1, LIMIT_MS);
}

static void echo_tls(struct echo *echo, int fd)
{
    struct err err = {.kind = ERR_NONE};
    const struct tls_context_options options = {.is_server = true,
                                                .chain_file = files.chain,
                                                .key_file = files.key,
                                                .ca_file = files.ca,
                                                .protocol = "http/1.1"};
    struct tls_context *context = tls_context_new(&options, &err);
    struct tls_session *session = tls_session_new(context, fd, NULL, &err);
    struct tls_names *names = malloc(sizeof(*names));
    enum tls_verdict verdict = TLS_DONE;
    char byte = '\0';
    size_t len = 0;
    verdict = tls_session_handshake(session); /* a blocking descriptor */
    if (verdict == TLS_DONE) {
        tls_session_peer_names(session, names);
        (void)snprintf(echo->name, sizeof(echo->name), "%.*s",
                       SLICE_ARG(names->count != 0 ? names->items[0] : SLICE_NONE));
        while (tls_session_read(session, &byte, 1, &len) == TLS_DONE) {
            (void)tls_session_write(session, &byte, 1, &len);
        }
        (void)tls_session_shut(session);
    }
    free(names);
    tls_session_free(session);
    tls_context_unref(context);
}

static void *serve(void *arg)
{
    struct echo *echo = arg;
    char byte = '\0';
    int fd = accept(echo->listener, NULL, NULL);
    if (fd < 0) {
        return NULL;
    }
    if (echo->is_silent) {
        wait_readable(fd);
        while (recv(fd, &byte, 1, 0) > 0) {
        }
    } else if (echo->has_tls) {
        echo_tls(echo, fd);
    } else {
        while (recv(fd, &byte, 1, 0) == 1 && send(fd, &byte, 1, MSG_NOSIGNAL) == 1) {
        }
    }
    (void)close(fd);
    return NULL;
}

static void start(struct echo *echo)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    echo->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(echo->listener, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(echo->listener, 4), 0);
    ck_assert_int_eq(getsockname(echo->listener, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(echo->url, sizeof(echo->url), "%s://127.0.0.1:%u",
                   echo->has_tls ? "https" : "http", (unsigned)ntohs(address.sin_port));
    ck_assert_int_eq(pthread_create(&echo->thread, NULL, serve, echo), 0);
}

static void stop(struct echo *echo)
{
    (void)shutdown(echo->listener, SHUT_RDWR);
    (void)pthread_join(echo->thread, NULL);
    (void)close(echo->listener);
}

static bool open_wire(struct rest_wire *wire, const struct echo *echo, const char *ca,
                      const char *cert, const char *key, uint64_t limit_ms, struct err *err)
{
    struct endpoint endpoint;
    endpoint_init(&endpoint);
    ck_assert(endpoint_set_url(&endpoint, echo->url, err));
    endpoint_text(&endpoint.ca_file, ca);
    endpoint_text(&endpoint.cert_file, cert);
    endpoint_text(&endpoint.key_file, key);
    bool ok = rest_wire_open(wire, &endpoint, now_ms() + limit_ms, err);
    endpoint_fini(&endpoint);
    return ok;
}

static void talk(struct rest_wire *wire)
{
    char text[16];
    size_t total = 0;
    uint64_t deadline_ms = now_ms() + LIMIT_MS;
    ck_assert_int_eq(rest_wire_send(wire, SLICE("hello"), deadline_ms), REST_WIRE_BYTES);
    while (total < 5) {
        size_t got = 0;
        ck_assert_int_eq(
            rest_wire_receive(wire, text + total, sizeof(text) - total, &got, deadline_ms),
            REST_WIRE_BYTES);
        total += got;
    }
    ck_assert_mem_eq(text, "hello", 5);
    size_t got = 0;
    ck_assert_int_eq(rest_wire_receive(wire, text, sizeof(text), &got, now_ms() + 20),
                     REST_WIRE_LATE);
}

START_TEST(bytes_go_both_ways)
{
    tls_files_begin(&files);
    for (int has_tls = 0; has_tls < 2; has_tls++) {
        struct echo echo = {.has_tls = has_tls == 1};
        struct rest_wire wire;
        struct err err = {.kind = ERR_NONE};
        start(&echo);
        ck_assert_msg(open_wire(&wire, &echo, has_tls ? files.ca : NULL,
                                has_tls ? files.client_chain : NULL,
                                has_tls ? files.client_key : NULL, LIMIT_MS, &err),
                      "%s", err.text);
        talk(&wire);
        rest_wire_close(&wire);
        stop(&echo);
        ck_assert_str_eq(echo.name, has_tls ? "DNS:alice.ops.test" : "");
    }
    tls_files_end(&files);
}
END_TEST

START_TEST(who_is_not_trusted_gets_nothing)
{
    struct echo echo = {.has_tls = true};
    struct rest_wire wire;
    struct err err = {.kind = ERR_NONE};
    tls_files_begin(&files);
    start(&echo);
    ck_assert(!open_wire(&wire, &echo, files.other_ca, NULL, NULL, LIMIT_MS, &err));
    ck_assert_int_eq(err.kind, ERR_DENIED);
    ck_assert_msg(strstr(err.text, "the certificate of 'CN=localhost'") != NULL, "%s", err.text);
    stop(&echo);

    start(&echo);
    ck_assert(!open_wire(&wire, &echo, "/nowhere", NULL, NULL, LIMIT_MS, &err));
    ck_assert_int_eq(err.kind, ERR_INVALID);
    ck_assert_msg(strstr(err.text, "/nowhere") != NULL, "%s", err.text);
    stop(&echo);
    tls_files_end(&files);
}
END_TEST

START_TEST(a_deadline_is_kept)
{
    struct echo echo = {.has_tls = true, .is_silent = true};
    struct rest_wire wire;
    struct err err = {.kind = ERR_NONE};
    tls_files_begin(&files);
    start(&echo);
    ck_assert(!open_wire(&wire, &echo, files.ca, NULL, NULL, 50, &err));
    ck_assert_int_eq(err.kind, ERR_PRECONDITION);
    stop(&echo);

    struct endpoint endpoint; /* nobody listens there any more */
    endpoint_init(&endpoint);
    ck_assert(endpoint_set_url(&endpoint, echo.url, &err));
    ck_assert(!rest_wire_open(&wire, &endpoint, now_ms() + LIMIT_MS, &err));
    ck_assert_int_eq(err.kind, ERR_UNAVAILABLE);
    endpoint_fini(&endpoint);
    tls_files_end(&files);
}
END_TEST

UNIT_TESTS("rest_wire", bytes_go_both_ways, who_is_not_trusted_gets_nothing, a_deadline_is_kept)
