#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lbd/http/h2_frame.h"
#include "lbd/upstream/idle.h"
#include "lbd/upstream/shared.h"
#include "tests/unit/h2_frames.h"
#include "tests/unit/unit.h"
#include "tests/unit/upstream_stand.h"

enum { ASKERS = 8 };

static struct upstream_stand stand;

/* Who asks for a stream, and what he was told. */
static struct asker {
    struct upstream_waiter waiter;
    unsigned called;
    struct stream *stream;
    enum close_reason reason;
} askers[ASKERS];

static void on_waited(struct upstream_waiter *waiter, struct stream *stream,
                      enum close_reason reason)
{
    struct asker *asker = container_of(waiter, struct asker, waiter);
    asker->called++;
    asker->stream = stream;
    asker->reason = reason;
}

static void on_nothing(struct stream *stream)
{
    (void)stream;
}

static void on_head(struct stream *stream, struct message *message)
{
    (void)message;
    on_nothing(stream);
}

static void on_end(struct stream *stream, enum close_reason reason)
{
    struct asker *asker = stream->owner;
    asker->stream = NULL;
    asker->reason = reason;
}

static const struct stream_events events = {
    .on_head = on_head, .on_body = on_nothing, .on_room = on_nothing, .on_end = on_end};

static void begin(const struct upstream_stand_options *options)
{
    upstream_stand_open(&stand, options);
    memset(askers, 0, sizeof(askers));
}

static enum upstream_open ask(unsigned which, const struct upstream_client *client)
{
    struct asker *asker = &askers[which];
    struct upstream_ask question = {.pool = stand.pool, .client = client};
    bool reused = false;
    *asker = (struct asker){.waiter.fn = on_waited};
    return upstream_stream_open(&stand.upstream, &question, &asker->waiter, &asker->stream, &reused,
                                &asker->reason);
}

static void send_request(unsigned which)
{
    struct message request = {.method = METHOD_GET,
                              .method_text = SLICE("GET"),
                              .path = SLICE("/"),
                              .authority = SLICE("h")};
    struct stream_head head = {.message = &request, .framing = FRAMING_NONE};
    struct asker *asker = &askers[which];
    asker->stream->events = &events;
    asker->stream->owner = asker;
    ck_assert(asker->stream->ops->send_head(asker->stream, &head, SLICE_NONE, true));
    loop_stand_settle(&stand.base);
}

/* Is through with its stream. */
static void release(unsigned which)
{
    struct stream *stream = askers[which].stream;
    askers[which].stream = NULL;
    stream->ops->release(stream);
    loop_stand_settle(&stand.base);
}

static void say(int server, const char *text)
{
    struct h2_frames frames;
    h2_frames_init(&frames);
    h2_frames_say(&frames, text);
    ck_assert_uint_eq(peer_write(server, frames.bytes, frames.len), frames.len);
    h2_frames_fini(&frames);
    loop_stand_settle(&stand.base);
}

/* How many frames of a type came since the last time. */
static unsigned heard(int server, enum h2_type type)
{
    static char bytes[65536];
    loop_stand_settle(&stand.base);
    size_t len = peer_read(server, bytes, sizeof(bytes));
    struct slice preface = H2_PREFACE;
    size_t at =
        len >= preface.len && memcmp(bytes, preface.ptr, preface.len) == 0 ? preface.len : 0;
    unsigned count = 0;
    while (at + H2_FRAME_HEAD <= len) {
        struct h2_frame frame = h2_frame_read(bytes + at);
        count += frame.type == type ? 1 : 0;
        at += H2_FRAME_HEAD + frame.length;
    }
    return count;
}

static unsigned with_streams(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < ASKERS; i++) {
        count += askers[i].stream != NULL ? 1 : 0;
    }
    return count;
}

static const struct upstream_stand_options http2 = {
    .servers = 1, .http = POOL_HTTP2, .idle_ms = 500, .response_ms = 1000, .connect_ms = 1000};

/* Several ask at once; the server's end of the connection that is opened for them. */
static int asked_by(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(ask(i, NULL), UPSTREAM_PENDING);
    }
    return upstream_stand_accept(&stand, 0);
}

static void end_all(int server)
{
    for (unsigned i = 0; i < ASKERS; i++) {
        if (askers[i].stream != NULL) {
            askers[i].stream->ops->reset(askers[i].stream, CLOSE_INTERNAL);
        }
    }
    upstream_stand_close(&stand);
    (void)close(server);
}

