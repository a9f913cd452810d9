#include "lbd/upstream/talk.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/base/mem.h"
#include "lbd/net/sock_opt.h"

enum { READ_SIZE = 4096 };

static void on_event(struct loop_watch *watch, unsigned ready);
static bool shake_hands(struct talk *talk);

/* --- words --- */

static const char *words_of(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return "connection refused";
    case ECONNRESET:
        return "connection reset";
    case EPIPE:
        return "connection closed";
    case ETIMEDOUT:
        return "connecting timed out in the kernel";
    case EHOSTUNREACH:
        return "no route to host";
    case ENETUNREACH:
        return "network unreachable";
    case ENOENT:
        return "no such socket file";
    case EADDRNOTAVAIL:
        return "no local address or port to reach it from";
    case EAGAIN:
        return "its queue of connections is full"; /* unix sockets only */
    default:
        return strerror(error); /* this thread's */
    }
}

/* Is this our own shortage and not the server's fault? */
static bool is_ours(int error)
{
    switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL:
        return true;
    default:
        return false;
    }
}

/* All return false, as ops do. */
static bool fail_with(struct talk *talk, int error)
{
    char why[TALK_WHY_MAX];
    (void)snprintf(why, sizeof(why), "%s", words_of(error));
    const struct talk_ops *ops = talk->ops;
    ops->failed(talk, is_ours(error), why);
    return false;
}

static bool tls_failed(struct talk *talk)
{
    char why[TALK_WHY_MAX];
    (void)snprintf(why, sizeof(why), "TLS: %.*s", (int)sizeof(why) - 6, tls_session_why(talk->tls));
    talk->ops->failed(talk, false, why);
    return false;
}

/* --- bytes --- */

static enum tls_verdict verdict_of_errno(void)
{
    return errno == EAGAIN ? TLS_WANT_READ : TLS_FAILED;
}

