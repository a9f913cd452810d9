#include <string.h>

#include "api/api_blocks.h"
#include "lbd/base/now.h"
#include "tests/unit/unit.h"

struct counting {
    struct api_blocks blocks;
    int made;
    int pieces;
    bool is_freed;
};

/* Pieces of 10 bytes. */
static bool more(struct api_blocks *blocks, struct buf *out, size_t bytes)
{
    struct counting *self = container_of(blocks, struct counting, blocks);
    while (out->len < bytes && self->made < self->pieces) {
        (void)buf_printf(out, "%09d\n", self->made++);
    }
    return self->made < self->pieces;
}

static void fini(struct api_blocks *blocks)
{
    container_of(blocks, struct counting, blocks)->is_freed = true;
}

static struct api_request request;

static struct api_stream *start(struct counting *self, int pieces)
{
    memset(self, 0, sizeof(*self));
    memset(&request, 0, sizeof(request));
    self->pieces = pieces;
    api_blocks_start(&request, &self->blocks, more, fini);
    ck_assert_ptr_nonnull(request.reply.stream);
    return request.reply.stream;
}

START_TEST(what_is_taken_is_what_was_made)
{
    static const size_t sizes[] = {1, 7, 10, 33, 1000};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct counting self;
        struct api_stream *stream = start(&self, 25);
        struct buf all;
        char piece[1000];
        ssize_t n = 0;
        buf_init(&all, 10000);
        while ((n = stream->read(stream, piece, sizes[i])) > 0) {
            ck_assert_uint_le((size_t)n, sizes[i]);
            ck_assert(buf_append(&all, piece, (size_t)n));
            ck_assert_uint_le(self.blocks.block.len, sizes[i] + 10); /* never much ahead */
        }
        ck_assert_int_eq(n, API_STREAM_END);
        ck_assert_int_eq(stream->read(stream, piece, sizes[i]), API_STREAM_END);
        ck_assert_uint_eq(all.len, 250);
        ck_assert(memcmp(all.data + 240, "000000024\n", 10) == 0);
        ck_assert(!self.is_freed);
        stream->free(stream);
        ck_assert(self.is_freed);
        buf_fini(&all);
    }
}
END_TEST

START_TEST(nothing_at_all_is_an_answer)
{
    struct counting self;
    char out[10];
    struct api_stream *stream = start(&self, 0);
    ck_assert_int_eq(stream->read(stream, out, sizeof(out)), API_STREAM_END);
    stream->free(stream);
}
END_TEST

START_TEST(who_takes_too_long_is_cut_off)
{
    struct counting self;
    char out[10];
    now_set_for_test(1000000, 1000000);
    struct api_stream *stream = start(&self, 100);
    now_set_for_test(1000000 + API_BLOCKS_LIMIT_S * 1000000ULL, 1000000);
    ck_assert_int_eq(stream->read(stream, out, sizeof(out)), 10);
    now_set_for_test(1000001 + API_BLOCKS_LIMIT_S * 1000000ULL, 1000000);
    ck_assert_int_eq(stream->read(stream, out, sizeof(out)), API_STREAM_BROKEN);
    stream->free(stream);
    now_set_for_test(0, 0);
}
END_TEST

UNIT_TESTS("api_blocks", what_is_taken_is_what_was_made, nothing_at_all_is_an_answer,
           who_takes_too_long_is_cut_off)
