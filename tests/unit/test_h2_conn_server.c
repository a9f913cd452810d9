/* The server's side of h2_conn: requests that go out, answers taken apart, servers that leave. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/base/now.h"
#include "lbd/http/h1_conn.h"
#include "lbd/http/h2_conn.h"
#include "tests/unit/h2_frames.h"
#include "tests/unit/loop_stand.h"
#include "tests/unit/unit.h"

enum { TEXT = 65536, RESPONSE_MS = 1000, IDLE_MS = 500, STREAMS = 64 };

static struct loop_stand loop;
static struct http_worker http;
static struct conn conn;
static struct h2_conn *h2;
static int peer;
static uint64_t clock_us;
static struct hpack_stand decoder;
static struct h2_frames frames;

/* What a request of ours knows. */
static struct user {
    struct stream *stream; /* NULL: over */
    bool keeps;            /* is not released at the last byte */
    bool pauses;           /* after each piece */
    size_t body_len;
} users[STREAMS];
static unsigned opened;

static struct {
    bool closed;
    unsigned idles;
    unsigned rooms;
    char log[TEXT];
    size_t log_len;
} app;

static void note(const char *format, ...) LB_PRINTF(1, 2);
static void note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(app.log + app.log_len, TEXT - app.log_len, format, args);
    va_end(args);
    app.log_len += (size_t)n;
    ck_assert_uint_lt(app.log_len, TEXT);
}

static struct user *user_of(const struct stream *stream)
{
    for (unsigned i = 0; i < opened; i++) {
        if (users[i].stream == stream) {
            return &users[i];
        }
    }
    ck_abort_msg("a stream that is over");
}

static void take_body(struct user *user)
{
    struct stream_piece piece;
    struct stream *stream = user->stream;
    enum stream_pull pulled = stream->ops->pull(stream, &piece);
    ck_assert_int_ne(pulled, STREAM_BAD);
    user->body_len += piece.bytes.len;
    if (piece.bytes.len > 0 && piece.bytes.len <= 64) {
        note("[%u body %.*s]", (unsigned)(user - users), SLICE_ARG(piece.bytes));
    }
    if (piece.trailers.len > 0) {
        note("[%u trailers %.*s]", (unsigned)(user - users), SLICE_ARG(piece.trailers));
    }
    stream->paused = user->pauses;
    if (pulled == STREAM_LAST) {
        note("[%u last]", (unsigned)(user - users));
        if (!user->keeps) {
            user->stream = NULL;
            stream->ops->release(stream);
        }
    }
}

static void on_head(struct stream *stream, struct message *message)
{
    struct user *user = user_of(stream);
    note("[%u %u]", (unsigned)(user - users), message->status);
    if (message->status >= 200) {
        take_body(user);
    }
}

static void on_body(struct stream *stream)
{
    take_body(user_of(stream));
}

static void on_room(struct stream *stream)
{
    (void)user_of(stream);
    app.rooms++;
}

static void on_end(struct stream *stream, enum close_reason reason)
{
    struct user *user = user_of(stream);
    user->stream = NULL;
    note("[%u end %s]", (unsigned)(user - users), close_reason_word(reason).ptr);
}

static const struct stream_events events = {
    .on_head = on_head, .on_body = on_body, .on_room = on_room, .on_end = on_end};

static void on_idle(struct conn *idle)
{
    ck_assert_ptr_eq(idle, &conn);
    app.idles++;
    conn_deadline(idle, 60000);
}

static void on_close(struct conn *closing, enum close_reason reason, bool linger)
{
    ck_assert_ptr_null(closing->user);
    (void)linger;
    note("[close %s]", close_reason_word(reason).ptr);
    app.closed = true;
    h2 = NULL;
    conn_close(closing);
}

static const struct http_owner owner = {.on_idle = on_idle, .on_close = on_close};

