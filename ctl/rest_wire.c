#include "ctl/rest_wire.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lbd/base/now.h"
#include "lbd/tls/tls_context.h"
#include "lbd/tls/tls_session.h"

enum { RETRY_MS = 20 };

/* False when the deadline passed. */
static bool wait_ready(int fd, short events, uint64_t deadline_ms)
{
    for (;;) {
        uint64_t now = now_ms();
        if (now >= deadline_ms) {
            return false;
        }
        uint64_t left = deadline_ms - now;
        struct pollfd watch = {.fd = fd, .events = events};
        int got = poll(&watch, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (got > 0) {
            return true;
        }
        if (got < 0 && errno != EINTR) {
            return true; /* the next call on fd says what is wrong */
        }
    }
}

static bool too_late(const char *name, struct err *err)
{
    return err_set_at(err, ERR_PRECONDITION, name, "no answer from %s in time (--timeout)", name);
}

static bool no_connection(const char *name, int error, struct err *err)
{
    if (error == EACCES || error == EPERM) {
        return err_set_at(err, ERR_DENIED, name,
                          "not allowed to open %s (who may is decided by its directory)", name);
    }
    return err_set_at(err, ERR_UNAVAILABLE, name, "cannot reach lbd at %s: %s", name,
                      error == ENOENT ? "no such socket" : strerror(error));
}

/* -- unix -- */

static bool open_unix(struct rest_wire *wire, const char *path, uint64_t deadline_ms,
                      struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof(address.sun_path)) {
        return err_set_at(err, ERR_UNAVAILABLE, path,
                          "'%s' cannot be a socket: its path must have 1 to %zu bytes", path,
                          sizeof(address.sun_path) - 1);
    }
    memcpy(address.sun_path, path, len);
    wire->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (wire->fd < 0) {
        return err_set(err, ERR_SYSTEM, "cannot make a socket: %s", strerror(errno));
    }
    /* unix(7): EAGAIN means that the backlog is full; nothing tells when it is not */
    while (connect(wire->fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        int error = errno;
        if (error != EAGAIN && error != EINTR) {
            return no_connection(path, error, err);
        }
        if (now_ms() >= deadline_ms) {
            return too_late(path, err);
        }
        (void)poll(NULL, 0, RETRY_MS);
    }
    return true;
}

/* -- TCP -- */

/* 0, or why not; ETIMEDOUT when the deadline passed. */
static int connect_to(struct rest_wire *wire, const struct addrinfo *address, uint64_t deadline_ms)
{
    int error = 0;
    int on = 1;
    socklen_t len = sizeof(error);
    wire->fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (wire->fd < 0) {
        return errno;
    }
    if (connect(wire->fd, address->ai_addr, address->ai_addrlen) != 0) {
        if (errno != EINPROGRESS) {
            return errno;
        }
        if (!wait_ready(wire->fd, POLLOUT, deadline_ms)) {
            return ETIMEDOUT;
        }
        if (getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
            return errno;
        }
    }
    (void)setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return error;
}

static bool open_tcp(struct rest_wire *wire, const struct endpoint *endpoint, uint64_t deadline_ms,
                     struct err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(endpoint->host, endpoint->port, &hints, &found);
    if (error != 0) {
        return err_set_at(err, ERR_UNAVAILABLE, endpoint->url, "cannot reach lbd at %s: %s",
                          endpoint->url, gai_strerror(error));
    }
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        error = connect_to(wire, at, deadline_ms);
        if (error == 0 || now_ms() >= deadline_ms) {
            break;
        }
        rest_wire_close(wire);
    }
    freeaddrinfo(found);
    if (error == ETIMEDOUT && now_ms() >= deadline_ms) {
        return too_late(endpoint->url, err);
    }
    return error == 0 || no_connection(endpoint->url, error == EACCES ? ECONNREFUSED : error, err);
}

/* -- TLS -- */

static enum rest_wire_verdict wait_for(const struct rest_wire *wire, enum tls_verdict verdict,
                                       uint64_t deadline_ms)
{
    switch (verdict) {
    case TLS_WANT_READ:
        return wait_ready(wire->fd, POLLIN, deadline_ms) ? REST_WIRE_BYTES : REST_WIRE_LATE;
    case TLS_WANT_WRITE:
        return wait_ready(wire->fd, POLLOUT, deadline_ms) ? REST_WIRE_BYTES : REST_WIRE_LATE;
    case TLS_END:
        return REST_WIRE_END;
    case TLS_DONE:
    case TLS_FAILED:
        break;
    }
    return REST_WIRE_FAILED;
}

/* OpenSSL calls a plain answer a wrong version: that is no lbd, or not its door. */
static bool refuse_tls(const struct endpoint *endpoint, const char *why, struct err *err)
{
    if (strstr(why, "wrong version number") != NULL) {
        return err_set_at(err, ERR_UNAVAILABLE, endpoint->url,
                          "cannot reach lbd at %s: what answers there does not speak TLS",
                          endpoint->url);
    }
    return err_set_at(err, ERR_DENIED, endpoint->url, "no TLS with %s: %s", endpoint->url, why);
}

