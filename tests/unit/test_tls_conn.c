#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/tls/tls_conn.h"
#include "tests/unit/loop_stand.h"
#include "tests/unit/tls_files.h"
#include "tests/unit/unit.h"

#define LONG_BYTES (3U * 1024 * 1024)

static struct loop_stand stand;
static struct tls_files files;
static struct tls_context *contexts[2];

/* One end of a connection, both on the same loop. */
struct end {
    struct conn conn;
    bool is_open;
    bool is_failed;
    bool reads;
    bool has_ended;
    char *got;
    size_t got_len;
    unsigned room;
};

static struct end server;
static struct end client;

static bool is_shaken(struct end *end)
{
    if (!end->is_open && !end->is_failed) {
        end->is_open = end->conn.transport->handshake(&end->conn) == 0;
        end->is_failed = !end->is_open && errno != EAGAIN;
    }
    return end->is_open;
}

static void on_readable(struct conn *conn)
{
    struct end *end = container_of(conn, struct end, conn);
    while (is_shaken(end) && end->reads && !end->has_ended &&
           (conn->flags & CONN_READ_READY) != 0) {
        size_t got = 0;
        enum conn_read_verdict verdict = conn_read(conn, end->got + end->got_len, 20000, &got);
        end->got_len += got;
        end->has_ended = verdict == CONN_READ_END;
        end->is_failed = end->is_failed || verdict == CONN_READ_FAILED;
        if (verdict != CONN_READ_BYTES) {
            break;
        }
    }
}

static void on_room(struct conn *conn)
{
    struct end *end = container_of(conn, struct end, conn);
    (void)is_shaken(end);
    end->room++;
}

static void on_timeout(struct conn *conn)
{
    (void)conn;
}

static const struct conn_ops ops = {
    .on_readable = on_readable, .on_room = on_room, .on_timeout = on_timeout};

static void open_end(struct end *end, int fd, struct tls_context *context, const char *name)
{
    struct err err = {0};
    memset(end, 0, sizeof(*end));
    end->got = malloc(LONG_BYTES + 65536);
    end->reads = true;
    conn_init(&end->conn, stand.loop, fd, &ops);
    ck_assert(!tls_conn_is_one(&end->conn));
    ck_assert_msg(tls_conn_init(&end->conn, context, name, &err), "%s", err.text);
    ck_assert(tls_conn_is_one(&end->conn));
    ck_assert(conn_watch(&end->conn));
}

static void begin(bool has_small_buffers)
{
    struct err err = {0};
    int ours;
    int theirs;
    tls_files_begin(&files);
    const struct tls_context_options options[] = {
        {.is_server = true, .chain_file = files.chain, .key_file = files.key},
        {.ca_file = files.ca}};
    for (int i = 0; i < 2; i++) {
        contexts[i] = tls_context_new(&options[i], &err);
        ck_assert_msg(contexts[i] != NULL, "%s", err.text);
    }
    loop_stand_open(&stand);
    loop_stand_tcp_pair(&ours, &theirs);
    if (has_small_buffers) {
        loop_stand_small_buffers(ours);
        loop_stand_small_buffers(theirs);
    }
    open_end(&server, ours, contexts[0], NULL);
    open_end(&client, theirs, contexts[1], "localhost");
    (void)is_shaken(&client);
    loop_stand_until(&stand, server.is_open && client.is_open);
}

static void close_all(void)
{
    conn_close(&server.conn);
    conn_close(&client.conn);
    free(server.got);
    free(client.got);
    tls_context_unref(contexts[0]);
    tls_context_unref(contexts[1]);
    loop_stand_close(&stand);
    tls_files_end(&files);
}

/* In pieces, as writers do. */
static void write_pattern(struct end *end, size_t len, size_t from)
{
    char *bytes = malloc(len);
    pattern_fill(bytes, len, from, 3);
    struct iovec pieces[] = {
        {bytes, len / 100}, {bytes + len / 100, 0}, {bytes + len / 100, len - len / 100}};
    ck_assert(conn_write(&end->conn, pieces, 3));
    free(bytes);
}

START_TEST(bytes_pass_both_ways_through_small_buffers)
{
    begin(true);
    write_pattern(&client, LONG_BYTES, 0); /* most of it waits: the kernel takes little */
    write_pattern(&server, LONG_BYTES / 2, 0);
    ck_assert(conn_is_blocked(&client.conn));
    loop_stand_until(&stand, server.got_len == LONG_BYTES && client.got_len == LONG_BYTES / 2);
    ck_assert_uint_eq(pattern_differs(server.got, server.got_len, 0, 3), SIZE_MAX);
    ck_assert_uint_eq(pattern_differs(client.got, client.got_len, 0, 3), SIZE_MAX);
    ck_assert(!conn_is_blocked(&client.conn));
    ck_assert_uint_gt(client.room, 0);
    close_all();
}
END_TEST

START_TEST(who_does_not_read_brakes_the_other)
{
    begin(true);
    server.reads = false;
    write_pattern(&client, LONG_BYTES, 0);
    loop_stand_settle(&stand);
    ck_assert(conn_is_blocked(&client.conn));
    ck_assert_uint_eq(server.got_len, 0);
    server.reads = true;
    on_readable(&server.conn); /* what lies inside OpenSSL wakes nobody */
    loop_stand_until(&stand, server.got_len == LONG_BYTES);
    ck_assert_uint_eq(pattern_differs(server.got, server.got_len, 0, 3), SIZE_MAX);
    close_all();
}
END_TEST

START_TEST(one_way_ends_and_the_other_goes_on)
{
    begin(false);
    write_pattern(&client, 100000, 0);
    conn_shut(&client.conn); /* once all is sent */
    loop_stand_until(&stand, server.has_ended);
    ck_assert_uint_eq(server.got_len, 100000);
    write_pattern(&server, 100000, 0);
    loop_stand_until(&stand, client.got_len == 100000);
    conn_shut(&server.conn);
    loop_stand_until(&stand, client.has_ended);
    ck_assert(!client.is_failed && !server.is_failed);
    close_all();
}
END_TEST

/* The end comes with the bytes and there is no further event for it. */
START_TEST(an_end_right_behind_bytes_is_seen)
{
    begin(false);
    server.reads = false;
    write_pattern(&client, 5000, 0);
    conn_shut(&client.conn);
    loop_stand_settle(&stand);
    server.reads = true;
    on_readable(&server.conn);
    loop_stand_until(&stand, server.has_ended);
    ck_assert_uint_eq(server.got_len, 5000);
    close_all();
}
END_TEST

START_TEST(a_cut_connection_fails)
{
    begin(false);
    ck_assert_int_eq(shutdown(client.conn.fd, SHUT_RDWR), 0);
    loop_stand_until(&stand, server.is_failed);
    ck_assert(!server.has_ended);
    close_all();
}
END_TEST

UNIT_TESTS("tls_conn", bytes_pass_both_ways_through_small_buffers,
           who_does_not_read_brakes_the_other, one_way_ends_and_the_other_goes_on,
           an_end_right_behind_bytes_is_seen, a_cut_connection_fails)
