/*
 * sock_opt - every setsockopt in one place.
 *
 * Threads: any.
 */
#ifndef LBD_NET_SOCK_OPT_H
#define LBD_NET_SOCK_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* A listening socket's options before bind: reuse of the address, one of several (SO_REUSEPORT),
 * IPv6 only. */
bool sock_opt_before_bind(int fd, int family, bool one_of_several);
/* What accepted connections inherit: no delay, and no wake-up before the client's first byte (HTTP
 * speaks first). */
void sock_opt_listening(int fd, int family, bool client_speaks_first);
/* The latter again, of a socket that listens already. */
void sock_opt_defer(int fd, int family, bool client_speaks_first);
/* Closing this connection resets it, unless the peer has yet to get something. */
void sock_opt_reset_at_close(int fd);
/* Closing it resets it, and the kernel gives up what it still has for the peer. */
void sock_opt_drop_at_close(int fd);
/* Before bind to an address without port: connect takes the port. */
void sock_opt_before_connect_from(int fd);
/* A connection to a server. */
void sock_opt_dialled(int fd, int family);
/* The error a connect ended with; 0: connected. */
int sock_opt_connect_error(int fd);
/* Bytes that the kernel has and the peer's has not. */
size_t sock_opt_unsent(int fd);

#endif
