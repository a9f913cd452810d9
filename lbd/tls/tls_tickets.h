/*
 * tls_tickets - the keys that session tickets (RFC 5077, RFC 8446 4.6.1) are sealed with.
 *
 * A ring of three: what `previous` sealed is still opened, `current` seals, `next` is known already
 * so that a machine of a cluster that is late or early opens what another one sealed.
 *
 *     previous   current   next          rotate: each steps to the left, a new one comes
 *
 * Random, or made from a secret that machines share: then each key is that of its span of time, and
 * all machines have the same without speaking to each other. Keys never leave: each policy of a
 * tls_front takes its own, made from these and from what the policy demands (R12), so a ticket that
 * another listener gave, or one before the set of authorities changed, opens nothing.
 *
 * Memory: counted; one for the process, or one for each secret file. Threads: control rotates; any
 * takes keys.
 */
#ifndef LBD_TLS_TLS_TICKETS_H
#define LBD_TLS_TLS_TICKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

#define TLS_TICKETS_SPAN_S     (12U * 3600) /* a key seals for so long */
#define TLS_TICKETS_SECRET_MIN 32U          /* bytes of a shared secret */
#define TLS_TICKETS_SECRET_MAX 4096U
#define TLS_TICKETS_KEYS       3U
#define TLS_TICKETS_NAME       16U

struct tls_tickets;

/* Random keys. */
struct tls_tickets *tls_tickets_new(void);
/* Keys of a secret and of the time, wall clock. NULL: it is too short or too long. */
LB_MUST_CHECK struct tls_tickets *tls_tickets_shared(struct slice secret, uint64_t now_us,
                                                     struct err *err);
/* The same; the file may not be open to others. */
LB_MUST_CHECK struct tls_tickets *tls_tickets_from_file(const char *path, uint64_t now_us,
                                                        struct err *err);
struct tls_tickets *tls_tickets_ref(struct tls_tickets *tickets);
void tls_tickets_unref(struct tls_tickets *tickets); /* NULL is fine */

/* Control calls this once a minute or so: true when the keys rotated, because their time was up.
 * Random ones count from when they were made. */
bool tls_tickets_tick(struct tls_tickets *tickets, uint64_t now_us);
/* Rotates now, whatever the time; random ones only. */
void tls_tickets_rotate(struct tls_tickets *tickets);
/* How often it has rotated: who keeps keys made of these looks here whether they are old. */
uint64_t tls_tickets_generation(const struct tls_tickets *tickets);

enum { TLS_TICKETS_PREVIOUS, TLS_TICKETS_CURRENT, TLS_TICKETS_NEXT };
struct tls_ticket_key {
    uint8_t name[TLS_TICKETS_NAME]; /* stands in front of a ticket */
    uint8_t cipher[32];             /* AES-256-CBC */
    uint8_t mac[32];                /* HMAC-SHA-256 */
};
/* For this room: the keys of one policy; returns the generation they are of. */
uint64_t tls_tickets_keys(const struct tls_tickets *tickets, struct slice policy,
                          struct tls_ticket_key out[TLS_TICKETS_KEYS]);

#endif