static const char *heard(void)
{
    static char text[TEXT];
    static char bytes[H2_FRAMES_MAX];
    static size_t len;
    loop_stand_settle(&loop);
    len += peer_read(peer, bytes + len, sizeof(bytes) - len);
    size_t read = h2_frames_text(&decoder, slice_of(bytes, len), text, sizeof(text));
    memmove(bytes, bytes + read, len - read);
    len -= read;
    return text;
}

static void say(const char *text)
{
    frames.len = 0;
    h2_frames_say(&frames, text);
    size_t sent = 0;
    while (sent < frames.len && !app.closed) {
        sent += peer_write(peer, frames.bytes + sent, frames.len - sent);
        loop_stand_settle(&loop);
    }
}

static void begin_on(void (*open_pair)(int *ours, int *theirs))
{
    static const struct h2_limits limits = {.head_bytes = 4000, .fields = 50, .max_streams = 50};
    static const struct h2_timeouts timeouts = {
        .head_ms = RESPONSE_MS, .body_ms = IDLE_MS, .write_ms = IDLE_MS};
    int ours;
    memset(&app, 0, sizeof(app));
    memset(users, 0, sizeof(users));
    opened = 0;
    clock_us = 9000000000ULL;
    now_set_for_test(clock_us, 1700000000000000ULL + clock_us);
    loop_stand_open(&loop);
    http_worker_init(&http);
    loop_slot_set(loop.loop, LOOP_SLOT_HTTP, &http);
    hpack_stand_init(&decoder, (struct hpack_limits){.bytes = 65536, .fields = 100});
    h2_frames_init(&frames);
    open_pair(&ours, &peer);
    conn_init(&conn, loop.loop, ours, NULL);
    ck_assert(conn_watch(&conn));
    h2 = h2_conn_new(&conn, H2_SERVER_FACING, &owner, &limits, &timeouts);
    ck_assert_ptr_nonnull(h2);
}

static void begin(void)
{
    begin_on(loop_stand_unix_pair);
}

static void greet(void)
{
    ck_assert_str_eq(heard(), "!; S 6=4000,2=0; W0 983041; ");
    say("S");
    ck_assert_str_eq(heard(), "s; ");
}

static void begin_greeted(void)
{
    begin();
    greet();
}

static void end(void)
{
    if (h2 != NULL) {
        struct http_conn *on = http_conn_on(&conn);
        on->ops->abort(on, CLOSE_SHUTDOWN);
    }
    for (unsigned i = 0; i < opened; i++) {
        ck_assert_ptr_null(users[i].stream);
    }
    conn_close(&conn);
    (void)close(peer);
    ck_assert_uint_eq(http.h2_conns.objects, 0);
    ck_assert_uint_eq(http.h2_streams.objects, 0);
    hpack_stand_fini(&decoder);
    h2_frames_fini(&frames);
    http_worker_fini(&http);
    loop_stand_close(&loop);
    now_set_for_test(0, 0);
}

static void tick(uint64_t more_ms)
{
    clock_us += more_ms * 1000;
    now_set_for_test(clock_us, 1700000000000000ULL + clock_us);
    loop_run_once(loop.loop, 0);
    loop_stand_settle(&loop);
}

static struct user *open_stream(void)
{
    struct user *user = &users[opened++];
    user->stream = h2_conn_open(h2);
    ck_assert_ptr_nonnull(user->stream);
    user->stream->events = &events;
    return user;
}

static bool send_request(struct user *user, enum method method, uint64_t length, struct slice body,
                         bool is_last)
{
    struct message message = {
        .method = (uint8_t)method,
        .method_text = method_word(method),
        .path = SLICE("/p"),
        .query = SLICE("?q"),
        .authority = SLICE("host"),
    };
    message_add(&message, SLICE("X-One"), SLICE("1"));
    struct stream_head head = {
        .message = &message,
        .framing = length == UINT64_MAX ? FRAMING_CHUNKED
                   : length > 0         ? FRAMING_LENGTH
                                        : FRAMING_NONE,
        .content_length = length == UINT64_MAX ? 0 : length,
        .has_length = length != UINT64_MAX && length > 0,
        .te_trailers = length == UINT64_MAX,
    };
    return user->stream->ops->send_head(user->stream, &head, body, is_last);
}

