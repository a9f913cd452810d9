/* The server's side of h1_conn: answers taken apart, and when the connection may be used again. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/base/now.h"
#include "lbd/http/h1_conn.h"
#include "tests/unit/loop_stand.h"
#include "tests/unit/unit.h"

#define TEXT_MAX    16384U
#define RESPONSE_MS 1000
#define IDLE_MS     500

static struct loop_stand stand;
static struct http_worker http;
static struct conn conn;
static struct h1_conn *h1; /* NULL: ended or released */
static int peer;
static uint64_t clock_us;

static struct {
    bool wants_framed;
    bool keeps;  /* does not release at the last byte */
    bool pauses; /* after each piece */
    bool released;
    bool reusable;
    bool closed;
    unsigned rooms;
    size_t body_len;
    char log[TEXT_MAX];
    size_t log_len;
} user;

static void note(const char *format, ...) LB_PRINTF(1, 2);
static void note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(user.log + user.log_len, TEXT_MAX - user.log_len, format, args);
    va_end(args);
    user.log_len += (size_t)n;
    ck_assert_uint_lt(user.log_len, TEXT_MAX);
}

static const struct conn_ops quiet_ops;

static void quiet(struct conn *quiet_conn)
{
    (void)quiet_conn;
}

static const struct conn_ops quiet_ops = {
    .on_readable = quiet, .on_room = quiet, .on_timeout = quiet};

/* True: the connection may be used again. */
static bool release(void)
{
    struct stream *ended = &h1->stream;
    h1 = NULL;
    ended->ops->release(ended);
    return user.reusable;
}

static void take_piece(void)
{
    struct stream_piece piece;
    enum stream_pull pulled = h1->stream.ops->pull(&h1->stream, &piece);
    user.body_len += piece.bytes.len;
    if (piece.bytes.len < 100) {
        note("%.*s", SLICE_ARG(piece.bytes));
    }
    if (piece.trailers.len > 0) {
        note("[trailers %.*s]", SLICE_ARG(piece.trailers));
    }
    switch (pulled) {
    case STREAM_MORE:
        h1->stream.paused = user.pauses;
        return;
    case STREAM_BAD:
        note("[bad %s]", close_reason_word(piece.reason).ptr);
        h1->stream.ops->reset(&h1->stream, piece.reason);
        return;
    case STREAM_LAST:
        break;
    }
    note("[last]");
    if (!user.keeps) {
        user.released = true;
        (void)release();
    }
}

static void on_head(struct stream *stream, struct message *message)
{
    ck_assert_ptr_eq(stream, &h1->stream);
    note("[%u]", message->status);
    if (message->status < 200 && message->status != 101) {
        return;
    }
    h1->stream.want_framed = user.wants_framed && message->framing == FRAMING_CHUNKED;
    take_piece();
}

static void on_body(struct stream *stream)
{
    ck_assert_ptr_eq(stream, &h1->stream);
    take_piece();
}

static void on_room(struct stream *stream)
{
    ck_assert_ptr_eq(stream, &h1->stream);
    user.rooms++;
}

static void on_end(struct stream *stream, enum close_reason reason)
{
    ck_assert_ptr_eq(stream, &h1->stream);
    note("[end %s]", close_reason_word(reason).ptr);
}

static const struct stream_events events = {
    .on_head = on_head, .on_body = on_body, .on_room = on_room, .on_end = on_end};

static void on_close(struct conn *closing, enum close_reason reason, bool linger)
{
    (void)reason;
    ck_assert_ptr_eq(closing, &conn);
    ck_assert(!linger);
    h1 = NULL;
    user.closed = true;
    conn_close(&conn);
}

static void on_idle(struct conn *idle)
{
    ck_assert_ptr_eq(idle, &conn);
    ck_assert_ptr_null(conn.user);
    user.reusable = true;
    conn.ops = &quiet_ops;
}

static const struct http_owner owner = {.on_idle = on_idle, .on_close = on_close};
static const struct h1_limits limits = {.head_bytes = 2000, .fields = 50};
static const struct h1_timeouts timeouts = {
    .head_ms = RESPONSE_MS, .body_ms = IDLE_MS, .write_ms = IDLE_MS};

