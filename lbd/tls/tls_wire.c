#include "lbd/tls/tls_wire.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

#include "lbd/base/mem.h"

static _Thread_local char batch[TLS_WIRE_BATCH];
static _Thread_local size_t batch_len;

/* -- out -- */

/* How many of the bytes went; what did not is not an error but late. */
static size_t send_now(struct tls_wire *wire, const char *data, size_t len)
{
    size_t sent = 0;
    while (sent < len) {
        ssize_t n = send(wire->fd, data + sent, len - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            if (errno != EAGAIN && errno != ENOBUFS) {
                wire->error = errno;
            }
            break;
        }
        sent += (size_t)n;
    }
    return sent;
}

static void keep(struct tls_wire *wire, const char *data, size_t len)
{
    if (len != 0) {
        wire->late = mem_resize(wire->late, wire->late_len + len);
        memcpy(wire->late + wire->late_len, data, len);
        wire->late_len += (uint32_t)len;
    }
}

static void send_or_keep(struct tls_wire *wire, const char *data, size_t len)
{
    size_t sent = !tls_wire_is_late(wire) ? send_now(wire, data, len) : 0;
    keep(wire, data + sent, len - sent);
}

static void drop_late(struct tls_wire *wire)
{
    free(wire->late);
    wire->late = NULL;
    wire->late_len = 0;
}

void tls_wire_flush(struct tls_wire *wire)
{
    if (wire->late_len == 0) {
        return;
    }
    size_t sent = wire->error == 0 ? send_now(wire, wire->late, wire->late_len) : 0;
    wire->late_len -= (uint32_t)sent;
    if (wire->late_len == 0) {
        drop_late(wire);
    } else {
        memmove(wire->late, wire->late + sent, wire->late_len);
    }
}

void tls_wire_cork(struct tls_wire *wire)
{
    assert(batch_len == 0 && !wire->is_corked);
    wire->is_corked = true;
    if (wire->late_len != 0 && wire->late_len <= sizeof(batch) / 2) {
        memcpy(batch, wire->late, wire->late_len);
        batch_len = wire->late_len;
        drop_late(wire);
    }
}

void tls_wire_uncork(struct tls_wire *wire)
{
    size_t len = batch_len;
    wire->is_corked = false;
    batch_len = 0;
    if (len != 0) {
        send_or_keep(wire, batch, len);
    }
}

void tls_wire_hold(struct tls_wire *wire)
{
    size_t len = batch_len;
    wire->is_corked = false;
    batch_len = 0;
    keep(wire, batch, len);
}

size_t tls_wire_corked(const struct tls_wire *wire)
{
    return wire->is_corked ? batch_len : 0;
}

static int on_write(BIO *bio, const char *data, size_t len, size_t *taken)
{
    struct tls_wire *wire = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (wire->is_corked && batch_len + len > sizeof(batch)) {
        tls_wire_uncork(wire);
        wire->is_corked = true;
    }
    if (wire->is_corked && len <= sizeof(batch)) {
        memcpy(batch + batch_len, data, len);
        batch_len += len;
    } else {
        send_or_keep(wire, data, len);
    }
    *taken = len;
    return wire->error == 0 ? 1 : 0;
}

/* -- in -- */

static int on_read(BIO *bio, char *out, size_t len, size_t *got)
{
    struct tls_wire *wire = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (wire->is_corked && batch_len != 0) {
        tls_wire_uncork(wire); /* a flight is complete when the other side's is waited for */
        wire->is_corked = true;
    }
    if (wire->is_empty) {
        BIO_set_retry_read(bio);
        return 0;
    }
    ssize_t n = recv(wire->fd, out, len, 0);
    if (n > 0) {
        wire->is_empty = wire->is_told && (size_t)n < len;
        *got = (size_t)n;
        return 1;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        wire->is_empty = wire->is_told && errno == EAGAIN;
        BIO_set_retry_read(bio);
    } else if (n == 0) {
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    }
    return 0;
}

static long on_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_FLUSH) {
        return 1;
    }
    return command == BIO_CTRL_EOF && BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
}

/* One for the process; made by whoever comes first. */
static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lbd socket");
    bool ok = method != NULL && BIO_meth_set_read_ex(method, on_read) == 1 &&
              BIO_meth_set_write_ex(method, on_write) == 1 &&
              BIO_meth_set_ctrl(method, on_ctrl) == 1;
    assert(ok);
}

bool tls_wire_attach(struct tls_wire *wire, struct ssl_st *ssl, int fd)
{
    (void)pthread_once(&method_once, make_method);
    wire->fd = fd;
    BIO *bio = BIO_new(method);
    if (bio == NULL) {
        return false;
    }
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio); /* keeps it */
    return true;
}

void tls_wire_fini(struct tls_wire *wire)
{
    drop_late(wire);
}

struct tls_wire *tls_wire_of(const struct ssl_st *ssl)
{
    return BIO_get_data(SSL_get_rbio(ssl));
}