static struct user *get(void)
{
    struct user *user = open_stream();
    ck_assert(send_request(user, METHOD_GET, 0, SLICE_NONE, true));
    return user;
}

#define GET_HEAD  ":method=GET :scheme=http :authority=host :path=/p?q |x-one: 1|"
#define POST_HEAD ":method=POST :scheme=http :authority=host :path=/p?q |x-one: 1|"

START_TEST(requests_share_the_connection_and_one_write)
{
    begin();
    (void)get();
    (void)get();
    ck_assert_uint_eq(h2_conn_streams(h2), 2);
    ck_assert_str_eq(heard(), "!; S 6=4000,2=0; W0 983041; H1 " GET_HEAD " E; H3 " GET_HEAD " E; ");
    say("S; s; A3 200|content-length: 3; d3 two; a1 204");
    ck_assert_str_eq(app.log, "[1 200][1 body two][1 last][0 204][0 last]");
    ck_assert_uint_eq(app.idles, 1);
    ck_assert_uint_eq(h2_conn_streams(h2), 0);
    (void)get();
    ck_assert_str_eq(heard(), "s; H5 " GET_HEAD " E; ");
    say("A5 200; D5 1; T5 x-t: 1");
    ck_assert_str_eq(strstr(app.log, "[2 "), "[2 200][2 body 1][2 trailers x-t: 1\r\n][2 last]");
    ck_assert_uint_eq(app.idles, 2);
    end();
}
END_TEST

START_TEST(bodies_and_trailers_go_out)
{
    begin_greeted();
    struct user *user = open_stream();
    ck_assert(send_request(user, METHOD_POST, 5, SLICE("hello"), true));
    user = open_stream();
    ck_assert(send_request(user, METHOD_POST, UINT64_MAX, SLICE("he"), false));
    ck_assert(user->stream->ops->send_body(user->stream, SLICE("llo"), false));
    ck_assert(user->stream->ops->send_trailers(user->stream, SLICE("X-T: 1\r\nx-u: 2\r\n")));
    ck_assert_str_eq(heard(), "H1 :method=POST :scheme=http :authority=host :path=/p?q |x-one: 1|"
                              "content-length: 5|; D1 hello E; H3 :method=POST :scheme=http "
                              ":authority=host :path=/p?q |x-one: 1|te: trailers|; D3 he; D3 llo; "
                              "H3 |x-t: 1|x-u: 2| E; ");
    say("a1 200; a3 200");
    ck_assert_str_eq(app.log, "[0 200][0 last][1 200][1 last]");
    end();
}
END_TEST

START_TEST(interim_answers_pass_and_are_counted)
{
    begin_greeted();
    (void)get();
    say("A1 103|link: x; A1 100; a1 200");
    ck_assert_str_eq(app.log, "[0 103][0 100][0 200][0 last]");
    (void)get();
    say("A3 103; A3 103; A3 103; A3 103; A3 103; A3 103");
    ck_assert_str_eq(strstr(app.log, "[1 "),
                     "[1 103][1 103][1 103][1 103][1 103][1 end too_many_interim]");
    end();
}
END_TEST