static void start_h1(void)
{
    h1 = h1_conn_new(&conn, H1_SERVER_FACING, &owner, &limits, &timeouts);
    ck_assert_ptr_nonnull(h1);
    h1->has_stream = true;
    h1->stream.events = &events;
}

static void begin(bool tcp)
{
    int ours;
    memset(&user, 0, sizeof(user));
    clock_us = 9000000000ULL;
    now_set_for_test(clock_us, 1700000000000000ULL + clock_us);
    loop_stand_open(&stand);
    http_worker_init(&http);
    loop_slot_set(stand.loop, LOOP_SLOT_HTTP, &http);
    (tcp ? loop_stand_tcp_pair : loop_stand_unix_pair)(&ours, &peer);
    conn_init(&conn, stand.loop, ours, &quiet_ops);
    ck_assert(conn_watch(&conn));
    loop_stand_settle(&stand);
    start_h1();
}

static void end(void)
{
    if (h1 != NULL) {
        h1->has_stream = false;
        h1->http.ops->abort(&h1->http, CLOSE_SHUTDOWN);
    }
    conn_close(&conn);
    if (peer >= 0) {
        (void)close(peer);
    }
    http_worker_fini(&http);
    loop_stand_close(&stand);
    now_set_for_test(0, 0);
}

static void tick(uint64_t more_ms)
{
    clock_us += more_ms * 1000;
    now_set_for_test(clock_us, 1700000000000000ULL + clock_us);
    loop_run_once(stand.loop, 0);
    loop_stand_settle(&stand);
}

static void ask(const char *method, enum framing framing, uint64_t length, const char *body,
                bool is_last)
{
    struct message request = {
        .method = (uint8_t)method_of(slice_from(method)),
        .method_text = slice_from(method),
        .version_minor = 1,
        .path = SLICE("/p"),
        .query = SLICE("?q"),
        .authority = SLICE("h"),
    };
    struct stream_head head = {.message = &request, .framing = framing, .content_length = length};
    ck_assert(h1->stream.ops->send_head(&h1->stream, &head, slice_from(body), is_last));
}

static void say(const char *text, size_t len)
{
    (void)peer_write(peer, text, len);
    loop_stand_settle(&stand);
}

/* -- answers, cut anywhere -- */

enum { REUSABLE = 1, SHUT = 2, FRAMED = 4, EXTRA = 8 };

static const struct {
    const char *method;
    const char *answer;
    const char *log;
    unsigned flags; /* SHUT: the server closes behind it; EXTRA: more than the answer */
} answers[] = {
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "[200]hello[last]", REUSABLE},
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "[200][last]", REUSABLE},
    {"GET", "HTTP/1.1 204 No Content\r\n\r\n", "[204][last]", REUSABLE},
    {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "[304][last]", REUSABLE},
    {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "[200][last]", REUSABLE},
    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
     "[200]hello[last]", REUSABLE},
    {"GET",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\n",
     "[200]hello[trailers A: b\r\n][last]", REUSABLE},
    {"GET",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
     "[100][103][200]hi[last]", REUSABLE},
    /* the connection ends with it */
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", "[200]hi[last]",
     0},
    {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "[200]hi[last]", 0},
    {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi",
     "[200]hi[last]", REUSABLE},
    {"GET", "HTTP/1.1 200 OK\r\n\r\nuntil the end", "[200]until the end[last]", SHUT},
    {"GET", "HTTP/1.0 200 OK\r\n\r\n", "[200][last]", SHUT},
    /* bytes nobody asked for (R6) */
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhix", "[200]hi[last]", EXTRA},
    {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "[200][last]", EXTRA},
    {"GET", "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
     "[204][last]", EXTRA},
    /* lost and malformed ones */
    {"GET", "", "[end server_reset]", SHUT},
    {"GET", "HTTP/1.1 200 OK\r\nConte", "[end server_truncated]", SHUT},
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "[200]hello[end server_truncated]",
     SHUT},
    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
     "[200]hello[end server_truncated]", SHUT},
    {"GET", "HTTP/1.1 100 Continue\r\n\r\n", "[100][end server_truncated]", SHUT},
    {"GET", "HTP/1.1 200 OK\r\n\r\n", "[end bad_response]", 0},
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
     "[end bad_response_framing]", 0},
    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
     "[200][bad bad_response_framing]", 0},
    {"GET",
     "HTTP/1.1 103 A\r\n\r\nHTTP/1.1 103 A\r\n\r\nHTTP/1.1 103 A\r\n\r\nHTTP/1.1 103 A\r\n\r\n"
     "HTTP/1.1 103 A\r\n\r\nHTTP/1.1 103 A\r\n\r\n",
     "[103][103][103][103][103][end too_many_interim]", 0},
    /* chunks passed on as they lie */
    {"GET",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n02;x\r\n!!\r\n0\r\n\r\n",
     "[200]5\r\nhello\r\n2\r\n!!\r\n[last]", REUSABLE | FRAMED},
};

