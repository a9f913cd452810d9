#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lbd/tls/tls_conn.h"
#include "lbd/upstream/upstream_conn.h"
#include "tests/unit/tls_files.h"
#include "tests/unit/unit.h"
#include "tests/unit/upstream_stand.h"

static struct upstream_stand stand;
static struct tls_files files;

static struct {
    struct upstream_conn_waiter waiter;
    unsigned called;
    struct upstream_conn *conn;
    enum close_reason reason;
} asker;

static struct {
    unsigned count;
    enum close_reason reason;
    char text[256];
} told;

static void on_opened(struct upstream_conn_waiter *waiter, struct upstream_conn *conn,
                      enum close_reason reason)
{
    ck_assert_ptr_eq(waiter, &asker.waiter);
    ck_assert_ptr_null(waiter->conn);
    asker.called++;
    asker.conn = conn;
    asker.reason = reason;
}

static void on_trouble(struct server_trouble *trouble)
{
    told.count++;
    told.reason = trouble->reason;
    (void)snprintf(told.text, sizeof(told.text), "%s", trouble->text);
    server_trouble_free(trouble);
}

static enum upstream_open ask(const struct upstream_client *client)
{
    memset(&asker, 0, sizeof(asker));
    memset(&told, 0, sizeof(told));
    asker.waiter.fn = on_opened;
    return upstream_conn_open(&stand.upstream, stand.pool, 0, client, &asker.waiter, &asker.conn,
                              &asker.reason);
}

static void close_all(int server)
{
    if (asker.conn != NULL) {
        upstream_conn_end(&stand.upstream, asker.conn);
    }
    (void)close(server);
    upstream_stand_close(&stand);
}

/* -- PROXY headers -- */

static const struct addr_small client_address = {
    .ip = {[10] = 0xFF, 0xFF, 192, 0, 2, 7}, .port = 4711, .family = AF_INET};
static const struct addr_small our_address = {
    .ip = {[10] = 0xFF, 0xFF, 198, 51, 100, 1}, .port = 80, .family = AF_INET};

static const struct {
    enum proxy_header_version version;
    bool has_client;
    const char *header;
    size_t len;
} headers[] = {
    {PROXY_HEADER_NONE, true, "", 0},
    {PROXY_HEADER_V1, true, "PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\n", 43},
    {PROXY_HEADER_V1, false, "PROXY UNKNOWN\r\n", 15},
    {PROXY_HEADER_V2, true,
     "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\7\xc6\x33\x64\1\x12\x67\0\x50", 28},
    {PROXY_HEADER_V2, false, "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16},
};

START_TEST(a_proxy_header_goes_first)
{
    const struct upstream_stand_options options = {.servers = 1, .send_proxy = headers[_i].version};
    const struct upstream_client client = {
        .id = 5, .source = &client_address, .destination = &our_address};
    char got[128];
    upstream_stand_open(&stand, &options);
    ck_assert_int_ne(ask(headers[_i].has_client ? &client : NULL), UPSTREAM_FAILED);
    loop_stand_until(&stand.base, asker.conn != NULL);
    int server = upstream_stand_accept(&stand, 0);
    struct iovec piece = {.iov_base = (char[]){"hello"}, .iov_len = 5};
    ck_assert(conn_write(&asker.conn->conn, &piece, 1));
    loop_stand_settle(&stand.base);
    size_t len = peer_read(server, got, sizeof(got));
    ck_assert_uint_eq(len, headers[_i].len + 5);
    ck_assert_mem_eq(got, headers[_i].header, headers[_i].len);
    ck_assert_mem_eq(got + headers[_i].len, "hello", 5);
    bool is_bound = headers[_i].has_client && headers[_i].version != PROXY_HEADER_NONE;
    ck_assert_uint_eq(asker.conn->client_id, is_bound ? 5 : 0);
    close_all(server);
}
END_TEST

/* -- TLS -- */

static struct tls_context *context; /* the server's */
static struct tls_ca *ca;

static void begin_tls(const char *name, const struct upstream_stand_options *options)
{
    struct err err = {0};
    const struct tls_context_options theirs = {
        .is_server = true, .chain_file = files.chain, .key_file = files.key};
    tls_files_begin(&files);
    context = tls_context_new(&theirs, &err);
    ca = tls_ca_from_files(files.ca, NULL, &err);
    const struct tls_client_options ours = {.ca = ca};
    ck_assert_msg(context != NULL && ca != NULL, "%s", err.text);
    upstream_stand_open(&stand, options);
    stand.pool->tls = tls_client_new(&ours, &err);
    stand.pool->members[0].tls_name = name;
    stand.servers[0]->tls_reuse = tls_reuse_new();
    server_on_trouble(on_trouble);
}

static void end_tls(int server)
{
    close_all(server);
    server_on_trouble(NULL);
    tls_ca_unref(ca);
    tls_context_unref(context);
    tls_files_end(&files);
}

/* Until our side is through, or has given up. */
static void shake_hands(int server)
{
    struct err err;
    struct tls_session *session = tls_session_new(context, server, NULL, &err);
    ck_assert_ptr_nonnull(session);
    for (int i = 0; i < 50 && asker.called == 0; i++) {
        (void)tls_session_handshake(session);
        loop_stand_settle(&stand.base);
    }
    tls_session_free(session);
    ck_assert_uint_eq(asker.called, 1);
}

static const struct upstream_stand_options usual = {.servers = 1, .connect_ms = 500};

START_TEST(a_server_is_verified)
{
    static const struct {
        const char *name;
        enum close_reason reason;
        const char *text;
    } servers[] = {
        {"localhost", CLOSE_OK, ""},
        {"shop.example", CLOSE_SERVER_TLS_UNVERIFIED,
         "the certificate of 'CN=localhost': hostname mismatch: it is not for shop.example"},
    };
    for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
        begin_tls(servers[i].name, &usual);
        ck_assert_int_eq(ask(NULL), UPSTREAM_PENDING);
        int server = upstream_stand_accept(&stand, 0);
        ck_assert_uint_eq(asker.called, 0); /* connected is not enough */
        shake_hands(server);
        ck_assert_int_eq(asker.reason, servers[i].reason);
        bool is_good = servers[i].reason == CLOSE_OK;
        ck_assert((asker.conn != NULL) == is_good);
        ck_assert_uint_eq(upstream_stand_counters(&stand)->tls_handshakes, is_good ? 1 : 0);
        ck_assert_uint_eq(told.count, is_good ? 0 : 1);
        ck_assert(strncmp(told.text, servers[i].text, strlen(servers[i].text)) == 0);
        ck_assert_uint_eq(atomic_load(&stand.servers[0]->connect_failures), is_good ? 0 : 1);
        end_tls(server);
    }
}
END_TEST

