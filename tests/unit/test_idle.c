#include <sys/socket.h>
#include <unistd.h>

#include "lbd/upstream/idle.h"
#include "lbd/upstream/upstream_conn.h"
#include "tests/unit/unit.h"
#include "tests/unit/upstream_stand.h"

static struct upstream_stand stand;

static void quiet(struct conn *conn)
{
    (void)conn;
}

static const struct conn_ops in_use_ops = {
    .on_readable = quiet, .on_room = quiet, .on_timeout = quiet};

static void begin(uint32_t servers)
{
    struct upstream_stand_options options = {.servers = servers, .idle_ms = 60000};
    upstream_stand_open(&stand, &options);
}

static struct upstream_conn *opened;

static void on_opened(struct upstream_conn_waiter *waiter, struct upstream_conn *conn,
                      enum close_reason reason)
{
    (void)waiter;
    (void)reason;
    ck_assert_ptr_nonnull(conn);
    opened = conn;
}

/* A connection as after a clean answer, and the server's end of it. */
static struct upstream_conn *clean(uint32_t i, int *theirs)
{
    struct upstream_conn_waiter waiter = {.fn = on_opened};
    enum close_reason reason;
    opened = NULL;
    ck_assert_int_ne(
        upstream_conn_open(&stand.upstream, stand.pool, i, NULL, &waiter, &opened, &reason),
        UPSTREAM_FAILED);
    loop_stand_until(&stand.base, opened != NULL);
    *theirs = upstream_stand_accept(&stand, i);
    struct upstream_conn *self = opened;
    self->conn.ops = &in_use_ops;
    loop_stand_settle(&stand.base);
    return self;
}

static uint32_t idle_count(uint32_t i)
{
    return upstream_server(&stand.upstream, stand.servers[i]->id)->idle_count;
}

START_TEST(the_newest_is_taken_first)
{
    enum { COUNT = 5 };
    begin(1);
    struct upstream_conn *conns[COUNT];
    int theirs[COUNT];
    ck_assert_ptr_null(idle_take(&stand.upstream, &stand.pool->members[0], 0));
    for (size_t i = 0; i < COUNT; i++) {
        conns[i] = clean(0, &theirs[i]);
        idle_give(&stand.upstream, conns[i]);
        ck_assert_uint_eq(idle_count(0), i + 1);
    }
    for (size_t i = COUNT; i-- > 0;) {
        ck_assert_ptr_eq(idle_take(&stand.upstream, &stand.pool->members[0], 0), conns[i]);
        ck_assert(!conns[i]->is_idle);
    }
    ck_assert_ptr_null(idle_take(&stand.upstream, &stand.pool->members[0], 0));
    for (size_t i = 0; i < COUNT; i++) {
        upstream_conn_end(&stand.upstream, conns[i]);
        (void)close(theirs[i]);
    }
    upstream_stand_close(&stand);
}
END_TEST

START_TEST(each_server_has_its_own)
{
    begin(2);
    int theirs[2];
    struct upstream_conn *first = clean(0, &theirs[0]);
    struct upstream_conn *second = clean(1, &theirs[1]);
    idle_give(&stand.upstream, first);
    idle_give(&stand.upstream, second);
    ck_assert_ptr_eq(idle_take(&stand.upstream, &stand.pool->members[0], 0), first);
    ck_assert_ptr_null(idle_take(&stand.upstream, &stand.pool->members[0], 0));
    ck_assert_ptr_eq(idle_take(&stand.upstream, &stand.pool->members[1], 0), second);
    idle_give(&stand.upstream, first);
    idle_give(&stand.upstream, second);
    idle_close_all(&stand.upstream);
    ck_assert_uint_eq(idle_count(0) + idle_count(1), 0);
    for (size_t i = 0; i < 2; i++) {
        ck_assert(peer_sees_end(theirs[i]));
        (void)close(theirs[i]);
    }
    upstream_stand_close(&stand);
}
END_TEST

