/*
 * tls_file - a file with certificates, a key or a secret, whole in memory.
 *
 * Memory: the text is the caller's; that of a key is given back with tls_file_forget. Threads: any.
 */
#ifndef LBD_TLS_TLS_FILE_H
#define LBD_TLS_TLS_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

/* What it holds, for sentences: "the certificate", "the key". `is_private`: refused when others may
 * read or change it. False: *err (ERR_INVALID). */
LB_MUST_CHECK bool tls_file_read(const char *path, const char *what, bool is_private, size_t max,
                                 struct slice *text, struct err *err);
/* Overwrites and frees. */
void tls_file_forget(struct slice text);

#endif
