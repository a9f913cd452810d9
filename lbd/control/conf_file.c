#include "lbd/control/conf_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf_files.h"
#include "conf/conf_write.h"
#include "conf/json/json.h"
#include "lbd/base/mem.h"

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

/* -- the files: the one that is named, and conf.d beside it -- */

#define FOLDER "conf.d"

struct files {
    struct conf_file_text texts[CONF_FILES_MAX];
    uint32_t count;
    size_t bytes;
};

static bool add_file(struct files *files, const char *path, int flags, struct err *err)
{
    struct stat facts;
    struct buf text;
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0) {
        return err_set(err, kind_of(errno), "cannot open '%s': %s", path, strerror(errno));
    }
    /* the first may be anything that can be read; one that was found must not make us wait */
    if (files->count > 0 && (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode))) {
        (void)close(fd);
        return err_set(err, ERR_INVALID, "'%s' is not a file", path);
    }
    buf_init(&text, json_limits_document.bytes + 2 * 65536);
    bool ok = read_all(fd, path, &text, err);
    (void)close(fd);
    files->bytes += text.len;
    if (ok && files->bytes > json_limits_document.bytes && files->count > 0) {
        ok = err_set(err, ERR_TOO_LARGE, "'%s' and what is before it are larger than %zu bytes",
                     path, json_limits_document.bytes);
    }
    if (!ok) {
        buf_fini(&text);
        return false;
    }
    size_t len = 0;
    char *data = buf_take(&text, &len);
    files->texts[files->count++] = (struct conf_file_text){
        .path = slice_from(mem_strdup(path)),
        .text = slice_of(data, len),
    };
    return true;
}

static void free_files(struct files *files)
{
    for (uint32_t i = 0; i < files->count; i++) {
        free((void *)(uintptr_t)files->texts[i].path.ptr);
        free((void *)(uintptr_t)files->texts[i].text.ptr);
    }
    free(files);
}

static int is_wanted(const struct dirent *entry)
{
    struct slice name = slice_from(entry->d_name);
    return entry->d_name[0] != '.' &&
           (slice_ends(name, SLICE(".json")) || slice_ends(name, SLICE(".jsonc")));
}

/* In order of their bytes: the same for everybody, whatever the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool add_folder(struct files *files, const char *folder, struct err *err)
{
    struct dirent **found = NULL;
    bool ok = true;
    int count = scandir(folder, &found, is_wanted, by_name);
    if (count < 0) {
        return errno == ENOENT || errno == ENOTDIR ||
               err_set(err, kind_of(errno), "cannot read the folder '%s': %s", folder,
                       strerror(errno));
    }
    if (count >= CONF_FILES_MAX) {
        ok = err_set(err, ERR_TOO_LARGE, "'%s' has more than %d files", folder, CONF_FILES_MAX - 1);
    }
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof(path), "%s/%s", folder, found[i]->d_name);
        ok = ok && add_file(files, path, O_NONBLOCK, err);
        free(found[i]);
    }
    free(found);
    return ok;
}

static bool read_files(struct files *files, const char *path, struct err *err)
{
    char folder[PATH_MAX - NAME_MAX - 1];
    const char *slash = strrchr(path, '/');
    int before = slash != NULL ? (int)(slash - path) + 1 : 0;
    int len = snprintf(folder, sizeof(folder), "%.*s" FOLDER, before, path);
    if (len < 0 || len >= (int)sizeof(folder)) {
        return err_set(err, ERR_INVALID, "the path of the file is longer than %zu bytes",
                       sizeof(folder) - sizeof(FOLDER));
    }
    return add_file(files, path, 0, err) && add_folder(files, folder, err);
}

bool conf_file_load(const char *path, struct conf_document **document, struct conf_daemon **daemon,
                    struct conf_errors *errors, struct err *err)
{
    struct files *files = mem_zero(1, sizeof(*files));
    bool ok = read_files(files, path, err);
    if (ok && !conf_document_from_files(files->texts, files->count, document, daemon, errors)) {
        struct buf summary;
        buf_init(&summary, 128);
        conf_errors_summary(errors, &summary);
        ok = err_set(err, ERR_INVALID, "'%s'%s not valid: %.*s", path,
                     files->count > 1 ? " with its " FOLDER " is" : " is", (int)summary.len,
                     summary.data);
        buf_fini(&summary);
    }
    free_files(files);
    return ok;
}

void conf_file_locate(const char *path, struct conf_errors *errors)
{
    struct files *files = mem_zero(1, sizeof(*files));
    struct err err = {0};
    struct json_error why;
    bool ok = read_files(files, path, &err);
    for (uint32_t i = 0; ok && i < files->count; i++) {
        struct slice text = files->texts[i].text;
        /* the text is ours: its comments become blanks */
        if (!json_scan((char *)(uintptr_t)text.ptr, text.len, JSON_COMMENTS, &json_limits_document,
                       &why)) {
            continue;
        }
        if (files->count == 1) {
            conf_errors_locate(errors, text, SLICE_NONE);
        } else {
            conf_errors_locate_file(errors, files->texts[i].path, text);
        }
    }
    free_files(files);
}

void conf_file_describe(const struct conf_error *error, bool is_warning, const char *path,
                        struct buf *out)
{
    uint32_t line = error->line != 0 ? error->line : 1;
    uint32_t column = error->line != 0 ? error->column : 1;
    struct slice file = error->file.len != 0 ? error->file : slice_from(path);
    (void)buf_printf(out, "%.*s:%u:%u: %s#%.*s: %.*s", SLICE_ARG(file), line, column,
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
