#include "lbd/base/addr.h"

#include <arpa/inet.h>
#include <string.h>

#include "lbd/base/num.h"

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool addr_is_unix(struct slice text)
{
    return slice_starts(text, SLICE("unix:"));
}

static bool is_host_byte(char c)
{
    /* no spaces, controls, brackets or what separates parts of a URI */
    return (unsigned char)c > ' ' && c != 0x7f && strchr("[]/?#@:\\\"<>^`{|}", c) == NULL;
}

bool addr_split(struct slice text, bool allow_port_0, struct slice *host, uint16_t *port)
{
    size_t colon;
    struct slice name;
    if (text.len != 0 && text.ptr[0] == '[') {
        size_t close = slice_find(text, ']');
        struct addr literal;
        if (close == SIZE_MAX) {
            return false;
        }
        name = slice_of(text.ptr + 1, close - 1);
        colon = close + 1;
        /* brackets hold an IPv6 address and nothing else (RFC 3986 3.2.2) */
        if (slice_find(name, ':') == SIZE_MAX || !addr_from_ip(name, 0, &literal)) {
            return false;
        }
    } else {
        colon = slice_find(text, ':');
        if (colon == SIZE_MAX || colon == 0 || colon > 253) {
            return false;
        }
        name = slice_of(text.ptr, colon);
        for (size_t i = 0; i < name.len; i++) {
            if (!is_host_byte(name.ptr[i])) {
                return false;
            }
        }
    }
    if (colon >= text.len || text.ptr[colon] != ':') {
        return false;
    }

    uint64_t number;
    struct slice digits = slice_from_at(text, colon + 1);
    if (digits.len > 5 || !num_parse_u64(digits, &number) || number > UINT16_MAX ||
        (number == 0 && !allow_port_0)) {
        return false;
    }
    *host = name;
    *port = (uint16_t)number;
    return true;
}

bool addr_from_ip(struct slice ip, uint16_t port, struct addr *out)
{
    char text[INET6_ADDRSTRLEN];
    if (ip.len == 0 || ip.len >= sizeof(text)) {
        return false;
    }
    memcpy(text, ip.ptr, ip.len);
    text[ip.len] = '\0';
    if (strlen(text) != ip.len) {
        return false;
    }

    struct addr made;
    memset(&made, 0, sizeof(made));
    if (inet_pton(AF_INET, text, &made.u.v4.sin_addr) == 1) {
        made.u.v4.sin_family = AF_INET;
        made.u.v4.sin_port = htons(port);
        made.len = sizeof(made.u.v4);
    } else if (inet_pton(AF_INET6, text, &made.u.v6.sin6_addr) == 1) {
        made.u.v6.sin6_family = AF_INET6;
        made.u.v6.sin6_port = htons(port);
        made.len = sizeof(made.u.v6);
    } else {
        return false;
    }
    *out = made;
    return true;
}

static bool parse_unix(struct slice path, struct addr *out)
{
    struct addr made;
    memset(&made, 0, sizeof(made));
    if (path.len < 2 || path.len >= sizeof(made.u.local.sun_path) ||
        (path.ptr[0] != '/' && path.ptr[0] != '@') || slice_find(path, '\0') != SIZE_MAX) {
        return false;
    }
    made.u.local.sun_family = AF_UNIX;
    memcpy(made.u.local.sun_path, path.ptr, path.len);
    made.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len);
    if (path.ptr[0] == '@') {
        made.u.local.sun_path[0] = '\0'; /* abstract: ends with its length */
    } else {
        made.len++; /* the NUL belongs to it */
    }
    *out = made;
    return true;
}

bool addr_parse(struct slice text, struct addr *out)
{
    struct slice host;
    uint16_t port;
    if (addr_is_unix(text)) {
        return parse_unix(slice_from_at(text, 5), out);
    }
    return addr_split(text, true, &host, &port) && addr_from_ip(host, port, out);
}

static char *write_byte(char *at, unsigned value)
{
    if (value >= 100) {
        *at++ = (char)('0' + value / 100);
    }
    if (value >= 10) {
        *at++ = (char)('0' + value / 10 % 10);
    }
    *at++ = (char)('0' + value % 10);
    return at;
}

/* Once for every request: X-Forwarded-For. */
static size_t write_v4(char *out, const uint8_t ip[4])
{
    char *at = out;
    for (size_t i = 0; i < 4; i++) {
        at = write_byte(at, ip[i]);
        *at++ = '.';
    }
    *--at = '\0';
    return (size_t)(at - out);
}

static size_t write_v6(char *out, const uint8_t ip[16])
{
    if (memcmp(ip, v4_prefix, sizeof(v4_prefix)) == 0) {
        memcpy(out, "::ffff:", 7); /* RFC 5952 5 */
        return 7 + write_v4(out + 7, ip + 12);
    }

    unsigned groups[8];
    size_t best = 8;
    size_t best_len = 1; /* a single group of zeros is not shortened (RFC 5952 4.2.2) */
    for (size_t i = 0, run = 0; i < 8; i++) {
        groups[i] = (unsigned)ip[2 * i] << 8U | ip[2 * i + 1];
        run = groups[i] == 0 ? run + 1 : 0;
        if (run > best_len) {
            best_len = run;
            best = i + 1 - run;
        }
    }

    size_t len = 0;
    for (size_t i = 0; i < 8; i++) {
        if (i == best) {
            out[len++] = ':';
            out[len++] = ':';
            i += best_len - 1;
            continue;
        }
        if (len != 0 && out[len - 1] != ':') {
            out[len++] = ':';
        }
        len += num_write_hex(out + len, groups[i]);
    }
    out[len] = '\0';
    return len;
}

