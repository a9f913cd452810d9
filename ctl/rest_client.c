#include "ctl/rest_client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/shell_word.h"
#include "lbd/base/now.h"
#include "lbd_version.h"

enum { READ_BYTES = 64 * 1024, HEAD_MAX = 64 * 1024, RETRY_MS = 20 };

void rest_client_append_segment(struct buf *path, struct slice segment)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    buf_append_char(path, '/');
    for (size_t i = 0; i < segment.len; i++) {
        char byte = segment.ptr[i];
        if (byte != '\0' && strchr(plain, byte) != NULL) {
            buf_append_char(path, byte);
        } else {
            buf_printf(path, "%%%02X", (unsigned)(unsigned char)byte);
        }
    }
}

static void trace_word(FILE *out, struct slice word)
{
    struct buf text;
    buf_init(&text, HEAD_MAX);
    shell_word_append(&text, word);
    (void)fputc(' ', out);
    (void)fwrite(text.data, 1, text.len, out);
    buf_fini(&text);
}

static void trace(const struct rest_client *client, const struct rest_request *request)
{
    enum { INLINE_BODY_MAX = 400 };
    FILE *out = client->trace;
    struct buf url;
    buf_init(&url, HEAD_MAX);
    buf_printf(&url, "http://lbd%s", request->target);

    (void)fputs("curl --unix-socket", out);
    trace_word(out, slice_from(client->socket_path));
    if (strcmp(request->method, "GET") != 0) {
        (void)fputs(" -X", out);
        trace_word(out, slice_from(request->method));
    }
    bool is_piped = false;
    if (request->content_type != NULL) {
        (void)fprintf(out, " -H 'Content-Type: %s' --data-binary", request->content_type);
        if (request->body.len <= INLINE_BODY_MAX &&
            memchr(request->body.ptr, '\0', request->body.len) == NULL) {
            trace_word(out, request->body);
        } else {
            is_piped = true;
            (void)fputs(" @-", out);
        }
    }
    if (request->if_match != NULL) {
        (void)fprintf(out, " -H 'If-Match: %s'", request->if_match);
    }
    if (request->if_none) {
        (void)fputs(" -H 'If-None-Match: *'", out);
    }
    if (request->accept != NULL) {
        (void)fprintf(out, " -N -H 'Accept: %s'", request->accept);
    }
    if (request->last_event != NULL) {
        (void)fprintf(out, " -H 'Last-Event-ID: %s'", request->last_event);
    }
    trace_word(out, buf_slice(&url));
    if (is_piped) {
        (void)fprintf(out, " # %zu bytes", request->body.len);
    }
    (void)fputc('\n', out);
    buf_fini(&url);
}

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

static bool too_late(const struct rest_client *client, struct err *err)
{
    return err_set_at(err, ERR_PRECONDITION, client->socket_path,
                      "no answer within %llu ms (--timeout)",
                      (unsigned long long)client->timeout_ms);
}

static bool no_connection(const char *path, int error, struct err *err)
{
    if (error == EACCES || error == EPERM) {
        return err_set_at(err, ERR_DENIED, path,
                          "not allowed to open %s (who may is decided by its directory)", path);
    }
    return err_set_at(err, ERR_UNAVAILABLE, path, "cannot reach lbd at %s: %s", path,
                      error == ENOENT ? "no such socket" : strerror(error));
}

static int open_socket(const struct rest_client *client, uint64_t deadline_ms, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(client->socket_path);
    if (len == 0 || len >= sizeof(address.sun_path)) {
        err_set_at(err, ERR_UNAVAILABLE, client->socket_path,
                   "'%s' cannot be a socket: its path must have 1 to %zu bytes",
                   client->socket_path, sizeof(address.sun_path) - 1);
        return -1;
    }
    memcpy(address.sun_path, client->socket_path, len);

    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        err_set(err, ERR_SYSTEM, "cannot make a socket: %s", strerror(errno));
        return -1;
    }
    /* unix(7): EAGAIN means that the backlog is full; nothing tells when it is not */
    while (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        int error = errno;
        if (error == EAGAIN || error == EINTR) {
            if (now_ms() < deadline_ms) {
                (void)poll(NULL, 0, RETRY_MS);
                continue;
            }
            (void)too_late(client, err);
        } else {
            (void)no_connection(client->socket_path, error, err);
        }
        (void)close(fd);
        return -1;
    }
    return fd;
}

