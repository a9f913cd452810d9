#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/upstream/idle.h"
#include "lbd/upstream/upstream_conn.h"
#include "lbd/upstream/upstream_stream.h"
#include "tests/unit/unit.h"
#include "tests/unit/upstream_stand.h"

static struct upstream_stand stand;

/* Who asks for a stream, and what it was told. */
static struct {
    struct upstream_waiter waiter;
    unsigned called;
    struct stream *stream;
    enum close_reason reason;
    char log[512];
} asker;

static void on_waited(struct upstream_waiter *waiter, struct stream *stream,
                      enum close_reason reason)
{
    ck_assert_ptr_eq(waiter, &asker.waiter);
    ck_assert_ptr_null(waiter->opening.conn);
    asker.called++;
    asker.stream = stream;
    asker.reason = reason;
}

static void log_piece(struct stream *stream)
{
    struct stream_piece piece;
    enum stream_pull pulled = stream->ops->pull(stream, &piece);
    size_t len = strlen(asker.log);
    (void)snprintf(asker.log + len, sizeof(asker.log) - len, "%.*s%s", SLICE_ARG(piece.bytes),
                   pulled == STREAM_LAST ? "." : "");
}

static void on_head(struct stream *stream, struct message *message)
{
    size_t len = strlen(asker.log);
    (void)snprintf(asker.log + len, sizeof(asker.log) - len, "%u ", message->status);
    log_piece(stream);
}

static void on_room(struct stream *stream)
{
    (void)stream;
}

static void on_end(struct stream *stream, enum close_reason reason)
{
    (void)stream;
    asker.stream = NULL;
    size_t len = strlen(asker.log);
    (void)snprintf(asker.log + len, sizeof(asker.log) - len, "end %s",
                   close_reason_word(reason).ptr);
}

static const struct stream_events events = {
    .on_head = on_head, .on_body = log_piece, .on_room = on_room, .on_end = on_end};

static void begin(const struct upstream_stand_options *options)
{
    upstream_stand_open(&stand, options);
    memset(&asker, 0, sizeof(asker));
    asker.waiter.fn = on_waited;
}

static enum upstream_open ask(const struct pool *pool, bool fresh, bool *reused)
{
    asker.called = 0;
    asker.stream = NULL;
    asker.reason = CLOSE_OK;
    struct upstream_ask question = {.pool = pool, .fresh = fresh};
    return upstream_stream_open(&stand.upstream, &question, &asker.waiter, &asker.stream, reused,
                                &asker.reason);
}

/* A stream of a new connection; the server's end of it. */
static int connected(bool *reused)
{
    enum upstream_open verdict = ask(stand.pool, false, reused);
    if (verdict == UPSTREAM_PENDING) {
        loop_stand_until(&stand.base, asker.called == 1);
    }
    ck_assert_ptr_nonnull(asker.stream);
    return upstream_stand_accept(&stand, 0);
}

/* One request and its answer on asker.stream; then it is released. */
static void exchange(int server, const char *answer)
{
    char text[256];
    struct message request = {.method = METHOD_GET,
                              .method_text = SLICE("GET"),
                              .version_minor = 1,
                              .path = SLICE("/"),
                              .authority = SLICE("h")};
    struct stream_head head = {.message = &request, .framing = FRAMING_NONE};
    asker.log[0] = '\0';
    asker.stream->events = &events;
    ck_assert(asker.stream->ops->send_head(asker.stream, &head, SLICE_NONE, true));
    loop_stand_until(&stand.base, peer_read(server, text, sizeof(text)) > 0);
    peer_say(server, answer);
    loop_stand_until(&stand.base, strchr(asker.log, '.') != NULL);
    asker.stream->ops->release(asker.stream);
    asker.stream = NULL;
}

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

