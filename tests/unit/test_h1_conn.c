/* The client's side of h1_conn; the server's is test_h1_conn_server.c. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/base/now.h"
#include "lbd/http/h1_conn.h"
#include "lbd/http/status.h"
#include "tests/unit/loop_stand.h"
#include "tests/unit/unit.h"

#define TEXT_MAX 16384U
#define HEAD_MS  1000
#define BODY_MS  1000
#define WRITE_MS 1000

/* A small application on one connection: what it was told goes to `log`. */
static struct loop_stand stand;
static struct http_worker http;
static struct conn conn;
static int peer;
static uint64_t clock_us;

static struct app {
    bool answers; /* as soon as a request is complete, else the test does */
    bool pauses;  /* at the head of each request */
    bool chunked; /* how it answers */
    bool closed;  /* on_close came */
    bool linger;
    struct stream *stream; /* of the request under way */
    unsigned requests;
    unsigned rooms;
    bool is_head;
    bool has_body;
    size_t body_len;
    uint32_t body_sum;
    char what[256];
    char log[TEXT_MAX];
    size_t log_len;
} app;

static void note(const char *format, ...) LB_PRINTF(1, 2);
static void note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(app.log + app.log_len, TEXT_MAX - app.log_len, format, args);
    va_end(args);
    app.log_len += (size_t)n;
    ck_assert_uint_lt(app.log_len, TEXT_MAX);
}

static bool send_answer(uint16_t status, const char *text, bool close_after)
{
    struct message message = {.status = status, .version_minor = 1};
    struct slice body = slice_from(text);
    struct stream_head head = {
        .message = &message,
        .framing = app.is_head   ? FRAMING_NONE
                   : app.chunked ? FRAMING_CHUNKED
                                 : FRAMING_LENGTH,
        .content_length = body.len,
        .has_length = !app.chunked,
        .close = close_after,
    };
    return app.stream->ops->send_head(app.stream, &head, app.is_head ? SLICE_NONE : body, true);
}

/* "GET /path 5" : what the request was and how long its body. */
static void answer(void)
{
    char text[320];
    (void)snprintf(text, sizeof(text), "%s %zu/%u", app.what, app.body_len, app.body_sum);
    ck_assert(send_answer(200, text, false));
}

static void take_body(void)
{
    struct stream_piece piece;
    enum stream_pull pulled = app.stream->ops->pull(app.stream, &piece);
    if (pulled == STREAM_BAD) {
        note("[bad %s]", close_reason_word(piece.reason).ptr);
        uint16_t status = close_reason_status(piece.reason);
        ck_assert(send_answer(status, "bad", false));
        return;
    }
    for (size_t i = 0; i < piece.bytes.len; i++) {
        app.body_sum = app.body_sum * 31 + (uint8_t)piece.bytes.ptr[i];
    }
    app.body_len += piece.bytes.len;
    if (piece.trailers.len > 0) {
        note("[trailers %.*s]", SLICE_ARG(piece.trailers));
    }
    if (pulled == STREAM_LAST && app.answers) {
        answer();
    }
}

static void app_on_head(struct stream *stream, struct message *message)
{
    (void)stream;
    (void)message;
    ck_abort_msg("requests come by on_request");
}

static void app_on_body(struct stream *stream)
{
    ck_assert_ptr_eq(stream, app.stream);
    take_body();
}

static void app_on_room(struct stream *stream)
{
    ck_assert_ptr_eq(stream, app.stream);
    app.rooms++;
}

static void app_on_end(struct stream *stream, enum close_reason reason)
{
    ck_assert_ptr_eq(stream, app.stream);
    app.stream = NULL;
    note("[end %s]", close_reason_word(reason).ptr);
}

static const struct stream_events app_events = {
    .on_head = app_on_head,
    .on_body = app_on_body,
    .on_room = app_on_room,
    .on_end = app_on_end,
};

static void attach(struct stream *stream)
{
    ck_assert_ptr_null(app.stream);
    app.stream = stream;
    stream->events = &app_events;
    stream->owner = &app;
    app.body_len = 0;
    app.body_sum = 0;
}

static void on_request(struct conn *of, struct stream *stream, struct message *message)
{
    ck_assert_ptr_eq(of, &conn);
    attach(stream);
    app.requests++;
    app.is_head = message->method == METHOD_HEAD;
    app.has_body = message->framing == FRAMING_CHUNKED ||
                   (message->framing == FRAMING_LENGTH && message->content_length > 0);
    (void)snprintf(app.what, sizeof(app.what), "%.*s %.*s", SLICE_ARG(message->method_text),
                   SLICE_ARG(message->path));
    note("[%s]", app.what);
    if (app.pauses) {
        app.stream->paused = true;
    } else if (!app.has_body && app.answers) {
        answer();
    }
}

static void on_bad_request(struct conn *of, struct stream *stream, enum close_reason reason)
{
    ck_assert_ptr_eq(of, &conn);
    attach(stream);
    app.is_head = false;
    note("[refused %s]", close_reason_word(reason).ptr);
    ck_assert(send_answer(close_reason_status(reason), "refused", false));
}

static const struct conn_ops idle_ops;

static void on_idle(struct conn *idle)
{
    ck_assert_ptr_eq(idle, &conn);
    ck_assert_ptr_null(conn.user);
    ck_assert(!app.closed);
    conn.ops = &idle_ops;
}

