/*
 * conf_report - what is wrong with a file, for a terminal or for a program: lbd -t.
 *
 *     lbd.json:5:20: #/pools/a/adress: 'adress' is not a known key; did you mean 'address'?
 *         5 |     "a": { "adress": "10.0.0.1:80" },
 *           |            ^
 *
 * Errors and warnings are those of the API, word for word.
 *
 * Limits: of a source line 160 bytes around the place are shown. Memory: keeps nothing. Threads:
 * control.
 */
#ifndef LBD_CONTROL_CONF_REPORT_H
#define LBD_CONTROL_CONF_REPORT_H

#include <stdbool.h>

#include "conf/conf_errors.h"
#include "lbd/base/buf.h"

/* `path` stands for entries that know no file of their own; `with_source`: the line and a caret
 * below it too. */
void conf_report_text(const struct conf_errors *errors, const char *path, bool with_source,
                      struct buf *out);
/* One JSON document; `failure` says why the file as a whole is not taken, NULL: it is. */
void conf_report_json(const struct conf_errors *errors, const char *path, const char *failure,
                      struct buf *out);

#endif