static size_t write_port(char *out, uint16_t port)
{
    out[0] = ':';
    return 1 + num_write_u64(out + 1, port);
}

static size_t write_unix(char *out, const struct addr *addr)
{
    size_t len = 5;
    memcpy(out, "unix:", len);
    size_t path_len = (size_t)addr->len - offsetof(struct sockaddr_un, sun_path);
    const char *path = addr->u.local.sun_path;
    if (addr->len <= offsetof(struct sockaddr_un, sun_path)) {
        path_len = 0; /* a socket without a name */
    } else if (path[0] == '\0') {
        out[len++] = '@';
        path++;
        path_len--;
    } else {
        path_len = strnlen(path, path_len);
    }
    memcpy(out + len, path, path_len);
    out[len + path_len] = '\0';
    return len + path_len;
}

size_t addr_write(const struct addr *addr, char out[ADDR_TEXT_MAX])
{
    static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) + 8 < ADDR_TEXT_MAX, "unix fits");
    size_t len = 0;
    out[0] = '\0';
    if (addr->len == 0) {
        return 0;
    }
    switch (addr->u.any.sa_family) {
    case AF_INET:
        len = write_v4(out, (const uint8_t *)&addr->u.v4.sin_addr);
        return len + write_port(out + len, ntohs(addr->u.v4.sin_port));
    case AF_INET6:
        out[len++] = '[';
        len += write_v6(out + len, addr->u.v6.sin6_addr.s6_addr);
        out[len++] = ']';
        return len + write_port(out + len, ntohs(addr->u.v6.sin6_port));
    case AF_UNIX:
        return write_unix(out, addr);
    default:
        return 0;
    }
}

uint16_t addr_port(const struct addr *addr)
{
    if (addr->len == 0) {
        return 0;
    }
    switch (addr->u.any.sa_family) {
    case AF_INET:
        return ntohs(addr->u.v4.sin_port);
    case AF_INET6:
        return ntohs(addr->u.v6.sin6_port);
    default:
        return 0;
    }
}

void addr_set_port(struct addr *addr, uint16_t port)
{
    if (addr->u.any.sa_family == AF_INET6) {
        addr->u.v6.sin6_port = htons(port);
    } else if (addr->u.any.sa_family == AF_INET) {
        addr->u.v4.sin_port = htons(port);
    }
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    if (a->len != b->len) {
        return false;
    }
    if (a->len == 0) {
        return true;
    }
    if (a->u.any.sa_family != b->u.any.sa_family) {
        return false;
    }
    switch (a->u.any.sa_family) {
    case AF_INET: /* not the padding */
        return a->u.v4.sin_port == b->u.v4.sin_port &&
               a->u.v4.sin_addr.s_addr == b->u.v4.sin_addr.s_addr;
    case AF_INET6: /* not the flow label */
        return a->u.v6.sin6_port == b->u.v6.sin6_port &&
               a->u.v6.sin6_scope_id == b->u.v6.sin6_scope_id &&
               memcmp(&a->u.v6.sin6_addr, &b->u.v6.sin6_addr, 16) == 0;
    default:
        return memcmp(&a->u, &b->u, a->len) == 0;
    }
}

void addr_from_sockaddr(struct addr *out, const struct sockaddr *sa, socklen_t len)
{
    memset(out, 0, sizeof(*out));
    if (sa != NULL && len >= sizeof(sa->sa_family) && len <= sizeof(out->u)) {
        memcpy(&out->u, sa, len);
        out->len = len;
    }
}

void addr_small_from(struct addr_small *out, const struct sockaddr *sa)
{
    *out = (struct addr_small){0};
    switch (sa->sa_family) {
    case AF_INET: {
        struct sockaddr_in v4;
        memcpy(&v4, sa, sizeof(v4)); /* the caller's struct may be of another type */
        memcpy(out->ip, v4_prefix, sizeof(v4_prefix));
        memcpy(out->ip + 12, &v4.sin_addr, 4);
        out->port = ntohs(v4.sin_port);
        out->family = AF_INET;
        break;
    }
    case AF_INET6: {
        struct sockaddr_in6 v6;
        memcpy(&v6, sa, sizeof(v6));
        memcpy(out->ip, &v6.sin6_addr, 16);
        out->port = ntohs(v6.sin6_port);
        /* a v4 client of a v6 socket is a v4 client to everybody above */
        out->family = memcmp(out->ip, v4_prefix, sizeof(v4_prefix)) == 0 ? (uint16_t)AF_INET
                                                                         : (uint16_t)AF_INET6;
        break;
    }
    case AF_UNIX:
        out->family = AF_UNIX;
        break;
    default:
        break;
    }
}

size_t addr_small_write_ip(const struct addr_small *addr, char out[ADDR_IP_TEXT_MAX])
{
    switch (addr->family) {
    case AF_INET:
        return write_v4(out, addr->ip + 12);
    case AF_INET6:
        return write_v6(out, addr->ip);
    case AF_UNIX:
        memcpy(out, "unix", 5);
        return 4;
    default:
        out[0] = '\0';
        return 0;
    }
}

size_t addr_small_write(const struct addr_small *addr, char out[ADDR_TEXT_MAX])
{
    size_t len = 0;
    if (addr->family != AF_INET && addr->family != AF_INET6) {
        return addr_small_write_ip(addr, out);
    }
    if (addr->family == AF_INET6) {
        out[len++] = '[';
    }
    len += addr_small_write_ip(addr, out + len);
    if (addr->family == AF_INET6) {
        out[len++] = ']';
    }
    return len + write_port(out + len, addr->port);
}

bool addr_small_is_same_ip(const struct addr_small *a, const struct addr_small *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}
