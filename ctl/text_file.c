#include "ctl/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024, PATH_BYTES = 8192 };

const char *text_file_name(const char *path)
{
    return strcmp(path, "-") == 0 ? "stdin" : path;
}

void text_file_init(struct buf *text)
{
    buf_init(text, json_limits_document.bytes + READ_BYTES);
}

enum ctl_exit text_file_read(struct ctl *ctl, const char *path, struct buf *text)
{
    bool from_stdin = strcmp(path, "-") == 0;
    FILE *file = from_stdin ? ctl->in : fopen(path, "re");
    if (file == NULL) {
        return ctl_fail(ctl, CTL_USAGE, "cannot open '%s': %s", path, strerror(errno));
    }
    enum ctl_exit code = CTL_OK;
    size_t got = 0;
    do {
        if (!buf_reserve(text, READ_BYTES)) {
            code = ctl_fail(ctl, CTL_INVALID, "%s is larger than %zu bytes", text_file_name(path),
                            json_limits_document.bytes);
            break;
        }
        got = fread(text->data + text->len, 1, READ_BYTES, file);
        text->len += got;
    } while (got != 0);
    if (code == CTL_OK && ferror(file) != 0) {
        code = ctl_fail(ctl, CTL_USAGE, "cannot read '%s': %s", path, strerror(errno));
    }
    if (!from_stdin) {
        (void)fclose(file);
    }
    return code;
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

bool text_file_replace(const char *path, struct slice text, struct err *err)
{
    bool ok = false;
    int fd = -1;
    struct stat status;
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
    ok = ok && (stat(path, &status) != 0 || fchmod(fd, status.st_mode & 07777) == 0);
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
