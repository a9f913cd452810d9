/*
 * sock_opt - every setsockopt in one place.
 *
 * Threads: any.
 */
#ifndef LBD_NET_SOCK_OPT_H
#define LBD_NET_SOCK_OPT_H

#include <stdbool.h>
#include <sys/socket.h>

/* A listening socket's options before bind: reuse of the address, one of several (SO_REUSEPORT),
 * IPv6 only. */
bool sock_opt_before_bind(int fd, int family, bool one_of_several);
/* What accepted connections inherit: no delay, and no wake-up before the client's first byte (HTTP
 * speaks first). */
void sock_opt_listening(int fd, int family, bool client_speaks_first);
/* A connection to a server. */
void sock_opt_dialled(int fd, int family);
/* The error a connect ended with; 0: connected. */
int sock_opt_connect_error(int fd);

#endif
