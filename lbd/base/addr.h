/*
 * addr - socket addresses as text and back.
 *
 * Text forms: "127.0.0.1:80", "[::1]:80", "unix:/run/x.sock". Host names are somebody else's task
 * (net/resolve): addr_split gives host and port, addr_parse takes literals only.
 *
 * Threads: any.
 */
#ifndef LBD_BASE_ADDR_H
#define LBD_BASE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"

#define ADDR_TEXT_MAX    128 /* bytes of any address as text, with the final NUL */
#define ADDR_IP_TEXT_MAX 40  /* ... of one without port or path */

struct addr {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    } u;
    socklen_t len; /* 0: no address */
};

/* An address in place: 20 bytes, IPv4 as ::ffff:a.b.c.d. For connection objects. */
struct addr_small {
    uint8_t ip[16];
    uint16_t port;   /* host order */
    uint16_t family; /* AF_INET, AF_INET6, AF_UNIX, 0 = none */
};

/* "host:port" -> parts, host without brackets; false when there is no valid port (1-65535, or 0 if
 * allowed) or the host is empty or malformed. "unix:/path" is not split: is_unix tells. */
LB_MUST_CHECK bool addr_split(struct slice text, bool allow_port_0, struct slice *host,
                              uint16_t *port);
bool addr_is_unix(struct slice text);
/* Literal addresses only. */
LB_MUST_CHECK bool addr_parse(struct slice text, struct addr *out);
/* An IP literal without port ("10.0.0.1", "::1") and a port. */
LB_MUST_CHECK bool addr_from_ip(struct slice ip, uint16_t port, struct addr *out);
/* Writes text and NUL, returns the length. */
size_t addr_write(const struct addr *addr, char out[ADDR_TEXT_MAX]);
uint16_t addr_port(const struct addr *addr);          /* host order; 0 for unix */
void addr_set_port(struct addr *addr, uint16_t port); /* host order; of unix: nothing */
bool addr_eq(const struct addr *a, const struct addr *b);
void addr_from_sockaddr(struct addr *out, const struct sockaddr *sa, socklen_t len);
void addr_small_from(struct addr_small *out, const struct sockaddr *sa);
/* Only the IP (no port), for X-Forwarded-For and logs; "unix" for local peers. Returns the length.
 */
size_t addr_small_write_ip(const struct addr_small *addr, char out[ADDR_IP_TEXT_MAX]);
size_t addr_small_write(const struct addr_small *addr, char out[ADDR_TEXT_MAX]); /* with port */
/* The same but for the port? */
bool addr_small_is_same_ip(const struct addr_small *a, const struct addr_small *b);

#endif