START_TEST(the_line_waits_for_settings)
{
    begin(&http2);
    int server = asked_by(5);
    ck_assert_uint_eq(with_streams(), 1); /* the first has its stream at once */
    ck_assert_ptr_nonnull(askers[0].stream);
    say(server, "S 3=100");
    ck_assert_uint_eq(with_streams(), 5);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_uint_eq(askers[i].called, 1);
        send_request(i);
    }
    ck_assert_uint_eq(heard(server, H2_HEADERS), 5);
    ck_assert_int_eq(ask(5, NULL), UPSTREAM_READY);
    ck_assert_uint_eq(upstream_stand_counters(&stand)->connects, 1);
    ck_assert_uint_eq(upstream_stand_counters(&stand)->reuses, 1);
    end_all(server);
}
END_TEST

START_TEST(who_finds_no_room_opens_another)
{
    begin(&http2);
    int first = asked_by(5);
    say(first, "S 3=2");
    int second = upstream_stand_accept(&stand, 0);
    ck_assert_uint_eq(with_streams(), 3); /* two there, and the first of the others here */
    say(second, "S 3=100");
    ck_assert_uint_eq(with_streams(), 5);
    ck_assert_uint_eq(upstream_stand_counters(&stand)->connects, 2);
    send_request(0);
    say(first, "a1 200"); /* there is room again */
    release(0);
    ck_assert_int_eq(ask(5, NULL), UPSTREAM_READY);
    (void)close(first);
    end_all(second);
}
END_TEST

START_TEST(asking_can_be_taken_back)
{
    begin(&http2);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(ask(i, NULL), UPSTREAM_PENDING);
    }
    upstream_stream_cancel(&stand.upstream, &askers[1].waiter);
    upstream_stream_cancel(&stand.upstream, &askers[1].waiter);
    int server = upstream_stand_accept(&stand, 0);
    upstream_stream_cancel(&stand.upstream, &askers[2].waiter);
    say(server, "S");
    ck_assert_uint_eq(with_streams(), 1);
    ck_assert_uint_eq(askers[1].called + askers[2].called, 0);
    end_all(server);

    begin(&http2);
    ck_assert_int_eq(ask(0, NULL), UPSTREAM_PENDING);
    ck_assert_int_eq(ask(1, NULL), UPSTREAM_PENDING);
    upstream_stream_cancel(&stand.upstream, &askers[0].waiter);
    upstream_stream_cancel(&stand.upstream, &askers[1].waiter); /* nobody waits: it is dropped */
    ck_assert_uint_eq(upstream_stand_counters(&stand)->connections_closed, 1);
    upstream_stand_close(&stand);
}
END_TEST

START_TEST(all_in_line_hear_of_a_failure)
{
    begin(&http2);
    upstream_stand_refuse(&stand, 0);
    for (unsigned i = 0; i < 3; i++) {
        if (ask(i, NULL) == UPSTREAM_FAILED) {
            askers[i].called = 1;
        }
    }
    loop_stand_until(&stand.base, askers[0].called + askers[1].called + askers[2].called == 3);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(askers[i].reason, CLOSE_CONNECT_REFUSED);
    }
    upstream_stand_close(&stand);

    begin(&http2);
    int server = asked_by(3);
    send_request(0);
    (void)close(server); /* before SETTINGS */
    loop_stand_until(&stand.base, askers[1].called + askers[2].called == 2);
    ck_assert_int_eq(askers[1].reason, CLOSE_SERVER_RESET);
    ck_assert_uint_eq(with_streams(), 0);
    upstream_stand_close(&stand);
}
END_TEST

START_TEST(without_settings_the_line_has_its_time)
{
    begin(&http2);
    int server = asked_by(2);
    send_request(0);
    upstream_stand_tick(&stand, 1100);
    ck_assert_uint_eq(askers[1].called, 1);
    ck_assert_int_eq(askers[1].reason, CLOSE_RESPONSE_TIMEOUT);
    ck_assert_uint_eq(with_streams(), 0);
    end_all(server);
}
END_TEST

START_TEST(an_idle_one_goes_in_its_time)
{
    begin(&http2);
    int server = asked_by(1);
    say(server, "S");
    send_request(0);
    say(server, "a1 200");
    release(0);
    ck_assert_uint_eq(upstream_stand_counters(&stand)->idle_added, 1);
    upstream_stand_tick(&stand, 400);
    ck_assert_int_eq(ask(1, NULL), UPSTREAM_READY); /* in use again */
    ck_assert_uint_eq(upstream_stand_counters(&stand)->idle_removed, 1);
    upstream_stand_tick(&stand, 800);
    ck_assert_ptr_nonnull(askers[1].stream);
    release(1);
    (void)heard(server, H2_GOAWAY);
    upstream_stand_tick(&stand, 600);
    ck_assert_uint_eq(heard(server, H2_GOAWAY), 1);
    end_all(server);
}
END_TEST

