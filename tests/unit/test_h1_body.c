#include <stdlib.h>

#include "lbd/base/compiler.h"
#include "lbd/http/h1_body.h"
#include "tests/unit/unit.h"

enum { OUT_MAX = 32768 };

/* What a body was, put together from all its pieces. */
struct result {
    enum h1_verdict verdict;
    uint16_t reason;
    size_t consumed;
    uint64_t total;
    uint16_t trailer_fields;
    size_t out_len;
    size_t trailers_len;
    char out[OUT_MAX];
    char trailers[OUT_MAX];
};

/* Offers the bytes as they arrive, `step` at a time; keeps what was not consumed, as a connection
 * does. Each call sees a heap block of its exact size. */
static void read_body(struct result *result, struct h1_body body, struct slice bytes, size_t step)
{
    size_t used = 0;
    size_t arrived = 0;
    *result = (struct result){.verdict = H1_MORE};
    while (result->verdict == H1_MORE && arrived < bytes.len) {
        arrived = bytes.len - arrived < step ? bytes.len : arrived + step;
        size_t len = arrived - used;
        char *copy = malloc(len);
        struct h1_body_piece piece;
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, bytes.ptr + used, len);
        result->verdict = h1_body_feed(&body, copy, len, &piece);
        if (result->verdict != H1_BAD) {
            ck_assert_uint_le(piece.consumed, len);
            ck_assert_uint_le(result->out_len + piece.out.len, OUT_MAX);
            memcpy(result->out + result->out_len, piece.out.ptr == NULL ? "" : piece.out.ptr,
                   piece.out.len);
            result->out_len += piece.out.len;
            used += piece.consumed;
        }
        if (result->verdict == H1_DONE) {
            result->trailers_len = piece.trailers.len;
            if (piece.trailers.len != 0) {
                memcpy(result->trailers, piece.trailers.ptr, piece.trailers.len);
            }
        }
        free(copy);
    }
    result->reason = body.reason;
    result->consumed = used;
    result->total = body.total;
    result->trailer_fields = body.trailer_fields;
}

static struct h1_body chunked(enum h1_body_mode mode, bool is_response)
{
    struct h1_body body;
    h1_body_init(&body, FRAMING_CHUNKED, 0, mode, is_response);
    return body;
}

#define ZEROS_16 "0000000000000000"
#define EXT_63   "123456789012345678901234567890123456789012345678901234567890123"

