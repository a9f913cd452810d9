#include <string.h>

#include <zlib.h>

#include "lbd/filter/gzip_coder.h"
#include "tests/unit/unit.h"

#define MOST ((size_t)512 * 1024)

struct stand {
    struct net_worker net;
    struct gzip_pool pool;
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
    gzip_pool_fini(&stand->pool, &stand->net);
    ck_assert_uint_eq(stand->net.held_bytes, 0);
    net_worker_fini(&stand->net);
    free(stand->coded);
    free(stand->plain);
}

/* Pieces of `step` bytes; each is flushed, or only the end. */
static void code(struct stand *stand, struct slice text, size_t step, enum gzip_push push)
{
    struct gzip_coder *coder = gzip_coder_take(&stand->pool, &stand->net, 4);
    ck_assert_ptr_nonnull(coder);
    stand->coded_len = 0;
    bool is_last;
    do {
        size_t part = text.len < step ? text.len : step;
        struct slice in = slice_of(text.ptr, part);
        bool more;
        text = slice_from_at(text, part);
        is_last = text.len == 0;
        do {
            struct slice out;
            more = gzip_coder_run(&stand->pool, coder, &in, is_last ? GZIP_END : push, &out);
            ck_assert_uint_le(stand->coded_len + out.len, MOST);
            memcpy(stand->coded + stand->coded_len, out.ptr, out.len);
            stand->coded_len += out.len;
        } while (more);
        ck_assert_uint_eq(in.len, 0);
    } while (!is_last);
    gzip_coder_give(&stand->pool, &stand->net, coder);
}

/* What zlib reads in it, `*is_whole` when the gzip ends there. */
static size_t decode(struct stand *stand, size_t len, bool *is_whole)
{
    z_stream z = {.next_in = (Bytef *)stand->coded,
                  .avail_in = (uInt)len,
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

static void fill(char *text, size_t len, bool is_noise)
{
    uint32_t random = 1;
    for (size_t i = 0; i < len; i++) {
        random = random * 1664525U + 1013904223U;
        text[i] = is_noise ? (char)(random >> 24) : "the quick brown fox\n"[i % 20];
    }
}

START_TEST(whatever_the_pieces_it_is_the_same_text)
{
    static const size_t steps[] = {1, 7, 100, 4096, 65536, MOST};
    struct stand stand;
    char *text = malloc(200000);
    open_stand(&stand);
    for (int noise = 0; noise < 2; noise++) {
        fill(text, 200000, noise == 1);
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
            for (int flush = 0; flush < 2; flush++) {
                size_t len = steps[i] < 100 ? 3000 : 200000;
                bool is_whole;
                code(&stand, slice_of(text, len), steps[i], flush ? GZIP_FLUSH : GZIP_MORE);
                size_t got = decode(&stand, stand.coded_len, &is_whole);
                ck_assert(is_whole);
                ck_assert_uint_eq(got, len);
                ck_assert_int_eq(memcmp(stand.plain, text, len), 0);
                ck_assert(noise || steps[i] < 100 || stand.coded_len < len / 2);
            }
        }
    }
    code(&stand, SLICE(""), 1, GZIP_MORE);
    bool is_whole;
    ck_assert_uint_eq(decode(&stand, stand.coded_len, &is_whole), 0);
    ck_assert(is_whole);
    free(text);
    close_stand(&stand);
}
END_TEST

START_TEST(a_flushed_piece_can_be_read)
{
    struct stand stand;
    struct slice in = SLICE("data: one\n\n");
    struct slice out;
    bool is_whole;
    open_stand(&stand);
    struct gzip_coder *coder = gzip_coder_take(&stand.pool, &stand.net, 9);
    ck_assert(!gzip_coder_run(&stand.pool, coder, &in, GZIP_FLUSH, &out));
    memcpy(stand.coded, out.ptr, out.len);
    ck_assert_uint_eq(decode(&stand, out.len, &is_whole), 11);
    ck_assert(!is_whole);
    gzip_coder_give(&stand.pool, &stand.net, coder); /* in the middle */
    code(&stand, SLICE("again"), 9, GZIP_MORE);
    ck_assert_uint_eq(decode(&stand, stand.coded_len, &is_whole), 5);
    ck_assert(is_whole);
    close_stand(&stand);
}
END_TEST

START_TEST(there_are_so_many_and_no_more)
{
    static struct gzip_coder *coders[GZIP_CODERS_MAX];
    struct stand stand;
    open_stand(&stand);
    for (size_t i = 0; i < GZIP_CODERS_MAX; i++) {
        coders[i] = gzip_coder_take(&stand.pool, &stand.net, 1);
        ck_assert_ptr_nonnull(coders[i]);
    }
    ck_assert_ptr_null(gzip_coder_take(&stand.pool, &stand.net, 1));
    ck_assert_uint_le(stand.net.held_bytes, (size_t)GZIP_CODERS_MAX * 80 * 1024);
    for (size_t i = 0; i < GZIP_CODERS_MAX; i++) {
        gzip_coder_give(&stand.pool, &stand.net, coders[i]);
    }
    ck_assert_uint_eq(stand.pool.kept_count, GZIP_CODERS_KEPT);
    net_worker_limit(&stand.net, 1000);
    ck_assert_ptr_null(gzip_coder_take(&stand.pool, &stand.net, 1)); /* memory is short */
    net_worker_limit(&stand.net, SIZE_MAX);
    close_stand(&stand);
}
END_TEST

UNIT_TESTS("gzip_coder", whatever_the_pieces_it_is_the_same_text, a_flushed_piece_can_be_read,
           there_are_so_many_and_no_more)
