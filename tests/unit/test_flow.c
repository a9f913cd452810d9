#include <stdlib.h>
#include <string.h>

#include "lbd/base/random.h"
#include "lbd/net/flow.h"
#include "tests/unit/loop_stand.h"
#include "tests/unit/unit.h"

#define MODEL_BYTES (1024U * 1024)

static struct net_worker net;

static void begin(void)
{
    net_worker_init(&net);
}

static void end(void)
{
    ck_assert_uint_eq(net.buffered_bytes, 0);
    ck_assert_uint_eq(net.small_buffers.objects, 0);
    ck_assert_uint_eq(net.large_buffers.objects, 0);
    net_worker_fini(&net);
}

/* What the flow holds must be bytes from `from` on of the pattern. */
static void check(const struct flow *flow, size_t from, size_t len)
{
    static struct iovec pieces[1024];
    ck_assert_uint_eq(flow_len(flow), len);
    ck_assert(flow_is_empty(flow) == (len == 0));
    int count = flow_pieces(flow, pieces, ARRAY_LEN(pieces));
    size_t seen = 0;
    for (int i = 0; i < count; i++) {
        ck_assert_uint_gt(pieces[i].iov_len, 0);
        ck_assert_uint_eq(pattern_differs(pieces[i].iov_base, pieces[i].iov_len, from + seen, 1),
                          SIZE_MAX);
        seen += pieces[i].iov_len;
    }
    ck_assert_uint_eq(seen, len);
    /* and one by one */
    const struct flow_buffer *at = NULL;
    struct slice piece;
    size_t walked = 0;
    bool is_there = flow_next(flow, &at, &piece);
    ck_assert(is_there == (len > 0));
    while (is_there) {
        ck_assert_uint_eq(pattern_differs(piece.ptr, piece.len, from + walked, 1), SIZE_MAX);
        walked += piece.len;
        is_there = at != NULL && flow_next(flow, &at, &piece);
    }
    ck_assert_uint_eq(walked, len);
    ck_assert_uint_eq(net.buffered_bytes, len);
}

static void put(struct flow *flow, size_t from, size_t len)
{
    char *bytes = malloc(len + 1);
    pattern_fill(bytes, len, from, 1);
    ck_assert(flow_put(&net, flow, slice_of(bytes, len)));
    free(bytes);
}

START_TEST(nothing_owns_nothing)
{
    begin();
    struct flow flow = {0};
    put(&flow, 0, 0);
    check(&flow, 0, 0);
    flow_consume(&net, &flow, 0);
    flow_clear(&net, &flow);
    ck_assert_uint_eq(flow_take(&net, &flow, net.scratch), 0);
    ck_assert_uint_eq(net.small_buffers.objects + net.large_buffers.objects, 0);
    end();
}
END_TEST

START_TEST(little_takes_a_small_buffer_and_more_large_ones)
{
    static const struct {
        size_t len;
        uint32_t small;
        uint32_t large;
    } cases[] = {{1, 1, 0},     {4000, 1, 0},  {4096, 0, 1},  {32000, 0, 1},
                 {36000, 1, 1}, {65536, 1, 2}, {131072, 1, 4}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin();
        struct flow flow = {0};
        put(&flow, 0, cases[i].len);
        check(&flow, 0, cases[i].len);
        ck_assert_uint_eq(net.small_buffers.objects, cases[i].small);
        ck_assert_uint_eq(net.large_buffers.objects, cases[i].large);
        flow_clear(&net, &flow);
        end();
    }
}
END_TEST

START_TEST(single_bytes_fill_their_buffer)
{
    begin();
    struct flow flow = {0};
    for (size_t i = 0; i < 4000; i++) {
        put(&flow, i, 1);
    }
    check(&flow, 0, 4000);
    ck_assert_uint_eq(net.small_buffers.objects, 1);
    for (size_t i = 0; i < 4000; i++) {
        check(&flow, i, 4000 - i);
        flow_consume(&net, &flow, 1);
    }
    check(&flow, 0, 0);
    end();
}
END_TEST

START_TEST(pieces_are_as_many_as_asked_for)
{
    begin();
    struct flow flow = {0};
    struct iovec pieces[2];
    put(&flow, 0, 100000);
    ck_assert_int_eq(flow_pieces(&flow, pieces, 2), 2);
    ck_assert_int_eq(flow_pieces(&flow, pieces, 0), 0);
    ck_assert_uint_eq(pattern_differs(pieces[1].iov_base, pieces[1].iov_len, pieces[0].iov_len, 1),
                      SIZE_MAX);
    flow_clear(&net, &flow);
    end();
}
END_TEST

