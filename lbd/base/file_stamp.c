#include "lbd/base/file_stamp.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct file_stamp file_stamp_of(const char *path)
{
    struct stat found;
    struct file_stamp stamp = {0};
    if (path != NULL && stat(path, &found) == 0) {
        stamp = (struct file_stamp){.exists = true,
                                    .device = found.st_dev,
                                    .inode = found.st_ino,
                                    .size = found.st_size,
                                    .changed = found.st_ctim};
    }
    return stamp;
}

void file_stamp_add(struct file_stamp *sum, const struct file_stamp *one)
{
    sum->exists = sum->exists || one->exists;
    sum->device = sum->device * 31U + one->device;
    sum->inode = sum->inode * 31U + one->inode;
    sum->size = (off_t)((uint64_t)sum->size * 31U + (uint64_t)one->size);
    sum->changed.tv_sec =
        (time_t)((uint64_t)sum->changed.tv_sec * 31U + (uint64_t)one->changed.tv_sec);
    sum->changed.tv_nsec =
        (long)((uint64_t)sum->changed.tv_nsec * 31U + (uint64_t)one->changed.tv_nsec);
}

bool file_stamp_is_same(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->exists == b->exists && a->device == b->device && a->inode == b->inode &&
           a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}
