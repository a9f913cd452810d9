#include "lbd/net/resolve.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ares.h>

#include "lbd/base/buf.h"
#include "lbd/base/list.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"

/* One of the library's sockets. */
struct resolve_socket {
    struct list_node link;
    struct loop_watch watch;
    struct loop_grave grave;
    struct resolve *resolve;
    int fd;
};

struct resolve {
    struct loop *loop;
    ares_channel channel;
    struct list_node sockets;
    struct list_node questions;
    struct loop_timer timer; /* the library's next time-out, or ours */
};

struct resolve_question {
    struct list_node link; /* of resolve->questions while the caller waits */
    struct resolve *resolve;
    uint64_t deadline_ms;
    int family;
    bool is_asked; /* the library holds it and will call back */
    struct loop_ready ready;
    resolve_fn *fn; /* NULL: nobody waits any more */
    void *arg;
    struct addr address; /* the answer on its way */
    const char *why;
    char name[256];
};

/* --- the library's sockets and time on our loop --- */

static void on_timer(struct loop_timer *timer);

/* The library and our own limits are looked at again when the earlier of them is due. */
static void set_timer(struct resolve *resolve)
{
    if (list_is_empty(&resolve->questions)) {
        struct timeval left;
        if (ares_timeout(resolve->channel, NULL, &left) == NULL) {
            loop_timer_stop(&resolve->timer);
            return;
        }
    }
    struct timeval limit = {.tv_sec = 1};
    struct timeval left;
    const struct timeval *next = ares_timeout(resolve->channel, &limit, &left);
    uint64_t wait_ms = (uint64_t)next->tv_sec * 1000 + (uint64_t)(next->tv_usec + 999) / 1000;
    loop_timer_set(resolve->loop, &resolve->timer, wait_ms, on_timer);
}

static void on_socket(struct loop_watch *watch, unsigned ready)
{
    struct resolve_socket *socket = container_of(watch, struct resolve_socket, watch);
    struct resolve *resolve = socket->resolve;
    ares_socket_t fd = socket->fd;
    ares_process_fd(resolve->channel,
                    (ready & (LOOP_READ | LOOP_CLOSED)) != 0 ? fd : ARES_SOCKET_BAD,
                    (ready & LOOP_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
    set_timer(resolve);
}

static void free_socket(struct loop_grave *grave)
{
    free(container_of(grave, struct resolve_socket, grave));
}

/* The library wants to know when `fd` is readable or writable; neither: it closes it next. */
static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct resolve *resolve = arg;
    struct resolve_socket *socket = NULL;
    struct list_node *node;
    list_for_each (node, &resolve->sockets) {
        struct resolve_socket *known = list_entry(node, struct resolve_socket, link);
        if (known->fd == fd) {
            socket = known;
            break;
        }
    }
    if (!readable && !writable) {
        if (socket != NULL) {
            loop_watch_stop(&socket->watch);
            list_remove(&socket->link);
            loop_bury(resolve->loop, &socket->grave, free_socket); /* may be in its own callback */
        }
        return;
    }

    if (socket == NULL) {
        socket = mem_zero(1, sizeof(*socket));
        socket->resolve = resolve;
        socket->fd = fd;
        list_push_back(&resolve->sockets, &socket->link);
    }
    unsigned events = (readable ? LOOP_READ : 0U) | (writable ? LOOP_WRITE : 0U);
    loop_watch_stop(&socket->watch);
    /* refused by the kernel: the question ends with its time-out */
    (void)!loop_watch_start(resolve->loop, &socket->watch, fd, events, on_socket);
}

/* --- questions --- */

static void free_question(struct resolve_question *question)
{
    list_remove(&question->link);
    loop_ready_remove(&question->ready);
    free(question);
}

/* Tells the answer. The question is gone for the caller; for us when the library is done with it.
 */
static void tell(struct resolve_question *question)
{
    resolve_fn *fn = question->fn;
    void *arg = question->arg;
    struct addr address = question->address;
    const char *why = question->why;
    question->fn = NULL;
    if (question->is_asked) {
        list_remove(&question->link);
    } else {
        free_question(question);
    }
    if (fn != NULL) {
        fn(address.len != 0 ? &address : NULL, why, arg);
    }
}

static void on_ready(struct loop_ready *ready)
{
    tell(container_of(ready, struct resolve_question, ready));
}

static const char *why_not(int status)
{
    switch (status) {
    case ARES_ENOTFOUND:
        return "no such name";
    case ARES_ENODATA:
        return "the name has no address";
    case ARES_ETIMEOUT:
        return "no name server answered in time";
    case ARES_ECONNREFUSED:
        return "no name server could be reached";
    case ARES_ESERVFAIL:
        return "the name server failed";
    case ARES_EREFUSED:
        return "the name server refused";
    case ARES_EBADNAME:
        return "not a valid host name";
    default:
        return ares_strerror(status);
    }
}

static void ask(struct resolve_question *question);

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *answer)
{
    struct resolve_question *question = arg;
    (void)timeouts;
    question->is_asked = false;
    if (answer != NULL) {
        for (const struct ares_addrinfo_node *node = answer->nodes;
             node != NULL && question->address.len == 0; node = node->ai_next) {
            if (node->ai_family == question->family) {
                addr_from_sockaddr(&question->address, node->ai_addr, node->ai_addrlen);
            }
        }
        ares_freeaddrinfo(answer);
    }
    if (question->fn == NULL) { /* cancelled, told otherwise, or all ends */
        free_question(question);
        return;
    }

    bool no_such_kind =
        status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND;
    if (question->address.len == 0 && no_such_kind && question->family == AF_INET) {
        question->family = AF_INET6;
        ask(question);
        return;
    }
    if (question->address.len == 0) {
        question->why = why_not(status == ARES_SUCCESS ? ARES_ENODATA : status);
    }
    /* The hosts file is answered from during the call: never tell before resolve_ask has returned.
     */
    loop_ready_put(question->resolve->loop, &question->ready, on_ready);
}

