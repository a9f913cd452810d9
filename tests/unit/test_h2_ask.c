#include <stdlib.h>
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/http/h2_frame.h"
#include "lbd/upstream/h2_ask.h"
#include "tests/unit/unit.h"

/* What a server says, put together by hand. */
static struct buf said;
static struct hpack_encoder encoder;

static void say(enum h2_type type, unsigned flags, uint32_t stream, const char *payload, size_t len)
{
    char head[H2_FRAME_HEAD];
    (void)h2_frame_write(head, (uint32_t)len, type, flags, stream);
    (void)buf_append(&said, head, sizeof(head));
    (void)buf_append(&said, payload, len);
}

static void say_head(unsigned flags, uint32_t stream, unsigned status, const char *grpc_status)
{
    char block[512];
    struct hpack_encode writer;
    hpack_encode_begin(&writer, &encoder, block, sizeof(block));
    if (status != 0) {
        hpack_encode_status(&writer, status);
    }
    if (grpc_status != NULL) {
        hpack_encode_field(&writer, SLICE("grpc-status"), slice_from(grpc_status));
        hpack_encode_field(&writer, SLICE("grpc-message"), SLICE("as it is"));
    }
    size_t len = hpack_encode_end(&writer);
    if ((flags & H2_END_HEADERS) == 0) { /* the rest by a CONTINUATION */
        say(H2_HEADERS, flags, stream, block, 1);
        say(H2_CONTINUATION, H2_END_HEADERS, stream, block + 1, len - 1);
    } else {
        say(H2_HEADERS, flags, stream, block, len);
    }
}

static void say_settings(void)
{
    say(H2_SETTINGS, 0, 0, "", 0);
}

enum { HEAD = H2_END_HEADERS, LAST = H2_END_HEADERS | H2_END_STREAM };

static void nothing_but_settings(void)
{
}

static void a_head_alone(void)
{
    say_head(LAST, 1, 204, NULL);
}

static void a_head_and_a_body(void)
{
    say(H2_SETTINGS, H2_ACK, 0, "", 0);
    say(H2_WINDOW_UPDATE, 0, 0, "\0\0\1\0", 4);
    say_head(HEAD, 1, 200, NULL);
    say(H2_DATA, 0, 1, "he", 2);
    say(H2_PING, 0, 0, "12345678", 8);
    say(H2_DATA, H2_END_STREAM, 1, "llo", 3);
}

static void interim_first(void)
{
    say_head(HEAD, 1, 103, NULL);
    say_head(LAST, 1, 200, NULL);
}

static void trailers_of_a_call(void)
{
    say_head(HEAD, 1, 200, NULL);
    say(H2_DATA, 0, 1, "hello", 5);
    say_head(LAST, 1, 0, "5");
}

static void trailers_only(void)
{
    say_head(LAST, 1, 200, "12");
}

static void a_head_in_two_frames(void)
{
    say_head(H2_END_STREAM, 1, 200, "3");
}

