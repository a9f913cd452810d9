#include "ctl/undo_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 8192 };

static const char file_name[] = "/before-apply.json";

/* Makes the directory and those above it, as the XDG base directory specification wants them. */
static bool make_directories(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool ok = mkdir(path, 0700) == 0 || errno == EEXIST;
        *slash = '/';
        if (!ok) {
            return false;
        }
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static bool directory(struct buf *path)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (state != NULL && state[0] == '/') {
        return buf_printf(path, "%s/lbd", state);
    }
    return home != NULL && home[0] == '/' && buf_printf(path, "%s/.local/state/lbd", home);
}

static bool write_all(int fd, struct slice text)
{
    while (text.len != 0) {
        ssize_t wrote = write(fd, text.ptr, text.len);
        if (wrote < 0) {
            if (errno == EINTR) {
                continue;
            }
            return false;
        }
        text = slice_from_at(text, (size_t)wrote);
    }
    return true;
}

/* Beside the target, then over it: nobody ever sees half of it. */
static bool replace(const char *path, struct slice text, struct err *err)
{
    bool ok = false;
    int fd = -1;
    struct buf beside;
    buf_init(&beside, PATH_BYTES);
    buf_printf(&beside, "%s.XXXXXX", path);
    if (!beside.overflow) {
        fd = mkostemp(beside.data, O_CLOEXEC); /* 0600 */
    }
    if (fd < 0) {
        err_set_at(err, ERR_STORAGE, path, "cannot write %s: %s", path, strerror(errno));
        goto out;
    }
    ok = write_all(fd, text);
    ok = close(fd) == 0 && ok;
    ok = ok && rename(beside.data, path) == 0;
    if (!ok) {
        err_set_at(err, ERR_STORAGE, path, "cannot write %s: %s", path, strerror(errno));
        (void)unlink(beside.data);
    }
out:
    buf_fini(&beside);
    return ok;
}

bool undo_file_save(struct slice text, struct buf *path, struct err *err)
{
    if (!directory(path)) {
        return err_set(err, ERR_STORAGE, "neither XDG_STATE_HOME nor HOME names a directory");
    }
    if (!make_directories(path->data)) {
        return err_set_at(err, ERR_STORAGE, path->data, "cannot make %s: %s", path->data,
                          strerror(errno));
    }
    if (!buf_append_text(path, file_name)) {
        return err_set(err, ERR_STORAGE, "the path is too long");
    }
    return replace(path->data, text, err);
}