START_TEST(a_byte_or_an_end_while_idle_closes)
{
    for (int what = 0; what < 3; what++) {
        begin(1);
        int theirs;
        idle_give(&stand.upstream, clean(0, &theirs));
        if (what == 0) {
            peer_say(theirs, "x");
        } else if (what == 1) {
            ck_assert_int_eq(shutdown(theirs, SHUT_WR), 0);
        } else {
            peer_reset(theirs);
        }
        loop_stand_until(&stand.base, idle_count(0) == 0);
        ck_assert_ptr_null(idle_take(&stand.upstream, &stand.pool->members[0], 0));
        if (what < 2) {
            (void)close(theirs);
        }
        upstream_stand_close(&stand);
    }
}
END_TEST

START_TEST(an_address_of_another_version_is_not_used)
{
    begin(1);
    int theirs[3];
    for (size_t i = 0; i < 3; i++) {
        idle_give(&stand.upstream, clean(0, &theirs[i]));
    }
    struct pool_member moved = stand.pool->members[0];
    moved.address_version = 2;
    ck_assert_ptr_null(idle_take(&stand.upstream, &moved, 0));
    ck_assert_uint_eq(idle_count(0), 0); /* all of the old one are closed */
    for (size_t i = 0; i < 3; i++) {
        loop_stand_until(&stand.base, peer_sees_end(theirs[i]));
        (void)close(theirs[i]);
    }
    upstream_stand_close(&stand);
}
END_TEST

START_TEST(an_idle_one_ends_at_its_timeout)
{
    begin(1);
    int theirs;
    struct upstream_conn *conn = clean(0, &theirs);
    idle_give(&stand.upstream, conn);
    upstream_stand_tick(&stand, 59000);
    ck_assert_ptr_eq(idle_take(&stand.upstream, &stand.pool->members[0], 0), conn);
    idle_give(&stand.upstream, conn); /* used: a new time begins */
    upstream_stand_tick(&stand, 59000);
    ck_assert_uint_eq(idle_count(0), 1);
    upstream_stand_tick(&stand, 1100);
    ck_assert_uint_eq(idle_count(0), 0);
    loop_stand_until(&stand.base, peer_sees_end(theirs));
    (void)close(theirs);
    upstream_stand_close(&stand);
}
END_TEST

START_TEST(a_server_that_is_not_to_be_used_keeps_none)
{
    begin(2);
    int theirs[5];
    for (size_t i = 0; i < 3; i++) {
        idle_give(&stand.upstream, clean(0, &theirs[i]));
    }
    idle_give(&stand.upstream, clean(1, &theirs[3]));
    (void)server_set_admin(stand.servers[0], SERVER_DRAIN, 0);
    struct upstream_conn *late = clean(0, &theirs[4]);
    idle_give(&stand.upstream, late); /* comes back after the drain began: closed at once */
    ck_assert_uint_eq(idle_count(0), 3);
    idle_sweep(&stand.upstream);
    upstream_stand_tick(&stand, 50);
    ck_assert_uint_eq(idle_count(0), 0);
    ck_assert_uint_eq(idle_count(1), 1); /* the other one's stay */
    for (size_t i = 0; i < 5; i++) {
        ck_assert(peer_sees_end(theirs[i]) == (i != 3));
        (void)close(theirs[i]);
    }
    upstream_stand_close(&stand);
}
END_TEST

START_TEST(a_drain_is_noticed_without_a_sweep)
{
    begin(1);
    int theirs;
    idle_give(&stand.upstream, clean(0, &theirs));
    (void)server_set_admin(stand.servers[0], SERVER_MAINT, 0);
    for (int i = 0; i < 4 && idle_count(0) > 0; i++) {
        upstream_stand_tick(&stand, 600);
    }
    ck_assert_uint_eq(idle_count(0), 0);
    (void)close(theirs);
    upstream_stand_close(&stand);
}
END_TEST