static const struct {
    const char *rule;
    const char *bytes;
    const char *data;   /* decoded; NULL: refused, or incomplete with more */
    const char *framed; /* as it may be sent on; NULL: as `data` */
    const char *trailers;
    enum close_reason reason; /* CLOSE_OK with data NULL: incomplete */
} cases[] = {
    {"empty", "0\r\n\r\n", "", "", "", CLOSE_OK},
    {"one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello", "5\r\nhello\r\n", "", CLOSE_OK},
    {"next message follows", "1\r\na\r\n0\r\n\r\nGET", "a", "1\r\na\r\n", "", CLOSE_OK},
    {"several chunks", "5\r\nhello\r\n1\r\n,\r\n6\r\n world\r\n0\r\n\r\n", "hello, world",
     "5\r\nhello\r\n1\r\n,\r\n6\r\n world\r\n", "", CLOSE_OK},
    {"hexadecimal in any case", "a\r\n0123456789\r\nA\r\nabcdefghij\r\n0\r\n\r\n",
     "0123456789abcdefghij", "a\r\n0123456789\r\nA\r\nabcdefghij\r\n", "", CLOSE_OK},
    {"data that looks like framing", "7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n\r\n",
     "7\r\n0\r\n\r\n\r\n\r\n", "", CLOSE_OK},
    {"leading zeros go", "0005\r\nhello\r\n000\r\n\r\n", "hello", "5\r\nhello\r\n", "", CLOSE_OK},
    {"16 digits", "0000000000000001\r\na\r\n" ZEROS_16 "\r\n\r\n", "a", "1\r\na\r\n", "", CLOSE_OK},
    {"extensions go", "1;a=b\r\nx\r\n2;c\r\nyz\r\n0;d=\"e\"\r\n\r\n", "xyz",
     "1\r\nx\r\n2\r\nyz\r\n", "", CLOSE_OK},
    {"extension after a plain chunk", "1\r\nx\r\n1;a=b\r\ny\r\n1\r\nz\r\n0\r\n\r\n", "xyz",
     "1\r\nx\r\n1\r\ny\r\n1\r\nz\r\n", "", CLOSE_OK},
    {"extension of 64", "1;" EXT_63 "\r\nx\r\n0\r\n\r\n", "x", "1\r\nx\r\n", "", CLOSE_OK},
    {"obs-text and HTAB in an extension", "1;\t\xff\r\nx\r\n0\r\n\r\n", "x", "1\r\nx\r\n", "",
     CLOSE_OK},
    {"trailers", "1\r\nx\r\n0\r\nA: b\r\nC:d\r\n\r\n", "x", "1\r\nx\r\n", "A: b\r\nC:d\r\n",
     CLOSE_OK},
    {"trailers that a hop drops", "0\r\nContent-Length: 5\r\n\r\n", "", "", "Content-Length: 5\r\n",
     CLOSE_OK},
    {"empty trailer value", "0\r\nA:\r\n\r\n", "", "", "A:\r\n", CLOSE_OK},

    {"incomplete: size", "5", NULL, NULL, NULL, CLOSE_OK},
    {"incomplete: CR", "5\r", NULL, NULL, NULL, CLOSE_OK},
    {"incomplete: data", "5\r\nhell", NULL, NULL, NULL, CLOSE_OK},
    {"incomplete: end of data", "5\r\nhello\r", NULL, NULL, NULL, CLOSE_OK},
    {"incomplete: last chunk", "5\r\nhello\r\n0\r\n", NULL, NULL, NULL, CLOSE_OK},
    {"incomplete: trailers", "0\r\nA: b\r\n", NULL, NULL, NULL, CLOSE_OK},
    {"incomplete: the last LF", "0\r\nA: b\r\n\r", NULL, NULL, NULL, CLOSE_OK},
    {"incomplete: the largest chunk", "7fffffffffffffff\r\nx", NULL, NULL, NULL, CLOSE_OK},

    /* R5 */
    {"empty size", "\r\nx\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"no digit", "x\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"0x", "0x5\r\nhello\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"sign", "+5\r\nhello\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"minus", "-1\r\nhello\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"space before", " 5\r\nhello\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"space behind", "5 \r\nhello\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"space before the extension", "5 ;a\r\nhello\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"underscore", "5_\r\nhello\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"digit and rubbish", "5g\r\nhello\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"17 digits", "0" ZEROS_16 "\r\n\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"2^64", "10000000000000000\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"2^64-1", "ffffffffffffffff\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"2^63", "8000000000000000\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"2^64+5: an overflow would read 5", "10000000000000005\r\nhello\r\n0\r\n\r\n", NULL, NULL,
     NULL, CLOSE_BAD_CHUNK},
    {"bare LF behind the size", "5\nhello\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"bare CR behind the size", "5\rhello\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"CR CR LF", "5\r\r\nhello\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"bare LF in an extension", "5;a\nhello\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"bare CR in an extension", "5;a\rb\r\nhello\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"control character in an extension", "5;\x01\r\nhello\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"extension of 65", "1;" EXT_63 "4\r\nx\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"a line without end", "1;" EXT_63 EXT_63, NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"data shorter than its size", "6\r\nhello\r\n0\r\n\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"data longer than its size", "4\r\nhello\r\n0\r\n\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"bare LF behind the data", "5\r\nhello\n0\r\n\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"bare CR behind the data", "5\r\nhello\rx", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"nothing behind the data", "5\r\nhello0\r\n\r\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"last chunk with bare LF", "0\n\n", NULL, NULL, NULL, CLOSE_BAD_CHUNK},
    {"end with bare LF", "0\r\n\n", NULL, NULL, NULL, CLOSE_BAD_TRAILER},
    {"end with bare CR", "0\r\n\rx", NULL, NULL, NULL, CLOSE_BAD_TRAILER},
    {"request where trailers should be", "0\r\nGET / HTTP/1.1\r\n\r\n", NULL, NULL, NULL,
     CLOSE_BAD_TRAILER},
    {"trailer without colon", "0\r\nAb\r\n\r\n", NULL, NULL, NULL, CLOSE_BAD_TRAILER},
    {"trailer with a space before the colon", "0\r\nA : b\r\n\r\n", NULL, NULL, NULL,
     CLOSE_BAD_TRAILER},
    {"trailer without a name", "0\r\n: b\r\n\r\n", NULL, NULL, NULL, CLOSE_BAD_TRAILER},
    {"folded trailer", "0\r\nA: b\r\n c\r\n\r\n", NULL, NULL, NULL, CLOSE_BAD_TRAILER},
    {"R9: underscore in a trailer", "0\r\nX_Y: b\r\n\r\n", NULL, NULL, NULL, CLOSE_BAD_TRAILER},
    {"control character in a trailer", "0\r\nA: \x02\r\n\r\n", NULL, NULL, NULL, CLOSE_BAD_TRAILER},
    {"bare LF in a trailer", "0\r\nA: b\nC: d\r\n\r\n", NULL, NULL, NULL, CLOSE_BAD_TRAILER},
};

static const char *next_of(const char *bytes)
{
    const char *get = strstr(bytes, "GET");
    return get != NULL ? get : bytes + strlen(bytes);
}

/* One body, in one mode, `step` bytes at a time. */
static void check(size_t i, enum h1_body_mode mode, size_t step)
{
    static struct result result;
    struct slice bytes = slice_from(cases[i].bytes);
    read_body(&result, chunked(mode, false), bytes, step);
    const char *want = mode == H1_BODY_FRAMED ? cases[i].framed : cases[i].data;
    enum h1_verdict verdict = cases[i].data != NULL         ? H1_DONE
                              : cases[i].reason == CLOSE_OK ? H1_MORE
                                                            : H1_BAD;
    ck_assert_msg(result.verdict == verdict, "%s, %zu at a time: %d", cases[i].rule, step,
                  (int)result.verdict);
    if (verdict == H1_BAD) {
        ck_assert_msg(result.reason == cases[i].reason, "%s", cases[i].rule);
    }
    if (verdict == H1_DONE) {
        ck_assert_msg(slice_eq(slice_of(result.out, result.out_len), slice_from(want)),
                      "%s, %zu at a time: '%.*s'", cases[i].rule, step, (int)result.out_len,
                      result.out);
        ck_assert_msg(
            slice_eq(slice_of(result.trailers, result.trailers_len), slice_from(cases[i].trailers)),
            "%s, %zu at a time: '%.*s'", cases[i].rule, step, (int)result.trailers_len,
            result.trailers);
        ck_assert_uint_eq(result.consumed, (size_t)(next_of(cases[i].bytes) - cases[i].bytes));
        ck_assert_uint_eq(result.total, strlen(cases[i].data));
    }
}

START_TEST(reads_chunks_the_same_however_they_come)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t step = 1; step <= strlen(cases[i].bytes); step++) {
            check(i, H1_BODY_DECODED, step);
            check(i, H1_BODY_FRAMED, step);
        }
    }
}
END_TEST

