#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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

static const struct relay_ops plain_ops = {.done = on_done};

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

static struct relay_paces paces;

static void count(uint64_t length, uint32_t from_idle_ms, uint32_t to_idle_ms)
{
    paces = (struct relay_paces){.from_rule = {.idle_ms = from_idle_ms},
                                 .to_rule = {.idle_ms = to_idle_ms}};
    relay_count(&relay, &a, &b, length, &paces, on_done);
}

/* Moves `length` from a to b while the peer sends `sent` bytes and reads `per_turn` a turn. */
static void count_case(size_t sent, size_t length, size_t per_turn)
{
    struct talk source = talk_new(sent, 1, 0);
    struct talk sink = talk_new(0, 0, sent);
    count(length, IDLE_MS, IDLE_MS);
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
    count(BIG, IDLE_MS, IDLE_MS);
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
        count(5000, IDLE_MS, IDLE_MS);
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
        count(BIG, IDLE_MS, IDLE_MS);
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
    count(BIG, IDLE_MS, IDLE_MS);
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
        count(BIG, IDLE_MS, IDLE_MS);
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
    count(BIG, IDLE_MS, IDLE_MS * 5);
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
    count(BIG, IDLE_MS * 5, IDLE_MS);
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

/* R3: 1,000 bytes a second, with a second of grace. Who is only slow is never silent. */
static void count_at_a_rate(bool from)
{
    count(BIG, 3600000, 3600000);
    struct pace_rule *rule = from ? &paces.from_rule : &paces.to_rule;
    rule->bytes_per_s = 1000;
    rule->grace_ms = 1000;
}

START_TEST(a_source_that_trickles_ends_it)
{
    static char bytes[65536];
    for (int slow = 0; slow < 2; slow++) {
        begin();
        count_at_a_rate(true);
        size_t sent = 0;
        for (int i = 0; i < 100 && ended == 0; i++) {
            sent += peer_write(peer_a, bytes, slow != 0 ? 20 : 60);
            loop_stand_until(&stand, relay_moved(&relay, 0) == sent || ended != 0);
            tick(50);
        }
        ck_assert_uint_eq(ended, slow != 0);
        if (slow != 0) {
            ck_assert_int_eq(how, RELAY_FROM_SLOW);
            ck_assert_uint_lt(sent, 50 * 20);
        } else {
            relay_stop(&relay);
        }
        finish();
    }
}
END_TEST

/* The receiver takes a lump, and another one `pause_ms` later; the source has enough. */
static unsigned take_lumps(unsigned lumps, uint64_t pause_ms, size_t *lump)
{
    static char bytes[65536];
    unsigned taken = 0;
    *lump = 0;
    for (int i = 0; i < 100; i++) {
        (void)peer_write(peer_a, bytes, sizeof(bytes));
        loop_run_once(stand.loop, 0);
    }
    while (taken < lumps && ended == 0) {
        uint64_t before = relay_moved(&relay, 0);
        tick(pause_ms);
        loop_stand_until(&stand, ((void)peer_write(peer_a, bytes, sizeof(bytes)),
                                  (void)peer_read(peer_b, bytes, sizeof(bytes)),
                                  relay_moved(&relay, 0) > before || ended != 0));
        *lump += (size_t)(relay_moved(&relay, 0) - before);
        taken++;
    }
    *lump /= taken;
    return taken;
}

START_TEST(a_source_that_waits_for_the_receiver_is_not_slow)
{
    size_t lump;
    begin();
    loop_stand_small_buffers(b.fd);
    loop_stand_small_buffers(peer_b);
    count_at_a_rate(true);
    ck_assert_uint_eq(take_lumps(10, 3600000 - 1000, &lump), 10);
    ck_assert_uint_eq(ended, 0);
    relay_stop(&relay);
    finish();
}
END_TEST

START_TEST(a_receiver_that_takes_too_little_ends_it)
{
    size_t lump;
    begin();
    loop_stand_small_buffers(b.fd);
    loop_stand_small_buffers(peer_b);
    count_at_a_rate(false);
    ck_assert_uint_eq(take_lumps(20, 1, &lump), 20); /* and what is ahead is forgotten: */
    ck_assert_uint_eq(ended, 0);
    paces.to_rule.idle_ms = 4 * (uint32_t)lump;
    ck_assert_uint_lt(take_lumps(50, 3 * lump, &lump), 50); /* a third of the rate */
    ck_assert_uint_eq(ended, 1);
    ck_assert_int_eq(how, RELAY_TO_SLOW);
    finish();
}
END_TEST

START_TEST(an_old_deadline_of_the_receiver_ends_nothing)
{
    begin();
    conn_deadline(&b, 20);
    count(BIG, IDLE_MS, IDLE_MS);
    loop_stand_settle(&stand);
    tick(500);
    ck_assert_uint_eq(ended, 0);
    relay_stop(&relay);
    on_done(&relay, RELAY_DONE);
    finish();

    begin();
    conn_deadline(&b, 20);
    relay_tunnel(&relay, &a, &b, IDLE_MS, &plain_ops);
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
    relay_tunnel(&relay, &a, &b, IDLE_MS, &plain_ops);
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

static uint64_t reported[2];

static void on_moved(struct relay *which, uint64_t a_to_b, uint64_t b_to_a)
{
    ck_assert_ptr_eq(which, &relay);
    ck_assert(a_to_b + b_to_a > 0);
    reported[0] += a_to_b;
    reported[1] += b_to_a;
}

static bool is_under_way(int from, int to)
{
    int unsent = 0;
    int unread = 0;
    ck_assert_int_eq(ioctl(from, SIOCOUTQ, &unsent), 0);
    ck_assert_int_eq(ioctl(to, FIONREAD, &unread), 0);
    return unsent + unread > 0;
}

/* An end that resets right after its last bytes: the other, which reads slowly, gets them all. */
START_TEST(what_was_sent_before_a_reset_goes_on)
{
    for (int which = 0; which < 2; which++) {
        begin();
        int from = which == 0 ? peer_a : peer_b;
        int to = which == 0 ? peer_b : peer_a;
        struct talk talk = talk_new(BIG, 1, BIG);
        relay_tunnel(&relay, &a, &b, IDLE_MS, &plain_ops);
        for (int i = 0; i < 200000 && talk.sent < BIG; i++) {
            talk_send(&talk, from);
            talk_receive(&talk, to, 20000);
            loop_run_once(stand.loop, 0);
        }
        ck_assert_uint_eq(talk.sent, BIG);
        /* the relay has all of it, and the receiver has not */
        for (int i = 0; i < 200000 && is_under_way(from, which == 0 ? a.fd : b.fd); i++) {
            talk_receive(&talk, to, 20000);
            loop_run_once(stand.loop, 0);
        }
        peer_reset(from);
        *(which == 0 ? &peer_a : &peer_b) = -1;
        for (int i = 0; i < 200000 && (talk.got_len < BIG || ended == 0); i++) {
            talk_receive(&talk, to, 20000);
            loop_run_once(stand.loop, 0);
        }
        ck_assert_uint_eq(talk.got_len, BIG);
        ck_assert_uint_eq(pattern_differs(talk.got, BIG, 0, 1), SIZE_MAX);
        ck_assert_int_eq(how, which == 0 ? RELAY_FROM_LOST : RELAY_TO_LOST);
        free(talk.got);
        finish();
    }
}
END_TEST

/* A server that answers and goes away while the client still talks. */
START_TEST(an_answer_is_read_from_who_takes_no_more)
{
    char bytes[64];
    begin();
    relay_tunnel(&relay, &a, &b, IDLE_MS, &plain_ops);
    peer_say(peer_a, "HELO");
    loop_stand_until(&stand, relay_moved(&relay, 0) == 4);
    peer_say(peer_b, "554 go away");
    (void)close(peer_b); /* what it had not read makes it a reset */
    peer_b = -1;
    peer_say(peer_a, "MAIL FROM");
    loop_stand_until(&stand, ended == 1);
    ck_assert_uint_eq(peer_read(peer_a, bytes, sizeof(bytes)), 11);
    ck_assert_int_eq(memcmp(bytes, "554 go away", 11), 0);
    ck_assert_int_eq(how, RELAY_TO_LOST);
    finish();
}
END_TEST

static const struct relay_ops reporting_ops = {.done = on_done, .on_moved = on_moved};

START_TEST(what_went_through_is_reported)
{
    begin();
    reported[0] = 0;
    reported[1] = 0;
    ck_assert(flow_put(&stand.net, &a.in, SLICE("first ")));
    relay_tunnel(&relay, &a, &b, IDLE_MS, &reporting_ops);
    ck_assert_uint_eq(reported[0], 6);
    peer_say(peer_a, "ping");
    loop_stand_until(&stand, relay_moved(&relay, 0) == 10);
    ck_assert_uint_eq(reported[0], 10);
    peer_say(peer_b, "pong!");
    loop_stand_until(&stand, relay_moved(&relay, 1) == 5);
    ck_assert_uint_eq(reported[1], 5);
    peer_say(peer_b, "last");
    ck_assert_int_eq(shutdown(peer_b, SHUT_WR), 0);
    ck_assert_int_eq(shutdown(peer_a, SHUT_WR), 0);
    loop_stand_until(&stand, ended == 1);
    ck_assert_uint_eq(reported[0], 10);
    ck_assert_uint_eq(reported[1], 9);
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
    relay_tunnel(&relay, &a, &b, IDLE_MS, &plain_ops);
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

START_TEST(what_comes_in_bulk_is_spliced)
{
    begin();
    struct talk talks[2] = {talk_new(BIG, 1, BIG), talk_new(BIG, 2, BIG)};
    bool spliced = false;
    relay_tunnel(&relay, &a, &b, IDLE_MS, &plain_ops);
    for (int i = 0; i < 200000 && (talks[0].got_len < BIG || talks[1].got_len < BIG); i++) {
        talk_send(&talks[0], peer_a);
        talk_send(&talks[1], peer_b);
        talk_receive(&talks[0], peer_a, SIZE_MAX);
        talk_receive(&talks[1], peer_b, i % 3 == 0 ? SIZE_MAX : 1000);
        loop_run_once(stand.loop, 0);
        spliced = spliced || stand.net.pipe_count > 0 || relay.ways[0].pipe[0] >= 0;
    }
    ck_assert(spliced);
    ck_assert_uint_eq(talks[0].got_len, BIG);
    ck_assert_uint_eq(talks[1].got_len, BIG);
    ck_assert_uint_eq(pattern_differs(talks[0].got, BIG, 0, 2), SIZE_MAX);
    ck_assert_uint_eq(pattern_differs(talks[1].got, BIG, 0, 1), SIZE_MAX);
    ck_assert_int_eq(shutdown(peer_a, SHUT_WR), 0);
    loop_stand_until(&stand, peer_sees_end(peer_b));
    ck_assert(relay.ways[0].pipe[0] < 0 && relay.ways[1].pipe[0] < 0); /* idle: none */
    ck_assert_int_eq(shutdown(peer_b, SHUT_WR), 0);
    loop_stand_until(&stand, ended == 1);
    ck_assert_int_eq(how, RELAY_DONE);
    free(talks[0].got);
    free(talks[1].got);
    finish();
}
END_TEST

/* Blocks of a 4-byte head and 300 KB that need no look. */
enum { BLOCK_HEAD = 4, BLOCK_BYTES = 300000, BLOCKS = 8 };
static struct {
    uint64_t at; /* of the block */
    uint64_t read;
    uint64_t unread;
} watched;

static uint64_t on_look(struct relay *which, struct slice bytes)
{
    ck_assert_ptr_eq(which, &relay);
    if (bytes.ptr == NULL) {
        ck_assert_uint_le(bytes.len, BLOCK_BYTES - watched.at); /* no more than was allowed */
        watched.unread += bytes.len;
    } else {
        watched.read += bytes.len;
    }
    watched.at = (watched.at + bytes.len) % BLOCK_BYTES;
    return watched.at >= BLOCK_HEAD ? BLOCK_BYTES - watched.at : 0;
}

static const struct relay_ops watching_ops = {.done = on_done, .look = on_look};

START_TEST(who_watches_misses_nothing_that_must_be_seen)
{
    begin();
    memset(&watched, 0, sizeof(watched));
    struct talk talk = talk_new(BLOCKS * BLOCK_BYTES, 3, BLOCKS * BLOCK_BYTES);
    relay_tunnel(&relay, &a, &b, IDLE_MS, &watching_ops);
    for (int i = 0; i < 200000 && talk.got_len < (size_t)BLOCKS * BLOCK_BYTES; i++) {
        talk_send(&talk, peer_b);
        talk_receive(&talk, peer_a, i % 3 == 0 ? SIZE_MAX : 1000);
        loop_run_once(stand.loop, 0);
    }
    ck_assert_uint_eq(talk.got_len, (size_t)BLOCKS * BLOCK_BYTES);
    ck_assert_uint_eq(pattern_differs(talk.got, talk.got_len, 0, 3), SIZE_MAX);
    ck_assert_uint_eq(watched.read + watched.unread, (uint64_t)BLOCKS * BLOCK_BYTES);
    ck_assert_uint_gt(watched.unread, 0);
    ck_assert_uint_eq(watched.at, 0);
    relay_stop(&relay);
    on_done(&relay, RELAY_DONE);
    free(talk.got);
    finish();
}
END_TEST

/* Lets words go on up to their space; "stop " is the last that it looks at. */
static bool keeps_b;

static size_t on_words(struct relay *which, struct slice bytes)
{
    size_t passed = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.ptr[i] == ' ') {
            if (slice_eq(slice_of(bytes.ptr + passed, i + 1 - passed), SLICE("stop "))) {
                relay_hold(which);
                return passed;
            }
            passed = i + 1;
        }
    }
    return passed;
}

static bool on_keeps(struct relay *which)
{
    (void)which;
    return keeps_b;
}

static const struct relay_ops sifting_ops = {.done = on_done, .pass = on_words, .keeps = on_keeps};

static void expect_at_b(const char *text)
{
    char bytes[64];
    loop_stand_settle(&stand);
    size_t len = peer_read(peer_b, bytes, sizeof(bytes));
    ck_assert_msg(slice_eq(slice_of(bytes, len), slice_from(text)), "'%.*s'", (int)len, bytes);
}

START_TEST(who_sifts_keeps_back_what_is_not_whole)
{
    char bytes[64];
    begin();
    keeps_b = false;
    ck_assert(flow_put(&stand.net, &a.in, SLICE("before ha")));
    relay_tunnel(&relay, &a, &b, IDLE_MS, &sifting_ops);
    expect_at_b("before ");
    peer_say(peer_a, "l");
    expect_at_b("");
    peer_say(peer_a, "f and whole sto");
    expect_at_b("half and whole ");
    peer_say(peer_a, "p more ");
    expect_at_b("");
    peer_say(peer_a, "still ");
    expect_at_b("");
    peer_say(peer_b, "hears"); /* the other way goes on */
    loop_stand_settle(&stand);
    ck_assert_uint_eq(peer_read(peer_a, bytes, sizeof(bytes)), 5);
    ck_assert_uint_eq(relay_moved(&relay, 0), 22);
    ck_assert(shutdown(peer_b, SHUT_WR) == 0);
    loop_stand_until(&stand, ended == 1);
    ck_assert_int_eq(how, RELAY_DONE);
    finish();
}
END_TEST

/* "wait " stops it until it is resumed. */
static bool has_waited;

static size_t on_waiting(struct relay *which, struct slice bytes)
{
    if (!has_waited && slice_starts(bytes, SLICE("wait "))) {
        relay_pause(which);
        return 0;
    }
    return bytes.len;
}

/* Bytes before a '!' are dropped. */
static uint64_t on_dropping(struct relay *which, struct slice bytes)
{
    size_t at = bytes.ptr != NULL ? slice_find(bytes, '!') : SIZE_MAX;
    relay_drop(which, at != SIZE_MAX ? at + 1 : 0);
    return 0;
}

static const struct relay_ops waiting_ops = {
    .done = on_done, .pass = on_waiting, .look = on_dropping};

START_TEST(it_may_be_paused_and_bytes_dropped)
{
    char bytes[64];
    begin();
    has_waited = false;
    ck_assert(flow_put(&stand.net, &b.in, SLICE("early!hello ")));
    relay_tunnel(&relay, &a, &b, IDLE_MS, &waiting_ops);
    peer_say(peer_a, "wait for it ");
    expect_at_b("");
    peer_say(peer_a, "and more");
    expect_at_b("");
    peer_say(peer_b, "gone!there");
    loop_stand_settle(&stand);
    size_t len = peer_read(peer_a, bytes, sizeof(bytes));
    ck_assert(slice_eq(slice_of(bytes, len), SLICE("hello there")));
    has_waited = true;
    relay_resume(&relay);
    expect_at_b("wait for it and more");
    relay_stop(&relay);
    on_done(&relay, RELAY_DONE);
    finish();
}
END_TEST

START_TEST(an_end_may_be_kept_from_the_other)
{
    for (int i = 0; i < 2; i++) {
        begin();
        keeps_b = i == 0;
        relay_tunnel(&relay, &a, &b, IDLE_MS, &sifting_ops);
        peer_say(peer_a, "word rest");
        loop_stand_settle(&stand);
        ck_assert(shutdown(peer_a, SHUT_WR) == 0);
        loop_stand_settle(&stand);
        expect_at_b("word ");
        ck_assert_uint_eq(ended, i == 0 ? 1 : 0);
        ck_assert(peer_sees_end(peer_b) == (i == 1));
        if (i == 0) {
            ck_assert_int_eq(how, RELAY_FROM_ENDED);
        } else {
            relay_stop(&relay);
            on_done(&relay, RELAY_DONE);
        }
        finish();
    }
}
END_TEST

static uint32_t segments_sent(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);
    ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    return info.tcpi_segs_out;
}