static void goaway_for_others(void)
{
    say(H2_GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0", 8);
    say_head(LAST, 1, 200, NULL);
}

static void goaway_for_us(void)
{
    say(H2_GOAWAY, 0, 0, "\0\0\0\0\0\0\0\x0b", 8);
}

static void a_reset(void)
{
    say(H2_RST_STREAM, 0, 1, "\0\0\0\7", 4);
}

static void a_body_first(void)
{
    say(H2_DATA, 0, 1, "x", 1);
}

static void another_stream(void)
{
    say_head(LAST, 3, 200, NULL);
}

static void a_cut_block(void)
{
    say(H2_HEADERS, 0, 1, "\x88", 1);
    say(H2_PING, 0, 0, "12345678", 8);
}

static void a_bad_block(void)
{
    say(H2_HEADERS, LAST, 1, "\xff\xff\xff\xff\xff\xff", 6);
}

static void no_status(void)
{
    say_head(LAST, 1, 0, "0");
}

static void a_push(void)
{
    say(H2_PUSH_PROMISE, H2_END_HEADERS, 1, "\0\0\0\2\x88", 5);
}

static void a_bad_frame(void)
{
    say(H2_PING, 0, 0, "short", 5);
}

static void too_much(void)
{
    static const char bytes[10000];
    say_head(HEAD, 1, 200, NULL);
    say(H2_DATA, 0, 1, bytes, sizeof(bytes));
    say(H2_DATA, 0, 1, bytes, sizeof(bytes));
}

static const struct {
    void (*script)(void);
    enum h2_ask_step step;
    uint16_t status;
    int grpc_status;
    const char *body; /* or why */
} cases[] = {
    {nothing_but_settings, H2_ASK_MORE, 0, -1, ""},
    {a_head_alone, H2_ASK_ENDED, 204, -1, ""},
    {a_head_and_a_body, H2_ASK_ENDED, 200, -1, "hello"},
    {interim_first, H2_ASK_ENDED, 200, -1, ""},
    {trailers_of_a_call, H2_ASK_ENDED, 200, 5, "hello"},
    {trailers_only, H2_ASK_ENDED, 200, 12, ""},
    {a_head_in_two_frames, H2_ASK_ENDED, 200, 3, ""},
    {goaway_for_others, H2_ASK_ENDED, 200, -1, ""},
    {goaway_for_us, H2_ASK_BAD, 0, -1, "GOAWAY with ENHANCE_YOUR_CALM"},
    {a_reset, H2_ASK_BAD, 0, -1, "the stream was reset with REFUSED_STREAM"},
    {a_body_first, H2_ASK_BAD, 0, -1, "malformed answer: a body before its head"},
    {another_stream, H2_ASK_BAD, 0, -1, "malformed answer: nobody asked for it"},
    {a_cut_block, H2_ASK_BAD, 0, -1, "malformed answer: a header block is cut"},
    {a_bad_block, H2_ASK_BAD, 0, -1, "malformed answer: its header block"},
    {no_status, H2_ASK_BAD, 0, -1, "malformed answer: its head"},
    {a_push, H2_ASK_BAD, 0, -1, "malformed answer: "},
    {a_bad_frame, H2_ASK_BAD, 0, -1, "malformed answer: it is no HTTP/2"},
    {too_much, H2_ASK_BAD, 200, -1, "the answer is larger than 16 KiB"},
};

static enum h2_ask_step feed(struct h2_ask *ask, struct slice bytes, size_t at_a_time,
                             struct buf *out)
{
    struct buf in;
    enum h2_ask_step step = H2_ASK_MORE;
    buf_init(&in, 65536);
    for (size_t at = 0; at < bytes.len && step == H2_ASK_MORE; at += at_a_time) {
        size_t left = bytes.len - at;
        ck_assert(buf_append(&in, bytes.ptr + at, left < at_a_time ? left : at_a_time));
        step = h2_ask_feed(ask, &in, out);
    }
    buf_fini(&in);
    return step;
}

START_TEST(an_answer_is_the_same_however_it_is_cut)
{
    buf_init(&said, SIZE_MAX);
    hpack_encode_init(&encoder);
    say_settings();
    cases[_i].script();
    static const size_t pieces[] = {1, 2, 7, 8, 9, 10, 64, 4096};
    for (size_t p = 0; p < ARRAY_LEN(pieces); p++) {
        struct h2_ask ask;
        struct buf out;
        h2_ask_init(&ask);
        buf_init(&out, SIZE_MAX);
        enum h2_ask_step step = feed(&ask, buf_slice(&said), pieces[p], &out);
        ck_assert_msg(step == cases[_i].step && ask.status == cases[_i].status &&
                          ask.grpc_status == cases[_i].grpc_status,
                      "row %d by %zu: %d %u %d %s", _i, pieces[p], (int)step, ask.status,
                      ask.grpc_status, ask.why);
        struct slice got = step == H2_ASK_BAD ? slice_from(ask.why) : buf_slice(&ask.body);
        size_t len = strlen(cases[_i].body);
        ck_assert_msg(got.len >= len && (len == 0 || memcmp(got.ptr, cases[_i].body, len) == 0),
                      "row %d: %.*s", _i, SLICE_ARG(got));
        ck_assert_uint_ge(out.len, H2_FRAME_HEAD); /* SETTINGS are acknowledged */
        h2_ask_fini(&ask);
        buf_fini(&out);
    }
    buf_fini(&said);
}
END_TEST

START_TEST(what_is_not_http2_is_said_so)
{
    static const struct {
        const char *says;
        const char *why;
    } others[] = {
        {"HTTP/1.1 400 Bad Request\r\n\r\n", "it answers in HTTP/1: it does not speak HTTP/2 here"},
        {"220 mail.example ESMTP\r\n", "malformed answer: it is no HTTP/2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct h2_ask ask;
        struct buf out;
        h2_ask_init(&ask);
        buf_init(&out, SIZE_MAX);
        ck_assert_int_eq(feed(&ask, slice_from(others[i].says), 3, &out), H2_ASK_BAD);
        ck_assert_str_eq(ask.why, others[i].why);
        h2_ask_fini(&ask);
        buf_fini(&out);
    }
}
END_TEST

START_TEST(the_request_is_whole_frames)
{
    static const struct header_extra fields[] = {{SLICE_INIT("X-A"), SLICE_INIT("b")}};
    struct h2_ask ask;
    struct buf out;
    struct h2_ask_request request = {.method = SLICE("POST"),
                                     .scheme = SLICE("http"),
                                     .authority = SLICE("a.example"),
                                     .path = SLICE("/x"),
                                     .fields = fields,
                                     .field_count = 1,
                                     .body = SLICE("body")};
    h2_ask_init(&ask);
    buf_init(&out, SIZE_MAX);
    ck_assert(h2_ask_write(&ask, &request, &out));
    struct slice preface = H2_PREFACE;
    ck_assert_mem_eq(out.data, preface.ptr, preface.len);
    size_t at = preface.len;
    static const uint8_t types[] = {H2_SETTINGS, H2_HEADERS, H2_DATA};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct h2_frame frame = h2_frame_read(out.data + at);
        ck_assert_uint_eq(frame.type, types[i]);
        at += H2_FRAME_HEAD + frame.length;
    }
    ck_assert_uint_eq(at, out.len);
    char *long_value = malloc(20000);
    memset(long_value, 'x', 20000);
    request.path = slice_of(long_value, 20000);
    ck_assert(!h2_ask_write(&ask, &request, &out));
    free(long_value);
    h2_ask_fini(&ask);
    buf_fini(&out);
}
END_TEST

static void add_answers(TCase *tcase)
{
    tcase_add_loop_test(tcase, an_answer_is_the_same_however_it_is_cut, 0, ARRAY_LEN(cases));
}

static void add_rest(TCase *tcase)
{
    tcase_add_test(tcase, what_is_not_http2_is_said_so);
    tcase_add_test(tcase, the_request_is_whole_frames);
}

UNIT_MAIN("h2_ask", add_answers, add_rest)
