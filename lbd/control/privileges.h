/*
 * privileges - what the process may do: descriptors, user, capabilities.
 *
 * Started as root, it becomes its user before the first thread and keeps one capability,
 * CAP_NET_BIND_SERVICE, so that a listener on port 443 can be added at any time later. Everything
 * it makes from then on belongs to that user.
 *
 * Threads: the only one there is, before others are started.
 */
#ifndef LBD_CONTROL_PRIVILEGES_H
#define LBD_CONTROL_PRIVILEGES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

struct privileges_user {
    char name[64];
    uid_t uid;
    gid_t gid;
};

/* Raises the soft limit of descriptors to the hard one; returns what holds now. */
uint32_t privileges_raise_files(void);
/* ERR_INVALID when there is no such user. */
LB_MUST_CHECK bool privileges_find_user(struct slice name, struct privileges_user *user,
                                        struct err *err);
/* Makes the directory (and those above it, 0755) when it is missing, with `mode`, and gives it to
 * `user` (NULL: stays ours). One that exists is left as it is, but root gives an empty one that is
 * root's to `user` too. */
LB_MUST_CHECK bool privileges_make_directory(const char *path, mode_t mode,
                                             const struct privileges_user *user, struct err *err);
/* Makes a file that is missing (0640) and gives it to `user`, so that it can be opened after the
 * drop in a directory that is root's. One of root's is given away too. */
LB_MUST_CHECK bool privileges_make_file(const char *path, const struct privileges_user *user,
                                        struct err *err);
/* Becomes `user` for good: groups, ids, capabilities, bounding set. */
LB_MUST_CHECK bool privileges_drop(const struct privileges_user *user, struct err *err);
/* No program we might start gains rights (PR_SET_NO_NEW_PRIVS). */
void privileges_forbid_new(void);

#endif