START_TEST(the_last_bytes_and_the_end_go_out_together)
{
    char got[8];
    begin();
    relay_tunnel(&relay, &a, &b, IDLE_MS, &plain_ops);
    loop_stand_settle(&stand);
    uint32_t before = segments_sent(b.fd);
    ck_assert_int_eq(write(peer_a, "bye", 3), 3);
    ck_assert_int_eq(shutdown(peer_a, SHUT_WR), 0);
    loop_stand_settle(&stand);
    ck_assert_uint_eq(segments_sent(b.fd) - before, 1);
    ck_assert_int_eq(read(peer_b, got, sizeof(got)), 3);
    ck_assert_int_eq(read(peer_b, got, sizeof(got)), 0);
    /* what comes back is not held up */
    ck_assert_int_eq(write(peer_b, "more", 4), 4);
    loop_stand_settle(&stand);
    ck_assert_int_eq(read(peer_a, got, sizeof(got)), 4);
    relay_stop(&relay);
    on_done(&relay, RELAY_DONE);
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
    relay_tunnel(&relay, &a, &b, IDLE_MS, &plain_ops);
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
        relay_tunnel(&relay, &a, &b, IDLE_MS, &plain_ops);
        loop_stand_settle(&stand);
        peer_reset(which == 0 ? peer_a : peer_b);
        *(which == 0 ? &peer_a : &peer_b) = -1;
        loop_stand_until(&stand, ended == 1);
        ck_assert_int_eq(how, which == 0 ? RELAY_FROM_LOST : RELAY_TO_LOST);
        finish();
    }
}
END_TEST

