#include "lbd/base/authority.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

enum { HOST_MAX = 255, PORT_DIGITS_MAX = 5, PORT_MAX = 65535 };

/* Of reg-names as R8 takes them: unreserved (RFC 3986 2.3). */
static bool is_host_char(char c)
{
    char letter = (char)(c | 0x20);
    return (letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_' || c == '~';
}

/* RFC 3986 3.2.2 IP-literal, without brackets; no zone, no IPvFuture. */
static bool is_ipv6(struct slice text)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr addr;
    if (text.len == 0 || text.len >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return strlen(copy) == text.len && inet_pton(AF_INET6, copy, &addr) == 1;
}

/* A dot at the end is the root; others with nothing between them are taken off by some (R8). */
static bool has_no_empty_label(struct slice host)
{
    char before = '.';
    for (size_t i = 0; i < host.len; i++) {
        if (host.ptr[i] == '.' && before == '.') {
            return false;
        }
        before = host.ptr[i];
    }
    return true;
}

/* Where the host ends: at ':' or the end. SIZE_MAX: it is not one. */
static size_t host_len(struct slice authority)
{
    if (authority.len > 0 && authority.ptr[0] == '[') {
        size_t close = slice_find(authority, ']');
        if (close == SIZE_MAX || !is_ipv6(slice_of(authority.ptr + 1, close - 1))) {
            return SIZE_MAX;
        }
        return close + 1;
    }
    size_t len = 0;
    while (len < authority.len && is_host_char(authority.ptr[len])) {
        len++;
    }
    return len > 0 && len <= HOST_MAX && has_no_empty_label(slice_of(authority.ptr, len))
               ? len
               : SIZE_MAX;
}

/* 1 to 65535, or 0 when it is not one. */
static uint32_t port_of(struct slice text)
{
    uint32_t port = 0;
    if (text.len == 0 || text.len > PORT_DIGITS_MAX) {
        return 0;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return 0;
        }
        port = port * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    return port <= PORT_MAX ? port : 0;
}

bool authority_is_valid(struct slice authority)
{
    if (authority.len == 0) {
        return false;
    }
    size_t len = host_len(authority);
    if (len == SIZE_MAX) {
        return false;
    }
    return len == authority.len ||
           (authority.ptr[len] == ':' && port_of(slice_from_at(authority, len + 1)) != 0);
}

void authority_split(struct slice authority, struct slice *host, uint16_t *port)
{
    size_t len = authority.len == 0 ? 0 : host_len(authority);
    if (len == SIZE_MAX || len >= authority.len) {
        *host = authority;
        *port = 0;
        return;
    }
    *host = slice_of(authority.ptr, len);
    *port = (uint16_t)port_of(slice_from_at(authority, len + 1));
}
