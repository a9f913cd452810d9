/*
 * file_stamp - what tells one state of a file from another, without reading it.
 *
 * Memory: plain values. Threads: any.
 */
#ifndef LBD_BASE_FILE_STAMP_H
#define LBD_BASE_FILE_STAMP_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

struct file_stamp {
    bool exists;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

/* Of the file that `path` leads to; of none when it is NULL. */
struct file_stamp file_stamp_of(const char *path);
/* Makes of *sum, zeroed at first, one that stands for several files in this order. */
void file_stamp_add(struct file_stamp *sum, const struct file_stamp *one);
bool file_stamp_is_same(const struct file_stamp *a, const struct file_stamp *b);

#endif
