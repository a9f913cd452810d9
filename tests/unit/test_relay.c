#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/base/now.h"
#include "lbd/net/relay.h"
#include "tests/unit/loop_stand.h"
#include "tests/unit/unit.h"

#define IDLE_MS 1000
#define BIG     (8U * 1024 * 1024)

/* Two connections with a peer each: `a` (source, client) and `b` (destination, server). */
static struct loop_stand stand;
static struct conn a;
static struct conn b;
static int peer_a;
static int peer_b;
static struct relay relay;
static unsigned ended;
static enum relay_end how;
static uint64_t clock_us;

static void on_event(struct conn *conn)
{
    (void)conn;
}

static const struct conn_ops quiet_ops = {
    .on_readable = on_event, .on_room = on_event, .on_timeout = on_event};

static void on_done(struct relay *done, enum relay_end end)
{
    ck_assert_ptr_eq(done, &relay);
    ended++;
    how = end;
    a.ops = &quiet_ops;
    b.ops = &quiet_ops;
    conn_no_deadline(&a);
    conn_no_deadline(&b);
}

static void tick(uint64_t more_ms)
{
    clock_us += more_ms * 1000;
    now_set_for_test(clock_us, 1700000000000000ULL + clock_us);
    loop_run_once(stand.loop, 0);
}

static void begin(void)
{
    int ours_a;
    int ours_b;
    clock_us = 7000000000ULL;
    now_set_for_test(clock_us, 1700000000000000ULL + clock_us);
    loop_stand_open(&stand);
    loop_stand_tcp_pair(&ours_a, &peer_a);
    loop_stand_tcp_pair(&ours_b, &peer_b);
    conn_init(&a, stand.loop, ours_a, &quiet_ops);
    conn_init(&b, stand.loop, ours_b, &quiet_ops);
    ck_assert(conn_watch(&a));
    ck_assert(conn_watch(&b));
    loop_stand_settle(&stand);
    ended = 0;
}

static void finish(void)
{
    conn_close(&a);
    conn_close(&b);
    if (peer_a >= 0) {
        (void)close(peer_a);
    }
    if (peer_b >= 0) {
        (void)close(peer_b);
    }
    loop_stand_close(&stand);
    now_set_for_test(0, 0);
}

/* One peer's sending and receiving of a long text. */
struct talk {
    size_t to_send;
    size_t sent;
    unsigned seed;
    char *got;
    size_t got_len;
    size_t got_max;
};

static void talk_send(struct talk *talk, int fd)
{
    static char bytes[65536];
    size_t part = talk->to_send - talk->sent;
    part = part < sizeof(bytes) ? part : sizeof(bytes);
    if (part > 0) {
        pattern_fill(bytes, part, talk->sent, talk->seed);
        talk->sent += peer_write(fd, bytes, part);
    }
}

static void talk_receive(struct talk *talk, int fd, size_t at_most)
{
    size_t room = talk->got_max - talk->got_len;
    talk->got_len += peer_read(fd, talk->got + talk->got_len, room < at_most ? room : at_most);
}

static struct talk talk_new(size_t to_send, unsigned seed, size_t to_get)
{
    return (struct talk){
        .to_send = to_send, .seed = seed, .got = malloc(to_get + 64), .got_max = to_get + 64};
}

/* Moves `length` from a to b while the peer sends `sent` bytes and reads `per_turn` a turn. */
static void count_case(size_t sent, size_t length, size_t per_turn)
{
    struct talk source = talk_new(sent, 1, 0);
    struct talk sink = talk_new(0, 0, sent);
    relay_count(&relay, &a, &b, length, IDLE_MS, IDLE_MS, on_done);
    ck_assert_uint_eq(ended, 0); /* never in the caller's call */
    int idle_turns = 0;          /* TCP takes its time with a slow receiver */
    while (idle_turns < LOOP_STAND_TURNS && (ended == 0 || sink.got_len < length)) {
        size_t before = sink.got_len;
        talk_send(&source, peer_a);
        talk_receive(&sink, peer_b, per_turn);
        loop_run_once(stand.loop, sink.got_len == before ? 1 : 0);
        idle_turns = sink.got_len == before ? idle_turns + 1 : 0;
    }
    ck_assert_uint_eq(ended, 1);
    ck_assert_int_eq(how, RELAY_DONE);
    ck_assert_uint_eq(relay_moved(&relay, 0), length);
    ck_assert_uint_eq(sink.got_len, length);
    ck_assert_uint_eq(pattern_differs(sink.got, length, 0, 1), SIZE_MAX);
    loop_stand_settle(&stand);
    talk_receive(&sink, peer_b, 64);
    ck_assert_uint_eq(sink.got_len, length); /* and not a byte more */
    free(source.got);
    free(sink.got);
}