START_TEST(a_server_that_closes_or_says_nothing)
{
    begin_tls("localhost", &usual);
    ck_assert_int_eq(ask(NULL), UPSTREAM_PENDING);
    int server = upstream_stand_accept(&stand, 0);
    (void)close(server);
    loop_stand_until(&stand.base, asker.called == 1);
    ck_assert_int_eq(asker.reason, CLOSE_SERVER_TLS_FAILED);
    ck_assert_uint_eq(told.count, 1);
    end_tls(-1);

    begin_tls("localhost", &usual);
    ck_assert_int_eq(ask(NULL), UPSTREAM_PENDING);
    server = upstream_stand_accept(&stand, 0);
    upstream_stand_tick(&stand, 400);
    ck_assert_uint_eq(asker.called, 0);
    upstream_stand_tick(&stand, 200);
    ck_assert_uint_eq(asker.called, 1);
    ck_assert_int_eq(asker.reason, CLOSE_SERVER_TLS_TIMEOUT);
    end_tls(server);
}
END_TEST

START_TEST(a_handshake_can_be_taken_back)
{
    begin_tls("localhost", &usual);
    ck_assert_int_eq(ask(NULL), UPSTREAM_PENDING);
    int server = upstream_stand_accept(&stand, 0);
    upstream_conn_cancel(&stand.upstream, &asker.waiter);
    upstream_conn_cancel(&stand.upstream, &asker.waiter);
    upstream_stand_tick(&stand, 1000);
    ck_assert_uint_eq(asker.called, 0);
    end_tls(server);
}
END_TEST

START_TEST(a_trouble_is_told_once_a_second)
{
    begin_tls("localhost", &usual);
    for (unsigned i = 0; i < 5; i++) {
        server_note_trouble(stand.servers[0], CLOSE_SERVER_TLS_FAILED, "why");
    }
    ck_assert_uint_eq(told.count, 1);
    upstream_stand_tick(&stand, 1000);
    server_note_trouble(stand.servers[0], CLOSE_SERVER_TLS_FAILED, "again");
    ck_assert_uint_eq(told.count, 2);
    ck_assert_str_eq(told.text, "again");
    memset(&asker, 0, sizeof(asker));
    end_tls(-1);
}
END_TEST

START_TEST(what_fits_is_the_same_way)
{
    begin_tls("localhost", &usual);
    ck_assert_int_eq(ask(NULL), UPSTREAM_PENDING);
    int server = upstream_stand_accept(&stand, 0);
    shake_hands(server);
    struct pool_member member = stand.pool->members[0];
    ck_assert(upstream_conn_fits(asker.conn, &member, 0, 1));
    ck_assert(!upstream_conn_fits(asker.conn, &member, 9, 1));
    member.way++;
    ck_assert(!upstream_conn_fits(asker.conn, &member, 0, 1));
    member = stand.pool->members[0];
    member.address_version++;
    ck_assert(!upstream_conn_fits(asker.conn, &member, 0, 1));
    asker.conn->old_us = 100;
    ck_assert(upstream_conn_fits(asker.conn, &stand.pool->members[0], 0, 99));
    ck_assert(!upstream_conn_fits(asker.conn, &stand.pool->members[0], 0, 100));
    end_tls(server);
}
END_TEST

/* -- to another worker -- */

static const struct conn_ops no_ops;