static void hear_answer(size_t which, size_t cut)
{
    const char *text = answers[which].answer;
    size_t len = strlen(text);
    unsigned flags = answers[which].flags;
    begin(false);
    user.wants_framed = (flags & FRAMED) != 0;
    ask(answers[which].method, FRAMING_NONE, 0, "", true);
    say(text, cut);
    if (cut < len) {
        say(text + cut, len - cut);
    }
    if ((flags & SHUT) != 0) {
        ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
        loop_stand_settle(&stand);
    }
    ck_assert_msg(strcmp(user.log, answers[which].log) == 0, "answer %zu cut at %zu: %s", which,
                  cut, user.log);
    ck_assert_ptr_null(h1);
    /* What is too much is seen at once when it came along, else by whoever keeps it idle. */
    bool may_differ = (flags & EXTRA) != 0 && cut < len;
    ck_assert_msg(may_differ || user.reusable == ((flags & REUSABLE) != 0),
                  "answer %zu cut at %zu: reusable %d", which, cut, user.reusable);
    ck_assert(user.released || user.closed);
    end();
}

START_TEST(the_same_answer_wherever_the_bytes_are_cut)
{
    for (size_t which = 0; which < ARRAY_LEN(answers); which++) {
        for (size_t cut = 0; cut <= strlen(answers[which].answer); cut++) {
            hear_answer(which, cut);
        }
    }
}
END_TEST

START_TEST(a_request_goes_out_with_its_body)
{
    static const struct {
        enum framing framing;
        uint64_t length;
        const char *first;
        const char *rest;
        const char *heard;
    } cases[] = {
        {FRAMING_NONE, 0, "", NULL, "GET /p?q HTTP/1.1\r\nHost: h\r\n\r\n"},
        {FRAMING_LENGTH, 5, "he", "llo",
         "GET /p?q HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"},
        {FRAMING_CHUNKED, 0, "he", "llo",
         "GET /p?q HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
         "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[512];
        begin(true);
        ask("GET", cases[i].framing, cases[i].length, cases[i].first, cases[i].rest == NULL);
        if (cases[i].rest != NULL) {
            ck_assert(h1->stream.ops->send_body(&h1->stream, slice_from(cases[i].rest), true));
        }
        loop_stand_settle(&stand);
        text[peer_read(peer, text, sizeof(text) - 1)] = '\0';
        ck_assert_str_eq(text, cases[i].heard);
        end();
    }
}
END_TEST

/* -- may it be used again? (R6) -- */

START_TEST(an_answer_before_the_request_was_sent_ends_the_connection)
{
    begin(true);
    ask("POST", FRAMING_LENGTH, 100, "part", false);
    static const char answer[] = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";
    say(answer, sizeof(answer) - 1);
    ck_assert_str_eq(user.log, "[413]no[last]");
    ck_assert(user.released);
    ck_assert(!user.reusable);
    end();
}
END_TEST

START_TEST(an_exact_read_is_looked_after)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    for (int extra = 0; extra < 2; extra++) {
        begin(true);
        user.keeps = true;
        ask("GET", FRAMING_NONE, 0, "", true);
        say(answer, sizeof(answer) - 1);
        conn.flags |= CONN_READ_READY; /* as after a splice of exactly the length */
        if (extra != 0) {
            ck_assert_uint_eq(peer_write(peer, "x", 1), 1);
        }
        ck_assert(release() == (extra == 0));
        end();
    }
}
END_TEST

START_TEST(a_turn_that_was_asked_for_dies_with_it)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    begin(true);
    user.keeps = true;
    ask("GET", FRAMING_NONE, 0, "", true);
    say(answer, sizeof(answer) - 1);
    h1->stream.ops->resume(&h1->stream);
    ck_assert(release());
    ck_assert(!list_is_linked(&conn.queue.ready.link));
    end();
}
END_TEST

