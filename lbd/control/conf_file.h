/*
 * conf_file - the file that lbd is started with: read, checked, and what of `daemon` is different.
 *
 * Beside it may be a folder conf.d: its *.json and *.jsonc are read with it, in the order of their
 * names, as one configuration (conf/conf_files.h). Names that begin with a dot and other endings
 * (".dpkg-old", "~") are left alone.
 *
 * Memory: results are the caller's. Threads: control.
 */
#ifndef LBD_CONTROL_CONF_FILE_H
#define LBD_CONTROL_CONF_FILE_H

#include <stdbool.h>

#include "conf/conf_document.h"
#include "conf/conf_errors.h"
#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"

/* ERR_INVALID: *errors says all that is wrong, with line and column. ERR_NOT_FOUND, ERR_DENIED,
 * ERR_TOO_LARGE, ERR_SYSTEM: it cannot be read at all. */
LB_MUST_CHECK bool conf_file_load(const char *path, struct conf_document **document,
                                  struct conf_daemon **daemon, struct conf_errors *errors,
                                  struct err *err);
/* Gives entries that were added later their line and column (and their file, when there are
 * several). */
void conf_file_locate(const char *path, struct conf_errors *errors);
/* `path` stands for entries that know no file of their own.
 * Appends "FILE:14:21: #/pools/a/adress: 'adress' is not a known key; did you mean 'address'?"; a
 * warning has that word before the pointer. */
void conf_file_describe(const struct conf_error *error, bool is_warning, const char *path,
                        struct buf *out);
/* Appends the keys that are different: "workers, log.level"; nothing when none is. */
void conf_file_daemon_changes(const struct conf_daemon *before, const struct conf_daemon *after,
                              struct buf *keys);

#endif