/* Bytes from `from` that have come to `to`, all of them. */
static void pass(int from, int to, size_t len)
{
    static char bytes[65536];
    size_t got = 0;
    memset(bytes, 'x', sizeof(bytes));
    ck_assert_uint_eq(peer_write(from, bytes, len), len);
    loop_stand_until(&stand, (got += peer_read(to, bytes, sizeof(bytes))) == len);
    loop_stand_settle(&stand);
}

START_TEST(little_after_much_is_copied)
{
    begin();
    relay_tunnel(&relay, &a, &b, IDLE_MS, &plain_ops);
    pass(peer_a, peer_b, 20000);
    ck_assert(!relay.ways[0].bulk);
    pass(peer_a, peer_b, 50000);
    ck_assert(relay.ways[0].bulk && !relay.ways[1].bulk);
    pass(peer_b, peer_a, 100); /* the other way's events do not count */
    ck_assert(relay.ways[0].bulk);
    pass(peer_a, peer_b, 40000); /* by its pipe */
    ck_assert_uint_eq(stand.net.pipe_count, 1);
    ck_assert(relay.ways[0].bulk && relay.ways[0].pipe[0] < 0);
    pass(peer_a, peer_b, 100);
    ck_assert(!relay.ways[0].bulk);
    pass(peer_a, peer_b, 100);
    relay_stop(&relay);
    on_done(&relay, RELAY_DONE);
    finish();
}
END_TEST