/* In two pieces: all that comes out together is what comes out at once. */
START_TEST(reads_chunks_the_same_cut_anywhere)
{
    const struct slice bytes = SLICE(
        "5;x\r\nhello\r\n00B\r\n, wonderful\r\n6\r\n world\r\n0;y\r\nA: b\r\nCc: d\r\n\r\nrest");
    for (int mode = H1_BODY_DECODED; mode <= H1_BODY_FRAMED; mode++) {
        static struct result whole;
        read_body(&whole, chunked((enum h1_body_mode)mode, true), bytes, bytes.len);
        ck_assert_int_eq(whole.verdict, H1_DONE);
        ck_assert_uint_eq(whole.trailer_fields, 2);
        for (size_t step = 1; step < bytes.len; step++) {
            static struct result parts;
            read_body(&parts, chunked((enum h1_body_mode)mode, true), bytes, step);
            ck_assert_int_eq(parts.verdict, H1_DONE);
            ck_assert_uint_eq(parts.consumed, whole.consumed);
            ck_assert_uint_eq(parts.trailer_fields, 2);
            ck_assert(
                slice_eq(slice_of(parts.out, parts.out_len), slice_of(whole.out, whole.out_len)));
            ck_assert(slice_eq(slice_of(parts.trailers, parts.trailers_len),
                               slice_of(whole.trailers, whole.trailers_len)));
        }
    }
}
END_TEST

START_TEST(canonical_chunks_stay_where_they_are)
{
    char bytes[] = "5\r\nhello\r\n6\r\n world\r\n";
    struct h1_body body = chunked(H1_BODY_FRAMED, true);
    struct h1_body_piece piece;
    ck_assert_int_eq(h1_body_feed(&body, bytes, sizeof(bytes) - 1, &piece), H1_MORE);
    ck_assert_ptr_eq(piece.out.ptr, bytes);
    ck_assert_uint_eq(piece.out.len, sizeof(bytes) - 1);
    ck_assert_uint_eq(piece.consumed, sizeof(bytes) - 1);
}
END_TEST

