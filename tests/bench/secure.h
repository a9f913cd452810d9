/*
 * secure - the TLS of the load generator: one connection of a client, and the session it keeps for
 * the next.
 *
 * Offers what a browser offers first (X25519, TLS_AES_128_GCM_SHA256, its like in TLS 1.2), so that
 * every proxy speaks the same cipher whatever it would like best. Certificates are not checked:
 * their maker is the benchmark, and the time of the clients is nobody's figure.
 *
 *     secure_open() -> secure_handshake() until SECURE_DONE -> secure_read(), secure_write()
 *                   -> secure_close() -> secure_open() ...
 *
 * Memory: one SSL while a connection is open, one session where sessions are kept; buffers are
 * given back while nothing is read. Threads: the main thread.
 */
#ifndef TESTS_BENCH_SECURE_H
#define TESTS_BENCH_SECURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum secure_step { SECURE_DONE, SECURE_MORE, SECURE_BAD };

struct secure {
    struct ssl_st *ssl;          /* owned, or NULL */
    struct ssl_session_st *kept; /* owned: for the next connection, or NULL */
    bool resumed;                /* this connection's handshake was short */
};

/* Once, before any connection. `version` is 1.2 or 1.3; `alpn` is offered alone, NULL: nothing is.
 * `resume`: every connection but the first begins with the session of the one before. */
void secure_init(const char *version, const char *alpn, bool resume);
/* Begins a connection over `fd`, which stays the caller's. */
void secure_open(struct secure *secure, int fd);
/* One step; SECURE_DONE also says that the server took the offered ALPN. */
enum secure_step secure_handshake(struct secure *secure);
/* As recv() and send(): -1 and EAGAIN, 0 at the end. */
ssize_t secure_read(struct secure *secure, void *bytes, size_t room);
ssize_t secure_write(struct secure *secure, const void *bytes, size_t len);
/* Frees the connection, keeps the session. Does nothing when none is open. */
void secure_close(struct secure *secure);
/* "TLSv1.3 TLS_AES_128_GCM_SHA256" of the handshake that ended last; "" before. */
const char *secure_spoken(void);

#endif
