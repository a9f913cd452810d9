/*
 * tls_sni - which certificates are for a name: exact names first, then "*.rest" for one label more.
 *
 *     shop.example  -> shop.example | *.example | nothing
 *
 * A look-up is one or two steps through a hash table, whatever the number of names. Names are lower
 * case, without a dot at their end (RFC 6066 3).
 *
 * Memory: the names are copied. Threads: one fills it, any looks up.
 */
#ifndef LBD_TLS_TLS_SNI_H
#define LBD_TLS_TLS_SNI_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/map.h"
#include "lbd/base/slice.h"

#define TLS_SNI_NAME_MAX 255U

struct tls_sni {
    struct map names; /* a wildcard is kept as ".rest" */
};

void tls_sni_init(struct tls_sni *sni);
void tls_sni_fini(struct tls_sni *sni);
/* `name` may be "*.rest". A name that is there already is replaced; `value` is borrowed. */
void tls_sni_put(struct tls_sni *sni, struct slice name, void *value);
/* Of exactly this pattern, or NULL. */
void *tls_sni_get(const struct tls_sni *sni, struct slice name);
/* What is for this host name, or NULL. */
void *tls_sni_find(const struct tls_sni *sni, struct slice host);
/* Is the pattern, a name or "*.rest", for this host? */
bool tls_sni_covers(struct slice pattern, struct slice host);
/* Writes the name as it is looked for: lower case, without the last dot. False: it is no host name.
 * `out`: TLS_SNI_NAME_MAX bytes. */
bool tls_sni_plain(struct slice name, char *out, struct slice *plain);

/* Finds the name in the server_name extension of a ClientHello (RFC 6066 3). Not OK: what it says
 * makes no sense. NONE: it names nobody (an IP address counts as nobody). */
enum tls_sni_verdict { TLS_SNI_OK, TLS_SNI_NONE, TLS_SNI_BAD };
enum tls_sni_verdict tls_sni_parse(const uint8_t *extension, size_t len, char *out,
                                   struct slice *name);

#endif
