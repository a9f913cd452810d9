#include "tests/unit/dns_peer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <check.h>

enum { HEAD = 12, TYPE_A = 1, TYPE_AAAA = 28, SERVFAIL = 2, NXDOMAIN = 3, PACKET = 512 };

/* The question's name with dots; returns the length of the whole question section, 0: malformed. */
static size_t read_name(const uint8_t *packet, size_t len, char out[256])
{
    size_t at = HEAD;
    size_t used = 0;
    while (at < len && packet[at] != 0) {
        size_t part = packet[at];
        if (part > 63 || at + 1 + part >= len || used + part + 2 > 256) {
            return 0;
        }
        if (used != 0) {
            out[used++] = '.';
        }
        memcpy(out + used, packet + at + 1, part);
        used += part;
        at += 1 + part;
    }
    out[used] = '\0';
    return at + 5 <= len ? at + 5 - HEAD : 0;
}

static size_t put_record(uint8_t *out, unsigned type, const char *address)
{
    uint8_t bytes[16];
    size_t size = type == TYPE_A ? 4 : 16;
    ck_assert_int_eq(inet_pton(type == TYPE_A ? AF_INET : AF_INET6, address, bytes), 1);
    const uint8_t head[] = {0xc0, HEAD, 0, (uint8_t)type, 0, 1, 0, 0, 0, 30, 0, (uint8_t)size};
    memcpy(out, head, sizeof(head));
    memcpy(out + sizeof(head), bytes, size);
    return sizeof(head) + size;
}

static size_t put_records(uint8_t *out, unsigned type, const char *addresses, uint8_t *count)
{
    char copy[128];
    size_t len = 0;
    char *rest = copy;
    (void)snprintf(copy, sizeof(copy), "%s", addresses);
    for (char *part; (part = strsep(&rest, " ")) != NULL;) {
        if (part[0] != '\0') {
            len += put_record(out + len, type, part);
            (*count)++;
        }
    }
    return len;
}

static void on_question(struct loop_watch *watch, unsigned ready)
{
    struct dns_peer *peer = container_of(watch, struct dns_peer, watch);
    uint8_t in[PACKET];
    uint8_t out[2 * PACKET] = {0};
    struct sockaddr_storage from;
    socklen_t from_len = sizeof(from);
    (void)ready;
    ssize_t got =
        recvfrom(peer->fd, in, sizeof(in), 0, (struct sockaddr *)(void *)&from, &from_len);
    if (got < HEAD) {
        return;
    }
    char name[256];
    size_t question = read_name(in, (size_t)got, name);
    ck_assert_uint_ne(question, 0);
    unsigned type = (unsigned)in[HEAD + question - 4] << 8U | in[HEAD + question - 3];
    peer->questions++;
    memcpy(peer->last, name, sizeof(peer->last));

    size_t len = HEAD + question;
    memcpy(out, in, len);
    out[2] = 0x81; /* an answer */
    out[3] = 0x80;
    memset(out + 6, 0, 6);
    switch (peer->mood) {
    case DNS_PEER_SILENT:
        return;
    case DNS_PEER_FAILS:
        out[3] = 0x80 | SERVFAIL;
        break;
    case DNS_PEER_BABBLES:
        out[7] = 5; /* five answers, none there */
        memset(out + len, 0xc0, 20);
        len += 20;
        break;
    case DNS_PEER_ANSWERS: {
        const struct dns_peer_name *known = peer->names;
        while (known->name != NULL && strcasecmp(known->name, name) != 0) {
            known++;
        }
        if (known->name == NULL) {
            out[3] = 0x80 | NXDOMAIN;
        } else if (type == TYPE_A || type == TYPE_AAAA) {
            len += put_records(out + len, type, type == TYPE_A ? known->a : known->aaaa, &out[7]);
        }
        break;
    }
    }
    (void)sendto(peer->fd, out, len, 0, (struct sockaddr *)(void *)&from, from_len);
}

void dns_peer_init(struct dns_peer *peer, struct loop *loop, const struct dns_peer_name *names)
{
    *peer = (struct dns_peer){.loop = loop, .names = names};
    peer->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(peer->fd, 0);
    struct sockaddr_in any = {.sin_family = AF_INET,
                              .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(any);
    ck_assert_int_eq(bind(peer->fd, (struct sockaddr *)(void *)&any, len), 0);
    ck_assert_int_eq(getsockname(peer->fd, (struct sockaddr *)(void *)&any, &len), 0);
    (void)snprintf(peer->address, sizeof(peer->address), "127.0.0.1:%u", ntohs(any.sin_port));
    ck_assert(loop_watch_start(loop, &peer->watch, peer->fd, LOOP_READ, on_question));
}

void dns_peer_fini(struct dns_peer *peer)
{
    loop_watch_stop(&peer->watch);
    (void)close(peer->fd);
}
