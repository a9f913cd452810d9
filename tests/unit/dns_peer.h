/*
 * dns_peer - a small scripted name server on the test's own loop, over UDP on 127.0.0.1.
 *
 * Knows the names it is given, says NXDOMAIN to others, and can be told to fail.
 *
 * Threads: the test's.
 */
#ifndef TESTS_UNIT_DNS_PEER_H
#define TESTS_UNIT_DNS_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/net/loop.h"

enum dns_peer_mood { DNS_PEER_ANSWERS, DNS_PEER_SILENT, DNS_PEER_FAILS, DNS_PEER_BABBLES };

struct dns_peer_name {
    const char *name; /* lower case; NULL ends the table */
    const char *a;    /* addresses separated by blanks; "" none */
    const char *aaaa;
};

struct dns_peer {
    struct loop *loop;
    int fd;
    struct loop_watch watch;
    const struct dns_peer_name *names;
    enum dns_peer_mood mood;
    char address[32]; /* "127.0.0.1:port" */
    uint32_t questions;
    char last[256]; /* the name asked last */
};

void dns_peer_init(struct dns_peer *peer, struct loop *loop, const struct dns_peer_name *names);
void dns_peer_fini(struct dns_peer *peer);

#endif
