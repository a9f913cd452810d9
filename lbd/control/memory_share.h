/*
 * memory_share - how much memory the process may have: that of the machine, or less where a cgroup
 * (v2) of it says so. Read once at the start.
 *
 * Threads: any.
 */
#ifndef LBD_CONTROL_MEMORY_SHARE_H
#define LBD_CONTROL_MEMORY_SHARE_H

#include <stdint.h>

/* Bytes; 0: nobody says. */
uint64_t memory_share(void);
/* The least memory.max on the way from the folder `path` up to its beginning `root` (which has
 * none); UINT64_MAX: no limit. */
uint64_t memory_share_of_cgroup(const char *root, const char *path);

#endif