/* What a server may say wrong, and what of it is the stream's alone. */
static const struct {
    const char *said;
    const char *log;
} wrongs[] = {
    {"A1 200|content-length: 5; d1 four", "[0 200][0 end bad_response_framing]"},
    {"a1 200|content-length: 5", "[0 end bad_response_framing]"},
    {"A1 200|content-length: 5; D1 four; T1 a: b",
     "[0 200][0 body four][0 end bad_response_framing]"},
    {"A1 101", "[0 end bad_response]"},
    {"A1 99", "[0 end bad_response]"},
    {"A1 2000", "[0 end bad_response]"},
    {"a1 103", "[0 end bad_response]"},
    {"A1 200|Upper: x", "[0 end bad_response]"},
    {"A1 200|transfer-encoding: chunked", "[0 end bad_response]"},
    {"A1 200|content-length: 1|content-length: 1", "[0 end bad_response_framing]"},
    {"D1 early", "[0 end server_protocol_error]"},
    {"A1 200; H1 x: y", "[0 200][0 end bad_response]"},
    {"A1 200; T1 :status: 200", "[0 200][0 end bad_response]"},
    {"R1 7", "[0 end server_refused]"},
    {"R1 8", "[0 end server_stream_reset]"},
    {"A1 200; R1 7", "[0 200][0 end server_stream_reset]"},
    {"A1 200; D1 x; R1 2", "[0 200][0 body x][0 end server_stream_reset]"},
    {"Y0 0", "[0 end server_refused][close server_closed]"},
    {"X5,4,1 00000002", "[0 end server_protocol_error][close server_protocol_error]"},
    {"A3 200", "[0 end server_protocol_error][close server_protocol_error]"},
    {"A2 200", "[0 end server_protocol_error][close server_protocol_error]"},
    {"S 2=1", "[0 end server_protocol_error][close server_protocol_error]"},
    {"X16,0,0 0000000175", "[0 end server_protocol_error][close server_protocol_error]"},
};

START_TEST(a_wrong_answer_ends_its_stream_with_a_word)
{
    for (size_t i = 0; i < ARRAY_LEN(wrongs); i++) {
        begin_greeted();
        (void)get();
        (void)heard();
        say(wrongs[i].said);
        ck_assert_msg(strcmp(app.log, wrongs[i].log) == 0, "case %zu: %s", i, app.log);
        if (!app.closed) { /* the connection serves on */
            (void)get();
            say("a3 200");
            ck_assert_msg(strstr(app.log, "[1 200][1 last]") != NULL, "case %zu: %s", i, app.log);
        }
        end();
    }
}
END_TEST

START_TEST(a_server_that_leaves_finishes_what_it_took)
{
    begin_greeted();
    (void)get();
    (void)get();
    (void)get();
    ck_assert_uint_gt(h2_conn_room(h2), 0);
    say("Y2147483647 0");
    ck_assert_uint_eq(h2_conn_room(h2), 0);
    ck_assert_str_eq(app.log, "");
    say("Y3 0");
    ck_assert_str_eq(app.log, "[2 end server_refused]");
    say("a1 200; A3 200; d3 x");
    ck_assert_str_eq(app.log, "[2 end server_refused][0 200][0 last][1 200][1 body x][1 last]"
                              "[close server_closed]");
    end();
}
END_TEST

START_TEST(a_connection_that_is_lost_tells_each_stream_how_far_it_was)
{
    begin_greeted();
    (void)get();
    (void)get();
    say("A3 200; D3 some");
    (void)shutdown(peer, SHUT_WR);
    loop_stand_settle(&loop);
    ck_assert_str_eq(app.log, "[1 200][1 body some][0 end server_reset][1 end server_truncated]"
                              "[close server_reset]");
    end();
}
END_TEST