START_TEST(a_bad_answer_has_the_servers_reason)
{
    static const char *const bad[] = {"x\r\n", "0\r\nA b\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        static struct result result;
        read_body(&result, chunked(H1_BODY_DECODED, true), slice_from(bad[i]), 100);
        ck_assert_int_eq(result.verdict, H1_BAD);
        ck_assert_uint_eq(result.reason, CLOSE_BAD_RESPONSE_FRAMING);
    }
}
END_TEST

/* Repeats a trailer line `count` times behind a last chunk. */
static struct slice trailers_of(char *out, const char *line, size_t count, bool end)
{
    size_t len = 3;
    memcpy(out, "0\r\n", 3);
    for (size_t i = 0; i < count; i++) {
        memcpy(out + len, line, strlen(line));
        len += strlen(line);
    }
    if (end) {
        memcpy(out + len, "\r\n", 2);
        len += 2;
    }
    return slice_of(out, len);
}

START_TEST(trailers_are_bounded)
{
    static char bytes[OUT_MAX];
    static struct result result;
    static char line_128[129];
    (void)snprintf(line_128, sizeof(line_128), "A: %0123d\r\n", 0);
    ck_assert_uint_eq(strlen(line_128), 128);

    static const struct {
        const char *line;
        size_t count;
        bool end;
        enum h1_verdict want;
    } bounds[] = {
        {"A: b\r\n", 64, true, H1_DONE},
        {"A: b\r\n", 65, true, H1_BAD},
        {line_128, 64, true, H1_DONE},
        {line_128, 65, false, H1_BAD},
        {"AAAAAAAAAAAAAAAA", 512, false, H1_MORE},
        {"AAAAAAAAAAAAAAAA", 513, false, H1_BAD},
    };
    for (size_t i = 0; i < ARRAY_LEN(bounds); i++) {
        struct slice body = trailers_of(bytes, bounds[i].line, bounds[i].count, bounds[i].end);
        static const size_t steps[] = {1, 3, 1000, OUT_MAX};
        for (size_t s = 0; s < ARRAY_LEN(steps); s++) {
            read_body(&result, chunked(H1_BODY_DECODED, false), body, steps[s]);
            ck_assert_msg(result.verdict == bounds[i].want, "%zu, %zu at a time: %d", i, steps[s],
                          (int)result.verdict);
        }
    }
}
END_TEST

START_TEST(a_length_is_counted_down)
{
    static struct result result;
    struct h1_body body;
    for (size_t step = 1; step < 12; step++) {
        h1_body_init(&body, FRAMING_LENGTH, 5, H1_BODY_DECODED, false);
        read_body(&result, body, SLICE("helloGET / H"), step);
        ck_assert_int_eq(result.verdict, H1_DONE);
        ck_assert_uint_eq(result.consumed, 5);
        ck_assert_uint_eq(result.total, 5);
        ck_assert(slice_eq(slice_of(result.out, result.out_len), SLICE("hello")));
    }

    char bytes[] = "hello";
    struct h1_body_piece piece;
    h1_body_init(&body, FRAMING_LENGTH, INT64_MAX, H1_BODY_DECODED, false);
    ck_assert_int_eq(h1_body_feed(&body, bytes, 5, &piece), H1_MORE);
    ck_assert_uint_eq(h1_body_opaque_left(&body), (uint64_t)INT64_MAX - 5);
    ck_assert(!h1_body_may_end_at_close(&body));
}
END_TEST

START_TEST(bytes_that_were_moved_elsewhere_count)
{
    struct h1_body body;
    char bytes[] = "ab";
    struct h1_body_piece piece;
    h1_body_init(&body, FRAMING_LENGTH, 100, H1_BODY_DECODED, true);
    ck_assert_int_eq(h1_body_feed(&body, bytes, 2, &piece), H1_MORE);
    ck_assert_uint_eq(h1_body_opaque_left(&body), 98);
    ck_assert(!h1_body_skip(&body, 97));
    ck_assert_uint_eq(h1_body_opaque_left(&body), 1);
    ck_assert(!h1_body_may_end_at_close(&body));
    ck_assert(h1_body_skip(&body, 1));
    ck_assert_uint_eq(body.total, 100);
    ck_assert(h1_body_may_end_at_close(&body));
    ck_assert_int_eq(h1_body_feed(&body, NULL, 0, &piece), H1_DONE);
}
END_TEST

