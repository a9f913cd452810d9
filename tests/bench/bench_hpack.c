/*
 * bench_hpack - what the header block of one HTTP/2 request costs, beside libnghttp2.
 *
 *     bench_hpack              nanoseconds of each step, the best of 30 rounds
 *     bench_hpack again 1000   only this step, so often: for
 *         valgrind --tool=callgrind --toggle-collect=hpack_decode bench_hpack again 1000
 *
 * The blocks are made by libnghttp2 from what a browser sends: "first" fills the tables of both
 * sides, "again" is the same request once more, nearly all of it indexes; "literal" is a client
 * without a table.
 *
 * Memory: static, and libnghttp2's. Threads: the main thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lbd/http/hpack.h"
#include "lbd/http/hpack_encode.h"
#include "tests/bench/h2_session.h"

enum { FIELDS = 100, BYTES = 16384, BLOCK = 4096, ROUNDS = 30, PER_ROUND = 10000 };

static const struct hpack_limits limits = {BYTES, FIELDS};
static struct header list[FIELDS];
static char bytes[BYTES + HPACK_SLACK];
static struct hpack_fields fields = {.bytes = bytes, .capacity = sizeof(bytes)};
static struct hpack_decoder decoder;
static nghttp2_hd_inflater *inflater;
static uint8_t first_block[BLOCK];
static uint8_t again_block[BLOCK];
static uint8_t literal_block[BLOCK];
static size_t first_len;
static size_t again_len;
static size_t literal_len;
static char out[BLOCK];

static void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "bench_hpack: %s failed\n", what);
        exit(EXIT_FAILURE);
    }
}

static size_t deflate_block(nghttp2_hd_deflater *deflater, uint8_t *block)
{
    const nghttp2_nv page[] = {
        h2_session_field(":method", "GET"),
        h2_session_field(":scheme", "https"),
        h2_session_field(":authority", "www.example.com"),
        h2_session_field(":path", "/products/index.html?page=2"),
        h2_session_field("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 "
                                       "Firefox/128.0"),
        h2_session_field("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;"
                                   "q=0.8"),
        h2_session_field("accept-language", "en-US,en;q=0.5"),
        h2_session_field("accept-encoding", "gzip, deflate, br"),
        h2_session_field("cookie", "session=0123456789abcdef0123456789abcde"),
        h2_session_field("upgrade-insecure-requests", "1"),
        h2_session_field("cache-control", "max-age=0"),
    };
    ssize_t len =
        nghttp2_hd_deflate_hd(deflater, block, BLOCK, page, sizeof(page) / sizeof(page[0]));
    must(len > 0, "deflate");
    return (size_t)len;
}

static void make_blocks(void)
{
    nghttp2_hd_deflater *deflater = NULL;
    h2_session_must(nghttp2_hd_deflate_new(&deflater, 4096), "deflater");
    first_len = deflate_block(deflater, first_block);
    again_len = deflate_block(deflater, again_block);
    nghttp2_hd_deflate_del(deflater);
    h2_session_must(nghttp2_hd_deflate_new(&deflater, 0), "deflater");
    literal_len = deflate_block(deflater, literal_block);
    nghttp2_hd_deflate_del(deflater);
}

static void decode(const uint8_t *block, size_t len)
{
    fields.headers.list = list;
    fields.headers.capacity = FIELDS;
    must(hpack_decode(&decoder, slice_of((const char *)block, len), &limits, &fields) == HPACK_OK,
         "decode");
}

static void inflate(const uint8_t *block, size_t len)
{
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, block, len, 1);
        must(used >= 0, "inflate");
        block += used;
        len -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
            (void)nghttp2_hd_inflate_end_headers(inflater);
            return;
        }
    }
}

static void fresh(void)
{
    hpack_decoder_fini(&decoder);
    hpack_decoder_init(&decoder);
    if (inflater != NULL) {
        nghttp2_hd_inflate_del(inflater);
    }
    h2_session_must(nghttp2_hd_inflate_new(&inflater), "inflater");
}

static void fill(void)
{
    fresh();
    decode(first_block, first_len);
    inflate(first_block, first_len);
}

static void first(void)
{
    hpack_decoder_fini(&decoder);
    hpack_decoder_init(&decoder);
    decode(first_block, first_len);
}

static void again(void)
{
    decode(again_block, again_len);
}

static void literal(void)
{
    decode(literal_block, literal_len);
}

static void theirs_again(void)
{
    inflate(again_block, again_len);
}

static void theirs_literal(void)
{
    inflate(literal_block, literal_len);
}

static void answer(void)
{
    static struct hpack_encoder encoder = {.said_no_table = true};
    struct hpack_encode writer;
    hpack_encode_begin(&writer, &encoder, out, sizeof(out));
    hpack_encode_status(&writer, 200);
    hpack_encode_field(&writer, SLICE("Server"), SLICE("origin"));
    hpack_encode_field(&writer, SLICE("Date"), SLICE("Mon, 01 Jan 2024 00:00:00 GMT"));
    hpack_encode_field(&writer, SLICE("Content-Type"), SLICE("text/plain; charset=utf-8"));
    hpack_encode_field(&writer, SLICE("Content-Length"), SLICE("1024"));
    must(hpack_encode_end(&writer) != 0, "encode");
}

typedef void step_fn(void);

static const struct {
    const char *name;
    step_fn *before; /* once */
    step_fn *step;
} steps[] = {
    {"first", fresh, first},
    {"again", fill, again},
    {"nghttp2-again", fill, theirs_again},
    {"literal", fresh, literal},
    {"nghttp2-literal", fresh, theirs_literal},
    {"answer", fresh, answer},
};

static double now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(int argc, char **argv)
{
    const char *only = argc > 2 ? argv[1] : NULL;
    unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : PER_ROUND;
    int rounds = only != NULL ? 1 : ROUNDS;
    make_blocks();
    printf("blocks of %zu, %zu and %zu bytes\n", first_len, again_len, literal_len);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        double best = 1e12;
        if (only != NULL && strcmp(only, steps[i].name) != 0) {
            continue;
        }
        steps[i].before();
        for (int round = 0; round < rounds; round++) {
            double start = now_ns();
            for (unsigned long n = 0; n < count; n++) {
                steps[i].step();
            }
            double each = (now_ns() - start) / (double)count;
            best = each < best ? each : best;
        }
        printf("%-16s %7.1f ns\n", steps[i].name, best);
    }
    hpack_decoder_fini(&decoder);
    nghttp2_hd_inflate_del(inflater);
    return EXIT_SUCCESS;
}
