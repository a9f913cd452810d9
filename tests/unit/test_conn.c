#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/base/now.h"
#include "lbd/net/conn.h"
#include "tests/unit/loop_stand.h"
#include "tests/unit/unit.h"

#define LONG_BYTES (1024U * 1024)

static struct loop_stand stand;

/* Our end, with what its owner was told. */
struct end {
    struct conn conn;
    unsigned readable;
    unsigned room;
    unsigned timeouts;
    bool reads;          /* everything, when it is told */
    bool closes_on_room; /* in the middle of an event */
    char *got;
    size_t got_len;
    enum conn_read_verdict last;
    int peer;
};

static void read_all(struct end *end)
{
    while ((end->conn.flags & CONN_READ_READY) != 0) {
        size_t got;
        end->last = conn_read(&end->conn, end->got + end->got_len, LONG_BYTES, &got);
        end->got_len += got;
        if (end->last != CONN_READ_BYTES) {
            break;
        }
    }
}

static void on_readable(struct conn *conn)
{
    struct end *end = container_of(conn, struct end, conn);
    ck_assert_uint_eq(conn->flags & CONN_CLOSED, 0);
    end->readable++;
    if (end->reads) {
        read_all(end);
    }
}

static void on_room(struct conn *conn)
{
    struct end *end = container_of(conn, struct end, conn);
    ck_assert(!conn_is_blocked(conn));
    end->room++;
    if (end->closes_on_room) {
        conn_close(conn);
    }
}

static void on_timeout(struct conn *conn)
{
    container_of(conn, struct end, conn)->timeouts++;
}

static const struct conn_ops ops = {
    .on_readable = on_readable,
    .on_room = on_room,
    .on_timeout = on_timeout,
};

static void begin(struct end *end, bool tcp)
{
    int ours;
    memset(end, 0, sizeof(*end));
    loop_stand_open(&stand);
    (tcp ? loop_stand_tcp_pair : loop_stand_unix_pair)(&ours, &end->peer);
    end->got = malloc(2 * (size_t)LONG_BYTES);
    end->reads = true;
    conn_init(&end->conn, stand.loop, ours, &ops);
    ck_assert(!conn_is_watched(&end->conn));
    ck_assert(conn_watch(&end->conn));
    loop_stand_settle(&stand);
    ck_assert_uint_eq(end->readable + end->room, 0); /* nothing is no news */
}

static void end_all(struct end *end)
{
    conn_close(&end->conn);
    conn_close(&end->conn); /* twice does no harm */
    if (end->peer >= 0) {
        (void)close(end->peer);
    }
    free(end->got);
    loop_stand_close(&stand);
}

static bool write_pattern(struct end *end, size_t len, size_t from, int pieces_wanted)
{
    char *bytes = malloc(len);
    struct iovec pieces[16];
    pattern_fill(bytes, len, from, 3);
    size_t at = 0;
    for (int i = 0; i < pieces_wanted; i++) {
        size_t part = i + 1 == pieces_wanted ? len - at : len / (size_t)pieces_wanted;
        pieces[i] = (struct iovec){.iov_base = bytes + at, .iov_len = part};
        at += part;
    }
    bool ok = conn_write(&end->conn, pieces, pieces_wanted);
    free(bytes); /* nothing points into it afterwards */
    return ok;
}

/* The peer reads until it has `len` bytes. */
static void peer_expects(struct end *end, size_t len)
{
    char *bytes = malloc(len + 1);
    size_t got = 0;
    for (int i = 0; i < LOOP_STAND_TURNS && got < len; i++) {
        got += peer_read(end->peer, bytes + got, len - got);
        loop_stand_turn(&stand);
    }
    ck_assert_uint_eq(got, len);
    ck_assert_uint_eq(pattern_differs(bytes, len, 0, 3), SIZE_MAX);
    free(bytes);
}

START_TEST(a_short_write_waits_and_is_sent_in_order)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        for (int pieces = 1; pieces <= 16; pieces += 5) {
            struct end end;
            begin(&end, tcp != 0);
            loop_stand_small_buffers(end.conn.fd);
            ck_assert(write_pattern(&end, LONG_BYTES, 0, pieces));
            ck_assert(conn_is_blocked(&end.conn));
            ck_assert_uint_eq(end.conn.flags & CONN_WRITE_READY, 0);
            ck_assert(write_pattern(&end, 1000, LONG_BYTES, 1)); /* queues behind */
            loop_stand_settle(&stand);
            ck_assert_uint_eq(end.room, 0); /* the peer has read nothing */
            peer_expects(&end, LONG_BYTES + 1000);
            loop_stand_until(&stand, !conn_is_blocked(&end.conn));
            ck_assert_uint_eq(end.room, 1); /* told once, when all was sent */
            ck_assert_uint_eq(stand.net.buffered_bytes, 0);
            end_all(&end);
        }
    }
}
END_TEST