START_TEST(framings_without_an_end_of_their_own)
{
    static const struct {
        enum framing framing;
        enum h1_verdict want;
        size_t consumed;
        bool may_end;
    } kinds[] = {
        {FRAMING_NONE, H1_DONE, 0, true},
        {FRAMING_LENGTH, H1_DONE, 0, true}, /* of 0 */
        {FRAMING_UNTIL_CLOSE, H1_MORE, 3, true},
        {FRAMING_TUNNEL, H1_MORE, 3, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        char bytes[] = "abc";
        struct h1_body body;
        struct h1_body_piece piece;
        h1_body_init(&body, kinds[i].framing, 0, H1_BODY_DECODED, true);
        ck_assert_int_eq(h1_body_feed(&body, NULL, 0, &piece), kinds[i].want);
        ck_assert_uint_eq(piece.out.len, 0);
        ck_assert_int_eq(h1_body_feed(&body, bytes, 3, &piece), kinds[i].want);
        ck_assert_uint_eq(piece.consumed, kinds[i].consumed);
        ck_assert_uint_eq(piece.out.len, kinds[i].consumed);
        ck_assert(h1_body_may_end_at_close(&body) == kinds[i].may_end);
        ck_assert_uint_eq(h1_body_opaque_left(&body), 0);
    }
    struct h1_body body = chunked(H1_BODY_DECODED, true);
    ck_assert(!h1_body_may_end_at_close(&body));
    ck_assert_uint_eq(h1_body_opaque_left(&body), 0);
}
END_TEST

START_TEST(chunk_heads_are_hexadecimal)
{
    static const struct {
        uint64_t size;
        const char *want;
    } heads[] = {
        {1, "1\r\n"},
        {15, "f\r\n"},
        {16, "10\r\n"},
        {65536, "10000\r\n"},
        {0xabcdef, "abcdef\r\n"},
        {UINT64_MAX, "ffffffffffffffff\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        char out[H1_CHUNK_HEAD_MAX];
        size_t len = h1_chunk_head(out, heads[i].size);
        ck_assert(slice_eq(slice_of(out, len), slice_from(heads[i].want)));
    }
}
END_TEST

START_TEST(trailers_pass_without_what_frames_routes_or_is_ours)
{
    static const struct {
        const char *raw;
        const char *want;
    } kinds[] = {
        {"", ""},
        {"grpc-status: 0\r\ngrpc-message: ok: fine\r\n",
         "grpc-status: 0\r\ngrpc-message: ok: fine\r\n"},
        {"Content-Length: 5\r\nA: b\r\nTransfer-Encoding: chunked\r\n", "A: b\r\n"},
        {"Host: x\r\nX-Forwarded-For: 1\r\nConnection: close\r\nUpgrade: y\r\n", ""},
        /* no parser of ours lets them in, but it is not for the filter to lean on that */
        {"X_Forwarded_For: 1\r\nx.real.ip: 2\r\nA_B: 3\r\n", "A_B: 3\r\n"},
        {"Cookie: a\r\nSet-Cookie: b\r\nAuthorization: c\r\nServer-Timing: d\r\n",
         "Server-Timing: d\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        char out[256];
        struct slice raw = slice_from(kinds[i].raw);
        size_t len = h1_trailers_filter(raw, out, raw.len);
        ck_assert_msg(slice_eq(slice_of(out, len), slice_from(kinds[i].want)), "%s: %.*s",
                      kinds[i].raw, (int)len, out);
        if (len != 0) {
            ck_assert_uint_eq(h1_trailers_filter(raw, out, len - 1), 0);
        }
    }
}
END_TEST

UNIT_TESTS("h1_body", reads_chunks_the_same_however_they_come, reads_chunks_the_same_cut_anywhere,
           canonical_chunks_stay_where_they_are, a_bad_answer_has_the_servers_reason,
           trailers_are_bounded, a_length_is_counted_down, bytes_that_were_moved_elsewhere_count,
           framings_without_an_end_of_their_own, chunk_heads_are_hexadecimal,
           trailers_pass_without_what_frames_routes_or_is_ours)