START_TEST(moves_exactly_the_length)
{
    static const size_t lengths[] = {1, 100, 65536, 65537, 262144, 300000, 1500000};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        begin();
        count_case(lengths[i], lengths[i], SIZE_MAX);
        ck_assert_uint_eq(stand.net.pipe_count, 1); /* kept, empty */
        finish();
    }
}
END_TEST

START_TEST(what_follows_the_length_stays)
{
    begin();
    count_case(100000 + 37, 100000, SIZE_MAX);
    static char rest[100];
    size_t got = 0;
    loop_stand_until(&stand, (a.flags & CONN_READ_READY) != 0);
    ck_assert_int_eq(conn_read(&a, rest, sizeof(rest), &got), CONN_READ_BYTES);
    ck_assert_uint_eq(got, 37);
    ck_assert_uint_eq(pattern_differs(rest, 37, 100000, 1), SIZE_MAX);
    finish();
}
END_TEST

START_TEST(a_slow_receiver_gets_all)
{
    begin();
    loop_stand_small_buffers(b.fd);
    loop_stand_small_buffers(peer_b);
    count_case(BIG / 8, BIG / 8, 3000);
    finish();
}
END_TEST

START_TEST(a_slow_source_is_not_held_back)
{
    begin();
    char bytes[1000] = {0};
    size_t got = 0;
    relay_count(&relay, &a, &b, BIG, IDLE_MS, IDLE_MS, on_done);
    ck_assert_uint_eq(peer_write(peer_a, bytes, sizeof(bytes)), sizeof(bytes));
    /* the kernel would keep what is sent "with more to come" for 200 ms */
    for (int i = 0; i < 50 && got < sizeof(bytes); i++) {
        loop_stand_turn(&stand);
        got += peer_read(peer_b, bytes, sizeof(bytes));
    }
    ck_assert_uint_eq(got, sizeof(bytes));
    relay_stop(&relay);
    on_done(&relay, RELAY_DONE);
    finish();
}
END_TEST

START_TEST(much_goes_through_one_pipe_after_another)
{
    begin();
    for (int i = 0; i < 3; i++) {
        ended = 0;
        count_case(BIG, BIG, SIZE_MAX);
    }
    ck_assert_uint_eq(stand.net.pipe_count, 1); /* the same one each time */
    finish();
}
END_TEST

START_TEST(without_a_pipe_it_copies)
{
    begin();
    int lowest = dup(peer_a);
    struct rlimit before;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = (rlim_t)lowest, .rlim_max = before.rlim_max};
    (void)close(lowest);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    count_case(BIG / 4, BIG / 4, SIZE_MAX);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert_uint_eq(stand.net.pipe_count, 0);
    ended = 0;
    loop_stand_small_buffers(b.fd);
    loop_stand_small_buffers(peer_b);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    count_case(200000, 200000, 3000);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    finish();
}
END_TEST

START_TEST(an_early_end_loses_the_source)
{
    for (int reset = 0; reset < 2; reset++) {
        begin();
        char bytes[1000] = {0};
        relay_count(&relay, &a, &b, 5000, IDLE_MS, IDLE_MS, on_done);
        ck_assert_uint_eq(peer_write(peer_a, bytes, sizeof(bytes)), sizeof(bytes));
        loop_stand_until(&stand, relay_moved(&relay, 0) == 1000);
        if (reset != 0) {
            peer_reset(peer_a);
        } else {
            (void)close(peer_a);
        }
        peer_a = -1;
        loop_stand_until(&stand, ended == 1);
        ck_assert_int_eq(how, RELAY_FROM_LOST);
        finish();
    }
}
END_TEST

START_TEST(a_receiver_that_resets_is_lost)
{
    for (int busy = 0; busy < 2; busy++) {
        begin();
        static char bytes[100000];
        relay_count(&relay, &a, &b, BIG, IDLE_MS, IDLE_MS, on_done);
        if (busy != 0) {
            (void)peer_write(peer_a, bytes, sizeof(bytes));
        }
        loop_stand_settle(&stand);
        peer_reset(peer_b);
        peer_b = -1;
        loop_stand_until(&stand, ended == 1);
        ck_assert_int_eq(how, RELAY_TO_LOST);
        ck_assert_uint_le(stand.net.pipe_count, 1);
        finish();
    }
}
END_TEST