START_TEST(a_write_that_fits_waits_nowhere)
{
    struct end end;
    begin(&end, true);
    ck_assert(write_pattern(&end, 1000, 0, 3));
    ck_assert(!conn_is_blocked(&end.conn));
    ck_assert_uint_eq(stand.net.buffered_bytes, 0);
    peer_expects(&end, 1000);
    ck_assert_uint_eq(end.room, 0);
    end_all(&end);
}
END_TEST

START_TEST(an_unwatched_connection_is_watched_when_it_is_blocked)
{
    struct end end;
    begin(&end, true);
    loop_watch_stop(&end.conn.watch);
    ck_assert(write_pattern(&end, 1000, 0, 1));
    ck_assert(!conn_is_watched(&end.conn));
    peer_expects(&end, 1000);
    loop_stand_small_buffers(end.conn.fd);
    ck_assert(write_pattern(&end, LONG_BYTES, 0, 1));
    ck_assert(conn_is_watched(&end.conn));
    peer_expects(&end, LONG_BYTES);
    loop_stand_until(&stand, end.room == 1);
    end_all(&end);
}
END_TEST

START_TEST(reading_forgets_readiness_when_nothing_is_left)
{
    struct end end;
    size_t got;
    char bytes[10];
    begin(&end, true);
    end.reads = false;
    peer_say(end.peer, "0123456789abcde");
    loop_stand_until(&stand, end.readable == 1);
    ck_assert_uint_ne(end.conn.flags & CONN_READ_READY, 0);
    loop_stand_settle(&stand);
    ck_assert_uint_eq(end.readable, 1); /* an edge */
    ck_assert_int_eq(conn_read(&end.conn, bytes, 10, &got), CONN_READ_BYTES);
    ck_assert_uint_eq(got, 10);
    ck_assert_uint_ne(end.conn.flags & CONN_READ_READY, 0); /* exactly full: there may be more */
    ck_assert_int_eq(conn_read(&end.conn, bytes, 10, &got), CONN_READ_BYTES);
    ck_assert_uint_eq(got, 5);
    ck_assert_uint_eq(end.conn.flags & CONN_READ_READY, 0);
    ck_assert_int_eq(conn_read(&end.conn, bytes, 10, &got), CONN_READ_NOTHING);
    ck_assert_uint_eq(got, 0);
    peer_say(end.peer, "x");
    loop_stand_until(&stand, end.readable == 2);
    end_all(&end);
}
END_TEST

START_TEST(the_end_is_seen_after_the_last_byte)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        struct end end;
        begin(&end, tcp != 0);
        peer_say(end.peer, "last");
        ck_assert_int_eq(shutdown(end.peer, SHUT_WR), 0);
        loop_stand_until(&stand, (end.conn.flags & CONN_EOF) != 0);
        ck_assert_int_eq(end.last, CONN_READ_END);
        ck_assert_uint_eq(end.got_len, 4);
        ck_assert_uint_ne(end.conn.flags & CONN_PEER_CLOSED, 0);
        ck_assert(!conn_was_reset(&end.conn)); /* a half-close: it still reads */
        ck_assert(write_pattern(&end, 100, 0, 1));
        peer_expects(&end, 100);
        end_all(&end);
    }
}
END_TEST

START_TEST(a_reset_is_told_from_an_end)
{
    struct end end;
    size_t got;
    char bytes[10];
    begin(&end, true);
    end.reads = false;
    ck_assert(!conn_was_reset(&end.conn));
    peer_reset(end.peer);
    end.peer = -1;
    loop_stand_until(&stand, end.readable > 0);
    ck_assert(conn_was_reset(&end.conn));
    ck_assert(conn_was_reset(&end.conn)); /* and is remembered */
    ck_assert_int_eq(conn_read(&end.conn, bytes, 10, &got), CONN_READ_FAILED);
    ck_assert(!write_pattern(&end, 10, 0, 1));
    end_all(&end);

    begin(&end, true);
    peer_reset(end.peer);
    end.peer = -1;
    loop_stand_until(&stand, (end.conn.flags & CONN_BROKEN) != 0);
    ck_assert_int_eq(end.last, CONN_READ_FAILED);
    end_all(&end);
}
END_TEST

START_TEST(a_peer_that_goes_while_bytes_wait_is_told_by_reading)
{
    struct end end;
    begin(&end, true);
    loop_stand_small_buffers(end.conn.fd);
    ck_assert(write_pattern(&end, LONG_BYTES, 0, 1));
    peer_reset(end.peer);
    end.peer = -1;
    loop_stand_until(&stand, end.readable > 0);
    ck_assert_uint_ne(end.conn.flags & (CONN_BROKEN | CONN_WRITE_BROKEN), 0);
    ck_assert_uint_eq(end.room, 0);
    end_all(&end);
}
END_TEST