static void on_close(struct conn *closing, enum close_reason reason, bool linger)
{
    ck_assert_ptr_eq(closing, &conn);
    ck_assert(!app.closed);
    ck_assert_ptr_null(app.stream); /* its end came before */
    note("[close %s%s]", close_reason_word(reason).ptr, linger ? " linger" : "");
    app.closed = true;
    app.linger = linger;
    conn_close(&conn);
}

/* What came so far lies in conn->in. */
static void on_preface(struct conn *given)
{
    ck_assert_ptr_eq(given, &conn);
    ck_assert_ptr_null(conn.user);
    size_t len = flow_take(&stand.net, &conn.in, stand.net.scratch);
    note("[preface %.*s]", (int)len, stand.net.scratch);
    app.closed = true;
    conn_close(&conn);
}

static const struct http_owner owner = {
    .on_preface = on_preface,
    .on_request = on_request,
    .on_bad_request = on_bad_request,
    .on_idle = on_idle,
    .on_close = on_close,
};

static struct h1_limits limits = {.head_bytes = 2000, .fields = 50};
static struct stream_rates rates;
static const struct h1_timeouts timeouts = {
    .head_ms = HEAD_MS, .body_ms = BODY_MS, .write_ms = WRITE_MS, .rates = &rates};

static void idle_on_readable(struct conn *idle)
{
    struct h1_conn *h1 = h1_conn_new(idle, H1_CLIENT_FACING, &owner, &limits, &timeouts);
    ck_assert_ptr_nonnull(h1);
    if (app.requests == 0) {
        h1_conn_expect_preface(h1);
    }
    h1_conn_turn(h1);
}

static void idle_on_other(struct conn *idle)
{
    (void)idle;
}

static const struct conn_ops idle_ops = {
    .on_readable = idle_on_readable, .on_room = idle_on_other, .on_timeout = idle_on_other};

static void begin_unwatched(bool tcp)
{
    int ours;
    memset(&app, 0, sizeof(app));
    app.answers = true;
    rates = (struct stream_rates){0};
    clock_us = 9000000000ULL;
    now_set_for_test(clock_us, 1700000000000000ULL + clock_us);
    loop_stand_open(&stand);
    http_worker_init(&http);
    loop_slot_set(stand.loop, LOOP_SLOT_HTTP, &http);
    (tcp ? loop_stand_tcp_pair : loop_stand_unix_pair)(&ours, &peer);
    conn_init(&conn, stand.loop, ours, &idle_ops);
}

static void begin(bool tcp)
{
    begin_unwatched(tcp);
    ck_assert(conn_watch(&conn));
    loop_stand_settle(&stand);
}

static void abort_conn(enum close_reason reason)
{
    struct http_conn *on = http_conn_on(&conn);
    on->ops->abort(on, reason);
}