START_TEST(goaway_sends_the_next_one_elsewhere)
{
    begin(&http2);
    int first = asked_by(1);
    say(first, "S");
    send_request(0);
    say(first, "Y1 0");
    ck_assert_ptr_nonnull(askers[0].stream); /* it may finish */
    ck_assert_int_eq(ask(1, NULL), UPSTREAM_PENDING);
    int second = upstream_stand_accept(&stand, 0);
    ck_assert_ptr_nonnull(askers[1].stream);
    say(first, "a1 200");
    release(0);
    loop_stand_until(&stand.base, upstream_stand_counters(&stand)->connections_closed == 0 ||
                                      !upstream_stand_has_connection(&stand, 0));
    (void)close(first);
    end_all(second);
}
END_TEST

START_TEST(a_server_that_is_drained_is_left)
{
    begin(&http2);
    int server = asked_by(2);
    say(server, "S");
    send_request(0);
    (void)server_set_admin(stand.servers[0], SERVER_DRAIN, 1);
    idle_sweep(&stand.upstream);
    ck_assert_uint_eq(with_streams(), 2); /* they may finish */
    say(server, "a1 200");
    release(0);
    ck_assert_uint_eq(heard(server, H2_GOAWAY), 0);
    release(1);
    ck_assert_uint_eq(heard(server, H2_GOAWAY), 1);
    end_all(server);
}
END_TEST

START_TEST(one_that_is_old_takes_nothing_new)
{
    struct upstream_stand_options options = http2;
    options.max_age_ms = 1000;
    options.response_ms = 60000;
    options.idle_ms = 60000;
    begin(&options);
    int first = asked_by(1);
    say(first, "S");
    upstream_stand_tick(&stand, 890);
    ck_assert_int_eq(ask(1, NULL), UPSTREAM_READY);
    upstream_stand_tick(&stand, 220);
    ck_assert_int_eq(ask(2, NULL), UPSTREAM_PENDING);
    int second = upstream_stand_accept(&stand, 0);
    ck_assert_uint_eq(upstream_stand_counters(&stand)->connects, 2);
    (void)close(first);
    end_all(second);
}
END_TEST

START_TEST(one_with_a_proxy_header_is_one_clients)
{
    struct upstream_stand_options options = http2;
    const struct addr_small here = {
        .ip = {[10] = 0xFF, 0xFF, 127, 0, 0, 1}, .port = 7, .family = AF_INET};
    const struct upstream_client clients[] = {{.id = 71, .source = &here, .destination = &here},
                                              {.id = 72, .source = &here, .destination = &here}};
    options.send_proxy = PROXY_HEADER_V1;
    begin(&options);
    ck_assert_int_eq(ask(0, &clients[0]), UPSTREAM_PENDING);
    int first = upstream_stand_accept(&stand, 0);
    char text[64] = "";
    ck_assert_int_eq(read(first, text, 36), 36);
    ck_assert_str_eq(text, "PROXY TCP4 127.0.0.1 127.0.0.1 7 7\r\n");
    say(first, "S");
    ck_assert_int_eq(ask(1, &clients[0]), UPSTREAM_READY);
    ck_assert_int_eq(ask(2, &clients[1]), UPSTREAM_PENDING);
    int second = upstream_stand_accept(&stand, 0);
    release(0);
    release(1);
    (void)heard(first, H2_GOAWAY);
    upstream_stream_forget_client(&stand.upstream, 71);
    ck_assert_uint_eq(heard(first, H2_GOAWAY), 1);
    ck_assert_ptr_nonnull(askers[2].stream);
    (void)close(first);
    end_all(second);
}
END_TEST

UNIT_TESTS("shared", the_line_waits_for_settings, who_finds_no_room_opens_another,
           asking_can_be_taken_back, all_in_line_hear_of_a_failure,
           without_settings_the_line_has_its_time, an_idle_one_goes_in_its_time,
           goaway_sends_the_next_one_elsewhere, a_server_that_is_drained_is_left,
           one_that_is_old_takes_nothing_new, one_with_a_proxy_header_is_one_clients)