START_TEST(one_request_after_the_other)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    begin(true);
    for (int i = 0; i < 10; i++) {
        user.log_len = 0;
        user.released = false;
        ask("GET", FRAMING_NONE, 0, "", true);
        say(answer, sizeof(answer) - 1);
        ck_assert_str_eq(user.log, "[200]hi[last]");
        ck_assert(user.released && user.reusable);
        start_h1();
    }
    end();
}
END_TEST

/* -- brakes -- */

START_TEST(an_answer_nobody_takes_stops_the_reading)
{
    enum { BIG = 4 * 1024 * 1024 };
    static char block[65536];
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\n\r\n";
    begin(true);
    user.pauses = true;
    ask("GET", FRAMING_NONE, 0, "", true);
    say(head, sizeof(head) - 1);
    size_t sent = 0;
    for (int i = 0; i < 200; i++) {
        sent += peer_write(peer, block, sizeof(block));
        loop_run_once(stand.loop, 0);
    }
    ck_assert_uint_lt(sent, BIG);
    ck_assert_uint_le(user.body_len, FLOW_SCRATCH_BYTES);
    ck_assert_uint_le(stand.net.buffered_bytes, 2U * FLOW_SCRATCH_BYTES);
    /* a slow client is not the server's fault: no deadline runs */
    tick(100 * RESPONSE_MS);
    ck_assert_str_eq(user.log, "[200]");
    while (!user.released) {
        if (h1->stream.paused) {
            h1->stream.ops->resume(&h1->stream);
        }
        size_t part = BIG - sent < sizeof(block) ? BIG - sent : sizeof(block);
        sent += part > 0 ? peer_write(peer, block, part) : 0;
        loop_stand_turn(&stand);
    }
    ck_assert_uint_eq(user.body_len, BIG);
    ck_assert(user.reusable);
    end();
}
END_TEST

START_TEST(an_upload_the_server_does_not_read_blocks_and_ends)
{
    enum { BIG = 4 * 1024 * 1024 };
    char *bytes = calloc(1, BIG);
    begin(true);
    loop_stand_small_buffers(conn.fd);
    ask("POST", FRAMING_LENGTH, BIG, "", false);
    ck_assert(h1->stream.ops->send_body(&h1->stream, slice_of(bytes, BIG / 2), false));
    ck_assert(h1->stream.ops->is_blocked(&h1->stream));
    loop_stand_until(&stand, (peer_read(peer, bytes, BIG), user.rooms == 1));
    ck_assert(!h1->stream.ops->is_blocked(&h1->stream));
    ck_assert(h1->stream.ops->send_body(&h1->stream, slice_of(bytes, BIG / 2), true));
    for (int i = 0; i < 10 && user.log_len == 0; i++) { /* the kernel may still take some */
        tick(IDLE_MS + 20);
    }
    ck_assert_str_eq(user.log, "[end response_timeout]");
    end();
    free(bytes);
}
END_TEST

/* -- time -- */

START_TEST(the_answer_is_due_from_the_end_of_the_request)
{
    begin(true);
    ask("POST", FRAMING_LENGTH, 4, "ab", false);
    tick(10 * RESPONSE_MS); /* the client is slow */
    ck_assert_str_eq(user.log, "");
    ck_assert(h1->stream.ops->send_body(&h1->stream, SLICE("cd"), true));
    tick(RESPONSE_MS - 100);
    say("HTTP/1.1 103 Early Hints\r\n\r\n", 28); /* is not an answer */
    tick(50);
    ck_assert_str_eq(user.log, "[103]");
    tick(100);
    ck_assert_str_eq(user.log, "[103][end response_timeout]");
    end();
}
END_TEST

START_TEST(an_answer_that_stalls_is_ended)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n";
    begin(true);
    ask("GET", FRAMING_NONE, 0, "", true);
    say(head, sizeof(head) - 1);
    for (int i = 0; i < 5; i++) {
        tick(IDLE_MS - 100);
        say("x", 1);
    }
    ck_assert_str_eq(user.log, "[200]xxxxx");
    tick(IDLE_MS + 20);
    ck_assert_str_eq(user.log, "[200]xxxxx[end server_idle_timeout]");
    end();
}
END_TEST

