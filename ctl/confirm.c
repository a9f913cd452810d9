#include "ctl/confirm.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "ctl/print_table.h"

enum { ANSWER_MAX = 16 };

static bool answer_is_yes(struct ctl *ctl)
{
    char answer[ANSWER_MAX];
    if (fgets(answer, sizeof(answer), ctl->in) == NULL) {
        (void)fputc('\n', ctl->err);
        return false;
    }
    answer[strcspn(answer, "\r\n")] = '\0';
    return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}

enum ctl_exit confirm_ask(struct ctl *ctl, const char *fmt, ...)
{
    struct buf text;
    enum ctl_exit code = CTL_OK;
    va_list args;
    if (ctl->yes) {
        return CTL_OK;
    }
    buf_init(&text, CTL_PATH_MAX);
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    if (!ctl->is_interactive) {
        code = ctl_fail(ctl, CTL_USAGE, "%s; nothing was changed",
                        text.data != NULL ? text.data : "traffic would drop");
        ctl_hint(ctl, "--yes does it without a question");
    } else {
        (void)fflush(ctl->out);
        print_text(ctl->err, buf_slice(&text));
        (void)fputs(". Go on? [y/N] ", ctl->err);
        (void)fflush(ctl->err);
        if (!answer_is_yes(ctl)) {
            (void)fputs("nothing was changed\n", ctl->err);
            code = CTL_NO;
        }
    }
    buf_fini(&text);
    return code;
}
