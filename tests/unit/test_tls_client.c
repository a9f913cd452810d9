#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "lbd/tls/tls_conn.h"
#include "tests/unit/loop_stand.h"
#include "tests/unit/tls_files.h"
#include "tests/unit/unit.h"

static struct loop_stand stand;
static struct tls_files files;
static SSL_CTX *server_context; /* OpenSSL's own, with tickets */

static void quiet(struct conn *conn)
{
    (void)conn;
}

static const struct conn_ops ops = {.on_readable = quiet, .on_room = quiet, .on_timeout = quiet};

/* A connection of ours and the server's part of it, in lock step. */
struct pair {
    struct conn conn;
    SSL *server;
    int fd;
    bool is_done;
};

static void begin(void)
{
    tls_files_begin(&files);
    loop_stand_open(&stand);
    server_context = SSL_CTX_new(TLS_server_method());
}

static void finish(void)
{
    SSL_CTX_free(server_context);
    loop_stand_close(&stand);
    tls_files_end(&files);
}

static void serve(const char *chain, const char *key)
{
    ck_assert_int_eq(SSL_CTX_use_certificate_chain_file(server_context, chain), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey_file(server_context, key, SSL_FILETYPE_PEM), 1);
}

static struct tls_client *new_client(const struct tls_client_options *options)
{
    struct err err = {0};
    struct tls_client *client = tls_client_new(options, &err);
    ck_assert_msg(client != NULL, "%s", err.text);
    return client;
}

static struct tls_ca *load_ca(const char *path)
{
    struct err err = {0};
    struct tls_ca *ca = tls_ca_from_files(path, NULL, &err);
    ck_assert_msg(ca != NULL, "%s", err.text);
    return ca;
}

/* True: the handshake is through. */
static bool shake(struct pair *pair, struct tls_client *client, const char *name,
                  struct tls_reuse *reuse)
{
    struct err err = {0};
    int fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    conn_init(&pair->conn, stand.loop, fds[0], &ops);
    pair->fd = fds[1];
    pair->server = SSL_new(server_context);
    ck_assert_int_eq(SSL_set_fd(pair->server, fds[1]), 1);
    SSL_set_accept_state(pair->server);
    ck_assert_msg(tls_conn_client(&pair->conn, client, name, reuse, &err), "%s", err.text);
    pair->is_done = false;
    for (int i = 0; i < 10; i++) {
        int ours = pair->conn.transport->handshake(&pair->conn);
        if (ours < 0 && errno != EAGAIN) {
            break;
        }
        ERR_clear_error();
        bool theirs = SSL_do_handshake(pair->server) == 1;
        pair->is_done = ours == 0 && theirs;
    }
    char byte;
    (void)pair->conn.transport->read(&pair->conn, &byte, 1); /* tickets */
    return pair->is_done;
}

static void close_pair(struct pair *pair)
{
    (void)SSL_shutdown(pair->server); /* or its session is not to be used again */
    SSL_free(pair->server);
    ERR_clear_error();
    (void)close(pair->fd);
    conn_close(&pair->conn);
}

enum pins { NO_PIN, RIGHT_PIN, WRONG_PIN };

static const struct {
    bool is_late;     /* the server shows an expired certificate */
    bool is_stranger; /* one of an authority that nobody trusts */
    enum tls_verify verify;
    const char *name;
    enum pins pins;
    int want; /* -1: through */
    const char *why;
} trusts[] = {
    {false, false, TLS_VERIFY_FULL, "localhost", NO_PIN, -1, ""},
    {false, false, TLS_VERIFY_FULL, "127.0.0.1", NO_PIN, -1, ""},
    {false, false, TLS_VERIFY_FULL, "LocalHost", NO_PIN, -1, ""},
    {false, false, TLS_VERIFY_FULL, "shop.example", NO_PIN, TLS_CLIENT_VERIFY,
     "the certificate of 'CN=localhost': hostname mismatch: it is not for shop.example, but for "
     "localhost"},
    {false, false, TLS_VERIFY_FULL, "127.0.0.2", NO_PIN, TLS_CLIENT_VERIFY,
     "the certificate of 'CN=localhost': IP address mismatch: it is not for 127.0.0.2, but for "
     "localhost"},
    {false, false, TLS_VERIFY_CHAIN, "shop.example", NO_PIN, -1, ""},
    {true, false, TLS_VERIFY_CHAIN, "late", NO_PIN, TLS_CLIENT_VERIFY,
     "the certificate of 'CN=late': certificate has expired on "},
    {true, false, TLS_VERIFY_OFF, "late", NO_PIN, -1, ""},
    {false, true, TLS_VERIFY_FULL, "mallory", NO_PIN, TLS_CLIENT_VERIFY,
     "the certificate of 'CN=mallory': unable to get local issuer certificate: its issuer /CN=other "
     "CA is not trusted, or the server does not send the certificates between"},
    {false, true, TLS_VERIFY_CHAIN, "mallory", NO_PIN, TLS_CLIENT_VERIFY, "unable to get local"},
    {false, true, TLS_VERIFY_OFF, "mallory", NO_PIN, -1, ""},
    {false, true, TLS_VERIFY_OFF, "mallory", RIGHT_PIN, -1, ""},
    {false, true, TLS_VERIFY_OFF, "mallory", WRONG_PIN, TLS_CLIENT_PIN,
     "the certificate of 'CN=mallory': its key is none of pin_sha256"},
    {false, true, TLS_VERIFY_FULL, "mallory", RIGHT_PIN, TLS_CLIENT_VERIFY, "unable to get local"},
    {false, false, TLS_VERIFY_FULL, "localhost", RIGHT_PIN, -1, ""},
    {false, false, TLS_VERIFY_FULL, "localhost", WRONG_PIN, TLS_CLIENT_PIN, "none of pin_sha256"},
};