enum send_result { SENT, SEND_STOPPED, SEND_FAILED };

/* Sends all of `bytes`. STOPPED: the other side reads no more, which it may (RFC 9112 9.3); an
 * answer may be waiting. */
static enum send_result send_all(const struct rest_client *client, int fd, struct slice bytes,
                                 uint64_t deadline_ms, struct err *err)
{
    while (bytes.len != 0) {
        ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes = slice_from_at(bytes, (size_t)sent);
        } else if (errno == EAGAIN) {
            if (!wait_ready(fd, POLLOUT, deadline_ms)) {
                (void)too_late(client, err);
                return SEND_FAILED;
            }
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return SEND_STOPPED;
        } else if (errno != EINTR) {
            err_set(err, ERR_SYSTEM, "cannot send to %s: %s", client->socket_path, strerror(errno));
            return SEND_FAILED;
        }
    }
    return SENT;
}

static bool receive(const struct rest_client *client, int fd, struct rest_reply *reply,
                    uint64_t deadline_ms, struct err *err)
{
    static char bytes[READ_BYTES];
    enum rest_verdict verdict = REST_MORE;
    while (verdict == REST_MORE) {
        ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
        if (got > 0) {
            if (reply->take != NULL) {
                deadline_ms = now_ms() + client->timeout_ms;
            }
            verdict = rest_reply_feed(reply, slice_of(bytes, (size_t)got), err);
        } else if (got == 0) {
            verdict = rest_reply_end(reply, err);
        } else if (errno == EAGAIN) {
            if (!wait_ready(fd, POLLIN, deadline_ms)) {
                return too_late(client, err);
            }
        } else if (errno != EINTR) {
            return err_set(err, ERR_UNAVAILABLE, "lbd at %s went away: %s", client->socket_path,
                           strerror(errno));
        }
    }
    return verdict == REST_DONE;
}

static void write_head(const struct rest_request *request, struct buf *head)
{
    buf_printf(head,
               "%s %s HTTP/1.1\r\nHost: lbd\r\nUser-Agent: lbctl/%s\r\n"
               "Accept: %s, application/problem+json\r\nConnection: close\r\n",
               request->method, request->target, LBD_VERSION,
               request->accept != NULL ? request->accept : "application/json");
    if (request->last_event != NULL) {
        buf_printf(head, "Last-Event-ID: %s\r\n", request->last_event);
    }
    if (request->content_type != NULL) {
        buf_printf(head, "Content-Type: %s\r\nContent-Length: %zu\r\n", request->content_type,
                   request->body.len);
    }
    if (request->if_match != NULL) {
        buf_printf(head, "If-Match: %s\r\n", request->if_match);
    }
    if (request->if_none) {
        buf_append_text(head, "If-None-Match: *\r\n");
    }
    buf_append_text(head, "\r\n");
}

bool rest_client_ask(const struct rest_client *client, const struct rest_request *request,
                     struct rest_reply *reply, struct err *err)
{
    bool ok = false;
    enum send_result sent = SENT;
    struct buf head;
    uint64_t deadline_ms = now_ms() + client->timeout_ms;
    rest_reply_clear(reply);
    if (client->trace != NULL) {
        trace(client, request);
    }
    int fd = open_socket(client, deadline_ms, err);
    if (fd < 0) {
        return false;
    }
    buf_init(&head, HEAD_MAX);
    write_head(request, &head);
    if (head.overflow) {
        err_set(err, ERR_INVALID, "the name is too long");
        goto out;
    }
    sent = send_all(client, fd, buf_slice(&head), deadline_ms, err);
    if (sent == SENT && request->content_type != NULL) {
        sent = send_all(client, fd, request->body, deadline_ms, err);
    }
    ok = sent != SEND_FAILED && receive(client, fd, reply, deadline_ms, err);
out:
    buf_fini(&head);
    (void)close(fd);
    return ok;
}
