#include "ctl/cmd_diff.h"

#include <string.h>

#include "ctl/document.h"
#include "ctl/print_change.h"
#include "lbd/base/num.h"

bool cmd_diff_read_range(const char *text, uint64_t *from, uint64_t *to)
{
    const char *dots = strstr(text, "..");
    size_t len = dots != NULL ? (size_t)(dots - text) : strlen(text);
    *to = 0;
    if (!num_parse_u64(slice_of(text, len), from) || *from == 0) {
        return false;
    }
    if (dots == NULL || dots[2] == '\0') {
        return true;
    }
    return num_parse_u64(slice_from(dots + 2), to) && *to != 0;
}

/* Prints the changes and says by the exit code whether there are any. */
static enum ctl_exit report(struct ctl *ctl, const struct json *answer)
{
    uint64_t changes = print_change_count(answer);
    if (ctl_wants_json(ctl)) {
        ctl_print_json(ctl, answer);
    } else {
        print_change_list(ctl, ctl->out, answer);
    }
    return changes == 0 ? CTL_OK : CTL_NO;
}

static enum ctl_exit diff_revisions(struct ctl *ctl)
{
    uint64_t from;
    uint64_t to;
    enum ctl_exit code = CTL_OK;
    struct buf target;
    if (!cmd_diff_read_range(ctl->rev, &from, &to)) {
        return ctl_fail(ctl, CTL_USAGE,
                        "--rev must be a revision or two of them, such as 41..42, "
                        "not '%s'",
                        ctl->rev);
    }
    buf_init(&target, CTL_PATH_MAX);
    buf_printf(&target, "/v1/revisions/%llu/diff", (unsigned long long)from);
    if (to != 0) {
        buf_printf(&target, "?to=%llu", (unsigned long long)to);
    }
    struct json *answer = ctl_get(ctl, target.data, NULL, &code);
    if (answer != NULL) {
        code = report(ctl, answer);
    }
    json_free(answer);
    buf_fini(&target);
    return code;
}

static enum ctl_exit diff_file(struct ctl *ctl, const char *path)
{
    struct document document;
    enum ctl_exit code = document_read(ctl, path, "not compared", &document);
    if (code == CTL_OK) {
        struct json *answer = document_post(ctl, &document, "/v1/config/diff", &code);
        if (answer != NULL) {
            code = report(ctl, answer);
        }
        json_free(answer);
    }
    document_fini(&document);
    return code;
}

static enum ctl_exit diff_seed(struct ctl *ctl)
{
    enum ctl_exit code = CTL_OK;
    struct buf path;
    struct json *status = ctl_get(ctl, "/v1/config/status", NULL, &code);
    if (status == NULL) {
        return code;
    }
    buf_init(&path, CTL_PATH_MAX);
    buf_append_slice(&path, ctl_text(status, "file"));
    if (path.len == 0) {
        code = ctl_fail(ctl, CTL_NOT_FOUND, "lbd was started without a file");
    } else {
        code = diff_file(ctl, path.data);
    }
    buf_fini(&path);
    json_free(status);
    return code;
}

enum ctl_exit cmd_diff(struct ctl *ctl)
{
    int ways = (ctl->file != NULL) + (ctl->rev != NULL) + ctl->seed;
    if (ways != 1) {
        ctl_fail(ctl, CTL_USAGE, "%s",
                 ways == 0 ? "against what? -f FILE, --rev A[..B] or --seed"
                           : "one of -f, --rev and --seed");
        return CTL_USAGE;
    }
    if (ctl->rev != NULL) {
        return diff_revisions(ctl);
    }
    return ctl->seed ? diff_seed(ctl) : diff_file(ctl, ctl->file);
}