static void end(void)
{
    if (conn.user != NULL && !app.closed) {
        abort_conn(CLOSE_SHUTDOWN);
    }
    conn_close(&conn);
    if (peer >= 0) {
        (void)close(peer);
    }
    ck_assert_ptr_null(app.stream);
    http_worker_fini(&http); /* no h1_conn is left */
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

static void say(const char *text, size_t len)
{
    ck_assert_uint_eq(peer_write(peer, text, len), len);
    loop_stand_settle(&stand);
}

static void say_text(const char *text)
{
    say(text, strlen(text));
}

/* What the peer has received so far, as text. */
static const char *heard(void)
{
    static char text[TEXT_MAX];
    loop_stand_settle(&stand);
    text[peer_read(peer, text, sizeof(text) - 1)] = '\0';
    return text;
}

#define OK_HEAD(len) "HTTP/1.1 200 OK\r\nContent-Length: " #len "\r\n\r\n"

/* -- the same answer however the bytes come -- */

static const struct {
    const char *sent;
    const char *heard;
    const char *log;
} conversations[] = {
    {"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", OK_HEAD(10) "GET /a 0/0", "[GET /a][end ok]"},
    {"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
     "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\nPOST /b 5/99162322", "[POST /b][end ok]"},
    {"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
     "3;ext=1\r\nhel\r\n002\r\nlo\r\n0\r\nX-T: 1\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\nPOST /c 5/99162322",
     "[POST /c][trailers X-T: 1\r\n][end ok]"},
    {"POST /d HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", OK_HEAD(11) "POST /d 0/0",
     "[POST /d][end ok]"},
    /* several on one connection, pipelined */
    {"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
     "HEAD /3 HTTP/1.1\r\nHost: x\r\n\r\n\r\nGET /4 HTTP/1.1\r\nHost: x\r\n\r\n",
     OK_HEAD(
         10) "GET /1 0/0HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\nPOST /2 5/99162322" OK_HEAD(11)
         OK_HEAD(10) "GET /4 0/0",
     "[GET /1][end ok][POST /2][end ok][HEAD /3][end ok][GET /4][end ok]"},
    /* the client wants no more */
    {"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nGET /a 0/0",
     "[GET /a][end ok][close ok]"},
    {"GET /a HTTP/1.0\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nGET /a 0/0",
     "[GET /a][end ok][close ok]"},
    {"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: keep-alive\r\n\r\nGET /a 0/0"
     "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nGET /b 0/0",
     "[GET /a][end ok][GET /b][end ok][close ok]"},
    /* malformed: refused and closed, what came before is answered */
    {"GET /a HTTP/1.1\r\nHost: x\r\n\r\nBAD\r\n\r\n",
     OK_HEAD(10) "GET /a 0/0HTTP/1.1 400 Bad Request\r\nContent-Length: 7\r\nConnection: "
                 "close\r\n\r\nrefused",
     "[GET /a][end ok][refused bad_request_line][end ok][close ok linger]"},
    {"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhelX",
     "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbad",
     "[POST /c][bad bad_chunk][end ok][close ok linger]"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
     "HTTP/1.1 400 Bad Request\r\nContent-Length: 7\r\nConnection: close\r\n\r\nrefused",
     "[refused length_and_chunked][end ok][close ok linger]"},
};

/* One conversation, cut at up to two places. */
static void converse(size_t which, size_t first, size_t second)
{
    const char *sent = conversations[which].sent;
    size_t len = strlen(sent);
    begin(false);
    say(sent, first);
    if (!app.closed && second > first) {
        say(sent + first, second - first);
    }
    if (!app.closed && len > second) {
        (void)peer_write(peer, sent + second, len - second);
    }
    const char *got = heard();
    ck_assert_msg(strcmp(got, conversations[which].heard) == 0,
                  "case %zu cut at %zu, %zu:\n--- got\n%s\n--- want\n%s", which, first, second, got,
                  conversations[which].heard);
    /* Whether a close lingers depends on what was read already; the rest does not. */
    char *linger = strstr(app.log, " linger");
    if (linger != NULL && strstr(conversations[which].log, " linger") == NULL) {
        memmove(linger, linger + 7, strlen(linger + 7) + 1);
    }
    ck_assert_msg(strcmp(app.log, conversations[which].log) == 0, "case %zu cut at %zu, %zu: %s",
                  which, first, second, app.log);
    ck_assert_uint_eq(http.h1_conns.objects, 0); /* idle or closed: nothing is kept */
    ck_assert_uint_eq(stand.net.buffered_bytes, 0);
    end();
}

START_TEST(the_same_answer_wherever_the_bytes_are_cut)
{
    for (size_t which = 0; which < ARRAY_LEN(conversations); which++) {
        size_t len = strlen(conversations[which].sent);
        for (size_t cut = 0; cut <= len; cut++) {
            converse(which, cut, len);
            converse(which, cut, cut + 1 < len ? cut + 1 : len);
        }
    }
}
END_TEST

START_TEST(the_same_answer_byte_by_byte)
{
    for (size_t which = 0; which < ARRAY_LEN(conversations); which++) {
        const char *sent = conversations[which].sent;
        begin(true);
        for (size_t i = 0; sent[i] != '\0' && !app.closed; i++) {
            say(sent + i, 1);
        }
        ck_assert_str_eq(heard(), conversations[which].heard);
        end();
    }
}
END_TEST

/* RFC 9113 3.4: the first line tells, and only as the first of a connection. */
START_TEST(the_preface_of_http2_hands_the_connection_over)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for (size_t cut = 1; cut < 16; cut++) {
        begin(false);
        say(preface, cut);
        ck_assert_str_eq(app.log, "");
        say_text(preface + cut);
        ck_assert_ptr_nonnull(strstr(app.log, "[preface PRI * HTTP/2.0\r\n"));
        ck_assert_uint_eq(http.h1_conns.objects, 0);
        end();
    }
    begin(false);
    say_text("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    say_text(preface);
    ck_assert_ptr_nonnull(strstr(app.log, "[GET /a][end ok][refused version_not_supported]"));
    end();
}
END_TEST

/* -- one request at a time -- */

START_TEST(the_next_request_waits_for_the_answer_before_it)
{
    begin(true);
    app.answers = false;
    say_text("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 HT");
    ck_assert_str_eq(app.log, "[GET /1]");
    say_text("TP/1.1\r\nHost: x\r\n\r\n");
    for (unsigned i = 1; i <= 3; i++) {
        ck_assert_uint_eq(app.requests, i);
        answer();
        loop_stand_settle(&stand);
    }
    ck_assert_str_eq(app.log, "[GET /1][end ok][GET /2][end ok][GET /3][end ok]");
    ck_assert_str_eq(heard(),
                     OK_HEAD(10) "GET /1 0/0" OK_HEAD(10) "GET /2 0/0" OK_HEAD(10) "GET /3 0/0");
    ck_assert_uint_eq(http.h1_conns.objects, 0);
    end();
}
END_TEST

START_TEST(a_long_pipeline_is_answered_in_order)
{
    enum { COUNT = 400 };
    begin(true);
    size_t sent = 0;
    size_t got = 0;
    static char all[COUNT * 48];
    char text[COUNT][40];
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(text[i], sizeof(text[i]), "GET /%03u HTTP/1.1\r\nHost: x\r\n\r\n", i);
    }
    for (int turn = 0; turn < 4000 && got < COUNT * (size_t)(38 + 12); turn++) {
        while (sent < COUNT && peer_write(peer, text[sent], strlen(text[sent])) > 0) {
            sent++;
        }
        loop_stand_turn(&stand);
        got += peer_read(peer, all + got % 1000, 1000);
        if (app.requests == COUNT) {
            break;
        }
    }
    ck_assert_uint_eq(app.requests, COUNT);
    loop_stand_settle(&stand);
    ck_assert_uint_eq(http.h1_conns.objects, 0);
    end();
}
END_TEST

