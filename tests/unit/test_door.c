#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/proxy/door.h"
#include "lbd/tls/tls_context.h"
#include "lbd/tls/tls_session.h"
#include "tests/unit/proxy_stand.h"
#include "tests/unit/tls_files.h"
#include "tests/unit/unit.h"

#define CROWD 40

static struct proxy_stand stand;
static struct tls_files files;
static struct tls_cert *cert;
static struct tls_context *context; /* of clients */

static void begin(void)
{
    const struct proxy_stand_options options = {.upstream = {.servers = 1}};
    struct err err = {0};
    tls_files_begin(&files);
    cert = tls_cert_from_files(files.chain, files.key, &err);
    ck_assert_msg(cert != NULL, "%s", err.text);
    const struct tls_front_options front = {
        .listener = SLICE("web"), .certs = &cert, .cert_count = 1};
    const struct tls_context_options client = {.ca_file = files.ca};
    context = tls_context_new(&client, &err);
    proxy_stand_open(&stand, &options);
    stand.plan.tls = tls_front_new(&front, NULL, &err);
    stand.plan.timeouts.handshake_ms = PROXY_STAND_WAIT_MS;
    ck_assert(context != NULL && stand.plan.tls != NULL);
}

static void end(void)
{
    proxy_stand_close(&stand);
    tls_front_unref(stand.plan.tls);
    tls_context_unref(context);
    tls_cert_unref(cert);
    tls_files_end(&files);
}

/* A client whose ClientHello is under way. */
static struct tls_session *knock(int *fd)
{
    struct err err = {0};
    *fd = proxy_stand_client(&stand);
    struct tls_session *session = tls_session_new(context, *fd, "localhost", &err);
    ck_assert_msg(session != NULL, "%s", err.text);
    ck_assert_int_eq(tls_session_handshake(session), TLS_WANT_READ);
    return session;
}

static bool has_bytes(int fd)
{
    char byte = '\0';
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

START_TEST(handshakes_take_turns)
{
    struct tls_session *sessions[CROWD];
    int fds[CROWD];
    unsigned answered = 0;
    unsigned passes = 0;
    begin();
    for (unsigned i = 0; i < CROWD; i++) {
        sessions[i] = knock(&fds[i]);
    }
    while (answered < CROWD) {
        unsigned before = answered;
        loop_run_once(stand.up.base.loop, 0);
        answered = 0;
        for (unsigned i = 0; i < CROWD; i++) {
            answered += has_bytes(fds[i]) ? 1 : 0;
        }
        ck_assert_uint_le(answered - before, DOOR_STEPS);
        ck_assert_uint_lt(passes++, 10 * CROWD);
    }
    for (unsigned i = 0; i < CROWD; i++) {
        ck_assert_int_eq(tls_session_handshake(sessions[i]), TLS_DONE);
    }
    proxy_stand_until(&stand,
                      proxy_stand_counters(&stand)->handshakes[COUNTERS_HANDSHAKE_1_3] == CROWD);
    for (unsigned i = 0; i < CROWD; i++) {
        tls_session_free(sessions[i]);
        (void)close(fds[i]);
    }
    end();
}
END_TEST

START_TEST(who_is_slow_or_gone_is_let_go)
{
    int slow = 0;
    int gone = 0;
    begin();
    struct tls_session *session = knock(&slow);
    gone = proxy_stand_client(&stand);
    tell(&stand, gone, "\x16\x03\x01");
    ck_assert_uint_eq(proxy_stand_open_count(&stand), 2);
    (void)close(gone);
    proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 1);
    ck_assert_uint_eq(proxy_stand_counters(&stand)->endings[CLOSE_TLS_ABORTED], 1);
    proxy_stand_tick(&stand, PROXY_STAND_WAIT_MS + 20);
    proxy_stand_until(&stand, proxy_stand_open_count(&stand) == 0);
    ck_assert_uint_eq(proxy_stand_counters(&stand)->endings[CLOSE_HANDSHAKE_TIMEOUT], 1);
    tls_session_free(session);
    (void)close(slow);
    end();
}
END_TEST

START_TEST(a_drain_does_not_wait_for_handshakes)
{
    int fd = 0;
    begin();
    struct tls_session *session = knock(&fd);
    proxy_stand_settle(&stand);
    ck_assert_uint_eq(proxy_stand_open_count(&stand), 1);
    struct session *client = list_entry(list_first(&stand.front->sessions), struct session, link);
    struct session_facts facts;
    session_look(client, &facts);
    ck_assert_int_eq(facts.state, SESSION_IS_OPENING);
    session_abort(client, CLOSE_DRAINING, true);
    ck_assert_uint_eq(proxy_stand_open_count(&stand), 0);
    tls_session_free(session);
    (void)close(fd);
    end();
}
END_TEST

UNIT_TESTS("door", handshakes_take_turns, who_is_slow_or_gone_is_let_go,
           a_drain_does_not_wait_for_handshakes)
