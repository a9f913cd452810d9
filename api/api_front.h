/*
 * api_front - TLS in front of libmicrohttpd, which knows none that we want.
 *
 *     client ==TLS== [outer | bridge | inner] --socketpair-- libmicrohttpd
 *
 * Accepts, counts, does the handshake, and then gives one end of a socket pair to `give`; what
 * comes on one side is written to the other. Reads no more from a side while the other one does not
 * take what it has, and hands an end on as an end. Who the client is stays with the bridge and is
 * found by the descriptor that was given away.
 *
 * Certificate, key and authorities are looked at before each handshake: files that changed are
 * used, and when they are no good the old ones are kept and the log says so.
 *
 * Limits: connections in all and from one address, also those that have said nothing yet; a
 * handshake has its time; 16 KiB are held each way.
 * Memory: api_front_new to api_front_free. Threads: control.
 */
#ifndef API_API_FRONT_H
#define API_API_FRONT_H

#include <stdbool.h>
#include <sys/socket.h>

#include "api/api_guard.h"
#include "conf/conf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/net/loop.h"
#include "lbd/tls/tls_context.h"
#include "lbd/tls/tls_session.h"

struct api_front;

struct api_front_options {
    struct loop *loop;           /* borrowed; its LOOP_SLOT_NET is set */
    struct api_guard *guard;     /* borrowed; told of failed handshakes */
    const struct conf_api *conf; /* borrowed */
    int fd;                      /* listens; the front's */
    /* Keeps the descriptor, or closes it and returns false. */
    bool (*give)(void *arg, int fd, const struct sockaddr *from, socklen_t len);
    void *arg;
};

/* The context that daemon.api.tls describes. NULL: *err says which file and why. */
LB_MUST_CHECK struct tls_context *api_front_context(const struct conf_api *conf, struct err *err);
/* NULL: *err; the descriptor is closed. */
LB_MUST_CHECK struct api_front *api_front_new(const struct api_front_options *options,
                                              struct err *err);
void api_front_free(struct api_front *front); /* NULL is fine */
/* When the certificate that new connections get ceases to be valid, wall clock; 0: no front has
 * one. For the metrics. */
uint64_t api_front_not_after_us(void);
/* Reads certificate, key and authorities again. */
void api_front_reload(struct api_front *front);
/* Is this a name of our certificate? (Whoever got as far with another one believed it.) */
bool api_front_is_named(const struct api_front *front, struct slice host);
/* The names of the client behind a descriptor that was given away. NULL: there is none. */
const struct tls_names *api_front_names(const struct api_front *front, int fd);

#endif
