/*
 * session_proxy - what PROXY headers say of a client beyond its addresses: kept from the header
 * that a proxy before us sent, written into the one for a server (pools.send_proxy_tlvs).
 *
 *     who speaks TLS with us     its name, protocol, version, cipher and certificate, as we know
 * them who speaks in clear        what the proxy before us said of them, from `proxy_protocol_from`
 *     the id                     of that proxy; without one, the id of the connection in our log
 *
 * Memory: one block for a connection whose header said something, until the session ends. Threads:
 * the session's.
 */
#ifndef LBD_PROXY_SESSION_PROXY_H
#define LBD_PROXY_SESSION_PROXY_H

#include <stddef.h>

#include "lbd/net/proxy_tlvs.h"

struct session;
struct session_proxy;

/* Copies what was said; NULL when that is nothing. */
struct session_proxy *session_proxy_new(const struct proxy_tlvs *tlvs);
void session_proxy_free(struct session_proxy *kept);

/* What its header said; all empty without one. Until the session ends. */
const struct proxy_tlvs *session_proxy_said(const struct session *session);
/* For struct upstream_client; `session` is a struct session. */
size_t session_proxy_write(const void *session, unsigned words, char out[PROXY_TLVS_OUT_MAX]);

#endif