/* -- what is sent -- */

START_TEST(bodies_go_out_in_the_framing_that_was_announced)
{
    struct message message = {.status = 200, .version_minor = 1};
    static const struct {
        const char *request;
        enum framing framing;
        uint64_t length;
        bool framed;
        const char *heard;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", FRAMING_LENGTH, 8, false,
         "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nonetwo12"},
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", FRAMING_CHUNKED, 0, false,
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n5\r\ntwo12\r\n0\r\n\r\n"},
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", FRAMING_CHUNKED, 0, true,
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nonetwo120\r\n\r\n"},
        {"GET / HTTP/1.0\r\n\r\n", FRAMING_CHUNKED, 0, false,
         "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nonetwo12"},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", FRAMING_CHUNKED, 0, false,
         "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nonetwo12"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin(true);
        app.answers = false;
        say_text(cases[i].request);
        struct stream *stream = app.stream;
        struct stream_head head = {.message = &message,
                                   .framing = cases[i].framing,
                                   .content_length = cases[i].length,
                                   .framed = cases[i].framed};
        ck_assert(stream->ops->send_head(stream, &head, SLICE("one"), false));
        ck_assert(stream->ops->send_body(stream, SLICE_NONE, false)); /* nothing is no chunk */
        ck_assert(stream->ops->send_body(stream, SLICE("two12"), true));
        ck_assert_str_eq(heard(), cases[i].heard);
        end();
    }
}
END_TEST