START_TEST(a_pipe_that_is_not_empty_is_closed)
{
    begin();
    static char bytes[65536];
    loop_stand_small_buffers(b.fd);
    loop_stand_small_buffers(peer_b);
    relay_count(&relay, &a, &b, BIG, IDLE_MS, IDLE_MS, on_done);
    for (int i = 0; i < 50; i++) {
        (void)peer_write(peer_a, bytes, sizeof(bytes));
        loop_run_once(stand.loop, 0);
    }
    ck_assert_uint_gt(relay.ways[0].in_pipe, 0);
    relay_stop(&relay);
    ck_assert_uint_eq(stand.net.pipe_count, 0);
    ck_assert_uint_eq(ended, 0);
    on_done(&relay, RELAY_DONE);
    finish();
}
END_TEST

START_TEST(a_receiver_that_speaks_ends_it_when_asked_for)
{
    static char bytes[300000];
    static char got[300000];
    for (int slow = 0; slow < 2; slow++) {
        begin();
        if (slow != 0) { /* so that something lies in the pipe */
            loop_stand_small_buffers(b.fd);
            loop_stand_small_buffers(peer_b);
        }
        pattern_fill(bytes, sizeof(bytes), 0, 1);
        relay_count(&relay, &a, &b, BIG, IDLE_MS, IDLE_MS, on_done);
        relay_stop_when_spoken_to(&relay);
        size_t sent = 0;
        for (int i = 0; i < 100; i++) {
            sent += peer_write(peer_a, bytes + sent, sizeof(bytes) - sent);
            loop_run_once(stand.loop, 0);
        }
        peer_say(peer_b, "stop");
        loop_stand_until(&stand, ended == 1);
        ck_assert_int_eq(how, RELAY_TO_SPOKE);
        /* what was read from the source is passed on, to the byte */
        size_t len = 0;
        loop_stand_until(&stand, (len += peer_read(peer_b, got + len, sizeof(got) - len),
                                  len == relay_moved(&relay, 0) && !conn_is_blocked(&b)));
        ck_assert_uint_eq(pattern_differs(got, len, 0, 1), SIZE_MAX);
        char word[8];
        size_t word_len;
        ck_assert_int_eq(conn_read(&b, word, sizeof(word), &word_len), CONN_READ_BYTES);
        ck_assert_uint_eq(word_len, 4);
        size_t rest = 0;
        loop_stand_until(&stand, (rest += peer_read(a.fd, got, sizeof(got)),
                                  sent += peer_write(peer_a, bytes + sent, sizeof(bytes) - sent),
                                  len + rest == sizeof(bytes)));
        finish();
    }
}
END_TEST

START_TEST(a_receiver_that_only_shut_its_side_gets_all)
{
    begin();
    ck_assert_int_eq(shutdown(peer_b, SHUT_WR), 0);
    loop_stand_until(&stand, (b.flags & CONN_PEER_CLOSED) != 0);
    count_case(300000, 300000, SIZE_MAX);
    finish();
}
END_TEST

START_TEST(silence_ends_it_on_the_side_that_is_silent)
{
    static char bytes[65536];
    begin();
    relay_count(&relay, &a, &b, BIG, IDLE_MS, IDLE_MS * 5, on_done);
    loop_stand_settle(&stand);
    tick(IDLE_MS - 100);
    ck_assert_uint_eq(ended, 0);
    (void)peer_write(peer_a, bytes, 10);
    loop_stand_until(&stand, relay_moved(&relay, 0) == 10);
    tick(IDLE_MS - 100); /* it moved: a new deadline */
    ck_assert_uint_eq(ended, 0);
    tick(200);
    ck_assert_uint_eq(ended, 1);
    ck_assert_int_eq(how, RELAY_FROM_IDLE);
    finish();

    begin();
    loop_stand_small_buffers(b.fd);
    loop_stand_small_buffers(peer_b);
    relay_count(&relay, &a, &b, BIG, IDLE_MS * 5, IDLE_MS, on_done);
    for (int i = 0; i < 100; i++) {
        (void)peer_write(peer_a, bytes, sizeof(bytes));
        loop_run_once(stand.loop, 0);
    }
    tick(IDLE_MS * 5 + 100);
    tick(IDLE_MS * 5 + 100); /* the second look finds that nothing moved */
    ck_assert_uint_eq(ended, 1);
    ck_assert_int_eq(how, RELAY_TO_IDLE);
    finish();
}
END_TEST

