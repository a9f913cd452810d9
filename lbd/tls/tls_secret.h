/*
 * tls_secret - a password or key that lies in a file: its text, without line ends behind it.
 *
 * Memory: counted; wiped at its end. Limits: 1,024 bytes. Threads: control.
 */
#ifndef LBD_TLS_TLS_SECRET_H
#define LBD_TLS_TLS_SECRET_H

#include <stdbool.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

#define TLS_SECRET_MAX 1024U

struct tls_secret;

/* The file may not be open to others, and has `min` bytes, 1 or more. NULL: *err. */
LB_MUST_CHECK struct tls_secret *tls_secret_from_file(const char *path, size_t min,
                                                      struct err *err);
struct tls_secret *tls_secret_ref(struct tls_secret *secret);
void tls_secret_unref(struct tls_secret *secret); /* NULL is fine */
/* As long as the reference is held. */
struct slice tls_secret_text(const struct tls_secret *secret);
bool tls_secret_is_same(const struct tls_secret *a, const struct tls_secret *b);

#endif