struct other_worker {
    struct upstream_parcel *parcel;
    char got[64];
    size_t got_len;
};

/* Reads what came meanwhile, and answers. */
static void *other_thread(void *arg)
{
    struct other_worker *other = arg;
    struct loop_stand base;
    struct upstream_worker upstream;
    loop_stand_open(&base);
    upstream_worker_init(&upstream, base.loop, counters_worker(0), 1, 2);
    struct upstream_conn *conn = upstream_conn_unpack(&upstream, other->parcel, &no_ops);
    ck_assert_ptr_nonnull(conn);
    ck_assert_ptr_null(other->parcel->transport);
    struct iovec piece = {.iov_base = (char[]){"from there"}, .iov_len = 10};
    ck_assert_int_eq(conn_read(&conn->conn, other->got, sizeof(other->got), &other->got_len),
                     CONN_READ_BYTES);
    ck_assert(conn_write(&conn->conn, &piece, 1));
    upstream_conn_end(&upstream, conn);
    loop_run_once(base.loop, 0);
    upstream_worker_fini(&upstream);
    loop_stand_close(&base);
    return NULL;
}

static void move(struct upstream_conn *conn, struct other_worker *other)
{
    struct upstream_parcel parcel;
    pthread_t thread;
    upstream_conn_pack(&stand.upstream, conn, &parcel);
    loop_stand_settle(&stand.base);
    other->parcel = &parcel;
    ck_assert_int_eq(pthread_create(&thread, NULL, other_thread, other), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

START_TEST(a_clear_one_goes_to_another_worker)
{
    struct other_worker other = {.got_len = 0};
    char got[64];
    upstream_stand_open(&stand, &usual);
    ck_assert_int_ne(ask(NULL), UPSTREAM_FAILED);
    loop_stand_until(&stand.base, asker.conn != NULL);
    int server = upstream_stand_accept(&stand, 0);
    asker.conn->conn.ops = &no_ops;
    peer_say(server, "hello");
    move(asker.conn, &other);
    asker.conn = NULL;
    ck_assert(slice_eq(slice_of(other.got, other.got_len), SLICE("hello")));
    ck_assert_uint_eq(peer_read(server, got, sizeof(got)), 10);
    close_all(server);
}
END_TEST

START_TEST(one_with_tls_goes_to_another_worker)
{
    struct other_worker other = {.got_len = 0};
    struct err err;
    char got[64];
    size_t len = 0;
    begin_tls("localhost", &usual);
    ck_assert_int_eq(ask(NULL), UPSTREAM_PENDING);
    int server = upstream_stand_accept(&stand, 0);
    struct tls_session *session = tls_session_new(context, server, NULL, &err);
    for (int i = 0; i < 50 && asker.called == 0; i++) {
        (void)tls_session_handshake(session);
        loop_stand_settle(&stand.base);
    }
    ck_assert_ptr_nonnull(asker.conn);
    asker.conn->conn.ops = &no_ops;
    ck_assert_int_eq(tls_session_write(session, "hello", 5, &len), TLS_DONE);
    move(asker.conn, &other);
    asker.conn = NULL;
    ck_assert(slice_eq(slice_of(other.got, other.got_len), SLICE("hello")));
    ck_assert_int_eq(tls_session_read(session, got, sizeof(got), &len), TLS_DONE);
    ck_assert(slice_eq(slice_of(got, len), SLICE("from there")));
    tls_session_free(session);
    end_tls(server);
}
END_TEST

START_TEST(a_parcel_can_be_thrown_away)
{
    struct upstream_parcel parcel;
    upstream_stand_open(&stand, &usual);
    ck_assert_int_ne(ask(NULL), UPSTREAM_FAILED);
    loop_stand_until(&stand.base, asker.conn != NULL);
    int server = upstream_stand_accept(&stand, 0);
    upstream_conn_pack(&stand.upstream, asker.conn, &parcel);
    asker.conn = NULL;
    upstream_conn_drop_parcel(&parcel);
    upstream_conn_drop_parcel(&parcel);
    ck_assert(peer_sees_end(server));
    close_all(server);
}
END_TEST

static void add_moves(TCase *tcase)
{
    tcase_add_test(tcase, a_clear_one_goes_to_another_worker);
    tcase_add_test(tcase, one_with_tls_goes_to_another_worker);
    tcase_add_test(tcase, a_parcel_can_be_thrown_away);
}

static void add_headers(TCase *tcase)
{
    tcase_add_loop_test(tcase, a_proxy_header_goes_first, 0, ARRAY_LEN(headers));
}

static void add_tls(TCase *tcase)
{
    tcase_add_test(tcase, a_server_is_verified);
    tcase_add_test(tcase, a_server_that_closes_or_says_nothing);
    tcase_add_test(tcase, a_handshake_can_be_taken_back);
    tcase_add_test(tcase, a_trouble_is_told_once_a_second);
    tcase_add_test(tcase, what_fits_is_the_same_way);
}

UNIT_MAIN("upstream_conn", add_headers, add_tls, add_moves)