/* Of a clear connection as of TLS; with FAILED errno says why when it is clear. */
static enum tls_verdict put(struct talk *talk, size_t *taken)
{
    if (talk->tls != NULL) {
        return tls_session_write(talk->tls, talk->out.data, talk->out.len, taken);
    }
    ssize_t n = 0;
    do {
        n = send(talk->fd, talk->out.data, talk->out.len, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    *taken = n > 0 ? (size_t)n : 0;
    return n >= 0 ? TLS_DONE : verdict_of_errno();
}

static enum tls_verdict get(struct talk *talk, size_t len, size_t *got)
{
    char *at = talk->in.data + talk->in.len;
    if (talk->tls != NULL) {
        return tls_session_read(talk->tls, at, len, got);
    }
    ssize_t n = 0;
    do {
        n = recv(talk->fd, at, len, 0);
    } while (n < 0 && errno == EINTR);
    *got = n > 0 ? (size_t)n : 0;
    if (n == 0) {
        return TLS_END;
    }
    return n > 0 ? TLS_DONE : verdict_of_errno();
}

static bool watch(struct talk *talk)
{
    unsigned events =
        LOOP_READ | (talk->out.len != 0 || talk->wants_write ? (unsigned)LOOP_WRITE : 0U);
    if (talk->watched == events) {
        return true;
    }
    loop_watch_stop(&talk->watch);
    talk->watched = events;
    return loop_watch_start(talk->loop, &talk->watch, talk->fd, events, on_event);
}

static bool flush(struct talk *talk)
{
    while (talk->out.len != 0) {
        size_t taken = 0;
        switch (put(talk, &taken)) {
        case TLS_DONE:
        case TLS_END:
            buf_consume(&talk->out, taken);
            break;
        case TLS_WANT_READ:
        case TLS_WANT_WRITE:
            return true;
        case TLS_FAILED:
            if (talk->tls == NULL && !is_ours(errno) && errno != EPIPE && errno != ECONNRESET) {
                return fail_with(talk, errno);
            }
            buf_clear(&talk->out); /* an answer may have come before the end: read on */
            return true;
        }
    }
    return true;
}

static bool receive(struct talk *talk)
{
    for (;;) {
        size_t room = talk->in.max - talk->in.len;
        size_t want = room < READ_SIZE ? room : READ_SIZE;
        size_t got = 0;
        if (want == 0 || !buf_reserve(&talk->in, want)) {
            char why[64];
            (void)snprintf(why, sizeof(why), "the answer is larger than %zu KiB",
                           talk->in.max / 1024);
            talk->ops->failed(talk, false, why);
            return false;
        }
        enum tls_verdict verdict = get(talk, want, &got);
        int error = errno;
        talk->in.len += got;
        bool has_ended = verdict == TLS_END;
        if (got == 0 && !has_ended) {
            if (verdict != TLS_FAILED) {
                return talk->tls == NULL || talk->ops->accepted == NULL ||
                       tls_session_waits_for_verdict(talk->tls) || talk->ops->accepted(talk);
            }
            return talk->tls != NULL ? tls_failed(talk) : fail_with(talk, error);
        }
        if (!talk->ops->received(talk, has_ended)) {
            return false;
        }
        if (talk->step == TALK_SHAKES_HANDS) { /* talk_secure */
            return shake_hands(talk);
        }
        if (has_ended) { /* an owner does not wait after the end of the stream */
            loop_watch_stop(&talk->watch);
            return true;
        }
        if (talk->out.len != 0 && !flush(talk)) {
            return false;
        }
    }
}

/* --- the beginning --- */

static bool opened(struct talk *talk)
{
    talk->step = TALK_IS_OPEN;
    return talk->ops->connected(talk) && flush(talk);
}

static bool shake_hands(struct talk *talk)
{
    enum tls_verdict verdict = tls_session_handshake(talk->tls);
    talk->wants_write = verdict == TLS_WANT_WRITE;
    switch (verdict) {
    case TLS_DONE:
        return opened(talk);
    case TLS_WANT_READ:
    case TLS_WANT_WRITE:
        return true;
    case TLS_END:
    case TLS_FAILED:
        break;
    }
    return tls_failed(talk);
}

static bool on_dialled(struct talk *talk)
{
    int error = sock_opt_connect_error(talk->fd);
    if (error != 0) {
        return fail_with(talk, error);
    }
    if (talk->proxy != PROXY_HEADER_NONE) {
        char header[PROXY_HEADER_OUT_MAX];
        size_t len = proxy_header_write(header, (enum proxy_header_version)talk->proxy, NULL, NULL,
                                        SLICE_NONE, false);
        if (send(talk->fd, header, len, MSG_NOSIGNAL) != (ssize_t)len) {
            return fail_with(talk, errno);
        }
    }
    if (talk->tls == NULL) {
        return opened(talk);
    }
    talk->step = TALK_SHAKES_HANDS;
    return shake_hands(talk);
}

static void on_event(struct loop_watch *event, unsigned ready)
{
    struct talk *talk = container_of(event, struct talk, watch);
    bool goes_on = true;
    bool was_open = talk->step == TALK_IS_OPEN;
    if (talk->step == TALK_DIALS) {
        goes_on = on_dialled(talk);
    } else if (talk->step == TALK_SHAKES_HANDS) {
        goes_on = shake_hands(talk);
    } else if ((ready & LOOP_WRITE) != 0) {
        goes_on = flush(talk);
    }
    /* TLS may hold bytes that no event will tell of */
    if (goes_on && talk->step == TALK_IS_OPEN &&
        ((ready & (LOOP_READ | LOOP_CLOSED)) != 0 || (!was_open && talk->tls != NULL))) {
        goes_on = receive(talk);
    }
    if (goes_on && loop_watch_is_started(&talk->watch) && !watch(talk)) {
        (void)fail_with(talk, ENOMEM);
    }
}

static void on_ready(struct loop_ready *ready)
{
    struct talk *talk = container_of(ready, struct talk, ready);
    (void)fail_with(talk, talk->error);
}

static bool begin_tls(struct talk *talk, struct tls_client *tls, const char *tls_name)
{
    struct ssl_st *ssl = tls_client_begin(tls, tls_name, NULL);
    talk->tls = ssl != NULL ? tls_session_adopt(ssl, talk->fd) : NULL;
    return talk->tls != NULL;
}

/* 0: connected or on its way; else errno. */
static int dial(struct talk *talk, const struct talk_way *way)
{
    const struct addr *address = way->address;
    if (address->len == 0) {
        return EDESTADDRREQ;
    }
    talk->fd = socket(address->u.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (talk->fd < 0) {
        return errno;
    }
    if (way->sources.count != 0 &&
        !dial_bind(talk->fd, address->u.any.sa_family, &way->sources, way->turn)) {
        return errno;
    }
    if (connect(talk->fd, &address->u.any, address->len) != 0 && errno != EINPROGRESS &&
        errno != EINTR) {
        return errno;
    }
    if (way->tls != NULL && !begin_tls(talk, way->tls, way->tls_name)) {
        return ENOMEM;
    }
    /* also when it stands already: its being writable is the event that goes on */
    talk->watched = LOOP_WRITE;
    return loop_watch_start(talk->loop, &talk->watch, talk->fd, LOOP_WRITE, on_event) ? 0 : ENOMEM;
}

void talk_begin(struct talk *talk, struct loop *loop, const struct talk_ops *ops,
                const struct talk_way *way, size_t in_max)
{
    *talk = (struct talk){.loop = loop, .ops = ops, .fd = -1, .proxy = (uint8_t)way->proxy};
    buf_init(&talk->out, TALK_OUT_MAX);
    buf_init(&talk->in, in_max);
    talk->error = dial(talk, way);
    if (talk->error != 0) {
        loop_ready_put(loop, &talk->ready, on_ready);
    }
}

void talk_end(struct talk *talk)
{
    if (talk->loop == NULL) {
        return;
    }
    loop_watch_stop(&talk->watch);
    loop_ready_remove(&talk->ready);
    tls_session_free(talk->tls);
    talk->tls = NULL;
    if (talk->fd >= 0) {
        (void)close(talk->fd);
    }
    talk->fd = -1;
    mem_wipe(talk->out.data, talk->out.capacity); /* passwords go this way */
    buf_fini(&talk->out);
    buf_fini(&talk->in);
    talk->loop = NULL;
}

bool talk_send(struct talk *talk)
{
    if (talk->step != TALK_IS_OPEN) {
        return true;
    }
    if (!flush(talk)) {
        return false;
    }
    return watch(talk) || fail_with(talk, ENOMEM);
}

bool talk_secure(struct talk *talk, struct tls_client *tls, const char *tls_name)
{
    assert(talk->step == TALK_IS_OPEN && talk->tls == NULL && talk->in.len == 0 &&
           talk->out.len == 0);
    if (!begin_tls(talk, tls, tls_name)) {
        return false;
    }
    talk->step = TALK_SHAKES_HANDS;
    return true;
}