START_TEST(take_moves_everything)
{
    begin();
    struct flow flow = {0};
    put(&flow, 0, 5000);
    flow_consume(&net, &flow, 4500); /* the first buffer is half used */
    put(&flow, 5000, 100000);
    ck_assert_uint_eq(flow_take(&net, &flow, net.scratch), 100500);
    ck_assert_uint_eq(pattern_differs(net.scratch, 100500, 4500, 1), SIZE_MAX);
    check(&flow, 0, 0);
    put(&flow, 7, 3); /* an empty flow may be used again */
    check(&flow, 7, 3);
    flow_clear(&net, &flow);
    end();
}
END_TEST

START_TEST(random_puts_and_consumptions_keep_order)
{
    begin();
    struct random random;
    struct flow flow = {0};
    size_t put_at = 0;
    size_t got_at = 0;
    random_seed(&random);
    for (int round = 0; round < 3000; round++) {
        static const uint32_t sizes[] = {3, 100, 5000, 40000, 140000};
        uint32_t some = random_below(&random, sizes[random_below(&random, 5)]);
        if (random_below(&random, 2) == 0) {
            put(&flow, put_at, some);
            put_at += some;
        } else {
            size_t part = some < put_at - got_at ? some : put_at - got_at;
            flow_consume(&net, &flow, part);
            got_at += part;
        }
        if (put_at - got_at > MODEL_BYTES) {
            flow_clear(&net, &flow);
            got_at = put_at;
        }
        if (round % 16 == 0) {
            check(&flow, got_at, put_at - got_at);
        }
        ck_assert_uint_eq(flow_len(&flow), put_at - got_at);
    }
    check(&flow, got_at, put_at - got_at);
    flow_clear(&net, &flow);
    end();
}
END_TEST

START_TEST(flows_share_their_worker)
{
    begin();
    struct flow flows[3] = {0};
    for (size_t i = 0; i < 3; i++) {
        char text[] = {(char)('a' + i)};
        for (size_t n = 0; n < 5000; n++) {
            ck_assert(flow_put(&net, &flows[i], slice_of(text, 1)));
        }
    }
    ck_assert_uint_eq(net.buffered_bytes, 15000);
    flow_clear(&net, &flows[1]);
    for (size_t i = 0; i < 3; i += 2) {
        size_t len = flow_take(&net, &flows[i], net.scratch);
        ck_assert_uint_eq(len, 5000);
        for (size_t n = 0; n < len; n++) {
            ck_assert_int_eq(net.scratch[n], (char)('a' + i));
        }
    }
    end();
}
END_TEST

START_TEST(a_worker_holds_so_much_and_no_more)
{
    begin();
    struct flow flows[4] = {{0}, {0}, {0}, {0}};
    net_worker_limit(&net, 3U * FLOW_LARGE_BYTES + FLOW_SMALL_BYTES);
    ck_assert(!net_worker_is_tight(&net));
    put(&flows[0], 0, 2U * FLOW_LARGE_BYTES - 1000);
    ck_assert(!net_worker_is_tight(&net));
    put(&flows[1], 0, FLOW_SMALL_BYTES);
    ck_assert(net_worker_is_tight(&net) && net_worker_is_short(&net));
    static char bytes[FLOW_LARGE_BYTES];
    ck_assert(!flow_put(&net, &flows[2], slice_of(bytes, sizeof(bytes)))); /* and is unchanged */
    ck_assert(flow_is_empty(&flows[2]));
    ck_assert(flow_put(&net, &flows[2], slice_of(bytes, 1)));
    ck_assert(!flow_put(&net, &flows[3], slice_of(bytes, 1)));
    ck_assert_uint_eq(net.held_bytes, 3U * FLOW_LARGE_BYTES + FLOW_SMALL_BYTES);
    flow_clear(&net, &flows[0]);
    ck_assert(!net_worker_is_tight(&net));
    ck_assert(flow_put(&net, &flows[3], slice_of(bytes, sizeof(bytes))));
    for (size_t i = 0; i < ARRAY_LEN(flows); i++) {
        flow_clear(&net, &flows[i]);
    }
    ck_assert_uint_eq(net.held_bytes, 0);
    end();
}
END_TEST

UNIT_TESTS("flow", a_worker_holds_so_much_and_no_more, nothing_owns_nothing,
           little_takes_a_small_buffer_and_more_large_ones, single_bytes_fill_their_buffer,
           pieces_are_as_many_as_asked_for, take_moves_everything,
           random_puts_and_consumptions_keep_order, flows_share_their_worker)
