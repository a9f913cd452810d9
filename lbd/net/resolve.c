#include "lbd/net/resolve.h"

#include <arpa/nameser.h>
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
    enum resolve_kind kind;
    int family;
    bool is_asked; /* the library holds it and will call back */
    struct loop_ready ready;
    resolve_fn *first_fn;      /* of who wants one address; */
    resolve_answer_fn *all_fn; /* all; both NULL: nobody waits any more */
    void *arg;
    /* the answer on its way */
    enum resolve_verdict verdict;
    uint32_t ttl_s;
    struct addr *addresses;
    struct resolve_service *services;
    uint32_t count;
    const char *why;
    char name[RESOLVE_NAME_MAX];
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
    free(question->addresses);
    free(question->services);
    free(question);
}

static bool is_waited_for(const struct resolve_question *question)
{
    return question->first_fn != NULL || question->all_fn != NULL;
}

/* Tells the answer. The question is gone for the caller; for us when the library is done with it.
 */
static void tell(struct resolve_question *question)
{
    resolve_fn *first_fn = question->first_fn;
    resolve_answer_fn *all_fn = question->all_fn;
    void *arg = question->arg;
    struct addr *addresses = question->addresses;
    struct resolve_service *services = question->services;
    const struct resolve_answer answer = {
        .verdict = question->verdict,
        .why = question->why,
        .ttl_s = question->ttl_s,
        .addresses = addresses,
        .services = services,
        .count = question->count,
    };
    question->addresses = NULL;
    question->services = NULL;
    question->first_fn = NULL;
    question->all_fn = NULL;
    if (question->is_asked) {
        list_remove(&question->link);
    } else {
        free_question(question);
    }
    if (first_fn != NULL) {
        first_fn(addresses, answer.why, arg);
    } else if (all_fn != NULL) {
        all_fn(&answer, arg);
    }
    free(addresses);
    free(services);
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
        return "no name server could be reached, or all of them failed"; /* the library has one
                                                                            word for both */
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

static bool says_there_is_none(int status)
{
    return status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND;
}

static uint32_t clamp_ttl(uint32_t ttl_s)
{
    return ttl_s < RESOLVE_TTL_MIN_S   ? RESOLVE_TTL_MIN_S
           : ttl_s > RESOLVE_TTL_MAX_S ? RESOLVE_TTL_MAX_S
                                       : ttl_s;
}

/* The library is done with it: it is told of soon, never before resolve_ask has returned (the hosts
 * file is answered from during the call). */
static void conclude(struct resolve_question *question, int status)
{
    if (question->count != 0) {
        question->verdict = RESOLVE_FOUND;
        question->ttl_s = clamp_ttl(question->ttl_s);
    } else {
        question->verdict = says_there_is_none(status) ? RESOLVE_EMPTY : RESOLVE_FAILED;
        question->why = why_not(status == ARES_SUCCESS ? ARES_ENODATA : status);
    }
    loop_ready_put(question->resolve->loop, &question->ready, on_ready);
}

static void take_addresses(struct resolve_question *question, const struct ares_addrinfo *answer)
{
    uint32_t ttl_s = UINT32_MAX;
    question->addresses = mem_zero(RESOLVE_ANSWERS_MAX, sizeof(*question->addresses));
    for (const struct ares_addrinfo_node *node = answer->nodes;
         node != NULL && question->count < RESOLVE_ANSWERS_MAX; node = node->ai_next) {
        if (node->ai_family == question->family) {
            addr_from_sockaddr(&question->addresses[question->count++], node->ai_addr,
                               node->ai_addrlen);
            ttl_s = (uint32_t)node->ai_ttl < ttl_s ? (uint32_t)node->ai_ttl : ttl_s;
        }
    }
    for (const struct ares_addrinfo_cname *alias = answer->cnames; alias != NULL;
         alias = alias->next) {
        ttl_s = (uint32_t)alias->ttl < ttl_s ? (uint32_t)alias->ttl : ttl_s;
    }
    question->ttl_s = ttl_s;
    if (question->count == 0) {
        free(question->addresses);
        question->addresses = NULL;
    }
}

static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *answer)
{
    struct resolve_question *question = arg;
    (void)timeouts;
    question->is_asked = false;
    if (answer != NULL) {
        if (is_waited_for(question)) {
            take_addresses(question, answer);
        }
        ares_freeaddrinfo(answer);
    }
    if (!is_waited_for(question)) { /* cancelled, told otherwise, or all ends */
        free_question(question);
    } else if (question->count == 0 && says_there_is_none(status) && question->family == AF_INET) {
        question->family = AF_INET6;
        ask(question);
    } else {
        conclude(question, status);
    }
}