START_TEST(surplus_is_closed_the_oldest_first_and_64_stay)
{
    enum { COUNT = 200, BUSY = 100, KEEP = 64 };
    begin(1);
    static struct upstream_conn *conns[COUNT];
    static int theirs[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        conns[i] = clean(0, &theirs[i]);
        idle_give(&stand.upstream, conns[i]);
    }
    /* a load that uses 100 of them in every half second: those stay */
    for (int round = 0; round < 6; round++) {
        struct upstream_conn *busy[BUSY];
        for (size_t i = 0; i < BUSY; i++) {
            busy[i] = idle_take(&stand.upstream, &stand.pool->members[0], 0);
            ck_assert_ptr_nonnull(busy[i]);
        }
        for (size_t i = BUSY; i-- > 0;) {
            idle_give(&stand.upstream, busy[i]);
        }
        for (int step = 0; step < 6; step++) {
            upstream_stand_tick(&stand, 100);
        }
    }
    ck_assert_uint_eq(idle_count(0), BUSY + KEEP);
    /* the oldest went */
    ck_assert(peer_sees_end(theirs[0]));
    ck_assert(peer_sees_end(theirs[COUNT - BUSY - KEEP - 1]));
    ck_assert(!peer_sees_end(theirs[COUNT - BUSY - KEEP]));
    ck_assert(!peer_sees_end(theirs[COUNT - 1]));
    /* and without a load only the 64 */
    for (int step = 0; step < 60; step++) {
        upstream_stand_tick(&stand, 100);
    }
    ck_assert_uint_eq(idle_count(0), KEEP);
    for (size_t i = 0; i < COUNT; i++) {
        (void)close(theirs[i]);
    }
    upstream_stand_close(&stand);
}
END_TEST

START_TEST(all_together_have_a_part_of_the_descriptors)
{
    enum { COUNT = 40, MOST = 16 };
    begin(2);
    struct upstream_conn *conns[COUNT];
    int theirs[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        conns[i] = clean((uint32_t)(i % 2), &theirs[i]);
    }
    stand.upstream.idle_max = MOST;
    for (size_t i = 0; i < COUNT; i++) {
        idle_give(&stand.upstream, conns[i]);
        upstream_stand_tick(&stand, 10);
        ck_assert_uint_le(idle_count(0) + idle_count(1), MOST);
    }
    ck_assert_uint_eq(idle_count(0) + idle_count(1), MOST);
    size_t ended = 0;
    for (size_t i = 0; i < COUNT; i++) {
        bool has_ended = peer_sees_end(theirs[i]);
        ck_assert(!has_ended || i < COUNT - MOST / 2); /* who waits longest goes, by and large */
        ended += has_ended ? 1 : 0;
        (void)close(theirs[i]);
    }
    ck_assert_uint_eq(ended, COUNT - MOST);
    idle_close_all(&stand.upstream);
    ck_assert_uint_eq(stand.upstream.idle_count, 0);
    upstream_stand_close(&stand);
}
END_TEST

START_TEST(an_empty_stand_sleeps)
{
    begin(1);
    int theirs;
    idle_give(&stand.upstream, clean(0, &theirs));
    ck_assert(loop_timer_is_set(&stand.upstream.trim));
    struct upstream_conn *conn = idle_take(&stand.upstream, &stand.pool->members[0], 0);
    upstream_conn_end(&stand.upstream, conn);
    upstream_stand_tick(&stand, 2000);
    upstream_stand_tick(&stand, 2000);
    ck_assert(!loop_timer_is_set(&stand.upstream.trim)); /* no wake-ups for nothing */
    (void)close(theirs);
    upstream_stand_close(&stand);
}
END_TEST

UNIT_TESTS("idle", the_newest_is_taken_first, each_server_has_its_own,
           a_byte_or_an_end_while_idle_closes, an_address_of_another_version_is_not_used,
           an_idle_one_ends_at_its_timeout, a_server_that_is_not_to_be_used_keeps_none,
           a_drain_is_noticed_without_a_sweep, surplus_is_closed_the_oldest_first_and_64_stay,
           all_together_have_a_part_of_the_descriptors, an_empty_stand_sleeps)