START_TEST(shut_ends_our_side_after_what_waits)
{
    struct end end;
    begin(&end, true);
    conn_shut(&end.conn);
    conn_shut(&end.conn);
    loop_stand_until(&stand, peer_sees_end(end.peer));
    ck_assert(!write_pattern(&end, 1, 0, 1));
    peer_say(end.peer, "still heard");
    loop_stand_until(&stand, end.got_len == 11);
    end_all(&end);

    begin(&end, true);
    loop_stand_small_buffers(end.conn.fd);
    ck_assert(write_pattern(&end, LONG_BYTES, 0, 1));
    conn_shut(&end.conn);
    ck_assert_uint_ne(end.conn.flags & CONN_SHUT_WANTED, 0);
    ck_assert(!write_pattern(&end, 1, 0, 1));
    peer_expects(&end, LONG_BYTES);
    loop_stand_until(&stand, (end.conn.flags & CONN_SHUT) != 0);
    loop_stand_until(&stand, peer_sees_end(end.peer));
    ck_assert_uint_eq(end.conn.flags & CONN_SHUT_WANTED, 0);
    end_all(&end);
}
END_TEST

START_TEST(closing_frees_what_waits_and_silences_the_rest)
{
    struct end end;
    begin(&end, true);
    loop_stand_small_buffers(end.conn.fd);
    ck_assert(write_pattern(&end, LONG_BYTES, 0, 1));
    ck_assert(flow_put(&stand.net, &end.conn.in, SLICE("kept")));
    conn_again(&end.conn);
    conn_deadline(&end.conn, 0);
    peer_say(end.peer, "never read");
    conn_close(&end.conn);
    ck_assert_uint_eq(stand.net.buffered_bytes, 0);
    ck_assert_int_eq(end.conn.fd, -1);
    loop_stand_settle(&stand);
    loop_stand_turn(&stand);
    ck_assert_uint_eq(end.readable + end.room + end.timeouts, 0);
    end_all(&end);
}
END_TEST

START_TEST(an_owner_may_close_in_the_middle_of_an_event)
{
    struct end end;
    begin(&end, true);
    loop_stand_small_buffers(end.conn.fd);
    ck_assert(write_pattern(&end, 64 * 1024, 0, 1));
    ck_assert(conn_is_blocked(&end.conn));
    end.closes_on_room = true;
    peer_say(end.peer, "readable too");
    char *bytes = malloc(64 * 1024);
    loop_stand_until(&stand, (peer_read(end.peer, bytes, 64 * 1024), end.room == 1));
    free(bytes);
    loop_stand_settle(&stand);
    ck_assert_uint_ne(end.conn.flags & CONN_CLOSED, 0);
    end_all(&end);
}
END_TEST

START_TEST(another_turn_comes_once)
{
    struct end end;
    begin(&end, true);
    conn_again(&end.conn);
    conn_again(&end.conn);
    loop_run_once(stand.loop, 0);
    loop_run_once(stand.loop, 0);
    ck_assert_uint_eq(end.readable, 1);
    end_all(&end);
}
END_TEST

START_TEST(one_deadline_that_can_be_moved_and_taken_back)
{
    struct end end;
    now_set_for_test(1000000000, 1700000000000000ULL);
    begin(&end, true);
    conn_deadline(&end.conn, 100);
    conn_deadline(&end.conn, 500);
    now_set_for_test(1000400000, 1700000000000000ULL);
    loop_run_once(stand.loop, 0);
    ck_assert_uint_eq(end.timeouts, 0);
    now_set_for_test(1000520000, 1700000000000000ULL);
    loop_run_once(stand.loop, 0);
    ck_assert_uint_eq(end.timeouts, 1);
    conn_deadline(&end.conn, 100);
    conn_no_deadline(&end.conn);
    now_set_for_test(1005000000, 1700000000000000ULL);
    loop_run_once(stand.loop, 0);
    ck_assert_uint_eq(end.timeouts, 1);
    now_set_for_test(0, 0);
    end_all(&end);
}
END_TEST

UNIT_TESTS("conn", a_short_write_waits_and_is_sent_in_order, a_write_that_fits_waits_nowhere,
           an_unwatched_connection_is_watched_when_it_is_blocked,
           reading_forgets_readiness_when_nothing_is_left, the_end_is_seen_after_the_last_byte,
           a_reset_is_told_from_an_end, a_peer_that_goes_while_bytes_wait_is_told_by_reading,
           shut_ends_our_side_after_what_waits, closing_frees_what_waits_and_silences_the_rest,
           an_owner_may_close_in_the_middle_of_an_event, another_turn_comes_once,
           one_deadline_that_can_be_moved_and_taken_back)