START_TEST(an_old_deadline_of_the_receiver_ends_nothing)
{
    begin();
    conn_deadline(&b, 20);
    relay_count(&relay, &a, &b, BIG, IDLE_MS, IDLE_MS, on_done);
    loop_stand_settle(&stand);
    tick(500);
    ck_assert_uint_eq(ended, 0);
    relay_stop(&relay);
    on_done(&relay, RELAY_DONE);
    finish();

    begin();
    conn_deadline(&b, 20);
    relay_tunnel(&relay, &a, &b, IDLE_MS, on_done);
    loop_stand_settle(&stand);
    tick(500);
    ck_assert_uint_eq(ended, 0);
    relay_stop(&relay);
    on_done(&relay, RELAY_DONE);
    finish();
}
END_TEST

/* -- tunnels -- */

START_TEST(a_tunnel_carries_both_ways_until_both_ends_are_done)
{
    begin();
    char bytes[32];
    relay_tunnel(&relay, &a, &b, IDLE_MS, on_done);
    peer_say(peer_a, "ping");
    loop_stand_until(&stand, relay_moved(&relay, 0) == 4);
    ck_assert_uint_eq(peer_read(peer_b, bytes, sizeof(bytes)), 4);
    peer_say(peer_b, "pong!");
    loop_stand_until(&stand, relay_moved(&relay, 1) == 5);
    ck_assert_uint_eq(peer_read(peer_a, bytes, sizeof(bytes)), 5);
    ck_assert_int_eq(memcmp(bytes, "pong!", 5), 0);

    peer_say(peer_a, "last");
    ck_assert_int_eq(shutdown(peer_a, SHUT_WR), 0); /* half-close goes through, after the bytes */
    loop_stand_until(&stand, relay_moved(&relay, 0) == 8);
    ck_assert_uint_eq(peer_read(peer_b, bytes, sizeof(bytes)), 4);
    loop_stand_until(&stand, peer_sees_end(peer_b));
    ck_assert_uint_eq(ended, 0);
    peer_say(peer_b, "and back");
    loop_stand_until(&stand, relay_moved(&relay, 1) == 13);
    ck_assert_uint_eq(peer_read(peer_a, bytes, sizeof(bytes)), 8);
    ck_assert(!peer_sees_end(peer_a));
    ck_assert_int_eq(shutdown(peer_b, SHUT_WR), 0);
    loop_stand_until(&stand, ended == 1);
    ck_assert_int_eq(how, RELAY_DONE);
    ck_assert(peer_sees_end(peer_a));
    ck_assert_uint_eq(stand.net.pipe_count, 0); /* so little needs no pipe */
    finish();
}
END_TEST

START_TEST(bytes_read_before_the_tunnel_go_first)
{
    begin();
    char bytes[64];
    ck_assert(flow_put(&stand.net, &a.in, SLICE("first ")));
    ck_assert(flow_put(&stand.net, &b.in, SLICE("hello ")));
    peer_say(peer_a, "second");
    peer_say(peer_b, "there");
    loop_stand_settle(&stand); /* the events came to somebody else */
    relay_tunnel(&relay, &a, &b, IDLE_MS, on_done);
    loop_stand_until(&stand, relay_moved(&relay, 0) == 12 && relay_moved(&relay, 1) == 11);
    ck_assert_uint_eq(peer_read(peer_b, bytes, sizeof(bytes)), 12);
    ck_assert_int_eq(memcmp(bytes, "first second", 12), 0);
    ck_assert_uint_eq(peer_read(peer_a, bytes, sizeof(bytes)), 11);
    ck_assert_int_eq(memcmp(bytes, "hello there", 11), 0);
    relay_stop(&relay);
    on_done(&relay, RELAY_DONE);
    finish();
}
END_TEST

START_TEST(a_busy_tunnel_goes_over_to_splice)
{
    begin();
    struct talk talks[2] = {talk_new(BIG, 1, BIG), talk_new(BIG, 2, BIG)};
    bool spliced = false;
    relay_tunnel(&relay, &a, &b, IDLE_MS, on_done);
    for (int i = 0; i < 200000 && (talks[0].got_len < BIG || talks[1].got_len < BIG); i++) {
        talk_send(&talks[0], peer_a);
        talk_send(&talks[1], peer_b);
        talk_receive(&talks[0], peer_a, SIZE_MAX);
        talk_receive(&talks[1], peer_b, i % 3 == 0 ? SIZE_MAX : 1000);
        loop_run_once(stand.loop, 0);
        spliced = spliced || (relay.ways[0].pipe[0] >= 0 && relay.ways[1].pipe[0] >= 0);
    }
    ck_assert(spliced);
    ck_assert_uint_eq(talks[0].got_len, BIG);
    ck_assert_uint_eq(talks[1].got_len, BIG);
    ck_assert_uint_eq(pattern_differs(talks[0].got, BIG, 0, 2), SIZE_MAX);
    ck_assert_uint_eq(pattern_differs(talks[1].got, BIG, 0, 1), SIZE_MAX);
    ck_assert_int_eq(shutdown(peer_a, SHUT_WR), 0);
    loop_stand_until(&stand, peer_sees_end(peer_b));
    ck_assert_uint_eq(stand.net.pipe_count, 1); /* given back by the way that ended */
    ck_assert_int_eq(shutdown(peer_b, SHUT_WR), 0);
    loop_stand_until(&stand, ended == 1);
    ck_assert_int_eq(how, RELAY_DONE);
    ck_assert_uint_eq(stand.net.pipe_count, 2);
    free(talks[0].got);
    free(talks[1].got);
    finish();
}
END_TEST