/* Of the certificate in the file. */
static void key_sum(const char *chain, const char *key, uint8_t out[TLS_CERT_SHA256])
{
    struct err err = {0};
    struct tls_cert *cert = tls_cert_from_files(chain, key, &err);
    ck_assert_msg(cert != NULL, "%s", err.text);
    for (size_t i = 0; i < TLS_CERT_SHA256; i++) {
        unsigned byte = 0;
        ck_assert_int_eq(sscanf(tls_cert_facts(cert)->key_sha256 + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    tls_cert_unref(cert);
}

START_TEST(trusts_whom_it_should)
{
    struct pair pair;
    begin();
    const char *chain = files.chain;
    const char *key = files.key;
    if (trusts[_i].is_late) {
        chain = files.late_chain;
        key = files.late_key;
    } else if (trusts[_i].is_stranger) {
        chain = files.stranger_chain;
        key = files.stranger_key;
    }
    serve(chain, key);
    uint8_t pins[2][TLS_CERT_SHA256] = {{1}, {2}};
    if (trusts[_i].pins == RIGHT_PIN) {
        key_sum(chain, key, pins[1]);
    }
    struct tls_ca *ca = load_ca(files.ca);
    struct tls_client_options options = {.verify = trusts[_i].verify,
                                         .ca = ca,
                                         .pins = (const uint8_t(*)[TLS_CERT_SHA256])pins,
                                         .pin_count = trusts[_i].pins != NO_PIN ? 2 : 0};
    struct tls_client *client = new_client(&options);
    tls_ca_unref(ca);
    bool through = shake(&pair, client, trusts[_i].name, NULL);
    ck_assert_msg(through == (trusts[_i].want < 0), "row %d: %s", _i, tls_conn_why(&pair.conn));
    if (!through) {
        ck_assert_int_eq(tls_conn_failure(&pair.conn), trusts[_i].want);
    }
    ck_assert_msg(strstr(tls_conn_why(&pair.conn), trusts[_i].why) != NULL, "row %d: %s", _i,
                  tls_conn_why(&pair.conn));
    close_pair(&pair);
    tls_client_unref(client);
    finish();
}
END_TEST

START_TEST(shows_its_certificate)
{
    struct err err = {0};
    begin();
    serve(files.chain, files.key);
    ck_assert_int_eq(SSL_CTX_load_verify_file(server_context, files.ca), 1);
    SSL_CTX_set_verify(server_context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    ck_assert_int_eq(SSL_CTX_set_max_proto_version(server_context, TLS1_2_VERSION), 1);
    struct tls_cert *cert = tls_cert_from_files(files.client_chain, files.client_key, &err);
    ck_assert_msg(cert != NULL, "%s", err.text);
    for (int i = 0; i < 2; i++) {
        struct pair pair;
        struct tls_client_options options = {.verify = TLS_VERIFY_OFF,
                                             .cert = i == 0 ? cert : NULL};
        struct tls_client *client = new_client(&options);
        ck_assert_int_eq(shake(&pair, client, "localhost", NULL), i == 0);
        if (i == 1) {
            ck_assert_int_eq(tls_conn_failure(&pair.conn), TLS_CLIENT_HANDSHAKE);
            ck_assert_str_eq(tls_conn_why(&pair.conn),
                             "the server refuses: sslv3 alert handshake failure");
        }
        close_pair(&pair);
        tls_client_unref(client);
    }
    tls_cert_unref(cert);
    finish();
}
END_TEST

START_TEST(says_when_the_server_speaks_something_else)
{
    static const struct {
        const char *says; /* NULL: it closes */
        const char *why;
    } cases[] = {
        {"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
         "wrong version number: the server does not seem to speak TLS here"},
        {NULL, "the server closed the connection: unexpected eof while reading"},
    };
    begin();
    struct tls_client_options options = {.verify = TLS_VERIFY_OFF};
    struct tls_client *client = new_client(&options);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conn conn;
        struct err err = {0};
        int fds[2];
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
                         0);
        conn_init(&conn, stand.loop, fds[0], &ops);
        ck_assert(tls_conn_client(&conn, client, "localhost", NULL, &err));
        ck_assert_int_eq(conn.transport->handshake(&conn), -1);
        ck_assert_int_eq(errno, EAGAIN);
        if (cases[i].says != NULL) {
            ck_assert_int_gt(send(fds[1], cases[i].says, strlen(cases[i].says), 0), 0);
        } else {
            ck_assert_int_eq(shutdown(fds[1], SHUT_WR), 0);
        }
        ck_assert_int_eq(conn.transport->handshake(&conn), -1);
        ck_assert_int_ne(errno, EAGAIN);
        ck_assert_str_eq(tls_conn_why(&conn), cases[i].why);
        conn_close(&conn);
        (void)close(fds[1]);
    }
    tls_client_unref(client);
    finish();
}
END_TEST

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl;
    (void)arg;
    ck_assert_uint_eq(in_len, 12);
    ck_assert_mem_eq(in, "\2h2\10http/1.1", 12);
    *out = in + 1;
    *out_len = 2;
    return SSL_TLSEXT_ERR_OK;
}

START_TEST(offers_protocols_and_a_name)
{
    static const struct slice protocols[] = {SLICE_INIT("h2"), SLICE_INIT("http/1.1")};
    struct pair pair;
    begin();
    serve(files.chain, files.key);
    SSL_CTX_set_alpn_select_cb(server_context, on_alpn, NULL);
    struct tls_client_options options = {
        .verify = TLS_VERIFY_OFF, .alpn = protocols, .alpn_count = 2};
    struct tls_client *client = new_client(&options);
    ck_assert(shake(&pair, client, "shop.example", NULL));
    ck_assert(slice_eq(tls_conn_alpn(&pair.conn), SLICE("h2")));
    ck_assert_str_eq(tls_conn_version(&pair.conn), "TLSv1.3");
    ck_assert_str_eq(SSL_get_servername(pair.server, TLSEXT_NAMETYPE_host_name), "shop.example");
    close_pair(&pair);
    ck_assert(shake(&pair, client, "127.0.0.1", NULL));
    ck_assert_ptr_null(SSL_get_servername(pair.server, TLSEXT_NAMETYPE_host_name));
    close_pair(&pair);
    tls_client_unref(client);
    finish();
}
END_TEST

static bool resumes(struct tls_client *client, const char *name, struct tls_reuse *reuse)
{
    struct pair pair;
    ck_assert(shake(&pair, client, name, reuse));
    bool resumed = tls_conn_is_resumed(&pair.conn);
    close_pair(&pair);
    return resumed;
}

START_TEST(uses_sessions_again_that_were_verified_so)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    begin();
    serve(files.chain, files.key);
    static const unsigned char id[] = "test";
    ck_assert_int_eq(SSL_CTX_set_session_id_context(server_context, id, sizeof(id)), 1);
    struct tls_ca *ca = load_ca(files.ca);
    struct tls_client_options options = {.verify = TLS_VERIFY_FULL, .ca = ca};
    struct tls_client_options lax = {.verify = TLS_VERIFY_OFF};
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        ck_assert_int_eq(SSL_CTX_set_max_proto_version(server_context, versions[i]), 1);
        struct tls_client *client = new_client(&options);
        struct tls_client *same = new_client(&options);
        struct tls_client *other = new_client(&lax);
        struct tls_reuse *reuse = tls_reuse_new();
        ck_assert_uint_eq(tls_client_identity(client), tls_client_identity(same));
        ck_assert_uint_ne(tls_client_identity(client), tls_client_identity(other));
        ck_assert(!resumes(client, "localhost", reuse));
        for (int n = 0; n < 5; n++) {
            ck_assert_msg(resumes(n % 2 == 0 ? client : same, "localhost", reuse), "%d", n);
        }
        ck_assert(!resumes(client, "127.0.0.1", reuse));
        ck_assert(!resumes(other, "localhost", reuse));
        ck_assert(!resumes(client, "localhost", reuse)); /* not what `other` got */
        tls_reuse_forget(reuse);
        ck_assert(!resumes(client, "localhost", reuse));
        tls_reuse_free(reuse);
        tls_client_unref(client);
        tls_client_unref(same);
        tls_client_unref(other);
    }
    tls_ca_unref(ca);
    finish();
}
END_TEST

static void add_trusts(TCase *tcase)
{
    tcase_add_loop_test(tcase, trusts_whom_it_should, 0, ARRAY_LEN(trusts));
}

static void add_rest(TCase *tcase)
{
    tcase_add_test(tcase, shows_its_certificate);
    tcase_add_test(tcase, says_when_the_server_speaks_something_else);
    tcase_add_test(tcase, offers_protocols_and_a_name);
    tcase_add_test(tcase, uses_sessions_again_that_were_verified_so);
}

UNIT_MAIN("tls_client", add_trusts, add_rest)