/* -- lending and giving -- */

START_TEST(what_is_opaque_and_what_a_relay_took)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
    static char body[100000];
    begin(true);
    ask("GET", FRAMING_NONE, 0, "", true);
    ck_assert_uint_eq(h1->stream.ops->opaque_left(&h1->stream), 0);
    say(head, sizeof(head) - 1);
    ck_assert_uint_eq(h1->stream.ops->opaque_left(&h1->stream), 100000);
    say(body, 10);
    ck_assert_uint_eq(h1->stream.ops->opaque_left(&h1->stream), 99990);
    ck_assert_ptr_eq(h1->stream.ops->lend(&h1->stream), &conn);
    say(body, 90000);
    ck_assert_uint_eq(user.body_len, 10); /* nobody looks */
    size_t moved = 0;
    loop_stand_until(&stand, (moved += peer_read(conn.fd, body, 90000 - moved), moved == 90000));
    h1->stream.ops->take_back(&h1->stream, 90000, 0);
    ck_assert_uint_eq(h1->stream.ops->opaque_left(&h1->stream), 9990);
    say(body, 9990);
    loop_stand_until(&stand, user.released);
    ck_assert_uint_eq(user.body_len, 10000);
    end();
}
END_TEST

START_TEST(only_a_plain_length_is_opaque)
{
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        begin(true);
        ask("GET", FRAMING_NONE, 0, "", true);
        say(heads[i], strlen(heads[i]));
        ck_assert_uint_eq(h1->stream.ops->opaque_left(&h1->stream), 0);
        end();
    }
}
END_TEST

START_TEST(a_switched_connection_that_is_kept_carries_bytes_both_ways)
{
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                                 "Upgrade: websocket\r\n\r\nfirst";
    char got[64];
    begin(true);
    user.keeps = true;
    ask("GET", FRAMING_NONE, 0, "", true);
    say(answer, sizeof(answer) - 1);
    (void)peer_read(peer, got, sizeof(got)); /* the request */
    h1->stream.idle_ms = UINT32_MAX;
    say("second", 6);
    ck_assert(h1->stream.ops->send_body(&h1->stream, SLICE("to you"), false));
    ck_assert_uint_eq(peer_read(peer, got, sizeof(got)), 6);
    ck_assert_int_eq(memcmp(got, "to you", 6), 0);
    tick(100 * IDLE_MS); /* nobody minds */
    ck_assert(h1->stream.ops->send_body(&h1->stream, SLICE("bye"), true));
    ck_assert_uint_eq(peer_read(peer, got, sizeof(got)), 3);
    ck_assert(peer_sees_end(peer)); /* half-closed */
    say("third", 5);
    ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
    loop_stand_settle(&stand);
    ck_assert_str_eq(user.log, "[101]firstsecondthird[last]");
    ck_assert(!release()); /* never used again */
    end();
}
END_TEST

START_TEST(a_switched_connection_is_given_with_what_followed)
{
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                                 "Upgrade: websocket\r\n\r\nfirst";
    begin(true);
    user.keeps = true;
    ask("GET", FRAMING_NONE, 0, "", true);
    say(answer, sizeof(answer) - 1);
    ck_assert_str_eq(user.log, "[101]first"); /* the tunnel's bytes are pulled like a body */
    ck_assert_ptr_eq(h1->stream.ops->give(&h1->stream), &conn);
    h1 = NULL;
    ck_assert_ptr_null(conn.user);
    conn.ops = &quiet_ops;
    end();
}
END_TEST

UNIT_TESTS("h1_conn_server", the_same_answer_wherever_the_bytes_are_cut,
           a_request_goes_out_with_its_body,
           an_answer_before_the_request_was_sent_ends_the_connection, an_exact_read_is_looked_after,
           a_turn_that_was_asked_for_dies_with_it, one_request_after_the_other,
           an_answer_nobody_takes_stops_the_reading,
           an_upload_the_server_does_not_read_blocks_and_ends,
           the_answer_is_due_from_the_end_of_the_request, an_answer_that_stalls_is_ended,
           what_is_opaque_and_what_a_relay_took, only_a_plain_length_is_opaque,
           a_switched_connection_that_is_kept_carries_bytes_both_ways,
           a_switched_connection_is_given_with_what_followed)
