#include "lbd/tls/tls_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/base/mem.h"

static bool read_all(int fd, const char *path, const char *what, size_t max, struct slice *text,
                     struct err *err)
{
    char *bytes = mem_alloc(max + 1);
    size_t len = 0;
    ssize_t got = 1;
    while (got > 0 && len <= max) {
        got = read(fd, bytes + len, max + 1 - len);
        len += got > 0 ? (size_t)got : 0;
    }
    *text = slice_of(bytes, len);
    if (got >= 0 && len <= max) {
        return true;
    }
    int error = errno;
    tls_file_forget(*text);
    *text = SLICE_NONE;
    return got < 0
               ? err_set(err, ERR_INVALID, "cannot read %s '%s': %s", what, path, strerror(error))
               : err_set(err, ERR_INVALID, "%s '%s' is larger than %zu bytes", what, path, max);
}

bool tls_file_read(const char *path, const char *what, bool is_private, size_t max,
                   struct slice *text, struct err *err)
{
    struct stat found;
    bool ok = false;
    *text = SLICE_NONE;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &found) != 0) {
        int error = errno;
        (void)err_set(err, ERR_INVALID, "cannot open %s '%s' as user %u: %s", what, path,
                      (unsigned)geteuid(), strerror(error));
    } else if (is_private && (found.st_mode & (S_IROTH | S_IWOTH | S_IWGRP)) != 0) {
        (void)err_set(err, ERR_INVALID,
                      "%s '%s' is open to others: chmod 0600, or 0640 for a group", what, path);
    } else {
        ok = read_all(fd, path, what, max, text, err);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

void tls_file_forget(struct slice text)
{
    if (text.ptr != NULL) {
        void *bytes = (void *)(uintptr_t)text.ptr; /* ours: const for its readers */
        mem_wipe(bytes, text.len);
        free(bytes);
    }
}
