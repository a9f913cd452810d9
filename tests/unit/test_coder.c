#include <string.h>

#include <zlib.h>

#if LB_BROTLI
#    include <brotli/decode.h>
#endif
#if LB_ZSTD
#    include <zstd.h>
#endif

#include "lbd/base/compiler.h"
#include "lbd/filter/coder.h"
#include "tests/unit/unit.h"

#define MOST     ((size_t)512 * 1024)
#define TEXT_LEN ((size_t)200000)

struct stand {
    struct net_worker net;
    struct coder_pool pool;
    char *coded;
    size_t coded_len;
    char *plain;
};

static void open_stand(struct stand *stand)
{
    memset(stand, 0, sizeof(*stand));
    net_worker_init(&stand->net);
    stand->coded = malloc(MOST);
    stand->plain = malloc(MOST);
}

static void close_stand(struct stand *stand)
{
    coder_pool_fini(&stand->pool, &stand->net);
    ck_assert_uint_eq(stand->net.held_bytes, 0);
    net_worker_fini(&stand->net);
    free(stand->coded);
    free(stand->plain);
}

/* One piece, behind what is coded already; never more memory than the encoding says. */
static void push(struct stand *stand, struct coder *coder, struct slice in, enum coder_push push)
{
    bool has_more = true;
    while (has_more) {
        struct slice out;
        has_more = coder_run(&stand->pool, &stand->net, coder, &in, push, &out);
        ck_assert_uint_le(out.len, CODER_OUT_BYTES);
        ck_assert_uint_le(stand->coded_len + out.len, MOST);
        memcpy(stand->coded + stand->coded_len, out.ptr, out.len);
        stand->coded_len += out.len;
        unit_expect(coder->held_bytes <= coder->ops->most_bytes, "it holds %zu of %zu",
                    coder->held_bytes, coder->ops->most_bytes);
    }
    ck_assert_uint_eq(in.len, 0);
}

/* Pieces of `step` bytes; each is pushed `how`, the last one as the end. */
static void code(struct stand *stand, enum conf_encoding encoding, int level, struct slice text,
                 size_t step, enum coder_push how)
{
    struct coder *coder = coder_take(&stand->pool, &stand->net, encoding, level);
    ck_assert_ptr_nonnull(coder);
    stand->coded_len = 0;
    bool is_last = false;
    while (!is_last) {
        size_t part = text.len < step ? text.len : step;
        struct slice in = slice_of(text.ptr, part);
        text = slice_from_at(text, part);
        is_last = text.len == 0;
        push(stand, coder, in, is_last ? CODER_END : how);
    }
    coder_give(&stand->pool, &stand->net, coder);
}

/* -- what the libraries read in it -- */

static size_t decode_gzip(struct stand *stand, bool *is_whole)
{
    z_stream z = {.next_in = (Bytef *)stand->coded,
                  .avail_in = (uInt)stand->coded_len,
                  .next_out = (Bytef *)stand->plain,
                  .avail_out = (uInt)MOST};
    ck_assert_int_eq(inflateInit2(&z, 15 + 16), Z_OK);
    int how = inflate(&z, Z_SYNC_FLUSH);
    ck_assert_msg(how == Z_OK || how == Z_STREAM_END || how == Z_BUF_ERROR, "inflate: %d", how);
    *is_whole = how == Z_STREAM_END && z.avail_in == 0;
    size_t got = MOST - z.avail_out;
    ck_assert_int_eq(inflateEnd(&z), Z_OK);
    return got;
}

static size_t decode_br(struct stand *stand, bool *is_whole)
{
#if LB_BROTLI
    BrotliDecoderState *state = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    const uint8_t *in = (const uint8_t *)stand->coded;
    uint8_t *out = (uint8_t *)stand->plain;
    size_t in_left = stand->coded_len;
    size_t out_left = MOST;
    BrotliDecoderResult how =
        BrotliDecoderDecompressStream(state, &in_left, &in, &out_left, &out, NULL);
    ck_assert_int_ne(how, BROTLI_DECODER_RESULT_ERROR);
    *is_whole = how == BROTLI_DECODER_RESULT_SUCCESS && in_left == 0;
    BrotliDecoderDestroyInstance(state);
    return MOST - out_left;
#else
    *is_whole = stand == NULL;
    return 0;
#endif
}

static size_t decode_zstd(struct stand *stand, bool *is_whole)
{
#if LB_ZSTD
    ZSTD_DCtx *context = ZSTD_createDCtx();
    ZSTD_inBuffer in = {.src = stand->coded, .size = stand->coded_len};
    ZSTD_outBuffer out = {.dst = stand->plain, .size = MOST};
    size_t left = ZSTD_decompressStream(context, &out, &in);
    ck_assert_msg(!ZSTD_isError(left), "%s", ZSTD_getErrorName(left));
    *is_whole = left == 0 && in.pos == in.size;
    (void)ZSTD_freeDCtx(context);
    return out.pos;
#else
    *is_whole = stand == NULL;
    return 0;
#endif
}

/* `*is_whole` when it ends there. */
static size_t decode(struct stand *stand, enum conf_encoding encoding, bool *is_whole)
{
    static size_t (*const decoders[CONF_ENCODING_COUNT])(struct stand *, bool *) = {
        [CONF_ENCODING_ZSTD] = decode_zstd,
        [CONF_ENCODING_BR] = decode_br,
        [CONF_ENCODING_GZIP] = decode_gzip,
    };
    return decoders[encoding](stand, is_whole);
}

static void check_whole(struct stand *stand, enum conf_encoding encoding, struct slice text)
{
    bool is_whole;
    size_t got = decode(stand, encoding, &is_whole);
    ck_assert_msg(is_whole && got == text.len && memcmp(stand->plain, text.ptr, got) == 0,
                  "%s: %zu of %zu bytes, %s", conf_encoding_word(encoding), got, text.len,
                  is_whole ? "whole" : "not whole");
}