static void on_services(void *arg, int status, int timeouts, unsigned char *message, int len)
{
    struct resolve_question *question = arg;
    (void)timeouts;
    question->is_asked = false;
    if (!is_waited_for(question)) {
        free_question(question);
        return;
    }
    if (status == ARES_SUCCESS) {
        question->services = mem_zero(RESOLVE_ANSWERS_MAX, sizeof(*question->services));
        if (!resolve_parse_services(message, (size_t)len, question->services, &question->count,
                                    &question->ttl_s)) {
            status = ARES_EBADRESP;
            question->count = 0;
        }
    }
    conclude(question, status);
}

static void ask(struct resolve_question *question)
{
    struct ares_addrinfo_hints hints = {
        .ai_family = question->family,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = ARES_AI_NOSORT, /* the name server's order; sorting would dial each of them */
    };
    ares_channel channel = question->resolve->channel;
    question->is_asked = true;
    if (question->kind == RESOLVE_SERVICES) {
        ares_query(channel, question->name, ns_c_in, ns_t_srv, on_services, question);
    } else {
        ares_getaddrinfo(channel, question->name, NULL, &hints, on_addresses, question);
    }
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

static struct resolve_question *begin(struct resolve *resolve, struct slice name,
                                      enum resolve_kind kind)
{
    struct resolve_question *question = mem_zero(1, sizeof(*question));
    question->resolve = resolve;
    question->deadline_ms = loop_now_us(resolve->loop) / 1000 + RESOLVE_LIMIT_MS;
    question->kind = kind;
    question->family = AF_INET;
    question->verdict = RESOLVE_FAILED;
    question->why = "";
    list_push_back(&resolve->questions, &question->link);
    if (name.len == 0 || name.len >= sizeof(question->name) || slice_find(name, '\0') != SIZE_MAX) {
        question->why = why_not(ARES_EBADNAME);
        loop_ready_put(resolve->loop, &question->ready, on_ready);
        return question;
    }
    memcpy(question->name, name.ptr, name.len);
    return question;
}

static void go(struct resolve_question *question)
{
    struct slice name = slice_from(question->name);
    if (name.len == 0) {
        return; /* refused: it is told of already */
    }
    /* RFC 6761 6.3: loopback, whatever /etc/hosts says or does not say. */
    if (question->kind == RESOLVE_ADDRESSES &&
        (slice_eq_nocase(name, SLICE("localhost")) || slice_eq_nocase(name, SLICE("localhost.")))) {
        question->addresses = mem_zero(1, sizeof(*question->addresses));
        bool parsed = addr_from_ip(SLICE("127.0.0.1"), 0, question->addresses);
        assert(parsed);
        question->count = 1;
        question->ttl_s = RESOLVE_TTL_MAX_S;
        conclude(question, ARES_SUCCESS);
        return;
    }
    struct resolve *resolve = question->resolve;
    ask(question);
    set_timer(resolve);
}

struct resolve_question *resolve_ask(struct resolve *resolve, struct slice name, resolve_fn *fn,
                                     void *arg)
{
    struct resolve_question *question = begin(resolve, name, RESOLVE_ADDRESSES);
    question->first_fn = fn;
    question->arg = arg;
    go(question);
    return question;
}

struct resolve_question *resolve_ask_all(struct resolve *resolve, struct slice name,
                                         enum resolve_kind kind, resolve_answer_fn *fn, void *arg)
{
    struct resolve_question *question = begin(resolve, name, kind);
    question->all_fn = fn;
    question->arg = arg;
    go(question);
    return question;
}

void resolve_cancel(struct resolve_question *question)
{
    if (question == NULL) {
        return;
    }
    question->first_fn = NULL;
    question->all_fn = NULL;
    loop_ready_remove(&question->ready);
    list_remove(&question->link);
    if (!question->is_asked) {
        free_question(question);
    }
}

/* --- SRV (RFC 2782): the library's own parser keeps no time to live --- */

struct dns_reader {
    const unsigned char *message;
    size_t len;
    size_t at;
};

static uint32_t take_number(struct dns_reader *reader, size_t bytes)
{
    uint32_t number = 0;
    for (size_t i = 0; i < bytes; i++) {
        number = number << 8U | reader->message[reader->at++];
    }
    return number;
}

/* A name at the reader's place, which goes behind it; `out` NULL: only that. */
static bool take_name(struct dns_reader *reader, char out[RESOLVE_NAME_MAX])
{
    char *name = NULL;
    long used = 0;
    if (reader->at >= reader->len ||
        ares_expand_name(reader->message + reader->at, reader->message, (int)reader->len, &name,
                         &used) != ARES_SUCCESS) {
        return false;
    }
    size_t len = strlen(name);
    bool fits = len < RESOLVE_NAME_MAX;
    if (out != NULL && fits) {
        memcpy(out, name, len + 1);
    }
    ares_free_string(name);
    reader->at += (size_t)used;
    return fits && reader->at <= reader->len;
}

enum { DNS_HEAD = 12, DNS_RECORD_HEAD = 10, DNS_SRV_HEAD = 6 };

static bool take_record(struct dns_reader *reader, struct resolve_service *service,
                        bool *is_service, uint32_t *ttl_s)
{
    if (!take_name(reader, NULL) || reader->len - reader->at < DNS_RECORD_HEAD) {
        return false;
    }
    uint32_t type = take_number(reader, 2);
    uint32_t class = take_number(reader, 2);
    uint32_t ttl = take_number(reader, 4);
    size_t data_len = take_number(reader, 2);
    size_t end = reader->at + data_len;
    if (end > reader->len) {
        return false;
    }
    bool is_in = class == ns_c_in;
    *is_service = is_in && type == ns_t_srv;
    if (*is_service) {
        if (data_len < DNS_SRV_HEAD + 1) {
            return false;
        }
        service->priority = (uint16_t)take_number(reader, 2);
        service->weight = (uint16_t)take_number(reader, 2);
        service->port = (uint16_t)take_number(reader, 2);
        if (!take_name(reader, service->host) || reader->at != end) {
            return false;
        }
    }
    if (is_in && (type == ns_t_srv || type == ns_t_cname)) {
        *ttl_s = ttl < *ttl_s ? ttl : *ttl_s;
    }
    reader->at = end;
    return true;
}

bool resolve_parse_services(const unsigned char *message, size_t len,
                            struct resolve_service services[RESOLVE_ANSWERS_MAX], uint32_t *count,
                            uint32_t *ttl_s)
{
    struct dns_reader reader = {.message = message, .len = len, .at = 4};
    *count = 0;
    *ttl_s = UINT32_MAX;
    if (len < DNS_HEAD || len > UINT16_MAX) {
        return false;
    }
    uint32_t questions = take_number(&reader, 2);
    uint32_t answers = take_number(&reader, 2);
    reader.at = DNS_HEAD;
    for (uint32_t i = 0; i < questions; i++) {
        if (!take_name(&reader, NULL) || reader.len - reader.at < 4) {
            return false;
        }
        reader.at += 4;
    }
    for (uint32_t i = 0; i < answers && *count < RESOLVE_ANSWERS_MAX; i++) {
        bool is_service = false;
        struct resolve_service *service = &services[*count];
        if (!take_record(&reader, service, &is_service, ttl_s)) {
            return false;
        }
        /* "." : decidedly not available here; port 0 leads nowhere */
        if (is_service && service->host[0] != '\0' && service->port != 0) {
            (*count)++;
        }
    }
    return true;
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