START_TEST(a_length_is_kept_to_the_byte)
{
    struct message message = {.status = 200, .version_minor = 1};
    struct stream_head head = {.message = &message, .framing = FRAMING_LENGTH, .content_length = 5};
    static const struct {
        const char *first;
        bool first_last;
        bool first_ok;
        const char *second;
        bool second_ok;
    } cases[] = {
        {"toolong", false, false, NULL, false},
        {"tiny", true, false, NULL, false}, /* ends too early */
        {"abc", false, true, "def", false},
        {"abc", false, true, "d", false},
        {"abc", false, true, "de", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin(true);
        app.answers = false;
        say_text("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        struct stream *stream = app.stream;
        ck_assert(stream->ops->send_head(stream, &head, slice_from(cases[i].first),
                                         cases[i].first_last) == cases[i].first_ok);
        if (cases[i].second != NULL) {
            ck_assert(stream->ops->send_body(stream, slice_from(cases[i].second), true) ==
                      cases[i].second_ok);
        }
        end();
    }
}
END_TEST

START_TEST(trailers_and_interim_answers)
{
    struct message interim = {.status = 103, .version_minor = 1};
    struct message message = {.status = 200, .version_minor = 1};
    struct stream_head early = {.message = &interim, .framing = FRAMING_NONE};
    struct stream_head head = {.message = &message, .framing = FRAMING_CHUNKED};
    static const struct {
        const char *request;
        const char *heard;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
         "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
         "2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"},
        /* RFC 9110 15.2: HTTP/1.0 has no interim answers, and no chunks to put trailers behind */
        {"GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin(true);
        app.answers = false;
        say_text(cases[i].request);
        struct stream *stream = app.stream;
        ck_assert(stream->ops->send_head(stream, &early, SLICE_NONE, false));
        ck_assert(stream->ops->send_head(stream, &head, SLICE("hi"), false));
        ck_assert(stream->ops->send_trailers(stream, SLICE("X-Sum: 1\r\n")));
        ck_assert_str_eq(heard(), cases[i].heard);
        end();
    }
}
END_TEST

START_TEST(an_answer_before_the_end_of_the_request_closes)
{
    begin(true);
    app.answers = false;
    say_text("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhello");
    ck_assert(send_answer(413, "no", false));
    loop_stand_settle(&stand);
    ck_assert_str_eq(app.log, "[POST /][end ok][close ok linger]");
    ck_assert_ptr_nonnull(strstr(heard(), "Connection: close\r\n"));
    end();
}
END_TEST

START_TEST(close_after_is_said_in_the_next_answer)
{
    begin(true);
    app.answers = false;
    say_text("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    http_conn_on(&conn)->ops->drain(http_conn_on(&conn));
    answer();
    ck_assert_str_eq(
        heard(), "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nGET /1 0/0");
    ck_assert_str_eq(app.log, "[GET /1][end ok][close ok]");
    end();
}
END_TEST

/* -- brakes -- */

START_TEST(a_client_that_reads_slowly_gets_all_and_ends_it)
{
    enum { BIG = 2 * 1024 * 1024 };
    begin(true);
    app.answers = false;
    loop_stand_small_buffers(conn.fd);
    say_text("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    struct stream *stream = app.stream;
    struct message message = {.status = 200, .version_minor = 1};
    struct stream_head head = {
        .message = &message, .framing = FRAMING_LENGTH, .content_length = BIG};
    char *bytes = malloc(BIG);
    pattern_fill(bytes, BIG, 0, 5);
    ck_assert(stream->ops->send_head(stream, &head, slice_of(bytes, BIG / 2), false));
    ck_assert(stream->ops->is_blocked(stream));
    size_t got = 0;
    char *all = malloc(BIG + 1000);
    loop_stand_until(&stand, (got += peer_read(peer, all + got, 5000), app.rooms == 1));
    ck_assert(!stream->ops->is_blocked(stream));
    ck_assert(stream->ops->send_body(stream, slice_of(bytes + BIG / 2, BIG / 2), true));
    ck_assert_ptr_nonnull(app.stream); /* not sent: not over */
    loop_stand_until(&stand, (got += peer_read(peer, all + got, 5000), app.stream == NULL));
    ck_assert_str_eq(app.log, "[GET /big][end ok]");
    size_t head_len = sizeof("HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n") - 1;
    loop_stand_until(&stand, (got += peer_read(peer, all + got, BIG), got == BIG + head_len));
    ck_assert_uint_eq(pattern_differs(all + head_len, BIG, 0, 5), SIZE_MAX);
    free(all);
    free(bytes);
    end();
}
END_TEST

START_TEST(a_body_nobody_takes_stops_the_reading)
{
    enum { BIG = 16 * 1024 * 1024 }; /* more than 200 blocks, and than the kernel ever keeps */
    static char block[65536];
    begin(true);
    app.pauses = true;
    say_text("POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: 16777216\r\n\r\n");
    size_t sent = 0;
    for (int i = 0; i < 200; i++) {
        sent += peer_write(peer, block, sizeof(block));
        loop_run_once(stand.loop, 0);
    }
    ck_assert_uint_lt(sent, BIG);
    ck_assert_uint_le(stand.net.buffered_bytes, 2U * FLOW_SCRATCH_BYTES);
    size_t buffered = stand.net.buffered_bytes;
    loop_stand_settle(&stand);
    ck_assert_uint_eq(stand.net.buffered_bytes, buffered);
    app.stream->ops->resume(app.stream);
    ck_assert_uint_eq(app.body_len, 0); /* in a later turn */
    while (app.requests == 1 && app.stream != NULL) {
        size_t part = BIG - sent < sizeof(block) ? BIG - sent : sizeof(block);
        sent += part > 0 ? peer_write(peer, block, part) : 0;
        loop_stand_turn(&stand);
    }
    ck_assert_uint_eq(app.body_len, BIG);
    ck_assert_str_eq(app.log, "[POST /big][end ok]");
    end();
}
END_TEST

START_TEST(bytes_of_a_body_that_came_with_the_head_are_kept)
{
    begin(true);
    app.pauses = true;
    say_text("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r");
    ck_assert_uint_gt(stand.net.buffered_bytes, 0);
    app.stream->ops->resume(app.stream);
    loop_stand_settle(&stand);
    ck_assert_uint_eq(app.body_len, 5);
    ck_assert_ptr_nonnull(app.stream);
    say_text("\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n"); /* and starved it goes on */
    ck_assert_str_eq(app.log, "[POST /a][end ok][GET /b]");
    end();
}
END_TEST

/* -- ends -- */

START_TEST(an_end_before_the_answer_began_is_a_client_that_left)
{
    begin(true);
    app.answers = false;
    say_text("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
    loop_stand_settle(&stand);
    tick(900);
    ck_assert_ptr_nonnull(app.stream); /* it may only have half-closed */
    tick(200);
    ck_assert_str_eq(app.log, "[GET /1][end client_abort][close client_abort]");
    end();
    /* who is answered at once is served, whatever came behind the request */
    begin(true);
    peer_say(peer, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
    ck_assert_str_eq(heard(), OK_HEAD(10) "GET /1 0/0");
    ck_assert_str_eq(app.log, "[GET /1][end ok][close client_closed]");
    end();
}
END_TEST

START_TEST(a_client_that_half_closes_gets_the_rest_of_its_answer)
{
    begin(true);
    app.answers = false;
    say_text("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    struct message message = {.status = 200, .version_minor = 1};
    struct stream_head head = {.message = &message, .framing = FRAMING_LENGTH, .content_length = 5};
    ck_assert(app.stream->ops->send_head(app.stream, &head, SLICE("he"), false));
    ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
    loop_stand_settle(&stand);
    ck_assert_ptr_nonnull(app.stream);
    ck_assert(app.stream->ops->send_body(app.stream, SLICE("llo"), true));
    ck_assert_str_eq(heard(), OK_HEAD(5) "hello");
    ck_assert_str_eq(app.log, "[GET /1][end ok][close client_closed]");
    end();
}
END_TEST

START_TEST(a_client_that_resets_ends_its_request)
{
    static const char *const requests[] = {
        "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhel",
        "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        for (int paused = 0; paused < 2; paused++) {
            begin(true);
            app.answers = false;
            app.pauses = paused != 0;
            say_text(requests[i]);
            peer_reset(peer);
            peer = -1;
            loop_stand_until(&stand, app.closed);
            ck_assert_ptr_nonnull(strstr(app.log, "[end client_abort][close client_abort]"));
            end();
        }
    }
}
END_TEST

START_TEST(an_end_in_the_middle_is_an_abort)
{
    static const struct {
        const char *sent;
        const char *log;
    } cases[] = {
        {"", "[close client_closed]"},
        {"GET / HT", "[close client_abort]"},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhel",
         "[POST /][end client_abort][close client_abort]"},
        {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
         "[POST /][end client_abort][close client_abort]"},
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "[GET /][end ok][close client_closed]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int at_once = 0; at_once < 2; at_once++) {
            begin(true);
            (void)peer_write(peer, cases[i].sent, strlen(cases[i].sent));
            if (at_once == 0) {
                loop_stand_settle(&stand);
            }
            ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
            loop_stand_until(&stand, app.closed);
            ck_assert_str_eq(app.log, cases[i].log);
            end();
        }
    }
}
END_TEST

START_TEST(the_application_may_reset_and_be_aborted)
{
    begin(true);
    app.answers = false;
    say_text("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    struct stream *stream = app.stream;
    app.stream = NULL; /* no on_end after reset */
    stream->ops->reset(stream, CLOSE_INTERNAL);
    ck_assert_str_eq(app.log, "[GET /1][close internal]");
    end();

    begin(true);
    app.answers = false;
    say_text("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    abort_conn(CLOSE_DRAIN_DEADLINE);
    ck_assert_str_eq(app.log, "[GET /1][end drain_deadline][close drain_deadline]");
    end();
}
END_TEST

/* -- time -- */

START_TEST(a_head_has_its_time_from_the_first_byte)
{
    begin(true);
    say_text("GET / HTTP/1.1\r\n");
    for (unsigned i = 0; i < 4; i++) {
        tick(HEAD_MS / 5);
        say_text("X: y\r\n");
        ck_assert_str_eq(app.log, "");
    }
    tick(HEAD_MS / 5 + 20);
    ck_assert_str_eq(app.log, "[refused header_timeout][end ok][close ok linger]");
    ck_assert_ptr_nonnull(strstr(heard(), "HTTP/1.1 408 "));
    end();
    /* of each request anew */
    begin(true);
    say_text("GET /1 HTTP/1.1\r\nHost: x\r\n");
    tick(HEAD_MS - 100);
    say_text("\r\nGET /2 HTTP/1.1\r\n");
    tick(HEAD_MS - 100);
    ck_assert_str_eq(app.log, "[GET /1][end ok]");
    tick(200);
    ck_assert_str_eq(app.log, "[GET /1][end ok][refused header_timeout][end ok][close ok linger]");
    end();
}
END_TEST

START_TEST(a_body_that_stalls_is_answered_408)
{
    begin(true);
    say_text("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n");
    for (unsigned i = 0; i < 5; i++) {
        tick(BODY_MS - 100);
        say_text("x"); /* it moves */
    }
    ck_assert_str_eq(app.log, "[POST /]");
    tick(BODY_MS + 20);
    ck_assert_str_eq(app.log, "[POST /][bad body_timeout][end ok][close ok linger]");
    ck_assert_ptr_nonnull(strstr(heard(), "HTTP/1.1 408 "));
    end();
}
END_TEST

START_TEST(a_body_that_stalls_after_the_answer_began_is_cut_off)
{
    begin(true);
    app.answers = false;
    say_text("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\nxx");
    struct message message = {.status = 200, .version_minor = 1};
    struct stream_head head = {.message = &message, .framing = FRAMING_CHUNKED};
    ck_assert(app.stream->ops->send_head(app.stream, &head, SLICE("part"), false));
    tick(BODY_MS + 20);
    ck_assert_str_eq(app.log, "[POST /][end body_timeout][close body_timeout]");
    end();
}
END_TEST

START_TEST(who_waits_for_us_is_not_timed)
{
    begin(true);
    app.answers = false;
    say_text("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    tick(100 * HEAD_MS);
    ck_assert_str_eq(app.log, "[GET /1]");
    end();
    begin(true);
    app.pauses = true;
    say_text("POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello");
    tick(100 * HEAD_MS);
    ck_assert_str_eq(app.log, "[POST /1]");
    app.stream->ops->resume(app.stream); /* from here on it is */
    tick(10);
    ck_assert_uint_eq(app.body_len, 5);
    tick(BODY_MS + 20);
    ck_assert_ptr_nonnull(strstr(app.log, "[bad body_timeout]"));
    end();
}
END_TEST

START_TEST(a_client_that_takes_nothing_is_cut_off)
{
    enum { BIG = 1024 * 1024 };
    static char bytes[BIG];
    begin(true);
    app.answers = false;
    loop_stand_small_buffers(conn.fd);
    say_text("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    struct message message = {.status = 200, .version_minor = 1};
    struct stream_head head = {
        .message = &message, .framing = FRAMING_LENGTH, .content_length = 8ULL * BIG};
    ck_assert(app.stream->ops->send_head(app.stream, &head, slice_of(bytes, BIG), false));
    ck_assert(app.stream->ops->is_blocked(app.stream));
    size_t first = stand.net.buffered_bytes;
    for (unsigned i = 0; i < 3; i++) {
        tick(WRITE_MS - 100);
        ck_assert_ptr_nonnull(app.stream);
        size_t before = stand.net.buffered_bytes;
        loop_stand_until(&stand,
                         (peer_read(peer, bytes, 100000), stand.net.buffered_bytes < before));
        ck_assert(conn_is_blocked(&conn));
    }
    ck_assert_uint_lt(stand.net.buffered_bytes, first);
    tick(WRITE_MS);
    tick(WRITE_MS);
    tick(WRITE_MS);
    ck_assert_str_eq(app.log, "[GET /1][end client_write_timeout][close client_write_timeout]");
    end();
}
END_TEST

/* -- the least that a client must give and take (R3) -- */

/* Ten a second come. */
static void body_at_ten_a_second(uint32_t rate, const char *head)
{
    begin(true);
    rates = (struct stream_rates){.body_bytes_per_s = rate, .grace_ms = 2000};
    say_text(head);
    for (unsigned i = 0; i < 100 && !app.closed; i++) {
        tick(100);
        say_text("x");
    }
}

START_TEST(a_body_that_trickles_is_answered_408)
{
    static const char head[] = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n";
    body_at_ten_a_second(20, head);
    ck_assert_str_eq(app.log, "[POST /][bad body_too_slow][end ok][close ok linger]");
    ck_assert_ptr_nonnull(strstr(heard(), "HTTP/1.1 408 "));
    end();
    body_at_ten_a_second(9, head);
    ck_assert_str_eq(app.log, "[POST /][end ok]");
    end();
    body_at_ten_a_second(0, head);
    ck_assert_str_eq(app.log, "[POST /][end ok]");
    end();
}
END_TEST

START_TEST(a_chunk_line_that_trickles_is_answered_408_too)
{
    /* bytes that are kept, for they say nothing yet, are judged like others */
    begin(true);
    rates = (struct stream_rates){.body_bytes_per_s = 20, .grace_ms = 2000};
    say_text("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0");
    for (unsigned i = 0; i < 10 && !app.closed; i++) {
        tick(500);
        say_text("0");
    }
    ck_assert_str_eq(app.log, "[POST /][bad body_too_slow][end ok][close ok linger]");
    end();
}
END_TEST

START_TEST(a_body_that_trickles_while_nobody_wants_it_is_not_slow)
{
    begin(true);
    rates = (struct stream_rates){.body_bytes_per_s = 1000, .grace_ms = 500};
    app.pauses = true;
    say_text("POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\nhello");
    for (unsigned i = 0; i < 100; i++) {
        tick(1000);
        say_text("x");
    }
    ck_assert_str_eq(app.log, "[POST /1]");
    app.stream->ops->resume(app.stream); /* what came meanwhile is no trickle */
    tick(10);
    ck_assert_uint_eq(app.body_len, 105);
    say_text("x");
    tick(900);
    say_text("x");
    ck_assert_ptr_nonnull(strstr(app.log, "[bad body_too_slow]"));
    end();
}
END_TEST

START_TEST(what_may_last_is_not_measured)
{
    begin(true);
    rates = (struct stream_rates){.body_bytes_per_s = 1000, .grace_ms = 500};
    app.pauses = true;
    say_text("POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\n");
    app.stream->idle_ms = UINT32_MAX;
    app.stream->ops->resume(app.stream);
    for (unsigned i = 0; i < 100; i++) {
        tick(1000);
        say_text("x");
    }
    ck_assert_str_eq(app.log, "[POST /1]");
    end();
}
END_TEST

START_TEST(a_client_that_takes_too_little_is_cut_off)
{
    enum { BIG = 1024 * 1024 };
    static char bytes[BIG];
    for (int slow = 0; slow < 2; slow++) {
        begin(true);
        rates = (struct stream_rates){.read_bytes_per_s = slow != 0 ? 100 * BIG : 100,
                                      .grace_ms = 3 * WRITE_MS};
        app.answers = false;
        loop_stand_small_buffers(conn.fd);
        say_text("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
        struct message message = {.status = 200, .version_minor = 1};
        struct stream_head head = {
            .message = &message, .framing = FRAMING_LENGTH, .content_length = 8ULL * BIG};
        ck_assert(app.stream->ops->send_head(app.stream, &head, slice_of(bytes, BIG), false));
        for (unsigned i = 0; i < 5 && app.stream != NULL; i++) {
            size_t before = stand.net.buffered_bytes;
            tick(WRITE_MS - 100);
            loop_stand_until(&stand, (peer_read(peer, bytes, 100000),
                                      stand.net.buffered_bytes < before || app.closed));
        }
        ck_assert_str_eq(app.log, slow != 0 ? "[GET /1][end reader_too_slow][close reader_too_slow]"
                                            : "[GET /1]");
        end();
    }
}
END_TEST

/* Room comes again and again before any deadline. */
START_TEST(a_client_that_takes_lumps_too_seldom_is_cut_off)
{
    enum { BIG = 200000 };
    static char bytes[BIG];
    begin(true);
    rates = (struct stream_rates){.read_bytes_per_s = BIG, .grace_ms = 3 * WRITE_MS};
    app.answers = false;
    loop_stand_small_buffers(conn.fd);
    say_text("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    struct message message = {.status = 200, .version_minor = 1};
    struct stream_head head = {
        .message = &message, .framing = FRAMING_LENGTH, .content_length = 1000ULL * BIG};
    ck_assert(app.stream->ops->send_head(app.stream, &head, SLICE_NONE, false));
    unsigned lumps = 0;
    while (app.stream != NULL && lumps < 100) {
        unsigned rooms = app.rooms;
        ck_assert(app.stream->ops->send_body(app.stream, slice_of(bytes, BIG / 2), false));
        ck_assert(app.stream->ops->is_blocked(app.stream));
        tick(WRITE_MS - 100); /* nearly half a lump is asked for in that time */
        loop_stand_until(&stand, (peer_read(peer, bytes, BIG), app.rooms > rooms || app.closed));
        lumps++;
    }
    ck_assert_uint_lt(lumps, 10);
    ck_assert_str_eq(app.log, "[GET /1][end reader_too_slow][close reader_too_slow]");
    end();
}
END_TEST

/* -- registered late -- */

START_TEST(a_client_served_at_once_is_never_watched)
{
    begin_unwatched(true);
    conn.flags |= CONN_READ_READY;
    peer_say(peer, "GET /1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    idle_on_readable(&conn);
    ck_assert(!conn_is_watched(&conn));
    ck_assert_str_eq(app.log, "[GET /1][end ok][close ok]");
    end();
}
END_TEST

START_TEST(a_client_that_waits_is_watched_soon)
{
    begin_unwatched(true);
    app.answers = false;
    conn.flags |= CONN_READ_READY;
    peer_say(peer, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    idle_on_readable(&conn);
    ck_assert(!conn_is_watched(&conn));
    tick(40);
    ck_assert(conn_is_watched(&conn));
    peer_reset(peer);
    peer = -1;
    loop_stand_until(&stand, app.closed);
    ck_assert_str_eq(app.log, "[GET /1][end client_abort][close client_abort]");
    end();
    begin_unwatched(true);
    conn.flags |= CONN_READ_READY;
    peer_say(peer, "GET /1 HT");
    idle_on_readable(&conn);
    ck_assert(conn_is_watched(&conn)); /* a partial head: at once */
    end();
}
END_TEST

/* -- lending -- */

START_TEST(a_lent_connection_is_left_alone_and_taken_back)
{
    begin(true);
    app.answers = false;
    say_text("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    struct stream *stream = app.stream;
    struct message message = {.status = 200, .version_minor = 1};
    struct stream_head head = {
        .message = &message, .framing = FRAMING_LENGTH, .content_length = 10};
    ck_assert(stream->ops->send_head(stream, &head, SLICE_NONE, false));
    ck_assert_ptr_eq(stream->ops->lend(stream), &conn);
    say_text("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n"); /* comes while it is lent */
    ck_assert_str_eq(app.log, "[GET /1]");
    ck_assert_uint_eq(peer_write(conn.fd, "0123456789", 10), 10); /* past the stream */
    stream->ops->take_back(stream, 0, 10);
    loop_stand_settle(&stand);
    ck_assert_str_eq(app.log, "[GET /1][end ok][GET /2]");
    answer();
    ck_assert_str_eq(heard(), OK_HEAD(10) "0123456789" OK_HEAD(10) "GET /2 0/0");
    end();
}
END_TEST

START_TEST(a_given_connection_keeps_what_was_read)
{
    begin(true);
    app.answers = false;
    say_text("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nearly bytes");
    ck_assert_ptr_eq(app.stream->ops->give(app.stream), &conn);
    app.stream = NULL;
    ck_assert_ptr_null(conn.user);
    conn.ops = &idle_ops;
    size_t len = flow_take(&stand.net, &conn.in, stand.net.scratch);
    ck_assert_uint_eq(len, 11);
    ck_assert_int_eq(memcmp(stand.net.scratch, "early bytes", 11), 0);
    ck_assert_uint_eq(http.h1_conns.objects, 0);
    ck_assert_str_eq(app.log, "[GET /1]");
    end();
}
END_TEST

UNIT_TESTS("h1_conn", the_same_answer_wherever_the_bytes_are_cut, the_same_answer_byte_by_byte,
           the_preface_of_http2_hands_the_connection_over,
           the_next_request_waits_for_the_answer_before_it, a_long_pipeline_is_answered_in_order,
           bodies_go_out_in_the_framing_that_was_announced, a_length_is_kept_to_the_byte,
           trailers_and_interim_answers, an_answer_before_the_end_of_the_request_closes,
           close_after_is_said_in_the_next_answer, a_client_that_reads_slowly_gets_all_and_ends_it,
           a_body_nobody_takes_stops_the_reading, bytes_of_a_body_that_came_with_the_head_are_kept,
           an_end_before_the_answer_began_is_a_client_that_left,
           a_client_that_half_closes_gets_the_rest_of_its_answer,
           a_client_that_resets_ends_its_request, an_end_in_the_middle_is_an_abort,
           the_application_may_reset_and_be_aborted, a_head_has_its_time_from_the_first_byte,
           a_body_that_stalls_is_answered_408, a_body_that_stalls_after_the_answer_began_is_cut_off,
           who_waits_for_us_is_not_timed, a_client_that_takes_nothing_is_cut_off,
           a_body_that_trickles_is_answered_408, a_chunk_line_that_trickles_is_answered_408_too,
           a_body_that_trickles_while_nobody_wants_it_is_not_slow, what_may_last_is_not_measured,
           a_client_that_takes_too_little_is_cut_off,
           a_client_that_takes_lumps_too_seldom_is_cut_off,
           a_client_served_at_once_is_never_watched, a_client_that_waits_is_watched_soon,
           a_lent_connection_is_left_alone_and_taken_back, a_given_connection_keeps_what_was_read)