/* A reset that comes together with bytes is told as bytes and nothing else. */
START_TEST(a_reset_right_behind_bytes_is_seen)
{
    static const struct {
        const char *said;
        const char *log;
    } cases[] = {
        {"A3 200; d3 whole",
         "[1 200][1 body whole][1 last][0 end server_reset][close server_reset]"},
        {"A1 200; A3 200; D3 some", "[0 200][1 200][1 body some][0 end server_truncated]"
                                    "[1 end server_truncated][close server_reset]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin_on(loop_stand_tcp_pair);
        greet();
        (void)get();
        (void)get();
        (void)heard();
        frames.len = 0;
        h2_frames_say(&frames, cases[i].said);
        ck_assert_uint_eq(peer_write(peer, frames.bytes, frames.len), frames.len);
        peer_reset(peer);
        peer = -1;
        loop_stand_settle(&loop);
        ck_assert_msg(strcmp(app.log, cases[i].log) == 0, "case %zu: %s", i, app.log);
        end();
    }
}
END_TEST

START_TEST(room_is_what_server_and_we_allow)
{
    begin_greeted();
    ck_assert_uint_eq(h2_conn_room(h2), 50);
    say("S 3=2");
    ck_assert_uint_eq(h2_conn_room(h2), 2);
    (void)get();
    (void)get();
    ck_assert_uint_eq(h2_conn_room(h2), 0);
    say("a1 200");
    ck_assert_uint_eq(h2_conn_room(h2), 1);
    say("S 3=0");
    ck_assert_uint_eq(h2_conn_room(h2), 0);
    say("a3 200");
    end();
}
END_TEST

START_TEST(a_stream_that_is_given_up_is_reset)
{
    begin_greeted();
    struct user *user = get();
    (void)heard();
    struct stream *stream = user->stream;
    user->stream = NULL;
    stream->ops->reset(stream, CLOSE_CLIENT_ABORT);
    ck_assert_str_eq(heard(), "R1 8; ");
    say("A1 200; D1 late; T1 a: b"); /* was under way */
    ck_assert_str_eq(app.log, "");
    /* one that never had a head is not known to the server */
    user = open_stream();
    stream = user->stream;
    user->stream = NULL;
    stream->ops->reset(stream, CLOSE_CLIENT_ABORT);
    ck_assert_str_eq(heard(), "");
    (void)get();
    ck_assert_str_eq(heard(), "H3 " GET_HEAD " E; ");
    say("a3 200");
    ck_assert_str_eq(app.log, "[2 200][2 last]");
    end();
}
END_TEST

START_TEST(a_connection_with_many_resets_takes_no_more)
{
    begin_greeted();
    (void)get(); /* stays */
    for (unsigned i = 0; i < 32; i++) {
        ck_assert_uint_gt(h2_conn_room(h2), 0);
        struct user *user = get();
        struct stream *stream = user->stream;
        user->stream = NULL;
        stream->ops->reset(stream, CLOSE_CLIENT_ABORT);
    }
    ck_assert_uint_gt(h2_conn_room(h2), 0);
    struct user *last = get();
    struct stream *stream = last->stream;
    last->stream = NULL;
    stream->ops->reset(stream, CLOSE_CLIENT_ABORT);
    ck_assert_uint_eq(h2_conn_room(h2), 0);
    loop_stand_settle(&loop);
    ck_assert(!app.closed);
    say("a1 200");
    ck_assert_str_eq(app.log, "[0 200][0 last][close server_closed]");
    end();
}
END_TEST

START_TEST(an_early_answer_stops_the_request)
{
    begin_greeted();
    struct user *user = open_stream();
    ck_assert(send_request(user, METHOD_POST, UINT64_MAX, SLICE("he"), false));
    (void)heard();
    say("a1 413");
    ck_assert_str_eq(app.log, "[0 413][0 last]");
    ck_assert_str_eq(heard(), "R1 8; "); /* released: the rest will not come */
    end();
}
END_TEST

START_TEST(windows_hold_a_request_back)
{
    static char body[100000];
    memset(body, 'b', sizeof(body));
    begin_greeted();
    struct user *user = open_stream();
    ck_assert(send_request(user, METHOD_POST, sizeof(body), slice_of(body, sizeof(body)), true));
    ck_assert(user->stream->ops->is_blocked(user->stream));
    ck_assert_str_eq(heard(), "H1 " POST_HEAD "content-length: 100000|; D1 (16384); D1 (16384); "
                              "D1 (16384); D1 (16383); ");
    say("W1 100000");
    ck_assert_str_eq(heard(), "");
    say("W0 10");
    ck_assert_str_eq(heard(), "D1 bbbbbbbbbb; ");
    say("W0 100000");
    ck_assert_str_eq(heard(), "D1 (16384); D1 (16384); D1 (1687) E; ");
    say("a1 200");
    end();
}
END_TEST

START_TEST(an_answer_has_its_time)
{
    begin_greeted();
    (void)get();
    tick(RESPONSE_MS / 2);
    say("P 12345678"); /* somebody is there */
    tick(RESPONSE_MS / 2 + 50);
    ck_assert_str_eq(app.log, "[0 end response_timeout]");
    ck_assert_str_eq(heard(), "H1 " GET_HEAD " E; p 12345678; R1 8; ");
    (void)get();
    say("A3 200; D3 x");
    tick(IDLE_MS + 50);
    ck_assert_str_eq(app.log,
                     "[0 end response_timeout][1 200][1 body x][1 end server_idle_timeout]");
    end();
}
END_TEST

START_TEST(an_answer_that_stalls_right_behind_its_head_has_its_time_too)
{
    static const char *const said[] = {"A1 200", "A1 103; A1 200", "A1 200; D1 abcdefghij"};
    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        begin_greeted();
        (void)get();
        say(said[i]);
        tick(IDLE_MS - 100);
        ck_assert_ptr_null(strstr(app.log, "end"));
        tick(200);
        ck_assert_msg(strstr(app.log, "[0 end server_idle_timeout]") != NULL, "case %zu: %s", i,
                      app.log);
        end();
    }
}
END_TEST

