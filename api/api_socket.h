/*
 * api_socket - the listening sockets of the API: a unix socket for those who may open it, TCP for
 * those who only observe.
 *
 * A unix socket that is left over is replaced when nobody answers on it; when somebody does,
 * another lbd runs and we do not. Its directory is made with mode 0750 when it is missing.
 *
 * Threads: control.
 */
#ifndef API_API_SOCKET_H
#define API_API_SOCKET_H

#include <stdbool.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"
#include "lbd/net/inherit.h"

#define API_SOCKET_PATH_MAX 108

/* Where the API listens when the file does not say: /run/lbd/api.sock for who may write there, else
 * $XDG_RUNTIME_DIR/lbd/api.sock, else /tmp/lbd-UID/api.sock. "unix:/..." */
void api_socket_default(char out[API_SOCKET_PATH_MAX + 8]);
/* "unix:/path" or "ip:port". A non-blocking descriptor, or -1 and *err. */
LB_MUST_CHECK int api_socket_open(struct slice address, struct err *err);
/* The one of that name that the service manager opened at that address; -1: there is none. Its path
 * is the manager's and is not removed. */
int api_socket_inherit(struct inherit *inherit, struct slice name, struct slice address);
/* Removes the path of a unix socket that we listened on. */
void api_socket_remove(struct slice address);

#endif