START_TEST(a_clean_connection_serves_again)
{
    struct upstream_stand_options options = {.servers = 1};
    begin(&options);
    bool reused;
    int server = connected(&reused);
    ck_assert(!reused);
    for (unsigned i = 0; i < 5; i++) {
        exchange(server, ANSWER);
        ck_assert_str_eq(asker.log, "200 hi.");
        ck_assert_int_eq(ask(stand.pool, false, &reused), UPSTREAM_READY);
        ck_assert(reused);
        ck_assert(!upstream_stand_has_connection(&stand, 0));
    }
    ck_assert_uint_eq(upstream_stand_counters(&stand)->connects, 1);
    ck_assert_uint_eq(upstream_stand_counters(&stand)->reuses, 5);
    asker.stream->ops->reset(asker.stream, CLOSE_INTERNAL);
    loop_stand_until(&stand.base, peer_sees_end(server));
    (void)close(server);
    upstream_stand_close(&stand);
}
END_TEST

START_TEST(a_fresh_one_can_be_asked_for)
{
    struct upstream_stand_options options = {.servers = 1};
    begin(&options);
    bool reused;
    int first = connected(&reused);
    exchange(first, ANSWER);
    enum upstream_open verdict = ask(stand.pool, true, &reused);
    ck_assert(!reused);
    if (verdict == UPSTREAM_PENDING) {
        loop_stand_until(&stand.base, asker.called == 1);
    }
    int second = upstream_stand_accept(&stand, 0);
    exchange(second, ANSWER);
    (void)close(first);
    (void)close(second);
    upstream_stand_close(&stand);
}
END_TEST

START_TEST(what_is_not_clean_is_closed)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more",
    };
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct upstream_stand_options options = {.servers = 1};
        begin(&options);
        bool reused;
        int server = connected(&reused);
        exchange(server, answers[i]);
        ck_assert_str_eq(asker.log, "200 hi.");
        loop_stand_until(&stand.base, peer_sees_end(server) || peer_sees_reset(server));
        ck_assert_uint_eq(upstream_stand_counters(&stand)->idle_added, 0);
        (void)close(server);
        upstream_stand_close(&stand);
    }
}
END_TEST

START_TEST(a_refused_connection_says_so)
{
    struct upstream_stand_options options = {.servers = 1};
    begin(&options);
    bool reused;
    upstream_stand_refuse(&stand, 0);
    enum upstream_open verdict = ask(stand.pool, false, &reused);
    if (verdict == UPSTREAM_PENDING) {
        loop_stand_until(&stand.base, asker.called == 1);
    }
    ck_assert_ptr_null(asker.stream);
    ck_assert_int_eq(asker.reason, CLOSE_CONNECT_REFUSED);
    ck_assert_uint_eq(atomic_load(&stand.servers[0]->connect_failures), 1);
    upstream_stand_close(&stand);
}
END_TEST

/* Fills the queue of a server that accepts nobody, so that the next connection hangs. */
static void fill_queue(uint32_t i, int *fds, size_t count)
{
    ck_assert_int_eq(listen(stand.listening[i], 0), 0);
    for (size_t n = 0; n < count; n++) {
        fds[n] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fds[n], &stand.addresses[i].u.any, stand.addresses[i].len);
    }
    loop_stand_turn(&stand.base);
}

START_TEST(a_connection_that_does_not_come_has_its_time)
{
    struct upstream_stand_options options = {.servers = 1, .connect_ms = 300};
    begin(&options);
    bool reused;
    int fds[4];
    fill_queue(0, fds, ARRAY_LEN(fds));
    ck_assert_int_eq(ask(stand.pool, false, &reused), UPSTREAM_PENDING);
    upstream_stand_tick(&stand, 290);
    ck_assert_uint_eq(asker.called, 0);
    upstream_stand_tick(&stand, 20);
    ck_assert_uint_eq(asker.called, 1);
    ck_assert_ptr_null(asker.stream);
    ck_assert_int_eq(asker.reason, CLOSE_CONNECT_TIMEOUT);
    for (size_t n = 0; n < ARRAY_LEN(fds); n++) {
        (void)close(fds[n]);
    }
    upstream_stand_close(&stand);
}
END_TEST

