/*
 * body_file - a file that is sent to clients, whole in memory, once for all who send it.
 *
 * Anybody may get to see what is in it: so it is a plain file that everybody on this machine may
 * read, and no document can have a key or a password sent out. An empty one is none: it may just be
 * written.
 *
 * Limits: BODY_FILE_MAX. Memory: counted; snapshots hold what their routes send. Threads: control;
 * the text is read by workers.
 */
#ifndef LBD_SNAPSHOT_BODY_FILE_H
#define LBD_SNAPSHOT_BODY_FILE_H

#include <stdbool.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

#define BODY_FILE_MAX (1024U * 1024)

struct body_file;

/* Its text, which the caller frees. False: *err. */
LB_MUST_CHECK bool body_file_read(const char *path, struct slice *text, struct err *err);
/* NULL: *err. */
LB_MUST_CHECK struct body_file *body_file_new(const char *path, struct err *err);
struct body_file *body_file_ref(struct body_file *body);
void body_file_unref(struct body_file *body); /* NULL is fine */
/* As long as the reference is held. */
struct slice body_file_text(const struct body_file *body);
bool body_file_is_same(const struct body_file *a, const struct body_file *b);

#endif