START_TEST(a_half_close_waits_for_what_is_blocked)
{
    begin();
    struct talk talk = talk_new(400000, 1, 400000);
    struct talk sink = talk_new(0, 0, 400000);
    loop_stand_small_buffers(b.fd);
    loop_stand_small_buffers(peer_b);
    relay_tunnel(&relay, &a, &b, IDLE_MS, on_done);
    for (int i = 0; i < 100000 && talk.sent < talk.to_send; i++) {
        talk_send(&talk, peer_a);
        talk_receive(&sink, peer_b, 500);
        loop_run_once(stand.loop, 0);
    }
    ck_assert_int_eq(shutdown(peer_a, SHUT_WR), 0);
    for (int i = 0; i < 200000 && !peer_sees_end(peer_b); i++) {
        talk_receive(&sink, peer_b, 500);
        loop_run_once(stand.loop, 0);
    }
    ck_assert_uint_eq(sink.got_len, 400000);
    ck_assert_uint_eq(pattern_differs(sink.got, 400000, 0, 1), SIZE_MAX);
    ck_assert_uint_eq(ended, 0);
    relay_stop(&relay);
    on_done(&relay, RELAY_DONE);
    free(talk.got);
    free(sink.got);
    finish();
}
END_TEST

START_TEST(a_tunnel_says_which_end_was_lost)
{
    for (int which = 0; which < 2; which++) {
        begin();
        relay_tunnel(&relay, &a, &b, IDLE_MS, on_done);
        loop_stand_settle(&stand);
        peer_reset(which == 0 ? peer_a : peer_b);
        *(which == 0 ? &peer_a : &peer_b) = -1;
        loop_stand_until(&stand, ended == 1);
        ck_assert_int_eq(how, which == 0 ? RELAY_FROM_LOST : RELAY_TO_LOST);
        finish();
    }
}
END_TEST

START_TEST(traffic_either_way_keeps_a_tunnel)
{
    for (int which = 0; which < 2; which++) {
        begin();
        relay_tunnel(&relay, &a, &b, IDLE_MS, on_done);
        loop_stand_settle(&stand);
        for (unsigned i = 0; i < 5; i++) {
            tick(IDLE_MS - 100);
            ck_assert_uint_eq(ended, 0);
            peer_say(which == 0 ? peer_a : peer_b, "x");
            loop_stand_until(&stand, relay_moved(&relay, which) == i + 1);
        }
        tick(IDLE_MS - 100);
        ck_assert_uint_eq(ended, 0);
        tick(200);
        ck_assert_uint_eq(ended, 1);
        ck_assert_int_eq(how, RELAY_FROM_IDLE);
        finish();
    }
}
END_TEST

UNIT_TESTS("relay", moves_exactly_the_length, what_follows_the_length_stays,
           a_slow_receiver_gets_all, a_slow_source_is_not_held_back,
           much_goes_through_one_pipe_after_another, without_a_pipe_it_copies,
           an_early_end_loses_the_source, a_receiver_that_resets_is_lost,
           a_pipe_that_is_not_empty_is_closed, a_receiver_that_speaks_ends_it_when_asked_for,
           a_receiver_that_only_shut_its_side_gets_all, silence_ends_it_on_the_side_that_is_silent,
           an_old_deadline_of_the_receiver_ends_nothing,
           a_tunnel_carries_both_ways_until_both_ends_are_done,
           bytes_read_before_the_tunnel_go_first, a_busy_tunnel_goes_over_to_splice,
           a_half_close_waits_for_what_is_blocked, a_tunnel_says_which_end_was_lost,
           traffic_either_way_keeps_a_tunnel)