static bool open_tls(struct rest_wire *wire, const struct endpoint *endpoint, uint64_t deadline_ms,
                     struct err *err)
{
    const struct tls_context_options options = {.chain_file = endpoint->cert_file,
                                                .key_file = endpoint->key_file,
                                                .ca_file = endpoint->ca_file,
                                                .protocol = "http/1.1"};
    wire->context = tls_context_new(&options, err);
    if (wire->context == NULL) {
        return false;
    }
    wire->session = tls_session_new(wire->context, wire->fd, endpoint->host, err);
    if (wire->session == NULL) {
        return false;
    }
    enum tls_verdict verdict = tls_session_handshake(wire->session);
    while (verdict != TLS_DONE) {
        switch (wait_for(wire, verdict, deadline_ms)) {
        case REST_WIRE_BYTES:
            break;
        case REST_WIRE_LATE:
            return too_late(endpoint->url, err);
        case REST_WIRE_END:
        case REST_WIRE_FAILED:
            return refuse_tls(endpoint, tls_session_why(wire->session), err);
        }
        verdict = tls_session_handshake(wire->session);
    }
    return true;
}

bool rest_wire_open(struct rest_wire *wire, const struct endpoint *endpoint, uint64_t deadline_ms,
                    struct err *err)
{
    *wire = (struct rest_wire){.fd = -1};
    if (endpoint->socket == NULL && endpoint->host == NULL) {
        return err_set(err, ERR_UNAVAILABLE, "a socket or a URL is needed");
    }
    bool ok = endpoint->socket != NULL ? open_unix(wire, endpoint->socket, deadline_ms, err)
                                       : open_tcp(wire, endpoint, deadline_ms, err);
    if (ok && endpoint->socket == NULL && endpoint->is_tls) {
        ok = open_tls(wire, endpoint, deadline_ms, err);
    }
    if (!ok) {
        rest_wire_close(wire);
    }
    return ok;
}

void rest_wire_close(struct rest_wire *wire)
{
    tls_session_free(wire->session);
    tls_context_unref(wire->context);
    if (wire->fd >= 0) {
        (void)close(wire->fd);
    }
    *wire = (struct rest_wire){.fd = -1};
}

/* -- bytes -- */

static enum rest_wire_verdict send_some(struct rest_wire *wire, struct slice bytes, size_t *taken,
                                        uint64_t deadline_ms)
{
    *taken = 0;
    if (wire->session != NULL) {
        enum tls_verdict verdict = tls_session_write(wire->session, bytes.ptr, bytes.len, taken);
        return verdict == TLS_DONE ? REST_WIRE_BYTES : wait_for(wire, verdict, deadline_ms);
    }
    ssize_t sent = send(wire->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
    if (sent >= 0) {
        *taken = (size_t)sent;
        return REST_WIRE_BYTES;
    }
    if (errno == EAGAIN) {
        return wait_ready(wire->fd, POLLOUT, deadline_ms) ? REST_WIRE_BYTES : REST_WIRE_LATE;
    }
    if (errno == EPIPE || errno == ECONNRESET) {
        return REST_WIRE_END;
    }
    return errno == EINTR ? REST_WIRE_BYTES : REST_WIRE_FAILED;
}

enum rest_wire_verdict rest_wire_send(struct rest_wire *wire, struct slice bytes,
                                      uint64_t deadline_ms)
{
    while (bytes.len != 0) {
        size_t taken = 0;
        enum rest_wire_verdict verdict = send_some(wire, bytes, &taken, deadline_ms);
        if (verdict != REST_WIRE_BYTES) {
            /* with TLS a cut shows as a failure; an answer may be there all the same */
            return verdict == REST_WIRE_FAILED && wire->session != NULL ? REST_WIRE_END : verdict;
        }
        bytes = slice_from_at(bytes, taken);
    }
    return REST_WIRE_BYTES;
}

enum rest_wire_verdict rest_wire_receive(struct rest_wire *wire, char *out, size_t max, size_t *got,
                                         uint64_t deadline_ms)
{
    *got = 0;
    for (;;) {
        enum rest_wire_verdict verdict = REST_WIRE_BYTES;
        if (wire->session != NULL) {
            enum tls_verdict tls = tls_session_read(wire->session, out, max, got);
            verdict = tls == TLS_DONE ? REST_WIRE_BYTES : wait_for(wire, tls, deadline_ms);
        } else {
            ssize_t n = recv(wire->fd, out, max, 0);
            *got = n > 0 ? (size_t)n : 0;
            if (n == 0) {
                return REST_WIRE_END;
            }
            if (n < 0 && errno == EAGAIN) {
                verdict =
                    wait_ready(wire->fd, POLLIN, deadline_ms) ? REST_WIRE_BYTES : REST_WIRE_LATE;
            } else if (n < 0 && errno != EINTR) {
                return REST_WIRE_FAILED;
            }
        }
        if (verdict != REST_WIRE_BYTES || *got > 0) {
            return verdict;
        }
    }
}

const char *rest_wire_why(const struct rest_wire *wire)
{
    return wire->session != NULL ? tls_session_why(wire->session) : strerror(errno);
}