START_TEST(a_first_byte_that_does_not_come)
{
    for (int which = 0; which < 4; which++) {
        begin();
        relay_tunnel(&relay, &a, &b, IDLE_MS, &plain_ops);
        relay_expect_first(&relay, which == 3 ? 2 * IDLE_MS : IDLE_MS / 4);
        loop_stand_settle(&stand);
        if (which == 0) {
            peer_say(peer_b, "hello?"); /* the server's do not count */
        } else if (which == 1) {
            peer_say(peer_a, "x");
        } else if (which == 2) {
            ck_assert_int_eq(shutdown(peer_a, SHUT_WR), 0); /* an end says that none will come */
        }
        loop_stand_settle(&stand);
        tick(IDLE_MS / 2);
        ck_assert_uint_eq(ended, which == 0 ? 1 : 0);
        tick(2 * IDLE_MS);
        ck_assert_uint_eq(ended, 1);
        ck_assert_int_eq(how, which == 0 ? RELAY_FROM_SILENT : RELAY_FROM_IDLE);
        finish();
    }
}
END_TEST

START_TEST(traffic_either_way_keeps_a_tunnel)
{
    for (int which = 0; which < 2; which++) {
        begin();
        relay_tunnel(&relay, &a, &b, IDLE_MS, &plain_ops);
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
           a_source_that_trickles_ends_it, a_source_that_waits_for_the_receiver_is_not_slow,
           a_receiver_that_takes_too_little_ends_it, an_old_deadline_of_the_receiver_ends_nothing,
           a_tunnel_carries_both_ways_until_both_ends_are_done,
           bytes_read_before_the_tunnel_go_first, what_comes_in_bulk_is_spliced,
           who_watches_misses_nothing_that_must_be_seen, who_sifts_keeps_back_what_is_not_whole,
           an_end_may_be_kept_from_the_other, it_may_be_paused_and_bytes_dropped,
           the_last_bytes_and_the_end_go_out_together, a_half_close_waits_for_what_is_blocked,
           a_tunnel_says_which_end_was_lost, what_was_sent_before_a_reset_goes_on,
           an_answer_is_read_from_who_takes_no_more, what_went_through_is_reported,
           little_after_much_is_copied, a_first_byte_that_does_not_come,
           traffic_either_way_keeps_a_tunnel)