START_TEST(asking_can_be_taken_back)
{
    struct upstream_stand_options options = {.servers = 1, .connect_ms = 300};
    begin(&options);
    bool reused;
    int fds[4];
    upstream_stream_cancel(&stand.upstream, &asker.waiter); /* nothing asked: nothing happens */
    fill_queue(0, fds, ARRAY_LEN(fds));
    ck_assert_int_eq(ask(stand.pool, false, &reused), UPSTREAM_PENDING);
    upstream_stream_cancel(&stand.upstream, &asker.waiter);
    upstream_stream_cancel(&stand.upstream, &asker.waiter);
    upstream_stand_tick(&stand, 1000);
    ck_assert_uint_eq(asker.called, 0);
    for (size_t n = 0; n < ARRAY_LEN(fds); n++) {
        (void)close(fds[n]);
    }
    upstream_stand_close(&stand);
}
END_TEST

START_TEST(the_deadline_of_dialling_does_not_end_the_answer)
{
    struct upstream_stand_options options = {
        .servers = 1, .connect_ms = 100, .response_ms = 10000, .idle_ms = 10000};
    begin(&options);
    bool reused;
    int server = connected(&reused);
    struct message request = {.method = METHOD_GET,
                              .method_text = SLICE("GET"),
                              .version_minor = 1,
                              .path = SLICE("/"),
                              .authority = SLICE("h")};
    struct stream_head head = {.message = &request, .framing = FRAMING_NONE};
    asker.stream->events = &events;
    ck_assert(asker.stream->ops->send_head(asker.stream, &head, SLICE_NONE, true));
    upstream_stand_tick(&stand, 9000);
    ck_assert_str_eq(asker.log, "");
    upstream_stand_tick(&stand, 1100);
    ck_assert_str_eq(asker.log, "end response_timeout");
    (void)close(server);
    upstream_stand_close(&stand);
}
END_TEST

START_TEST(another_address_gets_a_connection_of_its_own)
{
    struct upstream_stand_options options = {.servers = 1};
    begin(&options);
    bool reused;
    int first = connected(&reused);
    exchange(first, ANSWER);
    struct pool *next = upstream_stand_next_pool(&stand, 2);
    enum upstream_open verdict = ask(next, false, &reused);
    ck_assert(!reused);
    if (verdict == UPSTREAM_PENDING) {
        loop_stand_until(&stand.base, asker.called == 1);
    }
    loop_stand_until(&stand.base, peer_sees_end(first));
    int second = upstream_stand_accept(&stand, 0);
    exchange(second, ANSWER);
    ck_assert_int_eq(ask(next, false, &reused), UPSTREAM_READY);
    ck_assert(reused);
    exchange(second, ANSWER);
    pool_unref(next);
    (void)close(first);
    (void)close(second);
    upstream_stand_close(&stand);
}
END_TEST

START_TEST(connecting_resets_the_count_of_failures)
{
    struct upstream_stand_options options = {.servers = 1};
    begin(&options);
    bool reused;
    atomic_store(&stand.servers[0]->connect_failures, 2);
    int server = connected(&reused);
    ck_assert_uint_eq(atomic_load(&stand.servers[0]->connect_failures), 0);
    exchange(server, ANSWER);
    (void)close(server);
    upstream_stand_close(&stand);
}
END_TEST

UNIT_TESTS("upstream_stream", a_clean_connection_serves_again, a_fresh_one_can_be_asked_for,
           what_is_not_clean_is_closed, a_refused_connection_says_so,
           a_connection_that_does_not_come_has_its_time, asking_can_be_taken_back,
           the_deadline_of_dialling_does_not_end_the_answer,
           another_address_gets_a_connection_of_its_own, connecting_resets_the_count_of_failures)
