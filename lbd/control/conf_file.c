#include "lbd/control/conf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf_write.h"
#include "conf/json/json.h"

static enum err_kind kind_of(int number)
{
    if (number == ENOENT || number == ENOTDIR) {
        return ERR_NOT_FOUND;
    }
    return number == EACCES || number == EPERM ? ERR_DENIED : ERR_SYSTEM;
}

static bool read_all(int fd, const char *path, struct buf *text, struct err *err)
{
    enum { STEP = 65536 };
    for (;;) {
        if (!buf_reserve(text, STEP)) {
            return err_set(err, ERR_TOO_LARGE, "'%s' is larger than %zu bytes", path,
                           json_limits_document.bytes);
        }
        ssize_t got = read(fd, text->data + text->len, STEP);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return err_set(err, ERR_SYSTEM, "cannot read '%s': %s", path, strerror(errno));
        }
        if (got == 0) {
            return true;
        }
        text->len += (size_t)got;
    }
}

bool conf_file_load(const char *path, struct conf_document **document, struct conf_daemon **daemon,
                    struct conf_errors *errors, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_set(err, kind_of(errno), "cannot open '%s': %s", path, strerror(errno));
    }

    struct buf text;
    buf_init(&text, json_limits_document.bytes + 2 * 65536);
    bool ok = read_all(fd, path, &text, err);
    if (ok && !conf_document_from_file_text(buf_slice(&text), document, daemon, errors)) {
        struct buf summary;
        buf_init(&summary, 128);
        conf_errors_summary(errors, &summary);
        ok = err_set(err, ERR_INVALID, "'%s' is not valid: %.*s", path, (int)summary.len,
                     summary.data);
        buf_fini(&summary);
    }
    buf_fini(&text);
    (void)close(fd);
    return ok;
}

void conf_file_describe(const struct conf_error *error, bool is_warning, const char *path,
                        struct buf *out)
{
    uint32_t line = error->line != 0 ? error->line : 1;
    uint32_t column = error->line != 0 ? error->column : 1;
    (void)buf_printf(out, "%s:%u:%u: %s#%.*s: %.*s", path, line, column,
                     is_warning ? "warning: " : "", SLICE_ARG(error->pointer),
                     SLICE_ARG(error->detail));
    if (error->suggestion.len != 0) {
        (void)buf_printf(out, "; did you mean '%.*s'?", SLICE_ARG(error->suggestion));
    }
}

static struct json *as_json(const struct conf_daemon *daemon)
{
    struct buf text;
    struct json_write w;
    buf_init(&text, 1024 * 1024);
    json_write_init(&w, &text, JSON_COMPACT);
    conf_write_daemon(daemon, &w);
    struct json *json = json_parse_trusted(buf_slice(&text));
    buf_fini(&text);
    return json;
}

/* `daemon` is two levels deep: "workers", "log.level". */
static void compare(const struct json *before, const struct json *after, struct slice parent,
                    struct buf *keys)
{
    const struct json *item = NULL;
    json_for_each(item, after)
    {
        struct slice key = json_key(item);
        const struct json *old = json_get(before, key);
        if (json_equal(old, item)) {
            continue;
        }
        if (parent.len == 0 && json_is(old, JSON_OBJECT) && json_is(item, JSON_OBJECT)) {
            compare(old, item, key, keys);
            continue;
        }
        (void)buf_printf(keys, "%s%.*s%s%.*s", keys->len != 0 ? ", " : "", SLICE_ARG(parent),
                         parent.len != 0 ? "." : "", SLICE_ARG(key));
    }
    json_for_each(item, before)
    {
        if (json_get(after, json_key(item)) == NULL) {
            (void)buf_printf(keys, "%s%.*s%s%.*s", keys->len != 0 ? ", " : "", SLICE_ARG(parent),
                             parent.len != 0 ? "." : "", SLICE_ARG(json_key(item)));
        }
    }
}

void conf_file_daemon_changes(const struct conf_daemon *before, const struct conf_daemon *after,
                              struct buf *keys)
{
    struct json *old = as_json(before);
    struct json *fresh = as_json(after);
    compare(old, fresh, SLICE_NONE, keys);
    json_free(old);
    json_free(fresh);
}
