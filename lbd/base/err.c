#include "lbd/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void write_text(struct err *err, enum err_kind kind, const char *place, const char *fmt,
                       va_list args) LB_PRINTF(4, 0);

/* The arguments may be parts of *err itself (a text wrapped in another), so it is written last. */
static void write_text(struct err *err, enum err_kind kind, const char *place, const char *fmt,
                       va_list args)
{
    struct err made = {.kind = kind};
    int len = vsnprintf(made.text, sizeof(made.text), fmt, args);
    if (len >= (int)sizeof(made.text)) {
        memcpy(made.text + sizeof(made.text) - 4, "...", 4);
    }
    (void)snprintf(made.place, sizeof(made.place), "%s", place);
    *err = made;
}

bool err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, fmt);
        write_text(err, kind, "", fmt, args);
        va_end(args);
    }
    return false;
}

bool err_set_at(struct err *err, enum err_kind kind, const char *place, const char *fmt, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, fmt);
        write_text(err, kind, place, fmt, args);
        va_end(args);
    }
    return false;
}

void err_clear(struct err *err)
{
    if (err != NULL) {
        err->kind = ERR_NONE;
        err->place[0] = '\0';
        err->text[0] = '\0';
    }
}