static void fill(char *text, size_t len, bool is_noise)
{
    uint32_t random = 1;
    for (size_t i = 0; i < len; i++) {
        random = random * 1664525U + 1013904223U;
        text[i] = is_noise ? (char)(random >> 24) : "the quick brown fox\n"[i % 20];
    }
}

/* -- tests -- */

/* Runs `test` with each encoding that this build has; gzip is always one. */
static void each(void (*test)(struct stand *stand, enum conf_encoding encoding))
{
    for (enum conf_encoding encoding = 0; encoding < CONF_ENCODING_COUNT; encoding++) {
        if (conf_encoding_is_built(encoding)) {
            struct stand stand;
            open_stand(&stand);
            test(&stand, encoding);
            close_stand(&stand);
        }
    }
}

static void split_anywhere(struct stand *stand, enum conf_encoding encoding)
{
    static const size_t steps[] = {1, 7, 100, 4096, 16384, 65536, MOST};
    char *text = malloc(TEXT_LEN);
    for (int noise = 0; noise < 2; noise++) {
        fill(text, TEXT_LEN, noise == 1);
        for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
            for (int flush = 0; flush < 2; flush++) {
                struct slice all = slice_of(text, steps[i] < 100 ? 3000 : TEXT_LEN);
                code(stand, encoding, 4, all, steps[i], flush ? CODER_FLUSH : CODER_MORE);
                check_whole(stand, encoding, all);
                ck_assert(noise || steps[i] < 100 || stand->coded_len < all.len / 2);
            }
        }
    }
    code(stand, encoding, 4, SLICE(""), 1, CODER_MORE);
    check_whole(stand, encoding, SLICE(""));
    free(text);
}

START_TEST(whatever_the_pieces_it_is_the_same_text)
{
    each(split_anywhere);
}
END_TEST

static void at_every_level(struct stand *stand, enum conf_encoding encoding)
{
    char *text = malloc(TEXT_LEN);
    fill(text, TEXT_LEN, false);
    fill(text, TEXT_LEN / 2, true);
    for (int level = 1; level <= 9; level++) {
        code(stand, encoding, level, slice_of(text, TEXT_LEN), 30000, CODER_MORE);
        check_whole(stand, encoding, slice_of(text, TEXT_LEN));
        ck_assert_uint_lt(stand->coded_len, TEXT_LEN * 3 / 4);
        code(stand, encoding, level, slice_of(text, 5), 3, CODER_FLUSH);
        check_whole(stand, encoding, slice_of(text, 5));
    }
    free(text);
}

START_TEST(levels_and_their_memory)
{
    each(at_every_level);
}
END_TEST

static void flushed(struct stand *stand, enum conf_encoding encoding)
{
    bool is_whole;
    struct coder *coder = coder_take(&stand->pool, &stand->net, encoding, 9);
    stand->coded_len = 0;
    for (size_t n = 1; n <= 3; n++) { /* events, each on its way when it is pushed */
        push(stand, coder, SLICE("data: one\n\n"), CODER_FLUSH);
        ck_assert_uint_eq(decode(stand, encoding, &is_whole), 11 * n);
        ck_assert(!is_whole);
    }
    coder_give(&stand->pool, &stand->net, coder); /* in the middle */
    code(stand, encoding, 9, SLICE("again"), 9, CODER_MORE);
    check_whole(stand, encoding, SLICE("again"));
}

START_TEST(a_flushed_piece_can_be_read)
{
    each(flushed);
}
END_TEST

/* As many as the pool gives; gives them back. */
static uint32_t take_all(struct stand *stand, enum conf_encoding encoding)
{
    static struct coder *coders[4096];
    uint32_t count = 0;
    do {
        coders[count] = coder_take(&stand->pool, &stand->net, encoding, 1);
    } while (coders[count++] != NULL);
    count--;
    for (uint32_t i = 0; i < count; i++) {
        coder_give(&stand->pool, &stand->net, coders[i]);
    }
    return count;
}

static void so_many(struct stand *stand, enum conf_encoding encoding)
{
    uint32_t count = take_all(stand, encoding);
    struct coder *one = coder_take(&stand->pool, &stand->net, encoding, 1);
    const struct coder_ops *ops = one->ops;
    coder_give(&stand->pool, &stand->net, one);
    ck_assert_uint_eq(count, ops->most_taken);
    ck_assert_uint_le(ops->most_taken * ops->most_bytes, (size_t)72 * 1024 * 1024);
    ck_assert_uint_eq(stand->pool.kept_count[encoding], ops->most_kept);
    net_worker_limit(&stand->net, 1000);
    stand->net.held_bytes += 1000;
    ck_assert_ptr_null(coder_take(&stand->pool, &stand->net, encoding, 1)); /* memory is short */
    stand->net.held_bytes -= 1000;
    net_worker_limit(&stand->net, SIZE_MAX);
}

START_TEST(there_are_so_many_and_no_more)
{
    each(so_many);
}
END_TEST

START_TEST(gzip_is_always_there)
{
    ck_assert(conf_encoding_is_built(CONF_ENCODING_GZIP));
    ck_assert_int_eq(conf_encoding_of(SLICE("br")), CONF_ENCODING_BR);
    ck_assert_int_eq(conf_encoding_of(SLICE("BR")), CONF_ENCODING_COUNT);
}
END_TEST

UNIT_TESTS("coder", whatever_the_pieces_it_is_the_same_text, levels_and_their_memory,
           a_flushed_piece_can_be_read, there_are_so_many_and_no_more, gzip_is_always_there)