static void ask(struct resolve_question *question)
{
    struct ares_addrinfo_hints hints = {
        .ai_family = question->family,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = ARES_AI_NOSORT, /* the name server's order; sorting would dial each of them */
    };
    question->is_asked = true;
    ares_getaddrinfo(question->resolve->channel, question->name, NULL, &hints, on_answer, question);
}

static void on_timer(struct loop_timer *timer)
{
    struct resolve *resolve = container_of(timer, struct resolve, timer);
    ares_process_fd(resolve->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    uint64_t now = loop_now_us(resolve->loop) / 1000;
    struct list_node late;
    struct list_node *node;
    struct list_node *following;
    list_init(&late);
    list_for_each_safe (node, following, &resolve->questions) {
        struct resolve_question *question = list_entry(node, struct resolve_question, link);
        if (question->is_asked && now >= question->deadline_ms) {
            question->why = why_not(ARES_ETIMEOUT);
            list_remove(node);
            list_push_back(&late, node);
        }
    }
    while ((node = list_first(&late)) != NULL) {
        tell(list_entry(node, struct resolve_question, link)); /* may free others of them */
    }
    set_timer(resolve);
}

struct resolve_question *resolve_ask(struct resolve *resolve, struct slice name, resolve_fn *fn,
                                     void *arg)
{
    struct resolve_question *question = mem_zero(1, sizeof(*question));
    question->resolve = resolve;
    question->deadline_ms = loop_now_us(resolve->loop) / 1000 + RESOLVE_LIMIT_MS;
    question->family = AF_INET;
    question->fn = fn;
    question->arg = arg;
    question->why = "";
    list_push_back(&resolve->questions, &question->link);
    if (name.len == 0 || name.len >= sizeof(question->name) || slice_find(name, '\0') != SIZE_MAX) {
        question->why = why_not(ARES_EBADNAME);
        loop_ready_put(resolve->loop, &question->ready, on_ready);
        return question;
    }
    /* RFC 6761 6.3: loopback, whatever /etc/hosts says or does not say. */
    if (slice_eq_nocase(name, SLICE("localhost")) || slice_eq_nocase(name, SLICE("localhost."))) {
        bool parsed = addr_from_ip(SLICE("127.0.0.1"), 0, &question->address);
        assert(parsed);
        loop_ready_put(resolve->loop, &question->ready, on_ready);
        return question;
    }
    memcpy(question->name, name.ptr, name.len);
    ask(question);
    set_timer(resolve);
    return question;
}

void resolve_cancel(struct resolve_question *question)
{
    if (question == NULL) {
        return;
    }
    question->fn = NULL;
    loop_ready_remove(&question->ready);
    list_remove(&question->link);
    if (!question->is_asked) {
        free_question(question);
    }
}

/* --- life --- */

/* "ip", "ip:port", "[v6]:port" as the library wants them: a list with commas. */
static bool set_servers(struct resolve *resolve, const struct slice *servers, uint32_t count,
                        struct err *err)
{
    struct buf list;
    buf_init(&list, 16384);
    for (uint32_t i = 0; i < count; i++) {
        struct addr address;
        char text[ADDR_TEXT_MAX];
        bool is_valid = !addr_is_unix(servers[i]) && (addr_from_ip(servers[i], 53, &address) ||
                                                      addr_parse(servers[i], &address));
        if (!is_valid || addr_port(&address) == 0) {
            buf_fini(&list);
            return err_set(err, ERR_INVALID, "resolver '%.*s' is no address",
                           SLICE_ARG(servers[i]));
        }
        (void)addr_write(&address, text);
        (void)buf_printf(&list, "%s%s", i != 0 ? "," : "", text);
    }
    int status =
        list.overflow ? ARES_ENOMEM : ares_set_servers_ports_csv(resolve->channel, list.data);
    buf_fini(&list);
    if (status != ARES_SUCCESS) {
        return err_set(err, ERR_INVALID, "cannot use the resolvers: %s", ares_strerror(status));
    }
    return true;
}

struct resolve *resolve_new(struct loop *loop, const struct slice *servers, uint32_t count,
                            struct err *err)
{
    int status = ares_library_init(ARES_LIB_INIT_ALL);
    if (status != ARES_SUCCESS) {
        (void)err_set(err, ERR_SYSTEM, "cannot start the resolver: %s", ares_strerror(status));
        return NULL;
    }
    struct resolve *resolve = mem_zero(1, sizeof(*resolve));
    resolve->loop = loop;
    list_init(&resolve->sockets);
    list_init(&resolve->questions);

    char lookups[] = "fb"; /* files, then DNS */
    struct ares_options options = {
        /* with servers of our own names are taken as they are, without the system's search list */
        .flags = count != 0 ? ARES_FLAG_NOSEARCH : 0,
        .timeout = RESOLVE_TRY_MS,
        .tries = RESOLVE_TRIES,
        .lookups = lookups,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = resolve,
    };
    status = ares_init_options(&resolve->channel, &options,
                               ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                   ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS) {
        (void)err_set(err, ERR_SYSTEM, "cannot start the resolver: %s", ares_strerror(status));
        free(resolve);
        ares_library_cleanup();
        return NULL;
    }
    if (count != 0 && !set_servers(resolve, servers, count, err)) {
        resolve_free(resolve);
        return NULL;
    }
    return resolve;
}

void resolve_free(struct resolve *resolve)
{
    if (resolve == NULL) {
        return;
    }
    struct list_node *node;
    while ((node = list_first(&resolve->questions)) != NULL) {
        resolve_cancel(list_entry(node, struct resolve_question, link));
    }
    ares_destroy(resolve->channel); /* calls back for all it holds, closes its sockets */
    loop_timer_stop(&resolve->timer);
    while ((node = list_pop_front(&resolve->sockets)) != NULL) {
        struct resolve_socket *socket = list_entry(node, struct resolve_socket, link);
        loop_watch_stop(&socket->watch);
        free(socket);
    }
    free(resolve);
    ares_library_cleanup();
}
