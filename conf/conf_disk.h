/*
 * conf_disk - files that are old or new, never half: the hands of conf_store.
 *
 * A file is replaced by writing a temporary one beside it, fsync, rename over it, fsync of the
 * folder. Whoever ends us at whatever point, the file is the old one or the new one.
 *
 * For tests the environment variable LBD_TEST_CRASH_AT (KIND-STEP: KIND is save, members, meta,
 * history, owners, overrides or key; STEP is open, write, fsync, rename or dirsync; also
 * number-write) ends the process with _exit(137) just before that step.
 *
 * Memory: borrows its texts. Threads: any, one at a time for one file.
 */
#ifndef CONF_CONF_DISK_H
#define CONF_CONF_DISK_H

#include <stdbool.h>

#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

enum conf_disk_durability {
    CONF_DISK_LAZY,    /* survives our end, not the loss of power */
    CONF_DISK_DURABLE, /* survives both */
    CONF_DISK_OFTEN /* both, and comes often: the old file stays, as NAME.tmp, and is the room for
                       the next, so that no file is made and thrown away with each save */
};

struct conf_disk {
    const char *dir;      /* for messages */
    const char *crash_at; /* NULL: not in a test */
};

/* Replaces a file of the folder `dir_fd` with `text`, or leaves it as it is: ERR_STORAGE. `kind` as
 * in LBD_TEST_CRASH_AT. */
LB_MUST_CHECK bool conf_disk_replace(const struct conf_disk *disk, int dir_fd, const char *name,
                                     const char *kind, struct slice text,
                                     enum conf_disk_durability durability, struct err *err);
/* Writes a few bytes over the beginning of a file that never becomes shorter. */
LB_MUST_CHECK bool conf_disk_overwrite(const struct conf_disk *disk, int fd, const char *name,
                                       const char *kind, struct slice text, struct err *err);
/* Appends the file's bytes. *missing tells "there is none" from other failures. */
LB_MUST_CHECK bool conf_disk_read(const struct conf_disk *disk, int dir_fd, const char *name,
                                  struct buf *out, bool *missing, struct err *err);
/* mkdir -p: parents as others may see them, the folder itself for us alone. */
LB_MUST_CHECK bool conf_disk_make_dirs(const char *dir, struct err *err);
/* Takes the lock file in the folder, which goes with the process, however it ends; the descriptor,
 * or -1: ERR_CONFLICT when another process has it. */
LB_MUST_CHECK int conf_disk_lock(const struct conf_disk *disk, int dir_fd, struct err *err);
/* A message that names file and reason; returns false. */
bool conf_disk_fail(const struct conf_disk *disk, struct err *err, const char *what,
                    const char *name, int error);

#endif