START_TEST(a_server_that_says_nothing_at_all_is_left)
{
    begin_greeted();
    (void)get();
    tick(RESPONSE_MS + 50);
    ck_assert_str_eq(app.log, "[0 end response_timeout][close server_closed]");
    end();
}
END_TEST

START_TEST(a_server_that_says_nothing_gets_no_more)
{
    begin_greeted();
    (void)get();
    tick(RESPONSE_MS / 2);
    (void)get();
    tick(RESPONSE_MS / 2 + 50);
    ck_assert_str_eq(app.log, "[0 end response_timeout]");
    ck_assert_uint_eq(h2_conn_room(h2), 0);
    say("a3 200"); /* what is under way is still taken */
    ck_assert_str_eq(app.log, "[0 end response_timeout][1 200][1 last][close server_closed]");
    end();
}
END_TEST

START_TEST(a_paused_answer_holds_its_window_only)
{
    static char piece[16384];
    begin_greeted();
    struct user *user = get();
    struct user *other = get();
    user->pauses = true;
    (void)heard();
    say("A1 200; D1 first");
    ck_assert(user->stream->paused);
    frames.len = 0;
    for (int i = 0; i < 3; i++) {
        h2_frames_add(&frames, 0, 0, 1, slice_of(piece, sizeof(piece)));
    }
    ck_assert_uint_eq(peer_write(peer, frames.bytes, frames.len), frames.len);
    loop_stand_settle(&loop);
    ck_assert_uint_eq(user->body_len, 5);
    ck_assert_uint_eq(loop.net.buffered_bytes, sizeof(piece) * 3);
    ck_assert_str_eq(heard(), ""); /* nothing was pulled: no credit */
    say("a3 200");
    ck_assert_ptr_null(other->stream);
    user->pauses = false;
    user->stream->ops->resume(user->stream);
    ck_assert_str_eq(heard(), "W1 49157; ");
    ck_assert_uint_eq(user->body_len, 5 + sizeof(piece) * 3);
    say("d1");
    end();
}
END_TEST

UNIT_TESTS("h2_conn_server", requests_share_the_connection_and_one_write,
           bodies_and_trailers_go_out, interim_answers_pass_and_are_counted,
           a_wrong_answer_ends_its_stream_with_a_word, a_server_that_leaves_finishes_what_it_took,
           a_connection_that_is_lost_tells_each_stream_how_far_it_was,
           a_reset_right_behind_bytes_is_seen,
           an_answer_that_stalls_right_behind_its_head_has_its_time_too,
           room_is_what_server_and_we_allow, a_stream_that_is_given_up_is_reset,
           a_connection_with_many_resets_takes_no_more, an_early_answer_stops_the_request,
           windows_hold_a_request_back, an_answer_has_its_time,
           a_server_that_says_nothing_at_all_is_left, a_server_that_says_nothing_gets_no_more,
           a_paused_answer_holds_its_window_only)
