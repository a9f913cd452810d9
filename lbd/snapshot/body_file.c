#include "lbd/snapshot/body_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/base/compiler.h"
#include "lbd/base/mem.h"

struct body_file {
    uint32_t refs;
    struct slice text; /* owned */
};

/* NULL: it may be sent. */
static const char *problem_of(const struct stat *found)
{
    if (!S_ISREG(found->st_mode)) {
        return "is not a regular file";
    }
    if (found->st_size == 0) { /* what the kernel makes up, too; or it is just being written */
        return "is empty";
    }
    if (found->st_size > (off_t)BODY_FILE_MAX) {
        return "is larger than 1 MiB";
    }
    if ((found->st_mode & S_IROTH) == 0) {
        return "is not readable for everybody, and clients would be sent it: chmod o+r";
    }
    return NULL;
}

/* No more than there was at first: what grows meanwhile has changed, and is read again. */
static bool read_all(int fd, const char *path, size_t size, struct slice *text, struct err *err)
{
    char *bytes = mem_alloc(size + 1);
    size_t len = 0;
    ssize_t got = 1;
    while (got > 0 && len < size) {
        got = read(fd, bytes + len, size - len);
        len += got > 0 ? (size_t)got : 0;
    }
    if (got < 0) {
        (void)err_set(err, ERR_INVALID, "cannot read the body '%s': %s", path, strerror(errno));
        free(bytes);
        return false;
    }
    *text = slice_of(bytes, len);
    return true;
}

bool body_file_read(const char *path, struct slice *text, struct err *err)
{
    struct stat found;
    bool ok = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *text = SLICE_NONE;
    if (fd < 0 || fstat(fd, &found) != 0) {
        int error = errno;
        (void)err_set(err, ERR_INVALID, "cannot open the body '%s' as user %u: %s", path,
                      (unsigned)geteuid(), strerror(error));
    } else if (problem_of(&found) != NULL) {
        (void)err_set(err, ERR_INVALID, "the body '%s' %s", path, problem_of(&found));
    } else {
        ok = read_all(fd, path, (size_t)found.st_size, text, err);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

struct body_file *body_file_new(const char *path, struct err *err)
{
    struct slice text;
    if (!body_file_read(path, &text, err)) {
        return NULL;
    }
    struct body_file *body = mem_zero(1, sizeof(*body));
    body->refs = 1;
    body->text = text;
    return body;
}

struct body_file *body_file_ref(struct body_file *body)
{
    body->refs++;
    return body;
}

void body_file_unref(struct body_file *body)
{
    if (body != NULL && --body->refs == 0) {
        free((void *)(uintptr_t)body->text.ptr); /* ours: const for its readers */
        free(body);
    }
}

struct slice body_file_text(const struct body_file *body)
{
    return body->text;
}

bool body_file_is_same(const struct body_file *a, const struct body_file *b)
{
    return slice_eq(a->text, b->text);
}
